# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ASA firewalls as targets, against emulated ones over real SSH: replace by commit and swap, back, and every fault on the way."""

from __future__ import annotations

import random
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
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import asa_session
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.asa import AsaTarget
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.asa_config import WAY_BACK
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.spec import TargetSpec
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ways_back import own_name
from tests.integration.lists import COMMIT, apply, codes_of
from tests.lab.asa import exec_commands
from tests.lab.asa.device import AsaDevice
from tests.lab.asa.spec import AsaSpec, ConnSpec, NameifSpec
from tests.lab.asa.verdicts import tracer_text
from tests.lab.iosxe.control import apply_lines
from tests.lab.iosxe.fleet import Fleet, FleetThread

HOST = "127.10.82.31"
USER, PASSWORD, ENABLE = "netops", "pw-netops-1", "enable-netops-1"
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
        """Return the configuration; lists in the order of their names and attachments in that of their places.

        What is made again comes last, and the order of either says nothing: each names its own list or place.
        """
        body = self.fleet.call(self.device.config.body)
        lines = body.splitlines()
        lists = [line for line in lines if line.startswith("access-list ")]
        lists.sort(key=lambda line: line.split()[1])
        groups = sorted(line for line in lines if line.startswith("access-group "))
        return "\n".join(
            [*(line for line in lines if not line.startswith(("access-list ", "access-group "))), *groups, *lists]
        )

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
        [AsaSpec("fw1", HOST, 0, **values)], path / "key", {USER: PASSWORD}, known_hosts_path=path / "known_hosts",
        enable_secret=ENABLE, device_class=AsaDevice,
    )  # fmt: skip


@pytest.fixture
def firewall(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Firewall]:
    monkeypatch.setattr(asa_session, "LINE_SECONDS", 5.0)  # the emulator answers at once or never
    for name in ("SHOW_SECONDS", "COMMIT_SECONDS", "SAVE_SECONDS"):
        monkeypatch.setattr(asa_session, name, 5.0)
    with FleetThread(run_firewall(tmp_path, **getattr(request, "param", {}))) as running:
        yield Firewall(running, tmp_path / "known_hosts")


def spec_for(firewall: Firewall, **more: Any) -> TargetSpec:
    return TargetSpec.of({
        "name": "fw1", "platform": "asa", "host": HOST, "port": firewall.device.port, "username": USER, "password": PASSWORD,
        "enable_password": ENABLE, "known_hosts_file": str(firewall.known_hosts), "timeout": 8, **more,
    })  # fmt: skip


@pytest.fixture
def target(firewall: Firewall) -> Iterator[AsaTarget]:
    made = AsaTarget(spec_for(firewall))
    yield made
    made.close()


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.jsonl")


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


def test_one_interface_or_two(firewall: Firewall, target: AsaTarget, journal: Journal) -> None:
    before = firewall.running()
    places = ("inside-in", "plant-in")
    plan, outcome = apply(target, wanted(places=places), journal)
    assert outcome.ok, outcome.findings
    assert firewall.groups() == {"in inside": "SW_forward__a", "in plant": "SW_forward__a"}
    assert apply(target, wanted(8443, places=places), journal)[1].ok
    assert firewall.groups() == {"in inside": "SW_forward__b", "in plant": "SW_forward__b"} and not firewall.stale()
    assert firewall.passes("tcp", "10.1.1.5", "10.2.2.20", 8443) and not firewall.passes(
        "tcp", "10.1.1.5", "10.2.2.20", 443
    )
    assert rollback_plan("", {"fw1": target}, journal).ok
    assert rollback_plan(plan.plan_id, {"fw1": target}, journal).ok
    assert firewall.running() == before


