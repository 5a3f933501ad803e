# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inventory variables to connection specifications: what Ansible users set is honoured, unknown platforms are findings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Snapshot
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import objects_sha256
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.connections import platform_of, target_specs
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.fleet import run_hosts
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_snapshot import write_snapshot
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.registry import make_target
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.spec import TargetSpec

SWITCH = {
    "ansible_host": "127.0.0.9",
    "ansible_port": "2222",
    "ansible_user": "u",
    "ansible_password": "p",
    "ansible_become_password": "e",
    "ansible_network_os": "cisco.ios.ios",
}


def test_ansible_variables_of_a_switch_are_honoured() -> None:
    spec = target_specs({"sw": SWITCH}, ["sw"])[0]
    found = {
        key: spec[key]
        for key in ("name", "platform", "host", "port", "username", "password", "enable_password", "facts_transport")
    }
    assert found == {
        "name": "sw",
        "platform": "ios",
        "host": "127.0.0.9",
        "port": 2222,
        "username": "u",
        "password": "p",
        "enable_password": "e",
        "facts_transport": "netmiko",
    }


@pytest.mark.parametrize(
    ("more", "transport"),
    [
        ({"ansible_connection": "ansible.netcommon.network_cli"}, "libssh"),
        ({"ansible_connection": "network_cli", "ansible_network_cli_ssh_type": "paramiko"}, "netmiko"),
        ({"microseg_facts_transport": "libssh"}, "libssh"),
        ({"ansible_connection": "ssh"}, "netmiko"),
    ],
)
def test_network_cli_hosts_travel_over_libssh(more: dict[str, str], transport: str) -> None:
    assert target_specs({"sw": {**SWITCH, **more}}, ["sw"])[0]["facts_transport"] == transport


def test_what_may_be_taken_over_or_deleted_reaches_an_ise_and_a_plan_from_its_file(tmp_path: Path) -> None:
    host = {
        "microseg_platform": "ise", "ansible_host": "pan", "ansible_user": "u", "ansible_password": "p",
        "microseg_ise_adopt": "sgt/Pumps", "microseg_ise_delete": ["sgt/Pumps"], "microseg_ise_cascade": "A-B, C-D",
        "microseg_ise_assignment_pause": 3,
    }  # fmt: skip
    spec = target_specs({"ise": host}, ["ise"])[0]
    write_snapshot(
        tmp_path / "ise.json", Snapshot("ise", "ise", {}, objects_sha256({}), {}, "2026-11-26T09:00:00Z"), {}
    )
    for more in ({}, {"snapshot_file": str(tmp_path / "ise.json")}):
        target: Any = make_target(TargetSpec.of({**spec, **more}))
        assert (target.adopt, target.delete) == (frozenset({"sgt/Pumps"}), frozenset({"sgt/Pumps"}))
        assert (target.cascade, target.assignment_pause) == (frozenset({"A-B", "C-D"}), 3.0)
        target.close()


def test_ise_gets_a_url_and_nothing_that_could_turn_verification_off() -> None:
    spec = target_specs({"ise": {"microseg_platform": "ise", "ansible_host": "pan"}}, ["ise"])[0]
    assert (spec["base_url"], spec["version"], spec["port"]) == ("https://pan:443", "3.3_patch_1", 443)
    loose = {"microseg_platform": "ise", "ansible_host": "pan", "microseg_verify": False}
    assert target_specs({"ise": loose}, ["ise"]) == [spec] and "verify" not in spec


def test_the_platform_named_for_us_comes_before_the_network_os() -> None:
    assert platform_of({"microseg_platform": "nftables", "ansible_network_os": "ios"}) == "nftables"
    assert platform_of({"ansible_network_os": "junos"}) == "junos"
    assert platform_of({}) == ""


def test_a_host_of_unknown_platform_is_a_finding_with_its_name() -> None:
    with pytest.raises(FindingError, match="host core1 has no microseg_platform"):
        target_specs({"core1": {"ansible_network_os": "junos"}}, ["core1"])


def test_the_hosts_of_a_run() -> None:
    variables = {"hostvars": {"sw": SWITCH, "plain": {}, "localhost": {}}, "ansible_play_batch": ["sw", "plain"]}
    assert run_hosts({}, variables) == ["sw"]
    assert run_hosts({"targets": ["sw", "plain"]}, variables) == ["sw", "plain"]
    with pytest.raises(FindingError, match=r"SW4603.*nowhere"):
        run_hosts({"targets": ["nowhere"]}, variables)
