# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prove that rendered text means what was compiled: parse it back and compare packet sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import registry
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.desired import rendered
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.compare import compare
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.points import first_match

DIALECTS = {"dacl": "dacl", "sgacl": "sgacl", "port_acl": "ios", "firewall": "nftables"}


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
        witness = _difference(listing)
        results.append(Equivalence(listing.point, listing.name, not witness, witness))
        if witness:
            text = f"list {listing.name} at {listing.point}: {witness}"
            findings.append(codes.NOT_EQUIVALENT.at(text))
    return results, findings


def _difference(listing: PointList) -> str:
    try:
        # A cell's list has no addresses: which family it counts for stands beside it in ISE, and ours are IPv4.
        options = {"family": 4} if listing.kind == "sgacl" else {}
        parsed = registry.parse(DIALECTS[listing.kind], rendered(listing), **options)
        compiled = first_match(listing)
        if listing.kind == "sgacl":
            # What no line of a cell matches, the other family too, passes; so the closing line must be there.
            compiled = replace(compiled, default_permit=True)
        if len(parsed) != 1:
            return f"the text holds {len(parsed)} lists"
        result = compare(compiled, parsed[0].first_match())
    except FindingError as error:
        return str(error)
    if result.equal:
        return ""
    for side, packets in (("lost", result.only_in_first), ("added", result.only_in_second)):
        packet = packets.witness()
        if packet is not None:
            return f"{side}: {packet.describe()}"
    return "the lists differ"
