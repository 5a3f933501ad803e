# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Codes of the enforce room (SW3000 to SW3099)."""

from __future__ import annotations

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Code

EMPTY_END = Code("SW3001", "warning", "a rule has no addresses on one side", "run collect and refresh the membership, or remove the rule")
NOT_EXPRESSIBLE = Code("SW3002", "warning", "a point cannot express a rule", "enforce the rule at a point that sees addresses")
OVER_BUDGET = Code("SW3003", "error", "a list exceeds its budget", "merge addresses into networks, use fewer services, or raise the budget")
NEAR_BUDGET = Code("SW3004", "warning", "a list uses most of its budget", "plan for fewer entries before the list grows")
UNSUPPORTED_POINT = Code("SW3005", "error", "an enforcement point has a kind or platform that is not supported", "use firewall, dacl, sgacl or port_acl")
NO_INTERFACES = Code("SW3006", "error", "a port list has nowhere to be attached", "collect device facts so that the members' ports are known")
SAME_SUBNET = Code("SW3007", "info", "a rule stays inside one subnet and is not seen by the firewall", "add a point at the access port where it must be limited")
