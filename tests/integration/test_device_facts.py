# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Device facts against the lab's ISE and switches: what gets into the register, and what happens where a host fails."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.device_facts import run_device_facts
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.validate import run_validate
from tests.integration.conftest import LabTargets
from tests.lab.credentials import ISE_PASSWORD, ISE_USER, SWITCH_ENABLE, SWITCH_PASSWORD, SWITCH_USER
from tests.lab.description import load_hospital
from tests.lab.places import CHECKOUT
from tests.lab.playbooks import Site

SECRETS = (ISE_PASSWORD, SWITCH_PASSWORD, SWITCH_ENABLE, "no-such-password")
# The sample recording: 2026-11-23, 20:25 UTC.
RECORDED = "2026-11-23T20:20:00"


@pytest.fixture
def lab(targets: LabTargets) -> Iterator[LabTargets]:
    """The lab without faults, before and after."""
    targets.ise("DELETE", "/faults")
    targets.switches.call("clear_faults", device="*")
    yield targets
    targets.ise("DELETE", "/faults")
    targets.switches.call("clear_faults", device="*")


class Facts:
    """Runs of the step against the lab; changes of host variables are given by host name."""

    def __init__(self, lab: LabTargets, data: Path) -> None:
        self.lab, self.data = lab, data

    def hostvars(self) -> dict[str, dict[str, Any]]:
        places = self.lab.places
        hosts: dict[str, dict[str, Any]] = {
            "ise1": {
                "microseg_platform": "ise",
                "ansible_host": places.ise[0],
                "ansible_port": places.ise[1],
                "ansible_user": ISE_USER,
                "ansible_password": ISE_PASSWORD,
                "microseg_ca_file": str(places.ise_ca),
            },
            "fw1": {"microseg_platform": "nftables", "ansible_user": "root"},
        }
        for number, transport in ((1, "netmiko"), (2, "libssh")):
            address, port = places.switch(number)
            hosts[f"acc{number}"] = {
                "microseg_platform": "ios",
                "ansible_host": address,
                "ansible_port": port,
                "ansible_user": SWITCH_USER,
                "ansible_password": SWITCH_PASSWORD,
                "ansible_become_password": SWITCH_ENABLE,
                "microseg_known_hosts_file": str(places.known_hosts),
                "microseg_facts_transport": transport,
            }
        return hosts

    def run(self, *only: str, values: dict[str, Any] | None = None, **changed: dict[str, Any]) -> dict[str, Any]:
        hostvars = self.hostvars()
        for name, more in changed.items():
            hostvars[name].update(more)
        variables = {"hostvars": hostvars, "ansible_play_hosts": list(only) or sorted(hostvars)}
        asked = {"data_dir": str(self.data), "check_mode": False, "diff_mode": False, **(values or {})}
        made = run_device_facts(asked, variables)
        for text in (json.dumps(made), *(path.read_text() for path in self.data.rglob("*.json"))):
            assert not [secret for secret in SECRETS if secret in text]
        return made

    def register(self) -> dict[str, Any]:
        document = json.loads((self.data / "register" / "register.json").read_text())
        return {each["id"]: each for each in document["devices"]}


@pytest.fixture
def facts(lab: LabTargets, tmp_path: Path) -> Facts:
    return Facts(lab, tmp_path / "data")


def test_the_register_holds_every_device_with_its_name_place_and_addresses(facts: Facts) -> None:
    hospital = load_hospital()
    made = facts.run()
    assert (made["devices"], made["new"], made["changed"], made["conflicts"]) == (len(hospital.hosts), 18, True, [])
    assert made["findings"] == [] and made["failed_hosts"] == [] and made["skipped_hosts"] == ["fw1"]
    assert {name: each["transport"] for name, each in made["hosts"].items()} == {
        "acc1": "netmiko",
        "acc2": "libssh",
        "ise1": "https",
    }
    devices = facts.register()
    assert set(devices) == {host.mac for host in hospital.hosts.values()}
    for host in hospital.hosts.values():
        values = {name: fact["value"] for name, fact in devices[host.mac]["facts"].items()}
        wanted = {
            "hostname": host.name,
            "endpoint_profile": host.profile,
            "switch": host.switch,
            "interface": host.interface,
        }
        assert {name: values[name] for name in wanted} == wanted
        held = [each for each in devices[host.mac]["addresses"] if each["address"] == host.address]
        sure = [each for each in held if not each["source"].startswith("assumed")]
        assert len(sure) == 1 and sure[0]["confidence"] >= 0.8
        assert sure[0]["from"] < RECORDED
    written = sorted(path.name for path in (facts.data / "register" / "observations").iterdir())
    assert written == ["acc1.json", "acc2.json", "ise1.json"]


