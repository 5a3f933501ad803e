# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Journal verification: an auditor's one command, offline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, errors_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import head_of, verify_journal
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.arguments import paths_of


def run_journal_verify(values: dict[str, Any]) -> dict[str, Any]:
    """Return whether a journal is whole, in order and unaltered, and its last entry. Reads only.

    ``number`` and ``sha256``, where given, are of an entry that was noted elsewhere and must stand in the journal.
    """
    path = Path(values["journal"]).expanduser() if values.get("journal") else paths_of(values).journal
    findings: list[Finding] = list(verify_journal(path, values.get("number") or 0, str(values.get("sha256") or "")))
    if not path.exists():
        findings.append(codes.JOURNAL_TRUNCATED.at(f"there is no journal at {path}"))
    bad = errors_of(findings)
    number, digest = (0, "") if bad else head_of(path)
    summary = (
        f"{len(bad)} faults: {bad[0]}"
        if bad
        else f"{number} entries, in order and unaltered; the last is {digest[:16]}"
    )
    answer: dict[str, Any] = {
        "changed": False,
        "ok": not bad,
        "entries": number,
        "sha256": digest,
        "findings": [finding.as_dict() for finding in findings],
        "summary": summary,
    }
    if bad:
        answer |= {"failed": True, "msg": summary, "errors": [finding.as_dict() for finding in bad]}
    return answer
