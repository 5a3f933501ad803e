# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exceptions that have not begun are checked before their day; kept rules stay whatever isolations are pulled together."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.compile import compile_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.effective import effective_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import (
    AccessException,
    Posture,
    Site,
    Situation,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.rules.r27_access import (
    exceptions_name_segments_and_devices,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.ruling import Context
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.situations import (
    MOST_PAIRS,
    most_pairs,
    pairs_of,
    prove_pulled,
    prove_situations,
)
from tests.unit.proof.small_sites import World

MEMBERS = {
    "a": [("10.0.1.2", "sw1", "Gi1"), ("10.0.1.3", "sw1", "Gi4")],
    "b": [("10.0.2.2", "sw2", "Gi2")],
    "c": [("10.0.3.2", "sw2", "Gi3")],
}
RULES = [("r1", "a", "a", ["web"]), ("r2", "c", "a", ["web"]), ("r3", "a", "b", ["web"])]


def world(guardrails: list[tuple[str, str, str, list[str]]], workflows: list[list[str]]) -> Site:
    stages = {name: ("enforce", ["p"]) for name in MEMBERS}
    return World(
        MEMBERS, list(RULES), {}, stages, {"p": ("dacl", {})}, guardrails=guardrails, workflows=workflows
    ).site()


@pytest.mark.parametrize(
    ("today", "wanted"),
    [
        (date(2026, 11, 26), ["SW3111"]),  # before it begins
        (date(2026, 12, 1), []),  # prove_guardrails says it of the present
        (date(2026, 12, 6), []),  # it is over
    ],
)
def test_an_exception_to_come_keeps_the_guardrails(today: date, wanted: list[str]) -> None:
    site = world([("never", "b", "c", ["web"])], [])
    coming = AccessException("e1", "exception", "v", "b", "c", ("web",), "2026-12-01", "2026-12-05", "T", "o", "r")
    site = replace(site, exceptions=(coming,), as_of=today)
    lists = compile_site(site).lists
    assert ("e1" in {ace.label for item in lists for ace in item.aces}) is (today.day == 1)
    results, _present, findings = prove_situations(site, lists)
    assert [finding.code for finding in findings] == wanted
    assert all("rule e1 permits" in finding.message and finding.severity == "error" for finding in findings)
    assert ("exceptions" in {item.kind for item in results}) is bool(wanted)


@pytest.mark.parametrize("which", [(0,), (0, 1), (0, 0), (1, 0)])
def test_what_every_isolation_keeps_goes_on(which: tuple[int, ...]) -> None:
    """One device, two of one segment, and one device in two postures: alone and together their kept rules pass, within the segment too."""
    site = world([], [["r1"], ["r2"], ["r3"]])
    devices = [member.device for member in site.members["a"]]
    postures = {
        f"p{n}": Posture(f"p{n}", "isolate", "o", "r", device=devices[number], keeps=("r1", "r2", "r3"))
        for n, number in enumerate(which)
    }
    site = replace(site, postures=postures)
    _results, _present, findings = prove_situations(site, compile_site(site).lists)
    assert [str(finding) for finding in findings] == []
    ids = [rule.id for rule in effective_site(site, Situation(postures=tuple(postures))).rules()]
    assert len(ids) == len(set(ids))


def test_what_only_one_of_two_isolations_keeps_does_not() -> None:
    site = world([], [])
    device = site.members["a"][0].device
    postures = {
        "p0": Posture("p0", "isolate", "o", "r", device=device, keeps=("r2",)),
        "p1": Posture("p1", "isolate", "o", "r", device=device, keeps=("r3",)),
    }
    pulled = effective_site(replace(site, postures=postures), Situation(postures=("p0", "p1")))
    assert {rule.id for rule in pulled.rules() if {rule.client, rule.to} & {"p1"}} == set()
    assert pulled.members["p0"] == () and [member.device for member in pulled.members["p1"]] == [device]


@pytest.mark.parametrize(("expires", "wanted"), [("2026-11-25", []), ("2026-11-26", ["SW2707"])])
def test_devices_of_an_exception_that_has_expired_may_be_gone(expires: str, wanted: list[str]) -> None:
    gone = AccessException("e1", "exception", "v", "b", "c", ("web",), "2026-11-01", expires, "T", "o", "r", ("gone",))
    site = replace(world([], []), exceptions=(gone,))
    found = exceptions_name_segments_and_devices(site, Context(date(2026, 11, 26)))
    assert [finding.code for finding in found] == wanted


def test_long_ids_of_copies_stay_apart() -> None:
    site = world([], [])
    names = ["x" * 60 + end for end in ("-a", "-b")]
    segment = site.segments["c"]
    allow = tuple(replace(segment.allow[0], id=name) for name in names)
    segments = {**site.segments, "c": replace(segment, allow=allow)}
    device = site.members["a"][0].device
    posture = Posture("isolated_device", "isolate", "o", "r", device=device, keeps=tuple(names))
    site = replace(site, segments=segments, postures={"isolated_device": posture})
    ids = [rule.id for rule in effective_site(site, Situation(postures=("isolated_device",))).rules()]
    assert len(ids) == len(set(ids)) and max(len(name) for name in ids) <= 63


def test_a_must_never_goes_on_for_a_device_that_an_isolation_takes_out() -> None:
    """Nothing reaches a by SSH-like services; the isolated device of a is one of them still, as client and as server."""
    site = world([("never", "b", "a", ["ping"]), ("never", "a", "a", ["ping"])], [])
    device = site.members["a"][0].device
    posture = Posture("away", "isolate", "o", "r", device=device, keeps=("r2",))
    pulled = effective_site(replace(site, postures={"away": posture}), Situation(postures=("away",)))
    ends = [(item.id, item.client, item.server) for item in pulled.guardrails]
    assert ends == [
        ("g0", "b", "a"), ("g0", "b", "away"), ("g1", "a", "a"), ("g1", "a", "away"), ("g1", "away", "a"), ("g1", "away", "away"),
    ]  # fmt: skip


@pytest.mark.parametrize("kept", [("r3",), ()])
def test_two_isolations_that_hold_alone_are_proved_together(kept: tuple[str, ...]) -> None:
    site = world([], [["r3"]])
    postures = {
        "one": Posture("one", "isolate", "o", "r", segment="a", keeps=("r3",)),
        "two": Posture("two", "isolate", "o", "r", segment="b", keeps=kept),
    }
    site = replace(site, postures=postures)
    results, _present, findings = prove_situations(site, compile_site(site).lists)
    assert [item.name for item in results][-3:] == ["posture one", "posture two", "postures one and two"]
    assert {f.code for f in findings} == (set() if kept else {"SW3143"})
    assert any("postures one and two: workflow w0" in f.message for f in findings) is not bool(kept)


def test_pairs_beyond_the_bound_are_said_and_a_plan_proves_its_own_set() -> None:
    site = world([], [["r3"]])
    many = {f"p{n:02}": Posture(f"p{n:02}", "isolate", "o", "r", segment="c", keeps=("r2",)) for n in range(11)}
    many["z"] = Posture("z", "isolate", "o", "r", segment="a")
    site = replace(site, postures=many)
    pairs = pairs_of(site)
    assert len(pairs) == 66 and {pair[0].id for pair in pairs[:55]} <= set(many)
    results, _present, findings = prove_situations(site, compile_site(site).lists)
    assert sum(item.name.startswith("postures ") for item in results) == MOST_PAIRS
    said = [f for f in findings if f.code == "SW3145"]
    assert [f.message.split(" ", 4)[:3] for f in said] == [["21", "of", "66"]]
    for names, wanted in ((("p00", "p01"), set()), (("p00", "z"), {"SW3143"})):
        situation = Situation(postures=names)
        assert {f.code for f in prove_pulled(site, situation, compile_site(site, situation).lists, None)} == wanted


@pytest.mark.one_python
@pytest.mark.parametrize(("rules", "most"), [(1, 45), (11_000, 45), (100_000, 5), (600_000, 0)])
def test_a_large_site_proves_fewer_pairs(rules: int, most: int) -> None:
    site = world([], [])
    segment = site.segments["c"]
    segments = {"c": replace(segment, allow=segment.allow * rules)}
    postures = {"p": Posture("p", "isolate", "o", "r", segment="c")}
    assert most_pairs(replace(site, segments=segments, networks={}, postures=postures)) == most
