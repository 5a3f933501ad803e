# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Interface names: full, short, sorted."""

from __future__ import annotations

import re
from functools import lru_cache

# full name, form of the short tables (show mac address-table), form that status tables print
TYPES = (
    ("GigabitEthernet", "Gi"),
    ("TenGigabitEthernet", "Te"),
    ("TwoGigabitEthernet", "Tw"),
    ("FiveGigabitEthernet", "Fi"),
    ("TwentyFiveGigE", "Twe"),
    ("FortyGigabitEthernet", "Fo"),
    ("HundredGigE", "Hu"),
    ("FastEthernet", "Fa"),
    ("AppGigabitEthernet", "Ap"),
    ("Vlan", "Vl"),
    ("Loopback", "Lo"),
    ("Port-channel", "Po"),
)
LOGICAL = ("Vlan", "Loopback", "Port-channel")
_ORDER = {name: rank for rank, name in enumerate(("Loopback", "Port-channel", "FastEthernet", "GigabitEthernet"))}


@lru_cache(maxsize=8192)
def full_name(word: str) -> str | None:
    """Return the full name for a full, short or abbreviated one; None if it is no interface name or is ambiguous."""
    found = re.fullmatch(r"([A-Za-z-]+)\s*(\d+(?:/\d+){0,3}(?:\.\d+)?)", word)
    if not found:
        return None
    prefix, number = found.group(1).lower(), found.group(2)
    kinds = [full for full, short in TYPES if prefix == short.lower() or prefix == full.lower()]
    if not kinds:
        kinds = [full for full, _short in TYPES if full.lower().startswith(prefix)]
    return kinds[0] + number if len(kinds) == 1 else None


@lru_cache(maxsize=8192)
def short_name(name: str) -> str:
    """Return the short form of a full name, the name itself if it has none."""
    for full, short in TYPES:
        if name.startswith(full) and name[len(full) : len(full) + 1].isdigit():
            return short + name[len(full) :]
    return name


@lru_cache(maxsize=8192)
def sort_key(name: str) -> tuple[int, str, tuple[int, ...]]:
    """Return the key that puts interfaces in the order of a running configuration (Vlan last)."""
    found = re.fullmatch(r"([A-Za-z-]+)([\d/.]*)", name)
    kind, number = found.groups() if found else (name, "")
    rank = 99 if kind == "Vlan" else _ORDER.get(kind, 50)
    return rank, kind, tuple(int(part) for part in re.split(r"[/.]", number) if part)


def is_logical(name: str) -> bool:
    """True for interfaces that a configuration command may create."""
    return name.startswith(LOGICAL)
