# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start and stop the emulated ISE: HTTPS for its APIs, plain HTTP on the next port for the lab's side channel."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvicorn

from tests.lab.ise.app import IseApp
from tests.lab.ise.certificates import server_certificate
from tests.lab.ise.control import ControlApp
from tests.lab.ise.seed import build_store


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # the process that runs the lab decides about signals


class IseServer:
    """One emulated ISE node; with ``peer_of`` the second administration node of the other's deployment, same state.

    host must be a loopback address. The control channel listens on port + 1. Use ``await start()`` and ``await stop()``
    in a loop of yours, or ``start_in_thread()`` and ``stop_thread()`` (or ``with server:``) from synchronous code.
    """

    def __init__(
        self,
        host: str,
        port: int,
        certificate_dir: str | Path,
        seed: dict[str, Any] | None = None,
        username: str = "ersadmin",
        password: str = "Lab-Admin-1",
        operator_username: str = "ersoperator",
        operator_password: str = "Lab-Operator-1",
        peer_of: IseServer | None = None,
    ) -> None:
        if not host.startswith("127."):
            raise ValueError("the lab listens on loopback only")
        certificate = server_certificate(Path(certificate_dir), host, username)
        self.host, self.port = host, port
        self.base_url = f"https://{host}:{port}"
        self.control_url = f"http://{host}:{port + 1}"
        self.ca_file = str(certificate.ca_file)
        self.username, self.password = username, password
        self.operator_username, self.operator_password = operator_username, operator_password
        self.store = build_store(seed or {}) if peer_of is None else peer_of.store
        if peer_of is not None:
            self.store.settings.update(peer=True, addresses=[peer_of.host, host])
        accounts = {username: (password, "admin"), operator_username: (operator_password, "operator")}
        self.app = IseApp(self.store, accounts, self.base_url, int(peer_of is not None))
        about = {"base_url": self.base_url, "control_url": self.control_url, "ca_file": self.ca_file}
        common: dict[str, Any] = {
            "lifespan": "off",
            "http": "h11",
            "log_config": None,
            "log_level": "error",
            "access_log": False,
            "server_header": False,
            "date_header": True,
            "timeout_keep_alive": 75,
            "timeout_graceful_shutdown": 1,
        }
        key_and_chain = str(certificate.server_file)
        secure: dict[str, Any] = {"ssl_certfile": key_and_chain, "ssl_keyfile": key_and_chain}
        # A certificate is asked for, never needed for the connection itself: the setting decides what it is worth.
        secure.update(ssl_ca_certs=self.ca_file, ssl_cert_reqs=int(ssl.CERT_OPTIONAL))
        self.client_certificate = str(certificate.client_file)
        control: Any = ControlApp(self.app, about)
        ise: Any = self.app
        self._configs = [
            uvicorn.Config(ise, host=host, port=port, **secure, **common),
            uvicorn.Config(control, host=host, port=port + 1, **common),
        ]
        self._servers: list[_Server] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def start(self) -> None:
        """Raises OSError when an address is taken."""
        for config in self._configs:
            listener = _listen(config.host, config.port)
            server = _Server(config)
            self._servers.append(server)
            self._tasks.append(asyncio.create_task(server.serve(sockets=[listener])))
        while not all(server.started for server in self._servers):
            for task in self._tasks:
                if task.done():
                    task.result()
                    raise RuntimeError("the server ended at once")
            await asyncio.sleep(0.01)

    async def stop(self) -> None:
        for server in self._servers:
            server.should_exit = True
            for connection in list(server.server_state.connections):
                transport: Any = getattr(connection, "transport", None)
                if transport is not None:
                    transport.abort()  # clients keep connections open; a closing TLS handshake could wait for them
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._servers, self._tasks = [], []

    # -- from synchronous code

    def start_in_thread(self) -> IseServer:
        ready = threading.Event()
        failure: list[BaseException] = []

        async def run() -> None:
            self._loop, self._ending = asyncio.get_running_loop(), asyncio.Event()
            try:
                await self.start()
            except BaseException as error:
                failure.append(error)
                await self.stop()
                return
            finally:
                ready.set()
            await self._ending.wait()
            await self.stop()

        self._thread = threading.Thread(target=lambda: asyncio.run(run()), name=f"ise-{self.host}", daemon=True)
        self._thread.start()
        ready.wait(timeout=20)
        if failure:
            raise failure[0]
        return self

    def stop_thread(self) -> None:
        if self._thread is not None and self._loop is not None:
            if self._thread.is_alive():
                self._loop.call_soon_threadsafe(self._ending.set)
            self._thread.join(timeout=10)
            self._thread = None

    def __enter__(self) -> IseServer:
        return self.start_in_thread()

    def __exit__(self, *_error: object) -> None:
        self.stop_thread()


def _listen(host: str, port: int) -> socket.socket:
    # The protocol is named because asyncio sets TCP_NODELAY only then; without it each answer waits 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(256)
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener
