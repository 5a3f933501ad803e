#!/usr/bin/python
# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: acl_parse
short_description: Read access lists from text
version_added: 1.0.0
description:
  - Reads the access lists in a configuration, in show output or in the content of an ISE object, and says of each whether it was
    understood whole.
  - A line that is not understood is never guessed. It stands in RV(acls[].opaque) with the reason.
  - Connects to nothing.
options:
  platform:
    description:
      - Syntax of the text. V(nxos) is for IPv4 and IPv6 lists of NX-OS, V(asa) for lists of ASA and FTD.
      - Object groups, service objects and names that the text defines are resolved; definitions may stand before or behind the list.
        A name that it does not define is a condition of the entry.
    type: str
    required: true
    choices: [dacl, sgacl, ios, ios_ipv6, nxos, asa, nftables]
  text:
    description:
      - The text. Prompts, counters, padding and CR LF do no harm. Headers of another platform than O(platform) are an error (SW1243).
    type: str
    required: true
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
- name: Read what a switch shows, pasted as it came
  segwright.microseg.acl_parse:
    platform: ios
    text: |
      sw1#show ip access-lists
      Extended IP access list PUMPS_IN
          10 permit udp any eq bootpc any eq bootps (212 matches)
          20 permit tcp 10.20.0.0 0.0.0.255 host 192.0.2.10 eq 443 (1841 matches)
          30 deny ip any any log (17 matches)
      sw1#
  register: lists

- name: Stop where a line is not understood
  ansible.builtin.assert:
    that: lists.round_trip
    fail_msg: "{{ lists.opaque }}"

- name: Which servers does the list name?
  ansible.builtin.debug:
    msg: "{{ lists.acls[0].entries | selectattr('permit') | map(attribute='destination') | flatten | unique }}"

- name: The content of a downloadable ACL, an ASA list and a Nexus list read the same way
  segwright.microseg.acl_parse:
    platform: "{{ item.platform }}"
    text: "{{ item.text }}"
  loop:
    - {platform: dacl, text: "permit tcp any host 192.0.2.10 eq 443\ndeny ip any any"}
    - {platform: asa, text: "access-list OUTSIDE_IN extended permit tcp any host 192.0.2.10 eq https"}
    - {platform: nxos, text: "ip access-list PUMPS\n  10 permit tcp 10.20.0.0/24 192.0.2.10/32 eq 443"}
  loop_control: {label: "{{ item.platform }}"}

- name: Which security group lists stand in which cells, from show cts role-based permissions
  segwright.microseg.acl_parse:
    platform: sgacl
    text: |
      sw1#show cts role-based permissions
      IPv4 Role-based permissions default:
              Permit IP-00
      IPv4 Role-based permissions from group 10:Pumps to group 20:Gateway (monitored):
              PUMP_GW-01
              Deny IP-00
      RBACL Monitor All for Dynamic Policies : FALSE
  register: matrix

- name: Cells that only count
  ansible.builtin.debug:
    msg: "{{ matrix.cells | selectattr('monitored') | map(attribute='sgacls') | list }}"
"""

RETURN = r"""
acls:
  description: The access lists, in the order of the text.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the list, empty where the text has none.
      type: str
    kind:
      description:
        - Kind of the list, V(extended), V(standard), V(ipv6), V(dacl), V(sgacl), V(nxos), V(nxos_ipv6), V(asa),
          V(asa_standard), V(asa_advanced), V(nftables), or V(foreign) and what it is.
      type: str
    entries:
      description:
        - Entries in order. A key that restricts nothing is absent.
        - RV(ignore:conditions) are the words of the line that are understood but not modelled, such as C(time-range WORK),
          C(dscp ef) or C(destination object-group X) for a group that the text does not define. The other keys are then an
          upper bound, and comparisons answer that these packets are not modelled.
        - RV(ignore:object_groups) names the groups that the line uses as C(source), C(destination) or C(service). Their content,
          where the text defines it, is in the other keys; a line with a group of several services becomes several entries.
        - RV(ignore:matches) and RV(ignore:estimate_matches) are the counters that the device printed.
      type: list
      elements: dict
      sample: [{"permit": true, "family": 4, "protocol": "tcp", "source": ["any"],
        "destination": ["192.0.2.1/32"], "destination_ports": ["443"], "line": 2}]
    opaque:
      description: Lines that were not understood, with line, text and reason.
      type: list
      elements: dict
    marks:
      description: What the device prints behind the name, such as C((per-user)) or C((downloaded)); empty where nothing stands there.
      type: str
    trailing_remarks:
      description: Remarks after the last entry.
      type: list
      elements: str
    default_permit:
      description: Whether the platform's implicit end permits.
      type: bool
    empty_permits:
      description: Whether the list permits everything when it has no entries.
      type: bool
    round_trip:
      description: Whether the list was understood whole and, written anew, has the same meaning for all packets.
      type: bool
cells:
  description:
    - Cells of the matrix, where the text of platform V(sgacl) is what C(show cts role-based permissions) prints; empty for any other text.
      C(acls) is empty then, since such a text names lists and does not hold them.
  returned: success
  type: list
  elements: dict
  contains:
    family:
      description: V(4) or V(6).
      type: int
    default:
      description: Whether this is the default cell; the groups are absent then.
      type: bool
    source_group:
      description: Tag of the source; V(0) is unknown.
      type: int
    source_name:
      description: Its name, empty where the device prints none.
      type: str
    destination_group:
      description: Tag of the destination.
      type: int
    destination_name:
      description: Its name.
      type: str
    sgacls:
      description: Names of the lists in order, with the generation that the device appends.
      type: list
      elements: str
    configured:
      description: Whether it was typed on the device, not downloaded.
      type: bool
    monitored:
      description: Whether it is counted and not enforced.
      type: bool
    line:
      description: Line in the text, from 1.
      type: int
opaque:
  description: All lines that were not understood, with the name of their list.
  returned: success
  type: list
  elements: dict
round_trip:
  description: Whether every list in the text passes the round trip.
  returned: success
  type: bool
  sample: true
"""
