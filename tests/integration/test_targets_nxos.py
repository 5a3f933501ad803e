# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""NX-OS switches as targets, against emulated ones over real SSH: build, prove, commit, confirm, back, and every fault on the way."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.change.apply import apply_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import Journal
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.outcome import Outcome
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import Plan, build_plan, snapshot_all
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.rollback import rollback_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.verify import verify_targets
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import DesiredObject, DesiredTarget
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import nxos_session, nxos_way_back
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nxos import NxosTarget
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.spec import TargetSpec
from tests.lab.iosxe.fleet import Fleet, FleetThread
from tests.lab.nxos.device import Device
from tests.lab.nxos.spec import DeviceSpec

HOST, PORT = "127.10.84.31", 2222
USER, PASSWORD = "netops", "pw-netops-1"
COMMIT = "c" * 40
RADIUS, CLIENT = "10.9.0.5", "10.9.0.9"
CONFIG = """radius-server host 10.9.0.5 auth-port 1812 acct-port 1813
ip access-list MGMT-ACCESS
  10 permit ip any any
vlan 10
interface Vlan10
  ip address 127.10.84.31/24
interface Ethernet1/7
  no switchport
  ip address 10.7.0.1/24
interface Ethernet1/8
  ip port access-group MGMT-ACCESS in
interface mgmt0
  vrf member management
  ip address 192.0.2.31/24
"""
LET_IN = ("permit tcp any any eq 22", "permit udp any eq 1812 any", "permit udp any eq 1813 any")


def list_object(name: str, *lines: str) -> DesiredObject:
    text = "".join(f"  {number * 10} {line}\n" for number, line in enumerate(lines, 1))
    return DesiredObject("nxos_access_list", name, {"content": f"ip access-list {name}\n{text}"})


def place(interface: str, name: str, command: str = "ip port access-group", direction: str = "in") -> DesiredObject:
    body = {"interface": interface, "direction": direction, "access_list": name, "command": command}
    family = 6 if command.startswith("ipv6") else 4
    return DesiredObject("nxos_attachment", f"{interface}-{direction}-ipv{family}", body)


def wanted(
    port: int = 443, ports: tuple[int, ...] = (1, 2), name: str = "SW_hvac", extra: tuple[str, ...] = ()
) -> list[DesiredTarget]:
    lines = ["permit udp any eq 68 any eq 67", *extra, f"permit tcp any 10.0.0.1/32 eq {port}", "deny ip any any"]
    return of(list_object(name, *lines), *(place(f"Ethernet1/{number}", name) for number in ports))


def of(*objects: DesiredObject) -> list[DesiredTarget]:
    return [DesiredTarget("n9k1", "nxos", objects)]


class Switch:
    """The emulated switch, seen and changed from its own side."""

    def __init__(self, fleet: FleetThread, known_hosts: Path) -> None:
        self.fleet, self.known_hosts = fleet, known_hosts
        self.device: Device = fleet.device("n9k1")

    def running(self) -> str:
        return str(self.fleet.call(lambda: self.device.config.body()))

    def attached(self) -> set[str]:
        return set(re.findall(r"(?:access-group|traffic-filter) (SW_\S+) (?:in|out)", self.running()))

    def lists(self) -> set[str]:
        return set(re.findall(r"(?m)^ip(?:v6)? access-list (SW_\S+)", self.running()))

    def type(self, *lines: str) -> list[str]:
        return self.fleet.call(lambda: self.device.apply_lines(list(lines)))

    def fault(self, **data: Any) -> None:
        self.fleet.call(lambda: self.device.faults.add(data))

    def end_faults(self) -> None:
        self.fleet.call(self.device.faults.clear)

    def probe(self, *probes: dict[str, Any]) -> None:
        def put() -> None:
            self.device.probes, self.device.trace = list(probes), []

        self.fleet.call(put)

    def verdicts(self) -> set[str]:
        return {record["verdicts"] for record in self.device.trace}


def packet(port: int, interface: str = "Ethernet1/1", source: str = "10.0.0.7") -> dict[str, Any]:
    return {
        "interface": interface,
        "packet": {
            "protocol": "tcp", "source": source, "destination": "10.0.0.1", "source_port": 40000, "destination_port": port,
            "tcp_flags": ["syn"],
        },
    }  # fmt: skip


