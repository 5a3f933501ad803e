# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A GitHub and a GitLab that are only as much of one as the export of reviews needs: GET over HTTPS with a token, pages, faults.

Shapes and headers are those of their REST documentation: GitHub takes ``Authorization: Bearer``, calls the next page by the
repository's number, and answers 404 for what a token may not see; GitLab takes ``PRIVATE-TOKEN`` and names the next page in ``Link``
too. Of ``per_page`` both give at most ``most``.
"""

from __future__ import annotations

import json
import ssl
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.lab.ise.certificates import server_certificate

# (status, headers, body) in place of what would be answered.
Answer = tuple[int, dict[str, str], Any]
TOKEN = "ghs_16C7e42F292c6912E7710c838347Ae178B4a"
OWNER_REPO, PROJECT = "network/policies", "3"


@dataclass
class ForgeServer:
    """``answers`` are values by path below the API; lists are paged. ``fault`` takes the path and how often it was asked for."""

    kind: str
    answers: dict[str, Any] = field(default_factory=dict)
    most: int = 2
    fault: Callable[[str, int], Answer | None] = lambda _path, _times: None
    url: str = ""
    ca_file: Path = Path()
    asked: list[tuple[str, str]] = field(default_factory=list)

    @property
    def root(self) -> str:
        """Return the path below which the API lies, as a server of one's own has it."""
        return "/api/v3" if self.kind == "github" else "/api/v4"

    @property
    def environment(self) -> dict[str, str]:
        """Return what a pipeline of this forge sets, with the token that the job adds."""
        more = {"SEGWRIGHT_FORGE_TOKEN": TOKEN, "SSL_CERT_FILE": str(self.ca_file)}
        if self.kind == "github":
            return {**more, "GITHUB_API_URL": self.url, "GITHUB_REPOSITORY": OWNER_REPO}
        return {**more, "CI_API_V4_URL": self.url, "CI_PROJECT_ID": PROJECT}

    def put(self, commit: str, number: int, reviews: Any, merge: str = "", **more: Any) -> None:
        """Let a request be one that a commit belongs to; ``merge`` is what it was merged as, where it is not that commit."""
        if self.kind == "github":
            base = f"/repos/{OWNER_REPO}"
            item = {
                "number": number, "state": "closed", "merged_at": "2026-11-23T12:00:00Z", "merge_commit_sha": merge or commit,
                "base": {"ref": "main"}, "user": {"login": "otto-o"}, **more,
            }  # fmt: skip
            place = f"{base}/pulls/{number}"
            self.answers.setdefault(f"{base}/commits/{commit}/pulls", []).append(item)
            self.answers[f"{place}/reviews"] = [{"pull_request_url": f"{self.url}{place}", **item} for item in reviews]
            return
        base = f"/projects/{PROJECT}"
        request = {**reviews["merge_request"], "iid": number, "merge_commit_sha": merge or commit, **more}
        place = f"{base}/merge_requests/{number}"
        self.answers.setdefault(f"{base}/repository/commits/{commit}/merge_requests", []).append(request)
        self.answers[place] = request
        self.answers[f"{place}/approvals"] = {**reviews["approvals"], "iid": number}
        for name in ("versions", "notes"):
            self.answers[f"{place}/{name}"] = reviews[name]

    def answer(self, target: str, headers: dict[str, str]) -> Answer:
        """Return what is answered to a GET."""
        parts = urllib.parse.urlsplit(target)
        given = headers.get("authorization") if self.kind == "github" else headers.get("private-token")
        self.asked.append((target, given or ""))
        path = parts.path.removeprefix(self.root).replace("/repositories/1296269/", f"/repos/{OWNER_REPO}/")
        made = self.fault(path, sum(urllib.parse.urlsplit(each).path == parts.path for each, _given in self.asked))
        if made is not None:
            return made
        if given != (f"Bearer {TOKEN}" if self.kind == "github" else TOKEN):
            return 401, {}, {"message": "Bad credentials"}
        if not parts.path.startswith(self.root) or path not in self.answers:
            # Neither forge knows a list of requests for a commit that it has not; those of a known commit may be none.
            known = path.endswith(("/pulls", "/merge_requests")) and "/commits/" in path
            return (200, {}, []) if known else (404, {}, {"message": "Not Found"})
        value = self.answers[path]
        if not isinstance(value, list):
            return 200, {}, value
        query = urllib.parse.parse_qs(parts.query)
        size, page = min(self.most, int(query.get("per_page", ["30"])[0])), int(query.get("page", ["1"])[0])
        more: dict[str, str] = {}
        if page * size < len(value):
            named = path.replace(f"/repos/{OWNER_REPO}/", "/repositories/1296269/")
            first, following = (f"<{self.url}{named}?per_page={size}&page={at}>" for at in (1, page + 1))
            more["Link"] = f'{first}; rel="first", {following}; rel="next"'
        return 200, more, value[(page - 1) * size : page * size]


@contextmanager
def forge_server(kind: str, folder: Path) -> Iterator[ForgeServer]:
    """Give a forge on loopback whose certificate only ``ca_file`` vouches for."""
    forge = ForgeServer(kind)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, value = forge.answer(
                self.path, {name.lower(): text for name, text in self.headers.items()}
            )
            body = value if isinstance(value, bytes) else json.dumps(value).encode()
            self.send_response(status)
            for name, text in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, text)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: Any) -> None:
            """Say nothing."""

    certificate = server_certificate(folder, "127.0.0.1")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.server_file)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    forge.url, forge.ca_file = f"https://127.0.0.1:{server.server_address[1]}{forge.root}", certificate.ca_file
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield forge
    finally:
        server.shutdown()
        server.server_close()
