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
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_change import (
    Change,
    applet_of,
    proof,
    revert_lines,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_config import (
    IosState,
    shown_place,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_session import IosSession
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.spec import TargetSpec
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ways_back import at_work, of_others, refusal

# Between two tries to reach a switch on which the armed way back has to strike.
KNOCK_SECONDS = 2.0
# Seconds after its time in which the way back must have struck.
GRACE_SECONDS = 30.0
# Up to so many names are asked for one by one; for more the whole configuration is read.
FEW = 3
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


class Lines:
    """The session that is in use, opened when first needed; the state that was read last; the number of lines sent."""

    def __init__(self, spec: TargetSpec, open_session: Callable[[TargetSpec], IosSession]) -> None:
        self.spec, self._open = spec, open_session
        self._session: IosSession | None = None
        self._sent = 0
        self._known: IosState | None = None

    @property
    def count(self) -> int:
        """Return the configuration lines sent in all sessions."""
        return self._sent + (self._session.lines if self._session is not None else 0)

    def session(self) -> IosSession:
        """Return the session in use."""
        if self._session is None:
            self._session = self._open(self.spec)
        return self._session

    def login(self) -> IosSession:
        """Return a second session; the first one stays in use."""
        return self._open(self.spec)

    def use(self, session: IosSession, known: IosState | None = None) -> None:
        """Put another session in the place of the one in use; ``known`` is what was read in it."""
        self.close()
        self._session = session
        self._known = known or self._known

    def renew(self, always: bool) -> None:
        """Come from a new login where ``always``, or where there is no session."""
        if always or self._session is None:
            self.use(self.login())

    def state(self, *, hurried: bool = False) -> IosState:
        """Return the configuration, from a new session where the old one has ended meanwhile.

        ``hurried``: the switch may be cut off, so the old session gets no longer than a line may take.
        """
        if self._session is not None and self._session.silent:
            self.close()
        if self._session is not None:
            try:
                self._known = self._session.state(self._session.patience()) if hurried else self._session.state()
                return self._known
            except FindingError as error:
                if not lost(error):
                    raise
                self.use(self.login())
        self._known = self.session().state()
        return self._known

    def known(self) -> IosState:
        """Return the configuration as it was read last."""
        return self._known if self._known is not None else self.state()

    def close(self) -> None:
        """Close the session; never raises."""
        if self._session is not None:
            self._sent += self._session.lines
            self._session.close()
            self._session = None


def lost(error: FindingError) -> bool:
    """Return whether an error is that of a session that has ended."""
    gone = {code.number for code in (codes.SESSION_LOST, codes.ECHO_LOST)}
    return any(finding.code in gone for finding in error.findings)


@dataclass
class Work:
    """The work on one switch. ``held`` says in words what it holds now; ``needs_renewal``: no login since the last swap."""

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

    def run(self, change: Change, state: IosState, arm: Arming, *, anew: bool) -> tuple[Finding, ...]:
        """Carry out a change and return what there is to say. ``anew``: confirm from a new login, else ``needs_renewal`` is set.

        FindingError with what went wrong and what the switch holds.
        """
        if change.empty:
            self.held = "what is wanted"
            return ()
        with at_work(self._name):
            return self._run(change, state, arm, anew)

    def _run(self, change: Change, state: IosState, arm: Arming, anew: bool) -> tuple[Finding, ...]:
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
        self._clear(change, arm)
        return arm.findings

    # -- build and proof

    def _build(self, change: Change, state: IosState, arm: Arming) -> None:
        """Type the new versions, attached nowhere; read back; prove each; see that nobody changed what is to be replaced."""
        typed = change.build_lines()
        if not typed and not change.swaps:
            return
        if made := self._made_meanwhile(change):  # nothing was typed, and nothing of ours is there to be cleaned up
            raise FindingError(codes.CHANGED_MEANWHILE.at(f"{self._name}: {made}"))
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
            moved = _moved(change, state, read)
            if moved:
                raise FindingError(codes.CHANGED_MEANWHILE.at(f"{self._name}: {moved}"))
        except FindingError as error:
            raise FindingError(*error.findings, *self._clean_up(change)) from None

    def _made_meanwhile(self, change: Change) -> str:
        """Return what another run made since the plan of a name that is to be built, empty where nothing.

        Lines typed into a list that another run has put in force would edit it, and removing it would let every packet pass.
        """
        if not change.builds:
            return ""
        if len(change.builds) > FEW or any(build.stale for build in change.builds):
            now = self.lines.state()
            attached = set(now.groups.values())
            for build in change.builds:
                if build.name in attached or (build.name in now.lists and not build.stale):
                    return f"list {build.name} was made by somebody else"
            return ""
        session = self.lines.session()
        for build in change.builds:
            command = f"show {build.header.partition(' access-list')[0]} access-list {build.name}"
            try:
                shown = session.show(command)
            except FindingError as error:
                if lost(error):
                    raise
                continue
            if re.search(rf"(?m)^\S.*\b{re.escape(build.name)}\s*$", shown):
                return f"list {build.name} was made by somebody else"
        return ""

    def _slowly(self, change: Change, arm: Arming) -> None:
        """Type the new versions once more, line by line, over a new session: the device lost characters of a block."""
        slow = replace(self.spec, block_lines=1)
        self.lines.close()
        self.lines.spec = slow
        state = self.lines.state()
        self.lines.session().enter(arm.enter)
        begun = [build.header for build in change.builds if build.name in state.lists]
        again = [f"no {header}" for header in begun]
        self.lines.session().type([*again, *replace(change, disarm=()).build_lines()])

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
                raise FindingError(*error.findings, *self._clean_up(change, arm)) from None
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

    def _clear(self, change: Change, arm: Arming) -> None:
        """Cancel the way back and remove the old versions, after the proof."""
        typed = change.remove_lines()
        try:
            struck = self._disarm(change, arm) if arm.armed else []
            session = self.lines.session()
            if typed and not struck:
                session.enter(arm.enter)
                session.type(typed)
            session.leave()
        except FindingError as error:
            raise FindingError(*error.findings, *self._after_clear(change, arm)) from None
        if struck:
            raise FindingError(*dict.fromkeys([*struck, *self._swap_back(change, arm)]))

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

    def _clean_up(self, change: Change, arm: Arming | None = None) -> list[Finding]:
        """Remove unattached new versions after a failure and return what is there now, as findings."""
        headers = {build.name: build.header for build in change.builds}
        names = list(headers)
        old = ", ".join(sorted({swap.old for swap in change.swaps if swap.old}))
        try:
            state = self.lines.state()
            attached = set(state.groups.values())
            present = [name for name in names if name in state.lists and name not in attached]
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
        if left:
            return [codes.LEFT_BEHIND.at(f"{self._name}: {', '.join(left)}, attached nowhere")]
        text = f"{self._name}: nothing of the new version is left" + (f"; {old} is still in force" if old else "")
        return [codes.LEFT_BEHIND.at(text).with_severity("info")]


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
