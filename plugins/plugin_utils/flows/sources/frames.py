# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames to packets: addresses, protocol, ports, flags and lengths of a whole batch at a time.

Ethernet with VLAN tags and PPPoE, Linux cooked captures, BSD loopback and raw IP; IPv4, IPv6 with extension headers, fragments.
A reply of an ICMP request is given the request's type on its source side, so that both have one key.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, fields
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import address
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.capture import Frames

np = guarded("numpy")

ETHERNET, COOKED, COOKED2 = 1, 113, 276
LOOPBACK = (0, 108)
RAW = (12, 14, 101, 228, 229)
LINKS = (ETHERNET, COOKED, COOKED2, *LOOPBACK, *RAW)
ICMP, TCP, UDP, ICMP6 = 1, 6, 17, 58
WITH_PORTS = (TCP, UDP, 33, 132, 136)
# Reply type -> request type (RFC 792, RFC 950, RFC 4443).
ICMP_REPLIES = {0: 8, 14: 13, 16: 15, 18: 17}
ICMP6_REPLIES = {129: 128}
FRAGMENT_MEMORY = 1 << 16


def canonical_icmp(protocol: Any, source_port: Any, target_port: Any) -> tuple[Any, Any]:
    """Return (source port, target port) of one-way records where ICMP's stand as type * 256 + code in the target port.

    Requests keep that, with 0 as source; replies have their request's on the source side, so that both have one key.
    """
    control = (protocol == ICMP) | (protocol == ICMP6)
    if not control.any():
        return source_port, target_port
    kind = np.where(control, target_port, 0)
    source_port = np.where(control, 0, source_port)
    for number, replies in ((ICMP, ICMP_REPLIES), (ICMP6, ICMP6_REPLIES)):
        for reply, request in replies.items():
            answers = (protocol == number) & (kind >> 8 == reply)
            source_port = np.where(answers, request * 256 + (kind & 255), source_port)
            target_port = np.where(answers, 0, target_port)
    return source_port, target_port


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

    ``left_out`` counts frames without a conversation by reason: ``not_ip``, ``link_type``, ``cut``, ``damaged``, ``fragment``.
    """

    left_out: Counter[str] = field(default_factory=Counter)
    _first_parts: dict[tuple[int, ...], tuple[int, int]] = field(default_factory=dict)

    def packets(self, frames: Frames) -> Packets:
        """Return the packets of a batch, in its order."""
        data, end = frames.data, frames.offset + frames.captured
        if frames.link not in LINKS:
            self.left_out["link_type"] += len(frames.offset)
            return _none()
        kind, at, broadcast = _link_layer(frames, end)
        head = _u8(data, at)
        v4 = (kind == 0x0800) & (at + 20 <= end) & (head >> 4 == 4)
        v6 = (kind == 0x86DD) & (at + 40 <= end) & (head >> 4 == 6)
        is_ip = (kind == 0x0800) | (kind == 0x86DD)
        self.left_out["not_ip"] += int((~is_ip).sum())
        self.left_out["damaged"] += int((is_ip & ~v4 & ~v6).sum())
        protocol, layer4, length, part, more, ident, good = _network_layer(data, at, end, head, v4, v6)
        wire = frames.length - (at - frames.offset)
        length = np.where((length <= 0) | ((wire > 0) & (length > wire)), wire, length)
        good &= length > 0
        self.left_out["cut"] += int(((v4 | v6) & ~good).sum())

        rows = np.flatnonzero(good)
        v4, protocol, layer4, part, more, end = (each[rows] for each in (v4, protocol, layer4, part, more, end))
        source, target = _addresses(data, at[rows], v4)
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
        self._join_fragments(columns, whole, part, more, ident[rows])
        kept = np.flatnonzero(whole)
        made = {name: column[kept] for name, column in columns.items()}
        chosen = rows[kept]
        return Packets(
            frames.time_us[chosen],
            length=length[chosen],
            flags=flags[kept],
            sequence=sequence[kept],
            broadcast=broadcast[chosen],
            place=frames.place[chosen],
            payload_at=layer4[kept],
            end=end[kept],
            first_part=part[kept] == 0,
            **made,
        )

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


def _u8(data: Any, at: Any) -> Any:
    return data[np.clip(at, 0, len(data) - 1)].astype(np.int64)


def _u16(data: Any, at: Any) -> Any:
    return (_u8(data, at) << 8) | _u8(data, at + 1)


def _u32(data: Any, at: Any) -> Any:
    return (_u16(data, at) << 16) | _u16(data, at + 2)


def _link_layer(frames: Frames, end: Any) -> tuple[Any, Any, Any]:
    """Return (Ethernet type, position of the network header, sent to the broadcast address) of each frame."""
    data, at = frames.data, frames.offset
    none = np.zeros(len(at), dtype=bool)
    if frames.link == ETHERNET:
        kind, start = np.where(at + 14 <= end, _u16(data, at + 12), 0), at + 14
        broadcast = (_u16(data, at) == 0xFFFF) & (_u32(data, at + 2) == 0xFFFFFFFF)
    elif frames.link == COOKED:
        kind, start, broadcast = np.where(at + 16 <= end, _u16(data, at + 14), 0), at + 16, _u16(data, at) == 1
    elif frames.link == COOKED2:
        kind, start, broadcast = np.where(at + 20 <= end, _u16(data, at), 0), at + 20, _u8(data, at + 10) == 1
    else:
        start = at + 4 if frames.link in LOOPBACK else at
        version = np.where(start < end, _u8(data, start) >> 4, 0)
        kind = np.where(version == 4, 0x0800, np.where(version == 6, 0x86DD, 0))
        broadcast = none
    for _tag in range(4):
        tagged = ((kind == 0x8100) | (kind == 0x88A8) | (kind == 0x9100)) & (start + 4 <= end)
        if not tagged.any():
            break
        kind = np.where(tagged, _u16(data, start + 2), kind)
        start = np.where(tagged, start + 4, start)
    session = (kind == 0x8864) & (start + 8 <= end)
    if session.any():
        inner = _u16(data, start + 6)
        kind = np.where(session & (inner == 0x0021), 0x0800, np.where(session & (inner == 0x0057), 0x86DD, kind))
        start = np.where(session, start + 8, start)
    return kind, start, broadcast


def _network_layer(data: Any, at: Any, end: Any, head: Any, v4: Any, v6: Any) -> tuple[Any, ...]:
    """Return (protocol, position of the transport header, IP length, fragment offset, more fragments, identification, good)."""
    size = (head & 15) * 4
    flags = _u16(data, at + 6)
    protocol = np.where(v4, _u8(data, at + 9), _u8(data, at + 6))
    layer4 = np.where(v4, at + size, at + 40)
    length = np.where(v4, _u16(data, at + 2), _u16(data, at + 4) + 40)
    length = np.where(v6 & (length == 40), 0, length)
    part = np.where(v4, flags & 0x1FFF, 0)
    more = v4 & (flags & 0x2000 > 0)
    ident = np.where(v4, _u16(data, at + 4), 0)
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
            fragment, 8, np.where(authentic, (_u8(data, layer4 + 1) + 2) * 4, (_u8(data, layer4 + 1) + 1) * 8)
        )
        field_ = _u16(data, layer4 + 2)
        part = np.where(fragment, field_ >> 3, part)
        more = np.where(fragment, field_ & 1 > 0, more)
        ident = np.where(fragment, _u32(data, layer4 + 4), ident)
        protocol = np.where(header, _u8(data, layer4), protocol)
        layer4 = np.where(header, layer4 + step, layer4)
        open_ = header & ~(fragment & (part > 0))
    return protocol, layer4, length, part, more, ident, good


def _addresses(data: Any, at: Any, v4: Any) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    made = []
    for first, second in ((12, 8), (16, 24)):
        high, low = address.columns_of_v4(_u32(data, at + first))
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
    source_port = np.where(ported, _u16(data, layer4), 0)
    target_port = np.where(ported, _u16(data, layer4 + 2), 0)
    tcp = ported & (protocol == TCP) & (layer4 + 14 <= end)
    flags = np.where(tcp, _u8(data, layer4 + 13), 0)
    sequence = np.where(tcp, _u32(data, layer4 + 4), 0)
    for number, replies in ((ICMP, ICMP_REPLIES), (ICMP6, ICMP6_REPLIES)):
        control = (protocol == number) & first
        if not control.any():
            continue
        whole &= ~control | (layer4 + 2 <= end)
        kind, code = _u8(data, layer4), _u8(data, layer4 + 1)
        target_port = np.where(control, kind * 256 + code, target_port)
        for reply, request in replies.items():
            answers = control & (kind == reply)
            source_port = np.where(answers, request * 256 + code, source_port)
            target_port = np.where(answers, 0, target_port)
    return source_port, target_port, flags, sequence, whole
