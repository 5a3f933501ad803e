# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which access lists fit into the switch's TCAM. A list that does not fit is accepted by the command line all the same:
a log line tells it, and its traffic is dropped (facts/devices.md section 4.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.lab.iosxe.device import Device

Key = tuple[str, str, int]  # name, direction, family


def demand(device: Device) -> tuple[dict[Key, int], int]:
    """Return the entries wanted by each list that an interface uses (one label a list and direction), and those of the
    downloaded lists: a DACL counts once per session, an SGACL once per switch."""
    config = device.config
    wanted: dict[Key, int] = {}
    for interface in config.interfaces.values():
        for direction in ("in", "out"):
            for family, space in ((4, config.lists), (6, config.lists6)):
                name = interface.access_group(direction, family)
                if name is not None and name in space and space[name].entries:
                    wanted[(name, direction, family)] = space[name].cost
    fixed = sum(sum(ace.cost for ace in session.aces) + 1 for session in device._sessions if session.dacl)
    sgacls = {name: sum(ace.cost for ace in aces) for cell in device._cells for name, _families, aces in cell.sgacls}
    for names in (*config.cts.permissions.values(), *config.cts.defaults.values()):
        for name in names:
            each = config.lists.get(name) or config.lists6.get(name)
            sgacls.setdefault(name, each.cost if each else 0)
    return wanted, fixed + sum(sgacls.values())


def program(device: Device) -> None:
    """Load what fits, lists already loaded and unchanged first; log what stops or starts to fit."""
    wanted, fixed = demand(device)
    free = device.spec.acl_capacity - device.spec.acl_used - fixed
    loaded: dict[Key, int] = {}
    order = sorted(wanted, key=lambda key: (device.loaded.get(key) != wanted[key], key not in device.loaded))
    unloaded = set()
    for key in order:
        if wanted[key] <= free:
            free -= wanted[key]
            loaded[key] = wanted[key]
        else:
            unloaded.add(key)
    for name, direction, family in sorted(unloaded - device.unloaded):
        way = "Input" if direction == "in" else "Output"
        device.syslog(
            f"%ACL_ERRMSG-4-UNLOADED: Switch 1 R0/0: fed: {way} IPv{family} L3 ACL {name} configuration could not be "
            f"programmed in hardware and traffic will be dropped."
        )
    for name, direction, family in sorted(device.unloaded & set(loaded)):
        way = "Input" if direction == "in" else "Output"
        device.syslog(
            f"%ACL_ERRMSG-6-RELOADED: Switch 1 R0/0: fed: {way} IPv{family} L3 ACL {name} configuration has now been "
            f"loaded into the hardware."
        )
    device.loaded, device.unloaded = loaded, unloaded


def used(device: Device) -> tuple[int, int, int]:
    """Return the entries in use: (all, IPv4, IPv6)."""
    device.endpoint_sessions()
    _wanted, fixed = demand(device)
    six = sum(count for key, count in device.loaded.items() if key[2] == 6)
    four = sum(count for key, count in device.loaded.items() if key[2] == 4) + fixed
    return device.spec.acl_used + four + six, four, six
