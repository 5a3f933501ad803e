# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inputs: the files that paths, folders and patterns name, by content hash, and what kind each is."""

from __future__ import annotations

import glob
import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import sha256_of_file
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError, Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources import collector, registry
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.kind import HEAD, Kind

# What collectors write while it is still growing: not taken from folders (nfcapd(1), Zeek's spool).
GROWING = ("nfcapd.current", "nfpcapd.current")


@dataclass(frozen=True)
class Input:
    """A file to read: its path, SHA-256, size in bytes and kind (``sources/registry.py``), and the time of its last change (nanoseconds
    since 1970)."""

    path: Path
    sha256: str
    size: int
    kind: str
    changed_ns: int = 0

    @property
    def source(self) -> str:
        """Return the first 16 hex digits of the hash, as connections carry it."""
        return self.sha256[:16]

    def stands(self) -> bool:
        """Return whether the file at the path still begins with what was hashed: it may have grown, but not been replaced."""
        try:
            facts = self.path.stat()
            if (facts.st_size, facts.st_mtime_ns) == (self.size, self.changed_ns):
                return True
            return facts.st_size >= self.size and sha256_of_file(self.path, self.size) == self.sha256
        except OSError:
            return False


def expand(
    paths: Iterable[str | Path],
    known: Sequence[Kind] = registry.BUILT_IN,
    settle: float = 0,
    now: Callable[[], float] = time.time,
    own: Path | None = None,
) -> tuple[list[Path], list[Finding]]:
    """Return the files that paths, folders (what is of a kind below them) and patterns name, and a finding for each without.

    With ``settle`` (seconds) of folders and patterns only the files are taken that nobody writes to any more, by the rule for collector
    hosts (``sources/collector.py``): a marker, a later file of the series, or unchanged for so long. What lies in ``own``, the store's
    folder, is no input of a folder around it.
    """
    found: dict[Path, None] = {}
    findings: list[Finding] = []
    for each in paths:
        text = os.path.expanduser(str(each))
        if not text.strip():
            # Taken for the working directory, a variable that nobody set would import all there is.
            findings.append(codes.INPUT_MISSING.at("a path is empty"))
            continue
        path = Path(text)
        if path.is_dir():
            barred: list[str] = []
            files = _below(path, barred, own)
            files = [item for item in _settled(files, settle, now, findings) if _is_input(item, known, barred)]
            if barred:
                text = f"{len(barred)} below it, {Path(barred[0]).relative_to(path)} among them"
                findings.append(codes.INPUT_UNREADABLE.at(text, Location(str(path))))
            if not files and any(each.code == codes.INPUT_GROWING.number for each in findings):
                continue
        elif path.is_file():
            files = [path]
        elif glob.has_magic(text):
            files = sorted(Path(item) for item in glob.glob(text, recursive=True) if os.path.isfile(item))
            files = _settled(files, settle, now, findings)
            if not files and any(each.code == codes.INPUT_GROWING.number for each in findings):
                continue
        else:
            files = []
        if not files:
            findings.append(
                codes.INPUT_MISSING.at("no such file, or nothing of a known kind below it", Location(str(each)))
            )
        found.update(dict.fromkeys(files))
    return list(found), findings


def _below(folder: Path, barred: list[str], own: Path | None) -> list[Path]:
    """Return the files in and below a folder, in order; folders that cannot be looked into go to ``barred``."""
    made = []
    for parent, folders, names in os.walk(folder, onerror=lambda error: barred.append(str(error.filename))):
        if own is not None and own.name in folders and Path(parent, own.name).resolve() == own.resolve():
            folders.remove(own.name)
        made += [Path(parent, name) for name in names if os.path.isfile(os.path.join(parent, name))]
    return sorted(made)


def _settled(files: list[Path], settle: float, now: Callable[[], float], findings: list[Finding]) -> list[Path]:
    """Return the files that are complete; a finding for each folder where some are not yet."""
    if settle <= 0:
        return files
    folders: dict[Path, list[collector.RemoteFile]] = {}
    moment = now()
    for path in files:
        try:
            facts = path.stat()
        except OSError:
            continue
        folders.setdefault(path.parent, []).append(
            collector.RemoteFile(path.name, facts.st_size, moment - facts.st_mtime)
        )
    made = []
    for folder, group in folders.items():
        ready = collector.complete(group, settle)
        made += [folder / each.name for each in ready]
        growing = sorted(
            {each.name for each in group if not each.name.startswith(".") and not each.name.endswith(collector.MARKER)}
            - {each.name for each in ready}
        )
        if growing:
            text = f"{len(growing)} files, {growing[0]} among them"
            findings.append(codes.INPUT_GROWING.at(text, Location(str(folder))))
    return sorted(made)


def identify(path: Path, kind: str = "auto", known: Sequence[Kind] = registry.BUILT_IN) -> Input:
    """Return the input of a file; raises FindingError SW1402 where it is of no kind that is read, SW1401 where it cannot be read."""
    wanted = None if kind == "auto" else registry.named(kind, known)
    try:
        head = _head(path)
        # What is appended while it is hashed belongs to another input.
        facts = path.stat()
        digest = sha256_of_file(path, facts.st_size)
    except OSError as error:
        raise FindingError(codes.INPUT_MISSING.at(error.strerror or "cannot be read", Location(str(path)))) from error
    wanted = wanted or registry.kind_of(path, head, known)
    if wanted is None:
        raise FindingError(codes.INPUT_KIND.at(registry.refusal(head, known), Location(str(path), 1 if head else 0)))
    return Input(path, digest, facts.st_size, wanted.name, facts.st_mtime_ns)


def _head(path: Path) -> bytes:
    with open(path, "rb") as stream:
        return stream.read(HEAD)


def _is_input(path: Path, known: Sequence[Kind], barred: list[str]) -> bool:
    if path.name.startswith((".", *GROWING)):
        return False
    try:
        head = _head(path)
    except OSError:
        barred.append(str(path))
        return False
    return registry.kind_of(path, head, known) is not None or any(
        path.name.lower().endswith(each.suffixes or ("\0",)) for each in known
    )
