# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which teams own which file of a policy directory, and how critical what it describes is: one answer for CODEOWNERS and for apply."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import CRITICALITIES, Site

LOCK = "members.lock.json"
_PREFIX = re.compile(r"\A[A-Za-z0-9._/-]*\Z")
LEAST_CRITICAL = CRITICALITIES[-1]


def site_team(site: Site) -> str:
    """Return the team for what belongs to no zone, empty where approvers.yml names none."""
    return site.approvers.site if site.approvers else ""


def segment_teams(site: Site, name: str) -> frozenset[str]:
    """Return the owners of a segment: its own and its zone's."""
    segment = site.segments[name]
    zone = site.zones.get(segment.zone)
    return frozenset((segment.owner, *((zone.owner,) if zone else ())))


class Owners:
    """Who owns which file of one site's policy directory; the site is looked through once."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._described: dict[str, list[str]] = {}
        for name, segment in site.segments.items():
            paths = (segment.location.file, f"{segment.zone}/{name}.yml", f"evidence/{name}.json")
            for path in dict.fromkeys(paths):
                self._described.setdefault(path, []).append(name)
        self._worst_of_all = _worst(site, site.segments)

    def of(self, path: str, moved_segments: Iterable[str] = ()) -> tuple[frozenset[str], str]:
        """Return (owning teams, highest criticality) of a file, its path relative to the policy directory.

        Segment and evidence files belong to the owners of segment and zone, everything else to the site's team. The lock belongs
        to the owners of the segments whose members moved (``moved_segments``), and to the site's team where none is known.
        """
        site = self.site
        if path == LOCK:
            named = [name for name in moved_segments if name in site.segments]
        else:
            named = self._described.get(path, [])
        if not named:
            team = site_team(site)
            return frozenset((team,) if team else ()), LEAST_CRITICAL if path == LOCK else self._worst_of_all
        teams = frozenset(team for name in named for team in segment_teams(site, name))
        return teams, _worst(site, named)


def _worst(site: Site, names: Iterable[str]) -> str:
    found = [CRITICALITIES.index(site.segments[name].criticality) for name in names]
    return CRITICALITIES[min(found)] if found else LEAST_CRITICAL


def codeowners(site: Site, prefix: str = "policies") -> str:
    """Return a CODEOWNERS file (GitHub, GitLab, Gitea) for a policy directory at ``prefix`` of its repository; the last match counts.

    Raises ValueError for a prefix that CODEOWNERS would read as a pattern; KeyError where the site has no approvers.yml
    or an owner has no team in it.
    """
    if site.approvers is None:
        raise KeyError("approvers.yml")
    teams = site.approvers.teams
    folder = prefix.removeprefix("./").strip("/")
    if not _PREFIX.match(folder) or ".." in folder.split("/"):
        raise ValueError("a blank or pattern in the directory's name would give it other owners")
    root = f"/{folder}" if folder not in ("", ".") else ""
    lines = [
        "# Made from approvers.yml and the owners of zones and segments; made anew with every change of them.",
        f"{f'{root}/' if root else '*'} {_people(teams, (site.approvers.site,))}",
    ]
    for name, segment in sorted(site.segments.items(), key=lambda item: (item[1].zone, item[0])):
        who = _people(teams, sorted(segment_teams(site, name)))
        lines += [f"{root}/{segment.zone}/{name}.yml {who}", f"{root}/evidence/{name}.json {who}"]
    return "\n".join(lines) + "\n"


def _people(teams: Mapping[str, tuple[str, ...]], names: Iterable[str]) -> str:
    return " ".join(dict.fromkeys(person for name in names for person in teams[name]))
