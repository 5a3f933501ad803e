"""What a terminal does to a text: wrapped lines, pagers that were quit, lines left out, commands typed after the list was shown."""

from __future__ import annotations

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import registry

IOS = "Extended IP access list T\n    10 permit tcp any any eq 22\n    20 {}\n"
NXOS = "IP access list T\n        10 permit tcp any any eq 22\n        20 {}\n"
ASA = "access-list T extended permit tcp any any eq 22\naccess-list T extended {}\n"


def opaque(platform: str, text: str) -> list[str]:
    """Return the lines of all lists that were not understood."""
    return [line.text for found in registry.parse(platform, text) for line in found.opaque]


@pytest.mark.parametrize(
    ("entry", "rest"),
    [
        ("permit tcp any host 192.0.2.1", "eq 443"),
        ("permit tcp any host 192.0.2.1", "range 30000 40000 (5 matches)"),
        ("permit tcp any any eq 44", "3"),
        ("permit ip any host 192.0.2.1", "7"),
        ("permit ip host 192.0.2.1 host 192.0.2", ".7"),
        ("permit tcp any any", "established"),
        ("permit icmp any any", "packet-too-big"),
        ("permit icmp any any echo", "-reply"),
        ("permit udp any any eq snmp", "trap"),
        ("permit tcp any any eq 80", "www"),
        ("deny ip any any", "fragments"),
        ("permit tcp any any", "syn log"),
        ("permit ip 198.51.100.0 0.0.0.255 198.51.101.0 0.0.0.255 precedence critical", "time-range NIGHT"),
    ],
)
@pytest.mark.parametrize("after", ["", "switch1#\n", "Extended IP access list U\n    10 deny ip any any\n", "!\n"])
def test_the_wrapped_rest_of_the_last_entry_is_not_lost(entry: str, rest: str, after: str) -> None:
    """Without its rest the entry is wider: every port instead of one."""
    assert opaque("ios", IOS.format(entry) + rest + "\n" + after)


def test_the_wrapped_rest_of_a_numbered_or_standard_entry_is_not_lost() -> None:
    assert opaque("ios", "access-list 101 permit tcp any host 192.0.2.1\neq 443\n") == ["eq 443"]
    assert opaque("ios", "access-list 7 permit 192.0.2.0\n0.0.0.255\n") == ["0.0.0.255"]
    assert opaque("ios", "ipv6 access-list V\n permit tcp any host 2001:db8::1\neq 443\n") == ["eq 443"]


@pytest.mark.parametrize(
    "following",
    [
        "ntp server 192.0.2.9", "snmp-server community x", "time-range NIGHT", "route-map M permit 10", "line vty 0 4",
        "object-group network G\n host 192.0.2.1", "login block-for 60 attempts 3 within 60", "radius server R", "end",
        "logging host 192.0.2.3", "hostname any-switch",
    ],
)  # fmt: skip
def test_what_follows_a_list_in_a_configuration_is_no_rest(following: str) -> None:
    assert opaque("ios", f"access-list 101 permit tcp any host 192.0.2.1\n{following}\n") == []
    assert opaque("ios", f"ip access-list extended A\n permit tcp any any\n{following}\n") == []


def test_a_wrapped_remark_hurts_nothing() -> None:
    assert opaque("ios", "ip access-list extended A\n permit ip any any\n remark the host\nany more\n") == []


@pytest.mark.parametrize(
    ("platform", "text"),
    [("ios", IOS.format("deny ip any any")), ("nxos", NXOS.format("deny ip any any")), ("asa", ASA.format("deny ip any any"))],
)  # fmt: skip
@pytest.mark.parametrize(
    "hole",
    [" --More-- \nswitch1#", " --More--", "<--- More --->\nasa1# ", "...", "[snip]", "<output omitted>", "(truncated)"],
)
def test_lines_that_are_missing_at_the_end_are_noticed(platform: str, text: str, hole: str) -> None:
    assert opaque(platform, text) == []
    assert len(opaque(platform, text + hole + "\n")) == 1


