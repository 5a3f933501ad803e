# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.action import run_action
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.reauthentication import REAUTHENTICATION
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.rollback import run_rollback

ARGUMENTS: dict[str, dict[str, Any]] = {
    "policy_dir": {"type": "path", "default": "policies"},
    "data_dir": {"type": "path", "default": ".microseg"},
    "output_dir": {"type": "path"},
    "state_dir": {"type": "path"},
    "ring": {"type": "str"},
    "device": {"type": "str"},
    "commit": {"type": "str"},
    "plan_id": {"type": "str"},
    "targets": {"type": "list", "elements": "str"},
    **REAUTHENTICATION,
}


class ActionModule(ActionBase):
    """Undo an applied plan from its journal, or go back to a commit."""

    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the step and return its result."""
        result = super().run(tmp, task_vars)
        variables = task_vars or {}
        result.update(run_action(self, ARGUMENTS, lambda values: run_rollback(values, variables)))
        return result
