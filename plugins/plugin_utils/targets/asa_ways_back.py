# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an ASA says of the ways back that stand armed on it: an applet stays in the configuration after it has struck."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.asa_session import AsaSession
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ways_back import (
    WayBack,
    left_behind,
    told_over,
)

COMMAND = "show event manager"
# "event manager applet NAME, hits ..." and, below it, "event countdown 60 secs, left 0 secs, ..." (ASA command reference).
_NAME = re.compile(r"\Aevent manager applet ([^\s,]+),")
_LEFT = re.compile(r"\A\s+event countdown \d+ secs, left 0 secs, hits [1-9]")


def judged(session: AsaSession, ways: Sequence[WayBack]) -> tuple[WayBack, ...]:
    """Return ways back with what the firewall says of their time; asked only where one may be somebody else's.

    Where it does not tell, a way back counts as one that may strike.
    """
    if all(left_behind(way, session.spec.name) for way in ways):
        return tuple(ways)
    try:
        shown = session.show(COMMAND)
    except FindingError as error:
        if any(finding.code == codes.SESSION_LOST.number for finding in error.findings):
            raise
        return tuple(ways)
    applet, over = "", set[str]()
    for line in shown.splitlines():
        if found := _NAME.match(line):
            applet = found[1]
        elif _LEFT.match(line):
            over.add(applet)
    return tuple(told_over(way) if way.name in over else way for way in ways)
