# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decoded data sets to one-way records: fields of a template's records, a whole batch at a time.

Information elements: IANA's IPFIX registry; v9 numbers are the same up to 127. Initiator and responder counters (231, 232, 298, 299) and
reverse elements (RFC 5103) give a second record for the other direction.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import address
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.records import (
    ACK,
    DENIED,
    FROM_EXPORTER,
    SYN,
    record_table,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.icmp import canonical_icmp
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.sampling import by_interface, of_records
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.templates import REVERSE, Template

np = guarded("numpy")
pa = guarded("pyarrow")

BYTES, PACKETS, PROTOCOL, FLAGS = (1, 85, 23), (2, 86, 24), (4,), (6,)
SOURCE_PORT, TARGET_PORT = (7, 180, 182), (11, 181, 183)
SOURCE_V4, TARGET_V4, SOURCE_V6, TARGET_V6 = 8, 12, 27, 28
INITIATOR_BYTES, RESPONDER_BYTES, INITIATOR_PACKETS, RESPONDER_PACKETS = 231, 232, 298, 299
BIFLOW_DIRECTION = 239
ICMP_V4, ICMP_V6 = 32, 139
ICMP_PARTS = ((176, 177), (178, 179))
SYSTEM_INIT = 160
# IANA's firewallEvent and the number that ASA used before version 8.4.
FIREWALL_EVENT = (233, 40005)
# NSEL (Cisco's NetFlow implementation guide for ASA): ids of the lists, and why an event came. An id is 12 octets: hash of the list's name,
# of its entry, and of what the entry was expanded to.
INGRESS_LIST, EGRESS_LIST, EXTENDED_EVENT = 33000, 33001, (33002,)
BY_EGRESS_LIST, NO_CONNECTION = 1002, 1004
# (start, end) elements with the unit in microseconds, most exact first. 154 to 157 are NTP times (RFC 5905).
TIMES = ((156, 157, "ntp", 1), (154, 155, "ntp", 1), (152, 153, "ms", 1000), (150, 151, "s", 1_000_000))
UPTIME_START, UPTIME_END = 22, 21
EVENT_MS, EVENT_US, DURATION_MS, DURATION_US = 323, 324, 161, 162
NTP_EPOCH = 2_208_988_800
EARLIEST_US = 946_684_800_000_000  # 2000-01-01: captures of any age may be replayed to an exporter
LATEST_AHEAD_US = 86_400_000_000
LARGEST = (1 << 62) - 1


@dataclass
class SetContext:
    """What datagrams say for their records, one value each: times of export in microseconds, uptimes and starts in milliseconds.

    An uptime is -1 and a start 0 where it is not known.
    """

    export_us: list[int] = field(default_factory=list)
    uptime_ms: list[int] = field(default_factory=list)
    init_ms: list[int] = field(default_factory=list)

    def append(self, values: tuple[int, int, int]) -> None:
        """Add what one datagram says."""
        self.export_us.append(values[0])
        self.uptime_ms.append(values[1])
        self.init_ms.append(values[2])

    def some(self, first: int, last: int) -> SetContext:
        """Return what datagrams from ``first`` up to, not including, ``last`` say."""
        return SetContext(self.export_us[first:last], self.uptime_ms[first:last], self.init_ms[first:last])


class Columns:
    """Fields of decoded records by information element."""

    def __init__(self, template: Template, data: bytes, count: int) -> None:
        self.count = count
        self._array = np.frombuffer(data, dtype=template.dtype, count=count)
        self._names: dict[tuple[int, int], list[tuple[str, int]]] = {}
        for position, (_offset, each) in enumerate(template.fixed):
            self._names.setdefault((each.enterprise, each.element), []).append((str(position), each.length))

    def has(self, *elements: int, enterprise: int = 0) -> bool:
        """Return whether one of the elements is there."""
        return any((enterprise, each) in self._names for each in elements)

    def integer(self, *elements: int, enterprise: int = 0) -> Any:
        """Return the first of the elements that is there as int64 (largest 2^62 - 1), or None."""
        for element in elements:
            found = self._names.get((enterprise, element))
            if found:
                return self._integer(*found[0])
        return None

    def _integer(self, name: str, length: int) -> Any:
        column = self._array[name]
        if length in (1, 2, 4):
            return column.astype(np.int64)
        if length == 8:
            return np.minimum(column.astype(np.uint64), np.uint64(LARGEST)).astype(np.int64)
        octets = self.octets_of(name, length)
        value = np.zeros(self.count, dtype=np.int64)
        for position in range(max(0, length - 7), length):
            value = (value << 8) | octets[:, position]
        return value & LARGEST

    def ntp(self, element: int) -> Any:
        """Return an NTP time (64 bits) as microseconds since 1970 UTC, or None."""
        octets = self.octets(element, 8)
        if octets is None:
            return None
        whole = np.ascontiguousarray(octets).view(">u8").reshape(-1).astype(np.uint64)
        seconds = (whole >> np.uint64(32)).astype(np.int64)
        fraction = (whole & np.uint64(0xFFFFFFFF)).astype(np.int64)
        return np.where(whole == 0, 0, (seconds - NTP_EPOCH) * 1_000_000 + (fraction * 1_000_000 >> 32))

    def is_of(self, element: int, length: int) -> bool:
        """Return whether an element of just that length is there."""
        return any(size == length for _name, size in self._names.get((0, element), ()))

    def octets(self, element: int, length: int) -> Any:
        """Return an element of just that length as octets of shape (n, length), or None."""
        for name, size in self._names.get((0, element), ()):
            if size == length:
                return self.octets_of(name, size)
        return None

    def octets_of(self, name: str, length: int) -> Any:
        return np.ascontiguousarray(self._array[name]).view(np.uint8).reshape(self.count, length)


def addresses(columns: Columns) -> tuple[Any, Any, Any, Any] | None:
    """Return (source hi, lo, target hi, lo), or None where the records name no two hosts."""
    made: list[Any] = []
    for four, six in ((SOURCE_V4, SOURCE_V6), (TARGET_V4, TARGET_V6)):
        plain, long = columns.is_of(four, 4), columns.octets(six, 16)
        if not plain and long is None:
            return None
        if plain:
            high, low = address.columns_of_v4(columns.integer(four))
        if long is not None:
            high6, low6 = address.columns_of_v6(long)
            if not plain:
                high, low = high6, low6
            else:
                use = (columns.integer(four) == 0) & long.any(axis=1)
                high, low = np.where(use, high6, high), np.where(use, low6, low)
        made += [high, low]
    return made[0], made[1], made[2], made[3]


def tables_of(
    template: Template,
    data: bytes,
    count: int,
    contexts: SetContext,
    counts: list[int],
    rates: dict[int, int],
    exporter: str,
    source: str,
) -> tuple[list[Any], int, dict[int, tuple[int, int]]]:
    """Return (Arrow tables of records, records with impossible times, (records, largest sampling rate) by interface).

    There is no table where the records name no hosts.

    ``contexts`` and ``counts`` say which datagram each run of records came in; ``rates`` are sampling rates as ``sampling.py`` keeps them.
    """
    columns = Columns(template, data, count)
    ends = addresses(columns)
    if ends is None or not count:
        return [], 0, {}
    repeat = np.array(counts, dtype=np.int64)
    export = np.repeat(np.array(contexts.export_us, dtype=np.int64), repeat)
    start, end, step, impossible = _times(columns, contexts, repeat, export)
    protocol = _or_zero(columns, columns.integer(*PROTOCOL)) & 255
    flags = _or_zero(columns, columns.integer(*FLAGS)) & 255
    flags = np.where(protocol == 6, flags, 0)
    source_port, target_port = _ports(columns, protocol)
    said, packets, octets, reverse = _counters(columns)
    event = columns.integer(*FIREWALL_EVENT)
    if event is not None:
        # The source of a firewall's event opened the connection, also where it was denied and has no counters.
        event &= 127
        said = np.where((event > 0) & (said == 0), 1, said)
    rate = of_records(columns, rates)
    common: dict[str, Any] = {
        "protocol": protocol,
        "end_us": end,
        "step_us": step,
        "sampling": rate,
        "origin": FROM_EXPORTER,
        "event": 0 if event is None else event,
        "exporter": exporter,
        "source": source,
    }
    forward = {
        **common,
        "start_us": start,
        "packets": packets,
        "bytes": octets,
        "flags": flags,
        "pure_syn": (flags & (SYN | ACK)) == SYN,
        "said": said,
        "source_hi": ends[0],
        "source_lo": ends[1],
        "target_hi": ends[2],
        "target_lo": ends[3],
        "source_port": source_port,
        "target_port": target_port,
    }
    made = [_with_lists(record_table(count, forward), columns, event)]
    if reverse is not None:
        made += _reverse(columns, forward, reverse)
    return made, impossible, by_interface(columns, rate)


def _with_lists(table: Any, columns: Columns, event: Any) -> Any:
    """Return the records with ``list`` and ``entry`` where a firewall says which of its entries denied some of them."""
    if event is None or not (event == DENIED).any() or not columns.has(INGRESS_LIST, EGRESS_LIST, *EXTENDED_EVENT):
        return table
    why = _or_zero(columns, columns.integer(*EXTENDED_EVENT))
    ids = [columns.octets(each, 12) for each in (INGRESS_LIST, EGRESS_LIST)]
    lists, entries = [""] * columns.count, [""] * columns.count
    for row in np.flatnonzero(event == DENIED).tolist():
        if why[row] == NO_CONNECTION:
            entries[row] = "no connection"
            continue
        told = ids[1] if why[row] == BY_EGRESS_LIST else ids[0]
        if told is not None:
            name, entry, _expanded = (int(each) for each in told[row].view(">u4"))
            lists[row], entries[row] = (f"{each:#x}" if each else "" for each in (name, entry))
    return table.append_column("list", pa.array(lists, pa.string())).append_column(
        "entry", pa.array(entries, pa.string())
    )


def _reverse(columns: Columns, forward: dict[str, Any], reverse: tuple[Any, Any]) -> list[Any]:
    packets, octets = reverse
    chosen = np.flatnonzero((packets > 0) | (octets > 0))
    if not len(chosen):
        return []
    flags = columns.integer(6, enterprise=REVERSE)
    flags = (
        np.zeros(columns.count, dtype=np.int64) if flags is None else np.where(forward["protocol"] == 6, flags & 255, 0)
    )
    said = forward["said"]
    turned = {
        **forward,
        "packets": packets,
        "bytes": octets,
        "flags": flags,
        "pure_syn": (flags & (SYN | ACK)) == SYN,
        "said": np.where(said == 0, 0, 3 - said),
        "source_hi": forward["target_hi"],
        "source_lo": forward["target_lo"],
        "target_hi": forward["source_hi"],
        "target_lo": forward["source_lo"],
        "source_port": forward["target_port"],
        "target_port": forward["source_port"],
    }
    picked = {name: value[chosen] if isinstance(value, np.ndarray) else value for name, value in turned.items()}
    return [record_table(len(chosen), picked)]


def _or_zero(columns: Columns, value: Any) -> Any:
    return np.zeros(columns.count, dtype=np.int64) if value is None else value


def _ports(columns: Columns, protocol: Any) -> tuple[Any, Any]:
    source_port = _or_zero(columns, columns.integer(*SOURCE_PORT)) & 0xFFFF
    target_port = _or_zero(columns, columns.integer(*TARGET_PORT)) & 0xFFFF
    control = (protocol == 1) | (protocol == 58)
    if control.any():
        kind = np.where(control, target_port, 0)
        for element in (ICMP_V4, ICMP_V6):
            value = columns.integer(element)
            if value is not None:
                kind = np.where(control & (value > 0), value & 0xFFFF, kind)
        for type_element, code_element in ICMP_PARTS:
            value = columns.integer(type_element)
            if value is not None:
                whole = (value & 255) * 256 + (_or_zero(columns, columns.integer(code_element)) & 255)
                kind = np.where(control & (whole > 0), whole, kind)
        target_port = np.where(control, kind, target_port)
    return canonical_icmp(protocol, source_port, target_port)


def _counters(columns: Columns) -> tuple[Any, Any, Any, tuple[Any, Any] | None]:
    """Return (said, packets, bytes, (packets, bytes) of the other direction or None)."""
    said = np.zeros(columns.count, dtype=np.int64)
    if columns.has(RESPONDER_BYTES, RESPONDER_PACKETS):
        said[:] = 1
        packets = _or_zero(columns, columns.integer(INITIATOR_PACKETS, *PACKETS))
        octets = _or_zero(columns, columns.integer(INITIATOR_BYTES, *BYTES))
        back = (
            _or_zero(columns, columns.integer(RESPONDER_PACKETS)),
            _or_zero(columns, columns.integer(RESPONDER_BYTES)),
        )
        return said, packets, octets, back
    direction = columns.integer(BIFLOW_DIRECTION)
    if direction is not None:
        said = np.where((direction == 1) | (direction == 2), direction, 0)
    packets = _or_zero(columns, columns.integer(*PACKETS))
    octets = _or_zero(columns, columns.integer(*BYTES))
    if columns.has(*BYTES, *PACKETS, enterprise=REVERSE):
        back = (
            _or_zero(columns, columns.integer(*PACKETS, enterprise=REVERSE)),
            _or_zero(columns, columns.integer(*BYTES, enterprise=REVERSE)),
        )
        return said, packets, octets, back
    return said, packets, octets, None


def _times(columns: Columns, contexts: SetContext, repeat: Any, export: Any) -> tuple[Any, Any, int, int]:
    """Return (start, end, clock step, number of impossible times) in microseconds since 1970 UTC."""
    start, end, step = _raw_times(columns, contexts, repeat)
    impossible = 0
    if start is None and end is None:
        return export, export, 1_000_000, 0
    start = end if start is None else start
    end = start if end is None else end
    bad = (start < EARLIEST_US) | (end > export + LATEST_AHEAD_US) | (start > export + LATEST_AHEAD_US)
    absent = (start == 0) & (end == 0)
    impossible = int((bad & ~absent).sum())
    start, end = np.where(bad, export, start), np.where(bad, export, end)
    return start, np.maximum(start, end), step, impossible


def _raw_times(columns: Columns, contexts: SetContext, repeat: Any) -> tuple[Any, Any, int]:
    for first, last, unit, step in TIMES:
        if columns.has(first, last):
            return _absolute(columns, first, unit), _absolute(columns, last, unit), step
    if columns.has(UPTIME_START, UPTIME_END):
        init = columns.integer(SYSTEM_INIT)
        if init is not None:
            base, uptime = init, None
        else:
            base = np.repeat(np.array(contexts.init_ms, dtype=np.int64), repeat)
            uptime = np.repeat(np.array(contexts.uptime_ms, dtype=np.int64), repeat)
        made: list[Any] = []
        for element in (UPTIME_START, UPTIME_END):
            value = columns.integer(element)
            if value is None:
                made.append(None)
                continue
            if uptime is not None:
                # The device's clock is 32 bits of milliseconds and wraps after 49.7 days.
                value = np.where((uptime >= 0) & (value > uptime + (1 << 31)), value - (1 << 32), value)
            made.append(np.where(base != 0, (base + value) * 1000, 0))
        return made[0], made[1], 1000
    event, step = _absolute(columns, EVENT_US, "ntp"), 1
    if event is None:
        event, step = _absolute(columns, EVENT_MS, "ms"), 1000
    if event is None:
        return None, None, step
    for element, micros in ((DURATION_MS, 1000), (DURATION_US, 1)):
        duration = columns.integer(element)
        if duration is not None:
            return event - np.minimum(duration, 1 << 40) * micros, event, step
    return event, event, step


def _absolute(columns: Columns, element: int, unit: str) -> Any:
    if unit == "ntp":
        return columns.ntp(element)
    value = columns.integer(element)
    if value is None:
        return None
    return np.minimum(value, 1 << 40) * 1_000_000 if unit == "s" else np.minimum(value, 1 << 50) * 1000
