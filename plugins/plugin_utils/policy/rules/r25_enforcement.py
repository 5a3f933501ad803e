# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SW25xx: enforcement points, stages and rings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.codes import UNSAFE_NAME
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.names import (
    ACL_NAME,
    HOST_NAME,
    INTERFACE,
    name_finding,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.platform_limits import (
    names as hardware_classes,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.cells import matrices_of, stage_of_segments
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import (
    ANY,
    NEVER_DROPPED,
    Assignment,
    CellStage,
    EnforcementPoint,
    Member,
    Site,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.outline import holders_of, outline_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.ranges import (
    is_end,
    member_ranges,
    overlap,
    ranges_of,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.ruling import Context, rule

PLATFORMS = {
    "firewall": ("nftables", "asa"),
    "dacl": ("ise",),
    "sgacl": ("ise",),
    "port_acl": ("ios", "nxos"),
    "router_acl": ("ios", "nxos"),
}
OPTIONS = {
    "firewall": {"table", "zones", "subnets", "addresses", "default", "management"},
    "dacl": {"switches", "authorization", "anc_policies"},
    "sgacl": {"switches", "tags", "ipv6", "authorization", "mappings", "anc_policies"},
    "port_acl": {"interfaces"},
    "router_acl": {"gateways", "addresses", "management"},
}


def _assigned(site: Site, *kinds: str) -> Iterator[tuple[Assignment, EnforcementPoint]]:
    """Yield assignments of defined segments with each of their defined points that writes something."""
    for assignment in site.assignments.values():
        if assignment.stage == "observe" or assignment.segment not in site.segments:
            continue
        for name in assignment.points:
            point = site.points.get(name)
            if point is not None and point.kind in kinds:
                yield assignment, point


@rule(UNSAFE_NAME)
def names_of_points(site: Site, _context: Context) -> Iterator[Finding]:
    """Names of points, their hosts, tables and interfaces are legal, because they reach a command line."""
    for name, point in site.points.items():
        named = [(name, ACL_NAME, "point"), (point.host, HOST_NAME, f"point {ascii(name)[1:-1]}: host")]
        if "table" in point.options:
            named.append((point.options["table"], ACL_NAME, f"point {ascii(name)[1:-1]}: table"))
        named += [
            (port, INTERFACE, f"point {ascii(name)[1:-1]}: interface")
            for port in (
                *point.options.get("interfaces", ()),
                *(gateway["interface"] for gateway in point.options.get("gateways", ())),
            )
        ]
        for text, pattern, what in named:
            finding = name_finding(text, pattern, what, point.location)
            if finding:
                yield finding


@rule(codes.UNKNOWN_POINT)
def points_are_defined(site: Site, _context: Context) -> Iterator[Finding]:
    """A segment is assigned to points that exist."""
    for assignment in site.assignments.values():
        for name in assignment.points:
            if name not in site.points:
                text = f"segment {assignment.segment}: point {name} is not defined"
                yield codes.UNKNOWN_POINT.at(text, assignment.location)


@rule(codes.UNKNOWN_SEGMENT)
def assigned_segments_are_defined(site: Site, _context: Context) -> Iterator[Finding]:
    """Stages, rings and cells name segments that exist."""
    for assignment in site.assignments.values():
        if assignment.segment not in site.segments:
            yield codes.UNKNOWN_SEGMENT.at(f"segment {assignment.segment} is not defined", assignment.location)
    for ring in site.rings:
        for name in ring.segments:
            if name not in site.segments:
                yield codes.UNKNOWN_SEGMENT.at(f"ring {ring.id}: segment {name} is not defined", ring.location)
    for cell in site.cells:
        for name in dict.fromkeys(cell.pair):
            if name not in site.segments:
                yield codes.UNKNOWN_SEGMENT.at(f"cell {cell.name}: segment {name} is not defined", cell.location)


@rule(codes.CANNOT_FILTER)
def points_see_their_segments(site: Site, _context: Context) -> Iterator[Finding]:
    """A firewall stands at the segment's zone, and a port list has ports of the segment's devices."""
    known: dict[str, list[tuple[int, int, int]]] = {}
    for assignment, point in _assigned(site, "firewall", "router_acl"):
        zone = site.zones.get(site.segments[assignment.segment].zone)
        spans = known[point.id] if point.id in known else known.setdefault(point.id, _subnets(site, point))
        if zone is not None and spans and not overlap(ranges_of(zone.subnets), spans):
            text = f"segment {assignment.segment}: point {point.id} does not stand at zone {zone.name}"
            yield codes.CANNOT_FILTER.at(text, assignment.location)
    for assignment, point in _assigned(site, "port_acl"):
        if not point.options.get("interfaces") and not any(
            _attached(m, point) for m in site.members.get(assignment.segment, ())
        ):
            text = f"segment {assignment.segment}: point {point.id} has no interfaces and the lock knows no port on {point.host}"
            yield codes.CANNOT_FILTER.at(text, assignment.location)


def _attached(member: Member, point: EnforcementPoint) -> bool:
    return member.switch == point.host and bool(member.interface)


def _subnets(site: Site, point: EnforcementPoint) -> list[tuple[int, int, int]]:
    if point.kind == "router_acl":
        return ranges_of(prefix for gateway in point.options.get("gateways", ()) for prefix in gateway["subnets"])
    if point.options.get("subnets"):
        return ranges_of(point.options["subnets"])
    zones = point.options.get("zones") or sorted(site.zones)
    return ranges_of(prefix for name in zones if name in site.zones for prefix in site.zones[name].subnets)


@rule(codes.PARTLY_FILTERED)
def port_lists_reach_every_device(site: Site, _context: Context) -> Iterator[Finding]:
    """The port lists of a segment cover the ports of all its devices."""
    by_segment: dict[str, list[EnforcementPoint]] = {}
    for assignment, point in _assigned(site, "port_acl"):
        by_segment.setdefault(assignment.segment, []).append(point)
    for name, points in by_segment.items():
        if any(point.options.get("interfaces") for point in points):
            continue
        members = site.members.get(name, ())
        missed = [m.name or m.device for m in members if not any(_attached(m, point) for point in points)]
        if missed and len(missed) < len(members):
            text = f"segment {name}: no port list at the port of {', '.join(missed[:5])}"
            yield codes.PARTLY_FILTERED.at(text, site.assignments[name].location)


@rule(codes.NO_SGT)
def matrix_segments_have_tags(site: Site, _context: Context) -> Iterator[Finding]:
    """A segment at an sgacl point has an SGT."""
    for assignment, point in _assigned(site, "sgacl"):
        if site.segments[assignment.segment].sgt is None:
            text = f"segment {assignment.segment} has no SGT and point {point.id} is a matrix"
            yield codes.NO_SGT.at(text, assignment.location)


@rule(codes.CELL_TWICE)
def cells_stand_once(site: Site, _context: Context) -> Iterator[Finding]:
    """A cell has one stage of its own at most."""
    seen: set[tuple[str, str]] = set()
    for cell in site.cells:
        if cell.pair in seen:
            yield codes.CELL_TWICE.at(f"cell {cell.name} stands twice", cell.location)
        seen.add(cell.pair)


@rule(codes.CELL_NOT_MONITORED)
def cells_can_be_monitored(site: Site, _context: Context) -> Iterator[Finding]:
    """A cell with a stage of its own lies in a matrix that has both its segments, and whose switches know the tag of the sender."""
    for cell in _defined_cells(site):
        matrices = [site.points[name] for name in matrices_of(site, cell.pair)]
        if not matrices:
            text = f"cell {cell.name}: no sgacl point has both segments"
            yield codes.CELL_NOT_MONITORED.at(text, cell.location)
        elif cell.stage != "observe" and all(point.options.get("tags") == "none" for point in matrices):
            text = f"cell {cell.name}: tags do not reach the switches of {matrices[0].id} (tags: none), so nothing is counted there"
            yield codes.CELL_NOT_MONITORED.at(text, cell.location)


@rule(codes.CELL_AHEAD)
def cells_follow_their_segments(site: Site, _context: Context) -> Iterator[Finding]:
    """A cell is monitored or enforced only where both segments are, since nothing is written for one that is observed."""
    for cell in _defined_cells(site):
        if cell.stage == "observe" or not matrices_of(site, cell.pair):
            continue
        behind = [name for name in dict.fromkeys(cell.pair) if site.assignments[name].stage == "observe"]
        if behind:
            text = f"cell {cell.name} is at {cell.stage}, and {' and '.join(behind)} at observe"
            yield codes.CELL_AHEAD.at(text, cell.location)


@rule(codes.CELL_NEEDED)
def needed_cells_are_written(site: Site, _context: Context) -> Iterator[Finding]:
    """A workflow of criticality life_support or process_critical has its cells, both ways: a pair without one is left to ANY-ANY."""
    absent = {cell.pair: cell for cell in _defined_cells(site) if cell.stage == "observe"}
    needed = {name: w for w in site.workflows if w.criticality in NEVER_DROPPED for name in w.rules} if absent else {}
    if not needed:
        return
    for item in site.rules():
        if item.id not in needed:
            continue
        for pair, cell in absent.items():
            if stage_of_segments(site, pair) == "observe":
                continue
            for client, server in dict.fromkeys((pair, pair[::-1])):
                if item.client == client and _leads_to(site, item.to, server):
                    what = "packets" if (client, server) == pair else "answers"
                    text = f"cell {cell.name} is observed, and workflow {needed[item.id].id} has {what} of rule {item.id} there"
                    yield codes.CELL_NEEDED.at(text, cell.location)


def _defined_cells(site: Site) -> list[CellStage]:
    return [cell for cell in site.cells if all(name in site.segments for name in cell.pair)]


def _leads_to(site: Site, end: str, segment: str) -> bool:
    """Return whether a rule to an end may lead to devices of a segment."""
    if end in (segment, ANY):
        return True
    network = site.networks.get(end)
    return (
        end not in site.segments
        and network is not None
        and overlap(member_ranges(site, segment), ranges_of(network.prefixes))
    )


@rule(codes.BAD_POINT, codes.UNKNOWN_ZONE)
def points_are_consistent(site: Site, _context: Context) -> Iterator[Finding]:
    """A point's platform and fields belong to its kind, its zones exist, and no two points write the same objects."""
    writers: dict[tuple[str, ...], str] = {}
    for name, point in site.points.items():
        if point.kind not in PLATFORMS:
            yield codes.BAD_POINT.at(f"point {name}: kind {point.kind!a} is not known", point.location)
            continue
        if point.platform not in PLATFORMS[point.kind]:
            text = f"point {name}: a {point.kind} is written to {' or '.join(PLATFORMS[point.kind])}, not to {point.platform}"
            yield codes.BAD_POINT.at(text, point.location)
        for option in sorted(set(point.options) - OPTIONS[point.kind]):
            yield codes.BAD_POINT.at(f"point {name}: {option} does not belong to a {point.kind}", point.location)
        if "table" in point.options and point.platform == "asa":
            yield codes.BAD_POINT.at(f"point {name}: table does not belong to platform asa", point.location)
        if point.kind == "router_acl" and not point.options.get("gateways"):
            yield codes.BAD_POINT.at(f"point {name}: a router_acl needs gateways", point.location)
        yield from _gateway_faults(name, point)
        for zone in point.options.get("zones", ()):
            if zone not in site.zones:
                yield codes.UNKNOWN_ZONE.at(f"point {name}: zone {zone} is not defined", point.location)
        place = (point.host, point.kind, str(point.options.get("table", "")))
        first = writers.setdefault(place, name)
        if first != name:
            text = f"points {first} and {name} write the same objects of {point.host}"
            yield codes.BAD_POINT.at(text, point.location)


@rule(codes.BAD_POINT)
def rules_of_ise_agree(site: Site, _context: Context) -> Iterator[Finding]:
    """Points of one ISE that bind segments in one policy set say the same about it: a segment has one rule there."""
    said: dict[tuple[str, str], tuple[str, Any]] = {}
    for name, point in site.points.items():
        options = point.options.get("authorization")
        if options is None:
            continue
        ways = (options.get("before", ""), options.get("endpoints", "assigned"))
        first, other = said.setdefault((point.host, options.get("policy_set", "Default")), (name, ways))
        if other != ways:
            text = f"point {name}: before and endpoints differ from those of {first} for the same policy set of {point.host}"
            yield codes.BAD_POINT.at(text, point.location)


def _gateway_faults(name: str, point: EnforcementPoint) -> Iterator[Finding]:
    """An interface stands once, and no address has two gateways at one point."""
    seen: list[tuple[str, list[tuple[int, int, int]]]] = []
    for gateway in point.options.get("gateways", ()):
        spans = ranges_of(gateway["subnets"])
        for interface, others in seen:
            if interface == gateway["interface"]:
                yield codes.BAD_POINT.at(f"point {name}: interface {interface} stands twice", point.location)
            elif overlap(spans, others):
                text = f"point {name}: subnets of {interface} and {gateway['interface']} overlap"
                yield codes.BAD_POINT.at(text, point.location)
        seen.append((gateway["interface"], spans))


@rule(codes.UNKNOWN_POINT, codes.UNKNOWN_PATH_END, codes.UNKNOWN_HARDWARE)
def paths_are_defined(site: Site, _context: Context) -> Iterator[Finding]:
    """Ways name points and ends that exist, and switches a platform class that is known."""
    for name in site.paths.get("outside", ()):
        if name not in site.points:
            yield codes.UNKNOWN_POINT.at(f"paths: point {name} is not defined", site.paths_location)
    for route in site.paths.get("routes", ()):
        for name in route["points"]:
            if name not in site.points:
                yield codes.UNKNOWN_POINT.at(f"paths: point {name} is not defined", site.paths_location)
        for end in (route["client"], route["server"]):
            if not is_end(site, end):
                yield codes.UNKNOWN_PATH_END.at(f"paths: {end} is not defined", site.paths_location)
    for host, switch in sorted(site.switches.items()):
        if switch.hardware not in hardware_classes():
            text = f"switch {host}: hardware {switch.hardware} is not one of {', '.join(hardware_classes())}"
            yield codes.UNKNOWN_HARDWARE.at(text, switch.location)


@rule(codes.NOTHING_ALLOWED)
def enforced_segments_have_rules(site: Site, _context: Context) -> Iterator[Finding]:
    """A segment that is enforced has a rule from it or to it; otherwise it would be cut off."""
    concerned = {end for item in site.exceptions for end in (item.client, item.to)}
    for client, holder in holders_of(site):
        if ends := outline_of(holder).ends:
            concerned |= {client, *ends}
    networks = concerned & set(site.networks)
    for assignment in site.assignments.values():
        name = assignment.segment
        if assignment.stage != "enforce" or name not in site.segments or not assignment.points:
            continue
        if name in concerned or ANY in concerned:
            continue
        own = member_ranges(site, name)
        if not any(overlap(own, ranges_of(site.networks[network].prefixes)) for network in networks):
            yield codes.NOTHING_ALLOWED.at(f"segment {name} is enforced and no rule concerns it", assignment.location)


@rule(codes.NOT_ASSIGNED)
def segments_are_assigned(site: Site, _context: Context) -> Iterator[Finding]:
    """A segment that enforcement.yml does not name, or that has no point, is enforced nowhere."""
    for segment in site.segments.values():
        assignment = site.assignments.get(segment.name)
        if assignment is None or not assignment.points:
            yield codes.NOT_ASSIGNED.at(f"segment {segment.name} is enforced nowhere", segment.location)


@rule(codes.NO_MANAGEMENT)
def firewalls_stay_manageable(site: Site, _context: Context) -> Iterator[Finding]:
    """A firewall or gateway that is written to has management flows."""
    used = {point.id for _assignment, point in _assigned(site, "firewall", "router_acl")}
    for name in sorted(used):
        if not site.points[name].options.get("management"):
            yield codes.NO_MANAGEMENT.at(f"point {name} has no management flows", site.points[name].location)


@rule(codes.UNKNOWN_MANAGEMENT)
def management_is_defined(site: Site, _context: Context) -> Iterator[Finding]:
    """A management flow names ends and services that exist."""
    for name, point in site.points.items():
        for flow in point.options.get("management", ()):
            for end in (flow["client"], flow["server"]):
                if not is_end(site, end):
                    yield codes.UNKNOWN_MANAGEMENT.at(f"point {name}: {end} is not defined", point.location)
            for service in flow["services"]:
                if service not in site.services:
                    yield codes.UNKNOWN_MANAGEMENT.at(f"point {name}: service {service} is not defined", point.location)


@rule(codes.RING)
def rings_are_consistent(site: Site, _context: Context) -> Iterator[Finding]:
    """A ring's id stands once, a segment goes with one ring that is alike otherwise, and what a ring names is known."""
    if not site.rings:
        return
    ids: set[str] = set()
    seen: dict[tuple[tuple[tuple[object, ...], ...], str], str] = {}
    members = {member.device for found in site.members.values() for member in found}
    members |= {member.name for found in site.members.values() for member in found}
    hosts = {point.host for point in site.points.values()}
    attached = {member.switch for found in site.members.values() for member in found}
    for ring in site.rings:
        if ring.id in ids:
            yield codes.RING.at(f"ring {ring.id} stands twice", ring.location)
        ids.add(ring.id)
        for target in ring.targets:
            if target not in hosts:
                yield codes.RING.at(f"ring {ring.id}: no enforcement point has the host {target}", ring.location)
        for name in ring.devices:
            if name not in members:
                yield codes.RING.at(f"ring {ring.id}: no segment has the device {name}", ring.location)
        for name in ring.places:
            if name not in site.places:
                yield codes.RING.at(f"ring {ring.id}: place {name} is not defined", ring.location)
        for switch in dict.fromkeys(port[0] for port in ring.ports):
            if switch not in attached | hosts:
                text = f"ring {ring.id}: no device is attached to {switch}, and no point has it as its host"
                yield codes.RING.at(text, ring.location).with_severity("warning")
        if ring.shared_lists and not ring.limited:
            text = f"ring {ring.id}: shared_lists says something of rings with devices, ports or places only"
            yield codes.RING.at(text, ring.location)
        alike = tuple(tuple(sorted(each)) for each in (ring.targets, ring.devices, ring.ports, ring.places))
        for name in ring.segments:
            first = seen.setdefault((alike, name), ring.id)
            if first != ring.id:
                yield codes.RING.at(f"segment {name} stands in rings {first} and {ring.id}", ring.location)


@rule(codes.PLACE)
def places_are_consistent(site: Site, _context: Context) -> Iterator[Finding]:
    """A place names places that exist, is not within itself, and is where some device or port list is."""
    hosts = {point.host for point in site.points.values() if point.kind == "port_acl"}
    hosts |= {member.switch for found in site.members.values() for member in found}
    for name, place in site.places.items():
        for inner in place.places:
            if inner not in site.places:
                yield codes.PLACE.at(f"place {name}: place {inner} is not defined", place.location)
        if name in _within(site, name):
            yield codes.PLACE.at(f"place {name} is within itself", place.location)
        for switch in dict.fromkeys((*place.switches, *(port[0] for port in place.ports))):
            if switch not in hosts:
                text = f"place {name}: no device is attached to {switch}, and no port list stands there"
                yield codes.PLACE.at(text, place.location).with_severity("warning")
        for what, named in (("site", place.sites), ("access_point_group", place.access_point_groups)):
            here = {getattr(member, what).lower() for found in site.members.values() for member in found}
            for tag in named:
                if tag.lower() not in here:
                    text = f"place {name}: no wireless device has {what} {tag}"
                    yield codes.PLACE.at(text, place.location).with_severity("warning")


def _within(site: Site, name: str) -> set[str]:
    """Return the places within a place, at any depth."""
    found: set[str] = set()
    waiting = list(site.places[name].places)
    while waiting:
        inner = waiting.pop()
        if inner in site.places and inner not in found:
            found.add(inner)
            waiting += site.places[inner].places
    return found
