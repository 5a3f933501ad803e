# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Configuration inside an interface and inside a terminal line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tests.lab.iosxe import modes
from tests.lab.iosxe.access_list import TITLES, AccessList
from tests.lab.iosxe.grammar import INCOMPLETE, CliError, SyntaxFault

if TYPE_CHECKING:
    from tests.lab.iosxe.cli import Cli

INTERFACE, LINE = modes.GRAMMARS[modes.INTERFACE], modes.GRAMMARS[modes.LINE]

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


def set_value(settings: dict[str, str], key: str, line: str) -> bool:
    changed = settings.get(key) != line
    settings[key] = line
    return changed


# -- interfaces ------------------------------------------------------------------------------------------------------


def _each(cli: Cli, key: str, line: str | None) -> bool:
    """Set (or with None unset) one setting on every interface or line that is being edited."""
    changed = False
    for target in cli.target:
        settings = target if isinstance(target, dict) else cli.config.interfaces[target].settings
        if line is None:
            changed |= settings.pop(key, None) is not None
        else:
            changed |= set_value(settings, key, line)
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


def _of_family(name: str, other: Mapping[str, AccessList], own: Mapping[str, AccessList]) -> None:
    """Refuse the command of one family for a list of the other; a list that does not exist is taken."""
    if name in other and name not in own:
        raise CliError(f"% Access list {name} is an {TITLES[other[name].kind]}")


@INTERFACE.command("ip access-group <name> <choice:in|out>")
def access_group(cli: Cli, name: str, direction: str) -> bool:
    _of_family(name, cli.config.lists6, cli.config.lists)
    return _each(cli, f"ip access-group {direction}", f"ip access-group {name} {direction}")


@INTERFACE.command("no ip access-group <name> <choice:in|out>")
def no_access_group(cli: Cli, name: str, direction: str) -> bool:
    mine = [target for target in cli.target if cli.config.interfaces[target].access_group(direction) == name]
    for target in mine:
        del cli.config.interfaces[target].settings[f"ip access-group {direction}"]
    return bool(mine)


@INTERFACE.command("ipv6 traffic-filter <name> <choice:in|out>")
def traffic_filter(cli: Cli, name: str, direction: str) -> bool:
    _of_family(name, cli.config.lists, cli.config.lists6)
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
