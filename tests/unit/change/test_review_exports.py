# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Merge requests of GitLab as reviews: which commit an approval is of, what takes it back, and what is no export."""

from __future__ import annotations

import copy
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.json_io import parse_json
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.review_exports import Review, reviews_in
from tests.unit.change.gitlab_reviews import note, of_gitlab

FIRST, LAST = "a" * 40, "b" * 40
PUSHED, LATER = "2026-11-23T09:00:00.000Z", "2026-11-23T10:00:00.000Z"
DOCS = Path(__file__).resolve().parents[3] / "docs" / "change" / "approval.md"


def export(*approvals: tuple[str, str], notes: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    return of_gitlab([(FIRST, PUSHED), (LAST, LATER)], approvals, notes)


def approved(value: Any) -> list[tuple[str, str]]:
    return [(item.account, item.commit) for item in reviews_in(value) if item.state == "approved"]


def test_an_approval_is_of_the_commit_that_was_the_newest_when_it_was_given() -> None:
    early, late = ("dora-d", "2026-11-23T09:30:00.000Z"), ("carl-c", "2026-11-23T10:00:00.001Z")
    assert approved(export(early, late)) == [("dora-d", FIRST), ("carl-c", LAST)]
    assert approved(export(("dora-d", LATER))) == [
        ("dora-d", FIRST)
    ]  # at the very moment of the push: of what was before
    assert approved(export(("dora-d", "2026-11-23T11:00:00+01:00"))) == [("dora-d", FIRST)]
    assert approved(export(("dora-d", "2026-11-23T11:00:01+01:00"))) == [("dora-d", LAST)]
    assert reviews_in(export()) == []


@pytest.mark.parametrize(
    "body",
    [
        "unapproved this merge request",
        "requested changes",
        "reset approvals from @carl-c, @Dora-D, and @eve by pushing to the branch",
    ],
)
def test_what_gitlab_notes_as_taken_back_does_not_count(body: str) -> None:
    given, after = "2026-11-23T10:30:00.000Z", "2026-11-23T10:31:00.000Z"
    who = "somebody" if body.startswith("reset") else "dora-d"
    assert approved(export(("dora-d", given), notes=(note(who, body, after),))) == []
    assert reviews_in(export(("dora-d", given), notes=(note(who, body, after),)))[0].state == "unapproved"
    assert approved(export(("dora-d", given), notes=(note(who, body, given),))) == []
    # Before the approval it took back another one; words of a person take nothing back, nor do those about others.
    assert approved(export(("dora-d", after), notes=(note(who, body, given),))) == [("dora-d", LAST)]
    assert approved(export(("dora-d", given), notes=(note(who, body, after, system=False),))) == [("dora-d", LAST)]
    others = body.replace("@Dora-D", "@dora")
    assert approved(export(("dora-d", given), notes=(note("carl-c", others, after),))) == [("dora-d", LAST)]


def test_who_asks_for_the_merge_does_not_approve_it() -> None:
    late = "2026-11-23T10:30:00.000Z"
    made = reviews_in(export(("Nina-N", late), ("dora-d", late)))
    assert made == [Review("Nina-N", "own_request", commit=LAST), Review("dora-d", "approved", commit=LAST)]


def test_what_may_lack_the_end_or_is_of_several_requests_is_refused() -> None:
    good = export(
        ("dora-d", "2026-11-23T10:30:00.000Z"), notes=(note("eve", "a word", PUSHED), note("eve", "two", LATER))
    )
    assert approved(good) == [("dora-d", LAST)]

    def refused(*path: Any, value: Any) -> str:
        wrong = copy.deepcopy(good)
        place = wrong
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value
        with pytest.raises(FindingError) as caught:
            reviews_in(wrong)
        (finding,) = caught.value.findings
        assert finding.code == "SW4185" and "approval.md" in finding.hint
        return finding.message

    assert "is opened" in refused("merge_request", "state", value="opened")
    assert "not of the commit that was merged" in refused("merge_request", "sha", value=FIRST)
    assert "not of the commit that was merged" in refused("versions", value=good["versions"][1:])
    assert "not of the commit that was merged" in refused("versions", value=[])
    assert "newest first" in refused("versions", value=good["versions"][::-1])
    assert "newest first" in refused("notes", value=good["notes"][::-1])
    assert "different" in refused("approvals", "iid", value=18)
    assert "different" in refused("approvals", "project_id", value=4)
    assert "different" in refused("versions", 1, "merge_request_id", value=7)
    assert "different" in refused("notes", 0, "noteable_id", value=7)
    assert "older versions" in refused("approvals", "approved_by", 0, "approved_at", value=None)
    assert "no zone" in refused("approvals", "approved_by", 0, "approved_at", value="2026-11-23T10:30:00")
    assert "do not reach back" in refused("approvals", "approved_by", 0, "approved_at", value=PUSHED)
    for value in ("yesterday", 5, "", "0001-01-01T00:00:00+14:00", "9" * 4000):
        refused("approvals", "approved_by", 0, "approved_at", value=value)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield from places(value[key], (*path, key))


@pytest.mark.parametrize("garbage", [None, "", "x" * 3000, -1, [], {}, [[]], {"a": 1}, True, "missing"])
def test_a_garbled_part_is_a_finding_or_approves_no_more(garbage: Any) -> None:
    taken = note("carl-c", "unapproved this merge request", "2026-11-23T10:40:00.000Z")
    late = "2026-11-23T10:30:00.000Z"
    good = export(("dora-d", "2026-11-23T09:30:00.000Z"), ("carl-c", late), ("nina-n", late), notes=(taken,))
    before = set(approved(good))
    assert before == {("dora-d", FIRST)}
    refused: list[Finding] = []
    for path in places(good):
        wrong = copy.deepcopy(good)
        place = wrong
        for step in path[:-1]:
            place = place[step]
        if garbage == "missing":
            del place[path[-1]]
        else:
            place[path[-1]] = garbage
        try:
            extra = {account for account, _commit in approved(wrong)} & {"carl-c", "nina-n"}
        except FindingError as error:
            refused += error.findings
            continue
        # A part that is gone or garbled must not turn a no into a yes. Other words, or another name, are another export.
        told = path[:1] == ("notes",) and (len(path) <= 2 or path[2:] in (("body",), ("author", "username")))
        assert not extra or told or path == ("merge_request", "author", "username"), path
    assert len(refused) > 10 and {finding.code for finding in refused} == {"SW4185"}
    assert all(len(finding.message) < 400 for finding in refused)


def test_a_cut_file_is_a_finding_everywhere() -> None:
    text = json.dumps(export(("dora-d", "2026-11-23T10:30:00.000Z")))
    for end in range(0, len(text), 7):
        with pytest.raises(FindingError):
            reviews_in(parse_json(text[:end], "reviews.json").value)


def test_the_command_in_the_documentation_makes_what_is_read(tmp_path: Path) -> None:
    value = export(("dora-d", "2026-11-23T10:30:00.000Z"))
    (block,) = re.findall(r"^ *\$ (mr=projects/.*?reviews\.json)$", DOCS.read_text(encoding="utf-8"), re.M | re.S)
    command = "\n".join(line.strip().removeprefix("$ ") for line in block.splitlines())
    base = re.search(r"mr=(\S+)", command)[1]  # type: ignore[index]
    answers = {base: "merge_request", f"{base}/approvals": "approvals"}
    answers |= {f"{base}/{name}?per_page=100": name for name in ("versions", "notes")}
    cases = "\n".join(f"'api {path}') printf '%s' '{json.dumps(value[name])}' ;;" for path, name in answers.items())
    fake = tmp_path / "glab"
    fake.write_text(f'#!/bin/sh\ncase "$*" in\n{cases}\n*) echo "no $*" >&2; exit 1 ;;\nesac\n', encoding="utf-8")
    fake.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    subprocess.run(["sh", "-ec", command], cwd=tmp_path, env=environment, check=True)
    assert json.loads((tmp_path / "reviews.json").read_text(encoding="utf-8")) == value
    # One answer is refused: no export.
    fake.write_text(fake.read_text(encoding="utf-8").replace("/approvals'", "/other'"), encoding="utf-8")
    assert subprocess.run(
        ["sh", "-ec", command], cwd=tmp_path, env=environment, check=False, capture_output=True
    ).returncode
    with pytest.raises(FindingError):
        parse_json((tmp_path / "reviews.json").read_text(encoding="utf-8"), "reviews.json")


def test_a_pipeline_finds_the_request_in_what_gitlab_writes_into_merges(tmp_path: Path) -> None:
    (line,) = re.findall(r"^ *(mr=projects/\$CI_PROJECT_ID.*)$", DOCS.read_text(encoding="utf-8"), re.M)
    git = tmp_path / "git"
    message = "Merge branch 'wider' into 'main'\\n\\nCloses !4\\n\\nSee merge request network/policies!17\\n"
    git.write_text(f'#!/bin/sh\n[ "$*" = "log -1 --format=%B {LAST}" ] && printf "{message}"\n', encoding="utf-8")
    git.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "CI_PROJECT_ID": "3",
        "CI_COMMIT_SHA": LAST,
    }
    done = subprocess.run(
        ["sh", "-ec", f'{line}; echo "$mr"'], env=environment, check=True, capture_output=True, text=True
    )
    assert done.stdout == "projects/3/merge_requests/17\n"
