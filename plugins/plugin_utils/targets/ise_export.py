# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a live ISE has, as drafts of segments, cells and lists for a policy. Pure.

Every object gets exactly one outcome, so that nothing is lost in silence: what no policy can say is named with the reason.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.names import IDENTIFIER, safe_name
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_forms import (
    condition_groups,
    is_address,
    is_group_condition,
)

# facts/ise.md sections 1.6 and 4: no segment can have these tags.
RESERVED = ("Unknown", "ANY", "TrustSec_Devices")
ANY_CELL = ("ANY", "ANY")
ENDS = {"PERMIT_IP": "permit ip", "DENY_IP": "deny ip"}
# Names with a meaning of their own in a policy.
TAKEN_NAMES = ("any", "zone", "evidence", "expectations", "rules")
BUILT_IN_SGACLS = ("Permit IP", "Deny IP", "Permit_IP_Log", "Deny_IP_Log")
BUILT_IN_DACLS = (
    "PERMIT_ALL_IPV4_TRAFFIC",
    "DENY_ALL_IPV4_TRAFFIC",
    "PERMIT_ALL_IPV6_TRAFFIC",
    "DENY_ALL_IPV6_TRAFFIC",
)

# Outcomes of an object.
SEGMENT, MEMBERS, RULES, DEFAULT = "segment", "members", "rules", "default"
NOT_USED, BUILT_IN, NOT_SAID = "not used", "built in", "not expressed"


@dataclass
class SegmentDraft:
    """A segment to propose: its tag, the lists of its profiles by family, and who is in it as parts of a query, each known once."""

    name: str
    sgt: int | None = None
    group: str = ""
    lists: dict[int, str] = field(default_factory=dict)
    members: list[dict[str, Any]] = field(default_factory=list)

    def add_member(self, fact: str, how: str, value: str | int) -> None:
        """Add one part of the query."""
        part = {"fact": fact, how: value}
        if part not in self.members:
            self.members.append(part)


@dataclass(frozen=True)
class CellDraft:
    """A cell of the production matrix between two segments. ``reason``: why its list cannot be said in full, empty where it can."""

    name: str
    pair: tuple[str, str]
    status: str
    sgacls: tuple[str, ...]
    text: str
    reason: str = ""


@dataclass
class Draft:
    """What a live ISE becomes. ``outcomes``: by ``kind/name`` what became of an object, and why or into what.

    ``closed``: whether a pair without a cell is denied by the ANY-ANY cell. ``decisions``: what a person has to decide.
    """

    segments: dict[str, SegmentDraft] = field(default_factory=dict)
    cells: dict[tuple[str, str], CellDraft] = field(default_factory=dict)
    outcomes: dict[str, tuple[str, str]] = field(default_factory=dict)
    decisions: list[str] = field(default_factory=list)
    closed: bool = False
    texts: dict[str, tuple[str, str]] = field(default_factory=dict)


def draft_of(objects: Mapping[str, Mapping[str, Any]]) -> Draft:
    """Return the draft of the objects of a snapshot (``kind/name`` to canonical body)."""
    return _Export(objects).result()


