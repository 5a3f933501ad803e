# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""New named items added to services.yml and networks.yml; every byte that stands there stays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base import codes as base_codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import read_text, write_atomic
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError, Location, errors_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.yaml_io import SIZE_LIMIT_BYTES, parse_yaml
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
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.writer import schema_comment

__all__ = ["Addition", "add_items"]


@dataclass(frozen=True)
class Addition:
    """A file with new items: its text before (empty for a new file) and after."""

    before: str
    after: str

    @property
    def changed(self) -> bool:
        """Whether anything was added."""
        return self.before != self.after


def add_items(directory: str | Path, kind: str, items: Mapping[str, Any], dry_run: bool = False) -> Addition:
    """Add items by name to ``services.yml`` or ``networks.yml`` (``kind``); items that stand there are not touched.

    New items stand behind the last name that is before theirs. Raises FindingError where the file cannot be read or would
    not say what was meant; then nothing is written.
    """
    path = Path(directory) / f"{kind}.yml"
    before = read_text(path, SIZE_LIMIT_BYTES) if path.exists() else ""
    known: dict[str, Any] = parse_yaml(before, path.name).value or {} if before else {}
    standing = known.get(kind) or {}
    new = {name: _ordered(kind, items[name]) for name in sorted(items) if name not in standing}
    if not new:
        return Addition(before, before)
    if standing:
        after = _with(before, kind, new, known)
    elif known:
        splices = Splices(before)
        set_key(splices, compose(before), kind, new, known, [kind])
        after = splices.result()
    else:
        comment = schema_comment(directory, kind).replace("$schema=../", "$schema=", 1)
        head = before if before.endswith("\n") or not before else f"{before}\n"
        after = f"{head or comment + chr(10)}{render({kind: new})}\n"
    document = parse_yaml(after, path.name)
    found = errors_of(schema_findings(kind, document))
    if found:
        raise FindingError(*found)
    if document.value != {**known, kind: {**standing, **new}}:
        text = "the changed file would not say what was meant; nothing was written"
        raise FindingError(base_codes.INTERNAL.at(text, Location(path.name)))
    if not dry_run:
        newline = "\r\n" if path.exists() and b"\r\n" in path.read_bytes() else "\n"
        write_atomic(path, after.replace("\n", newline), path.stat().st_mode & 0o777 if path.exists() else 0o644)
    return Addition(before, after)


def _ordered(kind: str, item: Mapping[str, Any]) -> dict[str, Any]:
    schema = next(iter(schema_of(kind)["properties"][kind]["patternProperties"].values()))
    return ordered(item, schema["properties"])


def _with(text: str, kind: str, new: Mapping[str, Any], known: Mapping[str, Any]) -> str:
    splices = Splices(text)
    root = compose(text)
    found = child(root, kind)
    if found is None or found[1].flow_style:
        set_key(splices, root, kind, {**known[kind], **new}, known, [kind])
        return splices.result()
    key_node, mapping = found
    column = mapping.start_mark.column
    for name, item in new.items():
        lines = " " * column + render({name: item}, column)
        before = [(k, v) for k, v in mapping.value if k.value < name]
        if before:
            splices.insert_line(last_index(text, before[-1][1]), lines)
        else:
            splices.insert_line(key_node.end_mark.index, lines)
    return splices.result()
