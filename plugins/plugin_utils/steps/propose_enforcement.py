# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a proposal may offer enforcement, segment by segment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.accounts import waiting_for
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.completeness import (
    Completeness,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.expected import Expected
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.judging import PERMITTED
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.proposed import Proposal, ProposedRule, Telemetry
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import (
    NEVER_DROPPED,
)

# What became of a candidate that enforcement cuts for no reason a person should be asked about, or does not cut.
SETTLED = frozenset({"rule", PERMITTED, "refused", "scan", "threat"})
# What is not asked about, unless it may be a device's call that somebody's life hangs on.
THIN = frozenset({"few-days", "few-flows", "unanswered"})


def enforcement(
    known: Mapping[str, Completeness],
    expected: Sequence[Expected],
    proposal: Proposal,
    telemetry: Telemetry,
    criticality: Mapping[str, str],
    holding: Mapping[str, int] | None = None,
    sampled: Collection[str] | None = None,
    openers: Mapping[str, Collection[str]] | None = None,
    lapsed: Sequence[ProposedRule] = (),
) -> dict[str, Any]:
    """Return for each segment whether enforcement may be proposed, and what to wait for where not.

    Traffic that no rule permits and that nobody has answered for holds a segment back, whether its devices open or serve it: enforcing
    would cut it (a list of the server's segment stops the answers, ``enforce/access.py``). So does sampling, since
    what has few packets is mostly not seen, and no estimate from what was seen tells of it. ``holding`` are the segments in which devices
    wait that are in doubt, with how many: they are never offered, and hold nobody else back but by what no rule permits them.
    ``sampled`` names the segments of which sampled recordings tell; without it all of them where any exporter samples.
    ``openers`` are the segments on which lives or processes depend that may open to each: what they have not needed yet would be cut there.
    ``lapsed`` are rules that are proposed and not written, since one that holds no more stands for them, or a person took them out.
    """
    made = {}
    asked = {each.key for each in expected}
    waiting: dict[str, Counter[str]] = {}
    held = holding or {}
    for key, kind in proposal.judged.items():
        ends = {key.client, key.to}
        thin = kind in THIN and not any(criticality.get(name) in NEVER_DROPPED for name in ends)
        if kind in SETTLED or thin or (key.client, key.to, key.protocol, key.server_port) in asked:
            continue
        for name in ends:
            waiting.setdefault(name, Counter())[kind] += 1
    # Once, and nothing answered: an alarm that nobody heard is that as well. Lives hang on it, or nobody knows what the device is.
    for stray in proposal.strays:
        if any(criticality.get(name) in NEVER_DROPPED or name in held for name in (stray.client, stray.to)):
            for name in sorted({stray.client, stray.to}):
                waiting.setdefault(name, Counter())["stray"] += stray.conversations
    for name, each in sorted(known.items()):
        open_questions = sum(1 for item in expected if name in (item.client, item.to))
        wait = list(each.wait_for)
        unknown = [each for each in (openers or {}).get(name, ()) if each not in known or not known[each].known]
        if unknown:
            text = "more of what those do that may open to it and on which lives or processes depend"
            wait.append(f"{text}: too little is known of {', '.join(unknown)}")
        if open_questions:
            wait.append(f"{open_questions} questions to the owner about rare traffic (evidence/open/expected.json)")
        if waiting.get(name):
            kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(waiting[name].items()))
            wait.append(f"a decision about traffic that no rule permits (evidence/open/review.json): {kinds}")
        sets = waiting_for(proposal.sets, name, criticality.get(name, ""))
        if sets:
            text = "an account of network sets that hardly any recorded traffic touched (evidence/open/review.json)"
            wait.append(f"{text}: {', '.join(sets)}")
        gone = sorted(rule.id for rule in lapsed if name in (rule.client, rule.to))
        if gone:
            wait.append(f"rules that hold no more and whose traffic goes on (SW3221, SW3224): {', '.join(gone)}")
        if name in held:
            wait.append(
                f"the right segment of its {held[name]} devices (misplaced): it holds them, and is never enforced"
            )
        if telemetry.band == "sampled" if sampled is None else name in sampled:
            wait.append(
                "recordings of every packet: these are sampled, and what has few packets is mostly not seen in them"
            )
        made[name] = {"offered": not wait, "wait_for": wait}
    return made
