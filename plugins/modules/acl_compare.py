#!/usr/bin/python
# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: acl_compare
short_description: Compare the meaning of two access lists
version_added: 1.0.0
description:
  - Proves that two access lists permit the same packets, or tells exactly which packets only one of them permits, with a witness
    packet for each part.
  - The two may be of different platforms. The answer holds for all packets in the fields that are modelled (protocol, TCP flags,
    ICMP messages, later fragments, addresses and ports).
  - Where a line is not understood nothing is claimed and RV(comparable) is false.
options:
  first:
    description:
      - The one list, for a change the state before.
    type: dict
    required: true
    suboptions: &side
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
  second:
    description:
      - The other list, for a change the state after.
    type: dict
    required: true
    suboptions: *side
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
- name: Does the DACL in ISE mean what the switch enforces
  segwright.microseg.acl_compare:
    first: {platform: dacl, text: "{{ dacl_content }}"}
    second: {platform: ios, text: "{{ show_output }}", name: xACSACLx-IP-PUMPS-69692867}
  register: difference
  failed_when: not difference.equal
"""

RETURN = r"""
equal:
  description: Whether both lists permit the same packets. False where they are not comparable.
  returned: success
  type: bool
comparable:
  description: Whether every line of both lists was understood.
  returned: success
  type: bool
only_in_first:
  description: Packets that only the first list permits; a change from first to second cuts these off.
  returned: success
  type: list
  elements: dict
  contains:
    text:
      description: The packets in words.
      type: str
    boxes:
      description: The packets as fields.
      type: list
      elements: dict
    witness:
      description: One of the packets.
      type: dict
      sample: {"family": 4, "protocol": "tcp", "source": "10.0.0.2", "source_port": 49152,
        "destination": "192.0.2.1", "destination_port": 443, "tcp_flags": ["syn"]}
only_in_second:
  description: Packets that only the second list permits; a change from first to second opens these. Same form as RV(only_in_first).
  returned: success
  type: list
  elements: dict
not_modelled_packets:
  description:
    - Packets whose verdict depends, in one list and not likewise in the other, on what is not modelled (a time range, DSCP). Same form
      as RV(only_in_first). Where there are any, RV(equal) is false.
  returned: success
  type: list
  elements: dict
truncated:
  description: Whether more than 200 parts differ, so that not all are told.
  returned: success
  type: bool
scope:
  description: Which packets were compared.
  returned: success
  type: str
not_modelled:
  description: Lines that were not understood, with side, acl, line, text and reason.
  returned: success
  type: list
  elements: dict
"""
