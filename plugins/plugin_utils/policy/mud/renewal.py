# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of an earlier import of a MUD file that the file declares no longer.

What nobody touched goes with the declaration; what people changed, or what a workflow or posture rests on, stays and is a finding: a wrong
removal cuts a device off. Nothing goes where the file could not be read whole or a peer has no name here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, Location, errors_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Rule, Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.mud import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.mud.binding import BoundRules
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.mud.model import MudFile
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.naming import rule_id

SHOWN = 5
MADE = "Declared by the maker: "


def no_longer_declared(
    site: Site, segment: str, mud: MudFile, made: BoundRules, findings: Iterable[Finding]
) -> tuple[dict[str, list[str]], list[Finding]]:
    """Return the ids of rules that go, by client segment, and what is said of those that stay.

    Rules of the file are those of origin ``mud`` from or to the segment whose reason ends in the file's URL. ``findings`` are those of
    reading and binding the file now.
    """
    if not mud.url:
        return {}, []
    declared: dict[tuple[str, str], set[str]] = defaultdict(set)
    for client, proposals in made.rules.items():
        for proposal in proposals:
            declared[client, proposal["to"]] |= set(proposal["services"])
    old = [
        rule
        for rule in site.rules()
        if rule.origin == "mud" and segment in (rule.client, rule.to) and rule.reason.endswith(f"({mud.url})")
        and not set(rule.services) <= declared[rule.client, rule.to]
    ]  # fmt: skip
    if not old:
        return {}, []
    if made.unbound or errors_of(findings):
        names = ", ".join(rule.id for rule in old[:SHOWN])
        why = f"{len(made.unbound)} peers have no name here" if made.unbound else "the file could not be read whole"
        text = f"{len(old)} rules of {mud.url} stay ({names}): {why}"
        return {}, [codes.NOT_RENEWED.at(text, Location(mud.file))]
    gone: dict[str, list[str]] = defaultdict(list)
    said = []
    needed = _needed(site)
    for rule in old:
        why = (
            _edited(rule, declared[rule.client, rule.to])
            or needed.get(rule.id, "")
            or _of_other(site, segment, rule, made)
        )
        if why:
            text = f"rule {rule.id}: {mud.url} declares it no longer, and {why}"
            said.append(codes.DECLARED_NO_LONGER.at(text, rule.location))
        else:
            gone[rule.client].append(rule.id)
    return dict(gone), said


def _edited(rule: Rule, declared: Iterable[str]) -> str:
    """Return what people changed in a rule that an import made, empty where nothing."""
    if len(rule.services) != 1 or rule.id != rule_id(rule.client, rule.to, rule.services[0]):
        left = sorted(set(rule.services) & set(declared))
        return "somebody changed its services" + (f", of which {', '.join(left)} are still declared" if left else "")
    words: Mapping[str, object] = {
        "owner": rule.owner, "expires": rule.expires, "ticket": rule.ticket, "conditions": rule.conditions, "evidence": rule.evidence,
    }  # fmt: skip
    given = [name for name, value in words.items() if value]
    if given:
        return f"somebody gave it {', '.join(given)}"
    return "" if rule.reason.startswith(MADE) else "somebody changed its reason"


def _of_other(site: Site, segment: str, rule: Rule, made: BoundRules) -> str:
    """Return why a rule may come of an import of the same file for the segment at its other end, empty where it cannot."""
    inward = rule.to == segment
    other = rule.client if inward else rule.to
    if other == segment or other not in site.segments:
        return ""
    # What devices of the file open, if the other end opens here; what others open on them, if it is opened from here.
    proposals = ((client, proposal) for client, rules in made.rules.items() for proposal in rules)
    said = {
        s for client, p in proposals if (client == segment if inward else p["to"] == segment) for s in p["services"]
    }
    return (
        f"it may be of {other}, whose devices it is declared for if the file is theirs too"
        if said.issuperset(rule.services)
        else ""
    )


def _needed(site: Site) -> dict[str, str]:
    """Return who rests on rules, by their ids."""
    found = {name: f"posture {item.id} keeps it" for item in site.postures.values() for name in item.keeps}
    lists: Sequence[tuple[str, Sequence[str]]] = [(f"workflow {w.id} of {w.owner}", w.rules) for w in site.workflows]
    return found | {name: f"{who} needs it" for who, rules in lists for name in rules}
