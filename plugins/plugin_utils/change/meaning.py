# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What changing one list into another means, by the packet engine: which way it goes, a witness, and the line that decides."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.once import once
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import registry
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import ParsedAcl
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.compare import compare
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import Entry, FirstMatchList, Packet


@dataclass(frozen=True)
class Meaning:
    """The difference of two lists. ``effect``: none, widens, narrows or both. ``text`` names a witness packet for each side."""

    effect: str
    text: str = ""
    lost: str = ""
    gained: str = ""

    @property
    def equal(self) -> bool:
        """Return whether both lists pass the same packets."""
        return self.effect == "none"


SAME = Meaning("none")
# First-match lists that are kept beside their texts: one text is asked for several times in the course of a change.
KEPT_LISTS = 64


def only_list(platform: str, text: str) -> ParsedAcl:
    """Return the one list in a text; FindingError where a line is not understood, ValueError where there are several."""
    found = registry.parse(platform, text)
    if len(found) != 1:
        raise ValueError(f"{len(found)} lists where one is expected")
    return found[0]


def deciding_line(listing: FirstMatchList, packet: Packet) -> str:
    """Return the entry that decides about a packet, as text, or how the list ends; entries with a condition are passed over."""
    for entry in listing.entries:
        if entry.condition:
            continue
        for box in entry.boxes:
            if all(value in values for value, values in zip(packet.values(), box.sets(), strict=True)):
                return entry.label or f"entry {entry.number}"
    return "implicit permit" if listing.default_permit else "implicit deny"


def difference(platform: str, before: str, after: str) -> Meaning:
    """Return what replacing the text ``before`` by ``after`` changes; by meaning, never by text.

    FindingError where a line of either text is not understood: such a list is never compared, so never replaced.
    """
    if before == after:
        return SAME
    first, second = first_match(platform, before), first_match(platform, after)
    return SAME if _alike(first, second) else list_difference(first, second)


@once(KEPT_LISTS)
def first_match(platform: str, text: str) -> FirstMatchList:
    """Return the one list in a text as packets decide it; errors as of ``only_list`` and of a list that is not understood."""
    return only_list(platform, text).first_match()


def _alike(first: FirstMatchList, second: FirstMatchList) -> bool:
    """Return whether two lists have the same entries in the same order: then no packet needs to be asked."""
    return (
        first.default_permit == second.default_permit
        and len(first.entries) == len(second.entries)
        and all(
            one.permit == other.permit and one.condition == other.condition and _keys(one) == _keys(other)
            for one, other in zip(first.entries, second.entries, strict=True)
        )
    )


def _keys(entry: Entry) -> list[list[Any]]:
    return [[values.key for values in box.sets()] for box in entry.boxes]


def list_difference(first: FirstMatchList, second: FirstMatchList) -> Meaning:
    """Return what replacing one first-match list by another changes.

    Where a verdict depends on what is not modelled (time ranges), the change counts as widening and narrowing at once.
    """
    result = compare(first, second)
    if result.equal:
        return SAME
    unknown = result.not_modelled.witness()
    lost, gained = result.only_in_first.witness(), result.only_in_second.witness()
    parts = [
        f"{packet.describe()} would pass {how} (decided by {deciding_line(second, packet)!r},"
        f" before by {deciding_line(first, packet)!r})"
        for packet, how in ((lost, "no longer"), (gained, "newly"))
        if packet is not None
    ]
    if unknown is not None:
        parts.append(f"{unknown.describe()}: the verdict depends on a condition that is not modelled")
    both = unknown is not None or (lost is not None and gained is not None)
    effect = "both" if both else ("narrows" if lost is not None else "widens")
    return Meaning(effect, "; ".join(parts), lost.describe() if lost else "", gained.describe() if gained else "")


def understood(platform: str, text: str) -> str:
    """Return an empty text where every line of a list is understood, else the reason."""
    try:
        first_match(platform, text)
    except FindingError as error:
        return str(error)
    except ValueError as error:
        return str(error)
    return ""


def text_diff(before: str, after: str, name: str = "") -> str:
    """Return a unified diff without file dates; empty where the texts are equal."""
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), f"live {name}".strip(), f"policy {name}".strip(), lineterm="", n=2
    )
    return "\n".join(lines)


# Which dialect the ``content`` of an object is written in (enforce/model.py).
DIALECTS = {
    "downloadable_acl": "dacl",
    "sgacl": "sgacl",
    "access_list": "ios",
    "ipv6_access_list": "ios_ipv6",
    "nxos_access_list": "nxos",
    "asa_access_list": "asa",
    "ruleset": "nftables",
}
# Where an object stands among others (rules of a policy set): a live body does not say it, its target judges it.
PLACES = frozenset(("before",))
# What says who an object belongs to, not what it does; writing only that would rename a DACL on every switch for nothing.
NOT_MEANING = frozenset(("owned", "internal", "description"))


def means(
    kind: str,
    present: Mapping[str, Any] | None,
    wanted: Mapping[str, Any] | None,
    ignoring: Collection[str] = PLACES,
) -> bool:
    """Return whether an object that stands somewhere means what a body says; what the body does not speak of does not count."""
    if present is None or wanted is None:
        return present is wanted
    asked = {name: value for name, value in wanted.items() if name not in ignoring}
    return body_difference(kind, {name: present.get(name) for name in asked}, asked).equal


def body_difference(kind: str, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> Meaning:
    """Return how two bodies of an object differ: ``content`` by the packet engine, every other value by equality.

    ``None`` stands for an absent object. A content that is not understood equals only the same text.
    """
    if before is None or after is None:
        return SAME if before is after else Meaning("both", "is absent" if after is None else "is new")
    parts = []
    for name in sorted((set(before) | set(after)) - NOT_MEANING - {"content"}):
        if before.get(name) != after.get(name):
            parts.append(f"{name}: {before.get(name)!r} -> {after.get(name)!r}")
    content = content_difference(kind, str(before.get("content", "")), str(after.get("content", "")))
    if not parts:
        return content
    return Meaning("both", "; ".join([*parts, content.text] if content.text else parts), content.lost, content.gained)


def content_difference(kind: str, before: str, after: str) -> Meaning:
    """Return how the texts of two lists of one kind differ in meaning; a text that is not understood differs from all others."""
    if before == after:
        return SAME
    try:
        return difference(DIALECTS[kind], before, after)
    except (FindingError, ValueError, KeyError) as error:
        return not_compared(error)


def not_compared(error: Exception) -> Meaning:
    """Return the difference of two texts that are not the same and cannot be compared."""
    return Meaning("both", f"the texts differ and cannot be compared ({error})")
