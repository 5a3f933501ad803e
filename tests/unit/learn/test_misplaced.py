# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Devices in the wrong segment are named one by one, are no evidence for it, and wait by themselves; others are never accused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.holding import holding_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.misplaced import HabitRow, Misplaced, placing_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Segment
from tests.unit.learn.worlds import World, address, mac, rule_ids, waiting

DAYS = range(7)


def rows(segment: str, device: str, *habits: str) -> list[HabitRow]:
    """Return habits written as ``opens PEER PORT`` or ``serves CLIENT PORT``."""
    made = []
    for habit in habits:
        role, peer, port = habit.split()
        made.append((segment, device, role, peer, 6, int(port)))
    return made


CAMERA, SENSOR = ("opens recorders 554", "opens names 53"), ("opens broker 8883", "opens names 53", "serves tools 22")


def site(strange: tuple[str, ...], cameras: int = 6, sensors: int = 6) -> list[HabitRow]:
    """Return cameras and sensors with their habits, and one device among the cameras that has those of ``strange``."""
    made = [row for number in range(cameras) for row in rows("cameras", f"c{number}", *CAMERA)]
    made += [row for number in range(sensors) for row in rows("sensors", f"s{number}", *SENSOR)]
    return made + rows("cameras", "x", *strange)


@pytest.mark.parametrize(
    ("habits", "named"),
    [
        (SENSOR, True),
        (SENSOR[:2], True),  # not all that the others do was seen of it
        ((*SENSOR, *CAMERA), False),  # it does more than others, and is still a camera
        (CAMERA[:1], False),  # seen little of
        (("opens names 53",), False),  # what all do tells nothing
        (("opens names 53", "opens evil 443"), False),  # nobody else does this: the queue's business
    ],
)
def test_a_device_is_named_by_the_habits_that_tell_two_segments_apart(habits: tuple[str, ...], named: bool) -> None:
    made = placing_of(site(habits))
    assert [each.device for each in made.misplaced] == (["x"] if named else [])
    if named:
        (each,) = made.misplaced
        assert (each.segment, each.like) == ("cameras", "sensors")
        assert (
            "opens tcp/8883 to broker" in each.text
            and "not what most of cameras do (opens tcp/554 to recorders)" in each.text
        )


def test_whom_a_device_serves_tells_a_drive_from_a_controller() -> None:
    """Both serve 44818: drives to controllers, controllers to robots."""
    told = [row for n in range(6) for row in rows("drives", f"d{n}", "serves plcs 44818", "opens time 123")]
    told += [row for n in range(6) for row in rows("robots", f"r{n}", "opens plcs 44818")]
    for n in range(6):
        told += rows("plcs", f"p{n}", "opens drives 44818", "opens time 123", "opens plcs 102", "serves plcs 102")
        told += rows("plcs", f"p{n}", "serves robots 44818") if n < 4 else []
    made = placing_of(told + rows("plcs", "x", "serves plcs 44818", "opens time 123"))
    assert [(each.device, each.like) for each in made.misplaced] == [("x", "drives")]
    assert made.misplaced[0].strange == (("serves", "plcs", 6, 44818),)


@pytest.mark.one_python
def test_a_device_that_only_another_device_out_of_place_opens_is_found_by_a_second_look(tmp_path: Path) -> None:
    """Camera 5 is an archive's client by nature, and monitor 5 a gateway that it alone has business with."""
    world = World(tmp_path, sizes={"cameras": 6, "monitors": 6, "pumps": 6, "archive": 1, "gateways": 4, "names": 1})
    for day in DAYS:
        for n in range(6):
            for segment in ("pumps", "monitors", "cameras"):
                world.flow(day, address(segment, n), address("names", 0), "dns", 1 + n)
        for n in range(4):
            world.flow(day, address("pumps", n), address("gateways", n), "mqtt", 2 + n)
            world.flow(day, address("pumps", n), address("gateways", n), "https", 2 + n)
            world.flow(day, address("gateways", n), address("names", 0), "dns", 1 + n)
        for name in ("mqtt", "https"):
            world.flow(day, address("cameras", 5), address("monitors", 5), name, 12)
            world.flow(day, address("cameras", 5), address("gateways", 0), name, 12)
        for n in range(5):
            world.flow(day, address("cameras", n), address("archive", 0), "smb", 3 + n)
            world.flow(day, address("monitors", n), address("archive", 0), "dicom", 3 + n)
    made = world.write().propose()
    assert {(each["device"], each["like"]) for each in made["misplaced"]} == {
        (mac("cameras", 5), "pumps"),
        (mac("monitors", 5), "gateways"),
    }
    assert any("serves tcp/1883 to pumps" in each for row in made["misplaced"] for each in row["strange"])


