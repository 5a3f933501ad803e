# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions to the deny evidence: who was refused what, where, by which entry, how often; and opens that nobody answered.

Denials are what devices logged, with their limits: rates, first packets, intervals. Their absence proves nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.clock import iso_of_micros
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import address, kept, store
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.operations.gate import FlowGate
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.ports import (
    PROTOCOLS,
    port_name,
    protocol_number,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.search import service_sql

NAMES = {number: name for name, number in PROTOCOLS.items()}


def from_records(rows: Any) -> Any:
    """Return the denials that records of an exporter's flow-denied events are (NSEL)."""
    made = [
        {
            "time_us": row["start_us"],
            "packets": max(1, row["packets"]),
            "point": row["exporter"],
            "platform": "nsel",
            "list": "",
            "entry": "",
            "interface": "",
            "source_sgt": -1,
            "target_sgt": -1,
            "message": "flow denied",
            "input": row["source"],
            **{name: row[name] for name in kept.DENIES if name in row and name not in ("packets",)},
        }
        for row in rows.to_pylist()
    ]
    return kept.table_of("denies", made)


def deny_rows(
    data_dir: str | Path,
    since: str = "",
    until: str = "",
    client: str = "",
    server: str = "",
    protocol: str = "",
    port: int = 0,
    *,
    address_of_either: str = "",
    service: str = "",
    unanswered: bool = False,
    limit: int = 0,
    engine: str | None = "",
) -> list[dict[str, Any]]:
    """Return denials summed for each source, target, service and entry, those with most packets first, at most ``limit`` (0 for all).

    ``client`` and ``server`` are the source's and the target's address or network. With ``unanswered``, TCP opens of the rollup that got
    no answer stand among them, as platform ``flow``: what dropped them, if anything did, is not known. Raises FindingError and ValueError.
    """
    first, last = store.window_of(since, until)
    conditions = ["true"]
    for text, side in ((client, "source"), (server, "target")):
        if text:
            conditions.append(address.range_sql(text, side))
    if address_of_either:
        ends = (address.range_sql(address_of_either, side) for side in ("source", "target"))
        conditions.append(f"({' OR '.join(ends)})")
    if protocol:
        conditions.append(f"protocol = {protocol_number(protocol)}")
    if port:
        conditions.append(f"target_port = {int(port)}")
    if service:
        conditions.append(service_sql(service, "target_port"))
    with FlowGate(data_dir, first, last, engine or "") as gate:
        rows = gate.denials(" AND ".join(conditions), unanswered=unanswered, limit=int(limit)).to_pylist()
    return [_plain(row) for row in rows]


def summary(data_dir: str | Path, since: str = "", until: str = "", engine: str | None = "") -> list[dict[str, Any]]:
    """Return how many messages and packets each point and list has, in order."""
    with FlowGate(data_dir, since or None, until or None, engine or "") as gate:
        return list(gate.denial_totals().to_pylist())


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    target = row["target_hi"] is not None
    made: dict[str, Any] = {
        "source": address.text_of(row["source_hi"], row["source_lo"]),
        "target": address.text_of(row["target_hi"], row["target_lo"]) if target else "",
        "protocol": NAMES.get(row["protocol"], str(row["protocol"]) if row["protocol"] else "ip"),
        "service": port_name(row["protocol"], row["target_port"]),
        "first": iso_of_micros(row["first_us"]),
        "last": iso_of_micros(row["last_us"]),
    }
    for name in ("target_port", "packets", "messages", "platform", "point", "list", "entry"):
        made[name] = row[name]
    for name in ("source_sgt", "target_sgt"):
        if row[name] >= 0:
            made[name] = row[name]
    return made
