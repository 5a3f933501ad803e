# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""IOS-XE switches as targets, against emulated ones over real SSH: replace by build and swap, back, and every fault on the way."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.apply import apply_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import Journal
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import build_plan, snapshot_all
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.rollback import rollback_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.verify import verify_targets
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import DesiredObject, DesiredTarget
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import ios_session, ios_work
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios import IosTarget
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.spec import TargetSpec
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ways_back import own_name
from tests.integration.lists import COMMIT, apply, codes_of
from tests.lab.iosxe.control import apply_lines
from tests.lab.iosxe.fleet import Fleet, FleetThread
from tests.lab.iosxe.spec import DeviceSpec, InterfaceSpec

HOST, PORT = "127.10.81.31", 2222
USER, PASSWORD, ENABLE = "netops", "pw-netops-1", "enable-netops-1"
PORTS = tuple(InterfaceSpec(f"GigabitEthernet1/0/{number}", f"port {number}", 10) for number in range(1, 9))
CONFIG = """ip access-list extended MGMT-ACCESS
 permit ip any any
interface GigabitEthernet1/0/8
 ip access-group MGMT-ACCESS in
interface Vlan10
 ip address 127.10.81.31 255.255.255.0
"""
HEAD = ("! Last", "! NVRAM", "! No config", "Current configuration")


def wanted(
    port: int = 443, ports: tuple[int, ...] = (1, 2), name: str = "SW_hvac", extra: str = ""
) -> list[DesiredTarget]:
    lines = [
        "permit udp any eq 68 any eq 67",
        *([extra] if extra else []),
        f"permit tcp any host 10.0.0.1 eq {port}",
        "deny ip any any",
    ]
    text = "".join(f" {number * 10} {line}\n" for number, line in enumerate(lines, 1))
    objects = [DesiredObject("access_list", name, {"content": f"ip access-list extended {name}\n{text}"})]
    for number in ports:
        interface = f"GigabitEthernet1/0/{number}"
        body = {"interface": interface, "direction": "in", "access_list": name}
        objects.append(DesiredObject("attachment", f"{interface}-in", body))
    return [DesiredTarget("acc1", "ios", tuple(objects))]


class Switch:
    """The emulated switch, seen and changed from its own side."""

    def __init__(self, fleet: FleetThread, known_hosts: Path) -> None:
        self.fleet, self.known_hosts = fleet, known_hosts
        self.device = fleet.device("acc1")

    def running(self) -> str:
        """Return the running configuration without the lines that tell when it was changed."""
        text = self.fleet.call(self.device.running_text)
        return "\n".join(line for line in text.splitlines() if not line.startswith(HEAD))

    def startup(self) -> str:
        return str(self.device.startup)

    def attached(self) -> set[str]:
        return set(re.findall(r"ip access-group (SW_\S+) in", self.running()))

    def lists(self) -> set[str]:
        return set(re.findall(r"(?m)^ip access-list extended (SW_\S+)", self.running()))

    def type(self, *lines: str) -> None:
        self.fleet.call(lambda: apply_lines(self.device, list(lines)))

    def fault(self, **data: Any) -> None:
        self.fleet.call(lambda: self.device.faults.add(data))

    def end_faults(self) -> None:
        self.fleet.call(self.device.faults.clear)


@pytest.fixture
def switch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Switch]:
    monkeypatch.setattr(ios_session, "LINE_SECONDS", 3.0)  # the emulator answers at once or never
    fleet = Fleet(
        [DeviceSpec("acc1", HOST, PORT, interfaces=PORTS, initial_config=CONFIG)], tmp_path / "key", {USER: PASSWORD},
        known_hosts_path=tmp_path / "known_hosts", enable_secret=ENABLE,
    )  # fmt: skip
    with FleetThread(fleet) as running:
        yield Switch(running, tmp_path / "known_hosts")


def spec_for(switch: Switch, **more: Any) -> TargetSpec:
    return TargetSpec.of({
        "name": "acc1", "platform": "ios", "host": HOST, "port": PORT, "username": USER, "password": PASSWORD,
        "enable_password": ENABLE, "known_hosts_file": str(switch.known_hosts), "timeout": 3, **more,
    })  # fmt: skip


