# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the journal says is pulled, after rollbacks, failures and plans without a step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.apply import apply_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import Journal, read_entries
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import Plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.pulled import pulled_in, pulled_postures
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.rollback import last_plan, rollback_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.permission import applied_commit, spent_approvals
from tests.unit.change.fake import FakeTarget
from tests.unit.change.test_change import COMMIT, plan_for, want


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "state" / "journal.jsonl")


def plan_of(target: FakeTarget, value: int, *postures: str) -> tuple[Plan, Any]:
    desired = [want("a", x=value)]
    return plan_for({"a": target}, desired, effect={"postures": list(postures)} if postures else {}), desired


def carry_out(target: FakeTarget, journal: Journal, value: int, *postures: str, **more: Any) -> Plan:
    plan, desired = plan_of(target, value, *postures)
    apply_plan(plan, {"a": target}, desired, journal, policy_commit=COMMIT, **more)
    return plan


def test_a_pull_that_never_reached_the_network_is_released_by_a_plan_without_a_step(journal: Journal) -> None:
    a = FakeTarget("a", {"attachment/x": {"value": 1}})
    pull = carry_out(a, journal, 2, "isolate", closed=lambda: [codes.NO_CONNECTION.at("the window closed")])
    assert a.writes == 0 and pulled_postures(journal.path) == ("isolate",)
    with pytest.raises(FindingError, match="SW4033"):  # nothing was done, so nothing can be undone
        rollback_plan(pull.plan_id, {"a": a}, journal)
    carry_out(a, journal, 1, check_mode=True)
    assert pulled_postures(journal.path) == ("isolate",)
    release = carry_out(a, journal, 1)
    assert not release.operations() and a.writes == 0
    assert pulled_postures(journal.path) == ()
    size = len(read_entries(journal.path))
    carry_out(a, journal, 1)  # what is told already is not told again
    assert len(read_entries(journal.path)) == size


def test_a_posture_that_changes_no_list_yet_is_remembered_and_makes_no_commit_applied(journal: Journal) -> None:
    a = FakeTarget("a", {"attachment/x": {"value": 1}})
    given = [{"approver": "ward", "content": "1" * 64}]
    carry_out(a, journal, 1, "isolate", approvals=given)
    assert pulled_postures(journal.path) == ("isolate",)
    # Else the next plan of this commit would need nobody's approval, and one that was given would be spent.
    assert applied_commit(read_entries(journal.path)) == "" and spent_approvals(read_entries(journal.path)) == set()
    carry_out(a, journal, 2, "isolate", approvals=given)
    assert applied_commit(read_entries(journal.path)) == COMMIT
    assert spent_approvals(read_entries(journal.path)) == {("ward", "1" * 64)}


def test_a_rollback_by_the_beginning_of_an_id_takes_the_posture_back(journal: Journal) -> None:
    a = FakeTarget("a", {"attachment/x": {"value": 1}})
    pull = carry_out(a, journal, 2, "isolate")
    assert pulled_postures(journal.path) == ("isolate",)
    outcome = rollback_plan(pull.plan_id[:12], {"a": a}, journal)
    assert outcome.ok and outcome.plan_id == pull.plan_id and a.objects == {"attachment/x": {"value": 1}}
    assert pulled_postures(journal.path) == ()
    assert last_plan(read_entries(journal.path)) == ""


def test_the_beginning_of_several_ids_is_refused(journal: Journal) -> None:
    a = FakeTarget("a", {"attachment/x": {"value": 1}})
    plans = {carry_out(a, journal, number).plan_id for number in range(2, 20)}
    shared = next(first for first in "0123456789abcdef" if sum(plan.startswith(first) for plan in plans) > 1)
    with pytest.raises(FindingError, match=r"SW4033.*is the beginning of"):
        rollback_plan(shared, {"a": a}, journal)
    assert a.objects == {"attachment/x": {"value": 19}}


def test_a_rollback_takes_back_what_its_plan_pulled_or_released_whatever_was_planned_since() -> None:
    def started(plan: str, *postures: str) -> dict[str, Any]:
        return {"event": "plan_started", "plan_id": plan, "postures": list(postures)}

    def undone(plan: str) -> dict[str, Any]:
        return {"event": "rollback_started", "plan_id": plan}

    pulled = [started("pull", "isolate"), started("other", "isolate")]
    assert pulled_in([*pulled, undone("other")]) == ("isolate",)
    assert pulled_in([*pulled, undone("pull")]) == ()
    released = [*pulled, started("release"), started("more")]
    assert pulled_in([*released, undone("more")]) == ()
    assert pulled_in([*released, undone("release")]) == ("isolate",)
    assert pulled_in([*pulled, undone("pull"), started("pull", "isolate")]) == ("isolate",)
