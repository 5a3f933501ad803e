"""Files of nfcapd: what nfdump reads from them, in every compression, whole, cut and damaged."""

from __future__ import annotations

import bz2
import json
import random
import shutil
import struct
import subprocess
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import address, inputs, store
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.ingest import ingest
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources import nfcapd, nffile

NONE, BZ2, LZ4, ZSTD = nffile.NONE, nffile.BZ2, nffile.LZ4, nffile.ZSTD


def v4(text: str) -> int:
    return int.from_bytes(bytes(int(part) for part in text.split(".")), "big")


def element(kind: int, content: bytes) -> bytes:
    return struct.pack("<HH", kind, 4 + len(content)) + content


def generic(
    first: int, last: int, packets: int, octets: int, ports: tuple[int, int], protocol: int, flags: int
) -> bytes:
    return element(1, struct.pack("<QQQQQHHBBBB", first, last, last, packets, octets, *ports, protocol, flags, 0, 0))


def ends4(source: str, target: str) -> bytes:
    return element(2, struct.pack("<II", v4(source), v4(target)))


def ends6(source: str, target: str) -> bytes:
    made = b""
    for text in (source, target):
        hi, lo = address.columns_of(text)
        made += struct.pack("<QQ", (hi + 2**63) % 2**64, (lo + 2**63) % 2**64)
    return element(3, made)


def flow(*elements: bytes, flags: int = 0, sysid: int = 1) -> bytes:
    body = b"".join(elements)
    return struct.pack("<HHHBBHBB", 11, 12 + len(body), len(elements), 0, 0, sysid, flags, 9) + body


EXPORTER = struct.pack("<HHIQQHHI", 7, 32, 9, 0, v4("192.0.2.1"), 2, 1, 0)
SAMPLER = struct.pack("<HHHHqII", 15, 24, 1, 0, 7, 1, 9)


def file_of(path: Path, blocks: list[list[bytes]], compression: int = NONE, layout: int = 2) -> Path:
    """Write a file of nfcapd with an appendix, as nfcapd does."""
    body = b""
    for records in blocks:
        data = b"".join(records)
        packed = {
            NONE: lambda octets: octets,
            BZ2: bz2.compress,
            LZ4: lambda octets: pa.compress(octets, codec="lz4_raw", asbytes=True),
            ZSTD: lambda octets: pa.compress(octets, codec="zstd", asbytes=True),
        }[compression](data)
        body += struct.pack("<IIHH", len(records), len(packed), 3, 0) + packed
    appendix = struct.pack("<IIHH", 1, 9, 3, 1) + struct.pack("<HH", 0x8001, 9) + b"none\0"
    header = struct.pack(
        "<HHIQBBHIQII", 0xA50C, layout, 0x1070100, 0, compression, 0, 1, 1, 40 + len(body), 0, len(blocks)
    )
    path.write_bytes(header + body + appendix)
    return path


def mixed(count: int, seed: int = 3) -> list[bytes]:
    """Return records of several layouts in random order: IPv4, IPv6, with interfaces, with a label of random length."""
    rng = random.Random(seed)
    made = [EXPORTER]
    for number in range(count):
        base = generic(1_000 + number, 2_000 + number, 3, 300, (40_000 + number % 20_000, 502), 6, 27)
        made.append(
            rng.choice(
                (
                    flow(ends4("192.0.2.10", "192.0.2.20"), base),
                    flow(base, ends4("192.0.2.10", "192.0.2.20")),
                    flow(ends6("2001:db8::1", "2001:db8::2"), base, element(4, bytes(16))),
                    flow(ends4("192.0.2.10", "192.0.2.20"), base, element(28, bytes(4 * rng.randrange(1, 30)))),
                )
            )
        )
    return made


def rows_of(path: Path) -> tuple[nfcapd.CollectorFile, list[dict[str, Any]]]:
    source = nfcapd.CollectorFile(path)
    return source, [row for table in source.tables() for row in table.to_pylist()]


def text_of(row: dict[str, Any], end: str) -> str:
    return address.text_of(row[f"{end}_hi"], row[f"{end}_lo"])


