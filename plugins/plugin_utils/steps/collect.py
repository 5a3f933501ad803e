# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Collect: what was read, as one result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base import codes as base_codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import write_json
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices import storage
from ansible_collections.segwright.microseg.plugins.plugin_utils.report.results import result
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.arguments import commit_name, paths_of

NEW_INPUT = ("imported", "new")
FINDING_KEYS = ("code", "severity", "message", "file", "line", "hint")


def run_collect_report(values: dict[str, Any]) -> dict[str, Any]:
    """Write ``collect.json`` from the results of the import and of the device facts; in check mode only say what it would be.

    Either result may be empty where its step did not run.
    """
    paths = paths_of(values)
    flows, devices, sources = (_ran(values.get(name)) for name in ("flows", "devices", "sources"))
    findings = [*_findings(flows), *_findings(devices), *_findings(sources)]
    register = storage.read(paths.data)
    counts = {
        "inputs": len(flows.get("inputs") or ()),
        "new_inputs": sum(1 for each in flows.get("inputs") or () if each.get("status") in NEW_INPUT),
        "records": int(flows.get("records") or 0),
        "connections": int(flows.get("connections") or 0),
        "days": len(flows.get("days") or ()),
        "devices": int(sources.get("devices") or devices.get("devices") or len(register.devices)),
        "new_devices": int(devices.get("new") or 0) + int(sources.get("new") or 0),
        "updated_devices": int(devices.get("updated") or 0) + int(sources.get("updated") or 0),
        "conflicts": len((sources or devices).get("conflicts", register.conflicts)),
        "hosts": len(devices.get("hosts") or {}),
        "sources": len(sources.get("sources") or {}),
        "disputed": len(sources.get("disputed") or ()),
        "findings": len(findings),
    }
    made = result(
        "collect",
        findings,
        commit_name(paths.policy),
        counts=counts,
        days=list(flows.get("days") or ()),
        hosts=devices.get("hosts") or {},
        failed_hosts=list(devices.get("failed_hosts") or ()),
        skipped_hosts=list(devices.get("skipped_hosts") or ()),
        readiness=dict(devices.get("readiness") or {}),
        sources=sources.get("sources") or {},
        failed_sources=list(sources.get("failed_sources") or ()),
        types=sources.get("types") or {},
        disputed=list(sources.get("disputed") or ()),
        changed=any(each.get("changed") for each in (flows, devices, sources)),
    )
    made["ok"] = made["ok"] and not any(each.get("failed") for each in (flows, devices, sources))
    made["summary"] = _summary(counts, made["failed_hosts"], flows, devices, bool(values["check_mode"]))
    if counts["sources"]:
        lost_sources = len(made["failed_sources"])
        made["summary"] += f"; {counts['sources'] - lost_sources} of {counts['sources']} sources of devices"
    if counts["disputed"]:
        made["summary"] += f"; {counts['disputed']} devices in dispute"
    if not values["check_mode"]:
        write_json(paths.output / "collect.json", made)
    return {"changed": False, "result": made, "summary": made["summary"]}


def _ran(value: Any) -> dict[str, Any]:
    """Return a step's result, empty where the step was skipped."""
    return {} if not isinstance(value, Mapping) or value.get("skipped") else dict(value)


def _summary(
    counts: Mapping[str, int],
    failed: Iterable[str],
    flows: Mapping[str, Any],
    devices: Mapping[str, Any],
    check: bool,
) -> str:
    parts = []
    lost = list(failed)
    if flows:
        new = f"{counts['new_inputs']} would be read" if check else f"{counts['new_inputs']} new"
        parts.append(f"{counts['inputs']} inputs ({new})")
        if counts["records"]:
            parts.append(f"{counts['records']} records, {counts['connections']} connections on {counts['days']} days")
    if devices:
        parts.append(
            f"{counts['devices']} devices ({counts['new_devices']} new, {counts['updated_devices']} changed,"
            f" {counts['conflicts']} conflicts) from {counts['hosts'] - len(lost)} of {counts['hosts']} hosts"
        )
    switches = devices.get("readiness") or {}
    if switches:
        ready = sum(bool(each.get("ready")) for each in switches.values())
        parts.append(f"{ready} of {len(switches)} switches ready for enforcement")
    if not parts:
        parts.append("nothing was asked for")
    if lost:
        parts.append(f"no facts from {', '.join(lost)}")
    if counts["findings"]:
        parts.append(f"{counts['findings']} findings")
    return "; ".join(parts)


def _findings(made: Mapping[str, Any]) -> list[Finding]:
    """Return the findings of a step's result; one of a host that could not be read is a warning while others could."""
    found: dict[tuple[Any, ...], Finding] = {}
    for key in ("errors", "warnings_found", "findings", "conflicts"):
        for item in made.get(key) or ():
            if not isinstance(item, Mapping) or not item.get("code"):
                continue
            values = {name: item[name] for name in FINDING_KEYS if name in item}
            if key == "findings" and values.get("severity") == "error" and not made.get("failed"):
                values["severity"] = "warning"
            finding = Finding(**values)
            found.setdefault((finding.code, finding.message, finding.file, finding.line), finding)
    if made.get("failed") and not found:
        found[()] = base_codes.INTERNAL.at(str(made.get("msg", "a step failed"))[:400])
    return list(found.values())
