# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""NX-OS switches as targets, against emulated ones over real SSH: build, prove, commit, confirm, back, and every fault on the way."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.apply import apply_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import Journal
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.meaning import difference
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Operation
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import build_plan, snapshot_all
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.rollback import rollback_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.verify import verify_targets
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import DesiredObject, DesiredTarget
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import (
    codes,
    nxos,
    nxos_guard,
    nxos_session,
    nxos_way_back,
    nxos_work,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nxos import NxosTarget
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nxos_facts import read_nxos_facts
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.spec import TargetSpec
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ways_back import own_name
from tests.integration.lists import COMMIT, apply, codes_of
from tests.lab.iosxe.fleet import Fleet, FleetThread
from tests.lab.nxos.device import Device
from tests.lab.nxos.spec import DeviceSpec

HOST = "127.10.84.31"
USER, PASSWORD = "netops", "pw-netops-1"
RADIUS, CLIENT = "10.9.0.5", "10.9.0.9"
CONFIG = """radius-server host 10.9.0.5 auth-port 1812 acct-port 1813
ip access-list MGMT-ACCESS
  10 permit ip any any
vlan 10
interface Vlan10
  ip address 127.10.84.31/24
interface Ethernet1/7
  no switchport
  ip address 10.7.0.1/24
interface Ethernet1/8
  ip port access-group MGMT-ACCESS in
interface mgmt0
  vrf member management
  ip address 192.0.2.31/24
"""
ROUTES = {"10.9.0.0/24": "Vlan10", "127.0.0.0/8": "Vlan10"}
ARP = {
    "10.9.0.9": ("0200.0000.0009", "Vlan10", "Ethernet1/6"),
    "192.0.2.1": ("0200.0000.0001", "Vlan10", "Ethernet1/8"),  # the next hop of all routes
}
LET_IN = ("permit tcp any any eq 22", "permit udp any eq 1812 any", "permit udp any eq 1813 any")


def list_object(name: str, *lines: str) -> DesiredObject:
    text = "".join(f"  {number * 10} {line}\n" for number, line in enumerate(lines, 1))
    return DesiredObject("nxos_access_list", name, {"content": f"ip access-list {name}\n{text}"})


def place(interface: str, name: str, command: str = "ip port access-group", direction: str = "in") -> DesiredObject:
    body = {"interface": interface, "direction": direction, "access_list": name, "command": command}
    family = 6 if command.startswith("ipv6") else 4
    return DesiredObject("nxos_attachment", f"{interface}-{direction}-ipv{family}", body)


def wanted(
    port: int = 443, ports: tuple[int, ...] = (1, 2), name: str = "SW_hvac", extra: tuple[str, ...] = ()
) -> list[DesiredTarget]:
    lines = ["permit udp any eq 68 any eq 67", *extra, f"permit tcp any 10.0.0.1/32 eq {port}", "deny ip any any"]
    return of(list_object(name, *lines), *(place(f"Ethernet1/{number}", name) for number in ports))


def of(*objects: DesiredObject) -> list[DesiredTarget]:
    return [DesiredTarget("n9k1", "nxos", objects)]


class Switch:
    """The emulated switch, seen and changed from its own side."""

    def __init__(self, fleet: FleetThread, known_hosts: Path) -> None:
        self.fleet, self.known_hosts = fleet, known_hosts
        self.device: Device = fleet.device("n9k1")

    def running(self) -> str:
        return str(self.fleet.call(lambda: self.device.config.body()))

    def attached(self) -> set[str]:
        return set(re.findall(r"(?:access-group|traffic-filter) (SW_\S+) (?:in|out)", self.running()))

    def lists(self) -> set[str]:
        return set(re.findall(r"(?m)^ip(?:v6)? access-list (SW_\S+)", self.running()))

    def type(self, *lines: str) -> list[str]:
        return self.fleet.call(lambda: self.device.apply_lines(list(lines)))

    def fault(self, **data: Any) -> None:
        self.fleet.call(lambda: self.device.faults.add(data))

    def end_faults(self) -> None:
        self.fleet.call(self.device.faults.clear)

    def probe(self, *probes: dict[str, Any]) -> None:
        def put() -> None:
            self.device.probes, self.device.trace = list(probes), []

        self.fleet.call(put)

    def verdicts(self) -> set[str]:
        return {record["verdicts"] for record in self.device.trace}


def packet(port: int, interface: str = "Ethernet1/1", source: str = "10.0.0.7") -> dict[str, Any]:
    return {
        "interface": interface,
        "packet": {
            "protocol": "tcp", "source": source, "destination": "10.0.0.1", "source_port": 40000, "destination_port": port,
            "tcp_flags": ["syn"],
        },
    }  # fmt: skip


def made_switch(tmp_path: Path, **more: Any) -> Iterator[Switch]:
    values = {
        "initial_config": CONFIG,
        "routes": ROUTES,
        "arp": ARP,
        "minute_seconds": 1.0,
        **more,
    }
    fleet = Fleet(
        [DeviceSpec("n9k1", HOST, 0, **values)], tmp_path / "key", {USER: PASSWORD},
        known_hosts_path=tmp_path / "known_hosts", device_class=Device,
    )  # fmt: skip
    with FleetThread(fleet) as running:
        yield Switch(running, tmp_path / "known_hosts")


@pytest.fixture
def switch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Switch]:
    monkeypatch.setattr(nxos_session, "LINE_SECONDS", 3.0)  # the emulator answers at once or never
    monkeypatch.setattr(nxos_way_back, "MINUTE_SECONDS", 1.0)
    monkeypatch.setattr(nxos_way_back, "GRACE_SECONDS", 2.0)
    monkeypatch.setattr(nxos_way_back, "POLL_SECONDS", 0.2)
    yield from made_switch(tmp_path)


def spec_for(switch: Switch, **more: Any) -> TargetSpec:
    return TargetSpec.of({
        "name": "n9k1", "platform": "nxos", "host": HOST, "port": switch.device.port, "username": USER, "password": PASSWORD,
        "known_hosts_file": str(switch.known_hosts), "timeout": 3, **more,
    })  # fmt: skip


@pytest.fixture
def target(switch: Switch) -> Iterator[NxosTarget]:
    made = NxosTarget(spec_for(switch))
    yield made
    made.close()


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.jsonl")


def test_build_prove_commit_confirm_and_back(switch: Switch, target: NxosTarget, journal: Journal) -> None:
    before, targets = switch.running(), {"n9k1": target}
    first, outcome = apply(target, wanted(), journal)
    assert outcome.ok, outcome.findings
    assert [(step.action, step.effect) for step in first.operations()] == [
        ("create", "none"), ("attach", "narrows"), ("attach", "narrows"),
    ]  # fmt: skip
    assert switch.attached() == {"SW_hvac__a"}
    assert "SW_hvac__a" in switch.device.startup
    assert verify_targets(targets, wanted()).ok
    lines = target._link.session().lines
    assert apply_plan(first, targets, wanted(), journal, policy_commit=COMMIT).writes == 0
    assert target._link.session().lines == lines
    between = switch.running()
    switch.probe(packet(443), packet(8443), packet(22))
    second, outcome = apply(target, wanted(8443, (1, 2, 3)), journal)
    assert outcome.ok, outcome.findings
    # Every packet meets the old list or the new one at every moment.
    assert switch.verdicts() == {"PDD", "DPD"}
    assert [(step.action, step.name) for step in second.operations()] == [
        ("update", "SW_hvac"), ("attach", "Ethernet1/3-in-ipv4"),
    ]  # fmt: skip
    assert "10.0.0.1:443" in second.operations()[0].details["witness"]
    assert switch.attached() == switch.lists() == {"SW_hvac__b"}
    assert switch.running().count("SW_hvac__b in") == 3
    assert not switch.device.config_sessions
    assert rollback_plan(second.plan_id, targets, journal).ok
    assert switch.running() == between
    assert rollback_plan(first.plan_id, targets, journal).ok
    assert switch.running() == before
    assert "SW_" not in switch.device.startup


def test_remarks_options_and_numbers_come_back_on_undo(switch: Switch, target: NxosTarget, journal: Journal) -> None:
    switch.type(
        "ip access-list SW_hvac__c", "statistics per-entry", "5 remark rule hvac-1", "7 permit tcp any host 10.0.0.1 eq 443",
        "9 deny ip any any", "interface Ethernet1/1", "ip port access-group SW_hvac__c in",
    )  # fmt: skip
    before = switch.running()
    assert apply(target, wanted(ports=(1,)), journal)[1].ok
    assert switch.lists() == {"SW_hvac__a"}
    assert rollback_plan("", {"n9k1": target}, journal).ok
    assert switch.running() == before


def test_a_list_is_equal_by_meaning(switch: Switch, target: NxosTarget) -> None:
    switch.type(
        "ip access-list SW_hvac__a", "permit udp any eq bootpc any eq bootps", "permit tcp any 10.0.0.1 0.0.0.0 eq 443",
        "remark nothing else", "deny tcp any any", "interface Ethernet1/1", "ip port access-group SW_hvac__a in",
    )  # fmt: skip
    assert verify_targets({"n9k1": target}, wanted(ports=(1,))).ok
    switch.type("ip access-list SW_hvac__a", "15 permit tcp any any eq 22")
    drift = verify_targets({"n9k1": target}, wanted(ports=(1,))).drift
    assert [(item["kind"], item["name"]) for item in drift] == [("nxos_access_list", "SW_hvac")]
    assert ":22" in drift[0]["witness"]


