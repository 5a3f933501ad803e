# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Propose: learn from the store and the register, write segment files, the membership lock and evidence."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import (
    write_atomic,
    write_json,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError, errors_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.git import prefix_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.noise import Noise, limits_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.activation import after_activation
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.completeness import (
    THRESHOLD,
    Completeness,
    completeness,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.coverage import (
    DOUBTFUL,
    Sizes,
    coverage,
    permitted_spans,
    standing_spans,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.evidence import CandidateKey, Gathered
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.holding import holding_of, like_of, with_held
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.incidence import incidences
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.propose import propose
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.proposed import Known, Proposal
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.review import Decisions, by_weight
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.segments import propose_segments
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.support import kinds_in
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.told import in_force, questions, weighed
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.codes import NO_LOCK
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.loader import load_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.members import read_lock
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import (
    Segment,
    Site,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.report.markdown import propose_markdown
from ansible_collections.segwright.microseg.plugins.plugin_utils.report.proposal import pull_request
from ansible_collections.segwright.microseg.plugins.plugin_utils.report.results import result
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.arguments import commit_name, paths_of, today_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.classified import classified_register
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.history import recorded_evidence
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.paths import Paths
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.propose_enforcement import enforcement
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.propose_files import (
    LOCK,
    Changes,
    both_expected,
    earlier_evidence,
    gone_from,
    named_before,
    parts_of,
    read_expected,
    read_expected_on,
    still_expected,
    taken_out,
    with_approved,
    write_proposal,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.propose_findings import (
    device_findings,
    edited,
    ended,
    lapsed,
    misplaced_findings,
    nowhere,
    scan_findings,
    threats_permitted,
    unlisted,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.propose_git import (
    NAME,
    Checkout,
    Part,
    patch_texts,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.propose_inputs import (
    address_counts,
    contradicted,
    declared_scanners,
    name_of,
    named_ranges,
    sampled_segments,
    source_hashes,
    telemetry_of,
    vital_openers,
)

NONE, PATCHES, BRANCH = "none", "patches", "branch"


def run_propose(values: dict[str, Any]) -> dict[str, Any]:
    """Learn, write what is proposed, and return the result; in check mode only say what would be written."""
    paths = paths_of(values)
    dry_run = bool(values["check_mode"])
    loaded = load_site(paths.policy, paths.policy_cache)
    if loaded.site is None:
        raise FindingError(*errors_of(loaded.findings))
    if not paths.register.exists():
        raise FindingError(codes.NO_REGISTER.at(f"{paths.register} does not exist"))
    site = loaded.site
    classified = classified_register(paths.data, loaded.classification_document)
    register = classified.document
    committed = read_lock(paths.policy / LOCK) if (paths.policy / LOCK).is_file() else None
    called_for = propose_segments(
        site,
        loaded.classification,
        register,
        classified.classified,
        classified.base.types,
        classified.settings,
        committed,
    )
    segments, new, lock = called_for.segments, called_for.new_names, dict(called_for.lock)
    findings = [*classified.findings, *called_for.findings]
    # What the documents lack before the first proposal is what this step writes.
    found: list[Finding] = [*(f for f in loaded.findings if f.code != NO_LOCK.number), *findings]
    segment_of = {d["device"]: name for name, entry in lock["segments"].items() for d in entry["devices"]}
    names = {str(device["id"]): name_of(device) for device in register["devices"]}
    kind_of, kinds_of = kinds_in(register, segment_of)
    doubted = {device: why for device, why in contradicted(register).items() if device not in called_for.held}
    today = today_of(values).isoformat()
    decisions = Decisions(loaded.decisions, site.services, today)
    seen, scans = recorded_evidence(
        paths.data,
        values.get("window_days") or site.learning.get("window_days"),
        declared_scanners(site),
        members={device: name for device, name in segment_of.items() if device not in {*doubted, *called_for.held}},
        networks=named_ranges(site),
        kinds=kind_of,
        approved=decisions.approved_rows(),
        engine=values.get("engine") or "",
        limits=limits_of(site.learning),
        kept=[name for name, made in classified.classified.items() if made.by == "decision"],
        segments=segments,
    )
    holding = holding_of(seen.misplaced, segments, site.networks)
    segments = tuple(sorted((*segments, *holding.new), key=lambda each: each.name))
    new = sorted({*new, *(each.name for each in holding.new)})
    lock = with_held(lock, holding)
    telemetry = telemetry_of(paths.data)
    known = Known(
        {name: len(entry["devices"]) for name, entry in lock["segments"].items()},
        address_counts(site),
        names,
        kinds_of,
        telemetry,
        loaded.decisions,
        today,
        named_before(paths.policy),
    )
    earlier_items = read_expected(paths.policy)
    if values.get("git") == BRANCH:  # it may wait for its merge longer than the recordings hold what it keeps
        standing = read_expected_on(paths.policy, str(values.get("branch") or NAME))
        earlier_items = both_expected(earlier_items, standing)
    rare = [CandidateKey(*item.key) for item in earlier_items]
    told = weighed(loaded.segment_accounts, site, segments, seen, decisions, today, rare)
    remembering = with_approved(seen, earlier_items, decisions, segments)
    known = replace(known, decisions=(*told.approvals, *loaded.decisions))
    decisions = Decisions(known.decisions, site.services, today)
    proposal = propose(site, segments, remembering, known)
    site = replace(site, services={**site.services, **proposal.new_services})
    gone = taken_out(paths.policy, segments, proposal) if told.accounts else ()
    accounted, against = in_force(told, site, proposal, today, gone)
    openers = vital_openers(site, segments)
    known_share = _completeness(site, segments, proposal, seen, known.sizes, accounted)
    asked = questions(known_share, segments, openers)
    proposal = replace(proposal, review=(*proposal.review, *asked))
    last_day = (seen.first_day + timedelta(days=max(0, seen.days - 1))).isoformat()
    expected = still_expected(
        earlier_items, proposal.expected, proposal, decisions, standing_spans(site, today), last_day
    )
    found += [*proposal.findings, *told.findings, *against, *scan_findings(paths.data, scans, names)]
    found += device_findings(register, segment_of, names, doubted)
    found += misplaced_findings(seen, names, holding, segments)
    how = str(values.get("git") or NONE)
    if how == BRANCH:
        Checkout(paths.policy).required_head()
    earlier = earlier_evidence(paths.policy, segments)
    # A branch and patches leave the files as they are.
    changes = write_proposal(
        paths.policy, segments, proposal, lock, source_hashes(paths.data), expected, dry_run or how != NONE, today
    )
    found += [
        *unlisted(changes, seen),
        *edited(changes),
        *nowhere(loaded.decisions, site, segments, today),
        *ended(site, proposal, today),
        *threats_permitted(standing_spans(site, today, postures=True), seen, names),
    ]
    sizes = Sizes(known.sizes, known.addresses)
    parts = parts_of(changes, proposal)
    git = _written(how, str(values.get("branch") or NAME), paths, parts, dry_run)
    made = result(
        "propose",
        found,
        commit_name(paths.policy),
        **_content(register, segments, new, proposal, seen, scans, changes),
        expected=[item.as_dict() for item in expected],
        misplaced=[{**each.as_dict(names), "held_in": holding.of.get(each.device, "")} for each in seen.misplaced],
        coverage=_coverage(site, segments, proposal, seen, sizes, today),
        after_activation=after_activation(
            site, seen.candidates, proposal.judged, sizes, earlier, date.fromisoformat(last_day)
        ),
        completeness={name: each.as_dict() for name, each in known_share.items()},
        enforcement=enforcement(
            known_share,
            expected,
            proposal,
            telemetry,
            {s.name: s.criticality for s in segments},
            {s.name: known.sizes.get(s.name, 0) for s in segments if like_of(s)},
            sampled_segments(paths.data, site, segments, lock),
            openers,
            [*(rule for rule, _standing in lapsed(site, proposal, today)), *gone_from(changes, proposal)],
        ),
        commits=[{"name": part.name, "message": part.message, "files": sorted(part.files)} for part in parts],
        new_rules=sorted(name for change in changes.segments.values() for name in change.rules.added),
        git=git,
    )
    made["summary"] = _summary(made)
    if not dry_run:
        write_json(paths.output / "propose.json", made)
        write_atomic(paths.output / "propose.md", propose_markdown(made))
        write_atomic(paths.output / "pull-request.md", pull_request(made))
    answer: dict[str, Any] = {
        "changed": bool(changes.files),
        "summary": made["summary"],
        "learnt": made["learnt"],
        "files": sorted(changes.files),
        "git": git,
    }
    if how == BRANCH and not dry_run:
        answer["changed"] = bool(git["changed"])
    if values["diff_mode"]:
        answer["diff"] = [
            {"before_header": n, "after_header": n, "before": b, "after": a}
            for n, (b, a) in sorted(changes.files.items())
        ]
    if not made["ok"]:
        answer |= {"failed": True, "msg": made["errors"][0]["message"], "errors": made["errors"]}
    return answer


def _coverage(
    site: Site, segments: Sequence[Segment], proposal: Proposal, seen: Gathered, sizes: Sizes, today: str
) -> dict[str, Any]:
    """Return coverage and over-permission of the rules that stand, and of those with the proposed ones."""
    standing = [
        (rule.client, rule.to, rule.services) for rule in site.rules() if not rule.expires or today <= rule.expires
    ]
    proposed = [(rule.client, rule.to, (rule.service,)) for rule in proposal.rules]
    by_name = {segment.name: segment for segment in segments}
    made = {}
    for when, rules in (("before", standing), ("after", [*standing, *proposed])):
        spans = permitted_spans(rules, site.services)
        made[when] = coverage(seen.candidates, proposal.judged, spans, by_name, sizes)
    return made


def _completeness(
    site: Site,
    segments: Sequence[Segment],
    proposal: Proposal,
    seen: Gathered,
    sizes: Mapping[str, int],
    told: Collection[str],
) -> dict[str, Completeness]:
    """Return how much of each segment's legitimate traffic is known, by name (learn/completeness.py)."""
    if seen.incidences is None or not seen.days:
        return {}
    legitimate = [key for key, kind in proposal.judged.items() if kind not in DOUBTFUL]
    by_name = {segment.name: segment for segment in segments}
    found, days = incidences(seen.incidences, seen.first_day, seen.days, legitimate, by_name, sizes)
    return completeness(found, days, threshold=float(site.learning.get("completeness", THRESHOLD)), told=told)


def _written(how: str, branch: str, paths: Paths, parts: Sequence[Part], dry_run: bool) -> dict[str, Any]:
    """Make the branch or the patches, and say what was made."""
    if how == BRANCH and not dry_run:
        made = Checkout(paths.policy).write_branch(branch, parts)
        return {"how": how, **vars(made)}
    if how == PATCHES and not dry_run:
        folder = paths.output / "proposal"
        texts = patch_texts(parts, prefix_of(paths.policy))
        for old in folder.glob("*.patch"):
            if old.name not in texts:
                old.unlink()
        for name, text in texts.items():
            write_atomic(folder / name, text)
        return {"how": how, "patches": sorted(texts), "changed": bool(texts)}
    return {"how": how}


def _content(
    register: Mapping[str, Any],
    segments: Sequence[Segment],
    new: Sequence[str],
    proposal: Proposal,
    seen: Gathered,
    scans: Noise,
    changes: Changes,
) -> dict[str, Any]:
    return {
        "learnt": {
            "devices": len(register["devices"]),
            "segments": len(segments),
            "new segments": len(new),
            "conversations": seen.conversations,
            "days": seen.days,
            "rules": len(proposal.rules),
            "conversations left to people": len(proposal.review),
            "scans": len(scans.scans),
        },
        "new_segments": list(new),
        "new_services": [
            {"name": name, "rules": [rule.id for rule in proposal.rules if rule.service == name]}
            for name in sorted(proposal.new_services)
        ],
        "rules": [rule.as_dict() for rule in proposal.rules],
        "review": sorted((item.as_dict() for item in proposal.review), key=by_weight),
        "refused": [item.as_dict() for item in proposal.refused],
        "taken_out": changes.taken_out,
        "left_out": dict(seen.excluded_counts),
        "bootstrap_rows": proposal.bootstrap,
        "related": [dict(zip(("control", "client", "to", "flows"), each, strict=True)) for each in proposal.related],
        "files": sorted(changes.files),
    }


def _summary(made: Mapping[str, Any]) -> str:
    learnt = made["learnt"]
    return (
        f"{learnt['devices']} devices in {learnt['segments']} segments ({learnt['new segments']} new),"
        f" {learnt['conversations']} conversations on {learnt['days']} days: {learnt['rules']} rules carried by"
        f" evidence, {learnt['conversations left to people']} items for people,"
        f" {learnt['scans']} scans; {len(made['files'])} files written"
    )