class _Export:
    def __init__(self, objects: Mapping[str, Mapping[str, Any]]) -> None:
        self.made = Draft()
        self.kinds: dict[str, dict[str, Mapping[str, Any]]] = defaultdict(dict)
        for key in sorted(objects):
            kind, name = key.split("/", 1)
            self.kinds[kind][name] = objects[key]
        self._names: set[str] = {name.lower() for name in TAKEN_NAMES}
        self._by_group: dict[str, str] = {}
        self._by_list: dict[tuple[str, str], str] = {}

    def result(self) -> Draft:
        self._cell_ends()
        self._rules()
        self._profiles()
        self._mappings()
        self._cells()
        self._rest()
        for draft in self.made.segments.values():
            if draft.sgt is not None:
                draft.add_member("sgt", "equals", draft.sgt)
        return self.made

    def _say(self, kind: str, name: str, outcome: str, reason: str) -> None:
        self.made.outcomes.setdefault(f"{kind}/{name}", (outcome, reason))

    # -- segments

    def _cell_ends(self) -> None:
        for cell in self.kinds["egress_matrix_cell"].values():
            if (cell["source"], cell["destination"]) != ANY_CELL:
                for end in (cell["source"], cell["destination"]):
                    self._segment_of_group(str(end))

    def _segment_of_group(self, group: str) -> SegmentDraft | None:
        """Return the segment of a security group; None where it cannot have one."""
        if group in RESERVED or group not in self.kinds["sgt"]:
            return None
        if group not in self._by_group:
            draft = self._new(group)
            draft.sgt, draft.group = int(self.kinds["sgt"][group]["value"]), group
            self._by_group[group] = draft.name
            self._say("sgt", group, SEGMENT, draft.name)
        return self.made.segments[self._by_group[group]]

    def _segment_of_lists(self, lists: Mapping[int, str]) -> SegmentDraft:
        key = (lists.get(4, ""), lists.get(6, ""))
        if key not in self._by_list:
            draft = self._new(lists.get(4) or lists[6])
            draft.lists = dict(lists)
            self._by_list[key] = draft.name
        return self.made.segments[self._by_list[key]]

    def _new(self, wanted: str) -> SegmentDraft:
        stem = re.sub(r"[^A-Za-z0-9]+", "_", wanted).strip("_") or "segment"
        stem = stem if stem[0].isalpha() else f"s_{stem}"
        stem, number = stem[:28], 1
        name = stem
        while name.lower() in self._names:
            number += 1
            name = f"{stem[:27]}_{number}"
        self._names.add(name.lower())
        self.made.segments[name] = SegmentDraft(safe_name(name, IDENTIFIER))
        return self.made.segments[name]

    # -- who gets what

    def _rules(self) -> None:
        """Rules bind a group to a list and say who is in it. A group that has several lists keeps none of them."""
        given: dict[str, set[tuple[str, str]]] = defaultdict(set)
        rules = self.kinds["authorization_rule"]
        for rule in rules.values():
            if rule.get("state") == "enabled":
                lists = self._lists_of(rule.get("profiles") or ())
                given[str(rule.get("security_group") or "")].add((lists.get(4, ""), lists.get(6, "")))
        for name, rule in sorted(rules.items()):
            if rule.get("state") != "enabled":
                self._say("authorization_rule", name, NOT_USED, f"it is {rule.get('state')}")
                continue
            self._rule(name, rule, given)

    def _rule(self, name: str, rule: Mapping[str, Any], given: Mapping[str, set[tuple[str, str]]]) -> None:
        group, lists = str(rule.get("security_group") or ""), self._lists_of(rule.get("profiles") or ())
        found: list[SegmentDraft] = []
        tagged = self._segment_of_group(group) if group else None
        if tagged is not None:
            found.append(tagged)
            if len(given[group] - {("", "")}) <= 1:
                tagged.lists |= lists
                lists = {}
            elif lists:
                text = f"security group {group} comes with several downloadable ACLs; each is a segment of its own: say which tag it has"
                if text not in self.made.decisions:
                    self.made.decisions.append(text)
        if lists:
            found.append(self._segment_of_lists(lists))
        if not found:
            self._say(
                "authorization_rule", name, NOT_SAID, "it hands out neither a downloadable ACL nor a usable group"
            )
            return
        condition = rule.get("condition") or {}
        groups = condition_groups(condition)
        only = bool(condition) and (
            is_group_condition(condition)
            or (
                condition.get("conditionType") == "ConditionOrBlock"
                and not condition.get("isNegate")
                and all(is_group_condition(child) for child in condition.get("children") or ())
            )
        )
        if only:
            for draft in found:
                for each in groups:
                    draft.add_member("endpoint_group", "equals", each)
            for each in groups:
                self._say("endpoint_group", each, MEMBERS, f"of {', '.join(draft.name for draft in found)}")
            self._say("authorization_rule", name, MEMBERS, f"of {', '.join(draft.name for draft in found)}")
            return
        names = ", ".join(draft.name for draft in found)
        shown = f" (among it group {', '.join(groups)})" if groups else ""
        reason = f"its condition asks for more than endpoint groups{shown}; say by facts who is in {names}"
        self._say("authorization_rule", name, NOT_SAID, reason)
        self.made.decisions.append(f"authorization rule {name}: {reason}")

    def _lists_of(self, profiles: Iterable[str]) -> dict[int, str]:
        """Return the downloadable ACLs that profiles hand out, by family."""
        found: dict[int, str] = {}
        for profile in profiles:
            body = self.kinds["authorization_profile"].get(profile) or {}
            for family, key in ((4, "dacl_name"), (6, "ipv6_dacl_name")):
                if body.get(key) and body[key] in self.kinds["downloadable_acl"]:
                    found.setdefault(family, str(body[key]))
        return found

    def _profiles(self) -> None:
        """A list that no rule hands out, but a profile names, is a segment as well: who gets the profile is in it."""
        handed = {
            profile: name
            for name, rule in sorted(self.kinds["authorization_rule"].items())
            for profile in rule.get("profiles") or ()
            if rule.get("state") == "enabled"
        }
        for name, body in sorted(self.kinds["authorization_profile"].items()):
            lists = self._lists_of([name])
            if not lists:
                self._say("authorization_profile", name, NOT_SAID, "it hands out no downloadable ACL of this ISE")
                continue
            wanted = [draft for draft in self.made.segments.values() if lists.items() <= draft.lists.items()]
            if not wanted:
                wanted = [self._segment_of_lists(lists)]
            for draft in wanted:
                draft.add_member("authorization_profile", "equals", name)
            names = ", ".join(draft.name for draft in wanted)
            self._say("authorization_profile", name, MEMBERS, f"of {names}")
            if name not in handed:
                self.made.decisions.append(
                    f"authorization profile {name} is in no enabled rule: is segment {names} still wanted?"
                )
            if body.get("access_type") == "ACCESS_REJECT":
                self.made.decisions.append(
                    f"authorization profile {name} refuses access; segment {names} is never on the network"
                )

    def _mappings(self) -> None:
        for name, body in sorted(self.kinds["ip_sgt_mapping"].items()):
            draft = self._segment_of_group(str(body["sgt"]))
            if draft is None:
                self._say("ip_sgt_mapping", name, NOT_SAID, f"no segment can have the group {body['sgt']}")
            elif is_address(str(body["host"])):
                draft.add_member("address", "prefix", str(body["host"]))
                self._say("ip_sgt_mapping", name, MEMBERS, f"of {draft.name}")
            else:
                draft.add_member("hostname", "equals", str(body["host"]))
                self._say("ip_sgt_mapping", name, MEMBERS, f"of {draft.name}, by host name")

    # -- the matrix

    def _cells(self) -> None:
        cells = self.kinds["egress_matrix_cell"]
        for name, body in sorted(cells.items()):
            pair = (str(body["source"]), str(body["destination"]))
            if pair == ANY_CELL:
                self._default(name, body)
                continue
            ends = [self._segment_of_group(end) for end in pair]
            if None in ends:
                lacking = [end for end, draft in zip(pair, ends, strict=True) if draft is None]
                text = f"no segment can have the group {', '.join(lacking)}; the cell stays as it is"
                self._say("egress_matrix_cell", name, NOT_SAID, text)
                continue
            made = self._cell(name, body, (ends[0].name, ends[1].name))  # type: ignore[union-attr]
            self.made.cells[made.pair] = made
            if made.status == "DISABLED":
                self._say("egress_matrix_cell", name, NOT_USED, "it is DISABLED")

    def _default(self, name: str, body: Mapping[str, Any]) -> None:
        """The cell for pairs without one of their own decides only where it is enforced and has no lists."""
        plain = not body["sgacls"] and body["default_rule"] in ENDS and body["status"] == "ENABLED"
        self.made.closed = plain and body["default_rule"] == "DENY_IP"
        said = f"{body['default_rule']}, {body['status']}" + (
            f", {', '.join(body['sgacls'])}" if body["sgacls"] else ""
        )
        self._say("egress_matrix_cell", name, DEFAULT, f"what holds for pairs without a cell: {said}")
        if not self.made.closed:
            self.made.decisions.append(
                f"pairs of groups without a cell are not denied today (ANY-ANY: {said}). A policy denies what no rule permits, so"
                " segments with such pairs are only observed: watch what they do, write rules, then enforce them"
            )

    def _cell(self, name: str, body: Mapping[str, Any], pair: tuple[str, str]) -> CellDraft:
        parts, reason = [], ""
        for each in body["sgacls"]:
            found = self.kinds["sgacl"].get(each)
            if found is None:
                reason = reason or f"SGACL {each} is not there"
                continue
            if found["ip_version"] != "IPV4":
                reason = reason or f"SGACL {each} is of IP version {found['ip_version']}; cells are written for IPv4"
            parts.append(str(found["content"]))
        if body["default_rule"] in ENDS:
            parts.append(ENDS[body["default_rule"]])
        text = "\n".join(part.strip() for part in parts if part.strip())
        return CellDraft(name, pair, str(body["status"]), tuple(body["sgacls"]), text, reason)

    # -- what is left

    def _rest(self) -> None:
        made = self.made
        used = {each for cell in made.cells.values() for each in cell.sgacls}
        handed = {name for draft in made.segments.values() for name in draft.lists.values()}
        for name in self.kinds["sgt"]:
            said = (
                (BUILT_IN, "reserved by TrustSec")
                if name in RESERVED
                else (NOT_USED, "no cell, rule or mapping names it")
            )
            self._say("sgt", name, *said)
        for name, body in self.kinds["sgacl"].items():
            if name in used:
                made.texts[f"sgacl/{name}"] = ("sgacl", str(body["content"]))
                self._say(
                    "sgacl",
                    name,
                    RULES,
                    ", ".join(sorted(c.name for c in made.cells.values() if name in c.sgacls))[:400],
                )
            else:
                outcome = BUILT_IN if name in BUILT_IN_SGACLS else NOT_USED
                self._say("sgacl", name, outcome, "no cell between two segments names it")
        for name, body in self.kinds["downloadable_acl"].items():
            if name in handed:
                made.texts[f"downloadable_acl/{name}"] = ("dacl", str(body["content"]))
                owners = sorted(d.name for d in made.segments.values() if name in d.lists.values())
                self._say("downloadable_acl", name, RULES, f"of {', '.join(owners)}"[:400])
            else:
                outcome = BUILT_IN if name in BUILT_IN_DACLS else NOT_USED
                self._say("downloadable_acl", name, outcome, "no profile names it")
        for name in self.kinds["endpoint_group"]:
            self._say("endpoint_group", name, NOT_USED, "no rule that was read asks for it alone")
        for name, body in self.kinds["endpoint"].items():
            self._say(
                "endpoint",
                name,
                NOT_SAID,
                f"its assignment to {body.get('group', '')} stays in ISE; queries find it by that group",
            )
        for name in self.kinds["anc_policy"]:
            self._say("anc_policy", name, NOT_SAID, "a posture is written by hand: it says whom it isolates and why")
        for name in self.kinds["matrix_cell"]:
            self._say("matrix_cell", name, NOT_SAID, "a policy describes the production matrix")
        for name, cell in ((cell.name, cell) for cell in made.cells.values()):
            self._say("egress_matrix_cell", name, RULES, f"from {cell.pair[0]} to {cell.pair[1]}")
        for kind, objects in self.kinds.items():
            for name in objects:
                self._say(kind, name, NOT_SAID, "this kind has no place in a policy")
