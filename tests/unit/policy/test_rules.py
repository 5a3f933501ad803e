"""The machinery of the numbered rules, and what no file can say."""

from __future__ import annotations

import ipaddress
import itertools
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Code, Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.check import check_site, numbered_rules
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.loader import load_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import NetworkSet, Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.ranges import overlap, ranges_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.ruling import Context, NumberedRule, rule

TODAY = date(2026, 11, 23)


@pytest.fixture(scope="module")
def site(root: Path) -> Site:
    loaded = load_site(root / "policies")
    assert loaded.site is not None
    return loaded.site


def test_every_rule_has_a_description_and_every_code_one_number() -> None:
    assert len(numbered_rules()) > 50
    assert all(len(item.description) > 20 and item.description.endswith(".") for item in numbered_rules())
    numbers = [code.number for code in vars(codes).values() if isinstance(code, Code)]
    assert len(numbers) == len(set(numbers))
    raised = {code.number for item in numbered_rules() for code in item.codes}
    by_rules = {number for number in numbers if number >= "SW2102"}
    by_loader = {"SW2107", "SW2216", "SW2731", "SW2741", "SW2742", "SW2743"}
    assert by_rules - raised == by_loader


def test_a_site_may_bring_rules_of_its_own(site: Site) -> None:
    own = Code("SW2999", "warning", "a site's own rule", "ask the site")

    @rule(own)
    def check(site: Site, context: Context) -> Iterator[Finding]:
        """A rule of the site itself."""
        yield own.at(f"{site.name} on {context.today}")

    made: NumberedRule = check.numbered_rule  # type: ignore[attr-defined]
    assert (made.number, made.severity, made.description) == ("SW2999", "warning", "A rule of the site itself.")
    assert [str(f) for f in check_site(site, TODAY, [made])] == ["SW2999 warning: st-elsewhere on 2026-11-23"]


def test_the_date_is_an_argument(site: Site) -> None:
    def found(day: date) -> list[str]:
        return [f.code for f in check_site(site, day)]

    assert found(date(2030, 12, 31)) == ["SW2310"]
    assert found(date(2031, 1, 1)) == ["SW2305"]


def test_segments_without_owner_and_empty_sets(site: Site) -> None:
    pumps = replace(site.segments["infusion_pumps"], owner=" ")
    networks = {**site.networks, "dhcp_servers": NetworkSet("dhcp_servers", ())}
    services = {**site.services, "ssh": replace(site.services["ssh"], matches=())}
    changed = replace(site, segments={**site.segments, "infusion_pumps": pumps}, networks=networks, services=services)
    assert [f.code for f in check_site(changed, TODAY)] == ["SW2405", "SW2211", "SW2405"]


@pytest.mark.parametrize("name", ["x\n", "x; no aaa", "", "9x", "x" * 64, "x y", "ü"])
def test_unsafe_names_are_found_without_schemas(site: Site, name: str) -> None:
    point = replace(site.points["fw1"], id=name)
    guardrail = replace(site.guardrails[0], id=name)
    changed = replace(site, points={**site.points, name: point}, guardrails=(*site.guardrails, guardrail), name=name)
    found = [f for f in check_site(changed, TODAY) if f.code == "SW0009"]
    assert len(found) == 3
    assert all("\n" not in f.message for f in found)


def test_overlap_agrees_with_ipaddress() -> None:
    prefixes = [
        str(net)
        for length in (29, 30, 31, 32)
        for net in ipaddress.ip_network("10.0.0.0/28").subnets(new_prefix=length)
    ]
    prefixes += ["::/0", "::a00:0/124"]
    for one, two in itertools.product(prefixes, repeat=2):
        a, b = ipaddress.ip_network(one), ipaddress.ip_network(two)
        assert overlap(ranges_of([one]), ranges_of([two])) == (a.version == b.version and a.overlaps(b))
    for left in itertools.combinations(prefixes[::3], 2):
        for right in itertools.combinations(prefixes[1::3], 2):
            truth = any(
                a.version == b.version and a.overlaps(b)
                for a in map(ipaddress.ip_network, left)
                for b in map(ipaddress.ip_network, right)
            )
            assert overlap(ranges_of(left), ranges_of(right)) == truth
