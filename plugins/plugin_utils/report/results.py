# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The common head of every step's JSON result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.clock import iso_now
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, sorted_findings

RESULT_SCHEMA = "1.0"
COLLECTION_VERSION = "1.0.0-dev.1"


def result(kind: str, findings: Iterable[Finding], policy_commit: str = "", **content: Any) -> dict[str, Any]:
    """Return a step's result: head, errors, warnings and content (docs/formats/results.md).

    ``ok`` is false where any finding is an error.
    """
    ordered = sorted_findings(findings)
    errors = [finding.as_dict() for finding in ordered if finding.severity == "error"]
    warnings = [finding.as_dict() for finding in ordered if finding.severity != "error"]
    head: Mapping[str, Any] = {
        "kind": kind,
        "schema_version": RESULT_SCHEMA,
        "collection_version": COLLECTION_VERSION,
        "policy_commit": policy_commit,
        "generated_at": iso_now(),
        "ok": not errors,
        "errors": errors,
        "warnings": warnings,
    }
    return {**head, **content}
