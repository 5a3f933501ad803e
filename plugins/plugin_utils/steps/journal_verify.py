# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Journal verification: an auditor's one command, offline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import sha256_of_file
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, errors_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.evidence import read_pack, write_pack
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import head_of, verify_journal
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.signatures import TrustedKeys
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.arguments import paths_of


def run_journal_verify(values: dict[str, Any]) -> dict[str, Any]:
    """Return whether a journal is whole, in order and unaltered, and its last entry. Reads only.

    ``number`` and ``sha256``, where given, are of an entry that was noted elsewhere and must stand in the journal.
    """
    if values.get("pack"):
        return _pack(values)
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
    written = ""
    if values.get("evidence") and not bad:
        summary, written = _written(values, summary)
    answer: dict[str, Any] = {
        "changed": bool(written),
        "ok": not bad,
        "evidence_sha256": written,
        "entries": number,
        "sha256": digest,
        "findings": [finding.as_dict() for finding in findings],
        "summary": summary,
    }
    if bad:
        answer |= {"failed": True, "msg": summary, "errors": [finding.as_dict() for finding in bad]}
    return answer


def _written(values: dict[str, Any], summary: str) -> tuple[str, str]:
    """Write the evidence pack; in check mode nothing. Returns the sentence and the pack's sum."""
    target = Path(values["evidence"]).expanduser()
    if values["check_mode"]:
        return f"{summary}; the pack would be {target}", ""
    digest = write_pack(paths_of(values).state, target)
    return f"{summary}; pack {target.name} has SHA-256 {digest}", digest


def _pack(values: dict[str, Any]) -> dict[str, Any]:
    """Judge an evidence pack, with the auditor's own file of keys. Needs no state directory, no policy and no network."""
    keys = TrustedKeys(str(values.get("allowed_signers") or ""), str(values.get("gpg_keys") or ""))
    path = Path(values["pack"]).expanduser()
    found = read_pack(path, keys, values.get("number") or 0, str(values.get("sha256") or ""))
    bad = errors_of(found.findings)
    runs = [dict(run) for run in found.runs]
    done = sum(1 for run in runs if run["outcome"] == "done")
    summary = (
        f"{len(bad)} faults: {bad[0]}"
        if bad
        else f"{found.entries} entries, in order and unaltered; {done} of {len(runs)} runs were completed;"
        f" signatures that hold: {', '.join(found.signed) or 'none'}"
    )
    answer: dict[str, Any] = {
        "changed": False,
        "ok": not bad,
        "evidence_sha256": sha256_of_file(path),
        "entries": found.entries,
        "sha256": found.sha256,
        "runs": runs,
        "signed": list(found.signed),
        "findings": [finding.as_dict() for finding in found.findings],
        "summary": summary,
    }
    if bad:
        answer |= {"failed": True, "msg": summary, "errors": [finding.as_dict() for finding in bad]}
    return answer
