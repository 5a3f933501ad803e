# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the entries of a ring's lists count on switches: kept when the ring was changed, read back when it is judged."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.carriers import revision_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.counted import (
    CountedList,
    answer,
    idle,
    opener,
    refused,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import Journal
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.ring_places import Port, port_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.rings import Part
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.enforced import switch_specs
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_config import base_name
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_counts import read_counts

EVENT = "ring_counts"
KINDS = ("port_acl", "dacl", "sgacl")
NOWHERE = port_of("", "")
_GENERATION = re.compile(r"-\d{1,6}\Z")


def lists_of_ring(entries: Iterable[Mapping[str, Any]], part: Part, lists: Iterable[PointList]) -> list[PointList]:
    """Return the IPv4 lists that a ring's steps changed or attached, as the journal names them."""
    touched: set[tuple[str, str]] = set()
    back = part.back
    for entry in entries:
        if entry["event"] != "operation_started":
            continue
        operation = entry["operation"]
        target = str(entry["target"])
        if (target, str(operation["id"])) in back:
            body = operation.get("after") or {}
            names = [operation.get("name"), body.get("access_list"), *(body.get("sgacls") or ())]
            touched |= {(target, str(name)) for name in names if name}
    return [item for item in lists if item.kind in KINDS and item.family != 6 and (item.host, item.name) in touched]


def policy_name(live: str) -> str:
    """Return the name in the policy of a list as a switch shows it."""
    revision = revision_of(live)
    return revision.name if revision else _GENERATION.sub("", base_name(live))


def keep_counts(
    journal: Journal,
    plan_id: str,
    part: Part,
    entries: Sequence[Mapping[str, Any]],
    lists: Sequence[PointList],
    values: Mapping[str, Any],
    variables: Mapping[str, Any],
) -> None:
    """Write into the journal what the lists of a ring counted so far; nothing where no switch of the play shows one."""
    wanted = {item.name for item in lists_of_ring(entries, part, lists)}
    specs = switch_specs(values, variables)[0] if wanted else []
    shown, unread = read_counts(specs) if specs else ([], [])
    found = [item for item in shown if policy_name(item.name) in wanted]
    if found:
        silent = {item.message.split(":", maxsplit=1)[0] for item in unread}
        switches = sorted({spec.name for spec in specs} - silent)
        counts = [item.as_dict() for item in found]
        journal.append(EVENT, plan_id=plan_id, ring=part.id, switches=switches, counts=counts)


@dataclass
class RingCounters:
    """The counters of a ring's lists, read at most once. ``before``: as kept, by (switch, name there).

    ``switches``: those that were read then, None where that is not known. What another one counts began long before the change.
    """

    site: Site
    lists: Sequence[PointList]
    before: Mapping[tuple[str, str], CountedList]
    read: Callable[[], tuple[Sequence[CountedList], Sequence[Finding]]]
    switches: frozenset[str] | None = None
    _made: tuple[Sequence[CountedList], Sequence[Finding]] | None = field(default=None)

    def now(self) -> list[CountedList]:
        """Return the lists as their switches show them now; only where readings of the change were kept is anybody asked."""
        if not self.before:
            return []
        if self._made is None:
            self._made = self.read()
        names = {item.name for item in self.lists}
        known = self.switches
        return [
            item
            for item in self._made[0]
            if policy_name(item.name) in names and (known is None or item.switch in known)
        ]

    @cached_property
    def _segments(self) -> dict[str, tuple[str, str, Port]]:
        return {
            address: (segment, member.switch, port_of("", member.interface))
            for segment, members in self.site.members.items()
            for member in members
            for address in member.addresses
        }

    def refusal(self, client: str, server: str, protocol: int, port: int) -> tuple[int, str]:
        """Return how many packets an entry counted since that refuses this conversation, and where; (0, "") where none does."""
        best = (0, "")
        for sender, receiver, packet in (
            (client, server, opener(client, server, protocol, port)),
            (server, client, answer(client, server, protocol, port)),
        ):
            segment, switch, interface = self._segments.get(sender, ("", "", NOWHERE))
            peer = self._segments.get(receiver, ("", "", NOWHERE))[0]
            for listing in self.lists if segment else ():
                if listing.segment != segment or (listing.kind == "sgacl" and listing.peer != peer):
                    continue
                ports = {port_of("", name) for name in listing.interfaces}
                if listing.kind == "port_acl" and (switch != listing.host or interface not in ports):
                    continue
                for shown in self.now():
                    here = listing.kind == "sgacl" or shown.switch == switch or not switch
                    if policy_name(shown.name) != listing.name or not here:
                        continue
                    old = self.before.get((shown.switch, shown.name))
                    count, text = refused(listing.kind, old, shown, packet)
                    if count > best[0]:
                        best = (count, f"{text!r} of list {shown.name} on {shown.switch}")
        return best

    def findings(self, heard: int) -> list[Finding]:
        """Return what the counters cannot tell: switches that did not answer, and lists that count nothing although devices talk."""
        lists = self.now()
        found = list(self._made[1]) if self._made else []
        if heard:
            quiet = [f"{item.name} on {item.switch}" for item in idle(self.before.values(), lists)]
            if quiet:
                more = f" and {len(quiet) - 5} more" if quiet[5:] else ""
                found.append(codes.COUNTERS_STILL.at(f"{', '.join(quiet[:5])}{more}"))
        return found


def ring_counters(
    entries: Sequence[Mapping[str, Any]],
    part: Part,
    site: Site,
    lists: Sequence[PointList],
    values: Mapping[str, Any],
    variables: Mapping[str, Any],
) -> RingCounters:
    """Return the counters of a ring since it was changed the last time, as journal and switches have them."""
    before: dict[tuple[str, str], CountedList] = {}
    switches: frozenset[str] | None = None
    for entry in entries:
        if entry["event"] == EVENT and entry.get("ring") == part.id:
            kept = [CountedList.of(item) for item in entry.get("counts") or ()]
            before = {(item.switch, item.name): item for item in kept}
            told = entry.get("switches")
            switches = frozenset(str(name) for name in told) if told is not None else None
        elif entry["event"] == "undo_done":
            before = {}

    def read() -> tuple[Sequence[CountedList], Sequence[Finding]]:
        return read_counts(switch_specs(values, variables)[0])

    return RingCounters(site, lists_of_ring(entries, part, lists), before, read, switches)
