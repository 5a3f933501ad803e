# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The workflow of extensions/awx, node by node under ansible-runner as AWX runs jobs: project checkout, playbooks by path, AWX's
collection path, credentials as environment and files, job artifacts as variables of the nodes that follow."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import plan_parts, read_plan
from tests.integration.conftest import LabTargets, Loop, failure_of
from tests.integration.test_drift_and_rollback import change_three_by_hand
from tests.integration.test_story import Traffic
from tests.integration.test_story import _address as device_address
from tests.lab.places import CHECKOUT
from tests.lab.playbooks import Run, Site, ansible_environment, assign_sessions, program
from tests.unit.steps.test_awx import Loader

At = Callable[[str], Site]
AWX = CHECKOUT / "extensions" / "awx"


def objects(kind: str) -> dict[str, dict[str, Any]]:
    """The objects of extensions/awx of one kind, by name."""
    found = yaml.load((AWX / f"{kind}.yml").read_text(encoding="utf-8"), Loader)[kind]
    return {item["name"]: item for item in found}


def inventory(directory: Path) -> None:
    """The lab's hosts and addresses; who logs in how comes from inventory/awx, that is from the job's environment."""
    lab = yaml.safe_load((CHECKOUT / "inventory" / "lab" / "hosts.yml").read_text(encoding="utf-8"))["all"]
    switches = lab["children"]["microseg_targets"]["children"]["access_switches"]
    hosts = lab["children"]["microseg_targets"]["hosts"]
    kept = ("ansible_host", "ansible_port", "microseg_ise_version", "microseg_facts_transport")

    def plain(host: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in {**more, **host}.items() if key in kept}

    groups = {
        "ise": {"hosts": {"ise1": plain(hosts["ise1"], {})}},
        "firewalls": {"hosts": {"fw1": plain(hosts["fw1"], {})}},
        "access_switches": {"hosts": {name: plain(host, switches["vars"]) for name, host in switches["hosts"].items()}},
    }
    content = {"all": {"vars": lab["vars"], "children": {"microseg_targets": {"children": groups}}}}
    (directory / "group_vars").mkdir(parents=True)
    (directory / "hosts.yml").write_text(json.dumps(content), encoding="utf-8")
    for path in (CHECKOUT / "inventory" / "awx" / "group_vars").glob("*.yml"):
        (directory / "group_vars" / path.name).write_text(path.read_text(encoding="utf-8"), encoding="utf-8")


def secrets(targets: LabTargets) -> dict[str, dict[str, str]]:
    """What an administrator would type into the credentials."""
    lab = yaml.safe_load((CHECKOUT / "inventory" / "lab" / "hosts.yml").read_text(encoding="utf-8"))["all"]
    group = lab["children"]["microseg_targets"]
    ise, switch = group["hosts"]["ise1"], group["children"]["access_switches"]["vars"]
    directory = targets.places.directory
    known_hosts = (directory / "known_hosts").read_text(encoding="utf-8")
    return {
        "Segwright ISE": {
            "username": ise["ansible_user"],
            "password": ise["ansible_password"],
            "ca": (directory / "ca.pem").read_text(encoding="utf-8"),
        },
        "Segwright switches": {
            "username": switch["ansible_user"],
            "password": switch["ansible_password"],
            "enable": switch["ansible_become_password"],
            "known_hosts": known_hosts,
        },
        "Segwright firewalls": {
            "username": group["hosts"]["fw1"]["ansible_user"],
            "private_key": (directory / "ssh_key").read_text(encoding="utf-8"),
            "known_hosts": known_hosts,
        },
        "Segwright trust": {"allowed_signers": "", "gpg_keys": ""},
    }


def injected(kind: dict[str, Any], values: dict[str, str], directory: Path) -> dict[str, str]:
    """What a credential adds to the environment of a job, its files written."""
    files = {}
    for name, text in kind["injectors"]["file"].items():
        path = directory / f"{kind['name']}.{name}".replace(" ", "-")
        path.write_text(values[re.fullmatch(r"\{\{ (\w+) \}\}", text)[1]], encoding="utf-8")  # type: ignore[index]
        path.chmod(0o600)
        files[name.partition(".")[2]] = str(path)

    def rendered(text: str) -> str:
        text = re.sub(r"\{\{ tower\.filename\.(\w+) \}\}", lambda found: files[found[1]], text)
        return re.sub(r"\{\{ (\w+) \}\}", lambda found: values[found[1]], text)

    return {name: rendered(text) for name, text in kind["injectors"]["env"].items()}


