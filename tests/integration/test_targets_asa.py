# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ASA firewalls as targets, against emulated ones over real SSH: replace by commit and swap, back, and every fault on the way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.change.apply import apply_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import Journal
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.outcome import Outcome
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import Plan, build_plan, snapshot_all
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.rollback import rollback_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.verify import verify_targets
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import DesiredObject, DesiredTarget
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import asa_session
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.asa import AsaTarget
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.asa_config import WAY_BACK
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.spec import TargetSpec
from tests.lab.asa.device import AsaDevice
from tests.lab.asa.spec import AsaSpec, NameifSpec
from tests.lab.iosxe.control import apply_lines
from tests.lab.iosxe.fleet import Fleet, FleetThread

HOST, PORT = "127.10.82.31", 2222
USER, PASSWORD, ENABLE = "netops", "pw-netops-1", "enable-netops-1"
COMMIT = "c" * 40
NAMEIFS = (
    NameifSpec("GigabitEthernet0/0", "outside", "203.0.113.1", level=0),
    NameifSpec("GigabitEthernet0/1", "inside", "10.1.1.1", level=100),
    NameifSpec("GigabitEthernet0/2", "plant", "10.2.2.1", level=50),
)
FOREIGN = """access-list VPN-SPLIT standard permit 10.0.0.0 255.0.0.0
object network HMI
 host 10.2.2.9
object-group network PLCS
 network-object host 10.2.2.20
 network-object object HMI
access-list NAT-EXEMPT extended permit ip object-group PLCS any
"""


def wanted(
    port: int = 443, *, places: tuple[str, ...] = ("global",), name: str = "SW_forward", extra: tuple[str, ...] = ()
) -> list[DesiredTarget]:
    lines = [
        "permit icmp any any unreachable",
        *extra,
        f"permit tcp 10.1.1.0 255.255.255.0 host 10.2.2.20 eq {port}",
        "permit udp host 10.2.2.20 host 10.1.1.53 eq 53",
        "deny ip any host 10.2.2.20",
        "permit ip any any",
    ]
    text = "".join(f"access-list {name} extended {line}\n" for line in lines)
    objects = [DesiredObject("asa_access_list", name, {"content": text})]
    for place in places:
        body = {"access_list": name}
        if place != "global":
            body |= dict(zip(("interface", "direction"), place.rsplit("-", 1), strict=True))
        objects.append(DesiredObject("asa_attachment", place, body))
    return [DesiredTarget("fw1", "asa", tuple(objects))]


class Firewall:
    """The emulated firewall, seen and changed from its own side."""

    def __init__(self, fleet: FleetThread, known_hosts: Path) -> None:
        self.fleet, self.known_hosts = fleet, known_hosts
        self.device = fleet.device("fw1")

    def running(self) -> str:
        """Return the configuration; lists in the order of their names, since a list made again comes last."""
        body = self.fleet.call(self.device.config.body)
        lines = body.splitlines()
        lists = [line for line in lines if line.startswith("access-list ")]
        lists.sort(key=lambda line: line.split()[1])
        return "\n".join([*(line for line in lines if not line.startswith("access-list ")), *lists])

    def groups(self) -> dict[str, str]:
        return {
            " ".join(part for part in where if part): name
            for where, name in self.fleet.call(lambda: dict(self.device.config.groups)).items()
        }

    def ours(self) -> set[str]:
        return {name for name in self.fleet.call(lambda: list(self.device.config.lists)) if name.startswith("SW_")}

    def stale(self) -> list[str]:
        """Return what should not be left: an applet, a session that waits, lists that nothing uses."""
        device = self.device
        left = [
            *self.fleet.call(lambda: list(device.config.applets)),
            *self.fleet.call(lambda: list(device.config_sessions)),
        ]
        return left + sorted(self.ours() - set(self.groups().values()))

    def type(self, *lines: str) -> list[str]:
        outputs: list[str] = self.fleet.call(lambda: apply_lines(self.device, list(lines)))
        assert not any("ERROR" in output for output in outputs), outputs
        return outputs

    def fault(self, **data: Any) -> None:
        self.fleet.call(lambda: self.device.faults.add(data))

    def end_faults(self) -> None:
        self.fleet.call(self.device.faults.clear)

    def passes(self, protocol: str, source: str, destination: str, port: int, interface: str = "") -> bool | None:
        packet = {
            "protocol": protocol, "source": source, "destination": destination, "source_port": 40000, "destination_port": port,
        }  # fmt: skip
        probe = {"packet": packet, "interface": interface}
        permit: bool | None = self.fleet.call(lambda: self.device.decide(probe).permit)
        return permit


