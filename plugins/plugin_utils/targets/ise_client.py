# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests to ISE by kind of object, over the SDK, with bounded retries by verb and findings for everything that fails."""

from __future__ import annotations

import email.utils
import json
import logging
import os
import time
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Code, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded, require
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.redact import redact_text
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_guard import MatrixGuard
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_wire import (
    Answered,
    LoginRefused,
    OnceAdapter,
    TokenBucket,
    Unanswered,
    Untrusted,
)

ciscoisesdk = guarded("ciscoisesdk")

PAGE_SIZE = 100
ATTEMPTS = 4
RATE = 90.0
BURST = 16
LONGEST_WAIT = 10.0
VERSIONS = ("3.1.0", "3.1_Patch_1", "3.2_beta", "3.3_patch_1", "3.5.0")
JSON_HEADERS = {"Accept": "application/json", "Content-Type": "application/json"}


@dataclass(frozen=True)
class Resource:
    """A kind of object: key that wraps its body, and the names of its family and methods in all versions of the SDK.

    Names are written without underscores, in which versions differ (facts/ise.md section 2.2).
    """

    wrapper: str
    families: tuple[str, ...]
    items: tuple[str, ...]
    item: tuple[str, ...]
    create: tuple[str, ...] = ()
    update: tuple[str, ...] = ()
    delete: tuple[str, ...] = ()


def _resource(wrapper: str, families: tuple[str, ...], *stems: str, many: tuple[str, ...] = ()) -> Resource:
    return Resource(
        wrapper,
        families,
        tuple(f"get{stem}" for stem in (*many, *stems)),
        tuple(f"get{stem}byid" for stem in stems),
        tuple(f"create{stem}" for stem in stems),
        tuple(f"update{stem}byid" for stem in stems),
        tuple(f"delete{stem}byid" for stem in stems),
    )


RESOURCES: Mapping[str, Resource] = {
    "sgt": _resource("Sgt", ("sgt", "securitygroups"), "sgt", "securitygroup", many=("securitygroups",)),
    "sgacl": _resource("Sgacl", ("sgacl", "securitygroupsacls"), "sgacl", "securitygroupsacl"),
    "downloadable_acl": _resource("DownloadableAcl", ("downloadableacl",), "downloadableacl"),
    "authorization_profile": _resource(
        "AuthorizationProfile", ("authorizationprofile",), "authorizationprofile", many=("authorizationprofiles",)
    ),
    "egress_matrix_cell": _resource("EgressMatrixCell", ("egressmatrixcell",), "egressmatrixcell"),
    "endpoint": _resource("ERSEndPoint", ("endpoint",), "endpoint", many=("endpoints",)),
    "endpoint_group": _resource(
        "EndPointGroup", ("endpointgroup", "endpointidentitygroup"), "endpointgroup", many=("endpointgroups",)
    ),
    "anc_policy": _resource("ErsAncPolicy", ("ancpolicy",), "ancpolicy"),
    "ip_sgt_mapping": _resource("SGMapping", ("sgmapping", "iptosgtmapping"), "sgmapping", "iptosgtmapping"),
    "profiler_profile": _resource(
        "ProfilerProfile", ("profilerprofile",), "profilerprofile", many=("profilerprofiles",)
    ),
    "network_device": _resource("NetworkDevice", ("networkdevice",), "networkdevice", many=("networkdevices",)),
}


class NotFound(Exception):
    """The object does not exist."""


class Lost(Exception):
    """A create got no answer: whether it was carried out must be found out by reading."""


class _NoValidator:
    """Stands in for the SDK's schemas: they check types only and cost a second at every start (facts/ise.md section 2.5)."""

    def __init__(self, _version: str) -> None:
        pass

    def json_schema_validate(self, _model: str) -> _NoValidator:
        return self

    def validate(self, _value: Any) -> None:
        return None


def _member(owner: Any, names: tuple[str, ...], what: str) -> Any:
    wanted = set(names)
    for each in sorted(dir(owner)):
        if not each.startswith("_") and each.replace("_", "") in wanted:
            return getattr(owner, each)
    raise FindingError(codes.BAD_SPEC.at(f"this version of ciscoisesdk has no {what}"))


