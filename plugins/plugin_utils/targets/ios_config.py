# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What concerns us in an IOS-XE running configuration: our access lists and where lists are attached. Pure.

IPv4 and IPv6 lists of a switch share one space of names, and each family has its own places on an interface (facts/devices.md
section 1.2; Catalyst 2960-XR configuration guide, IPv6 ACLs). Our lists are named ``SW_...`` and live under that name and a suffix,
``__a``, ``__b`` or ``__c``: the next version is built beside the one in force. The rest of the configuration is not kept.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.names import ACL_NAME, INTERFACE
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_services import Services, read_services
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ways_back import CLAIM, WayBack

PREFIX = "SW_"
SUFFIXES = ("__a", "__b", "__c")
_LIST = re.compile(r"\A(?:ip access-list extended|(ipv6) access-list) (\S+)\s*\Z")
_GROUP = re.compile(r"\A\s+(?:ip access-group|(ipv6) traffic-filter) (\S+) (in|out)\s*\Z")
_INTERFACE = re.compile(r"\Ainterface (\S.*?)\s*\Z")
_SEQUENCE = re.compile(r"\A\s*(?:sequence\s+)?(\d+)\s+(?=permit|deny|remark|evaluate)")
_HEADER = re.compile(r"\A(?:(?:ip access-list extended|ipv6 access-list) [A-Za-z][A-Za-z0-9_-]*|!)\Z")
# Printable ASCII without the question mark, which asks for help in the middle of a line.
_ENTRY = re.compile(r"\A(?:(?:sequence )?\d{1,10} )?(?:permit|deny|remark) [\x20-\x3e\x40-\x7e]{1,200}\Z")
# An address, or a name: whose address is to be looked for then (targets/host_names.py).
_WHO = r"([0-9A-Za-z][0-9A-Za-z_.:-]*|::[0-9A-Fa-f:.]+)"
_RADIUS = re.compile(rf"\Aaddress ipv[46] {_WHO}(?: auth-port (\d+))?(?: acct-port (\d+))?")
_FQDN = re.compile(rf"\Afqdn {_WHO}")
_ADDRESS = re.compile(rf"\Aaddress ipv[46] {_WHO}")
# Below a RADIUS server or dynamic-author: it speaks TLS or DTLS, both on port 2083 where none is given.
_SECURE = re.compile(r"\A(d?tls)\b(?:.*? port (\d{1,5})\b)?")
SECURE_PORT = 2083
_BANNER = re.compile(r"\Abanner [a-z-]+ (\^C|\S)(.*)\Z")
_CLIENT = re.compile(rf"\Aclient (?:ipv6 )?{_WHO}")
# Servers in one line of their own, as older images name them.
_OLD_SERVER = re.compile(rf"\A(radius|tacacs)-server host (?:ipv[46] )?{_WHO}(?: .*)?\Z")
_PRIVATE = re.compile(rf"\Aserver-private {_WHO}(?: .*)?\Z")
_GROUP_SERVER = re.compile(r"\Aaaa group server (radius|tacacs)")
_OWN_PORT = re.compile(r"\Aport (\d+)\Z")
# What the name of an applet begins with that puts our own attachment lines back; whose it is follows (targets/ways_back.py).
APPLET = "SW_revert"
_APPLET = re.compile(rf"\Aevent manager applet ((?:{APPLET}|{CLAIM})(?:_[0-9a-z]+)?)(?: |\Z)")
_COUNTDOWN = re.compile(r"\Aevent timer countdown (?:name \S+ )?time (\d+)")
_SAID = re.compile(r'\Aaction \S+ syslog msg "(.*)"\Z')
_SHORT = {
    "gi": "GigabitEthernet",
    "te": "TenGigabitEthernet",
    "fa": "FastEthernet",
    "fo": "FortyGigabitEthernet",
    "hu": "HundredGigE",
    "twe": "TwentyFiveGigE",
    "tw": "TwoGigabitEthernet",
    "fi": "FiveGigabitEthernet",
    "et": "Ethernet",
    "po": "Port-channel",
    "vl": "Vlan",
    "ap": "AppGigabitEthernet",
}


Place = tuple[str, str, int]  # interface, direction, family


def shown_place(place: Place) -> str:
    """Return a place in words."""
    return f"{place[0]} {place[1]}" + (" (IPv6)" if place[2] == 6 else "")


def list_header(name: str, family: int = 4) -> str:
    """Return the line that opens a list; with ``no`` before it, the one that removes it."""
    return f"ipv6 access-list {name}" if family == 6 else f"ip access-list extended {name}"


