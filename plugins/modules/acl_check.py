#!/usr/bin/python
# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: acl_check
short_description: Find entries without effect and hold an access list against a budget
version_added: 1.0.0
description:
  - Finds entries that can never match, because one earlier entry or several together cover them, entries that earlier ones cancel,
    and entries whose removal changes nothing. Exact for all packets, each with a witness packet and the entries to blame.
  - Counts entries, bytes, hardware entries and layer-4 operators, and compares them with a named platform budget.
options:
  platform:
    description:
      - Syntax of the text.
    type: str
    required: true
    choices: [dacl, sgacl, ios, ios_ipv6, nxos, asa, nftables]
  text:
    description:
      - The text that holds the list.
    type: str
    required: true
  name:
    description:
      - Which list, where the text holds several.
    type: str
  budget:
    description:
      - Platform budget to compare with. Planning values; what a device has free decides.
    type: str
    choices: [ise_dacl, sgacl, catalyst_2960x_inline, catalyst_9300, catalyst_4500, ie3x00, wlc_9800_40, wlc_9800_80, small_business_350]
  removable:
    description:
      - Whether to look for entries whose removal changes nothing, which takes longest.
    type: bool
    default: true
attributes:
  check_mode:
    support: full
    description: Changes nothing in any mode.
  diff_mode:
    support: none
    description: There is no change to show.
author:
  - Segwright contributors (@segwright)
"""

EXAMPLES = r"""
- name: Check a DACL
  segwright.microseg.acl_check:
    platform: dacl
    text: |-
      permit udp any any eq domain
      permit tcp any host 192.0.2.10 eq 11112
      permit tcp any host 192.0.2.10 range 11000 11200
      deny ip any any
    budget: ise_dacl
  register: checked
  failed_when: not checked.ok
"""

RETURN = r"""
ok:
  description: Whether no finding is an error.
  returned: success
  type: bool
name:
  description: Name of the list.
  returned: success
  type: str
anomalies:
  description: Entries with a fault, in order.
  returned: success
  type: list
  elements: dict
  contains:
    kind:
      description: V(dead), V(union_shadowed), V(contradicting) or V(removable).
      type: str
    entry:
      description: Place of the entry, from 1.
      type: int
    line:
      description: Line in the text, from 1.
      type: int
    text:
      description: The entry.
      type: str
    covered_by:
      description: Places of the entries that decide its packets instead.
      type: list
      elements: int
    by_default:
      description: Whether the implicit end decides some of its packets instead.
      type: bool
    witness:
      description: One packet that shows it.
      type: dict
counts:
  description: Entries, bytes, hardware_entries, tcp_operators, udp_operators.
  returned: success
  type: dict
  sample: {"entries": 4, "bytes": 120, "hardware_entries": 9, "tcp_operators": 1, "udp_operators": 0}
errors:
  description: Findings of severity error.
  returned: success
  type: list
  elements: dict
warnings_found:
  description: Other findings.
  returned: success
  type: list
  elements: dict
"""
