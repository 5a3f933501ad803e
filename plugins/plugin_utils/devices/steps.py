# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the action and lookup of the register return."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.devices import storage
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.model import normal_mac
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.register import Register, normal_address


def run_register_info(values: dict[str, Any]) -> dict[str, Any]:
    """Return the register's devices, whole or those that hold an address or carry a MAC or fact, and its conflicts."""
    register = storage.read(values["data_dir"])
    document = storage.as_document(register, "-")
    devices = document["devices"]
    wanted = values.get("device") or ""
    if wanted:
        found = find(register, wanted, values.get("at") or "")
        devices = [each for each in devices if each["id"] in found]
    for name, text in sorted((values.get("facts") or {}).items()):
        devices = [each for each in devices if str(each["facts"].get(name, {}).get("value")) == str(text)]
    counts = {
        "devices": len(register.devices),
        "addresses": len({each.address for each in register.intervals()}),
        "conflicts": len(register.conflicts),
        "selected": len(devices),
    }
    return {"changed": False, "devices": devices, "conflicts": document["conflicts"], "counts": counts}


def device_value(data_dir: str | Path, wanted: str, at: str = "", fact: str = "") -> Any:
    """Return one device (as in register.json) by MAC or by the address it holds at a moment, or one of its facts; None where there is none.

    ``at`` is RFC 3339 text, now where empty. Raises ValueError for text that is neither MAC nor address.
    """
    register = storage.read(data_dir)
    found = find(register, wanted, at)
    if not found:
        return None
    device = next(each for each in storage.as_document(register, "-")["devices"] if each["id"] == found[0])
    return device["facts"].get(fact, {}).get("value") if fact else device


def find(register: Register, wanted: str, at: str = "") -> list[str]:
    """Return the ids of the devices that a MAC or an address names at a moment; at most one."""
    try:
        mac = normal_mac(wanted)
    except ValueError:
        address = normal_address(wanted)
    else:
        return [mac] if mac in register.devices else []
    micros = storage.micros_of_text(_long(at)) if at else int(time.time() * 1_000_000)
    device = register.device_of(address, micros)
    return [device] if device else []


def _long(text: str) -> str:
    """Return a moment with microseconds: ``2026-11-23T20:00:00Z`` is accepted too."""
    return text[:-1] + ".000000Z" if text.endswith("Z") and "." not in text else text
