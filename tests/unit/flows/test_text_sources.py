"""Text sources: Zeek, EVE, Argus and mapped tables; what is malformed is counted and located, the rest kept."""

from __future__ import annotations

import gzip
import json
import zlib
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.intervals import read_intervals
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import address, ingest, store
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.footers import read_footer
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources import registry, text

ZEEK = """#separator \\x09
#set_separator\t,
#empty_field\t(empty)
#unset_field\t-
#path\tconn
#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tduration\torig_bytes\tresp_bytes\tconn_state\thistory\torig_pkts\
\torig_ip_bytes\tresp_pkts\tresp_ip_bytes
#types\ttime\tstring\taddr\tport\taddr\tport\tenum\tinterval\tcount\tcount\tstring\tstring\tcount\tcount\tcount\tcount
"""


def zeek_line(**changes: Any) -> str:
    row = {
        "ts": "1700000000.000001", "uid": "C1", "oh": "10.0.0.1", "op": 50000, "rh": "10.0.0.2", "rp": 443, "proto": "tcp",
        "duration": "1.5", "ob": 10, "rb": 20, "state": "SF", "history": "ShADadFf", "opk": 5, "oib": 300, "rpk": 4, "rib": 400, **changes,
    }  # fmt: skip
    return "\t".join(str(value) for value in row.values()) + "\n"


def imported(
    tmp_path: Path, name: str, content: str | bytes, **settings: Any
) -> tuple[ingest.IngestResult, list[dict[str, Any]]]:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    data = tmp_path / f"data-{name}"
    result = ingest.ingest([path], data, **settings)
    rows = store.connections(data).to_pylist()
    for row in rows:
        row["client"] = address.text_of(row["client_hi"], row["client_lo"])
        row["server"] = address.text_of(row["server_hi"], row["server_lo"])
    return result, rows


def codes_of(result: ingest.IngestResult) -> list[tuple[str, int]]:
    return [(each.code, each.line) for each in result.findings]


def test_zeek_tsv_keeps_both_directions_and_the_opener(tmp_path: Path) -> None:
    result, rows = imported(tmp_path, "conn.log", ZEEK + zeek_line())
    assert result.inputs[0]["kind"] == "zeek_conn" and not result.findings
    (row,) = rows
    assert (row["client"], row["server"], row["server_port"], row["client_port"]) == (
        "10.0.0.1",
        "10.0.0.2",
        443,
        50000,
    )
    assert (row["packets_out"], row["bytes_out"], row["packets_in"], row["bytes_in"]) == (5, 300, 4, 400)
    assert (row["start_us"], row["end_us"]) == (1_700_000_000_000_001, 1_700_000_001_500_001)
    assert (row["method"], row["answered"]) == (0, True)


@pytest.mark.parametrize(
    ("state", "history", "client", "method"),
    [
        ("SF", "ShADadFf", "10.0.0.1", 0),
        # A responder's SYN and ACK is proof too; the sender of the first packet is not, where no handshake was seen.
        ("RSTRH", "^hr", "10.0.0.1", 0),
        ("SHR", "hf", "10.0.0.1", 0),
        ("OTH", "DdAa", "10.0.0.2", 6),
        # What stands before the turn was said of the other direction.
        ("OTH", "S^dDaA", "10.0.0.2", 6),
        ("S0", "-", "10.0.0.1", 0),
        ("OTH", "-", "10.0.0.2", 6),
    ],
)  # fmt: skip
def test_zeek_history_decides_only_where_it_is_proof(
    tmp_path: Path, state: str, history: str, client: str, method: int
) -> None:
    # The originator as Zeek has it listens on a port of the list, so the rules alone would turn it round.
    line = zeek_line(op=502, rp=50123, state=state, history=history)
    _result, (row,) = imported(tmp_path, "conn.log", ZEEK + line)
    assert (row["client"], row["method"]) == (client, method)


