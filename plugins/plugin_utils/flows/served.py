# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the recorded traffic says about devices: the ports that they serve and use, as observations for the register.

A port is served where conversations to it were answered, by a handshake that was seen or for two clients or more; scans and what was
oriented by port numbers alone say nothing. It is the one kind of evidence that is there for every device (facts/risk.md section 1.2).
An end that no device held is a host without MAC, unless it lies outside ``inside``.
"""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.model import Observation
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import address, store
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.noise import NoiseLimits, noise_in
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.operations.gate import FlowGate

pa = guarded("pyarrow")

SOURCE = "flows"
SERVED, USED = 0.8, 0.7
MOST_PORTS = 64
SURE_ORIENTATION, CLIENTS = 0.9, 2
PROTOCOLS = {6: "tcp", 17: "udp"}
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def port_observations(
    data_dir: str | Path,
    since: store.Moment | None = None,
    *,
    inside: Iterable[str] = (),
    declared: Iterable[str] = (),
    limits: NoiseLimits | None = None,
    engine: str = "",
) -> list[Observation]:
    """Return one observation for each device that serves or uses ports, and one for each address inside that no device held.

    ``inside`` are networks of the site, ``declared`` addresses and networks of scanners that the site knows. At most MOST_PORTS ports
    of each kind are kept, those with most clients first. Nothing is returned where nothing is recorded.
    """
    if not store.stored_days(Path(data_dir)):
        return []
    scanned = noise_in(data_dir, since, declared=declared, limits=limits).conversations
    with FlowGate(data_dir, since, engine=engine) as gate:
        gate.bind()
        rows = gate.services(_table(scanned)).to_pylist()
    return list(_observations(rows, [ipaddress.ip_network(each) for each in inside]))


def _observations(rows: Iterable[Mapping[str, Any]], inside: Iterable[Network]) -> Iterator[Observation]:
    """Yield observations of the rows of ``queries.services``, ordered by who they are about."""
    networks = list(inside)
    ports: dict[tuple[str, str], dict[str, list[tuple[int, int, str]]]] = defaultdict(lambda: defaultdict(list))
    last: dict[tuple[str, str], int] = {}
    for row in rows:
        if row["side"] == "served" and row["peers"] < CLIENTS and row["confidence"] < SURE_ORIENTATION:
            continue
        device, where = row["device"], ""
        if not device:
            where = address.text_of(row["hi"], row["lo"])
            if not _is_inside(where, networks):
                continue
        key = (device, where)
        port = f"{PROTOCOLS[row['protocol']]}/{row['server_port']}"
        ports[key][row["side"]].append((-row["peers"], -row["flows"], port))
        last[key] = max(last.get(key, 0), row["last_us"])
    for key in sorted(ports):
        facts = {
            f"{side}_ports": tuple(sorted(port for _peers, _flows, port in sorted(found)[:MOST_PORTS]))
            for side, found in sorted(ports[key].items())
        }
        for name, values in facts.items():
            sure = SERVED if name == "served_ports" else USED
            yield Observation(key[0], {name: values}, (key[1],) if key[1] else (), SOURCE, last[key], sure)


def _is_inside(text: str, networks: Iterable[Network]) -> bool:
    parsed = ipaddress.ip_address(text)
    return not parsed.is_multicast and any(parsed in each for each in networks if each.version == parsed.version)


def _table(pairs: Iterable[Any]) -> Any:
    """Return the flagged conversations as a table."""
    names = ("client_hi", "client_lo", "server_hi", "server_lo", "protocol", "server_port")
    rows = [
        (*address.columns_of_int(*client), *address.columns_of_int(*server), protocol, port)
        for client, server, protocol, port in sorted(pairs)
    ]
    columns = list(zip(*rows, strict=True)) or [()] * len(names)
    return pa.table({name: pa.array(values, type=pa.int64()) for name, values in zip(names, columns, strict=True)})
