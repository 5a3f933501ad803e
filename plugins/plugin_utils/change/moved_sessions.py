# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Devices whose session takes another list or tag by a step in ISE: which steps move whom, what their session has to carry then. Pure.

ISE is told of another group at once; the session takes what goes with it when it authenticates again (facts/ise.md section 0 item 6).
What that is says the rule of the group as it stands after the ring: what a later ring changes is not handed out yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.carriers import (
    ABSENT,
    APPROVED,
    CURRENT,
    MISSING,
    OLD,
    UNAUTHORIZED,
    UNREAD,
    Carrier,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Operation
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.naming import owned_name
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site

EVENT, EVENT_BACK = "ring_moved", "moved_back"
SHOWN = 5
# (target, segment, MACs in lower case): whose sessions take what the segment's rule hands out.
Moved = tuple[str, str, tuple[str, ...]]


_HANDED = {
    "authorization_rule": ("state", "profiles", "security_group"),
    "authorization_profile": ("dacl_name", "ipv6_dacl_name"),
}

MOVING_KINDS = frozenset(("endpoint", *_HANDED))


def hands_out_more(step: Operation) -> bool:
    """Return whether a step changes what the sessions of a segment get. A profile that is new is handed out by nobody yet."""
    names = _HANDED.get(step.kind)
    if names is None or step.after is None or (step.kind == "authorization_profile" and step.before is None):
        return False
    before = step.before or {}
    return any((before.get(name) or None) != (step.after.get(name) or None) for name in names)


def assigns(step: Operation) -> bool:
    """Return whether a step puts a device into another group."""
    return (
        step.kind == "endpoint"
        and step.after is not None
        and (step.before or {}).get("group") != step.after.get("group")
    )


def moved_by(
    site: Site, steps: Iterable[tuple[str, Operation]], places: Mapping[tuple[str, str], int]
) -> dict[int, tuple[Moved, ...]]:
    """Return whose sessions the steps of a plan move, by the number of the ring in which each step, (target, id), has its place.

    A static assignment moves its device; another rule, or another list in its profile, the devices that its segment has by then. A device
    that leaves every segment is none: nothing says what ISE gives it then. A tag by mapping needs no session.
    """
    steps = [(target, step) for target, step in steps if step.kind in MOVING_KINDS]
    if not steps:
        return {}
    assigned = {
        (target, step.name.lower()): places.get((target, step.id), 0)
        for target, step in steps
        if step.kind == "endpoint"
    }
    segment_of = {member.device.lower(): name for name, found in site.members.items() for member in found}
    by_name = {owned_name(name): name for name in site.segments}
    made: dict[int, dict[tuple[str, str], dict[str, None]]] = {}
    for target, step in steps:
        if (target, step.id) not in places:
            continue
        here = made.setdefault(places[target, step.id], {})
        if assigns(step):
            device = step.name.lower()
            if segment := segment_of.get(device, ""):
                here.setdefault((target, segment), {})[device] = None
        elif hands_out_more(step):
            segment = by_name.get(step.name.partition("@")[0], "")
            members = (member.device.lower() for member in site.members.get(segment, ()))
            # Whom the plan assigns with this ring or later meets the rule as it is then.
            here.setdefault((target, segment), {}).update(
                (mac, None) for mac in members if assigned.get((target, mac), -1) < places[target, step.id]
            )
    return {
        place: tuple((*key, tuple(sorted(devices))) for key, devices in sorted(here.items()) if devices)
        for place, here in made.items()
    }


def moved_back(site: Site, undone: Iterable[Operation]) -> tuple[Moved, ...]:
    """Return whose sessions take again what they had, once steps are undone; the group of a segment that the policy has not stands for it.

    A device that had no group of ours is left out: nothing says what ISE gives it.
    """
    by_name = {owned_name(name): name for name in site.segments}
    members = {name: [member.device.lower() for member in found] for name, found in site.members.items()}
    undone = tuple(undone)
    made: dict[tuple[str, str], dict[str, None]] = {}
    assigned = {step.name.lower() for step in undone if assigns(step)}
    for step in undone:
        if assigns(step) and (group := str((step.before or {}).get("group") or "")):
            made.setdefault((step.target, by_name.get(group, group)), {})[step.name.lower()] = None
        elif hands_out_more(step):
            segment = by_name.get(step.name.partition("@")[0], "")
            here = made.setdefault((step.target, segment), {})
            here.update((mac, None) for mac in members.get(segment, ()) if mac not in assigned)
    return tuple((*key, tuple(sorted(devices))) for key, devices in sorted(made.items()) if devices)


def held_after(objects: Mapping[str, Mapping[str, Any]], later: Iterable[Operation]) -> dict[str, Mapping[str, Any]]:
    """Return what a target holds once a ring is done, by ``kind/name``: what the policy says, but for what ``later`` steps still change."""
    held = dict(objects)
    for step in later:
        key = f"{step.kind}/{step.name}"
        if step.before is None:
            held.pop(key, None)
        else:
            held[key] = step.before
    return held


@dataclass(frozen=True)
class Handed:
    """What a session of a segment gets: lists as (family, name, text), and a tag's value, None where it gets none."""

    lists: tuple[tuple[int, str, str], ...] = ()
    tag: int | None = None


def handed_out(held: Mapping[str, Mapping[str, Any]], group: str) -> Handed | None:
    """Return what the rule of a group of ours hands out, by what its ISE holds; None where no rule does, or what it names is not there."""
    begin = f"authorization_rule/{group}@"
    rule = next((body for key, body in sorted(held.items()) if key.startswith(begin)), None)
    if rule is None or rule.get("state") == "disabled":
        return None
    lists = []
    for profile in rule.get("profiles") or ():
        body = held.get(f"authorization_profile/{profile}") or {}
        for family, field_name in ((4, "dacl_name"), (6, "ipv6_dacl_name")):
            if name := str(body.get(field_name) or ""):
                text = held.get(f"downloadable_acl/{name}")
                if text is None:
                    return None
                lists.append((family, name, str(text.get("content", ""))))
    group = str(rule.get("security_group") or "")
    tag = held.get(f"sgt/{group}") if group else None
    if group and tag is None:
        return None
    return Handed(tuple(lists), int(tag["value"]) if tag is not None else None)


def with_tag(item: Carrier, wanted: int | None, by_switch: int | None, by_ise: int | None) -> Carrier:
    """Return what a moved device's session carries, list and tag together; ``OLD`` where it has to authenticate again.

    ``item``: judged by its list. Another list, or none, is what a device carries that has not authenticated since it moved.
    """
    if item.state == MISSING:
        return replace(item, state=OLD)
    if item.state not in (APPROVED, CURRENT) or wanted is None:
        return item
    tag = by_switch if by_switch is not None else by_ise
    if tag != wanted:
        has = "no tag" if tag is None else f"tag {tag}"
        return replace(item, state=OLD, reason=f"carries {has}, not {wanted}")
    if by_switch is None and item.state == APPROVED:
        return replace(item, state=CURRENT, reason="its tag by ISE's word")
    return item


def tag_alone(item: Carrier, lists: bool, tagged: bool) -> Carrier:
    """Return the state of a device that gets no list: as if its list were the approved one, where it has none (``lists``: it has one).

    ``tagged``: it carries a tag although it gets none either.
    """
    if item.state in (ABSENT, UNAUTHORIZED, UNREAD):
        return item
    if lists or tagged:
        return replace(item, state=OLD, reason=item.reason if lists else "carries a tag")
    return replace(item, state=APPROVED if item.shown_by == "switch" else CURRENT, reason="")


@dataclass(frozen=True)
class Followed:
    """How far the moved devices of a ring are, by MAC: those that carry the new list and tag, those that have no session and so get them
    when they authenticate, and the others with why: these may be as before.
    """

    followed: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    open: tuple[tuple[str, str], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for the journal and a result."""
        return {
            "followed": list(self.followed),
            "absent": list(self.absent),
            "open": [{"mac": mac, "reason": reason} for mac, reason in self.open],
        }

    def findings(self, ring: str, names: Mapping[str, str], *, needed: bool) -> list[Finding]:
        """Return what to say of a ring. ``needed``: the plan is proved only where all have followed, so that an open one is an error."""
        made = []
        where = f"ring {ring}: " if ring else ""
        if self.open:
            shown = ", ".join(f"{names.get(mac, mac)} ({reason})" for mac, reason in self.open[:SHOWN])
            more = f" and {len(self.open) - SHOWN} more" if self.open[SHOWN:] else ""
            found = codes.MOVED_OPEN.at(f"{where}{len(self.open)} devices may be as before: {shown}{more}")
            made.append(found if needed else found.with_severity("warning"))
        if self.absent:
            shown = ", ".join(names.get(mac, mac) for mac in self.absent[:SHOWN])
            more = f" and {len(self.absent) - SHOWN} more" if self.absent[SHOWN:] else ""
            text = (
                f"{where}{len(self.absent)} have no session and get the new ones when they authenticate: {shown}{more}"
            )
            made.append(codes.MOVED_OPEN.at(text).with_severity("info"))
        return made


def followed_of(
    carriers: Mapping[str, Carrier], places: Mapping[str, str], read: Iterable[str], held: Mapping[str, str]
) -> Followed:
    """Return how far devices are, by what their sessions carry.

    ``places``: the switch of each device that moves; ``read``: switches that showed all their sessions; ``held``: why a device was not
    touched. That ISE knows of no session is no proof that there is none (it forgets one whose accounting ended): only where the device's
    own switch was asked too, and shows none, or one that is not authorized, the next authentication decides.
    """
    asked = {name.lower() for name in read}
    followed, absent, left = [], [], []
    for mac in sorted(places):
        item = carriers.get(mac)
        if item is not None and item.state in (APPROVED, CURRENT):
            followed.append(mac)
        elif item is not None and (
            (item.state == ABSENT and places[mac].lower() in asked)
            or (item.state == UNAUTHORIZED and item.shown_by == "switch")
        ):
            absent.append(mac)
        else:
            left.append((mac, held.get(mac) or _why(item, places[mac])))
    return Followed(tuple(followed), tuple(absent), tuple(left))


def _why(item: Carrier | None, place: str) -> str:
    if item is None:
        return "nothing says what its session has to carry"
    if item.state == ABSENT:
        return f"ISE knows no session, and {place or 'its switch'} was not asked"
    return item.reason or item.state


def open_in(entries: Sequence[Mapping[str, Any]], plan_id: str) -> dict[str, dict[str, str]]:
    """Return for each ring of a plan the devices that it moved and that may be as before, by MAC with why, as the journal has it.

    A ring that was taken back, or another run of it, begins anew.
    """
    found: dict[str, dict[str, str]] = {}
    for entry in entries:
        if entry.get("plan_id") != plan_id:
            continue
        if entry["event"] == EVENT:
            found[str(entry.get("ring", ""))] = {str(item["mac"]): str(item["reason"]) for item in entry["open"]}
            for mac in (*entry["followed"], *entry["absent"]):
                for ring in found.values():
                    ring.pop(str(mac), None)
        elif entry["event"] == "plan_started" and entry.get("ring"):
            found.pop(str(entry["ring"]), None)
    return found


def carried_on(moved: Iterable[tuple[str, Sequence[Moved]]], still: Mapping[str, Mapping[str, str]]) -> Iterator[Moved]:
    """Yield of earlier rings, (ring, moved), the devices that may be as before ``still``: the next ring asks them again."""
    for ring, rows in moved:
        for target, segment, macs in rows:
            left = tuple(mac for mac in macs if mac in still.get(ring, {}))
            if left:
                yield target, segment, left
