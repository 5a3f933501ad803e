"""The machine of the gate: named stages that run in order, each with one line and its time.

Which stages there are stands in ``gate.py``. Only the standard library is used here, since the environments with
everything else are built by the first stages.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
import traceback
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

STAGE_SECONDS = 1740
LAST = "last"


class Skip(Exception):
    """A stage that has nothing to check, or lacks something named in the message."""


class Failure(Exception):
    """A stage that found something wrong; the message is one line, the rest is in the log."""


@dataclass
class Counts:
    """How many checks passed, failed and were skipped."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def add(self, other: Counts) -> None:
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


@dataclass(frozen=True)
class Stage:
    """One named step: its function, the stages that must have passed before it, and what it is for.

    Stages of one ``lane`` run one after the other in their order, lanes beside each other. Those of the lane LAST
    wait until all others are done. What stands in ``after`` is waited for where it runs, however it ends.
    """

    name: str
    run: Callable[[Context], Counts | None]
    needs: tuple[str, ...] = ()
    title: str = ""
    lane: str = ""
    after: tuple[str, ...] = ()


@dataclass
class Result:
    stage: str
    status: str  # ok, FAILED, skipped
    seconds: float
    counts: Counts
    remark: str = ""


class Board:
    """What the lanes of one run know of each other: what runs, what is done, and whether to stop."""

    def __init__(self) -> None:
        self.running: set[subprocess.Popen[bytes]] = set()
        self.stopping = threading.Event()
        self.changed = threading.Condition()
        self.done: set[str] = set()

    def finish(self, name: str) -> None:
        """Say that a stage has its result."""
        with self.changed:
            self.done.add(name)
            self.changed.notify_all()

    def await_stages(self, names: set[str]) -> bool:
        """Wait for the results of other stages; return False where the run is stopped instead."""
        with self.changed:
            self.changed.wait_for(lambda: names <= self.done or self.stopping.is_set())
        return not self.stopping.is_set()

    def stop(self) -> None:
        """End what runs in other lanes, and let none of them begin anything more."""
        self.stopping.set()
        with self.changed:
            self.changed.notify_all()
        for process in list(self.running):
            end_group(process)


