# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""IOS and IOS-XE access lists, IPv4 and IPv6 (facts/devices.md sections 1.1 and 1.2)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.names import safe_name
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.cisco_group_text import (
    definitions,
    runs,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.cisco_render import ace_lines
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.cisco_text import IMPLICIT_IPV6, read_lists
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import Ace, ParsedAcl

REMARK_LENGTH = 100  # facts/devices.md section 1.1


def parse(text: str) -> list[ParsedAcl]:
    """Return every list in the text of an IOS device, of whatever kind; kinds not modelled are opaque."""
    return read_lists(text)


def parse_ipv6(text: str) -> list[ParsedAcl]:
    """Return the IPv6 lists in the text; text without a header is one IPv6 list without a name."""
    found = read_lists(text, "ipv6")
    return [item for item in found if item.kind == "ipv6" or item.kind == "foreign: IPv6 FQDN"]


def lines(
    aces: Sequence[Ace], family: int, end: str = "deny", port_lists: bool = False, groups: bool = False
) -> list[tuple[str, Ace]]:
    """Return each line without its number, with the entry that it comes from.

    ``end``: ``deny`` writes the implicit end out unless the list already ends so (IPv6: neighbour discovery first, as the
    platform's own end does), ``permit`` ends in permit, ``""`` adds nothing. ``groups``: object groups by name (their
    definitions: ``definitions``), and one line for all the services of a group. Raises FindingError SW1204.
    """
    for ace in aces:
        if ace.family != family:
            raise FindingError(codes.NOT_EXPRESSIBLE.at(f"entry {ace.label or ace.raw!r} is not of family {family}"))
    closed = [*aces, *closing(aces, family, end)]
    lists = runs(closed) if groups else [[ace] for ace in closed]
    return [(line, run[0]) for run in lists for line in ace_lines(run[0], port_lists=port_lists, groups=groups)]


def closing(aces: Sequence[Ace], family: int, end: str) -> list[Ace]:
    """Return the entries that close a list explicitly; none when its last entry already matches every packet."""
    if end not in ("deny", "permit", ""):
        raise ValueError(f"unknown end {end!r}")
    if not end or (aces and catches_all(aces[-1])):
        return []
    last = Ace(end == "permit", family=family, label="end of list")
    return [*(IMPLICIT_IPV6 if family == 6 and end == "deny" else ()), last]


def catches_all(ace: Ace) -> bool:
    """Return whether an entry matches every packet of its family."""
    return (
        ace.protocol is None
        and ace.source is None
        and ace.destination is None
        and not ace.fragments
        and not ace.layer4
        and ace.plain
    )


def render(
    name: str,
    aces: Sequence[Ace],
    family: int = 4,
    *,
    end: str = "deny",
    numbers: bool = True,
    start: int = 10,
    step: int = 10,
    remarks: bool = False,
    port_lists: bool = False,
    groups: bool = False,
) -> str:
    """Return the configuration of a list: header, then entries numbered from ``start``.

    ``groups`` writes object groups by name, with their definitions before the list.
    ``remarks`` writes a remark with the label (else the kept remarks) where it changes. The name must be a safe name (ValueError).
    """
    safe_name(name)
    header = f"ipv6 access-list {name}" if family == 6 else f"ip access-list extended {name}"
    result = [*(definitions(aces, family) if groups else ()), header]
    number = start
    said: tuple[str, ...] = ()
    for line, ace in lines(aces, family, end, port_lists, groups):
        if remarks:
            texts = (ace.label,) if ace.label else ace.remarks
            if texts and texts != said:
                result += [f" remark {remark_text(text)}" for text in texts]
                said = texts
        prefix = "" if not numbers else f"sequence {number} " if family == 6 else f"{number} "
        result.append(f" {prefix}{line}")
        number += step
    return "\n".join(result) + "\n"


def remark_text(text: str) -> str:
    """Return a text fit for a remark: printable ASCII on one line, at most 100 characters, no ``?`` (it would ask for help)."""
    clean = re.sub(r"[^\x20-\x3e\x40-\x7e]", " ", text).strip()
    return clean[:REMARK_LENGTH] or "-"
