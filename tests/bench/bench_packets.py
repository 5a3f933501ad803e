# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure the packet engine, beside another engine in the same run: ``python -m tests.bench.bench_packets [--rules N]``.

Prints one JSON document: seconds for the equality of two lists (the second rewritten, same meaning) with the interval diagram and
with binary decision diagrams of oxidd, a localised comparison after a few edits, all anomalies, the classification of a
million packets, parsing and rendering. Answers of both engines are compared; a difference ends the run with an error.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import registry
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import Ace
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.anomalies import find_anomalies
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.classify import Classifier
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.compare import compare
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import PacketSpace, permitted
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import IPV4_ADDRESSES, FirstMatchList
from tests.bench.lists import random_entries, rewritten

ANOMALIES_UP_TO = 3000  # the search for removable entries grows with the square of overlapping entries


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return wall seconds and the result."""
    start = time.perf_counter()
    result = work()
    return round(time.perf_counter() - start, 4), result


def measure(rules: int, packets: int, seed: int) -> dict[str, Any]:
    """Run every measurement on one random pair of lists; AssertionError when two engines disagree."""
    choice = random.Random(seed)
    entries = random_entries(choice, rules)
    first, second = FirstMatchList(tuple(entries)), FirstMatchList(tuple(rewritten(choice, entries)))
    edited_entries = list(entries)
    for _ in range(10):
        edited_entries[choice.randrange(rules - 1)] = random_entries(choice, 2)[0]
    edited = FirstMatchList(tuple(edited_entries))
    found: dict[str, Any] = {"rules": rules, "rules_rewritten": len(second.entries), "seed": seed, "packets": packets}

    space = PacketSpace()
    found["diagram_first_s"], one = timed(lambda: permitted(space, first))
    found["diagram_second_s"], two = timed(lambda: permitted(space, second))
    assert one == two, "the rewritten list differs"
    found["diagram_nodes"] = len(space.nodes.level)
    found["compare_10_edits_s"], local = timed(lambda: compare(first, edited))
    found["equal_after_10_edits"] = local.equal
    if rules <= ANOMALIES_UP_TO:
        found["anomalies_s"], anomalies = timed(lambda: find_anomalies(first))
        found["anomalies"] = len(anomalies)
    found |= _other_engine(first, second, edited, local.equal)
    found |= _classification(first, packets, seed)
    found |= _text(entries)
    found["peak_rss_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    return found


def _other_engine(first: FirstMatchList, second: FirstMatchList, edited: FirstMatchList, equal: bool) -> dict[str, Any]:
    try:
        from tests.bench.bdd import BddLists

        other = BddLists()
    except ImportError:
        return {"oxidd": "not installed"}
    found: dict[str, Any] = {}
    found["oxidd_first_s"], one = timed(lambda: other.permitted(first))
    found["oxidd_second_s"], two = timed(lambda: other.permitted(second))
    assert one == two, "the engines disagree on equality"
    assert (other.permitted(edited) == one) == equal, "the engines disagree on the edited list"
    return found


def _classification(source: FirstMatchList, packets: int, seed: int) -> dict[str, Any]:
    import numpy as np

    generator = np.random.default_rng(seed)
    protocol = generator.choice([6, 17, 1], packets, p=[0.7, 0.25, 0.05])
    ported = protocol != 1
    columns = {
        "protocol": protocol,
        "detail": np.where(protocol == 6, 2, np.where(protocol == 1, 2048, 0)),
        "source": (10 << 24) + generator.integers(0, 1 << 16, packets),
        "destination": (10 << 24) + generator.integers(0, 1 << 16, packets),
        "source_port": np.where(ported, generator.integers(1024, 65536, packets), 0),
        "destination_port": np.where(ported, generator.choice([443, 80, 22, 53, 104, 502, 11112, 4711], packets), 0),
    }
    build, classifier = timed(lambda: Classifier(source))
    seconds, (indices, *_rest) = timed(lambda: classifier.classify(columns))
    return {
        "classify_build_s": build,
        "classify_s": seconds,
        "classify_per_second": round(packets / seconds),
        "entries_hit": len(np.unique(indices)),
    }


def _text(entries: list[Any]) -> dict[str, Any]:
    aces = []
    for entry in entries:
        box = entry.boxes[0]
        protocol = box.protocol.pairs[0][0] if box.protocol.size == 1 else None
        ports = box.destination_port if protocol in (6, 17) else None
        ends = [
            None if values == IPV4_ADDRESSES or values.pairs[-1][1] >> 32 else values
            for values in (box.source, box.destination)
        ]
        aces.append(Ace(entry.permit, protocol, 4, ends[0], ends[1], None, ports, label=entry.label))
    render, text = timed(lambda: registry.render("ios", "BENCH", aces))
    parse, lists = timed(lambda: registry.parse("ios", text))
    trip, good = timed(lambda: registry.list_round_trip("ios", lists[0]))
    assert good
    assert all(isinstance(ace.destination_ports, (IntervalSet, type(None))) for ace in lists[0].aces)
    return {"lines": len(lists[0].aces), "render_s": render, "parse_s": parse, "round_trip_s": trip}


def main() -> int:
    """Read the arguments, measure, print JSON."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    arguments.add_argument("--rules", type=int, default=1000)
    arguments.add_argument("--packets", type=int, default=1_000_000)
    arguments.add_argument("--seed", type=int, default=1)
    chosen = arguments.parse_args()
    result = measure(chosen.rules, chosen.packets, chosen.seed)
    result |= {"python": platform.python_version(), "machine": platform.machine()}
    json.dump(result, sys.stdout, indent=1)
    sys.stdout.write("\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
