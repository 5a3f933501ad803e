# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is written to devices is what the time windows say at the moment, and nothing is open in between."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import NORMAL
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps import arguments
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.explain import run_explain
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.paths import Paths
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.plan import _compiled_for
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.render import run_render
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.site import present_situation, sound_site
from tests.unit.steps.test_commits import checkout  # noqa: F401  (a fixture)

MONDAY = date(2026, 11, 23)
EXCEPTION = """\
exceptions:
  - id: vendor-debug
    kind: vendor_access
    who: The manufacturer's service desk
    client: infusion_pumps
    to: pump_servers
    services: [ssh]
    valid_from: 2026-11-20
    expires: 2026-12-18
    conditions:
      windows:
        - days: [mon]
          start: "08:00"
          end: "17:00"
    ticket: CHG-4711
    owner: clinical-engineering
    reason: A pump loses its connection; the manufacturer looks for the cause
"""


@pytest.mark.parametrize(("hour", "is_open"), [(6, False), (7, True), (15, True), (16, False)])  # Vienna is UTC + 1
def test_lists_hold_a_windowed_permission_only_while_it_is_open(
    checkout: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    hour: int,
    is_open: bool,
) -> None:
    (checkout / "exceptions.yml").write_text(EXCEPTION)
    moment = datetime(2026, 11, 23, hour, 30, tzinfo=UTC)
    sound = sound_site(Paths.of(str(checkout), "unused"), MONDAY, moment, cached=False)
    assert sound.site.time_zone == "Europe/Vienna" and sound.situation != NORMAL
    labels = {ace.label for listing in sound.compiled.lists for ace in listing.aces}
    assert ("vendor-debug" in labels) is is_open
    assert ("vendor-debug" in {rule.id for rule in sound.in_force.rules()}) is is_open
    monkeypatch.setattr(arguments, "utc_now", lambda: moment)
    values: dict[str, Any] = {
        "policy_dir": checkout,
        "data_dir": checkout.parent / "data",
        "today": "2026-11-23",
        "diff_mode": False,
    }
    text = "\n".join(str(item["content"]) for item in run_render(values)["lists"])
    assert ("vendor-debug" in text) is is_open
    asked = {**values, "client": "infusion_pumps", "server": "pump_servers", "service": "ssh"}
    assert run_explain(asked)["permitted"] is is_open


def test_a_plan_is_made_for_the_open_windows_and_proved(checkout: Path) -> None:  # noqa: F811
    (checkout / "exceptions.yml").write_text(EXCEPTION)
    site = sound_site(Paths.of(str(checkout), "unused"), MONDAY, cached=False).site
    for hour, is_open in ((6, False), (12, True)):
        situation = present_situation(site, datetime(2026, 11, 23, hour, 0, tzinfo=UTC))
        compiled = _compiled_for(site, situation)
        assert ("vendor-debug" in {ace.label for item in compiled.lists for ace in item.aces}) is is_open
        assert ("vendor-debug" in str(compiled.targets)) is is_open


def test_without_windows_nothing_depends_on_the_hour(checkout: Path) -> None:  # noqa: F811
    moment = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
    assert sound_site(Paths.of(str(checkout), "unused"), MONDAY, moment, cached=False).situation == NORMAL


@pytest.mark.parametrize(("zone", "day"), [("Asia/Tokyo", 24), ("America/Los_Angeles", 23), ("Nowhere/Land", 23)])
def test_the_day_is_that_of_the_site(
    checkout: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    zone: str,
    day: int,
) -> None:
    head = checkout / "site.yml"
    head.write_text(head.read_text().replace("Europe/Vienna", zone))
    monkeypatch.setattr(arguments, "utc_now", lambda: datetime(2026, 11, 23, 20, 0, tzinfo=UTC))
    assert arguments.today_of({"policy_dir": checkout}) == date(2026, 11, day)
    assert arguments.today_of({"policy_dir": checkout, "today": "2026-01-02"}) == date(2026, 1, 2)
    assert arguments.today_of({"policy_dir": checkout / "absent"}) == MONDAY


@pytest.mark.parametrize("hour", [0, 12, 22, 23])
def test_the_given_day_is_one_of_the_sites_time_zone(
    checkout: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    hour: int,
) -> None:
    monkeypatch.setattr(arguments, "utc_now", lambda: datetime(2026, 11, 26, hour, 30, tzinfo=UTC))
    text = (checkout / "site.yml").read_text()
    for zone in ("Europe/Vienna", "Asia/Tokyo", "America/Los_Angeles"):
        (checkout / "site.yml").write_text(text.replace("Europe/Vienna", zone))
        values = {"policy_dir": checkout, "today": "2026-11-23"}
        assert arguments.moment_of(values).astimezone(ZoneInfo(zone)).date() == MONDAY == arguments.today_of(values)
