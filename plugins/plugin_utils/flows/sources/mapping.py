# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The mapping file: which column of a CSV, JSON lines or Parquet file is what (docs/formats/flow-mapping.md)."""

from __future__ import annotations

from collections.abc import Mapping as MappingABC
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.yaml_io import Document, load_yaml
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.columns import NAMES, UNITS

MAJOR = "1"
FORMATS = ("csv", "json_lines", "parquet")
DIRECTIONS = ("source_opened", "target_opened", "unknown")
COLUMNS = (
    "start", "end", "duration", "source", "target", "protocol", "source_port", "target_port", "packets", "bytes", "reply_packets",
    "reply_bytes", "flags", "reply_flags", "icmp_type", "icmp_code", "exporter", "sampling",
)  # fmt: skip
CONSTANTS = ("protocol", "sampling", "source_port", "target_port", "exporter")
KEYS = (
    "kind", "schema_version", "format", "columns", "delimiter", "header", "fields", "quoted", "skip_lines", "unset", "time", "direction",
    "constants", "only",
)  # fmt: skip
TIME_KEYS = ("unit", "format", "utc_offset_minutes", "duration_unit", "step_us")
LONGEST_NAME = 200
DAY_MINUTES = 1440
LARGEST_STEP = 3_600_000_000


@dataclass(frozen=True)
class FlowMapping:
    """A mapping file's content. Times are in ``unit`` (s, ms, us, ns or iso) or by the strptime pattern ``pattern``."""

    format: str
    columns: dict[str, str]
    delimiter: str = ","
    header: bool = True
    fields: tuple[str, ...] = ()
    quoted: bool = True
    skip_lines: int = 0
    unset: tuple[str, ...] = ("", "-")
    unit: str = "iso"
    pattern: str = ""
    offset_us: int = 0
    duration_unit: str = "s"
    step_us: int = 1
    direction: str = "unknown"
    constants: dict[str, Any] = field(default_factory=dict)
    only: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def wanted(self) -> list[str]:
        """Return the columns of the file that are read, each once."""
        return list(dict.fromkeys([*self.columns.values(), *self.only]))


