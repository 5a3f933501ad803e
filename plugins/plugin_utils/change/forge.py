# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask GitHub or GitLab which request a commit came with and who reviewed it, in the shapes that review_exports.py reads.

Read only, over HTTPS with the certificate verified. Address, project and token come from the environment, as pipelines set it.
GitHub: ``GET /repos/OWNER/REPO/commits/SHA/pulls`` and ``.../pulls/NUMBER/reviews``. GitLab:
``GET /projects/ID/repository/commits/SHA/merge_requests`` and of each request itself, ``/approvals``, ``/versions`` and ``/notes``. Both
page by the header ``Link`` (RFC 8288) and limit rates by 429, or 403 on GitHub, with ``Retry-After`` or the time at which the limit ends.
"""

from __future__ import annotations

import http.client
import re
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.message import Message
from typing import Any, NoReturn

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.json_io import SIZE_LIMIT_BYTES, parse_json
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.redact import redact_text
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes

GITHUB, GITLAB = "github", "gitlab"
VARIABLE = "SEGWRIGHT_FORGE_TOKEN"
# What each forge's pipelines call the address of its API and the project.
PLACES = {GITHUB: ("GITHUB_API_URL", "GITHUB_REPOSITORY"), GITLAB: ("CI_API_V4_URL", "CI_PROJECT_ID")}
MOST_PAGES, ATTEMPTS = 50, 4
LONGEST_WAIT_SECONDS = 120
LARGEST_BYTES = SIZE_LIMIT_BYTES
TIMEOUT_SECONDS = 30
_PROJECT = {GITHUB: re.compile(r"[A-Za-z0-9_.-]{1,100}/[A-Za-z0-9_.-]{1,100}"), GITLAB: re.compile(r"[0-9]{1,12}")}
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_NEXT = re.compile(r'<([^<>]*)>\s*(?:;[^,<]*)?;\s*rel="?next"?', re.I)
_LIMITED, _BUSY = 429, frozenset((500, 502, 503, 504))


@dataclass(frozen=True)
class Request:
    """A merged pull or merge request: where it is, and what the forge exports of its reviews."""

    name: str
    export: Any


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The token goes to the address that was named, and to no other."""

    def redirect_request(self, *_arguments: Any) -> None:
        """Follow nothing."""


