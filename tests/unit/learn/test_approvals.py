# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person approved or refused is neither lost nor stretched, and enforcement is not offered over open questions."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.yaml_io import parse_yaml
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import store
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.completeness import Completeness
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.evidence import CandidateKey
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.proposed import Proposal, Telemetry
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.loader import load_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Segment
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.propose_enforcement import enforcement
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.propose_inputs import vital_openers
from tests.unit.learn.worlds import World, address, rule_ids, waiting


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site with ten usual days, a service of two ports, a wide one, and something rare on the fourth day."""
    world = World(tmp_path_factory.mktemp("base"))
    world.usual(range(10))
    for number in range(2):
        world.flow(3, address("pumps", number), address("archive", 0), "https", 12)
    for number in range(6):
        world.flow(3, address("monitors", number), address("archive", 0), (6, 11112), 12)
        world.flow(3, address("monitors", number), address("archive", 0), (6, 50001), 12)
    world.write()
    services = world.policy / "services.yml"
    text = services.read_text(encoding="utf-8").replace("ports: [104]", "ports: [104, 11112]")
    services.write_text(text + "  high:\n    match:\n      - {protocol: tcp, ports: [49152-65535]}\n", encoding="utf-8")
    return world.folder


@pytest.fixture
def world(base: Path, tmp_path: Path) -> World:
    shutil.copytree(base, tmp_path, dirs_exist_ok=True)
    return World(tmp_path)


def decide(world: World, client: str, service: str, decision: str, until: str = "") -> None:
    text = (
        f"decisions:\n  - client: {client}\n    to: archive\n    service: {service}\n    decision: {decision}\n"
        "    by: A. Huber\n    reason: Asked the ward\n    date: 2026-12-01\n"
    )
    (world.policy / "decisions.yml").write_text(text + (f"    until: {until}\n" if until else ""), encoding="utf-8")


def rules_of(world: World, segment: str) -> dict[str, dict[str, Any]]:
    path = next(world.policy.rglob(f"{segment}.yml"))
    return {rule["id"]: rule for rule in parse_yaml(path.read_text(encoding="utf-8"), path.name).value["allow"]}


@pytest.mark.one_python
def test_what_was_approved_becomes_a_rule_also_when_the_recordings_hold_it_no_more(world: World) -> None:
    asked = [(item["client"], item["to"], item["port"]) for item in world.propose()["expected"]]
    assert ("pumps", "archive", 443) in asked
    decide(world, "pumps", "https", "approve")
    made = world.propose(window_days=3)
    assert rules_of(world, "pumps")["pumps-to-archive-https"]["reason"].startswith(
        "Asked the ward (approved by A. Huber"
    )
    assert ("pumps", "archive", 443) not in [(item["client"], item["to"], item["port"]) for item in made["expected"]]
    before = world.files()
    world.propose(window_days=3)
    assert world.files() == before


@pytest.mark.one_python
@pytest.mark.parametrize("how", ["refused", "written by hand"])
def test_what_was_settled_is_asked_no_more_also_when_the_recordings_hold_it_no_more(world: World, how: str) -> None:
    world.propose()
    if how == "refused":
        decide(world, "pumps", "https", "refuse")
    else:
        path = next(world.policy.rglob("pumps.yml"))
        rule = "  - {id: by-hand, to: archive, services: [https], reason: Firmware, origin: manual, owner: biomed}\n"
        path.write_text(path.read_text(encoding="utf-8") + rule, encoding="utf-8")
    made = world.propose(window_days=3)
    assert made["answer"].get("errors") is None
    assert "pumps-to-archive-https" not in rule_ids(made)
    assert not [item for item in made["expected"] if (item["client"], item["port"]) == ("pumps", 443)]


@pytest.mark.one_python
def test_a_rule_past_its_end_settles_nothing(world: World) -> None:
    world.propose()
    path = next(world.policy.rglob("pumps.yml"))
    rule = "  - {id: by-hand, to: archive, services: [https], reason: Firmware, origin: manual, owner: biomed, expires: 2020-01-31}\n"
    path.write_text(path.read_text(encoding="utf-8") + rule, encoding="utf-8")
    for made in (world.propose(), world.propose(window_days=3)):
        assert [item for item in made["expected"] if (item["client"], item["port"]) == ("pumps", 443)]
        assert made["coverage"]["before"]["segments"]["pumps"] < 1 or made["learnt"]["days"] == 3
    assert ("pumps", "archive", 443) in {
        (each["client"], each["server"], each["port"]) for each in world.propose()["review"]
    }


def test_a_trial_that_ends_does_not_end_what_is_seen_every_day(world: World) -> None:
    """Port 104 goes on daily; port 11112 of the same service is approved for a month only."""
    decide(world, "monitors", "tcp/11112", "approve", "2026-12-31")
    world.propose()
    assert "expires" not in rules_of(world, "monitors")["monitors-to-archive-dicom"]


@pytest.mark.one_python
def test_who_approves_a_port_has_not_approved_the_range_around_it(world: World) -> None:
    decide(world, "monitors", "tcp/50001", "approve")
    made = world.propose()
    assert "monitors-to-archive-high" not in rule_ids(made)
    (item,) = waiting(made, "budget")
    assert "16384 ports" in item["reason"]
    decide(world, "monitors", "high", "approve")
    assert "monitors-to-archive-high" in rule_ids(world.propose())


@pytest.mark.one_python
def test_an_approval_that_was_prolonged_is_told_where_the_rule_ends_earlier(world: World) -> None:
    decide(world, "pumps", "https", "approve", "2026-12-31")
    assert "SW3224" not in str(world.propose()["warnings"])
    decide(world, "pumps", "https", "approve", "2027-12-31")
    made = world.propose()
    assert rules_of(world, "pumps")["pumps-to-archive-https"]["expires"] == "2026-12-31", "it belongs to people"
    (told,) = [each for each in made["warnings"] if each["code"] == "SW3224"]
    assert "ends on 2026-12-31" in told["message"] and "until 2027-12-31" in told["message"]


@pytest.mark.one_python
def test_a_worm_on_a_few_devices_becomes_no_rule(tmp_path: Path) -> None:
    sizes = {"cameras": 20, "monitors": 20, "pumps": 6, "archive": 1, "gateways": 2, "names": 1}
    world = World(tmp_path, sizes=sizes)
    world.usual(range(12))
    for day in range(12):
        for number in range(2):
            world.flow(day, address("cameras", number), address("monitors", day), "smb", 12)
    made = world.write().propose()
    assert not {name for name in rule_ids(made) if name.endswith("smb")}
    (item,) = [item for item in waiting(made, "draft") if item["port"] == 445]
    assert "few devices open a way into others" in item["reason"]


@pytest.mark.parametrize(
    ("kind", "criticality", "held"),
    [
        ("rule", "low", False), ("permitted", "low", False), ("refused", "life_support", False), ("unanswered", "low", False),
        ("draft", "low", True), ("one-device", "low", True), ("no-service", "low", True), ("budget", "low", True),
        ("misplaced", "low", True), ("few-days", "low", False), ("few-days", "life_support", True),
        ("unanswered", "life_support", True), ("held-device", "low", True),
    ],
)  # fmt: skip
def test_enforcement_is_not_offered_over_traffic_that_waits_for_a_person(
    kind: str, criticality: str, held: bool
) -> None:
    whole = {"pumps": Completeness("pumps", 35, None, None, 9, 0.0, 9.0, 9.0, 3, 0, 0, True)}
    proposal = Proposal((), (), (), (), 0, (), judged={CandidateKey("pumps", "archive", 6, 443): kind})
    made = enforcement(whole, (), proposal, Telemetry(), {"pumps": criticality})["pumps"]
    assert made["offered"] is not held
    assert not held or f"1 {kind}" in made["wait_for"][0]


@pytest.mark.parametrize(
    ("kind", "criticality", "held"),
    [("rule", "low", False), ("draft", "low", True), ("few-days", "low", False), ("few-days", "life_support", True)],
)
def test_enforcement_is_not_offered_over_what_others_open_to_the_segment_either(
    kind: str, criticality: str, held: bool
) -> None:
    """The list of an enforced segment stops its answers to what no rule permits, whoever opened it."""
    whole = {"pumps": Completeness("pumps", 35, None, None, 9, 0.0, 9.0, 9.0, 3, 0, 0, True)}
    proposal = Proposal((), (), (), (), 0, (), judged={CandidateKey("stations", "pumps", 6, 443): kind})
    made = enforcement(whole, (), proposal, Telemetry(), {"pumps": criticality, "stations": "low"})["pumps"]
    assert made["offered"] is not held
    assert not held or f"1 {kind}" in made["wait_for"][0]


@pytest.mark.one_python
def test_a_lone_flow_that_nothing_answered_holds_life_support_back_until_somebody_has_answered_for_it(
    tmp_path: Path,
) -> None:
    """Two devices, one day, no answer: an alarm that nobody heard, or a probe. It is both's, and only a person knows."""
    world = World(tmp_path)
    world.usual(range(10))
    world.flow(5, address("cameras", 1), address("monitors", 2), "https", answered=False)
    world.flow(5, address("cameras", 1), address("archive", 0), "smb", answered=False)
    world.flow(6, address("cameras", 2), address("archive", 0), "https", answered=False)
    made = world.write().propose()
    strays = {(item["server"], item["port"]): item for item in waiting(made, "stray")}
    assert strays["monitors", 443]["conversations"] == 1
    assert ("archive", 445) in strays or ("archive", 443) in strays
    for name, held in (("monitors", True), ("cameras", True), ("archive", False)):
        assert any("1 stray" in text for text in made["enforcement"][name]["wait_for"]) is held

    def decided(what: str) -> dict[str, Any]:
        text = (
            "decisions:\n  - {client: cameras, to: monitors, service: https, decision: "
            f"{what}, by: A. Huber, reason: Asked the ward, date: 2026-11-01}}\n"
        )
        (world.policy / "decisions.yml").write_text(text, encoding="utf-8")
        return world.propose()

    made = decided("refuse")
    assert ("monitors", 443) not in {(item["server"], item["port"]) for item in waiting(made, "stray")}
    assert [item["server"] for item in made["refused"]] == ["monitors"]
    assert not any("stray" in text for text in made["enforcement"]["monitors"]["wait_for"])
    made = decided("approve")
    assert "cameras-to-monitors-https" in rule_ids(made)
    assert not any("stray" in text for text in made["enforcement"]["monitors"]["wait_for"])


