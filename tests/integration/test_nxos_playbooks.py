# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Nexus switch as users meet it: policy in a repository, inventory, playbooks; and one list by its module."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_targets_nxos import HOST, PASSWORD, USER, Switch, made_switch
from tests.lab.places import CHECKOUT

ENFORCEMENT = """points:
  core-gateways:
    kind: router_acl
    platform: nxos
    host: n9k1
    gateways:
      - {interface: Vlan30, subnets: [100.64.30.0/24]}
  n9k1-ports:
    kind: port_acl
    platform: nxos
    host: n9k1
    interfaces: [Ethernet1/1, Ethernet1/2]
segments:
  cameras:
    stage: enforce
    points: [core-gateways]
  hvac_controllers:
    stage: enforce
    points: [n9k1-ports]
"""
CONFIG = """vlan 30
interface Vlan30
  ip address 100.64.30.1/24
interface mgmt0
  vrf member management
  ip address 192.0.2.31/24
interface Ethernet1/8
  description uplink
ip access-list THEIRS
  10 permit ip any any
"""


class Site:
    """A policy repository and an inventory with one switch."""

    def __init__(self, directory: Path, known_hosts: Path, port: int) -> None:
        self.directory, self.policy, self.data = directory, directory / "policies", directory / "data"
        shutil.copytree(CHECKOUT / "policies", self.policy)
        # What other points of the sample site enforce is not asked of this switch.
        shutil.rmtree(self.policy / "expectations")
        (self.policy / "guardrails.yml").unlink()
        (self.policy / "enforcement.yml").write_text(ENFORCEMENT, encoding="utf-8")
        self.git("-c", "init.defaultBranch=main", "init", "-q")
        self.commit("A Nexus switch")
        host = {
            "ansible_network_os": "cisco.nxos.nxos", "ansible_host": HOST, "ansible_port": port, "ansible_user": USER,
            "ansible_password": PASSWORD, "microseg_known_hosts_file": str(known_hosts),
        }  # fmt: skip
        self.inventory = directory / "inventory.json"
        self.inventory.write_text(json.dumps({"all": {"children": {"microseg_targets": {"hosts": {"n9k1": host}}}}}))

    def git(self, *words: str) -> None:
        environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        subprocess.run(["git", "-C", str(self.policy), *words], check=True, capture_output=True, env=environment)

    def commit(self, message: str) -> None:
        self.git("add", "--all")
        self.git("-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-q", "-m", message)

    def play(self, book: str, *flags: str) -> tuple[int, str]:
        given = {"microseg_policy_dir": str(self.policy), "microseg_data_dir": str(self.data)}
        words = [
            str(Path(sys.executable).parent / "ansible-playbook"),
            "-i",
            str(self.inventory),
            book,
            "-e",
            json.dumps(given),
            *flags,
        ]
        environment = {**os.environ, "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
        done = subprocess.run(
            words, cwd=CHECKOUT, capture_output=True, text=True, check=False, timeout=300, env=environment
        )
        return done.returncode, done.stdout + done.stderr

    def result(self, step: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.data / "out" / f"{step}.json").read_text(encoding="utf-8"))
        return found


@pytest.fixture
def switch(tmp_path: Path) -> Iterator[Switch]:
    yield from made_switch(tmp_path, initial_config=CONFIG, routes={"127.0.0.0/8": "mgmt0"}, arp={})


def played(site: Site, step: str, *flags: str) -> str:
    code, output = site.play(f"playbooks/{step}.yml", *flags)
    assert code == 0, output[-4000:]
    assert PASSWORD not in output
    return output


def test_plan_apply_verify_and_roll_back_by_playbook(switch: Switch, tmp_path: Path) -> None:
    site = Site(tmp_path / "site", switch.known_hosts, switch.device.port)
    before = switch.running()
    played(site, "plan")
    lines = switch.device.counters.config_lines
    shown = played(site, "apply", "--check", "--diff")
    assert switch.device.counters.config_lines == lines and switch.running() == before
    assert "+ip access-list SW_" in shown
    played(site, "apply")
    assert switch.attached() == switch.lists() and len(switch.lists()) == 3
    text = switch.running()
    assert "  ip port access-group SW_" in text and "interface Ethernet1/8\n  description uplink\n" in text
    assert "ip access-list THEIRS\n  10 permit ip any any" in text
    assert switch.device.startup == text
    played(site, "verify")
    switch.type(f"no ip access-list {sorted(switch.lists())[0]}")
    code, output = site.play("playbooks/verify.yml")
    assert code != 0 and "SW4050" in output, output[-3000:]
    assert site.result("verify")["drift"]
    played(site, "plan")
    played(site, "apply")
    played(site, "verify")
    assert switch.attached() == switch.lists()
    played(site, "rollback")


def test_one_list_by_its_module(switch: Switch, tmp_path: Path) -> None:
    site = Site(tmp_path / "site", switch.known_hosts, switch.device.port)
    given = {
        "name": "SW_hvac", "interfaces": ["Eth1/1", "Vlan30"],
        "content": "permit tcp any any eq 22\npermit tcp any 10.0.0.1/32 eq 443\ndeny ip any any\n",
    }  # fmt: skip
    asked = {**given, "state": "gathered"}
    tasks = [
        {"segwright.microseg.device_policy": given},
        {"segwright.microseg.device_policy": asked, "register": "now"},
    ]
    tasks.append({"ansible.builtin.debug": {"var": "now.gathered"}, "when": "not ansible_check_mode"})
    book = tmp_path / "one.json"
    book.write_text(json.dumps([{"hosts": "n9k1", "gather_facts": False, "tasks": tasks}]))
    before = switch.running()
    code, shown = site.play(str(book), "--check", "--diff")
    assert code == 0, shown[-3000:]
    assert (
        switch.running() == before
        and "+  ip port access-group SW_hvac in" in shown
        and "+  ip access-group SW_hvac in" in shown
    )
    code, output = site.play(str(book))
    assert code == 0, output[-3000:]
    assert "changed=1" in output and "owned: true" in output.replace('"', "")
    assert switch.running().count("SW_hvac__a in") == 2 and switch.device.startup == switch.running()
    assert "changed=0" in site.play(str(book))[1]
