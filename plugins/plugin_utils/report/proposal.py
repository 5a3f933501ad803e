# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of a proposal's pull request: what is asked of reviewers, segment by segment, and what their owners are asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.report.text import code, counted, md, md_table

MOST_ROWS = 100
SHARES = (
    ("by_conversations", "conversations"),
    ("by_flows", "weighed by flows"),
    ("by_devices", "weighed by devices"),
    ("by_criticality", "weighed by criticality"),
)


def pull_request(result: Mapping[str, Any]) -> str:
    """Return Markdown for a pull request's description, from the result of propose (docs/formats/results.md)."""
    lines = ["# Proposed from recorded traffic", "", md(result.get("summary", "")) + ".", ""]
    lines += _commits(result)
    lines += coverage_lines(result.get("coverage") or {})
    lines += _services(result)
    lines += _rules(result)
    lines += _waiting(result)
    lines += _doubted(result)
    lines += _expected(result)
    lines += ["Nothing here is in force. A merge approves; plan and apply come after it.", ""]
    return "\n".join(lines)


def _commits(result: Mapping[str, Any]) -> list[str]:
    rows = [[md(str(each["message"]).split("\n", 1)[0]), len(each["files"])] for each in result.get("commits", ())]
    return ["## Commits", "", md_table(("what", "files"), rows), ""] if rows else ["Nothing changes.", ""]


def coverage_lines(both: Mapping[str, Any]) -> list[str]:
    """Return coverage and over-permission before and after as a table."""
    before, after = both.get("before") or {}, both.get("after") or {}
    if not after:
        return []
    rows = [
        [f"legitimate traffic permitted, {text}", _share(before.get(name)), _share(after.get(name))]
        for name, text in SHARES
    ]
    rows.append(["permitted conversations for each one seen", _ratio(before), _ratio(after)])
    return ["## Coverage and over-permission", "", md_table(("", "before", "after"), rows), ""]


def _share(value: Any) -> str:
    return "none seen" if value is None else f"{100 * value:.2f} %"


def _ratio(one: Mapping[str, Any]) -> str:
    return "none" if one.get("over_permission") is None else f"{one['over_permission']:.2f}"


def _services(result: Mapping[str, Any]) -> list[str]:
    rows = [[code(each["name"]), md(", ".join(each["rules"]))] for each in result.get("new_services", ())]
    if not rows:
        return []
    return [
        f"## New services, for review ({len(rows)})",
        "",
        "No service covered these ports. Each is named after its port: say in its description what it is, rename it, or take it out.",
        "",
        md_table(("service", "rules that need it"), rows[:MOST_ROWS]),
        "",
        *_more(len(rows)),
    ]


def _rules(result: Mapping[str, Any]) -> list[str]:
    new = set(result.get("new_rules", ()))
    rows = [
        [
            code(rule["id"]), md(rule["class"]), rule["score"], f"{rule['devices']} of {rule['segment_devices']}", rule["days"],
            md(rule["rhythm"]), sum(step["admits"] for step in rule["steps"]), md(rule["support"] or "its own traffic"),
        ]
        for rule in result.get("rules", ())
        if rule["id"] in new
    ]  # fmt: skip
    if not rows:
        return []
    head = (
        "rule",
        "class",
        "score",
        "devices",
        "days",
        "rhythm",
        "unseen conversations admitted",
        "what speaks for it",
    )
    return [f"## New rules ({len(rows)})", "", md_table(head, rows[:MOST_ROWS]), "", *_more(len(rows))]


def _waiting(result: Mapping[str, Any]) -> list[str]:
    counts: dict[str, int] = {}
    for item in result.get("review", ()):
        counts[item["kind"]] = counts.get(item["kind"], 0) + 1
    if not counts:
        return []
    total = sum(counts.values())
    text = ", ".join(f"{number} {kind}" for kind, number in sorted(counts.items()))
    return [
        f"## Waiting for a person ({total})",
        "",
        f"{md(text)}. They stand in {code('evidence/open/review.json')}; decide in {code('decisions.yml')}.",
        "",
    ]


def _doubted(result: Mapping[str, Any]) -> list[str]:
    rows = [
        [
            md(each["name"]), code(each["segment"]), code(each["like"]), code(each.get("held_in") or each["segment"]),
            md("; ".join(each["strange"])),
        ]
        for each in result.get("misplaced", ())
    ]  # fmt: skip
    if not rows:
        return []
    head = ("device", "by its profile", "by what it does", "waits in", "what says so")
    return [
        f"## {counted(len(rows), 'device')} in doubt",
        "",
        f"Do they belong where they behave as if they did? Correct their profile, or write them into {code('classification.yml')}.",
        "",
        md_table(head, rows[:MOST_ROWS]),
        "",
        *_more(len(rows)),
    ]


def _expected(result: Mapping[str, Any]) -> list[str]:
    items = result.get("expected", ())
    rows = [
        [md(item["owner"]), code(item["client"]), code(item["to"]), code(item["service"]), md(item["kind"]),
         md(item["last_seen"]), md(item["question"])]
        for item in items
    ]  # fmt: skip
    if not rows:
        return []
    head = ("owner", "client", "server", "service", "kind", "last seen", "question")
    return [
        f"## {counted(len(rows), 'question')} for owners",
        "",
        md_table(head, rows[:MOST_ROWS]),
        "",
        *_more(len(rows)),
    ]


def _more(count: int) -> list[str]:
    return [f"... and {count - MOST_ROWS} more in the JSON result.", ""] if count > MOST_ROWS else []
