# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recorded conversations, as replay and impact read them: one value per client, server, protocol and server port."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.resolve import ICMP_ANSWERS
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.verdict import Conversation

np = guarded("numpy")

MAPPED_PREFIX = 0xFFFF << 32
SIGN = 1 << 63
WEAK_METHOD = 9
USUAL_CLIENT_PORT = 49152
SCAN, UNANSWERED = "scan", "unanswered"
OTHER_DEVICE = "held by another device then"
SUSPECTS = ("", SCAN, UNANSWERED, OTHER_DEVICE)
CLASSES = ("unicast", "peer", "multicast", "broadcast")
# A TCP opener or a request without an answer did nothing. A UDP datagram may do all its work alone (syslog, traps, alarms, video).
ANSWER_EXPECTED = (1, 6, 58)


@dataclass(frozen=True)
class SeenConversation:
    """What the daily rollup says about one conversation over a window.

    ``suspect`` is empty, or ``scan`` where the client was scanning when it opened this, or ``unanswered`` where no server ever
    answered a protocol in which one must. ``weak`` says that the direction is a guess. ``related`` names the control protocol of a
    conversation on a port that such a session agreed on, ``bootstrap`` what every list passes before any rule. Times are microseconds
    since 1970 in UTC.
    """

    family: int
    client: int
    server: int
    protocol: int
    server_port: int
    client_port: int
    flows: int
    answered: int
    days: int
    first_us: int
    last_us: int
    kind: str = "unicast"
    weak: bool = False
    suspect: str = ""
    related: str = ""
    bootstrap: str = ""


def address_of(high: int, low: int) -> tuple[int, int]:
    """Return (family, address) of the two signed order-preserving columns of docs/formats/connections.md."""
    value = ((high + SIGN) << 64) | (low + SIGN)
    if value >> 32 == 0xFFFF:
        return 4, value & 0xFFFFFFFF
    return 6, value


def seen_conversations(rows: Iterable[Mapping[str, Any]]) -> list[SeenConversation]:
    """Return conversations from aggregated rollup rows, ordered by client, server, protocol and port.

    A row has the address columns, ``protocol``, ``server_port``, ``class``, ``flows``, ``answered_flows``, ``days``, ``first_us``,
    ``last_us``, ``minimum_client_port``, ``method``, and optionally ``scan`` (bool), ``related`` and ``bootstrap`` (texts).
    """
    made = []
    for row in rows:
        family, client = address_of(row["client_hi"], row["client_lo"])
        _family, server = address_of(row["server_hi"], row["server_lo"])
        answered = int(row["answered_flows"])
        protocol = int(row["protocol"])
        silent = not answered and row["class"] in ("unicast", "peer") and protocol in ANSWER_EXPECTED
        suspect = SCAN if row.get("scan") else UNANSWERED if silent else ""
        low_port = int(row["minimum_client_port"] or 0)
        made.append(
            SeenConversation(
                family,
                client,
                server,
                protocol,
                int(row["server_port"]),
                low_port if low_port else USUAL_CLIENT_PORT,
                int(row["flows"]),
                answered,
                int(row["days"]),
                int(row["first_us"]),
                int(row["last_us"]),
                str(row["class"]),
                int(row["method"]) >= WEAK_METHOD,
                suspect,
                str(row.get("related") or ""),
                str(row.get("bootstrap") or ""),
            )
        )
    return sorted(made, key=lambda c: (c.family, c.client, c.server, c.protocol, c.server_port))


