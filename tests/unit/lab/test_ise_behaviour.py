# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""BEHAVIOUR.md of the emulated ISE names what the code has, with a source and what it is worth."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("uvicorn")

from tests.lab.ise.faults import KINDS as FAULTS
from tests.lab.ise.pushes import OUTCOMES
from tests.lab.ise.resources import KINDS
from tests.lab.ise.store import SETTINGS
from tests.lab.ise.versions import FIRST, LAST

WORTH = ("recorded", "documented", "assumed", "lab")
SECTIONS = {
    "Resources": set(KINDS),
    "Versions": {*FIRST, *LAST},
    "Settings": set(SETTINGS),
    "Push and sessions": set(OUTCOMES),
    "Faults by script": {*FAULTS, "status"},
}


def rows(root: Path) -> dict[str, list[list[str]]]:
    """The cells of the table rows below each heading, without header and rule."""
    text = (root / "tests" / "lab" / "ise" / "BEHAVIOUR.md").read_text(encoding="utf-8")
    found: dict[str, list[list[str]]] = {}
    for part in text.split("\n## ")[1:]:
        lines = [line for line in part.splitlines() if line.startswith("|")]
        found[part.splitlines()[0]] = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    return found


@pytest.mark.parametrize("section", sorted(SECTIONS))
def test_every_name_of_the_code_has_a_row_and_every_row_a_name(root: Path, section: str) -> None:
    names = [row[0].strip("`") for row in rows(root)[section]]
    assert sorted(names) == sorted(set(names))
    assert set(names) == SECTIONS[section]


def test_every_row_says_what_it_is_worth(root: Path) -> None:
    table = rows(root)
    assert set(SECTIONS) <= set(table)
    for section, found in table.items():
        assert found, section
        if section == "Faults by script":
            continue
        for row in found:
            assert any(word in row[-1] for word in WORTH), row
            assert row[-2] == "-" or re.search(r"S\d", row[-2]), row
            # What nobody published cannot be documented or recorded.
            assert row[-2] != "-" or re.search(r"assumed|lab", row[-1]), row


def test_switches_that_exist_are_documented_in_the_code_too(root: Path) -> None:
    text = (root / "tests" / "lab" / "ise" / "store.py").read_text(encoding="utf-8")
    for name in SETTINGS:
        assert re.search(rf'"{name}":', text), name
