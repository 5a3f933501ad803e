# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.action import run_action
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.steps import run_flow_info

ARGUMENTS: dict[str, dict[str, Any]] = {
    "data_dir": {"type": "path", "default": ".microseg"},
    "since": {"type": "str"},
    "until": {"type": "str"},
    "top": {"type": "int", "default": 10},
    "client": {"type": "str"},
    "server": {"type": "str"},
    "address": {"type": "str"},
    "protocol": {"type": "str"},
    "service": {"type": "str"},
    "device": {"type": "str"},
    "client_device": {"type": "str"},
    "server_device": {"type": "str"},
    "segment": {"type": "str"},
    "client_segment": {"type": "str"},
    "server_segment": {"type": "str"},
    "binding": {"type": "str", "choices": ["bound", "assumed", "unknown", "ambiguous"]},
    "order": {"type": "str", "default": "time", "choices": ["time", "bytes", "flows", "last"]},
    "limit": {"type": "int", "default": 0},
    "bindings": {"type": "bool", "default": False},
    "policy_dir": {"type": "path", "default": "policies"},
    "engine": {"type": "str"},
}


class ActionModule(ActionBase):
    """Return what the flow store holds."""

    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the step and return its result."""
        result = super().run(tmp, task_vars)
        result.update(run_action(self, ARGUMENTS, run_flow_info))
        return result
