# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab as one object: starts its parts, waits until each answers, stops them.

The parts: ``ise`` (emulated ISE), ``switches`` (emulated access switches), ``net`` (namespaces and links), ``fw1``
(firewall with SSH, needs ``net``), ``hospital`` (the devices' programs, needs ``net``). Each part is a child process that
dies with this one. A part this machine cannot run is left out with one line that says why; the others start all the same.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from . import control, credentials
from .bridge import SwitchView
from .description import Hospital, load_hospital
from .net import firewall, topology
from .net.features import why_not
from .net.namespaces import Namespaces
from .net.prober import Probe, Prober
from .net.proxy import Proxy
from .places import CHECKOUT, Places
from .processes import LabError, ProcessMark, mark, spawn, stop_marks
from .seeds import fleet_spec, ise_seed
from .state import check_ports, clean_up

PARTS = ("ise", "switches", "net", "fw1", "hospital")
NEEDS = {"fw1": "net", "hospital": "net"}
Report = Callable[[str, float, str], None]


class Lab:
    """A running lab. ``with Lab.start(parts={"net", "fw1"}, lab_id=79) as lab: ...``"""

    def __init__(self, places: Places, hospital: Hospital, parts: frozenset[str], report: Report) -> None:
        self.places, self.hospital, self.parts = places, hospital, parts
        self.skipped: dict[str, str] = {}
        self.running: dict[str, float] = {}
        self.namespaces = Namespaces()
        self._report = report
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._marks: list[ProcessMark] = []
        self._control: control.ControlServer | None = None
        self._proxy: Proxy | None = None
        self._prober: Prober | None = None
        self._host_key = ""
        self._hospital_lock = threading.Lock()
        self._probe_lock = threading.Lock()
        self._view: SwitchView | None = None

    @classmethod
    def start(
        cls,
        parts: Iterable[str] | None = None,
        lab_id: int | None = None,
        base: Path | None = None,
        report: Report = lambda name, seconds, text: None,
        required: Iterable[str] = (),
    ) -> Lab:
        """Start the parts (default all) of instance ``lab_id``; returns when each answers.

        ``base``: the directory of all instances (default SEGWRIGHT_LAB_DIR or ``.lab``). ``report`` is called once per
        part. Raises LabError when a part fails, a port is in use, the instance runs already, or a ``required`` part
        cannot run here. Call it from a thread that lives as long as the lab.
        """
        chosen = frozenset(PARTS if parts is None else parts)
        chosen |= {NEEDS[each] for each in chosen if each in NEEDS}
        if chosen - set(PARTS):
            raise LabError(f"unknown parts {', '.join(sorted(chosen - set(PARTS)))}; there are {', '.join(PARTS)}")
        places = Places.of(lab_id, base)
        lab = cls(places, load_hospital(), chosen, report)
        clean_up(places)
        try:
            lab._check_ports()
            shutil.rmtree(places.directory, ignore_errors=True)
            places.make()
            lab._save()
            lab._start_all()
            lacking = set(required) - set(lab.running)
            if lacking:
                raise LabError("; ".join(f"{each}: {lab.skipped.get(each, 'not started')}" for each in sorted(lacking)))
        except BaseException:
            lab.stop()
            raise
        return lab

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # -- starting ------------------------------------------------------------------------------------------------------

    def _start_all(self) -> None:
        self._start_control()
        began = {}
        if "ise" in self.parts:
            began["ise"] = time.monotonic()
            self._start_ise()
        if "switches" in self.parts:
            began["switches"] = time.monotonic()
            self._start_switches()
        if "net" in self.parts:
            self._start_net()
        if "hospital" in self.parts and "net" in self.running:
            began["hospital"] = time.monotonic()
            self._start_hospital()
        if "fw1" in self.parts and "net" in self.running:
            self._start_firewall()
        waits = {"ise": self._wait_ise, "switches": self._wait_switches, "hospital": self._wait_hospital}
        for name, since in began.items():
            text = waits[name]()
            if name not in self.skipped:
                self._done(name, since, text)
        self._write_known_hosts()
        self._save()

    def _done(self, name: str, since: float, text: str) -> None:
        self.running[name] = round(time.monotonic() - since, 2)
        self._report(name, self.running[name], text)

    def _skip(self, name: str, reason: str) -> None:
        self.skipped[name] = reason
        self._report(name, 0.0, f"left out: {reason}")

    def _check_ports(self) -> None:
        wanted = {"supervisor": [self.places.control]}
        if "ise" in self.parts:
            wanted["ise"] = [self.places.ise, self.places.ise_control]
        if "switches" in self.parts:
            wanted["switches"] = [self.places.switch(each.number) for each in self.hospital.switches.values()]
            wanted["switches"].append(self.places.switch_control)
        if "fw1" in self.parts:
            wanted["fw1"] = [self.places.firewall]
        check_ports(wanted)

    def _child(
        self, name: str, arguments: list[str], piped: bool = False, **environment: str
    ) -> subprocess.Popen[bytes]:
        settings = {key: value for key, value in os.environ.items() if not key.startswith("COVERAGE")}
        settings |= {"PYTHONUNBUFFERED": "1", **environment}
        with (self.places.logs / f"{name}.log").open("wb") as log:
            child = spawn(
                [sys.executable, "-m", *arguments],
                log=log,
                stdin=subprocess.PIPE if piped else subprocess.DEVNULL,
                stdout=subprocess.PIPE if piped else log,
                environment=settings,
                directory=CHECKOUT,
            )
        self._children[name] = child
        self._marks.append(mark(name, child.pid))
        self._save()
        return child

    def _start_control(self) -> None:
        self._control = control.ControlServer(self.places.control, self._routes())
        self._control.start()

    def _start_ise(self) -> None:
        seed = self.places.directory / "ise-seed.json"
        seed.write_text(json.dumps(ise_seed(self.hospital, self.places), indent=1), encoding="utf-8")
        host, port = self.places.ise
        arguments = ["tests.lab.ise", "--listen", f"{host}:{port}", "--seed", str(seed)]
        arguments += ["--certificates", str(self.places.directory / "ise")]
        arguments += ["--username", credentials.ISE_USER, "--operator", credentials.ISE_OPERATOR]
        self._child(
            "ise",
            arguments,
            ISE_LAB_PASSWORD=credentials.ISE_PASSWORD,
            ISE_LAB_OPERATOR_PASSWORD=credentials.ISE_OPERATOR_PASSWORD,
        )

    def _wait_ise(self) -> str:
        health = self._wait("ise", lambda: control.call(self.places.ise_control, "GET", "/health", timeout=5))
        shutil.copyfile(health["ca_file"], self.places.ise_ca)
        return f"https://{self.places.ise[0]}:{self.places.ise[1]}"

    def _start_switches(self) -> None:
        (self.places.directory / "switches").mkdir(mode=0o700)
        spec = self.places.directory / "switches" / "fleet.json"
        spec.write_text(json.dumps(fleet_spec(self.hospital, self.places), indent=1), encoding="utf-8")
        self._child("switches", ["tests.lab.iosxe", "--spec", str(spec)])

    def _wait_switches(self) -> str:
        places = [self.places.switch(each.number) for each in self.hospital.switches.values()]
        self._wait("switches", lambda: all(_ssh_greets(each) for each in places))
        self._wait("switches", lambda: control.call(self.places.switch_control, "POST", "/devices", {}, timeout=5))
        addresses = [f"{name} {self.places.switch(each.number)[0]}" for name, each in self.hospital.switches.items()]
        return f"{', '.join(addresses)}, port {self.places.switch(1)[1]}"

    def _start_net(self) -> None:
        began = time.monotonic()
        reason = why_not()
        if reason:
            without = [each for each in NEEDS if each in self.parts]
            self.skipped |= dict.fromkeys(without, "needs net")
            self._skip("net", reason + (f" (so no {', '.join(without)})" if without else ""))
            return
        self.namespaces.create(topology.namespace_names(self.hospital))
        self._marks += self.namespaces.holders.values()
        self._save()
        topology.build(self.namespaces, self.hospital)
        self._done("net", began, f"{len(self.hospital.hosts)} hosts in {len(self.hospital.subnets)} subnets")

    def _start_firewall(self) -> None:
        began = time.monotonic()
        firewall.load_ruleset(self.namespaces)
        self._host_key = firewall.make_keys(self.places)
        self._marks.append(firewall.start_ssh_server(self.namespaces, self.hospital, self.places))
        target = (self.hospital.firewall, 22)
        self._proxy = Proxy(self.places.firewall, target, self.namespaces.descriptor(topology.CONTROLLER))
        self._proxy.start()
        self._wait("fw1", lambda: _ssh_greets(self.places.firewall))
        self._done(
            "fw1", began, f"ssh {credentials.FIREWALL_USER}@{self.places.firewall[0]} port {self.places.firewall[1]}"
        )

    def _start_hospital(self) -> None:
        from .hospital.servers import missing

        lacking = missing()
        if lacking:
            self._skip("hospital", "needs " + ", ".join(lacking))
            return
        directory = self.places.directory / "hospital"
        self._child("hospital", ["tests.lab.hospital", str(self.places.state), str(directory)], piped=True)

    def _wait_hospital(self) -> str:
        if "hospital" in self.skipped:
            return ""
        first = self._ask_hospital(None)
        return f"{len(first['ready'])} kinds of conversation can be spoken"

    def _wait(self, name: str, answers: Callable[[], Any], patience: float = 30.0) -> Any:
        deadline = time.monotonic() + patience
        while True:
            child = self._children.get(name)
            if child is not None and child.poll() is not None:
                raise LabError(f"{name} ended: {self._tail(name)}")
            try:
                found = answers()
                if found:
                    return found
            except (OSError, LabError):
                pass
            if time.monotonic() > deadline:
                raise LabError(f"{name} does not answer after {patience:.0f} s: {self._tail(name)}")
            time.sleep(0.05)

    def _tail(self, name: str) -> str:
        path = self.places.logs / f"{name}.log"
        lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines() if path.exists() else []
        return " | ".join(lines[-3:]) or "nothing in its log"

    # -- state ---------------------------------------------------------------------------------------------------------

    def _write_known_hosts(self) -> None:
        lines = []
        written = self.places.directory / "switches" / "known_hosts"
        if written.exists():
            lines += written.read_text(encoding="ascii").splitlines()
        if self._host_key:
            lines.append(f"[{self.places.firewall[0]}]:{self.places.firewall[1]} {self._host_key}")
        self.places.known_hosts.write_text("".join(line + "\n" for line in lines), encoding="ascii")

    def state(self) -> dict[str, Any]:
        """What ``state.json`` holds: this process, the parts, every namespace and process with its start time."""
        return {
            "schema_version": "1.0",
            "lab_id": self.places.lab_id,
            "supervisor": mark("supervisor", os.getpid()).as_dict(),
            "parts": {name: {"seconds": seconds} for name, seconds in self.running.items()},
            "skipped": self.skipped,
            "namespaces": self.namespaces.as_dict(),
            "processes": [each.as_dict() for each in self._marks],
        }

    def _save(self) -> None:
        path = self.places.state.with_suffix(".new")
        path.write_text(json.dumps(self.state(), indent=1) + "\n", encoding="utf-8")
        path.replace(self.places.state)

    def broken(self) -> str:
        """Empty while every child lives, else which one ended."""
        ended = [each.name for each in self._marks if not each.alive()]
        return ", ".join(ended)

    def stop(self) -> None:
        """End every part; what was recorded about them goes too. Logs and keys stay until the next start."""
        if self._prober is not None:
            self._prober.close()
            self._prober = None
        if self._proxy is not None:
            self._proxy.stop()
            self._proxy = None
        for child in self._children.values():
            if child.stdin is not None:
                child.stdin.close()
        holders = set(self.namespaces.holders.values())
        stop_marks([each for each in self._marks if each not in holders], deaf=firewall.DEAF)
        for child in self._children.values():
            child.wait()
            if child.stdout is not None:
                child.stdout.close()
        self._children.clear()
        self.namespaces.close()
        self._marks.clear()
        if self._control is not None:
            self._control.stop()
            self._control = None
        self.running.clear()
        self.places.state.unlink(missing_ok=True)

    # -- using ---------------------------------------------------------------------------------------------------------

    def prober(self) -> Prober:
        """The lab's prober, kept open; raises LabError without ``net``."""
        if "net" not in self.running:
            raise LabError(f"no network in this lab: {self.skipped.get('net', 'net was not asked for')}")
        if self._prober is None:
            self._prober = Prober(self.namespaces, self.hospital)
        return self._prober

    def ask_ise(self, method: str, path: str, body: Any = None) -> Any:
        return control.call(self.places.ise_control, method, path, body, timeout=10)

    def hospital_do(self, **command: Any) -> dict[str, Any]:
        """A command of tests.lab.hospital; raises LabError with its error."""
        with self._hospital_lock:
            return self._ask_hospital(command)

    def _ask_hospital(self, command: dict[str, Any] | None) -> dict[str, Any]:
        child = self._children.get("hospital")
        if child is None or child.stdin is None or child.stdout is None:
            raise LabError(f"no hospital programs in this lab: {self.skipped.get('hospital', 'not asked for')}")
        if command is not None:
            child.stdin.write(json.dumps(command).encode() + b"\n")
            child.stdin.flush()
        line = child.stdout.readline()
        answer: dict[str, Any] = json.loads(line) if line else {"error": f"ended: {self._tail('hospital')}"}
        if "error" in answer:
            raise LabError(f"hospital: {answer['error']}")
        return answer

    def reset_firewall(self) -> None:
        firewall.reset_ruleset(self.namespaces)

    def authorize(self, command: dict[str, Any]) -> dict[str, Any]:
        """What the site's authorization rules give sessions from now on; see tests.lab.control."""
        new = {key: command[key] for key in ("authorization_profile", "sgt") if key in command}
        changed = []
        for mac, session in self.ask_ise("GET", "/sessions").items():
            wanted = (
                command["mac"].upper() == mac
                if "mac" in command
                else session["endpoint_profile"] == command["endpoint_profile"]
            )
            if wanted:
                self.ask_ise("PUT", f"/sessions/{mac}", new)
                if command.get("reauthenticate"):
                    self.ask_ise("POST", f"/sessions/{mac}/reauthenticate")
                changed.append(mac)
        return {"changed": changed}

    def switch_view(self) -> dict[str, Any]:
        if self._view is None:
            names = {self.places.switch(each.number)[0]: name for name, each in self.hospital.switches.items()}
            self._view = SwitchView(self.ask_ise, names)
        if "ise" not in self.parts:
            return {"sessions": [], "cts_cells": [], "sgts": {}}
        return self._view.build()

    def _probe(self, command: dict[str, Any]) -> dict[str, Any]:
        probes = [Probe(**each) for each in command["probes"]]
        with self._probe_lock:
            results = self.prober().probe(probes, float(command.get("timeout", 0.5)), bool(command.get("flush", True)))
        return {"results": [dataclasses.asdict(each) for each in results]}

    def _routes(self) -> dict[str, control.Route]:
        def reset(_: dict[str, Any]) -> dict[str, Any]:
            self.reset_firewall()
            return {"ok": True}

        return {
            "GET /health": lambda _: {
                "ok": not self.broken(),
                "parts": self.running,
                "skipped": self.skipped,
                "ended": self.broken(),
            },
            "GET /switches": lambda _: self.switch_view(),
            "POST /authorize": self.authorize,
            "GET /firewall": lambda _: {"ruleset": firewall.ruleset(self.namespaces)},
            "POST /firewall/reset": reset,
            "POST /probe": self._probe,
            "POST /hospital": lambda command: self.hospital_do(**command),
        }


def _ssh_greets(address: tuple[str, int]) -> bool:
    with socket.create_connection(address, timeout=2) as connection:
        return connection.recv(4) == b"SSH-"
