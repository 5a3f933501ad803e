# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Evidence for candidate rules: what was seen, on how many devices and days, and how sure the direction is.

Made of the sums that ``flows/operations/learning.py`` returns; nothing here walks recorded rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import lru_cache, reduce
from operator import or_
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.address import text_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.operations.learning import (
    DAYS_A_COLUMN,
    day_columns,
)

DAY_US = 86_400_000_000
EPOCH = date(1970, 1, 1)
RELATED = "related:"
# What flows flags is never evidence.
NOISE = {
    "scan": "part of a scan",
    "slow-scan": "part of a slow scan: many ends, almost each of them once or for nothing",
    "probe": "a single packet without an answer",
    "backscatter": "answers to packets that nobody here sent",
    "threat": "an end stands on a threat list",
}
# What nobody has to decide.
TO_ALL = "traffic is not addressed to a device"


@dataclass(frozen=True)
class CandidateKey:
    """What a candidate rule would permit: client segment to a segment or network, one protocol and server port."""

    client: str
    to: str
    protocol: int
    server_port: int


@dataclass(frozen=True)
class Evidence:
    """What was seen for one candidate. Counts are of devices, of pairs of them, and of conversations (``flows``); times in microseconds
    since 1970 UTC; bit n of ``hours`` says that something began in hour n of a day in UTC."""

    key: CandidateKey
    days: tuple[date, ...]
    client_devices: int = 1
    server_devices: int = 1
    pairs: int = 1
    flows: int = 1
    answered: int = 0
    bytes: int = 0
    weak_flows: int = 0
    first_us: int = 0
    last_us: int = 0
    hours: int = 0
    best_method: int = 9
    confidence: float = 0.0
    same_port: bool = False
    one_client: str = ""
    one_server: str = ""
    threat: bool = False
    # Known from an earlier run only: the recordings of this one do not hold it.
    remembered: bool = False
    # The port that every conversation came from, 0 where they came from several.
    one_client_port: int = 0

    @property
    def weeks(self) -> int:
        """Return in how many ISO weeks the candidate was seen."""
        return len({day.isocalendar()[:2] for day in self.days})

    @property
    def weekdays(self) -> tuple[int, ...]:
        """Return on which days of the week it was seen, Monday 0."""
        return tuple(sorted({day.weekday() for day in self.days}))


@dataclass(frozen=True)
class Excluded:
    """What a pair of devices did that no rule may be made of, and why. An end without a device is an address."""

    client: str
    client_segment: str
    server: str
    server_segment: str
    protocol: int
    server_port: int
    flows: int
    days: int
    first_us: int
    last_us: int
    mark: str
    reason: str


