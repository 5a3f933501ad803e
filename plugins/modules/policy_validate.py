#!/usr/bin/python
# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: policy_validate
short_description: Check, compile and prove a policy directory
version_added: 1.0.0
description:
  - The pull-request gate. Reads the documents, checks schema and numbered rules, compiles the lists of every
    enforcement point, proves that the rendered text means what was compiled, proves the guardrails for all
    packets, evaluates the expectations, checks budgets and replays recorded traffic.
  - Needs no network. Writes validate.json and validate.md and nothing else.
author:
  - Segwright contributors (@segwright)
options:
  replay:
    description:
      - Whether to replay recorded traffic.
    type: bool
    default: true
  base:
    description:
      - Commit, branch or tag of the policy's checkout with which the change is compared by meaning. Conversations lost and gained
        and the order in which the lists can be rolled out are part of the report then. The checkout is only read.
    type: str
  unused_days:
    description:
      - After how many days without recorded traffic a rule is called unused.
    type: int
    default: 30
extends_documentation_fragment:
  - segwright.microseg.loop.data
  - segwright.microseg.loop.engine
  - segwright.microseg.loop.output
  - segwright.microseg.loop.policy
  - segwright.microseg.loop.rules
  - segwright.microseg.loop.today
attributes:
  check_mode:
    support: full
    description: Writes no target and no policy in check mode.
  diff_mode:
    support: none
    description: Shows the difference where there is one.
requirements:
  - pyyaml
  - jsonschema
  - duckdb
  - pyarrow
  - numpy
"""

EXAMPLES = r"""
- name: Gate a pull request
  segwright.microseg.policy_validate:
    policy_dir: policies

- name: Gate a pull request and say what it changes against the branch it goes to
  segwright.microseg.policy_validate:
    policy_dir: policies
    base: HEAD
"""

RETURN = r"""
impact:
  description: What the change means against O(base); empty without it.
  returned: success
  type: dict
next_change:
  description:
    - When the lists change next although nobody changes a document (C(at), RFC 3339), which rules and exceptions begin to hold
      (C(begins)) or end (C(ends)), and C(sentence). Empty where never.
  returned: success
  type: dict
counts:
  description: Zones, segments, devices, rules, lists and objects.
  returned: always
  type: dict
report:
  description: Path of validate.md; validate.json lies beside it.
  returned: always
  type: str
summary:
  description: One sentence.
  returned: always
  type: str
"""
