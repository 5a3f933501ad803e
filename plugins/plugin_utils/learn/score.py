# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A 0 to 100 score for a candidate, by published weights, with hard stops first (facts/flows.md section 7, docs/propose.md)."""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.evidence import Evidence
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.expected import at_month_end

PROPOSE, DRAFT = 70, 40
ONE_DEVICE_CAP = 60
MANY_DEVICES = 4
FEW_SHARE = 0.25
# From how many devices on a whole segment is evidence by itself, and which share is whole (some have a wrong profile or are off).
WHOLE_DEVICES, WHOLE_SHARE = 10, 0.9
FULL_DAYS = 5
TCP = 6
# What speaks for rare traffic to a network set that only one segment opens: people named its addresses, and nobody else finds them.
SOLE_USER = 20.0
# For so long rare traffic has to be over before it may have a rule that ends: what began yesterday may be new and go on.
QUIET_DAYS = 3
# What many devices do seldom, each by itself, is spread over so many days at least: what goes from device to device is quicker, or goes on.
SPREAD_DAYS = 14
SELDOM, VENDOR, VITAL = "seldom", "vendor", "life-safety"
# The most that each part gives; together 100. docs/propose.md has the same table, and a test compares them.
WEIGHTS = {
    "days": 25, "weeks": 10, "devices": 20, "answered": 10, "direction": 10, "known service": 10, "regular": 5, "support": 10,
}  # fmt: skip
# Ways into a device: from one device alone, or a few of many, they are how an intruder or a worm goes on, and a person looks first.
ADMINISTRATION = {(6, port) for port in (22, 23, 135, 139, 445, 3389, 5900, 5985, 5986)}


def few_of(devices: int, size: int) -> bool:
    """Return whether so few of a segment's devices may all be taken for what they are not: two, or 15 %, and at most a third.

    Of 5 % wrong profiles some segments get three times as many.
    """
    return size >= MANY_DEVICES and devices <= max(2, 0.15 * size) and 3 * devices <= size


def most_of(devices: int, size: int) -> bool:
    """Return whether half of a segment's devices or more do something."""
    return 2 * devices >= size > 0


@dataclass(frozen=True)
class Context:
    """What a score needs beside the evidence: size of the client segment, days covered, known service, conduit, wanted days.

    ``support`` names what else speaks for it (``support.py``), empty for nothing. ``ceiling`` (0 to 1) is what the telemetry allows to
    claim; ``silence`` says whether an opener without an answer in the records had none (flows/quality.py). ``server_segment_devices``
    and ``served_elsewhere`` (clients that other segments serve on this port) tell a rogue server, with ``serving_devices``, how many of the
    server's segment serve the port to anybody (0: as many as the candidate has); ``like`` names a segment most of whose devices do the
    same, where few of this one do: they may be taken for what they are not. ``standby`` says that the client's segment uses the service
    elsewhere day by day; ``quiet_days`` is for how long the candidate has not been seen at the window's end; ``reviewed_end`` that the
    server's end is a network set that people named or a segment that the client's opens other services of day by day; ``sole_user`` that it
    is a network set that no other segment was seen to open, and that no device of the client's segment looks as if it were another's;
    ``own_service`` that none but the server's end serves the port to anybody, ``sole_service`` that no other segment opens it there;
    ``vital`` that lives depend on the client's segment, ``peers`` that the server's is the same; ``turned`` that all of it comes from one
    port, which the client's end serves to the server's: its own client drew a port that is somebody's service.
    """

    segment_devices: int
    covered_days: int
    known_service: bool
    conduit: bool
    minimum_days: int = 3
    support: str = ""
    ceiling: float = 1.0
    silence: bool = True
    server_segment_devices: int = 0
    served_elsewhere: int = 0
    like: str = ""
    serving_devices: int = 0
    standby: bool = False
    quiet_days: int = 0
    reviewed_end: bool = False
    sole_user: bool = False
    own_service: bool = False
    sole_service: bool = False
    vital: bool = False
    peers: bool = False
    turned: bool = False


@dataclass(frozen=True)
class Stop:
    """Why no rule may be made without a person: ``kind`` is one word for programs, ``text`` the sentence for people."""

    kind: str
    text: str


@dataclass(frozen=True)
class Score:
    """Points by name, their sum, and the hard stop that forbids a rule (empty where there is none)."""

    points: tuple[tuple[str, float], ...]
    stop: str = ""
    kind: str = ""

    @property
    def total(self) -> int:
        """Return the sum, rounded, from 0 to 100."""
        return round(min(100.0, sum(value for _name, value in self.points)))


