# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How fast exports and captures are read, against other readers in the same run: CPU seconds, since the machine may be shared.

NetFlow v9 is decoded here and by the `netflow` and `netflume` packages where these are installed; packets are read here and by tshark and
softflowd where they are, files of nfcapd here and by nfdump. What is compared ends at the same point: records as columns here, records
as objects or text there; tuples and lengths for packets; conversations for softflowd.

Targets in records a second were set on one machine, where the peers were measured too (facts/flows.md section 3 and 4; ``THERE``). So each
stands here a second time, as what it is of the peer's rate: a reader on any machine can judge that one. Imports and peers run in turn, and
of each the least CPU seconds count, so that a busy minute hits neither alone.
"""

from __future__ import annotations

import importlib
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import store
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.ingest import ingest
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources import (
    export_pcap,
    listener,
    netflow,
    nfcapd,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.pcap import PacketCapture
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.templates import Templates
from tests.bench import at_least
from tests.unit.flows import packets

EXPORTER = "192.0.2.1"
RECORDS_PER_DATAGRAM = 30
# (element, length) as a switch exports them: addresses, ports, protocol, flags, counters, uptimes, interfaces.
FIELDS = ((8, 4), (12, 4), (7, 2), (11, 2), (4, 1), (6, 1), (2, 4), (1, 4), (22, 4), (21, 4), (10, 2), (14, 2))
RECORD = struct.Struct(">IIHHBBIIIIHH")
START = 1_795_392_000
# What peers did a CPU second on the machine for which the targets were set: softflowd packets, nfdump records as text (`-o csv`, `-o json`)
# and summed by addresses, protocol and port, printing nothing (100 million in 53 CPU seconds). Inputs were not the same: softflowd does
# more where flows are long, nfdump's sums where there are few, text is the steadiest measure of a machine.
THERE = {"softflowd": 3_100_000, "nfdump_csv": 108_000, "nfdump_json": 159_000, "nfdump_aggregation": 100_000_000 / 53}
# Figures with a target in records or packets a second, and the peers by which they are measured.
BESIDE = {
    "nfcapd_import_records_per_cpu_second": (2_000_000, ("nfdump_csv", "nfdump_json", "nfdump_aggregation")),
    "pcap_packets_per_cpu_second": (1_000_000, ("softflowd",)),
    "pcap_to_rollup_packets_per_cpu_second": (1_000_000, ("softflowd",)),
}
ROUNDS = 3


def run(full: bool) -> dict[str, Any]:
    """Return rates in records or packets per CPU second, and their ratios."""
    made = {**exports(full), **captures(full), **loopback(full), **collector_files(full)}
    package = made.get("netflow_package_records_per_cpu_second")
    if package:
        made["loopback_to_columns_times_netflow_package"] = round(
            made["loopback_to_columns_records_per_cpu_second"] / package, 1
        )
        made["loopback_to_parquet_times_netflow_package"] = round(
            made["loopback_to_parquet_records_per_cpu_second"] / package, 1
        )
    made |= beside(made)
    made["targets"] = targets(made)
    return made


def targets(made: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the figures that have a target beside it; those of a peer that is not installed are left out."""
    limits = {
        "netflow_v9_records_per_cpu_second": 200_000,
        "loopback_to_parquet_times_netflow_package": 10,
        "nfcapd_import_times_nfdump_csv": 10,
        **{name: limit for name, (limit, _peers) in BESIDE.items()},
    }
    rows = [at_least(name, made[name], limit) for name, limit in limits.items() if name in made]
    for name, (limit, peers) in BESIDE.items():
        for peer in peers:
            ratio = made.get(ratio_name(name, peer))
            if ratio is not None:
                rows.append(at_least(ratio_name(name, peer), ratio, round(limit / THERE[peer], 2)))
    return rows


def ratio_name(figure: str, peer: str) -> str:
    """Return the name of what a figure is of a peer's rate in the same run."""
    return f"{figure.partition('_per_')[0].rpartition('_')[0]}_of_{peer}"


