# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many switches in one process: one listener each on a loopback address, a host key, the side channel."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import asyncssh

from tests.lab.iosxe.control import ControlServer
from tests.lab.iosxe.device import Clock, Device
from tests.lab.iosxe.provider import Provider
from tests.lab.iosxe.session import SwitchServer

Users = dict[str, tuple[str, int]]  # name -> (password, privilege 1 or 15)
T = TypeVar("T")

KEY_TYPE = "ssh-ed25519"
SERVER_VERSION = "Cisco-1.25"
# What images of ten and more years ago offer, and nothing else.
OLD_SSH: dict[str, Any] = {
    "signature_algs": ["ssh-rsa"],
    "kex_algs": ["diffie-hellman-group14-sha1"],
    "encryption_algs": ["aes128-cbc"],
    "mac_algs": ["hmac-sha1"],
}


class Fleet:
    """The switches. start() and stop() run in an event loop; FleetThread runs one beside a synchronous test.

    users: name -> password or (password, privilege). host_key_path: the shared ed25519 key, made when missing.
    known_hosts_path: where to write the public keys for clients that verify. control_address: where the side channel
    listens (port 0: any free one, see control_port), None for none. device_class: what is made of a spec; other platforms
    give theirs, which has what sessions and the side channel use of Device.
    """

    def __init__(
        self,
        devices: Sequence[Any],
        host_key_path: str | Path | None = None,
        users: Mapping[str, str | tuple[str, int]] | None = None,
        control_address: tuple[str, int] | None = None,
        *,
        known_hosts_path: str | Path | None = None,
        enable_secret: str = "enable",
        provider: Provider | None = None,
        clock: Clock = time.time,
        device_class: type[Any] = Device,
    ) -> None:
        names = [spec.hostname for spec in devices]
        if len(set(names)) != len(names):
            raise ValueError("two devices share a host name")
        for spec in devices:
            if not spec.address.startswith("127.") and spec.address != "::1":
                raise ValueError(f"{spec.hostname}: {spec.address} is not a loopback address")
        self.users: Users = {
            name: (value, 1) if isinstance(value, str) else (value[0], value[1])
            for name, value in (users or {}).items()
        }
        self.host_key_path = Path(host_key_path) if host_key_path else None
        self.known_hosts_path = Path(known_hosts_path) if known_hosts_path else None
        self.provider = provider
        self.devices: dict[str, Any] = {
            spec.hostname: device_class(spec, provider, enable_secret=enable_secret, clock=clock) for spec in devices
        }
        self._control_address = control_address
        self._control: ControlServer | None = None
        self._listeners: dict[str, asyncssh.SSHAcceptor] = {}
        self._keys: dict[str, asyncssh.SSHKey] = {}
        self._shared_key: asyncssh.SSHKey | None = None

    @property
    def control_port(self) -> int:
        """The port of the side channel, 0 without one."""
        return self._control.port if self._control is not None else 0

    async def start(self) -> None:
        """Open every listener, then the side channel; write the known_hosts file."""
        loop = asyncio.get_running_loop()
        self._shared_key = _key(self.host_key_path)
        options = asyncssh.SSHServerConnectionOptions(
            server_host_keys=[self._shared_key],
            server_version=SERVER_VERSION,
            encoding="utf-8",
            errors="replace",
            line_editor=False,
            compression_algs=None,
            login_timeout=60,
            allow_scp=False,
            sftp_factory=None,
            process_factory=None,
            agent_forwarding=False,
        )
        for name, device in self.devices.items():
            device.loop = loop
            key = _key(Path(device.spec.host_key_path)) if device.spec.host_key_path else self._shared_key
            if getattr(device.spec, "old_ssh", False):
                key = asyncssh.generate_private_key("ssh-rsa", key_size=2048)
            self._keys[name] = key
            self._listeners[name] = await self._listen(device, options, key)
            device.port = self._listeners[name].get_port()
        if self.known_hosts_path is not None:
            self.write_known_hosts(self.known_hosts_path)
        if self._control_address is not None:
            self._control = ControlServer(self, *self._control_address)
            await self._control.start()

    async def _listen(
        self, device: Device, options: asyncssh.SSHServerConnectionOptions, key: asyncssh.SSHKey
    ) -> asyncssh.SSHAcceptor:
        def factory() -> SwitchServer:
            return SwitchServer(device, self.users)

        old = OLD_SSH if getattr(device.spec, "old_ssh", False) else {}
        own = asyncssh.SSHServerConnectionOptions(options, server_factory=factory, server_host_keys=[key], **old)
        return await asyncssh.listen(device.spec.address, device.spec.port, options=own, backlog=20)

    async def stop(self) -> None:
        """Close everything; sessions end."""
        if self._control is not None:
            await self._control.stop()
            self._control = None
        for device in self.devices.values():
            for timer in (device.revert, device.reload_timer):
                if timer is not None:
                    timer.cancel()
            for session in list(device.sessions):
                session.drop()
        for listener in self._listeners.values():
            listener.close()
        self._listeners.clear()
        await asyncio.sleep(0)

    def device(self, name: str) -> Device:
        """Return a device by host name or address; raises KeyError."""
        if name in self.devices:
            return self.devices[name]
        return next(each for each in self.devices.values() if name in (each.spec.address, each.config.hostname))

    def write_known_hosts(self, path: str | Path) -> None:
        """Write one line per switch in the format of OpenSSH."""
        lines = []
        for name, device in self.devices.items():
            spec = device.spec
            host = spec.address if device.port == 22 else f"[{spec.address}]:{device.port}"
            public = self._keys[name].export_public_key("openssh").decode().split()
            lines.append(f"{host} {public[0]} {public[1]}\n")
        Path(path).write_text("".join(lines), encoding="ascii")

    def change_host_key(self, name: str) -> None:
        """Give one switch another host key (not in the known_hosts file) for connections from now on."""
        self._keys[name] = asyncssh.generate_private_key(KEY_TYPE)
        self._listeners[name].update(server_host_keys=[self._keys[name]])


def _key(path: Path | None) -> asyncssh.SSHKey:
    if path is not None and path.exists():
        return asyncssh.read_private_key(path)
    key = asyncssh.generate_private_key(KEY_TYPE)
    if path is not None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(key.export_private_key())
    return key


class FleetThread:
    """Runs a fleet's event loop in a thread: "with FleetThread(fleet) as running: ..."."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._main, name="iosxe-fleet", daemon=True)

    def _main(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    def __enter__(self) -> FleetThread:
        self._thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self.fleet.start(), self.loop).result(60)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        asyncio.run_coroutine_threadsafe(self.fleet.stop(), self.loop).result(30)
        self._end()

    def _end(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)

    def call(self, function: Callable[[], T]) -> T:
        """Run a function in the fleet's loop and return what it returns (or raise what it raises)."""

        async def run() -> T:
            return function()

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(60)

    def device(self, name: str) -> Any:
        """Return a device for reading; change it only through call()."""
        return self.fleet.device(name)
