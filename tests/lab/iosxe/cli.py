# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line of one session: mode, prompt, dispatch, error messages with the caret, output filters."""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from tests.lab.iosxe import acl_commands, config_commands, cts_commands, exec_commands, interface_commands, modes
from tests.lab.iosxe.config_model import Config
from tests.lab.iosxe.grammar import AMBIGUOUS, INCOMPLETE, CliError, SyntaxFault, pick, tokens
from tests.lab.iosxe.show import register_all

if TYPE_CHECKING:
    from tests.lab.iosxe.device import Device

register_all()
COMMAND_MODULES = (
    acl_commands,
    config_commands,
    cts_commands,
    exec_commands,
    interface_commands,
)  # importing them adds their commands

Ask = Callable[[str, bool], Awaitable[str | None]]


async def _no_answer(prompt: str, echo: bool) -> str | None:
    return ""


class Cli:
    """One terminal. ask: how to put a question to the person (returns None when the session is gone)."""

    more = " --More-- "  # printed where a page ends

    def __init__(
        self,
        device: Device,
        user: str,
        *,
        privilege: int = 1,
        ask: Ask = _no_answer,
        tty: int = 2,
        peer: str = "127.0.0.1",
    ) -> None:
        self.device, self.user, self.tty, self.peer, self.ask = device, user, tty, peer, ask
        self.privilege = privilege
        self.mode = modes.EXEC if privilege == 15 else modes.USER
        self.config: Config = device.config
        self.target: Any = None  # what a sub-mode edits
        self.length, self.width = 24, 80
        self.monitor = self.timestamps = False
        self.closed = False
        self.saving = False  # set by the session for the fault drop_before_write

    # -- prompt ------------------------------------------------------------------------------------------------------

    @property
    def configuring(self) -> bool:
        return self.mode not in (modes.USER, modes.EXEC)

    def prompt(self) -> str:
        """Return the prompt; the host name is cut at 20 characters in configuration modes."""
        name = self.device.config.hostname
        if self.mode == modes.USER:
            return f"{name}>"
        if self.mode == modes.EXEC:
            return f"{name}#"
        return f"{name[:20]}({self.mode_word()})#"

    def mode_word(self) -> str:
        """Return what stands in the parentheses of a configuration prompt."""
        if self.mode == modes.BLOCK:
            return modes.block_prompt(self.target) or "config"
        if self.mode == modes.INTERFACE and len(self.target) > 1:
            return "config-if-range"
        return self.mode

    def help(self, typed: str) -> list[str]:
        """Return the words that may follow what is typed."""
        return modes.GRAMMARS[self.mode if self.mode in modes.GRAMMARS else modes.CONFIG].help(typed)

    # -- running a line ----------------------------------------------------------------------------------------------

    async def run(self, line: str) -> str:
        """Carry out one line and return what the device prints (lines end in a newline)."""
        self.device.counters.commands += 1
        text = line.rstrip()
        if not text.strip() or text.lstrip().startswith("!"):
            return ""
        if self.configuring:
            words = tokens(text)
            if words[0][0].lower() == "do" and len(words) > 1:
                return await self.execute(text, words[1][1])
            return self.configure(text)
        return await self.execute(text, 0)

    async def execute(self, text: str, start: int) -> str:
        """Carry out an exec command that begins at an offset of the line."""
        command, bar, pipe = text[start:].partition(" | ") if " | " in text[start:] else (text[start:], "", "")
        grammar = modes.GRAMMARS[modes.EXEC if self.privilege == 15 else modes.USER]
        try:
            if self.device.faults.unknown(command):
                raise SyntaxFault("invalid", len(command.split()[0]) + 1)
            handler, values = grammar.match(command.rstrip())
            answer = handler(self, *values)
            if inspect.isawaitable(answer):
                answer = await answer
        except SyntaxFault as fault:
            return self.complaint(text, fault, start)
        except CliError as error:
            return f"{error}\n"
        out = answer or ""
        if bar:
            try:
                out = filtered(out, pipe)
            except SyntaxFault as fault:
                return self.complaint(text, fault, start + len(command) + 3)
        if self.timestamps and command.split()[0].lower().startswith("sh"):
            load = "Load for five secs: 2%/0%; one minute: 3%; five minutes: 3%"
            clock = self.device.stamp()
            out = f"{load}\nTime source is NTP, {clock[:8]}.000 {clock[9:]}\n\n{out}"
        return out

    def complaint(self, text: str, fault: SyntaxFault, start: int = 0) -> str:
        """Return the message for a line that did not parse."""
        if fault.kind == AMBIGUOUS:
            return f'% Ambiguous command:  "{text.strip()}"\n'
        if fault.kind == INCOMPLETE:
            return "% Incomplete command.\n\n"
        words = tokens(text)
        if not self.configuring and fault.position == 0 and start == 0 and len(words) == 1:
            return (
                "% Bad IP address or host name\n"
                "% Unknown command or computer name, or unable to find computer address\n"
            )
        column = (len(self.prompt()) + start + fault.position) % max(self.width, 1)
        return f"{' ' * column}^\n% Invalid input detected at '^' marker.\n\n"

    # -- configuration -----------------------------------------------------------------------------------------------

    def configure(self, text: str) -> str:
        """Carry out one configuration line: record it, apply it, answer as the device does."""
        device = self.device
        stripped = text.strip()
        if self.config is not device.config:  # rolled back or reloaded under our feet
            self.config, self.mode, self.target = device.config, modes.CONFIG, None
        if stripped.lower() in ("exit", "end", "quit"):
            self.leave(all_modes=stripped.lower() == "end")
            return ""
        device.counters.config_lines += 1
        refusal = device.faults.error_for(stripped)
        output, changed = (f"{refusal}\n", False) if refusal is not None else self._configure(text)
        if not output:
            device.last_change = (device.clock(), self.user)
        if changed:
            device.counters.config_changes += 1
            device.changed()
        device.counters.records.append(
            {"time": device.clock(), "line": stripped, "user": self.user, "changed": changed, "output": output}
        )
        if device.probes and changed:
            from tests.lab.iosxe.verdicts import trace_line

            trace_line(device, stripped, self.user)
        return output

    def _configure(self, text: str) -> tuple[str, bool]:
        try:
            return "", bool(self.apply(text))
        except SyntaxFault as fault:
            return self.complaint(text, fault), False
        except CliError as error:
            return f"{error}\n", False

    def apply(self, text: str) -> bool | None:
        """Change the configuration by one line: first in the sub-mode, then as a global command, as IOS does."""
        fault: SyntaxFault | None = None
        if self.mode != modes.CONFIG:
            try:
                return self._apply_in(self.mode, text)
            except SyntaxFault as caught:
                fault = caught
                if fault.kind != "invalid":
                    raise
        try:
            handler, values = modes.GRAMMARS[modes.CONFIG].match(text)
        except SyntaxFault as caught:
            if fault is None and caught.kind != "invalid":
                raise
            kept = config_commands.keep_global(self, text)
            if kept is not None:
                return kept
            raise fault if fault is not None and fault.position >= caught.position else caught from None
        self.mode, self.target = modes.CONFIG, None
        result: bool | None = handler(self, *values)
        return result

    def _apply_in(self, mode: str, text: str) -> bool | None:
        if mode == modes.BLOCK:
            return config_commands.keep_in_block(self, text)
        if mode in acl_commands.MODE_KINDS:
            return acl_commands.entry_line(self, text)
        try:
            handler, values = modes.GRAMMARS[mode].match(text)
        except SyntaxFault as fault:
            kept = interface_commands.keep_line(self, text) if fault.kind == "invalid" else None
            if kept is None:
                raise
            return kept
        result: bool | None = handler(self, *values)
        return result

    def leave(self, *, all_modes: bool) -> None:
        """exit or end."""
        if self.mode == modes.CONFIG or all_modes:
            self.mode, self.target = modes.EXEC, None
            if self.device.lock_owner is self:
                self.device.lock_owner = None
            self.device.syslog(
                f"%SYS-5-CONFIG_I: Configured from console by {self.user} on vty{self.tty - 2} ({self.peer})"
            )
        else:
            self.mode, self.target = modes.CONFIG, None


