# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One self-contained HTML page: summary, segment matrix, flow map, guardrails, plan. No script, nothing loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.report.cuts import split_cuts
from ansible_collections.segwright.microseg.plugins.plugin_utils.report.flow_map import flow_map_svg
from ansible_collections.segwright.microseg.plugins.plugin_utils.report.text import counted, esc

STYLE = """
:root{--ink:#1d2733;--soft:#5b6b7c;--line:#d8dfe6;--ground:#f5f7f9;--card:#fff;--good:#1a7f4b;--bad:#b42318;
--warn:#9a6700;--blue:#1f5fbf}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:1180px;margin:0 auto;padding:24px}h1{font-size:26px;margin:0 0 4px}
h2{font-size:18px;margin:32px 0 10px}p.sub{color:var(--soft);margin:0 0 18px}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(170px,1fr));gap:12px}
.card{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:12px 14px}
.card b{display:block;font-size:24px}.card span{color:var(--soft);font-size:13px}
.panel{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:14px;overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:13px}
th,td{text-align:left;padding:6px 8px;border-bottom:1px solid var(--line);vertical-align:top}
th{color:var(--soft);font-weight:600}table.matrix{width:auto}
table.matrix th,table.matrix td{border:1px solid var(--line);text-align:center;min-width:74px}
table.matrix th.row{text-align:right;white-space:nowrap}
table.matrix th.col{height:128px;vertical-align:bottom;padding:6px 2px}
table.matrix th.col div{writing-mode:vertical-rl;transform:rotate(180deg);margin:auto;white-space:nowrap}
td.yes{background:#e4f4ea}td.self{background:#eef1f4}td.no{color:#b8c2cc}
code,pre{font:12.5px/1.45 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
pre{background:#f0f3f6;border-radius:6px;padding:10px;overflow-x:auto;margin:6px 0 12px}.good{color:var(--good)}
.bad{color:var(--bad)}.warn{color:var(--warn)}.add{color:var(--good)}.del{color:var(--bad)}
svg{max-width:100%;height:auto}details{margin:6px 0}summary{cursor:pointer}
"""


