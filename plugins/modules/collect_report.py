#!/usr/bin/python
# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: collect_report
short_description: Report what was collected
version_added: 1.0.0
description:
  - Makes one result of an import of flows and a reading of device facts, and writes it as C(collect.json).
author:
  - Segwright contributors (@segwright)
options:
  policy_dir:
    description:
      - Directory with the policy documents. Only its commit is named in the result.
    type: path
    default: policies
  flows:
    description:
      - What M(segwright.microseg.flow_import) returned. Left out where no flows were read.
    type: dict
  devices:
    description:
      - What M(segwright.microseg.device_facts) returned. Left out where no facts were read.
    type: dict
  sources:
    description:
      - What M(segwright.microseg.device_sources) returned. Left out where no sources were read.
    type: dict
extends_documentation_fragment:
  - segwright.microseg.loop.data
  - segwright.microseg.loop.output
attributes:
  check_mode:
    support: full
    description: Returns the result and writes nothing.
  diff_mode:
    support: none
    description: Shows the difference where there is one.
"""

EXAMPLES = r"""
- name: Import flows
  segwright.microseg.flow_import:
    paths: [captures]
  register: flows

- name: Read device facts
  segwright.microseg.device_facts:
  run_once: true
  register: devices

- name: Report what was collected
  segwright.microseg.collect_report:
    flows: "{{ flows }}"
    devices: "{{ devices }}"
  run_once: true
"""

RETURN = r"""
result:
  description: The result as it stands in C(collect.json).
  returned: always
  type: dict
summary:
  description: One sentence.
  returned: always
  type: str
  sample: "7 inputs (7 new); 2167 records, 1099 connections on 1 days; 18 devices (18 new, 0 changed, 0 conflicts) from 3 of 3 hosts"
"""
