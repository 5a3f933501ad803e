# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether it is known which enforcement points the conversations of each rule cross; what is not known is a finding.

The proofs do not need it: they count every list that may see a packet. Who reads "proved" must know all the same that a point the
documents do not place could stand on the way.
"""

from __future__ import annotations

import ipaddress
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, NamedTuple

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.cache import ListCache, key_of_texts
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.paths import Paths
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import (
    Member,
    NetworkSet,
    Segment,
    Site,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.outline import (
    ends_sum,
    holders_of,
    outline_of,
    rule_at,
    rules_by_end,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.ranges import span_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof import codes

SHOWN = 5
PREFIXES = 4  # of a network set, one address each of this many prefixes stands for it

End = tuple[Any, ...]


@dataclass(frozen=True)
class WaysResult:
    """How many rules have a known way, and for each reason the rules whose way is not known. ``pairs``: ends that were asked about."""

    known: int
    unknown: dict[str, tuple[str, ...]]
    pairs: int

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for results and reports."""
        return {
            "known_rules": self.known,
            "unknown": {why: list(rules) for why, rules in sorted(self.unknown.items())},
            "pairs": self.pairs,
        }


def known_ways(site: Site, cache: ListCache | None = None, ground: str = "") -> tuple[WaysResult, list[Finding]]:
    """Return for which rules the way is known, and one finding for each reason why it is not for others.

    Devices of one segment at one switch and in one zone stand for each other; the end ``any`` is nobody in particular and is not asked.
    ``ground``: what tells apart the membership and all documents but those of segments, with which segment is in which zone. With it and
    ``cache`` nobody is asked again about the rules of a segment or network set whose ways were all known.
    """
    every = [(name, holder) for name, holder in holders_of(site) if outline_of(holder).ends]
    facts = _facts(site, every, ground) if cache is not None else {}
    before = {name: found for name, fact in facts.items() if cache is not None and (found := cache.known_sum(fact))}
    paths = Paths(site)
    ends = _Ends(site)
    asked: dict[tuple[End, End], str] = {}
    certain: dict[End, bool] = {}
    unknown: dict[str, dict[str, None]] = defaultdict(dict)
    bad = set()

    def sure(name: str) -> list[End] | None:
        """Return the ends of a name where nothing about any of them can make a way unknown, else None."""
        found = ends.of(name)
        for end, what in found:
            if end not in certain:
                certain[end] = paths.certain(what)
        return [end for end, _what in found] if all(certain[end] for end, _what in found) else None

    holders = [(name, holder) for name, holder in every if name not in before]
    names: set[str] = set()
    for client_name, holder in holders:
        names.add(client_name)
        names.update(outline_of(holder).ends)
    known = {name: places for name in names if (places := sure(name)) is not None}
    plain: dict[str, set[str]] = defaultdict(set)  # segments, and the servers to which all of their ways are known
    reasons: dict[tuple[str, str, tuple[str, ...]], tuple[str, ...]] = {}

    def why_not(*key: Any) -> tuple[str, ...]:
        """Return why ways of a rule are not known, each reason once; of its client, the name that it leads to, and its devices."""
        if key not in reasons:
            reasons[key] = whys(*key)
        return reasons[key]

    def whys(client_name: str, to: str, devices: tuple[str, ...]) -> tuple[str, ...]:
        found: dict[str, None] = {}
        for one, client in ends.of(client_name, devices):
            for two, server in ends.of(to):
                if one[-1] != two[-1] or client == server:
                    continue
                why = asked.get((one, two))
                if why is None:
                    for end, what in ((one, client), (two, server)):
                        if end not in certain:
                            certain[end] = paths.certain(what)
                    why = "" if certain[one] and certain[two] else paths.why_unknown(client, server)
                    asked[one, two] = why
                if why:
                    found[why] = None
        return tuple(found)

    doubtful: list[_Doubtful] = []
    for client_name, holder in holders:
        outline = outline_of(holder)
        surely: set[str] = set()
        if client_name in known and client_name in site.segments:
            surely = (outline.ends.keys() & known.keys()) - {client_name}
            if outline.limited:
                surely = {to for to in surely if not outline.ends[to].devices}
            plain[client_name] = set(surely)
        if len(surely) < len(outline.ends):
            left: Iterable[str] = outline.ends.keys() - surely
            if (
                not outline.limited
            ):  # no rule is for some devices only: the names say all, mostly that there is no doubt
                left = [to for to in left if why_not(client_name, to, ())]
            doubtful += _doubtful(holder, left)

    where: dict[str, Location] = {}  # one rule of each reason
    for item in doubtful:
        if item.client in known and item.to in known and item.client in site.segments:
            if not item.devices and item.client != item.to:
                plain[item.client].add(item.to)
                continue
        for why in why_not(item.client, item.to, item.devices):
            if why not in where:
                where[why] = rule_at(item.holder, item.number).location
            unknown[why][item.rule] = None
            bad.add(item.rule)
    workflows = {name: workflow.id for workflow in site.workflows for name in workflow.rules}
    findings = []
    for why, named in sorted(unknown.items()):
        shown = ", ".join(list(named)[:SHOWN]) + (f" and {len(named) - SHOWN} more" if len(named) > SHOWN else "")
        needed = sorted({workflows[name] for name in named if name in workflows})
        text = f"the way is not known for rules {shown}: {why}" + (
            f" (workflows {', '.join(needed)})" if needed else ""
        )
        findings.append(codes.PATH_UNKNOWN.at(text, where[why]))
    # Those that were also asked for some devices only are counted one by one.
    singly = {(one[0], two[0]) for one, two in asked if two[0] in plain.get(one[0], ())}
    for client_name, to in singly:
        plain[client_name].discard(to)
    pairs: Counter[str] = Counter()  # of each client
    for family in (4, 6):
        sizes = {name: sum(end[-1] == family for end in found) for name, found in known.items()}
        for name, tos in plain.items():
            pairs[name] += sizes[name] * sum(map(sizes.__getitem__, tos))
    one_by_one = {(a, b) for c, s in singly for a in known[c] for b in known[s] if a[-1] == b[-1]}
    pairs.update(one[0] for one, _two in asked.keys() | one_by_one)
    doubted = {item.client for item in doubtful if item.rule in bad}
    for name, fact in facts.items():
        if cache is not None and name not in before and name not in doubted:
            cache.keep_sum(fact, str(pairs[name]))
    total = sum(len(outline_of(holder).ids) for _name, holder in every)
    asked_about = pairs.total() + sum(map(int, before.values()))
    result = WaysResult(total - len(bad), {why: tuple(named) for why, named in unknown.items()}, asked_about)
    return result, findings


