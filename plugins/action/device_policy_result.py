# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.action import run_action
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.device_fleet import run_device_result

ARGUMENTS: dict[str, dict[str, Any]] = {
    "run": {"type": "str", "required": True},
    "data_dir": {"type": "path", "default": ".microseg"},
    "output_dir": {"type": "path"},
}


class ActionModule(ActionBase):
    """Return one host's own result of a fleet's task."""

    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the action and return its result."""
        result = super().run(tmp, task_vars)
        variables = task_vars or {}
        result.update(run_action(self, ARGUMENTS, lambda values: run_device_result(values, variables)))
        return result
