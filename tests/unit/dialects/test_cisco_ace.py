"""Lines as vendors write them, with the meaning that their documentation gives, packet by packet."""

from __future__ import annotations

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.cisco_ace import (
    NotUnderstood,
    parse_ace,
    parse_standard,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.cisco_render import ace_lines
from tests.unit.dialects.meaning import matched

# line, packets that it decides, packets that it does not
IPV4 = [
    (
        "permit tcp any host 10.0.0.1 eq 443",
        ["tcp 1.1.1.1:5 10.0.0.1:443", "tcp 1.1.1.1:5 10.0.0.1:443 A", "tcp 1.1.1.1 10.0.0.1 frag"],
        [
            "udp 1.1.1.1:5 10.0.0.1:443",
            "tcp 1.1.1.1:5 10.0.0.1:444",
            "tcp 1.1.1.1:443 10.0.0.2:443",
            "tcp 10.0.0.1:443 1.1.1.1:5",
        ],
    ),
    (
        "deny tcp any host 10.0.0.1 eq 443",
        ["tcp 1.1.1.1:5 10.0.0.1:443"],
        ["tcp 1.1.1.1 10.0.0.1 frag", "tcp 1.1.1.1:5 10.0.0.1:80"],
    ),
    (
        "permit tcp any eq 22 host 10.0.0.9 established",
        ["tcp 9.9.9.9:22 10.0.0.9:4000 A", "tcp 9.9.9.9:22 10.0.0.9:4000 R", "tcp 9.9.9.9:22 10.0.0.9:1 SA"],
        [
            "tcp 9.9.9.9:22 10.0.0.9:4000 S",
            "tcp 9.9.9.9:22 10.0.0.9:4000 F",
            "tcp 9.9.9.9:23 10.0.0.9:4000 A",
            "tcp 9.9.9.9:22 10.0.0.9:1 none",
        ],
    ),
    (
        "permit udp any eq bootpc any eq bootps",
        ["udp 0.0.0.0:68 255.255.255.255:67"],
        ["udp 0.0.0.0:67 255.255.255.255:68"],
    ),
    ("permit udp any any eq domain", ["udp 1.1.1.1:5 2.2.2.2:53"], ["tcp 1.1.1.1:5 2.2.2.2:53"]),
    ("permit udp any any eq syslog", ["udp 1.1.1.1:5 2.2.2.2:514"], ["udp 1.1.1.1:5 2.2.2.2:513"]),
    ("permit tcp any any eq cmd", ["tcp 1.1.1.1:5 2.2.2.2:514"], ["tcp 1.1.1.1:5 2.2.2.2:512"]),
    (
        "permit tcp any any eq ftp-data 443 www",
        ["tcp 1.1.1.1:5 2.2.2.2:20", "tcp 1.1.1.1:5 2.2.2.2:443", "tcp 1.1.1.1:5 2.2.2.2:80"],
        ["tcp 1.1.1.1:5 2.2.2.2:21", "tcp 1.1.1.1:5 2.2.2.2:442"],
    ),
    (
        "permit tcp any neq 22 any",
        ["tcp 1.1.1.1:23 2.2.2.2:22", "tcp 1.1.1.1:0 2.2.2.2:22"],
        ["tcp 1.1.1.1:22 2.2.2.2:80"],
    ),
    (
        "permit tcp any gt 1023 any lt 1024",
        ["tcp 1.1.1.1:1024 2.2.2.2:1023", "tcp 1.1.1.1:65535 2.2.2.2:0"],
        ["tcp 1.1.1.1:1023 2.2.2.2:1", "tcp 1.1.1.1:2000 2.2.2.2:1024"],
    ),
    (
        "permit udp any range 16384 32767 10.0.0.0 0.255.255.255 range 50000 50019",
        ["udp 1.1.1.1:16384 10.255.255.255:50019"],
        ["udp 1.1.1.1:32768 10.0.0.0:50000", "udp 1.1.1.1:16384 11.0.0.0:50000"],
    ),
    (
        "permit ip 10.10.0.0 0.0.255.0 any",
        ["gre 10.10.7.0 1.1.1.1", "tcp 10.10.255.0:1 1.1.1.1:2"],
        ["tcp 10.10.7.1:1 1.1.1.1:2", "tcp 10.11.0.0:1 1.1.1.1:2"],
    ),
    ("permit ip 10.1.2.3 255.255.255.255 any", ["tcp 9.9.9.9:1 1.1.1.1:2", "igmp 9.9.9.9 1.1.1.1"], []),
    ("permit ip 10.0.0.77 0.0.0.15 any", ["gre 10.0.0.64 1.1.1.1", "gre 10.0.0.79 1.1.1.1"], ["gre 10.0.0.80 1.1.1.1"]),
    (
        "permit icmp any any",
        ["icmp 1.1.1.1 2.2.2.2 3/4", "icmp 1.1.1.1 2.2.2.2 8/0", "icmp 1.1.1.1 2.2.2.2 frag"],
        ["tcp 1.1.1.1:1 2.2.2.2:2"],
    ),
    (
        "permit icmp any any echo",
        ["icmp 1.1.1.1 2.2.2.2 8/0", "icmp 1.1.1.1 2.2.2.2 8/9"],
        ["icmp 1.1.1.1 2.2.2.2 0/0"],
    ),
    ("permit icmp any any packet-too-big", ["icmp 1.1.1.1 2.2.2.2 3/4"], ["icmp 1.1.1.1 2.2.2.2 3/3"]),
    (
        "permit icmp any any unreachable",
        ["icmp 1.1.1.1 2.2.2.2 3/4", "icmp 1.1.1.1 2.2.2.2 3/0"],
        ["icmp 1.1.1.1 2.2.2.2 11/0"],
    ),
    ("permit icmp any any ttl-exceeded", ["icmp 1.1.1.1 2.2.2.2 11/0"], ["icmp 1.1.1.1 2.2.2.2 11/1"]),
    ("permit icmp any any 3 4", ["icmp 1.1.1.1 2.2.2.2 3/4"], ["icmp 1.1.1.1 2.2.2.2 3/3"]),
    ("permit icmp any any 10 66", ["icmp 1.1.1.1 2.2.2.2 10/66"], ["icmp 1.1.1.1 2.2.2.2 10/0"]),
    ("permit icmp any any 13", ["icmp 1.1.1.1 2.2.2.2 13/7"], ["icmp 1.1.1.1 2.2.2.2 14/0"]),
    (
        "permit tcp any any syn",
        ["tcp 1.1.1.1:1 2.2.2.2:2 S", "tcp 1.1.1.1:1 2.2.2.2:2 SA"],
        ["tcp 1.1.1.1:1 2.2.2.2:2 A"],
    ),
    (
        "permit tcp any any match-all +ack -fin log",
        ["tcp 1.1.1.1:1 2.2.2.2:2 A", "tcp 1.1.1.1:1 2.2.2.2:2 SA"],
        ["tcp 1.1.1.1:1 2.2.2.2:2 AF", "tcp 1.1.1.1:1 2.2.2.2:2 S"],
    ),
    (
        "permit tcp any any match-any +rst -fin",
        ["tcp 1.1.1.1:1 2.2.2.2:2 A", "tcp 1.1.1.1:1 2.2.2.2:2 RF"],
        ["tcp 1.1.1.1:1 2.2.2.2:2 F"],
    ),
    (
        "deny ip any any fragments",
        ["udp 1.1.1.1 2.2.2.2 frag", "gre 1.1.1.1 2.2.2.2 frag"],
        ["udp 1.1.1.1:1 2.2.2.2:2", "gre 1.1.1.1 2.2.2.2"],
    ),
    (
        "permit udp any any fragments",
        ["udp 1.1.1.1 2.2.2.2 frag"],
        ["udp 1.1.1.1:1 2.2.2.2:2", "tcp 1.1.1.1 2.2.2.2 frag"],
    ),
    ("permit 112 any host 224.0.0.18", ["112 1.1.1.1 224.0.0.18"], ["113 1.1.1.1 224.0.0.18"]),
    ("permit ahp any any log-input", ["51 1.1.1.1 2.2.2.2"], ["esp 1.1.1.1 2.2.2.2"]),
    ("permit ospf any any", ["ospf 1.1.1.1 2.2.2.2"], ["pim 1.1.1.1 2.2.2.2"]),
    ("PERMIT TCP ANY HOST 10.0.0.1 EQ WWW", ["tcp 1.1.1.1:5 10.0.0.1:80"], ["tcp 1.1.1.1:5 10.0.0.1:81"]),
]
IPV6 = [
    (
        "permit tcp 2001:db8::/32 any eq 6543",
        ["tcp 2001:db8:1::1#5 ::1#6543"],
        ["tcp 2001:db9::1#5 ::1#6543", "tcp 2001:db8::1#5 ::1#6544"],
    ),
    ("permit icmp any any nd-ns", ["icmp6 fe80::1 ff02::1 135/0"], ["icmp6 fe80::1 ff02::1 136/0"]),
    ("permit icmp any any packet-too-big", ["icmp6 ::1 ::2 2/0"], ["icmp6 ::1 ::2 3/4"]),
    ("permit icmp any any echo-request", ["icmp6 ::1 ::2 128/0"], ["icmp6 ::1 ::2 8/0"]),
    (
        "deny ipv6 host 2001:DB8::17 any",
        ["tcp 2001:db8::17#1 ::2#3", "58 2001:db8::17 ::2 1/0"],
        ["tcp 2001:db8::18#1 ::2#3"],
    ),
    ("permit udp any eq 546 any eq 547", ["udp fe80::1#546 ff02::12#547"], ["udp fe80::1#547 ff02::12#546"]),
    ("permit ipv6 any any", ["gre ::1 ::2"], []),
]
SGACL = [
    ("permit tcp dst eq 443", ["tcp 1.1.1.1:9 2.2.2.2:443", "tcp ::1#9 ::2#443"], ["tcp 1.1.1.1:443 2.2.2.2:9"]),
    (
        "permit tcp src eq 443 established",
        ["tcp 1.1.1.1:443 2.2.2.2:9 A"],
        ["tcp 1.1.1.1:443 2.2.2.2:9 S", "tcp 1.1.1.1:9 2.2.2.2:443 A"],
    ),
    ("permit udp src eq 68 dst eq bootps", ["udp 1.1.1.1:68 2.2.2.2:67"], ["udp 1.1.1.1:69 2.2.2.2:67"]),
    ("permit udp dst range 5000 5010", ["udp 1.1.1.1:1 2.2.2.2:5010"], ["udp 1.1.1.1:1 2.2.2.2:5011"]),
    ("permit icmp echo", ["icmp 1.1.1.1 2.2.2.2 8/0"], ["icmp 1.1.1.1 2.2.2.2 0/0", "icmp6 ::1 ::2 8/0"]),
    ("permit icmp", ["icmp 1.1.1.1 2.2.2.2 8/0", "icmp6 ::1 ::2 128/0"], ["udp 1.1.1.1:1 2.2.2.2:1"]),
    ("deny ip log", ["gre 1.1.1.1 2.2.2.2", "tcp ::1#1 ::2#2"], []),
]


@pytest.mark.parametrize(("line", "inside", "outside"), IPV4)
def test_ipv4_lines(line: str, inside: list[str], outside: list[str]) -> None:
    ace = parse_ace(line.split(), 4)
    assert matched(ace, inside) == [True] * len(inside)
    assert matched(ace, outside) == [False] * len(outside)
    for written in ace_lines(ace):
        assert set(matched(parse_ace(written.split(), 4), outside)) <= {False}


@pytest.mark.parametrize(("line", "inside", "outside"), IPV6)
def test_ipv6_lines(line: str, inside: list[str], outside: list[str]) -> None:
    ace = parse_ace(line.split(), 6)
    assert matched(ace, inside) == [True] * len(inside)
    assert matched(ace, outside) == [False] * len(outside)


@pytest.mark.parametrize(("line", "inside", "outside"), SGACL)
def test_sgacl_lines(line: str, inside: list[str], outside: list[str]) -> None:
    ace = parse_ace(line.split(), 0, addresses=False)
    assert matched(ace, inside) == [True] * len(inside)
    assert matched(ace, outside) == [False] * len(outside)


@pytest.mark.parametrize(
    "line",
    [
        "permit",
        "permit tcp",
        "permit tcp any",
        "allow tcp any any",
        "permit foo any any",
        "permit tcp any any eq",
        "permit tcp any any eq https",
        "permit tcp any any eq 65536",
        "permit tcp any any eq -1",
        "permit tcp any any range 10 5",
        "permit tcp any any range 10",
        "permit tcp any any gt 65535",
        "permit tcp any any lt 0",
        "permit ip any any eq 80",
        "permit icmp any any eq 80",
        "permit tcp any host 10.0.0.256",
        "permit tcp any host 10.0.0",
        "permit tcp any 10.0.0.0",
        "permit tcp any 10.0.0.0/24 any",
        "permit tcp any host 010.0.0.1",
        "permit udp any any established",
        "permit icmp any any 300",
        "permit icmp any any echo 1",
        "permit icmp any any nd-ns",
        "permit tcp any any reflect R",
        "evaluate R",
        "permit ip any host dynamic a.b",
        "permit tcp any any log log",
        "permit tcp any any eq 80 fragments",
        "permit ip any any (3 things)",
        "permit tcp any any match-all +ack -ack",
        "permit tcp any any match-all",
        "permit 256 any any",
        "permit tcp any any eq 1 2 3 4 5 6 7 8 9 10 11",
        "permit ipv6 any any",
        "permit udp any any eq www",
        "permit tcp any any eq snmp",
        "permit tcp any any eq 80 443 extra",
        "permit ip any any any",
        "permit ip host any any",
        "permit tcp any any time-range",
        "permit tcp any any time-range T time-range U",
        "permit tcp any any dscp 64",
        "permit tcp any any dscp ef dscp ef",
        "permit ip any any precedence 8",
        "permit ip any any tos 16",
        "permit ip any any ttl eq 256",
        "permit ip any any ttl range 1",
        "permit ip any any ttl 5",
        "permit ip any any option 256",
        "permit igmp any any query",
        "permit tcp any any syn syn",
        "permit tcp any any syn match-all +ack",
        "permit tcp any object A any",
        "permit tcp any any eq ssh",
        "permit tcp any any portgroup",
        "permit ip any any routing",
        "permit object-group S any any eq 80",
        "permit object-group S any any established",
        "permit object-group",
    ],
)
def test_what_is_not_certain_is_not_understood(line: str) -> None:
    with pytest.raises(NotUnderstood):
        parse_ace(line.split(), 4)


@pytest.mark.parametrize(
    "line",
    [
        "permit ip any any",
        "permit tcp any any",
        "permit tcp 2001:db8::1 any",
        "permit tcp 2001:db8::/129 any",
        "permit tcp 10.0.0.0/8 any",
        "permit igmp any any",
        "permit icmp any any echo",
        "permit tcp host fe80::1%eth0 any",
    ],
)
def test_not_understood_in_ipv6(line: str) -> None:
    if line == "permit tcp any any":
        assert parse_ace(line.split(), 6).protocol == 6
        return
    with pytest.raises(NotUnderstood):
        parse_ace(line.split(), 6)


@pytest.mark.parametrize(
    "line",
    [
        "permit tcp any any",
        "permit tcp dst 443",
        "permit tcp dst eq 443 dst eq 80",
        "permit tcp eq 443",
        "permit ip dst eq 443",
        "permit tcp host 10.0.0.1 dst eq 443",
        "deny ipv6",
    ],
)
def test_not_understood_in_sgacls(line: str) -> None:
    with pytest.raises(NotUnderstood):
        parse_ace(line.split(), 0, addresses=False)


@pytest.mark.parametrize(
    ("line", "inside", "outside"),
    [
        ("permit 10.1.0.0, wildcard bits 0.0.255.255", ["gre 10.1.9.9 2.2.2.2"], ["gre 10.2.0.0 2.2.2.2"]),
        ("permit 10.1.0.2", ["tcp 10.1.0.2:1 2.2.2.2:2"], ["tcp 10.1.0.3:1 2.2.2.2:2"]),
        ("permit host 10.1.0.2 log", ["tcp 10.1.0.2:1 2.2.2.2:2"], ["tcp 10.1.0.3:1 2.2.2.2:2"]),
        ("deny any", ["gre 10.2.0.0 2.2.2.2"], []),
        ("permit 10.1.0.0 0.0.0.255", ["gre 10.1.0.9 2.2.2.2"], ["gre 10.1.1.0 2.2.2.2"]),
    ],
)
def test_standard_lines(line: str, inside: list[str], outside: list[str]) -> None:
    ace = parse_standard(line.split())
    assert matched(ace, inside) == [True] * len(inside)
    assert matched(ace, outside) == [False] * len(outside)


@pytest.mark.parametrize(
    "line", ["permit tcp any any", "permit 10.0.0.0 0.0.0.255 any", "permit", "permit host", "permit 2001:db8::1"]
)
def test_not_understood_in_standard_lists(line: str) -> None:
    with pytest.raises(NotUnderstood):
        parse_standard(line.split())
