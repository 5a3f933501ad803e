# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a segment or a cell may go from one stage to the next, and what stands behind each answer. Pure.

Monitoring differs by kind of point (design rule 9): a cell of the matrix has counters, a list on a port has none on most hardware.
A stage is never skipped. Going back needs no reason (design rule 11). Rings ask the same gate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.clock import iso
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.carriers import APPROVED, CURRENT, Carrier
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.counting import CellHistory, Delta

STAGES = ("observe", "monitor", "enforce")
PROVED, SEEN, COUNTED, NOT_COVERED = "proved", "seen", "counted", "not covered"
BEHIND = {
    "sgacl": "packets counted by switches for each cell in MONITOR, and replay of recorded traffic",
    "dacl": "replay of recorded traffic, deny logs and watching flows; switches count nothing for a list that permits",
    "port_acl": "replay of recorded traffic, deny logs and watching flows; most hardware counts nothing for a list that permits",
    "router_acl": "replay of recorded traffic, deny logs and watching flows; most hardware counts nothing for a list that permits",
    "firewall": "replay of recorded traffic and the firewall's own deny log",
}


@dataclass(frozen=True)
class GateSettings:
    """What a site asks for: days without a packet that would have been denied, and the longest time between two readings, in hours.

    ``column_denies``: Monitor columns count only what would have been denied. ``device_share``: share of a segment's devices that must
    have been seen in recorded traffic, 0 to 1.
    """

    clean_days: float = 14.0
    reading_hours: float = 26.0
    column_denies: bool = False
    device_share: float = 0.8


@dataclass(frozen=True)
class Check:
    """One answer of the gate. ``reach`` says what it rests on: proved, counted, seen or not covered."""

    check: str
    ok: bool
    text: str
    reach: str

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for a result."""
        return {"check": self.check, "ok": self.ok, "text": self.text, "reach": self.reach}


@dataclass(frozen=True)
class Cell:
    """A cell that the promotion would enforce: names of segments, and tags."""

    source: str
    destination: str
    pair: tuple[int, int]
    text: str = ""

    @property
    def name(self) -> str:
        """Return the cell as people say it."""
        return f"{self.source} to {self.destination}"


@dataclass(frozen=True)
class ReplayView:
    """What a replay of the stage wanted says about one segment: days, conversations, and what would be cut without doubt."""

    conversations: int
    days: int
    cuts: tuple[str, ...] = ()
    devices: int = 0
    devices_seen: int = 0


@dataclass(frozen=True)
class SwitchesView:
    """Whether the switches of a segment's devices are ready (docs/devices-readiness.md): what stands against it, and those not asked."""

    asked: tuple[str, ...] = ()
    against: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True)
class Evidence:
    """What is known for one segment. ``histories`` by tags of a cell; ``carriers`` of its downloadable ACLs; None where not read."""

    cells: tuple[Cell, ...] = ()
    histories: Mapping[tuple[int, int], CellHistory] = field(default_factory=dict, hash=False)
    replay: ReplayView | None = None
    carriers: tuple[Carrier, ...] | None = None
    held: Mapping[tuple[int, int], str] | None = field(default=None, hash=False)
    rules: Mapping[tuple[int, int], str] = field(default_factory=dict, hash=False)
    switches: SwitchesView | None = None


