# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shipped site with an ASA as its firewall: plan, apply, verify and rollback by the playbooks, over real SSH."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.device_facts import run_device_facts
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.objects import run_device_policy
from tests.integration.test_targets_asa import ENABLE, PASSWORD, USER, Firewall
from tests.lab.asa.device import AsaDevice
from tests.lab.asa.spec import AsaSpec, ConnSpec, NameifSpec
from tests.lab.iosxe.fleet import Fleet, FleetThread
from tests.lab.places import CHECKOUT
from tests.lab.playbooks import program

SUBNETS = {"infusion": 10, "building": 20, "imaging": 30, "servers": 40, "vendor": 50}
NAMEIFS = tuple(
    NameifSpec(f"GigabitEthernet0/{number}", name, f"100.64.{subnet}.1", level=50)
    for number, (name, subnet) in enumerate(SUBNETS.items())
)
CONTENT = "permit tcp any host 100.64.40.9 eq 443\nremark the end\ndeny ip any any"
COMMITTER = ("-c", "user.name=Policy", "-c", "user.email=policy@example.net")


class AsaSite:
    """A policy repository, an inventory with one ASA, and the playbooks."""

    def __init__(self, directory: Path, firewall: Firewall) -> None:
        self.directory, self.policy, self.firewall = directory, directory / "site", firewall
        shutil.copytree(CHECKOUT / "policies", self.policy)
        path = self.policy / "enforcement.yml"
        document = yaml.safe_load(path.read_text())
        point = {key: value for key, value in document["points"]["fw1"].items() if key != "table"} | {"platform": "asa"}
        document["points"]["fw1"] = point
        path.write_text(yaml.safe_dump(document, sort_keys=False))
        host = {
            "ansible_host": firewall.device.spec.address, "ansible_port": firewall.device.port, "ansible_user": USER,
            "ansible_password": PASSWORD, "ansible_become_password": ENABLE, "ansible_network_os": "cisco.asa.asa",
            "microseg_known_hosts_file": str(firewall.known_hosts),
        }  # fmt: skip
        others = {  # never asked: every run is limited to the firewall
            name: {"ansible_host": "127.10.82.254", "ansible_user": USER, "microseg_platform": platform}
            for name, platform in (("acc1", "ios"), ("acc2", "ios"), ("ise1", "ise"))
        }
        inventory = {"microseg_targets": {"hosts": {"fw1": host, **others}}}
        (directory / "inventory.yml").write_text(yaml.safe_dump({"all": {"children": inventory}}))
        self.git("init", "-q")
        self.commit()

    def git(self, *words: str) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        subprocess.run(["git", "-C", str(self.policy), *words], check=True, capture_output=True, env=environment)

    def commit(self) -> None:
        self.git("add", "--all")
        self.git(*COMMITTER, "commit", "-q", "-m", "Policy")

    def run(self, name: str, *flags: str) -> tuple[int, str]:
        """Run a playbook and return its code and what it printed."""
        values = {
            "microseg_policy_dir": str(self.policy), "microseg_data_dir": str(self.directory / "data"),
            "microseg_state": str(self.directory / "state"),
        }  # fmt: skip
        words = [str(program("ansible-playbook")), f"playbooks/{name}.yml", "-i", str(self.directory / "inventory.yml")]
        environment = os.environ | {
            "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"), "ANSIBLE_HOME": str(self.directory / "home"), "ANSIBLE_NOCOLOR": "1",
        }  # fmt: skip
        done = subprocess.run(
            [*words, "--limit", "fw1", "-e", json.dumps(values), *flags], cwd=CHECKOUT, env=environment, capture_output=True, text=True,
            timeout=240, check=False,
        )  # fmt: skip
        for secret in (PASSWORD, ENABLE):
            assert secret not in done.stdout + done.stderr
        return done.returncode, done.stdout + done.stderr

    def result(self, step: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.directory / "data" / "out" / f"{step}.json").read_text())
        return found


@pytest.fixture
def site(tmp_path: Path) -> Iterator[AsaSite]:
    fleet = Fleet(
        [AsaSpec("fw1", "127.10.82.32", 0, interfaces=NAMEIFS)], tmp_path / "key", {USER: PASSWORD},
        known_hosts_path=tmp_path / "known_hosts", enable_secret=ENABLE, device_class=AsaDevice,
    )  # fmt: skip
    with FleetThread(fleet) as running:
        yield AsaSite(tmp_path, Firewall(running, tmp_path / "known_hosts"))


