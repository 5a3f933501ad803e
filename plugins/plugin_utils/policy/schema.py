# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON Schema errors as findings that a network or clinical engineer can act on.

The schemas in ``schemas/`` are what editors use, what the reference is generated from and what the loader checks. Where a
schema holds ``$comment: "SWnnnn: text"``, a value that breaks it is reported under that code with that text.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Iterator
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base import codes as base_codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Code, Finding, Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded, require
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.yaml_io import DEPTH_LIMIT, Document
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.fast_schema import Test, compiled

jsonschema = guarded("jsonschema")

FOLDER = Path(__file__).parent / "schemas"
SCHEMAS = (
    "site",
    "services",
    "networks",
    "guardrails",
    "workflows",
    "expectations",
    "enforcement",
    "segment",
    "templates",
    "exceptions",
    "postures",
    "classification",
    "approvers",
    "calendar",
    "decisions",
    "rules",
    "members.lock",
)
_COMMENT = re.compile(r"\A(?P<code>SW[0-9]{4})(?:: (?P<text>.*))?\Z", re.DOTALL)
_BY_NUMBER = {
    code.number: code for module in (base_codes, codes) for code in vars(module).values() if isinstance(code, Code)
}
_TYPE_NAMES = {
    "object": "keys with values",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "nothing",
}
# Control characters except tab and newlines, lone surrogates, and those that reorder or hide text in a review.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2028\u2029\u2060-\u2069\ud800-\udfff\ufeff]"
)
LIMIT = 200


@cache
def schema_of(name: str) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a document kind, one of SCHEMAS."""
    if name not in SCHEMAS:
        raise ValueError(f"no schema {name!r}")
    return json.loads((FOLDER / f"{name}.schema.json").read_text(encoding="utf-8"))


def _pattern(_validator: Any, pattern: str, instance: Any, _schema: Any) -> Iterator[Any]:
    """Check ``pattern`` as ECMA 262 means it: ``$`` is the end and never stands before a last newline."""
    if isinstance(instance, str) and not re.search(re.sub(r"\$\Z", r"\\Z", pattern), instance):
        yield jsonschema.ValidationError(f"{instance!r} does not fit {pattern!r}")


@cache
def _validator(name: str) -> Any:
    require(jsonschema)
    base = jsonschema.Draft202012Validator
    checker = base.TYPE_CHECKER.redefine(
        "integer", lambda _c, v: isinstance(v, int) and not isinstance(v, bool)
    ).redefine(
        "number",
        lambda _c, v: (
            isinstance(v, (int, float)) and not isinstance(v, bool) and (isinstance(v, int) or math.isfinite(v))
        ),
    )
    return jsonschema.validators.extend(base, {"pattern": _pattern}, type_checker=checker)(schema_of(name))


@cache
def _rule_validator() -> Any:
    """Return the validator of one entry of a segment's ``allow``."""
    schema = schema_of("segment")
    return _validator("segment").evolve(schema={**schema["properties"]["allow"]["items"], "$defs": schema["$defs"]})


def rule_findings(rule: dict[str, Any], place: Location) -> list[Finding]:
    """Return what is wrong with one rule's shape, all at one place: for rules that stand in no file."""
    document = Document(place.file, rule, {"": place.line})
    found = [
        finding
        for error in islice(_rule_validator().iter_errors(rule), LIMIT)
        for finding in _findings_of(error, document)
    ]
    return [*_value_findings(document), *found]


def schema_findings(name: str, document: Document) -> list[Finding]:
    """Return what is wrong with a document's shape, with file, line and remedy; at most LIMIT findings.

    ``name`` is a document kind, one of SCHEMAS.
    """
    require(jsonschema)  # also where it will not be asked, so that a faulty file is no surprise later
    found = [] if _is_clean(document.value) else _value_findings(document)
    if not found and _fast(name)(document.value):
        return []
    if any(finding.code == base_codes.YAML_LIMIT.number for finding in found):
        return found[:LIMIT]
    errors = list(islice(_validator(name).iter_errors(document.value), LIMIT))
    mistyped = {tuple(error.absolute_path) for error in errors if error.validator == "type"}
    misspelt = _misspelt(errors)
    for error in errors:
        path = tuple(error.absolute_path)
        if error.validator != "type" and path in mistyped:
            continue
        if error.validator == "required" and any(error.message.startswith(repr(key)) for key in misspelt.get(path, ())):
            continue  # the unknown key is the missing one, and its finding says so
        found.extend(_findings_of(error, document))
    return found[:LIMIT]


