"""JSON with lines: the same values as the standard reader, and the line of each."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.json_io import parse_json

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**20), 10**20), st.floats(allow_nan=False, allow_infinity=False, width=32),
    st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=8),
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=4, alphabet="ab/~\n\""), inner, max_size=4)),
    max_leaves=20,
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(VALUES, st.sampled_from([None, 1, "\t"]), st.booleans())
def test_values_are_those_of_the_standard_reader(value: Any, indent: Any, ascii_only: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    assert parse_json(text, "x").value == json.loads(text)


def test_lines_are_those_of_keys_and_items() -> None:
    document = parse_json('{\n "a": [\n  1,\n  {"b": 2,\n   "c/d": 3}\n ]\n}', "x")
    assert [document.location(*keys).line for keys in (("a",), ("a", 0), ("a", 1), ("a", 1, "c/d"), ("a", 9))] == [
        2, 3, 4, 5, 2,
    ]  # fmt: skip
