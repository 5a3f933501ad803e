"""A real exporter to our listener and to nfcapd: softflowd replays one capture to both, and both hold the same records."""

from __future__ import annotations

import shutil
import signal
import subprocess
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import store
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources import export_pcap, listener, nfcapd
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.templates import Templates
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.steps import run_flow_import
from tests.unit.flows import packets
from tests.unit.flows.test_listener import free_port
from tests.unit.flows.test_nfcapd import text_of

SESSIONS = 60


def replay(path: Path, port: int, version: int, folder: Path) -> None:
    """Let softflowd read a capture and export it. What it exports stands in its own pid file's folder only while it runs."""
    command = ["softflowd", "-r", str(path), "-n", f"127.0.0.1:{port}", "-v", str(version), "-A", "milli", "-d"]
    command += ["-p", str(folder / f"{port}.pid"), "-c", "none", "-m", "65536"]
    subprocess.run(command, capture_output=True, check=True, timeout=60)


def keys(tables: Any) -> Counter[Any]:
    names = ("protocol", "source_port", "target_port", "packets", "bytes", "flags")
    made: Counter[Any] = Counter()
    for table in tables:
        for row in table.to_pylist():
            made[(text_of(row, "source"), text_of(row, "target"), *(row[name] for name in names))] += 1
    return made


@pytest.mark.one_python
@pytest.mark.parametrize("version", [5, 9, 10])
def test_what_softflowd_exports_is_what_nfcapd_holds(tmp_path: Path, version: int) -> None:
    for tool in ("softflowd", "nfcapd", "nfdump"):
        if shutil.which(tool) is None and not Path(f"/usr/sbin/{tool}").exists():
            pytest.skip(f"{tool} is not installed")
    frames = []
    for number in range(SESSIONS):
        frames += packets.session(
            time.time() - 600 + number, f"10.0.{number % 4}.{number + 1}", 32_768 + number, "10.1.0.1", 502, number
        )
        frames.append(
            (
                time.time() - 600 + number,
                packets.frame(packets.udp(f"10.0.0.{number + 1}", 47_808, "10.1.0.255", 47_808)),
            )
        )
        frames.append((time.time() - 600 + number, packets.frame(packets.icmp(f"10.0.0.{number + 1}", "10.1.0.9", 8))))
    path = packets.write(tmp_path / "traffic.pcap", sorted(frames, key=lambda each: each[0]))

    theirs, port = tmp_path / "nfcapd", free_port()
    theirs.mkdir()
    collector = subprocess.Popen(
        ["nfcapd", "-w", str(theirs), "-p", str(port), "-b", "127.0.0.1", "-t", "300", "-y", "-T", "all"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(lambda: bool(list(theirs.glob("nfcapd.current*"))))
        replay(path, port, version, tmp_path)
        time.sleep(0.5)
    finally:
        collector.send_signal(signal.SIGTERM)
        collector.wait(timeout=30)
    file = next(
        each
        for each in theirs.iterdir()
        if not each.name.startswith("nfcapd.current") and each.name.startswith("nfcapd.")
    )

    spool, port = tmp_path / "heard.pcap", free_port()
    with listener.open_socket("127.0.0.1", port) as sock:
        speaker = threading.Thread(target=replay, args=(path, port, version, tmp_path))
        speaker.start()
        received = listener.listen(sock, spool, listener.networks_of(["127.0.0.1"]), listener.Bounds(seconds=4.0))
        speaker.join()
    assert received.datagrams > 0 and received.lost == 0

    ours = export_pcap.ExportCapture(spool, Templates())
    heard, held = keys(ours.tables()), keys(nfcapd.CollectorFile(file).tables())
    assert heard == held
    assert sum(heard.values()) >= 3 * SESSIONS + SESSIONS
    assert not ours.quality.gaps and ours.quality.records == sum(heard.values())
    summary = subprocess.run(["nfdump", "-r", str(file), "-I"], capture_output=True, text=True, check=True).stdout
    counts = dict(line.split(": ", 1) for line in summary.splitlines() if ": " in line)
    assert int(counts["Flows"]) == sum(heard.values())
    assert int(counts["Packets"]) == sum(key[5] * count for key, count in heard.items())
    assert int(counts["Bytes"]) == sum(key[6] * count for key, count in heard.items())

    totals = []
    for name, source in (("a", spool), ("b", file)):
        values = {
            "paths": [str(source)],
            "data_dir": str(tmp_path / name),
            "kind": "auto",
            "check_mode": False,
            "exporter": "x",
        }
        result = run_flow_import(values)
        rows = store.rollup(tmp_path / name).to_pylist()
        # The uptimes of v5 reach back from the moment of each replay, so its times differ between the two.
        names = [
            name
            for name in rows[0]
            if version != 5 or name in ("client_lo", "server_lo", "server_port", "packets", "bytes")
        ]
        totals.append((result["records"], result["connections"], [{name: row[name] for name in names} for row in rows]))
    assert totals[0] == totals[1]


def wait_for(ready: Any) -> None:
    for _try in range(200):
        if ready():
            return
        time.sleep(0.05)
    raise AssertionError("nfcapd did not begin")
