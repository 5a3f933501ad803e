# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A session to a Linux firewall: commands with their exit status, files by way of standard input, never through a terminal."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.redact import redact_text
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.spec import TargetSpec
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ssh import (
    close_session,
    guarded_call,
    open_session,
)

DEVICE_TYPE = "linux"
SECONDS = 60.0
OUTPUT_LIMIT = 64 * 1024 * 1024


@dataclass(frozen=True)
class Done:
    """A finished command: exit status and texts."""

    status: int
    output: str
    error: str

    @property
    def ok(self) -> bool:
        """Return whether the command succeeded."""
        return self.status == 0


class LinuxSession:
    """A logged-in session. Commands run outside the terminal that netmiko opens, so nothing is echoed, wrapped or cut."""

    def __init__(self, spec: TargetSpec) -> None:
        self.spec = spec
        self._connection = open_session(spec, DEVICE_TYPE)
        self._prefix: tuple[str, ...] = ()
        if self.run("id", "-u").output.strip() != "0":
            self._prefix = ("sudo", "-n")

    def run(self, *words: str, stdin: str = "", root: bool = False, seconds: float = SECONDS) -> Done:
        """Run one command given as words and return what it did; FindingError SW4261 where the session is lost."""
        line = shlex.join([*(self._prefix if root else ()), *words])
        done: list[Done] = []

        def call() -> str:
            client: Any = self._connection.remote_conn_pre
            into, out, error = client.exec_command(line, timeout=seconds)
            if stdin:
                into.write(stdin)
            into.channel.shutdown_write()
            output = out.read(OUTPUT_LIMIT).decode("utf-8", "replace")
            text = error.read(65536).decode("utf-8", "replace")
            done.append(Done(int(out.channel.recv_exit_status()), output, text))
            return ""

        guarded_call(call, self.spec, words[0])
        return done[0]

    def shell(
        self, script: str, *arguments: str, root: bool = False, stdin: str = "", seconds: float = SECONDS
    ) -> Done:
        """Run a fixed script of ours; what varies is handed over as arguments, never put into the script."""
        return self.run("sh", "-c", script, "sh", *arguments, root=root, stdin=stdin, seconds=seconds)

    def must(self, done: Done, what: str) -> str:
        """Return the output of a command that has to succeed; FindingError SW4280 or SW4281 otherwise."""
        if done.ok:
            return done.output
        text = redact_text(" ".join(done.error.split()), self.spec.secrets)[:400]
        lowered = text.lower()
        denied = (
            "operation not permitted" in lowered or "a password is required" in lowered or "must be root" in lowered
        )
        code = codes.NFT_NOT_ROOT if denied else codes.NFT_REFUSED
        raise FindingError(code.at(f"{self.spec.name}: {what}: {text or f'exit status {done.status}'}"))

    def close(self) -> None:
        """Close the session; never raises."""
        close_session(self._connection)
