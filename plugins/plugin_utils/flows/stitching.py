# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stitching: the two directions of one 5-tuple become one conversation with ends a and b, whose roles are not yet known.

Records of one exporter are merged while the silence between them is shorter than the exporter's active timeout, its inactive timeout
and a minute, or, for packets, than a fixed silence; a new handshake begins a new conversation (facts/flows.md section 5, stitching): a SYN,
or a SYN with ACK that answers none. Which it is shows in the record and in the handshake packet before it, so that stitching pieces of what
was stitched before (``continuation.py``) gives what stitching all records at once gives.
A conversation that runs over midnight UTC has one part for each day, so that a session of months is seen on every day of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import signs
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.conversations import (
    NEVER,
    Conversations,
    conversations,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.held import (
    ROWS_AT_ONCE,
    HeldRecords,
    create_records,
    pieces,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.records import FROM_EXPORTER

__all__ = ["Silences", "create_records", "stitch"]

np = guarded("numpy")
pa = guarded("pyarrow")


_ENDS = ("a", "b")
# The columns of the relations. Types of ends follow their columns.
WHOLES = {
    "number": "int64",
    "exporter": "text",
    "protocol": "int16",
    **dict.fromkeys(("start_us", "end_us", "step_us"), "int64"),
    "origin": "int8",
    **{
        f"{end}_{name}": kind
        for end in _ENDS
        for name, kind in (
            *((name, "int64") for name in ("hi", "lo", "packets", "bytes", "start", "place")),
            *((name, "int32") for name in ("port", "flags", "opened", "answers")),
            *((name, "bool_") for name in ("pure", "syn_ack", "broadcasts", "replies")),
        )
    },
}
PARTS = {
    **dict.fromkeys(("number", "day_number", "start_us", "end_us", "step_us", "lag_us"), "int64"),
    **{f"{end}_{name}": "int64" for end in _ENDS for name in ("packets", "bytes")},
    **dict.fromkeys(("sampling", "signs"), "int32"),
    "source": "text",
}


@dataclass(frozen=True)
class Silences:
    """Longest silence within one conversation, in seconds."""

    packets_tcp: int = 3600
    packets_other: int = 300
    exporter_active: int = 1800
    exporter_inactive: int = 15

    @property
    def exporter(self) -> int:
        """Return the silence for an exporter's records."""
        return self.exporter_active + self.exporter_inactive + 60

    @property
    def longest(self) -> int:
        """Return the longest of them."""
        return max(self.packets_tcp, self.packets_other, self.exporter)

    def limit(self, origin: str = "origin") -> str:
        """Return the SQL expression of a record's silence in microseconds."""
        return (
            f"CASE WHEN {origin} = {FROM_EXPORTER} THEN {self.exporter} WHEN protocol = 6 THEN {self.packets_tcp}"
            f" ELSE {self.packets_other} END * 1000000::BIGINT"
        )


def stitch(connection: Any, silences: Silences | None = None, held: HeldRecords | None = None) -> list[Conversations]:
    """Make the relations ``wholes`` (one row per conversation) and ``parts`` (per conversation and day) of the held records.

    Both have ``number`` for the conversation. End a is the lower one of (address, port). Without ``held`` the records are those of the
    relation ``records``, all of them in memory, and what they make is returned too. Records beyond what is held in memory make tables,
    which spill; then nothing is returned.
    """
    limits = silences or Silences()
    if held is None:
        given = pieces([connection.sql("SELECT * FROM records").to_arrow_table()])
    else:
        given = held.pieces()
    stored = held is not None and held.stored
    made: dict[str, list[Any]] = {"wholes": [], "parts": []}
    kept = []
    count = waiting = 0
    for piece in given:
        found = conversations(piece, limits)
        for name, table in (("wholes", wholes_table(found, count)), ("parts", parts_table(found, count))):
            made[name].append(table)
        count += len(found.wholes["start_us"])
        if not stored:
            kept.append(found)
            continue
        waiting += len(found.whole_of)
        if waiting >= ROWS_AT_ONCE:
            _store(connection, made)
            waiting = 0
    if stored:
        _store(connection, made)
    else:
        for name, tables in made.items():
            connection.register(name, pa.concat_tables([schema_of(name).empty_table(), *tables]))
    return kept


def _store(connection: Any, made: dict[str, list[Any]]) -> None:
    """Move what waits to tables; many small insertions take several times as long as one."""
    for name, tables in made.items():
        connection.register("waiting", pa.concat_tables([schema_of(name).empty_table(), *tables]))
        connection.execute(f"CREATE TABLE IF NOT EXISTS {name} AS SELECT * FROM waiting LIMIT 0")
        connection.execute(f"INSERT INTO {name} SELECT * FROM waiting")
        connection.unregister("waiting")
        tables.clear()


def wholes_table(found: Conversations, first: int) -> Any:
    """Return an Arrow table of conversations, numbered from ``first``."""
    wholes = found.wholes
    count = len(wholes["start_us"])
    columns: dict[str, Any] = {
        "number": np.arange(first, first + count),
        "exporter": _texts(found, "exporter", wholes["exporter"]),
        **{name: wholes[name] for name in ("protocol", "start_us", "end_us", "step_us", "origin")},
    }
    for place, end in enumerate("ab"):
        for name in ("hi", "lo", "port", "packets", "bytes", "replies"):
            columns[f"{end}_{name}"] = wholes[f"{end}_{name}"]
        silent = wholes[f"{end}_start"] == NEVER
        for name in ("start", "place"):
            columns[f"{end}_{name}"] = pa.array(wholes[f"{end}_{name}"], mask=silent)
        columns[f"{end}_flags"] = (wholes["signs"] >> (place * signs.FLAG_BITS)) & signs.FLAGS
        for name in ("pure", "syn_ack", "broadcasts"):
            columns[f"{end}_{name}"] = (wholes["signs"] >> (signs.PAIRS[name] + place)) & 1 == 1
        for name in ("opened", "answers"):
            columns[f"{end}_{name}"] = (wholes["signs"] >> (signs.PAIRS[name] + place)) & 1
    return pa.table({name: columns[name] for name in WHOLES}, schema=schema_of("wholes"))


def parts_table(found: Conversations, first: int) -> Any:
    """Return an Arrow table of the parts of conversations that are numbered from ``first``."""
    columns = {
        **found.parts,
        "number": found.whole_of + first,
        "source": _texts(found, "source", found.parts["source"]),
    }
    return pa.table({name: columns[name] for name in PARTS}, schema=schema_of("parts"))


def schema_of(name: str) -> Any:
    """Return the Arrow schema of ``wholes`` or ``parts``."""
    text = pa.dictionary(pa.int32(), pa.string())
    columns = WHOLES if name == "wholes" else PARTS
    return pa.schema([(each, text if kind == "text" else getattr(pa, kind)()) for each, kind in columns.items()])


def _texts(found: Conversations, name: str, codes: Any) -> Any:
    """Return codes as texts."""
    return pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(found.names[name], type=pa.string()))