def beside(made: dict[str, Any]) -> dict[str, float]:
    """Return figures as parts of their peers' rates, and how fast this machine runs each peer beside the one of the targets (``THERE``)."""
    rates = {
        peer: made.get(f"{peer}_{'packets' if peer == 'softflowd' else 'records'}_per_cpu_second") for peer in THERE
    }
    ratios = {f"machine_by_{peer}": round(rate / THERE[peer], 2) for peer, rate in rates.items() if rate}
    for name, (_limit, peers) in BESIDE.items():
        for peer in peers:
            if rates[peer] and name in made:
                ratios[ratio_name(name, peer)] = round(made[name] / rates[peer], 2)
    return ratios


def in_turn(works: Mapping[str, Callable[[], Any]], rounds: int = ROUNDS) -> dict[str, tuple[float, float, Any]]:
    """Return by name the least CPU seconds of calls made in turn, with that call's wall seconds and result."""
    least: dict[str, tuple[float, float, Any]] = {}
    for _round in range(rounds):
        for name, work in works.items():
            spent = cpu_seconds(work)
            if name not in least or spent[0] < least[name][0]:
                least[name] = spent
    return least


def cpu_seconds(work: Callable[[], Any]) -> tuple[float, float, Any]:
    """Return (CPU seconds with children, wall seconds, result) of a call."""
    before, wall = _spent(), time.monotonic()
    result = work()
    return max(_spent() - before, 1e-6), time.monotonic() - wall, result


def _spent() -> float:
    # To the microsecond; what os.times tells moves in steps of ten milliseconds.
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def datagrams(count: int) -> list[bytes]:
    """Return v9 datagrams: a template first, then records of made-up clients and servers."""
    template = struct.pack(">HH", 256, len(FIELDS)) + b"".join(struct.pack(">HH", *each) for each in FIELDS)
    made = [struct.pack(">HHIIII", 9, 1, 1_000_000, START, 0, 7) + struct.pack(">HH", 0, 4 + len(template)) + template]
    for sequence in range(1, count):
        rows = []
        for row in range(RECORDS_PER_DATAGRAM):
            number = sequence * RECORDS_PER_DATAGRAM + row
            client, server = 0x0A000000 + number % 20_000, 0x0AFF0000 + number % 200
            rows.append(
                RECORD.pack(
                    client, server, 32768 + number % 28000, 502, 6, 27, 9, 900, 900_000 + row, 900_500 + row, 1, 2
                )
            )
        body = b"".join(rows)
        header = struct.pack(">HHIIII", 9, RECORDS_PER_DATAGRAM, 1_000_000, START, sequence, 7)
        made.append(header + struct.pack(">HH", 256, 4 + len(body)) + body)
    return made


def exports(full: bool) -> dict[str, Any]:
    """Measure decoding of NetFlow v9, and the whole way from a capture of exports to the rollup."""
    ours_count, theirs_count = (60_000, 3_000) if full else (12_000, 600)
    sent = datagrams(ours_count)
    records = (ours_count - 1) * RECORDS_PER_DATAGRAM

    def ours() -> int:
        decoder, rows = netflow.Decoder(), 0
        for each in sent:
            decoder.feed(each, EXPORTER)
            if decoder.pending >= 1 << 18:
                rows += sum(table.num_rows for table in decoder.tables())
        return rows + sum(table.num_rows for table in decoder.tables())

    spent, wall, rows = cpu_seconds(ours)
    assert rows == records
    made: dict[str, Any] = {
        "netflow_v9_records": records,
        "netflow_v9_records_per_cpu_second": round(records / spent),
        "netflow_v9_records_per_wall_second": round(records / wall),
    }
    few = sent[:theirs_count]
    for name, reader in (("netflow", _netflow_package), ("netflume", _netflume_package)):
        try:
            package = importlib.import_module(name)
        except ImportError:
            made[f"{name}_package"] = "absent"
            continue
        spent, _wall, rows = cpu_seconds(lambda reader=reader, package=package: reader(package, few))
        assert rows == (theirs_count - 1) * RECORDS_PER_DATAGRAM
        made[f"{name}_package_records_per_cpu_second"] = round(rows / spent)
        made[f"times_{name}_package"] = round(made["netflow_v9_records_per_cpu_second"] * spent / rows, 1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "exports.pcap"
        with path.open("wb") as stream:
            stream.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101))
            for each in sent:
                packet = listener.raw_packet(EXPORTER, 2055, "192.0.2.2", 2055, each)
                stream.write(struct.pack("<IIII", START, 0, len(packet), len(packet)) + packet)
        spent, wall, result = cpu_seconds(lambda: ingest([path], Path(folder) / "data"))
        assert result.records == records
        made["exports_to_rollup_records_per_cpu_second"] = round(records / spent)
        made["exports_to_rollup_seconds"] = round(wall, 2)
        made["exports_to_rollup_connections"] = result.connections
    return made


