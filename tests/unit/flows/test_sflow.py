"""sFlow datagrams: samples of real agents as tshark reads them, made ones for every form, damage; runs of datagrams against single ones."""

from __future__ import annotations

import random
import shutil
import struct
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import address
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources import export_pcap, netflow
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.capture import PADDING
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.templates import Templates
from tests.unit.flows import packets
from tests.unit.flows.packets import SYN

EXPORTER = "192.0.2.1"
MOMENT = 1_795_392_000_000_000


def raw(frame: bytes, length: int, protocol: int = 1) -> bytes:
    body = struct.pack(">IIII", protocol, length, 4, len(frame)) + frame + bytes(-len(frame) % 4)
    return struct.pack(">II", 1, len(body)) + body


def fields4(source: str, target: str, ports: tuple[int, int], flags: int, length: int) -> bytes:
    ends = b"".join(bytes(int(part) for part in each.split(".")) for each in (source, target))
    body = struct.pack(">II", length, 6) + ends + struct.pack(">IIII", *ports, flags, 0)
    return struct.pack(">II", 3, len(body)) + body


def sample(
    *records: bytes, number: int = 1, rate: int = 512, drops: int = 0, output: int = 2, expanded: bool = False
) -> bytes:
    if expanded:
        head = struct.pack(
            ">IIIIIIIIIII", number, 0, 7, rate, 0, drops, 0, 1, output >> 30, output & 0x3FFFFFFF, len(records)
        )
    else:
        head = struct.pack(">IIIIIIII", number, 7, rate, 0, drops, 1, output, len(records))
    body = head + b"".join(records)
    return struct.pack(">II", 3 if expanded else 1, len(body)) + body


def datagram(*samples: bytes, sequence: int = 1) -> bytes:
    return struct.pack(">II4sIIII", 5, 1, b"\xc0\0\2\1", 0, sequence, 1000, len(samples)) + b"".join(samples)


def decoded(*datagrams: bytes) -> tuple[netflow.Decoder, list[dict[str, Any]]]:
    decoder = netflow.Decoder()
    for each in datagrams:
        decoder.feed(each, EXPORTER, MOMENT)
    decoder.finish()
    return decoder, [row for table in decoder.tables() for row in table.to_pylist()]


FRAME = packets.frame(packets.tcp("192.0.2.10", 40_000, "192.0.2.20", 502, SYN))


def test_every_form_of_sample_gives_one_packet() -> None:
    raw4 = packets.udp("192.0.2.10", 47_808, "192.0.2.20", 47_808)
    counters = struct.pack(">II", 2, 12) + bytes(12)
    decoder, rows = decoded(
        datagram(
            sample(raw(FRAME, 64)),
            sample(raw(FRAME, 64), fields4("192.0.2.10", "192.0.2.20", (40_000, 502), 2, 60), number=2, expanded=True),
            sample(raw(raw4, 1000, 11), number=3, rate=1024, drops=4),
            counters,
        ),
        datagram(
            sample(fields4("192.0.2.11", "192.0.2.20", (40_001, 502), 2, 60), number=4, drops=9),
            sample(raw(FRAME, 64), number=5, output=1 << 30 | 13, expanded=True),
            sample(raw(bytes(20), 64, 14), number=9),
            sequence=2,
        ),
    )
    assert sorted(
        (row["source_port"], row["packets"], row["bytes"], row["sampling"], row["event"]) for row in rows
    ) == [
        (40_000, 1, 50 - 10, 512, 3),
        (40_000, 2, 2 * 40, 512, 0),
        (40_001, 1, 60, 512, 0),
        (47_808, 1, 29, 1024, 0),
    ]
    assert all(row["pure_syn"] for row in rows if row["protocol"] == 6)
    assert {row["start_us"] for row in rows} == {MOMENT}
    own = decoder.exporters[EXPORTER]
    assert (own.datagrams, own.damaged, own.lost, own.sampling) == (2, 0, 0, 1024)
    assert decoder.sflow.interfaces[EXPORTER, 7].as_dict() == {"records": 6, "sampling": 512, "dropped": 9, "lost": 3}
    assert decoder.sflow.counter_samples == {EXPORTER: 1}
    assert decoder.sflow.left_out == {"link_type": 1, "no_addresses": 1} | {
        name: 0 for name in decoder.sflow.left_out if name not in ("link_type", "no_addresses")
    }


