# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Simulated rollouts with lists on switches that count packets: what devices send is judged entry by entry by a few lines of this file.

The product gets the rows of the flow store and what the switches would show, and nothing else. A list is one for all devices of a switch
(downloaded) or for one port; its entries also count what is nobody's conversation: scans, and the noise that every network has.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from ansible_collections.segwright.microseg.plugins.plugin_utils.change.counted import CountedList
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.health import Talk
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.ring_counts import RingCounters
from tests.unit.change.rollouts import BEGAN, DAY, HISTORY, arrivals

CUT = ("cut, seen as unanswered", "cut, not seen at all", "cut, sampled", "cut, late", "answers refused", "counters cleared",
       "cut on one port")  # fmt: skip
UNCOUNTED = ("hardware does not count",)
HARMLESS = (
    "noise",
    "scan",
    "scan, answers lost",
    "scan, late",
    "scan, sampled",
    "scan, server out",
    "ended before",
    "ended before, sampled",
)
FOREIGN = 99  # a server that no rule names


@dataclass(frozen=True)
class Entry:
    """One entry of a list: server and port, 0 for any; ``answers``: it is about packets from the server's port instead."""

    permit: bool
    server: int
    port: int
    answers: bool = False

    def text(self) -> str:
        host = f"host {server_address(self.server)}" if self.server else "any"
        end = f" eq {self.port}" if self.port else ""
        line = f"any{end} {host}" if self.answers else f"any {host}{end}"
        return f"{'permit' if self.permit else 'deny'} {'tcp' if self.port else 'ip'} {line}"

    def holds(self, server: int, port: int, source_port: int) -> bool:
        if self.answers:
            return self.port in (0, source_port) and self.server in (0, server)
        return self.server in (0, server) and self.port in (0, port)


def server_address(number: int) -> str:
    return f"10.9.0.{number}"


def device_address(number: int) -> str:
    return f"10.1.0.{number + 1}"


@dataclass(frozen=True)
class CountedRollout:
    """Rows to judge, the devices, and the counters of the ring's lists at that moment."""

    talks: list[Talk]
    devices: list[str]
    counters: RingCounters

    def with_counts(self) -> list[Talk]:
        """The rows with what counters say of each, asked for as the product does (steps/rollout.py): only where it is doubtful."""
        found = []
        for talk in self.talks:
            client, server, port = talk.name.split()
            count, where = self.counters.refusal(client, server, 6, int(port)) if talk.doubtful else (0, "")
            found.append(replace(talk, counted=count, counted_by=where) if count else talk)
        return found


class _List:
    """A list on a switch, and what its entries counted since the change."""

    def __init__(self, entries: list[Entry], base: np.ndarray) -> None:
        self.entries, self.base = entries, base
        self.counts = np.zeros(len(entries), int)

    def deciding(self, server: int, port: int, source_port: int) -> int:
        return next(n for n, entry in enumerate(self.entries) if entry.holds(server, port, source_port))

    def shown(self, switch: str, name: str, counts: np.ndarray) -> CountedList:
        pairs = zip(self.entries, counts, strict=True)
        return CountedList(switch, name, tuple((entry.text(), int(count)) for entry, count in pairs))


