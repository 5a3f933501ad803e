# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests to ISE by kind of object, over the SDK, with bounded retries by verb and findings for everything that fails."""

from __future__ import annotations

import base64
import json
import os
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Code, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.redact import redact_text
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_answers import (
    error_text,
    may_repeat,
    pause,
    refusal_code,
    wait_after,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_gate import LoginGates, LoginRefused
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_guard import MatrixGuard
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_sdk import (
    RESOURCES,
    ise_version,
    make_sdk,
    sdk_method,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_wire import (
    Answered,
    OnceAdapter,
    TokenBucket,
    Unanswered,
    Untrusted,
    Wire,
)

PAGE_SIZE = 100
ATTEMPTS = 4
# Requests a second that ISE documents (facts/ise.md section 1.4).
RATE = 100.0
JSON_HEADERS = {"Accept": "application/json", "Content-Type": "application/json"}


class NotFound(Exception):
    """The object does not exist."""


class Lost(Exception):
    """A create got no answer: whether it was carried out must be found out by reading."""


class IseClient:
    """One ISE node. Threads may share it. ``version`` chooses the SDK's method names, not what the server can do.

    ``ca_file`` holds the authorities that are trusted, the system's where empty. ``client_certificate`` and ``client_key`` are
    files, the key not encrypted; with them user name and password may be empty (ISE 3.3). ``rate`` is the most requests within
    any second, ``timeout`` in seconds, ``gates`` the logins of the run this client is part of. ``other_nodes`` are URLs of further
    administration nodes of the same deployment, which the preflight tries.
    """

    def __init__(
        self,
        base_url: str,
        username: str,
        password: str,
        *,
        version: str = "3.3_patch_1",
        ca_file: str = "",
        client_certificate: str = "",
        client_key: str = "",
        proxy: str = "",
        timeout: float = 30.0,
        rate: float = RATE,
        other_nodes: Sequence[str] = (),
        gates: LoginGates | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.base_url = checked_base_url(base_url)
        self.version = ise_version(version)
        if bool(username) != bool(password) or not (username or client_certificate):
            raise FindingError(codes.BAD_SPEC.at(f"{self.base_url}: user name and password are needed"))
        if not 1.0 <= rate <= 1000.0:
            raise FindingError(codes.BAD_SPEC.at(f"{self.base_url}: a rate of {rate:g} requests a second"))
        for path, what in (
            (ca_file, "certificate authority's file"),
            (client_certificate, "client certificate"),
            (client_key, "client key"),
        ):
            if path and not os.path.isfile(path):
                raise FindingError(codes.BAD_SPEC.at(f"{self.base_url}: the {what} {path} does not exist"))
        _check_key(self.base_url, client_key or client_certificate)
        login = base64.b64encode(f"{username}:{password}".encode()).decode("ascii") if username else ""
        self._secrets = tuple(text for text in (password, login, _proxy_password(self.base_url, proxy)) if text)
        self._sleep = sleep
        self._wire = Wire(
            self.base_url,
            f"Basic {login}" if login else "",
            ca_file or True,
            client_certificate,
            client_key,
            proxy,
            timeout,
        )
        self._bucket = TokenBucket(rate)
        self._gate = (gates or LoginGates()).gate(username, password, client_certificate)
        # All nodes that were named, the one in use first; see preflight for how the primary is found.
        self.nodes = (self.base_url, *(checked_base_url(url) for url in other_nodes))
        self._counted = [0, 0]
        self._guard = MatrixGuard()
        self._connect()

    def _connect(self) -> None:
        self.adapter = OnceAdapter(self._wire, self._bucket, self._gate, self._guard)
        self._calls: dict[tuple[str, str], Any] = {}
        self._api = make_sdk(self.base_url, self.version, self.adapter)

    def use_node(self, base_url: str) -> None:
        """Send what follows to another of ``nodes``; not while other threads send."""
        if base_url not in self.nodes:
            raise ValueError("not one of the nodes")
        self.adapter.close()
        self._counted = [self.requests, self.writes]
        self.base_url, self._wire = base_url, replace(self._wire, origin=base_url)
        self._connect()

    @property
    def guard(self) -> MatrixGuard:
        """Return what keeps requests on the whole matrix back; see ``MatrixGuard.emergency``."""
        return self._guard

    @property
    def skew(self) -> tuple[float, float] | None:
        """Return the seconds that ISE's clock is ahead of ours and how far off that may be; None before the first answer."""
        return self.adapter.skew

    @property
    def requests(self) -> int:
        """Return the number of requests sent so far."""
        return self._counted[0] + self.adapter.requests

    @property
    def writes(self) -> int:
        """Return the number of writing requests sent so far."""
        return self._counted[1] + self.adapter.writes

    @property
    def own_writes(self) -> int:
        """Return the number of writing requests that the calling thread sent so far through the node in use."""
        return self.adapter.own_writes

    def close(self) -> None:
        """Close all connections."""
        self.adapter.close()

    # -- objects

    def list_items(self, kind: str, name_filter: str = "") -> list[dict[str, Any]]:
        """Return id, name and description of all objects of a kind; a pager of our own that stops at the announced total.

        ``name_filter`` is one filter as ISE writes it (``value.EQ.20``). FindingError where the pages do not add up.
        """
        found: dict[str, dict[str, Any]] = {}
        total = 0
        for announced, items in self.pages(kind, name_filter):
            found.update((item["id"], item) for item in items)
            total = announced
        if len(found) < total:
            text = f"the list of {kind} has {len(found)} of {total} objects; it changed while it was read"
            raise self._error(codes.BAD_ANSWER, text)
        return list(found.values())

    def pages(self, kind: str, name_filter: str = "") -> Iterator[tuple[int, list[dict[str, Any]]]]:
        """Yield (announced total, id, name and description of up to 100 objects) page by page; FindingError for a page without sense."""
        page, seen = 1, 0
        while True:
            total, items = self.page(kind, page, name_filter)
            seen += len(items)
            yield total, items
            if page * PAGE_SIZE >= total:
                return
            if not items:
                raise self._error(codes.BAD_ANSWER, f"the list of {kind} ends at {seen} of {total}")
            page += 1

    def page(self, kind: str, page: int, name_filter: str = "") -> tuple[int, list[dict[str, Any]]]:
        """Return the announced total and id, name and description of the objects on one page, counted from 1."""
        more = {"filter": name_filter} if name_filter else {}
        return self._listed(kind, self._body(self._call(kind, "items", "GET", page=page, size=PAGE_SIZE, **more)))

    def cells_between(self, source: str, destination: str) -> list[dict[str, Any]]:
        """Return id, name and description of the cells from one SGT to another, both by name: the SDK takes one filter only."""
        filters = [("filter", f"sgtSrcName.EQ.{source}"), ("filter", f"sgtDstName.EQ.{destination}")]
        query = urllib.parse.urlencode([*filters, ("size", PAGE_SIZE), ("page", 1)])
        return self._listed("egress_matrix_cell", self.open_api("GET", f"/ers/config/egressmatrixcell?{query}"))[1]

    def _listed(self, kind: str, answer: Mapping[str, Any]) -> tuple[int, list[dict[str, Any]]]:
        result = answer.get("SearchResult")
        if not isinstance(result, dict) or not isinstance(result.get("resources"), list):
            raise self._error(codes.BAD_ANSWER, f"the list of {kind} has no resources")
        items = [
            {
                "id": str(item["id"]),
                "name": str(item.get("name", "")),
                "description": str(item.get("description") or ""),
            }
            for item in result["resources"]
        ]
        return int(result.get("total", 0)), items

    def get(self, kind: str, identifier: str) -> dict[str, Any]:
        """Return an object's body; NotFound where it is gone."""
        answer = self._body(self._call(kind, "item", "GET", id=identifier))
        body = answer.get(RESOURCES[kind].wrapper)
        if not isinstance(body, dict):
            raise FindingError(
                codes.BAD_ANSWER.at(f"{self.base_url}: the answer for {kind} has no {RESOURCES[kind].wrapper}")
            )
        return body

    def create(self, kind: str, body: Mapping[str, Any]) -> str:
        """Send one POST and return the new object's id. Lost where no answer came: it is never sent a second time blindly."""
        answer = self._call(kind, "create", "POST", payload={RESOURCES[kind].wrapper: dict(body)})
        location = str({name.lower(): value for name, value in dict(answer.headers).items()}.get("location", ""))
        if answer.status_code != 201 or not location:
            raise FindingError(
                codes.BAD_ANSWER.at(
                    f"{self.base_url}: creating {kind} {body.get('name', '')} was answered without a place of the new object"
                )
            )
        return location.rstrip("/").rsplit("/", 1)[1]

    def update(self, kind: str, identifier: str, body: Mapping[str, Any]) -> None:
        """Send a PUT with the whole body; repeated where no answer came, since it says the same again."""
        self._call(kind, "update", "PUT", id=identifier, payload={RESOURCES[kind].wrapper: {**body, "id": identifier}})

    def delete(self, kind: str, identifier: str) -> None:
        """Send a DELETE; NotFound where the object was gone before."""
        self._call(kind, "delete", "DELETE", id=identifier)

    # -- paths that the SDK has in no version or only in some

    def open_api(self, verb: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the JSON answer of a path below the host; NotFound where this ISE does not have it."""
        session = self._api._session._req_session

        def send() -> Any:
            data = None if body is None else json.dumps(body)
            return session.request(verb, self.base_url + path, data=data, headers=JSON_HEADERS)

        response = self._repeat(verb, path, send)
        try:
            value = json.loads(response.content or b"{}")
        except ValueError:
            raise FindingError(
                codes.BAD_ANSWER.at(f"{self.base_url}: {path} is answered by something other than JSON")
            ) from None
        return value if isinstance(value, dict) else {"response": value}

    def head(self, path: str, headers: Mapping[str, str]) -> dict[str, str]:
        """Return the header fields, names in lower case, of the answer to a GET with further header fields; NotFound for 404."""
        session, given = self._api._session._req_session, {**JSON_HEADERS, **headers}
        answer = self._repeat("GET", path, lambda: session.request("GET", self.base_url + path, headers=given))
        return {name.lower(): str(value) for name, value in answer.headers.items()}

    def open_api_page(self, path: str, page: int) -> list[dict[str, Any]]:
        """Return the rows of one page of an OpenAPI list, which announces no total; none past its end."""
        try:
            rows = self.open_api("GET", f"{path}?page={page}&size={PAGE_SIZE}").get("response")
        except NotFound:
            if page > 1:
                return []
            raise
        if not isinstance(rows, list):
            raise self._error(codes.BAD_ANSWER, f"{path} is answered without a list")
        return [row for row in rows if isinstance(row, dict)]

    def monitoring(self, path: str) -> bytes:
        """Return the XML of a path below /admin/API/mnt/; NotFound where there is none. Parse it with defusedxml only."""
        session = self._api._session._req_session
        url = f"{self.base_url}/admin/API/mnt/{path}"
        content = self._repeat(
            "GET", path, lambda: session.request("GET", url, headers={"Accept": "application/xml"})
        ).content
        return bytes(content)

    # -- one call

    def _call(self, kind: str, operation: str, verb: str, **arguments: Any) -> Any:
        method = self._calls.get((kind, operation))
        if method is None:
            method = self._calls[kind, operation] = sdk_method(self._api, kind, operation)
        if verb in ("POST", "PUT"):
            arguments["active_validation"] = False
        return self._repeat(verb, f"{kind} {arguments.get('id', '')}".strip(), lambda: method(**arguments))

    def _repeat(self, verb: str, what: str, send: Callable[[], Any]) -> Any:
        """Carry out one request with at most ATTEMPTS attempts, as many as the verb allows; findings for every failure."""
        lost = False
        for attempt in range(1, ATTEMPTS + 1):
            last = attempt == ATTEMPTS
            try:
                return send()
            except LoginRefused:
                raise self._error(codes.LOGIN_REFUSED, "HTTP 401") from None
            except Untrusted as error:
                raise self._error(codes.CERTIFICATE, str(error)) from None
            except Unanswered as error:
                if verb == "POST" and error.sent:
                    raise Lost(error.reason) from None
                lost = lost or error.sent
                if last:
                    code = codes.NO_ANSWER if lost else codes.UNREACHABLE
                    raise self._error(code, f"{verb} {what}: {error.reason}") from None
                self._sleep(pause(attempt))
            except Answered as answer:
                if answer.status == 404:
                    if verb == "DELETE" and lost:
                        return None
                    raise NotFound(what) from None
                wait = wait_after(answer, attempt)
                if wait is None or not may_repeat(verb, answer.status) or last:
                    raise self._refusal(verb, what, answer) from None
                self._sleep(wait)
            except ValueError as error:
                # An answer that was cut off: what was asked has been carried out.
                if verb == "POST":
                    raise Lost(type(error).__name__) from None
                lost = True
                if last:
                    raise self._error(codes.BAD_ANSWER, f"{verb} {what}: {type(error).__name__}") from None
                self._sleep(pause(attempt))
        raise AssertionError("unreachable")

    def _refusal(self, verb: str, what: str, answer: Answered) -> FindingError:
        text = f"{verb} {what}: HTTP {answer.status} {error_text(answer.text)}".strip()
        return self._error(refusal_code(answer, text), text)

    def _error(self, code: Code, text: str) -> FindingError:
        return FindingError(code.at(redact_text(f"{self.base_url}: {text}", self._secrets)))

    def _body(self, answer: Any) -> dict[str, Any]:
        value = answer.response
        if not isinstance(value, dict):
            raise self._error(codes.BAD_ANSWER, "an answer is not JSON")
        return plain(value)


def plain(value: Any) -> Any:
    """Return a copy of the SDK's attribute dictionaries as plain dicts and lists."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def checked_base_url(url: str) -> str:
    """Return the URL without a final slash; FindingError unless it is https with a host and nothing else."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme != "https" or not parts.hostname or parts.username or parts.path.strip("/") or parts.query:
        shown = f"{parts.scheme}://{parts.hostname or ''}" if parts.scheme else ""
        raise FindingError(codes.BAD_SPEC.at(f"base_url {shown!r} must be https://host[:port] and nothing else"))
    return url.rstrip("/")


def _check_key(base_url: str, path: str) -> None:
    """Refuse an encrypted key: TLS would ask for its password on the terminal, and wait there."""
    if not path:
        return
    with open(path, encoding="ascii", errors="replace") as stream:
        if "ENCRYPTED" in stream.read(65536):
            text = f"{base_url}: the client key {path} is encrypted"
            raise FindingError(codes.BAD_SPEC.at(text, hint="give a key without password, readable by its owner only"))


def _proxy_password(base_url: str, proxy: str) -> str:
    """Return the password in a proxy's URL; FindingError unless it is http or https with a host."""
    parts = urllib.parse.urlsplit(proxy)
    if proxy and (parts.scheme not in ("http", "https") or not parts.hostname):
        raise FindingError(codes.BAD_SPEC.at(f"{base_url}: the proxy must be http(s)://host:port"))
    return parts.password or ""
