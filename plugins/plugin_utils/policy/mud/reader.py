# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A MUD file's text to entries (RFC 8520, RFC 8519). What is not understood is a finding with its line; nothing is guessed.

Both names of the list container are read: ``acls`` of RFC 8519 and ``access-lists`` of the drafts before it, which most published
files still have (facts/risk.md section 2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import (
    Code,
    Finding,
    FindingError,
    Location,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.json_io import parse_json
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.yaml_io import Document
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.mud import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.mud.aces import entry_of, shown
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.mud.model import MudEntry, MudFile

ENTRY_LIMIT = 4000
HEAD = "ietf-mud:mud"
LISTS = ("ietf-access-control-list:acls", "ietf-access-control-list:access-lists")
READ = {
    "mud-version", "mud-url", "last-update", "cache-validity", "is-supported", "systeminfo", "mfg-name", "model-name",
    "documentation", "firmware-rev", "software-rev", "mud-signature", "extensions", "from-device-policy",
    "to-device-policy", "masa-server",
}  # fmt: skip


def read_mud(text: str, file: str) -> MudFile:
    """Return what a MUD file says. FindingError where it is no MUD file at all; what is not understood inside is in ``findings``."""
    document = parse_json(text, file)
    value = document.value
    if not isinstance(value, dict) or not isinstance(value.get(HEAD), dict):
        raise FindingError(codes.NOT_MUD.at(f"there is no {HEAD}", Location(file, 1)))
    return _Reading(document).result()


class _Reading:
    def __init__(self, document: Document) -> None:
        self.document = document
        self.head: Mapping[str, Any] = document.value[HEAD]
        self.findings: list[Finding] = []
        self.entries: list[MudEntry] = []

    def result(self) -> MudFile:
        self._head()
        key = next((name for name in LISTS if name in self.document.value), "")
        lists = self._lists(key)
        used: set[str] = set()
        for policy, outgoing in (("from-device-policy", True), ("to-device-policy", False)):
            for name, place in self._names(policy):
                if name not in lists:
                    self._add(codes.LIST_MISSING, f"{policy}: there is no access list {shown(name)}", place)
                    continue
                used.add(name)
                self._list(key, *lists[name], outgoing)
        for name, (index, _value) in lists.items():
            if name not in used:
                place = self.document.location(key, "acl", index, "name")
                self._add(codes.LIST_UNUSED, f"access list {shown(name)} belongs to no direction", place)
        self._others()
        head = self.head
        validity = head.get("cache-validity", 48)
        return MudFile(
            url=self._text("mud-url"),
            last_update=self._text("last-update"),
            systeminfo=self._text("systeminfo"),
            manufacturer_name=self._text("mfg-name"),
            model_name=self._text("model-name"),
            supported=head.get("is-supported") is not False,
            signature=self._text("mud-signature"),
            cache_validity=validity if isinstance(validity, int) and 0 < validity <= 168 else 48,
            entries=tuple(self.entries),
            findings=tuple(dict.fromkeys(self.findings)),
            file=self.document.file,
        )

    def _add(self, code: Code, text: str, place: Location) -> None:
        self.findings.append(code.at(text, place))

    def _text(self, key: str) -> str:
        value = self.head.get(key, "")
        if not isinstance(value, str) or len(value) > 1000 or not value.isprintable():
            self._add(codes.BAD_VALUE, f"{key} is no printable text", self.document.location(HEAD, key))
            return ""
        return value

    def _head(self) -> None:
        head, document = self.head, self.document
        if head.get("mud-version", 1) != 1:
            text = f"mud-version is {shown(head['mud-version'])}; version 1 is read"
            self._add(codes.BAD_VALUE, text, document.location(HEAD, "mud-version"))
        if head.get("is-supported") is False:
            self._add(codes.NOT_SUPPORTED, "is-supported is false", document.location(HEAD, "is-supported"))
        if head.get("mud-signature"):
            place = document.location(HEAD, "mud-signature")
            self._add(codes.NOT_SIGNED_HERE, "the file names a signature", place)
        for key in head:
            if key not in READ:
                self._add(codes.EXTENSION, f"{shown(key)} is not read", document.location(HEAD, key))

    def _others(self) -> None:
        for key in self.document.value:
            if key != HEAD and key not in LISTS:
                self._add(codes.EXTENSION, f"{shown(key)} is not read", self.document.location(key))

    def _lists(self, key: str) -> dict[str, tuple[int, Mapping[str, Any]]]:
        """Return the access lists by name, each with its place in the file."""
        found: dict[str, tuple[int, Mapping[str, Any]]] = {}
        container = self.document.value.get(key, {}) if key else {}
        items = container.get("acl", []) if isinstance(container, dict) else None
        if not isinstance(items, list):
            self._add(codes.BAD_VALUE, "the access lists are no list", self.document.location(key))
            return {}
        for index, item in enumerate(items):
            place = self.document.location(key, "acl", index)
            name = item.get("name") if isinstance(item, dict) else None
            if not isinstance(name, str):
                self._add(codes.BAD_VALUE, "an access list has no name", place)
            elif name in found:
                self._add(codes.BAD_VALUE, f"access list {shown(name)} stands twice", place)
            else:
                found[name] = (index, item)
        return found

    def _names(self, policy: str) -> list[tuple[str, Location]]:
        value = self.head.get(policy)
        if value is None:
            return []
        lists = value.get("access-lists", {}) if isinstance(value, dict) else None
        items = lists.get("access-list", []) if isinstance(lists, dict) else None
        if not isinstance(items, list):
            self._add(codes.BAD_VALUE, f"{policy} names no access lists", self.document.location(HEAD, policy))
            return []
        found = []
        for index, item in enumerate(items):
            place = self.document.location(HEAD, policy, "access-lists", "access-list", index)
            name = item.get("name") if isinstance(item, dict) else None
            if isinstance(name, str):
                found.append((name, place))
            else:
                self._add(codes.BAD_VALUE, f"{policy}: an access list has no name", place)
        return found

    def _list(self, key: str, index: int, value: Mapping[str, Any], outgoing: bool) -> None:
        kind = str(value.get("type", "")).rpartition(":")[2]
        aces = value.get("aces", {})
        items: Sequence[Any] = aces.get("ace", []) if isinstance(aces, dict) else ()
        if not isinstance(items, list):
            self._add(codes.BAD_VALUE, "the entries are no list", self.document.location(key, "acl", index))
            return
        for number, item in enumerate(items):
            place = self.document.location(key, "acl", index, "aces", "ace", number)
            if len(self.entries) >= ENTRY_LIMIT:
                self._add(codes.TOO_LARGE, f"more than {ENTRY_LIMIT} entries; the rest is not read", place)
                return
            if not isinstance(item, dict):
                self._add(codes.BAD_VALUE, "an entry is no mapping", place)
                continue
            made, found = entry_of(item, kind, outgoing, place)
            self.findings += found
            if made is not None:
                self.entries.append(made)
