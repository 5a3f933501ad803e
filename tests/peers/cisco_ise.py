# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The official cisco.ise modules, unmodified, in an environment of their own.

``build(directory)`` makes it (or finds it again); ``run(...)`` plays tasks with it against an emulated ISE;
``creation_cost(...)`` counts what creating N objects costs, requests and seconds, without the start of Ansible.
Nothing of the peer is kept in this repository. Disk: about 130 MB for the environment, 4 MB for the collection; the
bundle (58 MB) is downloaded once and thrown away.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.lab.ise.client import ControlClient
from tests.lab.ise.server import IseServer

BUNDLE = "ansible==11.13.0"
VERSION = "2.10.0"
FOLDER = "ansible_collections/cisco/ise/"
NEEDED = (FOLDER, "ansible_collections/ansible/utils/")  # the action plugins check their arguments with the latter
ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ROOT / "requirements-peers.txt"


class Unavailable(Exception):
    """The peer cannot be had here; the text is the reason."""


@dataclass(frozen=True)
class Peer:
    """python and playbook: programs of the environment. collections: where cisco.ise is."""

    python: Path
    playbook: Path
    collections: Path


def default_directory() -> Path:
    """``VENV_PEERS`` or ``.venv-peers`` beside the other environments."""
    return Path(os.environ.get("VENV_PEERS") or ROOT / ".venv-peers").absolute()


def found(directory: Path) -> Peer | None:
    """The peer that was built in the directory before, None where there is none (or another one)."""
    peer = Peer(directory / "bin" / "python", directory / "bin" / "ansible-playbook", directory / "collections")
    manifest = peer.collections / FOLDER / "MANIFEST.json"
    if not (peer.python.exists() and peer.playbook.exists() and manifest.exists()):
        return None
    version = json.loads(manifest.read_text(encoding="utf-8"))["collection_info"]["version"]
    return peer if version == VERSION else None


def build(directory: Path | None = None) -> Peer:
    """Make the environment. Raises Unavailable where the package index does not give what it needs."""
    directory = directory or default_directory()
    made = found(directory)
    if made is not None:
        return made
    shutil.rmtree(directory, ignore_errors=True)
    subprocess.run([sys.executable, "-I", "-m", "venv", "--without-pip", str(directory)], check=True)
    python, installer = directory / "bin" / "python", shutil.which("uv") or str(Path(sys.executable).parent / "uv")
    install = [installer, "pip", "install", "--quiet", "--only-binary", ":all:", "--python", str(python)]
    try:
        _command([*install, "--requirement", str(REQUIREMENTS)])
        with tempfile.TemporaryDirectory() as scratch:
            _fetch(installer, python, Path(scratch), directory / "collections")
        made = found(directory)
    except Unavailable:
        shutil.rmtree(directory, ignore_errors=True)
        raise
    if made is None:
        raise Unavailable(f"{BUNDLE} does not hold cisco.ise {VERSION}")
    return made


