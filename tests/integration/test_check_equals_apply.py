# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check mode shows, line for line, what an ASA then accepts: told by the emulator's own log, in random cases.

IOS-XE: ``test_check_mode_shows_just_the_lines_that_are_typed`` in test_device_fleet.py. NX-OS: test_nxos_check.py. nftables:
test_nftables_changes.py.
"""

from __future__ import annotations

import difflib
import json
import random
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.device_fleet import run_device_fleet
from tests.integration.test_targets_asa import ENABLE, HOST, PASSWORD, USER, Firewall, firewall  # noqa: F401

NAMES = ("SW_forward", "SW_plant", "SW_cam")
WORD = re.compile(r"configure (?:terminal|session )|end\Z|write memory\Z|clear configuration session ")
APPLET = re.compile(
    r"description |event timer countdown time \d+\Z|output none\Z"
    r'|action \d+ cli command "(?:no )?(?:access-group SW_|event manager applet SW_)'
)
ENDS = (
    "any",
    "host 10.1.1.5",
    "10.1.1.0 255.255.255.0",
    "host 10.2.2.20",
    "any6",
    "2001:db8:40::/64",
    "host 2001:db8:40::9",
)


class Case:
    """One random case on one firewall: what it held, what check mode shows, and what it accepts afterwards."""

    def __init__(self, wall: Firewall, place: Path, wanted: list[dict[str, Any]], prune: bool) -> None:
        self.wall, self.place, self.wanted, self.prune = wall, place, wanted, prune
        self.lists = self._lists()
        self.groups = wall.groups()
        self.commands: list[str] = []

    def _lists(self) -> dict[str, list[str]]:
        held: dict[str, list[str]] = defaultdict(list)
        for line in self.wall.running().splitlines():
            if found := re.match(r"access-list (SW_\S+) ", line):
                held[found[1]].append(line)
        return dict(held)

    def run(self, check: bool) -> dict[str, Any]:
        host = {
            "microseg_platform": "asa", "ansible_host": HOST, "ansible_port": self.wall.device.port, "ansible_user": USER,
            "ansible_password": PASSWORD, "ansible_become_password": ENABLE, "microseg_known_hosts_file": str(self.wall.known_hosts),
            "microseg_device_lists": self.wanted,
        }  # fmt: skip
        values = {
            "state": "merged", "data_dir": str(self.place), "check_mode": check, "diff_mode": True, "prune": self.prune,
        }  # fmt: skip
        made = run_device_fleet(values, {"hostvars": {"fw1": host}, "ansible_play_batch": ["fw1"]})
        assert not made["failed_hosts"], made["warnings"]
        result: dict[str, Any] = json.loads((self.place / "out" / "devices" / "fw1.json").read_text(encoding="utf-8"))
        return result

    def shown(self) -> tuple[dict[str, list[str]], list[str]]:
        """The difference that check mode shows, by object, without the lines that say where; and the lines to type."""
        sections: dict[str, list[str]] = {}
        key = ""
        told = self.run(True)
        for line in told["diff"].splitlines():
            if found := re.match(r"(?:---|\+\+\+) (?:live|policy) (\S+)", line):
                key = found[1]
                sections.setdefault(key, [])
            elif not line.startswith(("@@", "---", "+++")):
                sections[key].append(line)
        return sections, [str(line) for line in told["commands"]]

    def accepted(self) -> list[str]:
        """What the firewall took, in order, by its own log."""
        records = self.wall.device.counters.records
        self.wall.fleet.call(records.clear)
        self.commands = self.run(False)["commands"]
        assert not [each for each in records if "ERROR" in each["output"]]
        return [str(each["line"]) for each in records]


def base(text: str) -> str:
    """The line with the names of the policy."""
    return re.sub(r"\b(SW_[a-z0-9]+)__[abc]\b", r"\1", text)


def body_of(before: list[str], after: list[str]) -> list[str]:
    rows = difflib.unified_diff([base(line) for line in before], [base(line) for line in after], lineterm="", n=2)
    return [line for line in rows if not line.startswith(("---", "+++", "@@"))]


def judge(case: Case) -> int:
    """Hold what is shown against what is accepted; return the number of lines shown."""
    (shown, lines_shown), log = case.shown(), case.accepted()
    assert [line for line in lines_shown if not WORD.match(line)] == log
    assert case.commands == lines_shown and ("write memory" in lines_shown) == bool(lines_shown)
    typed: dict[str, list[str]] = defaultdict(list)
    for line in log:
        if found := re.match(r"access-list (SW_[a-z]+)__[abc] ", line):
            typed[found[1]].append(line)
    versions: dict[str, list[str]] = defaultdict(list)
    for name in case.lists:
        versions[base(name)].append(name)
    places = {place: name for place, name in case.groups.items() if base(name) in versions}
    changed = {key.partition("/")[2] for key in shown if key.startswith("asa_access_list/")}
    # Every list that is shown is typed whole, and differs from the one before as shown; one that goes is not typed.
    going = {name for name in changed if name not in typed}
    assert set(typed) <= changed and going <= set(versions)
    for name in changed:
        before = [line for version in versions[name] for line in case.lists[version]]
        assert shown[f"asa_access_list/{name}"] == body_of(before, typed[name]), name
    # Attachments: those shown, and those of a place whose list gets its next version.
    lines = [
        line[1:] for key, rows in shown.items() if key.startswith("asa_attachment/") for line in rows if line[0] == "+"
    ]
    gone = [
        f"no {row[1:]}"
        for key, rows in shown.items()
        if key.startswith("asa_attachment/") and all(row[0] == "-" for row in rows)
        for row in rows
    ]
    moved = {
        f"access-group {base(name)} {place if place == 'global' else '{} interface {}'.format(*place.split())}"
        for place, name in places.items()
        if base(name) in changed - going
    }
    attached = [base(line) for line in log if re.match(r"(?:no )?access-group ", line)]
    assert sorted(set(attached)) == sorted(moved | set(lines) | set(gone))
    removed = {line.split()[-1] for line in log if line.startswith("clear configure access-list ")}
    assert removed == {version for name in changed for version in versions[name]}
    # Nothing else but the way back, which types our own lines.
    known = ("access-list SW_", "access-group SW_", "no access-group SW_", "clear configure access-list SW_", "commit")
    inside = False
    for line in log:
        inside = line.startswith("event manager applet SW_") or (inside and bool(APPLET.match(line)))
        assert inside or line.startswith((*known, "no event manager applet SW_")), line
    return sum(len(rows) for rows in shown.values())


def random_case(draw: random.Random) -> list[dict[str, Any]]:
    places = [("global", "in"), ("inside", "in"), ("plant", "out"), ("outside", "in")]
    draw.shuffle(places)
    made = []
    for name in draw.sample(NAMES, draw.randint(1, 3)):
        lines = []
        for number in range(draw.randint(1, 10)):
            if draw.random() < 0.2:
                lines.append(f"remark rule {name}-{number}")
            protocol = draw.choice(("tcp", "udp", "ip"))
            six = draw.random() < 0.3
            ends = [draw.choice(ENDS[4:] if six else ENDS[:4]) for _side in "ab"]
            port = draw.choice(("", " eq 443", " range 100 200", " gt 1023")) if protocol != "ip" else ""
            lines.append(f"{draw.choice(('permit', 'deny'))} {protocol} {ends[0]} {ends[1]}{port}")
        lines.append("permit ip any any")
        at, direction = places.pop()
        item = {"name": name, "content": "\n".join(lines), "direction": direction}
        made.append({**item, "interfaces": [at] if draw.random() < 0.7 else []})
    return made


@pytest.mark.parametrize("part", [0, *(pytest.param(number, marks=pytest.mark.full) for number in (1, 2, 3))])
def test_an_asa_accepts_what_check_mode_shows(firewall: Firewall, tmp_path: Path, full: bool, part: int) -> None:  # noqa: F811
    """Four parts of 50 cases in a full run."""
    draw, lines, wanted = random.Random(906 + part), 0, []
    cases = 50 if full else 4
    for number in range(cases):
        if number % 4 != 3:  # each fourth case asks for the same again
            wanted = random_case(draw)
        lines += judge(Case(firewall, tmp_path, wanted, prune=draw.random() < 0.4))
    assert lines > cases
    print(f"{cases} cases, {lines} lines shown and accepted")
