# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Seeded faulty policy sets: each is refused with exactly the expected codes at the expected lines.

A valid random site is spoilt in one way (``faults/``); code, file and line are known from what was changed and where it was
written. A quick run makes one set of each class, a full run five: more than two hundred and each class at least twice.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.check import load_checked
from tests.unit.policy.faults.base import LINE_1, NO_LINE, Expected, Fault, Spoiled
from tests.unit.policy.faults.registered import FAULTS
from tests.unit.policy.random_sites import TODAY, Lines, Path_, random_documents, write_documents

SETS = 5
ATTEMPTS = 60


def spoilt_site(item: Fault, number: int, directory: Path) -> Counter[tuple[str, str, int]]:
    """Write the set of a class and number; return the findings that it must have: code, file, line."""
    for attempt in range(ATTEMPTS):
        seed = f"{item.name} {number} {attempt}"
        chance = random.Random(seed)
        layout = chance.randrange(1, 10**6)
        site = Spoiled(random_documents(chance.randrange(10**6), segments=chance.randint(2, 7)), chance)
        expected = item.make(site)
        if expected is None:
            continue
        lines = write_documents(site.documents, directory, layout)
        for file, path, change in site.edits:
            edit(directory / file, lines[file][path], change)
        return Counter((code, file, _line(lines, file, path)) for code, file, path in expected)
    raise AssertionError(f"{item.name}: no site has anything to spoil in this way")


def edit(path: Path, line: int, change: Callable[[str], str]) -> None:
    """Change one line (from 1) of a file."""
    text = path.read_text(encoding="utf-8").split("\n")
    text[line - 1] = change(text[line - 1])
    path.write_text("\n".join(text), encoding="utf-8")


def _line(lines: Lines, file: str, path: Path_) -> int:
    if path == LINE_1:
        return 1
    if path == NO_LINE:
        return 0
    if path and path[-1] == "next line":
        return lines[file][path[:-1]] + 1
    return lines[file][path] if path else min(lines[file].values())


@pytest.mark.one_python
@pytest.mark.parametrize("item", FAULTS, ids=lambda item: item.name)
def test_a_faulty_set_gives_exactly_its_findings(item: Fault, tmp_path: Path, full: bool) -> None:
    """Read from the files, and again from the cache of documents."""
    for number in range(SETS if full else 1):
        directory = tmp_path / str(number)
        expected = spoilt_site(item, number, directory)
        for _time in range(2):
            result = load_checked(directory, TODAY, cache=tmp_path / "cache")
            found = Counter((f.code, f.file, f.line) for f in result.findings)
            assert found == expected, f"set {number}:\n" + "\n".join(map(str, result.findings))
            assert all(f.message and f.hint for f in result.findings)


def test_there_are_two_hundred_sets_and_classes_have_names_of_their_own() -> None:
    assert SETS >= 2
    assert len(FAULTS) * SETS >= 200
    assert len({item.name for item in FAULTS}) == len(FAULTS)


def test_what_is_expected_is_known_by_construction(tmp_path: Path) -> None:
    """A change of line in the expectation is noticed: the sets are not compared loosely."""
    item = next(item for item in FAULTS if item.name == "rule_with_an_unknown_service")
    expected = spoilt_site(item, 0, tmp_path)
    found = Counter((f.code, f.file, f.line) for f in load_checked(tmp_path, TODAY).findings)
    moved: Counter[tuple[str, str, int]] = Counter({(code, file, line + 1): 1 for code, file, line in expected})
    assert found == expected != moved


def codes_of_faults() -> set[str]:
    """Return the codes that some class expects, for the test that every code is shown by a case."""
    found: set[str] = set()
    for item in FAULTS:
        for attempt in range(ATTEMPTS):
            chance = random.Random(attempt)
            expected: list[Expected] | None = item.make(Spoiled(random_documents(attempt, segments=5), chance))
            if expected is not None:
                found |= {code for code, _file, _path in expected}
                break
    return found
