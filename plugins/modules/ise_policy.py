#!/usr/bin/python
# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: ise_policy
short_description: Bring objects of Cisco ISE to a wanted state
version_added: 1.0.0
description:
  - Creates and changes SGTs, SGACLs, downloadable ACLs, authorization profiles and egress matrix cells, in the order in which
    they depend on each other.
  - Contents are compared by meaning for all packets, so nothing is written that is already there; each save of a downloadable ACL
    would rename it on every switch.
  - Objects without the mark of this collection are not touched unless O(adopt=true). Nothing is ever deleted.
  - A list whose lines are not all understood is neither sent nor replaced.
author:
  - Segwright contributors (@segwright)
options:
  target:
    description:
      - Inventory name of the host. The host of the task where not given.
      - Address, port, credentials, host keys and certificate authority come from its inventory variables.
    type: str
  state:
    description:
      - V(merged) creates and changes the objects given.
      - V(rendered) returns what would be sent, without contacting ISE.
      - V(gathered) returns the objects as they stand.
    type: str
    choices: [merged, rendered, gathered]
    default: merged
  adopt:
    description:
      - Whether objects that are not marked as ours may be changed; they are marked then.
    type: bool
    default: false
  push:
    description:
      - Whether changed matrix objects are pushed to the devices, and the devices' report is awaited.
    type: bool
    default: true
  objects:
    description:
      - The objects.
    type: list
    elements: dict
    required: true
    suboptions:
      kind:
        description: What the object is.
        type: str
        required: true
        choices: [sgt, sgacl, downloadable_acl, authorization_profile, egress_matrix_cell]
      name:
        description: Name of the object, letters, digits and underscores. A cell is named by its ends.
        type: str
      description:
        description: Description; the mark of this collection is put before it.
        type: str
      value:
        description: Value of an SGT, 2 to 65519.
        type: int
      ip_version:
        description: IP version of an SGACL, V(IPV4) where not given. It cannot be changed later.
        type: str
        choices: [IPV4, IPV6, IP_AGNOSTIC]
      dacl_type:
        description: Type of a downloadable ACL, V(IPV4) where not given.
        type: str
        choices: [IPV4, IPV6, IP_AGNOSTIC]
      content:
        description: Lines of an SGACL or a downloadable ACL.
        type: str
      dacl_name:
        description: The downloadable ACL that an authorization profile hands out.
        type: str
      source:
        description: Name of the source SGT of a cell.
        type: str
      destination:
        description: Name of the destination SGT of a cell.
        type: str
      status:
        description: Status of a cell, V(MONITOR) where not given.
        type: str
        choices: [DISABLED, ENABLED, MONITOR]
      sgacls:
        description: Names of a cell's SGACLs in order, without the built-in ones.
        type: list
        elements: str
      default_rule:
        description: What closes a cell, V(NONE) where not given.
        type: str
        choices: [NONE, DENY_IP, PERMIT_IP]
attributes:
  check_mode:
    support: full
    description: Shows the steps and writes nothing.
  diff_mode:
    support: full
    description: Shows the lines that change.
requirements:
  - ciscoisesdk
"""

EXAMPLES = r"""
- name: A downloadable ACL for infusion pumps
  segwright.microseg.ise_policy:
    target: ise1
    objects:
      - kind: downloadable_acl
        name: SW_pumps
        description: infusion pumps
        content: |
          permit udp any eq bootpc any eq bootps
          permit tcp any host 10.20.30.40 eq 443
          deny ip any any

- name: A cell, watched before it is enforced
  segwright.microseg.ise_policy:
    target: ise1
    objects:
      - kind: egress_matrix_cell
        source: SW_pumps
        destination: SW_servers
        sgacls:
          - SW_pumps_servers
        status: MONITOR
"""

RETURN = r"""
pushed:
  description:
    - Devices of the last push on each target and how far it got there. RV(pushed[].outcome) is C(confirmed), C(refused),
      C(no_answer), C(failed), C(timed_out) or C(not_reported).
  returned: when objects were written
  type: list
  elements: dict
operations:
  description: The steps that were, or in check mode would be, carried out.
  returned: when O(state=merged)
  type: list
  elements: dict
  sample:
    - action: update
      effect: narrows
      kind: downloadable_acl
      name: SW_pumps
      summary: "change downloadable ACL SW_pumps: tcp 10.0.0.2:49152 > 10.20.30.40:80 syn would pass no longer"
completed:
  description: The steps that changed something.
  returned: when O(state=merged) and anything was to be done
  type: list
  elements: dict
before:
  description: The objects concerned, before.
  returned: when O(state=merged)
  type: list
  elements: dict
after:
  description: The objects concerned, read back.
  returned: when O(state=merged), outside check mode, when anything was done
  type: list
  elements: dict
findings:
  description: What there is to know about the steps.
  returned: when O(state=merged), outside check mode, when anything was done
  type: list
  elements: dict
rendered:
  description: The objects as they would be sent.
  returned: when O(state=rendered)
  type: list
  elements: dict
gathered:
  description: The objects as they stand.
  returned: when O(state=gathered)
  type: list
  elements: dict
"""
