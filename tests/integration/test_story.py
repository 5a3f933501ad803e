# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Some days of a network team, every step a job of ansible-runner: a bad proposal and its correction, a signed merge, a plan and its
approval, a closed window and an open one, rings with their watch, a scanner that loses its archive and is given it back, the whole
rollout, drift, and the auditor.

Hours pass by another clock for each job (tests/lab/clock); traffic is a Zeek log that ends at that clock.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml

from tests.integration.conftest import LabTargets
from tests.integration.test_change_control import TEAMS, SiteSigners
from tests.integration.test_drift_and_rollback import change_three_by_hand
from tests.integration.test_refusals import codes_in
from tests.lab.places import CHECKOUT
from tests.lab.playbooks import Run, Site, ansible_environment, assign_sessions, program
from tests.unit.change.signers import mail
from tests.unit.steps.test_rollout import FIELDS

HISTORY, EVERY = timedelta(days=3), timedelta(minutes=5)


@dataclass
class Jobs(Site):
    """A site whose playbooks are jobs of ansible-runner, at a moment that the test says."""

    moment: timedelta = field(default_factory=timedelta)

    def run(self, name: str, *flags: str, environment: dict[str, str] | None = None, **variables: Any) -> Run:
        self.number += 1
        private = self.logs / f"{self.number:02}-{name}"
        (private / "env").mkdir(parents=True)
        (private / "project").symlink_to(CHECKOUT)
        words = self.arguments(name, **variables)
        (private / "env" / "extravars").write_text(words[2], encoding="utf-8")
        more = {
            "PYTHONPATH": str(CHECKOUT / "tests" / "lab" / "clock"),
            "SEGWRIGHT_LAB_CLOCK": str(self.moment.total_seconds()),
            **(environment or {}),
        }
        command = [str(program("ansible-runner")), "run", str(private), "-p", words[0], "-i", "job", "--quiet"]
        command += [f"--cmdline={' '.join(flags)}"] if flags else []
        began = time.monotonic()
        done = subprocess.run(
            command,
            env=ansible_environment(self.places, more),
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )
        found = private / "artifacts" / "job"
        assert (found / "rc").exists(), done.stdout + done.stderr
        return Run(name, int((found / "rc").read_text(encoding="utf-8")), time.monotonic() - began, found / "stdout")

    @property
    def now(self) -> datetime:
        return datetime.now(UTC) + self.moment


class Traffic:
    """What a tap at the core sees: each permitted pair of the site every five minutes, but for those that are cut."""

    def __init__(self, site: Jobs) -> None:
        self.site, self.number, self.told = site, 0, site.now - HISTORY
        self.cut: dict[str, datetime] = {}  # client address: since when nothing of it arrives

    def pairs(self) -> list[tuple[str, str, str, int]]:
        """(client, server, protocol, port) of each device and rule, read from the documents without the product."""
        lock = json.loads((self.site.policy / "members.lock.json").read_text(encoding="utf-8"))["segments"]
        services = yaml.safe_load((self.site.policy / "services.yml").read_text(encoding="utf-8"))["services"]
        addresses = {name: [_address(device) for device in item["devices"]] for name, item in lock.items()}
        found = []
        for path in sorted(self.site.policy.glob("*/*.yml")):
            document = yaml.safe_load(path.read_text(encoding="utf-8"))
            for rule in document.get("allow", ()) if "segment" in document else ():
                for name in rule["services"]:
                    ports = _port(services[name])
                    if ports is not None and rule["to"] in addresses:
                        found += [
                            (client, addresses[rule["to"]][0], *ports) for client in addresses[document["segment"]]
                        ]
        return found

    def collect(self) -> None:
        """Write what was seen since the last time, and collect it."""
        self.number += 1
        until, lines, count = self.site.now, [], 0
        pairs = self.pairs()
        assert pairs
        moment = self.told
        while moment + EVERY <= until:
            for client, server, protocol, port in pairs:
                count += 1
                when = moment + timedelta(seconds=count % 200)
                if client in self.cut and when >= self.cut[client]:
                    continue
                ends = (client, str(20000 + (self.number * 7919 + count) % 40000), server, str(port), protocol, "-")
                counts = (
                    "1.0",
                    "200",
                    "300",
                    "SF",
                    "0",
                    "ShADadFf" if protocol == "tcp" else "Dd",
                    "5",
                    "400",
                    "4",
                    "400",
                )
                lines.append("\t".join((f"{when.timestamp():.6f}", f"C{self.number}x{count}", *ends, *counts)) + "\n")
            moment += EVERY
        self.told = moment
        log = self.site.directory / "tap" / f"conn-{self.number}.log"
        log.parent.mkdir(exist_ok=True)
        log.write_text("#separator \\x09\n#fields\t" + "\t".join(FIELDS) + "\n" + "".join(lines), encoding="utf-8")
        run = self.site.run("collect", microseg_flow_sources=[str(log)], microseg_flow_exporter="core-tap")
        assert run.code == 0, run.tail()


