"""kill -9 while an import runs or a listener listens: after the next start totals are exact and nothing is half there."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import store
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.ingest import ingest
from tests.bench import flows as exports
from tests.unit.flows import packets

DAY = 1_795_392_000
# Of imports; in parts, so that one may be run by itself.
KILLS, PARTS = 50, 5
IMPORT = """
import sys
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.ingest import ingest
print("ready", flush=True)
for path in sys.argv[2:]:
    ingest([path], sys.argv[1])
print("done", flush=True)
"""
LISTEN = """
import sys
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.steps import run_flow_listen
values = {"data_dir": sys.argv[1], "address": "127.0.0.1", "port": int(sys.argv[2]), "sources": ["127.0.0.1"],
    "seconds": float(sys.argv[3]),
    "datagrams": int(sys.argv[4]), "check_mode": False, "diff_mode": False}
print("ready", flush=True)
print(run_flow_listen(values)["records"], flush=True)
"""


def start(root: Path, script: str, *arguments: str | Path) -> subprocess.Popen[str]:
    """Start a script with the collection on its path and wait until it has imported everything."""
    process = subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": f"{root}:{root / 'collections'}"},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def kill(process: subprocess.Popen[str]) -> bool:
    """Kill a process group; returns whether it was still at work."""
    working = process.poll() is None
    if working:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(60)
    assert process.stdout is not None
    process.stdout.close()
    return working


def whole_files(data_dir: Path) -> int:
    """Return how many Parquet files the store holds, having read each; nothing else may be left in it."""
    flows = data_dir / "flows"
    for path in flows.rglob("*.parquet"):
        pq.read_table(path, partitioning=None)
    left = [path for path in flows.rglob("*.tmp") if path.is_file()]
    assert left == []
    return len(list(flows.rglob("*.parquet")))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, root: Path) -> tuple[list[Path], float, Path]:
    """Three captures, how long their import takes, and the store that it leaves."""
    folder = tmp_path_factory.mktemp("whole")
    captures = []
    for number in range(3):
        frames = []
        for each in range(400):
            moment = DAY + number * 40_000 + each * 60
            frames += packets.session(moment, f"192.0.2.{each % 90 + 1}", 40_000 + each, "198.51.100.20", 502, number)
        captures.append(packets.write(folder / f"{number}.pcap", frames))
    process = start(root, IMPORT, folder / "data", *captures)
    ready = time.monotonic()
    assert process.wait(300) == 0
    return captures, time.monotonic() - ready, folder / "data"


@pytest.mark.one_python
@pytest.mark.parametrize("part", range(PARTS))
def test_imports_killed_at_random_moments(
    tmp_path: Path, root: Path, full: bool, whole: tuple[list[Path], float, Path], part: int
) -> None:
    if part and not full:
        pytest.skip("long suite; make full runs it")
    captures, span, data = whole
    rng = random.Random(f"imports {part}")
    expected = sorted(map(str, store.connections(data).to_pylist())), store.rollup(data).to_pylist()
    files = whole_files(data)
    turns = KILLS // PARTS if full else 4
    caught = 0
    for turn in range(turns):
        data_dir = tmp_path / f"killed-{turn}"
        process = start(root, IMPORT, data_dir, *captures)
        time.sleep(rng.uniform(0, span))
        caught += kill(process)
        # What a reader sees at that moment is some of the inputs, each whole.
        seen = store.read_inputs(data_dir)["inputs"]
        counted = store.connections(data_dir)
        assert counted.num_rows == sum(each["connections"] for each in seen.values())
        ingest(captures, data_dir)
        assert sorted(map(str, store.connections(data_dir).to_pylist())) == expected[0]
        assert store.rollup(data_dir).to_pylist() == expected[1]
        assert whole_files(data_dir) == files
        assert all(each["connections"] for each in store.read_inputs(data_dir)["inputs"].values())
    assert caught >= (4 if full else 1)


def whole_packets(spool: Path) -> int:
    """Return how many whole packets stand in the captures of a spool."""
    count = 0
    for path in spool.glob("*.pcap"):
        data, at = path.read_bytes(), 24
        while at + 16 <= len(data):
            at += 16 + int.from_bytes(data[at + 8 : at + 12], "little")
            count += at <= len(data)
    return count


def wait_for(spool: Path, count: int) -> None:
    """Wait until a spool holds so many packets."""
    for _try in range(600):
        if whole_packets(spool) >= count:
            return
        time.sleep(0.05)
    raise AssertionError(f"{whole_packets(spool)} packets of {count} were written")


@pytest.mark.one_python
def test_listeners_killed_at_random_moments(tmp_path: Path, root: Path, full: bool) -> None:
    """What the killed listener had written to its spool counts with the next start, once; what it had not is gone and not half there."""
    rng = random.Random(12)
    sent = exports.datagrams(400)
    for _turn in range(10 if full else 1):
        data_dir = tmp_path / f"listen-{_turn}"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        process = start(root, LISTEN, data_dir, port, 60, 100_000)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            time.sleep(0.5)
            first, last = rng.randrange(50, 200), rng.randrange(200, 399)
            for number, each in enumerate(sent[:last]):
                if number == first:
                    # A pause, in which a listener writes what it has.
                    wait_for(data_dir / "flows" / "spool", first)
                sock.sendto(each, ("127.0.0.1", port))
                time.sleep(0.001)
        assert kill(process)
        left = whole_packets(data_dir / "flows" / "spool")
        assert first <= left <= last
        process = start(root, LISTEN, data_dir, port, 1, 1)
        out, _err = process.communicate(timeout=120)
        assert process.returncode == 0
        records = sum(each["records"] for each in store.read_inputs(data_dir)["inputs"].values())
        # The first datagram holds the template.
        assert records == (left - 1) * exports.RECORDS_PER_DATAGRAM, out
        assert list((data_dir / "flows" / "spool").glob("*.pcap")) == []
        again: Any = store.read_inputs(data_dir)["inputs"]
        process = start(root, LISTEN, data_dir, port, 0.5, 1)
        process.communicate(timeout=120)
        assert store.read_inputs(data_dir)["inputs"] == again
