"""What single lines say, against packet sets; and every proof with what a cache knows, against the same without one."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.cache import ListCache, pieces_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.compile import compile_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.resolve import member_addresses
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import PacketSpace, verdicts
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import Box
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.effective import effective_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Guardrail, Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.conversations import (
    conversation_boxes,
    rule_boxes,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.endtoend import prove_rules
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.guardrails import prove_guardrails
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.hygiene import untidy
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.lines import (
    FirstPermits,
    line_covers,
    line_may_touch,
    permits_nothing_of,
    touching,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.meaning import change_of_meaning
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.points import FAMILY_PROTOCOLS, first_match
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.rollout import State, order_of_rollout
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.versions import differing
from tests.unit.enforce.plain_sites import SERVICES, TODAY, PlainSite, random_plain_site


def random_boxes(site: Site, choose: random.Random) -> list[Box]:
    """Openers or answers of a rule of the site, or of any two names and a service."""
    rules = site.rules()
    if rules and choose.random() < 0.5:
        found = rule_boxes(site, choose.choice(rules))
    else:
        names = [*site.segments, *site.networks, "any", *(f"zone:{name}" for name in site.zones)]
        service = choose.choice([*SERVICES, "any"])
        found = conversation_boxes(site, choose.choice(names), choose.choice(names), (service,))
    return list(found.forward if choose.random() < 0.5 else found.reply)


def test_lines_against_packet_sets(full: bool) -> None:
    told = dict.fromkeys(("covers", "apart", "passes", "closed"), 0)
    for seed in range(60 if full else 3):
        choose = random.Random(seed)
        site = effective_site(random_plain_site(seed).site())
        for listing in compile_site(site).lists:
            space = PacketSpace()
            permitted = verdicts(space, first_match(listing)).permitted
            for _ in range(4):
                boxes = random_boxes(site, choose)
                wanted = space.from_boxes(boxes)
                for ace in choose.sample(listing.aces, min(4, len(listing.aces))):
                    matched = space.from_boxes(ace.to_boxes(fragments_like_ios=not listing.stateful))
                    if not line_may_touch(ace, boxes):
                        told["apart"] += 1
                        assert not matched & wanted, (seed, ace, boxes)
                    for box in boxes:
                        if line_covers(ace, box):
                            told["covers"] += 1
                            assert not space.from_box(box) - matched, (seed, ace, box)
                first = FirstPermits.of(listing)
                for box in boxes:
                    if first.pass_surely(box):
                        told["passes"] += 1
                        assert not space.from_box(box) - permitted, (seed, listing.name, box)
                if boxes and permits_nothing_of(listing, boxes):
                    told["closed"] += 1
                    assert not wanted & permitted, (seed, listing.name, boxes)
                short = verdicts(space, first_match(touching(listing, boxes))).permitted
                assert short & wanted == permitted & wanted, (seed, listing.name)
    assert all(count > 5 for count in told.values()), told


def guarded(site: Site, choose: random.Random) -> Site:
    """The site with guardrails between random ends."""
    names = [*site.segments, *site.networks, "any", *(f"zone:{name}" for name in site.zones)]
    made = [
        Guardrail(f"g{n}", choose.choice(["never", "never", "always"]), choose.choice(names), choose.choice(names),
                  (choose.choice([*SERVICES, "any"]),), "x")
        for n in range(4)
    ]  # fmt: skip
    rules = site.rules()
    if rules:
        rule = choose.choice(rules)
        made.append(Guardrail("kept", "always", rule.client, rule.to, rule.services, "x"))
    return replace(site, guardrails=tuple(made))


def everything(site: Site, before: Site, cache: ListCache | None) -> tuple[object, ...]:
    """What the proofs say of a site, and of the change from another."""
    lists: list[tuple[PointList, ...]] = [compile_site(each, cache=cache).lists for each in (before, site)]
    old, new = State(before, lists[0]), State(site, lists[1])
    rollout, problems = order_of_rollout(old, new)
    guardrails, found = prove_guardrails(site, lists[1], cache)
    return (
        prove_rules(site, lists[1], cache=cache),
        [(g.id, g.outcome, g.point, g.note, g.witness != "") for g in guardrails],
        [(f.code, f.file, f.line) for f in found],
        untidy(site, TODAY, cache=cache),
        change_of_meaning(old, new),
        rollout.steps,
        rollout.safe,
        rollout.kept,
        [(f.code, f.message) for f in problems],
    )


def test_what_a_cache_knows_changes_nothing(tmp_path: Path, full: bool) -> None:
    cut = 0
    for seed in range(120 if full else 4):
        choose = random.Random(seed)
        site = guarded(effective_site(of_platform(seed, ("nftables", "asa")[seed % 2]).site()), choose)
        name = choose.choice([n for n in site.segments if site.segments[n].allow] or list(site.segments))
        segment = site.segments[name]
        before = replace(site, segments={**site.segments, name: replace(segment, allow=segment.allow[1:])})
        path = tmp_path / f"{seed}.json"
        plain = everything(site, before, None)
        for _run in range(2):
            cache = ListCache(path)
            assert everything(site, before, cache) == plain, seed
            cache.save()
        cut += len([g for g in plain[1] if g[1] == "violated"])  # type: ignore[attr-defined]
    assert cut


def of_platform(seed: int, platform: str) -> PlainSite:
    """A random site whose firewall is of a platform; an ASA's parts hold answers to ICMP from the servers' addresses too."""
    made = random_plain_site(seed)
    kind, _platform, options = made.points["fw1"]
    made.points["fw1"] = (kind, platform, {key: value for key, value in options.items() if key != "table"})
    return made


@pytest.mark.parametrize("platform", ["nftables", "asa"])
def test_a_firewall_is_known_by_its_parts(platform: str, full: bool) -> None:
    """All parts are the list; those that concern a segment decide its devices' packets, and those that differ decide a difference."""
    answered = told = 0
    for seed in range(60 if full else 12):
        site = effective_site(of_platform(seed, platform).site())
        cache = ListCache()
        listing = next((item for item in compile_site(site, cache=cache).lists if item.kind == "firewall"), None)
        pieces = pieces_of(listing) if listing is not None else None
        if listing is None or pieces is None or not pieces.parts:
            continue
        # The parts are permits, in any order.
        every = [[repr(ace.meaning()) for ace in each.aces] for each in (pieces.around(pieces.parts), listing)]
        assert sorted(every[0]) == sorted(every[1]) and every[0][-1] == every[1][-1]
        answered += any(pieces.answers.values())
        space = PacketSpace()
        whole = verdicts(space, first_match(listing)).permitted
        for name in site.segments:
            for family in (4, 6):
                own = space.from_box(
                    Box(protocol=FAMILY_PROTOCOLS[family], source=member_addresses(site, name, family))
                )
                around = verdicts(space, first_match(pieces.around((name,)))).permitted
                assert around & own == whole & own, (seed, name)
        client = next(n for n in pieces.parts if n in site.segments)
        less = replace(site.segments[client], allow=site.segments[client].allow[1:])
        other = effective_site(replace(site, segments={**site.segments, client: less}))
        two = next(item for item in compile_site(other, cache=cache).lists if item.kind == "firewall")
        short = [verdicts(space, first_match(each)).permitted for each in differing(listing, two)]
        after = verdicts(space, first_match(two)).permitted
        assert short[0] - short[1] == whole - after and short[1] - short[0] == after - whole, seed
        told += whole != after
    assert told > 2
    assert answered > 2 if platform == "asa" else not answered
