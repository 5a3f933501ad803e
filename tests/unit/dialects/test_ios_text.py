"""Lists in the text of devices: blocks, noise, kinds, and everything that must not pass for understood."""

from __future__ import annotations

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import registry
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.compare import compare
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import PacketSpace, permitted
from tests.unit.dialects.meaning import packet

SHOW = (
    "switch1#show ip access-lists\r\n"
    "Load for five secs: 1%/0%; one minute: 2%; five minutes: 2%\r\n"
    "Time source is NTP, 18:12:32.965 EST Mon Oct 17 2016\r\n\r\n"
    "Extended IP access list xACSACLx-IP-PUMPS-69692867 (per-user)\r\n"
    "    1 permit udp any eq bootpc any eq bootps\r\n"
    "    2 permit tcp any host 192.0.2.1 eq www (12 matches)\r\n"
    "    3 permit tcp any host 192.0.2.1 eq 443 (1 match) (5 estimate matches)   \r\n"
    "    4 deny   ip any any log (3 matches)\r\n"
    "Standard IP access list 43\r\n"
    "    10 permit 10.1.0.2 (1168716 matches)\r\n"
    "    40 permit 10.196.0.0, wildcard bits 0.0.255.255\r\n"
    "Extended IP access list empty\r\n"
    "switch1#"
)


def test_show_output_as_it_comes() -> None:
    found = registry.parse("ios", SHOW)
    assert [(item.name, item.kind, len(item.aces), item.opaque) for item in found] == [
        ("xACSACLx-IP-PUMPS-69692867", "extended", 4, ()), ("43", "standard", 2, ()), ("empty", "extended", 0, ()),
    ]  # fmt: skip
    assert [ace.sequence for ace in found[0].aces] == [1, 2, 3, 4]
    assert [ace.line for ace in found[0].aces] == [6, 7, 8, 9]
    assert found[0].attributes == {"marks": "(per-user)"}
    assert registry.round_trip("ios", SHOW)


def test_an_empty_list_permits_everything() -> None:
    """facts/devices.md section 0 item 6."""
    space = PacketSpace()
    assert permitted(space, registry.parse("ios", SHOW)[2].first_match()) == space.everything


def test_text_without_indentation_is_the_same() -> None:
    flat = "\n".join(line.strip() for line in SHOW.splitlines())
    first, second = registry.parse("ios", SHOW), registry.parse("ios", flat)
    assert [[ace.meaning() for ace in item.aces] for item in first] == [
        [ace.meaning() for ace in item.aces] for item in second
    ]


CONFIG = """
Building configuration...
!
hostname sw
ip access-list extended PUMPS
 remark "dns"
 10 permit udp any host 10.0.0.53 eq domain
 20 remark web
 20 permit tcp any host 10.0.0.80 eq 443 8443
 deny ip any any
 remark after the end
ip access-list standard MGMT
 10 permit 10.9.0.0 0.0.255.255
!
interface GigabitEthernet1/0/1
 ip access-group PUMPS in
!
access-list 101 remark old style
access-list 101 permit tcp any any established
access-list 12 permit 10.0.0.1
ipv6 access-list SIX
 sequence 10 permit tcp any any eq 443
 permit icmp any any nd-na
ip access-list role-based WEB
 permit tcp dst eq 443
end
"""


def test_configuration() -> None:
    found = {item.name: item for item in registry.parse("ios", CONFIG)}
    assert [(name, item.kind, len(item.aces)) for name, item in found.items()] == [
        ("PUMPS", "extended", 3), ("MGMT", "standard", 1), ("101", "extended", 1), ("12", "standard", 1), ("SIX", "ipv6", 2),
        ("WEB", "sgacl", 1),
    ]  # fmt: skip
    assert not any(item.opaque for item in found.values())
    assert found["PUMPS"].aces[0].remarks == ('"dns"',)
    assert found["PUMPS"].aces[1].remarks == ("web",)
    assert found["PUMPS"].trailing_remarks == ("after the end",)
    assert found["101"].aces[0].remarks == ("old style",)
    assert registry.round_trip("ios", CONFIG)


def test_ipv6_has_neighbour_discovery_before_its_implicit_deny() -> None:
    (six,) = registry.parse("ios_ipv6", CONFIG)
    passed = permitted(PacketSpace(), six.first_match())
    assert packet("icmp6 fe80::1 ff02::1 135/0") in passed
    assert packet("icmp6 fe80::1 ff02::1 134/0") not in passed
    text = registry.render("ios_ipv6", "SIX", six.aces)
    assert text.splitlines()[-3:] == [
        " sequence 30 permit icmp any any nd-na", " sequence 40 permit icmp any any nd-ns", " sequence 50 deny ipv6 any any",
    ]  # fmt: skip
    again = registry.parse("ios_ipv6", text)[0]
    assert compare(six.first_match(), again.first_match()).equal
    explicit = registry.parse("ios_ipv6", "ipv6 access-list X\n deny ipv6 any any")[0]
    assert packet("icmp6 fe80::1 ff02::1 135/0") not in permitted(PacketSpace(), explicit.first_match())


