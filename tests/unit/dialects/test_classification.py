"""acl_classify: rows of dicts, CSV, Parquet and the flow store against a walk over the entries, packet by packet."""

from __future__ import annotations

import csv
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.address import columns_of as address_columns
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import classification, registry
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.classification import classify_result
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import FirstMatchList, Packet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.text import packet_from_dict

LIST = """ip access-list extended A
 10 permit tcp 10.0.0.0 0.0.0.3 host 10.0.1.1 eq 443 established
 20 deny udp any host 10.0.1.1 range 50 60
 30 permit icmp any any echo
 40 permit udp any any gt 40
 50 deny tcp any any fragments
 60 permit tcp host 10.0.0.2 any
"""


def walk(source: FirstMatchList, packet: Packet) -> tuple[str, int]:
    """Return verdict and place of the deciding entry, 0 for the end, by looking at one entry after the other."""
    for place, entry in enumerate(source.entries, 1):
        if any(all(v.contains(x) for v, x in zip(box.sets(), packet.values(), strict=True)) for box in entry.boxes):
            return ("permit" if entry.permit else "deny"), place
    return ("permit" if source.default_permit else "deny"), 0


def random_rows(count: int, seed: int = 5) -> list[dict[str, Any]]:
    choice = random.Random(seed)
    rows = []
    for _ in range(count):
        row: dict[str, Any] = {
            "protocol": choice.choice(["tcp", "udp", "icmp", "47", 6]),
            "source": f"10.0.0.{choice.randrange(5)}",
            "destination": f"10.0.1.{choice.randrange(3)}",
            "source_port": choice.randrange(70),
            "destination_port": choice.choice([443, 45, 50, 60, 61]),
            "tcp_flags": choice.choice([["syn"], ["ack"], ["syn", "ack"], []]),
            "icmp_type": choice.choice([0, 8]),
            "icmp_code": 0,
            "fragment": choice.random() < 0.1,
        }
        rows.append(row)
    return rows