@pytest.mark.parametrize("removal", ["no 10", "default 10", "no permit tcp any any eq 22", "no sequence 10"])
@pytest.mark.parametrize(("platform", "text"), [("ios", IOS), ("nxos", NXOS)])
def test_an_entry_that_is_taken_out_again_is_noticed(platform: str, text: str, removal: str) -> None:
    for indent in ("", "  "):
        assert opaque(platform, text.format("deny ip any any") + indent + removal + "\n") == [removal]


@pytest.mark.parametrize(
    ("platform", "text", "typed"),
    [
        ("ios", IOS, "SW1(config-ext-nacl)#15 permit udp any any"),
        ("ios", IOS, "SW1(config)#ip access-list extended T\nSW1(config-ext-nacl)#no 10"),
        ("ios", IOS, "SW1(config)#no ip access-list extended T"),
        ("nxos", NXOS, "n9k-1(config-acl)# 15 permit udp any any"),
        ("nxos", NXOS, "n9k-1(config)# ip access-list T\nn9k-1(config-acl)# no 10"),
        ("asa", ASA, "asa/pri/act(config)# access-list T extended permit udp any any"),
        ("asa", ASA, "asa1(config)# no access-list T extended permit tcp any any eq 22"),
        ("asa", ASA, "asa1(config)# clear configure access-list T"),
    ],
)
def test_a_change_typed_after_the_list_was_shown_is_noticed(platform: str, text: str, typed: str) -> None:
    shown = text.format("deny ip any any")
    assert opaque(platform, shown + typed + "\n") == typed.splitlines()[-1:]
    assert opaque(platform, typed + "\n" + "sw1#show access-lists\n" + shown) == []


def test_a_change_of_another_list_counts_for_that_one() -> None:
    typed = "SW1(config)#ip access-list extended OTHER\nSW1(config-ext-nacl)#permit udp any any\nSW1(config-ext-nacl)#exit\n"
    assert opaque("ios", IOS.format("deny ip any any") + typed) == []


@pytest.mark.parametrize(
    ("rows", "certain"),
    [
        (["20 permit any", "10 deny   10.0.0.1"], False),
        (["20 deny   10.0.0.1", "10 permit any"], False),
        (["20 permit 10.0.0.1", "10 permit 10.0.0.2", "30 deny   any"], True),
        (["30 deny   10.0.0.1", "10 permit 10.0.0.2", "20 permit 10.0.1.0, wildcard bits 0.0.0.255"], True),
        (["10 permit 10.0.0.1", "10 permit 10.0.0.2"], False),
    ],
)
def test_the_order_of_a_standard_list_is_that_of_its_numbers(rows: list[str], certain: bool) -> None:
    """Devices show hosts of standard lists out of order; where that would change a verdict, the text is not what they do."""
    text = "Standard IP access list S\n" + "".join(f"    {row}\n" for row in rows)
    assert (opaque("ios", text) == []) is certain


@pytest.mark.parametrize("prompt", ["", "sw1(config)#"])
def test_a_group_that_is_removed_again_is_not_certain(prompt: str) -> None:
    ios = (
        "object-group network G\n host 192.0.2.1\n"
        f"{prompt}no object-group network G\nip access-list extended A\n permit ip object-group G any\n"
    )
    nxos = (
        "object-group ip address G\n  10 host 192.0.2.1\n"
        f"{prompt}no object-group ip address G\nip access-list A\n  10 permit ip addrgroup G any\n"
    )
    for platform, text, condition in (("ios", ios, "source object-group G"), ("nxos", nxos, "source addrgroup G")):
        (found,) = registry.parse(platform, text)
        assert (found.opaque, found.aces[0].source, found.aces[0].conditions) == ((), None, (condition,))
    again = "object-group network G\n host 192.0.2.1\nip access-list extended A\n permit ip object-group G any\n"
    assert registry.parse("ios", "no object-group network G\n" + again)[0].aces[0].conditions == ()


