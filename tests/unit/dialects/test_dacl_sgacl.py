"""The texts that ISE holds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import registry
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import Ace
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.compare import compare
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import PacketSpace, permitted
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import ESTABLISHED
from tests.unit.dialects.meaning import packet


def test_dacl_differs_in_spelling_only() -> None:
    first = registry.parse_one(
        "dacl", "permit udp any any eq domain\npermit tcp any host 192.0.2.1 eq www\ndeny ip any any"
    )
    second = registry.parse_one(
        "dacl",
        "remark web and dns\r\n  PERMIT  udp any any  eq 53\r\n\r\npermit tcp any 192.0.2.1 0.0.0.0 eq 80 log\r\n",
    )
    assert (first.opaque, second.opaque) == ((), ())
    assert second.aces[0].remarks == ("web and dns",)
    assert compare(first.first_match(), second.first_match()).equal


@pytest.mark.parametrize(
    "text",
    [
        "permit tcp host 10.0.0.1 any",
        "10 permit ip any any",
        "permit ip any any\nip access-list extended X",
        "",
        "remark nothing else",
        "permit tcp any object-group X",
        "permit ip any any\npermit ipv6 any any\npermit tcp any any eq 443",
    ],
)
def test_dacl_that_is_not_certain(text: str) -> None:
    (found,) = registry.parse("dacl", text)
    assert found.opaque
    assert not registry.round_trip("dacl", text)


def test_dacl_families() -> None:
    (mixed,) = registry.parse(
        "dacl",
        "permit udp any host 10.0.0.1 eq 53\npermit udp any host 2001:db8::1 eq 53\ndeny ip any any\ndeny ipv6 any any",
    )
    assert [ace.family for ace in mixed.aces] == [4, 6, 4, 6]
    (six,) = registry.parse("dacl", "permit tcp any any eq 443\ndeny ipv6 any any")
    assert [ace.family for ace in six.aces] == [6, 6]
    text = registry.render("dacl", "", [Ace(True, 6, 6, destination_ports=IntervalSet.of(443))])
    assert text == "permit tcp any any eq 443\npermit icmp any any nd-na\npermit icmp any any nd-ns\ndeny ipv6 any any"


def test_dacl_text_is_what_the_field_writes() -> None:
    made = [
        Ace(True, 17, source_ports=IntervalSet.of(68), destination_ports=IntervalSet.of(67), label="dhcp"),
        Ace(
            True,
            6,
            destination=IntervalSet.from_prefix("10.2.0.0/24"),
            destination_ports=IntervalSet.of(104, (11112, 11113)),
            label="pacs",
        ),
        Ace(
            True,
            6,
            destination=IntervalSet.from_prefix("10.2.0.9"),
            source_ports=IntervalSet.of(22),
            detail=ESTABLISHED,
            label="pacs~reply",
        ),
        Ace(True, 1, detail=IntervalSet.of((768, 1023)), label="icmp"),
        Ace(False, label="default"),
    ]
    assert registry.render("dacl", "PUMPS", made).splitlines() == [
        "permit udp any eq 68 any eq 67",
        "permit tcp any 10.2.0.0 0.0.0.255 eq 104",
        "permit tcp any 10.2.0.0 0.0.0.255 range 11112 11113",
        "permit tcp any eq 22 host 10.2.0.9 established",
        "permit icmp any any unreachable",
        "deny ip any any",
    ]
    assert [ace.label for _line, ace in registry.render_lines("dacl", made)] == [
        "dhcp",
        "pacs",
        "pacs",
        "pacs~reply",
        "icmp",
        "default",
    ]
    with_remarks = [replace(ace, remarks=("why",), log=True) for ace in made]
    assert registry.render("dacl", "PUMPS", with_remarks) == registry.render("dacl", "PUMPS", made)


def test_an_empty_rendering_never_comes_out() -> None:
    assert registry.render("dacl", "", []) == "deny ip any any"
    assert registry.render("ios", "A", []) == "ip access-list extended A\n 10 deny ip any any\n"


def test_sgacl_end_permits_in_hardware() -> None:
    """facts/ise.md section 4: a packet that hits a cell but no entry is permitted."""
    open_end = registry.parse_one("sgacl", "permit tcp dst eq 443")
    space = PacketSpace()
    assert permitted(space, open_end.first_match()) == space.everything
    closed = registry.parse_one("sgacl", registry.render("sgacl", "", open_end.aces, end="deny"))
    assert packet("udp 1.1.1.1:1 2.2.2.2:2") not in permitted(PacketSpace(), closed.first_match())
    assert closed.aces[-1].raw == "deny ip"


SHOWN = """
    Role-based IP access list permit_icmp
    10 permit icmp echo-reply (19 matches)
    Role-based IP access list icmp_echo-01 (downloaded)
    10 permit icmp echo
IPv6 Role-based access list v6_sgacl
    permit icmp (19 matches) sequence 10
"""
RBACL = """CTS RBACL Policy
================
RBACL IP Version Supported: IPv4 & IPv6
  name   = TCP_51005-01
  IP protocol version = IPV4
  refcnt = 2
  flag   = 0x41000000
  stale  = FALSE
  RBACL ACEs:
    permit tcp dst eq 51005
    deny ip log
  name   = Deny IP-00
  IP protocol version = IPV4, IPV6
  refcnt = 2
  RBACL ACEs:
    deny ip
sw#
"""


def test_sgacls_of_a_device() -> None:
    found = registry.parse("sgacl", SHOWN)
    assert [(item.name, len(item.aces), item.aces[0].family, item.opaque) for item in found] == [
        ("permit_icmp", 1, 4, ()),
        ("icmp_echo-01", 1, 4, ()),
        ("v6_sgacl", 1, 6, ()),
    ]
    rbacls = registry.parse("sgacl", RBACL)
    assert [(item.name, [ace.raw for ace in item.aces], item.opaque) for item in rbacls] == [
        ("TCP_51005-01", ["permit tcp dst eq 51005", "deny ip log"], ()),
        ("Deny IP-00", ["deny ip"], ()),
    ]
    assert registry.round_trip("sgacl", RBACL)
    strange = registry.parse("sgacl", RBACL.replace("deny ip log", "deny ip maybe"))
    assert strange[0].opaque[0].reason == "'maybe' is not understood"


def test_sgacl_header_for_a_device() -> None:
    made = [Ace(True, 6, 4, destination_ports=IntervalSet.of(443)), Ace(False)]
    text = registry.render("sgacl", "WEB", made, header=True)
    assert text == "ip access-list role-based WEB\n permit tcp dst eq 443\n deny ip\n"
    assert compare(registry.parse_one("sgacl", text).first_match(), registry.parse_one("ios", text).first_match()).equal
    with pytest.raises(ValueError, match="unsafe"):
        registry.render("sgacl", "WEB-1", made, header=True)


def test_opaque_lists_have_no_meaning() -> None:
    with pytest.raises(FindingError, match="SW1203"):
        registry.parse_one("sgacl", "permit tcp any any").first_match()
