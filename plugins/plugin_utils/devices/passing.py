# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a port lets through before authentication, while no RADIUS server answers, and after a restart of its switch. Pure.

Told for every port, in words that a ward or a plant understands, since a wrong deny cuts a device off (docs/devices-readiness.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.devices import codes

EVERYTHING, NOTHING, LIST = "everything", "nothing", "list"
# Without these a list or cell never takes effect, or cannot be taken back from a session: enforcement is not offered.
BLOCKING = (
    codes.NOT_AUTHENTICATING.number,
    codes.NO_AUTHORIZATION.number,
    codes.NO_TRACKING.number,
    codes.NO_COA.number,
    codes.NO_ENFORCEMENT.number,
    codes.NO_OVERRIDE.number,
)


@dataclass(frozen=True)
class PortReadiness:
    """One port. The three texts say what a device may send; ``outcome`` is that for a device without a session while no server answers:
    everything, nothing, or list. ``missing`` are codes of findings that concern the port."""

    interface: str
    vlan: int
    mode: str
    before: str
    unreachable: str
    outcome: str
    standing: str
    reload: str
    missing: tuple[str, ...] = ()

    @property
    def ready(self) -> bool:
        """Return whether nothing stands against enforcement here."""
        return not set(self.missing) & set(BLOCKING)


def what_passes(
    port: Mapping[str, Any], lists: Mapping[str, int] | None, tags: Sequence[str] | None = None
) -> PortReadiness:
    """Return a port's answer. ``lists``: entries of each list on the switch, None where they were not read; ``tags``: the lists of the
    local default cell where cells are enforced, None where they are not."""
    outcome, static = _static(port, lists)
    name, vlan = port["interface"], port["vlan"]
    if not port["style"]:
        text = f"{static}: the port authenticates nobody"
        return PortReadiness(name, vlan, "none", text, text, outcome, text, text)
    if port["open"]:
        before, before_outcome = static, outcome
    else:
        extra = "" if port["access_list"] else " and DHCP"
        before, before_outcome = f"nothing passes but authentication itself{extra}", NOTHING
    critical = port["critical"]
    if critical["action"]:
        where = f" in VLAN {critical['vlan']}" if critical["vlan"] else ""
        if critical["access_list"]:
            outcome, static = LIST, f"what the list {critical['access_list']} of the critical template permits passes"
        unreachable = f"the device is let in{where} without its downloaded list and tag: {static}"
    elif port["open"]:
        outcome, unreachable = before_outcome, f"the device stays unauthenticated: {before}"
    else:
        outcome, unreachable = NOTHING, "the device is cut off: nothing passes but authentication itself"
    reload = f"every session begins anew; while no server answers: {unreachable}{_tags_after(tags)}"
    mode = "open" if port["open"] else "closed"
    return PortReadiness(name, vlan, mode, before, unreachable, outcome, _standing(port, critical), reload)


def _static(port: Mapping[str, Any], lists: Mapping[str, int] | None) -> tuple[str, str]:
    """Return what a port's own list lets through: an outcome and a sentence. A list that is not there, or empty, permits everything."""
    name = port["access_list"]
    if not name:
        return EVERYTHING, "everything passes"
    if lists is not None and not lists.get(name):
        return EVERYTHING, f"everything passes, since the static list {name} is not there or empty"
    return LIST, f"what the static list {name} permits passes"


def _standing(port: Mapping[str, Any], critical: Mapping[str, Any]) -> str:
    """Return what becomes of a session that stands when the servers go silent."""
    if critical["action"] == "reinitialize":
        return "it begins anew at once, as a device without a session"
    if port["style"] == "ibns2" and critical["pause"]:
        return "it keeps its list and tag: re-authentication pauses"
    if port["reauthentication"] or port["style"] == "ibns2":
        return "it keeps its list and tag until it is re-authenticated, then as a device without a session"
    return "it keeps its list and tag until the link goes down or ISE ends it"


def _tags_after(tags: Sequence[str] | None) -> str:
    if tags is None:
        return ""
    if tags:
        return f"; between tags the local default {', '.join(tags)} decides until policies are downloaded"
    return "; between tags everything passes until policies are downloaded"
