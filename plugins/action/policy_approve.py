# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.action import run_action
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.approve import run_approve

ARGUMENTS: dict[str, dict[str, Any]] = {
    "policy_dir": {"type": "path", "default": "policies"},
    "data_dir": {"type": "path", "default": ".microseg"},
    "state_dir": {"type": "path"},
    "plan": {"type": "path"},
    "approver": {"type": "str", "required": True},
    "comment": {"type": "str"},
    "review": {"type": "path"},
    "people": {"type": "dict"},
    "forge": {"type": "str", "choices": ["github", "gitlab"]},
    "sign_key": {"type": "path"},
    "approvals_dir": {"type": "path"},
}


class ActionModule(ActionBase):
    """Write one approval of a plan, to be signed."""

    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the step and return its result."""
        result = super().run(tmp, task_vars)
        result.update(run_action(self, ARGUMENTS, run_approve))
        return result
