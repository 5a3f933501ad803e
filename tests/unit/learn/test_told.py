# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What owners tell that their segments open is asked for by name, held against what is recorded, and counts where that bears it out."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.completeness import Completeness
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.evidence import (
    CandidateKey,
    Evidence,
    Excluded,
    Gathered,
    Strays,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.proposed import Proposal
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.review import Decisions
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.told import Told, in_force, questions, weighed
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.decisions import Decision, SegmentAccount, Use
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.loader import load_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Rule, Segment, Site
from tests.unit.learn.worlds import SEGMENTS, SERVICES, SITE, World, address, waiting

DAYS = range(14)
TODAY = "2026-12-15"
BY = {"by": "A. Huber", "reason": "The maker's list of interfaces"}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, {"cameras": 3, "monitors": 2, "pumps": 2, "archive": 1, "gateways": 1, "names": 1})


def told_by(world: World, *uses: tuple[str, str]) -> None:
    opens = [{"to": to, "service": service} for to, service in uses]
    account = {"segment": "pumps", "opens": opens, "date": "2026-12-10", "until": "2027-11-30", **BY}
    document = {"decisions": [], "segment_accounts": [account]}
    (world.policy / "decisions.yml").write_text(yaml.safe_dump(document), encoding="utf-8")


def codes_of(made: dict[str, Any]) -> set[str]:
    return {each["code"] for each in (*made["warnings"], *made["errors"]) if each["code"].startswith("SW327")}


def waits(made: dict[str, Any], segment: str, words: str) -> bool:
    return any(words in text for text in made["enforcement"][segment]["wait_for"])


@pytest.mark.one_python
def test_an_account_counts_until_traffic_says_more(world: World) -> None:
    """Pumps were seen to ask for names and nothing else: what they call in a year, two weeks do not show."""
    for day in DAYS:
        for number in range(2):
            world.flow(day, address("pumps", number), address("names", 0), "dns", 6)
            world.flow(day, address("cameras", number), address("names", 0), "dns", 7)
    world.write()
    told_by(world, ("names", "dns"), ("gateways", "mqtt"))
    made = world.propose()
    # Of others whose days are over an account is asked for.
    assert not codes_of(made) and {item["client"] for item in waiting(made, "segment-account")} == {"cameras"}
    assert not waits(made, "pumps", "fewer new uses") and waits(made, "gateways", "is known of monitors")
    assert not waits(made, "gateways", "pumps")
    (rule,) = [each for each in made["rules"] if each["to"] == "gateways"]
    assert rule["approved"]["by"] == "A. Huber" and rule["approved"]["until"] == "2027-11-30" and not rule["flows"]
    # What was seen rests on what was seen, and does not end with the account.
    (rule,) = [each for each in made["rules"] if (each["client"], each["to"]) == ("pumps", "names")]
    assert "approved" not in rule
    for minute in range(4):
        world.flow(13, address("pumps", 1), address("archive", 0), "dicom", 9, minute=minute)
    made = world.write(documents=False).propose()
    assert codes_of(made) == {"SW3270"}
    (found,) = [each for each in made["warnings"] if each["code"] == "SW3270"]
    assert "pumps was seen to open archive tcp/104" in found["message"] and found["file"] == "decisions.yml"
    assert waits(made, "pumps", "fewer new uses") and waits(made, "gateways", "is known of monitors, pumps")


def site_of(world: World) -> tuple[Site, list[Segment]]:
    world.policy.mkdir(exist_ok=True)
    for name, text in (("site.yml", SITE), ("services.yml", SERVICES)):
        (world.policy / name).write_text(text, encoding="utf-8")
    site = load_site(world.policy).site
    assert site is not None
    named = SEGMENTS.items()
    segments = [Segment(name, zone, None, "owner", rank, {"fact": "a"}, (), "") for name, (zone, rank) in named]
    held = Segment("held_pumps", "clinical", None, "owner", "high", {"fact": "held_as", "equals": "pumps"}, (), "")
    return site, [*segments, held]


def account_of(
    *uses: Use, segment: str = "pumps", day: str = "2026-12-10", until: str = "2027-11-30"
) -> SegmentAccount:
    return SegmentAccount(segment, uses, "A. Huber", "Read the manual", day, until)


