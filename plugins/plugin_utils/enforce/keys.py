# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys of lists: everything a list depends on, and nothing else, so that a change touches only what it concerns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property, partial
from hashlib import sha256
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.cache import ListCache, key_of, key_of_texts
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.index import FAMILIES, SiteIndex
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.literals import literal
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.management import Flow, management_flows
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.resolve import addresses_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import (
    Assignment,
    EnforcementPoint,
    Rule,
    Site,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.outline import (
    End,
    Outline,
    Services,
    ends_sum,
    outline_of,
)


class Keys:
    """Keys of one site in force; parts that many lists share are hashed once.

    ``other``: those of a site with the same names, addresses and services (``_alike``), such as the same policy in another situation. What
    it knows of the very same rules holds here too.
    """

    def __init__(self, index: SiteIndex, other: Keys | None = None) -> None:
        self._index = index
        self._names: dict[str, str] = other._names if other else {}
        self._services: dict[tuple[str, ...], str] = other._services if other else {}
        self._asked: dict[str, list[tuple[Outline, str]]] = other._asked if other else {}
        self._leading: dict[str, list[tuple[Sequence[tuple[str, End]], str]]] = other._leading if other else {}
        self._heads: dict[str, str] = other._heads if other else {}
        self._asked_here: dict[str, str] = {}  # of this site alone: its rules never change
        self._leading_here: dict[str, str] = {}
        if other is not None:
            self._take_over(other)
        # Cells by their place: what made each (``matrix.py``), and its list.
        self.cells: dict[object, tuple[object, Any]] = other.cells if other else {}
        self.closed_cells: dict[tuple[str, int], dict[tuple[str, str], Any]] = other.closed_cells if other else {}

    def _take_over(self, other: Keys) -> None:
        """Take the keys of rules that are the very same in the other site: of clients that are, and of names to which only these lead."""
        mine, theirs = self._index, other._index
        changed = set(mine.clients_by_name) ^ set(theirs.clients_by_name)
        for name in set(mine.clients_by_name) - changed:
            if mine.holder(name) is not theirs.holder(name):
                changed.add(name)
        led: set[str] = set()
        for name in changed:
            for index in (mine, theirs):
                if name in index.site.segments or name in index.site.networks:
                    led.update(outline_of(index.holder(name)).ends)
        self._asked_here.update((n, key) for n, key in other._asked_here.items() if n not in changed)
        self._leading_here.update((n, key) for n, key in other._leading_here.items() if n not in led)

    @property
    def site(self) -> Site:
        """The site whose keys these are."""
        return self._index.site

    @cached_property
    def shared(self) -> str:
        """What every list depends on: lease servers and management conversations."""
        flows = [
            (f.label, f.point.id, f.point.location, f.client, f.server, f.matches)
            for family in FAMILIES
            for f in management_flows(self._index, family)
        ]
        return key_of(self._index.dhcp.pairs, self._index.dhcp_six.pairs, flows)

    def name(self, name: str) -> str:
        """Return the key of an end's addresses."""
        found = self._names.get(name)
        if found is None:
            values = [self._index.addresses(name, family) for family in FAMILIES]
            if name in self._index.site.segments:
                values += [literal(self._index, name, family) for family in FAMILIES]
            found = self._names[name] = key_of([None if v is None else v.pairs for v in values])
        return found

    def rules(self, rules: Iterable[Rule]) -> str:
        """Return the key of rules in their order: their ids, ends, services and places in the files, and the addresses of all ends."""
        known, names = self._services, set()
        lines: list[str] = []
        for rule in rules:
            services = known.get(rule.services) or self._service(rule.services)
            place = rule.location
            # A name holds no "|", a file may: it comes last. No file's name as findings have it holds a line break.
            lines.append(f"{rule.id}|{rule.client}|{rule.to}|{services}|{place.line}|{place.file}")
            if rule.devices:
                lines.append(self._devices(rule.client, rule.devices))
            names.add(rule.client)
            names.add(rule.to)
        segments = self._index.site.segments
        # Whether an end is a segment or a set of the same name is a part of what it is.
        lines += [f"{name}{'=' if name in segments else '~'}{self.name(name)}" for name in sorted(names)]
        return sha256("\n".join(lines).encode("utf-8", "surrogatepass")).hexdigest()

    def asked(self, segment: str) -> str:
        """Return the key of the rules of a segment or network set, "" where it has none; other situations have mostly the same."""
        here = self._asked_here.get(segment)
        if here is None:
            here = self._asked_here[segment] = self._asked_of(segment)
        return here

    def _asked_of(self, segment: str) -> str:
        outline = outline_of(self._index.holder(segment))
        if not outline.ends:
            return ""
        cache = self._index.cache
        if cache is None or outline.limited:
            return self._asked_by_ends(segment, outline)
        whole = key_of_texts("asked", self._ground, segment, ends_sum(outline))
        return cache.sum_of(whole, partial(self._asked_by_ends, segment, outline))

    def _asked_by_ends(self, segment: str, outline: Outline) -> str:
        known = self._asked.setdefault(segment, [])
        for one, key in known:
            if one is outline:
                return key
        head, names = self._head, self._heads
        lines = [names.get(segment) or head(segment)]
        lines += [f"{names.get(to) or head(to)}\n{end.text}" for to, end in outline.ends.items()]
        made = self._with_services(segment, lines, outline.services, outline.ends.values() if outline.limited else ())
        known.append((outline, made))
        return made

    def leading(self, name: str) -> str:
        """Return the key of all rules that lead to a name, "" where none does."""
        here = self._leading_here.get(name)
        if here is None:
            here = self._leading_here[name] = self._leading_of(name)
        return here

    def _leading_of(self, name: str) -> str:
        clients = self._index.clients_to.get(name)
        if not clients:
            return ""
        cache, sums = self._index.cache, self._ends_sums
        if cache is None:
            return self._leading_by_parts(name)
        whole = sha256(f"leading {self._ground} {name}\n".encode())
        try:
            whole.update(b"".join([sums[client] for client in clients]))
        except KeyError:  # some rules of a client are for some devices only
            return self._leading_by_parts(name)
        return cache.sum_of(whole.hexdigest()[:40], partial(self._leading_by_parts, name))

    @cached_property
    def _ends_sums(self) -> Mapping[str, bytes]:
        """Of each client without rules for some devices only: the hash of its name and of all that its outline says of ends."""
        found: dict[str, bytes] = {}
        for client in self._index.clients_by_name:
            outline = outline_of(self._index.holder(client))
            if not outline.limited:
                found[client] = sha256(f"{client}\n{ends_sum(outline)}".encode()).digest()
        return found

    @cached_property
    def _ground(self) -> str:
        """The key of all that keys of rules hold beside the rules: what each end is, its addresses and file, and what services match.

        With it and ``ends_sum`` such a key is known without a look at the ends, unless rules are for some devices only.
        """
        index = self._index
        names = sorted({*index.clients_by_name, *index.clients_to})
        services = key_of(sorted(index.site.services.items()))
        return key_of_texts(services, *(self._heads.get(name) or self._head(name) for name in names))

    def _leading_by_parts(self, name: str) -> str:
        parts = self._index.parts_to(name)
        known = self._leading.setdefault(name, [])
        for one, key in known:
            if one == parts:
                return key
        head, names = self._head, self._heads
        lines = [names.get(name) or head(name)]
        lines += [f"{names.get(client) or head(client)}\n{end.text}" for client, end in parts]
        lines += [self._devices_of(client, end) for client, end in parts if end.devices]
        services: set[Services] = set()
        services.update(*[end.services for _client, end in parts])
        made = self._with_services("", lines, services)
        known.append((parts, made))
        return made

    def served(self, segment: str, family: int) -> str:
        """Return the key of the rules that lead to a segment's devices."""
        names = self._index.names_to(segment, family)
        return self.leading(names[0]) if len(names) == 1 else key_of([self.leading(name) for name in names])

    def between(self, client: str, to: str) -> str:
        """Return the key of the rules of a client that lead to a name, "" where there are none."""
        end = outline_of(self._index.holder(client)).ends.get(to)
        if end is None:
            return ""
        return self._with_services(client, [self._head(client), self._head(to), end.text], end.services, (end,))

    def _with_services(
        self, client: str, lines: list[str], services: Iterable[Services], limited: Iterable[End] = ()
    ) -> str:
        """Return the key of rules by what tells them apart, with what their services match, and which devices they are for."""
        known = self._services
        try:
            lines += sorted([known[item] for item in services])
        except KeyError:
            lines += sorted([known.get(item) or self._service(item) for item in services])
        lines += (self._devices_of(client, end) for end in limited if end.devices)
        return sha256("\n".join(lines).encode("utf-8", "surrogatepass")).hexdigest()

    def _devices_of(self, client: str, end: End) -> str:
        return " ".join(self._devices(client, devices) for devices in end.devices)

    def _head(self, name: str) -> str:
        """Return what is to be known of an end: its name, whether it is a segment, its addresses, and the file of its own rules."""
        found = self._heads.get(name)
        if found is None:
            site = self._index.site
            holder = site.segments.get(name) or site.networks.get(name)
            file = holder.location.file if holder else ""
            found = self._heads[name] = f"{name}{'=' if name in site.segments else '~'}{self.name(name)}|{file}"
        return found

    def _service(self, services: tuple[str, ...]) -> str:
        """Return the key of services: their names and what they match."""
        matches = [self._index.matches(services, family) for family in FAMILIES]
        found = self._services[services] = key_of(services, matches)
        return found

    def _devices(self, client: str, devices: tuple[str, ...]) -> str:
        """Return the key of the devices for which alone a rule holds: which of the client's addresses are theirs."""
        chosen = [m for m in self._index.site.members.get(client, ()) if m.device in devices]
        return key_of(devices, [addresses_of((a for m in chosen for a in m.addresses), f).pairs for f in FAMILIES])

    def access(self, point: EnforcementPoint, assignment: Assignment, interfaces: Sequence[str]) -> str:
        """Return the key of the lists of a segment at an access point."""
        segment = assignment.segment
        served = [self.served(segment, family) for family in FAMILIES]
        own, asked = self.name(segment), self.asked(segment)
        ports = repr(interfaces) if interfaces else ""
        return key_of_texts("access", self.shared, _point(point), _assigned(assignment), own, asked, *served, ports)

    def cell(
        self,
        point: EnforcementPoint,
        pair: tuple[str, ...],
        rules: Sequence[Sequence[Rule]],
        stage: str,
        managed: Sequence[Sequence[Flow]],
    ) -> str:
        """Return the key of a cell: its rules and management conversations, one way and the other."""
        both = [self.rules(part) if part else "" for part in rules]
        flows = [[(flow.label, flow.point.id) for flow in part] for part in managed] if any(managed) else []
        managing = key_of(flows, self.shared) if any(flows) else ""
        return key_of_texts("cell", _point(point), *pair, stage, *both, managing)

    def closed_cell(self, point: EnforcementPoint, family: int) -> Callable[[tuple[str, str], str], str]:
        """Return what gives the key of a cell without rules and management conversations, of its pair and stage: that of ``cell``."""
        before, after = f"cell\n{_point(point)}\n", "\nipv6\n" if family == 6 else "\n"

        def key(pair: tuple[str, str], stage: str) -> str:
            text = f"{before}{pair[0]}\n{pair[1]}{after}{stage}\n\n\n"
            return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:40]

        return key

    def gateway(
        self, point: EnforcementPoint, gateway: Mapping[str, Any], what: str, family: int, here: Sequence[Assignment]
    ) -> str:
        """Return the key of what concerns one family at a routed interface with devices of some assigned segments behind it.

        ``what``: the direction of a list, or another question about the rules of these segments and those that lead to them.
        """
        own = [(self.name(a.segment), self.asked(a.segment), self.served(a.segment, family)) for a in here]
        return key_of("gateway", self.shared, _point(point), sorted(gateway.items()), what, family, list(here), own)

    def frame(self, point: EnforcementPoint, inputs: object) -> str:
        """Return the key of what stands before and after the rules of a firewall's list."""
        return key_of("frame", self.shared, _point(point), inputs)

    def firewall(self, point: EnforcementPoint, concern: str, segment: str) -> str:
        """Return the key of the part of a firewall's list that holds the rules of one client segment."""
        return key_of_texts("firewall", self.shared, _point(point), concern, segment, self.asked(segment))


