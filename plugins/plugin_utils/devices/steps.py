# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding a device in the register."""

from __future__ import annotations

import time

from ansible_collections.segwright.microseg.plugins.plugin_utils.devices import storage
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.model import normal_mac
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.register import Register, normal_address


def find(register: Register, wanted: str, at: str = "") -> list[str]:
    """Return the ids of the devices that a MAC or an address names at a moment; at most one."""
    try:
        mac = normal_mac(wanted)
    except ValueError:
        address = normal_address(wanted)
    else:
        return [mac] if mac in register.devices else []
    micros = storage.micros_of_text(storage.long_moment(at)) if at else int(time.time() * 1_000_000)
    device = register.device_of(address, micros)
    return [device] if device else []
