# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Configuration lines to configuration state: modes, syntax, what each command does. Knows no hardware and no terminal."""

from __future__ import annotations

import re

from tests.lab.iosxe.grammar import INCOMPLETE, INVALID, CliError, Grammar, SyntaxFault, tokens
from tests.lab.nxos.config import ATTACH, KEPT_FIRST, REGIONS, Block, Config, Interface
from tests.lab.nxos.interfaces import full_name
from tests.lab.nxos.lists import AccessList, list_name

CONFIG, ACL, ACL6, IF, VTY, BLOCK, JOB, SCHEDULE = (
    "config", "config-acl", "config-ipv6-acl", "config-if", "config-line", "block", "config-job", "config-schedule",
)  # fmt: skip
FEATURES = ("scheduler", "interface-vlan", "lacp", "lldp", "dhcp", "tacacs+", "vpc", "ospf", "bgp", "nxapi", "cts")
KEPT_IN_INTERFACE = ("description", "switchport access vlan", "switchport mode", "switchport trunk", "vrf member", "ip address",
                     "ipv6 address", "mtu", "speed", "duplex", "channel-group", "spanning-tree", "ip ospf", "hsrp")  # fmt: skip
BLOCK_PROMPTS = {
    "vrf context": "config-vrf",
    "object-group": "config-ipaddr-ogroup",
    "vlan": "config-vlan",
    "aaa group": "config-radius",
}
IN_SESSION = frozenset({ACL, ACL6, IF})


