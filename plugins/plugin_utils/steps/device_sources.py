# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Device sources: read leases, inventories and recorded traffic into the register, add vendors by OUI, and say what devices are."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.clock import iso_now
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import write_json
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import (
    Finding,
    FindingError,
    sorted_findings,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.redact import redact_text
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices import codes as device_codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices import storage
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.model import (
    FACT_NAMES,
    Observation,
    is_local,
    normal_mac,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.oui import OuiTable, read_oui
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.register import (
    Register,
    merge,
    observations_of,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.sources.kind import Asked, Kind, Reading
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.sources.registry import asked_of, kinds
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.served import port_observations
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.segments import counts_by_type
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.arguments import paths_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.classified import (
    Classified,
    classify,
    rule_base_of,
    site_document,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.device_facts import difference, observation_value

SHOWN = 100
OUI_SOURCE = "oui"
OUI_SURE = 0.9
DAY_US = 86_400_000_000


def run_device_sources(values: dict[str, Any]) -> dict[str, Any]:
    """Read the sources, update the register and classify it; in check mode read but write nothing.

    A source that cannot be read is an error and the others are used; failed where any is, with ``strict``, or all are.
    """
    paths = paths_of(values)
    now = int(time.time() * 1_000_000)
    known = kinds(values.get("source_plugins") or ())
    asked = asked_of(values.get("sources") or (), known, now)
    table, findings = read_oui(values.get("oui_files") or ())
    document, faults = site_document(paths.policy)
    base, more = rule_base_of(document)
    readings = [(each, _read(kind, each)) for kind, each in asked]
    observations = [one for _asked, (made, _failed) in readings for one in made.observations]
    findings += [finding for _asked, (made, _failed) in readings for finding in made.findings]
    if values.get("flows"):
        observations += _of_flows(values, paths.data, document.value if document else {}, now)
    before = storage.read(paths.data)
    everything = [*observations_of(before), *observations]
    if len(table):
        # What an older table said is said anew, so that the register depends on the table and not on when it was given.
        everything = [each for each in everything if each.source != OUI_SOURCE]
        everything += vendor_observations(everything, table)
    after = merge(everything)
    made = classify(after, base, document, [*faults, *more])
    if not values["check_mode"]:
        _write(paths.data, before, after, readings, made)
    failed = [each.name for each, (_made, bad) in readings if bad]
    return _result(values, before, made, [*findings, *made.findings], failed, readings, len(table))


def _read(kind: Kind, asked: Asked) -> tuple[Reading, bool]:
    """Return one source's reading and whether it failed; nothing that goes wrong with one source reaches the others."""
    try:
        made = kind.read(asked)
        _check(made)
        return made, False
    except FindingError as error:
        findings = error.findings
    except Exception as error:  # one source's surprise must not cost the others
        text = redact_text(f"{asked.name}: {type(error).__name__}: {error}", asked.secrets)[:300]
        findings = (device_codes.SOURCE_FAILED.at(text),)
    return Reading((), tuple(findings)), True


def _check(made: Any) -> None:
    """Raise TypeError where a user's module hands back something else than it declares."""
    if not isinstance(made, Reading) or not all(isinstance(each, Observation) for each in made.observations):
        raise TypeError("it does not return a Reading of observations")
    for each in made.observations:
        for name in each.facts:
            if name not in FACT_NAMES:
                raise TypeError(f"{str(name)[:60]!r} is no fact of the register")


def _of_flows(values: Mapping[str, Any], data_dir: Path, settings: Mapping[str, Any], now: int) -> list[Observation]:
    days = values.get("window_days")
    since = now - int(days) * DAY_US if days else None
    return port_observations(data_dir, since, inside=values.get("inside") or (), engine=values.get("engine") or "")


def vendor_observations(observations: Sequence[Observation], table: OuiTable) -> list[Observation]:
    """Return the vendor of each device by its MAC, at the time of the newest word about it; none for a locally administered MAC."""
    newest: dict[str, int] = {}
    for each in observations:
        newest[each.mac] = max(newest.get(each.mac, 0), each.time if each.facts else 0)
    made = []
    for mac, moment in newest.items():
        try:
            found = table.vendor(normal_mac(mac))
        except (ValueError, AttributeError):
            continue  # of which merge says so
        if found is not None:
            made.append(Observation(mac, {"oui_vendor": found[0]}, (), OUI_SOURCE, moment, OUI_SURE))
    return made


def _write(
    data_dir: Path,
    before: Register,
    after: Register,
    readings: Sequence[tuple[Asked, tuple[Reading, bool]]],
    made: Classified,
) -> None:
    folder = storage.register_dir(data_dir)
    if after != before or not (folder / "register.json").exists():
        storage.write(after, data_dir)
    for asked, (reading, failed) in readings:
        if not failed:
            write_json(
                folder / "observations" / f"source-{asked.name}.json",
                {
                    "kind": "observations",
                    "schema_version": "1.0",
                    "generated_at": iso_now(),
                    "host": asked.name,
                    "platform": "source",
                    "observations": [observation_value(one) for one in reading.observations],
                    "findings": [one.as_dict() for one in reading.findings],
                },
            )
    write_json(
        folder / "classification.json",
        {
            "kind": "classification",
            "schema_version": "1.0",
            "generated_at": iso_now(),
            "devices": [each.as_dict() for each in made.classified.values()],
        },
    )


def _result(
    values: Mapping[str, Any],
    before: Register,
    made: Classified,
    findings: Sequence[Finding],
    failed: Sequence[str],
    readings: Sequence[tuple[Asked, tuple[Reading, bool]]],
    vendors: int,
) -> dict[str, Any]:
    after = made.register
    new, changed = difference(before, after)
    said = [*findings, *(finding for each in made.classified.values() for finding in each.findings)]
    said += _hosts(after)
    said += _decisions(made)
    uses = {
        use: sum(1 for each in made.classified.values() if each.use == use) for use in ("enforce", "monitor", "review")
    }
    result: dict[str, Any] = {
        "changed": bool(new or changed),
        "devices": len(after.devices),
        "new": len(new),
        "new_devices": new[:SHOWN],
        "updated": len(changed),
        "updated_devices": changed[:SHOWN],
        "conflicts": [each.as_dict() for each in after.conflicts[:SHOWN]],
        "sources": {
            each.name: {"ok": not bad, **reading.counts, "findings": [one.as_dict() for one in reading.findings]}
            for each, (reading, bad) in readings
        },
        "types": counts_by_type(made.classified.values()),
        "uses": uses,
        "disputed": [each.device for each in made.classified.values() if each.disputed][:SHOWN],
        "hosts_without_mac": sum(1 for each in after.hosts.values() if not each.devices),
        "randomised": sum(1 for each in after.devices if is_local(each)),
        "vendors": vendors,
        "failed_sources": list(failed),
        "findings": [each.as_dict() for each in sorted_findings(said)],
    }
    result["summary"] = (
        f"{len(after.devices)} devices from {len(readings) - len(failed)} of {len(readings)} sources: {len(new)} new,"
        f" {len(changed)} changed; {len(after.devices) - uses['review']} of a known type, {len(result['disputed'])} in dispute"
    )
    if failed and (values.get("strict") or len(failed) == len(readings)):
        errors = [each for each in findings if each.severity == "error"] or list(findings)
        result |= {
            "failed": True,
            "msg": f"sources could not be read: {errors[0]}" + (f" [{errors[0].hint}]" if errors[0].hint else ""),
            "errors": [each.as_dict() for each in errors],
        }
    elif failed:
        result["warnings"] = [f"nothing from source {name}" for name in failed[:SHOWN]]
    return result


def _hosts(register: Register) -> list[Finding]:
    lost = [each.address for each in register.hosts.values() if not each.devices]
    if not lost:
        return []
    shown = ", ".join(lost[:5]) + (f" and {len(lost) - 5} more" if len(lost) > 5 else "")
    return [device_codes.NO_MAC.at(f"{len(lost)} addresses: {shown}")]


def _decisions(made: Classified) -> list[Finding]:
    return [
        device_codes.DECISION_UNKNOWN.at(f"{name} is decided to be {each.type}", each.location)
        for name, each in sorted(made.base.decisions.items())
        if name not in made.register.devices
    ]
