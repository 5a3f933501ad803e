#!/usr/bin/python
# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: policy_render
short_description: Render what every enforcement point must hold
version_added: 1.0.0
description:
  - Compiles the policy directory and returns the lists and objects of every target, offline.
author:
  - Segwright contributors (@segwright)
options:
  policy_dir:
    description:
      - Directory with the policy documents.
    type: path
    default: policies
  today:
    description:
      - The date, as V(YYYY-MM-DD), at which expiry is judged. Today where not given.
    type: str
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
"""

EXAMPLES = r"""
- name: Render the lists
  segwright.microseg.policy_render:
    policy_dir: policies
  register: rendered
"""

RETURN = r"""
targets:
  description: Targets with their objects.
  returned: always
  type: list
  elements: dict
lists:
  description: Lists with their text, point, segment and stage.
  returned: always
  type: list
  elements: dict
"""
