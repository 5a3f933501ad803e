# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.action import run_action
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.mud.exporting import ORIGINS
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.policy_export import run_export

ARGUMENTS: dict[str, dict[str, Any]] = {
    "policy_dir": {"type": "path", "default": "policies"},
    "segment": {"type": "str", "required": True},
    "dest": {"type": "path", "required": True},
    "mud_url": {"type": "str", "required": True},
    "bindings": {"type": "dict"},
    "origins": {"type": "list", "elements": "str", "default": list(ORIGINS), "choices": list(ORIGINS)},
    "systeminfo": {"type": "str"},
    "manufacturer": {"type": "str"},
    "model": {"type": "str"},
    "last_update": {"type": "str"},
}


class ActionModule(ActionBase):
    """Export a segment's rules as a MUD file."""

    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the step and return its result."""
        result = super().run(tmp, task_vars)
        result.update(run_action(self, ARGUMENTS, run_export))
        return result
