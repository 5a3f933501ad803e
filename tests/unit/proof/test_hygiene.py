"""What is untidy, and the smallest edits: each edit admits what it is for, and no more than it says."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.compile import compile_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Conduit, NetworkSet, Site, Zone
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.conversations import rule_boxes
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.edits import applied, smallest_edits
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.hygiene import _Sets, untidy
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.replay import replay
from tests.unit.enforce.plain_sites import random_plain_site
from tests.unit.proof.small_sites import World
from tests.unit.proof.test_recorded import seen

POINTS = {"dacl": ("dacl", {}), "fw1": ("firewall", {"zones": ["north", "south", "east"]})}
MEMBERS = {
    "a": [("10.0.1.1", "", ""), ("10.0.1.2", "", "")],
    "b": [("10.0.2.2", "", ""), ("10.0.2.3", "", "")],
    "c": [("10.0.3.3", "", "")],
}
TODAY = date(2026, 11, 26)


def site_of(rules: list, **more) -> Site:
    stages = {name: ("enforce", sorted(POINTS)) for name in MEMBERS}
    networks = {"nobody": [], "south": ["10.0.2.0/28"]}
    return World(MEMBERS, rules, networks, stages, POINTS, **more).site()


def kinds(site: Site, history: list | None = None) -> dict[tuple[str, str], str]:
    replayed = replay(site, compile_site(site).lists, history) if history is not None else None
    return {(item.kind, item.rule): item.text for item in untidy(site, TODAY, replayed)}


def test_meaning_is_judged_for_all_packets() -> None:
    rules = [
        ("wide", "a", "south", ["web", "names"]),
        ("inside", "a", "b", ["web"]),
        ("dead", "a", "nobody", ["web"]),
        ("small", "c", "b", ["bacnet"]),
        ("large", "c", "south", ["bacnet", "peers"]),
    ]
    site = site_of(rules, guardrails=[("never", "c", "b", ["peers"])])
    found = kinds(site)
    assert set(found) == {("dead", "dead"), ("shadowed", "inside"), ("removable", "small"), ("contradicting", "large")}
    assert "wide" in found["shadowed", "inside"] and "large" in found["removable", "small"]
    assert "g0" in found["contradicting", "large"]


def test_rules_that_excuse_each_other_do_not_both_go() -> None:
    site = site_of([("one", "a", "b", ["web"]), ("two", "a", "b", ["web"])])
    assert set(kinds(site)) == {("shadowed", "two")}


def test_rules_are_near_to_those_with_which_they_share_a_packet() -> None:
    """All pairs of all rules of random sites of both families, one by one."""
    shared = apart = 0
    for seed in range(6):
        site = random_plain_site(seed).site()
        boxes = [rule_boxes(site, rule).forward for rule in site.rules()]
        near = _Sets(boxes).near
        for one, mine in enumerate(boxes):
            wanted = [
                n for n, other in enumerate(boxes) if n != one and any(a.overlaps(b) for a in mine for b in other)
            ]
            assert near[one] == wanted, (seed, one)
            shared, apart = shared + len(wanted), apart + len(boxes) - 1 - len(wanted)
    assert min(shared, apart) > 20, (shared, apart)


def test_what_ends_first_excuses_nothing_that_goes_on() -> None:
    def found(one: str, two: str) -> set[tuple[str, str]]:
        """Return the rules that may go of two that permit the same, by their last days."""
        site = site_of([("one", "a", "b", ["web"]), ("two", "a", "b", ["web"])])
        allow = tuple(replace(r, expires={"one": one, "two": two}[r.id]) for r in site.segments["a"].allow)
        site = replace(site, segments={**site.segments, "a": replace(site.segments["a"], allow=allow)})
        return {(kind, rule) for kind, rule in kinds(site) if kind in ("shadowed", "removable")}

    assert found("", "") == found("", "2027-02-01") == found("2027-02-01", "2027-02-01") == {("shadowed", "two")}
    assert (
        found("2026-11-20", "")
        == found("2027-02-01", "")
        == found("2027-02-01", "2027-03-01")
        == {("removable", "one")}
    )


def test_use_is_judged_by_what_was_recorded() -> None:
    site = site_of([("used", "a", "b", ["web", "names"]), ("idle", "b", "c", ["web"])])
    day = 86_400_000_000
    history = [replace(seen("10.0.1.1", "10.0.2.2"), first_us=day, last_us=50 * day)]
    found = kinds(site, history)
    assert found["unused", "idle"] == "nothing recorded needed it"
    assert found["wider", "used"] == "service names was never used"
    assert kinds(site, []) == {}
    old = [replace(history[0], last_us=2 * day), replace(seen("10.0.2.2", "10.0.3.3"), first_us=day, last_us=50 * day)]
    assert kinds(site, old)["unused", "used"] == "nothing recorded needed it for 48 days"


def test_dates_and_papers() -> None:
    site = site_of([("r", "a", "b", ["web"]), ("s", "a", "c", ["web"]), ("t", "b", "c", ["web"])])
    edited = {"r": {"expires": "2026-11-25"}, "s": {"expires": "2026-12-01"}, "t": {"reason": " "}}
    segments = {
        name: replace(
            segment, owner="" if name == "b" else "x", allow=tuple(replace(r, **edited[r.id]) for r in segment.allow)
        )
        for name, segment in site.segments.items()
    }
    found = kinds(replace(site, segments=segments))
    assert set(found) == {("expired", "r"), ("expiring", "s"), ("no owner", "t"), ("no reason", "t")}


def test_each_edit_admits_what_was_cut_and_says_what_else() -> None:
    site = site_of([("r", "a", "b", ["names"])], guardrails=[("never", "c", "b", ["web"])])
    history = [
        seen("10.0.1.1", "10.0.2.2"),
        seen("10.0.1.1", "10.0.2.2", port=8443),
        seen("10.0.3.3", "10.0.2.2"),
        seen("10.0.1.1", "192.0.2.1"),
    ]
    cut = replay(site, compile_site(site).lists, history)
    assert cut.cut_total == 4
    edits = smallest_edits(site, cut.groups)
    assert [(e.client, e.server, e.action, e.service) for e in edits] == [
        ("a", "b", "add the service to the rule", "web"),
        ("a", "b", "add the service to the rule", "tcp-8443"),
        ("c", "b", "add a rule", "web"),
    ]
    assert edits[0].admits == "3 more pairs of devices that were not seen to speak it"
    assert edits[1].new_service is not None and edits[1].as_dict()["new_service"]["ports"] == ["8443"]
    assert edits[2].forbidden_by == ("g0",) and "guardrail g0 forbids it" in edits[2].admits
    for edit in edits:
        made = applied(site, edit)
        after = replay(made, compile_site(made).lists, history)
        left = {(item.client_segment, item.server_segment, item.conversation.server_port) for item in after.cut}
        port = 8443 if edit.new_service else 443
        assert (edit.client, edit.server, port) not in left and after.cut_total == 3
    zoned = replace(site, segments={**site.segments, "a": replace(site.segments["a"], zone="south")}, conduits=(
        Conduit("x", "east", "north", "owner"),
    ))  # fmt: skip
    assert smallest_edits(zoned, cut.groups)[0].conduit_missing


def test_an_edit_to_a_network_set_is_the_smallest_that_holds_the_address() -> None:
    site = site_of([("r", "a", "b", ["names"])], guardrails=[("never", "a", "wide", ["gre"])])
    networks = {
        "wide": NetworkSet("wide", ("192.0.2.0/24",)),
        "near": NetworkSet("near", ("192.0.2.0/30", "192.0.2.9")),
        "six": NetworkSet("six", ("2001:db8::/64",)),
    }
    site = replace(site, networks={**site.networks, **networks})
    history = [
        seen("10.0.1.1", "192.0.2.1"),
        seen("10.0.1.1", "192.0.2.2"),
        seen("10.0.1.1", "192.0.2.77", port=8443),
        seen("10.0.1.1", "198.51.100.1"),  # nobody has said what is there
        seen("192.0.2.1", "10.0.2.2"),  # nor who asks: a network set has rules only where somebody writes them
    ]
    cut = replay(site, compile_site(site).lists, history)
    assert smallest_edits(site, cut.groups) == []
    edits = smallest_edits(site, cut.groups, cut.cut)
    assert {(e.client, e.server, e.action, e.service) for e in edits} == {
        ("a", "near", "add a rule", "web"), ("a", "wide", "add a rule", "tcp-8443"),
    }  # fmt: skip
    one = next(edit for edit in edits if edit.server == "near")
    devices = len(site.members["a"])
    assert (one.pairs, one.seen_pairs, one.conversations) == (devices * 5, 2, 2)
    assert one.admits == f"{devices * 5 - 2} more pairs of a device and an address that were not seen to speak it"
    for edit in edits:
        made = applied(site, edit)
        after = replay(made, compile_site(made).lists, history)
        assert after.cut_total == cut.cut_total - edit.conversations
    zoned = replace(site, zones={**site.zones, "far": Zone("far", ("192.0.2.0/24",), 2, "owner")}, conduits=(
        Conduit("x", "east", "north", "owner"),
    ))  # fmt: skip
    assert all(edit.conduit_missing for edit in smallest_edits(zoned, cut.groups, cut.cut))
