# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the devices of a ring do since it was changed, from the flow store; and whose turn it is."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.health import (
    HEALTHY,
    REGRESSED,
    Health,
    Limits,
    Sign,
    Talk,
    ended_before,
    judge,
    well_known,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.ring_places import Limit, unit_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.rings import (
    DONE,
    FAILED,
    REST,
    RUNNING,
    SOAKING,
    UNDONE,
    Part,
    Progress,
    next_turn,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import address, store
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.operations.gate import FlowGate
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.operations.talks import WHOLE_DEVICE
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.ports import port_name
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import ExitCriteria, Member, Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.ring_counts import RingCounters
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.telemetry import Gaps, gaps_of

pa = guarded("pyarrow")
HISTORY_DAYS = 14
# Packets that were under way while a list was swapped are no sign.
GRACE_SECONDS = 60
# What was denied before, over more than a day, is a sign only at this many times the rate: working hours and weekends lie within.
USUAL_TIMES = 5
DAY_US = 86_400_000_000
SHOWN = 10


@dataclass(frozen=True)
class Decision:
    """What this run of a rollout does: undo ``undo``, or go on with ``part``, or neither; and why."""

    part: Part | None = None
    undo: Part | None = None
    health: Health | None = None
    findings: tuple[Finding, ...] = ()
    rings_left: bool = False  # others are to come although no step of theirs is left
    undo_plan: str = ""  # the plan that ``undo`` is a ring of, empty where it is the one that is carried out


def decide(
    progress: Sequence[Progress],
    site: Site,
    data_dir: Path,
    now: datetime,
    *,
    blind: bool = False,
    engine: str = "",
    earlier: Progress | None = None,
    lost: Callable[[Part], Sequence[str]] | None = None,
    counters: Callable[[Part], RingCounters] | None = None,
) -> Decision:
    """Return what to do now. The ring that was changed last is judged whenever a rollout is run, also while it soaks.

    ``blind``: go on although nothing shows how its devices do. A sign of a regression counts in any case. ``earlier``: a ring
    of a plan before this one, watched like its own. A ring that stopped in the middle is judged too, from when it began. Once all
    rings are done the last one is judged for HISTORY_DAYS: later silences are no longer the change's. ``lost`` is asked for the
    devices of a ring whose sessions were authorized before it was changed and are not now, ``counters`` for what its lists count.
    """
    turn = next_turn(progress, now)
    if earlier is not None and earlier.state in (SOAKING, DONE, UNDONE):
        before = next_turn((earlier,), now)
        turn = before if before.findings else turn
    if any(finding.severity == "error" for finding in turn.findings):
        return Decision(turn.part, findings=turn.findings)
    begun = [item for item in (earlier, *progress) if item is not None and item.began is not None]
    halted = [item for item in begun if item.state in (RUNNING, FAILED) and item.touched]
    last = max((item for item in begun if item.ended is not None), key=_ended, default=None)
    made: dict[Part, RingCounters] = {}

    def counts(part: Part) -> RingCounters | None:
        return made.setdefault(part, counters(part)) if counters else None

    def judged(item: Progress, took_hold: datetime) -> Health:
        return ring_health(
            data_dir, site, item.part, took_hold, now, engine=engine, lost=lost, counters=counts(item.part),
            first=item.first or item.began,
        )  # fmt: skip

    for item in halted:
        health = judged(item, item.began or now)
        if health.state == REGRESSED:
            return _back(item, health)
    if last is None or (turn.part is None and now - _ended(last) > timedelta(days=HISTORY_DAYS)):
        return Decision(turn.part, findings=turn.findings)
    health = judged(last, _ended(last))
    if health.state == REGRESSED:
        return _back(last, health)
    if health.retired:
        turn = replace(
            turn, findings=(*turn.findings, codes.RETIRED_BEFORE.at(f"ring {last.part.id}: {_told(health.retired)}"))
        )
    said = counts(last.part)
    if said is not None:
        turn = replace(turn, findings=(*turn.findings, *said.findings(health.heard)))
    if health.state != HEALTHY and turn.part is not None:
        awaited = f"{len(health.awaited)} conversations are due and not seen yet: {', '.join(health.awaited[:3])}"
        text = f"ring {last.part.id}: {awaited if health.awaited else 'no flow of its devices is recorded since'}"
        goes_on = blind or exit_of(site, last.part).unseen_goes_on
        return Decision(turn.part if goes_on else None, None, health, (codes.RING_UNSEEN.at(text), *turn.findings))
    return Decision(turn.part, None, health, turn.findings)


def _ended(item: Progress) -> datetime:
    return item.ended or datetime.min.replace(tzinfo=UTC)


def _back(item: Progress, health: Health) -> Decision:
    text = f"ring {item.part.id}: {_told(health.signs)}"
    return Decision(None, item.part, health, (codes.RING_UNHEALTHY.at(text),))


def _told(signs: Sequence[Sign]) -> str:
    shown = "; ".join(f"{sign.talk.name}: {sign.text}" for sign in signs[:SHOWN])
    return shown + (f"; {len(signs) - SHOWN} more" if signs[SHOWN:] else "")


def exit_of(site: Site, part: Part) -> ExitCriteria:
    """Return what has to be so before the ring after this one begins; what is usual where the policy does not say."""
    return next((ring.exit for ring in site.rings if ring.id == part.id), ExitCriteria())


def ring_health(
    data_dir: Path,
    site: Site,
    part: Part,
    took_hold: datetime,
    now: datetime,
    *,
    engine: str = "",
    lost: Callable[[Part], Sequence[str]] | None = None,
    counters: RingCounters | None = None,
    first: datetime | None = None,
) -> Health:
    """Return how the devices of a ring do since its steps were done, by the flows and denials of the store, by their sessions and lists.

    ``first``: when the first step that reaches them was written, ``took_hold`` where not given.
    """
    watched = watched_devices(site, part)
    devices = {device for device, _address in watched}
    moment = int(took_hold.timestamp() * 1_000_000)
    since = took_hold - timedelta(days=HISTORY_DAYS)
    names = dict(_names(site))
    out = [(device, names.get(device, device)) for device in (lost(part) if lost else ())]
    criteria = exit_of(site, part)
    limits = replace(Limits(), refused=criteria.refused, alarm=1.0 / criteria.one_alarm_in)
    if not watched or not store.stored_days(data_dir):
        return judge([], devices, took_hold.timestamp(), limits, unauthorized=out)
    touched = min(first or took_hold, took_hold)
    denied = _denied_anew(data_dir, since, took_hold, now, engine)
    began, before = took_hold.timestamp(), touched.timestamp()

    def talks_of(gate: FlowGate, ends: Sequence[tuple[str, str]]) -> list[tuple[Mapping[str, Any], Talk]]:
        rows = gate.talks(_table(ends), moment).to_pylist()
        quiet = {row["exporter"] for row in rows if _is_quiet(row, moment)}
        gaps = gaps_of(gate.activity(quiet).to_pylist()) if quiet else Gaps()
        made = (_talk(row, moment, since, now, names, denied) for row in rows)
        return [
            (row, _with_gaps(talk, row["exporter"], touched, took_hold, gaps))
            for row, talk in zip(rows, made, strict=True)
        ]

    with FlowGate(data_dir, since.isoformat(), engine=engine) as gate:
        found = talks_of(gate, watched)
        peers = _peers(found, began, before)
        whole = [talk for row, talk in talks_of(gate, peers) if row["server_port"] == WHOLE_DEVICE] if peers else []
    gone = {talk.device for talk in whole if well_known(talk) and ended_before(talk, began, before)}
    talks = [
        replace(_counted(talk, row, counters), peer_gone=not talk.flows and bool(gone & _ends(row)))
        for row, talk in found
    ]
    return judge(talks, devices, began, limits, unauthorized=out, touched=before)


def _ends(row: Mapping[str, Any]) -> set[str]:
    if row["server_port"] == WHOLE_DEVICE:
        return set()
    return {address.text_of(row[f"{end}_hi"], row[f"{end}_lo"]) for end in ("client", "server")}


def _peers(found: Sequence[tuple[Mapping[str, Any], Talk]], began: float, before: float) -> list[tuple[str, str]]:
    """Return both ends, as (address, address), of conversations that may have ended before the first write, unless they tell it."""
    doubtful = (
        row
        for row, talk in found
        if not talk.flows and well_known(talk) and before - talk.last > Limits().gone
        if not ended_before(talk, began, before)
    )
    return sorted({(text, text) for row in doubtful for text in _ends(row)})


def _is_quiet(row: Mapping[str, Any], moment: int) -> bool:
    """Return whether a conversation is quiet for longer than before the change, or was not seen since."""
    return not row["flows"] or row["watched_until_us"] - max(row["last_us"], moment) > row["longest_pause_us"]


def _with_gaps(talk: Talk, exporter: str, touched: datetime, took_hold: datetime, gaps: Gaps) -> Talk:
    """Return a conversation with the times in which its exporter showed nothing of anybody."""
    first = touched.timestamp()
    heard = min(first, talk.watched_until)
    return replace(
        talk,
        gap_before=gaps.within(exporter, talk.last, heard) + max(0.0, first - max(heard, talk.last)),
        gap_since=gaps.within(exporter, max(talk.last, took_hold.timestamp()), talk.watched_until),
    )


def watched_devices(site: Site, part: Part) -> list[tuple[str, str]]:
    """Return (device, address) of a ring: of its segments, and of its targets those that are attached there; all where it names neither.

    Of a ring that names devices, ports or places, those.
    """
    ring = next((ring for ring in site.rings if ring.id == part.id), None)
    if ring is None and part.id != REST:
        return []  # the ring of an earlier policy: nobody knows whose it was, so a person decides
    named = {name for other in site.rings if not other.limited for name in other.segments}
    segments = set(ring.segments) if ring and ring.segments else set(site.members) - (set() if ring else named)
    members = [member for name in sorted(segments) for member in site.members.get(name, ())]
    if ring and ring.limited:
        limit = Limit(ring, site)
        members = [m for name in sorted(segments) for m in site.members.get(name, ()) if limit.names(unit_of(name, m))]
    if ring and ring.targets:
        attached = [member for member in members if member.switch in ring.targets]
        members = attached or members  # of a firewall or an ISE no member says that it is attached there
    return sorted({(member.device, each) for member in members for each in member.addresses})


def _names(site: Site) -> Iterable[tuple[str, str]]:
    members: Iterable[Member] = (member for found in site.members.values() for member in found)
    return ((member.device, member.name or member.device) for member in members)


def _table(watched: Sequence[tuple[str, str]]) -> Any:
    seen: dict[tuple[int, int], str] = {}
    for device, text in watched:
        seen.setdefault(address.columns_of(ipaddress.ip_address(text)), device)
    return pa.table(
        {"hi": [key[0] for key in seen], "lo": [key[1] for key in seen], "device": list(seen.values())},
        schema=pa.schema([("hi", pa.int64()), ("lo", pa.int64()), ("device", pa.string())]),
    )


def _denied_anew(
    data_dir: Path, since: datetime, took_hold: datetime, now: datetime, engine: str
) -> dict[tuple[int, ...], int]:
    """Return packets denied since a change, without what was denied as often before it: that is not the change's doing."""
    start = took_hold + timedelta(seconds=GRACE_SECONDS)
    before = _denied(data_dir, since, took_hold, engine)
    found = {}
    for key, (packets, _first, _last) in _denied(data_dir, start, None, engine).items():
        old, first, last = before.get(key, (0, 0, 0))
        usual = 0.0
        if last - first > DAY_US:
            usual = old * max(0.0, (now - start).total_seconds()) * 1e6 / (took_hold.timestamp() * 1e6 - first)
        if packets > USUAL_TIMES * usual:
            found[key] = packets
    return found


def _denied(
    data_dir: Path, since: datetime, until: datetime | None, engine: str
) -> dict[tuple[int, ...], tuple[int, int, int]]:
    """Return denied packets of a time, with their first and last moment, by client, server, protocol and port."""
    found: dict[tuple[int, ...], tuple[int, int, int]] = {}
    with FlowGate(data_dir, since.isoformat(), until.isoformat() if until else None, engine=engine) as gate:
        for row in gate.denials().to_pylist():
            if row["target_hi"] is not None and row["source_hi"] is not None:
                key = (
                    row["source_hi"], row["source_lo"], row["target_hi"], row["target_lo"], row["protocol"], row["target_port"],
                )  # fmt: skip
                packets, first, last = found.get(key, (0, row["first_us"], row["last_us"]))
                found[key] = (
                    packets + int(row["packets"]), min(first, row["first_us"]), max(last, row["last_us"]),
                )  # fmt: skip
    return found


def _talk(
    row: Mapping[str, Any],
    moment: int,
    since: datetime,
    now: datetime,
    names: Mapping[str, str],
    denied: Mapping[tuple[int, ...], int],
) -> Talk:
    ends = [address.text_of(row[f"{end}_hi"], row[f"{end}_lo"]) for end in ("client", "server")]
    name = names.get(row["device"], row["device"])
    if row["server_port"] != WHOLE_DEVICE:
        name += f" ({ends[0]} to {ends[1]} {port_name(row['protocol'], row['server_port'])})"
    key = tuple(row[each] for each in ("client_hi", "client_lo", "server_hi", "server_lo", "protocol", "server_port"))
    return Talk(
        name,
        row["device"],
        row["seen"],
        row["answered"],
        row["days"],
        row["longest_pause_us"] / 1e6,
        (moment - max(row["first_us"], int(since.timestamp() * 1e6))) / 1e6,
        row["flows"],
        row["unanswered"],
        row["recent_unanswered"],
        row["last_us"] / 1e6,
        # A single record with an end in the future would make everybody silent.
        min(row["watched_until_us"] / 1e6, now.timestamp()),
        denied.get(key, 0),
    )


def _counted(talk: Talk, row: Mapping[str, Any], counters: RingCounters | None) -> Talk:
    """Return a conversation with what the entry that refuses it counted; one that goes on is not looked for."""
    if counters is None or row["server_port"] == WHOLE_DEVICE or not talk.doubtful:
        return talk
    client, server = (address.text_of(row[f"{end}_hi"], row[f"{end}_lo"]) for end in ("client", "server"))
    count, where = counters.refusal(client, server, row["protocol"], row["server_port"])
    return replace(talk, counted=count, counted_by=where) if count else talk
