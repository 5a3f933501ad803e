"""The published table of understood lines is what the parsers do today, and counts what an independent counter counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import registry
from tests.corpora.acl_table import BEGIN, DOCUMENT, END, Row, families, files_of, measure, read, table

UNDERSTOOD = 0.99


@pytest.fixture(scope="module")
def rows(corpora: Path) -> list[Row]:
    """Return every row of the table; skip without the corpora."""
    if not ((corpora / "device-outputs").is_dir() and (corpora / "policy-corpora").is_dir()):
        pytest.skip("no device outputs or policies in the corpora")
    return [row for family in families() for row in measure(family, corpora)]


@pytest.mark.one_python
@pytest.mark.corpora
def test_the_published_table_is_true(rows: list[Row]) -> None:
    published = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    assert published.strip() == table(rows).strip(), "run tests/corpora/acl_table.py --write"


@pytest.mark.corpora
def test_every_line_is_counted_and_nearly_every_line_understood(rows: list[Row]) -> None:
    for platform in {row.platform for row in rows}:
        own = [row for row in rows if row.platform == platform]
        assert [line for row in own for line in row.uncounted] == []
        rest = sum(row.entries - row.excluded.total() for row in own)
        assert sum(row.understood for row in own) >= UNDERSTOOD * rest, [line for row in own for line in row.opaque]
        assert all(row.entries == row.understood + row.excluded.total() + len(row.opaque) for row in own)


@pytest.mark.corpora
def test_every_list_understood_whole_prints_back_to_the_same_packets(corpora: Path, rows: list[Row]) -> None:
    assert rows
    seen: set[tuple[str, ...]] = set()
    for family in families():
        for source in family.sources:
            for path in files_of(source, corpora):
                for item in registry.parse(source.dialect, read(path)):
                    content = (family.platform, item.kind, *(ace.raw for ace in item.aces))
                    if item.opaque or content in seen:
                        continue
                    seen.add(content)
                    assert registry.list_round_trip(source.dialect, item), (path.name, item.name)
    assert len(seen) > 100
