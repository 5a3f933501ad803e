# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Security group ACLs: entries without addresses (facts/ise.md section 4, facts/devices.md section 1.5).

Reads the text that ISE holds, ``ip access-list role-based`` and ``show ip access-lists`` blocks and ``show cts rbacl``.
A packet that no entry matches is **permitted** by the hardware (Catalyst 9500 guide), so the end is ``default_permit`` and a
generator must write its last entry out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.names import IDENTIFIER, safe_name
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.cisco_ace import NotUnderstood, parse_ace
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.cisco_render import ace_lines
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.cisco_text import checked_lines, read_lists
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import Ace, Opaque, ParsedAcl

_HEADER = re.compile(r"(?i)\s*(?:(?:IPv6 )?Role-based (?:IP )?access list|ip(?:v6)? access-list role-based)\s")
_RBACL = re.compile(r"(?i)\s*RBACL ACEs:")
_FAMILY = {"ipv4": 4, "ipv6": 6, "ip_agnostic": 0, "ipv4 & ipv6": 0, "ipv4/ipv6": 0}


def parse(text: str, name: str = "", family: int = 0) -> list[ParsedAcl]:
    """Return the lists in the text: several of a device, one of ISE content.

    ``family`` (4, 6, 0 for both) counts where the text does not say it: it is the ``ipVersion`` of the ISE object.
    """
    given = checked_lines(text)
    if any(_RBACL.match(row) for row in given):
        return _rbacls(text)
    if any(_HEADER.match(row) for row in given):
        return [replace(item, kind="sgacl") for item in read_lists(text) if item.kind.startswith("sgacl")]
    rows = [(number, line.strip()) for number, line in enumerate(given, 1)]
    return [_list(name, rows, family)]


def _list(name: str, rows: list[tuple[int, str]], family: int) -> ParsedAcl:
    aces: list[Ace] = []
    opaque: list[Opaque] = []
    remarks: list[str] = []
    for number, row in rows:
        words = row.split()
        if not words:
            continue
        if words[0].lower() == "remark":
            remarks.append(row[6:].strip())
            continue
        try:
            said = (
                [*words[:1], "ipv6", *words[2:]] if family == 6 and [w.lower() for w in words[1:2]] == ["ip"] else words
            )
            ace = parse_ace(said, family, addresses=False)
            aces.append(replace(ace, remarks=tuple(remarks), line=number, raw=" ".join(words)))
        except NotUnderstood as reason:
            opaque.append(Opaque(number, row, str(reason)))
        remarks = []
    return ParsedAcl(
        name, "sgacl", tuple(aces), tuple(opaque), tuple(remarks), default_permit=True, empty_permits=True,
        attributes={"family": family},
    )  # fmt: skip


def _rbacls(text: str) -> list[ParsedAcl]:
    """Read ``show cts rbacl``: blocks of ``name =``, properties and the entries after ``RBACL ACEs:``."""
    result: list[ParsedAcl] = []
    name, family, inside = "", 0, False
    rows: list[tuple[int, str]] = []
    for number, line in enumerate(checked_lines(text), 1):
        row = line.strip()
        key, equals, value = (part.strip() for part in row.partition("="))
        if equals and key.lower() == "name":
            if name:
                result.append(_list(name, rows, family))
            name, family, rows, inside = value, 0, [], False
        elif equals and key.lower() == "ip protocol version":
            # An unknown word is read as "both": then only what holds for both families parses.
            family = _FAMILY.get(value.lower().replace(" ", " "), 0)
        elif row.lower().startswith("rbacl aces"):
            inside = True
        elif inside and row and not re.match(r"\S+[#>]", row):
            rows.append((number, row))
    if name:
        result.append(_list(name, rows, family))
    return result


def lines(aces: Sequence[Ace], end: str = "") -> list[tuple[str, Ace]]:
    """Return each line with the entry it comes from. ``end``: ``deny`` or ``permit`` closes a list that is not closed yet.

    Nothing is added by default: several SGACLs make up one cell and only the last may close it.
    """
    closed = list(aces)
    last = closed[-1] if closed else None
    open_end = last is None or last.protocol is not None or last.fragments or last.layer4 or bool(last.conditions)
    if end not in ("deny", "permit", ""):
        raise ValueError(f"unknown end {end!r}")
    if end and open_end:
        closed.append(Ace(end == "permit", family=0, label="end of list"))
    result = []
    for ace in closed:
        if ace.family == 0 and ace.protocol == 58:
            raise FindingError(codes.NOT_EXPRESSIBLE.at("ICMPv6 needs a list of family IPv6"))
        plain = replace(ace, family=4) if ace.protocol is None and ace.family == 6 else ace
        result += [(line, ace) for line in ace_lines(_worded(plain), addresses=False, conditions=False)]
    return result


def _worded(ace: Ace) -> Ace:
    """Return the entry as the writer takes it: 'ip' is the word for every protocol in all SGACLs of ISE."""
    return replace(ace, family=4) if ace.family == 0 else ace


def render(name: str, aces: Sequence[Ace], *, end: str = "", header: bool = False) -> str:
    """Return the SGACL content, one entry a line; ``header`` makes it ``ip access-list role-based NAME`` for a device."""
    body = [line for line, _ace in lines(aces, end)]
    if not header:
        return "\n".join(body)
    safe_name(name, IDENTIFIER)
    return "\n".join([f"ip access-list role-based {name}", *(f" {line}" for line in body)]) + "\n"