def test_router_lists_of_both_families_and_directions(switch: Switch, target: NxosTarget, journal: Journal) -> None:
    before = switch.running()
    six = DesiredObject(
        "nxos_access_list", "SW_six",
        {"content": "ipv6 access-list SW_six\n  10 permit icmp any any nd-ns\n  20 permit tcp 2001:db8::/64 any eq 443\n"},
    )  # fmt: skip
    desired = of(
        list_object("SW_in", "permit ip 10.7.0.0/24 any"), list_object("SW_out", "permit tcp any range 1024 65535 10.7.0.0/24"), six,
        place("Ethernet1/7", "SW_in", "ip access-group"), place("Ethernet1/7", "SW_out", "ip access-group", "out"),
        place("Ethernet1/7", "SW_six", "ipv6 traffic-filter"),
    )  # fmt: skip
    plan, outcome = apply(target, desired, journal)
    assert outcome.ok, outcome.findings
    assert verify_targets({"n9k1": target}, desired).ok
    assert "  ipv6 traffic-filter SW_six__a in" in switch.running()
    assert "  ip access-group SW_out__a out" in switch.running()
    assert rollback_plan(plan.plan_id, {"n9k1": target}, journal).ok
    assert switch.running() == before


def test_a_place_where_a_list_would_not_filter_is_refused(switch: Switch, target: NxosTarget, journal: Journal) -> None:
    for interface, command in (("Ethernet1/7", "ip port access-group"), ("Vlan10", "ip port access-group")):
        desired = of(list_object("SW_x", *LET_IN), place(interface, "SW_x", command))
        _plan, outcome = apply(target, desired, journal)
        assert "SW4426" in codes_of(outcome.findings)
        assert switch.attached() == set()
    with pytest.raises(FindingError) as error:
        target.diff(of(place("Ethernet1/1", "SW_x", direction="out"))[0].objects, target.snapshot(()))
    assert codes_of(error.value.findings) == {"SW4226"}


def test_a_list_that_does_not_fit_is_refused_before_anything_is_written(
    switch: Switch, target: NxosTarget, journal: Journal
) -> None:
    assert apply(target, wanted(), journal)[1].ok
    before, lines = switch.running(), switch.device.counters.config_lines
    long = [f"permit tcp any 10.{number // 200}.{number % 200}.1/32 eq 443" for number in range(510)]
    desired = of(list_object("SW_hvac", *long), place("Ethernet1/1", "SW_hvac"), place("Ethernet1/2", "SW_hvac"))
    _plan, outcome = apply(target, desired, journal)
    assert "SW4420" in codes_of(outcome.findings)
    assert "Ingress PACL: 511 entries" in str(outcome.findings)
    assert (switch.running(), switch.device.counters.config_lines) == (before, lines)


