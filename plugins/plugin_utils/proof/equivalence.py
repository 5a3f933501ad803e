# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prove that rendered text means what was compiled: parse it back and compare packet sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import registry
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import ParsedAcl
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.cache import entry_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.desired import dialect_of, rendered
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.compare import compare
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import PacketSpace
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import Box, Packet
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.entries import same_entries
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.points import FAMILY_PROTOCOLS, first_match


@dataclass(frozen=True)
class Equivalence:
    """Whether one list's text, parsed back, passes exactly the packets that were compiled."""

    point: str
    name: str
    equal: bool
    witness: str = ""


def prove_rendering(lists: Sequence[PointList]) -> tuple[list[Equivalence], list[Finding]]:
    """Return one result per list, and an error for each that is not equal."""
    results: list[Equivalence] = []
    findings: list[Finding] = []
    for listing in lists:
        witness = _kept_difference(listing)
        results.append(Equivalence(listing.point, listing.name, not witness, witness))
        if witness:
            text = f"list {listing.name} at {listing.point}: {witness}"
            findings.append(codes.NOT_EQUIVALENT.at(text))
    return results, findings


def _kept_difference(listing: PointList) -> str:
    """Return the difference, "" without a look where the cache says that just this list was proved before."""
    entry = entry_of(listing)
    if entry is None:
        return _difference(listing)
    if entry.get("equal") is True:
        return ""
    # A list is its parts one after the other: each line is written and read by itself, so each part is proved by itself.
    parts = listing.__dict__.get("_parts") or [(entry, lambda: listing)]
    for known, make in parts:
        if known.get("equal") is True:
            continue
        witness = _difference(make())
        if witness:
            return witness
        known["equal"] = True
    return ""


def text_difference(listing: PointList, text: str) -> tuple[str, Packet | None]:
    """Return how a text differs in meaning from a compiled list, with one packet that shows it; ("", None) where it does not.

    The text is what a platform would read. A stateless list is of one family, so only its packets count. A text that is not
    understood differs, without a packet.
    """
    try:
        parsed = _parsed(listing, text)
        if same_entries(listing, parsed):
            return "", None
        space = PacketSpace()
        result = compare(first_match(listing), parsed.first_match(), space)
    except FindingError as error:
        return str(error), None
    counted = space.everything if listing.stateful else space.from_box(Box(protocol=FAMILY_PROTOCOLS[listing.family]))
    sides = (
        ("lost", result.only_in_first), ("added", result.only_in_second), ("not modelled", result.not_modelled),
    )  # fmt: skip
    for side, packets in sides:
        packet = (packets & counted).witness()
        if packet is not None:
            return f"{side}: {packet.describe()}", packet
    return "", None


def _parsed(listing: PointList, text: str) -> ParsedAcl:
    options = {"family": listing.family} if listing.kind == "sgacl" else {}
    parsed = registry.parse(dialect_of(listing), text, **options)
    if len(parsed) != 1:
        raise FindingError(codes.NOT_EQUIVALENT.at(f"the text holds {len(parsed)} lists"))
    return parsed[0]


def _difference(listing: PointList) -> str:
    try:
        text = rendered(listing)
    except FindingError as error:
        return str(error)
    return text_difference(listing, text)[0]
