"""What is written reads back to the same meaning, for random entries; and the lab's own evaluator agrees packet by packet."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import registry
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.entries import ace_dict, ace_from_dict
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import Ace, first_match_list
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.compare import compare
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import PacketSpace, permitted
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import ESTABLISHED, Packet
from tests.lab.evaluate import evaluate_acl

SETTINGS = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
PORT = st.sampled_from([0, 1, 22, 53, 79, 80, 81, 443, 1023, 1024, 65534, 65535])
PORTS = st.none() | st.lists(
    st.tuples(PORT, PORT).map(lambda pair: (min(pair), max(pair))), min_size=1, max_size=3
).map(lambda pairs: IntervalSet.of(*pairs))
FLAGS = st.sampled_from(
    [None, ESTABLISHED, IntervalSet.of(2), IntervalSet.of((0, 3), 40), IntervalSet.of(*range(0, 64, 2))]
)
MESSAGES = st.sampled_from(
    [
        None,
        IntervalSet.of((8 << 8, 8 << 8 | 255)),
        IntervalSet.of(3 << 8 | 4),
        IntervalSet.of((11 << 8, 11 << 8 | 1), (0, 511)),
    ]
)


def addresses(family: int) -> st.SearchStrategy[IntervalSet | None]:
    base = 0x0A000000 if family == 4 else 0x20010DB8 << 96
    pair = st.tuples(st.integers(0, 40), st.integers(0, 40)).map(lambda ends: (base + min(ends), base + max(ends)))
    return st.none() | st.lists(pair, min_size=1, max_size=2).map(lambda pairs: IntervalSet.of(*pairs))


@st.composite
def aces(draw: st.DrawFn, family: int, sgacl: bool = False, any_source: bool = False) -> Ace:
    protocol = draw(st.sampled_from([None, 6, 6, 17, 132, 47, 58 if family == 6 else 1]))
    ported = protocol in (6, 17, 132)
    fragments = draw(st.booleans()) and draw(st.booleans())
    detail = None
    if protocol == 6:
        detail = draw(FLAGS)
    elif protocol == (58 if family == 6 else 1):
        detail = draw(MESSAGES)
    return Ace(
        permit=draw(st.booleans()),
        protocol=protocol,
        family=family,
        source=None if sgacl or any_source else draw(addresses(family)),
        destination=None if sgacl else draw(addresses(family)),
        source_ports=draw(PORTS) if ported and not fragments else None,
        destination_ports=draw(PORTS) if ported and not fragments else None,
        detail=None if fragments else detail,
        fragments=fragments,
        log=draw(st.booleans()),
        label=draw(st.sampled_from(["", "r-1", "a?b\n"])),
    )


def assert_same(
    platform: str, made: list[Ace], text: str, like_ios: bool = True, default: bool = False, **options: object
) -> None:
    (parsed,) = registry.parse(platform, text, **options)
    assert parsed.opaque == ()
    implicit = parsed.implicit
    wanted = first_match_list(made, default_permit=default, implicit=implicit, fragments_like_ios=like_ios)
    assert compare(wanted, parsed.first_match(), PacketSpace()).equal, text


@pytest.mark.one_python
@given(st.lists(aces(4), min_size=1, max_size=5), st.booleans(), st.booleans(), st.booleans())
@SETTINGS
def test_ios(made: list[Ace], lists: bool, remarks: bool, numbers: bool) -> None:
    assert_same("ios", made, registry.render("ios", "L", made, port_lists=lists, remarks=remarks, numbers=numbers))
    assert_same("ios", made, registry.render("ios", "L", made, end=""))


@pytest.mark.one_python
@given(st.lists(aces(6), min_size=1, max_size=5))
@SETTINGS
def test_ios_ipv6(made: list[Ace]) -> None:
    assert_same("ios_ipv6", made, registry.render("ios_ipv6", "L", made))


@pytest.mark.one_python
@given(st.lists(aces(4, any_source=True), min_size=1, max_size=5))
@SETTINGS
def test_dacl(made: list[Ace]) -> None:
    text = registry.render("dacl", "", made)
    assert_same("dacl", made, text)
    assert registry.render("dacl", "", made) == text


@given(st.lists(aces(4, sgacl=True), min_size=1, max_size=5))
@SETTINGS
def test_sgacl(made: list[Ace]) -> None:
    assert_same("sgacl", made, registry.render("sgacl", "", made), default=True, family=4)


@pytest.mark.one_python
@given(st.lists(aces(4) | aces(6), min_size=1, max_size=5), st.sampled_from(["accept", "drop"]))
@SETTINGS
def test_nftables(made: list[Ace], policy: str) -> None:
    made = [ace for ace in made if not ace.fragments]
    text = registry.render("nftables", "segwright", made, policy=policy)
    (parsed,) = registry.parse("nftables", text)
    assert parsed.opaque == ()
    wanted = first_match_list(made, default_permit=policy == "accept", fragments_like_ios=False)
    space = PacketSpace()
    whole = ~space.from_boxes(ace.to_boxes()[0] for ace in [Ace(True, family=f, fragments=True) for f in (4, 6)])
    assert permitted(space, wanted) & whole == permitted(space, parsed.first_match()) & whole


@pytest.mark.one_python
@given(aces(4) | aces(6))
@SETTINGS
def test_dicts(made: Ace) -> None:
    again = ace_from_dict(ace_dict(made))
    assert (again.meaning(), again.log, again.remarks) == (made.meaning(), made.log, made.remarks)


def packet_fields(found: Packet) -> dict[str, object]:
    """Return the packet in the evaluator's form."""
    import ipaddress

    address = ipaddress.IPv6Address if found.is_ipv6 else ipaddress.IPv4Address
    names = {1: "fin", 2: "syn", 4: "rst", 8: "psh", 16: "ack", 32: "urg"}
    result: dict[str, object] = {
        "protocol": found.ip_protocol,
        "source": str(address(found.source)),
        "destination": str(address(found.destination)),
        "fragment_offset": found.fragment,
    }
    if not found.fragment:
        result |= {"source_port": found.source_port, "destination_port": found.destination_port}
        result["tcp_flags"] = {name for bit, name in names.items() if found.ip_protocol == 6 and found.detail & bit}
        result |= {"icmp_type": found.detail >> 8, "icmp_code": found.detail & 255}
    return result


