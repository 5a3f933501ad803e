# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Configuration of TrustSec: enforcement, bindings, cells, monitor mode (facts/devices.md section 1.5)."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, TypeVar

from tests.lab.iosxe import modes
from tests.lab.iosxe.config_model import Cts
from tests.lab.iosxe.grammar import INCOMPLETE, SyntaxFault

if TYPE_CHECKING:
    from tests.lab.iosxe.cli import Cli

CONFIG = modes.GRAMMARS[modes.CONFIG]
K = TypeVar("K")
TAGS = range(65520)
OTHER = (
    "authorization list",
    "logging",
    "sxp",
    "server",
    "cache",
    "role-based enforcement logging-interval",
    "role-based l2-vrf",
    "role-based sgt-caching",
    "credentials",
    "environment-data",
)


def _tag(word: str, at: int) -> int:
    if word.lower() == "unknown":
        return -1
    if not word.isdigit() or int(word) not in TAGS:
        raise SyntaxFault("invalid", at)
    return int(word)


def _names(text: str, offset: int) -> tuple[int, list[str]]:
    """Split "[ipv4|ipv6] NAME..." into family and names."""
    words = text.split()
    family = 4
    if words and words[0].lower() in ("ipv4", "ipv6"):
        family = int(words.pop(0)[-1])
    for word in words:
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]{0,63}", word):
            raise SyntaxFault("invalid", offset + text.index(word))
    return family, words


@CONFIG.command("cts role-based enforcement")
def enforcement(cli: Cli) -> bool:
    changed, cli.config.cts.enforcement = not cli.config.cts.enforcement, True
    return changed


@CONFIG.command("no cts role-based enforcement")
def no_enforcement(cli: Cli) -> bool:
    changed, cli.config.cts.enforcement = cli.config.cts.enforcement, False
    return changed


def _vlans(text: str, offset: int) -> set[int]:
    found: set[int] = set()
    if text.lower() == "all":
        return set(range(1, 4095))
    for part in text.replace(" ", "").split(","):
        low, _, high = part.partition("-")
        if not low.isdigit() or (high and not high.isdigit()):
            raise SyntaxFault("invalid", offset)
        numbers = range(int(low), int(high or low) + 1)
        if not numbers or numbers[0] < 1 or numbers[-1] > 4094:
            raise SyntaxFault("invalid", offset)
        found.update(numbers)
    return found


@CONFIG.command("cts role-based enforcement vlan-list <rest>")
def enforcement_vlans(cli: Cli, text: str) -> bool:
    before = set(cli.config.cts.vlans)
    cli.config.cts.vlans |= _vlans(text, len("cts role-based enforcement vlan-list "))
    return cli.config.cts.vlans != before


@CONFIG.command("no cts role-based enforcement vlan-list <rest>")
def no_enforcement_vlans(cli: Cli, text: str) -> bool:
    before = set(cli.config.cts.vlans)
    cli.config.cts.vlans -= _vlans(text, len("no cts role-based enforcement vlan-list "))
    return cli.config.cts.vlans != before


@CONFIG.command("cts sgt <int:2-65519>")
def own_tag(cli: Cli, tag: int) -> bool:
    changed, cli.config.cts.own_tag = cli.config.cts.own_tag != tag, tag
    return changed


@CONFIG.command("no cts sgt", "no cts sgt <int:2-65519>")
def no_own_tag(cli: Cli, _tag_value: int = 0) -> bool:
    changed, cli.config.cts.own_tag = cli.config.cts.own_tag is not None, None
    return changed


def _binding(word: str, at: int) -> str:
    try:
        return str(ipaddress.ip_network(word, strict=False)) if "/" in word else str(ipaddress.ip_address(word))
    except ValueError:
        raise SyntaxFault("invalid", at) from None


@CONFIG.command("cts role-based sgt-map <word> sgt <int:2-65519>")
def sgt_map(cli: Cli, address: str, tag: int) -> bool:
    address = _binding(address, len("cts role-based sgt-map "))
    changed = cli.config.cts.sgt_map.get(address) != tag
    cli.config.cts.sgt_map[address] = tag
    return changed


@CONFIG.command("cts role-based sgt-map host <ip> sgt <int:2-65519>")
def sgt_map_host(cli: Cli, address: str, tag: int) -> bool:
    return sgt_map(cli, address, tag)


@CONFIG.command("no cts role-based sgt-map <word>", "no cts role-based sgt-map <word> sgt <int:2-65519>")
def no_sgt_map(cli: Cli, address: str, _tag_value: int = 0) -> bool:
    address = _binding(address, len("no cts role-based sgt-map "))
    return cli.config.cts.sgt_map.pop(address, None) is not None


@CONFIG.command("no cts role-based sgt-map host <ip>", "no cts role-based sgt-map host <ip> sgt <int:2-65519>")
def no_sgt_map_host(cli: Cli, address: str, _tag_value: int = 0) -> bool:
    return no_sgt_map(cli, address)


@CONFIG.command("cts role-based sgt-map vlan-list <word> sgt <int:2-65519>")
def sgt_map_vlan(cli: Cli, text: str, tag: int) -> bool:
    before = dict(cli.config.cts.vlan_map)
    cli.config.cts.vlan_map.update(dict.fromkeys(_vlans(text, len("cts role-based sgt-map vlan-list ")), tag))
    return before != cli.config.cts.vlan_map


