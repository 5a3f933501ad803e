# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Classes of conversations, and the direction of those that show it themselves: rules 0 to 2 of ``orientation.py``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import grouping, signs
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.address import range_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.conversations import NEVER, SYN
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.schema import CLASSES

np = guarded("numpy")

__all__ = ["NEVER", "UNDECIDED", "UNICAST", "decided"]

UNDECIDED = -1
UNICAST, PEER, MULTICAST, BROADCASTS = (CLASSES.index(name) for name in ("unicast", "peer", "multicast", "broadcast"))
# RFC 5771, RFC 919, RFC 4291 section 2.7 as ranges of the address columns.
GROUPS_V4 = range_of("224.0.0.0/4")
GROUPS_V6 = range_of("ff00::/8")
BROADCAST = range_of("255.255.255.255/32")
TCP, UDP, ICMP, ICMPV6 = 6, 17, 1, 58


def decided(wholes: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    """Return arrays of (whether end a is the client, the rule that says so or ``UNDECIDED``, code of the class)."""
    protocol, told = grouping.narrow(wholes["protocol"]), wholes["signs"]
    # Most batches have no record of most signs, and of groups and broadcasts: what is not there is not compared row by row.
    met = int(np.bitwise_or.reduce(told)) if len(told) else 0
    a_port, b_port = wholes["a_port"], wholes["b_port"]
    icmp = (protocol == ICMP) | (protocol == ICMPV6)
    same_port = a_port == b_port
    groups = [_group(wholes, end) for end in "ab"]
    everyone = [_everyone(wholes, end, other, met) for end, other in (("a", 1), ("b", 0))]
    kind = np.where(same_port & ~icmp & (protocol != TCP), PEER, UNICAST).astype(np.int8)
    kind[everyone[0] | everyone[1]] = BROADCASTS
    kind[groups[0] | groups[1]] = MULTICAST
    a_start, b_start = wholes["a_start"], wholes["b_start"]
    flags = told & (SYN | SYN << signs.FLAG_BITS)
    begun = (protocol == TCP) & (flags == (SYN | SYN << signs.FLAG_BITS)) & (a_start != NEVER) & (b_start != NEVER)
    begun &= np.abs(a_start - b_start) > wholes["step_us"]
    rules = [(2, begun, a_start < b_start)]
    if met & 3 << signs.PAIRS["syn_ack"]:
        rules.append((1, _differ(told, "syn_ack"), _bit(told, "syn_ack", 1)))
    if met & 3 << signs.PAIRS["pure"]:
        rules.append((1, _differ(told, "pure"), _bit(told, "pure", 0)))
    if icmp.any():
        rules.append((1, icmp & ~same_port, a_port == 0))
    if met & (3 << signs.PAIRS["opened"] | 3 << signs.PAIRS["answers"]):
        a_opened = _either(told, "opened", 0, "answers", 1)
        rules.append((0, a_opened != _either(told, "opened", 1, "answers", 0), a_opened))
    rules.append((1, kind >= MULTICAST, ~(groups[0] | everyone[0])))
    method = np.full(len(told), UNDECIDED, dtype=np.int8)
    client = np.zeros(len(told), dtype=bool)
    # The last one that speaks stands, so the strongest comes last.
    for number, speaks, a_is_client in rules:
        if speaks.any():
            method[speaks] = number
            client = np.where(speaks, a_is_client, client)
    return client, method, kind


def _bit(told: Any, name: str, place: int) -> Any:
    return told & (1 << (signs.PAIRS[name] + place)) != 0


def _either(told: Any, name: str, place: int, other: str, at: int) -> Any:
    return told & (1 << (signs.PAIRS[name] + place) | 1 << (signs.PAIRS[other] + at)) != 0


def _differ(told: Any, name: str) -> Any:
    pair = told & (3 << signs.PAIRS[name])
    return (pair != 0) & (pair != 3 << signs.PAIRS[name])


def _group(wholes: Mapping[str, Any], end: str) -> Any:
    (v4_hi, v4_first), (_hi, v4_last) = GROUPS_V4
    (v6_first, _lo), (v6_last, _low) = GROUPS_V6
    hi, lo = wholes[f"{end}_hi"], wholes[f"{end}_lo"]
    if not len(lo) or (lo.max() < v4_first and hi.max() < v6_first):
        return np.zeros(len(lo), dtype=bool)
    return ((hi == v4_hi) & (lo >= v4_first) & (lo <= v4_last)) | ((hi >= v6_first) & (hi <= v6_last))


def _everyone(wholes: Mapping[str, Any], end: str, other: int, met: int) -> Any:
    """Return whether an end is a broadcast address: all ones, told by the frame of the other, or .255 that never speaks."""
    broadcast_hi, broadcast_lo = BROADCAST[0]
    hi, lo = wholes[f"{end}_hi"], wholes[f"{end}_lo"]
    made = np.zeros(len(lo), dtype=bool)
    if len(lo) and lo.max() >= broadcast_lo:
        made |= (hi == broadcast_hi) & (lo == broadcast_lo)
    silent = wholes[f"{end}_packets"] == 0
    if silent.any():
        made |= (hi == broadcast_hi) & silent & (lo & 255 == 255) & (wholes["protocol"] == UDP)
    if met & 3 << signs.PAIRS["broadcasts"]:
        made |= _bit(wholes["signs"], "broadcasts", other)
    return made
