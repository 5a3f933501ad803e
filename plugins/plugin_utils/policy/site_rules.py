# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of a site's own: statements about the parts of a policy, in ``rules/*.yml``.

A statement says which parts it is about, which of them by a query over their fields (the language of ``members``), and what
has to hold for them by another. It is data: no code of a policy directory is run, and a rule can add findings but neither
silence nor weaken one. Numbers are SW9001 to SW9999.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base import codes as base_codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import (
    Code,
    Finding,
    FindingError,
    Location,
    errors_of,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.yaml_io import Document, load_yaml
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.query import query_holds
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import AccessException, Rule, Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.outline import outline_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.schema import schema_findings

Facts = dict[str, list[Any]]
Item = tuple[str, Location, Facts]


@dataclass(frozen=True)
class SiteRule:
    """A statement: where ``when`` holds for a part of the kind ``about``, ``must`` has to hold (where given)."""

    number: str
    severity: str
    about: str
    message: str
    remedy: str
    when: Mapping[str, Any] | None = field(default=None, hash=False)
    must: Mapping[str, Any] | None = field(default=None, hash=False)
    location: Location = Location()


def site_rules_of(document: Document) -> Iterator[SiteRule]:
    """Yield the statements of a document that fits the schema ``rules``."""
    for number, item in enumerate(document.value["rules"]):
        yield SiteRule(
            item["number"],
            item["severity"],
            item["about"],
            item["message"],
            item["remedy"],
            item.get("when"),
            item.get("must"),
            document.location("rules", number),
        )


def read_rule_directories(directories: Iterable[str | Path]) -> tuple[tuple[SiteRule, ...], list[Finding]]:
    """Return the statements of all ``*.yml`` of directories outside the policy directory, and what is wrong with them."""
    rules: list[SiteRule] = []
    findings: list[Finding] = []
    for directory in directories:
        root = Path(directory)
        if not root.is_dir():
            findings.append(base_codes.FILE_UNREADABLE.at("is not a directory", Location(str(root))))
            continue
        for path in sorted(root.glob("*.yml")):
            try:
                document = load_yaml(path)
            except FindingError as error:
                findings.extend(error.findings)
                continue
            found = schema_findings("rules", document)
            findings.extend(found)
            if not errors_of(found):
                rules.extend(site_rules_of(document))
    return tuple(rules), findings


def site_rule_findings(rules: Iterable[SiteRule]) -> list[Finding]:
    """Return a finding for each number that stands twice and for each field that the kind does not have."""
    found = []
    seen: dict[str, SiteRule] = {}
    for item in rules:
        first = seen.setdefault(item.number, item)
        if first is not item:
            text = f"rule {item.number} stands in {first.location} as well"
            found.append(codes.BAD_SITE_RULE.at(text, item.location))
        asked = sorted(set(_asked(item.when)) | set(_asked(item.must)))
        for name in asked:
            if name not in FIELDS[item.about]:
                text = f"rule {item.number}: a {item.about} has no field {name}"
                hint = f"fields of a {item.about}: {', '.join(FIELDS[item.about])}"
                found.append(codes.BAD_SITE_RULE.at(text, item.location, hint))
    return found


def _asked(query: Mapping[str, Any] | None) -> Iterator[str]:
    if query is None:
        return
    if "fact" in query:
        yield query["fact"]
    for word in ("all", "any"):
        for part in query.get(word, ()):
            yield from _asked(part)
    yield from _asked(query.get("not"))


def apply_site_rules(site: Site, rules: Iterable[SiteRule]) -> Iterator[Finding]:
    """Yield a finding for each part of the site that a statement is about and that does not fulfil it."""
    parts: dict[str, list[Item]] = {}
    for item in rules:
        if item.about not in parts:
            parts[item.about] = [
                (name, place, {key: [v for v in values if v not in ("", None)] for key, values in facts.items()})
                for name, place, facts in _PARTS[item.about](site)
            ]
        code = Code(item.number, item.severity, item.message, item.remedy)
        for name, place, facts in parts[item.about]:
            if item.when is not None and not query_holds(item.when, facts):
                continue
            if item.must is None or not query_holds(item.must, facts):
                yield code.at(f"{item.about} {name}: {item.message}", place)


def _zone_facts(site: Site, prefix: str, segment: str) -> Facts:
    found = site.segments.get(segment)
    zone = site.zones.get(found.zone) if found else None
    return {
        f"{prefix}_zone": [found.zone] if found else [],
        f"{prefix}_owner": [found.owner] if found else [],
        f"{prefix}_criticality": [found.criticality] if found else [],
        f"{prefix}_security_level": [zone.security_level] if zone else [],
    }


def _permission(site: Site, item: Rule | AccessException) -> Facts:
    services = [site.services[name] for name in item.services if name in site.services]
    conditions = item.conditions
    return {
        "id": [item.id],
        "client": [item.client],
        **_zone_facts(site, "client", item.client),
        "to": [item.to],
        "to_kind": ["segment" if item.to in site.segments else "network"],
        **_zone_facts(site, "server", item.to),
        "services": list(item.services),
        "protocols": sorted({match.protocol for service in services for match in service.matches}),
        "ethertypes": sorted({value for service in services for value in service.ethertypes}),
        "reason": [item.reason],
        "owner": [item.owner],
        "expires": [item.expires],
        "ticket": [item.ticket],
        "posture": [conditions.posture] if conditions else [],
        "has_window": [bool(conditions and conditions.windows)],
    }


def _rules(site: Site) -> Iterator[Item]:
    in_workflow = {name for workflow in site.workflows for name in workflow.rules}
    for item in site.rules():
        yield (
            item.id,
            item.location,
            {**_permission(site, item), "origin": [item.origin], "in_workflow": [item.id in in_workflow]},
        )


def _exceptions(site: Site) -> Iterator[Item]:
    for item in site.exceptions:
        more: Facts = {
            "kind": [item.kind],
            "who": [item.who],
            "valid_from": [item.valid_from],
            "devices": list(item.devices),
        }
        yield item.id, item.location, {**_permission(site, item), **more}


def _segments(site: Site) -> Iterator[Item]:
    for name, item in site.segments.items():
        assignment = site.assignments.get(name)
        zone = site.zones.get(item.zone)
        facts: Facts = {
            "name": [name],
            "zone": [item.zone],
            "security_level": [zone.security_level] if zone else [],
            "sgt": [item.sgt],
            "owner": [item.owner],
            "criticality": [item.criticality],
            "description": [item.description],
            "devices": [len(site.members.get(name, ()))],
            "rules": [len(outline_of(item).ids)],
            "stage": [assignment.stage if assignment else "observe"],
            "points": list(assignment.points) if assignment else [],
        }
        yield name, item.location, facts


def _simple(group: str, *names: str) -> Callable[[Site], Iterator[Item]]:
    """Return a function that gives the parts of a group of the site with the named attributes as their fields."""

    def parts(site: Site) -> Iterator[Item]:
        items = getattr(site, group)
        for item in items.values() if isinstance(items, Mapping) else items:
            facts = {}
            for name in names:
                value = getattr(item, name)
                facts[name] = list(value) if isinstance(value, tuple) else [value]
            yield facts[names[0]][0], item.location, facts

    return parts


_SIMPLE: dict[str, tuple[str, ...]] = {
    "zone": ("zones", "name", "owner", "security_level", "subnets", "description"),
    "conduit": ("conduits", "id", "client", "server", "owner", "security_level_target", "description"),
    "service": ("services", "name", "symmetric", "description"),
    "network": ("networks", "name", "prefixes", "owner", "description"),
    "workflow": ("workflows", "id", "name", "owner", "criticality", "rules"),
    "guardrail": ("guardrails", "id", "must", "client", "server", "services", "owner", "reason"),
    "expectation": ("expectations", "id", "client", "server", "protocol", "port", "expect", "reason"),
    "posture": ("postures", "id", "kind", "segment", "device", "owner", "reason", "opens", "ask_after_minutes"),
    "point": ("points", "id", "kind", "platform", "host"),
}
_PARTS: dict[str, Callable[[Site], Iterator[Item]]] = {
    "rule": _rules,
    "exception": _exceptions,
    "segment": _segments,
    **{about: _simple(*names) for about, names in _SIMPLE.items()},
}
_END_FIELDS = ("zone", "owner", "criticality", "security_level")
_PERMISSION_FIELDS = (
    *("id", "client", *(f"client_{name}" for name in _END_FIELDS)),
    *("to", "to_kind", *(f"server_{name}" for name in _END_FIELDS)),
    *("services", "protocols", "ethertypes", "reason", "owner", "expires", "ticket", "posture", "has_window"),
)
# The fields that a query may ask for, by kind; docs/policy/reference.md lists them from here.
FIELDS: dict[str, tuple[str, ...]] = {
    "rule": (*_PERMISSION_FIELDS, "origin", "in_workflow"),
    "exception": (*_PERMISSION_FIELDS, "kind", "who", "valid_from", "devices"),
    "segment": (
        *("name", "zone", "security_level", "sgt", "owner", "criticality", "description", "devices", "rules"),
        *("stage", "points"),
    ),
    **{about: names[1:] for about, names in _SIMPLE.items()},
}
