# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions to the rollup by address, device, segment, service and time, with a limit and in a stable order.

The engine sorts and cuts, so that an answer is as large as its limit and no larger.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import read_document
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.intervals import read_intervals
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.model import normal_mac
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import address, store
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.operations.engine import quoted
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.operations.gate import FlowGate
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.ports import (
    known_ports,
    port_range,
    protocol_number,
)

pa = guarded("pyarrow")

ORDERS = {"time": "", "bytes": "bytes DESC", "flows": "flows DESC", "last": "last_us DESC"}
LOCK = "members.lock.json"


@dataclass(frozen=True)
class Search:
    """What is asked for; empty fields ask for anything.

    ``client``, ``server`` and ``address`` (either end) are addresses or networks; ``device`` and ``segment`` are either end's;
    ``service`` is the name of a port of the list (``modbus``), or PROTOCOL/PORT or PROTOCOL/FIRST-LAST. ``order`` is one of ORDERS,
    ``limit`` 0 for all.
    """

    client: str = ""
    server: str = ""
    address: str = ""
    protocol: str = ""
    port: int = 0
    service: str = ""
    device: str = ""
    client_device: str = ""
    server_device: str = ""
    segment: str = ""
    client_segment: str = ""
    server_segment: str = ""
    binding: str = ""
    order: str = "time"
    limit: int = 0

    @property
    def segments(self) -> set[str]:
        """Return the segments that are asked for."""
        return {each for each in (self.segment, self.client_segment, self.server_segment) if each}

    @property
    def devices(self) -> set[str]:
        """Return the devices that are asked for, by their ids."""
        return {_device_id(each) for each in (self.device, self.client_device, self.server_device) if each}

    @property
    def who(self) -> bool:
        """Return whether the answer needs to know who held the addresses."""
        names = ("device", "client_device", "server_device", "segment", "client_segment", "server_segment", "binding")
        return any(getattr(self, name) for name in names)

    def condition(self) -> str:
        """Return the SQL condition; raises ValueError for an address, protocol, service, order or limit that is none."""
        if self.order not in ORDERS:
            raise ValueError(f"order {self.order!r} is none of {', '.join(ORDERS)}")
        if self.limit < 0:
            raise ValueError("a limit is 0 or more")
        made = ["true"]
        for side in ("client", "server"):
            if getattr(self, side):
                made.append(address.range_sql(getattr(self, side), side))
        if self.address:
            made.append(f"({address.range_sql(self.address, 'client')} OR {address.range_sql(self.address, 'server')})")
        if self.protocol:
            made.append(f"protocol = {protocol_number(self.protocol)}")
        if self.port:
            made.append(f"server_port = {int(self.port)}")
        if self.service:
            made.append(service_sql(self.service))
        for name in ("device", "segment"):
            told = _device_id if name == "device" else str
            if getattr(self, name):
                text = quoted(told(getattr(self, name)))
                made.append(f"(client_{name} = {text} OR server_{name} = {text})")
            for side in ("client", "server"):
                if getattr(self, f"{side}_{name}"):
                    made.append(f"{side}_{name} = {quoted(told(getattr(self, f'{side}_{name}')))}")
        if self.binding:
            made.append(f"(client_binding = {quoted(self.binding)} OR server_binding = {quoted(self.binding)})")
        return " AND ".join(made)


def _device_id(text: str) -> str:
    """Return the id of a device as the register has it: of a MAC its common form, however it is written."""
    try:
        return normal_mac(text)
    except ValueError:
        return text


def service_sql(text: str, port_column: str = "server_port") -> str:
    """Return the condition of a service: a name of the port list, or PROTOCOL/PORT or PROTOCOL/FIRST-LAST."""
    protocol, slash, ports = text.partition("/")
    if slash:
        first, last = port_range(ports)
        return f"(protocol = {protocol_number(protocol)} AND {port_column} BETWEEN {first} AND {last})"
    named = sorted({(each.protocol, each.port) for each in known_ports() if each.name == text})
    if not named:
        raise ValueError(f"service {text!r} is not on the list of ports; PROTOCOL/PORT always works")
    return "(" + " OR ".join(f"(protocol = {number} AND {port_column} = {port})" for number, port in named) + ")"


def check_devices(data_dir: str | Path, asked: Search) -> None:
    """Raise ValueError where the register knows no address of a device that is asked for: no rows would pass for no traffic."""
    if asked.devices:
        known = set(read_intervals(data_dir).column("device").unique().to_pylist())
        if unknown := sorted(asked.devices - known):
            raise ValueError(f"the register knows no address of a device {unknown[0]!r}")


def members_of(policy_dir: str | Path, asked: Collection[str] = ()) -> Any:
    """Return the table of devices and segments of a policy directory's committed lock; without one, no device has a segment.

    Raises ValueError where a segment that is ``asked`` for is not in it: no rows would pass for no traffic.
    """
    path = Path(policy_dir) / LOCK if policy_dir else None
    if path is None or not path.exists():
        if asked:
            raise ValueError(f"segments are told by {LOCK} of the policy directory, and {str(policy_dir)!r} has none")
        return None
    segments: Mapping[str, Any] = read_document(path, "members", 1)["segments"]
    if unknown := sorted(set(asked) - set(segments)):
        raise ValueError(f"{path} has no segment {unknown[0]!r}")
    pairs = sorted(
        {(str(each["device"]), str(name)) for name, segment in segments.items() for each in segment["devices"]}
    )
    return pa.table(
        {
            "device": pa.array([pair[0] for pair in pairs], pa.string()),
            "segment": pa.array([pair[1] for pair in pairs], pa.string()),
        }
    )


def search(
    data_dir: str | Path,
    asked: Search,
    since: store.Moment | None = None,
    until: store.Moment | None = None,
    *,
    policy_dir: str | Path = "",
    who: bool = False,
    engine: str = "",
) -> Any:
    """Return the rollup rows that are asked for as an Arrow table; ``who`` adds devices, bindings and segments in any case."""
    condition = asked.condition()
    check_devices(data_dir, asked)
    with FlowGate(data_dir, since, until, engine) as gate:
        who = who or asked.who
        if who:
            gate.bind(members=members_of(policy_dir, asked.segments))
        return gate.search(condition, who=who, order=ORDERS[asked.order], limit=asked.limit)
