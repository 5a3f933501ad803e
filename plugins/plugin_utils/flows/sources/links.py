# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Link layers of frames: where the network header begins and what it is, behind VLAN tags, PPPoE and MPLS labels."""

from __future__ import annotations

from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.capture import Frames, window

np = guarded("numpy")

ETHERNET, COOKED, COOKED2 = 1, 113, 276
LOOPBACK = (0, 108)
RAW = (12, 14, 101, 228, 229)
LINKS = (ETHERNET, COOKED, COOKED2, *LOOPBACK, *RAW)
IPV4, IPV6 = 0x0800, 0x86DD


def u8(data: Any, at: Any) -> Any:
    """Return the octets at positions; those beyond the data give its last one."""
    return data[np.clip(at, 0, len(data) - 1)].astype(np.int64)


def u16(data: Any, at: Any) -> Any:
    """Return numbers of two octets in network order."""
    return (u8(data, at) << 8) | u8(data, at + 1)


def u32(data: Any, at: Any) -> Any:
    """Return numbers of four octets in network order."""
    return (u16(data, at) << 16) | u16(data, at + 2)


def under_labels(data: Any, kind: Any, start: Any, end: Any, labelled: Any) -> tuple[Any, Any]:
    """Return (Ethernet type, start) of what stands under MPLS labels (RFC 3032): IP by its version number, or nothing."""
    start, open_ = start.copy(), labelled.copy()
    for _label in range(8):
        open_ &= start + 4 <= end
        bottom = open_ & (u8(data, start + 2) & 1 > 0)
        start[open_] += 4
        open_ &= ~bottom
        if not open_.any():
            break
    version = np.where(start < end, u8(data, start) >> 4, 0)
    under = np.where(version == 4, IPV4, np.where(version == 6, IPV6, kind))
    return np.where(labelled & ~open_, under, kind), start


def link_layer(frames: Frames, end: Any) -> tuple[Any, Any, Any]:
    """Return (Ethernet type, position of the network header, sent to the broadcast address) of each frame."""
    data, at = frames.data, frames.offset
    none = np.zeros(len(at), dtype=bool)
    if frames.link == ETHERNET:
        heads = window(data, at, [("one", "u2"), ("two", "u4"), ("source", "V6"), ("kind", "u2")])
        kind, start = np.where(at + 14 <= end, heads["kind"], 0).astype(np.int64), at + 14
        broadcast = (heads["one"] == 0xFFFF) & (heads["two"] == 0xFFFFFFFF)
    elif frames.link == COOKED:
        kind, start, broadcast = np.where(at + 16 <= end, u16(data, at + 14), 0), at + 16, u16(data, at) == 1
    elif frames.link == COOKED2:
        kind, start, broadcast = np.where(at + 20 <= end, u16(data, at), 0), at + 20, u8(data, at + 10) == 1
    else:
        start = at + 4 if frames.link in LOOPBACK else at
        version = np.where(start < end, u8(data, start) >> 4, 0)
        kind = np.where(version == 4, IPV4, np.where(version == 6, IPV6, 0))
        broadcast = none
    for _tag in range(4):
        tagged = ((kind == 0x8100) | (kind == 0x88A8) | (kind == 0x9100)) & (start + 4 <= end)
        if not tagged.any():
            break
        kind = np.where(tagged, u16(data, start + 2), kind)
        start = np.where(tagged, start + 4, start)
    session = (kind == 0x8864) & (start + 8 <= end)
    if session.any():
        inner = u16(data, start + 6)
        kind = np.where(session & (inner == 0x0021), 0x0800, np.where(session & (inner == 0x0057), 0x86DD, kind))
        start = np.where(session, start + 8, start)
    return kind, start, broadcast
