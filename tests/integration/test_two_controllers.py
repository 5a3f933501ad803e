# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two controllers that share no state directory, each with a plan for the same switches and for nothing else, over real SSH.

With an ISE in the play its lock holds both apart, though nothing is written there. Without one nothing does but the switches: whatever the
moments at which they begin, no switch ends with parts of both, what the one put in force is not changed by the other's plan of before, and
whoever is refused says why, and can go back.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import known_entries, verify_journal
from tests.integration import test_kills_lab
from tests.integration.conftest import LabTargets
from tests.integration.test_drift_and_rollback import configured
from tests.integration.test_kills_lab import LOCK, host_variables, meant
from tests.integration.test_rings import RINGS
from tests.lab.iosxe.fleet import Fleet, FleetThread
from tests.lab.iosxe.spec import DeviceSpec, HostSpec, InterfaceSpec
from tests.lab.places import CHECKOUT
from tests.lab.playbooks import Site

NET, PORT, CLIENT = f"127.10.{120 + os.getpid() % 120}", 2222, "127.99.0.7"
USER, PASSWORD, ENABLE = "netops", "pw-netops-1", "enable-netops-1"
PORTS = tuple(InterfaceSpec(f"GigabitEthernet1/0/{number}", f"port {number}", 10) for number in range(1, 9))
CONFIG = "interface Vlan10\n ip address {address} 255.0.0.0\n"
HEAD = ("! Last", "! NVRAM", "! No config", "Current configuration")
NAMES = ("acc1", "acc2")
# What a run may be refused with, before it has typed anything but its claim: another's claim or way back, a name that is taken, live
# state that moved. A line that is refused (SW4260) or a list that the other removed (SW4264) would be the hole that the claim closes.
REFUSALS = {"SW4476", "SW4222", "SW4015"}
NEVER = {"SW4260", "SW4264", "SW4268", "SW4480", "SW4481"}
PATIENCE = 240.0


def objects(port: int, guarded: bool) -> list[list[Any]]:
    """A list on two ports, and where the controller comes in, so that a way back is armed, or there alone."""
    lines = [
        "permit udp any eq 68 any eq 67",
        "permit tcp any any eq 22",
        f"permit tcp any host 10.0.0.1 eq {port}",
        "deny ip any any",
    ]
    text = "".join(f" {number * 10} {line}\n" for number, line in enumerate(lines, 1))
    places = ["GigabitEthernet1/0/1", "GigabitEthernet1/0/2", *(["Vlan10"] if guarded else [])]
    return [
        ["access_list", "SW_hvac", {"content": f"ip access-list extended SW_hvac\n{text}"}],
        *(
            ["attachment", f"{name}-in", {"interface": name, "direction": "in", "access_list": "SW_hvac"}]
            for name in places
        ),
    ]


class Controllers:
    """The fleet and the runs on it."""

    def __init__(self, fleet: FleetThread, known_hosts: Path, directory: Path) -> None:
        self.fleet, self.known_hosts, self.directory, self.number = fleet, known_hosts, directory, 0
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.switch_controller"], cwd=CHECKOUT, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": f"{CHECKOUT / 'collections'}:{CHECKOUT}"},
        )  # fmt: skip

    def start(self, who: str, state: Path, desired: list[list[Any]], **more: Any) -> Path:
        self.number += 1
        state.mkdir(parents=True, exist_ok=True)
        out = self.directory / f"result-{self.number}.json"
        specs = [
            {
                "name": name, "platform": "ios", "host": self.fleet.device(name).spec.address, "port": PORT, "username": USER,
                "password": PASSWORD, "enable_password": ENABLE, "known_hosts_file": str(self.known_hosts), "timeout": 3,
                "revert_seconds": 20,
            }
            for name in NAMES
        ]  # fmt: skip
        order = {
            "specs": specs,
            "desired": dict.fromkeys(NAMES, desired),
            "state": str(state),
            "place": who,
            "out": str(out),
            **more,
        }
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        self.process.stdout.readline()
        return out

    def run(self, who: str, state: Path, desired: list[list[Any]], **more: Any) -> dict[str, Any]:
        return result_of(self.start(who, state, desired, **more))

    def running(self, name: str) -> str:
        text = self.fleet.call(self.fleet.device(name).running_text)
        return "\n".join(line for line in text.splitlines() if not line.startswith(HEAD))

    def held(self) -> dict[str, str]:
        """What is in force on each switch: the port that its list opens, by the version that every place names; else what is wrong."""
        return {name: in_force(self.running(name)) for name in NAMES}

    def armed(self) -> list[str]:
        return [
            line
            for name in NAMES
            for line in re.findall(r"(?m)^event manager applet SW_(?:revert|claim)\S*", self.running(name))
        ]


