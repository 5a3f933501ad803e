# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Address intervals: which device held an address, from when to when, and how sure that is.

Claims of one address are laid over each other. Where claims of two devices overlap, the surer one holds it; where they are alike, nobody
does (the interval is contested). Between two sightings of one device, with nobody else in between, the device held it. Before the first
sighting and after the last, and in a gap between two devices, the nearest device is assumed, with little confidence.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError, Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.address import columns_of

pa = guarded("pyarrow")
parquet = guarded("pyarrow.parquet")

FIRST, LAST = -(1 << 62), 1 << 62
ASSUMED = "assumed"
ASSUMED_CONFIDENCE = 0.5
ALIKE = 0.1
COLUMNS = ("address_hi", "address_lo", "from_us", "to_us", "device", "source", "confidence")


@dataclass(frozen=True, order=True, slots=True)
class Claim:
    """A device's claim to an address: closed on both sides, microseconds since 1970 UTC."""

    since: int
    until: int
    device: str
    source: str
    confidence: float


@dataclass(frozen=True, order=True, slots=True)
class Interval:
    """A device holds an address from ``from_us`` to before ``to_us``; FIRST and LAST stand for open ends.

    ``contested`` intervals belong to nobody: each claimant has one.
    """

    address: str
    from_us: int
    to_us: int
    device: str
    source: str
    confidence: float
    contested: bool = False

    def covers(self, micros: int) -> bool:
        """Return whether the moment lies within."""
        return self.from_us <= micros < self.to_us


@dataclass(frozen=True, slots=True)
class _Span:
    start: int
    end: int
    holders: tuple[tuple[str, str, float], ...]  # (device, source, confidence), more than one where contested


def intervals_of(address: str, claims: Iterable[Claim]) -> list[Interval]:
    """Return the intervals of one address, ordered by time; the order of the claims does not matter."""
    known = sorted(set(claims))
    if not known:
        return []
    spans = _joined(_laid_over(known))
    made = [
        Interval(address, span.start, span.end, device, source, confidence, len(span.holders) > 1)
        for span in spans
        for device, source, confidence in span.holders
    ]
    for before, after in zip(spans, spans[1:], strict=False):
        if before.end < after.start:
            made += _assumed(address, before.end, after.start, before)
    made += _assumed(address, FIRST, spans[0].start, spans[0])
    made += _assumed(address, spans[-1].end, LAST, spans[-1])
    return sorted(made)


def _assumed(address: str, start: int, end: int, near: _Span) -> list[Interval]:
    if len(near.holders) > 1 or start >= end:
        return []
    device, source, confidence = near.holders[0]
    return [Interval(address, start, end, device, f"{ASSUMED}:{source}", min(confidence, ASSUMED_CONFIDENCE))]


def _laid_over(claims: Sequence[Claim]) -> list[_Span]:
    """Return the stretches that claims cover, cut where the set of claims changes."""
    bounds = sorted({each.since for each in claims} | {each.until + 1 for each in claims})
    spans = []
    for start, end in zip(bounds, bounds[1:], strict=False):
        best: dict[str, tuple[str, float]] = {}
        for each in claims:
            if each.since <= start and each.until + 1 >= end:
                before = best.get(each.device)
                if before is None or (-each.confidence, each.source) < (-before[1], before[0]):
                    best[each.device] = (each.source, each.confidence)
        if best:
            top = max(confidence for _source, confidence in best.values())
            holders = sorted((device, source, sure) for device, (source, sure) in best.items() if sure > top - ALIKE)
            spans.append(_Span(start, end, tuple(holders)))
    return spans


def _joined(spans: Sequence[_Span]) -> list[_Span]:
    """Return spans with neighbours of one and the same single device made one, over gaps too."""
    made: list[_Span] = []
    for span in spans:
        last = made[-1] if made else None
        if (
            last is not None
            and len(span.holders) == len(last.holders) == 1
            and span.holders[0][0] == last.holders[0][0]
        ):
            (device, source, sure), (_device, other_source, other_sure) = last.holders[0], span.holders[0]
            best = min((-sure, source), (-other_sure, other_source))
            made[-1] = _Span(last.start, span.end, ((device, best[1], min(sure, other_sure)),))
        elif last is not None and span.holders == last.holders and span.start == last.end:
            made[-1] = _Span(last.start, span.end, span.holders)
        else:
            made.append(span)
    return made


def interval_table(intervals: Iterable[Interval]) -> Any:
    """Return the Arrow table of ``addresses.parquet``; contested intervals stand once, with an empty device."""
    rows = set()
    for each in intervals:
        hi, lo = columns_of(each.address)
        if each.contested:
            rows.add((hi, lo, each.from_us, each.to_us, "", "contested", 0.0))
        else:
            rows.add((hi, lo, each.from_us, each.to_us, each.device, each.source, each.confidence))
    columns = list(zip(*sorted(rows), strict=True)) or [()] * len(COLUMNS)
    types = (pa.int64(), pa.int64(), pa.int64(), pa.int64(), pa.string(), pa.string(), pa.float32())
    metadata = {"kind": "addresses", "schema_version": "1.0"}
    fields = [pa.field(name, kind) for name, kind in zip(COLUMNS, types, strict=True)]
    return pa.table(
        [pa.array(values, type=kind) for values, kind in zip(columns, types, strict=True)],
        schema=pa.schema(fields, metadata),
    )


def read_intervals(data_dir: str | Path) -> Any:
    """Return the Arrow table of ``addresses.parquet``, empty where there is none; raises FindingError SW1311 where it is damaged."""
    path = Path(data_dir) / "register" / "addresses.parquet"
    if not path.exists():
        return interval_table(())
    try:
        table = parquet.read_table(path)
    except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
        raise FindingError(
            codes.REGISTER_DAMAGED.at(f"not a Parquet file ({type(error).__name__})", Location(str(path)))
        ) from error
    metadata = table.schema.metadata or {}
    version = metadata.get(b"schema_version", b"").split(b".")[0]
    if metadata.get(b"kind") != b"addresses" or version != b"1":
        raise FindingError(
            codes.REGISTER_DAMAGED.at("not a file of address intervals that this version reads", Location(str(path)))
        )
    return table.select(list(COLUMNS))
