# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Leases of Windows DHCP: the output of Get-DhcpServerv4Lease as CSV.

    Get-DhcpServerv4Scope | Get-DhcpServerv4Lease -AllLeases | Export-Csv -Encoding UTF8 leases.csv

How the server's language writes times is not guessed: only ISO 8601 is read without ``time_format``. A lease whose end is not understood
still says that the client holds the address now.
"""

from __future__ import annotations

import csv
import io
import re
import zoneinfo
from datetime import UTC, datetime, tzinfo

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError, Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.model import Observation, normal_mac
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.sources.kind import (
    Asked,
    Kind,
    Reading,
    Rejects,
    reading,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.sources.leases import (
    SECOND,
    lease_observations,
)

HELD = ("active", "activereservation")
SILENT = ("inactivereservation", "declined", "expired", "inactive")


def read(asked: Asked) -> Reading:
    """Return what the leases say."""
    zone = _zone(asked)
    rejects = Rejects(asked)
    observations: list[Observation] = []
    leases = without = 0
    text = _decoded(asked)
    lines = text.splitlines()
    skip = 1 if lines and lines[0].startswith("#TYPE") else 0
    table = csv.DictReader(
        io.StringIO("\n".join(lines[skip:])), delimiter=_delimiter(lines[skip] if len(lines) > skip else "")
    )
    if not {"IPAddress", "ClientId"} <= set(table.fieldnames or ()):
        raise FindingError(
            codes.SOURCE_FAILED.at(f"{asked.name}: no columns IPAddress and ClientId", Location(str(asked.path), 1))
        )
    for row in table:
        leases += 1
        line = table.line_num + skip
        state = (row.get("AddressState") or "Active").strip().lower()
        if state in SILENT:
            continue
        if state not in HELD:
            rejects.add(line, f"state {state[:40]!r}")
            continue
        client = (row.get("ClientId") or "").strip()
        try:
            normal_mac(client)
        except ValueError:
            without += 1  # a client may name itself by something else than its MAC (option 61)
            continue
        ends, why = _moment((row.get("LeaseExpiryTime") or "").strip(), str(asked.option("time_format")), zone)
        if why:
            rejects.add(line, why)
        until = asked.at if ends is None else min(asked.at, ends)
        try:
            observations += lease_observations(
                asked.name,
                client,
                (row.get("IPAddress") or "").strip(),
                until,
                until,
                asked.at,
                hostname=row.get("HostName") or "",
            )
        except ValueError as error:
            rejects.add(line, str(error))
    return reading(observations, rejects, leases=leases, without_mac=without)


def _zone(asked: Asked) -> tzinfo:
    name = str(asked.option("time_zone", "UTC"))
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise FindingError(codes.SOURCE_INVALID.at(f"{asked.name}: no time zone {name[:60]!r}")) from error


def _decoded(asked: Asked) -> str:
    given = str(asked.option("encoding"))
    if given:
        return asked.text(given)
    head = asked.path.read_bytes()[:3] if asked.path and asked.path.is_file() else b""
    return asked.text(
        "utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig" if head == b"\xef\xbb\xbf" else "utf-8"
    )


def _delimiter(header: str) -> str:
    return ";" if header.count(";") > header.count(",") else ","


def _moment(text: str, form: str, zone: tzinfo) -> tuple[int | None, str]:
    """Return (microseconds or None, why it was not understood)."""
    if not text:
        return None, ""
    try:
        made = datetime.strptime(text, form) if form else datetime.fromisoformat(text)
    except ValueError:
        if re.search(r"\d", text) and not form:
            return None, f"the time {text[:40]!r} is of no form that is the same everywhere: give time_format"
        return None, f"the time {text[:40]!r} is not of the form {form!r}"
    if made.tzinfo is None:
        made = made.replace(tzinfo=zone)
    return int(made.astimezone(UTC).timestamp()) * SECOND, ""


KIND = Kind(
    "windows_dhcp",
    "Leases of Windows DHCP: Get-DhcpServerv4Lease piped to Export-Csv",
    read,
    {
        "time_format": "how LeaseExpiryTime is written, as in Python's strptime (%d.%m.%Y %H:%M:%S); not needed for ISO 8601",
        "time_zone": "the server's time zone (Europe/Vienna), UTC where not given",
        "encoding": "the file's encoding; told by its beginning where not given",
    },
)
