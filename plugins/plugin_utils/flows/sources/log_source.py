# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What sources of two-way log rows share: the two one-way records of a row, ICMP as the other sources have it, quality and findings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.records import (
    FROM_EXPORTER,
    Quality,
    record_table,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.icmp import ICMP6_REPLIES, ICMP_REPLIES
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.text import Rejects

np = guarded("numpy")

ICMP, ICMP6, TCP, UDP = 1, 58, 6, 17
MOST_PACKETS = 1 << 40
MOST_BYTES = 1 << 50
FIN, RST, PSH, SYN, ACK = 1, 4, 8, 2, 16
# Which end a row's first address is: the opener for sure, the answering end for sure, or not said (records.py, ``said``).
UNSAID, OPENED, ANSWERED = 0, 1, 2


@dataclass
class LogSource:
    """Base of sources over one text log. ``exporter`` names the sensor; ``source`` is the input's hash prefix.

    A subclass yields (rows, columns) of two-way rows from ``_rows``; this turns them into records.
    """

    path: Path
    exporter: str = ""
    source: str = ""
    kind: str = "log"
    findings: list[Finding] = field(default_factory=list)
    quality: Quality = field(default_factory=Quality)
    names: list[Any] = field(default_factory=list)
    denies: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.quality.kind = self.kind
        self.rejects = Rejects(str(self.path))
        self.left_out: dict[str, int] = {}
        self._place = 0

    def _rows(self) -> Iterator[dict[str, Any]]:
        """Yield columns for ``records_of``."""
        raise NotImplementedError

    def tables(self) -> Iterator[Any]:
        """Yield tables of one-way records; raises FindingError where the file cannot be read at all."""
        exporter = self.exporter or f"{self.kind}-{self.source[:8]}"
        for columns in self._rows():
            count = len(columns["protocol"])
            if not count:
                continue
            table = records_of(columns, self._place, exporter=exporter, source=self.source)
            self._place += 2 * count
            self.quality.records += table.num_rows
            self.quality.covers(int(columns["start_us"].min()), int(columns["end_us"].max()))
            yield table
        self.quality.left_out = {name: count for name, count in sorted(self.left_out.items()) if count}
        if self.rejects.total:
            self.quality.left_out["rejected_lines"] = self.rejects.total
        if self.quality.records:
            span = {"first_us": self.quality.first_us, "last_us": self.quality.last_us}
            self.quality.exporters = {exporter: {"records": self.quality.records, **span}}
        self.findings.extend(self.rejects.findings())
        if self.left_out.get("no_ip"):
            text = f"{self.left_out['no_ip']} rows are of protocols other than IP"
            self.findings.append(codes.ROWS_NO_IP.at(text, Location(str(self.path))))

    def leave_out(self, reason: str, count: int) -> None:
        """Count rows that are rightly no flow."""
        if count:
            self.left_out[reason] = self.left_out.get(reason, 0) + int(count)


def records_of(columns: dict[str, Any], place: int, **constants: Any) -> Any:
    """Return the record table of two-way rows: one record for the first end's packets, one for the other's where it sent any.

    ``columns``: start_us, end_us, source_hi, source_lo, target_hi, target_lo, protocol, source_port, target_port, packets, bytes, flags,
    reply_packets, reply_bytes, reply_flags, said. Both begin at the row's start; ``place`` keeps that the first end spoke first.
    """
    count = len(columns["protocol"])
    back = np.flatnonzero((columns["reply_packets"] > 0) | (columns["reply_bytes"] > 0))
    # A row always has its first end's record, so that an opener that was never counted is still seen.
    said = columns["said"]
    turned = np.array([UNSAID, ANSWERED, OPENED], dtype=np.int8)[said[back]]
    both = {
        "start_us": (columns["start_us"], columns["start_us"][back]),
        "end_us": (columns["end_us"], columns["end_us"][back]),
        "source_hi": (columns["source_hi"], columns["target_hi"][back]),
        "source_lo": (columns["source_lo"], columns["target_lo"][back]),
        "target_hi": (columns["target_hi"], columns["source_hi"][back]),
        "target_lo": (columns["target_lo"], columns["source_lo"][back]),
        "protocol": (columns["protocol"], columns["protocol"][back]),
        "source_port": (columns["source_port"], columns["target_port"][back]),
        "target_port": (columns["target_port"], columns["source_port"][back]),
        "packets": (columns["packets"], columns["reply_packets"][back]),
        "bytes": (columns["bytes"], columns["reply_bytes"][back]),
        "flags": (columns["flags"], columns["reply_flags"][back]),
        "said": (said, turned),
        "place": (place + 2 * np.arange(count), place + 2 * back + 1),
    }
    # A row is a whole conversation by the sensor's own judgement, so the next row of the same ports is another one.
    opens = np.ones(count, dtype=np.int8)
    made = {name: np.concatenate(pair) for name, pair in both.items()}
    made["opens"] = np.concatenate((opens, np.zeros(len(back), dtype=np.int8)))
    made["origin"] = FROM_EXPORTER
    made.update(constants)
    for name in ("sampling", "exporter"):
        if name in columns:
            made[name] = np.concatenate((columns[name], columns[name][back]))
    return record_table(count + len(back), made)


def icmp_ports(protocol: Any, kind: Any, code: Any, source_port: Any, target_port: Any) -> tuple[Any, Any]:
    """Return (source ports, target ports) with type * 256 + code on the server's side for ICMP, as ``frames`` has it."""
    source_port, target_port = source_port.copy(), target_port.copy()
    for number, replies in ((ICMP, ICMP_REPLIES), (ICMP6, ICMP6_REPLIES)):
        own = protocol == number
        if not own.any():
            continue
        source_port[own] = 0
        target_port[own] = kind[own] * 256 + code[own]
        for reply, request in replies.items():
            answers = own & (kind == reply)
            source_port[answers] = request * 256 + code[answers]
            target_port[answers] = 0
    return source_port, target_port
