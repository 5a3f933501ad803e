# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in force now, from snapshots: absent, unattached and disabled lists do not count."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Snapshot
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.impact import impact
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.live import lists_in_force, with_approved_origins
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.paths import Paths
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.site import SoundSite, sound_site


@pytest.fixture(scope="module")
def sound(root: Path) -> SoundSite:
    return sound_site(Paths.of(str(root / "policies"), "unused"), date(2026, 11, 23), cached=False)


def snapshots(
    sound: SoundSite, change: dict[str, Any] | None = None, without: tuple[str, ...] = ()
) -> dict[str, Snapshot]:
    made = {}
    for target in sound.compiled.targets:
        objects = {f"{item.kind}/{item.name}": dict(item.body) for item in target.objects}
        for key, values in (change or {}).items():
            if key in objects:
                objects[key] = {**objects[key], **values}
        made[target.host] = Snapshot(
            target.host, target.platform, {k: v for k, v in objects.items() if k.split("/")[0] not in without}
        )
    return made


def names(lists: list[PointList]) -> set[str]:
    return {item.name for item in lists}


def test_what_was_applied_is_in_force_and_changes_nothing(sound: SoundSite) -> None:
    live = lists_in_force(sound.compiled.lists, snapshots(sound))
    assert names(live) == names(list(sound.compiled.lists))
    made = impact(sound.site, live, sound.compiled.lists, [])
    assert (made.unseen_cut, made.unseen_opened) == (0, 0)


def test_nothing_is_in_force_on_an_empty_network(sound: SoundSite) -> None:
    empty = {target.host: Snapshot(target.host, target.platform, {}) for target in sound.compiled.targets}
    assert lists_in_force(sound.compiled.lists, empty) == []
    made = impact(sound.site, [], sound.compiled.lists, [])
    assert made.unseen_cut > 100 and made.unseen_opened == 0


@pytest.mark.parametrize(
    ("without", "kind"),
    [
        (("authorization_profile",), "dacl"),
        (("attachment",), "port_acl"),
        (("egress_matrix_cell",), "sgacl"),
        (("ruleset",), "firewall"),
    ],
)
def test_a_list_that_nothing_hands_out_is_not_in_force(sound: SoundSite, without: tuple[str, ...], kind: str) -> None:
    live = lists_in_force(sound.compiled.lists, snapshots(sound, without=without))
    assert kind not in {item.kind for item in live}
    assert len({item.kind for item in live}) == 3


def test_a_disabled_cell_is_not_in_force_and_a_monitored_one_stops_nothing(sound: SoundSite) -> None:
    cells = [
        f"egress_matrix_cell/{o.name}"
        for t in sound.compiled.targets
        for o in t.objects
        if o.kind == "egress_matrix_cell"
    ]
    disabled = lists_in_force(sound.compiled.lists, snapshots(sound, {cell: {"status": "DISABLED"} for cell in cells}))
    assert "sgacl" not in {item.kind for item in disabled}
    monitored = lists_in_force(sound.compiled.lists, snapshots(sound, {cell: {"status": "MONITOR"} for cell in cells}))
    assert {item.stage for item in monitored if item.kind == "sgacl"} == {"monitor"}


def test_targets_that_were_not_read_count_as_not_in_force(sound: SoundSite) -> None:
    part = {name: item for name, item in snapshots(sound).items() if name == "fw1"}
    assert {item.kind for item in lists_in_force(sound.compiled.lists, part)} == {"firewall"}


def test_lines_in_force_know_the_rule_that_approved_them(sound: SoundSite) -> None:
    approved = {(item.point, item.name): item for item in sound.compiled.lists}
    for item in lists_in_force(sound.compiled.lists, snapshots(sound)):
        listing = approved[item.point, item.name]
        made = with_approved_origins(item, listing)
        assert {ace.label for ace in made.aces} - {"default rule"} == set(
            made.origins
        )  # the cell's own end, behind the list's
        assert dict(made.origins).items() <= dict(listing.origins).items()
        assert [replace(a, label="") for a in made.aces] == [replace(a, label="") for a in item.aces]


def test_a_line_that_nobody_approved_comes_from_nowhere(sound: SoundSite) -> None:
    """Not even where it stands below a remark of ours, or holds more than the approved line."""
    texts = {
        f"{item.kind}/{item.name}": str(item.body["content"])
        for target in sound.compiled.targets
        for item in target.objects
        if item.kind == "downloadable_acl"
    }
    seen = 0
    for key, text in texts.items():
        lines = text.splitlines()
        first = next(n for n, line in enumerate(lines) if line.startswith("permit") and " eq " in line)
        wider = lines[first].rpartition(" eq ")[0]
        lines[first] = wider
        live = lists_in_force(sound.compiled.lists, snapshots(sound, {key: {"content": "\n".join(lines) + "\n"}}))
        item = next(one for one in live if one.kind == "dacl" and key.endswith(f"/{one.name}"))
        listing = next(one for one in sound.compiled.lists if (one.point, one.name) == (item.point, item.name))
        made = with_approved_origins(item, listing)
        foreign = [ace for ace in made.aces if ace.label not in made.origins]
        assert [ace.label for ace in foreign] == [wider]
        seen += 1
    assert seen >= 3
