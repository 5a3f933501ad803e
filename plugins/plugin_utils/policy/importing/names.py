# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses of a list to names of the site: segments and network sets that together are exactly these addresses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.catalogue import Catalogue, collapsed
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site

WIDTH = {4: 32, 6: 128}
# From this size on a run of addresses is a subnet that somebody wrote, not single hosts.
SUBNET = 8


@dataclass
class Names:
    """Finds names for the addresses of one family. ``segments``: addresses of each segment's devices, as the lock has them."""

    catalogue: Catalogue
    family: int
    segments: Mapping[str, IntervalSet]

    @classmethod
    def of(cls, site: Site, catalogue: Catalogue, family: int) -> Names:
        """Return the finder of a site."""
        segments = {}
        for name, members in site.members.items():
            texts = collapsed(address for member in members for address in member.addresses)
            pairs = [IntervalSet.from_prefix(text).pairs[0] for text in texts if (":" in text) == (family == 6)]
            if pairs:
                segments[name] = IntervalSet.of(*pairs)
        return cls(catalogue, family, segments)

    def names(self, addresses: IntervalSet, listing: str) -> list[str]:
        """Return segments and network sets that are exactly the addresses; a new set for what nothing has."""
        same = [name for name, own in sorted(self.segments.items()) if own == addresses]
        if same:
            return same[:1]
        known = self._known(self._prefixes(addresses))
        if known:
            return [known]
        hosts = IntervalSet.of(*(pair for pair in addresses.pairs if pair[1] - pair[0] < SUBNET))
        found, rest = self.within(hosts)
        rest = rest.union(addresses.subtract(hosts))
        if rest:
            left = self._prefixes(rest)
            stem = f"net_{left[0]}" if len(left) == 1 else f"{listing or 'list'}_addresses"
            found.append(self._known(left) or self.catalogue.network(left, stem, f"Named by {listing or 'a list'}"))
        return sorted(found)

    def within(self, addresses: IntervalSet) -> tuple[list[str], IntervalSet]:
        """Return the segments whose devices all lie in the addresses, and what is left of these."""
        found, rest = [], addresses
        for name, own in sorted(self.segments.items(), key=lambda item: (-item[1].size, item[0])):
            if rest.covers(own):
                found.append(name)
                rest = rest.subtract(own)
        return found, rest

    def _known(self, prefixes: list[str]) -> str:
        wanted = frozenset(prefixes)
        sets = sorted(self.catalogue.site.networks.items())
        return next((name for name, network in sets if collapsed(network.prefixes) == wanted), "")

    def _prefixes(self, addresses: IntervalSet) -> list[str]:
        return sorted(collapsed(addresses.to_prefixes(WIDTH[self.family])))
