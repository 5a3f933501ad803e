# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""IPv6 lists on an IOS-XE switch: by playbook from a policy, in the engine with faults and guards, at every line with packets."""

from __future__ import annotations

import json
import re
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.apply import apply_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import Journal
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.rollback import rollback_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.verify import verify_targets
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import DesiredObject, DesiredTarget
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import ios_session, ios_work
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios import IosTarget
from tests.integration.lists import COMMIT, apply, codes_of
from tests.integration.test_nxos_playbooks import Site, played
from tests.integration.test_targets_ios import ENABLE, PASSWORD, USER, Switch, spec_for
from tests.lab.iosxe.fleet import Fleet, FleetThread
from tests.lab.iosxe.spec import DeviceSpec, HostSpec, InterfaceSpec
from tests.lab.places import CHECKOUT

HOST = "127.10.82.32"
PORTS = tuple(InterfaceSpec(f"GigabitEthernet1/0/{number}", f"port {number}", 10) for number in range(1, 9))
DEVICE = HostSpec("02:1a:30:00:00:11", "10.0.0.11", "GigabitEthernet1/0/1", 10, ipv6="2001:db8:10::11")
CONFIG = f"""ipv6 access-list THEIRS6
 sequence 10 remark of the network team
 sequence 20 permit ipv6 any any
interface GigabitEthernet1/0/8
 ipv6 traffic-filter THEIRS6 in
interface Vlan10
 ip address {HOST} 255.255.255.0
 ipv6 address 2001:DB8:10::1/64
"""
NEIGHBOURS = ("permit icmp any any nd-ns", "permit icmp any any nd-na")


def wanted(
    port: int = 443, ports: tuple[int, ...] = (1, 2), extra: tuple[str, ...] = NEIGHBOURS, place: str = "in"
) -> list[DesiredTarget]:
    four = ["permit udp any eq 68 any eq 67", f"permit tcp any host 10.0.0.1 eq {port}", "deny ip any any"]
    six = [*extra, f"permit tcp any host 2001:db8:40::1 eq {port}", "deny ipv6 any any"]
    objects = [
        DesiredObject("access_list", "SW_hvac", {"content": "ip access-list extended SW_hvac\n " + "\n ".join(four)}),
        DesiredObject(
            "ipv6_access_list", "SW_hvac__v6", {"content": "ipv6 access-list SW_hvac__v6\n " + "\n ".join(six)}
        ),
    ]
    for number in ports:
        for prefix, name in (("", "SW_hvac"), ("ipv6_", "SW_hvac__v6")):
            interface = f"GigabitEthernet1/0/{number}"
            body = {"interface": interface, "direction": place, "access_list": name}
            objects.append(DesiredObject(f"{prefix}attachment", f"{interface}-{place}", body))
    return [DesiredTarget("acc1", "ios", tuple(objects))]


def on(interface: str, *lines: str) -> list[DesiredTarget]:
    """One IPv6 list on one interface."""
    content = "ipv6 access-list SW_gate__v6\n " + "\n ".join(lines)
    body = {"interface": interface, "direction": "in", "access_list": "SW_gate__v6"}
    objects = (
        DesiredObject("ipv6_access_list", "SW_gate__v6", {"content": content}),
        DesiredObject("ipv6_attachment", f"{interface}-in", body),
    )
    return [DesiredTarget("acc1", "ios", objects)]


def in_force(switch: Switch) -> tuple[set[str], set[str]]:
    """The lists of ours that are attached, of both families, and those that exist."""
    text = switch.running()
    attached = re.findall(r"(?:ip access-group|ipv6 traffic-filter) (SW_\S+)", text)
    return set(attached), set(re.findall(r"(?m)^(?:ip access-list extended|ipv6 access-list) (SW_\S+)", text))


def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **more: Any) -> Iterator[Switch]:
    monkeypatch.setattr(ios_session, "LINE_SECONDS", 3.0)
    monkeypatch.setattr(ios_work, "KNOCK_SECONDS", 0.3)
    spec = DeviceSpec("acc1", **{"address": HOST, "port": 0, "interfaces": PORTS, "initial_config": CONFIG, **more})
    fleet = Fleet(
        [spec], tmp_path / "key", {USER: PASSWORD}, known_hosts_path=tmp_path / "known_hosts", enable_secret=ENABLE
    )
    with FleetThread(fleet) as thread:
        yield Switch(thread, tmp_path / "known_hosts")


