#!/usr/bin/python
# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: policy_replay
short_description: Replay recorded traffic against the policy
version_added: 1.0.0
description:
  - Evaluates every recorded conversation against the compiled policy and names those that would be cut, with
    device, owner, point, line and any reason for doubt.
author:
  - Segwright contributors (@segwright)
options:
  window_days:
    description:
      - How many of the last recorded days to use. All of them where not given.
    type: int
extends_documentation_fragment:
  - segwright.microseg.loop.data
  - segwright.microseg.loop.engine
  - segwright.microseg.loop.policy
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
- name: What would be cut
  segwright.microseg.policy_replay:
    policy_dir: policies
"""

RETURN = r"""
replay:
  description: Counts, cut conversations, used and unused rules.
  returned: always
  type: dict
summary:
  description: One sentence.
  returned: always
  type: str
"""
