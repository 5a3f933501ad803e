# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From pairs of devices with the days they met on to what completeness asks: on which day which conversation of a segment was seen."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date, timedelta
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.operations.learning import (
    DAYS_A_COLUMN,
    day_columns,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.completeness import Incidence
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.evidence import CandidateKey
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Segment

np = guarded("numpy")
pc = guarded("pyarrow.compute")


def incidences(
    pairs: Any,
    first_day: date,
    days: int,
    legitimate: Collection[CandidateKey],
    segments: Mapping[str, Segment],
    sizes: Mapping[str, int],
) -> tuple[list[Incidence], list[date]]:
    """Return one ``Incidence`` for each segment, and the covered days.

    ``pairs`` is what the operation ``incidences`` returns. Only what is ``legitimate`` counts. A day on which nothing
    at all was recorded is not covered.
    """
    wanted_columns = ("client_segment", "client_device", "server_segment", "server_device")
    columns = {name: coded(pairs.column(name)) for name in wanted_columns}
    protocol, port = (pairs.column(name).to_numpy().astype(np.int64) for name in ("protocol", "server_port"))
    segment, names = columns["client_segment"]
    server, servers = columns["server_segment"]
    permission = ((segment * max(1, len(servers)) + server) << 8 | protocol) << 16 | port
    places = ({name: place for place, name in enumerate(names)}, {name: place for place, name in enumerate(servers)})
    wanted = [
        ((places[0][key.client] * len(servers) + places[1][key.to]) << 8 | key.protocol) << 16 | key.server_port
        for key in legitimate
        if key.client in places[0] and key.to in places[1]
    ]
    # By its place among those that count, in the same order: a small number.
    counted = np.unique(np.array(wanted, dtype=np.int64))
    place_of = np.searchsorted(counted, permission)
    kept = np.flatnonzero(np.append(counted, -1)[place_of] == permission)
    bits = [pairs.column(name).to_numpy() for name in day_columns(days)]
    rows: list[Any] = []
    numbers: list[Any] = []
    covered: list[date] = []
    for place in range(days):
        column = bits[place // DAYS_A_COLUMN] if place // DAYS_A_COLUMN < len(bits) else None
        if column is None:
            continue
        seen = (column >> (place % DAYS_A_COLUMN)) & 1 == 1
        if seen.any():
            met = kept[seen[kept]]
            rows.append(met.astype(np.int32))
            numbers.append(np.full(len(met), len(covered), dtype=np.int32))
            covered.append(first_day + timedelta(days=place))
    row = np.concatenate(rows) if rows else np.empty(0, dtype=np.int32)
    number = np.concatenate(numbers) if numbers else np.empty(0, dtype=np.int32)
    order = np.argsort(segment[row], kind="stable")
    row, number = row[order], number[order]
    bounds = np.searchsorted(segment[row], np.arange(len(names) + 1))
    client = columns["client_device"][0]
    code, devices = columns["server_device"]
    opened = np.where(code == devices.index(""), -1, code) if "" in devices else code
    made = []
    for name in sorted(segments):
        at = places[0].get(name)
        part = slice(bounds[at], bounds[at + 1]) if at is not None else slice(0, 0)
        own = row[part]
        made.append(
            Incidence(
                name,
                number[part],
                own,
                place_of[own],
                client[own],
                sizes.get(name, 0),
                segments[name].criticality,
                opened[own],
            )
        )
    return made, covered


def coded(column: Any) -> tuple[Any, list[str]]:
    """Return a text column as whole numbers, and the texts that they stand for."""
    found = pc.dictionary_encode(column.combine_chunks())
    found = found.chunk(0) if hasattr(found, "num_chunks") and found.num_chunks else found
    if not len(column):
        return np.empty(0, dtype=np.int64), []
    return found.indices.to_numpy(zero_copy_only=False).astype(np.int64), found.dictionary.to_pylist()
