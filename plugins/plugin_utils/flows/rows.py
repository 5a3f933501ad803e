# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Conversations and their directions to rows of connection files, as arrays, in the order in which they stand in them.

A file's rows are put in order stretch of time by stretch of time, so that no more than a stretch is in memory at once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import grouping, signs
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.conversations import Conversations
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.held import bounds_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.orientation import Directions
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.records import DAY_US
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.schema import CLASSES, CONNECTIONS, STITCHED
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.shelf import Parted, Shelf

np = guarded("numpy")
pa = guarded("pyarrow")

# How rows stand in their files; ``source`` and the day are the file's name.
ORDER = (
    "start_us", "client_hi", "client_lo", "server_hi", "server_lo", "protocol", "server_port", "client_port", "exporter", "end_us",
)  # fmt: skip
TEXTS = ("class", "exporter", "source")
COLUMNS = (*CONNECTIONS, *STITCHED)
# Rows that are sorted at once, about: so many stay in the processor's caches. Of many rows more are, since each stretch of time is picked
# from every batch. Into how many stretches a day may fall.
ROWS_AT_ONCE = 1 << 17
STRETCHES = 32
SLOTS = 4096
# The name of each row's slot while rows wait.
SLOT = ".slot"
# Rows that stand together in a file.
ROW_GROUP = 1 << 19
OCTETS_IN_MEMORY = 256_000_000
# Rows of a file up to which its columns are whole arrays.
WHOLE_ROWS = 1 << 21
# What rows are made of, beside directions.
WHOLES = ("protocol", "exporter", *(f"{end}_{name}" for end in "ab" for name in ("hi", "lo", "port", "replies")))
PARTS = (
    "start_us", "end_us", "day_number", "sampling", "source", "step_us", "signs", "lag_us",
    *(f"{end}_{name}" for end in "ab" for name in ("packets", "bytes")),
)  # fmt: skip


def put_away(found: Conversations) -> dict[str, Any]:
    """Return what rows are made of as one batch of arrays; one value stands for a column that has no other."""
    made = {f"w_{name}": _narrowed(found.wholes[name]) for name in WHOLES}
    made |= {f"p_{name}": _narrowed(found.parts[name]) for name in PARTS}
    if len(found.whole_of) != len(found.wholes["start_us"]):
        made["whole_of"] = found.whole_of
    return made


def connection_rows(kept: Mapping[str, Any], told: Directions) -> dict[str, Any]:
    """Return the columns of connection files and ``day_number`` as arrays, from a batch that was put away and its directions.

    Texts are codes: of ``CLASSES``, and of the ``names`` of the conversations. A column of one value takes no room and cannot be written.
    """
    whole_of = kept.get("whole_of")
    count = len(told.method) if whole_of is None else len(whole_of)

    def of_whole(values: Any) -> Any:
        return values if whole_of is None or len(values) != len(told.method) else values[whole_of]

    a_is_client = of_whole(told.a_is_client)

    def turned(one: Any, other: Any) -> Any:
        """Return the one where end a is the client, the other elsewhere."""
        alike = len(one) == len(other) == 1 != count and one[0] == other[0]
        return one if alike else np.where(a_is_client, one, other)

    made = {name: kept[f"p_{name}"] for name in ("start_us", "end_us", "day_number", "sampling", "source", "step_us")}
    made |= {"method": of_whole(told.method), "class": of_whole(told.kind), "confidence": of_whole(told.confidence)}
    made |= {name: of_whole(kept[f"w_{name}"]) for name in ("protocol", "exporter")}
    for name in ("hi", "lo", "port"):
        a, b = of_whole(kept[f"w_a_{name}"]), of_whole(kept[f"w_b_{name}"])
        made[f"client_{name}"], made[f"server_{name}"] = turned(a, b), turned(b, a)
    for name in ("packets", "bytes"):
        a, b = kept[f"p_a_{name}"], kept[f"p_b_{name}"]
        made[f"{name}_out"], made[f"{name}_in"] = turned(a, b), turned(b, a)
    replies = [of_whole(kept[f"w_{end}_replies"]) for end in "ab"]
    made["answered"] = turned(replies[1], replies[0])
    told_signs = kept["p_signs"]
    made["signs"] = turned(told_signs, signs.turned(told_signs))
    made["signs"] = made["signs"] | turned(*replies).astype(np.int32) << signs.TURNED_ANSWERED
    made["lag_us"] = turned(kept["p_lag_us"], -kept["p_lag_us"])
    return {name: values if len(values) == count else grouping.spread(values, count) for name, values in made.items()}


