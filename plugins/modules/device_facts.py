#!/usr/bin/python
# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: device_facts
short_description: Read facts of devices from ISE and switches into the register
version_added: 1.0.0
description:
  - Reads endpoints and sessions from ISE, and MAC, ARP, device tracking, session, LLDP and DHCP snooping tables from IOS-XE switches; MAC
    and ARP tables from NX-OS switches.
  - Reads ARP, interfaces, failover state and the number of connections from Cisco ASA firewalls.
  - Puts what they say into the register, with source, time and confidence for every fact. What each host said is kept beside it for audits.
  - Keeps what each switch says of itself (software, stack, clock, access lists and where they are attached, TCAM) in a file of its own
    below C(switches) in the data directory. M(segwright.microseg.policy_validate) and M(segwright.microseg.policy_plan) hold lists
    against it.
  - Reads only. Hosts are read in one task by a pool of threads, so use it with C(run_once).
  - Hosts that cannot be read are named in RV(failed_hosts) and in a warning; the facts of the others are kept.
author:
  - Segwright contributors (@segwright)
options:
  targets:
    description:
      - Inventory names of the hosts to read. The hosts of the play that have a platform where not given.
      - Address, port and credentials come from inventory variables. Switches with C(microseg_facts_transport=libssh) or
        C(microseg_ssh_legacy=true), or whose
        connection is C(ansible.netcommon.network_cli) over libssh, are read with ansible-pylibssh, others with netmiko.
    type: list
    elements: str
  workers:
    description:
      - How many hosts are read at a time, 1 to 128.
    type: int
    default: 16
  connect_timeout:
    description:
      - Seconds to wait for a connection, a login and each answer of ISE.
    type: float
    default: 30.0
  command_timeout:
    description:
      - Seconds of silence after which a show command is given up, on NX-OS and ASA seconds in all. Such a command costs
        its own facts only. On no device is one answer waited for longer than a quarter of an hour, or four times this.
    type: float
    default: 60.0
  baseline_dir:
    description:
      - Directory with the known-good configuration of each switch, C(NAME.cfg), and its signature C(NAME.cfg.sig). What a switch has
        more or less than that is said in RV(deviations) and a finding.
    type: path
  allowed_signers:
    description:
      - SSH keys of people who may sign known-good configurations, in the format of allowed signers (ssh-keygen), outside the directory
        that they judge. The namespace is C(segwright-configuration).
    type: path
  strict:
    description:
      - Fail where any host cannot be read. Otherwise the task fails only where none can.
    type: bool
    default: false
extends_documentation_fragment:
  - segwright.microseg.loop.data
attributes:
  check_mode:
    support: full
    description: Reads the hosts, says what would change in the register, and writes nothing.
  diff_mode:
    support: none
    description: Shows the difference where there is one.
requirements:
  - ciscoisesdk
  - defusedxml
  - netmiko
  - ansible-pylibssh (for hosts read over libssh)
  - pyarrow
"""

EXAMPLES = r"""
- name: Read ISE and the switches of the play
  segwright.microseg.device_facts:
    data_dir: .microseg
  run_once: true
  register: facts

- name: Read the switches, and say what differs from the configurations that were signed
  segwright.microseg.device_facts:
    data_dir: .microseg
    baseline_dir: baselines
    allowed_signers: /etc/segwright/allowed_signers
  run_once: true

- name: Read two switches, and fail where one of them is not there
  segwright.microseg.device_facts:
    targets:
      - sw-icu-1
      - sw-icu-2
    strict: true
  run_once: true
"""

RETURN = r"""
changed:
  description: Whether the register says anything new - a device, a fact's value, an address. Being seen again only moves times.
  returned: always
  type: bool
devices:
  description: How many devices the register holds.
  returned: when any host could be read
  type: int
  sample: 18
new:
  description: How many of them were not known before.
  returned: when any host could be read
  type: int
  sample: 3
new_devices:
  description: Their ids, at most 100.
  returned: when any host could be read
  type: list
  elements: str
  sample: ["02:1a:10:00:00:11"]
updated:
  description: How many known devices have a fact or an address that says something else now.
  returned: when any host could be read
  type: int
  sample: 0
updated_devices:
  description: Their ids, at most 100.
  returned: when any host could be read
  type: list
  elements: str
  sample: []
conflicts:
  description: Findings about sources that disagree, at most 100.
  returned: when any host could be read
  type: list
  elements: dict
hosts:
  description:
    - One entry for each host by name, with C(ok), C(platform), C(transport), C(software), C(seconds), C(observations), C(counts) and
      C(findings).
  returned: when any host was asked
  type: dict
failed_hosts:
  description: Hosts that could not be read.
  returned: when any host was asked
  type: list
  elements: str
  sample: []
skipped_hosts:
  description: Hosts of platforms that give no facts, such as firewalls.
  returned: when any host was asked
  type: list
  elements: str
  sample: [fw1]
readiness:
  description:
    - Whether each switch is ready to enforce downloadable ACLs and cells, with C(ready), C(read_at), C(ports), C(ports_ready),
      C(without_radius) (how many ports let everything, a list, or nothing through while no RADIUS server answers), C(findings) and
      C(lines) that are missing. Every port is in the file of its switch.
  returned: when any host was asked
  type: dict
deviations:
  description: By switch C(equal), C(signed_by), C(added), C(missing) (at most 100 lines each) and C(lines), how many differ.
  returned: when any host was asked
  type: dict
findings:
  description: What could not be read or understood, with code, severity, message and hint.
  returned: when any host was asked
  type: list
  elements: dict
summary:
  description: One sentence.
  returned: when any host was asked
  type: str
  sample: "18 devices from 3 of 3 hosts: 18 new, 0 changed, 0 conflicts"
"""