def test_an_open_question_holds_back_the_segment_that_serves_as_well(world: World) -> None:
    waits = world.propose()["enforcement"]
    assert any("1 questions to the owner" in text for text in waits["pumps"]["wait_for"])
    assert any("questions to the owner" in text for text in waits["archive"]["wait_for"])
    assert not any("questions to the owner" in text for text in waits["names"]["wait_for"])


@pytest.mark.parametrize(("known", "held"), [(True, False), (False, True), (None, True)])
def test_a_segment_waits_for_those_that_lives_depend_on_and_that_may_open_to_it(known: bool | None, held: bool) -> None:
    """What they have not needed yet, its list would cut: a fire server that has called no lift in two months."""

    def one(name: str, known: bool) -> Completeness:
        return Completeness(name, 35, None, None, 9, 0.0, 9.0, 9.0, 3, 0, 0, True, (), None, known)

    whole = {"lifts": one("lifts", True)} | ({} if known is None else {"fire_servers": one("fire_servers", known)})
    proposal, critical = Proposal((), (), (), (), 0, ()), {"lifts": "low", "fire_servers": "life_support"}
    made = enforcement(whole, (), proposal, Telemetry(), critical, openers={"lifts": ("fire_servers",)})["lifts"]
    assert made["offered"] is not held
    assert not held or "too little is known of fire_servers" in made["wait_for"][0]


