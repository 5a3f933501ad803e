# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Poisoned learning: what an intruder does from the first day on ends in the queue with its reason, and becomes no rule."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import read_json
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.model import Observation
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.threats import import_threats
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.beside import beside
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.evidence import TO_ALL, Excluded, Gathered
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps import propose_files
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.propose_files import Changes
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.propose_findings import unlisted
from tests.unit.learn.worlds import DAY_US, World, address, mac, rule_ids, waiting

DAYS = range(14)
USUAL = {
    "cameras-to-names-dns", "monitors-to-archive-dicom", "monitors-to-names-dns", "pumps-to-gateways-mqtt", "pumps-to-names-dns",
}  # fmt: skip
STRANGER = "10.1.99.9"


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    made.usual(DAYS)
    return made


@pytest.mark.one_python
def test_what_is_usual_becomes_rules_and_nothing_else(world: World) -> None:
    made = world.write().propose()
    assert rule_ids(made) == USUAL
    # Two weeks show too little of the cameras, which need one rule: their owner may tell the rest.
    assert [(item["kind"], item["client"]) for item in made["review"]] == [("segment-account", "cameras")]


@pytest.mark.one_python
def test_a_pump_that_is_infected_from_day_one(world: World) -> None:
    pump = address("pumps", 0)
    for day in DAYS:
        world.flow(day, pump, address("archive", 0), "smb", 3)
        world.flow(day, pump, address("gateways", 1), "https", 3)
    made = world.write().propose()
    assert rule_ids(made) == USUAL
    assert {(item["server"], item["port"]) for item in waiting(made, "one-device")} == {
        ("archive", 445),
        ("gateways", 443),
    }
    assert all(
        "one device alone" in item["reason"] and "named person" in item["reason"]
        for item in waiting(made, "one-device")
    )


@pytest.mark.one_python
def test_a_scanner_that_takes_its_time(world: World) -> None:
    """Three ends a day, far below what five minutes show, each port once."""
    ends = [(s, n) for s in ("monitors", "pumps", "cameras") for n in range(6) if (s, n) != ("cameras", 3)]
    targets = [address(*end) for end in (*ends, ("gateways", 0), ("archive", 0))]
    for number, target in enumerate(targets):
        world.flow(number % 13, address("cameras", 3), target, "https", 2 + number % 5, 7 * (number % 8))
    made = world.write().propose()
    assert rule_ids(made) == USUAL
    assert len(waiting(made, "scan")) == len(targets)
    assert all("slow scan" in item["reason"] for item in waiting(made, "scan"))


@pytest.mark.one_python
def test_a_poller_that_the_site_declares_is_none(world: World) -> None:
    for day in DAYS:
        for number in range(6):
            for segment in ("monitors", "pumps", "cameras"):
                if day == (number * 3 + len(segment)) % 14:
                    world.flow(day, address("gateways", 0), address(segment, number), "https", 4)
    world.write()
    assert waiting(world.propose(), "scan")
    site = (world.policy / "site.yml").read_text(encoding="utf-8")
    (world.policy / "site.yml").write_text(site + "  declared_scanners: pollers\n", encoding="utf-8")
    (world.policy / "networks.yml").write_text(
        f"networks:\n  pollers:\n    prefixes: [{address('gateways', 0)}/32]\n", encoding="utf-8"
    )
    assert not waiting(world.propose(), "scan")


@pytest.mark.one_python
def test_a_rogue_server_on_a_clinical_port(world: World) -> None:
    for day in DAYS:  # a camera plays archive for two monitors
        for number in range(2):
            world.flow(day, address("monitors", number), address("cameras", 5), "dicom", 11)
    made = world.write().propose()
    assert rule_ids(made) == USUAL
    (item,) = waiting(made, "rogue-server")
    assert (item["client"], item["server"], item["port"]) == ("monitors", "cameras", 104)
    assert "1 of 6 devices" in item["reason"] and "look at the server" in item["reason"]


@pytest.mark.one_python
@pytest.mark.parametrize(("pumps", "ruled"), [((0, 1), False), ((6, 7), True)])
def test_a_server_in_doubt_that_takes_clients_over_is_told_from_one_that_has_its_own(
    pumps: tuple[int, int], ruled: bool, tmp_path: Path
) -> None:
    """What is called a camera does all that gateways do: for two pumps that have a gateway each, or for two that have none."""
    world = World(tmp_path, sizes={"cameras": 6, "monitors": 0, "pumps": 8, "archive": 1, "gateways": 3, "names": 1})
    served = {("gateways", n): (2 * n, 2 * n + 1) for n in range(3)} | {("cameras", 5): pumps}
    for day in range(7):
        for server, clients in served.items():
            for pump in clients:
                for service in ("mqtt", "https"):
                    world.flow(day, address("pumps", pump), address(*server), service, 4 + pump)
        for end in (*served, *(("cameras", number) for number in range(5))):
            world.flow(day, address(*end), address("names", 0), "dns", 2)
        for number in range(5):
            world.flow(day, address("cameras", number), address("archive", 0), "smb", 3)
    made = world.write().propose()
    assert [each["held_in"] for each in made["misplaced"]] == ["held_gateways"]
    ends = ("gateways", "held_gateways") if ruled else ("gateways",)
    rules = {f"pumps-to-{to}-{service}" for to in ends for service in ("mqtt", "https")}
    assert {each for each in rule_ids(made) if each.startswith("pumps-to")} == rules
    items = waiting(made, "rogue-server")
    assert {(each["client"], each["server"], each["port"]) for each in items} == (
        set() if ruled else {("pumps", "held_gateways", port) for port in (1883, 443)}
    )
    assert all("cameras-5 serves 2 clients that gateways serve on the same days" in each["reason"] for each in items)
    assert any("2 rogue-server" in text for text in made["enforcement"]["pumps"]["wait_for"]) is not ruled


