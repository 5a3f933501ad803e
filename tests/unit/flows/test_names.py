"""Names: DNS answers in captures and logs bind addresses for a time; a damaged or hostile message binds nothing and never raises."""

from __future__ import annotations

import json
import random
import struct
from pathlib import Path

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import address, ingest, kept, names
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.dns import answers_of


def label(text: str) -> bytes:
    return b"".join(bytes([len(part)]) + part.encode() for part in text.split(".")) + b"\0"


def record(owner: bytes, kind: int, data: bytes, ttl: int = 60) -> bytes:
    return owner + struct.pack(">HHIH", kind, 1, ttl, len(data)) + data


def message(
    records: list[bytes],
    question: bytes = label("Cloud.Example.com"),
    flags: int = 0x8180,
    kind: int = 1,
    count: int = -1,
) -> bytes:
    head = struct.pack(">HHHHHH", 7, flags, 1, len(records) if count < 0 else count, 0, 0)
    return head + question + struct.pack(">HH", kind, 1) + b"".join(records)


POINTER = struct.pack(">H", 0xC00C)
V4 = bytes([198, 51, 100, 7])
LONG = (b"\x3f" + b"a" * 63) * 4 + b"\0"


def found(data: bytes) -> list[tuple[str, str, int]]:
    return [(each.name, address.text_of(each.hi, each.lo), each.ttl) for each in answers_of(data)]


def test_addresses_of_both_families_along_aliases() -> None:
    edge = label("edge.cdn.example")
    data = message([
        record(POINTER, 5, edge), record(edge, 1, V4, 300), record(label("EDGE.cdn.example"), 28, bytes(15) + b"\x07"),
        record(label("unasked.example"), 1, bytes([203, 0, 113, 1])),
    ])  # fmt: skip
    assert found(data) == [("cloud.example.com", "198.51.100.7", 300), ("cloud.example.com", "::7", 60)]


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\0" * 11, message([record(POINTER, 1, V4)], flags=0x0100), message([record(POINTER, 1, V4)], flags=0x8183),
        message([record(POINTER, 1, V4[:3])]), message([record(struct.pack(">H", 0xC000 | 35), 1, V4)]),
        message([record(struct.pack(">H", 0xC0FF), 1, V4)]), message([record(POINTER, 1, V4)], question=POINTER),
        message([record(POINTER, 1, V4)], question=b"\x40abc\0"), message([record(POINTER, 1, V4)], question=LONG),
        message([record(POINTER, 1, V4)])[:-1],
    ],
)  # fmt: skip
def test_what_is_no_sound_answer_binds_nothing(data: bytes) -> None:
    assert found(data) == []


def test_aliases_in_a_ring_and_odd_octets_and_ttls() -> None:
    ring = message(
        [record(label("a.b"), 5, label("c.d")), record(label("c.d"), 5, label("a.b")), record(label("c.d"), 1, V4)],
        label("a.b"),
    )
    assert found(ring) == [("a.b", "198.51.100.7", 60)]
    odd = message([record(POINTER, 1, V4, 0xFFFFFFFF)], b"\x04<\n/x\0")
    assert found(odd) == [("\\060\\010\\047x", "198.51.100.7", 0)]
    assert found(message([record(POINTER, 1, V4, 9_999_999)]))[0][2] == 604_800


def test_a_message_keeps_what_stands_before_the_damage() -> None:
    assert len(found(message([record(POINTER, 1, V4)] * 3, count=9))) == 3


def test_random_and_flipped_messages_never_raise_and_stay_short(full: bool) -> None:
    rng = random.Random(3)
    whole = message([record(POINTER, 5, label("edge.cdn.example")), *[record(label("edge.cdn.example"), 1, V4)] * 4])
    most = 0
    for _round in range(200_000 if full else 6_000):
        data = bytearray(whole if rng.random() < 0.8 else rng.randbytes(rng.randrange(600)))
        for _flip in range(rng.randrange(1, 12)):
            if data:
                data[rng.randrange(len(data))] = rng.choice((0, 0xC0, 0x0C, 0xFF, rng.randrange(256)))
        made = answers_of(bytes(data[: rng.randrange(len(data) + 1)]))
        most = max(most, len(made))
        assert all(len(each.name) <= 4 * 255 and each.name.isprintable() for each in made)
    assert 4 <= most <= 256


ZEEK = "#path\tdns\n#fields\tts\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tquery\tqtype\tqtype_name\trcode_name\tanswers\tTTLs\n"


def zeek(
    ts: float, answers: str, ttls: str, query: str = "Cloud.example.com", port: int = 53, code: str = "NOERROR"
) -> str:
    return f"{ts}\t10.0.0.1\t5000\t10.0.0.53\t{port}\tudp\t{query}\t1\tA\t{code}\t{answers}\t{ttls}\n"


