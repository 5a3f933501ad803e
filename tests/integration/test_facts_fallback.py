# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts of images that do not know a command: an older form is asked where there is one, and all else is kept, on each platform."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.device_facts import run_device_facts
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import asa_facts, ios_facts, nxos_facts
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.facts import HostFacts
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.spec import TargetSpec
from tests.lab.asa.device import AsaDevice
from tests.lab.asa.spec import AsaSpec, ConnSpec, NameifSpec
from tests.lab.iosxe.fleet import Fleet, FleetThread
from tests.lab.iosxe.spec import DeviceSpec, HostSpec, InterfaceSpec
from tests.lab.nxos.device import Device as NxosDevice
from tests.lab.nxos.spec import DeviceSpec as NxosSpec

NET = "127.10.92"
USER, PASSWORD, ENABLE = "netops", "pw-netops-1", "enable-netops-1"
NOW = 1_795_000_000.0
PORTS = (InterfaceSpec("GigabitEthernet1/0/1", "pump", 10), InterfaceSpec("GigabitEthernet1/0/48", trunk=True))
HOSTS = (HostSpec("02:1a:10:00:00:11", "192.0.2.11", "GigabitEthernet1/0/1", 10),)
ACCESS = "interface GigabitEthernet1/0/1\n authentication port-control auto\n mab\n"
NAMEIFS = (
    NameifSpec("GigabitEthernet0/0", "outside", "203.0.113.1", level=0),
    NameifSpec("GigabitEthernet0/1", "inside", "10.1.1.1", level=100),
)
CONNECTIONS = (ConnSpec("tcp", "inside", "10.1.1.5", 50001, "outside", "203.0.113.9", 443),)


@dataclass(frozen=True)
class Box:
    """One emulated device: how it is read, the commands that it is asked, and by what each is replaced where it is not known."""

    name: str
    running: FleetThread
    spec: TargetSpec
    read: Callable[..., HostFacts]
    commands: tuple[tuple[str, ...], ...]

    def facts(self, *unknown: str) -> HostFacts:
        self.forget(*unknown)
        return self.read(self.spec, clock=lambda: NOW)

    def forget(self, *unknown: str) -> None:
        """From now on the image does not know these commands."""
        faults = self.running.fleet.devices[self.name].faults
        self.running.call(faults.clear)
        for command in unknown:
            data = {"kind": "unknown_command", "regex": f"^{command}$", "times": None}
            self.running.call(lambda data=data: faults.add(data))  # type: ignore[misc]


def started(stack: ExitStack, path: Path, number: int, spec: Any, **more: Any) -> tuple[FleetThread, TargetSpec]:
    known = path / f"known{number}"
    fleet = Fleet([spec], path / f"key{number}", {USER: PASSWORD}, known_hosts_path=known, enable_secret=ENABLE, **more)
    running = stack.enter_context(FleetThread(fleet))
    platform = {DeviceSpec: "ios", NxosSpec: "nxos", AsaSpec: "asa"}[type(spec)]
    enable = "" if platform == "nxos" else ENABLE
    port = running.fleet.devices[spec.hostname].port
    return running, TargetSpec(
        spec.hostname, platform, spec.address, port, USER, PASSWORD, enable, known_hosts_file=str(known), timeout=5.0
    )


