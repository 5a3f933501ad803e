# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The egress matrix as one switch sees it: configured cells, shadowed by downloaded ones.

Source: facts/devices.md section 1.5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.lab.iosxe.ace_text import ROLE_BASED, Ace
from tests.lab.iosxe.acl_syntax import parse_ace
from tests.lab.iosxe.authorization import DEFAULT_CELL

if TYPE_CHECKING:
    from tests.lab.iosxe.device import Device

BUILT_IN = {"PERMIT_IP": ("Permit IP-00", "permit ip"), "DENY_IP": ("Deny IP-00", "deny ip")}


@dataclass(frozen=True)
class Cell:
    """One cell and family. lists: (name, entries) in order, the closing built-in list among them."""

    source: int
    destination: int
    family: int
    lists: tuple[tuple[str, tuple[Ace, ...]], ...]
    configured: bool
    monitored: bool

    @property
    def names(self) -> list[str]:
        return [name for name, _aces in self.lists]


def cells(device: Device) -> list[Cell]:
    """Return the cells in the order of show cts role-based permissions: default, then by destination and source."""
    cts = device.config.cts
    found: dict[tuple[int, int, int], Cell] = {}
    for family, names in cts.defaults.items():
        key = (*DEFAULT_CELL, family)
        found[key] = _configured(device, key, names, cts.monitor_all or family in cts.monitored_defaults)
    for key, names in cts.permissions.items():
        found[key] = _configured(device, key, names, cts.monitor_all or key in cts.monitored)
    for cell in device.downloaded_cells():
        for family in (4, 6):
            lists = [(name, aces) for name, families, aces in cell.sgacls if family in families]
            if cell.default_rule in BUILT_IN:
                name, line = BUILT_IN[cell.default_rule]
                lists.append((name, (parse_ace(line, ROLE_BASED),)))
            if lists and (family == 4 or any(6 in families for _n, families, _a in cell.sgacls)):
                key = (cell.source, cell.destination, family)
                found[key] = Cell(*key, tuple(lists), False, cell.monitor)
    order = sorted(found, key=lambda key: (key[2], key[:2] != DEFAULT_CELL, key[1], key[0]))
    return [found[key] for key in order]


def _configured(device: Device, key: tuple[int, int, int], names: list[str], monitored: bool) -> Cell:
    space = device.config.lists if key[2] == 4 else device.config.lists6
    lists = tuple((name, tuple(entry.ace for entry in space[name].entries) if name in space else ()) for name in names)
    return Cell(*key, lists, True, monitored)
