#!/usr/bin/python
# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: device_sources
short_description: Read inventories, leases and traffic into the register, and say what devices are
version_added: 1.0.0
description:
  - Reads DHCP leases, records, NetBox and a site's own sources into the register of devices, adds vendors by OUI and ports by recorded
    traffic, and classifies every device by the shipped rules and those of C(classification.yml).
  - Equal inputs in any order give the same register. What contradicts itself is a finding, never a guess.
author:
  - Segwright contributors (@segwright)
options:
  policy_dir:
    description:
      - Directory with the policy documents, of which C(classification.yml) is read.
    type: path
    default: policies
  sources:
    description:
      - Sources, each with C(kind), and C(name), C(path), C(at) and the options of its kind.
      - The kinds V(dnsmasq), V(isc_dhcpd), V(kea), V(netbox), V(table) and V(windows_dhcp) are shipped.
      - Keep tokens in a vault, and set C(no_log) on the task where they stand in here.
    type: list
    elements: dict
    default: []
  source_plugins:
    description:
      - Python files, or folders of such, with kinds of sources of a site's own. They run with the rights of the controller.
    type: list
    elements: path
    default: []
  oui_files:
    description:
      - The registries of IEEE as CSV files, or Wireshark's C(manuf).
    type: list
    elements: path
    default: []
  flows:
    description:
      - Whether to take the ports that devices serve and use from recorded traffic.
    type: bool
    default: true
  inside:
    description:
      - Networks of the site. Addresses in them that no device held, and that serve or use ports, are kept as hosts without MAC.
    type: list
    elements: str
    default: []
  window_days:
    description:
      - Days of recorded traffic to look at, counted back from now. All of them where not given.
    type: int
  engine:
    description:
      - What answers questions about recorded traffic; DuckDB where empty.
    type: str
    default: ""
  strict:
    description:
      - Whether to fail where any source cannot be read; otherwise only where none can.
    type: bool
    default: false
extends_documentation_fragment:
  - segwright.microseg.loop.data
attributes:
  check_mode:
    support: full
    description: Reads and writes nothing.
  diff_mode:
    support: none
    description: Shows the difference where there is one.
requirements:
  - duckdb
  - pyarrow
  - requests, for NetBox
"""

EXAMPLES = r"""
- name: Leases and the asset list
  segwright.microseg.device_sources:
    sources:
      - kind: isc_dhcpd
        path: /var/lib/dhcp/dhcpd.leases
      - kind: table
        name: assets
        path: assets.csv
        columns:
          Asset class: asset_type
    oui_files: [/var/lib/ieee-data/oui.csv, /var/lib/ieee-data/oui36.csv]

- name: NetBox
  segwright.microseg.device_sources:
    sources:
      - kind: netbox
        url: https://netbox.example.org
        token: "{{ vault_netbox_token }}"
        filters:
          site: hospital-1
  no_log: true
"""

RETURN = r"""
devices:
  description: Devices in the register.
  returned: always
  type: int
new_devices:
  description: Devices that are new, at most 100.
  returned: always
  type: list
  elements: str
updated_devices:
  description: Devices whose facts or addresses changed, at most 100.
  returned: always
  type: list
  elements: str
sources:
  description: What each source gave, by its name, in numbers and findings.
  returned: always
  type: dict
types:
  description: Devices by type.
  returned: always
  type: dict
  sample: {"infusion_pump": 120, "unknown": 3}
uses:
  description: Devices by what their confidence is enough for.
  returned: always
  type: dict
  sample: {"enforce": 90, "monitor": 30, "review": 3}
disputed:
  description: Devices whose facts contradict each other, or that became another kind of device; at most 100.
  returned: always
  type: list
  elements: str
findings:
  description: What is wrong with sources, rules and devices.
  returned: always
  type: list
  elements: dict
summary:
  description: One sentence.
  returned: always
  type: str
"""
