# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules that learning proposes, merged into the rules that stand in a segment's file. Plain values only."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

LEARNED = "learned"
# What learning may change of its own rules. All else belongs to people once the rule stands: what a rule permits too, since its id is made
# of client, server and service, so that a proposal of the same id can differ from it only by a person's edit.
LEARNED_KEYS = ("evidence",)
REMOVABLE = (LEARNED, "mud")


@dataclass(frozen=True)
class MergedRules:
    """Rules after a merge, and the ids of what was added, updated, removed, is permitted by another rule already, or stands
    under its name but permits less since a person's edit (``narrowed``)."""

    rules: tuple[Mapping[str, Any], ...]
    added: tuple[str, ...] = ()
    updated: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    covered: tuple[str, ...] = ()
    narrowed: tuple[str, ...] = ()


def merge_rules(
    existing: Sequence[Mapping[str, Any]],
    proposed: Iterable[Mapping[str, Any]],
    remove: Iterable[str] = (),
    again: Collection[str] = (),
) -> MergedRules:
    """Return the rules with the proposals merged in.

    A rule whose origin is not ``learned`` is never changed, and nothing goes unless ``remove`` names it and it is learned or of a MUD
    file: a rule that was not seen lately may belong to a device that is rarely used. A learned rule of the same id takes over the
    evidence, as long as it permits what was proposed; a proposal whose services to the same end stand in other rules, or that
    ``remove`` names, is left out, but for what ``again`` names: those other rules hold no more. New rules keep the order by id where
    the file has it.
    """
    gone = set(remove)
    rules = [dict(rule) for rule in existing if not (rule["id"] in gone and rule["origin"] in REMOVABLE)]
    removed = [rule["id"] for rule in existing if rule["id"] in gone and rule["origin"] in REMOVABLE]
    by_id = {rule["id"]: rule for rule in rules}
    permitted = {(rule["to"], service) for rule in rules for service in rule["services"]}
    added, updated, covered, narrowed = [], [], [], []
    for proposal in sorted(proposed, key=lambda rule: rule["id"]):
        present = by_id.get(proposal["id"])
        if present is None and proposal["id"] in gone:
            continue
        if present is None:
            known = all((proposal["to"], service) in permitted for service in proposal["services"])
            if proposal["services"] and known and proposal["id"] not in again:
                covered.append(proposal["id"])
                continue
            made = dict(proposal)
            rules.insert(_position(rules, made["id"]), made)
            by_id[made["id"]] = made
            permitted |= {(made["to"], service) for service in made["services"]}
            added.append(made["id"])
        elif present["origin"] != LEARNED:
            covered.append(proposal["id"])
        elif proposal["to"] != present["to"] or not set(proposal["services"]) <= set(present["services"]):
            narrowed.append(proposal["id"])
        elif _take_over(present, proposal):
            updated.append(proposal["id"])
    return MergedRules(tuple(rules), tuple(added), tuple(updated), tuple(removed), tuple(covered), tuple(narrowed))


def _position(rules: Sequence[Mapping[str, Any]], new: str) -> int:
    ids = [rule["id"] for rule in rules]
    if ids != sorted(ids):
        return len(ids)
    return sum(1 for name in ids if name < new)


def _take_over(present: dict[str, Any], proposal: Mapping[str, Any]) -> bool:
    changed = False
    for key in LEARNED_KEYS:
        if key in proposal and present.get(key) != proposal[key]:
            present[key] = proposal[key]
            changed = True
    return changed
