"""Object groups: resolved where the text defines them for certain, a condition of the entry where it does not."""

from __future__ import annotations

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import registry
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.cisco_groups import read_groups
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.cisco_values import parse_ipv4
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.entries import ace_dict, ace_from_dict
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.compare import compare
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from tests.unit.dialects.meaning import matched

CONFIG = """
object-group network MONITORS
 description bedside monitors
 host 10.1.0.5
 10.2.0.0 255.255.0.0
 range 10.3.0.10 10.3.0.12
 10.4.0.0 /30
object-group network ALL-DEVICES
 group-object MONITORS
 host 10.9.9.9
object-group service WEB
 tcp eq www
 tcp source gt 1023 443
 udp range 5000 5001
 tcp-udp eq domain
 icmp echo
 ospf
!
ip access-list extended A
 10 permit object-group WEB object-group MONITORS any
 20 permit tcp any object-group ALL-DEVICES eq 22 log
 30 deny   ip any any
"""


def test_groups_of_a_configuration_are_resolved() -> None:
    (found,) = registry.parse("ios", CONFIG)
    assert found.opaque == ()
    assert [ace.sequence for ace in found.aces] == [10] * 7 + [20, 30]
    assert not any(ace.conditions for ace in found.aces)
    assert found.aces[0].object_groups == (("service", "WEB"), ("source", "MONITORS"))
    monitors = IntervalSet.of(
        parse_ipv4("10.1.0.5"),
        (parse_ipv4("10.2.0.0"), parse_ipv4("10.2.255.255")),
        (parse_ipv4("10.3.0.10"), parse_ipv4("10.3.0.12")),
        (parse_ipv4("10.4.0.0"), parse_ipv4("10.4.0.3")),
    )
    assert found.aces[0].source == monitors
    assert found.aces[7].destination == monitors.union(IntervalSet.single(parse_ipv4("10.9.9.9")))
    inside = ["tcp 10.1.0.5:1 2.2.2.2:80", "tcp 10.2.9.9:1024 2.2.2.2:443", "udp 10.3.0.11:1 2.2.2.2:5001",
              "udp 10.4.0.3:9 2.2.2.2:53", "tcp 10.4.0.3:9 2.2.2.2:53", "icmp 10.1.0.5 2.2.2.2 8/0", "ospf 10.1.0.5 2.2.2.2"]  # fmt: skip
    outside = ["tcp 10.1.0.6:1 2.2.2.2:80", "tcp 10.2.9.9:1023 2.2.2.2:443", "udp 10.3.0.13:1 2.2.2.2:5001",
               "udp 10.4.0.4:9 2.2.2.2:53", "icmp 10.1.0.5 2.2.2.2 0/0", "udp 10.1.0.5:1 2.2.2.2:80"]  # fmt: skip
    first = found.aces[:7]
    assert [any(matched(ace, [text])[0] for ace in first) for text in inside] == [True] * len(inside)
    assert [any(matched(ace, [text])[0] for ace in first) for text in outside] == [False] * len(outside)
    assert registry.round_trip("ios", CONFIG)


def test_groups_print_back_by_name_or_by_content() -> None:
    (found,) = registry.parse("ios", CONFIG)
    text = registry.render("ios", "A", found.aces, groups=True, end="")
    assert text.splitlines()[-4:] == [
        "ip access-list extended A",
        " 10 permit object-group WEB object-group MONITORS any",
        " 20 permit tcp any object-group ALL-DEVICES eq 22 log",
        " 30 deny ip any any",
    ]
    assert text.splitlines()[:7] == [
        "object-group network MONITORS", " host 10.1.0.5", " 10.2.0.0 255.255.0.0", " 10.3.0.10 255.255.255.254",
        " host 10.3.0.12", " 10.4.0.0 255.255.255.252", "object-group network ALL-DEVICES",
    ]  # fmt: skip
    (again,) = registry.parse("ios", text)
    assert [ace.meaning() for ace in again.aces] == [ace.meaning() for ace in found.aces]
    plain = registry.render("ios", "A", found.aces, end="")
    assert "object-group" not in plain
    assert compare(registry.parse("ios", plain)[0].first_match(), found.first_match()).equal


def test_shown_groups_and_a_bare_service_group() -> None:
    text = (
        "sw#show object-group\r\nNetwork object group N\r\n host 10.0.0.1\r\nService object group S\r\n tcp eq 443\r\n udp\r\n"
        "sw#show access-lists\r\nExtended IP access list A\r\n    10 permit S object-group N any (4 matches)\r\n"
    )
    (found,) = registry.parse("ios", text)
    assert found.opaque == ()
    assert [(ace.protocol, ace.matches) for ace in found.aces] == [(6, 4), (17, 4)]
    (without,) = registry.parse("ios", text.split("sw#show access-lists\r\n")[1])
    assert "protocol 's'" in without.opaque[0].reason


def test_ipv6_groups() -> None:
    text = (
        "object-group v6-network N\n 2001:db8::/64\n host 2001:db8:1::1\nobject-group v6-service S\n tcp eq 443\n"
        " icmp echo-request\nipv6 access-list X\n sequence 10 permit object-group S any object-group N\n"
    )
    (found,) = registry.parse("ios_ipv6", text)
    assert [(ace.protocol, ace.conditions) for ace in found.aces] == [(6, ()), (58, ())]
    assert matched(found.aces[0], ["tcp ::1#5 2001:db8::9#443", "tcp ::1#5 2001:db8:1::2#443"]) == [True, False]
    assert registry.round_trip("ios", text)


