# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of segments, their tags, devices and enforcement."""

from __future__ import annotations

from tests.unit.policy.faults.base import LINE_1, LOCK, Expected, Spoiled, fault


@fault
def segment_twice(site: Spoiled) -> list[Expected]:
    name = site.segment()
    zones = sorted(site["site.yml"]["zones"])
    copy = f"{site.chance.choice(zones)}/zzz_copy.yml"
    site.documents[copy] = dict(site[name])
    return [("SW2201", max(name, copy), ("segment",))]


@fault
def segments_that_differ_by_case(site: Spoiled) -> list[Expected]:
    site.new_segment()
    other = site.new_segment(segment="zz_New")
    entry = site[LOCK]["segments"]["zz_New"]["devices"][0]
    entry.update(device="02:00:00:ff:ff:02", addresses=["10.0.254.2"])
    return [("SW2201", other.replace("zz_New", "zz_new"), ("segment",))]


@fault
def tag_out_of_range(site: Spoiled) -> list[Expected]:
    name = site.segment()
    site[name]["sgt"] = site.chance.choice([65536, 70000, -1])
    return [("SW2202", name, ("sgt",))]


@fault
def tag_that_is_reserved(site: Spoiled) -> list[Expected]:
    name = site.segment()
    site[name]["sgt"] = site.chance.choice([0, 1, 2, 65520, 65535])
    return [("SW2203", name, ("segment",))]


@fault
def tag_that_ise_ships_with(site: Spoiled) -> list[Expected]:
    name = site.segment()
    site[name]["sgt"] = site.chance.choice([3, 9, 15, 255])
    return [("SW2215", name, ("segment",))]


@fault
def tag_shared(site: Spoiled) -> list[Expected]:
    first, second = sorted(site.chance.sample(site.segments(), 2), key=lambda name: site[name]["segment"])
    site[second]["sgt"] = site[first]["sgt"]
    return [("SW2204", second, ("segment",))]


@fault
def group_shared(site: Spoiled) -> list[Expected]:
    first, second = sorted(site.chance.sample(site.segments(), 2), key=lambda name: site[name]["segment"])
    site[first]["sgt_name"], site[second]["sgt_name"] = "Pumps", site.chance.choice(["Pumps", "PUMPS"])
    return [("SW2204", second, ("segment",))]


@fault
def group_without_its_tag(site: Spoiled) -> list[Expected]:
    name = site.segment()
    site[name].pop("sgt", None)
    site[name]["sgt_name"] = "Pumps"
    return [("SW2217", name, ("segment",))]


@fault
def file_in_the_wrong_zone(site: Spoiled) -> list[Expected]:
    name = site.segment()
    folder, _slash, rest = name.partition("/")
    other = site.chance.choice([zone for zone in sorted(site["site.yml"]["zones"]) if zone != folder])
    site.documents[f"{other}/{rest}"] = site.documents.pop(name)
    return [("SW2205", f"{other}/{rest}", ("segment",))]


@fault
def segment_of_an_unknown_zone(site: Spoiled) -> list[Expected]:
    name = site.new_segment(zone="nowhere")
    site.documents["nowhere/zz_new.yml"] = site.documents.pop(name)
    return [("SW2103", "nowhere/zz_new.yml", ("segment",))]


@fault
def name_of_two_things(site: Spoiled) -> list[Expected]:
    site.new_segment(segment="outside")
    return [("SW2206", "networks.yml", ("networks", "outside"))]


@fault
def device_outside_its_zone(site: Spoiled) -> list[Expected]:
    segment = site.chance.choice(sorted(site[LOCK]["segments"]))
    site[LOCK]["segments"][segment]["devices"][-1]["addresses"].append("192.0.2.77")
    return [("SW2207", LOCK, LINE_1)]


@fault
def device_twice(site: Spoiled) -> list[Expected]:
    name = site.new_segment()
    segments = site[LOCK]["segments"]
    entry = segments[site[name]["segment"]]["devices"][0]
    entry["device"] = segments[site.chance.choice(sorted(set(segments) - {"zz_new"}))]["devices"][0]["device"]
    return [("SW2208", LOCK, LINE_1)]


@fault
def address_twice(site: Spoiled) -> list[Expected]:
    name = site.new_segment()
    entry = site[LOCK]["segments"][site[name]["segment"]]["devices"][0]
    entry["addresses"].append("10.0.254.9")
    second = {"device": "02:00:00:ff:ff:03", "name": "second", "addresses": ["10.0.254.9"]}
    site[LOCK]["segments"]["zz_new"]["devices"].append(second)
    return [("SW2209", LOCK, LINE_1)]


@fault
def critical_segment_without_protection(site: Spoiled) -> list[Expected]:
    name = site.new_segment(criticality=site.chance.choice(["life_support", "process_critical"]))
    return [("SW2210", name, ("segment",))]


@fault
def segment_without_devices(site: Spoiled) -> list[Expected]:
    return [("SW2212", site.new_segment(devices=False), ("segment",))]


@fault
def lock_of_a_segment_that_went(site: Spoiled) -> list[Expected]:
    site[LOCK]["segments"]["went"] = {"devices": []}
    return [("SW2213", LOCK, LINE_1)]


@fault
def query_about_an_unknown_fact(site: Spoiled) -> list[Expected]:
    name = site.segment()
    site[name]["members"] = {"any": [site[name]["members"], {"not": {"fact": "shoe_size", "equals": 43}}]}
    return [("SW2214", name, ("segment",))]


@fault
def segment_enforced_nowhere(site: Spoiled) -> list[Expected]:
    return [("SW2507", site.new_segment(assigned=False), ("segment",))]


