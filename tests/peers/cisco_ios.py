# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The community's collections for IOS and NX-OS (cisco.ios, cisco.nxos, ansible.netcommon), unmodified, in an environment of their own.

``python -m tests.peers.cisco_ios`` builds it (or finds it again); ``play(...)`` runs tasks with it against emulated switches over
``ansible.netcommon.network_cli`` with libssh, ``push(...)`` measures how it writes a list. Nothing of the peer is kept in this
repository. Disk: about 110 MB for the environment, 20 MB for the collections; the bundle (60 MB) is downloaded once and thrown away.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.peers.cisco_ise import ROOT, Peer, Unavailable, _command

BUNDLE = "ansible==14.5.0"
REQUIREMENTS = ("ansible-core==2.21.*", "ansible-pylibssh==1.4.0", "netaddr")
FOLDERS = tuple(
    f"ansible_collections/{name}/" for name in ("cisco/ios", "cisco/nxos", "ansible/netcommon", "ansible/utils")
)


def default_directory() -> Path:
    """``VENV_PEERS_IOS`` or ``.venv-peers-ios`` beside the other environments."""
    return Path(os.environ.get("VENV_PEERS_IOS") or ROOT / ".venv-peers-ios").absolute()


def found(directory: Path) -> Peer | None:
    """The peer that was built in the directory before, None where there is none."""
    peer = Peer(directory / "bin" / "python", directory / "bin" / "ansible-playbook", directory / "collections")
    whole = all((peer.collections / folder / "MANIFEST.json").exists() for folder in FOLDERS)
    return peer if whole and peer.python.exists() and peer.playbook.exists() else None


def versions(peer: Peer) -> dict[str, str]:
    """Return the versions of the collections by name."""
    made = {}
    for folder in FOLDERS:
        info = json.loads((peer.collections / folder / "MANIFEST.json").read_text(encoding="utf-8"))["collection_info"]
        made[f"{info['namespace']}.{info['name']}"] = str(info["version"])
    return made


def build(directory: Path | None = None) -> Peer:
    """Make the environment. Raises Unavailable where the package index does not give what it needs."""
    directory = directory or default_directory()
    made = found(directory)
    if made is not None:
        return made
    shutil.rmtree(directory, ignore_errors=True)
    subprocess.run([sys.executable, "-I", "-m", "venv", str(directory)], check=True)
    python = directory / "bin" / "python"
    pip = [str(python), "-m", "pip", "--quiet", "--disable-pip-version-check"]
    try:
        _command([*pip, "install", "--only-binary", ":all:", *REQUIREMENTS])
        with tempfile.TemporaryDirectory() as scratch:
            _command([*pip, "download", "--no-deps", "--only-binary", ":all:", "--dest", scratch, BUNDLE])
            (wheel,) = Path(scratch).glob("ansible-*.whl")
            with zipfile.ZipFile(wheel) as archive:
                names = [name for name in archive.namelist() if name.startswith(FOLDERS)]
                archive.extractall(directory / "collections", names)
        made = found(directory)
    except Unavailable:
        shutil.rmtree(directory, ignore_errors=True)
        raise
    if made is None:
        raise Unavailable(f"{BUNDLE} does not hold {', '.join(FOLDERS)}")
    return made


def play(
    peer: Peer,
    hosts: Mapping[str, Mapping[str, Any]],
    tasks: Sequence[Mapping[str, Any]],
    *,
    forks: int = 5,
    timeout: float = 300,
) -> dict[str, list[dict[str, Any]]]:
    """Play tasks on hosts and return by host what each module returned. Raises AssertionError with the output when one fails.

    ``hosts`` has variables by name; connection, libssh and, unless a host names its own, network OS are set
    here. A task is ``{"module": "cisco.ios.ios_command", "args":
    {...}}``; one that fails ends nothing, its result says so.
    """
    steps: list[dict[str, Any]] = [
        {"name": str(number), task["module"]: task["args"], "register": f"result_{number}", "ignore_errors": True}
        for number, task in enumerate(tasks)
    ]
    results = [f"{{{{ result_{number} }}}}" for number in range(len(tasks))]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        steps.append(
            {
                "name": "Results",
                "delegate_to": "localhost",
                "ansible.builtin.copy": {
                    "content": "{{ results | to_json }}",
                    "dest": f"{scratch}/{{{{ inventory_hostname }}}}.json",
                },
                "vars": {"results": results, "ansible_connection": "local", "ansible_become": False},
            }
        )
        (folder / "play.yml").write_text(
            json.dumps([{"hosts": "all", "gather_facts": False, "tasks": steps}]), encoding="utf-8"
        )
        environment = _environment(peer, scratch, forks)
        (folder / "inventory.json").write_text(json.dumps(_inventory(peer, hosts)), encoding="utf-8")
        command = [str(peer.playbook), "-i", str(folder / "inventory.json"), str(folder / "play.yml")]
        done = subprocess.run(
            command, env=environment, cwd=scratch, capture_output=True, text=True, timeout=timeout, check=False
        )
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
        return {name: json.loads((folder / f"{name}.json").read_text(encoding="utf-8")) for name in hosts}


