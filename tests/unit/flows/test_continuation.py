"""Conversations that the ends of files cut: in separate imports, in any order, the store says what one import of all says."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import address, inputs, store
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.ingest import count_source, ingest
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.records import Quality, record_table
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.reorientation import rebuild
from tests.unit.flows import packets
from tests.unit.flows.test_ingest import KILLED
from tests.unit.flows.test_order import Frames, answers, captures

DAY = 1_795_392_000
Record = dict[str, Any]


@dataclass
class Told:
    """A source of given records."""

    records: Sequence[Record]
    name: str
    findings: list[Any] = field(default_factory=list)
    quality: Quality = field(default_factory=Quality)

    def tables(self) -> Iterator[Any]:
        self.quality.records = len(self.records)
        columns = {name: [each[name] for each in self.records] for name in self.records[0]}
        yield record_table(len(self.records), {**columns, "source": self.name})


def count(data_dir: Path, records: Sequence[Record], number: int) -> None:
    """Import records as an input of their own."""
    digest = f"{number:064x}"[::-1]
    made = inputs.Input(Path(f"part-{number}"), digest, 1, "told")
    count_source(data_dir, made, Told(records, made.source))


def exported(seed: int) -> list[Record]:
    """Return what two exporters with half an hour's timeout say of three days: times in milliseconds, flags OR-ed or none."""
    rng = random.Random(seed)
    made: list[Record] = []
    for number in range(90):
        ends = (
            address.columns_of(f"192.0.2.{rng.randrange(1, 30)}"),
            address.columns_of(f"198.51.100.{rng.randrange(1, 6)}"),
        )
        protocol = rng.choice((6, 6, 17))
        low, high = rng.choice(((502, 1026), (443, 50_000), (20_000, 1_030), (7_777, 8_888), (47_808, 47_808)))
        ports = (high + (number % 7 if high != low else 0), low)
        begin = (DAY + rng.random() * 200_000) * 1_000_000
        length = rng.choice((1, 60, 3_000, 20_000)) * 1_000_000
        flagged, exporter = rng.random() < 0.5, f"e{rng.randrange(2)}"
        sides = rng.choice(((0, 1), (0, 1), (0,), (1,)))
        for side in sides:
            start = int(begin + side * rng.choice((0, 2_000, 90_000))) // 1_000 * 1_000
            stop = start + int(length)
            while start <= stop:
                end = min(stop, start + int(rng.choice((1_700, 1_790)) * 1_000_000))
                made.append({
                    "start_us": start, "end_us": end, "source_hi": ends[side][0], "source_lo": ends[side][1],
                    "target_hi": ends[1 - side][0], "target_lo": ends[1 - side][1], "protocol": protocol, "source_port": ports[side],
                    "target_port": ports[1 - side], "packets": rng.randrange(1, 9), "bytes": rng.randrange(40, 900),
                    "flags": rng.choice((2, 18, 16, 24, 4)) if flagged and protocol == 6 else 0, "pure_syn": False, "syn_ack": False,
                    "step_us": 1_000, "origin": 1, "exporter": exporter,
                })  # fmt: skip
                made[-1]["pure_syn"] = made[-1]["flags"] == 2
                start = end + rng.choice((1_000, 40_000_000))
    return made


@pytest.mark.one_python
@pytest.mark.parametrize("seed", [1])
def test_records_cut_at_moments_or_dealt_out_to_files_in_any_order(tmp_path: Path, full: bool, seed: int) -> None:
    for turn in range(12 if full else 1):
        records = exported(100 * seed + turn)
        rng = random.Random(turn)
        whole = tmp_path / f"whole-{turn}"
        count(whole, records, 0)
        rebuild(whole)
        expected = answers(whole)
        by_end = sorted(records, key=lambda each: each["end_us"])
        edges = sorted(rng.sample(range(1, len(by_end)), 5 if full else 2))
        cut = [by_end[low:high] for low, high in zip([0, *edges], [*edges, len(by_end)], strict=True)]
        dealt: list[list[Record]] = [[] for _file in range(3 if full else 2)]
        for each in records:
            rng.choice(dealt).append(each)
        for name, parts in (("cut", cut), ("dealt", dealt)):
            data_dir = tmp_path / f"{name}-{turn}"
            numbered = list(enumerate(parts, 1))
            rng.shuffle(numbered)
            for number, part in numbered:
                count(data_dir, part, number)
            rebuild(data_dir)
            assert answers(data_dir) == expected, (name, turn)
            counted = store.read_inputs(data_dir)["inputs"]
            assert sum(each["connections"] for each in counted.values()) == store.connections(data_dir).num_rows
            assert rebuild(data_dir) == (0, [])


def test_what_a_part_seemed_to_prove_does_not_outlive_it(tmp_path: Path) -> None:
    """The first part has a SYN of one end only, the whole one of each; that the other end is no server shows elsewhere."""
    one, other, third = (address.columns_of(each) for each in ("192.0.2.7", "198.51.100.3", "198.51.100.4"))
    made = []
    for source, target, begin, flags in (
        (one, other, 0, 16),
        (other, one, 0, 2),
        (one, other, 60, 2),
        (one, third, 60, 2),
    ):
        made.append({
            **exported(1)[0], "protocol": 6, "flags": flags, "pure_syn": flags == 2, "source_port": 7_777, "target_port": 7_777,
            "start_us": (DAY + begin) * 1_000_000, "end_us": (DAY + begin + 40) * 1_000_000,
            "source_hi": source[0], "source_lo": source[1], "target_hi": target[0], "target_lo": target[1],
        })  # fmt: skip
    count(tmp_path / "whole", made, 0)
    for number, part in enumerate((made[:2], made[2:]), 1):
        count(tmp_path / "parts", part, number)
    told = []
    for name in ("whole", "parts"):
        rebuild(tmp_path / name)
        told.append(answers(tmp_path / name))
        assert sorted(row["method"] for row in store.rollup(tmp_path / name).to_pylist()) == [1, 8], name
    assert told[0] == told[1]


