# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the list of the other direction passes the answers of what a list accepts, for points without connection tracking."""

from __future__ import annotations

import re
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import ParsedAcl
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import ALL, IPV6, PORT_PROTOCOLS, Box
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.reply import ReplyCheck, check_replies
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.text import packet_dict

_RANGE = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?\Z")
_PORTED = IntervalSet.of(*(base + number for base in (0, IPV6) for number in PORT_PROTOCOLS))


def check_reply_list(forward: ParsedAcl, back: ParsedAcl, client_ports: str = "") -> tuple[ReplyCheck, list[Finding]]:
    """Return what ``back`` drops of the answers to what ``forward`` accepts, and a finding SW1120 where it drops some.

    ``client_ports`` (``1024-65535``) narrows the conversations to those from such a port; protocols without ports always count.
    Raises FindingError SW1203 for a list that is not understood whole, SW1245 for one with connection tracking, SW1211 for bad ports.
    """
    for item in (forward, back):
        if item.kind.startswith("asa") or (item.kind == "nftables" and item.attributes.get("stateful", True)):
            raise FindingError(codes.NO_REPLY_LIST.at(f"{item.name or 'the list'} belongs to a stateful firewall"))
    found = check_replies(forward.first_match(), back.first_match(), _conversations(client_ports))
    finding = found.finding(forward.name or "the list", back.name or "the list of the other direction")
    return found, [finding] if finding else []


def _conversations(client_ports: str) -> list[Box]:
    if not client_ports:
        return [Box()]
    match = _RANGE.match(client_ports.replace(" ", ""))
    low, high = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
    if not 0 <= low <= high <= 65535:
        raise FindingError(
            codes.BAD_ENTRY.at(f"client_ports {client_ports[:40]!r}: a range such as 1024-65535 is wanted")
        )
    others = Box(protocol=ALL["protocol"].subtract(_PORTED))
    return [Box(protocol=_PORTED, source_port=IntervalSet.of((low, high))), others]


def reply_dict(found: ReplyCheck) -> dict[str, Any]:
    """Return whether every answer passes, and one conversation whose answer does not, or for which a condition decides."""
    return {
        "complete": found.complete,
        "certain": bool(found.gap) or found.complete,
        "opener": packet_dict(found.opener) if found.opener else {},
        "answer": packet_dict(found.answer) if found.answer else {},
    }