@pytest.mark.parametrize("platform", ["ios", "nxos"])
@pytest.mark.parametrize("line", ["acl ipv6 X", "some unknown header", "interface Vlan7"])
def test_entries_under_an_unknown_header_are_not_taken_for_a_list_without_one(platform: str, line: str) -> None:
    assert opaque(platform, f"{line}\n permit tcp any any eq 443\n") == [line]
    assert opaque(platform, "sw1#show access-lists\n permit tcp any any eq 443\n") == []


def test_blanks_and_a_byte_order_mark_in_front_of_a_header() -> None:
    (ipv6,) = registry.parse("ios", "\ufeffipv6  access-list   V\n permit tcp any any eq 443\n")
    assert (ipv6.name, ipv6.kind, ipv6.opaque) == ("V", "ipv6", ())
    (nxos,) = registry.parse("nxos", "\ufeffipv6   access-list V\n  10 permit tcp any any eq 443\n")
    assert (nxos.name, nxos.kind, nxos.opaque) == ("V", "nxos_ipv6", ())


LONG = "this entry is here for the old pumps, which somebody will have to replace before we can go"


@pytest.mark.parametrize(
    ("platform", "text"),
    [
        ("ios", f"ip access-list extended A\n 10 remark {LONG}\npermit ip any any\n 20 deny ip any any\n"),
        ("ios", f"ip access-list extended A\n remark {LONG}\npermit ip any any\n deny ip any any\n"),
        ("ios", f"ip access-list extended A\n10 remark {LONG}\npermit ip any any\n20 deny ip any any\n"),
        ("nxos", f"ip access-list A\n  10 remark {LONG}\npermit ip any any\n  30 deny ip any any\n"),
    ],
)
def test_the_wrapped_rest_of_a_remark_is_no_entry(platform: str, text: str) -> None:
    """The remark "... before we can go" ends in the next line: "permit ip any any"."""
    assert opaque(platform, text) == ["permit ip any any"]


@pytest.mark.parametrize(
    ("platform", "text"),
    [
        ("ios", f"ip access-list extended A\n remark {LONG}\n permit ip any any\n"),
        ("ios", f"ip access-list extended A\nremark {LONG}\npermit ip any any\n"),
        ("ios", f"ip access-list extended A\n 10 remark {LONG}\n 10 permit ip any any\n"),
        ("nxos", f"ip access-list A\n  10 remark {LONG}\n  20 permit ip any any\n"),
        ("dacl", f"remark {LONG}\npermit ip any any\n"),
    ],
)
def test_a_long_remark_before_an_entry_is_no_fault(platform: str, text: str) -> None:
    assert opaque(platform, text) == []


LISTS = {
    "asa": """object-group network WEB
 network-object host 192.0.2.1
access-list T extended permit tcp object-group CLIENTS-OF-SITE-1 object-group WEB
""",
    "nxos": """object-group ip address WEB
  host 192.0.2.1
ip access-list T
  10 permit tcp 198.51.100.128 0.0.0.127 range 32768 60999 addrgroup WEB
""",
}


@pytest.mark.parametrize("rest", ["-DMZ", "-DMZ eq 443", ".2 log", "SERVERS eq 443"])
def test_a_name_that_was_cut_is_not_the_name_of_another_group(rest: str) -> None:
    """ "object-group WEB" in one line and "-DMZ" in the next is the group WEB-DMZ, not WEB."""
    for platform, text in LISTS.items():
        assert opaque(platform, text) == []
        assert opaque(platform, text + rest + "\n") == [rest]


@pytest.mark.parametrize(
    "after",
    [
        "pager lines 24",
        "logging enable",
        "fw1#",
        "fw1/pri/act>",
        "exit",
        "names",
        "!",
        "mtu outside 1500",
        "failover",
        "Cryptochecksum:0f3a9c",
    ],
)
def test_what_usually_follows_a_long_list_is_no_rest(after: str) -> None:
    assert opaque("asa", LISTS["asa"] + after + "\n") == []
