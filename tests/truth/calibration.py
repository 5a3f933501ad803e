# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How well the completeness estimate holds on sites whose future is known: every segment, at several cut-off days.

The truth at a cut-off day is what the next 30 days bring. Of uses, what devices bring that turn up later counts as known where their
segment is known to need it: a rule permits it. Two naive ways stand beside the estimate: what was new in the last seven days
goes on being new, and nothing new ever comes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.completeness import (
    HORIZON,
    Completeness,
    Incidence,
    completeness,
)
from tests.truth.sites import KINDS, LEGITIMATE, SiteTruth, make_site

CUT_OFF_DAYS = (10, 14, 21, 30, 45, 60)
NAIVE_DAYS = 7


@dataclass(frozen=True)
class Case:
    """One segment of one site at one cut-off day: what was said and what came."""

    site: str
    segment: str
    day: int
    said: Completeness
    seen: float
    conversations: float
    naive_seen: float
    naive_conversations: float
    life_safety_missed: int
    uses: float
    naive_uses: float
    unpermitted: float


def legitimate(site: SiteTruth) -> dict[str, Any]:
    """Return legitimate events with numbers of the conversation, of the permission that it needs, and of the client's type."""
    events = site.picked(site.events["label"] == LEGITIMATE)
    kinds = [each.kind for each in site.devices] + [name for name, _value in site.outside]
    number = {name: place for place, name in enumerate(sorted(set(kinds)))}
    of_end = np.array([number[each] for each in kinds])
    # Addresses outside are one end by network; a dynamic range is one port.
    server = np.where(events["server"] >= len(site.devices), 1_000_000 + of_end[events["server"]], events["server"])
    port = np.where(events["port"] > 49000, 49152, events["port"]) + 65536 * (events["protocol"] == 6)
    return {
        "day": events["day"],
        "client": events["client"],
        "kind": of_end[events["client"]],
        "conversation": (events["client"] << 40) + (server << 17) + port,
        "server": np.where(events["server"] >= len(site.devices), -1, events["server"]),
        "permission": (of_end[events["server"]] << 17) + port,
        "life": np.array([each.life for each in site.talks])[events["talk"]],
        "number": number,
    }


def cases_of(site: SiteTruth, cut_offs: Iterable[int] = CUT_OFF_DAYS) -> list[Case]:
    """Return one case for each segment with traffic before and after each cut-off day."""
    told = legitimate(site)
    made = []
    for day in cut_offs:
        if day + HORIZON > site.days:
            continue
        past, future = told["day"] < day, (told["day"] >= day) & (told["day"] < day + HORIZON)
        incidences = [
            _incidence(site, told, past & (told["kind"] == told["number"][each.name]), each.name, day)
            for each in site.types
        ]
        answers = completeness(incidences, [site.day(number) for number in range(day)])
        for each in incidences:
            mine = told["kind"] == told["number"][each.segment]
            case = _case(
                site, told, each, mine & future, mine & (told["day"] >= day) & told["life"], day, answers[each.segment]
            )
            made += [case] if case else []
    return made


def _incidence(site: SiteTruth, told: dict[str, Any], mask: Any, kind: str, day: int) -> Incidence:
    names = ("conversation", "day", "permission", "client", "server")
    rows = np.unique(np.stack([told[name][mask] for name in names]), axis=1)
    known = sum(each.kind == kind and each.first_day < day for each in site.devices)
    criticality = next(each.criticality for each in site.types if each.name == kind)
    return Incidence(kind, rows[1], rows[0], rows[2], rows[3], known, criticality, rows[4])


def _case(
    site: SiteTruth, told: dict[str, Any], each: Incidence, future: Any, life: Any, day: int, said: Completeness
) -> Case | None:
    come = np.unique(np.stack([told["conversation"][future], told["day"][future]]), axis=1)[0]
    if said.seen is None or not len(come):
        return None
    known = np.unique(each.conversation)
    week = each.day >= day - NAIVE_DAYS
    before = np.unique(each.conversation[~week])
    naive = float(np.isin(each.conversation[week], before).mean()) if week.any() else 1.0
    fresh = (len(known) - len(before)) * HORIZON / NAIVE_DAYS
    uses, naive_uses = _uses(told, each, future, day)
    missed = np.setdiff1d(np.unique(told["permission"][life]), np.unique(each.permission))
    return Case(
        site.name,
        each.segment,
        day,
        said,
        float(np.isin(come, known).mean()),
        len(known) / len(np.union1d(known, come)),
        naive,
        len(known) / (len(known) + fresh),
        len(missed),
        uses,
        naive_uses,
        _unpermitted(told, each, future),
    )


