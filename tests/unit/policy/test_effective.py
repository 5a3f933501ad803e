# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Precedence: isolation, relaxation, exception, rule, default deny; windows and days."""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.effective import effective_rules, effective_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import (
    NONE_OPEN,
    NORMAL,
    AccessException,
    Assignment,
    Conditions,
    Member,
    NetworkSet,
    Posture,
    Rule,
    Segment,
    Service,
    ServiceMatch,
    Site,
    Situation,
    Window,
    Workflow,
    Zone,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.ranges import merged, prefixes_of, without
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.windows import (
    minutes_of,
    next_change,
    situation_at,
    window_is_open,
)

NIGHT = Window(("fri",), "22:00", "06:00")


def make_rule(name: str, client: str, to: str, **more: object) -> Rule:
    return Rule(name, client, to, ("hl7",), "needed", "manual", **more)  # type: ignore[arg-type]


def make_site(**more: object) -> Site:
    segments = {
        "emr": Segment("emr", "core", 17, "IT", "high", {}, (make_rule("emr-anywhere", "emr", "any"),)),
        "pumps": Segment(
            "pumps",
            "ward",
            16,
            "Ward",
            "life_support",
            {},
            (
                make_rule("pump-emr", "pumps", "emr"),
                make_rule("pump-net", "pumps", "everyone"),
                make_rule("pump-night", "pumps", "emr", conditions=Conditions((NIGHT,))),
                make_rule("pump-help", "pumps", "emr", conditions=Conditions(posture="downtime")),
                make_rule("pump-old", "pumps", "emr", expires="2026-06-30"),
            ),
        ),
    }
    site = Site(
        "s",
        "Europe/Vienna",
        {"core": Zone("core", ("100.64.1.0/24",), 3, "IT"), "ward": Zone("ward", ("100.64.2.0/24",), 2, "Ward")},
        (),
        {"hl7": Service("hl7", (ServiceMatch(6, ((2575, 2575),)),))},
        {"everyone": NetworkSet("everyone", ("100.64.0.0/16", "2001:db8::/32"))},
        segments,
        (),
        (),
        (Workflow("infusion", "Infusion", "Ward", "life_support", ("pump-emr",)),),
        {},
        {"pumps": Assignment("pumps", "monitor", ("acl",)), "emr": Assignment("emr", "enforce", ("acl",))},
        {
            "emr": (Member("02:00:00:00:01:01", ("100.64.1.10",), "emr1"),),
            "pumps": (
                Member("02:00:00:00:02:01", ("100.64.2.10", "2001:db8::10"), "pump1"),
                Member("02:00:00:00:02:02", ("100.64.2.11",), "pump2"),
            ),
        },
    )
    return replace(site, **more)  # type: ignore[arg-type]


def ids(site: Site, situation: Situation = NORMAL) -> list[str]:
    return [item.id for item in effective_rules(site, situation)]


def test_a_site_without_anything_special_is_itself() -> None:
    plain = make_site(segments={"emr": make_site().segments["emr"]})
    assert effective_site(plain) is plain


def test_windows_expiries_and_postures_decide_which_rules_hold() -> None:
    site = make_site(postures={"downtime": Posture("downtime", "relax", "IT", "EMR is down", segment="pumps")})
    always = ["emr-anywhere", "pump-emr", "pump-net"]
    assert ids(site) == [*always, "pump-night", "pump-old"]
    assert ids(site, Situation(open_windows=NONE_OPEN)) == [*always, "pump-old"]
    assert ids(site, Situation(date(2026, 6, 30), NONE_OPEN)) == [*always, "pump-old"]
    assert ids(site, Situation(date(2026, 7, 1), NONE_OPEN)) == always
    assert ids(replace(site, as_of=date(2026, 7, 1)), Situation(open_windows=frozenset({"pump-night"}))) == [
        *always,
        "pump-night",
    ]
    assert ids(site, Situation(open_windows=NONE_OPEN, postures=("downtime",))) == [*always, "pump-help", "pump-old"]
    with pytest.raises(KeyError):
        effective_site(site, Situation(postures=("unknown",)))


def test_an_exception_holds_from_its_first_through_its_last_day_and_comes_first() -> None:
    item = AccessException(
        "fix", "vendor_access", "Vendor", "pumps", "emr", ("hl7",), "2026-03-02", "2026-03-04", "T1", "IT", "repair",
        devices=("PUMP2",),
    )  # fmt: skip
    site = make_site(exceptions=(item,))
    for day, expected in ((1, False), (2, True), (4, True), (5, False)):
        assert ("fix" in ids(site, Situation(date(2026, 3, day)))) is expected
    made = effective_site(site).segments["pumps"].allow[0]
    assert (made.id, made.origin, made.devices) == ("fix", "exception", ("02:00:00:00:02:02",))
    assert effective_site(site).exceptions == ()


