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
          - Which list, where the text holds several. A name that the text does not hold is an error.
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
- name: Does the switch enforce what the DACL in ISE says?
  segwright.microseg.acl_compare:
    first:
      platform: dacl
      text: |-
        permit udp any eq bootpc any eq bootps
        permit tcp any 192.0.2.0 0.0.0.1 eq 443
        deny ip any any
    second:
      platform: ios
      name: xACSACLx-IP-PUMPS-69692867
      text: |
        sw1#show ip access-lists xACSACLx-IP-PUMPS-69692867
        Extended IP access list xACSACLx-IP-PUMPS-69692867
            1 permit udp any eq bootpc any eq bootps
            2 permit tcp any host 192.0.2.0 eq 443
            3 permit tcp any host 192.0.2.1 eq 443
            4 deny ip any any
  register: difference
  failed_when: not difference.equal

- name: What does this change cut off, and what does it open?
  segwright.microseg.acl_compare:
    first:
      platform: ios
      text: |
        ip access-list extended PLC_IN
         permit tcp any host 192.0.2.20 eq 502
         permit udp any any eq ntp
    second:
      platform: ios
      text: |
        ip access-list extended PLC_IN
         permit tcp any 192.0.2.20 0.0.0.1 eq 502
  register: change

- name: In words
  ansible.builtin.debug:
    msg:
      cut_off: "{{ change.only_in_first | map(attribute='text') | list }}"
      opened: "{{ change.only_in_second | map(attribute='text') | list }}"

- name: The same list moves from a Catalyst to a Nexus
  segwright.microseg.acl_compare:
    first: {platform: ios, text: "ip access-list extended A\n permit tcp 10.1.0.0 0.0.255.255 any eq 443 8443"}
    second: {platform: nxos, text: "ip access-list A\n  permit tcp 10.1.0.0/16 any eq 443\n  permit tcp 10.1.0.0/16 any eq 8443"}
  register: moved
  failed_when: not moved.equal
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
