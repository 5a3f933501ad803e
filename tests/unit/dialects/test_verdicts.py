"""Wrong must be 0: every verdict written from the raw text of a public list is what the parser's entries say.

Verdicts are data (``verdicts/*.yaml``); ``verdicts/derive.py`` tells how they were made, without any code of the collection.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import registry
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import Ace, ParsedAcl
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import PacketSpace, permitted
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import FIELDS, Packet
from tests.unit.dialects.meaning import packet

VERDICTS = Path(__file__).parent / "verdicts"
KINDS = {"rbacl": "sgacl", "sgacl": "sgacl", "sgacl6": "sgacl"}
AT_LEAST = {"cisco_ios": 300, "cisco_iosxe": 300}
EACH_FORM = 3
ALONE = ("in the line", "not in the line")


def lists_of(platform: str) -> list[dict[str, Any]]:
    """Return the lists of a verdict file, each with its packets."""
    found = yaml.safe_load((VERDICTS / f"{platform}.yaml").read_text(encoding="utf-8"))
    assert isinstance(found["lists"], list)
    return found["lists"]


def decides(ace: Ace, found: Packet) -> bool:
    """Return whether a packet is in the boxes of an entry."""
    return any(all(getattr(found, field) in getattr(box, field) for field in FIELDS) for box in ace.to_boxes())


def verdict(source: ParsedAcl, found: Packet) -> tuple[str, int]:
    """Return what the entries say about a packet, and the line that says it (0: the implicit end)."""
    for ace in (*source.aces, *source.implicit):
        if decides(ace, found):
            word = "not modelled" if ace.conditions else "permit" if ace.permit else "deny"
            return word, ace.line
    return ("permit" if source.default_permit else "deny"), 0


@pytest.mark.corpora
@pytest.mark.parametrize("platform", sorted(AT_LEAST))
def test_no_verdict_is_wrong(platform: str, corpora: Path) -> None:
    checked, wrong = 0, []
    for item in lists_of(platform):
        path = corpora / item["file"]
        if not path.is_file():
            pytest.skip(f"{item['file']} is not in the corpora")
        text = path.read_text(encoding="utf-8", errors="replace")
        read = [found for found in registry.parse(KINDS.get(item["kind"], "ios"), text) if found.name == item["list"]]
        (source,) = [found for found in read if "FQDN" not in found.kind]
        whole = None
        if not source.opaque:
            space = PacketSpace()
            whole = permitted(space, source.first_match()) if not any(ace.conditions for ace in source.aces) else None
        for row in item["packets"]:
            found = packet(row["packet"])
            if row["verdict"] in ALONE:
                here = [ace for ace in source.aces if ace.line == row["line"]]
                assert here, row
                said: tuple[str, int] = (ALONE[not any(decides(ace, found) for ace in here)], row["line"])
            else:
                said = verdict(source, found)
            checked += 1
            if said != (row["verdict"], row["line"]):
                wrong.append((item["file"], item["list"], row, said))
            if whole is not None and row["verdict"] not in ALONE and (found in whole) != (row["verdict"] == "permit"):
                wrong.append((item["file"], item["list"], row, "first match"))
    assert wrong == []
    assert checked >= AT_LEAST[platform]


@pytest.mark.parametrize("platform", sorted(AT_LEAST))
def test_every_form_decides_at_least_three_verdicts(platform: str) -> None:
    found = yaml.safe_load((VERDICTS / f"{platform}.yaml").read_text(encoding="utf-8"))
    assert {form: count for form, count in found["forms"].items() if count < EACH_FORM} == {}
    packets = [row["packet"] for item in found["lists"] for row in item["packets"]]
    assert len(packets) >= AT_LEAST[platform]
