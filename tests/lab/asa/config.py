# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration of an emulated ASA: state, its text, and every line that changes it."""

from __future__ import annotations

import ipaddress
import re
from copy import deepcopy
from dataclasses import dataclass, field, replace

from tests.lab.asa.entries import ANY, Entry, Place, Wrong, parse_entry, take_place
from tests.lab.asa.objects import GROUP_KINDS, Group, Object, Objects, check_member

NAME_LIMIT = 241
PLACES = ("in", "out", "global")
Where = tuple[str, str]  # direction and nameif; ("global", "")


class Refused(Exception):
    """A line that parsed and was refused: the text is what the device prints."""


@dataclass
class Interface:
    """One interface with its lines as typed."""

    hardware: str
    lines: list[str] = field(default_factory=list)

    def value(self, word: str) -> str:
        return next((line[len(word) + 1 :] for line in self.lines if line.startswith(f"{word} ")), "")

    @property
    def network(self) -> ipaddress.IPv4Network | None:
        words = self.value("ip address").split()
        return ipaddress.IPv4Network(f"{words[0]}/{words[1]}", strict=False) if len(words) >= 2 else None


@dataclass
class Applet:
    """An applet of the event manager: seconds of its countdown, its commands by number."""

    name: str
    seconds: int | None = None
    actions: dict[int, str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)


Line = Entry | str  # an entry of an extended list; the rest of the line for remarks ("remark X") and standard lists


