# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The register through the playbook: ISE, switches, leases, records, NetBox and traffic in one, and why a device is what it is."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import yaml

from tests.integration.conftest import LabTargets
from tests.lab.description import load_hospital
from tests.lab.netbox import NetBox, device, joined, served
from tests.lab.playbooks import Run, Site

NEW, UNKNOWN_ADDRESS = "00:1b:c5:00:77:01", "100.64.30.200"
MISFIT = "00:1b:c5:00:77:02"
PORTS = {6: "tcp", 17: "udp"}


def leases(folder: Path) -> Path:
    """Return a lease file of ISC dhcpd in which all devices of the clinical subnet have their addresses, and a new camera one."""
    blocks = []
    held = [(host.mac, host.address, host.name) for host in load_hospital().hosts.values() if host.subnet == "clinical"]
    for mac, address, name in [*held, (NEW, "100.64.30.77", "cam-77"), (MISFIT, "100.64.10.78", "pump-78")]:
        blocks.append(
            f"lease {address} {{\n  starts 1 2026/11/23 20:00:00;\n  ends 1 2026/11/23 22:00:00;\n  cltt 1 2026/11/23 20:00:00;\n"
            f'  binding state active;\n  hardware ethernet {mac};\n  client-hostname "{name}";\n'
            + ('  set vendor-class-identifier = "AXIS,Network Camera";\n' if mac == NEW else "")
            + ('  set vendor-class-identifier = "MSFT 5.0";\n' if mac == MISFIT else "")
            + "}\n"
        )
    path = folder / "dhcpd.leases"
    path.write_text("".join(blocks))
    return path


def assets(folder: Path) -> Path:
    """Return a list of records as a clinical engineer keeps it: one device is not what it is taken for, one has no MAC."""
    path = folder / "assets.csv"
    path.write_text(
        "MAC,IP,Type,Owner\n"
        f"{load_hospital().hosts['pump1'].mac},,Infusion pump,clinical-engineering\n"
        f"{MISFIT},,Infusion pump,clinical-engineering\n"
        f",{UNKNOWN_ADDRESS},Door controller,facility-management\n"
    )
    return path


def ouis(folder: Path) -> Path:
    path = folder / "oui.csv"
    path.write_text(
        "Registry,Assignment,Organization Name,Organization Address\nMA-L,001BC5,IEEE Registration Authority,x\n"
        "MA-S,001BC5007,Dell Inc.,x\n"
    )
    return path


def served_truth() -> dict[str, set[str]]:
    """Return the ports that each device serves by the lab's description."""
    hospital = load_hospital()
    made: dict[str, set[str]] = defaultdict(set)
    for each in hospital.conversations:
        for name in each.servers:
            made[hospital.hosts[name].mac].add(f"{each.protocol}/{each.port}")
    return made


def register_of(site: Site) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((site.data / "register" / "register.json").read_text())
    return document


