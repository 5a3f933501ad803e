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
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.clock import iso_of_micros
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Member, Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.history import SCAN, SeenConversation
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.intent import Intent
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.verdict import Conversation, Evaluator, Verdict

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
class Replay:
    """Result of a replay. Counts are distinct conversations (client, server, protocol, server port).

    ``used_rules``: how many recorded conversations each rule stands for, scans left out, whether or not a point sees them.
    """

    recorded: int
    permitted: int
    not_covered: int
    cut: tuple[CutConversation, ...]
    used_rules: dict[str, int] = field(default_factory=dict)
    unused_rules: tuple[str, ...] = ()
    first_us: int = 0
    last_us: int = 0

    def legitimate_cuts(self) -> list[CutConversation]:
        """Return the cuts without a reason for doubt: known device, answered, not a scan, direction sure."""
        return [item for item in self.cut if not item.doubt]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for results and reports."""
        return {
            "recorded": self.recorded,
            "permitted": self.permitted,
            "not_covered": self.not_covered,
            "cut": [item.as_dict() for item in self.cut],
            "cut_by_doubt": dict(sorted(Counter(item.doubt or "none" for item in self.cut).items())),
            "cut_by_owner": dict(sorted(Counter(item.owner or "unknown" for item in self.cut).items())),
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


def replay(site: Site, lists: Sequence[PointList], history: Sequence[SeenConversation]) -> Replay:
    """Return what the compiled lists would do to the recorded conversations."""
    evaluator, names = Evaluator(site, lists), Names(site)
    intent = Intent(evaluator)
    permitted = not_covered = 0
    cut: list[CutConversation] = []
    used: Counter[str] = Counter()
    for seen in history:
        conversation = conversation_of(seen)
        verdict = evaluator.verdict(conversation)
        # What the bootstrap lines are for is no use of a rule.
        if seen.suspect != SCAN and not seen.bootstrap:
            used.update(intent.rules_for(conversation))
        if not verdict.covered:
            not_covered += 1
            continue
        if verdict.permitted:
            permitted += 1
            continue
        cut.append(_cut(site, names, seen, verdict))
    unused = tuple(rule.id for rule in site.rules() if rule.id not in used)
    first = min((seen.first_us for seen in history), default=0)
    last = max((seen.last_us for seen in history), default=0)
    return Replay(len(history), permitted, not_covered, tuple(cut), dict(used), unused, first, last)


def conversation_of(seen: SeenConversation) -> Conversation:
    """Return the conversation to evaluate for a recorded one."""
    return Conversation(seen.family, seen.client, seen.server, seen.protocol, seen.server_port, seen.client_port)


def _cut(site: Site, names: Names, seen: SeenConversation, verdict: Verdict) -> CutConversation:
    deciding = verdict.deciding()
    client_segment = names.segment(seen.family, seen.client)
    server_segment = names.segment(seen.family, seen.server)
    segment = site.segments.get(client_segment) or site.segments.get(server_segment)
    return CutConversation(
        seen,
        names.device(seen.family, seen.client),
        names.device(seen.family, seen.server),
        client_segment,
        server_segment,
        segment.owner if segment else "",
        _criticality(site, client_segment, server_segment),
        deciding.point if deciding else "",
        deciding.label if deciding else "",
        doubt_of(names, seen),
    )


def doubt_of(names: Names, seen: SeenConversation) -> str:
    """Return why a recorded conversation may not be legitimate: scan, unanswered, unknown device, weak direction; or empty text."""
    if seen.suspect:
        return seen.suspect
    if not (names.segment(seen.family, seen.client) and names.segment(seen.family, seen.server)):
        return "unknown device"
    return "weak direction" if seen.weak else ""


def _criticality(site: Site, *segments: str) -> str:
    found = [site.segments[name].criticality for name in segments if name in site.segments]
    order = ("life_support", "process_critical", "high", "medium", "low")
    return min(found, key=order.index) if found else ""


def replay_findings(result: Replay) -> list[Finding]:
    """Return findings for the cuts that nothing excuses: errors for life support, else warnings.

    For life support an unknown peer or a guessed direction is no excuse: those cuts are warnings. Scans and unanswered openers are.
    """
    if not result.recorded:
        return [codes.REPLAY_NO_HISTORY.at("the store has no recorded conversation")]
    findings = []
    for item in result.cut:
        critical = item.criticality in ("life_support", "process_critical")
        if item.doubt and not (critical and not item.conversation.suspect):
            continue
        code = codes.REPLAY_CUT_CRITICAL if critical and not item.doubt else codes.REPLAY_CUT
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
