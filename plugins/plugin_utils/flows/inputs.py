# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inputs: the files that paths, folders and patterns name, by content hash, and what kind each is."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import sha256_of_file
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError, Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.capture import MAGICS, SECTION
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.export_pcap import holds_exports

KINDS = ("auto", "pcap", "export_pcap")
SUFFIXES = (".pcap", ".pcapng", ".cap", ".dmp")
MAGIC_NUMBERS = (*MAGICS, SECTION.to_bytes(4, "little"))


@dataclass(frozen=True)
class Input:
    """A file to read: its path, SHA-256, size in bytes and kind (``pcap`` or ``export_pcap``)."""

    path: Path
    sha256: str
    size: int
    kind: str

    @property
    def source(self) -> str:
        """Return the first 16 hex digits of the hash, as connections carry it."""
        return self.sha256[:16]


def expand(paths: Iterable[str | Path]) -> tuple[list[Path], list[Finding]]:
    """Return the files that paths, folders (captures below them) and patterns name, in order, and a finding for each that names none."""
    found: dict[Path, None] = {}
    findings = []
    for each in paths:
        text = os.path.expanduser(str(each))
        path = Path(text)
        if path.is_dir():
            files = sorted(item for item in path.rglob("*") if item.is_file() and _looks_like_capture(item))
        elif path.is_file():
            files = [path]
        elif glob.has_magic(text):
            files = sorted(Path(item) for item in glob.glob(text, recursive=True) if os.path.isfile(item))
        else:
            files = []
        if not files:
            findings.append(codes.INPUT_MISSING.at("no such file, or no capture below it", Location(str(each))))
        found.update(dict.fromkeys(files))
    return list(found), findings


def identify(path: Path, kind: str = "auto") -> Input:
    """Return the input of a file; raises FindingError SW1402 where it is of no kind that is read, SW1401 where it cannot be read."""
    if kind not in KINDS:
        raise ValueError(f"unknown kind {kind!r}")
    try:
        with open(path, "rb") as stream:
            magic = stream.read(4)
        size = path.stat().st_size
        digest = sha256_of_file(path)
    except OSError as error:
        raise FindingError(codes.INPUT_MISSING.at(error.strerror or "cannot be read", Location(str(path)))) from error
    if magic not in MAGIC_NUMBERS and size:
        raise FindingError(codes.INPUT_KIND.at("neither pcap nor pcapng", Location(str(path))))
    if kind == "auto":
        kind = "export_pcap" if holds_exports(path) else "pcap"
    return Input(path, digest, size, kind)


def _looks_like_capture(path: Path) -> bool:
    if path.name.startswith("."):
        return False
    if path.suffix.lower() in SUFFIXES:
        return True
    try:
        with open(path, "rb") as stream:
            return stream.read(4) in MAGIC_NUMBERS
    except OSError:
        return False
