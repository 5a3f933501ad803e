# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A switch that speaks SHA-1 and CBC only is changed over libssh: the same engine, the same guards, the same way back."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import Journal
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.rollback import rollback_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.verify import verify_targets
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import DesiredObject, DesiredTarget
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.connections import target_specs
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.device_fleet import run_device_fleet
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import ios, ios_work
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios import IosTarget
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.registry import make_target
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.spec import TargetSpec
from tests.integration import test_targets_asa, test_targets_nxos
from tests.integration.lists import apply, codes_of
from tests.integration.test_targets_ios import CONFIG, ENABLE, PASSWORD, USER, wanted
from tests.lab.iosxe.control_client import ControlClient

ROOT = Path(__file__).resolve().parents[2]
HOST, PORT = "127.10.88.31", 2222
HOSTVARS = {
    "ansible_host": HOST, "ansible_port": PORT, "ansible_user": USER, "ansible_password": PASSWORD,
    "ansible_become_password": ENABLE, "microseg_platform": "ios",
}  # fmt: skip


class Old:
    """The emulated switch in a process of its own: libssh keeps Python's lock while it waits."""

    def __init__(self, control: ControlClient, known_hosts: str) -> None:
        self.control, self.known_hosts = control, known_hosts

    def running(self) -> str:
        text = str(self.control.call("running", device="acc1")["text"])
        return "\n".join(line for line in text.splitlines() if not line.startswith(("! ", "Current")))

    def spec(self, **more: Any) -> TargetSpec:
        variables = {**HOSTVARS, "microseg_known_hosts_file": self.known_hosts, "microseg_ssh_legacy": True, **more}
        return replace(TargetSpec.of(target_specs({"acc1": variables}, ["acc1"])[0]), timeout=5.0)


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Old]:
    pytest.importorskip("pylibsshext")
    place = tmp_path_factory.mktemp("old")
    interfaces = [{"name": f"GigabitEthernet1/0/{number}", "vlan": 10} for number in range(1, 9)]
    device = {
        "hostname": "acc1", "address": HOST, "port": PORT, "interfaces": interfaces, "old_ssh": True,
        "initial_config": CONFIG.replace("127.10.81.31", HOST), "controller": "127.10.88.1", "management_interface": "Vlan10",
    }  # fmt: skip
    spec = {
        "devices": [device],
        "users": {USER: PASSWORD},
        "enable_secret": ENABLE,
        "known_hosts": str(place / "known"),
    }
    (place / "spec.json").write_text(json.dumps(spec), encoding="utf-8")
    started = subprocess.Popen(
        [sys.executable, "-m", "tests.lab.iosxe", "--spec", str(place / "spec.json")],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert started.stdout is not None
        ready = json.loads(started.stdout.readline())
        yield Old(ControlClient("127.0.0.1", ready["control_port"]), str(place / "known"))
    finally:
        started.terminate()
        started.wait(10)


# The emulators of the other platforms, each in a process of its own.
OTHERS = """
import json, pathlib, sys
from tests.lab.asa.device import AsaDevice
from tests.lab.asa.spec import spec_from_dict
from tests.lab.iosxe.fleet import Fleet, FleetThread
from tests.lab.nxos.device import Device
from tests.lab.nxos.spec import device_from_dict
path, data = pathlib.Path(sys.argv[1]), json.loads(sys.argv[2])
made, kind = (spec_from_dict, AsaDevice) if data["hostname"] == "fw1" else (device_from_dict, Device)
fleet = Fleet(
    [made(data)], path / "key", dict([sys.argv[3:5]]), known_hosts_path=path / "known_hosts", enable_secret=sys.argv[5], device_class=kind
)
running = FleetThread(fleet).__enter__()
print(running.device(data["hostname"]).port, flush=True)
sys.stdin.read()
"""
SPECS: dict[str, dict[str, Any]] = {
    "asa": {"hostname": "fw1", "interfaces": [asdict(each) for each in test_targets_asa.NAMEIFS]},
    "nxos": {"hostname": "n9k1", "initial_config": test_targets_nxos.CONFIG, "minute_seconds": 10.0},
}


@pytest.mark.parametrize("platform", ["asa", pytest.param("nxos", marks=pytest.mark.full)])
def test_firewalls_and_nexus_switches_of_that_age_are_changed_as_well(tmp_path: Path, platform: str) -> None:
    pytest.importorskip("pylibsshext")
    module = test_targets_asa if platform == "asa" else test_targets_nxos
    desired = module.wanted()
    spec = {**SPECS[platform], "address": module.HOST, "port": 0, "old_ssh": True}
    started = subprocess.Popen(
        [sys.executable, "-c", OTHERS, str(tmp_path), json.dumps(spec), USER, PASSWORD, ENABLE],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert started.stdout is not None
        variables = {
            **HOSTVARS, "ansible_host": module.HOST, "ansible_port": int(started.stdout.readline()), "microseg_platform": platform,
            "microseg_known_hosts_file": str(tmp_path / "known_hosts"), "microseg_ssh_legacy": True,
        }  # fmt: skip
        name = desired[0].host
        target = make_target(TargetSpec.of(target_specs({name: variables}, [name])[0]))
        outcome = apply(target, desired, Journal(tmp_path / "journal.jsonl"))[1]
        assert outcome.ok, outcome.findings
        assert verify_targets({name: target}, desired).ok
        target.close()
    finally:
        started.terminate()
        started.wait(10)


def on_vlan(extra: str) -> list[DesiredTarget]:
    body = {"interface": "Vlan10", "direction": "in", "access_list": "SW_hvac"}
    objects = wanted(ports=(), extra=extra)[0].objects
    return [DesiredTarget("acc1", "ios", (*objects, DesiredObject("attachment", "Vlan10-in", body)))]


def test_lists_are_built_proved_swapped_and_taken_back_over_libssh(process: Old, tmp_path: Path) -> None:
    journal, before = Journal(tmp_path / "journal.jsonl"), process.running()
    target = IosTarget(process.spec())
    plan, outcome = apply(target, wanted(), journal)
    assert outcome.ok, outcome.findings
    text = process.running()
    assert text.count("ip access-group SW_hvac__a in") == 2
    assert verify_targets({"acc1": target}, wanted()).ok
    again, second = apply(target, wanted(), journal)
    assert second.ok and not again.operations() and process.running() == text
    assert rollback_plan(plan.plan_id, {"acc1": target}, journal).ok
    assert process.running() == before
    target.close()


def test_the_same_guards_stand_and_a_forced_lock_out_is_taken_back(
    process: Old, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ios_work, "KNOCK_SECONDS", 0.3)
    journal, before = Journal(tmp_path / "journal.jsonl"), process.running()
    target = IosTarget(process.spec(microseg_revert_seconds=2))
    with pytest.raises(FindingError) as error:
        apply(target, on_vlan("permit tcp any any neq 22"), journal)
    assert codes_of(error.value.findings) == {"SW4263"} and "the controller: tcp 127.10.88.1" in str(error.value)
    monkeypatch.setattr(ios, "cut_findings", lambda *_given: [])
    outcome = apply(target, on_vlan("permit tcp any any neq 22"), journal)[1]
    assert "SW4410" in codes_of(outcome.findings), outcome.findings
    assert "ip access-group SW_" not in process.running() and "event manager" not in process.running()
    assert rollback_plan("", {"acc1": target}, journal).ok  # the list that was built, in force nowhere
    assert process.running() == before
    target.close()


def test_a_fleet_takes_old_hosts_as_all_others(process: Old, tmp_path: Path) -> None:
    content = "permit udp any eq 68 any eq 67\npermit tcp any host 10.0.0.1 eq 443\n"
    lists = [{"name": "SW_fleet", "content": content, "interfaces": ["GigabitEthernet1/0/3"]}]
    hostvars = {
        "acc1": {
            **HOSTVARS, "microseg_known_hosts_file": process.known_hosts, "microseg_ssh_legacy": True, "microseg_device_lists": lists,
        }
    }  # fmt: skip
    values = {"state": "merged", "workers": 2, "data_dir": str(tmp_path), "check_mode": False, "diff_mode": True}
    made = run_device_fleet(values, {"hostvars": hostvars, "ansible_play_batch": ["acc1"]})
    assert not made["failed_hosts"], made["warnings"]
    assert "ip access-group SW_fleet__a in" in process.running()
    undone = run_device_fleet(
        {**values, "state": "undone", "run": made["run"]}, {"hostvars": hostvars, "ansible_play_batch": ["acc1"]}
    )
    assert not undone["failed_hosts"] and "SW_fleet" not in process.running()


def test_what_is_not_supported_is_refused_with_a_way_out(process: Old, tmp_path: Path) -> None:
    (tmp_path / "none").touch()
    cases = {
        "SW4205": process.spec(microseg_known_hosts_file=str(tmp_path / "none")),
        "SW4203": process.spec(ansible_password="wrong"),
        "SW4202": process.spec(microseg_ssh_legacy=False),  # not unasked
    }
    for code, spec in cases.items():
        target = IosTarget(spec)
        with pytest.raises(FindingError) as error:
            target.snapshot([])
        assert codes_of(error.value.findings) == {code}
        assert PASSWORD not in str(error.value)
    firewall = make_target(replace(process.spec(), platform="nftables"))
    with pytest.raises(FindingError) as error:
        firewall.snapshot([])
    assert codes_of(error.value.findings) == {"SW4464"}
    with pytest.raises(FindingError) as error:
        process.spec(microseg_ssh_legacy=False, microseg_transport="telnet")
    assert codes_of(error.value.findings) == {"SW4200"}
