# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the devices room hands round: one observation of a device, and what a parser made of a show command's text.

An observation is a claim with a source, a time and a confidence. Nothing here decides who is right: ``register.merge`` does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding

FACT_NAMES = (
    "endpoint_profile",
    "hostname",
    "sgt",
    "endpoint_group",
    "switch",
    "interface",
    "vlan",
    "authorization_profile",
    "oui_vendor",
    "served_ports",
    "used_ports",
    "asset_type",
    "manufacturer",
    "model",
    "software",
    "serial",
    "site",
    "ssid",
    "access_point",
    "access_point_group",
    "owner",
    "dhcp_class",
    "dhcp_fingerprint",
    "lldp_description",
    "lldp_capabilities",
    "mud_url",
)
# Made of the others by classification and by learning (``held_as``: learn/holding.py), never said by a source.
DERIVED_FACTS = ("device_type", "device_family", "held_as")

Entry = TypeVar("Entry")
FactValue = str | int | tuple[str, ...]

_MAC_DIGITS = re.compile(r"\A[0-9a-f]{12}\Z")


def normal_mac(text: str) -> str:
    """Return a MAC as lower case with colons from any of the usual spellings (0011.2233.4455, 00-11-.., 00:11:..).

    Raises ValueError for anything else, and for the all-zero and the group (multicast, broadcast) addresses, which name no device.
    """
    digits = re.sub(r"[.:-]", "", text.strip()).lower()
    if not _MAC_DIGITS.match(digits):
        raise ValueError(f"{text[:40]!r} is not a MAC address")
    if digits == "0" * 12 or int(digits[:2], 16) & 1:
        raise ValueError(f"{text[:40]!r} is not the MAC address of one device")
    return ":".join(digits[i : i + 2] for i in range(0, 12, 2))


def is_local(mac: str) -> bool:
    """Return whether a MAC is locally administered (IEEE 802: bit 0x02 of the first octet): made up by a device or its owner.

    Phones and computers make such ones up for each network, so neither its OUI nor its duration says who a device is.
    """
    return bool(int(mac[:2], 16) & 2)


@dataclass(frozen=True, slots=True)
class AddressClaim:
    """An IP address that a device held. Times are microseconds since 1970 UTC; ``None`` means the observation's own time.

    ``until`` is the last moment it is known to have held it, not the end of a lease that may be given back.
    """

    address: str
    since: int | None = None
    until: int | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    """One source's claim about one device.

    ``mac`` in any usual spelling, or empty where the source knows an address only (``register.merge`` says what becomes of it);
    ``facts`` maps names of FACT_NAMES to text, whole numbers (``sgt``, ``vlan``) or a sequence of texts (``served_ports``, as
    ``tcp/502``); ``addresses`` are texts or AddressClaim; ``source`` names who says it (for example ``ise:session``, ``acc1:arp``);
    ``time`` is microseconds since 1970 UTC; ``confidence`` is above 0 and at most 1.
    """

    mac: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    addresses: tuple[str | AddressClaim, ...] = ()
    source: str = ""
    time: int = 0
    confidence: float = 0.8


@dataclass(frozen=True)
class Parsed(Generic[Entry]):
    """What a parser understood and what it did not: every line is in an entry, is known furniture, or is in a finding."""

    entries: tuple[Entry, ...]
    findings: tuple[Finding, ...] = ()

    @property
    def whole(self) -> bool:
        """Return whether every line was understood."""
        return not self.findings
