#!/usr/bin/python
# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: policy_rollback
short_description: Undo an applied plan from its journal, or go back to a commit
version_added: 1.0.0
description:
  - Brings back the earlier state of every object that the plan changed, in reverse order. Needs neither approval
    nor a fresh plan, and is journalled itself.
  - Check mode rehearses it. Targets are read, and the result says for each object whether it would come back, what would result, whether
    that holds what the policy asks, and whether every mix on the way there does. It fails where something would not come back.
author:
  - Segwright contributors (@segwright)
options:
  policy_dir:
    description:
      - Directory with the policy documents. They say only which devices may still carry what is undone.
    type: path
    default: policies
  ring:
    description:
      - Undo only what was carried out with this ring of the plan. All of the plan where not given.
    type: str
  device:
    description:
      - Inventory name of the only target that is brought back. Without O(plan_id) the last plan with a step left there is meant. The rest
        of the network stays as it is.
    type: str
  commit:
    description:
      - Hash, or its first 7 digits or more, of a commit that was in force by the journal. The state that it had then is brought back,
        each object in one undo; with O(device) on that target only. Goes with neither O(plan_id) nor O(ring).
      - Refused before anything is written where the journal does not lead there, where somebody changed an object in between or since,
        and where other postures were pulled then.
    type: str
  plan_id:
    description:
      - The plan to undo. The last applied one where not given.
    type: str
  reauthenticate:
    description:
      - Whether sessions that do not carry a restored downloadable ACL yet are re-authenticated, batch by batch, until one is not well. Only
        Reauth is sent, never a disconnect and never a port bounce. By default they are listed, and take the restored list when they
        authenticate again by themselves.
    type: bool
    default: false
  reauth_settle:
    description:
      - Seconds in which a session must be back, authorized, with the same address and the restored list.
    type: float
    default: 60.0
extends_documentation_fragment:
  - segwright.microseg.loop.data
  - segwright.microseg.loop.output
  - segwright.microseg.loop.state
  - segwright.microseg.loop.targets
  - segwright.microseg.sessions
attributes:
  check_mode:
    support: full
    description: Writes no target and no policy in check mode.
  diff_mode:
    support: full
    description: Shows the difference where there is one.
requirements:
  - pyyaml
  - jsonschema
  - netmiko
  - ciscoisesdk
"""

EXAMPLES = r"""
- name: Roll back the last plan
  segwright.microseg.policy_rollback:
    state_dir: /var/lib/segwright/state
  run_once: true

- name: Rehearse it first, what would result and whether it is reached
  segwright.microseg.policy_rollback:
    state_dir: /var/lib/segwright/state
  run_once: true
  check_mode: true
  diff: true

- name: Bring back one switch only
  segwright.microseg.policy_rollback:
    state_dir: /var/lib/segwright/state
    device: acc2
  run_once: true

- name: Bring back the state of a commit that was in force
  segwright.microseg.policy_rollback:
    state_dir: /var/lib/segwright/state
    commit: 3f2a91c04d5e
  run_once: true
"""

RETURN = r"""
enforced:
  description: Sessions by state, and those that do not carry the restored lists yet.
  returned: when downloadable ACLs were restored
  type: dict
reauthentication:
  description: Sessions that were re-authenticated, are held, are not well, or were not begun.
  returned: with O(reauthenticate)
  type: dict
plan_id:
  description: The plan that was undone.
  returned: always
  type: str
reachable:
  description: Whether every object would come back.
  returned: in check mode
  type: bool
objects:
  description: Each object with the outcome of its undo, and why it would not come back.
  returned: in check mode
  type: list
  elements: dict
proof:
  description: >-
    Of the state that results and of the way there; whether it equals the commit (C(equals_commit)), what is cut and opened (C(effect)),
    whether every mix is safe (C(rollout)), which guardrails and workflows would hold no longer (C(no_longer_holds)).
  returned: in check mode
  type: dict
postures:
  description: Postures that are C(released) or C(pulled) again, since the plan that is undone had pulled or released them.
  returned: always
  type: dict
rings:
  description: Rings of the plans concerned with their state after the rollback.
  returned: always
  type: list
  elements: dict
remaining:
  description: Operations that could not be undone; in check mode those that would be.
  returned: always
  type: list
  elements: dict
undone:
  description: Operations that were undone.
  returned: always
  type: list
  elements: dict
summary:
  description: One sentence.
  returned: always
  type: str
"""
