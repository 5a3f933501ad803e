# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole change of one IOS switch as lines: what is built, swapped and removed, and the applet that takes it back. Pure.

The same lines are shown by check mode and typed by apply.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.meaning import body_difference
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Operation
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_config import (
    APPLET,
    IosState,
    Place,
    attach_line,
    base_name,
    family_of,
    in_force,
    list_header,
    list_text,
    ours,
    same_list,
    shown_place,
    typed_lines,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_diff import (
    ATTACHMENTS,
    LISTS,
    REVERT,
    list_meaning,
    place_of,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.list_versions import (
    places_before,
    stood_before,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ways_back import own_name, own_words


@dataclass(frozen=True)
class Build:
    """A version to type: live name, lines, what it must mean, and whether an unfinished one of that name goes first."""

    name: str
    lines: tuple[str, ...]
    content: str
    stale: bool

    @property
    def header(self) -> str:
        """Return the line that opens the list."""
        return list_header(self.name, family_of(self.content))


@dataclass(frozen=True)
class Swap:
    """An attachment line to overwrite: the list before and after, empty for none."""

    place: Place
    old: str
    new: str

    def lines(self) -> tuple[str, str]:
        """Return the lines that put the new list there."""
        return _attached(self.place, self.new, self.old)

    def back(self) -> tuple[str, str]:
        """Return the lines that put the old list there."""
        return _attached(self.place, self.old, self.new)


def _attached(place: Place, name: str, other: str) -> tuple[str, str]:
    return f"interface {place[0]}", attach_line(name, place) if name else f"no {attach_line(other, place)}"


@dataclass(frozen=True)
class Change:
    """All of it, in order: builds (in force nowhere), swaps, removals. ``undo``: step id -> what undo needs; ``changed``: its ids.

    ``disarm``: applets that dead runs left. ``bare``: names that go back to a place where they stood without a list, by an undo.
    ``six``: which of ``removes`` are IPv6 lists.
    """

    builds: tuple[Build, ...] = ()
    swaps: tuple[Swap, ...] = ()
    removes: tuple[str, ...] = ()
    disarm: tuple[str, ...] = ()
    undo: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, hash=False)
    changed: frozenset[str] = frozenset()
    old: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    bare: frozenset[str] = frozenset()
    six: frozenset[str] = frozenset()

    @property
    def empty(self) -> bool:
        """Return whether there is nothing to type."""
        return not (self.builds or self.swaps or self.removes or self.disarm)

    @property
    def places(self) -> list[Place]:
        """Return the places whose list changes."""
        return [swap.place for swap in self.swaps]

    def build_lines(self) -> tuple[str, ...]:
        """Return the lines that build the new versions."""
        made: list[str] = [f"no event manager applet {name}" for name in self.disarm]
        for build in self.builds:
            made += [f"no {build.header}"] if build.stale else []
            made += [build.header, *build.lines]
        return tuple(made)

    def swap_lines(self) -> tuple[str, ...]:
        """Return the lines that put the new versions in force."""
        return tuple(line for swap in self.swaps for line in swap.lines())

    def remove_lines(self) -> tuple[str, ...]:
        """Return the lines that remove the old versions."""
        return tuple(f"no {list_header(name, 6 if name in self.six else 4)}" for name in self.removes)

    @property
    def types_lists(self) -> bool:
        """Return whether a list or an attachment is touched, so that the switch is claimed first."""
        return bool(self.builds or self.swaps or self.removes)

    def commands(
        self, arm: Sequence[str], *, enter: str, save: bool = True, claim: Sequence[str] = ()
    ) -> tuple[str, ...]:
        """Return every line that changes anything, in order; reading in between is not shown. ``claim``: the applet of our claim."""
        first, swaps, removes = self.build_lines(), self.swap_lines(), self.remove_lines()
        if not (first or swaps or removes):
            return ()
        claim = claim if self.types_lists else ()
        made = [enter, *claim, *first, *arm, *swaps, "end"] if claim or first or swaps else []
        last = [f"no event manager applet {applet_of(arm)}"] if arm else []
        last += [*removes, *([f"no event manager applet {applet_of(claim)}"] if claim else [])]
        made += [enter, *last, "end"] if last else []
        return tuple(made) + (("write memory",) if save else ())


def applet_of(lines: Sequence[str]) -> str:
    """Return the name of the applet that lines make, empty where there are none."""
    return lines[0].split()[3] if lines else ""


def revert_lines(swaps: Sequence[Swap], seconds: int) -> tuple[str, ...]:
    """Return the applet that puts the old lists back after some seconds, and then takes itself away.

    It types only our own attachment lines: what others changed meanwhile stays. It is never saved, so a reload brings the old
    lists back as well. An applet is ended after 20 seconds unless ``maxrun`` says otherwise (Cisco IOS EEM command reference), and
    one that is ended halfway would leave some places on the new list. Assumed: that it may take itself away, and needs no user.
    Its name, and the message that it would log, say whose it is (``ways_back.py``).
    """
    name = own_name(APPLET)
    typed = ["enable", "configure terminal"]
    typed += [line for swap in swaps for line in swap.back()]
    typed += [f"no event manager applet {name}", "end"]
    made = [f"event manager applet {name} authorization bypass"]
    made.append(
        f'action 1000 syslog msg "{APPLET}: not confirmed, the old access lists are put back; armed {own_words()}"'
    )
    made += [f'action {1001 + number} cli command "{line}"' for number, line in enumerate(typed)]
    # The timer last: an applet that is not whole never strikes.
    return (*made, f"event timer countdown time {seconds} maxrun {60 + 2 * len(typed)}")


def plan_change(name: str, steps: Sequence[Operation], state: IosState) -> Change:
    """Return the change that carries out steps of one switch, from its state.

    FindingError where a step's object is neither as it was planned nor as it shall be, where an attachment has no list, and where
    a list is in use that goes.
    """
    planner = _Planner(name, state)
    for step in sorted(steps, key=lambda each: (each.kind in ATTACHMENTS, each.action == "delete")):
        planner.add(step)
    return planner.done()


class _Planner:
    def __init__(self, name: str, state: IosState) -> None:
        self.name, self.state = name, state
        self.builds: list[Build] = []
        self.swaps: dict[Place, Swap] = {}
        self.removes: list[str] = []
        self.undo: dict[str, Mapping[str, Any]] = {}
        self.changed: set[str] = set()
        self.fresh: dict[tuple[str, int], str] = {}
        self.deleted: list[tuple[str, list[str]]] = []
        self.disarm = state.applets

    def add(self, step: Operation) -> None:
        if step.kind == REVERT:
            if step.name in self.state.applets:
                self.changed.add(step.id)
                self.undo[step.id] = {}
        elif step.kind in ATTACHMENTS:
            self._attachment(step)
        elif step.action == "delete":
            self._delete(step)
        else:
            self._replace(step)

    def done(self) -> Change:
        for base, versions in self.deleted:
            groups = {**self.state.groups, **{place: swap.new for place, swap in self.swaps.items()}}
            used = sorted(shown_place(place) for place, live in groups.items() if live in versions)
            if used:
                raise FindingError(codes.IN_USE.at(f"{self.name}: list {base} is attached to {', '.join(used)}"))
        attached = {live for place, live in self.state.groups.items() if place not in self.swaps}
        attached |= {swap.new for swap in self.swaps.values()}
        removes = [live for live in dict.fromkeys(self.removes) if live not in attached]
        if other := sorted({*removes, *(build.name for build in self.builds)} & self.state.elsewhere):
            text = f"{self.name}: {', '.join(other)} is used by something else than an interface"
            raise FindingError(codes.IN_USE.at(text))
        touched = {swap.old for swap in self.swaps.values()} & set(self.state.lists)
        return Change(
            tuple(self.builds), tuple(self.swaps.values()), tuple(removes), self.disarm, self.undo, frozenset(self.changed),
            {live: self.state.lists[live] for live in sorted(touched)}, six=frozenset(removes) & self.state.six,
        )  # fmt: skip

    def _replace(self, step: Operation) -> None:
        name, content, state, family = step.name, str((step.after or {})["content"]), self.state, LISTS[step.kind]
        check_before(self.name, step, state)
        versions = state.versions(name, family)
        old = versions[0] if versions else ""
        if old and len(versions) == 1 and same(state.lists[old], content):
            return
        places = sorted({place for version in versions for place in state.attached(version)})
        # The one that is in force already, else any that an interrupted run built, means the same: nothing to build.
        fresh = next((live for live in versions if ours(live) and same(state.lists[live], content)), "")
        if not fresh:
            fresh = state.free_name(name, family, (build.name for build in self.builds))
            self.builds.append(Build(fresh, typed_lines(content), content, fresh in state.lists))
        for place in places:
            if state.groups[place] != fresh:
                self.swaps[place] = Swap(place, state.groups[place], fresh)
        self.removes += [live for live in versions if live != fresh]
        self.fresh[name, family] = fresh
        self.changed.add(step.id)
        was = before_step(step, versions, state)
        self.undo[step.id] = {
            "lists": {live: list(state.lists[live]) for live in was},
            "places": places_before(places, state.groups, was),
            "fresh": fresh,
        }

    def _delete(self, step: Operation) -> None:
        versions = [live for live in self.state.versions(step.name, LISTS[step.kind]) if ours(live)]
        if not versions:
            return
        check_before(self.name, step, self.state)
        self.deleted.append((step.name, versions))
        self.removes += versions
        self.changed.add(step.id)
        self.undo[step.id] = {
            "lists": {live: list(self.state.lists[live]) for live in before_step(step, versions, self.state)},
            "places": [],
            "fresh": "",
        }

    def _attachment(self, step: Operation) -> None:
        body = step.after or step.before or {}
        place = place_of(step.kind, body)
        live = self.state.groups.get(place, "")
        text = f"{self.name}: {shown_place(place)}"
        if step.after is None:
            if not live:
                return
            if not same_list(live, str((step.before or {}).get("live", live))) or not ours(live):
                raise FindingError(codes.CHANGED_MEANWHILE.at(f"{text} holds {live}"))
            self._swap(step, Swap(place, live, ""))
            return
        wanted = str(step.after["access_list"])
        if live and base_name(live) == wanted and ours(live) and in_force(self.state, live):
            return
        planned = str((step.before or {}).get("live", ""))
        if not same_list(live, planned):
            raise FindingError(
                codes.CHANGED_MEANWHILE.at(f"{text} holds {live or 'nothing'} instead of {planned or 'nothing'}")
            )
        if place[0] not in self.state.interfaces:
            raise FindingError(codes.MISSING_REFERENCE.at(f"{self.name}: there is no interface {place[0]}"))
        versions = [version for version in self.state.versions(wanted, place[2]) if self.state.lists[version]]
        new = self.fresh.get((wanted, place[2])) or (versions[0] if versions else "")
        if not new:
            raise FindingError(
                codes.MISSING_REFERENCE.at(
                    f"{self.name}: list {wanted} does not exist or is empty; attached, it would permit everything"
                )
            )
        self._swap(step, Swap(place, live, new))

    def _swap(self, step: Operation, swap: Swap) -> None:
        self.swaps[swap.place] = swap
        self.changed.add(step.id)
        missing = bool(swap.old) and not self.state.lists.get(swap.old)
        self.undo[step.id] = {"live": swap.old, **({"missing": True} if missing else {})}


def check_before(name: str, operation: Operation, state: IosState) -> None:
    """Raise FindingError where the list is neither as planned nor already as it shall be."""
    family = LISTS[operation.kind]
    versions = state.versions(operation.name, family)
    live = {"content": list_text(operation.name, state.lists[versions[0]], family)} if versions else None
    moved = body_difference(operation.kind, operation.before, live)
    if moved.equal:
        return
    # An interrupted run may have left the new version beside the old one, or both attached, or one that is not whole.
    known = [str(body["content"]) for body in (operation.before, operation.after) if body is not None]
    as_known = [live for live in versions if any(same(state.lists[live], content) for content in known)]
    attached = [live for live in versions if state.attached(live)]
    if all(ours(live) for live in versions if live not in attached):
        if attached and set(attached) <= set(as_known):
            return
        if not attached and (as_known or (versions and operation.before is None)):
            return
    raise FindingError(codes.CHANGED_MEANWHILE.at(f"{name}: list {operation.name}: {moved.text}"))


def before_step(step: Operation, versions: Sequence[str], state: IosState) -> list[str]:
    """Return those versions of a step's list that are as the plan found it."""
    family = LISTS[step.kind]

    def means(live: str, content: str) -> bool:
        return list_text(step.name, state.lists[live], family) == content or same(state.lists[live], content)

    return stood_before(step, versions, means)


def same(lines: Sequence[str], content: str) -> bool:
    """Return whether lines read from the device mean what a text says; an empty list permits everything and equals nothing."""
    return bool(lines) and not proof(tuple(lines), content)


def proof(lines: tuple[str, ...], content: str) -> str:
    """Return how lines read from a device differ from what they shall mean, empty where they are equal for every packet."""
    if not lines:
        return "the list is empty"
    try:
        found = list_meaning(list_text("live", lines, family_of(content)), content)
        return "" if found.equal else found.text or "the lists differ"
    except (FindingError, ValueError) as error:
        return "" if lines == typed_lines(content) else str(error)