@cache
def _fast(name: str) -> Test:
    return compiled(schema_of(name))


def _is_clean(value: Any, depth: int = 0) -> bool:
    """Return whether ``_value_findings`` has surely nothing to say: the same questions without places."""
    if isinstance(value, str):
        return _UNSAFE.search(value) is None
    if isinstance(value, dict):
        return depth < DEPTH_LIMIT and all(
            _UNSAFE.search(key) is None and _is_clean(item, depth + 1) for key, item in value.items()
        )
    if isinstance(value, list):
        return depth < DEPTH_LIMIT and all(_is_clean(item, depth + 1) for item in value)
    return not isinstance(value, int) or -(2**63) <= value < 2**63


def _misspelt(errors: list[Any]) -> dict[tuple[str | int, ...], set[str]]:
    """Return, by path, the known keys that an unknown key of the same mapping is near to."""
    found: dict[tuple[str | int, ...], set[str]] = {}
    for error in errors:
        if error.validator == "additionalProperties":
            known = sorted(error.schema.get("properties", {}))
            near = {_nearest(key, known) for key in error.instance if key not in known}
            found.setdefault(tuple(error.absolute_path), set()).update(near - {""})
    return found


def _nearest(word: str, known: list[str]) -> str:
    near = difflib.get_close_matches(word, known, 1, 0.6)
    return near[0] if near else ""


def _value_findings(document: Document) -> list[Finding]:
    """Return what no schema can say: unsafe characters, numbers beyond 64 bits, nesting (JSON has no limit of its own)."""
    found: list[Finding] = []
    pending: list[tuple[Any, tuple[str | int, ...]]] = [(document.value, ())]
    while pending:
        value, path = pending.pop()
        if len(path) > DEPTH_LIMIT:
            return [base_codes.YAML_LIMIT.at(f"nested deeper than {DEPTH_LIMIT} levels", _location(document, path))]
        if isinstance(value, str):
            bad = _UNSAFE.search(value)
            if bad:
                text = f"{_where(path)} has the character U+{ord(bad.group()):04X}"
                found.append(codes.UNSAFE_TEXT.at(text, _location(document, path)))
        elif isinstance(value, int) and not -(2**63) <= value < 2**63:
            found.append(
                base_codes.YAML_LIMIT.at(f"{_where(path)} is a number beyond 64 bits", _location(document, path))
            )
        elif isinstance(value, dict):
            for key, item in value.items():
                pending.append((key, (*path, key)))
                pending.append((item, (*path, key)))
        elif isinstance(value, list):
            pending.extend((item, (*path, index)) for index, item in enumerate(value))
    return found


def _location(document: Document, path: tuple[str | int, ...]) -> Location:
    return document.location(*path)