@dataclass(frozen=True)
class Strays:
    """Conversations that one pair of devices tried on one day without an answer, counted by segments; one port as an example.

    ``lone``: it stands for its port alone, so that a person can decide about it.
    """

    client: str
    to: str
    protocol: int
    conversations: int
    flows: int
    server_port: int
    first_us: int
    last_us: int
    lone: bool = False

    @property
    def key(self) -> CandidateKey:
        """Return what a rule for it would permit."""
        return CandidateKey(self.client, self.to, self.protocol, self.server_port)

    @property
    def evidence(self) -> Evidence:
        """Return it as evidence, for a rule that a person has approved."""
        day = EPOCH + timedelta(days=self.first_us // DAY_US)
        return Evidence(
            self.key, (day,), flows=self.flows, first_us=self.first_us, last_us=self.last_us, confidence=1.0
        )


@dataclass(frozen=True)
class Gathered:
    """Candidates with evidence, and what was left out with its reason.

    ``excluded`` names the busiest of what ``excluded_counts`` counts by reason. ``kinds`` has, by (kind, protocol, port), the client
    segments in which devices of that kind were answered, with how many; ``servers`` by (protocol, port) the segments that served it, with
    (servers, clients).
    """

    candidates: Mapping[CandidateKey, Evidence]
    excluded: tuple[Excluded, ...] = ()
    excluded_counts: Mapping[str, int] = field(default_factory=dict)
    strays: tuple[Strays, ...] = ()
    bootstrap: int = 0
    related: Mapping[tuple[str, str, str], int] = field(default_factory=dict)
    kinds: Mapping[tuple[str, int, int], Mapping[str, int]] = field(default_factory=dict)
    servers: Mapping[tuple[int, int], Mapping[str, tuple[int, int]]] = field(default_factory=dict)
    conversations: int = 0
    flows: int = 0
    first_day: date = EPOCH
    days: int = 0
    # What ``incidence.py`` reads; an Arrow table, None where nothing was asked.
    incidences: Any = field(default=None, compare=False, repr=False)
    # Devices whose traffic is no evidence (``misplaced.py``).
    misplaced: tuple[Any, ...] = ()
    # Segments all of whose other devices have its usual habits.
    settled: frozenset[str] = frozenset()
    # Holding segments of those devices, each with the segments that they may belong to, the likeliest first (``holding.py``).
    holding: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def gathered(tables: Mapping[str, Any]) -> Gathered:
    """Return the evidence of the tables of ``FlowGate.learning``."""
    first_us, days = int(tables["first_us"]), int(tables["days"])
    first = EPOCH + timedelta(days=first_us // DAY_US)
    names = day_columns(days)
    rows = tables["candidates"].to_pylist()
    found = [_evidence(row, first, names) for row in rows]
    counts: dict[str, int] = {}
    bootstrap = 0
    for row in tables["excluded_counts"].to_pylist():
        if row["mark"] == "bootstrap":
            bootstrap += row["rollup_rows"]
            continue
        reason = reason_of(row)
        counts[reason] = counts.get(reason, 0) + row["pairs"]
    kinds: dict[tuple[str, int, int], dict[str, int]] = {}
    for row in tables["by_kind"].to_pylist():
        kinds.setdefault((row["kind"], row["protocol"], row["server_port"]), {})[row["client_segment"]] = row["devices"]
    servers: dict[tuple[int, int], dict[str, tuple[int, int]]] = {}
    for row in tables["servers"].to_pylist():
        own = servers.setdefault((row["protocol"], row["server_port"]), {})
        own[row["server_segment"]] = (row["servers"], row["clients"])
    total = tables["conversations"].to_pylist()[0]
    return Gathered(
        {each.key: each for each in found},
        tuple(_excluded(row, names) for row in tables["excluded"].to_pylist()),
        counts,
        tuple(_strays(row) for row in tables["strays"].to_pylist()),
        bootstrap,
        {
            (row["mark"].removeprefix(RELATED), row["client_segment"], row["server_segment"]): row["flows"]
            for row in tables["related"].to_pylist()
        },
        kinds,
        servers,
        total["conversations"],
        total["flows"],
        first,
        days if total["conversations"] else 0,
        tables.get("incidences"),
    )


def joined(parts: Sequence[Evidence], busiest: Evidence) -> Evidence:
    """Return the evidence of several ports of one service between the same ends as one, under the key of the busiest.

    Devices are at least as many as the most of one port, and as the different ones that ports had alone.
    """
    alone = {each.one_client for each in parts if each.client_devices == 1 and each.one_client}
    served = {each.one_server for each in parts if each.server_devices == 1 and each.one_server}
    return replace(
        busiest,
        days=tuple(sorted({day for each in parts for day in each.days})),
        client_devices=max(len(alone), *(each.client_devices for each in parts)),
        server_devices=max(len(served), *(each.server_devices for each in parts)),
        pairs=max(each.pairs for each in parts),
        flows=sum(each.flows for each in parts),
        answered=sum(each.answered for each in parts),
        bytes=sum(each.bytes for each in parts),
        weak_flows=sum(each.weak_flows for each in parts),
        first_us=min(each.first_us for each in parts),
        last_us=max(each.last_us for each in parts),
        hours=reduce(or_, (each.hours for each in parts)),
        best_method=min(each.best_method for each in parts),
        confidence=max(each.confidence for each in parts),
        threat=any(each.threat for each in parts),
    )


def days_of(row: Mapping[str, Any], first: date, names: Iterable[str]) -> tuple[date, ...]:
    """Return the days that a row's bits name."""
    return _days_of_bits(first, tuple(int(row[name]) for name in names))


# Most of what is seen seldom was seen on the same few days.
@lru_cache(maxsize=1 << 12)
def _days_of_bits(first: date, columns: tuple[int, ...]) -> tuple[date, ...]:
    made = []
    for number, bits in enumerate(columns):
        while bits:
            low = bits & -bits
            made.append(first + timedelta(days=number * DAYS_A_COLUMN + low.bit_length() - 1))
            bits ^= low
    return tuple(made)


def _evidence(row: Mapping[str, Any], first: date, names: tuple[str, ...]) -> Evidence:
    port = row["server_port"]
    return Evidence(
        CandidateKey(row["client_segment"], row["server_segment"], row["protocol"], port),
        days_of(row, first, names),
        row["client_devices"],
        row["server_devices"] + row["server_addresses"],
        row["pairs"],
        row["flows"],
        row["answered_flows"],
        row["bytes"],
        row["weak_flows"],
        row["first_us"],
        row["last_us"],
        row["hours"],
        row["method"],
        float(row["confidence"]),
        row["minimum_client_port"] == row["maximum_client_port"] == port,
        row["client_device"] or "",
        row["server_device"] or "",
        bool(row["threats"]),
        one_client_port=row["minimum_client_port"] if row["minimum_client_port"] == row["maximum_client_port"] else 0,
    )


def _excluded(row: Mapping[str, Any], names: tuple[str, ...]) -> Excluded:
    client, server = (
        row[f"{end}_device"] or text_of(row[f"{end}_hi"], row[f"{end}_lo"]) for end in ("client", "server")
    )
    flags = {
        "unknown_client": row["client_device"] == "",
        "unplaced_client": row["client_segment"] == "",
        "unknown_server": row["server_device"] == "",
        "unplaced_server": row["server_segment"] == "",
    }
    days = sum(int(row[name]).bit_count() for name in names)
    return Excluded(
        client, row["client_segment"], server, row["server_segment"], row["protocol"], row["server_port"], row["flows"], days,
        row["first_us"], row["last_us"], row["mark"], reason_of({**row, **flags}),
    )  # fmt: skip


def _strays(row: Mapping[str, Any]) -> Strays:
    return Strays(
        row["client_segment"], row["server_segment"], row["protocol"], row["conversations"], row["flows"], row["server_port"],
        row["first_us"], row["last_us"], row["lone"] >= 0,
    )  # fmt: skip


def reason_of(row: Mapping[str, Any]) -> str:
    """Return why no rule may be made of a pair; the first that holds."""
    mark = str(row["mark"])
    if mark in NOISE:
        return NOISE[mark]
    if row["class"] in ("multicast", "broadcast"):
        return f"{row['class']} {TO_ALL}"
    if row["binding"] == "ambiguous":
        return "several devices claim an end's address at that time"
    if row["unknown_client"]:
        return "the client's address belongs to no known device"
    if row["unplaced_client"]:
        return "the client fits no segment"
    if row["unplaced_server"]:
        known = not row["unknown_server"]
        return "the server fits no segment" if known else "the server's address belongs to no known device"
    if mark.startswith(RELATED):
        return related_reason(mark.removeprefix(RELATED))
    return mark


def related_reason(control: str) -> str:
    """Return why a conversation on an agreed port is no candidate, and what a person can do about it."""
    return (
        f"opened on a port that a session of {control} between the same two agreed on: permit it where the point inspects {control},"
        " or as a service of the range of ports that the server is set to"
    )
