#!/usr/bin/python
# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: ise_info
short_description: Read objects of Cisco ISE, check that it is ready, and keep a snapshot for work without it
version_added: 1.0.0
description:
  - Reads objects with their contents, side by side and within the documented rate of ISE, in one canonical form - names instead
    of ids, and one spelling for the default rule of a cell.
  - First a preflight asks whether this is the primary node, which version it has, whether its APIs are on, whether a mode is in the
    way, and how far its clock is from this controller's. What is wrong is named in RV(findings), and an error ends the task.
  - Writes nothing to ISE. One failed login ends the task.
author:
  - Segwright contributors (@segwright)
options:
  target:
    description:
      - Inventory name of the host. The host of the task where not given.
      - Address, port, credentials, host keys and certificate authority come from its inventory variables.
    type: str
  kinds:
    description:
      - Kinds of objects to read. All where not given.
    type: list
    elements: str
    choices:
      - sgt
      - sgacl
      - downloadable_acl
      - authorization_profile
      - endpoint_group
      - anc_policy
      - ip_sgt_mapping
      - egress_matrix_cell
      - matrix_cell
      - authorization_rule
      - endpoint
  names:
    description:
      - Patterns of names (V(*) and V(?)), of which one has to fit. All objects where not given.
    type: list
    elements: str
  preflight_only:
    description:
      - Whether only the preflight is made; its errors are then returned and do not end the task.
    type: bool
    default: false
  snapshot_file:
    description:
      - File to write everything of the O(kinds) to, for O(segwright.microseg.policy_plan#module:ise_snapshots). It names lists and
        addresses and is readable by its owner only. Credentials are not in it.
    type: path
  owned_only:
    description:
      - Whether only objects are returned that carry the mark of this collection.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
    description: Reads only, and does not write O(snapshot_file).
  diff_mode:
    support: none
    description: There is no difference to show.
requirements:
  - ciscoisesdk
"""

EXAMPLES = r"""
- name: Read all downloadable ACLs and cells
  segwright.microseg.ise_info:
    target: ise1
    kinds:
      - downloadable_acl
      - egress_matrix_cell
      - matrix_cell
  register: ise

- name: Is this ISE ready for the policy?
  segwright.microseg.ise_info:
    target: ise1
    preflight_only: true

- name: Keep what ISE holds, to plan without it
  segwright.microseg.ise_info:
    target: ise1
    snapshot_file: .microseg/ise1.json
"""

RETURN = r"""
ise:
  description:
    - What the preflight found, as far as ISE says it - C(node), C(version), C(patch), C(matrix_mode), C(approval_workflow), C(csrf) and
      C(clock_ahead_seconds).
  returned: success
  type: dict
  sample:
    approval_workflow: false
    clock_ahead_seconds: 0
    csrf: false
    matrix_mode: SINGLE_MATRIX
    node: https://ise1.example.com
    patch: 0
    version: "3.5"
findings:
  description: What is wrong or worth knowing, with code, severity, message and hint.
  returned: success
  type: list
  elements: dict
ready:
  description: Whether the preflight found no error.
  returned: success
  type: bool
objects:
  description: The objects by kind; each has C(name), the values of its kind, C(description) and C(owned).
  returned: success, without O(preflight_only)
  type: dict
  sample:
    egress_matrix_cell:
      - default_rule: NONE
        description: "segwright:hospital cell pumps to servers"
        destination: SW_servers
        name: SW_pumps-SW_servers
        owned: true
        sgacls: [SW_pumps_servers]
        source: SW_pumps
        status: ENABLED
counts:
  description: Number of objects by kind.
  returned: success
  type: dict
sha256:
  description: Hash over everything that was read, without ids and generations.
  returned: success
  type: str
requests:
  description: Number of requests that were sent.
  returned: success
  type: int
"""
