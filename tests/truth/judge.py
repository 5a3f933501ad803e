# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a policy would do to a site whose truth is known. Reads the policy's own files; knows nothing of how they were made.

A conversation is a tuple of client device, server device (or address outside), protocol and port. A policy is asked once for each distinct
one. ``inside`` legitimate tuples lies a hostile conversation whose client's type may open to the server's type on that port.
"""

from __future__ import annotations

import ipaddress
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import yaml

from tests.truth.blueprints import SERVICES, Talk
from tests.truth.sites import LABELS, LEGITIMATE, SiteTruth

NUMBERS = {"tcp": 6, "udp": 17}
SHARES = (
    "cut_flows", "cut_flows_right_profiles", "cut_flows_after_answers", "cut_flows_came_later",
    "cut_conversations", "cut_conversations_right_profiles", "cut_conversations_after_answers",
)  # fmt: skip


class Policy(Protocol):
    """What can be judged: whether it permits a tuple, how many it permits, and in how many rules."""

    name: str

    def permits(self, client: int, server: int, protocol: int, port: int) -> bool:
        """Return whether the policy passes a conversation between devices or addresses by number."""

    def size(self) -> int:
        """Return how many tuples between ends that exist are permitted."""

    def rules(self) -> int:
        """Return how many rules say so."""


@dataclass
class WrittenPolicy:
    """The policy in a directory: segment files, services, networks and the lock of members."""

    site: SiteTruth
    name: str = "proposal"
    segment_of: dict[int, str] = field(default_factory=dict)
    allowed: dict[tuple[str, str], set[tuple[int, int, int]]] = field(default_factory=dict)
    networks: dict[str, set[int]] = field(default_factory=dict)
    listed: list[tuple[str, str, str]] = field(default_factory=list)
    asked: set[tuple[str, str, int, int]] = field(default_factory=set)
    asked_sets: set[str] = field(default_factory=set)

    @classmethod
    def read(cls, site: SiteTruth, policy: Path, learnt_days: int = 30) -> WrittenPolicy:
        """Return the policy of a directory that was made when so many days were over."""
        made = cls(site)
        by_mac = {each.mac: each.number for each in site.devices}
        lock = json.loads((policy / "members.lock.json").read_text(encoding="utf-8"))
        for segment, entry in lock["segments"].items():
            for device in entry["devices"]:
                made.segment_of[by_mac[device["device"]]] = segment
        # Who came later is in the segment that his profile puts him in: members are a query, not a list.
        for each in site.devices:
            if each.first_day >= learnt_days:
                made.segment_of.setdefault(each.number, each.profile)
        services, symmetric = _services(policy)
        for name, value in yaml.safe_load((policy / "networks.yml").read_text(encoding="utf-8"))["networks"].items():
            made.networks[name] = made._ends_in(value["prefixes"])
        for path in sorted(policy.glob("*/*.yml")):
            document = yaml.safe_load(path.read_text(encoding="utf-8"))
            if not isinstance(document, dict) or "segment" not in document:
                continue
            for rule in document.get("allow") or ():
                for service in rule["services"]:
                    made.listed.append((document["segment"], rule["to"], service))
                    made.allowed.setdefault((document["segment"], rule["to"]), set()).update(services[service])
                    if service in symmetric:
                        made.allowed.setdefault((rule["to"], document["segment"]), set()).update(services[service])
        return made

    def _ends_in(self, prefixes: list[str]) -> set[int]:
        nets = [ipaddress.ip_network(each) for each in prefixes]
        begin, last = len(self.site.devices), self.site.days - 1
        ends = [(number, int(value)) for number, value in enumerate(self.site.address[:, last])]
        ends += [(begin + number, value) for number, (_name, value) in enumerate(self.site.outside)]
        return {number for number, value in ends if any(ipaddress.ip_address(value) in net for net in nets)}

    def _targets(self, server: int) -> list[str]:
        found = [self.segment_of[server]] if server in self.segment_of else []
        return found + [name for name, ends in self.networks.items() if server in ends]

    def permits(self, client: int, server: int, protocol: int, port: int) -> bool:
        """As in ``Policy``."""
        segment = self.segment_of.get(client, "")
        return any(
            of == protocol and low <= port <= high
            for target in self._targets(server)
            for of, low, high in self.allowed.get((segment, target), ())
        )

    def asks(self, client: int, server: int, protocol: int, port: int) -> bool:
        """Return whether a person was asked about what the conversation needs: in the queue, among what is expected, or who opens the
        network set."""
        segment = self.segment_of.get(client, "")
        targets = self._targets(server)
        return any(target in self.asked_sets or (segment, target, protocol, port) in self.asked for target in targets)

    def questions(self, answer: Mapping[str, Any]) -> None:
        """Take in the questions of propose.json that name a segment, a target, a protocol and a port."""
        for item in answer.get("expected", ()):
            self.asked.add((item["client"], item["to"], int(item["protocol"]), int(item["port"])))
        self.asked_sets |= {item["server"] for item in answer["review"] if item["kind"] == "network-set"}
        for item in answer["review"]:
            self.asked.add((item["client"], item["server"], NUMBERS.get(item["protocol"], 0), int(item["port"])))

    def matching(self, client: int, server: int) -> list[tuple[tuple[str, str], set[tuple[int, int, int]]]]:
        """Return what is allowed between two ends, by client segment and target."""
        segment = self.segment_of.get(client, "")
        return [
            ((segment, target), self.allowed[segment, target])
            for target in self._targets(server)
            if (segment, target) in self.allowed
        ]

    def sizes(self) -> dict[tuple[str, str], int]:
        """Return how many tuples each client segment and target is permitted, each pair by itself."""
        members = Counter(self.segment_of.values())
        made = {}
        for (segment, target), matches in self.allowed.items():
            ports = {(of, port) for of, low, high in matches for port in range(low, high + 1)}
            ends = members.get(target, 0) or len(self.networks.get(target, ()))
            made[segment, target] = len(ports) * members.get(segment, 0) * (ends - (segment == target))
        return made

    def size(self) -> int:
        """As in ``Policy``."""
        members: dict[str, set[int]] = {}
        for number, segment in self.segment_of.items():
            members.setdefault(segment, set()).add(number)
        ports: dict[tuple[str, int], set[tuple[int, int]]] = {}
        for (segment, target), matches in self.allowed.items():
            for end in members.get(target) or self.networks.get(target, set()):
                own = ports.setdefault((segment, end), set())
                own.update((of, port) for of, low, high in matches for port in range(low, high + 1))
        return sum(
            len(own) * (len(members.get(segment, ())) - (end in members.get(segment, ())))
            for (segment, end), own in ports.items()
        )

    def rules(self) -> int:
        """As in ``Policy``."""
        return len(self.listed)

    def untrue(self) -> list[tuple[str, str, str]]:
        """Return rules that no legitimate use of the segment's type stands behind: what intruders or wrong profiles added.

        A rule with a holding segment at an end is true if some device that waits there truly has the use; if nobody does, it permits
        nothing and is not judged.
        """
        true = {(talk.client, talk.server.removeprefix("net:"), SERVICES[talk.service][:2]) for talk in self.site.talks}
        true_services = _services_of(true)
        found = []
        for (client, target), matches in sorted(self.allowed.items()):
            uses = {
                use
                for one in self._kinds_in(client)
                for other in self._kinds_in(target)
                for use in true_services.get((one, other), ())
            }
            if not (self._kinds_in(client) and self._kinds_in(target)):
                continue
            for protocol, low, high in sorted(matches):
                if not any(protocol == of and low <= port <= high for of, port in uses):
                    found.append((client, target, f"{protocol}/{low}"))
        return found

    def _kinds_in(self, segment: str) -> set[str]:
        """Return what the devices of a segment truly are where it is not called after a type: those that wait for their place."""
        if segment in self.networks or any(each.name == segment for each in self.site.types):
            return {segment}
        return {self.site.devices[number].kind for number, own in self.segment_of.items() if own == segment}


def _services_of(true: set[Any]) -> dict[tuple[str, str], set[tuple[int, int]]]:
    made: dict[tuple[str, str], set[tuple[int, int]]] = {}
    for client, server, service in true:
        made.setdefault((client, server), set()).add(service)
    return made


def _services(policy: Path) -> tuple[dict[str, set[tuple[int, int, int]]], set[str]]:
    """Return (matches of each service, services whose two ends use the same port and may both open)."""
    made: dict[str, set[tuple[int, int, int]]] = {}
    symmetric = set()
    for name, value in yaml.safe_load((policy / "services.yml").read_text(encoding="utf-8"))["services"].items():
        own = made.setdefault(name, set())
        if value.get("symmetric"):
            symmetric.add(name)
        for match in value["match"]:
            for ports in match.get("ports", ()):
                low, _dash, high = str(ports).partition("-")
                own.add((NUMBERS[match["protocol"]], int(low), int(high or low)))
    return made, symmetric


def size_of_true_segments(site: SiteTruth, days: int) -> int:
    """Return how many tuples the policy permits that allows, between the true types, the uses that happened within the first days, and
    no more: less permits no policy of segments that cuts none of them."""
    events = site.picked((site.events["day"] < days) & (site.events["label"] == LEGITIMATE))
    used = {site.talks[number] for number in np.unique(events["talk"])}
    ends = Counter(each.kind for each in site.devices) + Counter(name for name, _value in site.outside)
    size = 0
    for client, server, service in {(talk.client, talk.server, talk.service) for talk in used}:
        _protocol, low, high = SERVICES[service]
        size += (high - low + 1) * ends[client] * (ends[server] - (client == server))
    return size


NEVER, UNRECORDED, TRACED = "never happened", "not recorded", "recorded"


@dataclass
class Traces:
    """The policy of somebody who knows all types and uses, and permits a use between its two types for one record of it in the days
    learnt, by whatever devices, in whichever direction: what it cuts can be learnt from those recordings by nobody.

    ``seen`` are uses with a record, ``happened`` those that happened, recorded or not. Made by ``traces_of`` (``baselines.py``).
    """

    site: SiteTruth
    kinds: list[str]
    seen: set[tuple[str, str, str]]
    happened: set[tuple[str, str, str]]
    name: str = "any trace"

    def __post_init__(self) -> None:
        self._open: dict[tuple[str, str], list[tuple[int, int, int]]] = {}
        for client, server, service in sorted(self.seen):
            self._open.setdefault((client, server), []).append(SERVICES[service])

    def permits(self, client: int, server: int, protocol: int, port: int) -> bool:
        """As in ``Policy``."""
        uses = self._open.get((self.kinds[client], self.kinds[server]), ())
        return any(of == protocol and low <= port <= high for of, low, high in uses)

    def size(self) -> int:
        """As in ``Policy``."""
        ends = Counter(self.kinds)
        return sum(
            (SERVICES[service][2] - SERVICES[service][1] + 1) * ends[client] * (ends[server] - (client == server))
            for client, server, service in self.seen
        )

    def rules(self) -> int:
        """As in ``Policy``."""
        return len(self.seen)

    def cause(self, talk: Talk) -> str:
        """Return what the days learnt hold of a use."""
        key = (talk.client, talk.server, talk.service)
        return TRACED if key in self.seen else UNRECORDED if key in self.happened else NEVER


@dataclass
class Enforced:
    """A written policy where it is enforced: what meets no enforced segment at either end passes, as it does before.

    The list of an enforced segment stops its devices' answers to what no rule permits, whoever opened it.
    """

    written: WrittenPolicy
    segments: frozenset[str]
    name: str = "enforced"

    def permits(self, client: int, server: int, protocol: int, port: int) -> bool:
        """As in ``Policy``."""
        ends = {self.written.segment_of.get(client, ""), self.written.segment_of.get(server, "")}
        return not ends & self.segments or self.written.permits(client, server, protocol, port)


def enforced(site: SiteTruth, written: WrittenPolicy, offered: Iterable[str], since: int, until: int) -> dict[str, Any]:
    """Return what enforcing the offered segments and no other cuts, of all devices, those with a wrong profile among them."""
    names = frozenset(offered)
    policy = Enforced(written, names)
    events = site.picked((site.events["day"] >= since) & (site.events["day"] < until))
    columns = np.stack([events[name] for name in ("client", "server", "protocol", "port", "talk", "label")])
    tuples, where = np.unique(columns, axis=1, return_inverse=True)
    flows = np.bincount(where.ravel(), weights=events["flows"], minlength=tuples.shape[1])
    true = tuples[5] == LEGITIMATE
    cut = true & ~np.array([policy.permits(*(int(each) for each in column[:4])) for column in tuples.T], dtype=bool)
    segment, served = (np.array([written.segment_of.get(int(end), "") for end in ends]) for ends in tuples[:2])
    under = np.isin(segment, sorted(names)) | np.isin(served, sorted(names))
    hostile = ~true & np.array([not policy.permits(*(int(each) for each in column[:4])) for column in tuples.T])
    by_segment = {}
    for name in names:
        own = (segment == name) | (served == name)
        by_segment[name] = _share((cut & own).sum(), (true & own).sum())
    talks = {site.talks[number] for number in tuples[4][cut]}
    late = [each.first_day >= since and each.profile != each.kind for each in site.devices]
    newcomers = np.array([*late, *[False] * len(site.outside)])
    known = cut & ~(newcomers[tuples[0]] | newcomers[tuples[1]])
    return {
        "segments_offered": len(names),
        "flows_enforced": _share(flows[true & under].sum(), flows[true].sum()),
        "cut_flows": _share(flows[cut].sum(), flows[true & under].sum()),
        "cut_conversations": _share(cut.sum(), (true & under).sum()),
        "segments_above_one_percent": {name: share for name, share in sorted(by_segment.items()) if share > 0.01},
        "life_safety_cut": sorted(talk.name for talk in talks if talk.life),
        "cut_conversations_of_newcomers": int((cut & ~known).sum()),
        "cut_conversations_of_others": int(known.sum()),
        "cut_uses": sorted(f"{talk.name} ({talk.cadence})" for talk in talks),
        "hostile_stopped": int(hostile.sum()),
    }


SAFE, LATER, LITTLE, UNSAFE = "nothing", "newcomers", "little", "more"


def alone(site: SiteTruth, written: WrittenPolicy, since: int, until: int) -> dict[str, str]:
    """Return in a word what enforcing each segment and no other would cut of its conversations, of all devices.

    Nothing; only what has a device at an end that came with a wrong profile after ``since``, which no evidence tells of; a little: one
    percent at most and of no life-safety use; or more.
    """
    events = site.picked(
        (site.events["day"] >= since) & (site.events["day"] < until) & (site.events["label"] == LEGITIMATE)
    )
    names = ("client", "server", "protocol", "port", "talk")
    tuples = np.unique(np.stack([events[name] for name in names]), axis=1)
    cut = ~np.array([written.permits(*(int(each) for each in column[:4])) for column in tuples.T], dtype=bool)
    late = np.array(
        [each.first_day >= since and each.profile != each.kind for each in site.devices] + [False] * len(site.outside)
    )
    newcomers = late[tuples[0]] | late[tuples[1]]
    life = np.array([each.life for each in site.talks])[tuples[4]]
    ends = [np.array([written.segment_of.get(int(end), "") for end in row]) for row in tuples[:2]]
    made = {}
    for name in sorted({*written.segment_of.values()}):
        own = (ends[0] == name) | (ends[1] == name)
        lost = cut & own
        if not own.any():
            continue
        if not lost.any():
            made[name] = SAFE
        elif not (lost & ~newcomers).any():
            made[name] = LATER
        else:
            made[name] = UNSAFE if (lost & life).any() or _share(lost.sum(), own.sum()) > 0.01 else LITTLE
    return made


def judge(site: SiteTruth, policy: Policy, since: int, until: int, traces: Traces | None = None) -> dict[str, Any]:
    """Return what a policy does to the conversations of the days from ``since`` to before ``until``.

    With ``traces`` also what is cut of uses that the recordings of the days learnt show a trace of (``_traced``).
    """
    events = site.picked((site.events["day"] >= since) & (site.events["day"] < until))
    names = ("client", "server", "protocol", "port", "talk", "label")
    tuples, where = np.unique(np.stack([events[name] for name in names]), axis=1, return_inverse=True)
    flows = np.bincount(where.ravel(), weights=events["flows"], minlength=tuples.shape[1])
    passed = np.array([policy.permits(*(int(each) for each in column[:4])) for column in tuples.T], dtype=bool)
    client, server, _protocol, _port, talk, label = tuples
    true = label == LEGITIMATE
    wrong = np.array([each.profile != each.kind for each in site.devices] + [False] * len(site.outside))
    doubtful = wrong[client] | wrong[server]
    cut = true & ~passed
    # Nobody can name a device that was not there yet.
    late = np.array([each.first_day >= since for each in site.devices] + [False] * len(site.outside)) & wrong
    made: dict[str, Any] = {
        "policy": policy.name,
        "rules": policy.rules(),
        "permitted_tuples": policy.size(),
        "legitimate_flows": int(flows[true].sum()),
        "cut_flows": _share(flows[cut].sum(), flows[true].sum()),
        "cut_flows_right_profiles": _share(flows[cut & ~doubtful].sum(), flows[true & ~doubtful].sum()),
        "cut_flows_came_later": _share(flows[cut & (late[client] | late[server])].sum(), flows[true].sum()),
        "cut_conversations": _share(cut.sum(), true.sum()),
        "cut_conversations_right_profiles": _share((cut & ~doubtful).sum(), (true & ~doubtful).sum()),
    }
    kinds = np.array([each.kind for each in site.devices])[client]
    by_segment = {
        each.name: _share(
            (cut & ~doubtful & (kinds == each.name)).sum(), (true & ~doubtful & (kinds == each.name)).sum()
        )
        for each in site.types
    }
    made["segments_above_one_percent"] = {name: share for name, share in by_segment.items() if share > 0.01}
    made["segments"] = sum(1 for each in site.types if (true & (kinds == each.name)).any())
    cadence = np.array([each.cadence for each in site.talks] + [""])[talk]
    made["cut_by_cadence"] = {
        str(name): [int((cut & ~doubtful & (cadence == name)).sum()), int((true & ~doubtful & (cadence == name)).sum())]
        for name in np.unique(cadence[true])
    }
    lost = cut & ~doubtful
    asks = getattr(policy, "asks", None)
    waiting = np.zeros(len(cut), dtype=bool)
    if asks is not None:
        for number in np.flatnonzero(cut):
            waiting[number] = asks(*(int(each) for each in tuples[:4, number]))
    silent = lost & ~waiting
    # Were every question answered as the truth is.
    made["cut_flows_after_answers"] = _share(flows[silent].sum(), flows[true & ~doubtful].sum())
    made["cut_conversations_after_answers"] = _share(silent.sum(), (true & ~doubtful).sum())
    made["segments_above_one_percent_after_answers"] = sum(
        _share((silent & (kinds == each.name)).sum(), (true & ~doubtful & (kinds == each.name)).sum()) > 0.01
        for each in site.types
    )
    made["cut_uses_unasked"] = sorted(
        {f"{site.talks[number].name} ({site.talks[number].cadence})" for number in talk[silent]}
    )
    made["life_safety_cut_unasked"] = sorted(
        {site.talks[number].name for number in talk[silent] if site.talks[number].life}
    )
    made["cut_uses"] = sorted({f"{site.talks[number].name} ({site.talks[number].cadence})" for number in talk[lost]})
    made["life_safety_cut"] = sorted({site.talks[number].name for number in talk[lost] if site.talks[number].life})
    doubtful_life = {site.talks[number].name for number in talk[cut & doubtful] if site.talks[number].life}
    made["life_safety_cut_by_wrong_profiles"] = sorted(doubtful_life - set(made["life_safety_cut"]))
    made |= _hostile(site, tuples, passed & ~true, label)
    if traces is not None:
        of_kind = {each.name: true & ~doubtful & (kinds == each.name) for each in site.types}
        own = np.array([number >= 0 and traces.cause(site.talks[number]) == TRACED for number in talk], dtype=bool)
        made["segments_above_one_percent_traced"] = {
            name: share
            for name, mine in of_kind.items()
            if (share := _share((lost & own & mine).sum(), mine.sum())) > 0.01
        }
        made["life_safety_cut_traced"] = sorted(
            {site.talks[number].name for number in talk[cut & own] if site.talks[number].life}
        )
        made["causes"] = {
            f"{site.talks[number].name} ({site.talks[number].cadence})": traces.cause(site.talks[number])
            for number in np.unique(talk[cut])
        }
    return made


def _hostile(site: SiteTruth, tuples: Any, admitted: Any, label: Any) -> dict[str, Any]:
    kinds = [each.kind for each in site.devices] + [name for name, _value in site.outside]
    true = {(talk.client, talk.server): set() for talk in site.talks}
    for talk in site.talks:
        true[talk.client, talk.server].add(SERVICES[talk.service])
    inside = np.zeros(len(label), dtype=bool)
    for number in np.flatnonzero(label != LEGITIMATE):
        client, server, protocol, port = (int(each) for each in tuples[:4, number])
        uses = true.get((kinds[client], kinds[server]), ())
        inside[number] = any(of == protocol and low <= port <= high for of, low, high in uses)
    outside = admitted & ~inside
    return {
        "hostile": int((label != LEGITIMATE).sum()),
        "hostile_admitted_outside": int(outside.sum()),
        "hostile_admitted_outside_by_kind": {
            LABELS[each]: int((outside & (label == each)).sum()) for each in np.unique(label[outside])
        },
        "hostile_admitted_inside": int((admitted & inside).sum()),
        "hostile_inside": int(inside.sum()),
    }


def _share(part: Any, whole: Any) -> float:
    return round(float(part) / float(whole), 6) if whole else 0.0


def enforced_figures_of(rows: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the figures of ``enforced`` over several sites: cut flows of all that is enforced, sums of counts."""
    under = [row["flows_enforced"] for row in rows]
    cut = sum(row["cut_flows"] * share for row, share in zip(rows, under, strict=True))
    return {
        "segments_offered": sum(row["segments_offered"] for row in rows),
        "flows_enforced": round(float(np.mean(under)), 5),
        "cut_flows": round(cut / sum(under), 6) if sum(under) else 0.0,
        "segments_above_one_percent": sum(len(row["segments_above_one_percent"]) for row in rows),
        "life_safety_cut": sum(len(row["life_safety_cut"]) for row in rows),
        "cut_conversations_of_newcomers": sum(row["cut_conversations_of_newcomers"] for row in rows),
        "cut_conversations_of_others": sum(row["cut_conversations_of_others"] for row in rows),
        "hostile_stopped": sum(row["hostile_stopped"] for row in rows),
    }


