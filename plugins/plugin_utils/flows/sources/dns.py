# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""DNS messages to the addresses they bind to the name that was asked for (RFC 1035, RFC 3596).

A message is a stranger's bytes: every length is checked, a compression pointer must point backwards (RFC 1035 section 4.1.4), names
have at most 255 octets, and no more than 256 records are looked at. What is damaged yields what stands before the damage. Answers count
only along the chain of aliases (CNAME) that begins at the question, so that nobody binds an address to a name that was not asked for.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import address

np = guarded("numpy")

PORT, UDP = 53, 17
HEADER = 12
LONGEST_NAME = 255
LONGEST_LABEL = 63
MOST_RECORDS = 256
MOST_POINTERS = 64
MOST_ALIASES = 32
A, CNAME, AAAA, INTERNET = 1, 5, 28, 1
# RFC 2181 section 8: a TTL is a positive 31-bit number; more than a week is not believed (RFC 8767 section 4 advises a cap of that order).
LONGEST_TTL = 604_800


@dataclass(frozen=True)
class Answer:
    """An address that stands for a name, for ``ttl`` seconds."""

    name: str
    hi: int
    lo: int
    ttl: int


def answers_of(message: bytes) -> list[Answer]:
    """Return the addresses that a response binds to the name in its question; empty for anything else. Raises nothing."""
    if len(message) < HEADER:
        return []
    _ident, flags, questions, answers = struct.unpack_from(">HHHH", message)
    if not flags & 0x8000 or flags & 0x7800 or flags & 0x000F or questions != 1 or not answers:
        return []
    asked, position = _name(message, HEADER)
    if asked is None or position + 4 > len(message):
        return []
    kind, group = struct.unpack_from(">HH", message, position)
    if group & 0x7FFF != INTERNET or kind not in (A, AAAA, CNAME, 255):
        return []
    position += 4
    aliases: dict[str, str] = {}
    found: list[Answer] = []
    for _record in range(min(answers, MOST_RECORDS)):
        owner, position = _name(message, position)
        if owner is None or position + 10 > len(message):
            break
        kind, group, ttl, length = struct.unpack_from(">HHIH", message, position)
        position += 10
        end = position + length
        if end > len(message):
            break
        if group & 0x7FFF == INTERNET:
            seconds = min(ttl, LONGEST_TTL) if ttl < 1 << 31 else 0
            if kind == CNAME:
                target, _after = _name(message, position)
                if target is not None:
                    aliases.setdefault(owner, target)
            elif (kind == A and length == 4) or (kind == AAAA and length == 16):
                value = int.from_bytes(message[position:end], "big")
                found.append(Answer(owner, *address.columns_of_int(4 if length == 4 else 6, value), seconds))
        position = end
    reached, name = {asked}, asked
    for _alias in range(MOST_ALIASES):
        name = aliases.get(name, "")
        if not name or name in reached:
            break
        reached.add(name)
    return [Answer(asked, each.hi, each.lo, each.ttl) for each in found if each.name in reached]


def names_in(frames: Any, packets: Any, exporter: str) -> list[dict[str, Any]]:
    """Return rows of ``kept.NAMES`` of the DNS answers over UDP in a batch of packets."""
    made = []
    chosen = (packets.protocol == UDP) & (packets.source_port == PORT) & packets.first_part
    for i in np.flatnonzero(chosen):
        start, end = int(packets.payload_at[i]) + 8, int(packets.end[i])
        for each in answers_of(frames.data[start:end].tobytes()):
            made.append({"time_us": int(packets.time_us[i]), "address_hi": each.hi, "address_lo": each.lo, "name": each.name,
                         "client_hi": int(packets.target_hi[i]), "client_lo": int(packets.target_lo[i]), "ttl": each.ttl, "via": "pcap",
                         "exporter": exporter})  # fmt: skip
    return made


def _name(message: bytes, position: int) -> tuple[str | None, int]:
    """Return (name in lower case without the last dot, position after it); None where it is damaged or not a host name."""
    labels: list[str] = []
    size, after, pointers, earliest = 0, -1, 0, position
    while True:
        if position >= len(message):
            return None, len(message)
        length = message[position]
        if length & 0xC0 == 0xC0:
            if position + 2 > len(message):
                return None, len(message)
            target = struct.unpack_from(">H", message, position)[0] & 0x3FFF
            after = position + 2 if after < 0 else after
            pointers += 1
            # Backwards only, and each further than the last: a loop cannot be.
            if target >= earliest or target < HEADER or pointers > MOST_POINTERS:
                return None, after
            position = earliest = target
            continue
        if length & 0xC0:
            return None, len(message)
        if not length:
            end = position + 1 if after < 0 else after
            return ".".join(labels).lower(), end
        size += length + 1
        if size > LONGEST_NAME or length > LONGEST_LABEL or position + 1 + length > len(message):
            return None, len(message) if after < 0 else after
        label = message[position + 1 : position + 1 + length]
        labels.append(clean_label(label))
        position += 1 + length


def clean_label(label: bytes) -> str:
    """Return a label as text fit for files and reports: letters, digits, hyphen, underscore, asterisk; others as ``\\ddd`` (RFC 4343)."""
    return "".join(chr(each) if _plain(each) else f"\\{each:03d}" for each in label)


def _plain(octet: int) -> bool:
    return 48 <= octet <= 57 or 65 <= octet <= 90 or 97 <= octet <= 122 or octet in (42, 45, 95)


def clean_name(text: str) -> str:
    """Return a name from a log in the same form; empty where it is none."""
    bare = text.strip().rstrip(".").lower()
    if not bare or len(bare) > LONGEST_NAME:
        return ""
    return ".".join(clean_label(label.encode("utf-8", "replace")) for label in bare.split("."))
