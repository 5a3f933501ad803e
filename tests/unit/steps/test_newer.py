# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A posture in the middle of a rollout: what rings of another commit have put in force stays as that commit has it."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import Journal
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import (
    Compiled,
    DesiredObject,
    DesiredTarget,
    PointList,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.newer import (
    Newer,
    newer_than,
    put_in_force,
    with_objects,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.paths import Paths
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.posture import (
    _only_what_is_in_force,
    split_steps,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.site import sound_site
from tests.unit.change.fake import FakeTarget
from tests.unit.change.test_change import plan_for
from tests.unit.steps.test_commits import checkout, git  # noqa: F401  (checkout is a fixture)
from tests.unit.steps.test_postures import MONDAY, POSTURES

OLD, NEW = "1" * 40, "2" * 40


class Entries(list[dict[str, Any]]):
    def add(self, event: str, plan: str = "p", **more: Any) -> Entries:
        self.append({"event": event, "plan_id": plan, **more})
        return self

    def step(self, number: str, name: str, plan: str = "p", action: str = "update", done: bool = True) -> Entries:
        operation = {"id": number, "kind": "list", "name": name, "action": action}
        self.add("operation_started", plan, target="h", operation=operation)
        return self.add("operation_done", plan, target="h", operation_id=number) if done else self


def key(name: str) -> tuple[str, str, str]:
    return ("h", "list", name)


def test_what_rings_have_put_in_force_by_the_journal() -> None:
    made = Entries().add("plan_started", "o", policy_commit=OLD).step("1", "a", "o").add("plan_done", "o")
    assert put_in_force(made) == {}  # all of it is as that commit has it
    made.add("plan_started", policy_commit=NEW, ring="one").step("1", "a").step("2", "b").step("3", "c", done=False)
    made.step("4", "push", action="push").add("ring_done")
    assert put_in_force(made) == {key("a"): NEW, key("b"): NEW}
    # An emergency is none of it, and ends nothing.
    made.add("plan_started", "e", policy_commit=OLD, emergency={"person": "x"}).step("1", "a", "e").add(
        "plan_done", "e"
    )
    assert put_in_force(made) == {key("a"): NEW, key("b"): NEW}
    made.add("undo_done", target="h", operation_id="1")
    assert put_in_force(made) == {key("b"): NEW}
    made.add("plan_done")
    assert put_in_force(made) == {}


def compiled(**texts: str) -> Compiled:
    objects = tuple(DesiredObject("list", name, {"text": text}) for name, text in texts.items())
    lists = tuple(
        PointList(f"p-{name}", "dacl", text, "h", name, "enforce", (), False, False) for name, text in texts.items()
    )
    return Compiled(lists, (DesiredTarget("h", "x", objects),))


def bodies(made: Compiled) -> dict[str, Any]:
    found = {item.name: item.body["text"] for target in made.targets for item in target.objects}
    assert {item.name: item.platform for item in made.lists} == found
    return found


def test_objects_are_taken_from_the_commit_that_put_them_in_force() -> None:
    old, new = compiled(a="a1", b="b1", gone="g1"), compiled(a="a2", b="b2", added="n2")
    assert bodies(with_objects(old, new, [])) == bodies(old)
    made = with_objects(old, new, {key("a"), key("added"), key("gone")})
    assert bodies(made) == {"a": "a2", "b": "b1", "added": "n2"}
    elsewhere = with_objects(Compiled((), ()), new, {key("a")})
    assert [(item.host, item.platform) for item in elsewhere.targets] == [("h", "x")]


def test_an_emergency_changes_what_the_posture_is_about_and_takes_no_ring_back() -> None:
    """Of old documents a posture would delete what a ring has added, and give back the list before the ring when it is released."""
    in_force = {
        "list/a": {"text": "a2"},
        "list/b": {"text": "b2"},
        "list/c": {"text": "c1"},
        "list/added": {"text": "n2"},
    }
    keys = {key("a"): NEW, key("b"): NEW, key("added"): NEW}
    normal, pulled = compiled(a="a1", b="b1", c="c1"), compiled(a="a1 isolated", b="b1", c="c1 isolated")
    newer = Newer(keys, {NEW: compiled(a="a2", b="b2", added="n2")})
    newer_pulled = Newer(keys, {NEW: compiled(a="a2 isolated", b="b2", added="n2")})
    live = FakeTarget("h", in_force)

    def steps(before: Compiled, after: Compiled, unread: frozenset[Any] = frozenset()) -> dict[str, str]:
        plan = plan_for({"h": live}, list(after.targets), prune=True)
        mine, _left = split_steps(plan, before.targets, after.targets, unread)
        return {step.name: step.after["text"] if step.after else "deleted" for step in mine}

    assert steps(normal, pulled)["a"] == "a1 isolated"  # as it would be
    before, after = newer.merged(normal), newer_pulled.merged(pulled)
    assert steps(before, after) == {"a": "a2 isolated", "c": "c1 isolated"}
    said = newer.findings({key("a"), key("c")})
    assert [finding.code for finding in said] == ["SW4177"] and f"list a on h (commit {NEW[:12]})" in said[0].message
    for name, text in steps(before, after).items():
        live.objects[f"list/{name}"] = {"text": text}
    assert steps(after, before) == {"a": "a2", "c": "c1"}  # released: what the ring had put in force
    # A commit that is gone: what the posture needs is written from the documents and told, the rest is left alone.
    lost = Newer(keys, {}, frozenset(keys))
    live.objects = dict(in_force)
    assert steps(lost.merged(normal), lost.merged(pulled), lost.unread) == {"a": "a1 isolated", "c": "c1 isolated"}
    assert [finding.code for finding in lost.findings({key("a"), key("c")})] == ["SW4178"]


def test_a_commit_that_cannot_be_read_stops_no_emergency(tmp_path: Path) -> None:
    made = Entries().add("plan_started", policy_commit=NEW, ring="one").step("1", "a").add("ring_done")
    paths = Paths.of(str(tmp_path), str(tmp_path / "data"))
    found = newer_than(OLD, made, paths, date(2026, 11, 26), None, ())
    assert (found.compiled, found.unread) == ({}, {key("a")})
    assert newer_than(NEW, made, paths, date(2026, 11, 26), None, ()) == Newer({}, {})


def test_a_posture_of_an_older_commit_is_refused_where_it_was_corrected_since(checkout: Path) -> None:  # noqa: F811
    def committed(text: str) -> str:
        (checkout / "postures.yml").write_text(text, encoding="utf-8")
        git(checkout, "add", "-A")
        git(checkout, "commit", "-qm", "postures")
        return git(checkout, "rev-parse", "HEAD")

    first = committed(POSTURES.replace("relax\n    segment: infusion_pumps", "relax\n    segment: cameras"))
    worded = committed(POSTURES)
    last = committed(POSTURES.replace("under attack", "under attack again"))
    paths = Paths.of(str(checkout), str(checkout.parent / "data"))
    journal = Journal(paths.journal)
    journal.append("plan_started", plan_id="p", policy_commit=last)
    journal.append("plan_done", plan_id="p")

    def base(commit: str) -> str:
        git(checkout, "checkout", "-q", commit)
        sound = sound_site(paths, MONDAY, cached=False)
        return _only_what_is_in_force(paths, sound, commit, MONDAY, ["open_pumps"])

    assert base(last) == base(worded) == last  # another wording means nothing else
    with pytest.raises(FindingError, match=f"SW4142.*open_pumps: commit {first[:12]} is older than {last[:12]}"):
        base(first)
