# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults at a chosen command: what happens when a line that matches is typed for the n-th time.

refuse        the line is refused, nothing of it is done
drop_before   the connection is gone, the line was not carried out
drop_after    the connection is gone, the line was carried out
hang_before   the session says nothing any more, the line was not carried out
hang_after    the same, the line was carried out
reload        the switch reloads instead
tcam_full     the hardware has no free entry from now on
admin         another administrator types ``lines`` just before
abort         another administrator ends every configuration session just before
call          ``call`` is called just before (a test kills its controller so)
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

KINDS = frozenset(
    (
        "refuse",
        "drop_before",
        "drop_after",
        "hang_before",
        "hang_after",
        "reload",
        "tcam_full",
        "admin",
        "abort",
        "call",
    )
)


@dataclass
class Strike:
    """One fault: kind, the command as a regular expression, at which of its occurrences (from 1), and what else the kind needs."""

    kind: str
    command: str
    occurrence: int = 1
    lines: tuple[str, ...] = ()
    text: str = "ERROR: Operation failed, please try again later"
    call: Callable[[], None] | None = None
    seen: int = 0
    struck: bool = False

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown strike {self.kind!r}")

    def hits(self, line: str) -> bool:
        """Return whether this line is the one; every matching line counts."""
        if self.struck or not re.search(self.command, line.strip()):
            return False
        self.seen += 1
        self.struck = self.seen == self.occurrence
        return self.struck
