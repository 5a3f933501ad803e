# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A segment's document as the cache keeps it: what is said about the segment, its outline, and apart from these its rules.

Most runs ask about few of a site's rules one by one; what they ask about all of them is in the outlines. So the rules are kept as text
that is read when somebody asks for one of them (``Segment.allow``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.yaml_io import Document
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.build_access import make_rule
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Rule, Segment
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.outline import (
    Outline,
    outline_of,
    plain_outline,
    read_outline,
)

RULES = "allow"


@dataclass(frozen=True)
class KeptSegment(Document):
    """The document of a segment without its rules (``value`` has no ``allow``); ``rules``: JSON of these, each with its line."""

    outline: Outline | None = field(default=None, compare=False, repr=False)
    rules: bytes | memoryview = field(default=b"", compare=False, repr=False)


def own_rules(document: Document) -> list[Rule]:
    """Return the rules that stand in a segment's document, without those of the templates that it uses."""
    name, items = document.value["segment"], document.value.get(RULES, ())
    lines, whole = document.lines, document.location(RULES).line
    return [
        make_rule(item, name, Location(document.file, lines.get(f"/{RULES}/{number}") or whole))
        for number, item in enumerate(items)
    ]


def segment_of(document: Document, rules: tuple[Rule, ...]) -> Segment:
    """Return the segment of a document with some rules."""
    value = document.value
    return Segment(
        value["segment"], value["zone"], value.get("sgt"), value["owner"], value["criticality"], value["members"], rules,
        value.get("description", ""), document.location("segment"), value.get("sgt_name", ""),
    )  # fmt: skip


def kept_parts(document: Document, lines: Mapping[str, int]) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Return what the cache keeps of a segment's document as two plain values: all but the rules, and these.

    ``lines`` are the document's, as far as they are kept. None where other documents have a say in the rules.
    """
    if document.value.get("use"):
        return None
    rules = own_rules(document)
    value = {key: item for key, item in document.value.items() if key != RULES}
    outline = plain_outline(outline_of(segment_of(document, tuple(rules))))
    below = f"/{RULES}/"
    head = {
        "value": value,
        "lines": {key: line for key, line in lines.items() if not key.startswith(below)},
        "outline": outline,
    }
    return head, {RULES: document.value.get(RULES, []), "lines": [rule.location.line for rule in rules]}


def kept_segment(file: str, head: Mapping[str, Any], rules: bytes | memoryview, digest: str) -> KeptSegment:
    """Return the document of what ``kept_parts`` made, the rules still as text. KeyError, TypeError or ValueError where it is none."""
    return KeptSegment(file, head["value"], head["lines"], digest, read_outline(head["outline"]), rules)


def with_rules_to_come(document: KeptSegment) -> Segment:
    """Return the segment of a kept document; its rules are read when somebody asks for them."""
    made = segment_of(document, ())
    own = made.__dict__
    del own[RULES]
    own.update(
        _make=partial(_read_rules, document.value["segment"], document.file, document.rules), _outline=document.outline
    )
    return made


def _read_rules(segment: str, file: str, text: bytes | memoryview) -> tuple[Rule, ...]:
    kept = json.loads(bytes(text))
    return tuple(
        make_rule(item, segment, Location(file, line)) for item, line in zip(kept[RULES], kept["lines"], strict=True)
    )