DNS = Use("names", "dns", 0, 0)
SEEN = CandidateKey("pumps", "names", 17, 53)


def seen_of(*keys: CandidateKey, **more: Any) -> Gathered:
    return Gathered({key: Evidence(key, (date(2026, 12, 1),)) for key in keys}, days=31, **more)


def weigh(world: World, account: SegmentAccount, seen: Gathered, *decided: Decision, **more: Any) -> Told:
    site, segments = site_of(world)
    return weighed([account], site, segments, seen, Decisions(decided, site.services, TODAY), TODAY, **more)


def refusal(to: str, service: str, port: int = 0) -> Decision:
    return Decision("pumps", to, service, 6 if port else 0, port, "refuse", "R. Ortner", "No", "2026-12-01")


def test_what_people_refused_is_not_let_in_by_an_account_and_does_not_speak_against_one(world: World) -> None:
    dicom = Use("archive", "dicom", 0, 0)
    told = weigh(world, account_of(DNS, dicom), seen_of(SEEN), refusal("archive", "", 104))
    assert [each.code for each in told.findings] == ["SW3272"] and not told.approvals and not told.accounts
    assert "R. Ortner refused archive tcp/104" in told.findings[0].message
    beside = CandidateKey("pumps", "archive", 6, 104)
    assert set(weigh(world, account_of(DNS), seen_of(SEEN, beside), refusal("archive", "dicom")).accounts) == {"pumps"}


@pytest.mark.parametrize(
    "more",
    [
        {"strays": (Strays("pumps", "archive", 6, 1, 1, 104, 0, 0, True),)},  # once, and nobody answered
        {
            "excluded": (
                Excluded("p", "pumps", "203.0.113.9", "", 6, 443, 1, 1, 0, 0, "", "belongs to no known device"),
            )
        },
    ],
)
def test_what_nobody_answered_or_knows_speaks_against_an_account(world: World, more: dict[str, Any]) -> None:
    assert [each.code for each in weigh(world, account_of(DNS), seen_of(SEEN, **more)).findings] == ["SW3270"]


def test_scans_and_threats_do_not_speak_against_an_account_and_what_earlier_runs_saw_does(world: World) -> None:
    scan = Excluded("p", "pumps", "203.0.113.9", "", 6, 443, 1, 1, 0, 0, "scan", "part of a scan")
    assert not weigh(world, account_of(DNS), seen_of(SEEN, excluded=(scan,))).findings
    earlier = [CandidateKey("pumps", "archive", 6, 104)]
    assert [each.code for each in weigh(world, account_of(DNS), seen_of(SEEN), earlier=earlier).findings] == ["SW3270"]


def test_what_is_opened_to_devices_in_doubt_is_what_their_segments_are_opened_for(world: World) -> None:
    seen = seen_of(CandidateKey("pumps", "held_x", 17, 53), holding={"held_x": ("names", "archive")})
    told = weigh(world, account_of(DNS), seen)
    assert set(told.accounts) == {"pumps"} and not told.approvals


@pytest.mark.parametrize(
    "account",
    [
        account_of(DNS, segment="nobody"),
        account_of(DNS, segment="held_pumps"),
        account_of(DNS, day="2026-12-16"),  # of tomorrow
        account_of(DNS, day="2026-02-31"),
        account_of(DNS, until="2027-02-31"),
        account_of(DNS, Use("held_pumps", "dns", 0, 0)),
        account_of(DNS, Use("nowhere", "dns", 0, 0)),
        account_of(DNS, Use("names", "telepathy", 0, 0)),
    ],
)
def test_an_account_of_what_cannot_be_is_unsound(world: World, account: SegmentAccount) -> None:
    told = weigh(world, account, seen_of(SEEN))
    assert {each.code for each in told.findings} == {"SW3272"} and not told.accounts and not told.approvals


@pytest.mark.parametrize(
    ("account", "code"),
    [
        (account_of(DNS, until="2026-12-14"), "SW3271"),
        (account_of(DNS, segment="monitors"), "SW3270"),  # of the wrong segment: that one was seen to do otherwise
        (account_of(), "SW3270"),  # it opens nothing, and was seen to
        (account_of(Use("names", "", 17, 54)), "SW3270"),
    ],
)
def test_an_account_that_does_not_hold_is_told_and_approves_nothing(
    world: World, account: SegmentAccount, code: str
) -> None:
    told = weigh(world, account, seen_of(SEEN, CandidateKey("monitors", "archive", 6, 104)))
    assert [each.code for each in told.findings] == [code] and not told.accounts and not told.approvals


