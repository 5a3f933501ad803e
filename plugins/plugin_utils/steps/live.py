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
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.desired import dialect_of, object_kinds
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.lines import closing_ace
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import PointList
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
