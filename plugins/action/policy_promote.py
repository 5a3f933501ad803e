# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.action import run_action
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.promote import run_promote

ARGUMENTS: dict[str, dict[str, Any]] = {
    "policy_dir": {"type": "path", "default": "policies"},
    "data_dir": {"type": "path", "default": ".microseg"},
    "output_dir": {"type": "path"},
    "state_dir": {"type": "path"},
    "targets": {"type": "list", "elements": "str"},
    "segments": {"type": "list", "elements": "str"},
    "cells": {
        "type": "list",
        "elements": "dict",
        "options": {
            "source": {"type": "str", "required": True},
            "destination": {"type": "str", "required": True},
        },
    },
    "stage": {"type": "str", "choices": ["observe", "monitor", "enforce"]},
    "write": {"type": "bool", "default": False},
    "window_days": {"type": "int"},
    "engine": {"type": "str", "choices": ["duckdb", "spark"]},
    "today": {"type": "str"},
}


class ActionModule(ActionBase):
    """Say whether segments and cells may go to their next stage, and propose the change of policy."""

    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the step and return its result."""
        result = super().run(tmp, task_vars)
        variables = task_vars or {}
        result.update(run_action(self, ARGUMENTS, lambda values: run_promote(values, variables)))
        return result