@dataclass(frozen=True)
class Promotion:
    """The gate's answer for one segment, or for one ``cell`` by source and destination; then ``segment`` is empty."""

    segment: str
    before: str
    after: str
    checks: tuple[Check, ...]
    behind: tuple[str, ...] = ()
    cell: tuple[str, str] | None = None

    @property
    def ok(self) -> bool:
        """Return whether every check holds."""
        return all(check.ok for check in self.checks)

    @property
    def name(self) -> str:
        """Return what it is about, as people say it."""
        return self.segment if self.cell is None else f"cell {self.cell[0]} to {self.cell[1]}"

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for a result."""
        return {
            "segment": self.segment,
            **({} if self.cell is None else {"cell": {"source": self.cell[0], "destination": self.cell[1]}}),
            "from": self.before,
            "to": self.after,
            "ok": self.ok,
            "checks": [check.as_dict() for check in self.checks],
            "behind": list(self.behind),
        }


def next_stage(stage: str) -> str:
    """Return the stage after one, the last one itself; ValueError for an unknown word."""
    return STAGES[min(STAGES.index(stage) + 1, len(STAGES) - 1)]


def gate(
    segment: str,
    before: str,
    after: str,
    kinds: Sequence[str],
    evidence: Evidence,
    settings: GateSettings,
    now: datetime,
) -> Promotion:
    """Return whether a segment may go from a stage to another, with every reason. ``kinds`` are those of its enforcement points."""
    behind = tuple(f"{kind}: {BEHIND[kind]}" for kind in sorted(set(kinds)) if kind in BEHIND)
    steps = STAGES.index(after) - STAGES.index(before)
    if steps <= 0:
        text = "going back is always allowed" if steps else f"{segment} is at {after} already"
        return Promotion(segment, before, after, (Check("stage", True, text, PROVED),), behind)
    checks = [Check("stage", steps == 1, f"{before} to {after}" + ("" if steps == 1 else " skips a stage"), PROVED)]
    if after == "enforce":
        for cell in evidence.cells:
            history = evidence.histories.get(cell.pair)
            checks.append(counter_check(cell, history, settings, now, evidence.rules.get(cell.pair, "")))
        checks += _held_checks(evidence)
        checks += _session_checks(evidence)
        checks += _switch_checks(evidence.switches)
        checks += _replay_checks(evidence.replay, settings)
    return Promotion(segment, before, after, tuple(checks), behind)


def gate_cell(
    cell: Cell,
    before: str,
    after: str,
    observed: Sequence[str],
    evidence: Evidence,
    settings: GateSettings,
    now: datetime,
) -> Promotion:
    """Return whether one cell may go from a stage to another, whatever its segments do, with every reason.

    ``observed`` names the segments of the cell that are at stage observe: their devices carry no tag. ``evidence`` is the cell's own.
    """
    made = gate(cell.name, before, after, ("sgacl",), evidence, settings, now)
    checks = made.checks
    if STAGES.index(after) > STAGES.index(before):
        text = (
            f"{' and '.join(observed)} is only observed: nothing is written for it" if observed else "both are written"
        )
        checks = (checks[0], Check("segments of the cell", not observed, text, PROVED), *checks[1:])
    return replace(made, segment="", checks=checks, cell=(cell.source, cell.destination))


def counter_check(
    cell: Cell, history: CellHistory | None, settings: GateSettings, now: datetime, rule: str = ""
) -> Check:
    """Return what the counters of one cell say; ``rule`` is what the policy would need where the list denies too much."""
    name = f"counters of {cell.name}"
    if history is None or not history.readings:
        return Check(
            name, False, "no switch has counted this cell; collect counters while it is in MONITOR", NOT_COVERED
        )
    if history.clean_since is None or history.last is None:
        return Check(name, False, "one reading only; the next one tells what was counted between", NOT_COVERED)
    days = (now - history.clean_since).total_seconds() / 86_400
    clean = f"clean since {iso(history.clean_since)} ({days:.1f} of {settings.clean_days:g} days) on {', '.join(history.switches)}"
    if history.hits and days < settings.clean_days:
        return Check(name, False, f"{_hit(history.hits[0])}; {clean}" + (f"; {rule}" if rule else ""), COUNTED)
    if days < settings.clean_days:
        return Check(name, False, clean, COUNTED)
    longest = timedelta(hours=settings.reading_hours)
    if history.longest_gap > longest or now - history.last > longest:
        gap = max(history.longest_gap, now - history.last).total_seconds() / 3600
        text = f"{clean}, but {gap:.0f} hours lie between two readings, {settings.reading_hours:g} are allowed"
        return Check(name, False, text, COUNTED)
    more = f"; counters began anew {history.resets} times" if history.resets else ""
    return Check(name, True, f"{clean}, {history.packets} packets counted{more}", COUNTED)


def _hit(item: Delta) -> str:
    entries = ", ".join(
        f"{count} on {text!r}" for text, count in item.by_entry if "deny" in text.partition(": ")[2][:4]
    )
    parts = []
    if item.would_deny:
        parts.append(f"{item.would_deny} packets would have been denied" + (f" ({entries})" if entries else ""))
    if item.unaccounted:
        parts.append(f"{item.unaccounted} packets that no entry counted may have been")
    if item.denied:
        parts.append(f"{item.denied} packets were denied although the cell is monitored")
    return f"{item.switch} between {iso(item.begin)} and {iso(item.end)}: {'; '.join(parts)}"


def _held_checks(evidence: Evidence) -> list[Check]:
    if not evidence.cells:
        return []
    if evidence.held is None:
        return [Check("cells on switches", False, "no switch was asked what it holds", NOT_COVERED)]
    checks = []
    for cell in evidence.cells:
        fault = evidence.held.get(cell.pair, "no switch that was asked holds it")
        text = fault or "every switch that has it holds the approved one"
        reach = PROVED if cell.pair in evidence.held else NOT_COVERED
        checks.append(Check(f"cell {cell.name} on switches", not fault, text, reach))
    return checks


def _session_checks(evidence: Evidence) -> list[Check]:
    if evidence.carriers is None:
        return []
    good = [item for item in evidence.carriers if item.state in (APPROVED, CURRENT)]
    bad = [item for item in evidence.carriers if item.state not in (APPROVED, CURRENT, "absent")]
    proved = sum(item.state == APPROVED for item in good)
    text = f"{len(good)} sessions carry the approved list, {proved} of them shown by their switch"
    if bad:
        named = ", ".join(f"{item.device or item.mac} ({item.state})" for item in bad[:5])
        return [Check("sessions", False, f"{text}; {len(bad)} do not: {named}", PROVED)]
    return [Check("sessions", bool(good), text, PROVED if good and proved == len(good) else SEEN)]


def _switch_checks(switches: SwitchesView | None) -> list[Check]:
    """Return whether the switches are ready; a switch that nobody asked says neither yes nor no."""
    if switches is None:
        return []
    if switches.against:
        more = f" and {len(switches.against) - 3} more" if len(switches.against) > 3 else ""
        return [Check("switches are ready", False, "; ".join(switches.against[:3]) + more, SEEN)]
    if switches.unknown:
        text = f"no facts of {', '.join(switches.unknown[:5])}: collect device facts to know"
        return [Check("switches are ready", True, text, NOT_COVERED)]
    return [Check("switches are ready", True, f"{', '.join(switches.asked[:5])}: nothing is missing", SEEN)]


def _replay_checks(replay: ReplayView | None, settings: GateSettings) -> list[Check]:
    if replay is None or not replay.days:
        return [Check("replay", False, "no traffic is recorded", NOT_COVERED)]
    reach = f"{replay.conversations} recorded conversations of {replay.days} days"
    cuts = f"{len(replay.cuts)} would be cut: {'; '.join(replay.cuts[:3])}" if replay.cuts else "none would be cut"
    share = replay.devices_seen / replay.devices if replay.devices else 0.0
    return [
        Check("replay", not replay.cuts, f"{reach}: {cuts}", SEEN),
        Check(
            "completeness",
            share >= settings.device_share,
            f"{replay.devices_seen} of {replay.devices} devices were seen, {settings.device_share:.0%} are asked for",
            SEEN,
        ),
    ]