def made_switch(tmp_path: Path, **more: Any) -> Iterator[Switch]:
    values = {
        "initial_config": CONFIG,
        "routes": {"10.9.0.0/24": "Vlan10"},
        "arp": {"10.9.0.9": ("0200.0000.0009", "Vlan10", "Ethernet1/6")},
        "minute_seconds": 1.0,
        **more,
    }
    fleet = Fleet(
        [DeviceSpec("n9k1", HOST, PORT, **values)], tmp_path / "key", {USER: PASSWORD},
        known_hosts_path=tmp_path / "known_hosts", device_class=Device,
    )  # fmt: skip
    with FleetThread(fleet) as running:
        yield Switch(running, tmp_path / "known_hosts")


@pytest.fixture
def switch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Switch]:
    monkeypatch.setattr(nxos_session, "LINE_SECONDS", 3.0)  # the emulator answers at once or never
    monkeypatch.setattr(nxos_way_back, "MINUTE_SECONDS", 1.0)
    monkeypatch.setattr(nxos_way_back, "GRACE_SECONDS", 2.0)
    monkeypatch.setattr(nxos_way_back, "POLL_SECONDS", 0.2)
    yield from made_switch(tmp_path)


def spec_for(switch: Switch, **more: Any) -> TargetSpec:
    return TargetSpec.of({
        "name": "n9k1", "platform": "nxos", "host": HOST, "port": PORT, "username": USER, "password": PASSWORD,
        "known_hosts_file": str(switch.known_hosts), "timeout": 3, **more,
    })  # fmt: skip


@pytest.fixture
def target(switch: Switch) -> Iterator[NxosTarget]:
    made = NxosTarget(spec_for(switch))
    yield made
    made.close()


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.jsonl")


def apply(target: NxosTarget, desired: list[DesiredTarget], journal: Journal, **more: Any) -> tuple[Plan, Outcome]:
    targets = {"n9k1": target}
    plan = build_plan(targets, desired, snapshot_all(targets, desired), policy_commit=COMMIT, **more)
    return plan, apply_plan(plan, targets, desired, journal, policy_commit=COMMIT)


def codes_of(findings: Any) -> set[str]:
    return {finding.code for finding in findings}


def test_build_prove_commit_confirm_and_back(switch: Switch, target: NxosTarget, journal: Journal) -> None:
    before, targets = switch.running(), {"n9k1": target}
    first, outcome = apply(target, wanted(), journal)
    assert outcome.ok, outcome.findings
    assert [(step.action, step.effect) for step in first.operations()] == [
        ("create", "none"), ("attach", "narrows"), ("attach", "narrows"),
    ]  # fmt: skip
    assert switch.attached() == {"SW_hvac__a"}
    assert "SW_hvac__a" in switch.device.startup
    assert verify_targets(targets, wanted()).ok
    lines = target._connected().lines
    assert apply_plan(first, targets, wanted(), journal, policy_commit=COMMIT).writes == 0
    assert target._connected().lines == lines
    between = switch.running()
    switch.probe(packet(443), packet(8443), packet(22))
    second, outcome = apply(target, wanted(8443, (1, 2, 3)), journal)
    assert outcome.ok, outcome.findings
    # Every packet meets the old list or the new one at every moment.
    assert switch.verdicts() == {"PDD", "DPD"}
    assert [(step.action, step.name) for step in second.operations()] == [
        ("update", "SW_hvac"), ("attach", "Ethernet1/3-in-ipv4"),
    ]  # fmt: skip
    assert "10.0.0.1:443" in second.operations()[0].details["witness"]
    assert switch.attached() == switch.lists() == {"SW_hvac__b"}
    assert switch.running().count("SW_hvac__b in") == 3
    assert not switch.device.config_sessions
    assert rollback_plan(second.plan_id, targets, journal).ok
    assert switch.running() == between
    assert rollback_plan(first.plan_id, targets, journal).ok
    assert switch.running() == before
    assert "SW_" not in switch.device.startup
