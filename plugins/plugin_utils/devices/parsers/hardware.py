# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a switch's hardware holds: TCAM by region and ASIC, and the resources of SGACLs.

Five layouts are read: one row a table with direction and family (IOS-XE 17), the same with rows for each direction below it, ``Max Values``
and ``Used Values`` (IOS-XE 16), masks and values (IOS on 2960, 3560, 3750), and pools by slice (Silicon One). A row that fits none of
them is a finding, and a reader must not take the rest for whole (facts/devices.md section 4.1).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from ansible_collections.segwright.microseg.plugins.plugin_utils.devices import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.model import Parsed
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.parsers.lines import Remarks, lines_of

SECURITY, CELLS, POLICIES = "security", "sgacl_cells", "sgacl_policies"
DIRECTIONS = {"I": "in", "O": "out", "IO": "both", "NA": "both"}
_FURNITURE = re.compile(
    r"\ACodes: EM - |\A\*\*\*(?:Number of TCAM entries|change the available TCAM)|\ATable +(?:Subtype|Max Values)|\AResource +Used +Free"
    r"|\ASlice\d|\AMasks/[Vv]alues|\ANote: Allocation of TCAM|\A(?:a complex algorithm|to provide an abstract view)"
)
_ASIC = re.compile(r"\ACAM Utilization for ASIC#? *\[?(\d+)\]?(?: +Max +Used)?\Z", re.IGNORECASE)
_ROW = re.compile(
    r"\A(?P<name>\S.*?) +(?P<subtype>EM|TCAM|LPM|EM/LPM|NA) +(?P<way>IO|I|O|NA) +(?P<limit>\d+) +(?P<used>\d+) +[\d.]+%(?: +\d+){4}\Z"
)
_PART = re.compile(r"\A(?:EM|TCAM) +(?P<way>I|O) +(?P<used>\d+) +[\d.]+%(?: +\d+){4}\Z")
_VALUES = re.compile(
    r"\A(?P<name>[A-Za-z](?:[^\s:]*(?: [^\s:]+)*?)) +(?P<limit>\d+)(?P<half>/\d+)? +(?P<used>\d+)(?(half)/\d+)\Z"
)
_MASKS = re.compile(r"\A(?P<name>\S.*?): +\d+/(?P<limit>\d+) +\d+/(?P<used>\d+)\Z")
_SLICES = re.compile(r"\A(?P<name>[A-Za-z]\S*(?: \S+)*? TCAM entries)(?P<pairs>(?: +\d+ +\d+)+)\Z")
_WORD = re.compile(r"\A[A-Za-z][\w ./-]*\Z")
_RESOURCES_HEAD = re.compile(r"\ASGACL RESOURCE DETAILS ASIC ?:#(\d+)\Z")
_RESOURCE = re.compile(r"\A(?P<name>[A-Z][\w ]*?) *: +(?P<limit>\d+) +(?P<used>\d+) +\d+(?: +\w+)?\Z")
_RESOURCE_FURNITURE = re.compile(
    r"\APercent +Thresholds\Z|\AHardware Resource +MAX|\A[A-Z][\w ]*? *: +\d+ +\d+\Z|\ATotal +Percent\Z|\ASGACL TCAM Entries +Used"
)
RESOURCES = {"CTS Cell Matrix Entries": CELLS, "Policy Entries": POLICIES}


@dataclass(frozen=True)
class HardwareRegion:
    """One region of one ASIC: ``kind`` is ``security``, ``sgacl_cells``, ``sgacl_policies`` or empty for what holds no list of ours.

    ``direction``: in, out or both; ``family``: any, 4 (IPv4 alone) or other (everything else); ``limit`` and ``used`` in entries;
    ``slice`` is -1 where the ASIC is not divided; ``used_in`` and ``used_out`` are -1 where the device does not say.
    """

    asic: int
    name: str
    kind: str
    direction: str
    family: str
    limit: int
    used: int
    slice: int = -1
    used_in: int = -1
    used_out: int = -1


