# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Guardrails: must-always and must-never statements, proved for all packets they cover."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import PacketSet, PacketSpace
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Guardrail, Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.conversations import (
    UNPRIVILEGED,
    ConversationBoxes,
    conversation_boxes,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.points import ListSets, enforces, list_sets


@dataclass(frozen=True)
class GuardrailResult:
    """Outcome of one guardrail: ``proved``, ``violated``, ``not enforced`` or ``empty``, with a witness packet's text."""

    id: str
    must: str
    outcome: str
    point: str = ""
    witness: str = ""


def prove_guardrails(site: Site, lists: Sequence[PointList]) -> tuple[list[GuardrailResult], list[Finding]]:
    """Return the outcome of every guardrail for all packets it covers, and its findings."""
    space = PacketSpace()
    sets = [list_sets(space, site, listing) for listing in lists]
    results: list[GuardrailResult] = []
    findings: list[Finding] = []
    for guardrail in site.guardrails:
        prove = _always if guardrail.must == "always" else _never
        result, finding = prove(space, site, guardrail, sets)
        results.append(result)
        if finding is not None:
            findings.append(finding)
    return results, findings


def _always(space: PacketSpace, site: Site, guardrail: Guardrail, sets: Sequence[ListSets]) -> tuple[GuardrailResult, Finding | None]:
    """Every opener from a usual client port (1024 and above) and its reply must pass every list that sees it."""
    boxes = conversation_boxes(site, guardrail.client, guardrail.server, guardrail.services, UNPRIVILEGED)
    forward, reply = space.from_boxes(list(boxes.forward)), space.from_boxes(list(boxes.reply))
    if not forward:
        return _empty(guardrail)
    for item in sets:
        directions = [("forward", forward)] if item.listing.stateful else [("forward", forward), ("reply", reply)]
        for direction, packets in directions:
            cut = (packets & item.sees) - item.passes
            packet = cut.witness()
            if packet is not None:
                text = f"guardrail {guardrail.id}: list {item.listing.name} at {item.listing.point} stops ({direction}) {packet.describe()}"
                result = GuardrailResult(guardrail.id, "always", "violated", item.listing.point, packet.describe())
                return result, codes.ALWAYS_VIOLATED.at(text, guardrail.location)
    return GuardrailResult(guardrail.id, "always", "proved"), None


def _never(space: PacketSpace, site: Site, guardrail: Guardrail, sets: Sequence[ListSets]) -> tuple[GuardrailResult, Finding | None]:
    """Every opener must be stopped by some enforcing list: on its way there, or its reply on the way back."""
    boxes = conversation_boxes(site, guardrail.client, guardrail.server, guardrail.services)
    remaining = space.from_boxes(list(boxes.forward))
    if not remaining:
        return _empty(guardrail)
    for item in sets:
        remaining = remaining - (item.sees - item.passes)
        if not item.listing.stateful and enforces(item.listing):
            remaining = remaining - _openers_without_reply(space, boxes, item)
    packet = remaining.witness()
    if packet is None:
        return GuardrailResult(guardrail.id, "never", "proved"), None
    text = f"guardrail {guardrail.id}: no enforcing list stops {packet.describe()}"
    if _stages_pending(site, guardrail):
        result = GuardrailResult(guardrail.id, "never", "not enforced", "", packet.describe())
        return result, codes.NEVER_UNENFORCED.at(text, guardrail.location)
    result = GuardrailResult(guardrail.id, "never", "violated", "", packet.describe())
    return result, codes.NEVER_VIOLATED.at(text, guardrail.location)


def _openers_without_reply(space: PacketSpace, boxes: ConversationBoxes, item: ListSets) -> PacketSet:
    """Return the TCP openers whose SYN-ACK the list stops whole, box by box.

    A box of openers counts only when no packet of its reply box passes, which keeps the statement safe: a
    one-way UDP datagram needs no reply, so only TCP is counted.
    """
    stopped = space.empty
    for out, back in zip(boxes.forward, boxes.replies):
        if back is None or not (out.protocol.contains(6) or out.protocol.contains(262)):
            continue
        packets = space.from_box(back)
        if packets.is_subset_of(item.sees) and not packets & item.passes:
            stopped = stopped | space.from_box(out)
    return stopped


def _stages_pending(site: Site, guardrail: Guardrail) -> bool:
    """Return whether an end of the guardrail is a segment that is not at stage enforce yet."""
    names = [name for name in (guardrail.client, guardrail.server) if name in site.segments]
    stages = [site.assignments[name].stage if name in site.assignments else "observe" for name in names]
    return any(stage != "enforce" for stage in stages)


def _empty(guardrail: Guardrail) -> tuple[GuardrailResult, Finding]:
    result = GuardrailResult(guardrail.id, guardrail.must, "empty")
    return result, codes.GUARDRAIL_EMPTY.at(f"guardrail {guardrail.id} covers no packet", guardrail.location)
