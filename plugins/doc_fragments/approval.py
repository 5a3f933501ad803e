# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of what asks for signatures and approvals."""

from __future__ import annotations


class ModuleDocFragment:
    """Parts that modules name under ``extends_documentation_fragment``."""

    DOCUMENTATION = r"""
options:
  allowed_signers:
    description:
      - SSH keys of people, in the format of C(ssh-keygen) allowed signers. Outside the policy checkout.
    type: path
  gpg_keys:
    description:
      - File with exported GPG public keys of people. Outside the policy checkout.
    type: path
  protected_branch:
    description:
      - The protected branch as a git ref. V(origin/main) where not given.
    type: str
  approvals_dir:
    description:
      - Directory with signed approvals and review records. V(approvals) below O(state_dir) where not given.
    type: path
"""
