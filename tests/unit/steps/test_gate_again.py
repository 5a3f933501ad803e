# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the gate says of a change by what it knows from before is what it says from nothing, and a wrong line is found all the same."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.desired import rendered
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof import equivalence
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.paths import Paths
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.validate import Gate, run_gate
from tests.unit.policy.random_sites import SERVICES, TODAY, Documents, random_documents, write_documents

Edit = Callable[[Documents, random.Random], None]


def _segment(documents: Documents, choose: random.Random) -> dict[str, Any]:
    """A segment with rules."""
    found = [value for _name, value in sorted(documents.items()) if isinstance(value, dict) and value.get("allow")]
    return choose.choice(found)


def _devices(documents: Documents, choose: random.Random) -> list[dict[str, Any]]:
    members = documents["members.lock.json"]["segments"]
    return members[choose.choice(sorted(members))]["devices"]


def another_service(documents: Documents, choose: random.Random) -> None:
    choose.choice(_segment(documents, choose)["allow"])["services"] = [choose.choice(sorted(SERVICES))]


def a_rule_less(documents: Documents, choose: random.Random) -> None:
    rules = _segment(documents, choose)["allow"]
    rules.pop(choose.randrange(len(rules)))


def another_order(documents: Documents, choose: random.Random) -> None:
    choose.shuffle(_segment(documents, choose)["allow"])


def another_server(documents: Documents, choose: random.Random) -> None:
    rule, other = choose.choice(_segment(documents, choose)["allow"]), _segment(documents, choose)
    rule["to"] = other["segment"]


def another_address(documents: Documents, choose: random.Random) -> None:
    device = choose.choice(_devices(documents, choose))
    device["addresses"][0] = device["addresses"][0].rpartition(".")[0] + f".{choose.randint(100, 200)}"


def another_port(documents: Documents, choose: random.Random) -> None:
    choose.choice(_devices(documents, choose))["interface"] = f"GigabitEthernet9/0/{choose.randint(1, 40)}"


def another_switch(documents: Documents, choose: random.Random) -> None:
    choose.choice(_devices(documents, choose))["switch"] = choose.choice(["sw1", "sw2", ""])


def another_stage(documents: Documents, choose: random.Random) -> None:
    found = documents["enforcement.yml"]["segments"]
    found[choose.choice(sorted(found))]["stage"] = choose.choice(["observe", "monitor", "enforce"])


def another_point_option(documents: Documents, choose: random.Random) -> None:
    for _name, point in sorted(documents["enforcement.yml"]["points"].items()):
        if point["kind"] == "sgacl":
            point["tags"] = choose.choice(["inline", "sxp", "none"])
        elif point["kind"] == "dacl":
            point["switches"] = choose.choice([["sw1"], ["sw1", "sw2"]])


def other_prefixes(documents: Documents, choose: random.Random) -> None:
    network = documents["networks.yml"]["networks"]["part_of_zone"]
    network["prefixes"] = [network["prefixes"][0].rpartition("/")[0] + f"/{choose.choice([24, 28, 32])}"]


def other_ports(documents: Documents, choose: random.Random) -> None:
    services = documents["services.yml"]["services"]
    name = choose.choice([name for name in ("dicom", "mqtt", "https", "modbus") if name in services])
    services[name]["match"][0]["ports"] = [choose.randint(2000, 2010)]


def a_guardrail(documents: Documents, choose: random.Random) -> None:
    choose.choice(documents["guardrails.yml"]["guardrails"])["must"] = choose.choice(["always", "never"])


def an_expectation(documents: Documents, choose: random.Random) -> None:
    item = choose.choice(documents["expectations/random.yml"]["expectations"])
    item["expect"] = "deny" if item["expect"] == "permit" else "permit"


def an_isolation(documents: Documents, choose: random.Random) -> None:
    for _name, item in sorted(documents.get("postures.yml", {}).get("postures", {}).items()):
        if item["kind"] == "isolate" and "segment" in item:
            item["segment"] = _segment(documents, choose)["segment"]


EDITS: tuple[Edit, ...] = (
    another_service, a_rule_less, another_order, another_server, another_address, another_port, another_switch, another_stage,
    another_point_option, other_prefixes, other_ports, a_guardrail, an_expectation, an_isolation,
)  # fmt: skip


def said(gate: Gate) -> str:
    """Everything that the gate says, and every list that it stands for."""
    compiled = gate.compiled
    lists = [] if compiled is None else [(item.point, item.name, item.stage, rendered(item)) for item in compiled.lists]
    return json.dumps([[f.as_dict() for f in gate.findings], gate.content, lists], default=str)


