# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the rollup knows of servers and directions, as a stream: orientation picks what it asks for, so that a year of it fits anywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import store

Database = Callable[[], Any]
DIRECT = 2
ROWS_AT_ONCE = 1 << 18


@dataclass(frozen=True)
class Past:
    """Files of the rollup, asked through the DuckDB connection that ``database`` returns."""

    database: Database | None = None
    files: Sequence[Path] = ()

    def servers(self) -> Iterator[dict[str, Any]]:
        """Yield arrays of ``hi``, ``lo``, ``port``, ``protocol``, ``proved``, ``clients``, ``last_us``, one row for each end."""
        yield from self._batches(
            f"""
            SELECT server_hi AS hi, server_lo AS lo, server_port AS port, protocol, bool_or(method <= {DIRECT}) AS proved,
                count(DISTINCT (client_hi, client_lo)) AS clients, max(last_us) AS last_us
            FROM read_parquet($files, hive_partitioning = false)
            WHERE class = 'unicast' AND protocol NOT IN (1, 58) AND method <= 6 GROUP BY ALL
            """
        )

    def directions(self) -> Iterator[dict[str, Any]]:
        """Yield arrays of the client's and the server's ``hi`` and ``lo``, ``protocol``, ``server_port`` and ``method``, of any number of
        rows for each."""
        yield from self._batches(
            """
            SELECT client_hi, client_lo, server_hi, server_lo, protocol, server_port, method
            FROM read_parquet($files, hive_partitioning = false) WHERE class IN ('unicast', 'peer')
            """
        )

    def _batches(self, query: str) -> Iterator[dict[str, Any]]:
        if not self.files or self.database is None:
            return
        try:
            rows = self.database().sql(query, params={"files": [str(each) for each in self.files]})
            for batch in rows.to_arrow_reader(ROWS_AT_ONCE):
                if batch.num_rows:
                    yield {
                        name: column.to_numpy(zero_copy_only=False)
                        for name, column in zip(batch.schema.names, batch.columns, strict=True)
                    }
        except (store.duckdb.IOException, store.duckdb.InvalidInputException) as error:
            raise store.fault(error, f"the rollup cannot be read ({type(error).__name__})") from error
