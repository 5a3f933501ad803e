# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two controllers on one ASA that share nothing, line by line in chosen orders: a claim holds one off before it types a list."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError, errors_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.codes import UNDO_REFUSED
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import Journal, known_entries
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.rollback import rollback_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.asa import AsaTarget
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.asa_session import AsaSession
from tests.integration.in_step import PLACES, Choose, InStep, Killed, Pair, after, alternately, by_dice, in_step  # noqa: F401
from tests.integration.lists import apply, codes_of
from tests.integration.test_asa_faults import BOTH_DENY, BOTH_PASS
from tests.integration.test_targets_asa import Firewall, firewall, spec_for, wanted  # noqa: F401
from tests.lab.iosxe.control import reset

BASE, PORTS = Pair.base, Pair.ports
# Another's claim or way back; a list, or the state of the plan, that has moved meanwhile; a claim that the other took for a leftover.
REFUSALS = {"SW4476", "SW4222", "SW4015", "SW4481"}
NEVER = {"SW4260", "SW4264", "SW4266", "SW4268", "SW4480"}
# What one may have typed that was refused: its claim, and what it takes away of a claim that nobody finished.
CLAIMING = re.compile(
    r"(no )?event manager applet SW_claim_\w+|description a run is at work; .*"
    r"|action 1 cli command \"no event manager applet SW_claim_\w+\"|output none|event timer countdown time \d{3}"
)
ASKED = ("show ", "terminal ", "configure terminal", "end", "packet-tracer ")


class Firewalled(Pair):
    """Two controllers on one ASA."""

    def __init__(self, firewall: Firewall, step: InStep, directory: Path) -> None:  # noqa: F811
        self.firewall = firewall
        self.typed: dict[str, list[str]] = {name: [] for name in PORTS}
        self.errors: dict[str, list[Finding]] = {}
        super().__init__(step, directory, wanted, lambda name: AsaTarget(spec_for(firewall), self._session(name)))
        listed = str(wanted(BASE)[0].objects[0].body["content"]).replace("SW_forward", "SW_forward__a")
        firewall.type(*listed.splitlines(), "access-group SW_forward__a global")
        firewall.fleet.call(lambda: firewall.device.save("netops"))
        self.first = firewall.fleet.call(firewall.device.dump)

    def _session(self, who: str) -> Any:
        pair = self

        class Session(AsaSession):
            def _run(self, text: str, seconds: float) -> str:
                pair.step.line(who)
                said = super()._run(text, seconds)
                if not text.startswith(ASKED):
                    pair.typed[who].append(text)
                pair.sent(who, text)
                return said

        return Session

    def begin_anew(self) -> None:
        device = self.firewall.device
        self.firewall.fleet.call(lambda: (device.restore(self.first), reset(device)))
        self.firewall.fleet.call(lambda: device.probes.extend([{"packet": BOTH_PASS}, {"packet": BOTH_DENY}]))
        for lines in (*self.typed.values(), *self.lines.values()):
            lines.clear()
        self.round += 1

    def ended(self, who: str) -> None:
        self.targets[who].close()

    def held(self) -> int:
        """Return the port that the list in force opens; one list stands there and nothing else of ours."""
        running = self.firewall.running()
        assert self.firewall.stale() == [] and "SW_claim" not in self.firewall.device.startup, running
        live = self.firewall.groups()["global"]
        opened = re.findall(rf"(?m)^access-list {live} extended permit tcp .* eq (\S+)", running)
        (port,) = [443 if each == "https" else int(each) for each in opened]
        assert f"access-list {live} extended permit ip any any" in running
        return port

    def meet(self, ports: dict[str, int], choose: Choose) -> str:
        """Let both meet and look at everything that must hold; returns what came of it."""
        self.begin_anew()
        errors = self.errors = self.step.run(self.works(ports), choose)
        for name, found in errors.items():
            assert isinstance(found, list), (name, found, self.step.order)
        about = (self.step.order, {name: [str(each) for each in found] for name, found in errors.items()})
        trace = self.firewall.fleet.call(lambda: list(self.firewall.device.trace))
        assert {record["verdicts"] for record in trace} <= {"PD"}, about
        good = [name for name, found in errors.items() if not found]
        held = self.held()
        # Who meets the other's claim when it confirms is told that its own list is in force.
        told = [n for n, found in errors.items() if any("1 steps were carried out" in each.message for each in found)]
        assert len(told) <= 1 and held == (ports[[*told, *good][0]] if told or good else BASE), about
        assert len(good) < 2 or ports["one"] == ports["two"], about
        # One may type more and meet the claim of the other, who came later: what it typed is gone (``held``). Never do both.
        more = [n for n in errors.keys() - good if not all(CLAIMING.fullmatch(line) for line in self.typed[n])]
        assert len(more) <= 1, (more, self.typed, about)
        for name in errors.keys() - good:
            found = codes_of(errors[name])
            assert found & REFUSALS and not found & NEVER, about
        if good:
            assert f"access-group {self.firewall.groups()['global']} global" in self.firewall.device.startup
        # Whoever was refused goes back, and what the other holds stays; of two that wanted the same, one takes back what both wanted.
        for name, (plan, journal) in self.runs.items():
            if errors[name] and any(entry["event"] == "plan_started" for entry in known_entries(journal.path)):
                back = rollback_plan(plan.plan_id, {"fw1": self.targets[name]}, journal)
                assert back.ok or codes_of(errors_of(back.findings)) <= {UNDO_REFUSED.number, "SW4017"}, back.findings
                wanted_back = {BASE} if name in told else {held}
                held = self.held()
                assert held in (wanted_back if ports["one"] != ports["two"] else {*wanted_back, BASE}), about
        done = [f"{name} in force, not confirmed" for name in told]
        return " and ".join(sorted([*done, *(f"{name} done" for name in good)])) or "both refused"


