# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which versions of a list on a device an undo brings back, whatever an interrupted run left beside them. Pure; knows no platform.

A run that died between building a version and removing the old one is gone on with from there. What it found then is not what stood
before the step: to record that would lead the way back to the new list.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Operation
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_config import SUFFIXES

# (live name, text of a list) -> whether the list is as the text says.
Means = Callable[[str, str], bool]


def stood_before(step: Operation, versions: Sequence[str], means: Means) -> list[str]:
    """Return those of a list's versions that are as the plan found the list: neither the new one, nor what is half typed."""
    if step.before is None:
        return []
    content = str(step.before["content"])
    return [live for live in versions if means(live, content)]


def places_before(places: Iterable[Any], groups: Mapping[Any, str], was: Sequence[str]) -> list[list[Any]]:
    """Return each place and the version that it had before the step: where the new one is in force already, that of the others."""
    return [[*place, groups[place] if groups[place] in was else was[0]] for place in places if was]


def former_name(base: str, current: str, used: Collection[str]) -> str:
    """Return the live name that a list had before it got its present one (``current``); one that is not ``used``.

    Versions go round (a, b, c, a), so the one before is known although nothing of it is left.
    """
    names = [base + suffix for suffix in SUFFIXES]
    start = names.index(current) if current in names else 1
    ordered = [names[(start - 1 - number) % len(names)] for number in range(len(names))]
    return next((name for name in ordered if name not in used), names[0])


def half_typed(
    entries: Sequence[str], wanted: Sequence[str], same: Callable[[Sequence[str], Sequence[str]], bool]
) -> bool:
    """Return whether entries are the beginning of what a run was typing when it ended; a line typed twice stands there once."""
    whole = list(dict.fromkeys(wanted))
    return len(entries) < len(whole) and (not entries or same(entries, whole[: len(entries)]))
