# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults by script: which request, the how-manieth, and what goes wrong with it.

A fault is ``{"match": {"method": "PUT", "path": "^/ers/config/sgacl/"}, "nth": 1, "times": 1, "fault": "status:503"}``;
match may also be one string ``"PUT ^/ers/config/sgacl/"``; method ``*`` is any, ``WRITE`` any that writes.
nth counts the matching requests from the moment the fault
is scheduled; times is how many of them fail in a row (0: all from there on).

fault: ``status:500``, ``status:503`` (any number), ``429`` with ``"retry_after": 3 | "0.5" | "date" | null``,
``drop_before``, ``drop_after_commit``, ``hang``, ``hang_after_commit`` (``"seconds": 30``), ``cut_json``, ``html200``,
``redirect``. Those that act before the commit leave the state alone; the others carry the request out first.
"""

from __future__ import annotations

import email.utils
import re
from dataclasses import dataclass
from typing import Any

from tests.lab.ise.messages import Response, html

KINDS = ("429", "drop_before", "drop_after_commit", "hang", "hang_after_commit", "cut_json", "html200", "redirect")
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
WRITES = ("POST", "PUT", "PATCH", "DELETE")  # what the method WRITE of a match stands for


@dataclass
class Fault:
    method: str
    path: re.Pattern[str]
    nth: int
    times: int
    kind: str
    status: int
    retry_after: str | None
    seconds: float
    seen: int = 0
    fired: int = 0

    def as_dict(self) -> dict[str, Any]:
        return {
            "match": {"method": self.method, "path": self.path.pattern},
            "nth": self.nth,
            "times": self.times,
            "fault": self.kind if self.kind != "status" else f"status:{self.status}",
            "seen": self.seen,
            "fired": self.fired,
        }


def parse_fault(given: dict[str, Any]) -> Fault:
    """Raises ValueError on anything not understood."""
    unknown = set(given) - {"match", "nth", "times", "fault", "retry_after", "seconds"}
    if unknown:
        raise ValueError(f"unknown fault keys {sorted(unknown)}")
    match = given["match"]
    if isinstance(match, str):
        method, _, path = match.partition(" ")
        match = {"method": method, "path": path}
    method = str(match.get("method", "*")).upper()
    if method not in (*METHODS, "WRITE", "*"):
        raise ValueError(f"unknown method {method}")
    kind, status = str(given["fault"]), 0
    if kind.startswith("status:"):
        kind, status = "status", int(kind[7:])
        if status == 429:
            kind = "429"
    elif kind not in KINDS:
        raise ValueError(f"unknown fault {kind}")
    nth, times = int(given.get("nth", 1)), int(given.get("times", 1))
    if nth < 1 or times < 0:
        raise ValueError("nth starts at 1, times at 0")
    after = given.get("retry_after")
    return Fault(
        method, re.compile(str(match.get("path", ""))), nth, times, kind, status,
        None if after is None else str(after), float(given.get("seconds", 30)),
    )  # fmt: skip


class FaultScript:
    def __init__(self) -> None:
        self.faults: list[Fault] = []

    def schedule(self, given: dict[str, Any]) -> None:
        self.faults.append(parse_fault(given))

    def clear(self) -> None:
        self.faults.clear()

    def take(self, method: str, path: str) -> Fault | None:
        """The fault of this request; every matching fault counts it, the first that is due fires."""
        due = None
        for fault in self.faults:
            wanted = WRITES if fault.method == "WRITE" else (fault.method,)
            if (fault.method != "*" and method not in wanted) or not fault.path.search(path):
                continue
            fault.seen += 1
            if due is None and fault.seen >= fault.nth and (not fault.times or fault.seen < fault.nth + fault.times):
                fault.fired += 1
                due = fault
        return due


def answer_instead(fault: Fault, origin: str, now: float) -> Response | None:
    """The answer of a fault that replaces the request, None for the others."""
    if fault.kind == "status":
        return html(fault.status, f"HTTP Status {fault.status}", "The server cannot answer this request")
    if fault.kind == "429":
        page = html(429, "HTTP Status 429 - Too Many Requests", "Rate limit exceeded")
        if fault.retry_after is None:
            return page
        value = fault.retry_after
        if value == "date":
            value = email.utils.formatdate(now + 1, usegmt=True)
        return Response(429, page.body, page.content_type, (("Retry-After", value),))
    if fault.kind == "html200":
        return html(200, "Identity Services Engine", "Log in")
    if fault.kind == "redirect":
        return Response(302, b"", "text/html", (("Location", f"{origin}/admin/login.jsp"),))
    return None
