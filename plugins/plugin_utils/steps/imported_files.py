# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Imported rules, services and network sets into a policy directory: first into a copy that is checked, then into the directory itself."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError, errors_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.additions import add_items
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.check import load_checked
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.writer import (
    schema_comment,
    segment_path,
    write_segment,
)

Rules = Mapping[str, Sequence[Mapping[str, Any]]]


@dataclass
class Written:
    """What an import changes: text before and after by file, ids of new rules, and of those that stood or were covered already.

    ``site`` is the policy with the changes, ``gate`` the errors that its documents have then and did not have before.
    """

    files: dict[str, tuple[str, str]] = field(default_factory=dict)
    added: list[str] = field(default_factory=list)
    covered: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    site: Site | None = None
    gate: tuple[Finding, ...] = ()

    def diff(self) -> list[dict[str, str]]:
        """Return the changes as Ansible shows them."""
        return [
            {"before_header": name, "after_header": name, "before": before, "after": after}
            for name, (before, after) in sorted(self.files.items())
        ]


def write_import(
    directory: Path,
    site: Site,
    rules: Rules,
    services: Mapping[str, Any],
    networks: Mapping[str, Any],
    today: date,
    dry_run: bool,
    remove: Mapping[str, Sequence[str]] | None = None,
) -> Written:
    """Write what an import proposes and return the changes; with ``dry_run`` nothing but a temporary copy is touched.

    ``remove`` are ids of rules that go, by client segment. A rule whose id stands, or whose services to the same end are permitted
    already, changes nothing. Raises FindingError where the changed documents could not be read; then nothing was written.
    """
    with tempfile.TemporaryDirectory(prefix="segwright-") as place:
        copy = Path(place) / "policy"
        shutil.copytree(directory, copy, symlinks=True, ignore=shutil.ignore_patterns(".git", "evidence"))
        known = {_key(finding) for finding in errors_of(load_checked(copy, today).findings)}
        made = _write(copy, site, rules, services, networks, remove or {})
        loaded = load_checked(copy, today)
    if loaded.site is None:
        raise FindingError(*errors_of(loaded.findings))
    made.site = loaded.site
    made.gate = tuple(finding for finding in errors_of(loaded.findings) if _key(finding) not in known)
    if not dry_run and made.files:
        _write(directory, site, rules, services, networks, remove or {})
    return made


def _key(finding: Finding) -> tuple[str, str, str]:
    """Return what identifies a finding when lines have moved."""
    return finding.code, finding.file, finding.message


def _write(
    directory: Path,
    site: Site,
    rules: Rules,
    services: Mapping[str, Any],
    networks: Mapping[str, Any],
    remove: Mapping[str, Sequence[str]],
) -> Written:
    made = Written()
    for kind, items in (("services", services), ("networks", networks)):
        addition = add_items(directory, kind, items)
        if addition.changed:
            made.files[f"{kind}.yml"] = (addition.before, addition.after)
    comment = schema_comment(directory)
    for name in sorted({*rules, *remove}):
        allow = rules.get(name, ())
        path = segment_path(directory, site.segments[name].zone, name)
        change = write_segment(
            path, {"segment": name, "allow": list(allow)}, remove=remove.get(name, ()), comment=comment
        )
        made.added += change.rules.added
        made.removed += change.rules.removed
        made.covered += [*change.rules.covered, *change.rules.updated]
        if change.changed:
            made.files[str(path.relative_to(directory))] = (change.before, change.text)
    return made