@pytest.fixture
def pair(firewall: Firewall, in_step: InStep, tmp_path: Path) -> Iterator[Firewalled]:  # noqa: F811
    made = Firewalled(firewall, in_step, tmp_path)
    yield made
    made.dies.clear()
    for target in made.targets.values():
        target.close()


def test_two_in_step(pair: Firewalled) -> None:
    """Line by line in turn: both have claimed before either looks, and both step back.

    Half a claim is taken for a leftover by the other, once that has claimed: who completes it sees the other's.
    """
    assert pair.meet(PORTS, alternately) == "both refused"
    assert all("SW4476" in codes_of(found) for found in pair.errors.values())

    def taken_away(waiting: list[str], _order: list[str]) -> str:
        half = any(line.startswith("description a run is at work") for line in pair.lines["one"])
        taken = any(line.startswith(f"no event manager applet SW_claim_{PLACES['one']}") for line in pair.lines["two"])
        return "two" if "two" in waiting and ((half and not taken) or "one" not in waiting) else "one"

    assert pair.meet(PORTS, taken_away) == "two done"
    assert "SW4476" in codes_of(pair.errors["one"])  # the other has claimed before it takes anything away


def test_a_killed_run_leaves_a_claim_that_goes_by_its_time(pair: Firewalled) -> None:
    """Another controller cannot know that it was killed: it is refused until then, and what it saves has no claim."""
    firewall, two = pair.firewall, pair.targets["two"]  # noqa: F811
    pair.begin_anew()
    pair.dies["one"] = r"^commit noconfirm"
    assert isinstance(pair.step.run({"one": pair.works({"one": 8443})["one"]}, alternately)["one"], Killed)
    firewall.fleet.call(lambda: [session.drop() for session in list(firewall.device.sessions)])
    (claim,) = firewall.fleet.call(lambda: list(firewall.device.config.applets.values()))
    assert claim.name == "SW_claim_" + PLACES["one"] + claim.name[-10:] and 240 <= claim.seconds <= 300
    before = firewall.running()
    with pytest.raises(FindingError) as error:
        apply(two, wanted(9443), Journal(pair.directory / "early.jsonl"))
    assert codes_of(error.value.findings) == {"SW4476"} and "claimed by" in str(error.value)
    assert firewall.running() == before
    firewall.fleet.call(lambda: firewall.device.run_applet(claim.name))
    assert not firewall.fleet.call(lambda: list(firewall.device.config.applets))
    assert apply(two, wanted(9443), Journal(pair.directory / "late.jsonl"))[1].ok
    assert pair.held() == 9443


@pytest.mark.full
def test_who_goes_back_is_not_refused_for_another_that_claims_at_the_same_moment(pair: Firewalled) -> None:
    assert pair.one_goes_back(REFUSALS)["back"]


@pytest.mark.full
@pytest.mark.parametrize("same", [True, False], ids=["same plan", "two plans"])
def test_one_comes_at_every_line_of_the_other(pair: Firewalled, same: bool) -> None:
    """The second runs from its beginning to its end between two lines of the first; pauses are long or none."""
    ports = {"one": 8443, "two": 8443} if same else PORTS
    seen: Counter[str] = Counter()
    pair.meet(ports, after(1000))
    for lines in range(1, pair.step.order.index("two") + 2):
        pair.step.pauses = lambda lines=lines: 9 * (lines % 2)
        seen[pair.meet(ports, after(lines))] += 1
    print(f"at every line, {'same plan' if same else 'two plans'}: {dict(seen)}")
    assert seen["one done"] and seen["two done"]


@pytest.mark.full
@pytest.mark.parametrize("same", [True, False], ids=["same plan", "two plans"])
def test_two_by_dice(pair: Firewalled, same: bool) -> None:
    dice, seen = random.Random(f"in step {same}"), Counter[str]()
    pair.step.pauses = lambda: dice.choice((0, 1, 3, 9))
    for _attempt in range(40):
        seen[pair.meet({"one": 8443, "two": 8443} if same else PORTS, by_dice(dice))] += 1
    print(f"by dice, {'same plan' if same else 'two plans'}: {dict(seen)}")
    assert sum(seen.values()) == 40
