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
MEMBERSHIP_HELD = Code(
    "SW3210",
    "warning",
    "a device's facts are in dispute, so that its segment stays as it was",
    "settle it: register_info says why; a decision stands in classification.yml under devices",
)
SEGMENTS_MERGED = Code(
    "SW3211",
    "warning",
    "types of devices share a proposed segment, because SGTs are short",
    "raise proposals.budget in classification.yml, or accept that the types may do what any of them does",
)
NO_SEGMENT_LEFT = Code(
    "SW3212",
    "warning",
    "a type of devices gets no segment, because SGTs are short",
    "raise proposals.budget or the range of SGTs in classification.yml, or give the devices to a segment by hand",
)
NO_ZONE = Code(
    "SW3213",
    "info",
    "a type of devices has no zone to propose a segment in",
    "name a zone for the type or its family under proposals.zones in classification.yml",
)
WEAK_TYPES = Code(
    "SW3214",
    "info",
    "a proposed segment has devices whose type is only likely",
    "keep it in monitor until register_info shows a confidence of 0.8 for them, or decide them by hand",
)
