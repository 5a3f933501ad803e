# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Postures pulled in an emergency, as the journal has it: who did it, why, until when that stands without approval. Pure.

An emergency passes windows and approval (design rule 11), so it is limited: to prepared postures of the policy that is in force, to a
reason and a person, and to a time, after which nothing else goes forward until somebody has approved a plan that holds the posture, or
has released it. The posture itself stays: an isolation never lapses, and a relaxation asks before it ends.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.clock import iso, moment_of_text
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.pulled import pulled_in

LONGEST_MINUTES = 24 * 60
SHORTEST_REASON = 10
TEXT = re.compile(r"[^\x00-\x1f\x7f\u2028\u2029]{1,400}")


@dataclass(frozen=True)
class Emergency:
    """What a person says when a posture is pulled or released. ``minutes``: how long it stands without approval, 1 to 1,440."""

    reason: str
    person: str
    ticket: str = ""
    minutes: int = 240

    def as_dict(self, now: datetime) -> dict[str, str]:
        """Return it as the journal holds it."""
        until = now + timedelta(minutes=self.minutes)
        return {
            "reason": self.reason,
            "person": self.person,
            "ticket": self.ticket,
            "until": iso(until),
        }


@dataclass(frozen=True)
class Pulled:
    """A posture that is pulled. ``since`` when it was, ``asked`` when a person last said that it is needed; ``until`` is the end of an
    emergency's own permission, None where the posture came or was confirmed by an approved plan."""

    name: str
    since: datetime
    asked: datetime
    plan_id: str
    reason: str = ""
    person: str = ""
    ticket: str = ""
    until: datetime | None = None

    def as_dict(self) -> dict[str, str]:
        """Return plain values for results."""
        return {
            "posture": self.name,
            "since": iso(self.since),
            "asked": iso(self.asked),
            "plan_id": self.plan_id,
            "reason": self.reason,
            "person": self.person,
            "ticket": self.ticket,
            "until": iso(self.until) if self.until else "",
        }


def said(values: Mapping[str, Any]) -> Emergency:
    """Return the emergency of an action's arguments ``reason``, ``person``, ``ticket`` and ``minutes``; FindingError SW4141."""
    reason, person, ticket = (str(values.get(key) or "").strip() for key in ("reason", "person", "ticket"))
    minutes = int(values.get("minutes") or Emergency.minutes)
    faults = []
    if len(reason) < SHORTEST_REASON or not TEXT.fullmatch(reason):
        faults.append(f"reason: one line of {SHORTEST_REASON} to 400 characters that says what happened")
    if not TEXT.fullmatch(person):
        faults.append("person: who decided, one line")
    if ticket and not TEXT.fullmatch(ticket):
        faults.append("ticket: one line")
    if not 1 <= minutes <= LONGEST_MINUTES:
        faults.append(f"minutes: 1 to {LONGEST_MINUTES}")
    if faults:
        raise FindingError(*(codes.EMERGENCY_UNSAID.at(fault) for fault in faults))
    return Emergency(reason, person, ticket, minutes)


def release_said(values: Mapping[str, Any], names: Sequence[str]) -> dict[str, str]:
    """Return who releases postures by a plan and why, as the plan and the journal hold it; FindingError SW4169 where nobody says."""
    try:
        person = said({**values, "minutes": None})
    except FindingError as error:
        text = f"{', '.join(names)}: {'; '.join(item.message for item in error.findings)}"
        raise FindingError(codes.RELEASE_UNSAID.at(text)) from error
    return {"reason": person.reason, "person": person.person, "ticket": person.ticket}


def unsaid_releases(effect: Mapping[str, Any], pulled: Iterable[str]) -> list[Finding]:
    """Return a finding where a plan releases what is pulled and does not say who wants that, and why."""
    names = sorted({str(name) for name in effect.get("releases") or ()} & set(pulled))
    if not names:
        return []
    release = effect.get("release")
    try:
        release_said(release if isinstance(release, Mapping) else {}, names)
    except FindingError as error:
        return list(error.findings)
    return []


def pulled_state(entries: Sequence[Mapping[str, Any]]) -> tuple[Pulled, ...]:
    """Return what is pulled, with who, why and since when; sorted by name.

    A later plan that holds the posture confirms it where ``plan_started`` says so: it was approved itself, or nobody has to approve.
    """
    found: dict[str, Pulled] = {}
    for entry in entries:
        if entry["event"] != "plan_started":
            continue
        moment = moment_of_text(str(entry["time"]))
        names = {str(name) for name in entry.get("postures") or ()}
        emergency = entry.get("emergency") or {}
        plan = str(entry.get("plan_id", ""))
        for name in names:
            known = found.get(name)
            if emergency and name in (emergency.get("postures") or ()):
                until = moment_of_text(str(emergency["until"]))
                reason, person, ticket = (str(emergency.get(key, "")) for key in ("reason", "person", "ticket"))
                since = known.since if known else moment
                found[name] = Pulled(name, since, moment, plan, reason, person, ticket, until)
            elif known is None:
                found[name] = Pulled(name, moment, moment, plan)
            elif known.until is not None and entry.get("confirms_emergency"):
                found[name] = replace(known, until=None, asked=moment)
        for name in [name for name in found if name not in names]:
            del found[name]
    still = set(pulled_in(entries))
    for name in still - set(found):  # a rollback brought it back
        found[name] = Pulled(
            name, moment_of_text(str(entries[-1]["time"])), moment_of_text(str(entries[-1]["time"])), ""
        )
    return tuple(found[name] for name in sorted(found) if name in still)


def shouts(pulled: Iterable[Pulled], ask_after: Mapping[str, int], now: datetime) -> list[Finding]:
    """Return what every report says first while a posture is pulled. ``ask_after``: minutes after which a relaxation asks, by name."""
    found = []
    for item in pulled:
        by = f" by {item.person}" if item.person else ""
        why = f": {item.reason}" if item.reason else ""
        ticket = f" ({item.ticket})" if item.ticket else ""
        found.append(codes.POSTURE_PULLED.at(f"POSTURE PULLED: {item.name}, since {iso(item.since)}{by}{ticket}{why}"))
        minutes = ask_after.get(item.name, 0)
        if minutes and now >= item.asked + timedelta(minutes=minutes):
            asked = f"STILL NEEDED? {item.name}: said to be needed at {iso(item.asked)}, for {minutes} minutes"
            found.append(codes.RELAXATION_ASKS.at(asked))
        if item.until is not None and now >= item.until:
            found.append(
                codes.EMERGENCY_OVER.at(f"NOT APPROVED: {item.name}: it stood without approval until {iso(item.until)}")
            )
    return found


def unconfirmed(pulled: Iterable[Pulled], held: Iterable[str]) -> tuple[Pulled, ...]:
    """Return those of the postures that a plan holds which stand by an emergency's own permission still."""
    names = set(held)
    return tuple(item for item in pulled if item.until is not None and item.name in names)
