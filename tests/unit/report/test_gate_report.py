"""The gate's report as a comment: bounded, summary first, details folded, nothing breaks out of table or picture."""

from __future__ import annotations

from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.report.gate import LIMIT, edges_mermaid, gate_markdown

NASTY = '</details>"]|x|`end`\n# head <script>'


def finding(number: int, severity: str, text: str) -> dict[str, Any]:
    return {
        "code": "SW3130",
        "severity": severity,
        "message": f"{number} {text}",
        "file": "a.yml",
        "line": number,
        "hint": text,
    }


def row(number: int, change: str = "gained") -> dict[str, Any]:
    return {
        "change": change, "client": f"client {number} {NASTY}", "server": f"server {number}", "service": "tcp/443", "witness": NASTY * 9,
        "points": ["fw1"], "seen_conversations": 3, "seen_flows": 9, "last_seen": "2026-11-01T00:00:00Z",
    }  # fmt: skip


def result(size: int) -> dict[str, Any]:
    return {
        "ok": False, "policy_commit": "a" * 40, "generated_at": "2026-11-26T00:00:00Z", "counts": {"rules": size},
        "errors": [finding(n, "error", NASTY * 20) for n in range(size)],
        "warnings": [finding(n, "warning", NASTY * 20) for n in range(size)] + [finding(n, "info", NASTY) for n in range(size)],
        "impact": {"base": "b" * 40, "sentence": f"{size} kinds gained", "rows": [row(n) for n in range(size)], "left_out": 7},
        "rollout": {"safe": True, "steps": [{"what": "only add", "lists": [{"point": "fw1", "name": "n"}] * size}], "problems": []},
        "hygiene": [{"kind": "unused", "rule": f"r{n}", "text": NASTY * 5, "reach": "30 days"} for n in range(size)],
        "guardrails": [{"id": f"g{n}", "must": "never", "outcome": "proved", "witness": NASTY * 9, "note": ""} for n in range(size)],
        "edits": [], "situations": [], "replay": {
            "recorded": 5, "permitted": 1,
            "classes": {"proved": 1, "seen": 0}, "cut_total": size, "not_covered": 0, "from": "2026", "to": "2026",
            "cut_groups_total": size, "cut_groups": [{
                "client_segment": NASTY, "server_segment": "s", "protocol": "tcp", "port": 1, "conversations": 1, "flows": 1,
                "last_seen": "2026-11-01T00:00:00Z", "point": "fw1", "line": NASTY, "owner": NASTY, "doubt": "",
            } for _ in range(size)],
        },
    }  # fmt: skip


def test_whatever_was_found_fits_a_comment_and_the_outcome_comes_first() -> None:
    for size in (0, 1, 50, 3000):
        text = gate_markdown(result(size))
        assert len(text.encode()) <= LIMIT < 65_536
        assert text.startswith("# Policy gate: **failed**")
        lines = text.splitlines()
        assert (
            lines.count("<details>") == lines.count("</details>") == sum(line.startswith("<summary>") for line in lines)
        )
    assert "Left out here, in validate.json" in gate_markdown(result(3000))


def test_names_cannot_leave_the_picture() -> None:
    lines = edges_mermaid([row(1), row(2, "lost")])[0].splitlines()
    assert lines[0] == "```mermaid" and lines[-1] == "```" and len(lines) == 9
    assert all(line.count('"') == 2 for line in lines[2:-1])
    assert "-->" in lines[-3] and "-.->" in lines[-2]


def test_more_edges_than_a_picture_holds_are_counted() -> None:
    assert edges_mermaid([row(number) for number in range(40)])[2] == "Not drawn: 10 more edges."


def test_rows_that_a_reader_cannot_tell_apart_are_one() -> None:
    found = {**result(0), "replay": {**result(3)["replay"]}}
    found["replay"]["cut_groups"][2]["last_seen"] = "2026-11-05T00:00:00Z"
    text = gate_markdown({**found, "errors": [], "impact": None, "rollout": None})
    rows = [line for line in text.splitlines() if "tcp/1" in line]
    assert len(rows) == 1
    assert "| 3 | 3 | 2026-11-05 |" in rows[0]
    assert "more kinds" not in text


def test_long_errors_leave_room_for_the_rest() -> None:
    """Forty errors of the longest texts in letters of four bytes each."""
    errors = [{**finding(n, "error", "\U0001f691" * 700), "hint": "\U0001f691" * 700} for n in range(60)]
    text = gate_markdown({**result(0), "errors": errors})
    assert len(text.encode()) <= LIMIT
    assert text.startswith("# Policy gate: **failed**")
    assert "60 errors" in text and "... and " in text
