# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exceptions, postures and templates that fit their schema to model values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.yaml_io import Document
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import (
    AccessException,
    Conditions,
    Posture,
    Rule,
    Suspension,
    Template,
    Window,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.schema import rule_findings, shown

# What a template may always use: the segment that uses it.
SEGMENT_PARAMETER = "segment"
_PLACE = re.compile(r"\{([a-z][a-z0-9_]{0,31})\}")


def conditions_of(item: Mapping[str, Any]) -> Conditions | None:
    """Return the conditions of a rule or exception as written, None where it has none."""
    value = item.get("conditions")
    if not value:
        return None
    windows = tuple(Window(tuple(w["days"]), w["start"], w["end"]) for w in value.get("windows", ()))
    return Conditions(windows, value.get("posture", ""))


def exceptions_of(document: Document) -> tuple[AccessException, ...]:
    """Return the exceptions in file order."""
    return tuple(
        AccessException(
            item["id"],
            item["kind"],
            item["who"],
            item["client"],
            item["to"],
            tuple(item["services"]),
            item["valid_from"],
            item["expires"],
            item["ticket"],
            item["owner"],
            item["reason"],
            tuple(item.get("devices", ())),
            conditions_of(item),
            document.location("exceptions", number),
        )
        for number, item in enumerate(document.value["exceptions"])
    )


def postures_of(document: Document) -> dict[str, Posture]:
    """Return the postures by name."""
    made = {}
    for name, item in sorted(document.value["postures"].items()):
        suspends = tuple(
            Suspension(
                s["workflow"],
                s["consent_owner"],
                s["consent_date"],
                s["expires"],
                document.location("postures", name, "suspends", number),
            )
            for number, s in enumerate(item.get("suspends", ()))
        )
        made[name] = Posture(
            name,
            item["kind"],
            item["owner"],
            item["reason"],
            item.get("segment", ""),
            item.get("device", ""),
            tuple(item.get("keeps", ())),
            suspends,
            item.get("opens", "rules"),
            item.get("sgt"),
            item.get("ask_after_minutes", 0),
            document.location("postures", name),
        )
    return made


def posture_findings(document: Document) -> Iterator[Finding]:
    """Yield a finding for each field of a posture that does not belong to its kind."""
    others = {"isolate": ("opens", "ask_after_minutes"), "relax": ("keeps", "suspends", "sgt", "device")}
    for name, item in sorted(document.value["postures"].items()):
        for key in others[item["kind"]]:
            if key in item:
                text = f"posture {name} is of kind {item['kind']} and has {key}"
                yield codes.BAD_POSTURE.at(text, document.location("postures", name, key))


def templates_of(document: Document) -> dict[str, Template]:
    """Return the templates by name."""
    return {
        name: Template(
            name,
            tuple(item.get("parameters", ())),
            tuple(item["allow"]),
            item.get("description", ""),
            item.get("owner", ""),
            document.location("templates", name),
        )
        for name, item in sorted(document.value["templates"].items())
    }


def template_findings(templates: Iterable[Template]) -> Iterator[Finding]:
    """Yield a finding for each text of a template that uses a parameter it does not declare."""
    for template in templates:
        known = {*template.parameters, SEGMENT_PARAMETER}
        used = {name for rule in template.allow for text in _texts(rule) for name in _PLACE.findall(text)}
        for name in sorted(used - known):
            text = f"template {template.name} uses {{{name}}} and does not declare it"
            yield codes.TEMPLATE_PARAMETERS.at(text, template.location)


def _texts(rule: Mapping[str, Any]) -> list[str]:
    return [rule["id"], rule["to"], rule["reason"], *rule["services"]]


def expand(
    templates: Mapping[str, Template], use: Mapping[str, Any], segment: str, place: Location
) -> tuple[list[Rule], list[Finding]]:
    """Return the rules of a segment's ``use`` entry, with its place, or what is wrong with it."""
    name = use["template"]
    template = templates.get(name)
    if template is None:
        return [], [codes.UNKNOWN_TEMPLATE.at(f"segment {segment}: template {name} is not defined", place)]
    given = use.get("with", {})
    found = []
    for word, names in (
        ("no value for", set(template.parameters) - set(given)),
        ("a value for an unknown", set(given) - set(template.parameters)),
    ):
        for parameter in sorted(names):
            text = f"segment {segment}: template {name} gets {word} parameter {parameter}"
            found.append(codes.TEMPLATE_PARAMETERS.at(text, place))
    if found:
        return [], found
    values = {**given, SEGMENT_PARAMETER: segment}
    rules = []
    for item in template.allow:
        made = {
            **item,
            "id": _filled(item["id"], values),
            "to": _filled(item["to"], values),
            "reason": _filled(item["reason"], values),
            "services": _filled_list(item["services"], values),
            "origin": "template",
        }
        for problem in rule_findings(made, place):
            text = f"segment {segment}: template {name} makes rule {shown(made['id'])}: {problem.message}"
            found.append(codes.BAD_TEMPLATE_RULE.at(text, place))
        rules.append(make_rule(made, segment, place))
    return ([], found) if found else (rules, [])


def _filled(text: str, values: Mapping[str, Any]) -> str:
    """Return a text with its parameters' values; a list stands joined, which no name accepts and a reason may hold."""

    def value(match: re.Match[str]) -> str:
        found = values.get(match[1], match[0])
        return found if isinstance(found, str) else ", ".join(found)

    return _PLACE.sub(value, text)


def _filled_list(items: Iterable[str], values: Mapping[str, Any]) -> list[str]:
    made: list[str] = []
    for text in items:
        alone = _PLACE.fullmatch(text)
        found = values.get(alone[1]) if alone else None
        made.extend(found if isinstance(found, list) else [_filled(text, values)])
    return list(dict.fromkeys(made))


def make_rule(item: Mapping[str, Any], client: str, place: Location) -> Rule:
    """Return the rule of an entry of ``allow`` that fits the schema."""
    # Its fields are set at once, since a large site has a hundred thousand.
    get, made = item.get, object.__new__(Rule)
    made.__dict__.update(
        id=item["id"], client=client, to=item["to"], services=tuple(item["services"]), reason=item["reason"], origin=item["origin"],
        owner=get("owner", ""), expires=get("expires", ""), ticket=get("ticket", ""), evidence=get("evidence", {}), location=place,
        conditions=conditions_of(item) if "conditions" in item else None, devices=(),
    )  # fmt: skip
    return made
