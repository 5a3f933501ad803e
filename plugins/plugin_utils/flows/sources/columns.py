# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text columns to numbers, times and addresses, whole columns at a time; what does not convert is told by a mask."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import address
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.ports import PROTOCOLS

np = guarded("numpy")
pa = guarded("pyarrow")
compute = guarded("pyarrow.compute")

# 0001-01-01 to 9999-12-31: beyond that a time is no time.
EARLIEST_US = -62_135_596_800_000_000
LATEST_US = 253_402_214_400_000_000
LARGEST = (1 << 62) - 1
WHOLE = r"^[0-9]{1,18}$"
NUMBER = r"^-?[0-9]{1,17}(\.[0-9]{0,18})?([eE][-+]?[0-9]{1,2})?$"
UNITS = {"s": 1_000_000.0, "ms": 1_000.0, "us": 1.0, "ns": 0.001}
# IANA protocol numbers by the names that logs use, beside ports.PROTOCOLS.
NAMES = {
    **PROTOCOLS,
    "igmp": 2,
    "ipip": 4,
    "ipv6-icmp": 58,
    "icmp6": 58,
    "ah": 51,
    "eigrp": 88,
    "ospf": 89,
    "pim": 103,
    "vrrp": 112,
}


def _texts(column: Any, made: Callable[[str], Any], missing: Any, dtype: Any) -> Any:
    """Return ``made`` of each text; the function runs once for each distinct one."""
    encoded = column.dictionary_encode()
    known = [made(text) for text in encoded.dictionary.to_pylist()]
    values = np.array([*known, missing], dtype=dtype)
    indices = encoded.indices.fill_null(len(known)).to_numpy(zero_copy_only=False)
    return values[indices]


def valid(column: Any) -> Any:
    """Return the mask of what is not null."""
    return column.is_valid().to_numpy(zero_copy_only=False)


def integers(column: Any, high: int = LARGEST, default: int | None = None) -> tuple[Any, Any]:
    """Return (int64 values, mask of bad ones) of whole numbers from 0 to ``high``; null is bad unless it has a default."""
    filled = valid(column)
    try:
        values = column.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
        good = filled & (values >= 0)
    except pa.ArrowInvalid:
        good = compute.match_substring_regex(column, WHOLE).fill_null(False).to_numpy(zero_copy_only=False)
        safe = compute.if_else(pa.array(good), column, pa.scalar("0"))
        values = safe.cast(pa.int64()).to_numpy(zero_copy_only=False)
    good &= values <= high
    values = np.where(good, values, 0)
    if default is not None:
        return np.where(filled, values, default), filled & ~good
    return values, ~good


def micros(column: Any, unit: str = "s", default: int | None = None) -> tuple[Any, Any]:
    """Return (int64 microseconds, mask of bad ones) of decimal numbers in a unit (s, ms, us, ns); null is bad unless it has a default."""
    filled = valid(column)
    try:
        values = column.cast(pa.float64()).fill_null(0).to_numpy(zero_copy_only=False)
        good = filled.copy()
    except pa.ArrowInvalid:
        good = compute.match_substring_regex(column, NUMBER).fill_null(False).to_numpy(zero_copy_only=False)
        safe = compute.if_else(pa.array(good), column, pa.scalar("0"))
        values = safe.cast(pa.float64()).to_numpy(zero_copy_only=False)
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = np.rint(values * UNITS[unit])
        good &= (scaled > EARLIEST_US) & (scaled < LATEST_US)
    made = np.where(good, scaled, 0).astype(np.int64)
    if default is not None:
        return np.where(filled, made, default), filled & ~good
    return made, ~good


def iso_micros(column: Any, connection: Any, formats: tuple[str, ...] = ()) -> tuple[Any, Any]:
    """Return (int64 microseconds since 1970 UTC, mask of bad ones) of ISO 8601 times; one without an offset is UTC.

    ``formats`` are strptime patterns to use instead. ``connection`` is a DuckDB connection.
    """
    connection.register("iso_rows", pa.table({"text": column}))
    try:
        if formats:
            patterns = ", ".join("'" + each.replace("'", "''") + "'" for each in formats)
            expression = f"epoch_us(try_strptime(text, [{patterns}]))"
        else:
            # An offset without a colon, as Suricata writes it, is one too.
            plain = r"regexp_replace(text, '([+-][0-9]{2}):?([0-9]{2})$', '')"
            offset = r"nullif(regexp_extract(text, '[T ][0-9:.]+([+-][0-9]{2}:?[0-9]{2})$', 1), '')"
            minutes = "(substr(o, 2, 2)::INTEGER * 60 + right(o, 2)::INTEGER) * CASE WHEN o[1] = '-' THEN -1 ELSE 1 END"
            expression = (
                f"epoch_us(try_cast(CASE WHEN o IS NULL THEN text ELSE {plain} END AS TIMESTAMP))"
                f" - coalesce({minutes}, 0) * 60000000::BIGINT"
            )
            made = connection.sql(
                f"SELECT {expression} AS us FROM (SELECT text, {offset} AS o FROM iso_rows)"
            ).to_arrow_table()
        if formats:
            made = connection.sql(f"SELECT {expression} AS us FROM iso_rows").to_arrow_table()
    finally:
        connection.unregister("iso_rows")
    found = made.column("us").combine_chunks()
    found = found.chunk(0) if isinstance(found, pa.ChunkedArray) else found
    good = valid(found)
    values = found.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    good &= (values > EARLIEST_US) & (values < LATEST_US)
    return np.where(good, values, 0), ~good


def addresses(column: Any) -> tuple[Any, Any, Any]:
    """Return (hi, lo, mask of bad ones) of addresses as text; a zone index (``fe80::1%eth0``) is left out."""

    def columns(text: str) -> tuple[int, int, int]:
        try:
            hi, lo = address.columns_of(text.strip().partition("%")[0])
        except ValueError:
            return 0, 0, 1
        return hi, lo, 0

    encoded = column.dictionary_encode()
    known = [columns(text) for text in encoded.dictionary.to_pylist()]
    values = np.array([*known, (0, 0, 1)], dtype=np.int64)
    picked = values[encoded.indices.fill_null(len(known)).to_numpy(zero_copy_only=False)]
    return picked[:, 0].copy(), picked[:, 1].copy(), picked[:, 2] == 1


def protocols(column: Any) -> Any:
    """Return int64 protocol numbers of names or numbers; -1 for what is neither."""

    def number(text: str) -> int:
        lowered = text.strip().lower()
        if re.fullmatch(r"[0-9]{1,3}", lowered):
            return int(lowered) if int(lowered) < 256 else -1
        return NAMES.get(lowered, -1)

    return _texts(column, number, -1, np.int64)


def each(column: Any, made: Callable[[str], int], missing: int = 0) -> Any:
    """Return an int64 array of a function of each distinct text, ``missing`` for null."""
    return _texts(column, made, missing, np.int64)