def _netflow_package(package: Any, sent: list[bytes]) -> int:
    templates: dict[str, Any] = {"netflow": {}, "ipfix": {}}
    return sum(len(package.parse_packet(each, templates).flows) for each in sent)


def _netflume_package(package: Any, sent: list[bytes]) -> int:
    templates = package.TemplateStore()
    return sum(len(package.parse_message(each, EXPORTER, templates)[1]) for each in sent)


FIXED = {
    "kind": 11, "size": 104, "elements": 4, "exporter": 1, "kind2": 2, "size2": 12, "kind1": 1, "size1": 52, "kind4": 4, "size4": 20,
    "kind12": 12, "size12": 8, "protocol": 6, "tcp": 27,
}  # fmt: skip
SENDER = """
import socket, sys, time
sys.path[:0] = [{root!r}, {root!r} + "/collections"]
from tests.bench.flows import datagrams
sent = datagrams({count})
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
start = time.monotonic()
done, late = 0, 0.0
while done < len(sent):
    due = min(len(sent), int((time.monotonic() - start) * {rate}) + 1)
    for each in sent[done:due]:
        sender.sendto(each, ("127.0.0.1", {port}))
    done = due
    time.sleep(0.001)
print(time.monotonic() - start)
"""


def loopback(full: bool) -> dict[str, Any]:
    """Measure the listener at 500,000 records a second offered over loopback, then its import to oriented Parquet and rollup."""
    seconds = 20 if full else 3
    count = seconds * 500_000 // RECORDS_PER_DATAGRAM
    records = (count - 1) * RECORDS_PER_DATAGRAM
    root = str(Path(__file__).resolve().parents[2])
    with tempfile.TemporaryDirectory() as folder, listener.open_socket("127.0.0.1", 0) as sock:
        script = SENDER.format(root=root, count=count, rate=500_000 / RECORDS_PER_DATAGRAM, port=sock.getsockname()[1])
        path = Path(folder) / "heard.pcap"
        sender = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
        allowed, bounds = (
            listener.networks_of(["127.0.0.1"]),
            listener.Bounds(seconds=seconds * 10 + 60, datagrams=count),
        )
        listening, _wall, received = cpu_seconds(lambda: listener.listen(sock, path, allowed, bounds))
        took = float(sender.communicate()[0])
        decoding, _wall, rows = cpu_seconds(
            lambda: sum(table.num_rows for table in export_pcap.ExportCapture(path, Templates()).tables())
        )
        storing, _wall, result = cpu_seconds(lambda: ingest([path], Path(folder) / "data"))
    assert rows == result.records == received.datagrams * RECORDS_PER_DATAGRAM - RECORDS_PER_DATAGRAM
    return {
        "loopback_offered_records_per_second": round(records / took),
        "loopback_datagrams_sent": count,
        "loopback_datagrams_lost": count - received.datagrams,
        "loopback_listening_records_per_cpu_second": round(rows / listening),
        "loopback_to_columns_records_per_cpu_second": round(rows / (listening + decoding)),
        "loopback_to_parquet_records_per_cpu_second": round(rows / (listening + storing)),
    }