@dataclass(frozen=True)
class Forge:
    """One project of one forge. ``token`` is in no text that this class makes."""

    kind: str
    api: str
    project: str
    token: str = field(repr=False)
    sleep: Callable[[float], None] = time.sleep

    @classmethod
    def of(cls, kind: str, environment: Mapping[str, str]) -> Forge:
        """Return the forge whose pipeline this is. FindingError SW4187 where its variables are missing or cannot be."""
        if kind not in PLACES:
            raise FindingError(codes.FORGE_FAILED.at(f"{kind[:40]} is no forge that is known: {', '.join(PLACES)}"))
        address, project = PLACES[kind]
        for name in (address, project, VARIABLE):
            if not environment.get(name, "").strip():
                raise FindingError(codes.FORGE_FAILED.at(f"the environment variable {name} is not set"))
        api, token = environment[address].strip().rstrip("/"), environment[VARIABLE].strip()
        parts = urllib.parse.urlsplit(api)
        if parts.scheme != "https" or not parts.hostname or parts.username or parts.query or parts.fragment:
            raise FindingError(codes.FORGE_FAILED.at(f"{address} is no https address without user and query"))
        if not token.isascii() or not token.isprintable() or " " in token:
            raise FindingError(codes.FORGE_FAILED.at(f"{VARIABLE} holds what cannot be a token"))
        if not _PROJECT[kind].fullmatch(environment[project].strip()):
            raise FindingError(codes.FORGE_FAILED.at(f"{project} names no project"))
        return cls(kind, api, environment[project].strip(), token)

    def requests_of(self, commit: str) -> list[Request]:
        """Return the merged requests whose merge a commit is, each with its export; none for a commit that came without one."""
        if not _COMMIT.fullmatch(commit):
            raise FindingError(codes.FORGE_FAILED.at("no full hash of a commit"))
        return self._of_github(commit) if self.kind == GITHUB else self._of_gitlab(commit)

    def _of_github(self, commit: str) -> list[Request]:
        base = f"/repos/{self.project}"
        made = []
        for number, item in self._found(f"{base}/commits/{commit}/pulls", "number"):
            # A commit stands in other requests too: that were closed, or to be merged elsewhere.
            if not item.get("merged_at") or item.get("merge_commit_sha") != commit:
                continue
            reviews = self._all(f"{base}/pulls/{number}/reviews")
            for review in reviews:
                if not str(review.get("pull_request_url", "")).lower().endswith(f"{base}/pulls/{number}".lower()):
                    self._fail(f"a review of another pull request than {number}")
            made.append(Request(f"{self.project}#{number}", reviews))
        return made

    def _of_gitlab(self, commit: str) -> list[Request]:
        base = f"/projects/{self.project}"
        made = []
        for number, item in self._found(f"{base}/repository/commits/{commit}/merge_requests", "iid"):
            # Without a merge commit the branch was moved forward: its last commit is the merge.
            merge = item.get("merge_commit_sha") or item.get("squash_commit_sha") or item.get("sha")
            if item.get("state") != "merged" or merge != commit:
                continue
            place = f"{base}/merge_requests/{number}"
            request = self._one(place)
            if request.get("iid") != number or request.get("id") != item.get("id"):
                self._fail(f"another merge request than {number}")
            export: dict[str, Any] = {"merge_request": request, "approvals": self._one(f"{place}/approvals")}
            export |= {name: self._all(f"{place}/{name}") for name in ("versions", "notes")}
            made.append(Request(f"{self.project}!{number}", export))
        return made

    def _found(self, path: str, name: str) -> list[tuple[int, Mapping[str, Any]]]:
        found: list[tuple[int, Mapping[str, Any]]] = []
        for item in self._all(path):
            number = item.get(name)
            if isinstance(number, bool) or not isinstance(number, int) or number < 1:
                self._fail(f"a request without its {name}")
            found.append((number, item))
        return found

    def _one(self, path: str) -> dict[str, Any]:
        value, _following = self._answer(self.api + path)
        if not isinstance(value, dict):
            self._fail(f"{path} is no object")
        return value

    def _all(self, path: str) -> list[dict[str, Any]]:
        """Return a list of all pages, as the forge orders it."""
        url, made, seen = f"{self.api}{path}?per_page=100", [], set()
        while url:
            seen.add(url)
            value, following = self._answer(url)
            if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
                self._fail(f"{path} is no list of objects")
            made += value
            url = self._own(urllib.parse.urljoin(url, following), path) if following else ""
            if url in seen or len(seen) >= MOST_PAGES:
                self._fail(f"{path} goes on with a page that was read, or has more than {MOST_PAGES}")
        return made

    def _own(self, url: str, path: str) -> str:
        """Return the next page's address; GitHub may name the repository by its number there."""
        here, there = urllib.parse.urlsplit(self.api), urllib.parse.urlsplit(url)
        last = path.rsplit("/", 1)[1]
        inside = there.path.startswith(f"{here.path}/") and there.path.endswith(f"/{last}") and ".." not in there.path
        if (there.scheme, there.netloc) != (here.scheme, here.netloc) or not inside:
            self._fail(f"{path} goes on at another place ({there.netloc[:80]})")
        return url

    def _answer(self, url: str) -> tuple[Any, str]:
        """Return the value of an answer and where the list goes on, empty where it ends."""
        path = urllib.parse.urlsplit(url).path
        for attempt in range(1, ATTEMPTS + 1):
            status, headers, data = self._got(url, path)
            if status == http.client.OK:
                if len(data) > LARGEST_BYTES:
                    self._fail(f"{path}: an answer of more than {LARGEST_BYTES >> 20} MiB")
                try:
                    value = parse_json(data.decode("utf-8"), path).value
                except (ValueError, FindingError):
                    self._fail(f"{path}: an answer that is no JSON")
                following = _NEXT.search(headers.get("link") or "")
                return value, following.group(1) if following else ""
            limited = status == _LIMITED or (status == http.client.FORBIDDEN and _is_limit(headers, data))
            if not limited and status not in _BUSY:
                self._fail(f"{path}: {status}, {_WORDS.get(status, 'which is no answer to this question')}")
            wait = _seconds(headers, attempt)
            if attempt == ATTEMPTS or wait > LONGEST_WAIT_SECONDS:
                word = "it limits the rate of requests" if limited else "it is not there now"
                self._fail(f"{path}: {status}, {word}; run the job again in {wait:.0f} s or later")
            self.sleep(wait)
        raise AssertionError("the last attempt returns or fails")

    def _got(self, url: str, path: str) -> tuple[int, Mapping[str, str], bytes]:
        headers = {"User-Agent": "segwright", "Accept": "application/json", "PRIVATE-TOKEN": self.token}
        if self.kind == GITHUB:
            headers |= {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
            del headers["PRIVATE-TOKEN"]
            headers["Authorization"] = f"Bearer {self.token}"
        handlers = (_NoRedirect(), urllib.request.HTTPSHandler(context=ssl.create_default_context()))
        try:
            opener = urllib.request.build_opener(*handlers)
            asked = urllib.request.Request(url, headers=headers)  # noqa: S310 - https, as Forge.of and _own see to
            with opener.open(asked, timeout=TIMEOUT_SECONDS) as answer:
                return answer.status, _lower(answer.headers), answer.read(LARGEST_BYTES + 1)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, _lower(error.headers), error.read(64 * 1024)
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = getattr(error, "reason", error)
            self._fail(f"{path}: {type(reason).__name__}: {reason}")

    def _fail(self, text: str) -> NoReturn:
        host = urllib.parse.urlsplit(self.api).netloc
        raise FindingError(codes.FORGE_FAILED.at(redact_text(f"{self.kind} ({host}): {text}", (self.token,))[:400]))


_WORDS = {
    301: "it has moved, and the token follows nowhere",
    302: "it has moved, and the token follows nowhere",
    307: "it has moved, and the token follows nowhere",
    308: "it has moved, and the token follows nowhere",
    401: "the token is unknown or has ended",
    403: "the token may not read this",
    404: "there is no such thing, or the token may not see it",
}


def _lower(headers: Message) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _is_limit(headers: Mapping[str, str], data: bytes) -> bool:
    """Return whether GitHub's 403 is about the rate, and not about what the token may read."""
    spent = headers.get("x-ratelimit-remaining") == "0"
    return spent or bool(headers.get("retry-after")) or b"rate limit" in data.lower()


def _seconds(headers: Mapping[str, str], attempt: int) -> float:
    """Return how long to wait: as the forge says, else twice as long each time."""
    after, until = headers.get("retry-after") or "", headers.get("x-ratelimit-reset") or ""
    if after.isdigit():
        return float(after[:9])
    if until.isdigit() and headers.get("x-ratelimit-remaining") == "0":
        return max(1.0, float(until[:12]) - time.time())
    return float(2**attempt)