class IseClient:
    """One ISE node. Threads may share it. ``version`` chooses the SDK's method names, not what the server can do."""

    def __init__(
        self,
        base_url: str,
        username: str,
        password: str,
        *,
        version: str = "3.3_patch_1",
        ca_file: str = "",
        timeout: float = 30.0,
        rate: float = RATE,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        require(ciscoisesdk)
        self.base_url = checked_base_url(base_url)
        if not username or not password:
            raise FindingError(codes.BAD_SPEC.at(f"{self.base_url}: user name and password are needed"))
        if version not in VERSIONS:
            raise FindingError(
                codes.BAD_SPEC.at(f"{self.base_url}: version {version!r} is not one of {', '.join(VERSIONS)}")
            )
        if ca_file and not os.path.isfile(ca_file):
            raise FindingError(
                codes.BAD_SPEC.at(f"{self.base_url}: the certificate authority's file {ca_file} does not exist")
            )
        self._secrets = (password,)
        self._sleep = sleep
        self._adapter = OnceAdapter(ca_file or True, timeout, TokenBucket(rate, BURST))
        self._calls: dict[tuple[str, str], Any] = {}
        # The SDK logs what it sends, in old versions with the credentials (facts/ise.md section 2.4).
        logging.getLogger("ciscoisesdk").setLevel(logging.WARNING)
        self._api = ciscoisesdk.IdentityServicesEngineAPI(
            username=username,
            password=password,
            base_url=self.base_url,
            uses_api_gateway=True,
            single_request_timeout=max(1, int(timeout)),
            wait_on_rate_limit=False,
            verify=ca_file or True,
            version=version,
            debug=False,
            uses_csrf_token=False,
            validator=_NoValidator,
        )
        logging.getLogger("ciscoisesdk.restsession").setLevel(logging.WARNING)
        names = ("_session", "_session_ers", "_session_ui", "_session_mnt", "_session_px_grid")
        self._adapter.mount_on(
            session._req_session
            for session in (getattr(self._api, name, None) for name in names)
            if session is not None
        )

    @property
    def guard(self) -> MatrixGuard:
        """Return what keeps requests on the whole matrix back; see ``MatrixGuard.emergency``."""
        return self._adapter.guard

    @property
    def requests(self) -> int:
        """Return the number of requests sent so far."""
        return self._adapter.requests

    @property
    def writes(self) -> int:
        """Return the number of writing requests sent so far."""
        return self._adapter.writes

    def close(self) -> None:
        """Close all connections."""
        self._adapter.close()

    # -- objects

    def list_items(self, kind: str, name_filter: str = "") -> list[dict[str, Any]]:
        """Return id, name and description of all objects of a kind; a pager of our own that stops at the announced total.

        ``name_filter`` is one filter as ISE writes it (``value.EQ.20``). FindingError where the pages do not add up.
        """
        found: dict[str, dict[str, Any]] = {}
        page = 1
        while True:
            more = {"filter": name_filter} if name_filter else {}
            answer = self._body(self._call(kind, "items", "GET", page=page, size=PAGE_SIZE, **more))
            result = answer.get("SearchResult")
            if not isinstance(result, dict) or not isinstance(result.get("resources"), list):
                raise FindingError(codes.BAD_ANSWER.at(f"{self.base_url}: the list of {kind} has no resources"))
            total = int(result.get("total", 0))
            for item in result["resources"]:
                found[str(item["id"])] = {
                    "id": str(item["id"]),
                    "name": str(item.get("name", "")),
                    "description": str(item.get("description") or ""),
                }
            if page * PAGE_SIZE >= total:
                break
            if not result["resources"]:
                raise FindingError(
                    codes.BAD_ANSWER.at(f"{self.base_url}: the list of {kind} ends at {len(found)} of {total}")
                )
            page += 1
        if len(found) < total:
            raise FindingError(
                codes.BAD_ANSWER.at(
                    f"{self.base_url}: the list of {kind} has {len(found)} of {total} objects; it changed while it was read"
                )
            )
        return list(found.values())

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
            resource = RESOURCES[kind]
            family = _member(self._api, resource.families, kind)
            method = self._calls[kind, operation] = _member(
                family, getattr(resource, operation), f"{operation} of {kind}"
            )
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
                self._sleep(_pause(attempt))
            except Answered as answer:
                if answer.status == 404:
                    if verb == "DELETE" and lost:
                        return None
                    raise NotFound(what) from None
                wait = _wait_after(answer, attempt)
                if wait is None or not _may_repeat(verb, answer.status) or last:
                    raise self._refusal(verb, what, answer) from None
                self._sleep(wait)
            except ValueError as error:
                # An answer that was cut off: what was asked has been carried out.
                if verb == "POST":
                    raise Lost(type(error).__name__) from None
                lost = True
                if last:
                    raise self._error(codes.BAD_ANSWER, f"{verb} {what}: {type(error).__name__}") from None
                self._sleep(_pause(attempt))
        raise AssertionError("unreachable")

    def _refusal(self, verb: str, what: str, answer: Answered) -> FindingError:
        text = f"{verb} {what}: HTTP {answer.status} {error_text(answer.text)}".strip()
        if answer.status == 403:
            code = (
                codes.MULTIPLE_MATRICES
                if "matri" in text.lower() or "workflow" in text.lower()
                else codes.NOT_AUTHORIZED
            )
        elif answer.status in (429,):
            code = codes.RATE_LIMITED
        elif answer.status >= 500:
            code = codes.SERVER_FAILED
        elif answer.status < 400:
            code = codes.BAD_ANSWER
        elif "primary administration node" in text:
            code = codes.NOT_PRIMARY
        else:
            code = codes.REFUSED
        return self._error(code, text)

    def _error(self, code: Code, text: str) -> FindingError:
        return FindingError(code.at(redact_text(f"{self.base_url}: {text}", self._secrets)))

    def _body(self, answer: Any) -> dict[str, Any]:
        value = answer.response
        if not isinstance(value, dict):
            raise FindingError(codes.BAD_ANSWER.at(f"{self.base_url}: an answer is not JSON"))
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


def _pause(attempt: int) -> float:
    return min(LONGEST_WAIT, 0.2 * 3 ** (attempt - 1))


def _may_repeat(verb: str, status: int) -> bool:
    """429 was not carried out whatever the verb; 502 to 504 may have been, 500 is the server's own view and only a read repeats it."""
    if status == 429:
        return True
    if status in (502, 503, 504):
        return verb != "POST"
    return status == 500 and verb == "GET"


def _wait_after(answer: Answered, attempt: int) -> float | None:
    """Return the seconds to wait before the next attempt, as Retry-After says in whole, broken or dated form, at most LONGEST_WAIT."""
    if answer.status not in (429, 500, 502, 503, 504):
        return None
    value = {name.lower(): text for name, text in answer.headers.items()}.get("retry-after")
    if value is None:
        return _pause(attempt)
    try:
        return min(LONGEST_WAIT, max(0.05, float(value)))
    except ValueError:
        pass
    try:
        moment = email.utils.parsedate_to_datetime(value).timestamp()
    except (TypeError, ValueError):
        return _pause(attempt)
    return min(LONGEST_WAIT, max(0.05, moment - time.time()))
