# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m tests.lab up|down|status|demo-env|record|spread|send-exports|probe|shell|demo``"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import date
from pathlib import Path

from . import control
from .places import CHECKOUT, Places
from .processes import LabError, stop_marks
from .state import clean_up, read_state, supervisor_of
from .supervisor import PARTS, Lab

_READY = "-- ready --"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.lab", description="The lab hospital on this machine.")
    parser.add_argument("--id", type=int, dest="lab_id", help="lab instance 0-99 (default: SEGWRIGHT_LAB_ID or 0)")
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start the lab")
    up.add_argument("--parts", default=",".join(PARTS), help=f"some of {','.join(PARTS)} (default all)")
    up.add_argument("--foreground", action="store_true", help="stay; end with Ctrl-C")
    commands.add_parser("down", help="stop it")
    commands.add_parser("status", help="what runs")
    commands.add_parser("demo-env", help="shell lines that point programs at this lab")
    record = commands.add_parser(
        "record", help="record the hospital at work (its own namespaces, no running lab needed)"
    )
    record.add_argument("--out", type=Path, required=True)
    record.add_argument("--sessions", type=int, default=4, help="sessions of each conversation per client")
    record.add_argument("--seconds", type=float, default=25.0, help="wall time they are spread over")
    spread = commands.add_parser("spread", help="move copies of a recording to consecutive days")
    spread.add_argument("--in", type=Path, dest="source", required=True)
    spread.add_argument("--out", type=Path, required=True)
    spread.add_argument("--days", type=int, default=14)
    spread.add_argument("--end", type=date.fromisoformat, required=True, help="last day, YYYY-MM-DD (UTC)")
    spread.add_argument(
        "--incident-day", type=int, default=5, help="which day has the incident, counted from the end; 0: none"
    )
    send = commands.add_parser("send-exports", help="send a recording's flow exports to a collector on loopback")
    send.add_argument("--in", type=Path, dest="source", required=True)
    send.add_argument("--to", required=True, help="ADDRESS:PORT, loopback only")
    send.add_argument("--only", help="one switch: acc1 (IPFIX) or acc2 (NetFlow v9)")
    send.add_argument("--now", action="store_true", help="move the times so that the recording began just now")
    probe = commands.add_parser("probe", help="probe the running lab by its description and print what got through")
    probe.add_argument("--json", action="store_true")
    shell = commands.add_parser("shell", help="run a command (default: a shell) inside a namespace of the lab")
    shell.add_argument("namespace")
    shell.add_argument("words", nargs=argparse.REMAINDER)
    demo = commands.add_parser("demo", help="the whole loop against the lab")
    demo.add_argument("--keep", action="store_true", help="leave the lab up at the end")
    chosen = parser.parse_args(arguments)
    try:
        return _run(chosen)
    except (LabError, ValueError) as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _run(chosen: argparse.Namespace) -> int:
    places = Places.of(chosen.lab_id)
    if chosen.command == "up":
        parts = [each for each in chosen.parts.split(",") if each]
        return _foreground(places, parts) if chosen.foreground else _daemon(places, parts)
    if chosen.command == "down":
        return _down(places)
    if chosen.command == "status":
        return _status(places)
    if chosen.command == "demo-env":
        for name, value in environment(places).items():
            print(f"export {name}={value}")
        return 0
    if chosen.command == "record":
        from .record import record

        manifest = record(chosen.out, places, chosen.sessions, chosen.seconds)
        size = sum(each["bytes"] for each in manifest["files"].values())
        print(f"recorded {sum(manifest['conversations'].values())} conversations, {size} bytes, in {chosen.out}")
        return 0
    if chosen.command == "spread":
        from .spread import spread

        made = spread(chosen.source, chosen.out, chosen.days, chosen.end, chosen.incident_day)
        print(f"{made['days']} days, {made['packets']} packets, in {chosen.out}")
        return 0
    if chosen.command == "send-exports":
        return _send(places, chosen)
    if chosen.command == "probe":
        return _probe(places, chosen.json)
    if chosen.command == "shell":
        return _shell(places, chosen.namespace, chosen.words)
    return _demo(places, ["--keep"] if chosen.keep else [])


def environment(places: Places) -> dict[str, str]:
    """Environment variables that point programs at this lab."""
    return {
        "SEGWRIGHT_LAB_ID": str(places.lab_id),
        "SEGWRIGHT_LAB_DIR": str(places.directory.parent),
        "SEGWRIGHT_LAB_ISE": f"https://{places.ise[0]}:{places.ise[1]}",
        "SEGWRIGHT_LAB_ISE_CA": str(places.ise_ca),
        "SEGWRIGHT_LAB_KNOWN_HOSTS": str(places.known_hosts),
        "SEGWRIGHT_LAB_SSH_KEY": str(places.ssh_key),
        "SEGWRIGHT_LAB_FW1": f"{places.firewall[0]}:{places.firewall[1]}",
        "SEGWRIGHT_LAB_CONTROL": f"http://{places.control[0]}:{places.control[1]}",
    }


def _line(name: str, seconds: float, text: str) -> None:
    print(f"  {name:<9} {seconds:5.2f} s  {text}", flush=True)


