# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run git to read a checkout, without running anything that the checkout's own configuration names."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Code, FindingError, Location

TIMEOUT_SECONDS = 60
COPY_LIMIT_BYTES = 512 * 1024 * 1024
LINK_MODE = "120000"
_OUTSIDE = frozenset(("..", ".git"))


def checkout_of(directory: Path) -> Path:
    """Return the nearest folder at or above the directory that is a git checkout, or the directory itself."""
    for folder in (directory, *directory.parents):
        if (folder / ".git").exists():
            return folder
    return directory


@contextmanager
def committed_copy(directory: str | Path, commit: str, failure: Code) -> Iterator[Path]:
    """Give a temporary copy of a directory as it stands in a commit (a full hash), gone afterwards.

    Read object by object, so that neither filters nor ``export-ignore`` of the commit's own attributes change or hide
    anything. Links become links that lead nowhere outside being read: readers of policy directories follow none. Raises
    FindingError of kind ``failure`` where the commit or the directory in it does not exist, or is larger than COPY_LIMIT_BYTES.
    """
    where = ["--full-tree", f"{commit}:{prefix_of(directory)}"]
    files = committed_files(directory, commit, where, failure, COPY_LIMIT_BYTES)
    with written_copy(files) as root:
        yield root


@contextmanager
def checked_out(directory: str | Path, commit: str, failure: Code) -> Iterator[Path]:
    """Give a directory of a checkout as it stands in another commit, in a worktree of its own with the same refs; gone afterwards.

    Only that directory's files are written, by git's objects and past every filter. The checkout itself is not touched.
    Raises FindingError of kind ``failure`` where the commit is not there or no worktree can be made.
    """
    prefix = prefix_of(directory)
    files = committed_files(directory, commit, ["--full-tree", f"{commit}:{prefix}"], failure, COPY_LIMIT_BYTES)
    with tempfile.TemporaryDirectory(prefix="segwright-commit-") as made:
        root = Path(made) / "checkout"
        try:
            for words in (
                ["worktree", "add", "--no-checkout", "--detach", "--force", str(root), commit],
                ["-C", str(root), "read-tree", commit],
            ):
                done = run_git(directory, words, failure)
                if done.returncode != 0:
                    text = f"{commit[:12]}: {done.stderr.strip()[:200]}"
                    raise FindingError(failure.at(text, Location(str(directory))))
            write_files(root / prefix, files)
            yield root / prefix
        finally:
            run_git(directory, ["worktree", "remove", "--force", str(root)], failure)


@dataclass(frozen=True)
class CommittedFile:
    """One file of a commit: ``mode`` as git has it (120000 for a link, whose target is the content), path below the directory."""

    mode: str
    path: PurePosixPath
    content: bytes


def committed_files(
    directory: str | Path,
    commit: str,
    where: Sequence[str],
    failure: Code,
    limit: int,
    wanted: Callable[[PurePosixPath], bool] = lambda path: True,
) -> list[CommittedFile]:
    """Return the files of a commit with their contents, read from git's objects by two runs of git.

    ``where`` are the words of ``git ls-tree`` that say which, and ``wanted`` which of these. Raises FindingError of kind
    ``failure`` where git cannot list or read them, they hold more than ``limit`` bytes, or a path leads outside.
    """
    listed = [file for file in _listed(directory, commit, where, failure) if wanted(file.path)]
    if sum(file.size for file in listed) > limit:
        raise FindingError(failure.at(f"{commit[:12]} holds more than {limit >> 20} MiB", Location(str(directory))))
    contents = _objects(directory, [file.object_id for file in listed], failure)
    return [CommittedFile(file.mode, file.path, content) for file, content in zip(listed, contents, strict=True)]


@dataclass(frozen=True)
class ListedFile:
    """One file of a commit without its content: mode, path below the directory, git's sum of the content, size in bytes."""

    mode: str
    path: PurePosixPath
    object_id: str
    size: int


def listed_files(directory: str | Path, commit: str, failure: Code) -> list[ListedFile]:
    """Return what a commit (a full hash) holds below a directory of the checkout. FindingError of kind ``failure``."""
    return _listed(directory, commit, ["--full-tree", f"{commit}:{prefix_of(directory)}"], failure)


def _listed(directory: str | Path, commit: str, where: Sequence[str], failure: Code) -> list[ListedFile]:
    place = Location(str(directory))
    listing = run_git(directory, ["ls-tree", "-r", "-z", "-l", *where], failure)
    if listing.returncode != 0:
        raise FindingError(failure.at(f"{commit[:12]}: {listing.stderr.strip()[:200]}", place))
    found = []
    for line in filter(None, listing.stdout.split("\0")):
        head, _tab, name = line.partition("\t")
        mode, kind, object_id, size = head.split()
        if kind != "blob":
            continue
        if name.startswith("/") or not _OUTSIDE.isdisjoint(name.split("/")):
            raise FindingError(failure.at(f"{commit[:12]} holds a path that leads outside", place))
        found.append(ListedFile(mode, PurePosixPath(name), object_id, int(size)))
    return found


@contextmanager
def written_copy(files: Iterable[CommittedFile]) -> Iterator[Path]:
    """Give a temporary folder with files of a commit, gone afterwards. Links become links that lead nowhere."""
    with tempfile.TemporaryDirectory(prefix="segwright-commit-") as made:
        root = Path(made) / "policy"
        write_files(root, files)
        yield root