def page(title: str, subtitle: str, sections: Sequence[str]) -> str:
    """Return a whole HTML document from ready sections."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f'<title>{esc(title)}</title><style>{STYLE}</style></head><body><main><h1>{esc(title)}</h1><p class="sub">{esc(subtitle)}</p>'
        + "\n".join(sections)
        + "</main></body></html>\n"
    )


def cards(values: Sequence[tuple[object, str]]) -> str:
    """Return a row of number cards."""
    return (
        '<div class="cards">'
        + "".join(f'<div class="card"><b>{esc(v)}</b><span>{esc(t)}</span></div>' for v, t in values)
        + "</div>"
    )


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table; cells are escaped."""
    top = "".join(f"<th>{esc(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{esc(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="panel"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def segment_matrix(segments: Sequence[str], cells: Mapping[tuple[str, str], Sequence[str]]) -> str:
    """Return clients by rows and servers by columns with the services allowed between them."""
    head = "".join(f'<th class="col"><div>{esc(name)}</div></th>' for name in segments)
    rows = []
    for client in segments:
        columns = []
        for server in segments:
            services = cells.get((client, server), ())
            kind = "yes" if services else ("self" if client == server else "no")
            columns.append(f'<td class="{kind}">{"<br>".join(esc(s) for s in services) or "&middot;"}</td>')
        rows.append(f'<tr><th class="row">{esc(client)}</th>{"".join(columns)}</tr>')
    return (
        '<div class="panel"><table class="matrix"><thead><tr><th class="row">client &darr; &nbsp; server &rarr;</th>'
        f"{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def diff_block(text: str) -> str:
    """Return a diff with added and removed lines coloured."""
    lines = []
    for line in text.splitlines():
        kind = "add" if line.startswith("+") else "del" if line.startswith("-") else ""
        lines.append(f'<span class="{kind}">{esc(line)}</span>' if kind else esc(line))
    return "<pre>" + "\n".join(lines) + "</pre>"


def policy_sections(view: Mapping[str, Any]) -> list[str]:
    """Return the sections on segments: matrix and flow map. ``view`` is made by report.view."""
    names = [segment["name"] for segment in view["segments"]]
    cells: dict[tuple[str, str], list[str]] = {}
    for rule in view["rules"]:
        cells.setdefault((rule["client"], rule["to"]), []).extend(s for s in rule["services"])
    columns = names + sorted({rule["to"] for rule in view["rules"]} - set(names))
    order = [name for name in columns if name in names or any(key[1] == name for key in cells)]
    rows = [
        [
            s["name"],
            s["zone"],
            s["sgt"] if s["sgt"] is not None else "",
            s["devices"],
            s["criticality"],
            s["owner"],
            s["stage"],
            ", ".join(s["points"]),
        ]
        for s in view["segments"]
    ]
    head = ("segment", "zone", "SGT", "devices", "criticality", "owner", "stage", "enforced at")
    return [
        "<h2>Who may open to whom</h2>",
        segment_matrix(order, cells),
        "<h2>Flow map</h2>",
        '<div class="panel">' + flow_map_svg(view) + "</div>",
        "<h2>Segments</h2>",
        table(head, rows),
        *_own_cells(view),
    ]


def _own_cells(view: Mapping[str, Any]) -> list[str]:
    """Return the section on cells that have a stage of their own; nothing where none has."""
    rows = [[c["source"], c["destination"], c["stage"], c["segments"], c["reason"]] for c in view.get("cells", ())]
    head = ("from", "to", "stage", "by its segments", "reason")
    return ["<h2>Cells with a stage of their own</h2>", table(head, rows)] if rows else []


def plan_html(plan: Mapping[str, Any], view: Mapping[str, Any], shouts: Iterable[Finding] = ()) -> str:
    """Return the page of a plan: effect, matrix, map and every operation with its diff. ``shouts``: what is pulled, said first."""
    effect = plan.get("effect") or {}
    count = sum(len(target["operations"]) for target in plan["targets"])
    sections = [
        *(f'<p class="panel warn"><b>{esc(finding.message)}</b></p>' for finding in shouts),
        cards(
            [
                (count, "operations"),
                (len(plan["targets"]), "targets"),
                (effect.get("kept", 0), "recorded conversations go on"),
                (sum(1 for r in effect.get("seen_cut", ()) if not r["doubt"]), "legitimate ones would be cut"),
                (sum(1 for r in effect.get("seen_cut", ()) if r["doubt"]), "doubtful ones would be cut"),
                (effect.get("unseen_cut", 0), "never-seen ones stop being possible"),
            ]
        ),
    ]
    if effect.get("sentence"):
        sections.append(
            f'<p><b>Effect.</b> {esc(effect["sentence"])}. <span class="warn">Reach: {esc(effect.get("reach", ""))}.</span></p>'
        )
    sections += policy_sections(view)
    sections += _cut_sections(effect.get("seen_cut") or [])
    for target in plan["targets"]:
        sections.append(
            f"<h2>{esc(target['name'])} ({esc(target['platform'])}): {counted(len(target['operations']), 'operation')}</h2>"
        )
        for operation in target["operations"]:
            label = esc(operation["summary"] or f"{operation['action']} {operation['kind']} {operation['name']}")
            body = diff_block(operation["diff"]) if operation.get("diff") else ""
            sections.append(
                f'<details open class="panel"><summary>{label}</summary>{body}</details>'
                if body
                else f'<div class="panel">{label}</div>'
            )
    return page(
        f"Segwright plan {plan['plan_id'][:12]}",
        f"{view['site']}, policy commit {plan['policy_commit'][:12]}, {plan['created']}",
        sections,
    )


def _cut_sections(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    legitimate, doubtful = split_cuts(rows)
    sections: list[str] = []
    if legitimate:
        body = [
            [r["client"], r["server"], f"{r['protocol']}/{r['port']}", r["flows"], r["days"], r["point"], r["line"]]
            for r in legitimate
        ]
        head = ("client", "server", "service", "flows", "days", "cut at", "by")
        sections += [
            '<h2 class="bad">Recorded conversations that would be cut, and nothing speaks against them</h2>',
            table(head, body),
        ]
    if doubtful:
        groups = [[g.client, g.doubt, g.conversations, g.servers, g.service_text(), g.flows, g.point] for g in doubtful]
        head = ("client", "why doubtful", "conversations", "servers", "services", "flows", "cut at")
        sections += ["<h2>Doubtful recorded conversations that would be cut</h2>", table(head, groups)]
    return sections
