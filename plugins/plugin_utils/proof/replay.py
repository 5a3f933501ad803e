# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Replay: recorded conversations against the compiled policy, with what would be cut, by rule, device and owner.

The reach of every number is said: what was recorded, what no point sees, what comes from unknown devices, from scans or from
conversations whose direction is a guess.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.clock import iso_of_micros
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Code, Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.grouping import hashed
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import (
    CRITICALITIES,
    NEVER_DROPPED,
    Member,
    Site,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.bulk import BulkEvaluator, BulkVerdicts
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.edges import Edges, codes_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.history import (
    OTHER_DEVICE,
    SUSPECTS,
    Columns,
    SeenConversation,
    columns_of,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.verdict import Conversation

np = guarded("numpy")

CUT_LIMIT = 2000  # cut conversations that are told one by one; all are counted in groups
FINDING_LIMIT = 200  # beyond this many cuts there is a finding for each group and not for each conversation
UNKNOWN, WEAK = len(SUSPECTS), len(SUSPECTS) + 1
DOUBTS = (*SUSPECTS, "unknown device", "weak direction")
PROTOCOL_NAMES = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6"}


@dataclass(frozen=True)
class CutConversation:
    """A recorded conversation that the policy would cut, and who should know."""

    conversation: SeenConversation
    client: str
    server: str
    client_segment: str
    server_segment: str
    owner: str
    criticality: str
    point: str
    line: str
    doubt: str

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for results and reports."""
        seen = self.conversation
        return {
            "client": self.client,
            "server": self.server,
            "client_segment": self.client_segment,
            "server_segment": self.server_segment,
            "protocol": PROTOCOL_NAMES.get(seen.protocol, str(seen.protocol)),
            "port": seen.server_port,
            "flows": seen.flows,
            "days": seen.days,
            "last_seen": iso_of_micros(seen.last_us),
            "owner": self.owner,
            "criticality": self.criticality,
            "point": self.point,
            "line": self.line,
            "doubt": self.doubt,
            "related": seen.related,
            "bootstrap": seen.bootstrap,
        }


@dataclass(frozen=True)
class CutGroup:
    """Cut conversations that are alike: ends' segments, service, and the list and line that cut them. Times are microseconds."""

    client_segment: str
    server_segment: str
    protocol: int
    port: int
    point: str
    line: str
    doubt: str
    owner: str
    criticality: str
    rules: tuple[str, ...]
    conversations: int
    clients: int
    servers: int
    flows: int
    last_us: int

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for results and reports."""
        made = {name: getattr(self, name) for name in self.__dataclass_fields__}
        made["protocol"] = PROTOCOL_NAMES.get(self.protocol, str(self.protocol))
        made["rules"] = list(self.rules)
        made["last_seen"] = iso_of_micros(made.pop("last_us"))
        return made


@dataclass(frozen=True)
class Replay:
    """Result of a replay. Counts are distinct conversations (client, server, protocol, server port).

    ``proved`` of those that pass are permitted by a rule whose conversations pass for all packets; ``seen`` ones pass as they were
    recorded, and nothing more is claimed. ``cut`` and ``groups`` hold at most ``CUT_LIMIT`` each, the gravest first; ``cut_total`` and
    ``cut_by_doubt`` count all. ``used_rules``: how many recorded conversations each rule stands for, scans left out, whether or
    not a point sees them; ``rule_last_us`` when the last of them was seen.
    """

    recorded: int
    permitted: int
    not_covered: int
    cut: tuple[CutConversation, ...]
    used_rules: dict[str, int] = field(default_factory=dict)
    unused_rules: tuple[str, ...] = ()
    first_us: int = 0
    last_us: int = 0
    cut_total: int = 0
    proved: int = 0
    other_device: int = 0
    groups: tuple[CutGroup, ...] = ()
    group_total: int = 0
    cut_by_doubt: dict[str, int] = field(default_factory=dict)
    cut_by_owner: dict[str, int] = field(default_factory=dict)
    rule_last_us: dict[str, int] = field(default_factory=dict)
    rule_flows: dict[str, int] = field(default_factory=dict)
    rule_services: dict[str, dict[tuple[int, int], int]] = field(default_factory=dict, repr=False)

    def legitimate_cuts(self) -> list[CutConversation]:
        """Return the cuts without a reason for doubt: known device, answered, not a scan, direction sure."""
        return [item for item in self.cut if not item.doubt]

    @property
    def legitimate(self) -> int:
        """How many cuts nothing speaks against."""
        return self.cut_by_doubt.get("none", 0)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for results and reports."""
        return {
            "recorded": self.recorded,
            "permitted": self.permitted,
            "classes": {
                "proved": self.proved,
                "seen": self.permitted - self.proved,
                "not_covered": self.not_covered,
                "cut": self.cut_total,
            },
            "not_covered": self.not_covered,
            "held_by_another_device": self.other_device,
            "cut_total": self.cut_total,
            "cut": [item.as_dict() for item in self.cut],
            "cut_groups": [group.as_dict() for group in self.groups],
            "cut_groups_total": self.group_total,
            "cut_by_doubt": dict(sorted(self.cut_by_doubt.items())),
            "cut_by_owner": dict(sorted(self.cut_by_owner.items())),
            "used_rules": dict(sorted(self.used_rules.items())),
            "unused_rules": list(self.unused_rules),
            "from": iso_of_micros(self.first_us) if self.recorded else "",
            "to": iso_of_micros(self.last_us) if self.recorded else "",
        }


@dataclass
class Names:
    """Addresses to devices and segments, from the committed membership."""

    site: Site
    _members: dict[tuple[int, int], tuple[str, Member]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for segment, members in sorted(self.site.members.items()):
            for member in members:
                for text in member.addresses:
                    address = ipaddress.ip_address(text)
                    self._members[address.version, int(address)] = (segment, member)

    def segment(self, family: int, address: int) -> str:
        """Return the segment of an address, or empty text."""
        found = self._members.get((family, address))
        return found[0] if found else ""

    def device(self, family: int, address: int) -> str:
        """Return the device's name (or id) of an address, or the address itself where it is unknown."""
        found = self._members.get((family, address))
        if found:
            return found[1].name or found[1].device
        return str(ipaddress.IPv4Address(address) if family == 4 else ipaddress.IPv6Address(address))


def replay(
    site: Site,
    lists: Sequence[PointList],
    history: Sequence[SeenConversation] | Columns,
    proved: Collection[str] | None = None,
) -> Replay:
    """Return what the compiled lists would do to the recorded conversations.

    ``proved`` are the rules whose conversations pass every list for all packets (``endtoend``); by default none is claimed.
    """
    columns = history if isinstance(history, Columns) else columns_of(history)
    if not len(columns):
        return Replay(0, 0, 0, (), unused_rules=tuple(rule.id for rule in site.rules()))
    bulk = BulkEvaluator(site, lists)
    found = bulk.verdicts(columns)
    edges = Edges.of(bulk, columns)
    other = columns.suspect == SUSPECTS.index(OTHER_DEVICE)
    covered = found.covered & ~other
    permitted = covered & found.permitted
    cut = np.flatnonzero(covered & ~found.permitted)
    used, last, flows = edges.used(columns)
    sure = set(proved or ())
    passed = int(edges.having(sure)[permitted].sum()) if sure else 0
    cuts = cuts_of(bulk, columns, found, edges, cut)
    return Replay(
        recorded=len(columns),
        permitted=int(permitted.sum()),
        not_covered=int((~covered).sum()),
        cut=cuts.items,
        used_rules=used,
        unused_rules=tuple(rule.id for rule in site.rules() if rule.id not in used),
        first_us=int(columns.first_us.min()),
        last_us=int(columns.last_us.max()),
        cut_total=len(cut),
        proved=passed,
        other_device=int(other.sum()),
        groups=cuts.groups,
        group_total=cuts.group_total,
        cut_by_doubt=cuts.by_doubt,
        cut_by_owner=cuts.by_owner,
        rule_last_us=last,
        rule_flows=flows,
        rule_services=edges.services(columns),
    )


@dataclass(frozen=True)
class _Cuts:
    items: tuple[CutConversation, ...] = ()
    groups: tuple[CutGroup, ...] = ()
    group_total: int = 0
    by_doubt: dict[str, int] = field(default_factory=dict)
    by_owner: dict[str, int] = field(default_factory=dict)


def cuts_of(bulk: BulkEvaluator, columns: Columns, found: BulkVerdicts, edges: Edges, rows: Any) -> _Cuts:
    """Return the cut conversations and their groups, the weightiest first, both bounded, and counts of all of them."""
    if not len(rows):
        return _Cuts()
    part = columns.taken(rows)
    one, two = bulk.places(part, "client"), bulk.places(part, "server")
    clients, servers = bulk.segment_of(one), bulk.segment_of(two)
    unknown = (clients < 0) | (servers < 0)
    doubt = np.where(part.suspect > 0, part.suspect, np.where(unknown, UNKNOWN, np.where(part.weak, WEAK, 0)))
    code, first = codes_of(
        clients, servers, part.protocol, part.server_port, found.stopped_by[rows], doubt, edges.code[rows]
    )
    first = _shown(part, code, first)
    sizes = np.bincount(code)
    flows = np.bincount(code, weights=part.flows).astype(np.int64)
    last = np.zeros(len(first), dtype=np.int64)
    np.maximum.at(last, code, part.last_us)
    weight = _Weights(bulk, clients, servers)
    order = np.lexsort((-flows, weight.criticality[first], doubt[first] > 0))
    place = np.empty(len(first), dtype=np.int64)
    place[order] = np.arange(len(first))
    distinct = [_distinct(code, places, len(first)) for places in (one, two)]
    groups = []
    for number in order[:CUT_LIMIT]:
        row = int(first[number])
        names = [bulk.segments[n] if n >= 0 else "" for n in (clients[row], servers[row])]
        groups.append(CutGroup(
            names[0], names[1], int(part.protocol[row]), int(part.server_port[row]), bulk.lists[found.stopped_by[rows[row]]].point,
            bulk.line(part, row), DOUBTS[int(doubt[row])], owner_of(bulk.site, *names), _criticality(bulk.site, *names),
            edges.rules[edges.code[rows[row]]], int(sizes[number]), int(distinct[0][number]), int(distinct[1][number]),
            int(flows[number]), int(last[number]),
        ))  # fmt: skip
    chosen = _gravest(part, place[code])
    names_of = Names(bulk.site)
    items = []
    for row in chosen:
        seen = part.seen(int(row))
        names = [bulk.segments[n] if n >= 0 else "" for n in (clients[row], servers[row])]
        items.append(CutConversation(
            seen, names_of.device(seen.family, seen.client), names_of.device(seen.family, seen.server), names[0], names[1],
            owner_of(bulk.site, *names), _criticality(bulk.site, *names), bulk.lists[found.stopped_by[rows[row]]].point,
            bulk.line(part, int(row)), DOUBTS[int(doubt[row])],
        ))  # fmt: skip
    doubts = dict(zip(*np.unique(doubt, return_counts=True), strict=True))
    return _Cuts(
        tuple(items),
        tuple(groups),
        len(first),
        {DOUBTS[int(which)] or "none": int(count) for which, count in doubts.items()},
        weight.by_owner(),
    )


@dataclass
class _Weights:
    """How grave each cut row is, by the segments of its ends, and whose it is."""

    bulk: BulkEvaluator
    clients: Any
    servers: Any

    @property
    def criticality(self) -> Any:
        ranks = [
            _rank(self.bulk.site.segments[n].criticality) if n in self.bulk.site.segments else 9
            for n in self.bulk.segments
        ]
        table = np.array([*ranks, 9])
        return np.minimum(table[self.clients], table[self.servers])

    def by_owner(self) -> dict[str, int]:
        """Return how many rows each owner has."""
        chosen = np.where(self.clients >= 0, self.clients, self.servers)
        counted: Counter[str] = Counter()
        for number, count in zip(*np.unique(chosen, return_counts=True), strict=True):
            counted[owner_of(self.bulk.site, self.bulk.segments[number] if number >= 0 else "") or "unknown"] += int(
                count
            )
        return dict(sorted(counted.items()))


def owner_of(site: Site, *segments: str) -> str:
    """Return the owner of the first of the segments that exists, or empty text."""
    return next((site.segments[name].owner for name in segments if name in site.segments), "")


def _distinct(code: Any, places: Any, groups: int) -> Any:
    """Return how many different devices each group has; addresses of no device count as one."""
    width = int(places.max()) + 1
    pairs = np.sort(code * width + places)
    return np.bincount(pairs[np.append(True, pairs[1:] != pairs[:-1])] // width, minlength=groups)


def _shown(part: Columns, code: Any, first: Any) -> Any:
    """Return the row by which each group is shown: rows come in no order, and a report must not depend on theirs."""
    keys = (part.client_hi, part.client_lo, part.server_hi, part.server_lo, part.client_port)
    mixed = hashed([np.asarray(values, dtype=np.int64).view(np.uint64) for values in keys])
    least = np.full(len(first), np.uint64(0xFFFFFFFFFFFFFFFF))
    np.minimum.at(least, code, mixed)
    hits = np.flatnonzero(mixed == least[code])
    made = first.copy()
    made[code[hits]] = hits
    return made


def _gravest(part: Columns, place: Any) -> Any:
    """Return at most ``CUT_LIMIT`` rows: those of the gravest groups, of one group those of most flows, and so on by their addresses."""
    flows = np.minimum(part.flows, _MOST_FLOWS)
    grave = place * (_MOST_FLOWS + 1) + (_MOST_FLOWS - flows)
    rows = np.arange(len(grave))
    if len(rows) > CUT_LIMIT:
        rows = np.flatnonzero(grave <= np.partition(grave, CUT_LIMIT - 1)[CUT_LIMIT - 1])
    keys = (
        part.client_port, part.server_port, part.protocol, part.server_lo, part.server_hi, part.client_lo, part.client_hi
    )  # fmt: skip
    return rows[np.lexsort((*(key[rows] for key in keys), grave[rows]))][:CUT_LIMIT]


_MOST_FLOWS = (1 << 32) - 1  # more of one conversation are as grave


def _rank(criticality: str) -> int:
    return CRITICALITIES.index(criticality) if criticality in CRITICALITIES else len(CRITICALITIES)


def conversation_of(seen: SeenConversation) -> Conversation:
    """Return the conversation to evaluate for a recorded one."""
    return Conversation(seen.family, seen.client, seen.server, seen.protocol, seen.server_port, seen.client_port)


def doubt_of(names: Names, seen: SeenConversation) -> str:
    """Return why a recorded conversation may not be legitimate: scan, unanswered, unknown device, weak direction; or empty text."""
    if seen.suspect:
        return seen.suspect
    if not (names.segment(seen.family, seen.client) and names.segment(seen.family, seen.server)):
        return "unknown device"
    return "weak direction" if seen.weak else ""


def _criticality(site: Site, *segments: str) -> str:
    found = [site.segments[name].criticality for name in segments if name in site.segments]
    return min(found, key=CRITICALITIES.index) if found else ""


def replay_findings(result: Replay) -> list[Finding]:
    """Return findings for the cuts that nothing excuses: errors for life support, else warnings.

    For life support an unknown peer or a guessed direction is no excuse: those cuts are warnings. Scans and unanswered openers are.
    """
    if not result.recorded:
        return [codes.REPLAY_NO_HISTORY.at("the store has no recorded conversation")]
    if result.cut_total > FINDING_LIMIT:
        return [
            code.at(_group_text(group)) for group in result.groups if (code := _code_of(group.criticality, group.doubt))
        ]
    findings = []
    for item in result.cut:
        code = _code_of(item.criticality, item.doubt)
        if code is None:
            continue
        data = item.as_dict()
        text = (
            f"{data['client']} to {data['server']} {data['protocol']}/{data['port']} ({data['flows']} flows on {data['days']} days, last"
            f" {data['last_seen']}, owner {data['owner'] or 'unknown'}) would be cut at {data['point']} by {data['line']}"
        )
        text += f" ({item.doubt})" if item.doubt else ""
        if item.conversation.related:
            text += f" (its port was agreed on by a session of {item.conversation.related})"
        findings.append(code.at(text))
    return findings


def _code_of(criticality: str, doubt: str) -> Code | None:
    critical = criticality in NEVER_DROPPED
    if doubt and not (critical and doubt not in SUSPECTS):
        return None
    return codes.REPLAY_CUT_CRITICAL if critical and not doubt else codes.REPLAY_CUT


def _group_text(group: CutGroup) -> str:
    data = group.as_dict()
    text = (
        f"{group.conversations} conversations of {group.clients} clients of {group.client_segment or 'unknown devices'} to"
        f" {group.servers} servers of {group.server_segment or 'unknown devices'} {data['protocol']}/{group.port} ({group.flows} flows,"
        f" last {data['last_seen']}, owner {group.owner or 'unknown'}) would be cut at {group.point} by {group.line}"
    )
    return text + (f" ({group.doubt})" if group.doubt else "")
