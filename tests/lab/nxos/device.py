# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One emulated NX-OS switch: configuration, what it has saved, sessions that wait for a commit, the scheduler, log and records."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from tests.lab.iosxe.device import Clock, Counters, Timer
from tests.lab.iosxe.faults import Faults
from tests.lab.iosxe.grammar import CliError, SyntaxFault
from tests.lab.nxos import tcam
from tests.lab.nxos.cli import Cli, ConfigSession
from tests.lab.nxos.config import Config, Interface
from tests.lab.nxos.editor import ACL, ACL6, CONFIG, IF, Editor, read_text
from tests.lab.nxos.spec import DeviceSpec
from tests.lab.nxos.strikes import Strike


class Device:
    """The state behind one or more sessions. Everything here is called from the fleet's event loop."""

    def __init__(
        self, spec: DeviceSpec, provider: Any = None, *, enable_secret: str = "", clock: Clock = time.time
    ) -> None:
        self.spec, self.clock = spec, clock
        self.port = spec.port
        self.counters, self.faults = Counters(), Faults()
        self.loop: asyncio.AbstractEventLoop | None = None
        self.boot_time = clock()
        self.last_change: tuple[float, str] | None = None
        self.last_save: tuple[float, str] | None = None
        self.log: deque[str] | None = None
        self.sessions: set[Any] = set()
        self.lock_owner: Any = None
        self.revert: Timer | None = None
        self.reload_timer: Timer | None = None
        self.probes: list[dict[str, Any]] = []
        self.trace: list[dict[str, Any]] = []
        self.down_until = 0.0
        self.regions = dict(spec.regions)
        self.strikes: list[Strike] = []
        self.updating = False  # between the old and the new entries of an update that is not atomic
        self.config_sessions: dict[str, ConfigSession] = {}
        self.session_number = 0
        self.checkpoints: dict[str, str] = {}
        self.timers: dict[str, asyncio.TimerHandle] = {}
        self.jobs_run: list[tuple[float, str]] = []
        self.config = self._read(spec.config_text())
        self._startup = self.config.body()

    # -- sessions of people ------------------------------------------------------------------------------------------

    def make_cli(self, user: str, **options: Any) -> Cli:
        """Return a command line for a session; accounts of the lab are network-admin."""
        options["privilege"] = 15
        return Cli(self, user, **options)

    def apply_lines(self, lines: list[str], user: str = "other-admin") -> list[str]:
        """Apply configuration lines as another administrator does; returns the output of each line."""
        cli = self.make_cli(user, tty=90)
        cli.enter()
        outputs = []
        for line in lines:
            if line.strip():
                if cli.editor is None:
                    cli.enter()
                outputs.append(cli.configure(line))
        if cli.configuring:
            cli.leave(all_modes=True)
        return outputs

    def decide(self, probe: dict[str, Any], *, count: int = 0) -> Any:
        """Return the verdict of a probe; see verdicts.decide."""
        from tests.lab.nxos.verdicts import decide

        return decide(self, probe, count=count)

    def management_blocked(self) -> bool:
        """True when the running lists drop what a controller's session sends (see DeviceSpec.controller)."""
        from tests.lab.nxos.verdicts import management_packet

        packet = management_packet(self)
        return packet is not None and self.decide({"management": True, "packet": packet}).permit is False

    # -- configuration -----------------------------------------------------------------------------------------------

    @property
    def startup(self) -> str:
        return self._startup

    def _read(self, text: str) -> Config:
        config = Config(self.spec.hostname)
        for name in self.spec.interfaces:
            config.interfaces[name] = Interface(name)
        read_text(config, text)
        return config

    def edit(self, editor: Editor, text: str) -> bool:
        """Apply one line, with what the hardware says where the line reaches it; True when it changed something."""
        mode, target, targets = editor.mode, editor.target, list(editor.targets)
        reaches = mode == IF or (mode in (ACL, ACL6) and self.config.attached(target)) or "access-list" in text
        if not reaches:
            changed = editor.apply(text)
            if "scheduler" in text or mode == "config-schedule":
                self._schedule()
            return changed
        trial = Editor(self.config.copy())
        trial.mode, trial.target, trial.targets = mode, target, targets
        changed = trial.apply(text)
        self._take(trial.config, text)
        editor.config = self.config
        editor.mode, editor.target, editor.targets = trial.mode, trial.target, trial.targets
        return changed

    def _take(self, config: Config, what: str, user: str = "") -> None:
        """Make a configuration the running one if the hardware takes it; an update that is not atomic is seen on its way."""
        tcam.check(self.regions, self.config, config)
        if not config.atomic and tcam.changes_hardware(self.config, config):
            self.updating = True
            self.traced(f"(updating) {what}", user)
            self.updating = False
        self.config = config

    def session_result(self, lines: list[str]) -> Config:
        """Return what the running configuration becomes by a session's lines; raises CliError where it cannot."""
        editor = Editor(self.config.copy(), session=True)
        for number, line in enumerate(lines, 1):
            try:
                Cli._replay(editor, line)
            except (SyntaxFault, CliError) as error:
                raise CliError(f"Verification failed: {number:04d} {line.strip()}: {error}") from None
        try:
            tcam.check(self.regions, self.config, editor.config)
        except CliError as error:
            raise CliError(f"Verification failed\n{error}") from None
        return editor.config

    def commit(self, lines: list[str], user: str) -> bool:
        """Carry out a session's lines all at once, or none."""
        config = self.session_result(lines)
        changed = config.body() != self.config.body()
        self._take(config, "commit", user)
        return changed

    def replace_config(self, text: str) -> None:
        """Make a text the running configuration (rollback, reload, restore)."""
        self.config = self._read(text)
        self._schedule()

    def changed(self) -> None:
        """Nothing to do: the hardware was asked before."""

    def traced(self, line: str, user: str) -> None:
        """Record what every installed probe gets now."""
        if self.probes:
            letters = {True: "P", False: "D", None: "?"}
            said = "".join(letters[self.decide(probe).permit] for probe in self.probes)
            self.trace.append({"time": self.clock(), "line": line, "user": user, "verdicts": said})

    def running_text(self) -> str:
        """Return what show running-config prints."""
        now = time.strftime("%a %b %e %H:%M:%S %Y", time.gmtime(self.clock()))
        last = time.strftime(
            "%a %b %e %H:%M:%S %Y", time.gmtime(self.last_change[0] if self.last_change else self.boot_time)
        )
        head = f"\n!Command: show running-config\n!Running configuration last done at: {last}\n!Time: {now}\n\n"
        return head + self.config.body() + "\n"

    def save(self, user: str) -> None:
        """Write the running configuration to the startup configuration."""
        self._startup = self.config.body()
        self.last_save = (self.clock(), user)
        self.counters.saves += 1

    # -- the scheduler -----------------------------------------------------------------------------------------------

    def _schedule(self) -> None:
        """Start what is scheduled and not running yet, end what is gone."""
        wanted = {}
        for name, block in self.config.schedules.items():
            jobs = [line.split()[2] for line in block.lines if line.startswith("job name ")]
            start = next((line.split()[2] for line in block.lines if line.startswith("time start ")), "")
            if jobs and start.startswith("+"):
                wanted[name, tuple(jobs), start] = start
        keys = {json.dumps(key): key for key in wanted}
        for key in [each for each in self.timers if each not in keys]:
            self.timers.pop(key).cancel()
        for text, key in keys.items():
            if text not in self.timers and self.loop is not None:
                seconds = _minutes(key[2]) * self.spec.minute_seconds
                self.timers[text] = self.loop.call_later(seconds, self._run_jobs, key[1])

    def _run_jobs(self, names: tuple[str, ...]) -> None:
        for name in names:
            job = self.config.jobs.get(name)
            if job is None:
                continue
            self.jobs_run.append((self.clock(), name))
            cli = self.make_cli("scheduler", tty=91)
            for line in [part.strip() for text in job.lines for part in text.split(" ; ")]:
                if re.match(r"conf(igure)?\s+t", line):
                    cli.enter()
                elif cli.editor is not None:
                    cli.configure(line)
            if cli.editor is not None:
                cli.leave(all_modes=True)

    # -- time, log, life ---------------------------------------------------------------------------------------------

    def stamp(self, when: float | None = None) -> str:
        """Return a time as tables print it: 20:01:02 UTC Nov 23 2026."""
        return time.strftime("%H:%M:%S UTC %b %-d %Y", time.gmtime(self.clock() if when is None else when))

    def syslog(self, message: str) -> None:
        """Put a message (starting with a percent sign) into the log and onto sessions that monitor."""
        text = f"{time.strftime('%Y %b %e %H:%M:%S', time.gmtime(self.clock()))} {self.config.hostname} {message}"
        if self.log is None:
            self.log = deque(maxlen=500)
        self.log.append(text)
        for session in list(self.sessions):
            session.notify(text)

    def later(self, seconds: float, call: Callable[[], None]) -> asyncio.TimerHandle | None:
        """Run something after a time, if there is a loop to run it."""
        return None if self.loop is None else self.loop.call_later(seconds, call)

    def reload(self, down_seconds: float = 0.0) -> None:
        """Restart: terminals end; unsaved configuration, waiting sessions, checkpoints, counters and the log are gone."""
        for session in list(self.sessions):
            session.drop()
        self.log = None
        self.config_sessions, self.checkpoints = {}, {}
        for timer in self.timers.values():
            timer.cancel()
        self.timers = {}
        self.boot_time = self.clock()
        self.down_until = self.boot_time + down_seconds
        self.last_change = None
        self.replace_config(self._startup)

    # -- whole state -------------------------------------------------------------------------------------------------

    def dump(self) -> dict[str, Any]:
        """Return the whole state as data for JSON."""
        return {"running": self.config.body(), "startup": self._startup, "log": list(self.log or ())}

    def restore(self, data: dict[str, Any]) -> None:
        """Bring back a state that dump() returned; sessions that wait, timers and faults end."""
        self._startup = data["startup"]
        self.log = deque(data["log"], maxlen=500)
        self.config_sessions = {}
        self.faults.clear()
        self.replace_config(data["running"])


def _minutes(delta: str) -> float:
    """Return the minutes of a delta time: +MM, +HH:MM or +DD:HH:MM."""
    parts = [int(part) for part in delta.removeprefix("+").split(":")]
    while len(parts) < 3:
        parts.insert(0, 0)
    return parts[0] * 1440 + parts[1] * 60 + parts[2]


__all__ = ["CONFIG", "Device"]