def test_rows_are_decided_as_a_walk_decides_them(tmp_path: Path) -> None:
    rows = random_rows(800)
    source = registry.parse_one("ios", LIST).first_match()
    wanted = [walk(source, packet_from_dict(row)) for row in rows]
    found = classify_result("ios", LIST, packets=[{**row, "tcp_flags": row["tcp_flags"] or ["none"]} for row in rows])
    assert [(item["verdict"], item["entry"]) for item in found["results"]] == wanted
    assert {entry for _verdict, entry in wanted} == set(range(7))
    assert found["rows"] == sum(found["verdicts"].values()) == 800
    assert {item["entry"]: item["rows"] for item in found["entries"]} == {
        place: sum(entry == place for _verdict, entry in wanted) for place in range(1, 7)
    }
    assert found["default_rows"] == sum(entry == 0 for _verdict, entry in wanted)
    # The same rows as CSV and as Parquet.
    texts = [
        {**row, "tcp_flags": "+".join(row["tcp_flags"]) or "none", "note": f"ü, {at}"} for at, row in enumerate(rows)
    ]
    with open(tmp_path / "rows.csv", "w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(texts[0]))
        writer.writeheader()
        writer.writerows(texts)
    numbers = {name: pa.array([row[name] for row in rows], pa.int32()) for name in ("source_port", "destination_port")}
    table = pa.table({name: [str(row[name]) for row in texts] for name in texts[0]} | numbers)
    parquet.write_table(table, tmp_path / "rows.parquet")
    for name in ("rows.csv", "rows.parquet"):
        again = classify_result("ios", LIST, path=str(tmp_path / name), dest=str(tmp_path / f"judged-{name}"))
        assert (again["verdicts"], again["changed"]) == (found["verdicts"], True)
        assert (
            classify_result("ios", LIST, path=str(tmp_path / name), dest=str(tmp_path / f"judged-{name}"))["changed"]
            is False
        )
    with open(tmp_path / "judged-rows.csv", encoding="utf-8", newline="") as stream:
        judged = list(csv.DictReader(stream))
    assert [(row["verdict"], int(row["entry"])) for row in judged] == wanted
    assert [row["note"] for row in judged] == [row["note"] for row in texts]
    assert [row["line"] for row in judged[:50]] == [str(entry + 1 if entry else 0) for _verdict, entry in wanted[:50]]
    written = parquet.read_table(tmp_path / "judged-rows.parquet")
    assert list(zip(written["verdict"].to_pylist(), written["entry"].to_pylist(), strict=True)) == wanted


def test_a_large_file_is_read_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = random_rows(300)
    table = pa.table(
        {name: [str(row[name]) for row in rows] for name in ("protocol", "source", "destination", "destination_port")}
    )
    parquet.write_table(table, tmp_path / "a.parquet")
    whole = classify_result("ios", LIST, path=str(tmp_path / "a.parquet"), dest=str(tmp_path / "one.csv"))
    monkeypatch.setattr("ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.tuples.BATCH_ROWS", 7)
    parts = classify_result("ios", LIST, path=str(tmp_path / "a.parquet"), dest=str(tmp_path / "two.csv"))
    assert parts == whole
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()


def test_connections_of_the_flow_store_are_their_opening_packets(tmp_path: Path) -> None:
    rows = [(6, "10.0.0.2", "10.0.1.2", 1000, 80), (1, "10.0.0.2", "10.0.1.2", 0, 8 * 256), (1, "10.0.0.2", "10.0.1.2", 0, 13 * 256),
            (17, "2001:db8::1", "2001:db8::2", 9, 99)]  # fmt: skip
    columns: dict[str, list[int]] = {name: [] for name in ("client_hi", "client_lo", "server_hi", "server_lo")}
    for _protocol, client, server, _from, _to in rows:
        for side, text in (("client", client), ("server", server)):
            for half, number in zip(("hi", "lo"), address_columns(text), strict=True):
                columns[f"{side}_{half}"].append(number)
    table = pa.table({
        **columns, "protocol": pa.array([row[0] for row in rows], pa.int16()),
        "client_port": pa.array([row[3] for row in rows], pa.int32()), "server_port": pa.array([row[4] for row in rows], pa.int32()),
    })  # fmt: skip
    parquet.write_table(table, tmp_path / "c.parquet")
    found = classify_result("ios", LIST, path=str(tmp_path / "c.parquet"))
    assert {item["entry"]: item["rows"] for item in found["entries"]} == {6: 1, 3: 1}
    assert found["verdicts"] == {"deny": 1, "permit": 2, "uncertain": 0, "not_seen": 1}


def test_a_condition_leaves_a_row_uncertain_and_is_named() -> None:
    lines = ("eq 443 time-range WORK", "eq 80 dscp ef", "eq 80")
    text = "\n".join(["ip access-list extended A", *(f" permit tcp any any {line}" for line in lines)])
    packet = {"protocol": "tcp", "source": "10.0.0.1", "destination": "10.0.0.2"}
    found = classify_result("ios", text, packets=[{**packet, "destination_port": port} for port in (443, 80, 22)])
    assert [(item["verdict"], item["entry"], item["conditions"]) for item in found["results"]] == [
        ("uncertain", 1, "time-range WORK"), ("permit", 2, "dscp ef"), ("deny", 0, ""),
    ]  # fmt: skip
    assert [(item["entry"], item["rows"], item["uncertain_rows"]) for item in found["entries"]] == [
        (1, 0, 1),
        (2, 1, 0),
    ]


def test_a_list_does_not_see_the_other_address_family() -> None:
    packet = {"protocol": "tcp", "source": "2001:db8::1", "destination": "2001:db8::2", "destination_port": 443}
    assert classify_result("ios", LIST, packets=[packet])["results"][0]["verdict"] == "not_seen"
    for platform, text, verdict in (
        ("dacl", "permit ip any any\n", "not_seen"),
        ("dacl", "permit ipv6 any any\n", "permit"),
        ("dacl", "permit ip any any\npermit ipv6 any any\n", "permit"),
        ("sgacl", "permit tcp dst eq 443\n", "permit"),
        ("sgacl", "Role-based IP access list A\n    10 permit tcp dst eq 443\n", "not_seen"),
        ("nxos", "ip access-list A\n  permit ip any any\n", "not_seen"),
    ):
        assert classify_result(platform, text, packets=[packet])["results"][0]["verdict"] == verdict, text
    firewall = "access-list A extended permit tcp any any eq https\n"
    assert classify_result("asa", firewall, packets=[packet])["results"][0]["verdict"] == "permit"


GOOD = {"protocol": "tcp", "source": "10.0.0.1", "destination": "10.0.0.2"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"protocol": "foo"}, "row 2: protocol 'foo'"),
        ({"protocol": 256}, "row 2: protocol '256'"),
        ({"source": "10.0.0"}, "row 2: source '10.0.0'"),
        ({"source": "fe80::1%eth0"}, "zone"),
        ({"destination": "2001:db8::1"}, "row 2: the addresses are of different families"),
        ({"destination_port": 70000}, "row 2: destination_port"),
        ({"destination_port": "https"}, "row 2: destination_port 'https'"),
        ({"destination_port": -1}, "row 2: destination_port '-1'"),
        ({"tcp_flags": ["sny"]}, "flags are"),
        ({"icmp_type": "echo"}, "icmp_type 'echo'"),
        ({"fragment": "perhaps"}, "neither true nor false"),
    ],
)
def test_a_row_that_is_no_packet_is_named(change: dict[str, Any], said: str) -> None:
    with pytest.raises(FindingError, match="SW1244") as caught:
        classify_result("ios", LIST, packets=[GOOD, {**GOOD, **change}, GOOD])
    assert said in str(caught.value)


