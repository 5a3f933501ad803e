# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Platform limits: the data files of ``limits/``, one platform class a file, each number with its source and how sure it is.

Another class is another file; nothing else has to change. The figures are for planning: what a device has free decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError, Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.yaml_io import Document, load_yaml
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import codes

FOLDER = Path(__file__).resolve().parent / "limits"
SYNTAXES = ("dacl", "sgacl", "ios", "ios_ipv6", "nxos", "asa", "nftables")
# How sure a number is, best first.
CONFIDENCE = {
    "standard": "a standard says so",
    "vendor": "a document of the vendor says so",
    "device": "seen in the output of a device",
    "measured": "measured by this project",
    "practice": "a planning value from practice",
    "recalled": "from memory of people in the field, not verified: look at the device",
}
# What a number counts. The first group is held against the cost of a list, the second says how the cost is counted,
# the third is for the reader: one list cannot exceed them.
COMPARED = {
    "entries": "entries of one list, as lines",
    "bytes": "bytes of the text of one list",
    "line_bytes": "bytes of one line",
    "name_length": "characters of the list's name",
    "comment_bytes": "bytes of the comment of an entry",
    "hardware_entries": "hardware entries, shared by all lists of an ASIC",
    "ipv6_hardware_entries": "hardware entries for IPv6 lists",
    "operators": "registers for gt, lt, neq and range",
    "ipv6_operators": "registers for IPv6 lists",
    "tcp_operators": "registers for TCP",
    "udp_operators": "registers for UDP",
}
COUNTED = {
    "ipv6_factor": "hardware entries that one IPv6 entry takes",
    "range_cost": "registers that one range takes",
    "idle_entries": "hardware entries in use before the first list",
    "radius_packet_bytes": "bytes of one RADIUS packet",
}
TOLD = {
    "object_group_entries": "members that object groups of a list may have in a table of their own",
    "egress_hardware_entries": "hardware entries for lists in the direction out",
    "lists": "lists",
    "port_list": "ports after one eq or neq",
    "remark_length": "characters of a remark",
    "vlan_map_entries": "entries of one VLAN access map",
    "sgacl_policies": "distinct SGACL policies",
    "sgacl_cells": "cells of the matrix",
    "destination_groups": "destination groups",
}
KINDS = {**COMPARED, **COUNTED, **TOLD}


@dataclass(frozen=True)
class Limit:
    """One number: what it is (a key of ``KINDS``), its value, a key of ``CONFIDENCE`` and where it comes from."""

    kind: str
    value: int
    confidence: str
    source: str


@dataclass(frozen=True)
class PlatformLimits:
    """The limits of a platform class. ``platforms``: the syntaxes that it takes."""

    name: str
    title: str
    platforms: tuple[str, ...]
    limits: Mapping[str, Limit]
    note: str = ""

    def value(self, kind: str, default: int = 0) -> int:
        """Return a number, or the default where none is known."""
        return self.limits[kind].value if kind in self.limits else default


@cache
def names() -> tuple[str, ...]:
    """Return the names of all platform classes, in order; the files are not read."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.yml")))


@cache
def platform_limits(name: str) -> PlatformLimits:
    """Return the limits of a class. FindingError SW1212 for an unknown name, SW1240 for a data file that is wrong."""
    if name not in names():
        raise FindingError(codes.UNKNOWN_BUDGET.at(f"budget {name!r} is not one of {', '.join(names())}"))
    return read_limits(name, load_yaml(FOLDER / f"{name}.yml", f"limits/{name}.yml"))


def read_limits(name: str, document: Document) -> PlatformLimits:
    """Return the limits in a document; FindingError SW1240 with file and line for anything that does not belong there."""
    value = document.value
    if not isinstance(value, dict) or not {"title", "platforms", "limits"} <= value.keys() <= {
        "title", "platforms", "limits", "note",
    }:  # fmt: skip
        raise _wrong("keys are title, platforms, limits and note", document.location())
    for key in ("title", "note"):
        if not isinstance(value.get(key, ""), str):
            raise _wrong(f"{key} is not text", document.location(key))
    platforms = value["platforms"]
    if not isinstance(platforms, list) or not platforms or not all(item in SYNTAXES for item in platforms):
        raise _wrong(f"platforms are some of {', '.join(SYNTAXES)}", document.location("platforms"))
    if not isinstance(value["limits"], dict) or not value["limits"]:
        raise _wrong("limits are missing", document.location("limits"))
    found = {kind: _limit(kind, item, document.location("limits", kind)) for kind, item in value["limits"].items()}
    return PlatformLimits(name, value["title"], tuple(platforms), found, value.get("note", ""))


def _limit(kind: str, item: Any, place: Location) -> Limit:
    if kind not in KINDS:
        raise _wrong(f"limit {kind!r} is not one of {', '.join(KINDS)}", place)
    if not isinstance(item, dict) or item.keys() != {"value", "confidence", "source"}:
        raise _wrong(f"limit {kind} needs value, confidence and source", place)
    number, confidence, source = item["value"], item["confidence"], item["source"]
    if isinstance(number, bool) or not isinstance(number, int) or not 0 < number <= 1 << 40:
        raise _wrong(f"limit {kind} is not a positive whole number", place)
    if confidence not in CONFIDENCE or not isinstance(source, str) or not source:
        raise _wrong(f"limit {kind} has no source, or its confidence is not one of {', '.join(CONFIDENCE)}", place)
    return Limit(kind, number, confidence, source)


def _wrong(text: str, place: Location) -> FindingError:
    return FindingError(codes.BAD_LIMITS.at(text, place))