@pytest.fixture
def boxes(tmp_path: Path) -> Iterator[dict[str, Box]]:
    arp = {
        "10.7.0.5": ("0200.0000.0005", "Vlan10", "Ethernet1/1"),
        "10.7.0.6": ("0200.0000.0006", "Vlan10", "Ethernet1/2"),
    }
    with ExitStack() as stack:
        made = {}
        ios = DeviceSpec("acc1", f"{NET}.1", 2222, interfaces=PORTS, hosts=HOSTS, initial_config=ACCESS)
        asked = tuple(each.commands for each in ios_facts.QUESTIONS)
        made["ios"] = Box("acc1", *started(stack, tmp_path, 1, ios), ios_facts.read_ios_facts, asked)
        nexus = NxosSpec("n9k1", f"{NET}.2", 2222, arp=arp)
        asked = (("show version",), *((command,) for _name, command, *_rest in nxos_facts.QUESTIONS))
        more: dict[str, Any] = {"device_class": NxosDevice}
        made["nxos"] = Box("n9k1", *started(stack, tmp_path, 2, nexus, **more), nxos_facts.read_nxos_facts, asked)
        wall = AsaSpec("fw1", f"{NET}.3", 2222, interfaces=NAMEIFS, connections=CONNECTIONS)
        asked = tuple((command,) for _name, command, _parse in asa_facts.QUESTIONS)
        more = {"device_class": AsaDevice}
        made["asa"] = Box("fw1", *started(stack, tmp_path, 3, wall, **more), asa_facts.read_asa_facts, asked)
        yield made


def observed(facts: HostFacts) -> set[str]:
    return {
        json.dumps([each.mac, each.source, dict(each.facts), len(each.addresses)], sort_keys=True)
        for each in facts.observations
    }


@pytest.mark.parametrize("platform", ["ios", "nxos", "asa"])
def test_every_command_that_an_image_does_not_know_costs_its_own_facts_alone(
    boxes: dict[str, Box], platform: str
) -> None:
    box = boxes[platform]
    whole = box.facts()
    assert not [each for each in whole.findings if each.code == "SW4266"], whole.findings
    assert whole.counts and (whole.observations or platform == "asa")
    for forms in box.commands:
        made = box.facts(*forms)
        told = [each for each in made.findings if each.code == "SW4266"]
        assert len(told) == 1, (forms, told)
        assert all(forms[-1] in each.message and each.severity == "warning" for each in told)
        lost = set(whole.counts) - set(made.counts)
        assert len(lost) <= 1, (forms, lost)
        assert {name: count for name, count in whole.counts.items() if name not in lost} == dict(made.counts), forms
        # What is left says the same, but for what two sources say together.
        assert {json.loads(each)[1] for each in observed(made) - observed(whole)} <= {"acc1:descriptions"}, forms


def test_an_older_form_of_a_command_is_asked_where_the_newer_one_is_not_known(boxes: dict[str, Box]) -> None:
    box = boxes["ios"]
    whole = box.facts()
    made = box.facts("show access-session( details)?")
    assert made.counts == whole.counts and observed(made) == observed(whole)
    assert not [each for each in made.findings if each.code == "SW4266"]


def test_a_user_keeps_the_facts_of_all_others_and_sees_which_command_failed(
    boxes: dict[str, Box], tmp_path: Path
) -> None:
    """As device_facts runs it for a site with one old image of each kind."""
    missing = {"ios": "show ip arp", "nxos": "show mac address-table", "asa": "show failover"}
    hostvars = {}
    for platform, box in boxes.items():
        box.forget(missing[platform])
        hostvars[box.name] = {
            "microseg_platform": platform, "ansible_host": box.spec.host, "ansible_port": box.spec.port, "ansible_user": USER,
            "ansible_password": PASSWORD, "microseg_known_hosts_file": box.spec.known_hosts_file,
            **({"ansible_become_password": ENABLE} if platform != "nxos" else {}),
        }  # fmt: skip
    asked = {"data_dir": str(tmp_path / "data"), "check_mode": False, "diff_mode": False}
    made = run_device_facts(asked, {"hostvars": hostvars, "ansible_play_hosts": sorted(hostvars)})
    assert made["failed_hosts"] == [] and set(made["hosts"]) == {"acc1", "n9k1", "fw1"}
    warnings = [each for each in made["findings"] if each["code"] == "SW4266"]
    assert sorted(each["message"].partition(": ")[2].partition(":")[0] for each in warnings) == sorted(missing.values())
    devices = json.loads((tmp_path / "data" / "register" / "register.json").read_text())["devices"]
    assert {"02:1a:10:00:00:11", "02:00:00:00:00:05", "02:00:00:00:00:06"} <= {each["id"] for each in devices}
