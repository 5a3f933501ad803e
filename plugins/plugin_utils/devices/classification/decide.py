# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a device is, by evidence: winner, runner-up and margin, and whether its facts contradict each other.

Pure and without order: equal facts and rules give an equal answer. Contradictions, changes of mind and decisions are judged here and
nowhere else, so that a device is never admitted to a segment by a guess.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.classification.facts import Seen, seen_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.classification.matching import Hits, Matcher
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.classification.model import (
    CONFIDENCE,
    CONTRADICTION,
    MARGIN,
    STATED,
    UNKNOWN,
    Candidate,
    Classification,
    Decision,
    DeviceType,
    Evidence,
    RuleBase,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.model import is_local
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.register import (
    HISTORIC,
    Device,
    Fact,
    Register,
    Word,
)

MOST_CANDIDATES = 5
MOST_FACTS = 4
DECIDED = "decision"


class Classifier:
    """A rule base made ready; keep one for many devices."""

    def __init__(self, base: RuleBase) -> None:
        self.base = base
        self._matcher = Matcher(base.rules)

    def all_of(self, register: Register) -> dict[str, Classification]:
        """Return the classification of every device of a register, by its id in order."""
        return {name: self.of(device) for name, device in sorted(register.devices.items())}

    def of(self, device: Device) -> Classification:
        """Return what a device of the register is taken for, and why."""
        evidence = self.evidence_of(seen_of(device))
        decision = self.base.decisions.get(device.id)
        made = self._judged(device.id, evidence, decision)
        findings = list(made.findings)
        disputed = made.disputed
        changed = "" if decision else self._before(device)
        if changed:
            disputed = changed
            findings.append(codes.TYPE_CHANGED.at(f"{device.id} {changed}"))
        if disputed and not decision:
            made = replace(made, type=UNKNOWN)
        return replace(made, findings=tuple(findings), disputed=disputed, notes=_notes(device))

    def evidence_of(self, seen: Seen) -> list[Evidence]:
        """Return what speaks for which type, in order; a rule that needs unsure words counts half."""
        numbers, hits = self._matcher.fitting(seen.sure)
        made = [self._evidence(number, hits, 1) for number in numbers]
        if seen.unsure:
            both = {
                name: [*seen.sure.get(name, ()), *seen.unsure.get(name, ())]
                for name in dict.fromkeys((*seen.sure, *seen.unsure))
            }
            full = set(numbers)
            more, hits = self._matcher.fitting(both)
            made += [self._evidence(number, hits, 2) for number in more if number not in full]
        return sorted(made)

    def _evidence(self, number: int, hits: Hits, parts: int) -> Evidence:
        rule = self._matcher.rules[number]
        facts = [f"{fact} {value} by {source}" for value, fact, source in self._matcher.reasons(number, hits)]
        shown = ", ".join(facts[:MOST_FACTS]) + (", ..." if len(facts) > MOST_FACTS else "")
        note = rule.note if parts == 1 else f"{rule.note}; unsure, counts half".lstrip("; ")
        return Evidence(rule.type, rule.evidence, rule.id, rule.weight // parts, shown, note)

    def _judged(self, device: str, evidence: Sequence[Evidence], decision: Decision | None) -> Classification:
        candidates = candidates_of(evidence)
        if decision is not None:
            findings = []
            against = _against(decision.type, evidence, self.base.types, stated=())
            if against:
                text = f"{device} is {decision.type} by {decision.owner} and seen as {against}"
                findings.append(codes.DECISION_CONTRADICTED.at(text, decision.location))
            return Classification(
                device,
                decision.type,
                1.0,
                1.0,
                candidates,
                (
                    Evidence(decision.type, "record", DECIDED, 100, f"decided by {decision.owner}", decision.reason),
                    *evidence,
                ),
                tuple(findings),
                by="decision",
            )
        winner = self._winner(candidates)
        confidence = candidates[0].confidence if candidates else 0.0
        margin = margin_of(candidates, self.base.types)
        disputes = list(self._contradictions(evidence))
        found = [codes.TYPE_CONTRADICTED.at(f"{device}: {text}") for text in disputes]
        return Classification(
            device, winner, confidence, margin, candidates, tuple(evidence), tuple(found), "; ".join(disputes)
        )

    def _winner(self, candidates: Sequence[Candidate]) -> str:
        if not candidates or candidates[0].confidence < CONFIDENCE:
            return UNKNOWN
        return candidates[0].type if margin_of(candidates, self.base.types) >= MARGIN else UNKNOWN

    def _contradictions(self, evidence: Sequence[Evidence]) -> Iterator[str]:
        """Yield where a type is stated and what was seen speaks for another one that it cannot look like."""
        for stated in STATED:
            said = candidates_of(each for each in evidence if each.evidence == stated)
            for each in said[:1]:
                against = _against(each.type, evidence, self.base.types, stated=(stated,))
                if against:
                    telling = [one.facts for one in evidence if one.evidence == stated and one.type == each.type]
                    yield f"{each.type} by {telling[0]}, but seen as {against}"

    def _before(self, device: Device) -> str:
        """Return where a source changed its mind so far that its word alone speaks for another kind of device than before.

        A vague word (a generic operating system) speaks too weakly to count, so that a profile that becomes finer is no event.
        """
        for name in HISTORIC:
            fact = device.facts.get(name)
            for word in fact.earlier if fact else ():
                now = next(each for each in fact.words if each.source == word.source)  # type: ignore[union-attr]
                there, here = (self._alone(device, name, each) for each in (word, now))
                if there and here and not _alike(here, there, self.base.types):
                    return f"was {there} and is {here}: {name} by {word.source} was {word.value!r} and is {now.value!r}"
        return ""

    def _alone(self, device: Device, name: str, word: Word) -> str:
        fact = Fact(word.value, word.source, word.time, word.confidence)
        candidates = candidates_of(self.evidence_of(seen_of(Device(device.id, {name: fact}))))
        return candidates[0].type if candidates and candidates[0].confidence >= CONTRADICTION else ""


def candidates_of(evidence: Iterable[Evidence]) -> tuple[Candidate, ...]:
    """Return the types with their confidences, strongest first, at most MOST_CANDIDATES: of a class the strongest rule, classes added."""
    best: dict[str, dict[str, int]] = defaultdict(dict)
    for each in evidence:
        own = best[each.type]
        own[each.evidence] = max(own.get(each.evidence, 0), each.weight)
    made = []
    for name, classes in best.items():
        left = 1.0
        for _class, weight in sorted(classes.items()):
            left *= 1 - weight / 100
        made.append(Candidate(name, round(1 - left, 4)))
    return tuple(sorted(made, key=lambda each: (-each.confidence, each.type))[:MOST_CANDIDATES])


def margin_of(candidates: Sequence[Candidate], types: Mapping[str, DeviceType]) -> float:
    """Return how far the winner is ahead of the strongest type that it does not look like itself."""
    if not candidates:
        return 0.0
    first = candidates[0]
    own = types[first.type].looks_like if first.type in types else ()
    second = next((each.confidence for each in candidates[1:] if each.type not in own), 0.0)
    return round(first.confidence - second, 4)


def _against(name: str, evidence: Sequence[Evidence], types: Mapping[str, DeviceType], stated: Sequence[str]) -> str:
    """Return the type that evidence beside the ``stated`` classes speaks for, with its strength, where it contradicts ``name``."""
    others = [each for each in evidence if each.evidence not in stated]
    candidates = candidates_of(others)
    support = next((each.confidence for each in candidates if each.type == name), 0.0)
    for each in candidates:
        if each.confidence <= support or each.confidence < CONTRADICTION or _alike(name, each.type, types):
            continue
        lines = ", ".join(sorted({one.facts for one in others if one.type == each.type}))
        return f"{each.type} ({each.confidence:.2f}: {lines})"
    return ""


def _alike(one: str, other: str, types: Mapping[str, DeviceType]) -> bool:
    """Return whether two types may be one device seen from two sides."""
    if one == other:
        return True
    return any(b in types[a].looks_like for a, b in ((one, other), (other, one)) if a in types)


def _notes(device: Device) -> tuple[str, ...]:
    notes = []
    if is_local(device.id):
        notes.append("the MAC is locally administered: it names no vendor and may change")
    if not device.facts:
        notes.append("no source says anything about it")
    return tuple(notes)


def findings_of(classified: Iterable[Classification]) -> list[Finding]:
    """Return the findings of classifications, in order."""
    return [finding for each in classified for finding in each.findings]
