# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every step of changing a list on a Nexus switch, with every kind of fault at it.

After each: every place holds the old list or the new one, whole; management reaches the switch; a second run brings the new
list and leaves nothing behind; the journal can be read and says what was done.
"""

from __future__ import annotations

import errno
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.apply import apply_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import Journal, verify_journal
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import build_plan, snapshot_all
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.rollback import rollback_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.verify import verify_targets
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import nxos_session, nxos_way_back
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nxos import NxosTarget
from tests.integration.test_targets_nxos import (
    COMMIT,
    CONFIG,
    LET_IN,
    Switch,
    list_object,
    made_switch,
    of,
    packet,
    place,
    spec_for,
)  # fmt: skip
from tests.lab.nxos.strikes import Strike
from tests.lab.places import CHECKOUT

# Step -> the command at which it is struck, and its occurrence in the run that changes the list.
STEPS = {
    "read": (r"^show running-config", 2),
    "measure": (r"^show hardware access-list", 1),
    "claim": (r"^scheduler job name SW_claim", 1),
    "time the claim": (r"^time start", 1),
    "see it claimed": (r"^show running-config", 3),
    "open the session": (r"^configure session", 1),
    "type an entry": (r"^\d+ permit tcp any 10\.0\.0\.1/32 eq 8443", 1),
    "verify the list": (r"^verify", 1),
    "commit the list": (r"^commit", 1),
    "read back": (r"^show running-config", 4),
    "arm the way back": (r"^time start", 2),
    "type an attachment": (r"^ip (port )?access-group SW_hvac__b", 1),
    "type the last attachment": (r"^ip (port )?access-group SW_hvac__b", 2),
    "verify the attachments": (r"^verify", 2),
    "commit the attachments": (r"^commit", 2),
    "confirm anew": (r"^show running-config", 6),
    "disarm the way back": (r"^no scheduler schedule", 1),
    "remove the old list": (r"^no ip access-list SW_hvac__a", 1),
    "release": (r"^no feature scheduler", 1),
    "save": (r"^copy running-config", 1),
}
KINDS = ("refuse", "drop_before", "drop_after", "hang_before", "hang_after", "reload", "tcam_full", "admin", "abort")
OLD, NEW = 443, 8443
CASES = [(step, kind) for step in STEPS for kind in KINDS]
QUICK = random.Random(20261126).sample(CASES, 5)
RUN = """
import json, sys
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.apply import apply_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import Journal
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import build_plan, snapshot_all
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nxos import NxosTarget
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.spec import TargetSpec
from tests.integration.test_nxos_faults import COMMIT, NEW, change
given = json.loads(sys.argv[1])
target = NxosTarget(TargetSpec.of(given["spec"]))
plan = build_plan({"n9k1": target}, change(NEW), snapshot_all({"n9k1": target}, change(NEW)), policy_commit=COMMIT)
apply_plan(plan, {"n9k1": target}, change(NEW), Journal(given["journal"]), policy_commit=COMMIT)
"""


def change(port: int) -> list[Any]:
    """A list on a port, and on the interface by which management arrives."""
    lines = (*LET_IN, "permit udp any eq 68 any eq 67", f"permit tcp any 10.0.0.1/32 eq {port}", "deny ip any any")
    return of(
        list_object("SW_hvac", *lines), place("Ethernet1/1", "SW_hvac"), place("Vlan10", "SW_hvac", "ip access-group")
    )


@pytest.fixture
def switch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Switch]:
    monkeypatch.setattr(nxos_session, "LINE_SECONDS", 1.5)
    monkeypatch.setattr(nxos_session, "SHOW_SECONDS", 3.0)
    monkeypatch.setattr(nxos_session, "COMMIT_SECONDS", 3.0)
    monkeypatch.setattr(nxos_session, "SAVE_SECONDS", 3.0)
    monkeypatch.setattr(nxos_way_back, "MINUTE_SECONDS", 1.0)
    monkeypatch.setattr(nxos_way_back, "GRACE_SECONDS", 2.0)
    monkeypatch.setattr(nxos_way_back, "POLL_SECONDS", 0.2)
    yield from made_switch(tmp_path, minute_seconds=300.0)


def settled(switch: Switch) -> NxosTarget:
    """A switch with the old list in force, saved, and a target to change it."""
    target = NxosTarget(spec_for(switch, timeout=1.5))
    desired = change(OLD)
    plan = build_plan({"n9k1": target}, desired, snapshot_all({"n9k1": target}, desired), policy_commit=COMMIT)
    journal = Journal(switch.known_hosts.parent / "before.jsonl")
    assert apply_plan(plan, {"n9k1": target}, desired, journal, policy_commit=COMMIT).ok
    return target


def in_force(switch: Switch) -> int:
    """Return which list decides, the same at both places; management must pass."""
    found = set()
    for interface in ("Ethernet1/1", "Vlan10"):
        said = [switch.device.decide(packet(port, interface)).permit for port in (OLD, NEW, 23, 22)]
        found.add(tuple(said))
        assert said in ([True, False, False, True], [False, True, False, True]), (interface, said, switch.running())
    assert len(found) == 1, switch.running()
    return OLD if found.pop()[0] else NEW


def after(switch: Switch, journal: Journal, *, by_hand: bool = False) -> None:
    """A new controller brings the new list, whatever was left, and leaves nothing else."""
    switch.end_faults()
    switch.device.strikes.clear()
    switch.device.regions = dict(switch.device.spec.regions)
    if by_hand:  # what somebody changed meanwhile is for people to decide; here they take it back
        switch.type("ip access-list SW_hvac__a", "no 17")
        switch.type("ip access-list SW_hvac__b", "no 17")
        if "SW_hvac__b" not in switch.attached():
            switch.type("no ip access-list SW_hvac__b")
    again, desired = NxosTarget(spec_for(switch, timeout=3)), change(NEW)
    plan = build_plan({"n9k1": again}, desired, snapshot_all({"n9k1": again}, desired), policy_commit=COMMIT)
    outcome = apply_plan(plan, {"n9k1": again}, desired, journal, policy_commit=COMMIT)
    assert outcome.ok, outcome.findings
    if not plan.operations() and again.confirm(desired[0].objects):
        pytest.fail("the new list is not held")
    assert in_force(switch) == NEW
    assert verify_targets({"n9k1": again}, desired).ok
    again.close()
    text = switch.running()
    assert switch.lists() == switch.attached() and len(switch.lists()) == 1, text
    assert "segwright" not in switch.device.config_sessions
    assert "ip access-list MGMT-ACCESS\n  10 permit ip any any" in text
    assert not verify_journal(journal.path), verify_journal(journal.path)


@pytest.mark.parametrize(
    ("step", "kind"),
    [pytest.param(*case, marks=() if case in QUICK else pytest.mark.full) for case in CASES],
)
def test_a_fault_leaves_the_old_list_or_the_new_one(switch: Switch, tmp_path: Path, step: str, kind: str) -> None:
    target, journal, desired = settled(switch), Journal(tmp_path / "journal.jsonl"), change(NEW)
    pattern, occurrence = STEPS[step]
    theirs = ("ip access-list SW_hvac__a", "17 permit tcp any any eq 8080", "hostname n9k1-b")
    plan = build_plan({"n9k1": target}, desired, snapshot_all({"n9k1": target}, desired), policy_commit=COMMIT)
    strike = Strike(kind, pattern, occurrence, lines=theirs)
    switch.fleet.call(lambda: switch.device.strikes.append(strike))
    switch.probe(*(packet(port, interface) for interface in ("Ethernet1/1", "Vlan10") for port in (OLD, NEW, 23, 22)))
    try:
        outcome = apply_plan(plan, {"n9k1": target}, desired, journal, policy_commit=COMMIT)
        told = outcome.ok
    except FindingError:
        told = False
    assert strike.struck, f"{step}: {pattern} was never typed for the {occurrence}. time"
    by_hand = kind == "admin"
    if not by_hand:
        live = in_force(switch)
        assert live == NEW or not told
        # At every moment each place held the old list or the new one.
        places = {each[:4] for each in switch.verdicts()} | {each[4:] for each in switch.verdicts()}
        assert places <= {"PDDP", "DPDP"}, places
    else:
        assert switch.device.config.hostname == "n9k1-b"
    target.close()
    after(switch, journal, by_hand=by_hand)
    print(f"{step} x {kind}: {'done' if told else 'stopped and told'}")


@pytest.mark.parametrize(
    "step",
    [
        *(pytest.param(step, marks=pytest.mark.full) for step in STEPS if step != "commit the attachments"),
        "commit the attachments",
    ],
)
def test_the_controller_is_killed(switch: Switch, tmp_path: Path, step: str) -> None:
    target = settled(switch)
    desired, before = change(NEW), switch.running()
    plan = build_plan({"n9k1": target}, desired, snapshot_all({"n9k1": target}, desired), policy_commit=COMMIT)
    target.close()
    pattern, occurrence = STEPS[step]
    if "running-config" in pattern and pattern.startswith("^show"):
        occurrence -= 1  # a new process plans from its first reading
    journal = Journal(tmp_path / "journal.jsonl")
    pid: list[int] = []
    strike = Strike("call", pattern, occurrence, call=lambda: os.kill(pid[0], signal.SIGKILL))
    switch.fleet.call(lambda: switch.device.strikes.append(strike))
    spec = spec_for(switch, timeout=3)
    names = ("name", "platform", "host", "port", "username", "password", "known_hosts_file", "timeout")
    given = {"spec": {name: getattr(spec, name) for name in names}, "journal": str(journal.path)}
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", RUN, json.dumps(given)], cwd=CHECKOUT, env=environment) as child:
        pid.append(child.pid)
        assert child.wait(120) == -signal.SIGKILL
    in_force(switch)
    switch.device.strikes.clear()
    again = NxosTarget(spec_for(switch, timeout=3))
    outcome = apply_plan(plan, {"n9k1": again}, desired, journal, policy_commit=COMMIT)
    assert outcome.ok, outcome.findings
    again.close()
    after(switch, journal)
    again = NxosTarget(spec_for(switch, timeout=3))
    assert rollback_plan(plan.plan_id, {"n9k1": again}, journal).ok
    again.close()
    assert switch.running() == before


@pytest.mark.parametrize(
    "record", [pytest.param(1, marks=pytest.mark.full), 2, *(pytest.param(n, marks=pytest.mark.full) for n in (3, 4))]
)
def test_the_disk_of_the_controller_is_full(
    switch: Switch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record: int
) -> None:
    target, journal, desired = settled(switch), Journal(tmp_path / "journal.jsonl"), change(NEW)
    plan = build_plan({"n9k1": target}, desired, snapshot_all({"n9k1": target}, desired), policy_commit=COMMIT)
    written, write = [0], os.write

    def full(number: int, data: bytes) -> int:
        if b'"plan"' in bytes(data) or b'"plan_id"' in bytes(data):
            written[0] += 1
            if written[0] >= record:
                raise OSError(errno.ENOSPC, "No space left on device")
        return write(number, data)

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        try:
            told = apply_plan(plan, {"n9k1": target}, desired, journal, policy_commit=COMMIT).ok
        except (FindingError, OSError):
            told = False
    if written[0] < record:
        pytest.skip(f"the journal was written {written[0]} times")
    assert not told
    in_force(switch)
    target.close()
    after(switch, journal)


assert CONFIG  # the switch's own configuration, kept with the other tests
