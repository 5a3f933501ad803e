# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recorded traffic from the store, for replay and impact, and bound to devices for learning."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.intervals import read_intervals
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import store
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.binding import bound_rollup
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.noise import Noise, NoiseLimits, noise_in
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.operations.gate import FlowGate
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.related import bootstrap, related_in
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.threats import known_threats
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.evidence import BoundRow
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.history import (
    Columns,
    SeenConversation,
    address_of,
    address_text,
    columns_of_table,
    joined,
    seen_conversations,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.holders import Holders


def window(data_dir: Path, days: int | None) -> date | None:
    """Return the first day of the last ``days`` recorded days, or None for all of them."""
    stored = store.stored_days(data_dir)
    if not days or not stored:
        return None
    return max(stored) - timedelta(days=days - 1)


def noise_of(
    data_dir: Path, since: date | None = None, declared: Iterable[str] = (), limits: NoiseLimits | None = None
) -> Noise:
    """Return what is noise in the store; ``declared`` are networks of scanners that the site knows."""
    return noise_in(data_dir, since, declared=declared, threats=known_threats(data_dir), limits=limits)


def recorded_history(
    data_dir: Path, days: int | None = None, *, engine: str = "", limits: NoiseLimits | None = None
) -> list[SeenConversation]:
    """Return one value per recorded conversation of the window, scans, related and bootstrap traffic marked; empty where nothing is
    recorded. ``engine`` is what sums the rollup (``microseg_flow_engine``)."""
    since = window(data_dir, days)
    if not store.stored_days(data_dir):
        return []
    scans = noise_of(data_dir, since, limits=limits).of("scan")
    related = related_in(data_dir, since)
    with FlowGate(data_dir, since, engine=engine) as gate:
        rows = gate.conversations().to_pylist()
    for row in rows:
        pair = _pair(row)
        row["scan"] = pair in scans
        row["related"] = related.get(pair, "")
        row["bootstrap"] = bootstrap(row["protocol"], row["server_port"])
    return seen_conversations(rows)


def recorded_columns(
    data_dir: Path, site: Site, days: int | None = None, *, engine: str = "", limits: NoiseLimits | None = None
) -> Columns | None:
    """Return the recorded conversations of the window as columns, scans, related and bootstrap traffic marked, each end at the address
    that its device has now. None where nothing is recorded.

    Time decides who an address was (facts/flows.md section 5): a device that has another address in the committed membership than it had
    then is replayed at the one it has now; what another device said from an address of the membership is marked as that.
    """
    since = window(data_dir, days)
    if not store.stored_days(data_dir):
        return None
    scans = noise_of(data_dir, since, limits=limits).of("scan")
    related = related_in(data_dir, since)
    intervals = read_intervals(data_dir)
    holders = Holders.of(site)
    with FlowGate(data_dir, since, engine=engine) as gate:
        steady, moved = gate.replayed(holders.moved(intervals), intervals)
    parts = [columns_of_table(steady, scans, related, bootstrap)]
    if moved is not None and moved.num_rows:
        parts.append(holders.at_present(columns_of_table(moved, scans, related, bootstrap), moved))
    return joined(parts)


def _pair(row: Mapping[str, Any]) -> tuple[tuple[int, int], tuple[int, int], int, int]:
    client, server = (address_of(row[f"{end}_hi"], row[f"{end}_lo"]) for end in ("client", "server"))
    return client, server, row["protocol"], row["server_port"]


def bound_rows(
    data_dir: Path,
    days: int | None = None,
    declared: Iterable[str] = (),
    *,
    engine: str = "",
    limits: NoiseLimits | None = None,
) -> tuple[list[BoundRow], Noise]:
    """Return the window's daily rollup rows bound to devices by time, and the noise among them.

    Binding is the flows room's interval join (facts/flows.md section 5: never a static map); an address that several devices held
    at the time is bound to none.
    """
    since = window(data_dir, days)
    report = noise_of(data_dir, since, declared, limits)
    related = related_in(data_dir, since)
    rows = []
    for row in bound_rollup(data_dir, since, engine=engine).to_pylist():
        pair = _pair(row)
        client, server = pair[:2]
        rows.append(
            BoundRow(
                day=row["day"],
                client_device=row["client_device"],
                client_address=address_text(*client),
                server_device=row["server_device"],
                server_address=address_text(*server),
                protocol=row["protocol"],
                server_port=row["server_port"],
                kind=row["class"],
                flows=row["flows"],
                answered=row["answered_flows"],
                method=row["method"],
                confidence=float(row["confidence"]),
                first_us=row["first_us"],
                last_us=row["last_us"],
                minimum_client_port=row["minimum_client_port"] or 0,
                maximum_client_port=row["maximum_client_port"] or 0,
                noise=report.reasons.get(pair, ""),
                related=related.get(pair, ""),
            )
        )
    return rows, report