def test_who_opens_to_it_is_told_and_what_a_person_decided_is_kept() -> None:
    (each,) = placing_of(site(SENSOR)).misplaced
    assert each.clients == ("tools",)
    assert not placing_of(site(SENSOR), kept={"x"}).misplaced


@pytest.mark.one_python
def test_who_raised_an_alarm_to_it_once_is_told_though_that_is_no_habit(tmp_path: Path) -> None:
    """An alarm by UDP is not answered, and comes on one day: enforcing the segment that raises it would cut it unasked."""
    world = World(tmp_path)
    world.usual(DAYS)
    world.profiles[mac("pumps", 5)] = "cameras"
    for minute in range(3):
        world.flow(4, address("monitors", 1), address("pumps", 5), (17, 162), minute=minute, answered=False)
    made = world.write().propose()
    (each,) = made["misplaced"]
    assert each["clients"] == ["monitors"]
    assert any("1 held-device" in text for text in made["enforcement"]["monitors"]["wait_for"])
    assert not any("held-device" in text for text in made["enforcement"]["pumps"]["wait_for"])


def test_beside_one_other_device_only_what_is_nothing_else_is_named() -> None:
    for habits, named in ((SENSOR, True), (SENSOR[:2], False), ((*SENSOR, "opens relays 102"), False)):
        made = placing_of(site(habits, cameras=1))
        assert [each.device for each in made.misplaced] == (["x"] if named else [])


def test_segments_too_small_to_compare_accuse_nobody_and_clear_nobody() -> None:
    made = placing_of(site((*SENSOR, "opens relays 102"), cameras=1))
    assert not made.misplaced and made.settled == {"sensors"}


def test_a_habit_that_a_third_of_a_segment_has_is_its_own() -> None:
    told = site((), cameras=6) + [row for number in range(4) for row in rows("cameras", f"new{number}", *SENSOR)]
    assert not placing_of(told).misplaced


def test_equal_inputs_in_any_order_give_equal_answers() -> None:
    told = site(SENSOR)
    assert placing_of(told) == placing_of(told[::-1])


