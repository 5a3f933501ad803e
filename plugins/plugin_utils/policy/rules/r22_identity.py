# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SW22xx: segments, their tags and their devices."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.codes import UNSAFE_NAME
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.names import IDENTIFIER, name_finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.members import KNOWN_FACTS
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import ANY, NEVER_DROPPED, Segment, Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.outline import rules_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.ranges import overlap, ranges_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.ruling import Context, rule

# facts/ise.md section 4: Unknown, TrustSec_Devices, ANY, and the range that is kept off.
RESERVED_SGTS = {0: "Unknown", 1: "reserved", 2: "TrustSec_Devices", 65535: "ANY"}
HIGHEST_SGT = 65519
SHIPPED_SGTS = {*range(3, 16), 255}


@rule(UNSAFE_NAME)
def names_of_segments(site: Site, _context: Context) -> Iterator[Finding]:
    """A segment's name is legal as the name of a security group, an SGACL and a file."""
    for name, segment in site.segments.items():
        finding = name_finding(name, IDENTIFIER, "segment", segment.location)
        if finding:
            yield finding


@rule(codes.DUPLICATE_SEGMENT)
def names_differ_by_more_than_case(site: Site, _context: Context) -> Iterator[Finding]:
    """Segments differ by more than case: file systems and ISE do not tell them apart."""
    seen: dict[str, str] = {}
    for name, segment in site.segments.items():
        first = seen.setdefault(name.lower(), name)
        if first != name:
            text = f"segments {first} and {name} differ by case only"
            yield codes.DUPLICATE_SEGMENT.at(text, segment.location)


@rule(codes.AMBIGUOUS_NAME)
def names_have_one_meaning(site: Site, _context: Context) -> Iterator[Finding]:
    """A name is a segment or a network set, never both, and any is neither."""
    for name, segment in site.segments.items():
        if name == ANY:
            yield codes.AMBIGUOUS_NAME.at("a segment cannot be called any", segment.location)
        if name in site.networks:
            yield codes.AMBIGUOUS_NAME.at(f"{name} is a segment and a network set", site.networks[name].location)
    for kind, things in (("network set", site.networks), ("service", site.services)):
        if ANY in things:
            yield codes.AMBIGUOUS_NAME.at(f"a {kind} cannot be called any", things[ANY].location)


@rule(codes.SGT_RESERVED, codes.SGT_RANGE)
def tags_are_usable(site: Site, _context: Context) -> Iterator[Finding]:
    """An SGT lies from 3 to 65519 (facts/ise.md sections 1.6 and 4)."""
    for segment in _tagged(site):
        sgt = segment.sgt or 0
        if sgt in RESERVED_SGTS:
            text = f"segment {segment.name}: SGT {sgt} is {RESERVED_SGTS[sgt]}"
            yield codes.SGT_RESERVED.at(text, segment.location)
        elif HIGHEST_SGT < sgt < 65535:
            yield codes.SGT_RESERVED.at(f"segment {segment.name}: SGT {sgt} is above {HIGHEST_SGT}", segment.location)
        elif not 0 <= sgt <= 65535:
            yield codes.SGT_RANGE.at(
                f"segment {segment.name}: SGT {sgt} is not from 3 to {HIGHEST_SGT}", segment.location
            )


def _tagged(site: Site) -> list[Segment]:
    return [segment for segment in site.segments.values() if segment.sgt is not None]


@rule(codes.SGT_SHIPPED)
def tags_avoid_shipped_groups(site: Site, _context: Context) -> Iterator[Finding]:
    """An SGT is none of those that Cisco ISE ships with (3 to 15 and 255)."""
    for segment in _tagged(site):
        if segment.sgt in SHIPPED_SGTS and not segment.sgt_name:
            text = f"segment {segment.name}: Cisco ISE ships with a group of SGT {segment.sgt}"
            yield codes.SGT_SHIPPED.at(text, segment.location)


@rule(codes.SGT_SHARED, codes.SGT_NAME_ALONE)
def tags_are_unique(site: Site, _context: Context) -> Iterator[Finding]:
    """No two segments share an SGT, or the name of one: the matrix could not tell them apart."""
    seen: dict[int, Segment] = {}
    for segment in _tagged(site):
        first = seen.setdefault(segment.sgt or 0, segment)
        if first is not segment:
            text = f"segments {first.name} and {segment.name} share SGT {segment.sgt}"
            yield codes.SGT_SHARED.at(text, segment.location)
    names: dict[str, Segment] = {}
    for segment in site.segments.values():
        if not segment.sgt_name:
            continue
        if segment.sgt is None:
            text = f"segment {segment.name}: sgt_name {segment.sgt_name} is without sgt"
            yield codes.SGT_NAME_ALONE.at(text, segment.location)
        first = names.setdefault(segment.sgt_name.lower(), segment)
        if first is not segment:
            text = f"segments {first.name} and {segment.name} share the security group {segment.sgt_name}"
            yield codes.SGT_SHARED.at(text, segment.location)


