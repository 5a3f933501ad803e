# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Moves copies of a recorded day to consecutive days, packets and flow exports alike.

True packets and true inter-packet times, at the same time of day; only whole days are added. The incident phase is put on
one day only. Nothing else is made up, and the manifest of the result says that it is a replay.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from . import pcapfile

_DAY = 86_400
_NETFLOW9, _IPFIX = 9, 10
# Information elements that hold an absolute time, with the length they are exported in and the unit (RFC 7012).
_ABSOLUTE = {150: (4, 1), 151: (4, 1), 152: (8, 1000), 153: (8, 1000), 160: (8, 1000), 322: (4, 1), 323: (8, 1000)}


def spread(source: Path, out: Path, days: int, end: date, incident_day: int = 5) -> dict[str, Any]:
    """Write ``days`` days ending with ``end`` (UTC) to ``out``; returns {"days", "packets"}.

    ``incident_day``: which day keeps the incident phase, counted from the last one, 0 for none. Each input file gives one
    output file of the same name. Raises ValueError for an unusable recording.
    """
    if not 1 <= days <= 366:
        raise ValueError("days must be within 1-366")
    manifest = json.loads((source / "manifest.json").read_text(encoding="utf-8"))
    truth = json.loads((source / "ground-truth.json").read_text(encoding="utf-8"))
    phases = {each["name"]: (int(each["start"] * 1e9), int(each["end"] * 1e9)) for each in manifest["phases"]}
    recorded = datetime.fromtimestamp(manifest["phases"][0]["start"], UTC).date()
    offsets = [((end - recorded).days - back) * _DAY for back in reversed(range(days))]
    incident = {offsets[-incident_day]} if 0 < incident_day <= days else set()
    out.mkdir(parents=True, exist_ok=True)
    exports = {each["file"] for each in manifest["exporters"].values()}
    total, files = 0, {}
    for name in sorted([*manifest["captures"].values(), *exports]):
        packets = pcapfile.read(source / name)
        writer = Exports(packets) if name in exports else None
        moved: list[pcapfile.Packet] = []
        for offset in offsets:
            if writer is not None:
                moved += writer.moved(offset, None if offset in incident else phases.get("incident"))
            else:
                moved += pcapfile.shift(_of_day(packets, phases, offset in incident), offset * 10**9)
        total += pcapfile.write(out / name, moved)
        files[name] = _described(out / name)
    entries = [
        {**each, "time": round(each["time"] + offset, 6)}
        for offset in offsets
        for each in truth["conversations"]
        if each["legitimate"] or offset in incident
    ]
    lines = ",\n".join("  " + json.dumps(each, sort_keys=True) for each in entries)
    head = {"schema_version": truth["schema_version"], "hospital": truth["hospital"], "replayed": True}
    text = f'{json.dumps(head)[:-1]}, "conversations": [\n{lines}\n]}}\n'
    (out / "ground-truth.json").write_text(text, encoding="utf-8")
    files["ground-truth.json"] = _described(out / "ground-truth.json")
    day = timedelta(days=1)
    result = {
        **{key: manifest[key] for key in ("schema_version", "hospital", "snaplen", "exporters", "captures", "tools")},
        "replayed": True,
        "how": "recorded once and moved by whole days; true packets and inter-packet times, repeated each day",
        "days_recorded": 1,
        "days": [str(end - day * back) for back in reversed(range(days))],
        "incident_days": [str(end - day * (incident_day - 1))] if incident else [],
        "recorded": manifest["recorded"],
        "files": files,
    }
    (out / "manifest.json").write_text(json.dumps(result, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return {"days": days, "packets": total}


def _described(path: Path) -> dict[str, Any]:
    data = path.read_bytes()
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def _of_day(
    packets: list[pcapfile.Packet], phases: dict[str, tuple[int, int]], incident: bool
) -> list[pcapfile.Packet]:
    if incident or "incident" not in phases:
        return packets
    return pcapfile.between(packets, 0, phases["incident"][0])


class Exports:
    """Flow exports of one recording, written again for one day after another with sequence numbers that go on."""

    def __init__(self, packets: list[pcapfile.Packet]) -> None:
        self._packets = packets
        self._templates: dict[tuple[int, int], list[tuple[int, int]]] = {}
        self._sequence: dict[int, int] = {}

    def moved(self, offset: int, without: tuple[int, int] | None) -> Iterator[pcapfile.Packet]:
        """The day ``offset`` seconds later; records that began within ``without`` (nanoseconds) are left out."""
        for packet, payload in self._messages(offset, without):
            yield _rewrapped(packet, payload, offset)

    def payloads(self, offset: int) -> Iterator[bytes]:
        """The export messages alone, ``offset`` seconds later."""
        return (payload for _, payload in self._messages(offset, None))

    def _messages(self, offset: int, without: tuple[int, int] | None) -> Iterator[tuple[pcapfile.Packet, bytes]]:
        for packet in self._packets:
            start = 14 + (packet.data[14] & 15) * 4 + 8
            payload = self._message(packet.data[start:], offset, without)
            if payload:
                yield packet, payload

    def _message(self, message: bytes, offset: int, without: tuple[int, int] | None) -> bytes:
        version = struct.unpack_from("!H", message)[0]
        if version not in (_NETFLOW9, _IPFIX):
            raise ValueError(f"flow export version {version} cannot be moved")
        size, seconds_at, sequence_at = (20, 8, 12) if version == _NETFLOW9 else (16, 4, 8)
        domain = struct.unpack_from("!I", message, size - 4)[0]
        sets, at, records, flows = [], size, 0, 0
        while at + 4 <= len(message):
            identifier, length = struct.unpack_from("!HH", message, at)
            if length < 4 or at + length > len(message):
                raise ValueError("flow export with a broken set")
            body = message[at + 4 : at + length]
            at += length
            if identifier < 256:
                records += self._learn(body, domain, version, identifier)
            elif (domain, identifier) in self._templates:
                body, count = _moved_records(body, self._templates[domain, identifier], offset, without)
                if not count:
                    continue
                records += count
                flows += count
            else:
                raise ValueError(f"flow export with data before template {identifier}")
            body += bytes(-len(body) % 4)
            sets.append(struct.pack("!HH", identifier, 4 + len(body)) + body)
        if not sets:
            return b""
        header = bytearray(message[:size])
        struct.pack_into("!I", header, seconds_at, struct.unpack_from("!I", header, seconds_at)[0] + offset)
        # NetFlow v9 numbers messages (RFC 3954 section 5.1), IPFIX counts data records sent before (RFC 7011 section 3.1).
        sequence = self._sequence.get(domain, 0)
        struct.pack_into("!I", header, sequence_at, sequence)
        self._sequence[domain] = sequence + (1 if version == _NETFLOW9 else flows)
        whole = bytes(header) + b"".join(sets)
        return whole[:2] + struct.pack("!H", len(whole) if version == _IPFIX else records) + whole[4:]

    def _learn(self, body: bytes, domain: int, version: int, kind: int) -> int:
        """Keep the layouts of a template set (0, 2: data; 1, 3: options); returns how many records it has."""
        at = count = 0
        while at + 4 <= len(body):
            identifier, number = struct.unpack_from("!HH", body, at)
            if identifier < 256:
                break  # padding
            at += 4
            if kind == 1:  # NetFlow v9: lengths in bytes of the scope and of the options
                number = (number + struct.unpack_from("!H", body, at)[0]) // 4
            if kind in (1, 3):
                at += 2
            layout = []
            for _ in range(number):
                element, length = struct.unpack_from("!HH", body, at)
                enterprise = version == _IPFIX and element & 0x8000
                at += 8 if enterprise else 4
                layout.append((-1 if enterprise else element, length))
            self._templates[domain, identifier] = layout
            count += 1
        return count


def _moved_records(
    body: bytes, layout: list[tuple[int, int]], offset: int, without: tuple[int, int] | None
) -> tuple[bytes, int]:
    size = sum(length for _, length in layout)
    kept = []
    for at in range(0, len(body) - size + 1, size):
        record = bytearray(body[at : at + size])
        place, began = 0, None
        for element, length in layout:
            expected, unit = _ABSOLUTE.get(element, (0, 0))
            if expected and expected == length:
                value = int.from_bytes(record[place : place + length], "big")
                if element in (150, 152):
                    began = value * 10**9 // unit
                record[place : place + length] = (value + offset * unit).to_bytes(length, "big")
            place += length
        if without is not None and began is not None and without[0] <= began < without[1]:
            continue
        kept.append(bytes(record))
    return b"".join(kept), len(kept)


def _rewrapped(packet: pcapfile.Packet, payload: bytes, offset: int) -> pcapfile.Packet:
    """The same frame around another payload, with lengths and checksums made right (UDP's is left out: RFC 768)."""
    from .net.wire import checksum

    header = (packet.data[14] & 15) * 4
    ip = bytearray(packet.data[14 : 14 + header])
    struct.pack_into("!H", ip, 2, header + 8 + len(payload))
    struct.pack_into("!H", ip, 10, 0)
    struct.pack_into("!H", ip, 10, checksum(bytes(ip)))
    udp = bytearray(packet.data[14 + header : 14 + header + 8])
    struct.pack_into("!HH", udp, 4, 8 + len(payload), 0)
    data = packet.data[:14] + bytes(ip) + bytes(udp) + payload
    return pcapfile.Packet(packet.at + offset * 10**9, data, len(data))
