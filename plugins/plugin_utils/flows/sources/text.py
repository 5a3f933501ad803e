# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text inputs, plain or gzip: pieces of whole lines, and tables of text columns that know the line of each row.

A line that cannot be used is counted under its reason with the first line number, never raised; memory is bounded by the size of a
piece and of the longest line, whatever the file. A gzip member that is cut or damaged yields what stands before the damage.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError, Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded, require
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import codes

np = guarded("numpy")
pa = guarded("pyarrow")
csv = guarded("pyarrow.csv")
duckdb = guarded("duckdb")

PIECE = 8 << 20
# Fed to the inflater at a time: a file of empty gzip members copies what is left of it for each.
FED = 1 << 16
LONGEST_LINE = 1 << 20
GZIP = b"\x1f\x8b"
LONGEST_EXAMPLE = 120


@dataclass
class Piece:
    """Whole lines: the octets without carriage returns, each line ended, and the number of the first one from 1."""

    first_line: int
    data: bytes


@dataclass
class Rejects:
    """Lines of one file that could not be used: how many, for each reason, and the first line number with an example."""

    file: str
    reasons: dict[str, tuple[int, int, str]] = field(default_factory=dict)

    def add(self, reason: str, line: int, example: str = "", count: int = 1) -> None:
        """Count lines under a reason; ``line`` is the first of them."""
        known = self.reasons.get(reason)
        shown = " ".join("".join(c if c.isprintable() else " " for c in example[: 2 * LONGEST_EXAMPLE]).split())
        if known is None:
            self.reasons[reason] = (count, line, shown[:LONGEST_EXAMPLE])
        else:
            first = known if known[1] <= line else (0, line, shown[:LONGEST_EXAMPLE])
            self.reasons[reason] = (known[0] + count, first[1], first[2])

    def mask(self, reason: str, bad: Any, lines: Any, column: Any = None) -> None:
        """Count the rows of a mask; ``lines`` are the rows' line numbers, ``column`` the text that is at fault."""
        where = np.flatnonzero(bad)
        if len(where):
            example = str(column[int(where[0])].as_py()) if column is not None else ""
            self.add(reason, int(lines[where[0]]), example, len(where))

    @property
    def total(self) -> int:
        """Return how many lines were rejected."""
        return sum(count for count, _line, _example in self.reasons.values())

    def findings(self) -> list[Finding]:
        """Return one finding for each reason, at the first line."""
        made = []
        for reason, (count, line, example) in sorted(self.reasons.items()):
            rest = f", as {example!r}" if example and example != "None" else ""
            text = f"{count} line{'s' if count != 1 else ''}: {reason}{rest}"
            made.append(codes.INPUT_LINES.at(text, Location(self.file, line)))
        return made


@dataclass
class Rows:
    """A table of text columns (null where empty or unset) and the line number of each row."""

    lines: Any
    table: Any

    def __len__(self) -> int:
        return self.table.num_rows

    def column(self, name: str) -> Any:
        """Return a column as one Arrow array of text; all null where there is none of the name."""
        if name not in self.table.column_names:
            return pa.nulls(self.table.num_rows, pa.string())
        made = self.table.column(name).combine_chunks()
        return made.chunk(0) if isinstance(made, pa.ChunkedArray) else made

    def keep(self, mask: Any) -> Rows:
        """Return the rows of a mask."""
        if mask.all():
            return self
        return Rows(self.lines[mask], self.table.filter(pa.array(mask)))


def plain_head(head: bytes) -> bytes:
    """Return the first octets as they are, or inflated where they begin a gzip file; empty where they are damaged."""
    if not head.startswith(GZIP):
        return head
    try:
        return zlib.decompressobj(wbits=31).decompress(head, 1 << 16)
    except zlib.error:
        return b""


def looks_like_text(head: bytes) -> bool:
    """Return whether octets hold no NUL and hardly any control character."""
    plain = head[:4096]
    if not plain or b"\0" in plain:
        return False
    return sum(octet < 9 or 13 < octet < 32 for octet in plain) * 50 <= len(plain)


