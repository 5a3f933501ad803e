# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections that an old ruleset admitted and the new one would not: found in the kernel's table, dropped one by one.

A stateful firewall lets established connections go on whatever the new rules say (facts/lab.md section 1, pitfall 1).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import PacketSpace, verdicts
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import SYN, FirstMatchList, make_packet
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.linux_session import LinuxSession

BATCH = 200
_PROTOCOLS = {"tcp": 6, "udp": 17, "icmp": 1, "icmpv6": 58, "sctp": 132, "dccp": 33, "udplite": 136}
_FIELD = re.compile(r"\b(src|dst|sport|dport|type|code|id)=(\S+)")
_DELETE = "while read -r words; do conntrack -D $words >/dev/null 2>&1 || true; done"


@dataclass(frozen=True)
class Connection:
    """The original direction of one entry."""

    protocol: str
    client: str
    server: str
    client_port: int = 0
    server_port: int = 0
    icmp_type: int = 8
    icmp_code: int = 0

    def words(self) -> str:
        """Return the arguments that name exactly this entry."""
        family = "ipv6" if ":" in self.client else "ipv4"
        text = f"-f {family} -p {self.protocol} -s {self.client} -d {self.server}"
        return f"{text} --sport {self.client_port} --dport {self.server_port}" if self.server_port else text


def read_connections(text: str) -> list[Connection]:
    """Return the connections of ``conntrack -L``; entries of protocols without a meaning here are left out."""
    found = []
    for line in text.splitlines():
        words = line.split()
        name = next((word for word in words[:3] if word in _PROTOCOLS), "")
        if not name:
            continue
        fields: dict[str, str] = {}
        for key, value in _FIELD.findall(line):
            fields.setdefault(key, value)  # the first of each is of the original direction
        try:
            ipaddress.ip_address(fields["src"]), ipaddress.ip_address(fields["dst"])
            found.append(
                Connection(
                    name,
                    fields["src"],
                    fields["dst"],
                    int(fields.get("sport", 0)),
                    int(fields.get("dport", 0)),
                    int(fields.get("type", 8)),
                    int(fields.get("code", 0)),
                )
            )
        except (KeyError, ValueError):
            continue
    return found


def no_longer_permitted(
    connections: Iterable[Connection], rules: FirstMatchList, own: frozenset[str]
) -> list[Connection]:
    """Return the forwarded connections whose first packet the rules surely drop; those of the firewall itself are left alone."""
    passing = verdicts(PacketSpace(), rules).maybe_permitted
    dropped = []
    for connection in connections:
        if connection.client in own or connection.server in own:
            continue
        packet = make_packet(
            _PROTOCOLS[connection.protocol], connection.client, connection.server, connection.server_port, connection.client_port,
            flags=SYN, icmp=(connection.icmp_type, connection.icmp_code),
        )  # fmt: skip
        if packet not in passing:
            dropped.append(connection)
    return dropped


def drop_connections(session: LinuxSession, rules: FirstMatchList) -> tuple[int, list[Finding]]:
    """Drop the connections that the rules no longer permit; return how many, and a warning where that is not possible."""
    if not session.shell("command -v conntrack >/dev/null", root=True).ok:
        return 0, [codes.CONNTRACK_MISSING.at(f"{session.spec.name}: conntrack is not installed")]
    text = "".join(session.run("conntrack", "-L", "-f", family, root=True).output for family in ("ipv4", "ipv6"))
    addresses = session.run("ip", "-o", "addr", "show").output
    own = frozenset(re.findall(r"\binet6? ([0-9a-fA-F.:]+)/", addresses))
    chosen = no_longer_permitted(read_connections(text), rules, own)
    if chosen:
        session.shell(_DELETE, root=True, stdin="".join(f"{connection.words()}\n" for connection in chosen))
    return len(chosen), []
