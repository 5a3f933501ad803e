# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The store: connections and rollup as Parquet by day, and the list of inputs already counted.

``inputs.json`` is the record of truth: a connection file counts only when its input stands there, so a reader sees an import whole or
not at all, and an import that was killed leaves nothing behind but files that the next one replaces.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from functools import cache
from inspect import signature
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.clock import utc_now
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import read_document, write_json
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError, Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded, require
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.schema import (
    CONNECTIONS,
    MAJOR,
    NOISE,
    OBSERVERS,
    ROLLUP,
    SCHEMA_VERSION,
    STITCHED,
    arrow_schema,
)

duckdb = guarded("duckdb")
np = guarded("numpy")
pa = guarded("pyarrow")
parquet = guarded("pyarrow.parquet")

MEMORY_LIMIT = "2GB"
DAY_FOLDER = re.compile(r"\Aday=(\d{4}-\d{2}-\d{2})\Z")
UNIX_DAY = date(1970, 1, 1)
# Columns of nearly as many values as rows: differences take a quarter less CPU to write and to read than dictionaries, and less room
# (2 million made-up rows of 30 days: written in 0.57 CPU seconds for 0.76, eight columns read in 0.09 for 0.13, 18.9 bytes a row for 20.3).
# DuckDB and Spark read this encoding; Spark's vectorized reader does not know BYTE_STREAM_SPLIT, which is cheaper by another tenth.
DELTAS = ("start_us", "end_us", "client_port", "bytes_out", "bytes_in", "first_us", "last_us", "bytes")
# Rows of a column of one number that are made once and stand for all of its rows: so many stay in the processor's caches.
SPREAD = 1 << 15
# As systems and DuckDB put it.
GONE = ("No files found that match", "No such file or directory")
NO_ROOM = ("No space left on device", "Disk quota exceeded", "Read-only file system")
COLUMNS = {"connections": CONNECTIONS, "rollup": ROLLUP, "observers": OBSERVERS, "noise": NOISE}
Moment = date | datetime | str | int


def flows_dir(data_dir: str | Path) -> Path:
    """Return the folder of flows in a data directory."""
    return Path(data_dir) / "flows"


def connect(temporary: Path | None = None, memory_limit: str = "") -> Any:
    """Return an in-memory DuckDB connection that holds at most ``memory_limit`` and spills the rest to ``temporary`` where given."""
    require(duckdb, pa)
    settings: dict[str, Any] = {
        "memory_limit": memory_limit or MEMORY_LIMIT,
        "preserve_insertion_order": "false",
    }
    if temporary is not None:
        settings["temp_directory"] = str(temporary)
    connection = duckdb.connect(":memory:", config=settings)
    # DuckDB draws one itself where Python runs no script; how far work has come is told by base/progress.py.
    connection.execute("SET enable_progress_bar = false")
    return connection


@contextmanager
def writing(data_dir: str | Path) -> Iterator[Path]:
    """Hold the store's write lock; raises FindingError SW1423 where another process has it. Yields the flows folder."""
    folder = flows_dir(data_dir)
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FindingError(codes.STORE_BUSY.at("the store is locked", Location(str(folder)))) from None
        yield folder
    finally:
        os.close(handle)


def read_inputs(data_dir: str | Path) -> dict[str, Any]:
    """Return the document of ``inputs.json``: ``inputs`` (by 16 hex digits of the hash) and ``stale_days``. Empty where there is none."""
    path = flows_dir(data_dir) / "inputs.json"
    if not path.exists():
        return {"kind": "flow-inputs", "schema_version": SCHEMA_VERSION, "inputs": {}, "stale_days": []}
    return read_document(path, "flow-inputs", MAJOR)


def write_inputs(data_dir: str | Path, document: dict[str, Any]) -> None:
    """Write ``inputs.json`` atomically: from here on its inputs count."""
    write_json(flows_dir(data_dir) / "inputs.json", document)


def connection_files(data_dir: str | Path, days: Sequence[date] | None = None) -> dict[date, list[Path]]:
    """Return the connection files that count, by day in order; ``days`` narrows."""
    folder = flows_dir(data_dir) / "connections"
    counted = read_inputs(data_dir)["inputs"]
    made: dict[date, list[Path]] = {}
    for day_folder in sorted(folder.glob("day=*")) if folder.is_dir() else ():
        day = _day_of(day_folder)
        if day is None or (days is not None and day not in days):
            continue
        files = [each for each in sorted(day_folder.glob("*.parquet")) if counts(counted, each)]
        if files:
            made[day] = files
    return made