def test_both_transports_say_the_same(facts: Facts) -> None:
    def said(transport: str) -> list[Any]:
        facts.run("acc2", acc2={"microseg_facts_transport": transport})
        document = json.loads((facts.data / "register" / "observations" / "acc2.json").read_text())
        return [
            (each["device"], each["source"], each["facts"], each["confidence"]) for each in document["observations"]
        ]

    assert said("netmiko") == said("libssh")


def test_reading_again_changes_nothing_and_check_mode_writes_nothing(facts: Facts) -> None:
    checked = facts.run(values={"check_mode": True})
    assert (checked["changed"], checked["new"], checked["devices"]) == (True, 18, 18)
    assert not facts.data.exists()
    facts.run()
    before = {path: path.read_bytes() for path in facts.data.rglob("*") if path.is_file()}
    again = facts.run(values={"check_mode": True})
    assert (again["changed"], again["new"], again["updated"]) == (False, 0, 0)
    assert {path: path.read_bytes() for path in facts.data.rglob("*") if path.is_file()} == before
    assert facts.run()["changed"] is False


def test_a_device_that_moved_is_a_change(facts: Facts) -> None:
    facts.run()
    mac = "02:1a:10:00:00:11"
    state = facts.lab.ise("GET", "/state")
    try:
        facts.lab.ise("PUT", f"/sessions/{mac}", {"ip": "100.64.10.99"})
        made = facts.run("ise1")
    finally:
        facts.lab.ise("PUT", "/state", state)
    assert (made["changed"], made["updated_devices"]) == (True, [mac])
    assert "100.64.10.99" in {each["address"] for each in facts.register()[mac]["addresses"]}


WRONG_KEY = "[{0}]:{1} ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGcF7CjClwVs3rzYkgpRbVxdqAXPHsh3e6UcGYppCVDA\n"


@pytest.mark.parametrize("transport", ["netmiko", "libssh"])
@pytest.mark.parametrize("fault", ["password", "enable", "unknown key", "other key", "port"])
def test_a_switch_that_cannot_be_read_is_named_and_the_others_are_kept(
    facts: Facts, tmp_path: Path, transport: str, fault: str
) -> None:
    known = tmp_path / "known_hosts"
    known.write_text(WRONG_KEY.format(*facts.lab.places.switch(1)) if fault == "other key" else "")
    change, code = {
        "password": ({"ansible_password": "no-such-password"}, "SW4203"),
        "enable": ({"ansible_become_password": "no-such-password"}, "SW4207"),
        "unknown key": ({"microseg_known_hosts_file": str(known)}, "SW4205"),
        "other key": ({"microseg_known_hosts_file": str(known)}, "SW4205"),
        "port": ({"ansible_port": 2299}, "SW4202"),
    }[fault]
    before = facts.lab.switches.call("counters", device="acc1")["authentication_failures"]
    made = facts.run(acc1={**change, "microseg_facts_transport": transport})
    assert "failed" not in made
    assert made["failed_hosts"] == ["acc1"]
    assert [each for each in made["warnings"] if "acc1" in each and code in each]
    assert made["hosts"]["acc2"]["ok"] and made["hosts"]["ise1"]["ok"]
    assert made["devices"] == 18
    tried = facts.lab.switches.call("counters", device="acc1")["authentication_failures"] - before
    assert tried <= 1


def test_strict_fails_on_one_host_and_everything_failing_always_does(facts: Facts) -> None:
    made = facts.run(values={"strict": True}, acc1={"ansible_port": 2299})
    assert made["failed"] is True and "SW4202" in made["msg"]
    assert facts.register()
    shut = {name: {"ansible_port": 2299} for name in ("acc1", "acc2", "ise1")}
    other = Facts(facts.lab, facts.data.parent / "other")
    made = other.run(**shut)
    assert made["failed"] is True and made["failed_hosts"] == ["acc1", "acc2", "ise1"]
    assert not other.data.exists()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"ansible_password": "no-such-password"}, "SW4203"),
        ({"microseg_ca_file": ""}, "SW4206"),
        ({"microseg_ca_file": "/nonexistent/ca.pem"}, "SW4200"),
    ],
)
def test_an_ise_that_cannot_be_trusted_or_refuses_us_is_named(facts: Facts, change: dict[str, Any], code: str) -> None:
    made = facts.run(ise1=change)
    assert made["failed_hosts"] == ["ise1"]
    assert code in made["warnings"][0]
    assert made["devices"] == 18


