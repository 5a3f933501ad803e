# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One nftables rule, gathered match by match, as an ``Ace``. Text and JSON readers both end here.

A match is (subject, values): ``("ip saddr", IntervalSet)``, ``("tcp dport", ...)``, ``("meta l4proto", ...)``. A subject that is
not known, or two matches that cannot stand together, raise ``NotUnderstood``.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import nft_names as words
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.cisco_ace import NotUnderstood
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import Ace
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.masks import wildcard_set

PORT_PROTOCOLS = {"tcp": 6, "udp": 17, "dccp": 33, "sctp": 132, "udplite": 136}
WIDTH = {"ip": 32, "ip6": 128}
STATELESS_CHAIN, LATER_CHAIN = "sw_stateless", "sw_later"
# The 13 offset bits of the IPv4 fragment field (RFC 791), the IPv6 fragment header's (RFC 8200 section 4.5).
TO_LATER = (f"ip frag-off & {0x1FFF} != 0 goto {LATER_CHAIN}", f"frag frag-off != 0 goto {LATER_CHAIN}")

_ICMP = IntervalSet.single(
    1
)  # of IPv6: "meta l4proto icmp" would be listed without its family, so the printer writes the other form


@dataclass
class RuleDraft:
    """What the matches and statements of one rule said so far."""

    family: int = 0
    protocol: int | None = None
    log: bool = False
    permit: bool | None = None
    label: str = ""
    sets: dict[str, IntervalSet] = field(default_factory=dict)

    def match(self, subject: str, values: IntervalSet) -> None:
        """Add one match."""
        head, _blank, tail = subject.partition(" ")
        if subject == "meta nfproto":
            self._family({2: 4, 10: 6}.get(values.pairs[0][0], 0) if values.size == 1 else 0)
        elif subject in ("meta l4proto", "ip protocol", "ip6 nexthdr"):
            if subject == "ip6 nexthdr" and values != _ICMP:
                raise NotUnderstood("ip6 nexthdr is the first header only; meta l4proto looks behind extension headers")
            if subject != "meta l4proto":
                self._family(4 if head == "ip" else 6)
            self._protocol(values)
        elif head in WIDTH and tail in ("saddr", "daddr"):
            self._family(4 if head == "ip" else 6)
            self._once("source" if tail == "saddr" else "destination", values)
        elif head in PORT_PROTOCOLS and tail in ("sport", "dport"):
            self._protocol(IntervalSet.single(PORT_PROTOCOLS[head]))
            self._once("source_ports" if tail == "sport" else "destination_ports", values)
        elif subject == "tcp flags":
            self._protocol(IntervalSet.single(6))
            self._once("detail", values)
        elif head in ("icmp", "icmpv6") and tail in ("type", "code"):
            self._family(4 if head == "icmp" else 6)
            self._protocol(IntervalSet.single(1 if head == "icmp" else 58))
            self._once(tail, values)
        else:
            raise NotUnderstood(f"match {subject!r} is not understood")

    def _once(self, name: str, values: IntervalSet) -> None:
        if name in self.sets:
            raise NotUnderstood(f"two matches on {name}")
        if not values:
            raise NotUnderstood(f"an empty match on {name}")
        self.sets[name] = values

    def _family(self, family: int) -> None:
        if not family or self.family not in (0, family):
            raise NotUnderstood("the address families of the matches differ")
        self.family = family

    def _protocol(self, values: IntervalSet) -> None:
        if values.size != 1 or self.protocol not in (None, values.pairs[0][0]):
            raise NotUnderstood("several protocols in one rule")
        self.protocol = values.pairs[0][0]

    def verdict(self, permit: bool) -> None:
        """Set the verdict, which must be the last statement."""
        if self.permit is not None:
            raise NotUnderstood("two verdicts")
        self.permit = permit

    def ace(self, line: int, raw: str, stateful: bool = True) -> Ace:
        """Return the entry; NotUnderstood for a rule without verdict or a family that matters but is not named."""
        if self.permit is None:
            raise NotUnderstood("no verdict: only accept and drop are written by this collection")
        detail = self.sets.get("detail")
        kinds, code = self.sets.get("type"), self.sets.get("code")
        if code is not None and (kinds is None or kinds.size != 1):
            raise NotUnderstood("a message code without one type")
        if kinds is not None:
            low = kinds.pairs[0][0] << 8
            detail = (
                IntervalSet.of(*((a << 8, b << 8 | 255) for a, b in kinds.pairs))
                if code is None
                else IntervalSet.of(*((low | a, low | b) for a, b in code.pairs))
            )
        if stateful and detail is not None and detail.size >= (64 if self.protocol == 6 else 65536):
            detail = None  # every flag set or message: no restriction on whole packets, and there are no fragments here
        if self.family == 0 and self.protocol in (1, 58):
            raise NotUnderstood("ICMP without an address family")
        return Ace(
            permit=self.permit, protocol=self.protocol, family=self.family, source=self.sets.get("source"),
            destination=self.sets.get("destination"), source_ports=self.sets.get("source_ports"),
            destination_ports=self.sets.get("destination_ports"), detail=detail, log=self.log, line=line, raw=raw, label=self.label,
        )  # fmt: skip


