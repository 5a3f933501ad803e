# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a MUD file says (RFC 8520, with the access lists of RFC 8519), as frozen values with their place in the file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet

# Abstractions of RFC 8520 section 6 (and a prefix, a host name), whose meaning a site has to give.
PEER_KINDS = (
    "address", "dns", "local_networks", "my_controller", "controller", "manufacturer", "same_manufacturer", "model",
)  # fmt: skip
DEVICE, PEER = "device", "peer"
TCP, UDP, ICMP, ICMPV6 = 6, 17, 1, 58
PORTED = (TCP, UDP, 33, 132, 136)
# RFC 8520 section 16.7: classes of controllers that every network has.
WELL_KNOWN_CONTROLLERS = {"urn:ietf:params:mud:dns": "dns", "urn:ietf:params:mud:ntp": "ntp"}


@dataclass(frozen=True, order=True)
class Peer:
    """One condition on the other end of a conversation. ``value``: prefix, host name, URI or authority; empty where none belongs."""

    kind: str
    value: str = ""

    def __str__(self) -> str:
        return f"{self.kind.replace('_', '-')} {self.value}".rstrip()


@dataclass(frozen=True)
class MudEntry:
    """One access control entry, seen from the device: None stands for any value.

    ``outgoing``: packets from the device. ``peers``: conditions that the other end fulfils all together, () for any address.
    ``opener``: who opens a TCP connection (``device``, ``peer``, or empty where the file leaves it open). ``icmp``: type and code, the code
    None for any.
    """

    name: str
    outgoing: bool
    permit: bool
    family: int
    peers: tuple[Peer, ...] = ()
    protocol: int | None = None
    device_ports: IntervalSet | None = None
    peer_ports: IntervalSet | None = None
    icmp: tuple[int, int | None] | None = None
    opener: str = ""
    location: Location = Location()


@dataclass(frozen=True)
class Permission:
    """A conversation that may begin: who opens it, with which peers, for what. None stands for any value.

    ``answered``: both directions are declared.
    """

    peers: tuple[Peer, ...]
    family: int
    opener: str
    protocol: int | None
    server_ports: IntervalSet | None = None
    client_ports: IntervalSet | None = None
    icmp: tuple[int, int | None] | None = None
    answered: bool = True
    entry: str = ""
    location: Location = Location()

    def meaning(self) -> tuple[object, ...]:
        """Return what decides conversations, without names and places: equal for equal permissions."""
        return (
            self.peers, self.family, self.opener, self.protocol, self.server_ports, self.client_ports, self.icmp,
            self.answered,
        )  # fmt: skip


@dataclass(frozen=True)
class MudFile:
    """A MUD file: its head, its entries in order, and what could not be read."""

    url: str
    last_update: str = ""
    systeminfo: str = ""
    manufacturer_name: str = ""
    model_name: str = ""
    supported: bool = True
    signature: str = ""
    cache_validity: int = 48
    entries: tuple[MudEntry, ...] = ()
    findings: tuple[Finding, ...] = ()
    file: str = ""

    @property
    def authority(self) -> str:
        """The manufacturer as RFC 8520 section 6 knows it: the authority of the MUD URL, in lower case; empty without a URL."""
        return authority_of(self.url)


def authority_of(url: str) -> str:
    """Return the host of a MUD URL in lower case, empty where there is none."""
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


def meanings(permissions: Iterable[Permission]) -> frozenset[tuple[object, ...]]:
    """Return the meaning of a set of permissions, whatever their order and names."""
    return frozenset(permission.meaning() for permission in permissions)
