# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rules hold in a situation: the one place that knows the precedence.

Isolation > relaxation > exception > rule > default deny. Permissions only add up, so precedence comes down to this: an
isolation takes away what the others give, but never what the posture keeps; a relaxation opens what nothing permits, but
not for who is isolated; what no rule permits is denied. Bootstrap and management lines are no rules and are never taken away.

The result is a site as any other, so that compilers and proofs need to know nothing of exceptions, windows and postures.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Set
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial
from hashlib import sha256

from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.cells import (
    isolated,
    relaxed,
    with_isolated_device,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import (
    ANY,
    NORMAL,
    AccessException,
    Assignment,
    Conditions,
    Member,
    NetworkSet,
    Posture,
    Rule,
    Segment,
    Site,
    Situation,
    kept_of_members,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.moved import guarded_as_before, ways_as_before
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.outline import (
    Outline,
    outline_of,
    rules_of,
    with_some_rules,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.ranges import (
    Range,
    overlap,
    prefixes_of,
    ranges_of,
    without,
)

EVERYWHERE = ("0.0.0.0/0", "::/0")
NAME_LENGTH = 32
ID_LENGTH = 63


def effective_rules(site: Site, situation: Situation = NORMAL) -> tuple[Rule, ...]:
    """Return the rules that hold in the situation, by client segment; exceptions come before a segment's own rules.

    Rules made narrower by an isolation name network sets of ``effective_site``: compile that, not the site itself.
    """
    return effective_site(site, situation).rules()


def effective_site(site: Site, situation: Situation = NORMAL) -> Site:
    """Return the site as it is in the situation: only rules that hold, stages and membership as the postures make them.

    The site itself comes back where nothing changes. The answer holds no exceptions and no conditions any more. Raises
    KeyError for a posture that the site does not have. What holds in normal operation is kept with the site, since all ask.
    """
    if situation != NORMAL:
        return _effective(site, situation)
    kept: dict[str, Site | None] = site.__dict__  # None: the site itself, which must not hold itself
    if "_normal" not in kept:
        found = _effective(site, situation)
        found.__dict__["_normal"] = None
        if found is not site:
            kept["_normal"] = found
    return kept["_normal"] or site


def _effective(site: Site, situation: Situation) -> Site:
    day = situation.day or site.as_of
    pulled = [site.postures[name] for name in situation.postures]
    made, granted = _with_exceptions(site, situation, day)
    segments = _segments_in_force(made, granted, situation, day)
    if segments is not None or site.exceptions:
        made = replace(made, segments=segments or site.segments, exceptions=())
    outside = {
        name: (*granted.get(name, ()), *_rules_in_force(item.allow, situation, day))
        for name, item in made.networks.items()
    }
    made = _with_networks(made, outside)
    for posture in reversed(pulled):
        if posture.kind == "relax":
            made = _relaxed(made, posture)
    for posture in pulled:
        if posture.kind == "isolate":
            made = _isolated(made, posture)
    if made is not site and made.members is site.members:
        made.__dict__["_of_members"] = kept_of_members(site)
    return made


def holds(conditions: Conditions | None, rule: str, situation: Situation) -> bool:
    """Return whether the conditions of a rule or exception, by its id, are fulfilled."""
    if conditions is None:
        return True
    if conditions.windows and not situation.is_open(rule):
        return False
    return not conditions.posture or conditions.posture in situation.postures


def in_force(item: Rule | AccessException, day: date | None) -> bool:
    """Return whether a rule or exception holds on the day, from its first through its last; without a day it does.

    Days are YYYY-MM-DD, which sorts as text.
    """
    if day is None:
        return True
    today = day.isoformat()
    if isinstance(item, AccessException) and today < item.valid_from:
        return False
    return not item.expires or today <= item.expires


def permissions(site: Site) -> tuple[Rule, ...]:
    """Return every rule and every exception as a rule, whether or not it holds now, for checks of how they are written."""
    if not site.exceptions:
        return site.rules()
    return (*site.rules(), *(rule_of(site, item) for item in site.exceptions))


def rule_of(site: Site, item: AccessException) -> Rule:
    """Return the rule of an exception, with its client devices by id; ``to`` is as written."""
    return Rule(
        item.id,
        item.client,
        item.to,
        item.services,
        item.reason,
        "exception",
        item.owner,
        item.expires,
        item.ticket,
        location=item.location,
        conditions=item.conditions,
        devices=tuple(member.device for member in named_members(site, item.client, item.devices)),
    )


def named_members(site: Site, segment: str, names: Iterable[str]) -> list[Member]:
    """Return the segment's members that are called by id or name, in the order of the lock."""
    wanted = {name.lower() for name in names}
    members = site.members.get(segment, ()) if wanted else ()
    return [member for member in members if wanted & {member.device, member.name.lower()}]


def _with_exceptions(site: Site, situation: Situation, day: date | None) -> tuple[Site, dict[str, list[Rule]]]:
    """Return the rules of the exceptions that hold by client segment, and the site with the network sets they need.

    An exception for devices of the server's segment leads to a network set of their addresses, called as the exception.
    """
    granted: dict[str, list[Rule]] = {}
    networks: dict[str, NetworkSet] = {}
    for item in site.exceptions:
        if not in_force(item, day) or not holds(item.conditions, item.id, situation):
            continue
        made = replace(rule_of(site, item), conditions=None)
        servers = named_members(site, item.to, item.devices)
        if servers:
            taken = {*site.networks, *site.segments, *networks}
            name = _free_name("only_" + item.id.replace("-", "_"), taken)
            addresses = (address for member in servers for address in member.addresses)
            text = f"the devices of {item.to} that exception {item.id} is for"
            networks[name] = NetworkSet(name, tuple(prefixes_of(ranges_of(addresses))), text, item.location)
            made = replace(made, to=name)
        elif item.devices and not made.devices:
            continue  # none of its devices is in its segments any more: it is for nobody
        granted.setdefault(item.client, []).append(made)
    if networks:
        site = replace(site, networks=dict(sorted({**site.networks, **networks}.items())))
    return site, granted


def _free_name(stem: str, taken: Container[str]) -> str:
    """Return a legal name that is not taken, at most NAME_LENGTH long, beginning with the stem."""
    found, number = stem[:NAME_LENGTH], 0
    while found in taken:
        number += 1
        found = f"{stem[: NAME_LENGTH - len(str(number))]}{number}"
    return found


def _segments_in_force(
    site: Site, granted: Mapping[str, list[Rule]], situation: Situation, day: date | None
) -> dict[str, Segment] | None:
    """Return the segments with the rules that hold, or None where every segment stays what it is."""
    changed: dict[str, Segment] = {}
    for name, segment in site.segments.items():
        outline = outline_of(segment)
        if name not in granted and not (outline.conditional or outline.expiring):
            continue
        if not granted.get(name):
            made = with_some_rules(segment, partial(_in_force_now, situation, day))
        else:
            made = replace(segment, allow=(*granted[name], *_rules_in_force(segment.allow, situation, day)))
        if made is not segment:
            changed[name] = made
    return {**site.segments, **changed} if changed else None


def _rules_in_force(rules: Iterable[Rule], situation: Situation, day: date | None) -> tuple[Rule, ...]:
    """Return the rules that hold in the situation, without their conditions."""
    return tuple(found for item in rules if (found := _in_force_now(situation, day, item)))


def _in_force_now(situation: Situation, day: date | None, rule: Rule) -> Rule | None:
    """Return a rule without its conditions if it holds in the situation, else None."""
    if not in_force(rule, day) or not holds(rule.conditions, rule.id, situation):
        return None
    return replace(rule, conditions=None) if rule.conditions else rule


def _with_networks(site: Site, allowed: Mapping[str, tuple[Rule, ...]]) -> Site:
    """Return the site with other rules of its network sets; the site itself where they are the same."""
    changed = {
        name: replace(site.networks[name], allow=allow)
        for name, allow in allowed.items()
        if allow != site.networks[name].allow
    }
    return replace(site, networks={**site.networks, **changed}) if changed else site


def _staged(site: Site, segment: str, stage: str) -> Mapping[str, Assignment]:
    assignment = site.assignments.get(segment)
    if assignment is None or not assignment.points:
        return site.assignments
    return {**site.assignments, segment: replace(assignment, stage=stage)}


def _relaxed(site: Site, posture: Posture) -> Site:
    """Return the site with a relaxation: rules that are conditional on it hold already; ``all`` forwards and counts."""
    assignment = site.assignments.get(posture.segment)
    if posture.opens != "all" or assignment is None:
        return site
    cells = relaxed(site, posture.segment)
    if assignment.stage != "enforce":
        return site if cells == site.cells else replace(site, cells=cells)
    return replace(site, assignments=_staged(site, posture.segment, "monitor"), cells=cells)


@dataclass
class _Narrowing:
    """Rules' ends without the addresses of what is isolated; each network set is made narrower once."""

    site: Site
    posture: Posture
    away: list[Range]
    made: dict[str, NetworkSet] = field(default_factory=dict)

    def end(self, name: str) -> str:
        """Return the end's own name, the name of a narrower network set, or nothing where no address is left."""
        if name in self.site.segments:
            return name
        if name in self.made:
            return self.made[name].name if self.made[name].prefixes else ""
        network = self.site.networks.get(name)
        prefixes = EVERYWHERE if name == ANY else network.prefixes if network else ()
        own = ranges_of(prefixes)
        if not overlap(own, self.away):
            return name
        left = tuple(prefixes_of(without(own, self.away)))
        place = network.location if network else self.posture.location
        made = NetworkSet(self._name(name), left, f"{name} without what {self.posture.id} isolates", place)
        self.made[name] = made
        return made.name if left else ""

    def touched(self) -> set[str]:
        """Return the ends other than segments that hold addresses of what is isolated."""
        sets = {n: item.prefixes for n, item in self.site.networks.items() if n not in self.site.segments}
        return {n for n, prefixes in {**sets, ANY: EVERYWHERE}.items() if overlap(ranges_of(prefixes), self.away)}

    def _name(self, name: str) -> str:
        taken = {*self.site.networks, *self.site.segments, *(item.name for item in self.made.values())}
        return _free_name(f"{name[:14]}_not_{self.posture.id[:8]}", taken)

    def rule(self, item: Rule) -> Rule | None:
        """Return a rule with its narrower end, None where nothing is left of it."""
        to = self.end(item.to)
        return None if not to else item if to == item.to else replace(item, to=to)


def _isolated(site: Site, posture: Posture) -> Site:
    return _isolated_device(site, posture) if posture.device else _isolated_segment(site, posture)


def kept_rules(site: Site, posture: Posture) -> frozenset[str]:
    """Return the ids of the rules that go on while the posture is pulled: those it names, and those of its workflows."""
    workflows = {item.id: item.rules for item in site.workflows}
    return frozenset(rule for name in posture.keeps for rule in (name, *workflows.get(name, ())))


def _kept_now(site: Site, posture: Posture) -> frozenset[str]:
    """Return the ids of the rules that go on, with the copies that other isolations have made of them."""
    kept = set(kept_rules(site, posture))
    others = [name for name, item in site.postures.items() if item.kind == "isolate" and item.device]
    more = kept if others else set()
    while more:
        wanted = {found for rule in more for name in others for found in _copy_ids(rule, name)} - kept
        near = list(rules_of(site, partial(_has_one, wanted))) if wanted else ()
        more = {rule.id for rule in near if rule.id in wanted and rule.origin == "posture"}
        kept |= more
    return frozenset(kept)


def _has_one(ids: Set[str], outline: Outline) -> bool:
    return not ids.isdisjoint(outline.ids)


def _copy_ids(rule: str, posture: str) -> tuple[str, str, str]:
    """Return the ids of a kept rule for an isolated device: what it opens, what is opened to it, and itself to itself.

    At most ID_LENGTH long; a sum keeps shortened ids apart.
    """
    made = []
    for tail in ("", "-to", "-self"):
        name = f"{rule}-{posture}{tail}"
        if len(name) > ID_LENGTH:
            total = sha256(name.encode()).hexdigest()[:8]
            name = f"{rule[: ID_LENGTH - len(posture) - len(tail) - 10]}-{total}-{posture}{tail}"
        made.append(name)
    return made[0], made[1], made[2]


def _isolated_segment(site: Site, posture: Posture) -> Site:
    name = posture.segment
    if name not in site.segments:
        return site
    kept = _kept_now(site, posture)
    away = ranges_of(address for member in site.members.get(name, ()) for address in member.addresses)
    narrow = _Narrowing(site, posture, away)
    outside = {
        network: tuple(
            found
            for rule in item.allow
            if (found := rule if rule.id in kept else None if rule.to == name else narrow.rule(rule))
        )
        for network, item in site.networks.items()
    }
    site = _with_networks(site, outside)
    touched = {name, *narrow.touched()}
    segments = {}
    for other, segment in site.segments.items():
        if other != name and touched.isdisjoint(outline_of(segment).ends):
            segments[other] = segment  # nothing of it leads to what is isolated
            continue
        segments[other] = with_some_rules(segment, partial(_left, kept, name, other, narrow))
    return replace(
        site,
        segments=segments,
        networks=_with(site.networks, narrow),
        assignments=_staged(site, name, "enforce"),
        cells=isolated(site, name),
    )


def _left(kept: Set[str], isolated: str, client: str, narrow: _Narrowing, rule: Rule) -> Rule | None:
    """Return what the isolation of a segment leaves of a client's rule, None for nothing."""
    if rule.id in kept:
        return rule
    return None if isolated in (client, rule.to) else narrow.rule(rule)


def _with(networks: Mapping[str, NetworkSet], narrow: _Narrowing) -> Mapping[str, NetworkSet]:
    made = {item.name: item for item in narrow.made.values() if item.prefixes}
    return dict(sorted({**networks, **made}.items())) if made else networks


def find_device(site: Site, name: str) -> tuple[str, Member] | None:
    """Return the segment and the entry of a device by its id or name, as the lock has it; None where it is in none."""
    wanted = name.lower()
    for segment, members in site.members.items():
        for member in members:
            if wanted in (member.device, member.name.lower()):
                return segment, member
    return None


def _isolated_device(site: Site, posture: Posture) -> Site:
    """Return the site with the device in a segment of its own, called as the posture, at the points of its old one.

    Kept rules hold for it under ids of their own (``_copy_ids``); for the rest of its segment nothing changes.
    """
    found = find_device(site, posture.device)
    if found is None or found[0] not in site.segments:
        return site
    old, member = found
    kept = _kept_now(site, posture)
    narrow = _Narrowing(site, posture, ranges_of(member.addresses))
    outside: dict[str, tuple[Rule, ...]] = {}
    for network, holder in site.networks.items():
        served: list[Rule] = []
        for rule in holder.allow:
            left = rule if rule.id in kept else narrow.rule(rule)
            served += [left] if left is not None else []
            if rule.id in kept and rule.to == old:
                served.append(replace(rule, id=_copy_ids(rule.id, posture.id)[1], to=posture.id, origin="posture"))
        outside[network] = tuple(served)
    site = _with_networks(site, outside)
    segments: dict[str, Segment] = {}
    own: list[Rule] = []
    changing = {old, *narrow.touched()}
    for name, segment in site.segments.items():
        if name != old and changing.isdisjoint(outline_of(segment).ends):
            segments[name] = segment  # nothing of it leads to the device
            continue
        allow: list[Rule] = []
        for item in segment.allow:
            narrowed = item if item.id in kept else narrow.rule(item)
            if narrowed is not None:
                allow.append(narrowed)
            if item.id not in kept:
                continue
            opens, serves, both = (replace(item, id=i, origin="posture") for i in _copy_ids(item.id, posture.id))
            ours = name == old and (not item.devices or member.device in item.devices)
            if ours:
                own.append(replace(opens, client=posture.id, devices=()))
            if item.to == old:
                allow.append(replace(serves, to=posture.id))
            if ours and item.to == old:  # a rule within the segment: the device to itself stays what it was
                own.append(replace(both, client=posture.id, to=posture.id, devices=()))
        made = tuple(allow)
        segments[name] = segment if made == segment.allow else replace(segment, allow=made)
    before = site.segments[old]
    segments[posture.id] = Segment(
        posture.id,
        before.zone,
        posture.sgt,
        posture.owner,
        before.criticality,
        {},
        tuple(own),
        posture.reason,
        posture.location,
    )
    rest = tuple(item for item in site.members[old] if item.device != member.device)
    assignments = dict(site.assignments)
    if old in assignments and assignments[old].points:
        assignments[posture.id] = Assignment(posture.id, "enforce", assignments[old].points, posture.location)
    return replace(
        site,
        segments=dict(sorted(segments.items())),
        networks=_with(site.networks, narrow),
        members=dict(sorted({**site.members, old: rest, posture.id: (member,)}.items())),
        assignments=dict(sorted(assignments.items())),
        cells=with_isolated_device(site, old, posture.id),
        paths=ways_as_before(site.paths, old, posture.id),
        guardrails=guarded_as_before(site, old, posture.id),
    )
