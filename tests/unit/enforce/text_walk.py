"""Rendered lists read as text, and a conversation walked through those that see it. No code of the collection decides anything here."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Any

from tests.lab.evaluate import evaluate_acl
from tests.unit.enforce.plain_sites import PlainSite, answer_to, within, zone_of
from tests.unit.proof.nft_reader import decide


@dataclass(frozen=True)
class TextList:
    """One rendered list with what the walk must know of it."""

    point: str
    kind: str
    platform: str
    family: int
    direction: str
    interface: str
    segment: str
    peer: str
    stage: str
    text: str


def says(item: TextList, packet: dict[str, Any]) -> bool:
    """Return whether the text lets the packet pass."""
    lines = item.text.splitlines()
    if item.platform == "nftables":
        return decide(item.text, packet)
    if item.kind == "dacl":
        return evaluate_acl(lines, packet, kind="dacl", endpoint=packet["source"], family=item.family).permit
    if item.kind == "sgacl":
        return evaluate_acl(lines, packet, kind="sgacl", family=item.family).permit
    if item.platform == "asa":
        family = ipaddress.ip_address(packet["source"]).version
        return evaluate_acl(asa_as_ios(lines, family), packet, kind="ios", family=family).permit
    header = {
        ("ios", 4): r"ip access-list extended \S+",
        ("ios", 6): r"ipv6 access-list \S+",
        ("nxos", 4): r"ip access-list \S+",
    }
    assert re.fullmatch(header.get((item.platform, item.family), r"ipv6 access-list \S+"), lines[0]), lines[0]
    body = lines[1:] if item.platform == "ios" else [nxos_as_ios(line, item.family) for line in lines[1:]]
    return evaluate_acl(body, packet, kind="ios", family=item.family).permit


def nxos_as_ios(line: str, family: int) -> str:
    """Return a line with wildcard masks in place of prefix lengths; a host has /32 there."""
    words = []
    for word in line.split():
        if "/" in word and family == 4:
            network = ipaddress.IPv4Network(word)
            words.append(f"{network.network_address} {network.hostmask}")
        else:
            words.append(word)
    return " ".join(words)


def asa_as_ios(lines: list[str], family: int) -> list[str]:
    """Return the lines of one family with wildcard masks in place of subnet masks."""
    found = []
    for line in lines:
        words = line.split()
        if words[0] != "access-list":
            raise ValueError(line)
        words = words[3:]
        six = "any6" in words or any(":" in word for word in words) or "icmp6" in words
        four = "any4" in words or any(re.fullmatch(r"\d+\.\d+\.\d+\.\d+", word) for word in words)
        if (six and family == 4) or (four and family == 6):
            continue
        out: list[str] = []
        place = 0
        while place < len(words):
            word = words[place]
            nxt = words[place + 1] if place + 1 < len(words) else ""
            if word == "host":
                out += [word, nxt]
                place += 2
                continue
            if re.fullmatch(r"\d+\.\d+\.\d+\.\d+", word) and re.fullmatch(r"\d+\.\d+\.\d+\.\d+", nxt):
                mask = ipaddress.IPv4Address(int(ipaddress.IPv4Address(nxt)) ^ 0xFFFFFFFF)
                out += [word, str(mask)]
                place += 2
                continue
            said = {"any4": "any", "any6": "any", "icmp6": "icmp"}
            if "icmp6" in words:
                said |= {"echo": "128"}  # RFC 4443 section 4.1; IOS calls it echo-request
            out.append(said.get(word, word))
            place += 1
        if family == 6 and out[1] == "ip":
            out[1] = "ipv6"
        found.append(" ".join(out))
    return found


def sees(site: PlainSite, item: TextList, packet: dict[str, Any], opener: bool) -> bool:
    """Return whether a list sees a packet (facts/devices.md section 6.1)."""
    family = ipaddress.ip_address(packet["source"]).version
    source, destination = site.device_at(packet["source"]), site.device_at(packet["destination"])
    if item.kind == "firewall":
        # An ASA tracks no ICMP unless it inspects it, so that answers need lines of their own.
        judged = opener or (item.platform == "asa" and packet["protocol"] in (1, 58))
        return judged and zone_of(packet["source"]) != zone_of(packet["destination"])
    if item.family != family:
        return False
    if item.kind == "sgacl":
        return bool(source and destination) and (source.segment, destination.segment) == (item.segment, item.peer)  # type: ignore[union-attr]
    if item.kind == "router_acl":
        subnets = next(g["subnets"] for g in site.points[item.point][2]["gateways"] if g["interface"] == item.interface)
        inside = [any(within(packet[end], s) for s in subnets) for end in ("source", "destination")]
        return inside == ([True, False] if item.direction == "in" else [False, True])
    if source is None or source.segment != item.segment:
        return False
    return item.kind == "dacl" or source.switch == item.point


def stopped_by(site: PlainSite, lists: list[TextList], packet: dict[str, Any], opener: bool = True) -> list[TextList]:
    """Return the lists that see a packet and stop it; a cell in MONITOR stops nothing."""
    return [
        item for item in lists
        if not (item.kind == "sgacl" and item.stage != "enforce") and sees(site, item, packet, opener) and not says(item, packet)
    ]  # fmt: skip


def works(site: PlainSite, lists: list[TextList], packet: dict[str, Any]) -> bool:
    """Return whether opener and first answer pass everywhere."""
    return not stopped_by(site, lists, packet) and not stopped_by(site, lists, answer_to(packet), False)
