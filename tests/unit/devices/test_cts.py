# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Counters of cells and entries of lists as switches print them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.parsers.cts import (
    CellCounters,
    CountedEntry,
    counters,
    list_entries,
)

HEAD = "From    To      SW-Denied  HW-Denied  SW-Permitt HW-Permitt SW-Monitor HW-Monitor\n"


@pytest.mark.corpora
def test_every_recorded_output_is_read_as_another_parser_reads_it(corpora: Path) -> None:
    folder = corpora / "device-outputs" / "cisco_iosxe" / "show_cts_role-based_counters"
    seen = 0
    for path in sorted(folder.glob("*.txt")):
        parsed = counters(path.read_text(encoding="utf-8"))
        expected = json.loads(path.with_suffix(".expected.json").read_text())["expected"]["cts_rb_count"]
        assert parsed.whole
        assert [
            (each.denied, each.permitted, each.monitored) for each in parsed.entries
        ] == [
            tuple(row[f"sw_{name}_count"] + row[f"hw_{name}_count"] for name in ("denied", "permit", "monitor"))
            for row in expected.values()
        ]  # fmt: skip
        tags = {"*": -1}
        assert [(each.source, each.destination) for each in parsed.entries] == [
            tuple(tags.get(row[key]) or int(row[key]) for key in ("src_group", "dst_group"))
            for row in expected.values()
        ]
        seen += len(parsed.entries)
    assert seen > 20


def test_columns_go_by_their_titles_and_nothing_is_guessed() -> None:
    older = (
        "Role-based IPv4 counters\nFrom    To      SW-Denied  HW-Denied  SW-Permitted  HW-Permitted\n10 20 1 2 3 4\n"
    )
    assert counters(older).entries == (CellCounters(10, 20, 3, 7, 0),)
    parsed = counters(f"{HEAD}10 20 1 2 3 4 5\nUnknown 20 0 1 0 2 0 3\n10 70000000 0 0 0 0 0 0\n10 20 - 0 0 0 0 0\n")
    assert parsed.entries == (CellCounters(0, 20, 1, 2, 3),)
    assert len(parsed.findings) == 3
    assert not counters("").whole
    with pytest.raises(FindingError):
        counters("% Invalid input detected at '^' marker.")


@pytest.mark.parametrize(
    ("line", "text", "matches"),
    [
        ("    10 permit tcp dst eq 443 (12 matches)", "permit tcp dst eq 443", 12),
        ("    20 deny ip log (1 match)", "deny ip log", 1),
        ("1 permit udp any eq bootpc any eq bootps", "permit udp any eq bootpc any eq bootps", 0),
        ("    10 permit tcp any any (3 matches) (5 estimate matches)", "permit tcp any any", 3),
        ("    permit tcp any any eq bgp (8 matches) sequence 10", "permit tcp any any eq bgp", 8),
    ],
)
def test_entries_and_their_matches(line: str, text: str, matches: int) -> None:
    for head in (
        "Role-based IP access list SW_a_b-01 (downloaded)",
        "Extended IP access list xACSACLx-IP-SW_a-65be44ec",
        "Extended IP access list xACSACLx-IP-SW_a-65be44ec (per-user)",
        "IPv6 access list xACSACLx-IPV6-a-65be44ec",
    ):
        parsed = list_entries(f"{head}\n{line}\n")
        assert parsed.whole
        assert parsed.entries == (CountedEntry(text, matches),)


def test_a_line_that_is_no_entry_is_said() -> None:
    parsed = list_entries("Extended IP access list X\n    10 permit ip any any\n    dynamic foo\n")
    assert len(parsed.entries) == 1 and not parsed.whole
