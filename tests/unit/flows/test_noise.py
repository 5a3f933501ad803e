# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Noise: a wide and a deep scan are found, polling and a busy client are not; probes, backscatter, threat lists."""

from __future__ import annotations

import json
import random
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import address, noise, related, store, threats
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.ingest import ingest
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.retention import expire
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.schema import CONNECTIONS, arrow_schema
from tests.unit.flows import packets, scan_reference
from tests.unit.flows.scan_reference import Opened

MINUTE = 60_000_000
CLIENT, OTHER = (4, 1), (4, 2)


def opened(
    client: tuple[int, int],
    server: int,
    port: int,
    answered: bool = False,
    size: int = 60,
    at: int = 0,
    protocol: int = 6,
) -> Opened:
    return Opened(at, client, (4, server), protocol, port, answered, 4, 4 * size)


def table(items: list[Opened], **changes: Any) -> Any:
    rows = []
    for item in items:
        client, server = (address.columns_of_int(*each) for each in (item.client, item.server))
        rows.append({
            "start_us": item.start_us, "end_us": item.start_us, "client_hi": client[0], "client_lo": client[1], "server_hi": server[0],
            "server_lo": server[1], "protocol": item.protocol, "client_port": 40000, "server_port": item.server_port,
            "packets_out": item.packets, "bytes_out": item.bytes, "packets_in": 0, "bytes_in": 0, "answered": item.answered, "method": 1,
            "confidence": 1.0, "class": "unicast", "exporter": "e", "sampling": 1, "source": "0" * 16, **changes,
        })  # fmt: skip
    return pa.Table.from_pylist(rows, schema=arrow_schema(CONNECTIONS))


class Report:
    """What both find, after they were found to agree."""

    def __init__(self, items: list[Opened], declared: frozenset[tuple[int, int]]) -> None:
        expected = scan_reference.find_scans(items, declared)
        made = noise.find_noise(
            table(items), declared=[address.text_of(*address.columns_of_int(*each)) for each in declared]
        )
        assert [vars(each) for each in made.scans] == [vars(each) for each in expected.scans]
        assert made.of("scan") == expected.conversations
        self.scans, self.conversations = made.scans, made.of("scan")


def find_scans(items: list[Opened], declared: frozenset[tuple[int, int]] = frozenset()) -> Report:
    return Report(items, declared)


def test_a_wide_scan_is_found_with_its_numbers() -> None:
    report = find_scans([opened(CLIENT, 100 + n, 22) for n in range(30)])
    assert [(s.client, s.pairs, s.servers, s.unanswered) for s in report.scans] == [(CLIENT, 30, 30, 30)]
    assert len(report.conversations) == 30


def test_a_deep_scan_of_one_server_is_found() -> None:
    report = find_scans([opened(CLIENT, 100, port) for port in range(1, 16)])
    assert len(report.scans) == 1 and report.scans[0].pairs == 15


def test_fewer_than_the_threshold_is_no_scan() -> None:
    assert find_scans([opened(CLIENT, 100 + n, 22) for n in range(24)]).scans == ()


def test_a_poller_whose_servers_answer_with_data_is_no_scan() -> None:
    report = find_scans([opened(CLIENT, 100 + n, 502, answered=True, size=120) for n in range(200)])
    assert report.scans == () and not report.conversations


def test_what_the_scanner_does_besides_stays_its_own_traffic() -> None:
    upload = opened(CLIENT, 7, 443, answered=True, size=900)
    report = find_scans([*(opened(CLIENT, 100 + n, 22) for n in range(30)), upload])
    assert (CLIENT, (4, 7), 6, 443) not in report.conversations


def test_an_open_port_that_the_scan_met_belongs_to_the_scan() -> None:
    met = opened(CLIENT, 9, 2575, answered=True, size=52)
    report = find_scans([*(opened(CLIENT, 100 + n, 22) for n in range(30)), met])
    assert (CLIENT, (4, 9), 6, 2575) in report.conversations


def test_a_conversation_that_also_happens_without_the_scan_is_kept() -> None:
    later = opened(CLIENT, 100, 22, answered=True, size=300, at=60 * MINUTE)
    report = find_scans([*(opened(CLIENT, 100 + n, 22) for n in range(30)), later])
    assert (CLIENT, (4, 100), 6, 22) not in report.conversations


def test_small_datagrams_are_data_and_clients_are_judged_apart() -> None:
    queries = [opened(OTHER, 50, 53, answered=True, size=60, protocol=17, at=n) for n in range(60)]
    report = find_scans([*(opened(CLIENT, 100 + n, 22) for n in range(30)), *queries])
    assert {scan.client for scan in report.scans} == {CLIENT}
    assert (OTHER, (4, 50), 17, 53) not in report.conversations


