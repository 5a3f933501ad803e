# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Promote: whether segments may go to their next stage, on what grounds, and the change of policy that would do it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
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
    next_stage,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.stages import patch, with_stages
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.compile import compile_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import Compiled, PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.naming import cell_name
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.noise import limits_of
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
    wanted = _wanted(sound.site, values)
    now = utc_now() if not values.get("today") else moment_of(values)
    with connected(values, variables, hosts_of(sound.compiled.targets)) as targets:
        reader = reader_of(values, variables, sound.in_force, sound.compiled, targets, paths)
        state = reader.read()
    counts = [count for item in state.switches for count in item.counts]
    kept = 0 if values["check_mode"] else append_readings(paths.counters, counts, now)
    promotions = _judge(values, paths, sound, state, wanted, now)
    return _answer(values, paths, sound, promotions, state, kept)


def _wanted(site: Site, values: Mapping[str, Any]) -> dict[str, str]:
    """Return the stage that each segment shall have; all that are not at the last stage where none is named."""
    named = [str(name) for name in values.get("segments") or ()]
    unknown = [name for name in named if name not in site.assignments]
    if unknown:
        raise FindingError(*(codes.NOT_ASSIGNED.at(f"segment {name[:60]}") for name in unknown))
    stage = str(values.get("stage") or "")
    if stage and stage not in STAGES:
        raise FindingError(step_codes.BAD_ARGUMENT.at(f"stage {stage[:20]!r} is not one of {', '.join(STAGES)}"))
    if stage and not named:
        raise FindingError(step_codes.BAD_ARGUMENT.at("stage without segments: name those that shall go there"))
    chosen = named or [name for name, item in sorted(site.assignments.items()) if item.stage != STAGES[-1]]
    return {name: stage or next_stage(site.assignments[name].stage) for name in chosen}


def _judge(
    values: Mapping[str, Any],
    paths: Paths,
    sound: SoundSite,
    state: EnforcedState,
    wanted: Mapping[str, str],
    now: datetime,
) -> list[Promotion]:
    site = sound.site
    settings = _settings(site)
    rising = {
        name: stage
        for name, stage in wanted.items()
        if STAGES.index(stage) > STAGES.index(site.assignments[name].stage)
    }
    trial = _trial(values, paths, site, rising) if rising else None
    cells = _cells(sound.compiled.lists, trial.compiled.lists, site) if trial else {}
    histories = _histories(paths, settings, {cell.pair for cell in cells.values()}, now)
    ready = segment_readiness(paths, site, rising)
    found = []
    for name, stage in wanted.items():
        kinds = [site.points[point].kind for point in site.assignments[name].points if point in site.points]
        evidence = _evidence(name, trial, cells, histories, state, kinds) if trial else Evidence()
        if name in ready:
            evidence = replace(evidence, switches=_switches_view(ready[name]))
        found.append(gate(name, site.assignments[name].stage, stage, kinds, evidence, settings, now))
    return found


def _settings(site: Site) -> GateSettings:
    given = site.promotion
    return GateSettings(
        float(given.get("clean_days", GateSettings.clean_days)),
        float(given.get("reading_hours", GateSettings.reading_hours)),
        given.get("monitor_column", "all") == "denied",
        float(site.learning.get("minimum_device_share", GateSettings.device_share)),
    )


def _trial(values: Mapping[str, Any], paths: Paths, site: Site, rising: Mapping[str, str]) -> _Trial:
    """Return the site with the stages asked for, compiled, and what it does to recorded traffic; FindingError where it does not compile."""
    assignments = {
        name: replace(item, stage=rising[name]) if name in rising else item for name, item in site.assignments.items()
    }
    tried = effective_site(replace(site, assignments=assignments))
    compiled = compile_site(tried, measured=figures_of(paths, tried).measured)
    if errors := errors_of(compiled.findings):
        raise FindingError(*errors)
    history = recorded_history(
        paths.data, values.get("window_days"), engine=values.get("engine") or "", limits=limits_of(site.learning)
    )
    return _Trial(tried, compiled, replay(tried, compiled.lists, history), history)


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
    granted = {item.segment: item.after for item in promotions if item.ok and item.after != item.before}
    before = read_text(paths.policy / DOCUMENT)
    after = with_stages(before, site.assignments, granted) if granted else before
    text = patch(before, after, f"{_prefix(paths)}{DOCUMENT}")
    findings: list[Finding] = [finding for finding in state.findings if finding.severity != "error"]
    for item in promotions:
        if not item.ok:
            reasons = "; ".join(f"{check.check}: {check.text}" for check in item.checks if not check.ok)
            found = codes.PROMOTION_REFUSED.at(f"{item.segment}, {item.before} to {item.after}: {reasons}")
            findings.append(found if values.get("segments") else found.with_severity("info"))
        elif item.segment in granted:
            findings.append(codes.PROMOTED.at(f"{item.segment}: {item.before} to {item.after}"))
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
        f"{len(granted)} of {len(promotions)} segments may change their stage; {kept} counters were read"
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


def _prefix(paths: Paths) -> str:
    """Return where the policy directory lies in its repository, with a slash at the end; empty where it is the whole of it."""
    done = run_git(paths.policy, ["rev-parse", "--show-prefix"], codes.GIT_FAILED)
    return done.stdout.strip() if done.returncode == 0 else ""
