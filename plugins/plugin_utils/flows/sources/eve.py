# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Suricata's EVE log (JSON lines): ``flow`` and ``netflow`` events to records, ``dns`` answers to names. Alerts are no flows.

The source of a flow event is the end that Suricata takes for the client: the sender of the first packet it saw. That is proof where the
flags towards the server hold SYN, or where its parser knows the protocol of a datagram; a session of TCP that was picked up in its
middle is left to the rules (facts/flows.md section 1: mid-stream direction; section 5).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import address, kept
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources import columns as convert
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.dns import (
    LONGEST_TTL,
    MOST_RECORDS,
    clean_name,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.kind import Kind, Opening
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.log_source import (
    ICMP,
    ICMP6,
    MOST_BYTES,
    MOST_PACKETS,
    OPENED,
    SYN,
    TCP,
    UNSAID,
    LogSource,
    icmp_ports,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.text import (
    Rows,
    json_lines,
    pieces,
    plain_head,
    reader,
)

np = guarded("numpy")

COMMON = (
    "event_type",
    "timestamp",
    "src_ip",
    "src_port",
    "dest_ip",
    "dest_port",
    "proto",
    "icmp_type",
    "icmp_code",
    "app_proto",
)
FLOW = (
    "flow/start", "flow/end", "flow/pkts_toserver", "flow/pkts_toclient", "flow/bytes_toserver", "flow/bytes_toclient",
    "netflow/start", "netflow/end", "netflow/pkts", "netflow/bytes", "tcp/tcp_flags", "tcp/tcp_flags_ts", "tcp/tcp_flags_tc",
)  # fmt: skip
DNS = ("dns/type", "dns/rrname", "dns/rrtype", "dns/rdata", "dns/ttl", "dns/rcode", "dns/answers", "dns/queries")
UNKNOWN_PROTOCOLS = frozenset(("failed", "unknown", ""))


@dataclass
class EveLog(LogSource):
    """Source over one EVE log."""

    kind: str = "eve"

    def _rows(self) -> Iterator[dict[str, Any]]:
        connection = reader()
        for piece in pieces(self.path, self.rejects, self.findings):
            rows = json_lines(piece, (*COMMON, *FLOW, *DNS), self.rejects, connection)
            kinds = rows.column("event_type")
            flow = convert.each(kinds, lambda text: int(text in ("flow", "netflow"))) == 1
            others = convert.each(kinds, lambda text: int(text not in ("flow", "netflow", "dns"))) == 1
            self.leave_out("other_events", (others & convert.valid(kinds)).sum())
            self.rejects.mask("no event_type", ~convert.valid(kinds), rows.lines)
            dns = convert.each(kinds, lambda text: int(text == "dns")) == 1
            if dns.any():
                self._answers(rows.keep(dns), connection)
            if flow.any():
                yield self._columns(rows.keep(flow), connection)

    def _answers(self, rows: Rows, connection: Any) -> None:
        """Keep the addresses of DNS answers, in the forms of Suricata 4 (one event an answer) to 8 (queries and answers as lists)."""
        moments, bad = convert.iso_micros(rows.column("timestamp"), connection)
        texts = {name: rows.column(name).to_pylist() for name in (*DNS, "src_ip", "src_port", "dest_ip")}
        made = []
        for i in np.flatnonzero(~bad):
            row = {name: values[i] for name, values in texts.items()}
            if row["dns/type"] not in ("answer", "response") or row["dns/rcode"] not in (None, "NOERROR"):
                continue
            queries, answers = _listed(row["dns/queries"]), _listed(row["dns/answers"])
            asked = clean_name(row["dns/rrname"] or (str(queries[0].get("rrname", "")) if queries else ""))
            # An answer travels from port 53 to the client; some versions log the pair as the query went.
            client = row["dest_ip"] if row["src_port"] == "53" else row["src_ip"]
            if not answers and row["dns/rdata"]:
                answers = [{"rdata": row["dns/rdata"], "ttl": row["dns/ttl"]}]
            try:
                hi, lo = address.columns_of(client or "")
            except ValueError:
                continue
            for each in answers if asked else ():
                try:
                    named = address.columns_of(str(each.get("rdata", "")))
                    ttl = max(0, min(LONGEST_TTL, int(each.get("ttl") or 0)))
                except (ValueError, TypeError):
                    continue
                made.append({"time_us": int(moments[i]), "address_hi": named[0], "address_lo": named[1], "name": asked, "client_hi": hi,
                             "client_lo": lo, "ttl": ttl, "via": "eve", "exporter": self.exporter or f"eve-{self.source[:8]}"})  # fmt: skip
        if made:
            self.names.append(kept.table_of("names", made))

    def _columns(self, rows: Rows, connection: Any) -> dict[str, Any]:
        two_way = convert.each(rows.column("event_type"), lambda text: int(text == "flow")) == 1

        def either(first: str, second: str, high: int) -> tuple[Any, Any]:
            one, bad_one = convert.integers(rows.column(first), high, default=0)
            other, bad_other = convert.integers(rows.column(second), high, default=0)
            return np.where(two_way, one, other), np.where(two_way, bad_one, bad_other)

        def moment(first: str, second: str) -> tuple[Any, Any]:
            one, bad_one = convert.iso_micros(rows.column(first), connection)
            other, bad_other = convert.iso_micros(rows.column(second), connection)
            return np.where(two_way, one, other), np.where(two_way, bad_one, bad_other)

        start, bad_start = moment("flow/start", "netflow/start")
        end, bad_end = moment("flow/end", "netflow/end")
        end = np.where(bad_end, start, end)
        proto = convert.protocols(rows.column("proto"))
        source_hi, source_lo, bad_source = convert.addresses(rows.column("src_ip"))
        target_hi, target_lo, bad_target = convert.addresses(rows.column("dest_ip"))
        source_port, bad_sport = convert.integers(rows.column("src_port"), 65535, default=0)
        target_port, bad_tport = convert.integers(rows.column("dest_port"), 65535, default=0)
        packets, bad_packets = either("flow/pkts_toserver", "netflow/pkts", MOST_PACKETS)
        octets, bad_octets = either("flow/bytes_toserver", "netflow/bytes", MOST_BYTES)
        reply_packets, bad_rp = convert.integers(rows.column("flow/pkts_toclient"), MOST_PACKETS, default=0)
        reply_octets, bad_ro = convert.integers(rows.column("flow/bytes_toclient"), MOST_BYTES, default=0)
        bad = np.zeros(len(rows), dtype=bool)
        for reason, mask, name in (
            ("the protocol is unknown", proto < 0, "proto"),
            ("the event has no start time", bad_start, "flow/start"),
            ("the source address is none", bad_source, "src_ip"),
            ("the target address is none", bad_target, "dest_ip"),
            ("the source port is none", bad_sport, "src_port"),
            ("the target port is none", bad_tport, "dest_port"),
            ("a counter is no whole number or beyond reason", bad_packets, "flow/pkts_toserver"),
            ("a counter is no whole number or beyond reason", bad_octets, "flow/bytes_toserver"),
            ("a counter is no whole number or beyond reason", bad_rp, "flow/pkts_toclient"),
            ("a counter is no whole number or beyond reason", bad_ro, "flow/bytes_toclient"),
            ("the event ends before it starts", end < start, "flow/end"),
        ):
            self.rejects.mask(reason, mask & ~bad, rows.lines, rows.column(name))
            bad |= mask
        forward, back = (convert.each(rows.column(name), _hex) for name in ("tcp/tcp_flags_ts", "tcp/tcp_flags_tc"))
        single = convert.each(rows.column("tcp/tcp_flags"), _hex)
        has_flags = convert.valid(rows.column("tcp/tcp_flags_ts"))
        parsed = convert.each(rows.column("app_proto"), lambda text: int(text not in UNKNOWN_PROTOCOLS)) == 1
        proof = np.where(proto == TCP, ~has_flags | (forward & SYN > 0), parsed)
        kind, _bad = convert.integers(rows.column("icmp_type"), 255, default=0)
        code, _bad = convert.integers(rows.column("icmp_code"), 255, default=0)
        proto = np.where((proto == ICMP) & (source_hi != np.int64(-(1 << 63))), ICMP6, proto)
        source_port, target_port = icmp_ports(proto, kind, code, source_port, target_port)
        made = {
            "start_us": start, "end_us": end,
            "source_hi": source_hi, "source_lo": source_lo, "target_hi": target_hi, "target_lo": target_lo,
            "protocol": proto, "source_port": source_port, "target_port": target_port,
            "packets": packets, "bytes": octets,
            "reply_packets": np.where(two_way, reply_packets, 0), "reply_bytes": np.where(two_way, reply_octets, 0),
            "flags": np.where(two_way, forward, single), "reply_flags": back,
            "said": np.where(two_way & proof, OPENED, UNSAID).astype(np.int8),
        }  # fmt: skip
        good = ~bad
        return made if good.all() else {name: value[good] for name, value in made.items()}


def _listed(text: str | None) -> list[dict[str, Any]]:
    try:
        made = json.loads(text) if text else []
    except (ValueError, RecursionError):
        return []
    return [each for each in made if isinstance(each, dict)][:MOST_RECORDS] if isinstance(made, list) else []


def _hex(text: str) -> int:
    try:
        return int(text, 16) & 0xFF
    except ValueError:
        return 0


def is_eve(path: Path, head: bytes) -> bool:
    """Return whether a file begins with an EVE event."""
    del path
    first = plain_head(head).lstrip().split(b"\n", 1)[0]
    return first.startswith(b"{") and b'"event_type"' in first and b'"timestamp"' in first


def _opened(path: Path, source: str, opening: Opening) -> EveLog:
    return EveLog(path, opening.exporter, source)


KIND = Kind(
    "eve",
    "Suricata EVE JSON lines (flow, netflow and dns events), plain or gzip",
    is_eve,
    _opened,
    options=(),
)
