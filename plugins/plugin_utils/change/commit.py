# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The policy directory's commit and whether its documents differ from it, read with git."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import sha256_of, sha256_of_file
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError, Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.git import run_git
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes

DIRTY = "dirty:"
_COMMIT = re.compile(r"\A[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")


def _git(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return run_git(directory, words, codes.GIT_FAILED)


def commit_of(policy_dir: str | Path) -> tuple[str, bool]:
    """Return (commit, dirty) of the directory that holds the policy.

    The commit is the full hash of the checkout's HEAD, or empty where the directory is in no git checkout or has no commit yet.
    Dirty says whether a document below the directory is changed, new or missing against that commit.
    FindingError SW4003 where git is missing or fails.
    """
    directory = Path(policy_dir)
    if not directory.is_dir():
        return "", False
    head = _git(directory, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    commit = head.stdout.strip()
    if head.returncode != 0 or not _COMMIT.match(commit):
        return "", False
    status = _git(
        directory, "status", "--porcelain=v1", "-z", "--untracked-files=all", "--ignore-submodules=none", "--", "."
    )
    if status.returncode != 0:
        raise FindingError(
            codes.GIT_FAILED.at(status.stderr.strip()[:300] or "git status failed", Location(str(directory)))
        )
    return commit, bool(status.stdout)


def content_hash(policy_dir: str | Path) -> str:
    """Return the SHA-256 over names and contents of all files below the directory, without hidden ones."""
    directory = Path(policy_dir)
    files = {}
    for path in sorted(directory.rglob("*")):
        parts = path.relative_to(directory).parts
        if path.is_file() and not any(part.startswith(".") for part in parts):
            files["/".join(parts)] = sha256_of_file(path)
    return sha256_of(files)


def required_commit(policy_dir: str | Path, allow_dirty: bool = False) -> str:
    """Return the commit id that a plan is bound to.

    Uncommitted documents are refused (SW4001, SW4002) unless ``allow_dirty``; then the id is ``dirty:`` and the content hash.
    """
    commit, dirty = commit_of(policy_dir)
    if commit and not dirty:
        return commit
    if allow_dirty:
        return DIRTY + content_hash(policy_dir)
    location = Location(str(policy_dir))
    if not commit:
        raise FindingError(codes.NO_COMMIT.at("the directory is in no git checkout with a commit", location))
    raise FindingError(codes.UNCOMMITTED.at(f"documents differ from commit {commit[:12]}", location))
