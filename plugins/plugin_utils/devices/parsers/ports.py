# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""show interfaces description."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.model import Parsed
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.parsers.lines import (
    INTERFACE,
    Remarks,
    lines_of,
    long_interface,
)

HEADER = re.compile(r"\AInterface\s+Status\s+Protocol\s+Description\Z")
ROW = re.compile(r"\A(\S+)\s+(admin down|up|down|deleted|reset)\s+(up \(spoofing\)|up|down|deleted)(?:\s+(.*))?\Z")


@dataclass(frozen=True)
class PortDescription:
    """A row of ``show interfaces description``; ``description`` is empty where there is none."""

    interface: str
    status: str
    protocol: str
    description: str


def interfaces_description(text: str) -> Parsed[PortDescription]:
    """Return the rows of ``show interfaces description``; raises FindingError SW1322 where the device refused it."""
    remarks = Remarks("show interfaces description")
    entries = []
    for line in lines_of(text, remarks.command):
        if HEADER.match(line.stripped):
            continue
        found = ROW.match(line.stripped)
        if found is None or not INTERFACE.match(found[1]):
            remarks.unknown(line)
            continue
        entries.append(PortDescription(long_interface(found[1]), found[2], found[3], (found[4] or "").strip()))
    return Parsed(tuple(entries), tuple(remarks.findings))
