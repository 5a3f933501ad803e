# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Applying to ISE while everything goes wrong: each fault at each request, a killed controller, two controllers at once.

What has to hold each time: a second run reaches the desired state, nothing is there twice or lost, and the journal names
every object that was written.
"""

from __future__ import annotations

import contextlib
import copy
import json
import os
import queue
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import read_entries, verify_journal
from tests.lab.ise.client import ControlClient
from tests.lab.ise.server import IseServer

HOST = "127.10.84.10"
HOSTS = (HOST, "127.10.84.21", "127.10.84.22", "127.10.84.23")  # of the full run, side by side
MARK = "segwright:test "
LOCK = "SEGWRIGHT_LOCK"
SEED: dict[str, Any] = {
    "settings": {"push_delay": 0.0},
    "network_devices": [{"name": "acc1", "ip": "127.10.84.31"}],
    "sgacls": [{"name": "Corp_Web", "lines": ["permit tcp dst eq 443", "deny ip"], "description": "desktop team"}],
    "sgts": [{"name": "Corp", "value": 900}],
}
MOVING = ("id", "generationId", "link", "_modified")
RESOURCES = {
    "sgt": "sgt", "sgacl": "sgacl", "downloadableacl": "downloadable_acl", "egressmatrixcell": "egress_matrix_cell",
    "authorizationprofile": "authorization_profile",
}  # fmt: skip
HANG = {"seconds": 1.5}
FAULTS: dict[str, dict[str, Any]] = {
    "429 int": {"fault": "429", "retry_after": 1}, "429 float": {"fault": "429", "retry_after": "0.5"},
    "429 date": {"fault": "429", "retry_after": "date"}, "429": {"fault": "429"},
    "500": {"fault": "status:500"}, "502": {"fault": "status:502"}, "503": {"fault": "status:503"},
    "504": {"fault": "status:504"}, "drop before": {"fault": "drop_before"},
    "drop after commit": {"fault": "drop_after_commit"}, "hang": {"fault": "hang", **HANG},
    "hang after commit": {"fault": "hang_after_commit", **HANG}, "cut JSON": {"fault": "cut_json"},
    "302": {"fault": "redirect"}, "HTML 200": {"fault": "html200"},
}  # fmt: skip


def objects(port: int, *, new: bool) -> list[list[Any]]:
    """What ISE must hold: before (new false) and after the mixed plan, which creates, changes, deletes, gives back and pushes."""
    found: list[list[Any]] = [
        ["sgt", "SW_pumps", {"value": 1100, "description": f"{MARK}pumps"}],
        ["sgt", "SW_servers", {"value": 1200, "description": f"{MARK}servers"}],
        ["sgacl", "SW_pumps_servers", {
            "ip_version": "IPV4", "content": f"permit tcp dst eq {port}\ndeny ip", "description": f"{MARK}cell",
        }],
        ["downloadable_acl", "SW_pumps", {
            "dacl_type": "IPV4", "content": f"permit tcp any host 100.64.40.10 eq {port}\ndeny ip any any",
            "description": f"{MARK}pumps",
        }],
        ["authorization_profile", "SW_pumps", {"dacl_name": "SW_pumps", "description": f"{MARK}pumps"}],
        cell("SW_pumps", "SW_servers", ["SW_pumps_servers"]),
    ]  # fmt: skip
    if new:
        found += [
            ["sgt", "SW_new", {"value": 1300, "description": f"{MARK}new"}],
            ["downloadable_acl", "SW_new", {
                "dacl_type": "IPV4", "content": "permit ip any any", "description": f"{MARK}new",
            }],
            cell("SW_new", "SW_servers", [], "PERMIT_IP"),
        ]  # fmt: skip
    else:
        found += [
            ["sgacl", "SW_old", {"ip_version": "IPV4", "content": "permit ip", "description": f"{MARK}old"}],
            ["downloadable_acl", "SW_old", {
                "dacl_type": "IPV4", "content": "permit ip any any", "description": "segwright:adopted: theirs",
            }],  # which the mixed plan gives back
            cell("SW_servers", "SW_pumps", ["SW_old"]),
        ]  # fmt: skip
    return found


def cell(source: str, destination: str, sgacls: list[str], rule: str = "NONE") -> list[Any]:
    body = {
        "source": source, "destination": destination, "status": "ENABLED", "sgacls": sgacls, "default_rule": rule,
        "description": f"{MARK}cell {source} to {destination}",
    }  # fmt: skip
    return ["egress_matrix_cell", f"{source}-{destination}", body]


class Controllers:
    """Runs that plan and apply, each in a process of its own."""

    def __init__(self, ise: IseServer, root: Path) -> None:
        self.ise, self.number = ise, 0
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.ise_controller"], cwd=root, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": f"{root / 'collections'}:{root}"},
        )  # fmt: skip

    def start(self, place: Path, desired: list[list[Any]], **more: Any) -> tuple[int, Path]:
        """Returns the number of the process and where its result will be."""
        self.number += 1
        place.mkdir(parents=True, exist_ok=True)
        out = place / f"result-{self.number}.json"
        order = {
            "url": self.ise.base_url, "username": self.ise.username, "password": self.ise.password,
            "ca": self.ise.ca_file, "desired": desired, "journal": str(place / "journal.jsonl"), "state": str(place),
            "out": str(out), "prune": True, "timeout": 1.0, **more,
        }  # fmt: skip
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline()), out

    def run(self, place: Path, desired: list[list[Any]], **more: Any) -> dict[str, Any]:
        return result_of(self.start(place, desired, **more)[1])

    def close(self) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(timeout=20)
        self.process.stdout.close()


def result_of(out: Path, seconds: float = 600) -> dict[str, Any]:
    until = time.monotonic() + seconds
    while not out.exists():
        assert time.monotonic() < until, "the controller does not end"
        time.sleep(0.01)
    return dict(json.loads(out.read_text(encoding="utf-8")))


class Lab:
    def __init__(self, ise: IseServer, controllers: Controllers, place: Path) -> None:
        self.ise, self.controllers, self.place = ise, controllers, place
        self.control = ControlClient(ise.control_url)
        first = controllers.run(place / "first", objects(443, new=False))
        assert first["ok"], first
        self.before = self.control.state()
        self.control.reset_counters()
        assert controllers.run(place / "plain", objects(8443, new=True))["ok"]
        self.unchanged, self.after = configuration(self.control, self.before), configuration(self.control)
        asked = self.control.counters()
        self.requests, self.writes = asked["total"], asked["writes"] + asked["pushes"]
        self.number = 0

    def fresh(self) -> Path:
        """The state before the mixed plan, and an empty place for a controller."""
        self.number += 1
        self.control.clear_faults()
        self.control.restore(copy.deepcopy(self.before))
        return self.place / str(self.number)

    def settled(self, place: Path, since: int) -> dict[str, Any]:
        """A second run, without faults: everything is as after a run that nothing disturbed. Returns its result."""
        self.control.clear_faults()
        again = self.controllers.run(place, objects(8443, new=True))
        assert again["ok"], again
        self.is_settled(place, since)
        return again

    def is_untouched(self, place: Path) -> bool:
        """Whether a run that stopped has announced no step; then ISE has to be as it was, and so is the run after it."""
        journal = place / "journal.jsonl"
        entries = read_entries(journal) if journal.exists() else []
        if any(entry["event"] == "operation_started" for entry in entries):
            return False
        assert configuration(self.control) == self.unchanged
        return all(item["name"] != LOCK for item in self.control.state()["objects"]["downloadableacl"].values())

    def is_settled(self, place: Path, since: int) -> None:
        """Everything is as after a run that nothing disturbed, and the journal says so."""
        assert configuration(self.control) == self.after
        journal = place / "journal.jsonl"
        if journal.exists():
            assert verify_journal(journal) == []
        self._journal_is_true(journal, since)

    def _journal_is_true(self, journal: Path, since: int) -> None:
        """Every object that was written was announced in the journal, and what it calls done was done."""
        entries = read_entries(journal) if journal.exists() else []
        started = {
            (entry["operation"]["kind"], entry["operation"]["name"])
            for entry in entries
            if entry["event"] == "operation_started"
        }
        changes = self.control.changes(since)["changes"]
        written = {
            (RESOURCES[each["resource"]], each["name"])
            for each in changes
            if each["kind"] in ("object", "deleted") and each["name"] != LOCK
        }
        assert written <= started
        kinds = {
            entry["operation"]["id"]: entry["operation"] for entry in entries if entry["event"] == "operation_started"
        }
        done = {
            (kinds[entry["operation_id"]]["kind"], kinds[entry["operation_id"]]["name"])
            for entry in entries
            if entry["event"] == "operation_done"
            and entry["changed"]
            and kinds[entry["operation_id"]]["action"] != "push"
        }
        assert done <= written


def configuration(control: ControlClient, state: dict[str, Any] | None = None) -> Counter[str]:
    """All objects (of a state read before, where given) without what ISE numbers itself, references as names; how often each is there."""
    everything = (state or control.state())["objects"]
    names = {identifier: item["name"] for items in everything.values() for identifier, item in items.items()}

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items() if key not in MOVING}
        if isinstance(value, list):
            return [plain(item) for item in value]
        return names.get(value, value) if isinstance(value, str) else value

    return Counter(
        f"{kind} {json.dumps(plain(item), sort_keys=True)}"
        for kind, items in everything.items()
        for item in items.values()
        if item["name"] != LOCK  # where giving it back failed it stays until its time is over
    )


@pytest.fixture(scope="module")
def labs(tmp_path_factory: pytest.TempPathFactory, root: Path, full: bool) -> Iterator[list[Lab]]:
    with contextlib.ExitStack() as stack:
        made = []
        for host in HOSTS if full else HOSTS[:1]:
            ise = stack.enter_context(IseServer(host, 9060, tmp_path_factory.mktemp("tls"), SEED))
            controllers = Controllers(ise, root)
            stack.callback(controllers.close)
            made.append(Lab(ise, controllers, tmp_path_factory.mktemp("controllers")))
        yield made


@pytest.fixture
def lab(labs: list[Lab]) -> Lab:
    return labs[0]


def now(control: ControlClient) -> int:
    return int(control.changes(10**9)["last"])


SAMPLE = ("429 date", "502", "drop before", "drop after commit", "cut JSON", "HTML 200")


def test_every_fault_at_every_write(labs: list[Lab], full: bool) -> None:
    """Each fault at each write (and push). The quick run takes a sample."""
    writes = labs[0].writes
    pairs = [(name, position) for name in FAULTS for position in range(1, writes + 1)]
    if not full:
        spread = random.Random(7)
        pairs = [(name, spread.randint(1, writes)) for name in SAMPLE]
        pairs += [("drop before", 1), ("drop after commit", 1)]  # the lock itself
    assert disturbed(labs, "WRITE", pairs) == len(pairs)


@pytest.mark.full
@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_at_every_request(labs: list[Lab], fault: str) -> None:
    """A fault at each request of the plan and its apply, reads among them."""
    requests = labs[0].requests
    assert disturbed(labs, "*", [(fault, position) for position in range(1, requests + 1)]) == requests


def disturbed(labs: list[Lab], which: str, pairs: list[tuple[str, int]]) -> int:
    """Run the mixed plan with a fault at a request, and once more without, for each pair; return how many were run.

    The emulated ISEs work side by side. What survived a fault at a read is held against the wanted state at once, what stopped
    before its first step against the one before; these are run again for each seventh only: what is not there cannot differ.
    """
    counted: Counter[str] = Counter()
    free: queue.SimpleQueue[Lab] = queue.SimpleQueue()
    for lab in labs:
        free.put(lab)

    def one(pair: tuple[str, int]) -> str:
        name, position = pair
        lab = free.get()
        try:
            place = lab.fresh()
            since = now(lab.control)
            lab.control.schedule({"match": f"{which} ", "nth": position, **FAULTS[name]})
            first = lab.controllers.run(place, objects(8443, new=True))
            assert "crash" not in first["codes"], (name, position, first)
            assert lab.control.call("GET", "/faults")[0]["fired"], (name, position, "did not strike")
            try:
                sampled = which == "*" and position % 7 != 0
                if first["ok"] and sampled:
                    lab.is_settled(place, since)
                elif first["ok"] or not lab.is_untouched(place) or not sampled:
                    lab.settled(place, since)
            except AssertionError as error:
                raise AssertionError(f"{name} at request {position}: {error}") from error
            return "survived" if first["ok"] else "stopped"
        finally:
            free.put(lab)

    with ThreadPoolExecutor(max_workers=len(labs)) as pool:
        counted.update(pool.map(one, pairs))
    faults = len({name for name, _position in pairs})
    print(f"fault matrix, match {which}: {faults} faults, {len(pairs)} pairs run: {dict(counted)}")
    return sum(counted.values())


def test_a_killed_controller_leaves_what_the_next_run_repairs(lab: Lab, full: bool) -> None:
    """SIGKILL while each write is under way: before ISE carried it out, and after."""
    kinds = ("hang", "hang_after_commit")
    pairs = [(kind, position) for position in range(1, lab.writes + 1) for kind in kinds]
    if not full:
        pairs = random.Random(11).sample(pairs, 2)
    taken_over = 0
    for kind, position in pairs:
        place = lab.fresh()
        since = now(lab.control)
        lab.control.schedule({"match": "WRITE ", "nth": position, "fault": kind, "seconds": 3})
        process, _out = lab.controllers.start(place, objects(8443, new=True), timeout=30.0)
        until = time.monotonic() + 300
        while not lab.control.call("GET", "/faults")[0]["fired"]:
            assert time.monotonic() < until, (kind, position)
            time.sleep(0.01)
        os.kill(process, signal.SIGKILL)
        while _alive(process):
            time.sleep(0.005)
        try:
            taken_over += "SW4041" in lab.settled(place, since)["codes"]
        except AssertionError as error:
            raise AssertionError(f"killed at write {position}, {kind}: {error}") from error
    print(f"killed controller: {lab.writes} writes, {len(pairs)} kills, {taken_over} locks taken over")
    assert taken_over >= len(pairs) // 2


def _alive(process: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, 0)
        return True
    return False


@pytest.mark.parametrize("shared", [True, False], ids=["one state directory", "two state directories"])
def test_two_controllers_at_once(lab: Lab, full: bool, shared: bool) -> None:
    """Both want other things. One works, the other is refused and says who works, or works wholly before or after."""
    place = lab.fresh()
    assert lab.controllers.run(place, objects(9443, new=True))["ok"]
    ends = [lab.after, configuration(lab.control)]
    seen: Counter[str] = Counter()
    for _round in range(12 if full else 1):
        place = lab.fresh()
        flag = place / "go"
        place.mkdir(parents=True)
        places = [place, place] if shared else [place / "one", place / "two"]
        runs = []
        for where, port in zip(places, (8443, 9443)):
            runs.append(lab.controllers.start(where, objects(port, new=True), wait_for=str(flag)))
        until = time.monotonic() + 300
        expected = 1 if shared else 2  # with one directory the second is refused before it has planned
        while len(list(place.glob("go.*"))) < expected:
            assert time.monotonic() < until
            time.sleep(0.005)
        flag.touch()
        results = [result_of(out) for _process, out in runs]
        good = [result["ok"] for result in results]
        assert any(good), results
        for result, (process, _out) in zip(results, reversed(runs)):
            if not result["ok"]:
                text = " ".join(result["texts"])
                refused = "SW4040" in result["codes"] and f"process {process}" in text
                assert refused or "SW4015" in result["codes"], result
                assert result["done"] == 0
                seen["refused with the other's identity" if refused else "refused by the moved state"] += 1
        assert configuration(lab.control) in ends
        if all(good):
            seen["one after the other"] += 1
    print(f"two controllers, {'one state directory' if shared else 'two'}: {dict(seen)}")
    assert seen


def test_a_lock_that_nobody_of_ours_wrote_is_not_removed(lab: Lab) -> None:
    place = lab.fresh()
    body = {"name": LOCK, "description": "mine", "dacl": "permit ip any any", "daclType": "IPV4"}
    lab.control.call("POST", "/objects/downloadableacl", body)
    refused = lab.controllers.run(place, objects(8443, new=True))
    assert refused["codes"] == ["SW4040"] and "which no run of Segwright wrote" in refused["texts"][0]
    assert lab.control.object("downloadableacl", LOCK)["description"] == "mine"
    assert refused["done"] == 0


def test_a_lock_of_another_place_holds_until_its_time_is_over(lab: Lab) -> None:
    for until, holds in (("2999-01-01T00:00:00+00:00", True), ("2020-01-01T00:00:00+00:00", False)):
        place = lab.fresh()
        text = f"segwright-lock run=0123456789ab holder=ann@elsewhere place=abcdefabcdef pid=4711 since=x until={until} for apply"
        body = {"name": LOCK, "description": text, "dacl": "permit ip any any", "daclType": "IPV4"}
        lab.control.call("POST", "/objects/downloadableacl", body)
        result = lab.controllers.run(place, objects(8443, new=True))
        assert result["ok"] is not holds
        if holds:
            assert result["codes"] == ["SW4040"] and "ann on elsewhere, process 4711" in result["texts"][0]
        else:
            assert "SW4041" in result["codes"] and configuration(lab.control) == lab.after
