# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules whose conversations have to pass, found by client and by the name that they lead to: some rules, or every rule of a site."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import chain

from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.index import SiteIndex
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Rule
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.outline import Outline, outline_of

Names = Sequence[str] | None  # None: whatever they are


class SomeRules:
    """Some rules, in their order, found by client and by the names that they lead to."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = rules
        self._by_client: dict[str, list[int]] = defaultdict(list)
        self._by_end: dict[str, list[int]] = defaultdict(list)
        for number, rule in enumerate(rules):
            self._by_client[rule.client].append(number)
            self._by_end[rule.to].append(number)

    @property
    def clients(self) -> Sequence[str]:
        """The clients, in the order of their first rule."""
        return list(self._by_client)

    @property
    def ends(self) -> Iterable[str]:
        """The names that the rules lead to."""
        return self._by_end

    def tos(self, client: str) -> Iterable[str]:
        """Return the names to which the rules of a client lead."""
        return {self._rules[number].to for number in self._by_client.get(client, ())}

    def of(self, clients: Names, ends: Names = None) -> Sequence[Rule]:
        """Return the rules of clients to names, in their order."""
        if clients is None and ends is None:
            return self._rules
        if clients is None:
            numbers = {number for name in ends or () for number in self._by_end.get(name, ())}
        else:
            numbers = {number for client in clients for number in self._by_client.get(client, ())}
        found = [self._rules[number] for number in sorted(numbers)]
        return found if clients is None or ends is None else [rule for rule in found if rule.to in set(ends)]

    def ids(self) -> Iterable[str]:
        """Yield the ids of all rules, in their order."""
        return (rule.id for rule in self._rules)

    def perhaps(self, open_ends: Callable[[str, Outline], set[str]]) -> Iterable[Rule]:
        """Return the rules to look at one by one."""
        return self._rules


class EveryRule:
    """All rules of a site, by the outlines of segments and network sets: only those that are asked for are looked at."""

    def __init__(self, index: SiteIndex) -> None:
        self._index = index
        self.clients = tuple(name for name in index.clients_by_name if outline_of(index.holder(name)).ends)
        self._order = {client: number for number, client in enumerate(self.clients)}
        self._ends = {client: outline_of(index.holder(client)).ends.keys() for client in self.clients}

    @property
    def ends(self) -> Iterable[str]:
        """The names that the rules lead to."""
        return self._index.clients_to

    def tos(self, client: str) -> Iterable[str]:
        """Return the names to which the rules of a client lead."""
        return self._ends[client]

    def of(self, clients: Names, ends: Names = None) -> Sequence[Rule]:
        """Return the rules of clients to names, in their order."""
        if clients is None:
            return self._index.rules if ends is None else self._index.rules_leading(ends)
        chosen = sorted(clients, key=self._order.__getitem__)
        found = [rule for client in chosen for rule in self._index.holder(client).allow]
        return found if ends is None else [rule for rule in found if rule.to in set(ends)]

    def ids(self) -> Iterable[str]:
        """Yield the ids of all rules, in their order."""
        return chain.from_iterable([outline_of(self._index.holder(client)).ids for client in self.clients])

    def perhaps(self, open_ends: Callable[[str, Outline], set[str]]) -> Iterable[Rule]:
        """Return the rules to look at one by one: those that lead to the names that ``open_ends`` says of a client's outline."""
        for client in self.clients:
            holder = self._index.holder(client)
            names = open_ends(client, outline_of(holder))
            if names:
                yield from (rule for rule in holder.allow if rule.to in names)
