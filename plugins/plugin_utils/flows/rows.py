# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Conversations and their directions to rows of connection files, as arrays: the short way of an import that fits into memory.

``ingest.py`` does the same in SQL where records had to be stored, or where rows of earlier imports go into new ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import grouping, signs
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.conversations import Conversations
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.records import DAY_US
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.schema import CLASSES, CONNECTIONS, STITCHED

np = guarded("numpy")
pa = guarded("pyarrow")

# How rows stand in their files; ``source`` and the day are the file's name.
ORDER = (
    "start_us", "client_hi", "client_lo", "server_hi", "server_lo", "protocol", "server_port", "client_port", "exporter", "end_us",
)  # fmt: skip
TEXTS = ("class", "exporter", "source")


def connection_rows(connection: Any, found: Sequence[Conversations]) -> dict[str, Any]:
    """Return the columns of connection files and ``day_number`` as arrays, from conversations and the relation ``oriented``.

    Texts are codes: of ``CLASSES``, and of ``names`` of the conversations.
    """
    code = " ".join(f"WHEN '{name}' THEN {number}" for number, name in enumerate(CLASSES))
    told = connection.sql(
        f"SELECT number, a_is_client, method, confidence, CASE class {code} END::TINYINT AS class FROM oriented"
    )
    given = {name: column.to_numpy() for name, column in zip(told.columns, told.to_arrow_table().columns, strict=True)}
    number = given.pop("number")
    if len(number) and (np.diff(number) != 1).any():
        order = np.empty(len(number), dtype=np.int64)
        order[number] = np.arange(len(number))
        given = {name: values[order] for name, values in given.items()}
    made: dict[str, list[Any]] = {name: [] for name in (*CONNECTIONS, *STITCHED, "day_number")}
    first = 0
    for each in found:
        count = len(each.wholes["start_us"])
        rows = _rows(each, {name: values[first : first + count] for name, values in given.items()})
        for name, column in made.items():
            column.append(rows[name])
        first += count
    return {name: np.concatenate(columns) for name, columns in made.items()}


def _rows(found: Conversations, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the rows of the parts of one piece."""
    whole_of, wholes, parts = found.whole_of, found.wholes, found.parts
    one_each = len(whole_of) == len(wholes["start_us"])

    def of_whole(values: Any) -> Any:
        return values if one_each else values[whole_of]

    a_is_client = of_whole(given["a_is_client"])
    made = {name: parts[name] for name in ("start_us", "end_us", "day_number", "sampling", "source", "step_us")}
    made |= {name: of_whole(given[name]) for name in ("method", "confidence", "class")}
    made |= {name: of_whole(wholes[name]) for name in ("protocol", "exporter")}
    for name in ("hi", "lo", "port"):
        a, b = of_whole(wholes[f"a_{name}"]), of_whole(wholes[f"b_{name}"])
        made[f"client_{name}"], made[f"server_{name}"] = np.where(a_is_client, a, b), np.where(a_is_client, b, a)
    for name in ("packets", "bytes"):
        made[f"{name}_out"] = np.where(a_is_client, parts[f"a_{name}"], parts[f"b_{name}"])
        made[f"{name}_in"] = np.where(a_is_client, parts[f"b_{name}"], parts[f"a_{name}"])
    replies = [of_whole(wholes[f"{end}_replies"]) for end in "ab"]
    made["answered"] = np.where(a_is_client, replies[1], replies[0])
    turned = np.where(a_is_client, replies[0], replies[1]).astype(np.int32) << signs.TURNED_ANSWERED
    made["signs"] = np.where(a_is_client, parts["signs"], signs.turned(parts["signs"])) | turned
    made["lag_us"] = np.where(a_is_client, parts["lag_us"], -parts["lag_us"])
    return made


def without_days(rows: dict[str, Any], days: Sequence[int]) -> int:
    """Take the rows of days (since 1970) out of ``rows`` and return how many they were."""
    out = np.isin(rows["day_number"], days) if days else np.zeros(0, dtype=bool)
    if out.any():
        for name, values in rows.items():
            rows[name] = values[~out]
    return int(out.sum())


def touched_days(rows: Mapping[str, Any], longest: int) -> list[int]:
    """Return the days (since 1970) that rows lie in, of each no more than ``longest`` after its first."""
    first = np.floor_divide(rows["start_us"], DAY_US)
    last = np.minimum(np.floor_divide(rows["end_us"], DAY_US), first + longest)
    days = set(np.unique(first).tolist())
    for row in np.flatnonzero(last > first).tolist():
        days.update(range(int(first[row]), int(last[row]) + 1))
    return sorted(days)


def files_of(rows: dict[str, Any], names: Mapping[str, Sequence[str]]) -> Iterator[tuple[int, str, Any]]:
    """Yield (day number, source, Arrow table in order) for each file that the rows make."""
    order = _order(rows)
    texts = {"class": list(CLASSES), **names}
    day, source = (rows[name][order] for name in ("day_number", "source"))
    table = as_table(
        {name: values if _one(values) else values[order] for name, values in rows.items() if name != "day_number"},
        texts,
    )
    ends = np.flatnonzero((day[1:] != day[:-1]) | (source[1:] != source[:-1])) + 1
    for first, last in zip([0, *ends.tolist()], [*ends.tolist(), len(order)], strict=True):
        if last > first:
            yield int(day[first]), texts["source"][int(source[first])], table.slice(first, last - first)


def as_table(rows: Mapping[str, Any], texts: Mapping[str, Sequence[str]]) -> Any:
    """Return rows as an Arrow table, texts as dictionaries."""
    columns = {}
    for name, values in rows.items():
        kind = {**CONNECTIONS, **STITCHED}.get(name, "int64")
        if name in TEXTS:
            codes = pa.array(values.astype(np.int32, copy=False))
            columns[name] = pa.DictionaryArray.from_arrays(codes, pa.array(texts[name], type=pa.string()))
        else:
            columns[name] = pa.array(
                values if kind == "bool" else values.astype(kind if kind != "float" else "f4", copy=False)
            )
    return pa.table(columns)


def _one(values: Any) -> bool:
    return len(values) > 0 and bool((values == values[0]).all())


def _order(rows: dict[str, Any]) -> Any:
    """Return the order of rows: by day and source, then as ``ORDER`` says."""
    start = rows["start_us"]
    count = len(start)
    if not count:
        return np.arange(0)
    low = start.min()
    order = grouping.sorted_order((start - low).astype(np.uint64), int(start.max() - low).bit_length())
    day = rows["day_number"] - rows["day_number"].min()
    sources = int(rows["source"].max()) + 1
    file = day * sources + rows["source"]
    if not _one(file):
        _files, file = np.unique(file, return_inverse=True)
        order = order[grouping.sorted_order(file[order].astype(np.uint64), int(file.max()).bit_length())]
    begins, filed = start[order], file[order]
    tied = np.zeros(count, dtype=bool)
    tied[1:] = (begins[1:] == begins[:-1]) & (filed[1:] == filed[:-1])
    tied[:-1] |= tied[1:]
    if tied.any():
        some = order[tied]
        keys = [rows[name][some] for name in reversed(ORDER)]
        order[tied] = some[np.lexsort((*keys, filed[tied]))]
    return order