@pytest.fixture
def target(switch: Switch) -> Iterator[IosTarget]:
    made = IosTarget(spec_for(switch))
    yield made
    made.close()


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.jsonl")


def test_build_swap_confirm_and_back(switch: Switch, target: IosTarget, journal: Journal) -> None:
    before, targets = switch.running(), {"acc1": target}
    first, outcome = apply(target, wanted(), journal)
    assert outcome.ok, outcome.findings
    assert [(step.action, step.effect) for step in first.operations()] == [
        ("create", "none"),
        ("attach", "narrows"),
        ("attach", "narrows"),
    ]
    assert switch.attached() == {"SW_hvac__a"}
    assert "SW_hvac__a" in switch.startup()
    assert verify_targets(targets, wanted()).ok
    lines = target._lines.count
    assert apply_plan(first, targets, wanted(), journal, policy_commit=COMMIT).writes == 0
    assert target._lines.count == lines
    between = switch.running()
    second, outcome = apply(target, wanted(8443, (1, 2, 3)), journal)
    assert outcome.ok, outcome.findings
    assert [(step.action, step.name) for step in second.operations()] == [
        ("update", "SW_hvac"), ("attach", "GigabitEthernet1/0/3-in"),
    ]  # fmt: skip
    assert "10.0.0.1:443" in second.operations()[0].details["witness"]
    assert switch.attached() == switch.lists() == {"SW_hvac__b"}
    assert switch.running().count("SW_hvac__b in") == 3
    assert rollback_plan(second.plan_id, targets, journal).ok
    assert switch.running() == between
    assert rollback_plan(first.plan_id, targets, journal).ok
    assert switch.running() == before
    assert "SW_" not in switch.startup()


def test_remarks_and_numbers_come_back_on_undo(switch: Switch, target: IosTarget, journal: Journal) -> None:
    switch.type(
        "ip access-list extended SW_hvac__c", "remark rule hvac-1", "5 permit tcp any host 10.0.0.1 eq 443", "7 deny ip any any",
        "interface GigabitEthernet1/0/1", "ip access-group SW_hvac__c in",
    )  # fmt: skip
    before = switch.running()
    assert apply(target, wanted(ports=(1,)), journal)[1].ok
    assert switch.lists() == {"SW_hvac__a"}
    assert rollback_plan("", {"acc1": target}, journal).ok
    assert switch.running() == before


def test_a_list_is_equal_by_meaning(switch: Switch, target: IosTarget) -> None:
    switch.type(
        "ip access-list extended SW_hvac__a", "permit udp any eq bootpc any eq bootps", "permit tcp any host 10.0.0.1 eq 443",
        "deny tcp any any", "interface GigabitEthernet1/0/1", "ip access-group SW_hvac__a in",
    )  # fmt: skip
    assert verify_targets({"acc1": target}, wanted(ports=(1,))).ok
    switch.type("ip access-list extended SW_hvac__a", "15 permit tcp any any eq 22")
    drift = verify_targets({"acc1": target}, wanted(ports=(1,))).drift
    assert [(item["kind"], item["name"]) for item in drift] == [("access_list", "SW_hvac")]
    assert ":22" in drift[0]["witness"]
    assert (
        "15 permit tcp any any eq 22" in drift[0]["difference"] or "permit tcp any any eq 22" in drift[0]["difference"]
    )


@pytest.mark.parametrize("updating", [False, True])
@pytest.mark.parametrize("regex", ["permit tcp any host 10.0.0.1", "deny ip any any", r"^\s*ip access-group SW_"])
def test_a_refused_line_leaves_what_was_in_force(
    switch: Switch, target: IosTarget, journal: Journal, regex: str, updating: bool
) -> None:
    if updating:
        assert apply(target, wanted(), journal)[1].ok
    before, desired = switch.running(), wanted(8443)
    switch.fault(kind="error_on", regex=regex)
    plan, outcome = apply(target, desired, journal)
    assert {"SW4260", "SW4017"} <= codes_of(outcome.findings)
    assert "temporarily unavailable" in str(outcome.findings)
    if updating or "access-group" not in regex:
        assert switch.running() == before
    else:  # the new list stands, attached nowhere
        assert switch.attached() == set()
    assert apply_plan(plan, {"acc1": target}, desired, journal, policy_commit=COMMIT).ok
    assert verify_targets({"acc1": target}, desired).ok


