#!/usr/bin/python
# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: register_info
short_description: Show what the register of devices holds
version_added: 1.0.0
description:
  - Returns devices with their facts, the address intervals they held, what each is taken for and by which evidence, and the conflicts
    between sources.
author:
  - Segwright contributors (@segwright)
options:
  policy_dir:
    description:
      - Directory with the policy documents, of which C(classification.yml) is read.
    type: path
    default: policies
  device:
    description:
      - MAC address of one device, or an address that it holds. All devices where not given.
    type: str
  at:
    description:
      - When the address is held, as V(2026-11-23T20:00:00Z). Now where not given.
    type: str
  facts:
    description:
      - Return only devices that have these values of facts, such as C(endpoint_profile) or C(device_type).
    type: dict
extends_documentation_fragment:
  - segwright.microseg.loop.data
attributes:
  check_mode:
    support: full
    description: Changes nothing.
  diff_mode:
    support: none
    description: Shows the difference where there is one.
requirements:
  - duckdb
  - pyarrow
"""

EXAMPLES = r"""
- name: All infusion pumps
  segwright.microseg.register_info:
    facts:
      endpoint_profile: Lab-Infusion-Pump

- name: Why this device is what it is
  segwright.microseg.register_info:
    device: "00:1b:c5:00:12:34"
  register: why

- name: Show the evidence
  ansible.builtin.debug:
    var: why.devices[0].classification.evidence

- name: Who held this address then
  segwright.microseg.register_info:
    device: 192.0.2.11
    at: "2026-11-23T20:00:00Z"
"""

RETURN = r"""
devices:
  description: Devices in order of their MAC.
  returned: always
  type: list
  elements: dict
  contains:
    id:
      description: MAC in lower case with colons.
      returned: always
      type: str
      sample: "02:1a:10:00:00:11"
    facts:
      description: Facts by name, each with value, source, time, confidence and what other sources say.
      returned: always
      type: dict
    addresses:
      description: Address intervals, each with address, from, to, source and confidence. A null end is open.
      returned: always
      type: list
      elements: dict
    classification:
      description:
        - What the device is taken for. C(type) with C(confidence) and C(margin), C(runner_up), C(evidence) line by line, C(use) (enforce,
          monitor or review), and C(disputed), which says why it is to be admitted nowhere.
      returned: always
      type: dict
hosts:
  description: Addresses of which a source knows no MAC, with facts, and the devices that held them then.
  returned: always
  type: list
  elements: dict
findings:
  description: What is wrong with the site's classification.yml; what is shipped and the rest of it are used.
  returned: always
  type: list
  elements: dict
conflicts:
  description: Findings about sources that disagree.
  returned: always
  type: list
  elements: dict
counts:
  description: Numbers of devices, addresses, conflicts and of the devices returned.
  returned: always
  type: dict
  sample: {"devices": 18, "addresses": 18, "conflicts": 0, "hosts": 0, "selected": 3}
"""