@dataclass(frozen=True)
class Columns:
    """Recorded conversations as columns (numpy), one row each: what ``SeenConversation`` says, for millions.

    Addresses are the two signed order-preserving halves of docs/formats/connections.md. ``suspect`` is a place in ``SUSPECTS``, ``kind``
    one in ``CLASSES``. ``days`` counts the days on which it was seen, at most. ``related`` and ``bootstrap`` hold texts.
    """

    client_hi: Any
    client_lo: Any
    server_hi: Any
    server_lo: Any
    protocol: Any
    server_port: Any
    client_port: Any
    flows: Any
    answered: Any
    days: Any
    first_us: Any
    last_us: Any
    kind: Any
    weak: Any
    suspect: Any
    related: Any
    bootstrap: Any

    def __len__(self) -> int:
        return len(self.protocol)

    @cached_property
    def is_four(self) -> Any:
        """Which rows are IPv4."""
        return (self.client_hi == -SIGN) & ((_plain(self.client_lo) >> np.uint64(32)) == np.uint64(0xFFFF))

    @cached_property
    def has_reply(self) -> Any:
        """Which rows have a first answer: no ICMP message that is no request, and nothing sent to a group."""
        asked = ~np.isin(self.protocol, tuple(ICMP_ANSWERS))
        for number, pairs in ICMP_ANSWERS.items():
            asked |= (self.protocol == number) & np.isin(self.server_port >> 8, tuple(pairs))
        low = self.address("server")
        group = np.where(
            self.is_four, (low >> 28 == 0xE) | (low == 0xFFFFFFFF), _plain(self.server_hi) >> np.uint64(56) == 0xFF
        )
        return asked & ~group

    def stored(self, end: str) -> tuple[Any, Any]:
        """Return the two halves of the addresses at one end (``client``, ``server``)."""
        return (self.client_hi, self.client_lo) if end == "client" else (self.server_hi, self.server_lo)

    def address(self, end: str) -> Any:
        """Return the IPv4 addresses at one end as integers; meaningless in rows of IPv6."""
        return (_plain(self.stored(end)[1]) & np.uint64(0xFFFFFFFF)).astype(np.int64)

    def whole(self, end: str, row: int) -> int:
        """Return the address of one row as an integer."""
        high, low = self.stored(end)
        return address_of(int(high[row]), int(low[row]))[1]

    def conversation(self, row: int) -> Conversation:
        """Return the conversation of one row."""
        family, client = address_of(int(self.client_hi[row]), int(self.client_lo[row]))
        server = self.whole("server", row)
        return Conversation(
            family, client, server, int(self.protocol[row]), int(self.server_port[row]), int(self.client_port[row])
        )

    def seen(self, row: int) -> SeenConversation:
        """Return one row as a value."""
        one = self.conversation(row)
        return SeenConversation(
            one.family, one.client, one.server, one.protocol, one.server_port, one.client_port, int(self.flows[row]),
            int(self.answered[row]), int(self.days[row]), int(self.first_us[row]), int(self.last_us[row]),
            CLASSES[int(self.kind[row])], bool(self.weak[row]), SUSPECTS[int(self.suspect[row])], str(self.related[row]),
            str(self.bootstrap[row]),
        )  # fmt: skip

    def taken(self, rows: Any) -> Columns:
        """Return some of the rows."""
        return Columns(**{name: getattr(self, name)[rows] for name in self.__dataclass_fields__})


def columns_of(history: Sequence[SeenConversation]) -> Columns:
    """Return conversations as columns, in their order."""
    halves = {end: [stored_halves(item.family, getattr(item, end)) for item in history] for end in ("client", "server")}

    def column(values: Iterable[Any], kind: str = "int64") -> Any:
        return np.array(list(values), dtype=kind)

    return Columns(
        client_hi=column(high for high, _low in halves["client"]),
        client_lo=column(low for _high, low in halves["client"]),
        server_hi=column(high for high, _low in halves["server"]),
        server_lo=column(low for _high, low in halves["server"]),
        protocol=column((item.protocol for item in history), "int16"),
        server_port=column((item.server_port for item in history), "int32"),
        client_port=column((item.client_port for item in history), "int32"),
        flows=column(item.flows for item in history),
        answered=column(item.answered for item in history),
        days=column(item.days for item in history),
        first_us=column(item.first_us for item in history),
        last_us=column(item.last_us for item in history),
        kind=column((CLASSES.index(item.kind) for item in history), "int8"),
        weak=column((item.weak for item in history), "bool"),
        suspect=column((SUSPECTS.index(item.suspect) for item in history), "int8"),
        related=column((item.related for item in history), "object"),
        bootstrap=column((item.bootstrap for item in history), "object"),
    )


