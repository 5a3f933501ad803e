# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of form: YAML, keys, types, values, files."""

from __future__ import annotations

from tests.unit.policy.faults.base import LINE_1, LOCK, ROOT, Expected, Spoiled, fault


@fault
def broken_syntax(site: Spoiled) -> list[Expected]:
    name = site.segment()
    site.edits.append((name, ("owner",), lambda line: line.replace("owner:", "owner: [")))
    # The flow list swallows the next key: the parser stops there.
    return [("SW0003", name, ("criticality",))]


@fault
def key_twice(site: Spoiled) -> list[Expected]:
    site.edits.append(("site.yml", ("time_zone",), lambda line: f"{line}\n{line}"))
    return [("SW0005", "site.yml", ("time_zone", "next line"))]


@fault
def alias(site: Spoiled) -> list[Expected]:
    name = site.segment()
    site.edits.append((name, ("zone",), lambda line: line.replace("zone: ", "zone: &z ")))
    return [("SW0004", name, ("zone",))]


@fault
def unknown_key_of_a_segment(site: Spoiled) -> list[Expected]:
    name = site.segment()
    site[name][site.chance.choice(["colour", "vlan", "ownr2"])] = "x"
    return [("SW2002", name, (list(site[name])[-1],))]


@fault
def unknown_key_deep_down(site: Spoiled) -> list[Expected]:
    network = site.chance.choice(sorted(site["networks.yml"]["networks"]))
    site["networks.yml"]["networks"][network]["gateway"] = "x"
    return [("SW2002", "networks.yml", ("networks", network, "gateway"))]


@fault
def unknown_key_of_an_exception(site: Spoiled) -> list[Expected]:
    file, path = site.exception(until="2027-01-01")
    return [("SW2002", file, (*path, "until"))]


@fault
def missing_key_of_a_segment(site: Spoiled) -> list[Expected]:
    name = site.segment()
    del site[name][site.chance.choice(["owner", "criticality", "members"])]
    return [("SW2003", name, ROOT)]


@fault
def exception_without_expiry(site: Spoiled) -> list[Expected]:
    file, path = site.exception(expires=None)
    return [("SW2003", file, path)]


@fault
def exception_without_ticket(site: Spoiled) -> list[Expected]:
    file, path = site.exception(ticket=None)
    return [("SW2003", file, path)]


@fault
def suspension_without_expiry(site: Spoiled) -> list[Expected] | None:
    for name, item in site["postures.yml"]["postures"].items():
        if item.get("suspends"):
            del item["suspends"][-1]["expires"]
            return [("SW2003", "postures.yml", ("postures", name, "suspends", len(item["suspends"]) - 1))]
    return None


@fault
def wrong_type(site: Spoiled) -> list[Expected]:
    name = site.segment()
    key, value = site.chance.choice([("owner", 7), ("sgt", "many"), ("allow", {"id": "x"}), ("description", True)])
    site[name][key] = value
    return [("SW2004", name, (key,))]


@fault
def time_without_quotes(site: Spoiled) -> list[Expected] | None:
    """YAML reads 22:00 as a number of seconds."""
    for number, item in enumerate(site["exceptions.yml"]["exceptions"]):
        item["conditions"] = {"windows": [{"days": ["mon"], "start": 1320, "end": "23:00"}]}
        path = ("exceptions", number, "conditions", "windows", 0, "start")
        return [("SW2004", "exceptions.yml", path)]
    return None


@fault
def wrong_word(site: Spoiled) -> list[Expected]:
    name = site.segment()
    site[name]["criticality"] = site.chance.choice(["life-safety", "huge", "LOW"])
    return [("SW2005", name, ("criticality",))]


@fault
def wrong_time(site: Spoiled) -> list[Expected]:
    windows = [{"days": ["mon"], "start": site.chance.choice(["25:00", "8:00", "08:60"]), "end": "23:00"}]
    file, path = site.exception(conditions={"windows": windows})
    return [("SW2005", file, (*path, "conditions", "windows", 0, "start"))]


@fault
def posture_about_two_things(site: Spoiled) -> list[Expected]:
    site["postures.yml"]["postures"]["alone"]["segment"] = "x"
    return [("SW2005", "postures.yml", ("postures", "alone"))]


@fault
def hidden_character(site: Spoiled) -> list[Expected]:
    name = site.segment()
    site[name]["description"] = "Pumps\u202e and more"
    return [("SW2006", name, ("description",))]


