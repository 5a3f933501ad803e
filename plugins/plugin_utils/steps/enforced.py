# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What sessions and switches enforce of what ISE holds: read for verify, apply and promote."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.carriers import (
    APPROVED,
    OLD,
    Carrier,
    IseSession,
    SwitchView,
    Wanted,
    as_last_seen,
    carrier_findings,
    judge,
    last_changes,
    newest,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.held_cells import (
    ApprovedCell,
    approved_cells,
    held_cells,
    not_looked_at,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import known_entries
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Target
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import Compiled
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps import codes as step_codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.connections import platform_of, target_specs
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.fleet import run_hosts
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.paths import Paths
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes as target_codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_enforced import Enforced, read_switches
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise import IseTarget
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_sessions import read_sessions
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.spec import TargetSpec

MOST_TIMES, MOST_PAUSE = 20, 60.0  # readings again, seconds
WORST_FIRST = ("absent", "unauthorized", "missing", "differs", "old", "unread", "current", "approved")
Sleep = Callable[[float], None]
# What a switch may only not have taken over yet: cells, and a list of a session.
_LATE = frozenset((codes.CELL_DIFFERS.number, codes.SESSION_DIFFERS.number))


@dataclass(frozen=True)
class EnforcedState:
    """What was read. ``cells``: one row for each approved cell and switch; ``switches``: the names of those that answered."""

    carriers: tuple[Carrier, ...] = ()
    cells: tuple[dict[str, Any], ...] = ()
    switches: tuple[Enforced, ...] = ()
    findings: tuple[Finding, ...] = ()
    now: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for a result: counts by state, every session that is not as approved, and the cells that differ."""
        states: dict[str, int] = {}
        for item in self.carriers:
            states[item.state] = states.get(item.state, 0) + 1
        return {
            "sessions": dict(sorted(states.items())),
            "sessions_not_approved": [item.as_dict(self.now) for item in self.carriers if item.state != APPROVED],
            "cells_on_switches": len(self.cells),
            "cells_differing": [row for row in self.cells if not row["equal"]],
            "switches_asked": sorted(item.view.switch for item in self.switches),
        }


@dataclass(frozen=True)
class Patience:
    """How often, at most, switches are read again where one differs, and how many seconds apart.

    A switch takes some moments from what ISE reports of its download to its own show commands.
    """

    times: int = 3
    pause: float = 2.0


@dataclass
class Reader:
    """Reads for one run. ``specs`` are the switches of the play; ``targets`` are connected."""

    site: Site
    compiled: Compiled
    targets: Mapping[str, Target]
    specs: Sequence[TargetSpec]
    journal_entries: Sequence[Mapping[str, Any]] = ()
    notes: tuple[Finding, ...] = ()
    clock: Callable[[], float] = time.time
    sleep: Sleep = time.sleep
    with_cells: bool = True
    patience: Patience = Patience()
    _wanted: list[Wanted] | None = None
    _devices: Mapping[tuple[str, str], Collection[str]] = field(default_factory=dict)

    def ise_targets(self) -> dict[str, IseTarget]:
        """Return the targets that are an ISE."""
        return {name: target for name, target in self.targets.items() if isinstance(target, IseTarget)}

    def wanted(self) -> list[Wanted]:
        """Return the downloadable ACLs of the policy whose ISE is connected."""
        if self._wanted is None:
            changes = last_changes(self.journal_entries)
            texts = {
                (target.host, item.name): str(item.body["content"])
                for target in self.compiled.targets
                for item in target.objects
                if item.kind == "downloadable_acl"
            }
            self._wanted = [
                Wanted(
                    listing.host,
                    listing.name,
                    listing.family,
                    texts[listing.host, listing.name],
                    listing.segment,
                    self.site.segments[listing.segment].criticality,
                    changes.get((listing.host, listing.name), (0.0, ""))[0],
                )
                for listing in self.compiled.lists
                if listing.kind == "dacl"
                and listing.host in self.ise_targets()
                and (listing.host, listing.name) in texts
            ]
        return self._wanted

    def only(
        self, names: Collection[tuple[str, str]], devices: Mapping[tuple[str, str], Collection[str]] | None = None
    ) -> None:
        """Judge these lists, by (target, name), and no others, nor cells; those in ``devices`` on these devices (MAC) only."""
        self.with_cells = False
        self._devices = dict(devices or {})
        self._wanted = [
            item
            for item in self.wanted()
            if (item.target, item.name) in names or (item.target, item.name) in self._devices
        ]

    def _judges(self, item: Wanted, mac: str) -> bool:
        """Return whether a list is judged on a device."""
        chosen = self._devices.get((item.target, item.name))
        return chosen is None or mac in chosen

    def want_back(self, before: Mapping[tuple[str, str], str]) -> None:
        """Judge by these texts, by (target, list), and by no other list: what a rollback restored."""
        self._wanted = [
            replace(item, content=before[item.target, item.name])
            for item in self.wanted()
            if (item.target, item.name) in before
        ]

    def devices(self, segment: str) -> dict[str, str]:
        """Return the names of a segment's devices by MAC."""
        return {item.device: item.name or item.device for item in self.site.members.get(segment, ())}

    def cells(self) -> dict[tuple[int, int], ApprovedCell]:
        """Return the approved cells of the ISEs that are connected."""
        return approved_cells(item for item in self.compiled.targets if item.host in self.ise_targets())

    def read(self, macs: Collection[str] | None = None, switches: Collection[str] | None = None) -> EnforcedState:
        """Return what is enforced; of these devices and switches only, without cells, where they are given."""
        wanted = self.wanted()
        approved = self.cells() if macs is None and self.with_cells else {}
        specs = [spec for spec in self.specs if switches is None or spec.name in switches]
        seen: list[Enforced] = []
        found: list[Finding] = []
        if specs and (wanted or approved):
            seen, found = read_switches(specs, {item.name for item in wanted}, set(approved))
        rows, more = held_cells(approved, {item.view.switch: item.cells for item in seen})
        carriers, more_notes = self._carriers(wanted, [item.view for item in seen], macs)
        now = self.clock()
        findings = [*self.notes, *found, *more, *more_notes, *carrier_findings(carriers, now)]
        return EnforcedState(tuple(carriers), tuple(rows), tuple(seen), tuple(findings), now)

    def read_patiently(self) -> EnforcedState:
        """Return what is enforced, read again where a switch differs: it may be about to take over a push.

        That it was read again, and what differed at first, is a finding of its own; what differs at the last look stays an error,
        and so does what no later look could read.
        """
        begun, times = self.read(), 0
        state, first = begun, _differing(begun)
        while times < self.patience.times and _differing(state):
            self.sleep(self.patience.pause)
            state, times = _with_unseen(state, self.read(), {finding.message for finding in begun.findings}), times + 1
        if not times:
            return state
        left = len(_differing(state))
        now = f"{left} still differ" if left else "all agree now"
        shown = "; ".join(first[:5]) + (f" and {len(first) - 5} more" if len(first) > 5 else "")
        text = f"{times} times, {self.patience.pause:g} s apart: {len(first)} differed at first ({shown}), {now}"
        return replace(state, findings=(*state.findings, target_codes.READ_AGAIN.at(text)))

    def _carriers(
        self, wanted: Sequence[Wanted], views: Sequence[SwitchView], macs: Collection[str] | None
    ) -> tuple[list[Carrier], list[Finding]]:
        views_of = {mac: view for view in views for mac in view.sessions}
        carriers: list[Carrier] = []
        findings: list[Finding] = []
        for name, target in self.ise_targets().items():
            mine = [item for item in wanted if item.target == name]
            devices = {
                mac
                for item in mine
                for mac in self.devices(item.segment)
                if (macs is None or mac in macs) and self._judges(item, mac)
            }
            if not devices:
                continue
            try:
                sessions, notes = self._sessions(target, devices, views_of)
                findings += notes
            except FindingError as error:
                findings += [finding.with_severity("warning") for finding in error.findings]
                sessions = {mac: IseSession(mac, unread=True) for mac in devices}
            shown = [view.sessions[mac] for mac, view in views_of.items()]
            for item in newest(mine, [*sessions.values(), *shown]):
                for mac, device in sorted(self.devices(item.segment).items()):
                    if mac in devices and self._judges(item, mac):
                        carriers.append(self._judged(item, mac, sessions.get(mac), views_of.get(mac), device))
        return carriers, findings

    def _sessions(
        self, target: IseTarget, devices: Collection[str], views_of: Mapping[str, SwitchView]
    ) -> tuple[dict[str, IseSession], list[Finding]]:
        """Return what ISE says of devices; in detail of those that no switch shows."""
        return read_sessions(target.client, devices, set(devices) - set(views_of))

    def _judged(
        self, item: Wanted, mac: str, session: IseSession | None, view: SwitchView | None, device: str
    ) -> Carrier:
        return judge(item, mac, session, view, device)


def _differing(state: EnforcedState) -> list[str]:
    """Return what switches show otherwise than approved, as far as a later look can find it otherwise."""
    return [finding.message for finding in state.findings if finding.code in _LATE]


def _with_unseen(before: EnforcedState, after: EnforcedState, told: Collection[str]) -> EnforcedState:
    """Return a later look with what differed before and what it could not look at: a lost connection mends nothing.

    ``told`` are the messages of the first look: what a switch never shows is no reason to take nothing from it.
    """
    read = {item.view.switch for item in after.switches if all(finding.message in told for finding in item.findings)}
    rows, findings = not_looked_at(before.cells, after.cells, read)
    carriers = as_last_seen(before.carriers, after.carriers, {item.view.switch for item in after.switches})
    kept = [item for item, now in zip(carriers, after.carriers, strict=True) if item is not now]
    findings += [finding for finding in carrier_findings(kept, after.now) if finding.code in _LATE]
    return replace(after, carriers=tuple(carriers), cells=(*after.cells, *rows), findings=(*after.findings, *findings))


def patience_of(values: Mapping[str, Any]) -> Patience:
    """Return how often and how far apart switches are read again; FindingError SW4601 for values outside their range."""
    patience = Patience(int(values.get("reread", Patience.times)), float(values.get("reread_pause", Patience.pause)))
    if not 0 <= patience.times <= MOST_TIMES:
        raise FindingError(step_codes.BAD_ARGUMENT.at(f"reread: {patience.times} is not between 0 and {MOST_TIMES}"))
    if not 0 <= patience.pause <= MOST_PAUSE:  # also what is no number
        raise FindingError(
            step_codes.BAD_ARGUMENT.at(f"reread_pause: {patience.pause} is not between 0 and {MOST_PAUSE:g}")
        )
    return patience


def reader_of(
    values: Mapping[str, Any],
    variables: Mapping[str, Any],
    site: Site,
    compiled: Compiled,
    targets: Mapping[str, Target],
    paths: Paths,
) -> Reader:
    """Return a reader for a step's arguments; the switches are the IOS-XE hosts of the play."""
    specs, notes = switch_specs(values, variables)
    entries = known_entries(paths.journal)
    patience = patience_of(values)
    return Reader(site, compiled, targets, specs, entries, tuple(notes), patience=patience)


def switch_specs(values: Mapping[str, Any], variables: Mapping[str, Any]) -> tuple[list[TargetSpec], list[Finding]]:
    """Return how to reach the IOS-XE hosts of the play, and a finding for each whose connection is not described well."""
    hostvars = variables.get("hostvars") or {}
    hosts = [host for host in run_hosts(values, variables) if platform_of(hostvars[host]) == "ios"]
    specs: list[TargetSpec] = []
    notes: list[Finding] = []
    for host in hosts:
        try:
            specs += [TargetSpec.of(spec) for spec in target_specs(hostvars, [host])]
        except FindingError as error:
            notes.append(codes.SWITCH_UNREAD.at(f"{host}: {error.findings[0].message}"))
    return specs, notes


def worst(carriers: Sequence[Carrier]) -> dict[str, Carrier]:
    """Return one carrier for each device by MAC: the one furthest from what is approved."""
    found: dict[str, Carrier] = {}
    for item in sorted(carriers, key=lambda each: -WORST_FIRST.index(each.state)):
        found[item.mac] = item
    return found


def enforced_summary(state: EnforcedState) -> str:
    """Return what to add to a step's sentence about sessions and cells; empty where nothing was read."""
    parts = []
    if state.carriers:
        good = sum(item.state == APPROVED for item in state.carriers)
        parts.append(f"{good} of {len(state.carriers)} sessions were shown by their switch to carry the approved list")
        old = sum(item.state == OLD for item in state.carriers)
        if old:
            parts.append(f"{old} carry an old one")
    if state.cells:
        equal = sum(bool(row["equal"]) for row in state.cells)
        parts.append(f"{equal} of {len(state.cells)} cells read from switches equal the approved ones")
    return "".join(f"; {part}" for part in parts)


# The options of every step that compares what switches show with what is approved, as actions specify them.
REREADING: dict[str, dict[str, Any]] = {
    "reread": {"type": "int", "default": Patience.times},
    "reread_pause": {"type": "float", "default": Patience.pause},
}
