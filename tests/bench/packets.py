# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure the packet engine beside a library of binary decision diagrams in the same run. Times are CPU seconds.

Sets: ``iot`` as facts/policy.md section 5 describes it (in 10,000 entries some rule from any to any kills most of what follows);
``iot_alive``: the same without rules from any to any, so that nearly all entries matter, which is the harder case; ``fw``: many
overlapping ranges, likewise without; ``wildcard``: two thirds discontiguous masks; ``masks``: a tenth of the addresses by masks of more
than 4,096 pieces; ``tags``: tags beside few addresses. Answers of both engines are compared; AssertionError where they differ.

Each measurement is a process of its own, so that its peak of memory is its own. The pairwise check of Aerleon is run where the interpreter
that SEGWRIGHT_AERLEON names (else this one) has it.
"""

from __future__ import annotations

import json
import os
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import registry
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import first_match_list
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.anomalies import find_anomalies
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.classify import Classifier
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.compare import compare
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.dead import dead_indices, leftover
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import PacketSpace, permitted
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import (
    ALL,
    ESTABLISHED,
    IPV4_ADDRESSES,
    IPV4_PROTOCOLS,
    Box,
    Entry,
    FirstMatchList,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.removable import RemovableSearch
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.sampling import Rows
from tests.bench import at_least, at_most
from tests.bench.lists import (
    firewall_entries,
    intent_terms,
    masked_entries,
    random_entries,
    rewritten,
    tagged_entries,
    wildcard_entries,
)
from tests.unit.packets.small import passes

SEED = 1
AERLEON_ENTRIES = (1000, 4000)  # quick, full; it grows with the square: 10,000 took 185 s (facts/policy.md section 5 a)
ELSEWHERE = "10 million tuples, 10,000 entries: numba bit sets 15.6 s, DuckDB range join 668 s (facts/policy.md section 5 b3, cited)"
_PORTS = (443, 80, 22, 53, 104, 502, 11112, 4711)
Make = Callable[[random.Random, int], list[Entry]]


def cpu_seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the CPU seconds of a piece of work and its result."""
    begun = time.process_time()
    result = work()
    return round(time.process_time() - begun, 3), result


def listed(entries: list[Entry]) -> FirstMatchList:
    """Return entries as a list that denies at its end."""
    return FirstMatchList(tuple(entries))


def alive(make: Make) -> Make:
    """Return the maker of the same kind of list without entries from any to any."""

    def made(choice: random.Random, length: int) -> list[Entry]:
        result: list[Entry] = []
        while len(result) < length - 1:
            for entry in make(choice, length)[:-1]:
                if not entry.boxes[0].source == entry.boxes[0].destination == IPV4_ADDRESSES:
                    result.append(entry)
        return [*result[: length - 1], Entry(False, (Box(protocol=IPV4_PROTOCOLS),), "end", length)]

    return made


def builds(first: FirstMatchList, second: FirstMatchList) -> dict[str, Any]:
    """Measure both diagrams; once they stand, the comparison is that of two integers. The lists must be equal."""
    space = PacketSpace()
    one, a = cpu_seconds(lambda: permitted(space, first))
    two, b = cpu_seconds(lambda: permitted(space, second))
    assert a == b, "two lists of one meaning were called different"
    return {"build_first": one, "build_second": two, "both": round(one + two, 3), "nodes": len(space.nodes.level)}


def equality(make: Make, length: int, peer: bool) -> dict[str, Any]:
    """Measure the comparison of a list and its rewriting, and a few edits found locally."""
    choice = random.Random(SEED)
    entries = make(choice, length)
    first, second = listed(entries), listed(rewritten(choice, entries))
    found: dict[str, Any] = {"entries": [length, len(second.entries)], **builds(first, second)}
    for edits in (2, 20):
        changed = list(entries)
        for place in choice.sample(range(length - 1), edits):
            changed[place] = make(choice, 2)[0]
        found[f"local_{edits}_edits"] = local_edits(first, listed(changed))
    return with_peer(found, first, second) if peer else found