def _port(service: dict[str, Any]) -> tuple[str, int] | None:
    """The first port of a service over TCP or UDP, as it is written."""
    for item in service.get("match", service.get("matches", [service])):
        protocol, ports = item.get("protocol"), item.get("ports")
        if protocol in ("tcp", "udp") and ports:
            first = ports[0]
            return protocol, int(str(first).partition("-")[0])
    return None


def sign_new(site: Jobs, signers: SiteSigners) -> None:
    """Anna and Ben sign what waits for their signatures; what they signed before stays, as evidence."""
    for path in sorted((site.state / "approvals").glob("*.json")):
        if not Path(f"{path}.sig").exists():
            person = "anna" if mail("anna") in path.read_text(encoding="utf-8") else "ben"
            signers.sign_file(path, person, "segwright-approval")


def window(opens: datetime) -> str:
    """A calendar that opens at a moment, for two days, every zone."""
    zone = ZoneInfo("Europe/Vienna")
    first = opens.astimezone(zone)
    rows = [f"  - {{id: d0, zones: [all], days: [{first:%a}], start: '{first:%H:%M}', end: '24:00'}}\n".lower()]
    for day in (1, 2, 3):
        rows.append(
            f"  - {{id: d{day}, zones: [all], days: [{first + timedelta(days=day):%a}], start: '00:00', end: '24:00'}}\n".lower()
        )
    return "windows:\n" + "".join(rows)


