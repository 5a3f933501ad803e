# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From any state of an ISE to any other in one run, nothing to do in a second one, and back, over HTTPS with the real SDK."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.change.apply import apply_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import Journal
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import Plan, build_plan, snapshot_all
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.rollback import rollback_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import DesiredTarget
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise import IseTarget
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_client import IseClient
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_kinds import TAKEN_OVER
from tests.integration.ise_worlds import configuration, of_others, state_of, world
from tests.lab.ise.client import ControlClient
from tests.lab.ise.server import IseServer

HOST = "127.10.82.10"
COMMIT = "c" * 40
VERSIONS = (("3.1.0", "3.1"), ("3.3_patch_1", "3.3"), ("3.5.0", "3.5"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IseServer]:
    with IseServer(HOST, 9060, tmp_path_factory.mktemp("ise"), {"settings": {"push_delay": 0.0}}) as made:
        yield made


def settings(rng: Random, version: str) -> dict[str, object]:
    """Return one way in which an ISE of this version may behave: what is not known of a real one is tried in every form."""
    return {
        "version": version,
        "push_delay": 0.0,
        "dacl_whitespace": rng.choice(("verbatim", "lf", "trimmed")),
        "cell_read_form": rng.choice(("both", "sgacl_only", "rule_only")),
        "mapping_sgt_form": rng.choice(("as_written", "id", "name_value")),
        "new_rule_rank": rng.choice(("top", "bottom")),
    }


def plan_for(target: IseTarget, desired: list[DesiredTarget]) -> Plan:
    targets = {"ise1": target}
    snapshots = snapshot_all(targets, desired)
    return build_plan(targets, desired, snapshots, policy_commit=COMMIT, prune=True)


def same_requests(plan: Plan, log: list[dict[str, Any]]) -> None:
    """Check that the plan lists exactly the writing requests that were received, in their order."""
    listed = [item for step in plan.operations() for item in step.details["requests"]]
    received = [(item["method"], item["path"].rstrip("/")) for item in log if item["method"] != "GET"]
    assert len(listed) == len(received), (listed, received)
    for item, (method, path) in zip(listed, received, strict=True):
        pattern = "[0-9a-f-]{36}".join(re.escape(part) for part in re.split(r"\{id of [^}]*\}", item["path"]))
        assert method == item["method"] and re.fullmatch(pattern, path), (item, method, path)


PARTS = 10


@pytest.mark.parametrize("part", [0, *(pytest.param(n, marks=pytest.mark.full) for n in range(1, PARTS))])
def test_any_state_is_reached_in_one_run_and_left_again(
    server: IseServer, tmp_path: Path, full: bool, part: int
) -> None:
    """For random states: one run converges, a second one writes nothing, rollback brings back every field and text."""
    control = ControlClient(server.control_url)
    steps = 0
    for number in range(50 * part, 50 * part + 50) if full else range(9):
        rng = Random(number)
        client_version, version = VERSIONS[number % 3]
        matrix = "Pilot" if version == "3.5" else ""
        before, wanted = world(rng, matrix=matrix), world(rng, matrix=matrix)
        before, adopt = of_others(before, wanted, rng)
        control.restore(state_of(before, rng, settings(rng, version), matrix=matrix))
        start = configuration(control)
        client = IseClient(
            server.base_url, server.username, server.password, ca_file=server.ca_file, version=client_version, timeout=5.0,
            rate=1000.0,
        )  # fmt: skip
        try:
            target = IseTarget(
                "ise1", client, adopt=adopt, push_seconds=5.0, assignment_pause=0.0, sleep=lambda _seconds: None
            )
            desired = [DesiredTarget("ise1", "ise", tuple(wanted))]
            journal = Journal(tmp_path / f"journal-{number}.jsonl")
            plan = plan_for(target, desired)
            control.reset_counters()
            outcome = apply_plan(plan, {"ise1": target}, desired, journal, policy_commit=COMMIT)
            assert outcome.ok, (number, "\n".join(finding.message for finding in outcome.findings))
            steps += len(outcome.completed)
            same_requests(plan, control.requests())
            writes = client.writes
            again = plan_for(target, desired)
            assert [step.summary for step in again.operations()] == [], number
            assert client.writes == writes, number
            assert not target.confirm(wanted), number
            theirs = {key for key, item in start.items() if str(item.get("description")).startswith(TAKEN_OVER)}
            assert theirs <= set(configuration(control)), number
            if outcome.completed:
                back = rollback_plan(plan.plan_id, {"ise1": target}, journal)
                assert back.ok, (number, "\n".join(finding.message for finding in back.findings))
            assert configuration(control) == start, number
        finally:
            client.close()
    print(f"states: {50 if full else 9}, {steps} steps")
    assert steps > (500 if full else 60)
