"""Segment proposals: who joins and leaves, devices in dispute, and what shares a segment when SGTs are short."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.devices import storage
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.classification.decide import Classifier
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.classification.rules import shipped
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.model import Observation
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.register import merge
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.holding import holding_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.misplaced import Misplaced
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.segments import (
    ProposalSettings,
    SegmentProposals,
    counts_by_type,
    member_changes,
    propose_segments,
    with_types,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.build import ClassificationRule
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import NetworkSet, Segment, Site, Zone

PUMPS = {"fact": "endpoint_profile", "equals": "Lab-Infusion-Pump"}
OWN = Segment("infusion_pumps", "clinical", 110, "clinical-engineering", "life_support", PUMPS)
SITE = Site(
    name="s",
    time_zone="UTC",
    zones={name: Zone(name, (), 1, "o") for name in ("clinical", "building", "plant")},
    conduits=(),
    services={},
    networks={},
    segments={OWN.name: OWN},
    guardrails=(),
    expectations=(),
    workflows=(),
    points={},
    assignments={},
    members={},
)
SETTINGS = ProposalSettings.of(
    {
        "budget": 10,
        "sgts": {"first": 400, "last": 420},
        "zones": [
            {"of": "healthcare", "zone": "clinical", "owner": "clinical-engineering"},
            {"of": "building", "zone": "building", "owner": "facility-management"},
            {"of": "ot", "zone": "plant", "owner": "automation"},
        ],
    }
)


def mac(number: int) -> str:
    return f"00:1b:c5:00:00:{number:02x}"


def device(number: int, time: int = 1, **facts: Any) -> Observation:
    return Observation(
        mac(number), facts, (f"192.0.2.{number}",), "cmdb" if "asset_type" in facts else "ise:endpoint", time, 0.9
    )


def proposed(
    *observations: Observation,
    rules: tuple[ClassificationRule, ...] = (),
    given: ProposalSettings = SETTINGS,
    committed: dict[str, Any] | None = None,
    site: Site = SITE,
) -> SegmentProposals:
    register = merge(observations)
    base = shipped()
    classified = Classifier(base).all_of(register)
    document = with_types(storage.as_document(register, "-"), classified, base.types)
    return propose_segments(site, rules, document, classified, base.types, given, committed)


def lock(**members: list[int]) -> dict[str, Any]:
    return {
        "segments": {
            name: {"devices": [{"device": mac(n), "name": ""} for n in numbers]} for name, numbers in members.items()
        }
    }


def members(made: SegmentProposals) -> dict[str, list[str]]:
    return {name: [each["device"] for each in entry["devices"]] for name, entry in made.lock["segments"].items()}


def test_what_fits_no_segment_gets_one_by_its_type_with_the_next_tag_zone_and_owner() -> None:
    made = proposed(
        device(1, endpoint_profile="Lab-Infusion-Pump"),
        device(2, asset_type="ip camera"),
        device(3, asset_type="camera"),
        device(4, asset_type="ventilator"),
        device(5, endpoint_profile="Unknown"),
        device(6, asset_type="printer"),
    )
    assert made.new_names == ["camera", "ventilator"]
    camera, ventilator = made.new
    assert (camera.segment.zone, camera.segment.sgt, camera.segment.owner) == ("building", 400, "facility-management")
    assert camera.segment.members == {"fact": "device_type", "equals": "camera"}
    assert (ventilator.segment.criticality, ventilator.segment.sgt) == ("life_support", 401)
    assert members(made) == {"camera": [mac(2), mac(3)], "infusion_pumps": [mac(1)], "ventilator": [mac(4)]}
    assert [each.code for each in made.findings] == ["SW3213"]
    assert "printer" in made.findings[0].message


def test_a_new_segment_is_not_called_as_a_network_set_is() -> None:
    """A name is a segment or a network set: the gate refuses both (SW2206), and learning could not tell whose traffic it is."""
    taken = replace(SITE, networks={name: NetworkSet(name, ("198.51.100.0/24",)) for name in ("camera", "held_camera")})
    made = proposed(device(2, asset_type="camera"), site=taken)
    assert made.new_names == ["camera_2"]
    camera = made.new[0].segment
    found = [Misplaced(mac(1), OWN.name, camera.name, (), ())]
    assert holding_of(found, [OWN, camera], ("held_camera_2",)).of == {mac(1): "held_camera_2_2"}


def test_changes_are_told_against_the_committed_lock() -> None:
    made = proposed(
        device(1, endpoint_profile="Lab-Infusion-Pump"),
        device(2, asset_type="camera"),
        committed=lock(infusion_pumps=[7], camera=[1]),
    )
    assert [(each.device, each.before, each.after) for each in made.changes] == [
        (mac(1), "camera", "infusion_pumps"),
        (mac(2), "", "camera"),
        (mac(7), "infusion_pumps", ""),
    ]
    assert member_changes(made.lock, made.lock) == ()


def test_a_device_in_dispute_stays_where_it_was_and_a_new_one_is_admitted_nowhere() -> None:
    spoofed = [
        device(1, endpoint_profile="Lab-Infusion-Pump"),
        device(1, time=9, endpoint_profile="Windows10-Workstation"),
        device(2, endpoint_profile="Windows10-Workstation"),
        device(2, time=9, endpoint_profile="Lab-Infusion-Pump"),
        device(3, endpoint_profile="Lab-Infusion-Pump"),
    ]
    made = proposed(*spoofed, committed=lock(infusion_pumps=[1, 3]))
    assert members(made)["infusion_pumps"] == [mac(1), mac(3)]
    assert made.held == {mac(1): "infusion_pumps", mac(2): ""}
    assert [each.code for each in made.findings] == ["SW3210", "SW3210"]
    assert "stays in infusion_pumps" in made.findings[0].message
    assert made.changes == ()
    # Nothing committed yet: nobody in dispute is admitted.
    assert members(proposed(*spoofed))["infusion_pumps"] == [mac(3)]


def test_rules_of_the_site_come_before_types() -> None:
    rule = ClassificationRule("eyes", {"fact": "device_type", "equals": "camera"}, "building", 150, "security", "low")
    made = proposed(device(2, asset_type="camera"), device(3, asset_type="camera"), rules=(rule,))
    assert made.new_names == ["eyes"]
    assert made.new[0].devices == (mac(2), mac(3))
    assert made.new[0].types == ()


def test_over_the_budget_like_types_share_and_lives_never_with_others() -> None:
    everything = [
        *(device(n, asset_type="camera") for n in range(1, 9)),
        *(device(n, asset_type="hvac") for n in range(11, 14)),
        *(device(n, asset_type="lighting") for n in range(21, 23)),
        device(31, asset_type="ventilator"),
        device(32, asset_type="fire panel"),
        device(33, asset_type="plc"),
    ]
    rich = proposed(*everything)
    assert len(rich.new) == 6
    poor = proposed(*everything, given=ProposalSettings(SETTINGS.zones, SETTINGS.owners, 6, 400, 420))
    assert {each.segment.name: each.types for each in poor.new} == {
        "building_high": ("hvac", "lighting"),
        "camera": ("camera",),
        "fire_panel": ("fire_panel",),
        "plc": ("plc",),
        "ventilator": ("ventilator",),
    }
    assert [each.message for each in poor.findings if each.code == "SW3211"] == [
        "hvac, lighting in zone building: 5 devices"
    ]
    # With room for three at most, those that matter most keep theirs, and what gets none is said.
    three = proposed(*everything, given=ProposalSettings(SETTINGS.zones, SETTINGS.owners, 4, 400, 420))
    assert {each.segment.criticality for each in three.new} == {"life_support", "process_critical"}
    assert [each.code for each in three.findings if each.code == "SW3212"] == ["SW3212"]
    assert len({each.sgt for each in three.segments}) == len(three.segments) == 4


def test_the_order_of_observations_does_not_matter() -> None:
    observations = [
        device(n, asset_type=kind) for n, kind in enumerate(("camera", "hvac", "plc", "ventilator", "pacs") * 3, 1)
    ]
    first = proposed(*observations)
    for seed in range(4):
        random.Random(seed).shuffle(observations)
        assert proposed(*observations) == first


def test_likely_types_are_named_and_counted() -> None:
    made = proposed(device(1, endpoint_profile="Lab-Patient-Monitor"), device(2, asset_type="patient monitor"))
    assert [each.message for each in made.findings if each.code == "SW3214"] == [
        f"patient_monitor: 1 of 2 devices ({mac(1)})"
    ]
    classified = Classifier(shipped()).all_of(
        merge([device(1, asset_type="camera"), device(2), device(3, asset_type="camera")])
    )
    assert counts_by_type(classified.values()) == {"camera": 2, "unknown": 1}


# Profile, vendor, vendor class and ports served of the kinds that the test mixes up.
KINDS = (
    ("Lab-Infusion-Pump", "CareFusion", "", ()),
    ("Lab-Patient-Monitor", "Nihon Kohden Corporation", "", ()),
    ("Windows10-Workstation", "Dell Inc.", "MSFT 5.0", ("tcp/445", "tcp/3389")),
    ("Axis-Device", "Axis Communications AB", "AXIS,Network Camera", ("tcp/554",)),
    ("Cisco-IP-Phone-8841", "Cisco Systems, Inc", "Cisco Systems, Inc. IP Phone CP-8841", ()),
    ("Lab-PLC", "Beckhoff Automation GmbH", "", ("tcp/48898",)),
    ("HP-LaserJet", "Hewlett Packard", "Hewlett-Packard JetDirect", ("tcp/9100",)),
)


def test_wrong_profiles_widen_no_segment_where_anything_else_is_known() -> None:
    """5 % of 1,400 devices have another kind's profile. Segments ask for profiles, so that only the contradiction keeps them out."""
    chance = random.Random(20261126)
    observations, true, wrong = [], {}, set()
    for number in range(1400):
        name = f"00:1b:c5:01:{number >> 8:02x}:{number & 255:02x}"
        profile, vendor, vendor_class, ports = KINDS[number % len(KINDS)]
        true[name] = profile
        if chance.random() < 0.05:
            profile = chance.choice([kind[0] for kind in KINDS if kind[0] != profile])
            wrong.add(name)
        observations += [
            Observation(name, {"endpoint_profile": profile}, (), "ise:endpoint", 1, 0.9),
            Observation(name, {"oui_vendor": vendor}, (), "oui", 1, 0.9),
            Observation(name, {"dhcp_class": vendor_class, "served_ports": ports}, (), "seen", 1, 0.8),
        ]
    segments = {
        f"s{number}": Segment(
            f"s{number}", "clinical", 100 + number, "o", "low", {"fact": "endpoint_profile", "equals": kind[0]}
        )
        for number, kind in enumerate(KINDS)
    }
    made = proposed(*observations, site=replace(SITE, segments=segments))
    admitted = {each["device"]: name for name, entry in made.lock["segments"].items() for each in entry["devices"]}
    right = {name: f"s{[kind[0] for kind in KINDS].index(profile)}" for name, profile in true.items()}
    assert len(wrong) > 50
    assert {name for name, segment in admitted.items() if segment != right[name]} == set()
    # And nobody whose profile is right is kept out.
    assert set(made.held) == wrong
    assert set(admitted) == set(true) - wrong
