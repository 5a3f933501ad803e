"""Ports that devices serve and use, from recorded traffic: what counts, for whom, and what scans do not add."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any

import pyarrow as pa

from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.intervals import (
    Claim,
    interval_table,
    intervals_of,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import address
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.operations.gate import FlowGate
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.schema import ROLLUP, arrow_schema
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.served import (
    MOST_PORTS,
    _observations,
    _table,
    port_observations,
)

PLC, HMI, PC, PRINTER = "00:1b:c5:00:00:01", "00:1b:c5:00:00:02", "00:1b:c5:00:00:03", "00:1b:c5:00:00:04"
HELD = {"10.0.0.1": PLC, "10.0.0.2": HMI, "10.0.0.3": PC}


def row(client: str, server: str, port: int, **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = dict.fromkeys(ROLLUP, 0)
    made |= {
        "day": 20_000,
        "protocol": 6,
        "server_port": port,
        "class": "unicast",
        "flows": 3,
        "answered_flows": 3,
        "first_us": 100,
        "last_us": 200,
    }
    made |= {"method": 1, "confidence": 0.99, **more}
    for end, text in (("client", client), ("server", server)):
        made[f"{end}_hi"], made[f"{end}_lo"] = address.columns_of(text)
    return made


def asked(rows: list[dict[str, Any]], noise: list[Any] | None = None) -> list[dict[str, Any]]:
    """Return the answer of the operation over rows of a rollup that stand in no store."""
    intervals = [
        each for text, device in HELD.items() for each in intervals_of(text, [Claim(0, 1000, device, "s", 0.9)])
    ]
    with FlowGate(Path("none"), engine="duckdb") as gate:
        gate.engine.table("daily", pa.Table.from_pylist(rows, schema=arrow_schema(ROLLUP)))
        gate._ready.add("daily")
        gate.bind(interval_table(intervals))
        answer: list[dict[str, Any]] = gate.services(_table(noise or [])).to_pylist()
        return answer


def ports(rows: list[dict[str, Any]], noise: Any = None, inside: tuple[str, ...] = ()) -> dict[str, dict[str, Any]]:
    made: dict[str, dict[str, Any]] = {}
    for each in _observations(asked(rows, noise), [ipaddress.ip_network(one) for one in inside]):
        made.setdefault(each.mac or str(each.addresses[0]), {}).update(each.facts)
    return made


def test_answered_conversations_make_ports_of_both_ends() -> None:
    made = ports(
        [
            row("10.0.0.2", "10.0.0.1", 502),
            row("10.0.0.2", "10.0.0.1", 161, protocol=17),
            row("10.0.0.3", "10.0.0.2", 80),
        ]
    )
    assert made == {
        PLC: {"served_ports": ("tcp/502", "udp/161")},
        HMI: {"served_ports": ("tcp/80",), "used_ports": ("tcp/502", "udp/161")},
        PC: {"used_ports": ("tcp/80",)},
    }


def test_what_was_not_answered_guessed_or_scanned_says_nothing() -> None:
    pair = (*(address.int_of(*address.columns_of(text)) for text in ("10.0.0.3", "10.0.0.1")), 6, 445)
    assert ports([row("10.0.0.3", "10.0.0.1", 23, answered_flows=0), row("10.0.0.3", "10.0.0.1", 22, method=9)]) == {}
    assert ports([row("10.0.0.3", "10.0.0.1", 445)], [pair]) == {}
    assert ports([row("10.0.0.3", "239.0.0.1", 5353, protocol=17, **{"class": "multicast"})]) == {}
    # Without a handshake it takes two clients.
    weak = {"confidence": 0.7, "method": 5}
    one = [row("10.0.0.3", "10.0.0.1", 8080, **weak)]
    assert PLC not in ports(one)
    assert ports([*one, row("10.0.0.2", "10.0.0.1", 8080, **weak)])[PLC] == {"served_ports": ("tcp/8080",)}


def test_ends_that_no_device_held_are_hosts_inside_and_nobody_outside() -> None:
    rows = [row("10.0.0.3", "10.0.0.99", 9100), row("10.0.0.3", "198.51.100.1", 443)]
    assert set(ports(rows)) == {PC}
    assert ports(rows, inside=("10.0.0.0/8",))["10.0.0.99"] == {"served_ports": ("tcp/9100",)}


def test_the_ports_of_most_clients_are_kept() -> None:
    rows = [
        row(f"10.0.1.{client}", "10.0.0.1", port) for port in range(1, 90) for client in range(1, 3 if port > 80 else 2)
    ]
    kept = ports(rows)[PLC]["served_ports"]
    assert len(kept) == MOST_PORTS
    assert {f"tcp/{port}" for port in range(81, 90)} <= set(kept)


def test_nothing_is_said_where_nothing_is_recorded(tmp_path: Path) -> None:
    assert port_observations(tmp_path) == []