@pytest.mark.one_python
def test_a_wrong_profile_widens_nothing_and_the_device_waits_until_it_is_settled(tmp_path: Path) -> None:
    """One of seven cameras is a pump by nature: small segments are not to be widened by it, and its segment would cut it."""
    world = World(tmp_path)
    world.usual(DAYS)
    world.profiles[mac("pumps", 5)] = "cameras"
    made = world.write().propose()
    (each,) = made["misplaced"]
    assert (each["device"], each["segment"], each["like"]) == (mac("pumps", 5), "cameras", "pumps")
    assert "cameras-to-gateways-mqtt" not in rule_ids(made) and "pumps-to-gateways-mqtt" in rule_ids(made)
    assert [item for item in made["review"] if item["kind"] == "misplaced-device" and "pumps do" in item["reason"]]
    assert [finding for finding in made["warnings"] if finding["code"] == "SW3250"]
    assert each["held_in"] == "held_pumps"
    # It waits by itself: its rules are those of pumps that it was seen to need, end, and are nobody else's.
    held = {name: rule for rule in made["rules"] if (name := rule["id"]).startswith("held_pumps-")}
    assert set(held) == {"held_pumps-to-gateways-mqtt", "held_pumps-to-names-dns"}
    assert all(rule["ends"]["kind"] == "held" and rule["support"] == "like: pumps" for rule in held.values())
    lock = json.loads((world.policy / "members.lock.json").read_text(encoding="utf-8"))["segments"]
    where = {name: [each["device"] for each in entry["devices"]] for name, entry in lock.items()}
    assert where["held_pumps"] == [mac("pumps", 5)]
    assert mac("pumps", 5) not in where["cameras"] + where["pumps"]
    text = (world.policy / "clinical" / "held_pumps.yml").read_text(encoding="utf-8")
    assert "fact: held_as" in text and "criticality: life_support" in text and "expires:" in text and "sgt" not in text
    asked = (world.data / "out" / "pull-request.md").read_text(encoding="utf-8")
    assert "## 1 device in doubt" in asked and "| `cameras` | `pumps` | `held_pumps` |" in asked
    # It holds nobody back, and is not offered itself.
    assert any("misplaced" in text for text in made["enforcement"]["held_pumps"]["wait_for"])
    for name in ("cameras", "pumps", "gateways"):
        assert not any("misplaced" in text or "held" in text for text in made["enforcement"][name]["wait_for"])
    before = world.files()
    world.propose()
    assert world.files() == before
    world.profiles.clear()
    again = world.write().propose()
    assert again["misplaced"] == []
    assert [each["code"] for each in again["warnings"] if each["code"] in ("SW3250", "SW3260")] == ["SW3260"]
    lock = json.loads((world.policy / "members.lock.json").read_text(encoding="utf-8"))["segments"]
    assert lock["held_pumps"]["devices"] == []
    assert mac("pumps", 5) in [each["device"] for each in lock["pumps"]["devices"]]


@pytest.mark.one_python
def test_what_a_device_in_doubt_does_beyond_its_like_waits_for_a_person_at_both_ends(tmp_path: Path) -> None:
    """An intruder that does all that a pump does gets what pumps may have, and nothing beside it."""
    world = World(tmp_path)
    world.usual(DAYS)
    for day in DAYS:
        world.flow(day, address("pumps", 5), address("archive", 0), "smb", 12)
        world.flow(day, address("monitors", 1), address("pumps", 5), (6, 4321), 13)
    world.profiles[mac("pumps", 5)] = "cameras"
    made = world.write().propose()
    assert not {name for name in rule_ids(made) if "smb" in name or "4321" in name}
    told = {(each["client"], each["server"], each["port"]): each["reason"] for each in waiting(made, "held-device")}
    assert set(told) == {("held_pumps", "archive", 445), ("monitors", "held_pumps", 4321)}
    assert "pumps may not open it to archive" in told["held_pumps", "archive", 445]
    for name in ("archive", "monitors"):
        assert any("1 held-device" in text for text in made["enforcement"][name]["wait_for"])
    ends = "client: held_pumps, to: archive, service: smb"
    decided = f"{ends}, decision: refuse, by: A. Huber, reason: None has, date: 2026-11-01"
    (world.policy / "decisions.yml").write_text(f"decisions:\n  - {{{decided}}}\n", encoding="utf-8")
    made = world.propose()
    assert [each["port"] for each in waiting(made, "held-device")] == [4321]
    assert not any("held-device" in text for text in made["enforcement"]["archive"]["wait_for"])


@pytest.mark.one_python
@pytest.mark.parametrize("mixed", [False, True])
def test_what_one_device_may_have_for_its_profile_is_no_right_of_another_that_waits(
    mixed: bool, tmp_path: Path
) -> None:
    """Two pumps by nature do what a person approved for monitors. Where one is called a camera it may not, and both wait there."""
    world = World(tmp_path)
    world.sizes["pumps"] = 8
    world.usual(DAYS)
    for day in DAYS:
        for number in (6, 7):
            world.flow(day, address("pumps", number), address("archive", 0), "smb", 12)
    world.profiles |= {mac("pumps", 6): "monitors", mac("pumps", 7): "cameras" if mixed else "monitors"}
    world.write()
    text = (
        "client: monitors, to: archive, service: smb, decision: approve, by: A. Huber, reason: Asked, date: 2026-11-01"
    )
    (world.policy / "decisions.yml").write_text(f"decisions:\n  - {{{text}}}\n", encoding="utf-8")
    made = world.propose()
    assert [each["held_in"] for each in made["misplaced"]] == ["held_pumps"] * 2
    assert {name for name in rule_ids(made) if "smb" in name} == (set() if mixed else {"held_pumps-to-archive-smb"})
    waits = [(each["client"], each["server"]) for each in waiting(made, "held-device")]
    assert waits == ([("held_pumps", "archive")] if mixed else [])
    assert {"held_pumps-to-gateways-mqtt", "held_pumps-to-names-dns"} <= rule_ids(made)


