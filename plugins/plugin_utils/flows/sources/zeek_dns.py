# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Zeek's dns.log: the addresses that were answered, with the name asked for, who asked and the time to live. It holds no flows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import address, kept
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.schema import RECORDS, empty
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources import columns as convert
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.dns import (
    LONGEST_TTL,
    MOST_RECORDS,
    clean_name,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.kind import Kind, Opening
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.zeek import (
    ZeekConnections,
    log_path,
    zeek_rows,
)

# fmt: off
FIELDS = ["ts", "id.orig_h", "id.resp_p", "query", "qtype_name", "rcode_name", "answers", "TTLs"]
# fmt: on
MULTICAST_PORTS = frozenset(("5353", "5355", "137"))


@dataclass
class ZeekNames(ZeekConnections):
    """Source over one Zeek dns.log: ``names`` holds tables of ``kept.NAMES`` once ``tables`` has ended."""

    kind: str = "zeek_dns"

    def _rows(self) -> Iterator[dict[str, Any]]:
        exporter = self.exporter or f"{self.kind}-{self.source[:8]}"
        for rows in zeek_rows(self.path, FIELDS, self.rejects, self.findings):
            if not len(rows):
                continue
            start, bad_start = self._times(rows.column("ts"))
            client_hi, client_lo, bad_client = convert.addresses(rows.column("id.orig_h"))
            self.rejects.mask("the time is no number of seconds", bad_start, rows.lines, rows.column("ts"))
            self.rejects.mask(
                "the client's address is none", bad_client & ~bad_start, rows.lines, rows.column("id.orig_h")
            )
            made = []
            texts = {
                name: rows.column(name).to_pylist() for name in ("query", "answers", "TTLs", "id.resp_p", "rcode_name")
            }
            for i in range(len(rows)):
                name = clean_name(texts["query"][i] or "")
                if bad_start[i] or bad_client[i] or not name or not texts["answers"][i]:
                    continue
                # Names of the local link, which anybody may claim, are no names of peers.
                if texts["id.resp_p"][i] in MULTICAST_PORTS or texts["rcode_name"][i] not in (None, "NOERROR"):
                    continue
                ttls = _list(texts["TTLs"][i])
                for k, (hi, lo) in _addresses(_list(texts["answers"][i])):
                    ttl = _seconds(ttls[k]) if k < len(ttls) else 0
                    made.append({"time_us": int(start[i]), "address_hi": hi, "address_lo": lo, "name": name, "client_hi": int(client_hi[i]),
                                 "client_lo": int(client_lo[i]), "ttl": ttl, "via": "zeek", "exporter": exporter})  # fmt: skip
            if made:
                self.names.append(kept.table_of("names", made))
                yield empty(RECORDS)


def _list(text: str | None) -> list[str]:
    """Return the items of a vector: joined by commas, or a JSON list."""
    if not text:
        return []
    if text.startswith("["):
        try:
            made = json.loads(text)
        except (ValueError, RecursionError):
            return []
        return [str(each) for each in made][:MOST_RECORDS] if isinstance(made, list) else []
    return text.split(",")[:MOST_RECORDS]


def _addresses(answers: list[str]) -> list[tuple[int, tuple[int, int]]]:
    made = []
    for k, text in enumerate(answers):
        try:
            made.append((k, address.columns_of(text.strip())))
        except ValueError:
            continue
    return made


def _seconds(text: str) -> int:
    try:
        return max(0, min(LONGEST_TTL, int(float(text))))
    except (ValueError, OverflowError):
        return 0


def is_names(path: Path, head: bytes) -> bool:
    """Return whether a file begins as Zeek's dns.log."""
    del path
    name, fields = log_path(head)
    return name == "dns" if name else {"ts", "id.orig_h", "query", "qtype"} <= set(fields)


def _opened(path: Path, source: str, opening: Opening) -> ZeekNames:
    return ZeekNames(path, opening.exporter, source)


KIND = Kind(
    "zeek_dns",
    "Zeek dns.log, tab-separated or JSON lines, to names of addresses, plain or gzip",
    is_names,
    _opened,
    options=(),
)
