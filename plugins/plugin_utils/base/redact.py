# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Removal of credentials from text and structures before they are stored or shown."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

MASK = "********"
_SECRET_KEYS = re.compile(
    r"pass(word|wd)?\Z|secret|token|api_?key|authorization\Z|private_?key|enc(oded)?_?auth|community\Z", re.I
)
_LINES = re.compile(
    r"(?im)^(?P<head>.*?\b(?:password|secret|key-string|community|pac key|shared-secret|authorization: basic)\b"
    r"(?: \d)?[ =:]+)(?P<value>\S.*)$"
)


def redact_text(text: str, secrets: Iterable[str] = ()) -> str:
    """Return text with known secrets and the values of well-known secret-bearing configuration lines masked."""
    result = _LINES.sub(lambda match: match.group("head") + MASK, text)
    for secret in secrets:
        if secret and len(secret) >= 3:
            result = result.replace(secret, MASK)
    return result


def redact(value: Any, secrets: Iterable[str] = ()) -> Any:
    """Return a copy of a JSON-like value with the values of secret-named keys and known secrets masked."""
    known = tuple(secrets)
    if isinstance(value, dict):
        return {
            key: MASK
            if isinstance(key, str) and _SECRET_KEYS.search(key) and isinstance(item, str) and item
            else redact(item, known)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [redact(item, known) for item in value]
    if isinstance(value, str):
        return redact_text(value, known)
    return value
