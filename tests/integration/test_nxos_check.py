# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check mode shows, line for line, what a Nexus switch then accepts: told by the emulator's own log, in random cases.

IOS-XE: test_device_fleet.py; ASA: test_check_equals_apply.py.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.device_fleet import run_device_fleet
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import nxos_session
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ways_back import own_name
from tests.integration.test_targets_nxos import HOST, LET_IN, PASSWORD, USER, Switch, made_switch

NAMES = ("SW_hvac", "SW_cam", "SW_plant")
ENTRY = re.compile(r"(?:\d+ )?(?:permit|deny|remark) ")
SAVE = "copy running-config startup-config"
WORDS = ("configure session segwright", "configure terminal", "end", SAVE)
DISTURBANCES = ("nothing", "edit", "gone", "version", "armed", "session", "scheduler")


@pytest.fixture(params=[True, False], ids=["sessions", "plain"])
def switch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Switch]:
    monkeypatch.setattr(nxos_session, "LINE_SECONDS", 3.0)
    # No way back strikes while a case runs.
    yield from made_switch(tmp_path, session_manager=request.param, minute_seconds=300.0)


def run(switch: Switch, place: Path, wanted: list[dict[str, Any]], *, check: bool, prune: bool) -> dict[str, Any]:
    """What the fleet's task says of the switch."""
    host = {
        "microseg_platform": "nxos", "ansible_host": HOST, "ansible_port": switch.device.port, "ansible_user": USER,
        "ansible_password": PASSWORD, "microseg_known_hosts_file": str(switch.known_hosts), "microseg_device_lists": wanted,
    }  # fmt: skip
    values = {"state": "merged", "data_dir": str(place), "check_mode": check, "diff_mode": True, "prune": prune}
    run_device_fleet(values, {"hostvars": {"n9k1": host}, "ansible_play_batch": ["n9k1"]})
    made: dict[str, Any] = json.loads((place / "out" / "devices" / "n9k1.json").read_text(encoding="utf-8"))
    return made


def configured(commands: list[str]) -> list[str]:
    """The lines without the words that begin and end configuration; those inside a scheduler's job are lines."""
    lines, job = [], False
    for line in commands:
        if job or line not in WORDS:
            lines.append(line)
        job = line.startswith("scheduler job name ") or (job and line != "end-job")
    return lines


def random_lists(draw: random.Random) -> list[dict[str, Any]]:
    ports = draw.sample(range(1, 7), 4)
    made = []
    for name in draw.sample(NAMES, draw.randint(1, 3)):
        lines = []
        for number in range(draw.randint(1, 6)):
            if draw.random() < 0.2:
                lines.append(f"remark rule {name}-{number}")
            source = draw.choice(("any", "10.0.0.0/24", "10.0.1.7/32", "10.0.0.0 0.0.3.0"))
            operator = draw.choice(("", " eq 443", " range 5000 5010", " gt 1023"))
            action, protocol = draw.choice(("permit", "deny")), draw.choice(("tcp", "udp"))
            lines.append(f"{action} {protocol} {source} 10.0.0.{draw.randint(1, 3)}/32{operator}")
        if draw.random() < 0.2:
            lines.insert(0, "statistics per-entry")
        lines.append(draw.choice(("deny ip any any", "permit ip any any")))
        chosen = [f"Ethernet1/{ports.pop()}" for _port in range(min(len(ports), draw.randint(0, 2)))]
        made.append({"name": name, "content": "\n".join(lines), "interfaces": chosen})
    if draw.random() < 0.25:  # where management arrives: armed
        made.append({
            "name": "SW_gate", "content": "\n".join((*LET_IN, f"deny tcp any any eq {draw.randint(1, 9)}", "permit ip any any")),
            "interfaces": ["Vlan10"],
        })  # fmt: skip
    if draw.random() < 0.2:
        lines = ["ipv6 access-list SW_six", f"  10 permit tcp 2001:db8::/64 any eq {draw.randint(1, 3)}"]
        made.append(
            {"name": "SW_six", "content": "\n".join(lines), "interfaces": ["Ethernet1/7"], "point": "router_acl"}
        )
    return made


def disturb(switch: Switch, draw: random.Random) -> str:
    """Do to the switch what hands and interrupted runs do."""
    what = draw.choice(DISTURBANCES)
    held = sorted(each for each in switch.lists() if each != "SW_six__a" and "six" not in each)
    if what == "armed":
        back = ("interface Ethernet1/1", f"ip port access-group {held[0]} in") if held else ()
        name = own_name("SW_way_back")
        switch.type("feature scheduler", f"scheduler job name {name}", "configure terminal", *back, "end-job",
                    f"scheduler schedule name {name}", f"job name {name}", "time start +23:00")  # fmt: skip
    elif what == "scheduler":
        switch.type("feature scheduler", "scheduler job name THEIRS", "show clock", "end-job")
    elif what == "session" and switch.device.spec.session_manager:

        def leave() -> None:
            cli = switch.device.make_cli("someone")
            cli.enter_session("segwright")
            cli.configure("ip access-list LEFT")

        switch.fleet.call(leave)
    elif held and what in ("edit", "gone", "version"):
        live = draw.choice(held)
        if what == "gone":
            switch.type(f"no ip access-list {live}")
        elif what == "edit":
            switch.type(f"ip access-list {live}", f"1 permit tcp any any eq {draw.randint(6000, 6999)}")
        else:
            free = [each for each in (f"{live[:-1]}{letter}" for letter in "abc") if each not in held]
            if free:
                switch.type(f"ip access-list {free[0]}", "10 permit udp any any eq 5", "20 deny ip any any")
    return what


