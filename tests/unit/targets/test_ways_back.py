# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose an armed way back is, and when it is sure that nobody will call it off."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import (
    asa_ways_back,
    codes,
    ios_claim,
    ios_ways_back,
    nft_apply,
    nxos_way_back,
    ways_back,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.asa import AsaTarget
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.asa_claim import AsaClaim
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.asa_config import (
    AsaState,
    claim_lines,
    read_asa_config,
    way_back,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios import IosTarget
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_change import Swap, revert_lines
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_config import IosState, read_config
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nxos import NxosTarget
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nxos_config import NxosState
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ways_back import (
    WayBack,
    at_work,
    left_behind,
    of_others,
    own_name,
    to_take_away,
    wait_until_gone,
)

PLACE = ("GigabitEthernet1/0/1", "in", 4)


def of_process(pid: int, prefix: str = "SW_revert") -> WayBack:
    """Return a way back that a process of this very controller would have armed."""
    name = f"{prefix}_{ways_back.place()}{ways_back._number(pid, 6)}{ways_back._started(pid) or '0000'}"
    return WayBack(name, seconds=60)


def test_a_name_says_whose_it_is_and_fits() -> None:
    assert of_process(os.getpid()).name == own_name("SW_revert")
    assert len(own_name("SW_revert")) <= 29  # applets of IOS
    assert len(own_name("SW_way_back_on")) <= 31  # jobs of NX-OS
    assert WayBack(own_name("SW_revert")).marked and not WayBack("SW_revert").marked


def test_our_own_is_left_behind_as_soon_as_we_are_not_at_work_on_the_device() -> None:
    mine = of_process(os.getpid())
    assert left_behind(mine, "sw1")
    with at_work("sw1"):
        with at_work("sw1"):
            assert not left_behind(mine, "sw1") and left_behind(mine, "sw2")
        assert of_others([mine], "sw1") == [mine]
        assert of_others([mine], "sw1", own=mine.name) == []
    assert left_behind(mine, "sw1")


def test_a_process_of_ours_is_asked_whether_it_lives() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        way = of_process(process.pid)
        assert not left_behind(way, "sw1")
        number_reused = replace(way, name=way.name[:-4] + "zzzz")
        assert left_behind(number_reused, "sw1")
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert left_behind(way, "sw1"), "killed and not yet collected by its parent"
        process.wait()
    assert left_behind(way, "sw1")


@pytest.mark.parametrize(
    "name", ["SW_revert", "SW_revert_c0ffee000abc1234", f"SW_revert_c0ffee{ways_back._number(2**31, 6)}0000"]
)
def test_of_another_controller_only_the_device_knows(name: str) -> None:
    """The process number means nothing here, whether or not one of that number runs."""
    way = WayBack(name, seconds=60)
    assert not left_behind(way, "sw1")
    assert left_behind(replace(way, over=True), "sw1")
    assert left_behind(replace(way, seconds=0), "sw1"), "without its timer it never strikes"


def test_who_it_is_is_told() -> None:
    (way,) = read_config("\n".join([*_lines(revert_lines([Swap(PLACE, "SW_a__a", "SW_a__b")], 60)), "end"])).ways_back
    assert (way.name, way.seconds) == (own_name("SW_revert"), 60) and way.lines == 8
    assert f"process {os.getpid()}" in way.described() and "within 60 s" in way.described()
    state = read_asa_config("")
    (way,) = read_asa_config("\n".join(_lines(way_back(state, "SW_a__b", [("", "global")], 30)))).ways_back
    assert (way.name, way.seconds, way.lines) == (own_name("SW_way_back"), 30, 4)
    assert f"process {os.getpid()}" in way.described()
    assert "process 446640 of controller c0ffee" in WayBack("SW_revert_c0ffee009kmo1234", seconds=9).described()
    assert "no name" in WayBack("SW_revert", seconds=9).described()


def test_a_claim_says_whose_it_is_and_is_no_way_back() -> None:
    (way,) = read_config("\n".join([*_lines(ios_claim.claim_lines(240)), "end"])).ways_back
    assert (way.name, way.seconds, way.claim) == (own_name("SW_claim"), 240, True) and len(way.name) <= 29
    assert f"process {os.getpid()}" in way.described() and "goes within 240 s" in way.described()
    (other,) = read_asa_config("\n".join(_lines(claim_lines(240)))).ways_back
    assert (other.name, other.seconds, other.claim) == (way.name, 240, True)
    claim = ios_claim.Claim()
    claim.begun(ios_claim.claim_lines(240), 240)
    assert not claim.lasts(1) and claim.seen((way, THEIRS)) == (THEIRS,) and claim.lasts(240)
    assert not claim.lasts(600) and claim.seen((THEIRS,)) == (THEIRS,) and not claim.stands


def test_an_undo_begins_anew_where_another_claims_at_the_same_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ways_back, "pause", lambda _seconds: None)
    refused = [
        ways_back.Outdone(*ways_back.refusal("sw1", [THEIRS])),
        ways_back.Outdone(codes.CHANGED_MEANWHILE.at("fw1: table inet segwright")),
        FindingError(codes.CLAIM_GONE.at("sw1: SW_claim"), codes.LEFT_BEHIND.at("sw1: nothing")),
        FindingError(*ways_back.refusal("sw1", [THEIRS]), codes.LEFT_BEHIND.at("sw1: nothing")),
    ]
    assert len(refused) == ways_back.UNDO_TRIES - 1

    def work() -> str:
        if refused:
            raise refused.pop()
        return "done"

    assert ways_back.not_outdone(work) == "done"
    refused.append(FindingError(codes.NOT_PROVED.at("sw1: SW_x")))
    with pytest.raises(FindingError):
        ways_back.not_outdone(work)


