# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logs of denied packets: syslog files of switches, routers and firewalls, and the kernel's packet log, to denials.

They are evidence of another kind than flows: nothing of them becomes a connection. Each names the point (the host that wrote it) and, as
far as its message says, the list, the entry and the pair of security group tags.

Options of an import: ``utc_offset_minutes`` for times that name no zone, ``year`` for times without a year (otherwise the newest that
is not after the file's own time), ``nftables_prefix``, a regular expression for prefixes of rules that drop.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError, Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import codes, kept
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.records import Quality
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.schema import RECORDS, empty
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources import deny_messages
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.kind import Kind, Opening
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.syslog import Clock, stamp_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.text import Rejects, pieces, plain_head

ROWS = 1 << 16
LEFT_OUT = ("other_messages", deny_messages.PERMITTED, deny_messages.RATE, deny_messages.NO_VERDICT)
DAY_MINUTES = 1440
MARKS = re.compile(
    rb"%(?:SEC-[0-7]-IPACCESSLOG|IPV6_ACL-[0-7]-ACCESSLOG|FMANFP-[0-7]-IP(?:V6)?ACCESSLOG"
    rb"|ACLLOG-[0-7]-ACLLOG_|[A-Z0-9_]{2,20}-[0-7]-SGACLHIT|(?:ASA|FTD|PIX|FWSM)-(?:[a-z]+-)?[0-7]-[0-9]{6}:)"
    rb"|\bIN=[^\s]{0,32} OUT=[^\s]{0,32} .{0,300}SRC="
)


@dataclass
class DenyLog:
    """Source over one log. ``denies`` holds tables of ``kept.DENIES`` between the tables without rows that ``tables`` yields."""

    path: Path
    clock: Clock
    source: str = ""
    point: str = ""
    denying: re.Pattern[str] = field(default_factory=lambda: re.compile(deny_messages.DENYING_PREFIX))
    findings: list[Finding] = field(default_factory=list)
    quality: Quality = field(default_factory=lambda: Quality("deny_log"))
    denies: list[Any] = field(default_factory=list)

    def tables(self) -> Iterator[Any]:
        """Read the log; yields no record. Raises FindingError where it cannot be read at all."""
        rejects = Rejects(str(self.path))
        left_out = dict.fromkeys(LEFT_OUT, 0)
        rows: list[dict[str, Any]] = []
        for piece in pieces(self.path, rejects, self.findings):
            for number, line in enumerate(piece.data.decode().split("\n")[:-1], piece.first_line):
                made = deny_messages.parse(line, self.denying)
                if made is None or made in left_out:
                    left_out[made if isinstance(made, str) else "other_messages"] += bool(line.strip())
                    continue
                stamp = stamp_of(line, self.clock)
                if isinstance(made, str) or stamp is None:
                    rejects.add("the message is not understood" if isinstance(made, str) else "no time", number, line)
                    continue
                row = made.row()
                # The host that wrote the message is the point, whoever gathered the log.
                row.update(time_us=stamp.time_us, point=stamp.host or self.point, input=self.source)
                self.quality.covers(stamp.time_us, stamp.time_us)
                rows.append(row)
                if len(rows) >= ROWS:
                    self.denies.append(kept.table_of("denies", rows))
                    rows = []
                    # Nothing but a sign that there is something to be written beside the flows.
                    yield empty(RECORDS)
        if rows:
            self.denies.append(kept.table_of("denies", rows))
        if left_out[deny_messages.RATE]:
            text = f"{left_out[deny_messages.RATE]} messages say that further denials were not logged"
            self.findings.append(codes.DENIES_LOST.at(text, Location(str(self.path))))
        if left_out[deny_messages.NO_VERDICT]:
            text = f"{left_out[deny_messages.NO_VERDICT]} messages of access lists say neither permit nor deny"
            self.findings.append(codes.DENIES_UNTOLD.at(text, Location(str(self.path))))
        if rejects.total:
            left_out["rejected_lines"] = rejects.total
        self.quality.left_out = {name: count for name, count in sorted(left_out.items()) if count}
        self.findings.extend(rejects.findings())


def is_deny_log(path: Path, head: bytes) -> bool:
    """Return whether a file's beginning holds a message that is read here."""
    del path
    plain = plain_head(head)
    return not plain.lstrip().startswith((b"{", b"#")) and MARKS.search(plain) is not None


def _opened(path: Path, source: str, opening: Opening) -> DenyLog:
    options = opening.options
    offset = options.get("utc_offset_minutes", 0)
    if isinstance(offset, bool) or not isinstance(offset, int) or abs(offset) > DAY_MINUTES:
        raise FindingError(codes.TEXT_LAYOUT.at(f"utc_offset_minutes is {offset!r}", Location(str(path))))
    year = options.get("year")
    if year is None:
        try:
            newest = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        except (OSError, OverflowError, ValueError):
            newest = datetime.now(UTC)
    elif isinstance(year, int) and not isinstance(year, bool) and 1990 <= year <= 9998:
        newest = datetime(year, 12, 31, 23, 59, 59, tzinfo=UTC)
    else:
        raise FindingError(codes.TEXT_LAYOUT.at(f"year is {year!r}, not a year", Location(str(path))))
    prefix = options.get("nftables_prefix", deny_messages.DENYING_PREFIX)
    try:
        denying = re.compile(prefix)
    except (re.error, TypeError) as error:
        raise FindingError(
            codes.TEXT_LAYOUT.at(f"nftables_prefix is no regular expression: {error}", Location(str(path)))
        ) from error
    return DenyLog(path, Clock(newest, timedelta(minutes=offset)), source, opening.exporter, denying)


KIND = Kind(
    "deny_log",
    "syslog with access-list (IOS, NX-OS), SGACL-hit and ASA denials, and the kernel's packet log, to denied packets, plain or gzip",
    is_deny_log,
    _opened,
    options=("utc_offset_minutes", "year", "nftables_prefix"),
)
