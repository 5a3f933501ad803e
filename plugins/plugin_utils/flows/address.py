# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses as two signed 64-bit columns, for whole arrays and for SQL; ``devices.address`` has the rule and the single values."""

from __future__ import annotations

from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.address import (
    SIGN,
    V4_HI,
    V4_LO,
    Address,
    Network,
    address_of,
    columns_of,
    columns_of_int,
    int_of,
    range_of,
    text_of,
    texts_of,
)

__all__ = [
    "SIGN",
    "V4_HI",
    "V4_LO",
    "Address",
    "Network",
    "address_of",
    "columns_of",
    "columns_of_int",
    "columns_of_v4",
    "columns_of_v6",
    "int_of",
    "range_of",
    "range_sql",
    "text_of",
    "texts_of",
]

np = guarded("numpy")


def range_sql(network: str | Network, side: str) -> str:
    """Return an SQL condition: the address in columns ``<side>_hi``, ``<side>_lo`` lies in the network."""
    if not side.isidentifier():
        raise ValueError(f"{side!r} names no column")
    (first_hi, first_lo), (last_hi, last_lo) = range_of(network)
    if first_hi == last_hi:
        return f"({side}_hi = {first_hi} AND {side}_lo BETWEEN {first_lo} AND {last_lo})"
    return f"({side}_hi BETWEEN {first_hi} AND {last_hi})"


def columns_of_v4(values: Any) -> tuple[Any, Any]:
    """Return (hi, lo) arrays of int64 for an array of unsigned IPv4 values."""
    low = values.astype(np.int64) + V4_LO
    return np.full(low.shape, V4_HI, dtype=np.int64), low


def columns_of_v6(octets: Any) -> tuple[Any, Any]:
    """Return (hi, lo) arrays of int64 for an array of shape (n, 16) of octets in network order."""
    halves = np.ascontiguousarray(octets).view(">u8").reshape(-1, 2).astype(np.uint64) ^ np.uint64(SIGN)
    signed = halves.view(np.int64)
    return signed[:, 0].copy(), signed[:, 1].copy()
