"""Binding by time against brute force, addresses against the standard library."""

from __future__ import annotations

import ipaddress
import random
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.devices import storage
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.intervals import Interval, interval_table
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.model import AddressClaim, Observation
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.register import merge
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import address, store, window
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.address import V4_HI, V4_LO
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.binding import bind, bound_rollup
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.ingest import ingest
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.operations.edges import Settled
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.schema import ROLLUP, arrow_schema
from tests.unit.flows import packets

DAY = 1_795_392_000
PUMP, OTHER, SERVER = "02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:00:00:03"


def test_columns_keep_value_and_order_and_are_the_same_for_arrays() -> None:
    rng = random.Random(3)
    values = [ipaddress.IPv4Address(rng.getrandbits(32)) for _each in range(200)] + [
        ipaddress.IPv6Address(rng.getrandbits(128)) for _each in range(200)
    ]
    values += [
        ipaddress.ip_address(text) for text in ("0.0.0.0", "255.255.255.255", "::", "ffff:" * 7 + "ffff", "::ffff:0:0")
    ]
    pairs = [address.columns_of(each) for each in values]
    assert all(-(1 << 63) <= part < 1 << 63 for pair in pairs for part in pair)
    plain = [each for each in values if not (each.version == 6 and each.ipv4_mapped is not None)]
    assert [str(address.address_of(*address.columns_of(each))) for each in plain] == [str(each) for each in plain]

    def whole(each: Any) -> int:
        return int(each) | (0xFFFF << 32) if each.version == 4 else int(each)

    assert sorted(values, key=whole) == [
        each for _pair, _key, each in sorted(zip(pairs, map(whole, values), values), key=lambda x: (x[0], x[1]))
    ]
    fours, sixes = [each for each in values if each.version == 4], [each for each in values if each.version == 6]
    high, low = address.columns_of_v4(np.array([int(each) for each in fours], dtype=np.uint32))
    assert list(zip(high.tolist(), low.tolist())) == [address.columns_of(each) for each in fours]
    high, low = address.columns_of_v6(
        np.frombuffer(b"".join(each.packed for each in sixes), dtype=np.uint8).reshape(-1, 16)
    )
    assert list(zip(high.tolist(), low.tolist())) == [address.columns_of(each) for each in sixes]


def test_a_network_as_sql_holds_just_its_addresses() -> None:
    rng = random.Random(4)
    texts = [f"10.{rng.randrange(4)}.{rng.randrange(4)}.{rng.randrange(256)}" for _each in range(300)]
    texts += [f"2001:db8:{rng.randrange(3)}::{rng.randrange(9):x}" for _each in range(300)] + ["::1", "255.255.255.255"]
    high, low = zip(*(address.columns_of(each) for each in texts))
    with store.connect() as connection:
        connection.register(
            "a", pa.table({"x_hi": pa.array(high, pa.int64()), "x_lo": pa.array(low, pa.int64()), "text": texts})
        )
        for network in (
            "10.0.0.0/8",
            "10.1.0.0/16",
            "10.1.2.128/25",
            "0.0.0.0/0",
            "2001:db8:1::/48",
            "2001:db8::4/126",
            "::/0",
            "10.0.0.1/32",
        ):
            found = connection.execute(
                f"SELECT text FROM a WHERE {address.range_sql(network, 'x')} ORDER BY text"
            ).fetchall()
            parsed = ipaddress.ip_network(network)
            expected = [each for each in texts if ipaddress.ip_address(each) in parsed]
            if network == "::/0":
                expected = texts  # IPv4 is mapped into IPv6
            assert [row[0] for row in found] == sorted(expected), network
    with pytest.raises(ValueError, match="names no column"):
        address.range_sql("10.0.0.0/8", "x; drop table a")


def rollup_of(rows: list[tuple[str, str, int, int]]) -> Any:
    made = []
    for client, server, first, last in rows:
        (client_hi, client_lo), (server_hi, server_lo) = address.columns_of(client), address.columns_of(server)
        numbers = dict.fromkeys(
            (
                "flows",
                "answered_flows",
                "packets",
                "bytes",
                "hours",
                "minimum_client_port",
                "maximum_client_port",
                "method",
            ),
            1,
        )
        ends = {"client_hi": client_hi, "client_lo": client_lo, "server_hi": server_hi, "server_lo": server_lo}
        service = {
            "day": date(2026, 11, 23),
            "protocol": 6,
            "server_port": 502,
            "class": "unicast",
            "confidence": 1.0,
            "weak_flows": 0,
        }
        made.append({**ends, **service, **numbers, "first_us": first, "last_us": last})
    return pa.Table.from_pylist(made, schema=arrow_schema(ROLLUP))


def test_binding_is_what_looking_at_every_interval_gives() -> None:
    rng = random.Random(9)
    hosts = [f"192.0.2.{n}" for n in range(1, 6)] + ["2001:db8::1"]
    intervals = []
    for host in hosts:
        edges = sorted(rng.sample(range(1000), 8))
        for start, end in zip(edges[::2], edges[1::2]):
            intervals.append(
                Interval(
                    host, start, end, f"02:00:00:00:00:{rng.randrange(4):02x}", rng.choice(("arp", "assumed:arp")), 0.8
                )
            )
    rows = []
    for _each in range(500):
        first = rng.randrange(1000)
        rows.append((rng.choice(hosts), rng.choice(hosts), first, first + rng.randrange(60)))
    table = bind(rollup_of(rows), interval_table(intervals)).to_pylist()
    assert len(table) == len(rows)
    states = set()
    for row, (client, server, first, last) in zip(table, rows):
        for end, host in (("client", client), ("server", server)):
            holders = [
                each for each in intervals if each.address == host and each.from_us <= last and each.to_us > first
            ]
            devices = {each.device for each in holders}
            state = "unknown" if not devices else "ambiguous" if len(devices) > 1 else "bound"
            if state == "bound" and all(each.source.startswith("assumed") for each in holders):
                state = "assumed"
            assert row[f"{end}_device"] == (devices.pop() if len(devices) == 1 else "")
            assert row[f"{end}_binding"] == state
            states.add(state)
    assert states == {"unknown", "ambiguous", "bound", "assumed"}