def _lines(typed: Any) -> list[str]:
    return [typed[0], *(f" {line}" for line in typed[1:])]


class Waiting:
    """A clock that only sleeping moves, and what stands on the device by then."""

    def __init__(self, gone_after: float, after: tuple[WayBack, ...] = ()) -> None:
        self.now, self.gone_after, self.after = 0.0, gone_after, after

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def look(self, way: WayBack) -> tuple[WayBack, ...]:
        return (way,) if self.now < self.gone_after else self.after


THEIRS = WayBack("SW_revert_c0ffee000abc1234", seconds=60)


def test_an_undo_waits_until_it_is_gone_and_no_longer_than_it_counts() -> None:
    clock = Waiting(20.0)
    assert not wait_until_gone("sw1", [THEIRS], lambda: clock.look(THEIRS), clock.sleep, lambda: clock.now)
    assert 20.0 <= clock.now < 25.0
    clock = Waiting(1e9)
    (found,) = wait_until_gone("sw1", [THEIRS], lambda: clock.look(THEIRS), clock.sleep, lambda: clock.now)
    assert found.code == "SW4477" and 60 + ways_back.GRACE <= clock.now < 60 + ways_back.GRACE + 5
    clock = Waiting(20.0, (WayBack("SW_revert_c0ffee000abd1234", seconds=60),))
    with pytest.raises(FindingError) as error:
        wait_until_gone("sw1", [THEIRS], lambda: clock.look(THEIRS), clock.sleep, lambda: clock.now)
    assert error.value.findings[0].code == "SW4476"
    claim = WayBack(
        THEIRS.name.replace("SW_revert", "SW_claim"), seconds=240
    )  # the run that has claimed arms, and goes on
    clock = Waiting(0.0)
    seen = [(claim, THEIRS), (claim,), ()]
    assert not wait_until_gone("sw1", [claim], lambda: seen.pop(0), clock.sleep, lambda: clock.now)
    assert seen == []


REGISTERED = """No.  Class     Type    Event Type          Trap  Time Registered           Name
1    applet    user    timer countdown     Off   Thu Nov 26 23:59:00 2026  SW_revert_c0ffee000abc1234
 time 60.000
2    applet    user    syslog              Off   Thu Nov  5 10:00:00 2026  THEIRS
"""


