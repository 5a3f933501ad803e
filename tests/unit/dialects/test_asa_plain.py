"""The quick reader of plain ASA lines says what the reader of the whole grammar says, or leaves the line to it."""

from __future__ import annotations

import random

from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.asa_ace import parse_extended
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.asa_objects import Objects
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.asa_plain import plain_ace
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.asa_text import read_lists
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.cisco_values import NotUnderstood
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import Ace

WORDS = [
    *(
        "permit",
        "deny",
        "ip",
        "tcp",
        "udp",
        "icmp",
        "icmp6",
        "6",
        "any",
        "any4",
        "any6",
        "host",
        "10.0.0.1",
        "192.168.1.300",
    ),
    *(
        "10.0.0.0",
        "255.255.255.0",
        "0.0.0.255",
        "0.0.0.0",
        "eq",
        "neq",
        "gt",
        "lt",
        "range",
        "80",
        "443",
        "0",
        "65535",
        "70000",
    ),
    *(
        "www",
        "domain",
        "echo",
        "unreachable",
        "8",
        "log",
        "inactive",
        "object",
        "A",
        "::1",
        "1.2.3.4/5",
        "255.255.255.255",
    ),
]
ADDRESSES = (
    *("any", "any", "host 10.0.0.1", "10.0.0.0 255.255.255.0", "10.0.0.1 255.0.0.0", "0.0.0.0 0.0.0.0"),
    *("1.2.3.4 0.0.0.0", "any4", "host ::1"),
)
PORTS = (
    *("", "", "", "", "eq 443", "eq www", "neq 1", "gt 1023", "lt 0", "range 5 9", "range 9 5", "eq domain", "eq snmp"),
    "range ftp-data ftp",
)
PROTOCOLS = ("ip", "tcp", "tcp", "udp", "udp", "icmp", "6", "icmp6")
TAILS = ("", "", "", "", "", "", "echo", "unreachable", "log", "3 4", "inactive", "extra")


def whole(words: list[str], any_family: int) -> list[Ace]:
    """Return what the reader of the whole grammar makes of a line, [] where it refuses the line."""
    try:
        return parse_extended(words, Objects(any_family=any_family), line=7, raw=" ".join(words), remarks=("why",))
    except NotUnderstood:
        return []


def check(words: list[str], any_family: int) -> bool:
    """Hold both readers against each other; return whether the quick one read the line."""
    found = plain_ace([word.lower() for word in words], any_family, 7, " ".join(words), ("why",))
    if found is None:
        return False
    assert [found] == whole(words, any_family), words
    return True


def test_both_readers_agree_on_random_lines() -> None:
    choice = random.Random(11)
    read = 0
    for place in range(12_000):
        if place % 2:
            words = [choice.choice(WORDS) for _ in range(choice.randrange(1, 9))]
        else:
            sides = [f"{choice.choice(ADDRESSES)} {choice.choice(PORTS)}" for _ in range(2)]
            head = f"{choice.choice(('permit', 'deny', 'PERMIT'))} {choice.choice(PROTOCOLS)}"
            words = f"{head} {' '.join(sides)} {choice.choice(TAILS)}".split()
        read += check(words, choice.choice((0, 4)))
    assert read > 400


def test_a_name_for_an_address_is_always_looked_up() -> None:
    text = "name 10.9.9.9 10.0.0.1\nname 10.8.0.0 NET\naccess-list A extended permit ip host 10.0.0.1 any\n"
    (found,) = read_lists(text)
    assert found.aces[0].source is not None
    assert found.aces[0].source.pairs == ((0x0A090909, 0x0A090909),)
