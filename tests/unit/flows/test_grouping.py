# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sorting and grouping of arrays against Python's own sorting, at the sizes and widths where another way is taken."""

from __future__ import annotations

import random

import numpy as np
import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import grouping


@pytest.mark.parametrize("bits", [0, 1, 10, 22, 23, 32, 53, 54, 55, 63, 64])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 1023, 1024, 1025])
def test_an_order_is_stable_whatever_the_width(count: int, bits: int) -> None:
    draw = random.Random(count * 100 + bits)
    # Few distinct values, the greatest among them.
    pool = [0, (1 << bits) - 1, *(draw.getrandbits(bits) if bits else 0 for _each in range(5))]
    values = [draw.choice(pool) for _each in range(count)]
    order, ordered = grouping.sorted_values(np.array(values, dtype=np.uint64), bits)
    assert order.tolist() == sorted(range(count), key=values.__getitem__)
    assert ordered.tolist() == sorted(values)
    assert grouping.sorted_order(np.array(values, dtype=np.uint64), bits).tolist() == order.tolist()


def test_rows_with_the_same_keys_stand_together_in_their_order_though_hashes_are_shared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    draw = random.Random(7)
    rows = [(draw.randrange(6), draw.randrange(6)) for _each in range(2000)]
    # Three hashes for 36 keys.
    monkeypatch.setattr(grouping, "hashed", lambda keys: (keys[0] % np.uint64(3)) << np.uint64(32))
    order, starts = grouping.groups([np.array(each, dtype=np.uint64) for each in zip(*rows, strict=True)])
    bounds = [*starts.tolist(), len(rows)]
    found = {}
    for first, last in zip(bounds, bounds[1:], strict=False):
        members = order[first:last].tolist()
        assert members == sorted(members)
        (key,) = {rows[each] for each in members}
        assert key not in found
        found[key] = members
    assert sorted(each for members in found.values() for each in members) == list(range(len(rows)))
