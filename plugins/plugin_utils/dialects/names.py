# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Words that Cisco access lists use for protocols, ports and ICMP messages.

Source: the keywords of ``permit`` and ``deny`` in the Cisco IOS security and IP command references, and the numbers that IANA
gives them. Words of some releases only (``drip``, ``onep-plain``, ``connectedapps-tls``, ``msrpc``) stand here too, since no
release gives them another number. Only words that IOS accepts stand here, so not ``ssh``, ``http`` or ``https``: a word that is
missing makes its line opaque, a wrong one would make it a lie. The same word may be another number on another protocol
(``syslog``, ``cmd``), so there is one table for each.
"""

from __future__ import annotations


def _table(text: str) -> dict[str, int]:
    return {name: int(number) for name, number in (item.split("=") for item in text.split())}


PROTOCOLS: dict[str, int | None] = {"ip": None} | _table(
    "ahp=51 eigrp=88 esp=50 gre=47 icmp=1 igmp=2 ipinip=4 nos=94 ospf=89 pcp=108 pim=103 sctp=132 tcp=6 udp=17"
)
PROTOCOLS_IPV6: dict[str, int | None] = {"ipv6": None} | _table(
    "ahp=51 eigrp=88 esp=50 icmp=58 ospf=89 pcp=108 pim=103 sctp=132 tcp=6 udp=17"
)

TCP_PORTS = _table(
    "bgp=179 chargen=19 cmd=514 connectedapps-plain=15001 connectedapps-tls=15002 daytime=13 discard=9 domain=53 drip=3949 "
    "echo=7 exec=512 finger=79 ftp=21 ftp-data=20 "
    "gopher=70 hostname=101 ident=113 irc=194 klogin=543 kshell=544 login=513 lpd=515 msrpc=135 nntp=119 onep-plain=15001 "
    "onep-tls=15002 pim-auto-rp=496 pop2=109 pop3=110 smtp=25 sunrpc=111 syslog=514 tacacs=49 talk=517 telnet=23 time=37 "
    "uucp=540 whois=43 www=80"
)
UDP_PORTS = _table(
    "biff=512 bootpc=68 bootps=67 discard=9 dnsix=195 domain=53 echo=7 isakmp=500 mobile-ip=434 nameserver=42 "
    "netbios-dgm=138 netbios-ns=137 netbios-ss=139 non500-isakmp=4500 ntp=123 pim-auto-rp=496 rip=520 ripv6=521 snmp=161 "
    "snmptrap=162 sunrpc=111 syslog=514 tacacs=49 talk=517 tftp=69 time=37 who=513 xdmcp=177"
)
PORT_NAMES = {6: TCP_PORTS, 17: UDP_PORTS}

# word -> type, or type and code
Message = tuple[int, int | None]


def _messages(text: str) -> dict[str, Message]:
    result: dict[str, Message] = {}
    for item in text.split():
        name, numbers = item.split("=")
        kind, _slash, code = numbers.partition("/")
        result[name] = (int(kind), int(code) if code else None)
    return result


ICMP_MESSAGES = _messages(
    "echo-reply=0 unreachable=3 net-unreachable=3/0 host-unreachable=3/1 protocol-unreachable=3/2 port-unreachable=3/3 "
    "packet-too-big=3/4 source-route-failed=3/5 network-unknown=3/6 host-unknown=3/7 host-isolated=3/8 "
    "dod-net-prohibited=3/9 dod-host-prohibited=3/10 net-tos-unreachable=3/11 host-tos-unreachable=3/12 "
    "administratively-prohibited=3/13 host-precedence-unreachable=3/14 precedence-unreachable=3/15 source-quench=4 "
    "redirect=5 net-redirect=5/0 host-redirect=5/1 net-tos-redirect=5/2 host-tos-redirect=5/3 alternate-address=6 echo=8 "
    "router-advertisement=9 router-solicitation=10 time-exceeded=11 ttl-exceeded=11/0 reassembly-timeout=11/1 "
    "parameter-problem=12 general-parameter-problem=12/0 option-missing=12/1 no-room-for-option=12/2 timestamp-request=13 "
    "timestamp-reply=14 information-request=15 information-reply=16 mask-request=17 mask-reply=18 traceroute=30 "
    "conversion-error=31 mobile-redirect=32"
)
ICMPV6_MESSAGES = _messages(
    "unreachable=1 no-route=1/0 no-admin=1/1 beyond-scope=1/2 destination-unreachable=1/3 port-unreachable=1/4 "
    "packet-too-big=2 time-exceeded=3 hop-limit=3/0 reassembly-timeout=3/1 parameter-problem=4 header=4/0 next-header=4/1 "
    "parameter-option=4/2 echo-request=128 echo-reply=129 mld-query=130 mld-report=131 mld-reduction=132 "
    "router-solicitation=133 router-advertisement=134 nd-ns=135 nd-na=136 redirect=137 router-renumbering=138 "
    "renum-command=138/0 renum-result=138/1 renum-seq-number=138/255"
)
# IGMP message types of ``permit igmp``: not modelled, so they are conditions.
IGMP_MESSAGES = frozenset(("dvmrp", "host-query", "host-report", "pim", "trace", "v2-leave", "v2-report", "v3-report"))

# Values of the IP header that lines name, in the words that devices print (RFC 791, RFC 2474, RFC 2597, RFC 3246).
PRECEDENCES = _table("routine=0 priority=1 immediate=2 flash=3 flash-override=4 critical=5 internet=6 network=7")
SERVICES = _table("normal=0 min-monetary-cost=1 max-reliability=2 max-throughput=4 min-delay=8")
DSCPS = _table(
    "default=0 cs1=8 af11=10 af12=12 af13=14 cs2=16 af21=18 af22=20 af23=22 cs3=24 af31=26 af32=28 af33=30 cs4=32 af41=34 "
    "af42=36 af43=38 cs5=40 ef=46 cs6=48 cs7=56"
)
OPTIONS = _table(
    "add-ext=147 com-security=134 dps=151 encode=15 eool=0 ext-ip=145 ext-security=133 finn=205 imitd=144 lsr=131 mtup=11 "
    "mtur=12 no-op=1 nsapa=150 psh=78 record-route=7 router-alert=148 sdb=149 security=130 ssr=137 stream-id=136 timestamp=68 "
    "traceroute=82 ump=152 visa=142 zsu=10"
)

# Entries whose packets are decided while the device runs, by traffic or a login, not by the text.
NOT_STATIC = {
    "evaluate": "a reflexive list: the device fills it from traffic",
    "dynamic": "a dynamic (lock-and-key) entry: a login opens it",
    "reflect": "a reflexive list: the device fills it from traffic",
    "timeout": "a reflexive list: the device fills it from traffic",
}

TCP_FLAGS = {"fin": 1, "syn": 2, "rst": 4, "psh": 8, "ack": 16, "urg": 32}

# What a renderer writes: the words that every IOS release knows, numbers for the rest.
SPOKEN_MESSAGES = ("echo", "echo-reply", "unreachable", "packet-too-big", "ttl-exceeded", "time-exceeded", "redirect")
SPOKEN_MESSAGES_IPV6 = (
    "echo-request", "echo-reply", "unreachable", "packet-too-big", "time-exceeded", "nd-ns", "nd-na", "router-solicitation",
    "router-advertisement", "mld-query", "mld-report", "mld-reduction",
)  # fmt: skip


def message_words(ipv6: bool) -> dict[Message, str]:
    """Return {(type, code or None): word} of the messages that a renderer writes as words."""
    table = ICMPV6_MESSAGES if ipv6 else ICMP_MESSAGES
    return {table[word]: word for word in (SPOKEN_MESSAGES_IPV6 if ipv6 else SPOKEN_MESSAGES)}
