# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shipped recording: whole, small, and the same story in packets and in the generator's ground truth."""

from __future__ import annotations

import hashlib
import json
import shutil
import socket
import subprocess
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tests.lab.description import load_hospital
from tests.lab.net import wire
from tests.lab.pcapfile import Packet, read
from tests.lab.places import Places
from tests.lab.replay import send_exports
from tests.lab.spread import spread

SAMPLES = Path(__file__).parents[3] / "samples" / "hospital"
HOSPITAL = load_hospital()
MANIFEST: dict[str, Any] = json.loads((SAMPLES / "manifest.json").read_text(encoding="utf-8"))
TRUTH: list[dict[str, Any]] = json.loads((SAMPLES / "ground-truth.json").read_text(encoding="utf-8"))["conversations"]
PROTOCOL = {"tcp": wire.TCP, "udp": wire.UDP}


def _packets(directory: Path = SAMPLES) -> list[tuple[Packet, wire.Seen]]:
    found = []
    for name in MANIFEST["captures"].values():
        for packet in read(directory / name):
            seen = wire.parse(packet.data[14:]) if packet.data[12:14] == b"\x08\x00" else None
            if seen is not None:
                found.append((packet, seen))
    return found


def _tshark(path: Path, *words: str) -> str:
    program = shutil.which("tshark")
    if program is None:
        pytest.skip("tshark is not installed")
    command = [program, "-r", str(path), "-d", "udp.port==2055,cflow", "-d", "udp.port==4739,cflow", *words]
    return subprocess.run(command, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL).stdout


def test_files_are_those_of_the_manifest_and_small() -> None:
    total = 0
    for name, described in MANIFEST["files"].items():
        data = (SAMPLES / name).read_bytes()
        assert hashlib.sha256(data).hexdigest() == described["sha256"], name
        assert len(data) == described["bytes"]
        total += len(data)
    assert total < 1_500_000
    exports = sum(MANIFEST["files"][each["file"]]["bytes"] for each in MANIFEST["exporters"].values())
    assert exports < 500_000
    present = {each.name for each in SAMPLES.iterdir()}
    assert present == {*MANIFEST["files"], "manifest.json", "README.md"}


def test_every_legitimate_conversation_of_the_description_is_recorded() -> None:
    seen = {(each["conversation"], each["client"], each["server"]) for each in TRUTH if each["legitimate"]}
    assert seen == {(each.id, *pair) for each in HOSPITAL.conversations for pair in each.pairs()}
    scanned = {(each["server"], each["server_port"]) for each in TRUTH if not each["legitimate"]}
    targets = [
        host.name for host in HOSPITAL.hosts.values() if host.subnet in HOSPITAL.scan.subnets and host.name != "cam2"
    ]
    assert scanned == {(name, port) for name in targets for port in HOSPITAL.scan.ports}


def test_each_true_conversation_is_seen_in_packets_at_its_time() -> None:
    opened: dict[tuple[Any, ...], list[float]] = {}
    for packet, seen in _packets():
        opened.setdefault((seen.source, seen.target, seen.protocol, seen.pair), []).append(packet.at / 1e9)
    for each in TRUTH:
        ports = (each["client_port"], each["server_port"])
        key = (each["client_address"], each["server_address"], PROTOCOL[each["protocol"]], ports)
        slack = (
            4.0 if each["service"] == "dhcp" else 0.5
        )  # dhcp: the unicast renewal comes after the broadcast exchange
        times = opened.get(key, [])
        assert any(-0.01 <= at - each["time"] <= slack for at in times), each


def test_no_tcp_connection_is_opened_that_the_ground_truth_does_not_know() -> None:
    known = {
        (each["client_address"], each["server_address"], each["client_port"], each["server_port"])
        for each in TRUTH
        if each["protocol"] == "tcp"
    }
    opened = {
        (seen.source, seen.target, *seen.pair)
        for _, seen in _packets()
        if seen.protocol == wire.TCP and seen.flags & (wire.SYN | wire.ACK) == wire.SYN
    }
    assert opened == known


def test_no_udp_is_sent_that_the_ground_truth_does_not_explain() -> None:
    known = {
        (each["client_address"], each["server_address"], each["client_port"], each["server_port"])
        for each in TRUTH
        if each["protocol"] == "udp"
    }
    known |= {(server, client, to, out) for client, server, out, to in known}
    unexplained = {
        (seen.source, seen.target, *seen.pair)
        for _, seen in _packets()
        if seen.protocol == wire.UDP and seen.offset == 0 and (seen.source, seen.target, *seen.pair) not in known
    }
    gateways = {each.gateway for each in HOSPITAL.subnets.values()}
    for source, target, out, to in unexplained:
        assert {out, to} <= {67, 68}, (source, target, out, to)  # the relay and the broadcasts of DHCP
        assert source in gateways or target in gateways or target == "255.255.255.255"


def test_phases_do_not_overlap_and_only_the_incident_is_illegitimate() -> None:
    phases = {each["name"]: each for each in MANIFEST["phases"]}
    assert phases["routine"]["end"] <= phases["incident"]["start"]
    for each in TRUTH:
        inside = phases["routine" if each["legitimate"] else "incident"]
        assert inside["start"] <= each["time"] <= inside["end"]