@pytest.mark.one_python
def test_a_device_in_doubt_that_plays_a_server_of_a_third_kind(world: World) -> None:
    """A pump that is called a camera plays archive for two monitors, as neither pumps nor cameras do; a camera plays its gateway."""
    world.profiles[mac("pumps", 5)] = "cameras"
    for day in DAYS:
        for number in range(2):
            world.flow(day, address("monitors", number), address("pumps", 5), "dicom", 11)
        world.flow(day, address("pumps", 5), address("cameras", 3), "mqtt", 11)
    made = world.write().propose()
    told = {(each["client"], each["server"], each["port"]): each["reason"] for each in waiting(made, "rogue-server")}
    assert set(told) == {("monitors", "held_pumps", 104), ("held_pumps", "cameras", 1883)}
    assert "6 clients have it from archive" in told["monitors", "held_pumps", 104]
    assert "1 of 6 devices of cameras" in told["held_pumps", "cameras", 1883]


EVERY, LATE = 0b1111111, 0b1100000


@pytest.mark.parametrize(
    ("clients", "others", "found"),
    [
        ({"a": EVERY, "b": EVERY, "c": EVERY}, {f"s{n}": dict.fromkeys("abcdefghijklm", EVERY) for n in range(3)}, True),
        # As many as the others have, a few less, or one that nobody else serves.
        (dict.fromkeys("abcdefghij", EVERY), {f"s{n}": dict.fromkeys("abcdefghijklm", EVERY) for n in range(3)}, False),
        ({"a": EVERY, "z": EVERY}, {f"s{n}": dict.fromkeys("abcdefghijklm", EVERY) for n in range(3)}, False),
        # Calls among many: a few clients each, different from day to day.
        ({"a": 1}, {f"s{n}": {"abcdefg"[(n + k) % 7]: 1 << k for k in range(4)} for n in range(7)}, False),
        # Late, and on those days the others had no more.
        ({"a": LATE, "b": LATE}, {f"s{n}": dict.fromkeys("abcdefghijklm", 0b1) | dict.fromkeys("ab", LATE) for n in range(3)}, False),
        # One server each: two on the same days, or another now and then.
        ({"a": EVERY}, {"s0": {"a": EVERY}, "s1": {"b": EVERY}, "s2": {"c": EVERY}}, True),
        ({"a": 0b1111110}, {"s0": {"a": 0b0000011}, "s1": {"b": EVERY}, "s2": {"c": EVERY}}, False),
        ({"z": EVERY}, {"s0": {"a": EVERY}, "s1": {"b": EVERY}, "s2": {"c": EVERY}}, False),
        ({"a": EVERY}, {}, False),
    ],
)  # fmt: skip
def test_who_serves_beside_others(clients: dict[str, int], others: dict[str, dict[str, int]], found: bool) -> None:
    made = beside("x", clients, others)
    assert (made is not None) is found
    assert made is None or made.clients == len(clients)


@pytest.mark.one_python
def test_a_server_that_nobody_knows(world: World) -> None:
    for day in DAYS:
        for number in range(6):
            world.flow(day, address("monitors", number), STRANGER, "dicom", 11)
    made = world.write().propose()
    assert rule_ids(made) == USUAL
    assert {item["server"] for item in waiting(made, "unknown")} == {STRANGER}


@pytest.mark.one_python
def test_what_the_queue_does_not_take_is_counted_and_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """First stands what has to be decided whatever its score; nothing goes without a word."""
    for day in DAYS:
        world.flow(day, address("pumps", 0), address("archive", 0), "smb", 3)
        for number in range(2):
            world.flow(day, address("monitors", number), STRANGER, "dicom", 11)
            world.flow(day, address("monitors", number), address("cameras", 5), "dicom", 11)
    world.write()
    (world.policy / "networks.yml").write_text(
        "networks:\n  recovery: {prefixes: [198.51.100.0/28]}\n", encoding="utf-8"
    )
    monkeypatch.setattr(propose_files, "MOST_ITEMS", 2)
    made = world.propose()
    queue = read_json(world.policy / "evidence" / "open" / "review.json")
    assert {each["kind"] for each in queue["items"]} == {"network-set", "rogue-server"}
    assert queue["unlisted"] == {"one-device": 1, "segment-account": 1, "unknown": 2}
    assert (
        Counter(each["kind"] for each in made["review"])
        == queue["counts"]
        == {**queue["unlisted"], "network-set": 1, "rogue-server": 1}
    )
    (told,) = [each["message"] for each in made["warnings"] if each["code"] == "SW3225"]
    assert "4 items" in told and "1 one-device, 1 segment-account, 2 unknown" in told


