# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Load a ruleset under a timer that takes it back unless it is called off (facts/devices.md section 1.8: there is no commit-confirm)."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.linux_session import LinuxSession
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nft_ways_back import (
    CALL_OFF,
    END,
    call_off,
    owner_text,
    standing,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.spec import TargetSpec
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ways_back import (
    Outdone,
    WayBack,
    at_work,
    left_behind,
    of_others,
    refusal,
    to_take_away,
    wait_until_gone,
)

OpenSession = Callable[[TargetSpec], LinuxSession]

_DIRECTORY = "umask 077; mktemp -d /run/segwright.XXXXXXXX 2>/dev/null || mktemp -d"
_WRITE = 'umask 077; cat > "$1"'
# The timer takes the file `armed` by renaming it, as does whoever calls it off: only one of the two can. One whose run died before it
# loaded anything takes nothing back: what stands there by then may be another's, loaded and confirmed before it was armed.
_ARM = """
set -eu
: > "$1/armed"
if command -v setsid >/dev/null 2>&1; then run=setsid; else run=nohup; fi
$run sh -c '
  sleep "$2"
  if mv "$1/armed" "$1/fired" 2>/dev/null; then
    if [ -e "$1/loading" ]; then nft -f "$1/revert.nft"; fi && : > "$1/reverted"
  fi
  sleep 600
  rm -rf "$1"
' sh "$1" "$2" </dev/null >/dev/null 2>&1 &
echo $! > "$1/timer"
readlink /proc/self/ns/net > "$1/net" 2>/dev/null || true
cat "$1/timer"
"""
_LOAD = ': > "$1/loading" && [ -e "$1/armed" ] && nft -f "$1/new.nft"'
_FIRE_NOW = f'mv "$1/armed" "$1/fired" && nft -f "$1/revert.nft" && {END}'
CONNECT_MARGIN = 15.0


def table_file(table: str, content: str) -> str:
    """Return a file that replaces one table in one transaction; without content it removes the table."""
    return f"table inet {table}\ndelete table inet {table}\n{content}"


class Loader:
    """Loads one table of one firewall. ``seconds`` is how long the timer waits before it takes a ruleset back."""

    def __init__(
        self, spec: TargetSpec, open_session: OpenSession, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.spec, self._open, self._sleep = spec, open_session, sleep
        self.seconds = max(10, spec.revert_seconds)

    def load(
        self, session: LinuxSession, table: str, new: str, old: str, proof: Callable[[LinuxSession], Sequence[Finding]]
    ) -> LinuxSession:
        """Replace a table and return the new session that proved it; the old session is closed then.

        ``new`` and ``old`` are whole tables as text, empty for none. ``proof`` looks through the new session. Raises FindingError,
        with the old table in force again: SW4280 refused by the kernel, SW4264 not confirmed, SW4282 taken back by the timer. Outdone
        with nothing loaded where another run is at work on the table, or was since it was read.
        """
        with at_work(self.spec.name):
            return self._load(session, table, new, old, proof)

    def settle(self, session: LinuxSession, table: str, *, undo: bool = False) -> list[Finding]:
        """Call off what dead runs left armed for a table; return what there is to say.

        FindingError SW4476 where a run of somebody else may still call its own off; an undo waits until that is gone.
        """
        name, told = self.spec.name, list[Finding]()

        there = standing(session, table)

        def look() -> list[WayBack]:
            return [way for way, _timer in standing(session, table).values()]

        if others := of_others([way for way, _timer in there.values()], name):
            if not undo:
                raise FindingError(*refusal(name, others))
            told = wait_until_gone(name, others, look)
            there = standing(session, table)  # the one that called its own off may have armed the next since
            to_take_away(name, [way for way, _timer in there.values()], others if told else ())
        call_off(session, [(directory, timer) for directory, (_way, timer) in there.items()])
        return told

    def _load(
        self, session: LinuxSession, table: str, new: str, old: str, proof: Callable[[LinuxSession], Sequence[Finding]]
    ) -> LinuxSession:
        directory = session.must(session.shell(_DIRECTORY, root=True), "temporary directory").strip()
        try:
            owner = ("owner", owner_text(self.seconds))
            for name, text in (owner, ("new.nft", table_file(table, new)), ("revert.nft", table_file(table, old))):
                session.must(session.shell(_WRITE, f"{directory}/{name}", root=True, stdin=text), f"writing {name}")
                if name != "owner":
                    session.must(session.run("nft", "-c", "-f", f"{directory}/{name}", root=True), f"checking {name}")
            timer = session.must(
                session.shell(_ARM, directory, str(self.seconds), root=True), "arming the timer"
            ).strip()
        except FindingError:
            session.run("rm", "-rf", directory, root=True)
            raise
        # Of two runs that meet here at least one steps back: each looks after it has armed its own, and before it loads.
        there = {path: way for path, (way, _timer) in standing(session, table).items() if path != directory}
        if others := [way for way in there.values() if not left_behind(way, self.spec.name)]:
            session.shell(CALL_OFF, directory, timer, root=True)
            raise Outdone(*refusal(self.spec.name, others))
        # One that came and went since the table was read: what it has put in force stays.
        now = session.run("nft", "-s", "list", "table", "inet", table, root=True)
        if (now.output if now.ok else "") != old:
            session.shell(CALL_OFF, directory, timer, root=True)
            raise Outdone(codes.CHANGED_MEANWHILE.at(f"{self.spec.name}: table inet {table}"))
        try:
            session.must(session.shell(_LOAD, directory, root=True), "loading")
            fresh = self._proved(session, table, proof)
        except FindingError as error:
            raise FindingError(*error.findings, *self._take_back(session, directory, timer)) from None
        done = fresh.shell(CALL_OFF, directory, timer, root=True)
        if not done.ok:
            fresh.close()
            raise FindingError(
                codes.REVERTED.at(f"{self.spec.name}: the timer fired before the new ruleset of {table} was confirmed")
            )
        session.close()
        return fresh

    def _proved(
        self, session: LinuxSession, table: str, proof: Callable[[LinuxSession], Sequence[Finding]]
    ) -> LinuxSession:
        try:
            fresh = self._open(self.spec)
        except FindingError as error:
            raise FindingError(
                *error.findings, codes.NOT_CONFIRMED.at(f"{self.spec.name}: no new connection with the new {table}")
            ) from None
        found = list(proof(fresh))
        if found:
            fresh.close()
            raise FindingError(*found)
        return fresh

    def _take_back(self, session: LinuxSession, directory: str, timer: str) -> list[Finding]:
        """Take the ruleset back at once over the old session, or wait for the timer; return what is in force now."""
        try:
            if session.shell(_FIRE_NOW, directory, timer, root=True, seconds=10.0).ok:
                return [codes.REVERTED.at(f"{self.spec.name}: the old ruleset is in force again").with_severity("info")]
        except FindingError:
            pass
        self._sleep(self.seconds + 2.0)
        deadline = time.monotonic() + CONNECT_MARGIN
        while True:
            try:
                fresh = self._open(self.spec)
                break
            except FindingError as error:
                if time.monotonic() >= deadline:
                    return [
                        *error.findings,
                        codes.NO_ANSWER.at(f"{self.spec.name}: cannot be reached although its timer should have fired"),
                    ]
                self._sleep(1.0)
        reverted = fresh.run("test", "-e", f"{directory}/reverted", root=True).ok
        fresh.close()
        if reverted:
            return [codes.REVERTED.at(f"{self.spec.name}: the timer brought the old ruleset back")]
        return [codes.NO_ANSWER.at(f"{self.spec.name}: it is not known whether the timer brought the old ruleset back")]
