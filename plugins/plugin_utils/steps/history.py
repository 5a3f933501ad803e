# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recorded traffic from the store, for replay and impact, and bound to devices for learning."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import store
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.binding import bound_rollup
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.noise import Noise, noise_in
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.threats import known_threats
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.evidence import BoundRow
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.history import (
    SeenConversation,
    address_of,
    seen_conversations,
)


def window(data_dir: Path, days: int | None) -> date | None:
    """Return the first day of the last ``days`` recorded days, or None for all of them."""
    stored = store.stored_days(data_dir)
    if not days or not stored:
        return None
    return max(stored) - timedelta(days=days - 1)


def noise_of(data_dir: Path, since: date | None = None, declared: Iterable[str] = ()) -> Noise:
    """Return what is noise in the store; ``declared`` are networks of scanners that the site knows."""
    return noise_in(data_dir, since, declared=declared, threats=known_threats(data_dir))


def recorded_history(data_dir: Path, days: int | None = None) -> list[SeenConversation]:
    """Return one value per recorded conversation of the window, scans marked; empty where nothing is recorded."""
    since = window(data_dir, days)
    if not store.stored_days(data_dir):
        return []
    scans = noise_of(data_dir, since).of("scan")
    merged: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in store.rollup(data_dir, since).to_pylist():
        key = tuple(
            row[name]
            for name in ("client_hi", "client_lo", "server_hi", "server_lo", "protocol", "server_port", "class")
        )
        known = merged.setdefault(key, {**row, "flows": 0, "answered_flows": 0, "days": set()})
        known["flows"] += row["flows"]
        known["answered_flows"] += row["answered_flows"]
        known["days"].add(row["day"])
        known["first_us"] = min(known["first_us"], row["first_us"])
        known["last_us"] = max(known["last_us"], row["last_us"])
        known["method"] = min(known["method"], row["method"])
        known["minimum_client_port"] = min(known["minimum_client_port"], row["minimum_client_port"])
        pair = address_of(row["client_hi"], row["client_lo"]), address_of(row["server_hi"], row["server_lo"])
        known["scan"] = (*pair, row["protocol"], row["server_port"]) in scans
    return seen_conversations({**row, "days": len(row["days"])} for row in merged.values())


def bound_rows(data_dir: Path, days: int | None = None, declared: Iterable[str] = ()) -> tuple[list[BoundRow], Noise]:
    """Return the window's daily rollup rows bound to devices by time, and the noise among them.

    Binding is the flows room's interval join (facts/flows.md section 5: never a static map); an address that several devices held
    at the time is bound to none.
    """
    since = window(data_dir, days)
    report = noise_of(data_dir, since, declared)
    rows = []
    for row in bound_rollup(data_dir, since).to_pylist():
        client = address_of(row["client_hi"], row["client_lo"])
        server = address_of(row["server_hi"], row["server_lo"])
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
                noise=report.reasons.get((client, server, row["protocol"], row["server_port"]), ""),
            )
        )
    return rows, report


def address_text(family: int, address: int) -> str:
    """Return an address as text."""
    return str(ipaddress.IPv4Address(address) if family == 4 else ipaddress.IPv6Address(address))
