# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a device is, or is not, a member of a segment: the query part by part, with the values that decided.

Membership is reproducible: the lock follows from the segments' queries and one register document (``members.resolve_members``),
and this module says for one device how.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.query import query_holds
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.members import facts_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Segment
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.schema import shown

WORDS = ("equals", "in", "matches", "prefix", "contains", "at_least", "at_most")
INDENT = "  "


@dataclass(frozen=True)
class Explanation:
    """Whether a device fulfils a segment's query, and each part of the query with what it found, outermost first."""

    segment: str
    holds: bool
    lines: tuple[str, ...]


def explain_query(query: Mapping[str, Any], facts: Mapping[str, Sequence[Any]], indent: str = "") -> list[str]:
    """Return one line for each part of a query: yes or no, what is asked, and the device's values of the fact."""
    mark = f"{indent}{'yes' if query_holds(query, facts) else 'no'}: "
    for word, text in (("all", "all of"), ("any", "any of")):
        if word in query:
            below = [line for part in query[word] for line in explain_query(part, facts, indent + INDENT)]
            return [f"{mark}{text}", *below]
    if "not" in query:
        return [f"{mark}not", *explain_query(query["not"], facts, indent + INDENT)]
    name = query["fact"]
    word = next(word for word in WORDS if word in query)
    wanted = query[word]
    asked = ", ".join(shown(item) for item in wanted) if isinstance(wanted, list) else shown(wanted)
    values = facts.get(name, ())
    found = f"it is {', '.join(shown(value) for value in values)}" if values else "the device has no such fact"
    return [f"{mark}{name} {word.replace('_', ' ')} {asked}; {found}"]


def explain_device(segments: Iterable[Segment], register: Mapping[str, Any], device: str) -> list[Explanation]:
    """Return an explanation for every segment with a query, by name; an empty list where the register has no such device.

    ``device`` is an id (MAC) or a host name, without regard to case. A device that fulfils several queries is in none of the
    segments (SW2208), which shows here as several that hold.
    """
    wanted = device.lower()
    for entry in register.get("devices", ()):
        facts = facts_of(entry)
        names = {str(entry.get("id", "")).lower(), *(str(value).lower() for value in facts.get("hostname", ()))}
        if wanted in names:
            return [
                Explanation(item.name, query_holds(item.members, facts), tuple(explain_query(item.members, facts)))
                for item in sorted(segments, key=lambda item: item.name)
                if item.members
            ]
    return []
