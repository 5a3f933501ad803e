#!/usr/bin/python
# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: ise_info
short_description: Read SGTs, SGACLs, downloadable ACLs, authorization profiles and matrix cells from Cisco ISE
version_added: 1.0.0
description:
  - Reads objects with their contents, side by side and within the documented rate of ISE, in one canonical form - names instead
    of ids, and one spelling for the default rule of a cell.
  - Reads only. One failed login ends the task.
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
    choices: [sgt, sgacl, downloadable_acl, authorization_profile, egress_matrix_cell]
  owned_only:
    description:
      - Whether only objects are returned that carry the mark of this collection.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
    description: Reads only.
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
  register: ise
"""

RETURN = r"""
objects:
  description: The objects by kind; each has C(name), the values of its kind, C(description) and C(owned).
  returned: success
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