def keys_of_site(site: Site, cache: ListCache | None) -> Keys:
    """Return the keys of a site in force, those that its compilation used where it was compiled with the same cache."""
    found: SiteIndex | None = site.__dict__.get("_index")
    return keys_of(found if found is not None and found.cache is cache else SiteIndex(site, cache))


def keys_of(index: SiteIndex) -> Keys:
    """Return the keys of a prepared site; made once for it."""
    found: Keys | None = index.__dict__.get("_keys")
    if found is None:
        first: Keys | None = index.cache.__dict__.get("_keys") if index.cache is not None else None
        found = index.__dict__["_keys"] = Keys(index, first if first and _alike(first.site, index.site) else None)
        if index.cache is not None and first is None:
            index.cache.__dict__["_keys"] = found
    return found


def _alike(one: Site, two: Site) -> bool:
    """Return whether names, addresses and services are the very same in two sites: all that keys of rules hold beside the rules."""
    return one.segments.keys() == two.segments.keys() and all(
        getattr(one, name) is getattr(two, name) for name in ("members", "networks", "services", "zones", "budgets")
    )


def _assigned(assignment: Assignment) -> str:
    """Return the key of an assignment; kept with it, since every situation asks."""
    found: str | None = assignment.__dict__.get("_key")
    if found is None:
        found = assignment.__dict__["_key"] = key_of(assignment)
    return found


def _point(point: EnforcementPoint) -> str:
    """Return the key of a point; kept with it, since all its lists ask."""
    found: str | None = point.__dict__.get("_key")
    if found is None:
        options = sorted(point.options.items())
        found = key_of(point.id, point.kind, point.platform, point.host, options, point.location)
        point.__dict__["_key"] = found
    return found
