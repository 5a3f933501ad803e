# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Codes of the packets room (SW1100 to SW1199)."""

from __future__ import annotations

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Code

BAD_PACKET = Code(
    "SW1101", "error", "a packet description cannot be read", "give protocol, source, destination and ports"
)
BAD_COLUMNS = Code(
    "SW1103",
    "error",
    "columns to classify are incomplete or out of range",
    "give protocol, source, destination and ports",
)
TOO_MANY_INTERVALS = Code(
    "SW1104",
    "error",
    "addresses by a mask with holes would have to be told as too many ranges",
    "write the mask as an entry of its own, or use prefixes",
)
DEAD = Code(
    "SW1110", "warning", "an entry can never match", "remove the entry, or move it before the one that covers it"
)
UNION_SHADOWED = Code(
    "SW1111", "warning", "an entry can never match because several earlier ones cover it", "remove the entry"
)
CONTRADICTING = Code(
    "SW1112", "error", "an entry is cancelled by earlier ones that decide the opposite", "decide which one is meant"
)
REMOVABLE = Code("SW1113", "info", "an entry changes nothing", "remove the entry to save space")
REPLY_GAP = Code(
    "SW1120",
    "error",
    "a list without state drops answers of conversations that it accepts",
    "permit the answers, ends swapped",
)