def test_logs_bind_names_over_time(tmp_path: Path) -> None:
    day = 1_700_000_000
    log, eve = tmp_path / "dns.log", tmp_path / "eve.json"
    log.write_text(
        ZEEK + zeek(day, "edge.cdn.example,198.51.100.7,2001:db8::7", "30,60,60") + zeek(day + 100, "198.51.100.7", "60")
        + zeek(day + 90_000, "198.51.100.7", "60") + zeek(day, "10.0.0.9", "9", "printer.local", 5353) + zeek(day, "-", "-")
        + zeek(day, "192.0.2.1", "9", code="SERVFAIL") + "never\t10.0.0.1\t1\t10.0.0.53\t53\tudp\tx\t1\tA\tNOERROR\t1.2.3.4\t5\n"
    )  # fmt: skip
    base = {"timestamp": "2023-11-14T22:13:20.000000+0000", "event_type": "dns", "src_ip": "10.0.0.2", "src_port": 5000,
            "dest_ip": "10.0.0.53", "dest_port": 53, "proto": "UDP"}  # fmt: skip
    events = [
        {"dns": {"type": "answer", "rrname": "b.example", "rcode": "NOERROR", "answers": [{"rrname": "b.example", "rrtype": "A", "ttl": 60,
                                                                                         "rdata": "203.0.113.5"}]}},
        {"dns": {"type": "answer", "rrname": "old.example", "rrtype": "A", "ttl": 5, "rdata": "203.0.113.6"}},
        {"dns": {"type": "response", "queries": [{"rrname": "new.example"}], "answers": [{"rdata": "203.0.113.7", "ttl": 7}, {}]}},
        {"dns": {"type": "query", "rrname": "b.example"}},
        {"dns": {"type": "answer", "rrname": "bad.example", "answers": [1, {"rdata": None}, {"ttl": "x", "rdata": "1.2.3.4"}]}},
    ]  # fmt: skip
    eve.write_text("".join(json.dumps({**base, **each}) + "\n" for each in events))
    data = tmp_path / "data"
    result = ingest.ingest([log, eve], data)
    assert {each["kind"]: each["names"] for each in result.inputs} == {"zeek_dns": 4, "eve": 3}
    assert [(each.code, each.line) for each in result.findings] == [("SW1409", 9)]
    rows = names.name_rows(data, server="198.51.100.7", client="10.0.0.1")
    # Two answers that touch are one interval; a day later there is another.
    assert [(row["name"], row["from"], row["to"]) for row in rows] == [
        ("cloud.example.com", "2023-11-14T22:13:20Z", "2023-11-14T23:16:00Z"),
        ("cloud.example.com", "2023-11-15T23:13:20Z", "2023-11-16T00:14:20Z"),
    ]
    assert {(row["address"], row["name"]) for row in names.name_rows(data, client="10.0.0.2")} == {
        ("203.0.113.5", "b.example"), ("203.0.113.6", "old.example"), ("203.0.113.7", "new.example"),
    }  # fmt: skip
    assert names.intervals(data, "2023-11-15", "2023-11-15T12:00:00+00:00").num_rows == 0
    assert not ingest.ingest([log], data).changed


def dns_of_tshark(path: Path) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    """Return (all addresses of responses, those of responses without an additional section, where glue for other names stands)."""
    import subprocess

    made, plain = set(), set()
    command = ["tshark", "-n", "-r", str(path), "-Y", "udp.srcport == 53 && dns.flags.response == 1 && dns.flags.rcode == 0", "-T", "json",
               "-e", "dns.qry.name", "-e", "dns.a", "-e", "dns.aaaa",
               "-e", "dns.count.add_rr"]  # fmt: skip
    for packet in json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout):
        layers = packet["_source"]["layers"]
        for text in (*layers.get("dns.a", ()), *layers.get("dns.aaaa", ())):
            pair = (layers["dns.qry.name"][0].lower(), address.text_of(*address.columns_of(text)))
            made.add(pair)
            if layers["dns.count.add_rr"] == ["0"]:
                plain.add(pair)
    return made, plain


@pytest.mark.one_python
def test_captures_bind_what_tshark_shows(corpora: Path, tmp_path: Path, full: bool) -> None:
    import shutil

    if not shutil.which("tshark"):
        pytest.skip("tshark is not installed")
    paths = sorted((corpora / "flow-data" / "iot-sentinel").glob("*.pcap"))[:: 1 if full else 6]
    compared = bound = 0
    for path in paths:
        ingest.ingest([path], tmp_path / path.name)
        rows = kept.read(tmp_path / path.name, "names").to_pylist()
        ours = {(row["name"], address.text_of(row["address_hi"], row["address_lo"])) for row in rows}
        theirs, plain = dns_of_tshark(path)
        assert plain <= ours <= theirs, path.name
        compared, bound = compared + len(plain), bound + len(ours)
    assert compared > 4 and bound > 20
