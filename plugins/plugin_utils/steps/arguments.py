# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Arguments of the actions to the values that the steps take."""

from __future__ import annotations

import zoneinfo
from collections.abc import Mapping
from datetime import UTC, date, datetime, tzinfo
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.clock import utc_now
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.yaml_io import load_yaml
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.commit import commit_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.paths import Paths


def paths_of(values: Mapping[str, Any], way_back: bool = False) -> Paths:
    """Return the directories that an action's arguments name; for a way back also where the state's ref cannot be reached."""
    return Paths.of(
        values.get("policy_dir") or "policies",
        values.get("data_dir") or ".microseg",
        values.get("output_dir") or "",
        values.get("state_dir") or "",
        [str(item) for item in values.get("rules_dirs") or ()],
        way_back,
    )


def today_of(values: Mapping[str, Any]) -> date:
    """Return the date at which expiry is judged: the argument ``today``, else the present day in the site's time zone.

    UTC where the policy directory does not say a time zone that is known: loading it says so.
    """
    text = values.get("today")
    if not text:
        return utc_now().astimezone(_time_zone(paths_of(values).policy)).date()
    try:
        return date.fromisoformat(str(text))
    except ValueError as error:
        raise FindingError(codes.BAD_ARGUMENT.at(f"today: {str(text)[:40]!r} is not a date as YYYY-MM-DD")) from error


def _time_zone(policy: Path) -> tzinfo:
    try:
        head = load_yaml(policy / "site.yml").value
        return zoneinfo.ZoneInfo(head["time_zone"]) if isinstance(head, dict) else UTC
    except (FindingError, OSError, KeyError, TypeError, ValueError):  # ZoneInfoNotFoundError is a KeyError
        return UTC


def moment_of(values: Mapping[str, Any]) -> datetime:
    """Return the moment at which time windows are judged: now, on the day of the argument ``today`` where there is one.

    That day is one of the site's time zone, as for expiry.
    """
    now = utc_now()
    if not values.get("today"):
        return now
    zone = _time_zone(paths_of(values).policy)
    return datetime.combine(today_of(values), now.astimezone(zone).time(), zone).astimezone(UTC)


def commit_name(policy_dir: Path) -> str:
    """Return the policy directory's commit, with ``+dirty`` where documents differ from it, or empty text without git."""
    commit, dirty = commit_of(policy_dir)
    return f"{commit}+dirty" if commit and dirty else commit
