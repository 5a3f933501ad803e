"""Compiled lists line by line, as a network engineer reads them."""

from __future__ import annotations

import ipaddress
import random
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import errors_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.budget import budget_findings, size_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.compile import compile_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.desired import rendered
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import Compiled, PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.naming import owned_name
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.resolve import addresses_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import EnforcementPoint, Site
from tests.unit.proof.small_sites import World

BOOTSTRAP = ["permit udp any eq 68 any eq 67", "permit icmp any any unreachable", "permit icmp any any time-exceeded"]


def world(point: str, rules: list[tuple[str, str, str, list[str]]], stage: str = "enforce", **more: Any) -> World:
    values: dict[str, Any] = {
        "members": {
            "a": [("10.0.1.1", "acc1", "GigabitEthernet1/0/1"), ("10.0.1.2", "acc1", "GigabitEthernet1/0/2")],
            "b": [("10.0.2.2", "acc1", "GigabitEthernet1/0/10")],
        },
        "networks": {},
        "stages": {name: (stage, [point]) for name in "ab"},
        "points": {
            "fw1": ("firewall", {}),
            "dacl": ("dacl", {}),
            "acc1": ("port_acl", {}),
            "matrix": ("sgacl", {"tags": "inline"}),
        },
    }
    return World(rules=rules, **(values | more))


def made(source: World) -> tuple[Site, Compiled]:
    site = source.site()
    return site, compile_site(site)


def lines(compiled: Compiled, name: str) -> list[str]:
    text = next(rendered(item) for item in compiled.lists if item.name == name)
    return [line.strip() for line in text.splitlines()]


def codes(compiled: Compiled) -> list[str]:
    return [finding.code for finding in compiled.findings]


@pytest.mark.parametrize(
    ("services", "client", "server"),
    [
        (["web"], "permit tcp any host 10.0.2.2 eq 443", "permit tcp any eq 443 host {} established"),
        (["bacnet"], "permit udp any eq 47808 host 10.0.2.2 eq 47808", "permit udp any eq 47808 host {} eq 47808"),
        (
            ["pinned"],
            "permit tcp any gt 1023 host 10.0.2.2 eq 102",
            "permit tcp any eq 102 host {} gt 1023 established",
        ),
        # A ping is answered by an echo reply and by nothing else: the server does not get to ping back.
        (["ping"], "permit icmp any host 10.0.2.2 echo", "permit icmp any host {} echo-reply"),
        (["gre"], "permit gre any host 10.0.2.2", "permit gre any host {}"),
    ],
)
def test_forward_and_reply_lines(services: list[str], client: str, server: str) -> None:
    compiled = made(world("dacl", [("r", "a", "b", services)]))[1]
    assert lines(compiled, "SW_a") == [*BOOTSTRAP, client, "deny ip any any"]
    replies = [server.format(address) for address in ("10.0.1.1", "10.0.1.2")]
    assert lines(compiled, "SW_b") == [*BOOTSTRAP, *replies, "deny ip any any"]


def test_ports_and_cells() -> None:
    compiled = made(world("acc1", [("r", "a", "b", ["web"])]))[1]
    assert lines(compiled, "SW_a")[0] == "ip access-list extended SW_a"
    assert lines(compiled, "SW_a")[-2:] == ["40 permit tcp any host 10.0.2.2 eq 443", "50 deny ip any any"]
    ports = {item.name: item.interfaces for item in compiled.lists}
    assert ports == {"SW_a": ("GigabitEthernet1/0/1", "GigabitEthernet1/0/2"), "SW_b": ("GigabitEthernet1/0/10",)}
    errors = ["permit icmp unreachable", "permit icmp time-exceeded"]
    compiled = made(world("matrix", [("r", "a", "b", ["web"])]))[1]
    assert lines(compiled, "SW_a__b") == ["permit tcp dst eq 443", *errors, "deny ip"]
    assert lines(compiled, "SW_b__a") == ["permit tcp src eq 443 established", *errors, "deny ip"]
    assert lines(compiled, "SW_a__a") == ["deny ip"]
    cells = {o.name: o.body for t in compiled.targets for o in t.objects if o.kind == "egress_matrix_cell"}
    assert (cells["SW_a-SW_b"]["sgacls"], cells["SW_a-SW_b"]["default_rule"]) == (["SW_a__b"], "NONE")
    assert (cells["SW_a-SW_a"]["sgacls"], cells["SW_a-SW_a"]["default_rule"]) == ([], "DENY_IP")