def local_edits(first: FirstMatchList, second: FirstMatchList) -> float:
    """Measure the localised difference; its witnesses are decided anew by a walk from the top."""
    spent, found = cpu_seconds(lambda: compare(first, second))
    for side, permits in ((found.only_in_first, True), (found.only_in_second, False)):
        witness = side.witness()
        if witness is not None:
            assert (passes(first, witness), passes(second, witness)) == (permits, not permits), "a witness is none"
    return spent


def with_peer(found: dict[str, Any], first: FirstMatchList, second: FirstMatchList) -> dict[str, Any]:
    """Add what the other engine takes for the same two lists."""
    with ProcessPoolExecutor(1) as pool:  # its memory must not count as ours
        found |= pool.submit(_peer, first, second).result()
    if "oxidd_both" in found:
        found["times_oxidd"] = round(found["oxidd_both"] / max(0.001, found["both"]), 2)
    return found


def _peer(first: FirstMatchList, second: FirstMatchList) -> dict[str, Any]:
    try:
        from oxidd.util import DDMemoryError

        from tests.bench.bdd import NODES, BddLists
    except ImportError:
        return {"oxidd": "not installed"}
    other = BddLists()
    try:
        one, a = cpu_seconds(lambda: other.permitted(first))
        two, b = cpu_seconds(lambda: other.permitted(second))
    except DDMemoryError:
        return {"oxidd": f"more than {NODES:,} nodes"}
    assert a == b, "the engines disagree"
    return {"oxidd_first": one, "oxidd_second": two, "oxidd_both": round(one + two, 3)}


def intent(terms: int, mutants: int, named: int = 0) -> dict[str, Any]:
    """Measure terms with sets against the lines that they are rendered to; every line changed in one mutant must be noticed."""
    wanted = intent_terms(random.Random(SEED), terms, named)
    spent_text, text = cpu_seconds(lambda: registry.render("ios", "BENCH", wanted))
    spent_parse, lists = cpu_seconds(lambda: registry.parse("ios", text))
    first, second = first_match_list(wanted), lists[0].first_match()
    found: dict[str, Any] = {"terms": terms, "lines": len(second.entries), "render": spent_text, "parse": spent_parse}
    found |= builds(first, second)
    choice = random.Random(SEED)
    caught = same = 0
    for index in choice.sample(range(len(second.entries) - 1), len(second.entries) - 1):
        if caught + same == mutants:
            break
        if not decides(second, index):
            continue
        entry = second.entries[index]
        mutant = replace(
            second,
            entries=(*second.entries[:index], replace(entry, permit=not entry.permit), *second.entries[index + 1 :]),
        )
        local = compare(second, mutant)
        caught += not local.equal
        same += local.equal
    assert not same, "a changed line was not noticed"
    found["mutants_caught"] = caught
    return with_peer(found, first, second)


def decides(source: FirstMatchList, index: int) -> bool:
    """Return whether an entry decides some packet."""
    own = source.entries[index].boxes
    before = [box for entry in source.entries[:index] for box in entry.boxes if any(box.overlaps(mine) for mine in own)]
    return any(leftover(PacketSpace(), mine, before) for mine in own)


