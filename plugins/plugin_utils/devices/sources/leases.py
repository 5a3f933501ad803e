# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What leases of all DHCP servers have in common: who held an address, from when to when, and what the client said of itself.

A lease says that a device had an address from the lease's start to the server's last word about it, not to its end: it may be given back.
A host name in a lease is what the client claims; the vendor class (option 60) is what its software is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.model import (
    AddressClaim,
    Observation,
    normal_mac,
)

SECOND = 1_000_000
FOREVER = 1 << 62
LEASE, CLIENT = 0.9, 0.7
# A MAC in a DUID is that of some port of the device, not always of the one that asked (RFC 8415 section 11.2).
DUID_MAC = 0.6
_NAME = re.compile(r"\A[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?\Z")
NO_NAMES = ("*", "-", "(null)", "unknown", "localhost")


def lease_observations(
    name: str,
    mac: str,
    address: str,
    since: int,
    until: int,
    at: int,
    *,
    hostname: str = "",
    vendor_class: str = "",
    fingerprint: str = "",
    sure: float = LEASE,
) -> list[Observation]:
    """Return what a lease says, with the address and what the client said apart, since they are not equally sure.

    Times are microseconds since 1970 UTC. Raises ValueError for a MAC that is none.
    """
    mac = normal_mac(mac)
    until = max(since, until)
    made = [Observation(mac, {}, (AddressClaim(address, since, until),), f"{name}:lease", until, sure)]
    facts: dict[str, Any] = {}
    text = hostname.strip().rstrip(".")
    if _NAME.match(text) and text.lower() not in NO_NAMES:
        facts["hostname"] = text
    for key, value in (("dhcp_class", vendor_class), ("dhcp_fingerprint", fingerprint)):
        value = value.strip()
        if value and value.isprintable():
            facts[key] = value[:255]
    if facts:
        made.append(Observation(mac, facts, (), f"{name}:dhcp", min(until, at), CLIENT))
    return made


@dataclass(frozen=True)
class Turn:
    """One entry of a server's log: whom an address belonged to (``mac`` in any spelling, empty for nobody), whether the lease was in use,
    from when on, and until when as far as the entry knows. Times are microseconds since 1970 UTC."""

    address: str
    mac: str
    used: bool
    since: int
    ends: int


def last_moments(turns: Sequence[Turn]) -> list[int]:
    """Return for each entry of a log the last moment that later entries leave to it, FOREVER where they leave all.

    A lease in use is written down with its planned end. Where the log goes on to say that it was given back, or that another client got the
    address, it ended then: else two devices would seem to claim the address at one time.
    """
    made = [FOREVER] * len(turns)
    later: dict[str, int] = {}
    for place in range(len(turns) - 1, -1, -1):
        own = turns[place]
        if own.address in later:
            following = turns[later[own.address]]
            if _plain_mac(following.mac) != _plain_mac(own.mac):
                made[place] = following.since - 1
            elif following.used:
                made[place] = made[later[own.address]]
            else:
                made[place] = following.ends
        later[own.address] = place
    return made


def _plain_mac(text: str) -> str:
    return re.sub(r"[^0-9a-f]", "", text.lower())


def mac_of_duid(duid: bytes) -> str | None:
    """Return the MAC in a DUID of type 1 (with time) or 3 over Ethernet, None where it has none (RFC 8415 section 11)."""
    kind, hardware = int.from_bytes(duid[:2], "big"), int.from_bytes(duid[2:4], "big")
    start = {1: 8, 3: 4}.get(kind)
    if start is None or hardware != 1 or len(duid) != start + 6:
        return None
    return ":".join(f"{octet:02x}" for octet in duid[start:])
