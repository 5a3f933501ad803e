# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A live ISE exported by the module, compiled, applied to an empty ISE: both matrices decide packets alike, read from the emulators."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.apply import apply_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import Journal
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import build_plan, snapshot_all
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.rollback import rollback_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.compile import compile_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import DesiredTarget
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.loader import load_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise import IseTarget
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_client import IseClient
from tests.lab.ise.client import ControlClient
from tests.lab.ise.server import IseServer
from tests.lab.playbooks import program
from tests.unit.steps.test_ise_export import packets, passes_by_itself, permits

HOST, EMPTY = "127.10.187.10", "127.10.187.11"
COMMIT = "c" * 40
SEED: dict[str, Any] = {
    "settings": {"allow_multiple_sgacls": True, "push_delay": 0.0},
    "sgts": [{"name": "Pumps", "value": 100}, {"name": "Pump_Servers", "value": 200}, {"name": "Cameras", "value": 300}],
    "sgacls": [
        {"name": "Mqtt", "lines": ["permit tcp dst eq 1883"]},
        {"name": "Web", "lines": ["  permit  tcp dst eq 443", "permit icmp echo", "deny ip"]},
        {"name": "Back", "lines": [
            "permit tcp src eq 1883 established", "permit tcp src eq 443 established", "permit icmp echo-reply", "deny ip",
        ]},
        {"name": "Black", "lines": ["deny tcp dst eq 23", "permit ip"]},
    ],
    "cells": [
        {"source": "Pumps", "destination": "Pump_Servers", "status": "ENABLED", "sgacls": ["Mqtt", "Web"]},
        {"source": "Pump_Servers", "destination": "Pumps", "status": "ENABLED", "sgacls": ["Back"]},
        {"source": "Cameras", "destination": "Pumps", "status": "ENABLED", "sgacls": ["Black"]},
    ],
    "dacls": [{"name": "Pump_Access", "lines": ["permit tcp any host 10.1.1.1 eq 443", "deny ip any any"]}],
    "authorization_profiles": [{"name": "Pump_Profile", "dacl": "Pump_Access"}],
}  # fmt: skip


def matrix(control: ControlClient) -> dict[tuple[int, int], str]:
    """The matrix as the emulator stores it: text by tags, built here from its raw objects."""
    objects = control.state()["objects"]
    tags = {identifier: item["value"] for identifier, item in objects["sgt"].items()}
    texts = {identifier: str(item.get("aclcontent") or "") for identifier, item in objects["sgacl"].items()}
    made = {}
    for item in objects["egressmatrixcell"].values():
        lines = [
            {"Permit IP": "permit ip", "Deny IP": "deny ip"}.get(objects["sgacl"][each]["name"], texts[each])
            for each in item["sgacls"]
        ]
        lines += [{"DENY_IP": "deny ip", "PERMIT_IP": "permit ip"}.get(item["defaultRule"], "")]
        if item["sourceSgtId"] in tags and item["destinationSgtId"] in tags:
            made[tags[item["sourceSgtId"]], tags[item["destinationSgtId"]]] = "\n".join(lines)
    return made


def closed(control: ControlClient) -> None:
    """The ANY-ANY cell denies, as on a site that closed its matrix."""
    state = control.state()
    for item in state["objects"]["egressmatrixcell"].values():
        if "Default egress rule" in str(item.get("description")):
            deny = next(k for k, v in state["objects"]["sgacl"].items() if v["name"] == "Deny IP")
            item["defaultRule"], item["sgacls"] = "DENY_IP", [deny] if item["sgacls"] else []
    control.restore(state)


def taken_over(client: IseClient, control: ControlClient, desired: list[DesiredTarget], place: Path) -> None:
    """The same ISE takes the policy over: only what is named, nothing of a group moves, the way back is text for text."""
    names = json.loads(next(place.rglob("ise_export.json")).read_text(encoding="utf-8"))["adopt_names"]
    assert {name for name in names if name.startswith("sgt/")} == {"sgt/Pumps", "sgt/Pump_Servers"}
    before, decided = standing(control), matrix(control)
    plain = {"ise1": IseTarget("ise1", client, push_seconds=5.0)}
    with pytest.raises(FindingError) as refused:
        build_plan(plain, desired, snapshot_all(plain, desired), policy_commit=COMMIT)
    assert {item.code for item in refused.value.findings} == {"SW4220"}
    assert standing(control) == before
    targets = {"ise1": IseTarget("ise1", client, adopt=names, push_seconds=5.0)}
    plan = build_plan(targets, desired, snapshot_all(targets, desired), policy_commit=COMMIT)
    journal = Journal(place / "taken.jsonl")
    outcome = apply_plan(plan, targets, desired, journal, policy_commit=COMMIT)
    assert outcome.ok, outcome.findings
    after = standing(control)
    for key in before:
        if key.startswith("sgt/"):
            assert after[key]["id"] == before[key]["id"]
            assert after[key]["value"] == before[key]["value"]
    for pair, text in matrix(control).items():
        for packet in packets(Random(4), 200):
            if not passes_by_itself(packet, False):
                assert permits(decided.get(pair, "deny ip"), packet) == permits(text, packet), (pair, packet)
    back = rollback_plan(plan.plan_id, targets, journal)
    assert back.ok, back.findings
    assert standing(control) == before


