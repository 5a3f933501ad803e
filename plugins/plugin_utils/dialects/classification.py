# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What acl_classify answers: for each row of a table, what a list says about its packet and which entry decides."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import sha256_of_file
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError, Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.checks import one_list
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import Ace, ParsedAcl
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.tuples import (
    batches,
    columns_of,
    file_kind,
    table_of,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.classify import Classified, Classifier
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import IPV6

np = guarded("numpy")
pa = guarded("pyarrow")
arrow_csv = guarded("pyarrow.csv")
parquet = guarded("pyarrow.parquet")

VERDICTS = ("deny", "permit", "uncertain", "not_seen")
# Lists of one address family: a packet of the other one never comes to them.
_FAMILIES = {"extended": 4, "standard": 4, "nxos": 4, "ipv6": 6, "nxos_ipv6": 6, "asa_standard": 4}
_EITHER = ("dacl", "sgacl", "sgacl_ipv6")  # their entries say of which
ADDED = ("verdict", "entry", "line", "conditions")


def classify_result(
    platform: str, text: str, name: str = "", *, packets: Sequence[Mapping[str, Any]] = (), path: str = "", dest: str = "",
    check_mode: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Return how a list decides packets: those given, with ``results`` in their order, and the rows of a file, copied to ``dest``.

    ``dest`` (CSV or Parquet by its name) gets the columns of the file with ``verdict``, ``entry`` (place from 1; 0: the implicit end),
    ``line`` and ``conditions``. Raises FindingError SW1203 for a list that is not understood whole, SW1244 for rows that are no packets.
    """
    if dest and not path:
        raise FindingError(codes.BAD_ROWS.at("dest needs path: the packets given are returned"))
    if dest and os.path.realpath(dest) == os.path.realpath(path):
        raise FindingError(codes.BAD_ROWS.at("dest is the file that is read, which would be lost", Location(dest)))
    source = one_list(platform, text, name)
    tally = _Tally(source)
    results: list[dict[str, Any]] = []
    if packets:
        results = tally.add(table_of([dict(packet) for packet in packets]), None).to_pylist()
        results = [
            {key: row[key] for key in ADDED if key in row} | {"text": tally.text(row["entry"])} for row in results
        ]
    changed = False
    if path:
        with _Writer(dest, check_mode) as writer:
            for table in batches(path):
                added = tally.add(table, Location(path))
                writer.write(table, added)
        changed = writer.changed
    return {"changed": changed, "name": source.name, "results": results, **tally.as_dict()}


@dataclass
class _Tally:
    """Classifies tables and counts what was decided."""

    source: ParsedAcl
    rows: int = 0
    verdicts: list[int] = field(default_factory=lambda: [0] * len(VERDICTS))

    def __post_init__(self) -> None:
        self._classifier = Classifier(self.source.first_match())
        self._decided = np.zeros(len(self.source.aces) + 1, dtype=np.int64)
        self._open = np.zeros(len(self.source.aces) + 1, dtype=np.int64)
        self._lines = np.array([0, *(ace.line for ace in self.source.aces)], dtype=np.int64)

    def add(self, table: Any, place: Location | None) -> Any:
        """Return the columns to add to a table, as a table."""
        found, seen = self._classified(table, place)
        entry, conditions = self._entries(found.entries)
        verdict = np.where(found.uncertain, 2, np.where(found.permits, 1, 0))
        verdict, entry = np.where(seen, verdict, 3), np.where(seen, entry, 0)
        self.rows += table.num_rows
        for number in range(len(VERDICTS)):
            self.verdicts[number] += int((verdict == number).sum())
        self._decided += np.bincount(entry[seen & ~found.uncertain], minlength=len(self._decided))
        self._open += np.bincount(entry[seen & found.uncertain], minlength=len(self._open))
        words = pa.DictionaryArray.from_arrays(pa.array(verdict.astype(np.int32)), pa.array(VERDICTS)).cast(pa.string())
        return pa.table({
            "verdict": words, "entry": pa.array(entry.astype(np.int32)), "line": pa.array(self._lines[entry].astype(np.int32)),
            "conditions": conditions,
        })  # fmt: skip

    def _classified(self, table: Any, place: Location | None) -> tuple[Classified, Any]:
        """Return the decisions on the rows of a table, and which of the rows the list sees at all."""
        if not table.num_rows:
            none = np.zeros(0, dtype=bool)
            return Classified(np.zeros(0, dtype=np.int32), none, none), none
        columns = columns_of(table, place, self.rows + 1)
        found = self._classifier.classify(columns)
        family = _family(self.source)
        seen = found.entries != -1
        return found, seen & ((columns["protocol"] >= IPV6) == (family == 6)) if family else seen

    def _entries(self, decided: Any) -> tuple[Any, Any]:
        """Return the place of the entry that decides each row, or that may be the first to do so, and what that depends on."""
        count = len(self.source.aces)
        entry = np.where((decided >= 0) & (decided < count), decided + 1, 0)
        texts = [""]
        which = np.zeros(len(decided), dtype=np.int32)
        for value in np.unique(decided[decided < -1]).tolist():
            chosen = self._classifier.deciding(value)
            aces = [self.source.aces[index] for index in chosen if index < count]
            here = decided == value
            entry = np.where(here, chosen[0] + 1 if chosen[0] < count else 0, entry)
            texts.append("; ".join(dict.fromkeys(" and ".join(ace.conditions) for ace in aces if ace.conditions)))
            which = np.where(here, len(texts) - 1, which).astype(np.int32)
        return entry, pa.DictionaryArray.from_arrays(pa.array(which), pa.array(texts)).cast(pa.string())

    def text(self, entry: int) -> str:
        """Return the text of an entry by its place, "" for the implicit end."""
        return self.source.aces[entry - 1].raw if entry else ""

    def as_dict(self) -> dict[str, Any]:
        """Return the counts: of rows by verdict and by entry."""
        aces: list[Ace] = list(self.source.aces)
        return {
            "rows": self.rows,
            "verdicts": dict(zip(VERDICTS, self.verdicts, strict=True)),
            "entries": [
                {
                    "entry": place, "line": ace.line, "text": ace.raw, "permit": ace.permit, "rows": int(self._decided[place]),
                    "uncertain_rows": int(self._open[place]),
                }
                for place, ace in enumerate(aces, 1)
                if self._decided[place] or self._open[place]
            ],
            "default_rows": int(self._decided[0] + self._open[0]),
        }  # fmt: skip


def _family(source: ParsedAcl) -> int:
    """Return the one address family that a list filters, 0 for both."""
    families = {ace.family for ace in source.aces}
    if source.kind in _EITHER and len(families) == 1:
        return families.pop()
    return _FAMILIES.get(source.kind, 0)


class _Writer:
    """Writes tables beside a file, which replaces it when all went well; nothing without a name or in check mode."""

    def __init__(self, dest: str, check_mode: bool) -> None:
        self._dest, self._active, self.changed = dest, bool(dest) and not check_mode, bool(dest)
        self._temporary = ""
        self._out: Any = None

    def __enter__(self) -> _Writer:
        if self._active:
            folder = Path(self._dest).parent
            try:
                folder.mkdir(parents=True, exist_ok=True)
                handle, self._temporary = tempfile.mkstemp(prefix=f".{Path(self._dest).name}.", dir=folder)
                os.close(handle)
            except OSError as error:
                raise FindingError(
                    codes.BAD_ROWS.at(f"cannot be written: {error.strerror}", Location(self._dest))
                ) from error
        return self

    def write(self, table: Any, added: Any) -> None:
        """Write the columns of a table and those added; a column of the same name is replaced."""
        if not self._active:
            return
        whole = table.drop_columns([name for name in ADDED if name in table.column_names])
        for name in ADDED:
            whole = whole.append_column(name, added[name])
        if self._out is None:
            kind = parquet.ParquetWriter if file_kind(self._dest) == "parquet" else arrow_csv.CSVWriter
            self._out = kind(self._temporary, whole.schema)
        self._out.write_table(whole)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._active:
            return
        if self._out is not None:
            self._out.close()
        if kind is None:
            same = os.path.exists(self._dest) and sha256_of_file(self._dest) == sha256_of_file(self._temporary)
            self.changed = not same
            os.chmod(self._temporary, 0o644)
            os.replace(self._temporary, self._dest)
        else:
            os.unlink(self._temporary)
