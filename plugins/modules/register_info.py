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
  - Returns devices with their facts, the address intervals they held, and the conflicts between sources.
author:
  - Segwright contributors (@segwright)
options:
  data_dir:
    description:
      - Directory where the loop keeps flows, register and results.
    type: path
    default: .microseg
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
      - Return only devices that have these values of facts, such as C(endpoint_profile).
    type: dict
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
conflicts:
  description: Findings about sources that disagree.
  returned: always
  type: list
  elements: dict
counts:
  description: Numbers of devices, addresses, conflicts and of the devices returned.
  returned: always
  type: dict
  sample: {"devices": 18, "addresses": 18, "conflicts": 0, "selected": 3}
"""
