# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections in an ASA's table that a new list no longer permits (facts/devices.md section 1.7: they live on until cleared). Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import PacketSpace, verdicts
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import SYN, FirstMatchList, make_packet
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.asa_config import GLOBAL, AsaState, Place

_ROW = re.compile(r"\A(TCP|UDP|SCTP) (\S+?):?\s+([0-9a-fA-F.:]+):(\d{1,5}) (\S+?):?\s+([0-9a-fA-F.:]+):(\d{1,5}),")
_TABLE = re.compile(r"\A(?:TCP|UDP|SCTP|ICMP|ICMP6|GRE|ESP|IPINIP|OTHER) ")
_NUMBERS = {"tcp": 6, "udp": 17, "sctp": 132}


@dataclass(frozen=True)
class Connection:
    """One row: two ends in the device's order, which does not say who opened it."""

    protocol: str
    first: tuple[str, str, int]  # nameif, address, port
    second: tuple[str, str, int]

    def describe(self) -> str:
        """Return the connection as text."""
        (one, a, p), (two, b, q) = self.first, self.second
        return f"{self.protocol} {one} {a}:{p} {two} {b}:{q}"

    def clear(self) -> str:
        """Return the command that removes exactly this connection."""
        (_one, a, p), (_two, b, q) = self.first, self.second
        return f"clear conn protocol {self.protocol} address {a} port {p} address {b} port {q}"


def read_connections(text: str) -> tuple[list[Connection], int]:
    """Return the connections of ``show conn``, and how many rows could not be read."""
    found, unread = [], 0
    for line in text.splitlines():
        row = _ROW.match(line.strip())
        if row is None:
            unread += bool(_TABLE.match(line.strip()))
            continue
        try:
            ends = [(row[at], str(ipaddress.ip_address(row[at + 1])), int(row[at + 2])) for at in (2, 5)]
        except ValueError:
            unread += 1
            continue
        found.append(Connection(row[1].lower(), ends[0], ends[1]))
    return found, unread


def no_longer_permitted(
    connections: Iterable[Connection], rules: FirstMatchList, state: AsaState, places: Sequence[Place]
) -> list[Connection]:
    """Return the connections that the list surely denies in whichever direction they were opened.

    Only for the global list, and only between interfaces without a list of their own, whose entries come first: an interface's
    list sees one direction, and the table does not tell for sure which that is.
    """
    if GLOBAL not in places:
        return []
    passing = verdicts(PacketSpace(), rules).maybe_permitted
    own = {each.address.partition("/")[0] for each in state.named.values()}
    found = []
    for each in connections:
        (one, a, p), (two, b, q) = each.first, each.second
        if {(one, "in"), (two, "in")} & set(state.groups) or {a, b} & own or ":" in a + b:
            continue
        number = _NUMBERS[each.protocol]
        ways = (make_packet(number, a, b, q, p, flags=SYN), make_packet(number, b, a, p, q, flags=SYN))
        if not any(packet in passing for packet in ways):
            found.append(each)
    return found
