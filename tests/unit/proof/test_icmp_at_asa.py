"""Answers to ICMP at an ASA: walk, columns, rollout and meaning against the rendered text, read by the lab's evaluator.

An ASA tracks no ICMP unless it inspects it. So that it matters, some of the lines for answers are taken out of the compiled lists.
"""

from __future__ import annotations

import ipaddress
import itertools
import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.compile import compile_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import Compiled, PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import PacketSpace
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.effective import effective_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.bulk import BulkEvaluator
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.history import SeenConversation, columns_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.meaning import _Difference, change_of_meaning
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.moves import _Moves
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.moving import NEW, Rolled
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.openers import stopped
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.points import list_sets
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.possible import Possible, openings
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.rollout import State, order_of_rollout
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.verdict import Conversation, Evaluator
from tests.unit.enforce.plain_sites import (
    OUTSIDE,
    Device,
    PlainRule,
    PlainSite,
    PlainSituation,
    answer_to,
    random_plain_site,
)
from tests.unit.enforce.test_walk import text_lists
from tests.unit.enforce.text_walk import stopped_by, works

ECHO = {4: (1, 8), 6: (58, 128)}
ANSWER = "~reply"


def pings_of(site: PlainSite) -> list[tuple[dict[str, Any], Conversation]]:
    """Return every echo request between two devices, or a device and somebody outside, as a plain packet and as a conversation."""
    found = []
    for family, (protocol, kind) in ECHO.items():
        addresses = [d.addresses[family] for d in site.devices if family in d.addresses] + [OUTSIDE[family]]
        for source, destination in itertools.permutations(addresses, 2):
            packet = {
                "source": source,
                "destination": destination,
                "protocol": protocol,
                "icmp_type": kind,
                "icmp_code": 0,
            }
            ends = (int(ipaddress.ip_address(end)) for end in (source, destination))
            found.append((packet, Conversation(family, *ends, protocol, kind << 8, 0)))
    return found


def at_asa(seed: int) -> PlainSite:
    """A random site with an ASA that stands between its zones, and more rules with pings than others have."""
    site = random_plain_site(seed)
    kind, _platform, options = site.points["fw1"]
    site.points["fw1"] = (kind, "asa", options)
    for name, (stage, points) in site.stages.items():
        site.stages[name] = (stage, sorted({*points, "fw1"}))
    site.rules = [
        replace(r, services=(*r.services, "ping"), windowed=False) if n % 2 else r for n, r in enumerate(site.rules)
    ]
    site.postures = {}
    return site


def without_some_answers(lists: Iterable[PointList], choose: random.Random) -> list[PointList]:
    """Return lists in which a firewall lacks about half of its lines for answers."""
    return [
        replace(item, aces=tuple(a for a in item.aces if not a.label.endswith(ANSWER) or choose.random() < 0.5))
        if item.kind == "firewall"
        else item
        for item in lists
    ]  # fmt: skip


def test_walk_columns_and_sets_say_what_the_text_says(full: bool) -> None:
    seen: Counter[str] = Counter()
    for seed in range(120 if full else 3):
        choose = random.Random(seed)
        plain = at_asa(seed)
        site = effective_site(plain.site())
        plain = plain.in_force(PlainSituation())
        lists = without_some_answers(compile_site(site).lists, choose)
        texts = text_lists(Compiled(tuple(lists), ()))
        pings = pings_of(plain)
        if not full:
            pings = choose.sample(pings, min(40, len(pings)))
        walk, bulk = Evaluator(site, lists), BulkEvaluator(site, lists)
        columns = columns_of(
            [
                SeenConversation(c.family, c.client, c.server, c.protocol, c.server_port, 0, 3, 3, 2, 1, 2)
                for _p, c in pings
            ]
        )
        told = bulk.verdicts(columns)
        possible = {family: Possible(walk, family, openings(site, family)) for family in ECHO}
        bit = {family: next(n for n, o in enumerate(openings(site, family)) if o.service == "ping") for family in ECHO}
        space = PacketSpace()
        sets = [list_sets(space, site, item) for item in lists if item.kind == "firewall"]
        found = [stopped(space.everything, item, surely=True) for item in sets]
        moves = _Moves(Rolled({}, site, lists, lists, []), space)
        found += [one | two for one, two in (moves._stops(space.everything, item.listing, NEW, NEW) for item in sets)]
        for row, (packet, conversation) in enumerate(pings):
            wanted = works(plain, texts, packet)
            verdict = walk.verdict(conversation)
            assert verdict.permitted is wanted, (seed, packet, verdict.deciding())
            assert bool(told.permitted[row]) is wanted, (seed, packet)
            between = possible[conversation.family].between(conversation.client, conversation.server)
            assert bool(between >> bit[conversation.family] & 1) is wanted, (seed, packet)
            there, back = (
                {t.point for t in stopped_by(plain, texts, part, way)}
                for part, way in ((packet, True), (answer_to(packet), False))
            )
            assert {p.point for p in verdict.points if p.stops} == there | back, (seed, packet)
            assert verdict.blocked is bool(there), (seed, packet)
            for packets in found:
                assert (conversation.forward() in packets) is ("fw1" in there | back), (seed, packet)
            if not wanted and "fw1" in back and not there:
                deciding = verdict.deciding()
                assert deciding is not None and deciding.direction == "reply"
                seen["only the answer stopped at the ASA"] += back == {"fw1"}
            seen[f"works {wanted}"] += 1
    assert min(seen[key] for key in ("works True", "works False", "only the answer stopped at the ASA")) > 5, seen