@pytest.mark.parametrize(
    ("clock", "registered", "over"),
    [
        ("23:59:59.001 UTC Thu Nov 26 2026", REGISTERED, False),
        ("*00:00:20.001 CET Fri Nov 27 2026", REGISTERED, False),  # struck, or is about to
        ("*00:00:31.001 CET Fri Nov 27 2026", REGISTERED, True),
        ("00:00:31.001 UTC Fri Nov 27 2026", "", False),  # the switch does not say
        ("", REGISTERED, False),
        ("% Invalid input", REGISTERED, False),
    ],
)
def test_an_ios_switch_is_asked_for_the_time_of_others(clock: str, registered: str, over: bool) -> None:
    asked: list[str] = []

    def show(text: str) -> str:
        asked.append(text)
        return {"show clock": clock, ios_ways_back.REGISTERED: registered}[text]

    session: Any = SimpleNamespace(show=show, spec=SimpleNamespace(name="sw1"))
    (way,) = ios_ways_back.judged(session, [THEIRS])
    assert way.over is over
    asked.clear()
    ios_ways_back.judged(session, [of_process(os.getpid())])
    assert not asked, "of our own nobody has to be asked"


@pytest.mark.parametrize(
    ("line", "over"),
    [
        ("  event countdown 60 secs, left 31 secs, hits 0, last ", False),
        ("  event countdown 60 secs, left 0 secs, hits 0, last ", False),
        ("  event countdown 60 secs, left 0 secs, hits 1, last 2026/11/26 06:47:46", True),
    ],
)
def test_an_asa_says_how_much_is_left(line: str, over: bool) -> None:
    theirs = WayBack("SW_way_back_c0ffee000abc1234", seconds=60)
    shown = "event manager applet other, hits 1, last 2026/11/26\n  event countdown 9 secs, left 0 secs, hits 1, last\n"
    shown += f"event manager applet {theirs.name}, hits 0, last \n{line}\n"
    session: Any = SimpleNamespace(show=lambda _text: shown, spec=SimpleNamespace(name="fw1"))
    assert asa_ways_back.judged(session, [theirs])[0].over is over


# -- an undo that has waited: what came after the last look stays

NEXT = WayBack("SW_revert_c0ffee000abd1234", seconds=60)
SPEC: Any = SimpleNamespace(name="sw1", revert_seconds=60)


def test_what_may_go_is_what_one_reading_shows() -> None:
    dead = replace(NEXT, over=True)
    assert to_take_away("sw1", []) == ()
    assert to_take_away("sw1", [dead, THEIRS], [THEIRS]) == (NEXT.name, THEIRS.name)
    for ways, overdue in (([THEIRS], []), ([THEIRS, NEXT], [THEIRS])):
        with pytest.raises(FindingError) as error:
            to_take_away("sw1", ways, overdue)
        assert [each.code for each in error.value.findings] == ["SW4476"]