@pytest.mark.one_python
@pytest.mark.parametrize("place", ["cameras", "pumps"])
def test_what_a_person_approved_for_its_profile_or_its_like_goes_with_a_device_in_doubt(
    place: str, tmp_path: Path
) -> None:
    """It is no member of its profile's segment any more: a rule of that one would let it be cut, and nobody would be asked."""
    world = World(tmp_path)
    world.usual(DAYS)
    for day in DAYS:
        world.flow(day, address("pumps", 5), address("archive", 0), "smb", 12)
    world.profiles[mac("pumps", 5)] = "cameras"
    world.write()
    for decision in ("approve", "refuse"):
        text = f"client: {place}, to: archive, service: smb, decision: {decision}, by: A. Huber, reason: Asked, date: 2026-11-01"
        (world.policy / "decisions.yml").write_text(f"decisions:\n  - {{{text}}}\n", encoding="utf-8")
        made = world.propose()
        (rule,) = [each for each in made["rules"] if "smb" in each["id"]] or [None]
        if decision == "approve":
            assert rule["id"] == "held_pumps-to-archive-smb" and rule["ends"]["kind"] == "held"
            assert not waiting(made, "held-device")
        else:
            assert rule is None
            assert [(each["client"], each["server"]) for each in waiting(made, "held-device")] == [
                ("held_pumps", "archive")
            ]


@pytest.mark.one_python
def test_no_rule_of_a_holding_segment_crosses_zones_without_a_conduit(tmp_path: Path) -> None:
    """It stands in the zone of the segment that its devices are like; what their profile's zone may open is not written for it."""
    world = World(tmp_path, sizes={"cameras": 6, "monitors": 6, "pumps": 6, "archive": 1, "gateways": 6, "names": 1})
    world.usual(DAYS)
    for day in DAYS:
        for number in range(6):
            world.flow(day, address("pumps", number), address("gateways", number), "mqtt", 11)
            world.flow(day, address("gateways", number), address("archive", 0), "https", 12)
        world.flow(day, address("cameras", 1), address("monitors", 1), "https", 13)
        world.flow(day, address("gateways", 5), address("monitors", 1), "https", 14)
    world.profiles[mac("gateways", 5)] = "cameras"
    world.write()
    text = "client: cameras, to: monitors, service: https, decision: approve, by: A. Huber, reason: Asked, date: 2026-11-01"
    (world.policy / "decisions.yml").write_text(f"decisions:\n  - {{{text}}}\n", encoding="utf-8")
    made = world.propose()
    assert [each["held_in"] for each in made["misplaced"]] == ["held_gateways"]
    assert {"cameras-to-monitors-https", "held_gateways-to-archive-https"} <= set(rule_ids(made))
    assert "held_gateways-to-monitors-https" not in rule_ids(made)
    assert [(each["client"], each["server"]) for each in waiting(made, "held-device")] == [
        ("held_gateways", "monitors")
    ]
    assert any("1 held-device" in text for text in made["enforcement"]["monitors"]["wait_for"])