class Editor:
    """Applies lines to one configuration. session: only what Session Manager takes (lists, groups of addresses, attaching)."""

    def __init__(self, config: Config, *, session: bool = False) -> None:
        self.config, self.session = config, session
        self.mode, self.target = CONFIG, ""
        self.targets: list[str] = []

    def prompt(self) -> str:
        """Return what stands in the parentheses of the prompt."""
        mode = self.mode
        if mode == BLOCK:
            mode = next((word for start, word in BLOCK_PROMPTS.items() if self.target.startswith(start)), "config")
        if mode == IF and len(self.targets) > 1:
            mode = "config-if-range"
        return mode.replace("config", "config-s", 1) if self.session else mode

    def apply(self, text: str) -> bool:
        """Carry out one line; True when it changed the configuration. Raises SyntaxFault, CliError."""
        fault: SyntaxFault | None = None
        if self.mode != CONFIG:
            try:
                return self._in_mode(text)
            except SyntaxFault as caught:
                if caught.kind != INVALID or self.mode == JOB:
                    raise
                fault = caught
        try:
            return self._global(text)
        except SyntaxFault as caught:
            raise fault if fault is not None and fault.position >= caught.position else caught from None

    # -- global ------------------------------------------------------------------------------------------------------

    def _global(self, text: str) -> bool:
        words = [word for word, _position in tokens(text)]
        places = [position for _word, position in tokens(text)]
        negated = words[0].lower() == "no"
        if negated:
            words, places = words[1:], places[1:]
        if not words:
            raise SyntaxFault(INCOMPLETE, len(text))
        low = [word.lower() for word in words]
        if low[0] in ("ip", "ipv6") and len(low) > 1 and len(low[1]) > 3 and "access-list".startswith(low[1]):
            return self._access_list(text, words, places, negated)
        if low[0] == "resequence" and not negated:
            return self._resequence(text, words, places)
        if low[0].startswith("int") and "interface".startswith(low[0]):
            return self._interface(text, words, places, negated)
        if low[:2] == ["object-group", "ip"] or low[:2] == ["object-group", "ipv6"]:
            return self._group(text, words, places, negated)
        if self.session:
            raise SyntaxFault(INVALID, places[0])
        if low[0] == "hostname" and not negated:
            return self._hostname(text, words)
        if low[0] == "feature":
            return self._feature(text, words, places, negated)
        if low[:3] == ["hardware", "access-list", "update"]:
            return self._update(low, places, negated)
        if low[:3] == ["hardware", "access-list", "tcam"]:
            return self._keep(" ".join(words), negated)
        if low[0] == "scheduler":
            return self._scheduler(text, words, places, negated)
        if low[:2] in (["line", "vty"], ["line", "console"]):
            self.mode, self.target = VTY, low[1]
            return False
        if (
            low[0] in ("version", "hardware")
            or " ".join(low).startswith(KEPT_FIRST)
            or low[0] in ("logging", "clock", "banner", "boot")
        ):
            return self._kept(text, words, low, negated)
        raise SyntaxFault(INVALID, places[0])

    def _access_list(self, text: str, words: list[str], places: list[int], negated: bool) -> bool:
        if len(words) < 3:
            raise SyntaxFault(INCOMPLETE, len(text))
        if len(words) > 3:
            raise SyntaxFault(INVALID, places[3])
        name, family = list_name(words[2], places[2]), 6 if words[0].lower() == "ipv6" else 4
        present = self.config.lists.get(name)
        if negated:
            self.mode = CONFIG
            if present is None or present.family != family:
                raise CliError(f"ERROR: Access list {name} does not exist")
            del self.config.lists[name]
            return True
        if present is not None and present.family != family:
            raise CliError("ERROR: ACL with the same name exists with another type")
        self.mode, self.target = (ACL6 if family == 6 else ACL), name
        if present is None:
            self.config.lists[name] = AccessList(name, family)
            return True
        return False

    def _resequence(self, text: str, words: list[str], places: list[int]) -> bool:
        if len(words) < 6:
            raise SyntaxFault(INCOMPLETE, len(text))
        if words[2].lower() != "access-list" or not (words[4].isdigit() and words[5].isdigit()):
            raise SyntaxFault(INVALID, places[2])
        found = self.config.lists.get(words[3])
        if found is None:
            raise CliError(f"ERROR: Access list {words[3]} does not exist")
        self.mode = CONFIG
        return found.resequence(int(words[4]), int(words[5]))

    def _interface(self, text: str, words: list[str], places: list[int], negated: bool) -> bool:
        if len(words) < 2:
            raise SyntaxFault(INCOMPLETE, len(text))
        names = []
        for part in "".join(words[1:]).split(","):
            name = full_name(part)
            if name is None:
                raise SyntaxFault(INVALID, places[1])
            names.append(name)
        logical = all(name.startswith(("Vlan", "loopback", "port-channel")) or "." in name for name in names)
        if negated:
            if not logical:
                raise SyntaxFault(INVALID, places[1])
            gone = [self.config.interfaces.pop(name, None) for name in names]
            self.mode = CONFIG
            return any(gone)
        missing = [name for name in names if name not in self.config.interfaces]
        if missing and not logical:
            raise CliError("                        ^\n% Invalid interface format at '^' marker.")
        if any(name.startswith("Vlan") for name in missing) and "interface-vlan" not in self.config.features:
            raise SyntaxFault(INVALID, places[1])
        for name in missing:
            self.config.interfaces[name] = Interface(name)
        self.mode, self.targets = IF, names
        return bool(missing)

    def _group(self, text: str, words: list[str], places: list[int], negated: bool) -> bool:
        if len(words) < 4:
            raise SyntaxFault(INCOMPLETE, len(text))
        if words[2].lower() not in ("address", "port"):
            raise SyntaxFault(INVALID, places[2])
        header = " ".join([*(word.lower() for word in words[:3]), words[3]])
        if negated:
            self.mode = CONFIG
            return self.config.blocks.pop(header, None) is not None
        self.mode, self.target = BLOCK, header
        fresh = header not in self.config.blocks
        self.config.blocks.setdefault(header, Block(header))
        return fresh

    def _hostname(self, text: str, words: list[str]) -> bool:
        if len(words) < 2:
            raise SyntaxFault(INCOMPLETE, len(text))
        changed, self.config.hostname = self.config.hostname != words[1], words[1]
        return changed

    def _feature(self, text: str, words: list[str], places: list[int], negated: bool) -> bool:
        if len(words) < 2:
            raise SyntaxFault(INCOMPLETE, len(text))
        name = words[1].lower()
        if name not in FEATURES:
            raise SyntaxFault(INVALID, places[1])
        changed = (name in self.config.features) == negated
        if negated:
            self.config.features.discard(name)
            if name == "scheduler":
                self.config.jobs, self.config.schedules = {}, {}
        else:
            self.config.features.add(name)
        return changed

    def _update(self, low: list[str], places: list[int], negated: bool) -> bool:
        if low[3:] == ["atomic"]:
            changed, self.config.atomic = self.config.atomic == negated, not negated
        elif low[3:] == ["default-result", "permit"]:
            changed, self.config.default_permit = self.config.default_permit == negated, not negated
        else:
            raise SyntaxFault(INVALID, places[-1])
        return changed

    def _scheduler(self, text: str, words: list[str], places: list[int], negated: bool) -> bool:
        if "scheduler" not in self.config.features:
            raise SyntaxFault(INVALID, places[0])
        if len(words) < 4:
            raise SyntaxFault(INCOMPLETE, len(text))
        kind = words[1].lower()
        if kind not in ("job", "schedule") or words[2].lower() != "name":
            raise SyntaxFault(INVALID, places[1])
        found = self.config.jobs if kind == "job" else self.config.schedules
        if negated:
            self.mode = CONFIG
            if words[3] not in found:
                raise CliError(
                    f"ERROR: {kind.capitalize()} does not exist" if kind == "job" else "ERROR: Schedule does not exist"
                )
            del found[words[3]]
            return True
        self.mode, self.target = (JOB if kind == "job" else SCHEDULE), words[3]
        fresh = words[3] not in found
        found.setdefault(words[3], Block(f"scheduler {kind} name {words[3]}"))
        return fresh

    def _kept(self, text: str, words: list[str], low: list[str], negated: bool) -> bool:
        line = " ".join(words)
        if low[:2] == ["vrf", "context"] or low[0] == "vlan" or low[:2] == ["aaa", "group"]:
            if negated:
                self.mode = CONFIG
                return self.config.blocks.pop(line, None) is not None
            self.mode, self.target = BLOCK, line
            fresh = line not in self.config.blocks
            self.config.blocks.setdefault(line, Block(line))
            return fresh
        return self._keep(line, negated)

    def _keep(self, line: str, negated: bool) -> bool:
        self.mode = CONFIG
        if negated:
            gone = [each for each in self.config.kept if each == line or each.startswith(line + " ")]
            for each in gone:
                del self.config.kept[each]
            return bool(gone)
        fresh = line not in self.config.kept
        self.config.kept[line] = None
        return fresh

    # -- below a header ----------------------------------------------------------------------------------------------

    def _in_mode(self, text: str) -> bool:
        there = {JOB: self.config.jobs, SCHEDULE: self.config.schedules}
        if self.mode in there and self.target not in there[self.mode]:  # somebody else removed it meanwhile
            self.mode = CONFIG
            raise CliError(f"ERROR: {self.target} does not exist")
        if self.mode in (ACL, ACL6):
            found = self.config.lists.get(self.target)
            if found is None:
                raise CliError(f"ERROR: Access list {self.target} does not exist")
            return found.apply(text)
        if self.mode == IF:
            changed = [self._in_interface(self.config.interfaces[name], text) for name in self.targets]
            return any(changed)
        if self.mode == VTY:
            return self._in_vty(text)
        if self.mode == JOB:
            return self._in_job(text)
        return self._in_block(text)

    def _in_interface(self, interface: Interface, text: str) -> bool:
        places = [position for _word, position in tokens(text)]
        words = text.split()
        negated = words[0].lower() == "no"
        plain = words[1:] if negated else words
        low = " ".join(word.lower() for word in plain)
        for command in ATTACH:
            if low.startswith(command + " ") or low == command:
                return self._attach(interface, command, plain, text, places, negated)
        if self.session:
            raise SyntaxFault(INVALID, places[0])
        if low in ("switchport", "shutdown"):
            key = "no switchport" if low == "switchport" else "shutdown"
            wanted = negated if low == "switchport" else not negated
            changed = (key in interface.settings) != wanted
            if wanted:
                interface.settings[key] = key
            else:
                interface.settings.pop(key, None)
            return changed
        for key in KEPT_IN_INTERFACE:
            if low == key or low.startswith(key + " "):
                if negated:
                    return interface.settings.pop(key, None) is not None
                if low == key:
                    raise SyntaxFault(INCOMPLETE, len(text))
                line = " ".join([key, *plain[len(key.split()) :]])
                changed, interface.settings[key] = interface.settings.get(key) != line, line
                return changed
        raise SyntaxFault(INVALID, places[1 if negated and len(places) > 1 else 0])

    def _attach(
        self, interface: Interface, command: str, words: list[str], text: str, places: list[int], negated: bool
    ) -> bool:
        rest = words[len(command.split()) :]
        if len(rest) < 2:
            raise SyntaxFault(INCOMPLETE, len(text))
        name, direction = list_name(rest[0], places[-2]), rest[1].lower()
        if len(rest) > 2 or (command, direction) not in REGIONS:
            raise SyntaxFault(INVALID, places[-1])
        key = f"{command} {direction}"
        if negated:
            if interface.access_list(command, direction) != name:
                raise CliError(f"ERROR: {interface.name}: access-list {name} is not applied")
            del interface.settings[key]
            return True
        family = 6 if command.startswith("ipv6") else 4
        present = self.config.lists.get(name)
        if present is not None and present.family != family:
            raise CliError("ERROR: ACL type does not match")
        if "port" in command and interface.routed:
            raise CliError(f"ERROR: {interface.name}: requested config change not allowed")
        line = f"{command} {name} {direction}"
        changed, interface.settings[key] = interface.settings.get(key) != line, line
        return changed

    def _in_vty(self, text: str) -> bool:
        words = text.split()
        negated = words[0].lower() == "no"
        plain = words[1:] if negated else words
        if plain[0].lower() in ("exec-timeout", "session-limit", "speed") and not negated:
            key = plain[0].lower()
            changed, self.config.vty[key] = self.config.vty.get(key) != text, f"{text.strip()}"
            return changed
        start = "ipv6 access-class" if plain[0].lower() == "ipv6" else "access-class"
        if not " ".join(plain).lower().startswith(start) or plain[-1].lower() not in ("in", "out"):
            raise SyntaxFault(INVALID, 0)
        key = f"{start} {plain[-1].lower()}"
        if negated:
            return self.config.vty.pop(key, None) is not None
        line = f"{start} {plain[-2]} {plain[-1].lower()}"
        changed, self.config.vty[key] = self.config.vty.get(key) != line, line
        return changed

    def _in_job(self, text: str) -> bool:
        if text.strip().lower() in ("end-job", "exit"):
            self.mode = CONFIG
            return False
        self.config.jobs[self.target].lines.append(text.strip())
        return True

    def _in_block(self, text: str) -> bool:
        line = " ".join(text.split())
        if self.mode == SCHEDULE:
            if not re.match(r"(?i)job name \S+$|time start (now|\+?[\d:]+)( repeat [\d:]+)?$", line):
                raise SyntaxFault(INVALID, 0)
            lines = self.config.schedules[self.target].lines
        else:
            lines = self.config.blocks[self.target].lines
            if self.target.startswith("object-group"):
                return self._member(lines, line)
            if line.split()[0] in ("interface", "ip", "ipv6", "vrf", "line", "no", "object-group", "hostname") and not (
                self.target.startswith("vrf") and line.startswith(("ip route", "no ip route", "ipv6 route"))
            ):
                raise SyntaxFault(INVALID, 0)
        if line.startswith("no "):
            if line[3:] not in lines:
                return False
            lines.remove(line[3:])
            return True
        if line in lines:
            return False
        lines.append(line)
        return True

    def _member(self, lines: list[str], line: str) -> bool:
        found = re.match(
            r"(?i)(no )?(?:(\d+) )?((?:host )?[0-9a-f.:]+(?:/\d+)?(?: [0-9.]+)?|(?:eq|gt|lt|neq|range) .*)$", line
        )
        if not found:
            raise SyntaxFault(INVALID, 0)
        if found[1]:
            kept = [each for each in lines if each.split(None, 1)[1] != found[3]]
            changed = len(kept) != len(lines)
            lines[:] = kept
            return changed
        if any(each.split(None, 1)[1] == found[3] for each in lines):
            return False
        number = int(found[2]) if found[2] else 10 + max((int(each.split()[0]) for each in lines), default=0)
        lines.append(f"{number} {found[3]}")
        lines.sort(key=lambda each: int(each.split()[0]))
        return True


def read_text(config: Config, text: str) -> None:
    """Apply a configuration text; raises ValueError on a line that is not taken."""
    editor = Editor(config)
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("!"):
            continue
        try:
            if not line.startswith(" ") and editor.mode != JOB:
                editor.mode = CONFIG
            editor.apply(stripped)
        except (SyntaxFault, CliError) as error:
            raise ValueError(f"configuration line {number}: {line!r}: {error}") from None


# Words offered by the question mark.
HELP = Grammar()
for _pattern in (
    "ip access-list <word>",
    "ipv6 access-list <word>",
    "interface <word>",
    "resequence ip",
    "feature <word>",
    "hostname <word>",
):
    HELP.add(_pattern, lambda: None)
