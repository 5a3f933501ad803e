"""Schemas as the single source: complete, strict, and the reference is made from them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Code, errors_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.compile import compile_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.check import load_checked
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.effective import effective_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.members import KNOWN_FACTS
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Situation
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.naming import rule_id
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.reference import (
    example_files,
    reference,
    write_reference,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.schema import FOLDER, SCHEMAS, schema_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.paths import Paths
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.validate import run_gate


def _nodes(node: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(node, dict):
        yield path, node
        for key, item in node.items():
            yield from _nodes(item, f"{path}/{key}")
    elif isinstance(node, list):
        for number, item in enumerate(node):
            yield from _nodes(item, f"{path}/{number}")


@pytest.mark.parametrize("name", SCHEMAS)
def test_schemas_are_strict_and_described(name: str) -> None:
    schema = schema_of(name)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    for path, node in _nodes(schema):
        if node.get("type") == "object":
            assert node["additionalProperties"] is False, path
        if "properties" in node and not path.endswith("/properties"):
            for key, item in node["properties"].items():
                described = item if "description" in item else schema["$defs"][item["$ref"].rsplit("/", 1)[1]]
                assert len(described["description"]) > 5, f"{path}/{key}"
            assert set(node.get("required", ())) <= set(node["properties"]), path


def test_there_is_a_schema_for_every_file_and_no_other() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {f"{name}.schema.json" for name in SCHEMAS}


def test_shared_definitions_are_the_same_everywhere() -> None:
    seen: dict[str, Any] = {}
    for name in SCHEMAS:
        for key, item in schema_of(name).get("$defs", {}).items():
            assert seen.setdefault(key, item) == item, (name, key)


def test_codes_in_schemas_exist() -> None:
    numbers = {code.number for code in vars(codes).values() if isinstance(code, Code)} | {"SW0009"}
    found = {
        node["$comment"].split(":")[0]
        for name in SCHEMAS
        for _path, node in _nodes(schema_of(name))
        if "$comment" in node
    }
    assert found <= numbers
    assert len(found) > 4


def test_reference_is_up_to_date(root: Path, tmp_path: Path) -> None:
    assert (root / "docs" / "policy" / "reference.md").read_text(encoding="utf-8") == reference()
    assert write_reference(tmp_path / "reference.md")
    assert not write_reference(tmp_path / "reference.md")


def test_reference_names_every_key_and_code() -> None:
    text = reference()
    for name in SCHEMAS:
        for _path, node in _nodes(schema_of(name)):
            for key in node.get("properties", {}) if isinstance(node.get("properties"), dict) else ():
                assert f"{key}`" in text, (name, key)
    for code in vars(codes).values():
        if isinstance(code, Code):
            assert f"| {code.number} | {code.severity} |" in text
    assert all(f"`{fact}`" in text for fact in KNOWN_FACTS)
    assert all(line.count("|") - line.count("\\|") in (3, 4, 6) for line in text.split("\n") if line.startswith("| "))


def test_architecture_lists_the_facts_we_know(root: Path) -> None:
    text = (root / "docs" / "architecture.md").read_text()
    sentence = text.split("Fact names:")[1].split("\n")[0]
    assert {part.strip(" .`") for part in sentence.split(",")} | {"device", "address"} == set(KNOWN_FACTS)


def test_examples_of_the_guide_load(root: Path, tmp_path: Path) -> None:
    """Every YAML block of the guide that names its file is a file; together they are a policy without errors."""
    text = (root / "docs" / "policy" / "README.md").read_text()
    blocks = 0
    for part in text.split("```yaml\n")[1:]:
        body = part.split("```")[0]
        head, _newline, rest = body.partition("\n")
        assert head.startswith("# "), head
        path = tmp_path / head[2:]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(rest)
        blocks += 1
    lock = text.split("```json\n")[1].split("```")[0]
    json.loads(lock)
    (tmp_path / "members.lock.json").write_text(lock)
    result = load_checked(tmp_path, date(2026, 11, 23))
    assert blocks >= 8
    assert result.findings == (), "\n".join(map(str, result.findings))
    gate = run_gate(Paths.of(str(tmp_path), str(tmp_path.with_name("data"))), date(2026, 11, 23), with_replay=False)
    assert errors_of(gate.findings) == [], "\n".join(map(str, gate.findings))


def _blocks(text: str) -> dict[str, str]:
    """Return the example files of the reference: the block after a line that is a path in backticks."""
    found = re.findall(r"^`([A-Za-z0-9_./]+)`\n\n```(?:yaml|json)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return dict(found)


def test_every_example_of_the_reference_is_executed(root: Path, tmp_path: Path) -> None:
    """The blocks of the published page, taken from it, are one site in which no rule finds a fault."""
    files = _blocks((root / "docs" / "policy" / "reference.md").read_text())
    assert (root / "docs" / "policy" / "reference.md").read_text().count("```") == 2 * len(files)
    assert files == example_files()
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    result = load_checked(tmp_path, date(2026, 11, 23))
    assert result.findings == (), "\n".join(map(str, result.findings))
    site = result.site
    assert site is not None
    assert {rule.origin for rule in site.rules()} >= {"template", "learned", "manual"}
    for posture in ("", *site.postures):
        situation = Situation(postures=(posture,) if posture else ())
        compiled = compile_site(effective_site(site, situation))
        assert compiled.lists, posture


def test_every_key_has_an_example() -> None:
    """What an editor offers is shown once; enforcement.yml has more than one site needs."""
    everywhere = {key for name in SCHEMAS for example in schema_of(name).get("examples", ()) for key in _used(example)}
    for name in SCHEMAS:
        schema = schema_of(name)
        here = {key for example in schema.get("examples", ()) for key in _used(example)}
        for path, node in _nodes({key: item for key, item in schema.items() if key != "examples"}):
            if (
                name not in ("enforcement", "approvers", "calendar")
                and "properties" in node
                and not path.endswith("/properties")
            ):
                shown = everywhere if path.startswith("/$defs") else here
                assert set(node["properties"]) <= shown, (name, path, set(node["properties"]) - shown)


def _used(value: Any) -> Iterator[str]:
    for _path, node in _nodes(value):
        yield from node


def test_rule_ids() -> None:
    assert rule_id("pumps", "gateways", "mqtt") == "pumps-to-gateways-mqtt"
    long = rule_id("a" * 32, "b" * 32, "service")
    assert len(long) == 63
    assert long != rule_id("a" * 32, "b" * 32, "services")
    with pytest.raises(ValueError, match="unsafe"):
        rule_id("a;b", "c", "d")
