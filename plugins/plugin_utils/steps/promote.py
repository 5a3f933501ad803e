# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Promote: whether segments and cells may go to their next stage, on what grounds, and the change of policy that would do it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.clock import utc_now
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import read_text, write_atomic, write_json
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError, errors_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.git import run_git
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.counting import (
    CellHistory,
    append_readings,
    cell_history,
    read_readings,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.promotion import (
    STAGES,
    Cell,
    Evidence,
    GateSettings,
    Promotion,
    ReplayView,
    SwitchesView,
    gate,
    gate_cell,
    next_stage,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.stages import (
    patch,
    with_cell_stages,
    with_ends_of,
    with_stages,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.compile import compile_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import Compiled, PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.naming import cell_name
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.noise import limits_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.cells import (
    Pair,
    matrices_of,
    own_stages,
    stage_of_cell,
    stage_of_segments,
    with_cells_at,
    with_segments_at,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.effective import effective_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.history import SeenConversation, address_text
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.replay import CutConversation, Replay, replay
from ansible_collections.segwright.microseg.plugins.plugin_utils.report.promotion import promote_markdown
from ansible_collections.segwright.microseg.plugins.plugin_utils.report.results import result
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps import codes as step_codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.arguments import (
    commit_name,
    moment_of,
    paths_of,
    today_of,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.capacity import figures_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.enforced import EnforcedState, reader_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.fleet import connected, hosts_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.history import recorded_history
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.paths import Paths
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.pulled import postures_of, shouted
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.readiness import Readied, segment_readiness
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.site import SoundSite, sound_site

DOCUMENT = "enforcement.yml"
SECOND_US = 1_000_000


@dataclass(frozen=True)
class _Trial:
    """The site as it would be after every change asked for, and what recorded traffic would meet there."""

    site: Site
    compiled: Compiled
    replay: Replay
    history: Sequence[SeenConversation]


def run_promote(values: dict[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
    """Return the gate's answers and the patch; with ``write`` the policy document is changed. Writes to no target."""
    paths = paths_of(values)
    sound = sound_site(paths, today_of(values), moment_of(values), postures=postures_of(values, paths))
    wanted, wanted_cells = _wanted(sound.site, values)
    now = utc_now() if not values.get("today") else moment_of(values)
    with connected(values, variables, hosts_of(sound.compiled.targets)) as targets:
        reader = reader_of(values, variables, sound.in_force, sound.compiled, targets, paths)
        state = reader.read()
    counts = [count for item in state.switches for count in item.counts]
    kept = 0 if values["check_mode"] else append_readings(paths.counters, counts, now)
    judge = _Judge(values, paths, sound, state, now)
    promotions = [*judge.segments(wanted), *judge.cells(wanted_cells)]
    return _answer(values, paths, sound, promotions, state, kept)


def _wanted(site: Site, values: Mapping[str, Any]) -> tuple[dict[str, str], dict[Pair, str]]:
    """Return the stage that each segment shall have, and each cell.

    Where none is named: all segments that are not at the last stage, and all cells that have a stage of their own before it.
    """
    named = [str(name) for name in values.get("segments") or ()]
    unknown = [name for name in named if name not in site.assignments]
    if unknown:
        raise FindingError(*(codes.NOT_ASSIGNED.at(f"segment {name[:60]}") for name in unknown))
    pairs = [(str(item["source"]), str(item["destination"])) for item in values.get("cells") or ()]
    if absent := [pair for pair in pairs if not matrices_of(site, pair)]:
        raise FindingError(*(codes.CELL_NOT_FOUND.at(f"cell {a[:60]} to {b[:60]}") for a, b in absent))
    stage = str(values.get("stage") or "")
    if stage and stage not in STAGES:
        raise FindingError(step_codes.BAD_ARGUMENT.at(f"stage {stage[:20]!r} is not one of {', '.join(STAGES)}"))
    if stage and not named and not pairs:
        text = "stage without segments or cells: name those that shall go there"
        raise FindingError(step_codes.BAD_ARGUMENT.at(text))
    if not named and not pairs:
        named = [name for name, item in sorted(site.assignments.items()) if item.stage != STAGES[-1]]
        pairs = [pair for pair in sorted(own_stages(site)) if stage_of_cell(site, pair) != STAGES[-1]]
    return (
        {name: stage or next_stage(site.assignments[name].stage) for name in named},
        {pair: stage or next_stage(stage_of_cell(site, pair)) for pair in pairs},
    )


@dataclass
class _Judge:
    """What the gate is asked with: one trial with the segments that rise, and one with the cells, each as if the others stayed."""

    values: Mapping[str, Any]
    paths: Paths
    sound: SoundSite
    state: EnforcedState
    now: datetime

    @cached_property
    def settings(self) -> GateSettings:
        """What the site asks for."""
        return _settings(self.sound.site)

    @cached_property
    def history(self) -> Sequence[SeenConversation]:
        """Recorded traffic."""
        limits, days = limits_of(self.sound.site.learning), self.values.get("window_days")
        return recorded_history(self.paths.data, days, engine=self.values.get("engine") or "", limits=limits)

    def segments(self, wanted: Mapping[str, str]) -> list[Promotion]:
        """Return the gate's answer for each segment. Cells with a stage of their own stay what they are."""
        site = self.sound.site
        stages = {name: site.assignments[name].stage for name in wanted}
        rising = {name: to for name, to in wanted.items() if STAGES.index(to) > STAGES.index(stages[name])}
        trial = self._trial(with_segments_at(site, rising)) if rising else None
        cells = _cells(self.sound.compiled.lists, trial.compiled.lists, site) if trial else {}
        histories = _histories(self.paths, self.settings, {cell.pair for cell in cells.values()}, self.now)
        ready = segment_readiness(self.paths, site, rising)
        found = []
        for name, stage in wanted.items():
            kinds = [site.points[point].kind for point in site.assignments[name].points if point in site.points]
            evidence = _evidence(name, trial, cells, histories, self.state, kinds) if trial else Evidence()
            if name in ready:
                evidence = replace(evidence, switches=_switches_view(ready[name]))
            found.append(gate(name, stages[name], stage, kinds, evidence, self.settings, self.now))
        return found

    def cells(self, wanted: Mapping[Pair, str]) -> list[Promotion]:
        """Return the gate's answer for each cell. Segments stay what they are."""
        site = self.sound.site
        stages = {pair: stage_of_cell(site, pair) for pair in wanted}
        rising = {pair: to for pair, to in wanted.items() if STAGES.index(to) > STAGES.index(stages[pair])}
        enforced = {pair for pair, to in rising.items() if to == STAGES[-1]}
        trial = self._trial(with_cells_at(site, rising)) if enforced else None
        tags = {pair: (site.segments[pair[0]].sgt or 0, site.segments[pair[1]].sgt or 0) for pair in wanted}
        histories = _histories(self.paths, self.settings, {tags[pair] for pair in enforced}, self.now)
        ready = segment_readiness(self.paths, site, sorted({name for pair in enforced for name in pair}))
        found = []
        for pair, stage in wanted.items():
            cell = Cell(*pair, tags[pair])
            evidence = Evidence()
            if trial is not None and pair in enforced:
                views = [_switches_view(ready[name]) for name in dict.fromkeys(pair) if name in ready]
                evidence = replace(_cell_evidence(cell, trial, histories, self.state), switches=_together(views))
            observed = [name for name in dict.fromkeys(pair) if site.assignments[name].stage == STAGES[0]]
            found.append(gate_cell(cell, stages[pair], stage, observed, evidence, self.settings, self.now))
        return found

    def _trial(self, site: Site) -> _Trial:
        """Return a site compiled, and what it does to recorded traffic; FindingError where it does not compile."""
        tried = effective_site(site)
        compiled = compile_site(tried, measured=figures_of(self.paths, tried).measured)
        if errors := errors_of(compiled.findings):
            raise FindingError(*errors)
        return _Trial(tried, compiled, replay(tried, compiled.lists, self.history), self.history)


def _settings(site: Site) -> GateSettings:
    given = site.promotion
    return GateSettings(
        float(given.get("clean_days", GateSettings.clean_days)),
        float(given.get("reading_hours", GateSettings.reading_hours)),
        given.get("monitor_column", "all") == "denied",
        float(site.learning.get("minimum_device_share", GateSettings.device_share)),
    )


def _cells(before: Sequence[PointList], after: Sequence[PointList], site: Site) -> dict[tuple[str, str], Cell]:
    """Return the cells that the change would enforce, by names of segments."""
    enforced = {(item.segment, item.peer) for item in before if item.kind == "sgacl" and item.stage == "enforce"}
    found = {}
    for item in after:
        ends = (item.segment, item.peer)
        tags = tuple(site.segments[name].sgt or 0 for name in ends) if item.kind == "sgacl" else ()
        if item.kind == "sgacl" and item.stage == "enforce" and ends not in enforced:
            found[ends] = Cell(*ends, (tags[0], tags[1]))
    return found


def _histories(
    paths: Paths, settings: GateSettings, pairs: Collection[tuple[int, int]], now: datetime
) -> dict[tuple[int, int], CellHistory]:
    if not pairs:
        return {}
    since = (now - timedelta(days=2 * settings.clean_days + 2)).astimezone(UTC).date()
    readings = read_readings(paths.counters, since)
    return {pair: cell_history(readings, pair, settings.column_denies) for pair in pairs}


def _switches_view(ready: Readied) -> SwitchesView:
    return SwitchesView(ready.switches, tuple(str(each) for each in ready.against), ready.unknown)


def _evidence(
    segment: str,
    trial: _Trial,
    cells: Mapping[tuple[str, str], Cell],
    histories: Mapping[tuple[int, int], CellHistory],
    state: EnforcedState,
    kinds: Sequence[str],
) -> Evidence:
    mine = tuple(cell for ends, cell in sorted(cells.items()) if segment in ends)
    carriers = tuple(item for item in state.carriers if item.wanted.segment == segment)
    return Evidence(
        mine,
        histories,
        _replay_view(segment, trial),
        carriers if "dacl" in kinds else None,
        _held(mine, state, trial.site) if state.switches else None,
        {cell.pair: _probable(cell, trial.replay.cut) for cell in mine},
    )


def _cell_evidence(
    cell: Cell, trial: _Trial, histories: Mapping[tuple[int, int], CellHistory], state: EnforcedState
) -> Evidence:
    """Return what is known for one cell: its counters, switches, and recorded traffic between its segments, both ways."""
    return Evidence(
        (cell,),
        histories,
        _cell_replay_view(cell, trial),
        None,
        _held((cell,), state, trial.site) if state.switches else None,
        {cell.pair: _probable(cell, trial.replay.cut)},
    )


def _together(views: Sequence[SwitchesView]) -> SwitchesView | None:
    """Return what stands against any of several; None where nobody was asked."""
    if not views:
        return None
    parts = zip(*((view.asked, view.against, view.unknown) for view in views), strict=True)
    return SwitchesView(*(tuple(dict.fromkeys(text for each in part for text in each)) for part in parts))


def _held(cells: Sequence[Cell], state: EnforcedState, site: Site) -> dict[tuple[int, int], str]:
    """Return what is wrong with each cell on the switches, empty where it is as approved on all that hold it.

    What a switch holds that gave no answer is not known, so no cell counts as approved then.
    """
    asked = {item.view.switch for item in state.switches}
    silent = (item.message for item in state.findings if item.code == codes.SWITCH_UNREAD.number)
    unread = next((text for text in silent if text.split(":", maxsplit=1)[0] not in asked), "")
    held = {cell.pair: unread for cell in cells} if unread else {}
    names = {cell_name(site, cell.source, cell.destination): cell.pair for cell in cells}
    for row in state.cells:
        pair = names.get(str(row["cell"]))
        if pair is not None:
            fault = f"{row['switch']}: {row['difference']}" if row["difference"] else ""
            held[pair] = held.get(pair) or fault
    return held


def _replay_view(segment: str, trial: _Trial) -> ReplayView:
    made = trial.replay
    cuts = tuple(
        _said(item) for item in made.legitimate_cuts() if segment in (item.client_segment, item.server_segment)
    )
    members = trial.site.members.get(segment, ())
    own = {address for item in members for address in item.addresses}
    seen: set[str] = set()
    conversations = 0
    for item in trial.history:
        ends = {address_text(item.family, item.client), address_text(item.family, item.server)} & own
        conversations += bool(ends)
        seen |= ends
    days = -(-(made.last_us - made.first_us) // (86_400 * SECOND_US)) if made.recorded else 0
    share = sum(bool(seen & set(item.addresses)) for item in members)
    return ReplayView(conversations, max(days, 1 if made.recorded else 0), cuts, len(members), share)


def _cell_replay_view(cell: Cell, trial: _Trial) -> ReplayView:
    """Return what recorded traffic between the segments of a cell says, whichever of them opened it: its list holds the answers too."""
    made = trial.replay
    ends = {(cell.source, cell.destination), (cell.destination, cell.source)}
    cuts = tuple(_said(item) for item in made.legitimate_cuts() if (item.client_segment, item.server_segment) in ends)
    own = {name: trial.site.members.get(name, ()) for name in (cell.source, cell.destination)}
    addresses = {name: {text for item in found for text in item.addresses} for name, found in own.items()}
    seen: set[str] = set()
    conversations = 0
    for item in trial.history:
        one, two = address_text(item.family, item.client), address_text(item.family, item.server)
        conversations += any(one in addresses[a] and two in addresses[b] for a, b in ends)
        seen |= {one, two}
    members = [item for found in own.values() for item in found]
    days = -(-(made.last_us - made.first_us) // (86_400 * SECOND_US)) if made.recorded else 0
    share = sum(bool(seen & set(item.addresses)) for item in members)
    return ReplayView(conversations, max(days, 1 if made.recorded else 0), cuts, len(members), share)


def _said(item: CutConversation) -> str:
    row = item.as_dict()
    return f"{item.client} to {item.server} {row['protocol']}/{row['port']} ({row['flows']} flows)"


def _probable(cell: Cell, cuts: Sequence[CutConversation]) -> str:
    """Return the rule that is probably missing for packets that a cell would deny: by recorded traffic that no rule permits."""
    mine = [item for item in cuts if (item.client_segment, item.server_segment) == (cell.source, cell.destination)]
    if mine:
        services = ", ".join(sorted({f"{item.as_dict()['protocol']}/{item.as_dict()['port']}" for item in mine})[:5])
        return f"probably a rule is missing in {cell.source}: to {cell.destination} for {services}, which was recorded"
    back = [item for item in cuts if (item.server_segment, item.client_segment) == (cell.source, cell.destination)]
    if back:
        services = ", ".join(sorted({f"{item.as_dict()['protocol']}/{item.as_dict()['port']}" for item in back})[:5])
        return f"probably replies: a rule is missing in {cell.destination} to {cell.source} for {services}, which was recorded"
    return f"no recorded traffic explains them: look for what {cell.source} sends to {cell.destination}, or write a rule for it"


def _answer(
    values: Mapping[str, Any],
    paths: Paths,
    sound: SoundSite,
    promotions: Sequence[Promotion],
    state: EnforcedState,
    kept: int,
) -> dict[str, Any]:
    site = sound.site
    granted = [item for item in promotions if item.ok and item.after != item.before]
    before = read_text(paths.policy / DOCUMENT)
    stages, cells = _changes(site, granted)
    after = with_stages(before, site.assignments, stages) if stages else before
    after = with_cell_stages(after, site.cells, cells, DOCUMENT) if cells else after
    before, after = with_ends_of((paths.policy / DOCUMENT).read_bytes(), before, after)
    text = patch(before, after, f"{_prefix(paths)}{DOCUMENT}")
    findings: list[Finding] = [finding for finding in state.findings if finding.severity != "error"]
    named = values.get("segments") or values.get("cells")
    for item in promotions:
        if not item.ok:
            reasons = "; ".join(f"{check.check}: {check.text}" for check in item.checks if not check.ok)
            found = codes.PROMOTION_REFUSED.at(f"{item.name}, {item.before} to {item.after}: {reasons}")
            findings.append(found if named else found.with_severity("info"))
        elif item in granted:
            findings.append(codes.PROMOTED.at(f"{item.name}: {item.before} to {item.after}"))
    for pair in sorted(cells.keys() - {item.cell for item in granted}):
        text_of_cell = f"cell {pair[0]} to {pair[1]} goes back with its segment and loses its entry"
        findings.append(codes.PROMOTED.at(text_of_cell))
    written = bool(values.get("write") and text and not values["check_mode"])
    if written:
        write_atomic(paths.policy / DOCUMENT, after)
    made = result(
        "promote",
        [*shouted(paths, sound.site), *findings, *sound.findings],
        commit_name(paths.policy),
        promotions=[item.as_dict() for item in promotions],
        patch=text,
        written=written,
        readings=kept,
        enforced=state.as_dict(),
    )
    made["summary"] = (
        f"{len(granted)} of {len(promotions)} {_counted(promotions)} may change their stage; {kept} counters were read"
        + (f"; {DOCUMENT} was changed, review and commit it" if written else "")
    )
    if not values["check_mode"]:
        write_json(paths.output / "promote.json", made)
        write_atomic(paths.output / "promote.md", promote_markdown(made))
        write_atomic(paths.output / "promote.patch", text)
    answer: dict[str, Any] = {
        "changed": bool(values.get("write") and text),
        "promotions": made["promotions"],
        "patch": text,
        "summary": made["summary"],
    }
    if values["diff_mode"]:
        answer["diff"] = {"prepared": text}
    if not made["ok"]:
        first = made["errors"][0]
        answer |= {
            "failed": True,
            "msg": f"{first['code']} {first['message']} [{first['hint']}]",
            "errors": made["errors"],
        }
    return answer


def _changes(site: Site, granted: Sequence[Promotion]) -> tuple[dict[str, str], dict[Pair, str]]:
    """Return the new stages of segments, and of cells' entries in the document; "" where an entry goes.

    A cell that has arrived where its segments are needs no entry. Where a segment goes back, no cell of it stays ahead.
    """
    stages = {item.segment: item.after for item in granted if item.cell is None}
    back = {name for name, to in stages.items() if STAGES.index(to) < STAGES.index(site.assignments[name].stage)}
    cells: dict[Pair, str] = {}
    for cell in site.cells:
        if any(name in back and STAGES.index(cell.stage) > STAGES.index(stages[name]) for name in cell.pair):
            cells[cell.pair] = ""
    then = with_segments_at(site, stages)
    for item in granted:
        if item.cell is not None:
            cells[item.cell] = "" if item.after == stage_of_segments(then, item.cell) else item.after
    return stages, cells


def _counted(promotions: Sequence[Promotion]) -> str:
    kinds = {"segments" if item.cell is None else "cells" for item in promotions} or {"segments"}
    return " and ".join(sorted(kinds, reverse=True))


def _prefix(paths: Paths) -> str:
    """Return where the policy directory lies in its repository, with a slash at the end; empty where it is the whole of it."""
    done = run_git(paths.policy, ["rev-parse", "--show-prefix"], codes.GIT_FAILED)
    return done.stdout.strip() if done.returncode == 0 else ""
