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
  policy_dir:
    description:
      - Directory with the policy documents.
    type: path
    default: policies
  data_dir:
    description:
      - Directory where the loop keeps flows, register and results.
    type: path
    default: .microseg
  output_dir:
    description:
      - Directory for reports. V(out) below O(data_dir) where not given.
    type: path
  window_days:
    description:
      - How many of the last recorded days to use. All of them where not given.
    type: int
  engine:
    description:
      - What sums the recorded flows, V(duckdb) in this process where not given, V(spark-local) or V(spark://HOST:PORT).
      - Playbooks take it from the variable C(microseg_flow_engine).
    type: str
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
summary:
  description: One sentence.
  returned: always
  type: str
"""
