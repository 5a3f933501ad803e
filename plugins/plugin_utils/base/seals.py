# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Seals of caches: what a cache says is believed only where this user, or who holds the secret of the pipeline, wrote it.

A cache holds verdicts ("this list was proved"). Who can write the data directory must not make a gate say them, so each cache file
carries an HMAC-SHA-256 (RFC 2104) by a key that lies elsewhere: the variable SEGWRIGHT_CACHE_KEY, else a file of the user's own
(``$XDG_STATE_HOME/segwright/cache.key``, by default below ``~/.local/state``), made at the first use. Where there is neither, a key of this
process is used, and nothing from before is believed: that costs time and nothing else.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import stat
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

KEY_VARIABLE = "SEGWRIGHT_CACHE_KEY"
LEAST_CHARACTERS = 32
KEY_BYTES = 32


def sealing_key() -> bytes:
    """Return the key of this user or pipeline, for who seals or looks at many bodies in a row."""
    return _key(os.environ.get(KEY_VARIABLE, ""), _key_file())


def sealed(body: bytes, key: bytes | None = None) -> str:
    """Return the seal of a body: 64 hexadecimal digits. ``key``: that of ``sealing_key``."""
    return hmac.digest(sealing_key() if key is None else key, body, "sha256").hex()


def is_sealed(body: bytes, seal: object, key: bytes | None = None) -> bool:
    """Return whether a seal is the body's, by the key of this user or pipeline."""
    return isinstance(seal, str) and hmac.compare_digest(sealed(body, key).encode(), seal.encode("utf-8", "replace"))


def are_sealed(parts: Iterable[bytes | memoryview], seal: object, key: bytes) -> bool:
    """Return the same as ``is_sealed`` of a body in parts, without putting it together: it may be many megabytes."""
    made = hmac.new(key, digestmod="sha256")
    for part in parts:
        made.update(part)
    return isinstance(seal, str) and hmac.compare_digest(made.hexdigest().encode(), seal.encode("utf-8", "replace"))


@lru_cache(maxsize=8)
def code_sum(rooms: tuple[str, ...]) -> str:
    """Return the SHA-256 of the code and tables of rooms (packages beside this one): what a cache found with them holds for no others."""
    return hashlib.sha256("\n".join(map(_room_sum, rooms)).encode()).hexdigest()


@lru_cache(maxsize=32)
def _room_sum(room: str) -> str:
    digest = hashlib.sha256()
    base = Path(__file__).resolve().parent.parent
    for path in sorted((base / room).rglob("*")):
        if path.suffix in (".py", ".yml", ".json"):
            digest.update(path.relative_to(base).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _key_file() -> Path | None:
    return _key_path(os.environ.get("XDG_STATE_HOME", ""), os.environ.get("HOME", ""))


@lru_cache(maxsize=8)
def _key_path(state: str, _home: str) -> Path | None:
    """Return where the key lies: thousands of entries ask, and building a path takes longer than a seal."""
    try:
        home = Path(state) if state.startswith("/") else Path.home() / ".local" / "state"
    except RuntimeError:  # no home directory is known
        return None
    return home / "segwright" / "cache.key"


@lru_cache(maxsize=8)
def _key(given: str, path: Path | None) -> bytes:
    """Return the key; a variable that is too short to be a secret does not count."""
    if len(given) >= LEAST_CHARACTERS:
        return hashlib.sha256(given.encode("utf-8", "surrogatepass")).digest()
    return (_kept(path) if path is not None else None) or secrets.token_bytes(KEY_BYTES)


def _kept(path: Path) -> bytes | None:
    """Return the key of a file that only this user can read and write, made where there is none; None where it is not so."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        except FileExistsError:
            pass
        else:
            with os.fdopen(made, "wb") as file:
                file.write(secrets.token_bytes(KEY_BYTES))
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
            about = os.fstat(file.fileno())
            if about.st_uid != os.geteuid() or about.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                return None
            found = file.read(KEY_BYTES + 1)
    except OSError:
        return None
    return found if len(found) == KEY_BYTES else None