def counts(inputs: Mapping[str, Any], path: Path) -> bool:
    """Return whether a connection file counts: its input is in ``inputs.json`` and it is the version of this day named there.

    Files are ``SOURCE.parquet``, and ``SOURCE.N.parquet`` once a later import went on with conversations in them (continuation.py).
    """
    source, _dot, version = path.stem.partition(".")
    if source not in inputs or (version and not version.isdigit()):
        return False
    named = inputs[source].get("versions", {}).get(path.parent.name.removeprefix("day="), 0)
    return named is not None and int(named) == int(version or 0)


def stored_days(data_dir: str | Path) -> list[date]:
    """Return the days that have connections, in order."""
    return list(connection_files(data_dir))


def rollup_days(data_dir: str | Path) -> list[date]:
    """Return the days that have connections or a rollup that outlived them, in order."""
    folder = flows_dir(data_dir) / "rollup"
    days = {_day_of(each) for each in folder.glob("day=*") if (each / "rollup.parquet").exists()}
    return sorted({*stored_days(data_dir), *(day for day in days if day is not None)})


def newest(days: Iterable[date]) -> date | None:
    """Return the newest of days, None where there is none.

    A day that has not come yet does not count beside others: an exporter's clock that runs ahead must not make all else old. Tomorrow has
    begun where clocks and time zones differ.
    """
    listed = list(days)
    tomorrow = utc_now().date() + timedelta(days=1)
    return max([day for day in listed if day <= tomorrow] or listed, default=None)


def connections(
    data_dir: str | Path, since: Moment | None = None, until: Moment | None = None, columns: Sequence[str] | None = None
) -> Any:
    """Return an Arrow table of connections that began at or after ``since`` and before ``until``, ordered by start.

    A moment is microseconds since 1970 UTC, a datetime, or a date (its beginning in UTC; text as YYYY-MM-DD). All exporters' views are
    in it; the rollup has each conversation once. Raises FindingError SW1421 for a newer format, SW1422 for a damaged file.
    """
    wanted = list(columns) if columns is not None else list(CONNECTIONS)
    unknown = [name for name in wanted if name not in CONNECTIONS]
    if unknown:
        raise ValueError(f"connections have no column {unknown[0]!r}")
    first, last = micros_of(since), micros_of(until)
    files = window_files(data_dir, first, last)
    picked = ", ".join(f'"{name}"' for name in wanted)
    condition = f"start_us >= {first if first is not None else -(1 << 62)} AND start_us < {last if last is not None else 1 << 62}"
    order = "start_us, client_hi, client_lo, server_hi, server_lo, protocol, server_port, client_port, exporter, end_us"
    query = f"SELECT {picked} FROM {{}} WHERE {condition} ORDER BY {order}"
    return _read(files, query, {name: CONNECTIONS[name] for name in wanted}, "connections")


@contextmanager
def window_connections(
    data_dir: str | Path, since: Moment | None, until: Moment | None, columns: Sequence[str]
) -> Iterator[Any]:
    """Yield a DuckDB connection with the relation ``given``: columns of the connections of a window, read as they are needed.

    Raises FindingError SW1421 for a newer format, SW1422 for a damaged file.
    """
    first, last = micros_of(since), micros_of(until)
    files = window_files(data_dir, first, last)
    for path in files:
        check_file(path, "connections")
    with connect(spill_folder(data_dir)) as connection:
        if files:
            # A view takes no parameters.
            picked = ", ".join(f'"{name}"' for name in columns)
            connection.execute(
                f"CREATE VIEW given AS SELECT {picked} FROM {parquet_rows(files)} WHERE start_us >="
                f" {first if first is not None else -(1 << 62)} AND start_us < {last if last is not None else 1 << 62}"
            )
        else:
            connection.register("given", arrow_schema({name: CONNECTIONS[name] for name in columns}).empty_table())
        yield connection


def parquet_rows(files: Sequence[Path]) -> str:
    """Return the SQL of the rows of Parquet files."""
    listed = ", ".join("'" + str(each).replace("'", "''") + "'" for each in files)
    return f"read_parquet([{listed}], hive_partitioning = false)"


def spill_folder(data_dir: str | Path) -> Path:
    """Return where a question's rows go that do not fit into memory: not the folder of imports, which clear theirs.

    DuckDB makes it when it spills and removes it at the end.
    """
    return flows_dir(data_dir) / f".spill-{os.getpid()}"


