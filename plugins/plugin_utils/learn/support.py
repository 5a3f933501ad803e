# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What speaks for a candidate beside its own traffic: what people declared, a manufacturer's description, a template, peers of its type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.evidence import CandidateKey, Gathered
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site

# Classes of a proposed rule, by what stands behind it (docs/propose.md).
VENDOR_KNOWN, PEER_KNOWN, NOVEL, THREAT_LINKED = "vendor-known", "peer-known", "novel", "threat-linked"
# From how many client segments on a service is infrastructure that everybody uses.
SHARED_SEGMENTS = 3


class Support:
    """Looks up support for candidates of one site and one gathering."""

    def __init__(
        self,
        site: Site,
        gathered: Gathered,
        kinds_of: Mapping[str, frozenset[str]],
        services: Mapping[tuple[int, int], str],
    ) -> None:
        self.site, self.gathered, self.kinds_of, self.services = site, gathered, kinds_of, services
        self.declared = {(str(to), str(service)) for service, to in (site.defaults.get("infrastructure") or {}).items()}
        self.mud = {
            (rule.client, rule.to, name) for rule in site.rules() if rule.origin == "mud" for name in rule.services
        }
        self.mud_services = {(client, name) for client, _to, name in self.mud}
        self.template = {
            (str(rule.get("to", "")), str(name))
            for template in site.templates.values()
            for rule in template.allow
            for name in rule.get("services", ())
        }
        self.workflow_rules = {name for workflow in site.workflows for name in workflow.rules}
        clients: dict[tuple[str, int, int], set[str]] = {}
        for key in gathered.candidates:
            clients.setdefault((key.to, key.protocol, key.server_port), set()).add(key.client)
        self.clients = {key: len(names) for key, names in clients.items()}

    def shared(self, key: CandidateKey) -> bool:
        """Return whether the server's segment serves this to many segments: infrastructure, as declared or as seen."""
        name = self.services.get((key.protocol, key.server_port), "")
        return (key.to, name) in self.declared or self.clients.get(
            (key.to, key.protocol, key.server_port), 0
        ) >= SHARED_SEGMENTS

    def of(self, key: CandidateKey) -> str:
        """Return in words what speaks for the candidate, empty for nothing; the strongest first."""
        name = self.services.get((key.protocol, key.server_port), "")
        if (key.to, name) in self.declared:
            return "declared: infrastructure of the site"
        if name and ((key.client, key.to, name) in self.mud or (key.client, name) in self.mud_services):
            return "mud: the manufacturer's description names the service"
        if name and (key.to, name) in self.template:
            return "template: a reviewed template names it"
        peers = self.peers(key)
        if peers:
            return f"peers: {peers} devices of the type in other segments do the same"
        if self.shared(key):
            count = self.clients[key.to, key.protocol, key.server_port]
            return f"shared: {count} segments use the service there"
        return ""

    def peers(self, key: CandidateKey) -> int:
        """Return how many devices of the client segment's types do the same (protocol and port, answered) in other segments."""
        found = 0
        for kind in self.kinds_of.get(key.client, ()):
            seen = self.gathered.kinds.get((kind, key.protocol, key.server_port), {})
            found += sum(count for segment, count in seen.items() if segment != key.client)
        return found


def class_of(support: str, threat: bool = False) -> str:
    """Return the class of a proposal: who else knows of it."""
    if threat:
        return THREAT_LINKED
    if support.startswith(("mud", "template", "declared")):
        return VENDOR_KNOWN
    return PEER_KNOWN if support.startswith(("peers", "shared")) else NOVEL


def kinds_in(
    register: Mapping[str, Any], segment_of: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, frozenset[str]]]:
    """Return the kind of each device (its class, else its ISE profile) and the kinds of each segment."""
    kind_of: dict[str, str] = {}
    kinds: dict[str, set[str]] = {}
    for device in register.get("devices", ()):
        facts = device.get("facts", {})
        for name in ("device_type", "endpoint_profile"):
            value = (facts.get(name) or {}).get("value")
            if value:
                kind_of[str(device["id"])] = str(value)
                break
        if device["id"] in segment_of and device["id"] in kind_of:
            kinds.setdefault(segment_of[device["id"]], set()).add(kind_of[device["id"]])
    return kind_of, {name: frozenset(values) for name, values in kinds.items()}
