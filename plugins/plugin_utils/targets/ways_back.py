# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose is a way back that stands armed on a device, and does its run still live? Knows no platform.

A way back takes a change back by itself unless its run calls it off. One that a dead run left is in the way of the next; one of a run
that lives is all that keeps a device manageable, so it is never taken away. The name that it has on the device tells them apart: a
prefix and sixteen characters for the controller (host since it started, and container on it), the process, and its start. Only
whoever runs where the number of that process means something can say that it has ended; for all others the device itself says
whether the time is over.

A claim is told from others in the same way, and nothing else: it does nothing when its time is over but go. Every run puts its own on the
device before it types anything else, and then reads all that stand there: of two that begin at the same moment both read after both
have written, or the later one reads what the earlier wrote, so at least one steps back, with nothing typed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import re
import socket
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, wraps
from pathlib import Path
from typing import Any, TypeVar

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.lock import owner
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes

# Seconds: between two looks of an undo that waits, and how long a way back may take to strike when its time is over.
LOOK_AGAIN, GRACE = 2.0, 30.0
# What the name of a claim begins with, and the seconds that it stands at least: far longer than a change takes.
CLAIM, CLAIM_SECONDS = "SW_claim", 180
# How often an undo begins anew where another run claims the device at the same moment.
UNDO_TRIES = 5
Done = TypeVar("Done")
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_MARK = re.compile(r"_([0-9a-f]{6})([0-9a-z]{6})([0-9a-z]{4})\Z")
_WORDS = re.compile(r"\bby (\S{1,64})@(\S{1,64}) process (\d{1,10})\b")
_AT_WORK: dict[str, int] = {}  # devices on which this process has a way back armed now


@dataclass(frozen=True)
class WayBack:
    """A way back on a device: its name there, its text for people, the seconds that it waits (0: it has no timer and never strikes).

    ``over``: the device says that its time is over; ``lines``: how many it has below its name.
    """

    name: str
    text: str = ""
    seconds: int = 0
    over: bool = False
    lines: int = 0

    @property
    def marked(self) -> bool:
        """Return whether its name says whose it is."""
        return _MARK.search(self.name) is not None

    @property
    def claim(self) -> bool:
        """Return whether it only says that a run is at work, and takes nothing back."""
        return self.name.startswith(f"{CLAIM}_")

    def described(self) -> str:
        """Return its name and, as far as they are known, its owner and how long it counts, in words."""
        made = "claimed" if self.claim else "armed"
        who = f"{made} by a run that left no name"
        if words := _WORDS.search(self.text):
            who = f"{made} by {words[1]} on {words[2]}, process {words[3]}"
        elif found := _MARK.search(self.name):
            who = f"{made} by process {int(found[2], 36)} of controller {found[1]}"
        does = "goes" if self.claim else "strikes"
        return f"{self.name}, {who}" + (
            f", {does} within {self.seconds} s if it is not called off" if self.seconds else ""
        )


class Outdone(FindingError):
    """Raised where another run claims a device at the same moment; nothing but our own claim was typed, and that is gone again."""


def own_name(prefix: str) -> str:
    """Return the name that a way back of this process has: the prefix and whose it is."""
    return f"{prefix}_{place()}{_number(os.getpid(), 6)}{_started(os.getpid()) or '0000'}"


def own_words() -> str:
    """Return who this process is, in words that a device can keep."""
    who = owner()
    user, host = (re.sub(r"[^A-Za-z0-9_.-]", "_", str(who[key]))[:40] or "unknown" for key in ("user", "host"))
    return f"by {user}@{host} process {os.getpid()}"


@contextlib.contextmanager
def at_work(device: str) -> Iterator[None]:
    """Note that this process works on a device, so that what it has armed there is not taken for a leftover."""
    _AT_WORK[device] = _AT_WORK.get(device, 0) + 1
    try:
        yield
    finally:
        _AT_WORK[device] -= 1
        if not _AT_WORK[device]:
            del _AT_WORK[device]


