# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a terminal session leaves in a text and what it means for the lists there: pagers, lines left out, commands at a prompt."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Protocol

from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import Opaque

WIDTH = 70  # a line shorter than this was not wrapped: the narrowest terminal in use has 80 columns
# "SW(config-ext-nacl)#no 10", "SW(config)#ip access-list extended X", "asa(config)# access-list X extended permit ip any any"
_TYPED = re.compile(
    r"[\w.:/@-]+\(config[\w-]*\)#\s*(?P<command>(?:(?:no|default|clear configure)\s+)?"
    r"(?:(?:sequence\s+)?[0-9]+\b|(?:permit|deny|remark|evaluate)\b|(?:ip |ipv6 )?access-list\s).*)",
    re.IGNORECASE,
)
_HEADER = re.compile(r"(?:ip |ipv6 )?access-list (?:(?:extended|standard|role-based) )?(?P<name>\S+)", re.IGNORECASE)
_NO = re.compile(r"(?:no|default|clear configure)\s+", re.IGNORECASE)
# Lines that take entries out of the list that is open.
REMOVAL = re.compile(r"(?:no|default)\s+(?:[0-9]|(?:sequence|permit|deny|remark)\b)", re.IGNORECASE)
_LEFT_OUT = re.compile(
    r"(?:\.{2,}|\u2026|[<\[(*-]*\s*(?:(?:output|lines|text|rest|more)\s)*(?:omitted|snip(?:ped)?|truncated|cut off|removed)\b.*)\Z",
    re.IGNORECASE,
)
_MORE = re.compile(
    r"[ \t]*(?:--More--|<--- More --->)[ \t\x08]*"
)  # a pager's prompt, erased with backspaces, before the next line of text
# A pager at which the reader quit: a prompt or the end of the text follows, not the rest of the list.
_QUIT = re.compile(r"(?:--More--|<--- More --->)(?=[\s\x08]*(?:\Z|[\w.:/@()-]+[#>]))")


# The rest of a name that a terminal cut in two ("object-group WEB", "-DMZ eq 443"): one word, or one before words of an entry.
_CUT = re.compile(
    r"(?!cryptochecksum:)\S*[^\s#>:](?:\s+(?:eq|neq|gt|lt|range|log|inactive|time-range|any[46]?|host|object|object-group|addrgroup|portgroup|established|"
    r"fragments|\d[\d./]*)(?:\s.*)?)?\Z",
    re.IGNORECASE,
)
_COMMANDS = frozenset((
    "aaa", "end", "exit", "failover", "hostname", "http", "interface", "ip", "ipv6", "line", "logging", "mtu", "multicast-routing", "names",
    "ntp", "quit", "route", "snmp-server", "ssh", "telnet", "version", "vlan",
))  # fmt: skip


class Draft(Protocol):
    """A list while its lines are collected."""

    name: str
    opaque: list[Opaque]


def without_pager(text: str) -> str:
    """Return a text without the prompts of a pager; one at which the reader quit becomes a line that ``left_out`` sees."""
    if "More --" not in text and "--More" not in text:
        return text
    return _MORE.sub("", _QUIT.sub("[cut off]", text))


def left_out(number: int, text: str) -> Opaque | None:
    """Return the finding on a line that says that others were left out ("...", "<output omitted>"), None for any other line."""
    return Opaque(number, text, "lines of the list may be left out here") if _LEFT_OUT.match(text) else None


def cut_name(length: int, text: str) -> bool:
    """Return whether a line after an entry of a length may be the rest of its last word, and what followed."""
    return length >= WIDTH and text.split(None, 1)[0].lower() not in _COMMANDS and bool(_CUT.match(text))


class LongRemark:
    """Follows remarks: one that a terminal wrapped goes on in a line that may read like an entry ("permit ip any any")."""

    def __init__(self) -> None:
        self._before: tuple[int, bool] | None = (
            None  # indent of the long remark that is the line before, whether it has a number
        )

    def entry(self, line: str, remark: bool) -> bool:
        """Read a line that begins like an entry; return whether it may be the rest of the remark before it."""
        if not remark and self._before is None:
            return False
        indent, numbered = len(line) - len(line.lstrip()), line.lstrip()[:1].isdigit()
        before, self._before = self._before, None
        if remark and len(line.rstrip()) >= WIDTH:
            self._before = (indent, numbered)
        return before is not None and (indent < before[0] or (before[1] and not numbered))

    def other(self) -> None:
        """Read any other line."""
        self._before = None


class Prompts:
    """Follows the commands typed at a prompt: a list that is changed after it was shown is not certain any more."""

    def __init__(self) -> None:
        self._opened = ""

    def line(self, number: int, text: str, drafts: Iterable[Draft]) -> None:
        """Read a line; a command that changes a list makes those lists opaque that it may mean."""
        typed = _TYPED.match(text) if "(config" in text else None
        if typed is None:
            return
        command = typed["command"].strip()
        removed = _NO.match(command)
        header = _HEADER.match(command, removed.end() if removed else 0)
        name = header["name"] if header else self._opened
        if header and not removed and header.end() == len(command):
            self._opened = name
            return
        reason = "typed at a prompt after the list was shown: it is not certain that the list still is as it stands in the text"
        for draft in drafts:
            if name in ("", draft.name):
                draft.opaque.append(Opaque(number, text, reason))
