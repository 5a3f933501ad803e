# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of the ends of conversations: proved servers, and how many peer sockets each has (rules 3 and 5 of ``orientation.py``).

Most ends are clients' and have one peer, which decides nothing: what the smallest degree that speaks is compared with is twice the other
end's. They are left out by marking hashes in a first pass, so that only ends that share a mark are counted exactly in a second one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import grouping
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.keys import Lookup

np = guarded("numpy")
pa = guarded("pyarrow")

LEAST_BITS, MOST_BITS = 12, 27
ONCE, TWICE = 1, 2


class Marks:
    """Which ends (keys) were met at all, and which perhaps more than once, by hash: never too few."""

    def __init__(self, expected: int) -> None:
        bits = max(LEAST_BITS, min(MOST_BITS, (4 * expected).bit_length()))
        self.shift = np.uint64(64 - bits)
        # One octet of each place has both, since it is the way to the place that costs.
        self._state = np.zeros(1 << bits, dtype=np.uint8)

    def of(self, keys: Any) -> Any:
        """Return the places of keys (int32)."""
        return (grouping.hashed((keys,)) >> self.shift).astype(np.int32)

    def once(self, marks: Any) -> Any:
        """Return whether the ends at places were met."""
        return self._states(marks) & ONCE != 0

    def twice(self, marks: Any) -> Any:
        """Return whether the ends at places were perhaps met more than once."""
        return self._states(marks) & TWICE != 0

    def _states(self, marks: Any) -> Any:
        # Places of the machine's own size are followed at half the cost.
        return self._state.take(marks.astype(np.intp))

    def count(self, marks: Any) -> None:
        """Enter the places of ends, as often as they are met."""
        ordered = np.sort(marks).astype(np.intp)
        again = self._state.take(ordered) != 0
        again[1:] |= ordered[1:] == ordered[:-1]
        # The last row of a place stands: it follows another where the place is met more than once here.
        self._state[ordered] = again.view(np.uint8) * np.uint8(TWICE) | np.uint8(ONCE)

    def only(self, marks: Any) -> None:
        """Enter the places of ends that are asked for and not counted."""
        self._state[marks] |= np.uint8(ONCE)

    def always(self, marks: Any) -> None:
        """Enter the places of ends that are counted though they be met once."""
        self._state[marks] |= np.uint8(TWICE)


class Evidence:
    """Ends with something to say: ``degree`` and whether ``proved``, by key."""

    def __init__(self) -> None:
        self._counted, self._servers = _Sums(), _Sums()
        self._proved: Any = np.empty(0, dtype=np.uint64)
        self._lookup: Lookup | None = None

    def count(self, keys: Any, numbers: Any) -> None:
        """Add numbers to the degrees of keys, which are distinct."""
        self._counted.add(keys, numbers)

    def prove(self, keys: Any) -> None:
        """Add ends that are proved servers."""
        self._servers.add(keys)

    def proved(self) -> Lookup:
        """Return the ends proved so far, by the order of ``contradict``'s mask."""
        self._proved = self._servers.whole()[0]
        return Lookup([self._proved])

    def contradict(self, mask: Any) -> None:
        """Take those of the proved ends out that are in the mask."""
        self._proved = self._proved[~mask]

    def settle(self) -> None:
        """Make what was added ready to be asked."""
        keys, degree = self._counted.whole()
        whole = np.sort(np.concatenate((keys, self._proved)))
        whole = whole[np.concatenate((np.ones(min(1, len(whole)), dtype=bool), whole[1:] != whole[:-1]))]
        self._degree, self._is_proved = np.zeros(len(whole), dtype=np.int64), np.zeros(len(whole), dtype=bool)
        self._degree[np.searchsorted(whole, keys)] = degree
        self._is_proved[np.searchsorted(whole, self._proved)] = True
        self._lookup = Lookup([whole]) if len(whole) else None

    def of(self, keys: Any, places: Any = None) -> tuple[Any, Any]:
        """Return (degree, whether a proved server) of ends; there is nothing to say of those at other ``places`` than the given."""
        degree, proved = np.zeros(len(keys), dtype=np.int64), np.zeros(len(keys), dtype=bool)
        places = np.arange(len(keys)) if places is None else places
        if self._lookup is not None and len(places):
            rows = self._lookup.find([keys[places]])
            met = rows >= 0
            places, rows = places[met], rows[met]
            degree[places], proved[places] = self._degree[rows], self._is_proved[rows]
        return degree, proved


class _Sums:
    """Sums by key, put together now and then, so that what is held is little more than the distinct keys."""

    def __init__(self) -> None:
        self.parts: list[tuple[Any, Any]] = []
        self.rows, self.limit = 0, 1 << 20

    def add(self, keys: Any, numbers: Any = None) -> None:
        """Add one for each key, or the numbers of distinct ones."""
        if len(keys):
            self.parts.append(summed(keys) if numbers is None else (keys, numbers))
            self.rows += len(self.parts[-1][0])
            if self.rows > self.limit:
                self._merge()
                self.limit = max(self.limit, 2 * self.rows)

    def whole(self) -> tuple[Any, Any]:
        self._merge()
        return self.parts[0] if self.parts else (np.empty(0, dtype=np.uint64), np.empty(0, dtype=np.int64))

    def _merge(self) -> None:
        if len(self.parts) > 1:
            keys, numbers = (np.concatenate(each) for each in zip(*self.parts, strict=True))
            self.parts = [summed(keys, numbers)]
        self.rows = sum(len(keys) for keys, _numbers in self.parts)


def summed(keys: Any, numbers: Any = None) -> tuple[Any, Any]:
    """Return (distinct keys, sum of their numbers, or how many rows have them)."""
    known, places = numbered(keys)
    if numbers is None:
        return known, np.bincount(places, minlength=len(known))
    made = np.zeros(len(known), dtype=np.int64)
    np.add.at(made, places, numbers)
    return known, made


def numbered(keys: Any) -> tuple[Any, Any]:
    """Return (distinct keys, the number in them of each row, int32)."""
    # Few of many are distinct, as servers' ends are: a table of them costs a quarter of what sorting does.
    found = pa.array(keys).dictionary_encode()
    return found.dictionary.to_numpy(), found.indices.to_numpy()


def distinct(keys: Sequence[Any]) -> list[Any]:
    """Return the distinct rows of keys."""
    order, starts = grouping.groups(keys)
    rows = order[starts]
    return [key[rows] for key in keys]
