# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.action import run_action
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.apply import run_apply
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.enforced import REREADING
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.reauthentication import REAUTHENTICATION

ARGUMENTS: dict[str, dict[str, Any]] = {
    "policy_dir": {"type": "path", "default": "policies"},
    "data_dir": {"type": "path", "default": ".microseg"},
    "output_dir": {"type": "path"},
    "state_dir": {"type": "path"},
    "plan": {"type": "path"},
    "plan_id": {"type": "str"},
    "postures": {"type": "list", "elements": "str"},
    "plan_parts": {"type": "dict"},
    "ring": {"type": "str"},
    "ring_blind": {"type": "bool", "default": False},
    "wait": {"type": "bool", "default": False},
    "prune": {"type": "bool", "default": False},
    "engine": {"type": "str"},
    "targets": {"type": "list", "elements": "str"},
    "allow_dirty": {"type": "bool", "default": False},
    "allowed_signers": {"type": "path"},
    "gpg_keys": {"type": "path"},
    "protected_branch": {"type": "str"},
    "approvals_dir": {"type": "path"},
    **REAUTHENTICATION,
    **REREADING,
    "today": {"type": "str"},
}


class ActionModule(ActionBase):
    """Apply an approved plan."""

    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the step and return its result."""
        result = super().run(tmp, task_vars)
        variables = task_vars or {}
        result.update(run_action(self, ARGUMENTS, lambda values: run_apply(values, variables)))
        return result
