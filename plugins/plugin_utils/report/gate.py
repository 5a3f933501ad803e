# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gate's report as a pull-request comment: the outcome first, then what has to be decided, then folded details.

GitHub takes at most 65,536 characters in a comment. The report stays below ``LIMIT`` bytes: details that do not fit are left out, the
least urgent first, and the report says which; validate.json has everything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.report.text import (
    code,
    counted,
    fence,
    finding_rows,
    md,
    md_table,
)

LIMIT = 60_000
SHOWN_ERRORS = 40
SHOWN_ROWS = 60
SHOWN_EDGES = 30
FINDING_HEAD = ("code", "where", "what", "what to do")


def gate_markdown(result: Mapping[str, Any]) -> str:
    """Return the report of the pull-request gate, bounded."""
    for shown in (SHOWN_ERRORS, 15, 5, 0):
        text = "\n".join([*_outcome(result), *_errors(result, shown), *_impact(result)])
        if len(text.encode()) <= LIMIT - 400:
            break
    left_out = []
    for title, make in _DETAILS:
        lines = make(result)
        if not lines:
            continue
        block = "\n".join(["", "<details>", f"<summary>{title(result)}</summary>", "", *lines, "", "</details>", ""])
        if len((text + block).encode()) > LIMIT - 400:
            left_out.append(title(result))
        else:
            text += block
    if left_out:
        text += f"\nLeft out here, in validate.json: {md('; '.join(left_out))}.\n"
    return text.rstrip() + "\n"


def _outcome(result: Mapping[str, Any]) -> list[str]:
    passed = bool(result.get("ok"))
    errors, warnings = result.get("errors") or [], result.get("warnings") or []
    serious = [item for item in warnings if item["severity"] == "warning"]
    lines = [f"# Policy gate: {'passed' if passed else '**failed**'}", ""]
    lines += [
        f"Policy commit {code(result.get('policy_commit') or 'none')}, {md(result.get('generated_at', ''))}."
        f" {counted(len(errors), 'error')}, {counted(len(serious), 'warning')}.",
        "",
    ]
    counts = result.get("counts") or {}
    lines += [", ".join(f"{value} {md(key)}" for key, value in counts.items()) + ".", ""] if counts else []
    coming = result.get("next_change") or {}
    lines += [f"{md(coming['sentence'][0].upper() + coming['sentence'][1:])}.", ""] if coming else []
    rows = [row for row in _proofs(result) if row]
    return [*lines, md_table(("what", "result", "reach"), rows), ""] if rows else lines


def _proofs(result: Mapping[str, Any]) -> Iterable[list[str]]:
    equal = result.get("equivalence")
    if equal:
        yield [
            "rendered lists",
            f"{sum(bool(i['equal']) for i in equal)} of {len(equal)} mean what was compiled",
            "all packets",
        ]
    for item in result.get("situations") or ():
        missing = item["rules"] - item["proved"]
        text = f"{item['proved']} of {item['rules']} rules, {item['workflow_rules_proved']} of {item['workflow_rules']} workflow rules"
        text += f"; suspended: {', '.join(item['suspended'])}" if item["suspended"] else ""
        text = md(text) + (" **look below**" if missing else "")
        yield [md(item["name"]), text, "all packets, both directions"]
    guardrails = result.get("guardrails")
    if guardrails:
        proved = sum(item["outcome"] == "proved" for item in guardrails)
        yield ["guardrails", f"{proved} of {len(guardrails)} proved", "all packets"]
    expectations = result.get("expectations")
    if expectations:
        yield [
            "expectations",
            f"{sum(bool(i['met']) for i in expectations)} of {len(expectations)} met",
            "one client port",
        ]
    replay = result.get("replay")
    if replay and replay["recorded"]:
        classes = replay["classes"]
        text = (
            f"{replay['permitted']} pass ({classes['proved']} proved, {classes['seen']} as seen), {replay['cut_total']} would be cut,"
            f" {replay['not_covered']} not covered"
        )
        yield [
            "recorded traffic",
            md(text),
            md(f"{replay['recorded']} conversations, {replay['from'][:10]} to {replay['to'][:10]}"),
        ]
    rollout = result.get("rollout")
    if rollout:
        text = "every mix of old and new lists is safe" if rollout["safe"] else "**some mix is not safe**"
        yield ["rollout", f"{text}; {counted(len(rollout['steps']), 'step')}", "all packets of rules and must-never"]


def _errors(result: Mapping[str, Any], shown: int = SHOWN_ERRORS) -> list[str]:
    errors = result.get("errors") or []
    if not errors:
        return []
    lines = [
        f"## Errors ({len(errors)})",
        "",
        md_table(FINDING_HEAD, _bounded(finding_rows(errors[:shown]))),
        "",
    ]
    return lines + ([f"... and {len(errors) - shown} more.", ""] if len(errors) > shown else [])


