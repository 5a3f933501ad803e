# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What proposing tells people about: scans, devices, edits, ends of rules, threats."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.clock import iso_of_micros
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.intervals import read_intervals
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.address import text_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.noise import Noise
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn import codes as learn_codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.coverage import (
    Spans,
    holds_on,
    is_permitted,
    stands,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.evidence import TO_ALL, CandidateKey, Gathered
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.holding import Holding, like_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.proposed import Proposal, ProposedRule
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.decisions import ACCOUNT, Decision
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.merging import LEARNED
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import (
    Rule,
    Segment,
    Site,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.history import address_text
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.replay import PROTOCOL_NAMES
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.propose_files import (
    MOST_ITEMS,
    Changes,
    holders,
)


def scan_findings(data_dir: Any, scans: Noise, names: Mapping[str, str]) -> list[Finding]:
    """Return who scanned, by name where somebody held the address."""
    if not scans.scans:
        return []
    holders: dict[str, str] = {}
    wanted = {address_text(*scan.client) for scan in scans.scans}
    for row in read_intervals(data_dir).to_pylist():
        address = text_of(row["address_hi"], row["address_lo"])
        if address in wanted:
            holders[address] = row["device"]
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


def device_findings(
    register: Mapping[str, Any], segment_of: Mapping[str, str], names: Mapping[str, str], doubted: Mapping[str, str]
) -> list[Finding]:
    """Return devices in no segment, and those about which sure sources disagree."""
    found = [
        learn_codes.UNCLASSIFIED.at(f"device {names[str(device['id'])]} ({device['id']}) fits no segment")
        for device in register["devices"]
        if device["id"] not in segment_of
    ]
    return found + [
        learn_codes.CONTRADICTED.at(
            f"{names.get(device, device)}: {text}; its traffic is no evidence until that is settled"
        )
        for device, text in sorted(doubted.items())
    ]


def misplaced_findings(
    seen: Gathered, names: Mapping[str, str], holding: Holding, segments: Sequence[Segment]
) -> list[Finding]:
    """Return devices that do what another segment does, and holding segments in which nobody waits any more."""
    found = [
        learn_codes.MISPLACED_DEVICE.at(
            f"{names.get(each.device, each.device)} ({each.device}): {each.text}; it waits in {holding.of.get(each.device, 'its segment')}"
        )
        for each in seen.misplaced
    ]
    return found + [
        learn_codes.NOBODY_HELD.at(f"{each.name}: nobody waits in it", each.location)
        for each in segments
        if like_of(each) and each.name not in holding.like
    ]


def unlisted(changes: Changes, seen: Gathered) -> list[Finding]:
    """Return what the queue's file does not show one by one: items beyond its size, and pairs of devices that are only counted."""
    parts = []
    if changes.unlisted:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(changes.unlisted.items()))
        parts.append(
            f"{sum(changes.unlisted.values())} items beyond {MOST_ITEMS} are not in evidence/open/review.json ({kinds})"
        )
    shown = Counter(each.reason for each in seen.excluded)
    counted = {
        why: count - shown[why]
        for why, count in sorted(seen.excluded_counts.items())
        if count > shown[why] and not why.endswith(TO_ALL)
    }
    if counted:
        reasons = "; ".join(f"{count} because {why}" for why, count in counted.items())
        parts.append(
            f"{sum(counted.values())} pairs of devices are counted beside the busiest, which are items: {reasons}"
        )
    return [learn_codes.UNLISTED.at("; ".join(parts))] if parts else []


def nowhere(decisions: Iterable[Decision], site: Site, segments: Iterable[Segment], today: str) -> list[Finding]:
    """Return the decisions that name segments, network sets or services which are not there, as after a rename."""
    names = {each.name for each in segments}
    found = []
    for each in decisions:
        if not each.holds_on(today):
            continue
        absent = []
        if each.decision != ACCOUNT and each.client not in names:
            absent.append(f"segment {each.client}")
        if each.to not in site.networks and (each.decision == ACCOUNT or each.to not in names):
            absent.append(f"{'network set' if each.decision == ACCOUNT else 'segment or network set'} {each.to}")
        if each.service and each.service not in site.services:
            absent.append(f"service {each.service}")
        if absent:
            text = f"{each.decision} of {each.by}, {each.date}: there is no {', no '.join(absent)}"
            found.append(learn_codes.DECISION_NOWHERE.at(text, each.location))
    return found


def edited(changes: Changes) -> list[Finding]:
    """Return what people took out or narrowed, and whose traffic goes on."""
    found = [
        learn_codes.TAKEN_OUT.at(
            f"{segment}: {', '.join(rules)} stood in an earlier proposal, and were taken out; their traffic goes on"
        )
        for segment, rules in sorted(changes.taken_out.items())
    ]
    return found + [
        learn_codes.NARROWED.at(f"{segment}: {', '.join(rules)}") for segment, rules in sorted(changes.narrowed.items())
    ]


def ended(site: Site, proposal: Proposal, today: str) -> list[Finding]:
    """Return learned rules whose end in the file is not that of the decision behind them, or is past while their traffic goes on.

    The end of a standing rule belongs to people, so it is told and not changed.
    """
    standing = {rule.id: rule for rule in site.rules() if rule.origin == LEARNED and rule.expires}
    found = []
    for rule in proposal.rules:
        there, decision = standing.get(rule.id), rule.decision
        if there is None:
            continue
        if decision is not None and decision.until != there.expires:
            until = f"until {decision.until}" if decision.until else "without an end"
            text = f"{rule.id} ends on {there.expires}; {decision.by} approved it {until}"
            found.append(learn_codes.OTHER_END.at(text, there.location))
        elif decision is None and there.expires < today:
            text = f"{rule.id} ended on {there.expires}, and its traffic goes on"
            found.append(learn_codes.OTHER_END.at(text, there.location))
    others = {there.id: there for rule, there in lapsed(site, proposal, today) if there.id != rule.id}
    for there in others.values():
        how = f"ended on {there.expires}" if there.expires and there.expires < today else "waits for its posture"
        found.append(learn_codes.OTHER_END.at(f"{there.id} {how}, and its traffic goes on", there.location))
    return found


def lapsed(site: Site, proposal: Proposal, today: str) -> list[tuple[ProposedRule, Rule]]:
    """Return proposed rules that are not written since a rule of the file has their services and holds no more, each with that rule.

    What a person approved is written beside a rule of another name.
    """
    found = []
    for rule in proposal.rules:
        own = holders(site.segments[rule.client], rule) if rule.client in site.segments else []
        named = [each for each in own if each.id == rule.id]
        # Whoever gave the rule itself a condition has decided about it.
        held = any(stands(each, today) for each in own) or any(holds_on(each, today) for each in named)
        if own and not held and (rule.decision is None or named):
            found.append((rule, (named or own)[0]))
    return found


def threats_permitted(spans: Spans, seen: Gathered, names: Mapping[str, str]) -> list[Finding]:
    """Return what standing rules (``spans``) permit and a threat list names."""
    hits: dict[tuple[str, str, int, int], set[str]] = {}
    for each in seen.excluded:
        key = CandidateKey(each.client_segment, each.server_segment, each.protocol, each.server_port)
        if each.mark == "threat" and is_permitted(spans, key):
            hits.setdefault((key.client, key.to, key.protocol, key.server_port), set()).add(
                names.get(each.client, each.client)
            )
    # What a person approved is no longer left out, but a list may have caught up with it since.
    for key, evidence in seen.candidates.items():
        if evidence.threat and is_permitted(spans, key):
            who = names.get(evidence.one_client, evidence.one_client) or "a device"
            hits.setdefault((key.client, key.to, key.protocol, key.server_port), set()).add(
                who if evidence.client_devices == 1 else f"{who} or others of its segment"
            )
    return [
        learn_codes.THREAT_PERMITTED.at(
            f"{client} to {to}, {PROTOCOL_NAMES.get(protocol, protocol)}/{port}: {', '.join(sorted(who)[:5])}"
        )
        for (client, to, protocol, port), who in sorted(hits.items())
    ]
