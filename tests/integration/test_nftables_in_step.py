# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two controllers on one Linux firewall that share nothing, command by command in chosen orders: one loads its table, or none does."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.linux_session import Done, LinuxSession
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nft_ways_back import standing
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nftables import NftablesTarget
from tests.integration.conftest import LabTargets
from tests.integration.in_step import Choose, InStep, Killed, Pair, after, alternately, by_dice, in_step  # noqa: F401
from tests.integration.lists import codes_of
from tests.integration.test_targets_nftables import TABLE, firewall, spec_for, wanted  # noqa: F401
from tests.lab.net import firewall as lab_firewall

BASE, PORTS = Pair.base, Pair.ports
# Another's timer; a table, or the state of the plan, that has moved meanwhile.
REFUSALS = {"SW4476", "SW4222", "SW4015"}
LOADS, ARMS, STRIKES_NOW = '"$1/new.nft"', '"$1/timer"', 'kill $(cat "/proc/$1/task/$1/children")'

READS = ("nft -j ", "nft -s ", "nft -c ", "id ", "ip ", "conntrack -L")


class Firewalled(Pair):
    """Two controllers on one Linux firewall; the table is looked at after each command that may write."""

    def __init__(self, targets: LabTargets, step: InStep, directory: Path) -> None:
        self.lab = targets
        self.loads: list[str] = []
        super().__init__(step, directory, wanted, lambda name: NftablesTarget(spec_for(targets), self._session(name)))
        lab_firewall.load_ruleset(targets.lab.namespaces, str(wanted(BASE)[0].objects[0].body["content"]))
        self.first = targets.ruleset()

    def _session(self, who: str) -> Any:
        pair = self

        class Session(LinuxSession):
            def run(self, *words: str, **more: Any) -> Done:
                pair.step.line(who)
                done = super().run(*words, **more)
                text = " ".join(words)
                if LOADS in text and done.ok:
                    pair.loads.append(who)
                assert text.startswith(READS) or pair.opened() in {BASE, *PORTS.values()}
                pair.sent(who, text)
                return done

        return Session

    def opened(self) -> int:
        """Return the port that the table in force opens; it is there, and whole."""
        text = self.lab.nft("-s", "list", "table", "inet", TABLE)
        (port,) = re.findall(r"tcp dport (\d+) ", text)
        assert "drop" in text and "chain sw_forward" in text, text
        return int(port)

    def held(self) -> int:
        assert self.left() == ""
        return self.opened()

    def begin_anew(self) -> None:
        self.lab.nft("flush", "ruleset")
        lab_firewall.load_ruleset(self.lab.lab.namespaces, self.first)
        for lines in (self.loads, *self.lines.values()):
            lines.clear()
        self.round += 1

    def left(self) -> str:
        """Return timers and files of ours on the firewall."""
        session = self.targets["one"]._connected()
        return session.shell("ls -d /run/segwright.* 2>/dev/null || true", root=True).output

    def meet(self, ports: dict[str, int], choose: Choose) -> str:
        """Let both meet and look at everything that must hold; returns what came of it."""
        self.begin_anew()
        results = self.step.run(self.works(ports), choose)
        about = (self.step.order, results, self.loads)
        for found in results.values():
            assert isinstance(found, list), about
            assert not found or codes_of(found) & REFUSALS, about
        good = [name for name, found in results.items() if not found]
        held = next(iter([*self.loads, *good]), "")
        assert self.opened() == (ports[held] if held else BASE), about
        assert len(self.loads) <= 1, about
        assert len(good) < 2 or ports["one"] == ports["two"], about
        assert self.left() == "", about
        # The other armed before this one confirmed: it is told that its own is in force.
        for name in set(self.loads) - set(good):
            assert any("1 steps were carried out" in each.message for each in results[name]), about
            return f"{name} in force, not confirmed"
        return " and ".join(sorted(f"{name} done" for name in good)) or "both refused"


