# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Learning from the samples yields the repository's own policies, keeps what people wrote, and never the scan."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tests.integration.conftest import Loop
from tests.lab.description import load_hospital
from tests.lab.judge import read_policy
from tests.lab.playbooks import Site


def over_policies(loop: Loop, policies: Path, directory: Path) -> Site:
    """What was collected, with the repository's complete policies instead of the base documents."""
    site = loop.copy("collected", directory)
    data = directory / "data"
    shutil.move(site.data, data)
    names = sorted(path.name for path in policies.iterdir())
    site.create(names, policies)
    shutil.move(data, site.data)
    return site


def test_proposing_over_the_policies_changes_no_segment_and_no_membership(
    loop: Loop, policies: Path, tmp_path: Path
) -> None:
    site = over_policies(loop, policies, tmp_path)
    run = site.run("propose")
    assert run.code == 0, run.tail()
    changed = [line[3:] for line in site.git("status", "--porcelain", "--untracked-files=all").splitlines()]
    assert [name for name in changed if not name.startswith("evidence/")] == []


def test_proposing_twice_changes_nothing(loop: Loop, tmp_path: Path) -> None:
    site = loop.copy("learnt", tmp_path)
    for flags in (["--check", "--diff"], []):
        run = site.run("propose", *flags)
        assert run.code == 0, run.tail()
        assert site.git("status", "--porcelain") == ""
    assert site.result("propose")["files"] == []


def test_what_a_person_wrote_survives(loop: Loop, tmp_path: Path) -> None:
    site = loop.copy("learnt", tmp_path)
    path = site.policy / "clinical" / "infusion_pumps.yml"
    text = path.read_text(encoding="utf-8")
    commented = text.replace("criticality:", "# agreed with the ward on Monday\ncriticality:", 1)
    assert commented != text
    path.write_text(commented, encoding="utf-8")
    site.commit("A comment")
    assert site.run("propose").code == 0
    assert path.read_text(encoding="utf-8") == commented


def test_the_base_documents_yield_the_permissions_of_the_policies(loop: Loop, policies: Path) -> None:
    learnt = read_policy(loop.copies / "learnt" / "site")
    written = read_policy(policies)
    assert set(learnt.permitted) == set(written.permitted)
    assert learnt.segment_of == written.segment_of
    assert learnt.points == written.points


def test_the_scan_never_becomes_a_rule_and_is_reported(loop: Loop) -> None:
    scan = load_hospital().scan
    made = loop.results["propose"]
    assert made["learnt"]["scans"] == 1
    assert [each for each in made["warnings"] if scan.source in each["message"] and "ports on" in each["message"]]
    segment = load_hospital().hosts[scan.source].segment
    learnt = [each for each in made["rules"] if each["client"] == segment]
    assert {(each["to"], *each["services"]) for each in learnt} == {
        ("infrastructure", "dns"),
        ("infrastructure", "ntp"),
        ("video_recorders", "https"),
    }


def test_every_rule_carries_evidence(loop: Loop) -> None:
    site = loop.copies / "learnt" / "site"
    files = sorted((site / "evidence").glob("*.json"))
    assert files
    for path in files:
        for rule in json.loads(path.read_text(encoding="utf-8"))["rules"].values():
            assert rule["flows"] > 0
            assert rule["first_seen"] <= rule["last_seen"]