def attach_line(name: str, place: Place) -> str:
    """Return the line that attaches a list to a place, to type below its interface."""
    return f"{'ipv6 traffic-filter' if place[2] == 6 else 'ip access-group'} {name} {place[1]}"


def list_text(name: str, lines: Sequence[str], family: int = 4) -> str:
    """Return a live list in the form of a desired one."""
    return "\n".join([list_header(name, family), *(f" {line}" for line in lines)]) + "\n"


def family_of(content: str) -> int:
    """Return the family that the header of a list's text names; a text without one is IPv4."""
    return 6 if content.lstrip().startswith("ipv6 ") else 4


def dialect_of(content: str) -> str:
    """Return the dialect in which a list's text is written."""
    return "ios_ipv6" if family_of(content) == 6 else "ios"


@dataclass(frozen=True)
class IosState:
    """What we know of a switch.

    ``lists``: live name -> lines as shown, without indentation; ``six``: names of those that are IPv6 lists; ``groups``: place ->
    live list name; ``routed``: interfaces with an address; ``ways_back``: applets that would put lists back, and claims of runs at
    work; ``lock``: manual or auto where configuration mode is exclusive; ``archive``: the archive has a path; ``servers``: (radius,
    tacacs or coa, address or name, port) that the switch talks to; ``elsewhere``: names of ours that something else uses too (a terminal
    line, a VLAN map, a template); ``services``: what the switch needs of the network.
    """

    lists: dict[str, tuple[str, ...]] = field(hash=False)
    groups: dict[Any, str] = field(hash=False)  # keys: Place, on an ASA its own places
    interfaces: tuple[str, ...] = ()
    routed: frozenset[str] = frozenset()
    ways_back: tuple[WayBack, ...] = ()
    lock: str = ""
    archive: bool = False
    servers: tuple[tuple[str, str, int], ...] = ()
    elsewhere: frozenset[str] = frozenset()
    six: frozenset[str] = frozenset()
    services: Services = Services()

    @property
    def applets(self) -> tuple[str, ...]:
        """Return the names of the ways back that stand there."""
        return tuple(way.name for way in self.ways_back)

    def family(self, live_name: str) -> int:
        """Return the family of a list that is there."""
        return 6 if live_name in self.six else 4

    def text(self, live_name: str) -> str:
        """Return a list as a text with its header; without entries where it is missing."""
        return list_text(live_name, self.lists.get(live_name, ()), self.family(live_name))

    def attached(self, live_name: str) -> list[Any]:
        """Return where a list is attached."""
        return sorted(place for place, name in self.groups.items() if name == live_name)

    def versions(self, base: str, family: int = 4) -> list[str]:
        """Return the live names of a list of one family, attached ones first."""
        names = [name for name in self.lists if base_name(name) == base and self.family(name) == family]
        return sorted(names, key=lambda name: (-len(self.attached(name)), name))

    def own(self) -> tuple[dict[str, tuple[str, ...]], dict[Any, str], tuple[str, ...]]:
        """Return what is ours in it: lists, attachments, ways back."""
        lists = {name: lines for name, lines in self.lists.items() if ours(name)}
        return lists, {place: name for place, name in self.groups.items() if ours(name)}, self.applets

    def free_name(self, base: str, family: int = 4, taken: Iterable[str] = ()) -> str:
        """Return a live name for the next version: one that is not attached, preferably absent, and no list of the other family.

        ``taken``: names that the same change gives to others.
        """
        names = [base + suffix for suffix in SUFFIXES]
        used = set(self.groups.values()) | self.elsewhere | set(taken)
        free = [name for name in names if name not in used]
        free = [name for name in free if name not in self.lists or self.family(name) == family]
        current = [name for name in self.versions(base, family) if name in used]
        if current and current[0] in names:  # go round: a, b, c, a
            start = names.index(current[0]) + 1
            free.sort(key=lambda name: (names.index(name) - start) % len(names))
        if not free:
            raise FindingError(codes.IN_USE.at(f"{', '.join(names)}: every version of the list is in use"))
        absent = [name for name in free if name not in self.lists]
        return (absent or free)[0]


def base_name(live_name: str) -> str:
    """Return the name in the policy of a list on the device; other people's names are their own."""
    for suffix in SUFFIXES:
        if live_name.startswith(PREFIX) and live_name.endswith(suffix):
            return live_name[: -len(suffix)]
    return live_name


def ours(live_name: str) -> bool:
    """Return whether a list is one that this collection made: our prefix and one of our suffixes."""
    return live_name.startswith(PREFIX) and live_name.endswith(SUFFIXES)


