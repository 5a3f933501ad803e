# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packets from rows of a table, as the columns that ``packets.classify`` takes: CSV, Parquet, or dicts.

Two forms are read. With ``source`` and ``destination`` as texts, ``protocol`` is a name or number, and ``source_port``,
``destination_port``, ``tcp_flags`` (``syn+ack`` or a number, default ``syn``), ``icmp_type``, ``icmp_code``, ``fragment``,
``source_group``, ``destination_group`` may stand beside them. With ``client_hi`` a row is a connection of the flow store
(docs/formats/connections.md), and its opening packet is meant: TCP with SYN alone, the ICMP request.
"""

from __future__ import annotations

import csv
import ipaddress
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError, Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded, require
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.classify import protocol_column
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import (
    FLAG_NAMES,
    ICMP,
    ICMPV6,
    IPV6,
    PORT_PROTOCOLS,
    SYN,
    TCP,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.text import PROTOCOL_NUMBERS

np = guarded("numpy")
pa = guarded("pyarrow")
arrow_csv = guarded("pyarrow.csv")
compute = guarded("pyarrow.compute")
parquet = guarded("pyarrow.parquet")

BATCH_ROWS = 1_000_000
BLOCK_BYTES = 32 << 20
_SIGN = 1 << 63
_MAPPED = 0xFFFF << 32
_FLAGS = {name: bit for bit, name in FLAG_NAMES.items()}
_TRUE, _FALSE = ("1", "true", "yes"), ("", "0", "false", "no")
_DEFAULTS = {"tcp_flags": "syn", "icmp_type": "8", "icmp_code": "0", "source_port": "0", "destination_port": "0",
             "fragment": "0", "source_group": "0", "destination_group": "0"}  # fmt: skip
_MOST = {"source_port": 65535, "destination_port": 65535, "source_group": 65535, "destination_group": 65535,
         "icmp_type": 255, "icmp_code": 255}  # fmt: skip


def batches(path: str) -> Iterator[Any]:
    """Yield the rows of a CSV file (with a title line) or a Parquet file as Arrow tables of at most about a million rows.

    Every column of a CSV file stays text. Raises FindingError SW1244 for a file that cannot be read.
    """
    require(pa, np)
    place = Location(path)
    try:
        if path.lower().endswith((".parquet", ".pq")):
            with parquet.ParquetFile(path) as source:
                for batch in source.iter_batches(batch_size=BATCH_ROWS):
                    yield pa.Table.from_batches([batch])
            return
        with open(path, encoding="utf-8-sig", newline="") as stream:
            titles = next(csv.reader(stream), [])
        options = arrow_csv.ConvertOptions(
            column_types={name: pa.string() for name in titles}, strings_can_be_null=False
        )
        reading = arrow_csv.ReadOptions(block_size=BLOCK_BYTES)
        with arrow_csv.open_csv(path, read_options=reading, convert_options=options) as source:
            for batch in source:
                yield pa.Table.from_batches([batch])
    except (OSError, UnicodeDecodeError, csv.Error, pa.ArrowException) as error:
        raise FindingError(
            codes.BAD_ROWS.at(str(error).splitlines()[0] if str(error) else "cannot be read", place)
        ) from error


def columns_of(table: Any, place: Location | None = None, first_row: int = 1) -> dict[str, Any]:
    """Return the columns for ``Classifier.classify``; FindingError SW1244 names the row (from ``first_row``) that has no packet."""
    stored = "client_hi" in table.column_names
    reader = _Rows(table, place, first_row)
    return reader.connections() if stored else reader.packets()


def table_of(rows: list[dict[str, Any]]) -> Any:
    """Return dicts as a table of texts, each key a column; a key that a row does not have is empty."""
    require(pa, np)
    names = list(dict.fromkeys(str(name) for row in rows for name in row))
    return pa.table({name: pa.array([_text(row.get(name)) for row in rows], pa.string()) for name in names})


def _text(value: Any) -> str:
    if value is None:
        return ""
    return "+".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


class _Rows:
    """Reads the columns of one table."""

    def __init__(self, table: Any, place: Location | None, first_row: int) -> None:
        self._table, self._place, self._first = table, place, first_row

    def packets(self) -> dict[str, Any]:
        """Return the columns of rows that name packets in words."""
        for name in ("protocol", "source", "destination"):
            if name not in self._table.column_names:
                raise FindingError(codes.BAD_ROWS.at(f"column {name} is missing", self._place))
        number = self._mapped("protocol", _protocol)
        source, destination = self._addresses("source"), self._addresses("destination")
        protocol = protocol_column(number, *source)
        self._alike(protocol, protocol_column(number, *destination))
        fragment = self._mapped("fragment", _yes)
        flags = self._mapped("tcp_flags", _flags)
        messages = self._mapped("icmp_type", _upto(255)) << 8 | self._mapped("icmp_code", _upto(255))
        ports = {name: self._mapped(name, _upto(65535)) for name in ("source_port", "destination_port")}
        groups = {name: self._mapped(name, _upto(65535)) for name in ("source_group", "destination_group")}
        return _possible(protocol, source, destination, fragment, flags, messages, ports) | groups

    def connections(self) -> dict[str, Any]:
        """Return the columns of the opening packets of connections of the flow store."""
        number = self._integers("protocol")
        source = self._integers("client_hi"), self._integers("client_lo")
        destination = self._integers("server_hi"), self._integers("server_lo")
        protocol = protocol_column(number, *source)
        self._alike(protocol, protocol_column(number, *destination))
        port = self._integers("server_port")
        ports = {"source_port": self._integers("client_port"), "destination_port": port}
        none = np.zeros(len(number), dtype=np.int64)
        return _possible(protocol, source, destination, none, none + SYN, port, ports)

    def _integers(self, name: str) -> Any:
        if name not in self._table.column_names:
            raise FindingError(codes.BAD_ROWS.at(f"column {name} is missing", self._place))
        try:
            column = compute.cast(self._table[name], pa.int64())
        except pa.ArrowException as error:
            raise FindingError(
                codes.BAD_ROWS.at(f"column {name}: {str(error).splitlines()[0]}", self._place)
            ) from error
        if column.null_count:
            raise FindingError(codes.BAD_ROWS.at(f"column {name} has rows without a value", self._place))
        return column.to_numpy()

    def _unique(self, name: str, read: Callable[[str], Any]) -> tuple[list[Any], Any]:
        """Return what each different text of a column means, and for each row which of them it has."""
        if name not in self._table.column_names:
            return [read(_DEFAULTS[name])], np.zeros(self._table.num_rows, dtype=np.int64)
        column = compute.fill_null(compute.cast(self._table[name], pa.string()), "")
        coded = column.combine_chunks().dictionary_encode()
        which = coded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        values = []
        for place, text in enumerate(coded.dictionary.to_pylist()):
            try:
                values.append(read(text.strip().lower() or _DEFAULTS.get(name, "")))
            except ValueError as error:
                row = self._first + int(np.flatnonzero(which == place)[0])
                raise FindingError(
                    codes.BAD_ROWS.at(f"row {row}: {name} {text[:80]!r}: {error}", self._place)
                ) from error
        return values, which

    def _mapped(self, name: str, read: Callable[[str], int]) -> Any:
        values, which = self._unique(name, read)
        return np.array(values, dtype=np.int64)[which] if len(which) else which

    def _addresses(self, name: str) -> tuple[Any, Any]:
        values, which = self._unique(name, _halves)
        if not len(which):
            return which, which
        halves = np.array(values, dtype=np.int64)
        return halves[which, 0], halves[which, 1]

    def _alike(self, first: Any, second: Any) -> None:
        unlike = np.flatnonzero(first != second)
        if len(unlike):
            row = self._first + int(unlike[0])
            raise FindingError(codes.BAD_ROWS.at(f"row {row}: the addresses are of different families", self._place))


def _possible(
    protocol: Any, source: tuple[Any, Any], destination: tuple[Any, Any], fragment: Any, flags: Any, messages: Any,
    ports: dict[str, Any],
) -> dict[str, Any]:  # fmt: skip
    """Return the columns with what a packet of the protocol does not have as 0."""
    number, whole = protocol % IPV6, fragment == 0
    icmp = (protocol == ICMP) | (protocol == IPV6 + ICMPV6)
    detail = np.where(number == TCP, flags, np.where(icmp, messages, 0))
    ported = np.isin(number, PORT_PROTOCOLS) & whole
    return {
        "protocol": protocol,
        "detail": np.where(whole, detail, 0),
        "fragment": fragment,
        "source_hi": source[0], "source_lo": source[1], "destination_hi": destination[0], "destination_lo": destination[1],
        **{name: np.where(ported, values, 0) for name, values in ports.items()},
    }  # fmt: skip


def _protocol(text: str) -> int:
    return PROTOCOL_NUMBERS[text] if text in PROTOCOL_NUMBERS else _upto(255)(text)


def _upto(most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not (text.isascii() and text.isdecimal() and len(text) <= 5 and int(text) <= most):
            raise ValueError(f"not a number from 0 to {most}")
        return int(text)

    return read


def _yes(text: str) -> int:
    if text in _TRUE or text in _FALSE:
        return int(text in _TRUE)
    raise ValueError("neither true nor false")


def _flags(text: str) -> int:
    if text.isdecimal():
        return _upto(63)(text)
    words = [word for word in text.split("+") if word != "none"]
    if any(word not in _FLAGS for word in words) or not text:
        raise ValueError(f"flags are {', '.join(_FLAGS)}, joined by +")
    return sum(_FLAGS[word] for word in set(words))


def _halves(text: str) -> tuple[int, int]:
    """Return an address in the form of the flow store: two signed halves, IPv4 mapped."""
    address = ipaddress.ip_address(text)
    if "%" in text:
        raise ValueError("an address with a zone")
    value = int(address) | (_MAPPED if address.version == 4 else 0)
    return (value >> 64) - _SIGN, (value & (1 << 64) - 1) - _SIGN


def file_kind(path: str) -> str:
    """Return ``parquet`` or ``csv`` from the name of a file."""
    return "parquet" if Path(path).suffix.lower() in (".parquet", ".pq") else "csv"
