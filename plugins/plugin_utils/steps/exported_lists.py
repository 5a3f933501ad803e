# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cells and lists of a live ISE as rules, and which of them the compiler would write with the same meaning. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.checks import difference_dicts
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import ParsedAcl
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.registry import parse_one
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.desired import rendered
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.index import SiteIndex
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.lines import (
    ListBuilder,
    add_access_bootstrap,
    add_icmp_errors,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.compare import compare
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import PacketSet, PacketSpace
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import (
    IPV4_PROTOCOLS,
    IPV6,
    IPV6_PROTOCOLS,
    TCP,
    UDP,
    Box,
    FirstMatchList,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.catalogue import Catalogue
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.importing.acl import Scope, candidates
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.imported import compiled_list, index_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_export import CellDraft, Draft

MATRIX, LISTS = "ise_matrix", "ise_lists"
STAGES = {"ENABLED": "enforce", "MONITOR": "monitor"}
EQUAL, CUTS, PERMITS, BOTH, UNSAID = "equal", "would cut", "would permit more", "would differ", "not compared"
SHOWN = 3
PROTOCOLS = {4: IPV4_PROTOCOLS, 6: IPV6_PROTOCOLS}
_PORTED = IntervalSet.of(*((number, number) for number in (TCP, UDP, IPV6 + TCP, IPV6 + UDP)))
_PORT_ZERO = (
    Box(protocol=_PORTED, source_port=IntervalSet.single(0)),
    Box(protocol=_PORTED, destination_port=IntervalSet.single(0)),
)


@dataclass
class Exported:
    """Rules by segment, new names, and what the compiler makes of every cell and list.

    ``stages``, ``points``: of the segments that are written as they stand today; others are observed.
    """

    rules: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    services: dict[str, dict[str, Any]] = field(default_factory=dict)
    networks: dict[str, dict[str, Any]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    cells: list[dict[str, Any]] = field(default_factory=list)
    lists: list[dict[str, Any]] = field(default_factory=list)
    stages: dict[str, str] = field(default_factory=dict)
    points: dict[str, list[str]] = field(default_factory=dict)
    decisions: list[str] = field(default_factory=list)


def _sources(draft: Draft) -> Iterable[tuple[Scope, ParsedAcl]]:
    """Yield every list that says something for a segment, or a pair of them, with the text as read."""
    for pair, cell in sorted(draft.cells.items()):
        if cell.status in STAGES and cell.text:
            yield Scope(pair[0], pair[1], 4, cell.name), _cell_list(cell)
    for name, segment in sorted(draft.segments.items()):
        for family, listing in sorted(segment.lists.items()):
            yield Scope(name, "", family, listing), _text_list(draft, listing)


def _cell_list(cell: CellDraft) -> ParsedAcl:
    return replace(parse_one("sgacl", cell.text, ""), name=cell.name)


def _text_list(draft: Draft, name: str) -> ParsedAcl:
    return replace(parse_one("dacl", draft.texts[f"downloadable_acl/{name}"][1], ""), name=name)


def exported_rules(draft: Draft, site: Site) -> Exported:
    """Return the rules that cells and lists say. ``site``: the policy with the segments and without any rule."""
    made, catalogue, bare = Exported(), Catalogue(site), index_of(site, rules=False)
    ids: dict[str, dict[str, dict[str, Any]]] = {}
    for scope, source in _sources(draft):
        part = candidates(site, source, scope, compiled_list(site, scope, False, bare), catalogue)
        made.findings += part.findings
        for client, rules in part.rules.items():
            for rule in rules:
                # The line that opens says more about a rule than the one that answers.
                if rule["id"] not in ids.setdefault(client, {}) or client == scope.segment:
                    ids[client][rule["id"]] = rule
    made.rules = {client: [rules[name] for name in sorted(rules)] for client, rules in ids.items()}
    made.services, made.networks = catalogue.services, catalogue.networks
    made.findings = list(dict.fromkeys(made.findings))
    return made


def judged(draft: Draft, made: Exported, site: Site) -> None:
    """Say of each cell and list how the compiled policy differs, and choose what can be written as it stands.

    ``site``: the policy with its rules. Cells are written for every pair of the segments at a point. So the segments are chosen
    one by one: one joins where all its cells with those that joined before stay what they are.
    """
    index = index_of(site)
    verdict: dict[tuple[str, str], str] = {}
    for pair, cell in sorted(draft.cells.items()):
        found = _cell_verdict(site, index, cell)
        made.cells.append({"cell": cell.name, "client": pair[0], "server": pair[1], "status": cell.status, **found})
        verdict[pair] = found["verdict"]
    stages = _stages(draft)
    open_pairs = {(client, rule["to"]) for client, rules in made.rules.items() for rule in rules}
    open_pairs |= {pair[::-1] for pair in open_pairs}

    def stays(one: str, other: str) -> bool:
        """Whether the cell from one to the other would be written as it is."""
        wanted = "monitor" if "monitor" in (stages[one], stages[other]) else "enforce"
        cell = draft.cells.get((one, other))
        if cell is None:
            return draft.closed and wanted == "enforce" and (one, other) not in open_pairs
        return verdict[one, other] == EQUAL and STAGES.get(cell.status) == wanted

    tagged = sorted(name for name, segment in draft.segments.items() if segment.sgt is not None)
    # First those whose own cells stay what they are; a pair that is denied without a cell says little about its segments.
    kept = Counter(name for pair in draft.cells if stays(*pair) and stays(*pair[::-1]) for name in pair)
    partners = {name: (kept[name], sum(stays(name, o) and stays(o, name) for o in tagged)) for name in tagged}
    chosen: list[str] = []
    for name in sorted(tagged, key=lambda name: (-partners[name][0], -partners[name][1], name)):
        blocking = [other for other in (name, *chosen) if not (stays(name, other) and stays(other, name))]
        if not blocking:
            chosen.append(name)
            made.stages[name] = stages[name]
            made.points[name] = [MATRIX]
            continue
        cells = [f"{a} to {b}" for other in blocking for a, b in ((name, other), (other, name)) if not stays(a, b)]
        shown = ", ".join(dict.fromkeys(cells[: 2 * SHOWN])) + (" and more" if len(cells) > 2 * SHOWN else "")
        made.decisions.append(f"segment {name} is only observed in the matrix: cells that would change: {shown}")
    _judge_lists(draft, made, site, index)


def _stages(draft: Draft) -> dict[str, str]:
    """Return the stage that most cells of a segment have today."""
    counted: dict[str, Counter[str]] = {name: Counter() for name in draft.segments}
    for pair, cell in draft.cells.items():
        for name in set(pair):
            counted[name][STAGES.get(cell.status, "")] += 1
    return {name: "monitor" if found["monitor"] > found["enforce"] else "enforce" for name, found in counted.items()}


def _judge_lists(draft: Draft, made: Exported, site: Site, index: SiteIndex) -> None:
    for name, segment in sorted(draft.segments.items()):
        verdicts_of = []
        for family, listing in sorted(segment.lists.items()):
            source, scope = _text_list(draft, listing), Scope(name, "", family, listing)
            if family == 6:
                why = "IPv6 lists are written for segments with IPv6 addresses in members.lock.json"
                found = {"verdict": UNSAID, "why": why}
            else:
                found = _difference(source, scope, compiled_list(site, scope, index=index))
            made.lists.append({"list": listing, "segment": name, **found})
            verdicts_of.append(found["verdict"])
        if not verdicts_of:
            continue
        if set(verdicts_of) == {EQUAL} and made.stages.get(name, "enforce") == "enforce":
            made.stages[name] = "enforce"
            made.points.setdefault(name, []).append(LISTS)
        else:
            words = ", ".join(dict.fromkeys(verdicts_of))
            made.decisions.append(f"segment {name}: its downloadable ACL is not written by the policy ({words})")


def _cell_verdict(site: Site, index: SiteIndex, cell: CellDraft) -> dict[str, Any]:
    if cell.status not in STAGES:
        return {"verdict": UNSAID, "why": f"it is {cell.status}: what holds then is not known"}
    if cell.reason:
        return {"verdict": UNSAID, "why": cell.reason}
    source, scope = _cell_list(cell), Scope(*cell.pair, 4, cell.name)
    found = _difference(source, scope, compiled_list(site, scope, index=index))
    if found["verdict"] != UNSAID and not _decides(source):
        return {"verdict": UNSAID, "why": "it ends in nothing: what no entry matches is decided by the platform"}
    return found


def _decides(source: ParsedAcl) -> bool:
    """Return whether the entries decide every IPv4 packet."""
    space = PacketSpace()
    ends = [replace(source, default_permit=value, empty_permits=value).first_match() for value in (True, False)]
    return not compare(ends[0], ends[1], space).only_in_first & space.from_box(Box(protocol=IPV4_PROTOCOLS))


def _difference(source: ParsedAcl, scope: Scope, compiled: FirstMatchList) -> dict[str, Any]:
    """Return how the compiled list differs from the live one.

    What the compiler writes into every list by itself (bootstrap traffic and ICMP errors) counts as equal and is named.
    """
    if source.opaque:
        lines = "; ".join(f"line {item.line}: {ascii(item.text)[:60]}: {item.reason}" for item in source.opaque[:SHOWN])
        return {"verdict": UNSAID, "why": f"not understood: {lines}"}
    space = PacketSpace()
    found = compare(source.first_match(), compiled, space)
    counted = space.from_box(Box(protocol=PROTOCOLS[scope.family]))
    lost, gained = found.only_in_first & counted, found.only_in_second & counted
    if found.not_modelled & counted:
        return {"verdict": UNSAID, "why": "an entry holds under a condition that no rule of an import has"}
    added, unusable = gained & _by_itself(space, scope), lost & space.from_boxes(_PORT_ZERO)
    lost, gained = lost - unusable, gained - added
    word = BOTH if lost and gained else CUTS if lost else PERMITS if gained else EQUAL
    made: dict[str, Any] = {"verdict": word, "why": ""}
    notes = ["with what every compiled list passes: ICMP errors" + ("" if scope.peer else ", DHCP")] if added else []
    notes += ["without port 0, which nothing can use"] if unusable else []
    made["why"] = "; ".join(notes)
    for key, packets in (("only_in_ise", lost), ("only_in_policy", gained)):
        if packets:
            made[key] = difference_dicts(packets)
    return made


def _by_itself(space: PacketSpace, scope: Scope) -> PacketSet:
    """Return the packets that the compiler passes in a list whatever the rules."""
    builder = ListBuilder()
    if scope.peer:
        add_icmp_errors(builder, Location(), scope.family)
    else:
        add_access_bootstrap(builder, Location(), family=scope.family, groups=True)
    made = space.from_boxes(())
    for ace in builder.aces:
        made = made | space.from_boxes(ace.to_boxes())
    return made


def wrongly_compiled(draft: Draft, lists: Sequence[PointList]) -> list[Finding]:
    """Return an error for each list, as the compiler writes it for the export, that is not what ISE has; none where all is well.

    Looks at the written texts alone: they are read again and compared with the live ones.
    """
    found = []
    for listing in lists:
        cell = draft.cells.get((listing.segment, listing.peer)) if listing.peer else None
        scope = Scope(listing.segment, listing.peer, listing.family, listing.name)
        if listing.peer:
            live = _cell_list(cell) if cell is not None else parse_one("sgacl", "deny ip", "")
        else:
            live = _text_list(draft, draft.segments[listing.segment].lists[listing.family])
        again = parse_one("sgacl" if listing.peer else "dacl", rendered(listing), listing.name)
        answer = _difference(live, scope, again.first_match())
        if answer["verdict"] != EQUAL:
            found.append(
                codes.ISE_EXPORT_DIFFERS.at(f"{listing.name}: {answer['verdict']} {answer.get('why', '')}".strip())
            )
    return found
