# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Words of NX-OS access lists for protocols and ports.

Source: Cisco Nexus 7000 Series Security Command Reference, ``permit (IPv4)``, ``permit (IPv6)`` and ``eq`` of object groups; ICMP words
are those of IOS (``names.py``). ``nos`` is left out: sources take it for 4 and for 94. A word that is missing makes its line
opaque, a wrong one would make it a lie.
"""

from __future__ import annotations


def table(text: str) -> dict[str, int]:
    """Return {word: number} of ``word=number`` items."""
    return {name: int(number) for name, number in (item.split("=") for item in text.split())}


PROTOCOLS = table("ahp=51 eigrp=88 esp=50 gre=47 icmp=1 igmp=2 ospf=89 pcp=108 pim=103 tcp=6 udp=17")
PROTOCOLS_IPV6 = table("ahp=51 eigrp=88 esp=50 gre=47 icmp=58 ospf=89 pcp=108 pim=103 sctp=132 tcp=6 udp=17")
TCP_PORTS = table(
    "bgp=179 chargen=19 cmd=514 daytime=13 discard=9 domain=53 drip=3949 echo=7 exec=512 finger=79 ftp=21 ftp-data=20 gopher=70 "
    "hostname=101 ident=113 irc=194 klogin=543 kshell=544 login=513 lpd=515 nntp=119 pim-auto-rp=496 pop2=109 pop3=110 smtp=25 "
    "sunrpc=111 tacacs=49 talk=517 telnet=23 time=37 uucp=540 whois=43 www=80"
)
UDP_PORTS = table(
    "biff=512 bootpc=68 bootps=67 discard=9 dnsix=195 domain=53 echo=7 isakmp=500 mobile-ip=434 nameserver=42 netbios-dgm=138 "
    "netbios-ns=137 netbios-ss=139 non500-isakmp=4500 ntp=123 pim-auto-rp=496 rip=520 snmp=161 snmptrap=162 sunrpc=111 syslog=514 "
    "tacacs=49 talk=517 tftp=69 time=37 who=513 xdmcp=177"
)
PORT_NAMES: dict[int, dict[str, int]] = {6: TCP_PORTS, 17: UDP_PORTS, 132: {}}
IGMP_WORDS = ("dvmrp", "host-query", "host-report", "pim", "trace")
DSCP = {f"af{x}{y}": 8 * x + 2 * y for x in range(1, 5) for y in range(1, 4)} | {f"cs{x}": 8 * x for x in range(1, 8)}
DSCP |= {"default": 0, "ef": 46}  # RFC 2597, RFC 2474, RFC 3246
PRECEDENCE = {  # RFC 791
    "routine": 0, "priority": 1, "immediate": 2, "flash": 3, "flash-override": 4, "critical": 5, "internet": 6, "network": 7,
}  # fmt: skip
HTTP_METHODS = ("connect", "delete", "get", "head", "post", "put", "trace")
