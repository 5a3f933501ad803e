# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records the hospital at work: packets per bridge, flow exports of the two switches, and the generator's ground truth.

The recording has two phases, kept apart in time: ``routine`` (legitimate conversations only) and ``incident`` (the
infected camera's scan). The exports are made by softflowd from the packets each switch saw.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from . import pcapfile
from .description import Hospital, load_hospital
from .hospital.clients import Player
from .hospital.servers import Servers
from .net import topology
from .net.firewall import load_ruleset
from .net.namespaces import Namespaces
from .places import Places
from .processes import LabError, spawn

SNAPLEN = 160
# Which switch sees which subnets, what it exports and where to: (format, softflowd version, port).
EXPORTERS: dict[str, dict[str, Any]] = {
    "acc1": {"subnets": ("clinical", "imaging"), "format": "ipfix", "version": "10", "port": 4739},
    "acc2": {"subnets": ("building", "servers", "vendor"), "format": "netflow-v9", "version": "9", "port": 2055},
}


def record(
    out: Path, places: Places, sessions: int = 4, seconds: float = 25.0, incident: bool = True
) -> dict[str, Any]:
    """Run the hospital once in its own namespaces and write the recording to ``out``; returns the manifest.

    Raises LabError when namespaces, tcpdump, softflowd or a server program are missing.
    """
    for program in ("tcpdump", "softflowd"):
        if shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin") is None:
            raise LabError(f"recording needs {program} (see tests/lab/packages.txt)")
    hospital = load_hospital()
    out.mkdir(parents=True, exist_ok=True)
    work = places.directory / "recording"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    namespaces = Namespaces()
    servers = Servers(hospital, namespaces, work)
    try:
        namespaces.create(topology.namespace_names(hospital))
        topology.build(namespaces, hospital)
        load_ruleset(namespaces)
        servers.start()
        player = Player(hospital, namespaces, servers)
        taps = {
            name: _tap(namespaces, topology.SWITCHES, topology.bridge_name(name), work / f"{name}.pcap")
            for name in hospital.subnets
        }
        phases = [_phase("routine", lambda: player.routine(sessions, seconds))]
        if incident:
            time.sleep(1.0)
            phases.append(_phase("incident", player.scan))
        time.sleep(0.5)
        for tap in taps.values():
            _end(tap)
        if player.truth.failures:
            raise LabError("conversations failed while recording: " + "; ".join(player.truth.failures[:5]))
        for name in hospital.subnets:
            pcapfile.write(out / f"{name}.pcap", pcapfile.read(work / f"{name}.pcap"), SNAPLEN)
        for switch, settings in EXPORTERS.items():
            _export(namespaces, hospital, work, out, switch, settings)
        entries = player.truth.sorted()
    finally:
        servers.stop()
        namespaces.close()
    truth = {"schema_version": "1.0", "hospital": hospital.name, "phases": phases, "conversations": entries}
    lines = ",\n".join("  " + json.dumps(each, sort_keys=True) for each in entries)
    head = json.dumps({key: truth[key] for key in ("schema_version", "hospital", "phases")}, sort_keys=True)
    (out / "ground-truth.json").write_text(f'{head[:-1]}, "conversations": [\n{lines}\n]}}\n', encoding="utf-8")
    manifest = _manifest(out, hospital, phases, entries, sessions, seconds)
    (out / "manifest.json").write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    shutil.rmtree(work, ignore_errors=True)
    return manifest


def _phase(name: str, run: Any) -> dict[str, Any]:
    start = time.time()
    run()
    return {"name": name, "start": round(start, 6), "end": round(time.time() + 0.3, 6)}


def _tap(namespaces: Namespaces, name: str, interface: str, path: Path, what: str = "") -> subprocess.Popen[bytes]:
    command = [
        "tcpdump",
        "-Z",
        "root",
        "-n",
        "-U",
        "--immediate-mode",
        "-B",
        "8192",
        "-i",
        interface,
        "-w",
        str(path),
        *what.split(),
    ]
    with path.with_suffix(".tap").open("wb") as handle:
        child = spawn(command, namespace=namespaces.descriptor(name), log=handle)
    deadline = time.monotonic() + 5
    while b"listening on" not in path.with_suffix(".tap").read_bytes():
        if child.poll() is not None or time.monotonic() > deadline:
            raise LabError(f"tcpdump on {interface}: {path.with_suffix('.tap').read_text(errors='replace').strip()}")
        time.sleep(0.02)
    return child


def _end(child: subprocess.Popen[bytes]) -> None:
    child.send_signal(signal.SIGINT)
    try:
        child.wait(5)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _export(
    namespaces: Namespaces, hospital: Hospital, work: Path, out: Path, switch: str, settings: dict[str, Any]
) -> None:
    """Let softflowd read what a switch saw and export it from the switch's address to the controller, captured there."""
    merged = work / f"{switch}.pcap"
    pcapfile.write(merged, pcapfile.merge(pcapfile.read(work / f"{name}.pcap") for name in settings["subnets"]))
    source = hospital.switches[switch].management
    route = ["ip", "route", "replace", f"{hospital.controller}/32", "dev", "br-mgmt", "src", source]
    namespaces.run(topology.SWITCHES, route)
    capture = work / f"{switch}-export.pcap"
    tap = _tap(namespaces, topology.CONTROLLER, "eth0", capture, f"udp port {settings['port']}")
    # Relative file name: softflowd puts it into an option record.
    command = [
        shutil.which("softflowd", path="/usr/sbin:/usr/bin") or "softflowd",
        "-r",
        merged.name,
        "-d",
        "-c",
        "none",
    ]
    command += ["-v", settings["version"], "-A", "milli", "-m", "65536", "-p", str(work / "softflowd.pid")]
    command += ["-n", f"{hospital.controller}:{settings['port']}"]
    with (work / f"{switch}-softflowd.log").open("wb") as handle:
        child = spawn(command, namespace=namespaces.descriptor(topology.SWITCHES), directory=work, log=handle)
    if child.wait(60) != 0:
        raise LabError(f"softflowd ended with {child.returncode}")
    time.sleep(0.3)
    _end(tap)
    packets = pcapfile.read(capture)
    if not packets:
        raise LabError(f"softflowd exported nothing for {switch}")
    pcapfile.write(out / f"{switch}-{settings['format']}.pcap", packets)


def _manifest(
    out: Path,
    hospital: Hospital,
    phases: list[dict[str, Any]],
    entries: list[dict[str, Any]],
    sessions: int,
    seconds: float,
) -> dict[str, Any]:
    files = {}
    for path in sorted([*out.glob("*.pcap"), out / "ground-truth.json"]):
        data = path.read_bytes()
        files[path.name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        if path.suffix == ".pcap":
            files[path.name]["packets"] = len(pcapfile.read(path))
    return {
        "schema_version": "1.0",
        "hospital": hospital.name,
        "made_by": f"python -m tests.lab record --sessions {sessions} --seconds {seconds:g}",
        "recorded": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(phases[0]["start"])),
        "days_recorded": 1,
        "snaplen": SNAPLEN,
        "phases": phases,
        "conversations": dict(sorted(Counter(each["conversation"] for each in entries).items())),
        "exporters": {
            name: {
                "address": hospital.switches[name].management,
                "format": each["format"],
                "subnets": list(each["subnets"]),
                "file": f"{name}-{each['format']}.pcap",
            }
            for name, each in EXPORTERS.items()
        },
        "captures": {name: f"{name}.pcap" for name in hospital.subnets},
        "tools": _tools(),
        "files": files,
    }


def _tools() -> dict[str, str]:
    found = {
        "python": sys.version.split()[0],
        "linux": Path("/proc/sys/kernel/osrelease").read_text(encoding="ascii").strip(),
    }
    found["linux"] = found["linux"].split("-")[0]
    for name in ("pynetdicom", "pymodbus", "bacpypes3", "paho-mqtt"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    for command in (
        ["tcpdump", "--version"],
        ["softflowd", "-h"],
        ["dnsmasq", "--version"],
        ["chronyd", "-v"],
        ["mosquitto", "-h"],
    ):
        program = shutil.which(command[0], path="/usr/sbin:/usr/bin:/sbin:/bin")
        if program is None:
            continue
        shown = subprocess.run(
            [program, command[1]], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
        )
        words = (shown.stdout + shown.stderr).replace(",", " ").split()
        numbers = [word for word in words if word[:1].isdigit() and "." in word]
        found[command[0]] = numbers[0].rstrip(".") if numbers else "unknown"
    return found
