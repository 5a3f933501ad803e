# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Editing histories: a person edits, the generator runs with the same traffic and with more. Nothing of the person's is lost."""

from __future__ import annotations

import difflib
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.learn.worlds import World, address, rule_ids

PUMPS, MONITORS = "clinical/pumps.yml", "clinical/monitors.yml"
BAND = re.compile(r"\A\s+(days|devices|direction|telemetry): ")
Edit = Callable[[Path], None]


@pytest.fixture(scope="module")
def proposed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site whose first proposal is written."""
    world = World(tmp_path_factory.mktemp("proposed"))
    world.usual(range(7))
    world.write().propose()
    return world.folder


@pytest.fixture
def world(proposed: Path, tmp_path: Path) -> World:
    shutil.copytree(proposed, tmp_path, dirs_exist_ok=True)
    made = World(tmp_path)
    made.usual(range(7))
    return made


def change(path: str, old: str, new: str, count: int = 1) -> Edit:
    def edit(policy: Path) -> None:
        text = (policy / path).read_text(encoding="utf-8")
        assert old in text
        (policy / path).write_text(text.replace(old, new, count), encoding="utf-8")

    return edit


def rule_text(text: str, name: str) -> str:
    """Return the lines of one rule."""
    found = re.search(rf"^  - id: {name}\n(?:    .*\n)*", text, re.MULTILINE)
    assert found
    return found[0]


def reorder(policy: Path) -> None:
    text = (policy / PUMPS).read_text(encoding="utf-8")
    first = rule_text(text, "pumps-to-gateways-mqtt")
    (policy / PUMPS).write_text(text.replace(first, "") + first, encoding="utf-8")


def delete(name: str, path: str = PUMPS) -> Edit:
    def edit(policy: Path) -> None:
        text = (policy / path).read_text(encoding="utf-8")
        (policy / path).write_text(text.replace(rule_text(text, name), ""), encoding="utf-8")

    return edit


def decide(client: str, to: str, service: str, decision: str) -> Edit:
    def edit(policy: Path) -> None:
        (policy / "decisions.yml").write_text(
            f"# the board's\ndecisions:\n  - client: {client}\n    to: {to}\n    service: {service}\n    decision: {decision}\n"
            "    by: R. Ortner\n    reason: Settled on the ward\n    date: 2026-11-20\n",
            encoding="utf-8",
        )

    return edit


def both(*edits: Edit) -> Edit:
    def edit(policy: Path) -> None:
        for each in edits:
            each(policy)

    return edit


def append(path: str, text: str) -> Edit:
    def edit(policy: Path) -> None:
        with (policy / path).open("a", encoding="utf-8") as stream:
            stream.write(text)

    return edit


def carriage_returns(policy: Path) -> None:
    text = (policy / PUMPS).read_bytes()
    (policy / PUMPS).write_bytes(text.replace(b"\n", b"\r\n"))


def other_file(policy: Path) -> None:
    (policy / PUMPS).rename(policy / "clinical" / "a-ward.yml")


def other_segment_name(policy: Path) -> None:
    path = policy / PUMPS
    text = path.read_text(encoding="utf-8").replace("segment: pumps", "segment: infusion")
    (policy / "clinical" / "infusion.yml").write_text(text, encoding="utf-8")
    path.unlink()


REASON = "    reason: Seen in recorded traffic\n"
MANUAL = "  - id: pumps-by-hand\n    to: archive\n    services: [https]\n    reason: Manuals\n    origin: manual\n"
HISTORIES: dict[str, Edit] = {
    "a comment above a rule": change(PUMPS, "  - id: pumps-to-gateways", "  # agreed with the ward\n  - id: pumps-to-gateways"),
    "a comment behind a value": change(PUMPS, "services: [mqtt]", "services: [mqtt]  # alarms"),
    "a comment at the end": append(PUMPS, "# that is all\n"),
    "another order": reorder,
    "a rule renamed": change(PUMPS, "id: pumps-to-gateways-mqtt", "id: alarms"),
    "a reason": change(PUMPS, REASON, "    reason: Alarms to the gateway, 24 hours a day\n"),
    "a reason of several lines": change(PUMPS, REASON, "    reason: >-\n      Alarms to the gateway,\n      day and night\n"),
    "an owner": change(PUMPS, REASON, REASON + "    owner: biomed\n"),
    "an end and a ticket": change(PUMPS, REASON, REASON + "    expires: 2027-03-31\n    ticket: CHG-17\n"),
    "more services": change(PUMPS, "services: [mqtt]", "services: [mqtt, https]"),
    "other services": change(PUMPS, "services: [mqtt]", "services: [https]"),
    "another server": change(PUMPS, "    to: gateways\n", "    to: archive\n"),
    "a rule by hand": append(PUMPS, MANUAL),
    "a rule made the person's own": change(PUMPS, "origin: learned", "origin: manual"),
    "a rule taken out": delete("pumps-to-gateways-mqtt"),
    "a rule taken out and refused": both(delete("pumps-to-gateways-mqtt"), decide("pumps", "gateways", "mqtt", "refuse")),
    "a refusal alone": decide("pumps", "gateways", "mqtt", "refuse"),
    "blank lines and quotes": change(PUMPS, "    to: gateways\n", "\n    to: \"gateways\"\n\n"),
    "lists in another style": change(PUMPS, "services: [mqtt]", "services:\n      - mqtt"),
    "carriage returns": carriage_returns,
    "what the segment is": change(PUMPS, "criticality: life_support", "criticality: high\ndescription: Pumps of ward 3"),
    "another file name": other_file,
    "another segment name": other_segment_name,
    "conditions": change(
        PUMPS, REASON,
        REASON + "    conditions:\n      windows:\n        - days: [mon, tue]\n          start: \"06:00\"\n          end: \"22:00\"\n",
    ),
}  # fmt: skip


def policies(world: World) -> dict[str, bytes]:
    """Return the documents that people edit, byte by byte."""
    return {str(path.relative_to(world.policy)): path.read_bytes() for path in sorted(world.policy.rglob("*.yml"))}


def test_there_are_twenty_and_more() -> None:
    assert len(HISTORIES) >= 20


# One of each nature: what YAML does not keep, values, references, what is taken out, names of files and segments.
QUICK = (
    "a comment above a rule", "a rule renamed", "a rule made the person's own", "a rule taken out and refused", "carriage returns",
    "another segment name",
)  # fmt: skip


def test_the_quick_ones_are_among_them() -> None:
    assert set(QUICK) <= set(HISTORIES)


@pytest.mark.one_python
@pytest.mark.parametrize(
    "name", [pytest.param(each, marks=[] if each in QUICK else [pytest.mark.full]) for each in HISTORIES]
)
def test_nothing_of_the_persons_is_lost(world: World, name: str) -> None:
    HISTORIES[name](world.policy)
    edited = policies(world)
    world.propose()
    assert policies(world) == edited, "the same traffic changes no document"
    everything = world.files()
    assert not world.propose()["answer"]["changed"]
    assert world.files() == everything, "nothing new was seen: byte for byte the same"
    # More of the same, and something new of the monitors.
    for day in range(7, 12):
        for number in range(6):
            world.flow(day, address("monitors", number), address("gateways", 0), "https", 9)
    world.usual(range(7, 12))
    world.write(documents=False)
    world.propose()
    after = policies(world)
    assert set(after) == set(edited)
    for path, old in edited.items():
        lines = difflib.ndiff(old.decode().splitlines(), after[path].decode().splitlines())
        gone = [line[2:] for line in lines if line.startswith("- ") and not BAND.match(line[2:])]
        assert gone == [], path
        if path != MONITORS:
            new = [
                line
                for line in difflib.ndiff(old.decode().splitlines(), after[path].decode().splitlines())
                if line.startswith("+ ")
            ]
            assert all(BAND.match(line[2:]) for line in new), path
        assert (b"\r\n" in old) == (b"\r\n" in after[path])
    assert b"monitors-to-gateways-https" in after[MONITORS]


def test_what_was_taken_out_is_told_until_it_is_refused(world: World) -> None:
    delete("pumps-to-gateways-mqtt")(world.policy)
    made = world.propose()
    assert made["taken_out"] == {"pumps": ["pumps-to-gateways-mqtt"]}
    assert any(each["code"] == "SW3221" for each in made["warnings"])
    waits = {name: each["wait_for"] for name, each in made["enforcement"].items()}
    assert all(any("pumps-to-gateways-mqtt" in text for text in waits[name]) for name in ("pumps", "gateways"))
    decide("pumps", "gateways", "mqtt", "refuse")(world.policy)
    made = world.propose()
    assert made["taken_out"] == {} and [item["id"] for item in made["refused"]] == ["pumps-to-gateways-tcp-1883"]
    assert "R. Ortner" in made["refused"][0]["reason"]
    assert "pumps-to-gateways-mqtt" not in str(made["enforcement"])


def test_what_a_person_narrowed_is_told_and_left(world: World) -> None:
    HISTORIES["other services"](world.policy)
    made = world.propose()
    assert [each["message"] for each in made["warnings"] if each["code"] == "SW3223"] == [
        "pumps: pumps-to-gateways-mqtt"
    ]


@pytest.mark.one_python
def test_an_approval_makes_a_rule_with_the_persons_name_and_end(world: World) -> None:
    for day in range(7):
        world.flow(day, address("pumps", 0), address("archive", 0), "smb", 3)
    world.write(documents=False)
    assert "pumps-to-archive-smb" not in rule_ids(world.propose())
    decide("pumps", "archive", "smb", "approve")(world.policy)
    append("decisions.yml", "    until: 2027-01-31\n")(world.policy)
    made = world.propose()
    assert "pumps-to-archive-smb" in rule_ids(made)
    text = (world.policy / PUMPS).read_text(encoding="utf-8")
    rule = rule_text(text, "pumps-to-archive-smb")
    assert "reason: Settled on the ward (approved by R. Ortner, 2026-11-20)" in rule and "expires: 2027-01-31" in rule
    assert "pumps-to-archive-smb" not in rule_ids(world.propose(today="2027-02-01")), "the approval has ended"