def fresh_import(path: Path, folder: str) -> Any:
    """Import a file into a store that was not there before; returns the result."""
    data_dir = Path(folder) / "data"
    shutil.rmtree(data_dir, ignore_errors=True)
    return ingest([path], data_dir)


def quietly(command: Sequence[str]) -> None:
    """Run a program whose output nobody reads."""
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)


def collector_files(full: bool) -> dict[str, Any]:
    """Measure reading a file of nfcapd, importing it, and nfdump's own text of it."""
    count = 4_000_000 if full else 400_000
    with tempfile.TemporaryDirectory() as folder:
        path = collector_file(Path(folder) / "nfcapd.202611230000", count)
        source = nfcapd.CollectorFile(path)
        spent, _wall, rows = cpu_seconds(lambda: sum(table.num_rows for table in source.tables()))
        assert rows == count
        made: dict[str, Any] = {"nfcapd_records": count, "nfcapd_read_records_per_cpu_second": round(count / spent)}
        works: dict[str, Callable[[], Any]] = {"import": lambda: fresh_import(path, folder)}
        if shutil.which("nfdump"):
            read = ("nfdump", "-r", str(path), "-q")
            works["nfdump_csv"] = lambda: quietly([*read, "-o", "csv"])
            works["nfdump_json"] = lambda: quietly([*read, "-o", "json"])
            works["nfdump_aggregation"] = lambda: quietly([*read, "-A", "srcip,dstip,proto,dstport", "-o", "null"])
        least = in_turn(works)
    spent, wall, result = least.pop("import")
    assert result.records == count
    made["nfcapd_import_records_per_cpu_second"] = round(count / spent)
    made["nfcapd_import_wall_seconds"] = round(wall, 2)
    for name, (theirs, _wall, _done) in least.items():
        made[f"{name}_records_per_cpu_second"] = round(count / theirs)
    if "nfdump_csv" in least:
        theirs = least["nfdump_csv"][0]
        made["nfcapd_read_times_nfdump_csv"] = round(made["nfcapd_read_records_per_cpu_second"] * theirs / count, 1)
        made["nfcapd_import_times_nfdump_csv"] = round(theirs / spent, 1)
    return made