def test_another_program_reads_the_same_protocols() -> None:
    text = _tshark(SAMPLES / "servers.pcap", "-q", "-z", "io,phs")
    for protocol in ("dns", "ntp", "dhcp", "mqtt", "dicom", "mbtcp", "bacapp", "tls"):
        assert f" {protocol} " in text, protocol


def test_nothing_of_this_machine_is_in_the_files() -> None:
    for path in SAMPLES.iterdir():
        data = path.read_bytes()
        for word in (b"/tmp/", b"/work/", b"/root", b"/home/"):
            assert word not in data, (path.name, word)


@pytest.fixture(scope="module")
def week(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("week")
    spread(SAMPLES, out, 7, date(2026, 11, 22), incident_day=3)
    return out


def test_spread_keeps_packets_and_gaps_and_moves_whole_days(week: Path) -> None:
    incident = next(each["start"] for each in MANIFEST["phases"] if each["name"] == "incident") * 1e9
    for name in MANIFEST["captures"].values():
        day, moved = read(SAMPLES / name), read(week / name)
        routine = [each for each in day if each.at < incident]
        assert len(moved) == 6 * len(routine) + len(day)
        last = moved[-len(routine) :]
        assert [each.data for each in last] == [each.data for each in routine]
        assert len({after.at - before.at for before, after in zip(routine, last, strict=True)}) == 1
        assert (last[0].at - routine[0].at) % (86_400 * 10**9) == 0
        assert [each.at for each in moved] == sorted(each.at for each in moved)


def test_spread_puts_the_incident_on_one_day_and_says_it_is_a_replay(week: Path) -> None:
    manifest = json.loads((week / "manifest.json").read_text(encoding="utf-8"))
    truth = json.loads((week / "ground-truth.json").read_text(encoding="utf-8"))
    assert manifest["replayed"] is True
    assert manifest["days_recorded"] == 1
    assert manifest["days"][0] == "2026-11-16"
    assert manifest["incident_days"] == ["2026-11-20"]
    days = Counter(
        date.fromtimestamp(each["time"]).isoformat() for each in truth["conversations"] if not each["legitimate"]
    )
    assert len(days) == 1
    legitimate = sum(each["legitimate"] for each in TRUTH)
    assert len(truth["conversations"]) == 7 * legitimate + len(TRUTH) - legitimate


@pytest.mark.one_python
@pytest.mark.parametrize("switch", ["acc1", "acc2"])
def test_another_program_reads_the_moved_exports_without_complaint(week: Path, switch: str) -> None:
    name = MANIFEST["exporters"][switch]["file"]
    fields = ["-T", "fields", "-E", "aggregator=;", "-e", "cflow.abstimestart"]
    text = _tshark(week / name, "-T", "fields", "-E", "aggregator=;", "-e", "_ws.expert.message")
    assert not text.replace(";", "").strip(), text[:300]
    before = [each for line in _tshark(SAMPLES / name, *fields).split("\n") for each in line.split(";") if each]
    after = [each for line in _tshark(week / name, *fields).split("\n") for each in line.split(";") if each]
    per_day = Counter(each[:12] for each in after)
    assert len(per_day) == 7
    assert max(per_day.values()) == len(before)
    assert len(set(per_day.values())) == 2


@pytest.mark.parametrize("moved", [0, 86_400])
def test_exports_arrive_live_from_the_switches_addresses(moved: int) -> None:
    places = Places.of(59)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as collector:
        collector.bind(("127.0.0.1", 0))
        collector.settimeout(5)
        sent = send_exports(SAMPLES, collector.getsockname(), places, rate=5000, moved=moved)
        got = [collector.recvfrom(65535) for _ in range(sum(sent.values()))]
    assert Counter(origin[0] for _, origin in got) == {
        places.switch(1)[0]: sent["acc1"],
        places.switch(2)[0]: sent["acc2"],
    }
    expected = [
        _udp_payload(each.data)
        for name in ("acc1", "acc2")
        for each in read(SAMPLES / MANIFEST["exporters"][name]["file"])
    ]
    assert ([data for data, _ in got] == expected) is (moved == 0)
    # Export time: NetFlow v9 at byte 8, IPFIX at byte 4 (RFC 3954 section 5.1, RFC 7011 section 3.1).
    for (data, _), before in zip(got, expected, strict=True):
        at = 8 if data[1] == 9 else 4
        assert int.from_bytes(data[at : at + 4], "big") - int.from_bytes(before[at : at + 4], "big") == moved
    with pytest.raises(ValueError, match="loopback"):
        send_exports(SAMPLES, ("192.0.2.1", 2055), places)


def _udp_payload(frame: bytes) -> bytes:
    return frame[14 + (frame[14] & 15) * 4 + 8 :]


def test_spread_refuses_nonsense(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="days"):
        spread(SAMPLES, tmp_path, 0, date(2026, 11, 22))
