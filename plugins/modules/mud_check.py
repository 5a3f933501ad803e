#!/usr/bin/python
# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: mud_check
short_description: Compare a MUD file with recorded traffic and with the policy
version_added: 1.0.0
description:
  - Answers three questions about a segment's devices. What does their maker declare, what were they seen to do, and what does the policy
    allow. Declared and allowed are compared for all packets, seen is what was recorded.
  - Each seen conversation that is not declared, and each declared and seen one that the policy denies, is a finding.
  - Changes nothing but its reports, mud_check.json and mud_check.md.
options:
  segment:
    description:
      - Segment whose devices are compared.
    type: str
    required: true
  src:
    description:
      - File that holds the MUD file. Either this or O(content).
    type: path
  content:
    description:
      - The text itself. Either this or O(src).
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
  window_days:
    description:
      - How many of the recorded days count, from the last. All where not given.
    type: int
extends_documentation_fragment:
  - segwright.microseg.loop.data
  - segwright.microseg.loop.output
  - segwright.microseg.loop.policy
  - segwright.microseg.loop.today
attributes:
  check_mode:
    support: full
    description: Writes no target and no policy in any mode.
  diff_mode:
    support: none
    description: There is no change to show.
requirements:
  - pyyaml
  - jsonschema
  - duckdb
  - pyarrow
  - numpy
author:
  - Segwright contributors (@segwright)
"""

EXAMPLES = r"""
- name: Do the pumps behave as their maker says?
  segwright.microseg.mud_check:
    segment: infusion_pumps
    src: pump.mud.json
    bindings:
      my-controller: [pump_gateway]
      local-networks: [pump_gateway]
    resolved:
      update.pump.example: [192.0.2.80]
  register: checked
"""

RETURN = r"""
conforms:
  description: Whether every seen conversation is declared and allowed.
  returned: success
  type: bool
counts:
  description: Declared and seen conversations by what is true of them.
  returned: success
  type: dict
declared:
  description: For each declared conversation of a known peer how often it was seen and whether the policy allows it.
  returned: success
  type: list
  elements: dict
findings:
  description: What a reviewer should know, each with its place.
  returned: success
  type: list
  elements: dict
report:
  description: Path of mud_check.md; mud_check.json lies beside it.
  returned: success
  type: str
seen:
  description: Recorded conversations of the segment's devices with V(declared) and V(allowed), at most 1000.
  returned: success
  type: list
  elements: dict
summary:
  description: One sentence.
  returned: success
  type: str
unbound:
  description: Peers that no binding names, with the number of their entries.
  returned: success
  type: dict
"""