def aerleon(length: int) -> dict[str, Any]:
    """Measure the pairwise check of Aerleon and ours on one list; what it finds must be dead by ours."""
    entries = random_entries(random.Random(SEED), length)
    spent, gone = cpu_seconds(lambda: dead_indices(listed(entries)))
    found: dict[str, Any] = {"entries": length, "dead": len(gone), "seconds": spent}
    done = subprocess.run(
        [os.environ.get("SEGWRIGHT_AERLEON", sys.executable), str(Path(__file__).with_name("aerleon_shade.py"))],
        input=json.dumps([aerleon_term(place, entry) for place, entry in enumerate(entries)]), capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        return {**found, "aerleon": "not installed"}
    theirs = json.loads(done.stdout)
    shaded = {int(name[1:]) for name in theirs["shaded"]}
    assert shaded <= set(gone), "Aerleon calls entries shaded that are alive"
    seconds = theirs["read_and_check"] - theirs["read"]
    return found | {
        "aerleon_found": len(shaded), "aerleon_misses": len(set(gone) - shaded), "aerleon_seconds": round(seconds, 2),
        "times_aerleon": round(seconds / max(0.001, spent), 1),
    }  # fmt: skip


def aerleon_term(place: int, entry: Entry) -> dict[str, Any]:
    """Return an entry of the ``iot`` set as a term."""
    (box,) = entry.boxes
    number = box.protocol.pairs[0][0] if box.protocol.size == 1 else -1
    ends = [[] if values.covers(IPV4_ADDRESSES) else values.to_prefixes(32) for values in (box.source, box.destination)]
    return {
        "name": f"t{place}", "action": "accept" if entry.permit else "deny", "protocol": {6: "tcp", 17: "udp", 1: "icmp"}.get(number, ""),
        "source": ends[0], "destination": ends[1], "established": box.detail == ESTABLISHED,
        "ports": [] if box.destination_port == ALL["destination_port"] else list(box.destination_port.pairs),
    }  # fmt: skip


def anomalies(make: Make, length: int, certificates: bool) -> dict[str, Any]:
    """Measure which entries are dead, which removable, and the whole report with certificates."""
    source = listed(make(random.Random(SEED), length))
    spent_rows, rows = cpu_seconds(lambda: Rows(source))
    spent_dead, gone = cpu_seconds(lambda: dead_indices(source, rows))
    spent_removable, needless = cpu_seconds(lambda: RemovableSearch(source, gone, rows).find())
    found: dict[str, Any] = {
        "entries": length, "dead": len(gone), "dead_seconds": round(spent_rows + spent_dead, 3), "removable": len(needless),
        "removable_seconds": spent_removable,
    }  # fmt: skip
    if certificates:
        found["dead_with_certificates_seconds"], items = cpu_seconds(lambda: find_anomalies(source, removable=False))
        assert [item.index for item in items] == gone
    return found


def classification(make: Make, length: int, packets: int) -> dict[str, Any]:
    """Measure the deciding entry of many tuples."""
    import numpy as np

    generator = np.random.default_rng(SEED)
    protocol = generator.choice(np.array([6, 17, 1], dtype=np.uint16), packets, p=[0.7, 0.25, 0.05])
    ported = protocol != 1
    columns = {
        "protocol": protocol,
        "detail": np.where(protocol == 6, 2, np.where(protocol == 1, 2048, 0)).astype(np.uint16),
        "source": (10 << 24) + generator.integers(0, 1 << 16, packets, dtype=np.uint32),
        "destination": (10 << 24) + generator.integers(0, 1 << 16, packets, dtype=np.uint32),
        "source_port": generator.integers(1024, 65535, packets, dtype=np.uint16) * ported,
        "destination_port": generator.choice(np.array(_PORTS, dtype=np.uint16), packets) * ported,
    }
    source = listed(make(random.Random(SEED), length))
    build, classifier = cpu_seconds(lambda: Classifier(source))
    spent, found = cpu_seconds(lambda: classifier.classify(columns))
    return {
        "entries": length, "packets": packets, "build": build, "seconds": spent, "per_second": round(packets / spent),
        "entries_hit": len(np.unique(found.entries)),
    }  # fmt: skip


def isolated(work: Callable[..., dict[str, Any]], *args: Any) -> dict[str, Any]:
    """Return what a measurement says, run in a process of its own, with the most memory that this has held, in MiB."""
    with ProcessPoolExecutor(1) as pool:
        return pool.submit(_with_peak, work, args).result()


def _with_peak(work: Callable[..., dict[str, Any]], args: tuple[Any, ...]) -> dict[str, Any]:
    found = work(*args)
    return {**found, "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)}


MAKERS: dict[str, Make] = {
    "iot": random_entries, "iot_alive": alive(random_entries), "fw": alive(firewall_entries), "wildcard": wildcard_entries,
    "masks": masked_entries, "tags": tagged_entries,
}  # fmt: skip


def equality_of(name: str, length: int, peer: bool) -> dict[str, Any]:
    """Measure ``equality`` of a set by its name."""
    return equality(MAKERS[name], length, peer)


def anomalies_of(name: str, length: int, certificates: bool) -> dict[str, Any]:
    """Measure ``anomalies`` of a set by its name."""
    return anomalies(MAKERS[name], length, certificates)


def classification_of(name: str, length: int, packets: int) -> dict[str, Any]:
    """Measure ``classification`` of a set by its name."""
    return classification(MAKERS[name], length, packets)


def run(full: bool) -> dict[str, Any]:
    """Return all measurements: 1,000 entries, and in a full run 10,000, with targets from facts/policy.md section 5."""
    found: dict[str, Any] = {"aerleon": isolated(aerleon, AERLEON_ENTRIES[full]), "elsewhere": ELSEWHERE}
    for length in (1000, 10000) if full else (1000,):
        for name in ("iot", "iot_alive", "fw"):
            size = min(length, 3000) if name == "fw" else length
            found[f"equal_{name}_{size}"] = isolated(equality_of, name, size, True)
            found[f"anomalies_{name}_{length}"] = isolated(anomalies_of, name, length, name != "fw")
            if name != "fw":
                found[f"classify_{name}_{length}"] = isolated(classification_of, name, length, 1000 * length)
        found[f"intent_{length}"] = isolated(intent, length, 20)
        found[f"intent_named_{length}"] = isolated(intent, length, 5, length // 10)
    found["peak_mib"] = max(part["peak_mib"] for part in found.values() if isinstance(part, dict))
    found["masks_1000"] = isolated(equality_of, "masks", 1000, True)
    found["masks_anomalies_1000"] = isolated(anomalies_of, "masks", 1000, False)
    found["tags_1000"] = isolated(equality_of, "tags", 1000, False)
    found["wildcard_1000"] = isolated(equality_of, "wildcard", 1000, full)
    found["wildcard_anomalies_300"] = isolated(anomalies_of, "wildcard", 300, False)
    if full:
        found["growth"] = growth(found)
    found["targets"] = targets(found, full)
    return found


def growth(found: dict[str, Any]) -> dict[str, float]:
    """Return how many times longer ten times the entries take."""
    pairs = {
        "equal_iot": ("equal_iot", "both"), "equal_iot_alive": ("equal_iot_alive", "both"), "intent": ("intent", "both"),
        "dead_iot": ("anomalies_iot", "dead_seconds"), "dead_iot_alive": ("anomalies_iot_alive", "dead_seconds"),
        "removable_iot": ("anomalies_iot", "removable_seconds"),
        "removable_iot_alive": ("anomalies_iot_alive", "removable_seconds"),
        "dead_fw": ("anomalies_fw", "dead_seconds"), "removable_fw": ("anomalies_fw", "removable_seconds"),
        "intent_named": ("intent_named", "both"),
    }  # fmt: skip
    return {
        name: round(found[f"{key}_10000"][value] / max(0.001, found[f"{key}_1000"][value]), 1)
        for name, (key, value) in pairs.items()
    }


def targets(found: dict[str, Any], full: bool) -> list[dict[str, Any]]:
    """Return the figures that have a target, in CPU seconds, beside it."""
    limits = [("equal_iot_1000", "build_first", 0.3), ("equal_iot_1000", "build_second", 0.3)]
    if full:
        limits += [
            ("equal_iot_10000", "both", 8), ("equal_iot_alive_10000", "both", 8), ("equal_iot_10000", "local_2_edits", 0.2),
            ("equal_iot_10000", "local_20_edits", 0.2), ("equal_iot_alive_10000", "local_20_edits", 0.2),
            ("equal_fw_3000", "local_20_edits", 0.2),
            ("intent_10000", "both", 5), ("intent_named_10000", "both", 5), ("intent_10000", "parse", 1.5),
            ("anomalies_iot_10000", "dead_seconds", 1),
            ("anomalies_iot_alive_10000", "dead_seconds", 1), ("anomalies_fw_10000", "dead_seconds", 1),
            ("anomalies_iot_10000", "removable_seconds", 10), ("anomalies_iot_alive_10000", "removable_seconds", 10),
            ("anomalies_fw_10000", "removable_seconds", 10), ("classify_iot_10000", "seconds", 5),
            ("classify_iot_alive_10000", "seconds", 5),
        ]  # fmt: skip
    rows = [at_most(f"{name} {value}", found[name][value], limit) for name, value, limit in limits]
    rows.append(at_most("peak_mib", found["peak_mib"], 1024))
    ratios = [(name, "times_oxidd") for name in found if name.startswith("intent_1")] + [("aerleon", "times_aerleon")]
    return rows + [at_least(f"{name} {key}", found[name][key], 1) for name, key in ratios if key in found[name]]
