# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A session on paper: what would be typed at a Nexus switch is kept, and applied to a copy of its configuration; nothing is sent.

Check mode carries out the very code of apply over it, so what it shows is what apply types. Questions go to the switch itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nxos_config import (
    COMMANDS,
    UNKNOWN_SECONDS,
    NxosState,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nxos_session import NxosSession

_LIST = re.compile(r"\A(no )?(ip|ipv6) access-list (\S+)\Z")
_GROUP = re.compile(rf"\A(no )?({'|'.join(COMMANDS)}) (\S+) (in|out)\Z")
_JOB = re.compile(r"\A(no )?scheduler (job|schedule) name (\S+)\Z")
_BELOW_SCHEDULE = ("job name ", "time start ")


class PaperSession(NxosSession):
    """A session whose lines go nowhere. ``typed``: every line in order, with the words that begin and end configuration."""

    def __init__(self, session: NxosSession, state: NxosState) -> None:
        self.spec, self.lines, self.typed = session.spec, 0, list[str]()
        self._asked, self._state = session, state
        self._managed: bool | None = None
        self._waiting = session.left_behind()
        self._session_lines: list[str] | None = None

    def show(self, text: str, seconds: float = 0.0) -> str:
        """Return what the switch itself says now."""
        return self._asked.show(text, seconds)

    def state(self) -> NxosState:
        """Return the configuration as it would be."""
        return self._state.beside(self.claim)

    def peer(self) -> str:
        """Return our own address, see NxosSession."""
        return self._asked.peer()

    def device(self) -> str:
        """Return the device's address, see NxosSession."""
        return self._asked.device()

    def close(self) -> None:
        """Nothing is open; the switch's own session goes on."""

    def left_behind(self) -> bool | None:
        """Return whether a configuration session of ours would wait; None where there is no Session Manager."""
        return self._waiting

    def _command(self, text: str, seconds: float = 0.0) -> str:
        self.typed.append(text)
        if text.startswith("configure session "):
            self._session_lines = []
        elif text in ("commit", "abort"):
            if text == "commit":
                self._state = applied(self._state, self._session_lines or ())
            self._session_lines, self._waiting = None, False
        return {"verify": "Verification Successful", "commit": "Commit Successful"}.get(text, "Copy complete")

    def _type(self, lines: Sequence[str]) -> None:
        self.typed += lines
        if self._session_lines is not None:
            self._session_lines += lines
        else:
            self._state = applied(self._state, lines)

    def _enter(self) -> None:
        self.typed.append("configure terminal")

    def _leave(self) -> None:
        self.typed.append("end")


def applied(state: NxosState, lines: Sequence[str]) -> NxosState:
    """Return the configuration after our own lines; FindingError SW4470 for one that this target never types.

    Lists hold their lines as typed: numbers and spelling of the switch differ, which changes no meaning.
    """
    lists, families, groups = dict(state.lists), dict(state.families), dict(state.groups)
    jobs, scheduler, waits = list(state.way_back), state.scheduler, dict(state.waits)
    acl = interface = block = name = ""
    for line in lines:
        listed, group, job = _LIST.match(line), _GROUP.match(line), _JOB.match(line)
        if block == "job":
            block = "" if line == "end-job" else block
        elif listed:
            acl, interface, block = "", "", ""
            if listed[1]:
                lists.pop(listed[3], None)
                families.pop(listed[3], None)
            else:
                acl = listed[3]
                lists.setdefault(acl, ())
                families[acl] = 6 if listed[2] == "ipv6" else 4
        elif line.startswith("interface "):
            acl, interface, block = "", line.split()[1], ""
        elif group and interface:
            place = interface, group[4], group[2]
            if group[1]:
                groups.pop(place, None)
            else:
                groups[place] = group[3]
        elif job:
            acl, interface, block, name = "", "", "" if job[1] else job[2], job[3]
            if job[2] == "schedule":
                waits.pop(name, None)
            jobs = [each for each in jobs if each != (job[2], job[3])] + ([] if job[1] else [(job[2], job[3])])
        elif line in ("feature scheduler", "no feature scheduler"):
            scheduler = not line.startswith("no ")
            jobs, waits = (jobs, waits) if scheduler else ([], {})
        elif acl:
            lists[acl] += (line,)
        elif block != "schedule" or not line.startswith(_BELOW_SCHEDULE):
            raise FindingError(codes.NOT_FORESEEN.at(f"{line[:80]!r}"))
        elif line.startswith("time start "):
            waits[name] = UNKNOWN_SECONDS
    return replace(
        state, lists=lists, families=families, groups=groups, way_back=tuple(jobs), scheduler=scheduler,
        waits=tuple(waits.items()),
    )  # fmt: skip
