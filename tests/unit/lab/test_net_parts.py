# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's small parts: description, packets as bytes, pcap files, MLLP frames, the probes' own verdicts."""

from __future__ import annotations

import socket
import struct
from pathlib import Path

import pytest

from tests.lab.description import load_hospital
from tests.lab.hospital import mllp
from tests.lab.net import wire
from tests.lab.net.prober import Probe
from tests.lab.net.probes import Permitted, crosses_firewall, from_description, is_permitted, make_probes
from tests.lab.pcapfile import Packet, between, merge, read, shift, write
from tests.lab.places import Places

HOSPITAL = load_hospital()


def test_description_has_what_the_brief_of_the_hospital_says() -> None:
    assert len(HOSPITAL.hosts) == 18
    assert {each.vlan for each in HOSPITAL.subnets.values()} == {10, 20, 30, 40, 50}
    assert HOSPITAL.conversation("hvac-bacnet").client_port == 47808
    assert HOSPITAL.host_at("100.64.20.11") == "ct1"
    assert sorted(HOSPITAL.switches) == ["acc1", "acc2"]
    ports = [(host.switch, host.interface) for host in HOSPITAL.hosts.values()]
    assert len(set(ports)) == len(ports)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("address: 100.64.10.12", "address: 100.64.10.11", "given twice"),
        ("address: 100.64.10.12", "address: 100.64.99.12", "not inside subnet"),
        ("servers: [nvr1], protocol: tcp", "servers: [nvr9], protocol: tcp", "unknown host nvr9"),
        (
            "switch: acc1, interface: GigabitEthernet1/0/2}",
            "switch: acc7, interface: GigabitEthernet1/0/2}",
            "unknown switch acc7",
        ),
    ],
)
def test_description_with_a_mistake_is_refused(tmp_path: Path, old: str, new: str, reason: str) -> None:
    text = (Path(__file__).parents[2] / "lab" / "hospital.yml").read_text(encoding="utf-8")
    assert old in text
    changed = tmp_path / "hospital.yml"
    changed.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ValueError, match=reason):
        load_hospital(changed)


def test_instances_have_their_own_addresses(tmp_path: Path) -> None:
    one, two = Places.of(1, tmp_path), Places.of(2, tmp_path)
    assert one.ise == ("127.10.1.10", 9060)
    assert two.switch(2) == ("127.10.2.32", 2222)
    assert one.directory != two.directory
    with pytest.raises(ValueError, match="not within"):
        Places.of(100, tmp_path)


def test_checksum_is_that_of_the_rfc() -> None:
    # RFC 1071 section 3: these words add up to ddf2.
    assert wire.checksum(bytes.fromhex("0001f203f4f5f6f7")) == ~0xDDF2 & 0xFFFF


def test_a_udp_datagram_reads_back_and_its_checksum_closes() -> None:
    body = wire.udp("100.64.10.11", "100.64.40.2", (40000, 53), b"question")
    seen = wire.parse(wire.ip("100.64.10.11", "100.64.40.2", wire.UDP, body, 77))
    assert seen is not None
    assert (seen.source, seen.target, seen.pair, seen.identifier) == ("100.64.10.11", "100.64.40.2", (40000, 53), 77)
    pseudo = socket.inet_aton("100.64.10.11") + socket.inet_aton("100.64.40.2") + struct.pack("!BBH", 0, 17, len(body))
    assert wire.checksum(pseudo + body) == 0


def test_an_icmp_error_names_the_packet_it_complains_about() -> None:
    lost = wire.ip("100.64.10.11", "100.64.40.2", wire.UDP, wire.udp("100.64.10.11", "100.64.40.2", (40000, 54), b""))
    error = struct.pack("!BBHI", 3, 3, 0, 0) + lost
    seen = wire.parse(wire.ip("100.64.40.2", "100.64.10.11", wire.ICMP, error))
    assert seen is not None
    assert seen.quoted is not None
    assert seen.quoted.pair == (40000, 54)
    assert wire.parse(b"\x60" + bytes(40)) is None
    assert wire.parse(b"\x45") is None


