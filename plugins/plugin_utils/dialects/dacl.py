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
    mixed = _families(row for _number, row in rows)
    aces: list[Ace] = []
    opaque: list[Opaque] = []
    remarks: list[str] = []
    for number, row in rows:
        words = row.split()
        if words[0].lower() == "remark":
            remarks.append(row[6:].strip())
            continue
        try:
            aces.append(_ace(words, mixed, Bound(tuple(remarks), line=number, raw=row)))
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


def _families(rows: object) -> int:
    """Return 4 or 6 when every hint in the list points to one family, 0 when the list mixes them."""
    hints = set()
    for row in rows:  # type: ignore[attr-defined]
        words = row.lower().split()
        if words[0] == "remark":
            continue
        hints |= {_hint(words)} - {0}
    return hints.pop() if len(hints) == 1 else (0 if hints else 4)


def _hint(words: list[str]) -> int:
    if "ipv6" in words[1:2] or any(":" in word for word in words):
        return 6
    if "ip" in words[1:2] or any(word.count(".") == 3 for word in words):
        return 4
    return 0


def _ace(words: list[str], mixed: int, bound: Bound) -> Ace:
    family = _hint([word.lower() for word in words]) or mixed
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
