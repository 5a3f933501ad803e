# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.action import run_action
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.journal_verify import run_journal_verify

ARGUMENTS: dict[str, dict[str, Any]] = {
    "data_dir": {"type": "path", "default": ".microseg"},
    "state_dir": {"type": "path"},
    "journal": {"type": "path"},
    "number": {"type": "int"},
    "sha256": {"type": "str"},
    "evidence": {"type": "path"},
    "pack": {"type": "path"},
    "allowed_signers": {"type": "path"},
    "gpg_keys": {"type": "path"},
}


class ActionModule(ActionBase):
    """Verify a journal offline."""

    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the step and return its result."""
        result = super().run(tmp, task_vars)
        result.update(run_action(self, ARGUMENTS, run_journal_verify))
        return result