class Job:
    """One job of a template, run in a private directory of its own."""

    def __init__(self, targets: LabTargets, directory: Path, repository: Path) -> None:
        self.targets, self.directory, self.repository = targets, directory, repository
        self.number, self.workflow = 0, 77
        self.moment = timedelta()  # by how much the clock of jobs is ahead

    def run(self, template: dict[str, Any], artifacts: dict[str, Any]) -> tuple[int, dict[str, Any], str]:
        """Return exit code, artifacts and output."""
        self.number += 1
        private = self.directory / f"job{self.number}"
        (private / "env").mkdir(parents=True)
        (private / "project").symlink_to(CHECKOUT)
        inventory(private / "inventory")
        moved = json.dumps(template["extra_vars"]).replace("/var/lib/segwright", str(self.directory / "mounted"))
        values = json.loads(moved)
        if "microseg_policy_repository" in values:
            values |= {"microseg_policy_repository": str(self.repository), "microseg_policy_path": "."}
        values |= {"awx_job_id": self.number, "awx_workflow_job_id": self.workflow, **artifacts}
        (private / "env" / "extravars").write_text(json.dumps(values), encoding="utf-8")
        path = f"{private}/requirements_collections:./collections:~/.ansible/collections:/usr/share/ansible/collections"
        more = {"ANSIBLE_COLLECTIONS_PATH": path}
        if self.moment:
            more["PYTHONPATH"] = str(CHECKOUT / "tests" / "lab" / "clock")
            more["SEGWRIGHT_LAB_CLOCK"] = str(self.moment.total_seconds())
        environment = ansible_environment(self.targets.places, more)
        del environment["ANSIBLE_CONFIG"]  # found in the working directory, as in a job
        given = secrets(self.targets)
        for name in template["credentials"]:
            environment |= injected(objects("controller_credential_types")[name], given[name], private)
        command = [str(program("ansible-runner")), "run", str(private), "-p", template["playbook"], "-i", "job"]
        command += ["--quiet"] + (["--cmdline=--diff"] if template["diff_mode"] else [])
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
        found = private / "artifacts" / "job"
        assert (found / "rc").exists(), done.stdout + done.stderr
        stats: dict[str, Any] = {}
        everything = []
        for event in (found / "job_events").glob("*.json"):
            everything.append(event.read_text(encoding="utf-8"))
            content = json.loads(everything[-1])
            if content["event"] == "playbook_on_stats":
                stats = content["event_data"].get("artifact_data", {})
        output = (found / "stdout").read_text(encoding="utf-8")
        assert "[DEPRECATION WARNING]" not in output
        for values_of in given.values():
            for field in ("password", "enable", "private_key"):
                secret = values_of.get(field, "").strip()
                assert not secret or not any(secret in text for text in [output, *everything]), (
                    template["name"],
                    field,
                )
        return int((found / "rc").read_text(encoding="utf-8")), stats, output

    def walk(
        self, name: str, given: dict[str, Any], asked: Callable[[str], object] = lambda node: None
    ) -> tuple[list[str], int, str]:
        """Run a workflow as AWX does, a person saying yes at each approval (``asked``); return the way, the last exit code and output."""
        self.workflow += 1
        templates = objects("controller_templates")
        nodes = {
            node["identifier"]: node for node in objects("controller_workflows")[name]["simplified_workflow_nodes"]
        }
        named = {after for node in nodes.values() for kind in NEXT for after in node.get(kind, ())}
        place, way, artifacts = next(name for name in nodes if name not in named), list[str](), dict(given)
        code, output = 0, ""
        while place:
            node = nodes[place]
            way.append(place)
            code = 0
            if "unified_job_template" in node:
                code, more, output = self.run(templates[node["unified_job_template"]], artifacts)
                artifacts |= more
            else:
                asked(place)
            place = next(iter(node.get(NEXT[bool(code)], ())), "")
        return way, code, output

    def scheduled(self, name: str, **given: Any) -> tuple[list[str], int, str]:
        """Do what a schedule starts."""
        template = objects("controller_schedules")[name]["unified_job_template"]
        if template in objects("controller_workflows"):
            return self.walk(template, given)
        code, _more, output = self.run(objects("controller_templates")[template], given)
        return [template], code, output


