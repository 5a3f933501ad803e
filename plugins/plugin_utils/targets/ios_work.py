# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carry out the change of one IOS switch: build, read back and prove, arm, swap, confirm from a new login, disarm, remove.

Whatever goes wrong at whichever line, the switch ends on its old lists or on its new ones, whole, and the findings say which.
"""

from __future__ import annotations

import contextlib
import math
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_change import (
    Build,
    Change,
    applet_of,
    proof,
    revert_lines,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_claim import (
    claim_lines,
    look,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_config import (
    IosState,
    shown_place,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_lines import Lines, lost
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_ways_back import judged
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.spec import TargetSpec
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ways_back import (
    Outdone,
    at_work,
    claim_seconds,
    of_others,
    refusal,
    tell_of_others,
)

# Between two tries to reach a switch on which the armed way back has to strike.
KNOCK_SECONDS = 2.0
# Seconds after its time in which the way back must have struck.
GRACE_SECONDS = 30.0
HARDWARE_LOG = "show logging | include ACL_ERRMSG"


@dataclass(frozen=True)
class Arming:
    """How the way back is armed: by an applet (lines), by the archive's timer (minutes), or not at all; how to enter; remarks."""

    enter: str = "configure terminal"
    lines: tuple[str, ...] = ()
    minutes: int = 0
    findings: tuple[Finding, ...] = ()

    @property
    def armed(self) -> bool:
        """Return whether there is a way back."""
        return bool(self.lines or self.minutes)

    @property
    def applet(self) -> str:
        """Return the name of the applet, empty where there is none."""
        return applet_of(self.lines)

    def stands(self, state: IosState) -> bool:
        """Return whether our applet is there."""
        return bool(self.lines) and self.applet in state.applets

    def saying(self, findings: Sequence[Finding]) -> Arming:
        """Return the same with more to say."""
        return replace(self, findings=(*self.findings, *findings))


