# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Named objects that two texts define differently: a condition of the same words is then not the same condition.

Time ranges, and groups with a member that is not understood, are conditions by name ("time-range WORK"). Two lists that depend on one in
the same way are equal only where the name means the same; where both texts hold its definition, that can be seen.
"""

from __future__ import annotations

import re
from dataclasses import replace

from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.cisco_text import checked_lines
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import ParsedAcl

_HEADER = re.compile(r"(?:object-group|object|time-range)\s\S|[A-Za-z0-9 ]+ object[ -]group \S+\Z|time-range entry: \S")
_MEMBER = re.compile(
    r"(?:host|subnet|range|fqdn|service|any|network-object|group-object|service-object|port-object|protocol-object|icmp-object|"
    r"security-group|user|periodic|absolute|eq|neq|gt|lt|tcp|udp|tcp-udp|icmp|\d\S*)(?:\s|\Z)"
)
_STATE = re.compile(r"\s*\((?:in)?active\)|\Aused in: .*")
_KEYWORDS = frozenset(("object", "object-group", "group", "network", "service", "time-range", "entry:", "ip", "ipv6", "ipv4", "address",
                       "port", "protocol", "tcp", "udp", "tcp-udp"))  # fmt: skip
Blocks = dict[str, set[str]]


def told_apart(first: ParsedAcl, second: ParsedAcl, texts: tuple[str, str]) -> ParsedAcl:
    """Return the second list with another wording for each condition that names an object which the two texts define differently."""
    shared = {text for ace in first.aces for text in ace.conditions} & {
        text for ace in second.aces for text in ace.conditions
    }
    if not shared or texts[0] == texts[1]:
        return second
    blocks = _blocks(texts[0]), _blocks(texts[1])
    unlike = {text for text in shared if any(_differs(word, *blocks) for word in text.split()[1:])}
    if not unlike:
        return second
    aces = tuple(
        replace(
            ace,
            conditions=tuple(
                sorted(f"{text} as the second text defines it" if text in unlike else text for text in ace.conditions)
            ),
        )
        for ace in second.aces
    )
    return replace(second, aces=aces)


def _differs(name: str, first: Blocks, second: Blocks) -> bool:
    """Return whether both texts define a name, and not with the same lines, those of the names in it included."""
    return name in first and name in second and _closure(name, first) != _closure(name, second)


def _closure(name: str, blocks: Blocks) -> set[str]:
    found: set[str] = set()
    seen: set[str] = set()
    waiting = [name]
    while waiting:
        word = waiting.pop()
        if word in seen or word not in blocks:
            continue
        seen.add(word)
        found |= blocks[word]
        waiting += [each for line in blocks[word] for each in line.split()]
    return found


def _blocks(text: str) -> Blocks:
    """Return the lines of each definition by the words of its header, of which one is the name."""
    found: Blocks = {}
    names: list[str] = []
    indent, deep = 0, False
    for line in checked_lines(text):
        row = _STATE.sub("", line.strip())
        if not row:
            continue
        here = len(line) - len(line.lstrip())
        if _HEADER.match(row) and (not names or here <= indent):
            names = [word for word in row.split() if word not in _KEYWORDS]
            indent, deep = here, False
        elif names and (here > indent or (not deep and _MEMBER.match(row))):
            deep = deep or here > indent
        else:
            names = []
        for name in names:
            found.setdefault(name, set()).add(" ".join(row.split()))
    return found
