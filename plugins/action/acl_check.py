# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.action import run_action
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.budget import budget_names
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.checks import check_result
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.registry import PLATFORMS

ARGUMENTS: dict[str, dict[str, Any]] = {
    "platform": {"type": "str", "required": True, "choices": list(PLATFORMS)},
    "text": {"type": "str", "required": True},
    "name": {"type": "str"},
    "budget": {"type": "str", "choices": list(budget_names())},
    "old_text": {"type": "str"},
    "in_use": {"type": "int"},
    "copies": {"type": "int", "default": 1},
    "removable": {"type": "bool", "default": True},
    "replies": {
        "type": "dict",
        "options": {
            "text": {"type": "str", "required": True},
            "platform": {"type": "str", "choices": list(PLATFORMS)},
            "name": {"type": "str"},
            "client_ports": {"type": "str"},
        },
    },
}


def _check(values: dict[str, Any]) -> dict[str, Any]:
    return check_result(
        values["platform"], values["text"], values["name"] or "", values["budget"] or "", values["removable"],
        old_text=values["old_text"] or "", in_use=values["in_use"] or 0, copies=values["copies"], replies=values["replies"],
    )  # fmt: skip


class ActionModule(ActionBase):
    """Find entries without effect and hold a list against a budget."""

    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the answer; nothing is changed and nothing is connected to."""
        result = super().run(tmp, task_vars)
        result.update(run_action(self, ARGUMENTS, _check))
        return result
