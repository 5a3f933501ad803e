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
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.cache import ListCache
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


class Sum:
    """A cache that says whether a sum was known."""

    def __init__(self) -> None:
        self.cache, self.known = ListCache(), 0
        self._make = self.cache.sum_of
        self.cache.sum_of = self._counted  # type: ignore[method-assign]

    def _counted(self, key: str, make: Callable[[], str]) -> str:
        made: list[str] = []

        def made_now() -> str:
            made.append(make())
            return made[0]

        found = self._make(key, made_now)
        self.known += not made
        return found

    def keys(self, made: Site) -> dict[str, str]:
        own = Keys(SiteIndex(made, self.cache))
        names = sorted({*made.segments, *made.networks})
        return {f"asked {n}": own.asked(n) for n in names} | {f"leading {n}": own.leading(n) for n in names}


def without_limits(made: Site) -> Site:
    """No rule is for some devices only, and one leads to the set."""
    made = with_rule(made, 0, lambda rule: replace(rule, devices=()))
    return with_rules(made, (*made.segments["a"].allow, replace(made.segments["a"].allow[0], id="v", to="set")))


MORE_CHANGES: dict[str, Callable[[Site], Site]] = {
    **CHANGES,
    "a set that was a client": as_set,
    "addresses of a set": lambda made: replace(
        made, networks={**made.networks, "set": replace(made.networks["set"], prefixes=("10.0.2.0/29",))}
    ),
    "the file of an end": lambda made: replace(
        made, segments={**made.segments, "b": replace(made.segments["b"], location=Location("z/other.yml", 1))}
    ),
    "the file of a client": lambda made: replace(
        made, segments={**made.segments, "c": replace(made.segments["c"], location=Location("z/other.yml", 1))}
    ),
    "a wider literal": lambda made: replace(
        with_addresses(made, "b", "10.0.2.3"), budgets={"extra_traffic": {"addresses": 64}}
    ),
    "use": lambda made: with_rule(made, 1, lambda rule: replace(rule, evidence={"days": "30 or more", "devices": "all"})),
    "a rule of another client": lambda made: replace(
        made, segments={**made.segments, "b": replace(made.segments["b"], allow=(replace(
            made.segments["c"].allow[0], id="n", client="b", to="set"),))}
    ),
}  # fmt: skip


@pytest.mark.parametrize("limited", [True, False])
@pytest.mark.parametrize("what", sorted(MORE_CHANGES))
def test_a_key_that_is_known_as_a_whole_is_what_its_ends_make(what: str, limited: bool) -> None:
    """Keys by what is known of a site before the change are those of a site of which nothing is known."""
    before = site() if limited else without_limits(site())
    after, known = MORE_CHANGES[what](before), Sum()
    known.keys(before)
    assert known.keys(after) == Sum().keys(after)


@pytest.mark.parametrize("left_out", ["_ground", "_ends_sums"])
def test_a_sum_that_forgets_something_is_found(left_out: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which changes the test above finds where keys as a whole forget the ends and services, or the rules."""
    same: Any = "ground" if left_out == "_ground" else dict.fromkeys("abc", b"rules")
    monkeypatch.setattr(Keys, left_out, same)
    wrong = set()
    before = without_limits(site())
    for what, change in MORE_CHANGES.items():
        known, after = Sum(), change(before)
        known.keys(before)
        if known.keys(after) != Sum().keys(after):
            wrong.add(what)
    of_ends = {"addresses of the client", "addresses of the server", "addresses of a set", "a wider literal"}
    of_ends |= {"what a service is", "the file of an end", "a set that was a client"}
    rules = {"id", "services", "order of services", "line", "file", "order", "one less", "use"}
    assert wrong >= (of_ends if left_out == "_ground" else rules)


def test_what_is_known_as_a_whole_is_not_looked_at() -> None:
    before, known = without_limits(site()), Sum()
    first = known.keys(before)
    assert known.known == 0
    assert known.keys(before) == first
    assert known.known == 4  # what a and c ask, and what leads to b and to the set; b asks nothing


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
