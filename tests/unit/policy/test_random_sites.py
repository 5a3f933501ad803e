# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No valid policy directory is refused: random sites of every kind of document load, and no rule finds anything."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.check import load_checked
from tests.unit.policy.random_sites import TODAY, emit, random_documents, write_documents


def test_no_valid_site_is_refused(tmp_path: Path, full: bool) -> None:
    kinds: set[str] = set()
    for seed in range(1000 if full else 25):
        directory = tmp_path / str(seed)
        write_documents(random_documents(seed, segments=2 + seed % 9), directory, seed)
        result = load_checked(directory, TODAY)
        assert result.findings == (), f"seed {seed}: " + "\n".join(map(str, result.findings))
        assert result.site is not None
        kinds |= {f"{point.kind} {point.platform}" for point in result.site.points.values()}
        assert result.site.exceptions
        assert result.site.postures
        assert any(member.addresses for members in result.site.members.values() for member in members)
    assert len(kinds) == 8


def test_a_seed_gives_the_same_documents_and_lines() -> None:
    documents = random_documents(7)
    assert documents == random_documents(7)
    assert documents != random_documents(8)
    text, lines = emit(documents["site.yml"], 3)
    assert (text, lines) == emit(documents["site.yml"], 3)
    for path, line in lines.items():
        name = path[-1]
        assert isinstance(name, int) or text.split("\n")[line - 1].lstrip(" -").startswith(name)
