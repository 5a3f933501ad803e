# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What rings of other commits have put in force already, while a posture is pulled or released from the documents that were applied last.

A rollout of weeks leaves some objects as its commit has them and the others as the commit before. An emergency changes neither: what a ring
has put in force is compiled from the commit of that ring, with the posture.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.git import committed_copy
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.commit import DIRTY
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.pending import PUSH
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import Compiled, DesiredTarget
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.paths import Paths
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.site import SoundSite, sound_site

Key = tuple[str, str, str]  # target, kind and name of an object
SHOWN = 5


def put_in_force(entries: Iterable[Mapping[str, Any]]) -> dict[Key, str]:
    """Return each object that a ring or an interrupted plan left as its commit has it, since a plan was carried out to its end; pure.

    What was undone since is not among them, nor what a posture wrote in an emergency.
    """
    commits: dict[str, str] = {}
    steps: dict[tuple[str, str, str], Key] = {}
    found: dict[Key, str] = {}
    for entry in entries:
        event, plan = entry["event"], str(entry.get("plan_id", ""))
        if event == "plan_started":
            commits[plan] = "" if entry.get("emergency") else str(entry.get("policy_commit", ""))
        elif event == "operation_started":
            step, target = entry["operation"], str(entry["target"])
            if step.get("action") != PUSH:
                steps[plan, target, str(step["id"])] = (target, str(step["kind"]), str(step["name"]))
        elif event in ("operation_done", "undo_done"):
            key = steps.get((plan, str(entry["target"]), str(entry["operation_id"])))
            if key is not None and commits.get(plan):
                if event == "operation_done":
                    found[key] = commits[plan]
                else:
                    found.pop(key, None)
        elif event == "plan_done" and commits.get(plan):
            found.clear()
    return found


@dataclass(frozen=True)
class Newer:
    """Objects to keep as other commits have them: those that could be read, compiled with the postures that they know.

    ``unread``: objects of commits that cannot be read or do not know the posture; they are left alone, unless the posture needs them.
    """

    keys: Mapping[Key, str]
    compiled: Mapping[str, Compiled]
    unread: frozenset[Key] = frozenset()

    def merged(self, made: Compiled) -> Compiled:
        """Return what documents compile to, with the objects and lists that other commits have put in force as those have them."""
        for commit, other in self.compiled.items():
            made = with_objects(made, other, {key for key, of in self.keys.items() if of == commit} - self.unread)
        return made

    def findings(self, touched: Collection[Key]) -> list[Finding]:
        """Return what to say of the objects that a posture writes (``touched``)."""
        kept = sorted(key for key in touched if key in self.keys and key not in self.unread)
        lost = sorted(self.unread & set(touched))
        said = [codes.NEWER_KEPT.at(_names(kept, self.keys))] if kept else []
        return said + ([codes.NEWER_LOST.at(_names(lost, self.keys))] if lost else [])


def _names(keys: Sequence[Key], commits: Mapping[Key, str]) -> str:
    shown = ", ".join(
        f"{kind} {name} on {target} (commit {commits[target, kind, name][:12]})" for target, kind, name in keys[:SHOWN]
    )
    return shown + (f" and {len(keys) - SHOWN} more" if keys[SHOWN:] else "")


def with_objects(made: Compiled, other: Compiled, keys: Collection[Key]) -> Compiled:
    """Return a compiled policy in which these objects, and the lists of these names, are as another one has them, or absent like there."""
    if not keys:
        return made
    platforms = {item.host: item.platform for item in (*other.targets, *made.targets)}
    theirs = {(item.host, each.kind, each.name): each for item in other.targets for each in item.objects}
    ours = {item.host: [(item.host, each.kind, each.name, each) for each in item.objects] for item in made.targets}
    targets = []
    for host in dict.fromkeys((*ours, *sorted(target for target, _kind, _name in keys if target in platforms))):
        held = [each for target, kind, name, each in ours.get(host, ()) if (target, kind, name) not in keys]
        held += [theirs[key] for key in sorted(keys) if key[0] == host and key in theirs]
        targets.append(DesiredTarget(host, platforms[host], tuple(held)))
    names = {(target, name) for target, _kind, name in keys}
    lists = [item for item in made.lists if (item.host, item.name) not in names]
    lists += [item for item in other.lists if (item.host, item.name) in names]
    return replace(made, lists=tuple(lists), targets=tuple(targets))


def newer_than(
    commit: str,
    entries: Sequence[Mapping[str, Any]],
    paths: Paths,
    today: date,
    moment: datetime | None,
    postures: Collection[str],
) -> Newer:
    """Return what rings of other commits than ``commit`` have put in force, with these postures pulled."""
    keys = {key: of for key, of in put_in_force(entries).items() if of != commit}
    compiled: dict[str, Compiled] = {}
    unread: set[Key] = set()
    for other in sorted(set(keys.values())):
        mine = {key for key, of in keys.items() if of == other}
        site = _site_of(other, paths, today, moment, postures)
        if site is None:
            unread |= mine
        else:
            compiled[other] = site.compiled
    return Newer(keys, compiled, frozenset(unread))


def _site_of(
    commit: str, paths: Paths, today: date, moment: datetime | None, postures: Collection[str]
) -> SoundSite | None:
    if commit.startswith(DIRTY):
        return None
    try:
        with committed_copy(paths.policy, commit, codes.GIT_FAILED) as copy:
            return sound_site(replace(paths, policy=copy), today, moment, cached=False, postures=postures)
    except (FindingError, OSError):
        return None