def columns_of_table(
    table: Any,
    scans: Collection[Any] = (),
    related: Mapping[Any, str] | None = None,
    bootstrap: Callable[[int, int], str] | None = None,
) -> Columns:
    """Return the rows of an Arrow table as columns; see ``seen_conversations`` for what it has to hold.

    ``scans`` are (client, server, protocol, server port) with ends as (family, address), and so are the keys of ``related``, whose values
    name control protocols. ``bootstrap`` names what every list passes before any rule, by protocol and server port.
    """
    own = {name: table.column(name).to_numpy() for name in table.column_names if name not in ("class", "day")}
    kinds = table.column("class").combine_chunks().dictionary_encode()
    chunks = kinds.chunks if hasattr(kinds, "chunks") else [kinds]
    kind = np.concatenate(
        [np.array([CLASSES.index(name) for name in c.dictionary.to_pylist()], dtype=np.int8)[c.indices.to_numpy()] for c in chunks]
        or [np.zeros(0, np.int8)]
    )  # fmt: skip
    protocol, answered = own["protocol"], own["answered_flows"]
    silent = (answered == 0) & (kind < 2) & np.isin(protocol, ANSWER_EXPECTED)
    client_port = own["minimum_client_port"]
    made = Columns(
        own["client_hi"], own["client_lo"], own["server_hi"], own["server_lo"], protocol, own["server_port"],
        np.where(client_port > 0, client_port, USUAL_CLIENT_PORT), own["flows"], answered, own["days"], own["first_us"],
        own["last_us"], kind, own["method"] >= WEAK_METHOD, np.where(silent, SUSPECTS.index(UNANSWERED), 0).astype(np.int8),
        np.full(len(protocol), "", dtype=object), np.full(len(protocol), "", dtype=object),
    )  # fmt: skip
    for row, pair in _marked(made, scans):
        made.suspect[row] = SUSPECTS.index(SCAN) if pair in scans else made.suspect[row]
    for row, pair in _marked(made, related or {}):
        made.related[row] = (related or {}).get(pair, "")
    if bootstrap is not None and len(made):
        _services, first, code = np.unique(
            made.protocol.astype(np.int64) << 32 | made.server_port, return_index=True, return_inverse=True
        )
        texts = [bootstrap(int(made.protocol[row]), int(made.server_port[row])) for row in first]
        made.bootstrap[:] = np.array(texts, dtype=object)[code]
    return made


def joined(parts: Sequence[Columns]) -> Columns:
    """Return the rows of several columns, one after the other."""
    if len(parts) == 1:
        return parts[0]
    return Columns(
        **{name: np.concatenate([getattr(each, name) for each in parts]) for name in Columns.__dataclass_fields__}
    )


def _marked(columns: Columns, pairs: Collection[Any]) -> Iterator[tuple[int, Any]]:
    """Yield rows that may be among some pairs, with what they are: found by client and server first, so that few are looked at."""
    if not pairs or not len(columns):
        return
    halves = [(stored_halves(*pair[0])[1], stored_halves(*pair[1])[1]) for pair in pairs]
    near = np.isin(columns.client_lo, np.array([one for one, _two in halves], dtype=np.int64))
    near &= np.isin(columns.server_lo, np.array([two for _one, two in halves], dtype=np.int64))
    for row in np.flatnonzero(near):
        one = columns.conversation(int(row))
        yield int(row), ((one.family, one.client), (one.family, one.server), one.protocol, one.server_port)


def stored_halves(family: int, address: int) -> tuple[int, int]:
    """Return the two signed order-preserving halves of an address."""
    whole = address | MAPPED_PREFIX if family == 4 else address
    return (whole >> 64) - SIGN, (whole & (1 << 64) - 1) - SIGN


def address_text(family: int, address: int) -> str:
    """Return an address as text."""
    return str(ipaddress.IPv4Address(address) if family == 4 else ipaddress.IPv6Address(address))


def _plain(half: Any) -> Any:
    """Return the unsigned half of a stored one."""
    return np.asarray(half, dtype=np.int64).view(np.uint64) ^ np.uint64(SIGN)
