"""Random sites: rendered text, single verdicts and packet sets against a model read from the fact sheet."""

from __future__ import annotations

import random
import shutil
import subprocess
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import errors_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.compile import compile_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.desired import rendered
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import PacketSpace
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.equivalence import prove_rendering
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.points import list_sets
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.verdict import Conversation, Evaluator
from tests.lab.evaluate import evaluate_acl
from tests.unit.proof.nft_reader import decide
from tests.unit.proof.small_sites import World, as_packet, random_packet, random_world

SEEDS = 40
FULL_SEEDS = 1500
PACKETS = 120


def seeds(full: bool) -> range:
    return range(FULL_SEEDS if full else SEEDS)


def says(listing: PointList, text: str, packet: dict[str, Any]) -> bool:
    """What the rendered text does with a packet, read by the lab's evaluator."""
    lines = text.splitlines()
    if listing.kind == "firewall":
        return decide(text, packet)
    if listing.kind == "dacl":
        return evaluate_acl(lines, packet, kind="dacl", endpoint=packet["source"]).permit
    if listing.kind == "port_acl":
        assert lines[0] == f"ip access-list extended {listing.name}"
        return evaluate_acl(lines[1:], packet, kind="ios").permit
    return evaluate_acl(lines, packet, kind="sgacl", family=4).permit


def expected(world: World, listing: PointList, packet: dict[str, Any]) -> bool:
    """What the model says that a list must do with a packet that it sees."""
    if listing.kind == "firewall":
        return world.firewall(listing.point, packet)
    if listing.kind == "sgacl":
        return world.cell(listing.segment, listing.peer, packet)
    return listing.stage == "monitor" or world.access(listing.segment, packet, listing.kind == "port_acl")


def sees(world: World, listing: PointList, packet: dict[str, Any]) -> bool:
    source, destination = world.segment_of(packet["source"]), world.segment_of(packet["destination"])
    if listing.kind == "firewall":
        return world.crosses(packet["source"], packet["destination"])
    if listing.kind == "sgacl":
        return (source, destination) == (listing.segment, listing.peer)
    if source != listing.segment:
        return False
    place = next((s, p) for a, s, p in world.members[source] if a == packet["source"])
    return listing.kind == "dacl" or (place[0] == "acc1" and bool(place[1]))


@pytest.mark.one_python
def test_text_verdicts_and_sets_agree_with_the_model(full: bool) -> None:
    counted = {"text": 0, "permitted": 0, "kinds": set()}
    for seed in seeds(full):
        world = random_world(seed)
        site = world.site()
        compiled = compile_site(site)
        assert not errors_of(compiled.findings), (seed, compiled.findings)
        results, _findings = prove_rendering(compiled.lists)
        assert [r for r in results if not r.equal] == [], seed
        choose = random.Random(seed)
        space = PacketSpace()
        for listing in compiled.lists:
            text = rendered(listing)
            sets = list_sets(space, site, listing)
            counted["kinds"].add((listing.kind, listing.stage))
            done = 0
            while done < PACKETS // 4:
                packet = random_packet(world, choose)
                if listing.kind != "firewall" and not sees(world, listing, packet):
                    if not any(a for a, _s, _p in world.members[listing.segment]):
                        break
                    packet["source"] = choose.choice(world.members[listing.segment])[0]
                    if listing.peer:
                        packet["destination"] = choose.choice(world.members[listing.peer])[0]
                done += 1
                assert (as_packet(packet) in sets.sees) == sees(world, listing, packet), (seed, listing.name, packet)
                if not sees(world, listing, packet):
                    continue
                want = expected(world, listing, packet)
                assert says(listing, text, packet) == want, (seed, listing.point, text, packet)
                passes = as_packet(packet) in sets.passes
                assert passes == (want or (listing.kind == "sgacl" and listing.stage == "monitor")), (
                    seed,
                    listing.name,
                    packet,
                )
                counted["text"] += 1
                counted["permitted"] += want
    assert counted["text"] > 2000
    assert 0.1 < counted["permitted"] / counted["text"] < 0.9  # neither answer is rare
    assert {kind for kind, _stage in counted["kinds"]} == {"firewall", "dacl", "port_acl", "sgacl"}


def test_later_fragments_in_text_and_sets(full: bool) -> None:
    """Stateless lists: the lab's evaluator on the text and the packet sets agree about fragments without a header."""
    compared = 0
    for seed in seeds(full):
        world = random_world(seed)
        site = world.site()
        choose = random.Random(seed)
        space = PacketSpace()
        for listing in compile_site(site).lists:
            if (
                listing.stateful
                or not world.members[listing.segment]
                or (listing.peer and not world.members[listing.peer])
            ):
                continue
            sets = list_sets(space, site, listing)
            for _ in range(8):
                packet = {**random_packet(world, choose), "fragment_offset": 185}
                packet["source"] = choose.choice(world.members[listing.segment])[0]
                if listing.peer:
                    packet["destination"] = choose.choice(world.members[listing.peer])[0]
                if listing.kind == "sgacl" and listing.stage == "monitor":
                    continue
                assert says(listing, rendered(listing), packet) == (as_packet(packet) in sets.passes), (
                    seed,
                    listing.name,
                    packet,
                )
                compared += 1
    assert compared > 500


@pytest.mark.one_python
def test_conversations_agree_with_the_model(full: bool) -> None:
    outcomes = {(True, False): 0, (False, True): 0, (False, False): 0}
    for seed in seeds(full):
        world = random_world(seed)
        site = world.site()
        evaluator = Evaluator(site, compile_site(site).lists)
        choose = random.Random(seed)
        for _ in range(PACKETS):
            packet = random_packet(world, choose, opener=True)
            opener = as_packet(packet)
            port = opener.destination_port if packet["protocol"] != 1 else opener.detail
            conversation = Conversation(
                4, opener.source, opener.destination, packet["protocol"], port, opener.source_port
            )
            assert conversation.forward() == opener
            verdict = evaluator.verdict(conversation)
            want = (world.works(packet), world.blocked(packet))
            assert (verdict.permitted, verdict.blocked) == want, (seed, packet, verdict)
            outcomes[want] += 1
    assert min(outcomes.values()) > 20, outcomes  # also the case where only a datagram's answer is stopped


def namespaces_work() -> bool:
    try:
        return (
            subprocess.run(["unshare", "-Urn", "nft", "list", "tables"], capture_output=True, timeout=20).returncode
            == 0
        )
    except (OSError, subprocess.TimeoutExpired):
        return False


@pytest.mark.skipif(not shutil.which("nft") or not shutil.which("unshare"), reason="nft or unshare is not installed")
def test_nft_reads_the_rendered_tables() -> None:
    if not namespaces_work():
        pytest.skip("no network namespace of its own is permitted here, which nft -c needs")
    read = 0
    for seed in range(SEEDS):
        for item in compile_site(random_world(seed).site()).lists:
            if item.kind == "firewall":
                command = ["unshare", "-Urn", "nft", "-c", "-f", "-"]
                found = subprocess.run(command, input=rendered(item), capture_output=True, text=True, timeout=60)
                assert found.returncode == 0, (seed, found.stderr[:2000])
                read += 1
    assert read > 20
