# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every mix of old and new lists that a rollout passes through, and the order of steps that keeps each of them safe.

A conversation works where no list on its way stops it, and lists are swapped one by one, so a mix is a choice of the old or the new
version for each list, and who is behind which list (the membership) may be old or new as well. With n changed lists there are 2^n mixes;
none is enumerated, because a stop is a matter of one list:

- *kept*: what passes before and after passes in every mix exactly if no version of a list stops it under either membership.
- *never*: what a must-never covers is open in some mix of a step exactly where no earlier step's new list, no later step's old list, and
  no list of the step in both its versions stops it. Where devices move, or what is said of tags, switches and paths changes, the network
  may be as before or as after in every mix: both states count, each by itself.
- *moves*: a workflow rule whose addresses change (a server moved) works in every mix exactly if no list that still stops the new
  conversations can be old while another that already stops the old ones is new.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.cache import pieces_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import PacketSet, PacketSpace
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import ALL, Box, Packet
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import ANY, Rule, Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.changes import Change, Key
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.conversations import (
    UNPRIVILEGED,
    conversation_boxes,
    rule_boxes,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.guardrails import DHCP_REQUESTS
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.lines import touching
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.openers import answered_boxes, stopped
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.points import (
    ListSets,
    enforces,
    judges_icmp_answers,
    list_sets,
    visible,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.versions import differing, same_list

WIDEN, REPLACE, NARROW = "widen", "replace", "narrow"
WORDS = {
    WIDEN: "only add permits",
    REPLACE: "replace lists that gain and lose",
    NARROW: "only tighten",
}
SEARCHED = 4096  # orders of single lists that are tried before giving up
SHOWN = 10


@dataclass(frozen=True)
class State:
    """One end of a rollout: the lists in force and the membership they stand on."""

    site: Site
    lists: tuple[PointList, ...]


@dataclass(frozen=True)
class RolloutStep:
    """Lists that may be swapped side by side and in any order; the next step begins when all of them are confirmed."""

    what: str
    lists: tuple[Key, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for results and reports."""
        return {"what": self.what, "lists": [{"point": point, "name": name} for point, name in self.lists]}


@dataclass(frozen=True)
class Problem:
    """What is not safe in some mix: the finding, the lists that have a part in it, and one packet that shows it where there is one."""

    finding: Finding
    lists: frozenset[Key]
    packet: Packet | None = None


@dataclass(frozen=True)
class Rollout:
    """The order of steps and what was proved of every mix it passes through.

    ``safe``: no mix cuts what passes at both ends, interrupts a workflow or opens what a must-never forbids at both ends. ``kept`` counts
    the rules proved to go on in every mix; ``guardrails`` the must-never statements proved closed in every mix.
    """

    steps: tuple[RolloutStep, ...]
    safe: bool
    kept: int
    guardrails: int
    mixes: int
    problems: tuple[Problem, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for results and reports."""
        return {
            "steps": [step.as_dict() for step in self.steps],
            "safe": self.safe,
            "kept_rules": self.kept,
            "guardrails": self.guardrails,
            "mixes": self.mixes,
            "problems": [problem.finding.message for problem in self.problems],
            "reach": "all packets of rules and must-never statements, in every mix of old and new lists within each step",
        }


def order_of_rollout(
    before: State,
    after: State,
    phases: Mapping[Key, int] | None = None,
    begins: Mapping[Key, int] | None = None,
    proof: RolloutProof | None = None,
) -> tuple[Rollout, list[Finding]]:
    """Return the order of steps from one state to another, and a finding for each way in which a mix would not be safe.

    The order is: lists that only add permits, then those that gain and lose, then those that only tighten; where a must-never would be
    open in between, single lists are put in another order if one exists. ``phases`` gives the order that a plan will follow; then that
    order is proved and no other looked for. ``begins``: the phase in which a list begins to be new on some of its ports or sessions, where
    that is before the phase in which it is new on all: in between it is both. ``proof``: of the same two states, where another order of
    theirs was asked about.
    """
    proof = proof or RolloutProof(before, after)
    proof.begins = {}
    steps = _phased(proof, phases) if phases is not None else _by_effect(proof)
    if phases is not None and begins:
        proof.begins = _step_of_phases(proof, steps, phases, begins)
    problems = proof.problems(steps)
    if problems and phases is None:
        other = _searched(proof, {key for problem in problems for key in problem.lists})
        if other is not None:
            steps, problems = other, []
    kept, cut = proof.kept
    found = (*cut, *problems)
    mixes = 2 ** sum(len(step.lists) for step in steps)
    made = Rollout(tuple(steps), not found, kept, len(proof.nevers), mixes, found)
    return made, [problem.finding for problem in found]


def _by_effect(proof: RolloutProof) -> list[RolloutStep]:
    made = []
    for effect in (WIDEN, REPLACE, NARROW):
        keys = tuple(change.key for change in proof.changes if change.effect == effect)
        if keys:
            made.append(RolloutStep(WORDS[effect], keys))
    return made


def _phased(proof: RolloutProof, phases: Mapping[Key, int]) -> list[RolloutStep]:
    groups: dict[int, list[Change]] = {}
    for change in proof.changes:
        if change.effect:
            groups.setdefault(phases.get(change.key, 2), []).append(change)
    made = []
    for _phase, changes in sorted(groups.items()):
        effects = {change.effect for change in changes}
        word = WORDS[effects.pop()] if len(effects) == 1 else WORDS[REPLACE]
        made.append(RolloutStep(word, tuple(change.key for change in changes)))
    return made


def _step_of_phases(
    proof: RolloutProof, steps: Sequence[RolloutStep], phases: Mapping[Key, int], begins: Mapping[Key, int]
) -> dict[Key, int]:
    """Return the number of the step in which each list begins to be new, where that is not the one in which it is new everywhere."""
    ends = sorted({phases.get(change.key, 2) for change in proof.changes if change.effect})
    at = {key: number for number, step in enumerate(steps) for key in step.lists}
    found = {key: bisect_left(ends, begins[key]) for key in at if key in begins}
    return {key: number for key, number in found.items() if number < at[key]}


def _searched(proof: RolloutProof, involved: set[Key]) -> list[RolloutStep] | None:
    """Return an order in which no mix is unsafe, or None where none was found within ``SEARCHED`` tries.

    The lists involved in a problem are swapped one at a time, depth first, remembering which sets of swapped lists led nowhere; the
    others keep their places before and after them.
    """
    first = [c.key for c in proof.changes if c.effect == WIDEN and c.key not in involved]
    middle = [c.key for c in proof.changes if c.effect == REPLACE and c.key not in involved]
    last = [c.key for c in proof.changes if c.effect == NARROW and c.key not in involved]
    wanted = [c.key for c in proof.changes if c.effect and c.key in involved]
    dead: set[frozenset[Key]] = set()
    tries = 0

    def walk(done: tuple[Key, ...]) -> tuple[Key, ...] | None:
        nonlocal tries
        if len(done) == len(wanted):
            return done
        if frozenset(done) in dead or tries >= SEARCHED:
            return None
        for key in wanted:
            if key in done:
                continue
            tries += 1
            rest = [other for other in wanted if other not in (*done, key)]
            steps = [
                RolloutStep("", (*first, *done)),
                RolloutStep("", (key,)),
                RolloutStep("", (*rest, *middle, *last)),
            ]
            if proof.is_safe_at(steps, 1):
                found = walk((*done, key))
                if found is not None:
                    return found
        dead.add(frozenset(done))
        return None

    found = walk(())
    if found is None:
        return None
    by_key = {c.key: c for c in proof.changes}
    made = [RolloutStep(WORDS[WIDEN], tuple(first))] if first else []
    made += [RolloutStep(WORDS[by_key[key].effect], (key,)) for key in found]
    made += [RolloutStep(WORDS[REPLACE], tuple(middle))] if middle else []
    made += [RolloutStep(WORDS[NARROW], tuple(last))] if last else []
    return made if not proof.problems(made) else None


@dataclass(frozen=True)
class _Never:
    """Openers that a must-never forbids and that the lists that change stop at both ends of the rollout."""

    id: str
    location: Location
    openers: PacketSet


@dataclass(frozen=True)
class _Move:
    """A workflow rule whose conversations differ before and after, each set passing at its own end."""

    workflow: str
    rule: str
    location: Location
    old: PacketSet
    new: PacketSet


@dataclass
class RolloutProof:
    """What is known of two states and the lists between them, whatever the order."""

    before: State
    after: State
    space: PacketSpace = field(default_factory=PacketSpace)
    _cache: dict[tuple[str, str, str], PacketSet] = field(default_factory=dict)
    _steady_made: dict[int, ListSets] = field(default_factory=dict)
    begins: Mapping[Key, int] = field(default_factory=dict)

    @cached_property
    def moved(self) -> bool:
        """Whether devices, their places, or what is said of tags, switches and paths differ: then lists see other packets than before."""
        old, new = self.before.site, self.after.site
        return any(
            getattr(old, name) != getattr(new, name) for name in ("members", "points", "paths", "zones", "assignments")
        ) and (self.segments_moved != frozenset() or not self._same_places)

    @cached_property
    def states(self) -> list[Site]:
        """The states of the network that lists may meet: one where nothing moves, else that before and that after."""
        return [self.before.site, self.after.site] if self.moved else [self.after.site]

    @cached_property
    def _same_places(self) -> bool:
        old, new = self.before.site, self.after.site
        wanted = ("kind", "platform", "host", "options")
        return (
            old.paths == new.paths
            and {n: z.subnets for n, z in old.zones.items()} == {n: z.subnets for n, z in new.zones.items()}
            and all(
                [getattr(old.points[n], key) for key in wanted] == [getattr(new.points[n], key) for key in wanted]
                for n in old.points.keys() & new.points.keys()
            )
        )

    @cached_property
    def segments_moved(self) -> frozenset[str]:
        """The segments whose devices, their addresses or places differ."""
        old, new = self.before.site.members, self.after.site.members
        return frozenset(name for name in old.keys() | new.keys() if old.get(name, ()) != new.get(name, ()))

    def _view_moved(self, one: PointList, two: PointList) -> bool:
        """Return whether a list sees other packets after than before."""
        if not self.moved:
            return False
        old, new = self.before.site, self.after.site
        if self._same_places and two.segment and not self.segments_moved & {one.segment, two.segment, two.peer}:
            return False
        return any(visible(old, one, surely=sure) != visible(new, two, surely=sure) for sure in (True, False))

    @cached_property
    def changes(self) -> list[Change]:
        """The lists that differ, or that see other packets, each in both versions under the old and the new state of the network."""
        old = {(item.point, item.name): item for item in self.before.lists}
        new = {(item.point, item.name): item for item in self.after.lists}
        sites = self.states
        made = []
        for key in sorted(old.keys() | new.keys()):
            one, two = old.get(key), new.get(key)
            if one and two and same_list(one, two) and not self._view_moved(one, two):
                continue
            versions = [
                [self._sets(site, item) for site in sites if item is not None and _knows(site, item)]
                for item in (one, two)
            ]
            change = Change(key, versions[0], versions[1])
            change.effect = self._effect(change, one, two)
            made.append(change)
        return made

    def _sets(self, site: Site, listing: PointList) -> ListSets:
        """Return what a list sees and passes, right for all packets that are asked about: what no such packet touches is left out."""
        if pieces_of(listing) is None:
            return list_sets(self.space, site, listing)
        asked = [*self.asked, *answered_boxes(self.asked)] if judges_icmp_answers(listing) else self.asked
        return list_sets(self.space, site, touching(listing, asked))

    def _effect(self, change: Change, one: PointList | None, two: PointList | None) -> str:
        """Return how a list changes; of a firewall that is known by its parts only those that differ are looked at."""
        if one is None or two is None or pieces_of(one) is None or pieces_of(two) is None:
            return _effect(change)
        if same_list(one, two):
            return ""
        short = differing(one, two)
        return _effect(
            Change(
                change.key,
                [list_sets(self.space, item.site, short[0]) for item in (self.before, self.after)[: len(change.old)]],
                [list_sets(self.space, item.site, short[1]) for item in (self.before, self.after)[: len(change.new)]],
            )
        )

    @cached_property
    def asked(self) -> list[Box]:
        """Every opener that a proof asks a firewall about: of must-never statements, of workflows' rules and of rules whose ends move."""
        after = self.after.site
        boxes = [
            box
            for item in after.guardrails
            if item.must == "never"
            for box in conversation_boxes(after, item.client, item.server, item.services).forward
        ]
        needed = {name for workflow in after.workflows for name in workflow.rules}
        for state in (self.before, self.after):
            for rule in state.site.rules():
                if rule.id in needed or self._concerned(rule):
                    boxes += rule_boxes(state.site, rule).forward
        return list(dict.fromkeys(boxes))

    def _concerned(self, rule: Rule) -> bool:
        """Return whether what moved may matter to a rule: its ends' addresses, or what the lists on their ways see."""
        if not self.moved:
            return False
        if not self._same_places:
            return True
        if {rule.client, rule.to} & self.segments_moved:
            return True
        return rule.to not in self.after.site.segments  # a network set may hold addresses of devices that moved

    @cached_property
    def steady(self) -> list[PointList]:
        """The lists that no step touches."""
        changed = {change.key for change in self.changes}
        return [item for item in self.after.lists if (item.point, item.name) not in changed and enforces(item)]

    def _steady_sets(self, openers: PacketSet) -> Iterator[ListSets]:
        """Yield the sets of those steady lists that may see one of the openers or its answer."""
        boxes = openers.boxes()
        near = [*boxes, *(box.replace(source=box.destination, destination=box.source, source_port=ALL["source_port"],
                          destination_port=ALL["destination_port"], detail=ALL["detail"]) for box in boxes)]  # fmt: skip
        for number, listing in enumerate(self.steady):
            if not any(view.overlaps(box) for view in self._steady_views[number] for box in near):
                continue
            if number not in self._steady_made:
                self._steady_made[number] = self._sets(self.after.site, listing)
            yield self._steady_made[number]

    @cached_property
    def _steady_views(self) -> list[list[Box]]:
        return [visible(self.after.site, item, surely=False) for item in self.steady]

    def _passing(self, openers: PacketSet, version: str) -> PacketSet:
        """Return the openers that surely work at one end of the rollout, with that end's own membership."""
        rest = openers
        if not rest:
            return rest
        for item in self._steady_sets(rest):
            rest = rest - stopped(rest, item, surely=False)
        for change in self.changes:
            found = change.old[:1] if version == "old" else change.new[-1:]
            for item in found:
                rest = rest - stopped(rest, item, surely=False)
        return rest

    @cached_property
    def nevers(self) -> list[_Never]:
        """What must-never statements forbid, as far as the lists that change stop it at both ends."""
        made = []
        dhcp = self.space.from_boxes((DHCP_REQUESTS,))
        for item in self.after.site.guardrails:
            if item.must != "never":
                continue
            openers = self.space.from_boxes(
                conversation_boxes(self.after.site, item.client, item.server, item.services).forward
            )
            if ANY in item.services:
                openers = openers - dhcp
            for version, state in (("old", 0), ("new", len(self.states) - 1)):
                closed = self.space.union(
                    change.stops_in(openers, version, state, len(self.states)) for change in self.changes
                )
                openers = openers & closed
            made.append(_Never(item.id, item.location, openers))
        return made

    @cached_property
    def moves(self) -> list[_Move]:
        """The rules of workflows whose conversations change."""
        old_rules = {rule.id: rule for rule in self.before.site.rules()}
        new_rules = {rule.id: rule for rule in self.after.site.rules()}
        made = []
        for workflow in self.after.site.workflows:
            for name in workflow.rules:
                if name not in old_rules or name not in new_rules:
                    continue
                old, new = (
                    self.space.from_boxes(rule_boxes(state.site, rule, UNPRIVILEGED).forward)
                    for state, rule in ((self.before, old_rules[name]), (self.after, new_rules[name]))
                )
                gone, come = old - new, new - old
                if not gone or not come:
                    continue
                gone, come = self._passing(gone, "old"), self._passing(come, "new")
                if gone and come:
                    made.append(_Move(workflow.id, name, workflow.location, gone, come))
        return made

    @cached_property
    def kept(self) -> tuple[int, list[Problem]]:
        """How many rules keep all they have in every mix, and a problem for each that does not; whatever the order of the lists is."""
        critical = {name: workflow for workflow in self.after.site.workflows for name in workflow.rules}
        known = {rule.id for rule in self.before.site.rules()}
        count, made = 0, []
        for rule in self.after.site.rules():
            if rule.id not in known:
                continue
            if not self._concerned(rule):
                # Each list is passed in its old version (the state before) and in its new one (the state after): no third one exists.
                count += 1
                continue
            openers = self.space.from_boxes(rule_boxes(self.after.site, rule, UNPRIVILEGED).forward)
            openers = self._passing(self._passing(openers, "old"), "new")
            found = self._cut_in_a_mix(openers)
            if found is None:
                count += 1
                continue
            key, packet = found
            workflow = critical.get(rule.id)
            code = codes.MIX_CUTS_WORKFLOW if workflow else codes.MIX_CUTS
            name = f"workflow {workflow.id} ({workflow.owner}): rule {rule.id}" if workflow else f"rule {rule.id}"
            text = f"{name} works before and after, but list {key[1]} at {key[0]} would stop {packet.describe()}"
            text += " while only a part is rolled out"
            place = workflow.location if workflow else rule.location
            made.append(Problem(code.at(text, place), frozenset({key}), packet))
        return count, made

    def _cut_in_a_mix(self, openers: PacketSet) -> tuple[Key, Packet] | None:
        for change in self.changes:
            for version in ("old", "new"):
                packet = change.stops(openers, version, surely=False).witness()
                if packet is not None:
                    return change.key, packet
        return None

    def problems(self, steps: Sequence[RolloutStep]) -> list[Problem]:
        """Return what is not safe in some mix of an order of steps."""
        leaks = [problem for place in range(len(steps)) for problem in self._leaks(steps, place)]
        return [*leaks, *self._interruptions(steps)]

    def is_safe_at(self, steps: Sequence[RolloutStep], place: int) -> bool:
        """Return whether no mix within one step is unsafe."""
        return not self._leaks(steps, place) and not self._interruptions(steps, place)

    def _stops(self, never: _Never, change: Change, version: str, state: int) -> PacketSet:
        name = (never.id, "|".join(change.key), f"{version} {state}")
        if name not in self._cache:
            self._cache[name] = change.stops_in(never.openers, version, state, len(self.states))
        return self._cache[name]

    def _stops_mixed(self, never: _Never, change: Change, state: int, both: PacketSet) -> PacketSet:
        """Return what a list surely stops where some of its ports or sessions have the old version and others the new one.

        ``both``: what each version stops. The opener crosses one port and its answer another, so that one of the two has to be stopped by
        both versions.
        """
        if not both or len({id(item.listing) for item in (*change.old, *change.new)}) < 2:
            return both
        name = (never.id, "|".join(change.key), f"mixed {state}")
        if name not in self._cache:
            (out, back), (out_new, back_new) = (
                change.ways_in(never.openers, version, state, len(self.states)) for version in ("old", "new")
            )
            self._cache[name] = (out & out_new) | (back & back_new)
        return self._cache[name]

    def _leaks(self, steps: Sequence[RolloutStep], place: int) -> list[Problem]:
        at = {key: number for number, step in enumerate(steps) for key in step.lists}
        made = []
        for never in self.nevers:
            if not never.openers:
                continue
            packet, part = None, set[Key]()
            for state in range(
                len(self.states)
            ):  # devices, tags and paths are as before or as after, whatever the lists are
                rest = never.openers
                for change in self.changes:
                    old, new = (self._stops(never, change, version, state) for version in ("old", "new"))
                    if old != new:
                        part.add(change.key)
                    number = at.get(change.key, place)
                    first = self.begins.get(change.key, number)
                    if first <= place <= number:
                        rest = rest - self._stops_mixed(never, change, state, old & new)
                    else:
                        rest = rest - (new if number < place else old)
                for sets in self._steady_sets(rest) if rest else ():
                    rest = rest - stopped(rest, sets, surely=True, silent_works=True)
                packet = packet or rest.witness()
            if packet is not None:
                text = (
                    f"guardrail {never.id} holds before and after, but in step {place + 1} of {len(steps)} some mix of old and new"
                    f" lists would let pass {packet.describe()}"
                )
                if self.moved:
                    text += ", where devices, their places, tags and paths may be as before or as after"
                made.append(Problem(codes.MIX_OPENS.at(text, never.location), frozenset(part), packet))
        return made

    def _interruptions(self, steps: Sequence[RolloutStep], place: int | None = None) -> list[Problem]:
        """Find a list that may be new and stop the old conversations of a workflow while another is old and stops the new ones."""
        by_key = {change.key: change for change in self.changes}
        placed = [(number, key) for number, step in enumerate(steps) for key in step.lists]
        made = []
        for move in self.moves:
            closes = {key for _n, key in placed if by_key[key].stops(move.old, "new", surely=False)}
            opens = {key for _n, key in placed if by_key[key].stops(move.new, "old", surely=False)}
            pairs = (
                (first, second)
                for number, first in placed
                for later, second in placed
                if first in closes and second in opens and first != second and self.begins.get(first, number) <= later
                and (place is None or number == place or later == place)
            )  # fmt: skip
            found = next(islice(pairs, 1), None)
            if found is not None:
                text = (
                    f"workflow {move.workflow}: rule {move.rule} changes its addresses, and while list {found[0][1]} at {found[0][0]} is"
                    f" new and {found[1][1]} at {found[1][0]} still old neither the old nor the new conversations pass"
                )
                made.append(Problem(codes.MIX_INTERRUPTS.at(text, move.location), frozenset(closes | opens)))
        return made


def _knows(site: Site, listing: PointList) -> bool:
    return listing.point in site.points


def _effect(change: Change) -> str:
    """Return whether the new version only passes more, only less, or both; empty where it is the same; an absent list passes all."""
    gains = loses = False
    if not change.old or not change.new:
        return NARROW if change.new else WIDEN
    if same_list(change.old[0].listing, change.new[0].listing):
        return ""
    for old, new in zip(change.old, change.new, strict=False):
        seen = old.may_see | new.may_see
        was = (seen - old.may_see) | (seen & old.may_pass)
        will = (seen - new.may_see) | (seen & new.may_pass)
        gains, loses = gains or bool(will - was), loses or bool(was - will)
    return REPLACE if gains and loses else WIDEN if gains else NARROW if loses else ""
