#!/usr/bin/python
# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: policy_plan
short_description: Plan the change from live state to the committed policy
version_added: 1.0.0
description:
  - Compiles the committed policy, reads live state from the targets and writes the exact change as plan.json,
    plan.md and plan.html. Writes nothing to any target.
  - The plan is bound to the policy commit, the membership and the hash of each target's live state.
author:
  - Segwright contributors (@segwright)
options:
  allow_dirty:
    description:
      - Whether uncommitted documents are accepted.
    type: bool
    default: false
  ise_snapshots:
    description:
      - Snapshot files of Cisco ISE by inventory name, as M(segwright.microseg.ise_info) writes them. Live state then comes from the file,
        and nothing connects to that ISE. How old the file is stands among the warnings, and apply reads ISE itself before it writes.
    type: dict
  prune:
    description:
      - Whether objects that the collection owns and the policy no longer needs are deleted.
      - What was taken over in an ISE is given back instead; see C(microseg_ise_delete) in docs/ise-objects.md.
    type: bool
    default: false
  postures:
    description:
      - Names of postures that are pulled by this plan; those that the policy has and the list does not name are released. An empty list
        releases all.
      - Where not given, those that the journal says are pulled stay so, so that no other plan ends an isolation.
      - The lists of that state are proved before anything is planned. Playbooks take them from the variable C(microseg_postures).
      - A plan that releases one needs O(reason) and O(person); both stand in the plan, its reports and the journal.
    type: list
    elements: str
  reason:
    description:
      - Why postures are released, one line of 10 to 400 characters. Used only where the plan releases one.
    type: str
  person:
    description:
      - Who decided that. Used only where the plan releases a posture.
    type: str
  ticket:
    description:
      - The ticket that goes with it. Used only where the plan releases a posture.
    type: str
extends_documentation_fragment:
  - segwright.microseg.loop.data
  - segwright.microseg.loop.engine
  - segwright.microseg.loop.output
  - segwright.microseg.loop.policy
  - segwright.microseg.loop.rules
  - segwright.microseg.loop.state
  - segwright.microseg.loop.targets
  - segwright.microseg.loop.today
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
- name: Plan
  segwright.microseg.policy_plan:
    policy_dir: policies
  run_once: true

- name: Plan the isolation of a segment, as postures.yml prepares it
  segwright.microseg.policy_plan:
    policy_dir: policies
    postures: [isolate_pumps]
  run_once: true

- name: Plan the release of every posture
  segwright.microseg.policy_plan:
    policy_dir: policies
    postures: []
    reason: Firmware was replaced on all pumps
    person: nina@hospital.example
  run_once: true
"""

RETURN = r"""
plan_id:
  description: SHA-256 of the plan.
  returned: always
  type: str
plan_parts:
  description: Short hashes of what the plan is made of, for O(segwright.microseg.policy_apply#module:plan_parts).
  returned: always
  type: dict
policy_commit:
  description: The commit.
  returned: always
  type: str
operations:
  description: Number of operations.
  returned: always
  type: int
effect:
  description: What the change does to recorded and unrecorded conversations.
  returned: always
  type: dict
postures:
  description: Postures that are pulled once the plan is applied.
  returned: always
  type: list
  elements: str
next_change:
  description: When the lists change next although nobody changes a document (expiry, first day, time window), RFC 3339; empty where never.
  returned: always
  type: str
summary:
  description: One sentence.
  returned: always
  type: str
"""
