# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Telemetry quality: what each exporter's records allow later steps to claim, as a ceiling with its reasons.

Two things are put together: what the decoders noted of an input (sampling, losses, missing templates, impossible times; ``inputs.json``),
of exporters and of their interfaces, where a packet that an interface dropped is one that its exporter or tap never told of,
and what only the store can tell (``observers.parquet`` of each day): conversations of which just one side is seen, those that another
exporter saw too, and how far its clock is from the other's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

# Of TCP conversations with four packets and more one way, how many may lack the other way before no silence counts as one.
ONE_SIDED_SHARE = 0.2
FEW_CONVERSATIONS = 20
LOST_SHARE = 0.001
SKEW_US = 1_000_000
CEILINGS = {
    "sampled": 0.7,
    "lost": 0.9,
    "dropped": 0.9,
    "templates": 0.9,
    "one_sided": 0.8,
    "skew": 0.95,
    "times": 0.9,
}


@dataclass(frozen=True)
class Ceiling:
    """What may be claimed from one exporter's records.

    ``ceiling`` (0 to 1) bounds the confidence of what rests on it. ``absence`` says that what was not seen did not happen;
    ``silence`` that an opener without an answer in the records had none; ``order`` that its times compare with other exporters'.
    """

    exporter: str
    ceiling: float
    absence: bool
    silence: bool
    order: bool
    reasons: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for results."""
        return {
            "ceiling": self.ceiling,
            "absence": self.absence,
            "silence": self.silence,
            "order": self.order,
            "reasons": list(self.reasons),
        }


def observed(rows: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """Sum the daily rows of ``observers.parquet`` by exporter."""
    made: dict[str, dict[str, int]] = {}
    for row in rows:
        own = made.setdefault(str(row["exporter"]), {})
        for name, value in row.items():
            if name not in ("day", "exporter"):
                own[name] = own.get(name, 0) + int(value or 0)
    return dict(sorted(made.items()))


def noted_by_exporter(document: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what the decoders noted of each exporter over all inputs: counters are summed, sampling and skew are the largest."""
    made: dict[str, dict[str, Any]] = {}
    for each in document["inputs"].values():
        for name, counters in each.get("quality", {}).get("exporters", {}).items():
            own = made.setdefault(name, {})
            for key, value in counters.items():
                if key in ("sampling", "last_us"):
                    own[key] = max(own.get(key, 0), value)
                elif key == "first_us":
                    own[key] = min(own.get(key, value), value)
                elif key == "skew_us":
                    own[key] = max(own.get(key, 0), value, key=abs)
                else:
                    own[key] = own.get(key, 0) + value
    for exporter, _interface, counters in _interfaces(document):
        if counters.get("dropped"):
            own = made.setdefault(exporter, {})
            own["dropped"] = own.get("dropped", 0) + counters["dropped"]
    return dict(sorted(made.items()))


def noted_by_interface(document: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """As ``noted_by_exporter`` for interfaces, by ``EXPORTER#INDEX``, or ``TAP#NUMBER NAME`` of a capture."""
    made: dict[str, dict[str, int]] = {}
    for exporter, interface, counters in _interfaces(document):
        own = made.setdefault(f"{exporter}#{interface}", {})
        for key, value in counters.items():
            same = key in ("sampling", "link_type")
            own[key] = max(own.get(key, 0), value) if same else own.get(key, 0) + value
    return dict(sorted(made.items()))


def _interfaces(document: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, int]]]:
    """Yield (exporter or tap, interface, counters) of all inputs."""
    for each in document["inputs"].values():
        quality = each.get("quality", {})
        taps = list(quality.get("exporters", {}))
        for name, counters in quality.get("interfaces", {}).items():
            exporter, mark, index = name.rpartition("#")
            if quality.get("kind") != "pcap" and mark:
                yield exporter, index, counters
            elif len(taps) == 1:
                yield taps[0], name, counters


def ceiling_of(exporter: str, noted: Mapping[str, int], seen: Mapping[str, int]) -> Ceiling:
    """Return the ceiling of one exporter or interface from the decoders' counters and the store's sums (either may be empty)."""
    reasons: dict[str, str] = {}
    sampling = int(noted.get("sampling", 1) or 1)
    if sampling > 1:
        reasons["sampled"] = f"one packet in {sampling} is looked at"
    datagrams, records, lost = (int(noted.get(name, 0)) for name in ("datagrams", "records", "lost"))
    # Of an interface it is samples that are counted.
    told, what = (datagrams, "export datagrams") if datagrams else (records, "samples")
    if lost and lost > LOST_SHARE * (told + lost):
        reasons["lost"] = f"{lost} of {told + lost} {what} were lost"
    dropped, packets = int(noted.get("dropped", 0)), int(noted.get("packets", 0)) or records
    if dropped and dropped > LOST_SHARE * (packets + dropped):
        reasons["dropped"] = f"{dropped} of {packets + dropped} packets were dropped before anybody looked at them"
    if noted.get("undecoded_sets"):
        reasons["templates"] = f"{noted['undecoded_sets']} data sets came without their template"
    if noted.get("impossible_times"):
        reasons["times"] = f"{noted['impossible_times']} records had impossible times"
    long, one_sided = int(seen.get("long_flows", 0)), int(seen.get("one_sided_flows", 0))
    if long >= FEW_CONVERSATIONS and one_sided > ONE_SIDED_SHARE * long:
        reasons["one_sided"] = f"{one_sided} of {long} longer TCP conversations are seen from one side only"
    skew = mean_skew(seen)
    if skew is not None and abs(skew) > SKEW_US:
        reasons["skew"] = f"its clock is {skew / 1e6:+.1f} s from that of the others"
    ceiling = 1.0
    for reason in reasons:
        ceiling = min(ceiling, CEILINGS[reason])
    return Ceiling(
        exporter,
        ceiling,
        not {"sampled", "lost", "dropped", "templates"} & set(reasons),
        not {"sampled", "lost", "dropped", "templates", "one_sided"} & set(reasons),
        not {"skew", "times"} & set(reasons),
        tuple(reasons.values()),
    )


def mean_skew(seen: Mapping[str, int]) -> int | None:
    """Return by how many microseconds an exporter's starts are later than others' of the same conversations; None where too few."""
    pairs = int(seen.get("pairs", 0))
    return None if pairs < FEW_CONVERSATIONS else int(seen["later_us"]) // pairs
