# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Markdown of promote: which segments and cells may change their stage, and what stands behind each answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.report.markdown import shouted_lines
from ansible_collections.segwright.microseg.plugins.plugin_utils.report.text import (
    code,
    fence,
    finding_rows,
    md,
    md_table,
)


def promote_markdown(result: Mapping[str, Any]) -> str:
    """Return the gate's answers with every check, and the patch."""
    lines = [
        "# Promotion",
        "",
        f"Policy commit {code(result.get('policy_commit') or 'none')}, {md(result.get('generated_at', ''))}.",
        "",
        *shouted_lines(result),
        md(result.get("summary", "")),
        "",
    ]
    for item in result.get("promotions", ()):
        state = "may go" if item["ok"] else "**may not go yet**"
        cell = item.get("cell")
        name = f"Cell {code(cell['source'])} to {code(cell['destination'])}" if cell else code(item["segment"])
        lines += [f"## {name}: {md(item['from'])} to {md(item['to'])}, {state}", ""]
        rows = [
            [md(check["check"]), "yes" if check["ok"] else "**no**", md(check["text"]), md(check["reach"])]
            for check in item["checks"]
        ]
        lines += [md_table(("check", "holds", "what is known", "rests on"), rows), ""]
        lines += [f"- {md(text)}" for text in item["behind"]] + [""]
    if result.get("patch"):
        lines += ["## Change of policy", "", *fence(result["patch"], "diff").splitlines(), ""]
    for key, title in (("errors", "Errors"), ("warnings", "Warnings")):
        found = result.get(key) or []
        if found:
            head = ("code", "where", "what", "what to do")
            lines += [f"## {title} ({len(found)})", "", md_table(head, finding_rows(found)), ""]
    return "\n".join(lines).rstrip() + "\n"
