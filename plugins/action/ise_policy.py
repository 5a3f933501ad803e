# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.action import run_action
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.ise_policy import run_ise_policy

ARGUMENTS: dict[str, dict[str, Any]] = {
    "target": {"type": "str"},
    "state": {
        "type": "str",
        "choices": ["merged", "present", "absent", "rendered", "gathered"],
        "default": "merged",
    },
    "adopt": {"type": "bool", "default": False},
    "prune": {"type": "bool", "default": False},
    "cascade": {"type": "list", "elements": "str"},
    "push": {"type": "bool", "default": True},
    "state_dir": {"type": "path"},
    "objects": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "kind": {
                "type": "str",
                "required": True,
                "choices": [
                    "sgt",
                    "sgacl",
                    "downloadable_acl",
                    "authorization_profile",
                    "endpoint_group",
                    "anc_policy",
                    "ip_sgt_mapping",
                    "egress_matrix_cell",
                    "matrix_cell",
                    "authorization_rule",
                    "endpoint",
                ],
            },
            "name": {"type": "str"},
            "description": {"type": "str"},
            "adopt": {"type": "bool"},
            "value": {"type": "int"},
            "ip_version": {"type": "str", "choices": ["IPV4", "IPV6", "IP_AGNOSTIC"]},
            "dacl_type": {"type": "str", "choices": ["IPV4", "IPV6", "IP_AGNOSTIC"]},
            "content": {"type": "str"},
            "dacl_name": {"type": "str"},
            "ipv6_dacl_name": {"type": "str"},
            "access_type": {"type": "str", "choices": ["ACCESS_ACCEPT", "ACCESS_REJECT"]},
            "parent": {"type": "str"},
            "actions": {"type": "list", "elements": "str"},
            "allow_port_actions": {"type": "bool"},
            "host": {"type": "str"},
            "sgt": {"type": "str"},
            "deploy_type": {"type": "str", "choices": ["ALL", "ND", "NDG"]},
            "deploy_to": {"type": "str"},
            "policy_set": {"type": "str"},
            "rule_state": {"type": "str", "choices": ["enabled", "disabled", "monitor"]},
            "condition": {"type": "dict"},
            "profiles": {"type": "list", "elements": "str"},
            "security_group": {"type": "str"},
            "before": {"type": "str"},
            "group": {"type": "str"},
            "matrix": {"type": "str"},
            "source": {"type": "str"},
            "destination": {"type": "str"},
            "status": {"type": "str", "choices": ["DISABLED", "ENABLED", "MONITOR"]},
            "sgacls": {"type": "list", "elements": "str"},
            "default_rule": {"type": "str", "choices": ["NONE", "DENY_IP", "PERMIT_IP"]},
        },
    },
}


class ActionModule(ActionBase):
    """Bring objects of ISE to a wanted state, or remove them."""

    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the action and return its result."""
        result = super().run(tmp, task_vars)
        variables = task_vars or {}
        result.update(run_action(self, ARGUMENTS, lambda values: run_ise_policy(values, variables)))
        return result
