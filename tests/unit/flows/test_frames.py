"""Packets of captures: fast and careful reading agree, containers of every kind, labels, tags, tunnels and interfaces."""

from __future__ import annotations

import random
import struct
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import address
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources import capture
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources import frames as frames_module
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.capture import Capture
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.frames import Decoder, Packets
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.pcap import PacketCapture, one_way
from tests.unit.flows import packets
from tests.unit.flows.packets import ACK, SYN

NAMES = (
    "time_us", "source_hi", "source_lo", "target_hi", "target_lo", "protocol", "source_port", "target_port", "length", "flags",
    "sequence", "broadcast", "place", "payload_at", "end", "first_part",
)  # fmt: skip


def rows_of(path: Path, batch: int = 1 << 18) -> tuple[list[tuple[Any, ...]], Decoder]:
    decoder, made = Decoder(), []
    for each in Capture(path).frames(batch):
        read = decoder.packets(each)
        made += list(zip(*(getattr(read, name).tolist() for name in NAMES)))
    return made, decoder


def random_frames(rng: random.Random, count: int, fragments: bool = True) -> list[tuple[float, bytes]]:
    """Return frames of many kinds, some of them cut or with flipped octets."""
    made = []
    for number in range(count):
        one, other = rng.choice((("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8::2")))
        kinds = [
            packets.tcp(one, 40_000, other, 502, rng.choice((SYN, ACK, SYN | ACK)), number),
            packets.udp(one, 40_000, other, 47_808),
            packets.icmp(one, other, rng.choice((0, 8, 3, 128, 129))),
            packets.ip(one, other, 47, b"\0\0\x88\xbe" + bytes(8)),
            packets.ip(one, other, 0 if ":" in one else 6, bytes([6, 0]) + bytes(40)),
        ]
        if fragments:
            part, more = rng.randrange(3), rng.random() < 0.5
            kinds.append(packets.ip(one, other, 17, bytes(8), fragment=part, more=more, ident=number % 5))
        packet = rng.choice(kinds)
        frame = bytearray(packets.frame(packet, vlans=range(rng.randrange(3)), broadcast=rng.random() < 0.1))
        if rng.random() < 0.2:
            del frame[rng.randrange(len(frame)) :]
        if frame and rng.random() < 0.3:
            frame[rng.randrange(len(frame))] = rng.randrange(256)
        made.append((1_795_392_000 + number / 1000, bytes(frame)))
    return made


def test_fast_and_careful_reading_give_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = packets.write(tmp_path / "x.pcap", random_frames(random.Random(2), 4_000))
    fast, one = rows_of(path)
    nothing = lambda frames, _at, _end, _broadcast, rows: (  # noqa: E731
        np.zeros(len(frames.offset) if rows is None else len(rows), dtype=bool),
        frames_module._none(),
    )
    monkeypatch.setattr(frames_module, "plain4", nothing)
    monkeypatch.setattr(frames_module, "plain6", nothing)
    careful, other = rows_of(path)
    assert fast == careful and len(fast) > 2_000
    assert (one.left_out, one.tunnels) == (other.left_out, other.tunnels)


def test_batches_change_nothing_but_positions(tmp_path: Path) -> None:
    path = packets.write(tmp_path / "x.pcap", random_frames(random.Random(3), 1_000, fragments=False))
    whole, small = rows_of(path)[0], rows_of(path, batch=37)[0]
    assert [row[:13] for row in whole] == [row[:13] for row in small]