def test_pcap_files_are_written_as_the_format_says(tmp_path: Path) -> None:
    path = tmp_path / "one.pcap"
    assert write(path, [Packet(1_000_000_001_000, b"\x01\x02\x03\x04", 60)], snaplen=3) == 1
    header = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 3, 1)
    assert path.read_bytes() == header + struct.pack("<4I", 1000, 1, 3, 60) + b"\x01\x02\x03"
    path.write_bytes(path.read_bytes() + b"\x00" * 10)  # a record cut off
    assert read(path) == [Packet(1_000_000_001_000, b"\x01\x02\x03", 60)]
    swapped = tmp_path / "big-endian-nanoseconds.pcap"
    swapped.write_bytes(struct.pack(">IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 99, 1) + struct.pack(">4I", 5, 7, 1, 1) + b"x")
    assert read(swapped) == [Packet(5_000_000_007, b"x", 1)]
    for bad in (b"", b"\x0a\x0d\x0d\x0a" + bytes(40)):
        path.write_bytes(bad)
        with pytest.raises(ValueError, match="not a"):
            read(path)


def test_captures_merge_cut_and_move_by_time() -> None:
    first, second = [Packet(1, b"a", 1), Packet(5, b"c", 1)], [Packet(3, b"b", 1)]
    merged = merge([first, second])
    assert [each.data for each in merged] == [b"a", b"b", b"c"]
    assert [each.data for each in between(merged, 1, 5)] == [b"a", b"b"]
    assert [each.at for each in shift(merged, 10)] == [11, 13, 15]


def test_mllp_frames_and_acknowledges() -> None:
    left, right = socket.socketpair()
    with left, right:
        message = mllp.result_message("MONITOR1", "77", {"8867-4^Heart rate^LN": "70"})
        left.sendall(mllp.frame(message) + mllp.frame(message)[:10])
        buffer = bytearray()
        assert mllp.receive(right, buffer) == message
        assert bytes(buffer) == mllp.frame(message)[:10]
        assert mllp.acknowledgement(message).endswith("\rMSA|AA|77\r")
        left.sendall(b"\x1c\r")
        assert mllp.receive(right, buffer) == message[:9]
        left.sendall(b"no start\x1c\r")
        with pytest.raises(ValueError, match="start byte"):
            mllp.receive(right, bytearray())
    with pytest.raises(ValueError, match="MSH"):
        mllp.acknowledgement("PID|1")


def test_probes_ask_everything_that_is_nearly_permitted() -> None:
    allowed = from_description(HOSPITAL)
    probes = make_probes(allowed, HOSPITAL)
    purposes = {each.purpose for each in probes}
    assert purposes == {
        "permitted", "reverse-open", "neighbour-port", "neighbour-host", "sibling-segment", "other-protocol",
        "udp-from-service", "forged-ack", "half-open", "fragment", "fragment-tail",
    }  # fmt: skip
    asked = {
        (each.client, each.server, each.protocol, each.server_port) for each in probes if each.purpose == "permitted"
    }
    assert asked == {(each.client, each.server, each.protocol, each.port) for each in allowed}
    questions = [
        (each.client, each.server, each.protocol, each.server_port, each.client_port, each.kind) for each in probes
    ]
    assert len(set(questions)) == len(questions)


def test_what_a_probe_expects_is_what_the_table_of_permitted_conversations_says() -> None:
    allowed = from_description(HOSPITAL)
    table = {(each.client, each.server, each.protocol, each.port): each.client_port for each in allowed}
    for probe in make_probes(allowed, HOSPITAL):
        key = (probe.client, probe.server, probe.protocol, probe.server_port)
        named = key in table and table[key] in (None, probe.client_port)
        if probe.kind in ("open", "syn", "udp_from_service"):
            assert probe.permitted is named, probe.text()
        else:
            assert probe.permitted is (None if named and probe.kind in ("ack", "fragment") else False), probe.text()


def test_a_fixed_client_port_is_part_of_what_is_permitted() -> None:
    allowed = [Permitted("bms1", "ahu1", "udp", 47808, 47808)]
    assert is_permitted(Probe("bms1", "ahu1", "udp", 47808, 47808), allowed)
    assert not is_permitted(Probe("bms1", "ahu1", "udp", 47808), allowed)
    assert not is_permitted(Probe("ahu1", "bms1", "udp", 47808, 47808), allowed)


def test_hosts_of_one_subnet_do_not_meet_the_firewall() -> None:
    assert not crosses_firewall(HOSPITAL, Probe("pump1", "monitor1", "tcp", 22))
    assert crosses_firewall(HOSPITAL, Probe("pump1", "emr1", "tcp", 22))
    assert crosses_firewall(HOSPITAL, Probe("pump1", "fw1", "tcp", 22))
