# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which devices a plan moves to other lists or tags, when, and what has to hold while some have moved and others have not. Pure.

What a device has now is read from live state: the rule of the group that ISE has it in hands out a list and a tag, a port has a list
attached. Groups, tags and lists of segments that the policy does not have any more count as long as the plan leaves them there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Operation, Snapshot
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.moved_sessions import assigns, hands_out_more
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.ring_places import Port, port_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.naming import group_name, owned_name
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import PacketSpace
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.changes import Key
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.moves import proved_back, proved_moves
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.moving import (
    NEVER,
    PORT,
    SESSION,
    Mixed,
    Move,
    Rolled,
    moved_members,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.live import (
    cell_in_force,
    lists_in_force,
    text_in_force,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.move_findings import finding_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.ring_default import default_cells, tags_that_move

SHOWN = 5
_CELL = "egress_matrix_cell"
FORWARD, BACK, BY_RING = "forward", "back", "back ring by ring"


@dataclass
class _Session:
    """A device that moves in ISE: where its list and its tag were, under which name people know that, and when it moves."""

    shown: str
    was: dict[str, str]  # kind of list -> segment before, empty for none
    begins: int = NEVER
    ends: int = -1

    def at(self, begins: int, ends: int) -> None:
        self.begins, self.ends = min(self.begins, begins), max(self.ends, ends)


@dataclass(frozen=True)
class Moving:
    """The moves of a plan, the membership before it for each kind of list, and lists in force now that the policy does not have."""

    moves: tuple[Move, ...] = ()
    before: Mapping[str, Site] = field(default_factory=dict)
    retired: tuple[PointList, ...] = ()


Steps = Sequence[tuple[Operation, int]]  # each with its moment


def moving_devices(
    site: Site,
    lists: Sequence[PointList],
    snapshots: Mapping[str, Snapshot],
    steps: Steps,
    confirmed: Mapping[int, int] | None = None,
) -> Moving:
    """Return which devices a plan's steps move, by live state.

    ``confirmed``: the moment by which devices that move at another one are known to have followed; none where nothing makes sure of it.
    """
    kinds = {step.kind for step, _moment in steps}
    in_ise = {"endpoint", "authorization_rule", "authorization_profile", "ip_sgt_mapping"}
    if not kinds & in_ise and not any("attachment" in k for k in kinds):
        return Moving()
    return _Reading(site, lists, snapshots, steps, confirmed or {}).moving()


class _Reading:
    """Reads one plan and its live state."""

    def __init__(
        self,
        site: Site,
        lists: Sequence[PointList],
        snapshots: Mapping[str, Snapshot],
        steps: Steps,
        confirmed: Mapping[int, int],
    ) -> None:
        self.site, self.snapshots, self.steps, self.confirmed = site, snapshots, steps, confirmed
        self.lists = [item for item in lists if item.host in snapshots]
        self.retired: dict[Key, PointList] = {}
        self._read: dict[
            tuple[str, str], str
        ] = {}  # lists that the policy has not, with their segment: each is read once
        self._rules: dict[str, dict[str, Mapping[str, Any]]] = {}  # host -> group -> rule
        self._lists_at: dict[str, dict[str, list[str]]] = {}  # host -> list -> ports
        self.by_list = {(item.host, item.name): item.segment for item in self.lists if item.kind != "sgacl"}
        self.by_tag = {group_name(site, name): name for name in site.segments}
        self.by_group = {owned_name(name): name for name in site.segments}
        self.will = {member.device.lower(): name for name, found in site.members.items() for member in found}
        self.members = {member.device.lower(): member for found in site.members.values() for member in found}

    def moving(self) -> Moving:
        sessions, ports = self._sessions(), self._ports()
        moves = []
        before = {}
        for kind in ("dacl", "sgacl"):
            was = [
                self._move(device, SESSION, item.was[kind], item.begins, item.ends) for device, item in sessions.items()
            ]
            before[kind] = replace(self.site, members=moved_members(self.site, was, SESSION))
        for device, item in sessions.items():
            if any(place != self.will[device] for place in item.was.values()):
                moves.append(self._move(device, SESSION, item.shown, item.begins, item.ends))
        was = [self._move(device, PORT, *found) for device, found in ports.items()]
        before["port_acl"] = replace(self.site, members=moved_members(self.site, was, PORT))
        moves += [move for move in was if move.was != move.will]
        return Moving(tuple(moves), before, (*self.retired.values(), *self._retired_cells(sessions)))

    def _move(self, device: str, carrier: str, was: str, begins: int, ends: int) -> Move:
        member = self.members[device]
        return Move(member.device, member.addresses, carrier, was, self.will[device], begins, ends)

    # -- what ISE hands out

    def _sessions(self) -> dict[str, _Session]:
        found: dict[str, _Session] = {}
        for step, moment in self.steps:
            device = step.name.lower()
            if step.kind == "endpoint" and device in self.members:
                group = str((step.before or {}).get("group") or "")
                handed = self._handed(step.target, self._rule_of(step.target, group) if group else None)
                item = found.setdefault(device, _Session(self.by_group.get(group, group), handed))
                item.at(moment, self._followed(moment, step))
        assigned = {(step.target, step.name.lower()): moment for step, moment in self.steps if step.kind == "endpoint"}
        for step, moment in self.steps:
            profile = step.kind == "authorization_profile" and hands_out_more(step)
            if profile or step.kind == "authorization_rule":
                group = step.name.partition("@")[0]
                segment = self.by_group.get(group, "")
                for member in self.site.members.get(segment, ()):
                    device = member.device.lower()
                    if assigned.get((step.target, device), -1) >= moment:
                        continue  # it comes to a rule that is as planned
                    if device not in found:
                        rule = self._rule_of(step.target, group) if profile else step.before
                        found[device] = _Session(segment if rule else "", self._handed(step.target, rule))
                    found[device].at(moment, self._followed(moment, step))
            elif step.kind == "ip_sgt_mapping":
                host = str((step.after or step.before or {}).get("host", ""))
                device = self._at_address.get(host, "")
                if device:
                    place = self._tagged(str((step.before or {}).get("sgt") or ""))
                    item = found.setdefault(device, _Session(place, {"dacl": self.will[device], "sgacl": place}))
                    item.at(moment, NEVER)
        return found

    def _followed(self, moment: int, step: Operation) -> int:
        """Return when a device is known to have followed a step of ISE: never where nothing says what it gets by then."""
        return self.confirmed.get(moment, NEVER) if assigns(step) or hands_out_more(step) else NEVER

    def _rule_of(self, host: str, group: str) -> Mapping[str, Any] | None:
        """Return the live rule of one of our groups: its name begins with that of the group."""
        if host not in self._rules:
            rules: dict[str, Mapping[str, Any]] = {}
            for key, body in self.snapshots[host].objects.items():
                if key.startswith("authorization_rule/") and "@" in key:
                    rules.setdefault(key.partition("/")[2].partition("@")[0], body)
            self._rules[host] = rules
        return self._rules[host].get(group)

    @cached_property
    def _at_address(self) -> dict[str, str]:
        """The device of each address."""
        found: dict[str, str] = {}
        for device, member in self.members.items():
            for address in member.addresses:
                found.setdefault(address, device)
        return found

    def _handed(self, host: str, rule: Mapping[str, Any] | None) -> dict[str, str]:
        """Return the segments whose list and tag a rule hands out; those that the policy has not are kept under names of their own."""
        handed = {"dacl": "", "sgacl": ""}
        if rule is None or rule.get("state") == "disabled":
            return handed
        objects = self.snapshots[host].objects
        for profile in rule.get("profiles") or ():
            body = objects.get(f"authorization_profile/{profile}") or {}
            for family, field_name in ((4, "dacl_name"), (6, "ipv6_dacl_name")):
                if name := str(body.get(field_name) or ""):
                    key = f"downloadable_acl/{name}"
                    handed["dacl"] = self._segment_of(host, name, "dacl", key, family, handed["dacl"])
        handed["sgacl"] = self._tagged(str(rule.get("security_group") or ""))
        return handed

    def _tagged(self, tag: str) -> str:
        return self.by_tag.get(tag) or (f"tag {tag}" if tag else "")

    def _segment_of(self, host: str, name: str, kind: str, key: str, family: int, beside: str = "") -> str:
        """Return the segment of a list in force; what the policy has not is read from live state, for a segment of its own.

        ``beside``: the segment of the list of the other family that the same devices have, which is theirs then.
        """
        if known := self.by_list.get((host, name)):
            return beside or known
        if (host, name) not in self._read:
            segment = self._read[host, name] = beside or f"list {name}"
            like = next((item for item in self.lists if item.host == host and item.kind == kind), None)
            held = self.snapshots[host].objects.get(key)
            if like is not None and held and held.get("content"):
                item = replace(
                    like, name=name, segment=segment, family=family, interfaces=self._attached(host, name), origins={}
                )
                self.retired[item.point, name] = text_in_force(item, str(held["content"]))
        return self._read[host, name]

    def _retired_cells(self, sessions: Mapping[str, _Session]) -> list[PointList]:
        """Return the cells in force now that the policy does not have, of tags that devices leave or come to."""
        tags = {item.was["sgacl"] for item in sessions.values()} | {self.will[device] for device in sessions}
        known = {(item.host, item.cell) for item in self.lists if item.kind == "sgacl"}
        made = []
        for item in {item.host: item for item in self.lists if item.kind == "sgacl"}.values():
            for key, body in self.snapshots[item.host].objects.items():
                name = key.partition("/")[2]
                if not key.startswith(f"{_CELL}/") or (item.host, name) in known:
                    continue
                ends = [self._tagged(str(body.get(end, ""))) for end in ("source", "destination")]
                for family in (4, 6) if tags & set(ends) else ():
                    like = replace(
                        item, name=f"{name} {family}", cell=name, segment=ends[0], peer=ends[1], family=family
                    )
                    held = cell_in_force(like, self.snapshots[item.host].objects)
                    made += [held] if held is not None else []
        return made

    # -- what is attached to ports

    def _attached(self, host: str, name: str) -> tuple[str, ...]:
        """Return the ports that a list is attached to now, as the switch and as the membership write them (Gi1/0/1)."""
        found = dict.fromkeys(self._attachments(host).get(name, ()))
        for interface in tuple(found):
            found |= dict.fromkeys(self.members[device].interface for device in self._at_port(host, interface))
        return tuple(found)

    def _attachments(self, host: str) -> dict[str, list[str]]:
        if host not in self._lists_at:
            made: dict[str, list[str]] = {}
            for _key, body in sorted(self.snapshots[host].objects.items()):
                if body.get("access_list") and body.get("interface"):
                    made.setdefault(str(body["access_list"]), []).append(str(body["interface"]))
            self._lists_at[host] = made
        return self._lists_at[host]

    @cached_property
    def _by_port(self) -> dict[Port, list[str]]:
        here: dict[Port, list[str]] = {}
        for device, member in self.members.items():
            if member.switch and member.interface:
                here.setdefault(port_of(member.switch, member.interface), []).append(device)
        return here

    def _at_port(self, switch: str, interface: str) -> Sequence[str]:
        return self._by_port.get(port_of(switch, interface), ())

    def _ports(self) -> dict[str, tuple[str, int, int]]:
        """Return for each device whose port gets another list: the segment of the present one, and when."""
        found: dict[str, tuple[str, int, int]] = {}
        for step, moment in self.steps:
            body = step.after or step.before or {}
            old, new = (str((each or {}).get("access_list") or "") for each in (step.before, step.after))
            if not body.get("interface") or old == new or body.get("direction", "in") != "in":
                continue
            kind = step.kind.replace("attachment", "access_list")
            family = 6 if kind.startswith("ipv6_") else 4
            for device in self._at_port(step.target, str(body["interface"])):
                first, begins, ends = found.get(device, ("", moment, moment))
                was = self._segment_of(step.target, old, "port_acl", f"{kind}/{old}", family, first) if old else first
                found[device] = (was, min(begins, moment), max(ends, moment))
        return found

    def attached_lists(self, lists: Iterable[PointList]) -> list[PointList]:
        """Return lists with every port that they are attached to now or as planned; which devices are there says the membership."""
        return [
            replace(item, interfaces=tuple(dict.fromkeys((*item.interfaces, *self._attached(item.host, item.name)))))
            if item.kind == "port_acl"
            else item
            for item in lists
        ]


def _by_ring(rolled: Rolled, length: int) -> Rolled:
    """Return a rollout in which all of a ring may change at any moment of it: order and pushes within it do not count."""

    def first(moment: int) -> int:
        return moment // length * length if 0 <= moment < NEVER else moment

    def last(moment: int) -> int:
        return first(moment) + length - 1 if 0 <= moment < NEVER else moment

    moves = [replace(move, begins=first(move.begins), ends=last(move.ends)) for move in rolled.moves]
    times = {key: (first(begin), last(end)) for key, (begin, end) in rolled.times.items()}
    return replace(rolled, moves=moves, times=times)


class Proved(NamedTuple):
    """What was proved as plain values, what is said of it, and what both come from."""

    made: dict[str, Any] = {}
    findings: list[Finding] = []
    problems: Sequence[Mixed] = ()
    moves: Sequence[Move] = ()


def proof_of_moves(
    site: Site,
    lists: Sequence[PointList],
    snapshots: Mapping[str, Snapshot],
    steps: Steps,
    times: Mapping[Key, tuple[int, int]],
    rings: Sequence[str] = (),
    *,
    length: int = 100,
    confirmed: Mapping[int, int] | None = None,
    way: str = FORWARD,
    space: PacketSpace | None = None,
) -> Proved:
    """Return what was proved of a plan's moves as plain values, empty where it moves no device, and a finding for each thing that does
    not hold in some mix.

    ``lists``: those of targets that were read. ``times``: when each list begins to be new, and is. ``rings``: their names, each of
    ``length`` moments. ``way``: BACK, from wherever the rollout is, or BY_RING, one ring after the other and confirmed in between.
    ``space``: that of other proofs about the same lists, if there are any.
    """
    moving = moving_devices(site, lists, snapshots, steps, confirmed)
    if not moving.moves:
        return Proved()
    gone = {(step.target, step.name) for step, _moment in steps if step.after is None and step.before is not None}
    removed = {(step.target, step.name): moment for step, moment in steps if step.after is None}
    reading = _Reading(site, lists, snapshots, steps, {})
    old = [*reading.attached_lists(lists_in_force(lists, snapshots)), *moving.retired]
    new = [
        *reading.attached_lists(lists),
        *(i for i in moving.retired if not {(i.host, i.name), (i.host, i.cell)} & gone),
    ]
    late = {
        (item.point, item.name): (removed[key], removed[key])
        for item in moving.retired
        for key in ((item.host, item.name), (item.host, item.cell))
        if key in removed
    }
    when = {**times, **late}
    closed = default_cells(site, old, new, snapshots, tags_that_move(moving.before["sgacl"], site), when)
    old, new, when = [*old, *closed[0]], [*new, *closed[1]], {**when, **closed[2]}
    rolled = Rolled(moving.before, site, old, new, moving.moves, when)
    if way == BY_RING:
        rolled = _by_ring(rolled, length)
    found = proved_back(rolled, space) if way == BACK else proved_moves(rolled, space)
    made = {
        "devices": len({move.device for move in moving.moves}),
        "kept_rules": found.kept,
        "always": found.always,
        "never": found.never,
        "safe": not found.problems,
        "reach": "all packets of rules and guardrails between moved and unmoved devices, with every mix of old and new lists",
    }
    names = {member.device: member.name for members in site.members.values() for member in members if member.name}
    findings = [finding_of(item, names, rings, length) for item in found.problems]
    made["problems"] = [finding.message for finding in findings]
    return Proved(made, findings, found.problems, moving.moves)
