# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of an ASA before anything is written: is this the unit and context to write to, is there room, what else filters."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.asa_config import GLOBAL, AsaState, Place
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.asa_session import AsaSession

# An entry takes at least 212 bytes of memory (Cisco's figure for ASA); five times that for the compiled rule beside the old one.
ENTRY_BYTES = 1060
LEAST_FREE = 0.05  # of the memory


def unit_findings(session: AsaSession) -> list[Finding]:
    """Return errors for a standby unit and for a context that the inventory does not name."""
    spec = session.spec
    mode = re.search(r"(?m)^Security context mode:\s*(\w+)", session.show("show mode"))
    if mode is None:
        raise FindingError(codes.BAD_ANSWER.at(f"{spec.name}: show mode says no mode"))
    if mode[1] == "multiple":
        here = session.context()
        if not here or here != spec.context:
            where = f"context {here}" if here else "the system execution space"
            return [
                codes.ASA_CONTEXT.at(
                    f"{spec.name}: the login leads to {where}, the inventory names {spec.context or 'none'}"
                )
            ]
    this = re.search(r"(?m)^\s*This host:\s*(?:\S+ )?- (.*?)\s*$", session.show("show failover"))
    if this and not this[1].startswith("Active"):
        return [codes.ASA_STANDBY.at(f"{spec.name}: this unit is {this[1]}")]
    return []


def capacity_findings(session: AsaSession, entries: int) -> list[Finding]:
    """Return a warning where the free memory is not told; FindingError SW4443 where old and new do not fit in beside each other."""
    text = session.show("show memory")
    free = re.search(r"(?m)^Free memory:\s+(\d+) bytes", text)
    total = re.search(r"(?m)^Total memory:\s+(\d+) bytes", text)
    name = session.spec.name
    if free is None or total is None:
        return [codes.ASA_CAPACITY.at(f"{name}: show memory says no figures").with_severity("warning")]
    needed = entries * ENTRY_BYTES
    left = int(free[1]) - needed
    if left < int(total[1]) * LEAST_FREE:
        text = f"{name}: {entries} entries need about {needed} bytes, of {free[1]} free {max(left, 0)} would be left"
        raise FindingError(codes.ASA_CAPACITY.at(text))
    return []


def state_findings(target: str, state: AsaState, places: Sequence[Place]) -> list[Finding]:
    """Return warnings for what stands beside our lists and decides before them, or slows a change."""
    found = []
    if not state.transactional and places:
        found.append(codes.ASA_NOT_TRANSACTIONAL.at(target))
    if GLOBAL in places:
        for (interface, direction), name in sorted(state.groups.items()):
            if direction == "in":
                found.append(codes.ASA_INTERFACE_LIST.at(f"{target}: {name} on {interface}"))
    if state.unusual:
        found.append(codes.ASA_TO_THE_BOX.at(f"{target}: {'; '.join(state.unusual)[:200]}"))
    return found
