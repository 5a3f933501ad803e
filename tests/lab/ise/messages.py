# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests and answers as plain values, and the pages that the emulated ISE shares between its APIs."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Request:
    """path without trailing slash; query as (name, value) pairs in order; header names in lower case."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: dict[str, str]
    body: bytes
    url: str  # absolute, as asked
    origin: str  # https://host:port
    node: int = 0  # which node of the deployment was asked
    slash: bool = False  # the path ended with a slash
    certificate: str = ""  # common name of the client's certificate

    def accepts(self, *types: str) -> bool:
        accept = self.headers.get("accept", "*/*").lower()
        return any(kind in accept for kind in types)


@dataclass(frozen=True)
class Response:
    """body empty: sent with Content-Length 0, else chunked as ISE does."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = field(default=())


def jackson(value: Any) -> bytes:
    """JSON with a blank on both sides of the colon, as ERS prints it (facts/ise.md section 1.5)."""
    return json.dumps(value, indent=2, separators=(",", " : "), ensure_ascii=False).encode()


def ok(value: Any, headers: tuple[tuple[str, str], ...] = ()) -> Response:
    return Response(200, jackson(value), "application/json", headers)


def html(status: int, title: str, text: str) -> Response:
    """A servlet container's error page: what ISE sends for 401, for unknown paths and for a failed CSRF check."""
    page = (
        f'<!doctype html><html lang="en"><head><title>{title}</title></head><body><h1>{title}</h1>'
        f'<hr class="line" /><p><b>Message</b> {text}</p></body></html>'
    )
    return Response(status, page.encode(), "text/html;charset=utf-8")


def not_found(path: str) -> Response:
    return html(404, "HTTP Status 404 - Not Found", f"The requested resource [{_safe(path)}] is not available")


def _safe(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def ers_error(request: Request, operation: str, status: int, title: str | None, code: str) -> Response:
    message: dict[str, str] = {"type": "ERROR", "code": code}
    if title is not None:
        message = {"title": title, **message}
    return Response(
        status,
        jackson(
            {
                "ERSResponse": {
                    "operation": operation,
                    "messages": [message],
                    "link": {"rel": "related", "href": request.url, "type": "application/xml"},
                }
            }
        ),
    )


def openapi_error(status: int, message: str) -> Response:
    return Response(status, jackson({"code": status, "message": message}))
