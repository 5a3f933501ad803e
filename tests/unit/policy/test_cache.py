# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documents kept by content: the answer is the same, a change is seen, and a spoilt entry is read anew."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.yaml_io import Document, parse_yaml
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy import cache as cache_module
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy import loader
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.check import load_checked
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.fast_schema import compiled
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.schema import (
    SCHEMAS,
    _validator,
    schema_findings,
    schema_of,
)
from tests.unit.policy.random_sites import TODAY, random_documents, write_documents


@pytest.fixture
def site(tmp_path: Path) -> Path:
    write_documents(random_documents(3), tmp_path / "policies", 3)
    return tmp_path / "policies"


def test_what_comes_from_the_cache_is_what_is_read(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = tmp_path / "cache"
    plain = load_checked(site, TODAY)
    assert plain.site is not None
    assert load_checked(site, TODAY, cache=store) == plain
    kept = sorted(path.name for path in store.iterdir())
    assert len(kept) == len([*site.rglob("*.yml"), *site.rglob("*.lock.json")])

    def never(_text: str, file: str) -> Document:
        raise AssertionError(f"{file} was parsed again")

    monkeypatch.setattr(loader, "parse_yaml", never)
    assert load_checked(site, TODAY, cache=store) == plain
    assert sorted(path.name for path in store.iterdir()) == kept


def test_a_change_is_found_at_its_line_and_nothing_with_a_finding_is_kept(site: Path, tmp_path: Path) -> None:
    store = tmp_path / "cache"
    load_checked(site, TODAY, cache=store)
    path = site / "services.yml"
    path.write_text(path.read_text() + "surprise: 1\n")
    line = path.read_text().count("\n")
    for _time in range(2):
        result = load_checked(site, TODAY, cache=store)
        assert [(f.code, f.file, f.line) for f in result.findings] == [("SW2002", "services.yml", line)]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: b"",
        lambda data: data[:-1],
        lambda data: data[:70] + bytes([data[70] ^ 1]) + data[71:],
        lambda data: data[:64] + b"\n[]",
        lambda data: b"\xff" * 100,
    ],
)
def test_a_spoilt_entry_is_rebuilt(site: Path, tmp_path: Path, spoil: Any) -> None:
    store = tmp_path / "cache"
    plain = load_checked(site, TODAY, cache=store)
    before = {path: path.read_bytes() for path in store.iterdir()}
    for path, data in before.items():
        path.write_bytes(spoil(data))
    assert load_checked(site, TODAY, cache=store) == plain
    assert {path: path.read_bytes() for path in store.iterdir()} == before


def test_a_directory_that_cannot_be_used_costs_nothing_but_time(site: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert load_checked(site, TODAY, cache=tmp_path / "file" / "cache") == load_checked(site, TODAY)
    assert not list(site.rglob("*.json.*"))


def test_entries_that_are_used_no_more_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "SPARE", 0)
    for number in range(5):
        kept = cache_module.DocumentCache(tmp_path)
        kept.put("site", f"name: s{number}\n", parse_yaml(f"name: s{number}\n", "site.yml"))
        kept.tidy()
        assert len(list(tmp_path.iterdir())) <= 2
    assert kept.get("site", "name: s4\n", "other.yml") == Document("other.yml", {"name": "s4"}, {"": 1})
    assert kept.get("site", "name: s0\n", "site.yml") is None


def test_lines_that_a_parent_has_are_left_out() -> None:
    document = parse_yaml("a:\n  - b: 1\n    c: [1, 2]\n  - d\n", "x.yml")
    short = Document("x.yml", document.value, cache_module.short_lines(document.lines, 99))
    assert len(short.lines) < len(document.lines)
    for keys in ((), ("a",), ("a", 0), ("a", 0, "b"), ("a", 0, "c"), ("a", 0, "c", 1), ("a", 1), ("a", 1, "x"), ("z",)):
        assert short.location(*keys) == document.location(*keys), keys


def _mutated(chance: random.Random, value: Any) -> Any:
    """Return a value with one change somewhere, mostly one that no schema accepts."""
    places: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        for key, item in node.items() if isinstance(node, dict) else enumerate(node):
            places.append((node, key))
            if isinstance(item, (dict, list)):
                walk(item)

    copy = json.loads(json.dumps(value))
    walk(copy)
    node, key = chance.choice(places)
    kind = chance.randrange(5)
    if kind == 0:
        node[key] = chance.choice(
            [None, True, False, 0, -1, 70000, 1.5, "", "x", "a b\n", "10.0.0.0/8", [], {}, [1, 1]]
        )
    elif kind == 1 and isinstance(node, dict):
        del node[key]
    elif kind == 2 and isinstance(node, dict):
        node[chance.choice(["extra", "id", "name", "fact", "a b", "equals"])] = node[key]
    elif kind == 3 and isinstance(node, list):
        node.append(node[key])
    elif isinstance(node[key], str):
        node[key] += chance.choice(["\n", " ", "x" * 300, "é", ";", "-9"])
    return copy


def test_the_quick_yes_is_the_yes_of_json_schema(full: bool) -> None:
    """Every schema is known to the quick check, which says yes to what fits and never to what does not."""
    chance = random.Random(5)
    yes = no = 0
    documents = {"segment": [], **{name: list(schema_of(name).get("examples", ())) for name in SCHEMAS}}
    for path, value in random_documents(1).items():
        name = path.removesuffix(".yml").removesuffix(".json")
        documents[
            name if name in SCHEMAS else path.split("/")[0] if path.split("/")[0] in SCHEMAS else "segment"
        ].append(value)
    for name, values in documents.items():
        quick, slow = compiled(schema_of(name)), _validator(name)
        for value in values:
            assert quick(value), name
            for _time in range(300 if full else 12):
                changed = _mutated(chance, value)
                valid = slow.is_valid(changed)
                if quick(changed):
                    assert valid, (name, changed)
                    yes += 1
                else:
                    no += not valid
    assert yes > 20
    assert no > 100


def test_an_unknown_word_of_a_schema_is_left_to_json_schema() -> None:
    schema = {"type": "object", "properties": {"a": {"multipleOf": 2}}, "additionalProperties": False}
    assert not compiled(schema)({"a": 4})
    assert jsonschema.Draft202012Validator(schema).is_valid({"a": 4})
    assert not compiled({"type": "object", "properties": {"a": {}}})({})
    document = parse_yaml("rules: []\n", "classification.yml")
    assert schema_findings("classification", document) == []
