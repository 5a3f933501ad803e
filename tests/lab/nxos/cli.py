# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line of one NX-OS session: prompts, dispatch, messages with the caret, Session Manager."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.lab.iosxe.cli import filtered
from tests.lab.iosxe.grammar import AMBIGUOUS, INCOMPLETE, CliError, SyntaxFault, tokens
from tests.lab.nxos import exec_commands
from tests.lab.nxos.editor import BLOCK, CONFIG, HELP, IN_SESSION, JOB, Editor

if TYPE_CHECKING:
    from tests.lab.nxos.device import Device

Ask = Callable[[str, bool], Awaitable[str | None]]
MAX_SESSIONS, MAX_COMMANDS = 32, 20000
BANNER = "Enter configuration commands, one per line.  End with CNTL/Z.\n"


async def _no_answer(prompt: str, echo: bool) -> str | None:
    return ""


@dataclass
class ConfigSession:
    """Lines that wait for a commit. Outlives the terminal that made it, not a reload."""

    name: str
    number: int
    owner: str
    created: float
    lines: list[str] = field(default_factory=list)


class Cli:
    """One terminal. ask: how to put a question to the person (returns None when the session is gone)."""

    more = "--More--"

    def __init__(
        self, device: Device, user: str, *, privilege: int = 15, ask: Ask = _no_answer, tty: int = 2, peer: str = "127.0.0.1",
    ) -> None:  # fmt: skip
        self.device, self.user, self.tty, self.peer, self.ask = device, user, tty, peer, ask
        self.privilege = privilege
        self.editor: Editor | None = None
        self.session: ConfigSession | None = None
        self.length, self.width = 24, 80
        self.monitor = self.timestamps = False
        self.closed = False
        self.saving = False

    # -- prompt ------------------------------------------------------------------------------------------------------

    @property
    def configuring(self) -> bool:
        return self.editor is not None

    def prompt(self) -> str:
        """Return the prompt, which ends in a blank."""
        mode = f"({self.editor.prompt()})" if self.editor is not None else ""
        return f"{self.device.config.hostname}{mode}# "

    def help(self, typed: str) -> list[str]:
        """Return the words that may follow what is typed."""
        return (HELP if self.configuring else exec_commands.EXEC).help(typed)

    # -- running a line ----------------------------------------------------------------------------------------------

    async def run(self, line: str) -> str:
        """Carry out one line and return what the device prints (lines end in a newline)."""
        self.device.counters.commands += 1
        text = line.rstrip()
        if not text.strip() or text.lstrip().startswith("!"):
            return ""
        strike = next((each for each in self.device.strikes if each.hits(text)), None)
        if strike is None:
            return await self._carry_out(text)
        if strike.kind == "refuse":
            return f"{strike.text}\n"
        if strike.kind == "reload":
            self.device.reload()
            return ""
        if strike.kind == "tcam_full":
            self.device.regions = dict.fromkeys(self.device.regions, 1)
        elif strike.kind == "admin":
            self.device.apply_lines(list(strike.lines))
        elif strike.kind == "abort":
            self.device.config_sessions.clear()
        elif strike.kind == "call" and strike.call is not None:
            strike.call()
        output = "" if strike.kind.endswith("_before") else await self._carry_out(text)
        if strike.kind.startswith("hang"):
            await asyncio.Event().wait()
        self.saving = self.saving or strike.kind.startswith("drop")
        return output

    async def _carry_out(self, text: str) -> str:
        if self.editor is not None:
            first = text.split(maxsplit=1)[0].lower()
            if first in ("show", "sh", "terminal", "copy", "dir", "checkpoint") and self.editor.mode != JOB:
                return await self.execute(text)
            return self.configure(text)
        return await self.execute(text)

    async def execute(self, text: str) -> str:
        """Carry out an exec command."""
        command, bar, pipe = text.partition(" | ")
        try:
            if self.device.faults.unknown(command):
                raise SyntaxFault("invalid", len(command.split()[0]) + 1)
            handler, values = exec_commands.EXEC.match(command.rstrip())
            answer = handler(self, *values)
            if inspect.isawaitable(answer):
                answer = await answer
            out = answer or ""
            return filtered(out, pipe) if bar else out
        except SyntaxFault as fault:
            return self.complaint(text, fault)
        except CliError as error:
            return f"{error}\n"

    def complaint(self, text: str, fault: SyntaxFault) -> str:
        """Return the message for a line that did not parse."""
        word = {AMBIGUOUS: "Ambiguous command", INCOMPLETE: "Incomplete command"}.get(fault.kind, "Invalid command")
        column = (len(self.prompt()) + fault.position) % max(self.width, 1)
        return f"{' ' * column}^\n% {word} at '^' marker.\n"

    # -- configuration -----------------------------------------------------------------------------------------------

    def enter(self) -> str:
        """configure terminal."""
        self.editor = Editor(self.device.config)
        return BANNER

    def enter_session(self, name: str) -> str:
        """configure session NAME: a new one, or the one of this name that waits."""
        device = self.device
        found = device.config_sessions.get(name)
        if found is None:
            if len(device.config_sessions) >= MAX_SESSIONS:
                raise CliError("ERROR: Maximum number of sessions reached")
            device.session_number += 1
            found = ConfigSession(name, device.session_number, self.user, device.clock())
            device.config_sessions[name] = found
        self.session = found
        self.editor = Editor(device.config.copy(), session=True)
        for line in found.lines:
            self._replay(self.editor, line)
        self.editor.mode = CONFIG
        return f"Config Session started, Session ID is {found.number}\n{BANNER}"

    def configure(self, text: str) -> str:
        """Carry out one configuration line: record it, apply it, answer as the device does."""
        device = self.device
        stripped = text.strip()
        assert self.editor is not None
        low = stripped.lower()
        if self.session is not None and device.config_sessions.get(self.session.name) is not self.session:
            self.editor = self.session = None  # somebody ended the session
            return "ERROR: Configuration session does not exist\n"
        if self.session is None and self.editor.config is not device.config:
            mode, target, targets = self.editor.mode, self.editor.target, self.editor.targets
            self.editor = Editor(device.config)
            self.editor.mode, self.editor.target, self.editor.targets = mode, target, targets
        if low in ("exit", "end", "quit") and self.editor.mode != JOB:
            self.leave(all_modes=low == "end")
            return ""
        device.counters.config_lines += 1
        refusal = device.faults.error_for(stripped)
        changed = False
        if refusal is not None:
            output = f"{refusal}\n"
        else:
            try:
                output, changed = self._session_line(stripped) if self.session is not None else self._line(text)
            except SyntaxFault as fault:
                output = self.complaint(text, fault)
            except CliError as error:
                output = f"{error}\n"
        if changed:
            device.counters.config_changes += 1
            device.last_change = (device.clock(), self.user)
        device.counters.records.append(
            {"time": device.clock(), "line": stripped, "user": self.user, "changed": changed, "output": output}
        )
        if changed:
            device.traced(stripped, self.user)
        return output

    def _line(self, text: str) -> tuple[str, bool]:
        assert self.editor is not None
        changed = self.device.edit(self.editor, text)
        return "", changed

    def _session_line(self, text: str) -> tuple[str, bool]:
        assert self.editor is not None and self.session is not None
        device, low = self.device, text.lower()
        if low == "verify":
            device.session_result(self.session.lines)
            return "Verification Successful\n", False
        if low == "commit":
            changed = device.commit(self.session.lines, self.user)
            del device.config_sessions[self.session.name]
            self.editor = self.session = None
            return "Commit Successful\n", changed
        if low == "abort":
            del device.config_sessions[self.session.name]
            self.editor = self.session = None
            return "", False
        if sum(len(each.lines) for each in device.config_sessions.values()) >= MAX_COMMANDS:
            raise CliError("ERROR: Maximum number of commands reached")
        self.editor.apply(text)  # the validation; hardware is asked by verify and commit
        header = self.editor.mode in (*IN_SESSION, BLOCK) and self._is_header(text)
        self.session.lines.append(text if header or self.editor.mode == CONFIG else f" {text}")
        return "", False

    @staticmethod
    def _is_header(text: str) -> bool:
        words = [word.lower() for word, _position in tokens(text)]
        return (
            words[0] in ("object-group", "resequence")
            or words[:2] in (["ip", "access-list"], ["ipv6", "access-list"])
            or words[0].startswith("int")
        )

    @staticmethod
    def _replay(editor: Editor, line: str) -> None:
        if not line.startswith(" "):
            editor.mode = CONFIG
        editor.apply(line.strip())

    def leave(self, *, all_modes: bool) -> None:
        """exit or end; a configuration session goes on waiting."""
        assert self.editor is not None
        if self.editor.mode == CONFIG or all_modes:
            self.editor = self.session = None
            self.device.syslog(
                f"%VSHD-5-VSHD_SYSLOG_CONFIG_I: Configured from vty by {self.user} on {self.peer}@pts/{self.tty}"
            )
        else:
            self.editor.mode = CONFIG
