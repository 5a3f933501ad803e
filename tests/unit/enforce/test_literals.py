"""Order by use, and the addresses that lists name."""

from __future__ import annotations

from dataclasses import replace

from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.compile import compile_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.desired import rendered
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site
from tests.unit.enforce.test_lists import lines, made, world

SEVEN = [(f"10.0.1.{n}", "acc1", f"GigabitEthernet1/0/{n}") for n in range(1, 8)]


def with_evidence(site: Site, bands: dict[str, dict[str, str]]) -> Site:
    segments = {
        name: replace(s, allow=tuple(replace(r, evidence=bands.get(r.id, {})) for r in s.allow))
        for name, s in site.segments.items()
    }
    return replace(site, segments=segments)


def test_the_most_used_come_first_and_the_others_in_file_order() -> None:
    rules = [(f"r{n}", "a", "b", [s]) for n, s in enumerate(["web", "bacnet", "pinned", "gre"])]
    bands = {"r2": {"days": "14 to 29", "devices": "all"}, "r3": {"days": "30 or more", "devices": "some"}}
    for point, name in (("dacl", "SW_a"), ("matrix", "SW_a__b"), ("acc1", "SW_a")):
        site = with_evidence(world(point, rules).site(), bands)
        listing = next(item for item in compile_site(site).lists if item.name == name)
        order = [ace.label for ace in listing.aces if ace.label.startswith("r")]
        assert order == ["r3", "r2", "r0", "r1"], point


def test_without_a_budget_literals_are_exact() -> None:
    compiled = made(world("dacl", [("r", "b", "a", ["web"])], members={"a": SEVEN, "b": [("10.0.2.2", "", "")]}))[1]
    assert [line for line in lines(compiled, "SW_b") if "443" in line] == [
        "permit tcp any host 10.0.1.1 eq 443",
        "permit tcp any 10.0.1.2 0.0.0.1 eq 443",
        "permit tcp any 10.0.1.4 0.0.0.3 eq 443",
    ]


def test_within_the_budget_one_prefix_is_named_and_what_it_adds_is_said() -> None:
    source = world("dacl", [("r", "b", "a", ["web"])], members={"a": SEVEN, "b": [("10.0.2.2", "", "")]})
    site = replace(source.site(), budgets={"extra_traffic": {"addresses": 1}})
    compiled = compile_site(site)
    assert [line for line in lines(compiled, "SW_b") if "443" in line] == ["permit tcp any 10.0.1.0 0.0.0.7 eq 443"]
    found = [f.message for f in compiled.findings if f.code == "SW3023"]
    assert len(found) == 1
    assert "adds 1 addresses of no device: 10.0.1.0" in found[0]


def test_an_address_of_another_device_is_never_added() -> None:
    members = {"a": SEVEN[:3] + SEVEN[4:], "b": [("10.0.2.2", "", "")], "c": [SEVEN[3]]}
    site = world("dacl", [("r", "b", "a", ["web"])], members=members).site()
    compiled = compile_site(replace(site, budgets={"extra_traffic": {"addresses": 16}}))
    text = next(rendered(item) for item in compiled.lists if item.name == "SW_b")
    assert "0.0.0.7" not in text
    assert "SW3023" not in {f.code for f in compiled.findings}


def test_the_cost_of_host_lines_is_told() -> None:
    compiled = made(world("dacl", [("r", "a", "b", ["web"])]))[1]
    found = next(f.message for f in compiled.findings if f.code == "SW3024")
    assert "b: 1 addresses in 1 lists, 2 devices" in found
    assert "a: 2 addresses in 1 lists, 1 devices" in found
