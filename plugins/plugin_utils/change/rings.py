# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rings: which step of a plan goes with which part of the rollout, and how far a rollout is, as the journal has it. Pure.

What is in force nowhere yet goes with the first ring that needs it; a step that changes what passes goes with the last ring of all the
segments it touches, so that no segment is changed before its turn. What no ring names goes last, as ``rest``. Where rings name devices,
ports or places, each device and port that a step reaches is asked for instead (``ring_places``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.clock import moment_of_text
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Operation
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.moved_sessions import Moved, moved_by
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.pending import PUSH, PUSHED_KINDS
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import Plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.ring_places import SHARED_KIND, Reach, Unit
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.naming import group_name, owned_name
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Ring, Site

REST = "rest"
WAITING, RUNNING, SOAKING, DONE, FAILED, UNDONE = "waiting", "running", "soaking", "done", "failed", "rolled back"
Key = tuple[str, str]  # target and id of a step


@dataclass(frozen=True)
class Part:
    """One ring of a plan: its steps in the order of execution, and how long it is watched afterwards, in minutes.

    ``shared``: steps of an earlier ring on lists whose sessions this ring takes over; they go back with it. ``sessions``: (target,
    list, MACs) of shared lists whose sessions may be re-authenticated with it, its own and those of rings before it.
    ``moved``: (target, segment, MACs) whose sessions its steps move to what the segment gets.
    ``waited``: what goes with it although an earlier ring names some of whom it reaches; ``beyond``: whom
    its steps may reach besides, in sentences.
    """

    id: str
    steps: tuple[Key, ...]
    hold_minutes: int = 0
    shared: tuple[Key, ...] = ()
    sessions: tuple[tuple[str, str, tuple[str, ...]], ...] = ()
    moved: tuple[Moved, ...] = ()
    waited: tuple[str, ...] = ()
    beyond: tuple[str, ...] = ()

    @property
    def back(self) -> frozenset[Key]:
        """Return the steps that go back with the ring."""
        return frozenset((*self.steps, *self.shared))


@dataclass(frozen=True)
class Progress:
    """How far a ring is. ``ended``, ``until``: when its steps were done and its soak ends (UTC), None unless it soaks or is done.

    ``touched``: some step of it is in force, or may be. ``first``: when the first of its steps or shared lists was written.
    """

    part: Part
    state: str
    began: datetime | None = None
    ended: datetime | None = None
    until: datetime | None = None
    touched: bool = False
    first: datetime | None = None


@dataclass
class _Ran:
    began: datetime | None = None
    ended: tuple[str, datetime] | None = None
    back: bool = False  # undone since; the next run begins anew


def parts_of_plan(plan: Plan, site: Site, lists: Sequence[PointList]) -> tuple[Part, ...]:
    """Return the rings of a plan that have steps or sessions, in order, the rest last; one ring ``rest`` where the site has none."""
    placed: dict[int, list[Key]] = {}
    pushes: list[tuple[str, Operation]] = []
    pushed: dict[str, set[int]] = {}
    segments = Segments(site, lists)
    reach = Reach(site, plan.steps(), {(item.host, item.name): item.interfaces for item in lists if item.interfaces})
    for _target, step in plan.steps():
        if step.kind == "endpoint" and step.before:
            reach.still_in(segments.by_name.get(str(step.before.get("group")), ""), step.name)
    told = _Told()
    for target, step in plan.steps():
        if step.action == PUSH:
            pushes.append((target, step))
            continue
        touched = segments.of(target, step)
        if reach.limited:
            place = _place_by_reach(reach, target, step, touched, told)
        else:
            place = _place(site.rings, target, step, touched)
        placed.setdefault(place, []).append((target, step.id))
        if step.kind in PUSHED_KINDS:
            pushed.setdefault(target, set()).add(place)
    order = {(target, step.id): number for number, (target, step) in enumerate(plan.steps())}
    for target, step in pushes:
        # Each ring pushes what it changed; where nothing of the plan is pushed, an earlier run owes it.
        for place in pushed.get(target) or {0}:
            placed.setdefault(place, []).append((target, step.id))
    moved = moved_by(site, plan.steps(), {key: place for place, keys in placed.items() for key in keys})
    made = []
    for place in sorted(placed.keys() | told.shared.keys()):
        ring = site.rings[place] if place < len(site.rings) else None
        steps = tuple(sorted(placed.get(place, ()), key=order.__getitem__))
        part = Part(ring.id if ring else REST, steps, ring.hold_minutes if ring else 0, moved=moved.get(place, ()))
        made.append(told.completed(part, place))
    return tuple(made)


@dataclass
class _Told:
    """What is to be said of the rings of a plan, by the number of the ring."""

    shared: dict[int, list[Key]] = field(default_factory=dict)
    sessions: dict[int, list[tuple[str, str, tuple[str, ...]]]] = field(default_factory=dict)
    waited: dict[int, list[str]] = field(default_factory=dict)
    beyond: dict[int, list[str]] = field(default_factory=dict)

    def completed(self, part: Part, place: int) -> Part:
        return replace(
            part,
            shared=tuple(self.shared.get(place, ())),
            sessions=tuple(self.sessions.get(place, ())),
            waited=tuple(self.waited.get(place, ())),
            beyond=tuple(self.beyond.get(place, ())),
        )


def _place_by_reach(reach: Reach, target: str, step: Operation, segments: frozenset[str], told: _Told) -> int:
    """Return the number of a step's ring by each device and port that it reaches, and note what a ring must be told of."""
    counts = reach.counts(target, step, segments)
    nobody = not counts
    if nobody:
        counts = reach.of_whole(target, segments)
    if not counts:  # all of them, or not known: with the first ring of everything
        here = (n for n, limit in enumerate(reach.limits) if not limit.targets or target in limit.targets)
        return next((n for n in here if not reach.limits[n].segments and not reach.limits[n].limited), reach.rest)
    first, last = min(counts), max(counts)
    if first == last or (step.effect == "none" and step.after is not None) or nobody:
        return first
    rings = reach.site.rings
    sharing = [n for n in sorted(counts) if n < reach.rest and rings[n].shared_lists]
    shared = step.kind == SHARED_KIND and step.before is not None and step.after is not None and bool(sharing)
    place = sharing[0] if shared else last
    if shared:
        places = {unit: reach.place(target, unit) for unit in reach.units(target, step, segments)}
        _share(target, step, places, place, told)
    early = sorted(n for n in counts if n < place and reach.limits[n].limited)
    if early:
        behind = sum(counts[n] for n in early)
        names = ", ".join(rings[n].id for n in early)
        text = f"{step.kind} {step.name} on {target} is one for {counts.total()} devices and ports; {behind} of {names} wait for it"
        told.waited.setdefault(place, []).append(text)
    return place


def _share(target: str, step: Operation, places: Mapping[Unit, int], first: int, told: _Told) -> None:
    """Note a downloadable list that is written with one ring and taken over session by session with the others."""
    key = (target, step.id)
    later = [unit for unit, number in places.items() if number > first]
    if later:
        names = ", ".join(unit.shown for unit in later[:5]) + (f" and {len(later) - 5} more" if later[5:] else "")
        told.beyond.setdefault(first, []).append(
            f"{step.kind} {step.name} on {target}: {len(later)} devices of later rings ({names}) take it as well if they"
            " authenticate by themselves"
        )
    for number in sorted({max(first, number) for number in places.values()}):
        mine = tuple(sorted(unit.device for unit, n in places.items() if unit.device and n <= number))
        told.sessions.setdefault(number, []).append((target, step.name, mine))
        if number != first:
            told.shared.setdefault(number, []).append(key)


def ring_findings(parts: Iterable[Part]) -> list[Finding]:
    """Return what to say of rings before anything is written: where a step cannot be limited to what a ring names."""
    findings = []
    for part in parts:
        findings += [codes.RING_WAITS.at(f"ring {part.id}: {text}") for text in part.waited]
        findings += [codes.RING_BEYOND.at(f"ring {part.id}: {text}") for text in part.beyond]
    return findings


def progress_of(parts: Iterable[Part], entries: Iterable[Mapping[str, object]], plan_id: str) -> tuple[Progress, ...]:
    """Return how far each ring of a plan is: what began, what was completed, and what was undone since."""
    parts = tuple(parts)
    backs = [(part.id, part.back) for part in parts]
    runs: dict[str, _Ran] = {part.id: _Ran() for part in parts}
    undone: set[Key] = set()
    touched: dict[Key, datetime] = {}
    current, whole = "", _Ran()
    for entry in entries:
        if entry.get("plan_id") != plan_id:
            continue
        event, moment = entry["event"], moment_of_text(str(entry["time"]))
        if event == "plan_started":
            current = str(entry.get("ring") or "")
            run = runs.setdefault(current, _Ran()) if current else whole
            runs_on = run.began if current and not run.back else None
            run.began, run.ended, run.back = runs_on or moment, None, False
        elif event in ENDED and current:
            runs[current].ended = (str(event), moment)
        elif event == "plan_done":
            # A plan carried out as a whole did what its rings had not done yet.
            for part in parts:
                run = runs[part.id]
                if run.back or run.ended is None or run.ended[0] not in COMPLETE:
                    runs[part.id] = _Ran(whole.began if run.back else run.began or whole.began, (str(event), moment))
        elif event == "operation_started":
            touched.setdefault((str(entry["target"]), str(entry["operation"]["id"])), moment)  # type: ignore[index]
        elif event == "operation_done":
            undone.discard((str(entry["target"]), str(entry["operation_id"])))
        elif event == "undo_done":
            key = (str(entry["target"]), str(entry["operation_id"]))
            undone.add(key)
            touched.pop(key, None)
            for name, back in backs:
                runs[name].back |= key in back
    return tuple(_progress(part, runs[part.id], bool(undone & part.back), touched) for part in parts)


ENDED = ("plan_done", "ring_done", "plan_failed")
COMPLETE = ("plan_done", "ring_done")


def _progress(part: Part, run: _Ran, undone: bool, touched: Mapping[Key, datetime]) -> Progress:
    event, moment = run.ended or ("", None)
    back = part.back  # a set that is made anew each time
    until = moment + timedelta(minutes=part.hold_minutes) if moment else None
    if undone:
        state = UNDONE
    elif run.began is None:
        state = WAITING
    elif event in COMPLETE:
        state = SOAKING if part.hold_minutes else DONE
    else:
        state = FAILED if event else RUNNING
    whole = state in (SOAKING, DONE)
    changed = bool(touched.keys() & set(part.steps)) or (run.began is not None and bool(touched.keys() & back))
    first = min((when for key, when in touched.items() if key in back), default=None)
    return Progress(part, state, run.began, moment if whole else None, until if whole else None, changed, first)


def _begun(entries: Iterable[Mapping[str, object]], plan_id: str) -> dict[str, tuple[dict[Key, None], dict[Key, None]]]:
    """Return for each ring of a plan the steps that were begun and the lists that it shares, by the journal."""
    found: dict[str, tuple[dict[Key, None], dict[Key, None]]] = {}
    current = ""
    for entry in entries:
        if entry.get("plan_id") != plan_id:
            continue
        if entry["event"] == "plan_started":
            current = str(entry.get("ring") or "")
            if current and entry.get("shares"):
                found.setdefault(current, ({}, {}))[1].update(_shares(entry))
        elif entry["event"] == "operation_started" and current:
            key = str(entry["target"]), str(entry["operation"]["id"])  # type: ignore[index]
            found.setdefault(current, ({}, {}))[0][key] = None
    return found


def earlier_ring(entries: Sequence[Mapping[str, object]], plan_id: str, site: Site) -> tuple[str, str, Progress] | None:
    """Return plan, commit and progress of the ring carried out last, where another plan did it and this one has not begun since.

    A plan made anew does not end the watch over what was changed before it.
    """
    last = next(
        (
            e
            for e in reversed(entries)
            if e["event"] == "plan_started" and not e.get("emergency") and (e.get("ring") or e["plan_id"] == plan_id)
        ),
        None,
    )
    if last is None or last["plan_id"] == plan_id:
        return None
    name, other = str(last["ring"]), str(last["plan_id"])
    steps, shared = _begun(entries, other).get(name, ({}, {}))
    hold = next((ring.hold_minutes for ring in site.rings if ring.id == name), 0)
    part = Part(name, tuple(steps), hold, tuple(shared))
    return other, str(last.get("policy_commit", "")), progress_of((part,), entries, other)[0]


def _shares(entry: Mapping[str, object]) -> dict[Key, None]:
    """Return the steps of earlier rings on lists whose sessions a ring took over, by its begin in the journal."""
    found = entry.get("shares")
    return {(str(host), str(step)): None for host, step in found} if isinstance(found, list) else {}


def rollout_under_way(entries: Sequence[Mapping[str, object]]) -> tuple[str, str]:
    """Return plan and commit of the rollout that was carried out last, ring by ring; ("", "") where the last change was none.

    A rollback of the whole plan ends it. A posture that is pulled meanwhile does not.
    """
    found = ("", "")
    for entry in entries:
        if (
            entry["event"] == "plan_started"
            and not entry.get("emergency")
            and (entry.get("ring") or entry.get("steps"))
        ):
            found = (str(entry["plan_id"]), str(entry.get("policy_commit", ""))) if entry.get("ring") else ("", "")
        elif entry["event"] == "rollback_started" and not entry.get("partial") and entry.get("plan_id") == found[0]:
            found = ("", "")
    return found


def _place(rings: Sequence[Ring], target: str, step: Operation, segments: frozenset[str]) -> int:
    """Return the number of a step's ring; one past the last where no ring names all that it touches."""
    rest = len(rings)
    here = [number for number, ring in enumerate(rings) if not ring.targets or target in ring.targets]
    if not segments:
        return next((number for number in here if not rings[number].segments), rest)
    places = [
        next((n for n in here if not rings[n].segments or segment in rings[n].segments), rest) for segment in segments
    ]
    return min(places) if step.effect == "none" and step.after is not None else max(places)


class Segments:
    """Which segments a step touches."""

    def __init__(self, site: Site, lists: Sequence[PointList]) -> None:
        self.by_name = {made: name for name in site.segments for made in (owned_name(name), group_name(site, name))}
        self.by_list: dict[Key, frozenset[str]] = {}
        for listing in lists:
            found = frozenset(name for name in (listing.segment, listing.peer) if name)
            self.by_list[listing.host, listing.name] = found
            if listing.kind == "sgacl":
                self.by_list[listing.host, listing.cell] = found

    def of(self, target: str, step: Operation) -> frozenset[str]:
        """Return them; empty where it is all of them, or not known."""
        body = step.after or step.before or {}
        # What binds devices of ISE (rules, static assignments, mappings) names its segment; a device that moves has two.
        bound = {
            self.by_name.get(str(name))
            for each in (step.before or {}, step.after or {})
            for name in (each.get("group"), each.get("sgt"))
        } - {None}
        if bound:
            return frozenset(name for name in bound if name)
        rule = step.name.partition("@")[0] if step.kind == "authorization_rule" else step.name
        names = [rule, str(body.get("access_list", "")), str(body.get("dacl_name", ""))]
        for name in names:
            if self.by_list.get((target, name)):
                return self.by_list[target, name]
        for name in names:
            if name in self.by_name:
                return frozenset((self.by_name[name],))
        ends = [self.by_name.get(str(body.get(end, ""))) for end in ("source", "destination")]
        return frozenset(end for end in ends if end) if all(ends) else frozenset()


@dataclass(frozen=True)
class Turn:
    """What a rollout may do now: go on with ``part``, or nothing, for the reason that ``findings`` give."""

    part: Part | None
    findings: tuple[Finding, ...] = ()


def next_turn(progress: Sequence[Progress], now: datetime) -> Turn:
    """Return which ring's turn it is at a moment (with a time zone): the first that is not complete, once all before it have soaked."""
    for item in progress:
        if item.state == UNDONE:
            return Turn(None, (codes.RING_UNDONE.at(f"ring {item.part.id}"),))
    for item in progress:
        if item.state not in (SOAKING, DONE):
            return Turn(item.part)
        if item.until is not None and item.until > now:
            left = int((item.until - now).total_seconds() // 60) + 1
            text = f"ring {item.part.id} is watched until {item.until:%Y-%m-%d %H:%M} UTC, {left} minutes more"
            return Turn(None, (codes.RING_SOAKS.at(text),))
    return Turn(None)


def rings_after(
    entries: Sequence[Mapping[str, object]], plan_id: str, taken: Collection[Key] = frozenset()
) -> list[dict[str, str]]:
    """Return each ring of a plan that was begun, by the journal, as ``plan_id``, ``ring``, ``state``; with the steps ``taken`` back."""
    begun = _begun(entries, plan_id)
    parts = [Part(name, tuple(steps), 0, tuple(shared)) for name, (steps, shared) in begun.items()]
    return [
        {
            "plan_id": plan_id,
            "ring": item.part.id,
            "state": UNDONE if set(taken) & item.part.back else item.state,
        }
        for item in progress_of(parts, entries, plan_id)
    ]
