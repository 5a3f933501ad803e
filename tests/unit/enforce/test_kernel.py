"""Rendered lists of small random sites in the kernel: real frames pass a switch exactly where the engine says so.

Half of the sites are compiled for a situation: windows closed, postures pulled, exceptions of the day.
"""

from __future__ import annotations

import ipaddress
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.compile import compile_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.desired import rendered
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import make_packet
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.lookup import Lookup
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.points import first_match
from tests.lab.net.bridging import SwitchPath, as_bridge_rules
from tests.lab.net.features import why_not
from tests.lab.net.forwarding import layer4, marked, packets
from tests.unit.enforce.plain_sites import OUTSIDE, PORTS, PlainSite, random_plain_site, random_situation

REASON = why_not()
SYN, SYN_ACK, ACK, RST = 2, 18, 16, 4
MESSAGES = {
    4: [(8, 0), (0, 0), (3, 3), (3, 4), (11, 0), (13, 0)],
    6: [(128, 0), (129, 0), (1, 4), (2, 0), (3, 0), (4, 1)],
}
NOWHERE = {4: "0.0.0.0", 6: "::"}


@dataclass(frozen=True)
class Sent:
    """One frame: a whole packet, or a fragment alone."""

    what: str
    source: str
    destination: str
    protocol: int
    ports: tuple[int, int] = (0, 0)
    flags: int = SYN
    message: tuple[int, int] = (0, 0)
    pieces: str = "whole"


def frames(site: PlainSite, listing: PointList, choose: random.Random, count: int) -> Iterator[Sent]:
    """What devices of the segment send: openers, answers, errors, what a device needs to come up, and fragments of all."""
    family = listing.family
    icmp = 58 if family == 6 else 1
    own = [d.addresses[family] for d in site.devices if d.segment == listing.segment and family in d.addresses]
    peers = [d.addresses[family] for d in site.devices if family in d.addresses] + [OUTSIDE[family]]
    if listing.kind == "sgacl":
        peers = [d.addresses[family] for d in site.devices if d.segment == listing.peer and family in d.addresses]
    if not own or not peers:
        return
    if family == 4 and listing.kind != "sgacl":
        yield Sent("dhcp", NOWHERE[4], "255.255.255.255", 17, (68, 67))
        yield Sent("dhcp", own[0], choose.choice(peers), 17, (68, 67))
        yield Sent("dhcp", own[0], "255.255.255.255", 17, (67, 68))
    if family == 6:
        solicited = "ff02::1:ff00:1"
        yield Sent("nd", "::", solicited, 58, message=(135, 0))
        yield Sent("nd", "fe80::1", solicited, 58, message=(135, 0))
        yield Sent("nd", own[0], choose.choice(peers), 58, message=(136, 0))
        yield Sent("nd", "fe80::1", "ff02::2", 58, message=(133, 0))
        yield Sent("nd", "fe80::1", "ff02::1", 58, message=(134, 0))  # a device is no router
        yield Sent("mld", "fe80::1", "ff02::16", 58, message=(143, 0))
        yield Sent("dhcp", "fe80::1", "ff02::1:2", 17, (546, 547))
    for _ in range(count):
        source, destination = choose.choice(own), choose.choice(peers)
        kind = choose.choice(["tcp", "tcp", "udp", "udp", "icmp", "gre", "fragment", "fragment"])
        ports = (choose.choice(PORTS), choose.choice(PORTS))
        if kind == "tcp":
            yield Sent(kind, source, destination, 6, ports, choose.choice([SYN, SYN_ACK, ACK, RST, 1]))
        elif kind == "udp":
            yield Sent(kind, source, destination, 17, ports)
        elif kind == "icmp":
            messages = MESSAGES[family]
            yield Sent(kind, source, destination, icmp, message=choose.choice(messages))
        elif kind == "gre":
            yield Sent(kind, source, destination, 47)
        else:
            protocol = choose.choice([17, 17, 6, icmp])
            message = (128, 0) if family == 6 else (8, 0)
            yield Sent(
                kind,
                source,
                destination,
                protocol,
                ports,
                message=message,
                pieces=choose.choice(["first", "later", "later"]),
            )


def predicted(lookup: Lookup, frame: Sent) -> bool:
    """What the engine says."""
    packet = make_packet(
        frame.protocol, frame.source, frame.destination, frame.ports[1], frame.ports[0], flags=frame.flags,
        icmp=frame.message, fragment=frame.pieces == "later",
    )  # fmt: skip
    entry = lookup.deciding(packet)
    return entry.permit if entry else lookup.default_permit


def as_packets(number: int, frame: Sent, family: int) -> list[bytes]:
    ends = (int(ipaddress.ip_address(frame.source)), int(ipaddress.ip_address(frame.destination)))
    ports = frame.ports
    body = layer4(family, frame.protocol, ends, ports, frame.flags, frame.message, marked(number, 64))
    return packets(family, frame.protocol, ends, body, number, frame.pieces)


@pytest.mark.one_python
@pytest.mark.skipif(bool(REASON), reason=REASON or "the kernel can do it")
def test_the_kernel_agrees(full: bool) -> None:
    seen: Counter[tuple[str, bool]] = Counter()
    situations: Counter[str] = Counter()
    with SwitchPath() as path:
        for seed in range(100 if full else 3):
            written = random_plain_site(5000 + seed)
            written.stages = {
                name: ("enforce", sorted({*points, "ise1", "ise2"})) for name, (_s, points) in written.stages.items()
            }
            choose = random.Random(seed)
            now = random_situation(written, choose)
            site = written.in_force(now)
            compiled = compile_site(written.site(), now.situation())
            lists = [item for item in compiled.lists if item.kind in ("dacl", "sgacl")]
            situations.update([*now.pulled, "windows" if now.opened is not None else "all open"])
            for listing in lists if full else choose.sample(lists, min(6, len(lists))):
                lookup = Lookup(first_match(listing))
                sent = list(enumerate(frames(site, listing, choose, 40)))
                if not sent:
                    continue
                path.load(as_bridge_rules(rendered(listing).splitlines(), listing.kind, listing.family))
                expected = {number for number, frame in sent if predicted(lookup, frame)}
                passed = path.pass_through(
                    [(number, as_packets(number, frame, listing.family)) for number, frame in sent],
                    expected,
                    patience=0.5,
                )
                wrong = [
                    (frame, number in expected)
                    for number, frame in sent
                    if (number in passed) is not (number in expected)
                ]
                assert not wrong, (seed, listing.name, wrong[:3], rendered(listing))
                seen.update((frame.what, number in expected) for number, frame in sent)
    assert {("tcp", True), ("tcp", False), ("udp", True), ("udp", False), ("dhcp", True), ("dhcp", False)} <= set(
        seen
    ), seen
    assert {("icmp", True), ("icmp", False), ("fragment", True), ("fragment", False)} <= set(seen), seen
    print(sum(seen.values()), dict(seen), dict(situations))
    if full:
        assert {"alone", "apart", "eased", "windows", "all open"} <= set(situations), situations
        assert {("nd", True), ("nd", False), ("mld", True)} <= set(seen), seen
