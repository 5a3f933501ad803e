# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""decisions.yml: what named people decided about what learning left to them. Learning reads it and never writes it."""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.yaml_io import Document

PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "gre": 47, "esp": 50, "icmpv6": 58}
APPROVE, REFUSE = "approve", "refuse"
# That a person has told all that opens a network set: no decision about a conversation.
ACCOUNT = "account"


@dataclass(frozen=True)
class Decision:
    """A decision about a client segment, a segment or network set, and a service by name, or where that is empty
    (protocol, port).

    ``decision`` is APPROVE, REFUSE, or ACCOUNT: then ``to`` is a network set of which the file's decisions and the rules tell all uses,
    and client and service are empty.
    ``date`` and ``until`` are YYYY-MM-DD, ``until`` empty where it holds without end.
    """

    client: str
    to: str
    service: str
    protocol: int
    port: int
    decision: str
    by: str
    reason: str
    date: str
    until: str = ""
    location: Location = Location()

    def holds_on(self, day: str) -> bool:
        """Return whether the decision holds on a day, YYYY-MM-DD."""
        return not self.until or day <= self.until


@dataclass(frozen=True)
class Use:
    """What a segment opens: a segment or network set, and a service by name, or where that is empty (protocol, port)."""

    to: str
    service: str
    protocol: int
    port: int


@dataclass(frozen=True)
class SegmentAccount:
    """A person's word that a segment opens this and nothing else. ``date`` and ``until`` are YYYY-MM-DD."""

    segment: str
    opens: tuple[Use, ...]
    by: str
    reason: str
    date: str
    until: str
    location: Location = Location()


def segment_accounts_of(document: Document) -> tuple[SegmentAccount, ...]:
    """Return the accounts of segments that a sound decisions.yml gives, in the file's order."""
    return tuple(
        SegmentAccount(
            item["segment"],
            tuple(Use(use["to"], *_service(use["service"])) for use in item["opens"]),
            item["by"],
            item["reason"],
            item["date"],
            item["until"],
            document.location("segment_accounts", number),
        )
        for number, item in enumerate(document.value.get("segment_accounts", ()))
    )


def decisions_of(document: Document) -> tuple[Decision, ...]:
    """Return what a sound decisions.yml says, in the file's order; accounts of network sets after the rest."""
    accounts = tuple(
        Decision(
            "", item["network"], "", 0, 0, ACCOUNT, item["by"], item["reason"], item["date"], item.get("until", ""),
            document.location("accounts", number),
        )
        for number, item in enumerate(document.value.get("accounts", ()))
    )  # fmt: skip
    made = tuple(
        Decision(
            item["client"],
            item["to"],
            *_service(item["service"]),
            item["decision"],
            item["by"],
            item["reason"],
            item["date"],
            item.get("until", ""),
            document.location("decisions", number),
        )
        for number, item in enumerate(document.value["decisions"])
    )
    return made + accounts


def _service(text: str) -> tuple[str, int, int]:
    """Return a service's name, or the protocol and port that stand for it."""
    protocol, slash, port = text.partition("/")
    return ("", PROTOCOLS[protocol], int(port)) if slash else (text, 0, 0)
