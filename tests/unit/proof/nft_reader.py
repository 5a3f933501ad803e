"""A small linear reader of the rendered nftables text: for a connection's first packet, the first rule that matches decides.

Written from nft(8), strict: an unknown word raises ValueError. No code of the collection is used.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Any

MATCH = re.compile(
    r"(ip saddr|ip daddr|ip protocol|ip6 saddr|ip6 daddr|ip6 nexthdr|(?:tcp|udp) [sd]port|icmp(?:v6)? type|icmp(?:v6)? code"
    r"|meta l4proto|meta nfproto) (\{[^}]*\}|& \S+ == \S+|\S+) "
)
PROTOCOLS = {"tcp": 6, "udp": 17, "icmp": 1, "icmpv6": 58}


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
    rest = re.sub(r' comment "[^"]*"$', "", rule)
    matched = True
    while True:
        if rest in ("counter accept", "counter drop"):
            return (rest == "counter accept") if matched else None
        found = MATCH.match(rest)
        if found is None:
            raise ValueError(rest)
        values = [value.strip() for value in found[2].strip("{}").split(",")]
        matched = matched and _matches(found[1], values, packet)
        rest = rest[found.end() :]


def _matches(key: str, values: list[str], packet: dict[str, Any]) -> bool:
    version = ipaddress.ip_address(packet["source"]).version
    if key.startswith("ip") and version != (6 if key.startswith("ip6") else 4):
        return False
    if key in ("ip protocol", "ip6 nexthdr"):
        return str(packet["protocol"]) in values
    if key.startswith("ip"):
        address = ipaddress.ip_address(packet["source" if key.endswith("saddr") else "destination"])
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


def _holds(value: str, address: Any) -> bool:
    if value.startswith("& "):
        mask, wanted = (int(ipaddress.ip_address(part)) for part in value[2:].split(" == "))
        return int(address) & mask == wanted
    if "/" in value:
        return address in ipaddress.ip_network(value)
    low, _, high = value.partition("-")
    return ipaddress.ip_address(low) <= address <= ipaddress.ip_address(high or low)
