# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Codes of the dialects room (SW1200 to SW1299)."""

from __future__ import annotations

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Code

UNKNOWN_PLATFORM = Code("SW1201", "error", "a platform is not known", "see the choices of the option platform")
# SW1202 (a platform is not supported yet) is retired: every platform is read and written. The number is not used again.
OPAQUE = Code(
    "SW1203", "error", "a list has lines that are not understood", "rewrite the line named, or exclude the list"
)
NOT_EXPRESSIBLE = Code(
    "SW1204", "error", "a platform cannot express an entry", "split or widen the rule, or choose another point"
)
NO_LIST = Code("SW1205", "error", "a text holds no access list", "give the output of the command that shows the list")
SEVERAL_LISTS = Code("SW1206", "error", "a text holds several lists where one is wanted", "name the list")
TOO_LARGE = Code("SW1207", "error", "a text or list is too large", "split the list")
OVER_BUDGET = Code(
    "SW1209", "warning", "a list is larger than the platform's budget", "merge entries, use prefixes or groups"
)
FOREIGN_RULESET = Code(
    "SW1210", "error", "a ruleset has a form that this collection did not write", "use a table of its own"
)
BAD_ENTRY = Code("SW1211", "error", "an entry description cannot be read", "use the keys that acl_parse returns")
UNKNOWN_BUDGET = Code("SW1212", "error", "a budget name is not known", "see the choices of the option budget")
BAD_LIMITS = Code(
    "SW1240", "error", "a file of platform limits is wrong", "see docs/platform-limits.md for what a file holds"
)
NO_ROOM_TO_SWAP = Code(
    "SW1241",
    "warning",
    "old and new list do not fit side by side",
    "change the list in place in steps, or free entries first",
)
OTHER_BUDGET = Code(
    "SW1242", "warning", "a budget is one of another kind of list", "name the class of the device that gets the list"
)
OTHER_PLATFORM = Code(
    "SW1243", "error", "a text is one of another platform", "set the platform that the text comes from"
)
BAD_ROWS = Code(
    "SW1244",
    "error",
    "rows to classify cannot be read",
    "give protocol, source and destination, and ports where there are any",
)
NO_REPLY_LIST = Code(
    "SW1245",
    "error",
    "a point with connection tracking needs no entries for replies",
    "leave out replies for this list",
)
