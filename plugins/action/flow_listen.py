# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.action import run_action
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.steps import run_flow_listen

ARGUMENTS: dict[str, dict[str, Any]] = {
    "address": {"type": "str", "default": "127.0.0.1"},
    "port": {"type": "int", "required": True},
    "sources": {"type": "list", "elements": "str", "required": True},
    "seconds": {"type": "float", "default": 60.0},
    "datagrams": {"type": "int", "default": 0},
    "exporter": {"type": "str"},
    "data_dir": {"type": "path", "default": ".microseg"},
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
    """Listen for flow exports for a bounded time."""

    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the step and return its result."""
        result = super().run(tmp, task_vars)
        result.update(run_action(self, ARGUMENTS, run_flow_listen))
        return result
