"""ASA printing: legal, canonical, stable; what the platform cannot say is refused; random lists read back to the same meaning."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import checks, registry
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.entries import ace_dict, ace_from_dict
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import Ace
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from tests.unit.dialects.test_round_trip import SETTINGS, aces, assert_same


def stateful(ace: Ace) -> Ace:
    """Return a random entry without what a stateful firewall does not test."""
    return replace(ace, fragments=False, detail=None if ace.protocol == 6 else ace.detail)


MADE = st.lists((aces(4) | aces(6)).map(stateful), min_size=1, max_size=5)


@pytest.mark.one_python
@given(MADE, st.booleans())
@SETTINGS
def test_round_trip(made: list[Ace], remarks: bool) -> None:
    text = registry.render("asa", "L", made, remarks=remarks)
    assert_same("asa", made, text, like_ios=False)
    assert registry.render("asa", "L", made, remarks=remarks) == text


def test_one_port_a_line_and_masks() -> None:
    ace = Ace(
        True,
        6,
        destination=IntervalSet.from_prefix("192.0.2.0/24"),
        destination_ports=IntervalSet.of(80, 443, (8000, 8010)),
    )
    assert registry.render("asa", "WEB", [ace]) == (
        "access-list WEB extended permit tcp any4 192.0.2.0 255.255.255.0 eq 80\n"
        "access-list WEB extended permit tcp any4 192.0.2.0 255.255.255.0 eq 443\n"
        "access-list WEB extended permit tcp any4 192.0.2.0 255.255.255.0 range 8000 8010\n"
        "access-list WEB extended deny ip any any\n"
    )


@pytest.mark.parametrize(
    ("ace", "reason"),
    [
        (Ace(True, 6, detail=IntervalSet.of((16, 31))), "no TCP flags"),
        (Ace(True, fragments=True), "reassembles fragments"),
        (Ace(True, source=IntervalSet.of(*((0x0A000005 | octet << 8) for octet in range(256)))), "discontiguous mask"),
        (Ace(True, 6, conditions=("dscp 46",)), "no condition"),
        (Ace(True, 6, conditions=("time-range A", "time-range B")), "no condition"),
        (Ace(True, 58), "other address family"),
        (Ace(True, 6, 0, source=IntervalSet.single(1)), "without an address family"),
        (Ace(True, source=IntervalSet.single(1), conditions=("source object X",)), "stands beside addresses"),
    ],
)
def test_what_the_platform_cannot_say_is_refused(ace: Ace, reason: str) -> None:
    with pytest.raises(FindingError, match="SW1204") as caught:
        registry.render("asa", "A", [ace])
    assert reason in str(caught.value)


def test_inactive_entries_only_here() -> None:
    ace = Ace(True, 6, inactive=True)
    assert ace_from_dict(ace_dict(ace)).inactive
    for platform in ("ios", "nxos", "dacl", "sgacl", "nftables"):
        with pytest.raises(FindingError, match="SW1204"):
            registry.render(platform, "A", [replace(ace, family=0 if platform == "sgacl" else 4)])


@pytest.mark.parametrize("platform", ["asa", "nxos"])
@pytest.mark.parametrize(
    "text",
    [
        "time-range W\nreload", "time-range W\rreload", "time-range W ?", "time-range  W", "time-range W log", "time-range W inactive",
        "permit ip any any", "source object X any", "destination addrgroup X log", "source fqdn a b", "source fqdn x;y", "source ",
        "",
    ],
)  # fmt: skip
def test_conditions_from_outside_never_reach_the_command_line_unread(platform: str, text: str) -> None:
    with pytest.raises(FindingError, match="SW1204"):
        registry.render(platform, "A", [ace_from_dict({"permit": True, "protocol": "tcp", "conditions": [text]})])


def test_names_are_checked() -> None:
    with pytest.raises(ValueError, match="unsafe"):
        registry.render("asa", "A\nno access-list B", [Ace(True)])


def test_a_firewall_is_compared_without_later_fragments() -> None:
    answer = checks.compare_result(
        {"platform": "ios", "text": "permit tcp any host 192.0.2.1 eq 443\n"},
        {"platform": "asa", "text": "access-list A extended permit tcp any4 host 192.0.2.1 eq https\n"},
    )
    assert answer["equal"] and "fragments" in answer["scope"]


def test_a_check_of_a_list_with_objects_names_the_line() -> None:
    text = (
        "object-group network G\n network-object host 10.0.0.1\n network-object host 2001:db8::1\n"
        "access-list A extended permit ip any any\naccess-list A extended permit tcp object-group G any eq 80\n"
        "access-list A extended permit ip any any inactive\n"
    )
    found = checks.check_result("asa", text)["anomalies"]
    assert {item["line"] for item in found if item["kind"] == "dead"} == {5}