@pytest.mark.parametrize(
    ("stage", "last", "status"),
    [("monitor", "permit ip any any", "MONITOR"), ("enforce", "deny ip any any", "ENABLED")],
)
def test_stages(stage: str, last: str, status: str) -> None:
    rules = [("r", "a", "b", ["web"])]
    assert lines(made(world("dacl", rules, stage))[1], "SW_a")[-1] == last
    cells = [
        o.body
        for t in made(world("matrix", rules, stage))[1].targets
        for o in t.objects
        if o.kind == "egress_matrix_cell"
    ]
    assert {cell["status"] for cell in cells} == {status}
    assert made(world("dacl", rules, "observe"))[1].lists == ()


def firewall_rules(compiled: Compiled) -> list[str]:
    return [line for line in lines(compiled, "segwright") if " counter " in line]


def test_firewall_holds_what_crosses_it_and_concerns_it() -> None:
    rules = [
        ("r", "a", "b", ["web"]),
        ("near", "a", "a", ["web"]),
        ("other", "c", "d", ["web"]),
        ("toward", "c", "b", ["web"]),
    ]
    source = world("fw1", rules)
    source.members |= {"c": [("10.0.3.3", "", "")], "d": [("10.0.2.4", "", "")]}
    site, compiled = made(source)
    found = firewall_rules(compiled)
    labels = [line.split('comment "')[1].rstrip('"') for line in found]
    # "near" stays inside a subnet, "other" has no assigned end; a rule from elsewhere to an assigned segment counts.
    assert labels[:2] == ["r", "toward"]
    assert not {"near", "other"} & set(labels)
    assert found[0].startswith("ip saddr 10.0.1.1-10.0.1.2 ip daddr 10.0.2.2 tcp dport 443 counter accept")
    finding = next(f for f in compiled.findings if f.code == "SW3007")
    assert finding.severity == "info"
    assert "near" in finding.message
    # With a default of deny the rules of everyone are needed.
    source.points["fw1"] = ("firewall", {"default": "deny"})
    assert "other" in str(firewall_rules(made(source)[1]))
    assert site is not None


def test_a_default_of_deny_waits_for_the_first_enforced_segment() -> None:
    deny = {"fw1": ("firewall", {"default": "deny"})}
    monitored = made(world("fw1", [], "monitor", points=deny))[1]
    assert firewall_rules(monitored)[-2].startswith("meta nfproto ipv4 counter accept")
    enforced = world("fw1", [], points=deny)
    enforced.stages["b"] = ("observe", ["fw1"])
    found = firewall_rules(made(enforced)[1])
    assert found[-2].startswith("meta nfproto ipv4 counter drop")
    # b is observed at this point, and is not cut before its time.
    assert [line.split(" counter ")[0] for line in found if "default-" in line and "accept" in line] == [
        "ip saddr 10.0.2.2",
        "ip daddr 10.0.2.2",
    ]


def test_dhcp() -> None:
    """A lease server answers clients and relays; the firewall passes renewals and relayed requests to it, and to nobody else."""
    served = {"networks": {"leases": ["10.0.2.2/32"]}, "dhcp": "leases"}
    compiled = made(world("dacl", [], **served))[1]
    assert lines(compiled, "SW_b")[:3] == [
        BOOTSTRAP[0],
        "permit udp any eq 67 any eq 68",
        "permit udp any eq 67 any eq 67",
    ]
    assert lines(compiled, "SW_a")[:3] == BOOTSTRAP
    compiled = made(world("fw1", [], **served))[1]
    assert firewall_rules(compiled)[0].startswith("ip daddr 10.0.2.2 udp sport 67-68 udp dport 67 counter accept")


def test_dhcp_of_ipv6() -> None:
    """A lease server answers clients (port 546) and relays (547; RFC 8415 section 7.2); others only ask."""
    site = world("dacl", [], networks={"leases": ["2001:db8:2::2/128"]}, dhcp="leases").site()
    members = {
        name: tuple(replace(m, addresses=(*m.addresses, f"2001:db8:{number}::2")) for m in found)
        for number, (name, found) in enumerate(sorted(site.members.items()), 1)
    }
    compiled = compile_site(replace(site, members=members))
    asks, answers = (
        "permit udp any eq 546 any eq 547",
        ("permit udp any eq 547 any eq 546", "permit udp any eq 547 any eq 547"),
    )
    assert asks in lines(compiled, "SW_a__v6") and not set(answers) & set(lines(compiled, "SW_a__v6"))
    assert {asks, *answers} <= set(lines(compiled, "SW_b__v6"))
    firewall = compile_site(
        replace(world("fw1", [], networks={"leases": ["2001:db8:2::2/128"]}, dhcp="leases").site(), members=members)
    )
    assert firewall_rules(firewall)[0].startswith(
        "ip6 daddr 2001:db8:2::2 udp sport 546-547 udp dport 547 counter accept"
    )