@pytest.mark.parametrize("host", ["acc1", "acc2"])
def test_a_switch_that_falls_silent_costs_one_command(facts: Facts, host: str) -> None:
    facts.lab.switches.call("fault", device=host, fault={"kind": "hang", "lines": 6, "times": 1})
    made = facts.run(host, values={"command_timeout": 1.0})
    assert made["hosts"][host]["ok"] and "failed" not in made
    assert [each["code"] for each in made["findings"]] == ["SW4266"]
    assert host in made["findings"][0]["message"]
    assert made["hosts"][host]["observations"] > 20


def test_the_playbook_obeys_limit_and_says_who_failed(lab: LabTargets, tmp_path: Path) -> None:
    site = Site(lab.places, tmp_path / "work", tmp_path / "logs", sources=())
    site.create()
    inventory = yaml.safe_load((CHECKOUT / "inventory" / "lab" / "hosts.yml").read_text())
    switches = inventory["all"]["children"]["microseg_targets"]["children"]["access_switches"]
    switches["hosts"]["acc1"]["ansible_password"] = "no-such-password"
    path = tmp_path / "hosts.yml"
    path.write_text(yaml.safe_dump(inventory))
    run = site.run("collect", "-i", str(path), "--limit", "acc1,acc2")
    assert run.code == 0, run.tail()
    made = site.result("collect")
    assert sorted(made["hosts"]) == ["acc1", "acc2"] and made["failed_hosts"] == ["acc1"]
    assert made["ok"] is True and [each["code"] for each in made["warnings"]] == ["SW4203"]
    assert "no facts from acc1" in " ".join(run.output.split())
    assert not [secret for secret in SECRETS if secret in run.output]
    assert "Traceback" not in run.output
    run = site.run("collect", "-i", str(path), "--limit", "acc1")
    assert run.code != 0 and "SW4203" in run.output
    assert site.result("collect")["ok"] is False


def test_what_the_switches_say_of_their_hardware_reaches_the_gate(facts: Facts) -> None:
    """Collect, then validate: the budget of a switch is held against its own figures, and the report says which and how old."""

    def gate() -> dict[str, Any]:
        values = {
            "policy_dir": str(CHECKOUT / "policies"),
            "data_dir": str(facts.data),
            "output_dir": str(facts.data / "out"),
            "replay": False,
            "date": "2026-11-24",
        }
        run_validate(values)
        made: dict[str, Any] = json.loads((facts.data / "out" / "validate.json").read_text())
        return made

    assert gate()["capacity"] == []
    facts.run()
    for name in ("acc1", "acc2"):
        document = json.loads((facts.data / "switches" / f"{name}.json").read_text())
        assert set(document["sections"]) >= {"system", "clock", "access_lists", "configuration", "tcam", "sessions"}
        assert document["sections"]["system"]["value"]["model"] == "C9300-48U"
    made = gate()
    assert made["ok"] and not [each for each in made["warnings"] if each["code"] in ("SW3020", "SW3021")]
    rows = {(row["switch"], row["kind"]): row for row in made["capacity"]}
    assert set(rows) == {("acc1", "security"), ("acc2", "security"), ("acc1", "sgacl_cells"), ("acc2", "sgacl_cells")}
    for row in made["capacity"]:
        assert row["from"] == "facts" and 0 <= row["age_hours"] < 1
    acc2 = rows["acc2", "security"]
    assert acc2["limit"] == 5120 and 0 < acc2["used"] < 1000 and acc2["needed"] > 0
    assert "Room on switches" in (facts.data / "out" / "validate.md").read_text()
    # The same switch, nearly full: the gate fails and says by which reading.
    path = facts.data / "switches" / "acc2.json"
    document = json.loads(path.read_text())
    for region in document["sections"]["tcam"]["value"]["regions"]:
        if region["kind"] == "security":
            region["used"] = region["limit"]
    document["sections"]["tcam"]["read_at"] = "2026-11-01T00:00:00Z"
    path.write_text(json.dumps(document))
    made = gate()
    full = [each for each in made["errors"] if each["code"] == "SW3020"]
    assert not made["ok"] and len(full) == 1
    assert "acc2" in full[0]["message"] and "2026-11-01T00:00:00Z" in full[0]["message"]
    assert [each["code"] for each in made["warnings"] if each["code"] == "SW3029"] == ["SW3029"]