def test_datagrams_that_are_missing_are_counted() -> None:
    decoder, _rows = decoded(*(datagram(sample(raw(FRAME, 64)), sequence=number) for number in (1, 2, 6, 7)))
    assert (decoder.exporters[EXPORTER].lost, decoder.exporters[EXPORTER].gaps) == (3, 1)
    assert decoder.gaps == {EXPORTER: [(MOMENT, MOMENT)]}


def test_damaged_datagrams_never_raise(full: bool) -> None:
    rng = random.Random(9)
    whole = datagram(
        sample(raw(FRAME, 64)),
        sample(fields4("192.0.2.1", "192.0.2.2", (1, 2), 2, 9), expanded=True),
        sample(raw(FRAME[14:], 9, 11)),
    )
    for _round in range(20_000 if full else 500):
        data = bytearray(whole)
        for _flip in range(rng.choice((0, 1, 3, 20))):
            data[rng.randrange(len(data))] = rng.randrange(256)
        _decoder, rows = decoded(bytes(data[: rng.randrange(len(data) + 1)]) if rng.random() < 0.5 else bytes(data))
        is_version5 = data[:2] == b"\0\x05"  # a changed byte made it NetFlow version 5, whose records take 48 bytes
        assert len(rows) <= (len(data) // 48 if is_version5 else 3)


@pytest.mark.one_python
@pytest.mark.corpora
def test_samples_of_real_agents_are_those_of_tshark(corpora: Path, full: bool) -> None:
    if shutil.which("tshark") is None:
        pytest.skip("tshark is not installed")
    files = sorted((corpora / "flow-data" / "exporters").glob("*sflow*/*.pcap"))
    files += [each for each in (corpora / "flow-data" / "exporters").glob("*sflow*.pcap") if each.is_file()]
    if not files:
        pytest.skip("no sFlow in the corpora")
    seen = 0
    for path in files if full else files[::3]:
        names = ("ip.src", "ip.dst", "ipv6.src", "ipv6.dst")
        options = [part for name in names for part in ("-e", name)]
        command = ["tshark", "-r", str(path), "-d", "udp.port==6343,sflow", "-T", "fields", *options]
        text = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        theirs: Counter[str] = Counter()
        for line in text.splitlines():
            cells = line.split("\t")
            for source, target in zip(cells[0:4:2], cells[1:4:2]):
                theirs.update(source.split(",") + target.split(","))
        assert export_pcap.holds_exports(path), path.name
        source = export_pcap.ExportCapture(path, Templates())
        rows = [row for table in source.tables() for row in table.to_pylist()]
        assert rows and sum(row["packets"] for row in rows) == sum(
            each["records"] for each in source.quality.interfaces.values()
        )
        for row in rows:
            ends = [address.text_of(row[f"{end}_hi"], row[f"{end}_lo"]) for end in ("source", "target")]
            # Sampled IPv4 fields have no address of their own in tshark's list.
            assert all(end in theirs for end in ends) or "ipv4-data" in path.name, (path.name, ends)
        seen += len(rows)
    assert seen >= (12 if full else 4)


def v9(sequence: int, number: int, count: int, domain: int = 1, padding: int = 0) -> bytes:
    rows = b"".join(
        struct.pack(">IIHHBII", 1 + row, 2, 40_000 + sequence % 20_000, 502, 6, 5, 500) for row in range(count)
    )
    body = struct.pack(">HH", number, 4 + len(rows) + padding) + rows + bytes(padding)
    return struct.pack(">HHIIII", 9, count, 1000, 1_795_392_000 + sequence // 10, sequence, domain) + body


def ten(sequence: int, number: int, count: int, domain: int = 1) -> bytes:
    rows = b"".join(struct.pack(">IIHHBII", 1 + row, 2, 40_000, 502, 6, 5, 500) for row in range(count))
    body = struct.pack(">HH", number, 4 + len(rows)) + rows
    return struct.pack(">HHIII", 10, 16 + len(body), 1_795_392_000, sequence, domain) + body


FIELDS = struct.pack(">HHHHHHHHHHHHHH", 8, 4, 12, 4, 7, 2, 11, 2, 4, 1, 2, 4, 1, 4)


def template9(sequence: int, number: int, domain: int = 1) -> bytes:
    body = struct.pack(">HH", number, 7) + FIELDS
    return (
        struct.pack(">HHIIII", 9, 1, 1000, 1_795_392_000, sequence, domain)
        + struct.pack(">HH", 0, 4 + len(body))
        + body
    )


def template10(sequence: int, number: int, domain: int = 1) -> bytes:
    body = struct.pack(">HH", number, 7) + FIELDS
    return (
        struct.pack(">HHIII", 10, 20 + len(body), 1_795_392_000, sequence, domain)
        + struct.pack(">HH", 2, 4 + len(body))
        + body
    )


def mixed_stream(rng: random.Random) -> list[tuple[str, bytes]]:
    """Return datagrams of two exporters, both versions, several templates and domains, some lost, some of them templates."""
    made: list[tuple[str, bytes]] = []
    state = {
        (name, version, domain): rng.randrange(1 << 32)
        for name in ("a", "b")
        for version in (9, 10)
        for domain in (1, 2)
    }
    for _step in range(40):
        name, version, domain = key = rng.choice(list(state))
        number = rng.choice((256, 257))
        if rng.random() < 0.3:
            made.append((name, (template9 if version == 9 else template10)(state[key], number, domain)))
            state[key] += version == 9
        for _row in range(rng.choice((1, 5, 20, 60))):
            count = rng.choice((1, 3, 30))
            if version == 9:
                made.append((name, v9(state[key] & 0xFFFFFFFF, number, count, domain, rng.choice((0, 0, 2)))))
                state[key] += 1
            else:
                made.append((name, ten(state[key] & 0xFFFFFFFF, number, count, domain)))
                state[key] += count
            if rng.random() < 0.01:
                state[key] += rng.randrange(1, 9)
    return made


@pytest.mark.one_python
@pytest.mark.parametrize("seed", range(6))
def test_runs_of_datagrams_decode_as_single_ones_do(seed: int) -> None:
    stream = mixed_stream(random.Random(seed))
    one, many = netflow.Decoder(), netflow.Decoder()
    for name, each in stream:
        one.feed(each, name, MOMENT)
    joined = b"".join(each for _name, each in stream)
    ends = np.cumsum([len(each) for _name, each in stream])
    starts = np.concatenate(([0], ends[:-1]))
    octets = np.frombuffer(joined + bytes(PADDING), dtype=np.uint8)
    many.feed_many(joined, octets, starts, ends, [name for name, _each in stream], np.full(len(stream), MOMENT))
    for each in (one, many):
        each.finish()
    rows = [Counter(tuple(row.items()) for table in each.tables() for row in table.to_pylist()) for each in (one, many)]
    assert rows[0] == rows[1] and sum(rows[0].values()) > 1_000
    assert {name: vars(each) for name, each in one.exporters.items()} == {
        name: vars(each) for name, each in many.exporters.items()
    }
    gaps = [{name: sorted(each) for name, each in decoder.gaps.items()} for decoder in (one, many)]
    assert gaps[0] == gaps[1] and one.interfaces == many.interfaces


@pytest.mark.one_python
def test_templates_are_bounded_whatever_is_sent() -> None:
    templates = Templates()
    decoder = netflow.Decoder(templates)
    fields = struct.pack(">HH", 8, 4) * 1000
    for number in range(1200):
        body = struct.pack(">HH", 256 + number % 1000, 1000) + fields
        decoder.feed(
            struct.pack(">HHIIII", 9, 1, 0, 0, 0, number) + struct.pack(">HH", 0, 4 + len(body)) + body, EXPORTER
        )
    assert (
        templates.field_count
        == sum(len(each.fields) for own in templates.known.values() for each in own.values())
        <= 1 << 20
    )


def test_a_firewall_event_marks_what_was_denied() -> None:
    fields = ((8, 4), (12, 4), (7, 2), (11, 2), (4, 1), (233, 1), (33002, 2), (323, 8))
    template = struct.pack(">HH", 256, len(fields)) + b"".join(struct.pack(">HH", *each) for each in fields)
    rows = b"".join(
        struct.pack(">IIHHBBHQ", 1, 2, 40_000 + event, 443, 6, event, 1001, 1_795_392_000_500) for event in (1, 2, 3)
    )
    head = struct.pack(">HHIIII", 9, 4, 1000, 1_795_392_001, 0, 0)
    decoder = netflow.Decoder()
    decoder.feed(
        head + struct.pack(">HH", 0, 4 + len(template)) + template + struct.pack(">HH", 256, 4 + len(rows)) + rows,
        EXPORTER,
    )
    made = [row for table in decoder.tables() for row in table.to_pylist()]
    assert [(row["event"], row["said"], row["packets"], row["start_us"]) for row in made] == [
        (event, 1, 0, 1_795_392_000_500_000) for event in (1, 2, 3)
    ]
