# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an IOS-XE switch says of itself, in the session that reads its endpoints: sections of switch facts.

A section that cannot be read is left out, with a finding; what an earlier reading said of it stays in the file with its own time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices import codes as device_codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.configuration import normalised
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.model import Parsed
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.parsers import (
    hardware,
    lists,
    running,
    show,
    system,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.parsers.port_security import network_access
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.parsers.sessions import SessionDetails
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.parsers.tracking import tracking_policies
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.switch_facts import Section, moment_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.facts import Clock, micros
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.wlc_facts import (
    DETAIL,
    SUMMARY,
    TAGS,
    WirelessReading,
    section_of,
    sessions_of,
)

TCAM_ACTIVE = (
    "show platform hardware fed switch active fwd-asic resource tcam utilization",
    "show platform hardware fed active fwd-asic resource tcam utilization",
    "show platform tcam utilization",
    "show platform tcam utilization asic all",
)
TCAM_MEMBER = "show platform hardware fed switch {} fwd-asic resource tcam utilization"
RESOURCES_ACTIVE = (
    "show platform hardware fed switch active sgacl resource usage",
    "show platform hardware fed active sgacl resource usage",
)
RESOURCES_MEMBER = "show platform hardware fed switch {} sgacl resource usage"
RUNNING = "show running-config"
Ask = Callable[[str], str]


@dataclass
class Sections:
    """Sections as they are read, and what could not be."""

    name: str
    ask: Ask
    clock: Clock
    sections: dict[str, Section] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    kept: str = ""

    def first(self, commands: Iterable[str], optional: bool = False) -> tuple[str, str]:
        """Return the first command that the device knows, and its answer; two empty texts where there is none.

        ``optional``: a device that knows none of them is no finding.
        """
        reasons = ""
        for command in commands:
            try:
                text = self.ask(command)
                # A refusal may stand in the text of a device that calls it no error.
                show.lines_of(text, command)
            except FindingError as error:
                reasons = f"{command}: " + "; ".join(finding.message for finding in error.findings)
                if not _refused(error):
                    optional = False
                    break
            else:
                return command, text
        if not optional:
            self.findings.append(codes.COMMAND_FAILED.at(f"{self.name}: {reasons}"))
        return "", ""

    def keep(self, section: str, value: Any, commands: Iterable[str], whole: bool = True) -> None:
        """Keep a section, read now."""
        self.sections[section] = Section(value, moment_of(micros(self.clock)), tuple(commands), whole)

    def note(self, findings: Iterable[Finding]) -> None:
        """Keep findings of a parser, under the switch's name."""
        self.findings += findings


def _refused(error: FindingError) -> bool:
    return all(finding.code == device_codes.OUTPUT_REFUSED.number for finding in error.findings)


def read_sections(
    name: str,
    ask: Ask,
    clock: Clock,
    version_text: str,
    entries: Mapping[str, tuple[Any, ...]],
    clients: WirelessReading | None = None,
) -> Sections:
    """Return the sections that a switch gives, findings for the others, and its configuration for keeping.

    ``version_text`` is what ``show version`` said; ``entries`` are rows already read in this session, by question;
    ``clients`` those of a wireless controller.
    """
    made = Sections(name, ask, clock)
    members = _system(made, version_text, entries.get("version", ()))
    for read in (_clock, _access_lists, _configuration, _tracking):
        read(made)
    _hardware(made, members, "tcam", TCAM_ACTIVE, TCAM_MEMBER, hardware.tcam_utilization)
    _hardware(made, members, "sgacl_resources", RESOURCES_ACTIVE, RESOURCES_MEMBER, hardware.sgacl_resources)
    if clients is not None:
        commands = (SUMMARY, TAGS, DETAIL.format("MAC"))
        made.keep("wireless", section_of(clients), commands, clients.whole)
        made.keep("sessions", {"sessions": sessions_of(clients.details)}, commands, clients.whole)
    elif "session_details" in entries:
        made.keep("sessions", {"sessions": [_session(each) for each in entries["session_details"]]}, ())
    return made


def _system(made: Sections, text: str, versions: tuple[Any, ...]) -> tuple[int, ...]:
    """Keep what the switch is; returns the numbers of its stack members, empty where it lists none."""
    if not versions:
        return ()
    version = versions[0]
    stack = system.members(text)
    value = {
        "hostname": version.hostname,
        "model": version.model,
        "software": version.software,
        "image": version.image,
        "serial": version.serial,
        "uptime_seconds": system.uptime_seconds(version.uptime),
        "members": [asdict(each) for each in stack],
    }
    made.keep("system", value, ("show version",))
    return tuple(each.number for each in stack)


def _clock(made: Sections) -> None:
    command, text = made.first(("show clock",))
    if not command:
        return
    asked = micros(made.clock)
    parsed = _parsed(made, system.clock, text)
    if parsed is not None and parsed.entries:
        seen = parsed.entries[0]
        made.keep("clock", {**asdict(seen), "controller": moment_of(asked)}, (command,))


def _access_lists(made: Sections) -> None:
    command, text = made.first(("show access-lists", "show ip access-lists"))
    if not command:
        return
    parsed = _parsed(made, lists.access_lists, text)
    if parsed is None:
        return
    found, whole, commands = list(parsed.entries), parsed.whole, [command]
    if command == "show ip access-lists":  # which leaves out IPv6
        six, text = made.first(("show ipv6 access-list",), optional=True)
        more = _parsed(made, lists.access_lists, text) if six and text.strip() else None
        if more is not None:
            found, whole, commands = [*found, *more.entries], whole and more.whole, [command, six]
    made.keep("access_lists", {"lists": [asdict(each) for each in found]}, tuple(commands), whole)


def _configuration(made: Sections) -> None:
    command, text = made.first((RUNNING,))
    if not command:
        return
    try:
        found = running.blocks(text)
        made.kept = normalised(text, made.name)
    except FindingError as error:
        made.note(error.findings)
        return
    made.keep("configuration", network_access(found), (command,))


def _tracking(made: Sections) -> None:
    command, text = made.first(("show device-tracking policies",), optional=True)
    parsed = _parsed(made, tracking_policies, text) if command else None
    if parsed is not None:
        made.keep(
            "tracking_policies", {"policies": [asdict(each) for each in parsed.entries]}, (command,), parsed.whole
        )


def _hardware(
    made: Sections,
    members: tuple[int, ...],
    section: str,
    active: tuple[str, ...],
    member: str,
    parse: Callable[[str], Parsed[hardware.HardwareRegion]],
) -> None:
    """Keep the regions of every member of a stack; a member that does not answer leaves the section out, since it may be the fullest."""
    regions: list[dict[str, Any]] = []
    asked: list[str] = []
    whole = True
    for number in members if len(members) > 1 else (0,):
        before = len(made.findings)
        command, text = made.first((member.format(number),) if number else active, optional=True)
        parsed = _parsed(made, parse, text) if command else None
        if parsed is None:
            if section == "tcam" and not command and len(made.findings) == before:
                what = f"{made.name}: member {number}" if number else made.name
                made.findings.append(device_codes.HARDWARE_UNKNOWN.at(what))
            return
        # Where there is no stack the number of the only member is 1, as in the names of its ports.
        regions += [{"member": number or (members[0] if members else 1), **asdict(each)} for each in parsed.entries]
        asked.append(command)
        whole = whole and parsed.whole
    made.keep(section, {"regions": regions}, asked, whole)


def _parsed(made: Sections, parse: Callable[[str], Parsed[Any]], text: str) -> Parsed[Any] | None:
    try:
        parsed = parse(text)
    except FindingError as error:
        made.note(error.findings)
        return None
    made.note(parsed.findings)
    return parsed


def _session(each: SessionDetails) -> dict[str, Any]:
    return {
        "interface": each.interface,
        "mac": each.mac,
        "authorized": each.authorized,
        "method": next((name for name, state in each.methods.items() if "Success" in state), ""),
        "domain": each.values.get("Domain", ""),
        "access_lists": list(each.acs_acls),
        "sgt": each.sgt,
        "vlan": each.vlan,
    }
