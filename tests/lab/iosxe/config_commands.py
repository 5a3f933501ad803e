# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Configuration of interfaces, lines and the archive, and of lines that are only kept."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.lab.iosxe import modes
from tests.lab.iosxe.config_model import VTY_LINES, Interface, allowed_block
from tests.lab.iosxe.grammar import INCOMPLETE, CliError, SyntaxFault
from tests.lab.iosxe.interfaces import full_name, is_logical

if TYPE_CHECKING:
    from tests.lab.iosxe.cli import Cli

CONFIG, INTERFACE = modes.GRAMMARS[modes.CONFIG], modes.GRAMMARS[modes.INTERFACE]
LINE, ARCHIVE = modes.GRAMMARS[modes.LINE], modes.GRAMMARS[modes.ARCHIVE]

# First words of interface and line settings that are kept without being understood.
KEPT_ON_INTERFACE = frozenset(
    (
        "access-session",
        "arp",
        "authentication",
        "carrier-delay",
        "cdp",
        "channel-group",
        "cts",
        "device-tracking",
        "dot1x",
        "duplex",
        "ip",
        "ipv6",
        "lldp",
        "load-interval",
        "logging",
        "mab",
        "macsec",
        "mdix",
        "mtu",
        "policy",
        "power",
        "snmp",
        "source",
        "spanning-tree",
        "speed",
        "storm-control",
        "switchport",
        "service-policy",
        "subscriber",
        "template",
        "udld",
        "vrf",
    )
)
KEPT_ON_LINE = frozenset(
    (
        "authorization",
        "exec-timeout",
        "exec",
        "length",
        "logging",
        "login",
        "password",
        "privilege",
        "session-timeout",
        "stopbits",
        "transport",
        "width",
        "accounting",
        "ipv6",
        "logout-warning",
        "history",
    )
)
# Where the first word is a global command too: the second words that make it a setting of the sub-mode.
SECOND_WORDS = {
    (modes.INTERFACE, "ip"): (
        "arp",
        "device",
        "dhcp",
        "flow",
        "helper-address",
        "igmp",
        "mtu",
        "nbar",
        "ospf",
        "pim",
        "proxy-arp",
        "redirects",
        "unreachables",
        "verify",
    ),
    (modes.INTERFACE, "ipv6"): ("address", "dhcp", "enable", "flow", "mld", "nd", "ospf", "snooping", "unreachables"),
    (modes.INTERFACE, "cts"): ("dot1x", "layer3", "manual", "role-based enforcement"),
    (modes.INTERFACE, "lldp"): ("receive", "transmit", "med-tlv-select", "tlv-select"),
    (modes.INTERFACE, "cdp"): ("enable", "tlv"),
    (modes.LINE, "ipv6"): ("access-class",),
    (modes.LINE, "logging"): ("synchronous",),
}


# -- global ----------------------------------------------------------------------------------------------------------


@CONFIG.command("hostname <word>")
def hostname(cli: Cli, name: str) -> bool:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,62}", name):
        raise CliError("% Hostname contains one or more illegal characters.")
    changed, cli.config.hostname = cli.config.hostname != name, name
    return changed


@CONFIG.command("interface <if>")
def interface(cli: Cli, name: str) -> bool:
    new = name not in cli.config.interfaces
    if new:
        if not is_logical(name):
            raise SyntaxFault("invalid", len("interface "))
        cli.config.interfaces[name] = Interface(name)
    cli.mode, cli.target = modes.INTERFACE, (name,)
    return new


@CONFIG.command("interface range <rest>")
def interface_range(cli: Cli, text: str) -> bool:
    names = []
    for part in text.split(","):
        found = re.fullmatch(r"\s*(\S+?)\s*-\s*(\d+)\s*", part) or re.fullmatch(r"\s*(\S+)\s*()", part)
        first = full_name(found.group(1)) if found else None
        if found is None or first is None:
            raise SyntaxFault("invalid", len("interface range "))
        stem, number = re.fullmatch(r"(.*?)(\d+)", first).groups()  # type: ignore[union-attr]
        names += [f"{stem}{n}" for n in range(int(number), int(found.group(2) or number) + 1)]
    if not names or any(name not in cli.config.interfaces for name in names):
        raise SyntaxFault("invalid", len("interface range "))
    cli.mode, cli.target = modes.INTERFACE, tuple(names)
    return False


@CONFIG.command("no interface <if>")
def no_interface(cli: Cli, name: str) -> bool:
    if not is_logical(name):
        raise CliError("% Removal of physical interfaces is not permitted")
    return cli.config.interfaces.pop(name, None) is not None


@CONFIG.command("default interface <if>")
def default_interface(cli: Cli, name: str) -> bool:
    if name not in cli.config.interfaces:
        raise SyntaxFault("invalid", len("default interface "))
    settings = cli.config.interfaces[name].settings
    changed = bool(settings)
    settings.clear()
    return changed


