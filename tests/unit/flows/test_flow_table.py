"""The table of the documentation is what the public corpora give; each entry they list is imported or refused with a reason."""

from __future__ import annotations

import re
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
    made = flow_table.table(flow_table.measure(corpora), flow_table.left_alone(corpora))
    assert made == published(), "run tests/corpora/flow_table.py --write"


def test_the_table_has_every_entry(corpora: Path) -> None:
    listed = flow_table.entries(corpora)
    if not listed:
        pytest.skip("no flow data in the corpora")
    for form in flow_table.TOOLS:
        count = sum(1 for each, _name, _files in listed if each == form)
        row = next(line for line in published().splitlines() if line.startswith(("| `" + form + "`", "| " + form)))
        assert row.split(" | ")[1] == str(count), form


def test_what_the_corpora_list_is_in_the_table(corpora: Path) -> None:
    index = corpora / "flow-data" / "INDEX.md"
    if not index.exists():
        pytest.skip("no flow data in the corpora")
    listed = re.findall(r"^\| ([a-z][\w-]*/[^ |]+) \|", index.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(listed) > 290
    taken = {path for _form, _name, files in flow_table.entries(corpora) for path in files}
    folders = {parent for path in taken for parent in path.parents}
    missing = [each for each in listed if not {index.parent / each} & (taken | folders)]
    assert missing == []