@CONFIG.command(
    "no cts role-based sgt-map vlan-list <word>", "no cts role-based sgt-map vlan-list <word> sgt <int:2-65519>"
)
def no_sgt_map_vlan(cli: Cli, text: str, _tag_value: int = 0) -> bool:
    gone = [
        cli.config.cts.vlan_map.pop(vlan, None) for vlan in _vlans(text, len("no cts role-based sgt-map vlan-list "))
    ]
    return any(tag is not None for tag in gone)


@CONFIG.command("cts role-based permissions from <word> to <word> <rest>")
def permissions(cli: Cli, source: str, destination: str, text: str) -> bool:
    offset = len(f"cts role-based permissions from {source} to {destination} ")
    family, names = _names(text, offset)
    key = _cell(source, destination, family, "cts role-based permissions from ")
    if not names:
        raise SyntaxFault(INCOMPLETE, offset)
    changed = cli.config.cts.permissions.get(key) != names
    cli.config.cts.permissions[key] = names
    return changed


def _cell(source: str, destination: str, family: int, head: str) -> tuple[int, int, int]:
    return _tag(source, len(head)), _tag(destination, len(head) + len(source) + len(" to ")), family


@CONFIG.command("no cts role-based permissions from <word> to <word>")
def no_permissions(cli: Cli, source: str, destination: str, text: str = "") -> bool:
    head = "no cts role-based permissions from "
    family, names = _names(text, len(f"{head}{source} to {destination} "))
    key = _cell(source, destination, family, head)
    return _drop(cli.config.cts.permissions, key, names)


@CONFIG.command("no cts role-based permissions from <word> to <word> <rest>")
def no_permissions_named(cli: Cli, source: str, destination: str, text: str) -> bool:
    return no_permissions(cli, source, destination, text)


def _drop(store: dict[K, list[str]], key: K, names: list[str]) -> bool:
    if key not in store:
        return False
    left = [name for name in store[key] if name not in names] if names else []
    changed = left != store[key]
    if left:
        store[key] = left
    else:
        del store[key]
    return changed


@CONFIG.command("cts role-based permissions default <rest>")
def default_permissions(cli: Cli, text: str) -> bool:
    family, names = _names(text, len("cts role-based permissions default "))
    if not names:
        raise SyntaxFault(INCOMPLETE, 0)
    changed = cli.config.cts.defaults.get(family) != names
    cli.config.cts.defaults[family] = names
    return changed


@CONFIG.command("no cts role-based permissions default", "no cts role-based permissions default <rest>")
def no_default_permissions(cli: Cli, text: str = "") -> bool:
    family, names = _names(text, len("no cts role-based permissions default "))
    return _drop(cli.config.cts.defaults, family, names)


@CONFIG.command("cts role-based monitor all")
def monitor_all(cli: Cli) -> bool:
    changed, cli.config.cts.monitor_all = not cli.config.cts.monitor_all, True
    return changed


@CONFIG.command("no cts role-based monitor all")
def no_monitor_all(cli: Cli) -> bool:
    changed, cli.config.cts.monitor_all = cli.config.cts.monitor_all, False
    return changed


def _monitor(store: set[K], key: K, on: bool) -> bool:
    changed = (key in store) is not on
    (store.add if on else store.discard)(key)
    return changed


@CONFIG.command(
    "cts role-based monitor permissions from <word> to <word>",
    "cts role-based monitor permissions from <word> to <word> <choice:ipv4|ipv6>",
)
def monitor(cli: Cli, source: str, destination: str, family: str = "ipv4") -> bool:
    key = _cell(source, destination, int(family[-1]), "cts role-based monitor permissions from ")
    return _monitor(cli.config.cts.monitored, key, True)


@CONFIG.command(
    "no cts role-based monitor permissions from <word> to <word>",
    "no cts role-based monitor permissions from <word> to <word> <choice:ipv4|ipv6>",
)
def no_monitor(cli: Cli, source: str, destination: str, family: str = "ipv4") -> bool:
    key = _cell(source, destination, int(family[-1]), "no cts role-based monitor permissions from ")
    return _monitor(cli.config.cts.monitored, key, False)


@CONFIG.command(
    "cts role-based monitor permissions default", "cts role-based monitor permissions default <choice:ipv4|ipv6>"
)
def monitor_default(cli: Cli, family: str = "ipv4") -> bool:
    return _monitor(cli.config.cts.monitored_defaults, int(family[-1]), True)


@CONFIG.command(
    "no cts role-based monitor permissions default",
    "no cts role-based monitor permissions default <choice:ipv4|ipv6>",
)
def no_monitor_default(cli: Cli, family: str = "ipv4") -> bool:
    return _monitor(cli.config.cts.monitored_defaults, int(family[-1]), False)


def _register_kept() -> None:
    """Lines of other TrustSec features are kept as they are."""

    def keep(prefix: str) -> None:
        def handler(cli: Cli, text: str = "") -> bool:
            line = f"cts {prefix} {text}".strip()
            new = line not in cli.config.cts.other
            cli.config.cts.other[line] = None
            return new

        def remove(cli: Cli, text: str = "") -> bool:
            line = f"cts {prefix} {text}".strip()
            gone = [each for each in cli.config.cts.other if each == line or each.startswith(line + " ")]
            for each in gone:
                del cli.config.cts.other[each]
            return bool(gone)

        CONFIG.add(f"cts {prefix} <rest>", handler)
        CONFIG.add(f"no cts {prefix} <rest>", remove)
        CONFIG.add(f"no cts {prefix}", remove)

    for prefix in OTHER:
        keep(prefix)


_register_kept()
__all__ = ["Cts"]
