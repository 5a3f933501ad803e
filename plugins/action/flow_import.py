# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.action import run_action
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.steps import run_flow_import

ARGUMENTS: dict[str, dict[str, Any]] = {
    "paths": {"type": "list", "elements": "str"},
    "collectors": {
        "type": "list",
        "elements": "dict",
        "options": {
            "host": {"type": "str", "required": True},
            "user": {"type": "str", "required": True},
            "path": {"type": "str", "required": True},
            "pattern": {"type": "str", "default": "*"},
            "port": {"type": "int", "default": 22},
            "private_key_file": {"type": "path"},
            "known_hosts_file": {"type": "path"},
            "settle": {"type": "int", "default": 120},
            "name": {"type": "str"},
        },
    },
    "kind": {"type": "str", "default": "auto"},
    "exporter": {"type": "str"},
    "source_options": {"type": "dict"},
    "source_plugins": {"type": "list", "elements": "str"},
    "threat_lists": {"type": "list", "elements": "str"},
    "data_dir": {"type": "path", "default": ".microseg"},
    "partial": {"type": "bool", "default": False},
    "reorient": {"type": "bool", "default": False},
    "retention_days": {"type": "int", "default": 0},
    "settle": {"type": "int", "default": 0},
    "hints": {
        "type": "list",
        "elements": "dict",
        "options": {
            "address": {"type": "str", "required": True},
            "protocol": {"type": "str", "default": "tcp"},
            "ports": {"type": "str", "required": True},
        },
    },
}


class ActionModule(ActionBase):
    """Import captures of traffic and of flow exports."""

    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the step and return its result."""
        result = super().run(tmp, task_vars)
        result.update(run_action(self, ARGUMENTS, run_flow_import))
        return result
