# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documents kept by content: the answer is the same, a change is seen, and a spoilt entry is read anew."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import errors_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.seals import sealed
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.yaml_io import Document, parse_yaml
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy import cache as cache_module
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy import loader
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.check import load_checked
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.fast_schema import compiled
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.judged import Judged
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.loader import load_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.rules import r23_rules
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.schema import (
    SCHEMAS,
    _validator,
    schema_findings,
    schema_of,
)
from tests.unit.policy.random_sites import TODAY, Documents, random_documents, write_documents


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
    assert len(kept) == len([*site.rglob("*.yml"), *site.rglob("*.lock.json"), "judged"])

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


def test_many_entries_lie_together(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One file for all of them; what a change adds lies beside it until that is much, and an entry of another version is no other's."""
    store = tmp_path / "cache"
    plain = load_checked(site, TODAY)
    assert plain.site is not None
    monkeypatch.setattr(cache_module, "MOST_ALONE", 0)
    assert load_checked(site, TODAY, cache=store) == plain
    kept = {"judged", cache_module.BUNDLE}
    assert {path.name for path in store.iterdir()} == kept
    monkeypatch.setattr(cache_module, "MOST_ALONE", 1000)
    parsed: list[str] = []
    real = loader.parse_yaml

    def noted(text: str, file: str) -> Document:
        parsed.append(file)
        return real(text, file)

    monkeypatch.setattr(loader, "parse_yaml", noted)
    again = load_checked(site, TODAY, cache=store)
    assert again == plain and not parsed and {path.name for path in store.iterdir()} == kept
    assert again.site is not None
    assert [item.allow for item in again.site.segments.values()] == [
        item.allow for item in plain.site.segments.values()
    ]
    whole = (store / cache_module.BUNDLE).read_bytes()
    path = next(path for path in sorted(site.glob("*/*.yml")) if "allow:" in path.read_text())
    before = path.read_text()
    path.write_text(before.replace("reason: ", "reason: not "))
    for _time in range(2):
        again = load_checked(site, TODAY, cache=store)
        assert parsed == [f"{path.parent.name}/{path.name}"]
        assert len(list(store.iterdir())) == 3 and (store / cache_module.BUNDLE).read_bytes() == whole
    monkeypatch.setattr(cache_module, "MOST_ALONE", 0)
    assert load_checked(site, TODAY, cache=store) == again and {p.name for p in store.iterdir()} == kept
    assert len(parsed) == 1
    assert again == load_checked(site, TODAY) != plain
    parsed.clear()
    path.write_text(before)  # what was is known as well
    assert load_checked(site, TODAY, cache=store) == plain and not parsed


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: b"",
        lambda data: data[:-1],
        lambda data: data[:70] + bytes([data[70] ^ 1]) + data[71:],
        lambda data: data[:-9] + bytes([data[-9] ^ 1]) + data[-8:],
        lambda data: data[:64] + b"\n1 2\n{}\nabc",
        lambda data: sealed(data[65:], b"another's key").encode() + data[64:],
        lambda data: b"\xff" * 100,
    ],
)
def test_a_spoilt_bundle_is_rebuilt(site: Path, tmp_path: Path, spoil: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "MOST_ALONE", 0)
    store = tmp_path / "cache"
    plain = load_checked(site, TODAY, cache=store)
    bundle = store / cache_module.BUNDLE
    before = bundle.read_bytes()
    bundle.write_bytes(spoil(before))
    assert load_checked(site, TODAY, cache=store) == plain
    assert bundle.read_bytes() == before


