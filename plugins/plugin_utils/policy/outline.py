# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The permissions of one segment or network set at a glance: what a question about all rules of a site asks of each of them.

A large site has fifty rules for each segment, and most questions are about pairs of ends, names of services, or whether any rule has an
expiry. An outline answers them once for a segment, and is kept with it: another situation has most segments as they are.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, KeysView, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import chain
from typing import Any, NamedTuple

from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import NetworkSet, Rule, Segment, Site

# Bands of evidence (schemas/segment.schema.json), least first; a rule without evidence comes after all others.
DAYS = ("1 to 2", "3 to 6", "7 to 13", "14 to 29", "30 or more")
DEVICES = ("one", "some", "most", "all")
_DAYS = {band: -number for number, band in enumerate(DAYS, 1)}
_DEVICES = {band: -number for number, band in enumerate(DEVICES, 1)}

Services = tuple[str, ...]


def use_of(rule: Rule) -> tuple[int, int]:
    """Return how much a rule was seen to be used: bands of days and of devices, most used first when sorted; kept with the rule."""
    found: tuple[int, int] | None = rule.__dict__.get("_use")
    if found is None:
        found = rule.__dict__["_use"] = _use(rule.evidence) if rule.evidence else _UNUSED
    return found


_UNUSED = (0, 0)


def _use(evidence: Mapping[str, Any]) -> tuple[int, int]:
    return _DAYS.get(evidence.get("days", ""), 0), _DEVICES.get(evidence.get("devices", ""), 0)


class End(NamedTuple):
    """The rules that lead to one end. ``text`` tells them apart from any others: places (``places_of``) and lines in the files, ids,
    services, use, devices. ``services`` are what they name, each once, ``devices`` the devices for which alone some of them hold.
    """

    text: str
    services: tuple[Services, ...]
    devices: tuple[tuple[str, ...], ...]

    def rules(self) -> Iterator[tuple[int, str, Services]]:
        """Yield place, id and services of each rule."""
        for line in self.text.split("\n"):
            number, name, services, _rest = line.split("|", 3)
            yield int(number), name, tuple(services.split())


@dataclass(frozen=True)
class Outline:
    """``ids`` in the order of the rules; ``ends`` by the name that rules lead to, in the order of the first rule of each.

    ``services``: what the rules name, each once. The rest says whether some rule has a condition, an expiry, devices of its own; no owner;
    no reason.
    """

    ids: tuple[str, ...]
    ends: Mapping[str, End]
    services: frozenset[Services]
    conditional: bool
    expiring: bool
    limited: bool
    unowned: bool
    unreasoned: bool


def outline_of(holder: Segment | NetworkSet) -> Outline:
    """Return the outline of a segment's or network set's rules; made once and kept with it."""
    found: Outline | None = holder.__dict__.get("_outline")
    if found is None:
        numbered = zip(places_of(holder), holder.allow, strict=True)
        found = holder.__dict__["_outline"] = _made(numbered, holder.location.file, holder.owner)
    return found


def places_of(holder: Segment | NetworkSet) -> Sequence[int]:
    """Return a number for each rule of a segment or network set, rising: its place among all that are written there.

    In a situation some rules do not hold. The rest keep their numbers, so that all that is known by a rule's outline is known there too.
    """
    found: tuple[int, ...] | None = holder.__dict__.get("_places")
    return range(len(holder.allow)) if found is None else found


def rule_at(holder: Segment | NetworkSet, place: int) -> Rule:
    """Return the rule of a place; ValueError where there is none."""
    places = places_of(holder)
    at = bisect_left(places, place)
    if at == len(places) or places[at] != place:
        raise ValueError(f"{holder.name} has no rule at {place}")
    return holder.allow[at]


def with_some_rules(segment: Segment, changed: Callable[[Rule], Rule | None]) -> Segment:
    """Return a segment whose rules are what ``changed`` makes of them, None to leave one out; itself where nothing changes."""
    numbered = [
        (place, found)
        for place, rule in zip(places_of(segment), segment.allow, strict=True)
        if (found := changed(rule))
    ]
    allow = tuple(rule for _place, rule in numbered)
    if allow == segment.allow:
        return segment
    made = replace(segment, allow=allow)
    made.__dict__["_places"] = tuple(place for place, _rule in numbered)
    return made


def ends_sum(outline: Outline) -> str:
    """Return the SHA-256 of all that an outline says of ends and the rules that lead to them; kept with it and where it is kept."""
    found: str | None = outline.__dict__.get("_ends_sum")
    if found is None:
        text = "\n".join([f"{to}\n{end.text}\n" for to, end in outline.ends.items()])
        found = outline.__dict__["_ends_sum"] = sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return found


def plain_outline(outline: Outline) -> list[Any]:
    """Return an outline as plain values, for ``read_outline``."""
    table = sorted({end.services for end in outline.ends.values()})
    number = {services: place for place, services in enumerate(table)}
    ends = outline.ends.values()
    texts, own = [end.text for end in ends], [number[end.services] for end in ends]
    devices = {to: end.devices for to, end in outline.ends.items() if end.devices}
    flags = outline.conditional, outline.expiring, outline.limited, outline.unowned, outline.unreasoned
    named = [",".join(" ".join(services) for services in each) for each in table]
    columns = outline.ids, named, list(outline.ends), texts
    return [*map(_column, columns), own, devices, flags, ends_sum(outline)]


