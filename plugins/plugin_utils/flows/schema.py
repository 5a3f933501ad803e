# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Columns of the files in the store: the one place that names them (docs/formats/connections.md, docs/formats/rollup.md)."""

from __future__ import annotations

from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded

pa = guarded("pyarrow")

MAJOR = 1
SCHEMA_VERSION = "1.0"

# name -> Arrow type by name. Signed types only, so that every engine reads the same (facts/flows.md section 6).
CONNECTIONS = {
    "start_us": "int64",
    "end_us": "int64",
    "client_hi": "int64",
    "client_lo": "int64",
    "server_hi": "int64",
    "server_lo": "int64",
    "protocol": "int16",
    "client_port": "int32",
    "server_port": "int32",
    "packets_out": "int64",
    "bytes_out": "int64",
    "packets_in": "int64",
    "bytes_in": "int64",
    "answered": "bool",
    "method": "int16",
    "confidence": "float",
    "class": "string",
    "exporter": "string",
    "sampling": "int32",
    "source": "string",
}
# Beside them in the files, for stitching a connection again with what goes on in another input (signs.py); no question reads them.
STITCHED = {"signs": "int32", "lag_us": "int64", "step_us": "int64"}
ROLLUP = {
    "day": "date32",
    "client_hi": "int64",
    "client_lo": "int64",
    "server_hi": "int64",
    "server_lo": "int64",
    "protocol": "int16",
    "server_port": "int32",
    "class": "string",
    "flows": "int64",
    "answered_flows": "int64",
    "packets": "int64",
    "bytes": "int64",
    "first_us": "int64",
    "last_us": "int64",
    "hours": "int32",
    "minimum_client_port": "int32",
    "maximum_client_port": "int32",
    "method": "int16",
    "confidence": "float",
    "weak_flows": "int64",
}
# What each exporter saw of a day, for judging it (quality.py).
OBSERVERS = {
    "day": "date32",
    "exporter": "string",
    "flows": "int64",
    "long_flows": "int64",
    "one_sided_flows": "int64",
    "pairs": "int64",
    "later_us": "int64",
}
# What a day's conversations were, for telling noise (noise_days.py).
NOISE = {
    "day": "date32",
    "client_hi": "int64",
    "client_lo": "int64",
    "server_hi": "int64",
    "server_lo": "int64",
    "protocol": "int16",
    "server_port": "int32",
    "exporter": "string",
    "answered": "bool",
    "fruitless": "bool",
    "scanned": "bool",
    "most_out": "int16",
    "sum_out": "int16",
    "most_in": "int32",
}
# One-way records, before stitching. Never stored.
RECORDS = {
    "start_us": "int64",
    "end_us": "int64",
    "source_hi": "int64",
    "source_lo": "int64",
    "target_hi": "int64",
    "target_lo": "int64",
    "protocol": "int16",
    "source_port": "int32",
    "target_port": "int32",
    "packets": "int64",
    "bytes": "int64",
    "flags": "int16",
    "pure_syn": "bool",
    "syn_ack": "bool",
    "said": "int8",
    "broadcast": "bool",
    "opens": "int8",
    "place": "int64",
    "step_us": "int64",
    "sampling": "int32",
    "exporter": "string",
    "origin": "int8",
    "event": "int8",
    "source": "string",
}
CLASSES = ("unicast", "peer", "multicast", "broadcast")


def arrow_schema(columns: dict[str, str], kind: str = "") -> Any:
    """Return the Arrow schema of one of the column maps, with ``kind`` and ``schema_version`` as metadata."""
    types = {"bool": pa.bool_(), "date32": pa.date32(), "float": pa.float32(), "string": pa.string()}
    fields = [pa.field(name, types.get(kind_of) or getattr(pa, kind_of)()) for name, kind_of in columns.items()]
    metadata = {"kind": kind, "schema_version": SCHEMA_VERSION} if kind else None
    return pa.schema(fields, metadata=metadata)


def empty(columns: dict[str, str]) -> Any:
    """Return an Arrow table of the columns without rows."""
    return arrow_schema(columns).empty_table()
