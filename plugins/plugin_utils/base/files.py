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
from collections.abc import Iterable
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


def sha256_of_file(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes as 64 lower-case hex digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
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
    write_atomic(path, json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n", mode)


def read_text(path: str | Path, limit_bytes: int = JSON_LIMIT_BYTES) -> str:
    """Return a file's text; FindingError SW0002 where it is absent, unreadable, too large or not UTF-8."""
    location = Location(str(path))
    try:
        if os.path.getsize(path) > limit_bytes:
            raise FindingError(codes.YAML_LIMIT.at(f"the file is larger than {limit_bytes} bytes", location))
        return Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise FindingError(codes.FILE_UNREADABLE.at(f"the file is not UTF-8 (byte {error.start})", location)) from error
    except OSError as error:
        raise FindingError(codes.FILE_UNREADABLE.at(error.strerror or "cannot be read", location)) from error


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
