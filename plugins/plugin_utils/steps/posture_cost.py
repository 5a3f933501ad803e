# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What pulling each posture would do to the traffic that was recorded: known before the lever is needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.compile import compile_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.noise import limits_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.effective import effective_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.situations import Situation
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.replay import CutGroup, Replay, replay
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.history import recorded_columns
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.paths import Paths


@dataclass(frozen=True)
class Cost:
    """What a posture would cut of recorded conversations beyond what is cut without it, and what it would let through besides.

    ``recorded``: conversations of the window; 0 where nothing is recorded, and then nothing is known. ``cut`` counts conversations,
    ``legitimate`` those of them without a doubt, ``opened`` those that pass with it only. ``worst`` names who loses most.
    """

    posture: str
    recorded: int
    cut: int
    legitimate: int
    opened: int
    worst: tuple[dict[str, Any], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for results."""
        return {
            "posture": self.posture,
            "recorded": self.recorded,
            "cut": self.cut,
            "legitimate": self.legitimate,
            "opened": self.opened,
            "worst": list(self.worst),
        }


def costs(paths: Paths, site: Site, values: Mapping[str, Any]) -> list[Cost]:
    """Return the cost of each prepared posture, pulled alone, by replay of the recorded window; addresses bound as they were then."""
    if not site.postures:
        return []
    days, engine = values.get("window_days"), str(values.get("engine") or "")
    history = recorded_columns(paths.data, effective_site(site), days, engine=engine, limits=limits_of(site.learning))

    def with_(*names: str) -> Replay:
        situation = Situation(postures=names)
        return replay(
            effective_site(site, situation), compile_site(site, situation).lists, [] if history is None else history
        )

    usual = with_()
    return [_cost(name, usual, with_(name)) for name in sorted(site.postures)]


def _cost(name: str, usual: Replay, pulled: Replay) -> Cost:
    before = {_key(group): group.conversations for group in usual.groups}
    more = [
        (group, group.conversations - before.get(_key(group), 0))
        for group in pulled.groups
        if group.conversations > before.get(_key(group), 0)
    ]
    more.sort(key=lambda pair: (-pair[1], _key(pair[0])))
    worst = tuple(
        {
            "client": group.client_segment,
            "server": group.server_segment,
            "protocol": group.protocol,
            "port": group.port,
            "conversations": count,
            "criticality": group.criticality,
            "owner": group.owner,
        }
        for group, count in more[:10]
    )
    return Cost(
        name,
        usual.recorded,
        max(0, pulled.cut_total - usual.cut_total),
        max(0, pulled.legitimate - usual.legitimate),
        max(0, usual.cut_total - pulled.cut_total),
        worst,
    )


def _key(group: CutGroup) -> tuple[str, str, int, int, str]:
    return group.client_segment, group.server_segment, group.protocol, group.port, group.doubt