def test_a_slow_scan_over_hours_is_not_claimed_to_be_found() -> None:
    assert find_scans([opened(CLIENT, 100 + n, 22, at=n * 10 * MINUTE) for n in range(30)]).scans == ()


def test_declared_scanners_are_left_alone() -> None:
    probes = [opened(CLIENT, 100 + n, 22) for n in range(30)]
    assert find_scans(probes, frozenset({CLIENT})).scans == ()


def test_random_traffic_gives_the_reference_answer(full: bool) -> None:
    rng = random.Random(11)
    scans = 0
    for _round in range(40 if full else 8):
        items = [
            opened((4, rng.randrange(3)), 100 + rng.randrange(40), rng.randrange(1, 9), rng.random() < 0.2,
                   rng.choice((40, 60, 78, 79, 300)),
                   rng.randrange(2) * noise.SCAN_BIN_US + rng.randrange(3), rng.choice((6, 6, 17)))
            for _item in range(rng.randrange(20, 500))
        ]  # fmt: skip
        scans += len(find_scans(items).scans)
    assert scans > 3


def test_over_a_day_a_hundred_new_servers_are_a_scan_and_old_ones_are_not() -> None:
    known = [opened(CLIENT, 1000 + n, 502, at=0) for n in range(40)]
    slow = [opened(CLIENT, 5000 + n, 22, at=86_400_000_000 + n * 10 * MINUTE) for n in range(101)]
    again = [opened(CLIENT, 1000 + n, 502, at=86_400_000_000 + n * 10 * MINUTE) for n in range(1, 40)]
    spread = [opened(CLIENT, 1000 + n, 502, at=n * 10 * MINUTE) for n in range(40)]
    del known
    flagged = noise.find_noise(table([*spread, *slow, *again])).of("scan")
    assert flagged == {(CLIENT, (4, 5000 + n), 6, 22) for n in range(101)}
    assert not noise.find_noise(table([*spread, *slow[:100], *again])).of("scan")
    assert not noise.find_noise(table([*spread, *slow, *again]), declared=["0.0.0.0/24"]).of("scan")


def one(client: int, server: int, port: int, protocol: int = 6, **changes: Any) -> Any:
    return table([opened((4, client), server, port, protocol=protocol)], **changes)


def test_one_packet_probes_and_backscatter_are_flagged_and_one_sided_exporters_are_believed() -> None:
    ordinary = {"packets_out": 5, "packets_in": 4, "answered": True}
    rows = [
        one(1, 9, 22, packets_out=1), one(2, 9, 22, packets_out=3), one(3, 9, 161, protocol=17, packets_out=1),
        one(4, 9, 514, protocol=17, packets_out=1), one(4, 9, 514, protocol=17, packets_out=1),
        one(5, 9, 443, packets_out=0, packets_in=2, answered=True), one(6, 9, 443, packets_out=0, packets_in=900, answered=True),
        *(one(7, 9, 80 + n, **ordinary) for n in range(9)),
        *(one(8, 9, 443, exporter="half", packets_out=0, packets_in=2, answered=True) for _n in range(3)),
    ]  # fmt: skip
    made = noise.find_noise(pa.concat_tables(rows))
    assert made.reasons == {
        ((4, 1), (4, 9), 6, 22): "probe",
        ((4, 3), (4, 9), 17, 161): "probe",
        ((4, 5), (4, 9), 6, 443): "backscatter",
    }


STIX = {
    "type": "bundle", "id": "bundle--1",
    "objects": [
        {"type": "identity", "id": "identity--1", "name": "Sector CERT"},
        {"type": "indicator", "created_by_ref": "identity--1", "name": "c2", "pattern_type": "stix", "valid_from": "2026-01-01T00:00:00Z",
         "pattern": "[ipv4-addr:value = '198.51.100.7' OR ipv6-addr:value = '2001:db8::7']"},
        {"type": "indicator", "pattern_type": "stix", "valid_from": "2026-01-01T00:00:00.000Z", "valid_until": "2026-02-01T00:00:00Z",
         "pattern": "[ipv4-addr:value ISSUBSET '203.0.113.0/24']"},
        {"type": "indicator", "pattern_type": "stix", "valid_from": "2026-01-01T00:00:00Z", "revoked": True,
         "pattern": "[ipv4-addr:value = '192.0.2.1']"},
        {"type": "indicator", "pattern_type": "stix", "valid_from": "2026-01-01T00:00:00Z",
         "pattern": "[ipv4-addr:value = '192.0.2.2' AND network-traffic:dst_port = 4]"},
        {"type": "indicator", "pattern_type": "stix", "valid_from": "2026-01-01T00:00:00Z", "pattern": "[domain-name:value = 'x.example']"},
        {"type": "indicator", "pattern_type": "stix", "valid_from": "2026-01-01T00:00:00Z",
         "pattern": "[ipv4-addr:value ISSUBSET '0.0.0.0/0']"},
    ],
}  # fmt: skip


