# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plain lines of a Cisco ASA access list, which most of a long configuration is: digits only, no object, no name, no option.

For speed. Every other wording, and every line with a fault, is left to ``asa_ace``, which knows the whole grammar and says the
reason; a test holds both against each other.
"""

from __future__ import annotations

from functools import lru_cache

from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import asa_names
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.asa_objects import literal
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.cisco_match import (
    OPERATORS,
    Tokens,
    message_set,
    port_set,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.cisco_values import MEMO, NotUnderstood
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import Ace
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import ICMP

_PROTOCOLS = {"ip": None, "tcp": 6, "udp": 17, "icmp": ICMP}
_OPERATORS = frozenset(OPERATORS)
_END = ("", "", "", "", "")


def plain_ace(low: list[str], any_family: int, line: int, raw: str, remarks: tuple[str, ...]) -> Ace | None:
    """Return the entry of a plain line, from its words in lower case; None for any other line."""
    action, name = low[0], low[1] if len(low) > 1 else ""
    if (action != "permit" and action != "deny") or name not in _PROTOCOLS:
        return None
    low = [*low, *_END]
    protocol = _PROTOCOLS[name]
    ported = protocol is not None and protocol != ICMP
    at, family = 2, 4 if protocol == ICMP else any_family
    addresses: list[IntervalSet | None] = []
    ports: list[IntervalSet | None] = []
    try:
        for _side in range(2):
            word = low[at]
            if word == "any":
                addresses.append(None)
                at += 1
            else:
                digits = low[at + 1] if word == "host" else word
                if "." not in digits or not digits[0].isdigit() or ":" in digits:
                    return None
                addresses.append(literal(word, low[at + 1])[0].values)
                family = 4
                at += 2
            operator = low[at]
            if ported and operator in _OPERATORS:
                count = 3 if operator == "range" else 2
                ports.append(_ports(operator, low[at + 1], low[at + 2] if count == 3 else "", protocol or 0))
                at += count
            else:
                ports.append(None)
        detail = None
        if protocol == ICMP and low[at] in asa_names.ICMP_MESSAGES:
            detail = message_set(*asa_names.ICMP_MESSAGES[low[at]])
            at += 1
    except NotUnderstood:
        return None
    if low[at]:
        return None
    return Ace(
        action == "permit", protocol, family, addresses[0], addresses[1], ports[0], ports[1], detail, False, False, remarks,
        None, line, raw,
    )  # fmt: skip


@lru_cache(maxsize=MEMO)
def _ports(operator: str, first: str, second: str, protocol: int) -> IntervalSet:
    words = (first, second) if second else (first,)
    return port_set(Tokens(words), operator, asa_names.PORT_NAMES[protocol])
