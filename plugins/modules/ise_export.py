#!/usr/bin/python
# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: ise_export
short_description: Write what a live Cisco ISE holds as a policy directory for review
version_added: 1.0.0
description:
  - For a start where ISE has a policy already. Security groups and the downloadable ACLs that profiles hand out become segments,
    cells and lists become rules, authorization rules and IP-SGT mappings become the queries of who is in a segment.
  - Each cell and list is then compiled from the new policy and compared with what ISE has, for all packets. Segments whose lists would
    be written with the same meaning get the stage that they have today; all others are observed, and nothing of theirs is written.
  - Every object of ISE is in the report with what became of it, and what no policy can say with the reason.
  - Writes nothing to ISE. The directory must not hold a policy yet.
author:
  - Segwright contributors (@segwright)
options:
  policy_dir:
    description:
      - Directory to write, which does not exist yet or holds just this export.
    type: path
    required: true
  target:
    description:
      - Inventory name of the ISE. The host of the task where not given.
    type: str
  src:
    description:
      - Snapshot file of O(segwright.microseg.ise_info#module:snapshot_file) to read instead of the live ISE.
    type: path
  site:
    description:
      - Name of the site.
    type: str
    default: site
  time_zone:
    description:
      - Time zone of the site by its IANA name.
    type: str
    default: Etc/UTC
  zone:
    description:
      - Name of the one zone in which all segments begin.
    type: str
    default: existing
  subnets:
    description:
      - Prefixes of that zone. The private ones of RFC 1918 and RFC 6598 where not given.
    type: list
    elements: str
  owner:
    description:
      - Who answers for the segments until somebody is named.
    type: str
    default: to-be-named
extends_documentation_fragment:
  - segwright.microseg.loop.data
  - segwright.microseg.loop.output
  - segwright.microseg.loop.today
attributes:
  check_mode:
    support: full
    description: Reads and compares, and writes no file.
  diff_mode:
    support: full
    description: Shows the policy files.
requirements:
  - ciscoisesdk
  - pyyaml
  - ruamel.yaml
  - jsonschema
"""

EXAMPLES = r"""
- name: Begin with what ISE has
  segwright.microseg.ise_export:
    target: ise1
    policy_dir: policies-of-ise1
    site: clinic
    time_zone: Europe/Vienna
    subnets: [10.0.0.0/8]
    owner: network-security
  register: exported

- name: The same from a snapshot, without ISE
  segwright.microseg.ise_export:
    target: ise1
    src: .microseg/ise1.json
    policy_dir: policies-of-ise1
    site: clinic
    time_zone: Europe/Vienna
    subnets: [10.0.0.0/8]
    owner: network-security

- name: What has to be decided
  ansible.builtin.debug:
    var: exported.decisions
"""

RETURN = r"""
cells:
  description:
    - Each cell between two segments with C(verdict), V(equal), V(would cut), V(would permit more), V(would differ) or V(not compared), the
      reason as C(why), and the packets of both sides as C(only_in_ise) and C(only_in_policy).
  returned: success
  type: list
  elements: dict
counts:
  description: Objects by what became of them, segments, rules, and cells and lists by verdict.
  returned: success
  type: dict
decisions:
  description: What a person has to decide before more is enforced.
  returned: success
  type: list
  elements: str
adopt_names:
  description: Objects that stand in ISE and that the compiled policy would take over, for C(microseg_ise_adopt) in the inventory.
  returned: success
  type: list
  elements: str
files:
  description: Files of the policy directory.
  returned: success
  type: list
  elements: str
findings:
  description: Decisions, and what the lists say that no rule can, with code and severity. The task does not fail for them.
  returned: success
  type: list
  elements: dict
gate:
  description: Errors that the gate would find in the exported documents.
  returned: success
  type: list
  elements: dict
lists:
  description: Each downloadable ACL of a segment, with the same keys as RV(cells).
  returned: success
  type: list
  elements: dict
not_expressed:
  description: Objects that no policy can say, each as C(object) with the reason as C(why).
  returned: success
  type: list
  elements: dict
report:
  description: Path of ise_export.md; ise_export.json lies beside it and names every object.
  returned: success
  type: str
segments:
  description: The segments with the stage that they have in the exported enforcement.yml.
  returned: success
  type: dict
summary:
  description: One sentence.
  returned: success
  type: str
"""