def test_the_switch_has_the_last_word_on_room(
    switch: Switch, target: NxosTarget, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table that we do not understand leaves it to verify, and the session is thrown away."""
    assert apply(target, wanted(), journal)[1].ok
    before = switch.running()
    monkeypatch.setattr(nxos_work, "capacity_findings", lambda *_given: [])
    switch.device.regions["ing-ifacl"] = 8
    _plan, outcome = apply(target, wanted(8443), journal)
    assert {"SW4260", "SW4421"} <= codes_of(outcome.findings)
    assert "free entries are not available" in str(outcome.findings)
    assert switch.running() == before
    assert not switch.device.config_sessions


def test_updates_that_are_not_atomic(switch: Switch, target: NxosTarget, journal: Journal) -> None:
    assert apply(target, wanted(), journal)[1].ok
    switch.type("no hardware access-list update atomic")
    before = switch.running()
    outcome = apply(target, wanted(8443), journal)[1]
    assert "SW4422" in codes_of(outcome.findings)
    assert switch.running() == before
    switch.type("hardware access-list update default-result permit")
    outcome = apply(target, wanted(8443), journal)[1]
    assert outcome.ok and "SW4423" in codes_of(outcome.findings)


def test_lists_and_places_of_others_are_refused(switch: Switch, target: NxosTarget) -> None:
    desired = wanted(ports=(8,))[0].objects
    with pytest.raises(FindingError) as error:
        target.diff(desired, target.snapshot(desired))
    assert codes_of(error.value.findings) == {"SW4265"}
    assert "MGMT-ACCESS" in str(error.value)
    with pytest.raises(FindingError) as error:
        target.diff(wanted(name="MGMT")[0].objects, target.snapshot(()))
    assert codes_of(error.value.findings) == {"SW4226"}


def test_a_list_that_is_not_understood_is_refused(
    switch: Switch, target: NxosTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    switch.type("ip access-list SW_hvac__a", "permit tcp any any eq 80", "deny ip any any")
    plain = switch.device.running_text
    monkeypatch.setattr(
        switch.device,
        "running_text",
        lambda: plain().replace("  20 deny ip", "  15 permit fabric any any\n  20 deny ip"),
    )
    with pytest.raises(FindingError) as error:
        target.diff(wanted()[0].objects, target.snapshot(wanted()[0].objects))
    assert codes_of(error.value.findings) == {"SW4221"}
    assert "permit fabric any any" in str(error.value)


def test_an_empty_list_is_never_put_into_force(switch: Switch, target: NxosTarget) -> None:
    """An attached list without entries permits everything."""
    desired = wanted(ports=(1,))[0].objects
    steps = target.diff(desired, target.snapshot(desired))
    attach = next(step for step in steps if step.action == "attach")
    for lines in ((), ("ip access-list SW_hvac__a",)):
        switch.type(*lines)
        with pytest.raises(FindingError) as error:
            target.execute(attach)
        assert codes_of(error.value.findings) == {"SW4227"}
        assert switch.attached() == set()


def test_a_list_that_was_deleted_under_its_place_comes_back_into_force(
    switch: Switch, target: NxosTarget, journal: Journal
) -> None:
    """The place still names the list, and permits everything."""
    assert apply(target, wanted(), journal)[1].ok
    switch.type("no ip access-list SW_hvac__a")
    assert not verify_targets({"n9k1": target}, wanted()).ok
    switch.type("ip access-list SW_hvac__b", "permit udp any eq 68 any eq 67", "permit tcp any host 10.0.0.1 eq 443")
    assert {item["kind"] for item in verify_targets({"n9k1": target}, wanted()).drift} == {"nxos_attachment"}
    assert apply(target, wanted(), journal)[1].ok
    assert switch.attached() == switch.lists() and verify_targets({"n9k1": target}, wanted()).ok
    assert [switch.device.decide(packet(port)).permit for port in (443, 22)] == [True, False]


def test_a_change_since_the_plan_is_refused(switch: Switch, target: NxosTarget, journal: Journal) -> None:
    targets, desired = {"n9k1": target}, wanted(8443)
    assert apply(target, wanted(), journal)[1].ok
    plan = build_plan(targets, desired, snapshot_all(targets, desired), policy_commit=COMMIT)
    switch.type("ip access-list SW_hvac__a", "15 permit tcp any any eq 22")
    before = switch.running()
    with pytest.raises(FindingError) as error:
        apply_plan(plan, targets, desired, journal, policy_commit=COMMIT)
    assert codes_of(error.value.findings) == {"SW4015"}
    with pytest.raises(FindingError) as error:
        target.execute(plan.operations()[0])
    assert codes_of(error.value.findings) == {"SW4222"}
    assert switch.running() == before


def test_hand_edits_resequencing_and_foreign_lists_stay(switch: Switch, target: NxosTarget, journal: Journal) -> None:
    assert apply(target, wanted(), journal)[1].ok
    switch.type(
        "resequence ip access-list SW_hvac__a 100 7", "ip access-list SW_hvac__a", "1 remark looked at by hand",
        "ip access-list THEIRS", "permit ip any any", "interface Ethernet1/5", "description theirs",
        "ip port access-group THEIRS in", "hostname n9k1-core",
    )  # fmt: skip
    again = NxosTarget(target.spec)
    assert verify_targets({"n9k1": again}, wanted()).ok
    assert not apply(again, wanted(), journal)[0].operations()  # remarks and numbers are no difference
    plan, outcome = apply(again, wanted(8443), journal)
    assert outcome.ok, outcome.findings
    text = switch.running()
    for kept in (
        "ip access-list THEIRS\n",
        "  description theirs\n",
        "  ip port access-group THEIRS in\n",
        "hostname n9k1-core\n",
    ):
        assert kept in text
    assert rollback_plan(plan.plan_id, {"n9k1": again}, journal).ok
    assert "100 permit udp" in switch.running() and "1 remark looked at by hand" in switch.running()
    again.close()


def test_management_is_not_cut(switch: Switch, target: NxosTarget, journal: Journal) -> None:
    """The controller and the RADIUS server come by Vlan10; the list is refused where it would cut either."""
    for lines in (("permit udp any any",), ("permit tcp any any eq 22",)):
        desired = of(list_object("SW_hvac", *lines), place("Vlan10", "SW_hvac", "ip access-group"))
        with pytest.raises(FindingError) as error:
            apply(target, desired, journal)  # in the plan
        assert codes_of(error.value.findings) == {"SW4263"}, lines
        assert switch.attached() == set() and not switch.device.counters.records
    assert "RADIUS: " in str(error.value) and f"{RADIUS}:1812" in str(error.value)
    desired = of(list_object("SW_hvac", *LET_IN), place("Vlan10", "SW_hvac", "ip access-group"))
    outcome = apply(target, desired, journal)[1]
    assert outcome.ok, outcome.findings
    assert len(switch.attached()) == 1
    assert "scheduler" not in switch.running()
    job = f"scheduler job name {own_name('SW_way_back')}"
    lines = [record["line"] for record in switch.device.counters.records]
    assert lines.index(job) < lines.index("ip access-group SW_hvac__a in")


@pytest.mark.parametrize("scheduler", [False, True])
def test_a_forced_lock_out_is_taken_back_by_the_switch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, journal: Journal, scheduler: bool
) -> None:
    monkeypatch.setattr(nxos_session, "LINE_SECONDS", 1.0)
    monkeypatch.setattr(nxos_way_back, "MINUTE_SECONDS", 2.0)
    monkeypatch.setattr(nxos_way_back, "GRACE_SECONDS", 8.0)
    monkeypatch.setattr(nxos_way_back, "POLL_SECONDS", 0.2)
    for part in (nxos, nxos_work):
        monkeypatch.setattr(part, "management_findings", lambda *_given: [])
    text = CONFIG + ("feature scheduler\nscheduler job name THEIRS\nshow clock\nend-job\n" if scheduler else "")
    more = {"initial_config": text, "controller": CLIENT, "management_interface": "Vlan10", "minute_seconds": 2.0}
    for switch in made_switch(tmp_path, **more):
        target = NxosTarget(spec_for(switch, timeout=2))
        before = switch.running()
        desired = of(list_object("SW_hvac", "permit udp any any"), place("Vlan10", "SW_hvac", "ip access-group"))
        outcome = apply(target, desired, journal)[1]
        assert "SW4425" in codes_of(outcome.findings), outcome.findings
        assert switch.device.jobs_run and switch.attached() == set()
        assert switch.running().replace("\nip access-list SW_hvac__a\n  10 permit udp any any \n", "") == before
        target.close()


def test_what_somebody_else_attached_meanwhile_is_not_taken_back(
    switch: Switch, target: NxosTarget, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply(target, wanted(), journal)

    def not_confirmed(*_arguments: Any) -> None:
        switch.type("interface Ethernet1/2", "ip port access-group MGMT-ACCESS in")
        raise FindingError(codes.NOT_CONFIRMED.at("n9k1"))

    monkeypatch.setattr(target._work, "_confirm_places", not_confirmed)
    _plan, outcome = apply(target, wanted(8443), journal)
    assert not outcome.ok
    running = switch.running()
    assert re.search(r"(?m)^interface Ethernet1/1\n(?:  .*\n)*  ip port access-group SW_hvac__a in", running)
    assert re.search(r"(?m)^interface Ethernet1/2\n(?:  .*\n)*  ip port access-group MGMT-ACCESS in", running)
    assert any("Ethernet1/2 in holds MGMT-ACCESS" in each.message for each in outcome.findings)


def test_a_session_that_ends_in_the_confirmation_does_not_leave_what_was_not_confirmed(
    switch: Switch, target: NxosTarget, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply(target, wanted(), journal)
    read, monkeypatched = target._link.state, list[str]()
    monkeypatch.setattr(nxos_guard.ManagementPath, "may_cut", lambda _self, _places: True)

    def not_confirmed(*_arguments: Any) -> None:
        monkeypatched.append("lost")
        raise FindingError(codes.NOT_CONFIRMED.at("n9k1"))

    def state() -> Any:
        if monkeypatched:
            raise FindingError(codes.SESSION_LOST.at(monkeypatched.pop()))
        return read()

    monkeypatch.setattr(nxos_way_back, "MINUTE_SECONDS", 600.0)
    switch.device.spec = replace(switch.device.spec, minute_seconds=600.0)
    monkeypatch.setattr(target._work, "_confirm_places", not_confirmed)
    monkeypatch.setattr(target._link, "state", state)
    _plan, outcome = apply(target, wanted(8443), journal)
    assert not outcome.ok
    assert switch.attached() == switch.lists() == {"SW_hvac__a"}
    assert "scheduler" not in switch.running()


def test_no_change_where_no_way_back_can_be_armed(switch: Switch, target: NxosTarget, journal: Journal) -> None:
    switch.fault(kind="error_on", regex="^scheduler job", text="% Permission denied for the role", times=None)
    desired = of(list_object("SW_hvac", *LET_IN), place("Vlan10", "SW_hvac", "ip access-group"))
    outcome = apply(target, desired, journal)[1]
    assert {"SW4424", "SW4480"} <= codes_of(outcome.findings)
    assert switch.attached() == set() and "scheduler" not in switch.running()


def test_a_way_back_that_an_interrupted_run_left_is_removed_first(
    switch: Switch, target: NxosTarget, journal: Journal
) -> None:
    name = own_name("SW_way_back")  # of this process, which is at work on nothing
    switch.type("feature scheduler", f"scheduler job name {name}", "configure terminal", "end-job",
                f"scheduler schedule name {name}", f"job name {name}", "time start +23:00")  # fmt: skip
    assert apply(target, wanted(), journal)[1].ok
    assert "scheduler" not in switch.running()


def test_a_session_left_behind_is_thrown_away_and_others_are_left(
    switch: Switch, target: NxosTarget, journal: Journal
) -> None:
    def leave() -> None:
        for name in ("segwright", "theirs"):
            cli = switch.device.make_cli("someone")
            cli.enter_session(name)
            cli.configure("ip access-list LEFT-" + name)
            cli.configure("permit ip any any")

    switch.fleet.call(leave)
    assert apply(target, wanted(), journal)[1].ok
    assert set(switch.device.config_sessions) == {"theirs"}
    assert "LEFT-" not in switch.running()


def test_a_device_without_session_manager_gets_plain_lines(tmp_path: Path, journal: Journal) -> None:
    for switch in made_switch(tmp_path, session_manager=False):
        target = NxosTarget(spec_for(switch))
        before = switch.running()
        plan, outcome = apply(target, wanted(), journal)
        assert outcome.ok, outcome.findings
        switch.probe(packet(443), packet(8443), packet(22))
        assert apply(target, wanted(8443), journal)[1].ok
        assert switch.verdicts() == {"PDD", "DPD"}
        assert rollback_plan("", {"n9k1": target}, journal).ok
        assert rollback_plan(plan.plan_id, {"n9k1": target}, journal).ok
        assert switch.running() == before
        target.close()


def test_pruning_detaches_and_removes(switch: Switch, target: NxosTarget, journal: Journal) -> None:
    before = switch.running()
    assert apply(target, wanted(), journal)[1].ok
    with_list = switch.running()
    assert not apply(target, of(), journal)[0].operations()
    plan, outcome = apply(target, of(), journal, prune=True)
    assert outcome.ok, outcome.findings
    assert [step.action for step in plan.operations()] == ["detach", "detach", "delete"]
    assert switch.running() == before
    assert rollback_plan(plan.plan_id, {"n9k1": target}, journal).ok
    assert switch.running() == with_list


def test_adopting_a_place_and_giving_it_back(switch: Switch, journal: Journal) -> None:
    # Management comes by another port than the one whose place is taken over.
    neighbors = {**switch.device.spec.arp, "192.0.2.1": ("0200.0000.0001", "Vlan10", "Ethernet1/6")}
    switch.fleet.call(lambda: setattr(switch.device, "spec", replace(switch.device.spec, arp=neighbors)))
    target = NxosTarget(spec_for(switch, adopt=True))
    before = switch.running()
    assert apply(target, wanted(ports=(8,)), journal)[1].ok
    assert switch.attached() == {"SW_hvac__a"}
    assert rollback_plan("", {"n9k1": target}, journal).ok
    assert switch.running() == before
    target.close()


def test_an_unsaved_configuration_is_told(switch: Switch, target: NxosTarget, journal: Journal) -> None:
    switch.fault(kind="error_on", regex="^copy running", text="Configuration update aborted: request was aborted")
    _plan, outcome = apply(target, wanted(), journal)
    assert {"SW4267", "SW4018"} <= codes_of(outcome.findings)
    assert switch.attached() == {"SW_hvac__a"}
    assert "SW_" not in switch.device.startup
    assert target.confirm(wanted()[0].objects) == ()
    assert "SW_hvac__a" in switch.device.startup


def test_paging_slow_echo_and_wrapped_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, journal: Journal) -> None:
    """Every command takes its time, the host name is long, and no line is longer than the terminal's."""
    name = "n9k-" + "x" * 50
    for switch in made_switch(tmp_path, initial_config=CONFIG + f"hostname {name}\n"):
        switch.fault(kind="line_delay", seconds=0.05, times=None)
        target = NxosTarget(spec_for(switch))
        wide = "permit tcp 10.111.222.0/24 10.222.111.0/24 range 49152 65534 log"
        desired = of(list_object("SW_" + "y" * 58, wide, "deny ip any any log"), place("Ethernet1/1", "SW_" + "y" * 58))
        assert apply(target, desired, journal)[1].ok
        assert verify_targets({"n9k1": target}, desired).ok
        target.close()


def random_site(choose: random.Random) -> list[DesiredTarget]:
    """One to three lists of random entries on random ports, and perhaps one on the gateway that lets management in."""
    objects: list[DesiredObject] = []
    ports = choose.sample(range(1, 7), choose.randint(1, 4))
    for name in choose.sample(("SW_a", "SW_b", "SW_c"), choose.randint(1, 3)):
        lines = []
        for _number in range(choose.randint(1, 6)):
            action, protocol = choose.choice(("permit", "deny")), choose.choice(("tcp", "udp"))
            source = choose.choice(("any", "10.0.0.0/24", "10.0.1.7/32", "10.0.0.0 0.0.3.0"))
            operator = choose.choice(("", " eq 443", " range 5000 5010", " gt 1023", " neq 80"))
            lines.append(f"{action} {protocol} {source} 10.0.0.{choose.randint(1, 3)}/32{operator}")
        lines.append(choose.choice(("deny ip any any", "permit ip any any")))
        objects.append(list_object(name, *lines))
        for port in [ports.pop() for _port in range(min(len(ports), choose.randint(0, 2)))]:
            objects.append(place(f"Ethernet1/{port}", name))
    if choose.random() < 0.4:
        objects += [list_object("SW_gate", *LET_IN, "deny ip any any"), place("Vlan10", "SW_gate", "ip access-group")]
    return of(*objects)


def test_random_rounds_converge_are_silent_verify_and_go_back(
    switch: Switch, target: NxosTarget, journal: Journal, full: bool
) -> None:
    """What the plan shows (check and diff print the same) is what the switch holds afterwards; then back, exactly."""
    choose, targets = random.Random(9), {"n9k1": target}
    rounds, steps = (10 if full else 2), 0
    for _round in range(rounds):
        before, desired = switch.running(), random_site(choose)
        plan, outcome = apply(target, desired, journal, prune=True)
        assert outcome.ok, outcome.findings
        steps += len(plan.operations())
        assert len(outcome.completed) == len(plan.operations())
        for step in plan.operations():
            assert shown_is_held(switch, step), step
        assert verify_targets(targets, desired).ok
        lines = switch.device.counters.config_lines
        again, silent = apply(target, desired, journal, prune=True)
        assert not again.operations() and silent.ok and switch.device.counters.config_lines == lines
        if choose.random() < 0.5 and plan.operations():
            assert rollback_plan(plan.plan_id, targets, journal).ok
            assert switch.running() == before
    print(f"{rounds} rounds, {steps} steps")


@pytest.mark.full
def test_ten_rounds_on_a_fleet_of_unlike_switches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, journal: Journal
) -> None:
    """One plan over three switches each round; at the end all that stands is taken back, round by round."""
    monkeypatch.setattr(nxos_session, "LINE_SECONDS", 3.0)
    theirs = CONFIG + "feature scheduler\nscheduler job name THEIRS\nshow clock\nend-job\n"
    unlike: list[dict[str, Any]] = [{}, {"session_manager": False}, {"initial_config": theirs}]
    names = [f"n9k{number}" for number in (1, 2, 3)]
    values = {"initial_config": CONFIG, "routes": ROUTES, "arp": ARP, "minute_seconds": 300.0}
    specs = [
        DeviceSpec(name, f"127.10.84.{31 + number}", 0, **{**values, **unlike[number]})
        for number, name in enumerate(names)
    ]
    fleet = Fleet(
        specs, tmp_path / "key", {USER: PASSWORD}, known_hosts_path=tmp_path / "known_hosts", device_class=Device
    )
    choose, steps, stands = random.Random(10), 0, list[tuple[str, dict[str, str]]]()
    with FleetThread(fleet) as running:
        devices = {name: running.device(name) for name in names}
        targets = {
            spec.hostname: NxosTarget(
                TargetSpec.of({
                    "name": spec.hostname, "platform": "nxos", "host": spec.address, "port": devices[spec.hostname].port, "username": USER,
                    "password": PASSWORD, "known_hosts_file": str(tmp_path / "known_hosts"), "timeout": 3,
                })
            )
            for spec in specs
        }  # fmt: skip

        def held() -> dict[str, str]:
            return {name: str(running.call(device.config.body)) for name, device in devices.items()}

        for _round in range(10):
            chosen = choose.sample(names, choose.randint(1, 3))
            desired = [DesiredTarget(name, "nxos", random_site(choose)[0].objects) for name in sorted(chosen)]
            some = {name: targets[name] for name in chosen}
            before = held()
            plan = build_plan(some, desired, snapshot_all(some, desired), policy_commit=COMMIT, prune=True)
            outcome = apply_plan(plan, some, desired, journal, policy_commit=COMMIT)
            assert outcome.ok, outcome.findings
            assert verify_targets(some, desired).ok
            steps += len(plan.operations())
            lines = [device.counters.config_lines for device in devices.values()]
            again = build_plan(some, desired, snapshot_all(some, desired), policy_commit=COMMIT, prune=True)
            assert not again.operations()
            assert [device.counters.config_lines for device in devices.values()] == lines
            if not plan.operations():
                continue
            if choose.random() < 0.4:
                assert rollback_plan(plan.plan_id, some, journal).ok
                assert held() == before
            else:
                stands.append((plan.plan_id, before))
        for plan_id, before in reversed(stands):
            assert rollback_plan(plan_id, targets, journal).ok
            assert held() == before
        for target in targets.values():
            target.close()
    print(f"10 rounds, {steps} steps, {len(stands)} taken back at the end")


