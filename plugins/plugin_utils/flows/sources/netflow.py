# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""NetFlow v5, v9 and IPFIX datagrams to one-way records.

Datagrams are only taken apart into sets; records of one template are decoded together, as arrays, when ``tables`` is called. Data whose
template has not come yet waits in a bounded buffer. Sequence numbers are watched per exporter: v5 counts records, v9 datagrams, IPFIX
data records (RFC 3954 section 5.1, RFC 7011 section 3.1).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources import export_records
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.export_records import SetContext
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.templates import (
    SCOPE,
    Domain,
    Field,
    Template,
    TemplateError,
    Templates,
    templates_of_set,
)

np = guarded("numpy")

V5_HEADER, V9_HEADER, IPFIX_HEADER = struct.Struct(">HHIIIIBBH"), struct.Struct(">HHIIII"), struct.Struct(">HHIII")
V5_RECORD = 48
# The record of v5 as a template: element numbers say the same in both (netflow v5 format, Cisco NetFlow services guide).
V5 = Template(
    tuple(
        Field(element, length)
        for element, length in (
            (8, 4), (12, 4), (15, 4), (10, 2), (14, 2), (2, 4), (1, 4), (22, 4), (21, 4), (7, 2), (11, 2), (210, 1), (6, 1), (4, 1), (5, 1),
            (16, 2), (17, 2), (9, 1), (13, 1), (210, 2),
        )
    )
)  # fmt: skip
HELD_OCTETS = 4 << 20
GAP_LIMIT = 1 << 30


@dataclass
class Exporter:
    """What was seen of one exporter. ``lost`` is in the unit its sequence counts: records for v5 and IPFIX, datagrams for v9."""

    datagrams: int = 0
    records: int = 0
    option_records: int = 0
    no_addresses: int = 0
    undecoded_sets: int = 0
    damaged: int = 0
    lost: int = 0
    restarts: int = 0
    impossible_times: int = 0
    sampling: int = 1
    first_us: int = 0
    last_us: int = 0

    def as_dict(self) -> dict[str, int]:
        """Return plain values without zeros."""
        return {name: value for name, value in vars(self).items() if value}


@dataclass
class _Batch:
    template: Template
    parts: list[bytes] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    contexts: list[SetContext] = field(default_factory=list)
    total: int = 0


