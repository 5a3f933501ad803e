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
    """A parsed YAML document: its value, and for each JSON pointer the line (from 1) where it stands.

    ``digest``: the hash of its text and of what reads it, where a cache knows it, else "".
    """

    file: str
    value: Any
    lines: dict[str, int] = field(default_factory=dict)
    digest: str = field(default="", compare=False, repr=False)

    def location(self, *keys: str | int) -> Location:
        """Return the place of the value under the keys, or of its nearest known parent."""
        parts = [str(key).replace("~", "~0").replace("/", "~1") for key in keys]
        while parts:
            line = self.lines.get("/" + "/".join(parts))
            if line:
                return Location(self.file, line)
            parts.pop()
        return Location(self.file, self.lines.get("", 1))


_TAG = "tag:yaml.org,2002:"
# What plain scalars mean, by their text: no document changes it. Documents of a policy directory hold the same words over and over.
_MEANINGS: dict[str, Any] = {}
_MOST_MEANINGS = 20_000
_LONGEST_MEANING = 100
_SCALAR_TAGS = frozenset(_TAG + kind for kind in ("str", "int", "float", "bool", "null"))


class _Builder:
    """Turns the parser's events into plain values in one pass, collecting lines and enforcing the limits.

    No node tree is composed, so that nothing is built before its depth and number are known. What a plain scalar means is
    asked of PyYAML's resolver once for each text.
    """

    def __init__(self, file: str) -> None:
        self.file = file
        self.lines: dict[str, int] = {}
        self.value: Any = None
        self.loader: Any = None  # only to resolve and construct scalars; it parses nothing
        # Open collections: the container, its pointer, and for a mapping the pending key and its line.
        self.stack: list[list[Any]] = []
        self.nodes = 0
        self.documents = 0

    def fail(self, code: Any, text: str, event: Any) -> FindingError:
        return FindingError(code.at(text, Location(self.file, event.start_mark.line + 1)))

    def read(self, events: Any) -> None:
        """Take in all events of a stream."""
        scalar, start, end = yaml.ScalarEvent, yaml.CollectionStartEvent, yaml.CollectionEndEvent
        for event in events:
            if isinstance(event, scalar):
                self._count(event)
                self._scalar(event)
            elif isinstance(event, start):
                self._count(event)
                self._open(event)
            elif isinstance(event, end):
                self.stack.pop()
            elif isinstance(event, yaml.AliasEvent):
                raise self.fail(codes.YAML_LIMIT, "anchors and aliases are not accepted", event)
            elif isinstance(event, yaml.DocumentStartEvent):
                self.documents += 1
                if self.documents > 1:
                    raise self.fail(codes.YAML_SYNTAX, "but found another document", event)

    def _count(self, event: Any) -> None:
        if event.anchor:
            raise self.fail(codes.YAML_LIMIT, "anchors and aliases are not accepted", event)
        self.nodes += 1
        if self.nodes > NODE_LIMIT:
            raise self.fail(codes.YAML_LIMIT, f"more than {NODE_LIMIT} nodes", event)

    def _open(self, event: Any) -> None:
        mapping = isinstance(event, yaml.MappingStartEvent)
        if len(self.stack) >= DEPTH_LIMIT:
            raise self.fail(codes.YAML_LIMIT, f"nested deeper than {DEPTH_LIMIT} levels", event)
        if self.stack and self.stack[-1][2] is None and isinstance(self.stack[-1][0], dict):
            raise self.fail(codes.YAML_SYNTAX, "a mapping key must be plain text", event)
        if event.tag not in (None, "!", f"{_TAG}{'map' if mapping else 'seq'}"):
            raise self.fail(codes.YAML_SYNTAX, f"the tag {event.tag!r} is not accepted", event)
        container: Any = {} if mapping else []
        pointer = self._place(container, event.start_mark.line + 1)
        self.stack.append([container, pointer, None, 0])

    def _scalar(self, event: Any) -> None:
        line = event.start_mark.line + 1
        if self.stack:
            frame = self.stack[-1]
            if frame[2] is None and isinstance(frame[0], dict):
                if event.value in frame[0]:
                    raise self.fail(codes.YAML_DUPLICATE_KEY, f"key {event.value!r} stands twice", event)
                frame[2], frame[3] = event.value, line
                return
        self._place(self._meaning(event), line)

    def _place(self, value: Any, line: int) -> str:
        """Put a value where it belongs; return its JSON pointer. A mapping's value stands at the line of its key."""
        if not self.stack:
            self.value = value
            self.lines[""] = line
            return ""
        frame = self.stack[-1]
        container, parent, key = frame[0], frame[1], frame[2]
        if key is None:
            pointer = f"{parent}/{len(container)}"
            container.append(value)
            self.lines[pointer] = line
            return pointer
        if "~" in key or "/" in key:
            pointer = f"{parent}/{key.replace('~', '~0').replace('/', '~1')}"
        else:
            pointer = f"{parent}/{key}"
        container[key] = value
        self.lines[pointer] = frame[3]
        frame[2] = None
        return pointer

    def _meaning(self, event: Any) -> Any:
        """Return a scalar's value; texts that read as a moment stay text."""
        tag, text = event.tag, event.value
        if tag in (None, "!"):
            if not event.implicit[0]:
                return text
            if text in _MEANINGS:
                return _MEANINGS[text]
            tag = self._constructor().resolve(yaml.ScalarNode, text, (True, False))
            plain = True
        else:
            plain = False
        if tag == f"{_TAG}timestamp":
            value: Any = text
        elif tag not in _SCALAR_TAGS:
            raise self.fail(codes.YAML_SYNTAX, f"the tag {tag!r} is not accepted", event)
        else:
            try:
                value = self._constructor().construct_object(
                    yaml.ScalarNode(tag, text, event.start_mark, event.end_mark)
                )
            except (yaml.YAMLError, ValueError, OverflowError) as error:
                raise self.fail(codes.YAML_SYNTAX, f"unreadable value {text[:40]!r}", event) from error
        if plain and len(text) <= _LONGEST_MEANING and len(_MEANINGS) < _MOST_MEANINGS:
            _MEANINGS[text] = value
        return value

    def _constructor(self) -> Any:
        if self.loader is None:
            self.loader = yaml.SafeLoader("")
        return self.loader


def loader_class() -> Any:
    """Return the safe loader over libyaml where PyYAML was built with it (three times faster), else the pure one."""
    return getattr(yaml, "CSafeLoader", None) or yaml.SafeLoader


def parse_yaml(text: str, file: str) -> Document:
    """Return the one document of a YAML text; FindingError SW0003 to SW0005 with file and line otherwise."""
    if len(text.encode("utf-8")) > SIZE_LIMIT_BYTES:
        raise FindingError(codes.YAML_LIMIT.at(f"larger than {SIZE_LIMIT_BYTES} bytes", Location(file)))
    builder = _Builder(file)
    try:
        builder.read(yaml.parse(text, Loader=loader_class()))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 0
        problem = getattr(error, "problem", None) or "not a YAML document"
        raise FindingError(codes.YAML_SYNTAX.at(str(problem), Location(file, line))) from error
    return Document(file, builder.value, builder.lines)


def load_yaml(path: str | Path, name: str | None = None) -> Document:
    """Return the document of a YAML file; ``name`` is what findings call it (default: the path)."""
    return parse_yaml(read_text(path, SIZE_LIMIT_BYTES), name or str(path))
