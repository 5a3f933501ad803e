# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Object groups as IOS configuration, from the entries that were resolved with them."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.cisco_render import references, service_words
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import Ace
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet, prefixes


def runs(aces: Sequence[Ace]) -> list[list[Ace]]:
    """Return the entries in order, those together that are the services of one line with a resolved object group."""
    result: list[list[Ace]] = []
    last: tuple[object, ...] | None = None
    for ace in aces:
        key = None
        if any(side == "service" for side, _name in ace.object_groups) and "service" not in references(ace, False):
            key = (
                ace.line, ace.raw, ace.object_groups, ace.permit, ace.source, ace.destination, ace.log, ace.conditions,
            )  # fmt: skip
        if key is not None and key == last:
            result[-1].append(ace)
        else:
            result.append([ace])
        last = key
    return result


def definitions(aces: Sequence[Ace], family: int) -> list[str]:
    """Return the lines that define the groups which entries name and whose content they hold, flat, in order of first use.

    Raises FindingError SW1204 where two entries hold another content for the same name.
    """
    networks: dict[str, list[str]] = {}
    services: dict[str, list[str]] = {}
    for run in runs(aces):
        ace = run[0]
        unknown = references(ace, False)
        references(ace, True)  # refuses names that are not safe to write
        for side, name in ace.object_groups:
            if side in unknown:
                continue
            if side == "service":
                _keep(services, name, list(dict.fromkeys(word for each in run for word in service_words(each))))
            else:
                _keep(networks, name, _members(ace.source if side == "source" else ace.destination, family))
    both = set(networks) & set(services)
    if both:
        raise FindingError(codes.NOT_EXPRESSIBLE.at(f"object group {min(both)} is of two kinds"))
    version = "v6-" if family == 6 else ""
    result: list[str] = []
    for kind, groups in (("network", networks), ("service", services)):
        for name, words in groups.items():
            result += [f"object-group {version}{kind} {name}", *(f" {word}" for word in words)]
    return result


def _keep(groups: dict[str, list[str]], name: str, members: list[str]) -> None:
    if groups.setdefault(name, members) != members:
        raise FindingError(codes.NOT_EXPRESSIBLE.at(f"object group {name} has another content in another entry"))


def _members(values: IntervalSet | None, family: int) -> list[str]:
    if values is None:
        return ["any"]
    width = 128 if family == 6 else 32
    result = []
    for value, length in prefixes(values.pairs, width):
        if width == 128:
            address = str(ipaddress.IPv6Address(value))
            result.append(f"host {address}" if length == 128 else f"{address}/{length}")
        else:
            mask = ipaddress.IPv4Address(((1 << length) - 1) << (32 - length))
            address = str(ipaddress.IPv4Address(value))
            result.append(f"host {address}" if length == 32 else f"{address} {mask}")
    return result
