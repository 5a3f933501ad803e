# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Markdown for pull requests and terminals: one function per step of the loop."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.report.cuts import split_cuts
from ansible_collections.segwright.microseg.plugins.plugin_utils.report.gate import rollout_lines
from ansible_collections.segwright.microseg.plugins.plugin_utils.report.proposal import coverage_lines
from ansible_collections.segwright.microseg.plugins.plugin_utils.report.text import (
    code,
    counted,
    fence,
    finding_rows,
    md,
    md_table,
)

FINDING_HEAD = ("code", "where", "what", "what to do")
CUT_LIMIT = 50
SHOUTED = {codes.POSTURE_PULLED.number, codes.RELAXATION_ASKS.number, codes.EMERGENCY_OVER.number}


def head_lines(title: str, result: Mapping[str, Any]) -> list[str]:
    """Return title, state, commit and time of a result."""
    state = "passed" if result.get("ok") else "**failed**"
    return [
        f"# {title}: {state}",
        "",
        f"Policy commit {code(result.get('policy_commit') or 'none')}, {md(result.get('generated_at', ''))}.",
        "",
        *shouted_lines(result),
    ]


def shouted_lines(result: Mapping[str, Any]) -> list[str]:
    """Return what a result's report says first: what is pulled in an emergency."""
    found = [str(item["message"]) for item in result.get("warnings") or () if item["code"] in SHOUTED]
    return [line for message in found for line in _shout(message)]


def _shout(message: str) -> tuple[str, str]:
    return f"> **{md(message)}**", ""


def finding_lines(result: Mapping[str, Any]) -> list[str]:
    """Return the tables of a result's errors and warnings."""
    lines: list[str] = []
    for key, title in (("errors", "Errors"), ("warnings", "Warnings")):
        found = result.get(key) or []
        if found:
            lines += [f"## {title} ({len(found)})", "", md_table(FINDING_HEAD, finding_rows(found)), ""]
    return lines


def _cut_tables(rows: list[Mapping[str, Any]]) -> list[str]:
    legitimate, doubtful = split_cuts(rows)
    lines: list[str] = []
    if legitimate:
        head = ("client", "server", "service", "flows", "days", "cut at", "by", "owner")
        body = [
            [
                code(row["client"]),
                code(row["server"]),
                code(f"{row['protocol']}/{row['port']}"),
                row["flows"],
                row["days"],
                code(row["point"]),
                code(row["line"]),
                md(row.get("owner", "")),
            ]
            for row in legitimate[:CUT_LIMIT]
        ]
        lines += [f"### Nothing speaks against them ({len(legitimate)})", "", md_table(head, body), ""]
        if len(legitimate) > CUT_LIMIT:
            lines += [f"... and {len(legitimate) - CUT_LIMIT} more in the JSON result.", ""]
    if doubtful:
        grouped_head = ("client", "why doubtful", "conversations", "servers", "services", "flows", "cut at")
        groups = [
            [code(g.client), md(g.doubt), g.conversations, g.servers, code(g.service_text()), g.flows, code(g.point)]
            for g in doubtful[:CUT_LIMIT]
        ]
        lines += [f"### Doubtful ({sum(g.conversations for g in doubtful)})", "", md_table(grouped_head, groups), ""]
    return lines


def propose_markdown(result: Mapping[str, Any]) -> str:
    """Return what was learnt, what is proposed, and what waits for a person."""
    lines = head_lines("Proposal", result)
    learnt = result.get("learnt", {})
    lines += [", ".join(f"{value} {md(key)}" for key, value in learnt.items()) + ".", ""]
    lines += coverage_lines(result.get("coverage") or {})
    rows = [
        [
            code(rule["id"]),
            code(rule["client"]),
            code(rule["to"]),
            code(", ".join(rule["services"])),
            rule["score"],
            f"{rule['devices']} of {rule['segment_devices']}",
            rule["days"],
            rule["flows"],
        ]
        for rule in result.get("rules", [])
    ]
    if rows:
        head = ("rule", "client", "server", "services", "score", "devices", "days", "flows")
        lines += ["## Proposed rules", "", md_table(head, rows), ""]
    review = result.get("review", [])
    if review:
        rows = [
            [
                code(r["client"]),
                code(r["server"]),
                code(f"{r['protocol']}/{r['port']}"),
                r["flows"],
                r["days"],
                md(r["reason"]),
            ]
            for r in review[:CUT_LIMIT]
        ]
        review_head = ("client", "server", "service", "flows", "days", "why it is not a rule")
        lines += [f"## Waiting for a person ({len(review)})", "", md_table(review_head, rows), ""]
        if len(review) > CUT_LIMIT:
            lines += [f"... and {len(review) - CUT_LIMIT} more in the JSON result.", ""]
    lines += _known_share(result)
    lines += _activation(result.get("after_activation") or {})
    lines += _enforced(result.get("enforced") or {})
    lines += finding_lines(result)
    return "\n".join(lines).rstrip() + "\n"


