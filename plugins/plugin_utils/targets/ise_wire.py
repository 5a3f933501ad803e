# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one place where a request to ISE leaves: one attempt each, our certificate authority, at most one failed login.

It stands as transport adapter inside the SDK's sessions. The SDK itself sends a POST again after a lost answer, sends twice
after 401 and 403 and waits without limit after 429 (facts/ise.md section 2.4). It does so on exceptions of its own and of the
operating system; here every answer that is not a success, and every lost one, is raised as another kind of exception,
which passes through the SDK untouched.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_guard import MatrixGuard

requests_adapters = guarded("requests.adapters")
requests_exceptions = guarded("requests.exceptions")

POOL_SIZE = 16


class Unanswered(Exception):
    """No answer came. ``sent`` says whether the request may have been carried out."""

    def __init__(self, reason: str, sent: bool) -> None:
        super().__init__(reason)
        self.reason, self.sent = reason, sent


class Untrusted(Exception):
    """The server's certificate cannot be verified."""


class Answered(Exception):
    """The server answered with something other than success: status, header fields and the beginning of the text."""

    def __init__(self, status: int, headers: dict[str, str], text: str) -> None:
        super().__init__(f"HTTP {status}")
        self.status, self.headers, self.text = status, headers, text


class LoginRefused(Exception):
    """A login failed in this run; nothing more is sent, so that an account is not locked."""


class TokenBucket:
    """At most ``rate`` requests a second on average, ``burst`` at once; ISE documents 100 a second (facts/ise.md section 1.4)."""

    def __init__(
        self,
        rate: float,
        burst: int,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.rate, self.burst, self.clock, self.sleep = rate, burst, clock, sleep
        self._tokens, self._at = float(burst), clock()
        self._guard = threading.Lock()

    def take(self) -> None:
        """Wait until a request may be sent."""
        with self._guard:
            now = self.clock()
            self._tokens = min(float(self.burst), self._tokens + (now - self._at) * self.rate)
            self._at = now
            self._tokens -= 1.0
            wait = -self._tokens / self.rate if self._tokens < 0 else 0.0
        if wait:
            self.sleep(wait)


class OnceAdapter:
    """Transport adapter of ``requests``: see the module's text. Shared by all sessions and threads of one target."""

    def __init__(self, verify: str | bool, timeout: float, bucket: TokenBucket) -> None:
        self.verify, self.timeout, self.bucket = verify, timeout, bucket
        self.requests = self.writes = 0
        self.guard = MatrixGuard()
        self._refused = threading.Event()
        self._guard = threading.Lock()
        self._inner = requests_adapters.HTTPAdapter(pool_connections=4, pool_maxsize=POOL_SIZE, max_retries=0)

    def send(
        self,
        request: Any,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Any = None,
    ) -> Any:
        """Send one request once; ``verify``, ``timeout`` and ``proxies`` of the caller or its environment do not count."""
        self.guard.check(request.method, request.url, request.body)
        if self._refused.is_set():
            raise LoginRefused
        self.bucket.take()
        with self._guard:
            self.requests += 1
            self.writes += request.method in ("POST", "PUT", "PATCH", "DELETE")
        try:
            response = self._inner.send(
                request, stream=False, timeout=self.timeout, verify=self.verify, cert=cert, proxies={}
            )
            content = response.content
        except requests_exceptions.SSLError as error:
            raise Untrusted(_reason(error)) from None
        except requests_exceptions.ConnectTimeout as error:
            raise Unanswered(_reason(error), sent=False) from None
        except requests_exceptions.ConnectionError as error:
            raise Unanswered(_reason(error), sent="Failed to establish" not in str(error)) from None
        except (requests_exceptions.RequestException, OSError) as error:
            raise Unanswered(_reason(error), sent=True) from None
        status = int(response.status_code)
        if status == 401:
            self._refused.set()
            raise LoginRefused
        if not 200 <= status < 300:
            raise Answered(status, dict(response.headers), _text(content))
        kind = response.headers.get("Content-Type", "").lower()
        if content and "html" in kind:
            raise Answered(status, dict(response.headers), "a page in HTML where data was expected")
        return response

    def close(self) -> None:
        """Close all connections."""
        self._inner.close()

    def mount_on(self, sessions: Iterable[Any]) -> None:
        """Make sessions of ``requests`` send through this adapter and ignore their environment (proxies, netrc, CA bundle)."""
        for session in sessions:
            session.trust_env = False
            session.adapters.clear()
            session.mount("https://", self)


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
