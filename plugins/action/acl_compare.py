# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.action import run_action
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.checks import compare_result
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.registry import PLATFORMS

SIDE: dict[str, dict[str, Any]] = {
    "platform": {"type": "str", "required": True, "choices": list(PLATFORMS)},
    "text": {"type": "str", "required": True},
    "name": {"type": "str"},
}
ARGUMENTS: dict[str, dict[str, Any]] = {
    "first": {"type": "dict", "required": True, "options": SIDE},
    "second": {"type": "dict", "required": True, "options": SIDE},
}


class ActionModule(ActionBase):
    """Compare the meaning of two access lists."""

    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the answer; nothing is changed and nothing is connected to."""
        result = super().run(tmp, task_vars)
        result.update(run_action(self, ARGUMENTS, lambda values: compare_result(values["first"], values["second"])))
        return result
