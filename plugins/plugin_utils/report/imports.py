# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Markdown of imports and of conformance with a MUD file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.report.text import (
    code,
    finding_rows,
    md,
    md_table,
)

FINDING_HEAD = ("code", "where", "what", "what to do")
ROW_LIMIT = 100


def import_markdown(result: Mapping[str, Any]) -> str:
    """Return the report of an import, for the pull request that brings it."""
    lines = [
        f"# Import of {md(result['source'])} into {code(result['segment']) if result['segment'] else 'every segment'}",
        "",
        md(result["summary"]) + ".",
        "",
    ]
    mud = result.get("mud")
    if mud:
        lines += [f"MUD URL {code(mud['url'])}, last updated {md(mud['last_update'] or 'at no stated time')}.", ""]
    if result["rules"]:
        lines += ["## New rules", "", *(f"- {code(rule)}" for rule in result["rules"][:ROW_LIMIT]), ""]
    if result.get("removed"):
        names = ", ".join(code(rule) for rule in result["removed"][:ROW_LIMIT])
        lines += [f"Declared no longer, and removed: {names}.", ""]
    if result["permitted_already"]:
        names = ", ".join(code(rule) for rule in result["permitted_already"][:ROW_LIMIT])
        lines += [f"Permitted already: {names}.", ""]
    if result.get("unbound"):
        rows = [(code(peer), count) for peer, count in sorted(result["unbound"].items())]
        lines += ["## Peers that nobody has named", "", md_table(("peer", "entries"), rows), ""]
    if result.get("difference"):
        lines += _difference(result["difference"])
    for key, title in (("gate", "What the gate would refuse"), ("errors", "Errors"), ("warnings", "Remarks")):
        found = result.get(key) or []
        if found:
            lines += [f"## {title} ({len(found)})", "", md_table(FINDING_HEAD, finding_rows(found[:ROW_LIMIT])), ""]
    return "\n".join(lines)


def _difference(difference: Mapping[str, Any]) -> list[str]:
    lines = ["## The imported policy, compiled, against the list", ""]
    if difference["equal"]:
        return [*lines, "No packet is treated differently.", ""]
    if "segments" in difference:
        unlike = [code(name) for name, equal in difference["segments"].items() if not equal]
        text = f"List and policy differ for {', '.join(unlike[:ROW_LIMIT])}; import the list for one of them alone to see the packets."
        return [*lines, text, ""]
    for key, title in (
        ("only_in_list", "Permitted by the list, not by the policy"),
        ("only_in_policy", "Permitted by the policy, not by the list"),
        ("not_modelled", "Depends on what is not modelled"),
    ):
        boxes = difference[key]
        if boxes:
            lines += [f"{title}:", "", *(f"- {code(box['text'])}" for box in boxes[:ROW_LIMIT]), ""]
    return lines


def conformance_markdown(result: Mapping[str, Any]) -> str:
    """Return the report of a MUD file against traffic and policy."""
    lines = [
        f"# {md(result['source'])} and segment {code(result['segment'])}",
        "",
        md(result["summary"]) + ".",
        "",
        "What is declared and what is allowed are compared for all packets; what was seen is what was recorded, no more.",
        "",
        f"## Declared by the maker ({len(result['declared'])})",
        "",
    ]
    rows = [
        (code(item["entry"]), md(", ".join(item["peers"])), md(item["opener"]), _service(item), item["seen"], item["allowed"])
        for item in result["declared"][:ROW_LIMIT]
    ]  # fmt: skip
    lines += [md_table(("entry", "peer", "opened by", "service", "flows seen", "allowed"), rows), ""]
    odd = [row for row in result["seen"] if not (row["declared"] and row["allowed"])]
    if odd:
        lines += [f"## Seen, and not both declared and allowed ({len(odd)})", ""]
        head = ("client", "server", "service", "flows", "days", "declared", "allowed", "doubt")
        body = [
            (
                code(row["client"]), code(row["server"]), code(f"{row['protocol']}/{row['port']}"), row["flows"],
                row["days"], _yes(row["declared"]), _yes(row["allowed"]), md(row["doubt"]),
            )
            for row in odd[:ROW_LIMIT]
        ]  # fmt: skip
        lines += [md_table(head, body), ""]
    for key, title in (
        ("declared_not_allowed", "Declared, and denied by the policy"),
        ("allowed_not_declared", "Allowed by the policy, and not declared"),
    ):
        boxes = result[key]
        if boxes:
            lines += [f"## {title} ({len(boxes)})", "", *(f"- {code(box['text'])}" for box in boxes[:ROW_LIMIT]), ""]
    if result.get("unbound"):
        names = [(code(peer), count) for peer, count in sorted(result["unbound"].items())]
        lines += ["## Peers that nobody has named: not compared", "", md_table(("peer", "entries"), names), ""]
    found = [*result["errors"], *result["warnings"]]
    if found:
        lines += [f"## Remarks ({len(found)})", "", md_table(FINDING_HEAD, finding_rows(found[:ROW_LIMIT])), ""]
    return "\n".join(lines)


def _service(item: Mapping[str, Any]) -> str:
    ports = ", ".join(f"{low}" if low == high else f"{low}-{high}" for low, high in item["ports"])
    protocol = "any" if item["protocol"] is None else item["protocol"]
    return code(f"{protocol}/{ports or 'any'}")


def _yes(value: bool) -> str:
    return "yes" if value else "no"
