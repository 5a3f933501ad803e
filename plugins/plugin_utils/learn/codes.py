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
CONTRADICTED = Code(
    "SW3220",
    "warning",
    "sure sources disagree about what a device is",
    "find out what it is; correct the source that is wrong",
)
TAKEN_OUT = Code(
    "SW3221",
    "warning",
    "a rule that was proposed earlier was taken out and its traffic goes on",
    "refuse it in decisions.yml with a reason, or put the rule back",
)
ACCOUNT_CONTRADICTED = Code(
    "SW3270",
    "warning",
    "a segment opens what the account of it does not list",
    "look at what it opens: list it, or refuse it in decisions.yml; until then the account has no effect",
)
ACCOUNT_ENDED = Code(
    "SW3271",
    "warning",
    "an account of a segment is past its end",
    "ask its owner again, and write date and until anew; until then the account has no effect",
)
ACCOUNT_UNSOUND = Code(
    "SW3272",
    "warning",
    "an account of a segment says what cannot be",
    "correct it in decisions.yml, or the decision that refuses what it lists; until then the account has no effect",
)
ACCOUNT_NOT_PERMITTED = Code(
    "SW3273",
    "warning",
    "an account of a segment lists what no rule permits",
    "the queue says why there is no rule: decide about it, or take it out of the account; until then the account has no effect",
)
NO_CHECKOUT = Code(
    "SW3230",
    "error",
    "a branch needs a git checkout",
    "put the policy directory under git, or propose without a branch",
)
DETACHED = Code("SW3231", "error", "the checkout is on no branch", "check a branch out (git switch main)")
DIRTY = Code("SW3232", "error", "the policy directory differs from its commit", "commit or stash what differs")
NO_IDENTITY = Code("SW3233", "error", "git knows nobody to commit as", "set user.name and user.email with git config")
BRANCH_TAKEN = Code(
    "SW3234", "error", "the branch cannot take the proposal", "merge or delete it, or name another with branch"
)
GIT_FAILED = Code("SW3235", "error", "git failed", "look at git's message")
THREAT_PERMITTED = Code(
    "SW3222",
    "warning",
    "a standing rule permits what a threat list names",
    "look at the devices at once; refuse it in decisions.yml, or say there why it is legitimate",
)
OTHER_END = Code(
    "SW3224",
    "warning",
    "a rule ends on another day than was decided, or its traffic goes on after it",
    "correct or take out expires in the segment's file: learning never changes it, and after that day the traffic is cut; or refuse the"
    " traffic in decisions.yml",
)
UNLISTED = Code(
    "SW3225",
    "warning",
    "not all that waits for a person stands in the queue's file",
    "propose.json has the items that the file does not take, left_out there counts all pairs; register what is unknown, declare scanners"
    " that are known (learning.declared_scanners), or look at the devices: one of them mostly makes most of it",
)
DECISION_NOWHERE = Code(
    "SW3226",
    "warning",
    "a decision names what is not there, and has no effect",
    "correct its names in decisions.yml, or take it out: what was renamed is decided about under its new name",
)
NARROWED = Code(
    "SW3223",
    "info",
    "a learned rule permits less than was seen, since a person's edit",
    "nothing is to be done where that is meant; refuse the rest in decisions.yml and it is not told again",
)
MISPLACED_DEVICE = Code(
    "SW3250",
    "warning",
    "a device does what another segment does, and not what its own does",
    "look at the device: correct its profile, or write it into classification.yml under devices; until then it waits in a holding segment,"
    " which is never enforced and whose rules end",
)
NOBODY_HELD = Code(
    "SW3260",
    "info",
    "a holding segment has no devices any more",
    "delete its file, and the rules that lead to it",
)