def shown_is_held(switch: Switch, step: Operation) -> bool:
    """Return whether the switch holds what a step shows with a plus, and nothing of what it takes away."""
    config = switch.device.config
    body = step.after or step.before or {}
    if step.kind == "nxos_attachment":
        live = config.interfaces[body["interface"]].access_list(body["command"], body["direction"]) or ""
        return live.startswith(f"{body['access_list']}__") if step.after else live == ""
    versions = [each for name, each in config.lists.items() if name.startswith(step.name + "__")]
    if not step.after:
        return not versions
    shown = [line[1:] for line in step.diff.splitlines() if line[:1] == "+" and line[:3] != "+++"]
    held = "\n".join(versions[0].config_lines()[1:])
    return (
        len(versions) == 1
        and bool(shown)
        and difference("nxos", f"ip access-list x\n{held}\n", str(body["content"])).equal
    )


def test_check_shows_what_apply_does(switch: Switch, target: NxosTarget, journal: Journal, full: bool) -> None:
    """200 random sites: the steps that are shown, line for line, are those of the plan that is applied, whoever computes them."""
    choose = random.Random(200)
    for number in range(200 if full else 12):
        desired = random_site(choose)
        first = target.diff(desired[0].objects, target.snapshot(desired[0].objects))
        plan = build_plan(
            {"n9k1": target}, desired, snapshot_all({"n9k1": target}, desired), policy_commit=COMMIT, prune=True
        )
        assert [(step.id, step.diff) for step in first] == [(step.id, step.diff) for step in plan.operations()]
        if number % (10 if full else 6) == 0:
            outcome = apply_plan(plan, {"n9k1": target}, desired, journal, policy_commit=COMMIT)
            assert outcome.ok, outcome.findings
            assert [(step.operation.id, step.operation.diff) for step in outcome.completed] == [
                (s.id, s.diff) for s in plan.operations()
            ]
            assert not target.diff(desired[0].objects, target.snapshot(desired[0].objects))