@dataclass
class Context:
    """What a stage works with: the checkout, a log of its own and a way to run commands into it."""

    root: Path
    output: Path
    scratch: Path
    environment: dict[str, str]
    log: Path = Path(os.devnull)
    results: list[Result] = field(default_factory=list)
    board: Board = field(default_factory=Board)

    def call(
        self,
        command: Sequence[str | Path],
        cwd: Path | None = None,
        extra: Mapping[str, str] | None = None,
        seconds: int = STAGE_SECONDS,
    ) -> int:
        """Run a command with its output in the log; return its exit status. Its whole process group ends with it."""
        words = [str(word) for word in command]
        with self.log.open("a", encoding="utf-8") as log:
            log.write(f"$ {' '.join(words)}\n")
            log.flush()
            process = subprocess.Popen(
                words,
                cwd=cwd or self.root,
                env={**self.environment, **(extra or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self.board.running.add(process)
            try:
                if self.board.stopping.is_set():
                    end_group(process)
                return process.wait(seconds)
            except subprocess.TimeoutExpired:
                end_group(process)
                raise Failure(f"no end after {seconds} s: {words[0]}") from None
            except BaseException:
                end_group(process)
                raise
            finally:
                self.board.running.discard(process)

    def check(
        self, command: Sequence[str | Path], cwd: Path | None = None, extra: Mapping[str, str] | None = None
    ) -> None:
        """Run a command and fail the stage unless it ends with 0."""
        status = self.call(command, cwd, extra)
        if status != 0:
            raise Failure(f"exit status {status}")

    def read(self, command: Sequence[str | Path]) -> str:
        """Return what a short command prints, or an empty string if it fails."""
        done = subprocess.run(
            [str(word) for word in command],
            cwd=self.root,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return done.stdout if done.returncode == 0 else ""

    def note(self, text: str) -> None:
        """Write a line of our own into the log."""
        with self.log.open("a", encoding="utf-8") as log:
            log.write(text.rstrip("\n") + "\n")


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End a child and what it started: ask first, so that the lab can clean up, then insist."""
    # What was started in the background of a shell leaves interrupts alone, and so does what it starts.
    ask = signal.SIGTERM if signal.getsignal(signal.SIGINT) == signal.SIG_IGN else signal.SIGINT
    for number, seconds in ((ask, 20), (signal.SIGTERM, 5), (signal.SIGKILL, 5)):
        try:
            os.killpg(process.pid, number)
            process.wait(seconds)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
        else:
            return


def pytest_counts(report: Path) -> Counts:
    """Return the counts of a JUnit report that pytest wrote. Raises Failure where there is none."""
    if not report.is_file():
        raise Failure("pytest wrote no report")
    counts = Counts()
    for suite in ElementTree.parse(report).getroot().iter("testsuite"):
        tests, skipped = int(suite.get("tests", 0)), int(suite.get("skipped", 0))
        failed = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        counts.add(Counts(tests - skipped - failed, failed, skipped))
    return counts


def with_needs(chosen: Iterable[str], stages: Sequence[Stage]) -> list[Stage]:
    """Return the chosen stages and all that they need, in the order of ``stages``."""
    by_name = {stage.name: stage for stage in stages}
    wanted: set[str] = set()
    queue = list(chosen)
    while queue:
        name = queue.pop()
        if name not in wanted:
            wanted.add(name)
            queue.extend(by_name[name].needs)
    return [stage for stage in stages if stage.name in wanted]


def run_stage(stage: Stage, context: Context) -> Result:
    """Run one stage and say how it went. A stage whose need was not met is skipped with that reason."""
    context = replace(context)  # its log is its own
    context.log = context.output / "logs" / f"{stage.name}.log"
    context.log.parent.mkdir(parents=True, exist_ok=True)
    context.log.write_text("", encoding="utf-8")
    for need in stage.needs:
        for earlier in context.results:
            if earlier.stage == need and earlier.status != "ok":
                why = earlier.remark if earlier.status == "skipped" else "failed"
                return Result(stage.name, "skipped", 0.0, Counts(skipped=1), f"needs {need}: {why}")
    started = time.monotonic()
    status, remark, counts = "ok", "", Counts(passed=1)
    try:
        counted = stage.run(context)
        if counted is not None:
            counts = counted
            remark = str(counts)
            if counts.failed:
                status = "FAILED"
            elif not counts.passed:
                status = "skipped"
    except Skip as skip:
        status, remark, counts = "skipped", str(skip), Counts(skipped=1)
    except (Failure, OSError, subprocess.SubprocessError) as failure:
        status, remark, counts = "FAILED", str(failure), Counts(failed=1)
    except Exception as fault:  # a lane must come to its end, or the others would wait for it
        context.note(traceback.format_exc())
        status, remark, counts = "FAILED", f"{type(fault).__name__}: {fault}", Counts(failed=1)
    return Result(stage.name, status, time.monotonic() - started, counts, remark)


def run_lane(stages: Sequence[Stage], every: set[str], context: Context, total: Counts) -> None:
    """Run the stages of one lane in order, each when what it needs from other lanes has its result."""
    for stage in stages:
        if not context.board.await_stages(every & {*stage.needs, *stage.after}):
            return
        print(f"stage {stage.name} begins", flush=True)
        result = run_stage(stage, context)
        if context.board.stopping.is_set():
            return
        with context.board.changed:
            context.results.append(result)
            total.add(result.counts)
            remark = f" ({result.remark})" if result.remark else ""
            print(f"stage {stage.name} ... {result.status} {result.seconds:.1f} s{remark}", flush=True)
            if result.status == "FAILED":
                log = context.output / "logs" / f"{stage.name}.log"
                print(f"----- output of {stage.name} -----")
                print(log.read_text(encoding="utf-8", errors="replace").rstrip())
                print(f"----- end of {stage.name} -----", flush=True)
        context.board.finish(stage.name)


def run_stages(stages: Sequence[Stage], context: Context) -> Counts:
    """Run stages, printing a line for each when it begins and when it ends; then a table and the closing line. Return the sum of counts.

    Where no stage names a lane, they run one after the other in their order.
    """
    total = Counts()
    started = time.monotonic()
    every = {stage.name for stage in stages}
    others = sorted({stage.lane for stage in stages} - {"", LAST})
    lanes = [
        threading.Thread(
            target=run_lane, args=([stage for stage in stages if stage.lane == lane], every, context, total)
        )
        for lane in others
    ]
    try:
        for thread in lanes:
            thread.start()
        run_lane([stage for stage in stages if not stage.lane], every, context, total)
        for thread in lanes:
            thread.join()
        run_lane([stage for stage in stages if stage.lane == LAST], every, context, total)
    except BaseException:
        context.board.stop()
        for thread in lanes:
            thread.join()
        raise
    order = [stage.name for stage in stages]
    results = sorted(context.results, key=lambda result: order.index(result.stage))
    width = max((len(result.stage) for result in results), default=5)
    print(f"\n{'stage':<{width}}  {'result':<7}  {'seconds':>7}  remark")
    for result in results:
        print(f"{result.stage:<{width}}  {result.status:<7}  {result.seconds:>7.1f}  {result.remark}")
    print(f"{'all':<{width}}  {'':<7}  {time.monotonic() - started:>7.1f}  logs in {context.output / 'logs'}\n")
    return total
