# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts from an NX-OS switch: where the MAC table and the ARP tables of all VRFs see devices. Reads only.

A command that fails costs its own facts and a finding, never those of the other.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices import observe
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.model import Observation, Parsed
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.parsers import nxos
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.facts import Clock, HostFacts, at_host, micros
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nxos_session import NxosSession
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.spec import TargetSpec

COMMAND_SECONDS = 60.0
MOST_LOGINS = 3
QUESTIONS: tuple[
    tuple[str, str, Callable[[str], Parsed[Any]], Callable[[Iterable[Any], str, int], list[Observation]]], ...
] = (
    ("mac_table", "show mac address-table", nxos.mac_address_table, observe.of_mac_table),
    ("arp", "show ip arp vrf all", nxos.ip_arp, observe.of_arp),
)


def read_nxos_facts(
    spec: TargetSpec,
    *,
    seconds: float = COMMAND_SECONDS,
    opener: Callable[[TargetSpec], NxosSession] = NxosSession,
    clock: Clock = time.time,
) -> HostFacts:
    """Return what a switch says about the devices behind it.

    ``seconds`` bounds each command. Raises FindingError SW4202 to SW4206 where the switch cannot be reached or refuses the login;
    every later failure is a finding (SW4266) beside the facts that could be read.
    """
    session: NxosSession | None = opener(spec)
    logins = 1
    observations: list[Observation] = []
    findings: list[Finding] = []
    counts: dict[str, int] = {}
    software = ""
    try:
        for name, command, parse, seen in (("version", "show version", None, None), *QUESTIONS):
            try:
                if session is None:
                    if logins >= MOST_LOGINS:
                        findings.append(
                            codes.COMMAND_FAILED.at(f"{spec.name}: {command}: the session was lost {logins} times")
                        )
                        break
                    logins += 1
                    session = opener(spec)
                at = micros(clock)
                answer = session.show(command, seconds)
                if parse is None or seen is None:
                    found = re.search(r"(?m)^\s*(?:NXOS|system):\s+version (\S+)", answer)
                    software = f"NX-OS {found[1]}" if found else ""
                    continue
                parsed = parse(answer)
                counts[name] = len(parsed.entries)
                observations += seen(parsed.entries, spec.name, at)
                findings += [at_host(spec.name, finding) for finding in parsed.findings]
            except FindingError as error:
                if session is not None and any(finding.code == codes.SESSION_LOST.number for finding in error.findings):
                    session.close()
                    session = None
                reasons = "; ".join(finding.message for finding in error.findings)
                findings.append(codes.COMMAND_FAILED.at(f"{spec.name}: {command}: {reasons}"))
    finally:
        if session is not None:
            session.close()
    return HostFacts(
        spec.name, spec.platform, tuple(observations), tuple(findings), counts, frozenset(), software, "netmiko"
    )
