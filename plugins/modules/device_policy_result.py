#!/usr/bin/python
# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: device_policy_result
short_description: Return one host's own result of a fleet's task
version_added: 1.0.0
description:
  - Reads what M(segwright.microseg.device_policy_fleet) wrote for the host and returns it as the host's own result. Connects to
    nothing.
  - Where the fleet's task left no result of this run, the host fails.
author:
  - Segwright contributors (@segwright)
options:
  run:
    description:
      - Name of the run, as M(segwright.microseg.device_policy_fleet) returned it. A result of any other run fails the host.
    type: str
    required: true
  output_dir:
    description:
      - Directory for results. V(out) below O(data_dir) where not given.
    type: path
extends_documentation_fragment:
  - segwright.microseg.loop.data
attributes:
  check_mode:
    support: full
    description: Writes nothing in any mode.
  diff_mode:
    support: full
    description: Shows the lines that change.
requirements: []
"""

EXAMPLES = r"""
- name: Tell what became of each switch
  segwright.microseg.device_policy_result:
    run: "{{ fleet.run }}"
"""

RETURN = r"""
commands:
  description:
    - Configuration lines that were, or in check mode would be, typed, in order. On Linux the lines of the file that C(nft) reads.
  returned: always
  type: list
  elements: str
  sample: ["ip access-list extended SW_hvac__b", "10 permit udp any eq 68 any eq 67"]
status:
  description: How the host ended.
  returned: always
  type: str
  sample: changed
in_force:
  description: What the device holds now, in words.
  returned: always
  type: str
  sample: the new lists, confirmed from a new connection and saved
operations:
  description: The steps that were, or would be, carried out.
  returned: always
  type: list
  elements: dict
completed:
  description: The steps that changed something.
  returned: always
  type: list
  elements: dict
findings:
  description: What there is to know.
  returned: always
  type: list
  elements: dict
run:
  description: Name of the run.
  returned: always
  type: str
seconds:
  description: Wall time of the device.
  returned: always
  type: float
"""
