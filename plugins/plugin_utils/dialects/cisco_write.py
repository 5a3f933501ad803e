# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts of entries as the words that NX-OS and ASA share: ports, ICMP messages, prefixes. Numbers, not names."""

from __future__ import annotations

import re
import socket
from functools import lru_cache

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import Ace
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.names import Message
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet, prefixes
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import PORT_PROTOCOLS, PORTS

LINE_LIMIT = 20_000
_SAFE = re.compile(
    r"[!->@-~]{1,255}(?: [!->@-~]{1,255}){0,7}\Z"
)  # no blanks or lines of its own, no "?" that asks for help


def cannot(ace: Ace, reason: str) -> FindingError:
    """Return the finding SW1204 for an entry that the platform cannot express."""
    return FindingError(codes.NOT_EXPRESSIBLE.at(f"entry {ace.label or ace.raw or 'without label'}: {reason}"))


def too_many(ace: Ace, count: int) -> FindingError:
    """Return the finding SW1207 for an entry that falls into too many lines."""
    return FindingError(
        codes.TOO_LARGE.at(f"one entry needs {count} lines ({ace.label or ace.raw or 'without label'})")
    )


def safe_conditions(ace: Ace) -> None:
    """Raise FindingError SW1204 for a condition with characters that may do more on a command line than stand there."""
    for text in ace.conditions:
        if not _SAFE.match(text):
            raise cannot(ace, f"condition {text!r} is not safe to write")


def port_words(ace: Ace, values: IntervalSet | None) -> list[str]:
    """Return one operator with its operand for each line that the ports need, in rising order; ``[""]`` for any port."""
    if values is None:
        return [""]
    if ace.protocol not in PORT_PROTOCOLS:
        raise cannot(ace, "its protocol has no ports")
    if not values or values.pairs[-1][1] > 65535:
        raise cannot(ace, "its ports are empty or out of range")
    return list(_port_words(values))


@lru_cache(maxsize=65_536)
def _port_words(values: IntervalSet) -> tuple[str, ...]:
    missing = PORTS.subtract(values)
    if missing.size == 1 and len(values.pairs) == 2:
        return (f" neq {missing.pairs[0][0]}",)
    result = []
    for low, high in values.pairs:
        if low == high:
            result.append(f" eq {low}")
        elif low == 0 and high < 65535:
            result.append(f" lt {high + 1}")
        elif high == 65535 and low > 0:
            result.append(f" gt {low - 1}")
        else:
            result.append(f" range {low} {high}")
    return tuple(result)


Words = tuple[tuple[Message, str], ...]


@lru_cache(maxsize=4096)
def message_words(values: IntervalSet, words: Words) -> tuple[str, ...]:
    """Return the ICMP messages of a set, each as a word of the table, a type, or a type and a code."""
    table = dict(words)
    result = []
    for kind in range(256):
        here = values.intersect(IntervalSet.of((kind << 8, kind << 8 | 255)))
        if here.size == 256:
            result.append(table.get((kind, None), str(kind)))
            continue
        for low, high in here.pairs:
            result += [table.get((kind, detail & 255), f"{kind} {detail & 255}") for detail in range(low, high + 1)]
    return tuple(result)


def blocks(ace: Ace, values: IntervalSet, width: int) -> tuple[tuple[str, int], ...]:
    """Return (address, prefix length) of the blocks of a set of addresses; FindingError SW1204 where it is empty."""
    if not values or values.hull[1] >> width:
        raise cannot(ace, "its addresses are empty or of the other family")
    if values.masked:
        raise cannot(ace, "its addresses fall into more than 4,096 ranges")
    return _blocks(values.pairs, width)


@lru_cache(maxsize=65_536)
def _blocks(pairs: tuple[tuple[int, int], ...], width: int) -> tuple[tuple[str, int], ...]:
    kind = socket.AF_INET6 if width == 128 else socket.AF_INET
    return tuple(
        (socket.inet_ntop(kind, value.to_bytes(width // 8, "big")), length) for value, length in prefixes(pairs, width)
    )