def test_readiness_of_the_switches_is_told_and_lines_that_are_missing_make_them_ready(facts: Facts) -> None:
    def told(name: str) -> dict[str, Any]:
        made: dict[str, Any] = facts.run(name)["readiness"][name]
        return made

    ready = told("acc1")
    assert ready["ready"] and ready["ports_ready"] == ready["ports"] == 7
    assert ready["without_radius"] == {"everything": 7}
    document = json.loads((facts.data / "switches" / "acc1.json").read_text())
    port = next(each for each in document["readiness"]["ports"] if each["interface"] == "GigabitEthernet1/0/1")
    assert port["mode"] == "closed" and port["unreachable"].startswith(
        "the device is let in without its downloaded list"
    )
    call = facts.lab.switches.call
    before = call("dump", device="acc1")["state"]
    try:
        call(
            "apply",
            device="acc1",
            lines=["no aaa server radius dynamic-author", "no aaa authorization network default"],
        )
        call("apply", device="acc1", lines=["interface GigabitEthernet1/0/1", "no device-tracking attach-policy LAB"])
        unready = told("acc1")
        assert not unready["ready"]
        assert {"SW1375", "SW1376", "SW1377"} <= {each["code"] for each in unready["findings"]}
        lines = [line.replace("<key>", "7 00071A150754") for line in unready["lines"]]
        assert {"aaa server radius dynamic-author", "interface GigabitEthernet1/0/1"} <= set(lines)
        assert not [text for text in call("apply", device="acc1", lines=lines)["outputs"] if "%" in text]
        assert told("acc1")["ready"]
    finally:
        call("restore", device="acc1", state=before)


def test_what_differs_from_a_signed_configuration_is_told(facts: Facts, tmp_path: Path) -> None:
    key, signers, baselines = tmp_path / "key", tmp_path / "allowed_signers", tmp_path / "baselines"
    baselines.mkdir()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(key)], check=True)
    public = key.with_suffix(".pub").read_text().strip()
    signers.write_text(f'netops@example.org namespaces="segwright-configuration" {public}\n')

    def told() -> tuple[dict[str, Any], list[str]]:
        values = {"baseline_dir": str(baselines), "allowed_signers": str(signers)}
        made = facts.run("acc1", values=values)
        return made["deviations"], [each["code"] for each in made["findings"] if each["code"] > "SW1386"]

    def sign(namespace: str = "segwright-configuration") -> None:
        good.with_suffix(".cfg.sig").unlink(missing_ok=True)
        command = ["ssh-keygen", "-q", "-Y", "sign", "-f", str(key), "-n", namespace, str(good)]
        subprocess.run(command, check=True, capture_output=True)

    assert told() == ({}, ["SW1389"])
    good = baselines / "acc1.cfg"
    kept = facts.data / "switches" / "acc1.cfg"
    assert kept.stat().st_mode & 0o077 == 0 and "00071A150754" not in kept.read_text()
    good.write_text(kept.read_text())
    assert told() == ({}, ["SW1388"])  # not signed
    sign("git")
    assert told() == ({}, ["SW1388"])  # signed for something else
    sign()
    deviations, codes = told()
    assert codes == [] and deviations["acc1"]["equal"] and deviations["acc1"]["signed_by"] == "netops@example.org"
    call = facts.lab.switches.call
    before = call("dump", device="acc1")["state"]
    try:
        call("apply", device="acc1", lines=["interface GigabitEthernet1/0/1", "description moved", "no mab"])
        call("apply", device="acc1", lines=["ip access-list extended SW_ours__a", "permit ip any any"])
        deviations, codes = told()
        assert codes == ["SW1387"]
        assert deviations["acc1"]["added"] == ["interface GigabitEthernet1/0/1 | description moved"]
        assert set(deviations["acc1"]["missing"]) == {
            "interface GigabitEthernet1/0/1 | description pump1",
            "interface GigabitEthernet1/0/1 | mab",
        }
    finally:
        call("restore", device="acc1", state=before)
    good.write_text(good.read_text().replace("mab", "maab"))
    assert told() == ({}, ["SW1388"])  # changed after signing
    other = good.read_text().replace("of acc1", "of acc2")
    good.write_text(other)
    sign()
    assert told() == ({}, ["SW1388"])  # of another switch
