# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Propose: learn from the store and the register, write segment files, the membership lock and evidence."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.clock import iso_of_micros
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import (
    read_json,
    write_atomic,
    write_json,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError, errors_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.resolve import addresses_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.noise import Noise, limits_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn import codes as learn_codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.evidence import BoundRow
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.propose import (
    Proposal,
    ProposedRule,
    propose,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.segments import propose_segments
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.codes import NO_LOCK
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.loader import load_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.members import (
    facts_of,
    read_lock,
    write_lock,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Segment, Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.writer import (
    SegmentChange,
    schema_comment,
    segment_path,
    write_segment,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.history import address_text
from ansible_collections.segwright.microseg.plugins.plugin_utils.report.markdown import propose_markdown
from ansible_collections.segwright.microseg.plugins.plugin_utils.report.results import result
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.arguments import commit_name, paths_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.classified import classified_register
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.history import bound_rows
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.paths import Paths

LOCK = "members.lock.json"
REASON = "Seen in recorded traffic"


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
    known = classified_register(paths.data, loaded.classification_document)
    register = known.document
    committed = read_lock(paths.policy / LOCK) if (paths.policy / LOCK).is_file() else None
    called_for = propose_segments(
        site, loaded.classification, register, known.classified, known.base.types, known.settings, committed
    )
    segments, new, lock = called_for.segments, called_for.new_names, dict(called_for.lock)
    findings = [*known.findings, *called_for.findings]
    # What the documents lack before the first proposal is what this step writes.
    found: list[Finding] = [*(f for f in loaded.findings if f.code != NO_LOCK.number), *findings]
    segment_of = {d["device"]: name for name, entry in lock["segments"].items() for d in entry["devices"]}
    names = {str(device["id"]): _name_of(device) for device in register["devices"]}
    rows, scans = bound_rows(
        paths.data,
        values.get("window_days"),
        _declared_scanners(site),
        engine=values.get("engine") or "",
        limits=limits_of(site.learning),
    )
    proposal = propose(site, segments, segment_of, _networks_of(site, rows), names, rows)
    found += [*proposal.findings, *_scan_findings(scans, rows, names), *_device_findings(register, segment_of, names)]
    changes = _write(paths, segments, proposal, lock, dry_run)
    made = result(
        "propose", found, commit_name(paths.policy), **_content(register, segments, new, proposal, rows, scans, changes)
    )
    made["summary"] = _summary(made)
    if not dry_run:
        write_json(paths.output / "propose.json", made)
        write_atomic(paths.output / "propose.md", propose_markdown(made))
    answer: dict[str, Any] = {
        "changed": bool(changes),
        "summary": made["summary"],
        "learnt": made["learnt"],
        "files": sorted(changes),
    }
    if values["diff_mode"]:
        answer["diff"] = [
            {"before_header": n, "after_header": n, "before": b, "after": a} for n, (b, a) in sorted(changes.items())
        ]
    if not made["ok"]:
        answer |= {"failed": True, "msg": made["errors"][0]["message"], "errors": made["errors"]}
    return answer


def _write(
    paths: Paths, segments: Sequence[Segment], proposal: Proposal, lock: Mapping[str, Any], dry_run: bool
) -> dict[str, tuple[str, str]]:
    """Write segment files, lock and evidence; return the changed files with their text before and after."""
    changes: dict[str, tuple[str, str]] = {}
    comment = schema_comment(paths.policy)
    for segment in segments:
        rules = [rule for rule in proposal.rules if rule.client == segment.name]
        allow = [_rule_values(rule) for rule in rules]
        path = segment_path(paths.policy, segment.zone, segment.name)
        if path.exists() and not allow:
            made: SegmentChange | None = None
        else:
            made = write_segment(path, {**_segment_values(segment), "allow": allow}, comment=comment, dry_run=dry_run)
        if made is not None and (made.created or made.changed):
            changes[str(path.relative_to(paths.policy))] = (made.before, made.text)
        _write_evidence(paths.policy / "evidence" / f"{segment.name}.json", segment.name, rules, changes, dry_run)
    _write_lock(paths.policy / LOCK, lock, changes, dry_run)
    return changes


def _segment_values(segment: Segment) -> dict[str, Any]:
    values: dict[str, Any] = {
        "segment": segment.name,
        "zone": segment.zone,
        "description": segment.description,
        "sgt": segment.sgt,
        "owner": segment.owner,
        "criticality": segment.criticality,
        "members": dict(segment.members),
    }
    return {key: value for key, value in values.items() if value not in (None, "")}


def _rule_values(rule: ProposedRule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "to": rule.to,
        "services": [rule.service],
        "reason": REASON,
        "origin": "learned",
        "evidence": rule.as_dict()["bands"],
    }


def _write_evidence(
    path: Path, segment: str, rules: Sequence[ProposedRule], changes: dict[str, tuple[str, str]], dry_run: bool
) -> None:
    """Keep counts and dates beside the policies, so that a rule's own summary changes only with a band."""
    if not rules:
        return
    items = {}
    for rule in rules:
        data = rule.as_dict()
        data["first_seen"], data["last_seen"] = iso_of_micros(data.pop("first_us")), iso_of_micros(data.pop("last_us"))
        items[rule.id] = {key: value for key, value in data.items() if key not in ("id", "client", "bands")}
    document = {"kind": "evidence", "schema_version": "1.0", "segment": segment, "rules": items}
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    after = json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    if before != after:
        changes[f"evidence/{path.name}"] = (before, after)
        if not dry_run:
            write_atomic(path, after)


def _write_lock(path: Path, lock: Mapping[str, Any], changes: dict[str, tuple[str, str]], dry_run: bool) -> None:
    before = read_json(path) if path.exists() else None
    if before == lock:
        return
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    changes[LOCK] = (text, json.dumps(lock, indent=2, sort_keys=True) + "\n")
    if not dry_run:
        write_lock(path, lock)


def _name_of(device: Mapping[str, Any]) -> str:
    values = facts_of(device).get("hostname") or [device["id"]]
    return str(values[0])


def _networks_of(site: Site, rows: Sequence[BoundRow]) -> dict[str, str]:
    """Return, for server addresses without a device, the narrowest network set that holds them."""
    sets = sorted(
        (
            (name, addresses_of(network.prefixes, family), family)
            for name, network in site.networks.items()
            for family in (4, 6)
        ),
        key=lambda item: (item[1].size, item[0]),
    )
    found: dict[str, str] = {}
    for row in rows:
        if row.server_device or row.server_address in found:
            continue
        family = 6 if ":" in row.server_address else 4
        value = addresses_of([row.server_address], family).to_ranges()[0][0]
        name = next((name for name, addresses, of in sets if of == family and addresses.contains(value)), "")
        if name:
            found[row.server_address] = name
    return found


def _declared_scanners(site: Site) -> tuple[str, ...]:
    declared = site.networks.get(site.learning.get("declared_scanners", ""))
    return declared.prefixes if declared else ()


def _scan_findings(scans: Noise, rows: Sequence[BoundRow], names: Mapping[str, str]) -> list[Finding]:
    holders = {row.client_address: row.client_device for row in rows}
    findings = []
    for scan in scans.scans:
        address = address_text(*scan.client)
        device = holders.get(address, "")
        text = (
            f"{names.get(device, device) or 'an unknown device'} ({address}) opened {scan.pairs} ports"
            f" on {scan.servers} devices within five minutes from {iso_of_micros(scan.start_us)},"
            f" {scan.unanswered} of them without any data"
        )
        findings.append(learn_codes.SCANNER.at(text))
    return findings


def _device_findings(
    register: Mapping[str, Any], segment_of: Mapping[str, str], names: Mapping[str, str]
) -> list[Finding]:
    return [
        learn_codes.UNCLASSIFIED.at(f"device {names[str(device['id'])]} ({device['id']}) fits no segment")
        for device in register["devices"]
        if device["id"] not in segment_of
    ]


def _content(
    register: Mapping[str, Any],
    segments: Sequence[Segment],
    new: Sequence[str],
    proposal: Proposal,
    rows: Sequence[BoundRow],
    scans: Noise,
    changes: Mapping[str, Any],
) -> dict[str, Any]:
    conversations = {(r.client_address, r.server_address, r.protocol, r.server_port) for r in rows}
    return {
        "learnt": {
            "devices": len(register["devices"]),
            "segments": len(segments),
            "new segments": len(new),
            "conversations": len(conversations),
            "days": len({row.day for row in rows}),
            "rules": len(proposal.rules),
            "conversations left to people": len(proposal.review),
            "scans": len(scans.scans),
        },
        "new_segments": list(new),
        "rules": [rule.as_dict() for rule in proposal.rules],
        "review": [item.as_dict() for item in proposal.review],
        "bootstrap_rows": proposal.bootstrap,
        "related": [dict(zip(("control", "client", "to", "flows"), each, strict=True)) for each in proposal.related],
        "files": sorted(changes),
    }


def _summary(made: Mapping[str, Any]) -> str:
    learnt = made["learnt"]
    return (
        f"{learnt['devices']} devices in {learnt['segments']} segments ({learnt['new segments']} new),"
        f" {learnt['conversations']} conversations on {learnt['days']} days: {learnt['rules']} rules carried by"
        f" evidence, {learnt['conversations left to people']} items for people,"
        f" {learnt['scans']} scans; {len(made['files'])} files written"
    )
