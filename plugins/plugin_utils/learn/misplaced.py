# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Devices that do what another segment does and not what their own does: a wrong profile, told device by device.

A device's *habits* are what it opens (segment or network, protocol, port) and what it serves (to which segment, protocol, port): a drive
serves controllers what a controller serves robots. A habit is *usual* in a segment where at least half of its devices have it. Pure;
equal inputs give equal answers.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.score import most_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.replay import PROTOCOL_NAMES

# Of the other segment's usual habits, and of those of them that are not its own segment's, a device has to have so many; and of those that
# are its own segment's alone at most so many.
LIKE, UNLIKE = 0.5, 1 / 3
# A habit speaks against the device's own segment where at most this share of it has the habit.
STRANGE = 1 / 3
# A segment of fewer devices that spoke has no usual habits.
LEAST_DEVICES = 3
SHOWN = 4
OPENS, SERVES, REACHED = "opens", "serves", "reached"

Habit = tuple[str, str, int, int]
# Segment, device, role, peer, protocol, port.
HabitRow = tuple[str, str, str, str, int, int]


@dataclass(frozen=True)
class Misplaced:
    """A device, the segment that it is in, the one whose habits it has, and which: strange in its own, and lacking of its own."""

    device: str
    segment: str
    like: str
    strange: tuple[Habit, ...]
    lacking: tuple[Habit, ...]
    # Segments that open to the device, and would be cut off from it.
    clients: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """Return the reason as a sentence for people."""
        text = f"it is in {self.segment} and does what {self.like} do ({', '.join(map(habit_text, self.strange))})"
        lacking = ", ".join(map(habit_text, self.lacking))
        return text + (f", and not what most of {self.segment} do ({lacking})" if lacking else "")

    def as_dict(self, names: Mapping[str, str]) -> dict[str, Any]:
        """Return plain values for results and reports; ``names`` are those of devices."""
        return {
            "device": self.device,
            "name": names.get(self.device, self.device),
            "segment": self.segment,
            "like": self.like,
            "strange": [habit_text(each) for each in self.strange],
            "lacking": [habit_text(each) for each in self.lacking],
            "clients": list(self.clients),
        }


@dataclass(frozen=True)
class Placing:
    """Devices that are to be looked at, in order of their names, and segments all of whose other devices have half of its usual habits."""

    misplaced: tuple[Misplaced, ...] = ()
    settled: frozenset[str] = frozenset()


def habit_text(habit: Habit) -> str:
    """Return a habit in words."""
    role, peer, protocol, port = habit
    service = f"{PROTOCOL_NAMES.get(protocol, protocol)}/{port}"
    return f"opens {service} to {peer}" if role == OPENS else f"serves {service} to {peer}"


def placing_of(habits: Iterable[HabitRow], kept: Collection[str] = ()) -> Placing:
    """Return the devices that are to be looked at. ``habits`` are rows of ``flows/operations/learning.py``, ``habits``, as tuples of its
    columns; ``kept`` are devices about whose place a person has decided.

    A device is compared by the habits that tell its segment from another. It is named where it has at least half of those of the other,
    among them one that is strange in its own (at most a third has it), and at most a third of those of its own. Where its own has none
    that the other has not, two strange ones are needed, or all that is usual in the other; beside one other device alone, all of that and
    nothing that nobody does there. It is never called so because it does more than others: an infected camera that is still a camera is
    the queue's business.
    """
    of_device: dict[str, dict[str, set[Habit]]] = defaultdict(lambda: defaultdict(set))
    clients: dict[str, set[str]] = defaultdict(set)
    for segment, device, role, peer, protocol, port in habits:
        if role != OPENS:
            clients[device].add(peer)
        if role != REACHED:
            of_device[segment][device].add((role, peer, protocol, port))
    counts = {name: Counter(habit for own in devices.values() for habit in own) for name, devices in of_device.items()}
    sizes = {name: len(devices) for name, devices in of_device.items()}
    usual = {
        name: frozenset(habit for habit, count in counts[name].items() if most_of(count, sizes[name]))
        for name in of_device
        if sizes[name] >= LEAST_DEVICES
    }
    for name in of_device:
        if (
            sizes[name] < LEAST_DEVICES
        ):  # two are too few to say what is usual, and may be compared with others all the same
            usual[name] = frozenset()
    found = {}
    unlike = set()
    for segment in sorted(usual):
        for device, own in sorted(of_device[segment].items()):
            like = "" if device in kept or sizes[segment] < 2 else _like(own, segment, usual, counts, sizes[segment])
            if like:
                strange = sorted(h for h in own & usual[like] if _strange(h, counts[segment], sizes[segment]))
                lacking = sorted(usual[segment] - own)
                found[device] = Misplaced(
                    device, segment, like, tuple(strange[:SHOWN]), tuple(lacking[:SHOWN]),
                    tuple(sorted(name for name in clients[device] if name)),
                )  # fmt: skip
            elif not 2 * len(own & usual[segment]) >= len(usual[segment]) > 0:
                unlike.add(segment)
    settled = {name for name in usual if usual[name]} - unlike
    return Placing(tuple(found[name] for name in sorted(found)), frozenset(settled))


def _like(
    own: set[Habit],
    segment: str,
    usual: Mapping[str, frozenset[Habit]],
    of_segment: Mapping[str, Counter[Habit]],
    size: int,
) -> str:
    """Return the segment whose usual habits a device has most of and its own has not, or empty text."""
    best: tuple[float, int, str] = (0.0, 0, "")
    counts = of_segment[segment]
    for name in sorted(usual):
        theirs, ours = usual[name] - usual[segment], usual[segment] - usual[name]
        shared = own & theirs
        if (
            name == segment
            or len(shared) < max(1.0, LIKE * len(theirs))
            or len(own & usual[name]) < LIKE * len(usual[name])
        ):
            continue
        strange = sum(_strange(habit, counts, size) for habit in shared)
        if not strange or len(own & ours) > UNLIKE * len(ours):
            continue
        if not ours and strange < 2 and not own >= usual[name]:
            continue
        # Beside one other device alone: all that is usual there, twice at least, and nothing that nobody does there.
        if size < LEAST_DEVICES and not (own >= usual[name] and len(usual[name]) >= 2 and own <= set(of_segment[name])):
            continue
        # Of several the one that says most of what the device does: all that a drive does a controller does as well.
        explained = len(own & usual[name])
        rank = (explained + explained / len(own | usual[name]), strange, name)
        if rank[:2] > best[:2]:
            best = rank
    return best[2]


def _strange(habit: Habit, counts: Counter[Habit], size: int) -> bool:
    return counts[habit] <= max(1, STRANGE * size)
