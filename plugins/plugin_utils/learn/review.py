# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What waits for a person, and what people decided about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.clock import iso_of_micros
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.coverage import Spans, spans_of_match
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.evidence import (
    CandidateKey,
    Evidence,
    Excluded,
    Gathered,
    Strays,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.misplaced import Misplaced
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.decisions import ACCOUNT, REFUSE, Decision
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Service
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.replay import PROTOCOL_NAMES

# Marks of flows, and sentences of evidence.py, in one word for programs.
KINDS = {
    "scan": "scan", "slow-scan": "scan", "probe": "probe", "backscatter": "backscatter", "threat": "threat",
}  # fmt: skip
# Where a file cannot take all items, the last of these give way first, and after all others: what comes in great numbers, and is decided by
# the device rather than one by one; before it what lacks evidence, by its points.
LACKING = frozenset(
    {
        "few-days",
        "few-flows",
        "no-service",
        "score",
        "draft",
        "one-device",
        "unanswered",
        "direction",
        "segment-account",
    }
)
BULK = ("identity", "unknown", "stray", "related", "group", "backscatter", "probe", "scan")


def by_weight(item: Mapping[str, Any]) -> tuple[int, int, int, str, str]:
    """Return by what items (``ReviewItem.as_dict``) are sorted: first those that are to be kept, whatever their score is."""
    kind = item["kind"]
    place = BULK.index(kind) + 2 if kind in BULK else int(kind in LACKING)
    return place, -item["score"], -item["flows"], item["id"], item["reason"]


@dataclass(frozen=True)
class ReviewItem:
    """Traffic that no rule is proposed for, with the reason, for a person to decide. An end is a segment, a device's name or an address."""

    client: str
    server: str
    protocol: int
    port: int
    flows: int
    days: int
    reason: str
    score: int = 0
    kind: str = ""
    devices: int = 1
    first_us: int = 0
    last_us: int = 0
    conversations: int = 1
    admits: int = 0
    support: str = ""

    @property
    def id(self) -> str:
        """Return the item's name, which stays the same from run to run."""
        protocol = PROTOCOL_NAMES.get(self.protocol, str(self.protocol))
        return f"{self.client}-to-{self.server}-{protocol}-{self.port}"

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for results and reports."""
        return {
            "id": self.id,
            "client": self.client,
            "server": self.server,
            "protocol": PROTOCOL_NAMES.get(self.protocol, str(self.protocol)),
            "port": self.port,
            "flows": self.flows,
            "days": self.days,
            "devices": self.devices,
            "conversations": self.conversations,
            "first_seen": iso_of_micros(self.first_us) if self.first_us else "",
            "last_seen": iso_of_micros(self.last_us) if self.last_us else "",
            "kind": self.kind,
            "reason": self.reason,
            "score": self.score,
            "admits": self.admits,
            "support": self.support,
        }


def of_candidate(evidence: Evidence, kind: str, reason: str, score: int, admits: int, support: str) -> ReviewItem:
    """Return the item of a candidate that became no rule."""
    key = evidence.key
    return ReviewItem(
        key.client, key.to, key.protocol, key.server_port, evidence.flows, len(evidence.days), reason, score, kind,
        evidence.client_devices, evidence.first_us, evidence.last_us, evidence.pairs, admits, support,
    )  # fmt: skip


def left_out(gathered: Gathered, names: Mapping[str, str]) -> list[ReviewItem]:
    """Return items for what no candidate was made of; ``names`` are those of devices."""
    items: dict[tuple[str, str, int, int, str], ReviewItem] = {}
    for each in gathered.excluded:
        item = _excluded(each, names)
        key = (item.client, item.server, item.protocol, item.port, item.reason)
        known = items.get(key)
        if known is not None:
            item = ReviewItem(
                *key[:4], known.flows + item.flows, max(known.days, item.days), item.reason, 0, item.kind, 1,
                min(known.first_us, item.first_us), max(known.last_us, item.last_us),
            )  # fmt: skip
        items[key] = item
    made = [items[key] for key in sorted(items)] + [_stray(each) for each in gathered.strays]
    return made + [_misplaced(each, names) for each in gathered.misplaced]


def _misplaced(each: Misplaced, names: Mapping[str, str]) -> ReviewItem:
    return ReviewItem(names.get(each.device, each.device), each.like, 0, 0, 0, 0, each.text, 0, "misplaced-device")


def _excluded(each: Excluded, names: Mapping[str, str]) -> ReviewItem:
    kind = KINDS.get(each.mark) or ("related" if each.mark else "")
    if not kind:
        kind = "identity" if "several devices" in each.reason else "group" if "addressed" in each.reason else "unknown"
    return ReviewItem(
        names.get(each.client, each.client), names.get(each.server, each.server), each.protocol, each.server_port, each.flows, each.days,
        each.reason, 0, kind, 1, each.first_us, each.last_us,
    )  # fmt: skip


def _stray(each: Strays) -> ReviewItem:
    text = f"{each.conversations} conversations that one pair of devices tried on one day without an answer"
    return ReviewItem(
        each.client, each.to, each.protocol, each.server_port, each.flows, 1, text, 0, "stray", 1, each.first_us, each.last_us,
        each.conversations,
    )  # fmt: skip


def spans_of(name: str, protocol: int, port: int, services: Mapping[str, Service]) -> list[tuple[int, int, int]]:
    """Return (protocol, first port, last port) of a service by name, none where there is no such; or of a port where the name is empty."""
    if not name:
        return [(protocol, port, port)]
    service = services.get(name)
    return [
        (match.protocol, low, high)
        for match in (service.matches if service else ())
        for low, high in spans_of_match(match)
    ]


class Decisions:
    """Decisions by what they are about; those past their end do not count. ``today`` is YYYY-MM-DD."""

    def __init__(self, decisions: Iterable[Decision], services: Mapping[str, Service], today: str) -> None:
        self._by: dict[tuple[str, str], list[tuple[int, int, int, Decision]]] = {}
        accounts = set()
        for each in decisions:
            if not each.holds_on(today):
                continue
            if each.decision == ACCOUNT:
                accounts.add(each.to)
                continue
            spans = spans_of(each.service, each.protocol, each.port, services)
            self._by.setdefault((each.client, each.to), []).extend((*span, each) for span in spans)
        # Network sets of which a person has told all uses.
        self.accounts = frozenset(accounts)

    def approved(self, permitted: Spans | None = None) -> list[tuple[CandidateKey, Decision]]:
        """Return what people approved and have not refused since, by the first port that is left of each of its ranges; what is
        ``permitted`` by rules is not left."""
        standing = permitted or {}
        return [
            (CandidateKey(*ends, protocol, left[0][0]), each)
            for ends, spans in sorted(self._by.items())
            for number, (protocol, low, high, each) in enumerate(spans)
            if each.decision != REFUSE
            and (left := _left([*spans[number + 1 :], *_ranges(standing, ends, protocol)], protocol, low, high))
        ]

    def about(self, key: CandidateKey) -> Decision | None:
        """Return the last decision about a candidate, or None."""
        found = None
        for protocol, low, high, each in self._by.get((key.client, key.to), ()):
            if protocol == key.protocol and low <= key.server_port <= high:
                found = each
        return found

    def refused(self, client: str, to: str, protocol: int, low: int, high: int) -> Decision | None:
        """Return a refusal that stands of any of these ports, or None."""
        spans = self._by.get((client, to), ())
        for number, (of, begin, end, each) in enumerate(spans):
            if of == protocol and begin <= high and low <= end and each.decision == REFUSE:
                if _left(spans[number + 1 :], protocol, max(low, begin), min(high, end)):
                    return each
        return None

    def approved_rows(self) -> list[dict[str, Any]]:
        """Return what people approved, as rows for ``FlowGate.learning``."""
        return [
            {"client_segment": client, "server_segment": to, "protocol": protocol, "first_port": low, "last_port": high}
            for (client, to), spans in sorted(self._by.items())
            for protocol, low, high, each in spans
            if each.decision != REFUSE
        ]


def _ranges(spans: Spans, ends: tuple[str, str], protocol: int) -> list[tuple[int, int, int, None]]:
    return [(protocol, low, high, None) for low, high in spans.get((*ends, protocol), ())]


def _left(later: Iterable[tuple[int, int, int, object]], protocol: int, low: int, high: int) -> list[tuple[int, int]]:
    """Return what of a range is in none of others (protocol, first, last, what they are of), in order."""
    left = [(low, high)]
    for of, begin, end, _each in later:
        if of == protocol:
            left = [
                part
                for first, last in left
                for part in ((first, min(last, begin - 1)), (max(first, end + 1), last))
                if part[0] <= part[1]
            ]
    return left