def test_a_rule_to_a_network_reaches_the_cells_of_its_devices() -> None:
    compiled = made(world("matrix", [("r", "a", "net", ["web"])], networks={"net": ["10.0.2.0/28"]}))[1]
    assert "permit tcp dst eq 443" in lines(compiled, "SW_a__b")
    assert codes(compiled) == ["SW3016"]  # the set has more addresses than those of devices
    source = world("matrix", [("r", "a", "net", ["web"])], networks={"net": ["10.0.2.2/32"]})
    source.members["b"].append(("10.0.2.3", "", ""))
    compiled = made(source)[1]
    assert "permit tcp dst eq 443" in lines(compiled, "SW_a__b")
    assert codes(compiled) == ["SW3012"]
    assert "permit tcp dst eq 443" in lines(made(world("matrix", [("r", "a", "any", ["web"])]))[1], "SW_a__a")


def test_what_cannot_be_done_is_said() -> None:
    empty = world("dacl", [("r", "a", "b", ["web"])])
    empty.members["b"] = []
    assert codes(made(empty)[1]) == ["SW3001", "SW3015", "SW3015", "SW3024"]
    shared = world("acc1", [])
    shared.members["b"] = [("10.0.2.2", "acc1", "GigabitEthernet1/0/1")]
    compiled = made(shared)[1]
    assert {f.code for f in errors_of(compiled.findings)} == {"SW3008", "SW3009"}  # the port, and its attachment
    bystander = world("acc1", [], stages={"a": ("enforce", ["acc1"])})
    bystander.members["c"] = [("10.0.1.9", "acc1", "GigabitEthernet1/0/2")]
    assert "c0 of c is behind the list of a" in made(bystander)[1].findings[0].message
    site = world("fw1", []).site()
    second = EnforcementPoint("fw2", "firewall", "nftables", "fw1", {"table": "segwright", "zones": ["north"]})
    both = replace(
        site,
        points={**site.points, "fw2": second},
        assignments={n: replace(a, points=("fw1",) if n == "a" else ("fw2",)) for n, a in site.assignments.items()},
    )
    assert [f.code for f in errors_of(compile_site(both).findings)] == ["SW3009"]
    six = world("matrix", []).site()
    members = {
        n: tuple(replace(m, addresses=(*m.addresses, "2001:db8::1")) for m in found)
        for n, found in six.members.items()
        if n == "a"
    }
    assert codes(compile_site(replace(six, members={**six.members, **members}))) == ["SW3011"]


def test_addresses_are_merged_and_never_widened() -> None:
    choose = random.Random(5)
    for _ in range(30):
        space = list(ipaddress.ip_network("10.0.2.0/26"))
        chosen = choose.sample(space, choose.randint(1, 40))
        source = world("dacl", [("r", "a", "net", ["web"])], networks={"net": [f"{a}/32" for a in chosen]})
        source.stages = {"a": ("enforce", ["dacl"])}
        found = [line.split() for line in lines(made(source)[1], "SW_a") if " eq 443" in line]
        said: set[Any] = set()
        for words in found:
            if words[3] == "host":
                said.add(ipaddress.ip_address(words[4]))
            else:
                value, mask = int(ipaddress.ip_address(words[3])), int(ipaddress.ip_address(words[4]))
                said |= {a for a in space if int(a) & ~mask == value & ~mask}
                assert all(ipaddress.ip_address(value | bits) in space for bits in (0, mask))
        assert said == set(chosen)
        assert len(found) <= len(chosen)


def test_names_are_legal_and_different() -> None:
    parts = [
        ("a_b", "c"),
        ("a", "b_c"),
        ("a",),
        ("a__b",),
        ("a", "b"),
        ("a_", "b"),
        ("a", "_b"),
        ("x" * 32, "y" * 32),
        ("x" * 32, "y" * 31),
        ("a_b_c",),
    ]
    names = [owned_name(*item) for item in parts]
    assert len(set(names)) == len(parts)
    for name in names:
        assert len(name) <= 32
        assert name.startswith("SW_")
        assert name.replace("_", "").isalnum()


