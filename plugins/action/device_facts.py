# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.action import run_action
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.device_facts import run_device_facts

ARGUMENTS: dict[str, dict[str, Any]] = {
    "data_dir": {"type": "path", "default": ".microseg"},
    "targets": {"type": "list", "elements": "str"},
    "workers": {"type": "int", "default": 16},
    "connect_timeout": {"type": "float", "default": 30.0},
    "command_timeout": {"type": "float", "default": 60.0},
    "baseline_dir": {"type": "path"},
    "allowed_signers": {"type": "path"},
    "strict": {"type": "bool", "default": False},
}


class ActionModule(ActionBase):
    """Read facts of devices from ISE and switches."""

    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the step and return its result."""
        result = super().run(tmp, task_vars)
        variables = task_vars or {}
        result.update(run_action(self, ARGUMENTS, lambda values: run_device_facts(values, variables)))
        return result
