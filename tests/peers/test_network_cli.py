# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The community's connection plugin (ansible.netcommon.network_cli over libssh) brings the facts that netmiko and our own shell bring."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.facts import HostFacts
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_facts import open_shell, read_ios_facts
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nxos_facts import read_nxos_facts
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nxos_session import NxosSession
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.spec import TargetSpec
from tests.lab.iosxe.control_client import ControlClient
from tests.lab.iosxe.fleet import Fleet, FleetThread
from tests.lab.iosxe.spec import DeviceSpec, HostSpec, InterfaceSpec
from tests.lab.nxos.device import Device as NxosDevice
from tests.lab.nxos.spec import DeviceSpec as NxosSpec
from tests.peers import cisco_ios

ADDRESS = "127.10.86.10"
USER, PASSWORD, ENABLE = "netops", "lab-password", "lab-enable"
ROOT = Path(__file__).resolve().parents[2]
NOW = 1_795_000_000.0
PORTS = tuple(InterfaceSpec(f"GigabitEthernet1/0/{n}", description=f"pump{n}", vlan=10) for n in (1, 2, 3)) + (
    InterfaceSpec("GigabitEthernet1/0/48", trunk=True),
)
HOSTS = tuple(HostSpec(f"02:1a:10:00:00:1{n}", f"192.0.2.1{n}", f"GigabitEthernet1/0/{n}", 10) for n in (1, 2, 3))
ACCESS = "interface GigabitEthernet1/0/1\n authentication port-control auto\n mab\n ip access-group PRE in\n"


@pytest.fixture(scope="module")
def peer() -> Any:
    found = cisco_ios.found(cisco_ios.default_directory())
    if found is None:
        pytest.skip("no environment of the peer here: python -m tests.peers.cisco_ios builds it")
    return found


@pytest.fixture(scope="module")
def switch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TargetSpec]:
    """An emulated switch in a process of its own: libssh keeps Python's lock while it waits."""
    folder = tmp_path_factory.mktemp("network-cli")
    spec = DeviceSpec("acc9", ADDRESS, 2286, interfaces=PORTS, hosts=HOSTS, initial_config=ACCESS)
    data = {
        "devices": [spec.to_dict()],
        "users": {USER: [PASSWORD, 1]},
        "enable_secret": ENABLE,
        "control": [ADDRESS, 0],
        "host_key": str(folder / "key"),
        "known_hosts": str(folder / "known"),
    }
    (folder / "spec.json").write_text(json.dumps(data), encoding="utf-8")
    command = [sys.executable, "-m", "tests.lab.iosxe", "--spec", str(folder / "spec.json")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT)
    try:
        assert process.stdout is not None
        control = ControlClient(ADDRESS, json.loads(process.stdout.readline())["control_port"])
        session = {
            "mac": "02:1a:10:00:00:11",
            "interface": "GigabitEthernet1/0/1",
            "vlan": 10,
            "dacl": "IP-SW_pumps-65e89aab",
            "dacl_lines": ["permit udp any eq bootpc any eq bootps", "deny ip any any"],
            "sgt": 100,
        }
        control.call("provider", sessions=[session])
        yield TargetSpec("acc9", "ios", ADDRESS, 2286, USER, PASSWORD, ENABLE, known_hosts_file=str(folder / "known"))
    finally:
        process.terminate()
        process.wait(10)


@dataclass
class Recorded:
    """A shell that remembers what it was asked, in order, and whether the switch refused it."""

    shell: Any
    asked: dict[str, bool]

    def show(self, text: str, seconds: float = 60.0) -> str:
        answer = str(self.shell.show(text, seconds))
        self.asked[text] = "% Invalid input" in answer
        return answer

    def close(self) -> None:
        self.shell.close()


@dataclass
class Played:
    """A shell that answers what the community's modules brought."""

    answers: dict[str, str]

    def show(self, text: str, seconds: float = 60.0) -> str:
        return self.answers[text]

    def close(self) -> None:
        pass


