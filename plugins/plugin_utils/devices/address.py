# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses as two signed 64-bit columns that keep order, the same in every engine (docs/formats/connections.md).

IPv4 is mapped to ::ffff:0:0/96; then each unsigned half has 2^63 subtracted (facts/flows.md section 4, address type).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

SIGN = 1 << 63
_LOW = (1 << 64) - 1
MAPPED = 0xFFFF << 32
V4_HI = -SIGN
V4_LO = MAPPED - SIGN

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def columns_of_int(family: int, value: int) -> tuple[int, int]:
    """Return (hi, lo) of an address given as family 4 or 6 and unsigned value."""
    whole = value | MAPPED if family == 4 else value
    return (whole >> 64) - SIGN, (whole & _LOW) - SIGN


def columns_of(address: str | Address) -> tuple[int, int]:
    """Return (hi, lo) of an address; raises ValueError for text that is none. An IPv4-mapped IPv6 address equals its IPv4 one."""
    parsed = ipaddress.ip_address(address)
    return columns_of_int(parsed.version, int(parsed))


def int_of(hi: int, lo: int) -> tuple[int, int]:
    """Return (family, unsigned value) of the two columns."""
    value = ((int(hi) + SIGN) << 64) | (int(lo) + SIGN)
    if value >> 32 == 0xFFFF:
        return 4, value & 0xFFFFFFFF
    return 6, value


def address_of(hi: int, lo: int) -> Address:
    """Return the address of the two columns."""
    family, value = int_of(hi, lo)
    return ipaddress.IPv4Address(value) if family == 4 else ipaddress.IPv6Address(value)


def text_of(hi: int, lo: int) -> str:
    """Return the usual text of the two columns: dotted for IPv4, RFC 5952 for IPv6."""
    return str(address_of(hi, lo))


def texts_of(his: Iterable[int], los: Iterable[int]) -> list[str]:
    """Return texts for two columns of equal length."""
    known: dict[tuple[int, int], str] = {}
    made = []
    for pair in zip(his, los, strict=True):
        text = known.get(pair)
        if text is None:
            text = known[pair] = text_of(*pair)
        made.append(text)
    return made


def range_of(network: str | Network) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the columns of a network's first and last address; order of the columns is order of addresses."""
    parsed = ipaddress.ip_network(network, strict=False)
    first = columns_of_int(parsed.version, int(parsed.network_address))
    last = columns_of_int(parsed.version, int(parsed.broadcast_address))
    return first, last
