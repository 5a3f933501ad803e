"""Costs by hand and budgets by name."""

from __future__ import annotations

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.yaml_io import parse_yaml
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.budget import (
    BudgetCheck,
    budget_names,
    check_budget,
    cost_of,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.checks import check_result
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import Ace
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.platform_limits import (
    platform_limits,
    read_limits,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.registry import PLATFORMS, render
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet, from_wildcard


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


def severities(checked: BudgetCheck) -> list[tuple[str, str]]:
    return [(finding.code, finding.severity) for finding in checked.findings]


def test_budgets() -> None:
    many = [Ace(True, 6, destination=IntervalSet.of(i * 2)) for i in range(60)]
    checked = check_budget("dacl", many, "ise_dacl")
    assert checked.cost.entries == 60
    assert severities(checked) == [("SW1209", "warning")]
    over = check_budget("dacl", [*many, *many], "ise_dacl")
    assert over.findings[0].severity == "error"
    assert over.findings[0].message == "120 entries of 64 in the budget ise_dacl"
    assert check_budget("dacl", many[:10], "ise_dacl").findings == ()
    ranges = [Ace(True, 6, destination_ports=IntervalSet.of((i * 100 + 1, i * 100 + 3))) for i in range(5)]
    assert check_budget("ios", ranges, "ie3x00").findings[0].severity == "error"
    with pytest.raises(FindingError, match="SW1212"):
        check_budget("dacl", [], "unknown")


def test_budget_of_another_syntax() -> None:
    assert severities(check_budget("ios", [Ace(True)], "nexus_9300_fx")) == [("SW1242", "warning")]


def test_operators_that_expand_are_no_error() -> None:
    ranges = [Ace(True, 6, destination_ports=IntervalSet.of((i * 100 + 1, i * 100 + 3))) for i in range(20)]
    assert severities(check_budget("ios", ranges, "catalyst_4500")) == [("SW1209", "warning")]


def test_old_and_new_stand_side_by_side() -> None:
    def hosts(count: int, start: int = 0) -> list[Ace]:
        return [Ace(True, 6, destination=IntervalSet.of((start + i) * 2)) for i in range(count)]

    checked = check_budget("ios", hosts(3000), "catalyst_9300", old=hosts(2500))
    share = next(share for share in checked.shares if share.figure == "hardware_entries")
    assert (share.limit, share.used, share.in_use, share.free) == (5120, 3000, 129, 5120 - 129 - 3000)
    assert (share.with_old, share.fits_with_old) == (129 + 5500, False)
    assert severities(checked) == [("SW1241", "warning")]
    assert check_budget("ios", hosts(3000), "catalyst_9300", old=hosts(100)).findings == ()
    assert severities(check_budget("ios", hosts(3000), "catalyst_9300", in_use=2500)) == [("SW1209", "error")]
    # A DACL is programmed once for each session on the ASIC.
    assert severities(check_budget("dacl", hosts(50), "catalyst_9300", copies=90)) == [("SW1209", "warning")]


def test_an_operator_in_both_lists_counts_once() -> None:
    def ranges(*starts: int) -> list[Ace]:
        return [Ace(True, 6, destination_ports=IntervalSet.of((start, start + 2))) for start in starts]

    same = check_budget("ios", ranges(100, 200, 300), "ie3x00", old=ranges(100, 200, 300))
    assert same.findings == ()
    other = check_budget("ios", ranges(100, 200, 300), "ie3x00", old=ranges(400, 500))
    assert severities(other) == [("SW1241", "warning")]
    assert "10 tcp operators of 8" in other.findings[0].message


def test_ipv6_has_its_own_entries_on_some_classes() -> None:
    aces = [Ace(True, 6, 6, destination=IntervalSet.of(i * 2)) for i in range(3000)]
    checked = check_budget("ios_ipv6", aces, "catalyst_9500h_9600")
    used = {share.figure: share.used for share in checked.shares}
    assert (used["hardware_entries"], used["ipv6_hardware_entries"]) == (0, 6000)
    assert severities(checked) == [("SW1209", "error")]


def test_a_mask_with_holes_is_one_hardware_entry_but_a_range_is_not() -> None:
    holes = from_wildcard(0x0A000001, 0x00FF0000)
    cost = cost_of("ios", [Ace(True, 6, 4, holes, IntervalSet.of((0, 2)), None, IntervalSet.of((1, 65534)))])
    assert (cost.hardware_entries, cost.compact_entries) == (2 * 30, 2)


def test_radius_packets() -> None:
    """A packet takes 4,058 bytes of attributes: 95 lines of 18 characters, since numbers have one or two digits."""
    line = "permit tcp any any"
    sizes = [8 + len(f"ip:inacl#{i}=") + len(line) for i in range(1, 1000)]
    fit = next(count for count in range(1000) if sum(sizes[: count + 1]) > 4058)
    assert cost_of("dacl", [Ace(True, 6)] * fit).radius_packets == 1
    assert cost_of("dacl", [Ace(True, 6)] * (fit + 1)).radius_packets == 2
    assert cost_of("ios", [Ace(True, 6)]).radius_packets == 0


@pytest.mark.parametrize("name", budget_names())
def test_every_class_is_read(name: str) -> None:
    found = platform_limits(name)
    assert found.title
    assert found.value("no such", 7) == 7
    for platform in found.platforms:
        if platform in PLATFORMS and platform != "sgacl":
            family = 6 if platform == "ios_ipv6" else 4
            assert check_budget(platform, [Ace(True, 6, family)], name).findings == ()


GOOD = "title: T\nplatforms: [ios]\nlimits:\n  entries: {value: 5, confidence: vendor, source: x}\n"


@pytest.mark.parametrize(
    ("before", "after", "line"),
    [
        ("title: T\n", "", 1),
        ("title: T", "title: 5", 1),
        ("title: T", "title: T\nextra: 1", 1),
        ("[ios]", "[junos]", 2),
        ("[ios]", "ios", 2),
        ("entries:", "entrys:", 4),
        ("value: 5", "value: -5", 4),
        ("value: 5", "value: 5.5", 4),
        ("value: 5", "value: yes", 4),
        ("value: 5, ", "", 4),
        ("vendor", "sure", 4),
        ("source: x", "source: ''", 4),
        ("  entries: {value: 5, confidence: vendor, source: x}", "  []", 3),
    ],
)
def test_a_wrong_file_is_named_with_its_line(before: str, after: str, line: int) -> None:
    assert read_limits("t", parse_yaml(GOOD, "t.yml")).value("entries") == 5
    with pytest.raises(FindingError, match="SW1240") as caught:
        read_limits("t", parse_yaml(GOOD.replace(before, after, 1), "t.yml"))
    assert caught.value.findings[0].line == line


def test_the_cost_is_that_of_the_syntax_of_the_list() -> None:
    """A role-based list on a switch has no addresses; a stateless table has entries for later fragments."""
    role = check_result("ios", "ip access-list role-based X\n permit tcp dst eq 443\n deny ip\n")
    assert role["counts"]["bytes"] == len("permit tcp dst eq 443\ndeny ip")
    text = render("nftables", "t", [Ace(True, 17, 4, fragments=True), Ace(False, None, 0)], stateful=False)
    assert check_result("nftables", text, budget="nftables")["counts"]["entries"] == 3