def _facts(site: Site, holders: Iterable[tuple[str, Segment | NetworkSet]], ground: str) -> dict[str, str]:
    """Return the keys of how many pairs of ends each client's rules have where all ways are known; none where there is no ground.

    A pair begins with its client, so that those of two clients are never the same, unless a set has the name of a segment.
    """
    if not ground or site.segments.keys() & site.networks.keys():
        return {}
    return {name: key_of_texts("ways", ground, name, ends_sum(outline_of(holder))) for name, holder in holders}


class _Doubtful(NamedTuple):
    """A rule whose way may not be known: who holds it and where (``places_of``); its ends, and the devices for which alone it holds."""

    holder: Segment | NetworkSet
    number: int
    rule: str
    client: str
    to: str
    devices: tuple[str, ...] = ()


def _doubtful(holder: Segment | NetworkSet, names: Iterable[str]) -> list[_Doubtful]:
    """Return the rules that lead from a segment or network set to some names, in their order; as a rule none of them is read."""
    found = []
    for to in names:
        end = outline_of(holder).ends[to]
        if end.devices:
            some = ((number, rule.id, rule.devices) for number, rule in rules_by_end(holder)[to])
        else:
            some = ((number, name, ()) for number, name, _services in end.rules())
        found += [_Doubtful(holder, number, name, holder.name, to, devices) for number, name, devices in some]
    return sorted(found, key=attrgetter("number"))


class _Ends:
    """The ends of rules, one for each kind of place that a segment's devices or a network's addresses have."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._zones = {family: _zones_by_address(site, family) for family in (4, 6)}
        self._known: dict[str, list[tuple[End, Member | str]]] = {}

    def of(self, name: str, devices: tuple[str, ...] = ()) -> list[tuple[End, Member | str]]:
        """Return what stands for a name, or for some of its devices: keys that tell places apart, and a device or address at each. The key
        ends in the family."""
        if devices:
            return list(self._devices(name, devices))
        found = self._known.get(name)
        if found is None:
            made = self._devices(name, ()) if name in self._site.segments else self._addresses(name)
            found = self._known[name] = list(made)
        return found

    def _devices(self, segment: str, devices: tuple[str, ...]) -> Iterator[tuple[End, Member | str]]:
        found: dict[End, Member | str] = {}
        for member in self._site.members.get(segment, ()):
            if not member.addresses or (devices and member.device not in devices):
                continue
            version, address, _last = span_of(member.addresses[0])
            key = (segment, member.switch, bool(member.interface), self._zone(version, address), version)
            found.setdefault(key, member)
        yield from found.items()

    def _addresses(self, name: str) -> Iterator[tuple[End, Member | str]]:
        if name.startswith("zone:"):
            prefixes: tuple[str, ...] = self._site.zones[name.removeprefix("zone:")].subnets
        elif name in self._site.networks:
            prefixes = self._site.networks[name].prefixes
        else:
            return
        for text in prefixes[:PREFIXES]:
            network = ipaddress.ip_network(text, strict=False)
            address = network[1] if network.num_addresses > 2 else network[0]
            yield (name, text, address.version), str(address)

    def _zone(self, version: int, address: int) -> str:
        starts, names = self._zones[version]
        return names[bisect_right(starts, address)]


def _zones_by_address(site: Site, family: int) -> tuple[list[int], list[str]]:
    """Return the addresses at which the narrowest zone changes, rising, and the zone before the first and from each of them on."""
    spans = [(*span_of(prefix), name) for name, zone in site.zones.items() for prefix in zone.subnets]
    own = sorted(((low, high, name) for version, low, high, name in spans if version == family), key=_width)
    starts = sorted({edge for low, high, _name in own for edge in (low, high + 1)})
    names = [next((name for low, high, name in own if low <= start <= high), "") for start in starts]
    return starts, ["", *names]


def _width(span: tuple[int, int, str]) -> int:
    return span[1] - span[0]
