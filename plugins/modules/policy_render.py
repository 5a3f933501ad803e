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
  postures:
    description:
      - Names of postures that are taken as pulled. The lists of that state are proved as well, and an error ends the task.
      - Normal operation where not given.
    type: list
    elements: str
extends_documentation_fragment:
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
"""

EXAMPLES = r"""
- name: Render the lists
  segwright.microseg.policy_render:
    policy_dir: policies
  register: rendered

- name: Render what the points hold while a segment is isolated
  segwright.microseg.policy_render:
    policy_dir: policies
    postures: [isolate_pumps]
  register: isolated
"""

RETURN = r"""
targets:
  description: Targets with their objects.
  returned: always
  type: list
  elements: dict
postures:
  description: Postures that were taken as pulled.
  returned: always
  type: list
  elements: str
lists:
  description: Lists with their text, point, segment and stage.
  returned: always
  type: list
  elements: dict
"""
