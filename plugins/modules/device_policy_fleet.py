#!/usr/bin/python
# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: device_policy_fleet
short_description: Bring the access lists of many switches and firewalls to a wanted state by one task
version_added: 1.0.0
description:
  - Connects to every host of the play's batch from a pool of threads and does there what M(segwright.microseg.device_policy) does
    on one. To be run with C(run_once), followed by M(segwright.microseg.device_policy_result), which gives each host its own
    result. So C(--limit), C(serial), C(--check) and C(--diff) keep their meaning. With C(serial) use the role
    C(segwright.microseg.device_policy), which stops before the next batch where too many devices failed.
  - The task itself fails only where it was interrupted or results cannot be written; hosts that failed are named.
  - SIGINT (Ctrl-C) and SIGTERM begin no further device and bring those at work to their end, then say which holds what.
  - Each device has a journal of its own below the state directory, by which V(undone) takes a run back.
author:
  - Segwright contributors (@segwright)
options:
  state:
    description:
      - V(merged) builds, replaces and attaches the lists of each host.
      - V(undone) takes back what O(run) did on each host, or the last run where no name is given.
    type: str
    choices: [merged, undone]
    default: merged
  targets:
    description:
      - Inventory names of hosts. All hosts of the batch where not given.
    type: list
    elements: str
  lists:
    description:
      - Lists that all hosts get, each with C(name), C(content), and optionally C(interfaces), C(direction) and C(point), as in
        M(segwright.microseg.device_policy).
    type: list
    elements: dict
  lists_variable:
    description:
      - Name of the inventory variable with the lists of a host, where O(lists) is not given.
    type: str
    default: microseg_device_lists
  adopt:
    description:
      - Whether a list of others on a named interface may be replaced there.
    type: bool
    default: false
  prune:
    description:
      - Whether lists and attachments of ours that are not named are removed.
    type: bool
    default: false
  workers:
    description:
      - Devices at a time, at most 256. Login servers set the limit.
    type: int
    default: 50
  workers_per_site:
    description:
      - Devices at a time at one site, V(0) for no limit of its own.
    type: int
    default: 0
  interval:
    description:
      - Seconds between the beginnings of two devices.
    type: float
    default: 0.0
  site_interval:
    description:
      - Seconds between the beginnings of two devices of one site.
    type: float
    default: 0.0
  site_variable:
    description:
      - Name of the inventory variable with the site of a host.
    type: str
    default: microseg_site
  max_failures:
    description:
      - No further device is begun when so many failed or could not be reached, V(0) for no limit.
    type: int
    default: 0
  run:
    description:
      - Name of the run in journals and results. One is made where not given; required to take back another run than the last.
    type: str
  output_dir:
    description:
      - Directory for results. V(out) below O(data_dir) where not given.
    type: path
  state_dir:
    description:
      - Directory for plan, journals and locks. V(state) below O(data_dir) where not given.
    type: path
extends_documentation_fragment:
  - segwright.microseg.loop.data
attributes:
  check_mode:
    support: full
    description: Connects and reads, shows every line that would be typed, and writes nothing to a device.
  diff_mode:
    support: full
    description: The task that follows shows the lines that change on each host.
requirements:
  - netmiko
"""

EXAMPLES = r"""
# The role looks at a whole batch and stops before the next one. The play's own max_fail_percentage would count an unreachable
# host twice.
- name: Lists of a ring of switches, in batches
  hosts: access_switches
  gather_facts: false
  serial: [1, 10, 100]
  roles:
    - role: segwright.microseg.device_policy
      vars:
        device_policy_workers: 50
        device_policy_workers_per_site: 4
        device_policy_max_fail_percentage: 5

- name: The same by its two tasks, all switches in one batch
  hosts: access_switches
  gather_facts: false
  tasks:
    - name: Change all switches of the batch
      segwright.microseg.device_policy_fleet:
        workers: 50
        workers_per_site: 4
      run_once: true
      register: fleet

    - name: Tell what became of each switch
      segwright.microseg.device_policy_result:
        run: "{{ fleet.run }}"

- name: The way back
  hosts: access_switches
  gather_facts: false
  tasks:
    - name: Take the last run back
      segwright.microseg.device_policy_fleet:
        state: undone
      run_once: true
"""

RETURN = r"""
counts:
  description: Number of hosts by how they ended.
  returned: always
  type: dict
  sample: {changed: 990, unchanged: 8, failed: 1, unreachable: 1, not_begun: 0}
run:
  description: Name of the run.
  returned: always
  type: str
  sample: 20261126T090000Z-1f2e3d4c
spool:
  description: Directory with one result file a host.
  returned: always
  type: str
  sample: .microseg/out/devices
lines:
  description: Configuration lines that were, or in check mode would be, typed.
  returned: always
  type: int
  sample: 104000
changed_hosts:
  description: Hosts that were changed.
  returned: always
  type: list
  elements: str
failed_hosts:
  description: Hosts that refused or failed.
  returned: always
  type: list
  elements: str
unreachable_hosts:
  description: Hosts that could not be reached.
  returned: always
  type: list
  elements: str
not_begun_hosts:
  description: Hosts to which nothing was sent.
  returned: always
  type: list
  elements: str
bad_percentage:
  description: Share of hosts that failed, could not be reached or were not begun, in per cent.
  returned: always
  type: float
  sample: 0.2
summary:
  description: The counts in one sentence.
  returned: always
  type: str
  sample: "1000 devices: 990 changed, 8 as wanted, 1 failed, 1 unreachable, 0 not begun"
"""
