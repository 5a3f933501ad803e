# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the devices of a ring do since it was changed, from the flow store; and whose turn it is."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.health import (
    HEALTHY,
    REGRESSED,
    Health,
    Talk,
    judge,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.rings import (
    DONE,
    SOAKING,
    Part,
    Progress,
    next_turn,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import address, store
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.operations.gate import FlowGate
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.operations.talks import WHOLE_DEVICE
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.ports import port_name
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Member, Site

pa = guarded("pyarrow")
HISTORY_DAYS = 14
# Packets that were under way while a list was swapped are no sign.
GRACE_SECONDS = 60
SHOWN = 10


@dataclass(frozen=True)
class Decision:
    """What this run of a rollout does: undo ``undo``, or go on with ``part``, or neither; and why."""

    part: Part | None = None
    undo: Part | None = None
    health: Health | None = None
    findings: tuple[Finding, ...] = ()


def decide(
    progress: Sequence[Progress], site: Site, data_dir: Path, now: datetime, *, blind: bool = False, engine: str = ""
) -> Decision:
    """Return what to do now. The ring that was changed last is judged whenever a rollout is run, also while it soaks.

    ``blind``: go on although nothing shows how its devices do. A sign of a regression counts in any case.
    """
    last = next((item for item in reversed(progress) if item.state in (SOAKING, DONE)), None)
    turn = next_turn(progress, now)
    if last is None or last.ended is None or any(finding.severity == "error" for finding in turn.findings):
        return Decision(turn.part, findings=turn.findings)
    health = ring_health(data_dir, site, last.part, last.ended, engine=engine)
    if health.state == REGRESSED:
        signs = [f"{sign.talk.name}: {sign.text}" for sign in health.signs]
        more = f"; {len(signs) - SHOWN} more" if signs[SHOWN:] else ""
        text = f"ring {last.part.id}: {'; '.join(signs[:SHOWN])}{more}"
        return Decision(None, last.part, health, (codes.RING_UNHEALTHY.at(text),))
    if health.state != HEALTHY and turn.part is not None:
        awaited = f"{len(health.awaited)} conversations are due and not seen yet: {', '.join(health.awaited[:3])}"
        text = f"ring {last.part.id}: {awaited if health.awaited else 'no flow of its devices is recorded since'}"
        return Decision(turn.part if blind else None, None, health, (codes.RING_UNSEEN.at(text), *turn.findings))
    return Decision(turn.part, None, health, turn.findings)


def ring_health(data_dir: Path, site: Site, part: Part, took_hold: datetime, *, engine: str = "") -> Health:
    """Return how the devices of a ring do since its steps were done, by the flows and denials of the store."""
    watched = watched_devices(site, part)
    devices = {device for device, _address in watched}
    moment = int(took_hold.timestamp() * 1_000_000)
    since = took_hold - timedelta(days=HISTORY_DAYS)
    if not watched or not store.stored_days(data_dir):
        return judge([], devices, took_hold.timestamp())
    names = dict(_names(site))
    with FlowGate(data_dir, since.isoformat(), engine=engine) as gate:
        rows = gate.talks(_table(watched), moment).to_pylist()
    denied = _denied(data_dir, took_hold + timedelta(seconds=GRACE_SECONDS), engine)
    return judge([_talk(row, moment, since, names, denied) for row in rows], devices, took_hold.timestamp())


def watched_devices(site: Site, part: Part) -> list[tuple[str, str]]:
    """Return (device, address) of a ring: of its segments, and of its targets those that are attached there; all where it names neither."""
    ring = next((ring for ring in site.rings if ring.id == part.id), None)
    named = {name for other in site.rings for name in other.segments}
    segments = set(ring.segments) if ring and ring.segments else set(site.members) - (set() if ring else named)
    members = [member for name in sorted(segments) for member in site.members.get(name, ())]
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


def _denied(data_dir: Path, since: datetime, engine: str) -> dict[tuple[int, ...], int]:
    """Return denied packets since a moment by client, server, protocol and port."""
    found: dict[tuple[int, ...], int] = {}
    with FlowGate(data_dir, since.isoformat(), engine=engine) as gate:
        for row in gate.denials().to_pylist():
            if row["target_hi"] is not None and row["source_hi"] is not None:
                key = (
                    row["source_hi"], row["source_lo"], row["target_hi"], row["target_lo"], row["protocol"], row["target_port"],
                )  # fmt: skip
                found[key] = found.get(key, 0) + int(row["packets"])
    return found


def _talk(
    row: Mapping[str, Any],
    moment: int,
    since: datetime,
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
        row["watched_until_us"] / 1e6,
        denied.get(key, 0),
    )