def read_outline(plain: Sequence[Any]) -> Outline:
    """Return the outline that ``plain_outline`` made plain values of, also through JSON."""
    ids, named, tos, texts, own, devices, flags, total = plain
    table = [_SERVICES.get(text) or _services(text) for text in _items(named)]
    made = KeptEnds(_items(tos), texts, own, table, {to: tuple(map(tuple, each)) for to, each in devices.items()})
    outline = Outline(tuple(_items(ids)), made, frozenset(chain.from_iterable(table)), *flags)
    outline.__dict__["_ends_sum"] = total
    return outline


def _column(items: Iterable[str]) -> str | list[str]:
    """Return texts as one, which is read far quicker than many; as a list where that would not tell them apart."""
    every = list(items)
    return BETWEEN.join(every) if every and not any(BETWEEN in item for item in every) else every


def _items(column: str | list[str]) -> list[str]:
    return column.split(BETWEEN) if isinstance(column, str) else column


def _services(text: str) -> tuple[Services, ...]:
    """Return what rules to one end name, of the text that holds it; the same for thousands of ends. Names hold no blank and no comma."""
    found = tuple(tuple(each.split()) for each in text.split(","))
    if len(_SERVICES) < MOST_KNOWN:
        _SERVICES[text] = found
    return found


BETWEEN = "~"
MOST_KNOWN = 50_000
_SERVICES: dict[str, tuple[Services, ...]] = {}


class KeptEnds(Mapping[str, End]):
    """The ends of an outline that was kept: most questions are about names, so what is said of an end is put together when asked for."""

    def __init__(
        self,
        tos: Sequence[str],
        texts: str | list[str],
        own: Sequence[int],
        table: Sequence[tuple[Services, ...]],
        devices: Mapping[str, tuple[tuple[str, ...], ...]],
    ) -> None:
        many = texts.count(BETWEEN) + 1 if isinstance(texts, str) else len(texts)
        if not len(tos) == many == len(own):
            raise ValueError("an outline's columns are of one length")
        self._place = dict(zip(tos, range(len(tos)), strict=True))
        self._texts, self._own, self._table, self._devices = texts, own, table, devices

    def __getitem__(self, name: str) -> End:
        place, texts = self._place[name], self._texts
        if isinstance(texts, str):
            texts = self._texts = texts.split(BETWEEN)
        return End(texts[place], self._table[self._own[place]], self._devices.get(name, ()))

    def __iter__(self) -> Iterator[str]:
        return iter(self._place)

    def __len__(self) -> int:
        return len(self._place)

    def __contains__(self, name: object) -> bool:
        return name in self._place

    def keys(self) -> KeysView[str]:
        """Return the names, as a dictionary has them: sets of them are made without a loop of ours."""
        return self._place.keys()


def rules_by_end(holder: Segment | NetworkSet) -> Mapping[str, list[tuple[int, Rule]]]:
    """Return the rules of a segment or network set by the name that they lead to, each with its place among them; kept with it."""
    found: dict[str, list[tuple[int, Rule]]] | None = holder.__dict__.get("_by_end")
    if found is None:
        found = holder.__dict__["_by_end"] = {}
        for numbered in zip(places_of(holder), holder.allow, strict=True):
            found.setdefault(numbered[1].to, []).append(numbered)
    return found


def outlines_of(site: Site) -> Iterator[Outline]:
    """Return the outlines of all segments and network sets, in the order of ``Site.rules``."""
    return (outline_of(holder) for _name, holder in holders_of(site))


def holders_of(site: Site) -> Iterator[tuple[str, Segment | NetworkSet]]:
    """Yield every segment and then every network set by name, in the order of ``Site.rules``."""
    for group in (site.segments, site.networks):
        yield from ((name, group[name]) for name in sorted(group))


def count_of_rules(site: Site) -> int:
    """Return the number of a site's rules."""
    return sum(len(outline.ids) for outline in outlines_of(site))


def rules_of(site: Site, wanted: Callable[[Outline], bool]) -> Iterator[Rule]:
    """Yield the rules of the segments and network sets whose outline is wanted, in the order of ``Site.rules``."""
    for _name, holder in holders_of(site):
        if wanted(outline_of(holder)):
            yield from holder.allow


def _made(rules: Iterable[tuple[int, Rule]], file: str, owner: str) -> Outline:
    texts: dict[str, list[str]] = {}
    services: dict[str, dict[Services, None]] = {}
    devices: dict[str, list[tuple[str, ...]]] = {}
    ids: list[str] = []
    conditional = expiring = unowned = unreasoned = False
    for number, rule in rules:
        place, to, evidence = rule.location, rule.to, rule.evidence
        use = _use(evidence) if evidence else _UNUSED
        # A name holds no "|" and no line break, a file may hold a "|": it comes last.
        text = f"{number}|{rule.id}|{' '.join(rule.services)}|{place.line}|{use}"
        if rule.devices:
            text += f"|{rule.devices!r}"
            devices.setdefault(to, []).append(rule.devices)
        if place.file != file:
            text += f"|{place.file}"
        if to in texts:
            texts[to].append(text)
            services[to][rule.services] = None
        else:
            texts[to] = [text]
            services[to] = {rule.services: None}
        ids.append(rule.id)
        conditional = conditional or rule.conditions is not None
        expiring = expiring or bool(rule.expires)
        unowned = unowned or not (rule.owner or owner)
        unreasoned = unreasoned or not rule.reason.strip()
    return Outline(
        tuple(ids),
        {to: End("\n".join(found), tuple(services[to]), tuple(devices.get(to, ()))) for to, found in texts.items()},
        frozenset(item for found in services.values() for item in found),
        conditional,
        expiring,
        bool(devices),
        unowned,
        unreasoned,
    )
