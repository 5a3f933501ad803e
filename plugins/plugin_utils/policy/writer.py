# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write segment files so that what people wrote survives and a diff shows only what changed."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base import codes as base_codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import read_text, write_atomic
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError, Location, errors_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.names import IDENTIFIER, safe_name
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.yaml_io import (
    SIZE_LIMIT_BYTES,
    Document,
    parse_yaml,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.merging import MergedRules, merge_rules
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.schema import schema_findings, schema_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.splice import (
    Splices,
    child,
    compose,
    last_index,
    ordered,
    render,
    set_key,
)

__all__ = ["SegmentChange", "merge_rules", "schema_comment", "segment_path", "segment_text", "write_segment"]

COMMENT = "# yaml-language-server: $schema="
_COMMENT = re.compile(r"\A# yaml-language-server: \$schema=(?P<prefix>\S*?)[A-Za-z.]+\.schema\.json\s*\Z")


@dataclass(frozen=True)
class SegmentChange:
    """What writing a segment did; ``text`` is the file's new content, ``before`` the old one (empty for a new file)."""

    created: bool
    changed: bool
    text: str
    before: str
    rules: MergedRules


def segment_path(directory: str | Path, zone: str, name: str) -> Path:
    """Return where a segment's file stands; ValueError for names that are not legal."""
    return Path(directory) / safe_name(zone, IDENTIFIER) / f"{safe_name(name, IDENTIFIER)}.yml"


def schema_comment(directory: str | Path, kind: str = "segment") -> str:
    """Return the first line for a file below a zone: where site.yml finds its schema, seen from one directory deeper."""
    prefix = ""
    try:
        first = read_text(Path(directory) / "site.yml", SIZE_LIMIT_BYTES).split("\n", 1)[0]
    except FindingError:
        first = ""
    found = _COMMENT.match(first)
    if found:
        prefix = found["prefix"]
        if not re.match(r"[a-z]+://|/", prefix):
            prefix = f"../{prefix}"
    return f"{COMMENT}{prefix}{kind}.schema.json"


def _rule_order() -> list[str]:
    return list(schema_of("segment")["properties"]["allow"]["items"]["properties"])


def _segment_order() -> list[str]:
    return list(schema_of("segment")["properties"])


def _ordered_rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    made = ordered(rule, _rule_order())
    if "evidence" in made:
        evidence = schema_of("segment")["properties"]["allow"]["items"]["properties"]["evidence"]["properties"]
        made["evidence"] = ordered(made["evidence"], evidence)
    return made


def segment_text(segment: Mapping[str, Any], comment: str = f"{COMMENT}segment.schema.json") -> str:
    """Return the text of a new segment file; keys in the schema's order."""
    made = ordered(segment, _segment_order())
    if "allow" in made:
        made["allow"] = [_ordered_rule(rule) for rule in made["allow"]]
    return f"{comment}\n{render(made)}\n"


def write_segment(
    path: str | Path,
    segment: Mapping[str, Any],
    update: Iterable[str] = ("allow",),
    remove: Iterable[str] = (),
    comment: str = f"{COMMENT}segment.schema.json",
    dry_run: bool = False,
    again: Collection[str] = (),
) -> SegmentChange:
    """Write a new segment file, or change what differs in one that stands.

    In a file that stands only the keys of ``update`` are touched, since the others belong to people; rules are merged
    (``merge_rules``), and go only where ``remove`` names one that is learned or of a MUD file. Raises FindingError where the present
    file cannot be read or the result would not fit the schema; then nothing is written.
    """
    target = Path(path)
    if not target.exists():
        text = segment_text(segment, comment)
        _checked(text, target, None)
        if not dry_run:
            write_atomic(target, text)
        ids = tuple(rule["id"] for rule in segment.get("allow", ()))
        return SegmentChange(True, True, text, "", MergedRules(tuple(segment.get("allow", ())), added=ids))
    before = read_text(target, SIZE_LIMIT_BYTES)
    document = _checked(before, target, None)
    wanted = {key: segment[key] for key in update if key in segment and key != "allow"}
    proposals = segment.get("allow", ()) if "allow" in update else ()
    merged = merge_rules(document.value.get("allow", ()), [_ordered_rule(rule) for rule in proposals], remove, again)
    text = _changed_text(before, document, wanted, merged)
    _checked(text, target, {**document.value, **wanted, **_allow(document, merged)})
    if text != before and not dry_run:
        newline = "\r\n" if b"\r\n" in target.read_bytes() else "\n"
        write_atomic(target, text.replace("\n", newline), target.stat().st_mode & 0o777)
    return SegmentChange(False, text != before, text, before, merged)


def _allow(document: Document, merged: MergedRules) -> dict[str, Any]:
    rules = [dict(rule) for rule in merged.rules]
    return {"allow": rules} if rules or "allow" in document.value else {}


def _checked(text: str, path: Path, expected: Mapping[str, Any] | None) -> Document:
    """Return the parsed text; FindingError where it does not fit the schema or is not what was meant."""
    document = parse_yaml(text, str(path))
    found = errors_of(schema_findings("segment", document))
    if found:
        raise FindingError(*found)
    if expected is not None and _plain(document.value) != _plain(expected):
        raise FindingError(
            base_codes.INTERNAL.at(
                "the changed file would not say what was meant; nothing was written", Location(str(path))
            )
        )
    return document


def _plain(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return a segment's value for comparison; the order of rules is not compared, since a file may keep its own."""
    return {**value, "allow": sorted(value.get("allow", ()), key=lambda rule: str(rule["id"]))}


def _changed_text(text: str, document: Document, wanted: Mapping[str, Any], merged: MergedRules) -> str:
    splices = Splices(text)
    root = compose(text)
    value = document.value
    for key, item in wanted.items():
        set_key(splices, root, key, item, value, _segment_order())
    present = child(root, "allow")
    rules = [dict(rule) for rule in merged.rules]
    if present is None or present[1].flow_style or not present[1].value:
        if rules != list(value.get("allow", ())):
            set_key(splices, root, "allow", [_ordered_rule(rule) for rule in rules], value, _segment_order())
        return splices.result()
    _change_rules(splices, present, value["allow"], rules, merged)
    return splices.result()


def _change_rules(
    splices: Splices,
    present: tuple[Any, Any],
    old: Sequence[Mapping[str, Any]],
    new: Sequence[Mapping[str, Any]],
    merged: MergedRules,
) -> None:
    """Change, remove and add rules of a block list, item by item."""
    key_node, sequence = present
    by_id = {rule["id"]: rule for rule in new}
    for node, rule in zip(sequence.value, old, strict=True):
        if rule["id"] in merged.removed:
            _remove_item(splices, key_node, sequence, node)
        elif rule["id"] in merged.updated:
            _update_item(splices, node, rule, by_id[rule["id"]])
    standing = {
        rule["id"]: node for node, rule in zip(sequence.value, old, strict=True) if rule["id"] not in merged.removed
    }
    if merged.added and not standing:
        # Everything that stood goes: the list is written anew.
        splices.changes.clear()
        start, end = key_node.start_mark.index, last_index(splices.text, sequence)
        splices.replace(
            start, end, render({"allow": [_ordered_rule(rule) for rule in new]}, key_node.start_mark.column)
        )
        return
    if not standing:
        splices.changes.clear()
        splices.replace(key_node.start_mark.index, last_index(splices.text, sequence), "allow: []")
        return
    column = sequence.start_mark.column
    place: Any = None
    waiting: list[str] = []
    for rule in new:
        if rule["id"] in standing:
            place = standing[rule["id"]]
            for lines in waiting:
                _insert_first(splices, key_node, place, column, lines)
            waiting = []
        elif rule["id"] in merged.added:
            lines = " " * column + render([_ordered_rule(rule)], column)
            if place is None:
                waiting.append(lines)
            else:
                splices.insert_line(last_index(splices.text, place), lines)


def _insert_first(splices: Splices, key_node: Any, first: Any, column: int, lines: str) -> None:
    """Insert before the first rule; below it where a comment stands between, which may be about either."""
    between = splices.text[key_node.end_mark.index : first.start_mark.index]
    if "#" in between or "\n" not in between:
        splices.insert_line(last_index(splices.text, first), lines)
    else:
        splices.insert_line(key_node.end_mark.index, lines)


def _remove_item(splices: Splices, key_node: Any, sequence: Any, node: Any) -> None:
    """Remove a rule's lines with the comment lines directly above it, except above the first rule."""
    text = splices.text
    start = text.rfind("\n", 0, node.start_mark.index) + 1
    end = text.find("\n", last_index(text, node))
    end = len(text) if end < 0 else end + 1
    if node is not sequence.value[0]:
        while True:
            above = text.rfind("\n", 0, start - 1) + 1
            if above <= key_node.end_mark.index or not text[above:start].lstrip(" ").startswith("#"):
                break
            start = above
    splices.replace(start, end, "")


def _update_item(splices: Splices, node: Any, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    if node.flow_style:
        splices.replace(node.start_mark.index, node.end_mark.index, render(_ordered_rule(new), node.start_mark.column))
        return
    for key in ("to", "services", "evidence"):
        if key not in new or old.get(key) == new[key]:
            continue
        present = child(node, key)
        if key == "evidence" and present and set(old.get(key, {})) == set(new[key]) and not present[1].flow_style:
            for name, value in new[key].items():
                set_key(splices, present[1], name, value, old[key], list(new[key]))
        else:
            set_key(splices, node, key, new[key], old, _rule_order())
