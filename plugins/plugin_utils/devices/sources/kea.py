# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kea's leases: the memfile backend's CSV, and answers to lease4-get-all or lease6-get-all as JSON.

Kea appends to its CSV, so an address may stand there several times; each row is a claim. State 0 is in use, 1 declined, 2 expired and
reclaimed, 3 released (Kea Administrator Reference Manual, Memfile and Lease Commands).
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError, Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.model import Observation
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.sources.kind import (
    Asked,
    Kind,
    Reading,
    Rejects,
    json_value,
    reading,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.sources.leases import (
    DUID_MAC,
    FOREVER,
    LEASE,
    SECOND,
    Turn,
    last_moments,
    lease_observations,
    mac_of_duid,
)

USED, DECLINED = 0, 1


def read(asked: Asked) -> Reading:
    """Return what the leases say."""
    text = asked.text()
    observations: list[Observation] = []
    rejects = Rejects(asked)
    leases = without = 0
    rows = list(_json_rows(asked) if text.lstrip()[:1] in ("{", "[") else _csv_rows(asked, text))
    for (line, row), left in zip(rows, last_moments([_turn(row) for _line, row in rows]), strict=True):
        leases += 1
        try:
            state, until, valid = int(row.get("state") or 0), int(row["expire"]), int(row["valid_lifetime"])
            if state == DECLINED:
                continue
            mac, sure = str(row.get("hwaddr") or ""), LEASE
            if not mac and row.get("duid"):
                mac, sure = mac_of_duid(_octets(str(row["duid"]))) or "", DUID_MAC
            if not mac:
                without += 1
                continue
            started = (until - valid) * SECOND
            # Released and reclaimed leases were held from some moment before their last word, of which nothing more is known.
            known = max(started, min(until * SECOND, asked.at, left)) if state == USED else started
            observations += lease_observations(
                asked.name,
                mac,
                str(row["address"]),
                started,
                known,
                asked.at,
                hostname=_plain(str(row.get("hostname") or "")),
                vendor_class=_vendor_class(row.get("user_context")),
                sure=sure,
            )
        except (ValueError, KeyError, TypeError) as error:
            rejects.add(line, f"{type(error).__name__} {error}")
    return reading(observations, rejects, leases=leases, without_mac=without)


def _turn(row: Mapping[str, Any]) -> Turn:
    try:
        state, ends, valid = int(row.get("state") or 0), int(row["expire"]), int(row["valid_lifetime"])
    except (ValueError, KeyError, TypeError):
        return Turn("", "", False, FOREVER, FOREVER)  # told as an entry that was not understood
    who = "" if state == DECLINED else str(row.get("hwaddr") or row.get("duid") or "")
    return Turn(str(row.get("address")), who, state == USED, (ends - valid) * SECOND, ends * SECOND)


def _csv_rows(asked: Asked, text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    table = csv.DictReader(io.StringIO(text))
    if not {"address", "expire", "valid_lifetime"} <= set(table.fieldnames or ()):
        raise FindingError(
            codes.SOURCE_FAILED.at(f"{asked.name}: no header of a Kea lease file", Location(str(asked.path), 1))
        )
    for row in table:
        yield table.line_num, row


def _json_rows(asked: Asked) -> Iterator[tuple[int, Mapping[str, Any]]]:
    value = asked.json()
    for answer in value if isinstance(value, list) else [value]:
        arguments = answer.get("arguments") if isinstance(answer, Mapping) else None
        found = arguments.get("leases") if isinstance(arguments, Mapping) else None
        if not isinstance(found, list):
            raise FindingError(
                codes.SOURCE_FAILED.at(f"{asked.name}: no leases in an answer of Kea", Location(str(asked.path), 1))
            )
        for lease in found:
            if not isinstance(lease, Mapping):
                raise FindingError(
                    codes.SOURCE_FAILED.at(f"{asked.name}: a lease is no object", Location(str(asked.path), 1))
                )
            valid = lease.get("valid-lft")
            yield (
                0,
                {
                    "address": lease.get("ip-address"),
                    "hwaddr": lease.get("hw-address"),
                    "duid": lease.get("duid"),
                    "expire": None if valid is None else int(lease.get("cltt", 0)) + int(valid),
                    "valid_lifetime": valid,
                    "hostname": lease.get("hostname"),
                    "state": lease.get("state"),
                    "user_context": lease.get("user-context"),
                },
            )


def _plain(text: str) -> str:
    """Return text with Kea's escapes for commas undone."""
    return re.sub(r"&#x([0-9a-fA-F]{2})", lambda found: chr(int(found[1], 16)), text)


def _octets(duid: str) -> bytes:
    return bytes.fromhex(duid.replace(":", "").replace("-", ""))


def _vendor_class(context: Any) -> str:
    """Return the vendor class where a site keeps it in the lease's user context under ``vendor-class``."""
    if isinstance(context, str) and context.strip():
        try:
            context = json_value(_plain(context))
        except ValueError:
            return ""
    found = context.get("vendor-class") if isinstance(context, Mapping) else ""
    return found if isinstance(found, str) else ""


KIND = Kind("kea", "Leases of Kea: memfile CSV, or answers to lease4-get-all and lease6-get-all as JSON", read)