USE = "ip access-list extended A\n permit tcp any object-group G eq 443\n deny ip any any\n"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not defined"),
        ("object-group network G\n!\n", "empty"),
        ("object-group network G\n group-object H\nobject-group network H\n group-object G\n", "holds itself"),
        ("object-group network G\n group-object G\n", "holds itself"),
        ("object-group network G\n host 10.0.0.1\n group-object H\n", "H is not defined"),
        ("object-group network G\n host server.example\n", "not an IPv4 address"),
        ("object-group network G\n 10.0.0.0 0.0.0.255\n", "not a subnet mask"),
        ("object-group network G\n 10.0.0.0 0.0.0.0\n", "mask of no bits"),
        ("object-group network G\n range 10.0.0.9 10.0.0.1\n", "reversed"),
        ("object-group network G\n network-object host 10.0.0.1\n", "not understood"),
        ("object-group network G\n host 10.0.0.1\n!\nobject-group network G\n host 10.0.0.2\n", "twice"),
        ("object-group service G\n tcp eq 443\n", ""),
        ("object-group network G\nhost 10.0.0.1\nlocation cellar\nhost 10.0.0.2\n!\n", "may belong to it"),
        ("object-group network G\n host 10.0.0.1\n something new\n", "not an IPv4"),
    ],
)
def test_what_is_not_certain_is_a_condition_of_that_entry_only(text: str, reason: str) -> None:
    (found,) = registry.parse("ios", text + USE)
    assert found.opaque == ()
    assert [ace.conditions for ace in found.aces] == [("destination object-group G",), ()]
    assert found.aces[0].destination is None
    assert reason in read_groups((text + USE).splitlines()).reason("G")
    assert registry.round_trip("ios", text + USE)


@pytest.mark.parametrize(
    "member", ["tcp eq", "tcp source eq", "tcp 80 443", "gre 5", "icmp echo 4", "sctp-thing", "tcp eq ssh", "udp eq www", "tcp-udp eq www"]
)  # fmt: skip
def test_services_that_are_not_certain(member: str) -> None:
    text = (
        f"object-group service S\n tcp eq 443\n {member}\nip access-list extended A\n permit object-group S any any\n"
    )
    (found,) = registry.parse("ios", text)
    assert [ace.conditions for ace in found.aces] == [("service object-group S",)]


def test_flat_text_ends_a_group_only_where_that_is_certain() -> None:
    (found,) = registry.parse("ios", "object-group network G\nhost 10.0.0.1\nhost 10.0.0.2\n!\n" + USE)
    assert found.aces[0].destination == IntervalSet.of((parse_ipv4("10.0.0.1"), parse_ipv4("10.0.0.2")))


def test_one_name_with_two_contents_is_not_written() -> None:
    first = registry.parse("ios", "object-group network G\n host 10.0.0.1\n" + USE)[0].aces[0]
    second = registry.parse("ios", "object-group network G\n host 10.0.0.2\n" + USE)[0].aces[0]
    with pytest.raises(FindingError, match=r"SW1204.*another content"):
        registry.render("ios", "A", [first, second], groups=True)


def test_groups_that_name_each_other_many_times_take_no_time() -> None:
    rows = ["object-group network G0", " host 10.0.0.1", "object-group service S0", " tcp eq 443"]
    for place in range(1, 60):
        rows += [f"object-group network G{place}", *([f" group-object G{place - 1}"] * 9)]
        rows += [f"object-group service S{place}", *([f" group-object S{place - 1}"] * 9)]
    rows += ["ip access-list extended A", " permit object-group S59 object-group G59 any"]
    (found,) = registry.parse("ios", "\n".join(rows))
    assert [(ace.protocol, ace.source) for ace in found.aces] == [(6, IntervalSet.single(parse_ipv4("10.0.0.1")))]


@pytest.mark.one_python
def test_groups_of_services_do_not_blow_a_text_up() -> None:
    rows = ["object-group service S", *(f" tcp eq {port}" for port in range(1, 2001)), "ip access-list extended A"]
    rows += [f" permit object-group S host 10.0.{place >> 8}.{place & 255} any" for place in range(1000)]
    (found,) = registry.parse("ios", "\n".join(rows))
    assert len(found.aces) == 50 * 2000 + 950
    assert found.aces[-1].conditions == ("service object-group S",)


def test_two_lines_with_one_service_group_stay_two_lines() -> None:
    text = (
        "object-group service S\n tcp eq 443\n udp eq 53\nip access-list extended A\n permit object-group S host 10.0.0.1 any\n"
        " permit object-group S host 10.0.0.2 any\n"
    )
    (found,) = registry.parse("ios", text)
    copies = [ace_from_dict(ace_dict(ace)) for ace in found.aces]
    written = registry.render("ios", "A", copies, groups=True, end="", numbers=False)
    assert [ace.meaning() for ace in registry.parse("ios", written)[0].aces] == [ace.meaning() for ace in found.aces]
