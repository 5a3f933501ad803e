# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the loop's files lie (docs/architecture.md, data directories)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.git import run_git
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.state_ref import StateRef
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps import codes


@dataclass(frozen=True)
class Paths:
    """The directories of one run."""

    policy: Path
    data: Path
    output: Path
    state: Path
    rules: tuple[Path, ...] = ()

    @classmethod
    def of(
        cls,
        policy_dir: str,
        data_dir: str,
        output_dir: str = "",
        state_dir: str = "",
        rules: Iterable[str] = (),
        way_back: bool = False,
    ) -> Paths:
        """Return the directories, with ``<data>/out`` and ``<data>/state`` where none are given.

        A state that is a git ref is fetched into a directory below ``<data>``. FindingError SW4044, SW4045; for a way back what was
        fetched before is enough where the ref cannot be reached.
        """
        data = Path(data_dir).expanduser()
        ref = StateRef.of(state_dir, data) if state_dir else None
        if ref is not None:
            try:
                ref.fetch()
            except FindingError as error:
                if not way_back:
                    raise
                ref.go_by_copy(error)
            state_dir = str(ref.mirror)
        return cls(
            Path(policy_dir).expanduser(),
            data,
            Path(output_dir).expanduser() if output_dir else data / "out",
            Path(state_dir).expanduser() if state_dir else data / "state",
            tuple(Path(item).expanduser() for item in rules),
        )

    @property
    def list_cache(self) -> Path | None:
        """Return where proved lists are known by content between runs, None for nowhere; it may be deleted at any time."""
        return None if _from_git(self.data / "cache") else self.data / "cache" / "lists.json"

    @property
    def policy_cache(self) -> Path | None:
        """Return where policy documents are kept by content between runs, None for nowhere; it may be deleted at any time."""
        return None if _from_git(self.data / "cache") else self.data / "cache" / "policy"

    @property
    def register(self) -> Path:
        """Return the register's file."""
        return self.data / "register" / "register.json"

    @property
    def counters(self) -> Path:
        """Return where readings of the egress matrix' counters are kept, one file a day."""
        return self.data / "counters"

    @property
    def plan(self) -> Path:
        """Return where ``plan`` writes and ``apply`` reads unless told otherwise."""
        return self.state / "plan.json"

    @property
    def journal(self) -> Path:
        """Return the journal's file."""
        return self.state / "journal.jsonl"


def _from_git(directory: Path) -> bool:
    """Return whether git tracks anything below a directory: a cache that a pull request brought could say that its policy is sound."""
    if not directory.is_dir():
        return False
    try:
        done = run_git(directory, ["ls-files", "-z", "--", "."], codes.COMMIT_UNREADABLE)
    except FindingError:
        return True
    return done.returncode == 0 and bool(done.stdout)
