# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real firewall of the lab as a target: load under a timer, prove from a new connection, byte-identical way back."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.apply import apply_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import Journal
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.outcome import Outcome
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import Plan, build_plan, snapshot_all
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.rollback import rollback_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.verify import verify_targets
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import registry
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import DesiredObject, DesiredTarget
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.linux_session import LinuxSession
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nft_apply import Loader
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nft_ways_back import owner_text, standing
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nftables import NftablesTarget
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.spec import TargetSpec
from tests.integration.lists import other_controller
from tests.lab.net.topology import FIREWALL

if TYPE_CHECKING:
    from tests.integration.conftest import LabTargets

COMMIT = "c" * 40
TABLE = "sw_target_test"


def wanted(port: int = 443, more: str = "", end: str = "permit") -> list[DesiredTarget]:
    text = f"permit tcp host 100.64.10.11 host 100.64.40.10 eq {port}\n{more}deny tcp host 100.64.10.11 any\n{end} ip any any"
    aces = registry.parse("ios", f"ip access-list extended x\n{text}")[0].aces
    content = registry.render("nftables", TABLE, aces)
    return [DesiredTarget("fw1", "nftables", (DesiredObject("ruleset", TABLE, {"table": TABLE, "content": content}),))]


def spec_for(lab: LabTargets, **more: Any) -> TargetSpec:
    host, port = lab.places.firewall
    return TargetSpec.of({
        "name": "fw1", "platform": "nftables", "host": host, "port": port, "username": "root", "table": TABLE,
        "private_key_file": str(lab.places.ssh_key), "known_hosts_file": str(lab.places.known_hosts), "timeout": 10, **more,
    })  # fmt: skip


@pytest.fixture
def firewall(targets: LabTargets) -> Iterator[NftablesTarget]:
    before = targets.ruleset()
    made = NftablesTarget(spec_for(targets))
    yield made
    made.close()
    targets.nft("add", "table", "inet", TABLE)
    targets.nft("delete", "table", "inet", TABLE)
    assert targets.ruleset() == before


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.jsonl")


def apply(target: NftablesTarget, desired: list[DesiredTarget], journal: Journal, **more: Any) -> tuple[Plan, Outcome]:
    chosen = {"fw1": target}
    plan = build_plan(chosen, desired, snapshot_all(chosen, desired), policy_commit=COMMIT, **more)
    return plan, apply_plan(plan, chosen, desired, journal, policy_commit=COMMIT)


def codes_of(findings: Any) -> set[str]:
    return {finding.code for finding in findings}


def left_behind(targets: LabTargets, target: NftablesTarget) -> str:
    """Return files and timers of ours on the firewall."""
    session = target._connected()
    return session.shell("ls -d /run/segwright.* /tmp/tmp.* 2>/dev/null; ps ax | grep '[s]leep [0-9]' || true").output


def test_load_prove_and_back_byte_for_byte(targets: LabTargets, firewall: NftablesTarget, journal: Journal) -> None:
    before = targets.ruleset()
    first, outcome = apply(firewall, wanted(), journal)
    assert outcome.ok, outcome.findings
    assert [(step.action, step.effect) for step in first.operations()] == [("create", "narrows")]
    assert verify_targets({"fw1": firewall}, wanted()).ok
    assert apply_plan(first, {"fw1": firewall}, wanted(), journal, policy_commit=COMMIT).writes == 0
    between = targets.ruleset()
    assert between != before
    second, outcome = apply(firewall, wanted(8443), journal)
    assert outcome.ok, outcome.findings
    step = second.operations()[0]
    assert step.effect == "both"
    assert "100.64.40.10:443" in step.details["witness"]
    assert "8443" in targets.nft("list", "table", "inet", TABLE)
    assert rollback_plan(second.plan_id, {"fw1": firewall}, journal).ok
    assert targets.ruleset() == between
    assert rollback_plan(first.plan_id, {"fw1": firewall}, journal).ok
    assert targets.ruleset() == before
    assert "segwright" not in left_behind(targets, firewall)


def test_drift_names_the_rule(targets: LabTargets, firewall: NftablesTarget, journal: Journal) -> None:
    assert apply(firewall, wanted(), journal)[1].ok
    targets.nft(
        "insert",
        "rule",
        "inet",
        TABLE,
        "sw_forward",
        "position",
        "2",
        "ip",
        "saddr",
        "100.64.10.11",
        "tcp",
        "dport",
        "22",
        "accept",
    )
    found = verify_targets({"fw1": firewall}, wanted())
    if found.drift:
        assert ":22" in found.drift[0]["witness"]
    else:  # a rule before the stateful head is not understood, which is told as such
        assert "SW4221" in codes_of(found.findings)