def window_files(data_dir: str | Path, first: int | None, last: int | None) -> list[Path]:
    """Return the connection files of the days that a window of microseconds touches."""
    return [each for group in window_day_files(data_dir, first, last).values() for each in group]


def window_day_files(data_dir: str | Path, first: int | None, last: int | None) -> dict[date, list[Path]]:
    """As ``window_files``, by day."""
    return {day: group for day, group in connection_files(data_dir).items() if touches(day, first, last)}


def rollup_files(
    data_dir: str | Path, since: Moment | None = None, until: Moment | None = None, kind: str = "rollup"
) -> list[Path]:
    """Return the rollup files of a window in order; days that an interrupted import left stale are rebuilt first.

    ``kind`` ``observers`` gives the files beside them that say what each exporter saw.
    """
    first, last = micros_of(since), micros_of(until)
    missing = days_without_rollup(data_dir, first, last) if kind == "rollup" else []
    if missing or read_inputs(data_dir).get("stale_days"):
        from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.rollup import refresh

        refresh(data_dir, missing)
    folder = flows_dir(data_dir) / "rollup"
    files = []
    for day_folder in sorted(folder.glob("day=*")) if folder.is_dir() else ():
        day = _day_of(day_folder)
        if day is not None and touches(day, first, last) and (day_folder / f"{kind}.parquet").exists():
            files.append(day_folder / f"{kind}.parquet")
    return files


def days_without_rollup(data_dir: str | Path, first: int | None = None, last: int | None = None) -> list[date]:
    """Return the days of a window whose connections count and whose rollup is not there, as where a damaged one was removed."""
    folder, made = flows_dir(data_dir) / "connections", flows_dir(data_dir) / "rollup"
    if not folder.is_dir():
        return []
    days = []
    for name in sorted(os.listdir(folder)):
        day = _day_of(Path(name))
        if day is not None and touches(day, first, last) and not (made / name / "rollup.parquet").exists():
            days.append(day)
    if not days:
        return []
    known = expired_days(data_dir)
    counted = connection_files(data_dir, days)
    return [day for day, files in counted.items() if day not in known and any(_has_rows(each) for each in files)]


def _has_rows(path: Path) -> bool:
    """Return whether a file has rows, or cannot be read, which whoever reads it says."""
    try:
        return bool(parquet.read_metadata(path).num_rows)
    except (OSError, UnicodeDecodeError, pa.ArrowException):
        return True


def rollup(data_dir: str | Path, since: Moment | None = None, until: Moment | None = None) -> Any:
    """Return an Arrow table of the daily rollup for the days from ``since`` up to, not including, ``until`` (see ``connections``).

    Days that an interrupted import left stale are rebuilt first.
    """
    files = rollup_files(data_dir, since, until)
    order = "day, client_hi, client_lo, server_hi, server_lo, protocol, server_port, class"
    return _read(files, f"SELECT {', '.join(_quoted(ROLLUP))} FROM {{}} ORDER BY {order}", ROLLUP, "rollup")


def observers(data_dir: str | Path, since: Moment | None = None, until: Moment | None = None) -> Any:
    """Return an Arrow table of what each exporter saw on each day of a window (docs/formats/rollup.md)."""
    files = rollup_files(data_dir, since, until, "observers")
    return _read(
        files, f"SELECT {', '.join(_quoted(OBSERVERS))} FROM {{}} ORDER BY day, exporter", OBSERVERS, "observers"
    )


def expired_days(data_dir: str | Path) -> set[date]:
    """Return the days whose connections are past their retention: their rollup stands as it is."""
    return {date.fromisoformat(each) for each in read_inputs(data_dir).get("expired_days", [])}


def write_parquet(connection: Any, query: str, path: Path, kind: str) -> int:
    """Write a query's rows as Parquet atomically; returns how many."""
    return write_table(connection.sql(query).to_arrow_table(), path, kind)


def write_table(rows: Any, path: Path, kind: str) -> int:
    """Write an Arrow table of connections or rollup rows as Parquet (zstd level 1) atomically; returns the number of rows."""
    return write_tables([rows], path, kind, once=_once(rows))


