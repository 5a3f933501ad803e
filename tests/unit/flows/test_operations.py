"""The operations against plain Python over the same rows, and their answers from one engine to the next."""

from __future__ import annotations

import random
from collections import defaultdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import day_rows, rollup, store
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.footers import read_footer
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.operations import edges
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.operations.engine import engine_of, row_hash
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.operations.gate import FlowGate
from tests.bench import flow_data
from tests.unit.flows import operations
from tests.unit.flows.scan_reference import Opened, find_scans

SLACK = 300_000_000
DAY = 86_400_000_000
CONVERSATION = ("client_hi", "client_lo", "server_hi", "server_lo", "protocol", "server_port", "class")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[flow_data.Site, Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("store")
    site = operations.made(folder)
    return site, folder, dict(operations.answers(site, folder, "duckdb"))


def seen_once(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows that count, by looking at each pair of views of a 5-tuple."""
    views: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        ends = sorted(
            [
                (row["client_hi"], row["client_lo"], row["client_port"]),
                (row["server_hi"], row["server_lo"], row["server_port"]),
            ]
        )
        views[row["protocol"], ends[0], ends[1]].append(row)
    kept = []
    for group in views.values():
        for row in group:
            near = [
                o
                for o in group
                if o["exporter"] != row["exporter"]
                and o["start_us"] <= row["end_us"] + SLACK
                and row["start_us"] <= o["end_us"] + SLACK
            ]
            own = row["packets_out"] + row["packets_in"], row["exporter"]
            if all((o["packets_out"] + o["packets_in"], o["exporter"]) <= own for o in near):
                kept.append({**row, "answered": row["answered"] or any(o["answered"] for o in near)})
    return kept


@pytest.mark.one_python
def test_the_rollup_is_what_pairwise_comparison_gives(built: Any) -> None:
    _site, folder, _answers = built
    daily = store.rollup(folder).to_pylist()
    expected: dict[Any, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    total = 0
    for day in store.connection_files(folder):
        since = store.day_number(day) * 86_400_000_000
        # What ran over midnight counts on both days; its packets on the first.
        rows = store.connections(folder, None, since + 86_400_000_000).to_pylist()
        for row in seen_once([r for r in rows if r["end_us"] >= since]):
            sums = expected[(day, *(row[name] for name in CONVERSATION))]
            sums[0] += 1
            sums[1] += row["answered"]
            if row["start_us"] >= since:
                sums[2] += row["packets_out"] + row["packets_in"]
                sums[3] += row["bytes_out"] + row["bytes_in"]
            total += 1
    got = {
        (row["day"], *(row[name] for name in CONVERSATION)): [
            row["flows"],
            row["answered_flows"],
            row["packets"],
            row["bytes"],
        ]
        for row in daily
    }
    assert got == dict(expected)
    assert total > 20_000


def test_the_short_way_to_the_rollup_and_the_common_dialect_agree(built: Any) -> None:
    _site, folder, answers = built
    for number in (0, operations.SMALL.days // 2):
        day = list(store.connection_files(folder))[number]
        columns = list(answers[f"daily {number}"].column_names)
        short = store.rollup(folder, day).to_pylist()
        short = [{name: row[name] for name in columns} for row in short if row["day"] == day]
        assert answers[f"daily {number}"].to_pylist() == short


def test_days_too_large_to_hold_are_counted_the_same(
    built: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _site, folder, _answers = built
    day = list(store.connection_files(folder))[1]
    near = [read_footer(path) for group in store.connection_files(folder).values() for path in group]
    made = []
    for most in (day_rows.MOST_ROWS, -1):
        monkeypatch.setattr(day_rows, "MOST_ROWS", most)
        with store.connect() as connection:
            assert rollup.build_day(lambda: connection, near, day, tmp_path / f"{most}" / "rollup.parquet") > 100
        made.append([(tmp_path / f"{most}" / f"{kind}.parquet").read_bytes() for kind in ("rollup", "observers")])
    assert made[0] == made[1]


def test_binding_and_the_rules_are_what_looking_at_each_row_gives(built: Any) -> None:
    site, folder, answers = built
    holders: dict[Any, list[Any]] = defaultdict(list)
    for each in site.intervals().to_pylist():
        holders[each["address_hi"], each["address_lo"]].append(each)
    segment = {row["device"]: row["segment"] for row in site.members().to_pylist()}
    network = site.networks().to_pylist()[0]
    rules = defaultdict(list)
    for rule in site.rule_table().to_pylist():
        rules[rule["client_segment"], rule["server_segment"], rule["protocol"]].append(rule)

    def side(row: dict[str, Any], end: str) -> tuple[str, str, str]:
        high, low = row[f"{end}_hi"], row[f"{end}_lo"]
        devices = {
            h["device"] for h in holders[high, low] if h["from_us"] <= row["last_us"] and h["to_us"] > row["first_us"]
        }
        outside = network["segment"] if network["first_lo"] <= low <= network["last_lo"] else ""
        if not devices:
            return "", "unknown", outside
        if len(devices) > 1:
            return "", "ambiguous", outside
        device = devices.pop()
        return device, "bound", segment[device]

    pieces: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for row in store.connections(folder).to_pylist():
        key = row["start_us"] // 86_400_000_000, *(row[name] for name in CONVERSATION)
        pieces[key].append({**row, "first_us": row["start_us"], "last_us": row["end_us"], "flows": 1})

    def split(row: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the connections of the exporter with most packets."""
        exporters: dict[str, int] = defaultdict(int)
        mine = pieces[row["first_us"] // 86_400_000_000, *(row[name] for name in CONVERSATION)]
        for each in mine:
            exporters[each["exporter"]] += each["packets_out"] + each["packets_in"]
        best = min(exporters, key=lambda name: (-exporters[name], name))
        return [{**each, "day": row["day"]} for each in mine if each["exporter"] == best]

    states: dict[Any, int] = defaultdict(int)
    missed: dict[Any, int] = defaultdict(int)
    needed = set()
    handed_over = 0
    for whole in store.rollup(folder).to_pylist():
        doubtful = "ambiguous" in (side(whole, "client")[1], side(whole, "server")[1])
        handed_over += doubtful
        for row in split(whole) if doubtful else [whole]:
            client, server = side(row, "client"), side(row, "server")
            states[row["day"], client[1], server[1]] += row["flows"]
            hits = [
                rule["rule"]
                for rule in rules[client[2], server[2], row["protocol"]]
                if rule["first_port"] <= row["server_port"] <= rule["last_port"]
            ]
            needed.update(hits)
            if not hits:
                missed[client[2], server[2], row["protocol"], row["server_port"], client[1], server[1]] += row["flows"]
    assert handed_over > 10
    assert {tuple(list(row.values())[:3]): row["flows"] for row in answers["bindings"].to_pylist()} == dict(states)
    assert {tuple(list(row.values())[:6]): row["flows"] for row in answers["unmatched"].to_pylist()} == dict(missed)
    assert {"unknown", "bound"} <= {state for _day, *pair in states for state in pair}
    every = {rule["rule"] for rule in site.rule_table().to_pylist()}
    assert {row["rule"] for row in answers["unused"].to_pylist()} == every - needed


def test_the_short_way_to_edges_and_the_joins_agree(built: Any) -> None:
    site, folder, _answers = built
    intervals, networks, rules = site.intervals(), site.networks(), site.rule_table()
    members = pa.concat_tables([site.members(), pa.table({"device": [flow_data.name_of(1)], "segment": ["twice"]})])
    for since, until in (
        (None, None),
        (flow_data.FIRST_DAY + timedelta(days=2), flow_data.FIRST_DAY + timedelta(days=4)),
    ):
        made = []
        for short in (True, False):
            with FlowGate(folder, since, until) as gate:
                gate.bind(intervals, members, networks)
                if not short:
                    gate.daily()
                made.append(
                    [
                        gate.unmatched(rules).to_pylist(),
                        row_hash(gate.unused(rules)),
                        gate.engine.rows(
                            "SELECT sum(flows)::BIGINT AS flows, count(*) AS n FROM edges",
                            {"flows": "int64", "n": "int64"},
                        ).to_pylist(),
                    ]
                )
                assert ("bound" in gate._ready) != short
        assert made[0] == made[1]
        assert made[0][2][0]["n"] > 100


def test_edges_of_both_ways_are_added_up() -> None:
    kinds = [("b", "bound"), ("a", "unknown")]
    codes = ((0, 1, 6, 22), (1, 1, 17, 65_535))
    sums = {
        "key": np.array([((c * 2 + s) << 8 | protocol) << 16 | port for c, s, protocol, port in codes]),
        **{name: np.array([5, 7]) for name in edges.COUNTED},
    }

    def others(*rows: tuple[Any, ...]) -> Any:
        names = edges.KEY.split(", ")
        values = [[*row, *[3] * len(edges.COUNTED)] for row in rows]
        columns = (*names, *edges.COUNTED)
        return pa.table({name: [row[place] for row in values] for place, name in enumerate(columns)})

    same, new = ("b", "a", 6, 22, "bound", "unknown"), ("0", "a", 255, 0, "ambiguous", "unknown")
    made = edges.added(sums, kinds, others(same, new)).to_pylist()
    assert [tuple(row.values()) for row in made] == [
        (*new, 3, 3, 3, 3),
        ("a", "a", 17, 65_535, "unknown", "unknown", 7, 7, 7, 7),
        (*same, 8, 8, 8, 5),
    ]
    for strange in (("b", "a", 256, 22, "bound", "bound"), ("b", "a", 6, -1, "bound", "bound")):
        assert edges.added(sums, kinds, others(same, strange)) is None


def test_names_hold_for_their_time_and_servers_are_counted(built: Any) -> None:
    site, folder, answers = built
    names = operations.names_of(site).to_pylist()
    flows: dict[Any, int] = defaultdict(int)
    clients: dict[Any, set[Any]] = defaultdict(set)
    for row in store.rollup(folder).to_pylist():
        clients[row["server_hi"], row["server_lo"], row["protocol"], row["server_port"]].add(
            (row["client_hi"], row["client_lo"])
        )
        for each in names:
            if (
                each["address_lo"] == row["server_lo"]
                and each["from_us"] <= row["last_us"]
                and each["to_us"] > row["first_us"]
            ):
                flows[row["client_hi"], row["client_lo"], each["name"], row["protocol"], row["server_port"]] += row[
                    "flows"
                ]
    assert {tuple(list(row.values())[:5]): row["flows"] for row in answers["named"].to_pylist()} == dict(flows)
    assert flows
    assert {tuple(list(row.values())[:4]): row["clients"] for row in answers["degrees"].to_pylist()} == {
        key: len(each) for key, each in clients.items()
    }


def test_drift_is_what_was_not_seen_before(built: Any) -> None:
    _site, folder, answers = built
    days = list(store.connection_files(folder))
    boundary = store.day_number(days[-2]) * 86_400_000_000
    before, after = set(), set()
    for row in store.rollup(folder).to_pylist():
        (before if row["first_us"] < boundary else after).add(tuple(row[name] for name in CONVERSATION))
    assert {tuple(row[name] for name in CONVERSATION) for row in answers["appeared"].to_pylist()} == after - before


def test_scans_are_those_that_learning_finds(tmp_path: Path) -> None:
    shape = flow_data.Shape(
        records=600, days=1, devices=200, groups=4, edges=100, outside=8, rules_per_group=4, monthly=2, twice=0
    )
    site = flow_data.Site(shape)
    table = site.connections(0).to_pylist()
    base = table[0]
    for number in range(30):  # wide
        table.append(
            {**base, "client_lo": base["client_lo"] + 900, "server_lo": base["server_lo"] + number, "answered": False}
        )
    for number in range(18):  # deep, one port answered and with data
        table.append(
            {
                **base,
                "client_lo": base["client_lo"] + 901,
                "server_port": 1000 + number,
                "answered": number == 3,
                "packets_in": 1,
            }
        )
    for number in range(40):  # wide and answered with data: a busy poller
        table.append(
            {**base, "client_lo": base["client_lo"] + 902, "server_lo": base["server_lo"] + number, "bytes_in": 10_000}
        )
    rows = pa.Table.from_pylist(table, schema=site.connections(0).schema)
    source = flow_data.source_of(0)
    flow_data.write_store(site, tmp_path)
    store.write_table(
        rows, store.day_folder(tmp_path, "connections", flow_data.FIRST_DAY) / f"{source}.parquet", "connections"
    )
    with FlowGate(tmp_path) as gate:
        found = {
            (row["client_hi"], row["client_lo"], row["since_us"]): row["pairs"] for row in gate.scans().to_pylist()
        }
    opened = [
        Opened(
            row["start_us"], (row["client_hi"], row["client_lo"]), (row["server_hi"], row["server_lo"]), row["protocol"],
            row["server_port"], row["answered"], row["packets_out"] + row["packets_in"], row["bytes_out"] + row["bytes_in"],
        )
        for row in table
    ]  # fmt: skip
    expected = {(*scan.client, scan.start_us): scan.pairs for scan in find_scans(opened).scans}
    assert found == expected
    assert len(found) == 2


def test_an_empty_store_answers_with_no_rows(tmp_path: Path) -> None:
    with FlowGate(tmp_path) as gate:
        for name in operations.NAMES:
            assert getattr(gate, name)().num_rows == 0


def test_files_of_a_newer_format_and_damaged_ones_are_refused_by_name(tmp_path: Path) -> None:
    operations.made(
        tmp_path, flow_data.Shape(records=300, days=1, devices=40, groups=2, edges=40, outside=4, rules_per_group=4)
    )
    path = store.rollup_files(tmp_path)[0]
    table = pq.read_table(path, partitioning=None)
    pq.write_table(table.replace_schema_metadata({"kind": "rollup", "schema_version": "2.0"}), path)
    with FlowGate(tmp_path) as gate, pytest.raises(FindingError, match="SW1421"):
        gate.conversations()
    path.write_bytes(path.read_bytes()[:-20])
    with FlowGate(tmp_path) as gate, pytest.raises(FindingError, match="SW1422"):
        gate.conversations()


def test_hashes_tell_rows_and_not_their_order() -> None:
    one = pa.table({"a": [1, 2, None], "b": ["x", None, "z"]})
    assert row_hash(one) == row_hash(pa.concat_tables([one.slice(2), one.slice(0, 2)]))
    assert row_hash(one) != row_hash(pa.table({"a": [1, 2, 0], "b": ["x", None, "z"]}))


def test_an_engine_that_is_not_there_names_itself() -> None:
    with pytest.raises(FindingError, match="SW1491"):
        engine_of("sparkle")
    if not engine_has_spark():
        with pytest.raises(FindingError, match=r"'(ibis-framework|pyspark)' is needed"):
            engine_of("spark-local")


def engine_has_spark() -> bool:
    from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.operations import spark

    return bool(spark.ibis) and bool(spark.pyspark_sql)


def test_talks_are_what_a_walk_over_the_connections_gives(built: tuple[flow_data.Site, Path, dict[str, Any]]) -> None:
    site, folder, answered = built
    moment = operations.middle_of(site)
    devices = {(row["hi"], row["lo"]): row["device"] for row in operations.watched_of(site).to_pylist()}
    rows = pq.ParquetDataset(folder / "flows" / "connections").read().to_pylist()
    until: dict[str, int] = {}
    views: dict[tuple[Any, ...], dict[str, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        until[row["exporter"]] = max(until.get(row["exporter"], 0), row["end_us"])
        key = tuple(row[name] for name in CONVERSATION[:-1])
        for end in ("client", "server"):
            device = devices.get((row[f"{end}_hi"], row[f"{end}_lo"]))
            if device is not None and row["class"] in ("unicast", "peer"):
                views[device, *key][row["exporter"]].append(row)
                views[device, 0, 0, 0, 0, 0, -1][row["exporter"]].append(row)
    expected = {}
    for key, by_exporter in views.items():
        counts = {
            name: (-sum(r["start_us"] < moment for r in found), -len(found), name)
            for name, found in by_exporter.items()
        }
        exporter = min(counts, key=lambda name: counts[name])
        found = sorted(by_exporter[exporter], key=lambda row: (row["start_us"], row["end_us"]))
        before = [row for row in found if row["start_us"] < moment]
        since = [row for row in found if row["start_us"] >= moment]
        pause, end = 0, None
        for row in before:
            pause = pause if end is None else max(pause, row["start_us"] - end)
            end = row["end_us"] if end is None else max(end, row["end_us"])
        expected[key] = (
            exporter, len(before), sum(row["answered"] for row in before), len({row["start_us"] // DAY for row in before}), pause,
            len(since), sum(not row["answered"] for row in since), min(row["start_us"] for row in found),
            max(row["end_us"] for row in found), until[exporter],
        )  # fmt: skip
    names = (
        "exporter",
        "seen",
        "answered",
        "days",
        "longest_pause_us",
        "flows",
        "unanswered",
        "first_us",
        "last_us",
        "watched_until_us",
    )
    got = {
        (row["device"], *(row[name] for name in CONVERSATION[:-1])): tuple(row[name] for name in names)
        for row in answered["talks"].to_pylist()
    }
    assert got == expected and len(got) > 50
    assert all(0 <= row["recent_unanswered"] <= min(5, row["unanswered"]) for row in answered["talks"].to_pylist())


def test_activity_names_each_minute_in_which_an_exporter_saw_anything(
    built: tuple[flow_data.Site, Path, dict[str, Any]],
) -> None:
    _site, folder, answered = built
    rows = pq.ParquetDataset(folder / "flows" / "connections").read(["exporter", "start_us"]).to_pylist()
    speaker = flow_data.EXPORTERS[0]
    expected = sorted({row["start_us"] // 60_000_000 for row in rows if row["exporter"] == speaker})
    assert [tuple(row.values()) for row in answered["activity"].to_pylist()] == [(speaker, each) for each in expected]
    assert len(expected) > 100


def test_edges_without_a_rule_are_those_that_looking_at_each_pair_gives() -> None:
    """Rules that overlap, hold one another, end beside a port, are of segments nobody has, or reach past the last port."""
    rng = random.Random(8)
    texts = {"segment": ["", "a", "b", "é"], "binding": ["ambiguous", "assumed", "bound", "unknown"]}
    for _turn in range(20):
        keys = sorted(
            {
                (rng.choice(texts["segment"]), rng.choice(texts["segment"]), rng.choice((6, 17)), rng.choice((0, 5, 6, 7, 65_535)),
                 rng.choice(texts["binding"]), rng.choice(texts["binding"]))
                for _row in range(60)
            }
        )  # fmt: skip
        rng.shuffle(keys)
        names = edges.KEY.split(", ")
        columns: dict[str, Any] = {name: [key[place] for key in keys] for place, name in enumerate(names)}
        columns |= {
            name: pa.array(columns[name]).dictionary_encode() for name in names if name.endswith(("segment", "binding"))
        }
        table = pa.table({**columns, **{name: list(range(len(keys))) for name in edges.COUNTED}})
        rules = [
            {"rule": number, "client_segment": rng.choice(["a", "b", "é", "nobody"]), "server_segment": rng.choice(["", "a", "b"]),
             "protocol": rng.choice((6, 17, 300)), "first_port": (first := rng.choice((-1, 0, 5, 6, 8))),
             "last_port": first + rng.choice((-1, 0, 1, 70_000))}
            for number in range(24)
        ]  # fmt: skip
        expected = sorted(
            key
            for key in keys
            if not any(
                (rule["client_segment"], rule["server_segment"], rule["protocol"]) == key[:3]
                and rule["first_port"] <= key[3] <= rule["last_port"]
                for rule in rules
            )
        )
        found = edges.unmatched(table, pa.Table.from_pylist(rules)).to_pylist()
        assert [tuple(row.values())[:6] for row in found] == expected
        assert all(keys[row["flows"]] == tuple(row.values())[:6] for row in found)
        assert 0 < len(found) < len(keys)
    empty = pa.Table.from_pylist([], schema=pa.Table.from_pylist(rules).schema)
    assert edges.unmatched(table, empty).num_rows == len(keys)