@fault
def file_that_is_not_read(site: Spoiled) -> list[Expected]:
    name = site.chance.choice(["firewall.yml", "zone_0/pumps.yaml", "exception.yml"])
    site.documents[name] = {"x": 1}
    return [("SW2007", name, ("no line",))]


@fault
def illegal_name(site: Spoiled) -> list[Expected] | None:
    made = site.rule(id="spoilt rule; reload")
    return made and [("SW0009", made[0], (*made[1], "id"))]


@fault
def own_rule_about_an_unknown_field(site: Spoiled) -> list[Expected]:
    rules = site["rules/own.yml"]["rules"]
    rules[1]["when"] = {"fact": "shoe_size", "equals": 43}
    return [("SW2011", "rules/own.yml", ("rules", 1))]


@fault
def own_rule_with_a_number_of_the_collection(site: Spoiled) -> list[Expected]:
    site["rules/own.yml"]["rules"][0]["number"] = "SW2301"
    return [("SW2011", "rules/own.yml", ("rules", 0, "number"))]


@fault
def own_rules_with_one_number(site: Spoiled) -> list[Expected]:
    site["rules/own.yml"]["rules"][1]["number"] = "SW9001"
    return [("SW2011", "rules/own.yml", ("rules", 1))]


@fault
def own_rule_is_broken(site: Spoiled) -> list[Expected]:
    name = site.segment()
    site[name]["owner"] = "somebody-else"
    return [("SW9001", name, ("segment",))]


@fault
def bad_address_in_the_lock(site: Spoiled) -> list[Expected]:
    segment = site.chance.choice(sorted(site[LOCK]["segments"]))
    site[LOCK]["segments"][segment]["devices"][0]["addresses"].append("10.0.0.999")
    return [("SW2216", LOCK, LINE_1)]


@fault
def prefix_with_host_bits(site: Spoiled) -> list[Expected]:
    zone = site.chance.choice(sorted(site["site.yml"]["zones"]))
    site["site.yml"]["zones"][zone]["subnets"][0] = "10.0.0.1/16"
    return [("SW2101", "site.yml", ("zones", zone, "subnets", 0))]


@fault
def range_that_runs_backwards(site: Spoiled) -> list[Expected]:
    text = site.chance.choice(["203.0.113.9-203.0.113.1", "203.0.113.9-2001:db8::1", "203.0.113.900-203.0.113.901"])
    site["networks.yml"]["networks"]["outside"]["ranges"] = [text]
    return [("SW2101", "networks.yml", ("networks", "outside", "ranges", 0))]


@fault
def time_zone_that_does_not_exist(site: Spoiled) -> list[Expected]:
    site["site.yml"]["time_zone"] = "Mars/Olympus"
    return [("SW2107", "site.yml", ("time_zone",))]


@fault
def template_that_does_not_exist(site: Spoiled) -> list[Expected]:
    name = site.segment()
    site[name]["use"] = [{"template": "absent"}]
    return [("SW2741", name, ("use", 0))]


def _using(site: Spoiled) -> str | None:
    return next((name for name in site.segments() if "use" in site[name]), None)


@fault
def template_without_a_value(site: Spoiled) -> list[Expected] | None:
    name = _using(site)
    if name is None:
        return None
    del site[name]["use"][0]["with"][site.chance.choice(["server", "services", "why"])]
    return [("SW2742", name, ("use", 0))]


@fault
def template_with_an_unknown_value(site: Spoiled) -> list[Expected] | None:
    name = _using(site)
    if name is None:
        return None
    site[name]["use"][0]["with"]["colour"] = "red"
    return [("SW2742", name, ("use", 0))]


@fault
def template_with_an_undeclared_parameter(site: Spoiled) -> list[Expected] | None:
    if _using(site) is None:
        return None
    site["templates.yml"]["templates"]["basics"]["allow"][0]["reason"] = "For {colour}"
    return [("SW2742", "templates.yml", ("templates", "basics"))]


@fault
def template_that_makes_an_illegal_rule(site: Spoiled) -> list[Expected] | None:
    name = _using(site)
    if name is None:
        return None
    site[name]["use"][0]["with"]["services"] = ["two words"]
    return [("SW2743", name, ("use", 0))]


@fault
def field_of_the_other_posture(site: Spoiled) -> list[Expected]:
    name, key, value = site.chance.choice(
        [("apart", "opens", "all"), ("apart", "ask_after_minutes", 5), ("outage", "keeps", ["workflow-0"])]
    )
    site["postures.yml"]["postures"][name][key] = value
    return [("SW2731", "postures.yml", ("postures", name, key))]
