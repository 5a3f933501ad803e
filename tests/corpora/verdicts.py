"""Hold what the parsers make of public lists against verdicts written from the raw text (``tests/unit/dialects/verdicts``)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import registry
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import Ace, ParsedAcl
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import PacketSpace, permitted
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import FIELDS, Packet
from tests.unit.dialects.meaning import packet
from tests.unit.dialects.test_verdicts_nxos_asa import blocks, judge

FOLDER = Path(__file__).resolve().parents[1] / "unit" / "dialects" / "verdicts"
KINDS = {"rbacl": "sgacl", "sgacl": "sgacl", "sgacl6": "sgacl"}
ALONE = ("in the line", "not in the line")
OTHERS = {"cisco_nxos": "nxos", "cisco_asa": "asa"}


@dataclass
class Outcome:
    """Verdicts checked and wrong by file, and the wrong ones in words."""

    checked: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    told: list[str] = field(default_factory=list)


def check(platform: str, corpora: Path) -> Outcome:
    """Return how the verdicts of a platform of the table compare; files that are not there raise FileNotFoundError."""
    outcome = Outcome()
    if platform in OTHERS:
        for block in blocks(OTHERS[platform]):
            if "file" in block:
                text = (corpora / block["file"]).read_text(encoding="utf-8", errors="replace")
                found = [item for item in registry.parse(OTHERS[platform], text) if item.name == block["list"]]
                _count(outcome, block["file"], len(block["verdicts"]), judge(found[0], block["verdicts"]))
        return outcome
    for item in yaml.safe_load((FOLDER / f"{platform}.yaml").read_text(encoding="utf-8"))["lists"]:
        text = (corpora / item["file"]).read_text(encoding="utf-8", errors="replace")
        read = [found for found in registry.parse(KINDS.get(item["kind"], "ios"), text) if found.name == item["list"]]
        (source,) = [found for found in read if "FQDN" not in found.kind]
        _count(outcome, item["file"], len(item["packets"]), _differences(source, item["packets"]))
    return outcome


def _count(outcome: Outcome, file: str, checked: int, wrong: list[str]) -> None:
    outcome.checked[file] += checked
    outcome.wrong[file] += len(wrong)
    outcome.told += [f"{file}: {text}" for text in wrong]


def _differences(source: ParsedAcl, rows: list[dict[str, Any]]) -> list[str]:
    """Return the verdicts that differ, by the entries one by one and, where the list is whole, by its packet set."""
    whole = None
    if not source.opaque and not any(ace.conditions for ace in source.aces):
        whole = permitted(PacketSpace(), source.first_match())
    wrong = []
    for row in rows:
        found = packet(row["packet"])
        if row["verdict"] in ALONE:
            here = [ace for ace in source.aces if ace.line == row["line"]]
            inside = any(_decides(ace, found) for ace in here)
            said = (ALONE[not inside] if here else "no such line", row["line"])
        else:
            said = _verdict(source, found)
            if whole is not None and (found in whole) != (row["verdict"] == "permit"):
                said = ("another packet set", said[1])
        if said != (row["verdict"], row["line"]):
            wrong.append(f"{source.name}: {row['packet']}: {said}, judged {row['verdict']} by line {row['line']}")
    return wrong


def _decides(ace: Ace, found: Packet) -> bool:
    return any(all(getattr(found, name) in getattr(box, name) for name in FIELDS) for box in ace.to_boxes())


def _verdict(source: ParsedAcl, found: Packet) -> tuple[str, int]:
    """Return what the entries say about a packet, and the line that says it (0: the implicit end)."""
    for ace in (*source.aces, *source.implicit):
        if _decides(ace, found):
            return "not modelled" if ace.conditions else "permit" if ace.permit else "deny", ace.line
    return ("permit" if source.default_permit else "deny"), 0
