"""Packets and boxes in words and dicts."""

from __future__ import annotations

import random
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import PacketSpace
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import (
    ESTABLISHED,
    IPV4_PROTOCOLS,
    Box,
    make_packet,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.text import (
    box_dicts,
    box_text,
    packet_dict,
    packet_from_dict,
)
from tests.unit.packets.small import PACKETS


@pytest.mark.parametrize(
    ("packet", "text"),
    [
        (make_packet(6, "10.0.0.2", "10.0.0.1", 443, 50000), "tcp 10.0.0.2:50000 > 10.0.0.1:443 syn"),
        (make_packet(6, "10.0.0.2", "10.0.0.1", 443, 50000, flags=0), "tcp 10.0.0.2:50000 > 10.0.0.1:443 no-flags"),
        (make_packet(17, "2001:db8::2", "2001:db8::1", 53, 1), "udp [2001:db8::2]:1 > [2001:db8::1]:53"),
        (make_packet(1, "10.0.0.2", "10.0.0.1", icmp=(3, 4)), "icmp 10.0.0.2 > 10.0.0.1 type 3 code 4"),
        (make_packet(17, "10.0.0.2", "10.0.0.1", 53, 1, fragment=True), "udp 10.0.0.2 > 10.0.0.1 later fragment"),
        (make_packet(47, "10.0.0.2", "10.0.0.1"), "gre 10.0.0.2 > 10.0.0.1"),
    ],
)
def test_packet_in_words(packet: Any, text: str) -> None:
    assert packet.describe() == text
    assert packet_from_dict(packet_dict(packet)) == packet


def test_packet_dicts_read_back() -> None:
    for packet in PACKETS:
        if packet.is_ipv6 or max(packet.source, packet.destination) < 1 << 32:
            assert packet_from_dict(packet_dict(packet)) == packet


@pytest.mark.parametrize(
    "value",
    [{}, {"protocol": "tcp"}, {"protocol": "nonsense", "source": "10.0.0.1", "destination": "10.0.0.2"}, 5,
     {"protocol": "tcp", "source": "10.0.0.1", "destination": "::1"}, {"protocol": 6, "source": "x", "destination": "10.0.0.2"}],
)  # fmt: skip
def test_bad_packet_dicts(value: Any) -> None:
    with pytest.raises(FindingError, match="SW1101"):
        packet_from_dict(value)


def test_box_in_words() -> None:
    net = IntervalSet.from_prefix("10.1.0.0/24")
    base = Box(protocol=IntervalSet.of(6), source=net, destination=IntervalSet.from_prefix("10.2.0.1"))
    assert box_text(base.replace(destination_port=IntervalSet.of(443, (5000, 5010)))) == (
        "tcp 10.1.0.0/24 -> 10.2.0.1/32 port 443,5000-5010"
    )
    assert box_dicts(base.replace(source_port=IntervalSet.of(443), detail=ESTABLISHED, fragment=IntervalSet.of(0))) == [{
        "family": 4, "protocol": "tcp", "source": ["10.1.0.0/24"], "destination": ["10.2.0.1/32"], "source_ports": ["443"],
        "established": True, "fragments": "none",
    }]  # fmt: skip
    assert box_text(Box()) == "ip any -> any"
    assert box_text(Box(protocol=IPV4_PROTOCOLS)) == "ipv4 any -> any"
    assert box_text(Box(protocol=IntervalSet.of(6))) == "ipv4 tcp any -> any"
    assert box_text(Box(protocol=IntervalSet.of(256 + 6))) == "ipv6 tcp any -> any"
    assert box_text(Box(protocol=IntervalSet.of(6, 256 + 6))) == "tcp any -> any"
    assert box_text(Box(protocol=IntervalSet.of(6), source=IntervalSet.of(1))) == "tcp 0.0.0.1/32 -> any"
    messages = Box(protocol=IntervalSet.of(1), detail=IntervalSet.of((3 * 256, 3 * 256 + 255), 11 * 256))
    assert box_dicts(messages)[0]["icmp"] == ["3", "11/0"]


def box_of_dict(item: dict[str, Any]) -> list[Box]:
    """Read a dict back, as a person would."""
    names = {"tcp": 6, "udp": 17, "icmp": 1, "icmpv6": 58, "sctp": 132, "gre": 47}
    families = (4, 6) if item["family"] == 0 else (item["family"],)
    result = []
    for family in families:
        offset, top = (256, 2**128 - 1) if family == 6 else (0, 2**32 - 1)
        word = item["protocol"]
        if word == "ip":
            protocols = IntervalSet.of((offset, offset + 255))
        elif word in names:
            protocols = IntervalSet.of(offset + names[word])
        else:
            parts = [part.split("-") for part in word.split(",")]
            protocols = IntervalSet.of(*((offset + int(part[0]), offset + int(part[-1])) for part in parts))
        box = Box(protocol=protocols)
        for name in ("source", "destination"):
            texts = item[name]
            values = IntervalSet.of((0, top))
            if texts != ["any"]:
                values = IntervalSet()
                for text in texts:
                    if "-" in text:
                        low, high = text.split("-")
                        pair = (
                            int(IntervalSet.from_prefix(low).pairs[0][0]),
                            int(IntervalSet.from_prefix(high).pairs[0][0]),
                        )
                        values = values.union(IntervalSet.of(pair))
                    else:
                        values = values.union(IntervalSet.from_prefix(text))
            box = box.replace(**{name: values})
        for name in ("source_ports", "destination_ports"):
            if name in item:
                pairs = [text.split("-") for text in item[name]]
                box = box.replace(**{name[:-1]: IntervalSet.of(*((int(pair[0]), int(pair[-1])) for pair in pairs))})
        if item.get("established"):
            box = box.replace(detail=ESTABLISHED)
        if "tcp_flags" in item:
            bits = {"fin": 1, "syn": 2, "rst": 4, "psh": 8, "ack": 16, "urg": 32, "none": 0}
            box = box.replace(
                detail=IntervalSet.of(*(sum(bits[word] for word in text.split("+")) for text in item["tcp_flags"]))
            )
        if "icmp" in item:
            pairs2 = []
            for text in item["icmp"]:
                kind, _, code = text.partition("/")
                ends = code.split("-") if code else ["0", "255"]
                for number in range(int(kind.split("-")[0]), int(kind.split("-")[-1]) + 1):
                    pairs2.append((number * 256 + int(ends[0]), number * 256 + int(ends[-1])))
            box = box.replace(detail=IntervalSet.of(*pairs2))
        if "fragments" in item:
            box = box.replace(fragment=IntervalSet.of(1 if item["fragments"] == "only" else 0))
        result.append(box)
    return result


@pytest.mark.parametrize("seed", range(25))
def test_dicts_say_exactly_the_set(seed: int) -> None:
    from tests.unit.packets.small import random_box

    choice = random.Random(seed)
    space = PacketSpace()
    found = space.from_boxes(random_box(choice, 0.6) for _ in range(choice.randint(1, 3)))
    dicts = [item for box in found.boxes() for item in box_dicts(box)]
    assert space.from_boxes(box for item in dicts for box in box_of_dict(item)) == found
