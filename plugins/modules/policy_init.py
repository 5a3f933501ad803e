#!/usr/bin/python
# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: policy_init
short_description: Begin a policy directory with a sector pack
version_added: 1.0.0
description:
  - Copies the sample site of a pack that this collection holds into a new policy directory. Packs are V(campus), V(hospital), V(plant) and
    V(substation). The sample passes the gate as it is; replace its zones, subnets, owners and queries by your own.
  - A directory that holds a policy already is refused, and nothing in it is touched. The same pack unchanged is no change.
options:
  pack:
    description:
      - Name of the pack.
    type: str
    required: true
  policy_dir:
    description:
      - The policy directory to make.
    type: path
    default: policies
attributes:
  check_mode:
    support: full
    description: Says what would be written and writes nothing.
  diff_mode:
    support: full
    description: Shows the new files.
requirements:
  - pyyaml
  - jsonschema
author:
  - Segwright contributors (@segwright)
"""

EXAMPLES = r"""
- name: Begin with the sample hospital
  segwright.microseg.policy_init:
    pack: hospital
    policy_dir: hospital
"""

RETURN = r"""
adapt:
  description: What to do next.
  returned: success
  type: list
  elements: str
files:
  description: The files that were written.
  returned: success
  type: list
  elements: str
not_enforceable:
  description: Protocols of the sector that access lists for IP do not see, with the reason and what to do instead.
  returned: success
  type: list
  elements: dict
summary:
  description: One sentence.
  returned: success
  type: str
"""
