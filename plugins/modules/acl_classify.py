#!/usr/bin/python
# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: acl_classify
short_description: Say what an access list decides for given packets, and by which entry
version_added: 1.0.0
description:
  - Takes packets from the playbook, or millions of rows from a CSV or Parquet file, and says for each whether the list permits or denies
    it and which entry decides. Exact; the time hardly grows with the length of the list.
  - Answers questions such as which entry a denied device runs into, or what a new list does to the flows of last week.
  - An entry with a condition that no packet field holds, such as a time range, may or may not match; packets for which that decides are
    C(uncertain).
  - For a firewall with connection tracking a row stands for the packet that opens a connection.
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
  packets:
    description:
      - Packets as dictionaries with C(protocol) (name or number), C(source) and C(destination) (addresses), and where they matter
        C(source_port), C(destination_port), C(tcp_flags) (a list such as V([syn, ack]); V([syn]) without it), C(icmp_type), C(icmp_code),
        C(fragment) (a later fragment), C(source_group) and C(destination_group) (security group tags). Witness packets of the other
        modules have this form.
    type: list
    elements: dict
  path:
    description:
      - A file on the controller with one packet a row. CSV with a title line, or Parquet (C(.parquet)), with columns named as the keys of
        O(packets); C(tcp_flags) is a text such as V(syn+ack). Other columns are kept.
      - Files of C(flows/connections) of the flow store are read as well, each row as its opening packet.
    type: path
  dest:
    description:
      - Where to write the rows of O(path) with the columns C(verdict), C(entry), C(line) and C(conditions), as CSV or, with a name that
        ends in C(.parquet), as Parquet. Without it only the counts are returned.
    type: path
attributes:
  check_mode:
    support: full
    description: Reads and counts, writes nothing.
  diff_mode:
    support: none
    description: There is no change to show.
author:
  - Segwright contributors (@segwright)
"""

EXAMPLES = r"""
- name: Which line stops the pump from reaching its gateway?
  segwright.microseg.acl_classify:
    platform: ios
    text: |
      ip access-list extended PUMPS_IN
       10 permit udp any eq bootpc any eq bootps
       20 permit tcp 10.20.0.0 0.0.0.255 host 192.0.2.10 eq 443 8443
       30 deny ip any 192.0.2.0 0.0.0.255
       40 permit ip any any
    packets:
      - {protocol: tcp, source: 10.20.0.7, destination: 192.0.2.10, destination_port: 443}
      - {protocol: tcp, source: 10.20.1.7, destination: 192.0.2.10, destination_port: 443}
  register: asked

- name: Line 30 denies the second one
  ansible.builtin.debug:
    msg: "{{ asked.results | map(attribute='verdict') | list }} by {{ asked.results | map(attribute='text') | list }}"

# ./flows.csv, as a colleague exported it from a collector:
#   protocol,source,destination,destination_port,bytes
#   tcp,10.20.0.7,192.0.2.10,443,91000
#   udp,10.20.0.7,192.0.2.53,53,220
#   tcp,10.20.1.7,192.0.2.10,443,64
- name: What the new list would do to each of them
  segwright.microseg.acl_classify:
    platform: nxos
    text: |
      ip access-list PUMPS_IN
        10 permit tcp 10.20.0.0/24 192.0.2.10/32 eq 443
        20 permit udp any any eq domain
    path: ./flows.csv
    dest: ./flows-judged.csv
  register: judged

- name: How many would be cut
  ansible.builtin.debug:
    msg: "{{ judged.verdicts.deny }} of {{ judged.rows }} rows denied, {{ judged.default_rows }} by the end of the list"
"""

RETURN = r"""
name:
  description: Name of the list.
  returned: success
  type: str
results:
  description: One item for each of O(packets), in their order.
  returned: success
  type: list
  elements: dict
  contains:
    verdict:
      description:
        - V(permit), V(deny), V(uncertain) where a condition decides, or V(not_seen) for a packet of an address family that such a list
          does not filter.
      type: str
    entry:
      description: Place of the entry that decides, from 1; of V(uncertain) packets the first that may. 0 for the implicit end of the list.
      type: int
    line:
      description: Line of that entry in the text; 0 for the implicit end.
      type: int
    conditions:
      description: What the verdict may depend on, empty where the first entry that matches has no condition.
      type: str
    text:
      description: The entry.
      type: str
rows:
  description: Number of packets and rows classified.
  returned: success
  type: int
verdicts:
  description: Number of rows by verdict.
  returned: success
  type: dict
  sample: {deny: 2, permit: 997, uncertain: 0, not_seen: 1}
entries:
  description: Entries that decided at least one row, with C(entry), C(line), C(text), C(permit), C(rows) and C(uncertain_rows).
  returned: success
  type: list
  elements: dict
default_rows:
  description: Rows that the implicit end of the list decided.
  returned: success
  type: int
"""
