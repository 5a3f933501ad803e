# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the switches of a segment's devices are ready for what shall be enforced there, from collected facts (design rule 14)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.names import HOST_NAME
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices import codes, switch_facts
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.passing import BLOCKING
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.readiness import DACL, SGACL, readiness
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.paths import Paths


@dataclass(frozen=True)
class Readied:
    """A segment's answer: what stands against enforcement, what else is worth knowing, switches without facts, and all switches asked."""

    against: tuple[Finding, ...] = ()
    others: tuple[Finding, ...] = ()
    unknown: tuple[str, ...] = ()
    switches: tuple[str, ...] = ()


def segment_readiness(paths: Paths, site: Site, segments: Iterable[str]) -> dict[str, Readied]:
    """Return the readiness of each segment that downloadable ACLs or cells filter, by name; others are not in it."""
    made: dict[str, Readied] = {}
    for segment in segments:
        assigned = site.assignments.get(segment)
        points = [site.points[name].kind for name in assigned.points if name in site.points] if assigned else []
        kinds = {kind for kind in points if kind in (DACL, SGACL)}
        places: dict[str, set[str]] = defaultdict(set)
        for member in site.members.get(segment, ()):
            if member.switch and HOST_NAME.match(member.switch):
                places[member.switch].add(member.interface)
        if kinds and places:
            made[segment] = _judged(paths, places, kinds)
    return made


def _judged(paths: Paths, places: dict[str, set[str]], kinds: Collection[str]) -> Readied:
    known, damaged = switch_facts.read_known(paths.data, places)
    against: list[Finding] = []
    others: list[Finding] = list(damaged)
    unknown = [host for host in sorted(places) if host not in known]
    for host, facts in sorted(known.items()):
        answer = readiness(facts, kinds, places[host])
        if not answer.read_at:
            unknown.append(host)
            continue
        against += [each for each in answer.findings if each.code in BLOCKING]
        others += [each for each in answer.findings if each.code not in BLOCKING]
    return Readied(tuple(against), tuple(others), tuple(unknown), tuple(sorted(places)))


def readiness_findings(paths: Paths, site: Site, segments: Iterable[str]) -> list[Finding]:
    """Return what a plan says of the switches where segments are enforced: each finding once, and the switches that nobody asked in one."""
    answers = segment_readiness(paths, site, segments)
    found = {each: None for answer in answers.values() for each in (*answer.against, *answer.others)}
    unknown = sorted({host for answer in answers.values() for host in answer.unknown})
    made = list(found)
    if unknown:
        named = ", ".join(unknown[:12]) + (f" and {len(unknown) - 12} more" if len(unknown) > 12 else "")
        made.append(codes.READINESS_UNKNOWN.at(f"no facts of {named}"))
    return made
