"""The machine of the gate: what it counts, what it skips and why, and that nothing it started outlives it."""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.integration.conftest import WITHOUT_LAB
from tools import gate
from tools.stages import Context, Counts, Failure, Skip, Stage, pytest_counts, run_stages, with_needs


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return Context(tmp_path, tmp_path / "output", tmp_path, dict(os.environ))


def passes(context: Context) -> None:
    context.check([sys.executable, "-c", "print('fine')"])


def fails(context: Context) -> None:
    context.check([sys.executable, "-c", "print('what went wrong'); raise SystemExit(3)"])


def has_nothing(_context: Context) -> None:
    raise Skip("no such thing here")


def test_lines_counts_and_reasons(context: Context, capsys: pytest.CaptureFixture[str]) -> None:
    stages = [
        Stage("good", passes),
        Stage("bad", fails),
        Stage("absent", has_nothing),
        Stage("tests", lambda _context: Counts(7, 0, 2)),
        Stage("none", lambda _context: Counts(0, 0, 3)),
        Stage("after-bad", passes, ("bad",)),
        Stage("after-absent", passes, ("absent",)),
    ]
    total = run_stages(stages, context)
    said = capsys.readouterr().out
    assert str(total) == "8 passed, 1 failed, 8 skipped"
    assert re.search(r"^stage good \.\.\. ok \d+\.\d s$", said, re.MULTILINE)
    assert re.search(r"^stage bad \.\.\. FAILED \d+\.\d s \(exit status 3\)$", said, re.MULTILINE)
    assert "what went wrong" in said  # a failed stage shows its output in full
    assert "fine" not in said  # a good one does not
    assert re.search(r"^stage absent \.\.\. skipped \d+\.\d s \(no such thing here\)$", said, re.MULTILINE)
    assert "stage none ... skipped" in said  # tests that were all skipped prove nothing
    assert "(needs bad: failed)" in said
    assert "(needs absent: no such thing here)" in said


def test_lanes_run_beside_each_other_and_wait_for_what_they_need(context: Context) -> None:
    order: list[str] = []
    met = threading.Barrier(2, timeout=20)  # broken, and so a failure, unless both lanes are inside at once

    def step(name: str, meet: bool = False) -> Stage:
        def run(_context: Context) -> None:
            if meet:
                met.wait()
            order.append(name)

        lane = {"l": "lab", "z": "last"}.get(name[0], "")
        return Stage(name, run, {"l1": ("a",), "b": ("a",)}.get(name, ()), lane=lane)

    stages = [step("l1", True), step("z"), step("l2"), step("a"), step("b", True), step("c")]
    total = run_stages(stages, context)
    assert str(total) == "6 passed, 0 failed, 0 skipped"
    assert order[0] == "a" and order[-1] == "z"
    assert order.index("l1") < order.index("l2") and order.index("b") < order.index("c")


def test_a_fault_of_a_stage_is_a_failure_and_ends_no_lane(context: Context, capsys: pytest.CaptureFixture[str]) -> None:
    def broken(_context: Context) -> None:
        raise ZeroDivisionError("a stage's own fault")

    total = run_stages([Stage("x", broken, lane="lab"), Stage("y", passes, lane="lab")], context)
    assert str(total) == "1 passed, 1 failed, 0 skipped"
    assert "ZeroDivisionError: a stage's own fault" in capsys.readouterr().out


def test_an_interrupt_ends_what_runs_in_every_lane(context: Context) -> None:
    begun = threading.Event()

    def long(inner: Context) -> None:
        begun.set()
        inner.call(["sleep", "60"])

    def interrupted(_context: Context) -> None:
        assert begun.wait(20)
        while not context.board.running:
            time.sleep(0.01)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_stages(
            [Stage("long", long, lane="lab"), Stage("after", passes, lane="lab"), Stage("i", interrupted)], context
        )
    assert not context.board.running
    assert not context.results


def test_needs_are_run_first_and_once() -> None:
    stages = [Stage("a", passes), Stage("b", passes, ("a",)), Stage("c", passes), Stage("d", passes, ("b", "c"))]
    assert [stage.name for stage in with_needs(["d", "b"], stages)] == ["a", "b", "c", "d"]
    assert [stage.name for stage in with_needs(["c"], stages)] == ["c"]


def test_a_stage_waits_for_another_lane_however_that_ends(context: Context) -> None:
    order: list[str] = []

    def slow(_context: Context) -> None:
        time.sleep(0.3)
        order.append("slow")
        raise Skip("not allowed here")

    def quick(_context: Context) -> None:
        order.append("quick")

    total = run_stages([Stage("p", slow, lane="lab"), Stage("u", quick, after=("p", "not chosen"))], context)
    assert order == ["slow", "quick"]
    assert str(total) == "1 passed, 0 failed, 1 skipped"


def test_what_uses_the_lab_has_its_packages() -> None:
    stages = {stage.name: stage for stage in gate.STAGES}
    lab = [stage for stage in stages.values() if stage.lane == stages["packages"].lane]
    assert {"runner", "integration", "demo"} <= {stage.name for stage in lab}
    assert [stage.name for stage in lab if "packages" not in stage.needs] == ["packages"]
    assert all("packages" in stages[name].after for name in ("unit", "unit-3.11", "unit-lowest"))
    assert "packages" in stages["targets"].needs


def test_every_file_that_needs_no_lab_exists_and_asks_for_none(root: Path) -> None:
    folder = root / "tests" / "integration"
    for name in WITHOUT_LAB:
        text = (folder / name).read_text(encoding="utf-8")
        assert not re.search(r"tests\.integration\.conftest|tests\.lab\.supervisor|\b(LabTargets|Places)\b", text), name


def test_counts_of_a_report(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    report.write_text('<testsuites><testsuite tests="9" failures="1" errors="2" skipped="3"/></testsuites>')
    assert pytest_counts(report) == Counts(3, 3, 3)
    with pytest.raises(Failure, match="no report"):
        pytest_counts(tmp_path / "absent.xml")


def test_what_a_stage_started_ends_with_its_time(context: Context) -> None:
    context.log = context.root / "log"
    marker = context.root / "pid"
    child = (
        "import subprocess, time; p = subprocess.Popen(['sleep', '60']);"
        f" open({str(marker)!r}, 'w').write(str(p.pid)); time.sleep(60)"
    )
    with pytest.raises(Failure, match="no end after 2 s"):
        context.call([sys.executable, "-c", child], seconds=2)
    number = int(marker.read_text())
    for _attempt in range(50):
        state = Path(f"/proc/{number}/stat")
        if not state.exists() or state.read_text().rsplit(")", 1)[1].split()[0] == "Z":
            break
        time.sleep(0.1)
    else:
        raise AssertionError("a grandchild is still running")