def write_files(root: Path, files: Iterable[CommittedFile]) -> None:
    """Write files of a commit below a folder. Links become links that lead nowhere."""
    root.mkdir(parents=True, exist_ok=True)
    for file in files:
        target = root.joinpath(*file.path.parts)
        target.parent.mkdir(parents=True, exist_ok=True)
        if file.mode == LINK_MODE:
            target.symlink_to("/nonexistent/link-in-a-commit")
        else:
            target.write_bytes(file.content)


def prefix_of(directory: str | Path) -> str:
    """Return the path of a directory below its checkout, empty for the checkout itself."""
    resolved = Path(directory).resolve()
    prefix = resolved.relative_to(checkout_of(resolved)).as_posix()
    return "" if prefix == "." else prefix


def _objects(directory: str | Path, names: Sequence[str], failure: Code) -> list[bytes]:
    """Return the content of objects, in order, with one run of git."""
    if not names:
        return []
    text = "".join(f"{name}\n" for name in names)
    done = run_git(directory, ["cat-file", "--batch", "--buffer"], failure, given=text.encode("ascii"), seconds=300)
    found, at = [], 0
    data = done.stdout.encode("utf-8", "surrogateescape")
    for name in names:
        end = data.index(b"\n", at)
        words = data[at:end].split()
        if len(words) != 3 or words[0].decode("ascii") != name:
            raise FindingError(failure.at(f"object {name[:12]} cannot be read", Location(str(directory))))
        size = int(words[2])
        found.append(data[end + 1 : end + 1 + size])
        at = end + 2 + size
    return found


def blobs_named(directory: str | Path, names: Sequence[str], failure: Code) -> list[bytes | None]:
    """Return the content of files by git's names for them (``<commit>:<path>``), None where there is no such file.

    Raises FindingError of kind ``failure`` where git cannot read them.
    """
    found: list[bytes | None] = [None] * len(names)
    place = Location(str(directory))
    # A line of the answer to a name of several lines would be read as another name's: those are asked for one by one.
    asked = [at for at, name in enumerate(names) if "\n" not in name]
    for at in sorted({*range(len(names))} - {*asked}):
        done = run_git(directory, ["cat-file", "blob", names[at]], failure)
        found[at] = done.stdout.encode("utf-8", "surrogateescape") if done.returncode == 0 else None
    if not asked:
        return found
    given = "".join(f"{names[at]}\n" for at in asked).encode("utf-8", "surrogateescape")
    done = run_git(directory, ["cat-file", "--batch", "--buffer"], failure, given=given, seconds=300)
    if done.returncode != 0:
        raise FindingError(failure.at(done.stderr.strip()[:200] or "git cat-file failed", place))
    data, start = done.stdout.encode("utf-8", "surrogateescape"), 0
    for at in asked:
        missing = names[at].encode("utf-8", "surrogateescape") + b" missing\n"
        if data.startswith(missing, start):
            start += len(missing)
            continue
        end = data.index(b"\n", start)
        _object, kind, size = data[start:end].split()
        if kind == b"blob":
            found[at] = data[end + 1 : end + 1 + int(size)]
        start = end + 2 + int(size)
    return found


def run_git(
    directory: str | Path,
    words: Sequence[str],
    failure: Code,
    settings: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
    seconds: int = TIMEOUT_SECONDS,
    given: bytes = b"",
) -> subprocess.CompletedProcess[str]:
    """Run git on a checkout whoever owns it (execution environments run as another user than the checkout's).

    No hook, pager, file system monitor or signature program that the repository's configuration names is started:
    settings given here win over it. ``settings`` are configuration values by key, ``environment`` is added to the
    process's own without its GIT variables, ``given`` (ASCII) is what git reads. Raises FindingError of kind ``failure``
    where git is missing or does not end in ``seconds``.
    """
    here = Path(directory).resolve()
    fixed = {
        "safe.directory": str(checkout_of(here)),
        "core.fsmonitor": "false",
        "core.hooksPath": "/dev/null",
        "core.pager": "cat",
        "core.commitGraph": "false",
        "gpg.program": "gpg",
        "gpg.openpgp.program": "gpg",
        "gpg.ssh.program": "ssh-keygen",
        "gpg.x509.program": "false",
        "log.showSignature": "false",
        **(settings or {}),
    }
    options = [word for key, value in fixed.items() for word in ("-c", f"{key}={value}")]
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    inherited.update({"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"})
    # A replaced object, and parents that a file of grafts or a commit graph names, are not what was signed.
    inherited.update({"GIT_NO_REPLACE_OBJECTS": "1", "GIT_GRAFT_FILE": os.devnull, **(environment or {})})
    command = ["git", *options, "--no-pager", "-C", str(here), *words]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            timeout=seconds,
            check=False,
            env=inherited,
            input=given,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise FindingError(failure.at(f"{type(error).__name__}: {error}", Location(str(directory)))) from error
    # Decoded here, since text mode would make other bytes of line ends: a file's content has to come back as it is.
    out, error_text = (text.decode("utf-8", "surrogateescape") for text in (done.stdout, done.stderr))
    return subprocess.CompletedProcess(command, done.returncode, out, error_text)
