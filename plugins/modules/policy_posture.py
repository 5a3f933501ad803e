#!/usr/bin/python
# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: policy_posture
short_description: Pull or release a prepared emergency state
version_added: 1.0.0
description:
  - Postures stand in C(postures.yml), compiled and proved with everything else. This pulls or releases them in one command,
    past windows, freezes and approval, with a reason and a person, and shows what each one would cost.
  - Only what is prepared in the policy that was applied last can be pulled. Documents that differ from it are refused, and
    live state that differs where the posture changes nothing is left alone.
  - Without an approval a posture stands for O(minutes). After that it stays, since an isolation never lapses and a
    relaxation asks, but nothing else that holds it is applied until a plan with it was approved. Every report says so first.
  - Never bounces a port and never ends a session.
author:
  - Segwright contributors (@segwright)
options:
  state:
    description:
      - V(listed) says what is prepared and pulled, and with O(cost) what each posture would do to recorded traffic.
      - V(pulled) pulls O(postures), V(released) releases them.
    type: str
    choices: [listed, pulled, released]
    default: listed
  postures:
    description:
      - Names of postures. Others that are pulled stay as they are.
      - A relaxation that asks is answered with V(pulled) and the reason why it is still needed.
    type: list
    elements: str
  reason:
    description:
      - What happened, in one line of at least 10 characters. Needed to pull and to release.
    type: str
  person:
    description:
      - Who decided. Needed to pull and to release.
    type: str
  ticket:
    description:
      - A reference for the record.
    type: str
  minutes:
    description:
      - How long it stands without approval, up to 1440.
    type: int
    default: 240
  cost:
    description:
      - Whether V(listed) replays recorded traffic for each posture. Run it by a nightly schedule.
    type: bool
    default: true
  fail_when_asked:
    description:
      - Whether V(listed) fails where a relaxation asks whether it is still needed, or an emergency stands past its time, so
        that a schedule notices.
    type: bool
    default: true
  window_days:
    description:
      - How many recorded days are replayed. All of them where not given.
    type: int
  engine:
    description:
      - What sums recorded flows.
    type: str
    choices: [duckdb, spark]
  allow_dirty:
    description:
      - Whether uncommitted documents are accepted.
    type: bool
    default: false
  reauthenticate:
    description:
      - Whether sessions that carry an old downloadable ACL are re-authenticated, batch by batch, until one is not well. Only
        Reauth is sent, never a disconnect and never a port bounce. By default they are listed, and take the new list when they
        authenticate again by themselves.
    type: bool
    default: false
  reauth_settle:
    description:
      - Seconds in which a session must be back, authorized, with the same address and the approved list.
    type: float
    default: 60.0
extends_documentation_fragment:
  - segwright.microseg.approval
  - segwright.microseg.loop.data
  - segwright.microseg.loop.output
  - segwright.microseg.loop.policy
  - segwright.microseg.loop.state
  - segwright.microseg.loop.targets
  - segwright.microseg.loop.today
  - segwright.microseg.sessions
attributes:
  check_mode:
    support: full
    description: Writes nothing in check mode.
  diff_mode:
    support: full
    description: Shows the difference of each list.
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
- name: Say what is pulled, and what each posture would cost
  segwright.microseg.policy_posture:
    policy_dir: policies
  run_once: true

- name: Isolate the cameras
  segwright.microseg.policy_posture:
    policy_dir: policies
    state: pulled
    postures: [isolate_cameras]
    reason: The cameras scan the clinical network since 02:10
    person: nina@hospital.example
    ticket: INC-4711
  run_once: true

- name: Release them
  segwright.microseg.policy_posture:
    policy_dir: policies
    state: released
    postures: [isolate_cameras]
    reason: Firmware was replaced on all cameras
    person: nina@hospital.example
  run_once: true
"""

RETURN = r"""
pulled:
  description: What is pulled now, since when, by whom, why, and until when it stands without approval.
  returned: always
  type: list
  elements: dict
prepared:
  description: The postures of the policy.
  returned: with O(state=listed)
  type: list
  elements: dict
costs:
  description: For each posture what it would cut of recorded conversations beyond what is cut without it, and what it would open.
  returned: with O(state=listed)
  type: list
  elements: dict
plan_id:
  description: The plan that was carried out; C(policy_rollback) takes it back as well.
  returned: with O(state=pulled) and O(state=released)
  type: str
completed:
  description: Operations that were carried out.
  returned: with O(state=pulled) and O(state=released)
  type: list
  elements: dict
remaining:
  description: Operations that are left.
  returned: with O(state=pulled) and O(state=released)
  type: list
  elements: dict
writes:
  description: Write requests and configuration lines sent.
  returned: with O(state=pulled) and O(state=released)
  type: int
enforced:
  description: Sessions by state, those that do not carry the posture's list.
  returned: when downloadable ACLs changed or sessions were re-authenticated
  type: dict
reauthentication:
  description: Sessions that were re-authenticated, are held, are not well, or were not begun.
  returned: with O(reauthenticate)
  type: dict
summary:
  description: One sentence.
  returned: always
  type: str
"""
