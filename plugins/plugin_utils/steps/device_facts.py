# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Device facts: read ISE and switches in a pool of threads, put what they say into the register."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base import codes as base_codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.clock import iso_now
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import write_json
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.redact import redact_text
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.signatures import TrustedKeys
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices import codes as device_codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices import storage, switch_facts
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.model import (
    AddressClaim,
    Observation,
    normal_mac,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.readiness import Readiness, readiness
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.register import (
    Device,
    Register,
    merge,
    observations_of,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.configurations import Compared, compared, keep
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.connections import target_specs
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.fleet import run_hosts, side_by_side
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.asa_facts import read_asa_facts
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.facts import HostFacts
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_facts import read_ios_facts
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_facts import read_ise_facts
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nxos_facts import read_nxos_facts
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.registry import ise_client
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.spec import TargetSpec

MOST_WORKERS = 128
SHOWN = 100
PLATFORMS = ("ise", "ios", "nxos", "asa")
# Who saw a device itself, not only a MAC address on its way: such a device is never taken for a switch or router.
OWN_SOURCES = ("ise:endpoint", "ise:session")


@dataclass(frozen=True)
class Read:
    """One host's reading: its facts, or the findings for which there are none. ``seconds`` is wall time."""

    name: str
    platform: str
    facts: HostFacts | None
    findings: tuple[Finding, ...]
    seconds: float

    @property
    def ok(self) -> bool:
        """Return whether the host could be read at all."""
        return self.facts is not None


def run_device_facts(values: dict[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
    """Read the hosts of this run and update the register; in check mode read but write nothing.

    Hosts that cannot be read are named and the others kept; failed where all of them cannot be read, or any with ``strict``.
    """
    hosts = run_hosts(values, variables)
    specs, refused, skipped = _specs(variables.get("hostvars") or {}, hosts)
    seconds = float(_given(values, "command_timeout", 60.0))
    timeout = float(_given(values, "connect_timeout", 30.0))
    if not 0 < seconds <= 3600 or not 0 < timeout <= 600:
        raise FindingError(codes.BAD_ARGUMENT.at("command_timeout is above 0 and at most 3600, connect_timeout 600"))
    workers = int(_given(values, "workers", 16))
    if not 1 <= workers <= MOST_WORKERS:
        raise FindingError(codes.BAD_ARGUMENT.at(f"workers: {workers} is not between 1 and {MOST_WORKERS}"))
    specs = [replace(spec, timeout=timeout) for spec in specs]
    reads = [*refused, *read_hosts(specs, workers, seconds)]
    return outcome(values, sorted(reads, key=lambda each: each.name), skipped)


def _given(values: Mapping[str, Any], name: str, default: Any) -> Any:
    found = values.get(name)
    return default if found is None else found


def _specs(hostvars: Mapping[str, Any], hosts: Sequence[str]) -> tuple[list[TargetSpec], list[Read], list[str]]:
    """Return the specs of the hosts that give facts, the hosts whose description is faulty, and those that give none."""
    specs, refused, skipped = [], [], []
    for host in hosts:
        try:
            spec = TargetSpec.of(target_specs(hostvars, [host])[0])
            if spec.platform in PLATFORMS:
                specs.append(spec)
            else:
                skipped.append(host)
        except FindingError as error:
            refused.append(Read(host, "", None, error.findings, 0.0))
    return specs, refused, skipped


def read_hosts(specs: Sequence[TargetSpec], workers: int, seconds: float) -> list[Read]:
    """Return one reading for each spec, from at most ``workers`` sessions at a time."""
    switches = {spec.address: spec.name for spec in specs if spec.platform in ("ios", "nxos")}
    if not specs:
        return []
    with ThreadPoolExecutor(max_workers=min(workers, len(specs))) as pool:
        return list(pool.map(lambda spec: read_host(spec, seconds, switches), specs))


def read_host(spec: TargetSpec, seconds: float, switches: Mapping[str, str]) -> Read:
    """Return one host's reading; nothing that goes wrong with one host reaches the others."""
    began = time.monotonic()
    facts: HostFacts | None = None
    findings: tuple[Finding, ...]
    try:
        facts = _facts(spec, seconds, switches)
        findings = facts.findings
    except FindingError as error:
        findings = tuple(error.findings)
    except Exception as error:  # one host's surprise must not cost the others
        text = redact_text(f"{spec.name}: {type(error).__name__}: {error}", spec.secrets)[:300]
        findings = (base_codes.INTERNAL.at(text),)
    return Read(spec.name, spec.platform, facts, findings, time.monotonic() - began)


def _facts(spec: TargetSpec, seconds: float, switches: Mapping[str, str]) -> HostFacts:
    if spec.platform == "ios":
        return read_ios_facts(spec, seconds=seconds)
    if spec.platform == "nxos":
        return read_nxos_facts(spec, seconds=seconds)
    if spec.platform == "asa":
        return read_asa_facts(spec, seconds=seconds)
    client = ise_client(spec)
    try:
        return read_ise_facts(client, spec.name, switches=switches)
    finally:
        client.close()


def endpoint_observations(reads: Iterable[Read]) -> list[Observation]:
    """Return the observations of all hosts without those of switches and routers that are neighbours of a switch.

    A neighbour that has a session or is an endpoint of ISE stays: a workstation may call itself a bridge.
    """
    facts = [each.facts for each in reads if each.facts is not None]
    everything = [each for one in facts for each in one.observations]
    own = {_mac(each.mac) for each in everything if each.source in OWN_SOURCES or each.source.endswith(":session")}
    left_out = {mac for one in facts for mac in one.infrastructure} - own
    return [each for each in everything if _mac(each.mac) not in left_out]


def outcome(values: Mapping[str, Any], reads: Sequence[Read], skipped: Sequence[str]) -> dict[str, Any]:
    """Put what was read into the register and return the result."""
    data_dir, check = values["data_dir"], bool(values["check_mode"])
    failed = [each for each in reads if not each.ok]
    observations = endpoint_observations(reads)
    before = storage.read(data_dir)
    if check:
        after = merge([*observations_of(before), *observations])
    elif observations:
        after, _written = storage.update(data_dir, observations)
        write_observations(data_dir, reads)
    else:
        after = before
    judged, unwritten = switches_of(data_dir, reads, check)
    held = _configurations(values, reads, check)
    new, changed = difference(before, after)
    findings = [*(finding for each in reads for finding in each.findings), *unwritten, *held.findings]
    result: dict[str, Any] = {
        "changed": bool(new or changed),
        "devices": len(after.devices),
        "new": len(new),
        "new_devices": new[:SHOWN],
        "updated": len(changed),
        "updated_devices": changed[:SHOWN],
        "conflicts": [each.as_dict() for each in after.conflicts[:SHOWN]],
        "hosts": {each.name: summary_of(each) for each in reads},
        "failed_hosts": [each.name for each in failed],
        "skipped_hosts": sorted(skipped),
        "findings": [each.as_dict() for each in findings],
        "readiness": readiness_of(judged),
        "deviations": dict(held.deviations),
    }
    read = len(reads) - len(failed)
    result["summary"] = (
        f"{len(after.devices)} devices from {read} of {len(reads)} hosts:"
        f" {len(new)} new, {len(changed)} changed, {len(after.conflicts)} conflicts"
    )
    if judged:
        ready = sum(each.ready for each in judged)
        result["summary"] += f"; {ready} of {len(judged)} switches ready for enforcement"
    if failed and (values.get("strict") or not read):
        first = failed[0].findings[0]
        shown = f"{first}" + (f" [{first.hint}]" if first.hint else "")
        more = f" (and {len(failed) - 1} more hosts)" if len(failed) > 1 else ""
        errors = [finding.as_dict() for each in failed for finding in each.findings]
        result |= {"failed": True, "msg": f"facts could not be read: {shown}{more}", "errors": errors}
    elif failed:
        result["warnings"] = [f"no facts from {each.name}: {each.findings[0]}" for each in failed[:SHOWN]]
    return result


def _configurations(values: Mapping[str, Any], reads: Sequence[Read], check: bool) -> Compared:
    """Keep the configurations that were read, and hold them against the signed ones where a directory of these is given."""
    texts = {each.name: each.facts.configuration for each in reads if each.facts and each.facts.configuration}
    unwritten = [] if check else keep(values["data_dir"], texts)
    if not values.get("baseline_dir"):
        return Compared({}, tuple(unwritten))
    made = compared(texts, values["baseline_dir"], TrustedKeys(str(values.get("allowed_signers") or "")))
    return Compared(made.deviations, (*unwritten, *made.findings))


def summary_of(read: Read) -> dict[str, Any]:
    """Return what a result says of one host."""
    facts = read.facts
    return {
        "ok": read.ok,
        "platform": read.platform,
        "seconds": round(read.seconds, 2),
        "transport": facts.transport if facts else "",
        "software": facts.software if facts else "",
        "observations": len(facts.observations) if facts else 0,
        "counts": dict(facts.counts) if facts else {},
        "findings": [each.as_dict() for each in read.findings],
    }


def difference(before: Register, after: Register) -> tuple[list[str], list[str]]:
    """Return the ids of new devices and of those whose facts or addresses say something else; being seen again is no change."""
    new = sorted(set(after.devices) - set(before.devices))
    changed = [
        name
        for name in sorted(set(after.devices) & set(before.devices))
        if _meaning(after.devices[name]) != _meaning(before.devices[name])
    ]
    return new, changed


def _meaning(device: Device) -> tuple[Any, ...]:
    facts = {name: fact.value for name, fact in device.facts.items()}
    return facts, {(each.address, each.contested) for each in device.addresses}


def write_observations(data_dir: str | Path, reads: Iterable[Read]) -> None:
    """Write what each host said beside the register, for audits (docs/formats/register.md)."""
    folder = storage.register_dir(data_dir) / "observations"
    moment = iso_now()

    def write(each: Read) -> None:
        if each.facts is None:
            return
        document = {
            "kind": "observations",
            "schema_version": "1.0",
            "generated_at": moment,
            "host": each.name,
            "platform": each.platform,
            "observations": [observation_value(one) for one in each.facts.observations],
            "findings": [one.as_dict() for one in each.findings],
        }
        write_json(folder / f"{each.name}.json", document)

    side_by_side(write, reads)


def switches_of(data_dir: str | Path, reads: Iterable[Read], check: bool) -> tuple[list[Readiness], list[Finding]]:
    """Return the readiness of each switch that said something of itself, and a finding for each file that cannot be written.

    What is known, the reading before included, goes to a file for each switch (docs/formats/switch-facts.md), but not in check mode.
    """
    switches = [
        switch_facts.SwitchFacts(each.name, each.platform, each.facts.switch, each.findings)
        for each in reads
        if each.facts is not None and each.facts.switch
    ]
    if check:
        return [readiness(facts) for facts in switches], []

    def write(facts: switch_facts.SwitchFacts) -> tuple[list[Readiness], list[Finding]]:
        judged: list[Readiness] = []

        def judge(known: switch_facts.SwitchFacts) -> dict[str, Any]:
            judged.append(readiness(known))
            return {"readiness": judged[-1].as_dict()}

        try:
            switch_facts.write(data_dir, facts, judge)
        except FindingError as error:
            return judged, list(error.findings)
        except OSError as error:
            return judged, [device_codes.SWITCH_FACTS_DAMAGED.at(f"{facts.host}: not written: {error.strerror}")]
        return judged, []

    made = side_by_side(write, switches)
    return [each for judged, _found in made for each in judged], [each for _judged, found in made for each in found]


def readiness_of(judged: Sequence[Readiness]) -> dict[str, Any]:
    """Return what a result says of readiness: by switch if it is ready, findings, missing lines, how many ports do what without RADIUS.

    Every port is in the switch's file.
    """
    return {
        each.host: {
            "ready": each.ready,
            "read_at": each.read_at,
            "ports": len(each.ports),
            "ports_ready": sum(port.ready for port in each.ports),
            "without_radius": dict(sorted(Counter(port.outcome for port in each.ports).items())),
            "findings": [finding.as_dict() for finding in each.findings],
            "lines": list(each.lines),
        }
        for each in judged
    }


def observation_value(observation: Observation) -> dict[str, Any]:
    """Return an observation as plain values, times as RFC 3339 text."""
    addresses = [
        each if isinstance(each, AddressClaim) else AddressClaim(each, observation.time, observation.time)
        for each in observation.addresses
    ]
    return {
        "device": _mac(observation.mac),
        "facts": dict(observation.facts),
        "addresses": [
            {
                **asdict(each),
                "since": storage.moment_text(observation.time if each.since is None else each.since),
                "until": storage.moment_text(observation.time if each.until is None else each.until),
            }
            for each in addresses
        ],
        "source": observation.source,
        "time": storage.moment_text(observation.time),
        "confidence": observation.confidence,
    }


def _mac(text: str) -> str:
    try:
        return normal_mac(text)
    except ValueError:
        return text
