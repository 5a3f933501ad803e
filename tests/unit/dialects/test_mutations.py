"""One word of a rendered list changed: the change is always seen, as another meaning or as a line not understood."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import registry
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import Ace
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.compare import compare
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import ESTABLISHED

NET = IntervalSet.from_prefix
# No entry hides another, so every word matters.
ADDRESSED = [
    Ace(True, 6, 4, NET("10.1.0.0/24"), NET("10.2.0.1"), None, IntervalSet.of(443), label="a"),
    Ace(True, 6, 4, NET("10.1.0.0/24"), NET("10.2.0.2"), IntervalSet.of((1024, 2047)), None, ESTABLISHED, label="b"),
    Ace(True, 17, 4, NET("10.1.1.9"), NET("10.3.0.0/30"), IntervalSet.of(68), IntervalSet.of((67, 69)), label="c"),
    Ace(True, 1, 4, NET("10.1.2.0/25"), NET("10.2.0.4"), detail=IntervalSet.of(772), label="d"),
    Ace(True, 47, 4, NET("10.1.3.0/24"), NET("10.2.0.5"), label="e"),
    Ace(False, label="end"),
]
# The implicit end denies, so a written end matters only when it permits.
FLIPPED = [replace(ace, permit=not ace.permit) for ace in ADDRESSED]
LISTS = {
    "ios": FLIPPED,
    "dacl": [replace(ace, source=None) for ace in FLIPPED],
    "sgacl": [
        Ace(True, 6, 4, destination_ports=IntervalSet.of(443)),
        Ace(True, 6, 4, source_ports=IntervalSet.of((1024, 2047)), detail=ESTABLISHED),
        Ace(True, 17, 4, source_ports=IntervalSet.of(68), destination_ports=IntervalSet.of(67)),
        Ace(False),
    ],
    "nftables": ADDRESSED,
}
WORDS = {
    "permit": ["deny", "permits"],
    "deny": ["permit"],
    "accept": ["drop"],
    "drop": ["accept"],
    "tcp": ["udp", "ip", "sctp"],
    "udp": ["tcp", "ip"],
    "icmp": ["tcp", "ip"],
    "gre": ["esp"],
    "ip": ["tcp", "ip6"],
    "host": ["any", "hosts"],
    "any": ["host"],
    "eq": ["neq", "gt", "lt", "range"],
    "range": ["eq", "neq"],
    "established": ["", "ack", "log-"],
    "packet-too-big": ["echo", ""],
    "src": ["dst"],
    "dst": ["src"],
    "saddr": ["daddr"],
    "daddr": ["saddr"],
    "sport": ["dport"],
    "dport": ["sport"],
}


def changes(word: str) -> list[str]:
    """Return other words for a word; numbers get their neighbours, addresses the next one."""
    if word in WORDS:
        return WORDS[word]
    if re.fullmatch(r"\d+", word):
        return [str(int(word) + 1), str(int(word) - 1)]
    if re.fullmatch(r"[\d.]+(/\d+)?", word):
        head, dot, tail = word.rpartition(".")
        number, slash, length = tail.partition("/")
        return [
            f"{head}{dot}{(int(number) + 1) % 256}{slash}{length}",
            word.replace("10.", "11.") if "10." in word else "any",
        ]
    return []


@pytest.mark.parametrize("platform", LISTS)
def test_every_mutation_of_a_word_is_seen(platform: str) -> None:
    text = registry.render(platform, "LIST", LISTS[platform], **({"numbers": False} if platform == "ios" else {}))
    original = registry.parse_one(platform, text).first_match()
    lines = text.splitlines()
    first = next(i for i, line in enumerate(lines) if re.search(r"\b(permit|deny)\b|\b(?:drop|accept) comment", line))
    tried = 0
    for number in range(first, len(lines)):
        words = lines[number].split(" ")
        for place, word in enumerate(words):
            if word in ("comment", "counter") or word.startswith('"'):
                continue
            masked = place + 1 < len(words) and words[place + 1].startswith("0.0.0.")
            for other in changes(word)[1 if masked else 0 :]:  # bits below a wildcard mask mean nothing
                changed = [*lines]
                changed[number] = " ".join([*words[:place], other, *words[place + 1 :]])
                tried += 1
                try:
                    found = registry.parse_one(platform, "\n".join(changed)).first_match()
                except FindingError:
                    continue
                assert not compare(original, found).equal, (lines[number], changed[number])
    assert tried > 25
