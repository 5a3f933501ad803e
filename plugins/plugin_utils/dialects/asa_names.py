# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Words of Cisco ASA access lists for protocols, ports and ICMP messages.

Source: Cisco ASA General Operations CLI Configuration Guide, chapter "Addresses, Protocols, and Ports" (tables of protocols, ports
and ICMP types). ``kerberos`` is left out, since sources take it for 88 and for 750. A word that is missing makes its line opaque, a
wrong one would make it a lie.
"""

from __future__ import annotations

from functools import lru_cache

from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.names import Message
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.nxos_names import table

# ``ip`` is no number: it is every protocol.
PROTOCOLS = table(
    "ah=51 ahp=51 eigrp=88 esp=50 gre=47 icmp=1 icmp6=58 igmp=2 igrp=9 ipinip=4 ipsec=50 nos=94 ospf=89 pcp=108 pim=103 pptp=47 "
    "sctp=132 snp=109 tcp=6 udp=17"
)
_BOTH = "cifs=3020 discard=9 domain=53 echo=7 http=80 nfs=2049 pim-auto-rp=496 sip=5060 sunrpc=111 tacacs=49 talk=517 www=80 "
TCP_PORTS = table(
    _BOTH
    + "aol=5190 bgp=179 chargen=19 citrix-ica=1494 cmd=514 ctiqbe=2748 daytime=13 exec=512 finger=79 ftp=21 ftp-data=20 "
    "gopher=70 h323=1720 hostname=101 https=443 ident=113 imap4=143 irc=194 klogin=543 kshell=544 ldap=389 ldaps=636 login=513 "
    "lotusnotes=1352 lpd=515 netbios-ssn=139 nntp=119 pcanywhere-data=5631 pop2=109 pop3=110 pptp=1723 rsh=514 rtsp=554 smtp=25 "
    "sqlnet=1521 ssh=22 telnet=23 uucp=540 whois=43"
)
UDP_PORTS = table(
    _BOTH
    + "biff=512 bootpc=68 bootps=67 dnsix=195 isakmp=500 mobile-ip=434 nameserver=42 netbios-dgm=138 netbios-ns=137 ntp=123 "
    "pcanywhere-status=5632 radius=1645 radius-acct=1646 rip=520 secureid-udp=5510 snmp=161 snmptrap=162 syslog=514 tftp=69 "
    "time=37 vxlan=4789 who=513 xdmcp=177"
)
PORT_NAMES: dict[int, dict[str, int]] = {6: TCP_PORTS, 17: UDP_PORTS, 132: {}}


@lru_cache(maxsize=16)
def port_names(protocols: frozenset[int]) -> dict[str, int]:
    """Return the port words that mean the same number for each of the protocols."""
    tables = [PORT_NAMES[protocol] for protocol in sorted(protocols)]
    return {word: port for word, port in tables[0].items() if all(other.get(word) == port for other in tables[1:])}


def _types(text: str) -> dict[str, Message]:
    return {word: (number, None) for word, number in table(text).items()}


ICMP_MESSAGES = _types(
    "echo-reply=0 unreachable=3 source-quench=4 redirect=5 alternate-address=6 echo=8 router-advertisement=9 router-solicitation=10 "
    "time-exceeded=11 parameter-problem=12 timestamp-request=13 timestamp-reply=14 information-request=15 information-reply=16 "
    "mask-request=17 mask-reply=18 traceroute=30 conversion-error=31 mobile-redirect=32"
)
ICMPV6_MESSAGES = _types(
    "unreachable=1 packet-too-big=2 time-exceeded=3 parameter-problem=4 echo=128 echo-reply=129 membership-query=130 "
    "membership-report=131 membership-reduction=132 router-solicitation=133 router-advertisement=134 neighbor-solicitation=135 "
    "neighbor-advertisement=136 neighbor-redirect=137 router-renumbering=138"
)
LOG_LEVELS = (
    "alerts", "critical", "debugging", "emergencies", "errors", "informational", "notifications", "warnings", "default", "disable",
)  # fmt: skip
# What a printer writes as a word, numbers for the rest.
SPOKEN: dict[Message, str] = {
    (8, None): "echo",
    (0, None): "echo-reply",
    (3, None): "unreachable",
    (11, None): "time-exceeded",
}
SPOKEN_IPV6: dict[Message, str] = {
    ICMPV6_MESSAGES[word]: word
    for word in (
        "echo",
        "echo-reply",
        "unreachable",
        "packet-too-big",
        "neighbor-solicitation",
        "neighbor-advertisement",
    )
}
