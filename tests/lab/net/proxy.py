# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small relay: a loopback port of the root namespace to an address inside the lab.

The outgoing socket is made inside the controller's namespace, so an SSH session to fw1 really arrives on fw1's
management link and meets its input chain.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import threading

from ..processes import LabError, NamespaceThread

_CHUNK = 65536


class Proxy:
    """Relays ``listen`` (root namespace) to ``target`` (reached from the namespace behind ``descriptor``)."""

    def __init__(self, listen: tuple[str, int], target: tuple[str, int], descriptor: int) -> None:
        self.listen = listen
        self.target = target
        self._inside = NamespaceThread(descriptor)
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, name="lab-proxy", daemon=True)

    def start(self) -> None:
        """Listen; raises LabError when the port is in use."""
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(self.listen)
        except OSError as error:
            listener.close()
            if error.errno == errno.EADDRINUSE:
                raise LabError(f"port {self.listen[0]}:{self.listen[1]} (fw1 SSH) is in use") from error
            raise
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._serve, sock=listener), self._loop
        ).result(5)

    def stop(self) -> None:
        if not self._thread.is_alive():
            self._inside.close()
            return
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=3)
        self._loop.close()
        self._inside.close()

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._relay(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sock = self._inside.run(lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM))
        sock.setblocking(False)
        try:
            # No answer from fw1 must look like no answer: the client waits, as it would on a wire.
            await asyncio.wait_for(self._loop.sock_connect(sock, self.target), timeout=60)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            far_reader, far_writer = await asyncio.open_connection(sock=sock)
        except (TimeoutError, OSError):
            sock.close()
            return
        try:
            await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
        finally:
            far_writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError):
        if writer.can_write_eof():
            writer.write_eof()
