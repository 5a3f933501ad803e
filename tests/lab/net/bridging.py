# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One switch between two ends, each in its own namespace: what a device sends enters a port, what the list lets pass leaves the other.

``as_bridge_rules`` writes a Cisco list for the kernel's bridge filter, without connection tracking (facts/devices.md section 8). It reads
the text with the lab's own evaluator and shares nothing with the collection.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from ..evaluate import _Ace, parse_acl
from ..processes import in_namespace
from .forwarding import CLIENT, SERVER, ForwardingPath, _tap
from .namespaces import write_sysctl
from .topology import FIREWALL

_PORT_WORDS = {6: "tcp", 17: "udp", 132: "sctp"}
_ANY_PORT = ((0, 65535),)


class SwitchPath(ForwardingPath):
    """device - switch - rest of the network: frames of any kind pass, also to groups and without an address."""

    def _connect(self) -> None:
        run = self.namespaces.run
        switch = self.namespaces.holders[FIREWALL].pid
        in_namespace(self.namespaces.descriptor(FIREWALL), _quiet)
        run(FIREWALL, ["ip", "link", "add", "br0", "type", "bridge", "forward_delay", "0", "mcast_snooping", "0"])
        run(FIREWALL, ["ip", "link", "set", "br0", "up"])
        for name in (CLIENT, SERVER):
            in_namespace(self.namespaces.descriptor(name), _quiet)
            run(name, ["ip", "link", "add", "up0", "type", "veth", "peer", "name", f"to-{name}", "netns", str(switch)])
            run(name, ["ip", "link", "set", "up0", "up", "arp", "off"])
            run(FIREWALL, ["ip", "link", "set", f"to-{name}", "master", "br0", "up"])
        for name in (CLIENT, SERVER):
            self._taps[name] = in_namespace(self.namespaces.descriptor(name), _tap)

    def load(self, ruleset: str) -> str:
        """Replace all rules of the switch; returns them as the kernel lists them."""
        self.namespaces.run(FIREWALL, ["nft", "-f", "-"], stdin="flush ruleset\n" + ruleset)
        return self.namespaces.run(FIREWALL, ["nft", "list", "ruleset"])


def _quiet() -> None:
    write_sysctl("ipv6/conf/all/disable_ipv6", "1")
    write_sysctl("ipv6/conf/default/disable_ipv6", "1")


def as_bridge_rules(lines: Sequence[str], kind: str, family: int) -> str:
    """Return the table in which frames from the device's port meet the list; other frames and the other family pass."""
    rules = [rule for ace in parse_acl(tuple(lines), kind, family) for rule in _rules(ace, family)]
    end = "accept" if kind == "sgacl" else "drop"
    ether = "ip6" if family == 6 else "ip"
    return "\n".join([
        "table bridge port {", " chain sw_list {", *(f"  {rule}" for rule in rules), f"  {end}", " }", " chain sw_in {",
        "  type filter hook forward priority 0; policy accept;", f'  iifname "to-{CLIENT}" ether type {ether} jump sw_list', " }", "}", "",
    ])  # fmt: skip


def _rules(ace: _Ace, family: int) -> list[str]:
    word, later = ("ip6", "frag frag-off != 0") if family == 6 else ("ip", "ip frag-off & 0x1fff != 0")
    verdict = "counter accept" if ace.permit else "counter drop"
    base = []
    for side, pair in (("saddr", ace.source), ("daddr", ace.destination)):
        if pair is not None:
            value, mask = (str(ipaddress.IPv6Address(v) if family == 6 else ipaddress.IPv4Address(v)) for v in pair)
            base.append(f"{word} {side} & {mask} == {value}")
    if ace.protocol is not None:
        base.append(f"meta l4proto {ace.protocol}" if family == 6 else f"ip protocol {ace.protocol}")
    if ace.fragments:
        return [" ".join([*base, later, verdict])]
    if not ace.layer4:
        return [" ".join([*base, verdict])]
    whole = [*base, "ip frag-off & 0x1fff == 0"] if family == 4 else list(base)
    for side, ports in (("sport", ace.source_ports), ("dport", ace.destination_ports)):
        if ports and ports != _ANY_PORT:
            spans = ", ".join(str(low) if low == high else f"{low}-{high}" for low, high in ports)
            whole.append(f"{_PORT_WORDS[ace.protocol or 0]} {side} {{ {spans} }}")
    if ace.flags is not None:
        kind, wanted = ace.flags
        if kind != "any" or not all(on for _flag, on in wanted):
            raise ValueError(f"flags of {ace.text!r} are not translated")
        whole.append(f"tcp flags & ({'|'.join(flag for flag, _on in wanted)}) != 0")
    if ace.icmp is not None:
        name = "icmpv6" if family == 6 else "icmp"
        whole.append(f"{name} type {ace.icmp[0]}" + (f" {name} code {ace.icmp[1]}" if ace.icmp[1] is not None else ""))
    made = [" ".join([*whole, verdict])]
    if ace.permit:  # IOS: a permit with layer 4 criteria lets later fragments pass by its addresses
        made.append(" ".join([*base, later, verdict]))
    return made
