# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad documents and captures through the playbooks: a numbered error with its place, a failed run, nothing written."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import LabTargets, Loop
from tests.lab.playbooks import SAMPLES, Site

PUMPS = "clinical/infusion_pumps.yml"
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(12)
)


def replace(old: str, new: str) -> Callable[[str], str]:
    def change(text: str) -> str:
        assert old in text
        return text.replace(old, new, 1)

    return change


CASES: dict[str, tuple[str, Callable[[str], str]]] = {
    "unknown key": (PUMPS, replace("owner: ", "ownr: x\nowner: ")),
    "undefined segment": (PUMPS, replace("to: pump_servers", "to: pump_server")),
    "overlapping SGT": (PUMPS, replace("sgt: 110", "sgt: 120")),
    "port 70000": ("services.yml", replace("ports: [1883]", "ports: [70000]")),
    "name with a newline": (PUMPS, replace("segment: infusion_pumps", 'segment: "infusion_pumps\\nno aaa"')),
    "name with a command": (PUMPS, replace("segment: infusion_pumps", 'segment: "infusion_pumps; no aaa"')),
    "YAML bomb": ("networks.yml", lambda _text: BOMB),
    "text that is no YAML": ("site.yml", lambda text: text + "\n  : [\n"),
}
# The others meet the same reader; their findings are told apart by unit tests.
QUICK = {"overlapping SGT", "name with a command", "YAML bomb"}


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=[] if case in QUICK else [pytest.mark.full]) for case in sorted(CASES)]
)
def test_a_bad_document_fails_with_number_file_and_line(
    case: str, loop: Loop, targets: LabTargets, tmp_path: Path
) -> None:
    site = loop.copy("learnt", tmp_path)
    name, change = CASES[case]
    path = site.policy / name
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")
    site.commit(case)
    counter = targets.writes()
    run = site.run("validate")
    assert run.code != 0
    assert "Traceback" not in run.output
    made = site.result("validate")
    assert made["ok"] is False
    # Of two segments with one SGT, the second is the one that is told.
    place = "clinical/patient_monitors.yml" if case == "overlapping SGT" else name
    found = [each for each in made["errors"] if each["file"].endswith(place)]
    assert found, made["errors"]
    assert all(re.fullmatch(r"SW2\d{3}|SW00\d\d", each["code"]) and each["line"] > 0 for each in found)
    assert found[0]["code"] in run.output
    assert not list(site.state.glob("*"))
    assert set(counter.counts().values()) == {0}


def test_a_bad_document_is_never_planned(loop: Loop, targets: LabTargets, tmp_path: Path) -> None:
    site = loop.copy("learnt", tmp_path)
    name, change = CASES["undefined segment"]
    path = site.policy / name
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")
    site.commit("undefined segment")
    counter = targets.writes()
    run = site.run("plan")
    assert run.code != 0
    assert re.search(r"\bSW2\d{3}\b", run.output)
    assert not (site.state / "plan.json").exists()
    assert set(counter.counts().values()) == {0}


def everything_below(directory: Path) -> dict[str, Any]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_a_capture_cut_in_the_middle_fails_with_its_offset_and_stores_nothing(loop: Loop, tmp_path: Path) -> None:
    whole = (SAMPLES / "clinical.pcap").read_bytes()
    cut = tmp_path / "cut.pcap"
    cut.write_bytes(whole[: len(whole) // 2 + 7])
    site = loop.copy("collected", tmp_path)
    before = everything_below(site.data / "flows")
    run = site.run("collect", microseg_flow_sources=[str(cut)], microseg_device_facts=False)
    assert run.code != 0
    made = site.result("collect")
    assert made["ok"] is False
    assert [(each["code"], Path(each["file"]).name) for each in made["errors"]] == [("SW1404", "cut.pcap")]
    assert re.search(r"\(byte \d+\)", made["errors"][0]["message"])
    assert "SW1404" in run.output
    assert "Traceback" not in run.output
    after = everything_below(site.data / "flows")
    assert after == before
    # Who wants what stands before the damage says so.
    run = site.run("collect", microseg_flow_sources=[str(cut)], microseg_device_facts=False, microseg_partial=True)
    assert run.code == 0, run.tail()
    assert [each["code"] for each in site.result("collect")["warnings"]] == ["SW1404"]


def test_input_that_is_no_capture_is_refused(loop: Loop, tmp_path: Path) -> None:
    text = tmp_path / "notes.pcap"
    text.write_text("this is no capture\n" * 20, encoding="utf-8")
    site = loop.copy("collected", tmp_path)
    run = site.run("collect", microseg_flow_sources=[str(text)], microseg_device_facts=False)
    assert run.code != 0
    assert re.search(r"\bSW14\d\d\b", run.output)
    assert "notes.pcap" in run.output


def test_a_missing_register_is_an_error_of_propose(loop: Loop, tmp_path: Path) -> None:
    site: Site = loop.copy("collected", tmp_path)
    (site.data / "register" / "register.json").unlink()
    run = site.run("propose")
    assert run.code != 0
    assert re.search(r"\bSW46\d\d\b", run.output)
    assert not (site.policy / "members.lock.json").exists()
