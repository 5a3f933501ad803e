# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks every enforcement point of the running lab about the same set of probes and compares with the lab's judge.

fw1 is asked with packets. DACLs and cells are read from the emulated ISE, port ACLs from the emulated switches' running
configuration, all through the lab's control channels, and evaluated by ``evaluate.py``; the switch is then asked what its
port or cell does with the same packet, which shows that what ISE holds has arrived there. Nothing here comes from the
product: probes and verdicts are made from the policy documents by ``judge.py``.
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import control
from .description import Hospital, load_hospital
from .evaluate import evaluate_acl, evaluate_matrix
from .iosxe.control_client import ControlClient
from .judge import (
    PacketOfProbe,
    PolicyReading,
    expected_in_cell,
    expected_on_access_port,
    expected_on_firewall,
    packets_of,
    points_on_the_way,
    read_policy,
    replies_of,
    seen_by_firewall,
)
from .net.prober import Probe
from .net.probes import Permitted, make_probes
from .places import Places
from .state import read_state

# Client ports at which permitted conversations are asked again: rules must not depend on the port a client happens to get.
MORE_CLIENT_PORTS = (1024, 32768, 60999, 65535)
NOT_SEEN = "no firewall on the way"


@dataclass(frozen=True)
class Answer:
    """What one point said about one probe. line: what decided, where the point tells."""

    point: str
    purpose: str
    probe: str
    expected: bool
    found: bool | None
    line: str = ""

    @property
    def right(self) -> bool:
        return self.expected == self.found

    def text(self) -> str:
        words = {True: "permits", False: "denies", None: "does not understand"}
        return f"{self.point} {words[self.found]} {self.probe}" + (f" by {self.line}" if self.line else "")


@dataclass
class Report:
    """All answers. probes: how many were asked; permitted: how many of them the policy permits."""

    answers: list[Answer] = field(default_factory=list)
    probes: int = 0
    permitted: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    unanswered: list[str] = field(default_factory=list)

    @property
    def wrong(self) -> list[Answer]:
        return [each for each in self.answers if not each.right]

    @property
    def ok(self) -> bool:
        return not self.wrong and not self.unanswered and bool(self.answers)

    def by_point(self) -> dict[str, dict[str, int]]:
        """Per point: how many answers, how many permitted, denied and wrong."""
        found: dict[str, dict[str, int]] = {}
        for each in self.answers:
            row = found.setdefault(each.point, {"asked": 0, "permitted": 0, "denied": 0, "wrong": 0})
            row["asked"] += 1
            row["permitted"] += each.found is True
            row["denied"] += each.found is False
            row["wrong"] += not each.right
        return dict(sorted(found.items()))

    def by_purpose(self) -> dict[str, dict[str, int]]:
        """Per kind of probe and point: how many answers permit and deny."""
        found: dict[str, Counter[str]] = {}
        for each in self.answers:
            word = {True: "permits", False: "denies", None: "has no verdict"}[each.found]
            found.setdefault(each.purpose, Counter())[f"{each.point} {word}"] += 1
        return {purpose: dict(sorted(row.items())) for purpose, row in sorted(found.items())}

    def as_dict(self) -> dict[str, Any]:
        return {
            "probes": self.probes,
            "permitted": self.permitted,
            "points": self.by_point(),
            "purposes": self.by_purpose(),
            "skipped": dict(self.skipped),
            "wrong": [dataclasses.asdict(each) for each in self.wrong],
            "unanswered": self.unanswered,
        }

    def lines(self) -> list[str]:
        """The counts for people."""
        share = round(100 * self.permitted / self.probes) if self.probes else 0
        found = [f"{self.probes} probes, {self.permitted} of them permitted ({share} %)"]
        for point, row in self.by_point().items():
            found.append(
                f"{point}: {row['asked']} asked, {row['permitted']} pass, {row['denied']} are dropped, {row['wrong']} wrong"
            )
        for reason, count in sorted(self.skipped.items()):
            found.append(f"not asked, {reason}: {count}")
        found += [
            f"WRONG {each.text()} (expected: {'permit' if each.expected else 'deny'})" for each in self.wrong[:20]
        ]
        found += [f"NO ANSWER {text}" for text in self.unanswered[:20]]
        return found


