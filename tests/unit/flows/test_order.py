"""The same day again, in another order, or split into other files: what the store then answers, byte for byte."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import store
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.ingest import ingest
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.reorientation import rebuild
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.steps import flow_rows
from tests.unit.flows import packets

DAY = 1_795_392_000
Frames = list[tuple[float, bytes]]


def conversations(seed: int) -> list[Frames]:
    """Return conversations of a day: with and without their handshake, from low ports and high ones, peers, and slow ones."""
    rng = random.Random(seed)
    made: list[Frames] = []
    for number in range(240):
        client, server = f"192.0.2.{rng.randrange(1, 60)}", f"198.51.100.{rng.randrange(1, 9)}"
        port = rng.choice((502, 443, 4840, 20000, 7777, 33000))
        frames = packets.session(DAY + rng.random() * 80_000, client, rng.randrange(1025, 60_000), server, port, number)
        if rng.random() < 0.5:
            frames = frames[3:]
        pause = rng.choice((0, 30, 200))
        made.append([(moment + place * pause, frame) for place, (moment, frame) in enumerate(frames)])
    for number in range(40):
        moment = DAY + rng.random() * 80_000
        one, other = f"192.0.2.{rng.randrange(1, 60)}", f"192.0.2.{rng.randrange(60, 90)}"
        for port, answering in ((47808, 47808), (5000 + number, 6000 + number % 3)):
            there = packets.frame(packets.udp(one, port, other, answering))
            back = packets.frame(packets.udp(other, answering, one, port))
            made.append([(moment, there), (moment + 0.5, back)])
    return made


def captures(folder: Path, name: str, parts: Sequence[Frames]) -> list[Path]:
    return [packets.write(folder / f"{name}-{n}.pcap", sorted(part)) for n, part in enumerate(parts) if part]


def split_by_time(frames: Frames, count: int) -> list[Frames]:
    edges = [len(frames) * n // count for n in range(count + 1)]
    return [frames[first:last] for first, last in zip(edges, edges[1:], strict=False)]


def answers(data_dir: Path) -> bytes:
    """Return what is asked of a store, and its rollup files, as bytes."""
    asked = {order: flow_rows(data_dir, order=order) for order in ("time", "bytes", "flows", "last")}
    files = b"".join(path.read_bytes() for path in store.rollup_files(data_dir))
    return json.dumps(asked, sort_keys=True).encode() + files


@pytest.mark.one_python
@pytest.mark.parametrize("seed", [5, 6])
def test_in_one_import_neither_order_nor_files_matter(tmp_path: Path, seed: int) -> None:
    frames = sorted(frame for each in conversations(seed) for frame in each)
    ingest(captures(tmp_path, "whole", [frames]), tmp_path / "whole", exporter="tap")
    expected = answers(tmp_path / "whole")
    for count in (4, 7):
        parts = captures(tmp_path, f"part{count}", split_by_time(frames, count))
        for name, order in (("on", parts), ("back", parts[::-1])):
            data_dir = tmp_path / f"{name}-{count}"
            assert ingest(order, data_dir, exporter="tap").changed
            assert answers(data_dir) == expected
            again = ingest(order[::-1], data_dir, exporter="tap")
            assert not again.changed
            assert answers(data_dir) == expected


@pytest.mark.one_python
@pytest.mark.parametrize("seed", [5, 6])
def test_one_import_for_each_file_gives_the_same_once_the_store_is_oriented_anew(
    tmp_path: Path, full: bool, seed: int
) -> None:
    """Whole conversations dealt out to files; test_continuation.py has those that the ends of files cut."""
    talks = conversations(seed)
    ingest(
        captures(tmp_path, "whole", [[frame for each in talks for frame in each]]), tmp_path / "whole", exporter="tap"
    )
    rebuild(tmp_path / "whole")
    expected = answers(tmp_path / "whole")
    rng = random.Random(seed)
    for turn in range(3 if full else 1):
        parts: list[Frames] = [[] for _each in range(4)]
        for each in talks:
            parts[rng.randrange(4)] += each
        data_dir = tmp_path / f"turn-{turn}"
        for path in captures(tmp_path, f"turn{turn}", parts):
            ingest([path], data_dir, exporter="tap")
        rebuild(data_dir)
        assert answers(data_dir) == expected