def in_force(text: str) -> str:
    attached = set(re.findall(r"(?m)^ ip access-group (SW_\S+) in", text))
    lists = dict(re.findall(r"(?m)^ip access-list extended (SW_\S+)\n((?: .*\n?)*)", text))
    if len(attached) != 1 or set(lists) != attached:
        return f"attached {sorted(attached)} of {sorted(lists)}"
    (body,) = lists.values()
    opened = re.findall(r"permit tcp any host 10\.0\.0\.1 eq (\S+)", body)
    return opened[0] if len(opened) == 1 and "deny ip any any" in body else f"garbled: {body}"


def result_of(out: Path) -> dict[str, Any]:
    until = time.monotonic() + PATIENCE
    while not out.exists():
        assert time.monotonic() < until, out
        time.sleep(0.005)
    found: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    assert found["codes"] != ["crash"], found
    return found


@pytest.fixture
def controllers(tmp_path: Path) -> Iterator[Controllers]:
    specs = [
        DeviceSpec(
            name, f"{NET}.{number}", PORT, interfaces=PORTS, initial_config=CONFIG.format(address=f"{NET}.{number}"),
            hosts=(HostSpec("02:00:00:00:09:07", CLIENT, "GigabitEthernet1/0/8", 10),), controller=CLIENT, management_interface="Vlan10",
        )
        for number, name in enumerate(NAMES, 1)
    ]  # fmt: skip
    fleet = Fleet(
        specs, tmp_path / "key", {USER: PASSWORD}, known_hosts_path=tmp_path / "known_hosts", enable_secret=ENABLE
    )
    with FleetThread(fleet) as running:
        made = Controllers(running, tmp_path / "known_hosts", tmp_path)
        yield made
        made.process.kill()
        made.process.wait()


