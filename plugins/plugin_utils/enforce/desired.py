# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists to the objects of each target, rendered in the target's own language."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import registry
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.access import list_name
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.authorization import authorization_objects
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.cache import only_closes
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import (
    DesiredObject,
    DesiredTarget,
    PointList,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.naming import group_name
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.resolve import member_addresses
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site

# How a list of NX-OS is attached, by kind of point and family.
NXOS_COMMANDS = {
    ("port_acl", 4): "ip port access-group",
    ("port_acl", 6): "ipv6 port traffic-filter",
    ("router_acl", 4): "ip access-group",
    ("router_acl", 6): "ipv6 traffic-filter",
}
OWNERSHIP = "segwright:"
CELL_STATUS = {"monitor": "MONITOR", "enforce": "ENABLED"}


def ownership_mark(site: Site, what: str) -> str:
    """Return the description that marks an object as ours; free of dates, so that regenerating changes nothing."""
    return f"{OWNERSHIP}{site.name} {what}"


def dialect_of(listing: PointList) -> str:
    """Return the dialect in which a list is written, as ``dialects.registry`` names it."""
    if listing.kind in ("dacl", "sgacl"):
        return listing.kind
    return "ios_ipv6" if listing.platform == "ios" and listing.family == 6 else listing.platform


def object_kinds(listing: PointList) -> tuple[str, str]:
    """Return the kinds of objects that a list on interfaces becomes: the list, and where it is attached."""
    prefix = "nxos_" if listing.platform == "nxos" else "ipv6_" if listing.family == 6 else ""
    return f"{prefix}access_list", f"{prefix}attachment"


def rendered(listing: PointList) -> str:
    """Return the text of a list in its platform's language; written once for each list."""
    kept: dict[str, str] = listing.__dict__
    found = kept.get("_text")
    if found is None:
        found = kept["_text"] = registry.render(dialect_of(listing), listing.name, listing.aces)
    return found


def desired_targets(site: Site, lists: Sequence[PointList]) -> tuple[tuple[DesiredTarget, ...], list[Finding]]:
    """Return what each host must hold, hosts and objects in a fixed order.

    The findings are an error for each object that two lists of one host want with different contents.
    """
    objects: dict[tuple[str, str], dict[tuple[str, str], DesiredObject]] = defaultdict(dict)
    wanted_by: dict[tuple[str, str, str], str] = {}
    findings = []
    tags_of: dict[tuple[str, str], DesiredObject] = {}
    six = {(item.point, item.segment, item.peer): item for item in lists if item.kind == "sgacl" and item.family == 6}
    for listing in lists:
        for item in _objects_of(site, listing, six, tags_of):
            point = wanted_by.setdefault((listing.host, item.kind, item.name), listing.point)
            first = objects[listing.host, listing.platform].setdefault((item.kind, item.name), item)
            if first is not item and first.body != item.body:
                text = (
                    f"{listing.host}: {item.kind} {item.name} is wanted by {point} and, otherwise, by {listing.point}"
                )
                findings.append(codes.OBJECT_CONFLICT.at(text, site.points[listing.point].location))
    bound, unbound = authorization_objects(site, lists, f"{OWNERSHIP}{site.name}")
    findings += unbound
    for host, item in bound:
        objects[host, "ise"].setdefault((item.kind, item.name), item)
    targets = tuple(
        DesiredTarget(host, platform, tuple(found[key] for key in sorted(found)))
        for (host, platform), found in sorted(objects.items())
    )
    return targets, findings


class _Body(Mapping[str, Any]):
    """A body whose ``content`` is written when someone looks at it: most runs look at few of many lists."""

    def __init__(self, listing: PointList, values: dict[str, Any]) -> None:
        self._listing, self._values = listing, values

    def __getitem__(self, name: str) -> Any:
        return rendered(self._listing) if name == "content" else self._values[name]

    def __iter__(self) -> Iterator[str]:
        yield from ("content", *self._values)

    def __len__(self) -> int:
        return 1 + len(self._values)

    def __repr__(self) -> str:
        return repr(dict(self))


def _with_text(listing: PointList, **values: Any) -> Mapping[str, Any]:
    """Return a body with the list's text as its ``content``; written at once where the list has its lines."""
    if "aces" in listing.__dict__:
        return {**values, "content": rendered(listing)}
    return _Body(listing, values)


def _objects_of(
    site: Site,
    listing: PointList,
    six: Mapping[tuple[str, str, str], PointList],
    tags_of: dict[tuple[str, str], DesiredObject],
) -> list[DesiredObject]:
    """Return the objects of a list; ``tags_of`` keeps the security group of each host and segment, told once: all its cells name it."""
    if listing.kind == "dacl":
        return _dacl(site, listing)
    if listing.kind == "sgacl":
        return _cell(site, listing, six.get((listing.point, listing.segment, listing.peer)), tags_of)
    if listing.kind in ("port_acl", "router_acl"):
        return _on_interfaces(listing)
    if listing.platform == "asa":
        return [
            DesiredObject("asa_access_list", listing.name, _with_text(listing)),
            DesiredObject("asa_attachment", "global", {"access_list": listing.name}),
        ]
    return [DesiredObject("ruleset", listing.name, _with_text(listing, table=listing.name))]


def _dacl(site: Site, listing: PointList) -> list[DesiredObject]:
    """Return the list of one family, and with the IPv4 list the profile that hands out both."""
    mark = ownership_mark(site, f"segment {listing.segment}")
    acl = _with_text(listing, dacl_type=f"IPV{listing.family}", description=mark)
    made = [DesiredObject("downloadable_acl", listing.name, acl)]
    if listing.family == 4:
        profile = {"dacl_name": listing.name, "description": mark}
        if member_addresses(site, listing.segment, 6):
            profile["ipv6_dacl_name"] = list_name(listing.segment, 6)
        made.append(DesiredObject("authorization_profile", listing.name, profile))
    return made


def _cell(
    site: Site, listing: PointList, six: PointList | None, tags_of: dict[tuple[str, str], DesiredObject]
) -> list[DesiredObject]:
    """Return the list of a cell, and with the IPv4 list the cell itself, which names the IPv6 list as well, and tags not yet told."""
    if listing.family == 6:
        mark = ownership_mark(site, f"cell {listing.segment} to {listing.peer} IPv6")
        return [DesiredObject("sgacl", listing.name, _with_text(listing, ip_version="IPV6", description=mark))]
    made: list[DesiredObject] = []
    names = []
    for segment in (listing.segment, listing.peer):
        tag = tags_of.get((listing.host, segment))
        if tag is None:
            tag = tags_of[listing.host, segment] = _sgt(site, segment)
            made.append(tag)
        names.append(tag.name)
    source, destination = names
    only_closing = only_closes(listing)
    mark = ownership_mark(site, f"cell {listing.segment} to {listing.peer}")
    if not only_closing:
        made.append(DesiredObject("sgacl", listing.name, _with_text(listing, ip_version="IPV4", description=mark)))
    cell = {
        "source": source,
        "destination": destination,
        "status": CELL_STATUS[listing.stage],
        "sgacls": ([] if only_closing else [listing.name]) + ([six.name] if six else []),
        "default_rule": "DENY_IP" if only_closing else "NONE",
        "description": mark,
    }
    made.append(DesiredObject("egress_matrix_cell", listing.cell, cell))
    return made


def _sgt(site: Site, segment: str) -> DesiredObject:
    body = {"value": site.segments[segment].sgt, "description": ownership_mark(site, f"segment {segment}")}
    return DesiredObject("sgt", group_name(site, segment), body)


def _on_interfaces(listing: PointList) -> list[DesiredObject]:
    lists, attachments = object_kinds(listing)
    made = [DesiredObject(lists, listing.name, _with_text(listing))]
    for interface in listing.interfaces:
        body = {"interface": interface, "direction": listing.direction, "access_list": listing.name}
        name = f"{interface}-{listing.direction}"
        if listing.platform == "nxos":
            body["command"] = NXOS_COMMANDS[listing.kind, listing.family]
            name = f"{name}-ipv{listing.family}"
        made.append(DesiredObject(attachments, name, body))
    return made
