# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stitching: the two directions of one 5-tuple become one conversation with ends a and b, whose roles are not yet known.

Records of one exporter are merged while the silence between them is shorter than the exporter's active timeout, its inactive timeout
and a minute, or, for packets, than a fixed silence; a new handshake begins a new conversation (facts/flows.md section 5, stitching): a SYN,
or a SYN with ACK that answers none. Which it is shows in the record and in the handshake packet before it, so that stitching pieces of what
was stitched before (``continuation.py``) gives what stitching all records at once gives.
A conversation that runs over midnight UTC has one part for each day, so that a session of months is seen on every day of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.conversations import Conversations, conversations
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.held import HeldRecords
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.records import FROM_EXPORTER


@dataclass(frozen=True)
class Silences:
    """Longest silence within one conversation, in seconds."""

    packets_tcp: int = 3600
    packets_other: int = 300
    exporter_active: int = 1800
    exporter_inactive: int = 15

    @property
    def exporter(self) -> int:
        """Return the silence for an exporter's records."""
        return self.exporter_active + self.exporter_inactive + 60

    @property
    def longest(self) -> int:
        """Return the longest of them."""
        return max(self.packets_tcp, self.packets_other, self.exporter)

    @property
    def shortest(self) -> int:
        """Return the shortest of them."""
        return min(self.packets_tcp, self.packets_other, self.exporter)

    def limit(self, origin: str = "origin") -> str:
        """Return the SQL expression of a record's silence in microseconds."""
        return (
            f"CASE WHEN {origin} = {FROM_EXPORTER} THEN {self.exporter} WHEN protocol = 6 THEN {self.packets_tcp}"
            f" ELSE {self.packets_other} END * 1000000::BIGINT"
        )


def stitch(held: HeldRecords, silences: Silences | None = None) -> Iterator[Conversations]:
    """Yield the conversations of the held records, piece by piece; all of one 5-tuple are in one piece.

    End a is the lower one of (address, port).
    """
    limits = silences or Silences()
    for piece in held.pieces(limits.shortest * 1_000_000):
        yield conversations(piece, limits)
