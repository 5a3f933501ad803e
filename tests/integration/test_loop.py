# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole loop on shipped captures and the lab's real protocols, judged by the JSON that each step writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.integration.conftest import Loop
from tests.lab.description import load_hospital

HEAD = {"kind", "schema_version", "collection_version", "policy_commit", "generated_at", "ok", "errors", "warnings"}


def test_collect_stores_flows_and_a_register_of_every_device(loop: Loop) -> None:
    hospital = load_hospital()
    data = loop.site.data
    assert list((data / "flows" / "connections").glob("day=*/*.parquet"))
    assert list((data / "flows" / "rollup").glob("day=*/*.parquet"))
    register = json.loads((data / "register" / "register.json").read_text())
    assert (register["kind"], register["schema_version"].split(".")[0]) == ("register", "1")
    devices = {each["id"]: each for each in register["devices"]}
    for host in hospital.hosts.values():
        facts = devices[host.mac]["facts"]
        assert facts["endpoint_profile"]["value"] == host.profile
        assert (facts["switch"]["value"], facts["interface"]["value"]) == (host.switch, host.interface)
        assert {"source", "time", "confidence"} <= set(facts["endpoint_profile"])
        assert host.address in {each["address"] for each in devices[host.mac]["addresses"]}


@pytest.mark.parametrize("step", ["propose", "validate", "apply", "verify"])
def test_each_result_has_the_common_head(loop: Loop, step: str) -> None:
    made = loop.results[step]
    assert set(made) >= HEAD
    assert made["ok"] is True
    assert made["errors"] == []
    assert made["kind"] == step


def test_propose_learns_the_true_segments_and_reports_the_scan(loop: Loop) -> None:
    hospital = load_hospital()
    made = loop.results["propose"]
    assert made["learnt"]["devices"] == len(hospital.hosts)
    assert made["learnt"]["segments"] == len(hospital.segments())
    assert made["learnt"]["scans"] == 1
    assert made["learnt"]["rules"] == len(made["rules"]) > 0
    lock = json.loads((loop.copies / "learnt" / "site" / "members.lock.json").read_text())
    addresses = {
        name: sorted(address for device in value["devices"] for address in device["addresses"])
        for name, value in lock["segments"].items()
    }
    assert addresses == {name: sorted(each.address for each in hosts) for name, hosts in hospital.segments().items()}


def test_validate_proves_lists_guardrails_and_expectations(loop: Loop) -> None:
    made = loop.results["validate"]
    assert made["equivalence"]
    assert all(each["equal"] for each in made["equivalence"])
    assert {each["outcome"] for each in made["guardrails"]} == {"proved"}
    assert made["expectations"]
    assert all(each["met"] for each in made["expectations"])
    replay = made["replay"]
    assert replay["permitted"] > 0
    # Only the scan, and nothing legitimate, would be cut.
    assert [each for each in replay["cut"] if not each["doubt"]] == []
    assert replay["cut"]


def test_plan_names_commit_live_state_and_effect(loop: Loop) -> None:
    plan = loop.results["plan"]
    assert plan["policy_commit"] == loop.results["apply"]["policy_commit"] == loop.site.git("rev-parse", "HEAD").strip()
    parts = {each["name"]: each for each in plan["targets"]}
    assert {name for name, each in parts.items() if each["operations"]} == {"acc2", "fw1", "ise1"}
    assert all(len(each["live_sha256"]) == 64 for each in parts.values())
    assert plan["effect"]["kept"] > 0
    assert plan["effect"]["unseen_cut"] > 0
    assert [each for each in plan["effect"]["seen_cut"] if not each["doubt"]] == []
    for name in ("plan.md", "plan.html"):
        assert (loop.site.output / name).stat().st_size > 500


def test_check_mode_writes_nothing_and_apply_carries_out_every_operation(loop: Loop) -> None:
    assert set(loop.writes["check"].values()) == {0}
    made = loop.results["apply"]
    planned = {(part["name"], each["id"]) for part in loop.results["plan"]["targets"] for each in part["operations"]}
    assert {(each["target"], each["id"]) for each in made["completed"]} == planned
    assert made["remaining"] == []
    for target in ("ise1", "acc2", "fw1"):
        assert loop.writes["apply"][target] > 0
    assert loop.writes["apply"]["acc1"] == 0
    assert (loop.site.state / "journal.jsonl").exists()


def test_verify_finds_every_target_equal(loop: Loop) -> None:
    made = loop.results["verify"]
    assert made["drift"] == []
    assert all(each["equal"] for each in made["targets"])
    assert {"ise1", "acc2", "fw1"} <= {each["name"] for each in made["targets"]}
    assert set(loop.writes["verify"].values()) == {0}


def test_no_step_warns_of_deprecation_or_shows_a_credential(loop: Loop) -> None:
    from tests.lab import credentials

    secrets = (credentials.ISE_PASSWORD, credentials.SWITCH_PASSWORD, credentials.SWITCH_ENABLE)
    assert len(loop.runs) >= 7
    for name, run in loop.runs.items():
        assert "[DEPRECATION WARNING]" not in run.output, name
        assert not [each for each in secrets if each in run.output], name
    written = [path for path in Path(loop.site.data).rglob("*") if path.suffix in (".json", ".jsonl", ".md", ".html")]
    assert len(written) > 8
    for path in written:
        text = path.read_text(encoding="utf-8")
        assert not [each for each in secrets if each in text], path.name


def test_a_playbook_runs_by_its_fully_qualified_name(loop: Loop, tmp_path: Path) -> None:
    site = loop.copy("learnt", tmp_path)
    (site.output / "validate.json").unlink()
    run = site.run("segwright.microseg.validate")
    assert run.code == 0, run.tail()
    assert site.result("validate")["ok"] is True
    assert "[DEPRECATION WARNING]" not in run.output
