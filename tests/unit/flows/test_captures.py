"""Real captures: packets, tuples and conversations by tshark; directions by who sent the SYN or asked the question."""

from __future__ import annotations

import functools
import random
import re
import shutil
import struct
import subprocess
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import address
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.capture import Capture
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.frames import Decoder
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.pcap import PacketCapture
from tests.unit.flows.oriented import oriented_rows

pytestmark = pytest.mark.corpora
# The quick run looks at every so-manieth capture.
QUICK = 8
FIELDS = (
    "frame.protocols", "ip.src", "ip.dst", "ipv6.src", "ipv6.dst", "tcp.srcport", "tcp.dstport", "udp.srcport", "udp.dstport",
    "tcp.flags", "tcp.stream",
)  # fmt: skip
PLAIN = re.compile(r"\A(?:(?:eth|sll|raw|null):)?(?:ethertype:)?(?:vlan:ethertype:)*(ip|ipv6):(?:ipv6\.\w+:)*(tcp|udp)")


def captures(corpora: Path, step: int = 1, *patterns: str) -> list[Path]:
    """Return every ``step``-th capture of traffic."""
    found = []
    for pattern in patterns or ("ot-*", "iot-*", "iomt", "it", "malicious"):
        for folder in sorted((corpora / "flow-data").glob(pattern)):
            found += sorted(path for path in folder.rglob("*") if path.suffix in (".pcap", ".pcapng", ".cap"))
    if not found:
        pytest.skip("no captures in the corpora")
    return found[::step]


def tshark_rows(path: Path) -> list[dict[str, str]]:
    if shutil.which("tshark") is None:
        pytest.skip("tshark is not installed")
    command = ["tshark", "-r", str(path), "-o", "ip.defragment:FALSE", "-T", "fields", "-E", "occurrence=f"]
    for name in FIELDS:
        command += ["-e", name]
    text = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return [dict(zip(FIELDS, line.split("\t"))) for line in text.splitlines()]


@dataclass
class Theirs:
    """What tshark shows of a capture: packets by tuple and flags, those without ports, TCP streams, whether some are in a tunnel."""

    packets: Counter[Any] = field(default_factory=Counter)
    portless: int = 0
    streams: set[str] = field(default_factory=set)
    tunnels: bool = False


@functools.cache
def by_tshark(path: Path) -> Theirs:
    """Return what tshark shows of a capture; it is run once for all tests."""
    made = Theirs()
    for row in tshark_rows(path):
        found = PLAIN.match(row["frame.protocols"])
        if row["tcp.stream"]:
            made.streams.add(row["tcp.stream"])
            made.tunnels |= not found
        if not found:
            made.portless += bool(row["ip.src"] or row["ipv6.src"])
            continue
        version, protocol = found[1], found[2]
        ends = [row["ip.src"], row["ip.dst"]] if version == "ip" else [row["ipv6.src"], row["ipv6.dst"]]
        ports = [row[f"{protocol}.srcport"], row[f"{protocol}.dstport"]]
        if not all(ports):
            made.portless += 1
            continue
        flags = int(row["tcp.flags"] or "0", 16) & 0xFF if protocol == "tcp" else 0
        key = (
            *address.columns_of(ends[0]),
            *address.columns_of(ends[1]),
            6 if protocol == "tcp" else 17,
            int(ports[0]),
            int(ports[1]),
            flags,
        )
        made.packets[key] += 1
    return made


def our_packets(path: Path) -> Counter[Any]:
    decoder, made = Decoder(), Counter()
    for frames in Capture(path).frames(batch=777):
        packets = decoder.packets(frames)
        names = ("source_hi", "source_lo", "target_hi", "target_lo", "protocol", "source_port", "target_port", "flags")
        made.update(zip(*(getattr(packets, name).tolist() for name in names)))
    return made


@pytest.mark.one_python
def test_packets_tuples_and_flags_are_those_of_tshark(corpora: Path, full: bool) -> None:
    compared = 0
    for path in captures(corpora, 1 if full else QUICK):
        shown = by_tshark(path)
        theirs, portless = shown.packets, shown.portless
        ours = our_packets(path)
        assert not theirs - ours, f"{path.name}: packets that tshark sees are missing"
        extra = {key: count for key, count in (ours - theirs).items() if key[4] in (6, 17)}
        # What is left are later fragments, which tshark shows without ports when it does not put them together.
        assert sum(extra.values()) <= portless, path.name
        compared += sum(theirs.values())
    assert compared > (60_000 if full else 5_000)


def wholes(path: Path, blind: bool) -> list[dict[str, Any]]:
    """Return oriented conversations of a capture; ``blind``: without any flag and with millisecond times, as a poor exporter has them."""
    tables = []
    for table in PacketCapture(path, "tap", "0" * 16).tables():
        if blind:
            for name in ("pure_syn", "syn_ack"):
                table = table.set_column(table.schema.get_field_index(name), name, pa.array([False] * table.num_rows))
            table = table.set_column(
                table.schema.get_field_index("flags"), "flags", pa.array([0] * table.num_rows, type=pa.int16())
            )
            table = table.set_column(
                table.schema.get_field_index("step_us"),
                "step_us",
                pa.array([1000] * table.num_rows, type=pa.int64()),
            )
        tables.append(table)
    return oriented_rows(tables)


