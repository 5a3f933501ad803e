# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of NX-OS interfaces: full, short, sorted."""

from __future__ import annotations

import re
from functools import lru_cache

TYPES = (("Ethernet", "Eth"), ("port-channel", "Po"), ("Vlan", "Vlan"), ("loopback", "Lo"), ("mgmt", "mgmt"))
_ORDER = {"Vlan": 0, "port-channel": 1, "Ethernet": 2, "mgmt": 3, "loopback": 4}


@lru_cache(maxsize=8192)
def full_name(word: str) -> str | None:
    """Return the full name for a full, short or abbreviated one, None if it is no interface name."""
    found = re.fullmatch(r"([A-Za-z-]+)\s*(\d+(?:/\d+){0,2}(?:\.\d+)?)", word)
    if not found:
        return None
    kinds = [full for full, _short in TYPES if full.lower().startswith(found[1].lower())]
    return kinds[0] + found[2] if len(kinds) == 1 else None


def short_name(name: str) -> str:
    """Return the short form that tables print."""
    for full, short in TYPES:
        if name.startswith(full):
            return short + name[len(full) :]
    return name


def sort_key(name: str) -> tuple[int, tuple[int, ...]]:
    """Return the key that puts interfaces in the order of a running configuration."""
    found = re.fullmatch(r"([A-Za-z-]+)([\d/.]*)", name)
    kind, number = found.groups() if found else (name, "")
    return _ORDER.get(kind, 9), tuple(int(part) for part in re.split(r"[/.]", number) if part)
