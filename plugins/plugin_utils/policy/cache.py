# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was read of policy files before, by their content: a second load parses and checks only the files that changed.

Entries are JSON files in the data directory, never in the policy directory. The name of an entry is the SHA-256 of the
file's text, its kind, the schemas and the code that reads; its first line is the seal of name and rest (``base.seals``). An entry
without this user's seal, or that is none at all, counts as absent and is written again. Nothing in an entry can be executed. Only
documents without any finding are kept, so that every finding is found anew with its place.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.seals import (
    code_sum,
    is_sealed,
    sealed,
    sealing_key,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.yaml_io import Document
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.kept_segments import kept_parts, kept_segment

SUFFIX = ".json"
SUM_LENGTH = 64
SPARE = 1000
# The model of a segment names the lines of its rules and nothing below them (build.py).
DEPTHS = {"segment": 2}
ROOMS = ("base", "policy")


def _reader() -> bytes:
    """Return the sum of all that decides what a text becomes: the schemas and the code that reads, checks and outlines."""
    return code_sum(ROOMS).encode("ascii")


class DocumentCache:
    """Documents that fit their schema, by the content of their files; without a directory it is always empty.

    A directory that cannot be read or written costs time and nothing else.
    """

    def __init__(self, directory: str | Path | None) -> None:
        self.directory = None if directory is None else Path(directory)
        self.used: set[str] = set()
        self._key = b"" if directory is None else sealing_key()

    def get(self, kind: str, text: str, file: str) -> Document | None:
        """Return the document that a text became, under the file's present name; None where it is not known."""
        if self.directory is None:
            return None
        name = self._name(kind, text)
        digest = name.removesuffix(SUFFIX)
        try:
            with open(f"{self.directory}/{name}", "rb", buffering=0) as stream:
                stored = stream.readall()
            body = stored[SUM_LENGTH + 1 :]
            if not is_sealed(name.encode() + body, stored[:SUM_LENGTH].decode("ascii", "replace"), self._key):
                return None
            first, _break, rules = body.partition(b"\n")  # JSON of one line holds no line break
            entry = json.loads(first)
            if rules:
                return kept_segment(file, entry, rules, digest)
            return Document(file, entry["value"], entry["lines"], digest)
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None

    def put(self, kind: str, text: str, document: Document) -> Document:
        """Keep a document that has no finding, and return it with its digest."""
        if self.directory is None:
            return document
        name = self._name(kind, text)
        made = replace(document, digest=name.removesuffix(SUFFIX))
        lines = short_lines(document.lines, DEPTHS.get(kind, 99))
        parts = kept_parts(document, lines) if kind == "segment" else None
        entries = parts or ({"value": document.value, "lines": lines},)
        body = b"\n".join(json.dumps(entry, separators=(",", ":")).encode("ascii") for entry in entries)
        try:
            self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            target = self.directory / name
            # Renamed whole, and not flushed to disk: what a crash leaves fits no sum and is read anew.
            part = target.with_name(f".{target.name}.{os.getpid()}")
            part.write_bytes(sealed(name.encode() + body, self._key).encode("ascii") + b"\n" + body)
            part.replace(target)
        except OSError:
            pass
        return made

    def tidy(self) -> None:
        """Remove entries that this load did not use, where there are many more of them than of the others."""
        if self.directory is None:
            return
        try:
            names = [name for name in os.listdir(self.directory) if name.endswith(SUFFIX)]
            if len(names) > 2 * len(self.used) + SPARE:
                for name in set(names) - self.used:
                    (self.directory / name).unlink(missing_ok=True)
        except OSError:
            return

    def _name(self, kind: str, text: str) -> str:
        found = hashlib.sha256(_reader())
        found.update(kind.encode() + b"\0" + text.encode("utf-8", "surrogatepass"))
        name = found.hexdigest() + SUFFIX
        self.used.add(name)
        return name


def short_lines(lines: dict[str, int], depth: int) -> dict[str, Any]:
    """Return the lines without those that ``Document.location`` finds at the nearest parent anyway, down to a depth."""
    kept: dict[str, int] = {}
    for pointer, line in lines.items():
        if pointer.count("/") > depth:
            continue
        parent = pointer.rpartition("/")[0]
        while pointer and parent not in kept and parent:
            parent = parent.rpartition("/")[0]
        if not pointer or kept.get(parent) != line:
            kept[pointer] = line
    return kept
