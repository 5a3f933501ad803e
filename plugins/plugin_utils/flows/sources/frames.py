# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames to packets: addresses, protocol, ports, flags and lengths of a whole batch at a time.

Ethernet with VLAN tags and PPPoE, Linux cooked captures, BSD loopback and raw IP; IPv4, IPv6 with extension headers, fragments.
A reply of an ICMP request is given the request's type on its source side, so that both have one key.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import address
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.capture import Frames, window
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.icmp import (
    ICMP,
    ICMP6,
    ICMP6_REPLIES,
    ICMP_REPLIES,
    canonical_icmp,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.links import (
    IPV4,
    IPV6,
    LINKS,
    link_layer,
    u8,
    u16,
    u32,
    under_labels,
)

np = guarded("numpy")

TCP, UDP = 6, 17
WITH_PORTS = (TCP, UDP, 33, 132, 136)
FRAGMENT_MEMORY = 1 << 16
GRE = 47
# By destination port (IANA) and by protocol number: packets within packets.
TUNNEL_PORTS = {4789: "vxlan", 8472: "vxlan", 6081: "geneve", 2152: "gtp", 5247: "capwap", 1701: "l2tp"}
TUNNEL_PROTOCOLS = {GRE: "gre", 4: "ipip", 41: "6in4", 50: "esp", 115: "l2tp", 137: "mpls"}


@dataclass(frozen=True)
class Packets:
    """Columns of packets that have a conversation.

    ``flags`` is 0 outside TCP; ``place`` is the frame's number in the file; ``payload_at`` and ``end`` are positions in the
    frames' data of the transport header and behind the last octet captured; ``first_part`` is false for later fragments.
    """

    time_us: Any
    source_hi: Any
    source_lo: Any
    target_hi: Any
    target_lo: Any
    protocol: Any
    source_port: Any
    target_port: Any
    length: Any
    flags: Any
    sequence: Any
    broadcast: Any
    place: Any
    payload_at: Any
    end: Any
    first_part: Any


@dataclass
class Decoder:
    """Turns batches of one file into packets; remembers the first parts of fragmented datagrams between batches.

    ``left_out`` counts frames without a conversation by reason: ``not_ip``, ``link_type``, ``cut``, ``damaged``, ``fragment``;
    ``tunnels`` counts packets that carry others, by kind.
    """

    left_out: Counter[str] = field(default_factory=Counter)
    tunnels: Counter[str] = field(default_factory=Counter)
    _first_parts: dict[tuple[int, ...], tuple[int, int]] = field(default_factory=dict)

    def packets(self, frames: Frames) -> Packets:
        """Return the packets of a batch, in its order."""
        if frames.link not in LINKS:
            self.left_out["link_type"] += len(frames.offset)
            return _none()
        end = frames.offset + frames.captured
        kind, at, broadcast = self._link_layer(frames, end)
        four, six = kind == IPV4, kind == IPV6
        self.left_out["not_ip"] += int((~(four | six)).sum())
        made: list[tuple[Any, Packets]] = []
        plain = np.zeros(len(at), dtype=bool)
        for read, of_kind, octets in ((plain4, four, 20), (plain6, six, 40)):
            rows = np.flatnonzero(of_kind & (at + octets <= end))
            if len(rows):
                good, packets = read(frames, at, end, broadcast, None if len(rows) == len(at) else rows)
                if good.all():
                    plain[rows] = True
                    made.append((rows, packets))
                else:
                    plain[rows[good]] = True
                    made.append((rows[good], packets))
        rest = np.flatnonzero((four | six) & ~plain)
        if len(rest):
            made.append(self._careful(frames, rest, kind[rest], at[rest], end[rest], broadcast[rest]))
        whole = _merged(made)
        self._note_tunnels(frames.data, whole)
        return whole

    def _careful(self, frames: Frames, rows: Any, kind: Any, at: Any, end: Any, broadcast: Any) -> tuple[Any, Packets]:
        """Read packets with options, extension headers, fragments, cuts and damage; returns (their rows, packets)."""
        data = frames.data
        head = u8(data, at)
        v4 = (kind == IPV4) & (at + 20 <= end) & (head >> 4 == 4)
        v6 = (kind == IPV6) & (at + 40 <= end) & (head >> 4 == 6)
        self.left_out["damaged"] += int((~v4 & ~v6).sum())
        protocol, layer4, length, part, more, ident, good = _network_layer(data, at, end, head, v4, v6)
        length = _true_length(frames, rows, at, length)
        good &= length > 0
        self.left_out["cut"] += int(((v4 | v6) & ~good).sum())

        chosen = np.flatnonzero(good)
        rows, at, broadcast, length, ident = (each[chosen] for each in (rows, at, broadcast, length, ident))
        v4, protocol, layer4, part, more, end = (each[chosen] for each in (v4, protocol, layer4, part, more, end))
        source, target = _addresses(data, at, v4)
        source_port, target_port, flags, sequence, whole = _transport(data, protocol, layer4, end, part)
        columns = {
            "source_hi": source[0],
            "source_lo": source[1],
            "target_hi": target[0],
            "target_lo": target[1],
            "protocol": protocol,
            "source_port": source_port,
            "target_port": target_port,
        }
        self.left_out["cut"] += int((~whole).sum())
        self._join_fragments(columns, whole, part, more, ident)
        kept = np.flatnonzero(whole)
        made = {name: column[kept] for name, column in columns.items()}
        rows = rows[kept]
        return rows, Packets(
            frames.time_us[rows],
            length=length[kept],
            flags=flags[kept],
            sequence=sequence[kept],
            broadcast=broadcast[kept],
            place=frames.place[rows],
            payload_at=layer4[kept],
            end=end[kept],
            first_part=part[kept] == 0,
            **made,
        )

    def _note_tunnels(self, data: Any, packets: Packets) -> None:
        """Count packets that carry others, by kind: their outer conversation is kept, what they carry is not looked at."""
        protocol = packets.protocol
        if not len(protocol):
            return
        udp = protocol == UDP
        if udp.any():
            ports = packets.target_port[udp]
            for number, name in TUNNEL_PORTS.items():
                self.tunnels[name] += int((ports == number).sum())
        other = np.flatnonzero((protocol != TCP) & ~udp)
        for number, name in TUNNEL_PROTOCOLS.items():
            self.tunnels[name] += int((protocol[other] == number).sum())
        generic = other[(protocol[other] == GRE) & packets.first_part[other]]
        if len(generic):
            at = packets.payload_at[generic]
            carried = np.where(at + 4 <= packets.end[generic], u16(data, at + 2), 0)
            mirrored = int(((carried == 0x88BE) | (carried == 0x22EB)).sum())
            self.tunnels["erspan"] += mirrored
            self.tunnels["gre"] -= mirrored

    def _link_layer(self, frames: Frames, end: Any) -> tuple[Any, Any, Any]:
        kind, start, broadcast = link_layer(frames, end)
        labelled = (kind == 0x8847) | (kind == 0x8848)
        if labelled.any():
            kind, start = under_labels(frames.data, kind, start, end, labelled)
            self.tunnels["mpls"] += int(labelled.sum())
        return kind, start, broadcast

    def _join_fragments(self, columns: dict[str, Any], whole: Any, part: Any, more: Any, ident: Any) -> None:
        pieces = np.flatnonzero(more | (part > 0))
        if not len(pieces):
            return
        names = ("source_hi", "source_lo", "target_hi", "target_lo", "protocol")
        keys = [(*(int(columns[name][i]) for name in names), int(ident[i])) for i in pieces]
        for i, key in zip(pieces, keys, strict=True):
            if part[i] == 0 and whole[i]:
                self._first_parts[key] = (int(columns["source_port"][i]), int(columns["target_port"][i]))
        for i, key in zip(pieces, keys, strict=True):
            if part[i] == 0:
                continue
            ports = self._first_parts.get(key)
            if ports is None and int(columns["protocol"][i]) in (*WITH_PORTS, ICMP, ICMP6):
                whole[i] = False
                self.left_out["fragment"] += 1
            elif ports is not None:
                columns["source_port"][i], columns["target_port"][i] = ports
        while len(self._first_parts) > FRAGMENT_MEMORY:
            del self._first_parts[next(iter(self._first_parts))]


def _none() -> Packets:
    return Packets(*([np.zeros(0, dtype=np.int64)] * len(fields(Packets))))


def plain4(frames: Frames, at: Any, end: Any, broadcast: Any, rows: Any) -> tuple[Any, Packets]:
    """Read whole IPv4 packets without options or fragments; returns (which of the rows are such, their packets)."""
    names = (
        ("head", "u1"), ("service", "u1"), ("total", "u2"), ("ident", "u2"), ("fragment", "u2"), ("hops", "u1"), ("protocol", "u1"),
        ("sum", "u2"), ("source", "u4"), ("target", "u4"), *LAYER4,
    )  # fmt: skip
    start = at if rows is None else at[rows]
    heads = window(frames.data, start, list(names))
    good = (heads["head"] == 0x45) & (heads["fragment"] & 0x3FFF == 0)
    total = heads["total"].astype(np.int64)
    source = address.columns_of_v4(heads["source"])
    target = address.columns_of_v4(heads["target"])
    return _plain(frames, at, end, broadcast, rows, start + 20, heads, good, total, (*source, *target))


def plain6(frames: Frames, at: Any, end: Any, broadcast: Any, rows: Any) -> tuple[Any, Packets]:
    """Read whole IPv6 packets without extension headers, as ``plain4`` does."""
    names = (
        ("head", "u1"), ("class", "u1"), ("label", "u2"), ("total", "u2"), ("protocol", "u1"), ("hops", "u1"), ("source_hi", "u8"),
        ("source_lo", "u8"), ("target_hi", "u8"), ("target_lo", "u8"), *LAYER4,
    )  # fmt: skip
    start = at if rows is None else at[rows]
    heads = window(frames.data, start, list(names))
    good = (heads["head"] >> 4 == 6) & (heads["total"] > 0)
    sign = np.uint64(1 << 63)
    ends = tuple(
        (heads[name].astype(np.uint64) ^ sign).view(np.int64)
        for name in ("source_hi", "source_lo", "target_hi", "target_lo")
    )
    total = heads["total"].astype(np.int64) + 40
    return _plain(frames, at, end, broadcast, rows, start + 40, heads, good, total, ends)


LAYER4 = (
    ("source_port", "u2"), ("target_port", "u2"), ("sequence", "u4"), ("answer", "u4"), ("offset", "u1"), ("flags", "u1")
)  # fmt: skip
OCTETS_NEEDED = {TCP: 14, UDP: 4, 33: 4, 132: 4, 136: 4, ICMP: 2, ICMP6: 2}


@cache
def _needed() -> Any:
    """Return how many octets of the transport header are read, by protocol; 0 for protocols that are read with more care."""
    made = np.full(256, 0, dtype=np.int64)
    for protocol, octets in OCTETS_NEEDED.items():
        made[protocol] = octets
    return made


def _plain(
    frames: Frames,
    at: Any,
    end: Any,
    broadcast: Any,
    rows: Any,
    layer4: Any,
    heads: Any,
    good: Any,
    total: Any,
    ends: Any,
) -> tuple[Any, Packets]:
    own_end = end if rows is None else end[rows]
    needed = _needed()[heads["protocol"]]
    length = _true_length(frames, slice(None) if rows is None else rows, at if rows is None else at[rows], total)
    good = good & (needed > 0) & (layer4 + needed <= own_end) & (length > 0)
    if not good.all():
        chosen = np.flatnonzero(good)
        rows = chosen if rows is None else rows[chosen]
        heads, layer4, length = heads[chosen], layer4[chosen], length[chosen]
        ends = tuple(each[chosen] for each in ends)
        own_end = own_end[chosen]
    protocol = heads["protocol"].astype(np.int64)
    source_port, target_port = heads["source_port"].astype(np.int64), heads["target_port"].astype(np.int64)
    tcp = protocol == TCP
    flags = np.where(tcp, heads["flags"], 0).astype(np.int64)
    sequence = np.where(tcp, heads["sequence"], 0).astype(np.int64)
    control = (protocol == ICMP) | (protocol == ICMP6)
    if control.any():
        # Type and code are the first two octets.
        source_port, target_port = np.where(control, 0, source_port), np.where(control, source_port, target_port)
        source_port, target_port = canonical_icmp(protocol, source_port, target_port)
    time, place = frames.time_us, frames.place
    if rows is not None:
        time, place, broadcast = time[rows], place[rows], broadcast[rows]
    return good, Packets(
        time_us=time,
        source_hi=ends[0],
        source_lo=ends[1],
        target_hi=ends[2],
        target_lo=ends[3],
        protocol=protocol,
        source_port=source_port,
        target_port=target_port,
        length=length,
        flags=flags,
        sequence=sequence,
        broadcast=broadcast,
        place=place,
        payload_at=layer4,
        end=own_end,
        first_part=np.ones(len(protocol), dtype=bool),
    )


def _true_length(frames: Frames, rows: Any, at: Any, length: Any) -> Any:
    """Return the packets' octets: what their headers say, or what was on the wire where that is less or the header says nothing."""
    wire = frames.length[rows] - (at - frames.offset[rows])
    return np.where((length <= 0) | ((wire > 0) & (length > wire)), wire, length)


def joined(parts: Sequence[Packets], without: Collection[str] = ()) -> Packets:
    """Return the packets of batches one after another; their positions are in the data of their own batches. Columns ``without`` which the
    caller can do are empty."""
    return Packets(
        *(
            np.concatenate([getattr(each, one.name)[: 0 if one.name in without else None] for each in parts])
            for one in fields(Packets)
        )
    )


def _merged(made: list[tuple[Any, Packets]]) -> Packets:
    made = [each for each in made if len(each[0])]
    if not made:
        return _none()
    if len(made) == 1:
        return made[0][1]
    order = np.argsort(np.concatenate([rows for rows, _packets in made]), kind="stable")
    return Packets(
        *(np.concatenate([getattr(packets, each.name) for _rows, packets in made])[order] for each in fields(Packets))
    )


def _network_layer(data: Any, at: Any, end: Any, head: Any, v4: Any, v6: Any) -> tuple[Any, ...]:
    """Return (protocol, position of the transport header, IP length, fragment offset, more fragments, identification, good)."""
    size = (head & 15) * 4
    flags = u16(data, at + 6)
    protocol = np.where(v4, u8(data, at + 9), u8(data, at + 6))
    layer4 = np.where(v4, at + size, at + 40)
    length = np.where(v4, u16(data, at + 2), u16(data, at + 4) + 40)
    length = np.where(v6 & (length == 40), 0, length)
    part = np.where(v4, flags & 0x1FFF, 0)
    more = v4 & (flags & 0x2000 > 0)
    ident = np.where(v4, u16(data, at + 4), 0)
    good = (v4 & (size >= 20) & (layer4 <= end)) | v6
    open_ = v6.copy()
    for _header in range(8):
        options = open_ & ((protocol == 0) | (protocol == 43) | (protocol == 60))
        authentic = open_ & (protocol == 51)
        fragment = open_ & (protocol == 44)
        header = options | authentic | fragment
        if not header.any():
            break
        good &= ~(header & (layer4 + 8 > end))
        step = np.where(
            fragment, 8, np.where(authentic, (u8(data, layer4 + 1) + 2) * 4, (u8(data, layer4 + 1) + 1) * 8)
        )
        field_ = u16(data, layer4 + 2)
        part = np.where(fragment, field_ >> 3, part)
        more = np.where(fragment, field_ & 1 > 0, more)
        ident = np.where(fragment, u32(data, layer4 + 4), ident)
        protocol = np.where(header, u8(data, layer4), protocol)
        layer4 = np.where(header, layer4 + step, layer4)
        open_ = header & ~(fragment & (part > 0))
    return protocol, layer4, length, part, more, ident, good


def _addresses(data: Any, at: Any, v4: Any) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    made = []
    for first, second in ((12, 8), (16, 24)):
        high, low = address.columns_of_v4(u32(data, at + first))
        six = np.flatnonzero(~v4)
        if len(six):
            octets = data[(at[six] + second)[:, None] + np.arange(16)]
            high[six], low[six] = address.columns_of_v6(octets)
        made.append((high, low))
    return made[0], made[1]


def _transport(data: Any, protocol: Any, layer4: Any, end: Any, part: Any) -> tuple[Any, ...]:
    """Return (source port, target port, TCP flags, TCP sequence, whole): ``whole`` is false where the header is cut."""
    first = part == 0
    ported = np.isin(protocol, WITH_PORTS) & first
    whole = ~ported | (layer4 + 4 <= end)
    ported &= whole
    source_port = np.where(ported, u16(data, layer4), 0)
    target_port = np.where(ported, u16(data, layer4 + 2), 0)
    tcp = ported & (protocol == TCP) & (layer4 + 14 <= end)
    flags = np.where(tcp, u8(data, layer4 + 13), 0)
    sequence = np.where(tcp, u32(data, layer4 + 4), 0)
    for number, replies in ((ICMP, ICMP_REPLIES), (ICMP6, ICMP6_REPLIES)):
        control = (protocol == number) & first
        if not control.any():
            continue
        whole &= ~control | (layer4 + 2 <= end)
        kind, code = u8(data, layer4), u8(data, layer4 + 1)
        target_port = np.where(control, kind * 256 + code, target_port)
        for reply, request in replies.items():
            answers = control & (kind == reply)
            source_port = np.where(answers, request * 256 + code, source_port)
            target_port = np.where(answers, 0, target_port)
    return source_port, target_port, flags, sequence, whole