def test_a_change_that_loses_answers_is_told_as_pings_lost(full: bool) -> None:
    """For every pair, what is lost or gained is what the text says."""
    told: Counter[str] = Counter()
    for seed in range(100, 160 if full else 101):
        plain = at_asa(seed)
        plain.stages = {name: (stage, ["fw1"]) for name, (stage, _points) in plain.stages.items()}
        site = effective_site(plain.site())
        plain = plain.in_force(PlainSituation())
        whole = list(compile_site(site).lists)
        less = without_some_answers(whole, random.Random(seed))
        texts = [text_lists(Compiled(tuple(lists), ())) for lists in (whole, less)]
        works_in = [[works(plain, text, packet) for packet, _c in pings_of(plain)] for text in texts]
        lost = [before and not after for before, after in zip(*works_in, strict=True)]
        for before, after, change in ((whole, less, "lost"), (less, whole, "gained")):
            ends = State(site, tuple(before)), State(site, tuple(after))
            found = getattr(_Difference(*ends), change)
            assert [conversation.forward() in found for _p, conversation in pings_of(plain)] == lost, (seed, change)
            told[change] += sum(lost)
            assert not full or {row.change for row in change_of_meaning(*ends).rows} <= {change}
    assert min(told.values()) > 3, told


def two_firewalls(server: str) -> tuple[PlainSite, Site]:
    """A site with two ASAs between its zones, and a workflow that pings a server at an address."""
    devices = [
        Device("d0", "s0", {4: "10.0.1.1"}, "acc1", "Ethernet1/1"),
        Device("d1", "s1", {4: server}, "acc1", "Ethernet1/2"),
    ]
    points = {
        name: ("firewall", "asa", {"default": "deny", "zones": ["north", "south", "east"]}) for name in ("fw1", "fw2")
    }
    stages = {name: ("enforce", ["fw1", "fw2"]) for name in ("s0", "s1")}
    plain = PlainSite(devices, [PlainRule("r1", "s0", "s1", ("ping",))], {}, points, stages)
    return plain, effective_site(plain.site())


def test_a_rollout_that_only_loses_answers_in_between_is_found() -> None:
    """A workflow's server moves. Both lists let both requests pass all the time; the answers follow the address, or are in both."""
    plain, old_site = two_firewalls("10.0.2.1")
    new_plain, new_site = two_firewalls("10.0.2.2")
    old, new = compile_site(old_site).lists, compile_site(new_site).lists
    packets = [
        p
        for p, _c in (*pings_of(plain), *pings_of(new_plain))
        if p["source"] == "10.0.1.1" and "10.0.2." in p["destination"]
    ]
    assert [p["destination"] for p in packets] == ["10.0.2.1", "10.0.2.2"]
    for kept in ((), (ANSWER,)):
        lists = []
        for mine, other in ((old, new), (new, old)):
            more = [[a for a in item.aces if a.label == "r1" or (kept and a.label == "r1" + ANSWER)] for item in other]
            lists.append(
                tuple(replace(item, aces=(*extra, *item.aces)) for item, extra in zip(mine, more, strict=True))
            )
        interrupted = False
        for choice in itertools.product((0, 1), repeat=2):
            mix = [lists[version][place] for place, version in enumerate(choice)]
            texts = text_lists(Compiled(tuple(mix), ()))
            passing = [works(site, texts, p) for site, p in zip((plain, new_plain), packets, strict=True)]
            interrupted |= not any(passing)
            assert choice[0] != choice[1] or passing[choice[0]]
        _rollout, findings = order_of_rollout(State(old_site, lists[0]), State(new_site, lists[1]))
        assert ("SW3153" in {f.code for f in findings}) is interrupted is (not kept), (kept, findings)
