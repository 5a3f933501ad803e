# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the files of a policy directory are read from: a folder of the disk, or a commit's files in memory."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import read_text, text_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.git import LINK_MODE, CommittedFile

FILE, FOLDER, OTHER = "file", "folder", "other"


class Source(Protocol):
    """Files by their path relative to a policy directory."""

    name: str

    def is_there(self) -> bool:
        """Return whether there is a directory at all."""

    def entries(self, below: str) -> list[tuple[str, str]]:
        """Return (name, kind) of what lies in a folder ("" for the directory itself), sorted by name. OSError where it cannot be read."""

    def text(self, relative: str, limit: int) -> str | None:
        """Return a file's text, None where it is a link or no regular file. OSError or FindingError where it cannot be read."""


class Folder:
    """A policy directory on disk. No link is followed."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self.name = str(root)

    def is_there(self) -> bool:
        """Return whether the folder is there."""
        return self.root.is_dir()

    def entries(self, below: str) -> list[tuple[str, str]]:
        """Return what lies in a folder."""
        with os.scandir(self.root / below) as found:
            return sorted((entry.name, _kind(entry)) for entry in found)

    def text(self, relative: str, limit: int) -> str | None:
        """Return a file's text."""
        path = os.path.join(self.root, relative)
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return None
        return read_text(path, limit)


def _kind(entry: os.DirEntry[str]) -> str:
    if entry.is_symlink():
        return OTHER
    if entry.is_dir(follow_symlinks=False):
        return FOLDER
    return FILE if entry.is_file(follow_symlinks=False) else OTHER


@dataclass(frozen=True)
class _Entry:
    kind: str
    content: bytes


class Committed:
    """A policy directory as a commit has it, out of the files that ``base.git.committed_files`` returned. A link is none of them."""

    def __init__(self, name: str, files: Iterable[CommittedFile]) -> None:
        self.name = name
        self._files: dict[str, _Entry] = {}
        self._folders: dict[str, dict[str, str]] = {"": {}}
        for file in files:
            kind = OTHER if file.mode == LINK_MODE else FILE
            path = file.path.as_posix()
            self._files[path] = _Entry(kind, file.content)
            while True:
                folder, _slash, last = path.rpartition("/")
                self._folders.setdefault(folder, {}).setdefault(last, kind)
                if not folder:
                    break
                path, kind = folder, FOLDER

    def is_there(self) -> bool:
        """Return whether there is a directory: a commit that has none was refused before."""
        return True

    def entries(self, below: str) -> list[tuple[str, str]]:
        """Return what lies in a folder."""
        return sorted(self._folders[below].items())

    def text(self, relative: str, limit: int) -> str | None:
        """Return a file's text."""
        entry = self._files[relative]
        return text_of(entry.content, relative, limit) if entry.kind == FILE else None
