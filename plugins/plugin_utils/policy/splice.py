# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes of a YAML text at exact places, so that every byte that does not change stays: comments, order, quotes, blank lines.

Places come from the parser's marks. New parts are rendered by ruamel.yaml in the style of the policy directory:
two blanks of indentation, lists of plain values on one line, keys in the order of the schema.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.yaml_io import loader_class

yaml = guarded("yaml")
ruamel_yaml = guarded("ruamel.yaml")
ruamel_comments = guarded("ruamel.yaml.comments")
ruamel_scalars = guarded("ruamel.yaml.scalarstring")

STEP = 2
WIDTH = 4096
# Up to so many characters a key, a value and a list stay on their line whatever is quoted in them.
LONGEST_KEY, LONGEST_VALUE, LONGEST_LIST = 100, 1000, 3000
# Names of several words are plain text to every reader of YAML: no number, date, truth value or null is written so.
_NAME = re.compile(r"\A[a-z][a-z0-9]*(?:-[a-z0-9]+)+\Z")
_DAY = re.compile(r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")


def render(value: Any, column: int = 0) -> str:
    """Return a mapping or list as YAML text without a last newline; lines after the first are indented by ``column``."""
    lines = _composed(value)
    if lines is None:
        lines = _written(value)
    return "\n".join([lines[0], *(" " * column + line if line else line for line in lines[1:])])


def _written(value: Any) -> list[str]:
    """Return the lines of a mapping or list as ruamel.yaml writes it in one go."""
    writer = ruamel_yaml.YAML()
    writer.indent(mapping=STEP, sequence=2 * STEP, offset=STEP)
    writer.width = WIDTH
    writer.allow_unicode = True
    stream = io.StringIO()
    writer.dump(_styled(value), stream)
    lines = stream.getvalue().rstrip("\n").split("\n")
    if isinstance(value, (list, tuple)) and value and not _is_flat(value):
        lines = [line[STEP:] for line in lines]
    return lines


def _composed(value: Any) -> list[str] | None:
    """Return what ``_written`` would, put together of lines with one key each, or None where that is not so simple.

    In block style a mapping is its lines one below the other. Thousands of rules have most lines in common: ruamel.yaml writes each once.
    """
    if not isinstance(value, Mapping):
        if not _is_block(value) or not all(isinstance(item, Mapping) for item in value):
            return None
        parts = [_composed(item) for item in value]
        if None in parts:
            return None
        return [("  " if place else "- ") + line for part in parts for place, line in enumerate(part or ())]
    lines: list[str] = []
    for key, item in value.items():
        if not _is_one_line(key, LONGEST_KEY):
            return None
        if _is_block(item):
            below = _composed(item)
            if below is None:
                return None
            lines += [_line_of(key, None), *(" " * STEP + line for line in below)]
        elif isinstance(item, (list, tuple)) and all(_is_one_line(each, LONGEST_VALUE) for each in item):
            if sum(len(str(each)) for each in item) > LONGEST_LIST:
                return None
            lines.append(_line_of(key, tuple((type(each), each) for each in item), True))
        elif _is_one_line(item, LONGEST_VALUE) and _NAME.match(str(item)):
            lines.append(f"{_line_of(key, None)} {item}")
        elif _is_one_line(item, LONGEST_VALUE):
            lines.append(_line_of(key, (type(item), item)))
        else:
            return None
    return lines or None


def _is_block(value: Any) -> bool:
    return bool(value) and (isinstance(value, Mapping) or (isinstance(value, (list, tuple)) and not _is_flat(value)))


def _is_one_line(value: Any, longest: int) -> bool:
    """Return whether a value is a scalar that no writer breaks, and that its type and value tell from all others."""
    kind = type(value)
    if kind is str:
        return len(value) <= longest and bool(value.isprintable())
    return value is None or kind in (bool, int, date)


@lru_cache(maxsize=1 << 14, typed=True)
def _line_of(key: Any, typed: Any, is_list: bool = False) -> str:
    """Return the line of a key and a scalar, a list of scalars, or None for what stands below; values come with their types: 1 is true."""
    if typed is None:
        return _written({key: {"": ""}})[0]
    (line,) = _written({key: [each for _type, each in typed] if is_list else typed[1]})
    return line


def _is_flat(value: Sequence[Any]) -> bool:
    return all(not isinstance(item, (Mapping, list, tuple)) for item in value)


def _styled(value: Any) -> Any:
    if isinstance(value, Mapping):
        made = ruamel_comments.CommentedMap()
        for key, item in value.items():
            made[_styled(key)] = _styled(item)
        return made
    if isinstance(value, (list, tuple)):
        made = ruamel_comments.CommentedSeq([_styled(item) for item in value])
        if _is_flat(value):
            made.fa.set_flow_style()
        return made
    if isinstance(value, str) and _DAY.match(value):
        try:
            return date.fromisoformat(value)  # written plain; the loader reads it as text
        except ValueError:
            return value
    if isinstance(value, str) and _needs_quotes(value):
        return ruamel_scalars.DoubleQuotedScalarString(value)
    return value


def _needs_quotes(text: str) -> bool:
    """Return whether YAML 1.1, by which the loader reads, takes plain text for something else (yes, 1:30, 0x1)."""
    tag = yaml.resolver.Resolver().resolve(yaml.ScalarNode, text, (True, False))
    return tag not in ("tag:yaml.org,2002:str", "tag:yaml.org,2002:timestamp")


def scalar_text(value: Any) -> str:
    """Return one value as YAML text on one line."""
    return render([value])[1:-1]


def ordered(value: Mapping[str, Any], order: Iterable[str]) -> dict[str, Any]:
    """Return a mapping with its keys in the given order; keys that the order does not name come last, sorted."""
    names = list(order)
    known = [key for key in names if key in value]
    return {key: value[key] for key in (*known, *sorted(set(value) - set(names)))}


@dataclass
class Splices:
    """Replacements in a text, by index; applied together, so that marks stay valid until then."""

    text: str
    changes: list[tuple[int, int, str]] = field(default_factory=list)

    def replace(self, start: int, end: int, new: str) -> None:
        """Replace text[start:end]."""
        self.changes.append((start, end, new))

    def insert_line(self, after: int, lines: str) -> None:
        """Insert whole lines below the line that holds the index."""
        end = self.text.find("\n", after)
        place = len(self.text) if end < 0 else end
        self.changes.append((place, place, "\n" + lines))

    def result(self) -> str:
        """Return the text with all changes."""
        text = self.text
        # At one place later insertions come below earlier ones: apply from the end, and in reverse order of their making.
        numbered = sorted(enumerate(self.changes), key=lambda item: (item[1][0], item[0]), reverse=True)
        for _number, (start, end, new) in numbered:
            text = text[:start] + new + text[end:]
        return text if text.endswith("\n") else text + "\n"


def compose(text: str) -> Any:
    """Return the node tree of a text that ``parse_yaml`` has accepted.

    Of marks only an index, and the column of a start, may be used: at a last line without its end libyaml counts the line as ended.
    """
    return yaml.compose(text, Loader=loader_class())


def child(node: Any, key: str) -> tuple[Any, Any] | None:
    """Return key node and value node of a key, or None."""
    return next(((k, v) for k, v in node.value if k.value == key), None)


def last_index(text: str, node: Any) -> int:
    """Return the index just behind the last character of a node's content, before comments and blank lines."""
    if not isinstance(node, yaml.ScalarNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return last_index(text, last[1] if isinstance(last, tuple) else last)
    start, end = node.start_mark.index, node.end_mark.index
    return start + len(text[start:end].rstrip())


def set_key(splices: Splices, node: Any, key: str, value: Any, old: Mapping[str, Any], order: Sequence[str]) -> None:
    """Change or add one key of a block mapping. ``old`` is the mapping's present value, ``order`` the keys' order."""
    if key in old and old[key] == value:
        return
    column = node.start_mark.column
    present = child(node, key)
    if present is None:
        before = [name for name in list(order)[: list(order).index(key)] if name in old]
        place = child(node, before[-1]) if before else node.value[0]
        splices.insert_line(
            last_index(splices.text, (place or node.value[0])[1]), " " * column + render({key: value}, column)
        )
        return
    key_node, value_node = present
    if isinstance(value_node, yaml.ScalarNode) and not isinstance(value, (Mapping, list, tuple)) and value_node.value:
        end = last_index(splices.text, value_node)
        if value_node.style not in ("|", ">"):
            splices.replace(value_node.start_mark.index, end, scalar_text(value))
            return
    start, end = key_node.start_mark.index, max(last_index(splices.text, value_node), key_node.end_mark.index + 1)
    splices.replace(start, end, render({key: value}, column))
