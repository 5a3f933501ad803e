# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sessions that carry an old list after a change: which they are, and their re-authentication in batches where it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.carriers import CURRENT, OLD, Carrier
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import Journal, known_entries
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.lock import TargetLocks
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.reauth import (
    Held,
    Pace,
    Reauthentication,
    reauthenticate,
    unfinished,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.enforced import EnforcedState, Reader, worst
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_sessions import request_reauthentication

# The options of every step that may ask sessions to authenticate again, as actions specify them.
REAUTHENTICATION: dict[str, dict[str, Any]] = {
    "reauthenticate": {"type": "bool", "default": False},
    "reauth_batch": {"type": "int", "default": 5},
    "reauth_pause": {"type": "float", "default": 30.0},
    "reauth_settle": {"type": "float", "default": 60.0},
    "reauth_hold": {"type": "list", "elements": "str"},
    "reauth_hold_criticality": {"type": "list", "elements": "str"},
}


def pace_of(values: Mapping[str, Any]) -> Pace:
    """Return how fast sessions are to be re-authenticated, by a step's arguments."""
    return Pace(int(values["reauth_batch"]), float(values["reauth_pause"]), float(values["reauth_settle"]))


def run_reauthentication(
    reader: Reader,
    state: EnforcedState,
    journal: Journal,
    values: Mapping[str, Any],
    plan_id: str,
    closed: Callable[[], list[Finding]] | None = None,
    way_back: bool = False,
) -> Reauthentication:
    """Re-authenticate the sessions that carry an old list, as the arguments of apply say, and return what was done.

    ``way_back``: devices that an earlier batch left unwell do not hold up the others, which may be cut off by the same list.
    """
    known = worst(state.carriers)
    stale = [item for item in known.values() if item.state == OLD]
    targets = reader.ise_targets()

    def ask(item: Carrier) -> bool:
        return request_reauthentication(targets[item.wanted.target].client, item.node, item.mac)

    def look(batch: Sequence[Carrier]) -> Mapping[str, Carrier]:
        switches = {item.switch for item in batch if item.shown_by == "switch"}
        now = reader.read({item.mac for item in batch}, switches)
        return _newer(worst(now.carriers), {item.mac: item for item in batch})

    begun = {} if way_back else unfinished(reader.journal_entries)
    # Another controller must not save the lists again while sessions take them. Nothing to do takes no lock.
    asked = {item.wanted.target for item in stale} if stale or begun else set()
    locks = TargetLocks(
        {name: targets[name] for name in asked}, f"re-authentication after {plan_id[:12]}", not way_back
    )

    def shut() -> list[Finding]:
        return locks.lost() or (closed() if closed is not None else [])

    with locks:
        done = reauthenticate(
            stale,
            ask,
            look,
            journal,
            pace_of(values),
            held=Held.of(values.get("reauth_hold") or (), values.get("reauth_hold_criticality") or ()),
            begun=begun,
            known=tuple(known.values()),
            plan_id=plan_id,
            closed=shut,
            sleep=reader.sleep,
        )
    return replace(done, findings=(*done.findings, *locks.findings()))


def _newer(now: Mapping[str, Carrier], before: Mapping[str, Carrier]) -> Mapping[str, Carrier]:
    """Return what was read; a device that only ISE tells about, with the revision from before, still has the old list."""
    return {
        mac: replace(item, state=OLD, reason="still the list from before")
        if item.state == CURRENT and item.revision is not None and item.revision == before[mac].revision
        else item
        for mac, item in now.items()
    }


@dataclass(frozen=True)
class After:
    """What apply found about sessions after its last write, and what it re-authenticated."""

    state: EnforcedState | None = None
    done: Reauthentication | None = None
    moved: Mapping[str, Any] = field(default_factory=dict)  # of devices that were moved: who has followed
    more: tuple[Finding, ...] = ()
    not_back: tuple[Finding, ...] = ()  # that sessions carry a list which a rollback took back

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Return the findings of all of it."""
        seen = [finding for finding in (self.state.findings if self.state else ()) if not self._told(finding)]
        return (*self.not_back, *seen, *(self.done.findings if self.done else ()), *self.more)

    def _told(self, finding: Finding) -> bool:
        return bool(self.not_back) and finding.code == codes.SESSIONS_OLD.number

    @property
    def changed(self) -> bool:
        """Return whether a session was re-authenticated."""
        return bool(self.done and (self.done.done or self.done.failed))

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for a result; nothing where sessions were not looked at."""
        if self.state is None:
            return {}
        made = {"enforced": self.state.as_dict(), "reauthentication": self.done.as_dict() if self.done else {}}
        return made | ({"moved": dict(self.moved)} if self.moved else {})


def sessions_after(
    reader: Reader,
    journal: Journal,
    values: Mapping[str, Any],
    plan_id: str,
    closed: Callable[[], list[Finding]] | None = None,
    way_back: bool = False,
) -> After:
    """Return which sessions carry what after an apply; with ``reauthenticate``, re-authenticate those with an old list before."""
    reader.journal_entries = known_entries(journal.path)
    state = reader.read_patiently()
    if not values.get("reauthenticate"):
        return After(state)
    done = run_reauthentication(reader, state, journal, values, plan_id, closed, way_back)
    return After(reader.read_patiently() if done.batches else state, done)


def after_sentence(made: Mapping[str, Any]) -> str:
    """Return what to add to the sentence of apply."""
    counts, done = made["enforced"]["sessions"], made.get("reauthentication") or {}
    parts = []
    if done:
        parts.append(f"{len(done['done'])} sessions were re-authenticated")
        parts += [f"{len(done['held'])} are held"] if done["held"] else []
        parts += [f"{len(done['failed'])} are not well"] if done["failed"] else []
    if counts.get(OLD):
        parts.append(f"{counts[OLD]} sessions carry an old list")
    return "".join(f"; {part}" for part in parts)
