# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The change that takes a step back on an IOS switch: names, numbers, remarks and attachments from before. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes as change_codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Operation
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_change import (
    Build,
    Change,
    Swap,
    before_step,
    same,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_config import (
    IosState,
    Place,
    ace_lines,
    base_name,
    list_text,
    ours,
    shown_place,
    typed_lines,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_diff import (
    ATTACHMENTS,
    LISTS,
    REVERT,
    place_of,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.list_versions import former_name, half_typed


def undo_change(name: str, operation: Operation, result: Mapping[str, Any], state: IosState) -> Change:
    """Return the change that brings back what stood there before a step, using what the step returned.

    FindingError SW4060 where somebody changed the object since, SW4225 or SW4227 where a list is in use or missing.
    """
    if operation.kind == REVERT:
        return Change()
    if operation.kind in ATTACHMENTS:
        return _attachment(name, operation, result, state)
    return _list(name, operation, result, state)


def _list(name: str, operation: Operation, result: Mapping[str, Any], state: IosState) -> Change:
    family = LISTS[operation.kind]
    versions = state.versions(operation.name, family)
    before = {str(live): tuple(lines) for live, lines in (result.get("lists") or {}).items()}
    if not before and operation.before is not None:
        before = _found_out(operation, versions, state)
    if {live: state.lists[live] for live in versions} == before:
        return Change(disarm=state.applets)
    allowed = [str(body["content"]) for body in (operation.before, operation.after) if body is not None]
    strange = [
        live
        for live in versions
        if state.lists[live] != before.get(live) and not any(same(state.lists[live], content) for content in allowed)
    ]
    typed = [*allowed, *(list_text(live, lines, family) for live, lines in before.items())]
    strange = [live for live in strange if not _half_typed(live, typed, state)]
    if strange:
        raise FindingError(change_codes.UNDO_REFUSED.at(f"{name}: list {', '.join(strange)} was changed by someone"))
    places = sorted({place for live in versions for place in state.attached(live)})
    main = next(iter(before), "")
    if not main:
        if places:
            used = ", ".join(shown_place(place) for place in places)
            raise FindingError(codes.IN_USE.at(f"{name}: list {operation.name} is attached to {used}"))
        removes = tuple(live for live in versions if ours(live))
        return Change(removes=removes, disarm=state.applets, six=frozenset(removes) & state.six)
    builds = []
    for live, lines in before.items():
        if state.lists.get(live) == lines:
            continue
        if state.attached(live):
            raise FindingError(change_codes.UNDO_REFUSED.at(f"{name}: list {live} is in force with other lines"))
        text = list_text(live, lines, family)
        builds.append(Build(live, typed_lines(text), text, live in state.lists))
    recorded = dict(_recorded(item) for item in result.get("places") or ())
    swaps = [
        Swap(place, state.groups[place], recorded.get(place, main))
        for place in places
        if state.groups[place] != recorded.get(place, main)
    ]
    removes = tuple(live for live in versions if live not in before)
    old = {swap.old: state.lists[swap.old] for swap in swaps if swap.old in state.lists}
    return Change(tuple(builds), tuple(swaps), removes, state.applets, old=old, six=frozenset(removes) & state.six)


def _found_out(operation: Operation, versions: Sequence[str], state: IosState) -> dict[str, tuple[str, ...]]:
    """Return what stood before a step whose run did not tell: what of it is there still, else what the plan read of it."""
    if there := before_step(operation, versions, state):
        return {live: state.lists[live] for live in there}
    family = LISTS[operation.kind]
    used = {*state.groups.values(), *state.elsewhere, *(name for name in state.lists if state.family(name) != family)}
    name = former_name(operation.name, versions[0] if versions else "", used)
    return {name: typed_lines(str((operation.before or {})["content"]))}


def _half_typed(live: str, texts: Sequence[str], state: IosState) -> bool:
    """Return whether a version of ours, in force nowhere, is what a run that ended in the middle of typing left of one of the texts."""
    if state.attached(live) or not ours(live):
        return False
    family = state.family(live)

    def alike(entries: Sequence[str], wanted: Sequence[str]) -> bool:
        return same(entries, list_text("live", wanted, family))

    entries = ace_lines(state.text(live))
    return any(half_typed(entries, ace_lines(text), alike) for text in texts)


def _recorded(item: Sequence[Any]) -> tuple[Place, str]:
    """Return a place and the list that it had; a journal from before IPv6 lists names no family."""
    family = int(item[2]) if len(item) > 3 else 4
    return (str(item[0]), str(item[1]), family), str(item[-1])


def _attachment(name: str, operation: Operation, result: Mapping[str, Any], state: IosState) -> Change:
    body = operation.after or operation.before or {}
    place = place_of(operation.kind, body)
    live = state.groups.get(place, "")
    before = str((operation.before or {}).get("live", ""))
    missing = bool(result.get("missing"))  # it stood so before: a name without a list, or without a line
    if before and before not in state.lists and ours(before) and not missing:
        # A rename by a later, already undone or skipped step: any version of the same list means the same.
        before = next(iter(state.versions(base_name(before), place[2])), before)
    if live == before:
        return Change(disarm=state.applets)
    after = str((operation.after or {}).get("access_list", ""))
    # What somebody detached since is theirs, as what they attached.
    if base_name(live) != after:
        raise FindingError(change_codes.UNDO_REFUSED.at(f"{name}: {shown_place(place)} holds {live or 'nothing'}"))
    if missing:
        return Change(swaps=(Swap(place, live, before),), disarm=state.applets, bare=frozenset({before}))
    if before and before not in state.lists:
        raise FindingError(codes.MISSING_REFERENCE.at(f"{name}: list {before} does not exist"))
    return Change(swaps=(Swap(place, live, before),), disarm=state.applets)