def push(
    peer: Peer,
    hosts: Mapping[str, Mapping[str, Any]],
    name: str,
    lines: Sequence[str],
    *,
    module: str,
    forks: int,
    timeout: float = 1500,
) -> dict[str, Any]:
    """Write a new list to all hosts by one task; return wall and CPU seconds of the task alone, and the hosts that failed.

    ``module``: ios_acls or ios_config, with rendered lines. The start of Ansible, measured by the same play without the task, is
    taken off. The daemons that hold the connections are counted.
    """
    if module == "ios_acls":
        acls = [{"afi": "ipv4", "acls": [_structured(name, lines)]}]
        task: dict[str, Any] = {"cisco.ios.ios_acls": {"state": "merged", "config": acls}}
    else:
        task = {
            "cisco.ios.ios_config": {
                "parents": [f"ip access-list extended {name}"],
                "lines": list(lines),
                "match": "exact",
            }
        }
    empty = _timed(peer, hosts, [{"name": "Nothing", "ansible.builtin.debug": {"msg": "x"}}], forks, timeout)
    made = _timed(peer, hosts, [{"name": "Push", **task}], forks, timeout)
    return {
        "hosts": len(hosts),
        "seconds": round(made["seconds"] - empty["seconds"], 2),
        "cpu_seconds": round(made["cpu_seconds"] - empty["cpu_seconds"], 2),
        "daemons_cpu_seconds": round(made["daemons_cpu_seconds"], 2),
        "failed": made["failed"],
        "tail": made["tail"],
    }


def _structured(name: str, lines: Sequence[str]) -> dict[str, Any]:
    """Return the list as ios_acls wants it; only the forms that the measurement writes."""
    aces = []
    for number, line in enumerate(lines, 1):
        words = line.split()
        ace: dict[str, Any] = {
            "sequence": number * 10,
            "grant": words[0],
            "protocol": words[1],
            "source": {"any": True},
            "destination": {"any": True},
        }
        if words[3] == "host":
            ace["destination"] = {"host": words[4], "port_protocol": {"eq": words[6]}}
        aces.append(ace)
    return {"name": name, "acl_type": "extended", "aces": aces}


def _timed(
    peer: Peer,
    hosts: Mapping[str, Mapping[str, Any]],
    tasks: Sequence[Mapping[str, Any]],
    forks: int,
    timeout: float,
) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "inventory.json").write_text(json.dumps(_inventory(peer, hosts)), encoding="utf-8")
        play_of = [{"hosts": "all", "gather_facts": False, "tasks": list(tasks)}]
        (folder / "play.yml").write_text(json.dumps(play_of), encoding="utf-8")
        environment = {**_environment(peer, scratch, forks), "ANSIBLE_PERSISTENT_COMMAND_TIMEOUT": "300"}
        began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [str(peer.playbook), "-i", str(folder / "inventory.json"), str(folder / "play.yml")]
        with _Daemons(scratch) as daemons:
            done = subprocess.run(
                command, env=environment, cwd=scratch, capture_output=True, text=True, timeout=timeout, check=False
            )
        seconds, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    failed = [line.split()[0] for line in done.stdout.splitlines() if re.search(r" (?:failed|unreachable)=[1-9]", line)]
    return {
        "seconds": seconds,
        "cpu_seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime + daemons.seconds,
        "daemons_cpu_seconds": daemons.seconds,
        "failed": failed,
        "tail": done.stdout[-600:] if failed or done.returncode else "",
    }


class _Daemons:
    """CPU seconds of the processes that hold a play's connections: orphans, so they are in nobody's account of children.

    Known by the play's home directory in their environment; looked at twice a second, so a little is missed. Those that are left
    at the end are ended.
    """

    def __init__(self, home: str) -> None:
        self._mark = f"HOME={home}".encode()
        self._by_pid: dict[int, float] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    @property
    def seconds(self) -> float:
        return sum(self._by_pid.values())

    def __enter__(self) -> _Daemons:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended.set()
        self._thread.join(10)
        for pid in self._look():
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGTERM)

    def _watch(self) -> None:
        while not self._ended.wait(0.5):
            self._look()

    def _look(self) -> list[int]:
        """Note the seconds of the orphans that live and return their numbers."""
        found, parents = {}, {}
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if self._mark in (entry / "environ").read_bytes().split(b"\0"):
                    fields = (entry / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
                    found[int(entry.name)] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
                    parents[int(entry.name)] = int(fields[1])
        orphans = [pid for pid, parent in parents.items() if parent not in parents and parent != os.getpid()]
        self._by_pid |= {pid: found[pid] for pid in orphans}
        return orphans


def _inventory(peer: Peer, hosts: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    common = {
        "ansible_connection": "ansible.netcommon.network_cli",
        "ansible_network_os": "cisco.ios.ios",
        "ansible_network_cli_ssh_type": "libssh",
        "ansible_become": True,
        "ansible_become_method": "enable",
        "ansible_python_interpreter": str(peer.python),
    }
    return {"all": {"hosts": {name: {**common, **values} for name, values in hosts.items()}}}


def _environment(peer: Peer, scratch: str, forks: int) -> dict[str, str]:
    return {
        "PATH": f"{peer.python.parent}:{os.environ.get('PATH', os.defpath)}",
        "HOME": scratch,
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_COLLECTIONS_PATH": str(peer.collections),
        "ANSIBLE_JINJA2_NATIVE": "true",
        "ANSIBLE_FORKS": str(forks),
        # libssh looks for known hosts in the account's home directory only; this is loopback.
        "ANSIBLE_HOST_KEY_CHECKING": "false",
        "no_proxy": "*",
    }


if __name__ == "__main__":
    try:
        made_here = build()
        print(made_here.collections, versions(made_here))
    except Unavailable as reason:
        print(reason)
        sys.exit(3)
