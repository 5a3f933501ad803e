#!/usr/bin/python
# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: policy_apply
short_description: Apply an approved plan
version_added: 1.0.0
description:
  - Carries out a plan whose commit and live state still match. Permits are added everywhere before anything is
    tightened. Stops at the first failure and says what was done and how to go back.
  - Where the policy has C(approvers.yml), the commit must be on the protected branch, signed, and approved by the owners of
    what it touches, none of whom wrote it. Where it has C(calendar.yml), a change window must be open for every zone touched.
  - Every step stands in the journal. In check mode nothing is written and the difference is shown.
author:
  - Segwright contributors (@segwright)
options:
  plan:
    description:
      - The plan file. V(plan.json) below O(state_dir) where not given.
    type: path
  plan_id:
    description:
      - The id of the plan that was approved, whole. Any other plan is refused.
      - Where O(state_dir) does not hold it, the plan is made anew from live state and compared with this id. A state
        directory that plan and apply share is the better way, since an interrupted apply can go on from it.
    type: str
  plan_parts:
    description:
      - What M(segwright.microseg.policy_plan) returned under this name, so that a refusal can name what moved since.
    type: dict
  ring:
    description:
      - Carry out one ring of C(enforcement.yml) instead of the whole plan. V(next) takes the ring whose turn it is, once those before
        it have been watched as long as they say and their devices talk as before; a name takes that ring at once.
      - V(continue) is V(next) for the rollout that was begun last, with the documents of its own commit, whatever was merged or
        planned since, and nothing where none was begun. Made for schedules.
      - With V(next), a ring whose devices do not talk as before is rolled back, and the run fails and names what is missing.
      - Run it by a schedule until nothing is left; what was done stands in the journal.
    type: str
  ring_blind:
    description:
      - Whether V(next) goes on where no recorded flow shows how the devices of the ring before do.
    type: bool
    default: false
  wait:
    description:
      - Whether the step succeeds and writes nothing where only a change window or an approval is missing, for a schedule.
      - With O(ring=continue) a missing window never fails the step.
      - A plan that was rolled back since is not carried out again.
    type: bool
    default: false
  prune:
    description:
      - Whether the plan made anew deletes what the policy no longer needs. As the approved plan was made.
    type: bool
    default: false
  engine:
    description:
      - What sums the recorded flows where the plan is made anew. As the approved plan was made.
    type: str
  allow_dirty:
    description:
      - Whether uncommitted documents are accepted.
    type: bool
    default: false
  reauthenticate:
    description:
      - Whether sessions that carry an old downloadable ACL are re-authenticated, batch by batch, until one is not well. Only
        Reauth is sent, never a disconnect and never a port bounce. By default they are listed, and take the new list when they
        authenticate again by themselves.
    type: bool
    default: false
  reauth_settle:
    description:
      - Seconds in which a session must be back, authorized, with the same address and the approved list.
    type: float
    default: 60.0
  postures:
    description:
      - Postures that the plan pulls, as they were given to M(segwright.microseg.policy_plan).
      - Asked only where the plan has to be made anew.
    type: list
    elements: str
extends_documentation_fragment:
  - segwright.microseg.approval
  - segwright.microseg.loop.data
  - segwright.microseg.loop.output
  - segwright.microseg.loop.policy
  - segwright.microseg.loop.state
  - segwright.microseg.loop.targets
  - segwright.microseg.loop.today
  - segwright.microseg.sessions
  - segwright.microseg.sessions.reread
attributes:
  check_mode:
    support: full
    description: Writes no target and no policy in check mode.
  diff_mode:
    support: full
    description: Shows the difference where there is one.
requirements:
  - pyyaml
  - jsonschema
  - duckdb
  - pyarrow
  - numpy
  - netmiko
  - ciscoisesdk
"""

EXAMPLES = r"""
- name: Apply
  segwright.microseg.policy_apply:
    policy_dir: policies
  run_once: true

- name: Apply what the people of approvers.yml approved
  segwright.microseg.policy_apply:
    policy_dir: policies
    allowed_signers: /etc/segwright/allowed_signers
    protected_branch: origin/main
  run_once: true

- name: Apply, and let sessions take the new lists now, but for the pumps in use
  segwright.microseg.policy_apply:
    policy_dir: policies
    reauthenticate: true
    reauth_batch: 3
    reauth_hold:
      - "00:1e:8c:11:22:33"
    reauth_hold_criticality:
      - life_support
  run_once: true
"""

RETURN = r"""
enforced:
  description: Sessions by state, those that do not carry the approved list, and cells that differ on switches.
  returned: when downloadable ACLs changed or sessions were re-authenticated
  type: dict
reauthentication:
  description: Sessions that were re-authenticated, are held, are not well, or were not begun.
  returned: with O(reauthenticate)
  type: dict
pushed:
  description:
    - Devices of the last push on each target and how far it got there. C(outcome) of each is C(confirmed), C(refused),
      C(no_answer), C(failed), C(timed_out) or C(not_reported).
  returned: when objects were written
  type: list
  elements: dict
plan_id:
  description: The plan.
  returned: always
  type: str
completed:
  description: Operations that were carried out.
  returned: always
  type: list
  elements: dict
writes:
  description: Write requests and configuration lines sent.
  returned: always
  type: int
summary:
  description: One sentence.
  returned: always
  type: str
"""
