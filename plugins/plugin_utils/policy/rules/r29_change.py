# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules for approvers.yml and calendar.yml."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.change_documents import (
    EVERY_ZONE,
    ChangeWindow,
    Freeze,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.owners import segment_teams
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.ruling import Context, rule


@rule(codes.OWNER_WITHOUT_PEOPLE)
def owners_have_people(site: Site, _context: Context) -> Iterator[Finding]:
    """Where approvers.yml exists, each owner of a zone or segment, and the site's team, has people in it."""
    if site.approvers is None:
        return
    wanted = {site.approvers.site: "the site"}
    for name in sorted(site.segments):
        for team in sorted(segment_teams(site, name)):
            wanted.setdefault(team, f"segment {name}")
    for team, what in sorted(wanted.items()):
        if team not in site.approvers.teams:
            yield codes.OWNER_WITHOUT_PEOPLE.at(f"{team}, which owns {what}", site.approvers.location)


@rule(codes.TOO_FEW_PEOPLE)
def enough_people_exist(site: Site, _context: Context) -> Iterator[Finding]:
    """No criticality asks for more approvers than the site has people, one author of the change left out."""
    if site.approvers is None:
        return
    people = {person for members in site.approvers.teams.values() for person in members}
    for criticality, least in sorted({**site.approvers.least, **site.approvers.risk}.items()):
        if least >= len(people) and len(people) > 0 and least > 1:
            text = f"{criticality} asks for {least} people, of {len(people)} who may approve one may be the author"
            yield codes.TOO_FEW_PEOPLE.at(text, site.approvers.location)


@rule(codes.UNKNOWN_CALENDAR_ZONE, codes.ZONE_WITHOUT_WINDOW)
def calendar_names_zones(site: Site, context: Context) -> Iterator[Finding]:
    """Windows and freezes name zones that exist, and each zone has a window that is still to come."""
    if site.calendar is None:
        return
    items: list[ChangeWindow | Freeze] = [*site.calendar.windows, *site.calendar.freezes]
    for item in items:
        for zone in item.zones:
            if zone != EVERY_ZONE and zone not in site.zones:
                yield codes.UNKNOWN_CALENDAR_ZONE.at(f"{item.id}: {zone}", item.location)
    today = context.today.isoformat()
    for zone in sorted(site.zones):
        if not any(
            window.is_for(zone) and (not window.last or window.last >= today) for window in site.calendar.windows
        ):
            yield codes.ZONE_WITHOUT_WINDOW.at(f"zone {zone}", site.calendar.location)


@rule(codes.EMPTY_TIME)
def times_hold_something(site: Site, _context: Context) -> Iterator[Finding]:
    """Dates exist; a freeze ends after it begins, and a window's last day is not before its first."""
    if site.calendar is None:
        return
    for window in site.calendar.windows:
        bad = [text for text in (window.first, window.last) if text and _moment(text) is None]
        if bad:
            yield codes.EMPTY_TIME.at(f"window {window.id}: {bad[0]} is no date", window.location)
        elif window.first and window.last and window.last < window.first:
            yield codes.EMPTY_TIME.at(f"window {window.id} ends before it begins", window.location)
    for freeze in site.calendar.freezes:
        start, end = _moment(freeze.start), _moment(freeze.end)
        if start is None or end is None:
            yield codes.EMPTY_TIME.at(f"freeze {freeze.id}: no date or time", freeze.location)
        elif end < start or (end == start and " " in freeze.end):
            yield codes.EMPTY_TIME.at(f"freeze {freeze.id} ends before it begins", freeze.location)


def _moment(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y-%m-%d %H:%M" if " " in text else "%Y-%m-%d")
    except ValueError:
        return None
