# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Codes of the enforce room (SW3000 to SW3099)."""

from __future__ import annotations

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Code

EMPTY_END = Code(
    "SW3001",
    "warning",
    "a rule has no addresses on one side",
    "run collect and refresh the membership, or remove the rule",
)
NOT_EXPRESSIBLE = Code(
    "SW3002", "warning", "a point cannot express a rule", "enforce the rule at a point that sees addresses"
)
OVER_BUDGET = Code(
    "SW3003",
    "error",
    "a list exceeds its budget",
    "merge addresses into networks, use fewer services, or raise the budget",
)
NEAR_BUDGET = Code(
    "SW3004", "warning", "a list uses most of its budget", "plan for fewer entries before the list grows"
)
UNSUPPORTED_POINT = Code(
    "SW3005",
    "error",
    "an enforcement point has a kind or platform that is not supported",
    "use firewall, dacl, sgacl or port_acl",
)
NO_INTERFACES = Code(
    "SW3006",
    "error",
    "a port list has nowhere to be attached",
    "collect device facts so that the members' ports are known",
)
SAME_SUBNET = Code(
    "SW3007",
    "info",
    "a rule stays inside one subnet and is not seen by the firewall",
    "add a point at the access port where it must be limited",
)
PORT_SHARED = Code(
    "SW3008",
    "error",
    "a port would be filtered by the wrong list",
    "move the device, or use a DACL, which follows the device",
)
OBJECT_CONFLICT = Code(
    "SW3009", "error", "two points want different contents for one object", "give the points different hosts or tables"
)
MATRIX_TOO_LARGE = Code(
    "SW3010", "warning", "a matrix may not fit a switch", "assign fewer segments to the matrix, or merge segments"
)
IPV6_NOT_FILTERED = Code(
    "SW3011",
    "warning",
    "a list for IPv4 does not filter IPv6",
    "enforce the segment at a firewall too, or turn IPv6 off on its devices",
)
CELL_WIDER = Code(
    "SW3012",
    "warning",
    "a cell permits more than a rule",
    "make a segment of the addresses, or enforce the rule at a point that sees addresses",
)