def test_bare_lines_are_one_list() -> None:
    (only,) = registry.parse("ios", "permit tcp any any eq 443\ndeny ip any any\n")
    assert (only.name, len(only.aces), only.opaque) == ("", 2, ())
    (six,) = registry.parse("ios_ipv6", "permit tcp any any eq 443\ndeny ipv6 any any\n")
    assert (six.kind, len(six.aces), six.opaque) == ("ipv6", 2, ())
    assert [ace.line for ace in six.aces] == [1, 2]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("ip access-list extended A\n permit tcp any any\n something else\n", "not an entry"),
        ("ip access-list extended A\n 20 permit tcp any any\n 10 deny ip any any\n", "sequence numbers"),
        ("ip access-list extended A\n 10 permit tcp any any\n 10 deny ip any any\n", "sequence numbers"),
        (
            "ip access-list extended A\n permit tcp any any\nip access-list extended A\n permit ip any any\n",
            "stands twice",
        ),
        ("ip access-list extended A\n permit tcp any any\nno ip access-list extended A\n", "removed later"),
        ("Extended IP access list A\n10 permit tcp any any\nstrange words\n20 permit ip any any\n", "unknown line"),
        ("ip access-list extended A\n permit tcp any any\n!\n permit ip any any\n", "outside of its list"),
        ("ip access-list extended A\n evaluate MIRROR\n", "evaluate"),
        ("Extended MAC access list M\n    permit any any\n", "not modelled"),
        ("FQDN IP access list F\n    10 permit ip any host 10.0.0.1\n", "not modelled"),
        ("mac access-list extended M\n permit any any\n", "not modelled"),
        ("Extended MAC access list M\n", "not modelled"),
        ("ipv6 access-list standard V permit ::FFFF:10.0.0.0/104\n", "not modelled"),
        ("access-list 101 permit tcp any any\nip access-list extended 101\n permit udp any any\n", "stands twice"),
        ("ip access-list extended 101\n permit udp any any\naccess-list 101 permit tcp any any\n", "stands twice"),
        ("ip access-list extended A\n dynamic D permit tcp any any\n", "lock-and-key"),
        ("ip access-list extended A\n permit tcp any any reflect R timeout 9\n", "fills it from traffic"),
        ("access-list OUTSIDE extended permit ip any any\n", "not an entry"),
    ],
)
def test_what_is_not_certain_makes_the_list_opaque(text: str, reason: str) -> None:
    found = registry.parse("ios", text)
    lines = [line for item in found for line in item.opaque]
    assert any(reason in f"{line.reason} {line.text}" for line in lines), lines
    assert not registry.round_trip("ios", text)
    with pytest.raises(FindingError, match="SW1203"):
        [item.first_match() for item in found]


def test_limits_and_names() -> None:
    with pytest.raises(FindingError, match="SW1207"):
        registry.parse("ios", "x\n" * 400_001)
    with pytest.raises(FindingError, match="SW1201"):
        registry.parse("junos", "")
    with pytest.raises(FindingError, match="SW1205"):
        registry.parse_one("ios", "hostname sw")
    with pytest.raises(FindingError, match="SW1206"):
        registry.parse_one("ios", CONFIG)
    assert registry.parse_one("ios", CONFIG, "MGMT").kind == "standard"
    for name in ("A;reload", "A\nno ip access-list", "", "1A", "a" * 64):
        with pytest.raises(ValueError, match="unsafe"):
            registry.render("ios", name, ())


def test_case_and_numbers_without_indentation() -> None:
    (loud,) = registry.parse("ios", "ip access-list extended A\nPermit TCP any any EQ 443\nDENY ip any any\n")
    assert (len(loud.aces), loud.opaque) == (2, ())
    (strange,) = registry.parse("ios", "Extended IP access list A\n10 permit tcp any any\n20 forbid ip any any\n")
    assert [line.text for line in strange.opaque] == ["20 forbid ip any any"]


