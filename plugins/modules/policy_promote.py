#!/usr/bin/python
# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: policy_promote
short_description: Say whether segments and cells may go to their next stage
version_added: 1.0.0
description:
  - Stages are V(observe), V(monitor) and V(enforce). For each segment this says whether it may go on, check by check, and on
    what each answer rests - packets that switches counted for cells in MONITOR, replay of recorded traffic, sessions and cells
    as switches show them. Which of these exist depends on the kind of enforcement point.
  - The stage stands in C(enforcement.yml), so a promotion is a change of policy. It is given as a patch, or written into the
    document with O(write); review, plan, approval and apply follow as for every change.
  - A stage is never skipped. Going back is always allowed.
  - A cell of the egress matrix takes the weaker stage of its two segments, unless C(cells) of C(enforcement.yml) gives it one of
    its own. Single cells are judged by their own counters and the traffic between their two segments; a cell with a stage of its
    own is no reason against its segments. It loses its entry when it has the stage of its segments, and when one of them goes back.
  - Reads the counters of the switches in the play and keeps them in C(counters) below O(data_dir), so that a schedule collects
    what the gate needs. Writes to no target.
author:
  - Segwright contributors (@segwright)
options:
  data_dir:
    description:
      - Directory where the loop keeps flows, register, counters and results.
    type: path
    default: .microseg
  targets:
    description:
      - Inventory names of the targets and switches. The hosts of the play where not given.
    type: list
    elements: str
  segments:
    description:
      - Segments that shall go on; the task fails where one of them may not. Where not given, all that are not at V(enforce) are
        judged, and one that may not go on is no failure.
    type: list
    elements: str
  cells:
    description:
      - Cells of the egress matrix that shall go on by themselves; the task fails where one of them may not. Where neither O(cells)
        nor O(segments) is given, those with a stage of their own before V(enforce) are judged as well.
    type: list
    elements: dict
    suboptions:
      source:
        description: The segment that sends.
        type: str
        required: true
      destination:
        description: The segment that receives.
        type: str
        required: true
  stage:
    description:
      - The stage that the segments and cells shall have. The next one of each where not given.
    type: str
    choices: [observe, monitor, enforce]
  write:
    description:
      - Whether to write the new stages into C(enforcement.yml), everything else of it left as it is.
    type: bool
    default: false
  window_days:
    description:
      - How many recorded days are replayed. All of them where not given.
    type: int
  engine:
    description:
      - What sums recorded flows.
    type: str
    choices: [duckdb, spark]
  today:
    description:
      - The date, as V(YYYY-MM-DD), at which expiry and counters are judged. Today where not given.
    type: str
extends_documentation_fragment:
  - segwright.microseg.loop.output
  - segwright.microseg.loop.policy
  - segwright.microseg.loop.state
attributes:
  check_mode:
    support: full
    description: Writes no document and keeps no counters in check mode.
  diff_mode:
    support: full
    description: Shows the change of the policy document.
requirements:
  - pyyaml
  - jsonschema
  - duckdb
  - pyarrow
  - numpy
  - netmiko
  - ciscoisesdk
"""

EXAMPLES = r"""
- name: Read counters, and say which segments may go on
  segwright.microseg.policy_promote:
    policy_dir: policies
  run_once: true

- name: Propose to enforce radiology
  segwright.microseg.policy_promote:
    policy_dir: policies
    segments: [imaging_modalities, pacs]
    stage: enforce
    write: true
  run_once: true

- name: Propose to enforce the answers of the archive alone
  segwright.microseg.policy_promote:
    policy_dir: policies
    cells:
      - source: pacs
        destination: imaging_modalities
    stage: enforce
    write: true
  run_once: true
"""

RETURN = r"""
promotions:
  description: For each segment and cell its stages, whether it may go, every check with its reach, and what stands behind it.
  returned: always
  type: list
  elements: dict
patch:
  description: The change of the policy document, for C(git apply).
  returned: always
  type: str
summary:
  description: One sentence.
  returned: always
  type: str
"""