def _once(rows: Any) -> set[str]:
    """Return the columns of numbers that have one value."""
    made = set()
    for name, column in zip(rows.column_names, rows.columns, strict=True):
        kind = column.type
        plain = pa.types.is_integer(kind) or pa.types.is_float32(kind)
        if plain and column.num_chunks == 1 and not column.null_count and rows.num_rows:
            values = column.chunk(0).to_numpy()
            if values[0] == values[-1] and (values == values[0]).all():
                made.add(name)
    return made


def write_tables(
    tables: Iterable[Any],
    path: Path,
    kind: str,
    told: Mapping[str, str] | None = None,
    once: Collection[str] = (),
) -> int:
    """As ``write_table`` for tables one after another; ``told`` is more for the file's metadata, ``once`` columns that have one value in
    all of them, as have those that come as dictionaries of one number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = {**COLUMNS[kind], **STITCHED} if kind == "connections" else COLUMNS[kind]
    schema = arrow_schema(columns, kind)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    writer, count = None, 0
    spread: dict[str, Any] = {}
    try:
        for rows in tables:
            table = _fitting(rows, schema, kind, spread)
            count += table.num_rows
            writer = writer or parquet.ParquetWriter(
                temporary, table.schema, **_options(schema, {*once, *_single(rows)})
            )
            writer.write_table(table, row_group_size=1 << 19)
        writer = writer or parquet.ParquetWriter(temporary, schema, **_options(schema, ()))
        own = {key.decode(): value.decode() for key, value in schema.metadata.items()}
        writer.add_key_value_metadata({**own, **(told or {})})
        writer.close()
        with open(temporary, "rb") as stream:
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return count


def _options(schema: Any, once: Collection[str]) -> dict[str, Any]:
    """Return how a file is written. Short numbers that are all the same take a third of the time without a dictionary, and no more room."""
    short = {each.name for each in schema if each.name in once and each.type in (pa.int16(), pa.int32(), pa.float32())}
    # What no question reads has no reader to be slower for.
    short |= {each.name for each in schema if each.name in once and each.name in STITCHED}
    return {
        "compression": "zstd",
        "compression_level": 1,
        "use_dictionary": [name for name in schema.names if name not in DELTAS and name not in short],
        "column_encoding": {name: "DELTA_BINARY_PACKED" for name in schema.names if name in DELTAS},
        "store_schema": False,
        "write_batch_size": 1 << 14,
        **_pages(),
    }


@cache
def _pages() -> dict[str, int]:
    """Return what makes pages longer than pyarrow's 20,000 rows, where it has that bound.

    Times and ports compress better: 5.4 octets a row for 7.2 of made-up records, written and read in a tenth less time.
    """
    return {"max_rows_per_page": 1 << 17} if "max_rows_per_page" in signature(parquet.write_table).parameters else {}


def _single(rows: Any) -> list[str]:
    """Return the columns that come as dictionaries of numbers: of one, which stands for all rows."""
    return [
        each.name
        for each in rows.schema
        if pa.types.is_dictionary(each.type) and not pa.types.is_string(each.type.value_type)
    ]


def _fitting(rows: Any, schema: Any, kind: str, spread: dict[str, Any]) -> Any:
    """Return rows with the columns of a schema; texts may come as dictionaries, and are texts in the file all the same.

    Columns without a missing value are declared to have none, which saves a fifth of writing and is read faster. ``spread`` keeps columns
    of one number from table to table.
    """
    if kind == "connections":
        for name in STITCHED:
            if name not in rows.column_names:
                rows = rows.append_column(name, pa.nulls(rows.num_rows))
    single = set(_single(rows))
    columns, fields = [], []
    for each in schema:
        column = rows.column(each.name)
        if each.name in single and rows.num_rows:
            if each.name not in spread:
                spread[each.name] = pa.repeat(column.chunk(0).dictionary[0], SPREAD)
            whole, rest = divmod(rows.num_rows, SPREAD)
            column = pa.chunked_array([*[spread[each.name]] * whole, spread[each.name].slice(0, rest)])
        held = column.type if pa.types.is_dictionary(column.type) else each.type
        columns.append(column)
        fields.append(each.with_type(held).with_nullable(column.null_count > 0))
    return pa.table(columns, names=schema.names).cast(pa.schema(fields))


def day_number(day: date) -> int:
    """Return days since 1970-01-01."""
    return (day - UNIX_DAY).days


def date_of(number: int) -> date:
    """Return the date of a number of days since 1970-01-01; the ends of the calendar stand for what lies beyond it."""
    try:
        return UNIX_DAY + timedelta(days=number)
    except OverflowError:
        return date.max if number > 0 else date.min


def day_folder(data_dir: str | Path, room: str, day: date) -> Path:
    """Return the folder of a day in ``connections`` or ``rollup``."""
    return flows_dir(data_dir) / room / f"day={day.isoformat()}"


def micros_of(moment: Moment | None) -> int | None:
    """Return microseconds since 1970 UTC of a moment; raises ValueError for text that is no date or RFC 3339 time."""
    if moment is None or isinstance(moment, int):
        return moment
    if isinstance(moment, str):
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", moment):
            moment = date.fromisoformat(moment)
        else:
            moment = datetime.fromisoformat(moment)
    if isinstance(moment, datetime):
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return (aware - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    return day_number(moment) * 86_400_000_000


def window_of(since: str = "", until: str = "") -> tuple[int | None, int | None]:
    """Return the microseconds since 1970 of a window's ends, None where one is open; raises ValueError for what is no day or no window."""
    moments = []
    for name, text in (("since", since), ("until", until)):
        try:
            moments.append(micros_of(text or None))
        except ValueError:
            raise ValueError(f"{name} is {str(text)[:40]!r}, not a day as 2026-11-23") from None
    first, last = moments
    if first is not None and last is not None and first >= last:
        raise ValueError(f"nothing lies between {since} and {until}, which is not counted any more")
    return first, last


