#!/usr/bin/python
# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: policy_explain
short_description: Explain one conversation, or why a device is in its segment
version_added: 1.0.0
description:
  - Says for one conversation what every enforcement point on its way decides about the opener and the reply, and
    by which entry, rule, file, line and last commit.
  - With O(device) alone it says for each segment's query which parts the device fulfils, by the facts of the register.
  - Answers for the working tree, for a commit, or with O(live) also for what the targets hold now.
author:
  - Segwright contributors (@segwright)
options:
  client:
    description:
      - Address, device id, device name or segment of the client. Needed unless O(device) is given.
    type: str
  server:
    description:
      - Address, device id, device name or segment of the server. Needed unless O(device) is given.
    type: str
  device:
    description:
      - Device id (MAC) or name whose membership is explained; nothing else is asked then.
    type: str
  data_dir:
    description:
      - Directory where the loop keeps the register of devices, for O(device).
    type: path
    default: .microseg
  service:
    description:
      - Name of a service of the policy. Give either this or O(protocol) and O(port).
    type: str
  protocol:
    description:
      - Protocol, V(tcp), V(udp), V(icmp) or a number.
    type: str
  port:
    description:
      - The server's port, or for ICMP type times 256 plus code.
    type: int
  client_port:
    description:
      - The client's port. 49152 where not given.
    type: int
  commit:
    description:
      - Commit, branch or tag whose policy is asked. The working tree where not given. The checkout is only read.
    type: str
  live:
    description:
      - Whether the lists in force on the targets are read and asked as well.
    type: bool
    default: false
  targets:
    description:
      - Inventory names of the targets that are read. The hosts of the play where not given.
    type: list
    elements: str
extends_documentation_fragment:
  - segwright.microseg.loop.policy
  - segwright.microseg.loop.today
attributes:
  check_mode:
    support: full
    description: Writes no target and no policy in check mode.
  diff_mode:
    support: none
    description: Shows the difference where there is one.
requirements:
  - pyyaml
  - jsonschema
"""

EXAMPLES = r"""
- name: May a pump reach the pump server
  segwright.microseg.policy_explain:
    policy_dir: policies
    client: pump1
    server: pumpsrv1
    service: mqtt

- name: Was a scanner permitted to store images in the last commit
  segwright.microseg.policy_explain:
    policy_dir: policies
    client: imaging_modalities
    server: pacs
    service: dicom
    commit: HEAD

- name: Why is a device in its segment
  segwright.microseg.policy_explain:
    policy_dir: policies
    device: pump1
"""

RETURN = r"""
segment:
  description: The segment in which the committed membership has the device; empty where in none.
  returned: with O(device)
  type: str
fulfils:
  description: Segments whose queries the device fulfils by the register. More than one means that it is in none of them.
  returned: with O(device)
  type: list
  elements: str
memberships:
  description:
    - For each segment with a query whether the device fulfils it (C(holds)), and one line for each part of the query with what the
      register says (C(lines)); those that hold first.
  returned: with O(device)
  type: list
  elements: dict
permitted:
  description: Whether every enforcing point passes the opener and its reply.
  returned: without O(device)
  type: bool
commit:
  description: The commit whose policy was asked; C(+dirty) behind it where documents differ; empty without git.
  returned: without O(device)
  type: str
live_permitted:
  description: Whether the lists in force pass the conversation.
  returned: with O(live)
  type: bool
live_points:
  description:
    - What each list in force says, with the deciding entry and its text as RV(points). Where the approved list has the entry as well, its
      rule, file, line and last commit; else these are empty, since nobody approved the entry.
  returned: with O(live)
  type: list
  elements: dict
pairs:
  description: How many pairs of the two ends' addresses there are, were asked and are permitted, and one that fares otherwise.
  returned: without O(device)
  type: dict
path:
  description: Whether the way is known, why not, and the points that it crosses.
  returned: without O(device)
  type: dict
points:
  description: What each list says, with entry, text, rule, file, line and last commit.
  returned: without O(device)
  type: list
  elements: dict
service_parts:
  description: For each protocol and first port of a range of the service whether it is permitted; the first is the one explained.
  returned: without O(device)
  type: list
  elements: dict
summary:
  description: One sentence.
  returned: always
  type: str
"""
