"""What the readers make of NX-OS and ASA lists against verdicts that were written without them (``verdicts/*.yaml`` say how)."""

from __future__ import annotations

import re
from collections import Counter
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


KEYWORDS = {
    "nxos": "any host addrgroup portgroup eq neq gt lt range established fragments log dscp precedence ttl packet-length http-method "
    "tcp-option-length tcp-flags-mask nve time-range ip ipv6 tcp udp icmp igmp ack fin psh rst syn urg permit deny",
    "asa": "any any4 any6 host object object-group eq neq gt lt range log disable alerts informational default interval inactive ip "
    "time-range tcp udp icmp icmp6 sctp gre permit deny security-group user object-group-security interface fqdn standard extended",
}
SHAPES = {
    "IPv4 prefix": r"\d\.\d+/\d+", "IPv6 prefix": r":\S*/\d+", "address and mask": r"\d+(?:\.\d+){3} \d+(?:\.\d+){3}",
    "counter": r"\[match=|hitcnt=", "port by name": r" (?:eq|lt|gt|neq|range) [a-z]", "protocol by number": r"(?:permit|deny) \d+ ",
    "source ports": r" (?:eq|gt|lt|neq|range) (?:\S+ ){1,2}(?:any|host|\d+\.|addrgroup|object)",
    "message by number": r"icmp .*[a-z0-9.] \d+(?: \(hitcnt.*)?$", "message with code": r"icmp .*[a-z0-9.] \d+ \d+(?: \(hitcnt.*)?$",
    "message by name": r"icmp .* (?:[a-z]+-[a-z-]+|echo|unreachable|traceroute|redirect)(?: \(hitcnt.*)?$",
}  # fmt: skip


def forms(platform: str, line: str) -> set[str]:
    """Return the syntax forms of a raw line."""
    return {word for word in line.split() if word in KEYWORDS[platform].split()} | {
        name for name, shape in SHAPES.items() if re.search(shape, line)
    }


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
    seen: set[tuple[Any, ...]] = set()
    counted: Counter[str] = Counter()
    for block in blocks(platform):
        text = (
            block["text"]
            if "text" in block
            else (corpora / block["file"]).read_text(encoding="utf-8", errors="replace")
        )
        (parsed,) = [item for item in registry.parse(platform, text) if item.name == block["list"]]
        assert all(any(reason in line.reason for reason in WHOLE_LIST) for line in parsed.opaque), parsed.opaque
        wrong += judge(parsed, block["verdicts"])
        lines = text.split("\n")
        for packet_text, _action, line, *only in block["verdicts"]:
            case = (block.get("file"), block["list"], packet_text, *only)
            assert case not in seen, case
            seen.add(case)
            place = only[0] if only else line
            counted.update(forms(platform, lines[place - 1]) if place > 0 else ["end"] if place == 0 else [])
    assert not wrong, "\n".join(wrong)
    assert len(seen) >= 300
    assert {form: count for form, count in counted.items() if count < 3} == {}, "each form at least three times"


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