def test_facts_for_the_register(switch: Switch) -> None:
    neighbors = {"10.9.0.9": switch.device.spec.arp["10.9.0.9"]}
    switch.fleet.call(lambda: setattr(switch.device, "spec", replace(switch.device.spec, arp=neighbors)))
    made = read_nxos_facts(spec_for(switch))
    assert not made.findings and made.software == "NX-OS 9.3(8)"
    assert made.counts == {"mac_table": 1, "arp": 1}
    place, address = made.observations
    assert (place.mac, place.facts["interface"], place.facts["switch"]) == ("02:00:00:00:00:09", "Ethernet1/6", "n9k1")
    assert [claim.address for claim in address.addresses] == ["10.9.0.9"]
    switch.fault(kind="hang", lines=4)
    assert {finding.code for finding in read_nxos_facts(spec_for(switch), seconds=2.0).findings} == {"SW4266"}


@pytest.mark.parametrize("sessions", [True, pytest.param(False, marks=pytest.mark.full)])
def test_a_long_list_is_replaced_without_a_wrong_packet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, journal: Journal, full: bool, sessions: bool
) -> None:
    """After every accepted line all probes of a port meet the old list, or all the new one; lines and round trips are told."""
    monkeypatch.setattr(nxos_session, "LINE_SECONDS", 3.0)
    count, choose = 500 if full else 60, random.Random(500)

    def address(number: int) -> str:
        return f"10.3.{number // 200}.{number % 200}"

    def long(port: int) -> list[DesiredTarget]:
        """Every second entry stays, the others move to another port."""
        entries = [
            f"permit tcp any {address(number)}/32 eq {443 if number % 2 else port}" for number in range(count - 2)
        ]
        lines = [*entries, "permit tcp any 10.0.0.1/32 eq 443", "deny ip any any"]
        return of(list_object("SW_hvac", *lines), *(place(f"Ethernet1/{number}", "SW_hvac") for number in (1, 2)))

    for switch in made_switch(tmp_path, session_manager=sessions):
        target = NxosTarget(spec_for(switch))
        switch.fleet.call(lambda here=switch: here.device.regions.update({"ing-ifacl": 2048}))
        assert apply(target, long(443), journal)[1].ok
        probes = [packet(port, "Ethernet1/1") for port in (443, 22)]
        for number in choose.sample(range(count - 2), 20 if sessions else 5):
            for port in (443, 8443, 8444):
                probes.append(packet(port, "Ethernet1/1"))
                probes[-1]["packet"]["destination"] = address(number)
        probes += [{**probe, "interface": "Ethernet1/2"} for probe in probes]

        def said(here: Switch = switch, asked: list[dict[str, Any]] = probes) -> str:
            return here.fleet.call(lambda: "".join("P" if here.device.decide(each).permit else "D" for each in asked))

        old = said()
        switch.probe(*probes)
        before, start = switch.device.counters.commands, switch.device.counters.config_lines
        outcome = apply(target, long(8443), journal)[1]
        assert outcome.ok, outcome.findings
        new, half = said(), len(probes) // 2
        both = [(a, b) for a, b in zip(old, new, strict=True)]
        assert {("P", "P"), ("D", "D"), ("P", "D"), ("D", "P")} == set(both)
        trace = [str(record["verdicts"]) for record in switch.device.trace]
        for port in (slice(0, half), slice(half, None)):
            seen = [verdicts[port] for verdicts in trace]
            assert set(seen) == {old[port], new[port]} and seen == sorted(
                seen, key=lambda each, end=new[port]: each == end
            )
        if sessions:  # both ports at once
            assert set(trace) == {old, new}
        commands = switch.device.counters.commands - before
        lines = switch.device.counters.config_lines - start
        print(
            f"{count} entries replaced: {lines} lines, {commands} commands, {len(trace)} moments of {len(probes)} probes"
        )
        target.close()