def test_the_same_site_gives_the_same_text() -> None:
    source = world("fw1", [("r", "a", "b", ["web", "names"])])
    site = source.site()
    turned = replace(
        site,
        segments=dict(reversed(site.segments.items())),
        members=dict(reversed(site.members.items())),
        assignments=dict(reversed(site.assignments.items())),
    )
    assert [rendered(x) for x in compile_site(site).lists] == [rendered(x) for x in compile_site(turned).lists]


def sized(services: list[str], point: str = "dacl", **more: Any) -> tuple[Site, PointList]:
    site, compiled = made(world(point, [("r", "a", "b", services)], **more))
    return site, next(item for item in compiled.lists if item.segment in ("a", ""))


@pytest.mark.parametrize(
    ("services", "point", "size"),
    [
        # DHCP, two ICMP errors, the rule, the end
        (["web"], "dacl", (5, 0, 5)),
        # tcp 80, tcp 8000-8010 and udp 5000-5010; 8000-8010 is 8000/29 + 8008/31 + 8010, 5000-5010 is 5000/29 + 5008/31 + 5010
        (["ranges"], "dacl", (7, 2, 11)),
        (["ranges"], "acc1", (7, 2, 11)),
        # gt 1023 is 1024-65535: six blocks (facts/devices.md section 4.2)
        (["pinned"], "dacl", (5, 1, 10)),
        (["web"], "fw1", (7, 0, 7)),
    ],
)
def test_sizes(services: list[str], point: str, size: tuple[int, int, int]) -> None:
    _site, listing = sized(services, point)
    found = size_of(listing)
    assert (found["aces"], found["l4_operators"], found["expanded_aces"]) == size, rendered(listing)
    assert found["bytes"] == len(rendered(listing).encode())


def test_an_operator_counts_once_for_each_protocol_and_side() -> None:
    source = world(
        "dacl",
        [("r", "a", "b", ["ranges"]), ("s", "a", "net", ["ranges"]), ("t", "b", "a", ["ranges"])],
        networks={"net": ["192.0.2.0/24"]},
    )
    listing = made(source)[1].lists[0]
    # 8000-8010 and 5000-5010 as destination (twice each), and as source in the replies to b.
    assert size_of(listing)["l4_operators"] == 4


@pytest.mark.parametrize(
    ("budget", "code"),
    [
        ({"aces": 6}, "SW3003"),
        ({"aces": 7}, "SW3004"),
        ({"aces": 20}, None),
        ({"l4_operators": 1}, "SW3003"),
        ({"l4_operators": 2}, "SW3004"),
        ({"l4_operators": 3}, None),
        ({"bytes": 100}, "SW3003"),
    ],
)
def test_budgets(budget: dict[str, int], code: str | None) -> None:
    site, listing = sized(["ranges"])
    found = budget_findings(replace(site, budgets={"dacl": budget}), [listing])
    assert [item.code for item in found] == ([code] if code else [])
    if "aces" in budget and code:
        assert "11 where a switch must expand" in found[0].message


def test_a_matrix_beyond_a_switch_is_said() -> None:
    source = world("matrix", [])
    names = [f"s{n:02d}" for n in range(18)]
    source.members = {name: [(f"10.0.1.{n + 1}", "", "")] for n, name in enumerate(names)}
    source.rules = [(f"r{n}", a, b, ["web"]) for n, (a, b) in enumerate((a, b) for a in names for b in names if a < b)]
    source.stages = {name: ("enforce", ["matrix"]) for name in names}
    compiled = made(source)[1]
    assert [f.message for f in compiled.findings if f.code == "SW3010"] == [
        "the matrix at matrix has 307 policies; a switch that serves all its groups holds 256 on one ASIC"
    ]
    # Cells that only deny share one policy.
    source.rules = source.rules[:100]
    assert not [f for f in made(source)[1].findings if f.code == "SW3010"]


def test_unknown_addresses_of_a_family_are_left_out() -> None:
    assert addresses_of(["10.0.0.0/31", "2001:db8::1", "10.0.0.2"], 4).pairs == ((0x0A000000, 0x0A000002),)
    assert addresses_of(["10.0.0.1", "2001:db8::1"], 6).size == 1