def test_nothing_but_the_change_is_written(firewall: Firewall, target: AsaTarget, journal: Journal) -> None:
    """Reading writes nothing, not even the width of the terminal; no login is tried beside the one; others' lines stay."""
    firewall.type("terminal width 80", "access-list MINE extended permit ip any object-group PLCS")
    before = firewall.running()
    plan = build_plan({"fw1": target}, wanted(), snapshot_all({"fw1": target}, wanted()), policy_commit=COMMIT)
    assert plan.operations() and firewall.running() == before
    records = firewall.fleet.call(
        lambda: [each["line"] for each in firewall.device.counters.records if each["user"] == USER]
    )
    assert records == [] and firewall.device.counters.authentication_failures == 0
    assert apply(target, wanted(), journal)[1].ok
    ours = ("access-list SW_", "access-group SW_")
    assert [line for line in firewall.running().splitlines() if not line.startswith(ours)] == before.splitlines()


@pytest.mark.parametrize(
    ("firewall", "code"),
    [
        ({"failover": "standby"}, "SW4435"),
        ({"mode": "multiple", "context": "admin"}, "SW4436"),
        ({"mode": "multiple"}, "SW4436"),
    ],
    indirect=["firewall"],
)
def test_the_wrong_unit_or_context_is_refused(firewall: Firewall, target: AsaTarget, code: str) -> None:
    with pytest.raises(FindingError) as error:
        target.snapshot(wanted()[0].objects)
    assert codes_of(error.value.findings) == {code}


@pytest.mark.parametrize("firewall", [{"mode": "multiple", "context": "plant7", "failover": "failed"}], indirect=True)
def test_a_named_context_of_an_active_unit_is_taken(firewall: Firewall, journal: Journal) -> None:
    target = AsaTarget(spec_for(firewall, context="plant7"))
    outcome = apply(target, wanted(), journal)[1]
    assert outcome.ok and "SW4442" in codes_of(outcome.findings)  # no event manager in a context
    assert firewall.groups() == {"global": "SW_forward__a"}
    target.close()


@pytest.mark.parametrize("firewall", [{"sessions": False}], indirect=True)
def test_an_old_release_is_written_line_by_line(firewall: Firewall, target: AsaTarget, journal: Journal) -> None:
    assert apply(target, wanted(), journal)[1].ok
    assert apply(target, wanted(8443), journal)[1].ok
    assert firewall.groups() == {"global": "SW_forward__b"} and not firewall.stale()


def test_sessions_of_others_are_not_touched(firewall: Firewall, target: AsaTarget, journal: Journal) -> None:
    for name in ("one", "two", "three"):
        firewall.fleet.call(lambda name=name: firewall.device.open_config_session(name))
    assert apply(target, wanted(), journal)[1].ok  # no session was free: line by line
    assert set(firewall.device.config_sessions) == {"one", "two", "three"}


@pytest.mark.parametrize("firewall", [{"free_memory": 400_000_000}, {"max_elements": 4}], indirect=True)
def test_no_room_leaves_everything(firewall: Firewall, target: AsaTarget, journal: Journal) -> None:
    before = firewall.running()
    outcome = apply(target, wanted(), journal)[1]
    assert codes_of(outcome.findings) & {"SW4443", "SW4260"} and not outcome.ok
    assert firewall.running() == before and not firewall.stale()


def test_lists_and_places_of_others_are_refused_or_adopted(
    firewall: Firewall, target: AsaTarget, journal: Journal
) -> None:
    firewall.type("access-group NAT-EXEMPT global")
    with pytest.raises(FindingError) as error:
        target.diff(wanted()[0].objects, target.snapshot(wanted()[0].objects))
    assert codes_of(error.value.findings) == {"SW4265"} and "NAT-EXEMPT" in str(error.value)
    with pytest.raises(FindingError) as error:
        target.diff(wanted(name="MINE")[0].objects, target.snapshot(()))
    assert codes_of(error.value.findings) == {"SW4226"}
    before = firewall.running()
    adopting = AsaTarget(spec_for(firewall, adopt=True))
    assert apply(adopting, wanted(), journal)[1].ok
    assert firewall.groups() == {"global": "SW_forward__a"}
    assert rollback_plan("", {"fw1": adopting}, journal).ok
    assert firewall.running() == before
    adopting.close()


