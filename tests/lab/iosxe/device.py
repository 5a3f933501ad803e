# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One emulated switch: its configuration, what it has saved, its timers, log, counters and records."""

from __future__ import annotations

import asyncio
import json
import time
import zlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.lab.iosxe import eem, tcam
from tests.lab.iosxe.authorization import (
    DownloadedCell,
    EndpointSession,
    cell_from_dict,
    dotted,
    session_from_dict,
)
from tests.lab.iosxe.config_model import Config, Interface
from tests.lab.iosxe.faults import Faults
from tests.lab.iosxe.provider import Provider, StaticProvider
from tests.lab.iosxe.spec import DeviceSpec, HostSpec

Clock = Callable[[], float]


@dataclass
class Counters:
    """What the side channel reports. records: one dict a configuration line received, in order."""

    sessions_opened: int = 0
    sessions_refused: int = 0
    authentication_failures: int = 0
    commands: int = 0
    config_lines: int = 0
    config_changes: int = 0
    saves: int = 0
    records: list[dict[str, Any]] = field(default_factory=list)

    def to_dict(self) -> dict[str, int]:
        return {key: value for key, value in vars(self).items() if key != "records"}


@dataclass
class Timer:
    """A pending revert or reload."""

    deadline: float
    minutes: float
    user: str
    text: str = ""
    file: str = ""
    handle: asyncio.TimerHandle | None = None

    def cancel(self) -> None:
        if self.handle is not None:
            self.handle.cancel()


