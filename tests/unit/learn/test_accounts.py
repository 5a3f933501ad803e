# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Network sets that hardly any traffic touched are asked about once, hold critical segments, and what people tell becomes a rule."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.address import columns_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.evidence import CandidateKey, Evidence, Gathered
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.propose import propose
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.proposed import Known, Telemetry
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.loader import load_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Segment
from tests.unit.learn.worlds import SEGMENTS, World, address, rule_ids, waiting

DAYS = range(14)
SETS = {
    "recovery": ["198.51.100.0/28"],  # nobody opens it
    "maker": ["198.51.100.16/28"],  # pumps alone, once
    "shared": ["198.51.100.32/28"],  # pumps and cameras, once each
    "cloud": ["198.51.100.48/28"],  # monitors, day by day
    "watchers": ["192.0.2.0/28"],  # there for scanners
    "ward": ["10.1.0.0/16"],  # the site's own
}


def world_of(folder: Path) -> World:
    world = World(folder)
    world.usual(DAYS)
    for minute in range(3):
        world.flow(13, address("pumps", 1), "198.51.100.17", "https", 4, minute=minute)
        world.flow(8, address("pumps", 1), "198.51.100.33", "https", 4, minute=minute)
        world.flow(8, address("cameras", 1), "198.51.100.33", "https", 5, minute=minute)
    for day in DAYS:
        for number in range(6):
            world.flow(day, address("monitors", number), "198.51.100.49", "https", 4)
    world.write()
    networks = {name: {"prefixes": prefixes} for name, prefixes in SETS.items()}
    (world.policy / "networks.yml").write_text(yaml.safe_dump({"networks": networks}), encoding="utf-8")
    path = world.policy / "site.yml"
    path.write_text(path.read_text(encoding="utf-8") + "  declared_scanners: watchers\n", encoding="utf-8")
    return world


def decide(world: World, *approved: tuple[str, str, str], accounts: tuple[str, ...] = (), how: str = "approve") -> None:
    told = {"by": "A. Huber", "reason": "The recovery plan says so", "date": "2026-11-20"}
    document: dict[str, Any] = {
        "decisions": [{"client": c, "to": to, "service": s, "decision": how, **told} for c, to, s in approved],
        "accounts": [{"network": name, **told} for name in accounts],
    }
    (world.policy / "decisions.yml").write_text(yaml.safe_dump(document), encoding="utf-8")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return world_of(tmp_path)


def asked(made: dict[str, Any]) -> dict[str, str]:
    return {item["server"]: item["reason"] for item in waiting(made, "network-set")}


def waits(made: dict[str, Any], segment: str) -> str:
    return " ".join(text for text in made["enforcement"][segment]["wait_for"] if "an account of" in text)


@pytest.mark.one_python
def test_sets_that_hardly_anything_opens_are_asked_about_and_no_others(world: World) -> None:
    made = world.propose()
    assert set(asked(made)) == {"recovery", "maker", "shared"}
    assert "nobody opened it" in asked(made)["recovery"]
    assert "cameras, pumps alone, on 1 days at most" in asked(made)["shared"]
    # What lives hang on waits for all of them, others for those that they open.
    assert waits(made, "monitors").endswith("maker, recovery, shared") and waits(made, "archive")
    assert waits(made, "cameras").endswith(": shared")


@pytest.mark.one_python
def test_an_account_ends_the_question_and_a_set_with_a_rule_by_hand_has_none(world: World) -> None:
    world.propose()
    path = next(world.policy.rglob("cameras.yml"))
    rule = "  - {id: by-hand, to: shared, services: [https], reason: Reports, origin: manual, owner: biomed}\n"
    path.write_text(path.read_text(encoding="utf-8") + rule, encoding="utf-8")
    decide(world, accounts=("recovery", "maker"))
    made = world.propose()
    assert not asked(made) and not waits(made, "monitors")


@pytest.mark.one_python
def test_what_people_told_and_nothing_showed_becomes_a_rule_once(world: World) -> None:
    decide(world, ("archive", "recovery", "dicom"), ("nobody", "recovery", "dicom"), accounts=("recovery",))
    made = world.propose()
    assert made["answer"].get("errors") is None
    (rule,) = [each for each in made["rules"] if each["to"] == "recovery"]
    assert rule["id"] == "archive-to-recovery-dicom" and rule["flows"] == rule["devices"] == 0
    path = next(world.policy.rglob("archive.yml"))
    (written,) = [
        each for each in yaml.safe_load(path.read_text(encoding="utf-8"))["allow"] if each["to"] == "recovery"
    ]
    assert "evidence" not in written and written["reason"].startswith("The recovery plan says so (approved by A. Huber")
    before = world.files()
    world.propose()
    assert world.files() == before


@pytest.mark.one_python
def test_a_refusal_of_what_nothing_showed_is_no_rule(world: World) -> None:
    decide(world, ("archive", "recovery", "dicom"), how="refuse")
    assert "archive-to-recovery-dicom" not in rule_ids(world.propose())


@pytest.mark.one_python
def test_a_named_set_that_one_segment_alone_opens_gets_a_rule_that_ends(world: World) -> None:
    """Once, by one of six, on the last day: who intrudes does not choose the maker's addresses. Where others open it too, it waits."""
    made = world.propose()
    (rule,) = [each for each in made["rules"] if each["to"] == "maker"]
    assert rule["ends"]["kind"] == "vendor" and rule["points"]["sole user"] == 20
    assert rule["ends"]["until"] == "2027-12-20"
    assert not [each for each in made["rules"] if each["to"] == "shared"]
    assert {"pumps", "cameras"} <= {item["client"] for item in made["review"] if item["server"] == "shared"}


@pytest.mark.one_python
def test_where_a_device_may_be_another_segments_nobody_is_the_sole_user(world: World) -> None:
    """One of six pumps does next to nothing that pumps do: what it opens may be its own segment's habit, whichever that is."""
    _hi, low = columns_of(address("pumps", 1))
    world.rows = [row for row in world.rows if row["client_lo"] != low or row["server_port"] == 443]
    world.write(documents=False)
    assert not [each for each in world.propose()["rules"] if each["to"] == "maker"]


@pytest.mark.parametrize(
    ("devices", "days", "silence", "ruled"),
    [(6, 14, False, True), (6, 14, True, False), (3, 14, False, False), (6, 10, False, False)],
)
def test_points_that_the_telemetry_cannot_give_are_not_asked_of_what_most_do_daily(
    world: World, devices: int, days: int, silence: bool, ruled: bool
) -> None:
    """An unnamed port whose answers nobody sees: 67 points at most. Of few devices, or of few days, it is still a person's to name."""
    site = load_site(world.policy).site
    assert site is not None
    segments = [
        Segment(name, zone, None, "owner", criticality, {}, (), "") for name, (zone, criticality) in SEGMENTS.items()
    ]
    key = CandidateKey("cameras", "gateways", 6, 4070)
    day = date(2026, 11, 2)
    seen = Evidence(
        key, tuple(day + timedelta(days=number) for number in range(days)), devices, 2, devices, days * devices,
        best_method=1, confidence=0.9,
    )  # fmt: skip
    gathered = Gathered({key: seen}, first_day=day, days=14)
    known = Known(world.sizes, {}, telemetry=Telemetry(0.7, silence, "partial"), today="2026-12-15")
    assert bool(propose(site, segments, gathered, known).rules) is ruled
