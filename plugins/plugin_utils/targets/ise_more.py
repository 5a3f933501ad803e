# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads and writes of endpoint groups, assignments, authorization rules, IP-SGT mappings and ANC policies.

An endpoint stands here for its static group assignment: one that nobody assigned counts as absent, and removing an assignment gives
the endpoint back to profiling. An endpoint's own record is deleted only where we created it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import DesiredObject
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_client import IseClient, NotFound
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_forms import (
    References,
    canonical_more,
    condition_groups,
    is_address,
    more_fields,
    rule_name,
    truth,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_kinds import (
    KIND_TABLE,
    RULES_PATH,
    named_as_ours,
    owned,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_matrices import MatrixCells, has_matrices
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_read import IseReader

# A PUT that names them is refused or ignored.
_RULE_SERVER_FIELDS = frozenset(("hitCounts", "link"))
# The group that ISE ships for endpoints of which nothing is known.
UNASSIGNED_GROUP = "Unknown"
_STATIC = "staticGroupAssignment.EQ.true"


class MoreObjects:
    """Objects beyond those of ise_read.py. Not for use from several threads at once."""

    def __init__(self, client: IseClient, reader: IseReader) -> None:
        self.client, self._reader = client, reader
        self._cells = MatrixCells(client, reader)
        self._groups: dict[str, tuple[str, bool]] = {}
        self._sets: dict[str, str] = {}

    # -- one object

    def find(self, kind: str, name: str, hint: Mapping[str, Any] | None = None) -> dict[str, Any] | None:
        """Return the wire form of an object, freshly read, or None. ``hint``: a body from which a mapping's address is taken."""
        if kind == "matrix_cell":
            return self._cells.find(name)
        if kind == "authorization_rule":
            found = [rule for rule in self.rules(name) if rule["rule"].get("name") == rule_name(name)]
            return found[0] if found else None
        if kind == "endpoint":
            name_filter = f"mac.EQ.{name}"
        elif kind == "ip_sgt_mapping":
            host = str((hint or {}).get("host", ""))
            name_filter = f"ip.EQ.{host}" if is_address(host) and "/" not in host else ""
        else:
            name_filter = f"name.EQ.{name}"
        for item in self.client.list_items(kind, name_filter):
            if item["name"].upper() == name if kind == "endpoint" else item["name"] == name:
                try:
                    return self.client.get(kind, item["id"])
                except NotFound:
                    return None
        return self.find(kind, name) if kind == "ip_sgt_mapping" and name_filter else None

    def canonical(self, kind: str, name: str, wire: Mapping[str, Any] | None) -> dict[str, Any] | None:
        """Return the canonical body of a wire form; None where there is none."""
        if wire is None:
            return None
        if kind == "matrix_cell":
            return self._cells.canonical(name, wire)
        refs = References()
        if kind in ("endpoint", "endpoint_group"):
            group = str(wire.get("groupId" if kind == "endpoint" else "parentId") or "")
            self._need_group(lambda: not group or group in self._groups)
            refs = self._references()
        elif kind == "ip_sgt_mapping":
            sgts = self._reader.named("sgt")
            if str(wire.get("sgt")) not in sgts and "-" in str(wire.get("sgt")):
                sgts = self._reader.named("sgt", fresh=True)
            refs = References(sgts=sgts)
        return canonical_more(kind, wire, refs, name.split("@", maxsplit=1)[-1])

    def create(self, kind: str, name: str, body: Mapping[str, Any], old: Mapping[str, Any] | None = None) -> None:
        """Send one POST. ``old`` is the wire form of a deleted object that comes back. Raises Lost where no answer came."""
        fields = self._fields(kind, name, body)
        if kind == "matrix_cell":
            self.client.create("egress_matrix_cell", fields)
            return
        if kind == "authorization_rule":
            rules = self.rules(name)
            rank = _rank_before(rules, (old or {}).get("_below") or [body.get("before", "")])
            if body.get("before") and rank is None:
                raise FindingError(
                    codes.MISSING_REFERENCE.at(f"rule {name}: no rule {body['before']!r} to stand before")
                )
            if rank is None:
                rank = next((_rank(rule) for rule in rules if truth(rule["rule"].get("default"))), len(rules))
            fields["rule"] = {**fields["rule"], "rank": rank}
            self.client.open_api("POST", self._rules_path(name), fields)
            return
        if kind == "endpoint":
            fields["description"] = str((old or body).get("description", ""))
        self.client.create(kind, fields)
        if kind == "endpoint_group":
            self._groups = {}

    def update(
        self,
        kind: str,
        name: str,
        wire: Mapping[str, Any],
        body: Mapping[str, Any],
        old: Mapping[str, Any] | None = None,
    ) -> None:
        """Send one PUT with the whole object; the rank of a rule is kept unless the body says before what it stands."""
        fields = self._fields(kind, name, body)
        if kind == "authorization_rule":
            rule = {key: value for key, value in wire["rule"].items() if key not in _RULE_SERVER_FIELDS}
            rank = self._wanted_rank(name, wire, body, old)
            if old is not None:
                fields = {key: old.get(key) for key in ("profile", "securityGroup")} | {"rule": dict(old["rule"])}
                fields["rule"] = {key: value for key, value in fields["rule"].items() if key not in _RULE_SERVER_FIELDS}
            sent = {**fields, "rule": {**rule, **fields["rule"], "id": rule["id"], "rank": rank}}
            self.client.open_api("PUT", f"{self._rules_path(name)}/{rule['id']}", sent)
            return
        kept = {key: value for key, value in wire.items() if key != "link"}
        if kind == "ip_sgt_mapping":
            kept |= {key: "" for key in ("hostIp", "hostName", "deployTo") if kept.get(key)}
        if kind == "endpoint_group" and kept.get("parentId"):
            kept["parentId"] = ""
        texts = {"description": old["description"]} if old and old.get("description") is not None else {}
        written = "egress_matrix_cell" if kind == "matrix_cell" else kind
        self.client.update(written, str(wire["id"]), {**kept, **fields, **texts})

    def describe(self, kind: str, name: str, wire: Mapping[str, Any], description: str) -> None:
        """Send one PUT with the whole object as it is and another description; for kinds that have one."""
        sent = {**{key: value for key, value in wire.items() if key != "link"}, "description": description}
        if kind == "matrix_cell":
            kind, sent = "egress_matrix_cell", {**sent, "matrixId": self._cells.matrix_id(name)}
        self.client.update(kind, str(wire["id"]), sent)

    def deploy(self, wire: Mapping[str, Any]) -> None:
        """Send a mapping to the devices that it is for: saving alone leaves it in ISE."""
        self.client.open_api("PUT", f"{KIND_TABLE['ip_sgt_mapping'].path}/{wire['id']}/deploy")

    def delete(self, kind: str, name: str, wire: Mapping[str, Any]) -> None:
        """Remove an object, or give an endpoint that we did not create back to profiling. Raises NotFound."""
        if kind == "authorization_rule":
            if truth(wire["rule"].get("default")):
                raise FindingError(codes.BAD_BODY.at(f"rule {name} is the default rule and is never removed"))
            self.client.open_api("DELETE", f"{self._rules_path(name)}/{wire['rule']['id']}")
        elif kind == "endpoint" and not owned(str(wire.get("description") or "")):
            kept = {key: value for key, value in wire.items() if key != "link"}
            self._need_group(lambda: True)
            unknown = [identifier for identifier, (each, _owned) in self._groups.items() if each == UNASSIGNED_GROUP]
            # Until it is profiled again it would count as a member of the group that it leaves.
            group = {"groupId": unknown[0]} if unknown else {}
            self.client.update(kind, str(wire["id"]), {**kept, **group, "staticGroupAssignment": False})
        elif kind == "matrix_cell":
            self.client.delete("egress_matrix_cell", str(wire["id"]))
        else:
            self.client.delete(kind, str(wire["id"]))
            if kind == "endpoint_group":
                self._groups = {}

    def restore_endpoint(self, wire: Mapping[str, Any], old: Mapping[str, Any], body: Mapping[str, Any] | None) -> None:
        """Give an endpoint the group, the assignment and the text that it had; ``body`` names the group, whose id may be new."""
        kept = {key: value for key, value in wire.items() if key != "link"}
        back = {key: old[key] for key in ("staticGroupAssignment", "description") if old.get(key) is not None}
        group = str(old.get("groupId") or "")
        self._need_group(lambda: group in self._groups)
        named = [
            identifier for identifier, (name, _owned) in self._groups.items() if body and name == body.get("group")
        ]
        rest = [identifier for identifier, (name, _owned) in self._groups.items() if name == UNASSIGNED_GROUP]
        found = named or ([group] if group in self._groups or not group else rest)
        if found:
            back["groupId"] = found[0] or None
        self.client.update("endpoint", str(wire["id"]), {**kept, **back})

    def matrix_users(self, sgt: str) -> set[str]:
        """Return the cells of matrices beside the production matrix that use an SGT."""
        if not has_matrices(self.client):
            return set()
        names = self._cells.read(set(), False, False, {})
        return {name for name in names if sgt in name.split("@", maxsplit=1)[0].split("-")}

    # -- rules

    def policy_sets(self, fresh: bool = False) -> dict[str, str]:
        """Return ids of the policy sets by name."""
        if fresh or not self._sets:
            answer = self.client.open_api("GET", RULES_PATH)
            self._sets = {str(item["name"]): str(item["id"]) for item in answer.get("response") or ()}
        return self._sets

    def rules(self, name: str) -> list[dict[str, Any]]:
        """Return all rules of the policy set of ``RULE@SET`` in order of rank, each with the names of those below it."""
        answer = self.client.open_api("GET", self._rules_path(name))
        rules = [dict(item) for item in answer.get("response") or () if isinstance(item.get("rule"), dict)]
        rules.sort(key=lambda item: (truth(item["rule"].get("default")), _rank(item)))
        names = [str(item["rule"].get("name", "")) for item in rules]
        return [{**item, "_below": names[number + 1 :]} for number, item in enumerate(rules)]

    def _rules_path(self, name: str) -> str:
        policy_set = name.split("@", maxsplit=1)[1]
        identifier = self.policy_sets().get(policy_set) or self.policy_sets(fresh=True).get(policy_set)
        if identifier is None:
            raise FindingError(codes.MISSING_REFERENCE.at(f"rule {rule_name(name)}: no policy set {policy_set!r}"))
        return f"{RULES_PATH}/{identifier}/authorization"

    def _wanted_rank(
        self, name: str, wire: Mapping[str, Any], body: Mapping[str, Any], old: Mapping[str, Any] | None
    ) -> int:
        rank = _rank(wire)
        if old is not None:
            target = _rank_before(self.rules(name), old.get("_below", ()))
            if target is None or list(old.get("_below", ())) == list(wire.get("_below", ())):
                return rank
            return target - 1 if rank < target else target
        if body.get("before") and body["before"] not in wire.get("_below", ()):
            target = _rank_before(self.rules(name), [body["before"]])
            if target is None:
                raise FindingError(
                    codes.MISSING_REFERENCE.at(f"rule {name}: no rule {body['before']!r} to stand before")
                )
            return target
        return rank

    # -- pieces

    def _fields(self, kind: str, name: str, body: Mapping[str, Any]) -> dict[str, Any]:
        if kind == "matrix_cell":
            return self._cells.fields(name, body)
        sgts: Mapping[str, str] = {}
        groups: Mapping[str, str] = {}
        if kind == "ip_sgt_mapping":
            named = self._reader.named("sgt")
            if body["sgt"] not in named.values():
                named = self._reader.named("sgt", fresh=True)
            sgts = {value: key for key, value in named.items()}
        elif kind in ("endpoint", "endpoint_group"):
            group = str(body.get("group") or body.get("parent") or "")
            self._need_group(lambda: not group or group in {known for known, _owned in self._groups.values()})
            groups = {known: identifier for identifier, (known, _owned) in self._groups.items()}
        return more_fields(kind, name, body, sgts, groups)

    def _need_group(self, known: Any) -> None:
        if not self._groups or not known():
            self.take_groups(self.client.list_items("endpoint_group"))

    def take_groups(self, items: Sequence[Mapping[str, Any]]) -> None:
        """Remember names and ownership of the endpoint groups as listed."""
        self._groups = {item["id"]: (item["name"], owned(item["description"])) for item in items}

    def _references(self) -> References:
        return References(
            groups={identifier: name for identifier, (name, _owned) in self._groups.items()},
            owned_groups=frozenset(identifier for identifier, (_name, ours) in self._groups.items() if ours),
        )

    # -- snapshot

    def read(
        self,
        desired: Sequence[DesiredObject],
        kinds: Sequence[str],
        *,
        with_owned: bool = True,
        everything: bool = False,
    ) -> tuple[dict[str, Any], dict[str, str]]:
        """Return the objects of the kinds that are desired, ours, or all, and what a plan has to show about them.

        Endpoints cost a list for each group that is ours or desired, not a request each. Rules are read where one is desired or a group of
        ours exists: the interface of policy sets may be switched off elsewhere.
        """
        wanted = {(item.kind, item.name) for item in desired}
        objects: dict[str, Any] = {}
        notes: dict[str, str] = {}
        uses_groups = {"endpoint_group", "endpoint", "authorization_rule"} & set(kinds)
        groups = self._listed("endpoint_group", wanted) if uses_groups else []
        self.take_groups(groups)

        def chosen(kind: str, item: Mapping[str, Any], ours: bool) -> bool:
            return everything or (kind, item["name"]) in wanted or (with_owned and ours)

        for kind in ("endpoint_group", "anc_policy", "ip_sgt_mapping"):
            if kind not in kinds:
                continue
            items = groups if kind == "endpoint_group" else self._listed(kind, wanted)
            for item in items:
                ours = owned(item["description"]) if KIND_TABLE[kind].marked else named_as_ours(item["name"])
                if chosen(kind, item, ours):
                    wire = self._reader.get(kind, item["id"])
                    body = self.canonical(kind, item["name"], wire)
                    if body is not None:
                        objects[f"{kind}/{item['name']}"] = body
        if "matrix_cell" in kinds and has_matrices(self.client):
            notes["matrix_cells"] = "\n".join(self._cells.read(wanted, with_owned, everything, objects))
        owns_groups = any(owned(item["description"]) for item in groups)
        if "authorization_rule" in kinds and (
            everything or owns_groups or any(kind == "authorization_rule" for kind, _name in wanted)
        ):
            self._read_rules(wanted, with_owned, everything, objects, notes)
        if "endpoint" in kinds:
            self._read_endpoints(desired, groups, with_owned, objects, notes)
        return objects, notes

    def _listed(self, kind: str, wanted: set[tuple[str, str]]) -> list[dict[str, Any]]:
        """Return a list; an ISE that does not have the kind is no fault where nobody asks for it."""
        try:
            return self.client.list_items(kind)
        except NotFound:
            if any(each == kind for each, _name in wanted):
                raise FindingError(codes.BAD_ANSWER.at(f"this ISE has no list of {KIND_TABLE[kind].word}s")) from None
            return []

    def _read_rules(
        self,
        wanted: set[tuple[str, str]],
        with_owned: bool,
        everything: bool,
        objects: dict[str, Any],
        notes: dict[str, str],
    ) -> None:
        try:
            sets = self.policy_sets(fresh=True)
        except NotFound:
            if everything or any(kind == "authorization_rule" for kind, _name in wanted):
                text = "this ISE does not answer for policy sets; authorization rules need its Open API"
                raise FindingError(codes.BAD_ANSWER.at(text)) from None
            return
        for policy_set, identifier in sorted(sets.items()):
            notes[f"policy_set/{policy_set}"] = identifier
            rules = self.rules(f"@{policy_set}")
            notes[f"rules/{policy_set}"] = "\n".join(str(rule["rule"].get("name", "")) for rule in rules)
            for rule in rules:
                name = f"{rule['rule'].get('name', '')}@{policy_set}"
                ours = named_as_ours(name) and not truth(rule["rule"].get("default"))
                if everything or ("authorization_rule", name) in wanted or (with_owned and ours):
                    body = canonical_more("authorization_rule", rule, References(), policy_set)
                    if body is not None:
                        objects[f"authorization_rule/{name}"] = body

    def _read_endpoints(
        self,
        desired: Sequence[DesiredObject],
        groups: Sequence[Mapping[str, Any]],
        with_owned: bool,
        objects: dict[str, Any],
        notes: dict[str, str],
    ) -> None:
        names = {item.name: item for item in desired if item.kind == "endpoint"}
        asked = {str(item.body["group"]) for item in names.values() if "group" in item.body}
        for item in desired:
            if item.kind == "authorization_rule":
                asked.update(condition_groups(item.body.get("condition")))
        ids = {item["name"]: item["id"] for item in groups}
        ours = {item["name"] for item in groups if with_owned and owned(item["description"])}
        relevant = sorted((asked | ours) & set(ids))
        if not relevant and not names:
            return
        static = {item["id"] for item in self.client.list_items("endpoint", _STATIC)} if relevant else set()
        seen = set()
        for group in relevant:
            members = self.client.list_items("endpoint", f"groupId.EQ.{ids[group]}")
            notes[f"members/{group}"] = "\n".join(sorted(item["name"].upper() for item in members))
            for member in members:
                mac = member["name"].upper()
                notes[f"endpoint/{mac}"] = member["id"]
                if member["id"] in static and (mac in names or group in ours):
                    wire = {**member, "groupId": ids[group], "staticGroupAssignment": True}
                    body = canonical_more("endpoint", wire, self._references())
                    if body is not None:
                        objects[f"endpoint/{mac}"] = body
                seen.add(mac)
        for mac in sorted(set(names) - seen):
            wire_form = self.find("endpoint", mac)
            if wire_form is not None:
                notes[f"endpoint/{mac}"] = str(wire_form["id"])
                body = self.canonical("endpoint", mac, wire_form)
                if body is not None:
                    objects[f"endpoint/{mac}"] = body


def _rank(rule: Mapping[str, Any]) -> int:
    return int(rule["rule"].get("rank") or 0)


def _rank_before(rules: Sequence[Mapping[str, Any]], names: Sequence[str]) -> int | None:
    """Return the rank of the first of the names that is there."""
    ranks = {str(rule["rule"].get("name", "")): _rank(rule) for rule in rules}
    return next((ranks[name] for name in names if name in ranks), None)
