"""Fuzzing of the access-list parsers: no exception but FindingError, no hang, no memory blow-up.

    python -m tests.fuzz.dialects --minutes 10 [--seed 1] [--out DIR]

Seeds are the access lists of the public corpora, where they are there, and renderings of random lists. A case is a mutated
text and a platform; it fails when something other than FindingError is raised, when parsing 100 kB takes more than a second of
processor time (twice in a row), or when it takes more than 400 MB. A failing text is made small and kept.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import signal
import sys
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import registry
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.checks import parse_result
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import Ace
from tests.conftest import corpora_directory
from tests.fuzz.mutate import LIMIT, mutated
from tests.unit.dialects.random_aces import entry, policy

SECONDS, HANG_SECONDS, MEMORY_BYTES, ADDRESS_SPACE = 1.0, 20, 400 << 20, 3 << 30
ROUND_TRIP_CHARACTERS = 1500  # texts this short are also rendered and compared
LISTS = ("access-list", "access list", "ip access", "object-group", "permit ", "RBACL")


@dataclass
class Report:
    """What was tried and what failed: (platform, what, text)."""

    cases: Counter[str] = field(default_factory=Counter)
    understood: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[str, str, str]] = field(default_factory=list)
    slowest: float = 0.0
    slowest_platform: str = ""
    peak_bytes: int = 0
    measured_memory: int = 0
    cpu_seconds: float = 0.0

    def as_dict(self) -> dict[str, object]:
        """Return the figures."""
        return {
            "cases": sum(self.cases.values()), "by_platform": dict(self.cases), "lists_understood": dict(self.understood),
            "refused_with_finding": dict(self.refused), "failures": len(self.failures), "slowest_cpu_seconds": round(self.slowest, 3),
            "slowest_platform": self.slowest_platform, "memory_measured": self.measured_memory,
            "peak_memory_mb": round(self.peak_bytes / (1 << 20), 1), "cpu_seconds": round(self.cpu_seconds, 1),
        }  # fmt: skip


def renderings(choice: random.Random) -> Iterator[tuple[str, str]]:
    """Yield (platform, text) of random lists in every syntax that can be written."""
    for platform in registry.PLATFORMS:
        for _turn in range(6):
            aces = _fitting(choice, platform)
            for options in ({}, {"stateful": False}) if platform == "nftables" else ({},):
                try:
                    yield platform, registry.render(platform, "LIST", aces, **options)
                except FindingError:
                    continue
    yield "nftables", json.dumps({"nftables": _json_objects()})


def _fitting(choice: random.Random, platform: str) -> list[Ace]:
    if platform in ("nftables", "asa"):
        return [ace for ace in policy(choice) if ace.family]
    family = 6 if platform == "ios_ipv6" else 4
    aces = [entry(choice, family=family) for _turn in range(8)]
    if platform == "dacl":
        return [Ace(a.permit, a.protocol, 4, None, a.destination, a.source_ports, a.destination_ports) for a in aces]
    if platform == "sgacl":
        return [Ace(a.permit, a.protocol, 4, None, None, a.source_ports, a.destination_ports) for a in aces]
    return aces


def _json_objects() -> list[dict[str, object]]:
    hook = {"type": "filter", "hook": "forward", "prio": 0, "policy": "drop"}
    address = {"payload": {"protocol": "ip", "field": "saddr"}}
    rule = [
        {
            "match": {
                "op": "==",
                "left": address,
                "right": {"set": [{"prefix": {"addr": "10.0.0.0", "len": 24}}, "10.1.0.1"]},
            }
        },
        {"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": {"range": [5, 9]}}},
        {"counter": {"packets": 0, "bytes": 0}},
        {"accept": None},
    ]
    tracked = [
        {"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": ["established", "related"]}},
        {"accept": None},
    ]
    return [
        {"metainfo": {"json_schema_version": 1}},
        {"table": {"family": "inet", "name": "t"}},
        {"chain": {"family": "inet", "table": "t", "name": "sw_forward", **hook}},
        {"rule": {"family": "inet", "table": "t", "chain": "sw_forward", "expr": tracked}},
        {"rule": {"family": "inet", "table": "t", "chain": "sw_forward", "expr": rule, "comment": "x"}},
    ]


def corpus_texts(directory: Path, limit: int = 400) -> list[str]:
    """Return texts of the public corpora that hold access lists, at most 60 kB each."""
    found = []
    for path in sorted(path for part in ("device-outputs", "policy-corpora") for path in (directory / part).rglob("*")):
        if path.is_file() and path.stat().st_size <= 60_000:
            text = path.read_text(encoding="utf-8", errors="replace")
            if any(word in text for word in LISTS):
                found.append(text)
        if len(found) >= limit:
            break
    return found


class HangError(Exception):
    """Raised by the alarm inside a case that does not end."""


def _alarm(_number: int, _frame: object) -> None:
    raise HangError(f"no end after {HANG_SECONDS} s of processor time")


def _armed(seconds: int) -> None:
    """Set the alarm where the command line has put its handler in place."""
    if signal.getsignal(signal.SIGPROF) is _alarm:
        signal.setitimer(signal.ITIMER_PROF, seconds)


def judge(platform: str, text: str, report: Report, measure: bool = False) -> str:
    """Run one case; returns an empty text or what is wrong."""
    report.cases[platform] += 1
    started = time.process_time()
    if measure:
        tracemalloc.start()
    _armed(HANG_SECONDS)
    try:
        lists = registry.parse(platform, text)
        spent = time.process_time() - started
        report.understood[platform] += sum(1 for item in lists if not item.opaque)
        for item in lists:
            if not item.opaque and len(text) <= ROUND_TRIP_CHARACTERS:
                item.first_match()
        if len(text) <= ROUND_TRIP_CHARACTERS:
            json.dumps(parse_result(platform, text))
    except FindingError:
        report.refused[platform] += 1
        spent = time.process_time() - started
    except HangError as error:
        return str(error)
    except Exception as error:  # the point of the exercise
        return f"{type(error).__name__}: {str(error)[:200]}"
    finally:
        _armed(0)
        if measure:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            report.peak_bytes = max(report.peak_bytes, peak)
            report.measured_memory += 1
    if measure:
        return f"{peak >> 20} MB of memory" if peak > MEMORY_BYTES else ""
    if spent > report.slowest:
        report.slowest, report.slowest_platform = spent, platform
    return ""


def too_slow(platform: str, text: str) -> bool:
    """Say whether parsing takes more than a second of processor time twice in a row."""
    for _turn in range(2):
        started = time.process_time()
        try:
            registry.parse(platform, text)
        except FindingError:
            pass
        if time.process_time() - started <= SECONDS:
            return False
    return True


def smaller(text: str, fails: Callable[[str], bool], budget: int = 200) -> str:
    """Return a shorter text that fails as well: whole lines are left out while that holds."""
    rows = text.split("\n")
    step = max(1, len(rows) // 2)
    while step and budget > 0:
        place = 0
        while place < len(rows) and budget > 0:
            fewer = rows[:place] + rows[place + step :]
            budget -= 1
            if fewer and fails("\n".join(fewer)):
                rows = fewer
            else:
                place += step
        step //= 2
    return "\n".join(rows)


def run(seconds: float, seed: int = 1, corpus: list[str] | None = None, cases: int | None = None) -> Report:
    """Fuzz for so many seconds of wall time, or so many cases, and return the report."""
    choice = random.Random(seed)
    seeds = list(renderings(choice)) + [("", text) for text in corpus or ()]
    others = [text for _platform, text in seeds]
    report, began, cpu = Report(), time.monotonic(), time.process_time()
    count = 0
    while (cases is not None and count < cases) or (cases is None and time.monotonic() - began < seconds):
        count += 1
        own, text = choice.choice(seeds)
        platform = own if own and choice.random() < 0.9 else choice.choice(registry.PLATFORMS)
        changed = mutated(choice, text, others)
        wrong = judge(platform, changed, report, measure=count % 40 == 0)
        if not wrong and report.slowest > SECONDS and cases is None and len(changed) <= LIMIT:
            wrong = "more than a second" if too_slow(platform, changed) else ""
            report.slowest = 0.0 if not wrong else report.slowest
        if wrong:
            report.failures.append((platform, wrong, changed))
            if len(report.failures) >= 50:
                break
    report.cpu_seconds = time.process_time() - cpu
    return report


def main(arguments: list[str]) -> int:
    """Run from the command line; exit 1 when a case failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args(arguments)
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    signal.signal(signal.SIGPROF, _alarm)
    directory = corpora_directory()
    corpus = corpus_texts(directory) if directory.is_dir() else []
    report = run(chosen.minutes * 60, chosen.seed, corpus)
    print(
        json.dumps(
            {**report.as_dict(), "seeds_of_corpora": len(corpus), "minutes": chosen.minutes, "seed": chosen.seed},
            indent=1,
        )
    )
    for number, (platform, wrong, text) in enumerate(report.failures):
        if wrong.startswith(("more than", "no end")) or "memory" in wrong:
            small = text
        else:
            small = smaller(text, lambda part, p=platform, w=wrong: judge(p, part, Report())[:20] == w[:20])  # type: ignore[misc]
        print(f"--- {platform}: {wrong}\n{small[:600]!r}")
        if chosen.out:
            chosen.out.mkdir(parents=True, exist_ok=True)
            (chosen.out / f"{number:03}-{platform}.txt").write_text(small, encoding="utf-8", errors="surrogatepass")
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
