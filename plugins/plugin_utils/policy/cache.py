# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was read of policy files before, by their content: a second load parses and checks only the files that changed.

Entries are JSON files in the data directory, never in the policy directory. The name of an entry is the SHA-256 of the
file's text, its kind, the schemas and the code that reads; its first line is the seal of name and rest (``base.seals``). An entry
without this user's seal, or that is none at all, counts as absent and is written again. Nothing in an entry can be executed. Only
documents without any finding are kept, so that every finding is found anew with its place.

Where there are many, they lie together in one file (``BUNDLE``) under one seal, which is read and checked at once; what a change adds lies
beside it until that is much, too.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.seals import (
    are_sealed,
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
BUNDLE = "together"
MOST_ALONE = 200
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
        self._alone: dict[str, bytes] = {}  # bodies of the entries of this load that lie beside the bundle
        self._key = b"" if directory is None else sealing_key()
        self._begun: dict[str, Any] = {}
        self._together: Mapping[str, tuple[Any, memoryview]] = {}
        if self.directory is not None:
            self._together = _read_bundle(self.directory / BUNDLE, self._key)

    def get(self, kind: str, text: str, file: str) -> Document | None:
        """Return the document that a text became, under the file's present name; None where it is not known."""
        if self.directory is None:
            return None
        name = self._name(kind, text)
        digest = name.removesuffix(SUFFIX)
        try:
            found = self._together.get(name)
            if found is not None:
                return _document(file, *found, digest)
            with open(f"{self.directory}/{name}", "rb", buffering=0) as stream:
                stored = stream.readall()
            body = stored[SUM_LENGTH + 1 :]
            if not is_sealed(name.encode() + body, stored[:SUM_LENGTH].decode("ascii", "replace"), self._key):
                return None
            first, _break, rules = body.partition(b"\n")  # JSON of one line holds no line break
            made = _document(file, json.loads(first), rules, digest)
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None
        self._alone[name] = body
        return made

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
        self._alone[name] = body
        with contextlib.suppress(OSError):
            self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            _write(self.directory / name, sealed(name.encode() + body, self._key), body)
        return made

    def tidy(self) -> None:
        """Put entries together where many of this load lie alone; remove those that it did not use, where there are many more of them."""
        if self.directory is None:
            return
        with contextlib.suppress(OSError):
            if len(self._alone) > MOST_ALONE:
                self._bundle(self.directory)
            names = [name for name in os.listdir(self.directory) if name.endswith(SUFFIX)]
            if len(names) > 2 * len(self.used) + SPARE:
                for name in set(names) - self.used:
                    (self.directory / name).unlink(missing_ok=True)
        self._alone.clear()

    def _bundle(self, directory: Path) -> None:
        """Write one file of all entries of this load, and of others of the present one as long as they are not many more."""
        spare = len(self.used) + SPARE
        others = [name for name in self._together if name not in self.used][:spare]
        kept = [name for name in self._together if name in self.used]
        bodies = {name: self._bundled(name) for name in (*others, *kept)} | self._alone
        parts = [(name, *body.partition(b"\n")[::2]) for name, body in sorted(bodies.items())]
        heads = b"{" + b",".join([b'"%b":%b' % (name.encode(), head) for name, head, _rules in parts]) + b"}"
        lengths = " ".join(str(len(rules)) for _name, _head, rules in parts)
        body = b"\n".join((lengths.encode(), heads, b"".join([rules for _name, _head, rules in parts])))
        _write(directory / BUNDLE, sealed(BUNDLE.encode() + b"\n" + body, self._key), body)
        for name in self._alone:
            (directory / name).unlink(missing_ok=True)

    def _bundled(self, name: str) -> bytes:
        head, rules = self._together[name]
        first = json.dumps(head, separators=(",", ":")).encode("ascii")
        return first + b"\n" + bytes(rules) if rules else first

    def _name(self, kind: str, text: str) -> str:
        begun = self._begun.get(kind)
        if begun is None:
            begun = self._begun[kind] = hashlib.sha256(_reader() + kind.encode() + b"\0")
        found = begun.copy()
        found.update(text.encode("utf-8", "surrogatepass"))
        name: str = found.hexdigest() + SUFFIX
        self.used.add(name)
        return name


def _document(file: str, entry: Any, rules: bytes | memoryview, digest: str) -> Document:
    """Return the document of an entry; KeyError, TypeError or ValueError where it is none."""
    if rules:
        return kept_segment(file, entry, rules, digest)
    return Document(file, entry["value"], entry["lines"], digest)


def _write(target: Path, seal: str, body: bytes) -> None:
    # Renamed whole, and not flushed to disk: what a crash leaves fits no sum and is read anew.
    part = target.with_name(f".{target.name}.{os.getpid()}")
    part.write_bytes(seal.encode("ascii") + b"\n" + body)
    part.replace(target)


def _read_bundle(path: Path, key: bytes) -> Mapping[str, tuple[Any, memoryview]]:
    """Return the entries of a bundle by name: what stands in the first line of each, and its rules; none where it is not sealed here.

    After the seal come the lengths of the rules of each entry, the first lines as one JSON object, and the rules.
    """
    try:
        stored = path.read_bytes()
        every = memoryview(stored)
        begin = SUM_LENGTH + 1
        if not are_sealed(
            (BUNDLE.encode() + b"\n", every[begin:]), stored[:SUM_LENGTH].decode("ascii", "replace"), key
        ):
            return {}
        end = stored.index(b"\n", begin)
        start = stored.index(b"\n", end + 1)
        heads = json.loads(stored[end + 1 : start])
        found, place = {}, start + 1
        for (name, head), length in zip(heads.items(), map(int, stored[begin:end].split()), strict=True):
            found[name] = head, every[place : place + length]
            place += length
        return found
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return {}


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
