# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.action import run_action
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.ise_export import run_ise_export

ARGUMENTS: dict[str, dict[str, Any]] = {
    "policy_dir": {"type": "path", "required": True},
    "data_dir": {"type": "path", "default": ".microseg"},
    "output_dir": {"type": "path"},
    "target": {"type": "str"},
    "src": {"type": "path"},
    "site": {"type": "str", "default": "site"},
    "time_zone": {"type": "str", "default": "Etc/UTC"},
    "zone": {"type": "str", "default": "existing"},
    "subnets": {"type": "list", "elements": "str"},
    "owner": {"type": "str", "default": "to-be-named"},
    "today": {"type": "str"},
}


class ActionModule(ActionBase):
    """Write a live ISE as a policy directory for review."""

    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the step and return its result."""
        result = super().run(tmp, task_vars)
        variables = task_vars or {}
        result.update(run_action(self, ARGUMENTS, lambda values: run_ise_export(values, variables)))
        return result
