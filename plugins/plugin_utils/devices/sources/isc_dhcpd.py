# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ISC dhcpd's dhcpd.leases and dhcpd6.leases (dhcpd.leases(5)).

The file is a log: each block is what the server knew when it wrote it, so every block is a claim of its own, and none is thrown away.
Times are UTC, or seconds since 1970 where the server was told ``db-time-format local``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime

from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.model import Observation
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.sources.kind import (
    Asked,
    Kind,
    Reading,
    Rejects,
    reading,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.sources.leases import (
    DUID_MAC,
    FOREVER,
    SECOND,
    Turn,
    last_moments,
    lease_observations,
    mac_of_duid,
)

_LEASE = re.compile(r"\A\s*lease\s+(\S+)\s*\{")
_IA = re.compile(r'\A\s*ia-(na|ta|pd)\s+"((?:[^"\\]|\\.)*)"\s*\{')
_IAADDR = re.compile(r"\A\s*iaaddr\s+(\S+)\s*\{")
_DATE = re.compile(r"(\d{4})/(\d\d)/(\d\d) (\d\d):(\d\d):(\d\d)")
_EPOCH = re.compile(r"epoch (\d+)")
_HELD = ("active", "expired", "released", "free", "backup", "reset", "")


def read(asked: Asked) -> Reading:
    """Return what the leases say."""
    observations: list[Observation] = []
    rejects = Rejects(asked)
    leases = without = 0
    blocks = list(_blocks(asked.text().splitlines(), rejects))
    # In a log of each address, what comes later ends what came before.
    log = [_turn(name, block) for _line, kind, name, block in blocks if kind == "lease"]
    left = iter(last_moments(log))
    for line, kind, name, block in blocks:
        if kind == "lease":
            leases += 1
            without += not _v4(asked, line, name, block, next(left), observations, rejects)
        elif kind in ("na", "ta"):
            mac = mac_of_duid(_octets(name)[4:])
            for address, own in _addresses(block):
                leases += 1
                if mac is None:
                    without += 1
                    continue
                _v6(asked, line, mac, address, {**block_times(block), **block_times(own)}, own, observations, rejects)
    return reading(observations, rejects, leases=leases, without_mac=without)


def _turn(address: str, block: list[str]) -> Turn:
    values, times = _values(block), block_times(block)
    since = times.get("starts", times.get("cltt", FOREVER))
    used = values.get("binding state", "") == "active"
    return Turn(address, values.get("hardware ethernet", ""), used, since, times.get("ends", since))


def _v4(
    asked: Asked, line: int, address: str, block: list[str], left: int, into: list[Observation], rejects: Rejects
) -> bool:
    values = _values(block)
    mac = values.get("hardware ethernet", "")
    if not mac:
        return False
    state = values.get("binding state", "")
    if state not in _HELD:
        return True  # abandoned: the server found that somebody else answers there
    times = block_times(block)
    started = times.get("starts") or times.get("cltt")
    if started is None:
        rejects.add(line, f"lease {address} has no start")
        return True
    ends = times.get("ends", FOREVER)
    known = asked.at if state == "active" else max(times.get("cltt", started), started)
    until = min(ends, max(known, started), max(left, started))
    try:
        into += lease_observations(
            asked.name,
            mac,
            address,
            started,
            until,
            asked.at,
            hostname=_text(values.get("client-hostname", "")),
            vendor_class=_text(values.get("set vendor-class-identifier", "").lstrip("= ")),
        )
    except ValueError as error:
        rejects.add(line, f"lease {address}: {error}")
    return True


def _v6(
    asked: Asked,
    line: int,
    mac: str,
    address: str,
    times: dict[str, int],
    block: list[str],
    into: list[Observation],
    rejects: Rejects,
) -> None:
    values = _values(block)
    state = values.get("binding state", "")
    started = times.get("cltt")
    if state not in _HELD or started is None:
        if started is None:
            rejects.add(line, f"address {address} has no time of the client's last word")
        return
    until = min(times.get("ends", FOREVER), asked.at if state == "active" else started)
    try:
        into += lease_observations(asked.name, mac, address, started, until, asked.at, sure=DUID_MAC)
    except ValueError as error:
        rejects.add(line, f"address {address}: {error}")


def _blocks(lines: list[str], rejects: Rejects) -> Iterator[tuple[int, str, str, list[str]]]:
    """Yield (line, kind, name, inner lines) of the outermost blocks; what a writer cut off at the end is no block."""
    kind = name = ""
    start = depth = 0
    inner: list[str] = []
    for number, line in enumerate(lines, 1):
        plain = line.split("#", maxsplit=1)[0] if not _quoted_hash(line) else line
        if depth == 0:
            lease, ia = _LEASE.match(plain), _IA.match(plain)
            kind, name = ("lease", lease[1]) if lease else (ia[1], ia[2]) if ia else ("other", "")
            if "{" not in plain:
                continue
            start, inner, depth = number, [], 1
            continue
        depth += _braces(plain)
        if depth <= 0:
            yield start, kind, name, inner
            depth = 0
        else:
            inner.append(plain)
    if depth:
        rejects.add(start, "the file ends within a block")


def _braces(line: str) -> int:
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', "", line)
    return bare.count("{") - bare.count("}")


def _quoted_hash(line: str) -> bool:
    return '"' in line.split("#", maxsplit=1)[0]


def _addresses(block: list[str]) -> Iterator[tuple[str, list[str]]]:
    address = ""
    inner: list[str] = []
    for line in block:
        found = _IAADDR.match(line)
        if found:
            address, inner = found[1], []
        elif address and "}" in re.sub(r'"(?:[^"\\]|\\.)*"', "", line):
            yield address, inner
            address = ""
        elif address:
            inner.append(line)


def _values(block: list[str]) -> dict[str, str]:
    made = {}
    for line in block:
        text = line.strip().rstrip(";").strip()
        for key in ("hardware ethernet", "binding state", "client-hostname", "set vendor-class-identifier"):
            if text.startswith(key + " "):
                made[key] = text[len(key) :].strip()
    return made


def block_times(block: list[str]) -> dict[str, int]:
    """Return the times of a block in microseconds; ``never`` is left out."""
    made = {}
    for line in block:
        words = line.split(maxsplit=1)
        if len(words) < 2 or words[0] not in ("starts", "ends", "cltt", "tstp"):
            continue
        date, epoch = _DATE.search(words[1]), _EPOCH.search(words[1])
        if epoch:
            made[words[0]] = int(epoch[1]) * SECOND
        elif date:
            try:
                moment = datetime(*(int(part) for part in date.groups()), tzinfo=UTC)  # type: ignore[misc,arg-type]
            except ValueError:
                continue
            made[words[0]] = int(moment.timestamp()) * SECOND
    return made


def _octets(text: str) -> bytes:
    """Return the octets of a string with octal escapes."""
    made = bytearray()
    at = 0
    while at < len(text):
        if text[at] == "\\" and re.match(r"[0-7]{3}", text[at + 1 : at + 4]):
            made.append(int(text[at + 1 : at + 4], 8) & 255)
            at += 4
        elif text[at] == "\\" and at + 1 < len(text):
            made += text[at + 1].encode("utf-8", "replace")
            at += 2
        else:
            made += text[at].encode("utf-8", "replace")
            at += 1
    return bytes(made)


def _text(quoted: str) -> str:
    text = quoted.strip()
    if len(text) >= 2 and text[0] == text[-1] == '"':
        text = text[1:-1]
    return _octets(text).decode("utf-8", "replace")


KIND = Kind("isc_dhcpd", "Leases of ISC dhcpd for IPv4 and IPv6 (dhcpd.leases, dhcpd6.leases)", read)