def blocks(order: str, resolution: int, frames: list[tuple[int, bytes]], kind: int = 6, dropped: int = 0) -> bytes:
    """Return a pcapng section with two interfaces; frames alternate between them."""

    def block(number: int, body: bytes) -> bytes:
        body += bytes(-len(body) % 4)
        return struct.pack(order + "II", number, len(body) + 12) + body + struct.pack(order + "I", len(body) + 12)

    magic = struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1)
    made = block(0x0A0D0D0A, magic)
    for name in (b"eth0", b"any\0"):
        options = struct.pack(order + "HH", 2, 4) + name + struct.pack(order + "HHB3x", 9, 1, resolution) + bytes(4)
        made += block(1, struct.pack(order + "HHI", 1 if name == b"eth0" else 113, 0, 0) + options)
    for number, (ticks, frame) in enumerate(frames):
        high, low = ticks >> 32, ticks & 0xFFFFFFFF
        data = frame if number % 2 == 0 else struct.pack(">HHH8s", 0, 1, 6, b"") + frame[12:]
        if kind == 6:
            made += block(6, struct.pack(order + "IIIII", number % 2, high, low, len(data), len(data)) + data)
        else:
            made += block(2, struct.pack(order + "HHIIII", number % 2, 0, high, low, len(data), len(data)) + data)
    if dropped:
        made += block(5, struct.pack(order + "III", 0, 0, 0) + struct.pack(order + "HHQHH", 5, 8, dropped, 0, 0))
    return made


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("resolution", "unit"), [(6, 1_000_000), (9, 1_000_000_000), (3, 1_000), (0x94, 1 << 20)])
@pytest.mark.parametrize("kind", [6, 2])
def test_every_kind_of_pcapng_reads_alike(tmp_path: Path, order: str, resolution: int, unit: int, kind: int) -> None:
    frame = packets.frame(packets.udp("192.0.2.1", 1000, "192.0.2.2", 502))
    seconds = 1_795_392_000
    frames = [(seconds * unit + number * unit // 4, frame) for number in range(8)]
    path = tmp_path / "x.pcapng"
    path.write_bytes(blocks(order, resolution, frames, kind) + blocks(order, resolution, frames, kind, dropped=5))
    source = PacketCapture(path, "tap")
    rows = [row for table in source.tables() for row in table.to_pylist()]
    assert sum(row["packets"] for row in rows) == 16
    assert {(row["source_port"], row["target_port"]) for row in rows} == {(1000, 502)}
    assert min(row["start_us"] for row in rows) == seconds * 1_000_000
    assert max(row["end_us"] for row in rows) == seconds * 1_000_000 + 1_750_000
    assert source.quality.interfaces["0 eth0"] == {"link_type": 1, "packets": 4}
    assert source.quality.interfaces["2 eth0"] == {"link_type": 1, "packets": 4, "dropped": 5}
    assert [each.code for each in source.findings] == ["SW1417"]


@pytest.mark.parametrize(("magic", "order", "unit"), [
    (0xA1B2C3D4, "<", 1), (0xA1B2C3D4, ">", 1), (0xA1B23C4D, "<", 1000), (0xA1B23C4D, ">", 1000),
])  # fmt: skip
def test_every_kind_of_pcap_reads_alike(tmp_path: Path, magic: int, order: str, unit: int) -> None:
    frame = packets.frame(packets.udp("192.0.2.1", 1000, "192.0.2.2", 502))
    path = tmp_path / "x.pcap"
    made = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, 1)
    for number in range(5):
        made += struct.pack(order + "IIII", 1_795_392_000, number * unit, len(frame), len(frame)) + frame
    path.write_bytes(made)
    assert [row[0] for row in rows_of(path)[0]] == [1_795_392_000_000_000 + number for number in range(5)]
    path.write_bytes(made[:-1])
    capture = Capture(path)
    assert sum(len(each.offset) for each in capture.frames()) == 4
    assert capture.damaged_at == 24 + 4 * (16 + len(frame))


def test_labels_and_tunnels_are_noted_and_the_outer_conversation_kept(tmp_path: Path) -> None:
    inner = packets.frame(packets.tcp("10.0.0.1", 1, "10.0.0.2", 2, SYN))
    plain = packets.udp("192.0.2.1", 1000, "192.0.2.2", 502)
    labels = struct.pack(">II", 100 << 12 | 64, 200 << 12 | 1 << 8 | 64)
    frames = [
        packets.frame(packets.udp("192.0.2.1", 5000, "192.0.2.2", 4789, b"\x08\0\0\0\0\0\x07\0" + inner)),
        packets.frame(packets.udp("192.0.2.1", 5000, "192.0.2.2", 5247, bytes(8))),
        packets.frame(packets.ip("192.0.2.1", "192.0.2.2", 47, b"\0\0\x08\0" + inner[14:])),
        packets.frame(packets.ip("192.0.2.1", "192.0.2.2", 47, b"\x10\0\x88\xbe" + bytes(12) + inner)),
        packets.frame(packets.ip("192.0.2.1", "192.0.2.2", 4, inner[14:])),
        packets.frame(plain)[:12] + struct.pack(">H", 0x8847) + labels + plain,
        packets.frame(plain)[:12] + struct.pack(">HHHHH", 0x88A8, 5, 0x8100, 6, 0x0800) + plain,
    ]
    source = PacketCapture(
        packets.write(tmp_path / "x.pcap", [(1_795_392_000 + n, each) for n, each in enumerate(frames)]), "tap"
    )
    rows = [row for table in source.tables() for row in table.to_pylist()]
    ends = {address.text_of(row[f"{end}_hi"], row[f"{end}_lo"]) for row in rows for end in ("source", "target")}
    assert ends == {"192.0.2.1", "192.0.2.2"}
    assert sum(row["packets"] for row in rows if row["target_port"] == 502) == 2
    assert source.quality.tunnels == {"capwap": 1, "erspan": 1, "gre": 1, "ipip": 1, "mpls": 1, "vxlan": 1}
    assert [each.code for each in source.findings] == ["SW1410"]


def test_packets_out_of_order_give_the_records_of_packets_in_order() -> None:
    rng = random.Random(4)
    count = 2_000
    columns = {name: np.zeros(count, dtype=np.int64) for name in NAMES}
    columns["time_us"] = np.array([1_795_392_000_000_000 + rng.randrange(10**9) for _ in range(count)])
    columns["place"] = np.arange(count)
    columns["protocol"][:] = 17
    for name in ("source_lo", "target_lo", "source_port"):
        columns[name] = np.array([rng.randrange(6) for _ in range(count)])
    columns["length"][:] = 100
    for name in ("broadcast", "first_part"):
        columns[name] = columns[name].astype(bool)
    order = np.argsort(columns["time_us"], kind="stable")
    made = []
    for chosen in (np.arange(count), order):
        total, records = one_way(Packets(*(columns[name][chosen] for name in NAMES)), exporter="x")
        keys = ("source_lo", "target_lo", "source_port", "start_us", "end_us", "packets", "bytes")
        made.append(Counter(zip(*(records[name].tolist() for name in keys))))
        assert total == sum(made[-1].values())
    assert made[0] == made[1] and sum(made[0].values()) > 216


@pytest.mark.parametrize("order", "<>")
def test_stretches_of_packets_of_one_size_are_found_where_a_plain_walk_finds_them(tmp_path: Path, order: str) -> None:
    rng = random.Random(17)
    for turn in range(12):
        sizes: list[int] = []
        for _stretch in range(rng.randrange(1, 9)):
            sizes += [rng.randrange(0, 90)] * rng.choice((1, 2, 31, 33, 64, 65, 200))
        body = b"".join(
            struct.pack(order + "IIII", 1, place, size, size) + bytes([place % 251]) * size
            for place, size in enumerate(sizes)
        )
        body = body[: len(body) - rng.choice((0, 0, 1, 20))]
        path = tmp_path / f"{turn}.pcap"
        path.write_bytes(struct.pack(order + "IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101) + body)
        expected, at = [], 0
        while at + 16 <= len(body):
            size = struct.unpack_from(order + "I", body, at + 8)[0]
            if at + 16 + size > len(body):
                break
            expected.append((size, body[at + 16 : at + 16 + size]))
            at += 16 + size
        for batch in (1, 2, 50, 1 << 18):
            found: list[tuple[int, bytes]] = []
            numbers: list[int] = []
            read = Capture(path)
            for frames in read.frames(batch):
                assert 1 <= len(frames.offset) <= batch
                numbers += frames.place.tolist()
                found += [
                    (captured, frames.data[offset : offset + captured].tobytes())
                    for offset, captured in zip(frames.offset.tolist(), frames.captured.tolist(), strict=True)
                ]
            assert found == expected and numbers == list(range(len(expected)))
            assert (read.damaged_at == -1) is (at == len(body))


@pytest.mark.parametrize("order", ["<", ">"])
def test_lengths_followed_from_several_places_at_once_lead_where_a_plain_walk_leads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    """Also where packets hold what looks like packets, where a length is damaged, and where the file is cut."""
    monkeypatch.setattr(capture, "OCTETS_EACH", 1 << 11)
    monkeypatch.setattr(capture, "SOUGHT", 1 << 10)
    used: list[int] = []
    ways = capture._side_by_side

    def noted(*given: Any) -> Any:
        found = ways(*given)
        used.append(len(found[0]))
        return found

    monkeypatch.setattr(capture, "_side_by_side", noted)
    rng = random.Random(order)
    for turn in range(8):
        body = b""
        for place in range(2_500):
            size = rng.randrange(0, 160)
            inside = struct.pack(order + "IIII", 1_000_000 + place, 5, 60, 60) * 10 if rng.random() < 0.3 else b""
            content = (inside + rng.randbytes(160))[:size]
            claimed = 70_000 if turn == 3 and place == 1_700 else size
            body += struct.pack(order + "IIII", 1_000_000 + place, 5, claimed, claimed) + content
        body = body[: len(body) - (0, 1, 20, 0, 90, 0, 0, 7)[turn]]
        path = tmp_path / f"{turn}.pcap"
        path.write_bytes(struct.pack(order + "IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101) + body)
        expected, at = [], 0
        while at + 16 <= len(body):
            size = struct.unpack_from(order + "I", body, at + 8)[0]
            if at + 16 + size > len(body):
                break
            expected.append((24 + at, size))
            at += 16 + size
        cut = at != len(body)
        read = Capture(path)
        found: list[tuple[int, int]] = []
        at = 24
        for frames in read.frames(600):
            for captured, offset in zip(frames.captured.tolist(), frames.offset.tolist(), strict=True):
                assert frames.data[offset : offset + captured].tobytes() == body[at - 8 : at - 8 + captured]
                found.append((at, captured))
                at += 16 + captured
        assert found == expected[: len(found)]
        assert len(found) == len(expected) or turn == 3
        assert (read.damaged_at >= 0) == cut or turn == 3
    assert max(used) > 1_000
