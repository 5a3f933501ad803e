# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rule base: what is shipped in data/, and what a site adds beside its policies (classification.yml).

A site's types, evidence and decisions come on top: a rule with the id of a shipped one stands in its place, and one with weight 0 is off.
Documents have been checked against their schema before; what is said here of types and weights no schema can say.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.yaml_io import Document, load_yaml
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.classification.facts import WORDS, words_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.classification.model import (
    CEILINGS,
    UNKNOWN,
    Decision,
    DeviceType,
    Rule,
    RuleBase,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.model import FACT_NAMES, normal_mac

DATA = Path(__file__).parent / "data"
# Where a type's name may stand, and what class of evidence it is there.
NAMED = (
    ("asset_type", "record", 90),
    ("endpoint_profile", "profile", 50),
    ("endpoint_group", "profile", 30),
    ("lldp_description", "neighbour", 45),
    ("dhcp_class", "dhcp", 30),
    ("model", "vendor", 30),
    ("hostname", "hostname", 15),
)
# A pump's server is no pump: such a word beside a type's name means another device.
OTHER_END = ("client", "controller", "engine", "gateway", "manager", "server", "software", "station", "workstation")
FACTS = frozenset({*FACT_NAMES, *WORDS.values(), "device", "address"})


@cache
def shipped() -> RuleBase:
    """Return the rule base of this collection."""
    taxonomy = load_yaml(DATA / "taxonomy.yml", "taxonomy.yml")
    types = {name: _type(name, value) for name, value in taxonomy.value["types"].items()}
    document = load_yaml(DATA / "rules.yml", "rules.yml")
    rules = [
        *(
            rule
            for name, value in taxonomy.value["types"].items()
            for rule in _named(name, value, taxonomy.location("types", name))
        ),
        *(_rule(item, document, ("rules", number)) for number, item in enumerate(document.value["rules"])),
    ]
    return RuleBase(types, tuple(rules))


def with_site(base: RuleBase, document: Document | None) -> tuple[RuleBase, list[Finding]]:
    """Return the rule base with a site's classification.yml on top, and what is wrong with that; faulty parts are left out."""
    if document is None:
        return base, []
    value = document.value
    findings: list[Finding] = []
    types = dict(base.types)
    rules = {rule.id: rule for rule in base.rules}
    own = value.get("types") or ()
    for number, item in enumerate(own):
        types[item["name"]] = _type(item["name"], item)
        rules.update((rule.id, rule) for rule in _named(item["name"], item, document.location("types", number)))
    for number, item in enumerate(own):
        for other in item.get("looks_like", ()):
            if other not in types:
                text = f"type {item['name']} looks like {other}, which is no type{_like(other, types)}"
                findings.append(codes.RULE_INVALID.at(text, document.location("types", number)))
    for number, item in enumerate(value.get("evidence") or ()):
        rule = _rule(item, document, ("evidence", number))
        faults = list(_faults(rule, types))
        findings.extend(codes.RULE_INVALID.at(f"rule {rule.id}: {text}", rule.location) for text in faults)
        if not faults:
            rules[rule.id] = rule
    decisions: dict[str, Decision] = dict(base.decisions)
    for number, item in enumerate(value.get("devices") or ()):
        place = document.location("devices", number)
        try:
            device = normal_mac(str(item["device"]))
        except ValueError as error:
            findings.append(codes.RULE_INVALID.at(str(error), place))
            continue
        if item["type"] not in types:
            findings.append(
                codes.RULE_INVALID.at(f"{device}: {item['type']} is no type{_like(item['type'], types)}", place)
            )
        elif device in decisions:
            findings.append(codes.RULE_INVALID.at(f"{device} is decided twice", place))
        else:
            decisions[device] = Decision(device, item["type"], item["owner"], item["reason"], place)
    kept = tuple(rule for rule in rules.values() if rule.weight)
    return RuleBase(types, kept, decisions), findings


def _type(name: str, value: Mapping[str, Any]) -> DeviceType:
    return DeviceType(
        name,
        value["family"],
        value["criticality"],
        float(value.get("level", 4)),
        value.get("description", ""),
        tuple(value.get("looks_like", ())),
    )


def _named(type_name: str, value: Mapping[str, Any], place: Location) -> Iterator[Rule]:
    """Yield the rules by which a type's names are known where names stand."""
    names = [type_name.replace("_", " "), *value.get("names", ())]
    phrases = [phrase for phrase in dict.fromkeys(words_of(name) for name in names) if phrase]
    own = {word for phrase in phrases for word in phrase}
    others = sorted(set(OTHER_END) - own)
    vague = [phrase for phrase in phrases if value.get("generic") and len(phrase) == 1]
    clear = [phrase for phrase in phrases if phrase not in vague]
    for fact, evidence, weight in NAMED:
        words = WORDS[fact]
        for suffix, chosen, share in (("", clear, 1), (".generic", vague, 1 if evidence == "record" else 2)):
            fitting = [_phrase(words, phrase) for phrase in chosen]
            if not fitting:
                continue
            query = {"all": [{"any": fitting}, {"not": {"fact": words, "in": others}}]} if others else {"any": fitting}
            name = f"{type_name}.{fact}{suffix}"
            yield Rule(name, type_name, evidence, weight // share, query, "by its name", "taxonomy", place)


def _phrase(fact: str, words: Sequence[str]) -> dict[str, Any]:
    tests = [{"fact": fact, "equals": word} for word in words]
    return tests[0] if len(tests) == 1 else {"all": tests}


def _rule(item: Mapping[str, Any], document: Document, where: Sequence[str | int]) -> Rule:
    return Rule(
        item["id"],
        item["type"],
        item["evidence"],
        item.get("weight", CEILINGS.get(item["evidence"], 0)),
        item["when"],
        item.get("note", ""),
        item.get("source", ""),
        document.location(*where),
    )


def _faults(rule: Rule, types: Mapping[str, DeviceType]) -> Iterator[str]:
    """Yield what is wrong with a rule."""
    if rule.type not in types or rule.type == UNKNOWN:
        yield f"{rule.type} is no type{_like(rule.type, types)}"
    ceiling = CEILINGS.get(rule.evidence)
    if ceiling is None:
        yield f"{rule.evidence} is no class of evidence; there are {', '.join(CEILINGS)}"
    elif not 0 <= rule.weight <= ceiling:
        yield f"weight {rule.weight} is above {ceiling}, the most that evidence of class {rule.evidence} counts"
    for fact in sorted(set(_facts_in(rule.when)) - FACTS):
        yield f"no source gathers the fact {fact}"
    if not set(_facts_in(rule.when, positive=True)):
        yield "it asks only for what a device has not, which every device fulfils"


def _like(name: str, types: Iterable[str]) -> str:
    family = name.split("_", maxsplit=1)[0]
    near = sorted(each for each in types if family in each)
    return f"; did you mean {', '.join(near[:3])}?" if near else ""


def _facts_in(query: Mapping[str, Any], positive: bool = False) -> Iterator[str]:
    if "fact" in query:
        yield query["fact"]
    for part in (*query.get("all", ()), *query.get("any", ())):
        yield from _facts_in(part, positive)
    if "not" in query and not positive:
        yield from _facts_in(query["not"], positive)