def test_files_that_cannot_be_read_or_written(tmp_path: Path) -> None:
    (tmp_path / "no.csv").write_text("protocol,source\ntcp,10.0.0.1\n", encoding="utf-8")
    (tmp_path / "ragged.csv").write_text("protocol,source,destination\ntcp,10.0.0.1\n", encoding="utf-8")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1nothing")
    for name in ("no.csv", "ragged.csv", "bad.parquet", "absent.csv", "absent.parquet"):
        with pytest.raises(FindingError, match="SW1244"):
            classify_result("ios", LIST, path=str(tmp_path / name), dest=str(tmp_path / "out.csv"))
    with pytest.raises(FindingError, match="SW1244"):
        classify_result("ios", LIST, packets=[GOOD], dest=str(tmp_path / "out.csv"))
    with pytest.raises(FindingError, match="SW1203"):
        classify_result("dacl", "permit foo any any", packets=[GOOD])
    assert sorted(item.name for item in tmp_path.iterdir()) == ["bad.parquet", "no.csv", "ragged.csv"]


def test_check_mode_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("protocol,source,destination\ntcp,10.0.0.1,10.0.0.2\n\n", encoding="utf-8")
    found = classify_result("ios", LIST, path=str(tmp_path / "a.csv"), dest=str(tmp_path / "out.csv"), check_mode=True)
    assert (found["rows"], found["changed"], (tmp_path / "out.csv").exists()) == (1, True, False)
    (tmp_path / "empty.csv").write_text("protocol,source,destination\n", encoding="utf-8")
    assert classify_result("ios", LIST, path=str(tmp_path / "empty.csv"))["rows"] == 0


def test_the_added_columns_are_named_once() -> None:
    assert len(set(classification.ADDED)) == 4


def test_the_file_that_is_read_is_never_written(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("protocol,source,destination\n6,10.0.0.1,10.0.1.1\n")
    (tmp_path / "link.csv").symlink_to(path)
    for dest in (path, tmp_path / "link.csv", tmp_path / "." / "rows.csv"):
        with pytest.raises(FindingError, match="SW1244"):
            classify_result("ios", LIST, path=str(path), dest=str(dest))
    assert path.read_text().startswith("protocol,")