def collector_file(path: Path, count: int) -> Path:
    """Write a file of nfcapd (LZ4) of both directions of made-up connections over a day."""
    names = (
        ("kind", "u2"), ("size", "u2"), ("elements", "u2"), ("engine", "u2"), ("exporter", "u2"), ("flags", "u1"), ("version", "u1"),
        ("kind2", "u2"), ("size2", "u2"), ("source", "u4"), ("target", "u4"), ("kind1", "u2"), ("size1", "u2"), ("first", "u8"),
        ("last", "u8"), ("received", "u8"), ("packets", "u8"), ("bytes", "u8"), ("source_port", "u2"), ("target_port", "u2"),
        ("protocol", "u1"), ("tcp", "u1"), ("forward", "u1"), ("service", "u1"), ("kind4", "u2"), ("size4", "u2"), ("input", "u4"),
        ("output", "u4"), ("masks", "u8"), ("kind12", "u2"), ("size12", "u2"), ("router", "u4"),
    )  # fmt: skip
    rng = np.random.default_rng(1)
    blocks = []
    for start in range(0, count, 50_000):
        size = min(50_000, count - start)
        rows = np.zeros(size, dtype=np.dtype([(name, "<" + kind) for name, kind in names]))
        for name, value in FIXED.items():
            rows[name] = value
        pair, reply = (start + np.arange(size)) // 2, np.arange(size) % 2 == 1
        client = 0x0A000000 + pair % 20_000
        server = 0x0AFF0000 + (pair * 104_729) % 2_000
        port = np.array([443, 502, 104, 80, 2575])[server % 5]
        # No 5-tuple comes twice, as when ports are drawn at random.
        own = 32_768 + (pair // 20_000 * 31 + pair % 20_000) % 28_000
        rows["source"], rows["target"] = np.where(reply, server, client), np.where(reply, client, server)
        rows["source_port"], rows["target_port"] = np.where(reply, port, own), np.where(reply, own, port)
        rows["packets"] = rng.integers(1, 50, size)
        rows["bytes"] = rows["packets"] * 200
        rows["first"] = START * 1000 + pair * 86_400_000 // max(1, count // 2) + reply
        rows["last"] = rows["first"] + 200
        data = pa.compress(rows.tobytes(), codec="lz4_raw", asbytes=True)
        blocks.append(struct.pack("<IIHH", size, len(data), 3, 0) + data)
    body = b"".join(blocks)
    header = struct.pack("<HHIQBBHIQII", 0xA50C, 2, 0x1070100, START, 3, 0, 0, 1, 40 + len(body), 0, len(blocks))
    path.write_bytes(header + body)
    return path


def captures(full: bool) -> dict[str, Any]:
    """Measure reading of packets against tshark, and the whole way to the rollup."""
    sessions = 100_000 if full else 20_000
    frames: list[tuple[float, bytes]] = []
    for number in range(sessions):
        client, server = f"10.{number % 250}.{number % 8}.{number % 200 + 1}", f"10.255.0.{number % 50 + 1}"
        frames += packets.session(
            START + number * 0.01, client, 32768 + number % 28000, server, (502, 104, 443)[number % 3], number
        )
    frames.sort(key=lambda each: each[0])
    with tempfile.TemporaryDirectory() as folder:
        path = packets.write(Path(folder) / "traffic.pcap", frames)
        source = PacketCapture(path, "tap")
        spent, wall, rows = cpu_seconds(lambda: sum(table.num_rows for table in source.tables()))
        assert source.quality.packets == len(frames)
        made: dict[str, Any] = {
            "pcap_packets": len(frames),
            "pcap_packets_per_cpu_second": round(len(frames) / spent),
            "pcap_packets_per_wall_second": round(len(frames) / wall),
            "pcap_records": rows,
        }
        if shutil.which("tshark"):
            fields = ("ip.src", "ip.dst", "ip.proto", "tcp.srcport", "tcp.dstport", "tcp.flags", "ip.len")
            command = ["tshark", "-n", "-r", str(path), "-T", "fields", *(x for each in fields for x in ("-e", each))]
            spent, wall, done = cpu_seconds(lambda: subprocess.run(command, capture_output=True, check=True))
            assert done.stdout.count(b"\n") == len(frames)
            made["tshark_packets_per_cpu_second"] = round(len(frames) / spent)
            made["times_tshark"] = round(made["pcap_packets_per_cpu_second"] * spent / len(frames), 1)
        works: dict[str, Callable[[], Any]] = {"import": lambda: fresh_import(path, folder)}
        tool = shutil.which("softflowd", path="/usr/sbin:/usr/bin:/sbin:/bin")
        with listener.open_socket("127.0.0.1", 0) as sock:
            if tool:
                target, pid = f"127.0.0.1:{sock.getsockname()[1]}", str(Path(folder) / "pid")
                options = ("-v", "9", "-d", "-p", pid, "-c", "none", "-m", "1000000")
                works["softflowd"] = lambda: quietly([tool, "-r", str(path), "-n", target, *options])
            least = in_turn(works)
        spent, wall, result = least["import"]
        assert result.connections == sessions
        made["pcap_to_rollup_packets_per_cpu_second"] = round(len(frames) / spent)
        made["pcap_to_rollup_seconds"] = round(wall, 2)
        made["rollup_rows"] = store.rollup(Path(folder) / "data").num_rows
        if "softflowd" in least:
            made["softflowd_packets_per_cpu_second"] = round(len(frames) / least["softflowd"][0])
    made["peak_resident_mib"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    return made
