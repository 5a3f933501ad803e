#!/usr/bin/python
# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: policy_import
short_description: Import a MUD file or an access list as rules for review
version_added: 1.0.0
description:
  - Reads a manufacturer usage description (RFC 8520), or an access list as a device or Cisco ISE holds it, and adds what it permits to the
    policy directory as rules, with the services and network sets that they need. Rules that stand are never changed or removed.
  - An access list is one for packets from the segment's devices, a DACL, the list of an access port or of a routed interface inward, a
    firewall's list, or with O(peer) the SGACL of one cell. A denial before a permit narrows it exactly. Lines for answers are
    recognised as such and become the rule of whoever opens, where that is a segment. What remains is named line by line in RV(entries).
  - The imported policy is compiled and compared with the list for all packets of the segment's devices, RV(difference).
  - What no rule can say is a finding with the line in the file, never dropped silently. A MUD file is a claim of whoever wrote it.
    Its signature is not checked here.
  - The changed documents are checked in a copy first. RV(gate) has the errors that the gate would find then.
options:
  format:
    description:
      - What the text is.
    type: str
    required: true
    choices: [mud, dacl, sgacl, ios, ios_ipv6, nxos, asa, nftables]
  segment:
    description:
      - Segment whose devices the text is about. Needed for MUD files, DACLs and SGACLs.
      - Without it the list of a firewall or router is imported for every segment with addresses, each line for the segments that its
        source holds.
    type: str
  src:
    description:
      - File that holds the text. Either this or O(content).
    type: path
  content:
    description:
      - The text itself. Either this or O(src).
    type: str
  name:
    description:
      - Which access list, where the text holds several.
    type: str
  peer:
    description:
      - The server segment of the cell, for O(format=sgacl) only.
    type: str
  bindings:
    description:
      - Who plays the roles of the MUD file on this site. Keys name a peer as the findings do, V(my-controller), V(local-networks),
        V(same-manufacturer), V(controller URI), V(manufacturer HOST), V(model URL), V(dns HOST) or V(any); values are
        lists of segments and network sets.
      - A peer without a binding is a finding, and nothing is imported for it. Without a binding the controllers for names and time
        are the site's infrastructure, and V(same-manufacturer) is the segment itself.
    type: dict
  resolved:
    description:
      - Addresses of host names, as lists by name. Nothing is resolved here, since a list must not change by itself.
    type: dict
  resolved_on:
    description:
      - The day of O(resolved), as V(YYYY-MM-DD). Today where not given.
    type: str
extends_documentation_fragment:
  - segwright.microseg.loop.data
  - segwright.microseg.loop.output
  - segwright.microseg.loop.policy
  - segwright.microseg.loop.today
attributes:
  check_mode:
    support: full
    description: Says what would be written and writes nothing.
  diff_mode:
    support: full
    description: Shows the changed policy files.
requirements:
  - pyyaml
  - ruamel.yaml
  - jsonschema
  - duckdb
  - pyarrow
  - numpy
author:
  - Segwright contributors (@segwright)
"""

EXAMPLES = r"""
- name: Import what the pump's maker declares
  segwright.microseg.policy_import:
    format: mud
    segment: infusion_pumps
    src: pump.mud.json
    bindings:
      my-controller: [pump_gateway]
      local-networks: [pump_gateway]
    resolved:
      update.pump.example: [192.0.2.80]
  register: imported

- name: Start from the DACL that the monitors have today
  segwright.microseg.policy_import:
    format: dacl
    segment: patient_monitors
    content: |
      permit udp any eq bootpc any eq bootps
      permit udp any host 10.20.50.2 eq domain
      deny tcp any host 10.20.50.12 eq 22
      permit tcp any host 10.20.50.12
      deny ip any any
  register: brownfield

- name: The new lists would permit what the old one did
  ansible.builtin.debug:
    var: brownfield.difference

- name: Nobody who plays a role is left out
  ansible.builtin.assert:
    that: imported.unbound == {}
"""

RETURN = r"""
bound:
  description: The segments and network sets by the peer of the file that they stand for.
  returned: success
  type: dict
counts:
  description: Entries, conversations and rules.
  returned: success
  type: dict
difference:
  description:
    - For an access list that is understood whole, what the list and the compiled policy permit differently, as C(only_in_list),
      C(only_in_policy) and C(not_modelled), boxes of packets with a witness each; C(equal) where nothing.
  returned: for access lists
  type: dict
entries:
  description:
    - For an access list each entry with C(line), C(text), C(outcome), the ids of its C(rules), and C(after_unread_line) where a line that
      is not understood stands before it.
  returned: for access lists
  type: list
  elements: dict
files:
  description: Changed files of the policy directory.
  returned: success
  type: list
  elements: str
findings:
  description: What could not be imported and what a reviewer should know, each with its line. The task does not fail for them.
  returned: success
  type: list
  elements: dict
gate:
  description: Errors that the documents have with the import and did not have before, for example a conduit that is missing.
  returned: success
  type: list
  elements: dict
not_imported:
  description: The entries of which no rule was made, with the reason as C(outcome).
  returned: for access lists
  type: list
  elements: dict
report:
  description: Path of import.md; import.json lies beside it.
  returned: success
  type: str
rules:
  description: Ids of the new rules.
  returned: success
  type: list
  elements: str
removed:
  description: Ids of rules of an earlier import of this MUD file that it declares no longer and nobody changed.
  returned: success
  type: list
  elements: str
summary:
  description: One sentence.
  returned: success
  type: str
unbound:
  description: Peers that no binding names, with the number of their entries.
  returned: success
  type: dict
"""
