"""The way of a conversation: what is written decides, what is not written is unknown."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.compile import compile_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.paths import Path, Paths, path_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.effective import effective_site, find_device
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import (
    EnforcementPoint,
    Posture,
    Site,
    Situation,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.situations import prove_situations
from tests.unit.proof.small_sites import OUTSIDE, World

PORT = "GigabitEthernet1/0/{}"


def site(points: list[str], more: dict[str, EnforcementPoint] | None = None, **paths: Any) -> Site:
    world = World(
        members={
            "a": [("10.0.1.1", "acc1", PORT.format(1)), ("10.0.1.2", "acc1", PORT.format(2)), ("10.0.1.3", "", "")],
            "b": [("10.0.2.2", "acc2", PORT.format(1)), ("10.0.1.4", "acc1", PORT.format(1))],
        },
        rules=[("r", "a", "b", ["web"])],
        networks={},
        stages=dict.fromkeys("ab", ("enforce", points)),
        points={"fw1": ("firewall", {}), "dacl": ("dacl", {}), "acc1": ("port_acl", {}), "matrix": ("sgacl", {})},
    )
    made = world.site()
    return replace(made, points={**made.points, **(more or {})}, paths=paths)


def shown(path: Path) -> list[tuple[str, str, str]]:
    return [(c.point_id + (f" {c.interface} {c.way}" if c.way else ""), c.direction, c.sees) for c in path.points]


def gateway(name: str, *pairs: tuple[str, str]) -> EnforcementPoint:
    options = {"gateways": [{"interface": interface, "subnets": [subnet]} for interface, subnet in pairs]}
    return EnforcementPoint(name, "router_acl", "ios", name, options)


def test_access_firewall_and_the_port_of_the_server() -> None:
    path = path_of(site(["acc1", "fw1"]), "10.0.1.1", "10.0.2.2")
    assert path.known, path.why
    assert shown(path) == [("acc1", "forward", "yes"), ("fw1", "forward", "yes"), ("acc1", "reply", "no")]
    assert "acc2" in path.points[-1].why
    assert path.seen("forward") == ("acc1", "fw1")


def test_an_unknown_port_is_unknown_and_not_a_guess() -> None:
    path = path_of(site(["acc1"]), "10.0.1.3", "10.0.2.2")
    assert not path.known
    assert "the port of 10.0.1.3 is not known" in path.why
    assert ("acc1", "forward", "unknown") in shown(path)


def test_two_devices_behind_one_port_are_not_filtered_there() -> None:
    path = path_of(site(["acc1", "dacl"]), "10.0.1.1", "10.0.1.4")
    assert {(point, sees) for point, _way, sees in shown(path)} == {("acc1", "no"), ("dacl", "no")}


def test_gateways_in_and_out_and_what_they_do_not_see() -> None:
    point = gateway("core", ("Vlan1", "10.0.1.0/28"), ("Vlan2", "10.0.2.0/28"))
    one = site(["core"], {"core": point})
    assert shown(path_of(one, "10.0.1.1", "10.0.2.2")) == [
        ("core Vlan1 in", "forward", "yes"),
        ("core Vlan2 out", "forward", "yes"),
        ("core Vlan2 in", "reply", "yes"),
        ("core Vlan1 out", "reply", "yes"),
    ]
    inside = path_of(one, "10.0.1.1", "10.0.1.2")
    assert {sees for _p, _d, sees in shown(inside)} == {"no"}
    assert "share the subnet" in inside.points[0].why


@pytest.mark.parametrize(("tags", "sees"), [("inline", "yes"), ("sxp", "yes"), ("none", "no"), ("", "unknown")])
def test_cells_depend_on_how_tags_travel(tags: str, sees: str) -> None:
    options = {"tags": tags} if tags else {}
    matrix = EnforcementPoint("matrix", "sgacl", "ise", "ise1", options)
    path = path_of(site(["matrix"], {"matrix": matrix}), "10.0.1.1", "10.0.2.2")
    assert shown(path) == [("matrix", "forward", sees), ("matrix", "reply", sees)]
    assert path.known is (sees != "unknown")


def test_cells_are_enforced_at_the_receiver() -> None:
    options = {"tags": "inline", "switches": ["acc2"]}
    matrix = EnforcementPoint("matrix", "sgacl", "ise", "ise1", options)
    path = path_of(site(["matrix"], {"matrix": matrix}), "10.0.1.1", "10.0.2.2")
    assert shown(path) == [("matrix", "forward", "yes"), ("matrix", "reply", "no")]


def test_outside_needs_a_point_that_says_so() -> None:
    path = path_of(site(["dacl", "fw1"]), "10.0.1.1", OUTSIDE)
    assert path.known  # the firewall stands between the zones and everything else
    assert ("fw1", "forward", "yes") in shown(path)
    bare = site(["dacl"])
    bare = replace(bare, points={"dacl": bare.points["dacl"]})
    path = path_of(bare, "10.0.1.1", OUTSIDE)
    assert not path.known
    assert OUTSIDE in path.why
    assert path_of(replace(bare, paths={"outside": ["dacl"]}), "10.0.1.1", OUTSIDE).known


def test_a_written_route_counts_before_the_subnets() -> None:
    second = EnforcementPoint("fw2", "firewall", "nftables", "fw2", {"subnets": ["172.16.0.0/24"]})
    route = {"client": "a", "server": "b", "points": ["fw1", "fw2"], "reason": "transit"}
    one = site(["fw1", "fw2"], {"fw2": second}, routes=[route])
    assert [p for p, _d, _s in shown(path_of(one, "10.0.1.1", "10.0.2.2"))] == ["fw1", "fw2"]
    assert [p for p, _d, _s in shown(path_of(one, "10.0.2.2", "10.0.1.1"))] == ["fw1"]


def test_wireless_controllers_take_the_place_of_the_switch() -> None:
    dacl = EnforcementPoint("dacl", "dacl", "ise", "ise1", {"switches": ["wlc1"]})
    network = {"ssid": "iot", "controller": "wlc1", "subnets": ["10.0.1.0/28"]}
    one = Paths(site(["dacl"], {"dacl": dacl}, wireless=[network]))
    assert shown(one.of("10.0.1.3", "10.0.2.2")) == [("dacl", "forward", "yes"), ("dacl", "reply", "no")]


def test_groups_have_no_reply_and_stay_in_the_subnet() -> None:
    path = path_of(site(["dacl", "fw1"]), "10.0.1.1", "224.0.0.251")
    assert shown(path) == [("dacl", "forward", "yes"), ("fw1", "forward", "no")]


def test_ends_of_two_families_have_no_way() -> None:
    with pytest.raises(ValueError, match="families"):
        path_of(site(["dacl"]), "10.0.1.1", "2001:db8::1")


@pytest.mark.parametrize("end", ["client", "server"])
def test_a_device_that_an_isolation_takes_out_keeps_its_way(end: str) -> None:
    """Gateway, firewall and the route that names its old segment: where it stands does not change with its name."""
    point = gateway("core", ("Vlan1", "10.0.1.0/28"), ("Vlan2", "10.0.2.0/28"))
    route = {"client": "a", "server": "b", "points": ["core", "fw1"]}
    one = site(["core", "acc1", "fw1"], {"core": point}, routes=[route])
    where = ("10.0.1.1", "10.0.2.2")
    moved = find_device(one, "a0" if end == "client" else "b0")
    assert moved is not None
    postures = {
        "away": Posture("away", "isolate", "o", "r", device=moved[1].device, keeps=("r",)),
        "other": Posture("other", "isolate", "o", "r", segment="b" if end == "client" else "a", keeps=("r",)),
    }
    one = replace(one, postures=postures)
    usual = path_of(one, *where)
    assert (
        usual.known
        and ("fw1", "forward", "yes") in shown(usual)
        and ("core Vlan1 in", "forward", "yes") in shown(usual)
    )
    for names in (("away",), ("away", "other")):
        pulled = effective_site(one, Situation(postures=names))
        assert [m.device for m in pulled.members["away"]] == [moved[1].device]
        assert shown(path_of(pulled, *where)) == shown(usual)
        assert [item.why for item in path_of(pulled, *where).points] == [item.why for item in usual.points]
        lists = compile_site(pulled).lists
        _results, _present, findings = prove_situations(one, compile_site(one).lists)
        assert [f.code for f in findings if f.severity == "error"] == []
        assert any(item.segment == "away" for item in lists if item.kind == "port_acl")
    # Without the route's second name the firewall would not be named on the way any more.
    assert path_of(replace(pulled, paths={}), *where).points != path_of(pulled, *where).points
