"""Costs by hand and budgets by name."""

from __future__ import annotations

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.budget import check_budget, cost_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import Ace
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet


@pytest.mark.parametrize(
    ("low", "high", "blocks"),
    [
        (1024, 65535, 6),
        (49152, 65535, 1),
        (32768, 60999, 7),
        (16384, 32767, 1),
        (5000, 5010, 3),
        (1, 1023, 10),
        (1, 65534, 30),
        (47808, 47823, 1),
    ],
)
def test_ranges_fall_into_blocks(low: int, high: int, blocks: int) -> None:
    """The figures of facts/devices.md section 4.2."""
    assert cost_of("ios", [Ace(True, 6, destination_ports=IntervalSet.of((low, high)))]).hardware_entries == blocks


def test_operators() -> None:
    ports = IntervalSet.of((5000, 5010))
    aces = [
        Ace(True, 6, destination_ports=ports), Ace(True, 6, destination=IntervalSet.of(1), destination_ports=ports),
        Ace(True, 6, source_ports=ports), Ace(True, 17, destination_ports=IntervalSet.of((1024, 65535))),
        Ace(True, 17, destination_ports=IntervalSet.of(53)), Ace(True, 6, destination_ports=IntervalSet.of((0, 21), (23, 65535))),
    ]  # fmt: skip
    cost = cost_of("ios", aces)
    assert (cost.tcp_operators, cost.udp_operators) == (3, 1)  # range twice the same on one side, range source, neq; gt
    cost = cost_of("ios", aces, range_cost=2)
    assert (cost.tcp_operators, cost.udp_operators) == (5, 1)


def test_products_and_families() -> None:
    two = IntervalSet.of(10, 20)
    cost = cost_of("ios", [Ace(True, 6, 4, two, IntervalSet.of((0, 2)), None, two)])
    assert (cost.entries, cost.hardware_entries) == (8, 8)
    assert cost_of("ios_ipv6", [Ace(True, 6, 6, two)]).hardware_entries == 4
    assert cost_of("dacl", [Ace(True, 6), Ace(False)]).bytes == len("permit tcp any any\ndeny ip any any")


def test_budgets() -> None:
    many = [Ace(True, 6, destination=IntervalSet.of(i * 2)) for i in range(60)]
    cost, findings = check_budget("dacl", many, "ise_dacl")
    assert cost.entries == 60
    assert [(finding.code, finding.severity) for finding in findings] == [("SW1209", "warning")]
    _cost, findings = check_budget("dacl", [*many, *many], "ise_dacl")
    assert next((finding.severity, finding.message.split()[:2]) for finding in findings) == (
        "error",
        ["120", "entries"],
    )
    assert check_budget("dacl", many[:10], "ise_dacl")[1] == []
    ranges = [Ace(True, 6, destination_ports=IntervalSet.of((i * 100 + 1, i * 100 + 3))) for i in range(5)]
    assert check_budget("ios", ranges, "ie3x00")[1][0].severity == "error"
    with pytest.raises(FindingError, match="SW1212"):
        check_budget("dacl", [], "unknown")
