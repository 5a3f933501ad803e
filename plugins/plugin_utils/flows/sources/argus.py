# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Argus flows as text (``ra -c , -n`` with a title line; ``.binetflow`` files), separated by commas or tabs.

The arrow says which end opened: ``->`` and ``<-`` for TCP whose handshake was seen; ``?`` in it says that it was not (ra(1)). Arrows of
other protocols only say who was seen sending. Times have no zone in this format: they are taken as UTC unless the import's options
give ``utc_offset_minutes``. Dates as ``2018/05/10 10:52:47.283479`` and seconds since 1970 are read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError, Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources import columns as convert
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.kind import Kind, Opening
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.log_source import (
    ACK,
    ANSWERED,
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
    UDP,
    UNSAID,
    LogSource,
    icmp_ports,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.text import (
    Piece,
    Rows,
    delimited,
    pieces,
    plain_head,
    reader,
)

np = guarded("numpy")

NEEDED = ("StartTime", "Proto", "SrcAddr", "DstAddr", "Dir")
# Protocols that are not over IP, and records about the sensor itself.
NO_IP = frozenset(
    ["arp", "rarp", "llc", "man", "ipx", "ipx/spx", "eth", "lldp", "stp", "isis", "loop", "udt", "rtp-none"]
)
FORMATS = ("%Y/%m/%d %H:%M:%S.%f", "%Y/%m/%d %H:%M:%S", "%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%dT%H:%M:%S.%f")
STATES = {"S": SYN, "A": ACK, "P": PSH, "F": FIN, "R": RST}
DAY_MINUTES = 1440


@dataclass
class ArgusText(LogSource):
    """Source over one text file of Argus flows. ``offset_us`` is what local time is ahead of UTC."""

    kind: str = "argus"
    offset_us: int = 0

    def _rows(self) -> Iterator[dict[str, Any]]:
        names: list[str] = []
        delimiter, clock = ",", reader()
        for piece in pieces(self.path, self.rejects, self.findings):
            if not names:
                title, _end, rest = piece.data.partition(b"\n")
                delimiter = "\t" if title.count(b"\t") > title.count(b",") else ","
                names = [each.strip() for each in title.decode("utf-8", "replace").split(delimiter)][:256]
                if not set(NEEDED) <= set(names):
                    text = f"the title line lacks {', '.join(sorted(set(NEEDED) - set(names)))}"
                    raise FindingError(codes.TEXT_LAYOUT.at(text, Location(str(self.path), 1)))
                piece = Piece(2, rest)
            if not piece.data:
                continue
            rows = delimited(piece, names, delimiter, self.rejects)
            if len(rows):
                yield self._columns(rows, clock)

    def _columns(self, rows: Rows, clock: Any) -> dict[str, Any]:
        proto_text = rows.column("Proto")
        proto = convert.protocols(proto_text)
        no_ip = (proto < 0) & (convert.each(proto_text, lambda text: int(text.strip().lower() in NO_IP), 1) == 1)
        source_hi, source_lo, bad_source = convert.addresses(rows.column("SrcAddr"))
        target_hi, target_lo, bad_target = convert.addresses(rows.column("DstAddr"))
        start, bad_start = convert.micros(rows.column("StartTime"))
        if bad_start.any():
            second, still = convert.iso_micros(rows.column("StartTime"), clock, FORMATS)
            start, bad_start = np.where(bad_start, second, start), bad_start & still
        start = start - self.offset_us
        lasted, bad_duration = convert.micros(rows.column("Dur"), default=0)
        source_port, bad_sport = _ports(rows.column("Sport"))
        target_port, bad_tport = _ports(rows.column("Dport"))
        every, bad_every = convert.integers(rows.column("TotPkts"), MOST_PACKETS, default=0)
        octets, bad_octets = convert.integers(rows.column("TotBytes"), MOST_BYTES, default=0)
        own_packets, bad_own = convert.integers(rows.column("SrcPkts"), MOST_PACKETS, default=-1)
        own_octets, bad_bytes = convert.integers(rows.column("SrcBytes"), MOST_BYTES, default=-1)
        arrow = rows.column("Dir")
        replied = convert.each(arrow, lambda text: int("<" in text and ">" in text)) == 1
        # Without a count of its own the first end has all, unless both were seen: then at least one packet came back.
        own_packets = np.where(own_packets >= 0, own_packets, every - (replied & (every > 1)))
        own_octets = np.where(own_octets >= 0, own_octets, octets)
        bad = no_ip.copy()
        self.leave_out("no_ip", no_ip.sum())
        for reason, mask, name in (
            ("the protocol is unknown", proto < 0, "Proto"),
            ("the start time is none", bad_start, "StartTime"),
            ("the duration is no number of seconds", bad_duration | (lasted < 0), "Dur"),
            ("the source address is none", bad_source, "SrcAddr"),
            ("the target address is none", bad_target, "DstAddr"),
            ("the source port is none", bad_sport, "Sport"),
            ("the target port is none", bad_tport, "Dport"),
            ("a counter is no whole number or beyond reason", bad_every | bad_octets | bad_own | bad_bytes, "TotPkts"),
            (
                "the first end has more packets or octets than both",
                (own_packets > every) | (own_octets > octets),
                "SrcPkts",
            ),
        ):
            self.rejects.mask(reason, mask & ~bad, rows.lines, rows.column(name))
            bad |= mask
        state = rows.column("State")
        proto = np.where((proto == ICMP) & (source_hi != np.int64(-(1 << 63))), ICMP6, proto)
        kind, code = _icmp_of(proto, source_port)
        source_port, target_port = icmp_ports(proto, kind, code, source_port, target_port)
        ported = (proto == TCP) | (proto == UDP) | (proto == ICMP) | (proto == ICMP6) | (proto == 132)
        made = {
            "start_us": start, "end_us": start + lasted,
            "source_hi": source_hi, "source_lo": source_lo, "target_hi": target_hi, "target_lo": target_lo,
            "protocol": proto,
            "source_port": np.where(ported, source_port, 0), "target_port": np.where(ported, target_port, 0),
            "packets": own_packets, "bytes": own_octets,
            "reply_packets": every - own_packets, "reply_bytes": octets - own_octets,
            "flags": convert.each(state, lambda text: _flags(text, 0)),
            "reply_flags": convert.each(state, lambda text: _flags(text, 1)),
            "said": np.where(proto == TCP, convert.each(arrow, _said), UNSAID).astype(np.int8),
        }  # fmt: skip
        good = ~bad
        return made if good.all() else {name: value[good] for name, value in made.items()}


def _said(arrow: str) -> int:
    bare = arrow.strip()
    if bare == "->":
        return OPENED
    return ANSWERED if bare == "<-" else UNSAID


def _flags(state: str, side: int) -> int:
    """Return TCP flags of one side of a state as ``FSPA_SRA``; states by name (CON, INT) have none."""
    first, sep, second = state.strip().partition("_")
    if not sep:
        return 0
    made = 0
    for letter in (first, second)[side]:
        made |= STATES.get(letter, 0)
    return made


def _ports(column: Any) -> tuple[Any, Any]:
    """Return (ports, bad) of decimal or hexadecimal text; an absent port is 0."""

    def number(text: str) -> int:
        bare = text.strip()
        if re.fullmatch(r"[0-9]{1,5}", bare):
            made = int(bare)
        elif re.fullmatch(r"0[xX][0-9a-fA-F]{1,4}", bare):
            made = int(bare, 16)
        else:
            return -1 if bare not in ("", "*") else 0
        return made if made < 65536 else -1

    made = convert.each(column, number)
    return made, made < 0


def _icmp_of(proto: Any, source_port: Any) -> tuple[Any, Any]:
    """Return (type, code): Argus writes both as one number in the source port, the type in its low octet. The target's is an identifier."""
    control = (proto == ICMP) | (proto == ICMP6)
    return np.where(control, source_port & 0xFF, 0), np.where(control, source_port >> 8, 0)


def is_argus(path: Path, head: bytes) -> bool:
    """Return whether a file begins with a title line of Argus."""
    del path
    title = plain_head(head).split(b"\n", 1)[0].decode("utf-8", "replace")
    return set(NEEDED) <= {each.strip() for each in re.split(r"[,\t]", title)}


def _opened(path: Path, source: str, opening: Opening) -> ArgusText:
    minutes = opening.options.get("utc_offset_minutes", 0)
    if isinstance(minutes, bool) or not isinstance(minutes, int) or abs(minutes) > DAY_MINUTES:
        text = f"utc_offset_minutes is {minutes!r}, not a whole number from -{DAY_MINUTES} to {DAY_MINUTES}"
        raise FindingError(codes.TEXT_LAYOUT.at(text, Location(str(path))))
    return ArgusText(path, opening.exporter, source, offset_us=minutes * 60_000_000)


KIND = Kind(
    "argus",
    "Argus flows as text with a title line (binetflow), commas or tabs, plain or gzip",
    is_argus,
    _opened,
    options=("utc_offset_minutes",),
)