def _known_share(result: Mapping[str, Any]) -> list[str]:
    """Return how much of each segment's traffic is known, and what to wait for before it may be enforced."""
    known, offered = result.get("completeness") or {}, result.get("enforcement") or {}
    rows = []
    for name, each in known.items():
        shares = [
            f"{part['value']:.1%} ({part['low']:.1%} to {part['high']:.1%})" if part else "no estimate yet"
            for part in (each["seen"], each["uses"])
        ]
        told = offered.get(name) or {"offered": False, "wait_for": ()}
        rows.append(
            [
                code(name),
                each["days"],
                *map(md, shares),
                "yes" if told["offered"] else "no",
                md("; ".join(told["wait_for"])),
            ]
        )
    head = ("segment", "days", "traffic known", "uses known", "enforcement proposed", "what to wait for")
    return [f"## How much is known ({len(rows)})", "", md_table(head, rows), ""] if rows else []


def _activation(report: Mapping[str, Any]) -> list[str]:
    """Return what standing rules and what was seen say of each other."""
    lines: list[str] = []
    for key, title in (("unexpected", "Seen, not permitted and not expected"), ("new", "Seen and not permitted yet")):
        rows = [
            [code(r["client"]), code(r["to"]), code(f"{r['protocol']}/{r['port']}"), md(r["kind"]), r["devices"], r["flows"],
             md(r["since"])]
            for r in report.get(key, ())
        ]  # fmt: skip
        if rows:
            head = ("client", "server", "protocol/port", "kind", "devices", "flows", "first seen")
            lines += [f"## {title} ({len(rows)})", "", md_table(head, rows[:CUT_LIMIT]), ""]
    rows = [
        [code(r["rule"]), md("; ".join(r["why"])), md("; ".join(r["suggested"])), r["flows"]]
        for r in report.get("too_wide", ())
    ]
    if rows:
        lines += [
            f"## Rules wider than their use ({len(rows)})",
            "",
            md_table(("rule", "why", "would be enough", "flows"), rows[:CUT_LIMIT]),
            "",
        ]
    rows = [
        [md(owner), code(r["rule"]), md(", ".join(r["why"])), md(r["last_seen"] or "never"), md(r["criticality"])]
        for owner, rules in report.get("recertify", {}).items()
        for r in rules
    ]
    if rows:
        owner_head = ("owner", "rule", "why", "last seen", "criticality")
        lines += [
            f"## Rules for their owners to look at again ({len(rows)})",
            "",
            md_table(owner_head, rows[:CUT_LIMIT]),
            "",
        ]
    return lines


def _enforced(enforced: Mapping[str, Any]) -> list[str]:
    """Return what sessions and switches were found to enforce."""
    if not enforced.get("sessions") and not enforced.get("cells_on_switches"):
        return []
    asked = ", ".join(code(name) for name in enforced["switches_asked"]) or "none"
    lines = ["## Sessions and switches", "", f"Switches asked: {asked}.", ""]
    if enforced["sessions"]:
        lines += [
            ", ".join(f"{counted(number, 'session')} {md(state)}" for state, number in enforced["sessions"].items())
            + ".",
            "",
        ]
    rows = [
        [code(row["device"]), code(f"{row['switch']} {row['interface']}".strip()), code(row["list"]), md(row["state"]),
         md(row["saved"]), md(row["shown_by"] or "nothing"), md(row["reason"])]
        for row in enforced["sessions_not_approved"][:CUT_LIMIT]
    ]  # fmt: skip
    if rows:
        lines += [md_table(("device", "at", "list", "state", "list saved", "shown by", "why"), rows), ""]
    cells = [
        [code(row["cell"]), code(row["switch"]), md(row["difference"])]
        for row in enforced["cells_differing"][:CUT_LIMIT]
    ]
    if cells:
        lines += [md_table(("cell", "switch", "difference"), cells), ""]
    return lines


def _meaning(effect: Mapping[str, Any]) -> list[str]:
    """Return what a plan changes for all packets, and the order in which its lists are swapped."""
    meaning, rollout = effect.get("meaning") or {}, effect.get("rollout") or {}
    lines: list[str] = []
    if meaning:
        lines += ["## What changes, for all packets", "", f"{md(meaning['sentence'])}.", ""]
        rows = [
            [md(r["change"]), md(r["client"]), md(r["server"]), code(r["service"]), code(", ".join(r["points"]))]
            for r in meaning["rows"][:CUT_LIMIT]
        ]
        lines += [md_table(("change", "client", "server", "service", "at"), rows), ""] if rows else []
        left = max(0, len(meaning["rows"]) - CUT_LIMIT) + meaning["left_out"]
        lines += [f"... and {left} more.", ""] if left else []
    if rollout.get("steps"):
        safe = "no mix of old and new lists on the way cuts what goes on or opens what is forbidden"
        state = safe if rollout["safe"] else "**some mix of old and new lists is not safe**"
        lines += ["## Order of the lists", "", f"{state}.", "", *rollout_lines(rollout), ""]
    return lines