@rule(codes.WRONG_DIRECTORY)
def files_stand_in_their_zone(site: Site, _context: Context) -> Iterator[Finding]:
    """A segment's file is ZONE/SEGMENT.yml, so that owners of a zone review what is theirs."""
    for segment in site.segments.values():
        wanted = f"{segment.zone}/{segment.name}.yml"
        if segment.location.file and segment.location.file != wanted:
            text = f"segment {segment.name} of zone {segment.zone} belongs into {wanted}"
            yield codes.WRONG_DIRECTORY.at(text, segment.location)


@rule(codes.NO_OWNER)
def segments_have_owners(site: Site, _context: Context) -> Iterator[Finding]:
    """Every segment has an owner."""
    for segment in site.segments.values():
        if not segment.owner.strip():
            yield codes.NO_OWNER.at(f"segment {segment.name} has no owner", segment.location)


@rule(codes.UNPROTECTED)
def life_support_is_protected(site: Site, _context: Context) -> Iterator[Finding]:
    """A life_support or process_critical segment stands in a must-always guardrail or a workflow, so that nothing cuts it unnoticed."""
    kept = {rule_id for workflow in site.workflows for rule_id in workflow.rules}
    rules = rules_of(site, lambda outline: not kept.isdisjoint(outline.ids))
    in_workflow = {end for item in rules if item.id in kept for end in (item.client, item.to)}
    guarded = {end for item in site.guardrails if item.must == "always" for end in (item.client, item.server)}
    protected = in_workflow | guarded
    for segment in site.segments.values():
        if segment.criticality in NEVER_DROPPED and segment.name not in protected:
            text = f"segment {segment.name} is {segment.criticality} and no guardrail or workflow protects it"
            yield codes.UNPROTECTED.at(text, segment.location)


@rule(codes.MEMBER_OUTSIDE, of_lock=True)
def members_lie_in_their_zone(site: Site, _context: Context) -> Iterator[Finding]:
    """Every address of a segment's devices lies in the subnets of its zone."""
    for name, members in site.members.items():
        zone = site.zones.get(site.segments[name].zone) if name in site.segments else None
        if zone is None:
            continue
        subnets = ranges_of(zone.subnets)
        for member in members:
            for address in member.addresses:
                if not overlap(ranges_of([address]), subnets):
                    text = f"segment {name}: {member.name or member.device} has {address}, outside zone {zone.name}"
                    yield codes.MEMBER_OUTSIDE.at(text, site.members_location)


@rule(codes.DEVICE_TWICE, of_lock=True)
def devices_are_in_one_segment(site: Site, _context: Context) -> Iterator[Finding]:
    """A device is in one segment only."""
    seen: dict[str, str] = {}
    for name, members in sorted(site.members.items()):
        for member in members:
            first = seen.setdefault(member.device, name)
            if first != name:
                text = f"device {member.name or member.device} is in segments {first} and {name}"
                yield codes.DEVICE_TWICE.at(text, site.members_location)


@rule(codes.ADDRESS_TWICE, of_lock=True)
def addresses_have_one_device(site: Site, _context: Context) -> Iterator[Finding]:
    """An address of the lock belongs to one device."""
    seen: dict[tuple[int, int, int], str] = {}
    for _name, members in sorted(site.members.items()):
        for member in members:
            for span in ranges_of(member.addresses):
                first = seen.setdefault(span, member.device)
                if first != member.device:
                    text = f"devices {first} and {member.device} hold the same address"
                    yield codes.ADDRESS_TWICE.at(text, site.members_location)


@rule(codes.NO_DEVICES)
def segments_have_devices(site: Site, _context: Context) -> Iterator[Finding]:
    """A segment without devices in the lock has no effect."""
    for segment in site.segments.values():
        if not site.members.get(segment.name):
            yield codes.NO_DEVICES.at(f"segment {segment.name} has no devices in the lock", segment.location)


@rule(codes.STALE_LOCK)
def lock_names_segments(site: Site, _context: Context) -> Iterator[Finding]:
    """The lock names defined segments only."""
    for name in sorted(set(site.members) - set(site.segments)):
        yield codes.STALE_LOCK.at(f"segment {name} of the lock is not defined", site.members_location)


@rule(codes.UNKNOWN_FACT)
def queries_use_known_facts(site: Site, _context: Context) -> Iterator[Finding]:
    """A members query uses facts that collect gathers; a misspelt fact fits no device."""
    for segment in site.segments.values():
        for fact in sorted(set(_facts(segment.members)) - set(KNOWN_FACTS)):
            text = f"segment {segment.name}: no source gathers the fact {fact}"
            yield codes.UNKNOWN_FACT.at(text, segment.location, f"known facts: {', '.join(KNOWN_FACTS)}")


def _facts(query: Any) -> Iterator[str]:
    if "fact" in query:
        yield query["fact"]
    for part in (*query.get("all", ()), *query.get("any", ()), *([query["not"]] if "not" in query else [])):
        yield from _facts(part)