def _bounded(rows: Sequence[Sequence[str]], most: int = 600) -> list[list[str]]:
    """Return rows whose cells are no longer than some characters, so that no cell alone fills a comment."""
    return [[cell if len(cell) <= most else cell[: most - 4].rstrip("\\`") + " ..." for cell in row] for row in rows]


def _impact(result: Mapping[str, Any]) -> list[str]:
    impact = result.get("impact")
    if not impact:
        return []
    lines = [f"## What changes against {code(impact['base'][:12])}", "", f"**{md(impact['sentence'])}.**", ""]
    lines += edges_mermaid(impact["rows"]) if impact["rows"] else []
    return lines


def edges_mermaid(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a Mermaid picture of the changed edges: solid for gained, dotted for lost. Names are quoted and cannot break out."""
    names: dict[str, str] = {}
    edges: dict[tuple[str, str, str], list[str]] = {}
    for row in rows:
        for end in (row["client"], row["server"]):
            names.setdefault(end, f"n{len(names)}")
        edges.setdefault((row["client"], row["server"], row["change"]), []).append(row["service"])
    lines = ["flowchart LR"]
    shown = sorted(edges.items())[:SHOWN_EDGES]
    used = {end for (client, server, _change), _services in shown for end in (client, server)}
    lines += [f'  {key}["{_label(name)}"]' for name, key in names.items() if name in used]
    for (client, server, change), services in shown:
        text = _label(", ".join(services[:3]) + (f" and {len(services) - 3} more" if len(services) > 3 else ""))
        arrow = "-->" if change == "gained" else "-.->"
        lines.append(f'  {names[client]} {arrow}|"{"+" if change == "gained" else "-"} {text}"| {names[server]}')
    more = [f"Not drawn: {len(edges) - SHOWN_EDGES} more edges.", ""] if len(edges) > SHOWN_EDGES else []
    return [fence("\n".join(lines), "mermaid"), "", *more]


def _label(text: str) -> str:
    kept = "".join(char if char.isalnum() or char in " .,:/_-()+" else " " for char in text)
    return kept[:60]


def _impact_rows(result: Mapping[str, Any]) -> list[str]:
    impact = result.get("impact") or {}
    rows = [
        [
            md(row["change"]), md(row["client"]), md(row["server"]), code(row["service"]),
            f"{row['seen_conversations']}" + (f", last {row['last_seen'][:10]}" if row["last_seen"] else ""), code(row["witness"]),
        ]
        for row in impact.get("rows", ())[:SHOWN_ROWS]
    ]  # fmt: skip
    if not rows:
        return []
    left = len(impact["rows"]) - len(rows) + impact["left_out"]
    lines = [md_table(("change", "client", "server", "service", "seen", "for example"), _bounded(rows, 200))]
    return lines + (["", f"... and {left} more."] if left else [])


def _rollout_rows(result: Mapping[str, Any]) -> list[str]:
    rollout = result.get("rollout") or {}
    return rollout_lines(rollout)


def rollout_lines(rollout: Mapping[str, Any]) -> list[str]:
    """Return the steps of a rollout and what is not safe in between, as Markdown lines."""
    lines = []
    for number, step in enumerate(rollout.get("steps", ()), 1):
        names = [f"{item['name']} at {item['point']}" for item in step["lists"]]
        more = f" and {len(names) - 10} more" if len(names) > 10 else ""
        lines.append(f"{number}. {md(step['what'])}: {', '.join(code(name) for name in names[:10])}{more}")
    problems = rollout.get("problems", ())
    return lines + ([""] if problems else []) + [f"- {md(text)}" for text in problems]


def _edit_rows(result: Mapping[str, Any]) -> list[str]:
    rows = [
        [
            md(item["action"]), code(item["rule"]), md(item["client"]), md(item["server"]), code(item["service"]),
            item["conversations"], md(item["owner"]), md(item["admits"]),
        ]
        for item in (result.get("edits") or ())[:SHOWN_ROWS]
    ]  # fmt: skip
    head = ("edit", "rule", "client", "server", "service", "recorded", "owner", "what else it admits")
    return [md_table(head, rows)] if rows else []


def _cut_rows(result: Mapping[str, Any]) -> list[str]:
    replay = result.get("replay") or {}
    groups = replay.get("cut_groups") or ()
    same: dict[tuple[str, ...], list[Any]] = {}
    for item in groups:  # what a reader cannot tell apart is one row
        ends = (
            item["client_segment"] or "unknown",
            item["server_segment"] or "unknown",
            f"{item['protocol']}/{item['port']}",
        )
        row = same.setdefault((*ends, item["point"], item["line"], item["owner"], item["doubt"]), [0, 0, "", 0])
        row[0] += item["conversations"]
        row[1] += item["flows"]
        row[2] = max(row[2], item["last_seen"])
        row[3] += 1
    chosen = list(same.items())[:SHOWN_ROWS]
    rows = [
        [
            md(client), md(server), code(service), counts[0], counts[1], counts[2][:10], code(point), code(line), md(owner), md(doubt)
        ]
        for (client, server, service, point, line, owner, doubt), counts in chosen
    ]  # fmt: skip
    if not rows:
        return []
    head = ("client", "server", "service", "conversations", "flows", "last seen", "cut at", "by", "owner", "doubt")
    left = replay["cut_groups_total"] - sum(counts[3] for _key, counts in chosen)
    return [md_table(head, rows), *(["", f"... and {left} more kinds."] if left else [])]


def _warning_rows(result: Mapping[str, Any]) -> list[str]:
    found = [item for item in result.get("warnings") or () if item["severity"] == "warning"]
    return _finding_lines(found)


def _info_rows(result: Mapping[str, Any]) -> list[str]:
    return _finding_lines([item for item in result.get("warnings") or () if item["severity"] != "warning"])


def _finding_lines(found: Sequence[Mapping[str, Any]]) -> list[str]:
    if not found:
        return []
    lines = [md_table(FINDING_HEAD, _bounded(finding_rows(found[:SHOWN_ROWS]), 400))]
    return lines + (["", f"... and {len(found) - SHOWN_ROWS} more."] if len(found) > SHOWN_ROWS else [])


def _guardrail_rows(result: Mapping[str, Any]) -> list[str]:
    rows = [
        [code(g["id"]), md(g["must"]), md(g["outcome"]), code(g.get("witness", "")), md(g.get("note", ""))]
        for g in (result.get("guardrails") or ())[:SHOWN_ROWS]
    ]
    return [md_table(("guardrail", "must", "outcome", "witness", "reach"), _bounded(rows, 300))] if rows else []


def _hygiene_rows(result: Mapping[str, Any]) -> list[str]:
    rows = [
        [md(item["kind"]), code(item["rule"]), md(item["text"]), md(item["reach"])]
        for item in (result.get("hygiene") or ())[:SHOWN_ROWS]
    ]
    return [md_table(("kind", "rule", "what", "reach"), _bounded(rows, 300))] if rows else []


def _counted_title(name: str, key: Callable[[Mapping[str, Any]], int]) -> Callable[[Mapping[str, Any]], str]:
    return lambda result: f"{name} ({key(result)})"


def _warnings_of(result: Mapping[str, Any], serious: bool) -> int:
    return sum((item["severity"] == "warning") is serious for item in result.get("warnings") or ())


# Most urgent first (facts/policy.md section 7: new denials of seen traffic, then guardrails, then the rest).
def _capacity_rows(result: Mapping[str, Any]) -> list[str]:
    rows = result.get("capacity") or []
    if not rows:
        return []
    head = ("switch", "where", "what", "limit", "in use now", "others", "these lists", "at most, in a swap", "read")
    table = [
        [
            code(row["switch"]),
            md(row["place"]),
            md(" ".join(part for part in (row["direction"], row["family"], row["kind"].replace("_", " ")) if part)),
            *(str(row[key]) for key in ("limit", "used", "others", "needed", "peak")),
            md(f"{row['read_at']}, {row['age_hours']:g} hours ago"),
        ]
        for row in rows[:SHOWN_ROWS]
    ]
    more = [f"... and {len(rows) - SHOWN_ROWS} more.", ""] if len(rows) > SHOWN_ROWS else []
    return ["The fullest region of each switch, by what the switch itself said.", "", md_table(head, table), *more]


_DETAILS: tuple[tuple[Callable[[Mapping[str, Any]], str], Callable[[Mapping[str, Any]], list[str]]], ...] = (
    (
        _counted_title("Conversations lost and gained", lambda r: len(r["impact"]["rows"]) + r["impact"]["left_out"]),
        _impact_rows,
    ),
    (lambda _result: "Order of the rollout", _rollout_rows),
    (_counted_title("Recorded traffic that would be cut", lambda r: r["replay"]["cut_total"]), _cut_rows),
    (_counted_title("Smallest edits that would admit it", lambda r: len(r["edits"])), _edit_rows),
    (_counted_title("Warnings", lambda r: _warnings_of(r, True)), _warning_rows),
    (_counted_title("Room on switches", lambda r: len(r["capacity"])), _capacity_rows),
    (_counted_title("Guardrails", lambda r: len(r["guardrails"])), _guardrail_rows),
    (_counted_title("Rules that could go or be narrower", lambda r: len(r["hygiene"])), _hygiene_rows),
    (_counted_title("Remarks", lambda r: _warnings_of(r, False)), _info_rows),
)
