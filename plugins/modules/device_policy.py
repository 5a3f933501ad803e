#!/usr/bin/python
# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: device_policy
short_description: Bring one access list of a switch or firewall to a wanted state
version_added: 1.0.0
description:
  - On Cisco IOS-XE and NX-OS an IPv4 or IPv6 access list and where it is attached, on Cisco ASA an extended
    list and the interfaces (by C(nameif)) or C(global) where it is in force, on Linux one table of nftables.
  - A list in force is never edited. On a switch the next version is built under another name, read back and proved, each
    attachment is overwritten in one step, a new connection confirms, and only then the old version goes.
  - A ruleset is loaded in one transaction under a timer on the firewall that takes it back unless a new connection has proved it.
  - Lists are compared by meaning for all packets, so an equal list is left alone. Lists that are not ours, and lists with lines
    that are not understood, are refused.
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
      - V(merged) builds or replaces the list and attaches it.
      - V(rendered) returns what would be written, without contacting the device.
      - V(gathered) returns our lists and attachments, and what stands on O(interfaces).
    type: str
    choices: [merged, rendered, gathered]
    default: merged
  name:
    description:
      - Name of the list, beginning with C(SW_) on a switch; the device has it with C(__a), C(__b) or C(__c) behind it. Name of
        the table on a firewall.
    type: str
    required: true
  content:
    description:
      - The entries of the list, with or without header and numbers; on a firewall the whole table as the collection writes it.
      - On IOS-XE and NX-OS an IPv6 list needs its header, for instance C(ipv6 access-list SW_hvac_v6); without one a list is IPv4.
    type: str
  interfaces:
    description:
      - Interfaces of a switch to attach the list to, on an ASA their names, or V(global). Others are left as they are.
    type: list
    elements: str
  direction:
    description:
      - Direction in which the list is attached.
    type: str
    choices: [in, out]
    default: in
  point:
    description:
      - How the list is attached on NX-OS, as a port list of layer 2 ports or as a router list. Without it Vlan, mgmt, loopback and
        sub-interfaces get a router list, all others a port list. Other platforms do not use it.
    type: str
    choices: [port_acl, router_acl]
  adopt:
    description:
      - Whether a list of others on one of the interfaces may be replaced there, or a table of others on a firewall.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
    description: Shows the steps and writes nothing.
  diff_mode:
    support: full
    description: Shows the lines that change.
requirements:
  - netmiko
"""

EXAMPLES = r"""
- name: Building controllers reach their server and nothing else
  segwright.microseg.device_policy:
    name: SW_hvac
    interfaces:
      - GigabitEthernet1/0/5
      - GigabitEthernet1/0/6
    content: |
      permit udp any eq bootpc any eq bootps
      permit tcp any eq 502 host 10.20.30.5 established
      deny ip any any

- name: What is attached where
  segwright.microseg.device_policy:
    name: SW_hvac
    state: gathered
  register: lists
"""

RETURN = r"""
operations:
  description: The steps that were, or in check mode would be, carried out.
  returned: when O(state=merged)
  type: list
  elements: dict
  sample:
    - action: update
      effect: narrows
      kind: access_list
      name: SW_hvac
      summary: "replace list SW_hvac: tcp 10.0.0.2:49152 > 10.20.30.5:80 syn would pass no longer"
commands:
  description:
    - Configuration lines that were, or in check mode would be, typed, in order. On Linux the lines of the file that C(nft) reads.
  returned: when O(state=merged)
  type: list
  elements: str
  sample: ["configure terminal", "ip access-list extended SW_hvac__b", "10 permit udp any eq 68 any eq 67"]
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
