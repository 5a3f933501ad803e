# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading lists of NetBox's REST API, with bounded retries, and a finding for everything that fails."""

from __future__ import annotations

import os
import time
import urllib.parse
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import deferred
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.redact import redact_text
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.sources.kind import Asked, json_value

requests = deferred("requests")

ATTEMPTS = 4
AGAIN = (429, 502, 503, 504)
LONGEST_WAIT = 30.0
MOST_PAGES = 20_000
LARGEST = 64 << 20
VARIABLE = "NETBOX_TOKEN"


class Client:
    """One NetBox server; close it, or use it with ``with``."""

    def __init__(
        self,
        name: str,
        url: str,
        token: str,
        *,
        ca_file: str = "",
        page_size: int = 500,
        timeout: float = 30.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme != "https" or not parts.hostname or parts.username or parts.query or parts.fragment:
            raise FindingError(codes.SOURCE_INVALID.at(f"{name}: url is https://SERVER, without user or query"))
        if not token or not token.isascii() or not token.isprintable() or " " in token:
            raise FindingError(codes.SOURCE_INVALID.at(f"{name}: no API token, or one that cannot be"))
        if ca_file and not os.path.isfile(ca_file):
            raise FindingError(codes.SOURCE_INVALID.at(f"{name}: ca_file {ca_file} does not exist"))
        if not 1 <= page_size <= 1000 or not 0 < timeout <= 600:
            raise FindingError(
                codes.SOURCE_INVALID.at(f"{name}: page_size is 1 to 1000, timeout above 0 and at most 600")
            )
        self.name, self.url = name, url.rstrip("/")
        self._token, self._size, self._timeout, self._sleep = token, page_size, timeout, sleep
        self._origin = (parts.scheme, parts.netloc)
        self._session = requests.Session()
        # Given with each request: a bundle named in the environment would take the place of the session's own.
        self._verify: str | bool = ca_file or True
        # Tokens of the second version begin with nbt_ and are bearer tokens (NetBox 4.5).
        word = "Bearer" if token.startswith("nbt_") else "Token"
        self._session.auth = _Auth(f"{word} {token}")
        self._session.headers["Accept"] = "application/json"

    @classmethod
    def of(cls, asked: Asked) -> Client:
        """Return the client of an entry."""
        variable = str(asked.option("token_variable", VARIABLE))
        token = str(asked.option("token") or os.environ.get(variable, ""))
        try:
            size, timeout = int(asked.option("page_size", 500)), float(asked.option("timeout", 30))
        except (TypeError, ValueError) as error:
            raise FindingError(codes.SOURCE_INVALID.at(f"{asked.name}: page_size and timeout are numbers")) from error
        url, ca_file = str(asked.option("url")), str(asked.option("ca_file"))
        return cls(asked.name, url, token, ca_file=ca_file, page_size=size, timeout=timeout)

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()

    def all_of(self, path: str, filters: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """Return all objects of a list, each once; FindingError where the pages do not add up.

        Ordered by id, so that what others create meanwhile moves no object over the edge of a page.
        """
        query = urllib.parse.urlencode({**filters, "limit": self._size, "ordering": "id"}, doseq=True)
        url = f"{self.url}/api/{path}/?{query}"
        found: dict[int, Mapping[str, Any]] = {}
        for _page in range(MOST_PAGES):
            answer = self._json(url)
            results = answer.get("results")
            if not isinstance(results, list) or not all(
                isinstance(each, dict) and isinstance(each.get("id"), int) for each in results
            ):
                raise self._failed(f"the answer for {path} is no list of objects")
            before = len(found)
            found.update((each["id"], each) for each in results)
            following = answer.get("next")
            if not following:
                total = answer.get("count")
                if isinstance(total, int) and len(found) < total:
                    raise self._failed(f"{path} announces {total} objects and gives {len(found)}")
                return list(found.values())
            url = self._own(str(following), path)
            if len(found) == before:
                raise self._failed(f"a page of {path} has nothing new and names another one")
        raise self._failed(f"{path} has more than {MOST_PAGES} pages")

    def _own(self, url: str, path: str) -> str:
        """Return the next page's address; behind a proxy NetBox may name itself with http, which is not followed as such."""
        parts = urllib.parse.urlsplit(url)
        if parts.netloc != self._origin[1] or not parts.path.rstrip("/").endswith(f"/api/{path}"):
            raise self._failed(f"{path} continues at another server ({parts.netloc[:80]})")
        return urllib.parse.urlunsplit((*self._origin, parts.path, parts.query, ""))

    def _json(self, url: str) -> Mapping[str, Any]:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                answer = self._session.get(
                    url, timeout=self._timeout, allow_redirects=False, stream=True, verify=self._verify
                )
                with answer:
                    if answer.status_code in AGAIN and attempt < ATTEMPTS:
                        self._sleep(_wait(answer.headers.get("Retry-After"), attempt))
                        continue
                    if answer.status_code in (401, 403):
                        raise self._failed(f"the token is refused ({answer.status_code})")
                    if answer.status_code != 200:
                        raise self._failed(f"{urllib.parse.urlsplit(url).path} answers {answer.status_code}")
                    data = answer.raw.read(LARGEST + 1, decode_content=True)
            except requests.exceptions.SSLError as error:
                raise self._failed(f"its certificate is not trusted: {error}") from error
            except (requests.exceptions.RequestException, OSError) as error:
                if attempt < ATTEMPTS:
                    self._sleep(_wait(None, attempt))
                    continue
                raise self._failed(f"{type(error).__name__}: {error}") from error
            if len(data) > LARGEST:
                raise self._failed(f"an answer of more than {LARGEST >> 20} MiB: lower page_size")
            return self._parsed(data)
        raise self._failed("it does not answer")

    def _parsed(self, data: bytes) -> Mapping[str, Any]:
        try:
            value = json_value(data.decode("utf-8"))
        except ValueError as error:
            raise self._failed("an answer is no JSON") from error
        if not isinstance(value, Mapping):
            raise self._failed("an answer is no object")
        return value

    def _failed(self, text: str) -> FindingError:
        return FindingError(
            codes.SOURCE_FAILED.at(redact_text(f"{self.name} ({self.url}): {text}", (self._token,))[:500])
        )


class _Auth:
    """Sets the header itself, so that a .netrc of the user cannot put another login in its place."""

    def __init__(self, value: str) -> None:
        self._value = value

    def __call__(self, request: Any) -> Any:
        request.headers["Authorization"] = self._value
        return request


def _wait(header: str | None, attempt: int) -> float:
    try:
        return min(LONGEST_WAIT, max(0.0, float(header or "")))
    except ValueError:
        return min(LONGEST_WAIT, 0.5 * 2**attempt)
