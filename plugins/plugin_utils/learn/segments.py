# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Segments: which ones the register calls for, and who joins and leaves against the committed membership. Pure.

Segments come from three places, in this order: the site's own, those its classification rules name, and one for each type of devices
that fits none of these, where the site says in which zone such are to be proposed. A device whose facts are in dispute stays where the
committed lock has it, whatever the queries say: it is neither admitted nor cut off by a guess.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.classification.model import (
    Classification,
    DeviceType,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.query import Fitting
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.build import ClassificationRule
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.members import facts_of, resolve_members
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Segment, Site

LONGEST_NAME = 32
SHOWN = 5
ALONE = ("life_support", "process_critical")
RANK = ("life_support", "process_critical", "high", "medium", "low")


@dataclass(frozen=True)
class ProposalSettings:
    """What classification.yml says under ``proposals``; zones and owners by type or family.

    ``budget`` is the most SGTs of the site's segments and the proposed ones together, 0 for no limit; ``first_sgt`` to ``last_sgt`` are
    those that proposals may take, 0 for proposals without SGT.
    """

    zones: Mapping[str, str] = field(default_factory=dict)
    owners: Mapping[str, str] = field(default_factory=dict)
    budget: int = 0
    first_sgt: int = 0
    last_sgt: int = 0

    @classmethod
    def of(cls, value: Mapping[str, Any] | None) -> ProposalSettings:
        """Return the settings of a document that fits its schema."""
        given = value or {}
        sgts = given.get("sgts") or {}
        places = given.get("zones") or ()
        return cls(
            {each["of"]: each["zone"] for each in places},
            {each["of"]: each["owner"] for each in places},
            given.get("budget", 0),
            sgts.get("first", 0),
            sgts.get("last", 0),
        )


@dataclass(frozen=True)
class ProposedSegment:
    """A segment that is not there yet, the types it is for (empty where a rule names it), and its devices by id."""

    segment: Segment
    types: tuple[str, ...]
    devices: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class MemberChange:
    """A device that joins (``before`` empty), leaves (``after`` empty) or moves between segments, against the committed lock."""

    device: str
    name: str
    before: str
    after: str


@dataclass(frozen=True)
class SegmentProposals:
    """All segments by name, those that are new, the lock they make, who changes, who is held and why, and findings."""

    segments: tuple[Segment, ...]
    new: tuple[ProposedSegment, ...]
    lock: Mapping[str, Any]
    changes: tuple[MemberChange, ...]
    held: Mapping[str, str]
    findings: tuple[Finding, ...]

    @property
    def new_names(self) -> list[str]:
        """Return the names of the new segments, sorted."""
        return sorted(each.segment.name for each in self.new)


def with_types(
    register: Mapping[str, Any], classified: Mapping[str, Classification], types: Mapping[str, DeviceType]
) -> dict[str, Any]:
    """Return a register document whose devices have ``device_type`` and ``device_family`` as facts where their type is known.

    Queries of segments and rules may ask for them as for any fact. A device in dispute has neither.
    """
    devices = []
    for device in register.get("devices", ()):
        made = classified.get(str(device.get("id", "")))
        if made is not None and made.known and not made.disputed:
            facts = dict(device.get("facts", {}))
            family = types[made.type].family if made.type in types else ""
            for name, value in (("device_type", made.type), ("device_family", family)):
                if value:
                    facts[name] = {
                        "value": value,
                        "source": "classification",
                        "confidence": made.confidence,
                        "others": [],
                    }
            device = {**device, "facts": facts}
        devices.append(device)
    return {**register, "devices": devices}


def propose_segments(
    site: Site,
    rules: Sequence[ClassificationRule],
    register: Mapping[str, Any],
    classified: Mapping[str, Classification],
    types: Mapping[str, DeviceType],
    settings: ProposalSettings,
    committed: Mapping[str, Any] | None = None,
) -> SegmentProposals:
    """Return the segments that a register document (of ``with_types``) calls for, and the membership that they make.

    ``committed`` is the lock that is in force, None where there is none yet. Equal arguments give an equal answer.
    """
    standing = Fitting([each.members or {} for each in site.segments.values()])
    fits = Fitting([rule.when for rule in rules])
    findings: list[Finding] = []
    held, held_findings = held_devices(classified, committed)
    findings += held_findings
    segments = dict(site.segments)
    new: dict[str, ProposedSegment] = {}
    made_of: dict[int, str] = {}  # by the place of the rule whose query a new segment has
    left: dict[str, list[str]] = defaultdict(list)
    by_rule: dict[str, list[str]] = defaultdict(list)
    for device in register.get("devices", ()):
        name = str(device.get("id", ""))
        if name in held:
            continue
        facts = facts_of(device)
        fitting = fits(facts)
        joined = [made_of[place] for place in fitting if place in made_of]
        for rule_name in joined:
            by_rule[rule_name].append(name)
        if joined or standing(facts):
            continue
        rule = rules[fitting[0]] if fitting else None
        if rule is not None and rule.name not in segments:
            segments[rule.name] = _of_rule(rule)
            new[rule.name] = ProposedSegment(segments[rule.name], (), (), f"rule {rule.name} of classification.yml")
            made_of[fitting[0]] = rule.name
            by_rule[rule.name].append(name)
        elif rule is None and name in classified and classified[name].known:
            left[classified[name].type].append(name)
    new = {n: ProposedSegment(p.segment, (), tuple(sorted(by_rule[n])), p.reason) for n, p in new.items()}
    by_type, type_findings = _by_type(site, segments, left, types, settings, classified)
    findings += type_findings
    for each in by_type:
        segments[each.segment.name] = each.segment
        new[each.segment.name] = each
    ordered = tuple(segments[name] for name in sorted(segments))
    lock, lock_findings = resolve_members(ordered, register, held=held)
    findings += lock_findings
    return SegmentProposals(
        ordered,
        tuple(new[name] for name in sorted(new)),
        lock,
        member_changes(committed or {}, lock),
        held,
        tuple(findings),
    )


def held_devices(
    classified: Mapping[str, Classification], committed: Mapping[str, Any] | None
) -> tuple[dict[str, str], list[Finding]]:
    """Return the devices in dispute with the segment that the committed lock has them in (empty for none), and a finding for each."""
    places = _places(committed or {})
    held, findings = {}, []
    for name, made in sorted(classified.items()):
        if made.disputed:
            held[name] = places[name][0] if name in places else ""
            where = f"stays in {held[name]}" if held[name] else "is admitted to no segment"
            findings.append(codes.MEMBERSHIP_HELD.at(f"{name} {where}: {made.disputed}"))
    return held, findings


def member_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[MemberChange, ...]:
    """Return who joins, leaves and moves between two locks, by device."""
    before, after = _places(old), _places(new)
    changes = []
    for device in sorted(set(before) | set(after)):
        one, two = before.get(device, ("", "")), after.get(device, ("", ""))
        if one[0] != two[0]:
            changes.append(MemberChange(device, two[1] or one[1] or device, one[0], two[0]))
    return tuple(changes)


def _places(lock: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    return {
        entry["device"]: (name, entry.get("name", ""))
        for name, segment in sorted(lock.get("segments", {}).items())
        for entry in segment["devices"]
    }


def _of_rule(rule: ClassificationRule) -> Segment:
    return Segment(
        rule.name,
        rule.zone,
        rule.sgt,
        rule.owner,
        rule.criticality,
        dict(rule.when),
        (),
        rule.description,
        rule.location,
    )


@dataclass(frozen=True)
class _Group:
    """Types that are to share a segment."""

    zone: str
    family: str
    criticality: str
    types: tuple[str, ...]
    devices: tuple[str, ...]


def _by_type(
    site: Site,
    segments: Mapping[str, Segment],
    left: Mapping[str, Sequence[str]],
    types: Mapping[str, DeviceType],
    settings: ProposalSettings,
    classified: Mapping[str, Classification],
) -> tuple[list[ProposedSegment], list[Finding]]:
    """Return a segment for each type of the devices that are left, merged down to the budget."""
    findings: list[Finding] = []
    groups = []
    for name, devices in sorted(left.items()):
        kind = types[name]
        zone = settings.zones.get(name) or settings.zones.get(kind.family) or ""
        if zone not in site.zones:
            if settings.zones:
                findings.append(
                    codes.NO_ZONE.at(f"{name} (family {kind.family}): {len(devices)} devices fit no segment")
                )
            continue
        groups.append(_Group(zone, kind.family, kind.criticality, (name,), tuple(sorted(devices))))
    used = {each.sgt for each in segments.values() if each.sgt is not None}
    room = len(groups) if not settings.budget else max(0, settings.budget - len(used))
    free = [tag for tag in range(settings.first_sgt, settings.last_sgt + 1) if tag not in used and tag]
    if settings.first_sgt:
        room = min(room, len(free))
    groups, merged = _merged(groups, room)
    findings += merged
    kept = sorted(sorted(groups, key=_worth)[:room], key=lambda group: group.types)
    for group in groups:
        if group not in kept:
            text = f"{', '.join(group.types)}: {len(group.devices)} devices; {room} SGTs are left"
            findings.append(codes.NO_SEGMENT_LEFT.at(text))
    made = []
    names = {*segments, *site.networks}
    for number, group in enumerate(kept):
        name = _name(group, names)
        names.add(name)
        query: dict[str, Any] = {"fact": "device_type", "equals": group.types[0]}
        if len(group.types) > 1:
            query = {"fact": "device_type", "in": list(group.types)}
        first = group.types[0]
        owner = settings.owners.get(first) or settings.owners[group.family]
        text = "; ".join(types[each].description or each for each in group.types)
        sgt = free[number] if settings.first_sgt else None
        segment = Segment(name, group.zone, sgt, owner, group.criticality, query, (), text)
        reason = f"{len(group.devices)} devices of type {', '.join(group.types)} fit no segment"
        made.append(ProposedSegment(segment, group.types, group.devices, reason))
        weak = [each for each in group.devices if classified[each].use != "enforce"]
        if weak:
            shown = ", ".join(weak[:SHOWN]) + (f" and {len(weak) - SHOWN} more" if len(weak) > SHOWN else "")
            findings.append(codes.WEAK_TYPES.at(f"{name}: {len(weak)} of {len(group.devices)} devices ({shown})"))
    return made, findings


def _merged(groups: Sequence[_Group], room: int) -> tuple[list[_Group], list[Finding]]:
    """Return groups put together until they fit the room, those with fewest devices first, and a finding for each that has several types.

    Only types of one zone and family are put together, and those on which lives or processes depend only with such of the same
    criticality: a merge lets each do what any of them does.
    """
    current = list(groups)
    while len(current) > room:
        pairs = [
            (len(one.devices) + len(two.devices), one.types, two.types, i, j)
            for i, one in enumerate(current)
            for j, two in enumerate(current[i + 1 :], i + 1)
            if _may_share(one, two)
        ]
        if not pairs:
            break
        _size, _one, _two, i, j = min(pairs)
        first, second = current[i], current[j]
        joined = _Group(
            first.zone,
            first.family,
            min(first.criticality, second.criticality, key=RANK.index),
            tuple(sorted((*first.types, *second.types))),
            tuple(sorted((*first.devices, *second.devices))),
        )
        current = [each for number, each in enumerate(current) if number not in (i, j)] + [joined]
        current.sort(key=lambda group: group.types)
    return current, [
        codes.SEGMENTS_MERGED.at(f"{', '.join(each.types)} in zone {each.zone}: {len(each.devices)} devices")
        for each in current
        if len(each.types) > 1
    ]


def _may_share(one: _Group, two: _Group) -> bool:
    if (one.zone, one.family) != (two.zone, two.family):
        return False
    return one.criticality == two.criticality or not {one.criticality, two.criticality} & set(ALONE)


def _worth(group: _Group) -> tuple[int, int, tuple[str, ...]]:
    return RANK.index(group.criticality), -len(group.devices), group.types


def _name(group: _Group, taken: Collection[str]) -> str:
    base = group.types[0] if len(group.types) == 1 else f"{group.family}_{group.criticality}"
    name, number = base[:LONGEST_NAME], 1
    while name in taken:
        number += 1
        name = f"{base[: LONGEST_NAME - 3]}_{number}"
    return name


def counts_by_type(classified: Iterable[Classification]) -> dict[str, int]:
    """Return how many devices there are of each type, unknown ones included, most first."""
    return dict(sorted(Counter(each.type for each in classified).items(), key=lambda item: (-item[1], item[0])))
