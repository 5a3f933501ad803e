"""What the cache says of lists is what making them anew says; only what depends on a change is made and proved again."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import registry
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce import cache as module
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.budget import size_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.cache import ListCache, pieces_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.compile import compile_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.desired import rendered
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import Compiled
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof import equivalence
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.equivalence import prove_rendering
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.guardrails import prove_guardrails
from tests.bench.compile import bench_site, one_change
from tests.unit.enforce.plain_sites import SERVICES, random_plain_site
from tests.unit.proof.small_sites import World
from tests.unit.proof.test_guardrails import two


def whole(compiled: Compiled) -> object:
    """Everything that a compiled site says."""
    return (
        [(item, rendered(item), size_of(item), dict(item.origins)) for item in compiled.lists],
        [(t.host, t.platform, [(o.kind, o.name, dict(o.body)) for o in t.objects]) for t in compiled.targets],
        compiled.findings,
    )


def through(site: Site, path: Path) -> Compiled:
    cache = ListCache(path)
    compiled = compile_site(site, cache=cache)
    results, findings = prove_rendering(compiled.lists)
    assert not findings
    assert all(item.equal for item in results)
    cache.save()
    return compiled


def changed(site: Site, choose: random.Random) -> Site:
    """The site with one thing changed that lists depend on."""
    name = choose.choice([n for n in sorted(site.segments) if site.segments[n].allow])
    segment = site.segments[name]
    what = choose.choice(["service", "member", "stage", "rule", "network", "place"])
    if what == "service":
        allow = (replace(segment.allow[0], services=(choose.choice(sorted(SERVICES)),)), *segment.allow[1:])
        return replace(site, segments={**site.segments, name: replace(segment, allow=allow)})
    if what == "rule":
        return replace(site, segments={**site.segments, name: replace(segment, allow=segment.allow[1:])})
    if what == "member" and len(site.members[name]) > 1:
        return replace(site, members={**site.members, name: site.members[name][1:]})
    if what == "stage" and name in site.assignments:
        other = replace(site.assignments[name], stage=choose.choice(["observe", "monitor", "enforce"]))
        return replace(site, assignments={**site.assignments, name: other})
    if what == "network":
        half = replace(site.networks["half"], prefixes=("10.0.1.0/30",))
        return replace(site, networks={**site.networks, "half": half})
    moved = replace(segment.allow[0], location=replace(segment.allow[0].location, file="x.yml", line=7))
    return replace(site, segments={**site.segments, name: replace(segment, allow=(moved, *segment.allow[1:]))})


def test_with_a_cache_the_same_comes_out(tmp_path: Path, full: bool) -> None:
    for seed in range(150 if full else 4):
        path = tmp_path / f"{seed}.json"
        site = random_plain_site(3000 + seed).site()
        choose = random.Random(seed)
        through(site, path)
        for _ in range(3):
            assert whole(through(site, path)) == whole(compile_site(site)), seed
            site = changed(site, choose)


def test_the_frame_of_a_firewalls_list_names_the_places_of_its_own_documents() -> None:
    """Two commits share a cache; where an assignment stands is no part of a key, and the lines are the same."""
    site, cache = bench_site(6, 60), ListCache()
    name = sorted(site.assignments)[2]
    moved = replace(site.assignments[name], location=Location("enforcement.yml", 99))
    other = replace(site, assignments={**site.assignments, name: moved})
    for each, line in ((site, 0), (other, 99), (site, 0)):
        listing = next(item for item in compile_site(each, cache=cache).lists if item.kind == "firewall")
        pieces = pieces_of(listing)
        assert pieces is not None
        assert pieces.frame.origins[f"default-from-{name}"].location.line == line


def test_which_management_conversations_a_cell_passes_is_part_of_its_key(tmp_path: Path) -> None:
    networks = {"one": ["10.0.1.1/32"], "two": ["10.0.2.1/32"]}
    flows = [
        {"client": "any", "server": "one", "services": ["web"]},
        {"client": "any", "server": "two", "services": ["names"]},
    ]
    points = {"cells": ("sgacl", {"management": flows, "tags": "inline"})}

    def outcome(*servers: str) -> str:
        members = {"a": [("10.0.9.1", "", "")], "b": [(address, "", "") for address in servers]}
        stages = {name: ("enforce", ["cells"]) for name in members}
        never = [("never", "a", "one", ["names"])]
        site = World(members, [], networks, stages, points, guardrails=never).site()
        cache = ListCache(tmp_path / "lists.json")
        found = prove_guardrails(site, compile_site(site, cache=cache).lists, cache)[0]
        cache.save()
        return found[0].outcome

    assert outcome("10.0.1.1") == "proved"
    # Another device brings another management conversation into the cell, which has no addresses.
    assert outcome("10.0.1.1", "10.0.2.1") == "violated"


@pytest.mark.one_python
def test_only_what_depends_on_a_change_is_proved_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = bench_site(60, 600)
    path = tmp_path / "lists.json"
    through(site, path)
    asked: list[str] = []
    real = equivalence.text_difference

    def counted(listing: object, text: str) -> object:
        asked.append(listing.name)  # type: ignore[attr-defined]
        return real(listing, text)  # type: ignore[arg-type]

    monkeypatch.setattr(equivalence, "text_difference", counted)
    through(site, path)
    assert asked == []
    through(one_change(site), path)
    changed_segment = sorted(site.segments)[30]
    server = site.segments[changed_segment].allow[0].to
    expected = {"segwright", f"SW_{changed_segment}"}
    if server in site.segments:
        expected |= {f"SW_{server}", *(n for n in asked if "__" in n)}
    assert set(asked) <= expected, asked
    assert f"SW_{changed_segment}" in asked
    assert len(asked) <= 6
    asked.clear()
    name = sorted(site.segments)[7]  # what stands around the rules of a firewall's list depends on the stages of all
    staged = {**site.assignments, name: replace(site.assignments[name], stage="monitor")}
    through(replace(one_change(site), assignments=staged), path)
    assert {"segwright", f"SW_{name}"} <= set(asked)
    assert {item for item in asked if "__" not in item} == {"segwright", f"SW_{name}"}


@pytest.mark.one_python
def test_a_list_that_was_not_proved_is_not_called_proved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = bench_site(20, 100)
    path = tmp_path / "lists.json"
    real = equivalence.rendered
    monkeypatch.setattr(equivalence, "rendered", lambda item: real(item).replace("permit tcp", "permit udp"))
    cache = ListCache(path)
    assert prove_rendering(compile_site(site, cache=cache).lists)[1]
    cache.save()
    again = ListCache(path)
    assert prove_rendering(compile_site(site, cache=again).lists)[1]
    monkeypatch.undo()
    assert not prove_rendering(compile_site(site, cache=again).lists)[1]


@pytest.mark.one_python
def test_damaged_files_and_other_code_count_as_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = bench_site(20, 100)
    path = tmp_path / "lists.json"
    through(site, path)
    stored = path.read_bytes()
    seal, body = stored[: module.SEAL_LENGTH], stored[module.SEAL_LENGTH + 1 :]
    key = next(iter(json.loads(body)["entries"]))
    other = json.dumps({**json.loads(body), "entries": []}).encode()
    for text in (
        b"", b"{", b"[]", body, stored[:-1], stored + b" ", seal + b"\n[]", module._seal(b"[]") + b"\n[]",
        module._seal(other) + b"\n" + other, b"\xff" * 100, stored[:100] + bytes([stored[100] ^ 1]) + stored[101:],
    ):  # fmt: skip
        path.write_bytes(text)
        assert ListCache(path).get(key) is None
    path.write_bytes(stored)
    assert ListCache(path).get(key) is not None
    monkeypatch.setattr(module, "SCHEMA_VERSION", "1.0")
    assert ListCache(path).get(key) is None
    monkeypatch.undo()
    monkeypatch.setattr(module, "code_hash", lambda: "another")
    assert ListCache(path).get(key) is None


def test_a_list_is_written_line_by_line() -> None:
    """The parts of a firewall's list are proved one by one: its text is theirs, one after the other."""
    for platform in ("nftables", "asa"):
        for seed in range(2):
            site = random_plain_site(seed)
            site.points["fw1"] = ("firewall", platform, site.points["fw1"][2])
            for listing in compile_site(site.site()).lists:
                if listing.kind == "firewall":
                    apart = [
                        line
                        for ace in listing.aces
                        for line, _ace in registry.render_lines(platform, [ace], **_end(platform))
                    ]
                    assert apart == [
                        line for line, _ace in registry.render_lines(platform, listing.aces, **_end(platform))
                    ]


def _end(platform: str) -> dict[str, str]:
    return {"end": ""} if platform == "asa" else {}


def test_a_cell_of_another_situation_is_taken_over_only_where_it_is_the_same() -> None:
    """Within a run: another stage, another rule or another name of a group in ISE makes another list of it."""
    site = two(points=("matrix",), rules=[("r", "a", "b", ["web"])]).site()
    segment = site.segments["a"]
    changes = {
        "stage": replace(site, assignments={**site.assignments, "a": replace(site.assignments["a"], stage="monitor")}),
        "rule": replace(site, segments={**site.segments, "a": replace(segment, allow=())}),
        "name": replace(site, segments={**site.segments, "a": replace(segment, sgt_name="Known_in_ISE")}),
    }
    cache = ListCache()
    for what, other in changes.items():
        first = compile_site(site, cache=cache).lists
        known, fresh = compile_site(other, cache=cache).lists, compile_site(other).lists
        assert [(item, rendered(item)) for item in known] == [(item, rendered(item)) for item in fresh], what
        assert known != first
    first, same = (compile_site(each, cache=cache).lists for each in (site, replace(site)))
    assert all(one is other for one, other in zip(first, same, strict=True))
