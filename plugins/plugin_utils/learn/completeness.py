# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much of a segment's legitimate traffic has not been seen yet: an estimate with its interval, and what to wait for.

A conversation (client, server, protocol, port) is a species, a covered day a sampling unit; what counts is on which days each was seen
(incidence). Three questions are answered for the next ``horizon`` days:

``seen``: the share of traffic, counted in conversation-days, that belongs to conversations which are known already. What is missing is the
sample-coverage deficit of Chao and Jost (Ecology 93, 2012, equation 4a for incidence; Good and Turing before them), to which devices that
turn up later are added at the rate at which they did so far: their conversations come every day and leave no singletons.

``uses``: the same of what rules are about. A rule lets all devices of a segment open a service at all of another, so a known device that
meets another server of it is nothing new to enforcement; what a device opens for the first time may be. A species is then a use (client
and permission), and devices that turn up later are left out: they need what their segment needs. This is what the verdict rests on.

``conversations``: of all conversations known by the end of the horizon the share that is known now. New ones are extrapolated as
Colwell et al. (Journal of Plant Ecology 5, 2012, equation 18) do, with the lower bound Chao2 (Chao, Biometrics 43, 1987) of unseen species;
ICE (Lee and Chao, Biometrics 50, 1994) stands beside it.

Conversations do not come alone: a firmware day brings those of all devices at once. So intervals count clumps (conversations of one
permission that were new on one day), not conversations. Half a clump is always assumed to be out there: absence of evidence for ``days``
days leaves an upper bound, never certainty. Pure: arrays in, values out; equal inputs give equal answers.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.watched import (
    LONGEST_SILENCE,
    unseen_calendar,
    watched_days,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import NEVER_DROPPED

np = guarded("numpy")

HORIZON = 30
THRESHOLD = 0.95
# What a site should have watched before anything is said of enforcement, by criticality (facts/flows.md section 7, windows).
MINIMUM_DAYS = {"life_support": 30, "process_critical": 30, "high": 30, "medium": 21, "low": 14}
DEFAULT_DAYS = 21
# Below a week no estimate: the days of a week are not alike.
LEAST_DAYS = 7
# A device seen first within these days was there before; later ones have turned up.
SETTLED_DAYS = 3
# So many days, and most of them with traffic, show that a device has come to stay.
PROVED_DAYS = 4
# Species on at most so many days are infrequent (the usual cut of ICE).
INFREQUENT = 10
# On how many days a permission of a segment that keeps people alive has to be seen.
LIFE_SUPPORT_DAYS = 3
# Ends of the intervals: what is missing is more, or less, with this probability.
TAIL = 0.025
MOST_EVENTS = 100_000
# Numbers that lie so close together (places for each, and some) are marked at their places, up to so many, which is faster than sorting.
PLACES_FOR_EACH = 16
SOME_PLACES = 1 << 16
MOST_PLACES = 1 << 26
# Who opens so many devices for each of its own is a poller or a master.
MANY_SERVERS = 5
# How many devices' worth of experience the site's own rate of new devices counts against a segment's.
SHARED = 1.0


@dataclass(frozen=True)
class Incidence:
    """On which days a segment's conversations were seen. Arrays of equal length, one item for each conversation and day at most once.

    ``day`` counts covered days from 0; ``conversation``, ``permission`` and ``client`` are any whole numbers that tell them apart: a
    permission is what a rule would say (server's segment or network, protocol, port). ``known_devices`` are the segment's members.
    ``server`` are the devices that were opened, below 0 where an address is no device's; None where that is not known.
    """

    segment: str
    day: Any
    conversation: Any
    permission: Any
    client: Any
    known_devices: int = 0
    criticality: str = ""
    server: Any = None


@dataclass(frozen=True)
class Interval:
    """A share from 0 to 1 with the interval that is meant to hold the truth in 95 of 100 cases."""

    value: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        """Return half the width of the interval."""
        return (self.high - self.low) / 2

    def as_dict(self) -> dict[str, float]:
        """Return plain values."""
        return {"value": round(self.value, 4), "low": round(self.low, 4), "high": round(self.high, 4)}


@dataclass(frozen=True)
class Completeness:
    """What is known of a segment, what may be missing, and whether enforcement may be offered."""

    segment: str
    days: int
    seen: Interval | None
    conversations: Interval | None
    known_conversations: int
    expected_new: float
    chao2: float
    ice: float
    known_permissions: int
    seldom_permissions: int
    silent_devices: int
    enough: bool
    wait_for: tuple[str, ...] = field(default_factory=tuple)
    uses: Interval | None = None
    # Whether the lower end for uses reaches the threshold, or somebody has said all that the segment opens.
    known: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for results and reports."""
        return {
            "segment": self.segment,
            "days": self.days,
            "seen": self.seen.as_dict() if self.seen else None,
            "uses": self.uses.as_dict() if self.uses else None,
            "conversations": self.conversations.as_dict() if self.conversations else None,
            "known_conversations": self.known_conversations,
            "expected_new_conversations": round(self.expected_new, 1),
            "chao2": round(self.chao2, 1),
            "ice": round(self.ice, 1),
            "known_permissions": self.known_permissions,
            "seldom_permissions": self.seldom_permissions,
            "silent_devices": self.silent_devices,
            "enough": self.enough,
            "wait_for": list(self.wait_for),
        }


def completeness(
    incidences: Sequence[Incidence],
    days: Sequence[date],
    *,
    threshold: float = THRESHOLD,
    horizon: int = HORIZON,
    minimum_days: Mapping[str, int] | None = None,
    told: Collection[str] = (),
) -> dict[str, Completeness]:
    """Return what is known of each segment, by name. ``days`` are the covered days in order, which ``Incidence.day`` counts.

    A day on which nothing was recorded anywhere is not covered and must not be among them. ``threshold`` is the share that ``uses`` has to
    reach with the lower end of its interval. Of the segments ``told`` somebody has said all that they open (``told.py``): their uses are
    known.
    """
    minimum_days = MINIMUM_DAYS if minimum_days is None else minimum_days
    clients = [_arrivals_of(each.client, each.day, len(days)) for each in incidences]
    servers = [_servers_of(each, len(days)) for each in incidences]
    of_clients, of_servers = (
        [_expected_arrivals(own, _together(all_of), len(days), horizon) for own in all_of]
        for all_of in (clients, servers)
    )
    return {
        each.segment: _of_segment(
            each, days, threshold, horizon, minimum_days, own.devices, (first, second), each.segment in told
        )
        for each, own, first, second in zip(incidences, clients, of_clients, of_servers, strict=True)
    }


def frequency_counts(of_days: Any, count: int) -> Any:
    """Return Q_1 .. Q_count: how many species were seen on exactly so many days."""
    return np.bincount(np.minimum(of_days, count + 1), minlength=count + 2)[1 : count + 1]


def chao2(of_days: Any, days: int) -> float:
    """Return the bias-corrected lower bound Chao2 of the number of species, from the number of days of each seen one."""
    once, twice = (int(each) for each in frequency_counts(of_days, 2))
    return len(of_days) + (days - 1) / days * once * (once - 1) / (2 * (twice + 1))


def ice(of_days: Any, days: int) -> float:
    """Return the incidence-based coverage estimator of the number of species; Chao2 where no species is infrequent but unique."""
    infrequent = of_days[of_days <= INFREQUENT]
    once, total = int((infrequent == 1).sum()), int(infrequent.sum())
    if not total:
        return float(len(of_days))
    if once == total:
        return chao2(of_days, days)
    covered = 1 - once / total
    pairs = float((infrequent * (infrequent - 1)).sum())
    spread = max(len(infrequent) / covered * days / max(1, days - 1) * pairs / (total * total) - 1, 0.0)
    return len(of_days) - len(infrequent) + len(infrequent) / covered + once / covered * spread


def coverage_deficit(of_days: Any, days: int) -> float:
    """Return the share of the next day's incidences that belong to species not seen yet (Chao and Jost 2012, equation 4a)."""
    total = int(of_days.sum())
    once, twice = (int(each) for each in frequency_counts(of_days, 2))
    if not total or not once:
        return 0.0
    if twice:
        return once / total * ((days - 1) * once / ((days - 1) * once + 2 * twice))
    return once / total * ((days - 1) * (once - 1) / ((days - 1) * (once - 1) + 2)) if once > 1 else once / total / 2


def extrapolated(of_days: Any, days: int, more: int) -> float:
    """Return how many new species ``more`` days are expected to bring (Colwell et al. 2012, equation 18)."""
    once = int((of_days == 1).sum())
    unseen = chao2(of_days, days) - len(of_days)
    if not once or unseen <= 0:
        return 0.0
    return unseen * (1 - (1 - once / (days * unseen + once)) ** more)


def counts_bound(shape: float, mean: float, share: float) -> int:
    """Return the smallest count that a negative binomial variable of that shape and mean does not exceed with probability ``share``.

    That is what is to be expected of events whose rate is itself only known from ``shape`` earlier ones (gamma-Poisson prediction).
    """
    if shape <= 0 or mean <= 0:
        return 0
    stays = shape / (shape + mean)
    chance = total = stays**shape
    count = 0
    while total < share and count < MOST_EVENTS:
        chance *= (shape + count) / (count + 1) * (1 - stays)
        count += 1
        total += chance
    return count


def _of_segment(
    each: Incidence,
    days: Sequence[date],
    threshold: float,
    horizon: int,
    minimum_days: Mapping[str, int],
    devices: int,
    arriving: Sequence[_Arriving],
    told: bool,
) -> Completeness:
    count = len(days)
    species, first, of_days = _with_first(each.conversation)
    permissions, days_of_permission = _days_of(each.permission, each.day)
    seldom = int((days_of_permission < min(LIFE_SUPPORT_DAYS, count)).sum())
    silent = max(0, each.known_devices - devices)
    seen = conversations = uses = None
    new = 0.0
    if count >= LEAST_DAYS and len(species):
        seen = _seen(each, of_days, first, count, horizon, arriving)
        new, conversations = _conversations(each, of_days, first, count, horizon, arriving)
        own = uses_of(each, first)
        _use, first_use, days_of_use = _with_first(own.conversation)
        uses = _seen(own, days_of_use, first_use, count, horizon, ())
    # As results show it.
    reached = told or (uses is not None and round(uses.low, 4) >= threshold)
    wait = _waits(each, days, uses, 0.0 if told else threshold, minimum_days, seldom, silent)
    return Completeness(
        each.segment,
        count,
        seen,
        conversations,
        len(species),
        new,
        chao2(of_days, count) if len(species) else 0.0,
        ice(of_days, count) if len(species) else 0.0,
        len(permissions),
        seldom,
        silent,
        not wait,
        tuple(wait),
        uses,
        reached,
    )


def uses_of(each: Incidence, first: Any = None) -> Incidence:
    """Return the incidence of uses: on which days each client used each permission, with whatever server.

    ``first`` names rows that between them have all permissions and clients, where that is known: one row of each conversation.
    """
    if not len(each.day):
        return replace(each, server=None)
    some = slice(None) if first is None else first
    names, clients = _distinct(each.permission[some]), _distinct(each.client[some])
    days = int(each.day.max()) + 1
    # One number for all three.
    cell = np.searchsorted(names, each.permission) * len(clients) + np.searchsorted(clients, each.client)
    cell = _distinct(cell * days + each.day)
    use, day = np.divmod(cell, days)
    place, client = np.divmod(use, len(clients))
    return replace(each, day=day, conversation=use, permission=names[place], client=clients[client], server=None)


def _days_of(names: Any, day: Any) -> tuple[Any, Any]:
    """Return (names, on how many days each was seen)."""
    found, _first, counts = _days_and_first(names, day)
    return found, counts


def _days_and_first(names: Any, day: Any) -> tuple[Any, Any, Any]:
    """Return (names in order, the first day of each, on how many days each was seen). One number for both sorts faster than pairs."""
    if not len(names):
        return names, day, names
    days = int(day.max()) + 1
    name, on = np.divmod(_distinct(names.astype(np.int64) * days + day), days)
    begins = np.flatnonzero(np.concatenate(([True], name[1:] != name[:-1])))
    return name[begins], on[begins], np.diff(begins, append=len(name))


def _distinct(numbers: Any) -> Any:
    """Return the different numbers in order. Where they lie close together each is marked at its place, else they are sorted: what NumPy
    does since 2.3, a table of hashes and a sort of what it holds, takes several times as long as either."""
    if not len(numbers):
        return numbers
    least, span = _span(numbers)
    if not span:
        ordered = np.sort(numbers)
        return ordered[np.concatenate(([True], ordered[1:] != ordered[:-1]))]
    marks = np.zeros(span, dtype=bool)
    marks[numbers - least] = True
    return np.flatnonzero(marks) + least


def _with_first(numbers: Any) -> tuple[Any, Any, Any]:
    """Return (the different numbers in order, where each comes first, how often each comes)."""
    least, span = _span(numbers)
    if not span:
        return tuple(np.unique(numbers, return_index=True, return_counts=True))
    places = numbers - least
    counts = np.bincount(places, minlength=span)
    first = np.zeros(span, dtype=np.int64)
    # Of several places of one number the last to be written stays.
    first[places[::-1]] = np.arange(len(places) - 1, -1, -1)
    found = np.flatnonzero(counts)
    return found + least, first[found], counts[found]


def _span(numbers: Any) -> tuple[int, int]:
    """Return (the least number, how many places there are up to the largest); no places where these would be too many."""
    if not len(numbers):
        return 0, 0
    least = int(numbers.min())
    span = int(numbers.max()) - least + 1
    return least, span if span <= min(MOST_PLACES, PLACES_FOR_EACH * len(numbers) + SOME_PLACES) else 0


def _clumps(each: Incidence, of_days: Any, first: Any) -> tuple[float, float]:
    """Return (how many clumps the conversations seen on one day make, effectively; conversations in one of them)."""
    alone = first[of_days == 1]
    if not len(alone):
        return 0.0, 0.0
    # The permissions among them by their places, so that one number holds place and day.
    places = np.searchsorted(_distinct(each.permission[alone]), each.permission[alone])
    _clump, _first, sizes = _with_first(places * (int(each.day.max()) + 1) + each.day[alone])
    total = float(sizes.sum())
    effective = total * total / float((sizes * sizes).sum())
    return effective, total / effective


@dataclass(frozen=True)
class _Arrivals:
    """Devices that turned up after the first days and went on speaking; all devices that spoke."""

    late: int
    devices: int


@dataclass(frozen=True)
class _Arriving:
    """Devices that turn up within the horizon: how many on average, how sure that is, and among how many they come."""

    mean: float
    shape: float
    among: int

    @property
    def share(self) -> float:
        """Return which share of the horizon's traffic one of them has: it comes on any day of it."""
        return 0.5 / (self.among + 0.5)


def _together(arrivals: Sequence[_Arrivals]) -> _Arrivals:
    return _Arrivals(sum(each.late for each in arrivals), sum(each.devices for each in arrivals))


def _servers_of(each: Incidence, count: int) -> _Arrivals:
    """Return the arrivals of devices that the segment opens, where it opens many more than it has: a poller, a master.

    To such a segment a new device anywhere is a new conversation every day. Elsewhere new servers are few, and what is new in a
    client segment comes with new clients.
    """
    if each.server is None:
        return _Arrivals(0, 0)
    known = each.server >= 0
    found = _arrivals_of(each.server[known], each.day[known], count)
    return found if found.devices >= MANY_SERVERS * len(_distinct(each.client)) else _Arrivals(0, 0)


def _arrivals_of(device: Any, day: Any, count: int) -> _Arrivals:
    devices, begins, spoken = _days_and_first(device, day)
    if not len(devices):
        return _Arrivals(0, 0)
    # One that speaks seldom has not turned up late: it was silent.
    late = (begins >= SETTLED_DAYS) & (begins <= count - PROVED_DAYS) & (spoken * 10 >= (count - begins) * 7)
    return _Arrivals(int(late.sum()), len(devices))


def _expected_arrivals(own: _Arrivals, site: _Arrivals, count: int, horizon: int) -> _Arriving:
    """Return the devices that turn up within the horizon: by the segment's own experience, and the site's for a little."""
    if own.devices < 1:
        return _Arriving(0.0, 0.0, own.devices)
    span = max(1, count - SETTLED_DAYS - PROVED_DAYS + 1)
    usual = (site.late + 0.5) / max(1, site.devices) * own.devices
    shape = (own.late + SHARED * usual) / (1 + SHARED) + usual * SHARED / (1 + SHARED)
    mean = (own.late + SHARED * usual) / (1 + SHARED) * horizon / span
    return _Arriving(mean, max(shape, 0.05), own.devices)


def _missing(
    clumps: float, size: float, mean_events: float, arriving: Sequence[tuple[_Arriving, float]]
) -> tuple[float, float]:
    """Return (least, most) of what is missing: events of a size and arrivals of theirs, each by its own prediction."""
    parts = [(clumps + 0.5, mean_events, size), *((each.shape, each.mean, own) for each, own in arriving)]
    least = sum(counts_bound(shape, mean, TAIL) * own for shape, mean, own in parts)
    most = [(mean * own, counts_bound(shape, mean, 1 - TAIL) * own) for shape, mean, own in parts]
    # They do not all reach their worst at once.
    return least, sum(mean for mean, _end in most) + sum((end - mean) ** 2 for mean, end in most) ** 0.5


def _seen(
    each: Incidence, of_days: Any, first: Any, count: int, horizon: int, arriving: Sequence[_Arriving]
) -> Interval:
    total = len(each.day)
    clumps, size = _clumps(each, of_days, first)
    deficit = coverage_deficit(of_days, count)
    permissions = len(_distinct(each.permission))
    # Half a clump that nobody has seen, of the usual size or of a permission's on one day.
    unit = (size or total / count / max(1, permissions)) / (total / count * horizon)
    mean = deficit / unit if clumps else 0.0
    low, high = _missing(clumps, unit, mean + 0.5 * horizon / count, [(part, part.share) for part in arriving])
    value = deficit + sum(part.mean * part.share for part in arriving)
    return Interval(*(min(1.0, max(0.0, 1 - part)) for part in (value, max(high, value), min(low, value))))


def _conversations(
    each: Incidence, of_days: Any, first: Any, count: int, horizon: int, arriving: Sequence[_Arriving]
) -> tuple[float, Interval]:
    known = len(of_days)
    clumps, size = _clumps(each, of_days, first)
    new = extrapolated(of_days, count, horizon)
    permissions = len(_distinct(each.permission))
    unit = size or known / max(1, permissions)
    own = [(part, known / max(1, part.among)) for part in arriving]
    low, high = _missing(clumps, unit, new / unit + 0.5 * horizon / count, own)
    new += sum(part.mean * size_of for part, size_of in own)
    return new, Interval(*(known / (known + part) for part in (new, max(high, new), min(low, new))))


def _waits(
    each: Incidence,
    days: Sequence[date],
    uses: Interval | None,
    threshold: float,
    minimum_days: Mapping[str, int],
    seldom: int,
    silent: int,
) -> list[str]:
    """Return what has to come before enforcement may be offered."""
    wait = []
    wanted = minimum_days.get(each.criticality, DEFAULT_DAYS)
    watched = watched_days(each.day, len(days))
    if len(days) < wanted:
        wait.append(f"{wanted - len(days)} more days of recordings (of {wanted})")
    elif len(each.day) and watched < wanted:
        wait.append(
            f"{wanted - watched} more days with traffic of the segment (of {wanted}): the whole segment was silent on"
            f" {len(days) - watched} of {len(days)} days, more than {LONGEST_SILENCE} of them on end"
        )
    if uses is None:
        wait.append("a week of the segment's traffic" if len(each.day) else "any traffic of the segment")
    elif round(uses.low, 4) < threshold:
        wait.append(
            f"fewer new uses: of what its devices will need, counted by device, rule and day, {uses.value:.1%} is known, at least"
            f" {uses.low:.1%}; asked for is {threshold:.0%}"
        )
    wait += unseen_calendar(days)
    if each.criticality in NEVER_DROPPED and seldom:
        wait.append(f"{LIFE_SUPPORT_DAYS} days of each permission: {seldom} were seen less often")
    if silent and silent > each.known_devices * 0.1:
        wait.append(f"{silent} of {each.known_devices} devices, which have said nothing")
    return wait