def figures_of(rows: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the figures of one policy over several sites: means of shares, sums of counts, the worst segment's count."""

    def mean(name: str) -> float:
        return round(float(np.mean([row[name] for row in rows])), 5)

    return {
        "sites": len(rows),
        "rules": sum(row["rules"] for row in rows),
        **{name: mean(name) for name in SHARES},
        "segments": sum(row["segments"] for row in rows),
        "segments_above_one_percent": sum(len(row["segments_above_one_percent"]) for row in rows),
        "segments_above_one_percent_after_answers": sum(
            row["segments_above_one_percent_after_answers"] for row in rows
        ),
        "life_safety_cut_unasked": sum(len(row["life_safety_cut_unasked"]) for row in rows),
        "life_safety_cut": sum(len(row["life_safety_cut"]) for row in rows),
        "life_safety_cut_by_wrong_profiles": sum(len(row["life_safety_cut_by_wrong_profiles"]) for row in rows),
        "segments_above_one_percent_traced": sum(len(row.get("segments_above_one_percent_traced", ())) for row in rows),
        "life_safety_cut_traced": sum(len(row.get("life_safety_cut_traced", ())) for row in rows),
        "hostile": sum(row["hostile"] for row in rows),
        "hostile_admitted_outside": sum(row["hostile_admitted_outside"] for row in rows),
        "hostile_admitted_inside": sum(row["hostile_admitted_inside"] for row in rows),
        "over_permission": mean("over_permission"),
    }