def read_config(device: Device, config: Config, text: str) -> None:
    """Apply a configuration text to a fresh configuration; raises ValueError on a line that is not taken."""
    reader = Cli.__new__(Cli)
    reader.device, reader.user, reader.privilege = device, "config", 15
    reader.config, reader.mode, reader.target, reader.width = config, modes.CONFIG, None, 511
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("!") or stripped == "end":
            continue
        try:
            if line.startswith(" ") and reader.mode != modes.CONFIG:
                # The file's indentation says whose line it is; the typed line has one blank in front.
                reader._apply_in(reader.mode, line[1:])
            else:
                reader.mode, reader.target = modes.CONFIG, None
                reader.apply(stripped)
        except (SyntaxFault, CliError) as error:
            raise ValueError(f"{device.spec.hostname}: configuration line {number}: {line!r}: {error}") from None


def filtered(output: str, pipe: str) -> str:
    """Return the output after "| include X" and its like; raises SyntaxFault on a filter that does not exist."""
    words = tokens(pipe)
    if not words:
        raise SyntaxFault(INCOMPLETE, 0)
    try:
        name = pick(words[0][0], ("begin", "count", "exclude", "include", "section"))
    except ValueError:
        raise SyntaxFault(AMBIGUOUS, 0) from None
    if name is None:
        raise SyntaxFault("invalid", 0)
    if len(words) < 2:
        raise SyntaxFault(INCOMPLETE, len(pipe))
    wanted = pipe[words[1][1] :].rstrip()
    if wanted.startswith("^ ") or name != "section":
        wanted = wanted.strip()
    try:
        pattern = re.compile(wanted)
    except re.error:
        raise SyntaxFault("invalid", words[1][1]) from None
    lines = output.splitlines()
    if name == "include":
        lines = [line for line in lines if pattern.search(line)]
    elif name == "exclude":
        lines = [line for line in lines if not pattern.search(line)]
    elif name == "count":
        return f"Number of lines which match regexp = {sum(bool(pattern.search(line)) for line in lines)}\n"
    elif name == "begin":
        at = next((i for i, line in enumerate(lines) if pattern.search(line)), len(lines))
        lines = lines[at:]
    else:
        lines = _section(lines, pattern)
    return "".join(f"{line}\n" for line in lines)


def _section(lines: list[str], pattern: re.Pattern[str]) -> list[str]:
    found, depth = [], -1
    for line in lines:
        indent = len(line) - len(line.lstrip(" "))
        if depth >= 0 and indent > depth:
            found.append(line)
        elif pattern.search(line):
            found.append(line)
            depth = indent
        else:
            depth = -1
    return found
