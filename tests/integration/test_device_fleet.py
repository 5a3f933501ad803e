# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet of emulated IOS-XE switches as users meet it: ansible-playbook over real SSH, and the engine below it with faults."""

from __future__ import annotations

import itertools
import json
import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import read_entries, verify_journal
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.device_fleet import jobs_of, run_device_fleet
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import ios, ios_session, ios_work
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.fleet_device import Keeping
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.management import ManagementPath
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ways_back import own_name
from tests.lab.iosxe.control import apply_lines
from tests.lab.iosxe.fleet import Fleet, FleetThread
from tests.lab.iosxe.spec import DeviceSpec, HostSpec, InterfaceSpec
from tests.lab.playbooks import program

ROOT = Path(__file__).resolve().parents[2]
NET, PORT = f"127.10.{120 + os.getpid() % 120}", 2222
USER, PASSWORD, ENABLE = "netops", "pw-netops-1", "enable-netops-1"
SIZE = 6
PORTS = tuple(InterfaceSpec(f"GigabitEthernet1/0/{number}", f"port {number}", 10) for number in range(1, 9))
CLIENT = "127.99.0.7"
CONFIG = """radius server ISE
 address ipv4 127.99.0.8 auth-port 1812 acct-port 1813
ip access-list extended MGMT-ACCESS
 remark of the network team
 permit ip any any
interface GigabitEthernet1/0/7
 ip access-group MGMT-ACCESS in
interface Vlan10
 ip address {address} 255.0.0.0
"""
ENTRY = re.compile(r"(?:sequence )?(?:\d+ )?(?:permit|deny|remark) ")
HEAD = ("! Last", "! NVRAM", "! No config", "Current configuration")


def lists(
    port: int = 443, ports: tuple[str, ...] = ("Gi1/0/1", "Gi1/0/2"), more: tuple[str, ...] = ()
) -> list[dict[str, Any]]:
    lines = [
        "remark rule hvac-1",
        "permit udp any eq bootpc any eq bootps",
        *more,
        f"permit tcp any host 10.0.0.1 eq {port}",
    ]
    return [{"name": "SW_hvac", "content": "\n".join([*lines, "deny ip any any"]), "interfaces": list(ports)}]


class Switches:
    """The emulated fleet, seen from its own side."""

    def __init__(self, running: FleetThread, known_hosts: Path) -> None:
        self.fleet, self.known_hosts = running, known_hosts
        self.names = list(running.fleet.devices)

    def hostvars(self, wanted: list[dict[str, Any]] | None = None) -> dict[str, Any]:
        return {
            name: {
                "microseg_platform": "ios", "ansible_host": self.fleet.device(name).spec.address, "ansible_port": PORT,
                "ansible_user": USER, "ansible_password": PASSWORD, "ansible_become_password": ENABLE,
                "microseg_known_hosts_file": str(self.known_hosts), "microseg_site": f"site{number % 2}",
                "microseg_revert_seconds": 2,
                **({"microseg_device_lists": wanted} if wanted else {}),
            }
            for number, name in enumerate(self.names)
        }  # fmt: skip

    def inventory(self, path: Path, wanted: list[dict[str, Any]]) -> Path:
        hosts = self.hostvars()
        path.write_text(
            json.dumps({"microseg_devices": {"vars": {"microseg_device_lists": wanted}, "hosts": hosts}}),
            encoding="utf-8",
        )
        return path

    def running(self, name: str) -> str:
        text = self.fleet.call(self.fleet.device(name).running_text)
        return "\n".join(line for line in text.splitlines() if not line.startswith(HEAD))

    def startup(self, name: str) -> str:
        return str(self.fleet.device(name).startup)

    def ours(self, name: str) -> tuple[set[str], set[str]]:
        """The lists of ours that are attached, and those that exist."""
        text = self.running(name)
        return set(re.findall(r"ip access-group (SW_\S+)", text)), set(
            re.findall(r"(?m)^ip access-list extended (SW_\S+)", text)
        )

    def type(self, name: str, *lines: str) -> None:
        self.fleet.call(lambda: apply_lines(self.fleet.device(name), list(lines)))

    def fault(self, name: str, **data: Any) -> None:
        self.fleet.call(lambda: self.fleet.device(name).faults.add(data))

    def end_faults(self) -> None:
        for name in self.names:
            self.fleet.call(self.fleet.device(name).faults.clear)

    def typed(self, name: str) -> list[str]:
        """The configuration lines that the switch got, in order."""
        return [str(each["line"]) for each in self.fleet.device(name).counters.records]

    def forget(self) -> None:
        for name in self.names:
            self.fleet.call(self.fleet.device(name).counters.records.clear)


