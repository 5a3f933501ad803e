# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Poisoned learning: what an intruder does from the first day on ends in the queue with its reason, and becomes no rule."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.model import Observation
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.threats import import_threats
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
    assert made["review"] == []


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
def test_a_server_that_nobody_knows(world: World) -> None:
    for day in DAYS:
        for number in range(6):
            world.flow(day, address("monitors", number), STRANGER, "dicom", 11)
    made = world.write().propose()
    assert rule_ids(made) == USUAL
    assert {item["server"] for item in waiting(made, "unknown")} == {STRANGER}


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
