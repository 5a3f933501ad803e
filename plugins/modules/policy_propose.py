#!/usr/bin/python
# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: policy_propose
short_description: Propose segments and rules from recorded traffic
version_added: 1.0.0
description:
  - Learns from the flow store and the device register who legitimately talks to whom, and writes segments, rules
    with evidence and the membership lock into the policy directory. Rules written by people stay as they are.
  - Scans, unknown devices and weak evidence never become rules, they go to a review list with the reason.
author:
  - Segwright contributors (@segwright)
options:
  window_days:
    description:
      - How many of the last recorded days to use. Where it is not given that of C(learning.window_days) in C(site.yml), without that all
        of them.
    type: int
  git:
    description:
      - V(none) writes the files into the policy directory.
      - V(patches) leaves them as they are and writes one patch for each segment into C(proposal) below O(output_dir), for C(git apply).
      - V(branch) leaves them as they are and makes a branch with one commit for each segment. The working tree, the index and HEAD
        are not touched, no hook runs, nothing is pushed. The policy directory must be clean and on a branch.
      - Playbooks take it from the variable C(microseg_propose_git).
    type: str
    choices: [none, patches, branch]
    default: none
  branch:
    description:
      - Name of the branch. It is made anew from the present commit as long as only proposals were committed to it.
    type: str
    default: segwright/propose
  today:
    description:
      - Day at which decisions are judged (YYYY-MM-DD); today in the site's time zone where not given.
    type: str
extends_documentation_fragment:
  - segwright.microseg.loop.data
  - segwright.microseg.loop.engine
  - segwright.microseg.loop.output
  - segwright.microseg.loop.policy
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
  - ruamel.yaml
"""

EXAMPLES = r"""
- name: Propose rules from the last 30 recorded days
  segwright.microseg.policy_propose:
    policy_dir: policies
    window_days: 30

- name: The same as a branch of small commits, ready to be pushed
  segwright.microseg.policy_propose:
    policy_dir: policies
    git: branch
"""

RETURN = r"""
learnt:
  description: Devices, segments, conversations, days, rules and scans. The whole result is propose.json.
  returned: always
  type: dict
files:
  description: Files of the policy directory that changed.
  returned: always
  type: list
  elements: str
git:
  description: What was made of it, with C(how), and for a branch C(name), C(commit), C(base), C(commits) and C(changed).
  returned: always
  type: dict
summary:
  description: One sentence.
  returned: always
  type: str
"""
