# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rule permits as a whole is what people decided about, port by port; so it is for what has no ports."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.accounts import open_sets
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.activation import after_activation
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.completeness import Completeness
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.coverage import Sizes
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.evidence import (
    DAY_US,
    EPOCH,
    CandidateKey,
    Evidence,
    Gathered,
    Strays,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.named import services_by_port
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.propose import propose
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.proposed import Known, Proposal, Telemetry
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.review import Decisions
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.told import weighed
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.decisions import (
    ACCOUNT,
    Decision,
    SegmentAccount,
    Use,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.loader import load_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import (
    Conditions,
    NetworkSet,
    Rule,
    Segment,
    Service,
    ServiceMatch,
    Site,
    Zone,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.propose_enforcement import enforcement
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.propose_files import write_proposal
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.propose_findings import ended, lapsed, nowhere

FIRST = date(2026, 11, 1)
DAYS = tuple(FIRST + timedelta(days=number) for number in range(14))
TODAY = "2026-11-20"
PING, UNREACHABLE = 8 * 256, 3 * 256


def tcp(name: str, *ports: tuple[int, int]) -> Service:
    return Service(name, (ServiceMatch(6, ports),))


SERVICES = {
    each.name: each
    for each in (
        tcp("admin", (22, 22), (443, 443)),
        tcp("images", (104, 104), (11112, 11112)),
        tcp("images_late", (11112, 11112)),
        tcp("every_port", (1, 65535)),
        Service("all_icmp", (ServiceMatch(1),)),
        Service("gre", (ServiceMatch(47),)),
        Service("ping", (ServiceMatch(1, icmp_type=8),)),
        Service("ping_plain", (ServiceMatch(1, icmp_type=8, icmp_code=0),)),
    )
}
SEGMENTS = {
    name: Segment(name, "ward", None, "owner", "low", {"fact": "class", "equals": name}, ())
    for name in ("pumps", "archive")
}
SITE = Site(
    "site", "UTC", {"ward": Zone("ward", ("10.0.0.0/8",), 3, "owner")}, (), SERVICES, {}, SEGMENTS, (), (), (), {}, {}, {}
)  # fmt: skip


def seen(*ports: tuple[int, int]) -> Gathered:
    keys = [CandidateKey("pumps", "archive", *port) for port in ports]
    day = (FIRST - EPOCH).days * DAY_US
    made = {
        key: Evidence(
            key, DAYS, 6, 1, 6, 84, 84, 100_000, first_us=day, last_us=day + 14 * DAY_US - 1, best_method=1, confidence=1.0
        )
        for key in keys
    }  # fmt: skip
    return Gathered(made, first_day=FIRST, days=14, conversations=len(keys))


def decision(service: str, what: str, protocol: int = 0, port: int = 0) -> Decision:
    return Decision("pumps", "archive", service, protocol, port, what, "R. Ortner", "Asked", "2026-11-15")


def proposed(gathered: Gathered, *decisions: Decision, site: Site = SITE) -> Proposal:
    known = Known({"pumps": 6, "archive": 1}, decisions=decisions, today=TODAY)
    return propose(site, list(site.segments.values()), gathered, known)


def services_of(proposal: Proposal) -> set[str]:
    return {rule.service for rule in proposal.rules}


def test_the_narrowest_service_is_found_for_what_has_no_ports_too() -> None:
    found = services_by_port(SERVICES, [(1, PING), (1, PING + 1), (1, UNREACHABLE), (47, 0), (50, 0)])
    assert found == {(1, PING): "ping_plain", (1, PING + 1): "ping", (1, UNREACHABLE): "all_icmp", (47, 0): "gre"}
    assert services_of(proposed(seen((1, PING), (47, 0)))) == {"ping_plain", "gre"}


@pytest.mark.parametrize("others", [(), ((6, 22),)], ids=["not seen", "seen"])
def test_a_refused_port_is_not_permitted_with_another_port_of_its_service(others: tuple[tuple[int, int], ...]) -> None:
    gathered = seen((6, 443), *others)
    assert services_of(proposed(gathered)) == {"admin"}
    refused = proposed(gathered, decision("", "refuse", 6, 22))
    assert not refused.rules
    (item,) = refused.review
    assert (item.kind, item.port) == ("refused-port", 443)
    assert "R. Ortner refused on 2026-11-15 (tcp/22)" in item.reason
    # Whoever gives the port that may pass a service of its own, or approves the whole later, has answered.
    alone = replace(SITE, services={**SERVICES, "web": tcp("web", (443, 443))})
    assert services_of(proposed(gathered, decision("", "refuse", 6, 22), site=alone)) == {"web"}
    both = (decision("", "refuse", 6, 22), decision("admin", "approve"))
    assert services_of(proposed(gathered, *both)) == {"admin"}


@pytest.mark.parametrize("ports", [(), ((6, 11112),), ((6, 104),)], ids=["not seen", "one port", "the other"])
def test_who_approves_a_service_has_approved_all_of_it(ports: tuple[tuple[int, int], ...]) -> None:
    assert "images" in services_of(proposed(seen(*ports), decision("images", "approve")))


def test_what_was_approved_and_not_seen_is_a_rule_where_it_has_no_ports_too() -> None:
    assert services_of(proposed(seen(), decision("ping", "approve"), decision("gre", "approve"))) == {"ping", "gre"}
    # Of all ports nobody knows which are meant: no service is made of the first.
    assert not proposed(seen(), decision("every_port", "approve")).rules


def test_of_two_decisions_the_later_counts_for_what_both_are_about_and_no_more() -> None:
    span = replace(SITE, services={**SERVICES, "span": tcp("span", (4000, 4009))}).services
    about = decision("span", "approve"), decision("", "refuse", 6, 4000), decision("", "approve", 6, 4001)
    decided = Decisions(about, span, TODAY)
    assert sorted(key.server_port for key, _each in decided.approved()) == [4001, 4002]
    assert decided.refused("pumps", "archive", 6, 4000, 4009) is about[1]
    assert decided.refused("pumps", "archive", 6, 4001, 4009) is None
    back = decision("span", "refuse"), decision("", "approve", 6, 4000)
    decided = Decisions(back, span, TODAY)
    assert decided.refused("pumps", "archive", 6, 1, 65535) is back[0], "nine ports are refused still"
    assert [key.server_port for key, _each in decided.approved()] == [4000]


def test_a_rule_that_is_used_without_ports_is_called_used_and_one_past_its_end_permits_nothing() -> None:
    gathered = seen((1, PING), (47, 0), (6, 443))
    rules = (
        Rule("tunnels", "pumps", "archive", ("gre", "ping"), "By hand", "manual"),
        Rule("ended", "pumps", "archive", ("admin",), "By hand", "manual", expires="2026-11-10"),
    )
    site = replace(SITE, segments={**SEGMENTS, "pumps": replace(SEGMENTS["pumps"], allow=rules)})
    judged = dict.fromkeys(gathered.candidates, "rule")
    made = after_activation(site, gathered.candidates, judged, Sizes({"pumps": 6, "archive": 1}, {}), {}, DAYS[-1])
    assert not made["too_wide"] and not made["unused"]
    assert [row["port"] for row in made["new"]] == [443]


BY_HAND = Rule("by_hand", "pumps", "archive", ("images_late",), "A trial", "manual")
PAST, POSTURE = {"expires": "2026-11-10"}, {"conditions": Conditions((), "relax")}


def with_rule(**more: object) -> Site:
    rule = replace(BY_HAND, **more)  # type: ignore[arg-type]
    return replace(SITE, segments={**SEGMENTS, "pumps": replace(SEGMENTS["pumps"], allow=(rule,))})


@pytest.mark.parametrize("more", [PAST, POSTURE], ids=["past its end", "waits for its posture"])
def test_a_rule_that_holds_no_more_does_not_stand_for_what_goes_on(more: dict[str, object], tmp_path: Path) -> None:
    """Seen every day, and no list has it: that is told, and enforcement waits."""
    site, gathered = with_rule(**more), seen((6, 11112))
    proposal = proposed(gathered, site=site)
    (rule,) = proposal.rules
    assert [each for each, _there in lapsed(site, proposal, TODAY)] == [rule]
    (told,) = ended(site, proposal, TODAY)
    assert told.code == "SW3224" and "by_hand" in told.message
    known = {name: Completeness(name, 60, None, None, 9, 0.0, 9.0, 9.0, 3, 0, 0, True) for name in SEGMENTS}

    def offered(*gone: object) -> dict[str, bool]:
        made = enforcement(known, (), proposal, Telemetry(), dict.fromkeys(SEGMENTS, "low"), lapsed=gone)  # type: ignore[arg-type]
        return {name: each["offered"] for name, each in made.items()}

    assert offered() == {"pumps": True, "archive": True} and offered(rule) == {"pumps": False, "archive": False}
    # Rare traffic is not permitted by it either, and an approval is written beside it.
    rare = Gathered({key: replace(each, days=DAYS[:1]) for key, each in gathered.candidates.items()}, days=14)
    assert set(proposed(rare, site=site).judged.values()) == {"few-days"}
    path = tmp_path / "ward" / "pumps.yml"
    path.parent.mkdir()
    lock = {"kind": "members", "schema_version": "1.0", "segments": {}}

    def written(given: Proposal) -> str:
        write_proposal(tmp_path, list(site.segments.values()), given, lock, {}, (), False, TODAY)
        return path.read_text(encoding="utf-8")

    end = "\n    expires: 2026-11-10" if more is PAST else "\n    conditions: {posture: relax}"
    path.write_text(
        "segment: pumps\nzone: ward\nowner: owner\ncriticality: low\nmembers: {fact: class, equals: pumps}\nallow:\n"
        f"  - id: by_hand\n    to: archive\n    services: [images_late]\n    reason: A trial\n    origin: manual{end}\n",
        encoding="utf-8",
    )
    assert "pumps-to-archive-images_late" not in written(proposal)
    asked = proposed(gathered, decision("images_late", "approve"), site=site)
    assert "pumps-to-archive-images_late" in written(asked) and "id: by_hand" in written(asked)
    assert not lapsed(site, asked, TODAY)


@pytest.mark.parametrize("more", [{}, {"expires": TODAY}], ids=["without end", "on its last day"])
def test_a_rule_that_holds_stands_for_what_goes_on(more: dict[str, object]) -> None:
    site = with_rule(**more)
    proposal = proposed(seen((6, 11112)), site=site)
    assert not lapsed(site, proposal, TODAY) and not ended(site, proposal, TODAY)


def test_a_decision_about_what_was_renamed_is_told_as_long_as_it_holds(tmp_path: Path) -> None:
    segments = SEGMENTS.values()
    gone = [
        replace(decision("images", "refuse"), client="old_pumps"),
        replace(decision("", "approve", 6, 104), to="old_archive"),
        replace(decision("old_images", "approve"), until=TODAY),
        Decision("", "recovery", "", 0, 0, ACCOUNT, "R. Ortner", "Asked", "2026-11-15"),
    ]
    over = replace(gone[0], until="2026-11-19")
    told = nowhere([*gone, over, decision("images", "refuse")], SITE, segments, TODAY)
    assert [each.code for each in told] == ["SW3226"] * 4
    words = (
        "no segment old_pumps",
        "no segment or network set old_archive",
        "no service old_images",
        "no network set recovery",
    )
    assert all(word in each.message for word, each in zip(words, told, strict=True))
    for day, until in (("2026-02-30", ""), ("2026-11-15", "2026-11-31")):
        end = f"    until: {until}\n" if until else ""
        (tmp_path / "decisions.yml").write_text(
            "decisions:\n  - client: pumps\n    to: archive\n    service: images\n    decision: approve\n    by: R. Ortner\n"
            f"    reason: Asked\n    date: {day}\n{end}",
            encoding="utf-8",
        )
        (found,) = [each for each in load_site(tmp_path).findings if each.file == "decisions.yml"]
        assert found.code == "SW2307" and f"{until or day} is no day" in found.message


def test_a_rule_by_hand_past_its_end_answers_for_no_network_set() -> None:
    sets = {"recovery": NetworkSet("recovery", ("198.51.100.0/28",))}
    for end, asked in (("", []), (TODAY, []), ("2026-11-19", ["recovery"])):
        rule = replace(BY_HAND, to="recovery", expires=end)
        site = replace(SITE, networks=sets, segments={**SEGMENTS, "pumps": replace(SEGMENTS["pumps"], allow=(rule,))})
        assert [each.network for each in open_sets(site, seen(), (), TODAY)] == asked


def test_an_account_may_list_a_port_that_stands_for_many_strays() -> None:
    """Of those nobody can be asked by their port: what the account lists is a rule in the name of who gave it."""
    account = SegmentAccount(
        "pumps", (Use("archive", "images", 0, 0),), "R. Ortner", "Asked", "2026-11-15", "2027-11-15"
    )
    for lone, made in ((False, ["images"]), (True, [])):
        stray = Strays("pumps", "archive", 6, 40 if not lone else 1, 40, 104, 0, 0, lone)
        gathered = replace(seen(), strays=(stray,))
        told = weighed([account], SITE, list(SEGMENTS.values()), gathered, Decisions((), SERVICES, TODAY), TODAY)
        assert [each.service for each in told.approvals] == made


def test_evidence_of_what_nothing_shows_says_so(tmp_path: Path) -> None:
    """Not that it was seen on the day of the decision."""
    members = {"pumps": {"fact": "class", "equals": "pumps"}, "archive": {"fact": "class", "equals": "archive"}}
    segments = [replace(each, members=members[each.name]) for each in SEGMENTS.values()]
    lock = {"kind": "members", "schema_version": "1.0", "segments": {}}

    def kept(proposal: Proposal) -> dict[str, object]:
        write_proposal(tmp_path, segments, proposal, lock, {}, (), False, TODAY)
        text = (tmp_path / "evidence" / "pumps.json").read_text(encoding="utf-8")
        found: dict[str, object] = json.loads(text)["rules"]["pumps-to-archive-images"]
        return found

    approved = decision("images", "approve")
    names = ("flows", "days", "weekdays", "rhythm", "first_seen", "last_seen")
    never = [0, 0, [], "", "", ""]
    assert [kept(proposed(seen(), approved))[name] for name in names] == never
    first = kept(proposed(seen((6, 104)), approved))
    assert (first["first_seen"], first["days"]) == ("2026-11-01T00:00:00Z", 14)
    for _run in range(2):
        gone = kept(proposed(seen(), approved))
    assert (gone["first_seen"], gone["last_seen"]) == (first["first_seen"], first["last_seen"]) and not gone["days"]


@pytest.mark.parametrize(
    ("standing", "made"),
    [((), ["span"]), (((4000, 4000),), ["span"]), (((3999, 4009),), [])],
    ids=["none", "one", "all"],
)
def test_what_was_approved_and_is_permitted_in_part_is_a_rule_still(
    standing: tuple[tuple[int, int], ...], made: list[str]
) -> None:
    services = {**SERVICES, "span": tcp("span", (4000, 4009)), "part": tcp("part", *standing or ((1, 1),))}
    rule = replace(BY_HAND, services=("part",))
    site = replace(SITE, services=services, segments={**SEGMENTS, "pumps": replace(SEGMENTS["pumps"], allow=(rule,))})
    assert sorted(services_of(proposed(seen(), decision("span", "approve"), site=site))) == made
