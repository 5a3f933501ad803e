# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the hosts said goes into the register and into one result, whichever of them failed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.model import AddressClaim, Observation
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps import device_facts
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.collect import run_collect_report
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.device_facts import (
    Read,
    endpoint_observations,
    outcome,
    run_device_facts,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.facts import HostFacts
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.spec import TargetSpec

PUMP, CORE, STATION = "02:1a:10:00:00:11", "02:00:00:00:00:01", "02:1a:10:00:00:77"
NOW = 1_795_000_000_000_000


def seen(mac: str, source: str, **facts: Any) -> Observation:
    return Observation(mac, facts, (), source, NOW, 0.9)


def read(name: str, *observations: Observation, infrastructure: frozenset[str] = frozenset()) -> Read:
    return Read(name, "ios", HostFacts(name, "ios", observations, (), {}, infrastructure), (), 0.1)


def unread(name: str) -> Read:
    return Read(name, "ios", None, (codes.UNREACHABLE.at(f"{name} (192.0.2.9 port 22)"),), 0.1)


def values(data: Path, **more: Any) -> dict[str, Any]:
    return {"data_dir": str(data), "check_mode": False, **more}


def test_switches_and_routers_are_no_devices_of_the_register_but_stations_that_bridge_are() -> None:
    neighbours = frozenset({CORE, STATION})
    reads = [
        read("acc1", seen(PUMP, "acc1:mac-table"), seen(CORE, "acc1:lldp"), infrastructure=neighbours),
        read("acc2", seen(CORE.upper(), "acc2:mac-table"), seen(STATION, "acc2:session")),
        unread("acc3"),
    ]
    assert {each.mac.lower() for each in endpoint_observations(reads)} == {PUMP, STATION}


def test_being_seen_again_is_no_change_and_another_place_is(tmp_path: Path) -> None:
    first = outcome(values(tmp_path), [read("acc1", seen(PUMP, "acc1:session", interface="GigabitEthernet1/0/1"))], [])
    assert (first["changed"], first["new_devices"], first["updated"]) == (True, [PUMP], 0)
    later = Observation(PUMP, {"interface": "GigabitEthernet1/0/1"}, (), "acc1:session", NOW + 60_000_000, 0.9)
    assert outcome(values(tmp_path), [read("acc1", later)], [])["changed"] is False
    moved = Observation(PUMP, {"interface": "GigabitEthernet1/0/2"}, (), "acc1:session", NOW + 120_000_000, 0.9)
    checked = outcome(values(tmp_path, check_mode=True), [read("acc1", moved)], [])
    assert (checked["changed"], checked["updated_devices"]) == (True, [PUMP])
    assert outcome(values(tmp_path), [read("acc1", moved)], [])["updated_devices"] == [PUMP]
    claim = Observation(PUMP, {}, (AddressClaim("192.0.2.11", NOW, NOW + 5),), "acc1:arp", NOW + 5, 0.8)
    assert outcome(values(tmp_path), [read("acc1", claim)], [])["updated_devices"] == [PUMP]


def test_hosts_that_fail_are_named_and_fail_the_step_only_where_all_do_or_by_strict(tmp_path: Path) -> None:
    reads = [read("acc1", seen(PUMP, "acc1:session", interface="GigabitEthernet1/0/1")), unread("acc2")]
    made = outcome(values(tmp_path), reads, ["fw1"])
    assert "failed" not in made
    assert (made["failed_hosts"], made["skipped_hosts"], made["devices"]) == (["acc2"], ["fw1"], 1)
    assert "acc2" in made["warnings"][0] and "SW4202" in made["warnings"][0]
    strict = outcome(values(tmp_path, strict=True), reads, [])
    assert strict["failed"] is True and "SW4202" in strict["msg"]
    none = outcome(values(tmp_path / "none"), [unread("acc1"), unread("acc2")], [])
    assert none["failed"] is True and "1 more" in none["msg"]
    assert not (tmp_path / "none").exists()


def test_a_surprise_with_one_host_is_a_finding_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    def surprise(*_arguments: Any, **_more: Any) -> HostFacts:
        raise RuntimeError("cannot log in as netops/hunter2-secret")

    monkeypatch.setattr(device_facts, "read_ios_facts", surprise)
    spec = TargetSpec("acc1", "ios", "192.0.2.1", 22, "netops", "hunter2-secret")
    made = device_facts.read_host(spec, 1.0, {})
    assert not made.ok and made.findings[0].code == "SW0099"
    assert "hunter2-secret" not in str(made.findings)


@pytest.mark.parametrize("bad", [{"workers": 0}, {"workers": 5000}, {"command_timeout": -1}, {"connect_timeout": 1e9}])
def test_limits_of_the_arguments(tmp_path: Path, bad: dict[str, Any]) -> None:
    variables = {"hostvars": {}, "ansible_play_hosts": []}
    with pytest.raises(FindingError, match="SW4601"):
        run_device_facts(values(tmp_path, **bad), variables)


def test_one_result_of_both_steps(tmp_path: Path) -> None:
    flows = {
        "changed": True,
        "inputs": [{"status": "imported"}, {"status": "known"}],
        "records": 20,
        "connections": 9,
        "days": ["2026-11-23"],
        "errors": [],
        "warnings_found": [
            {"code": "SW1499", "severity": "warning", "message": "a gap", "file": "", "line": 0, "hint": ""}
        ],
    }
    reads = [read("acc1", seen(PUMP, "acc1:session", interface="GigabitEthernet1/0/1")), unread("acc2")]
    devices = outcome(values(tmp_path), reads, [])
    asked = {"data_dir": str(tmp_path), "policy_dir": str(tmp_path), "output_dir": "", "check_mode": False}
    made = run_collect_report({**asked, "flows": flows, "devices": devices})
    written = json.loads((tmp_path / "out" / "collect.json").read_text())
    assert written == made["result"]
    assert written["kind"] == "collect" and written["ok"] is True
    assert {each["code"] for each in written["warnings"]} == {"SW1499", "SW4202"}
    counts = written["counts"]
    assert (counts["inputs"], counts["new_inputs"], counts["devices"], counts["findings"]) == (2, 1, 1, 2)
    assert made["summary"] == (
        "2 inputs (1 new); 20 records, 9 connections on 1 days;"
        " 1 devices (1 new, 0 changed, 0 conflicts) from 1 of 2 hosts; no facts from acc2; 2 findings"
    )
    skipped = run_collect_report({**asked, "flows": {"skipped": True}, "devices": {}, "check_mode": True})
    assert skipped["summary"] == "nothing was asked for"
    failed = outcome(values(tmp_path), [unread("acc2")], [])
    assert run_collect_report({**asked, "devices": failed})["result"]["ok"] is False