NEXT = ("success_nodes", "failure_nodes")
REFUSED = {"method": "WRITE", "path": "^/ers/config/(downloadableacl|egressmatrixcell)"}


@dataclass
class Tapped:
    """What ``Traffic`` of the story asks of a site: its documents, its clock, and a collection, here by AWX's schedule."""

    site: Site
    job: Job

    @property
    def policy(self) -> Path:
        return self.site.policy

    @property
    def directory(self) -> Path:
        return self.job.directory

    @property
    def now(self) -> datetime:
        return datetime.now(UTC) + self.job.moment

    def run(self, _step: str, **variables: Any) -> Run:
        way, code, output = self.job.scheduled("Segwright collect, every hour", **variables)
        assert way == ["policies", "collect"]
        log = self.job.directory / "collect.log"
        log.write_text(output, encoding="utf-8")
        return Run("collect", code, 0.0, log)


def test_the_workflow_takes_merged_policy_to_a_verified_network(targets: LabTargets, at: At, tmp_path: Path) -> None:
    pytest.importorskip("ansible_runner", reason="the Python package ansible-runner is not installed")
    site = at("learnt")
    repository = tmp_path / "policies.git"
    site.git("clone", "-q", "--bare", ".", str(repository))
    (tmp_path / "mounted").mkdir()
    site.data.rename(tmp_path / "mounted" / "data")
    templates, job = objects("controller_templates"), Job(targets, tmp_path, repository)
    workflow = objects("controller_workflows")["Segwright change"]["simplified_workflow_nodes"]
    nodes = {node["identifier"]: node for node in workflow}
    artifacts: dict[str, Any] = {}
    writes: dict[str, int] = {}
    name, way = "policies", []
    while name:
        node, counter = nodes[name], targets.writes()
        way.append(name)
        if "unified_job_template" in node:
            if name == "verify":  # what ISE's own rules give to sessions, once an administrator made them
                assign_sessions(targets.places, Path(artifacts["microseg_policy_dir"]))
                counter = targets.writes()
            code, more, output = job.run(templates[node["unified_job_template"]], artifacts)
            assert code == 0, output[-4000:]
            artifacts |= more
        writes[name] = sum(counter.counts().values())
        if name == "approve":
            # A merge while the plan waits does not disturb it: the workflow has a clone of its own.
            (site.policy / "later.md").write_text("later\n", encoding="utf-8")
            site.commit("Something else is merged")
            site.git("push", "-q", str(repository), "HEAD")
        name = next(iter(node.get("success_nodes", ())), "")
    assert way == ["policies", "validate", "plan", "approve", "apply", "verify"]
    assert writes.pop("apply") > 0 and set(writes.values()) == {0}
    plan = json.loads((tmp_path / "mounted" / "state" / "plan.json").read_text(encoding="utf-8"))
    assert artifacts["microseg_plan_id"] == plan["plan_id"]
    assert artifacts["microseg_operations"] == sum(len(part["operations"]) for part in plan["targets"]) > 0
    assert len(json.dumps(artifacts)) < 2000
    verified = json.loads((tmp_path / "mounted" / "data" / "out" / "verify.json").read_text(encoding="utf-8"))
    assert verified["ok"] is True