@dataclass
class Work:
    """The work on one switch. ``held`` says in words what it holds now; ``needs_renewal``: no login since the last swap.

    Before anything else is typed the switch is claimed (``ios_claim.py``), until ``release`` or the end of a run that is the last.
    """

    spec: TargetSpec
    lines: Lines
    held: str = ""
    needs_renewal: bool = False
    _name: str = field(init=False, default="")

    def __post_init__(self) -> None:
        self._name = self.spec.name
        self.held = "what it held before"

    def arming(self, change: Change, state: IosState, *, needed: bool) -> Arming:
        """Return how the way back of a change is armed; FindingError SW4408 where it is needed and there is none."""
        enter = "configure terminal lock" if state.lock == "manual" else "configure terminal"
        if not needed or not change.swaps:
            return Arming(enter)
        return Arming(enter, revert_lines(change.swaps, self.spec.revert_seconds))

    def claiming(self, change: Change) -> tuple[str, ...]:
        """Return the lines with which the switch is claimed before a change; none where no list and no attachment is touched."""
        return claim_lines(self._seconds(change)) if change.types_lists else ()

    def _seconds(self, change: Change) -> int:
        return claim_seconds(len(change.build_lines()) + len(change.swap_lines()), self.spec.revert_seconds)

    def run(
        self, change: Change, state: IosState, arm: Arming, *, anew: bool, last: bool = True
    ) -> tuple[Finding, ...]:
        """Carry out a change and return what there is to say. ``anew``: confirm from a new login, else ``needs_renewal`` is set.

        ``last``: the claim goes with the old versions; else it stays for the next change, and ``release`` takes it away.
        FindingError with what went wrong and what the switch holds; Outdone where another run claims the switch at the same moment.
        """
        if change.empty:
            self.held = "what is wanted"
            return ()
        with at_work(self._name):
            try:
                return self._run(change, state, arm, anew, last)
            except Exception:
                self.release()
                raise

    def release(self) -> None:
        """Take our claim away where it stands, over a session that is there; else it is left to its time. Never raises FindingError."""
        claim = self.lines.claim
        if claim.name and (session := self.lines.answering) is not None:
            with contextlib.suppress(FindingError):
                session.leave()
                session.configure([f"no event manager applet {claim.name}"])
        claim.gone()

    def _run(self, change: Change, state: IosState, arm: Arming, anew: bool, last: bool) -> tuple[Finding, ...]:
        arm = arm.saying(self._claim(change, arm))
        self._build(change, state, arm)
        if change.swaps:
            arm = self._arm(change, arm)
            self._swap(change, arm, anew)
            self.needs_renewal = not anew
            self.held = "the new lists" + (", confirmed from a new connection" if anew else "")
        else:
            self.lines.session().leave()
            self.held = (
                "what it held before, and new lists that are attached nowhere" if change.builds else "what is wanted"
            )
        left = self._clear(change, arm, last)
        return (*arm.findings, *left)

    # -- the claim

    def _claim(self, change: Change, arm: Arming) -> list[Finding]:
        """Hold our claim before anything else is typed, and see no other's, and every name that is to be built free.

        Outdone where another run is at work; FindingError SW4222 where it was. A warning where the switch cannot be claimed.
        """
        seconds, told = self._seconds(change), list[Finding]()
        if not change.types_lists or self.lines.claim.lasts(seconds):
            return told
        try:
            told = self._type_claim(seconds, arm)
            seen = look(self.lines.session())
            ways = self.lines.claim.seen(seen.ways)
            if self.lines.claim.name and not self.lines.claim.stands:
                told = [codes.NO_CLAIM.at(f"{self._name}: {self.lines.claim.name} is not there as it was typed")]
            # What is left behind is removed with the first lines: it is in nobody's way.
            others = of_others(judged(self.lines.session(), ways), self._name, change.disarm) if ways else []
        except FindingError as error:
            raise FindingError(*error.findings, *self._clean_up(change)) from None
        if others:
            self._step_back()
            raise Outdone(*refusal(self._name, others))
        made = [build.name for build in change.builds if _made_by_others(build, seen.lists, seen.attached)]
        if made:
            self._step_back()
            raise FindingError(codes.CHANGED_MEANWHILE.at(f"{self._name}: list {made[0]} was made by somebody else"))
        if not change.swaps and (used := sorted(set(change.removes) & seen.attached)):
            self._step_back()
            raise FindingError(codes.IN_USE.at(f"{self._name}: {', '.join(used)} is attached now"))
        return told

    def _type_claim(self, seconds: int, arm: Arming) -> list[Finding]:
        """Type the claim, with what was there of an older one of ours removed first; a warning where the switch has no applets."""
        lines, older = claim_lines(seconds), self.lines.claim.name
        session = self.lines.session()
        session.enter(arm.enter)
        self.lines.claim.begun(lines, seconds)
        try:
            try:
                session.type([*([f"no event manager applet {older}"] if older else []), *lines, "exit"])
            except FindingError as error:
                if not any(finding.code == codes.ECHO_LOST.number for finding in error.findings):
                    raise
                self._slow_down(arm)
                self.lines.session().type([f"no event manager applet {self.lines.claim.name}", *lines, "exit"])
        except FindingError as error:
            if any(finding.code != codes.CLI_ERROR.number for finding in error.findings):
                raise
            self.release()
            self.lines.session().enter(arm.enter)
            return [codes.NO_CLAIM.at(f"{self._name}: {error.findings[0].message}")]
        return []

    def _step_back(self) -> None:
        """End a run that has typed nothing but its claim."""
        with contextlib.suppress(FindingError):
            self.lines.session().leave()
        self.release()

    # -- build and proof

    def _build(self, change: Change, state: IosState, arm: Arming) -> None:
        """Type the new versions, attached nowhere; read back; prove each; see that nobody changed what is to be replaced."""
        typed = change.build_lines()
        if not typed and not change.swaps:
            return
        try:
            session = self.lines.session()
            session.enter(arm.enter)
            try:
                session.type(typed)
            except FindingError as error:
                if not any(finding.code == codes.ECHO_LOST.number for finding in error.findings):
                    raise
                self._slowly(change, arm)
            read = self.lines.state()
            for build in change.builds:
                told = proof(read.lists.get(build.name, ()), build.content)
                if told:
                    raise FindingError(codes.NOT_PROVED.at(f"{self._name}: list {build.name}: {told}"))
            if others := of_others(read.ways_back, self._name):
                raise FindingError(*refusal(self._name, others))
            if self.lines.claim.name and not self.lines.claim.stands:
                raise FindingError(codes.CLAIM_GONE.at(f"{self._name}: {self.lines.claim.name}"))
            moved = _moved(change, state, read)
            if moved:
                raise FindingError(codes.CHANGED_MEANWHILE.at(f"{self._name}: {moved}"))
        except FindingError as error:
            raise FindingError(*error.findings, *self._clean_up(change, why=error.findings)) from None

    def _slowly(self, change: Change, arm: Arming) -> None:
        """Type the new versions once more, line by line, over a new session: the device lost characters of a block."""
        self._slow_down(arm)
        state = self.lines.state()
        begun = [build.header for build in change.builds if build.name in state.lists]
        again = [f"no {header}" for header in begun]
        self.lines.session().type([*again, *replace(change, disarm=()).build_lines()])

    def _slow_down(self, arm: Arming) -> None:
        """Go on line by line over a new session, in configuration mode."""
        self.lines.close()
        self.lines.spec = replace(self.spec, block_lines=1)
        self.lines.session().enter(arm.enter)

    # -- the way back

    def _arm(self, change: Change, arm: Arming) -> Arming:
        """Arm the way back where one is wanted and return how it is armed; FindingError where none can be."""
        if not arm.lines:
            return arm
        session = self.lines.session()
        try:
            session.type(arm.lines)
            self._see_armed(arm)
            return arm
        except FindingError as error:
            if any(finding.code == codes.ANOTHERS_WAY_BACK.number for finding in error.findings):
                self.lines.session().leave()
                raise FindingError(*error.findings, *self._clean_up(change, arm, error.findings)) from None
            refused = error
        try:
            if lost(refused):
                raise refused
            session.leave()
            # What was typed of the applet goes first, from outside its mode; a device without applets refuses this too.
            with contextlib.suppress(FindingError):
                session.configure([f"no event manager applet {arm.applet}"])
            minutes = max(1, math.ceil(self.spec.revert_seconds / 60))
            session.enter(f"configure terminal revert timer {minutes}")
            return Arming(arm.enter, (), minutes, (codes.REVERT_ARCHIVE.at(f"{self._name}: {minutes} minutes"),))
        except FindingError as error:
            found = [*refused.findings, *error.findings, codes.NOT_ARMED.at(self._name)]
            raise FindingError(*dict.fromkeys(found), *self._clean_up(change, arm)) from None

    def _see_armed(self, arm: Arming) -> None:
        """See our way back whole, and no other that was armed meanwhile: of two runs that meet here at least one steps back."""
        state = self.lines.state()
        mine = next((way for way in state.ways_back if way.name == arm.applet), None)
        if mine is None or not mine.seconds or mine.lines < len(arm.lines) - 1:
            raise FindingError(codes.NOT_ARMED.at(f"{self._name}: {arm.applet} is not there as it was typed"))
        if others := of_others(state.ways_back, self._name, arm.applet):
            raise FindingError(*refusal(self._name, others))

    def _swap(self, change: Change, arm: Arming, anew: bool) -> None:
        """Overwrite the attachment lines and confirm; put the old ones back where that fails."""
        try:
            session = self.lines.session()
            session.enter(arm.enter)
            session.type(change.swap_lines())
            session.leave()
            self._confirm(change, anew)
        except FindingError as error:
            raise FindingError(*error.findings, *self._swap_back(change, arm)) from None

    def _confirm(self, change: Change, anew: bool) -> None:
        """See every place hold its list, where ``anew`` from a new login, and the hardware have taken it."""
        if anew:
            try:
                session = self.lines.login()
            except FindingError as error:
                text = f"{self._name}: no new connection with the new lists in force"
                raise FindingError(*error.findings, codes.NOT_CONFIRMED.at(text)) from None
            # The first session stays until the second one has answered.
            try:
                found = session.state()
            except FindingError:
                session.close()
                raise
            self.lines.use(session, found)
        else:
            found = self.lines.state()
        wrong = [shown_place(swap.place) for swap in change.swaps if found.groups.get(swap.place, "") != swap.new]
        new = {swap.new for swap in change.swaps if swap.new} - change.bare
        missing = sorted(name for name in new if not found.lists.get(name))
        if wrong or missing:
            text = f"{self._name}: not in force: {', '.join(wrong + missing)}"
            raise FindingError(codes.NOT_CONFIRMED.at(text))
        self._hardware(change)

    def _hardware(self, change: Change) -> None:
        """Read in the log whether the hardware has taken the new lists: the command line takes them in any case."""
        new = sorted({swap.new for swap in change.swaps if swap.new})
        try:
            log = self.lines.session().show(HARDWARE_LOG)
        except FindingError as error:
            if lost(error):
                raise
            return
        for name in new:
            rows = re.findall(rf"(?m)^.*%ACL_ERRMSG-\d-(UNLOADED|RELOADED|LOADED).*\b{re.escape(name)}\b.*$", log)
            if rows and rows[-1] == "UNLOADED":
                raise FindingError(codes.NOT_IN_HARDWARE.at(f"{self._name}: list {name}"))

    # -- back

    def _swap_back(self, change: Change, arm: Arming) -> list[Finding]:
        """Put back what was attached before, remove the new versions; return what is in force now, as findings."""
        try:
            state = self.lines.state(hurried=True)
        except FindingError as error:
            return self._awaited(change, arm, error)
        try:
            if arm.minutes:
                return self._archive_back(change)
            # Only what holds our new version goes back: a list that somebody else put there meanwhile is theirs.
            mine = [swap for swap in change.swaps if state.groups.get(swap.place, "") == swap.new]
            struck = arm.armed and not arm.stands(state) and not mine
            if struck and all(state.groups.get(swap.place, "") == swap.old for swap in change.swaps):
                shown = ", ".join(shown_place(swap.place) for swap in change.swaps)
                return [codes.TAKEN_BACK.at(f"{self._name}: {shown}"), *self._clean_up(change, arm)]
            session = self.lines.session()
            session.leave()  # an applet that is removed from inside its own mode is made again when this is left
            session.enter(arm.enter)
            session.type([line for swap in mine for line in swap.back()])
            if arm.stands(state):
                session.type([f"no event manager applet {arm.applet}"])
            session.leave()
            return self._back(change)
        except FindingError as error:
            return self._awaited(change, arm, error)

    def _archive_back(self, change: Change) -> list[Finding]:
        """Let the archive bring back what was before and see that it did; where it did not, put our own places back and end its timer."""
        session = self.lines.session()
        session.leave()
        session.command("configure revert now", 60.0)
        now = self.lines.state()
        mine = [swap for swap in change.swaps if swap.new != swap.old and now.groups.get(swap.place, "") == swap.new]
        if mine:  # refused, or somebody else has confirmed it
            session = self.lines.session()
            session.configure([line for swap in mine for line in swap.back()])
            session.command("configure confirm")
        return self._back(change)

    def _back(self, change: Change) -> list[Finding]:
        """See that every place holds what it held before; findings for those that do not, else what was cleaned up."""
        now = self.lines.state()
        differing = [swap for swap in change.swaps if now.groups.get(swap.place, "") != swap.old]
        if not differing:
            return self._clean_up(change)
        self.held = "not what it held before: see the findings"
        return [
            codes.NOT_CONFIRMED.at(
                f"{self._name}: {shown_place(swap.place)} holds {now.groups.get(swap.place) or 'nothing'}"
            )
            for swap in differing
        ]

    def _awaited(self, change: Change, arm: Arming, error: FindingError) -> list[Finding]:
        """Wait for the armed way back where the switch cannot be reached any more, and say what it holds then."""
        shown = ", ".join(shown_place(swap.place) for swap in change.swaps)
        if not arm.armed:
            text = f"{self._name}: {shown} may hold the version before or the new one, each of them whole"
            self.held = "the old or the new lists, each whole; it could not be asked"
            return [codes.SESSION_LOST.at(f"{text} ({error.findings[0].code})")]
        seconds = arm.minutes * 60 if arm.minutes else self.spec.revert_seconds
        deadline = time.monotonic() + seconds + GRACE_SECONDS + 2 * len(change.swaps)
        while time.monotonic() < deadline:
            time.sleep(KNOCK_SECONDS)
            try:
                self.lines.close()
                state = self.lines.state()
            except FindingError:
                continue
            if all(state.groups.get(swap.place, "") == swap.old for swap in change.swaps):
                return [codes.TAKEN_BACK.at(f"{self._name}: {shown}"), *self._clean_up(change, arm)]
        self.held = "the old or the new lists, each whole; it could not be asked, and the way back may still be armed"
        return [codes.STILL_ARMED.at(f"{self._name}: {shown}")]

    # -- what goes

    def _clear(self, change: Change, arm: Arming, last: bool) -> list[Finding]:
        """Cancel the way back and remove the old versions, after the proof, and ``last`` the claim; return what stays and why.

        A version that the last reading shows in use is not removed: whatever attached it, its port would filter nothing.
        """
        claim, kept = self.lines.claim, list[str]()
        try:
            struck = self._disarm(change, arm) if arm.armed else []
            session = self.lines.session()
            kept = self._in_use(change)
            going = tuple(name for name in change.removes if name not in kept)
            typed = list(replace(change, removes=going).remove_lines())
            typed += [f"no event manager applet {claim.name}"] if last and claim.name else []
            if typed and not struck:
                session.enter(arm.enter)
                session.type(typed)
                if last:
                    claim.gone()
            session.leave()
        except FindingError as error:
            raise FindingError(*error.findings, *self._after_clear(change, arm)) from None
        if struck:
            raise FindingError(*dict.fromkeys([*struck, *self._swap_back(change, arm)]))
        return [codes.LEFT_BEHIND.at(f"{self._name}: {', '.join(kept)}, in use by somebody else")] if kept else []

    def _in_use(self, change: Change) -> list[str]:
        """Return those of the versions to remove that the reading after the swap shows attached, or named by something else."""
        if not change.swaps:  # looked at when the switch was claimed
            return []
        now = self.lines.known()
        return [name for name in change.removes if name in now.elsewhere or now.attached(name)]

    def _disarm(self, change: Change, arm: Arming) -> list[Finding]:
        """Cancel the way back and see that it did not strike before; findings where it did.

        Between the confirmation and the cancelling its time may have come: an old list that it put back is in force, and removing
        it would let every packet pass.
        """
        session = self.lines.session()
        refused: FindingError | None = None
        try:
            if arm.minutes:
                session.command("configure confirm")
            else:
                session.enter(arm.enter)
                session.type([f"no event manager applet {arm.applet}"])
        except FindingError as error:
            if lost(error):
                raise
            refused = error
        state = self.lines.state()
        moved = [swap for swap in change.swaps if state.groups.get(swap.place, "") != swap.new]
        if not moved and refused is not None and arm.stands(state):
            raise refused
        shown = ", ".join(shown_place(swap.place) for swap in moved)
        return [codes.TAKEN_BACK.at(f"{self._name}: {shown}")] if moved else []

    def _after_clear(self, change: Change, arm: Arming) -> list[Finding]:
        """Say what is there where cancelling and removing did not come to their end, after another try to cancel."""
        try:
            state = self.lines.state()
            if arm.stands(state):
                session = self.lines.session()
                session.configure([f"no event manager applet {arm.applet}"])
                state = self.lines.state()
            elif arm.minutes:
                self.lines.session().command("configure confirm")
        except FindingError as error:
            self.held = "the new lists, whole; it could not be asked again"
            if arm.armed:
                self.held = "the new lists, or the old ones when the armed way back strikes"
                return [codes.STILL_ARMED.at(f"{self._name} ({error.findings[0].code})")]
            return [codes.LEFT_BEHIND.at(f"{self._name}: {', '.join(change.removes)} may be left")]
        left = [name for name in change.removes if name in state.lists]
        found = [codes.LEFT_BEHIND.at(f"{self._name}: {', '.join(left)}, attached nowhere")] if left else []
        return [*found, codes.STILL_ARMED.at(self._name)] if arm.stands(state) else found

    def _clean_up(self, change: Change, arm: Arming | None = None, why: Sequence[Finding] = ()) -> list[Finding]:
        """Remove unattached new versions after a failure and return what is there now, as findings.

        Only what this very run has begun to type, and nothing that the last reading shows in use. Where the failure (``why``) is a
        sign of another run, and no claim of ours holds it off, that one may be about to attach a version of the same name: it stays.
        """
        headers = {build.name: build.header for build in change.builds if build.header in self.lines.opened}
        names = list(headers)
        old = ", ".join(sorted({swap.old for swap in change.swaps if swap.old}))
        try:
            state = self.lines.state()
            used = {*state.groups.values(), *state.elsewhere}
            there = [name for name in names if name in state.lists and name not in used]
            present = [] if tell_of_others(why) and not self.lines.claim.stands else there
            typed = [f"no event manager applet {arm.applet}"] if arm is not None and arm.stands(state) else []
            typed += [f"no {headers[name]}" for name in present]
            session = self.lines.session()
            if typed:
                session.enter()
                session.type(typed)
            session.leave()
            left = [name for name in present if name in self.lines.state().lists] if present else []
        except FindingError as error:
            text = f"{self._name}: {', '.join(names) or 'an applet'} may be left, attached nowhere ({error.findings[0].code})"
            self.held = "what it held before; something of the new version may be left, attached nowhere"
            return [codes.LEFT_BEHIND.at(text)]
        self.held = "what it held before"
        left = left or [name for name in there if name not in present]
        if left:
            return [codes.LEFT_BEHIND.at(f"{self._name}: {', '.join(left)}, attached nowhere")]
        text = f"{self._name}: nothing of the new version is left" + (f"; {old} is still in force" if old else "")
        return [codes.LEFT_BEHIND.at(text).with_severity("info")]


def _made_by_others(build: Build, lists: frozenset[str], attached: frozenset[str]) -> bool:
    """Return whether another run made since the plan a name that is to be built, or put it in force.

    Lines typed into a list that another run has put in force would edit it, and removing it would let every packet pass.
    """
    return build.name in attached or (build.name in lists and not build.stale)


def _moved(change: Change, before: IosState, now: IosState) -> str:
    """Return what somebody else changed since the change was planned, empty where nothing of ours moved."""
    for swap in change.swaps:
        live = now.groups.get(swap.place, "")
        if live != swap.old:
            return f"{shown_place(swap.place)} holds {live or 'nothing'} instead of {swap.old or 'nothing'}"
    for name, lines in change.old.items():
        if now.lists.get(name) != lines:
            return f"list {name} was edited by somebody else"
    built = {build.name for build in change.builds}
    for name in change.removes:
        if name not in built and now.attached(name) != before.attached(name):
            return f"list {name} is attached elsewhere now"
    return ""