def test_threat_lists_flag_peers_for_the_time_they_are_valid(tmp_path: Path) -> None:
    bundle, listed = tmp_path / "bundle.json", tmp_path / "list.csv"
    bundle.write_text(json.dumps(STIX))
    listed.write_text(
        "# feed\naddress,valid_from,valid_until,source,reason\n192.0.2.99,2026-01-01,,ours,botnet\nnobody,2026-01-01,,,\n"
    )
    count, lists, findings = threats.import_threats(tmp_path / "data", [bundle, listed])
    assert (count, [each["indicators"] for each in lists], [each["left_out"] for each in lists]) == (4, [3, 1], [3, 1])
    assert {each.code for each in findings} == {"SW1472"}
    known = threats.known_threats(tmp_path / "data")
    assert {(each.network, each.source) for each in known} == {
        ("198.51.100.7/32", "Sector CERT"), ("2001:db8::7/128", "Sector CERT"), ("203.0.113.0/24", "bundle.json"),
        ("192.0.2.99/32", "ours"),
    }  # fmt: skip
    january, march = 1_768_000_000_000_000, 1_773_000_000_000_000
    good = {"packets_out": 9, "packets_in": 9, "answered": True}
    peer = {
        text: address.int_of(*address.columns_of(text))
        for text in ("198.51.100.7", "203.0.113.9", "192.0.2.99", "192.0.2.1")
    }
    rows = [table([opened((4, 1), 5, 443)], start_us=at, **good, server_hi=hi, server_lo=lo)
            for text in peer for at in (january, march) for hi, lo in (address.columns_of(text),)]  # fmt: skip
    made = noise.find_noise(pa.concat_tables(rows[:4]), threats=known)
    assert {pair[1] for pair in made.of("threat")} == {peer["198.51.100.7"], peer["203.0.113.9"]}
    made = noise.find_noise(pa.concat_tables(rows[3:]), threats=known)
    # In March the network's indicator has run out; the revoked one never counts.
    assert {pair[1] for pair in made.of("threat")} == {peer["192.0.2.99"]}


@pytest.mark.parametrize("content", ["{}", '{"type": "bundle"}', "ip\n1.2.3.4\n", "", "[1]", "{broken"])
def test_a_list_that_is_none_is_refused_and_the_store_keeps_what_it_has(tmp_path: Path, content: str) -> None:
    path = tmp_path / "x"
    path.write_text(content)
    with pytest.raises(FindingError):
        threats.import_threats(tmp_path / "data", [path])
    assert threats.known_threats(tmp_path / "data") == []


def restless(rng: random.Random, day_us: int, days: int, clients: int) -> list[dict[str, Any]]:
    """Return rows of what lies near every limit: scans over two days, probes told by two exporters, forged openers, busy first days."""
    rows = []
    ports = (22, 502, 53, 443, 8080)
    for _row in range(3_000):
        day = rng.randrange(days)
        busy = rng.random() < 0.5
        client = rng.randrange(3) if busy else rng.randrange(clients)
        begin = (
            day * day_us
            + (rng.choice((0, 86_390)) if busy else rng.randrange(86_400)) * 1_000_000
            + rng.randrange(10_000_000)
        )
        out, back = rng.choice(((0, 1), (0, 3), (0, 4), (1, 0), (1, 0), (2, 0), (1, 1), *((9, 9),) * 8))
        octets = rng.choice((40, 78, 79, 700))
        rows.append({
            "start_us": begin % (days * day_us), "client": client, "server": rng.randrange(60 if busy else 25),
            "protocol": rng.choice((6, 6, 17)), "server_port": rng.choice(ports), "packets_out": out, "bytes_out": out * octets,
            "packets_in": back,             "bytes_in": back * octets, "answered": back > 0 and rng.random() < 0.8,
            "exporter": rng.choice("aab"),
            "class": rng.choice(("unicast",) * 9 + ("multicast",)),
        })  # fmt: skip
    return rows


@pytest.mark.one_python
def test_days_kept_apart_say_what_all_their_connections_say(tmp_path: Path, full: bool) -> None:
    for seed in range(8 if full else 1):
        assert days_apart(tmp_path / str(seed), random.Random(seed)) == set(noise.REASONS)