def judge(switch: Switch, shown: dict[str, Any], made: dict[str, Any], held: str) -> int:
    """Hold what check mode showed against what was accepted; return the number of lines."""
    records = switch.device.counters.records
    assert shown["commands"] == made["commands"] and shown["diff"] == made["diff"]
    assert not [each for each in records if "%" in each["output"] or "ERROR" in each["output"]]
    log = [str(each["line"]) for each in records]
    assert configured(shown["commands"]) == log
    assert shown["commands"].count(SAVE) == switch.device.counters.saves
    # Each list's plus lines are the lines that were typed for it, its minus lines those that were there.
    for name, rows in re.findall(
        r"(?m)^\+\+\+ policy nxos_access_list/(\S+)\n((?:[-+ @].*\n?(?!---))*)", shown["diff"]
    ):
        plus = [row[1:].strip() for row in rows.splitlines() if row.startswith("+")]
        minus = [row[1:].strip() for row in rows.splitlines() if row.startswith("-") and row[:3] != "---"]
        starts = [
            number for number, line in enumerate(log) if re.match(rf"ip(?:v6)? access-list {name}__[abc]\Z", line)
        ]
        if starts and plus:  # else an interrupted run had built it already, or it goes
            got = list(
                takewhile(lambda line: bool(ENTRY.match(line)) or line.startswith("statistics"), log[starts[0] + 1 :])
            )
            assert [line for line in plus if ENTRY.match(line)] == [
                line for line in got if line in plus and ENTRY.match(line)
            ]
        for line in minus:
            assert re.search(rf"(?m)^ +{re.escape(line)} *$", held) or line.endswith(f"access-list {name}"), line
    return len(log)


@pytest.mark.parametrize(
    ("switch", "part"),
    [(True, 0), *(pytest.param(number < 8, number, marks=pytest.mark.full) for number in range(1, 10))],
    indirect=["switch"],
)
def test_a_switch_accepts_what_check_mode_shows(switch: Switch, tmp_path: Path, full: bool, part: int) -> None:
    """Ten parts of 20 cases in a full run, the last two without Session Manager; each fourth case asks for the same again."""
    draw, lines, refused, silent = random.Random(9470 + part), 0, 0, 0
    wanted: list[dict[str, Any]] = []
    cases = 20 if full else 3
    seen = set()
    for number in range(cases):
        if number % 4 != 3:
            wanted = random_lists(draw)
        if number:
            seen.add(disturb(switch, draw))
        prune, held = draw.random() < 0.5, switch.running()
        switch.fleet.call(switch.device.counters.records.clear)
        switch.device.counters.saves = 0
        shown = run(switch, tmp_path, wanted, check=True, prune=prune)
        assert not switch.device.counters.records and switch.running() == held
        made = run(switch, tmp_path, wanted, check=False, prune=prune)
        assert shown["status"] == made["status"], (shown["findings"], made["findings"])
        if made["status"] == "failed":
            assert shown["findings"] == made["findings"]
            assert not switch.device.counters.records and switch.running() == held
            refused += 1
            continue
        got = judge(switch, shown, made, held)
        lines, silent = lines + got, silent + (not got)
    print(f"{cases} cases, {lines} lines shown and accepted, {silent} silent, {refused} refused alike; {sorted(seen)}")
    assert refused < cases / 4
    assert lines > cases


@pytest.mark.parametrize("switch", [True], indirect=True)
def test_what_an_interrupted_run_did_not_save_is_saved_by_the_next(switch: Switch, tmp_path: Path) -> None:
    """Without it the switch would come back from a reload with the old list, and no run would notice before."""
    wanted = [
        {"name": "SW_hvac", "content": "permit tcp any any eq 443\ndeny ip any any", "interfaces": ["Ethernet1/1"]}
    ]
    switch.fault(kind="error_on", regex="^copy running", text="Configuration update aborted: request was aborted")
    first = run(switch, tmp_path, wanted, check=False, prune=False)
    assert first["status"] == "failed" and "SW4267" in {each["code"] for each in first["findings"]}
    assert switch.attached() == {"SW_hvac__a"} and "SW_" not in switch.device.startup
    switch.fleet.call(switch.device.counters.records.clear)
    assert run(switch, tmp_path, wanted, check=True, prune=False)["status"] == "unchanged"
    assert "SW_" not in switch.device.startup
    second = run(switch, tmp_path, wanted, check=False, prune=False)
    assert second["status"] == "unchanged" and "SW4415" in {each["code"] for each in second["findings"]}
    assert "SW_hvac__a in" in switch.device.startup and not switch.device.counters.records
    saves = switch.device.counters.saves
    assert run(switch, tmp_path, wanted, check=False, prune=False)["findings"] == []
    assert switch.device.counters.saves == saves
