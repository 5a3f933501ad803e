# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Permissions that do not always hold, prepared emergency states, and what lists are compiled for: frozen values.

``model.py`` gives these names on; everybody takes them from there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Location

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
EXCEPTION_KINDS = ("exception", "vendor_access")
POSTURE_KINDS = ("isolate", "relax")
# For Situation.open_windows: every window is open, or none is.
ALL_OPEN = frozenset({"*"})
NONE_OPEN: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Window:
    """A recurring time of the week in the site's time zone. ``days`` are the days on which it begins.

    ``start`` and ``end`` are HH:MM, the end not included; an end at or before the start runs over midnight. 24:00 is the
    end of the day.
    """

    days: tuple[str, ...]
    start: str
    end: str


@dataclass(frozen=True)
class Conditions:
    """A rule holds only while all given parts hold: within one of the windows, while the posture is pulled."""

    windows: tuple[Window, ...] = ()
    posture: str = ""


@dataclass(frozen=True)
class Situation:
    """What lists are compiled for. The default is normal operation.

    ``day``: which exceptions and expiries hold (None: the day for which the site was loaded). ``open_windows``: ids of rules
    and exceptions whose window is open, or ALL_OPEN. ``postures``: ids of those that are pulled, in order of precedence.
    """

    day: date | None = None
    open_windows: frozenset[str] = ALL_OPEN
    postures: tuple[str, ...] = ()

    def is_open(self, rule: str) -> bool:
        """Return whether the window of a rule or exception, by its id, is open."""
        return self.open_windows == ALL_OPEN or rule in self.open_windows


NORMAL = Situation()


@dataclass(frozen=True)
class AccessException:
    """A permission for a limited time: an exception, or a vendor's access. Holds from ``valid_from`` through ``expires``.

    ``client`` names a segment, ``to`` a segment or network set, ``devices`` ids or names of the client's devices (() for
    all). The days are YYYY-MM-DD in the site's time zone.
    """

    id: str
    kind: str
    who: str
    client: str
    to: str
    services: tuple[str, ...]
    valid_from: str
    expires: str
    ticket: str
    owner: str
    reason: str
    devices: tuple[str, ...] = ()
    conditions: Conditions | None = None
    location: Location = Location()


@dataclass(frozen=True)
class Suspension:
    """A workflow that an isolation stops, with the consent of the workflow's owner; both days are YYYY-MM-DD.

    After ``expires`` the consent is void.
    """

    workflow: str
    consent_owner: str
    consent_date: str
    expires: str
    location: Location = Location()


@dataclass(frozen=True)
class Posture:
    """A prepared emergency state. Exactly one of ``segment`` and ``device`` is given.

    ``isolate`` takes away every permission from and to it but those of ``keeps`` (rule and workflow ids). ``relax`` lets the
    rules hold whose condition it is and, with ``opens`` ``all``, makes the segment's lists forward everything. An
    isolated device gets the tag ``sgt`` where one is given. ``ask_after_minutes``: when a relaxation asks whether it is still
    needed; 0 for an isolation, which never lapses by itself.
    """

    id: str
    kind: str
    owner: str
    reason: str
    segment: str = ""
    device: str = ""
    keeps: tuple[str, ...] = ()
    suspends: tuple[Suspension, ...] = ()
    opens: str = "rules"
    sgt: int | None = None
    ask_after_minutes: int = 0
    location: Location = Location()


@dataclass(frozen=True)
class Template:
    """A named list of rules with parameters, as written. ``{NAME}`` in a text of a rule stands for a parameter's value."""

    name: str
    parameters: tuple[str, ...]
    allow: tuple[Mapping[str, Any], ...] = field(hash=False)
    description: str = ""
    owner: str = ""
    location: Location = Location()
