# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of ports that servers listen on, with OT and medical protocols before the rest, and the hints an operator gives."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import read_document
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import codes

# OT and medical servers sit above client ports and inside ephemeral ranges, so they come first (facts/flows.md section 5).
RANKS = {"ot": 0, "iomt": 0, "iot": 1, "it": 2}
PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "dccp": 33, "gre": 47, "esp": 50, "icmpv6": 58, "sctp": 132}
LIST = Path(__file__).resolve().parent / "data" / "server_ports.json"


@dataclass(frozen=True)
class KnownPort:
    """A port of the list: protocol and port numbers, rank (0 first), field (ot, iomt, iot, it) and name."""

    protocol: int
    port: int
    rank: int
    field: str
    name: str


@dataclass(frozen=True)
class Hint:
    """An operator's word that a server listens there: network, protocol number, first and last port."""

    network: ipaddress.IPv4Network | ipaddress.IPv6Network
    protocol: int
    first: int
    last: int


@cache
def known_ports() -> tuple[KnownPort, ...]:
    """Return the list, one value per protocol and port, ordered by protocol and port."""
    document = read_document(LIST, "server-ports", 1)
    found: dict[tuple[int, int], KnownPort] = {}
    for field, protocols in document["ports"].items():
        for protocol, ports in protocols.items():
            for text, name in ports.items():
                first, last = port_range(text)
                for port in range(first, last + 1):
                    made = KnownPort(PROTOCOLS[protocol], port, RANKS[field], field, name)
                    before = found.get((made.protocol, port))
                    if before is None or made.rank < before.rank:
                        found[made.protocol, port] = made
    return tuple(found[key] for key in sorted(found))


def port_name(protocol: int, port: int) -> str:
    """Return the list's name of a port, or empty text."""
    return _names().get((protocol, port), "")


@cache
def _names() -> dict[tuple[int, int], str]:
    return {(each.protocol, each.port): each.name for each in known_ports()}


def protocol_number(value: Any) -> int:
    """Return the number of a protocol given by name or number; raises ValueError."""
    text = str(value).strip().lower()
    if text not in PROTOCOLS and not text.isdecimal():
        raise ValueError(f"protocol {str(value)[:40]!r} is no number and none of {', '.join(sorted(PROTOCOLS))}")
    number = PROTOCOLS[text] if text in PROTOCOLS else int(text)
    if number > 255:
        raise ValueError(f"protocol {number} is not between 0 and 255")
    return number


def hints_of(values: Iterable[Mapping[str, Any]]) -> list[Hint]:
    """Return hints from mappings with ``address`` (address or network), ``protocol`` (default tcp) and ``ports`` (``502``, ``5000-5010``).

    Raises FindingError SW1431.
    """
    made = []
    for position, value in enumerate(values, start=1):
        try:
            unknown = sorted(set(value) - {"address", "protocol", "ports"})
            if unknown:
                raise ValueError(f"unknown key {unknown[0]!r}")
            network = ipaddress.ip_network(str(value["address"]), strict=False)
            first, last = port_range(str(value["ports"]))
            made.append(Hint(network, protocol_number(value.get("protocol", "tcp")), first, last))
        except KeyError as error:
            raise FindingError(codes.HINT_INVALID.at(f"hint {position} has no {error.args[0]}")) from error
        except (ValueError, TypeError, AttributeError) as error:
            raise FindingError(codes.HINT_INVALID.at(f"hint {position}: {error}")) from error
    return made


def port_range(text: str) -> tuple[int, int]:
    """Return first and last port of ``502`` or ``5000-5010``; raises ValueError."""
    first, dash, last = (each.strip() for each in text.partition("-"))
    if not first.isdecimal() or (dash and not last.isdecimal()):
        raise ValueError(f"{text[:40]!r} is no port and no range of ports")
    low, high = int(first), int(last or first)
    if not low <= high <= 65535:
        raise ValueError(f"ports {text} are not between 0 and 65535")
    return low, high
