"""NX-OS printing: legal, canonical, stable; what the platform cannot say is refused; random lists read back to the same meaning."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import registry
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import Ace
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import ESTABLISHED
from tests.unit.dialects.test_round_trip import SETTINGS, aces, assert_same

_SINGLE = IntervalSet.of(*(flags for flags in range(64) if flags & 2))


def sayable(ace: Ace) -> bool:
    """Whether the platform has a form for the flags and ports of a random entry."""
    flags = ace.protocol != 6 or ace.detail in (None, ESTABLISHED, _SINGLE)
    return flags and (
        ace.protocol != 132 or ace.family == 6 or (ace.source_ports is None and ace.destination_ports is None)
    )


@pytest.mark.one_python
@given(st.lists(aces(4).filter(sayable), min_size=1, max_size=5), st.booleans(), st.booleans())
@SETTINGS
def test_round_trip(made: list[Ace], remarks: bool, numbers: bool) -> None:
    text = registry.render("nxos", "L", made, remarks=remarks, numbers=numbers)
    assert_same("nxos", made, text)
    assert registry.render("nxos", "L", made, remarks=remarks, numbers=numbers) == text
    assert_same("nxos", made, registry.render("nxos", "L", made, end=""))


@pytest.mark.one_python
@given(st.lists(aces(6).filter(sayable), min_size=1, max_size=5))
@SETTINGS
def test_round_trip_ipv6(made: list[Ace]) -> None:
    assert_same("nxos", made, registry.render("nxos", "L", made))


def test_one_port_a_line_and_prefixes() -> None:
    ace = Ace(
        True,
        6,
        destination=IntervalSet.from_prefix("192.0.2.1/32"),
        destination_ports=IntervalSet.of(80, 443, (8000, 8010)),
    )
    assert registry.render("nxos", "WEB", [ace]) == (
        "ip access-list WEB\n  10 permit tcp any 192.0.2.1/32 eq 80\n  20 permit tcp any 192.0.2.1/32 eq 443\n"
        "  30 permit tcp any 192.0.2.1/32 range 8000 8010\n  40 deny ip any any\n"
    )


def test_ipv6_end_writes_discovery_out() -> None:
    text = registry.render("nxos", "SIX", [Ace(True, 6, 6)])
    assert [line.split(maxsplit=1)[1] for line in text.splitlines()[1:]] == [
        "permit tcp any any", "permit icmp any any nd-na", "permit icmp any any nd-ns", "permit icmp any any router-advertisement",
        "permit icmp any any router-solicitation", "deny ipv6 any any",
    ]  # fmt: skip


def test_a_discontiguous_wildcard_stays_one_line() -> None:
    text = "ip access-list W\n  permit ip 10.0.0.5 0.0.255.0 any\n"
    (parsed,) = registry.parse("nxos", text)
    assert "permit ip 10.0.0.5 0.0.255.0 any" in registry.render("nxos", "W", parsed.aces)
    assert registry.round_trip("nxos", text)


@pytest.mark.parametrize(
    ("ace", "reason"),
    [
        (Ace(True, 6, detail=IntervalSet.of(2)), "single flags"),
        (Ace(True, 6, source_group=IntervalSet.single(10)), "no security group tags"),
        (Ace(True, 6, conditions=("source object WEB",)), "no condition"),
        (Ace(True, 132, destination_ports=IntervalSet.single(5)), "no ports for the protocol"),
        (Ace(True, 47, destination_ports=IntervalSet.single(5)), "no ports"),
        (Ace(True, 6, 0), "one address family"),
    ],
)
def test_what_the_platform_cannot_say_is_refused(ace: Ace, reason: str) -> None:
    with pytest.raises(FindingError, match="SW1204") as caught:
        registry.render("nxos", "A", [ace])
    assert reason in str(caught.value)


def test_families_do_not_mix_and_names_are_checked() -> None:
    with pytest.raises(FindingError, match="SW1204"):
        registry.render("nxos", "A", [Ace(True, 6, 4), Ace(True, 6, 6)])
    with pytest.raises(ValueError, match="unsafe"):
        registry.render("nxos", "A;reload", [Ace(True)])
    assert registry.render("nxos", "A", []) == "ip access-list A\n  10 deny ip any any\n"
    assert registry.render("nxos", "A", [], family=6).startswith("ipv6 access-list A\n")
