# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recorded traffic from the store, for replay and impact, and bound to devices for learning."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.intervals import read_intervals
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import store
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.address import columns_of_int, range_sql
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.noise import Noise, NoiseLimits, noise_in
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.operations.engine import DuckEngine, quoted
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.operations.gate import MEMBERS, FlowGate
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.operations.learning import (
    APPROVED,
    DAYS_A_COLUMN,
    KINDS,
    MARKS,
    MOST_COLUMNS,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.related import bootstrap, related_in
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.schema import arrow_schema
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.threats import known_threats
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.evidence import RELATED, Gathered, gathered
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.holding import Holding, holding_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.incidence import coded
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.misplaced import Placing, placing_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import (
    NEVER_DROPPED,
    Segment,
    Site,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.history import (
    Columns,
    SeenConversation,
    address_of,
    columns_of_table,
    joined,
    seen_conversations,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.holders import Holders

pa = guarded("pyarrow")

MOST_DAYS = DAYS_A_COLUMN * MOST_COLUMNS


def window(data_dir: Path, days: int | None) -> date | None:
    """Return the first day of the last ``days`` recorded days, or None for all of them.

    Days that have not come yet do not count as the last beside others: where a clock ran ahead, nothing else would be looked at.
    """
    if not days:
        return None
    newest = store.newest(store.rollup_days(data_dir))
    return newest - timedelta(days=days - 1) if newest else None


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
    if not store.rollup_days(data_dir):
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
    if not store.rollup_days(data_dir):
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


def recorded_evidence(
    data_dir: Path,
    days: int | None = None,
    declared: Iterable[str] = (),
    *,
    members: Mapping[str, str] | None = None,
    networks: Any = None,
    kinds: Mapping[str, str] | None = None,
    approved: Sequence[Mapping[str, Any]] = (),
    engine: str = "",
    limits: NoiseLimits | None = None,
    kept: Collection[str] | None = None,
    segments: Sequence[Segment] = (),
) -> tuple[Gathered, Noise]:
    """Return what the window's rollup says of each candidate rule, and the noise in it.

    Binding is the flows room's interval join (facts/flows.md section 5: never a static map); an address that several devices held
    at the time is bound to none. ``members`` are devices and their segments, ``networks`` as ``FlowGate.bind`` takes them, ``kinds`` what
    devices are, ``approved`` rows of what people approved (``learning.APPROVED``), ``declared`` networks of scanners and pollers,
    ``kept`` devices about whose place a person has decided; with None no device is looked at for its place. ``segments`` are all there
    are: devices in the wrong one are taken for members of a holding segment (learn/holding.py).
    """
    # Learning tells so many days apart; what one record of an unset clock says of 1970 must not push all others out.
    since = window(data_dir, min(days or MOST_DAYS, MOST_DAYS))
    declared = tuple(declared)
    report = noise_of(data_dir, since, declared, limits)
    related = related_in(data_dir, since)
    marks: dict[Any, str] = {pair: f"{RELATED}{control}" for pair, control in related.items()}
    marks |= report.reasons
    intervals = read_intervals(data_dir)
    placing, holding = Placing(), Holding()

    def doubt(habits: Any) -> tuple[Mapping[str, str], Mapping[str, str]]:
        nonlocal placing, holding
        placing = placing_of(_rows(habits), kept or ())
        holding = holding_of(placing.misplaced, segments)
        return holding.of, {each.device: each.like for each in placing.misplaced}

    with FlowGate(data_dir, since, engine=engine) as gate:
        gate.bind(intervals, _table(MEMBERS, members), networks)
        tables = gate.learning(
            _marks_table(marks) if marks else None,
            _table(tuple(KINDS), kinds),
            pa.Table.from_pylist([dict(row) for row in approved], schema=arrow_schema(APPROVED)) if approved else None,
            _declared_condition(intervals, declared),
            doubt=None if kept is None else doubt,
            alone=[each.name for each in segments if each.criticality in NEVER_DROPPED],
        )
    made = gathered(tables)
    return replace(made, misplaced=placing.misplaced, settled=placing.settled, holding=holding.models), report


def _rows(table: Any) -> Iterator[tuple[Any, ...]]:
    """Return a table's rows. A text that many rows have is one object: sets and mappings then find it without comparing letters."""
    columns = []
    for column in table.columns:
        if pa.types.is_string(column.type):
            codes, names = coded(column)
            columns.append([names[code] for code in codes.tolist()])
        else:
            columns.append(column.to_pylist())
    return zip(*columns, strict=True)


def _table(names: Sequence[str], pairs: Mapping[str, str] | None) -> Any:
    if not pairs:
        return None
    return pa.table({names[0]: list(pairs), names[1]: list(pairs.values())})


def _marks_table(marks: Mapping[Any, str]) -> Any:
    """Return conversations and their marks as the relation ``marks``."""
    rows = [
        (*columns_of_int(*client), *columns_of_int(*server), protocol, port) for client, server, protocol, port in marks
    ]
    columns: dict[str, Any] = {name: [row[place] for row in rows] for place, name in enumerate(MARKS) if name != "mark"}
    return pa.table({**columns, "mark": list(marks.values())}, schema=arrow_schema(MARKS))


def _declared_condition(intervals: Any, declared: Sequence[str]) -> str:
    """Return the condition on ``pairs`` that the site knows the client as a scanner or poller: by the devices that held the addresses."""
    if not declared or not intervals.num_rows:
        return "false"
    with DuckEngine() as engine:
        engine.table("intervals", intervals)
        inside = " OR ".join(range_sql(each, "address") for each in declared)
        found = engine.rows(
            f"SELECT DISTINCT device FROM intervals WHERE {inside} ORDER BY device", {"device": "string"}
        )
    devices = ", ".join(quoted(name) for name in found.column("device").to_pylist())
    return f"client_device IN ({devices})" if devices else "false"
