# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an answer of ISE that is not a success means: its text, its code here, and whether and when to ask again. Pure."""

from __future__ import annotations

import email.utils
import json
import time

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Code
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_wire import Answered

LONGEST_WAIT = 10.0


def refusal_code(answer: Answered, text: str) -> Code:
    """Return the code for an answer; ``text`` is what it says (facts/ise.md section 1.3)."""
    words = text.lower()
    if answer.status == 403 and ("matri" in words or "workflow" in words):
        return codes.MULTIPLE_MATRICES
    if answer.status == 403:
        return codes.NOT_AUTHORIZED
    if answer.status == 429:
        return codes.RATE_LIMITED
    if answer.status >= 500:
        return codes.SERVER_FAILED
    if answer.status < 400:
        return codes.BAD_ANSWER
    return codes.NOT_PRIMARY if "primary administration node" in words or "primary pan" in words else codes.REFUSED


def error_text(text: str) -> str:
    """Return what ISE's error body says: ERS messages, an OpenAPI message, or nothing for a page (facts/ise.md section 1.3)."""
    try:
        value = json.loads(text)
    except ValueError:
        return "" if "<" in text else text[:200]
    if not isinstance(value, dict):
        return ""
    messages = (value.get("ERSResponse") or {}).get("messages") or []
    if messages:
        return "; ".join(str(item.get("title") or item.get("code") or "") for item in messages)[:300]
    inner = value.get("error")
    return str(value.get("message") or (inner.get("message") if isinstance(inner, dict) else "") or "")[:300]


def pause(attempt: int) -> float:
    """Return the seconds to wait after an attempt, counted from 1."""
    return min(LONGEST_WAIT, 0.2 * 3 ** (attempt - 1))


def may_repeat(verb: str, status: int) -> bool:
    """429 was not carried out whatever the verb; 502 to 504 may have been, 500 is the server's own view and only a read repeats it."""
    if status == 429:
        return True
    if status in (502, 503, 504):
        return verb != "POST"
    return status == 500 and verb == "GET"


def wait_after(answer: Answered, attempt: int) -> float | None:
    """Return the seconds to wait before the next attempt, as Retry-After says in whole, broken or dated form, at most LONGEST_WAIT."""
    if answer.status not in (429, 500, 502, 503, 504):
        return None
    value = {name.lower(): text for name, text in answer.headers.items()}.get("retry-after")
    if value is None:
        return pause(attempt)
    try:
        return min(LONGEST_WAIT, max(0.05, float(value)))
    except ValueError:
        pass
    try:
        moment = email.utils.parsedate_to_datetime(value).timestamp()
    except (TypeError, ValueError):
        return pause(attempt)
    return min(LONGEST_WAIT, max(0.05, moment - time.time()))
