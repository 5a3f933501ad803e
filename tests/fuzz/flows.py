"""Fuzzing of the flow sources: datagrams and files, damaged in every way, raise nothing but FindingError and stay within bounds.

    python -m tests.fuzz.flows --minutes 10 [--seed 1] [--out DIR]

Seeds are files of the public corpora where they are there, whatever kind the registry says they are, and made ones of every binary
kind. A case fails when anything but FindingError is raised, when it takes more than two seconds of processor time (twice in a row),
when the process grows by more than 512 MiB over all its cases, or when a decoder keeps more than its bounds. A failing input is kept.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import struct
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources import (
    listener,
    netflow,
    registry,
    templates,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.kind import HEAD, Opening
from tests.conftest import corpora_directory
from tests.fuzz.flow_text import text_seeds
from tests.unit.flows import packets, test_nfcapd, test_sflow

SECONDS, GROWTH, ADDRESS_SPACE = 2.0, 512 << 20, 16 << 30
LARGEST_SEED = 60_000
INTERESTING = (0, 1, 2, 3, 4, 5, 9, 10, 255, 256, 257, 1023, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0xFFFFFFFF)
Seed = tuple[str, bytes, dict[str, Any]]


@dataclass
class Report:
    """What was tried, and what failed: (kind, what, input)."""

    cases: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    rows: int = 0
    slowest: float = 0.0
    failures: list[tuple[str, str, bytes]] = field(default_factory=list)
    growth: int = 0


def capture(link: int, frames: list[bytes]) -> bytes:
    """Return a pcap of frames."""
    made = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, link)
    for number, each in enumerate(frames):
        made += struct.pack("<IIII", 1_795_392_000 + number, 0, len(each), len(each)) + each
    return made


def made_seeds(folder: Path) -> Iterator[Seed]:
    """Yield a file of each binary kind that needs no corpora."""
    rng = random.Random(1)
    stream = [each for _name, each in test_sflow.mixed_stream(rng)][:150]
    stream += [test_sflow.datagram(test_sflow.sample(test_sflow.raw(test_sflow.FRAME, 64)))] * 3
    yield (
        "export_pcap",
        capture(101, [listener.raw_packet("192.0.2.1", 9, "192.0.2.2", 2055, each) for each in stream]),
        {},
    )
    frames = [each for _time, each in frames_of(rng)]
    yield "pcap", capture(1, frames), {}
    yield "pcap", pcapng_of("<", frames), {}
    yield "pcap", pcapng_of(">", frames), {}
    for compression in (test_nfcapd.NONE, test_nfcapd.LZ4, test_nfcapd.BZ2, test_nfcapd.ZSTD):
        path = test_nfcapd.file_of(folder / "seed", [test_nfcapd.mixed(60), test_nfcapd.mixed(60, 4)], compression)
        yield "nfcapd", path.read_bytes(), {}


def frames_of(rng: random.Random) -> list[tuple[float, bytes]]:
    """Return frames of many kinds."""
    from tests.unit.flows.test_frames import random_frames

    return random_frames(rng, 120) + packets.session(1_795_392_000, "192.0.2.1", 40_000, "192.0.2.2", 502)


def pcapng_of(order: str, frames: list[bytes]) -> bytes:
    """Return a pcapng of frames."""
    from tests.unit.flows.test_frames import blocks

    return blocks(
        order, 9, [(1_795_392_000 * 10**9 + number, each) for number, each in enumerate(frames) if len(each) > 14]
    )


def corpus_seeds(corpora: Path | None) -> Iterator[Seed]:
    """Yield files of the corpora that are small, or the beginning of those whose kind is lines of text."""
    if corpora is None:
        return
    for path in sorted((corpora / "flow-data").rglob("*")):
        if not path.is_file() or path.name in ("INDEX.md", "SOURCE.md"):
            continue
        data = path.read_bytes()[:LARGEST_SEED]
        kind = registry.kind_of(path, data[:HEAD], registry.BUILT_IN)
        if kind is not None and len(data):
            yield kind.name, data, {}


def datagram_seeds(corpora: Path | None) -> list[list[bytes]]:
    """Return groups of datagrams: made ones, and those of real exporters, templates first."""
    rng = random.Random(2)
    made = [[each for _name, each in test_sflow.mixed_stream(rng)][:40] for _group in range(4)]
    made.append([test_sflow.datagram(test_sflow.sample(test_sflow.raw(test_sflow.FRAME, 64)))])
    for path in sorted((corpora / "flow-data" / "exporters").glob("dat-*")) if corpora is not None else ():
        files = (
            sorted(path.glob("*.dat"), key=lambda each: ("tpl" not in each.name, each.name))
            if path.is_dir()
            else [path]
        )
        made.append([each.read_bytes() for each in files])
    return made


def damaged(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """Return octets with some flipped, numbers set, pieces cut, doubled, moved or taken from another seed."""
    made = bytearray(data)
    for _change in range(rng.choice((1, 1, 2, 4, 16))):
        if not made:
            break
        at = rng.randrange(len(made))
        length = min(rng.choice((1, 2, 4, 8, 40, 400)), len(made) - at)
        what = rng.randrange(8)
        if what == 0:
            made[at] ^= 1 << rng.randrange(8)
        elif what == 1:
            made[at : at + length] = rng.randbytes(length)
        elif what == 2:
            width, order = rng.choice((1, 2, 4, 8)), rng.choice(("big", "little"))
            made[at : at + width] = (rng.choice(INTERESTING) % (1 << 8 * width)).to_bytes(width, order)
        elif what == 3:
            del made[at : at + length]
        elif what == 4:
            made[at:at] = made[at : at + length] * rng.choice((1, 2, 20))
        elif what == 5:
            start = rng.randrange(len(other) + 1)
            made[at:at] = other[start : start + length]
        elif what == 6:
            del made[at:]
        else:
            # In the first octets stand the numbers that steer all else.
            made[rng.randrange(min(64, len(made)))] = rng.randrange(256)
    return bytes(made[: 4 * LARGEST_SEED])


def read_file(path: Path, kind: str, options: dict[str, Any], report: Report) -> None:
    """Open a file as a kind and read all of it."""
    source = registry.named(kind, registry.BUILT_IN).open(path, "0" * 16, Opening(options=options))
    try:
        for table in source.tables():
            report.rows += table.num_rows
        source.quality.as_dict()
    except FindingError as error:
        report.refused[error.findings[0].code] += 1


def read_datagrams(datagrams: list[bytes], report: Report) -> None:
    """Feed datagrams to a decoder and look at its bounds."""
    decoder = netflow.Decoder()
    for each in datagrams:
        decoder.feed(each, "192.0.2.1", 1_795_392_000_000_000)
    within = (
        decoder.templates.field_count <= templates.MOST_FIELDS_IN_ALL and decoder.held_octets <= netflow.HELD_OCTETS
    )
    decoder.finish()
    for table in decoder.tables():
        report.rows += table.num_rows
    if not within:
        raise AssertionError("a decoder keeps more than its bounds")


def tried(report: Report, kind: str, data: bytes, work: Callable[[], None]) -> None:
    """Run one case and note how it ended."""
    report.cases[kind] += 1
    for _attempt in range(2):
        before = time.process_time()
        try:
            work()
        except Exception:
            report.failures.append((kind, traceback.format_exc(limit=-4), data))
            return
        spent = time.process_time() - before
        report.slowest = max(report.slowest, spent)
        if spent <= SECONDS:
            return
    report.failures.append((kind, f"{spent:.1f} s", data))


def run(seconds: float, seed: int = 1, corpora: Path | None = None, most: int = 1 << 60) -> Report:
    """Try damaged inputs for a time or a number of cases."""
    rng, report = random.Random(seed), Report()
    end = time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        groups = datagram_seeds(corpora)
        files = [*made_seeds(folder), *text_seeds(folder), *corpus_seeds(corpora)]
        kinds = sorted({kind for kind, _data, _options in files})
        path = folder / "case"
        start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        while time.monotonic() < end and sum(report.cases.values()) < most:
            if rng.random() < 0.4:
                group = [
                    damaged(rng, each, rng.choice(rng.choice(groups))) if rng.random() < 0.5 else each
                    for each in rng.choice(groups)
                ]
                rng.shuffle(group) if rng.random() < 0.2 else None
                tried(
                    report,
                    "datagrams",
                    b"".join(struct.pack(">I", len(each)) + each for each in group),
                    lambda group=group: read_datagrams(group, report),
                )
                continue
            kind = rng.choice(kinds)
            _kind, data, options = rng.choice([each for each in files if each[0] == kind])
            case = damaged(rng, data, rng.choice(files)[1])
            path.write_bytes(case)
            tried(report, kind, case, lambda kind=kind, options=options: read_file(path, kind, options, report))
        report.growth = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start) << 10
    if report.growth > GROWTH:
        report.failures.append(("memory", f"grew by {report.growth >> 20} MiB", b""))
    return report


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    report = run(arguments.minutes * 60, arguments.seed, corpora_directory())
    for number, (kind, what, data) in enumerate(report.failures[:20]):
        print(f"{kind}: {what}", file=sys.stderr)
        if arguments.out:
            arguments.out.mkdir(parents=True, exist_ok=True)
            (arguments.out / f"{number}-{kind}").write_bytes(data)
    summary = {
        "minutes": arguments.minutes,
        "cases": dict(report.cases),
        "all_cases": sum(report.cases.values()),
        "rows": report.rows,
        "refused": dict(report.refused),
        "slowest_cpu_seconds": round(report.slowest, 3),
        "growth_mib": report.growth >> 20,
        "failures": len(report.failures),
    }
    print(json.dumps(summary, indent=1, sort_keys=True))
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
