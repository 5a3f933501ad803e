# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Replay recorded traffic against the policy."""

from __future__ import annotations

from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.noise import limits_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.effective import effective_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.endtoend import prove_rules
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.replay import replay, replay_findings
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.arguments import paths_of, today_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.history import recorded_columns
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.site import sound_site


def run_replay(values: dict[str, Any]) -> dict[str, Any]:
    """Return what the compiled policy would do to every recorded conversation of the window."""
    paths = paths_of(values)
    sound = sound_site(paths, today_of(values))
    site = effective_site(sound.site)
    history = recorded_columns(
        paths.data,
        site,
        values.get("window_days"),
        engine=values.get("engine") or "",
        limits=limits_of(site.learning),
    )
    proved = prove_rules(site, sound.compiled.lists).proved
    made = replay(site, sound.compiled.lists, [] if history is None else history, proved)
    data = made.as_dict()
    summary = (
        f"{data['recorded']} recorded conversations: {data['permitted']} pass ({data['classes']['proved']} of them proved),"
        f" {made.legitimate} legitimate and {made.cut_total - made.legitimate} doubtful ones would be cut,"
        f" {data['not_covered']} are seen by no point"
    )
    return {
        "changed": False,
        "replay": data,
        "summary": summary,
        "findings": [f.as_dict() for f in replay_findings(made)],
    }