def working(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method of a target that notes, as long as it runs, that this process is at work on the device."""

    @wraps(method)
    def noted(target: Any, *given: Any, **named: Any) -> Any:
        with at_work(target.name):
            return method(target, *given, **named)

    return noted


def left_behind(way: WayBack, device: str) -> bool:
    """Return whether it is sure that nobody will call a way back off: it cannot strike any more, or its run has ended.

    A half-typed one, without its timer, may belong to a run that lives. It may go all the same, but only where it is still so at a
    second look (``await_typing``): that run reads its way back before it changes anything, and refuses where it is not whole.
    """
    if way.over or not way.seconds:
        return True
    found = _MARK.search(way.name)
    if found is None or found[1] != place():
        return False
    pid = int(found[2], 36)
    if not _runs(pid) or (_started(pid) or found[3]) != found[3]:
        return True
    return pid == os.getpid() and device not in _AT_WORK


def of_others(ways: Collection[WayBack], device: str, own: str | Collection[str] = "") -> list[WayBack]:
    """Return those that another run may still call off. ``own``: the name, or names, of what the caller has put there itself."""
    mine = {own} if isinstance(own, str) else set(own)
    return [way for way in ways if way.name not in mine and not left_behind(way, device)]


def refusal(device: str, ways: Sequence[WayBack]) -> list[Finding]:
    """Return an error that names the ways back of others, none where there are none."""
    return [codes.ANOTHERS_WAY_BACK.at(f"{device}: {'; '.join(way.described() for way in ways)}")] if ways else []


def claim_seconds(lines: int, revert_seconds: int) -> int:
    """Return how long the claim of a change stands unless it is taken away: its lines, a second each, and what follows them."""
    return CLAIM_SECONDS + revert_seconds + lines


def not_outdone(work: Callable[[], Done]) -> Done:
    """Return what an undo makes, begun anew where it is outdone or meets another run later (SW4476): it is not refused for that.

    Nor where the other took our claim away (SW4481), which was half typed when it looked. What had been typed is gone again then.
    """
    signs = {codes.ANOTHERS_WAY_BACK.number, codes.CLAIM_GONE.number}
    for _try in range(UNDO_TRIES - 1):
        try:
            return work()
        except FindingError as error:
            if not isinstance(error, Outdone) and not signs & {finding.code for finding in error.findings}:
                raise
            pause(LOOK_AGAIN * random.uniform(0.5, 2.0))  # noqa: S311 - no secret
    return work()


def tell_of_others(findings: Collection[Finding]) -> bool:
    """Return whether a failure is a sign that another run, or a person, works on the same lists."""
    signs = (codes.ANOTHERS_WAY_BACK, codes.CHANGED_MEANWHILE, codes.NOT_PROVED, codes.CLAIM_GONE)
    return bool({finding.code for finding in findings} & {code.number for code in signs})


def await_typing(device: str, ways: Collection[WayBack]) -> bool:
    """Pause where one without a timer may be typed just now, and return whether to look again: it may be whole by then.

    Its run would see it whole, and it would go all the same with what was seen half-typed.
    """
    typed = [way for way in ways if not (way.seconds or way.over)]
    if not of_others([replace(way, seconds=1) for way in typed], device):
        return False
    pause(LOOK_AGAIN)
    return True


def to_take_away(device: str, ways: Collection[WayBack], overdue: Collection[WayBack] = ()) -> tuple[str, ...]:
    """Return the names of those that may go, of what one reading shows; nothing that came later may go with them.

    ``overdue``: those that were waited for in vain. FindingError SW4476 where another run has armed one since the last look.
    """
    names = {way.name for way in overdue}
    if new := [way for way in of_others(ways, device) if way.name not in names]:
        raise FindingError(*refusal(device, new))
    return tuple(dict.fromkeys(way.name for way in ways))


def wait_until_gone(
    device: str,
    ways: Sequence[WayBack],
    look: Callable[[], Collection[WayBack]],
    sleep: Callable[[float], None] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> list[Finding]:
    """Wait until others have called their ways back off, or these have struck: the way back of a plan is never refused for good.

    ``look`` reads those that stand there now: a run that has a claim there may have armed a way back as well by then. Returns a warning
    for one that stands there although its time passed before our eyes: whoever waited may take it away. FindingError SW4476 where
    others arm new ones instead.
    """
    owners = {_whose(way) for way in ways}
    deadline = clock() + max((way.seconds for way in ways), default=0) + GRACE
    while True:
        now = of_others(look(), device)
        if new := [way for way in now if _whose(way) not in owners]:
            raise FindingError(*refusal(device, new))
        if not now:
            return []
        if clock() >= deadline:
            return [codes.WAY_BACK_TAKEN_OVER.at(f"{device}: {'; '.join(way.described() for way in now)}")]
        (sleep or pause)(LOOK_AGAIN)


def _whose(way: WayBack) -> str:
    """Return the mark of the run that a way back or claim is of, or its name where that has none."""
    found = _MARK.search(way.name)
    return found[0] if found else way.name


def pause(seconds: float) -> None:
    """Wait between two looks."""
    time.sleep(seconds)


def told_over(way: WayBack) -> WayBack:
    """Return it as one whose time is over."""
    return replace(way, over=True)


@cache
def place() -> str:
    """Return where a process number means something, in six characters: this host since it started, and this container on it."""
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
    with contextlib.suppress(OSError):
        parts.append(os.readlink("/proc/self/ns/pid"))
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:6]


def _started(pid: int) -> str:
    """Return when a process started, in four characters (clock ticks since the start of the host, cut); "" where nobody says."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        return _number(int(stat.rpartition(")")[2].split()[19]), 4)
    except (OSError, ValueError, IndexError):
        return ""


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    try:  # one that was killed and is not yet collected by its parent does nothing any more
        return (
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0] != "Z"
        )
    except (OSError, IndexError):
        return True


def _number(value: int, width: int) -> str:
    """Return a number in base 36, its lowest digits."""
    text = ""
    for _digit in range(width):
        value, rest = divmod(value, 36)
        text = _DIGITS[rest] + text
    return text