def test_zeek_refusal_is_no_answer_and_icmp_has_its_type(tmp_path: Path) -> None:
    lines = zeek_line(state="REJ", history="Sr", ob=0, rb=0, opk=1, oib=60, rpk=1, rib=40)
    lines += zeek_line(proto="icmp", op=8, rp=0, state="OTH", history="-", oh="10.0.0.3")
    lines += zeek_line(proto="icmp", op=3, rp=3, state="OTH", history="-", rpk=0, rib=0, oh="10.0.0.4")
    lines += zeek_line(proto="icmp", op=135, rp=136, state="OTH", history="-", oh="fe80::1", rh="fe80::2")
    _result, rows = imported(tmp_path, "conn.log", ZEEK + lines)
    assert {(row["protocol"], row["client"], row["server_port"], row["answered"]) for row in rows} == {
        (6, "10.0.0.1", 443, False), (1, "10.0.0.3", 2048, True), (1, "10.0.0.4", 771, False), (58, "fe80::1", 34560, True),
    }  # fmt: skip


def test_each_zeek_row_is_one_connection(tmp_path: Path) -> None:
    lines = "".join(zeek_line(ts=f"{1700000000 + i}.0", duration="0.1") for i in range(5))
    result, rows = imported(tmp_path, "conn.log", ZEEK + lines)
    assert (result.records, len(rows)) == (10, 5)


def test_joined_zeek_logs_may_change_their_columns(tmp_path: Path) -> None:
    second = "#fields\tts\tid.resp_h\tid.resp_p\tid.orig_h\tid.orig_p\tproto\n1700000009.5\t10.9.9.9\t53\t10.9.9.8\t40000\tudp\n"
    result, rows = imported(tmp_path, "conn.log", ZEEK + zeek_line() + "#close\t2023\n" + second)
    assert not result.findings
    assert {row["server"] for row in rows} == {"10.0.0.2", "10.9.9.9"}


def test_bad_zeek_lines_are_counted_and_located(tmp_path: Path) -> None:
    lines = [
        zeek_line(),
        "too\tfew\n",
        zeek_line(oh="10.0.0.999"),
        zeek_line(ts="yesterday", oh="10.0.0.5"),
        zeek_line(rp=70000),
        zeek_line(proto="carrier-pigeon"),
        zeek_line(ob="-5", opk="1e9"),
        zeek_line(opk=str(1 << 60)),
        zeek_line(duration="-3"),
        zeek_line(oh="10.0.0.9"),
    ]
    result, rows = imported(tmp_path, "conn.log", ZEEK + "".join(lines))
    assert {row["client"] for row in rows} == {"10.0.0.1", "10.0.0.9"}
    assert sorted(line for code, line in codes_of(result) if code == "SW1409") == [9, 10, 11, 12, 13, 14, 16]
    assert result.quality[result.inputs[0]["sha256"][:16]]["left_out"]["rejected_lines"] == 8


def test_zeek_json_reads_seconds_milliseconds_and_iso_times(tmp_path: Path) -> None:
    base = {
        "uid": "C",
        "id.orig_h": "10.0.0.1",
        "id.orig_p": 1,
        "id.resp_h": "10.0.0.2",
        "id.resp_p": 80,
        "proto": "tcp",
        "conn_state": "SF",
    }
    lines = [
        json.dumps({"ts": 1700000000.25, **base}),
        json.dumps({"ts": 1700000000250, **base, "id.orig_p": 2}),
        json.dumps({"ts": "2023-11-14T22:13:20.250000Z", **base, "id.orig_p": 3}),
        '{"ts": 1700000000.25, "id.orig_h": "10.0',
        "[1, 2]",
        "",
        json.dumps({"ts": 1700000000.25, **base, "id.orig_h": None}),
    ]
    result, rows = imported(tmp_path, "conn.json", "\n".join(lines))
    assert [row["start_us"] for row in rows] == [1_700_000_000_250_000] * 3
    assert codes_of(result) == [("SW1409", 4), ("SW1409", 7)]