def test_output_as_it_comes_over_the_line() -> None:
    """facts/devices.md section 2.4: an echoed command that wraps, time stamps, tabs, no indentation, padding, no last newline."""
    text = (
        "core-switch-with-a-long-name.hospital.example#show ip access-lists PUMPS-AND-MONI\r\nTORS\r\n"
        "Load for five secs: 1%/0%; one minute: 2%; five minutes: 2%\r\n"
        "Time source is NTP, 18:12:32.965 EST Mon Oct 17 2016\r\n\r\n"
        "Extended IP access list PUMPS-AND-MONITORS (downloaded)\r\n\t10 permit tcp any any eq www   (3 matches)\t\r\n"
        "20 deny   udp any any (1 match)  (5 estimate matches)\r\n\r\n"
        "core-switch-with-a-long-name.hospital.example#"
    )
    (found,) = registry.parse("ios", text)
    assert (found.name, found.opaque, found.attributes) == ("PUMPS-AND-MONITORS", (), {"marks": "(downloaded)"})
    assert [(ace.sequence, ace.matches, ace.estimate_matches, ace.line) for ace in found.aces] == [
        (10, 3, None, 7),
        (20, 1, 5, 8),
    ]


def test_a_line_that_the_terminal_wrapped_is_opaque() -> None:
    (found,) = registry.parse(
        "ios", "Extended IP access list A\n    10 permit tcp any any\n eq 443\n    20 deny ip any any\n"
    )
    assert [line.text for line in found.opaque] == ["eq 443"]


def test_a_remark_is_no_header() -> None:
    (found,) = registry.parse("ios", "ip access-list extended A\n remark see access-list B\n permit ip any any\n")
    assert (found.name, found.aces[0].remarks, found.opaque) == ("A", ("see access-list B",), ())


def test_a_list_that_is_removed_and_written_again_is_the_second_one() -> None:
    text = (
        "no ip access-list extended A\nip access-list extended A\n permit tcp any any\n!\n"
        "no ip access-list extended A\nip access-list extended A\n permit udp any any\n"
    )
    first, second = registry.parse("ios", text)
    assert "removed later" in first.opaque[0].reason
    assert (second.opaque, second.aces[0].protocol) == ((), 17)


def test_long_runs_of_blanks_take_no_time() -> None:
    """A pattern with a free run of blanks would look at each of them from each of them."""
    text = "ip access-list extended A\n permit ip any any" + " " * 100_000 + "x)\n"
    assert registry.parse("ios", text)[0].opaque


def test_a_pager_loses_no_entry() -> None:
    for pager in (" --More-- \x08\x08\x08\x08\x08\x08\x08\x08\x08        \x08\x08\x08\x08", "--More--\r         \r"):
        text = f"Extended IP access list A\n    10 permit tcp any any eq 22\n{pager}    20 deny ip any any\n"
        (found,) = registry.parse("ios", text)
        assert ([ace.sequence for ace in found.aces], found.opaque) == ([10, 20], ())


def test_a_damaged_last_line_without_indentation_is_opaque() -> None:
    (found,) = registry.parse("ios", "Extended IP access list A\n10 permit tcp any any\n2O deny ip any any\n")
    assert [line.text for line in found.opaque] == ["2O deny ip any any"]
    (found,) = registry.parse("ios", "ip access-list extended A\n10 permit tcp any any\nno 10\n")
    assert [line.text for line in found.opaque] == ["no 10"]
    (found,) = registry.parse("ios", "ip access-list extended A\n 10 permit tcp any any\nroute-map R permit 10\n")
    assert found.opaque == ()


@pytest.mark.parametrize(
    ("lines", "kept"),
    [
        (
            ["permit tcp any any eq 80", "5 deny tcp any any"],
            False,
        ),  # the device puts 5 before the first, which gets 10
        (["permit tcp any any eq 80", "10 deny tcp any any"], False),  # it refuses the second
        (["permit tcp any any eq 80", "permit udp any any", "15 deny tcp any any"], False),
        (["permit tcp any any eq 80", "15 deny tcp any any", "permit udp any any"], True),
        (["10 permit tcp any any eq 80", "deny tcp any any"], True),
        (["permit tcp any any eq 80", "deny tcp any any"], True),
    ],
)
def test_entries_without_numbers_among_others_get_the_last_number_plus_ten(lines: list[str], kept: bool) -> None:
    found = registry.parse_one("ios", "ip access-list extended A\n" + "".join(f" {line}\n" for line in lines))
    assert (found.opaque == ()) is kept


def test_a_list_that_is_set_to_its_default_later_is_not_certain() -> None:
    found = registry.parse_one(
        "ios", "ip access-list extended A\n permit ip any any\ndefault ip access-list extended A\n"
    )
    assert "removed later" in found.opaque[0].reason


def test_the_hash_of_a_log_entry_is_no_part_of_it() -> None:
    found = registry.parse_one(
        "ios", "Extended IP access list A\n    10 permit tcp any any eq 22 log (hash = 0x1FA0C2B) (3 matches)\n"
    )
    assert (found.opaque, found.aces[0].log, found.aces[0].matches) == ((), True, 3)
