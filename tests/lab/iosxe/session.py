# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The SSH side of a switch: authentication, terminal lines, line editing and echo, paging, faults.

asyncssh is a dependency of the lab only (EPL-2.0 or GPL-2.0-or-later).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import asyncssh

if TYPE_CHECKING:
    from tests.lab.iosxe.cli import Cli
    from tests.lab.iosxe.device import Device
    from tests.lab.iosxe.fleet import Users

FIRST_TTY = 2
BELL = "\x07"
BLOCKED_POLL_SECONDS = 0.05
# Round trips from the first packet of TCP to the shell: TCP, versions, key exchange (2), service, password, channel, terminal, shell.
HANDSHAKE = 9


def _latency(device: Device) -> float:
    return float(getattr(device.spec, "latency", 0.0))


class SwitchServer(asyncssh.SSHServer):
    """One SSH connection to a switch."""

    def __init__(self, device: Device, users: Users) -> None:
        self.device, self.users = device, users
        self.connection: asyncssh.SSHServerConnection | None = None
        self.user = ""

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self.connection = conn
        device = self.device
        full = len(device.sessions) >= device.spec.vty_lines
        down = device.clock() < device.down_until
        if full or down or device.faults.refuses_connection() or device.management_blocked():
            device.counters.sessions_refused += 1
            conn.abort()

    async def begin_auth(self, username: str) -> bool:
        await asyncio.sleep(HANDSHAKE * _latency(self.device))
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        known = self.users.get(username)
        good = known is not None and known[0] == password and self.device.faults.strike("refuse_auth") is None
        if not good:
            self.device.counters.authentication_failures += 1
        self.user = username
        return good

    def session_requested(self) -> SwitchSession:
        return SwitchSession(self.device, self.user, self.users.get(self.user, ("", 1))[1], self)


