# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lists of a site against what a switch itself says of its TCAM, the fullest region first (facts/devices.md section 4).

Figures come from switch facts (docs/formats/switch-facts.md). What is in use holds our lists of today, so their entries are taken off
once: as many as the switch shows lines, which is the least that they can take. What is left belongs to others and stays. Beside it stand
the new lists, every port operator expanded, and while the largest is replaced also its old version.

A DACL is counted for each session on the member of the stack that has the port; lists of routed interfaces and cells on every member.
Which ASIC of a member has a port is not known, so the fullest one must hold them all.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.switch_facts import SwitchFacts
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.platform_limits import platform_limits
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.budget import size_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site

NEAR = 0.8
IPV6_FACTOR = 2
SECURITY, CELLS, POLICIES = "security", "sgacl_cells", "sgacl_policies"
# Regions, and the platform limits whose place they take.
LIMITS = {
    SECURITY: ("hardware_entries", "ipv6_hardware_entries"),
    CELLS: ("sgacl_cells",),
    POLICIES: ("sgacl_policies",),
}
DACL, CELL_LIST, PORT_LIST = "dacl", "sgacl", "acl"
_DACL = re.compile(r"\AxACSACLx-(?:IP|IPV6)-(?P<name>.+)-[0-9a-f]{8}\Z")
_VERSION = re.compile(r"__[abc]\Z")
_GENERATION = re.compile(r"-\d{2}\Z")
_MEMBER = re.compile(r"\A[A-Za-z-]+(\d+)/\d+/\d+")


@dataclass(frozen=True)
class Region:
    """One region as a switch shows it; ``member`` is the switch of the stack, ``slice`` -1 where the ASIC is not divided."""

    member: int
    asic: int
    slice: int
    kind: str
    direction: str
    family: str
    limit: int
    used: int

    def place(self) -> str:
        """Return where it is, for people."""
        text = f"member {self.member} ASIC {self.asic}"
        return text + (f" slice {self.slice}" if self.slice >= 0 else "")


@dataclass(frozen=True)
class Measured:
    """What a switch says of its hardware. ``in_place``: the fewest entries that lists take today, by kind (``dacl``, ``sgacl``, ``acl``),
    name in the policy and member (0: every member). ``whole`` is False where a line of the tables was not understood."""

    host: str
    read_at: str
    regions: tuple[Region, ...]
    in_place: Mapping[tuple[str, str, int], int] = field(default_factory=dict, hash=False)
    whole: bool = True

    def kinds(self) -> set[str]:
        """Return the kinds of platform limits that these figures take the place of."""
        return {kind for each in self.regions for kind in LIMITS[each.kind]}


@dataclass(frozen=True)
class Demand:
    """What one list takes in one region's terms: entries, direction, family, and copies by member (0: every member)."""

    kind: str
    name: str
    direction: str
    family: int
    entries: int
    copies: Mapping[int, int] = field(hash=False)

    def on(self, member: int) -> int:
        """Return its entries on a member."""
        return self.entries * (self.copies.get(0, 0) or self.copies.get(member, 0))


@dataclass(frozen=True)
class Capacity:
    """One region held against the lists: ``others`` stays, ``needed`` is ours, ``swap`` the largest list once more; all in entries."""

    switch: str
    place: str
    kind: str
    direction: str
    family: str
    limit: int
    used: int
    others: int
    needed: int
    swap: int
    read_at: str

    @property
    def peak(self) -> int:
        """Return the most entries in use at any moment of a rollout."""
        return max(self.used, self.others + self.needed) + self.swap

    def as_dict(self) -> dict[str, Any]:
        """Return the row for a report."""
        return {**asdict(self), "peak": self.peak, "from": "facts"}


def measured_of(facts: SwitchFacts) -> Measured | None:
    """Return the hardware figures of a switch's facts, None where they have none for security lists."""
    section = facts.sections.get("tcam")
    if section is None:
        return None
    regions = [_region(item) for item in section.value.get("regions", ())]
    extra = facts.sections.get("sgacl_resources")
    if extra is not None:
        regions += [_region(item) for item in extra.value.get("regions", ())]
    kept = tuple(each for each in regions if each.kind and each.limit > 0)
    if not any(each.kind == SECURITY for each in kept):
        return None
    return Measured(facts.host, section.read_at, kept, _lists_in_place(facts), section.whole)


def _lists_in_place(facts: SwitchFacts) -> dict[tuple[str, str, int], int]:
    """Return what our lists take today at the least. A list that no session and no interface has takes nothing."""
    lists = facts.value("access_lists", {}).get("lists", ())
    lines = {str(item["name"]): int(item["entries"]) for item in lists}
    found: Counter[tuple[str, str, int]] = Counter()
    for item in facts.value("sessions", {}).get("sessions", ()):
        for name in map(str, item.get("access_lists", ())):
            known = _DACL.match(name)
            if known:
                found[DACL, known["name"], member_of(str(item["interface"]))] += lines.get(name, 0)
    attached = {str(item["access_list"]) for item in facts.value("configuration", {}).get("attachments", ())}
    for name in attached & set(lines):
        found[PORT_LIST, _VERSION.sub("", name), 0] += lines[name]
    generations: dict[str, int] = {}
    for item in lists:
        if item["kind"] == "role-based":
            name = _GENERATION.sub("", str(item["name"]))
            generations[name] = min(int(item["entries"]), generations.get(name, 1 << 30))
    found.update({(CELL_LIST, name, 0): count for name, count in generations.items()})
    return dict(found)