@dataclass
class Decoder:
    """Decodes datagrams of many exporters. ``source`` goes into the records; ``prefix`` before each exporter's address."""

    templates: Templates = field(default_factory=Templates)
    source: str = ""
    prefix: str = ""
    exporters: dict[str, Exporter] = field(default_factory=dict)
    pending: int = 0
    _batches: dict[tuple[Domain, int], _Batch] = field(default_factory=dict)
    _held: dict[tuple[Domain, int], list[tuple[bytes, SetContext]]] = field(default_factory=dict)
    _held_octets: int = 0
    _rates: dict[Domain, dict[int, int]] = field(default_factory=dict)
    _init_ms: dict[Domain, int] = field(default_factory=dict)
    _before: dict[Domain, tuple[int, tuple[int, ...]]] = field(default_factory=dict)

    def feed(self, datagram: bytes, exporter: str) -> bool:
        """Take one datagram; returns whether it was whole. What stands before damage is kept. Never raises for its content."""
        own = self.exporters.get(exporter)
        if own is None:
            own = self.exporters[exporter] = Exporter()
        own.datagrams += 1
        version = int.from_bytes(datagram[:2], "big")
        whole = False
        if version == 9 and len(datagram) >= 20:
            whole = self._feed_v9(datagram, exporter, own)
        elif version == 10 and len(datagram) >= 16:
            whole = self._feed_ipfix(datagram, exporter, own)
        elif version == 5 and len(datagram) >= 24:
            whole = self._feed_v5(datagram, exporter, own)
        if not whole:
            own.damaged += 1
        return whole

    def tables(self) -> Iterator[Any]:
        """Yield Arrow tables of the records taken since the last call."""
        batches, self._batches, self.pending = self._batches, {}, 0
        for (domain, _identity), batch in batches.items():
            template = batch.template
            own = self.exporters[domain[0]]
            rates = self._rates.get(domain, {})
            made, impossible = export_records.tables_of(
                template,
                b"".join(batch.parts),
                batch.total,
                batch.contexts,
                batch.counts,
                rates,
                self.prefix + domain[0],
                self.source,
            )
            own.impossible_times += impossible
            if not made:
                own.no_addresses += batch.total
                continue
            own.records += batch.total
            for table in made:
                own.sampling = max(own.sampling, int(np.max(table.column("sampling").to_numpy())))
                yield table

    def finish(self) -> None:
        """Count the sets whose template never came, and forget them."""
        for (domain, _number), waiting in self._held.items():
            self.exporters[domain[0]].undecoded_sets += len(waiting)
        self._held.clear()
        self._held_octets = 0

    # -- versions ---------------------------------------------------------------------------------------------------

    def _feed_v5(self, datagram: bytes, exporter: str, own: Exporter) -> bool:
        _version, count, uptime, seconds, nanoseconds, sequence, kind, engine, sampling = V5_HEADER.unpack_from(
            datagram
        )
        domain = (exporter, 5, (kind << 8) | engine)
        held = min(count, (len(datagram) - 24) // V5_RECORD)
        export_us = seconds * 1_000_000 + min(nanoseconds, 999_999_999) // 1000
        self._seen(own, export_us)
        self._sequence(domain, own, sequence, (count,))
        if sampling & 0x3FFF > 1:
            self._rates.setdefault(domain, {})[-1] = sampling & 0x3FFF
        context = SetContext(export_us, uptime, export_us // 1000 - uptime)
        self._add(domain, V5, datagram[24 : 24 + held * V5_RECORD], held, context)
        return held == count

    def _feed_v9(self, datagram: bytes, exporter: str, own: Exporter) -> bool:
        _version, _count, uptime, seconds, sequence, source_id = V9_HEADER.unpack_from(datagram)
        domain = (exporter, 9, source_id)
        self._seen(own, seconds * 1_000_000)
        self._sequence(domain, own, sequence, (1,))
        context = SetContext(seconds * 1_000_000, uptime, seconds * 1000 - uptime)
        whole, _records = self._sets(datagram, 20, len(datagram), domain, own, context)
        return whole

    def _feed_ipfix(self, datagram: bytes, exporter: str, own: Exporter) -> bool:
        _version, length, seconds, sequence, number = IPFIX_HEADER.unpack_from(datagram)
        domain = (exporter, 10, number)
        self._seen(own, seconds * 1_000_000)
        context = SetContext(seconds * 1_000_000, -1, self._init_ms.get(domain, 0))
        end = min(length, len(datagram))
        options = own.option_records
        whole, records = self._sets(datagram, 16, end, domain, own, context)
        if records < 0:
            self._before.pop(domain, None)
        else:
            self._sequence(domain, own, sequence, (records, records - (own.option_records - options)))
        return whole and length <= len(datagram)

    def _sets(
        self, datagram: bytes, offset: int, end: int, domain: Domain, own: Exporter, context: SetContext
    ) -> tuple[bool, int]:
        """Take the sets of a datagram; returns (whole, number of data records or -1 where some could not be counted)."""
        version, records, uncounted = domain[1], 0, False
        template_set, options_set = (0, 1) if version == 9 else (2, 3)
        while offset + 4 <= end:
            number, length = struct.unpack_from(">HH", datagram, offset)
            if length < 4 or offset + length > end:
                # Some exporters pad a datagram with zeros behind the last set.
                return not any(datagram[offset:end]), -1
            body = datagram[offset + 4 : offset + length]
            offset += length
            if number >= 256:
                count = self._data(domain, number, body, own, context)
                uncounted |= count < 0
                records += max(count, 0)
            elif number in (template_set, options_set):
                try:
                    for key, template in templates_of_set(body, version, number == options_set):
                        self.templates.put(domain, key, template)
                        self._release(domain, key, own)
                except TemplateError:
                    return False, -1
        return True, -1 if uncounted else records

    def _data(self, domain: Domain, number: int, body: bytes, own: Exporter, context: SetContext) -> int:
        template = self.templates.get(domain, number)
        if template is None:
            if self._held_octets + len(body) <= HELD_OCTETS:
                self._held.setdefault((domain, number), []).append((body, context))
                self._held_octets += len(body)
            else:
                own.undecoded_sets += 1
            return -1
        data, count = template.project(body)
        if template.options:
            own.option_records += count
            self._options(domain, template, data, count)
        elif count:
            self._add(domain, template, data, count, context)
        return count

    def _release(self, domain: Domain, number: int, own: Exporter) -> None:
        waiting = self._held.pop((domain, number), None)
        for body, context in waiting or ():
            self._held_octets -= len(body)
            self._data(domain, number, body, own, context)

    def _add(self, domain: Domain, template: Template, data: bytes, count: int, context: SetContext) -> None:
        # By identity: a batch keeps its template alive, and hashing one takes longer than the rest of this.
        batch = self._batches.get((domain, id(template)))
        if batch is None:
            batch = self._batches[domain, id(template)] = _Batch(template)
        batch.parts.append(data)
        batch.counts.append(count)
        batch.contexts.append(context)
        batch.total += count
        self.pending += count

    def _options(self, domain: Domain, template: Template, data: bytes, count: int) -> None:
        """Take sampling rates and the device's start time from option records."""
        for row in range(count):
            start = row * template.size
            values: dict[int, int] = {}
            for offset, each in template.fixed:
                if each.enterprise in (0, SCOPE) and each.length <= 8:
                    value = int.from_bytes(data[start + offset : start + offset + each.length], "big")
                    values.setdefault(each.element if each.enterprise == 0 else -each.element, value)
            rate = values.get(34) or values.get(50) or 0
            if not rate and values.get(305):
                rate = (values[305] + values.get(306, 0)) // values[305]
            if rate:
                sampler = values.get(302, values.get(48, -1))
                own = self._rates.setdefault(domain, {})
                if len(own) < 4096:
                    own[sampler] = min(rate, (1 << 31) - 1)
            if values.get(160):
                self._init_ms[domain] = min(values[160], 1 << 50)

    # -- watching ---------------------------------------------------------------------------------------------------

    @staticmethod
    def _seen(own: Exporter, export_us: int) -> None:
        own.first_us = min(own.first_us or export_us, export_us)
        own.last_us = max(own.last_us, export_us)

    def _sequence(self, domain: Domain, own: Exporter, sequence: int, steps: tuple[int, ...]) -> None:
        """Compare a sequence number with the one before. ``steps`` are what this datagram may add to it, all records first.

        Some exporters count a datagram's own records into its number, and some leave option records out; each of these is accepted.
        """
        before = self._before.get(domain)
        if before is not None:
            gap = (sequence - before[0]) & 0xFFFFFFFF
            allowed = {*before[1], *steps}
            if gap >= GAP_LIMIT and 0 < (-gap) & 0xFFFFFFFF <= 4096:
                # A datagram that was overtaken: it was counted as lost when the later one came.
                own.lost = max(0, own.lost - steps[0])
                return
            if gap >= GAP_LIMIT:
                own.restarts += 1
            elif gap not in allowed:
                own.lost += max(0, gap - max(allowed))
        self._before[domain] = (sequence, steps)
