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
  - Counts entries, bytes, hardware entries and layer-4 operators, and tells the headroom on a named platform, also while the list that it
    replaces is still there.
  - Needs no device and no inventory; the text is what C(show running-config | section access-list) or C(show ip access-lists) printed.
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
      - Which list, where the text holds several. A name that the text does not hold is an error.
    type: str
  budget:
    description:
      - Platform class to hold the list against. The numbers, with their sources and how sure each is, are in
        C(docs/platform-limits.md) of the collection. Planning values; what a device has free decides.
      - V(ise_dacl) and V(sgacl) are for the text in Cisco ISE, the names of switches for what the text takes there.
    type: str
    choices: [asa, catalyst_1300, catalyst_2960x, catalyst_2960x_inline, catalyst_3650, catalyst_3850, catalyst_4500, catalyst_9200,
      catalyst_9300, catalyst_9400_9500, catalyst_9500h_9600, catalyst_9600_silicon_one, ie3x00, ie4000_5000, ise_dacl,
      nexus_9300_ex, nexus_9300_fx, nexus_9300_gen1, nexus_9300_gx2, nexus_nfe2, nftables, port_acl, sgacl,
      small_business_350, wlc_9800_40, wlc_9800_80]
  old_text:
    description:
      - The list that this one replaces, of the same O(platform). Until the new one is in force both take room in the hardware.
      - Without it the old list is taken to be as large as the new one.
    type: str
  in_use:
    description:
      - Hardware entries that everything else on the device takes, from its own output, for example
        C(show platform hardware fed switch active fwd-asic resource tcam utilization) less the list that is replaced.
      - Without it the figure of an idle device of the class counts, where one is known.
    type: int
  copies:
    description:
      - How often the list is programmed. A downloadable ACL is programmed for each session on the ASIC.
    type: int
    default: 1
  replies:
    description:
      - The list of the other direction, where the point has no connection tracking. Every answer to what the first list accepts has to pass
        it, ends swapped; what it drops is named with a conversation that would fail, and C(ok) is false.
      - An answer is any TCP segment with ACK or RST, the reply to an ICMP request, or any packet of another protocol. For SGACLs this is
        the list of the reverse cell.
    type: dict
    suboptions:
      text:
        description:
          - The text that holds it.
        type: str
        required: true
      platform:
        description:
          - Its syntax; that of the first list without it.
        type: str
        choices: [dacl, sgacl, ios, ios_ipv6, nxos, asa, nftables]
      name:
        description:
          - Which list, where the text holds several.
        type: str
      client_ports:
        description:
          - Only conversations from such ports count, for example V(1024-65535). Protocols without ports always count.
        type: str
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
- name: Does every line of this DACL do something, and does it fit?
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

- name: One list out of a whole configuration, pasted from the switch
  segwright.microseg.acl_check:
    platform: ios
    name: PUMPS_IN
    text: |
      sw1#show running-config | section access-list
      ip access-list standard MGMT
       10 permit 10.0.0.0 0.0.0.255
      ip access-list extended PUMPS_IN
       10 permit udp any eq bootpc any eq bootps
       20 permit tcp 10.20.0.0 0.0.0.255 host 192.0.2.10 eq 443 8443
       30 permit tcp host 10.20.0.7 host 192.0.2.10 eq 443
       40 deny ip any any
  register: pumps

- name: What is wrong, in words
  ansible.builtin.debug:
    msg: "{{ pumps.anomalies | map(attribute='reason') | list }}"

- name: Will the new list fit beside the old one on a Catalyst 9300 that uses 3,900 of its 5,120 entries otherwise?
  segwright.microseg.acl_check:
    platform: ios
    text: |
      ip access-list extended PLC_IN
       permit tcp any host 192.0.2.20 eq 502
       permit udp any 192.0.2.0 0.0.0.255 range 1024 65535
    old_text: |
      ip access-list extended PLC_IN
       permit ip any 192.0.2.0 0.0.0.255
    budget: catalyst_9300
    in_use: 3900
  register: swap

- name: Headroom
  ansible.builtin.debug:
    msg: "{{ item.figure }}: {{ item.used }} used, {{ item.free }} free, {{ item.with_old }} of {{ item.limit }} during the swap"
  loop: "{{ swap.budget.figures }}"

- name: Do the answers get back? A switch keeps no state, so each direction has a list
  segwright.microseg.acl_check:
    platform: ios
    text: |
      ip access-list extended PUMPS_IN
       permit udp any host 192.0.2.53 eq domain
       permit tcp any host 192.0.2.10 eq 443
    replies:
      text: |
        ip access-list extended PUMPS_OUT
         permit udp host 192.0.2.53 eq domain any
         permit tcp host 192.0.2.10 eq 8443 any established
  register: answered

- name: No, those of port 443 do not
  ansible.builtin.debug:
    msg: "{{ answered.errors | map(attribute='message') | list }}"
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
    reason:
      description: What is wrong, in words that name the entries to blame and a packet.
      type: str
      sample: "entry 30 (30 permit tcp host 10.20.0.7 host 192.0.2.10 eq 443) is covered by entry 20 (...)"
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
not_modelled:
  description:
    - Entries with a condition that no packet field holds, such as a time range or DSCP, with C(entry), C(line), C(text) and C(conditions).
      They are never blamed for an anomaly of another entry, since they may not match.
  returned: success
  type: list
  elements: dict
counts:
  description: What the list costs.
  returned: success
  type: dict
  contains:
    entries:
      description: Lines when written for the platform.
      type: int
    bytes:
      description: Size of the text.
      type: int
    line_bytes:
      description: Size of the longest line.
      type: int
    hardware_entries:
      description: Entries in hardware, every range of ports in aligned blocks.
      type: int
    compact_entries:
      description: The same where a register compares each range.
      type: int
    tcp_operators:
      description: Registers for gt, lt, neq and range of TCP.
      type: int
    udp_operators:
      description: The same of UDP.
      type: int
    radius_packets:
      description: At least so many RADIUS packets carry a downloadable ACL; 0 for other lists.
      type: int
replies:
  description: Whether the answers pass the list of O(replies); empty without it.
  returned: success
  type: dict
  contains:
    name:
      description: Name of the list of the other direction.
      type: str
    complete:
      description: Whether every answer surely passes.
      type: bool
    certain:
      description: False where only a condition, such as a time range, decides whether answers are dropped.
      type: bool
    opener:
      description: A packet that the first list accepts and whose answer does not pass.
      type: dict
    answer:
      description: That answer.
      type: dict
    gap:
      description: All answers that are dropped, as boxes with C(text), C(boxes) and C(witness); at most 200.
      type: list
      elements: dict
    uncertain:
      description: Answers where a condition decides, likewise.
      type: list
      elements: dict
    truncated:
      description: Whether there are more.
      type: bool
budget:
  description: What the list takes of the class named by O(budget); empty without it.
  returned: success
  type: dict
  contains:
    name:
      description: Name of the class.
      type: str
    title:
      description: What it is.
      type: str
    note:
      description: What to know beside the numbers.
      type: str
    figures:
      description:
        - One item for each limit, with C(figure), C(meaning), C(limit), C(used) by this list, C(in_use) by the rest, C(free), C(with_old)
          while the old list is there as well (0 for limits of a single list), C(fits_with_old), C(confidence) and C(source).
      type: list
      elements: dict
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