@pytest.mark.full
@pytest.mark.parametrize("guarded", [True, False], ids=["ways back armed", "nothing armed"])
@pytest.mark.parametrize("ports", [(8443, 8443), (8443, 9443)], ids=["same plan", "two plans"])
def test_two_at_once(controllers: Controllers, tmp_path: Path, guarded: bool, ports: tuple[int, int]) -> None:
    dice = random.Random(f"{guarded} {ports}")
    seen: Counter[str] = Counter()
    base = 7443
    assert controllers.run("aaaaaa", tmp_path / "zero", objects(base, guarded))["ok"]
    assert set(controllers.held().values()) == {str(base)}
    for attempt in range(10):
        place = tmp_path / str(attempt)
        place.mkdir()
        flag = place / "go"
        states = {"aaaaaa": place / "one", "bbbbbb": place / "two"}
        delays = (0.0, dice.choice((0.0, 0.05, 0.2, dice.uniform(0, 1), dice.uniform(0, 4))))
        outs = [
            controllers.start(who, state, objects(port, guarded), wait_for=str(flag), delay=delay)
            for (who, state), port, delay in zip(states.items(), ports, delays, strict=True)
        ]
        until = time.monotonic() + PATIENCE
        while len(list(place.glob("go.*"))) < 2:
            assert time.monotonic() < until
            time.sleep(0.005)
        flag.touch()
        results = [result_of(out) for out in outs]
        held = controllers.held()
        about = (attempt, delays, held, [(item["ok"], item["codes"], item["done"]) for item in results])
        # No switch has parts of both, or is left between; nobody's way back stands there.
        assert set(held.values()) <= {str(base), *map(str, ports)}, (about, results)
        assert controllers.armed() == [], about
        for result in results:
            assert result["ok"] or set(result["codes"]) & REFUSALS, (about, result["texts"])
            assert not set(result["codes"]) & NEVER, (about, result["texts"])
        if ports[0] != ports[1]:
            # Both planned from the same state: not both can have been carried out whole.
            assert not all(result["ok"] for result in results), about
        good = [port for port, result in zip(ports, results, strict=True) if result["ok"]]
        if good:
            assert set(held.values()) == {str(good[0])}, about
        seen["one went on" if len(good) == 1 else "both said done" if good else "both were refused"] += 1
        # Whoever was refused goes back: what the other holds stays, and what only it changed is as before.
        for (who, state), port, result in zip(states.items(), ports, results, strict=True):
            if not result["ok"]:
                undone = controllers.run(who, state, objects(port, guarded), back=True)
                seen[f"back: {'done' if undone['ok'] else undone['codes']}"] += 1
        after = controllers.held()
        # Of two that wanted the same the one that goes back takes back what both did.
        ends = {str(good[0])} if good and ports[0] != ports[1] else {str(base), *map(str, ports)}
        assert set(after.values()) <= ends and len(set(after.values())) == 1, (about, after)
        print(f"{about} -> {after}")
        # Begun anew from one state.
        base = 7000 + attempt
        made = controllers.run("aaaaaa", place / "reset", objects(base, guarded))
        assert made["ok"], made
    print(f"{'armed' if guarded else 'nothing armed'}, {ports}: {dict(seen)}")
    assert sum(number for name, number in seen.items() if not name.startswith("back")) == 10


@pytest.mark.full
@pytest.mark.parametrize("guarded", [True, False], ids=["ways back armed", "nothing armed"])
def test_one_comes_between_two_rings_of_the_other(controllers: Controllers, tmp_path: Path, guarded: bool) -> None:
    """The first ring is confirmed, nothing stands armed, the second ring is not begun: whose plan is older is refused there."""
    assert controllers.run("aaaaaa", tmp_path / "zero", objects(7443, guarded))["ok"]
    flags = [tmp_path / "one-goes", tmp_path / "two-goes"]
    first = controllers.start(
        "aaaaaa", tmp_path / "one", objects(8443, guarded), rings=list(NAMES), watch=25.0, wait_for=str(flags[0])
    )
    second = controllers.start("bbbbbb", tmp_path / "two", objects(9443, guarded), wait_for=str(flags[1]))
    until = time.monotonic() + PATIENCE
    while len(list(tmp_path.glob("*-goes.*"))) < 2:
        assert time.monotonic() < until
        time.sleep(0.01)
    flags[0].touch()
    while (
        controllers.held() != {"acc1": "8443", "acc2": "7443"}
        or "ring_done" not in (tmp_path / "one" / "journal.jsonl").read_text()
    ):
        assert time.monotonic() < until, controllers.held()
        time.sleep(0.05)
    flags[1].touch()  # its plan is of before
    refused = result_of(second)
    assert not refused["ok"] and "SW4015" in refused["codes"] and refused["done"] == {}, refused
    assert controllers.held() == {"acc1": "8443", "acc2": "7443"}
    # One that plans now, while the first waits, is carried out; the first then finds its plan stale, and writes nothing.
    made = controllers.run("bbbbbb", tmp_path / "three", objects(9443, guarded))
    assert made["ok"] and controllers.held() == {"acc1": "9443", "acc2": "9443"}, made
    late = result_of(first)
    assert not late["ok"] and "SW4015" in late["codes"] and late["done"] == {"acc1": 1}, late
    assert controllers.held() == {"acc1": "9443", "acc2": "9443"} and controllers.armed() == []


