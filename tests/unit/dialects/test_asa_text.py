"""ASA text: every form of an entry, judged packet by packet; objects; show output; what is not certain is opaque."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import registry
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import Ace, ParsedAcl, first_match_list
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import PacketSpace, verdicts
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from tests.unit.dialects.meaning import packet

OBJECTS = """\
name 10.9.9.9 pump
object network WEB
 host 192.0.2.1
object network LAN
 subnet 10.1.0.0 255.255.0.0
object network POOL
 range 10.2.0.5 10.2.0.9
object network SIX
 subnet 2001:db8::/32
object network SITE
 fqdn v4 www.example.org
object network WEB
 nat (inside,outside) static 198.51.100.1
object service HTTPS
 service tcp source gt 1023 destination eq https
object service PING
 service icmp echo
object-group network CLIENTS
 description all of them
 network-object host 10.3.0.1
 network-object 10.4.0.0 255.255.255.0
 network-object object POOL
 group-object MORE
object-group network MORE
 network-object host pump
 network-object 2001:db8:5::/48
object-group network DYNAMIC
 network-object object SITE
 network-object host 10.6.0.1
object-group service PORTS tcp
 port-object eq www
 port-object range 8080 8090
object-group service BOTH tcp-udp
 port-object eq domain
object-group service SERVICES
 service-object tcp destination eq 443
 service-object udp source eq 5000 destination range 6000 6010
 service-object icmp echo
 service-object object HTTPS
 service-object 47
object-group protocol L4
 protocol-object tcp
 protocol-object udp
object-group icmp-type TYPES
 icmp-object echo
 icmp-object time-exceeded
object-group security TAGGED
 security-group tag 10
 security-group tag 12
