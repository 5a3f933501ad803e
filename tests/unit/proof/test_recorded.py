"""Expectations, replay, impact and workflows: against walks by the model, and hand-made cases."""

from __future__ import annotations

import ipaddress
import random
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.compile import compile_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Expectation
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof import replay as replay_module
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.expectations import check_expectations
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.history import (
    SeenConversation,
    seen_conversations,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.impact import impact
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.possible import Possible, openings, samples
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.replay import replay, replay_findings
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.verdict import Conversation, Evaluator
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.workflows import (
    prove_workflows,
    workflow_findings,
)
from tests.unit.proof.large_site import history, large_site
from tests.unit.proof.small_sites import World, as_packet, opens, random_packet, random_world
from tests.unit.proof.test_guardrails import two


def seen(client: str, server: str, protocol: int = 6, port: int = 443, **more: Any) -> SeenConversation:
    ends = int(ipaddress.ip_address(client)), int(ipaddress.ip_address(server))
    values: dict[str, Any] = {
        "client_port": 49152,
        "flows": 5,
        "answered": 5,
        "days": 2,
        "first_us": 1_000_000,
        "last_us": 9_000_000,
    }
    return SeenConversation(4, *ends, protocol, port, **(values | more))


def recorded(world: World, choose: random.Random, count: int) -> tuple[list[SeenConversation], list[dict[str, Any]]]:
    """Random openers as history, with the packets they stand for."""
    found, packets = [], []
    for _ in range(count):
        packet = random_packet(world, choose, opener=True)
        opener = as_packet(packet)
        port = opener.detail if packet["protocol"] == 1 else opener.destination_port
        scan = "scan" if choose.random() < 0.2 else ""
        found.append(
            seen(
                packet["source"],
                packet["destination"],
                packet["protocol"],
                port,
                client_port=opener.source_port,
                suspect=scan,
            )
        )
        packets.append(packet)
    return found, packets


def points_seeing(world: World, packet: dict[str, Any]) -> bool:
    """Whether any list sees opener or reply, by the model."""
    site = world.site()
    written = {n for _stage, points in world.stages.values() for n in points if _stage != "observe"}
    for first, second, opener in (
        (packet["source"], packet["destination"], True),
        (packet["destination"], packet["source"], False),
    ):
        if not opener and packet["protocol"] == 1 and packet["icmp_type"] not in (8, 13):
            continue
        if opener and "fw1" in written and world.crosses(first, second):
            return True
        name = world.segment_of(first)
        stage, points = world.stages.get(name, ("observe", []))
        place = next(((s, p) for a, s, p in world.members.get(name, []) if a == first), ("", ""))
        if stage != "observe" and ("dacl" in points or ("acc1" in points and place[0] == "acc1")):
            return True
        other_stage, other = world.stages.get(world.segment_of(second), ("observe", []))
        if "matrix" in points and "matrix" in other and "observe" not in (stage, other_stage):
            return True
    assert site is not None
    return False


@pytest.mark.one_python
def test_replay_counts_are_those_of_a_walk_by_the_model(full: bool) -> None:
    totals = [0, 0, 0]
    for seed in range(200 if full else 25):
        choose = random.Random(seed)
        world = random_world(seed)
        site = world.site()
        conversations, packets = recorded(world, choose, 60)
        result = replay(site, compile_site(site).lists, conversations)
        covered = [points_seeing(world, packet) for packet in packets]
        works = [world.works(packet) for packet in packets]
        want = [
            sum(c and w for c, w in zip(covered, works)),
            sum(c and not w for c, w in zip(covered, works)),
            covered.count(False),
        ]
        assert [result.permitted, len(result.cut), result.not_covered] == want, seed
        assert result.recorded == 60
        used: dict[str, int] = {}
        for conversation, packet in zip(conversations, packets):
            for rule, client, to, services in world.rules:
                stands = world.segment_of(packet["source"]) == client and world.covers(to, packet["destination"])
                if stands and conversation.suspect != "scan" and any(opens(s, packet) for s in services):
                    used[rule] = used.get(rule, 0) + 1
        assert result.used_rules == used, seed
        assert set(result.unused_rules) == {rule for rule, *_rest in world.rules} - set(used)
        totals = [total + value for total, value in zip(totals, want)]
    assert min(totals) > 50, totals


def test_doubt_and_severity_of_cuts() -> None:
    world = two(criticality={"a": "life_support"})
    site = world.site()
    lists = compile_site(site).lists
    a, b, stranger = "10.0.1.1", "10.0.2.2", "10.0.3.9"
    conversations = [
        seen(a, b),
        seen(a, b, port=80, suspect="scan"),
        seen(a, b, port=81, suspect="unanswered", answered=0),
        seen(a, b, port=82, weak=True),
        seen(a, stranger, port=83),
        seen(b, stranger, port=84),
    ]
    result = replay(site, lists, conversations)
    assert {item.conversation.server_port: item.doubt for item in result.cut} == {
        443: "",
        80: "scan",
        81: "unanswered",
        82: "weak direction",
        83: "unknown device",
        84: "unknown device",
    }
    assert result.cut[0].doubt == ""  # the gravest first
    assert [item.conversation.server_port for item in result.legitimate_cuts()] == [443]
    findings = replay_findings(result)
    # A device that keeps people alive: the sure cut is an error, the doubtful ones with answers are warnings.
    assert [(f.code, f.severity) for f in findings] == [
        ("SW3131", "error"),
        ("SW3130", "warning"),
        ("SW3130", "warning"),
    ]
    assert sum("weak direction" in item.message for item in findings[1:]) == 1
    calm = replace(world, criticality={}).site()
    assert [f.code for f in replay_findings(replay(calm, lists, conversations))] == ["SW3130"]
    assert [f.code for f in replay_findings(replay(site, lists, []))] == ["SW3133"]
    assert result.as_dict()["cut_by_doubt"] == {
        "none": 1,
        "scan": 1,
        "unanswered": 1,
        "unknown device": 2,
        "weak direction": 1,
    }


@pytest.mark.parametrize(
    ("protocol", "answered", "scan", "kind", "want"),
    [
        (6, 0, False, "unicast", "unanswered"),
        (6, 3, False, "unicast", ""),
        (6, 3, True, "unicast", "scan"),
        (17, 0, False, "unicast", ""),  # a datagram may need no answer: syslog, traps, alarms
        (17, 0, True, "unicast", "scan"),
        (17, 0, False, "multicast", ""),
        (1, 0, False, "unicast", "unanswered"),
    ],
)
def test_what_makes_a_recording_suspect(protocol: int, answered: int, scan: bool, kind: str, want: str) -> None:
    half = 1 << 63
    row = {
        "client_hi": -half, "client_lo": (0xFFFF << 32 | 0x0A000101) - half,
        "server_hi": -half, "server_lo": (0xFFFF << 32 | 0x0A000202) - half,
        "protocol": protocol, "server_port": 443, "class": kind, "flows": 3, "answered_flows": answered, "days": 1, "first_us": 1,
        "last_us": 2, "minimum_client_port": 0, "method": 9, "scan": scan,
    }  # fmt: skip
    made = seen_conversations([row])[0]
    assert made.suspect == want
    assert (made.family, made.client, made.server) == (4, 0x0A000101, 0x0A000202)
    assert made.weak
    assert made.client_port == 49152


def test_impact_of_hand_made_changes() -> None:
    before_world = two(rules=[("r", "a", "b", ["web"]), ("old", "a", "b", ["pinned"])])
    after_world = two(rules=[("r", "a", "b", ["web"]), ("new", "b", "a", ["web"])])
    site = after_world.site()
    before, after = compile_site(before_world.site()).lists, compile_site(site).lists
    a, b = "10.0.1.1", "10.0.2.2"
    made = impact(site, before, after, [seen(a, b), seen(a, b, port=102), seen(b, a), seen(a, b, port=9)])
    assert [(row["client"], row["port"]) for row in made.seen_cut] == [("a0", 102)]
    assert made.seen_cut[0]["line"] == "default-from-a"
    assert [(row["client"], row["port"]) for row in made.seen_opened] == [("b0", 443)]
    assert made.kept == 1
    # tcp/102 a to b and tcp/443 b to a were recorded, so nothing else changes.
    assert (made.unseen_cut, made.unseen_opened) == (0, 0)
    blind = impact(site, before, after, [])
    # Unrecorded: pinned from a to b goes, web from b to a comes.
    assert (blind.unseen_cut, blind.unseen_opened) == (1, 1)
    assert "0 recorded conversations would be cut" in blind.sentence()
    first = impact(site, [], after, [seen(a, b, port=9), seen(a, b)])
    assert len(first.seen_cut) == 1
    assert first.kept == 1
    # Every opening of every service but the two permitted ones, both ways.
    assert first.unseen_cut == 2 * len(openings(site, 4)) - 2
    assert impact(site, after, after, [seen(a, b)]).unseen_cut == 0


def test_openings_by_mask_are_the_single_verdicts(full: bool) -> None:
    compared = 0
    for seed in range(200 if full else 40):
        site = random_world(seed).site()
        evaluator = Evaluator(site, compile_site(site).lists)
        found = openings(site, 4)
        possible = Possible(evaluator, 4, found)
        ends = samples(site)
        for _family, client in ends.values():
            for _other, server in ends.values():
                if client == server:
                    continue
                bits = possible.between(client, server)
                for number, item in enumerate(found):
                    assert bool(bits >> number & 1) == evaluator.verdict(item.between(4, client, server)).permitted, (
                        seed,
                        item,
                    )
                    compared += 1
    assert compared > 3000


def expectation(
    expect: str, protocol: int = 6, port: int = 443, client: str = "a", server: str = "b", **more: Any
) -> Expectation:
    return Expectation(f"{expect}-{protocol}-{port}", client, server, protocol, port, expect, **more)


@pytest.mark.parametrize(
    ("points", "stages", "item", "met"),
    [
        (("fw1",), None, expectation("permit"), True),
        (("fw1",), None, expectation("deny"), False),
        (("fw1",), None, expectation("deny", port=444), True),
        (("fw1",), None, expectation("permit", port=444), False),
        (("fw1",), None, expectation("permit", client="10.0.1.1", server="b0"), True),
        (("fw1",), None, expectation("permit", client="02:00:00:00:00:00", server="10.0.2.2"), True),
        # b's list stops the answer: no TCP connection, but a datagram arrives.
        (("dacl",), {"b": ("enforce", ["dacl"])}, expectation("deny", port=444), True),
        (("dacl",), {"b": ("enforce", ["dacl"])}, expectation("deny", protocol=17), False),
        (("dacl",), {"b": ("enforce", ["dacl"])}, expectation("permit", protocol=17), False),
        (("dacl",), None, expectation("deny", protocol=17), True),
        (("matrix",), {n: ("monitor", ["matrix"]) for n in "ab"}, expectation("deny", port=444), False),
        (("fw1",), None, expectation("deny", client="a", server="a"), False),  # nothing to check is not met
        (("fw1",), None, expectation("deny", client="nobody"), False),
    ],
)
def test_expectations(points: tuple[str, ...], stages: Any, item: Expectation, met: bool) -> None:
    world = two(points=points, rules=[("r", "a", "b", ["web"])], expectations=[item])
    if stages:
        world.stages = stages
    site = world.site()
    results, findings = check_expectations(site, compile_site(site).lists)
    assert results[0].met is met
    assert bool(findings) is not met
    if findings:
        unresolved = item.client in ("nobody", item.server)
        assert findings[0].code == ("SW3121" if unresolved else "SW3120")


def test_a_workflow_is_proved_or_named() -> None:
    world = two(points=("fw1", "dacl"), rules=[("r", "a", "b", ["web"])], workflows=[["r", "gone"]])
    site = world.site()
    lists = compile_site(site).lists
    results, findings = prove_workflows(site, lists)
    assert [item.outcome for item in results] == ["proved", "missing"]
    assert [item.code for item in findings] == ["SW3132"]
    for victim in lists:  # without its line the workflow is cut at exactly that list
        lines = tuple(ace for ace in victim.aces if not ace.label.startswith("r"))
        if len(lines) == len(victim.aces):
            continue
        broken = [replace(victim, aces=lines) if item is victim else item for item in lists]
        results, findings = prove_workflows(site, broken)
        assert (results[0].outcome, results[0].point) == ("cut", victim.point)
        assert "10.0.2.2" in results[0].witness


@pytest.mark.parametrize("limit", [7, 10_000])
def test_a_replay_is_the_same_whatever_the_order_of_the_rows(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store answers in no order; of more cuts than are told, the same ones are told, the gravest."""
    monkeypatch.setattr(replay_module, "CUT_LIMIT", limit)
    site = large_site(12, devices=6, rules_each=3, matrix=4)
    lists = compile_site(site).lists
    known = [replace(item, flows=3 + number % 4) for number, item in enumerate(history(site, 500))]
    told = [replay(site, lists, known).as_dict()]
    for seed in range(4):
        random.Random(seed).shuffle(known)
        told.append(replay(site, lists, known).as_dict())
    assert told[0]["cut_total"] > 100 and len(told[0]["cut"]) == min(limit, told[0]["cut_total"])
    assert told[1:] == told[:1] * 4
    groups = {
        (g["client_segment"], g["server_segment"], g["protocol"], g["port"]): g["flows"] for g in told[0]["cut_groups"]
    }
    assert [*groups.values()] == sorted(groups.values(), reverse=True)
    if limit < told[0]["cut_total"]:
        first = told[0]["cut"][0]
        assert (first["client_segment"], first["server_segment"], first["protocol"], first["port"]) == next(
            iter(groups)
        )


def test_a_recorded_cut_concerns_a_workflow_only_with_its_service() -> None:
    world = two(rules=[("r", "a", "b", ["web"])], workflows=[["r"]])
    site = world.site()
    lists = [
        replace(item, aces=tuple(ace for ace in item.aces if ace.label != "r")) for item in compile_site(site).lists
    ]
    conversations = [seen("10.0.1.1", "10.0.2.2"), seen("10.0.1.1", "10.0.2.2", port=23), seen("10.0.2.2", "10.0.1.1")]
    result = replay(site, lists, conversations)
    assert len(result.cut) == 3
    findings = workflow_findings(site, result)
    assert len(findings) == 1
    assert "rule r stands for it" in findings[0].message


def test_conversations_and_their_replies() -> None:
    opener = Conversation(4, 1, 2, 6, 443)
    assert (opener.forward().detail, opener.reply().detail) == (2, 18)  # type: ignore[union-attr]
    assert opener.reply().source_port == 443  # type: ignore[union-attr]
    assert Conversation(4, 1, 2, 1, 8 * 256).reply().detail == 0  # type: ignore[union-attr]
    assert Conversation(6, 1, 2, 58, 128 * 256).reply().detail == 129 * 256  # type: ignore[union-attr]
    assert Conversation(4, 1, 2, 1, 3 * 256 + 1).reply() is None
    assert Conversation(4, 1, 0xEF010101, 17, 5000).reply() is None
    assert Conversation(4, 1, 0xFFFFFFFF, 17, 67, 68).reply() is None
    assert Conversation(4, 1, 2, 47, 0).reply().protocol == 47  # type: ignore[union-attr]


def test_a_larger_site_is_judged_whole(full: bool) -> None:
    site = large_site(150 if full else 30, rules_each=6, matrix=6)
    lists = compile_site(site).lists
    conversations = history(site, 20000 if full else 1500)
    result = replay(site, lists, conversations)
    assert result.recorded == len(conversations)
    # Every second conversation stands for a rule, and no rule is cut by what was compiled from it.
    assert result.permitted + result.not_covered >= len(conversations) // 2
    wanted = {(c.client, c.server, c.protocol, c.server_port) for c in conversations[1::2]}
    cut = {
        (c.conversation.client, c.conversation.server, c.conversation.protocol, c.conversation.server_port)
        for c in result.cut
    }
    assert not wanted & cut
