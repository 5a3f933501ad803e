# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""show ip access-lists and its like, with counters and downloaded lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.lab.iosxe.access_list import STEP, TITLES, show_list
from tests.lab.iosxe.ace_text import EXTENDED, IPV6, ROLE_BASED, ROLE_BASED6, STANDARD
from tests.lab.iosxe.authorization import numbered
from tests.lab.iosxe.show import register, text

if TYPE_CHECKING:
    from tests.lab.iosxe.cli import Cli
    from tests.lab.iosxe.device import Device


def _downloaded(device: Device) -> list[tuple[str, str, list[str]]]:
    """Return (kind, name, lines) of the lists that sessions and cells brought."""
    found: dict[str, tuple[str, str, list[str]]] = {}
    for session in device.endpoint_sessions():
        if session.dacl and session.dacl not in found:
            entries = numbered(session.aces, device.dacl_hits.get(session.dacl, {}))
            found[session.dacl] = (EXTENDED, session.dacl, show_list(EXTENDED, session.dacl, entries))
    for cell in device.downloaded_cells():
        for name, families, aces in cell.sgacls:
            kind = ROLE_BASED if 4 in families else ROLE_BASED6
            entries = numbered(aces, device.sgacl_hits.get(name, {}), STEP, STEP)
            found.setdefault(name, (kind, name, show_list(kind, name, entries, " (downloaded)")))
    return list(found.values())


def _all(device: Device, kinds: tuple[str, ...], wanted: str | None = None) -> str:
    config = device.config
    found = [
        (each.kind, each.name, each.show_lines()) for space in (config.lists, config.lists6) for each in space.values()
    ]
    found += _downloaded(device)
    lines: list[str] = []
    order = (STANDARD, EXTENDED, ROLE_BASED, IPV6, ROLE_BASED6)
    for kind, name, shown in sorted(found, key=lambda each: (order.index(each[0]), each[1])):
        if kind in kinds and wanted in (None, name):
            lines += shown
    return text(lines)


@register("ip access-lists", "ip access-lists <name>")
def ip_access_lists(cli: Cli, name: str | None = None) -> str:
    return _all(cli.device, (STANDARD, EXTENDED, ROLE_BASED), name)


@register("access-lists", "access-lists <name>")
def access_lists(cli: Cli, name: str | None = None) -> str:
    return _all(cli.device, tuple(TITLES), name)


@register("ipv6 access-list", "ipv6 access-list <name>")
def ipv6_access_list(cli: Cli, name: str | None = None) -> str:
    return _all(cli.device, (IPV6, ROLE_BASED6), name)


@register("ip access-lists interface <if>", "ip access-lists interface <if> in", "ip access-lists interface <if> out")
def ip_access_lists_interface(cli: Cli, name: str) -> str:
    device = cli.device
    interface = device.config.interfaces.get(name)
    lines: list[str] = []
    for session in device.endpoint_sessions():
        if session.interface == name and session.dacl:
            lines += show_list(EXTENDED, session.dacl, numbered(session.aces, device.dacl_hits.get(session.dacl, {})))
    for direction in ("in", "out"):
        used = interface.access_group(direction) if interface else None
        if used is not None and used in device.config.lists:
            lines += [
                f"{line} {direction}" if not line.startswith(" ") else line
                for line in device.config.lists[used].show_lines()
            ]
    return text(lines)