def test_an_isolated_segment_keeps_only_what_the_posture_names() -> None:
    posture = Posture("cut_pumps", "isolate", "IT", "worm", segment="pumps", keeps=("infusion",))
    site = effective_site(make_site(postures={"cut_pumps": posture}), Situation(postures=("cut_pumps",)))
    assert [item.id for item in site.segments["pumps"].allow] == ["pump-emr"]
    assert site.assignments["pumps"].stage == "enforce"
    (anywhere,) = site.segments["emr"].allow
    away = {ipaddress.ip_address(text) for text in ("100.64.2.10", "100.64.2.11", "2001:db8::10")}
    networks = [ipaddress.ip_network(text) for text in site.networks[anywhere.to].prefixes]
    assert not any(address in network for address in away for network in networks)
    assert sum(network.num_addresses for network in networks) == 2**32 + 2**128 - 3


def test_an_isolated_device_stands_alone_and_the_others_go_on() -> None:
    posture = Posture("cut_one", "isolate", "IT", "worm", device="pump1", keeps=("pump-emr",), sgt=666)
    made = effective_site(make_site(postures={"cut_one": posture}), Situation(postures=("cut_one",)))
    assert [member.name for member in made.members["pumps"]] == ["pump2"]
    assert [member.name for member in made.members["cut_one"]] == ["pump1"]
    assert [(item.id, item.client, item.to) for item in made.segments["cut_one"].allow] == [
        ("pump-emr-cut_one", "cut_one", "emr")
    ]
    assert made.segments["cut_one"].sgt == 666
    assert made.assignments["cut_one"] == Assignment("cut_one", "enforce", ("acl",))
    assert made.assignments["pumps"].stage == "monitor"
    assert "pump-net" in {item.id for item in made.segments["pumps"].allow}
    for network in made.segments["emr"].allow[0].to, made.segments["pumps"].allow[1].to:
        assert not any(
            ipaddress.ip_address("100.64.2.10") in ipaddress.ip_network(text)
            for text in made.networks[network].prefixes
        )


def test_isolation_wins_over_relaxation_in_either_order() -> None:
    postures = {
        "cut": Posture("cut", "isolate", "IT", "worm", segment="pumps"),
        "open": Posture("open", "relax", "IT", "outage", segment="pumps", opens="all"),
    }
    site = make_site(postures=postures, assignments={"pumps": Assignment("pumps", "enforce", ("acl",))})
    assert effective_site(site, Situation(postures=("open",))).assignments["pumps"].stage == "monitor"
    for order in (("cut", "open"), ("open", "cut")):
        made = effective_site(site, Situation(postures=order))
        assert made.assignments["pumps"].stage == "enforce"
        assert made.segments["pumps"].allow == ()


def test_a_window_over_midnight_belongs_to_the_day_on_which_it_begins() -> None:
    for day, hour, expected in ((6, 23, True), (7, 5, True), (7, 6, False), (7, 23, False), (6, 5, False)):
        assert window_is_open(NIGHT, datetime(2026, 3, day, hour)) is expected, (day, hour)
    assert minutes_of("24:00") == 1440
    for text in ("24:01", "7:30", "07:60", "-1:00", "07.30", "0730"):
        with pytest.raises(ValueError, match=r"HH:MM|time of a day"):
            minutes_of(text)


def test_a_moment_is_judged_in_the_time_zone_of_the_site() -> None:
    site = make_site()
    friday = datetime(2026, 3, 6, 21, 30, tzinfo=UTC)  # 22:30 in Vienna
    assert situation_at(site, friday) == Situation(date(2026, 3, 6), frozenset({"pump-night"}))
    change = next_change(site, friday)
    assert change is not None
    assert change.astimezone(UTC) == datetime(2026, 3, 7, 5, 0, tzinfo=UTC)
    with pytest.raises(ValueError, match="time zone"):
        situation_at(site, datetime(2026, 3, 6, 21, 30))


def test_addresses_are_taken_away_exactly() -> None:
    first, away = [(4, 0, 15), (6, 0, 7)], [(4, 3, 4), (4, 4, 6), (6, 7, 9)]
    left = without(first, away)
    assert left == [(4, 0, 2), (4, 7, 15), (6, 0, 6)]
    assert prefixes_of(left) == ["0.0.0.0/31", "0.0.0.2/32", "0.0.0.7/32", "0.0.0.8/29", "::/126", "::4/127", "::6/128"]
    assert merged([(4, 5, 6), (4, 0, 4), (6, 7, 7)]) == [(4, 0, 6), (6, 7, 7)]
