# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a proposal may offer enforcement, segment by segment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.completeness import (
    Completeness,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.expected import Expected
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.misplaced import Misplaced
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.propose import (
    PERMITTED,
    Proposal,
    Telemetry,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import (
    NEVER_DROPPED,
)

# What became of a candidate that enforcement cuts for no reason a person should be asked about, or does not cut.
SETTLED = frozenset({"rule", PERMITTED, "refused", "unanswered", "scan", "threat"})


def enforcement(
    known: Mapping[str, Completeness],
    expected: Sequence[Expected],
    proposal: Proposal,
    telemetry: Telemetry,
    criticality: Mapping[str, str],
    misplaced: Sequence[Misplaced] = (),
) -> dict[str, Any]:
    """Return for each segment whether enforcement may be proposed, and what to wait for where not.

    Traffic that no rule permits and that nobody has answered for holds a segment back, whether its devices open or serve it: enforcing
    would cut it (a list of the server's segment stops the answers, ``enforce/access.py``). So does sampling, since
    what has few packets is mostly not seen, and no estimate from what was seen tells of it. A device that is in the wrong segment holds
    back that segment, which would cut what it opens, and every segment that opens to it.
    """
    made = {}
    asked = {each.key for each in expected}
    waiting: dict[str, Counter[str]] = {}
    for key, kind in proposal.judged.items():
        ends = {key.client, key.to}
        thin = kind in ("few-days", "few-flows") and not any(criticality.get(name) in NEVER_DROPPED for name in ends)
        if kind in SETTLED or thin or (key.client, key.to, key.protocol, key.server_port) in asked:
            continue
        for name in ends:
            waiting.setdefault(name, Counter())[kind] += 1
    astray: dict[str, set[str]] = {}
    for device in misplaced:
        for name in {device.segment, *device.clients}:
            astray.setdefault(name, set()).add(device.device)
    for name, each in sorted(known.items()):
        open_questions = sum(1 for item in expected if name in (item.client, item.to))
        wait = list(each.wait_for)
        if open_questions:
            wait.append(f"{open_questions} questions to the owner about rare traffic (evidence/open/expected.json)")
        if waiting.get(name):
            kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(waiting[name].items()))
            wait.append(f"a decision about traffic that no rule permits (evidence/open/review.json): {kinds}")
        if astray.get(name):
            wait.append(
                f"the right segment of {len(astray[name])} devices in it or opened by it, which do what another does (misplaced)"
            )
        if telemetry.band == "sampled":
            wait.append(
                "recordings of every packet: these are sampled, and what has few packets is mostly not seen in them"
            )
        made[name] = {"offered": not wait, "wait_for": wait}
    return made
