# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A session on paper: what would be typed at an ASA is kept, and applied to a copy of its configuration; nothing is sent.

Check mode carries out the very code of apply over it, so what it shows is what apply types. Questions go to the firewall itself, but
for ``packet-tracer`` and the table of connections: they would answer for the list that is in force now.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.asa_config import GLOBAL, AsaState, applet_line
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.asa_session import EDIT, AsaSession
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ways_back import WayBack

_ENTRY = re.compile(r"\Aaccess-list (\S+) (.+)\Z")
_GROUP = re.compile(r"\A(no )?access-group (\S+) (?:(in|out) interface (\S+)|global)\Z")
_APPLET = re.compile(r"\A(no )?event manager applet (\S+)\Z")
_CLEAR = re.compile(r"\Aclear configure access-list (\S+)\Z")
_OTHERS = re.compile(rf"(?m)^config-session (?!{EDIT} )")
MOST = 3  # configuration sessions at once (ASA CLI guide, "Configuration sessions")
_BELOW_APPLET = ("description ", "action ", "output none", "event timer ")
# What only the list in force can tell.
_LATER = {
    each.number for each in (codes.ASA_NO_TRACE, codes.ASA_CONNECTIONS_CLEARED, codes.ASA_CONNECTIONS_GO_ON)
}  # fmt: skip


class PaperAsaSession(AsaSession):
    """A session whose lines go nowhere. ``typed``: every line in order, with the words that begin and end configuration."""

    def __init__(self, session: AsaSession, state: AsaState) -> None:
        self.spec, self.lines, self.typed = session.spec, 0, list[str]()
        self._asked, self._state = session, state
        self._listed = session.edits()
        self._edited: list[str] | None = None
        self._in_context = bool(session.context())

    def show(self, text: str, seconds: float = 0.0) -> str:
        """Return what the firewall itself says now; nothing where the change itself would be asked about."""
        return "" if text.startswith(("packet-tracer ", "show conn")) else self._asked.show(text, seconds)

    def state(self) -> AsaState:
        """Return the configuration as it would be."""
        return self._state

    def context(self) -> str:
        """Return the context of the session, see AsaSession."""
        return self._asked.context()

    def close(self) -> None:
        """Nothing is open; the firewall's own session goes on."""

    def edits(self) -> str | None:
        """Return the configuration sessions that would wait, see AsaSession."""
        return self._listed

    def _run(self, text: str, seconds: float) -> str:
        if text.startswith("configure session ") and (
            self._listed is None or len(_OTHERS.findall(self._listed)) >= MOST
        ):
            return "ERROR: no configuration session"
        if text.startswith("event manager applet ") and self._in_context:
            return "ERROR: no event manager"
        self.typed.append(text)
        if text.startswith("clear configuration session "):
            self._listed = ""
        elif text.startswith("configure session "):
            self._edited = []
        elif text == "commit noconfirm":
            self._state, self._edited = applied(self._state, self._edited or ()), None
        elif self._edited is not None:
            self._edited.append(text)
        elif text not in ("configure terminal", "end", "write memory"):
            self._state = applied(self._state, [text])
        return "[OK]"


def applied(state: AsaState, lines: Sequence[str]) -> AsaState:
    """Return the configuration after our own lines; FindingError SW4470 for one that this target never types."""
    lists, groups = dict(state.lists), dict(state.groups)
    ways = {way.name: way for way in state.ways_back}
    for line in lines:
        entry, group, applet, cleared = (each.match(line) for each in (_ENTRY, _GROUP, _APPLET, _CLEAR))
        if entry:
            lists[entry[1]] = (*lists.get(entry[1], ()), entry[2])
        elif group:
            place = (group[4], group[3]) if group[3] else GLOBAL
            if group[1]:
                groups.pop(place, None)
            else:
                groups[place] = group[2]
        elif applet:
            ways.pop(applet[2], None)
            if not applet[1]:
                ways[applet[2]] = WayBack(applet[2])
        elif cleared:  # a list takes its attachments along
            lists.pop(cleared[1], None)
            groups = {place: name for place, name in groups.items() if name != cleared[1]}
        elif ways and line.startswith(_BELOW_APPLET):  # of the applet that was typed last
            name, way = ways.popitem()
            ways[name] = applet_line(way, line)
        else:
            raise FindingError(codes.NOT_FORESEEN.at(f"{line[:80]!r}"))
    return replace(state, lists=lists, groups=groups, ways_back=tuple(ways.values()))


def foreseen(found: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return the findings of a rehearsal without those that only the change itself can tell."""
    return tuple(each for each in found if each.code not in _LATER)
