"""Classification of columns against the walk from the top and against labelled flows."""

from __future__ import annotations

import csv
import random
from pathlib import Path

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.classify import (
    Classifier,
    Classifiers,
    classify,
    protocol_column,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.masks import wildcard_set
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import (
    FIELDS,
    Box,
    Entry,
    FirstMatchList,
)
from tests.unit.packets.small import PACKETS, first_match, first_matches, passes, random_list, verdicts_of
from tests.unit.packets.test_anomalies import CASES, csv_entries

np = pytest.importorskip("numpy")


def halves(values: list[int], ipv6: list[bool]) -> tuple[object, object]:
    """Write addresses as the flow store does: IPv4 mapped, unsigned halves minus 2^63."""
    stored = [value if six else 0xFFFF << 32 | value for value, six in zip(values, ipv6)]
    high = np.array([(value >> 64) - (1 << 63) for value in stored], dtype=np.int64)
    low = np.array([(value & (1 << 64) - 1) - (1 << 63) for value in stored], dtype=np.int64)
    return high, low


@pytest.mark.one_python
@pytest.mark.parametrize("seed", range(8))
def test_every_packet_of_a_small_world(seed: int) -> None:
    choice = random.Random(seed)
    source = random_list(choice, 8)
    rows = [packet.values() for packet in PACKETS]
    columns = {
        name: np.array([row[i] for row in rows])
        for i, name in enumerate(FIELDS)
        if name not in ("source", "destination")
    }
    six = [row[0] > 255 for row in rows]
    for place, name in ((3, "destination"), (4, "source")):
        columns[f"{name}_hi"], columns[f"{name}_lo"] = halves([row[place] for row in rows], six)
    indices, permits, uncertain = classify(source, columns)
    assert not uncertain.any()
    assert indices.tolist() == first_matches(source)
    assert permits.tolist() == verdicts_of(source)
    plain = protocol_column(columns["protocol"] % 256, columns["source_hi"], columns["source_lo"])
    mapped = [row[0] if row[4] >> 32 != 0xFFFF else row[0] % 256 for row in rows]
    assert plain.tolist() == mapped


@pytest.mark.parametrize("seed", range(4))
def test_plain_ipv4_columns(seed: int) -> None:
    choice = random.Random(40 + seed)
    source = random_list(choice, 8)
    packets = [packet for packet in PACKETS if not packet.is_ipv6]
    columns = {name: np.array([packet.values()[i] for packet in packets]) for i, name in enumerate(FIELDS)}
    indices, permits, _uncertain = Classifier(source).classify(columns)
    assert indices.tolist() == [first_match(source, packet) for packet in packets]
    assert permits.dtype == bool
    assert permits.tolist() == [passes(source, packet) for packet in packets]


def world_columns() -> dict[str, object]:
    """Return all packets of the small world, addresses as the flow store has them."""
    rows = [packet.values() for packet in PACKETS]
    made: dict[str, object] = {
        name: np.array([row[i] for row in rows])
        for i, name in enumerate(FIELDS)
        if name not in ("source", "destination")
    }
    six = [row[0] > 255 for row in rows]
    for place, name in ((3, "destination"), (4, "source")):
        made[f"{name}_hi"], made[f"{name}_lo"] = halves([row[place] for row in rows], six)
    return made


@pytest.mark.one_python
@pytest.mark.parametrize("masked", [False, True])
def test_many_lists_judge_the_rows_that_name_them(masked: bool) -> None:
    choice = random.Random(70 + masked)
    sources = [random_list(choice, choice.randint(0, 6)) for _ in range(6)]
    if masked:  # sets with masks have no classes: then the lists are judged by the addresses themselves
        odd = Box(source=wildcard_set(10, 0xAAAAAAAA), destination=wildcard_set(100, 0xF0F0))
        assert odd.source.masked
        sources[3] = FirstMatchList((Entry(True, (odd,)), *sources[3].entries), False)
    which = np.array([choice.randrange(6) for _packet in PACKETS])
    lists = Classifiers(sources)
    columns = lists.prepared(world_columns())
    indices, permits, uncertain = lists.classify(which, columns)
    walked, judged = [first_matches(each) for each in sources], [verdicts_of(each) for each in sources]
    assert indices.tolist() == [walked[n][row] for row, n in enumerate(which)]
    assert permits.tolist() == [judged[n][row] for row, n in enumerate(which)]
    assert not uncertain.any()
    some = np.flatnonzero(which == 2)
    part = lists.classify(which[some], {name: values[some] for name, values in columns.items()})
    assert part.entries.tolist() == indices[some].tolist()
    plain = {name: np.array([packet.values()[i] for packet in PACKETS[:9]]) for i, name in enumerate(FIELDS)}
    assert lists.classify(which[:9], lists.prepared(plain)).entries.tolist() == indices[:9].tolist()


def test_rows_that_cannot_be_are_permitted_by_no_list() -> None:
    lists = Classifiers([FirstMatchList((), True)])
    columns = {
        name: np.array([value]) for name, value in (("protocol", 17), ("detail", 9), ("source", 1), ("destination", 2))
    }
    indices, permits, _uncertain = lists.classify(np.array([0]), lists.prepared(columns))
    assert (indices.tolist(), permits.tolist()) == ([-1], [False])
    conditional = FirstMatchList((Entry(True, (Box(),), condition="time-range WORK"),), False)
    for bad in (lambda: lists.prepared({"protocol": np.array([6])}), lambda: Classifiers([conditional])):
        with pytest.raises(FindingError) as caught:
            bad()
        assert caught.value.findings[0].code == "SW1103"


def test_impossible_rows_are_never_permitted() -> None:
    columns = {
        "protocol": np.array([17]),
        "detail": np.array([9]),
        "source": np.array([1]),
        "destination": np.array([2]),
    }
    indices, permits, _uncertain = classify(FirstMatchList((), True), columns)
    assert (indices.tolist(), permits.tolist()) == ([-1], [False])


def test_no_rows() -> None:
    empty = np.array([], dtype=np.int64)
    indices, permits, _uncertain = classify(
        FirstMatchList(()), {"protocol": empty, "source": empty, "destination": empty}
    )
    assert (len(indices), len(permits)) == (0, 0)


@pytest.mark.parametrize(
    "columns",
    [{"protocol": [6]}, {"protocol": [6], "source": [1, 2], "destination": [1]}, {"source": [1], "destination": [2]}],
)
def test_incomplete_columns_are_refused(columns: dict[str, list[int]]) -> None:
    with pytest.raises(FindingError, match="SW1103"):
        classify(FirstMatchList(()), {name: np.array(values) for name, values in columns.items()})


@pytest.mark.parametrize(
    ("name", "value"),
    [("protocol", 512), ("protocol", -1), ("destination_port", 65536), ("source_port", -1), ("detail", 65536), ("source", 1 << 32)],
)  # fmt: skip
def test_values_that_no_packet_can_have_are_refused(name: str, value: int) -> None:
    """Such a value would be looked up in the table of the next node and get its verdict."""
    columns = {"protocol": [6, 6], "source": [1, 1], "destination": [2, 2], name: [0, value]}
    with pytest.raises(FindingError, match=f"SW1103.*{name}"):
        classify(FirstMatchList(()), {key: np.array(values) for key, values in columns.items()})


@pytest.mark.one_python
@pytest.mark.corpora
@pytest.mark.parametrize("case", CASES)
def test_labelled_flows(corpora: Path, case: str) -> None:
    folder = corpora / "policy-corpora" / "synthetic-oracle" / case
    if not folder.is_dir():
        pytest.skip(f"no corpus {case}")
    source = FirstMatchList(tuple(csv_entries(folder / "rules.csv")))
    with (folder / "flows.csv").open(encoding="utf-8") as stream:
        rows = [{name: int(value or -1) for name, value in row.items()} for row in csv.DictReader(stream)]
    rows = [row for row in rows if row["proto"] in (6, 17)]
    assert len(rows) > 1000
    columns = {name: np.array([row[short] for row in rows]) for name, short in (
        ("protocol", "proto"), ("source", "src"), ("destination", "dst"), ("source_port", "sport"), ("destination_port", "dport"),
    )}  # fmt: skip
    columns["detail"] = np.array([(16 if row["est"] else 2) if row["proto"] == 6 else 0 for row in rows])
    indices, permits, _uncertain = classify(source, columns)
    assert indices.tolist() == [row["first_match_rule"] for row in rows]
    assert permits.tolist() == [bool(row["permit"]) for row in rows]