def run(
    peer: Peer, ise: IseServer, tasks: list[dict[str, Any]], *, version: str = "3.3_patch_1", timeout: float = 300
) -> list[dict[str, Any]]:
    """Play the tasks; returns for each what the module returned. Raises AssertionError with the output when one fails.

    Each task is ``{"module": "downloadable_acl", "args": {...}}``, with ``"loop": [...]`` if wanted (args then use
    ``item``).
    """
    given = {
        "ise_hostname": f"{ise.host}:{ise.port}", "ise_username": ise.username, "ise_password": ise.password, "ise_verify": True,
        "ise_version": version, "ise_uses_api_gateway": True,
    }  # fmt: skip
    play: list[dict[str, Any]] = []
    for number, task in enumerate(tasks):
        step: dict[str, Any] = {
            "name": f"{number} {task['module']}",
            f"cisco.ise.{task['module']}": {**given, **task["args"]},
            "register": f"result_{number}",
        }
        if "loop" in task:
            step["loop"] = task["loop"]
            step["loop_control"] = {"label": ""}
        play += [_moment(f"begin_{number}"), step, _moment(f"end_{number}")]
    names = [f"{{{{ {{'result': result_{n}, 'seconds': end_{n} - begin_{n}}} }}}}" for n in range(len(tasks))]
    play.append(
        {
            "name": "Results",
            "ansible.builtin.copy": {"content": "{{ results | to_json }}", "dest": "{{ out }}"},
            "vars": {"results": names},
        }
    )
    with tempfile.TemporaryDirectory() as scratch:
        book, out = Path(scratch) / "peer.yml", Path(scratch) / "results.json"
        book.write_text(
            json.dumps([{"hosts": "localhost", "gather_facts": False, "vars": {"out": str(out)}, "tasks": play}]),
            encoding="utf-8",
        )
        done = subprocess.run(
            [str(peer.playbook), "-i", "localhost,", "-c", "local", str(book)],
            env=_environment(peer, ise, scratch), cwd=scratch, capture_output=True, text=True, timeout=timeout,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
        results: list[dict[str, Any]] = json.loads(out.read_text(encoding="utf-8"))
        return results


def creation_cost(peer: Peer, ise: IseServer, number: int, *, timeout: float = 3600) -> dict[str, float]:
    """Create ``number`` downloadable ACLs the official way, one loop of one task.

    Returns ``requests`` (as the emulator counted), ``seconds`` (of the task alone, without the start of Ansible) and
    ``created``. The peer's ACLs are named Peer_0 and so on; the emulated ISE must hold none of them.
    """
    control = ControlClient(ise.control_url)
    before = len(control.state()["objects"]["downloadableacl"])
    control.reset_counters()
    task = {
        "module": "downloadable_acl",
        "args": {"state": "present", "name": "Peer_{{ item }}", "dacl": "permit ip any any", "daclType": "IPV4"},
        "loop": list(range(number)),
    }
    seconds = run(peer, ise, [task], timeout=timeout)[0]["seconds"]
    created = len(control.state()["objects"]["downloadableacl"]) - before
    return {"requests": control.counters()["total"], "seconds": seconds, "created": created}


def _moment(name: str) -> dict[str, Any]:
    return {"name": "Clock", "ansible.builtin.set_fact": {name: "{{ now(utc=true).timestamp() }}"}}


def _environment(peer: Peer, ise: IseServer, scratch: str) -> dict[str, str]:
    """A private CA reaches the modules through the variable of requests only: ``ise_verify`` is a boolean there."""
    return {
        "PATH": f"{peer.python.parent}:{os.environ.get('PATH', os.defpath)}",
        "HOME": scratch,
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_COLLECTIONS_PATH": str(peer.collections),
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
        "ANSIBLE_JINJA2_NATIVE": "true",
        "ANSIBLE_PYTHON_INTERPRETER": str(peer.python),
        "REQUESTS_CA_BUNDLE": ise.ca_file,
        "no_proxy": "*",
    }


def _fetch(installer: str, python: Path, scratch: Path, collections: Path) -> None:
    """Unpack only the two folders of the bundle that the peer needs."""
    _command([installer, "pip", "install", "--quiet", "--only-binary", ":all:", "--python", str(python), "pip"])
    _command(
        [
            str(python),
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--only-binary",
            ":all:",
            "--dest",
            str(scratch),
            BUNDLE,
        ]
    )
    (wheel,) = scratch.glob("ansible-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(collections, [name for name in archive.namelist() if name.startswith(NEEDED)])


def _command(command: list[str], timeout: float = 600) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{Path(command[0]).name}: {type(error).__name__}") from None
    if done.returncode != 0:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no output"]
        raise Unavailable(f"the package index gives no peer: {last[0]}")


if __name__ == "__main__":
    try:
        print(build().collections)
    except Unavailable as reason:
        print(reason)
        sys.exit(3)
