# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of a downloadable ACL in ISE (facts/ise.md section 3, facts/devices.md section 1.4).

No header, no numbers. The source is ``any``: the switch puts the endpoint's address in its place, so any other source has a
meaning that depends on the port's mode and is not understood here.
"""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.cisco_ace import (
    Bound,
    NotUnderstood,
    parse_ace,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.cisco_render import ace_lines
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.cisco_text import checked_lines
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.ios import closing
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import Ace, Opaque, ParsedAcl


def parse(text: str, name: str = "") -> list[ParsedAcl]:
    """Return the one list of a DACL text. Blank and CR LF differences do not count; remarks are kept apart."""
    rows = [(number, " ".join(line.split())) for number, line in enumerate(checked_lines(text), 1) if line.strip()]
    hints = {number: _hint(row.lower()) for number, row in rows if row.split(" ", 1)[0].lower() != "remark"}
    found = set(hints.values()) - {0}
    mixed = found.pop() if len(found) == 1 else (0 if found else 4)  # 0 where the list mixes families
    aces: list[Ace] = []
    opaque: list[Opaque] = []
    remarks: list[str] = []
    for number, row in rows:
        words = row.split()
        if words[0].lower() == "remark":
            remarks.append(row[6:].strip())
            continue
        try:
            aces.append(_ace(words, hints[number] or mixed, Bound(tuple(remarks), line=number, raw=row)))
        except NotUnderstood as reason:
            opaque.append(Opaque(number, row, str(reason)))
        remarks = []
    if not aces and not opaque:
        opaque.append(
            Opaque(0, "", "an empty downloadable ACL: whether it permits or denies differs between platforms")
        )
    families = {ace.family for ace in aces}
    return [
        ParsedAcl(name, "dacl", tuple(aces), tuple(opaque), tuple(remarks), default_permit=False, empty_permits=False,
                  attributes={"families": sorted(families)})
    ]  # fmt: skip


def _hint(row: str) -> int:
    """Return the family that a row's words (in lower case, single blanks) point to, 0 where they do not."""
    second = row.split(" ", 2)[1:2]
    if second == ["ipv6"] or ":" in row:
        return 6
    if second == ["ip"] or (row.count(".") > 2 and any(word.count(".") == 3 for word in row.split(" "))):
        return 4
    return 0


def _ace(words: list[str], family: int, bound: Bound) -> Ace:
    if family == 0:
        raise NotUnderstood("the list mixes families and this line belongs to neither for certain")
    ace = parse_ace(words, family, bound=bound)
    if ace.source is not None:
        raise NotUnderstood("the source of a downloadable ACL is 'any'; the switch inserts the endpoint's address")
    for text in ace.conditions:
        if "group " in text or text.startswith("time-range "):
            raise NotUnderstood(f"{text!r} is an object of one switch: it cannot stand in a downloadable ACL")
    return ace


def lines(aces: Sequence[Ace], end: str = "deny") -> list[tuple[str, Ace]]:
    """Return each line with the entry it comes from; entries must have source any (FindingError SW1204).

    ``end``: as in ``ios.lines``; one closing entry for each family in the list, IPv4 where the list is empty. For IPv6 the
    neighbour discovery entries are written before a closing deny.
    """
    result: list[tuple[str, Ace]] = []
    families = sorted({ace.family for ace in aces}) or [4]
    closed = list(aces)
    for family in families:
        closed += closing([ace for ace in aces if ace.family == family], family, end)
    for ace in closed:
        if ace.source is not None:
            raise FindingError(codes.NOT_EXPRESSIBLE.at(f"entry {ace.label or ace.raw!r}: a DACL has source any only"))
        result += [(line, ace) for line in ace_lines(ace, log=False, conditions=False)]
    return result


def render(name: str, aces: Sequence[Ace], *, end: str = "deny") -> str:
    """Return the DACL text: one entry a line, LF between them, none at the end.

    ``log`` and remarks are dropped: a switch may reject the whole list for them (facts/devices.md section 1.4).
    """
    return "\n".join(line for line, _ace in lines(aces, end))
