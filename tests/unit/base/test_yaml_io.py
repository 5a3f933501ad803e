# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Safe YAML: lines, limits, refused constructs; never anything but a finding."""

from __future__ import annotations

import random

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base import yaml_io
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.yaml_io import parse_yaml

GOOD = """\
# comment
name: site
zones:
  clinical:
    subnets: [10.0.0.0/24]
    since: 2026-01-02
rules:
  - id: one
    ports:
      - 443
"""


def code_and_line(text: str) -> tuple[str, int]:
    with pytest.raises(FindingError) as caught:
        parse_yaml(text, "x.yml")
    finding = caught.value.findings[0]
    assert finding.file == "x.yml"
    return finding.code, finding.line


def test_values_and_lines() -> None:
    document = parse_yaml(GOOD, "x.yml")
    assert document.value["zones"]["clinical"] == {"subnets": ["10.0.0.0/24"], "since": "2026-01-02"}
    assert document.location("zones", "clinical", "subnets").line == 5
    assert document.location("rules", 0, "ports", 0).line == 10
    assert document.location("rules", 0, "absent").line == 8


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("a: 1\nb: 2\na: 3\n", "SW0005", 3),
        ("a: &anchor 1\nb: *anchor\n", "SW0004", 1),
        ("a: [1\nb: 2\n", "SW0003", 2),
        ("a: !!python/object/apply:os.system [x]\n", "SW0003", 1),
        ("? [1, 2]\n: x\n", "SW0003", 1),
        ("a: 1\n---\nb: 2\n", "SW0003", 2),
        ("[" * 40 + "]" * 40, "SW0004", 1),
        ("a: \x07\n", "SW0003", 0),
    ],
)
def test_refused(text: str, code: str, line: int) -> None:
    found, where = code_and_line(text)
    assert found == code
    assert where == line or line == 0


def test_a_billion_laughs_is_refused_before_it_is_built() -> None:
    bomb = "a: &a [x, x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi"))
    assert code_and_line(bomb) == ("SW0004", 1)


def test_node_and_size_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml_io, "NODE_LIMIT", 100)
    assert code_and_line("a: [" + "1, " * 200 + "1]")[0] == "SW0004"
    monkeypatch.setattr(yaml_io, "SIZE_LIMIT_BYTES", 10)
    assert code_and_line("a: 12345678901")[0] == "SW0004"


def test_random_damage_gives_a_value_or_a_finding() -> None:
    generator = random.Random(7)
    outcomes = {"value": 0, "finding": 0}
    codes: set[str] = set()
    for _ in range(2000):
        text = list(GOOD)
        for _ in range(generator.randint(1, 6)):
            text[generator.randrange(len(text))] = generator.choice("{}[]&*!|>'\"%@`:\n\t#-? \x00é")
        try:
            parse_yaml("".join(text), "x.yml")
            outcomes["value"] += 1
        except FindingError as error:
            outcomes["finding"] += 1
            codes.add(error.findings[0].code)
    assert min(outcomes.values()) > 100
    assert codes <= {"SW0003", "SW0004", "SW0005"}
