# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Markdown of the export of a live ISE, for the review of the policy directory that it wrote."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.report.text import code, finding_rows, md, md_table

ROW_LIMIT = 500
FINDING_HEAD = ("code", "where", "what", "what to do")


def export_markdown(result: Mapping[str, Any]) -> str:
    """Return the report: decisions first, then every cell and list with its verdict, then every object with its outcome."""
    lines = [f"# ISE {md(result['source'])} as policy", "", md(result["summary"]) + ".", "", "## To decide", ""]
    lines += [*(f"- {md(text)}" for text in result["decisions"]), ""]
    if result.get("adopt_names"):
        lines += [
            "## To take over",
            "",
            "Put these under `microseg_ise_adopt` of the ISE in the inventory, once reviewed:",
            "",
        ]
        lines += [*(f"- {code(key)}" for key in result["adopt_names"]), ""]
    stages = [(code(name), md(stage)) for name, stage in result["segments"].items()]
    lines += ["## Segments", "", md_table(("segment", "stage"), stages[:ROW_LIMIT]), ""]
    for key, head in (("cells", "cell"), ("lists", "list")):
        rows = [(code(item[head]), md(item["verdict"]), md(_why(item))) for item in result[key]]
        if rows:
            title = "Cells" if key == "cells" else "Downloadable ACLs"
            lines += [f"## {title} ({len(rows)})", "", md_table((head, "compiled policy", "why"), rows[:ROW_LIMIT]), ""]
    rows = [(code(item["object"]), md(item["outcome"]), md(item["why"])) for item in result["objects"]]
    lines += [f"## Objects ({len(rows)})", "", md_table(("object", "became", "what or why"), rows[:ROW_LIMIT]), ""]
    if len(rows) > ROW_LIMIT:
        lines += ["The rest is in ise_export.json.", ""]
    for key, title in (("gate", "What the gate refuses"), ("errors", "Errors"), ("warnings", "Remarks")):
        found = result.get(key) or []
        if found:
            lines += [f"## {title} ({len(found)})", "", md_table(FINDING_HEAD, finding_rows(found[:ROW_LIMIT])), ""]
    return "\n".join(lines)


def _why(item: Mapping[str, Any]) -> str:
    parts = [str(item["why"])] if item["why"] else []
    for key, words in (("only_in_ise", "only ISE permits"), ("only_in_policy", "only the policy permits")):
        if item.get(key):
            witness = item[key][0].get("witness") or item[key][0]
            parts.append(f"{words}, for example, {witness}")
    return "; ".join(parts)
