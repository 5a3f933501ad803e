# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One session to an NX-OS device: reading our view of its configuration, Session Manager, saving.

Lines go through ``configure session``: nothing is live before ``commit``, ``verify`` asks the hardware, and a commit that fails leaves the
configuration as it was (facts/devices.md section 1.6). Platforms without it get plain configuration lines.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Sequence

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nxos_config import NxosState, read_config
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.spec import TargetSpec
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ssh import (
    ERROR_PATTERN,
    close_session,
    command,
    guarded_call,
    open_session,
)

DEVICE_TYPE = "cisco_nxos"
SESSION = "segwright"
SHOW_SECONDS = 180.0
# A session that says nothing for so long, or for the spec's timeout if that is longer, is taken to be lost.
LINE_SECONDS = 15.0
COMMIT_SECONDS = 180.0
SAVE_SECONDS = 120.0
NXOS_ERROR = ERROR_PATTERN + r"|^\s*(?:ERROR|Error):.*$"
_ROW = re.compile(rf"(?m)^{SESSION}\s+\S+\s+\d")


class NxosSession:
    """A logged-in session. Counts the configuration lines it sends. Not shared between threads.

    ``claim``: the name of the claim that its run holds on the device; ``silent``: it was lost.
    """

    claim, silent = "", False

    def __init__(self, spec: TargetSpec) -> None:
        self.spec = spec
        self.lines = 0
        self._managed: bool | None = None
        self._connection = open_session(spec, DEVICE_TYPE)

    def show(self, text: str, seconds: float = 0.0) -> str:
        """Return a show command's output within so many seconds; FindingError SW4260 where the device does not know it."""
        with self._noting():
            output = command(self._connection, text, self.spec, seconds or SHOW_SECONDS)
        refused = re.search(r"(?m)^\s*(?:% ?|ERROR: )(.*)$", output)
        if refused:
            raise FindingError(codes.CLI_ERROR.at(f"{self.spec.name}: {text}: {refused[1].strip()[:160]}"))
        return output

    def state(self) -> NxosState:
        """Return our view of the running configuration, freshly read; nothing else of it is kept."""
        text = self.show("show running-config")
        if not re.search(r"(?m)^version \S", text) or not re.search(r"(?m)^interface ", text) or "--More--" in text:
            raise FindingError(codes.BAD_ANSWER.at(f"{self.spec.name}: the running configuration is cut off"))
        return read_config(text).beside(self.claim)

    def startup(self) -> NxosState | None:
        """Return our view of the startup configuration; None where the device does not show it."""
        try:
            return read_config(self.show("show startup-config"))
        except FindingError as error:
            if any(finding.code == codes.SESSION_LOST.number for finding in error.findings):
                raise
            return None

    def change(self, lines: Sequence[str]) -> None:
        """Carry out lines about lists and attachments all at once; FindingError SW4421 where nothing of them is live.

        Where the device has no Session Manager they are typed one by one: then lines before the one that is refused are live.
        """
        if self._managed is None:
            self._managed = self.drop_left_behind()
        if not self._managed:
            self.configure(lines)
            return
        self._command(f"configure session {SESSION}")
        self.lines += len(lines)
        try:
            self._type(lines)
            self._expect("verify", r"(?im)^\s*verification successful")
            self._expect("commit", r"(?im)^\s*commit successful")
        except FindingError as error:
            if all(finding.code != codes.SESSION_LOST.number for finding in error.findings):
                self._abort()
                raise FindingError(*error.findings, codes.NXOS_NOT_COMMITTED.at(self.spec.name)) from None
            raise

    def configure(self, lines: Sequence[str]) -> None:
        """Type plain configuration lines; the first that is refused ends it (SW4260) with those before it live."""
        self.lines += len(lines)
        try:
            self._enter()
            self._type(lines)
            self._leave()
        except FindingError as error:
            if any(finding.code == codes.CLI_ERROR.number for finding in error.findings):
                self._leave()
            raise

    def save(self) -> None:
        """Write the running to the startup configuration; FindingError SW4267."""
        try:
            output = self._command("copy running-config startup-config", SAVE_SECONDS)
        except FindingError as error:
            raise FindingError(*error.findings, codes.NOT_SAVED.at(self.spec.name)) from None
        if not re.search(r"(?im)^copy complete", output):
            raise FindingError(codes.NOT_SAVED.at(f"{self.spec.name}: {' '.join(output.split())[:160]}"))

    def peer(self) -> str:
        """Return our own address as this side of the session sees it, or an empty text."""
        return self._address("getsockname")

    def device(self) -> str:
        """Return the device's address of this session, or an empty text."""
        return self._address("getpeername")

    def close(self) -> None:
        """Close the session; never raises."""
        close_session(self._connection)

    def _address(self, end: str) -> str:
        try:
            return str(getattr(self._connection.remote_conn.get_transport().sock, end)()[0])
        except (AttributeError, OSError):
            return ""

    def _command(self, text: str, seconds: float = 0.0) -> str:
        # The mode, and so the prompt, may be another one afterwards.
        prompt = rf"{re.escape(str(self._connection.base_prompt))}(?:\([^)\s]*\))?#\s*$"
        output = self._guarded(
            lambda: str(
                self._connection.send_command(text, expect_string=prompt, read_timeout=seconds or SHOW_SECONDS)
            ),
            text[:60],
        )
        refused = re.search(NXOS_ERROR, output, flags=re.M)
        if refused:
            told = " ".join(output.replace("^", " ").split())
            raise FindingError(codes.CLI_ERROR.at(f"{self.spec.name}: {text}: {told[:200]}"))
        return output

    def _expect(self, text: str, wanted: str) -> None:
        """Type a command of Session Manager; anything but its own words of success counts as failure."""
        output = self._command(text, COMMIT_SECONDS)
        if not re.search(wanted, output):
            raise FindingError(codes.CLI_ERROR.at(f"{self.spec.name}: {text}: {' '.join(output.split())[:200]}"))

    def _enter(self) -> None:
        self._guarded(lambda: str(self._connection.config_mode()), "configure terminal")

    def _leave(self) -> None:
        self._guarded(lambda: str(self._connection.exit_config_mode()), "end")

    def _type(self, lines: Sequence[str]) -> None:
        def send() -> str:
            return str(
                self._connection.send_config_set(
                    list(lines), enter_config_mode=False, exit_config_mode=False, error_pattern=NXOS_ERROR,
                    read_timeout=max(LINE_SECONDS, self.spec.timeout),
                )
            )  # fmt: skip

        self._guarded(send, "configuration")

    def _guarded(self, call: Callable[[], str], what: str) -> str:
        with self._noting():
            return guarded_call(call, self.spec, what)

    @contextlib.contextmanager
    def _noting(self) -> Iterator[None]:
        """Note where the session is lost."""
        try:
            yield
        except FindingError as error:
            self.silent |= any(finding.code == codes.SESSION_LOST.number for finding in error.findings)
            raise

    def _abort(self) -> None:
        """Throw the waiting lines away; a session that somebody else ended is gone already."""
        try:
            if self._guarded(lambda: str(self._connection.find_prompt()), "prompt").rstrip().endswith(")#"):
                self._command("abort")
        except FindingError:
            return

    def left_behind(self) -> bool | None:
        """Return whether a configuration session of ours waits; None where there is no Session Manager."""
        try:
            return bool(_ROW.search(self.show("show configuration session")))
        except FindingError as error:
            if any(finding.code == codes.SESSION_LOST.number for finding in error.findings):
                raise
            return None

    def drop_left_behind(self) -> bool:
        """End a configuration session that a run of ours left behind; return whether there is a Session Manager at all."""
        waiting = self.left_behind()
        if waiting:
            self._command(f"configure session {SESSION}")
            self._command("abort")
        return waiting is not None
