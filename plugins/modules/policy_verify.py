#!/usr/bin/python
# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: policy_verify
short_description: Verify that the network equals the commit
version_added: 1.0.0
description:
  - Reads back every target and compares with the compiled commit by meaning. Names every object that drifted,
    with a witness packet where lists differ. Fails on drift.
author:
  - Segwright contributors (@segwright)
options:
  enforced:
    description:
      - Whether ISE's sessions and the IOS-XE switches of the play are asked which lists and cells they enforce.
    type: bool
    default: true
  postures:
    description:
      - Names of postures that are taken as pulled. Those that the journal says are pulled where not given.
    type: list
    elements: str
extends_documentation_fragment:
  - segwright.microseg.loop.data
  - segwright.microseg.loop.output
  - segwright.microseg.loop.policy
  - segwright.microseg.loop.state
  - segwright.microseg.loop.targets
  - segwright.microseg.loop.today
  - segwright.microseg.sessions.reread
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
  - netmiko
  - ciscoisesdk
"""

EXAMPLES = r"""
- name: Verify
  segwright.microseg.policy_verify:
    policy_dir: policies
  run_once: true
"""

RETURN = r"""
enforced:
  description: Sessions by state, those that do not carry the approved list, and cells that differ on switches.
  returned: always
  type: dict
drift:
  description: Objects whose live meaning differs from the commit.
  returned: always
  type: list
  elements: dict
summary:
  description: One sentence.
  returned: always
  type: str
"""
