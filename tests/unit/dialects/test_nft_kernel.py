"""Our nftables rendering in the real kernel: packets pass or not as the engine predicts, in both forms.

The text is the dialect's own, the predicted verdict the packet engine's; what passes is measured behind a router in a network
namespace. The quick run samples what the full run does with 200 policies.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import registry
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import Ace, first_match_list
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.compare import compare
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import (
    PacketSet,
    PacketSpace,
    permitted,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import Packet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.text import packet_text
from tests.lab.net.features import probe_features
from tests.lab.net.forwarding import SERVER, ForwardingPath, layer4, marked, packets
from tests.lab.processes import LabError

from .random_aces import near, policy

POLICIES, QUICK, PACKETS = 200, 15, 60
PSH = 8  # not looked at by connection tracking
TCP_NEW = {2, 34, 16, 48}  # SYN (URG), ACK (URG): what opens or picks up a connection
REPLY_FLAGS = {2: 18, 34: 18}
QUERIES = {8, 13, 15, 17}  # ICMP echo, timestamp, information and mask requests open a conversation
UNTRACKED = {
    130,
    131,
    132,
    133,
    134,
    135,
    136,
    137,
    143,
}  # MLD and neighbour discovery: never invalid, never established


@pytest.fixture(scope="module")
def path() -> Iterator[ForwardingPath]:
    """Return a router between two namespaces, or skip with the kernel's reason."""
    missing = [each for each in probe_features() if not each.present and not each.name.startswith("ssh")]
    if missing:
        said = "; ".join(f"{each.name}: {each.reason}" for each in missing)
        pytest.skip(f"no network namespaces with nftables here: {said}")
    try:
        with ForwardingPath() as found:
            yield found
    except LabError as error:
        pytest.skip(f"no router in namespaces here: {error}")


def frame(packet: Packet, number: int, pieces: str) -> list[bytes]:
    """Return the bytes of a packet of the engine's model."""
    family = 6 if packet.is_ipv6 else 4
    ends, ports = (packet.source, packet.destination), (packet.source_port, packet.destination_port)
    if packet.ip_protocol in (1, 58):
        ports = (number & 0xFFFF, 1)
    message = (packet.detail >> 8, packet.detail & 255)
    body = layer4(family, packet.ip_protocol, ends, ports, packet.detail & 63, message, marked(number, 64))
    return packets(family, packet.ip_protocol, ends, body, number, pieces)


def failures(sent: dict[int, Packet], wanted: set[int], seen: set[int], aces: list[Ace]) -> list[str]:
    """Return one line for each packet that the kernel decided otherwise."""
    lines = registry.render("nftables", "t", aces, stateful=False)
    return [
        f"{packet_text(sent[number])}: predicted {number in wanted}, kernel {number in seen}\n{lines}"
        for number in sorted(wanted ^ seen)
    ]


@pytest.mark.one_python
def test_stateless_lists_decide_as_predicted(path: ForwardingPath, full: bool) -> None:
    choice = random.Random(20260)
    counted = {True: 0, False: 0}
    later = 0
    for _round in range(POLICIES if full else QUICK):
        aces = policy(choice, fragments=True)
        listed = path.load(registry.render("nftables", "segwright", aces, stateful=False))
        source = first_match_list(aces, fragments_like_ios=False)
        (found,) = registry.parse("nftables", listed)
        assert compare(source, found.first_match()).equal
        passing = permitted(PacketSpace(), source)
        sent = {number: near(choice, aces) for number in range(1, PACKETS + 1)}
        wanted = {number for number, packet in sent.items() if packet in passing}
        frames = [
            (number, frame(packet, number, "later" if packet.fragment else choice.choice(("whole", "whole", "first"))))
            for number, packet in sent.items()
        ]
        seen = path.pass_through(frames, wanted)
        assert not failures(sent, wanted, seen, aces)[:3]
        for number, packet in sent.items():
            counted[number in wanted] += 1
            later += packet.fragment
    print(f"stateless: {counted[True]} packets passed, {counted[False]} did not, {later} of them later fragments")
    assert min(counted.values()) > 0.2 * sum(counted.values())
    assert later > 0.05 * sum(counted.values())