def days_apart(tmp_path: Path, rng: random.Random) -> set[str]:
    """Compare windows of a store with tables of their connections, also once connections have gone; return the reasons met."""
    first, days = store.day_number(date(2026, 11, 20)), 3
    made = []
    for row in restless(rng, 86_400_000_000, days, 30):
        begin = row["start_us"] + first * 86_400_000_000
        ends = {"client_hi": address.V4_HI, "client_lo": address.V4_LO + row.pop("client"), "server_hi": address.V4_HI}
        ends["server_lo"] = address.V4_LO + 1_000 + row.pop("server")
        made.append(
            {
                **row,
                **ends,
                "start_us": begin,
                "end_us": begin,
                "client_port": 40000,
                "method": 1,
                "confidence": 1.0,
                "sampling": 1,
            }
        )
    document = store.read_inputs(tmp_path)
    for number in range(2 * days):
        source, day = f"{number:016x}", store.date_of(first + number // 2)
        own = [
            {**r, "source": source}
            for place, r in enumerate(made)
            if r["start_us"] // 86_400_000_000 - first == number // 2 and place % 2 == number % 2
        ]
        path = store.day_folder(tmp_path, "connections", day) / f"{source}.parquet"
        store.write_table(pa.Table.from_pylist(own, schema=arrow_schema(CONNECTIONS)), path, "connections")
        document["inputs"][source] = {}
        document["stale_days"].append(day.isoformat())
    store.write_inputs(tmp_path, document)
    middle = store.date_of(first + 1)
    found = set()
    for limits in (
        noise.NoiseLimits(),
        noise.NoiseLimits(scan_minutes=1440, scan_servers=9, scan_ports=4, new_servers_a_day=12),
    ):
        for declared in ((), ("0.0.0.0/31",)):
            threat = [threats.Threat("0.0.3.232/30", (first + 1) * 86_400_000_000 + 9_000_000_000, 1 << 62, "feed")]
            for window in ((None, None), (middle, None)):
                rows = store.connections(tmp_path, *window)
                expected = noise.find_noise(rows, declared=declared, threats=threat, limits=limits)
                for _again in range(2):  # what is kept by then says the same
                    assert (
                        noise.noise_in(tmp_path, *window, declared=declared, threats=threat, limits=limits) == expected
                    )
                found |= set(expected.reasons.values())
                assert expected.scans or declared
    # What was noise stays noise when its connections are gone, and an input that came since is not forgotten with them.
    usual = noise.noise_in(tmp_path)
    expire(tmp_path, 2)
    assert store.expired_days(tmp_path) == {store.date_of(first)}
    assert usual.scans and noise.noise_in(tmp_path) == usual
    kept = [each.exists() for each in (noise_path(tmp_path, first), noise_path(tmp_path, first + 1))]
    path = store.connection_files(tmp_path)[middle][0]
    rows = pq.read_table(path)
    store.write_table(rows.slice(1), path, "connections")
    expire(tmp_path, 1)
    assert [*kept, noise_path(tmp_path, first + 1).exists()] == [True, True, False]
    return found


def noise_path(data: Path, day: int) -> Path:
    return store.day_folder(data, "rollup", store.date_of(day)) / "noise.parquet"


@pytest.mark.one_python
def test_a_store_gives_what_its_table_gives(tmp_path: Path) -> None:
    frames = []
    for number in range(60):
        probe = packets.tcp("192.0.2.66", 50_000 + number, f"198.51.100.{number + 1}", 502, packets.SYN)
        frames.append((1_795_392_000 + number, packets.frame(probe)))
    frames += packets.session(1_795_392_100, "192.0.2.10", 40_000, "192.0.2.20", 21)
    frames += packets.session(1_795_392_101, "192.0.2.20", 20, "192.0.2.10", 40_001)
    frames += packets.session(1_795_392_000 + 90_000, "192.0.2.10", 40_000, "192.0.2.20", 502)
    data = tmp_path / "it's"
    assert noise.noise_in(data) == noise.Noise() and related.related_in(data) == {}
    ingest([packets.write(tmp_path / "a.pcap", frames)], data)
    for window in ((None, None), ("2026-11-23", "2026-11-24"), ("2026-11-24", None)):
        rows = store.connections(data, *window)
        assert noise.noise_in(data, *window) == noise.find_noise(rows)
        assert related.related_in(data, *window) == related.find_related(rows)
    assert len(noise.noise_in(data).of("scan")) >= 60 - 1
    assert list(related.related_in(data).values()) == ["ftp"]
    assert not noise.noise_in(data, "2026-11-24").reasons
    path = store.connection_files(data)[min(store.connection_files(data))][0]
    path.write_bytes(b"PAR1")
    with pytest.raises(FindingError, match="SW1422"):
        noise.noise_in(data)
