# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Queries over a device's facts: one language for the members of segments, for classification and for proposals.

A query is a mapping with exactly one of ``all``, ``any``, ``not`` or ``fact``; a fact has exactly one of ``equals``, ``in``,
``matches``, ``prefix``, ``contains``, ``at_least`` or ``at_most``. ``matches`` knows ``*`` and ``?`` only and takes time proportional to
pattern times text: no regular expression of a policy is ever run.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def glob_matches(pattern: str, text: str) -> bool:
    """Return whether the whole text fits the pattern: * is any text, ? one character, case does not count.

    Greedy matching with one way back, so that no pattern takes more than len(pattern) * len(text) steps.
    """
    pattern, text = pattern.casefold(), text.casefold()
    at = place = 0
    star, resume = -1, 0
    while place < len(text):
        if at < len(pattern) and pattern[at] == "*":
            star, resume = at, place
            at += 1
        elif at < len(pattern) and pattern[at] in ("?", text[place]):
            at += 1
            place += 1
        elif star >= 0:
            resume += 1
            at, place = star + 1, resume
        else:
            return False
    return all(character == "*" for character in pattern[at:])


def query_holds(query: Mapping[str, Any], facts: Mapping[str, Sequence[Any]]) -> bool:
    """Return whether a device with the facts fulfils a query that fits the schema. An unknown fact never fits."""
    if "all" in query:
        return all(query_holds(part, facts) for part in query["all"])
    if "any" in query:
        return any(query_holds(part, facts) for part in query["any"])
    if "not" in query:
        return not query_holds(query["not"], facts)
    values = facts.get(query["fact"], ())
    for word, test in TESTS.items():
        if word in query:
            return any(test(query[word], value) for value in values)
    return False


class Remembered:
    """``query_holds`` that remembers its answers by the values of the facts that a query names: thousands of devices differ in few of them.

    Queries must not be changed while it is in use.
    """

    def __init__(self) -> None:
        self._names: dict[int, tuple[Mapping[str, Any], tuple[str, ...]]] = {}
        self._answers: dict[tuple[Any, ...], bool] = {}

    def __call__(self, query: Mapping[str, Any], facts: Mapping[str, Sequence[Any]]) -> bool:
        """Return whether a device with the facts fulfils the query."""
        known = self._names.get(id(query))
        if known is None:
            known = self._names[id(query)] = query, tuple(sorted(_facts_named(query)))
        key = (id(query), *(_typed(facts.get(name, ())) for name in known[1]))
        found = self._answers.get(key)
        if found is None:
            found = self._answers[key] = query_holds(query, facts)
        return found


class Fitting:
    """Which of several queries a device fulfils, by their places in order: looked up once for all of them.

    What is remembered is the answer to the values of all facts that any of the queries names, so that a device like one before costs one
    look-up however many queries there are. Queries must not be changed while it is in use.
    """

    def __init__(self, queries: Sequence[Mapping[str, Any]]) -> None:
        self._queries = tuple(queries)
        self._names = tuple(sorted({name for query in self._queries for name in _facts_named(query)}))
        self._holds = Remembered()
        self._answers: dict[tuple[Any, ...], tuple[int, ...]] = {}

    def __call__(self, facts: Mapping[str, Sequence[Any]]) -> tuple[int, ...]:
        """Return the places of the queries that a device with the facts fulfils, in order; an empty query is fulfilled by none."""
        key = tuple(_typed(facts.get(name, ())) for name in self._names)
        found = self._answers.get(key)
        if found is None:
            found = tuple(place for place, query in enumerate(self._queries) if query and self._holds(query, facts))
            self._answers[key] = found
        return found


def _typed(values: Sequence[Any]) -> tuple[Any, ...]:
    """Return values that are alike only where every test takes them alike: "1", True and 1 are three."""
    return tuple((type(value), value) for value in values)


def _facts_named(query: Mapping[str, Any]) -> set[str]:
    parts = [*query.get("all", ()), *query.get("any", ()), *([query["not"]] if "not" in query else ())]
    return {name for part in parts for name in _facts_named(part)} | ({query["fact"]} if "fact" in query else set())


def _same(wanted: Any, value: Any) -> bool:
    if isinstance(wanted, bool) or isinstance(value, bool):
        return wanted is value
    return str(wanted).casefold() == str(value).casefold()


def _in_prefix(prefix: str, value: Any) -> bool:
    try:
        return ipaddress.ip_address(str(value)) in ipaddress.ip_network(prefix, strict=False)
    except ValueError:
        return False


def _whole(value: Any) -> int | None:
    """Return a fact's value as a whole number; None where it is none (a VLAN's number may stand as text)."""
    text = str(value)
    return int(text) if not isinstance(value, bool) and re.fullmatch(r"-?[0-9]{1,18}", text) else None


TESTS: dict[str, Callable[[Any, Any], bool]] = {
    "equals": _same,
    "in": lambda wanted, value: any(_same(item, value) for item in wanted),
    "matches": lambda wanted, value: glob_matches(wanted, str(value)),
    "prefix": _in_prefix,
    "contains": lambda wanted, value: str(wanted).casefold() in str(value).casefold(),
    "at_least": lambda wanted, value: (number := _whole(value)) is not None and number >= wanted,
    "at_most": lambda wanted, value: (number := _whole(value)) is not None and number <= wanted,
}