class Device:
    """The state behind one or more sessions. Everything here is called from the fleet's event loop."""

    def __init__(
        self,
        spec: DeviceSpec,
        provider: Provider | None = None,
        *,
        enable_secret: str = "enable",
        clock: Clock = time.time,
    ) -> None:
        self.spec = spec
        self.port = spec.port  # the one in use, where the spec says 0
        self.provider: Provider = provider or StaticProvider()
        self.enable_secret = enable_secret
        self.clock = clock
        self.counters = Counters()
        self.faults = Faults()
        self.loop: asyncio.AbstractEventLoop | None = None
        self.boot_time = clock()
        self.reload_reason = "Reload Command"
        self.revision = 0
        self.last_change: tuple[float, str] | None = None
        self.last_save: tuple[float, str] | None = None
        self.log: deque[str] | None = None
        self.sessions: set[Any] = set()
        self.lock_owner: Any = None
        self.revert: Timer | None = None
        self.reload_timer: Timer | None = None
        self.applets: dict[str, tuple[int, asyncio.TimerHandle | None]] = {}
        self.applet_times: dict[str, float] = {}  # when each was registered
        self.files: dict[str, str] = {}
        self.archives: list[str] = []
        self.unloaded: set[tuple[str, str, int]] = set()
        self.loaded: dict[tuple[str, str, int], int] = {}
        self.dacl_hits: dict[str, dict[int, int]] = {}
        self.sgacl_hits: dict[str, dict[int, int]] = {}
        self.cell_hits: dict[tuple[int, int, int], list[int]] = {}
        self.probes: list[dict[str, Any]] = []
        self.trace: list[dict[str, Any]] = []
        self.down_until = 0.0
        self._config: Config | None = None
        self._startup: str | None = None
        self._provider_revision: int | None = None
        self._sessions: list[EndpointSession] = []
        self._cells: list[DownloadedCell] = []

    # -- what another platform's device says otherwise ---------------------------------------------------------------

    def make_cli(self, user: str, **options: Any) -> Any:
        """Return a command line for a session; see Cli for the options."""
        from tests.lab.iosxe.cli import Cli

        return Cli(self, user, **options)

    def management_blocked(self) -> bool:
        """True when the running lists drop what a controller's session sends (see DeviceSpec.controller)."""
        from tests.lab.iosxe.verdicts import management_packet

        packet = management_packet(self)
        return packet is not None and self.decide({"management": True, "packet": packet}).permit is False

    def decide(self, probe: dict[str, Any], *, count: int = 0) -> Any:
        """Return the verdict of a probe; see verdicts.decide."""
        from tests.lab.iosxe.verdicts import decide

        return decide(self, probe, count=count)

    def apply_lines(self, lines: list[str], user: str = "other-admin") -> list[str]:
        """Apply configuration lines as another administrator does; returns the output of each line."""
        from tests.lab.iosxe.modes import CONFIG

        cli = self.make_cli(user, privilege=15, tty=90)
        cli.mode = CONFIG
        outputs: list[str] = [cli.configure(line) for line in lines if line.strip()]
        if cli.configuring:
            cli.leave(all_modes=True)
        return outputs

    # -- configuration -----------------------------------------------------------------------------------------------

    @property
    def config(self) -> Config:
        """The running configuration (made at first use, so that an idle switch costs little)."""
        if self._config is None:
            self._config = self._read(self._startup or self.spec.config_text())
        return self._config

    @property
    def startup(self) -> str:
        """The saved configuration, body only."""
        if self._startup is None:
            self._startup = self._read(self.spec.config_text()).body()
        return self._startup

    def _read(self, text: str) -> Config:
        from tests.lab.iosxe.cli import read_config

        config = Config(hostname=self.spec.hostname)
        for each in self.spec.interfaces:
            config.interfaces[each.name] = Interface(each.name)
        read_config(self, config, text)
        return config

    def replace_config(self, text: str) -> None:
        """Make a text the running configuration (rollback, reload, restore)."""
        self._config = self._read(text)
        self.changed()

    def changed(self) -> None:
        """Note that the running configuration is another one now: program the hardware again."""
        self.revision += 1
        tcam.program(self)
        eem.program(self)

    def running_text(self) -> str:
        """Return what show running-config prints, with its header."""
        body = self.config.body()
        if self.last_change is not None:
            head = f"! Last configuration change at {self.stamp(self.last_change[0])} by {self.last_change[1]}\n"
        else:
            head = "! No configuration change since last restart\n"
        if self.last_save is not None:
            head += f"! NVRAM config last updated at {self.stamp(self.last_save[0])} by {self.last_save[1]}\n"
        body = "!\n" + head + body
        return f"Building configuration...\n\nCurrent configuration : {len(body)} bytes\n{body}"

    def save(self, user: str) -> None:
        """Write the running configuration to the startup configuration."""
        self._startup = self.config.body()
        self.last_save = (self.clock(), user)
        self.counters.saves += 1

    @property
    def modified(self) -> bool:
        """True when the running configuration differs from the saved one."""
        return self.config.body() != self.startup

    # -- time and log ------------------------------------------------------------------------------------------------

    def stamp(self, when: float | None = None) -> str:
        """Return a time as headers print it: 20:01:02 UTC Mon Nov 23 2026."""
        return time.strftime("%H:%M:%S UTC %a %b %-d %Y", time.gmtime(self.clock() if when is None else when))

    def syslog(self, message: str) -> None:
        """Put a message (starting with a percent sign) into the log and onto sessions that monitor."""
        now = self.clock()
        text = f"{time.strftime('%b %e %H:%M:%S', time.gmtime(now))}.{int(now * 1000) % 1000:03d}: {message}"
        if self.log is None:
            self.log = deque(maxlen=500)
        self.log.append(text)
        for session in list(self.sessions):
            session.notify(text)

    def later(self, seconds: float, call: Callable[[], None]) -> asyncio.TimerHandle | None:
        """Run something after a time, if there is a loop to run it."""
        return None if self.loop is None else self.loop.call_later(seconds, call)

    # -- what the policy server gave ---------------------------------------------------------------------------------

    def hosts(self) -> dict[str, HostSpec]:
        """Return the hosts by dotted MAC."""
        return {dotted(host.mac): host for host in self.spec.hosts}

    def _refresh(self) -> None:
        if self.provider.revision == self._provider_revision:
            return
        self._provider_revision = self.provider.revision
        hosts = self.hosts()
        ports = {each.name for each in self.spec.interfaces}
        names = {self.spec.hostname, self.spec.address, self.config.hostname}
        found = []
        for data in self.provider.sessions():
            if data.get("device") is not None:
                mine = data["device"] in names
            else:
                mine = dotted(data["mac"]) in hosts
            if mine:
                session = session_from_dict(data, hosts)
                if session.interface in ports:
                    found.append(session)
        self._sessions = sorted(found, key=lambda each: (each.interface, each.mac))
        cells = [each for each in self.provider.cts_cells() if each.get("device") in (None, *names)]
        self._cells = [cell for cell in map(cell_from_dict, cells) if cell is not None]
        tcam.program(self)

    def endpoint_sessions(self) -> list[EndpointSession]:
        """Return the sessions on this switch's ports."""
        self._refresh()
        return self._sessions

    def downloaded_cells(self) -> list[DownloadedCell]:
        """Return the downloaded cells: those whose destination group is known here (or all, see DeviceSpec)."""
        self._refresh()
        if self.spec.cts_download == "all":
            return self._cells
        known = {tag for _address, tag, _source in self.sgt_bindings()} | {-1, -2}
        return [cell for cell in self._cells if cell.destination in known]

    def sgt_bindings(self) -> list[tuple[str, int, str]]:
        """Return (address, tag, source) of every IP-SGT binding."""
        found = {address: (tag, "CLI") for address, tag in self.config.cts.sgt_map.items()}
        for host in self.spec.hosts:
            if host.vlan in self.config.cts.vlan_map:
                found.setdefault(host.ip, (self.config.cts.vlan_map[host.vlan], "VLAN"))
        for session in self._sessions_now():
            if session.sgt is not None and session.ip:
                found[session.ip] = (session.sgt, "LOCAL")
        return [(address, tag, source) for address, (tag, source) in found.items()]

    def _sessions_now(self) -> list[EndpointSession]:
        self._refresh()
        return self._sessions

    def group_name(self, tag: int) -> str | None:
        """Return the name of a tag from the environment data, None if it is not known."""
        return self.provider.sgts().get(tag)

    # -- timers ------------------------------------------------------------------------------------------------------

    def archive_file(self) -> str:
        """Write the running configuration to the next archive file and return its name."""
        now = self.clock()
        stamp = time.strftime("%b-%e-%H-%M-%S", time.gmtime(now)).replace(" ", "-")
        name = f"{self.config.archive_path}{stamp}.{int(now * 1000) % 1000:03d}-{len(self.archives)}"
        self.files[name] = self.config.body()
        self.archives.append(name)
        return name

    def arm_revert(self, minutes: float, user: str, *, keep: bool = False) -> str:
        """Start (keep: restart) the revert timer; returns the backup's file name."""
        old = self.revert
        if old is not None:
            old.cancel()
        seconds = minutes * self.spec.minute_seconds
        if keep and old is not None:
            name, text = old.file, old.text
        else:
            name = self.archive_file()
            text = self.files[name]
            self.syslog(f"%ARCHIVE_DIFF-5-ROLLBK_CNFMD_CHG_BACKUP: Backing up current running config to {name}")
        self.revert = Timer(self.clock() + seconds, minutes, user, text, name)
        self.revert.handle = self.later(seconds, self.revert_now)
        self.syslog(
            f"%ARCHIVE_DIFF-5-ROLLBK_CNFMD_CHG_START_ABSTIMER: User: {user}: Scheduled to rollback to config {name} "
            f"in {minutes:g} minutes"
        )
        return name

    def revert_now(self) -> None:
        """Go back to the configuration that was running when the timer was started."""
        timer, self.revert = self.revert, None
        if timer is None:
            return
        timer.cancel()
        self.syslog(f"%ARCHIVE_DIFF-5-ROLLBK_CNFMD_CHG_ROLLBACK_START: Start rolling to: {timer.file}")
        self.last_change = (self.clock(), timer.user)
        self.counters.records.append(
            {"time": self.clock(), "line": "(rollback)", "user": timer.user, "changed": True, "output": ""}
        )
        self.replace_config(timer.text)

    def confirm_revert(self, user: str) -> bool:
        """Keep the changes; False when no timer runs."""
        timer, self.revert = self.revert, None
        if timer is None:
            return False
        timer.cancel()
        self.syslog(f"%ARCHIVE_DIFF-5-ROLLBK_CNFMD_CHG_CONFIRM: User: {user}: Confirm the configuration change")
        return True

    def schedule_reload(self, minutes: float, user: str) -> None:
        """Reload after some minutes."""
        self.cancel_reload()
        seconds = minutes * self.spec.minute_seconds
        self.reload_timer = Timer(self.clock() + seconds, minutes, user)
        self.reload_timer.handle = self.later(seconds, self.reload)

    def cancel_reload(self) -> bool:
        timer, self.reload_timer = self.reload_timer, None
        if timer is not None:
            timer.cancel()
        return timer is not None

    def reload(self, down_seconds: float = 0.0) -> None:
        """Restart: sessions end, unsaved configuration, counters and the log are gone."""
        self.cancel_reload()
        if self.revert is not None:
            self.revert.cancel()
            self.revert = None
        for session in list(self.sessions):
            session.drop()
        startup = self.startup
        self.lock_owner = None
        self.log = None
        self.dacl_hits, self.sgacl_hits, self.cell_hits = {}, {}, {}
        self.boot_time = self.clock()
        self.down_until = self.boot_time + down_seconds
        self.last_change = None
        self.loaded, self.unloaded = {}, set()
        self.replace_config(startup)

    # -- whole state -------------------------------------------------------------------------------------------------

    def dump(self) -> dict[str, Any]:
        """Return the whole state as data for JSON."""
        matches: list[list[Any]] = []
        for space in (self.config.lists, self.config.lists6):
            for each in space.values():
                matches += [[each.kind, each.name, e.sequence, e.matches] for e in each.entries if e.matches]
        return {
            "running": self.config.body(),
            "startup": self.startup,
            "last_change": self.last_change,
            "last_save": self.last_save,
            "matches": matches,
            "files": dict(self.files),
            "archives": list(self.archives),
            "dacl_hits": {name: {str(k): v for k, v in hits.items()} for name, hits in self.dacl_hits.items()},
            "sgacl_hits": {name: {str(k): v for k, v in hits.items()} for name, hits in self.sgacl_hits.items()},
            "cell_hits": [[*key, *hits] for key, hits in self.cell_hits.items()],
            "log": list(self.log or ()),
        }

    def restore(self, data: dict[str, Any]) -> None:
        """Bring back a state that dump() returned; timers, faults and records end."""
        data = json.loads(json.dumps(data))
        for timer in (self.revert, self.reload_timer):
            if timer is not None:
                timer.cancel()
        self.revert = self.reload_timer = None
        self._startup = data["startup"]
        self.last_change = tuple(data["last_change"]) if data["last_change"] else None
        self.last_save = tuple(data["last_save"]) if data["last_save"] else None
        self.files, self.archives = data["files"], data["archives"]
        self.log = deque(data["log"], maxlen=500)
        self.dacl_hits = {name: {int(k): v for k, v in hits.items()} for name, hits in data["dacl_hits"].items()}
        self.sgacl_hits = {name: {int(k): v for k, v in hits.items()} for name, hits in data["sgacl_hits"].items()}
        self.cell_hits = {(r[0], r[1], r[2]): r[3:] for r in data["cell_hits"]}
        self.faults.clear()
        self.replace_config(data["running"])
        for kind, name, sequence, count in data["matches"]:
            for entry in self.config.list_of(kind)[name].entries:
                if entry.sequence == sequence:
                    entry.matches = count

    @property
    def serial(self) -> str:
        return f"FCW{zlib.crc32(self.spec.hostname.encode()) % 10**8:08d}"

    @property
    def base_mac(self) -> str:
        return "00:27:90:" + ":".join(f"{byte:02x}" for byte in zlib.crc32(self.spec.hostname.encode()).to_bytes(4)[:3])
