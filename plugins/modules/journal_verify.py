#!/usr/bin/python
# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: journal_verify
short_description: Verify a journal offline
version_added: 1.0.0
description:
  - Reads the journal of apply and rollback and says whether it is whole, in order and unaltered. Needs no network and no policy.
  - Who can rewrite the whole state directory can rewrite the chain; give O(number) and O(sha256) of an entry that was noted
    elsewhere to rule that out.
author:
  - Segwright contributors (@segwright)
options:
  journal:
    description:
      - The journal. V(journal.jsonl) below O(state_dir) where not given.
    type: path
  number:
    description:
      - Number of an entry that was noted elsewhere.
    type: int
  sha256:
    description:
      - Hash of that entry.
    type: str
  evidence:
    description:
      - Where to write the evidence pack of the state directory for an auditor. Only where the journal holds.
    type: path
  pack:
    description:
      - An evidence pack to judge instead of a journal. Needs nothing else, but for the auditor's own O(allowed_signers).
    type: path
  allowed_signers:
    description:
      - SSH keys of people, in the format of C(ssh-keygen) allowed signers. Whose signature counts in O(pack).
    type: path
  gpg_keys:
    description:
      - File with exported GPG public keys of people. As O(allowed_signers).
    type: path
extends_documentation_fragment:
  - segwright.microseg.loop.data
  - segwright.microseg.loop.state
attributes:
  check_mode:
    support: full
    description: Writes no evidence pack in check mode.
  diff_mode:
    support: none
    description: Changes nothing, so there is no difference.
requirements:
  - pyyaml
  - jsonschema
"""

EXAMPLES = r"""
- name: Verify the record
  segwright.microseg.journal_verify:
    journal: /var/lib/segwright/state/journal.jsonl
  delegate_to: localhost
  run_once: true

- name: Hand the evidence to an auditor
  segwright.microseg.journal_verify:
    state_dir: /var/lib/segwright/state
    evidence: /srv/audit/segwright-2026-11.zip
  delegate_to: localhost
  run_once: true

- name: What the auditor does, anywhere
  segwright.microseg.journal_verify:
    pack: segwright-2026-11.zip
    allowed_signers: allowed_signers
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
evidence_sha256:
  description: Sum of the evidence pack that was written or judged, empty where there is none.
  returned: always
  type: str
runs:
  description: Each run of the record - what was planned, who agreed, what was sent, what was read back and when.
  returned: with O(pack)
  type: list
  elements: dict
signed:
  description:
    - Approvers whose signature on a file of the pack holds.
    - Whoever signed a review record stands there with C(, for others), since the people in it signed nothing themselves.
  returned: with O(pack)
  type: list
  elements: str
ok:
  description: Whether nothing is wrong.
  returned: always
  type: bool
entries:
  description: Number of entries.
  returned: always
  type: int
sha256:
  description: Hash of the last entry.
  returned: always
  type: str
summary:
  description: One sentence.
  returned: always
  type: str
"""
