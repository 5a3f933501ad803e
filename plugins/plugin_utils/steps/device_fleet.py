# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists of all devices of a batch by one task, and one device's result for the task that follows.

The first connects to every host of the batch from a pool of threads and writes one file a host; the second reads its own file,
so that each host has its own changed, failed or unreachable, and Ansible's limits on failures hold.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.action import failure
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.clock import utc_now
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import read_json, write_json
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.names import HOST_NAME, name_finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import known_entries
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import DesiredObject
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.arguments import paths_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.connections import target_specs
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.fleet import run_hosts, side_by_side
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.objects import device_objects
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes as target_codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.fleet import (
    BEGUN,
    CHANGED,
    FAILED,
    MOST_WORKERS,
    NOT_BEGUN,
    UNREACHABLE,
    DeviceResult,
    Job,
    Pace,
    run_fleet,
    summary,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.fleet_device import (
    Keeping,
    change_device,
    undo_device,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.registry import make_target
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.spec import TargetSpec

SHOWN = 20
INTERRUPTED = "devices-interrupted.json"
LISTS = "microseg_device_lists"


def run_device_fleet(values: dict[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
    """Bring the lists of every host of the batch to what they shall be, or back; return counts, names and where results lie."""
    pace, run = pace_of(values), str(values.get("run") or "")
    undo = values["state"] == "undone"
    # Hosts may each take back another run, their last one: then the task has a name of its own, by which results are found.
    task = run or new_run()
    paths = paths_of(values)
    spool = Spool(paths.output / "devices", task)
    jobs, refused = jobs_of(values, variables, objects=not undo)
    keeping = Keeping(
        paths.state,
        run if undo else task,
        bool(values["check_mode"]),
        bool(values["diff_mode"]),
        bool(values.get("prune")),
    )

    def work(job: Job) -> DeviceResult:
        try:
            spool.write(_begun(job, keeping.run))
        except OSError as error:
            text = f"{job.host}: its result cannot be written: {error.strerror}"
            return DeviceResult(
                job.host,
                job.platform,
                NOT_BEGUN,
                job.site,
                findings=(target_codes.NOT_BEGUN.at(text),),
                run=keeping.run,
            )
        result = undo_device(job, keeping) if undo else change_device(job, keeping)
        spool.keep(result)
        return result

    stop = threading.Event()
    with interruptible(stop):
        results = [*refused, *run_fleet(jobs, work, pace, stop=stop)]
        side_by_side(spool.keep, [result for result in results if result.host not in spool.kept])
        made = _answer(results, spool, check=keeping.check)
        if stop.is_set():
            made = _interrupted(made, results, spool.folder.parent / INTERRUPTED)
            with contextlib.suppress(OSError):
                write_json(spool.folder.parent / INTERRUPTED, made)
            tell(made["msg"])
    return made


@dataclass
class Spool:
    """Where the results of a task's hosts lie, one file a host, for the task that follows; written from several threads.

    ``kept``: hosts whose result is there; ``unwritten``: those whose result cannot be written.
    """

    folder: Path
    task: str
    kept: set[str] = field(default_factory=set)
    unwritten: list[str] = field(default_factory=list)

    def write(self, result: DeviceResult) -> None:
        """Write one host's result, whole or not at all; OSError where it cannot be written."""
        content = {"kind": "device_result", "schema_version": "1.0", **result.as_dict(), "task": self.task}
        write_json(self.folder / f"{result.host}.json", content, 0o600)

    def keep(self, result: DeviceResult) -> None:
        """Write the result with which a host ended; never raises."""
        self.kept.add(result.host)
        try:
            self.write(result)
        except OSError:
            self.unwritten.append(result.host)


def new_run() -> str:
    """Return a name for a run: the moment, and some characters against a second run in it."""
    return f"{utc_now():%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"


def pace_of(values: Mapping[str, Any]) -> Pace:
    """Return workers and pacing of a task; FindingError SW4601 for values outside their range."""
    pace = Pace(
        int(values.get("workers") or 50), int(values.get("workers_per_site") or 0), float(values.get("interval") or 0.0),
        float(values.get("site_interval") or 0.0), int(values.get("max_failures") or 0),
    )  # fmt: skip
    if not 1 <= pace.workers <= MOST_WORKERS:
        raise FindingError(codes.BAD_ARGUMENT.at(f"workers: {pace.workers} is not between 1 and {MOST_WORKERS}"))
    if min(pace.per_site, pace.most_failures) < 0 or not (
        0 <= pace.interval <= 3600 and 0 <= pace.site_interval <= 3600
    ):
        raise FindingError(codes.BAD_ARGUMENT.at("pacing is counted from 0, intervals at most to 3600 seconds"))
    return pace


def jobs_of(
    values: Mapping[str, Any], variables: Mapping[str, Any], *, objects: bool = True
) -> tuple[list[Job], list[DeviceResult]]:
    """Return the jobs of the hosts of this batch, and a failed result for each host whose description is faulty.

    A host's lists are those of the task, else of its own variable. Only the variables that are needed are read: templating a
    whole host costs more than the host itself.
    """
    hostvars = variables.get("hostvars") or {}
    jobs: list[Job] = []
    refused: list[DeviceResult] = []
    for host in run_hosts(values, variables):
        found = name_finding(host, HOST_NAME, "host")
        platform = ""
        try:
            if found is not None:
                raise FindingError(found)
            spec = TargetSpec.of({**target_specs(hostvars, [host])[0], "adopt": bool(values.get("adopt"))})
            platform = spec.platform
            if platform == "ise":
                raise FindingError(codes.BAD_ARGUMENT.at(f"{host} is an ISE; use ise_policy"))
            wanted = wanted_objects(platform, host, values, hostvars) if objects else ()
            site = str(hostvars[host].get(str(values.get("site_variable") or "microseg_site")) or "")
            jobs.append(Job(host, platform, wanted, partial(make_target, spec), site))
        except FindingError as error:
            refused.append(
                DeviceResult(
                    host,
                    platform,
                    FAILED,
                    findings=error.findings,
                    in_force="nothing was sent to it",
                    check=bool(values["check_mode"]),
                )
            )
    return jobs, refused


def wanted_objects(
    platform: str, host: str, values: Mapping[str, Any], hostvars: Mapping[str, Any]
) -> tuple[DesiredObject, ...]:
    """Return the objects of one host; FindingError where there are none, or where one cannot be written."""
    given = values.get("lists")
    if not given:
        name = str(values.get("lists_variable") or LISTS)
        given = hostvars[host].get(name)
        if not isinstance(given, Sequence) or isinstance(given, str) or not given:
            raise FindingError(codes.BAD_ARGUMENT.at(f"{host}: its variable {name} is no list of access lists"))
    made: list[DesiredObject] = []
    for item in given:
        if not isinstance(item, Mapping) or "name" not in item:
            raise FindingError(codes.BAD_ARGUMENT.at(f"{host}: an access list without a name"))
        unknown = sorted(set(map(str, item)) - {"name", "content", "interfaces", "direction", "point"})
        if unknown:
            raise FindingError(codes.BAD_ARGUMENT.at(f"{host}: list {item['name']}: unknown {', '.join(unknown)}"))
        if item.get("direction") not in (None, "in", "out"):
            raise FindingError(codes.BAD_ARGUMENT.at(f"{host}: list {item['name']}: direction is in or out"))
        if item.get("point") not in (None, "port_acl", "router_acl"):
            raise FindingError(codes.BAD_ARGUMENT.at(f"{host}: list {item['name']}: point is port_acl or router_acl"))
        made += device_objects(platform, item)
    keys = [(each.kind, each.name) for each in made]
    if twice := sorted({name for kind, name in keys if keys.count((kind, name)) > 1}):
        raise FindingError(codes.BAD_ARGUMENT.at(f"{host}: given twice: {', '.join(twice)}"))
    return tuple(made)


def run_device_result(values: Mapping[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
    """Return one host's own result of a fleet run: changed, failed or unreachable, difference, lines and findings."""
    host = str(variables.get("inventory_hostname") or "")
    run = str(values.get("run") or "")
    if not run:
        # The last result, of whatever run, may be of another week.
        return failure([codes.BAD_ARGUMENT.at("run: the name that device_policy_fleet returned is needed")])
    place = paths_of(values).output / "devices" / f"{host}.json"
    try:
        if (found := name_finding(host, HOST_NAME, "host")) is not None:
            raise FindingError(found)
        content = read_json(place)
    except FindingError:
        return failure([target_codes.NO_RESULT.at(f"{host}: {place}")])
    of = [content.get("task"), content.get("run")] if isinstance(content, dict) else []
    if run not in of:
        return failure([target_codes.NO_RESULT.at(f"{host}: {place} is of run {of[0] if of else 'nobody'}, not {run}")])
    return host_answer(content, diff=bool(values["diff_mode"]))


def host_answer(content: Mapping[str, Any], *, diff: bool) -> dict[str, Any]:
    """Return a spooled result as an Ansible result."""
    status = content["status"]
    answer: dict[str, Any] = {
        "changed": status == CHANGED or bool(content["completed"]),
        **{key: content[key] for key in ("commands", "operations", "completed", "in_force", "run", "seconds", "findings")},
        "status": status,
    }  # fmt: skip
    if diff and content["diff"]:
        answer["diff"] = {"prepared": content["diff"]}
    if status == BEGUN:
        return {**answer, **failure([target_codes.UNFINISHED.at(str(content["host"]))])}
    if status in (FAILED, UNREACHABLE, NOT_BEGUN):
        findings = [finding_of(each) for each in content["findings"]] or [
            target_codes.NO_RESULT.at(str(content["host"]))
        ]
        failed = failure(findings)
        failed["msg"] += f"; {content['in_force']}" if content["in_force"] else ""
        answer |= failed
        if status == UNREACHABLE:
            answer = {**answer, "unreachable": True, "failed": False, "changed": False}
    return answer


def finding_of(content: Mapping[str, Any]) -> Finding:
    """Return a finding of its plain values."""
    return Finding(
        content["code"], content["severity"], content["message"], content.get("file") or "", content.get("line") or 0,
        content.get("hint") or "",
    )  # fmt: skip


def _begun(job: Job, run: str) -> DeviceResult:
    return DeviceResult(job.host, job.platform, BEGUN, job.site, in_force="not known: see its journal", run=run)


def _answer(results: Sequence[DeviceResult], spool: Spool, *, check: bool) -> dict[str, Any]:
    """Return the result of the fleet's task: it fails only where no host's own result can tell."""
    made = summary(results)
    counts = made["counts"]
    made |= {
        "changed": any(result.status == CHANGED or result.completed for result in results),
        "run": spool.task,
        "spool": str(spool.folder),
        "lines": sum(len(result.commands) if check else result.sent for result in results),
    }
    verb = "would change" if check else "changed"
    made["summary"] = (
        f"{len(results)} devices: {counts[CHANGED]} {verb}, {counts['unchanged']} as wanted, {counts[FAILED]} failed,"
        f" {counts[UNREACHABLE]} unreachable, {counts[NOT_BEGUN]} not begun"
    )
    bad = [result for result in results if not result.ok]
    made["bad_percentage"] = round(100 * len(bad) / max(1, len(results)), 2)
    made["warnings"] = [f"{result.host}: {_why(result)}" for result in bad[:SHOWN]]
    if spool.unwritten:
        text = f"results of {_named(sorted(spool.unwritten))} cannot be written below {spool.folder}"
        made |= failure([target_codes.NO_RESULT.at(text)], **made)
    return made


def _why(result: DeviceResult) -> str:
    errors = [each for each in result.findings if each.severity == "error"] or list(result.findings)
    return f"{errors[0] if errors else result.status}" + (f"; {result.in_force}" if result.in_force else "")


def _interrupted(made: dict[str, Any], results: Sequence[DeviceResult], report: Path) -> dict[str, Any]:
    """Return the result of a run that somebody ended: which devices hold what, with some names here and all in the report."""
    ended = [result for result in results if result.status != NOT_BEGUN]
    # Those that did not end well first: the others hold what is wanted.
    states = [
        f"{result.host}: {result.status}, {result.in_force}" for result in sorted(ended, key=lambda each: each.ok)
    ]
    waiting = [result.host for result in results if result.status == NOT_BEGUN]
    text = (
        f"{len(ended)} devices were brought to an end ({_named(states, '; ')}); {len(waiting)} not begun, with what they had"
        f" before: {_named(waiting)}; what each holds is in {report}"
    )
    states_of = {result.host: {"status": result.status, "in_force": result.in_force} for result in results}
    return {**made, "devices": states_of, **failure([target_codes.INTERRUPTED.at(text)])}


def _named(names: Sequence[str], between: str = ", ") -> str:
    """Return the first names, and how many more there are."""
    more = f"{between}and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return (between.join(names[:SHOWN]) or "none") + more


@contextlib.contextmanager
def interruptible(stop: threading.Event) -> Iterator[None]:
    """Set ``stop`` on SIGINT and SIGTERM instead of dying, until the block ends.

    Ansible hands both on to the process of the task and waits some seconds before it repeats: a device at work is never left
    in the middle. Only the main thread of a process may do so; elsewhere nothing happens.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before: dict[int, Any] = {}

    def note(_number: int, _frame: Any) -> None:
        if not stop.is_set():
            stop.set()
            tell("interrupted: no further device is begun, those at work are brought to an end")

    for caught in (signal.SIGINT, signal.SIGTERM):
        before[caught] = signal.signal(caught, note)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def tell(text: str, write: Callable[[int, bytes], int] = os.write) -> None:
    """Say something to the person at the terminal, past an Ansible that is ending already; never raises.

    The task's process has no output of its own. On Linux its parent's is at hand as long as the parent lives.
    """
    with contextlib.suppress(OSError, ValueError):
        descriptor = os.open(f"/proc/{os.getppid()}/fd/2", os.O_WRONLY | os.O_APPEND)
        try:
            write(descriptor, f"\n{text}\n".encode())
        finally:
            os.close(descriptor)


def runs_of(state: Path, host: str) -> list[str]:
    """Return the names of the runs in a host's journal, oldest first."""
    entries = known_entries(Keeping(state, "").journal(host))
    return list(dict.fromkeys(str(each["plan_id"]) for each in entries if each["event"] == "plan_started"))
