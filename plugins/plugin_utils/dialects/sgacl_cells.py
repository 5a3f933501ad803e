# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cells of the egress matrix as ``show cts role-based permissions`` prints them (facts/devices.md section 1.5)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.cisco_text import checked_lines
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import Opaque

# Groups are a number, a number and a name (which may hold blanks and parentheses), or "Unknown".
_GROUP = r"(?:(?P<{0}>[0-9]{{1,5}})(?::(?P<{0}_name>.+?))?|Unknown)"
_CELL = re.compile(
    r"IPv(?P<family>[46]) Role-based permissions (?:default|from group "
    + _GROUP.format("source")
    + " to group "
    + _GROUP.format("destination")
    + r")(?P<marks>(?: \((?:configured|monitored)\))*):\Z"
)
_NAME = re.compile(r"[^\s()]+(?: IP[-\w]*)?\Z")  # the built-in lists are called "Permit IP-00" and "Deny IP-00-ipv6"
_TAIL = re.compile(r"RBACL Monitor All for (?:Dynamic|Configured) Policies : (?:TRUE|FALSE)\Z")
_NOISE = re.compile(r"[\w.:/@()-]+[#>]|Load for five secs|Time source is|show\s|sh\s")
UNKNOWN = 0
LONGEST = 400  # characters of a header; longer lines are not understood, so that no match takes long


@dataclass(frozen=True)
class Cell:
    """One cell: group tags (None in both: the default cell; 0: unknown), names, its SGACLs in order, and how it is enforced.

    ``configured``: typed on the device, not downloaded. ``monitored``: counted but not enforced.
    """

    family: int
    source: int | None
    destination: int | None
    sgacls: tuple[str, ...]
    source_name: str = ""
    destination_name: str = ""
    configured: bool = False
    monitored: bool = False
    line: int = 0


def has_cells(text: str) -> bool:
    """Return whether a text has the header of a cell, as ``show cts role-based permissions`` prints it."""
    return "ole-based permissions " in text and any(
        _CELL.match(line.strip()) for line in checked_lines(text) if len(line) <= LONGEST and "ermissions" in line
    )


def cell_dict(cell: Cell) -> dict[str, Any]:
    """Return a cell as a JSON-like dict; ``default`` instead of groups for the default cell."""
    groups: dict[str, Any] = {"default": True}
    if cell.source is not None:
        groups = {
            "source_group": cell.source, "destination_group": cell.destination, "source_name": cell.source_name,
            "destination_name": cell.destination_name, "default": False,
        }  # fmt: skip
    return {
        "family": cell.family, **groups, "sgacls": list(cell.sgacls), "configured": cell.configured, "monitored": cell.monitored,
        "line": cell.line,
    }  # fmt: skip


def read_cells(text: str) -> tuple[list[Cell], list[Opaque]]:
    """Return the cells in order, and each line that is not understood. FindingError SW1207 for a text that is too large."""
    cells: list[Cell] = []
    opaque: list[Opaque] = []
    names: list[str] = []
    header: re.Match[str] | None = None
    start = 0

    def close() -> None:
        if header is not None:
            cells.append(_cell(header, tuple(names), start))
        names.clear()

    for number, line in enumerate(checked_lines(text), 1):
        row = line.strip()
        if not row:
            continue
        found = _CELL.match(row) if len(row) <= LONGEST else None
        if found:
            close()
            header, start = found, number
        elif _TAIL.match(row) or _NOISE.match(row):
            close()
            header = None
        elif header is not None and _NAME.match(row):
            names.append(row)
        else:
            opaque.append(Opaque(number, row, "not a cell or the name of a security group list"))
            close()
            header = None
    close()
    return cells, opaque


def _cell(header: re.Match[str], names: tuple[str, ...], line: int) -> Cell:
    default = " permissions default" in header[0]
    source, destination = (
        None if default else UNKNOWN if header[side] is None else int(header[side])
        for side in ("source", "destination")
    )
    return Cell(
        int(header["family"]), source, destination, names, header["source_name"] or "", header["destination_name"] or "",
        "(configured)" in header["marks"], "(monitored)" in header["marks"], line,
    )  # fmt: skip
