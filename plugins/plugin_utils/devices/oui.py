# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Vendors by MAC: the longest prefix of IEEE's registries (36, 28, then 24 bits), from files that the user supplies.

A 24-bit block may be divided among others: to know only that IEEE holds it is to know nothing, so such blocks have no vendor of their own.
Small makers of medical and industrial devices hold 36-bit blocks (facts/risk.md section 1.1). A locally administered MAC has none.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import read_text
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError, Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.model import is_local

SIZE_LIMIT = 64 << 20
LENGTHS = (36, 28, 24)
# Who holds a block only to divide it, or does not want to be named.
NOBODY = ("ieee registration authority", "private", "ieeeregi")
_MANUF = re.compile(r"\A([0-9A-Fa-f]{2}(?:[:.-][0-9A-Fa-f]{2}){2,5})(?:/(\d{2}))?\t+([^\t#]*)(?:\t+([^#]*))?")
LONGEST = 255


@dataclass(frozen=True)
class OuiTable:
    """Vendors by prefix: for each length in bits the prefix's number to the name."""

    vendors: Mapping[int, Mapping[int, str]] = field(default_factory=dict)

    def __len__(self) -> int:
        return sum(len(each) for each in self.vendors.values())

    def vendor(self, mac: str) -> tuple[str, int] | None:
        """Return (name, length of the prefix in bits) of a MAC in lower case with colons, None where nobody is known."""
        if is_local(mac):
            return None
        number = int(mac.replace(":", ""), 16)
        for length in LENGTHS:
            name = self.vendors.get(length, {}).get(number >> (48 - length))
            if name is not None:
                return (name, length) if name else None
        return None


def read_oui(paths: Iterable[str | Path]) -> tuple[OuiTable, list[Finding]]:
    """Return the table of files: IEEE's CSV (oui.csv, mam.csv, oui36.csv, iab.csv) or Wireshark's manuf, also as .gz.

    The order of files does not matter: of two names for one prefix the one that sorts first stands. A file that cannot be used is SW1354.
    """
    vendors: dict[int, dict[int, str]] = {length: {} for length in LENGTHS}
    findings: list[Finding] = []
    for path in paths:
        try:
            text = _text(Path(path))
            found = list(_csv_rows(text)) if text.lstrip("\ufeff").startswith("Registry,") else list(_manuf_rows(text))
            if not found:
                raise ValueError("no line of it is an entry of IEEE's CSV files or of Wireshark's manuf")
        except (FindingError, ValueError, OSError, EOFError, csv.Error) as error:
            findings.append(codes.OUI_FILE.at(str(error)[:300], Location(str(path))))
            continue
        for length, prefix, name in found:
            before = vendors[length].get(prefix)
            vendors[length][prefix] = name if not before else min(before, name) if name else before
    return OuiTable(vendors), findings


def _text(path: Path) -> str:
    if path.suffix != ".gz":
        return read_text(path, SIZE_LIMIT)
    with gzip.open(path, "rb") as file:
        data = file.read(SIZE_LIMIT + 1)
    if len(data) > SIZE_LIMIT:
        raise ValueError(f"more than {SIZE_LIMIT >> 20} MiB")
    return data.decode("utf-8", "replace")


def _csv_rows(text: str) -> Iterable[tuple[int, int, str]]:
    lengths = {"MA-L": 24, "MA-M": 28, "MA-S": 36, "IAB": 36}
    for row in csv.DictReader(io.StringIO(text.lstrip("\ufeff"))):
        length = lengths.get((row.get("Registry") or "").strip())
        digits = (row.get("Assignment") or "").strip()
        if length is None or not re.fullmatch(r"[0-9A-Fa-f]+", digits) or len(digits) * 4 != length:
            continue
        yield length, int(digits, 16), _name(row.get("Organization Name") or "")


def _manuf_rows(text: str) -> Iterable[tuple[int, int, str]]:
    for line in text.splitlines():
        found = _MANUF.match(line)
        if not found:
            continue
        digits = re.sub(r"[:.-]", "", found[1])
        length = int(found[2]) if found[2] else 24
        if length not in LENGTHS or len(digits) * 4 < length:
            continue
        name = (found[4] or found[3]).strip()
        yield length, int(digits, 16) >> (len(digits) * 4 - length), _name(name)


def _name(text: str) -> str:
    """Return a name for a page or a policy: printable, on one line; empty for a holder that is nobody."""
    plain = "".join(each for each in " ".join(text.split()) if each.isprintable())[:LONGEST]
    return "" if plain.casefold() in NOBODY else plain
