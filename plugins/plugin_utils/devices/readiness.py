# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a switch is ready to enforce, port by port: from its facts to findings and to the lines that are missing. Pure.

The rules are those of facts/devices.md sections 1.4 and 1.5: a downloadable ACL needs authentication, network authorization, device
tracking (the switch writes the host's address into every entry) and change of authorization; a cell needs enforcement on the switch
and, for bridged traffic, on the VLAN. What a port lets through while no RADIUS server answers is said for every port, since a switch
that has just restarted knows neither lists nor tags (docs/devices-readiness.md).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Code, Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.parsers.lines import long_interface
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.passing import (
    BLOCKING,
    EVERYTHING,
    NOTHING,
    PortReadiness,
    what_passes,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.switch_facts import MOMENT, SwitchFacts

DACL, SGACL = "dacl", "sgacl"
SHOWN_PORTS = 12
CLOCK_SECONDS = 300
POLICY = "SEGWRIGHT"
KEY = "<key>"


@dataclass(frozen=True)
class Readiness:
    """A switch's answer. ``lines`` would make it ready, with a placeholder where a key belongs; ``read_at`` is when its
    configuration was read."""

    host: str
    read_at: str
    ports: tuple[PortReadiness, ...] = ()
    findings: tuple[Finding, ...] = ()
    lines: tuple[str, ...] = ()

    @property
    def ready(self) -> bool:
        """Return whether enforcement can be offered on all ports looked at; False where nothing is known."""
        against = {*BLOCKING, codes.READINESS_UNKNOWN.number}
        return bool(self.read_at) and not {each.code for each in self.findings} & against

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for a report."""
        ports = [{**asdict(each), "missing": list(each.missing), "ready": each.ready} for each in self.ports]
        return {
            "host": self.host,
            "read_at": self.read_at,
            "ready": self.ready,
            "ports": ports,
            "codes": sorted({each.code for each in self.findings}),
            "lines": list(self.lines),
        }


def readiness(facts: SwitchFacts, kinds: Collection[str] = (), only: Collection[str] | None = None) -> Readiness:
    """Return whether a switch's ports are ready for downloadable ACLs, cells, or both.

    ``kinds`` are ``dacl`` and ``sgacl``; none: DACLs, and cells where the switch knows TrustSec at all. ``only`` names the ports that
    matter (interfaces with their type spelled out); none: every access port that is not shut down and authenticates or has a session.
    """
    section = facts.sections.get("configuration")
    if section is None or "ports" not in section.value:
        return Readiness(
            facts.host, "", (), (codes.READINESS_UNKNOWN.at(f"{facts.host}: its configuration was not read"),)
        )
    return _Judge(facts, kinds, only).judged()


class _Judge:
    def __init__(self, facts: SwitchFacts, kinds: Collection[str], only: Collection[str] | None) -> None:
        self.facts = facts
        self.value = facts.value("configuration")
        self.aaa, self.cts = self.value["aaa"], self.value["cts"]
        self.kinds = set(kinds) or {DACL, *((SGACL,) if self._knows_tags() else ())}
        self.sessions = {str(each["interface"]) for each in facts.value("sessions", {}).get("sessions", ())}
        self.ports = [port for port in self.value["ports"] if self._matters(port, only)]
        self.unseen = sorted(set(only or ()) - {port["interface"] for port in self.ports})
        self.lists = {
            str(each["name"]): int(each["entries"]) for each in facts.value("access_lists", {}).get("lists", ())
        }
        self.found: list[Finding] = []
        self.missing: dict[str, list[str]] = {port["interface"]: [] for port in self.ports}
        self.globals: list[str] = []
        self.by_port: dict[str, list[str]] = {}

    def _knows_tags(self) -> bool:
        sessions = self.facts.value("sessions", {}).get("sessions", ())
        return bool(self.cts["enforcement"] or self.cts["vlans"] or any(each.get("sgt") for each in sessions))

    def _matters(self, port: Mapping[str, Any], only: Collection[str] | None) -> bool:
        if only is not None:
            return port["interface"] in only
        return (
            port["enabled"]
            and port["mode"] in ("access", "dynamic")
            and (bool(port["style"]) or port["interface"] in self.sessions)
        )

    def _controller(self) -> None:
        """Judge the policy profiles of a wireless controller; method lists have names there, and no port authenticates."""
        profiles = [each for each in self.value.get("wireless_profiles", ()) if each["enabled"]]
        if not self.aaa["new_model"] or not self.aaa["named_authentication"]:
            self._say(
                codes.NOT_AUTHENTICATING,
                "it has no aaa new-model or no aaa authentication dot1x list",
                (),
                ("aaa new-model",),
            )
        if not self.aaa["named_authorization"]:
            line = "aaa authorization network default group radius"
            self._say(codes.NO_AUTHORIZATION, "downloaded lists, VLANs and tags are not taken", (), (line,))
        if not self.aaa["coa_clients"]:
            self._without_coa()
        deaf = [each["name"] for each in profiles if not (each["aaa_override"] and each["nac"])]
        if deaf:
            lines = [
                line
                for name in deaf
                for line in (f"wireless profile policy {name}", " shutdown", " aaa-override", " nac", " no shutdown")
            ]
            self._say(codes.NO_OVERRIDE, f"policy profile {', '.join(deaf)[:200]} lacks aaa-override or nac", (), lines)
        far = [each["name"] for each in profiles if not each["central_switching"]]
        if far and DACL in self.kinds:
            self._say(codes.NOT_CENTRAL, f"policy profile {', '.join(far)[:200]} switches at the access point")
        bare = [each["name"] for each in profiles if not each["cts"]]
        if bare and SGACL in self.kinds:
            lines = [
                line for name in bare for line in (f"wireless profile policy {name}", " cts role-based enforcement")
            ]
            self._say(codes.NO_ENFORCEMENT, f"policy profile {', '.join(bare)[:200]} enforces no cell", (), lines)

    def _without_coa(self) -> None:
        known = [each["address"] for each in self.aaa["radius_servers"].values() if each["address"]]
        lines = (
            "aaa server radius dynamic-author",
            *(f" client {each} server-key {KEY}" for each in known or ["<address of ISE>"]),
        )
        text = "ISE cannot re-authorize a session: neither a new list nor the way back reaches one"
        self._say(codes.NO_COA, text, (), lines)

    def judged(self) -> Readiness:
        if self.value.get("wireless_profiles"):
            self._controller()
            self._servers()
            self._clock()
            read_at = self.facts.sections["configuration"].read_at
            return Readiness(self.facts.host, read_at, (), tuple(self.found), tuple(self.globals))
        if DACL in self.kinds:
            self._authentication()
            self._tracking()
        if SGACL in self.kinds:
            self._enforcement()
        self._lists()
        self._servers()
        self._clock()
        lists = self.lists if "access_lists" in self.facts.sections else None
        tags = self.cts["default_lists"] if SGACL in self.kinds else None
        made = [what_passes(port, lists, tags) for port in self.ports]
        self._unreachable(made)
        if self.unseen or not self.ports:
            text = (
                f"its configuration has no port {shown(self.unseen)}" if self.unseen else "no port of it was looked at"
            )
            self.found.append(codes.READINESS_UNKNOWN.at(f"{self.facts.host}: {text}"))
        made = [replace(each, missing=tuple(self.missing[each.interface])) for each in made]
        lines = [*self.globals, *(line for name in self.by_port for line in (f"interface {name}", *self.by_port[name]))]
        section = self.facts.sections["configuration"]
        return Readiness(self.facts.host, section.read_at, tuple(made), tuple(self.found), tuple(lines))

    # -- findings

    def _say(self, code: Code, text: str, ports: Sequence[Mapping[str, Any]] = (), lines: Iterable[str] = ()) -> None:
        """Note a finding for the switch or for ports, once, and the lines that end it."""
        names = [port["interface"] for port in ports]
        for name in names or list(self.missing):
            self.missing[name].append(code.number)
        where = f"{self.facts.host}" + (f" {shown(names)}" if names else "")
        self.found.append(code.at(f"{where}: {text}"))
        if names:
            for name in names:
                self.by_port.setdefault(name, []).extend(f" {line}" for line in lines)
        else:
            self.globals += [line for line in lines if line.startswith(" ") or line not in self.globals]

    def _authentication(self) -> None:
        aaa = self.aaa
        group = next((word for word in aaa["authentication"] if word not in ("local", "none")), "radius")
        needed = []
        if not aaa["new_model"]:
            needed.append("aaa new-model")
        if not aaa["authentication"]:
            needed.append(f"aaa authentication dot1x default group {group}")
        if not aaa["system_auth_control"]:
            needed.append("dot1x system-auth-control")
        if needed:
            self._say(codes.NOT_AUTHENTICATING, f"the switch lacks {', '.join(needed)}", (), needed)
        idle = [port for port in self.ports if not port["style"]]
        if idle:
            lines: tuple[str, ...] = (
                "authentication host-mode multi-auth",
                "authentication order mab",
                "authentication port-control auto",
                "mab",
            )
            self._say(codes.NOT_AUTHENTICATING, "the port authenticates nobody, so no list is downloaded", idle, lines)
        if not aaa["authorization"]:
            line = f"aaa authorization network default group {group}"
            self._say(codes.NO_AUTHORIZATION, "downloaded lists, VLANs and tags are not taken", (), (line,))
        if not aaa["coa_clients"]:
            self._without_coa()

    def _tracking(self) -> None:
        tracking = self.value["tracking"]
        if tracking["legacy"]:
            return
        active = self._tracked_by_show()
        untracked = [port for port in self.ports if not self._tracked(port, tracking, active)]
        if not untracked:
            return
        old = self._old_image()
        if old:
            self._say(codes.NO_TRACKING, "addresses of hosts are not learnt", (), ("ip device tracking",))
            return
        text = "addresses of hosts are not learnt, so no entry of a downloaded list fits its host"
        named = [port for port in untracked if self._policy_of(port, tracking)]
        for name in dict.fromkeys(self._policy_of(port, tracking) for port in named):
            self.globals += [f"device-tracking policy {name}", " tracking enable"]
        if named:
            self._say(codes.NO_TRACKING, f"{text}: the policy there does not enable tracking", named)
        bare = [port for port in untracked if port not in named]
        if bare:
            if POLICY not in tracking["policies"]:
                self.globals += [f"device-tracking policy {POLICY}", " tracking enable"]
            self._say(codes.NO_TRACKING, text, bare, (f"device-tracking attach-policy {POLICY}",))

    @staticmethod
    def _policy_of(port: Mapping[str, Any], tracking: Mapping[str, Any]) -> str:
        return str(port["tracking"] or tracking["vlans"].get(str(port["vlan"]), ""))

    def _tracked_by_show(self) -> tuple[set[str], set[int]]:
        """Return ports and VLANs on which device tracking is active by ``show device-tracking policies``: features turn it on."""
        ports, vlans = set(), set()
        for row in self.facts.value("tracking_policies", {}).get("policies", ()):
            if row["feature"].casefold() == "device-tracking":
                if row["type"] == "VLAN":
                    vlans.add(int(row["target"].split()[-1]))
                else:
                    ports.add(long_interface(row["target"]))
        return ports, vlans

    @staticmethod
    def _tracked(port: Mapping[str, Any], tracking: Mapping[str, Any], active: tuple[set[str], set[int]]) -> bool:
        if port["interface"] in active[0] or port["vlan"] in active[1]:
            return True
        name = _Judge._policy_of(port, tracking)
        if not name:
            return False
        policy = tracking["policies"].get(name)
        # The default policy learns; it polls only where the switch does so for all (device-tracking tracking).
        return policy is None or policy["tracking"] or tracking["probing"]

    def _old_image(self) -> bool:
        release = str(self.facts.value("system", {}).get("software", "")).partition(".")[0]
        return release.isdigit() and int(release) < 16

    def _enforcement(self) -> None:
        if not self.cts["enforcement"]:
            self._say(codes.NO_ENFORCEMENT, "no cell is enforced on this switch", (), ("cts role-based enforcement",))
        without = [port for port in self.ports if port["vlan"] not in self.cts["vlans"]]
        if without:
            vlans = sorted({port["vlan"] for port in without})
            line = f"cts role-based enforcement vlan-list {','.join(map(str, vlans))}"
            for port in without:
                self.missing[port["interface"]].append(codes.NO_ENFORCEMENT.number)
            self.globals.append(line)
            text = f"{self.facts.host}: cells are not enforced in VLAN {', '.join(map(str, vlans))}"
            self.found.append(codes.NO_ENFORCEMENT.at(text))
        off = [port for port in self.ports if port["cts"] is False]
        if off:
            self._say(
                codes.NO_ENFORCEMENT,
                "the port says no cts role-based enforcement",
                off,
                ("cts role-based enforcement",),
            )
        if not self.cts["default_lists"] and not self.cts["local_cells"]:
            text = (
                "after a restart without ISE it has no cell of its own: everything passes until policies are downloaded"
            )
            self._say(codes.NO_FALLBACK, text)

    def _lists(self) -> None:
        """Lists that ports name: one that is not there, or empty, permits everything (facts/devices.md section 0, item 6)."""
        named = [port for port in self.ports if port["access_list"] and "access_lists" in self.facts.sections]
        gone = [port for port in named if not self.lists.get(port["access_list"])]
        if gone:
            names = sorted({port["access_list"] for port in gone})
            self._say(
                codes.LIST_MISSING, f"the static list {', '.join(names)} is not there or empty: everything passes", gone
            )
        if DACL not in self.kinds:
            return
        bare = [port for port in self.ports if port["style"] and not port["access_list"]]
        opened = [port for port in bare if port["open"]]
        if opened:
            self._say(
                codes.OPEN_BEFORE, "open mode without a static list: before authentication everything passes", opened
            )
        closed = [port for port in bare if not port["open"]]
        if closed:
            text = (
                "closed mode without a static list: only DHCP passes before a list comes, and the first host's list is applied"
                " without its address until a second host appears"
            )
            self._say(codes.CLOSED_WITHOUT_LIST, text, closed)

    def _servers(self) -> None:
        aaa = self.aaa
        if DACL in self.kinds and not (aaa["dead_criteria"] and aaa["deadtime"]):
            lines = ("radius-server dead-criteria time 10 tries 3", "radius-server deadtime 15")
            self._say(codes.NO_DEAD_CRITERIA, "nothing says when a RADIUS server counts as dead", (), lines)

    def _clock(self) -> None:
        clock = self.facts.value("clock")
        if not clock:
            return
        text = ""
        if clock["mark"] == "*":
            text = f"the clock is not set ({clock['shown']})"
        elif clock["time"]:
            ours, theirs = (datetime.strptime(clock[key], MOMENT) for key in ("controller", "time"))
            apart = abs((ours - theirs).total_seconds())
            text = f"the clock is {apart:.0f} seconds from ours" if apart > CLOCK_SECONDS else ""
        if text:
            self._say(codes.CLOCK_OFF, text)

    def _unreachable(self, made: Sequence[PortReadiness]) -> None:
        ports = {port["interface"]: port for port in self.ports}
        cut = [ports[each.interface] for each in made if each.outcome == NOTHING]
        legacy = [port for port in cut if port["style"] == "legacy"]
        if legacy:
            lines = (
                "authentication event server dead action authorize",
                "authentication event server alive action reinitialize",
            )
            self._say(
                codes.UNREACHABLE_CUTS,
                "while no RADIUS server answers, a device without a session is cut off",
                legacy,
                lines,
            )
        other = [port for port in cut if port["style"] == "ibns2"]
        if other:
            names = ", ".join(sorted({port["policy"] or "none" for port in other}))
            text = f"while no RADIUS server answers, a device without a session is cut off (policy {names} has no critical class)"
            self._say(codes.UNREACHABLE_CUTS, text, other)
        opened = [ports[each.interface] for each in made if each.outcome == EVERYTHING and each.mode != "none"]
        if opened:
            self._say(
                codes.UNREACHABLE_OPENS,
                "while no RADIUS server answers, a device without a session may send everything",
                opened,
            )


def shown(names: Sequence[str]) -> str:
    """Return interface names for a sentence, at most a dozen."""
    kept = ", ".join(names[:SHOWN_PORTS])
    return kept + (f" and {len(names) - SHOWN_PORTS} more" if len(names) > SHOWN_PORTS else "")
