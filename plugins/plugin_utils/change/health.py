# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether devices go on talking after a ring was changed: three signs in what was recorded, each with a stated chance of error. Pure.

Two more are seen on switches, not in what was recorded: a session that was authorized before and is not any more; and *counted*: an entry
that refuses a conversation which used to be answered counted packets since, and of its last opens no more than half were answered.

*Refused*: a conversation that history knows is logged as denied. *Unanswered*: opens that used to be answered are not, by a binomial test.
*Silent*: a conversation that came regularly has not come for longer than chance allows, while the telemetry that used to show it goes on.
All tests of one judgement share one chance of a false alarm (Bonferroni), so that many devices do not mean many alarms.

For a silence: with n flows and the longest pause L among them, pauses of random arrivals longer than T have a chance of about
n ** (-T / L), since the longest of n pauses is near ln(n) means; T is chosen so that this is the allowed chance. Regular
arrivals, and those with nights and weekends in their longest pause, vary less, so for them the chance is smaller still. A silence that was
longer than any before already when the ring's first step was written is not its doing. Times in which the telemetry itself showed
nothing count for no silence.

*Retired*: a conversation that was quiet before the first write already, while its telemetry went on, for a day and for longer than
chance allows by the same measure, and that was watched for a week before it ended, or has been quiet for one: a weekend is none. Also one
whose peer was quiet with everybody, in the same way. It is named, and not waited for. If it comes again it is judged like any other. What
is quiet for less holds the rollout: a device that is off while it is worked on comes back after the change, and may be cut off then.

No sign is not health yet. Every conversation that used to come once an hour or more often, and every one that should have come three
times by now, has to be heard since, with an answer where it used to have one, and not be quiet for longer than it ever was. Until then the
judgement is *unseen*, and a rollout waits. What comes more rarely is counted as *rare*: nothing is claimed of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

HEALTHY, REGRESSED, UNSEEN = "healthy", "regressed", "unseen"
REFUSED, UNANSWERED, SILENT, UNAUTHORIZED, COUNTED = "refused", "unanswered", "silent", "unauthorized", "counted"
RETIRED = "retired"
# The longest rhythm that is taken for granted of everything: working days and a weekend.
WEEK = 7 * 86_400.0


@dataclass(frozen=True)
class Limits:
    """When to call it a regression.

    ``alarm``: chance of a false alarm in one judgement of healthy devices, 0 to 1. ``flows``, ``days``: what history must
    hold before anything is judged by it. ``refused``: denied packets. ``shortest``: seconds, no silence below it counts.
    ``recent``: how many of the last five opens must be unanswered still. ``due``: how often a conversation should have come,
    on average, before it is missed. ``regular``: seconds; what came that often on average is waited for, however short the watch.
    ``pauses``: for how many mean pauses such a one may have been quiet before the change already for counters to be held against it where
    it was not seen since: their packets may be anybody's. ``retired``: chance that one which goes on is taken for ended, 0 to 1; ``gone``:
    seconds that such a one was quiet before the change at least.
    """

    alarm: float = 0.001
    flows: int = 12
    days: int = 2
    refused: int = 3
    shortest: float = 300.0
    recent: int = 4
    due: float = 3.0
    regular: float = 3600.0
    pauses: float = 5.0
    retired: float = 0.001
    gone: float = 86_400.0


@dataclass(frozen=True)
class Talk:
    """One conversation (or all of a device's) before and since the change; moments in seconds since 1970, pauses in seconds.

    ``seen``, ``answered``, ``days``, ``longest_pause`` and ``span`` (length of the history) are of the time before;
    ``flows``, ``unanswered`` since, ``recent_unanswered`` among the last five of them; ``last`` the end of the last one at any
    time; ``watched_until`` how far the telemetry that showed it before reaches; ``denied`` packets logged as refused since
    the change took hold; ``counted`` packets that the entry which refuses it counted since, and ``counted_by`` what that entry is.
    ``gap_before``, ``gap_since``: for how long its telemetry showed nothing of anybody between ``last`` and the ring's first write, and
    between the later of ``last`` and change, and ``watched_until``. ``peer_gone``: the other end had ended with everybody before.
    """

    name: str
    device: str
    seen: int
    answered: int
    days: int
    longest_pause: float
    span: float
    flows: int
    unanswered: int
    recent_unanswered: int
    last: float
    watched_until: float
    denied: int = 0
    counted: int = 0
    counted_by: str = ""
    gap_before: float = 0.0
    gap_since: float = 0.0
    peer_gone: bool = False

    @property
    def doubtful(self) -> bool:
        """Return whether at least half of the last five opens since, or all of fewer, had no answer; also where there was none."""
        return 2 * self.recent_unanswered >= min(5, self.flows)


