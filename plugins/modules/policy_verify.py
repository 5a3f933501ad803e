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
  state_dir:
    description:
      - Directory for plan, journal and lock. V(state) below O(data_dir) where not given.
    type: path
  targets:
    description:
      - Inventory names of the targets. The hosts of the play where not given.
    type: list
    elements: str
  enforced:
    description:
      - Whether ISE's sessions and the IOS-XE switches of the play are asked which lists and cells they enforce.
    type: bool
    default: true
  reread:
    description:
      - How often, at most, the switches are read again where one shows another cell or list than the approved one. Hardware is programmed
        after the download that ISE reports as done. That they were read again is said (SW4228), and what still differs is an error.
      - 0 to 20.
    type: int
    default: 3
  reread_pause:
    description:
      - Seconds before each further reading, 0 to 60.
    type: float
    default: 2.0
  today:
    description:
      - The date, as V(YYYY-MM-DD), at which expiry is judged. Today where not given.
    type: str
  postures:
    description:
      - Names of postures that are taken as pulled. Those that the journal says are pulled where not given.
    type: list
    elements: str
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
