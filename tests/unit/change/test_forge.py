# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the export asks a forge, over HTTPS: every page, only requests that the commit merged, and a finding for every other answer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.forge import Forge, Request
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.review_exports import reviews_in
from tests.lab.forge import OWNER_REPO, TOKEN, ForgeServer, forge_server
from tests.unit.change.gitlab_reviews import note, of_gitlab

MERGE, HEAD, OTHER = "e" * 40, "b" * 40, "d" * 40


@pytest.fixture(params=["github", "gitlab"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ForgeServer]:
    with forge_server(request.param, tmp_path) as made:
        yield made


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def forge(server: ForgeServer, waits: list[float], monkeypatch: pytest.MonkeyPatch) -> Forge:
    monkeypatch.setenv("SSL_CERT_FILE", str(server.ca_file))
    return replace(Forge.of(server.kind, server.environment), sleep=waits.append)


def reviewed(kind: str, *accounts: str) -> Any:
    """Return what a forge keeps of approvals by these accounts, with more pages than one."""
    if kind == "github":
        return [
            {"user": {"login": account}, "state": state, "commit_id": HEAD}
            for account in accounts
            for state in ("COMMENTED", "CHANGES_REQUESTED", "APPROVED")
        ]
    moments = [(account, f"2026-11-23T10:3{at}:00.000Z") for at, account in enumerate(accounts)]
    notes = [note(account, "approved this merge request", moment) for account, moment in moments]
    notes += [note("eve", f"word {at}", f"2026-11-23T11:0{at}:00.000Z") for at in range(6)]
    return of_gitlab(
        [(OTHER, "2026-11-23T09:00:00Z"), (OTHER, "2026-11-23T09:30:00Z"), (HEAD, "2026-11-23T10:00:00Z")],
        moments,
        notes,
    )


def approved(request: Request) -> list[tuple[str, str]]:
    return [(item.account, item.commit) for item in reviews_in(request.export) if item.state == "approved"]


def refused(forge: Forge, commit: str = MERGE) -> str:
    with pytest.raises(FindingError) as caught:
        forge.requests_of(commit)
    (finding,) = caught.value.findings
    assert finding.code == "SW4187" and TOKEN not in str(finding) and len(finding.message) < 500
    return finding.message


def test_every_page_of_the_request_that_was_merged_is_read(server: ForgeServer, forge: Forge) -> None:
    server.put(MERGE, 17, reviewed(server.kind, "ben-b", "carl-c"))
    (request,) = forge.requests_of(MERGE)
    assert approved(request) == [("ben-b", HEAD), ("carl-c", HEAD)] and "17" in request.name
    pages = [
        target
        for target, _given in server.asked
        if "page=3" in target and target.split("?")[0].endswith(("reviews", "notes"))
    ]
    assert pages, server.asked
    assert forge.requests_of(OTHER) == []  # a commit that was pushed without a request


def test_a_request_that_the_commit_does_not_merge_says_nothing(server: ForgeServer, forge: Forge) -> None:
    """The commit stands in it, but it was closed, is open, or was merged as another commit."""
    mine = reviewed(server.kind, "mallory-m")
    open_one = {"merged_at": None, "state": "open"} if server.kind == "github" else {"state": "opened"}
    server.put(MERGE, 16, mine, **open_one)
    server.put(MERGE, 18, mine, merge=OTHER)
    assert forge.requests_of(MERGE) == []
    server.put(MERGE, 17, reviewed(server.kind, "ben-b"))
    assert [approved(item) for item in forge.requests_of(MERGE)] == [[("ben-b", HEAD)]]


def test_answers_of_another_request_are_refused(server: ForgeServer, forge: Forge) -> None:
    server.put(MERGE, 17, reviewed(server.kind, "ben-b"))
    if server.kind == "github":
        server.answers[f"/repos/{OWNER_REPO}/pulls/17/reviews"][-1]["pull_request_url"] = (
            f"{server.url}/repos/{OWNER_REPO}/pulls/117"
        )
    else:
        server.answers["/projects/3/merge_requests/17"] = {**server.answers["/projects/3/merge_requests/17"], "id": 902}
    assert "another" in refused(forge)


@pytest.mark.parametrize(
    ("status", "word"), [(401, "unknown or has ended"), (403, "may not read"), (404, "may not see"), (302, "moved")]
)
def test_a_refusal_is_a_finding_that_says_why(
    server: ForgeServer, forge: Forge, waits: list[float], status: int, word: str
) -> None:
    server.put(MERGE, 17, reviewed(server.kind, "ben-b"))
    last = "/reviews" if server.kind == "github" else "/versions"
    more = {"Location": "https://127.0.0.2:9/elsewhere"} if status == 302 else {}
    server.fault = lambda path, _times: (status, more, {"message": f"no, {TOKEN}"}) if path.endswith(last) else None
    said = refused(forge)
    assert word in said and str(status) in said and last in said and not waits


def test_a_wrong_token_a_stranger_s_certificate_and_no_server(
    server: ForgeServer, forge: Forge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "401" in refused(replace(forge, token="another"))
    monkeypatch.delenv("SSL_CERT_FILE")
    assert "CERTIFICATE_VERIFY_FAILED" in refused(forge)
    assert all(given != f"Bearer {TOKEN}" and given != TOKEN for _target, given in server.asked)
    assert "refused" in refused(replace(forge, api="https://127.0.0.1:9/api/v4")).lower()


def test_a_limit_is_waited_for_as_long_as_it_says(server: ForgeServer, forge: Forge, waits: list[float]) -> None:
    server.put(MERGE, 17, reviewed(server.kind, "ben-b"))
    server.fault = lambda _path, times: (
        (429, {"Retry-After": "7"}, {}) if times == 1 else (503, {}, b"busy") if times == 2 else None
    )
    assert [approved(item) for item in forge.requests_of(MERGE)] == [[("ben-b", HEAD)]]
    assert set(waits) == {7.0, 4.0}
    # Longer than a job should hang, or for ever: it ends, and says when to come back.
    server.fault = lambda _path, _times: (429, {"Retry-After": "3600"}, {})
    del waits[:]
    assert "in 3600 s" in refused(forge) and not waits
    server.fault = lambda _path, _times: (429, {}, {})
    assert "limits the rate" in refused(forge) and waits == [2.0, 4.0, 8.0]


def test_github_says_403_of_a_limit_too(tmp_path: Path, waits: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    with forge_server("github", tmp_path) as server:
        monkeypatch.setenv("SSL_CERT_FILE", str(server.ca_file))
        forge = replace(Forge.of("github", server.environment), sleep=waits.append)
        reset = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(time.time()) + 20)}
        server.fault = lambda _path, times: (403, reset, {"message": "API rate limit exceeded"}) if times == 1 else None
        assert forge.requests_of(MERGE) == [] and 1 <= waits[0] <= 20
        secondary = {"message": "You have exceeded a secondary rate limit"}
        server.fault = lambda _path, times: (403, {}, secondary) if times == 3 else None
        assert forge.requests_of(MERGE) == [] and len(waits) == 2


def test_what_is_no_answer_is_a_finding(server: ForgeServer, forge: Forge) -> None:
    server.put(MERGE, 17, reviewed(server.kind, "ben-b"))
    elsewhere = {"Link": '<https://127.0.0.2:9/api/v4/pulls?page=2>; rel="next"'}
    (listed,) = [path for path in server.answers if "/commits/" in path]
    loop = {"Link": f'<{server.url}{listed}?per_page=100>; rel="next"'}
    for fault, word in (
        ((200, {}, b"<html>sign in</html>"), "no JSON"), ((200, {}, {"message": "?"}), "no list"), ((200, {}, [1]), "no list"),
        ((200, {}, [{}]), "without its"), ((200, elsewhere, []), "another place"), ((200, loop, []), "was read"),
        ((200, {}, b"[" + b" " * (9 << 20) + b"]"), "more than"),
    ):  # fmt: skip
        server.fault = lambda path, _times, made=fault: made if path == listed else None  # type: ignore[misc]
        assert word in refused(forge), fault


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("api", ""), ("api", "http://127.0.0.1/api"), ("api", "https://user:word@forge/api"), ("api", "https://forge/api?a=b"),
        ("project", ""), ("project", "../../user"), ("project", "a/b/../c"), ("token", ""), ("token", "two words"), ("token", "a\nb"),
    ],
)  # fmt: skip
def test_an_environment_that_cannot_be_is_refused(name: str, value: str) -> None:
    for kind, names in (
        ("github", {"api": "GITHUB_API_URL", "project": "GITHUB_REPOSITORY"}),
        ("gitlab", {"api": "CI_API_V4_URL", "project": "CI_PROJECT_ID"}),
    ):
        good = {
            names["api"]: "https://forge/api",
            names["project"]: "a/b" if kind == "github" else "3",
            "SEGWRIGHT_FORGE_TOKEN": TOKEN,
        }
        assert TOKEN not in repr(Forge.of(kind, good))
        with pytest.raises(FindingError) as caught:
            Forge.of(kind, {**good, {**names, "token": "SEGWRIGHT_FORGE_TOKEN"}[name]: value})
        assert "SW4187" in str(caught.value) and "word" not in str(caught.value).replace("two words", "")
    with pytest.raises(FindingError):
        Forge.of("bitbucket", {})
