# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Codes of the learn room (SW3200 to SW3299)."""

from __future__ import annotations

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Code

NO_HISTORY = Code(
    "SW3201",
    "error",
    "there is nothing to learn from",
    "run collect first; learning needs recorded connections and a register",
)
SHORT_WINDOW = Code(
    "SW3202", "warning", "the window covers fewer days than the site asks for", "collect longer before enforcement"
)
SCANNER = Code(
    "SW3203", "warning", "a device scanned", "look at the device; what it opened while scanning is not learnt"
)
UNKNOWN_DEVICE = Code(
    "SW3204",
    "warning",
    "an address has no known device",
    "add the device to the register, or name its network in networks.yml",
)
UNCLASSIFIED = Code(
    "SW3205", "warning", "a device fits no segment", "add a rule to classification.yml or a members query"
)
AMBIGUOUS = Code("SW3206", "error", "a device fits more than one segment", "make the queries exclude each other")
