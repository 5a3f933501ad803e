# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""show device-tracking policies, from what interfaces say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.lab.iosxe.interfaces import short_name, sort_key
from tests.lab.iosxe.show import register, text

if TYPE_CHECKING:
    from tests.lab.iosxe.cli import Cli


@register("device-tracking policies")
def device_tracking_policies(cli: Cli) -> str:
    lines = ["Target               Type  Policy               Feature         Target range"]
    for name in sorted(cli.device.config.interfaces, key=sort_key):
        for line in cli.device.config.interfaces[name].settings.values():
            if line.startswith("device-tracking attach-policy "):
                lines.append(f"{short_name(name):<21}PORT  {line.split()[2]:<21}Device-tracking  vlan all")
    return text(lines)
