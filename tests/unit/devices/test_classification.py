"""Classification: facts to type by additive evidence, the margin, contradictions, changes of mind, decisions, a site's own rules."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.yaml_io import Document, load_yaml, parse_yaml
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.classification import decide, rules
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.classification.facts import words_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.classification.matching import Matcher
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.classification.model import (
    CEILINGS,
    Classification,
    Evidence,
    Rule,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.model import Observation
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.query import query_holds
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.register import merge
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.schema import schema_findings

PUMP, LOCAL = "00:1b:c5:00:00:11", "02:1b:c5:00:00:12"


def said(
    facts: Mapping[str, Any], source: str = "ise:endpoint", time: int = 1, sure: float = 0.9, mac: str = PUMP
) -> Observation:
    return Observation(mac, facts, (), source, time, sure)


def classified(*observations: Observation, site: str = "") -> Classification:
    base, faults = rules.with_site(rules.shipped(), parse_yaml(site, "classification.yml") if site else None)
    assert not faults
    (device,) = merge(observations).devices.values()
    return decide.Classifier(base).of(device)


# Facts to type, as an engineer would expect it: (facts by source, type, use).
GOLDEN: list[tuple[dict[str, dict[str, Any]], str, str]] = [
    ({"ise:endpoint": {"endpoint_profile": "Lab-Infusion-Pump"}}, "infusion_pump", "monitor"),
    (
        {
            "ise:endpoint": {"endpoint_profile": "BD-Alaris-8015"},
            "oui": {"oui_vendor": "CareFusion"},
            "acc1:lldp": {"lldp_description": "Alaris PCU 8015"},
            "dhcp": {"dhcp_class": "Alaris PCU"},
        },
        "infusion_pump",
        "enforce",
    ),
    ({"cmdb": {"asset_type": "Infusion pump"}}, "infusion_pump", "enforce"),
    ({"cmdb": {"asset_type": "Infusion pump server"}}, "medical_server", "enforce"),
    ({"ise:endpoint": {"endpoint_profile": "Unknown"}}, "unknown", "review"),
    ({"ise:endpoint": {"endpoint_profile": "Lab-CT-Scanner"}}, "imaging_modality", "monitor"),
    # Three hints of one kind are no proof, ports alone never are.
    ({"flows": {"served_ports": ["tcp/502", "tcp/102", "tcp/44818"]}}, "unknown", "review"),
    (
        {
            "flows": {"served_ports": ["tcp/502"]},
            "oui": {"oui_vendor": "Rockwell Automation"},
            "x": {"hostname": "plc-17"},
        },
        "plc",
        "monitor",
    ),
    (
        {
            "acc1:lldp": {"lldp_capabilities": ["telephone", "bridge"]},
            "dhcp": {"dhcp_class": "Cisco Systems, Inc. IP Phone CP-7960"},
        },
        "voip_phone",
        "monitor",
    ),
    # A console that runs on Windows is still a scanner.
    (
        {
            "ise:endpoint": {"endpoint_profile": "CT-Scanner"},
            "oui": {"oui_vendor": "Dell Inc."},
            "dhcp": {"dhcp_class": "MSFT 5.0"},
            "flows": {"served_ports": ["tcp/104", "tcp/445", "tcp/3389"]},
        },
        "imaging_modality",
        "monitor",
    ),
    (
        {"ise:endpoint": {"endpoint_profile": "Windows10-Workstation"}, "dhcp": {"dhcp_class": "MSFT 5.0"}},
        "workstation",
        "monitor",
    ),
    ({"oui": {"oui_vendor": "Espressif Inc."}}, "unknown", "review"),
]


@pytest.mark.parametrize(("facts", "kind", "use"), GOLDEN, ids=[str(number) for number in range(len(GOLDEN))])
def test_facts_make_the_type_an_engineer_expects(facts: dict[str, dict[str, Any]], kind: str, use: str) -> None:
    made = classified(*(said(own, source) for source, own in facts.items()))
    assert (made.type, made.use, made.disputed) == (kind, use, ""), made.as_dict()


def test_classes_add_up_and_one_class_counts_once() -> None:
    made = classified(
        said({"served_ports": ["tcp/502", "tcp/44818"]}, "flows"), said({"oui_vendor": "Beckhoff Automation"}, "oui")
    )
    plc = made.candidates[0]
    assert plc.type == "plc"
    assert plc.confidence == pytest.approx(1 - 0.75 * 0.75)
    assert [each.line() for each in made.evidence if each.rule == "served-enip"] == [
        "plc +25 served: served_ports tcp/44818 by flows (answers EtherNet/IP) [served-enip]"
    ]


def test_a_pump_by_profile_that_looks_like_a_computer_is_admitted_nowhere() -> None:
    made = classified(
        said({"endpoint_profile": "Lab-Infusion-Pump"}),
        said({"oui_vendor": "Dell Inc."}, "oui"),
        said({"served_ports": ["tcp/445", "tcp/3389"]}, "flows"),
    )
    assert made.type == "unknown"
    assert made.use == "review"
    assert [each.code for each in made.findings] == ["SW1341"]
    assert "infusion_pump" in made.disputed
    assert "workstation" in made.disputed
    # One weak hint of one kind is no contradiction.
    assert not classified(
        said({"endpoint_profile": "Lab-Infusion-Pump"}), said({"served_ports": ["tcp/445"]}, "flows")
    ).disputed


def test_a_record_that_observation_contradicts_is_held_too() -> None:
    made = classified(
        said({"asset_type": "printer"}, "cmdb"),
        said({"served_ports": ["tcp/102"]}, "flows"),
        said({"oui_vendor": "Rockwell Automation"}, "oui"),
    )
    assert made.type == "unknown"
    assert made.findings[0].code == "SW1341"


def test_another_kind_of_device_at_the_same_mac_is_an_event_in_any_order() -> None:
    observations = [
        said({"endpoint_profile": "Lab-Infusion-Pump"}, time=1),
        said({"endpoint_profile": "Windows10-Workstation"}, time=5),
        said({"dhcp_class": "MSFT 5.0"}, "dhcp", time=5),
    ]
    for seed in range(6):
        random.Random(seed).shuffle(observations)
        made = classified(*observations)
        assert [each.code for each in made.findings] == ["SW1340"]
        assert made.type == "unknown"
        assert "was infusion_pump and is workstation" in made.disputed
    # A profile that becomes finer, or says it in other words, is none.
    for before, after in (
        ("Workstation", "Windows10-Workstation"),
        ("Linux-Workstation", "Lab-Infusion-Pump"),
        ("Unknown", "Lab-IP-Camera"),
    ):
        made = classified(said({"endpoint_profile": before}, time=1), said({"endpoint_profile": after}, time=5))
        assert not made.findings, (before, after)
        assert made.known or before == "Workstation"


def test_a_vendor_class_that_changes_under_a_steady_profile_is_an_event() -> None:
    made = classified(
        said({"endpoint_profile": "Axis-Device"}, time=9),
        said({"dhcp_class": "AXIS,Network Camera,M3045"}, "dhcp", time=1),
        said({"dhcp_class": "MSFT 5.0"}, "dhcp", time=5),
    )
    assert [each.code for each in made.findings] == ["SW1341", "SW1340"]


def test_a_decision_wins_settles_and_is_contradicted_aloud() -> None:
    site = f"devices:\n  - {{device: '{PUMP}', type: infusion_pump, owner: clinical-engineering, reason: seen on ward 3}}\n"
    changed = (
        said({"endpoint_profile": "Lab-Infusion-Pump"}),
        said({"endpoint_profile": "Windows10-Workstation"}, time=5),
    )
    made = classified(*changed, site=site)
    assert (made.type, made.by, made.disputed, made.use) == ("infusion_pump", "decision", "", "enforce")
    assert [each.code for each in made.findings] == ["SW1342"]
    assert made.findings[0].line == 2


def test_a_locally_administered_mac_has_no_vendor() -> None:
    facts = {"oui_vendor": "Axis Communications AB"}
    own, made_up = classified(said(facts)), classified(said(facts, mac=LOCAL))
    assert own.candidates[0].type == "camera"
    assert not made_up.candidates
    assert "locally administered" in made_up.notes[0]


def test_words_that_are_not_sure_count_half() -> None:
    made = classified(said({"endpoint_profile": "Lab-Infusion-Pump"}, "acc1:classifier", sure=0.4))
    assert made.candidates[0].confidence == 0.25
    assert "unsure" in made.evidence[0].line()


def test_a_site_adds_replaces_and_turns_off_rules() -> None:
    site = """
