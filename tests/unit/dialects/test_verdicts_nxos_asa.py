"""What the readers make of NX-OS and ASA lists against verdicts that were written without them (``verdicts/*.yaml`` say how)."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import registry
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import Ace, ParsedAcl, first_match_list
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import PacketSpace, verdicts
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import Packet
from tests.unit.dialects.meaning import packet

FOLDER = Path(__file__).parent / "verdicts"
# Opaque for what is missing from the text or stands beside the lines judged, not for the lines themselves.
WHOLE_LIST = ("of the 888 elements", "gaps: lines are missing", "is not an IPv6 address")


@lru_cache(maxsize=4)
def blocks(platform: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load((FOLDER / f"{platform}.yaml").read_text(encoding="utf-8")))


def in_entry(ace: Ace, found: Packet, parsed: ParsedAcl) -> bool:
    return any(
        all(value in values for value, values in zip(found.values(), box.sets(), strict=True))
        for box in ace.to_boxes(parsed.fragments_like_ios)
    )


def deciding_line(aces: tuple[Ace, ...], found: Packet, parsed: ParsedAcl) -> int:
    """Return the line of the first entry that holds the packet; -1 where one with a condition comes first or an implicit one decides."""
    for ace in (*aces, *parsed.implicit):
        if in_entry(ace, found, parsed):
            return -1 if ace.conditions or not ace.line else ace.line
    return 0


def judge(parsed: ParsedAcl, cases: list[list[Any]]) -> list[str]:
    """Return the verdicts that differ, in words."""
    space = PacketSpace()
    whole = verdicts(space, replace(parsed, opaque=()).first_match())
    wrong = []
    for text, action, line, *only in cases:
        found = packet(text)
        aces = tuple(ace for ace in parsed.aces if not only or ace.line == only[0])
        here = (
            whole if not only else verdicts(space, first_match_list(aces, fragments_like_ios=parsed.fragments_like_ios))
        )
        said = "open" if found in here.uncertain else "permit" if found in here.permitted else "deny"
        place = deciding_line(aces, found, parsed if not only else replace(parsed, implicit=()))
        if (said, place if line >= 0 and said != "open" else line) != (action, line):
            wrong.append(f"{parsed.name}: {text}: {said} by line {place}, judged {action} by line {line}")
    return wrong


@pytest.mark.parametrize("platform", ["nxos", "asa"])
def test_verdicts(platform: str, corpora: Path) -> None:
    wrong: list[str] = []
    count = 0
    for block in blocks(platform):
        text = (
            block["text"]
            if "text" in block
            else (corpora / block["file"]).read_text(encoding="utf-8", errors="replace")
        )
        (parsed,) = [item for item in registry.parse(platform, text) if item.name == block["list"]]
        assert all(any(reason in line.reason for reason in WHOLE_LIST) for line in parsed.opaque), parsed.opaque
        wrong += judge(parsed, block["verdicts"])
        count += len(block["verdicts"])
    assert not wrong, "\n".join(wrong)
    assert count >= 300


@pytest.mark.parametrize("platform", ["nxos", "asa"])
def test_verdicts_written_by_hand_need_no_corpora(platform: str) -> None:
    for block in blocks(platform):
        if "text" in block:
            (parsed,) = registry.parse(platform, block["text"])
            assert not parsed.opaque and not judge(parsed, block["verdicts"])


def test_a_wrong_verdict_is_noticed() -> None:
    """The comparison itself can fail."""
    (parsed,) = registry.parse("nxos", "ip access-list A\n  permit tcp any any eq 80\n")
    cases = [
        ["tcp 1.1.1.1:1 2.2.2.2:80 S", "deny", 0],
        ["tcp 1.1.1.1:1 2.2.2.2:80 S", "permit", 3],
        ["udp 1.1.1.1:1 2.2.2.2:80", "deny", 0],
    ]
    assert len(judge(parsed, cases)) == 2
