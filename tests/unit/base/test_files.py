# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files: all or nothing, canonical hashes, versions refused by name; redaction; names; guarded imports."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base import files
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import MissingDependency, guarded, require
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.names import (
    ACL_NAME,
    IDENTIFIER,
    INTERFACE,
    name_finding,
    safe_name,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.redact import MASK, redact, redact_text


def test_a_failed_write_leaves_the_old_file_and_no_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "a.json"
    files.write_json(target, {"old": 1})

    def fail(*_arguments: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        files.write_json(target, {"new": 2})
    assert files.read_json(target) == {"old": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def _any_value(chance: random.Random, depth: int) -> Any:
    kind = chance.randrange(9 if depth else 6)
    if kind < 6:
        return chance.choice(
            [
                "",
                "a\nb",
                'quote " \\ \x00',
                "Übergröße \u2028 \U0001f600",
                0,
                -7,
                2**70,
                1.5,
                1e300,
                float("nan"),
                True,
                False,
                None,
                [],
                {},
                (),
            ]
        )
    values = [_any_value(chance, depth - 1) for _number in range(chance.randrange(5))]
    if kind == 6:
        return chance.choice([list, tuple])(values)
    keys = [1, 20, -3, 0, 5] if kind == 7 else ["b", "a", "ü", "", "z\n"]
    return dict(zip(chance.sample(keys, len(keys)), values, strict=False))


def test_indented_json_is_what_python_writes() -> None:
    chance = random.Random(4)
    for _number in range(3000):
        value = _any_value(chance, 4)
        assert files.indented_json(value) == json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)
    texts = ["}", "}\n{", "\r", "{", "\\n", '"', "\u2028", "a, b", "\x7f"]
    for _number in range(300):
        names = [chance.sample(texts, chance.randint(1, 4)) for _row in range(3)]
        rows = [{key: chance.choice([*texts, 1, None, 2.5, True]) for key in keys} for keys in names]
        for value in (rows, {"a": [rows[:1], [*rows, {}]], "b": tuple(rows)}):
            assert files.indented_json(value) == json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)
    for wrong in ({"a": {1, 2}}, [object()], {"a": [{("x",): 1}, []]}, {("x",): [[1], {}]}, {1: [], "a": []}):
        with pytest.raises(TypeError):
            files.indented_json(wrong)


def test_hashes_do_not_depend_on_key_order() -> None:
    assert files.sha256_of({"a": 1, "b": [1, 2]}) == files.sha256_of({"b": [1, 2], "a": 1})
    assert files.sha256_of({"a": [1, 2]}) != files.sha256_of({"a": [2, 1]})
    assert files.sha256_of("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ('{"kind": "plan", "schema_version": "2.0"}', "SW0007"),
        ('{"kind": "journal", "schema_version": "1.0"}', "SW0008"),
        ('{"kind": "plan"}', "SW0007"),
        ("[1]", "SW0008"),
        ('{"kind": "plan",', "SW0006"),
        ("[" * 100000, "SW0006"),
    ],
)
def test_documents_are_checked(tmp_path: Path, content: str, code: str) -> None:
    path = tmp_path / "plan.json"
    path.write_text(content)
    with pytest.raises(FindingError) as caught:
        files.read_document(path, "plan", 1)
    assert caught.value.findings[0].code == code


def test_unreadable_files_are_findings(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"\xff\xfe")
    for name in ("absent", "latin"):
        with pytest.raises(FindingError, match="SW0002"):
            files.read_text(tmp_path / name)


@pytest.mark.parametrize("name", ["a b", "x\n", "x\ny", "; no aaa", "", "1abc", "a" * 64, "é", "x;y", None, 7])
def test_unsafe_names(name: object) -> None:
    finding = name_finding(name, ACL_NAME, "list name")
    assert finding is not None and finding.code == "SW0009"
    if isinstance(name, str):
        with pytest.raises(ValueError, match="unsafe"):
            safe_name(name)


@pytest.mark.parametrize(
    ("name", "pattern"),
    [("SW_pumps", IDENTIFIER), ("a-b", ACL_NAME), ("GigabitEthernet1/0/1", INTERFACE), ("Vlan10", INTERFACE)],
)
def test_safe_names(name: str, pattern: object) -> None:
    assert name_finding(name, pattern, "name") is None  # type: ignore[arg-type]


def test_secrets_do_not_survive() -> None:
    text = "username x password 0 hunter2\nsnmp-server community s3cret RO\nip access-list extended A"
    assert redact_text(text, ["hunter2"]).count(MASK) == 2
    assert "hunter2" not in redact_text(text) and "s3cret" not in redact_text(text)
    value = redact({"password": "abc", "nested": [{"api_key": "k"}], "name": "abc-1", "ports": [1]}, ["abc"])
    assert value == {"password": MASK, "nested": [{"api_key": MASK}], "name": f"{MASK}-1", "ports": [1]}


def test_a_missing_package_names_itself_and_the_command() -> None:
    missing = guarded("no_such_package_at_all")
    assert not missing
    with pytest.raises(MissingDependency) as caught:
        missing.anything()
    assert "no_such_package_at_all" in str(caught.value)
    assert caught.value.findings[0].hint == "python3 -m pip install no_such_package_at_all"
    with pytest.raises(MissingDependency):
        require(guarded("json"), missing)


def test_parts_that_end_early_leave_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"

    def broken() -> Iterator[str]:
        yield "half"
        raise ValueError("no more")

    files.write_parts_atomic(path, iter(("gr\u00fc", b"n", "\n")))
    with pytest.raises(ValueError, match="no more"):
        files.write_parts_atomic(path, broken())
    assert path.read_text(encoding="utf-8") == "gr\u00fcn\n"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
