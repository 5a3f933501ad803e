# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Holding segments: where devices wait whose behaviour contradicts their profile, neither cut nor a reason to hold back everybody else.

A device that does what another segment does (``misplaced.py``) is taken out of the segment that its profile names and put into a holding
segment, one for each segment that such devices are like. Nobody else's rights grow by it, enforcement of a holding segment is never
offered, and its rules are those of the segment that its devices are like and of their profile's, as far as they were seen to need them;
they end, and an owner is asked. So the rest of both segments can be enforced. Pure; equal inputs give equal answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.misplaced import Misplaced
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import CRITICALITIES, Segment

# The fact that queries of holding segments ask for. No source tells it: propose puts the devices into the lock.
HELD_AS = "held_as"
PREFIX = "held_"
LONGEST_NAME = 32
KIND = "held"


@dataclass(frozen=True)
class Holding:
    """Who waits where: the holding segment of each device; of each such segment the one that its devices are like, and those of their
    profiles; and the segments that are not there yet."""

    of: Mapping[str, str] = field(default_factory=dict)
    like: Mapping[str, str] = field(default_factory=dict)
    origins: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    new: tuple[Segment, ...] = ()

    @property
    def models(self) -> dict[str, tuple[str, ...]]:
        """Return the segments whose rules each holding segment may have as far as its devices need them, the one they are like first."""
        return {name: (like, *self.origins[name]) for name, like in self.like.items()}


def holding_of(misplaced: Iterable[Misplaced], segments: Sequence[Segment], networks: Iterable[str] = ()) -> Holding:
    """Return where devices that are in the wrong segment wait. ``segments`` are all there are, holding ones of earlier runs among them;
    ``networks`` the names of network sets, which no segment may have."""
    by_name = {segment.name: segment for segment in segments}
    known = {like: segment.name for segment in segments if (like := like_of(segment))}
    of: dict[str, str] = {}
    names: dict[str, str] = {}
    origins: dict[str, set[str]] = {}
    for each in misplaced:
        if each.like not in by_name:
            continue
        if each.like not in names:
            names[each.like] = known.get(each.like) or _free(each.like, {*by_name, *names.values(), *networks})
        of[each.device] = names[each.like]
        origins.setdefault(each.like, set()).add(each.segment)
    new = [
        _segment(name, by_name[like], [by_name[o] for o in sorted(origins[like]) if o in by_name])
        for like, name in sorted(names.items())
        if name not in by_name
    ]
    return Holding(
        of,
        {name: like for like, name in sorted(names.items())},
        {name: tuple(sorted(origins[like])) for like, name in sorted(names.items())},
        tuple(new),
    )


def like_of(segment: Segment) -> str:
    """Return the segment that the devices of a holding segment are like, empty for any other segment."""
    query = segment.members or {}
    return str(query.get("equals", "")) if query.get("fact") == HELD_AS else ""


def with_held(lock: Mapping[str, Any], holding: Holding) -> dict[str, Any]:
    """Return the lock of members with the devices that wait in their holding segments."""
    segments = {
        name: {**entry, "devices": [each for each in entry["devices"] if each["device"] not in holding.of]}
        for name, entry in lock["segments"].items()
    }
    for name in holding.like:
        segments.setdefault(name, {"devices": []})
    for entry in lock["segments"].values():
        for each in entry["devices"]:
            if each["device"] in holding.of:
                segments[holding.of[each["device"]]]["devices"].append(each)
    for name in holding.like:
        segments[name]["devices"].sort(key=lambda each: str(each["device"]))
    return {**lock, "segments": {name: segments[name] for name in sorted(segments)}}


def _free(like: str, taken: Iterable[str]) -> str:
    base, taken = f"{PREFIX}{like}"[:LONGEST_NAME], set(taken)
    name, number = base, 1
    while name in taken:
        number += 1
        name = f"{base[: LONGEST_NAME - 3]}_{number}"
    return name


def _segment(name: str, like: Segment, origins: Sequence[Segment]) -> Segment:
    """Return a new holding segment, as critical as the most critical of all that its devices may be."""
    criticality = min((each.criticality for each in (like, *origins)), key=CRITICALITIES.index)
    text = f"Devices in doubt: another segment's by their profile, {like.name} by what they do. They wait for a person, never enforced"
    return Segment(name, like.zone, None, like.owner, criticality, {"fact": HELD_AS, "equals": like.name}, (), text)
