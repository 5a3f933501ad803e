# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One emulated ASA: its configuration, sessions that wait for a commit, connections, applets with a countdown."""

from __future__ import annotations

import time
import zlib
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from tests.lab.asa.config import AsaConfig, Refused, Wrong
from tests.lab.asa.spec import AsaSpec, ConnSpec
from tests.lab.asa.verdicts import Decision, decide
from tests.lab.iosxe.device import Device
from tests.lab.iosxe.provider import Provider

MAX_SESSIONS = 3


@dataclass
class ConfigSession:
    """An isolated edit. committed: it was kept for a revert, with the configuration from before."""

    name: str
    work: AsaConfig
    lines: list[str] = field(default_factory=list)
    before: AsaConfig | None = None


class AsaDevice(Device):
    """What sessions, fleet and side channel of the emulated switches use of a device, said as an ASA does."""

    spec: AsaSpec  # type: ignore[assignment]

    def __init__(self, spec: AsaSpec, provider: Provider | None = None, **options: Any) -> None:
        super().__init__(spec, provider, **options)  # type: ignore[arg-type]
        self.config_sessions: dict[str, ConfigSession] = {}
        self.connections: list[ConnSpec] = list(spec.connections)
        self.cleared: list[str] = []
        self.countdowns: dict[str, Any] = {}
        self.countdown_ends: dict[str, float] = {}
        self.applet_runs: list[str] = []
        self.traces = 0

    # -- configuration -----------------------------------------------------------------------------------------------

    def _read(self, text: str) -> AsaConfig:  # type: ignore[override]
        config = AsaConfig(hostname=self.spec.hostname, limit=self.spec.max_elements)
        config.applets_allowed = self.spec.mode == "single"
        for number, line in enumerate(text.splitlines(), 1):
            if not line.strip() or line.startswith("!"):
                continue
            if not line.startswith(" "):
                config.target = None
            try:
                config.apply(line)
            except (Wrong, Refused) as error:
                raise ValueError(f"{self.spec.hostname}: configuration line {number}: {line!r}: {error}") from None
        config.target = None
        return config

    @property
    def config(self) -> AsaConfig:  # type: ignore[override]
        if self._config is None:
            self._config = self._read(self._startup or self.spec.config_text())  # type: ignore[assignment]
        return self._config  # type: ignore[return-value]

    @config.setter
    def config(self, value: AsaConfig) -> None:
        self._config = value  # type: ignore[assignment]
        self.changed()

    def changed(self) -> None:
        self.revision += 1
        self._set_countdowns()

    def running_text(self) -> str:
        """Return what show running-config prints."""
        return f"{self.head()}!\n{self.config.body()}{self.checksum_line()}\n: end\n"

    def head(self) -> str:
        serial = f"JAD{zlib.crc32(self.spec.hostname.encode()) % 10**8:08d}"
        text = f": Saved\n\n: \n: Serial Number: {serial}\n: Hardware:   {self.spec.model}, 8192 MB RAM\n:\n"
        return f"{text}ASA Version {self.spec.version} {'<context>' if self.spec.context else ''}".rstrip() + " \n"

    def checksum_line(self) -> str:
        digest = f"{zlib.crc32(self.config.body().encode()):08x}"
        return f"Cryptochecksum:{digest * 4}"

    # -- the command line ----------------------------------------------------------------------------------------------

    def make_cli(self, user: str, **options: Any) -> Any:
        from tests.lab.asa.cli import AsaCli

        return AsaCli(self, user, **options)

    def management_blocked(self) -> bool:
        return False  # traffic to the firewall itself is judged by no interface list

    def decide(self, probe: dict[str, Any], *, count: int = 0) -> Decision:
        return decide(self, probe, count=count)

    # -- sessions that wait for a commit -------------------------------------------------------------------------------

    def open_config_session(self, name: str) -> ConfigSession:
        """Return a session by name, made where there is none."""
        if name not in self.config_sessions:
            if len(self.config_sessions) >= MAX_SESSIONS:
                raise Refused(f"ERROR: The maximum number of configuration sessions ({MAX_SESSIONS}) has been reached")
            self.config_sessions[name] = ConfigSession(name, self.config.copy())
        return self.config_sessions[name]

    def commit(self, session: ConfigSession, *, keep: bool) -> None:
        """Carry out all lines of a session or none of them; Refused says why none."""
        work = self.config.copy()
        work.target = None
        for line in session.lines:
            if not line.startswith(" "):
                work.target = None
            try:
                work.apply(line.strip(), session=True)
            except (Wrong, Refused) as error:
                raise Refused(
                    f"ERROR: Commit failed at: {line.strip()}\n{error if isinstance(error, Refused) else ''}"
                ) from None
        work.target = None
        before = self.config
        self.config = work
        self.counters.config_changes += 1
        if keep:
            session.before = before
        else:
            self.config_sessions.pop(session.name, None)

    # -- applets -----------------------------------------------------------------------------------------------------

    def _set_countdowns(self) -> None:
        applets = self.config.applets
        for name in [name for name in self.countdowns if name not in applets]:
            handle = self.countdowns.pop(name)
            if handle is not None:
                handle.cancel()
        for name, applet in applets.items():
            if applet.seconds is not None and name not in self.countdowns:
                self.countdown_ends[name] = self.clock() + applet.seconds * self.spec.second
                self.countdowns[name] = self.later(
                    applet.seconds * self.spec.second, lambda name=name: self.run_applet(name)
                )

    def run_applet(self, name: str) -> None:
        """Carry out an applet's commands in configuration mode, as its countdown does at its end."""
        applet = self.config.applets.get(name)
        if applet is None:
            return
        self.applet_runs.append(name)
        self.countdown_ends[name] = self.clock()
        self.apply_lines([applet.actions[number] for number in sorted(applet.actions)], "eem")

    # -- reload, state -------------------------------------------------------------------------------------------------

    def reload(self, down_seconds: float = 0.0) -> None:
        """Restart: unsaved configuration, sessions of both kinds and all connections are gone."""
        for handle in self.countdowns.values():
            if handle is not None:
                handle.cancel()
        self.countdowns.clear()
        self.config_sessions.clear()
        self.connections = []
        super().reload(down_seconds)

    def dump(self) -> dict[str, Any]:
        return {
            "running": self.config.body(),
            "startup": self.startup,
            "connections": [vars(c) for c in self.connections],
        }

    def restore(self, data: dict[str, Any]) -> None:
        data = deepcopy(data)
        self._startup = data["startup"]
        self.connections = [ConnSpec(**each) for each in data["connections"]]
        self.config_sessions.clear()
        self.faults.clear()
        self.replace_config(data["running"])

    def uptime(self) -> int:
        return int(time.time() - self.boot_time)