def shown(value: Any) -> str:
    """Return a value for a message: short, on one line, without characters that a terminal would act on."""
    text = ascii(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _where(path: tuple[str | int, ...]) -> str:
    """Return a path as people write it: points.fw1.zones[0]."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{shown(part)[1:-1]}"
    return text.lstrip(".") or "the document"


def _findings_of(error: Any, document: Document) -> Iterator[Finding]:
    path = tuple(error.absolute_path)
    kind = error.validator
    if kind == "additionalProperties":
        if "patternProperties" not in error.schema:  # there the names themselves are reported
            yield from _unknown_keys(error, path, document)
        return
    if kind in ("required", "dependentRequired"):
        yield _missing(error, path, document)
        return
    comment = _COMMENT.match(str(error.schema.get("$comment", "")))
    if "propertyNames" in error.absolute_schema_path and isinstance(error.instance, str):
        path = (*path, error.instance)
    place = _location(document, path)
    if kind == "type":
        yield _wrong_type(error, path, place)
        return
    if comment:
        code = _BY_NUMBER[comment["code"]]
        reason = comment["text"] or _reason(error)
        found = f"{shown(error.instance)}: " if _is_plain(error.instance) else ""
        yield code.at(f"{_where(path)}: {found}{reason}", place)
        return
    if _is_plain(error.instance):
        yield codes.WRONG_VALUE.at(
            f"{_where(path)}: {shown(error.instance)}: {_reason(error)}", place, _value_hint(error)
        )
    else:
        yield codes.WRONG_VALUE.at(f"{_where(path)}: {_reason(error)}", place)


def _is_plain(value: Any) -> bool:
    return not isinstance(value, (dict, list))


def _unknown_keys(error: Any, path: tuple[str | int, ...], document: Document) -> Iterator[Finding]:
    known = sorted(error.schema.get("properties", {}))
    for key in error.instance:
        if key in known:
            continue
        near = _nearest(key, known)
        hint = f"did you mean {near}?" if near else f"known keys here: {', '.join(known)}"
        yield codes.UNKNOWN_KEY.at(f"{_where(path)} has no key {shown(key)}", _location(document, (*path, key)), hint)


def _missing(error: Any, path: tuple[str | int, ...], document: Document) -> Finding:
    names = error.validator_value
    if error.validator == "dependentRequired":
        names = sorted({name for key, wanted in names.items() if key in error.instance for name in wanted})
    absent = [name for name in names if name not in error.instance]
    properties = error.schema.get("properties", {})
    described = properties.get(absent[0], {}).get("description", "") if absent else ""
    hint = f"{absent[0]}: {described}" if described else ""
    # jsonschema reports each absent key of ``required`` on its own; its message begins with the key.
    for name in absent:
        if error.message.startswith(repr(name)):
            absent = [name]
            hint = f"add {name}: {properties.get(name, {}).get('description', '')}".rstrip(": ")
            break
    return codes.MISSING_KEY.at(f"{_where(path)} lacks {', '.join(absent)}", _location(document, path), hint)


def _wrong_type(error: Any, path: tuple[str | int, ...], place: Location) -> Finding:
    wanted = error.validator_value
    if isinstance(error.instance, dict):
        found = "keys with values"
    elif isinstance(error.instance, list):
        found = "a list"
    elif error.instance is None:
        found = "nothing"
    else:
        found = shown(error.instance)
    hint = ""
    if wanted == "string" and _is_plain(error.instance) and error.instance is not None:
        hint = "put the value in quotes; YAML reads it as a number or as true or false"
    elif wanted == "array" and _is_plain(error.instance) and error.instance is not None:
        hint = f"write it as a list: [{shown(error.instance)}]"
    elif wanted in ("integer", "number") and isinstance(error.instance, str):
        hint = "write the number without quotes"
    return codes.WRONG_TYPE.at(
        f"{_where(path)} is to be {_TYPE_NAMES.get(str(wanted), wanted)}, found {found}", place, hint
    )


def _reason(error: Any) -> str:
    limit = error.validator_value
    texts = {
        "minimum": f"less than {limit}",
        "maximum": f"more than {limit}",
        "minLength": f"shorter than {limit} characters",
        "maxLength": f"longer than {limit} characters",
        "minItems": f"needs at least {limit} entries" if limit != 1 else "needs at least one entry",
        "maxItems": f"has more than {limit} entries",
        "maxProperties": f"has more than {limit} keys",
        "uniqueItems": "has an entry twice",
        "pattern": "has characters or a length that are not allowed",
        "const": f"is to be {limit}",
    }
    if error.validator == "enum":
        return "is none of " + ", ".join(str(item) for item in limit)
    return texts.get(error.validator, "does not fit the schema")


def _value_hint(error: Any) -> str:
    if error.validator == "enum" and isinstance(error.instance, str):
        near = _nearest(error.instance, [str(item) for item in error.validator_value])
        if near:
            return f"did you mean {near}?"
    return ""