def spoken(seed: int) -> Frames:
    """Return packets of a day and a half: ports used again within the hour, handshakes half seen, pauses, peers, midnight."""
    rng = random.Random(seed)
    made: Frames = []
    for number in range(70):
        client, server = f"192.0.2.{rng.randrange(1, 20)}", f"198.51.100.{rng.randrange(1, 5)}"
        port, own = rng.choice((502, 443, 7777)), rng.choice((1_025, 40_000, 8_888)) + number
        moment = DAY + rng.random() * 110_000
        for again in range(rng.randrange(1, 4)):
            talk = packets.session(moment, client, own, server, port, 1_000 * number + again)
            talk = talk[rng.choice((0, 0, 1, 3)) :]
            pause = rng.choice((0.001, 30, 1_500, 3_000))
            made += [(moment + place * pause, frame) for place, (_time, frame) in enumerate(talk)]
            moment += len(talk) * pause + rng.choice((1, 600, 4_000))
    for number in range(20):
        moment = DAY + rng.random() * 110_000
        one, other = f"192.0.2.{rng.randrange(1, 20)}", f"192.0.2.{rng.randrange(60, 70)}"
        for place in range(rng.randrange(1, 6)):
            ends = (one, other) if rng.random() < 0.6 else (other, one)
            frame = packets.frame(packets.udp(ends[0], 47_808, ends[1], 47_808))
            made.append((moment + place * rng.choice((10, 200)) + number / 1_000, frame))
    return sorted(made)


@pytest.mark.parametrize("seed", [3])
def test_captures_cut_at_any_packet_in_any_order(tmp_path: Path, full: bool, seed: int) -> None:
    for turn in range(12 if full else 1):
        frames = spoken(1_000 * seed + turn)
        rng = random.Random(turn)
        ingest(captures(tmp_path, f"whole-{turn}", [frames]), tmp_path / f"whole-{turn}", exporter="tap")
        rebuild(tmp_path / f"whole-{turn}")
        expected = answers(tmp_path / f"whole-{turn}")
        edges = sorted(rng.sample(range(1, len(frames)), 6 if full else 3))
        parts = [frames[low:high] for low, high in zip([0, *edges], [*edges, len(frames)], strict=True)]
        files = captures(tmp_path, f"part-{turn}", parts)
        rng.shuffle(files)
        data_dir = tmp_path / f"parts-{turn}"
        for path in files:
            ingest([path], data_dir, exporter="tap")
        rebuild(data_dir)
        assert answers(data_dir) == expected, turn


@pytest.mark.one_python
def test_an_import_that_goes_on_with_another_is_whole_or_not_there_at_all(
    root: Path, tmp_path: Path, full: bool
) -> None:
    """Killed at each write, also between the new version of the other import's file and the record that it counts."""
    frames = packets.session(DAY, "192.0.2.10", 40_000, "192.0.2.20", 502)
    alone = packets.session(DAY + 9_000, "192.0.2.11", 40_001, "192.0.2.20", 502)
    first, second = captures(tmp_path, "part", [frames[:4] + alone, frames[4:]])
    environment = {**os.environ, "PYTHONPATH": f"{root / 'collections'}:{root}"}
    script = KILLED.replace(", sys.argv[2])", ", sys.argv[2], exporter='tap')")
    kills, states = 0, set()
    for number in range(1, 30, 1 if full else 2):
        data_dir = tmp_path / f"killed-{number}"
        ingest([first], data_dir, exporter="tap")
        command = [sys.executable, "-c", script, str(second), str(data_dir), str(number)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            break
        assert done.returncode == 9, done.stderr
        kills += 1
        told = [row["packets_out"] + row["packets_in"] for row in store.connections(data_dir).to_pylist()]
        assert sorted(told) in ([4, len(alone)], [len(frames), len(alone)])
        assert sum(store.rollup(data_dir).column("flows").to_pylist()) == 2
        states.add(len(frames) in told[:1])
        ingest([second], data_dir, exporter="tap")
        assert [row["packets"] for row in store.rollup(data_dir).to_pylist()] == [len(frames), len(alone)]
        left = [
            path.name for path in (data_dir / "flows").rglob("*.parquet") if path.parent.parent.name == "connections"
        ]
        assert len(left) == 1, "what the new version has taken the place of is gone"
    assert kills >= (4 if full else 2)
    assert states == {False, True} or not full


def test_a_capture_that_had_grown_when_it_was_read_again_is_no_continuation(tmp_path: Path) -> None:
    frames = packets.session(DAY, "192.0.2.10", 40_000, "192.0.2.20", 502)
    part, whole = captures(tmp_path, "grown", [frames[:4], frames])
    for name, order in (("on", (part, whole)), ("back", (whole, part))):
        for path in order:
            ingest([path], tmp_path / name, exporter="tap")
        row = store.rollup(tmp_path / name).to_pylist()[0]
        assert (row["flows"], row["packets"]) == (1, len(frames)), name
