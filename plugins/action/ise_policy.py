# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.action import run_action
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.objects import run_ise_policy

ARGUMENTS: dict[str, dict[str, Any]] = {
    "target": {"type": "str"},
    "state": {"type": "str", "choices": ["merged", "rendered", "gathered"], "default": "merged"},
    "adopt": {"type": "bool", "default": False},
    "push": {"type": "bool", "default": True},
    "objects": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "kind": {
                "type": "str",
                "required": True,
                "choices": ["sgt", "sgacl", "downloadable_acl", "authorization_profile", "egress_matrix_cell"],
            },
            "name": {"type": "str"},
            "description": {"type": "str"},
            "value": {"type": "int"},
            "ip_version": {"type": "str", "choices": ["IPV4", "IPV6", "IP_AGNOSTIC"]},
            "dacl_type": {"type": "str", "choices": ["IPV4", "IPV6", "IP_AGNOSTIC"]},
            "content": {"type": "str"},
            "dacl_name": {"type": "str"},
            "source": {"type": "str"},
            "destination": {"type": "str"},
            "status": {"type": "str", "choices": ["DISABLED", "ENABLED", "MONITOR"]},
            "sgacls": {"type": "list", "elements": "str"},
            "default_rule": {"type": "str", "choices": ["NONE", "DENY_IP", "PERMIT_IP"]},
        },
    },
}


class ActionModule(ActionBase):
    """Bring objects of ISE to a wanted state."""

    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the action and return its result."""
        result = super().run(tmp, task_vars)
        variables = task_vars or {}
        result.update(run_action(self, ARGUMENTS, lambda values: run_ise_policy(values, variables)))
        return result
