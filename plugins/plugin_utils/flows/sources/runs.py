# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of export datagrams that are one data set each, taken together instead of one by one.

An exporter's datagrams between two of its templates look alike: header, one set, records. Their headers are read as arrays, their sequence
numbers compared as arrays, and their records joined. Whatever does not look so goes the way of single datagrams, in order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.capture import window

if TYPE_CHECKING:
    from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.netflow import Decoder

np = guarded("numpy")

V9, IPFIX = 9, 10
HEADERS = {V9: 20, IPFIX: 16}
SHORT = 8
# The headers with that of the first set, by RFC 3954 section 5 and RFC 7011 section 3.
V9_FIELDS = [
    ("version", "u2"), ("count", "u2"), ("uptime", "u4"), ("seconds", "u4"), ("sequence", "u4"), ("domain", "u4"), ("set", "u2"),
    ("octets", "u2"),
]  # fmt: skip
IPFIX_FIELDS = [
    ("version", "u2"), ("octets", "u2"), ("seconds", "u4"), ("sequence", "u4"), ("domain", "u4"), ("set", "u2"), ("length", "u2"),
]  # fmt: skip


def feed_many(
    decoder: Decoder, raw: memoryview, data: Any, starts: Any, ends: Any, exporters: Sequence[str], received_us: Any
) -> None:
    """Take datagrams in order (see ``netflow.Decoder.feed_many``)."""
    alike, keys = _alike(data, starts, ends, exporters)
    firsts = np.flatnonzero(np.diff(np.concatenate(([False], alike, [False])).astype(np.int8)))
    done = 0
    for first, last in zip(firsts[::2].tolist(), firsts[1::2].tolist(), strict=True):
        if last - first < SHORT:
            continue
        _single(decoder, raw, starts, ends, exporters, received_us, range(done, first))
        _run(
            decoder,
            raw,
            data,
            starts,
            ends,
            exporters,
            received_us,
            {name: each[first:last] for name, each in keys.items()},
            first,
        )
        done = last
    _single(decoder, raw, starts, ends, exporters, received_us, range(done, len(starts)))


def _single(
    decoder: Decoder, raw: memoryview, starts: Any, ends: Any, exporters: Sequence[str], received_us: Any, rows: Any
) -> None:
    for row in rows:
        decoder.feed(bytes(raw[starts[row] : ends[row]]), exporters[row], int(received_us[row]))


def _alike(data: Any, starts: Any, ends: Any, exporters: Sequence[str]) -> tuple[Any, dict[str, Any]]:
    """Return (which datagrams are one data set, fields of their headers)."""
    size = ends - starts
    nine, ten = window(data, starts, V9_FIELDS), window(data, starts, IPFIX_FIELDS)
    is_nine = (nine["version"] == V9) & (size >= 24)
    is_ten = (ten["version"] == IPFIX) & (size >= 20) & (ten["octets"] == size)
    octets = np.where(is_nine, nine["octets"], ten["length"]).astype(np.int64)
    header = np.where(is_nine, HEADERS[V9], HEADERS[IPFIX])
    keys = {
        "version": np.where(is_nine, V9, IPFIX),
        "domain": np.where(is_nine, nine["domain"], ten["domain"]).astype(np.int64),
        "set": np.where(is_nine, nine["set"], ten["set"]).astype(np.int64),
        "sequence": np.where(is_nine, nine["sequence"], ten["sequence"]).astype(np.int64),
        "seconds": np.where(is_nine, nine["seconds"], ten["seconds"]).astype(np.int64),
        "uptime": np.where(is_nine, nine["uptime"], 0).astype(np.int64),
        "octets": octets,
        "body": starts + header + 4,
    }
    left = size - header - octets
    # An exporter may pad behind its set, by fewer octets than a set needs.
    return (is_nine | is_ten) & (keys["set"] >= 256) & (octets >= 4) & (left >= 0) & (left < 4), keys


def _run(
    decoder: Decoder,
    raw: memoryview,
    data: Any,
    starts: Any,
    ends: Any,
    exporters: Sequence[str],
    received_us: Any,
    keys: dict[str, Any],
    first: int,
) -> None:
    """Take a run of datagrams that are one data set each, by exporter and observation domain."""
    numbers: dict[str, int] = {}
    names = exporters[first : first + len(keys["set"])]
    if names.count(names[0]) == len(names):
        sender = np.zeros(len(names), dtype=np.int64)
    else:
        sender = np.array([numbers.setdefault(name, len(numbers)) for name in names], dtype=np.int64)
    place = (sender << 33) | (keys["domain"] << 1) | (keys["version"] == IPFIX)
    for value in np.unique(place) if (place != place[0]).any() else place[:1]:
        rows = np.flatnonzero(place == value)
        if not _domain(decoder, raw, keys, rows, names[int(rows[0])], received_us[first + rows]):
            _single(decoder, raw, starts, ends, exporters, received_us, (first + rows).tolist())


def _domain(
    decoder: Decoder, raw: memoryview, keys: dict[str, Any], rows: Any, exporter: str, received_us: Any
) -> bool:
    """Take a domain's datagrams of a run; returns False, with nothing done, where they need the single way."""
    version = int(keys["version"][rows[0]])
    domain = (exporter, version, int(keys["domain"][rows[0]]))
    sets = keys["set"][rows]
    counts = np.zeros(len(rows), dtype=np.int64)
    templates = {}
    for number in np.unique(sets).tolist():
        template = decoder.templates.get(domain, number)
        if template is None or template.options or template.variable or not template.size:
            return False
        templates[number] = template
        mine = sets == number
        counts[mine] = (keys["octets"][rows][mine] - 4) // template.size
    steps = counts if version == IPFIX else np.ones(len(rows), dtype=np.int64)
    sequence = keys["sequence"][rows]
    before = decoder.last_sequence(domain)
    in_order = ((sequence[1:] - sequence[:-1]) & 0xFFFFFFFF == steps[:-1]).all()
    if (
        not in_order
        or before is None
        or (int(sequence[0]) - before[0]) & 0xFFFFFFFF not in before[1]
        or not counts.all()
    ):
        return False
    seconds = keys["seconds"][rows]
    if version == V9:
        uptime = keys["uptime"][rows]
        init = seconds * 1000 - uptime
    else:
        uptime, init = np.full(len(rows), -1), np.full(len(rows), decoder.started(domain))
    decoder.took(domain, len(rows), seconds * 1_000_000, received_us, int(sequence[-1]), (int(steps[-1]),))
    body = keys["body"][rows]
    for number, template in templates.items():
        mine = slice(None) if len(templates) == 1 else np.flatnonzero(sets == number)
        held = counts[mine]
        begin = body[mine].tolist()
        stop = (body[mine] + held * template.size).tolist()
        contexts = (each[mine].tolist() for each in (seconds * 1_000_000, uptime, init))
        decoder.add_many(domain, template, [raw[a:b] for a, b in zip(begin, stop, strict=True)], held, contexts)
    return True