@pytest.mark.one_python
def test_zones_say_which_segments_that_lives_depend_on_may_open_to_which(world: World) -> None:
    loaded = load_site(world.policy)
    assert loaded.site is not None
    site = loaded.site

    def segment(name: str, zone: str, criticality: str, like: str = "") -> Segment:
        members = {"fact": "held_as", "equals": like} if like else {"fact": "kind", "equals": name}
        return Segment(name, zone, None, "somebody", criticality, members, (), "")

    client, server = next((each.client, each.server) for each in site.conduits)
    segments = [
        segment("alarms", client, "life_support"),
        segment("beds", client, "process_critical"),
        segment("held_beds", client, "process_critical", "beds"),
        segment("office", client, "low"),
        segment("lifts", server, "low"),
    ]
    assert vital_openers(site, segments) == {
        "alarms": ("beds",),
        "beds": ("alarms",),
        "held_beds": ("alarms", "beds"),
        "office": ("alarms", "beds"),
        "lifts": ("alarms", "beds"),
    }
    assert vital_openers(replace(site, conduits=()), segments)["lifts"] == ()


def test_enforcement_is_not_offered_from_sampled_recordings() -> None:
    whole = {"pumps": Completeness("pumps", 35, None, None, 9, 0.0, 9.0, 9.0, 3, 0, 0, True)}
    proposal = Proposal((), (), (), (), 0, ())
    made = enforcement(whole, (), proposal, Telemetry(0.7, False, "sampled"), {"pumps": "low"})["pumps"]
    assert not made["offered"] and "sampled" in made["wait_for"][0]