def split(rows: dict[str, Any], picked: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return (rows of a mask, the others)."""
    if not picked.any():
        return {name: values[:0] for name, values in rows.items()}, rows
    return (
        {name: values[picked] for name, values in rows.items()},
        {name: values[~picked] for name, values in rows.items()},
    )


def touched_days(rows: Mapping[str, Any], longest: int) -> set[int]:
    """Return the days (since 1970) that rows lie in, of each no more than ``longest`` after its first."""
    if len(rows["start_us"]):
        day = int(rows["start_us"].min()) // DAY_US
        if day == int(rows["end_us"].max()) // DAY_US:
            return {day}
    first = np.floor_divide(rows["start_us"], DAY_US)
    last = np.minimum(np.floor_divide(rows["end_us"], DAY_US), first + longest)
    alike = len(first) > 0 and (first == first[0]).all()
    days = {int(first[0])} if alike else set(np.unique(first).tolist())
    over = last > first
    if over.any():
        for begin, end in set(zip(first[over].tolist(), last[over].tolist(), strict=True)):
            days.update(range(begin, end + 1))
    return days


class Files:
    """Rows of connection files on their way to them: sorted into files by day and source, and within them by time.

    ``names`` has the texts of codes. Rows beyond what is held in memory wait in a file in ``folder``.
    """

    def __init__(self, names: Mapping[str, Sequence[str]], folder: Path | None = None) -> None:
        self.texts = {"class": list(CLASSES), **names}
        self.shelf = Shelf(folder, OCTETS_IN_MEMORY)
        # By day and source: how many rows begin in each slot of the day.
        self.slots: dict[tuple[int, int], Any] = {}
        # Columns that have had one value so far.
        self.only: dict[str, Any] = {}
        # The columns of the file given out last, whole once its tables have been read; none of a file that has too many rows, and none of
        # columns that have one value in all files.
        self.whole: dict[str, Any] = {}
        self.count = 0

    def add(self, rows: Mapping[str, Any]) -> None:
        """Add rows as ``connection_rows`` gives them."""
        count = len(rows["start_us"])
        if not count:
            return
        batch = {name: values if name == "start_us" else _narrowed(values) for name, values in rows.items()}
        once = {name: values[0] for name, values in batch.items() if len(values) == 1}
        self.only = {
            name: value for name, value in (self.only if self.count else once).items() if once.get(name) == value
        }
        self.count += count
        file, keys = _file_of(batch)
        slot = (rows["start_us"] - batch["day_number"] * DAY_US) * SLOTS // DAY_US
        batch[SLOT] = slot.astype(np.int16)
        for number, key in enumerate(keys):
            mine = slot if len(keys) == 1 else slot[file == number]
            sizes = np.bincount(mine, minlength=SLOTS)
            self.slots[key] = self.slots[key] + sizes if key in self.slots else sizes
        self.shelf.append(batch)

    def tables(self) -> Iterator[tuple[int, str, Iterator[Any]]]:
        """Yield (day number, source, Arrow tables in order) for each file; its tables have to be read before the next one."""
        listed = sorted(self.slots)
        stretches: list[tuple[tuple[int, int], int, int]] = []
        least = max(ROWS_AT_ONCE, self.count // STRETCHES)
        for key in listed:
            stretches += [(key, first, last) for first, last in bounds_of(self.slots[key], least)]
        parted = self._parted(stretches)
        place = 0
        for key in listed:
            mine = [number for number in range(place, len(stretches)) if stretches[number][0] == key]
            place += len(mine)
            self.whole = {}
            yield key[0], self.texts["source"][key[1]], self._tables(parted, mine, int(self.slots[key].sum()))

    def _parted(self, stretches: Sequence[tuple[tuple[int, int], int, int]]) -> Parted:
        """Return the rows by stretch."""
        parted = Parted(len(stretches), Shelf(self.shelf.folder, OCTETS_IN_MEMORY))
        places: dict[tuple[int, int], tuple[int, Any]] = {}
        for number, (key, first, _last) in enumerate(stretches):
            begun, firsts = places.setdefault(key, (number, []))
            firsts.append(first)
        for number in range(len(self.shelf)):
            batch = self.shelf.take(number)
            count = len(batch["start_us"])
            if len(stretches) == 1:
                del batch[SLOT]
                parted.add(batch, np.zeros(count, dtype=np.int64), count)
                continue
            file, keys = _file_of(batch)
            slot = batch.pop(SLOT)
            part = np.empty(count, dtype=np.uint32)
            for own, key in enumerate(keys):
                begun, firsts = places[key]
                mine = file == own if len(keys) > 1 else slice(None)
                of_slot = np.searchsorted(firsts, np.arange(SLOTS), side="right") + (begun - 1)
                part[mine] = of_slot.astype(np.uint32).take(slot[mine])
            parted.add(batch, part, count)
        return parted

    def _tables(self, parted: Parted, stretches: Iterable[int], total: int) -> Iterator[Any]:
        several = [name for name in COLUMNS if name not in self.only] if total <= WHOLE_ROWS else []
        self.whole = {name: np.empty(total, dtype=_kind_of(name)) for name in several}
        used = 0
        for number in stretches:
            rows = parted.rows(number, number + 1)
            if rows is None:
                continue
            count = rows.pop("count")
            order = order_of(rows, count)
            picked = {}
            for name, values in list(rows.items()):
                if name in self.whole:
                    picked[name] = self.whole[name][used : used + count]
                    _take(values, order, picked[name])
                elif name != "day_number":
                    picked[name] = values if len(values) != count else values.take(order)
            for own in rows.packed:
                together = rows.picked(own, order)
                for name, field in rows.fields.items():
                    if field.rows == own and name not in picked and name != "day_number":
                        picked[name] = (
                            self.whole[name][used : used + count] if name in self.whole else np.empty(count, field.kind)
                        )
                        picked[name][:] = field.of(together)
            used += count
            yield as_table(picked, self.texts, count, self.only)


def in_groups(tables: Iterable[Any]) -> Iterator[Any]:
    """Yield tables put together to as many rows as stand together in a file."""
    held: list[Any] = []
    count = 0
    for table in tables:
        if held and count + table.num_rows > ROW_GROUP:
            yield pa.concat_tables(held)
            held, count = [], 0
        held.append(table)
        count += table.num_rows
    if held:
        yield pa.concat_tables(held)


def as_table(
    rows: Mapping[str, Any], texts: Mapping[str, Sequence[str]], count: int, only: Collection[str] = ()
) -> Any:
    """Return ``count`` rows as an Arrow table, texts as dictionaries; one value stands for a column that has no other.

    Columns of ``only`` have one value and become dictionaries of it, which a file takes without looking at each row.
    """
    columns = {}
    nothing = pa.array(np.zeros(count if only else 0, dtype=np.int32))
    for name, values in rows.items():
        kind = {**CONNECTIONS, **STITCHED}.get(name, "int64")
        if name in only and name not in TEXTS and kind != "bool":
            one = pa.array(values[:1].astype(kind if kind != "float" else "f4", copy=False))
            columns[name] = pa.DictionaryArray.from_arrays(nothing, one, safe=False)
            continue
        if name in TEXTS:
            codes = pa.array(_whole(values.astype(np.int32, copy=False), count))
            # Codes are places in the texts, so none need be looked at.
            columns[name] = pa.DictionaryArray.from_arrays(codes, pa.array(texts[name], type=pa.string()), safe=False)
        elif kind == "bool":
            bits = np.packbits(_whole(values, count), bitorder="little")
            columns[name] = pa.BooleanArray.from_buffers(pa.bool_(), count, [None, pa.py_buffer(bits)])
        else:
            given = values.astype(kind if kind != "float" else "f4", copy=False)
            columns[name] = pa.array(_whole(given, count))
    return pa.table(columns)


def _kind_of(name: str) -> str:
    kind = {**CONNECTIONS, **STITCHED}[name]
    return "int32" if name in TEXTS else "float32" if kind == "float" else kind


def _take(values: Any, order: Any, out: Any) -> None:
    """Write values in an order; one value stands for a column that has no other."""
    if len(values) != len(order):
        out[:] = values
    elif values.dtype == out.dtype:
        # Places are those of the rows: none lies outside, and what is clipped is not held twice.
        values.take(order, out=out, mode="clip")
    else:
        out[:] = values.take(order)


def _whole(values: Any, count: int) -> Any:
    return values if len(values) == count else np.full(count, values[0])


def order_of(rows: Mapping[str, Any], count: int) -> Any:
    """Return the order of the rows of one file: as ``ORDER`` says."""
    start = np.broadcast_to(rows["start_us"], count)
    order = grouping.sorted_order(*_from_zero(start))
    begins = start.take(order)
    tied = np.zeros(count, dtype=bool)
    tied[1:] = begins[1:] == begins[:-1]
    tied[:-1] |= tied[1:]
    if tied.any():
        some = order[tied]
        keys = [np.broadcast_to(rows[name], count)[some] for name in reversed(ORDER)]
        order[tied] = some[np.lexsort(keys)]
    return order


def _from_zero(moments: Any) -> tuple[Any, int]:
    """Return (numbers from 0 in the order of the moments, bits of the greatest), in milliseconds where all are whole ones."""
    made = moments - moments.min()
    coarse = made // 1000
    if (coarse * 1000 == made).all():
        made = coarse
    return made.view(np.uint64), int(made.max()).bit_length()


def _file_of(rows: Mapping[str, Any]) -> tuple[Any, list[tuple[int, int]]]:
    """Return (number of each row's file, (day, source) of each number)."""
    day, source = rows["day_number"], rows["source"]
    if (day == day[0]).all() and (source == source[0]).all():
        return None, [(int(day[0]), int(source[0]))]
    day, source = (np.broadcast_to(each, len(rows["start_us"])) for each in (day, source))
    days, day = np.unique(day, return_inverse=True)
    sources, source = np.unique(source, return_inverse=True)
    made, file = np.unique(day * len(sources) + source, return_inverse=True)
    return file, [(int(days[each // len(sources)]), int(sources[each % len(sources)])) for each in made.tolist()]


def _narrowed(values: Any) -> Any:
    """Return a column as one value where it has no other."""
    if values.strides == (0,):
        return values[:1]
    if len(values) > 1 and values[0] == values[-1] and (values == values[0]).all():
        return values[:1]
    return values