def run_firewall(path: Path, **more: Any) -> Fleet:
    values: dict[str, Any] = {"interfaces": NAMEIFS, "initial_config": FOREIGN, **more}
    return Fleet(
        [AsaSpec("fw1", HOST, PORT, **values)], path / "key", {USER: PASSWORD}, known_hosts_path=path / "known_hosts",
        enable_secret=ENABLE, device_class=AsaDevice,
    )  # fmt: skip


@pytest.fixture
def firewall(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Firewall]:
    monkeypatch.setattr(asa_session, "LINE_SECONDS", 2.0)  # the emulator answers at once or never
    for name in ("SHOW_SECONDS", "COMMIT_SECONDS", "SAVE_SECONDS"):
        monkeypatch.setattr(asa_session, name, 3.0)
    with FleetThread(run_firewall(tmp_path, **getattr(request, "param", {}))) as running:
        yield Firewall(running, tmp_path / "known_hosts")


def spec_for(firewall: Firewall, **more: Any) -> TargetSpec:
    return TargetSpec.of({
        "name": "fw1", "platform": "asa", "host": HOST, "port": PORT, "username": USER, "password": PASSWORD,
        "enable_password": ENABLE, "known_hosts_file": str(firewall.known_hosts), "timeout": 2, **more,
    })  # fmt: skip


@pytest.fixture
def target(firewall: Firewall) -> Iterator[AsaTarget]:
    made = AsaTarget(spec_for(firewall))
    yield made
    made.close()


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.jsonl")


def apply(target: AsaTarget, desired: list[DesiredTarget], journal: Journal, **more: Any) -> tuple[Plan, Outcome]:
    targets = {"fw1": target}
    plan = build_plan(targets, desired, snapshot_all(targets, desired), policy_commit=COMMIT, **more)
    return plan, apply_plan(plan, targets, desired, journal, policy_commit=COMMIT)


def codes_of(findings: Any) -> set[str]:
    return {finding.code for finding in findings}


def test_commit_swap_confirm_and_back(firewall: Firewall, target: AsaTarget, journal: Journal) -> None:
    before, targets = firewall.running(), {"fw1": target}
    first, outcome = apply(target, wanted(), journal)
    assert outcome.ok, outcome.findings
    assert [(step.action, step.effect) for step in first.operations()] == [("create", "none"), ("attach", "narrows")]
    assert firewall.groups() == {"global": "SW_forward__a"} and not firewall.stale()
    assert "access-group SW_forward__a global" in firewall.device.startup
    assert WAY_BACK not in firewall.device.startup
    assert firewall.device.traces >= 4  # packet-tracer was asked
    assert firewall.passes("tcp", "10.1.1.5", "10.2.2.20", 443) and not firewall.passes(
        "tcp", "10.1.1.5", "10.2.2.20", 80
    )
    assert verify_targets(targets, wanted()).ok
    lines = target.connected().lines
    assert apply_plan(first, targets, wanted(), journal, policy_commit=COMMIT).writes == 0
    assert target.connected().lines == lines
    between = firewall.running()
    second, outcome = apply(target, wanted(8443), journal)
    assert outcome.ok, outcome.findings
    assert [(step.action, step.name) for step in second.operations()] == [("update", "SW_forward")]
    assert firewall.groups() == {"global": "SW_forward__b"} and firewall.ours() == {"SW_forward__b"}
    assert rollback_plan(second.plan_id, targets, journal).ok
    assert firewall.running() == between
    assert rollback_plan(first.plan_id, targets, journal).ok
    assert firewall.running() == before and not firewall.stale()
    assert "SW_" not in firewall.device.startup
