# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Impact of a change: what packets can pass or no longer pass, and which recorded conversations that touches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.history import SeenConversation
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.possible import changes
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.replay import (
    PROTOCOL_NAMES,
    Names,
    conversation_of,
    doubt_of,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.verdict import Evaluator


@dataclass(frozen=True)
class Impact:
    """Effect of going from the lists in force to the compiled ones.

    ``seen_cut``: recorded conversations that pass now and would not; ``seen_opened``: the reverse. ``unseen_cut`` and
    ``unseen_opened`` count never-recorded possibilities as (client segment, server segment, service and protocol), each judged
    at its lowest port for one pair of members. ``reach`` says what the numbers cover.
    """

    seen_cut: tuple[dict[str, Any], ...]
    seen_opened: tuple[dict[str, Any], ...]
    unseen_cut: int
    unseen_opened: int
    kept: int
    reach: str

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for the plan."""
        return {
            "seen_cut": list(self.seen_cut),
            "seen_opened": list(self.seen_opened),
            "unseen_cut": self.unseen_cut,
            "unseen_opened": self.unseen_opened,
            "kept": self.kept,
            "reach": self.reach,
        }

    def sentence(self) -> str:
        """Return the effect in one sentence for people."""
        legitimate = [row for row in self.seen_cut if not row["doubt"]]
        doubtful = len(self.seen_cut) - len(legitimate)
        text = f"{len(legitimate)} recorded conversations would be cut"
        if doubtful:
            text += f" (and {doubtful} that are scans, unanswered or of unknown devices)"
        text += f", {self.unseen_cut} never-seen ones stop being possible, {self.kept} recorded ones go on"
        if self.seen_opened or self.unseen_opened:
            text += f"; {len(self.seen_opened)} recorded and {self.unseen_opened} never-seen ones become possible"
        return text


def impact(
    site: Site, before: Sequence[PointList], after: Sequence[PointList], history: Sequence[SeenConversation]
) -> Impact:
    """Return the effect of replacing the lists ``before`` (what is in force now) by ``after``."""
    old, new, names = Evaluator(site, before), Evaluator(site, after), Names(site)
    cut: list[dict[str, Any]] = []
    opened: list[dict[str, Any]] = []
    kept = 0
    known: set[tuple[str, str, int, int]] = set()
    for seen in history:
        conversation = conversation_of(seen)
        segments = names.segment(seen.family, seen.client), names.segment(seen.family, seen.server)
        known.add((segments[0], segments[1], seen.protocol, seen.server_port))
        was, will = old.verdict(conversation).permitted, new.verdict(conversation).permitted
        if was and will:
            kept += 1
        elif was != will:
            (cut if was else opened).append(_row(names, seen, new if was else old))
    unseen = _unseen(site, old, new, known)
    days = sorted({seen.days for seen in history})
    reach = f"{len(history)} recorded conversations" + (f" seen on up to {days[-1]} days" if days else "")
    return Impact(tuple(cut), tuple(opened), unseen[0], unseen[1], kept, reach)


def _row(names: Names, seen: SeenConversation, stopper: Evaluator) -> dict[str, Any]:
    deciding = stopper.verdict(conversation_of(seen)).deciding()
    client_segment, server_segment = names.segment(seen.family, seen.client), names.segment(seen.family, seen.server)
    return {
        "client": names.device(seen.family, seen.client),
        "server": names.device(seen.family, seen.server),
        "client_segment": client_segment,
        "server_segment": server_segment,
        "protocol": PROTOCOL_NAMES.get(seen.protocol, str(seen.protocol)),
        "port": seen.server_port,
        "flows": seen.flows,
        "days": seen.days,
        "point": deciding.point if deciding else "",
        "line": deciding.label if deciding else "",
        "doubt": doubt_of(names, seen),
    }


def _unseen(site: Site, old: Evaluator, new: Evaluator, known: set[tuple[str, str, int, int]]) -> tuple[int, int]:
    """Count the possibilities between segments that were never recorded and change."""
    cut = opened = 0
    for change in changes(site, old, new):
        ends = change.client_segment, change.server_segment
        cut += sum((*ends, item.protocol, item.port) not in known for item in change.cut)
        opened += sum((*ends, item.protocol, item.port) not in known for item in change.opened)
    return cut, opened
