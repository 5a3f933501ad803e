# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One session to an ASA: reading, typing lines, editing in a configuration session, saving.

netmiko's own driver for ASA writes a setting (``terminal width 511``) at each login and tries ``login`` ten times where there is no
enable password (its source, 4.8); both are out of the question here. So this driver changes nothing, and a line is taken as done when
the prompt is back at the beginning of a line, however its echo was folded (facts/devices.md section 5.4: width 80, ``$``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.asa_config import (
    AsaState,
    our_lines,
    read_asa_config,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_config import PREFIX
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.spec import TargetSpec
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ssh import (
    close_session,
    enable,
    guarded_call,
    netmiko,
    open_session,
)

SHOW_SECONDS = 180.0
LINE_SECONDS = 15.0
COMMIT_SECONDS = 180.0
SAVE_SECONDS = 90.0
EDIT = "SW_segwright"  # our configuration session
_REFUSED = re.compile(r"(?m)^\s*(?:ERROR:|%(?![A-Z0-9_-]+-[0-7]-[A-Z0-9_]+:))\s*(.*)$")
_STANDBY = "Replication is NOT performed"


def _driver(**arguments: Any) -> Any:
    """Return a netmiko connection that does nothing at login but find the prompt."""
    arguments.pop("device_type")

    class _Asa(netmiko.cisco.CiscoAsaSSH):  # type: ignore[misc]
        def session_preparation(self) -> None:
            self._test_channel_read(pattern=r"[>#]")
            self.set_base_prompt()

    return _Asa(device_type="cisco_asa", **arguments)


class AsaSession:
    """A logged-in session in privileged mode. Counts the configuration lines it sends. Not shared between threads."""

    def __init__(self, spec: TargetSpec) -> None:
        self.spec = spec
        self.lines = 0
        self._connection = open_session(spec, "cisco_asa", _driver)
        try:
            name = str(self._connection.base_prompt).split("/", maxsplit=1)[0]
            self._host = re.escape(name[:16])
            self._prompt = rf"\n\r?{self._host}[^\s#>()]*(?:\([^)\n]*\))?[#>] ?$"
            enable(self._connection, spec)
            self._run("terminal pager 0", LINE_SECONDS)
        except BaseException:
            self.close()
            raise

    # -- one line

    def _run(self, text: str, seconds: float) -> str:
        """Return what a line prints, echo and prompt removed; FindingError SW4261 where the session is lost or silent."""

        def call() -> str:
            self._connection.write_channel(self._connection.normalize_cmd(text))
            return str(
                self._connection.read_until_pattern(pattern=self._prompt, read_timeout=max(seconds, self.spec.timeout))
            )

        raw = guarded_call(call, self.spec, text[:60])
        return raw.partition("\n")[2].rpartition("\n")[0]

    def show(self, text: str, seconds: float = 0.0) -> str:
        """Return a show command's output; FindingError SW4260 where the device does not know it."""
        output = self._run(text, seconds or SHOW_SECONDS)
        refused = re.search(r"(?m)^\s*ERROR: (.*)$", output)
        if refused:
            raise FindingError(codes.CLI_ERROR.at(f"{self.spec.name}: {text}: {refused[1].strip()[:160]}"))
        return output

    def state(self) -> AsaState:
        """Return our view of the running configuration, freshly read; nothing else of it is kept."""
        text = self.show("show running-config")
        if not re.search(r"(?m)^: end\s*$", text):
            raise FindingError(codes.BAD_ANSWER.at(f"{self.spec.name}: the running configuration is cut off"))
        return read_asa_config(text)

    def saved(self, state: AsaState) -> bool:
        """Return whether the startup configuration has the same lines of ours as the running one."""
        text = self.show(f"show startup-config | include {PREFIX}")
        return our_lines(read_asa_config(text)) == our_lines(state)

    # -- configuration

    def _line(self, text: str, seconds: float = 0.0) -> str:
        self.lines += 1
        output = self._run(text, seconds or LINE_SECONDS)
        refused = _REFUSED.search(output)
        if refused:
            raise FindingError(codes.CLI_ERROR.at(f"{self.spec.name}: {text[:160]}: {refused[1].strip()[:160]}"))
        return output

    def _leave(self, word: str) -> None:
        """Leave a mode after a refusal; a session that is lost meanwhile is told by whoever uses it next."""
        try:
            self._run(word, LINE_SECONDS)
        except FindingError:
            return

    def configure(self, lines: Sequence[str]) -> None:
        """Type configuration lines and leave the mode; the first line that is refused ends it (SW4260).

        Lines before it are in the configuration then: the caller must know that they do no harm.
        """
        if _STANDBY in self._run("configure terminal", LINE_SECONDS):
            self._leave("end")
            raise FindingError(codes.ASA_STANDBY.at(self.spec.name))
        try:
            for line in lines:
                self._line(line)
        except FindingError as error:
            if any(finding.code == codes.CLI_ERROR.number for finding in error.findings):
                self._leave("end")
            raise
        self._run("end", LINE_SECONDS)

    def edit(self, lines: Sequence[str]) -> bool:
        """Type lines in a configuration session and commit them, all or none; False where this ASA has no such sessions, or no room.

        A session of ours that an earlier run left is removed first. FindingError SW4260 with nothing changed.
        """
        if f"config-session {EDIT} " in (self.edits() or "") + " ":
            self._run(f"clear configuration session {EDIT}", LINE_SECONDS)
        if _REFUSED.search(self._run(f"configure session {EDIT}", LINE_SECONDS)):
            return False
        try:
            for line in lines:
                self._line(line)
            self._line("commit noconfirm", COMMIT_SECONDS)
        except FindingError as error:
            if any(finding.code == codes.CLI_ERROR.number for finding in error.findings):
                self._leave("abort")
            raise
        return True

    def edits(self) -> str | None:
        """Return the configuration sessions that wait for a commit as the ASA lists them; None where it has no such sessions."""
        listed = self._run("show configuration session", LINE_SECONDS)
        return None if _REFUSED.search(listed) else listed

    def forget_edit(self) -> None:
        """Remove a configuration session of ours that waits for a commit."""
        if EDIT in (self.edits() or ""):
            self._run(f"clear configuration session {EDIT}", LINE_SECONDS)

    def context(self) -> str:
        """Return the name of the context of this session, from its prompt; "" in the system execution space and in single mode."""
        found = re.search(rf"{self._host}[^\s#>()/]*/([^\s#>()/]+)[^\s#>()]*[#>]", str(self._connection.find_prompt()))
        return found[1] if found else ""

    def clear(self, text: str) -> str:
        """Carry out a ``clear`` command that is no configuration and return what it prints."""
        return self.show(text, LINE_SECONDS)

    def save(self) -> None:
        """Write the running to the startup configuration; FindingError SW4267."""
        try:
            output = self._run("write memory", SAVE_SECONDS)
        except FindingError as error:
            raise FindingError(*error.findings, codes.NOT_SAVED.at(self.spec.name)) from None
        if "[OK]" not in output:
            raise FindingError(codes.NOT_SAVED.at(f"{self.spec.name}: {' '.join(output.split())[:160]}"))

    def close(self) -> None:
        """Close the session; never raises."""
        close_session(self._connection)
