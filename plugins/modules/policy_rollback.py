#!/usr/bin/python
# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: policy_rollback
short_description: Undo an applied plan from its journal
version_added: 1.0.0
description:
  - Brings back the earlier state of every object that the plan changed, in reverse order. Needs neither approval
    nor a fresh plan, and is journalled itself.
author:
  - Segwright contributors (@segwright)
options:
  policy_dir:
    description:
      - Directory with the policy documents. They say only which devices may still carry what is undone.
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
  ring:
    description:
      - Undo only what was carried out with this ring of the plan. All of the plan where not given.
    type: str
  plan_id:
    description:
      - The plan to undo. The last applied one where not given.
    type: str
  targets:
    description:
      - Inventory names of the targets. The hosts of the play where not given.
    type: list
    elements: str
  reauthenticate:
    description:
      - Whether sessions that do not carry a restored downloadable ACL yet are re-authenticated, batch by batch, until one is not well. Only
        Reauth is sent, never a disconnect and never a port bounce. By default they are listed, and take the restored list when they
        authenticate again by themselves.
    type: bool
    default: false
  reauth_batch:
    description:
      - Sessions in one batch.
    type: int
    default: 5
  reauth_pause:
    description:
      - Seconds between two batches.
    type: float
    default: 30.0
  reauth_settle:
    description:
      - Seconds in which a session must be back, authorized, with the same address and the restored list.
    type: float
    default: 60.0
  reauth_hold:
    description:
      - MACs, names of devices and names of segments that are not touched, for devices in use.
    type: list
    elements: str
  reauth_hold_criticality:
    description:
      - Criticalities of segments that are not touched.
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
- name: Roll back the last plan
  segwright.microseg.policy_rollback:
    state_dir: /var/lib/segwright/state
  run_once: true
"""

RETURN = r"""
enforced:
  description: Sessions by state, and those that do not carry the restored lists yet.
  returned: when downloadable ACLs were restored
  type: dict
reauthentication:
  description: Sessions that were re-authenticated, are held, are not well, or were not begun.
  returned: with O(reauthenticate)
  type: dict
plan_id:
  description: The plan that was undone.
  returned: always
  type: str
undone:
  description: Operations that were undone.
  returned: always
  type: list
  elements: dict
summary:
  description: One sentence.
  returned: always
  type: str
"""
