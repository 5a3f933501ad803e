# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts from an IOS-XE switch: show commands over SSH to observations.

Read only. A command that fails costs its own facts and a finding, never those of the other commands (facts/devices.md section 2).
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices import observe
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.codes import OUTPUT_REFUSED
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.model import Observation, Parsed, normal_mac
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.parsers import show
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.parsers.tracking import device_tracking
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.facts import Clock, HostFacts, at_host, micros
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_session import IosSession
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_switch_facts import read_sections
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.libssh import LibsshShell
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.spec import TargetSpec
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ssh import (
    close_session,
    command,
    enable,
    open_session,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.wlc_facts import (
    WirelessReading,
    is_controller,
    observations_of,
    read_wireless,
    wireless_findings,
)

COMMAND_SECONDS = 60.0
MOST_DETAILS = 384
MOST_LOGINS = 3
UPLINK_CONFIDENCE = 0.2
LOST = {codes.SESSION_LOST.number}
NOT_UNDERSTOOD = {codes.CLI_ERROR.number, codes.ECHO_LOST.number}


class Shell(Protocol):
    """A logged-in session that answers show commands."""

    def show(self, text: str, seconds: float = COMMAND_SECONDS) -> str:
        """Return a command's output; FindingError SW4261 where the session is lost or silent."""

    def close(self) -> None:
        """Close the session; never raises."""


class NetmikoShell:
    """Show commands over netmiko; enable mode only where a secret is given."""

    def __init__(self, spec: TargetSpec) -> None:
        self.spec = spec
        self._connection = open_session(spec, "cisco_xe")
        if spec.enable_password:
            enable(self._connection, spec)

    def show(self, text: str, seconds: float = COMMAND_SECONDS) -> str:
        """Return a command's output; FindingError SW4261 where the session is lost or silent."""
        return command(self._connection, text, self.spec, seconds)

    def close(self) -> None:
        """Close the session; never raises."""
        close_session(self._connection)


class TerminalShell:
    """Show commands over our own terminal: what comes is read as it comes.

    Measured beside netmiko's reading: 15 ms of CPU a switch in place of 25.
    """

    def __init__(self, spec: TargetSpec) -> None:
        self._session = IosSession(spec, privileged=bool(spec.enable_password))

    def show(self, text: str, seconds: float = COMMAND_SECONDS) -> str:
        """Return a command's output; FindingError SW4261 where the session is lost or silent for so many seconds."""
        return self._session.command(text, seconds)

    def close(self) -> None:
        """Close the session; never raises."""
        self._session.close()


def open_shell(spec: TargetSpec) -> Shell:
    """Return a shell over the transport that the spec names; FindingError SW4202 to SW4207 where there is none.

    A switch whose terminal our own does not understand (it refuses ``terminal width``, say) is read by netmiko, which asks less.
    """
    if spec.facts_transport == "libssh":
        return LibsshShell(spec)
    try:
        return TerminalShell(spec)
    except FindingError as error:
        if not {finding.code for finding in error.findings} <= NOT_UNDERSTOOD:
            raise
    return NetmikoShell(spec)


@dataclass(frozen=True)
class Question:
    """One thing to ask: its name, commands of which the first that the device knows is used, parser and observer."""

    name: str
    commands: tuple[str, ...]
    parse: Callable[[str], Parsed[Any]]
    observe: Callable[[Iterable[Any], str, int], list[Observation]]


def _nothing(_entries: Iterable[Any], _switch: str, _time: int) -> list[Observation]:
    return []


QUESTIONS = (
    Question("version", ("show version",), show.version, _nothing),
    Question("mac_table", ("show mac address-table",), show.mac_address_table, observe.of_mac_table),
    Question("arp", ("show ip arp",), show.ip_arp, observe.of_arp),
    Question(
        "device_tracking",
        ("show device-tracking database", "show ip device tracking all"),
        device_tracking,
        observe.of_device_tracking,
    ),
    Question(
        "sessions",
        ("show access-session", "show authentication sessions"),
        show.access_session,
        observe.of_sessions,
    ),
    Question(
        "session_details",
        ("show access-session details", "show authentication sessions details"),
        show.access_session_details,
        observe.of_session_details,
    ),
    Question("lldp", ("show lldp neighbors detail",), show.lldp_neighbors_detail, observe.of_lldp),
    Question(
        "dhcp_snooping",
        ("show ip dhcp snooping binding",),
        show.ip_dhcp_snooping_binding,
        observe.of_dhcp_snooping,
    ),
    Question("descriptions", ("show interfaces description",), show.interfaces_description, _nothing),
)


class _Reading:
    """One reading of one switch: sessions as they are needed, what was understood, what was not."""

    def __init__(self, spec: TargetSpec, seconds: float, opener: Callable[[TargetSpec], Shell], clock: Clock) -> None:
        self.spec, self.seconds, self.opener, self.clock = spec, seconds, opener, clock
        self.logins = 0
        self.shell: Shell | None = None
        self.findings: list[Finding] = []
        self.observations: list[Observation] = []
        self.entries: dict[str, tuple[Any, ...]] = {}
        self.texts: dict[str, str] = {}

    def note(self, finding: Finding) -> None:
        self.findings.append(at_host(self.spec.name, finding))

    def ask(self, text: str) -> str:
        """Return a command's output, in a new session where the last one was lost."""
        if self.shell is None:
            if self.logins >= MOST_LOGINS:
                lost = codes.SESSION_LOST.at(f"{self.spec.name}: lost {self.logins} times, not opened again")
                raise FindingError(lost)
            self.logins += 1
            self.shell = self.opener(self.spec)
        try:
            return self.shell.show(text, self.seconds)
        except FindingError as error:
            if any(finding.code in LOST for finding in error.findings):
                self.shell.close()
                self.shell = None
            raise

    def answer(self, question: Question) -> None:
        """Ask one question; whatever fails becomes a finding."""
        for text in question.commands:
            last = text == question.commands[-1]
            try:
                at = micros(self.clock)
                answer = self.ask(text)
                parsed = question.parse(answer)
                self.texts[question.name] = answer if question.name == "version" else ""
                self.keep(question, parsed, at)
                return
            except FindingError as error:
                refused = all(finding.code == OUTPUT_REFUSED.number for finding in error.findings)
                if not refused or last:
                    reasons = "; ".join(finding.message for finding in error.findings)
                    self.note(codes.COMMAND_FAILED.at(f"{self.spec.name}: {text}: {reasons}"))
                    return

    def keep(self, question: Question, parsed: Parsed[Any], at: int) -> None:
        """Keep what was understood and say what was not."""
        self.entries[question.name] = (*self.entries.get(question.name, ()), *parsed.entries)
        self.observations += question.observe(parsed.entries, self.spec.name, at)
        for finding in parsed.findings:
            self.note(finding)

    def wireless(self) -> WirelessReading:
        """Read the clients of a wireless controller."""
        at = micros(self.clock)
        made = read_wireless(self.spec.name, self.ask)
        self.observations += observations_of(made, self.spec.name, at)
        self.entries["wireless_clients"], self.entries["access_points"] = made.clients, made.access_points
        for finding in (*made.findings, *wireless_findings(self.spec.name, made.details)):
            self.note(finding)
        return made

    def details_by_port(self) -> None:
        """Ask for session details port by port, for switches that do not know the command without a port."""
        question = next(each for each in QUESTIONS if each.name == "session_details")
        ports = list(dict.fromkeys(row.interface for row in self.entries.get("sessions", ())))
        if len(ports) > MOST_DETAILS:
            text = f"{self.spec.name}: session details of {MOST_DETAILS} of {len(ports)} ports are read"
            self.note(codes.FACTS_FAILED.at(text))
        for port in ports[:MOST_DETAILS]:
            try:
                at = micros(self.clock)
                parsed = question.parse(self.ask(f"show access-session interface {port} details"))
                self.keep(question, parsed, at)
            except FindingError as error:
                reasons = "; ".join(finding.message for finding in error.findings)
                self.note(codes.COMMAND_FAILED.at(f"{self.spec.name}: session details of {port}: {reasons}"))
                if any(finding.code in LOST | {OUTPUT_REFUSED.number} for finding in error.findings):
                    return


def read_ios_facts(
    spec: TargetSpec,
    *,
    seconds: float = COMMAND_SECONDS,
    opener: Callable[[TargetSpec], Shell] = open_shell,
    clock: Clock = time.time,
) -> HostFacts:
    """Return what a switch says about the devices behind it.

    ``seconds`` bounds each command. Raises FindingError SW4202 to SW4207 where the switch cannot be reached or refuses the
    login; every later failure is a finding (SW4266) beside the facts that could be read.
    """
    reading = _Reading(spec, seconds, opener, clock)
    reading.shell = opener(spec)
    reading.logins = 1
    try:
        controller = False
        for question in QUESTIONS:
            if not (controller and question.name in ("sessions", "session_details")):
                reading.answer(question)
            controller = any(is_controller(each.model) for each in reading.entries.get("version", ()))
        clients = reading.wireless() if controller else None
        if not controller and "session_details" not in reading.entries and reading.entries.get("sessions"):
            reading.details_by_port()
        own = read_sections(spec.name, reading.ask, clock, reading.texts.get("version", ""), reading.entries, clients)
        for each in own.findings:
            reading.note(each)
    finally:
        if reading.shell is not None:
            reading.shell.close()
    neighbors = [each for each in reading.entries.get("lldp", ()) if is_infrastructure(each.capabilities)]
    uplinks = frozenset(each.interface for each in neighbors if each.interface)
    observations = [_demoted(each, uplinks) for each in reading.observations]
    behind = {port: macs for port, macs in _behind(observations, spec.name).items() if port not in uplinks}
    described = reading.entries.get("descriptions", ())
    observations += observe.of_descriptions(described, behind, spec.name, micros(clock))
    return HostFacts(
        spec.name,
        spec.platform,
        tuple(observations),
        tuple(reading.findings),
        {name: len(entries) for name, entries in reading.entries.items() if name != "version"},
        frozenset(normal_mac(each.mac) for each in neighbors if each.mac and _single(each.mac)),
        " ".join(f"{each.model} {each.software}".strip() for each in reading.entries.get("version", ())[:1]),
        spec.facts_transport,
        own.kept,
        own.sections,
    )


def is_infrastructure(capabilities: Sequence[str]) -> bool:
    """Return whether LLDP capabilities are those of a bridge, router or access point; a telephone with a port is an endpoint."""
    found = {each.strip().upper()[:1] for each in capabilities}
    return "T" not in found and bool(found & {"B", "R", "W"})


def _demoted(observation: Observation, uplinks: frozenset[str]) -> Observation:
    """Return what the MAC table says of a port towards another switch with little confidence: the device is elsewhere."""
    mac_table = observation.source.endswith(":mac-table")
    if mac_table and observation.facts.get("interface") in uplinks:
        return replace(observation, confidence=min(observation.confidence, UPLINK_CONFIDENCE))
    return observation


def _behind(observations: Iterable[Observation], switch: str) -> dict[str, set[str]]:
    """Return the MACs of each port by sources that are sure of it."""
    found: dict[str, set[str]] = defaultdict(set)
    for each in observations:
        interface = each.facts.get("interface")
        if interface and each.facts.get("switch") == switch and each.confidence >= 0.5:
            found[str(interface)].add(normal_mac(each.mac))
    return found


def _single(mac: str) -> bool:
    try:
        normal_mac(mac)
    except ValueError:
        return False
    return True
