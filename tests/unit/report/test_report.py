# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reports: hostile names cannot break out of Markdown or HTML, tables keep their shape, pages load nothing."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.report.gate import gate_markdown
from ansible_collections.segwright.microseg.plugins.plugin_utils.report.html import plan_html
from ansible_collections.segwright.microseg.plugins.plugin_utils.report.markdown import (
    plan_markdown,
    propose_markdown,
    verify_markdown,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.report.text import code, esc, md

HOSTILE = '<script>alert(1)</script>|`x`](javascript:a) "\n## title'


def plan() -> dict[str, Any]:
    row = {
        "client": HOSTILE,
        "server": "s",
        "protocol": "tcp",
        "port": 1,
        "flows": 1,
        "days": 1,
        "point": HOSTILE,
        "line": HOSTILE,
        "doubt": "",
    }
    step = {"action": "create", "kind": "sgacl", "name": HOSTILE, "summary": HOSTILE, "diff": f"+{HOSTILE}\n```\n-gone"}
    return {
        "plan_id": "f" * 64,
        "policy_commit": "c" * 40,
        "created": "2026-11-23T00:00:00Z",
        "effect": {"sentence": HOSTILE, "reach": HOSTILE, "kept": 1, "unseen_cut": 2, "seen_cut": [row]},
        "targets": [{"name": HOSTILE, "platform": "ise", "operations": [step]}],
    }


VIEW = {
    "site": HOSTILE,
    "segments": [
        {
            "name": "a",
            "zone": HOSTILE,
            "sgt": 20,
            "owner": HOSTILE,
            "criticality": "high",
            "devices": 1,
            "stage": "enforce",
            "points": ["fw1"],
        },
        {
            "name": "b",
            "zone": "z",
            "sgt": None,
            "owner": "o",
            "criticality": "low",
            "devices": 2,
            "stage": "observe",
            "points": [],
        },
    ],
    "rules": [{"id": "r", "client": "a", "to": HOSTILE, "services": [HOSTILE], "origin": "manual", "reason": ""}],
}


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.addresses: list[str] = []
        self.unbalanced = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.addresses += [str(value) for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "br", "path", "rect"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in ("path", "rect"):
            return
        if not self.open or self.open.pop() != tag:
            self.unbalanced += 1


def test_a_page_is_well_formed_and_runs_and_loads_nothing() -> None:
    page = plan_html(plan(), VIEW)
    tags = Tags()
    tags.feed(page)
    assert not tags.open and not tags.unbalanced
    assert "script" not in tags.seen and "img" not in tags.seen and not tags.addresses
    assert "default-src 'none'" in page
    assert page.count("&lt;script&gt;") >= 8
    assert {"svg", "table"} <= tags.seen


def test_markdown_tables_keep_their_columns() -> None:
    text = plan_markdown(plan())
    rows = [line for line in text.splitlines() if line.startswith("|")]
    widths = {len(re.findall(r"(?<!\\)\|", row)) for row in rows}
    assert widths == {9}
    outside = re.sub(r"(?s)````diff\n.*?\n````", "", text)
    assert "\n## title" not in outside


def test_a_diff_with_a_fence_inside_stays_inside() -> None:
    text = plan_markdown(plan())
    fences = [line for line in text.splitlines() if line.startswith("````")]
    assert fences == ["````diff", "````"]


def test_every_report_says_what_failed_and_where() -> None:
    finding = {"code": "SW2101", "severity": "error", "message": "a|b", "file": "site.yml", "line": 4, "hint": "do"}
    head = {"ok": False, "policy_commit": "c", "generated_at": "now", "errors": [finding], "warnings": []}
    for made in (
        gate_markdown({**head, "counts": {"rules": 2}}),
        propose_markdown({**head, "learnt": {"devices": 1}}),
        verify_markdown(
            {**head, "targets": [], "drift": [{"target": "t", "kind": "k", "name": "n", "difference": "d"}]}
        ),
    ):
        assert "**failed**" in made and "SW2101" in made and "`site.yml:4`" in made and r"a\|b" in made


@pytest.mark.parametrize("text", ["a\\|<img src=x>", "a\\\\|<b>", "|", "`|\\|", "\\"])
def test_code_stays_one_cell(text: str) -> None:
    """GitHub's tables read a backslash before a bar as an escape of the bar, and two as an escaped backslash."""
    assert not re.search(r"(?<!\\)(?:\\\\)*\|", code(text)), code(text)
    assert code(text).count("`") == 2


def test_what_is_not_seen_is_shown() -> None:
    for show in (md, code, esc):
        assert show("pump\u202eexe\x1b[2J\u200b") == show("pump\ufffdexe\ufffd[2J\ufffd")
        assert "\u202e" not in show("a\u202eb")


@pytest.mark.parametrize("text", ["@octocat", "see @org/team-a", "(@x)", "\\@x", "a,@x @y", "*@x*"])
def test_nobody_is_called_by_a_device_named_after_them(text: str) -> None:
    """A forge takes a sign for a mention wherever no letter, digit, dot, plus or minus stands before it."""
    assert not re.search(r"(?<![\w.+-])@\w", md(text)), md(text)
    assert html.unescape(md(text)).replace("\u200b", "").replace("\\", "") == text.replace("\\", "")
    assert md("a.huber@example.org") == "a.huber@example.org"