@dataclass(frozen=True)
class Sign:
    """One sign of a regression, or that a conversation had ended before, with what was expected and what was seen."""

    kind: str
    talk: Talk
    text: str


@dataclass(frozen=True)
class Health:
    """A judgement. ``devices`` of the ring, ``heard`` of them since; ``awaited``: conversations that have to be heard and were not yet.

    ``rare``: how many conversations come too rarely to be judged by now. ``retired``: what had ended before the ring was changed.
    """

    state: str
    signs: tuple[Sign, ...]
    devices: int
    heard: int
    awaited: tuple[str, ...] = ()
    rare: int = 0
    retired: tuple[Sign, ...] = ()

    def as_dict(self) -> dict[str, object]:
        """Return plain values for a result."""
        return {
            "state": self.state,
            "devices": self.devices,
            "heard": self.heard,
            "awaited": list(self.awaited),
            "rare": self.rare,
            "signs": _rows(self.signs),
            "retired": _rows(self.retired),
        }


def _rows(signs: Iterable[Sign]) -> list[dict[str, str]]:
    return [
        {"kind": sign.kind, "device": sign.talk.device, "conversation": sign.talk.name, "text": sign.text}
        for sign in signs
    ]


def judge(
    talks: Sequence[Talk],
    devices: Iterable[str],
    began: float,
    limits: Limits = Limits(),
    unauthorized: Iterable[tuple[str, str]] = (),
    touched: float | None = None,
) -> Health:
    """Return how the devices of a ring do since a moment (seconds since 1970).

    ``unauthorized``: (device, name) of those whose session was authorized before the change and is not now. ``touched``: when the
    first step that reaches them was written, ``began`` where not given: what it cut may have been quiet for hours when the ring was done.
    """
    first = began if touched is None else min(touched, began)
    known = [talk for talk in talks if well_known(talk, limits)]
    tests = max(1, 2 * len(known))
    chance = limits.alarm / tests
    sure = {id(talk) for talk in known}
    made = (_sign(talk, began, first, limits, chance, id(talk) in sure) for talk in talks)
    signs = [sign for sign in made if sign is not None]
    wanted = frozenset(devices)
    signs += [_unauthorized(device, name) for device, name in unauthorized if device in wanted]
    heard = {talk.device for talk in known if talk.flows > talk.unanswered} & wanted
    open_still = [talk for talk in talks if not _goes_on(talk, began)]
    due = [talk for talk in open_still if id(talk) in sure and _wanted(talk, began, limits)]
    retired = [talk for talk in due if ended_before(talk, began, first, limits)]
    gone = {id(talk) for talk in retired}
    awaited = tuple(talk.name for talk in due if id(talk) not in gone)
    told = tuple(Sign(RETIRED, talk, _ended_text(talk, first)) for talk in retired)
    state = REGRESSED if signs else HEALTHY if heard and not awaited else UNSEEN
    return Health(state, tuple(signs), len(wanted), len(heard), awaited, len(open_still) - len(due), told)


def ended_before(talk: Talk, began: float, first: float, limits: Limits = Limits()) -> bool:
    """Return whether a conversation had ended before the first write (``first``), by its own history or its peer's."""
    if talk.flows or talk.denied:
        return False
    if talk.peer_gone:
        return True
    quiet = first - talk.last - talk.gap_before
    active = talk.last - (began - talk.span)
    allowed = longest_silence(talk.seen, talk.longest_pause, limits.retired, limits.gone)
    return quiet > allowed and max(quiet, active) >= WEEK


def _ended_text(talk: Talk, first: float) -> str:
    why = "its peer is gone as well" if talk.peer_gone else f"at most {_span(talk.longest_pause)} apart before"
    return f"last seen {_span(first - talk.last)} before the change, {why}"


def _span(seconds: float) -> str:
    """Return a time in words, in the largest unit of which it has two."""
    for unit, name in ((86_400.0, "days"), (3600.0, "hours")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds / 60:.0f} minutes"


