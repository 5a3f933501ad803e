# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What concerns us in the running configuration of an ASA: extended lists, where they are attached, objects, interfaces, applets. Pure.

Our lists are named as on switches (``ios_config``): ``SW_...`` with a suffix, so that the next version is built beside the one in force.
A place is (nameif, ``in`` or ``out``), or ``("", "global")`` for the list after all interface lists.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field, replace

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_config import (
    IosState,
    checked_name,
    names_used,
    ours,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ways_back import (
    CLAIM,
    WayBack,
    own_name,
    own_words,
)

GLOBAL = ("", "global")
WAY_BACK = "SW_way_back"  # what the name of an applet begins with that puts the old list back; whose it is follows (ways_back.py)
_APPLET = re.compile(rf"\Aevent manager applet ((?:{WAY_BACK}|{CLAIM})(?:_[0-9a-z]+)?)\s*\Z")
_COUNTDOWN = re.compile(r"\Aevent timer countdown time (\d+)")
Place = tuple[str, str]

_LINE = re.compile(r"\Aaccess-list (\S+) (.+?)\s*\Z")
_GROUP = re.compile(
    r"\Aaccess-group (\S+) (?:(in|out) interface (\S+)|(global))( control-plane| per-user-override)?\s*\Z"
)
_NAMEIF = re.compile(r"\A[A-Za-z0-9][A-Za-z0-9_.-]{0,47}\Z")
_BLOCK = re.compile(r"\A(?:object|object-group) \S+ \S+")
# Printable ASCII without the question mark, which asks for help in the middle of a line.
_ENTRY = re.compile(r"\A(?:extended (?:permit|deny)|remark) [\x20-\x3e\x40-\x7e]{1,300}\Z")


@dataclass(frozen=True)
class Interface:
    """A named interface: its address with prefix (empty where it has none) and security level (0 to 100)."""

    nameif: str
    address: str = ""
    level: int = 0

    @property
    def network(self) -> ipaddress.IPv4Network | None:
        """Return the connected subnet."""
        return ipaddress.IPv4Interface(self.address).network if self.address else None


@dataclass(frozen=True)
class AsaState(IosState):
    """What we know of an ASA. ``lists``: name -> lines from ``extended``, ``remark`` or another kind on; ``groups``: place -> list.

    ``overrides``: places whose list gives way to lists of users; ``objects``: the blocks of objects and groups as text;
    ``routes``: (network, nameif) of static routes; ``transactional``: whether changed rules are compiled before they replace the old
    ones; ``elsewhere``: names of ours that other lines use (packets to the firewall itself,
    class maps, crypto maps).
    """

    objects: str = ""
    named: dict[str, Interface] = field(default_factory=dict, hash=False)
    routes: tuple[tuple[str, str], ...] = ()
    transactional: bool = False
    unusual: tuple[str, ...] = ()  # access-group lines for packets to the firewall itself (control plane)
    overrides: frozenset[Place] = frozenset()

    def behind(self, address: str) -> str:
        """Return the nameif behind which an address lies, by subnets and static routes; "" where that is not known."""
        wanted, best, found = ipaddress.ip_address(address), -1, ""
        networks = [(each.network, name) for name, each in self.named.items()]
        networks += [(ipaddress.IPv4Network(network), name) for network, name in self.routes]
        for network, name in networks:
            if network is not None and wanted.version == 4 and wanted in network and network.prefixlen > best:
                best, found = network.prefixlen, name
        return found


def read_asa_config(text: str) -> AsaState:
    """Return our view of a running configuration; lines of other lists are kept, so that names are known to be taken."""
    lists: dict[str, list[str]] = {}
    groups: dict[Place, str] = {}
    named: dict[str, Interface] = {}
    routes: list[tuple[str, str]] = []
    blocks: list[str] = []
    ways_back: dict[str, WayBack] = {}
    unusual: list[str] = []
    overrides: set[Place] = set()
    elsewhere: set[str] = set()
    transactional = inside = False
    applet = ""
    below: dict[str, str] = {}

    def end_interface() -> None:
        if below.get("nameif"):
            level = below.get("security-level") or "0"
            named[below["nameif"]] = Interface(
                below["nameif"], below.get("address", ""), int(level) if level.isdigit() else 0
            )
        below.clear()

    for raw in text.replace("\r", "").splitlines():
        line = raw.rstrip()
        if line and line[0].isspace():
            if inside:
                blocks.append(line)
            elif "interface" in below:
                _interface_line(line.split(), below)
            elif applet:
                ways_back[applet] = applet_line(ways_back[applet], line.strip())
            else:
                elsewhere |= names_used(line)
            continue
        end_interface()
        way = _APPLET.match(line)
        applet = way[1] if way else ""
        inside = bool(_BLOCK.match(line))
        entry, group = _LINE.match(line), _GROUP.match(line)
        if inside:
            blocks.append(line)
        elif entry:
            lists.setdefault(entry[1], []).append(entry[2])
        elif group and "control-plane" not in (group[5] or ""):
            place = GLOBAL if group[4] else (group[3], group[2])
            groups[place] = group[1]
            if group[5]:
                overrides.add(place)
        elif line.startswith("access-group "):
            unusual.append(line)
            elsewhere |= names_used(line)
        elif line.startswith("interface "):
            below["interface"] = line
        elif line.startswith("route "):
            _route(line.split(), routes)
        elif applet:
            ways_back[applet] = WayBack(applet)
        elif line.startswith("asp rule-engine transactional-commit access-group"):
            transactional = True
        elif not line.startswith(("event manager applet ", "banner ")):
            elsewhere |= names_used(line)
    end_interface()
    return AsaState(
        {name: tuple(lines) for name, lines in lists.items()}, groups, tuple(named), frozenset(), objects="\n".join(blocks),
        named=named, routes=tuple(routes), transactional=transactional, ways_back=tuple(ways_back.values()), unusual=tuple(unusual),
        overrides=frozenset(overrides), elsewhere=frozenset(elsewhere),
    )  # fmt: skip


def applet_line(way: WayBack, line: str) -> WayBack:
    """Return a way back with one more line of its applet."""
    timer = _COUNTDOWN.match(line)
    text = line.removeprefix("description ") if line.startswith("description ") else way.text
    return replace(way, lines=way.lines + 1, seconds=int(timer[1]) if timer else way.seconds, text=text)


def _interface_line(words: list[str], below: dict[str, str]) -> None:
    if words[:1] in (["nameif"], ["security-level"]) and len(words) > 1:
        below[words[0]] = words[1]
    elif words[:2] == ["ip", "address"] and len(words) > 3:
        try:
            below["address"] = str(ipaddress.IPv4Interface(f"{words[2]}/{words[3]}"))
        except ValueError:
            below.pop("address", None)


def _route(words: list[str], routes: list[tuple[str, str]]) -> None:
    try:
        routes.append((str(ipaddress.IPv4Network(f"{words[2]}/{words[3]}")), words[1]))
    except (ValueError, IndexError):
        return


def asa_text(name: str, lines: tuple[str, ...] | list[str], state: AsaState | None = None) -> str:
    """Return a list as configuration under a name, with all objects before it where one of its lines names some."""
    body = [f"access-list {name} {line}" for line in lines]
    named = state is not None and state.objects and any(re.search(r" object(?:-group\S*)? ", line) for line in lines)
    return "\n".join([*([state.objects] if named and state is not None else []), *body]) + "\n"


def our_lines(state: AsaState) -> list[str]:
    """Return what decides of our lists and their attachments, entries in order: a remark by hand that nobody saved is its owner's."""
    lines = [
        f"access-list {name} {line}"
        for name, rest in sorted(state.lists.items())
        if ours(name)
        for line in rest
        if not line.startswith("remark ")
    ]
    return [*lines, *sorted(attach_line(name, place) for place, name in state.groups.items() if ours(name))]


def typed_lines(content: str) -> tuple[str, ...]:
    """Return what stands behind ``access-list NAME`` in each line of a text.

    The last guard before a command line: FindingError for a line that is no entry of an extended list and no remark (objects are not
    written by this target), and for characters that a terminal takes as keys.
    """
    wanted = []
    for raw in content.replace("\r", "").splitlines():
        line = " ".join(raw.split())
        if not line or line == "!":
            continue
        found = _LINE.match(line)
        if found is None or not _ENTRY.match(found[2]):
            raise FindingError(codes.BAD_BODY.at(f"{line[:80]!r} is not an entry of an extended access list"))
        wanted.append(found[2])
    return tuple(wanted)


def checked_place(interface: str, direction: str) -> Place:
    """Return a place that is safe to type; FindingError otherwise."""
    if not interface and direction in ("", "global", "in"):
        return GLOBAL
    if not _NAMEIF.match(interface) or direction not in ("in", "out"):
        raise FindingError(
            codes.BAD_BODY.at(f"place {interface[:60]!r} {direction[:20]!r}: a nameif and in or out are wanted")
        )
    return interface, direction


def place_name(place: Place) -> str:
    """Return the object name of a place: ``global``, or NAMEIF-DIRECTION."""
    return "global" if place == GLOBAL else f"{place[0]}-{place[1]}"


def attach_line(name: str, place: Place) -> str:
    """Return the line that puts a list in force at a place, in place of the one that is there."""
    return f"access-group {name} global" if place == GLOBAL else f"access-group {name} {place[1]} interface {place[0]}"


def way_back(state: AsaState, fresh: str, places: list[Place], seconds: int) -> list[str]:
    """Return the lines of an applet that puts back what stands at the places now, unless it is removed within the seconds.

    The countdown is the last line, so that it never runs over a half-typed applet (ASA general operations guide, "Embedded Event
    Manager": its commands run in global configuration mode with privilege 15; single context only).
    """
    lines = [
        f"event manager applet {own_name(WAY_BACK)}",
        f"description puts the list before back; armed {own_words()}",
    ]
    for number, place in enumerate(places, 1):
        old = state.groups.get(place, "")
        command = attach_line(old, place) if old else f"no {attach_line(fresh, place)}"
        lines.append(f'action {number} cli command "{command}"')
    return [*lines, "output none", f"event timer countdown time {seconds}"]


def claim_lines(seconds: int) -> list[str]:
    """Return the lines of our claim: an applet whose only action is to take itself away after the seconds (ways_back.py)."""
    name = own_name(CLAIM)
    return [
        f"event manager applet {name}",
        f"description a run is at work; claimed {own_words()}",
        f'action 1 cli command "no event manager applet {name}"',
        "output none",
        f"event timer countdown time {seconds}",
    ]


__all__ = ["AsaState", "Interface", "checked_name", "read_asa_config"]
