"""The proof of rendering: one changed token in the text is found with a packet that really shows it, or the text is refused."""

from __future__ import annotations

import random
import re
from dataclasses import replace

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.compile import compile_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.desired import rendered
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof import equivalence
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.equivalence import (
    prove_rendering,
    text_difference,
)
from tests.unit.proof.small_sites import as_dict, random_packet, random_world
from tests.unit.proof.test_guardrails import two
from tests.unit.proof.test_random_sites import says


def mutants(listing: PointList, text: str, choose: random.Random) -> list[tuple[str, str]]:
    """The text with one thing changed: (what, text)."""
    found = []
    numbers = list(re.finditer(r"(?:eq|gt|lt|range|dport|sport) (\d+)", text))
    addresses = list(re.finditer(r"(?:host|daddr|saddr) (\d+\.\d+\.\d+\.)(\d+)", text))
    for kind, spots in (("port", numbers), ("address", addresses)):
        if spots:
            spot = choose.choice(spots)
            last = spot.lastindex or 1
            value = int(spot[last]) + choose.choice([1, 2])
            found.append((kind, text[: spot.start(last)] + str(value) + text[spot.end(last) :]))
    if " established" in text:
        found.append(("established", text.replace(" established", "", 1) if "ct state" not in text else text))
    lines = text.splitlines(keepends=True)
    entries = [n for n, line in enumerate(lines) if re.search(r"permit|deny|counter", line)]
    if entries:
        place = choose.choice(entries)
        swaps = {"permit": "deny", "deny": "permit", "counter accept": "counter drop", "counter drop": "counter accept"}
        word = next(word for word in swaps if word in lines[place])
        found.append(
            ("action", "".join([*lines[:place], lines[place].replace(word, swaps[word], 1), *lines[place + 1 :]]))
        )
        found.append(("missing", "".join([*lines[:place], *lines[place + 1 :]])))
    if len(entries) > 1:
        first, second = sorted(choose.sample(entries, 2))
        moved = list(lines)
        strip = re.compile(r"^\s*\d+ ")
        ends = [strip.sub("", lines[first]).strip(), strip.sub("", lines[second]).strip()]
        moved[first] = lines[first].replace(ends[0], ends[1])
        moved[second] = lines[second].replace(ends[1], ends[0])
        found.append(("order", "".join(moved)))
    return [(kind, mutant) for kind, mutant in found if mutant != text]


@pytest.mark.one_python
def test_one_changed_token_is_found(full: bool) -> None:
    seen: dict[tuple[str, str], int] = {}
    for seed in range(200 if full else 25):
        choose = random.Random(seed)
        world = random_world(seed)
        for listing in compile_site(world.site()).lists:
            text = rendered(listing)
            assert text_difference(listing, text) == ("", None), (seed, listing.name)
            for kind, mutant in mutants(listing, text, choose):
                message, packet = text_difference(listing, mutant)
                if packet is not None:
                    shown = as_dict(packet)
                    assert says(listing, text, shown) != says(listing, mutant, shown), (seed, kind, message, mutant)
                    seen[kind, "witness"] = seen.get((kind, "witness"), 0) + 1
                    continue
                if message:
                    seen[kind, "refused"] = seen.get((kind, "refused"), 0) + 1
                    continue
                # Said to be equal: no packet at the edges may tell them apart.
                for _ in range(60):
                    shown = random_packet(world, choose)
                    if listing.segment and world.members[listing.segment]:
                        shown["source"] = choose.choice(world.members[listing.segment])[0]
                    assert says(listing, text, shown) == says(listing, mutant, shown), (seed, kind, mutant, shown)
    for kind in ("port", "address", "established", "action", "missing", "order"):
        assert seen.get((kind, "witness"), 0) >= 3, seen


def test_a_text_that_is_not_understood_is_not_equal() -> None:
    world = two(points=("dacl", "acc1", "matrix", "fw1"), rules=[("r", "a", "b", ["web"])])
    for listing in compile_site(world.site()).lists:
        text = rendered(listing)
        unknown = re.sub(r"permit|deny|counter accept", "allow", text, count=1)
        for broken in (unknown, text + "\npermit tcp any any no-such-word\n", ""):
            message, _packet = text_difference(listing, broken)
            assert message, (listing.kind, broken)


def test_a_wrong_rendering_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    lists = compile_site(two(points=("dacl",), rules=[("r", "a", "b", ["web"])]).site()).lists
    real = equivalence.rendered
    monkeypatch.setattr(equivalence, "rendered", lambda item: real(item).replace("eq 443", "eq 444"))
    results, findings = prove_rendering(lists)
    assert [item.equal for item in results] == [False, False]
    assert {item.code for item in findings} == {"SW3101"}
    assert "10.0.2.2:443" in results[0].witness
    assert results[0].witness.startswith("lost: tcp")


def test_an_entry_that_the_platform_cannot_say_is_an_error() -> None:
    listing = compile_site(two(points=("matrix",), rules=[("r", "a", "b", ["web"])]).site()).lists[1]
    addressed = replace(
        listing,
        aces=tuple(
            replace(ace, destination=compile_site(two().site()).lists[0].aces[0].source) for ace in listing.aces
        ),
    )
    results, findings = prove_rendering([addressed])
    assert not results[0].equal
    assert findings[0].code == "SW3101"