def test_an_account_has_no_effect_where_no_rule_permits_what_it_lists(world: World) -> None:
    """Taken out by hand, beyond the budget, without a conduit: enforcement would cut it."""
    told = weigh(world, account_of(DNS, Use("archive", "", 6, 4070)), seen_of(SEEN))
    site, segments = site_of(world)
    names, findings = in_force(told, site, Proposal(tuple(segments), (), (), (), 0, ()), TODAY)
    assert not names and [each.code for each in findings] == ["SW3273"]
    assert "no rule permits names udp/53, archive tcp/4070" in findings[0].message
    rule = Rule("names", "pumps", "names", ("dns",), "Names", "manual")
    pumps = replace(segments[2], allow=(rule,))
    alone = weigh(world, account_of(DNS), seen_of(SEEN))
    standing = replace(site, segments={"pumps": pumps})
    assert in_force(alone, standing, Proposal((), (), (), (), 0, ()), TODAY) == (frozenset({"pumps"}), [])
    # A rule for one of its devices is none for the segment.
    some = replace(site, segments={"pumps": replace(segments[2], allow=(replace(rule, devices=("one",)),))})
    assert not in_force(alone, some, Proposal((), (), (), (), 0, ()), TODAY)[0]


def test_the_later_of_two_accounts_counts(world: World) -> None:
    site, segments = site_of(world)
    given = [account_of(), account_of(DNS, Use("archive", "", 6, 4070))]
    told = weighed(given, site, segments, seen_of(SEEN), Decisions((), site.services, TODAY), TODAY)
    assert [(each.to, each.port) for each in told.approvals] == [("archive", 4070)] and not told.findings


def test_an_icmp_service_is_its_types_and_no_others(world: World) -> None:
    site, segments = site_of(world)
    ping = "  ping:\n    match:\n      - {protocol: icmp, icmp_type: 8}\n      - {protocol: icmp, icmp_type: 3, icmp_code: 4}\n"
    text = SERVICES + ping
    (world.policy / "services.yml").write_text(text, encoding="utf-8")
    site = load_site(world.policy).site
    assert site is not None
    for made in ("approve", "refuse"):
        decision = Decision("pumps", "names", "ping", 0, 0, made, "R. Ortner", "So", "2026-12-01")
        decided = Decisions([decision], site.services, TODAY)
        about = {port for port in range(65_536) if decided.about(CandidateKey("pumps", "names", 1, port))}
        assert about == {*range(2_048, 2_304), 772}
        approved = {key.server_port for key, _decision in decided.approved()}
        assert approved == ({2_048, 772} if made == "approve" else set())
    account = account_of(DNS, Use("names", "ping", 0, 0))
    told = weighed([account], site, segments, seen_of(SEEN), Decisions((), site.services, TODAY), TODAY)
    pumps = replace(segments[2], allow=(Rule("names", "pumps", "names", ("dns", "ping"), "Names", "manual"),))
    standing = replace(site, segments={"pumps": pumps})
    assert in_force(told, standing, Proposal((), (), (), (), 0, ()), TODAY) == (frozenset({"pumps"}), [])


def test_nobody_is_asked_where_days_are_still_to_come_or_nothing_waits(world: World) -> None:
    _site, segments = site_of(world)
    one = Completeness("pumps", 30, None, None, 9, 0.0, 9.0, 9.0, 3, 0, 0, False)
    openers = {"gateways": ("pumps",), "names": ()}
    assert [each.client for each in questions({"pumps": one}, segments, openers)] == ["pumps"]
    assert not questions({"pumps": replace(one, days=29)}, segments, openers)
    assert not questions({"pumps": replace(one, known=True)}, segments, openers)
    assert not questions({"pumps": one}, segments, {"gateways": ()})
    assert not questions({"held_pumps": replace(one, segment="held_pumps")}, segments, {"gateways": ("held_pumps",)})
