# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""NetFlow v5, v9, IPFIX and sFlow datagrams to one-way records.

Datagrams are only taken apart into sets; records of one template are decoded together, as arrays, when ``tables`` is called. Data whose
template has not come yet waits in a bounded buffer. Sequence numbers are watched per exporter: v5 counts records, v9 datagrams, IPFIX
data records (RFC 3954 section 5.1, RFC 7011 section 3.1).
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources import export_records, runs, sampling
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.export_records import SetContext
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.exporters import Exporter
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.sflow import Sflow
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.templates import (
    MOST_RATES,
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
# What a set that waits costs beside its octets: sets may be empty.
HELD_EACH = 128
# Records whose fields are worked out together: so many stay in the processor's caches from one step to the next.
RECORDS_AT_ONCE = 1 << 15
MOST_DOMAINS = 1 << 16
MOST_INTERFACES = 4096
MOST_GAPS = 1000
GAP_LIMIT = 1 << 30


# What a datagram says for its records: its time in microseconds, the device's uptime in milliseconds or -1, when it started.
Context = tuple[int, int, int]


@dataclass
class _Batch:
    template: Template
    parts: list[bytes | memoryview] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    contexts: SetContext = field(default_factory=SetContext)
    total: int = 0

    def pieces(self) -> Iterator[_Batch]:
        """Yield the batch in pieces of whole datagrams, about ``RECORDS_AT_ONCE`` records each."""
        if self.total <= RECORDS_AT_ONCE:
            yield self
            return
        group = np.cumsum(self.counts) // RECORDS_AT_ONCE
        edges = np.flatnonzero(np.diff(group, prepend=-1, append=-1)).tolist()
        for first, last in itertools.pairwise(edges):
            counts = self.counts[first:last]
            yield _Batch(self.template, self.parts[first:last], counts, self.contexts.some(first, last), sum(counts))


@dataclass
class Decoder:
    """Decodes datagrams of many exporters. ``source`` goes into the records; ``prefix`` before each exporter's address."""

    templates: Templates = field(default_factory=Templates)
    source: str = ""
    prefix: str = ""
    exporters: dict[str, Exporter] = field(default_factory=dict)
    pending: int = 0
    sflow: Sflow = field(default_factory=Sflow)
    interfaces: dict[tuple[str, int], tuple[int, int]] = field(default_factory=dict)
    gaps: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    crowded: int = 0
    _last_us: dict[Domain, int] = field(default_factory=dict)
    _skews: dict[str, int] = field(default_factory=dict)
    _batches: dict[tuple[Domain, int], _Batch] = field(default_factory=dict)
    _held: dict[tuple[Domain, int], list[tuple[bytes, Context]]] = field(default_factory=dict)
    _held_octets: int = 0
    _rates: dict[Domain, dict[int, int]] = field(default_factory=dict)
    _init_ms: dict[Domain, int] = field(default_factory=dict)
    _before: dict[Domain, tuple[int, tuple[int, ...]]] = field(default_factory=dict)
    _received_us: int = 0

    def feed_many(
        self, raw: memoryview, data: Any, starts: Any, ends: Any, exporters: Sequence[str], received_us: Any
    ) -> None:
        """Take datagrams at positions of ``raw`` in order; ``data`` holds the same octets as an array with room behind the last.

        Those of v9 and IPFIX that are one data set of a known template are taken together, all others one by one.
        """
        runs.feed_many(self, raw, data, starts, ends, exporters, received_us)

    def feed(self, datagram: bytes, exporter: str, received_us: int = 0) -> bool:
        """Take one datagram; returns whether it was whole. What stands before damage is kept. Never raises for its content.

        ``received_us`` is when it came, in microseconds since 1970 UTC, or 0 where that is not known.
        """
        own = self._exporter(exporter)
        if own is None:
            return False
        own.datagrams += 1
        self._received_us = received_us
        version = int.from_bytes(datagram[:2], "big")
        whole = False
        if version == 9 and len(datagram) >= 20:
            whole = self._feed_v9(datagram, exporter, own)
        elif version == 10 and len(datagram) >= 16:
            whole = self._feed_ipfix(datagram, exporter, own)
        elif version == 5 and len(datagram) >= 24:
            whole = self._feed_v5(datagram, exporter, own)
        elif datagram[:4] == b"\0\0\0\5":
            whole = self._feed_sflow(datagram, exporter, own)
        if not whole:
            own.damaged += 1
        return whole

    def tables(self) -> Iterator[Any]:
        """Yield Arrow tables of the records taken since the last call."""
        batches, self._batches, self.pending = self._batches, {}, 0
        for exporter, table in self.sflow.tables(self.prefix, self.source):
            own = self.exporters[exporter]
            own.records += table.num_rows
            own.sampling = max(own.sampling, int(np.max(table.column("sampling").to_numpy())))
            yield table
        for (domain, _identity), batch in batches.items():
            template = batch.template
            own = self.exporters[domain[0]]
            rates = {**self.templates.rates_at(domain, batch.contexts.export_us[-1]), **self._rates.get(domain, {})}
            for part in batch.pieces():
                made, impossible, inputs = export_records.tables_of(
                    template,
                    b"".join(part.parts),
                    part.total,
                    part.contexts,
                    part.counts,
                    rates,
                    self.prefix + domain[0],
                    self.source,
                )
                own.impossible_times += impossible
                self._count_interfaces(domain[0], inputs)
                if not made:
                    own.no_addresses += part.total
                    continue
                own.records += part.total
                for table in made:
                    own.sampling = max(own.sampling, int(np.max(table.column("sampling").to_numpy())))
                    yield table

    @property
    def held_octets(self) -> int:
        """Return the octets of data that waits for its template, and of keeping it."""
        return self._held_octets

    def finish(self) -> None:
        """Count the sets whose template never came, and forget them."""
        for (domain, _number), waiting in self._held.items():
            self.exporters[domain[0]].undecoded_sets += len(waiting)
        self._held.clear()
        self._held_octets = 0

    def _exporter(self, exporter: str) -> Exporter | None:
        own = self.exporters.get(exporter)
        if own is None:
            if len(self.exporters) >= MOST_DOMAINS:
                self.crowded += 1
                return None
            own = self.exporters[exporter] = Exporter()
        return own

    def _count_interfaces(self, exporter: str, inputs: dict[int, tuple[int, int]]) -> None:
        for number, (count, rate) in inputs.items():
            key = (exporter, number)
            if key in self.interfaces or len(self.interfaces) < MOST_INTERFACES:
                before = self.interfaces.get(key, (0, 1))
                self.interfaces[key] = (before[0] + count, max(before[1], rate))

    # -- versions ---------------------------------------------------------------------------------------------------

    def _feed_v5(self, datagram: bytes, exporter: str, own: Exporter) -> bool:
        _version, count, uptime, seconds, nanoseconds, sequence, kind, engine, rate = V5_HEADER.unpack_from(datagram)
        domain = (exporter, 5, (kind << 8) | engine)
        held = min(count, (len(datagram) - 24) // V5_RECORD)
        export_us = seconds * 1_000_000 + min(nanoseconds, 999_999_999) // 1000
        self._seen(own, exporter, export_us)
        self._sequence(domain, own, sequence, (count,), export_us)
        if rate & 0x3FFF > 1:
            self._rates.setdefault(domain, {})[sampling.ANY] = rate & 0x3FFF
        context = (export_us, uptime, export_us // 1000 - uptime)
        self._add(domain, V5, datagram[24 : 24 + held * V5_RECORD], held, context)
        return held == count

    def _feed_v9(self, datagram: bytes, exporter: str, own: Exporter) -> bool:
        _version, _count, uptime, seconds, sequence, source_id = V9_HEADER.unpack_from(datagram)
        domain = (exporter, 9, source_id)
        self._seen(own, exporter, seconds * 1_000_000)
        self._sequence(domain, own, sequence, (1,), seconds * 1_000_000)
        context = (seconds * 1_000_000, uptime, seconds * 1000 - uptime)
        whole, _records = self._sets(datagram, 20, len(datagram), domain, own, context)
        return whole

    def _feed_ipfix(self, datagram: bytes, exporter: str, own: Exporter) -> bool:
        _version, length, seconds, sequence, number = IPFIX_HEADER.unpack_from(datagram)
        domain = (exporter, 10, number)
        self._seen(own, exporter, seconds * 1_000_000)
        context = (seconds * 1_000_000, -1, self._init_ms.get(domain, 0))
        end = min(length, len(datagram))
        options = own.option_records
        whole, records = self._sets(datagram, 16, end, domain, own, context)
        if records < 0:
            self._before.pop(domain, None)
        else:
            self._sequence(
                domain, own, sequence, (records, records - (own.option_records - options)), seconds * 1_000_000
            )
        return whole and length <= len(datagram)

    def _feed_sflow(self, datagram: bytes, exporter: str, own: Exporter) -> bool:
        whole, part, sequence = self.sflow.feed(datagram, exporter, self._received_us)
        self._seen(own, exporter, self._received_us)
        if sequence >= 0:
            self._sequence((exporter, 5, -1 - part), own, sequence, (1,), self._received_us)
        self.pending = max(self.pending, self.sflow.pending)
        return whole

    def _sets(
        self, datagram: bytes, offset: int, end: int, domain: Domain, own: Exporter, context: Context
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

    def _data(self, domain: Domain, number: int, body: bytes, own: Exporter, context: Context) -> int:
        template = self.templates.get(domain, number)
        if template is None:
            if self._held_octets + HELD_EACH + len(body) <= HELD_OCTETS:
                self._held.setdefault((domain, number), []).append((body, context))
                self._held_octets += HELD_EACH + len(body)
            else:
                own.undecoded_sets += 1
            return -1
        data, count = template.project(body)
        if template.options:
            own.option_records += count
            self._options(domain, template, data, count, context[0])
        elif count:
            self._add(domain, template, data, count, context)
        return count

    def last_sequence(self, domain: Domain) -> tuple[int, tuple[int, ...]] | None:
        """Return the last sequence number of a domain and what its datagram may have added to it."""
        return self._before.get(domain)

    def started(self, domain: Domain) -> int:
        """Return when a domain's device started, in milliseconds since 1970 UTC, or 0."""
        return self._init_ms.get(domain, 0)

    def took(
        self, domain: Domain, count: int, export_us: Any, received_us: Any, sequence: int, steps: tuple[int, ...]
    ) -> None:
        """Note datagrams of a domain that came in order."""
        own = self.exporters[domain[0]]
        own.datagrams += count
        least, last = int(np.argmin(received_us - export_us)), int(np.argmax(export_us))
        for row in sorted({0, least, last, len(export_us) - 1}):
            self._received_us = int(received_us[row])
            self._seen(own, domain[0], int(export_us[row]))
        own.first_us = min(own.first_us, int(export_us.min()))
        self._before[domain] = (sequence, steps)
        self._last_us[domain] = int(export_us[-1])

    def add_many(
        self, domain: Domain, template: Template, parts: list[bytes | memoryview], counts: Any, contexts: Any
    ) -> None:
        """Take the records of data sets of one template; ``contexts`` has times of export, uptimes and starts."""
        batch = self._batches.get((domain, id(template)))
        if batch is None:
            batch = self._batches[domain, id(template)] = _Batch(template)
        batch.parts += parts
        batch.counts += counts.tolist()
        for own, more in zip(
            (batch.contexts.export_us, batch.contexts.uptime_ms, batch.contexts.init_ms), contexts, strict=True
        ):
            own += more
        total = int(counts.sum())
        batch.total += total
        self.pending += total

    def _release(self, domain: Domain, number: int, own: Exporter) -> None:
        waiting = self._held.pop((domain, number), None)
        for body, context in waiting or ():
            self._held_octets -= HELD_EACH + len(body)
            self._data(domain, number, body, own, context)

    def _add(self, domain: Domain, template: Template, data: bytes, count: int, context: Context) -> None:
        # By identity: a batch keeps its template alive, and hashing one takes longer than the rest of this.
        batch = self._batches.get((domain, id(template)))
        if batch is None:
            batch = self._batches[domain, id(template)] = _Batch(template)
        batch.parts.append(data)
        batch.counts.append(count)
        batch.contexts.append(context)
        batch.total += count
        self.pending += count

    def _options(self, domain: Domain, template: Template, data: bytes, count: int, export_us: int) -> None:
        """Take sampling rates and the device's start time from option records."""
        for row in range(count):
            start = row * template.size
            values: dict[int, int] = {}
            for offset, each in template.fixed:
                if each.enterprise in (0, SCOPE) and each.length <= 8:
                    value = int.from_bytes(data[start + offset : start + offset + each.length], "big")
                    values.setdefault(each.element if each.enterprise == 0 else -each.element, value)
            rate = sampling.told(values)
            if rate:
                self.templates.tell_rate(domain, *rate, export_us)
                if domain not in self._rates and len(self._rates) >= MOST_DOMAINS:
                    continue
                own = self._rates.setdefault(domain, {})
                if rate[0] in own or len(own) < MOST_RATES:
                    own[rate[0]] = rate[1]
            if values.get(160) and (domain in self._init_ms or len(self._init_ms) < MOST_DOMAINS):
                self._init_ms[domain] = min(values[160], 1 << 50)

    # -- watching ---------------------------------------------------------------------------------------------------

    def _seen(self, own: Exporter, exporter: str, export_us: int) -> None:
        own.first_us = min(own.first_us or export_us, export_us)
        own.last_us = max(own.last_us, export_us)
        if self._received_us:
            # The least delay seen is nearest to what the two clocks differ by.
            own.skew_us = self._skews[exporter] = min(self._skews.get(exporter, 1 << 62), self._received_us - export_us)

    def _lost(self, domain: Domain, own: Exporter, count: int, export_us: int) -> None:
        own.lost += count
        own.gaps += 1
        before = self._last_us.get(domain, export_us)
        own.gap_us += max(0, export_us - before)
        listed = self.gaps.setdefault(domain[0], [])
        if len(listed) < MOST_GAPS:
            listed.append((min(before, export_us), export_us))

    def _sequence(
        self, domain: Domain, own: Exporter, sequence: int, steps: tuple[int, ...], export_us: int = 0
    ) -> None:
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
            elif gap not in allowed and gap > max(allowed):
                self._lost(domain, own, gap - max(allowed), export_us)
        elif len(self._before) >= MOST_DOMAINS:
            return
        self._before[domain] = (sequence, steps)
        self._last_us[domain] = export_us
