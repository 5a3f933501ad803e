# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of one device do alike: plan and apply what it shall hold, and name the codes of findings."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.apply import apply_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import Journal
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Target
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.outcome import Outcome
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import Plan, build_plan, snapshot_all
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import DesiredTarget
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import ways_back

COMMIT = "c" * 40
OTHER_PLACE = "c0ffee"


def apply(target: Target, desired: list[DesiredTarget], journal: Journal, **more: Any) -> tuple[Plan, Outcome]:
    """Plan and apply what one device shall hold."""
    targets = {target.name: target}
    plan = build_plan(targets, desired, snapshot_all(targets, desired), policy_commit=COMMIT, **more)
    return plan, apply_plan(plan, targets, desired, journal, policy_commit=COMMIT)


def codes_of(findings: Iterable[Finding]) -> set[str]:
    return {finding.code for finding in findings}


@contextlib.contextmanager
def other_controller() -> Iterator[None]:
    """What runs in here runs on another host: its process numbers mean nothing here, nor ours there."""
    plain = ways_back.place
    ways_back.place = lambda: OTHER_PLACE  # type: ignore[assignment]
    try:
        yield
    finally:
        ways_back.place = plain
