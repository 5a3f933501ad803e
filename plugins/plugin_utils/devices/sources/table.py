# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records that people keep: CSV with a header, or YAML with a list of devices.

Columns have the names of facts, or ``columns`` says which of theirs is which of ours. A row is a device by its MAC, or facts of an
address where it has none. A record is what somebody wrote down: surer than what is guessed, and contradicted aloud where it is wrong.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError, Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.yaml_io import parse_yaml
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.model import (
    FACT_NAMES,
    AddressClaim,
    Observation,
    normal_mac,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.sources.kind import (
    Asked,
    Kind,
    Reading,
    Rejects,
    reading,
)

ADDRESSES, SEEN = "address", "seen"
OURS = ("mac", ADDRESSES, SEEN, *FACT_NAMES)
# What tables call things; compared in lower case with anything but letters and digits left out.
ALIASES = {
    "mac": "mac",
    "macaddress": "mac",
    "hwaddress": "mac",
    "ethernetaddress": "mac",
    "ip": ADDRESSES,
    "ipaddress": ADDRESSES,
    "address": ADDRESSES,
    "addresses": ADDRESSES,
    "ipaddresses": ADDRESSES,
    "name": "hostname",
    "devicename": "hostname",
    "type": "asset_type",
    "devicetype": "asset_type",
    "assetclass": "asset_type",
    "role": "asset_type",
    "vendor": "manufacturer",
    "make": "manufacturer",
    "serialnumber": "serial",
    "firmware": "software",
    "location": "site",
    "lastseen": SEEN,
}
SURE = 0.9
# Times without a zone are read as UTC, and may be anybody's local time.
AHEAD_US = 86_400_000_000
SECOND = 1_000_000


def read(asked: Asked) -> Reading:
    """Return what the table says."""
    sure = asked.option("confidence", SURE)
    if isinstance(sure, bool) or not isinstance(sure, (int, float)) or not 0 < sure <= 1:
        raise FindingError(codes.SOURCE_INVALID.at(f"{asked.name}: confidence is above 0 and at most 1"))
    columns = asked.option("columns", {})
    if not isinstance(columns, Mapping) or not all(value in OURS for value in columns.values()):
        known = ", ".join(OURS)
        raise FindingError(codes.SOURCE_INVALID.at(f"{asked.name}: columns maps names of columns to {known}"))
    text = asked.text()
    is_yaml = asked.path is not None and asked.path.suffix in (".yml", ".yaml", ".json")
    rejects = Rejects(asked)
    observations: list[Observation] = []
    ignored: set[str] = set()
    rows = without = 0
    for line, row in _yaml_rows(asked, text) if is_yaml else _csv_rows(asked, text):
        rows += 1
        own: dict[str, Any] = {}
        for name, value in row.items():
            ours = columns.get(name) or _ours(name)
            if ours is None:
                ignored.add(str(name))
            elif value not in (None, ""):
                own[ours] = value
        try:
            made = _observation(asked, own, float(sure))
        except (ValueError, TypeError) as error:
            rejects.add(line, str(error)[:160])
            continue
        without += not made.mac
        observations.append(made)
    found = reading(observations, rejects, rows=rows, without_mac=without)
    more: list[Finding] = []
    if ignored:
        text = f"{asked.name}: {', '.join(sorted(ignored)[:20])}"
        more = [codes.COLUMNS_IGNORED.at(text, Location(str(asked.path), 1))]
    return Reading(found.observations, (*found.findings, *more), found.counts)


def _observation(asked: Asked, own: dict[str, Any], sure: float) -> Observation:
    mac = normal_mac(str(own.pop("mac"))) if "mac" in own else ""
    seen = _seen(own.pop(SEEN)) if SEEN in own else asked.at
    if seen > asked.at + AHEAD_US:
        # The newest word weighs most: one from the future would stand against all to come.
        raise ValueError("it was seen later than its source said so")
    given = own.pop(ADDRESSES, ())
    addresses = re.split(r"[\s,;|]+", given.strip()) if isinstance(given, str) else [str(each) for each in given]
    claims = tuple(AddressClaim(each.split("/", maxsplit=1)[0], seen, seen) for each in addresses if each)
    if not mac and not claims:
        raise ValueError("neither a MAC address nor an address")
    facts: dict[str, Any] = {}
    for name, value in own.items():
        if name.endswith("_ports"):
            value = re.split(r"[\s,;|]+", value.strip()) if isinstance(value, str) else [str(each) for each in value]
        elif isinstance(value, (list, dict)):
            raise ValueError(f"{name} is not one value")
        elif isinstance(value, str):
            value = " ".join(value.split())
        else:
            value = value if isinstance(value, int) and not isinstance(value, bool) else str(value)
        facts[name] = value
    return Observation(mac, facts, claims, asked.name, seen, sure)


def _seen(value: Any) -> int:
    made = datetime.fromisoformat(str(value))
    return int((made if made.tzinfo else made.replace(tzinfo=UTC)).timestamp()) * SECOND


def _ours(name: Any) -> str | None:
    plain = re.sub(r"[^a-z0-9]", "", str(name).lower())
    return ALIASES.get(plain) or next((each for each in OURS if each.replace("_", "") == plain), None)


def _csv_rows(asked: Asked, text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    text = text.lstrip("\ufeff")
    head = text.split("\n", maxsplit=1)[0]
    delimiter = str(asked.option("delimiter")) or max(",;\t|", key=head.count)
    if len(delimiter) != 1:
        raise FindingError(codes.SOURCE_INVALID.at(f"{asked.name}: delimiter is one character"))
    table = csv.DictReader(io.StringIO(text), delimiter=delimiter)
    try:
        for row in table:
            extra = row.pop(None, None)
            if extra:
                row["more cells than columns"] = str(extra)
            yield table.line_num, {name: (value or "").strip() for name, value in row.items()}
    except csv.Error as error:
        raise FindingError(
            codes.SOURCE_FAILED.at(f"{asked.name}: {error}", Location(str(asked.path), table.line_num))
        ) from error


def _yaml_rows(asked: Asked, text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    document = parse_yaml(text, str(asked.path))
    value = document.value.get("devices") if isinstance(document.value, Mapping) else document.value
    where = ("devices",) if isinstance(document.value, Mapping) else ()
    if not isinstance(value, list) or not all(isinstance(each, Mapping) for each in value):
        raise FindingError(codes.SOURCE_FAILED.at(f"{asked.name}: no list of devices", document.location(*where)))
    for number, row in enumerate(value):
        yield document.location(*where, number).line, row


KIND = Kind(
    "table",
    "Records in CSV or YAML: one row a device",
    read,
    {
        "columns": "mapping of their columns to ours, where the names do not say it",
        "confidence": "how sure the records are, above 0 and at most 1; 0.9 where not given",
        "delimiter": "what stands between the cells; told by the header where not given",
    },
)