@pytest.mark.full
@pytest.mark.parametrize("same", [True, False], ids=["same plan", "two plans"])
def test_with_an_ise_in_the_play_one_waits_outside(
    targets: LabTargets, at: Callable[[str], Site], tmp_path: Path, same: bool
) -> None:
    """A ring that writes to one port of one switch: the lock in ISE holds the other off before it types anything."""
    site = at("planned")
    documents = site.policy / "enforcement.yml"
    head, _rings, tail = re.split(r"^(?=rings:|budgets:)", documents.read_text(encoding="utf-8"), flags=re.MULTILINE)
    documents.write_text(head + RINGS + tail, encoding="utf-8")
    site.commit("One port first")
    runs = test_kills_lab.Controllers(host_variables(targets.places))
    try:
        assert not runs.run(site, "plan").get("failed")
        sites = []
        for name in ("one", "two"):
            shutil.copytree(site.directory, tmp_path / name / "work")
            sites.append(Site(site.places, tmp_path / name / "work", tmp_path / name / "logs"))
        if not same:
            workflows = sites[1].policy / "workflows.yml"
            workflows.write_text(workflows.read_text(encoding="utf-8") + "# reviewed\n", encoding="utf-8")
            sites[1].commit("Another commit")
            assert not runs.run(sites[1], "plan").get("failed")
        moment, before = targets.remember(), (targets.ruleset(), configured(targets.running()), targets.ise_objects())
        # What one alone makes of it.
        shutil.copytree(sites[0].directory, tmp_path / "alone" / "work")
        alone = Site(site.places, tmp_path / "alone" / "work", tmp_path / "alone" / "logs")
        assert not runs.run(alone, "apply", ring="one-port").get("failed")
        approved = meant((targets.ruleset(), configured(targets.running()), targets.ise_objects()))
        assert approved != meant(before) and approved[0] == before[0] and approved[2] == before[2]
        dice, seen = random.Random(str(same)), Counter[str]()
        for attempt in range(8):
            targets.restore(moment)
            places = []
            for number, each in enumerate(sites):
                shutil.copytree(each.directory, tmp_path / f"{attempt}-{number}" / "work")
                places.append(
                    Site(
                        site.places,
                        tmp_path / f"{attempt}-{number}" / "work",
                        tmp_path / f"{attempt}-{number}" / "logs",
                    )
                )
            started = [runs.start(places[0], "apply", ring="one-port")]
            time.sleep(dice.choice((0.0, 0.0, 0.1, dice.uniform(0, 2))))
            started.append(runs.start(places[1], "apply", ring="one-port"))
            results = [json.loads(waited(out).read_text(encoding="utf-8")) for _process, out in started]
            now = (targets.ruleset(), configured(targets.running()), targets.ise_objects())
            assert LOCK not in now[2] and meant(now) == approved, (attempt, results)
            good = [not result.get("failed") for result in results]
            assert any(good), results
            for result, place, (process, _out) in zip(results, places, reversed(started), strict=True):
                text = str(result.get("msg", "")) + json.dumps(result.get("errors", []))
                entries = known_entries(place.state / "journal.jsonl")
                if result.get("failed"):
                    # By the lock in ISE; by the claim on the switch where that is seen before the lock is asked for; or by what moved.
                    theirs, moved = f"process {process}" in text, "SW4015" in text
                    locked = theirs and ("SW4040" in text or "SW4476" in text)
                    assert locked or moved, result
                    assert not [entry for entry in entries if entry["event"] == "operation_started"], entries
                    seen["refused with the other's identity" if locked else "refused by the moved state"] += 1
                assert not [item for item in verify_journal(place.state / "journal.jsonl") if item.severity == "error"]
            seen["both done"] += all(good)
        print(f"with ISE, {'same plan' if same else 'two plans'}: {dict(seen)}")
        assert seen["refused with the other's identity"]
    finally:
        runs.process.kill()
        runs.process.wait()


def waited(out: Path) -> Path:
    until = time.monotonic() + PATIENCE
    while not out.exists():
        assert time.monotonic() < until, out
        time.sleep(0.01)
    return out