@pytest.mark.parametrize("lines", [2, *(pytest.param(number, marks=pytest.mark.full) for number in (4, 6, 8)), 7, 10])
def test_a_dropped_session_leaves_a_whole_list_in_force(
    switch: Switch, target: IosTarget, journal: Journal, lines: int
) -> None:
    assert apply(target, wanted(), journal)[1].ok
    before, desired = switch.running(), wanted(8443)
    switch.fault(kind="drop_after_lines", lines=lines)
    plan, outcome = apply(target, desired, journal)
    assert len(switch.attached()) == 1  # every port has one and the same list, the old or the new one
    live = next(iter(switch.attached()))
    assert live in switch.lists()
    if not outcome.ok:
        assert "SW4261" in codes_of(outcome.findings)
        assert live == "SW_hvac__a"
        assert switch.running() == before
        outcome = apply_plan(plan, {"acc1": target}, desired, journal, policy_commit=COMMIT)
    assert outcome.ok, outcome.findings
    assert switch.lists() == switch.attached()
    assert verify_targets({"acc1": target}, desired).ok
    assert rollback_plan(plan.plan_id, {"acc1": target}, journal).ok
    assert switch.running() == before


def test_a_switch_that_cannot_be_reached_anew_is_told_about_exactly(
    switch: Switch, target: IosTarget, journal: Journal
) -> None:
    assert apply(target, wanted(), journal)[1].ok
    before = switch.running()
    desired = wanted(8443)
    targets = {"acc1": target}
    plan = build_plan(targets, desired, snapshot_all(targets, desired), policy_commit=COMMIT)
    switch.fault(kind="refuse_connect", times=None)
    outcome = apply_plan(plan, targets, desired, journal, policy_commit=COMMIT)
    assert {"SW4264", "SW4017"} <= codes_of(outcome.findings)
    assert switch.running() == before  # put back over the session that was still there
    switch.end_faults()
    assert apply_plan(plan, targets, desired, journal, policy_commit=COMMIT).ok


def test_an_unsaved_configuration_is_told(switch: Switch, target: IosTarget, journal: Journal) -> None:
    switch.fault(kind="drop_before_write")
    _plan, outcome = apply(target, wanted(), journal)
    assert {"SW4267", "SW4018"} <= codes_of(outcome.findings)
    assert switch.attached() == {"SW_hvac__a"}
    assert "SW_" not in switch.startup()
    assert target.confirm(wanted()[0].objects) == ()
    assert "SW_hvac__a" in switch.startup()


def test_a_wrong_enable_secret_ends_quickly(switch: Switch) -> None:
    target = IosTarget(spec_for(switch, enable_password="not-the-secret"))
    start = time.monotonic()
    with pytest.raises(FindingError) as error:
        target.snapshot(())
    assert codes_of(error.value.findings) == {"SW4207"}
    assert "not-the-secret" not in str(error.value)
    assert time.monotonic() - start < 30


def test_a_wrong_password_is_tried_once(switch: Switch) -> None:
    target = IosTarget(spec_for(switch, password="not-the-password"))
    with pytest.raises(FindingError) as error:
        target.snapshot(())
    assert codes_of(error.value.findings) == {"SW4203"}
    assert "not-the-password" not in str(error.value)


