# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How often the client of a conversation is found, by kind of network and by what the telemetry shows; prints a table.

Public captures are reduced to what an exporter would have sent; the truth is the sender of the SYN that the whole capture shows, of DNS the
sender of the query. Variants: ``flags`` (flags OR-ed over the record, times in milliseconds), ``no_flags``, ``missed`` (packets with SYN
left out, no flags), ``sampled`` (one packet in 100, no flags; every conversation of which a packet is left counts). Captures of one
network (the set-ups of iot-sentinel) are looked at together, as a store does; every other capture is a network by itself, so degrees there
are those of minutes.

    SEGWRIGHT_CORPORA=DIR python -m tests.corpora.orientation [EVERY_NTH]
"""

from __future__ import annotations

import sys
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.records import (
    ACK,
    FROM_EXPORTER,
    SYN,
    record_table,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.capture import Capture
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.frames import Decoder, Packets
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.pcap import one_way
from tests.unit.flows.oriented import oriented_rows

GROUPS = {"OT": ("ot-*",), "IoT": ("iot-*", "iomt"), "IT": ("it", "malicious")}
VARIANTS = ("flags", "no_flags", "missed", "sampled")
# facts/flows.md section 5, TCP: right in percent of the combined rule.
STATED = {
    ("OT", "flags"): 99.1, ("OT", "no_flags"): 99.1, ("OT", "missed"): 99.1, ("OT", "sampled"): 99.1,
    ("IoT", "flags"): 100.0, ("IoT", "no_flags"): 100.0, ("IoT", "missed"): 100.0, ("IoT", "sampled"): 99.7,
    ("IT", "flags"): 98.0, ("IT", "no_flags"): 96.3, ("IT", "missed"): 97.4, ("IT", "sampled"): 98.3,
}  # fmt: skip
ONE_NETWORK = ("iot-sentinel",)
ONE_IN = 100
MILLISECOND = 1000
SUFFIXES = (".pcap", ".pcapng", ".cap")


def captures(corpora: Path, group: str, step: int = 1) -> list[Path]:
    """Return the captures of a group, every ``step``-th."""
    found = [path for pattern in GROUPS[group] for path in (corpora / "flow-data").glob(f"{pattern}/**/*")]
    return sorted(path for path in found if path.is_file() and path.suffix in SUFFIXES)[::step]


def networks(corpora: Path, group: str, step: int = 1) -> list[list[Path]]:
    """Return the captures of a group, those of one network together."""
    made: dict[str, list[Path]] = {}
    for path in captures(corpora, group, step):
        made.setdefault(path.parent.name if path.parent.name in ONE_NETWORK else path.name, []).append(path)
    return list(made.values())


def batches(path: Path) -> list[Packets]:
    """Return the packets of a capture; none where it is no capture."""
    try:
        return [made for frames in Capture(path, []).frames() if len((made := Decoder().packets(frames)).time_us)]
    except FindingError:
        return []


def truth_of(packets: list[Packets]) -> dict[tuple[int, ...], bool]:
    """Return whether end a (the lower address and port) opened, for each 5-tuple whose SYN or DNS query is seen from one end only."""
    seen: dict[tuple[int, ...], set[bool]] = {}
    for batch in packets:
        opens = (batch.protocol == 6) & ((batch.flags & (SYN | ACK)) == SYN)
        asks = (batch.protocol == 17) & (batch.target_port == 53) & (batch.source_port != 53)
        for i in np.flatnonzero(opens | asks):
            source = (int(batch.source_hi[i]), int(batch.source_lo[i]), int(batch.source_port[i]))
            target = (int(batch.target_hi[i]), int(batch.target_lo[i]), int(batch.target_port[i]))
            key = (int(batch.protocol[i]), *min(source, target), *max(source, target))
            seen.setdefault(key, set()).add(source < target)
    return {key: next(iter(sides)) for key, sides in seen.items() if len(sides) == 1}


def reduced(packets: list[Packets], variant: str, seed: int) -> Iterator[Any]:
    """Yield record tables as an exporter would have made them of what it saw."""
    rng = np.random.default_rng(seed)
    for batch in packets:
        if variant == "missed":
            batch = _picked(batch, (batch.protocol != 6) | (batch.flags & SYN == 0))
        elif variant == "sampled":
            batch = _picked(batch, rng.random(len(batch.time_us)) < 1 / ONE_IN)
        if not len(batch.time_us):
            continue
        count, columns = one_way(batch, exporter="e", source="0" * 16)
        for name in ("start_us", "end_us"):
            columns[name] = columns[name] // MILLISECOND * MILLISECOND
        columns.update(step_us=MILLISECOND, origin=FROM_EXPORTER, opens=0, syn_ack=False, place=0)
        if variant == "flags":
            columns["pure_syn"] = (columns["flags"] & (SYN | ACK)) == SYN
        else:
            columns.update(flags=0, pure_syn=False)
        yield record_table(count, columns)


def _picked(batch: Packets, mask: Any) -> Packets:
    return Packets(**{each.name: getattr(batch, each.name)[mask] for each in fields(Packets)})


def measure(corpora: Path, group: str, variant: str, step: int = 1) -> Counter[str]:
    """Return counts: ``right``, ``wrong``, ``flagged`` (of the wrong ones, guesses of method 9) and the same with ``dns_`` before it."""
    made: Counter[str] = Counter()
    for paths in networks(corpora, group, step):
        packets = [batch for path in paths for batch in batches(path)]
        truth = truth_of(packets)
        if not truth:
            continue
        judged = set()
        for row in oriented_rows(reduced(packets, variant, zlib.crc32(paths[0].name.encode()))):
            key = tuple(row[name] for name in ("protocol", "a_hi", "a_lo", "a_port", "b_hi", "b_lo", "b_port"))
            if key not in truth or key in judged or row["class"] in ("multicast", "broadcast"):
                continue
            judged.add(key)
            kind = "dns_" if row["protocol"] == 17 else ""
            right = row["a_is_client"] == truth[key]
            made[f"{kind}right" if right else f"{kind}wrong"] += 1
            if not right:
                made[f"{kind}flagged"] += row["method"] == 9
                made[f"wrong_method_{row['method']}"] += 1
                if "-v" in sys.argv:
                    print("   ", paths[0].name, row["a_port"], row["b_port"], row["method"])
    return made


def main() -> None:
    """Print the table."""
    from tests.conftest import corpora_directory

    numbers = [each for each in sys.argv[1:] if each.isdigit()]
    step = int(numbers[0]) if numbers else 1
    print(
        f"{'class':6}{'variant':10}{'right':>7}{'wrong':>7}{'%':>8}{'stated':>8}{'guesses among wrong':>21}{'DNS right/wrong':>18}"
    )
    for group in GROUPS:
        for variant in VARIANTS:
            each = measure(corpora_directory(), group, variant, step)
            total = each["right"] + each["wrong"]
            share = 100 * each["right"] / total if total else 0.0
            dns = f"{each['dns_right']}/{each['dns_wrong']}"
            wrong = {name: count for name, count in sorted(each.items()) if name.startswith("wrong_method")}
            counts = f"{each['right']:7}{each['wrong']:7}{share:8.2f}{STATED[group, variant]:8.1f}{each['flagged']:21}"
            print(f"{group:6}{variant:10}{counts}{dns:>18}", wrong or "")


if __name__ == "__main__":
    main()