types:
  - {name: bed, family: healthcare, criticality: high, names: [smart bed]}
evidence:
  - {id: our-beds, type: bed, evidence: hostname, when: {fact: hostname, matches: "bd*"}}
  - {id: served-modbus, type: plc, evidence: served, weight: 0, when: {fact: served_ports, equals: tcp/502}}
  - {id: served-modbus-gateway, type: bed, evidence: served, when: {fact: served_ports, equals: tcp/502}}
"""
    made = classified(
        said({"hostname": "bd-17", "served_ports": ["tcp/502"], "endpoint_profile": "Smart-Bed"}), site=site
    )
    assert made.type == "bed"
    assert [each.rule for each in made.evidence] == ["our-beds", "bed.endpoint_profile", "served-modbus-gateway"]


@pytest.mark.parametrize(
    ("text", "said_of_it"),
    [
        (
            "evidence: [{id: a, type: infusion, evidence: served, when: {fact: vlan, equals: 1}}]",
            "did you mean infusion_pump",
        ),
        ("evidence: [{id: a, type: plc, evidence: served, weight: 60, when: {fact: vlan, equals: 1}}]", "above 25"),
        (
            "evidence: [{id: a, type: plc, evidence: served, when: {fact: colour, equals: red}}]",
            "no source gathers the fact colour",
        ),
        (
            "evidence: [{id: a, type: plc, evidence: served, when: {not: {fact: vlan, equals: 1}}}]",
            "every device fulfils",
        ),
        ("devices: [{device: x, type: plc, owner: o, reason: r}]", "not a MAC"),
        ("devices: [{device: '00:1b:c5:00:00:11', type: pump, owner: o, reason: r}]", "infusion_pump"),
        ("types: [{name: a, family: it, criticality: low, looks_like: [servr]}]", "no type"),
    ],
)
def test_faulty_rules_are_named_and_left_out(text: str, said_of_it: str) -> None:
    base, faults = rules.with_site(rules.shipped(), parse_yaml(text, "classification.yml"))
    assert [each.code for each in faults] == ["SW1343"]
    assert said_of_it in faults[0].message
    assert faults[0].line == 1
    assert "a" not in {rule.id for rule in base.rules}


@pytest.mark.one_python
def test_the_shipped_rules_are_whole() -> None:
    base = rules.shipped()
    assert 40 <= len(base.types) <= 70
    assert {each.family for each in base.types.values()} == {
        "healthcare",
        "ot",
        "energy",
        "building",
        "enterprise_iot",
        "network",
        "it",
    }
    faults = [(rule.id, fault) for rule in base.rules for fault in rules._faults(rule, base.types)]
    assert faults == []
    ids = [rule.id for rule in base.rules]
    assert len(ids) == len(set(ids))
    document = load_yaml(rules.DATA / "rules.yml").value["rules"]
    own = [{"name": name, **item} for name, item in load_yaml(rules.DATA / "taxonomy.yml").value["types"].items()]
    for each in own:
        each.pop("generic", None)
        each["level"] = str(each["level"])
    assert schema_findings("classification", Document("rules.yml", {"evidence": document, "types": own})) == []
    assert all(item["note"] and item["source"] for item in document)
    for kind in base.types.values():
        assert set(kind.looks_like) <= set(base.types)
        # Every type is known by its own name in a record, and by nobody else's.
        made = classified(said({"asset_type": kind.name.replace("_", " ")}, "cmdb"))
        assert made.type == kind.name, made.as_dict()


FACTS = {"vlan": [10, 20], "hostname": ["pump-1", "cam 2"], "served_ports": ["tcp/80", "tcp/502"], "site": ["A", "b"]}
tests = st.one_of(
    st.tuples(
        st.sampled_from(sorted(FACTS)),
        st.sampled_from(("equals", "contains", "matches")),
        st.sampled_from(("10", "pump*", "tcp/80", "a", "*m*")),
    ).map(lambda t: {"fact": t[0], t[1]: t[2]}),
    st.tuples(
        st.sampled_from(sorted(FACTS)),
        st.lists(st.sampled_from(("20", "PUMP-1", "tcp/502", "B")), min_size=1, max_size=3),
    ).map(lambda t: {"fact": t[0], "in": t[1]}),
    st.integers(5, 25).map(lambda n: {"fact": "vlan", "at_least": n}),
)
queries = st.recursive(
    tests,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"all": parts}),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"any": parts}),
        st.tuples(tests, inner).map(lambda pair: {"all": [pair[0], {"not": pair[1]}]}),
    ),
    max_leaves=6,
)
devices = st.fixed_dictionaries(
    {}, optional={name: st.lists(st.sampled_from(values), min_size=1, max_size=2) for name, values in FACTS.items()}
)


@pytest.mark.one_python
@settings(max_examples=300, deadline=None)
@given(st.lists(queries, min_size=1, max_size=6), st.lists(devices, min_size=1, max_size=4))
def test_the_matcher_answers_as_the_query_language(
    asked: list[dict[str, Any]], facts: list[dict[str, list[Any]]]
) -> None:
    matcher = Matcher(Rule(str(number), "plc", "served", 25, query) for number, query in enumerate(asked))
    for own in facts:
        fitting, hits = matcher.fitting({name: [(value, "s") for value in values] for name, values in own.items()})
        assert fitting == [number for number, query in enumerate(asked) if query_holds(query, own)]
        assert all(matcher.reasons(number, hits) for number in fitting)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.builds(
            Evidence,
            type=st.sampled_from(("plc", "rtu", "server")),
            evidence=st.sampled_from(sorted(CEILINGS)),
            rule=st.sampled_from("abc"),
            weight=st.integers(0, 90),
            facts=st.just(""),
        ),
        max_size=8,
    )
)
def test_evidence_adds_up_as_the_scheme_says(evidence: list[Evidence]) -> None:
    for each in decide.candidates_of(evidence):
        own = [one for one in evidence if one.type == each.type]
        left = 1.0
        for kind in {one.evidence for one in own}:
            left *= 1 - max(one.weight for one in own if one.evidence == kind) / 100
        assert each.confidence == pytest.approx(1 - left, abs=1e-4)
        more = decide.candidates_of([*evidence, Evidence(each.type, "served", "z", 25, "")])
        assert next(one.confidence for one in more if one.type == each.type) >= each.confidence


def test_words_of_names() -> None:
    assert words_of("BD-Alaris_8015.ward3") == ("bd", "alaris", "ward")
    assert words_of("12/3") == ()