@fault
def segment_at_an_unknown_point(site: Spoiled) -> list[Expected]:
    segments = site["enforcement.yml"]["segments"]
    name = site.chance.choice(sorted(segments))
    segments[name]["points"].append("absent")
    return [("SW2501", "enforcement.yml", ("segments", name))]


@fault
def enforcement_of_an_unknown_segment(site: Spoiled) -> list[Expected]:
    segments = site["enforcement.yml"]["segments"]
    segments["absent"] = {"stage": "observe", "points": list(site["enforcement.yml"]["points"])[:1]}
    return [("SW2502", "enforcement.yml", ("segments", "absent"))]


@fault
def segment_without_a_tag_at_a_matrix(site: Spoiled) -> list[Expected]:
    name = site.new_segment()
    site["enforcement.yml"]["points"]["spoilt"] = {"kind": "sgacl", "platform": "ise", "host": "ise9"}
    site["enforcement.yml"]["segments"][site[name]["segment"]] = {"stage": "monitor", "points": ["spoilt"]}
    return [("SW2504", "enforcement.yml", ("segments", "zz_new"))]


def _matrix(
    site: Spoiled, *cells: tuple[str, str, str], stage: str = "monitor", **options: str
) -> list[dict[str, str]]:
    """Put a new segment at a matrix of its own, with stages of its cells; return their list."""
    site.new_segment(sgt=4001)
    enforcement = site["enforcement.yml"]
    enforcement["points"]["spoilt"] = {"kind": "sgacl", "platform": "ise", "host": "ise9", **options}
    enforcement["segments"]["zz_new"] = {"stage": stage, "points": ["spoilt"]}
    keys = ("source", "destination", "stage")
    enforcement["cells"] = [dict(zip(keys, cell, strict=True)) for cell in cells]
    found: list[dict[str, str]] = enforcement["cells"]
    return found


@fault
def cell_of_an_unknown_segment(site: Spoiled) -> list[Expected]:
    _matrix(site, ("zz_new", "zz_new", "enforce"), ("zz_new", "absent", "monitor"))
    return [("SW2502", "enforcement.yml", ("cells", 1))]


@fault
def cell_twice(site: Spoiled) -> list[Expected]:
    _matrix(site, ("zz_new", "zz_new", "enforce"), ("zz_new", "zz_new", "monitor"))
    return [("SW2515", "enforcement.yml", ("cells", 1))]


@fault
def cell_that_no_matrix_has(site: Spoiled) -> list[Expected]:
    name = site.segment()
    _matrix(site, ("zz_new", site[name]["segment"], "monitor"))
    return [("SW2516", "enforcement.yml", ("cells", 0))]


@fault
def cell_whose_tags_do_not_arrive(site: Spoiled) -> list[Expected]:
    _matrix(site, ("zz_new", "zz_new", site.chance.choice(("monitor", "enforce"))), tags="none")
    return [("SW2516", "enforcement.yml", ("cells", 0))]


@fault
def cell_ahead_of_an_observed_segment(site: Spoiled) -> list[Expected]:
    _matrix(site, ("zz_new", "zz_new", site.chance.choice(("monitor", "enforce"))), stage="observe")
    return [("SW2517", "enforcement.yml", ("cells", 0))]


@fault
def cell_of_a_critical_workflow_that_is_not_written(site: Spoiled) -> list[Expected]:
    _matrix(site, ("zz_new", "zz_new", "observe"))
    name = next(name for name in site.segments() if site[name]["segment"] == "zz_new")
    site[name]["allow"] = [
        {"id": "spoilt-rule", "to": "zz_new", "services": [site.service()], "reason": "Alarms", "origin": "manual"}
    ]
    site["workflows.yml"]["workflows"].append(
        {"id": "alarms", "name": "Alarms", "owner": "nursing", "criticality": "life_support", "rules": ["spoilt-rule"]}
    )
    return [("SW2518", "enforcement.yml", ("cells", 0))]


@fault
def point_on_a_platform_that_cannot(site: Spoiled) -> list[Expected]:
    kind, platform = site.chance.choice([("dacl", "ios"), ("firewall", "ise"), ("port_acl", "nftables")])
    site["enforcement.yml"]["points"]["spoilt"] = {"kind": kind, "platform": platform, "host": "somewhere"}
    return [("SW2505", "enforcement.yml", ("points", "spoilt"))]


@fault
def firewall_without_management(site: Spoiled) -> list[Expected]:
    name = site.new_segment()
    site["enforcement.yml"]["points"]["spoilt"] = {"kind": "firewall", "platform": "nftables", "host": "fw9"}
    site["enforcement.yml"]["segments"][site[name]["segment"]] = {"stage": "monitor", "points": ["spoilt"]}
    return [("SW2508", "enforcement.yml", ("points", "spoilt"))]


@fault
def ring_twice(site: Spoiled) -> list[Expected]:
    rings = site["enforcement.yml"]["rings"]
    rings[1]["id"] = rings[0]["id"]
    return [("SW2509", "enforcement.yml", ("rings", 1))]


@fault
def enforced_segment_without_rules(site: Spoiled) -> list[Expected]:
    site.new_segment()
    site["enforcement.yml"]["segments"]["zz_new"]["stage"] = "enforce"
    site["enforcement.yml"]["points"]["spoilt"] = {"kind": "dacl", "platform": "ise", "host": "ise9"}
    site["enforcement.yml"]["segments"]["zz_new"]["points"] = ["spoilt"]
    return [("SW2506", "enforcement.yml", ("segments", "zz_new"))]
