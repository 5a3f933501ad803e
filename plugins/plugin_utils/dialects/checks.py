# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What acl_parse, acl_compare and acl_check answer: plain results from texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, errors_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import registry
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.budget import check_budget, cost_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.entries import ace_dict
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import Opaque, ParsedAcl
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.named_objects import told_apart
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.recognize import check_text
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.reply_lists import (
    check_reply_list,
    reply_dict,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.sgacl_cells import (
    cell_dict,
    has_cells,
    read_cells,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.anomalies import (
    find_anomalies,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.compare import compare
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import PacketSet, PacketSpace
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import Box
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.text import box_dicts, box_text, packet_dict

BOX_LIMIT = 200
# The syntax that a list is written in, where its kind says more than the platform of the text.
_WRITERS = {
    "extended": "ios", "standard": "ios", "ipv6": "ios_ipv6", "sgacl": "sgacl", "sgacl_ipv6": "sgacl", "nxos_ipv6": "nxos",
}  # fmt: skip


def parse_result(platform: str, text: str) -> dict[str, Any]:
    """Return ``acls`` (name, kind, entries, opaque, ends) and ``round_trip``: all lists understood and rendered to the same.

    Of ``show cts role-based permissions`` (platform sgacl) it is ``cells``: which SGACLs stand between which groups.
    """
    check_text(platform, text)
    if platform == "sgacl" and has_cells(text):
        cells, unknown = read_cells(text)
        opaque = [{"acl": "", **_opaque_dict(line)} for line in unknown]
        return {
            "changed": False,
            "acls": [],
            "cells": [cell_dict(cell) for cell in cells],
            "opaque": opaque,
            "round_trip": False,
        }
    found = registry.parse(platform, text)
    acls = [_acl_dict(platform, item) for item in found]
    return {
        "changed": False,
        "acls": acls,
        "cells": [],
        "opaque": [{"acl": item.name, **_opaque_dict(line)} for item in found for line in item.opaque],
        "round_trip": bool(acls) and all(item["round_trip"] for item in acls),
    }


def _acl_dict(platform: str, source: ParsedAcl) -> dict[str, Any]:
    return {
        "name": source.name,
        "kind": source.kind,
        "marks": str(source.attributes.get("marks", "")),
        "entries": [ace_dict(ace) for ace in source.aces],
        "opaque": [_opaque_dict(line) for line in source.opaque],
        "trailing_remarks": list(source.trailing_remarks),
        "default_permit": source.default_permit,
        "empty_permits": source.empty_permits,
        "round_trip": registry.list_round_trip(platform, source),
    }


def _opaque_dict(line: Opaque) -> dict[str, Any]:
    return {"line": line.line, "text": line.text, "reason": line.reason}


def one_list(platform: str, text: str, name: str) -> ParsedAcl:
    """Return the list meant; what a person pastes is looked at before it is read. FindingError SW1201, SW1205, SW1206, SW1243."""
    registry.check_platform(platform)
    check_text(platform, text)
    return registry.parse_one(platform, text, name)


def compare_result(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Return how two texts differ in meaning; each is ``{platform, text, name}``.

    ``comparable`` is False, and ``equal`` with it, when a line of either list is not understood (``not_modelled``): then nothing is
    claimed. Packets whose verdict depends on a condition in one list, and not likewise in the other, are in
    ``not_modelled_packets``; the lists are then not equal. A time range or group that the texts define
    differently is not likewise. Where one list belongs to a stateful firewall later fragments are left
    out, since it never sees them (``scope``). At most 200 boxes a side are told (``truncated``).
    """
    lists = [one_list(side["platform"], side["text"], str(side.get("name") or "")) for side in (first, second)]
    unknown = [
        {"side": side, "acl": item.name, **_opaque_dict(line)}
        for side, item in zip(("first", "second"), lists, strict=True)
        for line in item.opaque
    ]
    empty: dict[str, Any] = {
        "changed": False,
        "only_in_first": [],
        "only_in_second": [],
        "not_modelled_packets": [],
        "truncated": False,
        "scope": "all packets",
    }
    if unknown:
        return {**empty, "comparable": False, "equal": False, "not_modelled": unknown}
    space = PacketSpace()
    other = told_apart(lists[0], lists[1], (first["text"], second["text"]))
    found = compare(lists[0].first_match(), other.first_match(), space)
    sides = [found.only_in_first, found.only_in_second, found.not_modelled]
    scope = "all packets"
    if any(is_stateful(item) for item in lists):
        whole = space.from_box(Box(fragment=IntervalSet.single(0)))
        sides = [side & whole for side in sides]
        scope = "opening packets without later fragments"
    told = [difference_dicts(side) for side in sides]
    return {
        **empty, "comparable": True, "equal": not any(sides), "only_in_first": told[0], "only_in_second": told[1],
        "not_modelled_packets": told[2],
        "truncated": any(len(side) >= BOX_LIMIT for side in told), "scope": scope, "not_modelled": [],
    }  # fmt: skip


def is_stateful(source: ParsedAcl) -> bool:
    """Return whether a list belongs to a stateful firewall, which sees no later fragments."""
    return source.kind.startswith("asa") or (source.kind == "nftables" and source.attributes.get("stateful", True))


def difference_dicts(packets: PacketSet, limit: int = BOX_LIMIT) -> list[dict[str, Any]]:
    """Return the boxes of a set as dicts with ``text`` and a ``witness`` packet each, at most ``limit``."""
    result = []
    for box in packets.boxes(limit):
        witness = packets.space.from_box(box) & packets
        packet = witness.witness()
        result.append(
            {"text": box_text(box), "boxes": box_dicts(box), "witness": packet_dict(packet) if packet else {}}
        )
    return result


def _replies(
    platform: str, source: ParsedAcl, text: str, replies: Mapping[str, Any]
) -> tuple[dict[str, Any], list[Finding]]:
    back = one_list(str(replies.get("platform") or platform), replies["text"], str(replies.get("name") or ""))
    back = told_apart(source, back, (text, replies["text"]))
    found, findings = check_reply_list(source, back, str(replies.get("client_ports") or ""))
    boxes = {"gap": difference_dicts(found.gap), "uncertain": difference_dicts(found.uncertain)}
    truncated = any(len(each) >= BOX_LIMIT for each in boxes.values())
    return {"name": back.name, **reply_dict(found), **boxes, "truncated": truncated}, findings


def check_result(
    platform: str,
    text: str,
    name: str = "",
    budget: str = "",
    removable: bool = True,
    *,
    old_text: str = "",
    in_use: int = 0,
    copies: int = 1,
    replies: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return anomalies of a list with their certificates, its cost, and what it takes of a named budget.

    ``replies`` is the list of the other direction as ``{platform, text, name, client_ports}`` (platform: that of this list where
    absent): answers that it drops are ``replies.gap`` and an error. ``old_text`` holds the list that it replaces, of the same platform
    (default: one just like it); ``in_use`` and ``copies``
    are those of ``check_budget``. Raises FindingError SW1203 for a list that is not understood whole.
    """
    source = one_list(platform, text, name)
    listing = source.first_match()
    writer = _WRITERS.get(source.kind, platform)
    found = find_anomalies(listing, removable=removable)
    findings = [item.finding(listing) for item in found]
    answered, missing = _replies(platform, source, text, replies) if replies else ({}, [])
    findings += missing
    shares: dict[str, Any] = {}
    if budget:
        old = one_list(platform, old_text, name) if old_text else source
        old.first_match()  # an old list that is not understood has no size either
        checked = check_budget(
            writer, source.aces, budget, list_name=source.name, old=old.aces, in_use=in_use, copies=copies
        )
        findings += checked.findings
        cost, shares = checked.cost, checked.as_dict()
    else:
        cost = cost_of(writer, source.aces)
    anomalies = []
    for item in found:
        ace = source.aces[item.index]
        if ace.inactive:
            continue  # kept on purpose: nobody wants to hear of it
        anomalies.append({
            "kind": item.kind,
            "entry": item.index + 1,
            "line": ace.line,
            "text": ace.raw,
            "reason": item.finding(listing).message,
            "covered_by": [index + 1 for index in item.covering if index < len(source.aces)],
            "by_default": any(index >= len(source.aces) for index in item.covering),
            "witness": packet_dict(item.witness) if item.witness else {},
        })  # fmt: skip
    return {
        "changed": False,
        "name": source.name,
        "ok": not errors_of(findings),
        "anomalies": anomalies,
        "not_modelled": [
            {"entry": place, "line": ace.line, "text": ace.raw, "conditions": list(ace.conditions)}
            for place, ace in enumerate(source.aces, 1)
            if ace.conditions
        ],
        "counts": cost.as_dict(),
        "replies": answered,
        "budget": shares,
        "errors": [finding.as_dict() for finding in errors_of(findings)],
        "warnings_found": [finding.as_dict() for finding in findings if finding.severity != "error"],
    }