"""


def read(line: str) -> ParsedAcl:
    (parsed,) = registry.parse("asa", f"{OBJECTS}access-list A extended {line}\n")
    assert parsed.opaque == (), parsed.opaque
    return parsed


def hits(line: str, texts: list[str]) -> list[bool]:
    """Return for each packet whether the line decides it."""
    parsed = read(line)
    space = PacketSpace()
    flipped = first_match_list(parsed.aces, default_permit=not parsed.aces[0].permit, fragments_like_ios=False)
    found = verdicts(space, flipped)
    assert not found.uncertain
    decided = found.permitted if parsed.aces[0].permit else ~found.permitted
    return [packet(text) in decided for text in texts]


@pytest.mark.parametrize(
    ("line", "inside", "outside"),
    [
        ("permit ip any any", "gre 1.1.1.1 2.2.2.2", ""),
        ("permit ip any any", "gre 2001:db8::1 2001:db8::2", ""),
        ("permit tcp any any eq www", "tcp 2001:db8::1#9 2001:db8::2#80 S", "tcp 1.1.1.1:9 2.2.2.2:81 S"),
        ("deny ip any4 any", "gre 1.1.1.1 2.2.2.2", "gre 2001:db8::1 2001:db8::2"),
        ("permit tcp any6 any6 eq 443", "tcp 2001:db8::1#9 2001:db8::2#443 S", "tcp 1.1.1.1:9 2.2.2.2:443 S"),
        ("permit ip 10.0.0.0 255.255.255.0 any", "gre 10.0.0.255 2.2.2.2", "gre 10.0.1.0 2.2.2.2"),
        ("permit ip any host 2001:db8::7", "gre 2001:db8::1 2001:db8::7", "gre 2001:db8::1 2001:db8::8"),
        ("permit ip any 2001:db8:1::/48", "gre 2001:db8::1 2001:db8:1::9", "gre 2001:db8::1 2001:db8:2::9"),
        ("permit tcp host 10.0.0.1 eq 22 any", "tcp 10.0.0.1:22 2.2.2.2:9 SA", "tcp 10.0.0.1:9 2.2.2.2:22 SA"),
        ("permit udp any any neq domain", "udp 1.1.1.1:9 2.2.2.2:54", "udp 1.1.1.1:9 2.2.2.2:53"),
        ("permit tcp any any lt ftp", "tcp 1.1.1.1:9 2.2.2.2:20 S", "tcp 1.1.1.1:9 2.2.2.2:21 S"),
        ("permit tcp any any gt 1024", "tcp 1.1.1.1:9 2.2.2.2:1025 S", "tcp 1.1.1.1:9 2.2.2.2:1024 S"),
        ("permit tcp any any range ftp-data ssh", "tcp 1.1.1.1:9 2.2.2.2:22 S", "tcp 1.1.1.1:9 2.2.2.2:23 S"),
        ("permit icmp any any echo", "icmp 1.1.1.1 2.2.2.2 8/0", "icmp 1.1.1.1 2.2.2.2 0/0"),
        ("permit icmp any any unreachable 4", "icmp 1.1.1.1 2.2.2.2 3/4", "icmp 1.1.1.1 2.2.2.2 3/1"),
        ("permit icmp6 any any echo 0 log", "icmp6 fe80::1 ff02::1 128/0", "icmp6 fe80::1 ff02::1 128/1"),
        ("deny icmp any any 3 4", "icmp 1.1.1.1 2.2.2.2 3/4", "icmp 1.1.1.1 2.2.2.2 3/1"),
        ("permit icmp6 any any neighbor-solicitation", "icmp6 fe80::1 ff02::1 135/0", "icmp6 fe80::1 ff02::1 136/0"),
        ("permit icmp any any", "icmp 1.1.1.1 2.2.2.2 3/1", "icmp6 fe80::1 ff02::1 136/0"),
        ("permit 57 any any", "57 1.1.1.1 2.2.2.2", "gre 1.1.1.1 2.2.2.2"),
        ("permit sctp any any eq 2905", "sctp 1.1.1.1:9 2.2.2.2:2905", "sctp 1.1.1.1:9 2.2.2.2:2906"),
        ("permit ip object WEB any", "gre 192.0.2.1 2.2.2.2", "gre 192.0.2.2 2.2.2.2"),
        ("permit ip object LAN object SIX", "", "gre 10.1.2.3 2.2.2.2"),
        ("permit tcp object POOL any eq 80", "tcp 10.2.0.9:9 2.2.2.2:80 S", "tcp 10.2.0.10:9 2.2.2.2:80 S"),
        ("permit ip object-group CLIENTS any", "gre 10.2.0.5 2.2.2.2", "gre 10.5.0.5 2.2.2.2"),
        ("permit ip object-group CLIENTS any", "gre 10.9.9.9 2.2.2.2", "gre 10.9.9.8 2.2.2.2"),
        ("permit ip object-group CLIENTS any", "gre 2001:db8:5::1 2001:db8::2", "gre 2001:db8:6::1 2001:db8::2"),
        ("permit tcp any object WEB object-group PORTS", "tcp 1.1.1.1:9 192.0.2.1:8085 S", "tcp 1.1.1.1:9 192.0.2.1:81 S"),
        ("permit tcp any object-group PORTS object WEB", "tcp 1.1.1.1:80 192.0.2.1:9 S", "tcp 1.1.1.1:9 192.0.2.1:80 S"),
        ("permit tcp any object-group PORTS object-group MORE eq 9", "tcp 1.1.1.1:80 10.9.9.9:9 S", "tcp 1.1.1.1:80 10.9.9.8:9 S"),
        ("permit udp any any object-group BOTH", "udp 1.1.1.1:9 2.2.2.2:53", "tcp 1.1.1.1:9 2.2.2.2:53 S"),
        ("permit object HTTPS any object WEB", "tcp 1.1.1.1:1024 192.0.2.1:443 S", "tcp 1.1.1.1:1023 192.0.2.1:443 S"),
        ("permit object PING any any", "icmp 1.1.1.1 2.2.2.2 8/0", "icmp 1.1.1.1 2.2.2.2 0/0"),
        ("permit object-group SERVICES any any", "udp 1.1.1.1:5000 2.2.2.2:6010", "udp 1.1.1.1:5001 2.2.2.2:6010"),
        ("permit object-group SERVICES any any", "tcp 1.1.1.1:9 2.2.2.2:443 S", "udp 1.1.1.1:9 2.2.2.2:443"),
        ("permit object-group SERVICES any any", "gre 1.1.1.1 2.2.2.2", "esp 1.1.1.1 2.2.2.2"),
        ("permit object-group L4 any any eq domain", "udp 1.1.1.1:9 2.2.2.2:53", "sctp 1.1.1.1:9 2.2.2.2:53"),
        ("permit icmp any any object-group TYPES", "icmp 1.1.1.1 2.2.2.2 11/1", "icmp 1.1.1.1 2.2.2.2 0/0"),
        ("permit ip host pump any", "gre 10.9.9.9 2.2.2.2", "gre 10.9.9.8 2.2.2.2"),
        ("permit tcp any host 2.2.2.2 eq 80", "", "tcp 1.1.1.1 2.2.2.2 frag"),
    ],
)  # fmt: skip
def test_entries(line: str, inside: str, outside: str) -> None:
    if line.endswith("object SIX"):  # nothing is of both families
        (parsed,) = registry.parse("asa", f"{OBJECTS}access-list A extended {line}\n")
        assert "different address families" in parsed.opaque[0].reason
        return
    if inside:
        assert hits(line, [inside]) == [True]
    if outside:
        assert hits(line, [outside]) == [False]
    assert registry.round_trip("asa", f"{OBJECTS}access-list A extended {line}\n")


@pytest.mark.parametrize(
    ("line", "conditions"),
    [
        ("permit tcp any any eq 80 time-range WORK", ("time-range WORK",)),
        ("permit ip object Gone any", ("source object Gone",)),
        ("permit ip any object-group Gone", ("destination object-group Gone",)),
        ("permit tcp any interface outside eq 443", ("destination interface outside",)),
        ("permit object Gone any any", ("service object Gone",)),
        ("permit object-group Gone host 10.0.0.1 any", ("service object-group Gone",)),
        ("permit ip object SITE any", ("source fqdn www.example.org",)),
        ("permit tcp any any object-group Gone", ("destination ports object-group Gone",)),
        ("permit tcp any object-group Gone any", ("source ports object-group Gone",)),
        ("permit icmp any any object-group Gone", ("messages object-group Gone",)),
        ("permit ip host mystery any", ("source host mystery",)),
        ("permit ip mystery 255.255.255.0 any", ("source mystery 255.255.255.0",)),
        ("permit tcp security-group name PLC any any eq 502", ("source security-group name PLC",)),
        ("permit tcp any object-group-security Gone any", ("destination object-group-security Gone",)),
        ("permit ip user CORP\\bob any any", ("source user CORP\\bob",)),
        ("permit ip user-group CORP\\\\staff any any", ("source user-group CORP\\\\staff",)),
        ("permit ip object-group-user IDENT any any", ("source object-group-user IDENT",)),
    ],
)  # fmt: skip
def test_what_has_no_field_is_a_condition_and_prints_back(line: str, conditions: tuple[str, ...]) -> None:
    parsed = read(line)
    assert parsed.aces[-1].conditions == conditions
    text = registry.render("asa", "A", parsed.aces, end="")
    (again,) = registry.parse("asa", text)
    assert [ace.meaning() for ace in again.aces] == [ace.meaning() for ace in parsed.aces], text


def test_a_group_with_an_open_member_is_certain_for_the_others() -> None:
    parsed = read("permit tcp object-group DYNAMIC any eq 80")
    assert [ace.conditions for ace in parsed.aces] == [(), ("source fqdn www.example.org",)]
    found = verdicts(PacketSpace(), parsed.first_match())
    assert (
        packet("tcp 10.6.0.1:1 2.2.2.2:80 S") in found.permitted
        and packet("tcp 10.6.0.1:1 2.2.2.2:80 S") not in found.uncertain
    )
    assert packet("tcp 10.6.0.2:1 2.2.2.2:80 S") in found.uncertain
    assert packet("tcp 10.6.0.2:1 2.2.2.2:81 S") not in found.uncertain


def test_security_group_tags() -> None:
    parsed = read("permit tcp security-group tag 10 any object-group-security TAGGED any eq 502")
    (ace,) = parsed.aces
    assert (ace.source_group, ace.destination_group) == (IntervalSet.single(10), IntervalSet.of(10, 12))
    assert registry.round_trip(
        "asa", f"{OBJECTS}access-list A extended permit tcp security-group tag 10 any any eq 502\n"
    )
    lines = registry.render("asa", "A", parsed.aces, end="").splitlines()
    assert lines == [
        f"access-list A extended permit tcp security-group tag 10 any security-group tag {tag} any eq 502"
        for tag in (10, 12)
    ]


def test_circles_and_depth_are_refused() -> None:
    circle = "object-group network A\n group-object B\nobject-group network B\n group-object A\n"
    deep = (
        "".join(f"object-group network D{i}\n group-object D{i + 1}\n" for i in range(40))
        + "object-group network D40\n network-object host 10.0.0.1\n"
    )
    for text, name in ((circle, "A"), (deep, "D0")):
        (parsed,) = registry.parse("asa", f"{text}access-list X extended permit ip object-group {name} any\n")
        assert "holds itself" in parsed.opaque[0].reason


def test_before_nine_any_is_ipv4() -> None:
    old = "ASA Version 8.4(2)\naccess-list A extended permit ip any any\n"
    (parsed,) = registry.parse("asa", old)
    assert [ace.family for ace in parsed.aces] == [4]
    (new,) = registry.parse("asa", old.replace("8.4", "9.1"))
    assert [ace.family for ace in new.aces] == [0]


def test_inactive_lines_are_kept_and_match_nothing() -> None:
    text = "access-list A extended permit ip any any inactive\naccess-list A extended deny ip any any log\n"
    (parsed,) = registry.parse("asa", text)
    assert [ace.inactive for ace in parsed.aces] == [True, False]
    assert packet("udp 1.1.1.1:1 2.2.2.2:2") not in verdicts(PacketSpace(), parsed.first_match()).permitted
    assert (
        registry.render("asa", "A", parsed.aces).splitlines()[0] == "access-list A extended permit ip any any inactive"
    )
    assert registry.round_trip("asa", text)


@pytest.mark.parametrize(
    ("words", "log"),
    [("log", True), ("log informational interval 300", True), ("log 5", True), ("log disable", False), ("log default", False),
     ("log alerts time-range W", True)],
)  # fmt: skip
def test_log_forms(words: str, log: bool) -> None:
    assert read(f"permit tcp any any eq 80 {words}").aces[0].log is log


def test_standard_lists_look_at_the_destination() -> None:
    text = "access-list S standard permit 10.0.0.0 255.0.0.0\naccess-list S standard deny host 192.0.2.1\n"
    text += "access-list S standard permit any4\n"
    (parsed,) = registry.parse("asa", text)
    assert (parsed.kind, parsed.opaque) == ("asa_standard", ())
    assert parsed.aces[0].source is None and parsed.aces[0].destination == IntervalSet.from_prefix("10.0.0.0/8")
    assert registry.round_trip("asa", text)


SHOWN = """\
fw# show access-list\r
access-list cached ACL log flows: total 0, denied 0 (deny-flow-max 4096)\r
            alert-interval 300\r