def _foreground(places: Places, parts: list[str]) -> int:
    ending = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ending.set())
    began = time.monotonic()
    with Lab.start(parts, places.lab_id, places.directory.parent, _line) as lab:
        print(f"lab {places.lab_id} is up in {time.monotonic() - began:.1f} s", flush=True)
        print(_READY, flush=True)
        told = ""
        while not ending.wait(1.0):
            broken = lab.broken()
            if broken != told:
                told = broken
                print(f"lab: ended by itself: {broken}", file=sys.stderr, flush=True)
    return 0


def _daemon(places: Places, parts: list[str]) -> int:
    """Start the supervisor as its own session and pass its lines on until it is ready or has failed."""
    clean_up(places)
    command = [
        sys.executable,
        "-m",
        "tests.lab",
        "--id",
        str(places.lab_id),
        "up",
        "--foreground",
        "--parts",
        ",".join(parts),
    ]
    settings = {**os.environ, "SEGWRIGHT_LAB_DIR": str(places.directory.parent), "PYTHONUNBUFFERED": "1"}
    # The supervisor clears its directory when it starts, so its own log lies beside it.
    places.directory.parent.mkdir(parents=True, exist_ok=True)
    log = places.directory.parent / f"supervisor-{places.lab_id}.log"
    with log.open("wb") as handle:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=handle,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=CHECKOUT,
            env=settings,
        )
    shown = 0
    deadline = time.monotonic() + 120
    while True:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
        whole = [line for line in lines if line.endswith("\n")]
        for line in whole[shown:]:
            if line.strip() == _READY:
                return 0
            print(line, end="", flush=True)
        shown = len(whole)
        if child.poll() is not None:
            return child.returncode or 1
        if time.monotonic() > deadline:
            child.terminate()
            raise LabError(f"the lab did not come up within two minutes; see {log}")
        time.sleep(0.05)


def _down(places: Places) -> int:
    state = read_state(places)
    if state is None:
        print(f"lab {places.lab_id} is not running")
        return 0
    supervisor = supervisor_of(state)
    stop_marks([supervisor], patience=15)
    left = clean_up(places)
    print(f"lab {places.lab_id} is down" + (f"; also ended {', '.join(left)}" if left else ""))
    return 0


def _status(places: Places) -> int:
    state = read_state(places)
    if state is None or not supervisor_of(state).alive():
        print(f"lab {places.lab_id} is not running")
        return 1
    health = control.call(places.control, "GET", "/health", timeout=10)
    print(f"lab {places.lab_id}, pid {state['supervisor']['pid']}, {places.directory}")
    for name, seconds in health["parts"].items():
        print(f"  {name:<9} up in {seconds:.2f} s")
    for name, reason in health["skipped"].items():
        print(f"  {name:<9} left out: {reason}")
    if health["ended"]:
        print(f"  ended by themselves: {health['ended']}")
    return 0 if health["ok"] else 1


def _send(places: Places, chosen: argparse.Namespace) -> int:
    from .replay import send_exports

    host, _, port = chosen.to.rpartition(":")
    moved = 0
    if chosen.now:
        manifest = json.loads((chosen.source / "manifest.json").read_text(encoding="utf-8"))
        moved = int(time.time() - manifest["phases"][0]["start"])
    sent = send_exports(chosen.source, (host, int(port)), places, moved=moved, only=chosen.only)
    print(", ".join(f"{name}: {count} datagrams" for name, count in sent.items()))
    return 0


def _probe(places: Places, as_json: bool) -> int:
    from .description import load_hospital
    from .net.prober import probe
    from .net.probes import crosses_firewall, from_description, make_probes

    hospital = load_hospital()
    probes = [each for each in make_probes(from_description(hospital), hospital) if crosses_firewall(hospital, each)]
    began = time.monotonic()
    results = probe(probes, places)
    wrong = [each for each in results if not each.as_expected]
    if as_json:
        print(
            json.dumps(
                [
                    {"probe": each.probe.text(), "delivered": each.delivered, "permitted": each.probe.permitted}
                    for each in results
                ]
            )
        )
    else:
        for each in wrong[:20]:
            print(f"  {'got through' if each.delivered else 'was lost'}: {each.probe.text()}")
        seconds = time.monotonic() - began
        print(f"{len(results)} probes across fw1 in {seconds:.1f} s, {len(wrong)} not as the description permits")
    return 0 if not wrong else 1


def _shell(places: Places, name: str, words: list[str]) -> int:
    state = read_state(places)
    if state is None:
        raise LabError(f"lab {places.lab_id} is not running")
    from .net.namespaces import Namespaces
    from .processes import enter_network

    namespaces = Namespaces.attach(state)
    enter_network(namespaces.descriptor({"fw1": "fw", "controller": "ctl"}.get(name, name)))
    command = words or [os.environ.get("SHELL", "/bin/sh")]
    return subprocess.run(command, check=False).returncode


def _demo(places: Places, words: list[str]) -> int:
    try:
        module = importlib.import_module("tests.lab.demo")
    except ModuleNotFoundError as error:
        if error.name != "tests.lab.demo":
            raise
        raise LabError("the demonstration is not part of this checkout") from None
    os.environ.update(environment(places))
    result: int = module.main(words)
    return result


if __name__ == "__main__":
    sys.exit(main())
