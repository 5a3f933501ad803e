# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an ASA knows of the devices behind it, and of itself, for the register. Reads only."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices import observe
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.model import Parsed
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.parsers import asa
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.asa_session import AsaSession
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.facts import Clock, HostFacts, at_host, micros
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.spec import TargetSpec

COMMAND_SECONDS = 60.0
QUESTIONS: tuple[tuple[str, str, Callable[[str], Parsed[Any]]], ...] = (
    ("version", "show version", asa.version),
    ("failover", "show failover", asa.failover),
    ("interfaces", "show nameif", asa.nameif),
    ("arp", "show arp", asa.arp),
    ("connections", "show conn count", asa.conn_count),
)


def read_asa_facts(
    spec: TargetSpec,
    *,
    seconds: float = COMMAND_SECONDS,
    opener: Callable[[TargetSpec], AsaSession] = AsaSession,
    clock: Clock = time.time,
) -> HostFacts:
    """Return what a firewall says; a standby unit answers as well, and says so in a finding.

    ``seconds`` bounds each command. Raises FindingError SW4202 to SW4207 where the firewall cannot be reached or refuses the
    login; every later failure is a finding (SW4266) beside the facts that could be read.
    """
    session = opener(spec)
    findings: list[Finding] = []
    entries: dict[str, tuple[Any, ...]] = {}
    observations = []
    try:
        for name, text, parse in QUESTIONS:
            at = micros(clock)
            try:
                parsed = parse(session.show(text, seconds))
            except FindingError as error:
                reasons = "; ".join(finding.message for finding in error.findings)
                findings.append(codes.COMMAND_FAILED.at(f"{spec.name}: {text}: {reasons}"))
                if any(finding.code == codes.SESSION_LOST.number for finding in error.findings):
                    break
                continue
            entries[name] = parsed.entries
            findings += parsed.findings
            if name == "arp":
                observations = observe.of_arp(parsed.entries, spec.name, at)
    finally:
        session.close()
    for state in entries.get("failover", ()):
        if state.on and not state.state.startswith("Active"):
            findings.append(codes.ASA_STANDBY.at(f"{spec.name}: this unit is {state.state}").with_severity("warning"))
    counts = {name: len(rows) for name, rows in entries.items() if name in ("arp", "interfaces")}
    for each in entries.get("connections", ()):
        counts["connections"] = each.in_use
    return HostFacts(
        spec.name,
        spec.platform,
        tuple(observations),
        tuple(at_host(spec.name, each) for each in findings),
        counts,
        frozenset(),
        " ".join(f"{each.model} {each.software}".strip() for each in entries.get("version", ())[:1]),
        "netmiko",
    )