def hard_stop(evidence: Evidence, context: Context) -> Stop | None:
    """Return why no rule may be made of the evidence, or None."""
    days = len(evidence.days)
    if evidence.best_method >= 9:
        return Stop("direction", "the direction is a guess (lower port)")
    if context.turned:
        return Stop(
            "direction",
            f"all of it comes from port {evidence.one_client_port}, which the server's end opens there: answers",
        )
    if context.silence and evidence.key.protocol == TCP and evidence.answered < evidence.flows * 0.1:
        return Stop("unanswered", "hardly ever answered")
    if not context.conduit:
        return Stop("conduit", "no conduit joins the two zones")
    if _rogue(evidence, context):
        return Stop(
            "rogue-server",
            f"{_serving(evidence, context)} of {context.server_segment_devices} devices of the segment serve it, and"
            f" {context.served_elsewhere} clients have it from another segment: look at the server first",
        )
    if context.like:
        return Stop(
            "misplaced",
            f"few devices ({evidence.client_devices} of {context.segment_devices} clients, {_serving(evidence, context)} of"
            f" {context.server_segment_devices} servers) do what most of {context.like} do: they may belong there",
        )
    if days < context.minimum_days and not _whole_segment(evidence, context) and not bounded(evidence, context):
        return Stop("few-days", f"seen on {days} of at least {context.minimum_days} days")
    return None


def _whole_segment(evidence: Evidence, context: Context) -> bool:
    """Return whether (almost) all of many devices open the same outside within few days: firmware that the maker rolls out.

    Only to a named set of addresses, and not on one day alone: what spreads from device to device looks alike and stays within.
    """
    many = context.segment_devices >= WHOLE_DEVICES and evidence.client_devices >= WHOLE_SHARE * context.segment_devices
    return many and not context.server_segment_devices and len(evidence.days) >= 2 and not evidence.threat


def _weekly(evidence: Evidence, context: Context) -> bool:
    """Return whether all devices of the segment together did it once in every week of a window of three weeks or more."""
    weeks = context.covered_days // 7
    days = evidence.days
    every = all((later - earlier).days == 7 for earlier, later in zip(days, days[1:], strict=False))
    return every and len(days) >= weeks >= 3 and evidence.client_devices >= context.segment_devices


def bounded(evidence: Evidence, context: Context) -> str:
    """Return why traffic of too few days may have a rule that ends, or empty text: the kind of rare traffic that it is.

    Enforcement cuts rare traffic before anybody asks, so what nothing speaks against is permitted for a limited time and its owner is
    asked (facts/flows.md section 7: "accept them by declared intent, by symmetric partner, or by time-bound rule"). Never ways into a
    device, never what began at the window's end (it may be new, and not rare), only services that people named, towards network sets that
    people named or segments to which something else is opened day by day: what spreads finds its ends by itself. Within the site
    never one device beside another that did not: half of a segment of two is how an intruder begins.

    ``fail-over``: towards a named network set at least half of the segment, which uses the same service elsewhere day by day, or which
    alone uses it there, two devices at least.
    ``month-end``: at least half of the segment, at a month's turn.
    ``firmware``: on two days or more nearly all of many devices, or, towards a named network set, more than those who may all be taken for
    what they are not (``few_of``), and four at least.
    ``vendor``: towards a named network set that no other segment was seen to open, by whatever devices and also at the window's end: an
    intruder does not choose the addresses of the maker's remote access, and what becomes regular is a rule by its days.
    ``life-safety``: by all devices of a segment that lives depend on, two at least, on two days or more, each to all of those who alone
    serve what people named: an alarm that is passed on, also to where nothing else is opened. A worm goes from one to the next.
    ``seldom``: by four devices or more on as many days, two weeks apart at least: of one segment alone to one end alone, also on a port
    that nobody named if it was answered (ten on ten days where answers cannot be seen), or of at least half of a segment on a service that
    people named.
    """
    admin = (evidence.key.protocol, evidence.key.server_port) in ADMINISTRATION
    if admin or evidence.threat or not (context.conduit and context.segment_devices):
        return ""
    if (
        context.like
        or _rogue(evidence, context)
        or evidence.best_method >= 9
        or context.turned
        or not (evidence.answered or not context.silence)
    ):
        return ""
    outside, quiet = not context.server_segment_devices, context.quiet_days >= QUIET_DAYS
    kind = ""
    if context.known_service and context.reviewed_end:
        vendor = VENDOR if context.sole_user and outside else ""
        kind = (_rare(evidence, context, outside) if quiet else "") or vendor
    if not kind and quiet and context.known_service and _vital(evidence, context):
        kind = VITAL
    return kind or (SELDOM if _seldom(evidence, context) else "")


