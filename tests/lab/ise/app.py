# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ASGI application: login, roles, CSRF, rate cap, latency, faults and counters around the three APIs."""

from __future__ import annotations

import asyncio
import base64
import binascii
import collections
import secrets
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl

from tests.lab.ise import deployment, ers, mnt, old_push, openapi, policy, system
from tests.lab.ise.faults import Fault, FaultScript, answer_instead
from tests.lab.ise.messages import Request, Response, html, not_found
from tests.lab.ise.store import Store

Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]
WRITES = ("POST", "PUT", "PATCH", "DELETE")
COMMON_HEADERS = (
    ("Cache-Control", "no-cache, no-store, must-revalidate"),
    ("Pragma", "no-cache"),
    ("Expires", "Thu, 01 Jan 1970 00:00:00 GMT"),
    ("Server", ""),
    ("Strict-Transport-Security", "max-age=31536000; includeSubDomains"),
    ("X-Frame-Options", "SAMEORIGIN"),
    ("Set-Cookie", "APPSESSIONID=0123456789ABCDEF0123456789ABCDEF; Path=/ers; Secure; HttpOnly"),
)


class Counters:
    """What the server was asked. writes: ERS requests with a writing verb, whatever came of them."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.requests: collections.Counter[str] = collections.Counter()
        self.statuses: collections.Counter[str] = collections.Counter()
        self.writes = self.writes_done = self.pushes = self.reauthentications = self.disconnects = 0
        self.failed_logins = self.rate_limited = self.faults = 0
        self.in_flight = self.max_in_flight = 0
        self.log: collections.deque[dict[str, Any]] = collections.deque(maxlen=2000)

    def as_dict(self) -> dict[str, Any]:
        return {
            "total": sum(self.requests.values()),
            "requests": dict(sorted(self.requests.items())),
            "statuses": dict(sorted(self.statuses.items())),
            **{
                name: getattr(self, name)
                for name in (
                    "writes", "writes_done", "pushes", "reauthentications", "disconnects", "failed_logins",
                    "rate_limited", "faults", "max_in_flight",
                )
            },
        }  # fmt: skip

    def arrived(self, method: str, path: str) -> None:
        self.requests[f"{method} {family_of(path)}"] += 1
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        if method in WRITES and path.startswith(ers.PREFIX):
            self.writes += 1
        if method == "PUT" and path == f"{openapi.PREFIX}coa/push":
            self.pushes += 1
        if path.startswith(f"{mnt.PREFIX}CoA/Reauth/"):
            self.reauthentications += 1
        if path.startswith(f"{mnt.PREFIX}CoA/Disconnect/"):
            self.disconnects += 1

    def answered(self, method: str, path: str, status: int | None) -> None:
        self.in_flight = max(0, self.in_flight - 1)
        self.statuses[str(status or "dropped")] += 1
        self.log.append({"method": method, "path": path, "status": status})
        if method in WRITES and path.startswith(ers.PREFIX) and status in (200, 201, 204):
            self.writes_done += 1
        if method == "DELETE" and path.startswith(ers.PREFIX) and status == 404:
            self.writes -= 1  # nothing was there, so nothing was to be written: clients ask so whether they may


def family_of(path: str) -> str:
    parts = path.strip("/").split("/")
    if path.startswith(ers.PREFIX):
        return f"ers/{parts[2]}"
    if path.startswith(mnt.PREFIX):
        return "/".join(["mnt", *parts[3:5]])
    if path.startswith("/api/v1/"):
        return "/".join(["api", *parts[2:5]])
    return "other"


class IseApp:
    """accounts: user name -> (password, role); role "admin" may write, "operator" reads only."""

    def __init__(self, store: Store, accounts: dict[str, tuple[str, str]], origin: str, node: int = 0) -> None:
        self.store, self.accounts, self.origin, self.node = store, accounts, origin, node
        self.counters = Counters()
        self.faults = FaultScript()
        self.failed_by_user: collections.Counter[str] = collections.Counter()
        self.csrf_tokens: dict[str, float] = {}
        self.recent: collections.deque[float] = collections.deque()

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = await self._read(scope, receive, _certificate_name(send))
        self.counters.arrived(request.method, request.path)
        status: int | None = None
        try:
            response = await self._answer(request)
            if response is not None:
                status = response.status
                await _send(send, request, response)
            else:
                _abort(send)
        finally:
            self.counters.answered(request.method, request.path, status)

    async def _read(self, scope: dict[str, Any], receive: Receive, certificate: str) -> Request:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        raw = scope["raw_path"].decode("latin-1")
        query = scope["query_string"].decode("latin-1")
        return Request(
            method=scope["method"],
            path=raw.rstrip("/") or "/",
            query=tuple(parse_qsl(query, keep_blank_values=True)),
            headers={name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]},
            body=body,
            url=f"{self.origin}{raw}" + (f"?{query}" if query else ""),
            origin=self.origin,
            node=self.node,
            slash=raw.endswith("/"),
            certificate=certificate,
        )

    async def _answer(self, request: Request) -> Response | None:
        """None: the connection is cut without an answer."""
        now = self.store.clock()
        fault = self.faults.take(request.method, request.path)
        if fault is not None:
            self.counters.faults += 1
            instead = answer_instead(fault, self.origin, now)
            if instead is not None:
                return instead
            if fault.kind in ("drop_before", "hang"):
                if fault.kind == "hang":
                    await asyncio.sleep(fault.seconds)
                return None
        if self._over_rate(now):
            self.counters.rate_limited += 1
            return html(int(self.store.settings["rate_limit_status"]), "Too many requests", "Rate limit exceeded")
        if self.store.settings["latency"]:
            await asyncio.sleep(float(self.store.settings["latency"]))
        return await _after(fault, self._handle(request))

    def _handle(self, request: Request) -> Response:
        if request.path == "/admin/login.jsp":
            return html(200, "Identity Services Engine", "Log in")
        role = self._role(request)
        if role is None:
            return html(401, "HTTP Status 401 - Unauthorized", "Authentication required")
        writing = request.method in WRITES
        if writing and role != "admin":
            return html(403, "HTTP Status 403 - Forbidden", "Access to the requested resource has been denied")
        if writing and self.store.settings["csrf"] and not self._csrf_ok(request):
            return html(403, "HTTP Status 403 - Forbidden", "CSRF nonce validation failed")
        response = self._route(request)
        if request.headers.get("x-csrf-token", "").lower() == "fetch" and self.store.settings["csrf"]:
            token = secrets.token_hex(16).upper()
            self.csrf_tokens[token] = self.store.clock()
            extra = (("X-CSRF-Token", token), ("Set-Cookie", f"JSESSIONIDSSO={token}; Path=/; Secure; HttpOnly"))
            return Response(response.status, response.body, response.content_type, response.headers + extra)
        return response

    def _route(self, request: Request) -> Response:
        if (request.path.startswith("/ers/") and not self.store.settings["ers_enabled"]) or (
            request.path.startswith("/api/") and not self.store.settings["openapi_enabled"]
        ):
            return html(404, "HTTP Status 404 - Not Found", "The requested resource is not available")
        said = system.handle(self.store, request)
        if said is not None:
            return said
        old = old_push.handle(self.store, request)
        if old is not None:
            return old
        if request.path.startswith(ers.PREFIX):
            return ers.handle(self.store, request)
        if request.path.startswith(mnt.PREFIX):
            return mnt.handle(self.store, request)
        if request.path.startswith(openapi.PREFIX):
            return openapi.handle(self.store, request)
        if request.path.startswith(policy.PREFIX):
            return policy.handle(self.store, request)
        if request.path.startswith(deployment.PREFIX):
            return deployment.handle(self.store, request)
        return not_found(request.path)

    def _role(self, request: Request) -> str | None:
        by_certificate = self.store.settings["client_certificates"]
        if by_certificate != "off" and request.certificate in self.accounts:
            return self.accounts[request.certificate][1]
        if by_certificate == "required":
            self.counters.failed_logins += 1
            return None
        scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
        try:
            user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            user = password = ""
        limit = self.store.settings["lockout_after"]
        locked = bool(limit) and self.failed_by_user[user] >= limit
        known = self.accounts.get(user)
        if (
            scheme.lower() == "basic"
            and known is not None
            and not locked
            and secrets.compare_digest(known[0].encode(), password.encode())
        ):
            self.failed_by_user[user] = 0
            return known[1]
        self.counters.failed_logins += 1
        self.failed_by_user[user] += 1
        return None

    def _csrf_ok(self, request: Request) -> bool:
        token = request.headers.get("x-csrf-token", "")
        fresh = self.store.clock() - self.csrf_tokens.get(token, float("-inf")) <= 60
        if fresh and f"JSESSIONIDSSO={token}" in request.headers.get("cookie", ""):
            self.csrf_tokens[token] = self.store.clock()
            return True
        return False

    def _over_rate(self, now: float) -> bool:
        limit = self.store.settings["rate_limit"]
        if not limit:
            return False
        while self.recent and self.recent[0] <= now - 1.0:
            self.recent.popleft()
        if len(self.recent) >= limit:
            return True
        self.recent.append(now)
        return False


async def _after(fault: Fault | None, response: Response) -> Response | None:
    """What becomes of the answer of a request that was carried out."""
    if fault is None:
        return response
    if fault.kind == "hang_after_commit":
        await asyncio.sleep(fault.seconds)
        return None
    if fault.kind == "drop_after_commit":
        return None
    body = response.body[: len(response.body) // 2] or b'{"cut'
    return Response(200 if response.status == 204 else response.status, body, response.content_type, response.headers)


async def _send(send: Send, request: Request, response: Response) -> None:
    headers = [("Content-Type", response.content_type), *COMMON_HEADERS, *response.headers]
    if not response.body and response.status != 204:
        headers.append(("Content-Length", "0"))
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    await send({"type": "http.response.start", "status": response.status, "headers": raw})
    await send({"type": "http.response.body", "body": response.body})


def _certificate_name(send: Send) -> str:
    """The common name of the certificate that the client showed, empty where it showed none."""
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    shown = transport.get_extra_info("peercert") if transport is not None else None
    for part in (shown or {}).get("subject", ()):
        for key, value in part:
            if key == "commonName":
                return str(value)
    return ""


def _abort(send: Send) -> None:
    """Cut the TCP connection as a crashing node does. uvicorn passes a bound method whose object owns the transport."""
    cycle: Any = getattr(send, "__self__", None)
    if cycle is None or not hasattr(cycle, "transport"):
        raise RuntimeError("this HTTP server gives no access to the connection")
    cycle.disconnected = True  # what uvicorn itself sets when a client goes away: nothing more is written
    cycle.transport.abort()