def test_collect_makes_one_register_of_all_sources_and_says_why(targets: LabTargets, tmp_path: Path) -> None:
    site = Site(targets.places, tmp_path / "work", tmp_path / "logs")
    site.create()
    hospital = load_hospital()
    ct = hospital.hosts["ct1"]
    box = NetBox(joined(device(1, "CT 1", "CT scanner", ct.mac, ct.address), device(2, "gone", "Server", "", "")))
    with served(box, tmp_path) as netbox:
        sources = [
            {"kind": "isc_dhcpd", "name": "dhcp1", "path": str(leases(tmp_path)), "at": "2026-11-23T20:30:00Z"},
            {"kind": "table", "name": "assets", "path": str(assets(tmp_path)), "at": "2026-11-23T20:30:00Z"},
            {"kind": "netbox", "url": netbox.url, "ca_file": str(netbox.ca_file), "token": netbox.token},
        ]
        values = {"microseg_device_sources": sources, "microseg_oui_files": [str(ouis(tmp_path))]}
        first = site.run("collect", **values)
        assert first.code == 0, first.output
        before = register_of(site)
        again = site.run("collect", **values)
        assert again.code == 0, again.output
    assert netbox.token not in json.dumps(before) + (site.output / "collect.json").read_text()
    assert netbox.token not in first.output.split("\n", maxsplit=1)[1]  # the first line is the command itself
    made = site.result("collect")
    assert made["counts"]["sources"] == 3
    assert made["failed_sources"] == []
    assert made["counts"]["devices"] == len(hospital.hosts) + 2
    # The same again: nobody new, nothing moved but the times at which ISE and switches were asked.
    assert made["counts"]["new_devices"] == 0
    devices = {each["id"]: each for each in register_of(site)["devices"]}
    assert set(devices) == {each["id"] for each in before["devices"]}

    truth = served_truth()
    for host in hospital.hosts.values():
        facts = devices[host.mac]["facts"]
        assert facts["endpoint_profile"]["value"] == host.profile
        assert (facts["switch"]["value"], facts["interface"]["value"]) == (host.switch, host.interface)
        said = set(facts.get("served_ports", {}).get("value", ()))
        assert said <= truth[host.mac], host.name
    # Most of what is served was seen in the recording.
    seen = sum(len(devices[mac]["facts"].get("served_ports", {}).get("value", ())) for mac in truth)
    assert seen >= 0.7 * sum(map(len, truth.values()))

    pump = devices[hospital.hosts["pump1"].mac]["facts"]
    assert (pump["asset_type"]["value"], pump["asset_type"]["source"]) == ("Infusion pump", "assets")
    assert "dhcp1:dhcp" in {pump["hostname"]["source"], *(each["source"] for each in pump["hostname"]["others"])}
    assert devices[ct.mac]["facts"]["serial"]["value"] == "S1"
    assert [each["address"] for each in register_of(site)["hosts"]] == [UNKNOWN_ADDRESS]
    assert devices[NEW]["facts"]["dhcp_class"]["value"] == "AXIS,Network Camera"
    assert devices[NEW]["facts"]["oui_vendor"] | {"time": ""} == {
        "value": "Dell Inc.",
        "source": "oui",
        "time": "",
        "confidence": 0.9,
        "others": [],
    }

    classified = {
        each["device"]: each
        for each in json.loads((site.data / "register" / "classification.json").read_text())["devices"]
    }
    assert classified[hospital.hosts["pump1"].mac]["type"] == "infusion_pump"
    assert classified[hospital.hosts["pump1"].mac]["use"] == "enforce"
    assert classified[ct.mac]["type"] == "imaging_modality"
    # What is written down as a pump and behaves like a computer is nobody, and is said to be.
    assert classified[MISFIT]["type"] == "unknown"
    assert "infusion_pump" in classified[MISFIT]["disputed"]
    assert made["disputed"] == [MISFIT]
    assert {"SW1341", "SW1355"} <= {each["code"] for each in made["warnings"]}

    why = _play(site, tmp_path, MISFIT)
    assert why.code == 0, why.output
    assert "seen as workstation" in why.output
    assert "oui_vendor Dell Inc. by oui" in why.output
    assert "device_type of the pump is infusion_pump" in why.output


def _play(site: Site, folder: Path, mac: str) -> Run:
    """Run a play of a user's own that asks the module and the lookup."""
    pump = load_hospital().hosts["pump1"]
    tasks = [
        {
            "segwright.microseg.register_info": {
                "data_dir": str(site.data),
                "policy_dir": str(site.policy),
                "device": mac,
            },
            "register": "why",
        },
        {"ansible.builtin.debug": {"msg": "{{ why.devices[0].classification.disputed }}"}},
        {"ansible.builtin.debug": {"msg": "{{ why.devices[0].classification.evidence }}"}},
        {
            "ansible.builtin.debug": {
                "msg": "device_type of the pump is {{ lookup('segwright.microseg.device', '"
                + pump.mac
                + "', data_dir=data,"
                " fact='device_type', policy_dir=policies) }}"
            }
        },
    ]
    play = [
        {
            "name": "Why",
            "hosts": "localhost",
            "gather_facts": False,
            "vars": {"data": str(site.data), "policies": str(site.policy)},
        }
    ]
    path = folder / "why.yml"
    path.write_text(
        yaml.safe_dump([{**play[0], "tasks": [{"name": f"Task {n}", **each} for n, each in enumerate(tasks, 1)]}])
    )
    return site.run(str(path))


def test_a_source_that_cannot_be_read_is_told_and_the_others_are_used(targets: LabTargets, tmp_path: Path) -> None:
    site = Site(targets.places, tmp_path / "work", tmp_path / "logs", sources=())
    site.create()
    sources = [
        {"kind": "table", "name": "assets", "path": str(assets(tmp_path))},
        {"kind": "kea", "path": str(tmp_path / "none.csv")},
    ]
    run = site.run("collect", microseg_device_sources=sources, microseg_device_facts=False, microseg_flow_sources=[])
    assert run.code == 0, run.output
    made = site.result("collect")
    assert made["failed_sources"] == ["kea"]
    assert made["counts"]["devices"] == 2
    assert "1 of 2 sources" in made["summary"]
    strict = site.run(
        "collect",
        microseg_device_sources=sources,
        microseg_device_facts=False,
        microseg_flow_sources=[],
        microseg_strict=True,
    )
    assert strict.code != 0
    assert site.result("collect")["ok"] is False