@CONFIG.command("line vty <int:0-15>")
def line_vty_one(cli: Cli, first: int) -> bool:
    return line_vty(cli, first, first)


@CONFIG.command("line vty <int:0-15> <int:0-15>")
def line_vty(cli: Cli, first: int, last: int) -> bool:
    if last < first or last >= VTY_LINES:
        raise SyntaxFault("invalid", len("line vty "))
    cli.mode, cli.target = modes.LINE, cli.config.vty[first : last + 1]
    return False


@CONFIG.command("line con <int:0-0>", "line console <int:0-0>")
def line_console(cli: Cli, _number: int) -> bool:
    cli.mode, cli.target = modes.LINE, [cli.config.console]
    return False


@CONFIG.command("archive")
def archive(cli: Cli) -> bool:
    new = cli.config.archive is None
    if new:
        cli.config.archive = {}
    cli.mode = modes.ARCHIVE
    return new


@CONFIG.command("no archive")
def no_archive(cli: Cli) -> bool:
    had, cli.config.archive = cli.config.archive is not None, None
    return had


def _set(settings: dict[str, str], key: str, line: str) -> bool:
    changed = settings.get(key) != line
    settings[key] = line
    return changed


def _archive(cli: Cli) -> dict[str, str]:
    if cli.config.archive is None:  # another session removed it
        cli.config.archive = {}
    return cli.config.archive


@ARCHIVE.command("path <word>")
def archive_path(cli: Cli, path: str) -> bool:
    return _set(_archive(cli), "path", f"path {path}")


@ARCHIVE.command("maximum <int:1-14>")
def archive_maximum(cli: Cli, number: int) -> bool:
    return _set(_archive(cli), "maximum", f"maximum {number}")


@ARCHIVE.command("write-memory")
def archive_write_memory(cli: Cli) -> bool:
    return _set(_archive(cli), "write-memory", "write-memory")


@ARCHIVE.command("time-period <int:1-525600>")
def archive_period(cli: Cli, number: int) -> bool:
    return _set(_archive(cli), "time-period", f"time-period {number}")


@ARCHIVE.command("no path", "no path <word>")
def no_archive_path(cli: Cli, _path: str = "") -> bool:
    return _archive(cli).pop("path", None) is not None


@ARCHIVE.command("no write-memory")
def no_write_memory(cli: Cli) -> bool:
    return _archive(cli).pop("write-memory", None) is not None


# -- interfaces ------------------------------------------------------------------------------------------------------


def _each(cli: Cli, key: str, line: str | None) -> bool:
    """Set (or with None unset) one setting on every interface or line that is being edited."""
    changed = False
    for target in cli.target:
        settings = target if isinstance(target, dict) else cli.config.interfaces[target].settings
        if line is None:
            changed |= settings.pop(key, None) is not None
        else:
            changed |= _set(settings, key, line)
    return changed


@INTERFACE.command("description <rest>")
def description(cli: Cli, text: str) -> bool:
    return _each(cli, "description", f"description {text[:240]}")


@INTERFACE.command("no description", "no description <rest>")
def no_description(cli: Cli, _text: str = "") -> bool:
    return _each(cli, "description", None)


@INTERFACE.command("switchport access vlan <int:1-4094>")
def access_vlan(cli: Cli, vlan: int) -> bool:
    return _each(cli, "switchport access vlan", None if vlan == 1 else f"switchport access vlan {vlan}")


@INTERFACE.command("no switchport access vlan", "no switchport access vlan <int:1-4094>")
def no_access_vlan(cli: Cli, _vlan: int = 1) -> bool:
    return _each(cli, "switchport access vlan", None)


@INTERFACE.command("switchport mode <choice:access|trunk>")
def switchport_mode(cli: Cli, mode: str) -> bool:
    return _each(cli, "switchport mode", f"switchport mode {mode}")


@INTERFACE.command("no switchport mode")
def no_switchport_mode(cli: Cli) -> bool:
    return _each(cli, "switchport mode", None)


@INTERFACE.command("switchport voice vlan <int:1-4094>")
def voice_vlan(cli: Cli, vlan: int) -> bool:
    return _each(cli, "switchport voice vlan", f"switchport voice vlan {vlan}")


@INTERFACE.command("ip access-group <name> <choice:in|out>")
def access_group(cli: Cli, name: str, direction: str) -> bool:
    return _each(cli, f"ip access-group {direction}", f"ip access-group {name} {direction}")


@INTERFACE.command("no ip access-group <name> <choice:in|out>")
def no_access_group(cli: Cli, name: str, direction: str) -> bool:
    mine = [target for target in cli.target if cli.config.interfaces[target].access_group(direction) == name]
    for target in mine:
        del cli.config.interfaces[target].settings[f"ip access-group {direction}"]
    return bool(mine)


@INTERFACE.command("ipv6 traffic-filter <name> <choice:in|out>")
def traffic_filter(cli: Cli, name: str, direction: str) -> bool:
    return _each(cli, f"ipv6 traffic-filter {direction}", f"ipv6 traffic-filter {name} {direction}")


