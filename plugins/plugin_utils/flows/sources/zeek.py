# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Zeek's conn.log, as tab-separated text with its header or as JSON lines, and the answers of its dns.log.

Which end opened is taken from ``history`` and ``conn_state``: an ``S`` (SYN of the originator) or an ``h`` (SYN and ACK of the responder)
is proof. What stands before a ``^`` was written before Zeek turned the connection round, which it does when the first packet comes from
a likely server port, so only what follows counts, and a row of TCP without either is left to the rules (facts/flows.md section 5).
ICMP has its type in the originator's port and the code or the type of the answer in the responder's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources import columns as convert
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.kind import Kind, Opening
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.log_source import (
    ACK,
    FIN,
    ICMP,
    ICMP6,
    MOST_BYTES,
    MOST_PACKETS,
    OPENED,
    PSH,
    RST,
    SYN,
    TCP,
    UNSAID,
    LogSource,
    icmp_ports,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.text import (
    Piece,
    Rejects,
    Rows,
    delimited,
    json_lines,
    pieces,
    plain_head,
    reader,
)

np = guarded("numpy")

# fmt: off
CONN = [
    "ts", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p", "proto", "duration", "orig_bytes", "resp_bytes", "conn_state", "history",
    "orig_pkts", "orig_ip_bytes", "resp_pkts", "resp_ip_bytes", "missed_bytes",
]
# fmt: on
NEEDED = ("ts", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p", "proto")
LETTERS = {"s": SYN, "h": SYN | ACK, "a": ACK, "d": ACK | PSH, "f": FIN | ACK, "r": RST}
# States that Zeek gives only where it saw the originator's SYN or the responder's SYN and ACK (its conn/main.zeek).
SEEN_OPENING = frozenset(["S0", "S1", "SF", "REJ", "S2", "S3", "RSTO", "RSTR", "RSTOS0", "RSTRH", "SH", "SHR"])
# Messages that come in pairs: Zeek then puts the answer's type where the code would stand.
PAIRED = {
    ICMP: (0, 8, 9, 10, 13, 14, 15, 16, 17, 18),
    ICMP6: (128, 129, 130, 131, 132, 133, 134, 135, 136, 139, 140, 144, 145),
}
HEADER_LINES = 64
LONGEST_HISTORY = 256


@dataclass
class Layout:
    """The header of a tab-separated Zeek log."""

    fields: list[str] = field(default_factory=list)
    separator: str = "\t"
    unset: list[str] = field(default_factory=lambda: ["-", "(empty)", ""])
    path: str = ""

    def take(self, line: str) -> None:
        """Read one line that begins with ``#``."""
        if line.startswith("#separator "):
            value = line[len("#separator ") :].strip()
            found = re.fullmatch(r"\\x([0-9a-fA-F]{2})", value)
            made = chr(int(found[1], 16)) if found else value
            if len(made) == 1 and made.isascii() and made not in "\n\r":
                self.separator = made
            return
        name, _sep, rest = line.partition(self.separator)
        if name == "#fields" and rest:
            self.fields = rest.split(self.separator)[:512]
        elif name == "#path":
            self.path = rest.strip()
        elif name == "#unset_field":
            self.unset[0] = rest
        elif name == "#empty_field":
            self.unset[1] = rest


def zeek_rows(path: Path, wanted: list[str], rejects: Rejects, findings: list[Any]) -> Iterator[Rows]:
    """Yield the rows of a Zeek log in either form, with the wanted fields as text."""
    layout, connection = Layout(), None
    for piece in pieces(path, rejects, findings):
        if piece.data.lstrip()[:1] == b"{":
            connection = connection or reader()
            yield json_lines(piece, wanted, rejects, connection)
            continue
        for part in _sections(piece, layout):
            if not layout.fields:
                rejects.add("stand before any #fields line", part.first_line, count=part.data.count(b"\n"))
                continue
            yield delimited(part, layout.fields, layout.separator, rejects, unset=layout.unset)


def _sections(piece: Piece, layout: Layout) -> Iterator[Piece]:
    """Yield runs of lines between those that begin with ``#``, which change the layout: rotated logs may have been joined."""
    start, line = 0, piece.first_line
    data = piece.data
    while start < len(data):
        at = start if data.startswith((b"#", b"\t#", b" #"), start) else _next_header(data, start)
        if at > start:
            run = data[start:at]
            yield Piece(line, run)
            line += run.count(b"\n")
        if at < len(data):
            end = data.find(b"\n", at)
            layout.take(data[at:end].decode("utf-8", "replace").lstrip("\t "))
            line, at = line + 1, end + 1
        start = at


def _next_header(data: bytes, start: int) -> int:
    found = [each for each in (data.find(mark, start) for mark in (b"\n#", b"\n\t#")) if each >= 0]
    return min(found) + 1 if found else len(data)


def _after_turn(history: str) -> str:
    return history[:LONGEST_HISTORY].rpartition("^")[2]


def _shows_opening(history: str) -> int:
    after = _after_turn(history)
    return int("S" in after or "h" in after)


def _flags(history: str, upper: bool) -> int:
    made = 0
    for letter in history[:LONGEST_HISTORY]:
        if letter.isupper() == upper:
            made |= LETTERS.get(letter.lower(), 0)
    return made


@dataclass
class ZeekConnections(LogSource):
    """Source over one Zeek conn.log."""

    kind: str = "zeek_conn"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._clock: Any = None

    def _rows(self) -> Iterator[dict[str, Any]]:
        for rows in zeek_rows(self.path, CONN, self.rejects, self.findings):
            if len(rows):
                yield self._columns(rows)

    def _times(self, column: Any) -> tuple[Any, Any]:
        """Return (microseconds, bad) of seconds, or, as Zeek's JSON may be set to write them, milliseconds or ISO 8601."""
        made, bad = convert.micros(column)
        if bad.any():
            # Beyond the year 9999 as seconds, so milliseconds.
            second, still = convert.micros(column, "ms")
            made, bad = np.where(bad, second, made), bad & still
        if bad.any():
            self._clock = self._clock or reader()
            second, still = convert.iso_micros(column, self._clock)
            made, bad = np.where(bad, second, made), bad & still
        return made, bad

    def _columns(self, rows: Rows) -> dict[str, Any]:
        reject = self.rejects.mask
        proto = convert.protocols(rows.column("proto"))
        known = convert.valid(rows.column("proto"))
        names = rows.column("proto")
        other = known & (proto < 0) & (convert.each(names, lambda text: int(text == "unknown_transport")) == 1)
        self.leave_out("unknown_transport", other.sum())
        start, bad_start = self._times(rows.column("ts"))
        lasted, bad_duration = convert.micros(rows.column("duration"), default=0)
        source_hi, source_lo, bad_source = convert.addresses(rows.column("id.orig_h"))
        target_hi, target_lo, bad_target = convert.addresses(rows.column("id.resp_h"))
        source_port, bad_sport = convert.integers(rows.column("id.orig_p"), 65535)
        target_port, bad_tport = convert.integers(rows.column("id.resp_p"), 65535)
        counters, bad_counters = {}, {}
        for name, limit in (
            ("orig_pkts", MOST_PACKETS), ("resp_pkts", MOST_PACKETS), ("orig_bytes", MOST_BYTES), ("resp_bytes", MOST_BYTES),
            ("orig_ip_bytes", MOST_BYTES), ("resp_ip_bytes", MOST_BYTES),
        ):  # fmt: skip
            counters[name], bad = convert.integers(rows.column(name), limit, default=-1)
            bad_counters[name] = bad
        bad = other.copy()
        for reason, mask, name in (
            ("the protocol is unknown", (proto < 0) & ~other, "proto"),
            ("the time is no number of seconds", bad_start, "ts"),
            ("the duration is no number of seconds", bad_duration | (lasted < 0), "duration"),
            ("the source address is none", bad_source, "id.orig_h"),
            ("the target address is none", bad_target, "id.resp_h"),
            ("the source port is none", bad_sport, "id.orig_p"),
            ("the target port is none", bad_tport, "id.resp_p"),
            *(("a counter is no whole number or beyond reason", mask, name) for name, mask in bad_counters.items()),
        ):
            reject(reason, mask & ~bad, rows.lines, rows.column(name))
            bad |= mask
        history = rows.column("history")
        state = rows.column("conn_state")
        has_history = convert.valid(history)
        opening = np.where(
            has_history,
            convert.each(history, _shows_opening) == 1,
            convert.each(state, lambda text: int(text in SEEN_OPENING)) == 1,
        )
        proto = np.where((proto == ICMP) & (source_hi != np.int64(-(1 << 63))), ICMP6, proto)
        code = target_port.copy()
        for number, paired in PAIRED.items():
            code[(proto == number) & np.isin(source_port, paired)] = 0
        kinds = np.clip(source_port, 0, 255)
        source_port, target_port = icmp_ports(proto, kinds, np.clip(code, 0, 255), source_port, target_port)
        spoke = convert.each(history, lambda text: int(any(c.isupper() for c in _after_turn(text))))
        answered = convert.each(history, lambda text: int(any(c.islower() for c in _after_turn(text))))
        made = {
            "start_us": start,
            "end_us": start + lasted,
            "source_hi": source_hi, "source_lo": source_lo, "target_hi": target_hi, "target_lo": target_lo,
            "protocol": proto,
            "source_port": source_port, "target_port": target_port,
            "packets": _packets(counters["orig_pkts"], counters["orig_bytes"], np.where(has_history, spoke, 1)),
            "bytes": _bytes(counters["orig_ip_bytes"], counters["orig_bytes"]),
            "reply_packets": _packets(counters["resp_pkts"], counters["resp_bytes"], answered),
            "reply_bytes": _bytes(counters["resp_ip_bytes"], counters["resp_bytes"]),
            "flags": convert.each(history, lambda text: _flags(text, True)),
            "reply_flags": np.where(
                has_history,
                convert.each(history, lambda text: _flags(text, False)),
                convert.each(state, lambda text: RST if text == "REJ" else 0),
            ),
            "said": np.where((proto == TCP) & opening, OPENED, UNSAID).astype(np.int8),
        }  # fmt: skip
        good = ~bad
        return made if good.all() else {name: value[good] for name, value in made.items()}


def _packets(counted: Any, octets: Any, letters: Any) -> Any:
    """Return packets: as counted, else one where octets or the history say that there were some."""
    return np.where(counted >= 0, counted, ((octets > 0) | (letters == 1)).astype(np.int64))


def _bytes(whole: Any, payload: Any) -> Any:
    return np.where(whole >= 0, whole, np.maximum(payload, 0))


def log_path(head: bytes) -> tuple[str, list[str]]:
    """Return (Zeek's name of the log or empty, its field names) from the first octets of a file."""
    layout = Layout()
    text = plain_head(head).decode("utf-8", "replace")
    for line in text.split("\n")[:HEADER_LINES]:
        stripped = line.lstrip("\t ").rstrip("\r")
        if not stripped.startswith("#"):
            if stripped:
                break
            continue
        layout.take(stripped)
    if layout.fields:
        # It becomes part of a message.
        return re.sub(r"[^A-Za-z0-9_.-]", "?", layout.path)[:40], layout.fields
    if text.lstrip().startswith("{"):
        first = text.lstrip().split("\n", 1)[0]
        return "", re.findall(r'"([A-Za-z_][A-Za-z0-9_.]{0,63})"\s*:', first)
    return "", []


def is_connections(path: Path, head: bytes) -> bool:
    """Return whether a file begins as Zeek's conn.log."""
    del path
    name, fields = log_path(head)
    if name:
        return name == "conn"
    return set(NEEDED) <= set(fields) and "conn_state" in fields


def _opened(path: Path, source: str, opening: Opening) -> ZeekConnections:
    return ZeekConnections(path, opening.exporter, source)


KIND = Kind(
    "zeek_conn",
    "Zeek conn.log, tab-separated or JSON lines, plain or gzip",
    is_connections,
    _opened,
    options=(),
)