def random_packet(choice: random.Random, family: int) -> Packet:
    base, offset = (0x0A000000, 0) if family == 4 else (0x20010DB8 << 96, 256)
    number = choice.choice([6, 6, 17, 132, 47, 58 if family == 6 else 1])
    fragment = int(choice.random() < 0.2)
    ports = [0, 1, 22, 53, 79, 80, 81, 443, 1023, 1024, 65534, 65535]
    ported = number in (6, 17, 132) and not fragment
    detail = 0
    if number == 6 and not fragment:
        detail = choice.randrange(64)
    elif number in (1, 58) and not fragment:
        detail = choice.choice([8 << 8, 3 << 8 | 4, 3 << 8, 11 << 8, 11 << 8 | 1, 11 << 8 | 2, 0, 300, 512])
    return Packet(
        offset + number,
        detail,
        fragment,
        base + choice.randint(0, 42),
        base + choice.randint(0, 42),
        choice.choice(ports) if ported else 0,
        choice.choice(ports) if ported else 0,
    )


@pytest.mark.one_python
@given(st.lists(aces(4), min_size=1, max_size=5), st.integers(0, 10**6))
@SETTINGS
def test_the_labs_evaluator_agrees_on_ios(made: list[Ace], seed: int) -> None:
    """Another parser and another algorithm, on the text that we write."""
    lines = registry.render("ios", "L", made, port_lists=True).splitlines()[1:]
    assert_agreement(made, lines, "ios", 4, seed, default=False)


@pytest.mark.one_python
@given(st.lists(aces(6), min_size=1, max_size=4), st.integers(0, 10**6))
@SETTINGS
def test_the_labs_evaluator_agrees_on_ipv6(made: list[Ace], seed: int) -> None:
    lines = [line for line, _ace in registry.render_lines("ios_ipv6", made)]
    assert_agreement(made, lines, "ios", 6, seed, default=False)


@given(st.lists(aces(4, sgacl=True), min_size=1, max_size=4), st.integers(0, 10**6))
@SETTINGS
def test_the_labs_evaluator_agrees_on_sgacls(made: list[Ace], seed: int) -> None:
    assert_agreement(made, registry.render("sgacl", "", made).splitlines(), "sgacl", 4, seed, default=True)


@pytest.mark.one_python
@given(st.lists(aces(4, any_source=True), min_size=1, max_size=4), st.integers(0, 10**6))
@SETTINGS
def test_the_labs_evaluator_agrees_on_dacls(made: list[Ace], seed: int) -> None:
    assert_agreement(made, registry.render("dacl", "", made).splitlines(), "dacl", 4, seed, default=False)


def assert_agreement(made: list[Ace], lines: list[str], kind: str, family: int, seed: int, default: bool) -> None:
    choice = random.Random(seed)
    implicit = ()
    if family == 6:
        implicit = tuple(Ace(True, 58, 6, detail=IntervalSet.of((t << 8, t << 8 | 255))) for t in (135, 136))
    passed = permitted(PacketSpace(), first_match_list(made, default_permit=default, implicit=implicit))
    for _ in range(25):
        found = random_packet(choice, family)
        verdict = evaluate_acl(lines, packet_fields(found), kind=kind, family=family)
        assert verdict.permit == (found in passed), (lines, found.describe(), verdict)


@pytest.mark.parametrize(
    ("platform", "ace", "reason"),
    [
        ("ios", Ace(True, family=6), "family"),
        ("ios", Ace(True, 17, source_ports=IntervalSet()), "empty"),
        ("ios", Ace(True, 47, destination_ports=IntervalSet.of(1)), "ports"),
        ("ios", Ace(False, 6, detail=IntervalSet.of((0, 63))), "fragments"),
        ("ios", Ace(True, 17, detail=IntervalSet.of(1)), "neither"),
        ("dacl", Ace(True, source=IntervalSet.of(1)), "source any"),
        ("sgacl", Ace(True, destination=IntervalSet.of(1)), "addresses"),
        ("nftables", Ace(True, fragments=True), "fragments"),
        ("nftables", Ace(True, 1, 0), "family"),
        ("ios_ipv6", Ace(True, family=4), "family"),
    ],
)
def test_what_a_syntax_cannot_say_is_refused(platform: str, ace: Ace, reason: str) -> None:
    with pytest.raises(FindingError, match=f"SW1204.*{reason}"):
        registry.render(platform, "L", [ace])


def test_a_product_that_explodes_is_refused() -> None:
    many = IntervalSet.of(*((i * 4, i * 4 + 1) for i in range(200)))
    with pytest.raises(FindingError, match="SW1207"):
        registry.render("ios", "L", [Ace(True, 6, source=many, destination=many)])


def test_discontiguous_wildcards_are_kept_as_one_line() -> None:
    text = "ip access-list extended A\n permit ip 10.0.3.0 0.0.252.255 any\n"
    (found,) = registry.parse("ios", text)
    assert registry.render("ios", "A", found.aces, end="", numbers=False) == text
    assert registry.round_trip("ios", text)
