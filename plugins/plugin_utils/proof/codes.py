# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Codes of the proof room (SW3100 to SW3199)."""

from __future__ import annotations

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Code

NOT_EQUIVALENT = Code(
    "SW3101",
    "error",
    "a rendered list does not mean what was compiled",
    "do not apply; report the list and the witness packet",
)
ALWAYS_VIOLATED = Code(
    "SW3110",
    "error",
    "a must-always guardrail is not kept",
    "add the rule that the guardrail names, at the point named",
)
NEVER_VIOLATED = Code(
    "SW3111",
    "error",
    "a must-never guardrail is not kept",
    "remove the permission named, or assign the segment to a point that sees the traffic",
)
NEVER_UNENFORCED = Code(
    "SW3112", "warning", "a must-never guardrail is not enforced yet", "it holds once the segments reach stage enforce"
)
GUARDRAIL_EMPTY = Code(
    "SW3113", "warning", "a guardrail covers no packet", "its ends have no addresses, or no service of its family"
)
ALWAYS_ENDS = Code(
    "SW3114",
    "warning",
    "a must-always guardrail would not be kept at stage enforce",
    "add the rule that the guardrail names before the stage is raised",
)
EXPECTATION_FAILED = Code("SW3120", "error", "an expectation is not met", "correct the rule or the expectation")
EXPECTATION_UNKNOWN = Code(
    "SW3121",
    "error",
    "an expectation names an end that cannot be resolved",
    "use an address, a device of the membership or a segment with members",
)
REPLAY_CUT = Code(
    "SW3130",
    "warning",
    "recorded traffic would be cut",
    "add a rule if it is legitimate; its owner is named in the report",
)
REPLAY_CUT_CRITICAL = Code(
    "SW3131",
    "error",
    "recorded traffic of a life-support segment would be cut",
    "add a rule, or record in the policy why it must be cut",
)
WORKFLOW_CUT = Code("SW3132", "error", "a workflow would be cut", "restore the rules that the workflow names")
REPLAY_NO_HISTORY = Code("SW3133", "warning", "there is no recorded traffic to replay", "run collect first")