@pytest.mark.full
def test_the_schedules_carry_a_rollout_on_and_take_a_ring_back_and_a_person_the_rest(
    targets: LabTargets, at: At, tmp_path: Path
) -> None:
    """Every schedule and both ways out of the workflows, each node a job of ansible-runner."""
    pytest.importorskip("ansible_runner", reason="the Python package ansible-runner is not installed")
    site = at("learnt")
    enforcement = site.policy / "enforcement.yml"
    text = enforcement.read_text(encoding="utf-8")
    enforcement.write_text(re.sub(r"hold_minutes: \d+", "hold_minutes: 60", text), encoding="utf-8")
    site.commit("Each ring is watched for an hour")
    repository = tmp_path / "policies.git"
    site.git("clone", "-q", "--bare", ".", str(repository))
    (tmp_path / "mounted").mkdir()
    site.data.rename(tmp_path / "mounted" / "data")
    job = Job(targets, tmp_path, repository)
    traffic = Traffic(Tapped(site, job))  # type: ignore[arg-type]
    traffic.collect()

    # A person approves the plan and with it the first ring; the schedule watches it, and takes the second.
    way, code, output = job.walk("Segwright rollout", {})
    assert (way, code) == (["policies", "validate", "plan", "approve", "apply"], 0), output[-4000:]
    made = json.loads((tmp_path / "mounted" / "data" / "out" / "apply.json").read_text(encoding="utf-8"))
    assert made["ring"] == "building"
    way, code, output = job.scheduled("Segwright rings, every hour")
    assert (way, code) == (["policies", "rings"], 0) and "is watched until" in " ".join(output.split()), output[-3000:]
    job.moment = timedelta(minutes=90)
    traffic.collect()
    # The branch has moved on: the rollout goes on from its own commit.
    (site.policy / "later.md").write_text("later\n", encoding="utf-8")
    site.commit("Something else is merged")
    site.git("push", "-q", str(repository), "HEAD:main")
    way, code, output = job.scheduled("Segwright rings, every hour")
    assert code == 0, output[-4000:]
    made = json.loads((tmp_path / "mounted" / "data" / "out" / "apply.json").read_text(encoding="utf-8"))
    assert made["ring"] == "radiology", made["summary"]

    # A scanner is cut off: the next run of the schedule takes the ring back and fails, so that its owner hears of it.
    lock = json.loads((site.policy / "members.lock.json").read_text(encoding="utf-8"))["segments"]
    scanner = lock["imaging_modalities"]["devices"][0]
    traffic.cut[device_address(scanner)] = job.moment + datetime.now(UTC)
    job.moment += timedelta(minutes=50)
    traffic.collect()
    way, code, output = job.scheduled("Segwright rings, every hour")
    assert code != 0 and "SW4132" in output and scanner["name"] in " ".join(output.split()), output[-4000:]
    way, code, output = job.scheduled("Segwright rings, every hour")
    assert code != 0 and re.search("SW4130|SW4132", output)

    # A change that fails half-way, and a person who has it rolled back: ISE refuses one write.
    held = targets.ise_objects()

    def mended(node: str) -> None:
        if node == "ask_rollback":
            targets.ise("DELETE", "/faults")

    targets.ise("POST", "/faults", {"match": REFUSED, "nth": 2, "times": 0, "fault": "status:500"})
    way, code, output = job.walk("Segwright change", {}, mended)
    assert way[-3:] == ["apply", "ask_rollback", "rollback"] and code == 0, (way, output[-4000:])
    assert targets.ise_objects() == held
    for name, codes in (
        ("Segwright record, every night", (0,)),
        ("Segwright postures, every night", (0,)),
        ("Segwright drift, every six hours", (2,)),  # the policy is merged, and taken back
    ):
        _way, code, output = job.scheduled(name)
        assert code in codes, (name, output[-4000:])


@pytest.mark.full
def test_an_approved_plan_is_made_anew_where_its_file_is_gone_and_refused_where_something_moved(
    loop: Loop, targets: LabTargets, at: At
) -> None:
    site = at("verified")
    change_three_by_hand(targets)
    drifted = targets.remember()
    assert site.run("plan").code == 0
    plan = read_plan(site.state / "plan.json")
    approved = {"microseg_plan_id": plan.plan_id, "microseg_plan_parts": plan_parts(plan)}
    for path in [site.state / "plan.json", *(site.state / "plans").iterdir()]:
        path.unlink()
    targets.restore(loop.moments["verified"])
    counter = targets.writes()
    run = site.run("apply", **approved)
    assert run.code == 2
    assert set(counter.counts().values()) == {0}
    said = failure_of(run)
    assert "SW4121" in said and "moved since:" in said
    assert all(f"target {name}" in said for name in ("acc2", "fw1", "ise1")) and "target acc1" not in said
    targets.restore(drifted)
    counter = targets.writes()
    run = site.run("apply", **{**approved, "microseg_plan_id": "0" * 64})
    assert run.code == 2 and "SW4121" in failure_of(run)
    assert set(counter.counts().values()) == {0}
    run = site.run("apply", **approved)
    assert run.code == 0, run.tail()
    assert site.result("apply")["plan_id"] == plan.plan_id
    assert "SW4122" in (site.output / "apply.json").read_text(encoding="utf-8")
    run = site.run("verify")
    assert run.code == 0, run.tail()
