"""Wrong must be 0: every verdict written from the raw text of a public IOS or IOS-XE list is what the parser's entries say.

Verdicts are data (``verdicts/*.yaml``); ``verdicts/derive.py`` tells how they were made, without any code of the collection.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import names
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.cisco_options import flag_words
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.cisco_values import port_set
from tests.corpora.verdicts import FOLDER, check

PLATFORMS = ("cisco_ios", "cisco_iosxe")
AT_LEAST = 300
EACH_FORM = 3


@pytest.mark.corpora
@pytest.mark.parametrize("platform", PLATFORMS)
def test_no_verdict_is_wrong(platform: str, corpora: Path) -> None:
    if not ((corpora / "device-outputs").is_dir() and (corpora / "policy-corpora").is_dir()):
        pytest.skip("no device outputs or policies in the corpora")
    outcome = check(platform, corpora)
    assert outcome.told == []
    assert outcome.checked.total() >= AT_LEAST


@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_form_decides_at_least_three_verdicts(platform: str) -> None:
    found = yaml.safe_load((FOLDER / f"{platform}.yaml").read_text(encoding="utf-8"))
    assert {form: count for form, count in found["forms"].items() if count < EACH_FORM} == {}
    packets = [row["packet"] for item in found["lists"] for row in item["packets"]]
    assert len(packets) >= AT_LEAST


@pytest.mark.one_python
@pytest.mark.corpora
@pytest.mark.parametrize(
    ("table", "word", "wrong"),
    [
        ("TCP_PORTS", "bgp", 180),
        ("ICMP_MESSAGES", "ttl-exceeded", (11, None)),
        ("PROTOCOLS", "ahp", 50),
        ("TCP_FLAGS", "ack", 8),
    ],
)
def test_the_verdicts_find_a_fault(
    table: str, word: str, wrong: object, corpora: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not ((corpora / "device-outputs").is_dir() and (corpora / "policy-corpora").is_dir()):
        pytest.skip("no device outputs or policies in the corpora")
    for cached in (port_set, flag_words):
        cached.cache_clear()
    monkeypatch.setitem(getattr(names, table), word, wrong)
    try:
        assert check("cisco_ios", corpora).told
    finally:
        for cached in (port_set, flag_words):
            cached.cache_clear()
