# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was merged since the last approved commit, read out of git with every signature checked.

Each commit that changes the policy directory must carry the signature of a person; the key of a forge counts only on a
merge that git itself would have made of its two parents.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError, Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.git import prefix_of, run_git
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.approval import (
    Approval,
    ApprovalPolicy,
    ChangeStep,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.signatures import (
    SignedCommit,
    TrustedKeys,
    signed_commits,
)

# (paths relative to the policy directory, commit before or empty, commit after) -> (owning teams, highest criticality)
Ownership = Callable[[tuple[str, ...], str, str], tuple[frozenset[str], str]]
# The same to what the change does (policy/change_risk.py).
Risks = Callable[[tuple[str, ...], str, str], frozenset[str]]


@dataclass(frozen=True)
class Merged:
    """The steps since the last approved commit, oldest first, approvals that stand in commits, and what is wrong."""

    steps: tuple[ChangeStep, ...]
    approvals: tuple[Approval, ...]
    findings: tuple[Finding, ...]
    content: str


def merged_changes(
    policy_dir: str | Path,
    base: str,
    head: str,
    keys: TrustedKeys,
    policy: ApprovalPolicy,
    ownership: Ownership,
    risks: Risks = lambda paths, before, after: frozenset(),
) -> Merged:
    """Return what happened to the policy directory from ``base`` (empty: from nothing) to ``head``, both full hashes.

    An approval in git is a commit that its approver signed, with the trailer ``Approved-by: <approver>``; it approves the
    content of the policy directory as of that commit. Raises FindingError SW4003, SW4071.
    """
    reader = _Reader(Path(policy_dir))
    commits = signed_commits(policy_dir, [head, *([f"^{base}"] if base else [])], keys)
    by_id = {item.commit: item for item in commits}
    reader.read_contents({base, head, *by_id, *(parent for item in commits for parent in item.parents)} - {""})
    reader.read_changes(_mainline(head, by_id))
    findings = [finding for item in commits for finding in _signature_findings(reader, item, policy)]
    steps = []
    place = head
    while place in by_id:
        item = by_id[place]
        before = item.parents[0] if item.parents else ""
        paths = reader.changed_paths(before, place)
        if paths:
            brought = _brought(item, by_id)
            authors = {name for one in brought for name in _people(one, reader, policy)}
            keys_used = _keys(brought, reader, policy)
            # What was approved on the branch is what was merged only where nobody edited the merge.
            same = item.parents[1:2] if reader.is_plain_merge(item) else ()
            contents = {reader.content(one) for one in (place, *same)}
            teams, criticality = ownership(paths, before, place)
            classes = risks(paths, before, place)
            people = frozenset(authors)
            steps.append(ChangeStep(place, people, frozenset(contents), teams, criticality, paths, classes, keys_used))
        place = before
    if place != base and reader.content(base) != reader.content(head):
        # The first parents do not lead back to ``base``: an older commit, or a merge whose first parent is. What such a
        # merge leaves out differs from ``base`` and from no first parent, so it is judged as one change of everything.
        before, paths = base, reader.changed_paths(base, head)
        authors = {name for one in commits for name in _people(one, reader, policy)}
        teams, criticality = ownership(paths, before, head)
        contents = {reader.content(head)}
        classes = risks(paths, before, head)
        people, keys_used = frozenset(authors), _keys(commits, reader, policy)
        steps.append(ChangeStep(head, people, frozenset(contents), teams, criticality, paths, classes, keys_used))
    approvals = [
        Approval(item.signer, f"commit {item.commit[:12]}", content=reader.content(item.commit), key=item.fingerprint)
        for item in commits
        if item.signer and item.signer in item.approved_by and item.signer not in policy.forges
    ]
    return Merged(tuple(reversed(steps)), tuple(approvals), tuple(findings), reader.content(head))


def content_of(policy_dir: str | Path, commit: str) -> str:
    """Return the hash of the policy directory's tree in a commit, empty where it is absent: what reviews and approvals name."""
    return _Reader(Path(policy_dir)).content(commit)


def protected_findings(policy_dir: str | Path, commit: str, branch: str) -> list[Finding]:
    """Return a finding where a commit is not on the protected branch (such as origin/main, or a whole name, refs/...).

    Only remote and local branches count: a tag called origin/main, which everyone may push who may push tags, comes first
    in git's own reading of the name (gitrevisions(7)).
    """
    place = Location(str(policy_dir))
    if not branch or branch.startswith("-"):
        return [codes.NOT_PROTECTED.at("no protected branch is named", place)]
    tip = branch_tip(policy_dir, branch)
    if not tip:
        return [
            codes.NOT_PROTECTED.at(f"there is no branch {branch} here", place, "fetch it, or name the right branch")
        ]
    if is_ancestor(policy_dir, commit, tip):
        return []
    return [codes.NOT_PROTECTED.at(f"{commit[:12]} is not on {branch} ({tip[:12]})", place)]


def branch_tip(policy_dir: str | Path, branch: str) -> str:
    """Return the commit of a remote or local branch (or a whole name, refs/...), empty where there is none."""
    if not branch or branch.startswith("-"):
        return ""
    names = [branch] if branch.startswith("refs/") else [f"refs/remotes/{branch}", f"refs/heads/{branch}"]
    return next(filter(None, (_commit_of(policy_dir, name) for name in names)), "")


def is_ancestor(policy_dir: str | Path, commit: str, later: str) -> bool:
    """Return whether a commit is another one or leads to it."""
    done = run_git(policy_dir, ["merge-base", "--is-ancestor", commit, later], codes.GIT_FAILED)
    return done.returncode == 0


def parent_of(policy_dir: str | Path, commit: str) -> str:
    """Return the first parent of a commit, empty where it has none."""
    return _commit_of(policy_dir, f"{commit}^1")


def _commit_of(policy_dir: str | Path, name: str) -> str:
    done = run_git(policy_dir, ["rev-parse", "--verify", "--quiet", f"{name}^{{commit}}"], codes.GIT_FAILED)
    return done.stdout.strip() if done.returncode == 0 else ""


class _Reader:
    """Trees and differences of the policy directory's part of a checkout."""

    def __init__(self, policy_dir: Path) -> None:
        self.policy_dir = policy_dir
        self.prefix = prefix_of(policy_dir)
        self._contents: dict[str, str] = {}
        self._trees: set[str] = set()
        self._changed: dict[tuple[str, str], tuple[str, ...]] = {}
        self._plain: dict[str, bool] = {}

    def read_contents(self, commits: Iterable[str]) -> None:
        """Look up ``content`` of many commits (full hashes) with one run of git. Where one has no such tree it is asked for by itself."""
        wanted = sorted(commits)
        if "\n" in self.prefix or not wanted:
            return
        text = "".join(f"{commit}:{self.prefix}\n" for commit in wanted).encode("utf-8", "surrogateescape")
        words = ["cat-file", "--batch-check=%(objectname) %(objecttype)", "--buffer"]
        done = run_git(self.policy_dir, words, codes.GIT_FAILED, given=text)
        lines = done.stdout.split("\n")
        if done.returncode != 0 or len(lines) != len(wanted) + 1:
            return
        for commit, line in zip(wanted, lines, strict=False):
            name, _blank, kind = line.partition(" ")
            if kind == "tree" and self.is_name(name):
                self._contents[commit] = name
                self._trees.add(name)

    def read_changes(self, commits: Iterable[SignedCommit]) -> None:
        """Look up ``changed_paths`` of many commits from their first parents with one run of git, as far as both hold the directory."""
        pairs = [(item.parents[0], item.commit) for item in commits if item.parents]
        pairs = [pair for pair in pairs if all(self._contents.get(commit) in self._trees for commit in pair)]
        if not pairs:
            return
        # git repeats a line that names no object. No name in a tree can hold this one, so nothing that was committed reads as it.
        mark = f"={secrets.token_hex(16)}\n"
        heads = [f"{self._contents[before]} {self._contents[after]}\n" for before, after in pairs]
        words = ["diff-tree", "--stdin", "-z", "-r", "--name-only", "--no-renames"]
        given = "".join(mark + head for head in heads).encode("ascii")
        done = run_git(self.policy_dir, words, codes.GIT_FAILED, given=given)
        _nothing, *parts = done.stdout.split(mark)
        if done.returncode != 0 or len(parts) != len(pairs):
            return
        for pair, head, part in zip(pairs, heads, parts, strict=True):
            if part.startswith(head):
                self._changed[pair] = tuple(sorted(filter(None, part[len(head) :].split("\0"))))

    @staticmethod
    def is_name(text: str) -> bool:
        """Return whether a text is the full name of an object."""
        return len(text) in (40, 64) and not text.strip("0123456789abcdef")

    def _git(self, *words: str) -> str:
        done = run_git(self.policy_dir, words, codes.GIT_FAILED)
        if done.returncode != 0:
            raise FindingError(
                codes.GIT_FAILED.at(done.stderr.strip()[:300] or words[0], Location(str(self.policy_dir)))
            )
        return done.stdout

    def content(self, commit: str) -> str:
        """Return the hash of the policy directory's tree in a commit, empty where it is absent."""
        if commit not in self._contents:
            where = f"{commit}^{{tree}}" if not self.prefix else f"{commit}:{self.prefix}"
            done = run_git(self.policy_dir, ["rev-parse", "--verify", "--quiet", where], codes.GIT_FAILED)
            self._contents[commit] = done.stdout.strip() if done.returncode == 0 else ""
        return self._contents[commit]

    def changed_paths(self, before: str, after: str) -> tuple[str, ...]:
        """Return the files of the policy directory that differ, relative to it; without ``before`` all that there are."""
        if (before, after) in self._changed:
            return self._changed[before, after]
        options = ["-z", "-r", "--name-only"]
        if before:
            text = self._git("diff-tree", *options, "--no-renames", "--relative", before, after)
        else:
            text = self._git("ls-tree", *options, after)
        return tuple(sorted(filter(None, text.split("\0"))))

    def is_plain_merge(self, item: SignedCommit) -> bool:
        """Return whether a merge holds exactly what git makes of its two parents."""
        if len(item.parents) != 2:
            return False
        if item.commit not in self._plain:
            done = run_git(self.policy_dir, ["merge-tree", "--write-tree", *item.parents], codes.GIT_FAILED)
            same = done.stdout.split("\n", 1)[0].strip() == item.tree
            self._plain[item.commit] = done.returncode == 0 and same
        return self._plain[item.commit]

    def brings_nothing(self, item: SignedCommit) -> bool:
        """Return whether a commit leaves the content of its only parent, or is a plain merge, so that nobody wrote anything in it."""
        if len(item.parents) == 1:
            return self.content(item.commit) == self.content(item.parents[0])
        return self.is_plain_merge(item)


def _signature_findings(reader: _Reader, item: SignedCommit, policy: ApprovalPolicy) -> list[Finding]:
    if len(item.parents) == 1 and reader.content(item.commit) == reader.content(item.parents[0]):
        return []  # it brings nothing to the policy directory; whether it approves is another question
    if item.fault:
        return [codes.UNSIGNED_COMMIT.at(f"commit {item.commit[:12]} by {item.author} {item.fault}")]
    if item.signer not in policy.forges:
        return []
    if len(item.parents) < 2:
        text = f"commit {item.commit[:12]} by {item.author} carries only the forge's key ({item.signer})"
        return [
            codes.UNSIGNED_COMMIT.at(text, hint="merge with a merge commit, so that the people's own signatures stay")
        ]
    if not reader.is_plain_merge(item):
        return [codes.FORGED_MERGE.at(f"merge {item.commit[:12]} signed by {item.signer}")]
    return []


def _people(item: SignedCommit, reader: _Reader, policy: ApprovalPolicy) -> Iterable[str]:
    """Return who wrote something in a commit: whoever signed it, and whom it names as author. An empty commit was written by nobody."""
    if reader.brings_nothing(item):
        return ()
    return {item.author, item.signer} - {"", *policy.forges}


def _keys(commits: Iterable[SignedCommit], reader: _Reader, policy: ApprovalPolicy) -> frozenset[str]:
    """Return the fingerprints of the keys with which people, not forges, signed what they wrote."""
    written = (one for one in commits if one.fingerprint and one.signer not in policy.forges)
    return frozenset(one.fingerprint for one in written if not reader.brings_nothing(one))


def _brought(item: SignedCommit, by_id: dict[str, SignedCommit]) -> list[SignedCommit]:
    """Return a commit on the protected branch and, where it is a merge, all commits that it brought along."""
    found, queue, seen = [item], list(item.parents[1:]), {item.commit}
    mainline = {one.commit for one in _mainline(item.parents[0] if item.parents else "", by_id)}
    reached = _reachable(item.parents[:1], by_id)
    while queue:
        name = queue.pop()
        if name in seen or name not in by_id or name in mainline or name in reached:
            continue
        seen.add(name)
        found.append(by_id[name])
        queue.extend(by_id[name].parents)
    return found


def _mainline(start: str, by_id: dict[str, SignedCommit]) -> list[SignedCommit]:
    """Return a commit and its first parents, newest first, as far as they are known."""
    found = []
    while start in by_id:
        found.append(by_id[start])
        start = found[-1].parents[0] if found[-1].parents else ""
    return found


def _reachable(starts: Iterable[str], by_id: dict[str, SignedCommit]) -> set[str]:
    seen: set[str] = set()
    queue = [name for name in starts if name in by_id]
    while queue:
        name = queue.pop()
        if name not in seen:
            seen.add(name)
            queue.extend(parent for parent in by_id[name].parents if parent in by_id)
    return seen
