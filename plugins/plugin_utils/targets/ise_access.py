# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Single objects of an ISE of every kind: find, write, remove, with what ISE leaves to its clients.

A create whose answer was lost is settled by reading and comparing, never sent again; an object that others use is never removed
with its users.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.meaning import Meaning, body_difference
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import DesiredObject
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_client import IseClient, Lost, NotFound
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_forms import truth
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_kinds import CELL_KINDS, MORE_KINDS
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_more import MoreObjects
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_objects import (
    FIXED_SGTS,
    SERVER_FIELDS,
    merged_wire,
    wire_fields,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_read import IseReader

RELEASE_SECONDS = 20.0
LOST_SECONDS = 3.0
TEXTS = ("dacl", "aclcontent", "description")
# ISE does not say plainly that an object is in use (facts/ise.md section 1.3).
_MAY_BE_IN_USE = frozenset((codes.REFUSED.number, codes.SERVER_FAILED.number))
_RELEASED_LATE = frozenset(("sgacl", "downloadable_acl", "endpoint_group"))


class ObjectAccess:
    """Reads and writes of single objects, for every kind."""

    def __init__(self, name: str, client: IseClient, reader: IseReader, sleep: Callable[[float], None]) -> None:
        self.name, self.client, self._reader, self._sleep = name, client, reader, sleep
        self.more = MoreObjects(client, reader)

    def find(self, kind: str, name: str, hint: Mapping[str, Any] | None = None) -> dict[str, Any] | None:
        """Return the wire form of an object by name, freshly read, or None."""
        return self.more.find(kind, name, hint) if kind in MORE_KINDS else self._reader.find(kind, name)

    def canonical(self, kind: str, name: str, wire: Mapping[str, Any] | None) -> dict[str, Any] | None:
        """Return the canonical body of a wire form; None for an absent object."""
        if kind in MORE_KINDS:
            return self.more.canonical(kind, name, wire)
        return self._reader.canonical(kind, wire)

    def create(self, kind: str, name: str, body: Mapping[str, Any], old: Mapping[str, Any] | None = None) -> str:
        """Create an object once and return its id, empty where the interface does not give it.

        ``old`` is the wire form of a deleted object that comes back. A lost answer is settled by reading and comparing:
        nothing is sent a second time. FindingError where what stands there then is not what was sent.
        """
        try:
            if kind in MORE_KINDS:
                self.more.create(kind, name, body, old)
                return ""
            fields = self._fields(kind, name, body)
            self._reader.names.pop(kind, None)
            if old:
                kept = {key: value for key, value in old.items() if key not in SERVER_FIELDS and key != "id"}
                fields = {**kept, **{key: value for key, value in fields.items() if key not in ("dacl", "aclcontent")}}
            return self.client.create(kind, fields)
        except Lost as error:
            return self._settle(kind, name, body, error)

    def _settle(self, kind: str, name: str, body: Mapping[str, Any], error: Lost) -> str:
        for wait in (0.0, 0.5, LOST_SECONDS):
            self._sleep(wait)
            wire = self.find(kind, name, body)
            live = self.canonical(kind, name, wire)
            if live is None:
                continue
            found = difference(kind, live, body)
            if not found.equal or not live.get("owned"):
                why = found.text or "it does not carry our mark"
                raise FindingError(codes.CREATED_BY_OTHERS.at(f"{self.name}: {kind} {name}: {why}"))
            return str((wire or {}).get("id", ""))
        text = f"{self.name}: creating {kind} {name} got no answer ({error}), and it does not exist now"
        raise FindingError(codes.NO_ANSWER.at(text, hint="it was not sent again; plan and apply again"))

    def update(
        self,
        kind: str,
        name: str,
        wire: Mapping[str, Any],
        body: Mapping[str, Any],
        old: Mapping[str, Any] | None = None,
    ) -> None:
        """Send the whole object with our fields over what it has. ``old``: the wire form whose very texts come back."""
        if kind in MORE_KINDS:
            self.more.update(kind, name, wire, body, old)
            return
        fields = self._fields(kind, name, body)
        if old:
            fields = {**fields, **{key: old[key] for key in TEXTS if key in old}}
        self.client.update(kind, str(wire["id"]), merged_wire(wire, fields))

    def describe(self, kind: str, name: str, wire: Mapping[str, Any], description: str) -> None:
        """Send the whole object as it is, with another description."""
        if kind in MORE_KINDS:
            self.more.describe(kind, name, wire, description)
            return
        self.client.update(kind, str(wire["id"]), merged_wire(wire, {"description": description}))

    def delete(self, kind: str, name: str, wire: Mapping[str, Any], cascade: frozenset[str] = frozenset()) -> None:
        """Delete an object that nothing uses; an SGT also with the cells that ``cascade`` names.

        References that ISE has just dropped may count for some seconds (facts/ise.md section 1.4).
        """
        if kind == "sgt":
            users = self.users_of_sgt(name) - cascade
            if users:
                text = f"{self.name}: deleting SGT {name} would delete or break {', '.join(sorted(users)[:10])}"
                raise FindingError(codes.IN_USE.at(text))
        self._reader.names.pop(kind, None)
        waited = 0.0
        while True:
            try:
                if kind in MORE_KINDS:
                    self.more.delete(kind, name, wire)
                else:
                    self.client.delete(kind, str(wire["id"]))
                return
            except NotFound:
                return
            except FindingError as error:
                if not any(finding.code in _MAY_BE_IN_USE for finding in error.findings):
                    raise
                if kind not in _RELEASED_LATE or waited >= RELEASE_SECONDS:
                    raise FindingError(*error.findings, codes.IN_USE.at(f"{self.name}: {kind} {name}")) from None
            self._sleep(2.0)
            waited += 2.0

    def usage(self, desired: Sequence[DesiredObject], objects: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
        """Return what a plan has to know beside the objects: who uses SGTs of ours that may go, and whether cells take several SGACLs."""
        kept = {f"sgt/{item.name}" for item in desired if item.kind == "sgt"}
        going = [key for key, body in objects.items() if key.startswith("sgt/") and body.get("owned")]
        notes = self.sgt_usage([key.split("/", 1)[1] for key in going if key not in kept])
        if any(item.kind in CELL_KINDS and len(item.body.get("sgacls", ())) > 1 for item in desired):
            notes["allow_multiple_sgacls"] = self._several_allowed()
        return notes

    def sgt_usage(self, names: Sequence[str]) -> dict[str, str]:
        """Return who uses SGTs beside cells, as notes for a snapshot."""
        return {f"users/{name}": "\n".join(sorted(self._other_users(name))) for name in names}

    def _several_allowed(self) -> str:
        """Return yes or no as ISE's general settings say it, empty where this version does not show them."""
        try:
            answer = self.client.open_api("GET", "/api/v1/trustsec/general-settings")
        except NotFound:
            return ""
        inner = answer.get("response")
        value = (inner if isinstance(inner, dict) else answer).get("allowMultipleSGACLs")
        return "" if value is None else "yes" if truth(value) else "no"

    def users_of_sgt(self, name: str) -> set[str]:
        """Return the cells and IP-SGT mappings that use an SGT, by name."""
        found = {
            item["name"]
            for end in ("Src", "Dst")
            for item in self.client.list_items("egress_matrix_cell", f"sgt{end}Name.EQ.{name}")
        }
        return found | self._other_users(name) | self.more.matrix_users(name)

    def _other_users(self, name: str) -> set[str]:
        """Return IP-SGT mappings and authorization rules that use an SGT; rules only where the policy sets can be read."""
        try:
            mappings = self.client.list_items("ip_sgt_mapping", f"sgtName.EQ.{name}")
        except NotFound:
            mappings = []
        found = {f"IP-SGT mapping {item['name']}" for item in mappings}
        try:
            sets = self.more.policy_sets()
        except (NotFound, FindingError):
            return found
        for policy_set in sorted(sets):
            for rule in self.more.rules(f"@{policy_set}"):
                if rule.get("securityGroup") == name:
                    found.add(f"authorization rule {rule['rule'].get('name', '')}@{policy_set}")
        return found

    def _fields(self, kind: str, name: str, body: Mapping[str, Any]) -> dict[str, Any]:
        if kind != "egress_matrix_cell":
            return wire_fields(kind, name, body, {}, {})
        ends = {str(body[end]) for end in ("source", "destination")} - set(FIXED_SGTS.values())
        sgts = self._reader.named("sgt", fresh=not ends <= set(self._reader.named("sgt").values()))
        lists = set(body["sgacls"])
        sgacls = self._reader.named("sgacl", fresh=not lists <= set(self._reader.named("sgacl").values()))
        by_name = [{value: key for key, value in names.items()} for names in (sgts, sgacls)]
        return wire_fields(kind, name, body, by_name[0], by_name[1])


def seen(live: Mapping[str, Any] | None, wanted: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Return of a live body what the wanted one speaks of.

    ``before`` of a rule is met where the named rule stands anywhere below it.
    """
    if live is None or wanted is None:
        return live
    found = {key: live.get(key) for key in wanted}
    if "before" in wanted and "before" not in live:
        below = (live.get("internal") or {}).get("below", ())
        found["before"] = wanted["before"] if wanted["before"] in below else ""
    return found


def difference(kind: str, live: Mapping[str, Any] | None, wanted: Mapping[str, Any] | None) -> Meaning:
    """Return how a live object differs from a wanted body in what that body speaks of."""
    return body_difference(kind, seen(live, wanted), wanted)