@pytest.fixture
def switch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Switch]:
    yield from running(tmp_path, monkeypatch, hosts=(DEVICE,))


@pytest.fixture
def target(switch: Switch) -> Iterator[IosTarget]:
    made = IosTarget(spec_for(switch, host=HOST, port=switch.device.port))
    yield made
    made.close()


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.jsonl")


# -- as users meet it

ENFORCEMENT = """points:
  acc1-ports:
    kind: port_acl
    platform: ios
    host: acc2
    interfaces: [GigabitEthernet1/0/1, GigabitEthernet1/0/2]
segments:
  hvac_controllers:
    stage: enforce
    points: [acc1-ports]
"""


class DualStack(Site):
    """The sample policy with IPv6 addresses beside the IPv4 ones, and one switch."""

    def __init__(self, directory: Path, switch: Switch) -> None:
        self.directory, self.policy, self.data = directory, directory / "policies", directory / "data"
        shutil.copytree(CHECKOUT / "policies", self.policy)
        shutil.rmtree(self.policy / "expectations")
        (self.policy / "guardrails.yml").unlink()
        (self.policy / "enforcement.yml").write_text(ENFORCEMENT, encoding="utf-8")
        lock = json.loads((self.policy / "members.lock.json").read_text(encoding="utf-8"))
        for segment in lock["segments"].values():
            for device in segment["devices"]:
                last = device["addresses"][0].split(".")
                device["addresses"].append(f"2001:db8:{last[2]}::{last[3]}")
        (self.policy / "members.lock.json").write_text(
            json.dumps(lock, indent=2, sort_keys=True) + "\n", encoding="utf-8"
        )
        sitefile = self.policy / "site.yml"
        text = re.sub(
            r"\[100\.64\.(\d+)\.0/24", r"[2001:db8:\1::/64, 100.64.\1.0/24", sitefile.read_text(encoding="utf-8")
        )
        sitefile.write_text(text, encoding="utf-8")
        self.git("-c", "init.defaultBranch=main", "init", "-q")
        self.commit("Both families")
        host = {
            "ansible_network_os": "cisco.ios.ios", "ansible_host": HOST, "ansible_port": switch.device.port, "ansible_user": USER,
            "ansible_password": PASSWORD, "ansible_become_password": ENABLE, "microseg_known_hosts_file": str(switch.known_hosts),
        }  # fmt: skip
        self.inventory = directory / "inventory.json"
        self.inventory.write_text(json.dumps({"all": {"children": {"microseg_targets": {"hosts": {"acc2": host}}}}}))


def test_the_loop_on_a_switch_with_both_families(switch: Switch, tmp_path: Path, full: bool) -> None:
    site = DualStack(tmp_path / "site", switch)
    before = switch.running()
    assert "SW4009" not in played(site, "plan")
    shown = played(site, "apply", "--check", "--diff")
    assert switch.running() == before
    assert (
        "+ipv6 access-list SW_hvac_controllers__v6" in shown
        and "+ ipv6 traffic-filter SW_hvac_controllers__v6 in" in shown
    )
    played(site, "apply")
    attached, lists = in_force(switch)
    assert attached == lists == {"SW_hvac_controllers__a", "SW_hvac_controllers__v6__a"}
    text = switch.running()
    assert text.count("ipv6 traffic-filter SW_hvac_controllers__v6__a in") == 2
    assert "sequence 20 permit ipv6 any any" in text  # theirs
    played(site, "verify")
    if full:
        switch.type("ipv6 access-list SW_hvac_controllers__v6__a", "sequence 5 permit ipv6 any any")
        assert site.play("playbooks/verify.yml")[0] != 0
        assert [item["kind"] for item in site.result("verify")["drift"]] == ["ipv6_access_list"]
        played(site, "plan")
        played(site, "apply")
        played(site, "verify")
        played(site, "rollback")


# -- the engine below


def packet(kind: str) -> dict[str, Any]:
    """A probe on the device's port: what both lists permit, the old one, the new one, none, and neighbour discovery."""
    values: dict[str, Any] = {
        "protocol": "tcp",
        "source": DEVICE.ipv6,
        "destination": "2001:db8:40::1",
        "source_port": 50000,
    }
    if kind in ("443", "8443", "22"):
        values |= {"destination_port": int(kind), "tcp_flags": ["syn"]}
    else:
        source = "::" if kind == "dad" else "fe80::11"
        number = 136 if kind == "na" else 135
        values = {
            "protocol": "icmp",
            "source": source,
            "destination": "ff02::1:ff00:1",
            "icmp_type": number,
            "icmp_code": 0,
        }
    return {"interface": "GigabitEthernet1/0/1", "direction": "in", "packet": values}