@pytest.fixture
def pair(targets: LabTargets, firewall: NftablesTarget, in_step: InStep, tmp_path: Path) -> Iterator[Firewalled]:  # noqa: F811
    made = Firewalled(targets, in_step, tmp_path)
    yield made
    made.dies.clear()
    for target in made.targets.values():
        target.close()


def test_what_came_and_went_before_the_timer_was_armed_is_not_loaded_over(pair: Firewalled) -> None:
    def chosen(waiting: list[str], _order: list[str]) -> str:
        return "two" if "two" in waiting and about_to_arm(pair.lines["one"]) else "one"

    assert pair.meet(PORTS, chosen) == "two done"


@pytest.mark.full
def test_two_in_step(pair: Firewalled) -> None:
    """Both have armed before either looks."""
    assert pair.meet(PORTS, alternately) == "both refused"


def about_to_arm(lines: list[str]) -> bool:
    """Return whether all that comes before its timer was sent by a controller."""
    return any(line.startswith("nft -c ") and line.endswith("/revert.nft") for line in lines)


@pytest.mark.full
def test_a_run_that_is_killed_before_it_loads_takes_nothing_back(pair: Firewalled) -> None:
    """It arms between the other's last look and its load: what it would bring back is older. The other sees it when it confirms."""
    pair.begin_anew()
    pair.dies["two"] = re.escape(ARMS)
    results = pair.step.run(pair.works(PORTS), in_the_gap(pair))
    assert "SW4476" in codes_of(results["one"]) and isinstance(results["two"], Killed) and pair.loads == ["one"]
    session = pair.targets["one"]._connected()
    ((directory, (_way, timer)),) = standing(session, TABLE).items()
    assert session.shell(STRIKES_NOW, timer, root=True).ok
    struck = f'for try in 1 2 3 4 5 6 7 8 9; do [ ! -e "{directory}/reverted" ] || exit 0; sleep 0.1; done; exit 1'
    assert session.shell(struck, root=True).ok
    assert pair.opened() == PORTS["one"] and standing(session, TABLE) == {}
    session.run("rm", "-r", directory, root=True)


def in_the_gap(pair: Firewalled) -> Choose:
    """The second goes on until it arms next, the first until it has read the table again under its timer, then the second to its end."""

    def chosen(waiting: list[str], _order: list[str]) -> str:
        one, two = pair.lines["one"], pair.lines["two"]
        armed = next((number for number, line in enumerate(one) if ARMS in line), len(one))
        ready = len(one) > armed + 2 or any(line.startswith("nft -s list") for line in one[armed:])
        behind = not about_to_arm(two)
        return "two" if "two" in waiting and (behind or ready or "one" not in waiting) else "one"

    return chosen


@pytest.mark.full
def test_who_goes_back_is_not_refused_for_another_that_arms_at_the_same_moment(pair: Firewalled) -> None:
    assert pair.one_goes_back(REFUSALS)["back"]


@pytest.mark.full
@pytest.mark.parametrize("same", [True, False], ids=["same plan", "two plans"])
def test_one_comes_at_every_command_of_the_other(pair: Firewalled, same: bool) -> None:
    ports = {"one": 8443, "two": 8443} if same else PORTS
    seen: Counter[str] = Counter()
    pair.meet(ports, after(1000))
    for lines in range(1, pair.step.order.index("two") + 2):
        seen[pair.meet(ports, after(lines))] += 1
    print(f"at every command, {'same plan' if same else 'two plans'}: {dict(seen)}")
    assert seen["one done"] + seen["one done and two done"] and seen["two done"] + seen["one done and two done"]


@pytest.mark.full
@pytest.mark.parametrize("same", [True, False], ids=["same plan", "two plans"])
def test_two_by_dice(pair: Firewalled, same: bool) -> None:
    dice, seen = random.Random(f"in step {same}"), Counter[str]()
    for _attempt in range(40):
        seen[pair.meet({"one": 8443, "two": 8443} if same else PORTS, by_dice(dice))] += 1
    print(f"by dice, {'same plan' if same else 'two plans'}: {dict(seen)}")
    assert sum(seen.values()) == 40
