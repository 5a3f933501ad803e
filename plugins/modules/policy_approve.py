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
  forge:
    description:
      - Ask the forge itself about every pull or merge request that came since the commit that was applied last, one record each.
        A later run replaces the record, so that what was taken back does not stay approved.
      - The environment says where, as pipelines set it. C(GITHUB_API_URL) and C(GITHUB_REPOSITORY), or C(CI_API_V4_URL) and
        C(CI_PROJECT_ID); and C(SEGWRIGHT_FORGE_TOKEN), a token that may read requests. Only HTTPS, with the certificate verified
        (C(SSL_CERT_FILE) names a CA of your own).
    type: str
    choices: [github, gitlab]
  sign_key:
    description:
      - With O(review) or O(forge), the exporter's private key without passphrase, or a public key whose private one an SSH agent holds.
        The records are signed with it at once.
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

- name: Write down the reviews of a pull request, exported with gh api --paginate repos/network/policies/pulls/17/reviews
  segwright.microseg.policy_approve:
    approver: review-export@hospital.example
    review: reviews.json
    people:
      anna-h: anna@hospital.example
  delegate_to: localhost
  run_once: true

- name: Write down and sign what GitHub says of every pull request since the last apply
  segwright.microseg.policy_approve:
    approver: review-export@hospital.example
    forge: github
    sign_key: /etc/segwright/review-export
    people:
      anna-h: anna@hospital.example
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
path:
  description: Where the approval lies, or the first record; empty where there is none.
  returned: always
  type: str
paths:
  description: Where the records lie.
  returned: with O(review) or O(forge)
  type: list
  elements: str
command:
  description: The command that signs it; empty where it is signed.
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
