# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a step changed on a Nexus switch taken back: lines, numbers, remarks, names and attachments from before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes as change_codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Operation
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nxos_claim import Claim, seconds_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nxos_config import (
    NxosState,
    base_name,
    list_text,
    ours,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nxos_diff import place_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nxos_link import Link
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nxos_work import (
    Work,
    found_out,
    left_half_typed,
    same_meaning,
    shown_text,
)


class Undo:
    """The way back of single steps, by what the journal says of them."""

    def __init__(self, link: Link, work: Work, claim: Claim) -> None:
        self._link, self._work, self._claim = link, work, claim

    def _held(self, operation: Operation, state: NxosState) -> NxosState:
        """Hold our claim, and return what is there then; Outdone where another run is at work."""
        state, told = self._claim.hold(state, seconds_of(operation, self._link.spec))
        self._work.told += told
        return state

    def _before(
        self, operation: Operation, result: Mapping[str, Any], state: NxosState
    ) -> tuple[list[str], dict[str, str]]:
        """Return the versions of a step's list that are there, and those that were before it with their texts."""
        versions = state.versions(operation.name)
        before = {
            str(name): list_text(str(name), tuple(lines[1:]), int(lines[0]))
            for name, lines in (result.get("lists") or {}).items()
        }
        if not before and operation.before is not None:
            before = found_out(operation, versions, state)
        return versions, before

    def undo_list(self, operation: Operation, result: Mapping[str, Any]) -> bool:
        """Bring back the versions from before with their numbers and remarks, attached where they were; remove the one that came."""
        state = self._link.state_to_write()
        versions, before = self._before(operation, result, state)
        if {version: shown_text(state, version) for version in versions} == before:
            return False
        state = self._held(operation, state)
        versions, before = self._before(operation, result, state)
        allowed = [str(body["content"]) for body in (operation.before, operation.after) if body is not None]
        strange = [
            version for version in versions if not any(same_meaning(state, version, content) for content in allowed)
        ]
        strange = [version for version in strange if not left_half_typed(version, [*allowed, *before.values()], state)]
        if strange:
            raise FindingError(
                change_codes.UNDO_REFUSED.at(f"{self._link.name}: list {', '.join(strange)} was changed by someone")
            )
        places = sorted({place for version in versions for place in state.attached(version)})
        main = next(iter(before), "")
        if not main:
            if places:
                shown = ", ".join(place[0] for place in places)
                raise FindingError(codes.IN_USE.at(f"{self._link.name}: list {operation.name} is attached to {shown}"))
            self._work.remove(versions)
            return True
        for version, text in before.items():
            if version in state.lists and shown_text(state, version) == text:
                continue
            if state.attached(version):
                raise FindingError(
                    change_codes.UNDO_REFUSED.at(f"{self._link.name}: list {version} is in force with other lines")
                )
            self._work.build(version, text, state, in_force=", ".join(versions))
        recorded = {tuple(map(str, item[:3])): str(item[3]) for item in result.get("places") or ()}
        for version, text in before.items():
            mine = [
                place for place in places if recorded.get(place, main) == version and state.groups[place] != version
            ]
            if mine:
                self._work.ask(text, mine, state)
                self._work.swap(version, text, mine, state)
        self._work.remove([version for version in versions if version not in before])
        return True

    def undo_attachment(self, operation: Operation, result: Mapping[str, Any]) -> bool:
        place = place_of(operation.after or operation.before or {})
        state = self._link.state_to_write()
        if state.groups.get(place, "") == _live_before(operation, result, state):
            return False
        state = self._held(operation, state)
        live, before = state.groups.get(place, ""), _live_before(operation, result, state)
        if live == before:
            return False
        after = str((operation.after or {}).get("access_list", ""))
        if base_name(live) != after:  # what somebody detached since is theirs, as what they attached
            raise FindingError(change_codes.UNDO_REFUSED.at(f"{self._link.name}: {place[0]} {place[1]} holds {live}"))
        if result.get("missing"):  # it stood so before: a name without a list
            self._link.session().change([f"interface {place[0]}", f"{place[2]} {before} {place[1]}"])
            return True
        if before and before not in state.lists:
            raise FindingError(codes.MISSING_REFERENCE.at(f"{self._link.name}: list {before} does not exist"))
        if before:
            self._work.swap(before, shown_text(state, before), [place], state)
        else:
            self._link.session().change([f"interface {place[0]}", f"no {place[2]} {live} {place[1]}"])
        return True


def _live_before(operation: Operation, result: Mapping[str, Any], state: NxosState) -> str:
    """Return the name of the list that stood at a place before the step; what stands for it now where a later step renamed it."""
    before = str((operation.before or {}).get("live", ""))
    if before and before not in state.lists and ours(before) and not result.get("missing"):
        # A rename by a later, already undone or skipped step: any version of the same list means the same.
        before = next(iter(state.versions(base_name(before))), before)
    return before
