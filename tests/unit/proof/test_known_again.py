# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways and expectations by what is known of the documents as a whole: the answer is that from nothing, whatever changes."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import errors_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.cache import ListCache, key_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.compile import compile_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.check import load_checked
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.effective import effective_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Expectation
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof import expectations, ways
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.expectations import check_expectations
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.ways import known_ways
from tests.unit.policy.random_sites import TODAY, random_documents, write_documents
from tests.unit.proof.test_guardrails import two
from tests.unit.steps import test_gate_again as again

EDITS = (
    again.another_service, again.a_rule_less, again.another_order, again.another_server, again.another_address, again.another_port,
    again.another_switch, again.another_stage, again.another_point_option, again.other_prefixes, again.an_expectation,
)  # fmt: skip


def compared(folder: Path, seeds: range, edits: int) -> Counter[str]:
    """Change sites step by step; AssertionError where an answer by what is known is another. Returns how often something was known."""
    seen: Counter[str] = Counter()
    for seed in seeds:
        choose = random.Random(seed)
        documents = random_documents(seed, segments=5, extras=bool(seed % 2), devices=2)
        policy, data = folder / f"policy-{seed}", folder / f"data-{seed}"
        for number in range(edits):
            write_documents(documents, policy)
            loaded = load_checked(policy, TODAY, cache=data / "policy")
            if loaded.site is not None and loaded.digests is not None and not errors_of(loaded.findings):
                cache = ListCache(data / "lists.json")
                now, ground = effective_site(loaded.site), loaded.digests.ground
                before = set(cache._sums)
                assert known_ways(now, cache, ground) == known_ways(now), (seed, number)
                seen["ways"] += len(before & set(cache._used_sums))
                lists = compile_site(loaded.site, cache=cache).lists
                before = set(cache._used_sums)
                assert check_expectations(now, lists, cache, ground) == check_expectations(now, lists), (seed, number)
                seen["expectations"] += len((set(cache._used_sums) - before) & set(cache._sums))
                cache.save()
            choose.choice(EDITS)(documents, choose)
    return seen


@pytest.mark.one_python
def test_what_is_known_is_what_is_found_from_nothing(tmp_path: Path, full: bool) -> None:
    seen = compared(tmp_path, range(40) if full else range(1, 2), 9)
    assert min(seen["ways"], seen["expectations"]) > (50 if full else 1), seen


def _without_ground(monkeypatch: pytest.MonkeyPatch) -> None:
    real = ways._facts
    monkeypatch.setattr(ways, "_facts", lambda site, holders, ground: real(site, holders, "always" if ground else ""))


def _without_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ways, "ends_sum", lambda outline: "always")


def _expected_without_ground(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expectations._Known, "_place", lambda self, item: key_of(item))


@pytest.mark.parametrize("mutant", [_without_ground, _without_rules, _expected_without_ground])
def test_keys_that_leave_something_out_are_caught(
    tmp_path: Path, mutant: Any, monkeypatch: pytest.MonkeyPatch, full: bool
) -> None:
    if not full:
        pytest.skip("long suite; make full runs it")
    mutant(monkeypatch)
    with pytest.raises(AssertionError):
        compared(tmp_path, range(40), 12)


def test_an_expectation_that_lost_its_rule_is_told(tmp_path: Path) -> None:
    """Nothing but a segment's rules changes, so that it is still known which lists see it: what they hold is not what it was."""
    wanted = (Expectation("e", "a", "b", 6, 443, "permit"), Expectation("n", "a", "b", 6, 23, "deny"))
    told = []
    for rules in ([("r", "a", "b", ["web"])], [("r", "a", "b", ["web"])], [("s", "b", "a", ["web"])]):
        site = effective_site(replace(two(rules=rules).site(), expectations=wanted))
        cache = ListCache(tmp_path / "lists.json")
        lists = compile_site(site, cache=cache).lists
        found = check_expectations(site, lists, cache, "the same documents")
        assert found == check_expectations(site, lists)
        told.append([item.met for item in found[0]])
        cache.save()
    assert told == [[True, True], [True, True], [False, True]]