def pieces(path: Path, rejects: Rejects, findings: list[Finding]) -> Iterator[Piece]:
    """Yield the lines of a file in pieces of some 8 MiB; raises FindingError SW1401 where it cannot be opened.

    Lines longer than 1 MiB count as rejected. Octets that are no UTF-8 become U+FFFD.
    """
    line, rest, dropping = 1, b"", False
    for block in _blocks(path, findings):
        data = rest + block
        if dropping:
            # The rest of a line that was too long.
            end = data.find(b"\n")
            if end < 0:
                rest = b""
                continue
            data, dropping, line = data[end + 1 :], False, line + 1
        cut = data.rfind(b"\n") + 1
        if cut:
            yield from _piece(data[:cut], line, rejects)
            line += data.count(b"\n", 0, cut)
        rest = data[cut:]
        if len(rest) > LONGEST_LINE:
            rejects.add("longer than 1 MiB", line)
            rest, dropping = b"", True
    if rest:
        yield from _piece(rest + b"\n", line, rejects)


def _piece(data: bytes, line: int, rejects: Rejects) -> Iterator[Piece]:
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b" ")
    if b"\0" in data:
        data = data.replace(b"\0", b" ")
    try:
        data.decode()
    except UnicodeDecodeError:
        data = data.decode("utf-8", "replace").encode()
    if len(data) > LONGEST_LINE:
        ends = np.flatnonzero(np.frombuffer(data, dtype=np.uint8) == 10)
        lengths = np.diff(np.concatenate(([-1], ends)))
        if int(lengths.max()) > LONGEST_LINE:
            for number in np.flatnonzero(lengths > LONGEST_LINE):
                rejects.add("longer than 1 MiB", line + int(number))
            kept = [b"\n" if len(each) > LONGEST_LINE else each for each in data.splitlines(keepends=True)]
            data = b"".join(kept)
    yield Piece(line, data)


def _blocks(path: Path, findings: list[Finding]) -> Iterator[bytes]:
    try:
        with open(path, "rb") as stream:
            block = stream.read(PIECE)
            if not block.startswith(GZIP):
                while block:
                    yield block
                    block = stream.read(PIECE)
                return
            stream.seek(0)
            yield from _gathered(_inflated(stream, path, findings))
    except OSError as error:
        raise FindingError(codes.INPUT_MISSING.at(error.strerror or "cannot be read", Location(str(path)))) from error