def _looked_at(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The rules that names_of_rules, which judges permissions alone, looks at from now on."""
    asked: list[str] = []
    real = r23_rules.name_finding

    def noted(name: str, *rest: Any) -> Any:
        asked.append(name)
        return real(name, *rest)

    monkeypatch.setattr(r23_rules, "name_finding", noted)
    return asked


def test_only_what_changed_is_judged_again(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = tmp_path / "cache"
    plain = load_checked(site, TODAY, cache=store)
    assert plain.site is not None
    asked = _looked_at(monkeypatch)
    exceptions = {item.id for item in plain.site.exceptions}
    loud = {f.file for f in plain.findings}
    silent = {rule.id for rule in plain.site.rules() if rule.location.file not in loud}
    assert load_checked(site, TODAY, cache=store) == plain
    assert silent and not silent & set(asked) and set(asked) >= exceptions
    path = next(
        p for p in sorted(site.glob("*/*.yml")) if "allow:" in p.read_text() and f"{p.parent.name}/{p.name}" not in loud
    )
    path.write_text(path.read_text() + "\n")
    asked.clear()
    assert load_checked(site, TODAY, cache=store) == load_checked(site, TODAY)
    mine = {rule.id for rule in plain.site.rules() if rule.location.file == f"{path.parent.name}/{path.name}"}
    first = asked[: len(asked) - len(plain.site.rules()) - len(exceptions)]  # then came the load without a cache
    assert mine <= set(first) and silent & set(first) <= mine
    asked.clear()
    (site / "services.yml").write_text((site / "services.yml").read_text() + "\n")  # all share it
    load_checked(site, TODAY, cache=store)
    assert silent <= set(asked)


def test_random_edits_are_judged_as_from_nothing(tmp_path: Path, full: bool) -> None:
    """Whatever is broken in any file, on any day: the findings with what was known are those without."""
    broken = 0
    for seed in range(40 if full else 2):
        chance = random.Random(seed)
        documents = random_documents(50 + seed, segments=6)
        policy, store = tmp_path / f"policies-{seed}", tmp_path / f"cache-{seed}"
        write_documents(documents, policy, seed)
        load_checked(policy, TODAY, cache=store)
        texts = {path: path.read_text() for path in sorted(policy.rglob("*")) if path.is_file()}
        for _number in range(25 if full else 12):
            path = chance.choice(sorted(texts))
            words = sorted(set(re.findall(r"[a-z0-9_./:-]{3,}", texts[path])))
            word, other = chance.choice(words), chance.choice([*words, "absent", "any", "2020-01-01", "10.0.0.0/8"])
            path.write_text(texts[path].replace(word, other, chance.choice([1, -1])))
            day = TODAY + timedelta(days=chance.choice([0, 0, 20, 400]))
            again, fresh = load_checked(policy, day, cache=store), load_checked(policy, day)
            assert again == fresh, (seed, path, word, other)
            broken += bool(errors_of(fresh.findings))
            if chance.random() < 0.7:
                path.write_text(texts[path])
            else:
                texts[path] = path.read_text()
    assert broken > (200 if full else 3)


def test_a_forged_silence_is_not_believed(site: Path, tmp_path: Path) -> None:
    store = tmp_path / "cache"
    load_checked(site, TODAY, cache=store)
    judged = store / "judged"
    before = judged.read_bytes()
    (site / "networks.yml").write_text((site / "networks.yml").read_text().replace("part_of_zone", "part_of_site"))
    plain = load_checked(site, TODAY)
    assert errors_of(plain.findings)
    assert load_checked(site, TODAY, cache=store) == plain
    digests = load_site(site, store).digests
    assert digests is not None and load_site(site).digests is None
    keys = Judged(store, digests, TODAY)
    assert plain.site is not None
    every = sorted({keys._segment(item) for item in plain.site.segments.values()} | {keys._lock()})
    body = json.dumps(every).encode()
    for forged in (b"[]", before[:65] + body, b"0" * 64 + b"\n" + body, b"\n" + body, b"\xff" * 90):
        judged.write_bytes(forged)
        assert load_checked(site, TODAY, cache=store) == plain


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


def _expired(_documents: Documents) -> None:
    """Nothing changes but the day."""


def _zone_of_another(documents: Documents) -> None:
    """The server of a rule moves to a zone to which no conduit leads; the client's file stays as it is."""
    segments = {each["segment"]: each for each in documents.values() if "segment" in each}
    rules = [(each["segment"], rule["to"]) for each in segments.values() for rule in each["allow"]]
    segments[next(to for client, to in rules if to in segments and to != client)]["zone"] = "annex"


def _service_gone(documents: Documents) -> None:
    used = next(each["allow"][0]["services"][0] for each in documents.values() if each.get("allow"))
    del documents["services.yml"]["services"][used]


def _address_outside(documents: Documents) -> None:
    members = documents["members.lock.json"]["segments"]
    members[sorted(members)[0]]["devices"][0]["addresses"][0] = "203.0.113.250"


@pytest.mark.parametrize(
    ("edit", "later", "code"),
    [
        (_expired, 21, "SW2305"),
        (_zone_of_another, 0, "SW2106"),
        (_zone_of_another, 0, "SW2207"),
        (_service_gone, 0, "SW2303"),
        (_address_outside, 0, "SW2207"),
    ],
)
def test_a_silence_ends_with_what_it_depends_on(
    tmp_path: Path, edit: Callable[[Documents], None], later: int, code: str
) -> None:
    """And who is not silent is never taken for it, however often it is loaded."""
    documents, policy, store = random_documents(3), tmp_path / "policies", tmp_path / "cache"
    rule = next(each["allow"][0] for each in documents.values() if each.get("allow"))
    documents["site.yml"]["zones"]["annex"] = {"subnets": ["10.99.0.0/16"], "security_level": 1, "owner": "plant"}
    rule |= {"expires": (TODAY + timedelta(days=20)).isoformat(), "ticket": "CHG-1"}
    write_documents(documents, policy, 3)
    before = load_checked(policy, TODAY, cache=store)
    assert not [finding for finding in before.findings if finding.code == code]
    edit(documents)
    write_documents(documents, policy, 3)
    plain = load_checked(policy, TODAY + timedelta(days=later))
    assert [finding for finding in plain.findings if finding.code == code]
    for _time in range(3):
        assert load_checked(policy, TODAY + timedelta(days=later), cache=store) == plain
