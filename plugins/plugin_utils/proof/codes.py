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
RULE_CUT = Code(
    "SW3140",
    "error",
    "a rule's conversations would not pass every enforcement point on their way",
    "look at the list and the witness packet; a rule that cannot work must be changed or removed",
)
CRITICAL_CUT = Code(
    "SW3141",
    "error",
    "a life-critical workflow could be dropped; no setting silences this",
    "restore the rule, or suspend the workflow in the posture with its owner's consent and an expiry",
)
LATER_CUT = Code(
    "SW3142",
    "warning",
    "a rule or expectation holds now, but not at a later stage",
    "correct the rule before the segments are raised to the stage named",
)
POSTURE_CUT = Code(
    "SW3143",
    "error",
    "a posture would cut a workflow that it does not suspend",
    "name the rule under keeps, or suspend the workflow with its owner's consent and an expiry",
)
PATH_UNKNOWN = Code(
    "SW3144",
    "warning",
    "it is not known which enforcement points a conversation crosses",
    "collect device facts, or state the path in enforcement.yml; every list that may see the packets is counted until then",
)
MIX_CUTS = Code(
    "SW3150",
    "warning",
    "what works before and after a rollout would be cut while only a part of it is in force",
    "move the devices in a commit of its own, and change the lists in another",
)
PAIRS_NOT_PROVED = Code(
    "SW3145",
    "info",
    "some pairs of postures were not proved together",
    "plan with the postures that are to be pulled together: the plan proves exactly those",
)
MIX_CUTS_WORKFLOW = Code(
    "SW3151",
    "error",
    "a workflow would be cut while only a part of a rollout is in force",
    "move the devices in a commit of its own, and change the lists in another",
)
MIX_OPENS = Code(
    "SW3152",
    "error",
    "a must-never would be open while only a part of a rollout is in force",
    "split the change: first tighten, and in a later commit remove what stopped it until then",
)
MIX_INTERRUPTS = Code(
    "SW3153",
    "error",
    "a workflow that moves to other addresses would be interrupted while only a part of a rollout is in force",
    "split the change: first permit the new addresses beside the old ones, then remove the old",
)
RULE_DEAD = Code("SW3160", "warning", "a rule matches no packet", "give both sides addresses, or remove the rule")
RULE_SHADOWED = Code("SW3161", "info", "earlier rules permit all that a rule permits", "remove the rule")
RULE_REMOVABLE = Code("SW3162", "info", "other rules permit all that a rule permits", "remove the rule")
RULE_CONTRADICTS = Code(
    "SW3163", "warning", "a rule permits what a must-never forbids", "narrow the rule, or the guardrail"
)
RULE_UNUSED = Code("SW3164", "info", "nothing recorded needed a rule", "ask its owner whether it is still needed")
RULE_WIDER = Code("SW3165", "info", "a rule permits more than was used", "narrow its services")
RULE_UNOWNED = Code("SW3168", "warning", "nobody owns a rule", "name an owner in the rule or its segment")
RULE_UNREASONED = Code("SW3169", "warning", "a rule has no reason", "say why it exists")