def gate_of(policy: Path, data: Path) -> Gate:
    return run_gate(Paths.of(str(policy), str(data)), TODAY, with_replay=False)


def edited(documents: Documents, choose: random.Random, policy: Path) -> str:
    edit = choose.choice(EDITS)
    edit(documents, choose)
    write_documents(documents, policy)
    return edit.__name__


@pytest.mark.one_python
def test_a_change_by_what_is_known_and_from_nothing_are_judged_alike(tmp_path: Path, full: bool) -> None:
    whole = 0
    for seed in range(60 if full else 1):
        choose = random.Random(seed)
        documents = random_documents(seed, segments=5, extras=bool(seed % 2), devices=2)
        policy, known = tmp_path / f"policy-{seed}", tmp_path / f"known-{seed}"
        write_documents(documents, policy)
        done = []
        for number in range(12 if full else 3):
            again = gate_of(policy, known)
            assert said(again) == said(gate_of(policy, tmp_path / f"new-{seed}-{number}")), (seed, done)
            whole += again.compiled is not None
            before = json.dumps(documents)
            done.append(edited(documents, choose, policy))
            if gate_of(policy, known).compiled is None:  # refused before anything was compiled: another change instead
                documents = json.loads(before)
                write_documents(documents, policy)
    assert whole > (300 if full else 1)


def turned(text: str, number: int) -> str:
    """The text of a list with one entry's action turned."""
    lines = text.splitlines(keepends=True)
    for place, line in enumerate(lines):
        for one, other in (("permit", "deny"), ("deny", "permit"), ("accept", "drop"), ("drop", "accept")):
            if one in line.split():
                if number == 0:
                    lines[place] = line.replace(one, other, 1)
                    return "".join(lines)
                number -= 1
                break
    return ""


def test_a_wrong_entry_in_what_changed_is_found_by_who_knows_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full: bool
) -> None:
    """Each entry of each list that a change makes anew is turned round, one by one; what was known of the list before helps nobody."""
    real = equivalence.rendered
    found = 0
    for seed in range(40 if full else 3):
        choose = random.Random(100 + seed)
        documents = random_documents(
            200 + seed, segments=4, extras=False, kinds=("dacl", "sgacl", "firewall"), devices=2
        )
        policy, known = tmp_path / f"policy-{seed}", tmp_path / f"known-{seed}"
        write_documents(documents, policy)
        gate_of(policy, known)
        cache = known / "cache" / "lists.json"
        before = cache.read_bytes()
        another_service(documents, choose)
        write_documents(documents, policy)
        fresh: list[PointList] = []

        def noted(listing: PointList, fresh: list[PointList] = fresh) -> str:
            fresh.append(listing)
            return real(listing)

        monkeypatch.setattr(equivalence, "rendered", noted)
        gate = gate_of(policy, known)
        if gate.compiled is None:
            continue
        for listing in [item for item in fresh if item.segment][: None if full else 2]:
            for number in range(len(listing.aces)):
                text = turned(real(listing), number)
                if not text or not equivalence.text_difference(listing, text)[0]:
                    continue  # no packet tells the difference
                key = listing.point, listing.name

                def wrong(item: PointList, key: tuple[str, str] = key, number: int = number) -> str:
                    return turned(real(item), number) if (item.point, item.name) == key else real(item)

                cache.write_bytes(before)
                monkeypatch.setattr(equivalence, "rendered", wrong)
                again = gate_of(policy, known)
                assert any(f.code == "SW3101" and listing.name in f.message for f in again.findings), (
                    seed,
                    key,
                    number,
                )
                found += 1
                if not full and found % 3 == 0:
                    break
    assert found > (200 if full else 1)


def test_what_was_proved_is_nothing_for_another_list(tmp_path: Path) -> None:
    """A list with other lines and the key of a proved one does not come about: the key is of all that makes the lines."""
    documents = random_documents(7, segments=3, extras=False, devices=2)
    policy, known = tmp_path / "policy", tmp_path / "known"
    write_documents(documents, policy)
    first = gate_of(policy, known)
    assert first.compiled is not None
    keys = {item.__dict__["_key"]: rendered(item) for item in first.compiled.lists if item.__dict__.get("_key")}
    choose = random.Random(3)
    seen = 0
    for _number in range(4):
        edited(documents, choose, policy)
        again = gate_of(policy, known)
        for item in again.compiled.lists if again.compiled else ():
            key = item.__dict__.get("_key")
            if key in keys:
                assert rendered(replace(item)) == keys[key]
                seen += 1
    assert seen
