# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Anonymous network namespaces, each held open by one small process that dies with the lab."""

from __future__ import annotations

import os
import select
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..processes import LabError, ProcessMark, mark, spawn

# The holder prints one line once it lives in its own namespace, then sleeps until it is killed.
_HOLDER = ["/bin/sh", "-c", 'echo ready; exec sleep "$0"', "2147483647"]


def open_network(pid: int) -> int:
    """A descriptor of the network namespace of ``pid``, closed on exec."""
    return os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)


@dataclass
class Namespaces:
    """The lab's namespaces by name; each has a holder process and an open descriptor here."""

    holders: dict[str, ProcessMark] = field(default_factory=dict)
    _descriptors: dict[str, int] = field(default_factory=dict)
    _children: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def create(self, names: list[str], patience: float = 10.0) -> None:
        """Make the namespaces; raises LabError when the kernel does not permit it."""
        waiting: dict[str, subprocess.Popen[bytes]] = {}
        try:
            for name in names:
                waiting[name] = spawn(_HOLDER, new_namespace=True, stdout=subprocess.PIPE)
                self._children.append(waiting[name])
        except (OSError, subprocess.SubprocessError) as error:
            self.close()
            raise LabError(f"cannot make network namespaces: {error}") from error
        deadline = time.monotonic() + patience
        for name, child in waiting.items():
            assert child.stdout is not None
            ready, _, _ = select.select([child.stdout], [], [], max(0.0, deadline - time.monotonic()))
            if not ready or child.stdout.readline().strip() != b"ready":
                self.close()
                raise LabError(f"namespace {name} did not come up")
            child.stdout.close()
            self.holders[name] = mark(f"ns:{name}", child.pid)
            self._descriptors[name] = open_network(child.pid)

    @classmethod
    def attach(cls, state: Mapping[str, Any]) -> Namespaces:
        """Open the namespaces of a lab that another process runs, from its ``state.json``; raises LabError."""
        found = cls()
        for name, each in state["namespaces"].items():
            holder = ProcessMark(f"ns:{name}", int(each["pid"]), int(each["started"]))
            if not holder.alive():
                found.close()
                raise LabError(f"the lab's namespace {name} is gone; is the lab running?")
            found.holders[name] = holder
            found._descriptors[name] = open_network(holder.pid)
        return found

    def descriptor(self, name: str) -> int:
        """Open descriptor of a namespace; raises LabError for an unknown name."""
        try:
            return self._descriptors[name]
        except KeyError:
            raise LabError(
                f"the lab has no namespace {name!r}; it has {', '.join(sorted(self._descriptors))}"
            ) from None

    def names(self) -> list[str]:
        return list(self._descriptors)

    def as_dict(self) -> dict[str, Any]:
        return {name: {"pid": each.pid, "started": each.started} for name, each in self.holders.items()}

    def run(
        self, name: str, arguments: list[str], *, stdin: str | None = None, timeout: float = 20.0, check: bool = True
    ) -> str:
        """Run a command inside a namespace and return its output; raises LabError on a non-zero end."""
        child = spawn(
            arguments,
            namespace=self.descriptor(name),
            stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            out, _ = child.communicate(stdin.encode() if stdin is not None else None, timeout=timeout)
        except subprocess.TimeoutExpired as error:
            child.kill()
            child.wait()
            raise LabError(f"in namespace {name}: {arguments[0]} did not end within {timeout} s") from error
        text = out.decode(errors="replace")
        if check and child.returncode != 0:
            raise LabError(f"in namespace {name}: {' '.join(arguments)} ended with {child.returncode}: {text.strip()}")
        return text

    def close(self) -> None:
        """End the holders started here and close every descriptor; the namespaces vanish with their last process."""
        for child in self._children:
            if child.poll() is None:
                child.kill()
        for child in self._children:
            child.wait()
            if child.stdout is not None:
                child.stdout.close()
        for descriptor in self._descriptors.values():
            os.close(descriptor)
        self._children.clear()
        self._descriptors.clear()
        self.holders.clear()


def write_sysctl(path: str, value: str) -> None:
    """Set a ``/proc/sys/net`` value of the calling thread's namespace."""
    Path("/proc/sys/net", path).write_text(value, encoding="ascii")