@INTERFACE.command("no ipv6 traffic-filter <name> <choice:in|out>")
def no_traffic_filter(cli: Cli, name: str, direction: str) -> bool:
    mine = [target for target in cli.target if cli.config.interfaces[target].access_group(direction, 6) == name]
    for target in mine:
        del cli.config.interfaces[target].settings[f"ipv6 traffic-filter {direction}"]
    return bool(mine)


@INTERFACE.command("ip address <ip> <ip>")
def ip_address(cli: Cli, address: str, mask: str) -> bool:
    return _each(cli, "ip address", f"ip address {address} {mask}")


@INTERFACE.command("no ip address", "no ip address <ip> <ip>")
def no_ip_address(cli: Cli, *_values: str) -> bool:
    return _each(cli, "ip address", None)


@INTERFACE.command("shutdown")
def shutdown(cli: Cli) -> bool:
    return _each(cli, "shutdown", "shutdown")


@INTERFACE.command("no shutdown")
def no_shutdown(cli: Cli) -> bool:
    return _each(cli, "shutdown", None)


# -- lines -----------------------------------------------------------------------------------------------------------


@LINE.command("access-class <name> <choice:in|out>", "access-class <name> <choice:in|out> vrf-also")
def access_class(cli: Cli, name: str, direction: str) -> bool:
    return _each(cli, f"access-class {direction}", f"access-class {name} {direction}")


@LINE.command("no access-class <name> <choice:in|out>", "no access-class <name> <choice:in|out> vrf-also")
def no_access_class(cli: Cli, name: str, direction: str) -> bool:
    changed = False
    for settings in cli.target:
        if settings.get(f"access-class {direction}", "").split()[1:2] == [name]:
            del settings[f"access-class {direction}"]
            changed = True
    return changed


# -- lines that are only kept ----------------------------------------------------------------------------------------


def keep_line(cli: Cli, text: str) -> bool | None:
    """Keep an interface or line setting that the emulator does not understand; None when it is no such setting."""
    words = text.split()
    negated = words[0].lower() == "no"
    words = words[1:] if negated else words
    allowed = KEPT_ON_INTERFACE if cli.mode == modes.INTERFACE else KEPT_ON_LINE if cli.mode == modes.LINE else ()
    if not words or words[0] not in allowed:
        return None
    second = SECOND_WORDS.get((cli.mode, words[0]))
    if second is not None and len(words) > 1 and words[1] not in second and " ".join(words[1:3]) not in second:
        return None
    if len(words) == 1 and words[0] in ("ip", "ipv6", "cts", "switchport", "authentication", "access-session"):
        if not (negated or words[0] == "switchport"):
            raise SyntaxFault(INCOMPLETE, len(text))
    line = " ".join(words)
    if not negated:
        return _each(cli, line, line)
    changed = False
    for target in cli.target:
        settings = target if isinstance(target, dict) else cli.config.interfaces[target].settings
        for key in [key for key in settings if key == line or key.startswith(line + " ")]:
            del settings[key]
            changed = True
    return changed


def keep_global(cli: Cli, text: str) -> bool | None:
    """Keep a global line that the emulator does not understand; None when it keeps no such lines."""
    words = text.split()
    negated = words[0].lower() == "no"
    line = " ".join(words[1:] if negated else words)
    if not line or not allowed_block(line):
        return None
    blocks = cli.config.blocks
    cli.mode, cli.target = modes.CONFIG, None
    if negated:
        gone = [header for header in blocks if header == line or header.startswith(line + " ")]
        for header in gone:
            del blocks[header]
        return bool(gone)
    new = line not in blocks
    blocks.setdefault(line, [])
    if modes.block_prompt(line) is not None:
        cli.mode, cli.target = modes.BLOCK, line
    return new


def keep_in_block(cli: Cli, text: str) -> bool:
    """Keep a line of a block; a line that is a global command is not one (the caller then tries globally)."""
    stripped = text.strip()
    if not text.startswith(" "):
        try:
            CONFIG.match(stripped)
        except SyntaxFault:
            pass
        else:
            raise SyntaxFault("invalid", 0)
        if modes.block_prompt(stripped) is not None or stripped.startswith("no vlan "):
            raise SyntaxFault("invalid", 0)
    block = cli.config.blocks.setdefault(cli.target, [])
    if stripped.startswith("no "):
        wanted = stripped[3:]
        kept = [line for line in block if not (line.strip() == wanted or line.strip().startswith(wanted + " "))]
        changed = len(kept) != len(block)
        block[:] = kept
        return changed
    line = text.rstrip()
    if cli.target.startswith("vlan ") and stripped.startswith("name "):
        changed = line not in block
        block[:] = [each for each in block if not each.startswith("name ")] + [line]
        return changed
    if line in block:
        return False
    block.append(line)
    return True
