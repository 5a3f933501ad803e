# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Permissions to the text of a MUD file: RFC 8520 with the containers of RFC 8519, one pair of entries for each permission.

Equal permissions give equal bytes; the date comes from outside. Reading the text again gives the same permissions.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import sha256_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.mud.model import (
    DEVICE,
    PORTED,
    TCP,
    Peer,
    Permission,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.mud.pairing import ANSWERS

FLAGS = {"local_networks": "local-networks", "my_controller": "my-controller", "same_manufacturer": "same-manufacturer"}
CONTAINERS = {6: "tcp", 17: "udp"}


@dataclass(frozen=True)
class MudHead:
    """The head of a MUD file that is written. ``last_update`` is a date and time of RFC 3339."""

    url: str
    last_update: str
    systeminfo: str
    manufacturer_name: str = ""
    model_name: str = ""


def mud_text(head: MudHead, permissions: Sequence[Permission]) -> str:
    """Return the file's text. Port sets of several ranges become several pairs of entries."""
    lists: dict[tuple[int, bool], list[dict[str, Any]]] = {}
    for number, item in enumerate(_single_ranges(permissions)):
        for outgoing in (True, False):
            ace = _ace(item, outgoing, f"{'from' if outgoing else 'to'}-device-{number}")
            if ace is not None:
                lists.setdefault((item.family, outgoing), []).append(ace)
    stem = "mud-" + sha256_of([head.url, sorted(str(p.meaning()) for p in permissions)])[:5]
    names = {key: f"{stem}-v{key[0]}{'fr' if key[1] else 'to'}" for key in lists}
    value: dict[str, Any] = {
        "ietf-mud:mud": {
            "mud-version": 1,
            "mud-url": head.url,
            "last-update": head.last_update,
            "cache-validity": 48,
            "is-supported": True,
            "systeminfo": head.systeminfo[:60],
        }
    }
    own = value["ietf-mud:mud"]
    for key, text in (("mfg-name", head.manufacturer_name), ("model-name", head.model_name)):
        if text:
            own[key] = text
    for policy, outgoing in (("from-device-policy", True), ("to-device-policy", False)):
        own[policy] = {
            "access-lists": {"access-list": [{"name": names[key]} for key in sorted(lists) if key[1] == outgoing]}
        }
    value["ietf-access-control-list:acls"] = {
        "acl": [
            {"name": names[key], "type": f"ipv{key[0]}-acl-type", "aces": {"ace": lists[key]}} for key in sorted(lists)
        ]
    }
    return json.dumps(value, indent=2, ensure_ascii=True) + "\n"


def _single_ranges(permissions: Iterable[Permission]) -> Iterable[Permission]:
    """Yield permissions whose port sets are one range each: RFC 8519 knows no lists of ports."""

    def ranges(ports: IntervalSet | None) -> list[IntervalSet | None]:
        return [None] if ports is None else [IntervalSet.of(pair) for pair in ports.pairs]

    for item in permissions:
        for server in ranges(item.server_ports):
            for client in ranges(item.client_ports):
                yield Permission(
                    item.peers, item.family, item.opener, item.protocol, server, client, item.icmp, item.answered
                )


def _ace(item: Permission, outgoing: bool, name: str) -> dict[str, Any] | None:
    """Return the entry for packets of one direction, or None where nothing is sent that way."""
    request = (item.opener == DEVICE) == outgoing
    if not request and not item.answered:
        return None
    matches: dict[str, Any] = {}
    network: dict[str, Any] = {}
    for peer in item.peers:
        _add_peer(matches, network, peer, item.family, outgoing)
    if item.protocol is not None:
        network["protocol"] = item.protocol
    if network:
        matches[f"ipv{item.family}"] = network
    if item.protocol in PORTED:
        ports = _port_keys(item, outgoing)
        if item.protocol == TCP:
            ports["ietf-mud:direction-initiated"] = "from-device" if item.opener == DEVICE else "to-device"
        if ports:
            matches[CONTAINERS[item.protocol]] = ports
    if item.icmp is not None and item.protocol is not None:
        kind, code = item.icmp if request else (ANSWERS[item.protocol].get(item.icmp[0], item.icmp[0]), item.icmp[1])
        matches["icmp"] = {"type": kind} if code is None else {"type": kind, "code": code}
    return {"name": name, "matches": matches, "actions": {"forwarding": "accept"}}


def _add_peer(matches: dict[str, Any], network: dict[str, Any], peer: Peer, family: int, outgoing: bool) -> None:
    if peer.kind == "address":
        network[f"{'destination' if outgoing else 'source'}-ipv{family}-network"] = peer.value
    elif peer.kind == "dns":
        network[f"ietf-acldns:{'dst' if outgoing else 'src'}-dnsname"] = peer.value
    else:
        matches.setdefault("ietf-mud:mud", {})[FLAGS.get(peer.kind, peer.kind)] = (
            [None] if peer.kind in FLAGS else peer.value
        )


def _port_keys(item: Permission, outgoing: bool) -> dict[str, Any]:
    request = (item.opener == DEVICE) == outgoing
    sides = (("destination-port", item.server_ports), ("source-port", item.client_ports))
    found: dict[str, Any] = {}
    for (key, _ports), ports in zip(sides, (s[1] for s in (sides if request else sides[::-1])), strict=True):
        if ports is not None:
            low, high = ports.pairs[0]
            found[key] = (
                {"operator": "eq", "port": low} if low == high else {"lower-port": low, "upper-port": high}
            )  # fmt: skip
    return found