class _Check:
    """Collects what is wrong with a mapping document."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.findings: list[Finding] = []

    def wrong(self, message: str, *keys: str | int) -> None:
        self.findings.append(codes.MAPPING_INVALID.at(message, self.document.location(*keys)))

    def known_keys(self, value: Any, allowed: tuple[str, ...], *keys: str | int) -> dict[str, Any]:
        if not isinstance(value, MappingABC):
            self.wrong(f"{'.'.join(map(str, keys)) or 'the file'} is no mapping", *keys)
            return {}
        for name in value:
            if name not in allowed:
                self.wrong(f"unknown key {str(name)[:40]!r}; there are {', '.join(allowed)}", *keys, str(name))
        return {name: each for name, each in value.items() if name in allowed}

    def choice(self, values: dict[str, Any], name: str, allowed: tuple[str, ...], default: str, *keys: str) -> str:
        value = values.get(name, default)
        if value not in allowed:
            self.wrong(f"{name} is {str(value)[:40]!r}, not one of {', '.join(allowed)}", *keys, name)
            return default
        return str(value)

    def number(self, values: dict[str, Any], name: str, low: int, high: int, default: int, *keys: str) -> int:
        value = values.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            self.wrong(f"{name} is {str(value)[:40]!r}, not a whole number from {low} to {high}", *keys, name)
            return default
        return value

    def flag(self, values: dict[str, Any], name: str, default: bool) -> bool:
        value = values.get(name, default)
        if not isinstance(value, bool):
            self.wrong(f"{name} is {str(value)[:40]!r}, not true or false", name)
            return default
        return value

    def text(self, value: Any, *keys: str | int) -> str:
        if not isinstance(value, str) or not value or len(value) > LONGEST_NAME:
            self.wrong(f"a text of at most {LONGEST_NAME} characters is wanted", *keys)
            return ""
        return value

    def texts(self, value: Any, *keys: str) -> tuple[str, ...]:
        listed = value if isinstance(value, list) else [value]
        made = []
        for i, item in enumerate(listed):
            if isinstance(item, bool):
                item = "true" if item else "false"
            if isinstance(item, (int, float)):
                item = str(item)
            if not isinstance(item, str) or len(item) > LONGEST_NAME:
                self.wrong("a list of texts is wanted", *keys, i)
                continue
            made.append(item)
        return tuple(made)


def load_mapping(path: str | Path) -> FlowMapping:
    """Return the mapping of a file; raises FindingError with every fault, each at its line."""
    document = load_yaml(path)
    check = _Check(document)
    made = _mapping(check)
    if check.findings:
        raise FindingError(*check.findings)
    return made


def _mapping(check: _Check) -> FlowMapping:
    values = check.known_keys(check.document.value, KEYS)
    if values.get("kind") != "flow-mapping":
        check.wrong("kind is not flow-mapping", "kind")
    if str(values.get("schema_version", "")).partition(".")[0] != MAJOR:
        check.wrong(f"schema_version {str(values.get('schema_version'))[:20]!r} is not {MAJOR}.x", "schema_version")
    form = check.choice(values, "format", FORMATS, "csv")
    columns = {}
    for name, column in check.known_keys(values.get("columns", {}), COLUMNS, "columns").items():
        columns[name] = check.text(column, "columns", name)
        if form == "json_lines" and set(columns[name]) & set('"\\*'):
            check.wrong("a key with a quote, a backslash or an asterisk cannot be read", "columns", name)
    constants = _constants(check, values.get("constants", {}))
    for name in ("start", "source", "target"):
        if name not in columns:
            check.wrong(f"columns lack {name}", "columns")
    if "protocol" not in columns and "protocol" not in constants:
        check.wrong("neither a column nor a constant gives the protocol", "columns")
    if "end" in columns and "duration" in columns:
        check.wrong("end and duration are both given", "columns", "duration")
    for name in constants:
        if name in columns:
            check.wrong(f"{name} is both a column and a constant", "constants", name)
    delimiter = values.get("delimiter", ",")
    if not isinstance(delimiter, str) or len(delimiter) != 1 or not delimiter.isascii() or delimiter in '\n\r"\0':
        check.wrong("delimiter is not one character", "delimiter")
        delimiter = ","
    header = check.flag(values, "header", True)
    fields = check.texts(values.get("fields", []), "fields")
    if form == "csv" and not header and not fields:
        check.wrong("without a header line, fields has to list the columns", "header")
    if fields and form == "csv":
        for name, column in columns.items():
            if column not in fields:
                check.wrong(f"{column!r} is not in fields", "columns", name)
    time = check.known_keys(values.get("time", {}), TIME_KEYS, "time")
    only = values.get("only", {})
    if not isinstance(only, MappingABC):
        check.wrong("only is no mapping", "only")
        only = {}
    pattern = check.text(time["format"], "time", "format") if "format" in time else ""
    return FlowMapping(
        form,
        columns,
        delimiter,
        header,
        fields,
        check.flag(values, "quoted", True),
        check.number(values, "skip_lines", 0, 1000, 0),
        check.texts(values.get("unset", ["", "-"]), "unset"),
        check.choice(time, "unit", (*UNITS, "iso"), "iso", "time"),
        pattern,
        check.number(time, "utc_offset_minutes", -DAY_MINUTES, DAY_MINUTES, 0, "time") * 60_000_000,
        check.choice(time, "duration_unit", tuple(UNITS), "s", "time"),
        check.number(time, "step_us", 1, LARGEST_STEP, 1, "time"),
        check.choice(values, "direction", DIRECTIONS, "unknown"),
        constants,
        {str(name): check.texts(each, "only", str(name)) for name, each in only.items()},
    )


def _constants(check: _Check, value: Any) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, each in check.known_keys(value, CONSTANTS, "constants").items():
        if name == "protocol":
            number = NAMES.get(str(each).lower(), each)
            if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= 255:
                check.wrong(f"{str(each)[:40]!r} names no protocol", "constants", name)
                continue
            made[name] = number
        elif name == "exporter":
            made[name] = check.text(each, "constants", name)
        else:
            low, high = (1, 1 << 30) if name == "sampling" else (0, 65535)
            made[name] = check.number({name: each}, name, low, high, low, "constants")
    return made