access-list OUT; 4 elements; name hash: 0x178be4f2\r
access-list OUT line 1 remark web servers\r
access-list OUT line 2 extended permit object-group SVC any object-group SRV (hitcnt=7) 0xb8411547 \r
  access-list OUT line 2 extended permit tcp any host 198.18.0.1 eq ssh (hitcnt=3) 0xb86c056b \r
  access-list OUT line 2 extended permit tcp any fqdn www.example.org (unresolved) eq ssh (inactive) 0x5eb7814e \r
access-list OUT line 3 extended permit udp host 10.0.0.1 host 198.18.0.2 (time.example.org) eq ntp (hitcnt=0) 0x5eb7814f \r
access-list OUT line 4 extended deny tcp any4 any4 log informational interval 300 (hitcnt=12) 0x1b9a5a1c \r
fw# """


def test_show_output_stands_for_its_rules() -> None:
    (parsed,) = registry.parse("asa", SHOWN)
    assert parsed.opaque == ()
    assert [(ace.sequence, ace.line, ace.matches) for ace in parsed.aces] == [
        (2, 7, 3),
        (2, 8, None),
        (3, 9, 0),
        (4, 10, 12),
    ]
    assert parsed.aces[0].remarks == ("web servers",)
    assert parsed.aces[1].conditions == ("destination fqdn www.example.org",)
    assert parsed.aces[2].conditions == ("destination fqdn time.example.org",)
    flat = "\n".join(line.strip() for line in SHOWN.splitlines())
    (again,) = registry.parse("asa", flat)
    assert [ace.meaning() for ace in again.aces] == [ace.meaning() for ace in parsed.aces]


