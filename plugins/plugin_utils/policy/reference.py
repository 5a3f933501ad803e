# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reference of the policy documents, made from the schemas and the numbered rules: docs/policy/reference.md.

The text depends on them alone; a test compares it with the file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import write_atomic
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Code
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.check import numbered_rules
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.members import KNOWN_FACTS
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.schema import SCHEMAS, schema_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.site_rules import FIELDS
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.splice import render

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
    "decisions": "decisions.yml",
    "exceptions": "exceptions.yml",
    "postures": "postures.yml",
    "templates": "templates.yml",
    "rules": "rules/*.yml",
    "members.lock": "members.lock.json",
}
# Definitions with keys of their own, which have a chapter each.
SHARED = {"query": "[query](#queries)", "conditions": "[conditions](#conditions)"}
TOPICS = {
    "20": "Files and schemas",
    "21": "Site, zones and conduits",
    "22": "Segments and identity",
    "23": "Rules",
    "24": "Services and network sets",
    "25": "Enforcement",
    "26": "Guardrails, expectations and workflows",
    "29": "Approvers and calendar",
    "27": "Exceptions, conditions, postures and templates",
}


def reference() -> str:
    """Return the whole reference as Markdown."""
    parts = [
        "# Policy reference",
        "",
        "Made from `plugins/plugin_utils/policy/schemas/` and the numbered rules by `policy/reference.py`; do not edit it by hand.",
        "Every key that is not listed is an error. `NAME` stands for a name that you choose, `[]` for the entries of a list.",
        "The examples are one site; a test loads it.",
        "",
    ]
    for name in SCHEMAS:
        parts.extend(_document(name))
    parts.extend(_queries())
    parts.extend(_conditions())
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
    return [*lines, "", "\\* required", *_examples(name), ""]


def example_files() -> dict[str, str]:
    """Return the examples of the schemas as files of one policy directory: relative path to text.

    They are written into the reference as they stand here, and a test loads them as one site.
    """
    return {path: text for name in SCHEMAS for path, text in _example_files(name)}


def _example_files(name: str) -> Iterator[tuple[str, str]]:
    for example in schema_of(name).get("examples", ()):
        path = FILES[name].replace("*", "example")
        if name == "segment":
            path = f"{example['zone']}/{example['segment']}.yml"
        text = json.dumps(example, indent=2) if path.endswith(".json") else render(example)
        yield path, text + "\n"


def _examples(name: str) -> Iterator[str]:
    found = list(_example_files(name))
    if found:
        yield from ("", "Example:" if len(found) == 1 else "Examples:")
    for path, text in found:
        kind = path.rpartition(".")[2].replace("yml", "yaml")
        yield from ("", f"`{path}`", "", f"```{kind}", *text.rstrip("\n").split("\n"), "```")


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
        return  # shared definitions have no keys of their own, except those of SHARED, which have a chapter
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
    shared = SHARED.get(item.get("$ref", "").rpartition("/")[2])
    if shared:
        return shared
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
    node = schema["$defs"]["query"]
    lines = ["## Queries", "", node["description"], "", "| key | holds | meaning |", "|---|---|---|"]
    for key, item in node["properties"].items():
        lines.append(f"| `{key}` | {_holds(schema, item)} | {_cell(_description(schema, item))} |")
    facts = ", ".join(f"`{fact}`" for fact in KNOWN_FACTS)
    lines += ["", f"Facts that collect gathers, and what a device always has: {facts}.", ""]
    lines += [
        "In `rules/*.yml` a query asks for the fields of what it is about:",
        "",
        "| about | fields |",
        "|---|---|",
    ]
    lines += [f"| `{about}` | {', '.join(f'`{name}`' for name in names)} |" for about, names in FIELDS.items()]
    return [*lines, ""]


def _conditions() -> list[str]:
    schema = schema_of("segment")
    node = schema["$defs"]["conditions"]
    lines = ["## Conditions", "", node["description"], "", "| key | holds | meaning |", "|---|---|---|"]
    for path, item, required in _keys(schema, node, ""):
        lines.append(
            f"| `{path}`{' *' if required else ''} | {_holds(schema, item)} | {_cell(_description(schema, item))} |"
        )
    return [*lines, "", "\\* required", ""]


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