def counted_rollout(seed: int, what: str, soak: float = 4 * 3600.0) -> CountedRollout:
    """Make one rollout of a class, judged ``soak`` seconds after the change."""
    dice = np.random.default_rng([seed, *what.encode()])
    now, count, rules = BEGAN + soak, int(dice.integers(4, 13)), int(dice.integers(2, 6))
    ports = [int(port) for port in dice.choice(np.arange(1024, 9000), rules, replace=False)]
    by_port = what == "cut on one port" or (what not in ("answers refused",) and dice.random() < 0.3)
    switches = [f"acc{int(dice.integers(0, 3))}" for _ in range(count)]
    sampled, late = "sampled" in what, "late" in what
    delay = float(dice.uniform(300, 1500)) if late else 60.0
    lag = float(dice.uniform(0, 90))  # until a switch shows what its hardware counted
    loss = 0.03 if "answers lost" in what else 0.002
    hit = what in (*CUT, *UNCOUNTED)
    ended = what.startswith("ended before")
    answers_cut = what == "answers refused"
    victim, lost_rule = int(dice.integers(0, count)), int(dice.integers(0, rules))
    outage = float(dice.uniform(BEGAN - 3600, now - 300))

    def entries(cut: bool) -> list[Entry]:
        held = [Entry(True, rule + 1, port) for rule, port in enumerate(ports) if not (cut and rule == lost_rule)]
        first = [Entry(False, 0, 23)] if dice.random() < 0.5 else []
        return [*first, *held, Entry(False, 0, 0)]

    def servers_entries(cut: bool) -> list[Entry]:
        return [Entry(True, 0, p, True) for n, p in enumerate(ports) if not (cut and n == lost_rule)] + [
            Entry(False, 0, 0)
        ]

    lists: dict[tuple[str, str], _List] = {}
    of_device: list[tuple[str, str]] = []
    same = entries((hit and not answers_cut and not by_port) or ended)
    for device in range(count):
        name = f"SW_clients_{device}__b" if by_port else "xACSACLx-IP-SW_clients-6746a1b2"
        key = (switches[device], name)
        of_device.append(key)
        if key not in lists:
            made = entries((hit and device == victim) or ended) if by_port else same
            base = dice.integers(0, 1000, len(made)) * int(dice.random() < 0.5)
            lists[key] = _List(made, base)
    servers_key = ("acc9", "xACSACLx-IP-SW_servers-6746a1b2")
    if answers_cut:
        made = servers_entries(True)
        lists[servers_key] = _List(made, np.zeros(len(made), int))

    talks: list[Talk] = []
    for device in range(count):
        used = sorted({int(rule) for rule in dice.integers(0, rules, int(dice.integers(1, 4)))})
        if hit and device == victim and lost_rule not in used:
            used.append(lost_rule)
        if ended and device == victim and lost_rule not in used:
            used.append(lost_rule)
        for rule in used:
            counted = lists[of_device[device]]
            place = counted.deciding(rule + 1, ports[rule], 50_000)
            dropped = not counted.entries[place].permit
            often = hit and device == victim and rule == lost_rule
            kind = "clock" if often else str(dice.choice(["clock", "random", "day"]))
            period = float(dice.choice([60, 300, 600]) if often else dice.choice([60, 300, 900, 3600]))
            starts = arrivals(dice, kind, period, now)
            if ended and rule == lost_rule:  # nobody misses it, so nobody allowed it
                starts = starts[starts < BEGAN - float(dice.uniform(0.25, 10)) * DAY]
            answered = dice.random(len(starts)) >= loss
            if what == "scan, server out" and rule == lost_rule:
                answered &= ~((starts > outage) & (starts < outage + 120))
            since = starts >= BEGAN
            in_time = int(np.count_nonzero(since & (starts <= now - lag)))
            counted.counts[place] += int(dice.integers(*((1, 4) if dropped else (5, 40)), in_time).sum())
            if answers_cut:
                back = lists[servers_key]
                where = back.deciding(0, 50_000, ports[rule])
                back.counts[where] += in_time * 2
                if not back.entries[where].permit:
                    answered &= ~since
            keep = np.ones(len(starts), bool)
            if dropped:
                answered &= ~since
                if what == "cut, not seen at all":
                    keep &= ~since
            if sampled:
                keep &= dice.random(len(starts)) < 0.2
            until = now - delay
            keep &= starts <= until
            talks.append(_row(device, rule, ports[rule], starts[keep], answered[keep], until))

    # Nobody's conversations: broadcasts and the like, all the time; scans, some of the time.
    for counted in lists.values():
        counted.counts[-1] += int(dice.poisson(soak / 3600 * float(dice.uniform(0, 200))))
        if what.startswith(("scan", "ended")):
            many = int(dice.integers(1, 2000))
            aims = dice.choice([FOREIGN, *range(1, rules + 1)], many)
            for (aim, port), times in Counter(
                zip(aims.tolist(), dice.choice([*ports, 22, 23, 80, 443, 3389], many).tolist(), strict=True)
            ).items():
                counted.counts[counted.deciding(aim, port, 50_000)] += times

    before = {key: counted.shown(*key, counted.base) for key, counted in lists.items()}
    shown = []
    for key, counted in lists.items():
        total = counted.base + counted.counts
        if what == "counters cleared":  # at some moment of the watch, and counting goes on from zero
            total = (counted.counts * float(dice.uniform(0.3, 1.0))).astype(int)
        shown.append(counted.shown(*key, counted.base if what in UNCOUNTED else total))
    return CountedRollout(
        talks, [f"d{n}" for n in range(count)], _counters(switches, by_port, answers_cut, rules, before, shown)
    )


def _days(starts: np.ndarray) -> int:
    """The number of days in sorted moments of the history."""
    return int(np.count_nonzero(np.diff(np.searchsorted(starts, np.arange(HISTORY + 3) * DAY))))


def _row(device: int, rule: int, port: int, starts: np.ndarray, answered: np.ndarray, until: float) -> Talk:
    old = starts < BEGAN
    before, after = starts[old], answered[~old]
    pauses = np.diff(before)
    return Talk(
        f"{device_address(device)} {server_address(rule + 1)} {port}", f"d{device}", len(before), int(answered[old].sum()),
        _days(before), float(pauses.max()) if len(pauses) else 0.0, BEGAN, len(after), int((~after).sum()),
        int((~after[-5:]).sum()), float(starts[-1]) if len(starts) else 0.0, until,
    )  # fmt: skip


def _counters(
    switches: list[str],
    by_port: bool,
    answers_cut: bool,
    rules: int,
    before: dict[tuple[str, str], CountedList],
    shown: list[CountedList],
) -> RingCounters:
    members: dict[str, list[Any]] = {"clients": [], "servers": []}
    for device, switch in enumerate(switches):
        members["clients"].append(
            SimpleNamespace(
                device=f"d{device}", switch=switch, interface=f"Gi1/0/{device}", addresses=(device_address(device),)
            )
        )
    for rule in range(rules):
        members["servers"].append(
            SimpleNamespace(
                device=f"s{rule}", switch="acc9", interface=f"Gi2/0/{rule}", addresses=(server_address(rule + 1),)
            )
        )
    lists = []
    if by_port:
        lists = [
            PointList(
                f"p{device}", "port_acl", "ios", switch, f"SW_clients_{device}", "enforce", (), False, False, "clients",
                interfaces=(f"Gi1/0/{device}",),
            )
            for device, switch in enumerate(switches)
        ]  # fmt: skip
    else:
        lists = [PointList("c", "dacl", "ise", "ise1", "SW_clients", "enforce", (), False, False, "clients")]
    if answers_cut:
        lists.append(PointList("s", "dacl", "ise", "ise1", "SW_servers", "enforce", (), False, False, "servers"))
    site: Any = SimpleNamespace(members=members)
    return RingCounters(site, lists, before, lambda: (shown, []), frozenset({*switches, "acc9"}))