def key(row: dict[str, Any]) -> tuple[Any, ...]:
    ports = (0, 0) if row["protocol"] in (1, 58) else (row["source_port"], row["target_port"])
    times = (row["start_us"] // 1000, row["end_us"] // 1000)
    return text_of(row, "source"), text_of(row, "target"), row["protocol"], *ports, row["packets"], row["bytes"], *times


def nfdump_rows(path: Path) -> tuple[Counter[Any], int]:
    """Return (records of a file by nfdump, one for each direction; number of its records)."""
    if shutil.which("nfdump") is None:
        pytest.skip("nfdump is not installed")
    environment = {"TZ": "UTC", "PATH": "/usr/bin:/bin:/usr/local/bin"}
    done = subprocess.run(
        ["nfdump", "-r", str(path), "-q", "-o", "json"], capture_output=True, text=True, check=True, env=environment
    )
    listed = json.loads(f"[{done.stdout.strip().strip('[]').rstrip(',')}]")
    made: Counter[Any] = Counter()
    for each in listed:
        ends = [
            str(each.get(f"{end}4_addr") or address.text_of(*address.columns_of(each[f"{end}6_addr"])))
            for end in ("src", "dst")
        ]
        ports = [0, 0] if each["proto"] in (1, 58) else [each.get("src_port", 0), each.get("dst_port", 0)]
        times = [
            round(datetime.fromisoformat(each[name]).replace(tzinfo=UTC).timestamp() * 1000)
            for name in ("first", "last")
        ]
        made[(*ends, each["proto"], *ports, each["in_packets"], each["in_bytes"], *times)] += 1
        if each.get("out_packets") or each.get("out_bytes"):
            made[(*ends[::-1], each["proto"], *ports[::-1], each["out_packets"], each["out_bytes"], *times)] += 1
    return made, len(listed)


@pytest.mark.corpora
def test_records_are_those_that_nfdump_prints(corpora: Path, tmp_path: Path) -> None:
    files = [*sorted((corpora / "flow-data" / "exporters-made").glob("*/*.nfcapd"))]
    files += sorted((corpora / "flow-data" / "flowlogs").glob("*.nfdump"))  # layout 1 of nfdump 1.6
    if not files:
        pytest.skip("no files of nfcapd in the corpora")
    for path in files:
        theirs, count = nfdump_rows(path)
        source, rows = rows_of(path)
        assert Counter(key(row) for row in rows) == theirs, path.name
        assert sum(each["records"] for each in source.quality.exporters.values()) == count
        assert source.quality.damaged_at == -1


@pytest.mark.corpora
@pytest.mark.parametrize("option", [(), ("-z",), ("-y",), ("-j",)])
def test_every_compression_of_nfdump_reads_the_same(corpora: Path, tmp_path: Path, option: tuple[str, ...]) -> None:
    if shutil.which("nfdump") is None:
        pytest.skip("nfdump is not installed")
    path = next((corpora / "flow-data" / "exporters-made").glob("*synscan*/*.nfcapd"), None)
    if path is None:
        pytest.skip("no file of nfcapd in the corpora")
    subprocess.run(["nfdump", "-r", str(path), *option, "-w", str(tmp_path / "x")], capture_output=True, check=True)
    assert Counter(map(key, rows_of(tmp_path / "x")[1])) == Counter(map(key, rows_of(path)[1]))


@pytest.mark.parametrize("compression", [NONE, BZ2, LZ4, ZSTD])
def test_layouts_in_any_order_and_compression_read_the_same(tmp_path: Path, compression: int) -> None:
    records = mixed(400)
    blocks = [records[:100], records[100:101], [], records[101:]]
    source, rows = rows_of(file_of(tmp_path / "x", blocks, compression))
    assert (len(rows), source.quality.records, source.findings) == (400, 400, [])
    assert {row["exporter"] for row in rows} == {"192.0.2.1"}
    assert sorted(row["start_us"] for row in rows) == [1_000_000 + 1000 * number for number in range(400)]
    assert {row["packets"] for row in rows} == {3} and {row["protocol"] for row in rows} == {6}
    assert {(text_of(row, "source"), text_of(row, "target")) for row in rows} == {
        ("192.0.2.10", "192.0.2.20"),
        ("2001:db8::1", "2001:db8::2"),
    }


@pytest.mark.parametrize("place", [1, 63, 64, 65, 700, 4_700, 6_999])
def test_a_long_run_of_one_length_is_read_by_the_elements_of_each_record(tmp_path: Path, place: int) -> None:
    def record(number: int, turned: bool) -> bytes:
        base = generic(1_000 + number, 2_000 + number, 3, 300, (40_000, 502), 6, 27)
        ends = ends4("192.0.2.10", "192.0.2.20")
        return flow(base, ends) if turned else flow(ends, base)

    count = 7_000
    records = [record(number, number == place) for number in range(count)]
    # One more in two elements of the same octets, of which the second has no counters.
    records.append(
        flow(ends4("192.0.2.10", "192.0.2.20"), element(77, bytes(len(generic(0, 0, 0, 0, (0, 0), 0, 0)) - 4)))
    )
    source, rows = rows_of(file_of(tmp_path / "x", [records], LZ4))
    assert source.quality.left_out == {"no_addresses": 1}
    assert sorted(row["start_us"] for row in rows) == [1_000_000 + 1000 * number for number in range(count)]
    assert {(text_of(row, "source"), text_of(row, "target"), row["packets"]) for row in rows} == {
        ("192.0.2.10", "192.0.2.20", 3)
    }


def test_sampled_counters_are_divided_and_events_and_other_directions_kept(tmp_path: Path) -> None:
    base = generic(5_000, 6_000, 30, 3_000, (40_000, 443), 6, 27)
    denied = element(19, struct.pack("<QIHBB", 5_000, 77, 1001, 3, 0))
    opened = element(19, struct.pack("<QIHBB", 5_000, 78, 0, 1, 0))
    ends = ends4("192.0.2.10", "192.0.2.20")
    records = [
        EXPORTER,
        SAMPLER,
        flow(ends, base, flags=2),
        flow(ends, base),
        flow(ends, generic(0, 0, 0, 0, (40_001, 22), 6, 0), denied, flags=1),
        flow(ends, base, opened, element(5, struct.pack("<QQQ", 1, 7, 700)), flags=1),
        flow(ends, generic(5_000, 5_000, 1, 84, (0, 8 << 8), 1, 0)),
        flow(ends, generic(5_000, 5_000, 1, 84, (0, 0), 1, 0)),
        flow(base),
    ]
    source, rows = rows_of(file_of(tmp_path / "x", [records]))
    assert sorted(
        (row["packets"], row["bytes"], row["event"], row["said"]) for row in rows if row["protocol"] == 6
    ) == [
        (0, 0, 3, 1),
        (3, 300, 0, 0),
        (7, 700, 1, 2),
        (30, 3_000, 0, 0),
        (30, 3_000, 1, 1),
    ]
    assert next(row["start_us"] for row in rows if row["event"] == 3) == 5_000_000
    assert sorted((row["source_port"], row["target_port"]) for row in rows if row["protocol"] == 1) == [
        (0, 2048),
        (2048, 0),
    ]
    assert source.quality.left_out == {"no_addresses": 1}
    assert [each.code for each in source.findings] == ["SW1414", "SW1416"]


@pytest.mark.parametrize(
    ("packets", "octets"), [(1, 1 << 62), (1 << 63, 60), ((1 << 64) - 1, (1 << 64) - 1), (1, 1 << 53)]
)
def test_counters_that_no_link_can_have_are_left_out_and_harm_no_sum(tmp_path: Path, packets: int, octets: int) -> None:
    """One such record, times a rate of 10, was more than 64 bits hold: the day could not be summed, now or by any later import."""
    start = 1_795_392_000_000
    records = [EXPORTER, SAMPLER]
    for number in range(5):
        counted = (packets * 10, octets * 10) if number == 2 else (30, 4000)
        counted = tuple(min(each, (1 << 64) - 1) for each in counted)
        records.append(
            flow(
                generic(start + number, start + 500, *counted, (40_000 + number, 502), 6, 27),
                ends4("10.0.0.1", "10.0.0.9"),
                flags=2,
            )
        )
    path = file_of(tmp_path / "nfcapd.1", [records])
    result = ingest([path], tmp_path / "data")
    assert [each.code for each in result.findings if each.code == "SW1420"] == ["SW1420"]
    assert result.records == result.connections == result.inputs[0]["records"] == 4
    (quality,) = result.quality.values()
    assert quality["left_out"]["impossible_counters"] == 1
    (row,) = store.rollup(tmp_path / "data").to_pylist()
    assert (row["flows"], row["packets"], row["bytes"]) == (4, 12, 4 * 4000)
    assert not ingest([path], tmp_path / "data").changed


def test_a_clock_set_during_a_session_makes_no_session_of_decades(tmp_path: Path) -> None:
    """Such a record stood on 401 days, none of them that of its end; one whose end lies ahead counts at its start."""
    begun, ended = 1_700_000_000_000, 1_700_000_060_000
    times = [(begun, ended), (12_000, ended), (begun, (1 << 64) - 1), (begun, begun + 86_400_000 * 3)]
    records = [
        flow(generic(*pair, 3, 300, (40_000 + number, 502), 6, 27), ends4("10.0.0.1", "10.0.0.9"))
        for number, pair in enumerate(times)
    ]
    path = file_of(tmp_path / "nfcapd.1", [records])
    result = ingest([path], tmp_path / "data")
    assert [each.code for each in result.findings] == ["SW1415"] and "2 records" in str(result.findings[0])
    assert len(result.days) == 4
    found = store.connections(tmp_path / "data", columns=("client_port", "start_us", "end_us")).to_pylist()
    assert {row["client_port"] - 40_000: (row["start_us"] // 1000, row["end_us"] // 1000) for row in found} == {
        0: times[0], 1: (ended, ended), 2: (begun, begun), 3: times[3],
    }  # fmt: skip


def test_a_cut_file_keeps_its_whole_blocks_and_says_where(tmp_path: Path) -> None:
    path = file_of(tmp_path / "x", [mixed(50), mixed(50)], LZ4)
    whole = path.read_bytes()
    first = 40 + 12 + struct.unpack_from("<I", whole, 44)[0]
    for size, expected in ((10, 0), (39, 0), (first - 1, 0), (first, 50), (first + 11, 50), (first + 100, 50)):
        path.write_bytes(whole[:size])
        source, rows = rows_of(path)
        assert len(rows) == expected
        assert [each.code for each in source.findings] == ["SW1404"], size
        assert source.quality.damaged_at >= 0


def test_records_that_an_lz4_block_does_not_hold_are_not_made_up(tmp_path: Path) -> None:
    path = file_of(tmp_path / "x", [mixed(500), mixed(50)], LZ4)
    data = bytearray(path.read_bytes())
    second = 40 + 12 + struct.unpack_from("<I", data, 44)[0]
    data[second : second + 4] = struct.pack("<I", 200)
    path.write_bytes(data)
    source, rows = rows_of(path)
    assert len(rows) == 550
    assert [each.code for each in source.findings] == ["SW1405"] and source.quality.damaged_at == second


@pytest.mark.parametrize("short", [1, 3, 40])
def test_a_short_lz4_block_after_others_that_were_just_alike_is_told(tmp_path: Path, short: int) -> None:
    same = [flow(ends4("192.0.2.10", "192.0.2.20"), generic(1_000, 2_000, 3, 300, (40_000, 502), 6, 27))] * 50
    path = file_of(tmp_path / "x", [same, same, same, same[short:], same], LZ4)
    data = bytearray(path.read_bytes())
    at = 40
    for _block in range(3):
        at += 12 + struct.unpack_from("<I", data, at + 4)[0]
    # What is left in memory from the blocks before is the very record that this one lacks.
    data[at : at + 4] = struct.pack("<I", 50)
    path.write_bytes(data)
    source, rows = rows_of(path)
    assert len(rows) == 250 - short
    assert [each.code for each in source.findings] == ["SW1405"] and source.quality.damaged_at == at


def test_blocks_of_one_size_are_decompressed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    same = [flow(ends4("192.0.2.10", "192.0.2.20"), generic(1_000, 2_000, 3, 300, (40_000, 502), 6, 27))] * 50
    path = file_of(tmp_path / "x", [same] * 20, LZ4)
    asked: list[int] = []
    reaches = nffile._reaches
    monkeypatch.setattr(nffile, "_reaches", lambda data, octets: asked.append(octets) or reaches(data, octets))
    _source, rows = rows_of(path)
    assert len(rows) == 1_000 and 1 <= len(asked) <= 20


@pytest.mark.one_python
def test_damage_never_raises_and_is_counted(tmp_path: Path, full: bool) -> None:
    rng = random.Random(11)
    path = tmp_path / "x"
    for compression in (NONE, LZ4, ZSTD, BZ2):
        whole = bytearray(file_of(path, [mixed(30), mixed(30)], compression).read_bytes())
        for _round in range(400 if full else 40):
            data = bytearray(whole)
            for _flip in range(rng.choice((1, 3, 30))):
                data[rng.randrange(16, len(data))] = rng.randrange(256)
            path.write_bytes(data)
            source, rows, codes = nfcapd.CollectorFile(path), 0, {"SW1402"}
            try:
                rows = sum(table.num_rows for table in source.tables())
            except FindingError as error:
                codes = {each.code for each in error.findings}
            assert rows <= 1_000 and codes == {"SW1402"}


def test_old_files_without_nfdump_are_refused_with_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = file_of(tmp_path / "x", [mixed(3)], layout=1)
    monkeypatch.setattr(nfcapd.shutil, "which", lambda _name: None)
    assert inputs.identify(path).kind == "nfcapd"
    with pytest.raises(FindingError, match=r"SW1402.*nfdump 1.6") as caught:
        rows_of(path)
    assert "install nfdump" in caught.value.findings[0].hint


def test_an_import_of_a_folder_takes_finished_files_only(tmp_path: Path) -> None:
    folder = tmp_path / "flows"
    folder.mkdir()
    file_of(folder / "nfcapd.202611231200", [mixed(20)])
    file_of(folder / "nfcapd.current.77", [mixed(20, seed=4)])
    result = ingest([folder], tmp_path / "data")
    assert [(each["kind"], each["status"], each["records"]) for each in result.inputs] == [("nfcapd", "imported", 20)]
    assert store.connections(tmp_path / "data").num_rows == result.connections == 20
