# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What to say of a mix of moved and unmoved devices in which something does not hold: who, where, by which list, and what to do. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.moving import (
    ALWAYS,
    NEVER_OPEN,
    NEW,
    WORKFLOW,
    Mixed,
)

SHOWN = 5
CODES = {WORKFLOW: codes.MOVE_CUTS_WORKFLOW, ALWAYS: codes.MOVE_CUTS_ALWAYS, NEVER_OPEN: codes.MOVE_OPENS}
REFUSED = frozenset(code.number for code in CODES.values())  # for these a plan is refused


def refused(findings: Iterable[Finding]) -> bool:
    """Return whether a plan is refused for what was found."""
    return any(finding.code in REFUSED for finding in findings)


def finding_of(item: Mixed, names: Mapping[str, str], rings: Sequence[str], length: int) -> Finding:
    """Return a finding that names what is cut or open, the ring, the devices with where each is then, the list, and what to do."""
    code = CODES.get(item.kind, codes.MOVE_CUTS)
    asks = {
        WORKFLOW: f"workflow {item.name} ({item.owner}): rule {item.rule}",
        ALWAYS: f"guardrail {item.name}",
        NEVER_OPEN: f"guardrail {item.name}",
    }.get(item.kind, f"rule {item.rule}")
    number = max(item.at, 0) // length
    ring = f"ring {rings[number]}" if number < len(rings) else "the change"
    shown = [_named(text, names) for text in item.devices[:SHOWN]]
    more = f" and {len(item.devices) - SHOWN} more" if item.devices[SHOWN:] else ""
    who = f"while {', '.join(shown)}{more}" if shown else "while only a part has moved"
    if item.listing is None:
        return code.at(
            f"{ring}: {asks} holds before and after, but {who} nothing stops {item.packet.describe()}", item.location
        )
    version = "" if item.version is None else "the new " if item.version == NEW else "the old "
    text = f"{version}list {item.listing.name} at {item.listing.point} stops {item.packet.describe()} {who}"
    return code.at(f"{ring}: {asks} works before and after, but {text}", item.location, _remedy(item))


def _named(text: str, names: Mapping[str, str]) -> str:
    device, _in, place = text.partition(" in ")
    return f"{names.get(device, device)} is in {place}"


def _remedy(item: Mixed) -> str:
    listing = item.listing
    if listing is not None and listing.kind == "sgacl" and None not in item.states and item.version is None:
        return (
            f"permit it from {listing.segment} to {listing.peer} too, in a commit that is carried out before; move the devices; then take"
            " that permission back"
        )
    if item.version == NEW:
        return (
            "let the list stay as it is until the devices have moved: change it in a later commit, or with a later ring"
        )
    return "change the list in an earlier commit, or with an earlier ring, and move the devices then"


def back_findings(
    back: Sequence[Mixed], forward: Sequence[Mixed], names: Mapping[str, str], *, by_ring: bool
) -> list[Finding]:
    """Return a warning for each workflow, must-always or must-never that holds on the way forward and not on the way back.

    ``by_ring``: it holds there too where one ring after the other goes back, the last one first, and its devices follow.
    """
    known = {_what(item) for item in forward}
    made, told = [], set()
    for item in back:
        if item.kind not in CODES or _what(item) in known or (item.kind, item.name, item.rule) in told:
            continue
        told.add((item.kind, item.name, item.rule))
        said = finding_of(item, names, (), 1).message.partition(": ")[2]
        hint = (
            "go back ring by ring, the last one first (microseg_rollback_ring), each with microseg_reauthenticate=true: proved"
            if by_ring
            else "permit both ways in a commit before, move the devices, and take the permission back in a third"
        )
        made.append(codes.BACK_UNSAFE.at(f"way back of devices that move: {said}", item.location, hint))
    return made


def _what(item: Mixed) -> tuple[object, ...]:
    place = (item.listing.point, item.listing.name) if item.listing is not None else ()
    return item.kind, item.name, item.rule, place, item.states
