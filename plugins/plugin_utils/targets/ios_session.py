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
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.spec import TargetSpec
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ssh import (
    ERROR_PATTERN,
    close_session,
    command,
    enable,
    guarded_call,
    open_session,
)

DEVICE_TYPE = "cisco_xe"
SHOW_SECONDS = 180.0
# A session that says nothing for so long, or for the spec's timeout if that is longer, is taken to be lost.
LINE_SECONDS = 15.0
SAVE_SECONDS = 90.0


class IosSession:
    """A logged-in session in enable mode. Counts the configuration lines it sends. Not shared between threads."""

    def __init__(self, spec: TargetSpec) -> None:
        self.spec = spec
        self.lines = 0
        self._connection = open_session(spec, DEVICE_TYPE)
        enable(self._connection, spec)

    def show(self, text: str, seconds: float = SHOW_SECONDS) -> str:
        """Return a show command's output; FindingError SW4260 where the device does not know it."""
        output = command(self._connection, text, self.spec, seconds)
        refused = re.search(r"(?m)^\s*% ?(.*)$", output)
        if refused:
            raise FindingError(codes.CLI_ERROR.at(f"{self.spec.name}: {text}: {refused[1].strip()[:160]}"))
        return output

    def state(self) -> IosState:
        """Return our view of the running configuration, freshly read; nothing else of it is kept."""
        text = self.show("show running-config")
        if not re.search(r"(?m)^end\s*$", text):
            raise FindingError(codes.BAD_ANSWER.at(f"{self.spec.name}: the running configuration is cut off"))
        return read_config(text)

    def configure(self, lines: Sequence[str]) -> None:
        """Type configuration lines and leave configuration mode; the first line that is refused ends it (SW4260).

        Lines before it are in the configuration then: the caller must know that they do no harm.
        """
        self.lines += len(lines)

        def send() -> str:
            return str(
                self._connection.send_config_set(
                    list(lines), error_pattern=ERROR_PATTERN, read_timeout=max(LINE_SECONDS, self.spec.timeout)
                )
            )

        try:
            guarded_call(send, self.spec, "configuration")
        except FindingError as error:
            if any(finding.code == codes.CLI_ERROR.number for finding in error.findings):
                guarded_call(lambda: str(self._connection.exit_config_mode()), self.spec, "end")
            raise

    def save(self) -> None:
        """Write the running to the startup configuration; FindingError SW4267."""
        try:
            output = guarded_call(
                lambda: str(self._connection.send_command("write memory", read_timeout=SAVE_SECONDS)),
                self.spec,
                "write memory",
            )
        except FindingError as error:
            raise FindingError(*error.findings, codes.NOT_SAVED.at(self.spec.name)) from None
        if "[OK]" not in output:
            raise FindingError(codes.NOT_SAVED.at(f"{self.spec.name}: {' '.join(output.split())[:160]}"))

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
