"""Interval sets against Python's sets and ipaddress."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet, from_wildcard

PAIRS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)).map(lambda pair: (min(pair), max(pair))), max_size=6)


def members(values: IntervalSet) -> set[int]:
    return {value for low, high in values.pairs for value in range(low, high + 1)}


@given(PAIRS, PAIRS)
def test_operations_are_those_of_sets(first: list[tuple[int, int]], second: list[tuple[int, int]]) -> None:
    a, b = IntervalSet.of(*first), IntervalSet.of(*second)
    x, y = members(a), members(b)
    assert x == {value for low, high in first for value in range(low, high + 1)}
    assert members(a.union(b)) == x | y
    assert members(a.intersect(b)) == x & y
    assert members(a.subtract(b)) == x - y
    assert a.overlaps(b) == bool(x & y)
    assert a.covers(b) == (y <= x)
    assert (a == b) == (x == y)
    assert a.size == len(x)
    assert bool(a) == bool(x) != a.is_empty
    assert all((value in a) == (value in x) for value in range(42))


@given(PAIRS)
def test_form_is_canonical(pairs: list[tuple[int, int]]) -> None:
    found = IntervalSet.of(*pairs).pairs
    assert all(found[i][1] + 1 < found[i + 1][0] for i in range(len(found) - 1))


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**20))
def test_prefixes_are_those_of_ipaddress(low: int, size: int) -> None:
    high = min(low + size, 2**32 - 1)
    expected = ipaddress.summarize_address_range(ipaddress.IPv4Address(low), ipaddress.IPv4Address(high))
    assert IntervalSet.of((low, high)).to_prefixes(32) == [str(network) for network in expected]


def test_prefixes_of_ipv6() -> None:
    whole = IntervalSet.from_prefix("2001:db8::/33").union(IntervalSet.from_prefix("2001:db8:8000::/33"))
    assert whole.to_prefixes(128) == ["2001:db8::/32"]
    assert IntervalSet.of((0, 2**128 - 1)).to_prefixes(128) == ["::/0"]


@given(st.integers(0, 1023), st.integers(0, 1023))
@settings(max_examples=60)
def test_wildcard_masks_by_brute_force(value: int, mask: int) -> None:
    found = from_wildcard(value, mask)
    assert found is not None
    assert members(found) == {other for other in range(2048) if (other ^ value) & ~mask == 0}
    assert found.wildcard() == (value & ~mask, mask)


@given(PAIRS)
def test_wildcard_form_is_exact_or_refused(pairs: list[tuple[int, int]]) -> None:
    values = IntervalSet.of(*pairs)
    masked = values.wildcard()
    if masked is not None:
        assert members(values) == {other for other in range(64) if (other ^ masked[0]) & ~masked[1] == 0}


def test_wildcard_limit() -> None:
    assert from_wildcard(0, 0x00FF00FF) is not None  # 256 pieces
    assert from_wildcard(0, 0xFFFFFF00) is None


@pytest.mark.parametrize("pair", [(5, 4), (-1, 3)])
def test_refuses_reversed_and_negative(pair: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="interval"):
        IntervalSet.of(pair)


def test_refuses_host_bits() -> None:
    with pytest.raises(ValueError, match="host bits"):
        IntervalSet.from_prefix("10.0.0.1/24")
