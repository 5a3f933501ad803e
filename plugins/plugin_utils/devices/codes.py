# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Codes of the devices room: register, address intervals, parsers of show output (SW1300 to SW1399)."""

from __future__ import annotations

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Code

OBSERVATION_INVALID = Code("SW1301", "warning", "an observation names no device", "give the MAC address of one device")
FACT_INVALID = Code("SW1302", "warning", "a fact has a value that cannot be", "correct the source that says so")
FACT_CONFLICT = Code(
    "SW1303",
    "warning",
    "two sources disagree about a device",
    "find out which is right; the surer and newer one is used until then",
)
PLACE_CONFLICT = Code(
    "SW1304", "warning", "a device is seen at two places at one time", "look for a duplicated MAC address or a loop"
)
ADDRESS_CONFLICT = Code(
    "SW1305",
    "warning",
    "two devices claim one address at one time",
    "traffic of that time is bound to neither; find the duplicate address",
)
ADDRESS_INVALID = Code("SW1306", "warning", "an address of a device cannot be used", "correct the source that says so")
REGISTER_DAMAGED = Code("SW1311", "error", "the register cannot be read", "collect the device facts again")
LINE_UNKNOWN = Code(
    "SW1321", "warning", "a line of show output was not understood", "report the line; the facts of the others are used"
)
OUTPUT_REFUSED = Code(
    "SW1322", "error", "a device refused a show command", "check the command, the platform and the account's privileges"
)
OUTPUT_EMPTY = Code(
    "SW1323", "warning", "a show command gave nothing that was expected", "check the command and the platform"
)
OUTPUT_CUT = Code("SW1324", "error", "show output ends too early", "raise the read time-out and the terminal length")
VALUE_INVALID = Code("SW1325", "warning", "a value in show output cannot be", "report the line; its entry is left out")
SWITCH_FACTS_DAMAGED = Code(
    "SW1371",
    "warning",
    "the facts of a switch cannot be read",
    "collect the device facts again; limits count until then",
)
HARDWARE_UNKNOWN = Code(
    "SW1372",
    "info",
    "a switch does not say what its hardware holds",
    "name its platform class in enforcement.yml (switches), whose limits count then",
)