def test_an_unknown_or_changed_host_key_ends_before_the_login(switch: Switch, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.write_text("")
    switch_key = switch.known_hosts.read_text()
    switch.fleet.call(lambda: switch.fleet.fleet.change_host_key("acc1"))
    for path in (str(empty), str(switch.known_hosts)):
        with pytest.raises(FindingError) as error:
            IosTarget(spec_for(switch, known_hosts_file=path)).snapshot(())
        assert codes_of(error.value.findings) == {"SW4205"}
    assert empty.read_text() == ""  # nothing is learnt by itself
    assert switch.known_hosts.read_text() == switch_key


def test_lists_and_places_of_others_are_refused(switch: Switch, target: IosTarget) -> None:
    with pytest.raises(FindingError) as error:
        target.diff(wanted(ports=(8,))[0].objects, target.snapshot(wanted(ports=(8,))[0].objects))
    assert codes_of(error.value.findings) == {"SW4265"}
    assert "MGMT-ACCESS" in str(error.value)
    with pytest.raises(FindingError) as error:
        target.diff(wanted(name="MGMT")[0].objects, target.snapshot(()))
    assert codes_of(error.value.findings) == {"SW4226"}


def test_a_list_that_is_not_understood_is_refused(
    switch: Switch, target: IosTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    switch.type("ip access-list extended SW_hvac__a", "permit tcp any any eq 80", "deny ip any any")
    plain = switch.device.running_text
    entry = " 10 permit tcp any any eq www"
    assert entry in plain()
    monkeypatch.setattr(switch.device, "running_text", lambda: plain().replace(entry, f"{entry}\n 15 evaluate MIRROR"))
    with pytest.raises(FindingError) as error:
        target.diff(wanted()[0].objects, target.snapshot(wanted()[0].objects))
    assert codes_of(error.value.findings) == {"SW4221"}
    assert "evaluate MIRROR" in str(error.value)


def test_a_condition_that_is_not_modelled_is_drift_and_comes_back(
    switch: Switch, target: IosTarget, journal: Journal
) -> None:
    assert apply(target, wanted(), journal)[1].ok
    switch.type("ip access-list extended SW_hvac__a", "15 permit tcp any any eq 8080 time-range WORK")
    before = switch.running()
    plan, outcome = apply(target, wanted(), journal)
    assert {step.effect for step in plan.operations()} == {"both"}
    assert outcome.ok
    assert "time-range" not in switch.running()
    assert rollback_plan(plan.plan_id, {"acc1": target}, journal).ok
    assert switch.running() == before


def test_adopting_a_place_and_giving_it_back(switch: Switch, journal: Journal) -> None:
    target = IosTarget(spec_for(switch, adopt=True))
    before = switch.running()
    assert apply(target, wanted(ports=(8,)), journal)[1].ok
    assert switch.attached() == {"SW_hvac__a"}
    assert rollback_plan("", {"acc1": target}, journal).ok
    assert switch.running() == before
    target.close()


def test_a_change_since_the_plan_is_refused(switch: Switch, target: IosTarget, journal: Journal) -> None:
    targets, desired = {"acc1": target}, wanted(8443)
    assert apply(target, wanted(), journal)[1].ok
    plan = build_plan(targets, desired, snapshot_all(targets, desired), policy_commit=COMMIT)
    switch.type("ip access-list extended SW_hvac__a", "15 permit tcp any any eq 22")
    before = switch.running()
    with pytest.raises(FindingError) as error:
        apply_plan(plan, targets, desired, journal, policy_commit=COMMIT)
    assert codes_of(error.value.findings) == {"SW4015"}
    with pytest.raises(FindingError) as error:
        target.execute(plan.operations()[0])
    assert codes_of(error.value.findings) == {"SW4222"}
    assert switch.running() == before


def test_management_is_not_cut(switch: Switch, target: IosTarget, journal: Journal) -> None:
    body = {"interface": "Vlan10", "direction": "in", "access_list": "SW_hvac"}
    desired = [
        DesiredTarget("acc1", "ios", (*wanted(ports=())[0].objects, DesiredObject("attachment", "Vlan10-in", body)))
    ]
    before = switch.running()
    with pytest.raises(FindingError) as error:
        apply(target, desired, journal)  # refused in the plan
    assert codes_of(error.value.findings) == {"SW4263"}
    assert switch.running() == before
    permitting = wanted(ports=(), extra="permit tcp any any eq 22")[0].objects
    desired = [DesiredTarget("acc1", "ios", (*permitting, DesiredObject("attachment", "Vlan10-in", body)))]
    assert apply(target, desired, journal)[1].ok
    assert switch.attached() == {"SW_hvac__b"} or switch.attached() == {"SW_hvac__a"}


def test_a_list_that_was_deleted_under_its_place_comes_back_into_force(
    switch: Switch, target: IosTarget, journal: Journal
) -> None:
    """The place still names the list, and permits everything."""
    assert apply(target, wanted(), journal)[1].ok
    switch.type("no ip access-list extended SW_hvac__a")
    before = switch.running()
    assert {item["kind"] for item in verify_targets({"acc1": target}, wanted()).drift} == {"access_list", "attachment"}
    plan, outcome = apply(target, wanted(), journal)
    assert outcome.ok, outcome.findings
    assert switch.attached() == switch.lists() == {"SW_hvac__b"} and verify_targets({"acc1": target}, wanted()).ok
    assert rollback_plan(plan.plan_id, {"acc1": target}, journal).ok
    assert switch.running() == before


def test_a_plan_that_updates_a_list_and_takes_it_off_a_place(
    switch: Switch, target: IosTarget, journal: Journal
) -> None:
    """The update gives the list another live name before the plan comes to the place."""
    assert apply(target, wanted(), journal)[1].ok
    assert apply(target, wanted(8443, ports=(1,)), journal, prune=True)[1].ok
    assert re.findall(r"ip access-group (SW_\S+)", switch.running()) == ["SW_hvac__b"]


def test_a_way_back_that_strikes_before_it_is_cancelled_opens_nothing(
    switch: Switch, target: IosTarget, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old list is in force again: removed in the belief that it is not, it would let everything pass."""
    body = {"interface": "Vlan10", "direction": "in", "access_list": "SW_hvac"}

    def policy(port: int) -> list[DesiredTarget]:
        objects = wanted(port, ports=(), extra="permit tcp any any eq 22")[0].objects
        return [DesiredTarget("acc1", "ios", (*objects, DesiredObject("attachment", "Vlan10-in", body)))]

    assert apply(target, policy(443), journal)[1].ok
    before = switch.running()
    confirm = ios_work.Work._confirm

    def struck(work: ios_work.Work, *given: Any) -> None:
        confirm(work, *given)
        switch.type(
            "interface Vlan10", "ip access-group SW_hvac__a in", f"no event manager applet {own_name('SW_revert')}"
        )

    monkeypatch.setattr(ios_work.Work, "_confirm", struck)
    outcome = apply(target, policy(8443), journal)[1]
    assert "SW4410" in codes_of(outcome.findings), outcome.findings
    assert switch.running() == before


def test_pruning_detaches_and_removes(switch: Switch, target: IosTarget, journal: Journal) -> None:
    before = switch.running()
    assert apply(target, wanted(), journal)[1].ok
    with_list = switch.running()
    nothing = [DesiredTarget("acc1", "ios", ())]
    assert not apply(target, nothing, journal)[0].operations()
    plan, outcome = apply(target, nothing, journal, prune=True)
    assert outcome.ok, outcome.findings
    assert [step.action for step in plan.operations()] == ["detach", "detach", "delete"]
    assert switch.running() == before
    assert rollback_plan(plan.plan_id, {"acc1": target}, journal).ok
    assert switch.running() == with_list


def test_many_lines_are_typed_at_a_known_pace(switch: Switch, target: IosTarget, journal: Journal) -> None:
    lines = "".join(
        f" {number * 10} permit tcp any host 10.{number // 200}.{number % 200}.1 eq 443\n" for number in range(1, 301)
    )
    text = f"ip access-list extended SW_long\n{lines} 9999 deny ip any any\n"
    start = time.monotonic()
    assert apply(
        target, [DesiredTarget("acc1", "ios", (DesiredObject("access_list", "SW_long", {"content": text}),))], journal
    )[1].ok
    seconds = time.monotonic() - start
    print(f"301 lines built, read back and proved in {seconds:.1f} s")
    assert seconds < 60
