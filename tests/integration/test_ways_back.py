# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two controllers on one device, over real SSH: nobody takes away the way back of a run that lives, and everybody that of a dead one."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import Journal
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import build_plan, snapshot_all
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.rollback import rollback_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import DesiredObject, DesiredTarget
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import ios_work, nxos_way_back, ways_back
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.asa import AsaTarget
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.asa_swap import Swap
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios import IosTarget
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nxos import NxosTarget
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nxos_work import Work as NxosWork
from tests.integration import test_targets_asa, test_targets_ios, test_targets_nxos
from tests.integration.lists import COMMIT, OTHER_PLACE, apply, codes_of, other_controller
from tests.integration.test_targets_asa import Firewall, firewall  # noqa: F401
from tests.integration.test_targets_ios import Switch, switch  # noqa: F401
from tests.lab.iosxe import eem

NXOS_CONFIRMS = (NxosWork, "_confirm_places")


class Dead(BaseException):
    """The end of a run that leaves it no time."""


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.jsonl")


def on_management(port: int) -> list[DesiredTarget]:
    """A list where the controller comes in, so that a way back is armed."""
    body = {"interface": "Vlan10", "direction": "in", "access_list": "SW_hvac"}
    objects = test_targets_ios.wanted(port, ports=(), extra="permit tcp any any eq 22")[0].objects
    return [DesiredTarget("acc1", "ios", (*objects, DesiredObject("attachment", "Vlan10-in", body)))]


def verify_one(target: Any, objects: tuple[DesiredObject, ...]) -> None:
    """Compare what a device holds, as verify does."""
    target.diff(objects, target.snapshot(objects))


def on_a_nexus(port: int) -> list[DesiredTarget]:
    """The same for a Nexus switch."""
    lines = (*test_targets_nxos.LET_IN, f"permit tcp any 10.0.0.1/32 eq {port}")
    listed = test_targets_nxos.list_object("SW_hvac", *lines)
    return test_targets_nxos.of(listed, test_targets_nxos.place("Vlan10", "SW_hvac", "ip access-group"))


@pytest.fixture
def nexus(tmp_path: Path) -> Iterator[Any]:
    yield from test_targets_nxos.made_switch(
        tmp_path, controller=test_targets_nxos.CLIENT, management_interface="Vlan10", minute_seconds=60.0
    )


class Device:
    """One emulated device and two controllers that know nothing of each other; what is alike on every platform."""

    def __init__(
        self,
        make: Callable[..., Any],
        wanted: Callable[[int], list[DesiredTarget]],
        running: Callable[[], str],
        hook: tuple[type, str],
        armed: str,
        strike: Callable[[str], None],
        arming: tuple[Any, str],
        type_lines: Callable[..., Any],
    ) -> None:
        self.first, self.second = make(), make()
        self.arming, self.type, self.prefix = arming, type_lines, armed.rpartition("(")[2]
        self.wanted, self.running, self.hook, self.pattern, self.strike = wanted, running, hook, armed, strike

    def armed(self) -> list[str]:
        return re.findall(rf"(?m)^{self.pattern}_\S+)", self.running())

    def dies_armed(self, monkeypatch: pytest.MonkeyPatch, journal: Journal, port: int) -> None:
        """Another controller puts its list in force and dies before it could confirm."""

        def dies(*_given: Any) -> None:
            raise Dead

        with other_controller(), monkeypatch.context() as patch:
            patch.setattr(*self.hook, dies)
            with pytest.raises(Dead):
                apply(self.first, self.wanted(port), journal)
        assert len(self.armed()) == 1 and OTHER_PLACE in self.armed()[0]


@pytest.fixture(params=["ios", "asa", "nxos"])
def device(request: pytest.FixtureRequest) -> Iterator[Device]:
    if request.param == "ios":
        box: Any = request.getfixturevalue("switch")

        def make() -> Any:
            return IosTarget(test_targets_ios.spec_for(box))

        def strike(name: str) -> None:
            box.fleet.call(lambda: eem.strike(box.device, name))

        made = Device(
            make, on_management, box.running, (ios_work.Work, "_confirm"), "event manager applet (SW_revert", strike,
            (ios_work.Work, "_see_armed"), box.type,
        )  # fmt: skip
    elif request.param == "nxos":
        box = request.getfixturevalue("nexus")

        def make() -> Any:
            return NxosTarget(test_targets_nxos.spec_for(box))

        def strike(name: str) -> None:
            box.fleet.call(lambda: box.device._run_jobs((name,)))

        made = Device(
            make, on_a_nexus, box.running, NXOS_CONFIRMS, "scheduler job name (SW_way_back", strike,
            (nxos_way_back, "arm"), box.type,
        )  # fmt: skip
    else:
        box = request.getfixturevalue("firewall")

        def make() -> Any:
            return AsaTarget(test_targets_asa.spec_for(box))

        def strike(name: str) -> None:
            box.fleet.call(lambda: box.device.run_applet(name))

        made = Device(
            make, test_targets_asa.wanted, box.running, (Swap, "_confirm"), "event manager applet (SW_way_back", strike,
            (Swap, "_arm"), box.type,
        )  # fmt: skip
    yield made
    made.first.close()
    made.second.close()


