# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Candidates with a device in doubt at an end (``holding.py``), judged once all others are settled."""

from __future__ import annotations

from collections.abc import Iterable

from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.beside import Served
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.evidence import CandidateKey, Evidence, Gathered
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.holding import KIND as HELD
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.judging import Judge
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.proposed import ProposedRule
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.score import MANY_DEVICES, PROPOSE, Score
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.decisions import REFUSE

ROGUE = "rogue-server"


class Doubts:
    """What devices in doubt do, and others do to them: they may have what the segments may have that they may belong to, as far as they
    were seen to need it; the rest waits for a person, and so does what may be a rogue server.

    Where devices of several profiles wait together, none may have anything for its profile: what one may is no right of another.
    """

    def __init__(self, judge: Judge, gathered: Gathered) -> None:
        """Take the judge of all others, and the evidence that tells who waits where."""
        self._judge = judge
        self._holding = {name: models[: 1 if len(models) > 2 else 2] for name, models in gathered.holding.items()}
        self._served = Served(gathered.incidences, gathered.holding, gathered.days)

    def take(self, key: CandidateKey, evidence: Evidence) -> None:
        """Judge one candidate."""
        judge, holding = self._judge, self._holding
        decision = judge.decisions.about(key)
        support = "like: " + ", ".join(sorted({holding[name][0] for name in (key.client, key.to) if name in holding}))
        if decision is not None and decision.decision == REFUSE:
            judge.refuse(evidence, decision, 0, support)
            return
        models = [
            CandidateKey(client, to, key.protocol, key.server_port)
            for client in holding.get(key.client, (key.client,))
            for to in holding.get(key.to, (key.to,))
        ]
        allowed = [each for each in models if judge.permitted(each)]
        rogue = "" if decision is not None else self._rogue(key, evidence, allowed)
        if rogue:
            judge.wait(evidence, ROGUE, rogue, 0, 0, support)
            return
        service = judge.service_of(key, decision)
        if service and (decision is not None or (allowed and not evidence.threat and judge.reaches(key))):
            made = Score((("like its segment", float(PROPOSE)),))
            judge.carry(evidence, service, made, HELD, support, decision)
            return
        doubted = key.client if key.client in holding else key.to
        text = f"a device in doubt ({doubted}) is an end, and {models[0].client} may not open it to {models[0].to}"
        judge.wait(evidence, "held-device", f"{text}: settle first where the device belongs", 0, 0, support)

    def take_peers(self, rules: Iterable[ProposedRule]) -> None:
        """Let devices in doubt that are like a segment that lives depend on have what its devices open to one another, seen or not.

        Such calls are rare (an alarm passed on), and enforcement would cut them for a wrong profile. Not where a device of theirs may be a
        rogue server of it, where a person has refused it or a standing rule permits it.
        """
        judge = self._judge
        rogues = {(key.to, key.protocol, key.server_port) for key, kind in judge.judged.items() if kind == ROGUE}
        among = [rule for rule in rules if rule.client == rule.to and rule.client in judge.vital]
        for held, models in sorted(self._holding.items()):
            for rule in among:
                protocol, ports = rule.evidence.key.protocol, rule.ports
                if rule.client != models[0] or any((held, protocol, port) in rogues for port in ports):
                    continue
                for client, to in ((held, rule.to), (rule.client, held), (held, held)):
                    for key in (CandidateKey(client, to, protocol, port) for port in ports):
                        if key not in judge.judged and not judge.permitted(key):
                            self._carry_unseen(key, rule)

    def _carry_unseen(self, key: CandidateKey, rule: ProposedRule) -> None:
        judge = self._judge
        decision = judge.decisions.about(key)
        last = rule.evidence.days[-1]
        evidence = Evidence(
            key, (last,), 0, 0, 0, 0, first_us=rule.evidence.last_us, last_us=rule.evidence.last_us, best_method=1,
            confidence=1.0, remembered=True,
        )  # fmt: skip
        support = f"like: {rule.client}"
        if decision is not None and decision.decision == REFUSE:
            judge.refuse(evidence, decision, 0, support)
            return
        judge.carry(evidence, rule.service, Score((("like its segment", float(PROPOSE)),)), HELD, support, decision)

    def _rogue(self, key: CandidateKey, evidence: Evidence, allowed: list[CandidateKey]) -> str:
        """Return why the server may be a rogue one, or empty text.

        Where only those that a device in doubt is like serve it, and it serves beside them (``beside.py``); or where no segment at
        either end may have it, few devices serve it, and another segment serves it to more clients.
        """
        judge, port = self._judge, (key.protocol, key.server_port)
        models = self._holding.get(key.to, ())
        if allowed:
            imitates = models and all(each.to == models[0] for each in allowed)
            found = self._served.beside(key, models[0]) if imitates else None
            return found.text(models[0], judge.known.names.get(found.device, found.device)) if found else ""
        serving = judge.gathered.servers.get(port, {})
        servers, size = max(evidence.server_devices, serving.get(key.to, (0, 0))[0]), judge.sizes.get(key.to, 0)
        if not models and not (size >= MANY_DEVICES and servers * 4 <= size):
            return ""
        clients, segment = max(
            ((count, name) for name, (_servers, count) in serving.items() if name != key.to), default=(0, "")
        )
        if segment in models or clients <= evidence.client_devices:
            return ""
        who = f"a device in doubt ({key.to}) serves it"
        if not models:
            who = f"{servers} of {size} devices of {key.to} serve it to a device in doubt"
        return f"{who}, and {clients} clients have it from {segment}: look at the server first"
