"""Expected meaning of a line, asked packet by packet."""

from __future__ import annotations

from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import Ace, first_match_list
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import PacketSpace, permitted
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import Packet, make_packet

FLAGS = {"F": 1, "S": 2, "R": 4, "P": 8, "A": 16, "U": 32}
PROTOCOLS = {
    "tcp": 6,
    "udp": 17,
    "icmp": 1,
    "icmp6": 58,
    "gre": 47,
    "esp": 50,
    "sctp": 132,
    "igmp": 2,
    "ospf": 89,
    "pim": 103,
}


def packet(text: str) -> Packet:
    """Read ``tcp 10.0.0.2:50000 10.0.0.1:443 SA``, ``icmp 10.0.0.1 10.0.0.2 3/4``, ``udp 10.0.0.1 10.0.0.2 frag``."""
    words = text.split()
    number = PROTOCOLS[words[0]] if words[0] in PROTOCOLS else int(words[0])
    ends: list[tuple[str, int]] = []
    for word in words[1:3]:
        address, separator, port = word.rpartition("#" if word.count(":") > 1 else ":")
        ends.append((address, int(port)) if separator else (word, 0))
    more: dict[str, Any] = {}
    tail = words[3] if len(words) > 3 else ""
    if tail == "frag":
        more["fragment"] = True
    elif "/" in tail:
        kind, code = tail.split("/")
        more["icmp"] = (int(kind), int(code))
    elif tail:
        more["flags"] = sum(FLAGS[letter] for letter in tail) if tail != "none" else 0
    return make_packet(number, ends[0][0], ends[1][0], ends[1][1], ends[0][1], **more)


def matched(ace: Ace, texts: list[str]) -> list[bool]:
    """Return for each packet whether the entry decides it."""
    space = PacketSpace()
    if ace.permit:
        inside = permitted(space, first_match_list((ace,)))
    else:
        inside = ~permitted(space, first_match_list((ace,), default_permit=True))
    return [packet(text) in inside for text in texts]
