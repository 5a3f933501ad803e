# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sampling rates of NetFlow v9 and IPFIX: what option records say, and which of it holds for a record.

A rate is told of the whole device, of a sampler (records name theirs) or of an interface (records name those they came in and went out
by). Rates are kept by one number each: ``ANY``, a sampler's number from 0, or ``of_interface``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded

np = guarded("numpy")

ANY = -1
LARGEST_RATE = (1 << 31) - 1
# Numbers in records are at most this (``export_records.Columns``).
LARGEST_NUMBER = (1 << 62) - 1
INTERVAL, SAMPLER, PACKET_INTERVAL, PACKET_SPACE = (34, 50), (48, 302), 305, 306
INPUT, OUTPUT, DIRECTION, EGRESS = (10, 252), (14, 253), 61, 1
# Scopes of v9 (RFC 3954, section 6.1) have numbers of their own, which stand here below 0.
INTERFACE_SCOPE = -2
MOST_INTERFACES = 4096


def of_interface(number: int) -> int:
    """Return the key of an interface's rate. Interface 0 is none: what is said of it holds for the device."""
    return ANY - number


def told(values: Mapping[int, int]) -> tuple[int, int] | None:
    """Return (key, rate) of an option record's integers by element, scopes of v9 as negative numbers; None where it tells no rate."""
    rate = next((values[each] for each in INTERVAL if values.get(each)), 0)
    if not rate and values.get(PACKET_INTERVAL):
        rate = (values[PACKET_INTERVAL] + values.get(PACKET_SPACE, 0)) // values[PACKET_INTERVAL]
    if not rate:
        return None
    sampler = next((values[each] for each in reversed(SAMPLER) if each in values), None)
    interface = next((values[each] for each in (INTERFACE_SCOPE, *INPUT, *OUTPUT) if each in values), 0)
    key = of_interface(min(interface, LARGEST_NUMBER)) if sampler is None else min(sampler, LARGEST_NUMBER)
    return key, min(rate, LARGEST_RATE)


def of_records(columns: Any, rates: Mapping[int, int]) -> Any:
    """Return the rate of each record: an array, or one number where all have the same.

    What the record says itself holds, then its sampler's rate, its interface's, the device's. Where records name no interface,
    the largest rate of any does.
    """
    samplers = {key: rate for key, rate in rates.items() if key >= 0}
    ports = {ANY - key: rate for key, rate in rates.items() if key < ANY}
    general = rates.get(ANY, 0)
    if not general and not ports and len(set(samplers.values())) == 1:
        general = next(iter(samplers.values()))
    made: Any = max(general, 1)
    if ports:
        watching = interface_of(columns)
        made = max(made, *ports.values()) if watching is None else _looked_up(watching, ports, made)
    sampler = columns.integer(*SAMPLER)
    if sampler is not None and samplers:
        made = _looked_up(sampler, samplers, made)
    own = columns.integer(*INTERVAL)
    if own is not None:
        made = np.where(own > 0, own, made)
    interval, space = columns.integer(PACKET_INTERVAL), columns.integer(PACKET_SPACE)
    if interval is not None and space is not None:
        made = np.where(interval > 0, (interval + space) // np.maximum(interval, 1), made)
    return np.clip(made, 1, LARGEST_RATE) if isinstance(made, np.ndarray) else min(made, LARGEST_RATE)


def _looked_up(numbers: Any, rates: Mapping[int, int], otherwise: Any) -> Any:
    known = sorted(rates)
    keys = np.array(known, dtype=np.int64)
    values = np.array([rates[each] for each in known], dtype=np.int64)
    places = np.minimum(np.searchsorted(keys, numbers), len(keys) - 1)
    return np.where(keys[places] == numbers, values[places], otherwise)


def interface_of(columns: Any) -> Any:
    """Return the interface that watched each record: where it came in, or went out if it was watched there; None if unsaid."""
    numbers, direction = columns.integer(*INPUT), columns.integer(DIRECTION)
    left = columns.integer(*OUTPUT) if direction is not None else None
    if left is None:
        return numbers
    return left if numbers is None else np.where(direction == EGRESS, left, numbers)


def by_interface(columns: Any, rates: Any) -> dict[int, tuple[int, int]]:
    """Return (records, largest rate) by the interface that watched; ``rates`` as ``of_records`` returns them."""
    numbers = interface_of(columns)
    if numbers is None:
        return {}
    largest: Any = None
    if int(numbers.max()) < 1 << 16:
        counts = np.bincount(numbers)
        values = np.flatnonzero(counts)[:MOST_INTERFACES]
        sums = counts[values]
        if isinstance(rates, np.ndarray):
            each = np.zeros(len(counts), dtype=np.int64)
            np.maximum.at(each, numbers, rates)
            largest = each[values]
    else:
        values, places, sums = np.unique(numbers, return_inverse=True, return_counts=True)
        if isinstance(rates, np.ndarray):
            largest = np.zeros(len(values), dtype=np.int64)
            np.maximum.at(largest, places, rates)
        values, sums = values[:MOST_INTERFACES], sums[:MOST_INTERFACES]
    most = [rates] * len(values) if largest is None else largest.tolist()
    return {number: (count, rate) for number, count, rate in zip(values.tolist(), sums.tolist(), most, strict=False)}
