"""A slice of the fuzzing of the parsers; ``python -m tests.fuzz.dialects`` is the long run, which also watches time and memory."""

from __future__ import annotations

import random

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import registry
from tests.conftest import corpora_directory
from tests.fuzz.dialects import corpus_texts, judge, run, smaller
from tests.fuzz.mutate import LIMIT, MUTATIONS, mutated


@pytest.mark.one_python
def test_parsers_raise_nothing_but_findings(full: bool) -> None:
    directory = corpora_directory()
    corpus = corpus_texts(directory, 400 if full else 40) if directory.is_dir() else []
    report = run(0, seed=20262, corpus=corpus, cases=20_000 if full else 400)
    assert [(platform, wrong, text[:300]) for platform, wrong, text in report.failures] == []
    assert set(report.cases) == set(registry.PLATFORMS)
    assert sum(report.understood.values()) > 0
    assert sum(report.refused.values()) > 0


def test_the_mutations_change_texts_and_stay_in_size() -> None:
    choice = random.Random(1)
    text = "ip access-list extended A\n 10 permit tcp any host 10.0.0.1 eq 443\n 20 deny ip any any\n"
    seen = {mutated(choice, text, [text, "permit udp any any"]) for _ in range(300)}
    assert len(seen) > 200
    assert max(map(len, seen)) <= LIMIT
    for mutation in MUTATIONS:
        assert any(mutation(random.Random(seed), text, [text])[:LIMIT] != text for seed in range(20))


def test_a_failing_text_is_made_small(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(platform: str, text: str) -> list[object]:
        if "boom" in text:
            raise KeyError("x")
        raise FindingError(registry.codes.NO_LIST.at("none"))

    monkeypatch.setattr(registry, "parse", broken)
    report = run(0, cases=1)
    assert report.failures == []
    assert judge("ios", "a\nboom\nb", report) == "KeyError: 'x'"
    assert smaller("a\nboom\nb\nc", lambda part: bool(judge("ios", part, report))) == "boom"


# Found by the long run: the time to read a long line grew with the square of its length.
def test_a_long_line_of_nftables_is_read_once() -> None:
    rule = "\t\tct state established,related accept " * 2000
    text = f"table inet t {{\n\tchain sw_forward {{\n\t\ttype filter hook forward priority filter; policy drop;\n{rule}\n\t}}\n}}\n"
    assert registry.parse("nftables", text)[0].opaque


def test_empty_lines_are_no_search_of_their_own() -> None:
    text = "\t\n" * 49_000
    for platform in registry.PLATFORMS:
        if platform != "nftables":
            assert all(not item.aces for item in registry.parse(platform, text))


def test_a_list_that_stands_many_times_or_is_removed_many_times_is_noted_once_each() -> None:
    found = registry.parse("nxos", "ip access-list X\n" * 3000 + "no ip access-list X\n" * 2000)
    assert len(found) == 3000
    assert all(item.opaque for item in found)
    assert sum(len(item.opaque) for item in found) < 10_000