def same_list(live: str, planned: str) -> bool:
    """Return whether two live names are one list: an earlier step of the same plan may have given it its next version."""
    return live == planned or (ours(live) and ours(planned) and base_name(live) == base_name(planned))


def in_force(state: IosState, live: str) -> bool:
    """Return whether a list of ours that is attached is there, has entries, and is the version that counts.

    A place that names a list which is missing or empty permits everything (facts/devices.md section 0.6).
    """
    return bool(state.lists.get(live)) and state.versions(base_name(live), state.family(live))[0] == live


def full_interface(name: str, short: Mapping[str, str] | None = None) -> str:
    """Return an interface's full name as the running configuration has it; FindingError for what cannot be one.

    ``short``: the platform's abbreviations, where they are not those of IOS.
    """
    text = name.strip().replace(" ", "")
    found = re.match(r"\A([A-Za-z-]+)([0-9].*)\Z", text)
    if found:
        text = (short or _SHORT).get(found[1].lower(), found[1]) + found[2]
    if not INTERFACE.match(text):
        raise FindingError(codes.BAD_BODY.at(f"interface {name[:60]!r}"))
    return text


def checked_name(name: str) -> str:
    """Return a list name that is safe to type and ours; FindingError otherwise."""
    if not ACL_NAME.match(name) or not name.startswith(PREFIX):
        raise FindingError(
            codes.BAD_BODY.at(
                f"list name {name[:60]!r} does not begin with {PREFIX} or has characters that are not allowed"
            )
        )
    return name


def without_banners(text: str) -> list[str]:
    """Return the lines of a running configuration without the texts of banners, in which anything may stand.

    FindingError SW4209 for a banner without an end: what follows it would not be seen.
    """
    kept: list[str] = []
    end = ""
    for line in text.replace("\r", "").splitlines():
        if end:
            end = "" if end in line else end
        elif found := _BANNER.match(line):
            end = "" if found[1] in found[2] else found[1]
        else:
            kept.append(line)
    if end:
        raise FindingError(codes.BAD_ANSWER.at("the running configuration has a banner without an end"))
    return kept


def names_used(line: str) -> set[str]:
    """Return the words of a line that may be names of our lists; texts for people are not asked."""
    words = line.replace('"', " ").split()
    return set() if words[:1] in (["description"], ["remark"]) else {word for word in words if word.startswith(PREFIX)}


def read_config(text: str) -> IosState:
    """Return our view of a running configuration."""
    lists: dict[str, list[str]] = {}
    six: set[str] = set()
    groups: dict[Place, str] = {}
    interfaces: list[str] = []
    routed: set[str] = set()
    archive, lock = False, ""
    applets: dict[str, WayBack] = {}
    servers: list[tuple[str, tuple[str, str, int]]] = []
    own_ports: dict[str, int] = {}
    secure: dict[str, tuple[str, int]] = {}
    elsewhere: set[str] = set()
    acl = interface = block = ""
    kept = without_banners(text)
    for raw in kept:
        line = raw.rstrip()
        if line and not line[0].isspace():
            found, port = _LIST.match(line), _INTERFACE.match(line)
            acl, interface, block = (found[2] if found else ""), (port[1] if port else ""), line
            if found:
                lists[acl] = []
                six |= {acl} if found[1] else set()
            elif interface:
                interfaces.append(interface)
            elif applet := _APPLET.match(line):
                block = applet[1]
                applets[block] = WayBack(block)
            elif line.startswith("configuration mode exclusive"):
                lock = "manual" if line.endswith("manual") else "auto"
            else:
                servers += [("", each) for each in _servers("", line)]
                elsewhere |= names_used(line)
        elif acl and line.strip():
            lists[acl].append(line.strip())
        elif interface:
            group = _GROUP.match(line)
            if group:
                groups[interface, group[3], 6 if group[1] else 4] = group[2]
            elif re.match(r"\A\s+(?:ip address \d|ipv6 (?:address [0-9A-Fa-f:]|enable))", line):
                routed.add(interface)
            else:
                elsewhere |= names_used(line)
        elif block in applets:
            applets[block] = _applet_line(applets[block], line.strip())
        elif block == "archive":
            archive = archive or line.strip().startswith("path ")
        else:
            servers += [(block, each) for each in _servers(block, line.strip())]
            if port := _OWN_PORT.match(line.strip()):
                own_ports[block] = int(port[1])
            if found := _SECURE.match(line.strip()):
                secure[block] = (found[1], int(found[2] or 0) or secure.get(block, ("", SECURE_PORT))[1])
            elsewhere |= names_used(line)
    return IosState(
        {name: tuple(lines) for name, lines in lists.items()}, groups, tuple(interfaces), frozenset(routed), tuple(applets.values()), lock,
        archive,
        tuple(dict.fromkeys(_spoken(_with_port(each, own_ports.get(block, 0)), secure.get(block)) for block, each in servers)),
        frozenset(elsewhere), frozenset(six),
        read_services("\n".join(kept)),
    )  # fmt: skip


