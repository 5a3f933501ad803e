# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Engines that run the operations: DuckDB in this process, and the same protocol for others (``spark.py``).

An engine has named relations, made of Parquet files or of Arrow tables, and answers one query in the common dialect with an Arrow table.
The common dialect is DuckDB's SQL, kept to what facts/flows.md section 6 found portable: equality and range joins, grouping, anti-joins
(as NOT EXISTS), min, max, sum, count and bit_or over signed types; no asof, no lists, no engine's own functions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import codes, store
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.schema import arrow_schema

pa = guarded("pyarrow")

SQL_TYPES = {
    "int64": "BIGINT",
    "int32": "INTEGER",
    "int16": "SMALLINT",
    "bool": "BOOLEAN",
    "float": "FLOAT",
    "string": "VARCHAR",
    "date32": "DATE",
}


class Engine(Protocol):
    """Named relations and queries over them. Use it as a context manager; everything it holds ends with it."""

    name: str

    def __enter__(self) -> Engine: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def files(self, name: str, paths: Sequence[Path], columns: Mapping[str, str]) -> None:
        """Name the rows of Parquet files, which all have the columns; no file makes an empty relation."""

    def table(self, name: str, rows: Any) -> None:
        """Name an Arrow table."""

    def define(self, name: str, query: str, *, keep: bool = False) -> None:
        """Name a query; with ``keep`` its rows are worked out once and held."""

    def forget(self, name: str) -> None:
        """Let go of what ``define`` held for a name, and of the name."""

    def rows(self, query: str, columns: Mapping[str, str]) -> Any:
        """Return a query's rows as an Arrow table of the columns."""


class DuckEngine:
    """DuckDB in this process, in UTC, with bounded memory: what does not fit goes to ``temporary``."""

    name = "duckdb"

    def __init__(self, temporary: Path | None = None, memory_limit: str = "") -> None:
        self.connection = store.connect(temporary, memory_limit)

    def __enter__(self) -> DuckEngine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.connection.close()

    def files(self, name: str, paths: Sequence[Path], columns: Mapping[str, str]) -> None:
        """Name the rows of Parquet files."""
        if not paths:
            self.table(name, arrow_schema(dict(columns)).empty_table())
            return
        listed = ", ".join(quoted(str(each)) for each in paths)
        picked = ", ".join(f'"{each}"' for each in columns)
        self.define(name, f"SELECT {picked} FROM read_parquet([{listed}], hive_partitioning = false)")

    def table(self, name: str, rows: Any) -> None:
        """Name an Arrow table."""
        self.connection.register(name, rows)

    def define(self, name: str, query: str, *, keep: bool = False) -> None:
        """Name a query, as a temporary table or view."""
        self._run(self.connection.execute, f"CREATE OR REPLACE TEMP {'TABLE' if keep else 'VIEW'} {name} AS {query}")

    def forget(self, name: str) -> None:
        """Drop a temporary table."""
        self._run(self.connection.execute, f"DROP TABLE IF EXISTS temp.{name}")

    def rows(self, query: str, columns: Mapping[str, str]) -> Any:
        """Return a query's rows as an Arrow table of the columns."""
        schema = arrow_schema(dict(columns))
        return self._run(lambda text: self.connection.sql(text).to_arrow_table(), query).cast(schema)

    def _run(self, work: Callable[[str], Any], query: str) -> Any:
        try:
            return work(query)
        except (
            store.duckdb.IOException,
            store.duckdb.InvalidInputException,
            store.duckdb.OutOfMemoryException,
        ) as error:
            raise unreadable(error) from error


def unreadable(error: Exception) -> FindingError:
    """Return what is raised for a file of the store that cannot be read."""
    text = f"a file of the store cannot be read ({type(error).__name__}: {str(error)[:200]})"
    return store.fault(error, text)


def engine_of(setting: str = "", temporary: Path | None = None, memory_limit: str = "") -> Engine:
    """Return the engine that ``microseg_flow_engine`` names: empty or ``duckdb``, ``spark-local``, or ``spark://HOST:PORT``.

    Raises FindingError SW1491 for any other text, and names what is missing where Spark, Ibis or Java is not installed.
    """
    if setting in ("", "duckdb"):
        return DuckEngine(temporary, memory_limit)
    if setting == "spark-local" or setting.startswith("spark://"):
        from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.operations.spark import SparkEngine

        return SparkEngine("local[2]" if setting == "spark-local" else setting)
    raise FindingError(codes.ENGINE_UNKNOWN.at(f"{setting!r} names no engine"))


def quoted(text: str) -> str:
    """Return an SQL literal of a text."""
    return "'" + text.replace("'", "''") + "'"


def row_hash(rows: Any) -> str:
    """Return SHA-256 of an Arrow table's columns and rows, whatever their order and however they are held."""
    if rows.num_rows:
        rows = rows.sort_by([(name, "ascending") for name in rows.column_names])
    made = hashlib.sha256()
    for name in rows.column_names:
        column = rows.column(name).combine_chunks()
        made.update(f"{name}:{column.type}:{len(column)}:{column.null_count}\n".encode())
        if pa.types.is_string(column.type):
            made.update("\n".join("\\N" if each is None else each for each in column.to_pylist()).encode())
        else:
            if pa.types.is_date32(column.type):
                column = column.cast(pa.int32())
            made.update(column.is_null().to_numpy(zero_copy_only=False).tobytes())
            made.update(
                column.fill_null(0 if not pa.types.is_boolean(column.type) else False)
                .to_numpy(zero_copy_only=False)
                .tobytes()
            )
    return made.hexdigest()