def test_pairs_that_are_only_counted_are_told() -> None:
    pair = Excluded("a", "", "b", "", 6, 80, 1, 1, 0, 0, "", "the client fits no segment")
    counts = {pair.reason: 4, "part of a scan": 3, f"multicast {TO_ALL}": 9}
    (told,) = unlisted(Changes(Path(), True), Gathered({}, (pair,), counts))
    assert "6 pairs" in told.message and f"3 because part of a scan; 3 because {pair.reason}" in told.message
    assert "multicast" not in told.message
    assert unlisted(Changes(Path(), True), Gathered({}, (pair,), {pair.reason: 1})) == []


@pytest.mark.one_python
def test_an_end_on_a_threat_list(world: World, tmp_path: Path) -> None:
    for day in DAYS:
        for number in range(6):
            world.flow(day, address("pumps", number), "198.51.100.7", "https", 11)
    world.write()
    (world.policy / "networks.yml").write_text(
        "networks:\n  vendor:\n    prefixes: [198.51.100.0/28]\n", encoding="utf-8"
    )
    assert "pumps-to-vendor-https" in rule_ids(world.propose())
    world.folder.joinpath("list.csv").write_text(
        "address,valid_from,valid_until,source,reason\n198.51.100.7,2026-01-01T00:00:00Z,,test,command and control\n",
        encoding="utf-8",
    )
    import_threats(world.data, [world.folder / "list.csv"])
    made = world.propose()
    assert rule_ids(made) == USUAL
    assert len(waiting(made, "threat")) == 6
    # The rule stands in its file, and a person had approved it before the list named the end: it is told all the same.
    for approved in (False, True):
        if approved:
            decided = "client: pumps, to: vendor, service: https, decision: approve, by: A. Huber, reason: Updates, date: 2026-11-01"
            text = f"decisions:\n  - {{{decided}}}\n"
            (world.policy / "decisions.yml").write_text(text, encoding="utf-8")
            made = world.propose()
        (told,) = [each for each in made["warnings"] if each["code"] == "SW3222"]
        assert "pumps to vendor, tcp/443" in told["message"]


@pytest.mark.one_python
def test_a_few_wrong_profiles_do_not_widen_a_segment(world: World) -> None:
    """One of twenty pumps is a monitor by nature: what monitors do is not permitted to pumps."""
    world.sizes["pumps"] = 20
    world.rows.clear()
    world.usual(DAYS)
    for day in DAYS:
        for number in (18, 19):
            world.flow(day, address("pumps", number), address("archive", 0), "dicom", 11)
    made = world.write().propose()
    assert rule_ids(made) == USUAL
    (item,) = waiting(made, "misplaced")
    assert "most of monitors" in item["reason"]


@pytest.mark.one_python
def test_a_few_wrong_profiles_widen_nothing_of_infrastructure_nor_as_servers(world: World) -> None:
    """Two of twenty monitors ask for names and serve cameras, as most pumps do and other monitors never."""
    world.sizes |= {"pumps": 8, "monitors": 20}
    world.rows.clear()
    for day in DAYS:
        for number in range(8):
            world.flow(day, address("pumps", number), address("names", 0), "dns", 1 + number)
            world.flow(day, address("cameras", number % 6), address("pumps", number), "mqtt", 3)
        for number in range(6):
            world.flow(day, address("cameras", number), address("names", 0), "dns", 1 + number)
        for number in (18, 19):
            world.flow(day, address("monitors", number), address("names", 0), "dns", 11)
            for camera in range(6):
                world.flow(day, address("cameras", camera), address("monitors", number), "mqtt", 4)
    world.write()
    with (world.policy / "site.yml").open("a", encoding="utf-8") as stream:
        stream.write("defaults:\n  infrastructure:\n    dns: names\n")
    made = world.propose()
    assert rule_ids(made) == {"pumps-to-names-dns", "cameras-to-names-dns", "cameras-to-pumps-mqtt"}
    assert {(item["client"], item["server"]) for item in waiting(made, "misplaced")} == {
        ("monitors", "names"),
        ("cameras", "monitors"),
    }


@pytest.mark.one_python
def test_a_device_whose_sources_disagree_is_no_evidence(world: World) -> None:
    for day in DAYS:
        for number in range(4):
            world.flow(day, address("pumps", number), address("archive", 0), "https", 11)
    seen = 40 * DAY_US + 1_793_577_600_000_000
    world.more = [
        Observation(mac("pumps", number), {"endpoint_profile": "printer"}, (), "lldp", seen, 0.9) for number in range(4)
    ]
    made = world.write().propose()
    assert "pumps-to-archive-https" not in rule_ids(made)
    assert sum("is no evidence" in each["message"] for each in made["warnings"]) == 4
