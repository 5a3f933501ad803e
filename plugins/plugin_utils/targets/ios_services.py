# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a switch itself needs of the network, from its running configuration: own addresses, sources, DHCP, NTP. Pure; IOS and NX-OS.

The whole configuration is passed over once; nothing but these lines is kept.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.host_names import (
    configured_domain,
    configured_host,
)

_LINE = re.compile(
    r"^(?:interface (?P<interface>\S.*?)"
    r"|(?P<top>[^\s!].*?)"
    r"|\s+ip address (?P<address>\d+\.\d+\.\d+\.\d+)(?: (?P<mask>\d+\.\d+\.\d+\.\d+)|/(?P<length>\d+))(?: secondary)?"
    r"|\s+ip (?:helper-address|dhcp relay address) (?:vrf \S+ |global )?(?P<helper>\d+\.\d+\.\d+\.\d+).*?"
    r"|\s+ip dhcp snooping trust(?P<trust>)"
    r"|\s+ipv6 address (?P<six>[0-9A-Fa-f:]+/\d+)(?! eui-64).*?"
    r"|\s+(?:d?tls )?ip (?P<kind>radius|tacacs) source-interface (?P<source>[A-Za-z][\w./-]*).*?"
    r"|\s+source-interface (?P<plain>[A-Za-z][\w./-]*).*?)[ \t]*$",
    re.MULTILINE,
)
_SOURCE = re.compile(r"\Aip (radius|tacacs) source-interface ([A-Za-z][\w./-]*)")
_NTP = re.compile(r"\Antp (?:server|peer) (?:vrf \S+ )?(\d+\.\d+\.\d+\.\d+)")
_GATEWAY = re.compile(r"\Aip default-gateway (\d+\.\d+\.\d+\.\d+)")
_SSH = re.compile(r"\A(?:ip ssh port (\d{1,5}) rotary|ssh port (\d{1,5})\Z)")
_GROUP = re.compile(r"\Aaaa group server (radius|tacacs)")


@dataclass(frozen=True)
class Services:
    """``addresses``: (interface, address with prefix length); ``sources``: (radius or tacacs, interface whose address is used);

    ``helpers``: (interface, DHCP server that it relays to); ``trusted``: ports where DHCP answers come in, with snooping on;
    ``ntp``: servers; ``gateway``: that of a switch that does not route; ``ssh``: ports that SSH is told to
    listen on, on IOS beside 22, on NX-OS in its place; ``hosts``: (name, address) of names in the configuration; ``domain``: that of
    names without one.
    """

    addresses: tuple[tuple[str, str], ...] = ()
    sources: tuple[tuple[str, str], ...] = ()
    helpers: tuple[tuple[str, str], ...] = ()
    trusted: frozenset[str] = frozenset()
    ntp: tuple[str, ...] = ()
    gateway: str = ""
    ssh: tuple[int, ...] = ()
    hosts: tuple[tuple[str, str], ...] = ()
    domain: str = ""

    def address(self, interface: str, family: int = 4) -> str:
        """Return the first address of an interface in a family, empty where it has none here (none, by DHCP, or made of its MAC)."""
        wanted = interface.casefold()
        found = (text.partition("/")[0] for name, text in self.addresses if name.casefold() == wanted)
        return next((text for text in found if (":" in text) == (family == 6)), "")

    def sources_of(self, kind: str, family: int = 4) -> tuple[str, ...]:
        """Return the addresses that requests of a kind leave with because a line says so; none: that of the way out."""
        named = [interface for each, interface in self.sources if each == kind]
        return tuple(dict.fromkeys(self.address(interface, family) for interface in named))

    @property
    def six(self) -> frozenset[str]:
        """Return the interfaces with an IPv6 address of their own."""
        return frozenset(name for name, text in self.addresses if ":" in text)

    def connected(self, address: str) -> str:
        """Return the interface in whose subnet an address is, empty where in none."""
        try:
            wanted = ipaddress.ip_address(address)
        except ValueError:
            return ""
        found = [
            (net.prefixlen, name) for name, net in self._networks() if wanted.version == net.version and wanted in net
        ]
        return max(found)[1] if found else ""

    def _networks(self) -> Iterable[tuple[str, ipaddress.IPv4Network | ipaddress.IPv6Network]]:
        for name, text in self.addresses:
            try:
                yield name, ipaddress.ip_interface(text).network
            except ValueError:
                continue


def read_services(text: str) -> Services:
    """Return what a running configuration says; ``text`` without the texts of banners."""
    addresses: list[tuple[str, str]] = []
    sources: list[tuple[str, str]] = []
    helpers: list[tuple[str, str]] = []
    trusted: set[str] = set()
    ntp: list[str] = []
    hosts: list[tuple[str, str]] = []
    interface = block = gateway = domain = ""
    ssh: list[int] = []
    snooping = False
    for found in _LINE.finditer(text):
        if found["interface"]:
            interface, block = found["interface"], ""
        elif found["top"]:
            interface, block = "", found["top"]
            snooping = snooping or block == "ip dhcp snooping"
            if each := _SOURCE.match(block):
                sources.append((each[1], each[2]))
            elif each := _NTP.match(block):
                ntp.append(each[1])
            elif each := _SSH.match(block):
                ssh.append(int(each[1] or each[2]))
            elif each := _GATEWAY.match(block):
                gateway = each[1]
            elif block.startswith("ip"):
                hosts += configured_host(block)
                domain = domain or configured_domain(block)
        elif found["kind"]:
            sources.append((found["kind"], found["source"]))
        elif found["plain"]:
            if each := _GROUP.match(block):
                sources.append((each[1], found["plain"]))
        elif interface and found["address"]:
            addresses.append((interface, f"{found['address']}/{found['mask'] or found['length']}"))
        elif interface and found["helper"]:
            helpers.append((interface, found["helper"]))
        elif interface and found["trust"] is not None:
            trusted.add(interface)
        elif interface and found["six"]:
            addresses.append((interface, found["six"]))
    return Services(
        tuple(addresses), tuple(dict.fromkeys(sources)), tuple(dict.fromkeys(helpers)),
        frozenset(trusted if snooping else ()), tuple(dict.fromkeys(ntp)), gateway, tuple(dict.fromkeys(ssh)),
        tuple(hosts), domain,
    )  # fmt: skip
