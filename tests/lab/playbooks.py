# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A site as a user has one (policy repository, data directory) and its playbooks run as a user runs them."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import control
from .places import CHECKOUT, Places
from .processes import LabError, ProcessMark, mark, spawn, stop_marks

# What people write by hand; vendor access is one of it, an exception with a ticket and an end. The other zones' segment
# files, the membership lock and the evidence are learnt.
BASE_DOCUMENTS = (
    "site.yml",
    "services.yml",
    "networks.yml",
    "guardrails.yml",
    "expectations",
    "workflows.yml",
    "enforcement.yml",
    "classification.yml",
    "vendor",
)
# The emulated switches ask for sessions and cells every half second.
SWITCHES_POLL = 1.2
SAMPLES = CHECKOUT / "samples" / "hospital"
_COMMITTER = (
    "-c",
    "user.name=Lab Reviewer",
    "-c",
    "user.email=reviewer@hospital.example",
    "-c",
    "commit.gpgsign=false",
)


@dataclass(frozen=True)
class Run:
    """One run of a playbook: exit code, wall time in seconds, its output."""

    name: str
    code: int
    seconds: float
    log: Path

    @property
    def output(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def tail(self, lines: int = 25) -> str:
        return "\n".join(self.output.rstrip().splitlines()[-lines:])


@dataclass
class Site:
    """A policy repository with what the loop makes beside it, and the lab's inventory.

    ``limit``: a pattern for the playbooks that go to targets. ``logs``: where their output goes.
    """

    places: Places
    directory: Path
    logs: Path
    sources: Sequence[str] = (str(SAMPLES / "*.pcap"),)
    limit: str = ""
    variables: dict[str, Any] = field(default_factory=dict)
    number: int = 0

    @property
    def policy(self) -> Path:
        return self.directory / "site"

    @property
    def data(self) -> Path:
        return self.directory / "data"

    @property
    def output(self) -> Path:
        return self.data / "out"

    @property
    def state(self) -> Path:
        return self.data / "state"

    def result(self, step: str) -> dict[str, Any]:
        """The JSON result of a step; raises OSError where it wrote none."""
        found: dict[str, Any] = json.loads((self.output / f"{step}.json").read_text(encoding="utf-8"))
        return found

    # -- the repository

    def create(self, documents: Sequence[str] = BASE_DOCUMENTS, source: Path = CHECKOUT / "policies") -> str:
        """Make the policy repository anew from these documents and commit them; returns the commit."""
        shutil.rmtree(self.directory, ignore_errors=True)
        self.policy.mkdir(parents=True)
        for name in documents:
            path = source / name
            if path.is_dir():
                shutil.copytree(path, self.policy / name)
            else:
                shutil.copy(path, self.policy / name)
        self.git("-c", "init.defaultBranch=main", "init", "-q")
        return self.commit("Site, services and guardrails as people wrote them")

    def commit(self, message: str) -> str:
        """Commit everything in the repository; returns the commit."""
        self.git("add", "--all")
        self.git(*_COMMITTER, "commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD").strip()

    def git(self, *words: str) -> str:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        environment |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        done = subprocess.run(
            ["git", "-C", str(self.policy), *words], capture_output=True, text=True, check=True, env=environment
        )
        return done.stdout

    # -- the playbooks

    def arguments(self, name: str, *flags: str, **variables: Any) -> list[str]:
        """The words after ``ansible-playbook``."""
        values: dict[str, Any] = {
            "microseg_policy_dir": str(self.policy),
            "microseg_data_dir": str(self.data),
            "microseg_state": str(self.state),
            **({"microseg_flow_sources": list(self.sources)} if name == "collect" else {}),
            **self.variables,
            **variables,
        }
        words = [name if "." in name or "/" in name else f"playbooks/{name}.yml", "-e", json.dumps(values)]
        if self.limit and name.rpartition(".")[2] not in ("propose", "validate"):
            words += ["--limit", self.limit]
        return [*words, *flags]

    def run(self, name: str, *flags: str, environment: dict[str, str] | None = None, **variables: Any) -> Run:
        """Run ``playbooks/NAME.yml`` (or a fully qualified name) from the checkout; never raises on its exit code."""
        self.number += 1
        self.logs.mkdir(parents=True, exist_ok=True)
        log = self.logs / f"{self.number:02}-{name.rpartition('.')[2]}.log"
        words = [str(program("ansible-playbook")), *self.arguments(name, *flags, **variables)]
        began = time.monotonic()
        with log.open("wb") as handle:
            handle.write(f"$ {' '.join(words)}\n".encode())
            handle.flush()
            child = spawn(
                words, log=handle, environment=ansible_environment(self.places, environment), directory=CHECKOUT
            )
            try:
                code = child.wait()
            except BaseException:
                end_group(child)
                raise
        return Run(name, code, time.monotonic() - began, log)


def program(name: str) -> Path:
    """A program of the environment this interpreter runs in."""
    return Path(sys.executable).parent / name


def ansible_environment(places: Places, more: dict[str, str] | None = None) -> dict[str, str]:
    """The environment of a user of this checkout who works with this lab."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "COVERAGE"))}
    binaries = str(Path(sys.executable).parent)
    return {
        **kept,
        "PATH": os.pathsep.join([binaries, kept.get("PATH", os.defpath)]),
        "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"),
        "ANSIBLE_HOME": str(places.directory / "ansible"),
        "ANSIBLE_NOCOLOR": "1",
        "SEGWRIGHT_LAB_ID": str(places.lab_id),
        "SEGWRIGHT_LAB_DIR": str(places.directory.parent),
        **(more or {}),
    }


def end_group(child: subprocess.Popen[bytes]) -> None:
    """End a child and everything it started: ask, then insist. Ansible's workers are sessions of their own."""
    family = descendants(child.pid)
    for number, patience in ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(patience)
            break
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    stop_marks(family, patience=1.0)


def descendants(pid: int) -> list[ProcessMark]:
    """The living children of a process, their children, and so on, by what /proc says now."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = path.read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
            children.setdefault(int(fields[1]), []).append(int(path.parent.name))
    found: list[ProcessMark] = []
    waiting = [pid]
    while waiting:
        for each in children.get(waiting.pop(), []):
            waiting.append(each)
            with contextlib.suppress(LabError):
                found.append(mark("descendant", each))
    return found


def assign_sessions(places: Places, policy: Path) -> int:
    """Do what the site's authorization rules do once they name the new profiles and tags; returns sessions changed.

    Which profile and tag belong to a segment is read from ISE by what stands in the objects, as an administrator would.
    Each changed session is re-authenticated. Returns 0 where everything is assigned already.
    """
    from .judge import read_policy

    reading = read_policy(policy)
    lock = json.loads((policy / "members.lock.json").read_text(encoding="utf-8"))
    profiles = _ours(places, "authorizationprofile")
    tags = {name: each["value"] for name, each in _ours(places, "sgt").items()}
    sessions = control.call(places.ise_control, "GET", "/sessions")
    changed = 0
    for segment, value in lock["segments"].items():
        kinds = {kind for _, kind in reading.points.get(segment, ())}
        wanted: dict[str, Any] = {}
        if "dacl" in kinds and segment in profiles:
            wanted["authorization_profile"] = profiles[segment]["name"]
        if "sgacl" in kinds and segment in tags:
            wanted["sgt"] = tags[segment]
        for device in value["devices"] if wanted else []:
            now = sessions.get(device["device"].upper())
            if now is None or all(now.get(key) == item for key, item in wanted.items()):
                continue
            body = {"mac": device["device"], **wanted, "reauthenticate": True}
            changed += len(control.call(places.control, "POST", "/authorize", body)["changed"])
    if changed:
        time.sleep(SWITCHES_POLL)
    return changed


def withdraw_sessions(places: Places) -> int:
    """The reverse: every session gets plain access again; returns sessions changed."""
    changed = 0
    for mac, each in control.call(places.ise_control, "GET", "/sessions").items():
        if each.get("authorization_profile") != "PermitAccess" or each.get("sgt") is not None:
            control.call(
                places.ise_control, "PUT", f"/sessions/{mac}", {"authorization_profile": "PermitAccess", "sgt": None}
            )
            control.call(places.ise_control, "POST", f"/sessions/{mac}/reauthenticate")
            changed += 1
    if changed:
        time.sleep(SWITCHES_POLL)
    return changed


def _ours(places: Places, resource: str) -> dict[str, dict[str, Any]]:
    """Objects in ISE that the product marked as its own, by the segment their description names."""
    found = {}
    for each in control.call(places.ise_control, "GET", f"/objects/{resource}"):
        description = str(each.get("description") or "")
        if description.startswith("segwright:") and " segment " in description:
            found[description.rpartition(" segment ")[2]] = each
    return found