def opens(packet: Packet) -> bool:
    """Say whether connection tracking takes an unexpected packet for a new connection, by the kernel's tables, not by ours."""
    if packet.protocol == 6 or packet.protocol == 256 + 6:
        return packet.detail & ~PSH in TCP_NEW
    if packet.ip_protocol in (1, 58):
        kind = packet.detail >> 8
        return kind == 128 or kind in UNTRACKED if packet.is_ipv6 else kind in QUERIES
    return True


def answerable(packet: Packet) -> bool:
    """Say whether a packet asks for an answer that connection tracking knows: TCP, UDP, echo."""
    if packet.ip_protocol in (1, 58):
        return packet.detail >> 8 in (8, 128) and opens(packet)
    return packet.ip_protocol in (6, 17) and opens(packet)


def conversation(packet: Packet) -> tuple[object, ...]:
    """Return what connection tracking tells conversations apart by; the same for both directions."""
    ends = frozenset({(packet.source, packet.source_port), (packet.destination, packet.destination_port)})
    return packet.protocol, ends


def reply_to(packet: Packet) -> Packet:
    """Return the answer to an opener, written here and not taken from the engine."""
    detail = packet.detail
    if packet.ip_protocol == 6:
        detail = REPLY_FLAGS.get(packet.detail & ~PSH, 16)
    elif packet.ip_protocol in (1, 58):
        detail = (129 << 8 if packet.is_ipv6 else 0) | packet.detail & 255
    return Packet(
        packet.protocol, detail, 0, packet.source, packet.destination, packet.source_port, packet.destination_port
    )


def drawn(choice: random.Random, aces: list[Ace]) -> dict[int, Packet]:
    """Return packets of conversations that differ from each other and from their own reverse."""
    found: dict[int, Packet] = {}
    known: set[tuple[object, ...]] = set()
    for number in range(1, PACKETS + 1):
        packet = near(choice, aces)
        key = conversation(packet)
        # SCTP needs chunks and an own checksum to be tracked; later fragments alone are never put together.
        if packet.fragment or packet.ip_protocol == 132 or key in known or packet.source == packet.destination:
            continue
        known.add(key)
        found[number] = packet
    return found


def predicted(packet: Packet, passing: PacketSet, accepting: bool) -> bool:
    """Return the verdict on a packet that belongs to no known connection."""
    return packet in passing and (accepting or opens(packet))


@pytest.mark.one_python
def test_stateful_lists_decide_as_predicted(path: ForwardingPath, full: bool) -> None:
    choice = random.Random(20261)
    counted = {True: 0, False: 0}
    answered = refused = 0
    for _round in range(POLICIES if full else QUICK):
        aces = policy(choice)
        text = registry.render("nftables", "segwright", aces)
        accepting = "policy accept" in text
        (found,) = registry.parse("nftables", path.load(text))
        source = first_match_list(aces, fragments_like_ios=False)
        difference = compare(source, found.first_match())
        assert difference.equal
        passing = permitted(PacketSpace(), source)
        sent = drawn(choice, aces)
        wanted = {number for number, packet in sent.items() if predicted(packet, passing, accepting)}
        frames = [(number, frame(packet, number, choice.choice(("whole", "both")))) for number, packet in sent.items()]
        seen = path.pass_through(frames, wanted)
        assert not failures(sent, wanted, seen, aces)[:3]
        # Answers: those to what passed always pass, whatever the list says; the others stand for themselves.
        replies = {number: reply_to(packet) for number, packet in sent.items() if answerable(packet)}
        wanted = {
            number for number, packet in replies.items()
            if number in seen or predicted(packet, passing, accepting)
        }  # fmt: skip
        seen_back = path.pass_through(
            [(number, frame(packet, number, "whole")) for number, packet in replies.items()], wanted, sender=SERVER
        )
        assert not failures(replies, wanted, seen_back, aces)[:3]
        for number in sent:
            counted[number in seen] += 1
        answered += len(seen_back & seen)
        refused += len(replies) - len(seen_back)
    print(
        f"stateful: {counted[True]} openers passed, {counted[False]} did not; {answered} answers passed, {refused} did not"
    )
    assert min(counted.values()) > 0.2 * sum(counted.values())
    assert min(answered, refused) > 50
