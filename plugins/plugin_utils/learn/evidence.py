# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Evidence for candidate rules: what was seen, on how many devices and days, and how sure the direction is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date

from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.related import bootstrap as bootstrap_name


@dataclass(frozen=True)
class BoundRow:
    """One daily rollup row bound to devices. Empty device means that no device held the address at that time."""

    day: date
    client_device: str
    client_address: str
    server_device: str
    server_address: str
    protocol: int
    server_port: int
    kind: str
    flows: int
    answered: int
    method: int
    confidence: float
    first_us: int
    last_us: int
    minimum_client_port: int = 0
    maximum_client_port: int = 0
    noise: str = ""
    related: str = ""


# What flows flags is never evidence.
NOISE = {
    "scan": "part of a scan",
    "probe": "a single packet without an answer",
    "backscatter": "answers to packets that nobody here sent",
    "threat": "an end stands on a threat list",
}


@dataclass(frozen=True)
class CandidateKey:
    """What a candidate rule would permit: client segment to a segment or network, one protocol and server port."""

    client: str
    to: str
    protocol: int
    server_port: int


@dataclass
class Evidence:
    """What was seen for one candidate."""

    key: CandidateKey
    client_devices: set[str] = field(default_factory=set)
    server_devices: set[str] = field(default_factory=set)
    pairs: set[tuple[str, str]] = field(default_factory=set)
    days: set[date] = field(default_factory=set)
    flows: int = 0
    answered: int = 0
    first_us: int = 0
    last_us: int = 0
    best_method: int = 9
    confidence: float = 0.0
    same_port: bool = True

    def add(self, row: BoundRow) -> None:
        """Take in one row."""
        self.client_devices.add(row.client_device)
        self.server_devices.add(row.server_device or row.server_address)
        self.pairs.add((row.client_device, row.server_device or row.server_address))
        self.days.add(row.day)
        self.flows += row.flows
        self.answered += row.answered
        self.first_us = min(self.first_us or row.first_us, row.first_us)
        self.last_us = max(self.last_us, row.last_us)
        self.best_method = min(self.best_method, row.method)
        self.confidence = max(self.confidence, row.confidence)
        if not row.minimum_client_port == row.maximum_client_port == row.server_port:
            self.same_port = False

    @property
    def weeks(self) -> int:
        """Return in how many ISO weeks the candidate was seen."""
        return len({day.isocalendar()[:2] for day in self.days})


@dataclass(frozen=True)
class Excluded:
    """A row that no rule may be made from, and why."""

    row: BoundRow
    reason: str


@dataclass(frozen=True)
class Gathered:
    """Candidates with evidence, and what was left out with its reason."""

    candidates: Mapping[CandidateKey, Evidence]
    excluded: tuple[Excluded, ...]
    bootstrap: int
    related: Mapping[tuple[str, str, str], int] = field(default_factory=dict)


def gather(rows: Iterable[BoundRow], segment_of: Mapping[str, str], network_of: Mapping[str, str]) -> Gathered:
    """Group bound rows into candidates.

    ``segment_of`` maps device ids to segments, ``network_of`` addresses without a device to network sets. Bootstrap traffic
    (DHCP, neighbour discovery, ICMP errors) is counted and left to the compiler, which permits it in every list. Conversations on ports
    that a control session agreed on are no candidates of their own: a rule for such a port would miss the next. They stand among what is
    left out with the name of their control protocol, and are counted by it and both segments.
    """
    candidates: dict[CandidateKey, Evidence] = {}
    excluded: list[Excluded] = []
    related: dict[tuple[str, str, str], int] = {}
    bootstrap = 0
    for row in rows:
        if is_bootstrap(row):
            bootstrap += 1
            continue
        reason, to = _target(row, segment_of, network_of)
        if to and row.related:
            key_of = row.related, segment_of[row.client_device], to
            related[key_of] = related.get(key_of, 0) + row.flows
            reason = related_reason(row.related)
        if reason:
            excluded.append(Excluded(row, reason))
            continue
        key = CandidateKey(segment_of[row.client_device], to, row.protocol, row.server_port)
        candidates.setdefault(key, Evidence(key)).add(row)
    return Gathered(candidates, tuple(excluded), bootstrap, related)


def related_reason(control: str) -> str:
    """Return why a conversation on an agreed port is no candidate, and what a person can do about it."""
    return (
        f"opened on a port that a session of {control} between the same two agreed on: permit it where the point inspects {control},"
        " or as a service of the range of ports that the server is set to"
    )


def is_bootstrap(row: BoundRow) -> bool:
    """Return whether the row is what every list passes without a rule."""
    return bool(bootstrap_name(row.protocol, row.server_port))


def _target(row: BoundRow, segment_of: Mapping[str, str], network_of: Mapping[str, str]) -> tuple[str, str]:
    if row.noise:
        return NOISE.get(row.noise, row.noise), ""
    if row.kind in ("multicast", "broadcast"):
        return f"{row.kind} traffic is not addressed to a device", ""
    if not row.client_device:
        return "the client's address belongs to no known device", ""
    if row.client_device not in segment_of:
        return "the client fits no segment", ""
    if row.server_device in segment_of:
        return "", segment_of[row.server_device]
    if row.server_address in network_of:
        return "", network_of[row.server_address]
    return (
        "the server fits no segment" if row.server_device else "the server's address belongs to no known device"
    ), ""