def test_tcp_conversations_are_those_of_tshark(corpora: Path, full: bool) -> None:
    same = other = 0
    for path in captures(corpora, 1 if full else QUICK):
        if not {"iot-sentinel", "malicious"}.isdisjoint(path.parts):
            continue
        shown = by_tshark(path)
        if shown.tunnels:
            continue  # what is inside is not opened here
        ours = sum(1 for each in wholes(path, blind=False) if each["protocol"] == 6)
        same += ours == len(shown.streams)
        other += ours != len(shown.streams)
    assert same >= 19 * other, f"{same} captures alike, {other} not"
    assert same > 15


@pytest.mark.parametrize(
    ("patterns", "right"), [(("ot-*",), 0.99), (("iot-*", "iomt"), 0.97), (("it", "malicious"), 0.98)]
)
def test_without_flags_the_opener_is_still_found(
    corpora: Path, full: bool, patterns: tuple[str, ...], right: float
) -> None:
    good = bad = surely_wrong = 0
    for path in captures(corpora, 1 if full else QUICK // 2, *patterns):
        truth = {}
        for each in wholes(path, blind=False):
            if each["protocol"] == 6 and each["a_pure"] != each["b_pure"]:
                truth[sockets(each)] = each["a_pure"]
            elif each["protocol"] == 17 and (each["a_port"] == 53) != (each["b_port"] == 53):
                truth[sockets(each)] = each["b_port"] == 53
        for each in wholes(path, blind=True):
            expected = truth.get(sockets(each))
            if expected is not None:
                good += each["a_is_client"] == expected
                bad += each["a_is_client"] != expected
                surely_wrong += each["a_is_client"] != expected and each["method"] < 9
    assert good + bad > 30
    # Conversations oriented by the lower port alone are flagged, and no rule is made of them.
    assert surely_wrong <= 0.01 * good, f"{surely_wrong} wrong and not flagged"
    assert good / (good + bad) >= right - (0 if full else 0.03), f"{good} right, {bad} wrong"


def sockets(row: dict[str, Any]) -> tuple[int, ...]:
    return tuple(row[name] for name in ("protocol", "a_hi", "a_lo", "a_port", "b_hi", "b_lo", "b_port"))


def test_the_sender_of_the_syn_is_the_client(corpora: Path) -> None:
    checked = 0
    for path in captures(corpora, 8):
        for each in wholes(path, blind=False):
            if each["protocol"] == 6 and each["class"] == "unicast" and each["a_pure"] != each["b_pure"]:
                assert each["a_is_client"] == each["a_pure"]
                assert (each["method"], each["confidence"]) == (1, 1.0)
                checked += 1
    assert checked > 50


def test_cut_and_flipped_captures_keep_the_good_part_and_never_raise(corpora: Path, tmp_path: Path, full: bool) -> None:
    rng = random.Random(7)
    chosen = [path for path in captures(corpora, 25) if path.stat().st_size < 200_000]
    tried = 0
    for path in chosen:
        whole = path.read_bytes()
        for _round in range(40 if full else 6):
            data = bytearray(whole)
            for _flip in range(rng.choice((0, 1, 10, 200))):
                data[rng.randrange(4, len(data))] = rng.randrange(256)
            broken = tmp_path / "broken.pcap"
            broken.write_bytes(bytes(data[: rng.randrange(len(data) + 1)]) if rng.random() < 0.6 else bytes(data))
            source = PacketCapture(broken, "tap")
            rows, refused = 0, ["SW1402"]
            try:
                rows = sum(table.num_rows for table in source.tables())
            except FindingError as error:
                refused = [each.code for each in error.findings]
            assert rows <= len(whole)
            assert refused == ["SW1402"]
            tried += 1
    assert tried > 20


def test_a_cut_file_keeps_every_whole_packet_and_says_where_it_ends(corpora: Path, tmp_path: Path) -> None:
    path = corpora / "flow-data" / "iomt" / "iomt_lab_scan.pcap"
    data = path.read_bytes()
    ends = [24]
    while ends[-1] + 16 <= len(data):
        ends.append(ends[-1] + 16 + struct.unpack_from("<I", data, ends[-1] + 8)[0])
    for number in (1, 100, len(ends) - 2):
        for beyond in (0, 7, 20):
            cut = tmp_path / "cut.pcap"
            cut.write_bytes(data[: ends[number] + beyond])
            capture = Capture(cut)
            frames = sum(len(each.offset) for each in capture.frames())
            assert frames == number
            assert capture.damaged_at == (ends[number] if beyond else -1)
            assert [each.code for each in capture.findings] == (["SW1404"] if beyond else [])
