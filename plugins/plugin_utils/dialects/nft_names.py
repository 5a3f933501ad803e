# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Words that nft prints for protocols and ICMP messages, and the one reader of a value in its text or JSON."""

from __future__ import annotations


def _table(text: str) -> dict[str, int]:
    return {name: int(number) for name, number in (item.split("=") for item in text.split())}


PROTOCOLS = _table(
    "icmp=1 igmp=2 ipencap=4 tcp=6 egp=8 igp=9 udp=17 dccp=33 rdp=27 ipv6=41 rsvp=46 gre=47 esp=50 ah=51 ipv6-icmp=58 icmpv6=58 "
    "eigrp=88 ospf=89 ospfigp=89 ipip=94 pim=103 ipcomp=108 comp=108 vrrp=112 l2tp=115 sctp=132 udplite=136 mpls-in-ip=137"
)
SERVICE_WORDS: dict[str, int] = {}  # nft prints ports as numbers unless asked; a word is never guessed
ICMP_TYPES = _table(
    "echo-reply=0 destination-unreachable=3 source-quench=4 redirect=5 echo-request=8 router-advertisement=9 "
    "router-solicitation=10 time-exceeded=11 parameter-problem=12 timestamp-request=13 timestamp-reply=14 info-request=15 "
    "info-reply=16 address-mask-request=17 address-mask-reply=18"
)
ICMP_CODES = _table(
    "net-unreachable=0 host-unreachable=1 prot-unreachable=2 port-unreachable=3 frag-needed=4 net-prohibited=9 host-prohibited=10 "
    "admin-prohibited=13"
)
ICMPV6_TYPES = _table(
    "destination-unreachable=1 packet-too-big=2 time-exceeded=3 parameter-problem=4 echo-request=128 echo-reply=129 "
    "mld-listener-query=130 mld-listener-report=131 mld-listener-done=132 mld-listener-reduction=132 nd-router-solicit=133 "
    "nd-router-advert=134 nd-neighbor-solicit=135 nd-neighbor-advert=136 nd-redirect=137 router-renumbering=138 "
    "ind-neighbor-solicit=141 ind-neighbor-advert=142 mld2-listener-report=143"
)
ICMPV6_CODES = _table(
    "no-route=0 admin-prohibited=1 addr-unreachable=3 port-unreachable=4 policy-fail=5 reject-route=6"
)
TCP_FLAGS = {"fin": 1, "syn": 2, "rst": 4, "psh": 8, "ack": 16, "urg": 32, "ecn": 64, "cwr": 128}
