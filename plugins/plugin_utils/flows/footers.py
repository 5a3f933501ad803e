# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Footers of Parquet files: what they prove of the rows without reading any."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import store

pa = guarded("pyarrow")
parquet = guarded("pyarrow.parquet")


@dataclass(frozen=True)
class Footer:
    """What a connection file says of itself: rows, and the least and greatest value of columns that have any."""

    path: Path
    rows: int
    ranges: Mapping[str, tuple[Any, Any]]

    def only(self, column: str) -> Any:
        """Return the column's one value, or None where it has several or says nothing."""
        low, high = self.ranges.get(column, (None, None))
        return low if low == high else None


def read_footer(path: Path) -> Footer:
    """Read a file's footer; raises FindingError SW1422 where it is damaged."""
    try:
        metadata = parquet.read_metadata(path)
        return Footer(path, metadata.num_rows, _ranges(metadata))
    except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
        raise store.fault(error, f"not a Parquet file ({type(error).__name__})", Location(str(path))) from error


def _ranges(metadata: Any) -> dict[str, tuple[Any, Any]]:
    ranges: dict[str, tuple[Any, Any]] = {}
    silent: set[str] = set()
    for group in range(metadata.num_row_groups):
        for number in range(metadata.num_columns):
            column = metadata.row_group(group).column(number)
            name, facts = column.path_in_schema, column.statistics
            if facts is None or not facts.has_min_max or facts.null_count:
                silent.add(name)
                continue
            low, high = ranges.get(name, (facts.min, facts.max))
            ranges[name] = (min(low, facts.min), max(high, facts.max))
    return {name: pair for name, pair in ranges.items() if name not in silent}


def constants(footers: Sequence[Footer], columns: Sequence[str]) -> dict[str, Any]:
    """Return the columns that have one and the same value in all rows of all files."""
    made = {}
    for name in columns:
        values = {each.only(name) for each in footers}
        if len(values) == 1 and None not in values:
            made[name] = values.pop()
    return made