def test_names_of_holding_segments_are_free_legal_and_kept() -> None:
    def segment(name: str, query: dict[str, str]) -> Segment:
        return Segment(name, "clinical", 1, "owner", "low", query)

    long = "a" * 32
    there = [segment(name, {"fact": "vendor", "equals": name}) for name in (long, "pumps", "held_pumps", "cameras")]
    found = [Misplaced(f"d{number}", "cameras", like, (), ()) for number, like in enumerate((long, "pumps", "pumps"))]
    made = holding_of(found, there)
    assert dict(made.like) == {f"held_{long}"[:32]: long, "held_pumps_2": "pumps"}
    assert dict(made.of) == {"d0": f"held_{long}"[:32], "d1": "held_pumps_2", "d2": "held_pumps_2"}
    again = holding_of(found, [*there, *made.new])
    assert again.new == () and again.of == made.of and again.like == made.like
    mine = segment("waiting_room", {"fact": "held_as", "equals": "pumps"})
    assert holding_of(found, [*there, mine]).of["d1"] == "waiting_room"


@pytest.mark.one_python
def test_firmware_from_a_named_network_gets_a_rule_that_ends_and_what_began_yesterday_none(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.usual(range(14))
    for number in range(6):
        world.flow(4 + number % 2, address("pumps", number), "198.51.100.7", "https", 4)
        world.flow(4 + number % 2, address("pumps", number), "203.0.113.7", "https", 4)  # nobody named it
        world.flow(
            4 + number % 2, address("pumps", number), address("monitors", number), "https", 5
        )  # as a worm spreads
        world.flow(12 + number % 2, address("cameras", number), "198.51.100.7", "https", 4)
    world.write()
    (world.policy / "networks.yml").write_text(
        "networks:\n  vendor:\n    prefixes: [198.51.100.0/28]\n", encoding="utf-8"
    )
    made = world.propose()
    (rule,) = [each for each in made["rules"] if each["to"] == "vendor"]
    assert rule["id"] == "pumps-to-vendor-https"
    assert rule["ends"]["kind"] == "firmware" and rule["ends"]["until"] == "2027-12-12"
    text = (world.policy / "clinical" / "pumps.yml").read_text(encoding="utf-8")
    assert "expires: 2027-12-12" in text.replace("'", "").replace('"', "")
    assert ("cameras", "vendor") in {(each["client"], each["to"]) for each in made["expected"]}
    assert "pumps-to-monitors-https" not in rule_ids(made)


@pytest.mark.one_python
@pytest.mark.parametrize(
    ("size", "doing", "ruled"), [(2, 1, False), (2, 2, True), pytest.param(1, 1, True, marks=pytest.mark.full)]
)
def test_one_device_beside_another_gets_no_rule_that_ends(tmp_path: Path, size: int, doing: int, ruled: bool) -> None:
    """One of two at the month's end, on a service that people named: so does an intruder who waits in one of them."""
    world = World(tmp_path)
    world.sizes["pumps"] = size
    world.usual(range(35))
    for day in (28, 29):
        for number in range(doing):
            for minute in range(3):
                world.flow(day, address("pumps", number), address("gateways", 0), "https", 4, minute=minute)
    made = world.write().propose()
    assert ("pumps-to-gateways-https" in rule_ids(made)) is ruled
    assert (("pumps", "gateways") in {(each["client"], each["to"]) for each in made["expected"]}) is not ruled


@pytest.mark.one_python
def test_an_alarm_among_those_that_lives_depend_on_is_not_lost_to_a_wrong_profile(tmp_path: Path) -> None:
    """What pumps open to one another a device held as a pump may open too, and they to it, though nobody saw it."""
    world = World(tmp_path)
    world.usual(DAYS)
    world.profiles[mac("pumps", 5)] = "cameras"
    for day in DAYS:
        for number in range(2):
            world.flow(day, address("pumps", number), address("pumps", 1 - number), "https", 2)
    made = world.write().propose()
    rules = {rule["id"]: rule for rule in made["rules"]}
    among = {"held_pumps-to-pumps-https", "pumps-to-held_pumps-https", "held_pumps-to-held_pumps-https"}
    assert {name for name in rules if "held" in name and "https" in name} == among
    assert all(rules[name]["ends"]["kind"] == "held" for name in among)
    before = world.files()
    world.propose()
    assert world.files() == before