def standing(control: ControlClient) -> dict[str, dict[str, Any]]:
    """Every object as it stands, without the numbers that ISE gives each writing."""
    return {
        f"{kind}/{item['name']}": {
            key: value for key, value in item.items() if key not in ("generationId", "_modified")
        }
        for kind, items in control.state()["objects"].items()
        for item in items.values()
    }


def test_the_exported_policy_brings_the_same_matrix_about(
    root: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with (
        IseServer(HOST, 9060, tmp_path_factory.mktemp("live"), SEED) as live,
        IseServer(EMPTY, 9060, tmp_path_factory.mktemp("empty"), {"settings": {"push_delay": 0.0}}) as empty,
    ):
        control = ControlClient(live.control_url)
        closed(control)
        control.reset_counters()
        book, inventory = tmp_path / "export.yml", tmp_path / "hosts.yml"
        host = {
            "microseg_platform": "ise", "ansible_host": HOST, "ansible_port": 9060, "ansible_user": live.username,
            "ansible_password": live.password, "microseg_ca_file": live.ca_file, "microseg_ise_version": "3.5",
        }  # fmt: skip
        inventory.write_text(yaml.safe_dump({"all": {"hosts": {"ise1": host}}}), encoding="utf-8")
        task = {
            "name": "Export",
            "segwright.microseg.ise_export": {
                "target": "ise1", "policy_dir": str(tmp_path / "policies"), "data_dir": str(tmp_path / "data"),
            },
        }  # fmt: skip
        book.write_text(yaml.safe_dump([{"hosts": "ise1", "gather_facts": False, "tasks": [task]}]), encoding="utf-8")
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
        run = subprocess.run(
            [str(program("ansible-playbook")), "-i", str(inventory), str(book)],
            cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
            env={
                **kept, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                "ANSIBLE_COLLECTIONS_PATH": str(root / "collections"), "ANSIBLE_HOME": str(tmp_path / "home"),
            },
        )  # fmt: skip
        assert run.returncode == 0, run.stdout + run.stderr
        assert control.counters()["writes"] == 0
        site = load_site(tmp_path / "policies").site
        assert site is not None
        stages = {name: item.stage for name, item in site.assignments.items()}
        assert stages == {"Cameras": "observe", "Pump_Access": "enforce", "Pump_Servers": "enforce", "Pumps": "enforce"}
        desired = list(compile_site(site).targets)
        live_client = IseClient(
            live.base_url, live.username, live.password, ca_file=live.ca_file, version="3.5", rate=1000.0
        )
        taken_over(live_client, control, desired, tmp_path)
        live_client.close()
        client = IseClient(
            empty.base_url, empty.username, empty.password, ca_file=empty.ca_file, version="3.5", rate=1000.0
        )
        targets = {"ise1": IseTarget("ise1", client, push_seconds=5.0)}
        plan = build_plan(targets, desired, snapshot_all(targets, desired), policy_commit=COMMIT)
        outcome = apply_plan(plan, targets, desired, Journal(tmp_path / "journal"), policy_commit=COMMIT)
        assert outcome.ok, outcome.findings
        first, second = matrix(control), matrix(ControlClient(empty.control_url))
        client.close()
    assert set(second) - {(65535, 65535)} == {(100, 100), (100, 200), (200, 100), (200, 200)}
    assert first[65535, 65535] != second.pop((65535, 65535))  # what nobody exported stays what it is
    for pair, text in second.items():
        for packet in packets(Random(3), 300):
            if not passes_by_itself(packet, False):
                assert permits(first.get(pair, "deny ip"), packet) == permits(text, packet), (pair, packet)