def test_the_loop_on_an_asa(site: AsaSite) -> None:
    firewall = site.firewall
    before = firewall.running()
    code, said = site.run("plan")
    assert code == 0, said[-3000:]
    operations = [each for target in site.result("plan")["targets"] for each in target["operations"]]
    assert [(each["action"], each["kind"]) for each in operations] == [
        ("create", "asa_access_list"), ("attach", "asa_attachment"),
    ]  # fmt: skip
    code, said = site.run("apply", "--check", "--diff")
    assert code == 0 and firewall.running() == before, said[-3000:]
    shown = {line.strip()[1:] for line in said.splitlines() if line.strip().startswith("+access-list ")}
    code, said = site.run("apply")
    assert code == 0, said[-3000:]
    written = {
        line.replace("SW_forward__a ", "SW_forward ")
        for line in firewall.running().splitlines()
        if "SW_forward__a ext" in line
    }
    assert len(written) > 10 and {_plain(line) for line in written} == {_plain(line) for line in shown}
    assert firewall.groups() == {"global": "SW_forward__a"} and not firewall.stale()
    assert "access-group SW_forward__a global" in firewall.device.startup
    assert site.run("verify")[0] == 0
    # The policy's own expectations, judged by the emulator's evaluator.
    assert firewall.passes("tcp", "100.64.10.11", "100.64.40.5", 3389) is False
    firewall.type("access-list SW_forward__a line 1 extended permit tcp any any")
    code, said = site.run("verify")
    assert code != 0 and "SW_forward" in said
    firewall.type("no access-list SW_forward__a extended permit tcp any any")
    code, said = site.run("rollback")
    assert code == 0, said[-3000:]
    assert firewall.running() == before


def _plain(line: str) -> str:
    """Return a line with port words as numbers, as the policy writes them and the device prints them."""
    from tests.lab.asa.entries import parse_entry

    words = line.split()
    return parse_entry(words[words.index("extended") + 1 :]).words()


def test_facts_and_single_lists(tmp_path: Path) -> None:
    """``device_facts`` and ``device_policy`` by their steps: rendered, in check mode, applied, silent, gathered."""
    connections = (ConnSpec("tcp", "building", "100.64.20.7", 50000, "servers", "100.64.40.9", 443),)
    fleet = Fleet(
        [AsaSpec("fw1", "127.10.82.33", 0, interfaces=NAMEIFS, connections=connections)], tmp_path / "key", {USER: PASSWORD},
        known_hosts_path=tmp_path / "known_hosts", enable_secret=ENABLE, device_class=AsaDevice,
    )  # fmt: skip
    with FleetThread(fleet) as running:
        firewall = Firewall(running, tmp_path / "known_hosts")
        host = {
            "microseg_platform": "asa", "ansible_host": firewall.device.spec.address, "ansible_port": firewall.device.port,
            "ansible_user": USER, "ansible_password": PASSWORD, "ansible_become_password": ENABLE,
            "microseg_known_hosts_file": str(firewall.known_hosts),
        }  # fmt: skip
        variables = {"hostvars": {"fw1": host}, "ansible_play_hosts": ["fw1"], "inventory_hostname": "fw1"}
        before = firewall.running()
        facts = run_device_facts(
            {"data_dir": str(tmp_path / "data"), "check_mode": False, "diff_mode": False}, variables
        )
        assert facts["hosts"]["fw1"]["counts"] == {"interfaces": 5, "arp": 2, "connections": 1}
        assert facts["devices"] == 2 and not facts["findings"] and firewall.running() == before
        asked: dict[str, Any] = {
            "name": "SW_plant", "content": CONTENT, "interfaces": ["building"],
            "direction": "in", "adopt": False, "check_mode": True, "diff_mode": True,
        }  # fmt: skip
        rendered = run_device_policy({**asked, "state": "rendered"}, variables)["rendered"]
        assert [item["kind"] for item in rendered] == ["asa_access_list", "asa_attachment"]
        checked = run_device_policy({**asked, "state": "merged"}, variables)
        assert checked["changed"] and firewall.running() == before
        assert "+access-list SW_plant extended permit tcp any host 100.64.40.9 eq 443" in checked["diff"]["prepared"]
        done = run_device_policy({**asked, "state": "merged", "check_mode": False}, variables)
        assert done["changed"] and not done.get("failed"), done
        assert firewall.groups() == {"in building": "SW_plant__a"}
        assert "access-list SW_plant__a remark the end" in firewall.running()
        assert not run_device_policy({**asked, "state": "merged", "check_mode": False}, variables)["changed"]
        gathered = run_device_policy({**asked, "state": "gathered"}, variables)["gathered"]
        assert {item["name"] for item in gathered} == {"SW_plant", "building-in"}
        for content in (
            "permit tcp any any eq 80\naccess-list X extended deny ip any any",
            "reload",
            "permit frob any any",
        ):
            with pytest.raises(FindingError):
                run_device_policy({**asked, "content": content, "state": "rendered"}, variables)