def test_objects_are_resolved_and_unknown_lines_refuse(firewall: Firewall, target: AsaTarget, journal: Journal) -> None:
    assert apply(target, wanted(), journal)[1].ok
    line = "access-list SW_forward__a extended permit tcp 10.1.1.0 255.255.255.0 host 10.2.2.20 eq https"
    firewall.type("object network PLC", "host 10.2.2.20", f"no {line}")
    firewall.type("access-list SW_forward__a line 2 extended permit tcp 10.1.1.0 255.255.255.0 object PLC eq https")
    assert "not saved" in verify_targets({"fw1": target}, wanted()).drift[0]["difference"]
    firewall.fleet.call(lambda: firewall.device.save("other-admin"))
    assert verify_targets({"fw1": target}, wanted()).ok  # the same meaning by another spelling
    firewall.type("object network PLC", "host 10.2.2.21")
    drift = verify_targets({"fw1": target}, wanted()).drift
    assert [item["name"] for item in drift] == ["SW_forward"] and "10.2.2.2" in drift[0]["witness"]
    firewall.type("object network PLC", "fqdn plc.example.net")
    assert apply(target, wanted(), journal)[1].ok  # what is not modelled is drift, and goes
    assert verify_targets({"fw1": target}, wanted()).ok
    plain = firewall.device.running_text
    entry = "access-list SW_forward__b extended permit ip any any"
    firewall.device.running_text = lambda: plain().replace(
        entry, f"{entry}\naccess-list SW_forward__b extended permit frob any any"
    )
    with pytest.raises(FindingError) as error:
        target.diff(wanted(8443)[0].objects, target.snapshot(wanted(8443)[0].objects))
    assert codes_of(error.value.findings) == {"SW4221"} and "frob" in str(error.value)


def test_a_change_since_the_plan_is_refused(firewall: Firewall, target: AsaTarget, journal: Journal) -> None:
    targets, desired = {"fw1": target}, wanted(8443)
    assert apply(target, wanted(), journal)[1].ok
    plan = build_plan(targets, desired, snapshot_all(targets, desired), policy_commit=COMMIT)
    firewall.type("access-list SW_forward__a line 1 extended permit tcp any any eq ssh")
    before = firewall.running()
    with pytest.raises(FindingError) as error:
        apply_plan(plan, targets, desired, journal, policy_commit=COMMIT)
    assert codes_of(error.value.findings) == {"SW4015"}
    with pytest.raises(FindingError) as error:
        target.execute(plan.operations()[0])
    assert codes_of(error.value.findings) == {"SW4222"}
    assert firewall.running() == before


CONNECTIONS = (
    ConnSpec("tcp", "inside", "10.1.1.5", 50001, "plant", "10.2.2.20", 443),  # goes on to be permitted, then not
    ConnSpec("tcp", "inside", "10.1.1.6", 50002, "plant", "10.2.2.30", 80),  # permitted by the last entry
    ConnSpec("tcp", "outside", "203.0.113.9", 50003, "plant", "10.2.2.20", 502),  # denied from the first list on
    ConnSpec("udp", "plant", "10.2.2.20", 5353, "inside", "10.1.1.53", 53),
)


@pytest.mark.parametrize("firewall", [{"connections": CONNECTIONS}], indirect=True)
def test_connections_that_the_list_denies_are_cleared_and_told(
    firewall: Firewall, target: AsaTarget, journal: Journal
) -> None:
    outcome = apply(target, wanted(extra=("deny ip host 10.2.2.20 host 203.0.113.9",)), journal)[1]
    assert outcome.ok and "SW4444" in codes_of(outcome.findings)
    assert firewall.device.cleared == ["tcp 203.0.113.9:50003 10.2.2.20:502"]
    outcome = apply(target, wanted(8443, extra=("deny ip host 10.2.2.20 10.1.1.0 255.255.255.128",)), journal)[1]
    assert firewall.device.cleared[1:2] == ["tcp 10.1.1.5:50001 10.2.2.20:443"]
    assert CONNECTIONS[1] in firewall.device.connections


