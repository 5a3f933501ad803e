# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Building automation: Modbus/TCP by pymodbus and BACnet/IP by bacpypes3, controllers and the management server."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from bacpypes3.app import Application  # type: ignore[import-untyped]
from bacpypes3.ipv4.app import NormalApplication  # type: ignore[import-untyped]
from bacpypes3.local.analog import AnalogValueObject  # type: ignore[import-untyped]
from bacpypes3.local.device import DeviceObject  # type: ignore[import-untyped]
from bacpypes3.pdu import Address, IPv4Address  # type: ignore[import-untyped]
from bacpypes3.primitivedata import ObjectIdentifier  # type: ignore[import-untyped]
from pymodbus.client import ModbusTcpClient
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

BACNET_PORT = 47808


class LoopThread:
    """An event loop in a thread; made inside a namespace, everything it opens is there too."""

    def __init__(self, start: Callable[[], Any]) -> None:
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, args=(start,), daemon=True)
        self._thread.start()
        self._ready.wait(10)
        if self._error is not None:
            raise self._error

    def _work(self, start: Callable[[], Any]) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self.value = self._loop.run_until_complete(_awaited(start))
        except BaseException as error:
            self._error = error
            return
        finally:
            self._ready.set()
        self._loop.run_forever()

    def call(self, coroutine: Any, timeout: float = 15) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=2)


async def _awaited(start: Callable[[], Any]) -> Any:
    result = start()
    return await result if asyncio.iscoroutine(result) else result


def serve_modbus(address: tuple[str, int]) -> LoopThread:
    """An air handler's Modbus unit 1 with 16 holding registers."""

    async def start() -> ModbusTcpServer:
        device = SimDevice(
            1, simdata=[SimData(0, values=[200 + each for each in range(16)], datatype=DataType.REGISTERS)]
        )
        server = ModbusTcpServer(device, address=address)
        await server.serve_forever(background=True)
        return server

    return LoopThread(start)


def read_modbus(server: tuple[str, int], polls: int, pause: Callable[[], None]) -> int:
    """Poll registers over one connection; returns its client port. Raises ValueError on an exception answer."""
    client: Any = ModbusTcpClient(server[0], port=server[1], timeout=5)
    if not client.connect():
        raise ValueError("Modbus connection refused")
    try:
        port: int = client.socket.getsockname()[1]
        for _ in range(polls):
            if client.read_holding_registers(0, count=8, device_id=1).isError():
                raise ValueError("Modbus read failed")
            pause()
    finally:
        client.close()
    return port


def start_bacnet(address: str, prefix_length: int, instance: int) -> LoopThread:
    """A BACnet device on UDP 47808 with one analog value; also what a client speaks through (47808 at both ends)."""

    def start() -> Application:
        device = DeviceObject(
            objectIdentifier=f"device,{instance}",
            objectName=f"lab-{instance}",
            vendorIdentifier=999,
            maxApduLengthAccepted=1024,
        )
        application = NormalApplication(device, IPv4Address(f"{address}/{prefix_length}"))
        application.add_object(
            AnalogValueObject(objectIdentifier="analogValue,1", objectName="supply-air-temperature", presentValue=19.5)
        )
        return application

    return LoopThread(start)


def read_bacnet(application: LoopThread, server: str, polls: int, pause: Callable[[], None]) -> None:
    """ReadProperty present-value, ``polls`` times; raises on an error answer or none."""
    for _ in range(polls):
        value = application.call(
            application.value.read_property(Address(server), ObjectIdentifier("analog-value,1"), "present-value")
        )
        if not isinstance(float(value), float):
            raise ValueError("BACnet read failed")
        pause()