def probes_for(reading: PolicyReading, hospital: Hospital) -> list[Probe]:
    """Every permitted conversation at several client ports, and everything that is nearly it but must not pass."""
    found = make_probes(reading.permitted, hospital)
    for each in reading.permitted:
        if each.client_port is None:
            found += [_open(each, port) for port in MORE_CLIENT_PORTS]
    return found


def _open(each: Permitted, client_port: int) -> Probe:
    return Probe(each.client, each.server, each.protocol, each.port, client_port, "open", "permitted", True)


def check(places: Places, policy: Path) -> Report:
    """Ask every point of the running lab; needs the policy applied at stage enforce."""
    hospital = load_hospital()
    reading = read_policy(policy, hospital)
    probes = probes_for(reading, hospital)
    report = Report(probes=len(probes), permitted=sum(1 for each in probes if each.permitted))
    parts = (read_state(places) or {}).get("parts", {})
    if "fw1" in parts:
        ask_firewall(places, reading, probes, report)
    else:
        report.skipped["fw1 is not in this lab"] = len(probes)
    if "ise" in parts and "switches" in parts:
        stateless = StatelessPoints(places, hospital, reading)
        stateless.ask([*probes, *replies_of(reading)], report)
    return report


def ask_firewall(places: Places, reading: PolicyReading, probes: Iterable[Probe], report: Report) -> None:
    """Send the probes that cross fw1 as packets."""
    asked: list[tuple[Probe, bool]] = []
    for probe in probes:
        if not seen_by_firewall(reading, probe):
            report.skipped[NOT_SEEN] += 1
            continue
        expected = expected_on_firewall(reading, probe)
        if expected is None:
            report.skipped["either verdict is safe at fw1"] += 1
        else:
            asked.append((probe, expected))
    silent = []
    for (probe, expected), result in zip(asked, _send(places, [probe for probe, _ in asked]), strict=True):
        report.answers.append(Answer("fw1", probe.purpose, probe.text(), expected, bool(result["delivered"])))
        # The first answer comes back by connection tracking. Programs of the hospital may rightly ignore a probe's datagram.
        if expected and probe.protocol == "tcp" and probe.kind == "open" and not result["answered"]:
            silent.append(probe)
    # A program with a short queue does not take many connections at one moment; one by one it must.
    for probe in silent:
        if not _send(places, [probe])[0]["answered"]:
            report.unanswered.append(f"fw1 {probe.text()}")


def _send(places: Places, probes: list[Probe]) -> list[dict[str, Any]]:
    body = {"probes": [dataclasses.asdict(each) for each in probes], "timeout": 0.5}
    found: list[dict[str, Any]] = control.call(places.control, "POST", "/probe", body, timeout=300)["results"]
    return found


