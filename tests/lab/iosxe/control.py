# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The side channel: JSON over HTTP on loopback, for the lab only. POST /NAME with a JSON object, answer a JSON object.

devices {}                                   host name, address, port, model of each switch
counters {device}                            sessions opened, config lines received, config lines that changed state ...
records {device, since?}                     every configuration line received: time, line, user, changed, output
reset {device}                               counters, records and trace start again, faults end
inject {device, probes, count?}              verdicts of packets; counters of the deciding entries rise by count (1)
decide {device, probes}                      the same without counting
probes {device, probes}                      install packets to be judged after every line that changes state
trace {device}                               those records: time, line, user, verdicts (P, D or ? per probe)
apply {device, lines, user?}                 configuration lines from another administrator, without SSH
running {device}  startup {device}           the texts
save {device}                                running becomes startup
dump {device}     restore {device, state}    whole state
fault {device, fault}  clear_faults {device}  see faults.py
host_key {device}                            a new host key, unknown to known_hosts
reload {device, down_seconds?}               running becomes startup again, sessions end
provider {sessions?, cells?, sgts?}          replace what a StaticProvider holds
log {device}                                 the log buffer

device is a host name or address; "*" means every switch (the answer then has one entry per host name).
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from tests.lab.iosxe.device import Counters, Device
from tests.lab.iosxe.provider import StaticProvider
from tests.lab.iosxe.verdicts import verdict_string

if TYPE_CHECKING:
    from tests.lab.iosxe.fleet import Fleet

MAX_BODY = 64 * 1024 * 1024
Data = dict[str, Any]


def apply_lines(device: Device, lines: list[str], user: str = "other-admin") -> list[str]:
    """Apply configuration lines as another administrator does; returns the output of each line."""
    return device.apply_lines(lines, user)


def reset(device: Device) -> None:
    """Counters, records and trace start again, faults and probes end."""
    device.counters = Counters()
    device.trace, device.probes = [], []
    device.faults.clear()


class Control:
    """The operations, without the network."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet

    def run(self, name: str, data: Data) -> Data:
        """Carry out one operation; raises KeyError or ValueError."""
        if name == "devices":
            return {
                "devices": [
                    {
                        "hostname": each.spec.hostname,
                        "address": each.spec.address,
                        "port": each.port,
                        "model": each.spec.model,
                    }
                    for each in self.fleet.devices.values()
                ]
            }
        if name == "provider":
            return self._provider(data)
        operation = getattr(self, f"do_{name}", None)
        if operation is None:
            raise KeyError(f"unknown operation {name!r}")
        if data.get("device") == "*":
            return {each.spec.hostname: operation(each, data) for each in self.fleet.devices.values()}
        answer: Data = operation(self.fleet.device(data["device"]), data)
        return answer

    def _provider(self, data: Data) -> Data:
        provider = self.fleet.provider
        if not isinstance(provider, StaticProvider):
            raise ValueError("the fleet's provider cannot be set")
        names = {int(tag): name for tag, name in data["sgts"].items()} if "sgts" in data else None
        provider.set(data.get("sessions"), data.get("cells"), names)
        return {"revision": provider.revision}

    def do_counters(self, device: Device, data: Data) -> Data:
        return device.counters.to_dict()

    def do_records(self, device: Device, data: Data) -> Data:
        return {"records": device.counters.records[int(data.get("since", 0)) :]}

    def do_reset(self, device: Device, data: Data) -> Data:
        reset(device)
        return {}

    def do_inject(self, device: Device, data: Data) -> Data:
        count = int(data.get("count", 1))
        return {"verdicts": [device.decide(probe, count=count).to_dict() for probe in data["probes"]]}

    def do_decide(self, device: Device, data: Data) -> Data:
        return {"verdicts": [device.decide(probe).to_dict() for probe in data["probes"]]}

    def do_probes(self, device: Device, data: Data) -> Data:
        device.probes, device.trace = list(data["probes"]), []
        return {"verdicts": verdict_string(device, device.probes)}

    def do_trace(self, device: Device, data: Data) -> Data:
        return {"trace": device.trace}

    def do_apply(self, device: Device, data: Data) -> Data:
        return {"outputs": apply_lines(device, data["lines"], data.get("user", "other-admin"))}

    def do_running(self, device: Device, data: Data) -> Data:
        return {"text": device.running_text()}

    def do_startup(self, device: Device, data: Data) -> Data:
        return {"text": device.startup}

    def do_save(self, device: Device, data: Data) -> Data:
        device.save(data.get("user", "other-admin"))
        return {}

    def do_dump(self, device: Device, data: Data) -> Data:
        return {"state": device.dump()}

    def do_restore(self, device: Device, data: Data) -> Data:
        device.restore(data["state"][device.spec.hostname]["state"] if data["device"] == "*" else data["state"])
        return {}

    def do_fault(self, device: Device, data: Data) -> Data:
        device.faults.add(data["fault"])
        return {}

    def do_clear_faults(self, device: Device, data: Data) -> Data:
        device.faults.clear()
        return {}

    def do_host_key(self, device: Device, data: Data) -> Data:
        self.fleet.change_host_key(device.spec.hostname)
        return {}

    def do_reload(self, device: Device, data: Data) -> Data:
        device.reload(float(data.get("down_seconds", 0.0)))
        return {}

    def do_log(self, device: Device, data: Data) -> Data:
        return {"log": list(device.log or ())}


class ControlServer:
    """A minimal HTTP server for the operations; one request per connection."""

    def __init__(self, fleet: Fleet, host: str, port: int) -> None:
        if not host.startswith("127."):
            raise ValueError("the side channel listens on loopback only")
        self.control, self.host, self.port = Control(fleet), host, port
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        status, answer = "200 OK", b""
        try:
            request = (await reader.readline()).decode("ascii").split()
            length = 0
            while (line := await reader.readline()).strip():
                key, _, value = line.decode("latin-1").partition(":")
                if key.lower() == "content-length":
                    length = int(value)
            if len(request) < 2 or length > MAX_BODY:
                raise ValueError("bad request")
            body = await reader.readexactly(length) if length else b"{}"
            answer = json.dumps(self.control.run(request[1].strip("/"), json.loads(body))).encode()
        except (KeyError, StopIteration) as error:
            status, answer = "404 Not Found", json.dumps({"error": f"unknown: {error}"}).encode()
        except (ValueError, TypeError, asyncio.IncompleteReadError) as error:
            status, answer = "400 Bad Request", json.dumps({"error": str(error)}).encode()
        try:
            head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(answer)}\r\n"
            head += "Connection: close\r\n\r\n"
            writer.write(head.encode() + answer)
            await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()
