# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sessions without a device: no wait is endless, and what was opened is closed."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import ios_terminal, libssh, ssh

LOG = "%SYS-5-CONFIG_I: Configured from console\n"


class Chatter:
    """A channel on which a log message comes whenever somebody reads, and time goes by; no prompt after the first ones."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock, self.prompts, self.waiting = clock, 1, ""

    def settimeout(self, _seconds: float) -> None:
        pass

    def sendall(self, data: bytes) -> None:
        if data.startswith(b"terminal"):
            self.waiting += "".join(f"{line}\nsw1#" for line in data.decode().splitlines())

    def recv(self, _size: int) -> bytes:
        self.clock()
        if self.prompts:
            self.prompts -= 1
            return b"sw1#"
        if self.waiting:
            text, self.waiting = self.waiting, ""
            return text.encode()
        return LOG.encode()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[], float]:
    """Each look at the clock is a second later; more than two hours are an endless wait."""
    seconds = itertools.count()

    def now() -> float:
        passed = float(next(seconds))
        assert passed < 7200, "an endless wait"
        return passed

    monkeypatch.setattr(ios_terminal, "time", SimpleNamespace(monotonic=now))
    monkeypatch.setattr(libssh, "time", SimpleNamespace(monotonic=now))
    return now


@pytest.mark.parametrize("call", ["ask", "type", "secret"])
def test_a_device_that_never_falls_silent_is_not_waited_for_for_ever(clock: Callable[[], float], call: str) -> None:
    terminal = ios_terminal.Terminal(Chatter(clock), "sw1")
    terminal.begin(20.0)
    calls: dict[str, Callable[[], object]] = {
        "ask": lambda: terminal.ask("show clock", 15.0),
        "type": lambda: terminal.type(["interface Gi1/0/1"], 15.0),
        "secret": lambda: terminal.secret("secret", 15.0, re.compile("never")),
    }
    with pytest.raises(FindingError, match="no end of the answer"):
        calls[call]()
    assert terminal.silent


def test_the_reading_shell_does_not_wait_for_ever_either(
    clock: Callable[[], float], monkeypatch: pytest.MonkeyPatch
) -> None:
    shell: Any = object.__new__(libssh.LibsshShell)
    shell.spec = SimpleNamespace(name="sw1")
    monkeypatch.setattr(shell, "_read", lambda _what: LOG.encode(), raising=False)
    with pytest.raises(FindingError, match="no end of it"):
        shell._until(lambda _text: False, 15.0, "show clock")


def test_a_channel_over_libssh_is_closed_by_us() -> None:
    closed: list[str] = []
    channel = object.__new__(libssh.LibsshChannel)
    channel.close = lambda: closed.append("channel")  # type: ignore[method-assign]
    ssh.close_session(SimpleNamespace(remote_conn=channel, paramiko_cleanup=lambda: closed.append("client")))
    assert closed == ["channel", "client"]