def test_what_was_cut_off_is_noticed() -> None:
    lines = SHOWN.splitlines()
    (parsed,) = registry.parse("asa", "\n".join(lines[:6] + lines[7:]))
    assert "3 of the 4 elements" in parsed.opaque[0].reason
    without_header = [line for line in lines[6:] if "elements" not in line]
    (parsed,) = registry.parse("asa", "\n".join(without_header))
    assert "gaps" in parsed.opaque[0].reason
    (brief,) = registry.parse(
        "asa", "access-list X; 3 elements; name hash: 0xccfef45c\n06228509 d0a2680b 00006049 6178289f\n"
    )
    assert "0 of the 3 elements" in brief.opaque[0].reason


def test_a_wrapped_address_is_noticed() -> None:
    text = "access-list A line 1 extended permit ip host 10.10.10.2 any (hitcnt=0) 0x1b9a5a1c\n"
    wrapped = text + "access-list A line 2 extended permit ip any host 10.10.10.2\n0 (hitcnt=0) 0x1b9a5a1d\n"
    (parsed,) = registry.parse("asa", wrapped)
    assert {item.line for item in parsed.opaque} == {2, 3}


def test_attachment_and_remarks() -> None:
    text = (
        "access-group IN in interface outside\naccess-list IN remark first\naccess-list IN extended permit ip any any\n"
        "access-list IN remark last\naccess-group IN global\n"
    )
    (parsed,) = registry.parse("asa", text)
    assert parsed.attributes == {"attached": ("in interface outside", "global")}
    assert (parsed.aces[0].remarks, parsed.trailing_remarks) == (("first",), ("last",))


