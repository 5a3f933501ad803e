# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every operation on Spark in this process against DuckDB, on made-up records, ten million if no other number is said; one line for each.

    PYTHONPATH=.:collections .venv-spark/bin/python -m tests.spark.equality [RECORDS] [ENGINE]

ENGINE is ``spark-local`` or ``spark://HOST:PORT``. Ends with status 1 where an answer differs.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.operations.engine import row_hash
from tests.bench import flow_data
from tests.unit.flows import operations


def timed(answers: Iterator[tuple[str, Any]]) -> Iterator[tuple[str, tuple[int, str], float]]:
    """Yield each operation's name, (rows, hash) of its answer, and the seconds it took."""
    begun = time.monotonic()
    for name, rows in answers:
        yield name, (rows.num_rows, row_hash(rows)), time.monotonic() - begun
        begun = time.monotonic()


def main() -> int:
    """Compare and print; returns the process's status."""
    records = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000
    engine = sys.argv[2] if len(sys.argv) > 2 else "spark-local"
    unequal = 0
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        begun = time.monotonic()
        site = operations.made(folder, flow_data.Shape(records=records))
        print(f"{records} records made in {time.monotonic() - begun:.0f} s", flush=True)
        expected = {
            name: (shape, seconds) for name, shape, seconds in timed(operations.answers(site, folder, "duckdb"))
        }
        for name, shape, seconds in timed(operations.answers(site, folder, engine)):
            same = shape == expected[name][0]
            unequal += not same
            print(
                f"{name:15}{'equal' if same else 'DIFFERS':8}{shape[0]:10} rows {shape[1][:16]}"
                f"  duckdb {expected[name][1]:7.1f} s  {engine} {seconds:7.1f} s",
                flush=True,
            )
    print(f"{unequal} of {len(expected)} differ")
    return int(unequal > 0)


if __name__ == "__main__":
    sys.exit(main())