def test_a_plan_is_refused_when_the_table_moved(
    targets: LabTargets, firewall: NftablesTarget, journal: Journal
) -> None:
    assert apply(firewall, wanted(), journal)[1].ok
    chosen, desired = {"fw1": firewall}, wanted(8443)
    plan = build_plan(chosen, desired, snapshot_all(chosen, desired), policy_commit=COMMIT)
    targets.nft("add", "rule", "inet", TABLE, "sw_forward", "ip", "daddr", "100.64.40.99", "drop")
    targets.nft("flush", "chain", "inet", TABLE, "sw_forward")
    before = targets.ruleset()
    with pytest.raises(FindingError) as error:
        apply_plan(plan, chosen, desired, journal, policy_commit=COMMIT)
    assert codes_of(error.value.findings) <= {"SW4015", "SW4221"}
    with pytest.raises(FindingError) as error:
        firewall.execute(plan.operations()[0])
    assert codes_of(error.value.findings) == {"SW4222"}
    assert targets.ruleset() == before


def test_a_ruleset_that_cuts_the_way_in_is_taken_back(
    targets: LabTargets, firewall: NftablesTarget, journal: Journal
) -> None:
    assert apply(firewall, wanted(), journal)[1].ok
    before = targets.ruleset()
    calls = 0

    def cut(spec: TargetSpec) -> LinuxSession:
        """The second login, which is to confirm, is cut off."""
        nonlocal calls
        calls += 1
        if calls == 2:
            raise FindingError(firewall_code.at("cut off"))
        return LinuxSession(spec)

    from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.codes import UNREACHABLE as firewall_code

    target = NftablesTarget(spec_for(targets), cut)
    outcome = apply(target, wanted(8443), journal)[1]
    assert {"SW4264", "SW4282", "SW4017"} <= codes_of(outcome.findings)
    assert targets.ruleset() == before
    target.close()


def test_the_timer_takes_back_what_nobody_confirms(
    targets: LabTargets, firewall: NftablesTarget, journal: Journal
) -> None:
    """Old session dead and no new one: only the timer is left, on the firewall itself."""
    assert apply(firewall, wanted(), journal)[1].ok
    before = targets.ruleset()
    sessions: list[LinuxSession] = []

    def dying(spec: TargetSpec) -> LinuxSession:
        if len(sessions) == 1:
            sessions[0].close()
            sessions.append(sessions[0])
            from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.codes import UNREACHABLE

            assert "8443" in targets.nft("list", "table", "inet", TABLE)
            raise FindingError(UNREACHABLE.at("cut off"))
        made = LinuxSession(spec)
        sessions.append(made)
        return made

    target = NftablesTarget(spec_for(targets, revert_seconds=10), dying)
    start = time.monotonic()
    outcome = apply(target, wanted(8443), journal)[1]
    assert "SW4282" in codes_of(outcome.findings)
    assert time.monotonic() - start > 10
    assert targets.ruleset() == before
    target.close()


def test_foreign_tables_are_refused_and_untouched(
    targets: LabTargets, firewall: NftablesTarget, journal: Journal
) -> None:
    targets.nft("add", "table", "inet", TABLE)
    targets.nft("add", "chain", "inet", TABLE, "mine")
    before = targets.ruleset()
    with pytest.raises(FindingError) as error:
        apply(firewall, wanted(), journal)
    assert codes_of(error.value.findings) == {"SW4284"}
    assert targets.ruleset() == before
    adopting = NftablesTarget(spec_for(targets, adopt=True))
    assert apply(adopting, wanted(), journal)[1].ok
    assert rollback_plan("", {"fw1": adopting}, journal).ok
    assert targets.ruleset() == before
    adopting.close()


