# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A quick answer to "does this value fit the schema": yes, or ask the JSON Schema validator.

Schemas become closures once; a value that fits passes them without an object being made. Only a yes counts: where a closure
says no, or a schema uses a word that is not known here, ``jsonschema`` decides and says what is wrong. A property test holds
the yes against ``jsonschema``. About eight times faster for a segment file.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

Test = Callable[[Any], bool]
_SILENT = frozenset({"$schema", "$id", "$comment", "$defs", "title", "description", "default", "examples"})


class Unknown(Exception):
    """A schema uses a word that is not known here."""


def compiled(schema: Mapping[str, Any]) -> Test:
    """Return a function that says whether a value surely fits the schema; one that never does for an unknown word."""
    try:
        return _Compiler(schema).node(schema)
    except Unknown:
        return lambda _value: False


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return _is_integer(value) or (isinstance(value, float) and math.isfinite(value))


_TYPES: dict[str, Test] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "integer": _is_integer,
    "number": _is_number,
}


class _Compiler:
    def __init__(self, root: Mapping[str, Any]) -> None:
        self.root = root
        self.definitions: dict[str, Test] = {}

    def node(self, schema: Mapping[str, Any]) -> Test:
        """Return the test of one schema: all its words must agree. JSON Schema's words are silent about other types."""
        tests = [self._word(word, value, schema) for word, value in schema.items() if word not in _SILENT]
        kept = [test for test in tests if test is not None]
        if len(kept) == 1:
            return kept[0]
        return lambda value: all(test(value) for test in kept)

    def _word(self, word: str, value: Any, schema: Mapping[str, Any]) -> Test | None:
        if word == "additionalProperties" and value is False:
            return None  # part of "properties" or "patternProperties"
        if word in ("properties", "patternProperties"):
            both = "properties" in schema and "patternProperties" in schema
            if both or schema.get("additionalProperties", True) is not False:
                raise Unknown(word)
        maker = getattr(self, "_" + word.removeprefix("$"), None)
        if maker is None:
            raise Unknown(word)
        made: Test = maker(value)
        return made

    def _ref(self, reference: str) -> Test:
        if not reference.startswith("#/$defs/"):
            raise Unknown(reference)
        name = reference.removeprefix("#/$defs/")
        if name not in self.definitions:

            def later(value: Any) -> bool:
                """Stand for a definition that uses itself (queries) while it is being made."""
                return self.definitions[name](value)

            self.definitions[name] = later
            self.definitions[name] = self.node(self.root["$defs"][name])
        return self.definitions[name]

    def _type(self, name: Any) -> Test:
        if name not in _TYPES:
            raise Unknown(str(name))
        return _TYPES[name]

    def _enum(self, values: list[Any]) -> Test:
        if not all(isinstance(item, str) for item in values):
            raise Unknown("enum")
        known = frozenset(values)
        return lambda value: isinstance(value, str) and value in known

    def _const(self, wanted: Any) -> Test:
        if not isinstance(wanted, str):
            raise Unknown("const")
        return lambda value: isinstance(value, str) and value == wanted

    def _pattern(self, pattern: str) -> Test:
        search = re.compile(re.sub(r"\$\Z", r"\\Z", pattern)).search
        return lambda value: not isinstance(value, str) or search(value) is not None

    def _minLength(self, limit: int) -> Test:
        return lambda value: not isinstance(value, str) or len(value) >= limit

    def _maxLength(self, limit: int) -> Test:
        return lambda value: not isinstance(value, str) or len(value) <= limit

    def _minimum(self, limit: float) -> Test:
        return lambda value: not _is_number(value) or value >= limit

    def _maximum(self, limit: float) -> Test:
        return lambda value: not _is_number(value) or value <= limit

    def _minItems(self, limit: int) -> Test:
        return lambda value: not isinstance(value, list) or len(value) >= limit

    def _maxItems(self, limit: int) -> Test:
        return lambda value: not isinstance(value, list) or len(value) <= limit

    def _minProperties(self, limit: int) -> Test:
        return lambda value: not isinstance(value, dict) or len(value) >= limit

    def _maxProperties(self, limit: int) -> Test:
        return lambda value: not isinstance(value, dict) or len(value) <= limit

    def _uniqueItems(self, wanted: bool) -> Test:
        def unique(value: Any) -> bool:
            if not isinstance(value, list) or len(value) < 2:
                return True
            return all(isinstance(item, str) for item in value) and len(set(value)) == len(value)

        return unique if wanted else lambda _value: True

    def _items(self, schema: Mapping[str, Any]) -> Test:
        test = self.node(schema)
        return lambda value: not isinstance(value, list) or all(map(test, value))

    def _required(self, names: list[str]) -> Test:
        wanted = frozenset(names)
        return lambda value: not isinstance(value, dict) or wanted <= value.keys()

    def _dependentRequired(self, names: Mapping[str, list[str]]) -> Test:
        return lambda value: (
            not isinstance(value, dict)
            or all(key not in value or all(other in value for other in others) for key, others in names.items())
        )

    def _dependentSchemas(self, schemas: Mapping[str, Any]) -> Test:
        tests = [(key, self.node(schema)) for key, schema in schemas.items()]
        return lambda value: not isinstance(value, dict) or all(key not in value or test(value) for key, test in tests)

    def _properties(self, schemas: Mapping[str, Any]) -> Test:
        """Return the test of known keys; every other key is refused, since the schema says additionalProperties: false."""
        tests = {key: self.node(schema) for key, schema in schemas.items()}

        def fits(value: Any) -> bool:
            if not isinstance(value, dict):
                return True
            for key, item in value.items():
                test = tests.get(key)
                if test is None or not test(item):
                    return False
            return True

        return fits

    def _patternProperties(self, schemas: Mapping[str, Any]) -> Test:
        if len(schemas) != 1:
            raise Unknown("patternProperties")
        ((pattern, schema),) = schemas.items()
        search = re.compile(re.sub(r"\$\Z", r"\\Z", pattern)).search
        test = self.node(schema)
        return lambda value: (
            not isinstance(value, dict) or all(search(key) is not None and test(item) for key, item in value.items())
        )

    def _propertyNames(self, schema: Mapping[str, Any]) -> Test:
        test = self.node(schema)
        return lambda value: not isinstance(value, dict) or all(map(test, value))

    def _oneOf(self, schemas: list[Mapping[str, Any]]) -> Test:
        """Return the test of oneOf: one says yes. A no is not certain, so the others may only be of another shape."""
        choices = [(self.node(schema), schema) for schema in schemas]
        kinds = [schema.get("type", "string" if "enum" in schema else "") for schema in schemas]
        if all(kinds) and len(set(kinds)) == len(kinds):
            return lambda value: any(test(value) for test, _schema in choices)
        if all(set(schema) == {"required"} for schema in schemas):
            wanted = [frozenset(schema["required"]) for schema in schemas]
            return lambda value: not isinstance(value, dict) or sum(names <= value.keys() for names in wanted) == 1
        raise Unknown("oneOf")

    def _anyOf(self, schemas: list[Mapping[str, Any]]) -> Test:
        tests = [self.node(schema) for schema in schemas]
        return lambda value: any(test(value) for test in tests)
