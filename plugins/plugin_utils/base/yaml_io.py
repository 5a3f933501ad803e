# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Safe YAML with line numbers, size, depth and node limits, no aliases and no duplicate keys.

Plain values come back as ``dict``, ``list``, ``str``, ``int``, ``float``, ``bool``, ``None`` and ``datetime.date`` is never made
(timestamps stay text), so that what a reviewer reads is what the engine gets. Lines travel in a side table keyed by
JSON pointer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import read_text
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError, Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded

yaml = guarded("yaml")

SIZE_LIMIT_BYTES = 8 * 1024 * 1024
DEPTH_LIMIT = 32
NODE_LIMIT = 500_000


@dataclass(frozen=True)
class Document:
    """A parsed YAML document: its value, and for each JSON pointer the line (from 1) where it stands."""

    file: str
    value: Any
    lines: dict[str, int] = field(default_factory=dict)

    def location(self, *keys: str | int) -> Location:
        """Return the place of the value under the keys, or of its nearest known parent."""
        parts = [str(key).replace("~", "~0").replace("/", "~1") for key in keys]
        while parts:
            line = self.lines.get("/" + "/".join(parts))
            if line:
                return Location(self.file, line)
            parts.pop()
        return Location(self.file, self.lines.get("", 1))


class _Builder:
    """Turns a composed node tree into plain values, collecting lines and enforcing the limits."""

    def __init__(self, file: str, loader: Any) -> None:
        self.file = file
        self.loader = loader
        self.lines: dict[str, int] = {}

    def build(self, node: Any, pointer: str) -> Any:
        self.lines[pointer] = node.start_mark.line + 1
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, pointer)
        if isinstance(node, yaml.SequenceNode):
            self._plain_tag(node, "tag:yaml.org,2002:seq")
            return [self.build(child, f"{pointer}/{index}") for index, child in enumerate(node.value)]
        return self._scalar(node)

    def _mapping(self, node: Any, pointer: str) -> dict[str, Any]:
        self._plain_tag(node, "tag:yaml.org,2002:map")
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise FindingError(codes.YAML_SYNTAX.at("a mapping key must be plain text", Location(self.file, line)))
            key = str(key_node.value)
            if key in result:
                raise FindingError(codes.YAML_DUPLICATE_KEY.at(f"key {key!r} stands twice", Location(self.file, line)))
            child = f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}"
            result[key] = self.build(value_node, child)
            self.lines[child] = line
        return result

    def _scalar(self, node: Any) -> Any:
        tag = node.tag
        if tag == "tag:yaml.org,2002:timestamp":
            return node.value
        if tag not in {f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null")}:
            self._plain_tag(node, "")
        try:
            return self.loader.construct_object(node)
        except (yaml.YAMLError, ValueError, OverflowError) as error:
            place = Location(self.file, node.start_mark.line + 1)
            raise FindingError(codes.YAML_SYNTAX.at(f"unreadable value {node.value[:40]!r}", place)) from error

    def _plain_tag(self, node: Any, expected: str) -> None:
        if node.tag != expected:
            place = Location(self.file, node.start_mark.line + 1)
            raise FindingError(codes.YAML_SYNTAX.at(f"the tag {node.tag!r} is not accepted", place))


def _loader_class() -> Any:
    """Return the safe loader over libyaml where PyYAML was built with it (three times faster), else the pure one."""
    return getattr(yaml, "CSafeLoader", None) or yaml.SafeLoader


def _check_events(text: str, file: str) -> None:
    """Walk the event stream before anything is built: refuses aliases, depth and node floods."""
    depth = nodes = 0
    for event in yaml.parse(text, Loader=_loader_class()):
        place = Location(file, event.start_mark.line + 1)
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise FindingError(codes.YAML_LIMIT.at("anchors and aliases are not accepted", place))
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        nodes += 1
        if depth > DEPTH_LIMIT:
            raise FindingError(codes.YAML_LIMIT.at(f"nested deeper than {DEPTH_LIMIT} levels", place))
        if nodes > NODE_LIMIT:
            raise FindingError(codes.YAML_LIMIT.at(f"more than {NODE_LIMIT} nodes", place))


def parse_yaml(text: str, file: str) -> Document:
    """Return the one document of a YAML text; FindingError SW0003 to SW0005 with file and line otherwise."""
    if len(text.encode("utf-8")) > SIZE_LIMIT_BYTES:
        raise FindingError(codes.YAML_LIMIT.at(f"larger than {SIZE_LIMIT_BYTES} bytes", Location(file)))
    try:
        _check_events(text, file)
        loader = _loader_class()(text)
        try:
            node = loader.get_single_node()
            builder = _Builder(file, loader)
            value = builder.build(node, "") if node is not None else None
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 0
        problem = getattr(error, "problem", None) or "not a YAML document"
        raise FindingError(codes.YAML_SYNTAX.at(str(problem), Location(file, line))) from error
    return Document(file, value, builder.lines if node is not None else {})


def load_yaml(path: str | Path, name: str | None = None) -> Document:
    """Return the document of a YAML file; ``name`` is what findings call it (default: the path)."""
    return parse_yaml(read_text(path, SIZE_LIMIT_BYTES), name or str(path))
