# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What makes a list is a part of its key, thing by thing: a key that forgets one would call a changed list proved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.index import SiteIndex
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.keys import Keys
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Member, Rule, Site
from tests.unit.proof.small_sites import World

MAC = "02:00:00:00:77:0{}"


def site() -> Site:
    """Rules r (for some devices of a) and s lead from a to b; a has two devices beside that of the world."""
    world = World(
        {"a": [("10.0.1.2", "", "")], "b": [("10.0.2.2", "", "")], "c": [("10.0.3.2", "", "")]},
        [("r", "a", "b", ["web"]), ("s", "a", "b", ["names"]), ("t", "c", "b", ["web"])],
        {"set": ["10.0.2.0/28"]},
        dict.fromkeys("abc", ("enforce", ["dacl"])),
        {"dacl": ("dacl", {})},
    )
    made = world.site()
    more = tuple(Member(MAC.format(n), (f"10.0.1.{10 + n}",)) for n in (1, 2))
    made = replace(made, members={**made.members, "a": (*made.members["a"], *more)})
    return with_rule(made, 0, lambda rule: replace(rule, devices=(more[0].device,)))


def with_rule(made: Site, number: int, change: Callable[[Rule], Rule]) -> Site:
    segment = made.segments["a"]
    allow = tuple(change(rule) if place == number else rule for place, rule in enumerate(segment.allow))
    return with_rules(made, allow)


def with_rules(made: Site, allow: tuple[Rule, ...]) -> Site:
    return replace(made, segments={**made.segments, "a": replace(made.segments["a"], allow=allow)})


def with_addresses(made: Site, segment: str, *addresses: str) -> Site:
    found = made.members[segment]
    changed = tuple(replace(member, addresses=(address,)) for member, address in zip(found, addresses, strict=False))
    return replace(made, members={**made.members, segment: (*changed, *found[len(changed) :])})


def other_match(made: Site) -> Site:
    service = made.services["web"]
    match = replace(service.matches[0], ports=((4443, 4443),))
    return replace(made, services={**made.services, "web": replace(service, matches=(match, *service.matches[1:]))})


def as_set(made: Site) -> Site:
    """The client c becomes a network set of the same name, addresses and rules."""
    segments = {name: item for name, item in made.segments.items() if name != "c"}
    network = replace(made.networks["set"], name="c", prefixes=("10.0.3.2/32",), allow=made.segments["c"].allow)
    return replace(made, segments=segments, networks={**made.networks, "c": network})


CHANGES: dict[str, Callable[[Site], Site]] = {
    "id": lambda made: with_rule(made, 0, lambda rule: replace(rule, id="other")),
    "services": lambda made: with_rule(made, 0, lambda rule: replace(rule, services=("web", "names"))),
    "order of services": lambda made: with_rule(made, 1, lambda rule: replace(rule, services=("names", "web"))),
    "what a service is": other_match,
    "line": lambda made: with_rule(made, 0, lambda rule: replace(rule, location=Location(rule.location.file, 77))),
    "file": lambda made: with_rule(made, 0, lambda rule: replace(rule, location=Location("x.yml", rule.location.line))),
    "for which devices": lambda made: with_rule(made, 0, lambda rule: replace(rule, devices=(MAC.format(2),))),
    "for all devices": lambda made: with_rule(made, 0, lambda rule: replace(rule, devices=())),
    # The addresses of the segment stay: two of its devices change theirs with each other.
    "addresses of those devices": lambda made: with_addresses(made, "a", "10.0.1.2", "10.0.1.12", "10.0.1.11"),
    "addresses of the client": lambda made: with_addresses(made, "a", "10.0.1.3"),
    "addresses of the server": lambda made: with_addresses(made, "b", "10.0.2.3"),
    "another end": lambda made: with_rule(made, 0, lambda rule: replace(rule, to="set")),
    "order": lambda made: with_rules(made, made.segments["a"].allow[::-1]),
    "one less": lambda made: with_rules(made, made.segments["a"].allow[1:]),
}  # fmt: skip


INTERFACE = {"interface": "Vlan10", "subnets": ["10.0.1.0/24"]}


