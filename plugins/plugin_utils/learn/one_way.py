# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose answers nobody records: a ceiling on what silence says, end by end.

An exporter that watches what comes in at some interfaces only shows what goes to the devices behind the others, and never what they say.
Where these are few beside what it sees, the exporter as a whole passes for one that sees both ways (``flows/quality.py``), and all that is
opened towards them for traffic that nobody answers. Conversations do not carry interfaces, and need not: an opener that nobody answers
sends SYN and nothing else, so that octets tell.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace

from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.quality import (
    CEILINGS,
    FEW_CONVERSATIONS,
    ONE_SIDED_SHARE,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.evidence import CandidateKey, Evidence
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.proposed import Telemetry

TCP = 6
# Systems try seven or eight times; a SYN with all options has 80 octets in IPv4 and 100 in IPv6.
OPENING_OCTETS = 1000


def is_one_way(evidence: Evidence) -> bool:
    """Return whether the other end must have answered, though nothing of it was recorded."""
    opened = evidence.key.protocol == TCP and not evidence.answered
    return opened and evidence.bytes > OPENING_OCTETS * evidence.flows


def unheard(candidates: Mapping[CandidateKey, Evidence]) -> frozenset[str]:
    """Return the segments and network sets of whose answers to TCP so many are not recorded that no silence of theirs is one."""
    flows: Counter[str] = Counter()
    lone: Counter[str] = Counter()
    for key, evidence in candidates.items():
        if key.protocol == TCP:
            flows[key.to] += evidence.flows
            lone[key.to] += evidence.flows if is_one_way(evidence) else 0
    return frozenset(
        name for name, count in lone.items() if count >= FEW_CONVERSATIONS and count > ONE_SIDED_SHARE * flows[name]
    )


def bounded_by(telemetry: Telemetry, evidence: Evidence, ends: Collection[str]) -> Telemetry:
    """Return what may be claimed of one candidate; ``ends`` as ``unheard`` returns them."""
    if not (telemetry.silence and evidence.key.protocol == TCP and (is_one_way(evidence) or evidence.key.to in ends)):
        return telemetry
    return replace(
        telemetry,
        ceiling=min(telemetry.ceiling, CEILINGS["one_sided"]),
        silence=False,
        band=telemetry.band or "partial",
        reasons=(*telemetry.reasons, f"answers of {evidence.key.to} are not recorded"),
    )