def test_an_address_that_changes_hands_within_a_day_is_split_by_connection(tmp_path: Path) -> None:
    frames = packets.session(DAY + 3600, "192.0.2.10", 40000, "192.0.2.20", 502) + packets.session(
        DAY + 7200, "192.0.2.10", 40001, "192.0.2.20", 502
    )
    frames += packets.session(DAY + 7300, "192.0.2.10", 40002, "192.0.2.20", 502) + packets.session(
        DAY + 7400, "192.0.2.99", 40002, "192.0.2.20", 502
    )
    ingest([packets.write(tmp_path / "a.pcap", frames)], tmp_path)
    changed = (DAY + 5400) * 1_000_000
    observations = [
        Observation(PUMP, {}, (AddressClaim("192.0.2.10", DAY * 1_000_000, changed - 1),), "dhcp", changed, 0.9),
        Observation(OTHER, {}, (AddressClaim("192.0.2.10", changed, changed + 10**10),), "dhcp", changed, 0.9),
        Observation(SERVER, {}, ("192.0.2.20",), "arp", (DAY + 80_000) * 1_000_000, 0.9),
    ]
    storage.write(merge(observations), tmp_path)
    rows = bound_rollup(tmp_path).to_pylist()
    found = {(row["client_device"], row["client_binding"]): row["flows"] for row in rows}
    assert found == {(PUMP, "bound"): 1, (OTHER, "bound"): 2, ("", "unknown"): 1}
    assert {(row["server_device"], row["server_binding"]) for row in rows} == {(SERVER, "assumed")}
    assert sum(row["packets"] for row in rows) == len(frames)


def test_a_window_sums_days(tmp_path: Path) -> None:
    frames = [
        each for n in range(3) for each in packets.session(DAY + n * 86_400, "192.0.2.10", 40000 + n, "192.0.2.20", 502)
    ]
    ingest([packets.write(tmp_path / "a.pcap", frames)], tmp_path)
    rows = window.history(tmp_path)
    assert [(row["days"], row["flows"], row["minimum_client_port"], row["maximum_client_port"]) for row in rows] == [
        (3, 3, 40000, 40002)
    ]
    assert window.history(tmp_path, since="2026-11-25")[0]["days"] == 1
    assert window.history(tmp_path, until="2026-11-23") == []


def test_who_held_an_address_by_time_is_what_looking_at_each_interval_gives() -> None:
    """The short way to edges: touching and parted intervals, some of no length, some that overlap, which are left to the joins."""
    rng = random.Random(12)
    first, last = 0, 1000
    intervals = []
    clash = set()
    for number in range(60):
        spans, moment = [], rng.choice((-50, 0, 100))
        while moment < last and len(spans) < 6:
            until = moment + rng.choice((0, 1, 50, 200, 2000))
            spans.append((moment, until, f"d{rng.randrange(5)}"))
            moment = until + rng.choice((0, 0, 30))
        if number % 10 == 0:
            spans.append((10, 900, "d9"))
            clash.add(number)
        intervals += [(number, *span) for span in spans]
    rng.shuffle(intervals)
    columns = dict(
        zip(("address_lo", "from_us", "to_us", "device"), map(list, zip(*intervals, strict=True)), strict=True)
    )
    columns["address_lo"] = [V4_LO + each for each in columns["address_lo"]]
    table = pa.table({"address_hi": [V4_HI] * len(intervals), **columns, "source": ["dhcp"] * len(intervals)})
    members = pa.table({"device": [f"d{each}" for each in range(10)], "segment": [f"s{each}" for each in range(10)]})
    networks = pa.table({
        name: pa.array([], pa.string() if name == "segment" else pa.int64())
        for name in ("first_hi", "first_lo", "last_hi", "last_lo", "segment")
    })  # fmt: skip
    settled = Settled(table, members, networks, first, last)
    asked = np.array([rng.randrange(70) for _row in range(3000)])
    since = np.array([rng.randrange(first, last) for _row in range(3000)])
    until = np.minimum(since + np.array([rng.choice((0, 1, 20, 300)) for _row in range(3000)]), last)
    codes = settled.codes(np.full(3000, V4_HI), asked + V4_LO, since, until)
    counts: Counter[bool] = Counter()
    for place, begun, ended, code in zip(asked.tolist(), since.tolist(), until.tolist(), codes.tolist(), strict=True):
        met = [each for each in intervals if each[0] == place and each[1] <= ended and each[2] > begun]
        whole = [each for each in met if each[1] <= begun and each[2] > ended]
        if code >= 0:
            expected = ("", "unknown") if not met else (f"s{whole[0][3][1:]}", "bound")
            assert settled.kinds[code] == expected and len(met) == len(whole) <= 1
        else:
            assert place in clash or (met and met != whole)
        counts[code >= 0] += 1
    assert counts[True] > 1500 and counts[False] > 200