class StatelessPoints:
    """DACLs, port ACLs and cells as the lab's parts hold them."""

    def __init__(self, places: Places, hospital: Hospital, reading: PolicyReading) -> None:
        self.places, self.hospital, self.reading = places, hospital, reading
        self.switches = ControlClient(*places.switch_control)
        self.sessions: dict[str, Any] = control.call(places.ise_control, "GET", "/sessions")
        self.matrix: dict[str, Any] = control.call(places.ise_control, "GET", "/matrix")
        self.running = {name: each["text"] for name, each in self.switches.call("running", device="*").items()}
        self._dacls: dict[str, list[str] | None] = {}

    def ask(self, probes: Iterable[Probe], report: Report) -> None:
        """Judge every packet of every probe at each stateless point on its way, in ISE or configuration and in force."""
        places: dict[str, list[dict[str, Any]]] = {}
        waiting: dict[str, list[tuple[str, str, str, bool]]] = {}
        for probe in probes:
            for packet in packets_of(probe, self.reading.addresses):
                text = probe.text() + (" later fragment" if packet.fields.get("fragment_offset") else "")
                for point, kind in points_on_the_way(self.reading, packet):
                    expected = (expected_in_cell if kind == "sgacl" else expected_on_access_port)(self.reading, packet)
                    found, line = self._configured(kind, packet)
                    report.answers.append(Answer(point, probe.purpose, text, expected, found, line))
                    switch, question = self._question(kind, packet)
                    places.setdefault(switch, []).append(question)
                    waiting.setdefault(switch, []).append((point, probe.purpose, text, expected))
        for switch, questions in places.items():
            verdicts = self.switches.call("decide", device=switch, probes=questions)["verdicts"]
            for (point, purpose, text, expected), verdict in zip(waiting[switch], verdicts, strict=True):
                line = f"{verdict['list_name'] or ''} {verdict['line'] or verdict['reason']}".strip()
                report.answers.append(Answer(f"{point} on {switch}", purpose, text, expected, verdict["permit"], line))

    def _configured(self, kind: str, packet: PacketOfProbe) -> tuple[bool | None, str]:
        """What the list says that ISE or the running configuration holds for the packet's sender."""
        host = self.hospital.hosts[packet.source]
        try:
            if kind == "dacl":
                lines = self._dacl_of(host.mac)
                verdict = evaluate_acl(lines, packet.fields, endpoint=host.address, kind="dacl")
            elif kind == "port_acl":
                listing = port_list(self.running[host.switch], host.interface)
                verdict = evaluate_acl(listing, packet.fields, kind="ios")
            else:
                tags = self._tag(packet.source), self._tag(packet.destination)
                cell = evaluate_matrix(self.matrix, *tags, packet.fields)
                return cell.permit, cell.line or f"cell {cell.cell}"
        except ValueError as error:
            return None, str(error)
        return verdict.permit, verdict.line or "the end of the list"

    def _question(self, kind: str, packet: PacketOfProbe) -> tuple[str, dict[str, Any]]:
        """Switch and place of the packet, as its control channel wants it. Cells are enforced where the packet leaves."""
        fields = {key: sorted(value) if isinstance(value, set) else value for key, value in packet.fields.items()}
        host, other = self.hospital.hosts[packet.source], self.hospital.hosts[packet.destination]
        if kind == "sgacl":
            tags = {"source_sgt": self._tag(packet.source), "destination_sgt": self._tag(packet.destination)}
            return other.switch, {"packet": fields, **tags}
        return host.switch, {"packet": fields, "interface": host.interface, "direction": "in"}

    def _tag(self, host: str) -> int:
        return int(self.sessions[self.hospital.hosts[host].mac.upper()].get("sgt") or 0)

    def _dacl_of(self, mac: str) -> list[str]:
        """The lines that ISE's rules give this endpoint: session, profile, list. Raises ValueError where there is none."""
        profile = self.sessions[mac.upper()]["authorization_profile"]
        if profile not in self._dacls:
            found = control.call(self.places.ise_control, "GET", f"/objects/authorizationprofile/{profile}")
            lines: list[str] | None = None
            if found.get("daclName"):
                acl = control.call(self.places.ise_control, "GET", f"/objects/downloadableacl/{found['daclName']}")
                lines = acl["dacl"].splitlines()
            self._dacls[profile] = lines
        listed = self._dacls[profile]
        if listed is None:
            raise ValueError(f"profile {profile} hands out no list")
        return listed


def port_list(running: str, interface: str) -> list[str]:
    """The entries of the list on a port, from a running configuration; raises ValueError where the port has none."""
    section = re.search(rf"^interface {re.escape(interface)}\n((?: .*\n)*)", running, re.MULTILINE)
    used = re.search(r"^ ip access-group (\S+) in$", section[1], re.MULTILINE) if section else None
    if used is None:
        raise ValueError(f"{interface} has no list")
    found = re.search(rf"^ip access-list extended {re.escape(used[1])}\n((?: .*\n)*)", running, re.MULTILINE)
    if found is None:
        raise ValueError(f"{interface} names the list {used[1]}, which does not exist")
    return [line.strip() for line in found[1].splitlines()]
