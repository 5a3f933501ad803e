"""``neq`` with several ports: documents do not say what it means for the ports in the list, so nothing is claimed about them."""

from __future__ import annotations

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import registry
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.checks import compare_result
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import PacketSpace, verdicts
from tests.unit.dialects.meaning import packet

TEXT = "ip access-list extended A\n 10 {} tcp any any neq 22 telnet\n 20 {} ip any any\n"


def verdict(text: str, probe: str) -> str:
    """Return what the one list of a text says about a packet: permit, deny or uncertain."""
    found = verdicts(PacketSpace(), registry.parse_one("ios", text).first_match())
    if packet(probe) in found.permitted:
        return "permit"
    return "uncertain" if packet(probe) in found.maybe_permitted else "deny"


@pytest.mark.parametrize(("first", "last"), [("permit", "deny"), ("deny", "permit")])
def test_ports_that_are_not_listed_are_certain_and_the_others_open(first: str, last: str) -> None:
    text = TEXT.format(first, last)
    assert [verdict(text, f"tcp 1.1.1.1:22 2.2.2.2:{port}") for port in (21, 24, 0, 65535)] == [first] * 4
    assert [verdict(text, f"tcp 1.1.1.1:5 2.2.2.2:{port}") for port in (22, 23)] == ["uncertain"] * 2
    assert verdict(text, "udp 1.1.1.1:5 2.2.2.2:80") == last
    # A permit line with ports passes later fragments, a deny line with ports stops none: whichever ports these are.
    assert verdict(text, "tcp 1.1.1.1 2.2.2.2 frag") == "permit"


def test_where_the_next_entry_says_the_same_nothing_is_open() -> None:
    assert verdict(TEXT.format("deny", "deny"), "tcp 1.1.1.1:5 2.2.2.2:22") == "deny"


def test_one_port_written_twice_is_one_port() -> None:
    text = "ip access-list extended A\n permit tcp any any neq 23 telnet\n"
    assert verdict(text, "tcp 1.1.1.1:5 2.2.2.2:23") == "deny"


def test_lists_on_both_sides() -> None:
    text = "ip access-list extended A\n permit tcp any neq 1 2 any neq 22 23\n"
    assert verdict(text, "tcp 1.1.1.1:3 2.2.2.2:24") == "permit"
    for source, destination in ((1, 24), (3, 23), (1, 22)):
        assert verdict(text, f"tcp 1.1.1.1:{source} 2.2.2.2:{destination}") == "uncertain"
    assert registry.round_trip("ios", text)


def test_the_line_is_written_again() -> None:
    found = registry.parse_one("ios", TEXT.format("deny", "permit"))
    written = registry.render("ios", "A", found.aces, end="")
    assert " deny tcp any any neq 22 23\n" in written
    again = registry.parse_one("ios", written)
    assert {ace.conditions for ace in again.aces} == {(), ("destination neq 22 23",)}
    assert registry.round_trip("ios", TEXT.format("deny", "permit"))


def test_the_same_list_is_equal_and_another_is_not_modelled_for_its_ports_only() -> None:
    first = {"platform": "ios", "text": TEXT.format("permit", "deny")}
    assert compare_result(first, first)["equal"]
    found = compare_result(first, {"platform": "ios", "text": TEXT.format("permit", "deny").replace("telnet", "24")})
    assert not found["equal"]
    assert (found["only_in_first"], found["only_in_second"]) == ([], [])
    assert [box["boxes"][0]["destination_ports"] for box in found["not_modelled_packets"]] == [["22-24"]]


@pytest.mark.parametrize(
    ("platform", "text"),
    [("dacl", "deny tcp any any neq 22 23\npermit ip any any\n"), ("sgacl", "deny tcp dst neq 22 23\npermit ip\n")],
)
def test_opaque_where_lists_of_ports_do_not_exist(platform: str, text: str) -> None:
    (found,) = registry.parse(platform, text)
    assert "neq with several ports" in found.opaque[0].reason