def _vital(evidence: Evidence, context: Context) -> bool:
    """Return whether a segment that lives depend on does something as a whole, if seldom, to the whole of those that serve it; or half of
    it among themselves what they do elsewhere."""
    clients, servers = evidence.client_devices, max(1, context.server_segment_devices)
    whole = 2 <= context.segment_devices <= clients and evidence.server_devices >= context.server_segment_devices
    all_to_all = whole and context.own_service and evidence.pairs >= clients * servers
    among = context.peers and context.standby and clients >= 3 and most_of(clients, context.segment_devices)
    return context.vital and len(evidence.days) >= 2 and (all_to_all or among)


def is_spread(evidence: Evidence) -> bool:
    """Return whether several devices did something on as many days, over weeks."""
    days = evidence.days
    enough = min(evidence.client_devices, len(days)) >= MANY_DEVICES
    return enough and (days[-1] - days[0]).days >= SPREAD_DAYS


def _seldom(evidence: Evidence, context: Context) -> bool:
    """Return whether many devices do something seldom, each by itself, that none of another segment does."""
    if not is_spread(evidence):
        return False
    if context.known_service and most_of(evidence.client_devices, context.segment_devices):
        return True
    # Where the telemetry cannot see answers, more have to do it.
    many = not context.silence and min(evidence.client_devices, len(evidence.days)) >= WHOLE_DEVICES
    alone = context.sole_service and context.own_service
    return alone and (context.known_service or many or 2 * evidence.answered >= evidence.flows)


def _rare(evidence: Evidence, context: Context, outside: bool) -> str:
    """Return the kind of rare traffic that is over, empty where it is none that may have a rule."""
    share = evidence.client_devices / context.segment_devices
    if not outside and evidence.client_devices == 1 < context.segment_devices:
        return ""
    alone = context.sole_service and evidence.client_devices > 1
    if outside and share >= 0.5 and (context.standby or alone):
        return "fail-over"
    if len(evidence.days) < 2:
        return ""
    if share >= 0.5 and at_month_end(evidence.days):
        return "month-end"
    several = (
        outside
        and evidence.client_devices >= MANY_DEVICES
        and not few_of(evidence.client_devices, context.segment_devices)
    )
    if several or (context.segment_devices >= MANY_DEVICES and share >= WHOLE_SHARE):
        return "firmware"
    return ""


def _serving(evidence: Evidence, context: Context) -> int:
    return max(evidence.server_devices, context.serving_devices)


def _rogue(evidence: Evidence, context: Context) -> bool:
    """Return whether few devices of a segment serve what another segment serves to more clients: a server that does not belong there.

    All that serve it count, to whomever: an engineer who opens nine controllers of forty has met no rogue where all forty serve.
    """
    few = (
        context.server_segment_devices >= MANY_DEVICES
        and _serving(evidence, context) * 4 <= context.server_segment_devices
    )
    return few and context.served_elsewhere > evidence.client_devices and not context.support.startswith("declared")


def score(evidence: Evidence, context: Context) -> Score:
    """Return the score of a candidate."""
    days = len(evidence.days)
    share = evidence.client_devices / max(1, context.segment_devices)
    points = [
        ("days", 25 * min(1.0, max(days / FULL_DAYS, days / max(1, context.covered_days) / 0.3))),
        ("weeks", min(10.0, 5.0 * evidence.weeks)),
        ("devices", _device_points(evidence.client_devices, share)),
        ("answered", 10.0 if evidence.answered else 0.0),
        ("direction", 10 * min(evidence.confidence, context.ceiling)),
        ("known service", 10.0 if context.known_service else 0.0),
        ("regular", 5.0 if days >= 0.8 * context.covered_days or _weekly(evidence, context) else 0.0),
        ("support", 10.0 if context.support else 0.0),
    ]
    if days < FULL_DAYS and (_whole_segment(evidence, context) or bounded(evidence, context)):
        points.append(("sole user", SOLE_USER) if bounded(evidence, context) == VENDOR else ("whole segment", 10.0))
    stop = hard_stop(evidence, context)
    made = Score(tuple(points), stop.text if stop else "", stop.kind if stop else "")
    alone = evidence.client_devices == 1 and not context.support.startswith("declared")
    admin = (evidence.key.protocol, evidence.key.server_port) in ADMINISTRATION and context.segment_devices > 1
    few = admin and share < FEW_SHARE and not context.support.startswith("declared")
    if few and not alone and made.total > ONE_DEVICE_CAP:
        points.append(("few devices of many", float(ONE_DEVICE_CAP - made.total)))
        made = Score(tuple(points), made.stop, made.kind)
    if alone and (context.segment_devices >= MANY_DEVICES or admin) and made.total > ONE_DEVICE_CAP:
        points.append(("one device of many", float(ONE_DEVICE_CAP - made.total)))
        made = Score(tuple(points), made.stop, made.kind)
    return made


def _device_points(count: int, share: float) -> float:
    if share >= 0.25:
        return 20.0
    return 4.0 if count <= 1 else 10.0 + 10.0 * min(1.0, share / 0.25) * 0.5
