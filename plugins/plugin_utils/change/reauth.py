# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Re-authentication of the sessions that carry an old list: in batches, with pauses, checked after each one.

Never a port bounce and never a disconnect (design rule 13): a device that does not come back by itself is found after at most one
batch. Everything stands in the journal before it is done, so that a run whose controller died goes on with a look at the batch
that was under way. Who asks and who looks is given: rings use the same function with devices and checks of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError, errors_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.progress import SHOW
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.carriers import (
    ABSENT,
    APPROVED,
    CURRENT,
    OLD,
    UNAUTHORIZED,
    Carrier,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import Journal
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import CRITICALITIES

POLL_SECONDS = 1.0
Sleep = Callable[[float], None]
# Sends the re-authentication of one session and returns whether ISE says that the switch took it.
Ask = Callable[[Carrier], bool]
# Returns what these devices carry now, freshly read.
Look = Callable[[Sequence[Carrier]], Mapping[str, Carrier]]


@dataclass(frozen=True)
class Pace:
    """How fast: devices in one batch, seconds between batches, seconds in which a device must be back."""

    batch: int = 5
    pause: float = 30.0
    settle: float = 60.0


@dataclass(frozen=True)
class Held:
    """What is not touched: devices (MAC or name), segments, criticalities; a device in use is held by naming it."""

    devices: frozenset[str] = frozenset()
    segments: frozenset[str] = frozenset()
    criticalities: frozenset[str] = frozenset()

    @classmethod
    def of(cls, values: Iterable[str], criticalities: Iterable[str] = ()) -> Held:
        """Return what a list of MACs, device names and segment names holds; the words are compared without regard to case."""
        words = frozenset(str(value).strip().lower() for value in values)
        return cls(words, words, frozenset(str(value).lower() for value in criticalities))

    def why(self, item: Carrier) -> str:
        """Return why a device is not touched, empty where it may be."""
        if item.mac.lower() in self.devices or item.device.lower() in self.devices:
            return "the device is held"
        if item.wanted.segment.lower() in self.segments:
            return f"segment {item.wanted.segment} is held"
        if item.wanted.criticality.lower() in self.criticalities:
            return f"criticality {item.wanted.criticality} is held"
        return ""


@dataclass(frozen=True)
class Reauthentication:
    """What a run did: devices by MAC that carry the list now, that are held, that failed, that were not begun."""

    done: tuple[str, ...] = ()
    held: tuple[tuple[str, str], ...] = ()
    failed: tuple[tuple[str, str], ...] = ()
    left: tuple[str, ...] = ()
    batches: int = 0
    findings: tuple[Finding, ...] = ()

    @property
    def ok(self) -> bool:
        """Return whether no device failed."""
        return not errors_of(self.findings)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for a result."""
        return {
            "done": list(self.done),
            "held": [{"mac": mac, "reason": reason} for mac, reason in self.held],
            "failed": [{"mac": mac, "reason": reason} for mac, reason in self.failed],
            "left": list(self.left),
            "batches": self.batches,
        }


def both(one: Reauthentication | None, two: Reauthentication | None) -> Reauthentication | None:
    """Return what two runs did, one after the other."""
    if one is None or two is None:
        return one or two
    return Reauthentication(
        (*one.done, *two.done), (*one.held, *two.held), (*one.failed, *two.failed), (*one.left, *two.left),
        one.batches + two.batches, (*one.findings, *two.findings),
    )  # fmt: skip


def unfinished(entries: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return the devices that nobody has seen well since their batch, by MAC with the address each had before, as the journal says.

    Those of a batch that was begun and not checked, and those that were not well when it was; the latter without an address,
    since whoever mends a device may give it another one.
    """
    found: dict[str, str] = {}
    for entry in entries:
        if entry["event"] == "reauth_batch_started":
            found |= {str(item["mac"]): str(item["address"]) for item in entry["devices"]}
        elif entry["event"] == "reauth_batch_done":
            for mac in entry["devices"]:
                found.pop(str(mac), None)
        elif entry["event"] == "reauth_stopped":
            failed = {str(item["mac"]) for item in entry["failed"]}
            well = {str(mac) for mac in entry.get("well", found)} - failed
            found = {mac: "" if mac in failed else address for mac, address in found.items() if mac not in well}
    return found


@dataclass
class _Run:
    ask: Ask
    look: Look
    journal: Journal
    pace: Pace
    sleep: Sleep
    plan_id: str
    done: list[str] = field(default_factory=list)
    well: list[str] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    batches: int = 0

    def check(self, batch: Sequence[Carrier]) -> None:
        """Wait until each device of a batch is back as it was and carries the list; note which are not."""
        waited = 0.0
        while True:
            now = self.look(batch)
            wrong = {item.mac: _unhealthy(item, now.get(item.mac)) for item in batch}
            open_ones = {mac: finding for mac, finding in wrong.items() if finding is not None}
            if not open_ones or waited >= self.pace.settle:
                break
            self.sleep(POLL_SECONDS)
            waited += POLL_SECONDS
        self.done += [item.mac for item in batch if item.mac not in open_ones]
        self.failed += [(mac, finding.message) for mac, finding in open_ones.items()]
        self.findings += list(open_ones.values())

    def ask_all(self, batch: Sequence[Carrier]) -> list[Carrier]:
        """Send the re-authentications of a batch and return the devices of those that were taken."""
        taken = []
        for item in batch:
            try:
                accepted, reason = self.ask(item), "ISE says that the switch did not take it"
            except FindingError as error:
                accepted, reason = False, error.findings[0].message
            if accepted:
                taken.append(item)
            else:
                finding = codes.REAUTH_REFUSED.at(f"{_place(item)}: {reason}")
                self.failed.append((item.mac, finding.message))
                self.findings.append(finding)
        return taken


def reauthenticate(
    carriers: Sequence[Carrier],
    ask: Ask,
    look: Look,
    journal: Journal,
    pace: Pace,
    *,
    held: Held | None = None,
    begun: Mapping[str, str] | None = None,
    known: Collection[Carrier] = (),
    plan_id: str = "",
    closed: Callable[[], list[Finding]] | None = None,
    sleep: Sleep,
) -> Reauthentication:
    """Re-authenticate the sessions of ``carriers`` batch by batch and return what was done; stop at the first batch that is not well.

    Least critical devices go first. ``begun`` names devices that an interrupted run left unchecked or a failed one left unwell
    (``unfinished``), found among ``known``: they are looked at before anything else is touched, but those that are held.
    A device counts as well when its session is back, authorized, has
    the same address and carries the approved list. ``closed`` is asked before each batch and ends the run with the findings it returns.
    """
    rules = held or Held()
    reasons = {item.mac: rules.why(item) for item in carriers}
    free = sorted(
        (item for item in carriers if not reasons[item.mac]),
        key=lambda item: (_rank(item.wanted.criticality), item.switch, item.mac),
    )
    kept = tuple((item.mac, reasons[item.mac]) for item in carriers if reasons[item.mac])
    run = _Run(ask, look, journal, pace, sleep, plan_id)
    if begun:
        _look_at_interrupted(run, begun, [item for item in known if not rules.why(item)])
    size = max(1, pace.batch)
    batches = [free[start : start + size] for start in range(0, len(free), size)]
    while batches and not run.failed:
        if run.batches:
            sleep(pace.pause)
        if closed is not None and (shut := closed()):
            run.findings += shut
            break
        batch = batches.pop(0)
        run.batches += 1
        journal.append(
            "reauth_batch_started",
            plan_id=plan_id,
            batch=run.batches,
            devices=[{"mac": item.mac, "address": item.address, "list": item.wanted.name} for item in batch],
        )
        run.check(run.ask_all(batch))
        if not run.failed:
            journal.append(
                "reauth_batch_done", plan_id=plan_id, batch=run.batches, devices=[item.mac for item in batch]
            )
        show = SHOW.get()
        if show is not None:
            show(f"re-authentication: batch {run.batches}, {len(run.done)} of {len(free)} devices carry the new list")
    left = tuple(item.mac for batch in batches for item in batch)
    if run.failed:
        journal.append(
            "reauth_stopped",
            plan_id=plan_id,
            failed=[{"mac": mac, "reason": why} for mac, why in run.failed],
            well=[*run.well, *run.done],
            left=list(left),
        )
        text = (
            f"{len(run.failed)} devices are not well, {len(run.done)} carry the new list, {len(left)} were not touched"
        )
        run.findings.append(codes.REAUTH_STOPPED.at(text))
    if kept:
        run.findings.append(codes.REAUTH_HELD.at(f"{len(kept)} devices are held and keep the old list until released"))
    return Reauthentication(tuple(run.done), kept, tuple(run.failed), left, run.batches, tuple(run.findings))


def _look_at_interrupted(run: _Run, begun: Mapping[str, str], known: Collection[Carrier]) -> None:
    """Check that devices of an earlier batch have a session and a list; those with the old list are done again.

    A device that was asked carried a list before: one without, or with another, was not mended.
    """
    batch = [replace(item, address=begun[item.mac]) for item in known if item.mac in begun]
    now = run.look(batch) if batch else {}
    for item in batch:
        present = now.get(item.mac)
        finding = _unhealthy(item, present, with_list=False)
        if finding is None:
            run.well.append(item.mac)
        else:
            run.failed.append((item.mac, finding.message))
            run.findings.append(finding)
    if batch and not run.failed:
        run.journal.append("reauth_batch_done", plan_id=run.plan_id, batch=0, devices=[item.mac for item in batch])


def _unhealthy(before: Carrier, now: Carrier | None, with_list: bool = True) -> Finding | None:
    """Return what is wrong with a device after its re-authentication, None where all is well."""
    place = _place(before)
    if now is None or now.state == ABSENT:
        return codes.REAUTH_NOT_BACK.at(f"{place}: no session")
    if now.state == UNAUTHORIZED:
        return codes.REAUTH_UNAUTHORIZED.at(place)
    if before.address and now.address != before.address:
        return codes.REAUTH_OTHER_ADDRESS.at(f"{place}: had {before.address}, has {now.address or 'none'}")
    if now.state not in ((APPROVED, CURRENT) if with_list else (APPROVED, CURRENT, OLD)):
        return codes.REAUTH_WITHOUT_LIST.at(f"{place}: {now.wanted.name} is {now.state}: {now.reason}")
    return None


def _place(item: Carrier) -> str:
    where = f" at {item.switch} {item.interface}".rstrip() if item.switch else ""
    return f"{item.wanted.target}: {item.device or item.mac}{where}"


def _rank(criticality: str) -> int:
    """Return the place of a criticality in the order; unknown words count as the highest."""
    order = tuple(reversed(CRITICALITIES))
    return order.index(criticality) if criticality in order else len(order)
