# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What acts on the whole matrix at once never leaves this controller, except in a named emergency.

Clearing or switching all cells, the ANY-ANY default cell, the default policy and monitor-all hit every device of the deployment at
once (facts/ise.md sections 0 and 1.6; design rule 12). No step of a plan needs them. The guard stands where requests leave, so
that no path through the SDK or around it gets by.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.names import IDENTIFIER
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes

ANY_SGT = "92bb1950-8c01-11e6-996c-525400b48521"
ANY_ANY_CELL = "92c1a900-8c01-11e6-996c-525400b48521"
WRITES = frozenset(("POST", "PUT", "PATCH", "DELETE"))
SHORTEST_REASON = 10
_CELLS = "egressmatrixcell"


class Record(Protocol):
    """What is needed of change.journal.Journal."""

    def append(self, event: str, **content: Any) -> dict[str, Any]:
        """Write one entry and flush it to disk."""


@dataclass(frozen=True)
class Emergency:
    """Why everything may be touched at once: the posture's name and a person's reason."""

    posture: str
    reason: str


def matrix_wide(method: str, url: str, body: bytes | str | None = None) -> str:
    """Return what a request would do to the whole matrix, empty where it concerns single objects. Pure."""
    if method.upper() not in WRITES:
        return ""
    path = re.sub(r"/+", "/", unquote(urlsplit(url).path)).strip("/").lower()
    if f"/{_CELLS}/" in f"/{path}/":
        rest = path.split(f"{_CELLS}", 1)[1].strip("/").split("/")
        if rest[0] == "clearallmatrixcells":
            return "clear all cells"
        if rest[0] == "status":
            return "set the status of all cells"
        if rest[0] == "bulk":
            return "write many cells at once, in no order"
        if rest[0] == ANY_ANY_CELL:
            return "change the ANY-ANY default cell"
    if path.endswith("trustsec/matrix/defaultpolicy") or "/matrix/defaultpolicy/" in f"/{path}/":
        return "change the default policy"
    return _of_body(path, _text(body))


def _of_body(path: str, text: str) -> str:
    try:
        value = json.loads(text) if text else {}
    except ValueError:
        return ""
    if not isinstance(value, dict):
        return ""
    if any(_holds(value, key) for key in ("monitorall", "monitorallstatus")):
        return "set monitor-all"
    if path.endswith("coa/push") and str(value.get("coaType", "ALL")).upper() == "ALL":
        return "push everything to every device"
    cell = value.get("EgressMatrixCell")
    if isinstance(cell, dict) and {cell.get("sourceSgtId"), cell.get("destinationSgtId")} == {ANY_SGT}:
        return "write the ANY-ANY default cell"
    return ""


def _holds(value: Any, key: str) -> bool:
    if isinstance(value, dict):
        return any(str(name).lower() == key or _holds(item, key) for name, item in value.items())
    return isinstance(value, list) and any(_holds(item, key) for item in value)


def _text(body: bytes | str | None) -> str:
    return body.decode("utf-8", "replace") if isinstance(body, bytes) else body or ""


class MatrixGuard:
    """Refuses requests that act on the whole matrix, but within ``emergency``. Shared by all threads of one client."""

    def __init__(self) -> None:
        self._emergency: Emergency | None = None
        self._journal: Record | None = None

    def check(self, method: str, url: str, body: bytes | str | None = None) -> None:
        """Raise FindingError SW4362 for a request on the whole matrix outside an emergency; journal it within one, before it is sent."""
        what = matrix_wide(method, url, body)
        if not what:
            return
        if self._emergency is None or self._journal is None:
            raise FindingError(codes.MATRIX_WIDE.at(f"a request would {what}"))
        self._journal.append(
            "emergency_request", posture=self._emergency.posture, reason=self._emergency.reason, does=what, verb=method
        )

    @contextmanager
    def emergency(self, posture: str, reason: str, journal: Record) -> Iterator[None]:
        """Let requests on the whole matrix pass for the time of the block; begin, each of them, and end stand in the journal.

        FindingError SW4363 without the name of a posture or a reason of some words.
        """
        reason = " ".join(reason.split())
        if not IDENTIFIER.match(posture) or len(reason) < SHORTEST_REASON or " " not in reason:
            raise FindingError(codes.NO_EMERGENCY.at(f"posture {posture[:40]!r}, reason {reason[:80]!r}"))
        journal.append("emergency_started", posture=posture, reason=reason)
        self._emergency, self._journal = Emergency(posture, reason), journal
        try:
            yield
        finally:
            self._emergency = self._journal = None
            journal.append("emergency_ended", posture=posture)
