# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.action import run_action
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.objects import run_device_policy

ARGUMENTS: dict[str, dict[str, Any]] = {
    "target": {"type": "str"},
    "state": {"type": "str", "choices": ["merged", "rendered", "gathered"], "default": "merged"},
    "name": {"type": "str", "required": True},
    "content": {"type": "str"},
    "interfaces": {"type": "list", "elements": "str"},
    "direction": {"type": "str", "choices": ["in", "out"], "default": "in"},
    "point": {"type": "str", "choices": ["port_acl", "router_acl"]},
    "adopt": {"type": "bool", "default": False},
}


class ActionModule(ActionBase):
    """Bring one list of a switch or firewall to a wanted state."""

    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the action and return its result."""
        result = super().run(tmp, task_vars)
        variables = task_vars or {}
        result.update(run_action(self, ARGUMENTS, lambda values: run_device_policy(values, variables)))
        return result