@pytest.mark.parametrize("firewall", [{"connections": CONNECTIONS, "base": False}], indirect=True)
def test_what_stands_before_or_beside_is_told(firewall: Firewall, target: AsaTarget, journal: Journal) -> None:
    firewall.type("access-list EDGE extended permit ip any any", "access-group EDGE in interface outside")
    outcome = apply(target, wanted(), journal)[1]
    assert outcome.ok and {"SW4438", "SW4439"} <= codes_of(outcome.findings)
    assert firewall.device.cleared == []  # what came by the interface with a list of its own is not judged
    outcome = apply(target, wanted(8443, places=("global", "inside-in")), journal)[1]
    assert "SW4445" in codes_of(outcome.findings)


@pytest.mark.parametrize("firewall", [{"second": 0.05}], indirect=True)
def test_an_armed_way_back_puts_the_old_list_back(
    firewall: Firewall, target: AsaTarget, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The controller is gone right after the swap, by a death that leaves it no time."""
    assert apply(target, wanted(), journal)[1].ok
    targets, desired = {"fw1": target}, wanted(8443)
    plan = build_plan(targets, desired, snapshot_all(targets, desired), policy_commit=COMMIT)

    class Dead(BaseException):
        pass

    def dies(_self: AsaTarget) -> None:
        raise Dead

    monkeypatch.setattr(AsaTarget, "fresh_session", dies)
    with pytest.raises(Dead):
        target.execute(plan.operations()[0])
    assert firewall.groups() == {"global": "SW_forward__b"}
    deadline = time.monotonic() + 20
    while not firewall.device.applet_runs and time.monotonic() < deadline:
        time.sleep(0.05)
    assert firewall.groups() == {"global": "SW_forward__a"}
    monkeypatch.undo()
    assert apply(target, desired, journal)[1].ok
    assert firewall.groups() == {"global": "SW_forward__b"} and not firewall.stale()


def test_a_countdown_that_ends_before_the_proof_is_told(
    firewall: Firewall, target: AsaTarget, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert apply(target, wanted(), journal)[1].ok
    plain = AsaTarget.fresh_session

    def late(self: AsaTarget) -> Any:
        session = plain(self)
        state = session.state
        monkeypatch.setattr(session, "show", slow(session.show))
        assert state()
        return session

    def slow(show: Any) -> Any:
        def then(text: str, *more: Any) -> str:
            output: str = show(text, *more)
            if text.startswith("packet-tracer"):
                firewall.fleet.call(lambda: firewall.device.run_applet(own_name(WAY_BACK)))
            return output

        return then

    monkeypatch.setattr(AsaTarget, "fresh_session", late)
    outcome = apply(target, wanted(8443), journal)[1]
    assert not outcome.ok and {"SW4282", "SW4440"} & codes_of(outcome.findings)
    assert firewall.groups() == {"global": "SW_forward__a"} and not firewall.stale()


def test_packet_tracer_has_the_last_word(
    firewall: Firewall, target: AsaTarget, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert apply(target, wanted(), journal)[1].ok
    before = firewall.running()

    def other(device: AsaDevice, ingress: str, packet: dict[str, Any]) -> str:
        text = tracer_text(device, ingress, packet)
        return text.replace("Result: ALLOW\nConfig:\naccess-group", "Result: DROP\nConfig:\naccess-group")

    monkeypatch.setattr(exec_commands, "tracer_text", other)
    outcome = apply(target, wanted(8443), journal)[1]
    assert {"SW4440", "SW4017"} <= codes_of(outcome.findings)
    assert firewall.running() == before and not firewall.stale()


def test_a_firewall_that_cannot_be_reached_anew_is_put_back(
    firewall: Firewall, target: AsaTarget, journal: Journal
) -> None:
    assert apply(target, wanted(), journal)[1].ok
    before, desired, targets = firewall.running(), wanted(8443), {"fw1": target}
    plan = build_plan(targets, desired, snapshot_all(targets, desired), policy_commit=COMMIT)
    firewall.fault(kind="refuse_connect", times=None)
    outcome = apply_plan(plan, targets, desired, journal, policy_commit=COMMIT)
    assert {"SW4264", "SW4017"} <= codes_of(outcome.findings)
    assert firewall.running() == before and not firewall.stale()
    firewall.end_faults()
    assert apply_plan(plan, targets, desired, journal, policy_commit=COMMIT).ok


def test_credentials_and_host_keys(firewall: Firewall, tmp_path: Path) -> None:
    """One attempt each, nothing learnt, nothing said."""
    empty = tmp_path / "empty"
    empty.write_text("")
    for changes, code in (
        ({"enable_password": "not-the-secret"}, "SW4207"),
        ({"password": "not-the-password"}, "SW4203"),
        ({"known_hosts_file": str(empty)}, "SW4205"),
    ):
        with pytest.raises(FindingError) as error:
            AsaTarget(spec_for(firewall, **changes)).snapshot(())
        assert codes_of(error.value.findings) == {code}
        assert "not-the" not in str(error.value)
    assert firewall.device.counters.authentication_failures <= 2 and empty.read_text() == ""


def random_policy(draw: random.Random) -> list[DesiredTarget]:
    """Return a policy of random entries, sometimes at interfaces; hosts and ports from a small world, so that policies overlap."""
    lines = []
    for _number in range(draw.randint(1, 12)):
        ends = [
            draw.choice(("any", "host 10.1.1.5", "10.1.1.0 255.255.255.0", "host 10.2.2.20", "10.2.0.0 255.255.0.0"))
            for _ in "ab"
        ]
        protocol = draw.choice(("tcp", "udp", "ip", "icmp"))
        port = (
            draw.choice(("", " eq 443", " range 100 200", " gt 1023", " neq 53")) if protocol in ("tcp", "udp") else ""
        )
        port = draw.choice(("", " echo", " unreachable")) if protocol == "icmp" else port
        lines.append(f"{draw.choice(('permit', 'deny'))} {protocol} {ends[0]} {ends[1]}{port}")
    lines.append(draw.choice(("permit ip any any", "deny ip any any")))
    places = draw.choice((("global",), ("inside-in",), ("global", "plant-out"), ()))
    made = wanted(places=places)[0]
    content = "".join(f"access-list SW_forward extended {line}\n" for line in lines)
    return [
        DesiredTarget(
            "fw1", "asa", (DesiredObject("asa_access_list", "SW_forward", {"content": content}), *made.objects[1:])
        )
    ]


def test_random_rounds_converge_are_silent_and_come_back(
    firewall: Firewall, target: AsaTarget, journal: Journal, full: bool
) -> None:
    """And what a plan shows is what is typed: the lists of its difference are the lists that stand there afterwards."""
    draw, targets = random.Random(20261126), {"fw1": target}
    past: list[tuple[str, str]] = []
    rounds = 40 if full else 4
    for _round in range(rounds):
        before, desired = firewall.running(), random_policy(draw)
        plan, outcome = apply(target, desired, journal, prune=True)
        assert outcome.ok, outcome.findings
        shown = "\n".join(step.diff for step in plan.operations())
        assert bool(plan.operations()) == (firewall.running() != before)
        after = {
            line.replace("SW_forward__", "SW_forward@").replace("@a", "").replace("@b", "").replace("@c", "")
            for line in firewall.running().splitlines()
        }
        for line in shown.splitlines():
            if line.startswith("+access-group"):
                assert line[1:] in after
        assert verify_targets(targets, desired).ok
        assert apply(target, desired, journal, prune=True)[1].writes == 0
        assert not [name for name in firewall.stale() if not name.startswith("SW_forward")]
        if plan.operations():
            past.append((plan.plan_id, before))
    for plan_id, before in reversed(past):
        assert rollback_plan(plan_id, targets, journal).ok
        assert firewall.running() == before
    print(f"{rounds} rounds, {len(past)} with a change, all undone")


def test_a_list_that_serves_the_firewall_itself_is_never_replaced_or_cleared(
    firewall: Firewall, target: AsaTarget, journal: Journal
) -> None:
    """Cleared, it would take the line along that keeps strangers from the firewall's own address."""
    assert apply(target, wanted(), journal)[1].ok
    uses = [
        "access-group SW_forward__a in interface inside control-plane",
        "aaa authentication match SW_forward__a inside LOCAL",
    ]
    for line in uses:
        firewall.type(line)
        with pytest.raises(FindingError) as error:
            target.diff(wanted(8443)[0].objects, target.snapshot(wanted(8443)[0].objects))
        assert codes_of(error.value.findings) == {"SW4225"}
    assert "SW4225" in codes_of(apply(target, [DesiredTarget("fw1", "asa", ())], journal, prune=True)[1].findings)
    text = firewall.running()
    assert all(line in text for line in uses) and text.count("access-list SW_forward__a extended") == 5


def test_lists_of_management_and_of_users_stay_and_are_told(
    firewall: Firewall, target: AsaTarget, journal: Journal
) -> None:
    """Packets to the firewall itself are judged by its own lists alone; a place of users' lists is not taken, adopting or not."""
    firewall.type(
        "access-list MGMT extended permit tcp any any eq 22", "access-group MGMT in interface inside control-plane",
        "ssh 10.1.1.0 255.255.255.0 inside", "access-list EDGE extended permit ip any any",
        "access-group EDGE in interface outside per-user-override",
    )  # fmt: skip
    outcome = apply(target, wanted(places=("inside-in",)), journal)[1]
    assert outcome.ok and "SW4447" in codes_of(outcome.findings), outcome.findings
    assert "access-group MGMT in interface inside control-plane" in firewall.running()
    adopting = AsaTarget(spec_for(firewall, adopt=True))
    with pytest.raises(FindingError) as error:
        apply(adopting, wanted(places=("outside-in",)), journal)
    assert codes_of(error.value.findings) == {"SW4446"}
    assert "access-group EDGE in interface outside per-user-override" in firewall.running()
    adopting.close()


def test_hand_edits_remarks_and_foreign_lists(firewall: Firewall, target: AsaTarget, journal: Journal) -> None:
    """Remarks shift every line below them and decide about nothing; an entry by hand is told with a packet, and goes."""
    assert apply(target, wanted(), journal)[1].ok
    firewall.type(
        "access-list SW_forward__a line 1 remark looked at by hand", "access-list SW_forward__a line 4 remark and here",
        "access-list THEIRS remark of the network team", "access-list THEIRS extended permit ip any any",
    )  # fmt: skip
    before = firewall.running()
    assert verify_targets({"fw1": target}, wanted()).ok
    assert not apply(target, wanted(), journal)[0].operations() and firewall.running() == before
    firewall.type("access-list SW_forward__a line 2 extended permit tcp any any eq telnet")
    (step,) = target.diff(wanted()[0].objects, target.snapshot(wanted()[0].objects))
    assert ":23" in str(step.details) and step.effect == "narrows"
    assert apply(target, wanted(), journal)[1].ok
    text = firewall.running()
    assert "telnet" not in text and [line for line in text.splitlines() if "THEIRS" in line] == [
        line for line in before.splitlines() if "THEIRS" in line
    ]