def value_table(subject: str) -> dict[str, int]:
    """Return the words that nft prints as values of a subject."""
    return {
        "meta nfproto": {"ipv4": 2, "ipv6": 10},
        "meta l4proto": words.PROTOCOLS,
        "ip protocol": words.PROTOCOLS,
        "ip6 nexthdr": words.PROTOCOLS,
        "icmp type": words.ICMP_TYPES,
        "icmp code": words.ICMP_CODES,
        "icmpv6 type": words.ICMPV6_TYPES,
        "icmpv6 code": words.ICMPV6_CODES,
        "tcp flags": words.TCP_FLAGS,
    }.get(subject, {})


def maximum(subject: str) -> int:
    """Return the highest value of a subject."""
    head, _blank, tail = subject.partition(" ")
    if tail in ("saddr", "daddr") and head in WIDTH:
        return (1 << WIDTH[head]) - 1
    return 65535 if tail in ("sport", "dport") else 63 if subject == "tcp flags" else 255


def single_value(subject: str, value: Any) -> tuple[int, int]:
    """Return the (low, high) of one value, prefix or range as text or number; NotUnderstood for anything else."""
    table = value_table(subject)
    top = maximum(subject)
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise NotUnderstood(f"value {value!r} is not understood")
    if isinstance(value, str) and value in table:
        return table[value], table[value]
    try:
        if subject.endswith("addr") and isinstance(value, str):
            network = ipaddress.ip_network(value, strict=True)
            if network.max_prefixlen != WIDTH[subject.partition(" ")[0]]:
                raise NotUnderstood(f"{value!r} is of the other family")
            return int(network.network_address), int(network.broadcast_address)
        number = int(value, 0) if isinstance(value, str) else value
    except ValueError as error:
        raise NotUnderstood(f"value {value!r} is not understood") from error
    if not 0 <= number <= top:
        raise NotUnderstood(f"value {value!r} is out of range")
    return number, number


def masked_values(subject: str, mask: Any, value: Any) -> IntervalSet:
    """Return the addresses that give ``value`` under a mask, which may have holes; NotUnderstood where they do not fit."""
    care, wanted = single_value(subject, mask), single_value(subject, value)
    if care[0] != care[1] or wanted[0] != wanted[1] or wanted[0] & ~care[0]:
        raise NotUnderstood(f"mask {mask!r} and value {value!r} do not fit")
    return wildcard_set(wanted[0], maximum(subject) ^ care[0])


def value_range(subject: str, low: Any, high: Any) -> tuple[int, int]:
    """Return the (low, high) of a written range."""
    first, last = single_value(subject, low)[0], single_value(subject, high)[1]
    if first > last:
        raise NotUnderstood(f"range {low}-{high} is reversed")
    return first, last
