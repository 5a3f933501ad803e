# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line of one session: modes, prompts, dispatch, the device's complaints."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from tests.lab.asa import exec_commands, show
from tests.lab.asa.config import Applet, Group, Interface, Object, Refused, Wrong
from tests.lab.asa.device import ConfigSession
from tests.lab.asa.modes import GRAMMARS
from tests.lab.iosxe.cli import filtered
from tests.lab.iosxe.grammar import AMBIGUOUS, INCOMPLETE, CliError, SyntaxFault, tokens

if TYPE_CHECKING:
    from tests.lab.asa.config import AsaConfig
    from tests.lab.asa.device import AsaDevice

COMMAND_MODULES = (exec_commands, show)  # importing them adds their commands
USER, EXEC, CONFIG = "user", "exec", "config"
STANDBY = (
    "**** WARNING ****\n\tConfiguration Replication is NOT performed from Standby unit to Active unit.\n"
    "\tConfigurations are no longer synchronized.\n"
)


async def _no_answer(prompt: str, echo: bool) -> str | None:
    return ""


class AsaCli:
    """One terminal; the shape is that of tests.lab.iosxe.cli.Cli, which the SSH side knows."""

    more = "<--- More --->"

    def __init__(
        self,
        device: AsaDevice,
        user: str,
        *,
        privilege: int = 1,
        ask: Any = _no_answer,
        tty: int = 2,
        peer: str = "127.0.0.1",
    ) -> None:
        self.device, self.user, self.tty, self.peer, self.ask = device, user, tty, peer, ask
        self.privilege = privilege
        self.mode = EXEC if privilege == 15 else USER
        self.config_session: ConfigSession | None = None
        self.target: Interface | Object | Group | Applet | None = None  # whose lines come next
        self.length, self.width = 24, 80
        self.monitor = self.closed = self.saving = False

    # -- prompt ------------------------------------------------------------------------------------------------------

    @property
    def configuring(self) -> bool:
        return self.mode == CONFIG

    def prompt(self) -> str:
        """Return the prompt, with a blank behind it; in a context its name stands behind the host's."""
        name = self.device.config.hostname + (f"/{self.device.spec.context}" if self.device.spec.context else "")
        if self.mode == USER:
            return f"{name}> "
        return f"{name}# " if self.mode == EXEC else f"{name}({self.mode_word()})# "

    def mode_word(self) -> str:
        """Return what stands in the parentheses of a configuration prompt."""
        target = self.target
        if isinstance(target, Interface):
            return "config-if"
        if isinstance(target, Applet):
            return "config-applet"
        if isinstance(target, Object):
            return f"config-{target.kind}-object"
        if isinstance(target, Group):
            return f"config-{target.kind}-object-group"
        return "config" if self.config_session is None else "config-s"

    def help(self, typed: str) -> list[str]:
        return GRAMMARS[EXEC].help(typed)

    # -- running a line ----------------------------------------------------------------------------------------------

    async def run(self, line: str) -> str:
        """Carry out one line and return what the device prints."""
        self.device.counters.commands += 1
        text = line.strip()
        if not text or text.startswith("!"):
            return ""
        if self.configuring:
            words = text.split()
            executive = words[0] in ("show", "sh", "write", "wr", "packet-tracer", "ping", "copy", "reload")
            if executive or (words[0] == "clear" and words[1:2] != ["configure"]):
                return await self.execute(text)
            return self.configure(text)
        return await self.execute(text)

    async def execute(self, text: str) -> str:
        """Carry out a command that is no configuration line."""
        command, bar, pipe = text.partition(" | ")
        grammar = GRAMMARS[EXEC if self.privilege == 15 else USER]
        try:
            if self.device.faults.unknown(command):
                raise SyntaxFault("invalid", len(command.split()[0]) + 1)
            handler, values = grammar.match(command.rstrip())
            answer = handler(self, *values)
            if inspect.isawaitable(answer):
                answer = await answer
        except SyntaxFault as fault:
            return self.complaint(fault.position, fault.kind, text)
        except (CliError, Refused) as error:
            return f"{error}\n"
        if not bar:
            return answer or ""
        try:
            return filtered(answer or "", pipe.replace("grep ", "include ", 1))
        except SyntaxFault as fault:
            return self.complaint(len(command) + 3 + fault.position, fault.kind, text)

    def complaint(self, position: int, kind: str, text: str = "") -> str:
        """Return the message for a line that did not parse."""
        if kind == INCOMPLETE:
            return "ERROR: % Incomplete command\n"
        if kind == AMBIGUOUS:
            return f'ERROR: % Ambiguous command:  "{text}"\n'
        column = (len(self.prompt()) + position) % max(self.width, 1)
        return f"{' ' * column}^\nERROR: % Invalid input detected at '^' marker.\n"

    # -- configuration -----------------------------------------------------------------------------------------------

    def configure(self, text: str) -> str:
        """Carry out one configuration line: record it, apply it, answer as the device does."""
        device, stripped = self.device, text.strip()
        if stripped in ("exit", "end", "quit"):
            self.leave(all_modes=stripped == "end")
            return ""
        device.counters.config_lines += 1
        refusal = device.faults.error_for(stripped)
        if refusal is not None:
            output, changed = f"{refusal if refusal.startswith('ERROR') else 'ERROR: ' + refusal}\n", False
        else:
            before = device.revision
            output = self._configure(text)
            changed = device.revision != before
        device.counters.records.append(
            {"time": device.clock(), "line": stripped, "user": self.user, "changed": changed, "output": output}
        )
        if device.probes and changed:
            from tests.lab.iosxe.verdicts import trace_line

            trace_line(device, stripped, self.user)
        return output

    def _configure(self, text: str) -> str:
        try:
            return self._in_session(text.strip()) if self.config_session is not None else self._in_running(text.strip())
        except Wrong as problem:
            if problem.text:
                return f"{problem.text}\n"
            words = tokens(text)
            if problem.at < 0 or problem.at >= len(words):
                return self.complaint(0, INCOMPLETE)
            return self.complaint(words[problem.at][1], "invalid", text)
        except (Refused, CliError) as error:
            return f"{error}\n"

    def _in_running(self, text: str) -> str:
        config = self.device.config
        before = config.body()
        output = self._apply(config, text)
        if config.body() != before:
            self.device.counters.config_changes += 1
            self.device.changed()
        return output

    def _apply(self, config: AsaConfig, text: str, *, session: bool = False) -> str:
        """Carry out a line below the header that this terminal typed last, whatever others did meanwhile."""
        config.target = self.target
        try:
            return config.apply(text, session=session)
        finally:
            self.target, config.target = config.target, None

    def _in_session(self, text: str) -> str:
        session, words = self.config_session, text.split()
        assert session is not None
        if words[0] == "commit" and words[1:] in (["noconfirm"], ["noconfirm", "revert-save"], []):
            self.device.commit(session, keep="revert-save" in words)
            self._out_of_session()
            return ""
        if text == "abort":
            self.device.config_sessions.pop(session.name, None)
            self._out_of_session()
            return ""
        if text == "revert":
            if session.before is None:
                raise Refused("ERROR: There is nothing to revert")
            self.device.config = session.before
            self.device.counters.config_changes += 1
            self.device.config_sessions.pop(session.name, None)
            self._out_of_session()
            return ""
        if session.before is not None:
            raise Refused("ERROR: The session is committed; it can only be reverted or cleared")
        header = self.target
        output = self._apply(session.work, text, session=True)
        session.lines.append((" " if header is not None and self.target is header else "") + text)
        return output

    def _out_of_session(self) -> None:
        self.config_session, self.target, self.mode = None, None, EXEC

    def leave(self, *, all_modes: bool) -> None:
        """exit or end; a session that is left waits for its commit."""
        if self.target is not None and not all_modes:
            self.target = None
            return
        self._out_of_session()