def gateway_key(
    made: Site, gateway: dict[str, Any] = INTERFACE, what: str = "in", family: int = 4, *segments: str
) -> str:
    index = SiteIndex(made)
    here = [made.assignments[name] for name in segments or ("a",)]
    return Keys(index).gateway(made.points["dacl"], gateway, what, family, here)


def keys(made: Site) -> dict[str, str]:
    index = SiteIndex(made)
    own = Keys(index)
    return {
        "gateway of the client": gateway_key(made),
        "gateway of the server": gateway_key(made, INTERFACE, "out", 4, "b"),
        "asked": own.asked("a"),
        "leading": own.leading("b"),
        "between": own.between("a", "b"),
        "rules": own.rules(index.allowed("a")),
    }


@pytest.mark.parametrize("what", sorted(CHANGES))
def test_every_key_of_rules_knows(what: str) -> None:
    before = site()
    after = CHANGES[what](before)
    if what == "order":  # the order in which lists have them is that of use, and then that of the files
        assert SiteIndex(before).allowed("a") != SiteIndex(after).allowed("a")
    one, two = keys(before), keys(after)
    assert {name for name in one if one[name] == two[name]} == set(), what


def with_assignment(made: Site, **changes: Any) -> Site:
    return replace(made, assignments={**made.assignments, "a": replace(made.assignments["a"], **changes)})


def with_leases(made: Site) -> Site:
    return replace(made, defaults={"bootstrap": {"dhcp_servers": "set"}})


def with_management(made: Site) -> Site:
    flows = [{"client": "a", "server": "b", "services": ["web"]}]
    return replace(made, points={"dacl": replace(made.points["dacl"], options={"management": flows})})


@pytest.mark.parametrize("change", [
    lambda made: gateway_key(made, {**INTERFACE, "interface": "Vlan11"}),
    lambda made: gateway_key(made, {**INTERFACE, "subnets": ["10.0.1.0/25"]}),
    lambda made: gateway_key(made, {**INTERFACE, "directions": ["in"]}),
    lambda made: gateway_key(made, INTERFACE, "out"),
    lambda made: gateway_key(made, INTERFACE, "in", 6),
    lambda made: gateway_key(made, INTERFACE, "in", 4, "a", "c"),
    lambda made: gateway_key(with_assignment(made, stage="monitor")),
    lambda made: gateway_key(with_assignment(made, location=Location("enforcement.yml", 9))),
    lambda made: gateway_key(replace(made, points={"dacl": replace(made.points["dacl"], platform="nxos")})),
    lambda made: gateway_key(replace(made, points={"dacl": replace(made.points["dacl"], location=Location("e.yml", 3))})),
    lambda made: gateway_key(with_leases(made)),
    lambda made: gateway_key(with_management(made)),
])  # fmt: skip
def test_the_list_of_an_interface_is_known_by_all_that_makes_it(change: Callable[[Site], str]) -> None:
    assert change(site()) != gateway_key(site())


def test_who_leads_somewhere_is_known_by_more_than_its_name() -> None:
    before = site()
    for after in (as_set(before), with_addresses(before, "c", "10.0.3.9")):
        assert keys(before)["leading"] != keys(after)["leading"]
        assert keys(before)["asked"] == keys(after)["asked"]


def test_how_much_rules_are_used_decides_their_order_and_so_the_key() -> None:
    before = site()
    used = {"days": "30 or more", "devices": "all"}
    after = replace(before, segments={**before.segments, "c": replace(
        before.segments["c"], allow=tuple(replace(rule, evidence=used) for rule in before.segments["c"].allow)
    )})  # fmt: skip
    order = [rule.id for rule in SiteIndex(after).rules_to("b", 4)]
    assert order == ["t", "r", "s"] != [rule.id for rule in SiteIndex(before).rules_to("b", 4)]
    assert keys(before)["leading"] != keys(after)["leading"]


def test_what_does_not_concern_a_list_is_in_none_of_its_keys() -> None:
    before = site()
    elsewhere = replace(before.segments["b"], owner="another", allow=())
    for after in (
        with_addresses(before, "c", "10.0.3.9"),
        replace(before, segments={**before.segments, "b": elsewhere}),
        with_rule(before, 0, lambda rule: replace(rule, reason="said otherwise", owner="another")),
    ):
        one, two = keys(before), keys(after)
        assert (one["asked"], one["between"], one["rules"]) == (two["asked"], two["between"], two["rules"])
