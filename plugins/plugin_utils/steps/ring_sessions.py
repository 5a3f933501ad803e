# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the devices of a ring are still authorized on their switches: kept before the ring is changed, read again when it is judged."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import Journal
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.rings import Part
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.enforced import switch_specs
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.rollout import watched_devices
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_enforced import read_switches

EVENT = "ring_sessions"
# An authentication that goes on is not lost yet: RADIUS time-outs and a second method take some seconds.
AGAIN_SECONDS = 15.0
# No list is called so; the switches are asked for sessions only.
NO_LIST = frozenset(("no list",))


def authorized_sessions(values: Mapping[str, Any], variables: Mapping[str, Any]) -> dict[str, bool]:
    """Return for each MAC with a session on a switch of the play whether one of its sessions is authorized."""
    specs, _notes = switch_specs(values, variables)
    found: dict[str, bool] = {}
    for item in read_switches(specs, NO_LIST, ())[0] if specs else ():
        for mac, session in item.view.sessions.items():
            found[mac] = found.get(mac, False) or session.authorized
    return found


def keep_sessions(
    journal: Journal, plan_id: str, site: Site, part: Part, values: Mapping[str, Any], variables: Mapping[str, Any]
) -> None:
    """Write into the journal which devices of a ring are authorized before it is changed; nothing where no session shows."""
    devices = {device for device, _address in watched_devices(site, part)}
    seen = authorized_sessions(values, variables)
    authorized = sorted(device for device in devices if seen.get(device))
    if authorized:
        journal.append(EVENT, plan_id=plan_id, ring=part.id, authorized=authorized)


def kept_sessions(entries: Sequence[Mapping[str, Any]], part: Part) -> set[str]:
    """Return which devices of a ring were authorized before it was changed the last time, as the journal has it."""
    found: set[str] = set()
    for entry in entries:
        if entry["event"] == EVENT and entry.get("ring") == part.id:
            found = found or {str(device) for device in entry.get("authorized") or ()}
        elif entry["event"] == "undo_done":
            found = set()  # what comes after is a change of its own
    return found


def lost_sessions(
    before: Collection[str], read: Callable[[], Mapping[str, bool]], wait: Callable[[float], None] = time.sleep
) -> tuple[str, ...]:
    """Return the devices that were authorized before and are not in two readings in a row; one without a session is not judged here."""
    if not before:
        return ()
    first = read()
    doubtful = {device for device in before if first.get(device) is False}
    if not doubtful:
        return ()
    wait(AGAIN_SECONDS)
    second = read()
    return tuple(sorted(device for device in doubtful if second.get(device) is False))