@dataclass
class AsaConfig:
    """Everything that show running-config prints."""

    hostname: str = "ciscoasa"
    limit: int = 100_000
    interfaces: dict[str, Interface] = field(default_factory=dict)
    objects: Objects = field(default_factory=Objects)
    lists: dict[str, list[Line]] = field(default_factory=dict)
    groups: dict[Where, str] = field(default_factory=dict)
    overrides: set[Where] = field(default_factory=set)
    applets: dict[str, Applet] = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)
    target: Interface | Object | Group | Applet | None = None
    forward_reference: bool = False
    applets_allowed: bool = True  # not in a context

    def copy(self) -> AsaConfig:
        """Return a copy that can be changed alone."""
        return deepcopy(self)

    # -- text --------------------------------------------------------------------------------------------------------

    def body(self) -> str:
        """Return the configuration as lines, without header and end."""
        lines = [f"hostname {self.hostname}"]
        for interface in self.interfaces.values():
            lines += [f"interface {interface.hardware}", *(f" {line}" for line in interface.lines), "!"]
        lines += self.object_lines() + self.group_lines()
        for name in self.lists:
            lines += self.list_lines(name)
        lines += [line for line in self.kept if not line.startswith(("route ", "username "))]
        lines += self.attachment_lines()
        for applet in self.applets.values():
            lines += [f"event manager applet {applet.name}", *(f" {line}" for line in applet.lines)]
        lines += [line for line in self.kept if line.startswith(("route ", "username "))]
        return "\n".join(lines) + "\n"

    def object_lines(self) -> list[str]:
        return [line for each in self.objects.objects.values() for line in each.text().splitlines()]

    def group_lines(self) -> list[str]:
        return [line for each in self.objects.groups.values() for line in each.text().splitlines()]

    def list_lines(self, name: str) -> list[str]:
        """Return a list as the configuration has it."""
        return [
            f"access-list {name} extended {line.words()}" if isinstance(line, Entry) else f"access-list {name} {line}"
            for line in self.lists[name]
        ]

    def attachment_lines(self) -> list[str]:
        lines = []
        for where, name in self.groups.items():
            way, _space, plane = where[0].partition(" ")
            more = f" {plane}" if plane else " per-user-override" if where in self.overrides else ""
            lines.append(
                f"access-group {name} global"
                if way == "global"
                else f"access-group {name} {way} interface {where[1]}{more}"
            )
        return lines

    # -- questions ---------------------------------------------------------------------------------------------------

    def nameifs(self) -> dict[str, Interface]:
        """Return the interfaces that have a name, by it."""
        return {each.value("nameif"): each for each in self.interfaces.values() if each.value("nameif")}

    def plain(self, name: str) -> list[tuple[int, Entry, Entry]]:
        """Return (line number, entry, plain entry) of a list in order; raises KeyError for names that do not exist."""
        return [
            (number, line, each)
            for number, line in enumerate(self.lists.get(name, ()), 1)
            if isinstance(line, Entry)
            for each in self.objects.expanded(line)
        ]

    def elements(self) -> int:
        """Return the entries of all lists, expanded."""
        total = 0
        for lines in self.lists.values():
            for line in lines:
                total += self.size(line)
        return total

    def size(self, line: Line) -> int:
        """Return how many entries a line stands for; one for a name that is not resolved, none for a remark."""
        if not isinstance(line, Entry):
            return 0
        if not (line.service or line.port_group or "object" in line.source.kind + line.destination.kind):
            return 1
        try:
            return len(list(self.objects.expanded(line)))
        except KeyError:
            return 1

    def egress(self, address: str) -> str:
        """Return the nameif behind which an address lies, by connected networks and static routes; "" where none."""
        wanted = ipaddress.ip_address(address)
        best, found = -1, ""
        for name, interface in self.nameifs().items():
            network = interface.network
            if network is not None and wanted in network and network.prefixlen > best:
                best, found = network.prefixlen, name
        for line in self.kept:
            words = line.split()
            if words[0] == "route" and len(words) >= 5:
                network = ipaddress.IPv4Network(f"{words[2]}/{words[3]}")
                if wanted in network and network.prefixlen > best:
                    best, found = network.prefixlen, words[1]
        return found

    # -- change ------------------------------------------------------------------------------------------------------

    def apply(self, text: str, *, session: bool = False) -> str:
        """Carry out one line; return what the device says (a warning, mostly nothing). Raises Wrong and Refused.

        ``session``: only what a configuration session takes.
        """
        words = text.split()
        indented = self.target is not None
        if indented:
            found = self._member(words)
            if found is not None:
                return found
        removing = words[0] == "no"
        rest = words[1:] if removing else words
        if not rest:
            raise Wrong(-1)
        known = ("access-list", "object", "object-group")
        if session and rest[0] not in known:
            raise Wrong(int(removing))
        self.target = None
        if rest[0] == "access-list":
            return self._access_list(words, removing)
        if rest[0] in ("object", "object-group"):
            return self._object(words, removing)
        if rest[0] == "access-group":
            return self._access_group(words, removing)
        if words[:3] == ["clear", "configure", "access-list"]:
            return self._clear_list(words)
        if rest[0] == "interface" and len(rest) == 2:
            self.target = self.interfaces.setdefault(rest[1], Interface(rest[1]))
            return ""
        if rest[:3] == ["event", "manager", "applet"] and len(rest) == 4 and self.applets_allowed:
            return self._applet(rest[3], removing)
        if rest[0] == "hostname" and len(rest) == 2 and not removing:
            self.hostname = rest[1]
            return ""
        return self._keep(text.strip(), words, removing)

    def _keep(self, text: str, words: list[str], removing: bool) -> str:
        kept = (
            "names", "name", "route", "ssh", "username", "pager", "asp", "same-security-traffic", "console", "aaa",
            "snmp-server", "logging", "failover", "terminal", "time-range", "forward-reference", "ntp", "banner",
        )  # fmt: skip
        first = words[1] if removing else words[0]
        if first not in kept:
            raise Wrong(int(removing))
        if first == "forward-reference":
            self.forward_reference = not removing
        line = " ".join(words[1:] if removing else words)
        if removing:
            self.kept = [each for each in self.kept if each != line]
        elif line not in self.kept:
            self.kept.append(line)
        return ""

    # -- lists -------------------------------------------------------------------------------------------------------

    def _access_list(self, words: list[str], removing: bool) -> str:
        at = 1 + int(removing)
        if len(words) <= at + 1:
            raise Wrong(-1)
        name = words[at]
        if len(name) > NAME_LIMIT:
            raise Wrong(at)
        at += 1
        number = None
        if words[at] == "line":
            if len(words) <= at + 1:
                raise Wrong(-1)
            if not words[at + 1].isdigit() or int(words[at + 1]) < 1:
                raise Wrong(at + 1)
            number, at = int(words[at + 1]), at + 2
        if len(words) <= at:
            raise Wrong(-1)
        line = self._line(words, at)
        if removing:
            return self._remove_line(name, line, number)
        return self._add_line(name, line, number)

    def _line(self, words: list[str], at: int) -> Line:
        if words[at] == "remark":
            text = " ".join(words[at + 1 :])
            if not text:
                raise Wrong(-1)
            return f"remark {text[:100]}"
        if words[at] == "standard":
            if words[at + 1 : at + 2] not in (["permit"], ["deny"]):
                raise Wrong(at + 1)
            take_place(words, at + 2)
            return " ".join(words[at:])
        start = at + 1 if words[at] == "extended" else at
        try:
            return self._settled(parse_entry(words[start:]), start)
        except Wrong as problem:
            raise Wrong(problem.at + start if problem.at >= 0 else -1, problem.text) from None

    def _settled(self, entry: Entry, start: int) -> Entry:
        """Return the entry with a service group in its right place; Refused for names that do not exist."""
        if entry.source_ports is None and entry.destination.kind == "object-group" and not self.forward_reference:
            group = self.objects.groups.get(entry.destination.name)
            if group is not None and group.kind not in ("network",):
                raise Wrong(-1)
        for used in sorted(self.objects.uses(entry)):
            word, _, name = used.partition(" ")
            space: dict[str, object] = self.objects.groups if word == "object-group" else self.objects.objects  # type: ignore[assignment]
            if name not in space and not self.forward_reference:
                if word == "object":
                    raise Refused("ERROR: specified object does not exist")
                raise Refused(f"ERROR: specified object group <{name}> not found")
        for place in (entry.source, entry.destination):
            if place.kind == "interface" and place.name not in self.nameifs():
                raise Refused(f"ERROR: % Interface name {place.name} not found")
        return entry

    def _add_line(self, name: str, line: Line, number: int | None) -> str:
        lines = self.lists.setdefault(name, [])
        if isinstance(line, Entry):
            if line in lines:
                return f"WARNING: <{name}> found duplicate element\n"
            if len(lines) + 1 > self.limit or self.elements() + self.size(line) > self.limit:
                if not lines:
                    del self.lists[name]
                raise Refused("ERROR: Unable to add, access-list config limit reached")
        lines.insert(len(lines) if number is None else min(number - 1, len(lines)), line)
        return ""

    def _remove_line(self, name: str, line: Line, number: int | None) -> str:
        lines = self.lists.get(name)
        if lines is None:
            raise Refused(f"ERROR: access-list <{name}> does not exist")
        places = [at for at, each in enumerate(lines) if each == line and number in (None, at + 1)]
        if not places:
            raise Refused("ERROR: Specified access-list does not exist")
        del lines[places[0]]
        if not lines:
            self._gone(name)
        return ""

    def _gone(self, name: str) -> None:
        del self.lists[name]
        self.groups = {where: used for where, used in self.groups.items() if used != name}

    def _clear_list(self, words: list[str]) -> str:
        if len(words) != 4:
            raise Wrong(-1)
        if words[3] not in self.lists:
            raise Refused(f"ERROR: access-list <{words[3]}> does not exist")
        self._gone(words[3])
        return ""

    def _access_group(self, words: list[str], removing: bool) -> str:
        at = 1 + int(removing)
        if len(words) < at + 2:
            raise Wrong(-1)
        name, way = words[at], words[at + 1]
        if way == "global":
            where: Where = ("global", "")
            end = at + 2
        elif way in ("in", "out"):
            if len(words) < at + 4:
                raise Wrong(-1)
            if words[at + 2] != "interface":
                raise Wrong(at + 2)
            where, end = (way, words[at + 3]), at + 4
            if words[at + 3] not in self.nameifs():
                raise Refused(f"ERROR: % Interface name {words[at + 3]} not found")
        else:
            raise Wrong(at + 1)
        if words[end:] not in ([], ["control-plane"], ["per-user-override"]):
            raise Wrong(end)
        if words[end:] == ["control-plane"]:
            where = (f"{way} control-plane", where[1])
        if removing:
            if self.groups.get(where) != name:
                raise Refused(f"ERROR: access-group <{name}> does not exist")
            del self.groups[where]
            return ""
        if name not in self.lists:
            raise Refused(f"ERROR: access-list <{name}> does not exist")
        self.groups[where] = name
        self.overrides.discard(where)
        if words[end:] == ["per-user-override"]:
            self.overrides.add(where)
        return ""

    # -- objects -----------------------------------------------------------------------------------------------------

    def _object(self, words: list[str], removing: bool) -> str:
        at = int(removing)
        kinds = ("network", "service") if words[at] == "object" else GROUP_KINDS
        if len(words) < at + 3:
            raise Wrong(-1)
        if words[at + 1] not in kinds:
            raise Wrong(at + 1)
        name, single = words[at + 2], words[at] == "object"
        if removing:
            return self._remove_object(f"{words[at]} {name}", name, single)
        found: Object | Group
        if single:
            found = self.objects.objects.setdefault(name, Object(words[at + 1], name))
        else:
            protocol = words[at + 3] if len(words) > at + 3 else ""
            if protocol and (words[at + 1] != "service" or protocol not in ("tcp", "udp", "tcp-udp")):
                raise Wrong(at + 3)
            found = self.objects.groups.setdefault(name, Group(words[at + 1], name, protocol))
        if found.kind != words[at + 1]:
            raise Refused(f"ERROR: {words[at]} {name} exists with another type")
        self.target = found
        return ""

    def _remove_object(self, used: str, name: str, single: bool) -> str:
        space: dict[str, object] = self.objects.objects if single else self.objects.groups  # type: ignore[assignment]
        if name not in space:
            raise Refused(f"ERROR: {used} does not exist")
        in_lists = any(
            used in self.objects.uses(line)
            for lines in self.lists.values()
            for line in lines
            if isinstance(line, Entry)
        )
        word = "object" if single else "group-object"
        in_groups = any(
            member.endswith(f"{word} {name}") for group in self.objects.groups.values() for member in group.members
        )
        if in_lists or in_groups:
            raise Refused(f"ERROR: unable to delete {used}. {'Object' if single else 'object-group'} is being used.")
        del space[name]
        return ""

    # -- lines below a header ----------------------------------------------------------------------------------------

    def _member(self, words: list[str]) -> str | None:
        """Carry out a line in the mode of the target; None where it belongs to the level above."""
        target = self.target
        removing = words[0] == "no"
        rest = words[1:] if removing else words
        if isinstance(target, Interface):
            if rest and rest[0] in (
                "nameif",
                "security-level",
                "ip",
                "description",
                "shutdown",
                "management-only",
                "vlan",
            ):
                key = " ".join(rest[:2]) if rest[0] == "ip" else rest[0]
                target.lines = [line for line in target.lines if not line.startswith(key)]
                if not removing:
                    target.lines.append(" ".join(rest))
                return ""
            return None
        if isinstance(target, Object) and rest:
            return self._object_line(target, rest)
        if isinstance(target, Group) and rest:
            return self._group_line(target, rest, removing)
        if isinstance(target, Applet) and rest:
            return _applet_line(target, rest, removing)
        return None

    def _object_line(self, target: Object, words: list[str]) -> str | None:
        if words[0] == "description":
            target.description = " ".join(words[1:])
            return ""
        if target.kind == "network" and words[0] in ("host", "subnet", "range", "fqdn"):
            if words[0] == "host":
                take_place(words, 0)
            elif words[0] == "subnet":
                take_place(words, 1)
            elif words[0] == "range" and len(words) == 3:
                if ipaddress.ip_address(words[1]) > ipaddress.ip_address(words[2]):
                    raise Wrong(2)
            target.value = " ".join(words)
            return ""
        if target.kind == "service" and words[0] == "service":
            target.value = " ".join(words)
            return ""
        return None

    def _group_line(self, target: Group, words: list[str], removing: bool) -> str | None:
        if words[0] == "description":
            target.description = " ".join(words[1:])
            return ""
        if not words[0].endswith("-object"):
            return None
        check_member(target.kind, target.protocol, words, self.objects)
        text = " ".join(words)
        if removing:
            if text not in target.members:
                raise Refused("ERROR: entry does not exist")
            target.members.remove(text)
        elif text in target.members:
            raise Refused(f"Adding obj ({text}) to grp ({target.name}) failed; object already exists")
        else:
            target.members.append(text)
        return ""

    def _applet(self, name: str, removing: bool) -> str:
        if removing:
            if name not in self.applets:
                raise Refused(f"ERROR: event manager applet {name} does not exist")
            del self.applets[name]
            return ""
        self.target = self.applets.setdefault(name, Applet(name))
        return ""


def _applet_line(target: Applet, words: list[str], removing: bool) -> str | None:
    text = " ".join(words)
    timer = re.fullmatch(r"event timer countdown time (\d+)", text)
    action = re.fullmatch(r'action (\d+) cli command "([^"]+)"', text)
    if removing or not (timer or action or words[0] in ("description", "output")):
        return None
    key = f"action {action[1]} " if action else f"{words[0]} "
    if timer:
        target.seconds = int(timer[1])
    elif action:
        target.actions[int(action[1])] = action[2]
    target.lines = [line for line in target.lines if not line.startswith(key)] + [text]
    return ""


def reset_hits(config: AsaConfig, name: str) -> None:
    """Set the counters of a list to nought."""
    config.lists[name] = [replace(line, hits=0) if isinstance(line, Entry) else line for line in config.lists[name]]


__all__ = ["ANY", "Applet", "AsaConfig", "Interface", "Place", "Refused", "Wrong", "reset_hits"]
