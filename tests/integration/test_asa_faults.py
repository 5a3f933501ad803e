# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every step of a change on an ASA with every kind of fault: the old list or the new one, reachable, nothing stale after a second run."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import errors_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.apply import apply_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import Journal, verify_journal
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import build_plan, snapshot_all
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.rollback import rollback_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.verify import verify_targets
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import asa_session
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.asa import AsaTarget
from tests.integration.test_targets_asa import (
    COMMIT,
    USER,
    Firewall,
    apply,
    codes_of,
    run_firewall,
    spec_for,
    wanted,
)
from tests.lab.asa.cli import AsaCli
from tests.lab.asa.config import Refused
from tests.lab.asa.device import AsaDevice
from tests.lab.iosxe.control import reset
from tests.lab.iosxe.fleet import FleetThread

EDITS = (
    "access-list SW_forward__a line 1 extended permit tcp host 10.1.1.77 host 10.2.2.20 eq 22",
    "access-list OTHERS extended permit ip any any",
)
ROOT = Path(__file__).resolve().parents[2]
STEPS = {
    "claim": r"^event manager applet SW_claim",
    "claimed": r"^event timer countdown time \d{3}$",
    "open": r"^configure session",
    "line": r"^access-list SW_forward__b extended permit tcp",
    "commit": r"^commit noconfirm",
    "arm": r"^event timer countdown time \d\d$",
    "swap": r"^access-group SW_forward__b",
    "disarm": r"^no event manager applet SW_way_back",
    "remove": r"^clear configure access-list SW_forward__a",
    "release": r"^no event manager applet SW_claim",
    "save": r"^write memory",
}
KINDS = ("refused", "dropped", "silent", "reload", "edited", "full", "killed")
# Of every kind and of every step at least one in the quick suite.
QUICK = {
    ("line", "refused"), ("commit", "dropped"), ("arm", "edited"), ("swap", "silent"), ("disarm", "dropped"), ("remove", "reload"),
    ("save", "full"), ("swap", "killed"), ("open", "refused"), ("claim", "refused"), ("claimed", "killed"), ("release", "dropped"),
}  # fmt: skip
# What cannot happen: a full disk stops only the save, full memory only lines of lists.
NEVER = {(step, "full") for step in STEPS if step not in ("line", "save")} | {
    ("save", "refused"),
    ("save", "edited"),
    ("open", "edited"),
}
CASES = [(step, kind) for step in STEPS for kind in KINDS if (step, kind) not in NEVER]
BOTH_PASS = {
    "protocol": "udp",
    "source": "10.2.2.20",
    "destination": "10.1.1.53",
    "source_port": 5353,
    "destination_port": 53,
}
BOTH_DENY = {
    "protocol": "tcp",
    "source": "10.1.1.9",
    "destination": "10.2.2.20",
    "source_port": 5353,
    "destination_port": 23,
}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firewall]:
    path = tmp_path_factory.mktemp("asa")
    patch = pytest.MonkeyPatch()
    patch.setattr(asa_session, "LINE_SECONDS", 5.0)
    for name in ("SHOW_SECONDS", "COMMIT_SECONDS", "SAVE_SECONDS"):
        patch.setattr(asa_session, name, 5.0)
    with FleetThread(run_firewall(path)) as running:
        firewall = Firewall(running, path / "known_hosts")
        target, journal = AsaTarget(spec_for(firewall, timeout=5)), Journal(path / "first.jsonl")
        assert apply(target, wanted(), journal)[1].ok
        target.close()
        yield firewall
    patch.undo()


@pytest.fixture
def applied(shared: Firewall) -> Iterator[Firewall]:
    """The firewall with the first policy applied and saved, as it stood before each case."""
    state = shared.fleet.call(shared.device.dump)
    yield shared
    shared.end_faults()
    shared.fleet.call(lambda: [session.drop() for session in list(shared.device.sessions)])
    shared.fleet.call(lambda: shared.device.restore(state))
    shared.fleet.call(lambda: reset(shared.device))


def no_session(_device: AsaDevice, _name: str) -> None:
    raise Refused("ERROR: The maximum number of configuration sessions (3) has been reached")


def break_at(firewall: Firewall, step: str, kind: str, patch: pytest.MonkeyPatch) -> None:
    """Install one fault."""
    regex, device = STEPS[step], firewall.device
    if (step, kind) == ("open", "refused"):  # no command of the configuration mode: as where three sessions are open
        patch.setattr(AsaDevice, "open_config_session", no_session)
    elif kind == "refused":
        firewall.fault(kind="error_on", regex=regex)
    elif kind == "full":
        text = "%Error writing nvram:/startup-config (No space left on device)"
        firewall.fault(
            kind="error_on",
            regex=regex,
            text=text if step == "save" else "ERROR: Unable to add, access-list config limit reached",
        )
    elif kind == "dropped":
        firewall.fault(kind="drop_before_write") if step == "save" else firewall.fault(
            kind="drop_after_lines", regex=regex
        )
        if step == "open":
            firewall.end_faults()
            firewall.fault(kind="drop_after_lines", lines=1)
    elif kind == "silent":
        firewall.fault(kind="hang", regex=regex)
    elif kind == "reload":
        firewall.fault(kind="reload_after_lines", regex=regex)
        if step in ("open", "save"):  # no configuration lines: the first one after it, and in place of the write
            firewall.end_faults()
        if step == "open":
            firewall.fault(kind="reload_after_lines", lines=1)
        elif step == "save":
            patch.setattr(AsaDevice, "save", lambda device, _user: device.reload())
    elif kind == "edited":
        plain = AsaCli.configure

        def and_another(cli: AsaCli, text: str) -> str:
            said = plain(cli, text)
            if cli.user == USER and re.search(regex, text.strip()):
                other = AsaCli(device, "other", privilege=15)
                other.mode = "config"
                for line in EDITS:
                    plain(other, line)
            return said

        patch.setattr(AsaCli, "configure", and_another)


