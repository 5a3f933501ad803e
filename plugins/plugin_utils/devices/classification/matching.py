# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules made ready to be asked about many devices: each test of a fact's value is made once for each value that occurs.

A rule is asked only where one of its tests holds, so what it costs to classify a device does not grow with the rules that say nothing
about it. The answers are those of ``query.query_holds`` (a unit test compares them).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.classification.model import Rule
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.query import TESTS

MOST_KEPT = 200_000
Hits = Mapping[int, tuple[Any, str, str]]  # test -> (value, fact, source)
Values = Mapping[str, Sequence[tuple[Any, str]]]


class Matcher:
    """The rules by the tests they are made of."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = tuple(rules)
        self._numbers: dict[tuple[str, str, str], int] = {}
        self._same: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        self._other: dict[str, list[tuple[Callable[[Any, Any], bool], Any, int]]] = defaultdict(list)
        self._kept: dict[str, dict[Any, tuple[int, ...]]] = defaultdict(dict)
        self._asked: dict[int, list[int]] = defaultdict(list)
        self._whole = [self._compiled(rule.when) for rule in self.rules]
        for number, query in enumerate(self._whole):
            for test in set(_tests(query)):
                self._asked[test].append(number)

    def fitting(self, values: Values) -> tuple[list[int], Hits]:
        """Return the numbers of the rules that values fulfil, ascending, and the tests that hold; values are (value, source) by fact."""
        hits: dict[int, tuple[Any, str, str]] = {}
        for fact, own in values.items():
            if fact not in self._same and fact not in self._other:
                continue
            for value, source in own:
                for test in self._tests_of(fact, value):
                    hits.setdefault(test, (value, fact, source))
        asked = sorted({number for test in hits for number in self._asked[test]})
        return [number for number in asked if _holds(self._whole[number], hits)], hits

    def reasons(self, number: int, hits: Hits) -> list[tuple[Any, str, str]]:
        """Return (value, fact, source) of the tests of a rule that hold, in the rule's order."""
        return [hits[test] for test in dict.fromkeys(_tests(self._whole[number])) if test in hits]

    def _tests_of(self, fact: str, value: Any) -> tuple[int, ...]:
        kept = self._kept[fact]
        found = kept.get(value)
        if found is None:
            same = self._same[fact].get(str(value).casefold(), ()) if fact in self._same else ()
            other = [number for test, wanted, number in self._other.get(fact, ()) if test(wanted, value)]
            found = (*same, *other)
            if len(kept) < MOST_KEPT:
                kept[value] = found
        return found

    def _compiled(self, query: Mapping[str, Any]) -> tuple[Any, ...]:
        for word in ("all", "any"):
            if word in query:
                return (word, *(self._compiled(part) for part in query[word]))
        if "not" in query:
            return ("not", self._compiled(query["not"]))
        fact = query["fact"]
        word = next(word for word in TESTS if word in query)
        key = (fact, word, repr(query[word]))
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self._numbers)
            if word in ("equals", "in"):
                wanted = query[word] if word == "in" else [query[word]]
                for each in {str(each).casefold() for each in wanted}:
                    self._same[fact][each].append(number)
            else:
                self._other[fact].append((TESTS[word], query[word], number))
        return ("test", number)


def _holds(query: tuple[Any, ...], hits: Hits) -> bool:
    word = query[0]
    if word == "test":
        return query[1] in hits
    if word == "all":
        return all(_holds(part, hits) for part in query[1:])
    if word == "any":
        return any(_holds(part, hits) for part in query[1:])
    return not _holds(query[1], hits)


def _tests(query: tuple[Any, ...]) -> list[int]:
    """Return the tests whose holding speaks for a query; those under ``not`` do not."""
    if query[0] == "test":
        return [query[1]]
    return [] if query[0] == "not" else [test for part in query[1:] for test in _tests(part)]
