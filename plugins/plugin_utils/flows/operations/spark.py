# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same operations on Apache Spark, through Ibis: for stores that no longer fit one machine (facts/flows.md section 6).

Ibis reads the common dialect and writes Spark's. The files must lie where every worker reads them under the same path. Spark, Ibis and a
JDK are optional; what is missing is named with the command that installs it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded, require
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.schema import arrow_schema

ibis = guarded("ibis")
pyspark_sql = guarded("pyspark.sql")
pa = guarded("pyarrow")

# Long sums stay whole numbers, times are UTC, and an Arrow table goes in and out without Python rows in between.
SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "ERROR",
}
# A driver whose workers are all here is not reachable from anywhere else.
LOOPBACK = {
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.sql.shuffle.partitions": "4",
}


class SparkEngine:
    """Spark at a master's address (``local[2]``, ``spark://HOST:PORT``). ``settings`` are added to the session's own."""

    name = "spark"

    def __init__(self, master: str, settings: Mapping[str, str] | None = None) -> None:
        require(ibis, pyspark_sql)
        if shutil.which("java") is None and not os.environ.get("JAVA_HOME"):
            raise FindingError(codes.ENGINE_JAVA.at("no java program on the path, and JAVA_HOME is not set"))
        builder = pyspark_sql.SparkSession.builder.master(master).appName("segwright")
        here = LOOPBACK if master.startswith(("local", "spark://127.0.0.1:", "spark://localhost:")) else {}
        for name, value in {**SETTINGS, **here, **(settings or {})}.items():
            builder = builder.config(name, value)
        try:
            self.session = builder.getOrCreate()
            self.backend = ibis.pyspark.connect(self.session)
        except Exception as error:
            raise FindingError(
                codes.ENGINE_FAILED.at(f"no session at {master} ({type(error).__name__}: {str(error)[:200]})")
            ) from error
        self.session.sparkContext.setLogLevel("ERROR")
        self._held: dict[str, Any] = {}

    def __enter__(self) -> SparkEngine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for each in self._held.values():
            each.unpersist()
        self.session.stop()

    def files(self, name: str, paths: Sequence[Path], columns: Mapping[str, str]) -> None:
        """Name the rows of Parquet files."""
        if not paths:
            self.table(name, arrow_schema(dict(columns)).empty_table())
            return
        # Without the look-up, "day=..." in a path becomes a column.
        reader = self.session.read.option("recursiveFileLookup", "true")
        reader.parquet(*(str(each) for each in paths)).select(*columns).createOrReplaceTempView(name)

    def table(self, name: str, rows: Any) -> None:
        """Name an Arrow table."""
        self.session.createDataFrame(rows).createOrReplaceTempView(name)

    def define(self, name: str, query: str, *, keep: bool = False) -> None:
        """Name a query; with ``keep`` its rows are worked out now and kept.

        Kept rows have no plan behind them: cached ones would carry theirs into each question on top, and learning asks six levels deep.
        """
        frame = self.session.sql(ibis.to_sql(self.backend.sql(query, dialect="duckdb")))
        if keep:
            frame = frame.localCheckpoint()
            self._forget(name)
            self._held[name] = frame
        frame.createOrReplaceTempView(name)

    def forget(self, name: str) -> None:
        """Let a cached query go."""
        self._forget(name)
        self.session.catalog.dropTempView(name)

    def _forget(self, name: str) -> None:
        held = self._held.pop(name, None)
        if held is not None:
            held.unpersist()

    def rows(self, query: str, columns: Mapping[str, str]) -> Any:
        """Return a query's rows as an Arrow table of the columns."""
        try:
            # Not through pandas: it makes floats of whole numbers beside a NULL, and addresses are longer than a float is exact.
            made = self.session.sql(ibis.to_sql(self.backend.sql(query, dialect="duckdb"))).toArrow()
        except FindingError:
            raise
        except Exception as error:
            raise FindingError(
                codes.ENGINE_FAILED.at(f"{type(error).__name__}: {str(error).splitlines()[0][:300]}")
            ) from error
        return made.select(list(columns)).cast(arrow_schema(dict(columns)))
