# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A running configuration as blocks: lines at the margin, each with the lines below it.

Who reads a block takes what it knows and leaves the rest; so the text itself must be whole: begun by its header, closed by ``end``, and
indented, since without indentation nothing tells what belongs to which interface (facts/devices.md section 2.4).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError, Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.parsers.lines import (
    CONTROL,
    ECHO,
    LARGEST,
    MORE,
    REFUSAL,
)

COMMAND = "show running-config"
_BANNER = re.compile(r"\Abanner \S+ (?P<mark>\^C|\S)(?P<rest>.*)\Z")
_CERTIFICATE = re.compile(r"\A\s+certificate (?:self-signed |ca )?[0-9A-F]+\Z")
_GROUP = re.compile(r"\A(?:(ip) access-group|(ipv6) traffic-filter) (\S+) (in|out)\Z")
_HEADER = re.compile(r"\A(?:Building configuration|Current configuration ?: )")


@dataclass(frozen=True)
class Block:
    """A line at the margin and the lines below it, without indentation; ``depths`` has how far each was indented."""

    head: str
    lines: tuple[str, ...] = ()
    depths: tuple[int, ...] = ()

    def starts(self, prefix: str) -> list[str]:
        """Return the lines that begin with some words."""
        return [line for line in self.lines if line == prefix or line.startswith(prefix + " ")]

    def has(self, line: str) -> bool:
        """Return whether a line stands in the block."""
        return line in self.lines


@dataclass(frozen=True)
class Attachment:
    """An access list on an interface; family 4 or 6, direction in or out."""

    interface: str
    access_list: str
    direction: str
    family: int


def blocks(text: str) -> list[Block]:
    """Return the blocks of a running configuration, comments, banners and certificates left out.

    Raises FindingError SW1322 where the device refused the command, SW1324 where the text is not whole.
    """
    if len(text) > LARGEST:
        raise FindingError(codes.OUTPUT_CUT.at(f"output of more than {LARGEST} characters", Location(COMMAND)))
    found: list[tuple[str, list[str], list[int]]] = []
    closed = indented = False
    for line in _plain(text):
        if line.strip() == "end" and not line.startswith(" "):
            closed = True
            break
        if line.startswith((" ", "\t")):
            indented = True
            if found:
                found[-1][1].append(line.strip())
                found[-1][2].append(len(line) - len(line.lstrip()))
        else:
            found.append((line, [], []))
    if not closed:
        raise FindingError(codes.OUTPUT_CUT.at("the configuration does not close with end", Location(COMMAND)))
    if not indented and any(head.startswith("interface ") for head, _lines, _depths in found):
        raise FindingError(codes.OUTPUT_CUT.at("the configuration has lost its indentation", Location(COMMAND)))
    return [Block(head, tuple(lines), tuple(depths)) for head, lines, depths in found]


def _plain(text: str) -> Iterator[str]:
    """Yield the lines that configure something, from the header on where there is one."""
    mark = ""
    certificate = False
    raw = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for line in raw:
        clean = CONTROL.sub("", MORE.sub("", line)).rstrip()
        if mark:
            if mark in line:
                mark = ""
            continue
        if REFUSAL.match(clean):
            raise FindingError(codes.OUTPUT_REFUSED.at(clean.strip()[:160], Location(COMMAND)))
        banner = _BANNER.match(line.replace("\x03", "^C").rstrip())
        if banner:
            mark = "" if banner["mark"] in banner["rest"] else banner["mark"]
            if mark == "^C" and "\x03" in line:
                mark = "\x03"
            continue
        if certificate:
            certificate = clean.strip() != "quit"
            continue
        if _CERTIFICATE.match(clean):
            certificate = True
            continue
        if not clean.strip() or clean.lstrip().startswith("!") or _HEADER.match(clean) or ECHO.match(clean):
            continue
        yield clean


def interfaces(found: list[Block]) -> dict[str, Block]:
    """Return the interface blocks by name."""
    return {block.head.split(maxsplit=1)[1]: block for block in found if block.head.startswith("interface ")}


def attachments(found: list[Block]) -> list[Attachment]:
    """Return where access lists are attached to interfaces, in the order of the configuration."""
    made = []
    for name, block in interfaces(found).items():
        for line in block.lines:
            group = _GROUP.match(line)
            if group:
                made.append(Attachment(name, group[3], group[4], 4 if group[1] else 6))
    return made


def vlan_numbers(text: str) -> tuple[int, ...]:
    """Return the VLANs of a list such as ``10-12,20``; raises ValueError for anything else."""
    numbers: set[int] = set()
    for part in text.replace(" ", "").split(","):
        first, dash, last = part.partition("-")
        low, high = int(first), int(last if dash else first)
        if not 1 <= low <= high <= 4094:
            raise ValueError(f"{part[:20]!r} is no range of VLANs")
        numbers |= set(range(low, high + 1))
    return tuple(sorted(numbers))
