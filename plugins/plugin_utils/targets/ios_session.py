# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One session to an IOS-XE device: reading our view of its configuration, typing lines, saving."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_config import IosState, read_config
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_terminal import Terminal
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.spec import TargetSpec
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ssh import close_session, open_session

DEVICE_TYPE = "cisco_xe"
SHOW_SECONDS = 180.0
# A session that says nothing for so long, or for the spec's timeout if that is longer, is taken to be lost.
LINE_SECONDS = 15.0
SAVE_SECONDS = 90.0
ENABLE_SECONDS = 10.0
# Lines that open a mode of their own: what follows is sent only after their prompt has shown that they did.
_OPENS = {
    "interface ": "config-if",
    "ip access-list extended ": "config-ext-nacl",
    "ipv6 access-list ": "config-ipv6-acl",
    "event manager applet ": "config-applet",
}


class IosSession:
    """A logged-in session, in enable mode unless told otherwise. Counts the configuration lines it sends. Not shared between threads."""

    def __init__(self, spec: TargetSpec, *, privileged: bool = True) -> None:
        """Log in. ``privileged``: also enter enable mode, with the secret of the spec."""
        self.spec = spec
        self.lines = 0
        self.opened = set[str]()  # lines sent that open a mode of their own: an interface, a list, an applet
        self._connection = open_session(spec, DEVICE_TYPE, prepare=False)
        try:
            self._terminal = Terminal(self._connection.remote_conn, spec.name, window=max(1, spec.block_lines))
            self._terminal.begin(max(spec.timeout, ENABLE_SECONDS))
            if privileged:
                self._enable()
        except BaseException:
            close_session(self._connection)
            raise

    def _enable(self) -> None:
        """Enter enable mode with one attempt; FindingError SW4207 where the secret is refused."""
        if self._terminal.level == "#":
            return
        asked = re.compile(r"(?i)password: ?\Z|[#>] ?\Z")
        try:
            answer = self._terminal.ask("enable", ENABLE_SECONDS, asked)
            if re.search(r"(?i)password", answer):
                answer = self._terminal.secret(
                    self.spec.enable_password,
                    ENABLE_SECONDS,
                    re.compile(r"(?i)password: ?\Z|bad secrets|denied|[#>] ?\Z"),
                )
        except FindingError:
            raise FindingError(codes.NO_ANSWER.at(f"{self.spec.name}: no answer to enable")) from None
        if not answer.rstrip().endswith("#"):
            raise FindingError(codes.ENABLE_REFUSED.at(self.spec.name))
        self._terminal.level = "#"

    @property
    def configuring(self) -> bool:
        """Return whether the session is in configuration mode."""
        return bool(self._terminal.mode)

    def show(self, text: str, seconds: float = 0.0) -> str:
        """Return a show command's output; FindingError SW4260 where the device does not know it. ``seconds`` of silence end it."""
        output = self._terminal.ask(f"do {text}" if self.configuring else text, seconds or SHOW_SECONDS)
        refused = re.search(r"(?m)^\s*% ?(?![A-Z0-9_-]+-[0-7]-[A-Z0-9_]+:)(.*)$", output[:600])
        if refused:
            raise FindingError(codes.CLI_ERROR.at(f"{self.spec.name}: {text}: {refused[1].strip()[:160]}"))
        return output

    @property
    def silent(self) -> bool:
        """Return whether the session gave no answer before: it is not worth waiting for."""
        return self._terminal.silent

    def state(self, seconds: float = 0.0) -> IosState:
        """Return our view of the running configuration, freshly read; nothing else of it is kept."""
        text = self.show("show running-config", seconds)
        if not re.search(r"(?m)^end\s*$", text[-400:]):
            raise FindingError(codes.BAD_ANSWER.at(f"{self.spec.name}: the running configuration is cut off"))
        return read_config(text)

    def startup(self, seconds: float = 0.0) -> IosState | None:
        """Return our view of the configuration that a reload would bring; None where it cannot be read whole."""
        try:
            text = self.show("show startup-config", seconds)
        except FindingError as error:
            if any(finding.code == codes.SESSION_LOST.number for finding in error.findings):
                raise
            return None
        return read_config(text) if re.search(r"(?m)^end\s*$", text[-400:]) else None

    def enter(self, command: str = "configure terminal") -> None:
        """Enter configuration mode; FindingError SW4404 where somebody else has locked it."""
        if self.configuring:
            return
        output = self._terminal.ask(command, self.patience())
        if not self.configuring:
            told = " ".join(output.split())[:200]
            code = codes.CONFIG_LOCKED if re.search(r"(?i)lock", told) else codes.CLI_ERROR
            raise FindingError(code.at(f"{self.spec.name}: {command}: {told}"))

    def leave(self) -> None:
        """Leave configuration mode."""
        if self.configuring:
            self._terminal.ask("end", self.patience())

    def type(self, lines: Sequence[str]) -> None:
        """Type configuration lines in configuration mode; the first line that is refused ends it (SW4260).

        A line that opens a mode (an interface, a list) must have opened it before anything that belongs there is sent: else
        the attachment of a refused interface would land on the one before.
        """
        self.lines += len(lines)
        batch: list[str] = []
        for line in lines:
            batch.append(line)
            wanted = next((mode for start, mode in _OPENS.items() if line.startswith(start)), "")
            if wanted:
                self.opened.add(line)
                self._type(batch, wanted)
                batch = []
        if batch:
            self._type(batch, "")

    def _type(self, lines: Sequence[str], wanted: str) -> None:
        answers = self._terminal.type(lines, self.patience())
        if wanted and answers[-1].mode != wanted:
            raise FindingError(
                codes.CLI_ERROR.at(f"{self.spec.name}: {lines[-1]}: the device is in {answers[-1].mode or 'exec'} mode")
            )

    def configure(self, lines: Sequence[str]) -> None:
        """Type configuration lines and leave configuration mode; the first line that is refused ends it (SW4260).

        Lines before it are in the configuration then: the caller must know that they do no harm.
        """
        self.enter()
        try:
            self.type(lines)
        except FindingError as error:
            if any(finding.code == codes.CLI_ERROR.number for finding in error.findings):
                self.leave()
            raise
        self.leave()

    def command(self, text: str, seconds: float = 0.0) -> str:
        """Return what an exec command prints, whatever it is."""
        return self._terminal.ask(text, seconds or self.patience())

    def save(self) -> None:
        """Write the running to the startup configuration; FindingError SW4267."""
        try:
            output = self._terminal.ask("write memory", SAVE_SECONDS)
        except FindingError as error:
            raise FindingError(*error.findings, codes.NOT_SAVED.at(self.spec.name)) from None
        if "[OK]" not in output:
            raise FindingError(codes.NOT_SAVED.at(f"{self.spec.name}: {' '.join(output.split())[:160]}"))

    def patience(self) -> float:
        """Return the seconds of silence after which a session is taken to be lost."""
        return max(LINE_SECONDS, self.spec.timeout)

    def peer(self) -> str:
        """Return our own address as the device's side of this session sees it, or an empty text."""
        try:
            return str(self._connection.remote_conn.get_transport().sock.getsockname()[0])
        except (AttributeError, OSError):
            return ""

    def device(self) -> str:
        """Return the device's address of this session."""
        try:
            return str(self._connection.remote_conn.get_transport().sock.getpeername()[0])
        except (AttributeError, OSError):
            return ""

    def close(self) -> None:
        """Close the session; never raises."""
        close_session(self._connection)
