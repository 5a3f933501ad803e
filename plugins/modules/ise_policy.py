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
  - Creates and changes SGTs, SGACLs, downloadable ACLs, authorization profiles, endpoint groups, ANC policies, IP-SGT mappings,
    egress matrix cells, authorization rules and endpoint assignments, in the order in which they depend on each other.
  - Contents are compared by meaning for all packets, so nothing is written that is already there; each save of a downloadable ACL
    would rename it on every switch.
  - Objects without the mark of this collection are not touched unless O(adopt=true) or O(objects[].adopt=true). The mark is a description
    that begins with C(segwright:); ANC policies, IP-SGT mappings and authorization rules have no description, there it is a name that
    begins with C(SW_).
  - Nothing is deleted unless O(state=absent) or O(prune=true). An SGT that others' cells, mappings or rules use is not deleted unless
    O(cascade) names its cells, because ISE would silently delete them with it.
  - The default rule of a policy set is never changed. The rank of a rule that exists is kept.
  - An endpoint assignment overrides profiling, and ISE may authenticate the endpoint again by itself. Assignments are written one by
    one, with a pause of C(microseg_ise_assignment_pause) seconds (1 where not set) before each.
  - An SGACL whose IP version changes gets a new list beside the old one, and the cells given move over; devices do not follow a change.
  - The requests that a run sends are listed exactly, in check mode as well.
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
      - V(merged) creates and changes the objects given; V(present) is another word for it.
      - V(absent) removes the objects given by kind and name, users before what they use. An endpoint is given back to profiling. What was
        there before this collection, taken over or not, is refused unless O(objects[].adopt=true) or O(adopt=true).
      - V(rendered) returns what would be sent, without contacting ISE.
      - V(gathered) returns the objects as they stand.
    type: str
    choices: [merged, present, absent, rendered, gathered]
    default: merged
  adopt:
    description:
      - Whether objects that are not marked as ours may be changed; they are marked then.
    type: bool
    default: false
  prune:
    description:
      - Whether objects that carry our mark, are of a kind in O(objects), and are not in O(objects) are removed.
      - What was taken over is given back instead, so it loses our mark and stays as it is, unless the inventory names it in
        C(microseg_ise_delete) as C(kind/name).
    type: bool
    default: false
  cascade:
    description:
      - Names of cells (C(SOURCE-DESTINATION)) that may go with an SGT that is deleted.
    type: list
    elements: str
  push:
    description:
      - Whether changed matrix objects are pushed to the devices, and the devices' report is awaited.
    type: bool
    default: true
  state_dir:
    description:
      - Directory with journal and lock, that of the loop. With it each step stands in the journal before and after it is carried out.
        A push that is owed and a mapping that was saved and not deployed are then made up for by the next run, and
        M(segwright.microseg.policy_rollback) takes the RV(plan_id) back.
      - Nothing is journalled where not given.
    type: path
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
      name:
        description:
          - Name of the object, letters, digits and underscores. A cell is named by its ends, an endpoint by its MAC address.
          - It begins with C(SW_) for ANC policies, IP-SGT mappings and authorization rules.
        type: str
      adopt:
        description:
          - Whether this object is taken over although it does not carry our mark.
          - With O(state=absent), whether it is deleted although it was there before this collection.
        type: bool
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
      ipv6_dacl_name:
        description: The IPv6 downloadable ACL that an authorization profile hands out.
        type: str
      access_type:
        description: Whether an authorization profile lets in, V(ACCESS_ACCEPT) where not given.
        type: str
        choices: [ACCESS_ACCEPT, ACCESS_REJECT]
      parent:
        description: The parent of an endpoint group.
        type: str
      actions:
        description:
          - What an ANC policy does, as ISE names it (V(QUARANTINE), V(RE_AUTHENTICATE)).
          - Actions on the port (V(PORT_BOUNCE), V(SHUT_DOWN)) cut power and link of the device; they need O(objects[].allow_port_actions).
        type: list
        elements: str
      allow_port_actions:
        description: Whether an ANC policy may bounce or shut down ports.
        type: bool
      host:
        description: Address, prefix or host name of an IP-SGT mapping.
        type: str
      sgt:
        description: Name of the SGT of an IP-SGT mapping.
        type: str
      deploy_type:
        description: To which devices a mapping is deployed, V(ALL) where not given.
        type: str
        choices: [ALL, ND, NDG]
      deploy_to:
        description: The network device (V(ND)) or the group of network devices (V(NDG)) that gets a mapping.
        type: str
      policy_set:
        description: The policy set of an authorization rule, V(Default) where not given.
        type: str
      rule_state:
        description: State of an authorization rule, V(enabled) where not given.
        type: str
        choices: [enabled, disabled, monitor]
      condition:
        description:
          - Condition of an authorization rule, in the fields of ISE's interface.
          - Where it is not given, it is that the endpoint is in O(objects[].group).
        type: dict
      profiles:
        description: Names of the authorization profiles that a rule hands out.
        type: list
        elements: str
      security_group:
        description: Name of the SGT that an authorization rule hands out.
        type: str
      before:
        description:
          - The rule before which an authorization rule has to stand, anywhere above it.
          - Where it is not given, a new rule is the last one before the default rule, and one that exists stays where it is.
        type: str
      group:
        description: The endpoint group of an endpoint assignment, or of the endpoints that an authorization rule is for.
        type: str
      matrix:
        description: Name of the matrix of a V(matrix_cell); V(egress_matrix_cell) is a cell of the production matrix.
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

- name: A rule, and one pump that it is for
  segwright.microseg.ise_policy:
    target: ise1
    objects:
      - kind: endpoint_group
        name: SW_pumps
      - kind: authorization_rule
        name: SW_pumps
        group: SW_pumps
        profiles:
          - SW_pumps
        security_group: SW_pumps
      - kind: endpoint
        name: 00:11:22:33:44:55
        group: SW_pumps

- name: A mapping that is not needed any longer
  segwright.microseg.ise_policy:
    target: ise1
    state: absent
    objects:
      - kind: ip_sgt_mapping
        name: SW_pump_server
"""

RETURN = r"""
requests:
  description:
    - The writing requests of the steps in order, as they were or, in check mode, would be sent.
    - An id that does not exist yet stands as C({id of NAME}).
  returned: when O(state) is V(merged), V(present) or V(absent)
  type: list
  elements: dict
  sample:
    - fields: [aclcontent]
      method: PUT
      object: sgacl SW_pumps_servers
      path: /ers/config/sgacl/92a00010-8c01-11e6-996c-525400b48521
plan_id:
  description: Name of this run in the journal, for M(segwright.microseg.policy_rollback).
  returned: with O(state_dir), when objects were written
  type: str
pushed:
  description:
    - Devices of the last push on each target and how far it got there. C(outcome) of each is C(confirmed), C(refused),
      C(no_answer), C(failed), C(timed_out) or C(not_reported).
  returned: when objects were written
  type: list
  elements: dict
operations:
  description: The steps that were, or in check mode would be, carried out.
  returned: when O(state) is V(merged), V(present) or V(absent)
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
  returned: when anything was to be done
  type: list
  elements: dict
before:
  description: The objects concerned, before.
  returned: when O(state) is V(merged), V(present) or V(absent)
  type: list
  elements: dict
after:
  description: The objects concerned, read back.
  returned: outside check mode, when anything was done
  type: list
  elements: dict
findings:
  description: What there is to know about the steps.
  returned: outside check mode, when anything was done
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
