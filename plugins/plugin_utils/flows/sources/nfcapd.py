# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of nfcapd to one-way records: those of nfdump 1.7 read here, older and LZO ones after nfdump has rewritten them.

The collector has multiplied the counters of sampled records by the rate; here they are divided again, so that ``packets`` and ``bytes`` are
what the exporter saw and ``sampling`` its rate, as for every other source. Counters of the other direction (outPackets, outBytes) give
a second record. A record of a firewall event (NSEL) that denies has ``event`` 3.
"""

from __future__ import annotations

import ipaddress
import shutil
import struct
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError, Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import address, codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.records import (
    ACK,
    FROM_EXPORTER,
    SYN,
    Quality,
    record_table,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources import nffile
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.icmp import canonical_icmp
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.kind import Kind, Opening

np = guarded("numpy")
pa = guarded("pyarrow")

GENERIC, IPV4, IPV6, MISC, COUNTERS, NSEL = 1, 2, 3, 4, 5, 19
GENERIC_OCTETS, COUNTER_OCTETS, NSEL_OCTETS = 48, 24, 15
SAMPLED, EVENT = 2, 1
SIGN = 1 << 63
LARGEST = (1 << 62) - 1
LATEST = 1 << 50
# Columns that every layout has, beside the addresses.
KINDS = {
    "number": "u2", "sampled": "?", "start_us": "i8", "end_us": "i8", "protocol": "i2", "packets": "i8", "bytes": "i8", "flags": "i2",
    "pure_syn": "?", "source_port": "i4", "target_port": "i4",
}  # fmt: skip
CONVERT_SECONDS = 3600


@dataclass
class CollectorFile:
    """Source over one file of nfcapd. ``prefix`` stands before each exporter's address where it is given."""

    path: Path
    exporter: str = ""
    source: str = ""
    findings: list[Finding] = field(default_factory=list)
    quality: Quality = field(default_factory=lambda: Quality("nfcapd"))
    _names: dict[int, str] = field(default_factory=dict)
    _rates: dict[int, int] = field(default_factory=dict)
    _seen: dict[str, Counter[str]] = field(default_factory=dict)
    _left_out: Counter[str] = field(default_factory=Counter)

    def tables(self) -> Iterator[Any]:
        """Yield tables of one-way records; raises FindingError where the file cannot be read."""
        with tempfile.TemporaryDirectory(prefix="microseg-nfcapd-") as folder:
            opened = nffile.NfFile(self._readable(Path(folder)), self.findings)
            for block in opened.blocks():
                for kind, content in block.others:
                    self._other(kind, content)
                self._left_out["damaged"] += block.damaged
                for layout in block.layouts:
                    yield from self._tables(layout)
        self.quality.damaged_at = opened.damaged_at
        self.quality.left_out = {name: count for name, count in sorted(self._left_out.items()) if count}
        self.quality.exporters = {name: dict(each) for name, each in sorted(self._seen.items())}
        self.findings.extend(self._limits())

    def _readable(self, folder: Path) -> Path:
        """Return a file of layout 2 in a compression that is read here: the path itself, or what nfdump makes of it."""
        with open(self.path, "rb") as stream:
            head = stream.read(nffile.FILE_HEADER.size)
        layout = int.from_bytes(head[2:4], "little")
        if layout == 2 and (len(head) < 17 or head[16] != nffile.LZO):
            return self.path
        location = Location(str(self.path))
        what = "a file of nfdump 1.6" if layout < 2 else "LZO compression" if layout == 2 else f"file layout {layout}"
        tool = shutil.which("nfdump")
        if tool is None or layout > 2:
            raise FindingError(
                codes.INPUT_KIND.at(
                    f"{what} is not read here",
                    location,
                    hint="install nfdump 1.7 on this host, or rewrite it: nfdump -r OLD -y -w NEW",
                )
            )
        made = folder / "rewritten"
        done = subprocess.run(
            [tool, "-r", str(self.path.resolve()), "-y", "-w", str(made)],
            capture_output=True,
            text=True,
            check=False,
            timeout=CONVERT_SECONDS,
        )
        if done.returncode or not made.is_file():
            words = " ".join((done.stderr or done.stdout).split())[:200].replace(str(made), "")
            raise FindingError(codes.INPUT_KIND.at(f"nfdump cannot rewrite {what}: {words}", location))
        return made

    def _other(self, kind: int, content: bytes) -> None:
        if kind == nffile.EXPORTER and len(content) >= 32:
            high, low, family, sysid = struct.unpack_from("<QQHH", content, 8)
            packed = low.to_bytes(8, "big")[4:] if family == 2 else high.to_bytes(8, "big") + low.to_bytes(8, "big")
            self._names[sysid] = (f"{self.exporter}/" if self.exporter else "") + str(ipaddress.ip_address(packed))
        elif kind == nffile.STATISTICS and len(content) >= 8:
            for place in range(8, min(len(content), 8 + 24 * struct.unpack_from("<I", content, 4)[0]) - 23, 24):
                sysid, lost, packets, _flows = struct.unpack_from("<IIQQ", content, place)
                seen = self._counter(sysid)
                seen["datagrams"] += packets
                seen["gaps"] += lost
                # Each gap is one datagram at least; the collector does not say how many.
                seen["lost"] += lost
        elif kind == nffile.SAMPLER and len(content) >= 24:
            sysid, _algorithm, _id, interval, space = struct.unpack_from("<HHqII", content, 4)
            self._rates[sysid] = max(1, (interval + space) // max(1, interval))
        elif kind == nffile.OLD_SAMPLER and len(content) >= 16:
            _id, interval, _mode, sysid = struct.unpack_from("<iIHH", content, 4)
            self._rates.setdefault(sysid, max(1, interval))

    def _counter(self, sysid: int) -> Counter[str]:
        return self._seen.setdefault(self._name(sysid), Counter())

    def _name(self, sysid: int) -> str:
        return self._names.get(sysid) or (f"{self.exporter}/" if self.exporter else "") + f"collector-{sysid}"

    def _tables(self, layout: nffile.Layout) -> Iterator[Any]:
        count = len(layout.rows)
        if not _names_hosts(layout):
            self._left_out["no_addresses"] += count
            return
        columns = _columns(layout)
        rates, number = self._rated(columns.pop("number"))
        forward = self._forward(columns, rates, number)
        made = [record_table(count, forward)]
        out = layout.elements.get(COUNTERS, (0, 0))
        if out[1] >= COUNTER_OCTETS:
            made += _other_direction(layout, out[0], forward)
        for table in made:
            self.quality.records += table.num_rows
            self.quality.covers(int(forward["start_us"].min()), int(forward["end_us"].max()))
            yield table

    def _forward(self, columns: dict[str, Any], rates: Any, exporter: Any) -> dict[str, Any]:
        sampled = columns.pop("sampled")
        if sampled.any():
            divide = np.where(sampled, rates, 1)
            columns |= {name: columns[name] // divide for name in ("packets", "bytes")}
        return {
            **columns,
            "step_us": 1000,
            "sampling": rates,
            "origin": FROM_EXPORTER,
            "exporter": exporter,
            "source": self.source,
        }

    def _rated(self, numbers: Any) -> tuple[Any, Any]:
        """Return (sampling rate, name) of each record's exporter by its number, as single values where there is one only."""
        if (numbers == numbers[0]).all():
            sysid = int(numbers[0])
            self._count(sysid, len(numbers))
            return self._rates.get(sysid, 1), self._name(sysid)
        known, index, counts = np.unique(numbers, return_inverse=True, return_counts=True)
        for sysid, count in zip(known, counts, strict=True):
            self._count(int(sysid), int(count))
        names = pa.array([self._name(int(sysid)) for sysid in known])
        rates = np.array([self._rates.get(int(sysid), 1) for sysid in known], dtype=np.int64)
        return rates[index], names.take(pa.array(index))

    def _count(self, sysid: int, count: int) -> None:
        seen = self._counter(sysid)
        seen["records"] += count
        if self._rates.get(sysid, 1) > 1:
            seen["sampling"] = max(seen["sampling"], self._rates[sysid])

    def _limits(self) -> list[Finding]:
        made = []
        location = Location(str(self.path))
        for name, each in sorted(self._seen.items()):
            if each["gaps"]:
                text = f"exporter {name}: the collector saw {each['gaps']} gaps in its sequence numbers"
                made.append(codes.EXPORT_GAP.at(text, location))
            if each["sampling"] > 1:
                made.append(
                    codes.EXPORT_SAMPLED.at(f"exporter {name} samples one packet in {each['sampling']}", location)
                )
        if self._left_out["no_addresses"]:
            text = f"{self._left_out['no_addresses']} records name no two hosts"
            made.append(codes.EXPORT_FIELDS.at(text, location))
        return made


def _names_hosts(layout: nffile.Layout) -> bool:
    """Return whether records have counters and two addresses."""
    octets = {kind: length for kind, (_at, length) in layout.elements.items()}
    return octets.get(GENERIC, 0) >= GENERIC_OCTETS and (octets.get(IPV4, 0) >= 8 or octets.get(IPV6, 0) >= 32)


def _columns(layout: nffile.Layout) -> dict[str, Any]:
    """Return what stands in records, as columns of one-way records, with the ``number`` of the exporter and whether one was ``sampled``.

    A column that the layout settles is a single value. Each field is written once to where it stays, a stretch of records at a time that
    the caches hold.
    """
    rows = np.ascontiguousarray(layout.rows)
    elements, count = layout.elements, len(rows)
    ends, settled = _addresses(rows, elements)
    kinds = {**KINDS, **({"event": np.int8, "said": np.int8} if _has_events(elements) else {})}
    made = {name: np.empty(count, dtype=kind) for name, kind in kinds.items()}
    made |= {name: np.empty(count, dtype=np.int64) for name in ends}
    for first in range(0, count, nffile.ROWS_AT_ONCE):
        part = slice(first, first + nffile.ROWS_AT_ONCE)
        _fill({name: values[part] for name, values in made.items()}, rows[part], elements)
        for name, (values, offset) in ends.items():
            made[name][part] = values[part]
            made[name][part] += offset
    return {"said": 0, "event": 0, **made, **settled}


def _has_events(elements: Mapping[int, tuple[int, int]]) -> bool:
    return elements.get(NSEL, (0, 0))[1] >= NSEL_OCTETS


def _fill(made: Mapping[str, Any], rows: Any, elements: Mapping[int, tuple[int, int]]) -> None:
    """Write columns but for the addresses, of rows next to each other in memory."""
    flows = _fields(rows, elements[GENERIC][0])
    for name in ("protocol", "flags", "source_port", "target_port"):
        made[name][:] = flows[name]
    made["number"][:] = flows["exporter"]
    np.not_equal(flows["record_flags"] & SAMPLED, 0, out=made["sampled"])
    protocol, flags = made["protocol"], made["flags"]
    tcp = protocol == 6
    if not tcp.all():
        flags *= tcp
    np.equal(flags & (SYN | ACK), SYN, out=made["pure_syn"])
    ports = canonical_icmp(protocol, made["source_port"], made["target_port"])
    for name, values in zip(("source_port", "target_port"), ports, strict=True):
        if values is not made[name]:
            made[name][:] = values
    _micros(flows["first"], made["start_us"])
    if _has_events(elements):
        at = elements[NSEL][0]
        made["event"][:] = rows[:, at + 14].view(np.int8)
        np.greater(made["event"], 0, out=made["said"], casting="unsafe")
        told = np.empty(len(rows), dtype=np.int64)
        _micros(_whole(rows, at), told)
        np.copyto(made["start_us"], told, where=made["start_us"] == 0)
    _micros(flows["last"], made["end_us"])
    np.maximum(made["start_us"], made["end_us"], out=made["end_us"])
    for name in ("packets", "bytes"):
        np.minimum(flows[name], np.uint64(LARGEST), out=made[name].view(np.uint64))


def _fields(rows: Any, at: int) -> Any:
    """Return the records' header and generic fields as a structured array over rows next to each other in memory."""
    return rows.view(_kind(at, rows.shape[1])).reshape(-1)


@lru_cache(maxsize=64)
def _kind(at: int, octets: int) -> Any:
    """Return the type of a record's octets as a structure, with the generic fields at a place."""
    names = {
        "exporter": ("<u2", 8),
        "record_flags": ("u1", 10),
        "first": ("<u8", at),
        "last": ("<u8", at + 8),
        "packets": ("<u8", at + 24),
        "bytes": ("<u8", at + 32),
        "source_port": ("<u2", at + 40),
        "target_port": ("<u2", at + 42),
        "protocol": ("u1", at + 44),
        "flags": ("u1", at + 45),
    }
    return np.dtype(
        {
            "names": list(names),
            "formats": [each for each, _offset in names.values()],
            "offsets": [offset for _each, offset in names.values()],
            "itemsize": octets,
        }
    )


def _whole(rows: Any, at: int, octets: int = 8) -> Any:
    """Return octets of each row as one number, where they stand."""
    return rows[:, at : at + octets].view(f"<u{octets}")[:, 0]


def _addresses(rows: Any, elements: Mapping[int, tuple[int, int]]) -> tuple[dict[str, tuple[Any, int]], dict[str, int]]:
    """Return (numbers by column of the addresses, with what is to be added to them, columns that are single values)."""
    at, length = elements.get(IPV4, (0, 0))
    if length >= 8:
        low = {
            name: (_whole(rows, at + place, 4), address.V4_LO) for name, place in (("source_lo", 0), ("target_lo", 4))
        }
        return low, {"source_hi": address.V4_HI, "target_hi": address.V4_HI}
    at, _length = elements[IPV6]
    places = (("source_hi", 0), ("source_lo", 8), ("target_hi", 16), ("target_lo", 24))
    # Signed numbers in the order of unsigned ones (address.py): the lowest one is added.
    return {name: (_whole(rows, at + place).view(np.int64), -SIGN) for name, place in places}, {}


def _signed(values: Any) -> Any:
    return np.minimum(values, np.uint64(LARGEST)).astype(np.int64)


def _micros(milliseconds: Any, out: Any) -> None:
    """Write microseconds (int64) of milliseconds (uint64)."""
    np.minimum(milliseconds, np.uint64(LATEST), out=out.view(np.uint64))
    out *= 1000


def _other_direction(layout: nffile.Layout, at: int, forward: dict[str, Any]) -> list[Any]:
    packets, octets = _signed(_whole(layout.rows, at + 8)), _signed(_whole(layout.rows, at + 16))
    chosen = np.flatnonzero((packets > 0) | (octets > 0))
    if not len(chosen):
        return []
    misc = layout.elements.get(MISC, (0, 0))
    # revTcpFlags of the miscellaneous fields: what the exporter said of the other direction.
    flags = layout.rows[:, misc[0] + 14].astype(np.int16) if misc[1] >= 16 else np.zeros(len(packets), dtype=np.int16)
    flags = np.where(forward["protocol"] == 6, flags, 0)
    said = forward["said"]
    turned = {
        **forward,
        "packets": packets,
        "bytes": octets,
        "flags": flags,
        "pure_syn": (flags & (SYN | ACK)) == SYN,
        "said": np.where(said == 1, 2, 0) if isinstance(said, np.ndarray) else 0,
        "source_hi": forward["target_hi"],
        "source_lo": forward["target_lo"],
        "target_hi": forward["source_hi"],
        "target_lo": forward["source_lo"],
        "source_port": forward["target_port"],
        "target_port": forward["source_port"],
    }
    picked = {
        name: value[chosen]
        if isinstance(value, np.ndarray)
        else value.take(pa.array(chosen))
        if isinstance(value, pa.Array)
        else value
        for name, value in turned.items()
    }
    return [record_table(len(chosen), picked)]


def looks_like_collector_file(_path: Path, head: bytes) -> bool:
    """Return whether a file begins as one of nfcapd does."""
    return head[:2] == nffile.MAGIC and 1 <= int.from_bytes(head[2:4], "little") <= 3


def _open(path: Path, source: str, opening: Opening) -> CollectorFile:
    return CollectorFile(path, opening.exporter, source)


KIND = Kind(
    "nfcapd",
    "files of nfcapd and nfpcapd (nfdump 1.7; older ones where nfdump is installed)",
    looks_like_collector_file,
    _open,
    options=(),
)
