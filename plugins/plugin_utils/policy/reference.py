# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reference of the policy documents, made from the schemas and the numbered rules: docs/policy/reference.md.

The text depends on them alone; a test compares it with the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import write_atomic
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Code
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.check import numbered_rules
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.members import KNOWN_FACTS
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.schema import SCHEMAS, schema_of

FILES = {
    "site": "site.yml",
    "services": "services.yml",
    "networks": "networks.yml",
    "guardrails": "guardrails.yml",
    "workflows": "workflows.yml",
    "expectations": "expectations/*.yml",
    "enforcement": "enforcement.yml",
    "segment": "ZONE/SEGMENT.yml",
    "classification": "classification.yml",
    "approvers": "approvers.yml",
    "calendar": "calendar.yml",
    "members.lock": "members.lock.json",
}
SHARED = "query"
TOPICS = {
    "20": "Files and schemas",
    "21": "Site, zones and conduits",
    "22": "Segments and identity",
    "23": "Rules",
    "24": "Services and network sets",
    "25": "Enforcement",
    "26": "Guardrails, expectations and workflows",
    "29": "Approvers and calendar",
}


def reference() -> str:
    """Return the whole reference as Markdown."""
    parts = [
        "# Policy reference",
        "",
        "Made from `plugins/plugin_utils/policy/schemas/` and the numbered rules by `policy/reference.py`; do not edit it by hand.",
        "Every key that is not listed is an error. `NAME` stands for a name that you choose, `[]` for the entries of a list.",
        "",
    ]
    for name in SCHEMAS:
        parts.extend(_document(name))
    parts.extend(_queries())
    parts.extend(_findings())
    return "\n".join(parts).rstrip("\n") + "\n"


def write_reference(path: str | Path) -> bool:
    """Write the reference where it differs; return whether it did."""
    target = Path(path)
    text = reference()
    if target.exists() and target.read_text(encoding="utf-8") == text:
        return False
    write_atomic(target, text)
    return True


def _document(name: str) -> list[str]:
    schema = schema_of(name)
    lines = [f"## {FILES[name]}", "", schema["description"], "", "| key | holds | meaning |", "|---|---|---|"]
    for path, item, required in _keys(schema, schema, ""):
        lines.append(
            f"| `{path}`{' *' if required else ''} | {_holds(schema, item)} | {_cell(_description(schema, item))} |"
        )
    return [*lines, "", "\\* required", ""]


def _keys(
    schema: Mapping[str, Any], node: Mapping[str, Any], path: str
) -> Iterator[tuple[str, Mapping[str, Any], bool]]:
    """Yield path, schema and whether it is required for every key below a schema node."""
    for key, item in node.get("properties", {}).items():
        place = f"{path}.{key}" if path else key
        yield place, item, key in node.get("required", ())
        yield from _below(schema, item, place)
    for item in node.get("patternProperties", {}).values():
        place = f"{path}.NAME" if path else "NAME"
        yield place, item, False
        yield from _below(schema, item, place)


def _below(
    schema: Mapping[str, Any], item: Mapping[str, Any], place: str
) -> Iterator[tuple[str, Mapping[str, Any], bool]]:
    if "$ref" in item:
        return  # shared definitions have no keys of their own, except queries, which have their own chapter
    if item.get("type") == "array":
        if "properties" in item["items"]:
            yield from _keys(schema, item["items"], f"{place}[]")
    else:
        yield from _keys(schema, item, place)


def _resolved(schema: Mapping[str, Any], item: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" not in item:
        return item
    return {**schema["$defs"][item["$ref"].rsplit("/", 1)[1]], **item}


def _description(schema: Mapping[str, Any], item: Mapping[str, Any]) -> str:
    return str(_resolved(schema, item).get("description", ""))


def _holds(schema: Mapping[str, Any], item: Mapping[str, Any]) -> str:
    """Return what kind of value a key holds, with its limits and default, for one cell of a table."""
    if item.get("$ref", "").endswith(f"/{SHARED}"):
        return "[query](#queries)"
    node = _resolved(schema, item)
    text = _kind(schema, node)
    if "default" in node:
        text += f", default {str(node['default']).lower() if isinstance(node['default'], bool) else node['default']}"
    return _cell(text)


def _kind(schema: Mapping[str, Any], node: Mapping[str, Any]) -> str:
    if "enum" in node:
        return " or ".join(f"`{value}`" for value in node["enum"])
    if "const" in node:
        return f"`{node['const']}`"
    if "oneOf" in node and "properties" not in node:
        return " or ".join(_kind(schema, _resolved(schema, choice)) for choice in node["oneOf"])
    kind = node.get("type")
    if kind == "array":
        inner = node["items"]
        return "list of keys with values" if "properties" in inner else f"list of {_holds(schema, inner)}"
    if kind == "object":
        return "keys with values"
    if kind in ("integer", "number"):
        word = "whole number" if kind == "integer" else "number"
        if "minimum" in node and "maximum" in node:
            return f"{word} {node['minimum']} to {node['maximum']}"
        return word
    if kind == "boolean":
        return "`true` or `false`"
    return "text"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("*", "\\*") if "`" not in text else text.replace("|", "\\|")


def _queries() -> list[str]:
    schema = schema_of("segment")
    node = schema["$defs"][SHARED]
    lines = ["## Queries", "", node["description"], "", "| key | holds | meaning |", "|---|---|---|"]
    for key, item in node["properties"].items():
        lines.append(f"| `{key}` | {_holds(schema, item)} | {_cell(_description(schema, item))} |")
    facts = ", ".join(f"`{fact}`" for fact in KNOWN_FACTS)
    return [*lines, "", f"Facts that collect gathers, and what a device always has: {facts}.", ""]


def _findings() -> list[str]:
    described = {code.number: item.description for item in numbered_rules() for code in item.codes[:1]}
    lines = ["## Findings", "", "What the policy gate says, by number. Errors stop it."]
    found = {code.number: code for code in vars(codes).values() if isinstance(code, Code)}
    for topic, title in TOPICS.items():
        lines += [
            "",
            f"### SW{topic}xx: {title}",
            "",
            "| number | severity | finding | rule | remedy |",
            "|---|---|---|---|---|",
        ]
        for number in sorted(number for number in found if number.startswith(f"SW{topic}")):
            code = found[number]
            cells = (number, code.severity, code.title, described.get(number, ""), code.remedy)
            lines.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
    return lines
