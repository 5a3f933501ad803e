# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON of strangers with line numbers: size, depth and node limits, no duplicate keys, no numbers that are none.

The standard reader keeps no lines and takes the last of two equal keys, so that a reviewer may read another document than
the program. Lines travel as in ``yaml_io``: a side table keyed by JSON pointer.
"""

from __future__ import annotations

import json
import re
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError, Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.yaml_io import DEPTH_LIMIT, NODE_LIMIT, Document

SIZE_LIMIT_BYTES = 8 * 1024 * 1024
_BLANK = re.compile(r"[ \t\r\n]*")
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4}))*"')
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,30})(?:\.[0-9]{1,30})?(?:[eE][+-]?[0-9]{1,3})?(?![0-9])")
_WORDS = {"true": True, "false": False, "null": None}


class _Reader:
    """Reads one text from the left; ``at`` is the next character."""

    def __init__(self, text: str, file: str) -> None:
        self.text, self.file = text, file
        self.at = self.nodes = 0
        self._line, self._counted = 1, 0
        self.lines: dict[str, int] = {}

    def line(self) -> int:
        """Return the line of the next character, from 1."""
        self._line += self.text.count("\n", self._counted, self.at)
        self._counted = self.at
        return self._line

    def fault(self, reason: str) -> FindingError:
        return FindingError(codes.JSON_SYNTAX.at(reason, Location(self.file, self.line())))

    def blank(self) -> str:
        """Skip white space and return the next character, empty at the end."""
        found = _BLANK.match(self.text, self.at)
        self.at = found.end() if found else self.at
        return self.text[self.at : self.at + 1]

    def value(self, pointer: str, depth: int) -> Any:
        self.nodes += 1
        first = self.blank()
        if depth > DEPTH_LIMIT or self.nodes > NODE_LIMIT:
            place = Location(self.file, self.line())
            limit = (
                f"nested deeper than {DEPTH_LIMIT} levels" if depth > DEPTH_LIMIT else f"more than {NODE_LIMIT} nodes"
            )
            raise FindingError(codes.YAML_LIMIT.at(limit, place))
        self.lines[pointer] = self.line()
        if first == "{":
            return self.mapping(pointer, depth)
        if first == "[":
            return self.sequence(pointer, depth)
        if first == '"':
            return self.string()
        for word, value in _WORDS.items():
            if self.text.startswith(word, self.at):
                self.at += len(word)
                return value
        found = _NUMBER.match(self.text, self.at)
        if found is None:
            raise self.fault("a value is expected")
        self.at = found.end()
        return json.loads(found[0])

    def string(self) -> str:
        found = _STRING.match(self.text, self.at)
        if found is None:
            raise self.fault("a text is not closed or holds a control character")
        self.at = found.end()
        made = str(json.loads(found[0]))
        if any(0xD800 <= ord(character) <= 0xDFFF for character in made):
            raise self.fault("a text holds half of a surrogate pair")
        return made

    def mapping(self, pointer: str, depth: int) -> dict[str, Any]:
        made: dict[str, Any] = {}
        self.at += 1
        if self.blank() == "}":
            self.at += 1
            return made
        while True:
            if self.blank() != '"':
                raise self.fault("a key in quotes is expected")
            line, key = self.line(), self.string()
            if key in made:
                text = f"key {key[:60]!a} stands twice"
                raise FindingError(codes.YAML_DUPLICATE_KEY.at(text, Location(self.file, line)))
            if self.blank() != ":":
                raise self.fault("a colon is expected")
            self.at += 1
            below = f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}"
            made[key] = self.value(below, depth + 1)
            self.lines[below] = line
            if self.more("}"):
                return made

    def sequence(self, pointer: str, depth: int) -> list[Any]:
        made: list[Any] = []
        self.at += 1
        if self.blank() == "]":
            self.at += 1
            return made
        while True:
            made.append(self.value(f"{pointer}/{len(made)}", depth + 1))
            if self.more("]"):
                return made

    def more(self, end: str) -> bool:
        """Step over a comma, or over the end; return whether it was the end."""
        found = self.blank()
        if found not in (",", end) or not found:
            raise self.fault(f"a comma or {end} is expected")
        self.at += 1
        return found == end


def parse_json(text: str, file: str) -> Document:
    """Return the JSON value of a text with the line of each part; FindingError SW0004 to SW0006 with file and line otherwise.

    Limits: 8 MiB, 32 levels, 500,000 values (RFC 8259 section 9 leaves them to the reader).
    """
    if len(text.encode("utf-8", "surrogatepass")) > SIZE_LIMIT_BYTES:
        raise FindingError(codes.YAML_LIMIT.at(f"larger than {SIZE_LIMIT_BYTES} bytes", Location(file)))
    reader = _Reader(text.removeprefix("\ufeff"), file)
    value = reader.value("", 0)
    if reader.blank():
        raise reader.fault("something follows the document")
    return Document(file, value, reader.lines)