def test_ftd_lists_are_read_and_never_written() -> None:
    text = (
        "access-list CSM_FW_ACL_ remark rule-id 268434432: ACCESS POLICY: x\n"
        "access-list CSM_FW_ACL_ advanced deny tcp ifc inside any ifc outside any eq 23 rule-id 268434432 event-log flow-start\n"
        "access-list CSM_FW_ACL_ advanced trust ip host 10.0.0.1 any rule-id 268434433 event-log both\n"
        "access-list CSM_FW_ACL_ advanced permit ip any any rule-id 268434434\n"
    )
    (parsed,) = registry.parse("asa", text)
    assert (parsed.kind, parsed.opaque) == ("asa_advanced", ())
    assert [ace.conditions for ace in parsed.aces] == [
        ("destination ifc outside", "source ifc inside"), (), ("inspection",),
    ]  # fmt: skip
    with pytest.raises(FindingError, match="SW1204"):
        registry.render("asa", "X", parsed.aces)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("access-list A extended permit tcp any any eq 80 443\n", "'443' is not understood"),
        ("access-list A extended permit tcp any any eq kerberos\n", "port 'kerberos'"),
        ("access-list A extended permit tcp any any established\n", "'established'"),
        ("access-list A extended permit ip any any fragments\n", "'fragments'"),
        ("access-list A extended permit ip any any eq 80\n", "without ports"),
        ("access-list A extended permit foo any any\n", "protocol 'foo'"),
        ("access-list A extended permit ip any\n", "too early"),
        ("access-list A extended permit ip 10.0.0.0 any\n", "not an IPv4 address"),
        ("access-list A extended permit ip host 10.0.0.300 any\n", "not an IPv4 address"),
        ("access-list 101 permit ip 10.0.0.0 0.0.0.255 any\n", "of another platform"),
        ("access-list 101 permit ip 10.0.0.1 0.0.0.0 any\n", "of another platform"),
        ("access-list A extended permit ip 10.0.0.0 255.0.255.0 any\n", "of another platform"),
        ("access-list A extended permit tcp any object-group G1 object-group G2\n", "ports or addresses"),
        ("access-list A extended permit ip any4 any6\n", "different address families"),
        ("access-list A webtype permit url http://x\n", "not modelled"),
        ("access-list A ethertype permit bpdu\n", "not modelled"),
        ("access-list A extended permit ip any any\naccess-list A standard permit any4\n", "several kinds"),
        ("access-list A extended permit ip any any\nno access-list A extended permit ip any any\n", "removed later"),
        ("access-list A extended permit ip any any\nclear configure access-list A\n", "removed later"),
        ("access-list A line 3 extended permit ip any any\naccess-list A line 1 extended deny ip any any\n", "line numbers"),
        ("access-list A extended permit tcp any any\neq 80\n", "rest of the line before"),
        ("access-list A line 1 extended permit ip any any (inactive) 0x1b9a5a1c\n", "nothing in it says why"),
        ("access-list A bogus permit ip any any\n", "'bogus'"),
    ],
)  # fmt: skip
def test_what_is_not_certain_makes_the_list_opaque(text: str, reason: str) -> None:
    lines = [line for item in registry.parse("asa", text) for line in item.opaque]
    assert any(reason in line.reason for line in lines), lines
    assert not registry.round_trip("asa", text)
    with pytest.raises(FindingError, match="SW1203"):
        [item.first_match() for item in registry.parse("asa", text)]


