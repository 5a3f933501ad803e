# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.action import run_action
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.device_fleet import run_device_fleet

ARGUMENTS: dict[str, dict[str, Any]] = {
    "state": {"type": "str", "choices": ["merged", "undone"], "default": "merged"},
    "targets": {"type": "list", "elements": "str"},
    "lists": {"type": "list", "elements": "dict"},
    "lists_variable": {"type": "str", "default": "microseg_device_lists"},
    "adopt": {"type": "bool", "default": False},
    "prune": {"type": "bool", "default": False},
    "workers": {"type": "int", "default": 50},
    "workers_per_site": {"type": "int", "default": 0},
    "interval": {"type": "float", "default": 0.0},
    "site_interval": {"type": "float", "default": 0.0},
    "site_variable": {"type": "str", "default": "microseg_site"},
    "max_failures": {"type": "int", "default": 0},
    "run": {"type": "str"},
    "data_dir": {"type": "path", "default": ".microseg"},
    "output_dir": {"type": "path"},
    "state_dir": {"type": "path"},
}


class ActionModule(ActionBase):
    """Bring the lists of all hosts of a batch to a wanted state by one task."""

    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the action and return its result."""
        result = super().run(tmp, task_vars)
        variables = task_vars or {}
        result.update(run_action(self, ARGUMENTS, lambda values: run_device_fleet(values, variables)))
        return result
