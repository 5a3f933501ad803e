"""Wrong must be 0: every verdict written from the raw text of a public IOS or IOS-XE list is what the parser's entries say.

Verdicts are data (``verdicts/*.yaml``); ``verdicts/derive.py`` tells how they were made, without any code of the collection.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

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
