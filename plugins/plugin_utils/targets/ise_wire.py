# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one place where a request to ISE leaves: one attempt each, our certificate authority, at most one failed login.

It stands as transport adapter inside the SDK's sessions. The SDK itself sends a POST again after a lost answer, sends twice
after 401 and 403 and waits without limit after 429 (facts/ise.md section 2.4). It does so on exceptions of its own and of the
operating system; here every answer that is not a success, and every lost one, is raised as another kind of exception,
which passes through the SDK untouched. Credentials, proxies, certificates and the place to send to are those given here:
what the SDK or the environment would add does not count.
"""

from __future__ import annotations

import email.utils
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import deferred
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_gate import LoginGate, LoginRefused
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_guard import MatrixGuard

requests = deferred("requests")

WRITING = ("POST", "PUT", "PATCH", "DELETE")
POOL_SIZE = 16
# The token's session dies after 60 s without use (facts/ise.md section 1.1); a new one is fetched well before.
CSRF_IDLE_SECONDS = 45.0
CSRF_PATH = "/ers/config/sgt?size=1&page=1"
CSRF_WORDS = ("csrf", "nonce")


class Unanswered(Exception):
    """No answer came. ``sent`` says whether the request may have been carried out; ``refused``: nothing listens there."""

    def __init__(self, reason: str, sent: bool, refused: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.sent, self.refused = reason, sent, refused


class Untrusted(Exception):
    """The server's certificate cannot be verified, or ours is not accepted."""


class Answered(Exception):
    """The server answered with something other than success: status, header fields and the beginning of the text."""

    def __init__(self, status: int, headers: dict[str, str], text: str) -> None:
        super().__init__(f"HTTP {status}")
        self.status, self.headers, self.text = status, headers, text