def _applet_line(way: WayBack, line: str) -> WayBack:
    """Return a way back with one more line of its applet."""
    timer, said = _COUNTDOWN.match(line), _SAID.match(line)
    return replace(
        way, lines=way.lines + 1, seconds=int(timer[1]) if timer else way.seconds, text=said[1] if said else way.text
    )


def _servers(block: str, line: str) -> list[tuple[str, str, int]]:
    """Return the servers that one line of a block names. IOS asks RADIUS on 1645 and 1646 where no ports are given."""
    return [(kind, _address(address), port) for kind, address, port in _named_servers(block, line)]


def _address(text: str) -> str:
    """Return an address in its usual form; a name as it is."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return text


def _with_port(server: tuple[str, str, int], port: int) -> tuple[str, str, int]:
    """Return a server with the port that a line of its block names, 0 for none; RADIUS has its ports beside the address."""
    kind, address, usual = server
    return (kind, address, port) if port and kind in ("tacacs", "coa") else (kind, address, usual)


def _spoken(server: tuple[str, str, int], secure: tuple[str, int] | None) -> tuple[str, str, int]:
    """Return a server with the transport that its block names: ``secure`` is (tls or dtls, port), None for plain RADIUS.

    Source: Cisco, "Configuring RadSec"; RFC 6614, RFC 7360. Of change of authorization a client says so in its own line.
    """
    kind, address, _port = server
    if kind == "radius" and secure is not None:
        return ("radius-tls" if secure[0] == "tls" else "radius", address, secure[1])
    if kind in ("coa-tls", "coa-dtls"):
        return (kind.removesuffix("-dtls"), address, secure[1] if secure else SECURE_PORT)
    return server


def _named_servers(block: str, line: str) -> list[tuple[str, str, int]]:
    if not block and (found := _OLD_SERVER.match(line)):
        return _in_one_line(found[1], found[2], line)
    if (group := _GROUP_SERVER.match(block)) and (found := _PRIVATE.match(line)):
        return _in_one_line(group[1], found[1], line)
    if block.startswith("radius server ") and (found := _RADIUS.match(line)):
        return [("radius", found[1], int(found[2] or 1645)), ("radius", found[1], int(found[3] or 1646))]
    if block.startswith("radius server ") and (found := _FQDN.match(line)):
        return [("radius", found[1], 1645), ("radius", found[1], 1646)]
    if block.startswith("tacacs server ") and (found := _ADDRESS.match(line)):
        return [("tacacs", found[1], 49)]
    if block == "aaa server radius dynamic-author" and (found := _CLIENT.match(line)):
        over = re.search(r" (d?tls)\b", line)
        return [(f"coa-{over[1]}" if over else "coa", found[1], 1700)]
    return []


def _in_one_line(kind: str, who: str, line: str) -> list[tuple[str, str, int]]:
    """Return the servers of a line that names its ports beside the address."""
    ports = {word: int(number) for word, number in re.findall(r" (auth-port|acct-port|port) (\d{1,5})\b", line)}
    if kind == "tacacs":
        return [("tacacs", who, ports.get("port", 49))]
    return [("radius", who, ports.get("auth-port", 1645)), ("radius", who, ports.get("acct-port", 1646))]


def ace_lines(content: str) -> tuple[str, ...]:
    """Return the lines of a list's text without header, numbers and remarks: what decides about packets, one spelling for blanks."""
    lines = []
    for raw in content.replace("\r", "").splitlines():
        line = " ".join(_SEQUENCE.sub("", raw).split())
        if line and not line.startswith(("ip access-list", "ipv6 access-list", "remark", "!")):
            lines.append(line)
    return tuple(lines)


def typed_lines(content: str) -> tuple[str, ...]:
    """Return the lines to type below the list's header: numbers and remarks kept, header and blanks removed.

    The last guard before a command line: FindingError for a line that is no entry or remark, so that nothing else (``end``, a
    command after it) is ever typed, and for characters that a terminal takes as keys.
    """
    lines = (" ".join(line.split(" ")).strip() for line in content.replace("\r", "").split("\n"))
    wanted = tuple(" ".join(line.split()) for line in lines if line and not _HEADER.match(line))
    for line in wanted:
        if not _ENTRY.match(line):
            raise FindingError(codes.BAD_BODY.at(f"{line[:80]!r} is not an entry of an access list"))
    return wanted
