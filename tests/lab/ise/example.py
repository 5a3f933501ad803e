# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small seed and the addresses that the tests of the emulated ISE share."""

from __future__ import annotations

import os
from typing import Any

# Beside the addresses of lab instances (127.10.0.0/16): one may run at the same time.
HOST = f"127.11.{os.environ.get('SEGWRIGHT_LAB_ID', '77')}.10"
PORT = 9060
PUMP_MAC = "02:1A:10:00:00:11"

SEED: dict[str, Any] = {
    "settings": {"push_delay": 0.3},
    "network_devices": [{"name": "acc1", "ip": "127.10.77.101"}, {"name": "acc2", "ip": "127.10.77.102"}],
    "sgts": [{"name": "Pumps", "value": 100}, {"name": "Pump_Servers", "value": 200}],
    "sgacls": [{"name": "Mqtt", "lines": ["permit tcp dst eq 1883", "deny ip"]}],
    "cells": [{"source": "Pumps", "destination": "Pump_Servers", "status": "MONITOR", "sgacls": ["Mqtt"]}],
    "dacls": [{"name": "Pump_Access", "lines": ["permit ip any any"]}],
    "authorization_profiles": [{"name": "Pump_Profile", "dacl": "Pump_Access"}],
    "endpoints": [
        {"mac": PUMP_MAC, "profile": "Lab-Infusion-Pump", "group": "Medical", "custom_attributes": {"owner": "icu"}},
        {"mac": "02:1A:10:00:00:12", "profile": "Lab-Infusion-Pump"},
    ],
    "sessions": [
        {
            "mac": PUMP_MAC, "ip": "100.64.10.11", "nas_ip": "127.10.77.101", "nas_port": "GigabitEthernet1/0/1",
            "authorization_profile": "Pump_Profile", "sgt": "Pumps", "endpoint_profile": "Lab-Infusion-Pump",
        }
    ],
}  # fmt: skip


def sdk_member(owner: Any, name: str) -> Any:
    """A family or a method of the SDK by name, underscores ignored.

    With version 3.5.0 the SDK 2.4.1 (the newest for Python 3.11) calls ``downloadableacl`` what 2.4.7 calls
    ``downloadable_acl``, and its methods likewise. Raises AttributeError.
    """
    wanted = name.replace("_", "")
    for each in sorted(dir(owner)):
        if not each.startswith("_") and each.replace("_", "") == wanted:
            return getattr(owner, each)
    raise AttributeError(f"the SDK has no {name}")
