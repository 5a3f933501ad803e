# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Live state as lists in force, so that the effect of a change can be judged before it is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Snapshot
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import registry
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import Ace
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.desired import (
    dialect_of,
    object_kinds,
    rendered,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.lines import closing_ace
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import Origin, PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.naming import owned_name


def lists_in_force(compiled: Sequence[PointList], snapshots: Mapping[str, Snapshot]) -> list[PointList]:
    """Return what the targets hold now for each compiled list that is in force there.

    A DACL is in force when an authorization profile hands it out, a port ACL when it is attached, a cell when it is not DISABLED, a
    ruleset when it exists. Lists of targets that were not read are taken as not in force.
    """
    found = []
    for listing in compiled:
        snapshot = snapshots.get(listing.host)
        if snapshot is None:
            continue
        live = _live_list(listing, snapshot.objects)
        if live is not None:
            found.append(live)
    return found


def with_approved_origins(live: PointList, approved: PointList) -> PointList:
    """Return a list in force whose lines know where in the policy they come from: those that the approved text has as well.

    Another line comes from nowhere. What a remark above a line says counts for nothing, since anybody may have written below it.
    """
    known = _labels_of_text(approved)
    aces: list[Ace] = []
    origins: dict[str, Origin] = {}
    for number, ace in enumerate(live.aces, 1):
        label = known.get(ace.meaning(), "")
        if label in approved.origins:
            origins[label] = approved.origins[label]
        else:
            label = f"line {number}: {ace.raw}".removesuffix(": ") if ace.label in approved.origins else ace.label
        aces.append(replace(ace, label=label))
    return replace(live, aces=tuple(aces), origins=origins)


def _labels_of_text(approved: PointList) -> dict[Any, str]:
    """Return the labels of the lines that a list is written as, by what each of them means; lines come in the order of the list."""
    options = {"family": approved.family} if approved.kind == "sgacl" else {}
    found: dict[Any, str] = {}
    place = 0
    for ace in registry.parse(dialect_of(approved), rendered(approved), **options)[0].aces:
        while place < len(approved.aces) and not _holds_line(approved.aces[place], ace):
            place += 1
        if place == len(approved.aces):
            break
        found.setdefault(ace.meaning(), approved.aces[place].label)
    return found


def _holds_line(own: Ace, other: Ace) -> bool:
    """Return whether every packet of a line is one of another line's, which has the same action; False where it is not sure."""
    if own.permit is not other.permit or not own.plain or not other.plain or own.fragments != other.fragments:
        return False
    if own.family not in (0, other.family) or own.protocol not in (None, other.protocol):
        return False
    pairs = (
        (own.source, other.source), (own.destination, other.destination), (own.detail, other.detail),
        (own.source_ports, other.source_ports), (own.destination_ports, other.destination_ports),
    )  # fmt: skip
    return all(mine is None or (theirs is not None and mine.covers(theirs)) for mine, theirs in pairs)


def _live_list(listing: PointList, objects: Mapping[str, Any]) -> PointList | None:
    if listing.kind == "dacl":
        profile, acl = (
            objects.get(f"authorization_profile/{owned_name(listing.segment)}"),
            objects.get(f"downloadable_acl/{listing.name}"),
        )
        handed = "ipv6_dacl_name" if listing.family == 6 else "dacl_name"
        if not profile or not acl or profile.get(handed) != listing.name:
            return None
        return _with_text(listing, "dacl", acl["content"], "enforce")
    if listing.kind in ("port_acl", "router_acl"):
        lists, attachments = object_kinds(listing)
        attached = [
            o
            for key, o in objects.items()
            if key.startswith(f"{attachments}/") and o.get("access_list") == listing.name
        ]
        acl = objects.get(f"{lists}/{listing.name}")
        return _with_text(listing, dialect_of(listing), acl["content"], "enforce") if attached and acl else None
    if listing.kind == "firewall" and listing.platform == "asa":
        acl = objects.get(f"asa_access_list/{listing.name}")
        return _with_text(listing, "asa", acl["content"], "enforce") if acl else None
    if listing.kind == "firewall":
        ruleset = objects.get(f"ruleset/{listing.name}")
        return (
            _with_text(listing, "nftables", ruleset["content"], "enforce")
            if ruleset and ruleset.get("content")
            else None
        )
    return _live_cell(listing, objects)


def cell_in_force(listing: PointList, objects: Mapping[str, Any]) -> PointList | None:
    """Return a list of a matrix cell as ISE holds it, None where the cell is absent, DISABLED or says nothing of the family."""
    return _live_cell(listing, objects)


def text_in_force(listing: PointList, text: str) -> PointList:
    """Return a list as a target holds it, by its text in the dialect of its point."""
    return _with_text(listing, dialect_of(listing), text, "enforce")


def opaque_in_force(listing: PointList, objects: Mapping[str, Any]) -> bool:
    """Return whether what a target holds for a list has lines that its dialect does not model; ``lists_in_force`` leaves these out."""
    if listing.kind == "sgacl":
        cell = objects.get(f"egress_matrix_cell/{listing.cell}") or {}
        keys = [f"sgacl/{name}" for name in cell.get("sgacls", ())]
    elif listing.kind == "dacl":
        keys = [f"downloadable_acl/{listing.name}"]
    elif listing.kind == "firewall":
        keys = [f"{'asa_access_list' if listing.platform == 'asa' else 'ruleset'}/{listing.name}"]
    else:
        keys = [f"{object_kinds(listing)[0]}/{listing.name}"]
    options = {"family": listing.family} if listing.kind == "sgacl" else {}
    texts = [str((objects.get(key) or {}).get("content") or "") for key in keys]
    return any(acl.opaque for text in texts for acl in registry.parse(dialect_of(listing), text, **options))


def _live_cell(listing: PointList, objects: Mapping[str, Any]) -> PointList | None:
    cell = objects.get(f"egress_matrix_cell/{listing.cell}")
    if not cell or cell.get("status") == "DISABLED":
        return None
    aces: list[Ace] = []
    held = False
    for sgacl in cell.get("sgacls", ()):
        item = objects.get(f"sgacl/{sgacl}")
        if item and item.get("ip_version", "IPV4") in (f"IPV{listing.family}", "IP_AGNOSTIC"):
            aces += registry.parse("sgacl", item["content"], family=listing.family)[0].aces
            held = True
    if listing.family == 6 and not held and cell.get("default_rule") != "DENY_IP":
        return None  # the cell says nothing of IPv6
    aces.append(closing_ace(listing.family, permit=cell.get("default_rule") != "DENY_IP", label="default rule"))
    stage = "enforce" if cell.get("status") == "ENABLED" else "monitor"
    return replace(listing, aces=_labelled(aces), stage=stage, origins={})


def _with_text(listing: PointList, platform: str, text: str, stage: str) -> PointList:
    parsed = registry.parse(platform, text)
    aces = parsed[0].aces if parsed else ()
    default = parsed[0].default_permit if parsed else False
    return replace(listing, aces=_labelled(aces), default_permit=default, stage=stage, origins={})


def _labelled(aces: Sequence[Ace]) -> tuple[Ace, ...]:
    return tuple(
        ace if ace.label else replace(ace, label=ace.raw or f"line {number + 1}") for number, ace in enumerate(aces)
    )
