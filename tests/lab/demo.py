# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole loop against the lab, as ``make demo`` shows it: ``python -m tests.lab demo [--keep]``.

Every step of the product is a playbook run as a user runs it; what is printed about it is read from the JSON it wrote.
What only the lab can know (writes, packets) is asked from the lab. The lab runs inside this process, so that nothing of
it can outlive the demonstration; with ``--keep`` it runs on its own and stays.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from . import control
from .check import Report, check
from .places import CHECKOUT, Places
from .playbooks import Run, Site, assign_sessions
from .processes import LabError, starting_a_child, stop_marks
from .state import clean_up, read_state, supervisor_of
from .supervisor import Lab
from .writes import WriteCounter

INTERRUPTED = 130
WIDTH = 120
# Where the exception of a signal is lost (it may strike inside a destructor), the next step sees this.
_STOPPING = threading.Event()
AGAIN = 0.01  # seconds after which a signal that struck at a bad moment is sent again
_KEPT = "kept-by-demo"


class StepFailed(Exception):
    """A step went wrong; the text says which, and shows the end of its log."""


def main(words: list[str]) -> int:
    """Run the demonstration on the lab instance of SEGWRIGHT_LAB_ID; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.lab demo", description="The whole loop against the lab.")
    parser.add_argument("--keep", action="store_true", help="leave the lab up at the end")
    chosen = parser.parse_args(words)
    _end_on_first_signal()
    places = Places.of()
    try:
        with _lab(places, chosen.keep) as skipped:
            Demo(places, skipped).run()
            if chosen.keep:
                print(f"\nThe lab stays up; stop it with: python -m tests.lab --id {places.lab_id} down", flush=True)
    except KeyboardInterrupt:
        print("\ndemo: stopped; the lab is down and nothing runs on", file=sys.stderr, flush=True)
        return INTERRUPTED
    except (StepFailed, LabError, subprocess.CalledProcessError) as error:
        print(f"\ndemo: {error}", file=sys.stderr, flush=True)
        return 1
    return 0


def _end_on_first_signal() -> None:
    """One signal ends the demonstration; further ones must not disturb the cleaning up."""

    def stop(_number: int, frame: FrameType | None) -> None:
        _STOPPING.set()
        for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(each, signal.SIG_IGN)
        if starting_a_child(frame):
            signal.setitimer(signal.ITIMER_REAL, AGAIN)
            return
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM):
        signal.signal(number, stop)


@contextmanager
def _lab(places: Places, keep: bool) -> Iterator[dict[str, str]]:
    """A fresh lab; yields the parts that this machine cannot run, with the reason."""
    _stop_kept(places)
    began = time.monotonic()
    if not keep:
        with Lab.start(None, places.lab_id, places.directory.parent) as lab:
            _say("lab", time.monotonic() - began, _lab_text(lab.running))
            yield lab.skipped
        return
    from .__main__ import _daemon  # the other entrance to the same lab

    (places.directory.parent).mkdir(parents=True, exist_ok=True)
    try:
        if _daemon(places, ["ise", "switches", "net", "fw1", "hospital"]) != 0:
            raise LabError("the lab did not start")
        (places.directory / _KEPT).touch()
        state = read_state(places) or {}
        _say("lab", time.monotonic() - began, _lab_text(state["parts"]))
        yield state["skipped"]
    except BaseException:
        _stop_kept(places, also_unmarked=True)
        raise


def _stop_kept(places: Places, also_unmarked: bool = False) -> None:
    """Stop a lab that an earlier demonstration left up; one that somebody started by hand is left alone."""
    state = read_state(places)
    if state is not None and (also_unmarked or (places.directory / _KEPT).exists()):
        stop_marks([supervisor_of(state)], patience=15)
        clean_up(places)


def _lab_text(running: Any) -> str:
    names = {
        "ise": "emulated ISE",
        "switches": "2 emulated switches",
        "fw1": "nftables firewall",
        "hospital": "18 hosts with their programs",
    }
    return ", ".join(text for name, text in names.items() if name in running)


def _say(name: str, seconds: float, text: str) -> None:
    if _STOPPING.is_set():
        raise KeyboardInterrupt
    _table_row(f"{name:<9} {seconds:6.1f} s  ", text)


def _table_row(head: str, text: str) -> None:
    lines = [piece for line in text.splitlines() for piece in textwrap.wrap(line, WIDTH - len(head) - 2)] or [""]
    for number, line in enumerate(lines):
        print(f"  {head if number == 0 else ' ' * len(head)}{line}".rstrip(), flush=True)


class Demo:
    """The steps in order, and what they found."""

    def __init__(self, places: Places, skipped: dict[str, str]) -> None:
        self.places, self.skipped = places, skipped
        self.site = Site(places, places.directory / "demo", places.logs, limit="!fw1" if "fw1" in skipped else "")
        self.found: dict[str, Any] = {}
        self.began = time.monotonic()

    def run(self) -> None:
        """Carry the steps out; raises StepFailed."""
        if self.skipped:
            reason = self.skipped.get("net") or next(iter(self.skipped.values()))
            print(f"  without {', '.join(self.skipped)}: {reason}", flush=True)
        self.site.create()
        print(f"  policy repository {_shown(self.site.policy)}, output of every step in {_shown(self.site.logs)}")
        self._playbook("collect", self._collected)
        self._playbook("propose", self._proposed)
        self._merge()
        self._playbook("validate", self._validated)
        self._playbook("plan", self._planned)
        self._playbook("apply", self._checked, "--check", "--diff", shown="check")
        self._playbook("apply", self._applied)
        self._authorize()
        self._playbook("verify", self._verified)
        # Probes leave half-open connections behind, which programs of the hospital count; so the hospital goes first.
        if "hospital" not in self.skipped:
            self._hospital()
        self._probes()
        self._playbook("apply", self._again, shown="again")
        self._summary()

    # -- steps

    def _playbook(self, name: str, tell: Callable[[Run], str], *flags: str, shown: str = "") -> None:
        counter = WriteCounter(self.places)
        run = self.site.run(name, *flags)
        if _STOPPING.is_set():
            raise KeyboardInterrupt
        if run.code != 0:
            command = " ".join(["ansible-playbook", f"playbooks/{name}.yml", *flags])
            raise StepFailed(f"{command} ended with {run.code}; {_shown(run.log)} ends:\n{run.tail()}")
        self.found["writes"] = counter.counts()
        _say(shown or name, run.seconds, tell(run))

    def _collected(self, _run: Run) -> str:
        made = self.found["collect"] = self.site.result("collect")
        register = json.loads((self.site.data / "register" / "register.json").read_text(encoding="utf-8"))
        facts = [fact for each in register["devices"] for fact in each["facts"].values()]
        sources = sorted({str(fact["source"]).partition(":")[0] for fact in facts})
        return f"{made['summary']}\n{len(facts)} facts from {', '.join(sources)}"

    def _proposed(self, _run: Run) -> str:
        made = self.found["propose"] = self.site.result("propose")
        scans = [each["message"] for each in made["warnings"] if "within five minutes" in each["message"]]
        return "\n".join([made["summary"], *(f"kept out: {text}" for text in scans)])

    def _merge(self) -> None:
        began = time.monotonic()
        changed = self.site.git("status", "--porcelain", "--untracked-files=all").splitlines()
        commit = self.site.commit("Learnt segments and rules, reviewed")
        text = (
            f"commit {commit[:12]} with {len(changed)} files: a person would review and merge here, the merge approves"
        )
        _say("merge", time.monotonic() - began, text)

    def _validated(self, _run: Run) -> str:
        made = self.found["validate"] = self.site.result("validate")
        return str(made["summary"])

    def _planned(self, _run: Run) -> str:
        made = self.found["plan"] = self.site.result("plan")
        counts = Counter(each["name"] for each in made["targets"] for _ in each["operations"])
        shown = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
        return f"plan {made['plan_id'][:12]}: operations {shown}\n{made['effect'].get('sentence', '')}"

    def _checked(self, _run: Run) -> str:
        self._expect_no_writes("apply --check")
        return "apply --check --diff: every check passed, the lab counted no write"

    def _applied(self, _run: Run) -> str:
        made = self.found["apply"] = self.site.result("apply")
        counts = ", ".join(f"{name} {count}" for name, count in sorted(self.found["writes"].items()))
        self.found["applied writes"] = self.found["writes"]
        return f"{made['summary']}\nwrites counted by the lab: {counts}"

    def _authorize(self) -> None:
        began = time.monotonic()
        changed = assign_sessions(self.places, self.site.policy)
        text = f"the site's own authorization rules now name the new profiles and tags: {changed} sessions re-authenticated"
        _say("sessions", time.monotonic() - began, text)

    def _verified(self, _run: Run) -> str:
        made = self.found["verify"] = self.site.result("verify")
        return str(made["summary"])

    def _probes(self) -> None:
        began = time.monotonic()
        report = self.found["probes"] = check(self.places, self.site.policy)
        lines = report.lines()
        (self.site.output / "probes.json").write_text(json.dumps(report.as_dict(), indent=1) + "\n", encoding="utf-8")
        _say("probes", time.monotonic() - began, lines[0])
        if not report.ok:
            raise StepFailed("enforcement is not as the policy says:\n" + "\n".join(lines[1:]))

    def _hospital(self) -> None:
        began = time.monotonic()
        body = {"do": "play", "sessions": 1, "seconds": 3}
        made = control.call(self.places.control, "POST", "/hospital", body, timeout=120)
        if made["failures"]:
            raise StepFailed("a conversation of the hospital fails under enforcement:\n" + "\n".join(made["failures"]))
        spoken = ", ".join(f"{name} {count}" for name, count in made["conversations"].items())
        self.found["spoken"] = made["opened"]
        _say("hospital", time.monotonic() - began, f"{made['opened']} real conversations went through:\n{spoken}")

    def _again(self, _run: Run) -> str:
        self._expect_no_writes("the second apply")
        return "a second apply: the lab counted no write on any target"

    def _expect_no_writes(self, what: str) -> None:
        written = {name: count for name, count in self.found["writes"].items() if count}
        if written:
            raise StepFailed(f"{what} wrote: {written}")

    # -- closing

    def _summary(self) -> None:
        report: Report = self.found["probes"]
        rows = [
            ("learnt", self._learnt()),
            ("proved", self._proved()),
            ("applied", self._operations()),
            ("verified", f"{self.found['verify']['summary']}; {self._scan()}"),
            ("probes", "\n".join(report.lines())),
            ("report", f"{_shown(self.site.output / 'plan.html')} (open it in a browser)"),
        ]
        print(f"\nThe whole loop took {time.monotonic() - self.began:.0f} s.")
        for name, text in rows:
            _table_row(f"{name:<9} ", text)

    def _learnt(self) -> str:
        made = self.found["propose"]
        learnt = made["learnt"]
        text = (
            f"{learnt['devices']} devices in {learnt['segments']} segments, {learnt['conversations']} conversations,"
            f" {learnt['rules']} rules"
        )
        reasons = Counter(str(each["reason"]) for each in made["review"])
        left = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
        return f"{text}; {learnt['scans']} scan kept out; left to people: {left or 'nothing'}"

    def _proved(self) -> str:
        made = self.found["validate"]
        equal = sum(1 for each in made["equivalence"] if each["equal"])
        proved = sum(1 for each in made["guardrails"] if each["outcome"] == "proved")
        met = sum(1 for each in made["expectations"] if each["met"])
        text = f"{equal} of {len(made['equivalence'])} lists mean what the rules say, {proved} of {len(made['guardrails'])} guardrails"
        text += f", {met} of {len(made['expectations'])} expectations"
        replay = made.get("replay")
        if replay:
            doubt = sum(1 for each in replay["cut"] if each["doubt"])
            text += f"; replay: {replay['permitted']} of {replay['recorded']} recorded conversations pass,"
            text += f" {len(replay['cut']) - doubt} legitimate and {doubt} doubtful ones would not"
        return text

    def _operations(self) -> str:
        counts = Counter(each["target"] for each in self.found["apply"]["completed"])
        return ", ".join(f"{name} {count} operations" for name, count in sorted(counts.items()))

    def _scan(self) -> str:
        spoken = self.found.get("spoken")
        return f"{spoken} real conversations work under enforcement" if spoken else "no hospital programs in this lab"


def _shown(path: Path) -> str:
    """A path as a person in the checkout would type it."""
    return str(path.relative_to(CHECKOUT)) if path.is_relative_to(CHECKOUT) else str(path)
