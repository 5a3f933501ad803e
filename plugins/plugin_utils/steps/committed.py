# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Policy documents as commits have them, read out of git's objects as far as a question needs; and whether a checkout is its commit."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date
from pathlib import Path, PurePosixPath
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import text_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import (
    Finding,
    FindingError,
    Location,
    errors_of,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.git import (
    COPY_LIMIT_BYTES,
    LINK_MODE,
    blobs_named,
    committed_files,
    listed_files,
    prefix_of,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.yaml_io import parse_yaml
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.change_documents import Approvers, approvers_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.loader import IGNORED_DIRECTORIES, load_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.owners import LOCK
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.schema import schema_findings
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.sources import Committed

APPROVERS = "approvers.yml"


def site_at(policy_dir: Path, commit: str, today: date) -> Site | None:
    """Return the site of a commit, None where it has none that can be read today (the commit is gone, or its format is)."""
    where = ["--full-tree", f"{commit}:{prefix_of(policy_dir)}"]
    try:
        files = committed_files(policy_dir, commit, where, codes.GIT_FAILED, COPY_LIMIT_BYTES, _is_read)
    except FindingError:
        return None
    site = load_site(Committed(commit, files)).site
    return None if site is None else replace(site, as_of=today)


def _is_read(path: PurePosixPath) -> bool:
    return path.parts[0] not in IGNORED_DIRECTORIES


def approvers_at(policy_dir: Path, commit: str) -> Approvers | None:
    """Return approvers.yml of a commit, None where it has none. FindingError where commit or document cannot be read.

    Nothing else of the commit needs to be sound: what has expired or is gone since must not put its approvers aside.
    """
    where = ["--full-tree", f"{commit}:{prefix_of(policy_dir)}", APPROVERS]
    files = committed_files(policy_dir, commit, where, codes.GIT_FAILED, COPY_LIMIT_BYTES)
    held = next((file for file in files if file.path.as_posix() == APPROVERS and file.mode != LINK_MODE), None)
    if held is None:
        return None
    document = parse_yaml(text_of(held.content, APPROVERS), APPROVERS)
    faults = errors_of(schema_findings("approvers", document))
    if faults:
        raise FindingError(*faults)
    return approvers_of(document)


def documents_of(policy_dir: Path, changed: Sequence[str], earlier: str, later: str) -> dict[str, tuple[Any, Any]]:
    """Return what changed documents hold before and after, parsed; their text where it cannot be parsed, None where one is absent."""

    sides = [commit for commit in (earlier, later) if commit]
    prefix = prefix_of(policy_dir)
    at = {commit: f"{commit}:{prefix}/" if prefix else f"{commit}:" for commit in sides}
    names = {(commit, path): f"{at[commit]}{path}" for commit in sides for path in changed}
    contents = dict(zip(names, blobs_named(policy_dir, list(names.values()), codes.GIT_FAILED), strict=True))

    def held(commit: str, path: str) -> Any:
        content = contents.get((commit, path))
        return None if content is None else _parsed(path, content)

    return {path: (held(earlier, path), held(later, path)) for path in changed}


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
        name: file.object_id
        for file in listed_files(policy_dir, commit, codes.GIT_FAILED)
        if file.mode != LINK_MODE and _is_document(name := file.path.as_posix())
    }
    kind = "sha256" if any(len(name) == 64 for name in committed.values()) else "sha1"
    folder = str(policy_dir)
    present = {name: _object_id(f"{folder}/{name}", kind) for name in _present(folder) if _is_document(name)}
    names = sorted(name for name in {*committed, *present} if committed.get(name) != present.get(name))
    if not names:
        return []
    shown = ", ".join(names[:3]) + (" ..." if len(names) > 3 else "")
    return [codes.UNCOMMITTED.at(f"not as in commit {commit[:12]}: {shown}", Location(str(policy_dir)))]


def _present(folder: str) -> Iterator[str]:
    """Yield the regular files of a directory and of the folders in it, as relative POSIX paths."""
    for entry in _listed(folder):
        if entry.is_dir():  # of a linked folder too: what lies in it is in no commit
            yield from (f"{entry.name}/{file.name}" for file in _listed(entry.path) if _is_file(file))
        elif _is_file(entry):
            yield entry.name


def _listed(folder: str) -> list[os.DirEntry[str]]:
    with suppress(OSError), os.scandir(folder) as found:  # what cannot be read is missing, and missed
        return list(found)
    return []


def _is_file(entry: os.DirEntry[str]) -> bool:
    return entry.is_file(follow_symlinks=False)


def _is_document(path: str) -> bool:
    """Return whether the loader reads a file of this path relative to a policy directory."""
    parts = path.split("/")
    if len(parts) > 2 or (not path.endswith(".yml") and path != LOCK):
        return False
    return parts[0] not in IGNORED_DIRECTORIES and not any(part.startswith(".") for part in parts)


def _object_id(path: str, kind: str) -> str:
    with open(path, "rb", buffering=0) as stream:
        content = stream.readall()
    return hashlib.new(kind, b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
