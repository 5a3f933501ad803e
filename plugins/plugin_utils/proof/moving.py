# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Devices that move to other lists or tags in a rollout, and what was proved of them: plain values.

``moves`` proves, ``moved_lists`` knows the lists.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import Packet
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Member, Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.changes import Key

SESSION, PORT = "session", "port"
CARRIERS = {"dacl": SESSION, "sgacl": SESSION, "port_acl": PORT}
OLD, NEW = 0, 1
START, NEVER = -1, 10**9  # before the first step; later than every step
WORKFLOW, ALWAYS, RULE, NEVER_OPEN = "workflow", "always", "rule", "never"
SHOWN = 5


@dataclass(frozen=True)
class Move:
    """A device whose lists or tag change: by its session (downloadable list and tag at once) or by what is attached to its port.

    ``begins``: when it may be as planned for the first time; ``ends``: when it may be as before for the last time, ``NEVER`` where nothing
    makes sure that it has moved. Times are numbers that grow along the rollout. ``was``, ``will``: segments, empty for none.
    """

    device: str
    addresses: tuple[str, ...]
    carrier: str
    was: str
    will: str
    begins: int
    ends: int = NEVER

    def holds(self, state: int) -> tuple[int, int]:
        """Return the first and the last moment at which the device may be as before (OLD) or as planned (NEW)."""
        return (START, self.ends) if state == OLD else (self.begins, NEVER)


@dataclass(frozen=True)
class Rolled:
    """What a rollout with moving devices begins and ends with.

    ``before``: the membership before it for each kind of list that follows a device (``dacl``, ``sgacl``, ``port_acl``). ``times``: for
    each list that changes when it begins to be new somewhere, and when it is new everywhere. ``back``: the same stretch is passed through
    from wherever it is to its begin, see ``moves.proved_back``.
    """

    before: Mapping[str, Site]
    after: Site
    old_lists: Sequence[PointList]
    new_lists: Sequence[PointList]
    moves: Sequence[Move]
    times: Mapping[Key, tuple[int, int]] = field(default_factory=dict)
    back: bool = False


@dataclass(frozen=True)
class Mixed:
    """What does not hold in some mix: ``kind`` and ``name`` of what asks for it, the list that stops it (none where a must-never is open),
    one packet, the moment, and the devices that have a part in it with where each is then: "device in segment".
    """

    kind: str
    name: str
    owner: str
    rule: str
    location: Location
    packet: Packet
    at: int
    devices: tuple[str, ...]
    listing: PointList | None = None
    states: tuple[int | None, int | None] = (None, None)
    version: int | None = None


@dataclass(frozen=True)
class Moved:
    """What was proved: rules, must-always and must-never statements that hold in every mix, and what does not."""

    kept: int
    always: int
    never: int
    problems: tuple[Mixed, ...] = ()


class Version(NamedTuple):
    """A version of a list, and the time in which it may be in force."""

    listing: PointList
    since: int
    until: int
    number: int | None  # None: it does not change


def moved_members(site: Site, moves: Iterable[Move], carrier: str) -> dict[str, tuple[Member, ...]]:
    """Return the membership before devices moved: each where it was, none where it was in no segment."""
    was = {move.device: move.was for move in moves if move.carrier == carrier}
    if not was:
        return dict(site.members)
    made: dict[str, list[Member]] = {name: [] for name in site.members}
    for name, members in site.members.items():
        for member in members:
            place = was.get(member.device, name)
            if place:
                made.setdefault(place, []).append(member)
    return {name: tuple(found) for name, found in made.items()}