def _gathered(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield small blocks as ones of at least a piece, the last aside."""
    held, size = [], 0
    for block in blocks:
        held.append(block)
        size += len(block)
        if size >= PIECE:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)


def _inflated(stream: Any, path: Path, findings: list[Finding]) -> Iterator[bytes]:
    """Yield the inflated octets of all gzip members, at most a piece at a time."""
    inflater = zlib.decompressobj(wbits=31)
    data = stream.read(FED)
    read = len(data)
    while data:
        try:
            made = inflater.decompress(data, PIECE)
        except zlib.error as error:
            where = f"near byte {read - len(data)}: {error}"
            findings.append(codes.TEXT_CUT.at(f"damaged gzip data {where}", Location(str(path))))
            return
        if made:
            yield made
        if inflater.eof:
            data = inflater.unused_data or stream.read(FED)
            read += 0 if inflater.unused_data else len(data)
            if data:
                inflater = zlib.decompressobj(wbits=31)
            continue
        data = inflater.unconsumed_tail
        if not data:
            data = stream.read(FED)
            read += len(data)
    if not inflater.eof:
        findings.append(codes.TEXT_CUT.at("the gzip data ends early", Location(str(path))))


def delimited(
    piece: Piece,
    names: Sequence[str],
    delimiter: str,
    rejects: Rejects,
    *,
    quote: bool = False,
    unset: Sequence[str] = ("",),
) -> Rows:
    """Return the rows of delimited lines; rows with another number of fields are rejected, empty lines left out."""
    require(pa, csv)
    skipped: list[int] = []

    def reject(row: Any) -> str:
        number = piece.first_line + int(row.number) - 1
        skipped.append(int(row.number) - 1)
        if row.text.strip():
            rejects.add(f"{row.actual_columns} fields instead of {row.expected_columns}", number, row.text)
        return "skip"

    unique = [f"{name}#{i}" if name in names[:i] else name for i, name in enumerate(names)]
    total = piece.data.count(b"\n")
    try:
        table = csv.read_csv(
            pa.BufferReader(piece.data),
            read_options=csv.ReadOptions(column_names=unique, use_threads=False, block_size=len(piece.data) + 1),
            parse_options=csv.ParseOptions(
                delimiter=delimiter,
                quote_char='"' if quote else False,
                invalid_row_handler=reject,
                ignore_empty_lines=False,
            ),
            convert_options=csv.ConvertOptions(
                column_types=dict.fromkeys(unique, pa.string()),
                null_values=list(unset),
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
            ),
        )
    except pa.ArrowInvalid as error:
        rejects.add(f"not readable as delimited text ({str(error)[:80]})", piece.first_line, count=total)
        return Rows(np.zeros(0, dtype=np.int64), pa.table({name: pa.array([], pa.string()) for name in unique}))
    good = np.ones(total, dtype=bool)
    good[[each for each in skipped if each < total]] = False
    lines = piece.first_line + np.flatnonzero(good)
    if len(lines) != table.num_rows:
        # A quote that spans lines: the line is where its row would stand without it.
        lines = piece.first_line + np.arange(table.num_rows)
    rows = Rows(lines, table)
    if len(names) and table.num_rows:
        filled = np.zeros(table.num_rows, dtype=bool)
        for name in unique[: min(len(unique), 4)]:
            filled |= rows.column(name).is_valid().to_numpy(zero_copy_only=False)
        rows = rows.keep(filled)
    return rows


def json_lines(piece: Piece, fields: Sequence[str], rejects: Rejects, connection: Any = None) -> Rows:
    """Return the text of the given fields of JSON lines; what is no JSON object is rejected, empty lines left out.

    A field is a key, or keys of nested objects joined by ``/``: ``flow/start``. Objects and lists come as their JSON text.
    """
    require(duckdb, pa)
    texts = piece.data.split(b"\n")[:-1]
    lines = piece.first_line + np.arange(len(texts))
    full = np.fromiter((bool(each.strip()) for each in texts), dtype=bool, count=len(texts))
    column = pa.array([each for each, kept in zip(texts, full, strict=True) if kept], type=pa.binary()).cast(
        pa.string()
    )
    lines = lines[full]
    paths = ["$" + "".join(f'."{part}"' for part in name.split("/")) for name in fields]
    own = connection if connection is not None else reader()
    own.register("json_rows", pa.table({"line": column}))
    try:
        picked = ", ".join(f'v[{i + 1}] AS "c{i}"' for i in range(len(fields)))
        table = own.sql(
            f"SELECT good, {picked} FROM (SELECT good, CASE WHEN good THEN json_extract_string(line, $paths) END AS v FROM"
            " (SELECT line, json_valid(line) AND json_type(CASE WHEN json_valid(line) THEN line END) = 'OBJECT' AS good FROM json_rows))",
            params={"paths": paths},
        ).to_arrow_table()
    finally:
        own.unregister("json_rows")
    good = table.column("good").fill_null(False).to_numpy()
    rejects.mask("no JSON object", ~good, lines, column)
    renamed = table.drop_columns(["good"]).rename_columns(list(fields))
    return Rows(lines, renamed).keep(good)


def reader() -> Any:
    """Return a DuckDB connection for one source: one thread and little memory, rows in order."""
    require(duckdb)
    made = duckdb.connect(
        ":memory:", config={"threads": 1, "memory_limit": "512MB", "preserve_insertion_order": "true"}
    )
    made.execute("SET enable_progress_bar = false")
    return made
