# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which addresses a device has for a name: from its configuration (``ip host``), else from what it has resolved. Pure; IOS and NX-OS.

The device's own word counts, not the controller's: both may ask different name servers. Nothing is said of a name whose entry has
expired or is wrong, for the next lookup may bring another address.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence

# Options before the name (vrf NAME, view NAME), the name, a port, addresses (Cisco IOS and NX-OS command references, ip host).
_HOST = re.compile(r"\Aip(?:v6)? host (?:(?:vrf|view) \S+ )*(\S+)((?: \S+)+)\Z")
_DOMAIN = re.compile(r"\Aip domain(?:-| )name (?:vrf \S+ )?(\S+)\Z")
_STALE = re.compile(r"\((?:perm|temp), *(?:EX|UN|\?\?)\)|\bEX\b|\bUN\b")


def configured_host(line: str) -> list[tuple[str, str]]:
    """Return (name, address) of each address that a line of the configuration gives a name."""
    found = _HOST.match(line)
    return [(found[1].casefold(), address) for word in found[2].split() if (address := _address(word))] if found else []


def configured_domain(line: str) -> str:
    """Return the domain that a line names for names without one, empty where it names none."""
    found = _DOMAIN.match(line)
    return found[1].casefold() if found else ""


def forms(name: str, domain: str) -> frozenset[str]:
    """Return how a name may stand in a table: as it is, with the device's domain, with a dot at its end."""
    bare = name.casefold().rstrip(".")
    full = {bare} | ({f"{bare}.{domain}"} if domain and "." not in bare else set())
    return frozenset(full | {f"{each}." for each in full})


def addresses_of(name: str, domain: str, hosts: Iterable[tuple[str, str]], shown: str = "") -> tuple[str, ...]:
    """Return the addresses of a name: those of the configuration, where it has none those of ``show hosts``; none where nobody knows."""
    wanted = forms(name, domain)
    found = [address for host, address in hosts if host in wanted]
    return tuple(dict.fromkeys(found or _shown(shown, wanted)))


def _shown(text: str, wanted: Sequence[str] | frozenset[str]) -> list[str]:
    """Return the addresses in the rows of names, and in the rows below that begin with a blank and go on with them."""
    found: list[str] = []
    inside = False
    for line in text.splitlines():
        words = line.split()
        if not words:
            inside = False
        elif not line[0].isspace():
            inside = words[0].casefold() in wanted and not _STALE.search(line)
            words = words[1:]
        if inside:
            found += [address for word in words if (address := _address(word.strip(",")))]
    return found


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return ""
