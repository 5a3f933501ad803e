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
  client:
    description:
      - Address or network of the clients of the rows to return.
    type: str
  server:
    description:
      - Address or network of the servers of the rows to return.
    type: str
  address:
    description:
      - Address or network at either end.
    type: str
  protocol:
    description:
      - Name or number of the protocol.
    type: str
  service:
    description:
      - Name of a port of the list, as V(modbus), or protocol and port, as V(tcp/502) or V(udp/5000-5100).
    type: str
  device:
    description:
      - Device at either end, by its id in the register.
    type: str
  client_device:
    description:
      - Device that opened.
    type: str
  server_device:
    description:
      - Device that was opened to.
    type: str
  segment:
    description:
      - Segment at either end, after the membership lock of O(policy_dir).
    type: str
  client_segment:
    description:
      - Segment of the client.
    type: str
  server_segment:
    description:
      - Segment of the server.
    type: str
  binding:
    description:
      - What is known of either end.
    type: str
    choices: [bound, assumed, unknown, ambiguous]
  order:
    description:
      - What the rows are ordered by before their stable order of day, addresses and port; V(bytes), V(flows) and V(last) with the
        most first.
    type: str
    choices: [time, bytes, flows, last]
    default: time
  limit:
    description:
      - How many rows to return. V(0) returns none.
    type: int
    default: 0
  bindings:
    description:
      - Whether to count flows by day and by what is known of both ends.
    type: bool
    default: false
  policy_dir:
    description:
      - Directory of the policy, whose membership lock names the segments.
    type: path
    default: policies
  engine:
    description:
      - Engine that answers; V(duckdb) in this process where not given, V(spark-local), or V(spark://HOST:PORT).
    type: str
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
  - numpy
"""

EXAMPLES = r"""
- name: What is in the store
  segwright.microseg.flow_info:
    data_dir: .microseg
    top: 5

- name: Who opened Modbus to the device, the most first
  segwright.microseg.flow_info:
    data_dir: .microseg
    server_device: "02:00:00:00:20:01"
    service: modbus
    order: bytes
    limit: 20

- name: How much traffic no device answers for
  segwright.microseg.flow_info:
    data_dir: .microseg
    bindings: true
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
  description:
    - What was seen of each exporter and tap, with lost datagrams, missing templates and sampling, conversations seen from one side
      (C(one_sided_flows) of C(long_flows)), views that another exporter had too (C(pairs)) and by how much its starts are later in sum
      (C(later_us)).
    - C(ceiling) bounds the confidence of what rests on it, C(absence), C(silence) and C(order) say whether what was not seen did not
      happen, whether an opener without an answer had none, and whether its times compare with other exporters'. C(reasons) says why.
    - What interfaces dropped (C(dropped)) counts against the exporter or tap that they belong to.
  returned: always
  type: dict
interfaces:
  description:
    - The same for interfaces, where exports and captures tell of them, by exporter and index (V(192.0.2.1#7)) or tap, number and
      name (V(tap-1#0 eth0)). It says which port of an exporter its ceiling comes from; conversations do not carry interfaces.
  returned: always
  type: dict
rows:
  description: Rows that were asked for, at most O(limit).
  returned: always
  type: list
  elements: dict
bindings:
  description: Flows by day and by what is known of client and server, where O(bindings=true).
  returned: always
  type: list
  elements: dict
expired_days:
  description: Days whose connections are past their retention; their rollup is kept.
  returned: always
  type: list
  elements: str
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
