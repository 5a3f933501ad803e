# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults that a switch can be told to show, each with a schedule.

kind            keys                        what happens
refuse_connect                              the connection is closed at once
refuse_auth                                 the right password is refused
wrong_enable                                the right enable secret is refused
slow_prompt     seconds                     every prompt comes late
line_delay      seconds                     every command takes this long
drop_after_lines  lines                     the session ends after that many configuration lines, the line is applied
drop_before_write                           the session ends when the configuration is about to be saved
refuse_connect_after_lines  lines           the same, from that number of configuration lines on, counted from the fault on
refuse_line     lines                       the configuration line of that number, counted from the fault on, is refused
error_on        regex, text (optional)      a configuration line that matches is refused with a percent message
unknown_command regex                       the image does not know an exec command that matches
syslog          after, text (optional)      a log line is printed into the session after that many commands
half_echo       lines                       after that many commands the echo of a line stops half way
hang            lines                       after that many commands the session stays silent
reload_after_lines  lines                   the switch reloads after that many configuration lines

drop_after_lines, hang and reload_after_lines strike at the line that matches "regex" where that is given, whatever "lines" says.
Every fault has "times" (how often it strikes; null for always). A changed host key is not a fault of a session: see
Fleet.change_host_key and the operation host_key of the side channel.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

KINDS = frozenset(
    ("refuse_connect", "refuse_auth", "wrong_enable", "slow_prompt", "line_delay", "drop_after_lines",
     "drop_before_write", "error_on", "syslog", "half_echo", "hang", "reload_after_lines", "refuse_connect_after_lines", "refuse_line",
     "unknown_command")
)  # fmt: skip


@dataclass
class Fault:
    """One fault: see the module's text. struck counts how often it did."""

    kind: str
    times: int | None = 1
    seconds: float = 0.0
    lines: int = 0
    after: int = 0
    regex: str = ""
    text: str = ""
    struck: int = 0
    seen: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown fault {self.kind!r}")
        re.compile(self.regex)

    def due(self, lines: int, line: str) -> bool:
        """Return whether a fault strikes after this line, the so-manieth of its session."""
        return bool(re.search(self.regex, line)) if self.regex else lines >= self.lines

    @property
    def live(self) -> bool:
        return self.times is None or self.struck < self.times


@dataclass
class Faults:
    """The faults of one switch."""

    items: list[Fault] = field(default_factory=list)

    def add(self, data: dict[str, Any]) -> Fault:
        """Schedule a fault; raises ValueError or TypeError on one that does not exist."""
        fault = Fault(**data)
        self.items.append(fault)
        return fault

    def find(self, kind: str) -> Fault | None:
        """Return the first live fault of a kind without using it up."""
        return next((fault for fault in self.items if fault.kind == kind and fault.live), None)

    def strike(self, kind: str) -> Fault | None:
        """Return the first live fault of a kind and count that it struck."""
        fault = self.find(kind)
        if fault is not None:
            fault.struck += 1
        return fault

    def refuses_connection(self) -> bool:
        """Return whether a new connection is to be closed at once, and count that it was."""
        late = self.find("refuse_connect_after_lines")
        if late is not None and late.seen >= late.lines:
            late.struck += 1
            return True
        return self.strike("refuse_connect") is not None

    def error_for(self, line: str) -> str | None:
        """Return the message with which a configuration line is to be refused."""
        for fault in self.items:
            if fault.kind in ("refuse_line", "refuse_connect_after_lines") and fault.live:
                fault.seen += 1
            if fault.kind == "refuse_line" and fault.live and fault.seen == fault.lines:
                fault.struck += 1
                return fault.text or "% Command failed: resource temporarily unavailable"
            if fault.kind == "error_on" and fault.live and re.search(fault.regex, line):
                fault.struck += 1
                return fault.text or "% Command failed: resource temporarily unavailable"
        return None

    def unknown(self, command: str) -> bool:
        """Return whether the image does not know an exec command."""
        for fault in self.items:
            if fault.kind == "unknown_command" and fault.live and re.search(fault.regex, command):
                fault.struck += 1
                return True
        return False

    def clear(self) -> None:
        self.items.clear()