def test_a_live_way_back_of_another_controller_is_never_taken_away(
    device: Device, journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second comes while the first has its list in force and not yet confirmed: plan, apply of an earlier plan, verify."""
    assert apply(device.first, device.wanted(443), journal)[1].ok
    targets = {device.second.name: device.second}
    earlier = build_plan(targets, device.wanted(9443), snapshot_all(targets, device.wanted(9443)), policy_commit=COMMIT)
    owner, name = device.hook
    confirm, seen = getattr(owner, name), list[str]()

    def meanwhile(self: Any, *given: Any) -> Any:
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, confirm)
            before = device.running()
            with other_controller():
                for attempt in (
                    lambda: apply(device.second, device.wanted(8443), Journal(tmp_path / "second.jsonl")),
                    lambda: device.second.execute(earlier.operations()[0]),
                    lambda: verify_one(device.second, device.wanted(443)[0].objects),
                ):
                    with pytest.raises(FindingError) as error:
                        attempt()
                    assert codes_of(error.value.findings) == {"SW4476"}
                    seen.append(str(error.value))
            assert device.running() == before and len(device.armed()) == 1
        return confirm(self, *given)

    monkeypatch.setattr(owner, name, meanwhile)
    outcome = apply(device.first, device.wanted(9999), journal)[1]
    assert outcome.ok, outcome.findings
    assert len(seen) == 3 and all(f"process {os.getpid()}" in text for text in seen)
    assert device.armed() == []
    monkeypatch.undo()
    with other_controller():  # and now nothing is in its way
        outcome = apply(device.second, device.wanted(8443), Journal(tmp_path / "second.jsonl"))[1]
        assert outcome.ok, outcome.findings
    assert "8443" in device.running() and device.armed() == []


def test_what_a_dead_run_left_is_taken_away_by_its_own_controller_alone(
    device: Device, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert apply(device.second, device.wanted(443), journal)[1].ok
    device.dies_armed(monkeypatch, journal, 8443)
    before = device.running()
    with pytest.raises(FindingError) as error:
        apply(device.second, device.wanted(9443), journal)
    assert codes_of(error.value.findings) == {"SW4476"} and OTHER_PLACE in str(error.value)
    assert device.running() == before
    with other_controller():  # the same host, where that process is asked for: it is at work no more
        assert apply(device.first, device.wanted(9443), journal)[1].ok
    assert device.armed() == [] and "9443" in device.running()


def test_a_rollback_waits_until_the_way_back_of_others_has_struck(
    device: Device, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert apply(device.second, device.wanted(443), journal)[1].ok
    before = device.running()
    plan, outcome = apply(device.second, device.wanted(8443), journal)
    assert outcome.ok
    device.dies_armed(monkeypatch, Journal(journal.path.with_name("first.jsonl")), 443)
    waited = list[float]()

    def strikes(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 2:
            device.strike(device.armed()[0])
            for claim in re.findall(
                r"(?m)^(?:event manager applet|scheduler job name) (SW_claim_\S+)", device.running()
            ):
                device.strike(claim)  # the dead run's claim goes by itself as well
        time.sleep(0.05)

    monkeypatch.setattr(ways_back, "pause", strikes)
    outcome = rollback_plan(plan.plan_id, {device.second.name: device.second}, journal)
    assert outcome.ok, outcome.findings
    assert len(waited) >= 2 and device.armed() == []
    assert device.running() == before


def test_two_that_arm_at_the_same_moment_step_back(
    device: Device, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one appears between our last look and our own: it is seen before a list comes into force, and stays."""
    assert apply(device.first, device.wanted(443), journal)[1].ok
    before = device.running()
    owner, name = device.arming
    arm, theirs = getattr(owner, name), f"{device.prefix}_{OTHER_PLACE}000abc1234"

    def late(*given: Any) -> Any:
        if device.first.platform == "nxos":
            device.type("feature scheduler", f"scheduler job name {theirs}", "interface Vlan10", "end-job")
            device.type(f"scheduler schedule name {theirs}", f"job name {theirs}", "time start +00:30")
        else:
            device.type(f"event manager applet {theirs}", "event timer countdown time 60")
        return arm(*given)

    monkeypatch.setattr(owner, name, late)
    outcome = apply(device.first, device.wanted(8443), journal)[1]
    assert "SW4476" in codes_of(outcome.findings), outcome.findings
    assert device.armed() == [theirs]
    added = set(device.running().splitlines()) - set(before.splitlines())
    assert not any("8443" in line for line in added), added
    for line in before.splitlines():  # what was in force still is
        assert line in device.running()


def test_somebodys_revert_timer_is_not_run_into(switch: Switch, journal: Journal) -> None:  # noqa: F811
    switch.type("archive", "path flash:archive")
    target = IosTarget(test_targets_ios.spec_for(switch))
    plan, outcome = apply(target, on_management(443), journal)
    assert outcome.ok, outcome.findings
    switch.fleet.call(lambda: switch.device.arm_revert(5, "colleague"))
    before = switch.running()
    outcome = apply(target, on_management(8443), journal)[1]
    assert "SW4478" in codes_of(outcome.findings) and "colleague" in str(outcome.findings)
    assert switch.running() == before and switch.device.revert is not None
    outcome = rollback_plan(plan.plan_id, {"acc1": target}, journal)  # the way back is told, and goes on
    assert outcome.ok and "SW4478" in codes_of(outcome.findings), outcome.findings
    assert switch.attached() == set()
    target.close()