class SwitchSession(asyncssh.SSHServerSession):  # type: ignore[type-arg]
    """One terminal line."""

    def __init__(self, device: Device, user: str, privilege: int, server: SwitchServer) -> None:
        self.device, self.user, self.privilege, self.server = device, user, privilege, server
        self.cli: Cli | None = None
        self.command: str | None = None
        self._channel: Any = None
        self._input = ""
        self._at = 0
        self._arrived = asyncio.Event()
        self._gone = self._busy = self._after_cr = False
        self._output: list[str] = []
        self._commands = self._config_lines = 0
        self._task: asyncio.Task[None] | None = None

    # -- asyncssh's side ---------------------------------------------------------------------------------------------

    def connection_made(self, chan: Any) -> None:
        self._channel = chan

    def pty_requested(self, term_type: str, term_size: Any, term_modes: Any) -> bool:
        return True

    def shell_requested(self) -> bool:
        return True

    def exec_requested(self, command: str) -> bool:
        self.command = command
        return True

    def session_started(self) -> None:
        device = self.device
        taken = {session.cli.tty for session in device.sessions if session.cli is not None}
        tty = next(number for number in range(FIRST_TTY, FIRST_TTY + 1000) if number not in taken)
        peer = str(self._channel.get_extra_info("peername", ("127.0.0.1", 0))[0])
        self.cli = device.make_cli(
            self.user, privilege=self.privilege, ask=self._ask, tty=tty, peer=device.spec.controller or peer
        )
        device.sessions.add(self)
        device.counters.sessions_opened += 1
        self._task = asyncio.get_running_loop().create_task(self._main())

    def data_received(self, data: str, datatype: Any) -> None:
        delay = _latency(self.device)
        if delay:
            asyncio.get_running_loop().call_later(delay, self._take, data)
        else:
            self._take(data)

    def _take(self, data: str) -> None:
        limit = self.device.spec.input_buffer
        if limit is not None and self._busy:
            data = data[: max(0, limit - (len(self._input) - self._at))]
        self._input = self._input[self._at :] + data
        self._at = 0
        self._arrived.set()

    def eof_received(self) -> bool:
        self._gone = True
        self._arrived.set()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._gone = True
        self._arrived.set()
        if self.cli is not None:
            self.cli.closed = True
            if self.device.lock_owner is self.cli:
                self.device.lock_owner = None
        self.device.sessions.discard(self)
        if self._task is not None and not self._task.done():
            self._task.cancel()

    def drop(self) -> None:
        """End the session as a broken line does."""
        self._gone = True
        if self.cli is not None:
            self.cli.closed = True
        self.device.sessions.discard(self)
        if self.server.connection is not None:
            self.server.connection.abort()

    def notify(self, text: str) -> None:
        """Print a log line on a terminal that monitors."""
        if self.cli is not None and self.cli.monitor and not self._gone:
            self._write(f"\r\n{text}\r\n")
            self._flush()

    # -- output ------------------------------------------------------------------------------------------------------

    def _write(self, text: str) -> None:
        self._output.append(text)

    def _flush(self) -> None:
        if self._output:
            text, self._output = "".join(self._output), []
            if not self._gone:
                self._channel.write(text)

    # -- input -------------------------------------------------------------------------------------------------------

    async def _char(self) -> str | None:
        while self._at >= len(self._input):
            self._flush()
            if self._gone:
                return None
            self._arrived.clear()
            await self._arrived.wait()
        self._at += 1
        return self._input[self._at - 1]

    async def _ask(self, prompt: str, echo: bool) -> str | None:
        self._write(prompt.replace("\n", "\r\n"))
        return await self._line(len(prompt), echo=echo, ask=True)

    async def _line(self, used: int, *, echo: bool = True, ask: bool = False) -> str | None:
        """Read one line. used: columns that the prompt takes. Lines end in CR, LF or CR LF."""
        assert self.cli is not None
        line: list[str] = []
        shown = 0
        limit = self.device.spec.line_limit
        echoes = -1  # characters still to be echoed; negative: all
        while True:
            char = await self._char()
            if char is None:
                return None
            if char == "\n" and self._after_cr:
                self._after_cr = False
                continue
            self._after_cr = char == "\r"
            if char in "\r\n":
                if echoes < 0:
                    self._write("\r\n")
                return "".join(line)
            if char in "\x7f\x08":
                if line:
                    line.pop()
                    shown -= 1
                    self._write("\x08 \x08" if echo else "")
            elif char in "\x15\x18":
                self._write("\x08 \x08" * shown if echo else "")
                line, shown = [], 0
            elif char in "\x03\x1a" and not ask:
                self._write("^C\r\n" if char == "\x03" else "^Z\r\n")
                return char
            elif char == "?" and not ask:
                self._help("".join(line))
            elif char >= " ":
                if len(line) >= limit:
                    self._write(BELL)
                    continue
                if not line and not ask:
                    echoes = self._half_echo()
                line.append(char)
                shown += 1
                if not echo or echoes == 0:
                    continue
                echoes -= echoes > 0
                width = self.cli.width
                if width and used + shown >= width - 1:
                    shown = self._scroll(line, shown, max(4, (width - used) // 2))
                else:
                    self._write(char)

    def _half_echo(self) -> int:
        fault = self.device.faults.find("half_echo")
        if fault is None or self._commands < fault.lines:
            return -1
        fault.struck += 1
        return 6

    def _scroll(self, line: list[str], shown: int, keep: int) -> int:
        """Redraw a line that does not fit: a dollar sign and its end, as a VTY does. Returns the columns now used."""
        tail = "$" + "".join(line[-keep:])
        blank = max(0, shown - 1 - len(tail))
        self._write("\x08" * (shown - 1) + tail + " " * blank + "\x08" * blank)
        return len(tail)

    def _help(self, typed: str) -> None:
        assert self.cli is not None
        words = self.cli.help(typed)
        lines = "".join(f"  {word}\r\n" for word in words) or "  <cr>\r\n"
        self._write(f"?\r\n{lines}\r\n{self.cli.prompt()}{typed}")

    # -- the session -------------------------------------------------------------------------------------------------

    async def _main(self) -> None:
        cli = self.cli
        assert cli is not None
        try:
            if self.command is not None:
                self._write((await cli.run(self.command)).replace("\n", "\r\n"))
                self._flush()
                self._channel.exit(0)
                return
            self._write("\r\n")
            while not cli.closed:
                await self._prompt()
                line = await self._line(len(cli.prompt()))
                if line is None:
                    break
                while self.device.management_blocked() and not self._gone:
                    await asyncio.sleep(BLOCKED_POLL_SECONDS)
                if not await self._run(line):
                    return
            self._flush()
            if not self._gone:
                self._channel.exit(0)
        except (asyncssh.Error, ConnectionError, BrokenPipeError):
            pass
        finally:
            self.device.sessions.discard(self)
            if self.server.connection is not None and not self._gone:
                self.server.connection.close()

    async def _prompt(self) -> None:
        assert self.cli is not None
        fault = self.device.faults.strike("slow_prompt")
        if fault is not None:
            self._flush()
            await asyncio.sleep(fault.seconds)
        self._write(self.cli.prompt())

    async def _run(self, line: str) -> bool:
        """Carry out one line; False when the session is to end without another word."""
        cli, faults = self.cli, self.device.faults
        assert cli is not None
        if line in ("\x03", "\x1a"):
            if cli.configuring:
                cli.leave(all_modes=True)
            return True
        self._busy = True
        fault = faults.find("line_delay")
        if fault is not None and line.strip():
            fault.struck += 1
            self._flush()
            await asyncio.sleep(fault.seconds)
        was_configuring = cli.configuring
        output = await cli.run(line)
        self._busy = False
        self._commands += bool(line.strip())
        if cli.saving:
            self.drop()
            return False
        await self._page(output)
        if was_configuring and line.strip():
            self._config_lines += 1
            if not self._config_faults(line):
                return False
        if line.strip() and not self._session_faults(line):
            await asyncio.Event().wait()
        return True

    def _config_faults(self, line: str) -> bool:
        faults = self.device.faults
        fault = faults.find("drop_after_lines")
        if fault is not None and fault.due(self._config_lines, line):
            fault.struck += 1
            self.drop()
            return False
        fault = faults.find("reload_after_lines")
        if fault is not None and fault.due(self._config_lines, line):
            fault.struck += 1
            self.device.reload()
            return False
        return True

    def _session_faults(self, line: str) -> bool:
        faults = self.device.faults
        fault = faults.find("syslog")
        if fault is not None and self._commands >= fault.after:
            fault.struck += 1
            message = (
                fault.text
                or "%LINEPROTO-5-UPDOWN: Line protocol on Interface GigabitEthernet1/0/9, changed state to up"
            )
            self._write(f"*{self.device.stamp()[:8]}: {message}\r\n")
        fault = faults.find("hang")
        if fault is not None and fault.due(self._commands, line):
            fault.struck += 1
            self._flush()
            return False
        return True

    async def _page(self, output: str) -> None:
        """Print output, stopping at every page of the terminal's length."""
        assert self.cli is not None
        if not output:
            return
        lines = output.split("\n")
        if lines[-1] == "":
            lines.pop()
        room = size = self.cli.length - 1
        for number, line in enumerate(lines):
            if self.cli.length and room <= 0:
                more = self.cli.more
                self._write(more)
                key = await self._char()
                self._write("\x08" * len(more) + " " * len(more) + "\x08" * len(more))
                if key is None or key not in " \r\n":
                    return
                room = size if key == " " else 1
            self._write(line + "\r\n")
            room -= 1
            if number % 2000 == 1999:
                self._flush()
                await asyncio.sleep(0)
