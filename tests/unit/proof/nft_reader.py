"""A small linear reader of the rendered nftables text: for a connection's first packet, the first rule that matches decides.

Written from nft(8), strict: an unknown word raises ValueError. No code of the collection is used.
"""

from __future__ import annotations

import ipaddress
import re
from functools import cache
from typing import Any

MATCH = re.compile(
    r"(ip saddr|ip daddr|ip protocol|ip6 saddr|ip6 daddr|ip6 nexthdr|(?:tcp|udp) [sd]port|icmp(?:v6)? type|icmp(?:v6)? code"
    r"|meta l4proto|meta nfproto) (\{[^}]*\}|& \S+ == \S+|\S+) "
)
PROTOCOLS = {"tcp": 6, "udp": 17, "icmp": 1, "icmpv6": 58}


address_of = cache(ipaddress.ip_address)
network_of = cache(ipaddress.ip_network)


@cache
def rules_of(text: str) -> tuple[list[str], str]:
    """Return the rules of the one chain and its policy."""
    lines = [line.strip() for line in text.splitlines()]
    start = next(n for n, line in enumerate(lines) if line.startswith("chain "))
    hook = re.fullmatch(r"type filter hook forward priority filter; policy (accept|drop);", lines[start + 1])
    if hook is None:
        raise ValueError(lines[start + 1])
    end = lines.index("}", start)
    return lines[start + 2 : end], hook[1]


def decide(text: str, packet: dict[str, Any]) -> bool:
    """Return whether the table lets the first packet of a new connection pass."""
    rules, policy = rules_of(text)
    for rule in rules:
        if rule in ("ct state established,related accept", "ct state invalid drop"):
            continue
        verdict = _verdict(rule, packet)
        if verdict is not None:
            return verdict
    return policy == "accept"


def _verdict(rule: str, packet: dict[str, Any]) -> bool | None:
    conditions, accept = _parsed(rule)
    return accept if all(_matches(key, values, packet) for key, values in conditions) else None


@cache
def _parsed(rule: str) -> tuple[list[tuple[str, list[str]]], bool]:
    """Return what a rule asks for, and whether it accepts."""
    rest = re.sub(r' comment "[^"]*"$', "", rule)
    conditions = []
    while rest not in ("counter accept", "counter drop"):
        found = MATCH.match(rest)
        if found is None:
            raise ValueError(rest)
        conditions.append((found[1], [value.strip() for value in found[2].strip("{}").split(",")]))
        rest = rest[found.end() :]
    return conditions, rest == "counter accept"


def _matches(key: str, values: list[str], packet: dict[str, Any]) -> bool:
    version = address_of(packet["source"]).version
    if key.startswith("ip") and version != (6 if key.startswith("ip6") else 4):
        return False
    if key in ("ip protocol", "ip6 nexthdr"):
        return str(packet["protocol"]) in values
    if key.startswith("ip"):
        address = address_of(packet["source" if key.endswith("saddr") else "destination"])
        return any(_holds(value, address) for value in values)
    if key == "meta nfproto":
        return values == [f"ipv{version}"]
    if key == "meta l4proto":
        return str(packet["protocol"]) in values
    word, what = key.split()
    if packet["protocol"] != PROTOCOLS[word]:
        return False
    number = packet[
        {"sport": "source_port", "dport": "destination_port", "type": "icmp_type", "code": "icmp_code"}[what]
    ]
    for value in values:
        low, _, high = value.partition("-")
        if int(low) <= number <= int(high or low):
            return True
    return False


@cache
def _holds(value: str, address: Any) -> bool:
    if value.startswith("& "):
        mask, wanted = (int(address_of(part)) for part in value[2:].split(" == "))
        return int(address) & mask == wanted
    if "/" in value:
        return address in network_of(value)
    low, _, high = value.partition("-")
    return address_of(low) <= address <= address_of(high or low)
