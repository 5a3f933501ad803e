# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What inputs hold beside flows (denied packets, DNS answers): one Parquet file for each kind, day and input.

As with connections, a file counts only when its input stands in ``inputs.json``, so an input counts once, whole or not at all. What an
input holds is written in parts while it is read (``INPUT.parquet``, ``INPUT.1.parquet`` ...), so that memory holds one of them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import store

np = guarded("numpy")
pa = guarded("pyarrow")
parquet = guarded("pyarrow.parquet")

DAY_US = 86_400_000_000
# No DNS answer is believed for longer (sources/dns.py) but for an hour (operations/beside.py), so none from further back can still hold.
NAMES_REACH_US = 7 * DAY_US + 3_600_000_000
# So many rows of an input are held before they are written.
ROWS_AT_ONCE = 1 << 18
MAJOR = 1
SCHEMA_VERSION = "1.0"
# Kind -> its columns (name -> Arrow type by name); ``time_us`` says the day. docs/formats/denies.md, docs/formats/names.md.
DENIES = {
    "time_us": "int64",
    "source_hi": "int64",
    "source_lo": "int64",
    "source_port": "int32",
    "target_hi": "int64",
    "target_lo": "int64",
    "target_port": "int32",
    "protocol": "int16",
    "packets": "int64",
    "point": "string",
    "platform": "string",
    "list": "string",
    "entry": "string",
    "interface": "string",
    "source_sgt": "int32",
    "target_sgt": "int32",
    "message": "string",
    "input": "string",
}
NAMES = {
    "time_us": "int64",
    "address_hi": "int64",
    "address_lo": "int64",
    "name": "string",
    "client_hi": "int64",
    "client_lo": "int64",
    "ttl": "int64",
    "via": "string",
    "exporter": "string",
    "input": "string",
}
KINDS: dict[str, dict[str, str]] = {"denies": DENIES, "names": NAMES}


def schema(kind: str, *, metadata: bool = False) -> Any:
    """Return the Arrow schema of a kind."""
    fields = [pa.field(name, getattr(pa, each)()) for name, each in KINDS[kind].items()]
    return pa.schema(fields, metadata={"kind": kind, "schema_version": SCHEMA_VERSION} if metadata else None)


def table_of(kind: str, rows: Sequence[Mapping[str, Any]]) -> Any:
    """Return an Arrow table of a kind from mappings."""
    return pa.Table.from_pylist(list(rows), schema=schema(kind))


def write(data_dir: str | Path, kind: str, input_name: str, tables: Sequence[Any]) -> int:
    """Write the rows of one input, by day; returns how many. What an earlier, killed import left of the input is replaced."""
    writer = Writer(data_dir, input_name)
    writer.add(kind, tables)
    return writer.finish((kind,)).get(kind, 0)


class Writer:
    """Writes what one input holds beside flows, part by part."""

    def __init__(self, data_dir: str | Path, input_name: str) -> None:
        self.data_dir, self.input_name = data_dir, input_name
        self.counts: dict[str, int] = {}
        self._parts: dict[str, int] = {}
        self._written: set[Path] = set()

    def take(self, source: Any, at_least: int = ROWS_AT_ONCE) -> None:
        """Write and clear what a source has gathered of each kind, where it is ``at_least`` so many rows."""
        for kind in KINDS:
            tables = getattr(source, kind, None)
            if tables and sum(each.num_rows for each in tables) >= at_least:
                self.add(kind, tables)
                tables.clear()

    def add(self, kind: str, tables: Sequence[Any]) -> None:
        """Write rows of a kind as the next part of each of their days."""
        if not tables:
            return
        rows = pa.concat_tables([each.cast(schema(kind)) for each in tables])
        names = pa.array([self.input_name] * rows.num_rows, pa.string())
        rows = rows.set_column(rows.schema.get_field_index("input"), "input", names)
        rows = rows.sort_by([(name, "ascending") for name in KINDS[kind]])
        days = np.floor_divide(rows.column("time_us").to_numpy(), DAY_US)
        number = self._parts.get(kind, 0)
        self._parts[kind] = number + 1
        name = f"{self.input_name}.{number}.parquet" if number else f"{self.input_name}.parquet"
        for day in np.unique(days):
            part = rows.filter(pa.array(days == day)).replace_schema_metadata(schema(kind, metadata=True).metadata)
            path = store.day_folder(self.data_dir, kind, store.date_of(int(day))) / name
            _write(part, path)
            self._written.add(path)
        self.counts[kind] = self.counts.get(kind, 0) + rows.num_rows

    def finish(self, kinds: Iterable[str] = tuple(KINDS)) -> dict[str, int]:
        """Remove what an earlier, killed import left of the input; returns how many rows of each kind were written."""
        for kind in kinds:
            for left in (store.flows_dir(self.data_dir) / kind).glob(f"day=*/{self.input_name}*.parquet"):
                if left not in self._written:
                    left.unlink(missing_ok=True)
        return self.counts


def input_of(path: Path) -> str:
    """Return the input that a file is of."""
    return path.stem.partition(".")[0]


def _write(table: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        parquet.write_table(table, temporary, compression="zstd", compression_level=1)
        with open(temporary, "rb") as stream:
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def files(
    data_dir: str | Path, kind: str, since: store.Moment | None = None, until: store.Moment | None = None
) -> list[Path]:
    """Return the files of a kind that count and whose day touches the window, in order."""
    first, last = store.micros_of(since), store.micros_of(until)
    folder = store.flows_dir(data_dir) / kind
    counted = store.read_inputs(data_dir)["inputs"]
    made: list[Path] = []
    for day in sorted(folder.glob("day=*")) if folder.is_dir() else ():
        try:
            start = store.day_number(date.fromisoformat(day.name.removeprefix("day="))) * DAY_US
        except ValueError:
            continue
        if (first is None or start + DAY_US > first) and (last is None or start < last):
            made.extend(each for each in sorted(day.glob("*.parquet")) if input_of(each) in counted)
    return made


def read(data_dir: str | Path, kind: str, since: store.Moment | None = None, until: store.Moment | None = None) -> Any:
    """Return an Arrow table of a kind from ``since`` up to, not including, ``until``, ordered by all its columns.

    Raises FindingError SW1421 for a newer format, SW1422 for a damaged file.
    """
    found = files(data_dir, kind, since, until)
    wanted = schema(kind)
    if not found:
        return wanted.empty_table()
    for path in found:
        store.check_file(path, kind, MAJOR)
    first, last = store.micros_of(since), store.micros_of(until)
    columns = ", ".join(f'"{name}"' for name in KINDS[kind])
    condition = (
        f"time_us >= {first if first is not None else -(1 << 62)} AND time_us < {last if last is not None else 1 << 62}"
    )
    with store.connect() as connection:
        query = f"SELECT {columns} FROM read_parquet($files, hive_partitioning = false) WHERE {condition} ORDER BY ALL"
        return connection.sql(query, params={"files": [str(each) for each in found]}).to_arrow_table().cast(wanted)
