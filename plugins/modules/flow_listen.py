#!/usr/bin/python
# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: flow_listen
short_description: Listen for flow exports for a bounded time
version_added: 1.0.0
description:
  - Receives NetFlow v5, NetFlow v9, IPFIX and sFlow v5 datagrams over UDP from the exporters that are allowed, for a time or a number of
    datagrams, and imports them as M(segwright.microseg.flow_import) does.
  - Templates are kept between runs, since some exporters send them every 10 to 15 minutes only.
  - Datagrams of a listener that was killed stay in C(flows/spool) below the data directory and can be imported.
author:
  - Segwright contributors (@segwright)
options:
  address:
    description:
      - Local address to listen on.
    type: str
    default: 127.0.0.1
  port:
    description:
      - UDP port to listen on, such as V(2055) or V(4739).
    type: int
    required: true
  sources:
    description:
      - Addresses or networks of the exporters. Datagrams of all others are refused and counted.
    type: list
    elements: str
    required: true
  seconds:
    description:
      - Longest time to listen, at most a day. V(0) listens until O(datagrams) is reached.
    type: float
    default: 60.0
  datagrams:
    description:
      - Number of datagrams after which to stop. V(0) listens for O(seconds).
    type: int
    default: 0
  exporter:
    description:
      - Text that stands before the address of each exporter in the store.
    type: str
  hints:
    description:
      - Where servers listen, for conversations whose direction the telemetry does not show.
      - A hint yields to a handshake and to a server that was proved by one.
    type: list
    elements: dict
    suboptions:
      address:
        description:
          - Address or network of the servers.
        type: str
        required: true
      protocol:
        description:
          - Name or number of the protocol.
        type: str
        default: tcp
      ports:
        description:
          - Port or range of ports, as V(20000) or V(5000-5010).
        type: str
        required: true
extends_documentation_fragment:
  - segwright.microseg.loop.data
attributes:
  check_mode:
    support: full
    description: Checks the arguments and receives nothing.
  diff_mode:
    support: none
    description: Shows the difference where there is one.
requirements:
  - duckdb
  - pyarrow
  - numpy
"""

EXAMPLES = r"""
- name: Listen for five minutes
  segwright.microseg.flow_listen:
    address: 192.0.2.10
    port: 2055
    seconds: 300
    sources:
      - 192.0.2.31
      - 192.0.2.32
"""

RETURN = r"""
received:
  description: What came.
  returned: always
  type: dict
  contains:
    datagrams:
      description: Datagrams of allowed sources.
      returned: always
      type: int
      sample: 1200
    bytes:
      description: Their octets.
      returned: always
      type: int
      sample: 1689600
    lost:
      description: Datagrams that the system dropped since the receive buffer was full.
      returned: always
      type: int
      sample: 0
    discarded:
      description: Datagrams of allowed sources that were discarded since imports did not keep up and the spool was full.
      returned: always
      type: int
      sample: 0
    sources:
      description: Datagrams by allowed source.
      returned: always
      type: dict
      sample: {"192.0.2.31": 1200}
    refused:
      description: Datagrams by source that is not allowed.
      returned: always
      type: dict
      sample: {}
inputs:
  description: One entry for each file that was found.
  returned: always
  type: list
  elements: dict
  contains:
    path:
      description: Path as it was found.
      returned: always
      type: str
      sample: captures/clinical.pcap
    sha256:
      description: Hash of the content, by which an input counts once.
      returned: when it could be read
      type: str
      sample: 58885152cc2da1f2c3343db1131a86c34fa4490e1619a758845a61169cee67b0
    kind:
      description: What it was read as.
      returned: when it could be read
      type: str
      sample: pcap
    status:
      description: Whether it was V(imported), was already V(known), is V(new) (check mode) or V(failed).
      returned: always
      type: str
      sample: imported
    records:
      description: One-way records read.
      returned: when imported
      type: int
      sample: 287
    connections:
      description: Connections written.
      returned: when imported
      type: int
      sample: 152
records:
  description: One-way records read from all new inputs.
  returned: always
  type: int
  sample: 287
connections:
  description: Connections written.
  returned: always
  type: int
  sample: 152
days:
  description: Days whose rollup was rebuilt.
  returned: always
  type: list
  elements: str
  sample: ["2026-11-23"]
quality:
  description: What limits the claims that may rest on each new input, by the first 16 hex digits of its hash.
  returned: always
  type: dict
errors:
  description: Findings of severity error. Where there is one, the task fails; what could be read is in the store.
  returned: always
  type: list
  elements: dict
warnings_found:
  description: Findings of lower severity, such as a capture that is cut or an exporter that lost datagrams.
  returned: always
  type: list
  elements: dict
"""
