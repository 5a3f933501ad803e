# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CODEOWNERS from the owners of zones and segments, so that the forge asks the same people as apply does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import write_atomic
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError, errors_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.git import prefix_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.check import load_checked
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.owners import codeowners
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.arguments import paths_of, today_of


def run_codeowners(values: dict[str, Any]) -> dict[str, Any]:
    """Return whether CODEOWNERS changed; writes it unless in check mode."""
    policy = paths_of(values).policy
    loaded = load_checked(policy, today_of(values))
    errors = errors_of(loaded.findings)
    if errors or loaded.site is None:
        raise FindingError(*errors)
    if loaded.site.approvers is None:
        raise FindingError(codes.BAD_ARGUMENT.at("the policy directory has no approvers.yml, so nobody owns anything"))
    prefix = values.get("prefix")
    try:
        text = codeowners(loaded.site, prefix_of(policy) if prefix is None else str(prefix))
    except ValueError as error:
        raise FindingError(codes.BAD_ARGUMENT.at(f"prefix: {error}")) from error
    path = Path(values["path"]).expanduser()
    before = path.read_text(encoding="utf-8") if path.is_file() else ""
    if before != text and not values["check_mode"]:
        write_atomic(path, text)
    answer: dict[str, Any] = {"changed": before != text, "path": str(path), "content": text}
    if values["diff_mode"] and before != text:
        answer["diff"] = {"before": before, "after": text, "before_header": str(path), "after_header": str(path)}
    return answer