def _in_time(effect: Mapping[str, Any]) -> list[str]:
    """Return which postures a plan is for, and when its lists change by themselves."""
    pulled, coming = effect.get("postures") or (), effect.get("next_change") or {}
    lines = [f"**Pulled:** posture {', '.join(code(name) for name in pulled)}.", ""] if pulled else []
    if ended := effect.get("releases"):
        said = effect.get("release") or {}
        ticket = f" ({md(said['ticket'])})" if said.get("ticket") else ""
        by = f" {md(said.get('person', ''))}{ticket}: {md(said.get('reason', ''))}"
        lines += [f"**Releases:** posture {', '.join(code(name) for name in ended)}, said by{by}.", ""]
    if coming:
        lines += [f"**By itself:** {md(coming['sentence'])}. Plan and apply again then.", ""]
    return lines


def shout_lines(findings: Iterable[Finding]) -> list[str]:
    """Return what a report says first while a posture is pulled."""
    return [line for finding in findings for line in _shout(finding.message)]


def _rings(rings: Mapping[str, Any]) -> list[str]:
    """Return the rings of a plan in their order, and what none of them can be limited to."""
    order = rings.get("order") or []
    if not order:
        return []
    rows = [
        [
            code(ring["id"]),
            ring["steps"],
            sum(each["devices"] for each in ring.get("sessions", ())),
            ring["hold_minutes"],
        ]
        for ring in order
    ]
    lines = ["## Rings", "", md_table(("ring", "steps", "sessions", "watched, minutes"), rows), ""]
    said = [
        f"- {code(ring['id'])}: {md(text)}"
        for ring in order
        for key in ("waited", "beyond")
        for text in ring.get(key, ())
    ]
    return lines + ([*said, ""] if said else [])


def _moves(moves: Mapping[str, Any]) -> list[str]:
    """Return what was proved of devices that a plan moves, one sentence; nothing where it moves none."""
    if not moves:
        return []
    held = f"{counted(moves['kept_rules'], 'rule')}, {moves['always']} must-always and {moves['never']} must-never statements"
    said = [f"- {md(text)}" for text in moves["problems"]]
    text = f"{counted(moves['devices'], 'device')} move to other lists or tags. Proved while only a part has moved: {held}."
    return ["## Devices that move", "", text, "", *([*said, ""] if said else [])]


def plan_markdown(plan: Mapping[str, Any], shouts: Iterable[Finding] = ()) -> str:
    """Return a plan as text and as effect. ``shouts``: what is pulled, said first."""
    lines = [
        f"# Plan {code(plan['plan_id'][:12])}",
        "",
        *shout_lines(shouts),
        f"Policy commit {code(plan['policy_commit'])}, {md(plan['created'])}.",
        "",
    ]
    effect = plan.get("effect") or {}
    if effect.get("sentence"):
        lines += [f"**Effect:** {md(effect['sentence'])}. Reach: {md(effect.get('reach', ''))}.", ""]
    lines += _in_time(effect)
    lines += _meaning(effect)
    lines += _rings(effect.get("rings") or {})
    lines += _moves(effect.get("moves") or {})
    if effect.get("seen_cut"):
        lines += ["## Recorded conversations that would be cut", ""] + _cut_tables(effect["seen_cut"])
    for target in plan["targets"]:
        operations = target["operations"]
        lines += [f"## {md(target['name'])} ({md(target['platform'])}): {counted(len(operations), 'operation')}", ""]
        for operation in operations:
            lines += [
                f"- {md(operation['summary'] or operation['action'] + ' ' + operation['kind'] + ' ' + operation['name'])}"
            ]
            if operation.get("diff"):
                lines += ["", fence(operation["diff"], "diff"), ""]
        lines += [""]
    if effect.get("after_writing"):
        lines += ["## After writing", "", "Sessions keep the old list until they authenticate again.", ""]
        rows = [
            [code(row["target"]), code(row["list"]), code(row["segment"]), md(row["criticality"]), row["devices"]]
            for row in effect["after_writing"]
        ]
        lines += [md_table(("target", "downloadable ACL", "segment", "criticality", "devices"), rows), ""]
    if not any(target["operations"] for target in plan["targets"]):
        lines += ["Nothing to do: every target holds what the commit says.", ""]
    return "\n".join(lines).rstrip() + "\n"


def verify_markdown(result: Mapping[str, Any]) -> str:
    """Return what was read back and what drifted."""
    lines = head_lines("Verification", result)
    rows = [
        [code(t["name"]), md(t["platform"]), t["objects"], md("equal" if t["equal"] else "drift")]
        for t in result.get("targets", [])
    ]
    lines += [md_table(("target", "platform", "objects", "state"), rows), ""] if rows else []
    drift = result.get("drift", [])
    if drift:
        lines += [f"## Drift ({len(drift)})", ""]
        for item in drift:
            lines += [f"- {code(item['target'])} {md(item['kind'])} {code(item['name'])}: {md(item['difference'])}"]
        lines += [""]
    lines += finding_lines(result)
    return "\n".join(lines).rstrip() + "\n"
