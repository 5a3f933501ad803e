# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules that could go or be narrower: dead, shadowed, removable, contradicting, unused, wider than used, expiring, without owner or reason.

What concerns meaning is proved for all packets; what concerns use says how many days were recorded. Nothing here is an error: a rule
that nobody uses may be for the day on which the main server fails.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property
from operator import itemgetter
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Code, Finding, Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.cache import ListCache, key_of, key_of_texts
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.keys import keys_of_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.layer_two import framed_services
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.resolve import matches_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import PacketSet, PacketSpace
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import Box
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import NetworkSet, Rule, Segment, Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.outline import outline_of, rules_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.conversations import (
    conversation_boxes,
    openers,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.replay import Replay

DAY_US = 86_400_000_000
SOON_DAYS = 14
UNUSED_DAYS = 30
_CODES: dict[str, Code | None] = {
    "dead": codes.RULE_DEAD,
    "shadowed": codes.RULE_SHADOWED,
    "removable": codes.RULE_REMOVABLE,
    "contradicting": codes.RULE_CONTRADICTS,
    "unused": codes.RULE_UNUSED,
    "wider": codes.RULE_WIDER,
    "expired": None,  # the numbered rules of the policy room have findings for these two
    "expiring": None,
    "no owner": codes.RULE_UNOWNED,
    "no reason": codes.RULE_UNREASONED,
}


@dataclass(frozen=True)
class Untidy:
    """One thing about one rule or exception. ``kind`` is a key of the module's codes, ``text`` what is meant, ``reach`` how sure it is."""

    kind: str
    rule: str
    text: str
    reach: str
    location: Location = Location()

    def as_dict(self) -> dict[str, str]:
        """Return plain values for results and reports."""
        return {"kind": self.kind, "rule": self.rule, "text": self.text, "reach": self.reach}

    def finding(self) -> Finding | None:
        """Return it as a finding, None where another room has one."""
        kind = _CODES[self.kind]
        return kind.at(f"{self.rule}: {self.text} ({self.reach})", self.location) if kind else None


def untidy(
    site: Site,
    today: date,
    replayed: Replay | None = None,
    unused_days: int = UNUSED_DAYS,
    cache: ListCache | None = None,
) -> list[Untidy]:
    """Return what is untidy about the rules and exceptions of a site as written, in the order of the policy.

    ``replayed`` tells what was used; without recorded traffic nothing is said about use. ``cache`` knows segments of which there was
    nothing to say.
    """
    found = [*_meaning(site, cache), *_dates(site, today), *_papers(site)]
    if replayed is not None and replayed.recorded:
        found += _use(site, replayed, unused_days)
    kinds = list(_CODES)
    order = {rule.id: number for number, rule in enumerate(site.rules())} if found else {}
    return sorted(found, key=lambda item: (kinds.index(item.kind), order.get(item.rule, -1), item.rule))


def _meaning(site: Site, cache: ListCache | None) -> Iterator[Untidy]:
    """Yield rules without a packet, rules that earlier or all other rules of the segment cover, and rules that a must-never forbids."""
    nevers = [
        (item.id, conversation_boxes(site, item.client, item.server, item.services).forward)
        for item in site.guardrails
        if item.must == "never"
    ]
    keys = keys_of_site(site, cache) if cache is not None else None
    view = key_of([(name, [[v.pairs for v in box.sets()] for box in boxes]) for name, boxes in nevers])
    framed = framed_services(site)
    holders: list[tuple[str, Segment | NetworkSet]] = [*site.segments.items(), *site.networks.items()]
    for name, holder in holders:
        outline = outline_of(holder)
        rules: Sequence[Rule] | None = None
        some_framed = framed and any(not framed.isdisjoint(each) for each in outline.services)
        if outline.conditional or outline.expiring or some_framed:
            rules = [r for r in holder.allow if r.conditions is None and framed.isdisjoint(r.services)]
        ends = [(rule.id, rule.expires) for rule in rules] if rules is not None else None
        fact = key_of_texts("tidy", view, keys.asked(name), repr(ends)) if keys is not None else ""
        if cache is not None and cache.holds(fact):
            continue
        found = list(_of_segment(site, holder.allow if rules is None else rules, nevers))
        yield from found
        if cache is not None and not found:
            cache.keep(fact)


def _of_segment(site: Site, rules: Sequence[Rule], nevers: Sequence[tuple[str, Sequence[Box]]]) -> Iterator[Untidy]:
    """Yield what ``_meaning`` says of the rules of one segment."""
    sets = _Sets([openers(site, rule) for rule in rules])
    nevers = sets.met(nevers)
    gone: set[int] = set()
    for number, rule in enumerate(rules):
        if not sets.boxes[number]:
            yield Untidy(
                "dead", rule.id, "no packet can match it: one side has no address", "all packets", rule.location
            )
            gone.add(number)
            continue
        yield from _forbidden(sets, number, rule, nevers)
        covering = sets.covering([n for n in sets.near[number] if n < number and _outlasts(rules[n], rule)], number)
        if covering is not None:
            names = ", ".join(rules[n].id for n in covering)
            yield Untidy("shadowed", rule.id, f"permitted already by {names}", "all packets", rule.location)
            gone.add(number)
    # From the bottom up, so that all of those named may go together.
    for number in reversed(range(len(rules))):
        if number in gone:
            continue
        left = [n for n in sets.near[number] if n not in gone and _outlasts(rules[n], rules[number])]
        covering = sets.covering(left, number)
        if covering is not None:
            names = ", ".join(rules[n].id for n in covering)
            yield Untidy(
                "removable",
                rules[number].id,
                f"the same is permitted by {names}",
                "all packets",
                rules[number].location,
            )
            gone.add(number)


def _outlasts(other: Rule, rule: Rule) -> bool:
    """Return whether a rule holds at least as long as another: what ends first, or has ended, stands in for nothing that goes on."""
    return not other.expires or bool(rule.expires and rule.expires <= other.expires)


@dataclass
class _Sets:
    """The openers of a segment's rules: as boxes, and as packet sets where boxes do not decide."""

    boxes: list[tuple[Box, ...]]
    space: PacketSpace = field(default_factory=PacketSpace)
    _made: dict[int, PacketSet] = field(default_factory=dict)

    def packets(self, number: int) -> PacketSet:
        """Return the packets of a rule."""
        found = self._made.get(number)
        if found is None:
            found = self._made[number] = self.space.from_boxes(self.boxes[number])
        return found

    def met(self, others: Sequence[tuple[str, Sequence[Box]]]) -> list[tuple[str, list[Box]]]:
        """Return, of named boxes, those that may have packets in common with some rule: most have another source than all of them."""
        sources = list({id(box.source): box.source for boxes in self.boxes for box in boxes}.values())
        near = [(name, [box for box in boxes if any(map(box.source.overlaps, sources))]) for name, boxes in others]
        return [(name, boxes) for name, boxes in near if boxes]

    @cached_property
    def near(self) -> list[list[int]]:
        """For each rule the others that may have packets in common with it, rising.

        Most rules of a segment lead to different places, so that only those are compared whose destinations lie across each other.
        """
        ends = [(*b.destination.hull, n, b) for n, boxes in enumerate(self.boxes) for b in boxes if b.destination]
        found: list[set[int]] = [set() for _boxes in self.boxes]
        open_ends: list[tuple[int, int, Box]] = []
        for low, high, number, box in sorted(ends, key=itemgetter(0)):
            open_ends = [item for item in open_ends if item[0] >= low]
            for _high, other, another in open_ends:
                if other != number and other not in found[number] and another.overlaps(box):
                    found[number].add(other)
                    found[other].add(number)
            open_ends.append((high, number, box))
        return [sorted(each) for each in found]

    def covering(self, others: Sequence[int], number: int) -> list[int] | None:
        """Return the rules, of those near to another one, that together hold it, or None where they do not."""
        if not others:
            return None
        rest, used = self.packets(number), []
        for other in others:
            if rest.overlaps(self.packets(other)):
                rest = rest - self.packets(other)
                used.append(other)
                if not rest:
                    return used
        return None


def _forbidden(sets: _Sets, number: int, rule: Rule, nevers: Sequence[tuple[str, Sequence[Box]]]) -> Iterator[Untidy]:
    for name, boxes in nevers:
        near = [box for box in boxes if any(box.overlaps(own) for own in sets.boxes[number])]
        packet = (sets.packets(number) & sets.space.from_boxes(near)).witness() if near else None
        if packet is not None:
            text = f"permits what guardrail {name} forbids: {packet.describe()}"
            yield Untidy("contradicting", rule.id, text, "all packets", rule.location)


def _dates(site: Site, today: date) -> Iterator[Untidy]:
    soon = (today + timedelta(days=SOON_DAYS)).isoformat()
    items = [(r.id, r.expires, r.location) for r in rules_of(site, lambda outline: outline.expiring)]
    items += [(e.id, e.expires, e.location) for e in site.exceptions]
    for name, expires, location in items:
        if expires and expires < today.isoformat():
            yield Untidy("expired", name, f"ended on {expires}", f"as of {today}", location)
        elif expires and expires <= soon:
            yield Untidy("expiring", name, f"ends on {expires}", f"as of {today}", location)


def _owner_of(site: Site, client: str) -> str:
    found = site.segments.get(client) or site.networks.get(client)
    return found.owner if found else ""


def _papers(site: Site) -> Iterator[Untidy]:
    for rule in rules_of(site, lambda outline: outline.unowned or outline.unreasoned):
        if not (rule.owner or _owner_of(site, rule.client)):
            yield Untidy("no owner", rule.id, "nobody answers for it", "the documents", rule.location)
        if not rule.reason.strip():
            yield Untidy("no reason", rule.id, "it does not say why it exists", "the documents", rule.location)


def _use(site: Site, replayed: Replay, unused_days: int) -> Iterator[Untidy]:
    """Yield rules that nothing recorded needed within some days, and services of used rules that nothing needed."""
    days = (replayed.last_us - replayed.first_us) // DAY_US + 1
    reach = f"{days} days recorded"
    border = replayed.last_us - unused_days * DAY_US
    framed = framed_services(site)
    for rule in site.rules():
        if not framed.isdisjoint(rule.services):
            continue  # flow records hold IP only
        last = replayed.rule_last_us.get(rule.id)
        if last is None:
            if days >= unused_days or rule.id in replayed.unused_rules:
                yield Untidy("unused", rule.id, "nothing recorded needed it", reach, rule.location)
        elif last < border:
            gone = (replayed.last_us - last) // DAY_US
            yield Untidy("unused", rule.id, f"nothing recorded needed it for {gone} days", reach, rule.location)
        else:
            yield from _wider(site, rule, replayed.rule_services.get(rule.id, {}), reach)


def _wider(site: Site, rule: Rule, seen: Mapping[tuple[int, int], int], reach: str) -> Iterator[Untidy]:
    """Yield what a used rule permits and nobody used: whole services, and most ports of a range."""
    for service in rule.services:
        matches: dict[Any, None] = {}
        for family in (4, 6):
            matches.update((match, None) for _name, match in matches_of(site, (service,), family))
        used = {port for (protocol, port) in seen for match in matches if match.protocol == protocol
                and (match.server_ports is None or match.server_ports.contains(port))
                and (match.detail is None or match.detail.contains(port))}  # fmt: skip
        ports = sum(match.server_ports.size for match in matches if match.server_ports is not None)
        if not used:
            yield Untidy("wider", rule.id, f"service {service} was never used", reach, rule.location)
        elif ports >= 16 and len(used) * 4 < ports:
            shown = ", ".join(str(port) for port in sorted(used)[:5]) + (" and others" if len(used) > 5 else "")
            yield Untidy(
                "wider",
                rule.id,
                f"of {ports} ports of service {service} {len(used)} were used ({shown})",
                reach,
                rule.location,
            )