def tcam_utilization(text: str) -> Parsed[HardwareRegion]:
    """Return the regions of ``show platform ... tcam utilization`` in order; numbers are entries.

    Raises FindingError SW1322 where the device refuses the command. A table without security entries is a finding (SW1323).
    """
    remarks = Remarks("show platform tcam utilization")
    made: list[HardwareRegion] = []
    asic, wrapped = 0, ""
    for line in lines_of(text, remarks.command):
        content = line.stripped
        head = _ASIC.match(content)
        if head:
            asic, wrapped = int(head[1]), ""
            continue
        if _FURNITURE.match(content):
            continue
        part = _PART.match(content)
        row = _ROW.match(content)
        if part and made:
            used = int(part["used"])
            made[-1] = replace(made[-1], used_in=used) if part["way"] == "I" else replace(made[-1], used_out=used)
        elif row:
            name = f"{wrapped} {row['name']}".strip()
            direction = DIRECTIONS[row["way"]]
            kind = _kind(name) if row["subtype"] != "TCAM" or not name.startswith("CTS Cell") else ""
            made.append(HardwareRegion(asic, name, kind, direction, _family(name), int(row["limit"]), int(row["used"])))
            wrapped = ""
        elif slices := _SLICES.match(content):
            made += _pools(asic, slices["name"], [int(each) for each in slices["pairs"].split()])
        elif found := _MASKS.match(content) or _VALUES.match(content):
            name = found["name"].rstrip("*: ")
            made.append(
                HardwareRegion(
                    asic, name, _kind(name), _direction(name), _family(name), int(found["limit"]), int(found["used"])
                )
            )
        elif _WORD.match(content) and not wrapped and not any(sign.isdigit() for sign in content):
            wrapped = content
        else:
            remarks.unknown(line)
    if not any(each.kind == SECURITY for each in made):
        remarks.note(codes.OUTPUT_EMPTY, "no region for security lists in the output")
    return Parsed(tuple(made), tuple(remarks.findings))


def _pools(asic: int, name: str, numbers: list[int]) -> list[HardwareRegion]:
    """Return a pool of each slice. A narrow entry holds IPv4 and a wide one IPv6; the same memory serves both, so that the free numbers
    are those for one family alone."""
    kind = SECURITY if name.startswith(("Ingress Narrow", "Egress Narrow")) else ""
    return [
        HardwareRegion(asic, name, kind, _direction(name), "any", used + free, used, number)
        for number, (used, free) in enumerate(zip(numbers[::2], numbers[1::2], strict=True))
        if used + free
    ]


def _kind(name: str) -> str:
    text = name.casefold()
    if re.search(r"\bsecurity\b.*\b(?:acl|aces?|access control entries)\b", text):
        return SECURITY
    return CELLS if text.startswith("cts cell") or text == "sgt_dgt" else ""


def _direction(name: str) -> str:
    text = name.casefold()
    if re.search(r"\b(?:ingress|input)\b", text):
        return "in"
    return "out" if re.search(r"\b(?:egress|output)\b", text) else "both"


def _family(name: str) -> str:
    text = name.casefold()
    if "non ipv4" in text or "non-ipv4" in text or "ipv6" in text:
        return "other"
    return "4" if "ipv4" in text else "any"


def sgacl_resources(text: str) -> Parsed[HardwareRegion]:
    """Return policies and cells of ``show platform hardware fed ... sgacl resource usage``, ASIC by ASIC."""
    remarks = Remarks("show platform sgacl resource usage")
    made: list[HardwareRegion] = []
    asic = 0
    for line in lines_of(text, remarks.command):
        content = line.stripped
        head = _RESOURCES_HEAD.match(content)
        found = _RESOURCE.match(content)
        if head:
            asic = int(head[1])
        elif found:
            name = found["name"].strip()
            made.append(
                HardwareRegion(
                    asic, name, RESOURCES.get(name, ""), "out", "any", int(found["limit"]), int(found["used"])
                )
            )
        elif not _RESOURCE_FURNITURE.match(content):
            remarks.unknown(line)
    if not made:
        remarks.note(codes.OUTPUT_EMPTY, "no resource in the output")
    return Parsed(tuple(made), tuple(remarks.findings))
