"""Lists of gateways, ASA, NX-OS and IPv6, line by line, and proved to say what was compiled."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.compile import compile_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.desired import rendered
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import Compiled
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import EnforcementPoint, NetworkSet, Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.equivalence import prove_rendering
from tests.unit.enforce.test_lists import world

GATEWAYS = [{"interface": "Vlan10", "subnets": ["10.0.1.0/28"]}, {"interface": "Vlan20", "subnets": ["10.0.2.0/28"]}]
WEB = [("r", "a", "b", ["web"])]


def site(
    kind: str, platform: str, rules: list[Any] = WEB, six: bool = False, stage: str = "enforce", **options: Any
) -> Site:
    made = world("p", rules, stage).site()
    if six:
        members = {
            name: tuple(replace(m, addresses=(*m.addresses, f"2001:db8::{n}:{i}")) for i, m in enumerate(found))
            for n, (name, found) in enumerate(made.members.items(), 1)
        }
        made = replace(made, members=members)
    return replace(made, points={"p": EnforcementPoint("p", kind, platform, "acc1", options)})


def compiled(source: Site) -> Compiled:
    made = compile_site(source)
    results, findings = prove_rendering(made.lists)
    assert not findings, findings
    assert all(item.equal for item in results)
    return made


def text(made: Compiled, name: str) -> list[str]:
    found = next(rendered(item) for item in made.lists if item.name == name)
    return [line.strip() for line in found.splitlines()]


def objects(made: Compiled) -> dict[str, Any]:
    return {f"{o.kind}/{o.name}": o.body for t in made.targets for o in t.objects}


def test_a_gateway_has_forward_lines_one_way_and_replies_the_other() -> None:
    made = compiled(site("router_acl", "ios", gateways=GATEWAYS))
    assert text(made, "SW_Vlan10__in") == [
        "ip access-list extended SW_Vlan10__in",
        "10 permit udp any eq 68 any eq 67",
        "20 permit igmp any any",
        "30 permit icmp any any unreachable",
        "40 permit icmp any any time-exceeded",
        "50 permit tcp host 10.0.1.1 host 10.0.2.2 eq 443",
        "60 permit tcp host 10.0.1.2 host 10.0.2.2 eq 443",
        "70 deny ip host 10.0.1.1 any",
        "80 deny ip host 10.0.1.2 any",
        "90 permit ip any any",
    ]
    replies = [line for line in text(made, "SW_Vlan10__out") if "established" in line]
    assert replies == [f"{30 + 10 * n} permit tcp host 10.0.2.2 eq 443 host 10.0.1.{n} established" for n in (1, 2)]
    assert "10 permit udp any eq 67 any eq 68" in text(made, "SW_Vlan10__out")
    assert "50 permit tcp host 10.0.2.2 eq 443 host 10.0.1.1 established" in text(made, "SW_Vlan20__in")
    assert objects(made)["attachment/Vlan10-out"] == {
        "interface": "Vlan10", "direction": "out", "access_list": "SW_Vlan10__out",
    }  # fmt: skip


def test_a_gateway_that_is_monitored_forwards_everything() -> None:
    made = compiled(site("router_acl", "ios", stage="monitor", gateways=GATEWAYS))
    assert not any("deny" in line for line in text(made, "SW_Vlan10__in"))


def test_a_gateway_says_what_it_does_not_see() -> None:
    made = compile_site(site("router_acl", "ios", [("near", "a", "a", ["web"])], gateways=GATEWAYS[:1]))
    found = {f.code: f.message for f in made.findings}
    assert "near" in found["SW3007"]
    assert "segment b: 1 addresses" in found["SW3018"]


def test_nxos_gateways_and_ports() -> None:
    made = compiled(
        site(
            "router_acl", "nxos", six=True, gateways=[*GATEWAYS, {"interface": "Vlan30", "subnets": ["2001:db8::/64"]}]
        )
    )
    assert text(made, "SW_Vlan10__in")[0] == "ip access-list SW_Vlan10__in"
    assert text(made, "SW_Vlan30__in__v6")[0] == "ipv6 access-list SW_Vlan30__in__v6"
    assert objects(made)["nxos_attachment/Vlan10-in-ipv4"]["command"] == "ip access-group"
    made = compiled(site("port_acl", "nxos", interfaces=["Ethernet1/1"]))
    assert objects(made)["nxos_attachment/Ethernet1/1-in-ipv4"]["command"] == "ip port access-group"


def test_asa_holds_answers_of_icmp_because_it_does_not_track_it() -> None:
    made = compiled(site("firewall", "asa", [*WEB, ("p", "a", "b", ["ping"])], subnets=["10.0.1.0/28", "10.0.2.0/28"]))
    lines = text(made, "SW_forward")
    start = "access-list SW_forward extended "
    assert f"{start}permit tcp host 10.0.1.1 host 10.0.2.2 eq 443" in lines
    assert not any("established" in line for line in lines)
    assert f"{start}permit icmp host 10.0.2.2 host 10.0.1.1 echo-reply" in lines
    assert f"{start}permit icmp any4 any4 unreachable" in lines
    assert f"{start}deny ip host 10.0.1.1 any4" in lines
    assert lines[-1] == f"{start}permit ip any any"
    assert objects(made)["asa_attachment/global"] == {"access_list": "SW_forward"}


def test_a_dacl_of_each_family() -> None:
    made = compiled(site("dacl", "ise", six=True))
    assert text(made, "SW_a__v6") == [
        "permit icmp any any router-solicitation",
        "permit icmp any any nd-ns",
        "permit icmp any any nd-na",
        "permit icmp any any mld-report",
        "permit icmp any any mld-reduction",
        "permit icmp any any 143",
        "permit icmp any any unreachable",
        "permit icmp any any packet-too-big",
        "permit icmp any any time-exceeded",
        "permit icmp any any 4",
        "permit udp any eq 546 any eq 547",
        "permit tcp any host 2001:db8::2:0 eq 443",
        "deny ipv6 any any",
    ]
    found = objects(made)
    assert found["downloadable_acl/SW_a__v6"]["dacl_type"] == "IPV6"
    assert found["authorization_profile/SW_a"]["ipv6_dacl_name"] == "SW_a__v6"
    assert "ipv6_dacl_name" not in objects(compiled(site("dacl", "ise")))["authorization_profile/SW_a"]


def test_a_port_acl_of_each_family() -> None:
    made = compiled(site("port_acl", "ios", six=True))
    assert text(made, "SW_b__v6")[-2:] == [
        "sequence 120 permit tcp any eq 443 2001:db8::1:0/127 established",
        "sequence 130 deny ipv6 any any",
    ]
    assert "ipv6_attachment/GigabitEthernet1/0/1-in" in objects(made)


def test_management_passes_every_list_that_could_cut_it() -> None:
    flow = {"client": "a", "server": "box", "services": ["web"]}
    firewall = EnforcementPoint("fw1", "firewall", "nftables", "fw1", {"management": [flow]})
    for kind, platform, name, line in (
        ("dacl", "ise", "SW_a", "permit tcp any host 10.0.3.1 eq 443"),
        ("router_acl", "ios", "SW_Vlan10__in", "50 permit tcp host 10.0.1.1 host 10.0.3.1 eq 443"),
        ("router_acl", "ios", "SW_Vlan10__out", "40 permit tcp host 10.0.3.1 eq 443 host 10.0.1.1 established"),
    ):
        source = site(kind, platform, [], **({"gateways": GATEWAYS} if kind == "router_acl" else {}))
        source = replace(
            source,
            points={**source.points, "fw1": firewall},
            networks={"box": NetworkSet("box", ("10.0.3.1/32",))},
        )
        assert line in text(compiled(source), name)


def test_a_rule_for_some_devices_is_exact_where_addresses_are_seen() -> None:
    for kind, platform, options, exact in (
        ("port_acl", "ios", {}, True),
        ("router_acl", "ios", {"gateways": GATEWAYS}, True),
        ("firewall", "nftables", {"subnets": ["10.0.1.0/28", "10.0.2.0/28"]}, True),
        ("dacl", "ise", {}, False),
        ("sgacl", "ise", {"tags": "inline"}, False),
    ):
        source = site(kind, platform, **options)
        segment = source.segments["a"]
        only = replace(segment.allow[0], devices=(source.members["a"][0].device,))
        source = replace(source, segments={**source.segments, "a": replace(segment, allow=(only,))})
        made = compiled(source)
        assert ("SW3017" in {f.code for f in made.findings}) is not exact, kind
        if exact:
            shown = "\n".join(rendered(item) for item in made.lists)
            lines = [line for line in shown.splitlines() if "443" in line and ("permit" in line or "accept" in line)]
            assert lines
            assert not any("10.0.1.2 " in line for line in lines), lines


def test_rules_to_groups_need_igmp_and_have_no_answers() -> None:
    source = replace(site("dacl", "ise", [("g", "a", "bonjour", ["bacnet"])]))
    source = replace(source, networks={"bonjour": NetworkSet("bonjour", ("224.0.0.251/32",))})
    made = compiled(source)
    assert "permit igmp any any" in text(made, "SW_a")
    assert "SW3014" in {f.code for f in made.findings}


def test_lists_of_both_families_stand_on_one_port_of_ios() -> None:
    made = objects(compiled(site("port_acl", "ios", six=True, interfaces=["Ethernet1/1"])))
    for prefix, name, header in (("", "SW_a", "ip access-list extended"), ("ipv6_", "SW_a__v6", "ipv6 access-list")):
        assert made[f"{prefix}access_list/{name}"]["content"].startswith(f"{header} {name}\n")
        assert made[f"{prefix}attachment/Ethernet1/1-in"]["access_list"] == name