def _uses(told: dict[str, Any], each: Incidence, future: Any, day: int) -> tuple[float, float]:
    """Return the share of the coming uses (client, permission, day) that is known, and of the last week's what was known before."""
    client, permission, when = (told[name][future] for name in ("client", "permission", "day"))
    come = np.unique(np.stack([client, permission, when]), axis=1)
    week = each.day >= day - NAIVE_DAYS
    last = np.unique(np.stack([each.client[week], each.permission[week], each.day[week]]), axis=1)
    before = np.stack([each.client[~week], each.permission[~week]])
    known = _known(come, np.stack([each.client, each.permission]))
    return float(known.mean()), float(_known(last, before).mean()) if week.any() else 1.0


def _known(come: Any, before: Any) -> Any:
    """Return which uses were there before; of clients that were not, which permissions were."""
    pairs = set(zip(*before.tolist(), strict=True))
    clients, permissions = set(before[0].tolist()), set(before[1].tolist())
    return np.array(
        [
            (client, permission) in pairs or (client not in clients and permission in permissions)
            for client, permission in come[:2].T.tolist()
        ],
        dtype=bool,
    )


def _unpermitted(told: dict[str, Any], each: Incidence, future: Any) -> float:
    """Return the share of the distinct conversations to come whose permission no rule learnt by then has."""
    pairs = np.unique(np.stack([told["conversation"][future], told["permission"][future]]), axis=1)
    return float((~np.isin(pairs[1], np.unique(each.permission))).mean())


def summary(cases: Sequence[Case]) -> dict[str, float]:
    """Return the figures of a set of cases: shares from 0 to 1."""
    made: dict[str, float] = {"cases": len(cases)}
    for name in ("seen", "conversations", "uses"):
        intervals = [getattr(each.said, name) for each in cases]
        truth = np.array([getattr(each, name) for each in cases])
        naive = np.array([getattr(each, f"naive_{name}") for each in cases])
        low, high, value = (np.array([getattr(each, end) for each in intervals]) for end in ("low", "high", "value"))
        made |= {
            f"{name}_inside": float(((truth >= low - 1e-9) & (truth <= high + 1e-9)).mean()),
            f"{name}_half_width": float(np.median((high - low) / 2)),
            f"{name}_error": float(np.abs(truth - value).mean()),
            f"{name}_error_naive": float(np.abs(truth - naive).mean()),
            f"{name}_error_nothing_new": float((1 - truth).mean()),
        }
    released = [each for each in cases if each.said.enough]
    made["released"] = len(released)
    made["released_below_threshold"] = sum(each.uses < 0.95 for each in released)
    made["released_above_one_percent"] = sum(each.unpermitted > 0.01 for each in released)
    made["above_one_percent"] = sum(each.unpermitted > 0.01 for each in cases)
    made["released_lacking_life_safety"] = sum(each.life_safety_missed > 0 for each in released)
    made["lacking_life_safety"] = sum(each.life_safety_missed > 0 for each in cases)
    return made


def calibration(
    seeds: Iterable[int], scale: float = 1.0, cut_offs: Sequence[int] = CUT_OFF_DAYS
) -> dict[str, dict[str, float]]:
    """Return the figures of all sites of some seeds, in all and by cut-off day."""
    cases = [
        case
        for seed in seeds
        for kind in KINDS
        for case in cases_of(make_site(kind, seed, max(cut_offs) + HORIZON, scale), cut_offs)
    ]
    made = {"all": summary(cases)}
    for day in cut_offs:
        made[f"day {day}"] = summary([each for each in cases if each.day == day])
    return made
