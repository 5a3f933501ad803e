# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is pulled, what is prepared, and what it would cost, as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.report.markdown import finding_lines, head_lines
from ansible_collections.segwright.microseg.plugins.plugin_utils.report.text import code, md, md_table


def postures_markdown(made: Mapping[str, Any]) -> str:
    """Return the page of a ``posture`` result."""
    lines = head_lines("Postures", made)
    if made["pulled"]:
        rows = [
            [
                code(item["posture"]),
                md(item["since"]),
                md(item["person"]),
                md(item["reason"]),
                md(item["until"] or "approved"),
            ]
            for item in made["pulled"]
        ]
        lines += ["## Pulled now", "", md_table(("posture", "since", "by", "why", "without approval until"), rows), ""]
    if made["prepared"]:
        rows = [
            [code(item["posture"]), md(item["kind"]), code(item["about"]), md(item["owner"]), md(item["reason"])]
            for item in made["prepared"]
        ]
        lines += ["## Prepared", "", md_table(("posture", "kind", "about", "owner", "when"), rows), ""]
    for cost in made["costs"]:
        lines += _cost(cost)
    lines += finding_lines(made)
    return "\n".join(lines).rstrip() + "\n"


def _cost(cost: Mapping[str, Any]) -> list[str]:
    if not cost["recorded"]:
        return [
            f"## If {code(cost['posture'])} were pulled",
            "",
            "Nothing is recorded, so nothing is known of its cost.",
            "",
        ]
    text = (
        f"Of {cost['recorded']} recorded conversations {cost['cut']} more would be cut, {cost['legitimate']} of them without a doubt;"
        f" {cost['opened']} more would pass. Seen, not proved: what was not recorded is not counted."
    )
    rows = [
        [code(item["client"]), code(item["server"]), f"{item['protocol']}/{item['port']}", item["conversations"],
         md(item["criticality"]), md(item["owner"])]
        for item in cost["worst"]
    ]  # fmt: skip
    table = (
        [md_table(("client", "server", "protocol/port", "conversations", "criticality", "owner"), rows), ""]
        if rows
        else []
    )
    return [f"## If {code(cost['posture'])} were pulled", "", text, "", *table]
