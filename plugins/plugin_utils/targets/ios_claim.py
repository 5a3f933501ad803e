# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run's claim on an IOS switch: an applet whose only action is to take itself away when its time is over (``ways_back.py``).

It is never saved, and needs what the applet of a way back needs: a switch without applets cannot be claimed.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field, replace

from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_change import applet_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_config import IosState, read_config
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_session import IosSession
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ways_back import (
    CLAIM,
    WayBack,
    own_name,
    own_words,
)

# Claims and ways back of anybody with their times, the names of our lists, and which are attached: all that is read before typing.
LOOK = (
    "show running-config | include ^event manager applet |^ event timer countdown |^ip access-list extended SW_"
    "|^ipv6 access-list SW_|^ ip access-group SW_|^ ipv6 traffic-filter SW_"
)
_ATTACHED = re.compile(r"(?m)^ (?:ip access-group|ipv6 traffic-filter) (SW_\S+) (?:in|out)\s*$")


@dataclass(frozen=True)
class Seen:
    """What one look shows: claims and ways back, our lists by name, and the names that interfaces have attached."""

    ways: tuple[WayBack, ...]
    lists: frozenset[str]
    attached: frozenset[str]


def claim_lines(seconds: int) -> tuple[str, ...]:
    """Return the lines of a claim that stands for some seconds; the timer is the last, as in every applet of ours."""
    name = own_name(CLAIM)
    typed = ("enable", "configure terminal", f"no event manager applet {name}", "end")
    return (
        f"event manager applet {name} authorization bypass",
        f'action 1000 syslog msg "{CLAIM}: its time is over; claimed {own_words()}"',
        *(f'action {1001 + number} cli command "{line}"' for number, line in enumerate(typed)),
        f"event timer countdown time {seconds} maxrun 60",
    )


def look(session: IosSession) -> Seen:
    """Return what stands on a switch now of what concerns a run that is about to type."""
    text = session.show(LOOK)
    state = read_config(text)
    return Seen(state.ways_back, frozenset(state.lists), frozenset(_ATTACHED.findall(text)))


@dataclass
class Claim:
    """Our claim on one switch. ``name``: it was typed, wholly or in part; ``stands``: it was there, whole, at the last reading."""

    name: str = ""
    stands: bool = False
    _until: float = field(default=0.0, init=False)

    def begun(self, lines: tuple[str, ...], seconds: int) -> None:
        """Note that its lines are being typed."""
        self.name, self.stands, self._until = applet_of(lines), False, time.monotonic() + seconds

    def lasts(self, seconds: int) -> bool:
        """Return whether it stood at the last reading, and stands for at least half of so many seconds."""
        return self.stands and time.monotonic() + seconds / 2 < self._until

    def seen(self, ways: tuple[WayBack, ...]) -> tuple[WayBack, ...]:
        """Note whether it is among what was read, and return the others."""
        if not self.name:
            return ways
        self.stands = any(way.name == self.name and way.seconds for way in ways)
        return tuple(way for way in ways if way.name != self.name)

    def without(self, state: IosState) -> IosState:
        """Note whether it stands in a configuration, and return that without it: what is ours is in nobody's way."""
        ways = self.seen(state.ways_back)
        return state if ways == state.ways_back else replace(state, ways_back=ways)

    def gone(self) -> None:
        """Note that it was taken away, or is left to its time."""
        self.name, self.stands = "", False