def test_build_swap_and_back_with_no_wrong_packet_at_any_line(
    switch: Switch, target: IosTarget, journal: Journal
) -> None:
    before, targets = switch.running(), {"acc1": target}
    first, outcome = apply(target, wanted(), journal)
    assert outcome.ok, outcome.findings
    assert sorted(step.kind for step in first.operations()) == [
        "access_list", "attachment", "attachment", "ipv6_access_list", "ipv6_attachment", "ipv6_attachment",
    ]  # fmt: skip
    assert in_force(switch)[0] == {"SW_hvac__a", "SW_hvac__v6__a"} and verify_targets(targets, wanted()).ok
    between = switch.running()
    kinds = ("443", "8443", "22", "ns", "na", "dad")
    switch.fleet.call(lambda: switch.device.probes.extend(packet(kind) for kind in kinds))
    second, outcome = apply(target, wanted(8443), journal)
    assert outcome.ok, outcome.findings
    verdicts = {item["verdicts"] for item in switch.device.trace}
    assert verdicts == {"PDDPPP", "DPDPPP"}  # the old list or the new one, and neighbours always
    assert in_force(switch) == ({"SW_hvac__b", "SW_hvac__v6__b"},) * 2
    lines = target._lines.count
    assert apply_plan(second, targets, wanted(8443), journal, policy_commit=COMMIT).writes == 0
    assert target._lines.count == lines
    assert rollback_plan(second.plan_id, targets, journal).ok and switch.running() == between
    assert rollback_plan(first.plan_id, targets, journal).ok and switch.running() == before


def test_meaning_remarks_and_hand_edits(switch: Switch, target: IosTarget, journal: Journal) -> None:
    """Its own end permits neighbour discovery: written out or not, the list is the same."""
    switch.type(
        "ipv6 access-list SW_hvac__v6__c", "remark rule hvac-1", "sequence 5 permit tcp any host 2001:DB8:40::1 eq 443",
        "ip access-list extended SW_hvac__a", "permit udp any eq 68 any eq 67", "permit tcp any host 10.0.0.1 eq 443",
        "interface GigabitEthernet1/0/1", "ipv6 traffic-filter SW_hvac__v6__c in", "ip access-group SW_hvac__a in",
    )  # fmt: skip
    before = switch.running()
    assert verify_targets({"acc1": target}, wanted(ports=(1,))).ok
    assert apply(target, wanted(8443, ports=(1,)), journal)[1].ok
    assert rollback_plan("", {"acc1": target}, journal).ok
    assert switch.running() == before
    switch.type("ipv6 access-list SW_hvac__v6__c", "sequence 4 permit tcp any any eq 22")
    drift = verify_targets({"acc1": target}, wanted(ports=(1,))).drift
    assert [(item["kind"], item["name"]) for item in drift] == [("ipv6_access_list", "SW_hvac__v6")]
    switch.type("no ipv6 access-list SW_hvac__v6__c")
    drift = verify_targets({"acc1": target}, wanted(ports=(1,))).drift
    assert {item["kind"] for item in drift} == {"ipv6_access_list", "ipv6_attachment"}
    assert apply(target, [DesiredTarget("acc1", "ios", ())], journal, prune=True)[1].ok
    assert in_force(switch) == (set(), set()) and "ipv6 traffic-filter THEIRS6 in" in switch.running()


def test_neighbour_discovery_and_places_of_others_are_guarded(
    switch: Switch, target: IosTarget, journal: Journal
) -> None:
    before = switch.running()
    for desired, code in ((wanted(extra=()), "SW4412"), (wanted(ports=(8,)), "SW4265")):
        with pytest.raises(FindingError) as error:
            apply(target, desired, journal)
        assert codes_of(error.value.findings) == {code}
    assert switch.running() == before
    # A name of the other family is taken: the next one is used, and the switch says so too.
    switch.type("ip access-list extended SW_hvac__v6__a", "permit ip any any")
    assert apply(target, wanted(), journal)[1].ok
    assert "ipv6 access-list SW_hvac__v6__b" in switch.running()


