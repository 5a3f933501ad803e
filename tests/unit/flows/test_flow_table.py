"""The table of the documentation is what the public corpora give; each entry is imported or refused with a reason."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.corpora import flow_table

pytestmark = pytest.mark.corpora


def published() -> str:
    text = flow_table.DOCUMENT.read_text(encoding="utf-8")
    return text[text.index(flow_table.BEGIN) + len(flow_table.BEGIN) : text.index(flow_table.END)].strip()


@pytest.mark.full
def test_the_table_is_what_the_corpora_give(corpora: Path) -> None:
    for tool in ("tshark", "nfdump"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    assert flow_table.table(flow_table.measure(corpora)) == published(), "run tests/corpora/flow_table.py --write"


def test_the_table_has_every_binary_entry(corpora: Path) -> None:
    listed = flow_table.entries(corpora)
    if not listed:
        pytest.skip("no flow data in the corpora")
    for form in (*flow_table.BINARY, flow_table.DATAGRAMS):
        count = sum(1 for each, _name, _files in listed if each == form)
        row = next(line for line in published().splitlines() if line.startswith(("| `" + form + "`", "| " + form)))
        assert row.split(" | ")[1] == str(count), form
