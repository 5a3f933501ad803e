# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A proposal as a branch of small commits, or as patches; the working tree stays as it is.

Commits are made from git's own objects with an index of their own, so that neither files nor the user's index nor HEAD are touched. No
hook of the checkout runs (base/git.py). Nothing is pushed.
"""

from __future__ import annotations

import difflib
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError, Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.git import prefix_of, run_git
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn import codes

TRAILER = "Segwright-Proposal"
NAME = "segwright/propose"
FORMAT = "2"


@dataclass(frozen=True)
class Part:
    """One commit or patch: its name for a file, its message, and texts before and after by path below the policy directory."""

    name: str
    message: str
    files: Mapping[str, tuple[str, str]]


@dataclass(frozen=True)
class Branch:
    """A branch as it stands: its name, last commit and the commit it begins at; ``changed`` says whether this run moved it."""

    name: str
    commit: str
    base: str
    commits: int
    changed: bool


class Checkout:
    """The git checkout of a policy directory."""

    def __init__(self, policy: Path) -> None:
        self.policy = policy

    def git(self, *words: str, given: bytes = b"", environment: Mapping[str, str] | None = None) -> str:
        """Run git and return what it prints, without the last newline; FindingError SW3235 where it fails."""
        done = run_git(self.policy, words, codes.GIT_FAILED, environment=environment, given=given)
        if done.returncode:
            text = done.stderr.strip()[:300] or f"git {words[0]} failed"
            raise FindingError(codes.GIT_FAILED.at(text, Location(str(self.policy))))
        return done.stdout.removesuffix("\n")

    def maybe(self, *words: str) -> str:
        """Run git and return what it prints, empty where it fails."""
        done = run_git(self.policy, words, codes.GIT_FAILED)
        return done.stdout.strip() if done.returncode == 0 else ""

    def required_head(self) -> str:
        """Return the commit to begin at; a finding for each thing that stands in the way of a branch."""
        place = Location(str(self.policy))
        if not self.maybe("rev-parse", "--git-dir"):
            raise FindingError(codes.NO_CHECKOUT.at("the policy directory is in no git checkout", place))
        head = self.maybe("rev-parse", "--verify", "--quiet", "HEAD^{commit}")
        if not head:
            raise FindingError(codes.NO_CHECKOUT.at("the checkout has no commit yet", place))
        if not self.maybe("symbolic-ref", "--quiet", "HEAD"):
            raise FindingError(codes.DETACHED.at(f"HEAD is commit {head[:12]} and no branch", place))
        status = self.git("status", "--porcelain=v1", "-z", "--untracked-files=all", "--", ".")
        dirty = [entry[3:] for entry in status.split("\0") if len(entry) > 3]
        if dirty:
            more = f" and {len(dirty) - 3} more" if len(dirty) > 3 else ""
            raise FindingError(codes.DIRTY.at(f"{', '.join(dirty[:3])}{more} differ from the commit", place))
        ident = run_git(self.policy, ["var", "GIT_COMMITTER_IDENT"], codes.GIT_FAILED, {"user.useConfigOnly": "true"})
        if ident.returncode:
            raise FindingError(codes.NO_IDENTITY.at("git knows no name and mail address to commit with", place))
        return head

    def write_branch(self, name: str, parts: Sequence[Part]) -> Branch:
        """Make the branch anew from HEAD with one commit for each part, and return it.

        Nothing moves where the branch holds the same already. FindingError SW3230 to SW3235: no checkout, a dirty or detached one,
        no identity, a name that is none or the one checked out, commits of people on the branch.
        """
        head = self.required_head()
        if not self.maybe("check-ref-format", "--branch", name):
            raise FindingError(codes.BRANCH_TAKEN.at(f"{name[:80]!r} is no name for a branch"))
        reference = f"refs/heads/{name}"
        if self.maybe("symbolic-ref", "--quiet", "HEAD") == reference:
            raise FindingError(codes.BRANCH_TAKEN.at(f"{name} is checked out; proposals need a branch of their own"))
        elsewhere = self.git("worktree", "list", "--porcelain").split("\n")
        if f"branch {reference}" in elsewhere:
            raise FindingError(
                codes.BRANCH_TAKEN.at(f"{name} is checked out in another worktree, which would be pulled away")
            )
        standing = self.maybe("rev-parse", "--verify", "--quiet", f"{reference}^{{commit}}")
        if standing:
            self._required_ours(name, standing, head)
        commit, made = self._commits(head, parts)
        if standing and made:
            same_tree = self.git("rev-parse", f"{standing}^{{tree}}") == self.git("rev-parse", f"{commit}^{{tree}}")
            if same_tree and self.git("merge-base", standing, head) == head:
                return Branch(name, standing, head, made, False)
        if not made:
            return Branch(name, standing, head, 0, False)
        self.git("update-ref", "-m", "proposal", reference, commit, standing or "0" * len(commit))
        return Branch(name, commit, head, made, True)

    def _required_ours(self, name: str, standing: str, head: str) -> None:
        form = f"--format=%H %T %(trailers:key={TRAILER},valueonly,separator=%x2C)"
        text = self.git("log", form, f"{head}..{standing}")
        for line in filter(None, text.split("\n")):
            commit, tree, value = line.split(" ", maxsplit=2)
            if value.strip() != f"{FORMAT} {tree}":
                raise FindingError(
                    codes.BRANCH_TAKEN.at(
                        f"{name} holds commit {commit[:12]}, which is no proposal's: merge it, or name another branch"
                    )
                )

    def _commits(self, head: str, parts: Sequence[Part]) -> tuple[str, int]:
        prefix = prefix_of(self.policy)
        made = 0
        with tempfile.TemporaryDirectory(prefix="segwright-index-") as folder:
            environment = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
            self.git("read-tree", head, environment=environment)
            tree, commit = self.git("rev-parse", f"{head}^{{tree}}"), head
            for part in parts:
                entries = []
                for path, (_before, after) in sorted(part.files.items()):
                    content = self._as_stored(path, after)
                    name = self.git("hash-object", "-w", "--stdin", given=content)
                    entries.append(f"100644 {name}\t{prefix}/{path}" if prefix else f"100644 {name}\t{path}")
                given = "".join(f"{entry}\0" for entry in entries).encode("utf-8")
                self.git("update-index", "-z", "--add", "--index-info", given=given, environment=environment)
                after_tree = self.git("write-tree", environment=environment)
                if after_tree == tree:
                    continue
                # With the tree, so that a commit which somebody amended is told from one of ours.
                message = f"{part.message.rstrip()}\n\n{TRAILER}: {FORMAT} {after_tree}\n".encode()
                commit, tree = self.git("commit-tree", after_tree, "-p", commit, "-F", "-", given=message), after_tree
                made += 1
        return commit, made

    def _as_stored(self, path: str, text: str) -> bytes:
        """Return a file's new bytes, with the line ends that the file has."""
        target = self.policy / path
        if target.exists() and b"\r\n" in target.read_bytes():
            text = text.replace("\n", "\r\n")
        return text.encode("utf-8")


def patch_texts(parts: Sequence[Part], prefix: str) -> dict[str, str]:
    """Return the parts as patches for ``git apply``, by file name; ``prefix`` is the policy directory's path in its checkout."""
    made = {}
    for number, part in enumerate(parts, 1):
        text = "".join(
            _patch(f"{prefix}/{path}" if prefix else path, *texts) for path, texts in sorted(part.files.items())
        )
        made[f"{number:04}-{part.name}.patch"] = f"{part.message.rstrip()}\n---\n{text}"
    return made


def _patch(path: str, before: str, after: str) -> str:
    head = f"diff --git a/{path} b/{path}\n" + ("" if before else "new file mode 100644\n")
    lines = difflib.unified_diff(
        before.splitlines(keepends=True),
        after.splitlines(keepends=True),
        f"a/{path}" if before else "/dev/null",
        f"b/{path}",
    )
    return head + "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)