def day_of(folder: Path) -> date:
    """Return the day of a folder ``day=YYYY-MM-DD``."""
    return date.fromisoformat(folder.name.removeprefix("day="))


def touches(day: date, first: int | None, last: int | None) -> bool:
    """Return whether a day lies, in part at least, in a window of microseconds."""
    start = day_number(day) * 86_400_000_000
    return (first is None or start + 86_400_000_000 > first) and (last is None or start < last)


def _day_of(folder: Path) -> date | None:
    found = DAY_FOLDER.match(folder.name)
    try:
        return date.fromisoformat(found[1]) if found else None
    except ValueError:
        return None


def _quoted(columns: Sequence[str] | dict[str, str]) -> list[str]:
    return [f'"{name}"' for name in columns]


def _read(files: Sequence[Path], query: str, columns: dict[str, str], kind: str) -> Any:
    schema = arrow_schema(columns)
    if not files:
        return schema.empty_table()
    for path in files:
        check_file(path, kind)
    with connect() as connection:
        names = {"files": [str(each) for each in files]}
        return (
            connection.sql(query.format("read_parquet($files, hive_partitioning = false)"), params=names)
            .to_arrow_table()
            .cast(schema)
        )


def fault(error: BaseException, message: str, location: Location | None = None) -> FindingError:
    """Return what is raised where the store cannot be read: SW1427 where a disk or the memory is full, SW1429 where a file went meanwhile,
    both of which harm nothing, else SW1422."""
    room = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
    room = room or isinstance(error, duckdb.OutOfMemoryException) or any(each in str(error) for each in NO_ROOM)
    gone = isinstance(error, FileNotFoundError) or any(each in str(error) for each in GONE)
    code = codes.STORE_ROOM if room else codes.STORE_CHANGED if gone else codes.STORE_DAMAGED
    return FindingError(code.at(message, location))


def check_file(path: Path, kind: str, newest: int = MAJOR, more: Iterable[str] = ()) -> None:
    """Raise FindingError SW1421 where a file of the store has a newer format, SW1422 where it is damaged or of another kind, SW1424
    where it lacks columns of its kind or of ``more``."""
    location = Location(str(path))
    try:
        schema = parquet.read_schema(path)
        metadata = schema.metadata or {}
    except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
        raise fault(error, f"not a Parquet file ({type(error).__name__})", location) from error
    version = metadata.get(b"schema_version", b"").decode("ascii", "replace")
    major = version.split(".", maxsplit=1)[0]
    if metadata.get(b"kind", b"").decode("ascii", "replace") != kind or not major.isdigit():
        raise FindingError(codes.STORE_DAMAGED.at(f"not a file of {kind}", location))
    if int(major) > newest:
        raise FindingError(
            codes.STORE_FORMAT.at(f"schema version {version}; this version reads up to major {newest}", location)
        )
    lacking = [name for name in (*COLUMNS.get(kind, ()), *more) if name not in schema.names]
    if lacking:
        raise FindingError(codes.STORE_OLDER.at(f"no {', '.join(lacking)}", location))
