# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports that services.yml does not name: strong evidence proposes a service for review, and people's word about it stands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.named import UNREVIEWED
from tests.unit.learn.worlds import World, address, rule_ids, waiting

DAYS = range(14)
RULE = "cameras-to-archive-tcp-4070"
BADGE = (6, 4070)


def seen(world: World, port: tuple[int, int] = BADGE, cameras: range = range(6)) -> World:
    for day in DAYS:
        for number in cameras:
            world.flow(day, address("cameras", number), address("archive", 0), port, 10)
    return world


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    made.usual(DAYS)
    return seen(made)


def services(world: World) -> dict[str, dict[str, object]]:
    return dict(yaml.safe_load((world.policy / "services.yml").read_text(encoding="utf-8"))["services"])


def edited(world: World, path: str, change: Callable[[str], str]) -> None:
    text = (world.policy / path).read_text(encoding="utf-8")
    assert change(text) != text
    (world.policy / path).write_text(change(text), encoding="utf-8")


def without_rule(text: str) -> str:
    document = yaml.safe_load(text)
    document["allow"] = [rule for rule in document["allow"] if rule["id"] != RULE]
    return yaml.safe_dump(document, sort_keys=False)


@pytest.mark.one_python
def test_a_service_is_written_for_review_with_its_rule_and_stays_the_same(world: World) -> None:
    world.write()
    (world.policy / "services.yml").write_bytes(
        (world.policy / "services.yml").read_bytes().replace(b"services:", b"# ours\nservices:").replace(b"\n", b"\r\n")
    )
    before = (world.policy / "services.yml").read_bytes()
    made = world.propose()
    assert services(world)["tcp-4070"] == {"description": UNREVIEWED, "match": [{"protocol": "tcp", "ports": [4070]}]}
    lines = (world.policy / "services.yml").read_bytes().splitlines(keepends=True)
    assert all(line.endswith(b"\r\n") for line in lines)
    assert [line for line in before.splitlines(keepends=True) if line not in lines] == []
    (rule,) = [each for each in made["rules"] if each["id"] == RULE]
    assert rule["points"]["known service"] == 0 and rule["score"] == 80
    assert made["new_services"] == [{"name": "tcp-4070", "rules": [RULE]}]
    assert made["commits"][0]["files"] == ["evidence/open/services.json", "services.yml"]
    text = (world.data / "out" / "pull-request.md").read_text(encoding="utf-8")
    assert "New services, for review" in text and "tcp-4070" in text
    files = world.files()
    again = world.propose()
    assert world.files() == files and not again["answer"]["changed"] and again["new_services"] == []
    assert RULE in rule_ids(again)


@pytest.mark.one_python
def test_a_name_that_is_taken_is_not_taken_again(world: World) -> None:
    world.write()
    text = "  tcp-4070:\n    match:\n      - {protocol: tcp, ports: [4071]}\n"
    edited(world, "services.yml", lambda before: before + text)
    made = world.propose()
    assert [each["name"] for each in made["new_services"]] == ["tcp-4070-2"]
    assert services(world)["tcp-4070"]["match"] == [{"protocol": "tcp", "ports": [4071]}]


@pytest.mark.one_python
def test_who_names_it_is_respected(world: World) -> None:
    world.write().propose()
    edited(world, "services.yml", lambda text: text.replace("tcp-4070", "badge").replace(UNREVIEWED, "Badge readers"))
    edited(
        world,
        "clinical/cameras.yml",
        lambda text: text.replace("- tcp-4070", "- badge").replace("[tcp-4070]", "[badge]"),
    )
    texts = {path: world.files()[path] for path in ("services.yml", "clinical/cameras.yml")}
    made = world.propose()
    assert {path: world.files()[path] for path in texts} == texts and made["new_services"] == []
    assert max(each["score"] for each in made["rules"] if each["services"] == ["badge"]) == 90


@pytest.mark.one_python
def test_who_takes_it_away_does_not_get_it_again(world: World) -> None:
    first = services(world.write())
    world.propose()
    (world.policy / "services.yml").write_text(yaml.safe_dump({"services": first}), encoding="utf-8")
    edited(world, "clinical/cameras.yml", without_rule)
    made = world.propose()
    assert "tcp-4070" not in services(world) and RULE not in rule_ids(made) and made["new_services"] == []
    (item,) = waiting(made, "no-service")
    assert item["reason"] == "its service was taken away"
    # Until a person says that it may be.
    (world.policy / "decisions.yml").write_text(
        "decisions:\n  - client: cameras\n    to: archive\n    service: tcp/4070\n    decision: approve\n"
        "    by: R. Ortner\n    reason: Needed after all\n    date: 2026-11-20\n",
        encoding="utf-8",
    )
    assert RULE in rule_ids(world.propose()) and "tcp-4070" in services(world)


@pytest.mark.one_python
@pytest.mark.parametrize(
    ("ports", "cameras"),
    [
        ([(6, 49_200)], range(6)),  # dynamic
        ([(6, 5_985)], range(6)),  # a way into a device
        ([(6, 4_000 + number) for number in range(4)], range(6)),  # many between the same two
        ([(6, 4_070)], range(1)),  # one device alone
    ],
)
def test_what_is_no_service_of_one_port_waits(tmp_path: Path, ports: list[tuple[int, int]], cameras: range) -> None:
    world = World(tmp_path)
    world.usual(DAYS)
    for port in ports:
        seen(world, port, cameras)
    made = world.write().propose()
    assert made["new_services"] == [] and not [each for each in services(world) if each.startswith("tcp-")]
    # A service that only fits the rest of what is usual is as it was, and the ports are asked about.
    assert {item["port"] for item in waiting(made, "no-service")} == {port for _protocol, port in ports}


@pytest.mark.one_python
def test_a_port_that_both_open_is_a_call_back_and_waits(world: World) -> None:
    for day in DAYS:
        for number in range(6):
            world.flow(day, address("archive", 0), address("cameras", number), BADGE, 12)
    made = world.write().propose()
    assert made["new_services"] == []
    assert {item["client"] for item in waiting(made, "no-service")} == {"cameras"}