@pytest.mark.full
def test_some_days_of_a_network_team(targets: LabTargets, at: Callable[[str], Site], tmp_path: Path) -> None:
    pytest.importorskip("ansible_runner", reason="the Python package ansible-runner is not installed")
    if not shutil.which("ssh-keygen"):
        pytest.skip("ssh-keygen is needed (Debian package openssh-client)")
    plain = at("learnt")
    site = Jobs(plain.places, plain.directory, tmp_path / "jobs")
    folder = tmp_path / "keys"
    folder.mkdir()
    signers = SiteSigners(folder, site)
    signers.allowed.touch()
    for person in ("anna", "ben", "otto"):
        signers.key(person)
    site.variables |= {"microseg_allowed_signers": str(signers.allowed), "microseg_protected_branch": "main"}
    teams = "".join(f"  {team}: [{mail('anna')}, {mail('ben')}]\n" for team in TEAMS)
    rings = (site.policy / "enforcement.yml").read_text(encoding="utf-8")
    assert "hold_minutes" in rings
    first = {
        "approvers.yml": f"teams:\n{teams}site: network-security\n",
        "calendar.yml": window(site.now + timedelta(hours=2)),
        "enforcement.yml": re.sub(r"hold_minutes: \d+", "hold_minutes: 60", rings),
    }
    traffic = Traffic(site)
    traffic.collect()

    # A proposal on a branch takes away what a workflow needs. The gate says which.
    signers.branch("proposal")
    segment = (site.policy / "imaging" / "imaging_modalities.yml").read_text(encoding="utf-8")
    document = yaml.safe_load(segment)
    needed = next(rule["id"] for rule in document["allow"] if rule["to"] == "pacs")
    start = segment.index(f"  - id: {needed}")
    end = segment.find("\n  - id: ", start + 5)
    broken = segment[:start] + (segment[end + 1 :] if end > 0 else "")
    signers.commit({**first, "imaging/imaging_modalities.yml": broken}, "otto", "Who, when, and fewer rules")
    run = site.run("validate")
    assert run.code != 0 and needed in run.output
    signers.commit({"imaging/imaging_modalities.yml": segment}, "otto", "The rule was needed")
    run = site.run("validate")
    assert run.code == 0, run.tail()
    signers.merge("proposal", "anna", "anna")

    # Planned, and approved by the second person that life support asks for; nobody is asked twice.
    run = site.run("plan")
    assert run.code == 0, run.tail()
    plan = site.result("plan")
    order = [ring["id"] for ring in plan["effect"]["rings"]["order"]]
    assert order[:3] == ["building", "radiology", "bedside"]
    for person in ("anna", "ben"):
        assert site.run("approve", microseg_approver=mail(person)).code == 0
    sign_new(site, signers)
    counter = targets.writes()
    run = site.run("apply", microseg_ring="next")
    assert run.code != 0 and "SW4090" in codes_in(run)  # before the window
    assert set(counter.counts().values()) == {0}

    # The window opens. The first ring, its watch, the second ring.
    site.moment = timedelta(hours=2, minutes=10)
    traffic.collect()
    run = site.run("apply", microseg_ring="next")
    assert run.code == 0, run.tail()
    assert site.result("apply")["ring"] == "building"
    run = site.run("apply", microseg_ring="continue")
    assert run.code == 0 and "is watched until" in " ".join(run.output.split())
    site.moment += timedelta(hours=1, minutes=30)
    traffic.collect()
    run = site.run("apply", microseg_ring="continue")
    assert run.code == 0, run.tail()
    assert site.result("apply")["ring"] == "radiology", site.result("apply")["summary"]
    held = targets.ise_objects()

    # A scanner does not reach its archive any more. The schedule's next run takes the ring back and says whom it misses.
    lock = json.loads((site.policy / "members.lock.json").read_text(encoding="utf-8"))["segments"]
    scanner = lock["imaging_modalities"]["devices"][0]
    traffic.cut[_address(scanner)] = site.now
    site.moment += timedelta(minutes=50)
    traffic.collect()
    run = site.run("apply", microseg_ring="continue")
    assert run.code != 0 and "SW4132" in codes_in(run)
    assert scanner["name"] in " ".join(run.output.split())
    assert site.result("apply")["undone"] and targets.ise_objects() != held
    run = site.run("apply", microseg_ring="continue")
    assert run.code != 0 and codes_in(run) & {"SW4130", "SW4132"}  # this commit does not go on by itself

    # The policy is corrected, reviewed, planned and approved anew; traffic is as before.
    traffic.cut.clear()
    signers.branch("correction")
    text = (site.policy / "services.yml").read_text(encoding="utf-8")
    signers.commit(
        {"services.yml": text.replace("ports: [11112]", "ports: [11112, 12112]")}, "otto", "The other port as well"
    )
    signers.merge("correction", "anna", "anna")
    site.moment += timedelta(hours=1)
    traffic.collect()
    run = site.run("plan")
    assert run.code == 0, run.tail()
    for person in ("anna", "ben"):
        assert site.run("approve", microseg_approver=mail(person)).code == 0
    sign_new(site, signers)
    done: list[str] = []
    run = site.run("apply", microseg_ring="next")
    for _hour in range(12):
        assert run.code == 0, run.tail()
        made = site.result("apply")
        done += [made["ring"]] if made.get("ring") else []
        if not made["remaining"] and "every ring is done" in made["summary"]:
            break
        site.moment += timedelta(hours=1, minutes=30)
        traffic.collect()
        run = site.run("apply", microseg_ring="continue")
    assert done and done[-1] in ("bedside", "rest"), done
    assign_sessions(targets.places, site.policy)
    run = site.run("verify")
    assert run.code == 0, run.tail()

    # Somebody changes three things by hand. The night's verify finds them, an approved plan puts them right.
    change_three_by_hand(targets)
    run = site.run("verify")
    assert run.code != 0 and "SW4050" in codes_in(run)
    run = site.run("plan")
    assert run.code == 0, run.tail()
    run = site.run("apply")
    assert run.code == 0, run.tail()
    run = site.run("verify")
    assert run.code == 0, run.tail()

    # The auditor gets one file and has nothing else.
    pack = tmp_path / "audit" / "evidence.zip"
    run = site.run("journal_verify", microseg_evidence=str(pack))
    assert run.code == 0 and pack.exists(), run.tail()
    shutil.rmtree(site.state)
    run = site.run("journal_verify", microseg_pack=str(pack))
    assert run.code == 0, run.tail()
    assert mail("anna") in run.output and "in order and unaltered" in run.output
    data = bytearray(pack.read_bytes())
    data[len(data) // 2] ^= 1
    pack.write_bytes(bytes(data))
    assert site.run("journal_verify", microseg_pack=str(pack)).code != 0


def _address(device: dict[str, Any]) -> str:
    first = device["addresses"][0]
    return str(first["address"] if isinstance(first, dict) else first)
