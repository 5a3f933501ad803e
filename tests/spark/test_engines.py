"""The operations on Spark, in this process and on a standalone cluster on loopback, give what DuckDB gives: hash by hash.

Runs in an environment of its own (``tools/run_stages spark``), since Spark is an optional 450 MB.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.operations import spark
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.operations.engine import engine_of, row_hash
from tests.bench import flow_data
from tests.unit.flows import operations

pytestmark = pytest.mark.skipif(
    not spark.pyspark_sql or not spark.ibis or not shutil.which("java"), reason="Spark, Ibis or Java is not installed"
)
TEN_MILLION = flow_data.Shape(records=10_000_000)
# What reaches the workers in the quick run: each kind of join, grouping and anti-join once.
QUICK = ("conversations", "evidence", "unmatched", "daily 0")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, full: bool) -> tuple[flow_data.Site, Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("store")
    site = operations.made(folder, TEN_MILLION if full else operations.SMALL)
    return site, folder, {name: shape_of(rows) for name, rows in operations.answers(site, folder, "duckdb")}


def shape_of(rows: Any) -> tuple[int, str]:
    return rows.num_rows, row_hash(rows)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[str]:
    """A master and a worker on loopback; both are ended with the test."""
    import pyspark

    home = Path(pyspark.__file__).parent
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    environment = {
        **os.environ,
        "SPARK_HOME": str(home),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYSPARK_PYTHON": sys.executable,
        # What bin/load-spark-env.sh would find out.
        "SPARK_SCALA_VERSION": sorted(home.glob("jars/spark-core_*.jar"))[0].name.split("_")[1].split("-")[0],
    }
    java = ["java", "-Xmx1g", "-cp", f"{home}/jars/*"]
    master = ["org.apache.spark.deploy.master.Master", "--host", "127.0.0.1", "--port", str(port), "--webui-port", "0"]
    worker = [
        "org.apache.spark.deploy.worker.Worker",
        "--host",
        "127.0.0.1",
        "--cores",
        "2",
        "--memory",
        "2g",
        "--webui-port",
        "0",
    ]
    worker += ["--work-dir", str(tmp_path), f"spark://127.0.0.1:{port}"]
    log = (tmp_path / "cluster.log").open("wb")
    started = []
    try:
        started.append(
            subprocess.Popen([*java, *master], env=environment, stdout=log, stderr=log, start_new_session=True)
        )
        _wait_for(port, started[0])
        started.append(
            subprocess.Popen([*java, *worker], env=environment, stdout=log, stderr=log, start_new_session=True)
        )
        yield f"spark://127.0.0.1:{port}"
    finally:
        for process in reversed(started):
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(30)
        log.close()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    for _attempt in range(240):
        assert process.poll() is None, "the master has ended"
        with socket.socket() as sock:
            sock.settimeout(1)
            if sock.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.5)
    raise AssertionError("the master does not listen")


def test_every_operation_on_spark_in_this_process(built: Any) -> None:
    site, folder, expected = built
    got = {name: shape_of(rows) for name, rows in operations.answers(site, folder, "spark-local")}
    assert got == expected
    # These have no row in the store of the quick run, so they are compared in the full one only.
    assert {name for name, (rows, _hash) in expected.items() if not rows} <= {"scans", "unused", "learning related"}


def test_operations_on_a_master_and_a_worker(built: Any, cluster: str, full: bool) -> None:
    site, folder, expected = built
    engine = engine_of(cluster)
    assert engine.name == "spark"
    got = {}
    for name, rows in operations.answers(site, folder, engine, None if full else QUICK):
        got[name] = shape_of(rows)
    assert got == {name: each for name, each in expected.items() if full or name in QUICK}
