# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Address sets and services in the names of a policy: segments, network sets and zones, as people say them."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.resolve import (
    addresses_of,
    matches_of,
    member_addresses,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import (
    ALL,
    IPV4_ADDRESSES,
    IPV6_ADDRESSES,
    Box,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.text import (
    addresses_text,
    icmp_text,
    protocol_name,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site

SHOWN_NAMES = 4
SHOWN_PREFIXES = 3
FAMILIES = {4: IntervalSet.of((0, 255)), 6: IntervalSet.of((256, 511))}
EVERYTHING = {4: IPV4_ADDRESSES, 6: IPV6_ADDRESSES}
PORTED = IntervalSet.of(6, 17, 33, 132, 136)


class Naming:
    """The names of one site."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._segments = {
            family: [(n, member_addresses(site, n, family)) for n in sorted(site.segments)] for family in (4, 6)
        }
        wholes = [(n, item.prefixes) for n, item in site.networks.items()] + [
            (f"zone:{n}", z.subnets) for n, z in site.zones.items()
        ]
        self._wholes = {family: [(n, addresses_of(prefixes, family)) for n, prefixes in wholes] for family in (4, 6)}

    def by_family(self, box: Box) -> Iterator[Box]:
        """Yield the parts of a box that lie in one address family each."""
        for family, protocols in FAMILIES.items():
            own = box.protocol.intersect(protocols)
            if own:
                every = EVERYTHING[family]
                yield box.replace(
                    protocol=own, source=box.source.intersect(every), destination=box.destination.intersect(every)
                )

    def name(self, values: IntervalSet, box: Box) -> tuple[str, list[str]]:
        """Return an address set in names, and the segments of which devices are in it ("" with them where others are too)."""
        family = 6 if box.protocol.pairs[0][0] >= 256 else 4
        held = [(name, own) for name, own in self._segments[family] if own and own.overlaps(values)]
        rest = values
        for _name, own in held:
            rest = rest.subtract(own)
        segments = [name for name, _own in held] + ([""] if rest else [])
        if values.covers(EVERYTHING[family]) or rest.size * 10 > EVERYTHING[family].size * 8:
            missing = [name for name, own in self._segments[family] if own and not values.covers(own)]
            return ("any" if len(missing) > SHOWN_NAMES or not missing else f"any but {', '.join(missing)}"), segments
        for name, whole in self._wholes[family]:
            if whole == values:
                return name, segments
        names = [
            name if values.covers(own) else f"{name} ({values.intersect(own).size} of {own.size})" for name, own in held
        ]
        if rest:
            inside = next((name for name, whole in self._wholes[family] if whole and whole.covers(rest)), "")
            texts = addresses_text(rest, family == 6)
            more = f" and {len(texts) - SHOWN_PREFIXES} more" if len(texts) > SHOWN_PREFIXES else ""
            names.append(
                f"others of {inside}" if inside and len(texts) > 1 else ", ".join(texts[:SHOWN_PREFIXES]) + more
            )
        more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
        return ", ".join(names[:SHOWN_NAMES]) + more, segments


def service_of(site: Site, box: Box) -> str:
    """Return protocol and ports of a box of one family: the name of a service that is exactly that, else as numbers."""
    texts = []
    for low, high in box.protocol.pairs:
        if high - low > 8:
            return "any service"
        texts += [_one_protocol(site, box, number) for number in range(low, high + 1)]
    return ", ".join(dict.fromkeys(texts))


def _one_protocol(site: Site, box: Box, number: int) -> str:
    protocol, family = number % 256, 6 if number >= 256 else 4
    name = protocol_name(protocol)
    if protocol in (1, 58):
        return (
            name if box.detail.covers(IntervalSet.of((0, 65535))) else f"{name} {', '.join(icmp_text(box.detail)[:3])}"
        )
    if not PORTED.contains(protocol):
        return name
    for service in sorted(site.services):
        for _name, match in matches_of(site, (service,), family):
            if match.protocol == protocol and match.server_ports == box.destination_port:
                return service
    if box.destination_port.covers(ALL["destination_port"]):
        return name
    pairs = box.destination_port.pairs
    shown = ",".join(str(low) if low == high else f"{low}-{high}" for low, high in pairs[:5])
    return f"{name}/{shown}" + (f" and {len(pairs) - 5} more" if len(pairs) > 5 else "")