@pytest.fixture
def switches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Switches]:
    monkeypatch.setattr(ios_session, "LINE_SECONDS", 2.0)
    monkeypatch.setattr(ios_session, "SHOW_SECONDS", 5.0)
    monkeypatch.setattr(ios_session, "SAVE_SECONDS", 5.0)
    monkeypatch.setattr(ios_work, "KNOCK_SECONDS", 0.3)
    specs = []
    for number in range(1, SIZE + 1):
        address = f"{NET}.{number}"
        specs.append(
            DeviceSpec(
                f"acc{number}", address, PORT, interfaces=PORTS, initial_config=CONFIG.format(address=address),
                hosts=(
                    HostSpec("02:00:00:00:09:07", CLIENT, "GigabitEthernet1/0/8", 10),
                    HostSpec("02:00:00:00:09:08", "127.99.0.8", "GigabitEthernet1/0/8", 10),
                ),
                controller=CLIENT, management_interface="Vlan10",
            )
        )  # fmt: skip
    fleet = Fleet(
        specs, tmp_path / "key", {USER: PASSWORD}, known_hosts_path=tmp_path / "known_hosts", enable_secret=ENABLE
    )
    with FleetThread(fleet) as running:
        yield Switches(running, tmp_path / "known_hosts")


def change(
    switches: Switches,
    place: Path,
    wanted: list[dict[str, Any]] | None = None,
    only: list[str] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """Run the fleet's task without Ansible; results of the hosts are below ``results``."""
    values = {
        "state": "merged", "workers": 4, "data_dir": str(place), "check_mode": False, "diff_mode": True, "targets": only, **more,
    }  # fmt: skip
    hostvars = switches.hostvars(wanted)
    made = run_device_fleet(values, {"hostvars": hostvars, "ansible_play_batch": list(hostvars)})
    made["results"] = {
        path.stem: json.loads(path.read_text(encoding="utf-8"))
        for path in sorted((place / "out" / "devices").glob("*.json"))
    }
    return made


def play(tmp_path: Path, inventory: Path, *flags: str, **variables: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words(tmp_path, inventory, *flags, **variables),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def words(tmp_path: Path, inventory: Path, *flags: str, **variables: Any) -> list[str]:
    given = {"microseg_data_dir": str(tmp_path / "data"), "microseg_max_fail_percentage": 100, **variables}
    return [
        str(program("ansible-playbook")),
        "-i",
        str(inventory),
        "playbooks/device_policy.yml",
        "-e",
        json.dumps(given),
        *flags,
    ]


def recap(output: str) -> dict[str, dict[str, int]]:
    rows = re.findall(r"(?m)^(\S+)\s+: (ok=.*)$", output)
    return {name: {key: int(value) for key, value in (pair.split("=") for pair in rest.split())} for name, rest in rows}


# -- as users meet it


def test_a_playbook_changes_a_fleet_and_takes_it_back(switches: Switches, tmp_path: Path) -> None:
    before = {name: switches.running(name) for name in switches.names}
    inventory = switches.inventory(tmp_path / "inventory.json", lists())
    checked = play(tmp_path, inventory, "--check", "--diff")
    assert checked.returncode == 0, checked.stdout[-3000:] + checked.stderr[-2000:]
    assert "6 would change" in checked.stdout
    assert "permit tcp any host 10.0.0.1 eq 443" in checked.stdout
    assert {name: switches.running(name) for name in switches.names} == before
    made = play(tmp_path, inventory, "--limit", "acc1,acc2,acc3")
    assert made.returncode == 0, made.stdout[-3000:]
    assert {name: each["changed"] for name, each in recap(made.stdout).items()} == {"acc1": 2, "acc2": 1, "acc3": 1}
    assert [switches.ours(name)[0] for name in switches.names] == [{"SW_hvac__a"}] * 3 + [set()] * 3
    assert all("SW_hvac__a" in switches.startup(name) for name in ("acc1", "acc2", "acc3"))
    switches.forget()
    again = play(tmp_path, inventory, "--limit", "acc1,acc2,acc3")
    assert all(each["changed"] == 0 for each in recap(again.stdout).values())
    assert [switches.typed(name) for name in switches.names] == [[]] * 6  # not one configuration line
    back = play(tmp_path, inventory, "--limit", "acc1,acc2,acc3", microseg_device_state="undone")
    assert back.returncode == 0, back.stdout[-3000:]
    assert {name: switches.running(name) for name in switches.names} == before


def test_failures_stop_the_next_batch_and_are_told_apart(switches: Switches, tmp_path: Path) -> None:
    switches.fault("acc2", kind="error_on", regex="deny ip any any")
    switches.fault("acc3", kind="refuse_connect", times=None)
    inventory = switches.inventory(tmp_path / "inventory.json", lists())
    made = play(tmp_path, inventory, microseg_serial=[3, 3], microseg_max_fail_percentage=30)
    rows = recap(made.stdout)
    assert made.returncode != 0
    assert (rows["acc2"]["failed"], rows["acc3"]["unreachable"]) == (1, 1)
    assert "SW4260" in made.stdout
    assert "deny ip any any" in made.stdout
    assert [switches.ours(name) for name in switches.names] == [({"SW_hvac__a"}, {"SW_hvac__a"})] + [(set(), set())] * 5
    assert not {"acc4", "acc5", "acc6"} & set(rows)  # the second batch was not begun


def test_an_interrupt_leaves_every_device_in_a_known_state(switches: Switches, tmp_path: Path) -> None:
    for name in switches.names:
        switches.fault(name, kind="line_delay", seconds=0.15, times=None)
    inventory = switches.inventory(tmp_path / "inventory.json", lists())
    with open(tmp_path / "log", "ab") as log:  # two processes write to it
        process = subprocess.Popen(words(tmp_path, inventory, microseg_workers=2), cwd=ROOT, stdout=log, stderr=log)
        # A sign, not a time: a busy machine takes long to begin, and the process may not end before it was interrupted.
        while not any(switches.typed(name) for name in switches.names):
            assert process.poll() is None, (tmp_path / "log").read_text(encoding="utf-8", errors="replace")
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        process.wait(timeout=300)
    report = tmp_path / "data" / "out" / "devices-interrupted.json"
    deadline = time.monotonic() + 300  # Ansible ends before the process of its task does
    while not report.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    made = json.loads(report.read_text(encoding="utf-8"))
    assert made["errors"][0]["code"] == "SW4401"
    changed, left = set(made["changed_hosts"]), set(made["not_begun_hosts"])
    assert changed and left and changed | left == set(switches.names)
    for name in switches.names:
        assert switches.ours(name) == (({"SW_hvac__a"},) * 2 if name in changed else (set(), set()))
        assert f"{name}" in made["msg"]
        assert "SW_revert" not in switches.running(name)
    output = (tmp_path / "log").read_text(encoding="utf-8", errors="replace")
    assert "no further device is begun" in output
    assert PASSWORD not in output


# -- the engine below


def test_workers_pace_and_failures_are_kept(switches: Switches, tmp_path: Path) -> None:
    for name in switches.names:
        switches.fault(name, kind="error_on", regex="deny ip any any", times=None)
    made = change(switches, tmp_path, lists(), workers=1, max_failures=2)
    assert made["counts"] == {"changed": 0, "unchanged": 0, "failed": 2, "unreachable": 0, "not_begun": 4}
    assert made["results"]["acc6"]["in_force"].startswith("nothing was sent")


def test_check_mode_shows_just_the_lines_that_are_typed(switches: Switches, tmp_path: Path, full: bool) -> None:
    rng = random.Random(904)
    cases, lines, refused = 200 if full else 9, 0, 0
    for _case in range(0, cases, len(switches.names)):
        wanted, prune = random_lists(rng), rng.random() < 0.3
        for name in switches.names:
            disturb(switches, name, rng)
        held = {name: switches.running(name) for name in switches.names}
        shown = change(switches, tmp_path, wanted, check_mode=True, prune=prune)
        switches.forget()
        made = change(switches, tmp_path, wanted, prune=prune)
        assert made["failed_hosts"] == shown["failed_hosts"]
        for name in switches.names:
            before, after = shown["results"][name], made["results"][name]
            if name in made["failed_hosts"]:  # places name every version of a list that is gone: hands have to help
                assert {each["code"] for each in after["findings"]} == {"SW4225"} and before["findings"] == after[
                    "findings"
                ]
                assert switches.typed(name) == [] and switches.running(name) == held[name]
                detach_all(switches, name)
                refused += 1
                continue
            assert before["commands"] == after["commands"]
            assert before["diff"] == after["diff"]
            modes = ("configure terminal", "end", "write memory")
            typed = [line for line in switches.typed(name) if line not in modes and not line.startswith("do ")]
            assert typed == [line for line in after["commands"] if line not in modes]
            assert all(each["output"] == "" for each in switches.fleet.device(name).counters.records)
            lines += len(typed)
            difference_is_typed(after["diff"], held[name], typed)
    print(f"{cases} cases on {len(switches.names)} switches, {refused} refused alike, {lines} lines shown and typed")
    assert refused < cases / 10


def detach_all(switches: Switches, name: str) -> None:
    """Take our lists off every port."""
    for port, block in re.findall(r"(?m)^interface (\S+)\n((?: .*\n)*)", switches.running(name)):
        for line in re.findall(r"(?m)^ ((?:ip access-group|ipv6 traffic-filter) SW_.*)$", block):
            switches.type(name, f"interface {port}", f"no {line}")


HEADERS = {"access_list": "ip access-list extended", "ipv6_access_list": "ipv6 access-list"}


def difference_is_typed(diff: str, held: str, typed: list[str]) -> None:
    """Each list's plus lines are the lines that the switch got for it, its minus lines those that it had."""
    for kind, name, rows in re.findall(
        r"(?m)^\+\+\+ policy ((?:ipv6_)?access_list)/(\S+)\n((?:[-+ @].*\n?(?!---))*)", diff
    ):
        plus = [row[1:].strip() for row in rows.splitlines() if row.startswith("+")]
        minus = [row[1:].strip() for row in rows.splitlines() if row.startswith("-") and row[:3] != "---"]
        header = re.compile(rf"{HEADERS[kind]} {name}__[abc]\Z")
        starts = [number for number, line in enumerate(typed) if header.match(line)]
        if starts and plus:  # else an interrupted run had built it already, or it goes
            got = list(itertools.takewhile(ENTRY.match, typed[starts[0] + 1 :]))
            assert [line for line in plus if ENTRY.match(line)] == got
        for line in minus:
            assert f" {line}\n" in held or line == f"{HEADERS[kind]} {name}", line


def disturb(switches: Switches, name: str, rng: random.Random) -> None:
    """Do to a switch what hands and interrupted runs do: nothing, an edit, a list that is gone, a version or a way back left behind."""
    held = re.findall(r"(?m)^(ip access-list extended|ipv6 access-list) (SW_\S+)", switches.running(name))
    what = rng.choice(("nothing", "edit", "gone", "version", "armed"))
    if what == "armed":
        switches.type(name, "event manager applet SW_revert authorization bypass", 'action 1000 cli command "enable"')
    elif held and what != "nothing":
        header, live = rng.choice(held)
        number = "sequence 1" if header.startswith("ipv6") else "1"
        free = [f"{live[:-1]}{letter}" for letter in "abc" if (header, f"{live[:-1]}{letter}") not in held]
        if what == "gone":
            switches.type(name, f"no {header} {live}")
        elif what == "edit":
            switches.type(name, f"{header} {live}", f"{number} permit tcp any any eq {rng.randint(1, 65535)}")
        elif free:
            switches.type(name, f"{header} {free[0]}", "permit tcp any any eq 9")


def random_lists(rng: random.Random) -> list[dict[str, Any]]:
    """Some lists of both families; a port may have one of each."""
    made = []
    ports = {six: [f"GigabitEthernet1/0/{number}" for number in range(1, 7)] for six in (False, True)}
    for free in ports.values():
        rng.shuffle(free)
    for name in rng.sample(["SW_hvac", "SW_pump", "SW_cam", "SW_hvac__v6", "SW_cam__v6"], rng.randint(1, 4)):
        six, lines = name.endswith("v6"), []
        if six:
            lines.append(f"ipv6 access-list {name}")
        for number in range(rng.randint(1, 12)):
            if rng.random() < 0.3:
                lines.append(f"remark rule {name}-{number}")
            action, protocol = rng.choice(["permit", "permit", "deny"]), rng.choice(["tcp", "udp"])
            port = rng.choice([f"eq {rng.randint(1, 65535)}", "range 5000 5010", "gt 1023", ""])
            host = f"2001:db8:{rng.randint(0, 3)}::" if six else f"10.{rng.randint(0, 3)}.0."
            lines.append(f"{action} {protocol} any host {host}{rng.randint(1, 9)} {port}".rstrip())
        count, free = rng.randint(0, 2), ports[six]
        made.append(
            {
                "name": name,
                "content": "\n".join([*lines, "permit ipv6 any any" if six else "permit ip any any"]),
                "interfaces": free[:count],
                "direction": "in",
            }
        )
        ports[six] = free[count:]
    return made


def test_rounds_of_random_changes(switches: Switches, tmp_path: Path, full: bool) -> None:
    rng = random.Random(905)
    for _round in range(10 if full else 2):
        before = {name: switches.running(name) for name in switches.names}
        wanted = random_lists(rng)
        made = change(switches, tmp_path, wanted)
        assert not made["failed_hosts"], made["warnings"]
        switches.forget()
        again = change(switches, tmp_path, wanted)
        assert again["counts"]["unchanged"] == len(switches.names), again["warnings"]
        assert not any(switches.typed(name) for name in switches.names)
        if rng.random() < 0.5 or not full:
            back = change(switches, tmp_path, state="undone", run=made["run"])
            assert not back["failed_hosts"], back["warnings"]
            assert {name: switches.running(name) for name in switches.names} == before
            assert not verify_journal(Keeping(tmp_path / "state", "").journal("acc1"))


# -- guards


def test_what_cuts_management_is_refused_and_a_forced_one_comes_back(
    switches: Switches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cuts = {
        "the controller": ["permit udp any any", "permit tcp any any neq 22"],
        "RADIUS": ["permit tcp any any", "permit udp any any eq 1700"],
    }
    before = switches.running("acc1")
    for what, lines in cuts.items():
        wanted = [{"name": "SW_vlan", "content": "\n".join(lines), "interfaces": ["Vlan10"]}]
        for check in (True, False):
            made = change(switches, tmp_path, wanted, ["acc1"], check_mode=check)
            assert next(each["code"] for each in made["results"]["acc1"]["findings"]) == "SW4263"
            assert what in str(made["warnings"])
            assert switches.running("acc1") == before
    monkeypatch.setattr(ios, "cut_findings", lambda *_given: [])
    wanted = [{"name": "SW_vlan", "content": "permit udp any any", "interfaces": ["Vlan10"]}]
    made = change(switches, tmp_path, wanted, ["acc1"])
    assert "SW4410" in [each["code"] for each in made["results"]["acc1"]["findings"]]
    assert made["results"]["acc1"]["in_force"] == "what it held before"
    assert switches.running("acc1") == before


def test_no_room_in_the_hardware_is_refused_before_anything_is_typed(switches: Switches, tmp_path: Path) -> None:
    assert not change(switches, tmp_path, lists(), ["acc1"])["failed_hosts"]
    device = switches.fleet.device("acc1")
    object.__setattr__(device.spec, "acl_capacity", 129 + 8)
    before = switches.running("acc1")
    switches.forget()
    many = tuple(f"permit tcp any host 10.0.0.1 eq {port}" for port in range(1000, 1005))
    made = change(switches, tmp_path, lists(more=many), ["acc1"])
    assert [each["code"] for each in made["results"]["acc1"]["findings"]] == ["SW4405"]
    assert (switches.typed("acc1"), switches.running("acc1")) == ([], before)


def test_a_change_that_could_not_be_saved_is_told_as_a_change(switches: Switches, tmp_path: Path) -> None:
    """The new list is in force: a result without a change would keep handlers from running and hide it."""
    switches.fault("acc1", kind="drop_before_write")
    made = change(switches, tmp_path, lists(), ["acc1"])
    result = made["results"]["acc1"]
    assert (result["status"], [each["code"] for each in result["findings"]]) == ("failed", ["SW4261", "SW4267"])
    assert result["completed"] and result["sent"] and made["changed"]
    assert switches.ours("acc1") == ({"SW_hvac__a"}, {"SW_hvac__a"})


def test_the_lock_of_another_administrator_is_respected(switches: Switches, tmp_path: Path) -> None:
    switches.type("acc1", "configuration mode exclusive manual")
    device = switches.fleet.device("acc1")

    class Owner:
        user, tty, closed = "colleague", 3, False

    device.lock_owner = Owner
    made = change(switches, tmp_path, lists(), ["acc1"])
    assert made["results"]["acc1"]["findings"][0]["code"] == "SW4404"
    device.lock_owner = None
    assert not change(switches, tmp_path, lists(), ["acc1"])["failed_hosts"]


def test_lists_of_others_remarks_and_hand_edits(switches: Switches, tmp_path: Path) -> None:
    assert not change(switches, tmp_path, lists(), ["acc1"])["failed_hosts"]
    foreign = [line for line in switches.running("acc1").splitlines() if "MGMT-ACCESS" in line]
    # Remarks and numbers decide about no packet: no line is typed for them.
    switches.type(
        "acc1", "ip access-list resequence SW_hvac__a 100 5", "ip access-list extended SW_hvac__a", "103 remark by hand"
    )
    switches.forget()
    assert change(switches, tmp_path, lists(), ["acc1"])["counts"]["unchanged"] == 1
    assert switches.typed("acc1") == []
    switches.type("acc1", "ip access-list extended SW_hvac__a", "101 permit tcp any any eq 23")
    shown = change(switches, tmp_path, lists(), ["acc1"], check_mode=True)
    assert ":23" in str(shown["results"]["acc1"]["operations"])  # reported, with a witness
    assert not change(switches, tmp_path, lists(), ["acc1"])["failed_hosts"]
    assert "eq telnet" not in switches.running("acc1")
    refused = change(switches, tmp_path, lists(ports=("Gi1/0/7",)), ["acc1"])
    assert refused["results"]["acc1"]["findings"][0]["code"] == "SW4265"
    assert [line for line in switches.running("acc1").splitlines() if "MGMT-ACCESS" in line] == foreign


def test_a_device_without_applets_gets_the_archive_timer_or_nothing(switches: Switches, tmp_path: Path) -> None:
    wanted = [{"name": "SW_vlan", "content": "permit ip any any", "interfaces": ["Vlan10"]}]
    for name in ("acc1", "acc2"):
        object.__setattr__(switches.fleet.device(name).spec, "event_manager", False)
    switches.type("acc2", "no archive")
    before = switches.running("acc2")
    made = change(switches, tmp_path, wanted, ["acc1", "acc2"])
    assert "SW4409" in [each["code"] for each in made["results"]["acc1"]["findings"]]
    assert made["results"]["acc1"]["status"] == "changed"
    assert switches.fleet.device("acc1").revert is None  # confirmed
    assert "SW4408" in [each["code"] for each in made["results"]["acc2"]["findings"]]
    assert switches.running("acc2") == before


def test_an_archive_that_does_not_bring_the_old_lists_back_is_noticed(
    switches: Switches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = switches.fleet.device("acc1")
    object.__setattr__(device.spec, "event_manager", False)
    before = switches.running("acc1")
    # Somebody else has confirmed it: there is nothing left to go back to.
    monkeypatch.setattr(device, "revert_now", lambda: device.confirm_revert("other"))
    switches.fault("acc1", kind="refuse_connect_after_lines", lines=1)
    wanted = [{"name": "SW_vlan", "content": "permit ip any any", "interfaces": ["Vlan10"]}]
    made = change(switches, tmp_path, wanted, ["acc1"])["results"]["acc1"]
    assert made["status"] == "failed"
    assert made["in_force"] == "what it held before"
    assert switches.running("acc1") == before
    assert device.revert is None


@pytest.mark.parametrize("left", [False, True])
def test_a_list_that_another_run_made_since_the_plan_is_not_typed_into(
    switches: Switches, tmp_path: Path, left: bool
) -> None:
    change(switches, tmp_path / "one", lists(), ["acc1"])
    if left:  # an interrupted run left the next version behind: it is planned to be replaced
        switches.type("acc1", "ip access-list extended SW_hvac__b", "permit udp any any", "exit",
                      "ip access-list extended SW_hvac__c", "permit udp any any")  # fmt: skip
    values = {"targets": ["acc1"], "hostvars": switches.hostvars(lists(80))}
    job = jobs_of(values, {"hostvars": values["hostvars"]})[0][0]
    late = job.open()
    assert isinstance(late, ios.IosTarget)
    late.prepare_change([s for s in late.diff(job.desired, late.snapshot(job.desired)) if not s.details.get("prune")])
    change(switches, tmp_path / "two", lists(8443), ["acc1"])
    before = switches.running("acc1")
    switches.forget()
    with pytest.raises(FindingError, match="somebody else"):
        late.carry_out(())
    late.close()
    assert switches.running("acc1") == before
    claim = own_name("SW_claim")
    typed = switches.typed("acc1")
    assert typed[0].startswith(f"event manager applet {claim} ") and typed[-1] == f"no event manager applet {claim}"
    assert all(line.startswith(("action ", "event timer ", "do ")) for line in typed[1:-1])


# -- every fault at every line


def probes() -> list[dict[str, Any]]:
    made = []
    for port in (443, 8443, 80):
        packet = {
            "protocol": "tcp",
            "source": "10.5.0.9",
            "destination": "10.0.0.1",
            "source_port": 40000,
            "destination_port": port,
            "tcp_flags": ["syn"],
        }
        made += [
            {"packet": packet, "interface": f"GigabitEthernet1/0/{number}", "direction": "in"} for number in (1, 2)
        ]
    return made


OLD, NEW = "PPDDDD", "DDPPDD"  # verdicts of the probes with either list
MIXED = {OLD, NEW, "DPPDDD", "PDDPDD"}  # each port has the old list or the new one, whole


def way_unknown(path: ManagementPath) -> ManagementPath:
    """The same, but for the way of the controller, which the switch does not tell."""
    return replace(path, conversations=(replace(path.conversations[0], known=False), *path.conversations[1:]))


@pytest.mark.parametrize(
    "kind",
    ["refused", "dropped", "reload", "refuse_new_login", "unsaved", "hung", "half_echo"],
)
@pytest.mark.parametrize("managed", [False, True])
def test_faults_at_every_line(
    switches: Switches,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    full: bool,
    kind: str,
    managed: bool,
    record_property: Any,
) -> None:
    """Old or new list on each port, whole; manageable; nothing stale after the next run; the journal whole."""
    if managed:  # the way back is armed where a place could be the controller's; say that of all
        plain = ios.management_path
        monkeypatch.setattr(
            ios,
            "management_path",
            lambda session, state: way_unknown(plain(session, state)),
        )
    name = "acc1"
    assert not change(switches, tmp_path, lists(), [name])["failed_hosts"]
    device = switches.fleet.device(name)
    state = switches.fleet.call(device.dump)
    old = switches.running(name)
    lines = len(list(change(switches, tmp_path, lists(8443), [name], check_mode=True)["results"][name]["commands"]))
    where = range(1, lines + 3) if full else random.Random(kind).sample(range(1, lines + 1), 3)
    if kind in ("refuse_new_login", "unsaved"):
        where = range(1)
    if kind in ("hung", "half_echo") and not full:
        if kind == "hung" and managed:
            pytest.skip("half a minute of waiting; make full runs it")
        where = list(where)[:1]
    counts, struck = {"old": 0, "new": 0}, 0
    for line in where:
        switches.fleet.call(lambda: device.restore(json.loads(json.dumps(state))))
        fault_at(switches, name, kind, line)
        switches.fleet.call(lambda: (setattr(device, "probes", probes()), setattr(device, "trace", []))[0])
        made = change(switches, tmp_path, lists(8443), [name])["results"][name]
        struck += any(fault.struck for fault in device.faults.items)
        switches.end_faults()
        verdicts = {each["verdicts"] for each in device.trace}
        assert verdicts <= MIXED, (kind, line, verdicts)
        attached, _existing = switches.ours(name)
        assert len(attached) == 1 or kind in ("hung", "half_echo", "dropped"), (kind, line, attached)
        counts[
            "new" if "8443" in switches.running(name).partition(f"extended {next(iter(attached))}")[2] else "old"
        ] += 1
        if made["status"] == "changed":
            assert made["in_force"].startswith("the new lists")
        again = change(switches, tmp_path, lists(8443), [name])
        assert not again["failed_hosts"] and not again["unreachable_hosts"], (
            kind,
            line,
            again["warnings"],
            made["findings"],
        )
        attached, existing = switches.ours(name)
        assert attached == existing and len(existing) == 1, (kind, line, existing)
        assert "SW_revert" not in switches.running(name)
        assert next(iter(attached)) in switches.startup(name), (kind, line)
        assert "SW_revert" not in switches.startup(name)
        path = Keeping(tmp_path / "state", "").journal(name)
        assert not verify_journal(path)
        assert read_entries(path)[-1]["event"] == "plan_done"
    record_property("faults", f"{kind}: {struck} of {len(list(where))} lines struck, {counts}")
    assert struck >= max(1, len(list(where)) - 8), (
        struck
    )  # the last lines of a full run lie behind the end of the change
    assert old


def fault_at(switches: Switches, name: str, kind: str, line: int) -> None:
    if kind == "refused":
        switches.fleet.call(lambda: switches.fleet.device(name).faults.add({"kind": "refuse_line", "lines": line}))
    elif kind == "refuse_new_login":
        switches.fault(name, kind="refuse_connect_after_lines", lines=1)
    elif kind == "unsaved":
        switches.fault(name, kind="drop_before_write")
    else:
        known = {
            "dropped": "drop_after_lines",
            "hung": "hang",
            "half_echo": "half_echo",
            "reload": "reload_after_lines",
        }
        switches.fault(name, kind=known[kind], lines=line + (6 if kind in ("hung", "half_echo") else 0))


def test_nothing_opens_and_nothing_closes_while_500_entries_are_replaced(
    switches: Switches, tmp_path: Path, full: bool
) -> None:
    """After every line that changes anything: what both lists permit passes, what neither permits does not."""
    size = 500 if full else 60
    both = [f"permit tcp any host 10.1.0.{number % 250} eq {2000 + number}" for number in range(size)]
    first = [
        {
            "name": "SW_big",
            "content": "\n".join([*both, "permit tcp any any eq 443"]),
            "interfaces": ["Gi1/0/1", "Gi1/0/2"],
        }
    ]
    second = [
        {
            "name": "SW_big",
            "content": "\n".join([*reversed(both), "permit tcp any any eq 8443"]),
            "interfaces": ["Gi1/0/1", "Gi1/0/2"],
        }
    ]
    assert not change(switches, tmp_path, first, ["acc1"])["failed_hosts"]
    device = switches.fleet.device("acc1")
    made: list[dict[str, Any]] = []
    for number in (0, size // 2, size - 1):
        for port in ("GigabitEthernet1/0/1", "GigabitEthernet1/0/2"):
            for target, wanted in ((f"10.1.0.{number % 250}", 2000 + number), ("10.9.9.9", 2000 + number)):
                packet = {
                    "protocol": "tcp",
                    "source": "10.5.0.9",
                    "destination": target,
                    "source_port": 40000,
                    "destination_port": wanted,
                    "tcp_flags": ["syn"],
                }
                made.append({"packet": packet, "interface": port, "direction": "in"})
    switches.fleet.call(lambda: (setattr(device, "probes", made), setattr(device, "trace", []))[0])
    assert not change(switches, tmp_path, second, ["acc1"])["failed_hosts"]
    assert len(device.trace) > size
    assert {each["verdicts"] for each in device.trace} == {"PD" * (len(made) // 2)}


# -- the controller's own faults


def test_a_controller_that_is_killed_at_any_moment(switches: Switches, tmp_path: Path, full: bool) -> None:
    inventory = tmp_path / "vars.json"
    hostvars = {"acc1": switches.hostvars(lists(8443))["acc1"]}
    inventory.write_text(json.dumps(hostvars), encoding="utf-8")
    assert not change(switches, tmp_path, lists(), ["acc1"])["failed_hosts"]
    device = switches.fleet.device("acc1")
    state = switches.fleet.call(device.dump)
    moments, struck = (range(1, 16) if full else (2, 9)), 0
    for line in moments:
        switches.fleet.call(lambda: device.restore(json.loads(json.dumps(state))))
        switches.forget()
        switches.fleet.call(lambda: (setattr(device, "probes", probes()), setattr(device, "trace", []))[0])
        switches.fault("acc1", kind="line_delay", seconds=0.12, times=None)
        process = subprocess.Popen(
            [str(program("python")), "-c", RUN, str(inventory), str(tmp_path)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT / "collections")},
        )
        deadline = time.monotonic() + 40
        while len(switches.typed("acc1")) < line and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        process.kill()
        struck += process.wait(timeout=20) == -signal.SIGKILL
        switches.end_faults()
        assert {each["verdicts"] for each in device.trace} <= MIXED, line
        attached, _existing = switches.ours("acc1")
        assert 1 <= len(attached) <= 2 and attached <= {"SW_hvac__a", "SW_hvac__b"}
        again = change(switches, tmp_path, lists(8443), ["acc1"])
        assert not again["failed_hosts"], again["warnings"]
        attached, existing = switches.ours("acc1")
        assert attached == existing and len(existing) == 1
        assert next(iter(attached)) in switches.startup("acc1")
        assert {each["verdicts"] for each in device.trace} <= MIXED, line
        assert "8443" in switches.running("acc1") and "SW_revert" not in switches.running("acc1")
        path = Keeping(tmp_path / "state", "").journal("acc1")
        assert not verify_journal(path)
        assert read_entries(path)[-1]["event"] == "plan_done"
    assert struck >= 2  # later ones may come when the run has ended


@pytest.mark.parametrize("ours_too", [False, True])
def test_what_others_have_not_saved_is_saved_only_with_what_is_ours(
    switches: Switches, tmp_path: Path, ours_too: bool
) -> None:
    """After a run that failed, the next one finds nothing to do."""
    assert not change(switches, tmp_path, lists(), ["acc1"])["failed_hosts"]
    if ours_too:  # all was done but saving
        switches.fault("acc1", kind="drop_before_write")
    else:  # refused, and back to what stood there before
        switches.fault("acc1", kind="error_on", regex="8443")
    assert change(switches, tmp_path, lists(8443), ["acc1"])["failed_hosts"] == ["acc1"]
    switches.end_faults()
    switches.type("acc1", "interface GigabitEthernet1/0/5", "description tried by a colleague")
    saved = switches.startup("acc1")
    again = change(switches, tmp_path, lists(8443 if ours_too else 443), ["acc1"])
    found = [each["code"] for each in again["results"]["acc1"]["findings"]]
    assert again["counts"]["unchanged"] == 1, again["results"]["acc1"]
    assert ("SW4415" in found) is ours_too
    assert (switches.startup("acc1") == saved) is not ours_too
    assert ("tried by a colleague" in switches.startup("acc1")) is ours_too
    assert read_entries(Keeping(tmp_path / "state", "").journal("acc1"))[-1]["event"] == "plan_done"


RUN = """
import json, sys
from pathlib import Path
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.device_fleet import jobs_of, run_device_fleet
hostvars = json.loads(Path(sys.argv[1]).read_text())
run_device_fleet(
    {"state": "merged", "workers": 1, "data_dir": sys.argv[2], "check_mode": False, "diff_mode": False},
    {"hostvars": hostvars, "ansible_play_batch": list(hostvars)},
)
"""


def test_a_full_disk_on_the_controller_writes_nothing_to_a_device(
    switches: Switches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ansible_collections.segwright.microseg.plugins.plugin_utils.change import journal as journal_module
    from ansible_collections.segwright.microseg.plugins.plugin_utils.steps import device_fleet

    before = switches.running("acc1")
    full_disk = OSError(28, "No space left on device")

    def fail(*_given: Any) -> None:
        raise full_disk

    with monkeypatch.context() as patched:
        patched.setattr(journal_module.Journal, "_write", fail)
        made = change(switches, tmp_path, lists(), ["acc1"])
        assert made["results"]["acc1"]["findings"][0]["code"] == "SW4034"
        assert switches.running("acc1") == before
    with monkeypatch.context() as patched:
        patched.setattr(device_fleet, "write_json", fail)
        assert change(switches, tmp_path, lists(), ["acc2"])["not_begun_hosts"] == ["acc2"]
        assert switches.ours("acc2") == (set(), set())
    # Full in the middle: the device is brought to its end and saved, and the next run ends the journal.
    plain = journal_module.Journal._write
    written = []

    def later(self: Any, line: str) -> None:
        written.append(line)
        if len(written) > 4:
            raise full_disk
        plain(self, line)

    with monkeypatch.context() as patched:
        patched.setattr(journal_module.Journal, "_write", later)
        made = change(switches, tmp_path, lists(), ["acc3"])
        assert made["failed_hosts"] == ["acc3"]
    assert switches.ours("acc3") == ({"SW_hvac__a"}, {"SW_hvac__a"})
    assert "SW_hvac__a" in switches.startup("acc3")
    assert change(switches, tmp_path, lists(), ["acc3"])["counts"]["unchanged"] == 1
    assert read_entries(Keeping(tmp_path / "state", "").journal("acc3"))[-1]["event"] == "plan_done"