def well_known(talk: Talk, limits: Limits = Limits()) -> bool:
    """Return whether history holds enough of a conversation to judge by it."""
    return talk.seen >= limits.flows and talk.days >= limits.days


def _unauthorized(device: str, name: str) -> Sign:
    session = Talk(f"session of {name}", device, 0, 0, 0, 0.0, 0.0, 0, 0, 0, 0.0, 0.0)
    return Sign(UNAUTHORIZED, session, "authorized before the change, not authorized now")


def _goes_on(talk: Talk, began: float) -> bool:
    """Return whether a conversation was heard since, as it used to be, and is not quiet for longer than it ever was."""
    if not talk.flows or talk.watched_until - max(talk.last, began) > talk.longest_pause:
        return False
    used_to_answer = 2 * talk.answered > talk.seen
    return not used_to_answer or (talk.unanswered < talk.flows and 2 * talk.recent_unanswered <= min(5, talk.flows))


def _wanted(talk: Talk, began: float, limits: Limits) -> bool:
    """Return whether a rollout waits for a conversation: it comes often, or should have come by now."""
    return _regular(talk, limits) or _due(talk, began) >= limits.due


def _regular(talk: Talk, limits: Limits) -> bool:
    return talk.span <= talk.seen * limits.regular


def _due(talk: Talk, began: float) -> float:
    """Return how often a conversation should have come since, on average, as far as its telemetry reaches."""
    return talk.seen / max(talk.span, 1.0) * max(0.0, talk.watched_until - began)


def _sign(talk: Talk, began: float, first: float, limits: Limits, chance: float, known: bool) -> Sign | None:
    if talk.denied >= limits.refused and talk.days >= limits.days:
        return Sign(
            REFUSED,
            talk,
            f"{talk.denied} packet{'' if talk.denied == 1 else 's'} refused since, seen on {talk.days} days before",
        )
    if not known:
        return None
    quiet = first - talk.last if not talk.flows else 0.0  # before the change already
    current = not talk.flows and _regular(talk, limits) and quiet * talk.seen <= limits.pauses * talk.span
    if talk.counted >= limits.refused and 2 * talk.answered > talk.seen and talk.doubtful and (talk.flows or current):
        opens = f"{talk.unanswered} of {talk.flows} opens without answer since"
        return Sign(COUNTED, talk, f"{talk.counted} packets counted since by {talk.counted_by}; {opens}")
    if talk.unanswered and talk.recent_unanswered >= limits.recent:
        usual = (talk.seen - talk.answered + 3) / (talk.seen + 3)
        if binomial_tail(talk.unanswered, talk.flows, min(1.0, usual)) < chance:
            before = f"{talk.answered} of {talk.seen} were answered before"
            return Sign(UNANSWERED, talk, f"{talk.unanswered} of {talk.flows} opens got no answer since, {before}")
    silence = talk.watched_until - max(talk.last, began) - talk.gap_since
    allowed = longest_silence(talk.seen, talk.longest_pause, chance, limits.shortest)
    if silence > allowed and quiet <= max(talk.longest_pause, limits.shortest) and not talk.peer_gone:
        text = f"silent for {silence / 60:.0f} minutes, at most {talk.longest_pause / 60:.0f} before"
        return Sign(SILENT, talk, text)
    return None


def longest_silence(seen: int, longest_pause: float, chance: float, shortest: float = 0.0) -> float:
    """Return the silence, in seconds, that random arrivals with such a history exceed with this chance (0 < chance < 1)."""
    return max(shortest, longest_pause * max(1.0, math.log(1 / chance) / math.log(max(2, seen))))


def binomial_tail(least: int, count: int, chance: float) -> float:
    """Return the chance of at least ``least`` hits among ``count`` tries of this chance each; 0 <= least <= count."""
    if least <= 0 or chance >= 1.0:
        return 1.0
    if chance <= 0.0:
        return 0.0
    log_hit, log_miss = math.log(chance), math.log1p(-chance)
    total = 0.0
    for hits in range(least, count + 1):
        ways = math.lgamma(count + 1) - math.lgamma(hits + 1) - math.lgamma(count - hits + 1)
        term = math.exp(ways + hits * log_hit + (count - hits) * log_miss)
        total += term
        if hits > count * chance and term < total * 1e-12:
            break
    return min(1.0, total)
