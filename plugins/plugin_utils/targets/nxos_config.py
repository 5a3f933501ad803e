# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What concerns us in an NX-OS running configuration: our access lists, where lists are attached, how the device is managed. Pure.

Names are as on IOS-XE: ``SW_...`` with a suffix, ``__a``, ``__b`` or ``__c``, so that the next version is built beside the one in
force. An attachment is told by interface, direction and command: a port and a router list of one interface are two places
(facts/devices.md section 1.6).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import datetime

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_config import (
    PREFIX,
    SUFFIXES,
    base_name,
    names_used,
    ours,
    without_banners,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_config import (
    checked_name as ios_checked_name,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_config import (
    full_interface as ios_full_interface,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_services import Services, read_services
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ways_back import CLAIM

NAME_LENGTH = 64  # characters of a list's name on NX-OS
COMMANDS = {
    "ip port access-group": 4,
    "ip access-group": 4,
    "ipv6 port traffic-filter": 6,
    "ipv6 traffic-filter": 6,
}
# What the names of our way back in the scheduler begin with, whose it is follows (ways_back.py); the second says that the feature was on.
WAY_BACK, WAY_BACK_KEEPS = "SW_way_back", "SW_way_back_on"
CLAIM_KEEPS = f"{CLAIM}_on"  # the same for our claim
UNKNOWN_SECONDS = 3600  # where a schedule does not say in how much time
Place = tuple[str, str, str]  # interface, direction, command
_LIST = re.compile(r"\A(ip|ipv6) access-list (\S+)\Z")
_GROUP = re.compile(rf"\A({'|'.join(COMMANDS)}) (\S+) (in|out)\Z")
_INTERFACE = re.compile(r"\Ainterface (\S+)\Z")
_SEQUENCE = re.compile(r"\A(\d{1,10}) (?=permit|deny|remark)")
_HEADER = re.compile(r"\A(?:ip|ipv6) access-list [A-Za-z][A-Za-z0-9_-]*\Z")
_OPTION = re.compile(r"\A(?:statistics per-entry|fragments (?:permit|deny)-all|ignore routable)\Z")
_SERVER = re.compile(r"\A(radius|tacacs)-server host ([0-9A-Za-z:][0-9A-Za-z_.:-]*)((?: .*)?)\Z")
SECURE_PORT = 2083  # RADIUS over TLS
_JOB = re.compile(rf"\Ascheduler (job|schedule) name ((?:{WAY_BACK}|{CLAIM})(?:_on)?(?:_[0-9a-z]{{16}})?)\Z")
_STARTS = re.compile(r"\Atime start (?:\+(?:\d+:)?(\d{1,2}):(\d\d)\b|\S)")
# As a configuration tells them: the moment of a schedule, and the switch's own clock above it all.
_MOMENT = re.compile(r"\Atime start (\d{4}):(\d\d):(\d\d):(\d\d):(\d\d)\Z")
_CLOCK = re.compile(r"(?m)^!Time: \w{3} (\w{3}) +(\d{1,2}) (\d\d):(\d\d):\d\d (\d{4})\s*$")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
# Printable ASCII without the question mark, which asks for help in the middle of a line.
_ENTRY = re.compile(r"\A(?:\d{1,10} )?(?:permit|deny|remark) [\x20-\x3e\x40-\x7e]{1,240}\Z")
_SHORT = {"eth": "Ethernet", "et": "Ethernet", "ethernet": "Ethernet", "po": "port-channel", "port-channel": "port-channel",
          "vl": "Vlan", "vlan": "Vlan", "lo": "loopback", "loopback": "loopback", "mgmt": "mgmt"}  # fmt: skip


@dataclass(frozen=True)
class Server:
    """An authentication server that the device asks: radius, radius-tls or tacacs, its address or name, the ports it answers from."""

    kind: str
    address: str
    ports: tuple[int, ...]


@dataclass(frozen=True)
class NxosState:
    """What we know of a switch.

    ``lists``: live name -> lines as shown, without indentation; ``families``: live name -> 4 or 6; ``groups``: place -> live list
    name; ``routed``: interfaces with an IPv4 address -> that address; ``layers``: interface -> 2 or 3 where the configuration
    says so; ``way_back``: what of ours stands in the scheduler, and ``held`` what of the claim that the run itself holds;
    ``scheduled``: something of others stands there; ``waits``: (name, seconds) where a schedule has a time, negative where that is
    over; ``elsewhere``: names of ours that something else uses too.
    """

    lists: dict[str, tuple[str, ...]] = field(hash=False)
    groups: dict[Place, str] = field(hash=False)
    families: dict[str, int] = field(default_factory=dict, hash=False)
    interfaces: tuple[str, ...] = ()
    routed: dict[str, str] = field(default_factory=dict, hash=False)
    layers: dict[str, int] = field(default_factory=dict, hash=False)
    servers: tuple[Server, ...] = ()
    atomic: bool = True
    default_permit: bool = False
    scheduler: bool = False
    way_back: tuple[tuple[str, str], ...] = ()
    held: tuple[tuple[str, str], ...] = ()
    scheduled: bool = False
    waits: tuple[tuple[str, int], ...] = ()
    elsewhere: frozenset[str] = frozenset()
    services: Services = Services()

    def own(self) -> tuple[dict[str, tuple[str, ...]], dict[Place, str], tuple[tuple[str, str], ...]]:
        """Return what is ours in it: lists, attachments, ways back in the scheduler."""
        lists = {name: lines for name, lines in self.lists.items() if ours(name)}
        ways = tuple(each for each in self.way_back if not each[1].startswith(CLAIM))
        return lists, {place: name for place, name in self.groups.items() if ours(name)}, ways

    @property
    def claimed(self) -> bool:
        """Return whether the run's own claim stands, whole."""
        waits = dict(self.waits)
        return {kind for kind, _name in self.held} == {"job", "schedule"} and all(
            name in waits for _k, name in self.held
        )

    @property
    def opened(self) -> bool:
        """Return whether it was one of our runs that turned the scheduler on, and nobody else uses it."""
        return not self.scheduled and any(not keeps(name) for _kind, name in (*self.held, *self.way_back))

    def beside(self, claim: str) -> NxosState:
        """Return it with a claim of that name told apart from what stands in the scheduler."""
        if not claim:
            return self
        held = tuple(each for each in self.way_back if each[1] == claim)
        return replace(self, held=held, way_back=tuple(each for each in self.way_back if each[1] != claim))

    def attached(self, live_name: str) -> list[Place]:
        """Return where a list is attached."""
        return sorted(place for place, name in self.groups.items() if name == live_name)

    def versions(self, base: str) -> list[str]:
        """Return the live names of a list, attached ones first."""
        names = [name for name in self.lists if base_name(name) == base]
        return sorted(names, key=lambda name: (-len(self.attached(name)), name))

    def free_name(self, base: str) -> str:
        """Return a live name for the next version: one that is not attached, preferably absent; a, b, c, a."""
        names = [base + suffix for suffix in SUFFIXES]
        used = set(self.groups.values()) | self.elsewhere
        free = [name for name in names if name not in used]
        current = [name for name in self.versions(base) if name in used]
        if current and current[0] in names:
            start = names.index(current[0]) + 1
            free.sort(key=lambda name: (names.index(name) - start) % len(names))
        if not free:
            raise FindingError(codes.IN_USE.at(f"{', '.join(names)}: every version of the list is in use"))
        absent = [name for name in free if name not in self.lists]
        return (absent or free)[0]


def keeps(name: str) -> bool:
    """Return whether the name of a job says that the scheduler was on before it."""
    return name.startswith((WAY_BACK_KEEPS, CLAIM_KEEPS))


def full_interface(name: str) -> str:
    """Return an interface's full name as the running configuration has it; FindingError for what cannot be one."""
    return ios_full_interface(name, _SHORT)


def checked_name(name: str) -> str:
    """Return a list name that is safe to type, ours, and short enough for a suffix; FindingError otherwise."""
    if len(ios_checked_name(name)) + len(SUFFIXES[0]) > NAME_LENGTH:
        raise FindingError(codes.BAD_BODY.at(f"list name {name}: at most {NAME_LENGTH - len(SUFFIXES[0])} characters"))
    return name


def checked_command(command: str, direction: str) -> str:
    """Return a command that attaches lists; FindingError for anything else, and for a port list in the direction out."""
    if command not in COMMANDS or direction not in ("in", "out"):
        raise FindingError(codes.BAD_BODY.at(f"{command[:60]!r} in the direction {direction[:20]!r}"))
    if " port " in command and direction == "out":
        raise FindingError(codes.BAD_BODY.at(f"{command}: port lists of this platform filter inbound only"))
    return command


def list_header(name: str, family: int) -> str:
    """Return the line that opens a list."""
    return f"{'ipv6' if family == 6 else 'ip'} access-list {name}"


def list_text(name: str, lines: tuple[str, ...], family: int) -> str:
    """Return a live list in the form of a desired one."""
    return "\n".join([list_header(name, family), *(f"  {line}" for line in lines)]) + "\n"


def family_of(content: str) -> int:
    """Return the family that the header of a list's text names."""
    return 6 if content.lstrip().startswith("ipv6 ") else 4


def typed_lines(content: str) -> tuple[str, ...]:
    """Return the lines to type below the list's header: options, numbers and remarks kept.

    The last guard before a command line: FindingError for a line that is no entry, remark or option of a list.
    """
    wanted = tuple(" ".join(line.split()) for line in content.replace("\r", "").split("\n"))
    wanted = tuple(line for line in wanted if line and not _HEADER.match(line))
    for line in wanted:
        if not _ENTRY.match(line) and not _OPTION.match(line):
            raise FindingError(codes.BAD_BODY.at(f"{line[:80]!r} is not an entry of an access list"))
    return wanted


def read_config(text: str) -> NxosState:
    """Return our view of a running configuration."""
    lists: dict[str, tuple[str, ...]] = {}
    families: dict[str, int] = {}
    groups: dict[Place, str] = {}
    interfaces: list[str] = []
    routed: dict[str, str] = {}
    layers: dict[str, int] = {}
    servers: list[Server] = []
    way_back: list[tuple[str, str]] = []
    waits: list[tuple[str, int]] = []
    flags = {"atomic": True, "default_permit": False, "scheduler": False, "scheduled": False}
    acl = interface = block = ""
    kept, elsewhere = _without_jobs(without_banners(text))
    for raw in kept:
        line = " ".join(raw.split())
        if not line or line.startswith("!"):
            continue
        if not raw[0].isspace():
            found, port, server, job = _LIST.match(line), _INTERFACE.match(line), _SERVER.match(line), _JOB.match(line)
            acl, interface, block = (found[2] if found else ""), (port[1] if port else ""), line
            if found:
                lists[acl], families[acl] = (), 6 if found[1] == "ipv6" else 4
            elif port:
                interfaces.append(interface)
                if not interface.lower().startswith(("ethernet", "port-channel")) or "." in interface:
                    layers[interface] = 3
            elif server:
                servers.append(_server(server))
            elif job:
                way_back.append((job[1], job[2]))
            elif line == "no hardware access-list update atomic":
                flags["atomic"] = False
            elif line == "hardware access-list update default-result permit":
                flags["default_permit"] = True
            elif line == "feature scheduler":
                flags["scheduler"] = True
            else:
                flags["scheduled"] |= line.startswith("scheduler ")
                elsewhere |= names_used(line)
        elif acl:
            lists[acl] += (line,)
        elif interface:
            group = _GROUP.match(line)
            if group:
                groups[interface, group[3], group[1]] = group[2]
            elif line in ("switchport", "no switchport"):
                layers[interface] = 3 if line.startswith("no ") else 2
            elif address := re.match(r"ip address (\d+\.\d+\.\d+\.\d+)[/ ]", line):
                routed[interface] = address[1]
                layers[interface] = 3
            else:
                elsewhere |= names_used(line)
        elif (job := _JOB.match(block)) and (found := _STARTS.match(line)):
            seconds = (int(found[1]) * 60 + int(found[2])) * 60 if found[1] else _until(line, text)
            waits.append((job[2], seconds))
        elif not block.startswith("scheduler "):  # below a schedule
            elsewhere |= names_used(line)
    return NxosState(
        lists,
        groups,
        families,
        tuple(interfaces),
        routed,
        layers,
        tuple(servers),
        way_back=tuple(way_back),
        held=(),
        waits=tuple(waits),
        elsewhere=frozenset(elsewhere),
        services=read_services("\n".join(kept)),
        **flags,
    )


def _until(line: str, text: str) -> int:
    """Return the seconds from the clock of a configuration to the moment of a schedule, at least 1; -1 a minute after it."""
    moment, clock = _MOMENT.match(line), _CLOCK.search(text)
    if moment is None or clock is None or clock[1] not in _MONTHS:
        return UNKNOWN_SECONDS
    year, month, day, hour, minute = map(int, moment.groups())
    try:
        now = datetime(int(clock[5]), _MONTHS.index(clock[1]) + 1, int(clock[2]), int(clock[3]), int(clock[4]))
        left = int((datetime(year, month, day, hour, minute) - now).total_seconds())
    except ValueError:
        return UNKNOWN_SECONDS
    return max(left, 1) if left > -60 else -1


def _without_jobs(lines: list[str]) -> tuple[list[str], set[str]]:
    """Return lines without those of the scheduler's jobs, which look like configuration; and our names in jobs of others."""
    kept: list[str] = []
    used: set[str] = set()
    job = ""
    for line in lines:
        if not job:
            kept.append(line)
            job = line if line.startswith("scheduler job name ") else ""
        elif line.strip() == "end-job":
            job = ""
        elif not _JOB.match(job.strip()):
            used |= names_used(line)
    if job:  # what follows would not be seen
        raise FindingError(codes.BAD_ANSWER.at("the running configuration has a scheduler job without an end"))
    return kept, used


def _server(found: re.Match[str]) -> Server:
    """Return the server of a line; ports by default are those of RFC 2865, RFC 2866, RFC 6614 and RFC 8907."""
    words = found[3].split()
    named = {word: int(number) for word, number in zip(words, words[1:], strict=False) if number.isdigit()}
    if found[1] == "tacacs":
        return Server("tacacs", found[2], (named.get("port", 49),))
    if "tls" in words:
        return Server("radius-tls", found[2], (named.get("auth-port", SECURE_PORT),))
    return Server("radius", found[2], (named.get("auth-port", 1812), named.get("acct-port", 1813)))


__all__ = [
    "CLAIM", "CLAIM_KEEPS", "COMMANDS", "PREFIX", "UNKNOWN_SECONDS", "WAY_BACK", "WAY_BACK_KEEPS", "NxosState", "Place", "Server",
    "base_name", "checked_command", "checked_name", "family_of", "full_interface", "keeps", "list_header", "list_text", "ours",
    "read_config", "typed_lines",
]  # fmt: skip
