# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Atomic files and canonical JSON.

Every file that one step hands to the next is written beside its final place and renamed, so that a reader never sees
half of it, and carries ``kind`` and ``schema_version`` (docs/formats/).
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError, Location

JSON_LIMIT_BYTES = 512 * 1024 * 1024


def canonical_json(value: Any) -> str:
    """Return JSON with sorted keys and no blanks: equal values give equal text on every machine."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def sha256_of(value: Any) -> str:
    """Return the SHA-256 of a text, bytes or JSON value (canonical form) as 64 lower-case hex digits."""
    if isinstance(value, bytes):
        data = value
    elif isinstance(value, str):
        data = value.encode("utf-8")
    else:
        data = canonical_json(value).encode("utf-8")
    return hashlib.sha256(data).hexdigest()


def sha256_of_file(path: str | Path, octets: int | None = None) -> str:
    """Return the SHA-256 of a file's bytes, or of its first ``octets``, as 64 lower-case hex digits."""
    with open(path, "rb") as stream:
        if octets is None:
            return hashlib.file_digest(stream, "sha256").hexdigest()
        digest, left = hashlib.sha256(), octets
        while block := stream.read(min(left, 1 << 20)):
            digest.update(block)
            left -= len(block)
    return digest.hexdigest()


def write_atomic(path: str | Path, data: str | bytes, mode: int = 0o644) -> None:
    """Write a whole file or nothing: temporary file in the same directory, flushed to disk, then renamed."""
    write_parts_atomic(path, (data,), mode)


def write_parts_atomic(path: str | Path, parts: Iterable[str | bytes], mode: int = 0o644) -> None:
    """As ``write_atomic`` for parts one after another, which are never in memory together."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            for part in parts:
                stream.write(part.encode("utf-8") if isinstance(part, str) else part)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(name, mode)
        os.replace(name, target)
    except BaseException:
        if os.path.exists(name):
            os.unlink(name)
        raise


def write_json(path: str | Path, value: Any, mode: int = 0o644) -> None:
    """Write readable JSON (indented, sorted keys, final newline) atomically."""
    write_atomic(path, indented_json(value) + "\n", mode)


def indented_json(value: Any) -> str:
    """Return JSON with sorted keys, two blanks for each level and other letters as they are.

    The same text as ``json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)``. Python writes indented JSON slowly; a report of
    a large site holds tens of thousands of rows: each list or mapping of plain values is left to the encoder that is written in C.
    """
    parts: list[str] = []
    _indented(value, 1, parts)
    return "".join(parts)


_PLAIN = frozenset((str, int, float, bool, type(None)))
_TEXT = frozenset((str,))


@lru_cache(maxsize=128)
def _encoder(depth: int) -> json.JSONEncoder:
    """Return the encoder of the plain values of a container at a depth."""
    return json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",\n" + "  " * depth, ": "))


def _indented(value: Any, depth: int, parts: list[str]) -> None:
    if not isinstance(value, (dict, list, tuple)) or not value:
        parts.append(json.dumps(value, ensure_ascii=False))
        return
    inner, outer = "\n" + "  " * depth, "\n" + "  " * (depth - 1)
    items = value.values() if isinstance(value, dict) else value
    if _PLAIN.issuperset(map(type, items)):
        text = _encoder(depth).encode(value)
        parts += (text[0], inner, text[1:-1], outer, text[-1])
        return
    if not isinstance(value, dict) and all(map(_is_flat, value)):
        parts.append(_rows(value, depth))
        return
    first = True
    for item in sorted(value.items()) if isinstance(value, dict) else value:
        parts.append(("{" if isinstance(value, dict) else "[") + inner if first else "," + inner)
        first = False
        if isinstance(value, dict):
            key, item = item
            if not isinstance(key, (str, int, float, type(None))):
                raise TypeError(f"keys must be str, int, float, bool or None, not {type(key).__name__}")
            parts.append(json.dumps(key if isinstance(key, str) else json.dumps(key), ensure_ascii=False) + ": ")
        _indented(item, depth + 1, parts)
    parts.append(outer + ("}" if isinstance(value, dict) else "]"))


def _is_flat(value: Any) -> bool:
    """Return whether a value is a mapping from texts to plain values, of at least one."""
    return (
        isinstance(value, dict)
        and bool(value)
        and _PLAIN.issuperset(map(type, value.values()))
        and _TEXT.issuperset(map(type, value))
    )


def _rows(rows: Sequence[Mapping[str, Any]], depth: int) -> str:
    """Return a list of flat mappings, written at once: no line break stands inside a text as itself, so each is between two items."""
    inner, outer = "\n" + "  " * (depth + 1), "\n" + "  " * depth
    between = f"{outer}}},{outer}{{{inner}"
    text = _ROWS.encode(rows)[2:-2].replace("}\n{", "\r").replace("\n", "," + inner).replace("\r", between)
    return f"[{outer}{{{inner}{text}{outer}}}\n{'  ' * (depth - 1)}]"


_ROWS = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=("\n", ": "))


def read_text(path: str | Path, limit_bytes: int = JSON_LIMIT_BYTES) -> str:
    """Return a file's text; FindingError SW0002 where it is absent, unreadable, too large or not UTF-8."""
    try:
        with open(path, "rb", buffering=0) as stream:
            if os.fstat(stream.fileno()).st_size > limit_bytes:
                raise _too_large(limit_bytes, str(path))
            content = stream.readall()
    except OSError as error:
        text = error.strerror or "cannot be read"
        raise FindingError(codes.FILE_UNREADABLE.at(text, Location(str(path)))) from error
    return text_of(content, str(path))


def text_of(content: bytes, name: str, limit_bytes: int = JSON_LIMIT_BYTES) -> str:
    """Return the text of a file's content, as ``read_text`` does; ``name`` is what findings call it."""
    if len(content) > limit_bytes:
        raise _too_large(limit_bytes, name)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        reason = f"the file is not UTF-8 (byte {error.start})"
        raise FindingError(codes.FILE_UNREADABLE.at(reason, Location(name))) from error
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def _too_large(limit_bytes: int, name: str) -> FindingError:
    return FindingError(codes.YAML_LIMIT.at(f"the file is larger than {limit_bytes} bytes", Location(name)))


def read_json(path: str | Path) -> Any:
    """Return the JSON value of a file; FindingError with file and line where it cannot be read."""
    text = read_text(path)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError: also integers of too many digits
        line = getattr(error, "lineno", 0)
        raise FindingError(codes.JSON_SYNTAX.at(str(error), Location(str(path), line))) from error


def read_document(path: str | Path, kind: str, major: int) -> dict[str, Any]:
    """Return a JSON document after checking its ``kind`` and the major number of its ``schema_version``.

    Raises FindingError SW0007 for a newer major version, SW0008 for another kind.
    """
    value = read_json(path)
    location = Location(str(path))
    if not isinstance(value, dict) or value.get("kind") != kind:
        found = value.get("kind") if isinstance(value, dict) else type(value).__name__
        raise FindingError(codes.FORMAT_KIND.at(f"expected a {kind} document, found {found!r}", location))
    version = str(value.get("schema_version", ""))
    number = version.split(".", maxsplit=1)[0]
    if not number.isdigit():
        raise FindingError(codes.FORMAT_VERSION.at(f"{kind} document without a readable schema_version", location))
    if int(number) > major:
        text = f"{kind} document of schema version {version}; this version reads up to major {major}"
        raise FindingError(codes.FORMAT_VERSION.at(text, location))
    return value