@pytest.mark.parametrize(
    "block",
    [
        "object-group service G tcp\n port-object eq kerberos\n",
        "object-group service G tcp\n",
        "object-group service G tcp\n port-object eq 80\n something new\n",
        "object-group service G tcp\n port-object eq 80\nno object-group service G\n",
        "object-group service G tcp\n port-object eq 80\nobject-group service G udp\n port-object eq 81\n",
    ],
)
def test_a_group_that_is_not_certain_is_a_condition(block: str) -> None:
    (parsed,) = registry.parse("asa", f"{block}access-list A extended permit tcp any any object-group G\n")
    assert parsed.aces[0].conditions == ("destination ports object-group G",)


# facts/devices.md section 2.3: what a public template cannot read, or reads as free text. One test each.
def entry(line: str) -> Ace:
    (parsed,) = registry.parse("asa", f"access-list A {line}\n")
    assert parsed.opaque == ()
    return parsed.aces[0]


def test_fault_security_group_lines() -> None:
    assert entry("extended permit tcp security-group tag 10 any any eq 502").source_group == IntervalSet.single(10)


def test_fault_plain_log() -> None:
    assert entry("extended deny ip any any log").log


def test_fault_hit_count_and_hash_in_the_rest_of_the_line() -> None:
    ace = entry("line 1 extended permit tcp any4 any4 eq https (hitcnt=0) 0x008fc95e")
    assert (ace.raw, ace.matches) == ("permit tcp any4 any4 eq https", 0)


def test_corpora_of_asa(corpora: Path) -> None:
    """All 87 expanded entries of the largest golden, with the number that the device itself counted; the round trip for all packets."""
    text = (corpora / "device-outputs/cisco_asa/show_access-list/ntc-update2.txt").read_text(encoding="utf-8")
    (parsed,) = registry.parse("asa", text)
    assert (len(parsed.aces), parsed.opaque) == (87, ())
    assert registry.round_trip("asa", text)


@pytest.mark.parametrize(
    "line",
    [
        "access-list  A   extended permit ip any any eq",
        "access-list A",
        "access-list A;",
        "access-list A line x extended permit ip any any",
    ],
)
def test_no_line_of_a_list_is_passed_over(line: str) -> None:
    (parsed,) = registry.parse("asa", f"access-list A extended permit tcp any any\n{line}\n")
    assert [item.line for item in parsed.opaque] == [2]


def test_padding_between_words_is_harmless() -> None:
    (parsed,) = registry.parse("asa", "access-list   A  extended   permit  tcp any any\n")
    assert parsed.aces[0].raw == "permit tcp any any" and not parsed.opaque


def test_groups_that_hold_a_group_many_times_stay_small() -> None:
    """Each group is resolved once, and an entry with too many parts is refused, not expanded."""
    text = "object-group network D0\n network-object host 10.0.0.1\n network-object object GONE\n"
    text += "".join(
        f"object-group network D{i}\n group-object D{i - 1}\n group-object D{i - 1}\n" for i in range(1, 15)
    )
    (parsed,) = registry.parse("asa", f"{text}access-list A extended permit ip object-group D14 any\n")
    assert len(parsed.aces) == 2
    wide = "object-group service S\n" + "".join(
        f" service-object tcp destination eq {port}\n" for port in range(1, 6000)
    )
    wide += "object-group network N\n" + "".join(f" network-object object G{i}\n" for i in range(20))
    (parsed,) = registry.parse("asa", f"{wide}access-list A extended permit object-group S object-group N any\n")
    assert "fall into more than" in parsed.opaque[0].reason


@pytest.mark.parametrize(
    ("kind", "member", "entry"),
    [
        ("service {} tcp", "port-object eq 5", "permit tcp any any object-group P0"),
        ("icmp-type {}", "icmp-object echo", "permit icmp any any object-group P0"),
        ("security {}", "security-group tag 5", "permit tcp object-group-security P0 any any"),
        ("network {}", "network-object host 10.0.0.1", "permit ip object-group P0 any"),
        ("service {}", "service-object tcp", "permit object-group P0 any any"),
        ("protocol {}", "protocol-object tcp", "permit object-group P0 any any"),
    ],
)
def test_each_group_is_resolved_once(kind: str, member: str, entry: str) -> None:
    """Fourteen levels that each hold the next six times: 6^14 ways, one result."""
    groups = [f"object-group {kind.format(f'P{i}')}\n" + f" group-object P{i + 1}\n" * 6 for i in range(14)]
    text = "".join([*groups, f"object-group {kind.format('P14')}\n {member}\n", f"access-list A extended {entry}\n"])
    (parsed,) = registry.parse("asa", text)
    assert [ace.conditions for ace in parsed.aces] == [()] and not parsed.opaque
