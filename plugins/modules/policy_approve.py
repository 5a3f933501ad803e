#!/usr/bin/python
# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: policy_approve
short_description: Write one approval of a plan, to be signed
version_added: 1.0.0
description:
  - Writes down that one person approves one plan. It counts once that person signs it with C(ssh-keygen -Y sign); the command is returned.
  - A new plan has another id, so it needs new approvals.
  - Or, with O(review), writes down what GitHub, GitLab or AWX say of reviews, for approvers who own no key. It counts once its exporter has
    signed it.
author:
  - Segwright contributors (@segwright)
options:
  plan:
    description:
      - The plan file. V(plan.json) below O(state_dir) where not given.
    type: path
  approver:
    description:
      - Who approves, by the name in the allowed-signers file. With O(review) the exporter, who answers for what the record says.
    type: str
    required: true
  review:
    description:
      - JSON that GitHub answers about the reviews of a pull request, GitLab about a merged request, or AWX about an approval and the
        job of the plan. C(docs/change/approval.md) has the commands.
    type: path
  people:
    description:
      - Account of GitHub, GitLab or AWX to the name in C(approvers.yml). Reviews by others are left out, and named.
    type: dict
  comment:
    description:
      - What the approver wants to say.
    type: str
  approvals_dir:
    description:
      - Directory for approvals. V(approvals) below O(state_dir) where not given.
    type: path
extends_documentation_fragment:
  - segwright.microseg.loop.data
  - segwright.microseg.loop.policy
  - segwright.microseg.loop.state
attributes:
  check_mode:
    support: full
    description: Writes nothing in check mode.
  diff_mode:
    support: full
    description: Shows the difference where there is one.
requirements:
  - pyyaml
  - jsonschema
"""

EXAMPLES = r"""
- name: Approve the plan
  segwright.microseg.policy_approve:
    approver: anna@hospital.example
    comment: Looked at every cut conversation
  delegate_to: localhost
  run_once: true

- name: Write down the reviews of a pull request, exported with gh api repos/network/policies/pulls/17/reviews
  segwright.microseg.policy_approve:
    approver: review-export@hospital.example
    review: reviews.json
    people:
      anna-h: anna@hospital.example
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
path:
  description: Where the approval lies.
  returned: always
  type: str
command:
  description: The command that signs it.
  returned: always
  type: str
plan_id:
  description: The plan; empty for reviews of documents.
  returned: always
  type: str
summary:
  description: One sentence.
  returned: always
  type: str
"""