def test_a_wrong_host_key_ends_before_the_login(targets: LabTargets, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.write_text("")
    with pytest.raises(FindingError) as error:
        NftablesTarget(spec_for(targets, known_hosts_file=str(empty))).snapshot(())
    assert codes_of(error.value.findings) == {"SW4205"}


def test_a_large_ruleset_loads_quickly(targets: LabTargets, firewall: NftablesTarget, journal: Journal) -> None:
    lines = "".join(
        f"permit tcp host 100.64.10.{number % 250} host 100.64.40.{number // 250} eq {1000 + number}\n"
        for number in range(1000)
    )
    desired = wanted(more=lines)
    start = time.monotonic()
    outcome = apply(firewall, desired, journal)[1]
    seconds = time.monotonic() - start
    assert outcome.ok, outcome.findings
    print(f"1003 rules planned, loaded, proved and confirmed in {seconds:.1f} s")
    assert seconds < 60


def test_connections_that_are_permitted_no_longer_are_dropped(
    targets: LabTargets, firewall: NftablesTarget, journal: Journal
) -> None:
    if not firewall._connected().shell("command -v conntrack", root=True).ok:
        pytest.skip("conntrack is not installed")
    for port in (443, 22):
        targets.lab.namespaces.run(FIREWALL, [
            "conntrack", "-I", "-p", "tcp", "-s", "100.64.10.11", "-d", "100.64.40.10", "--sport", "40000", "--dport", str(port),
            "--state", "ESTABLISHED", "--timeout", "600", "--status", "ASSURED",
        ])  # fmt: skip
    assert apply(firewall, wanted(), journal)[1].ok
    left = targets.lab.namespaces.run(FIREWALL, ["conntrack", "-L"])
    assert "dport=443" in left
    assert "sport=40000 dport=22" not in left


# -- two controllers


def test_a_timer_of_another_controller_that_counts_is_never_called_off(
    targets: LabTargets, firewall: NftablesTarget, journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second comes while the first has loaded its ruleset and not yet confirmed it."""
    assert apply(firewall, wanted(), journal)[1].ok
    second, proved, seen = NftablesTarget(spec_for(targets)), Loader._proved, list[str]()
    chosen = {"fw1": second}
    earlier = build_plan(chosen, wanted(9443), snapshot_all(chosen, wanted(9443)), policy_commit=COMMIT)

    def meanwhile(loader: Loader, *given: Any) -> Any:
        with monkeypatch.context() as patch:
            patch.setattr(Loader, "_proved", proved)
            with other_controller():
                before = targets.ruleset()
                for attempt in (
                    lambda: apply(second, wanted(7443), Journal(tmp_path / "second.jsonl")),
                    lambda: second.execute(earlier.operations()[0]),
                ):
                    with pytest.raises(FindingError) as error:
                        attempt()
                    assert codes_of(error.value.findings) == {"SW4476"}
                    seen.append(str(error.value))
                assert targets.ruleset() == before
        return proved(loader, *given)

    monkeypatch.setattr(Loader, "_proved", meanwhile)
    outcome = apply(firewall, wanted(8443), journal)[1]
    assert outcome.ok, outcome.findings
    assert len(seen) == 2 and f"process {os.getpid()}" in seen[0]
    monkeypatch.undo()
    with other_controller():
        assert apply(second, wanted(7443), Journal(tmp_path / "second.jsonl"))[1].ok
    second.close()
    assert standing(firewall._connected(), TABLE) == {}


def test_what_another_user_puts_in_tmp_is_no_timer(firewall: NftablesTarget) -> None:
    """Else anybody with a login could have every change refused."""
    session = firewall._connected()
    made = session.shell("mktemp -d /tmp/tmp.XXXXXXXX", root=True).output.strip()
    try:
        for name, text in (("armed", ""), ("owner", owner_text(60)), ("revert.nft", f"table inet {TABLE}\n")):
            assert session.shell('cat > "$1"', f"{made}/{name}", root=True, stdin=text).ok
        assert list(standing(session, TABLE)) == [made]
        assert session.run("chown", "65534:65534", made, root=True).ok
        assert standing(session, TABLE) == {}
    finally:
        session.run("rm", "-r", made, root=True)


def test_a_timer_that_a_dead_run_left_is_called_off_by_its_own_controller(
    targets: LabTargets, firewall: NftablesTarget, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ruleset in force is as it should be: without a step of its own the timer would take it back later."""
    assert apply(firewall, wanted(), journal)[1].ok

    class Dead(BaseException):
        pass

    def dies(*_given: Any) -> None:
        raise Dead

    with monkeypatch.context() as patch:
        patch.setattr(Loader, "_proved", dies)
        with pytest.raises(Dead):
            apply(firewall, wanted(8443), journal)
    # A connection that the new table does not permit began before it, and the run died before it was dropped.
    conntrack = firewall._connected().shell("command -v conntrack", root=True).ok
    if conntrack:
        targets.lab.namespaces.run(FIREWALL, [
            "conntrack", "-I", "-p", "tcp", "-s", "100.64.10.11", "-d", "100.64.40.10", "--sport", "40001", "--dport", "22",
            "--state", "ESTABLISHED", "--timeout", "600", "--status", "ASSURED",
        ])  # fmt: skip
    with other_controller(), pytest.raises(FindingError) as error:
        firewall.diff(wanted(8443)[0].objects, firewall.snapshot(wanted(8443)[0].objects))
    assert codes_of(error.value.findings) == {"SW4476"}
    plan, outcome = apply(firewall, wanted(8443), journal)
    assert outcome.ok and [(step.kind, step.phase) for step in plan.operations()] == [("revert", 0)], outcome.findings
    if conntrack:
        assert "sport=40001" not in targets.lab.namespaces.run(FIREWALL, ["conntrack", "-L"])
    assert standing(firewall._connected(), TABLE) == {}
    assert "8443" in targets.nft("list", "table", "inet", TABLE)
