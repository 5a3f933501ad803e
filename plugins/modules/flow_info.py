#!/usr/bin/python
# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: flow_info
short_description: Show what the flow store holds
version_added: 1.0.0
description:
  - Returns the inputs, days and exporters of the flow store, how sure its directions are, and the conversations with most bytes.
author:
  - Segwright contributors (@segwright)
options:
  data_dir:
    description:
      - Directory where the loop keeps flows, register and results.
    type: path
    default: .microseg
  since:
    description:
      - First day of the rollup to count, as V(YYYY-MM-DD). All days where not given.
    type: str
  until:
    description:
      - First day that is not counted any more, as V(YYYY-MM-DD).
    type: str
  top:
    description:
      - How many of the conversations with most bytes to return.
    type: int
    default: 10
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
  - numpy
"""

EXAMPLES = r"""
- name: What is in the store
  segwright.microseg.flow_info:
    data_dir: .microseg
    top: 5
"""

RETURN = r"""
counts:
  description: Numbers of inputs, records, connections, rollup rows, flows, packets and bytes.
  returned: always
  type: dict
  sample: {"inputs": 7, "records": 2167, "connections": 1099, "rollup_rows": 204, "flows": 342}
days:
  description: Flows and conversations of each day.
  returned: always
  type: list
  elements: dict
  contains:
    day:
      description: The day in UTC.
      returned: always
      type: str
      sample: "2026-11-23"
    flows:
      description: Connections, each counted once.
      returned: always
      type: int
      sample: 341
    conversations:
      description: Distinct client, server, protocol, server port and class.
      returned: always
      type: int
      sample: 204
first:
  description: When the first packet was seen.
  returned: always
  type: str
  sample: "2026-11-23T20:40:21Z"
last:
  description: When the last packet was seen.
  returned: always
  type: str
  sample: "2026-11-23T20:40:48Z"
exporters:
  description: What was seen of each exporter and tap, with lost datagrams, missing templates and sampling.
  returned: always
  type: dict
classes:
  description: Flows by class (unicast, peer, multicast, broadcast).
  returned: always
  type: dict
  sample: {"unicast": 320, "peer": 21}
methods:
  description: Flows by the method that decided the direction, 0 (the exporter said so) to 9 (the lower port).
  returned: always
  type: dict
  sample: {"1": 123, "5": 218}
top_talkers:
  description: Conversations with most bytes.
  returned: always
  type: list
  elements: dict
denies:
  description: Denied packets that devices logged, by platform, point (the device) and list. The lookup P(segwright.microseg.flows#lookup)
    with O(segwright.microseg.flows#lookup:kind=denies) has who was refused what.
  returned: always
  type: list
  elements: dict
  sample: [{"platform": "ios", "point": "sw1", "list": "PUMPS_IN", "messages": 12, "packets": 40}]
inputs:
  description: Inputs that count, with their quality.
  returned: always
  type: list
  elements: dict
"""
