"""Who an address was then: conversations are replayed at the address that their device has in the membership."""

from __future__ import annotations

import ipaddress
from datetime import date
from pathlib import Path

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.intervals import Interval, interval_table
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.compile import compile_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import store
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.operations.gate import FlowGate
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.schema import ROLLUP
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.history import (
    columns_of_table,
    joined,
    stored_halves,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.holders import Holders
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.replay import replay
from tests.unit.proof.small_sites import World

DAY_US = 86_400_000_000
FIRST = date(2026, 11, 1)
POINTS = {"dacl": ("dacl", {})}


def halves(text: str) -> tuple[int, int]:
    address = ipaddress.ip_address(text)
    return stored_halves(address.version, int(address))


def write_day(data: Path, day: int, rows: list[tuple[str, str, int]]) -> None:
    import pyarrow as pa

    start = store.day_number(FIRST) * DAY_US + day * DAY_US
    made = {name: [] for name in ROLLUP}
    for client, server, port in rows:
        values = dict.fromkeys(ROLLUP, 1) | {
            "day": store.day_number(FIRST) + day, "client_hi": halves(client)[0], "client_lo": halves(client)[1],
            "server_hi": halves(server)[0], "server_lo": halves(server)[1], "protocol": 6, "server_port": port, "class": "unicast",
            "flows": 4, "answered_flows": 4, "first_us": start + 1000, "last_us": start + 2000, "minimum_client_port": 50000,
            "maximum_client_port": 50000, "confidence": 0.9,
        }  # fmt: skip
        for name, value in values.items():
            made[name].append(value)
    table = pa.table({k: pa.array(v, pa.date32() if k == "day" else None) for k, v in made.items()})
    path = store.day_folder(data, "rollup", date.fromordinal(FIRST.toordinal() + day)) / "rollup.parquet"
    store.write_table(table, path, "rollup")


def test_a_device_that_moved_is_replayed_where_it_is_now(tmp_path: Path) -> None:
    """Monday .1 was the pump, now .5 is; a guest had .5 on Monday. Only the pump may open 443."""
    members = {"pumps": [("10.0.1.5", "", "")], "guests": [("10.0.1.9", "", "")], "servers": [("10.0.2.2", "", "")]}
    stages = {name: ("enforce", ["dacl"]) for name in members}
    site = World(members, [("r", "pumps", "servers", ["web"])], {}, stages, POINTS).site()
    pump, guest = site.members["pumps"][0].device, site.members["guests"][0].device
    start = store.day_number(FIRST) * DAY_US
    intervals = interval_table([
        Interval("10.0.1.1", start, start + DAY_US, pump, "dhcp", 1.0),
        Interval("10.0.1.5", start, start + DAY_US, guest, "dhcp", 1.0),
        Interval("10.0.1.5", start + DAY_US, start + 5 * DAY_US, pump, "dhcp", 1.0),
        Interval("10.0.1.9", start + DAY_US, start + 5 * DAY_US, guest, "dhcp", 1.0),
        Interval("10.0.1.7", start, start + DAY_US, "02:00:00:00:aa:aa", "dhcp", 1.0),
    ])  # fmt: skip
    monday = [("10.0.1.1", "10.0.2.2", 443), ("10.0.1.5", "10.0.2.2", 443), ("10.0.1.7", "10.0.2.2", 443)]
    write_day(tmp_path, 0, monday)
    write_day(tmp_path, 1, [("10.0.1.5", "10.0.2.2", 443), ("10.0.1.9", "10.0.2.2", 443)])
    holders = Holders.of(site)
    moved = holders.moved(intervals)
    assert sorted(zip(*moved.to_pydict().values(), strict=True)) == sorted([halves("10.0.1.1"), halves("10.0.1.5")])
    with FlowGate(tmp_path) as gate:
        steady, bound = gate.replayed(moved, intervals)
    columns = joined([columns_of_table(steady), holders.at_present(columns_of_table(bound), bound)])
    result = replay(site, compile_site(site).lists, columns)
    assert (result.recorded, result.permitted, result.legitimate, result.cut_total) == (5, 2, 2, 3)
    guest_now = ("guests0", int(ipaddress.ip_address("10.0.1.9")))
    assert [(item.client, item.conversation.client) for item in result.legitimate_cuts()] == [guest_now] * 2
    assert [item.client for item in result.cut if item.doubt == "unknown device"] == ["10.0.1.7"]
    static = replay(site, compile_site(site).lists, columns_of_table(FlowGate(tmp_path).replayed()[0]))
    assert (static.permitted, static.legitimate) == (
        1,
        1,
    )  # a map that knows no time takes two of them for another device's


@pytest.mark.parametrize("six", [(), (("2001:db8::1", "2001:db8::2", 22), ("10.0.1.1", "2001:db8::2", 80))])
def test_what_a_replay_reads_are_the_sums_of_each_conversation(
    six: tuple[tuple[str, str, int], ...], tmp_path: Path
) -> None:
    """Where all is IPv4 the upper halves of addresses are not grouped by; the answer is the same."""
    days = [
        [("10.0.1.1", "10.0.2.2", 443), ("10.0.1.1", "10.0.2.3", 443), *six],
        [("10.0.1.1", "10.0.2.2", 443), ("10.0.1.5", "10.0.2.2", 80)],
        [("10.0.1.1", "10.0.2.2", 443), *six[:1]],
    ]
    for number, rows in enumerate(days):
        write_day(tmp_path, number, rows)
    start = store.day_number(FIRST) * DAY_US
    wanted = {}
    for key in {key for rows in days for key in rows}:
        own = [number for number, rows in enumerate(days) if key in rows]
        first, last = start + own[0] * DAY_US + 1000, start + own[-1] * DAY_US + 2000
        wanted[(*halves(key[0]), *halves(key[1]), 6, key[2])] = (
            len(own),
            4 * len(own),
            4 * len(own),
            first,
            last,
            50000,
        )
    found = FlowGate(tmp_path).replayed()[0].to_pylist()
    key = ("client_hi", "client_lo", "server_hi", "server_lo", "protocol", "server_port")
    sums = ("days", "flows", "answered_flows", "first_us", "last_us", "minimum_client_port")
    assert {tuple(row[n] for n in key): tuple(row[n] for n in sums) for row in found} == wanted
    assert len(found) == len(wanted)


def test_an_address_of_the_membership_that_a_stranger_had_is_not_blamed_on_its_holder(tmp_path: Path) -> None:
    members = {"pumps": [("10.0.1.5", "", "")], "servers": [("10.0.2.2", "", "")]}
    stages = {name: ("enforce", ["dacl"]) for name in members}
    site = World(members, [], {}, stages, POINTS).site()
    start = store.day_number(FIRST) * DAY_US
    intervals = interval_table([Interval("10.0.1.5", start, start + DAY_US, "02:00:00:00:aa:aa", "dhcp", 1.0)])
    write_day(tmp_path, 0, [("10.0.1.5", "10.0.2.2", 443)])
    holders = Holders.of(site)
    with FlowGate(tmp_path) as gate:
        _steady, bound = gate.replayed(holders.moved(intervals), intervals)
    result = replay(site, compile_site(site).lists, holders.at_present(columns_of_table(bound), bound))
    assert (result.cut_total, result.not_covered, result.other_device) == (0, 1, 1)
