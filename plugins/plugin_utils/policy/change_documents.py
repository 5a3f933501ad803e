# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""approvers.yml and calendar.yml: who approves a change, and when it may be made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.yaml_io import Document
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Window

EVERY_ZONE = "all"


@dataclass(frozen=True)
class Approvers:
    """Who may approve.

    ``teams``: people by owner; ``site``: the team for what belongs to no zone; ``least``: number of people by criticality;
    ``risk``: by what a change does (policy/change_risk.py).
    """

    teams: Mapping[str, tuple[str, ...]] = field(hash=False)
    site: str
    least: Mapping[str, int] = field(default_factory=dict, hash=False)
    forges: tuple[str, ...] = ()
    exporters: tuple[str, ...] = ()
    location: Location = Location()
    risk: Mapping[str, int] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class ChangeWindow:
    """A weekly time for changes of some zones (EVERY_ZONE for all).

    ``first`` and ``last``, YYYY-MM-DD, bound the days on which it begins.
    """

    id: str
    zones: tuple[str, ...]
    window: Window
    first: str = ""
    last: str = ""
    description: str = ""
    location: Location = Location()

    def is_for(self, zone: str) -> bool:
        """Return whether it is a window of the zone."""
        return EVERY_ZONE in self.zones or zone in self.zones


@dataclass(frozen=True)
class Freeze:
    """A time without changes in some zones (EVERY_ZONE for all), from ``start`` to ``end``: YYYY-MM-DD or YYYY-MM-DD HH:MM, site time."""

    id: str
    zones: tuple[str, ...]
    start: str
    end: str
    reason: str
    owner: str
    location: Location = Location()

    def is_for(self, zone: str) -> bool:
        """Return whether it freezes the zone."""
        return EVERY_ZONE in self.zones or zone in self.zones


@dataclass(frozen=True)
class Calendar:
    """Windows and freezes of a site."""

    windows: tuple[ChangeWindow, ...]
    freezes: tuple[Freeze, ...] = ()
    location: Location = Location()


def approvers_of(document: Document) -> Approvers:
    """Return what a sound approvers.yml says. Principals are compared in lower case."""
    value = document.value
    return Approvers(
        {team: _lower(people) for team, people in sorted(value["teams"].items())},
        value["site"],
        dict(value.get("least", {})),
        _lower(value.get("forges", ())),
        _lower(value.get("exporters", ())),
        document.location("teams"),
        dict(value.get("risk", {})),
    )


def _lower(names: tuple[str, ...] | list[str]) -> tuple[str, ...]:
    return tuple(name.lower() for name in names)


def calendar_of(document: Document) -> Calendar:
    """Return what a sound calendar.yml says."""
    windows = tuple(
        ChangeWindow(
            item["id"],
            tuple(item["zones"]),
            Window(tuple(item["days"]), item["start"], item["end"]),
            item.get("from", ""),
            item.get("until", ""),
            item.get("description", ""),
            document.location("windows", index),
        )
        for index, item in enumerate(document.value["windows"])
    )
    freezes = tuple(
        Freeze(
            item["id"],
            tuple(item["zones"]),
            item["from"],
            item["until"],
            item["reason"],
            item["owner"],
            document.location("freezes", index),
        )
        for index, item in enumerate(document.value.get("freezes", ()))
    )
    return Calendar(windows, freezes, document.location("windows"))
