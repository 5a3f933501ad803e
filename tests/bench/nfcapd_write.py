# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections written as nfdump reads them (layout 2, records of version 3, LZ4 blocks), so that it can be measured on the same rows.

The layout is that of nfdump 1.7's own files (nffileV2.h, nfxV3.h); each connection becomes one record, client to server.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.address import V4_LO

FILE_HEADER = struct.Struct("<HHIqBBHIqII")
BLOCK_HEADER = struct.Struct("<IIHH")
LZ4 = 3
PER_BLOCK = 12_000
RECORD = np.dtype(
    [
        ("type", "<u2"), ("size", "<u2"), ("elements", "<u2"), ("engine", "<u2"), ("exporter", "<u2"), ("flags", "u1"), ("version", "u1"),
        ("generic", "<u2"), ("generic_size", "<u2"), ("first", "<u8"), ("last", "<u8"), ("received", "<u8"), ("packets", "<u8"),
        ("bytes", "<u8"), ("source_port", "<u2"), ("target_port", "<u2"), ("protocol", "u1"), ("tcp_flags", "u1"), ("status", "u1"),
        ("tos", "u1"), ("v4", "<u2"), ("v4_size", "<u2"), ("source", "<u4"), ("target", "<u4"),
    ]
)  # fmt: skip


def write(path: Path, connections: Any) -> int:
    """Write an Arrow table of IPv4 connections as one nfcapd file; returns its size in bytes."""
    count = connections.num_rows
    rows = np.zeros(count, dtype=RECORD)
    rows["type"], rows["size"], rows["elements"], rows["version"] = 11, RECORD.itemsize, 2, 9
    rows["generic"], rows["generic_size"], rows["v4"], rows["v4_size"] = 1, 52, 2, 12

    def column(name: str) -> Any:
        return connections.column(name).to_numpy()

    rows["first"], rows["last"] = column("start_us") // 1000, column("end_us") // 1000
    rows["received"] = rows["last"]
    rows["packets"] = column("packets_out") + column("packets_in")
    rows["bytes"] = column("bytes_out") + column("bytes_in")
    rows["source_port"], rows["target_port"] = column("client_port"), column("server_port")
    rows["protocol"], rows["tcp_flags"] = column("protocol"), 27
    rows["source"], rows["target"] = column("client_lo") - V4_LO, column("server_lo") - V4_LO
    codec = pa.Codec("lz4_raw")
    blocks = (count + PER_BLOCK - 1) // PER_BLOCK
    with path.open("wb") as stream:
        stream.write(FILE_HEADER.pack(0xA50C, 2, 0xF1070100, 0, LZ4, 0, 0, 1, 0, 1 << 20, blocks))
        for first in range(0, count, PER_BLOCK):
            part = rows[first : first + PER_BLOCK]
            body = codec.compress(part.tobytes(), asbytes=True)
            stream.write(BLOCK_HEADER.pack(part.size, len(body), 3, 0) + body)
    return path.stat().st_size