def test_gzip_is_read_and_what_a_cut_file_holds_is_kept(tmp_path: Path) -> None:
    lines = "".join(zeek_line(op=1024 + i) for i in range(3000))
    packed = gzip.compress((ZEEK + lines).encode())
    result, rows = imported(tmp_path, "whole.log.gz", packed)
    assert len(rows) == 3000 and not result.findings
    result, rows = imported(tmp_path, "two.log.gz", packed + gzip.compress(zeek_line(op=9).encode()))
    assert len(rows) == 3001
    result, rows = imported(tmp_path, "cut.log.gz", packed[: len(packed) * 2 // 3])
    assert 500 < len(rows) < 3000
    assert "SW1462" in {each.code for each in result.findings}


def eve_flow(**changes: Any) -> str:
    event = {
        "timestamp": "2024-03-01T10:00:05.000000+0100", "flow_id": 1, "event_type": "flow", "src_ip": "10.1.0.1", "src_port": 40000,
        "dest_ip": "10.1.0.2", "dest_port": 445, "proto": "TCP", "app_proto": "smb",
        "flow": {"pkts_toserver": 5, "pkts_toclient": 4, "bytes_toserver": 500, "bytes_toclient": 400,
                 "start": "2024-03-01T10:00:00.000000+0100", "end": "2024-03-01T10:00:04.500000+0100"},
        "tcp": {"tcp_flags": "1b", "tcp_flags_ts": "1b", "tcp_flags_tc": "1b"}, **changes,
    }  # fmt: skip
    return json.dumps(event)


def test_eve_flows_to_server(tmp_path: Path) -> None:
    lines = [
        eve_flow(),
        json.dumps(
            {
                "timestamp": "2024-03-01T10:00:05.000000+0100",
                "event_type": "alert",
                "src_ip": "10.1.0.9",
                "dest_ip": "10.1.0.2",
            }
        ),
        # Picked up in the middle: Suricata's first packet is no proof, the port of the list speaks.
        eve_flow(src_ip="10.1.0.3", src_port=102, dest_port=40001, tcp={"tcp_flags_ts": "18", "tcp_flags_tc": "18"}),
        eve_flow(src_ip="10.1.0.4", proto="UDP", src_port=161, dest_port=5555, app_proto="snmp", tcp=None),
        '{"event_type": "flow", broken',
        eve_flow(flow={"pkts_toserver": 1, "start": "never"}),
    ]
    result, rows = imported(tmp_path, "eve.json", "\n".join(lines) + "\n")
    assert result.inputs[0]["kind"] == "eve"
    made = {(row["client"], row["server"], row["server_port"], row["method"]) for row in rows}
    assert made == {
        ("10.1.0.1", "10.1.0.2", 445, 0),
        ("10.1.0.2", "10.1.0.3", 102, 6),
        ("10.1.0.4", "10.1.0.2", 5555, 0),
    }
    first = next(row for row in rows if row["client"] == "10.1.0.1")
    assert (first["start_us"], first["end_us"]) == (1_709_283_600_000_000, 1_709_283_604_500_000)
    assert (first["packets_out"], first["bytes_in"]) == (5, 400)
    assert codes_of(result) == [("SW1409", 5), ("SW1409", 6)]
    assert result.quality[result.inputs[0]["sha256"][:16]]["left_out"] == {"other_events": 1, "rejected_lines": 2}


ARGUS = "StartTime,Dur,Proto,SrcAddr,Sport,Dir,DstAddr,Dport,State,sTos,dTos,TotPkts,TotBytes,SrcBytes,SrcPkts,Label\n"


def test_argus_arrows_say_what_was_seen(tmp_path: Path) -> None:
    lines = [
        "2018/12/18 14:00:00.500000,0.5,tcp,10.2.0.1,44818,   ->,10.2.0.2,50000,FSPA_FSPA,0,0,10,1000,600,6,x",
        "2018/12/18 14:00:01.500000,0.5,tcp,10.2.0.3,44818,   <-,10.2.0.4,50000,FSPA_FSPA,0,0,10,1000,600,6,x",
        "2018/12/18 14:00:02.500000,0.5,tcp,10.2.0.5,44818,   ?>,10.2.0.6,50000,PA_PA,0,0,10,1000,600,6,x",
        "2018/12/18 14:00:03.000000,0.0,icmp,10.2.0.7,0x0008,  <->,10.2.0.8,0x0f72,ECO,0,0,2,220,110,1,x",
        "2018/12/18 14:00:04.000000,0.0,arp,10.2.0.7,,  who,10.2.0.8,,CON,,,2,84,42,1,x",
        "2018/12/18 14:00:05.000000,0.1,tcp,10.2.0.9,50000,   ->,10.2.0.8,445,S_RA,0,0,2,134,70,1,x",
        "2018/12/18 14:00:06.000000,0.1,tcp,10.2.0.9,http,   ->,10.2.0.8,445,S_RA,0,0,2,134,70,1,x",
    ]
    result, rows = imported(tmp_path, "a.binetflow", ARGUS + "\n".join(lines) + "\n")
    made = {(row["client"], row["server"], row["server_port"], row["method"], row["answered"]) for row in rows}
    assert made == {
        ("10.2.0.1", "10.2.0.2", 50000, 0, True), ("10.2.0.4", "10.2.0.3", 44818, 0, True), ("10.2.0.6", "10.2.0.5", 44818, 6, True),
        ("10.2.0.7", "10.2.0.8", 2048, 1, True), ("10.2.0.9", "10.2.0.8", 445, 0, False),
    }  # fmt: skip
    assert codes_of(result) == [("SW1409", 8), ("SW1464", 0)]
    _same, shifted = imported(tmp_path, "b.binetflow", ARGUS + lines[0] + "\n", options={"utc_offset_minutes": 60})
    assert shifted[0]["start_us"] == 1_545_141_600_500_000 - 3_600_000_000


MAPPING = """---
kind: flow-mapping
schema_version: "1.0"
format: csv
delimiter: ";"
columns:
  start: first
  end: last
  source: from
  source_port: sport
  target: to
  target_port: dport
  protocol: proto
  packets: pk
  bytes: oct
  reply_packets: rpk
  exporter: box
time:
  format: "%d.%m.%Y %H:%M:%S"
  utc_offset_minutes: 120
direction: source_opened
only:
  action: [allow, close]
"""
TABLE = """first;last;from;sport;to;dport;proto;pk;oct;rpk;box;action
01.06.2024 12:00:00;01.06.2024 12:00:05;10.3.0.1;102;10.3.0.2;50000;tcp;3;300;2;fw1;allow
01.06.2024 12:00:00;01.06.2024 12:00:05;"10.3.0.3";1025;10.3.0.2;50000;17;3;300;0;fw1;close
01.06.2024 12:00:00;01.06.2024 12:00:05;10.3.0.4;1025;10.3.0.2;50000;17;3;300;0;fw1;deny
31.02.2024 12:00:00;;10.3.0.4;1025;10.3.0.2;50000;17;3;300;0;fw1;allow
"""


def test_mapped_csv(tmp_path: Path) -> None:
    mapping = tmp_path / "fw.yml"
    mapping.write_text(MAPPING)
    result, rows = imported(tmp_path, "t.csv", TABLE, kind="mapped", options={"mapping": str(mapping)})
    made = {
        (row["client"], row["client_port"], row["protocol"], row["method"], row["answered"], row["exporter"])
        for row in rows
    }
    assert made == {("10.3.0.1", 102, 6, 0, True, "fw1"), ("10.3.0.3", 1025, 17, 0, False, "fw1")}
    assert {row["start_us"] for row in rows} == {1_717_236_000_000_000}
    assert codes_of(result) == [("SW1409", 5)]


def test_mapped_json_and_parquet_say_the_same(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [
        {"t": 1_700_000_000_123 + i, "a": f"10.4.0.{i}", "b": "2001:db8::1", "p": 6, "dp": 443, "n": i}
        for i in range(1, 5)
    ]
    mapping = tmp_path / "m.yml"
    body = (
        'kind: flow-mapping\nschema_version: "1.0"\nformat: {form}\ncolumns: {{start: t, source: a, target: b, protocol: p,'
        " target_port: dp, packets: n}}\ntime: {{unit: ms}}\n"
    )
    mapping.write_text(body.format(form="json_lines"))
    _result, first = imported(
        tmp_path,
        "x.jsonl",
        "\n".join(map(json.dumps, rows)),
        kind="mapped",
        options={"mapping": str(mapping)},
        exporter="e",
    )
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "x.parquet")
    mapping.write_text(body.format(form="parquet"))
    content = (tmp_path / "x.parquet").read_bytes()
    _result, second = imported(
        tmp_path, "y.parquet", content, kind="mapped", options={"mapping": str(mapping)}, exporter="e"
    )
    assert len(first) == 4
    assert [{**row, "source": ""} for row in first] == [{**row, "source": ""} for row in second]


def test_a_parquet_file_with_octets_that_are_no_text_is_read_as_far_as_it_is(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    texts = pa.array([b"10.4.0.1", b"10.4\xe6\x81", None], pa.binary())
    broken = pa.StringArray.from_buffers(3, texts.buffers()[1], texts.buffers()[2], texts.buffers()[0])
    pq.write_table(pa.table({"t": [1, 2, 3], "a": broken, "b": ["10.4.0.9"] * 3, "p": [6] * 3}), tmp_path / "x.parquet")
    mapping = tmp_path / "m.yml"
    mapping.write_text(
        'kind: flow-mapping\nschema_version: "1.0"\nformat: parquet\ncolumns: {start: t, source: a, target: b, protocol: p}\n'
        "time: {unit: s}\n"
    )
    content = (tmp_path / "x.parquet").read_bytes()
    result, rows = imported(tmp_path, "z.parquet", content, kind="mapped", options={"mapping": str(mapping)})
    assert len(rows) == 1 and codes_of(result) == [("SW1428", 0), ("SW1409", 2)]


def test_a_parquet_file_whose_columns_have_no_names_of_text_is_refused_by_every_reader(tmp_path: Path) -> None:
    """Damage that fuzzing found (``--seed 57``)."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sound = tmp_path / "sound.parquet"
    pq.write_table(pa.table({"start": [1], "a": ["10.4.0.1"], "b": ["10.4.0.9"], "p": [6]}), sound, store_schema=False)
    content = sound.read_bytes()
    assert content.count(b"start") >= 2
    damaged = tmp_path / "register" / "addresses.parquet"
    damaged.parent.mkdir()
    damaged.write_bytes(content.replace(b"start", b"s\xfeart"))
    mapping = tmp_path / "m.yml"
    mapping.write_text(
        'kind: flow-mapping\nschema_version: "1.0"\nformat: parquet\ncolumns: {start: start, source: a, target: b, protocol: p}\n'
        "time: {unit: s}\n"
    )
    result, _rows = imported(
        tmp_path, "z.parquet", damaged.read_bytes(), kind="mapped", options={"mapping": str(mapping)}
    )
    assert [number for number, _count in codes_of(result)] == ["SW1463"]
    for read, code in (
        (lambda: store.check_file(damaged, "connections"), "SW1422"),
        (lambda: read_footer(damaged), "SW1422"),
        (lambda: read_intervals(tmp_path), "SW1311"),
    ):
        with pytest.raises(FindingError, match=code):
            read()


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (("  start: first\n", ""), 6),
        (("  protocol: proto\n", ""), 6),
        (("direction: source_opened", "direction: sideways"), 21),
        (('delimiter: ";"', 'delimiter: ";;"'), 5),
        (("  bytes: oct", "  octets: oct"), 15),
        (("  utc_offset_minutes: 120", "  utc_offset_minutes: soon"), 20),
    ],
)
def test_faults_of_a_mapping_are_located(tmp_path: Path, change: tuple[str, str], line: int) -> None:
    mapping = tmp_path / "fw.yml"
    mapping.write_text(MAPPING.replace(*change))
    assert mapping.read_text() != MAPPING
    from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.mapping import load_mapping

    with pytest.raises(FindingError) as raised:
        load_mapping(mapping)
    assert [(each.code, each.line) for each in raised.value.findings] == [("SW1465", line)]


def test_lines_of_any_length_and_content_stay_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "PIECE", 1 << 16)
    monkeypatch.setattr(text, "LONGEST_LINE", 1 << 12)
    long = "x" * 300_000 + "\n"
    content = (
        ZEEK + zeek_line() + long + zeek_line(oh="10.0.0.7") + "y" * 5000 + "\n" + zeek_line(oh="10.0.0.8")
    ).encode()
    result, rows = imported(tmp_path, "conn.log", content + b"\xff\xfe\x00\r\n" + zeek_line(oh="10.0.0.6").encode())
    assert {row["client"] for row in rows} == {"10.0.0.1", "10.0.0.7", "10.0.0.8", "10.0.0.6"}
    assert sorted(codes_of(result)) == [("SW1409", 9), ("SW1409", 13)]
    assert all("longer" in each.message or "fields" in each.message for each in result.findings)


def test_kinds_know_their_own_and_leave_the_rest(tmp_path: Path) -> None:
    for content, expected in (
        (ZEEK, "zeek_conn"),
        (ZEEK.replace("#path\tconn", "#path\tssl"), None),
        (eve_flow(), "eve"),
        (ARGUS, "argus"),
        ("a,b,c\n1,2,3\n", None),
        ("{}", None),
        ("", None),
    ):
        made = registry.kind_of(tmp_path / "any.bin", content.encode(), registry.BUILT_IN)
        assert (made.name if made else None) == expected


FLOW_LOGS = {
    "slips-ctu-sme-11-labelled/conn.log.labeled": ("zeek_conn", 766),
    "slips-portscan-horizontal": ("zeek_conn", 41),
    "slips-test10-mixed-zeek-dir/conn.log": ("zeek_conn", 141),
    "slips-test9-mixed-zeek-dir/conn.log": ("zeek_conn", 576),
    "slips-test13-malicious-dhcpscan-zeek-dir/conn.log": ("zeek_conn", 2),
    "slips-test11-portscan.binetflow": ("argus", 66),
    "slips-test3-mixed.binetflow": ("argus", 89),
    "slips-test5-mixed.binetflow": ("argus", 296),
}


@pytest.mark.parametrize("name", FLOW_LOGS)
def test_public_flow_logs_give_a_connection_for_each_row(corpora: Path, tmp_path: Path, name: str) -> None:
    path = corpora / "flow-data" / "flowlogs" / name
    kind, expected = FLOW_LOGS[name]
    result = ingest.ingest([path], tmp_path)
    assert result.inputs[0]["kind"] == kind
    assert result.connections == expected
    # Counted by another reader: rows that are of IP.
    lines = [line for line in path.read_text().splitlines() if line.strip() and not line.lstrip().startswith("#")]
    no_ip = (
        sum(any(f"\t{each}\t" in line for each in ("arp", "llc", "man")) for line in lines) if kind == "argus" else 0
    )
    assert len(lines) - no_ip - (kind == "argus") == expected


def test_gzip_members_without_number_are_fed_in_small_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each member copies what is left of its block: octets copied, not time, are counted here."""
    copied = 0

    class Counting:
        def __init__(self, wbits: int) -> None:
            self.real = zlib.decompressobj(wbits=wbits)

        def decompress(self, data: bytes, most: int) -> bytes:
            nonlocal copied
            made = self.real.decompress(data, most)
            copied += len(self.real.unused_data)
            return made

        def __getattr__(self, name: str) -> Any:
            return getattr(self.real, name)

    class Library:
        error, decompressobj = zlib.error, Counting

    monkeypatch.setattr(text, "zlib", Library)
    empty = gzip.compress(b"")
    path = tmp_path / "many.gz"
    path.write_bytes(empty * 20_000 + gzip.compress(b"one\ntwo\n") + empty)
    findings: list[Any] = []
    found = list(text.pieces(path, text.Rejects("x"), findings))
    assert [(each.first_line, each.data) for each in found] == [(1, b"one\ntwo\n")]
    assert findings == []
    assert copied < 20_000 * (1 << 16)
