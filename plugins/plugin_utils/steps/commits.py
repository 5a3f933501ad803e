# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A policy directory as it was in a commit, and who changed a line last; the checkout is only read.

Files come from git's objects as they were committed: no checkout, no hook, no filter, nothing that the repository's configuration
or attributes name is run. Links and whatever is no plain file are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from difflib import SequenceMatcher
from pathlib import Path, PurePosixPath

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import (
    FindingError,
    Location,
    errors_of,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.git import (
    committed_files,
    run_git,
    written_copy,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.cache import ListCache
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.compile import compile_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.check import load_checked
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.effective import effective_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.rollout import State
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps import codes

REVISION = re.compile(r"\A[A-Za-z0-9][A-Za-z0-9._/@{}~^-]{0,199}\Z")
COMMIT = re.compile(r"\A[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")
_BLAME = re.compile(r"\A\^?([0-9a-f]{40}(?:[0-9a-f]{24})?) \d+ \d+")
PLAIN_FILES = ("100644", "100755")
MOST_BYTES = 256 << 20
MOST_BLAMED = 4 << 20


def commit_named(policy_dir: Path, revision: str) -> str:
    """Return the full hash of a commit named by hash, branch, tag or ``HEAD~1``; FindingError SW4610 where there is none such."""
    place = Location(str(policy_dir))
    if not REVISION.match(revision) or ".." in revision:
        raise FindingError(codes.NO_SUCH_COMMIT.at(f"{revision[:80]!r} names no commit", place))
    done = run_git(
        policy_dir,
        ["rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"],
        codes.NO_SUCH_COMMIT,
    )
    commit = done.stdout.strip()
    if done.returncode or not COMMIT.match(commit):
        raise FindingError(codes.NO_SUCH_COMMIT.at(f"{revision[:80]!r} names no commit", place))
    return commit


@contextmanager
def directory_at(policy_dir: Path, commit: str) -> Iterator[Path]:
    """Yield a temporary folder with the policy directory's files as they were in a commit (a full hash); it is removed afterwards."""
    found = committed_files(policy_dir, commit, [commit, "--", "."], codes.COMMIT_UNREADABLE, MOST_BYTES)
    with written_copy(file for file in found if file.mode in PLAIN_FILES) as root:
        yield root


def state_at(
    policy_dir: Path, revision: str, today: date, documents: Path | None = None, lists: ListCache | None = None
) -> tuple[str, State]:
    """Return the commit and the compiled policy of a revision; FindingError with its errors where the documents were not sound.

    ``documents`` and ``lists`` are the caches of documents and lists: most of what the commit holds is what the working tree holds.
    """
    commit = commit_named(policy_dir, revision)
    with directory_at(policy_dir, commit) as folder:
        loaded = load_checked(folder, today, cache=documents)
        errors = errors_of(loaded.findings)
        if loaded.site is None or errors:
            first = str(errors[0]) if errors else "nothing could be read"
            text = f"the documents of {commit[:12]} are not sound, so nothing is compared with them: {first}"
            raise FindingError(codes.COMMIT_UNSOUND.at(text, Location(str(policy_dir))))
        site = loaded.site
        return commit, State(effective_site(site), compile_site(site, cache=lists).lists)


def last_commit_of(policy_dir: Path, location: Location, commit: str = "") -> str:
    """Return the commit that changed a line of a document last, empty where it is not committed or cannot be told.

    Git is asked about commits only: for a file of the working tree it would run the filters that the repository's configuration names.
    A line of the working tree (no ``commit``) is found again in the last commit by comparing the two texts.
    """
    name = PurePosixPath(location.file)
    if not location.file or location.line < 1 or name.is_absolute() or ".." in name.parts:
        return ""
    line = location.line if commit else _committed_line(policy_dir, name, location.line)
    words = ["blame", "--porcelain", "--no-textconv", "-L", f"{line},{line}", commit or "HEAD", "--", str(name)]
    done = run_git(policy_dir, words, codes.COMMIT_UNREADABLE) if line else None
    found = _BLAME.match(done.stdout) if done is not None and done.returncode == 0 else None
    return found[1] if found else ""


def _committed_line(policy_dir: Path, name: PurePosixPath, line: int) -> int:
    """Return the line's number in the last commit, 0 where it stands there not or otherwise."""
    path = policy_dir.joinpath(*name.parts)
    done = run_git(policy_dir, ["cat-file", "blob", f"HEAD:./{name}"], codes.COMMIT_UNREADABLE)
    if done.returncode or not path.is_file() or path.is_symlink() or path.stat().st_size > MOST_BLAMED:
        return 0
    old, new = done.stdout.splitlines(), path.read_text(encoding="utf-8", errors="replace").splitlines()
    if line > len(new):
        return 0
    for block in SequenceMatcher(None, new, old, autojunk=False).get_matching_blocks():
        if block.a < line <= block.a + block.size:
            return block.b + line - block.a
    return 0