@pytest.mark.parametrize("updating", [False, pytest.param(True, marks=pytest.mark.full)])
@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "error_on", "regex": r"^\s*ipv6 traffic-filter SW_"},
        *(
            pytest.param(each, marks=pytest.mark.full)
            for each in (
                {"kind": "error_on", "regex": "^ipv6 access-list SW_"},
                {"kind": "error_on", "regex": "permit icmp any any nd-na"},
                {"kind": "error_on", "regex": "deny ipv6 any any"},
                *({"kind": "drop_after_lines", "lines": lines} for lines in range(1, 22)),
                {"kind": "drop_before_write"},
            )
        ),
    ],
    ids=lambda value: "-".join(str(part) for part in value.values()) if isinstance(value, dict) else str(value),
)
def test_a_fault_leaves_the_old_list_or_the_new_one(
    switch: Switch, target: IosTarget, journal: Journal, fault: dict[str, Any], updating: bool
) -> None:
    if updating:
        assert apply(target, wanted(), journal)[1].ok
    before, (attached, _lists) = switch.running(), in_force(switch)
    switch.fault(**fault)
    plan, outcome = apply(target, wanted(8443), journal)
    now, lists = in_force(switch)
    assert now <= lists
    assert {name for name in now if "__v6" in name} in (
        {name for name in attached if "__v6" in name},
        {"SW_hvac__v6__b" if updating else "SW_hvac__v6__a"},
    )
    switch.end_faults()
    if not outcome.ok:
        outcome = apply_plan(plan, {"acc1": target}, wanted(8443), journal, policy_commit=COMMIT)
    assert outcome.ok, outcome.findings
    assert in_force(switch)[0] == in_force(switch)[1] and verify_targets({"acc1": target}, wanted(8443)).ok
    assert rollback_plan(plan.plan_id, {"acc1": target}, journal).ok
    assert switch.running() == before


# -- a switch that is managed over IPv6

CONTROLLER = HostSpec("02:1a:30:00:00:07", "10.0.0.7", "GigabitEthernet1/0/7", 10, ipv6="2001:db8:10::7")
LET_IN = ("permit tcp host 2001:db8:10::7 any eq 22", "permit udp host 2001:db8:10::8 eq 1812 any")


@pytest.fixture
def managed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Switch]:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("this machine has no IPv6 on its loopback interface")
    server = "radius server ISE\n address ipv6 2001:DB8:10::8 auth-port 1812 acct-port 1812\n"
    config = server + CONFIG.replace(f" ip address {HOST} 255.255.255.0\n", "")
    yield from running(
        tmp_path, monkeypatch, address="::1", hosts=(DEVICE, CONTROLLER), controller=CONTROLLER.ipv6,
        management_interface="Vlan10", initial_config=config,
    )  # fmt: skip


def test_management_over_ipv6_is_not_cut_and_a_forced_cut_comes_back(
    managed: Switch, tmp_path: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = spec_for(managed, host="::1", port=managed.device.port, revert_seconds=2)
    target = IosTarget(spec)
    before = managed.running()
    for place in ("Vlan10", "GigabitEthernet1/0/7"):  # the interface of the controller's subnet, and the port behind it
        with pytest.raises(FindingError) as error:
            apply(target, on(place, *NEIGHBOURS, "deny ipv6 any any"), journal)
        assert codes_of(error.value.findings) == {"SW4263"}
        assert "2001:db8:10::7" in str(error.value) and "RADIUS" in str(error.value)
    assert apply(target, on("GigabitEthernet1/0/1", *NEIGHBOURS, "deny ipv6 any any"), journal)[1].ok
    assert rollback_plan("", {"acc1": target}, journal).ok
    outcome = apply(target, on("Vlan10", *NEIGHBOURS, *LET_IN, "deny ipv6 any any"), journal)[1]
    assert outcome.ok, outcome.findings
    assert rollback_plan("", {"acc1": target}, journal).ok
    assert managed.running() == before
    # Without the guard: the switch itself puts back what was there.
    monkeypatch.setattr(
        "ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios.cut_findings", lambda *_given: []
    )
    outcome = apply(target, on("Vlan10", *NEIGHBOURS, "deny ipv6 any any"), journal)[1]
    assert "SW4410" in codes_of(outcome.findings), outcome.findings
    assert "traffic-filter SW_" not in managed.running()
    target.close()
