# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a terminal session leaves in a text and what it means for the lists there: pagers, lines left out, commands at a prompt."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Protocol

from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import Opaque

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