@pytest.mark.one_python
@pytest.mark.parametrize(
    ("sampling", "held"),
    [
        (
            "192.0.2.9",
            {"archive", "gateways", "names"},
        ),  # tells what the data center opens, which no conduit leads out of
        ("192.0.2.1", {"archive", "cameras", "gateways", "monitors", "names", "pumps"}),  # the wards, which open to it
        ("192.0.2.7", set()),  # told next to nothing
    ],
)
def test_sampling_holds_back_the_zones_that_it_tells_of_and_those_that_they_open_to(
    sampling: str, held: set[str], tmp_path: Path
) -> None:
    world = World(tmp_path)
    world.usual(range(8))
    for day in range(8):
        world.flow(day, address("archive", 0), address("gateways", 0), "https")
        world.rows[-1]["exporter"] = "192.0.2.9"
    world.write()
    document = store.read_inputs(world.data)
    document["inputs"]["0000000000000001"]["quality"] = {"exporters": {sampling: {"sampling": 32}}}
    store.write_inputs(world.data, document)
    waits = {name: " ".join(each["wait_for"]) for name, each in world.propose()["enforcement"].items()}
    assert {name for name, text in waits.items() if "sampled" in text} == held


@pytest.mark.one_python
def test_a_branch_that_waits_for_its_merge_keeps_its_questions(world: World) -> None:
    world.git("init", "-q", "-b", "main")
    world.git("config", "user.name", "A. Huber")
    world.git("config", "user.email", "a.huber@example.org")
    world.git("add", "-A")
    world.git("commit", "-q", "-m", "Site")

    def asked(made: dict[str, Any]) -> set[tuple[str, str, int]]:
        return {(item["client"], item["to"], item["port"]) for item in made["expected"]}

    assert ("pumps", "archive", 443) in asked(world.propose(git="branch"))
    assert ("pumps", "archive", 443) in asked(world.propose(git="branch", window_days=3))
    assert '"port":443' in world.git("show", "segwright/propose:evidence/open/expected.json").replace(" ", "")
    # Without the branch nothing remembers it: the recordings of three days do not hold it.
    world.git("branch", "-q", "-D", "segwright/propose")
    assert ("pumps", "archive", 443) not in asked(world.propose(git="branch", window_days=3))