class TokenBucket:
    """Never more than ``rate`` requests within any second: refilled at 95 % of it, the rest may come at once.

    ISE documents 100 a second (facts/ise.md section 1.4).
    """

    def __init__(
        self,
        rate: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.rate, self.clock, self.sleep = rate, clock, sleep
        self.burst = max(1.0, rate * 0.05)
        self.refill = max(rate - self.burst, rate * 0.5)
        self._tokens, self._at = self.burst, clock()
        self._guard = threading.Lock()

    def take(self) -> None:
        """Wait until a request may be sent."""
        with self._guard:
            now = self.clock()
            self._tokens = min(self.burst, self._tokens + (now - self._at) * self.refill)
            self._at = now
            self._tokens -= 1.0
            wait = -self._tokens / self.refill if self._tokens < 0 else 0.0
        if wait:
            self.sleep(wait)


@dataclass(frozen=True)
class Wire:
    """How to reach one node: its origin (``https://host:port``), what to show it and what to expect of it.

    ``authorization`` is the header's value, empty for a client certificate alone. ``verify`` is a file of certificate
    authorities or True. ``certificate`` and ``key`` are files. ``proxy`` is a URL. ``timeout`` in seconds.
    """

    origin: str
    authorization: str
    verify: str | bool = True
    certificate: str = ""
    key: str = ""
    proxy: str = ""
    timeout: float = 30.0


class OnceAdapter:
    """Transport adapter of ``requests``: see the module's text. Shared by all sessions and threads of one target."""

    def __init__(
        self,
        wire: Wire,
        bucket: TokenBucket,
        gate: LoginGate,
        guard: MatrixGuard,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.wire, self.bucket, self.gate, self.guard, self._clock = wire, bucket, gate, guard, clock
        self.requests = self.writes = 0
        # Seconds that the server's clock is ahead of ours, as its last answer showed, and the half width of what that may mean.
        self.skew: tuple[float, float] | None = None
        # Whether this ISE checks tokens against cross-site requests, found out by its first refusal.
        self.csrf = False
        self._token = _Token()
        self._token_guard = threading.Lock()
        self._guard = threading.Lock()
        self._own = threading.local()
        self._inner = requests.adapters.HTTPAdapter(pool_connections=4, pool_maxsize=POOL_SIZE, max_retries=0)

    def send(
        self,
        request: Any,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Any = None,
    ) -> Any:
        """Send one request once; ``verify``, ``timeout``, ``cert`` and ``proxies`` of the caller or its environment do not count.

        A write that is refused for want of a token against cross-site requests was not carried out: it is sent with one.
        """
        if not str(request.url).startswith(f"{self.wire.origin}/"):
            raise ValueError("a request to another place than the configured one")
        self.guard.check(request.method, request.url, request.body)
        writing = request.method in WRITING
        if writing and self.csrf:
            self._with_token(request)
        try:
            return self._once(request)
        except Answered as answer:
            if not (writing and _wants_token(answer)):
                raise
            with self._token_guard:
                self.csrf = True
                self._token = _Token()
            self._with_token(request)
            return self._once(request)

    def close(self) -> None:
        """Close all connections."""
        self._inner.close()

    def mount_on(self, sessions: Iterable[Any]) -> None:
        """Make sessions of ``requests`` send through this adapter and ignore their environment (proxies, netrc, CA bundle)."""
        for session in sessions:
            session.trust_env = False
            session.adapters.clear()
            session.mount("https://", self)

    @property
    def own_writes(self) -> int:
        """Return the number of writing requests of the calling thread."""
        return int(getattr(self._own, "writes", 0))

    # -- one attempt

    def _once(self, request: Any) -> Any:
        if self.wire.authorization:
            request.headers["Authorization"] = self.wire.authorization
        else:
            request.headers.pop("Authorization", None)
        first = self.gate.enter(self.wire.origin)
        accepted: bool | None = None
        try:
            status, response, content = self._exchange(request)
            accepted = status != 401
        finally:
            self.gate.leave(self.wire.origin, first, accepted)
        if status == 401:
            raise LoginRefused
        if not 200 <= status < 300:
            raise Answered(status, dict(response.headers), _text(content))
        if content and "html" in response.headers.get("Content-Type", "").lower():
            raise Answered(status, dict(response.headers), "a page in HTML where data was expected")
        return response

    def _exchange(self, request: Any) -> tuple[int, Any, bytes]:
        self.bucket.take()
        with self._guard:
            self.requests += 1
            self.writes += request.method in WRITING
        self._own.writes = self.own_writes + (request.method in WRITING)
        errors = requests.exceptions
        proxies = {"https": self.wire.proxy} if self.wire.proxy else {}
        pair = (self.wire.certificate, self.wire.key) if self.wire.key else self.wire.certificate or None
        before = self._clock()
        try:
            response = self._inner.send(
                request, stream=False, timeout=self.wire.timeout, verify=self.wire.verify, cert=pair, proxies=proxies
            )
            content = response.content
        except errors.SSLError as error:
            raise Untrusted(_reason(error)) from None
        except errors.ProxyError as error:
            raise Unanswered(_reason(error), sent=False) from None
        except errors.ConnectTimeout as error:
            raise Unanswered(_reason(error), sent=False) from None
        except errors.ConnectionError as error:
            text = str(error)
            if _is_tls(text):
                raise Untrusted(_reason(error)) from None
            known = "Failed to establish" in text or "Failed to resolve" in text
            raise Unanswered(_reason(error), sent=not known, refused="refused" in text) from None
        except (errors.RequestException, OSError) as error:
            raise Unanswered(_reason(error), sent=True) from None
        self._measure(before, self._clock(), response.headers.get("Date"))
        return int(response.status_code), response, content

    def _measure(self, before: float, after: float, date: str | None) -> None:
        """Note how far the server's clock is from ours: its date has whole seconds, the answer took a while."""
        try:
            moment = email.utils.parsedate_to_datetime(date or "").timestamp() + 0.5
        except (TypeError, ValueError):
            return
        self.skew = (moment - (before + after) / 2, 0.5 + max(0.0, after - before) / 2)

    # -- the token against cross-site requests

    def _with_token(self, request: Any) -> None:
        """Give a request the token and the cookie of the token's session, fetched anew where the last use is too long ago."""
        with self._token_guard:
            now = self._clock()
            if not self._token.value or now - self._token.used > CSRF_IDLE_SECONDS:
                self._token = self._fetched(now)
            self._token.used = now
            token = self._token
        if token.value:
            request.headers["X-CSRF-Token"] = token.value
            cookies: SimpleCookie = SimpleCookie(request.headers.get("Cookie", ""))
            merged = {name: item.value for name, item in cookies.items()} | token.cookies
            request.headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in merged.items())

    def _fetched(self, now: float) -> _Token:
        headers = {"Accept": "application/json", "X-CSRF-Token": "fetch"}
        prepared = requests.Request("GET", self.wire.origin + CSRF_PATH, headers=headers).prepare()
        response = self._once(prepared)
        return _Token(
            str(response.headers.get("X-CSRF-Token") or ""),
            {name: str(value) for name, value in response.cookies.items()},
            now,
        )


@dataclass
class _Token:
    value: str = ""
    cookies: dict[str, str] = field(default_factory=dict)
    used: float = 0.0


def _wants_token(answer: Answered) -> bool:
    """A page in HTML about nonce validation (facts/ise.md section 1.1), unlike the answer for a role without rights."""
    text = answer.text.lower()
    return answer.status == 403 and "<" in text and any(word in text for word in CSRF_WORDS)


def _is_tls(text: str) -> bool:
    """Return whether a lost connection is the server's refusal of our certificate, which comes as an alert after the handshake."""
    return any(word in text.lower() for word in ("sslv3 alert", "tlsv1 alert", "tlsv13 alert", "certificate required"))


def _reason(error: BaseException) -> str:
    """Return what went wrong without the request, whose header holds the credentials."""
    inner = error
    while inner.__cause__ is not None or inner.__context__ is not None:
        following = inner.__cause__ or inner.__context__
        if following is None or following is inner:
            break
        inner = following
    return f"{type(error).__name__}: {str(inner)[:200]}"


def _text(content: bytes) -> str:
    return content[:4096].decode("utf-8", "replace")
