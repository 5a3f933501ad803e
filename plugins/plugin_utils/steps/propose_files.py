# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a proposal: segments, evidence, the queue for people, what is expected, and the membership lock."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.clock import iso_of_micros
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import (
    read_document,
    read_json,
    write_atomic,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.git import committed_copy, run_git
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.coverage import Spans, is_permitted, stands
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.evidence import CandidateKey, Gathered
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.expected import Expected, kept, remembered
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.holding import KIND as HELD
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.judging import PERMITTED
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.named import written
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.proposed import Proposal, ProposedRule
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.review import Decisions, by_weight
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.support import (
    NOVEL,
    PEER_KNOWN,
    THREAT_LINKED,
    VENDOR_KNOWN,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.additions import add_items
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.decisions import REFUSE
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.members import write_lock
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Rule, Segment
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.writer import (
    SegmentChange,
    schema_comment,
    segment_path,
    write_segment,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.replay import PROTOCOL_NAMES
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.propose_git import Part

LOCK = "members.lock.json"
REASON = "Seen in recorded traffic"
EVIDENCE = "evidence"
OPEN = "open"  # below it, so that no segment's name meets these files
SERVICES = "services.yml"
NAMED = f"{EVIDENCE}/{OPEN}/services.json"
# Items of the queue's file: it is kept in git. The result of the step has all of them.
MOST_ITEMS = 5000
# The gravest first.
FAMILIES = (THREAT_LINKED, NOVEL, PEER_KNOWN, VENDOR_KNOWN)


@dataclass
class Changes:
    """What a proposal writes: texts before and after by path below the policy directory, and what happened to rules, by segment."""

    root: Path
    dry_run: bool
    files: dict[str, tuple[str, str]] = field(default_factory=dict)
    segments: dict[str, SegmentChange] = field(default_factory=dict)
    # Rules that were proposed before and that a person took out of the file: by segment.
    taken_out: dict[str, list[str]] = field(default_factory=dict)
    # Rules that stand under their name but permit less than was seen, since a person's edit: by segment.
    narrowed: dict[str, list[str]] = field(default_factory=dict)
    # Items of the queue that its file does not take: by kind.
    unlisted: dict[str, int] = field(default_factory=dict)

    def put(self, relative: str, before: str, after: str) -> None:
        """Take in a file; write it unless nothing is to be written."""
        if before == after:
            return
        self.files[relative] = (before, after)
        if not self.dry_run:
            write_atomic(self.root / relative, after)

    def put_json(self, relative: str, document: Mapping[str, Any]) -> None:
        """Take in a JSON document of the evidence folder."""
        path = self.root / relative
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        self.put(relative, before, json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def write_proposal(
    policy: Path,
    segments: Sequence[Segment],
    proposal: Proposal,
    lock: Mapping[str, Any],
    sources: Mapping[str, str],
    expected: Sequence[Expected],
    dry_run: bool,
    today: str = "",
) -> Changes:
    """Write segment files, evidence, queue and lock; return what changed. With ``dry_run`` nothing is written.

    What a person has approved is written also where a rule that holds no more on ``today`` has its services.
    """
    changes = Changes(policy, dry_run)
    comment = schema_comment(policy)
    _write_services(changes, proposal)
    by_segment: dict[str, list[ProposedRule]] = {}
    for rule in proposal.rules:
        by_segment.setdefault(rule.client, []).append(rule)
    for segment in segments:
        rules = by_segment.get(segment.name, [])
        earlier = _earlier_rules(policy, segment.name)
        path = _path_of(policy, segment)
        gone = _taken_out(segment, rules, earlier) if path.exists() else []
        if gone:
            changes.taken_out[segment.name] = gone
        wanted = [_rule_values(rule) for rule in rules if rule.id not in gone]
        if wanted or not path.exists():
            asked = [rule for rule in rules if rule.decision is not None]
            again = {rule.id for rule in asked if not any(stands(each, today) for each in holders(segment, rule))}
            values = {**_segment_values(segment), "allow": wanted}
            made = write_segment(path, values, comment=comment, dry_run=dry_run, again=again)
            if made.rules.narrowed:
                changes.narrowed[segment.name] = list(made.rules.narrowed)
            if made.created or made.changed:
                changes.files[str(path.relative_to(policy))] = (made.before, made.text)
                changes.segments[segment.name] = made
        _write_evidence(changes, segment.name, rules, earlier, sources)
    _write_queue(changes, proposal)
    if expected or (policy / EVIDENCE / OPEN / "expected.json").exists():
        items = [each.as_dict() for each in expected]
        changes.put_json(
            f"{EVIDENCE}/{OPEN}/expected.json", {"kind": "expected", "schema_version": "1.0", "items": items}
        )
    _write_lock(changes, lock)
    return changes


def named_before(policy: Path) -> frozenset[tuple[int, int]]:
    """Return the ports (protocol, port) for which an earlier run proposed a service, whatever became of it."""
    path = policy / NAMED
    items = read_document(path, "services", 1)["items"] if path.exists() else ()
    return frozenset((int(each["protocol"]), int(each["port"])) for each in items)


def _write_services(changes: Changes, proposal: Proposal) -> None:
    """Add services that rules need to services.yml, and remember that they were proposed: who takes one away does not get it again."""
    if not proposal.new_services:
        return
    items = {name: written(service, PROTOCOL_NAMES) for name, service in proposal.new_services.items()}
    added = add_items(changes.root, "services", items, changes.dry_run)
    if added.changed:
        changes.files[SERVICES] = (added.before, added.after)
    new = {(m.protocol, m.ports[0][0]) for service in proposal.new_services.values() for m in service.matches}
    remembered = [{"protocol": protocol, "port": port} for protocol, port in sorted(new | named_before(changes.root))]
    changes.put_json(NAMED, {"kind": "services", "schema_version": "1.0", "items": remembered})


def _path_of(policy: Path, segment: Segment) -> Path:
    """Return where a segment stands: in the file that has it, whatever people called it, else where its zone and name say."""
    written = policy / segment.location.file
    if "/" in segment.location.file and written.exists():
        return written
    return segment_path(policy, segment.zone, segment.name)


def holders(segment: Segment, rule: ProposedRule) -> list[Rule]:
    """Return the rules of a segment's file for which a proposed one is left out: that of its id, and others with its service."""
    return [
        each for each in segment.allow if each.id == rule.id or (each.to == rule.to and rule.service in each.services)
    ]


def taken_out(policy: Path, segments: Iterable[Segment], proposal: Proposal) -> frozenset[str]:
    """Return the proposed rules that stood in an earlier proposal and that people took out of the files since."""
    return frozenset(
        name
        for segment in segments
        if _path_of(policy, segment).exists()
        for name in _taken_out(
            segment,
            [rule for rule in proposal.rules if rule.client == segment.name],
            _earlier_rules(policy, segment.name),
        )
    )


def _taken_out(segment: Segment, rules: Sequence[ProposedRule], earlier: Mapping[str, Any]) -> list[str]:
    """Return rules that stood in an earlier proposal and are in the file no more, under no name: a person took them out."""
    standing = {rule.id for rule in segment.allow}
    covered = {(rule.to, name) for rule in segment.allow for name in rule.services}
    made = (rule for rule in rules if rule.decision is None and rule.id in earlier)
    return [rule.id for rule in made if rule.id not in standing and (rule.to, rule.service) not in covered]


def gone_from(changes: Changes, proposal: Proposal) -> list[ProposedRule]:
    """Return the proposed rules that people took out of the files, and of which they have not said in decisions.yml that it is meant."""
    gone = {name for names in changes.taken_out.values() for name in names}
    return [rule for rule in proposal.rules if rule.id in gone]


def earlier_evidence(policy: Path, segments: Iterable[Segment]) -> dict[str, Any]:
    """Return what evidence files say of rules, by id."""
    return {name: data for segment in segments for name, data in _earlier_rules(policy, segment.name).items()}


def parts_of(changes: Changes, proposal: Proposal) -> list[Part]:
    """Return the proposal as small parts: one for each segment whose files change, then membership and what is open."""
    parts = []
    left = dict(changes.files)
    if SERVICES in left:  # before the rules that name them
        own = {path: left.pop(path) for path in (SERVICES, NAMED) if path in left}
        names = ", ".join(sorted(proposal.new_services))
        parts.append(Part("services", f"New services, named after their port, for review: {names}\n", own))
    for name in sorted({segment.name for segment in proposal.segments}):
        change = changes.segments.get(name)
        own = {
            path: texts
            for path, texts in changes.files.items()
            if path == f"{EVIDENCE}/{name}.json" or (change is not None and texts == (change.before, change.text))
        }
        for path in own:
            left.pop(path, None)
        if own:
            parts.append(Part(name, _message(name, change, proposal), own))
    if left:
        parts.append(Part("membership-and-open-questions", "Membership and what waits for people\n", left))
    return parts


def _message(name: str, change: SegmentChange | None, proposal: Proposal) -> str:
    """Return a commit's message: what changes for the segment, and each rule with its class and evidence in a line."""
    rules = {rule.id: rule for rule in proposal.rules if rule.client == name}
    added = [each for each in (change.rules.added if change else ()) if each in rules]
    updated = [each for each in (change.rules.updated if change else ()) if each in rules]
    if added:
        families = sorted({rules[each].family for each in added}, key=FAMILIES.index)
        head = f"Propose {name}: {len(added)} new {'rule' if len(added) == 1 else 'rules'} ({', '.join(families)})"
    elif change is not None and change.created:
        head = f"Propose {name}: a new segment"
    elif updated:
        head = f"{name}: evidence bands of {len(updated)} {'rule' if len(updated) == 1 else 'rules'}"
    else:
        head = f"{name}: counts of evidence"
    lines = [head, ""]
    for each in added:
        rule = rules[each]
        seen = rule.evidence
        lines.append(
            f"+ {each} [{rule.family}] score {rule.score.total}, {seen.client_devices} of {rule.segment_devices} devices,"
            f" {len(seen.days)} days, {seen.flows} flows; admits {sum(step.admits for step in rule.steps)} unseen conversations"
        )
    lines += [f"~ {each}" for each in updated]
    return "\n".join(lines).rstrip() + "\n"


def read_expected(policy: Path) -> tuple[Expected, ...]:
    """Return what earlier runs kept as expected."""
    path = policy / EVIDENCE / OPEN / "expected.json"
    items = read_document(path, "expected", 1)["items"] if path.exists() else []
    return tuple(Expected(**item) for item in items)


def read_expected_on(policy: Path, branch: str) -> tuple[Expected, ...]:
    """Return what a branch that waits for its merge keeps as expected; nothing where there is no such branch."""
    ref = run_git(policy, ["rev-parse", "--verify", "--quiet", f"refs/heads/{branch}^{{commit}}"], codes.GIT_FAILED)
    if ref.returncode:
        return ()
    with committed_copy(policy, ref.stdout.strip(), codes.GIT_FAILED) as copy:
        return read_expected(copy)


def both_expected(here: Iterable[Expected], there: Iterable[Expected]) -> tuple[Expected, ...]:
    """Return what either keeps; where both keep something, as it stands here."""
    found = {item.key: item for item in there}
    return tuple({**found, **{item.key: item for item in here}}.values())


def with_approved(
    seen: Gathered, earlier: Iterable[Expected], decisions: Decisions, segments: Iterable[Segment]
) -> Gathered:
    """Return what was gathered with what a person approved of the rare traffic that earlier runs kept and this one did not see.

    Month ends, fail-overs and firmware days are mostly approved when the recordings hold them no more.
    """
    names = {segment.name for segment in segments}
    added = {}
    for item in earlier:
        evidence = remembered(item)
        decision = decisions.about(evidence.key)
        if decision is not None and decision.decision != REFUSE and evidence.key not in seen.candidates:
            if item.client in names:
                added[evidence.key] = evidence
    return replace(seen, candidates={**seen.candidates, **added}) if added else seen


def still_expected(
    earlier: Iterable[Expected],
    now: Iterable[Expected],
    proposal: Proposal,
    decisions: Decisions,
    standing: Spans,
    today: str,
) -> tuple[Expected, ...]:
    """Return what is expected now and what was earlier and is still: neither forgotten, refused nor permitted by a rule since.

    ``standing`` is what the site's rules permit.
    """
    items = list(earlier)
    done = {
        (key.client, key.to, key.protocol, key.server_port)
        for key, what in proposal.judged.items()
        if what in ("rule", PERMITTED, "refused")
    }
    for item in items:
        key = CandidateKey(*item.key)
        decision = decisions.about(key)
        if (decision is not None and decision.decision == REFUSE) or is_permitted(standing, key):
            done.add(item.key)
    return kept([item.as_dict() for item in items], now, frozenset(done), today)


def _segment_values(segment: Segment) -> dict[str, Any]:
    values: dict[str, Any] = {
        "segment": segment.name,
        "zone": segment.zone,
        "description": segment.description,
        "sgt": segment.sgt,
        "sgt_name": segment.sgt_name,
        "owner": segment.owner,
        "criticality": segment.criticality,
        "members": dict(segment.members),
    }
    return {key: value for key, value in values.items() if value not in (None, "")}


def _rule_values(rule: ProposedRule) -> dict[str, Any]:
    made = {
        "id": rule.id,
        "to": rule.to,
        "services": [rule.service],
        "reason": REASON,
        "origin": "learned",
    }
    if rule.evidence.flows:
        made["evidence"] = rule.as_dict()["bands"]
    if rule.decision is not None:
        made["reason"] = f"{rule.decision.reason} (approved by {rule.decision.by}, {rule.decision.date})"
        if rule.decision.until:
            made["expires"] = rule.decision.until
    elif rule.until:
        what = "devices in doubt" if rule.bounded == HELD else f"rare ({rule.bounded})"
        made["reason"] = f"{REASON}; {what}, until its owner has said whether it may go on"
        made["expires"] = rule.until
    return made


def _earlier_rules(policy: Path, segment: str) -> dict[str, Any]:
    path = policy / EVIDENCE / f"{segment}.json"
    return dict(read_document(path, "evidence", 1).get("rules") or {}) if path.exists() else {}


def _write_evidence(
    changes: Changes,
    segment: str,
    rules: Sequence[ProposedRule],
    earlier: Mapping[str, Any],
    sources: Mapping[str, str],
) -> None:
    """Keep counts and dates beside the policies, so that a rule's own summary changes only with a band.

    What was seen for a rule earlier stays, marked as not seen in this window: the rule may stand on it.
    """
    if not rules and not earlier:
        return
    items: dict[str, Any] = {}
    for rule in rules:
        data = rule.as_dict()
        first, last = (iso_of_micros(data.pop(name)) if data["flows"] else "" for name in ("first_us", "last_us"))
        known = earlier.get(rule.id) or {}
        # Without flows and yet with a day it is one of earlier versions, which took the day of the decision for it.
        true = known.get("flows") or not known.get("days")
        before = str(known.get("first_seen") or "") if true else ""
        data["first_seen"] = min(filter(None, (before, first)), default="")
        data["last_seen"] = last or (str(known.get("last_seen") or "") if before else "")
        items[rule.id] = {key: value for key, value in data.items() if key not in ("id", "client", "bands")}
        if rule.evidence.remembered:
            items[rule.id]["in_window"] = False
    for name, data in earlier.items():
        items.setdefault(name, {**data, "in_window": False})
    document: dict[str, Any] = {"kind": "evidence", "schema_version": "1.1", "segment": segment, "rules": items}
    path = changes.root / EVIDENCE / f"{segment}.json"
    old = read_json(path) if path.exists() else {}
    # Hashes of the inputs that the counts come from: as long as the counts are the same, those they were first made of.
    same = {key: value for key, value in old.items() if key != "sources"} == document
    document["sources"] = old.get("sources", {}) if same else dict(sources)
    changes.put_json(f"{EVIDENCE}/{segment}.json", document)


def _write_queue(changes: Changes, proposal: Proposal) -> None:
    """Write what waits for a person; what the file does not take is counted in it, and told (``propose_findings.unlisted``)."""
    items = sorted((item.as_dict() for item in proposal.review), key=by_weight)
    refused = sorted((item.as_dict() for item in proposal.refused), key=lambda item: str(item["id"]))
    listed, changes.unlisted = items[:MOST_ITEMS], dict(Counter(item["kind"] for item in items[MOST_ITEMS:]))
    document = {
        "kind": "review", "schema_version": "1.1", "counts": dict(Counter(item["kind"] for item in items)), "unlisted": changes.unlisted,
        "items": sorted(listed, key=lambda item: (item["id"], item["reason"])), "refused": refused,
    }  # fmt: skip
    if items or refused or (changes.root / EVIDENCE / OPEN / "review.json").exists():
        changes.put_json(f"{EVIDENCE}/{OPEN}/review.json", document)


def _write_lock(changes: Changes, lock: Mapping[str, Any]) -> None:
    path = changes.root / LOCK
    before = read_json(path) if path.exists() else None
    if before == lock:
        return
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    changes.files[LOCK] = (text, json.dumps(lock, indent=2, sort_keys=True) + "\n")
    if not changes.dry_run:
        write_lock(path, lock)
