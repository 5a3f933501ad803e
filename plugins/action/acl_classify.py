# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.action import run_action
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.classification import classify_result
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.registry import PLATFORMS

ARGUMENTS: dict[str, dict[str, Any]] = {
    "platform": {"type": "str", "required": True, "choices": list(PLATFORMS)},
    "text": {"type": "str", "required": True},
    "name": {"type": "str"},
    "packets": {"type": "list", "elements": "dict"},
    "path": {"type": "path"},
    "dest": {"type": "path"},
}


def _classify(values: dict[str, Any]) -> dict[str, Any]:
    return classify_result(
        values["platform"], values["text"], values["name"] or "", packets=values["packets"] or (), path=values["path"] or "",
        dest=values["dest"] or "", check_mode=values["check_mode"],
    )  # fmt: skip


class ActionModule(ActionBase):
    """Say what an access list decides for given packets, and by which entry."""

    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the answer; at most the file ``dest`` on the controller is written."""
        result = super().run(tmp, task_vars)
        result.update(run_action(self, ARGUMENTS, _classify))
        return result