KILLED = """
import json, os, re, signal, sys
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import Journal
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import asa_session
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.asa import AsaTarget
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.spec import TargetSpec
from tests.integration.test_targets_asa import apply, wanted
spec, journal, regex = json.loads(sys.stdin.read())
plain = asa_session.AsaSession._run
def run(self, text, seconds):
    said = plain(self, text, seconds)
    if re.search(regex, text):
        os.kill(os.getpid(), signal.SIGKILL)
    return said
asa_session.AsaSession._run = run
apply(AsaTarget(TargetSpec.of(spec)), wanted(8443), Journal(journal))
"""


def run_and_kill(firewall: Firewall, step: str, journal: Path) -> None:
    """Apply in a process of its own that dies by SIGKILL right after the step's line was taken."""
    spec = {
        "name": "fw1", "platform": "asa", "host": firewall.device.spec.address, "port": firewall.device.port, "username": "netops",
        "password": "pw-netops-1", "enable_password": "enable-netops-1", "known_hosts_file": str(firewall.known_hosts),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", KILLED], input=json.dumps([spec, str(journal), STEPS[step]]), text=True, cwd=ROOT,
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'collections'}"}, capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr


@pytest.mark.parametrize(
    ("step", "kind"),
    [pytest.param(step, kind, marks=[] if (step, kind) in QUICK else [pytest.mark.full]) for step, kind in CASES],
)
def test_old_or_new_and_clean_after_the_second_run(
    applied: Firewall, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, kind: str
) -> None:
    device, desired = applied.device, wanted(8443)
    spec = spec_for(applied, timeout=5)
    target, journal = AsaTarget(spec), Journal(tmp_path / "journal.jsonl")
    applied.fleet.call(lambda: device.probes.extend([{"packet": BOTH_PASS}, {"packet": BOTH_DENY}]))
    targets, before = {"fw1": target}, applied.running()
    plan = build_plan(targets, desired, snapshot_all(targets, desired), policy_commit=COMMIT)
    if kind == "killed":
        run_and_kill(applied, step, tmp_path / "journal.jsonl")
        findings: set[str] = set()
    else:
        break_at(applied, step, kind, monkeypatch)
        outcome = apply_plan(plan, targets, desired, journal, policy_commit=COMMIT)
        findings = codes_of(outcome.findings)
        assert all(fault.struck for fault in device.faults.items), "the fault did not strike"
        assert outcome.ok or errors_of(outcome.findings), "a failure without a finding"
    target.close()
    # In force is the old list or the new one, whole; at no moment did a permitted conversation fail or a forbidden one pass.
    live = applied.groups()["global"]
    assert live in ("SW_forward__a", "SW_forward__b")
    assert {record["verdicts"] for record in applied.fleet.call(lambda: list(device.trace))} <= {"PD"}
    assert (
        applied.passes("udp", "10.2.2.20", "10.1.1.53", 53)
        and applied.passes("tcp", "10.1.1.9", "10.2.2.20", 23) is False
    )
    on_old, on_new = (applied.passes("tcp", "10.1.1.5", "10.2.2.20", port) for port in (443, 8443))
    assert (on_old, on_new) in ((True, False), (False, True))
    # The second run, after whatever it was.
    applied.end_faults()
    monkeypatch.undo()
    again = AsaTarget(spec)
    try:
        if kind == "killed":  # the same plan goes on
            outcome = apply_plan(
                plan, {"fw1": again}, desired, Journal(tmp_path / "journal.jsonl"), policy_commit=COMMIT
            )
            assert outcome.ok, outcome.findings
            assert f"access-group {applied.groups()['global']} global" in device.startup
        outcome = apply(again, desired, Journal(tmp_path / "journal.jsonl"))[1]
        assert outcome.ok, (findings, outcome.findings)
        assert verify_targets({"fw1": again}, desired).ok
        assert apply(again, desired, Journal(tmp_path / "journal.jsonl"))[1].writes == 0
    finally:
        again.close()
    assert applied.passes("tcp", "10.1.1.5", "10.2.2.20", 8443) and not applied.passes(
        "tcp", "10.1.1.5", "10.2.2.20", 443
    )
    if (step, kind) == ("release", "refused"):  # it goes by its time
        applied.fleet.call(
            lambda: [device.run_applet(name) for name in list(device.config.applets) if "SW_claim" in name]
        )
    assert applied.stale() == []
    assert f"access-group {applied.groups()['global']} global" in device.startup
    assert not errors_of(verify_journal(tmp_path / "journal.jsonl"))
    if kind == "edited":
        assert "access-list OTHERS extended permit ip any any" in applied.running()  # what is not ours stays
    if kind == "killed":  # and back, to what stood there before the run that died
        again = AsaTarget(spec)
        try:
            assert rollback_plan(plan.plan_id, {"fw1": again}, Journal(tmp_path / "journal.jsonl")).ok
        finally:
            again.close()
        assert applied.running() == before


def test_the_matrix_is_whole() -> None:
    """Every step meets every kind of fault but those that cannot be, and the quick suite has each step and each kind."""
    assert {step for step, _kind in QUICK} == set(STEPS) and {kind for _step, kind in QUICK} == set(KINDS)
    assert len(CASES) + len(NEVER) == len(STEPS) * len(KINDS)
    print(f"{len(CASES)} faults, {len(QUICK)} of them in the quick suite, {len(NEVER)} cannot be")
