# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whom the steps of a ring move, what their sessions have to carry then, and who has followed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.carriers import (
    ABSENT,
    APPROVED,
    CURRENT,
    DIFFERS,
    MISSING,
    OLD,
    UNAUTHORIZED,
    UNREAD,
    Carrier,
    Wanted,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Operation
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.moved_sessions import (
    EVENT,
    Followed,
    Handed,
    carried_on,
    followed_of,
    handed_out,
    held_after,
    moved_back,
    moved_by,
    open_in,
    tag_alone,
    with_tag,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.loader import load_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site

PUMPS = tuple(f"02:1a:10:00:00:1{number}" for number in (1, 2, 3))
CAMERAS = tuple(f"02:1a:30:00:00:3{number}" for number in (1, 2))


@pytest.fixture(scope="module")
def site(root: Path) -> Site:
    found = load_site(root / "policies").site
    assert found is not None
    return found


def step(kind: str, name: str, before: Any, after: Any) -> Operation:
    return Operation(f"{kind}/{name}", "ise1", kind, name, "update", before, after)


RULE = {"state": "enabled", "profiles": ["SW_cameras"], "security_group": "SW_cameras"}


@pytest.mark.parametrize(
    ("kind", "before", "after", "moves"),
    [
        ("authorization_rule", RULE, {**RULE, "security_group": "other"}, CAMERAS),
        ("authorization_rule", {**RULE, "profiles": []}, RULE, CAMERAS),
        ("authorization_rule", {**RULE, "state": "disabled"}, RULE, CAMERAS),
        ("authorization_rule", None, RULE, CAMERAS),
        ("authorization_rule", {**RULE, "rank": 3}, {**RULE, "rank": 4}, ()),
        ("authorization_rule", RULE, None, ()),
        ("authorization_profile", {"dacl_name": "x"}, {"dacl_name": "SW_cameras"}, CAMERAS),
        (
            "authorization_profile",
            {"dacl_name": "x", "ipv6_dacl_name": None},
            {"dacl_name": "x", "ipv6_dacl_name": ""},
            (),
        ),
        ("authorization_profile", None, {"dacl_name": "SW_cameras"}, ()),
    ],
)
def test_what_a_segment_gets_moves_all_its_devices(site: Site, kind: str, before: Any, after: Any, moves: Any) -> None:
    name = "SW_cameras@Default" if kind == "authorization_rule" else "SW_cameras"
    changed = step(kind, name, before, after)
    found = moved_by(site, [("ise1", changed)], {("ise1", changed.id): 4})
    assert found == ({4: (("ise1", "cameras", moves),)} if moves else {4: ()})


def test_an_assignment_moves_its_device_and_the_rule_of_its_group_whoever_came_before(site: Site) -> None:
    first = step("endpoint", PUMPS[0].upper(), {"group": "old"}, {"group": "SW_infusion_pumps"})
    again = step("endpoint", PUMPS[1].upper(), None, {"group": "SW_infusion_pumps"})
    marked = step("endpoint", PUMPS[2].upper(), {"group": "g", "description": ""}, {"group": "g", "description": "x"})
    leaves = step("endpoint", CAMERAS[0].upper(), {"group": "SW_cameras"}, None)
    stranger = step("endpoint", "02:00:00:00:00:99", None, {"group": "SW_cameras"})
    rule = step("authorization_rule", "SW_infusion_pumps@Default", {**RULE, "profiles": ["x"]}, RULE)
    steps = [("ise1", each) for each in (first, again, marked, leaves, stranger, rule)]
    places = {("ise1", each.id): 0 for _target, each in steps} | {("ise1", again.id): 2, ("ise1", rule.id): 1}
    assert moved_by(site, steps, places) == {
        0: (("ise1", "infusion_pumps", (PUMPS[0],)),),
        1: (("ise1", "infusion_pumps", (PUMPS[0], PUMPS[2])),),  # the second one comes when the rule is as planned
        2: (("ise1", "infusion_pumps", (PUMPS[1],)),),
    }
    assert moved_by(site, steps[:1], {}) == {} and moved_by(site, [], {}) == {}


def test_what_is_undone_moves_devices_back(site: Site) -> None:
    old = step("endpoint", PUMPS[0].upper(), {"group": "SW_cameras"}, {"group": "SW_infusion_pumps"})
    gone = step("endpoint", PUMPS[1].upper(), {"group": "SW_retired"}, {"group": "SW_infusion_pumps"})
    first = step("endpoint", PUMPS[2].upper(), None, {"group": "SW_infusion_pumps"})
    rule = step("authorization_rule", "SW_infusion_pumps@Default", {**RULE, "profiles": ["x"]}, RULE)
    assert moved_back(site, (old, gone, first)) == (
        ("ise1", "SW_retired", (PUMPS[1],)),
        ("ise1", "cameras", (PUMPS[0],)),
    )
    # Who was assigned by the same plan was not in the group before.
    assert moved_back(site, (old, rule))[1] == ("ise1", "infusion_pumps", PUMPS[1:])
    assert moved_back(site, ()) == ()


HELD: dict[str, Any] = {
    "authorization_rule/SW_pumps@Default": {"state": "enabled", "profiles": ["SW_pumps"], "security_group": "G"},
    "authorization_profile/SW_pumps": {"dacl_name": "SW_pumps", "ipv6_dacl_name": "SW_pumps_6"},
    "downloadable_acl/SW_pumps": {"content": "permit ip any any"},
    "downloadable_acl/SW_pumps_6": {"content": "deny ipv6 any any"},
    "sgt/G": {"value": 115},
}


def test_a_session_gets_what_the_rule_hands_out_after_the_ring() -> None:
    whole = Handed(((4, "SW_pumps", "permit ip any any"), (6, "SW_pumps_6", "deny ipv6 any any")), 115)
    assert handed_out(HELD, "SW_pumps") == whole and handed_out(HELD, "SW_pump") is None
    # What a later ring changes is as it was; what it creates is not there.
    later = [step("downloadable_acl", "SW_pumps", {"content": "deny ip any any"}, {"content": "permit ip any any"})]
    assert handed_out(held_after(HELD, later), "SW_pumps") == replace(
        whole, lists=((4, "SW_pumps", "deny ip any any"), whole.lists[1])
    )
    for key in ("authorization_rule/SW_pumps@Default", "downloadable_acl/SW_pumps_6", "sgt/G"):
        kind, _slash, name = key.partition("/")
        assert handed_out(held_after(HELD, [step(kind, name, None, HELD[key])]), "SW_pumps") is None, key
    rule = HELD["authorization_rule/SW_pumps@Default"]
    off = step("authorization_rule", "SW_pumps@Default", {**rule, "state": "disabled"}, rule)
    assert handed_out(held_after(HELD, [off]), "SW_pumps") is None
    plain = step(
        "authorization_rule", "SW_pumps@Default", {**rule, "profiles": ["PermitAccess"], "security_group": ""}, rule
    )
    assert handed_out(held_after(HELD, [plain]), "SW_pumps") == Handed()


WANTED = Wanted("ise1", "SW_pumps", 4, "permit ip any any", "pumps")


def carrier(state: str, by: str = "switch", mac: str = PUMPS[0]) -> Carrier:
    return Carrier(WANTED, mac, state, shown_by=by)


@pytest.mark.parametrize(
    ("state", "wanted", "by_switch", "by_ise", "found"),
    [
        (APPROVED, 115, 115, None, APPROVED),
        (APPROVED, 115, 110, 115, OLD),  # the switch decides
        (APPROVED, 115, None, 115, CURRENT),
        (APPROVED, 115, None, None, OLD),
        (CURRENT, 115, None, 110, OLD),
        (CURRENT, 115, None, 115, CURRENT),
        (APPROVED, None, 110, None, APPROVED),
        (MISSING, 115, 115, None, OLD),  # another list
        (MISSING, None, None, None, OLD),
        *((state, 115, 110, None, state) for state in (ABSENT, UNAUTHORIZED, UNREAD, DIFFERS, OLD)),
    ],
)
def test_list_and_tag_come_together(state: str, wanted: Any, by_switch: Any, by_ise: Any, found: str) -> None:
    assert with_tag(carrier(state), wanted, by_switch, by_ise).state == found


@pytest.mark.parametrize(
    ("state", "by", "lists", "tagged", "found"),
    [
        (MISSING, "switch", False, False, APPROVED),
        (MISSING, "ise", False, False, CURRENT),
        (MISSING, "switch", True, False, OLD),
        (MISSING, "switch", False, True, OLD),
        (ABSENT, "", False, False, ABSENT),
        (UNAUTHORIZED, "switch", False, False, UNAUTHORIZED),
        (UNREAD, "ise", False, False, UNREAD),
    ],
)
def test_who_gets_no_list_carries_none(state: str, by: str, lists: bool, tagged: bool, found: str) -> None:
    assert tag_alone(carrier(state, by), lists, tagged).state == found


@pytest.mark.parametrize(
    ("state", "by", "read", "found"),
    [
        (APPROVED, "switch", ["acc1"], "followed"),
        (CURRENT, "ise", [], "followed"),
        (ABSENT, "", ["ACC1"], "absent"),
        (ABSENT, "", ["acc2"], "open"),  # ISE may have forgotten a session that goes on
        (ABSENT, "", [], "open"),
        (UNAUTHORIZED, "switch", [], "absent"),
        (UNAUTHORIZED, "ise", ["acc1"], "open"),
        *((state, "switch", ["acc1"], "open") for state in (OLD, DIFFERS, UNREAD, MISSING)),
    ],
)
def test_who_has_followed(state: str, by: str, read: list[str], found: str) -> None:
    made = followed_of({PUMPS[0]: carrier(state, by)}, {PUMPS[0]: "acc1"}, read, {}).as_dict()
    assert [name for name, macs in made.items() if macs] == [found]


def test_those_who_have_not_are_named() -> None:
    carriers = {PUMPS[0]: carrier(OLD), PUMPS[1]: carrier(ABSENT, "", PUMPS[1])}
    found = followed_of(carriers, dict.fromkeys(PUMPS, "acc1"), ["acc1"], {PUMPS[0]: "the device is held"})
    assert found == Followed(
        (), (PUMPS[1],), ((PUMPS[0], "the device is held"), (PUMPS[2], "nothing says what its session has to carry"))
    )
    needed = found.findings("one", {PUMPS[0]: "pump1"}, needed=True)
    assert [(item.code, item.severity) for item in needed] == [("SW4175", "error"), ("SW4175", "info")]
    assert "ring one: 2 devices may be as before: pump1 (the device is held)" in needed[0].message
    assert found.findings("one", {}, needed=False)[0].severity == "warning"
    assert Followed(PUMPS).findings("one", {}, needed=True) == [] and codes.MOVED_OPEN.severity == "error"


def entry(event: str, ring: str, **more: Any) -> dict[str, Any]:
    return {"event": event, "plan_id": "p", "ring": ring, **more}


def test_the_journal_says_who_may_be_as_before() -> None:
    one = entry(EVENT, "one", followed=[PUMPS[1]], absent=[], open=[{"mac": PUMPS[0], "reason": "held"}])
    begun = entry("plan_started", "one")
    assert open_in([begun, one], "p") == {"one": {PUMPS[0]: "held"}} and open_in([begun, one], "q") == {}
    assert open_in([begun, one, begun], "p") == {}  # a run that died says nothing yet
    two = entry(EVENT, "two", followed=[PUMPS[0]], absent=[], open=[{"mac": PUMPS[2], "reason": "held"}])
    assert open_in([begun, one, entry("plan_started", "two"), two], "p") == {"one": {}, "two": {PUMPS[2]: "held"}}
    moved = [("one", (("ise1", "pumps", PUMPS[:2]),)), ("two", (("ise1", "pumps", PUMPS[2:]),))]
    assert list(carried_on(moved, {"one": {PUMPS[0]: "held"}})) == [("ise1", "pumps", (PUMPS[0],))]