@pytest.mark.parametrize("armed_again", [THEIRS, NEXT])
@pytest.mark.parametrize("platform", ["nft", "nxos", "asa"])
def test_a_way_back_that_is_armed_right_after_the_last_look_stays(
    platform: str, armed_again: WayBack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They call theirs off while we wait, and arm the next one, of the same name or another, before we read again."""
    readings = [(THEIRS,), (THEIRS,), (), (armed_again,)]
    typed: list[Any] = []

    def read() -> tuple[WayBack, ...]:
        return readings.pop(0) if len(readings) > 1 else readings[0]

    monkeypatch.setattr(ways_back, "pause", lambda _seconds: None)
    session: Any = SimpleNamespace(configure=typed.append, show=lambda _text: "", spec=SPEC)

    def state() -> NxosState:
        jobs = tuple((kind, way.name) for way in read() for kind in ("job", "schedule"))
        return NxosState({}, {}, way_back=jobs)

    target = AsaTarget(SPEC)
    monkeypatch.setattr(target, "state", lambda: AsaState({}, {}, ways_back=read()))
    monkeypatch.setattr(target, "connected", lambda: session)
    monkeypatch.setattr(nft_apply, "standing", lambda *_given: {way.name: (way, "7") for way in read()})
    monkeypatch.setattr(nft_apply, "call_off", lambda _session, going: typed.extend(going))
    waits: dict[str, Callable[[], Any]] = {
        "nft": lambda: nft_apply.Loader(SPEC, lambda _spec: session).settle(session, "t", undo=True),
        "nxos": lambda: nxos_way_back.wait_for_others(session, state),
        "asa": lambda: AsaClaim(target).settle(undo=True),
    }
    with pytest.raises(FindingError) as error:
        waits[platform]()
    assert [each.code for each in error.value.findings] == ["SW4476"] and typed == []


@pytest.mark.parametrize("gone", [True, False])
def test_what_goes_by_itself_while_it_is_taken_away_is_no_failure(gone: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """An ASA refuses to remove an applet that is not there any more."""
    dead, target = (replace(THEIRS, over=True), replace(NEXT, over=True)), AsaTarget(SPEC)
    typed = list[str]()

    def configure(lines: Sequence[str]) -> None:
        typed.extend(lines)
        if THEIRS.name in lines[0]:
            raise FindingError(codes.CLI_ERROR.at("does not exist"))

    session: Any = SimpleNamespace(configure=configure, show=lambda _text: "", spec=SPEC)
    monkeypatch.setattr(target, "state", lambda: AsaState({}, {}, ways_back=() if gone and typed else dead))
    monkeypatch.setattr(target, "connected", lambda: session)
    if gone:
        assert AsaClaim(target).settle() == (AsaState({}, {}), [])
    else:
        with pytest.raises(FindingError):
            AsaClaim(target).settle()
    assert typed == [f"no event manager applet {way.name}" for way in dead]


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("platform", ["ios", "asa"])
def test_one_that_is_being_typed_is_looked_at_again(
    platform: str, whole: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half-typed at the first look, whole at the second: its run goes on with it, so it stays."""
    half, typed, paused = replace(THEIRS, seconds=0), list[Any](), list[float]()
    monkeypatch.setattr(ways_back, "pause", paused.append)
    session: Any = SimpleNamespace(configure=typed.append, show=lambda _text: "", spec=SPEC)
    later = THEIRS if whole else half
    if platform == "ios":

        def settle() -> Any:
            state = IosState({}, {}, ways_back=(half,))
            return ios_ways_back.settled(session, state, lambda: replace(state, ways_back=(later,)), undo=False)
    else:
        readings, target = [half, later], AsaTarget(SPEC)
        monkeypatch.setattr(target, "connected", lambda: session)
        monkeypatch.setattr(
            target,
            "state",
            lambda: AsaState({}, {}, ways_back=(readings.pop(0) if len(readings) > 1 else readings[0],)),
        )
        settle = AsaClaim(target).settle
    if whole:
        with pytest.raises(FindingError) as error:
            settle()
        assert [each.code for each in error.value.findings] == ["SW4476"] and typed == []
    else:
        assert settle()[0].applets == (half.name,)
        assert platform == "ios" or typed == [[f"no event manager applet {half.name}"]]
    assert paused == [ways_back.LOOK_AGAIN]
    paused.clear()
    assert not ways_back.await_typing("sw1", [of_process(os.getpid()), replace(half, over=True)]) and not paused


@pytest.mark.parametrize("platform", ["ios", "nxos", "asa"])
def test_what_another_run_has_not_proved_is_not_saved(platform: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interrupted run's changes are saved later, but never together with the armed way back of a run that lives."""
    saved: list[str] = []
    if platform == "ios":
        before, now = IosState({}, {}), IosState({}, {}, ways_back=(THEIRS,))
        target: Any = IosTarget(SPEC)
        link = target._lines
    elif platform == "asa":
        before, now = AsaState({}, {}), AsaState({}, {}, ways_back=(THEIRS,))
        target = link = AsaTarget(SPEC)
    else:
        before, now = NxosState({}, {}), NxosState({}, {}, way_back=(("job", THEIRS.name),))
        target = NxosTarget(SPEC)
        link = target._link
    session = SimpleNamespace(
        startup=lambda: before, state=lambda: now, show=lambda _text: "", save=lambda: saved.append("saved"), spec=SPEC,
        saved=lambda _state: False,
    )  # fmt: skip
    monkeypatch.setattr(link, "_session", session)
    with pytest.raises(FindingError) as error:
        target.finish()
    assert [each.code for each in error.value.findings] == ["SW4476"] and saved == []
