# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes of the lab's real firewall, told by the kernel itself: what it takes is what check mode shows, random rounds converge and
go back, and a long list is replaced under load without a wrong packet."""

from __future__ import annotations

import contextlib
import json
import random
import re
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import Journal
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import build_plan, snapshot_all
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.rollback import rollback_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.verify import verify_targets
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import registry
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import DesiredObject, DesiredTarget
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.device_fleet import run_device_fleet
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nftables import NftablesTarget
from tests.integration.test_targets_nftables import COMMIT, TABLE, apply, firewall, journal  # noqa: F401
from tests.lab.description import load_hospital
from tests.lab.net import sockets, wire
from tests.lab.net.namespaces import Namespaces
from tests.lab.net.topology import FIREWALL
from tests.lab.processes import NamespaceThread, in_namespace, spawn

if TYPE_CHECKING:
    from tests.integration.conftest import LabTargets

CLIENT, SERVER = "100.64.10.11", "100.64.40.11"
SCRATCH = "scratch"


class Monitor:
    """What the kernel says of its own rulesets (``nft monitor``): one line for each change, whoever makes it."""

    def __init__(self, namespaces: Namespaces, name: str) -> None:
        self._run = lambda *words: namespaces.run(name, ["nft", *words])
        self._child = spawn(
            ["nft", "monitor", "ruleset"], namespace=namespaces.descriptor(name), stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
        self._lines: list[str] = []
        self._count = 0
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        deadline = time.monotonic() + 10
        while not self._marked() and time.monotonic() < deadline:
            pass

    def _read(self) -> None:
        assert self._child.stdout is not None
        for line in self._child.stdout:
            self._lines.append(line.decode().strip())

    def _marked(self) -> bool:
        """Make a change of our own and wait a moment for it: all changes before it have been told then."""
        self._count += 1
        mark = f"sw_mark_{self._count}"
        self._run("add", "table", "ip6", mark)
        self._run("delete", "table", "ip6", mark)
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline:
            if f"delete table ip6 {mark}" in self._lines:
                return True
            time.sleep(0.02)
        return False

    def taken(self) -> list[str]:
        """Return the changes since the last time, without what is ours."""
        assert self._marked()
        lines, self._lines = self._lines, []
        assert not [line for line in lines if "overrun" in line or line.startswith("Error")], lines
        return [
            re.sub(r" (?:# )?handle \d+", "", line)
            for line in lines
            if "sw_mark_" not in line and not line.startswith("# ")
        ]

    def close(self) -> None:
        self._child.terminate()
        self._child.wait()
        self._thread.join()


@contextlib.contextmanager
def monitored(namespaces: Namespaces, name: str) -> Iterator[Monitor]:
    made = Monitor(namespaces, name)
    try:
        yield made
    finally:
        made.close()


def random_ruleset(draw: random.Random, table: str, most: int = 12) -> str:
    lines = []
    for _number in range(draw.randint(1, most)):
        protocol = draw.choice(("tcp", "udp", "ip", "icmp"))
        client = draw.choice(
            ("any", f"host 100.64.10.{draw.randint(11, 19)}", "100.64.10.0 0.0.0.255", "100.64.0.0 0.0.63.255")
        )
        server = draw.choice((f"host 100.64.40.{draw.randint(10, 13)}", "100.64.40.0 0.0.0.255"))
        ports = draw.choice(("", " eq 443", " eq 80 443 8080", " range 5000 5010", " gt 1023", " neq 22"))
        ports = ports if protocol in ("tcp", "udp") else draw.choice(("", " echo")) if protocol == "icmp" else ""
        lines.append(f"{draw.choice(('permit', 'deny'))} {protocol} {client} {server}{ports}")
    lines.append(draw.choice(("permit ip any any", "deny ip any any")))
    aces = registry.parse("ios", "ip access-list extended x\n" + "\n".join(lines))[0].aces
    return registry.render("nftables", table, aces)


def run(lab: LabTargets, place: Path, wanted: list[dict[str, Any]], *, check: bool) -> dict[str, Any]:
    host, port = lab.places.firewall
    variables = {
        "microseg_platform": "nftables", "ansible_host": host, "ansible_port": port, "ansible_user": "root",
        "ansible_ssh_private_key_file": str(lab.places.ssh_key), "microseg_known_hosts_file": str(lab.places.known_hosts),
        "microseg_device_lists": wanted,
    }  # fmt: skip
    values = {"state": "merged", "data_dir": str(place), "check_mode": check, "diff_mode": True, "prune": False}
    made = run_device_fleet(values, {"hostvars": {"fw1": variables}, "ansible_play_batch": ["fw1"]})
    assert not made["failed_hosts"], made["warnings"]
    result: dict[str, Any] = json.loads((place / "out" / "devices" / "fw1.json").read_text(encoding="utf-8"))
    return result


def test_the_kernel_takes_what_check_mode_shows(
    targets: LabTargets,
    firewall: NftablesTarget,  # noqa: F811
    tmp_path: Path,
    full: bool,
) -> None:
    """What check mode shows, loaded by hand into an empty kernel, makes the same changes there, line for line."""
    draw, cases, lines, silent = random.Random(905), (40 if full else 3), 0, 0
    alone = Namespaces()
    alone.create([SCRATCH])
    wanted: list[dict[str, Any]] = []
    try:
        with monitored(targets.lab.namespaces, FIREWALL) as theirs, monitored(alone, SCRATCH) as ours:
            for number in range(cases):
                if number % 4 != 3:  # each fourth case asks for the same again
                    wanted = [{"name": TABLE, "content": random_ruleset(draw, TABLE)}]
                shown = run(targets, tmp_path, wanted, check=True)
                assert theirs.taken() == []
                made = run(targets, tmp_path, wanted, check=False)
                assert shown["commands"] == made["commands"] and shown["diff"] == made["diff"]
                alone.run(SCRATCH, ["nft", "-f", "-"], stdin="\n".join(shown["commands"]) + "\n")
                taken, expected = theirs.taken(), ours.taken()
                assert taken == expected
                assert bool(taken) == (shown["status"] == "changed")
                listed = ["nft", "-s", "list", "table", "inet", TABLE]
                assert targets.lab.namespaces.run(FIREWALL, listed) == alone.run(SCRATCH, listed)
                lines, silent = lines + len(taken), silent + (not taken)
    finally:
        alone.close()
    print(f"{cases} cases, {lines} changes told by the kernel as shown, {silent} silent")
    assert lines > cases


def test_random_rounds_converge_are_silent_verify_and_go_back(
    targets: LabTargets,
    firewall: NftablesTarget,  # noqa: F811
    journal: Journal,  # noqa: F811
    full: bool,
) -> None:
    """One or two tables of ours; the kernel is told nothing by a second run, and the undo brings back the text."""
    draw, chosen, rounds = random.Random(906), {"fw1": firewall}, (10 if full else 2)
    other, steps, back = TABLE + "_b", 0, 0
    try:
        with monitored(targets.lab.namespaces, FIREWALL) as theirs:
            for _round in range(rounds):
                tables = [TABLE, *([other] if draw.random() < 0.5 else [])]
                objects = tuple(
                    DesiredObject("ruleset", table, {"table": table, "content": random_ruleset(draw, table)})
                    for table in tables
                )
                desired, before = [DesiredTarget("fw1", "nftables", objects)], targets.ruleset()
                theirs.taken()
                plan, outcome = apply(firewall, desired, journal)
                assert outcome.ok, outcome.findings
                assert {line.split()[3] for line in theirs.taken()} <= set(tables)
                steps += len(plan.operations())
                assert verify_targets(chosen, desired).ok
                held = targets.ruleset()
                again = build_plan(chosen, desired, snapshot_all(chosen, desired), policy_commit=COMMIT)
                assert not again.operations() and theirs.taken() == [] and targets.ruleset() == held
                if draw.random() < 0.5 and plan.operations():
                    assert rollback_plan(plan.plan_id, chosen, journal).ok
                    assert targets.ruleset() == before
                    back += 1
    finally:
        targets.nft("add", "table", "inet", other)
        targets.nft("delete", "table", "inet", other)
    print(f"{rounds} rounds, {steps} steps, {back} taken back")


STAYS, GOES, COMES, NEVER = 5001, 5002, 5003, 5004


@dataclass
class Load:
    """Datagrams of new conversations, one after the other to four ports, and what of them arrives, while the rules change."""

    namespaces: Namespaces
    client: str
    server: str
    interval: float
    sent: list[int] = field(default_factory=list)  # the port of each datagram, by its number
    seen: set[int] = field(default_factory=set)
    stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Load:
        self._raw = in_namespace(
            self.namespaces.descriptor(self.client),
            lambda: sockets.raw_and_tap(self.namespaces.descriptor(self.client)),
        )
        self._tap = in_namespace(
            self.namespaces.descriptor(self.server),
            lambda: sockets.raw_and_tap(self.namespaces.descriptor(self.server)),
        )
        self._threads = [threading.Thread(target=each, daemon=True) for each in (self._send, self._receive)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        for thread in self._threads:
            thread.join()
        for sock in (*self._raw, *self._tap):
            sock.close()

    def _send(self) -> None:
        while not self.stop.is_set():
            number = len(self.sent)
            port = (STAYS, GOES, COMES, NEVER)[number % 4]
            body = wire.udp(CLIENT, SERVER, (10000 + number % 50000, port), b"SWld" + struct.pack("!I", number))
            self.sent.append(port)
            self._raw[0].sendto(wire.ip(CLIENT, SERVER, wire.UDP, body), (SERVER, 0))
            time.sleep(self.interval)

    def _receive(self) -> None:
        ended = 0.0
        while not ended or time.monotonic() < ended:
            try:
                data = self._tap[1].recv(2048)
            except BlockingIOError:
                time.sleep(0.001)
                if self.stop.is_set() and not ended:
                    ended = time.monotonic() + 0.5
                continue
            if data[9] == wire.UDP and data[28:32] == b"SWld":
                self.seen.add(struct.unpack("!I", data[32:36])[0])

    def arrived(self, port: int) -> list[bool]:
        """Whether each datagram to a port arrived, in order of sending."""
        return [number in self.seen for number, each in enumerate(self.sent) if each == port]


class Conversation:
    """One TCP connection through the firewall that echoes all the time; the kernel counts what it had to send again."""

    def __init__(self, namespaces: Namespaces, client: str, server: str, port: int) -> None:
        maker = NamespaceThread(namespaces.descriptor(server))
        self._listener = maker.run(
            lambda: sockets.listen(namespaces.descriptor(server), socket.SOCK_STREAM, (SERVER, port))
        )
        maker.close()
        maker = NamespaceThread(namespaces.descriptor(client))
        self._near = maker.run(lambda: sockets.connect(namespaces.descriptor(client), (CLIENT, 39001), (SERVER, port)))
        maker.close()
        self._listener.setblocking(True)
        self._far = self._listener.accept()[0]
        self._near.setblocking(True)
        for each in (self._near, self._far):
            each.settimeout(10)
        self.exchanges, self.error = 0, ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._talk, daemon=True)
        self._thread.start()

    def _talk(self) -> None:
        try:
            while not self._stop.is_set():
                word = struct.pack("!I", self.exchanges)
                self._near.sendall(word)
                self._far.sendall(self._far.recv(4))
                if self._near.recv(4) != word:
                    self.error = "another word came back"
                    return
                self.exchanges += 1
                time.sleep(0.002)
        except OSError as error:
            self.error = str(error)

    def close(self) -> int:
        """End it; return how many segments either side had to send again (``tcpi_total_retrans``)."""
        self._stop.set()
        self._thread.join()
        again = sum(
            struct.unpack_from("=I", each.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104), 100)[0]
            for each in (self._near, self._far)
        )
        for each in (self._near, self._far, self._listener):
            each.close()
        return int(again)


def long_list(entries: int, second: int) -> str:
    """A list of so many entries: STAYS and a talk on 5101 pass, one of GOES and COMES, nothing else."""
    filler = [
        f"permit udp host 100.64.10.{12 + number % 200} host 100.64.40.{10 + number % 4} eq {2000 + number}"
        for number in range(entries - 4)
    ]
    lines = [
        *filler, f"permit tcp host {CLIENT} host {SERVER} eq 5101", f"permit udp host {CLIENT} host {SERVER} eq {STAYS}",
        f"permit udp host {CLIENT} host {SERVER} eq {second}", "deny ip any any",
    ]  # fmt: skip
    aces = registry.parse("ios", "ip access-list extended x\n" + "\n".join(lines))[0].aces
    return registry.render("nftables", TABLE, aces)


def test_a_long_list_is_replaced_under_load_without_a_wrong_packet(
    targets: LabTargets,
    firewall: NftablesTarget,  # noqa: F811
    journal: Journal,  # noqa: F811
    full: bool,
) -> None:
    """New conversations all the time, and one that goes on: each packet meets the old list or the new one, and nothing between them."""
    entries, rounds = (500, 2) if full else (60, 1)
    names = {host.address: name for name, host in load_hospital().hosts.items()}
    client, server = names[CLIENT], names[SERVER]
    namespaces = targets.lab.namespaces

    def held(second: int) -> list[DesiredTarget]:
        body = {"table": TABLE, "content": long_list(entries, second)}
        return [DesiredTarget("fw1", "nftables", (DesiredObject("ruleset", TABLE, body),))]

    assert apply(firewall, held(GOES), journal)[1].ok
    told, second = [], GOES
    for _round in range(rounds):
        first, second = second, COMES if second == GOES else GOES
        sockets.flush_connections(namespaces)
        talk = Conversation(namespaces, client, server, 5101)
        with Load(namespaces, client, server, 0.004) as load:
            time.sleep(0.3)
            outcome = apply(firewall, held(second), journal)[1]
            time.sleep(0.3)
        again = talk.close()
        assert outcome.ok, outcome.findings
        assert not talk.error and talk.exchanges > 10 and not again, (talk.error, talk.exchanges, again)
        stays, never = load.arrived(STAYS), load.arrived(NEVER)
        assert len(stays) > 50 and all(stays), f"{stays.count(False)} of {len(stays)} lost"
        assert not any(never), f"{never.count(True)} of {len(never)} passed"
        # One moment parts the old list from the new one: what goes passes before it, what comes after it.
        going, coming = load.arrived(first), load.arrived(second)
        assert going == sorted(going, reverse=True) and coming == sorted(coming)
        assert True in going and False in going and True in coming and False in coming
        last = max(number for number in load.seen if load.sent[number] == first)
        assert last < min(number for number in load.seen if load.sent[number] == second)
        told.append(f"{len(load.sent)} packets, {talk.exchanges} exchanges")
    print(f"{entries} entries replaced {rounds} times: {'; '.join(told)}")
