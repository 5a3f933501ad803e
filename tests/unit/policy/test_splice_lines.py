# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text that is put together of lines is what ruamel.yaml writes in one go, whatever looks like something else in YAML."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.segwright.microseg.plugins.plugin_utils.policy import splice

TRICKY = (
    "yes", "1:30", "0x1", "2026-01-01", "2026-13-01", "a: b", "- x", "[a", "{b", "#c", "a #b", "x,y", "'q'", '"d"', "&a", "*b", "!t", "%p",
    "@at", "`b", "", "~", "null", "1e3", "1_000", ".5", "<<", "=", "a:", "? q", "|", ">", "é", "\U0001f600", " a", "a ", "y", "on", "---",
    "...", "-", "?", ":", "a-b", "y-1", "e-3", "no-0x1", "x-", "a--b", "3-4", "a\nb", "\ta", "x" * 130,
)  # fmt: skip
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 300),
    st.floats(allow_nan=False),
    st.sampled_from(TRICKY),
    st.text(st.characters(min_codepoint=32, max_codepoint=0x24F), max_size=8),
    st.dates(date(2020, 1, 1), date(2030, 1, 1)),
)
KEYS = st.one_of(st.sampled_from(("id", "to", "services", "evidence")), st.sampled_from(TRICKY), st.booleans())
MAPPINGS = st.recursive(
    st.dictionaries(KEYS, st.one_of(SCALARS, st.lists(SCALARS, max_size=3)), min_size=1, max_size=3),
    lambda inner: st.dictionaries(KEYS, st.one_of(SCALARS, inner, st.lists(inner, max_size=2)), min_size=1, max_size=3),
    max_leaves=6,
)


@given(st.one_of(MAPPINGS, st.lists(MAPPINGS, min_size=1, max_size=2)))
@settings(max_examples=150, deadline=None)
def test_lines_put_together_are_those_written_in_one_go(value: Any) -> None:
    assert splice._composed(value) in (None, splice._written(value))


@pytest.mark.parametrize("text", TRICKY)
def test_each_text_that_looks_like_something_else_is_written_as_in_one_go(text: str) -> None:
    for value in ({"to": text}, {"to": [text, 1]}, {"allow": [{"id": "a-b", "to": {"x": text}}]}):
        assert splice.render(value) == "\n".join(splice._written(value))


def marks(node: Any) -> list[tuple[int, int, int, bool]]:
    """Return what is used of a tree: where each node begins and ends, its column, and whether it is written in flow style."""
    inner = (
        []
        if isinstance(node, yaml.ScalarNode)
        else [part for each in node.value for part in (each if isinstance(each, tuple) else [each])]
    )
    flow = not isinstance(node, yaml.ScalarNode) and bool(node.flow_style)
    own = (node.start_mark.index, node.end_mark.index, node.start_mark.column, flow)
    return [own, *(mark for each in inner for mark in marks(each))]


PLACES = (
    "a: 1", "a: [b, {c: d}]  # e\n", "é: ü \U0001f600\n# x\nb:\n- c\n-   d: e\n    f: >-\n      g\n\n      h\n\ni: |\n  j\n  k",
    "a:\n  # b\nc:\n",
    "a: 'b''c'   # d\r\ne:\r\n  - {f: \"g\\n\"}\r\n\r\n  - h\r\n", "a:\n- b\n\n# c\nd: &e f\ng: *e\n", "? a\n: b\nc: {}\nd: []\ne: ''",
)  # fmt: skip


@pytest.mark.parametrize("text", PLACES)
def test_places_are_those_of_the_parser_in_python(text: str) -> None:
    assert marks(splice.compose(text)) == marks(yaml.compose(text, Loader=yaml.SafeLoader))


@given(st.one_of(MAPPINGS, st.lists(MAPPINGS, min_size=1, max_size=2)), st.booleans())
@settings(max_examples=60, deadline=None)
def test_places_of_any_text_are_those_of_the_parser_in_python(value: Any, cut: bool) -> None:
    text = splice.render(value) + ("" if cut else "\n# end\n")
    assert marks(splice.compose(text)) == marks(yaml.compose(text, Loader=yaml.SafeLoader))


def test_a_rule_is_put_together() -> None:
    rule = {
        "id": "pumps-to-server-mqtt",
        "to": "server",
        "services": ["mqtt", 1],
        "evidence": {"days": "3 to 6", "devices": True},
    }
    lines = splice._composed({"allow": [rule, {**rule, "services": [True]}]})
    assert lines is not None and lines == splice._written({"allow": [rule, {**rule, "services": [True]}]})
    assert "    services: [mqtt, 1]" in lines and "    services: [true]" in lines
