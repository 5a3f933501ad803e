# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Policy documents as commits have them, read out of git's objects as far as a question needs; and whether a checkout is its commit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import date
from pathlib import Path, PurePosixPath
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import read_text
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import (
    Finding,
    FindingError,
    Location,
    errors_of,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.git import (
    COPY_LIMIT_BYTES,
    LINK_MODE,
    committed_copy,
    committed_files,
    listed_files,
    prefix_of,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.yaml_io import parse_yaml
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.change_documents import Approvers, approvers_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.check import load_checked
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.loader import IGNORED_DIRECTORIES
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.owners import LOCK
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.schema import schema_findings


def site_at(policy_dir: Path, commit: str, today: date) -> Site | None:
    """Return the site of a commit, None where it has none that can be read today (the commit is gone, or its format is)."""
    try:
        with committed_copy(policy_dir, commit, codes.GIT_FAILED) as copy:
            return load_checked(copy, today).site
    except FindingError:
        return None


def approvers_at(policy_dir: Path, commit: str) -> Approvers | None:
    """Return approvers.yml of a commit, None where it has none. FindingError where commit or document cannot be read.

    Nothing else of the commit needs to be sound: what has expired or is gone since must not put its approvers aside.
    """
    with committed_copy(policy_dir, commit, codes.GIT_FAILED) as copy:
        path = copy / "approvers.yml"
        if not path.is_file() or path.is_symlink():
            return None
        document = parse_yaml(read_text(path), path.name)
    faults = errors_of(schema_findings("approvers", document))
    if faults:
        raise FindingError(*faults)
    return approvers_of(document)


def documents_of(policy_dir: Path, changed: Sequence[str], earlier: str, later: str) -> dict[str, tuple[Any, Any]]:
    """Return what changed documents hold before and after, parsed; their text where it cannot be parsed, None where one is absent."""

    def held(commit: str) -> dict[str, Any]:
        if not commit:
            return {}
        where = ["--full-tree", f"{commit}:{prefix_of(policy_dir)}"]
        files = committed_files(policy_dir, commit, where, codes.GIT_FAILED, COPY_LIMIT_BYTES)
        return {path: _parsed(path, file.content) for file in files if (path := file.path.as_posix()) in wanted}

    wanted = frozenset(changed)
    before, after = held(earlier), held(later)
    return {path: (before.get(path), after.get(path)) for path in changed}


def _parsed(path: str, content: bytes) -> Any:
    text = content.decode("utf-8", "replace")
    try:
        return parse_yaml(text, path).value if path.endswith(".yml") else text
    except FindingError:
        return text


def moved_segments(policy_dir: Path, earlier: str, later: str) -> tuple[str, ...]:
    """Return the segments whose members differ between two commits."""
    first, second = (lock_segments(policy_dir, commit) if commit else {} for commit in (earlier, later))
    return tuple(sorted(name for name in {*first, *second} if first.get(name) != second.get(name)))


def lock_segments(policy_dir: Path, commit: str) -> dict[str, Any]:
    """Return the segments of a commit's lock, empty where it has none that can be read."""
    where = ["--full-tree", f"{commit}:{prefix_of(policy_dir)}", LOCK]
    try:
        files = committed_files(policy_dir, commit, where, codes.GIT_FAILED, COPY_LIMIT_BYTES)
        segments = json.loads(files[0].content)["segments"] if files else {}
    except (FindingError, ValueError, KeyError, TypeError, RecursionError):
        return {}
    return segments if isinstance(segments, dict) else {}


def uncommitted(policy_dir: Path, commit: str) -> list[Finding]:
    """Return a finding where the documents that were read are not those of the commit, by git's own sums of their contents.

    ``git status`` leaves out what .gitignore names, what the index marks as unchanged, and what a filter puts right.
    """
    committed = {
        file.path.as_posix(): file.object_id
        for file in listed_files(policy_dir, commit, codes.GIT_FAILED)
        if file.mode != LINK_MODE and _is_document(file.path)
    }
    kind = "sha256" if any(len(name) == 64 for name in committed.values()) else "sha1"
    present = {
        path.relative_to(policy_dir).as_posix(): _object_id(path, kind)
        for path in (*policy_dir.glob("*"), *policy_dir.glob("*/*"))
        if _is_document(PurePosixPath(path.relative_to(policy_dir).as_posix()))
        and not path.is_symlink()
        and path.is_file()
    }
    names = sorted(name for name in {*committed, *present} if committed.get(name) != present.get(name))
    if not names:
        return []
    shown = ", ".join(names[:3]) + (" ..." if len(names) > 3 else "")
    return [codes.UNCOMMITTED.at(f"not as in commit {commit[:12]}: {shown}", Location(str(policy_dir)))]


def _is_document(path: PurePosixPath) -> bool:
    """Return whether the loader reads a file of this name below a policy directory."""
    if len(path.parts) > 2 or (path.suffix != ".yml" and path.as_posix() != LOCK):
        return False
    return path.parts[0] not in IGNORED_DIRECTORIES and not any(part.startswith(".") for part in path.parts)


def _object_id(path: Path, kind: str) -> str:
    content = path.read_bytes()
    return hashlib.new(kind, b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