def member_of(interface: str) -> int:
    """Return the stack member in the name of an interface, 1 where it names none."""
    found = _MEMBER.match(interface)
    return int(found[1]) if found else 1


def _region(item: Mapping[str, Any]) -> Region:
    return Region(
        int(item["member"]),
        int(item["asic"]),
        int(item["slice"]),
        str(item["kind"]),
        str(item["direction"]),
        str(item["family"]),
        int(item["limit"]),
        int(item["used"]),
    )


def capacity_of(site: Site, measured: Measured, lists: Iterable[PointList]) -> list[Capacity]:
    """Return each region of a switch that lists of the site take part of, the fullest first."""
    hardware = site.switches.get(measured.host)
    factor = platform_limits(hardware.hardware).value("ipv6_factor", IPV6_FACTOR) if hardware else IPV6_FACTOR
    demands, cells, policies = _demands(site, measured.host, lists, factor, hardware.sessions if hardware else 0)
    if not demands and not cells:
        return []
    found = []
    for region in measured.regions:
        if region.kind == CELLS:
            # Cells and policies that are on the switch now are replaced; which of them are ours is not shown, so none is taken off.
            needed, swap, ours = cells, 0, region.used
        elif region.kind == POLICIES:
            needed, swap, ours = policies, 1 if policies else 0, region.used
        else:
            here = [each for each in demands if _in_region(each, region) and each.on(region.member)]
            needed = sum(each.on(region.member) for each in here)
            swap = max((each.on(region.member) for each in here), default=0)
            ours = sum(_in_place(each, measured, region.member) for each in here)
        if needed:
            found.append(
                Capacity(
                    measured.host,
                    region.place(),
                    region.kind,
                    region.direction,
                    region.family,
                    region.limit,
                    region.used,
                    max(0, region.used - ours),
                    needed,
                    swap,
                    measured.read_at,
                )
            )
    return sorted(found, key=lambda each: (-each.peak / each.limit, each.place, each.kind, each.direction))


def _in_region(demand: Demand, region: Region) -> bool:
    if region.direction not in ("both", demand.direction):
        return False
    return region.family == "any" or (region.family == "4") == (demand.family == 4)


def _in_place(demand: Demand, measured: Measured, member: int) -> int:
    """Return the fewest entries that the list's version of today can take on a member."""
    return measured.in_place.get((demand.kind, demand.name, 0 if 0 in demand.copies else member), 0)


def _demands(
    site: Site, host: str, lists: Iterable[PointList], factor: int, most_sessions: int
) -> tuple[list[Demand], int, int]:
    """Return what the lists take on a switch, how many cells and how many distinct policies."""
    places: dict[str, Counter[int]] = {
        segment: Counter(member_of(each.interface) for each in members if each.switch == host)
        for segment, members in site.members.items()
    }
    made: list[Demand] = []
    contents: dict[object, Demand] = {}
    cells = 0
    for listing in lists:
        cost = size_of(listing)["expanded_aces"] * (factor if listing.family == 6 else 1)
        direction = "out" if listing.kind == "sgacl" else listing.direction
        if listing.kind in ("port_acl", "router_acl") and listing.host == host:
            made.append(Demand(PORT_LIST, listing.name, direction, listing.family, cost, {0: 1}))
        elif listing.kind == "dacl" and places.get(listing.segment) and _takes(site, listing, host):
            copies = {member: most_sessions or count for member, count in places[listing.segment].items()}
            made.append(Demand(DACL, listing.name, direction, listing.family, cost, copies))
        elif listing.kind == "sgacl" and places.get(listing.peer) and _takes(site, listing, host):
            cells += 1
            key = tuple(ace.meaning() for ace in listing.aces)
            contents.setdefault(key, Demand(CELL_LIST, listing.name, direction, listing.family, cost, {0: 1}))
    return [*made, *contents.values()], cells, len(contents)


def _takes(site: Site, listing: PointList, host: str) -> bool:
    named = site.points[listing.point].options.get("switches")
    return not named or host in named


def capacity_findings(site: Site, rows: Sequence[Capacity]) -> list[Finding]:
    """Return an error where a region cannot hold the lists, a warning where no room is left to replace one or a fifth to grow."""
    found = []
    for row in rows:
        hardware = site.switches.get(row.switch)
        place = hardware.location if hardware else Location()
        what = {SECURITY: f"{_words(row)} entries", CELLS: "SGACL cells", POLICIES: "SGACL policies"}[row.kind]
        text = (
            f"switch {row.switch} {row.place} needs {row.others + row.needed} of {row.limit} {what}"
            f" ({row.others} for others, {row.needed} for these lists; by the switch itself at {row.read_at})"
        )
        if row.others + row.needed > row.limit:
            found.append(codes.HARDWARE_FULL.at(text, place))
        elif row.peak > row.limit:
            found.append(
                codes.HARDWARE_NEAR.at(f"{text}, and {row.swap} more while its largest list is replaced", place)
            )
        elif row.peak > NEAR * row.limit:
            found.append(codes.HARDWARE_NEAR.at(f"{text}; up to {row.peak} while lists are replaced", place))
    return found


def _words(row: Capacity) -> str:
    direction = {"in": "ingress ", "out": "egress "}.get(row.direction, "")
    family = {"4": "IPv4 ", "other": "non-IPv4 "}.get(row.family, "")
    return f"{direction}{family}security"