def said(facts: HostFacts) -> dict[str, Any]:
    """Everything that a reading says, but moments of the device's own clock."""
    sections = {name: (each.value, each.commands, each.whole) for name, each in facts.switch.items() if name != "clock"}
    value, *rest = sections["system"]
    sections["system"] = ({name: each for name, each in value.items() if name != "uptime_seconds"}, *rest)
    observations = sorted(
        json.dumps([each.mac, each.source, dict(each.facts), each.confidence, len(each.addresses)])
        for each in facts.observations
    )
    return {
        "observations": observations,
        "sections": sections,
        "findings": [each.code for each in facts.findings],
        "counts": dict(facts.counts),
        "infrastructure": facts.infrastructure,
        "software": facts.software,
        "configuration": facts.configuration,
    }


def test_three_ways_bring_the_same_facts(peer: Any, switch: TargetSpec) -> None:
    asked: dict[str, bool] = {}
    netmiko = read_ios_facts(switch, opener=lambda spec: Recorded(open_shell(spec), asked), clock=lambda: NOW)
    libssh = read_ios_facts(replace(switch, facts_transport="libssh"), clock=lambda: NOW)
    assert said(libssh) == said(netmiko)
    assert len(netmiko.observations) > 3 and set(netmiko.switch) >= {"configuration", "tcam", "sessions"}

    host = {
        "ansible_host": switch.address,
        "ansible_port": switch.service_port,
        "ansible_user": USER,
        "ansible_password": PASSWORD,
        "ansible_become_password": ENABLE,
    }
    known = [text for text, refused in asked.items() if not refused]
    unknown = [text for text, refused in asked.items() if refused]
    assert len(known) > len(unknown)
    tasks = [{"module": "cisco.ios.ios_command", "args": {"commands": each}} for each in (known, unknown[:1])]
    first, second = cisco_ios.play(peer, {"acc9": host}, tasks)["acc9"]
    assert not first.get("failed"), first
    # A refused command fails its task; its message holds what the switch said.
    assert second["failed"] and "Invalid input" in str(second["msg"])
    answers = dict(zip(known, first["stdout"], strict=True)) | dict.fromkeys(
        unknown, f"% Invalid input detected\n{second['msg']}"
    )
    community = read_ios_facts(switch, opener=lambda _spec: Played(answers), clock=lambda: NOW)
    assert said(community) == said(netmiko)


def test_a_nexus_says_the_same_over_the_communitys_plugin(peer: Any, tmp_path: Path) -> None:
    """ASA: its collection (cisco.asa) is not in the community's package any more, so there is no plugin to compare with."""
    spec = NxosSpec(
        "n9k9",
        "127.10.86.11",
        2287,
        arp={f"10.7.0.{n}": (f"0200.0000.000{n}", "Vlan10", f"Ethernet1/{n}") for n in range(1, 6)},
    )
    fleet = Fleet(
        [spec], tmp_path / "key", {USER: PASSWORD}, known_hosts_path=tmp_path / "known", device_class=NxosDevice
    )
    with FleetThread(fleet):
        target = TargetSpec(
            "n9k9", "nxos", spec.address, spec.port, USER, PASSWORD, known_hosts_file=str(tmp_path / "known")
        )
        asked: dict[str, bool] = {}
        netmiko = read_nxos_facts(target, opener=lambda spec: Recorded(NxosSession(spec), asked), clock=lambda: NOW)  # type: ignore[arg-type, return-value]
        assert len(netmiko.observations) == 10 and not netmiko.findings and netmiko.software == "NX-OS 9.3(8)"
        host = {
            "ansible_host": spec.address, "ansible_port": spec.port, "ansible_user": USER, "ansible_password": PASSWORD,
            "ansible_network_os": "cisco.nxos.nxos", "ansible_become": False,
        }  # fmt: skip
        tasks = [{"module": "cisco.nxos.nxos_command", "args": {"commands": list(asked)}}]
        (made,) = cisco_ios.play(peer, {"n9k9": host}, tasks)["n9k9"]
    assert not made.get("failed"), made.get("msg")
    answers = dict(zip(asked, made["stdout"], strict=True))
    community = read_nxos_facts(target, opener=lambda _spec: Played(answers), clock=lambda: NOW)  # type: ignore[arg-type, return-value]
    assert (community.observations, community.counts, community.software, community.findings) == (
        netmiko.observations, netmiko.counts, netmiko.software, netmiko.findings,
    )  # fmt: skip
